//! What the claims about the Kronecker form along training share: the runs, made-up runs to plant, and how a sentence is judged over them.

use super::runs::Fate;
use crate::error::Result;
use crate::evidence::kernels::{RunTest, TOLERATED_FAILURES};
use crate::evidence::ledger::Rates;
use crate::evidence::{
    Bench, Check, Draw, Finding, Kind, Outcome, Planted, Role, Size, Spec, Worlds,
};
use crate::scenarios::kfac_sharper::forms::Form;
use crate::scenarios::kfac_sharper::{Row, Sample};
use crate::scenarios::training::Control;

/// The networks that these claims are judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// A perceptron on the digits, where the plain `C` falls through 1 at the batches at which it ever passes it.
    Digits,
    /// Modular addition, where it rises through 1.
    Modular,
}

/// Their studies.
pub const SCENARIOS: &[&str] = &["kfac-sharper", "kfac-modular"];

impl On {
    /// The name of its study.
    pub fn scenario(self) -> &'static str {
        SCENARIOS[self as usize]
    }

    /// That of two names which is meant for this one.
    pub fn pick(self, names: [&'static str; 2]) -> &'static str {
        names[self as usize]
    }
}

/// Their seeds at the standard tier, which a test holds them to.
const SEEDS: u64 = 5;

/// The readings of one run.
pub type Run = Vec<Row>;

/// Runs and their controls.
#[derive(Clone)]
pub struct World {
    /// The plain ones.
    pub runs: Vec<Run>,
    /// Those with shuffled labels.
    pub controls: Vec<Run>,
}

/// One way to read a sentence that leaves something open, such as the batch size.
pub struct Cell<'a> {
    /// What it is told as, after "runs".
    pub label: String,
    /// How the sentence fares in a run.
    pub fate: Box<dyn Fn(&Run) -> Fate + 'a>,
    /// Whether a control shows the same, which makes the effect none.
    pub in_control: Box<dyn Fn(&Run) -> bool + 'a>,
}

impl World {
    /// The runs of this audit.
    ///
    /// # Errors
    /// When they are not there.
    pub fn of(bench: &Bench, on: On) -> Result<Self> {
        let mut runs: Vec<Run> = Vec::new();
        for row in bench.runs.rows::<Row>(on.scenario())? {
            let same = |run: &Run| (run[0].seed, run[0].control) == (row.seed, row.control);
            match runs.last_mut().filter(|run| same(run)) {
                Some(run) => run.push(row),
                None => runs.push(vec![row]),
            }
        }
        let (runs, controls) = runs.into_iter().partition(|run| run[0].control.is_none());
        Ok(Self { runs, controls })
    }

    /// As many made-up runs of twelve readings: accuracy climbs from chance to 0.9, and `of` says for the control, the number of a reading
    /// and a form what `C` is, and by what share of it estimates deviate.
    pub fn made_up(like: &Self, of: impl Fn(Option<Control>, usize, Form) -> (f64, f64)) -> Self {
        const GRADIENTS: usize = 100;
        let run = |run: &Run| {
            let (seed, control) = (run[0].seed, run[0].control);
            let reading = |k: usize| {
                let climb = 1.0 / (1.0 + (6.0 - k as f64).exp());
                let estimate = |sign: f64| {
                    Form::ALL.map(|form| {
                        let (c, share) = of(control, k, form);
                        Some(c * (1.0 + sign * share) + 1.0 / GRADIENTS as f64)
                    })
                };
                Row {
                    seed,
                    control,
                    step: k as u64,
                    tested: 449,
                    classes: 10,
                    accuracy: match control {
                        None => 0.1 + 0.8 * climb,
                        // one image more or less, so that a correlation with it exists
                        Some(_) => 0.1 + 0.001 * (k % 2) as f64,
                    },
                    exact: Form::ALL.map(|form| Some(of(control, k, form).0)),
                    samples: vec![Sample {
                        batch_size: 1,
                        gradients: GRADIENTS,
                        estimates: [1.0, -1.0, 0.5, -0.5].map(estimate).into(),
                    }],
                }
            };
            (0..12).map(reading).collect()
        };
        Self {
            runs: like.runs.iter().map(run).collect(),
            controls: like.controls.iter().map(run).collect(),
        }
    }

