//! What the claims about training runs share: the cells of estimator and measurement batch, and made-up runs to plant.

use super::cells::{self, Cell};
use crate::evidence::kernels::TOLERATED_FAILURES;
use crate::evidence::over_seeds::OverSeeds;
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use crate::scenarios::measurement::{Estimator, Unit, Value, View};
use crate::scenarios::shipped;
use crate::scenarios::store::Evidence;
use crate::scenarios::training::{Control, Curve, Item, Reading};
use crate::tier::Tier;

/// The runs of a scenario as one view sees them.
#[derive(Clone)]
pub struct Runs {
    /// The plain ones.
    pub runs: Vec<Curve>,
    /// Those with a control.
    pub controls: Vec<Curve>,
    /// The measurement batches, each of which the sentence must be true at.
    pub batch_sizes: Vec<usize>,
    /// Which estimate of `C` is looked at.
    pub view: View,
    /// Test labels, which accuracies are shares of.
    pub test_examples: usize,
    /// A guess is right once in as many.
    pub classes: usize,
}

/// How the sentence fares in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// True.
    Holds,
    /// False.
    Fails,
    /// The definitions of its words disagree, or a value is undefined.
    Undecided,
}

/// The scenario that the sentences about training in general are judged by.
pub const SCENARIO: &str = "digits-mlp";

/// What a check by a view is called within its claim.
pub type Ids = fn(View) -> &'static str;

/// The names of checks in a claim that draws on one scenario.
pub fn ids(view: View) -> &'static str {
    match (view.estimator, view.unit) {
        (Estimator::Minibatch, Unit::Example) => "minibatch",
        (Estimator::PerExample, Unit::Example) => "per-example",
        (Estimator::Minibatch, Unit::Token) => "minibatch-of-tokens",
        (Estimator::PerExample, Unit::Token) => "per-token",
    }
}

/// Their names on the runs of embeddings, beside those of another network.
pub fn embedding_ids(view: View) -> &'static str {
    match view.estimator {
        Estimator::Minibatch => "embedding-minibatch",
        Estimator::PerExample => "embedding-per-example",
    }
}

/// Their names on Shakespeare, beside those on another text.
pub fn shakespeare_ids(view: View) -> &'static str {
    match (view.estimator, view.unit) {
        (Estimator::Minibatch, Unit::Example) => "shakespeare-minibatch",
        (Estimator::PerExample, Unit::Example) => "shakespeare-per-example",
        (Estimator::Minibatch, Unit::Token) => "shakespeare-minibatch-of-tokens",
        (Estimator::PerExample, Unit::Token) => "shakespeare-per-token",
    }
}

fn hypothesis(view: View) -> &'static str {
    match (view.estimator, view.unit) {
        (Estimator::Minibatch, Unit::Example) => {
            "the sentence is true in a run at each measurement batch, C measured by the document's procedure"
        }
        (Estimator::PerExample, Unit::Example) => {
            "the sentence is true in a run at each measurement batch, C computed from all per-example gradients"
        }
        (Estimator::Minibatch, Unit::Token) => {
            "the sentence is true in a run at each measurement batch, counted in tokens, C measured by the document's procedure"
        }
        (Estimator::PerExample, Unit::Token) => {
            "the sentence is true in a run at each measurement batch, counted in tokens, C computed from the gradients of all tokens"
        }
    }
}

/// A sentence about training runs, as a check examines it.
#[derive(Clone, Copy)]
pub struct Statement {
    /// What is planted to be caught: in it every run violates the sentence.
    pub defect: &'static str,
    /// What is planted to pass.
    pub truth: &'static str,
    /// Makes both, as large as the real thing.
    pub plant: fn(&Runs) -> [Runs; 2],
    /// Examines a world.
    pub examine: fn(&Runs, &Draw) -> Finding,
}

/// The checks of a sentence on the runs of a scenario, one an estimator and unit.
pub fn checks(name: &'static str, ids: Ids, sentence: Statement) -> Vec<Check> {
    let scenario = shipped::training(name).expect("a test reads every shipped scenario");
    let both = [Estimator::Minibatch, Estimator::PerExample];
    let views = scenario
        .units()
        .iter()
        .flat_map(|&unit| both.map(|estimator| View { estimator, unit }));
    views
        .map(|view| check(name, ids(view), view, sentence))
        .collect()
}

/// The check of a sentence on the runs of a network of full width, where only the exact `C` is measured.
pub fn wide_check(name: &'static str, sentence: Statement) -> Check {
    let view = View::of_examples(Estimator::PerExample);
    check(name, "wide-per-example", view, sentence)
}