    /// The measurement batches of the samples.
    pub fn sample_batches(&self) -> Vec<usize> {
        let first = self.runs.first().and_then(|run| run.first());
        first.map_or(Vec::new(), |row| {
            row.samples.iter().map(|s| s.batch_size).collect()
        })
    }

    /// Judges a sentence by every cell: it must hold in all.
    pub fn judge(&self, draw: &Draw, sentence: &str, cells: &[Cell]) -> Finding {
        let mut rates = draw.rates;
        rates.false_alarm /= cells.len().max(1) as f64;
        let test = RunTest::new(self.runs.len() as u64, rates);
        let (mut told, mut outcomes, mut holding, mut failing) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for Cell {
            label,
            fate,
            in_control,
        } in cells
        {
            let fates: Vec<Fate> = self.runs.iter().map(fate).collect();
            let count = |f: Fate| fates.iter().filter(|&&g| g == f).count() as u64;
            let shown = self.controls.iter().filter(|c| in_control(c)).count();
            let also = !self.controls.is_empty() && 2 * shown >= self.controls.len();
            let mut line = format!("{} of {} runs{label}", count(Fate::Holds), fates.len());
            if count(Fate::Undecided) > 0 {
                line += &format!(" ({} undecided)", count(Fate::Undecided));
            }
            outcomes.push(
                match test.outcome(count(Fate::Fails), count(Fate::Undecided)) {
                    Outcome::Holds if also => {
                        line += " (also in the control)";
                        Outcome::Undecided
                    }
                    Outcome::Holds => {
                        holding.push(label.trim().to_owned());
                        Outcome::Holds
                    }
                    Outcome::Violated => {
                        failing.push(label.trim().to_owned());
                        Outcome::Violated
                    }
                    Outcome::Undecided => Outcome::Undecided,
                },
            );
            told.push(line);
        }
        let outcome = Outcome::of_all(&outcomes);
        let cases = (self.runs.len() + self.controls.len()) as u64;
        let summary = format!("{sentence} in {}", told.join(", "));
        let mut finding = Finding::new(outcome, cases, summary);
        finding.effect = Some(failing.len() as f64 / cells.len().max(1) as f64);
        if outcome == Outcome::Violated && !holding.is_empty() {
            finding.scope = Some(format!(
                "it is measured {} here; {} it fails",
                holding.join(" or "),
                failing.join(", ")
            ));
        }
        finding
    }
}

/// Whether the readings of a sentence that tell anything agree; `None` is one that does not.
pub fn agreed(readings: impl IntoIterator<Item = Option<bool>>) -> Fate {
    let told: Vec<bool> = readings.into_iter().flatten().collect();
    match told.first() {
        None => Fate::Undecided,
        Some(first) if told.iter().any(|t| t != first) => Fate::Undecided,
        Some(true) => Fate::Holds,
        Some(false) => Fate::Fails,
    }
}

/// The exact `C` of a form along a run at one batch size; readings where it is undefined are `None`.
pub fn series(run: &Run, form: Form, batch_size: usize) -> Vec<Option<f64>> {
    let at = |row: &Row| row.exact(form).map(|c| c * batch_size as f64);
    run.iter().map(at).collect()
}

/// The first reading at which `C` exceeds 1.
pub fn first_above(values: &[Option<f64>]) -> Option<usize> {
    values.iter().position(|c| c.is_some_and(|c| c > 1.0))
}

/// Test accuracy along a run.
pub fn accuracies(run: &Run) -> Vec<f64> {
    run.iter().map(|row| row.accuracy).collect()
}

/// What a check is, but for its promise.
pub struct Words {
    /// Its name within the claim.
    pub id: &'static str,
    /// The sentence it speaks to.
    pub role: Role,
    /// What is tested.
    pub hypothesis: &'static str,
    /// The planted defect, in which every run violates the sentence.
    pub defect: &'static str,
    /// The planted truth.
    pub truth: &'static str,
}