/// The check of a sentence on the runs of a scenario by one view.
pub fn check(name: &'static str, id: &'static str, view: View, sentence: Statement) -> Check {
    // what the default report promises
    let scenario = shipped::training(name).expect("a test reads every shipped scenario");
    let seeds = scenario.seeds(Tier::Standard);
    let detectable = cells::detectable(seeds, scenario.batch_sizes().len());
    let promise = format!("share of runs that violate the sentence, with {seeds} runs");
    let spec = Spec {
        id,
        role: Role::AsWritten,
        kind: Kind::Runs,
        hypothesis: hypothesis(view),
        tolerance: TOLERATED_FAILURES,
        detectable: Size::of(&promise, detectable),
    };
    let Statement {
        defect,
        truth,
        plant,
        examine,
    } = sentence;
    let build = move |bench: &crate::evidence::Bench| {
        let real = Runs::of(bench.runs.get(name)?, view);
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
    Check::built(spec, build, examine).on(name)
}

impl Runs {
    /// The runs of a scenario by one view, at the learning rate that verdicts rest on.
    pub fn of(evidence: &Evidence, view: View) -> Self {
        Self::at_rate(evidence, view, None)
    }

    /// The runs of a scenario by one view, at its own learning rate or at another that it has.
    pub fn at_rate(evidence: &Evidence, view: View, learning_rate: Option<f64>) -> Self {
        let own = |c: &&Curve| c.item.learning_rate == learning_rate;
        let curves = evidence.curves.iter().filter(own).cloned();
        let (runs, controls) = curves.partition(|c| c.item.control.is_none());
        Self {
            runs,
            controls,
            batch_sizes: evidence.batch_sizes.clone(),
            view,
            test_examples: evidence.test_examples,
            classes: evidence.classes,
        }
    }

    /// As many made-up runs, measured at batch 1: accuracy climbs from chance to 0.9 in the middle of twenty readings, and `C` is
    /// what `c` says for the number of a reading and its accuracy.
    pub fn made_up(like: &Self, c: impl Fn(Option<Control>, usize, f64) -> f64) -> Self {
        let chance = 1.0 / like.classes as f64;
        let curve = |item: Item| {
            let readings = (0..20)
                .map(|k| {
                    let climb = 1.0 / (1.0 + (-(k as f64 - 10.0)).exp());
                    let accuracy = match item.control {
                        None => chance + (0.9 - chance) * climb,
                        // one image more or less, so that a correlation with it exists
                        Some(_) => chance + 0.001 * (k % 2) as f64,
                    };
                    Reading {
                        step: k as u64,
                        accuracy,
                        loss: 0.0,
                        values: vec![Value {
                            estimator: like.view.estimator,
                            unit: like.view.unit,
                            batch_size: 1,
                            c: Some(c(item.control, k, accuracy)),
                            interval: None,
                        }],
                    }
                })
                .collect();
            Curve { item, readings }
        };
        let curves = |like: &[Curve]| like.iter().map(|c| curve(c.item)).collect();
        Self {
            runs: curves(&like.runs),
            controls: curves(&like.controls),
            batch_sizes: vec![1],
            view: like.view,
            test_examples: like.test_examples,
            classes: like.classes,
        }
    }

    /// The runs by what was done to them: `runs`, then every control by its name.
    pub fn arms(&self) -> Vec<(&'static str, Vec<&Curve>)> {
        let mut kinds: Vec<_> = self
            .controls
            .iter()
            .filter_map(|c| c.item.control)
            .collect();
        kinds.sort_unstable();
        kinds.dedup();
        let plain = ("runs", self.runs.iter().collect());
        let controls = kinds.into_iter().map(|kind| {
            let own = self
                .controls
                .iter()
                .filter(|c| c.item.control == Some(kind));
            (kind.name(), own.collect())
        });
        std::iter::once(plain).chain(controls).collect()
    }

    /// A mean over seeds in the runs and in every control.
    pub fn means(&self, what: &str, value: impl Fn(&Curve) -> Option<f64>) -> Vec<OverSeeds> {
        let arm = |(of, curves): (&str, Vec<&Curve>)| {
            OverSeeds::mean(what, of, curves.into_iter().map(&value))
        };
        self.arms().into_iter().map(arm).collect()
    }

    /// How many of the runs of every control show something, `2 of 5 shuffled-labels`, and whether half of those of one do.
    fn in_controls(&self, shows: impl Fn(&Curve) -> bool) -> (String, bool) {
        let (mut told, mut also) = (Vec::new(), false);
        for (name, curves) in self.arms().into_iter().skip(1) {
            let showing = curves.iter().filter(|c| shows(c)).count();
            told.push(format!("{showing} of {} {name}", curves.len()));
            also |= 2 * showing >= curves.len();
        }
        (told.join(", "), also)
    }

    /// Judges a sentence that does not name the measurement batch: it must hold at each. `fate` judges one run; `in_control` says
    /// whether a control shows the same, which makes the effect none where it `takes_away`: a range of `C` is no effect of learning.
    pub fn judge(
        &self,
        draw: &Draw,
        sentence: &str,
        fate: impl Fn(&Self, &Curve, usize) -> Fate,
        in_control: impl Fn(&Self, &Curve, usize) -> bool,
        takes_away: bool,
    ) -> Finding {
        let counted = match self.view.unit {
            Unit::Example => "batch",
            Unit::Token => "a batch in tokens of",
        };
        let cell = |&batch: &usize| {
            let fates = self.runs.iter().map(|r| Some(fate(self, r, batch)));
            let (in_controls, also) = self.in_controls(|c| in_control(self, c, batch));
            Cell {
                shown_by: (also && takes_away).then_some("in the control"),
                in_controls,
                ..Cell::new(format!("{counted} {batch}"), fates)
            }
        };
        let cells: Vec<Cell> = self.batch_sizes.iter().map(cell).collect();
        let mut judged = cells::judge(&cells, draw, sentence);
        judged.finding.cases = (self.runs.len() + self.controls.len()) as u64;
        judged.with_scope("the measurement batch is", |c| {
            self.batch_sizes[c].to_string()
        })
    }
}