/// A check on the runs. `plant` makes a defect and a truth as large as the real thing; `cells` is into how many tests it is split.
pub fn check(
    on: On,
    words: Words,
    cells: usize,
    plant: fn(&World) -> [World; 2],
    examine: fn(&World, &Draw) -> Finding,
) -> Check {
    let mut rates = Rates::of_one_slot();
    rates.false_alarm /= cells as f64;
    let promise = format!("share of runs that violate the sentence, with {SEEDS} runs");
    let spec = Spec {
        id: words.id,
        role: words.role,
        kind: Kind::Runs,
        hypothesis: words.hypothesis,
        tolerance: TOLERATED_FAILURES,
        detectable: Size::of(&promise, RunTest::new(SEEDS, rates).detectable()),
    };
    let (defect, truth) = (words.defect, words.truth);
    let build = move |bench: &Bench| {
        let real = World::of(bench, on)?;
        let [planted_defect, planted_truth] = plant(&real);
        Ok(Worlds {
            real,
            defect: Planted {
                what: defect,
                size: 1.0,
                world: planted_defect,
            },
            truth: Planted {
                what: truth,
                size: 0.0,
                world: planted_truth,
            },
        })
    };
    Check::built(spec, build, examine)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::scenarios::{Scenario, shipped};
    use crate::tier::Tier;
    use fjld_core::rng::Seed;

    /// Five runs and five controls without readings but for one.
    pub fn bare() -> World {
        let row = |seed, control| Row {
            seed,
            control,
            step: 0,
            accuracy: 0.1,
            tested: 449,
            classes: 10,
            exact: [None; 5],
            samples: Vec::new(),
        };
        let runs = |control| (0..SEEDS).map(|seed| vec![row(seed, control)]).collect();
        World {
            runs: runs(None),
            controls: runs(Some(Control::ShuffledLabels)),
        }
    }

    pub fn draw() -> Draw {
        Draw {
            seed: Seed::root(1),
            rates: Rates::of_one_slot(),
        }
    }

    #[test]
    fn the_studies_have_as_many_seeds_as_the_checks_promise() -> Result<()> {
        for on in [On::Digits, On::Modular] {
            let Scenario::Study(study) = shipped::scenario(on.scenario())? else {
                unreachable!("it is a study");
            };
            assert_eq!(study.tiers().seeds(Tier::Standard), SEEDS);
        }
        Ok(())
    }

    #[test]
    fn readings_that_do_not_tell_leave_the_others_their_say_and_a_split_decides_nothing() {
        assert_eq!(agreed([None, Some(true), None]), Fate::Holds);
        assert_eq!(agreed([Some(false), Some(false)]), Fate::Fails);
        assert_eq!(agreed([Some(false), Some(true)]), Fate::Undecided);
        assert_eq!(agreed([None, None]), Fate::Undecided);
    }

    #[test]
    fn what_the_control_shows_too_counts_as_none_and_a_cell_that_fails_is_named() {
        let world = bare();
        let cell = |label: &str, fate, shown| Cell {
            label: label.into(),
            fate: Box::new(move |_| fate),
            in_control: Box::new(move |_| shown),
        };
        let alone = [cell("", Fate::Holds, false)];
        assert_eq!(
            world.judge(&draw(), "it does", &alone).outcome,
            Outcome::Holds
        );
        let shown = world.judge(&draw(), "it does", &[cell("", Fate::Holds, true)]);
        assert_eq!(shown.outcome, Outcome::Undecided);
        assert_eq!(
            shown.summary,
            "it does in 5 of 5 runs (also in the control)"
        );
        let both = [
            cell(" at batch 1", Fate::Holds, false),
            cell(" at batch 2", Fate::Fails, false),
        ];
        let split = world.judge(&draw(), "it does", &both);
        assert_eq!(split.outcome, Outcome::Violated);
        let scope = "it is measured at batch 1 here; at batch 2 it fails";
        assert_eq!(split.scope.as_deref(), Some(scope));
    }
}
