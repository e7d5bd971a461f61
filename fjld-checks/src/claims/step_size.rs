//! Adjusting the step size where `C` comes near 1 improves training.
//!
//! **Adjusting** is halving, as the best step on a quadratic loss, `C/(1 + C)` over its curvature, falls with `C`: where `C` at a
//! measurement batch is between 0.8 and 1.2 when it is looked at; the alternative beside it halves wherever it is below 1.2. **Improves**
//! means that the held-out loss in the end is more than a hundredth lower, relative, than with a constant step size after as many steps on
//! the same batches; the alternative takes the training loss. The sentence names neither the first step size nor the batch that `C` is
//! measured with: it has to be true at each. A run is one split and start; it counts where the definitions agree, of those rules that acted
//! at all.
//!
//! The control halves as often at looks that are spaced evenly, and so does not look at `C`: where it ends as low in half of the runs, the
//! effect is none.

use super::cells::{self, Cell};
use super::pruning::SCENARIO;
use super::runs::Fate;
use super::{Claim, Origin, Sentence};
use crate::evidence::kernels::TOLERATED_FAILURES;
use crate::evidence::{Bench, Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use crate::scenarios::faq::Row;
use crate::scenarios::faq::step_size::{End, Halving, Row as Trained};
use crate::scenarios::shipped;
use crate::tier::Tier;

/// See the module.
pub fn claim() -> Claim {
    let check = |id, hypothesis, batch_size| check(id, hypothesis, batch_size);
    Claim {
        id: "step-size",
        origin: Origin::Document,
        statement: "Adjusting the step size where C comes near 1 improves training.",
        sentence: Some(Sentence {
            section: "FAQ",
            line: 386,
            sha256: "b066a6057d8fd8ab676b98a01180dccd070f4921d12f9717935d0cdc310a152c",
            status: "stated",
        }),
        holds_when: None,
        corrected: None,
        scenarios: &[SCENARIO],
        checks: vec![
            check(
                "batch-16",
                "halving the step size where C at batch 16 comes near 1 ends lower than a constant one, from each first step size, and lower than as many halvings spaced evenly",
                16,
            ),
            check(
                "batch-64",
                "halving the step size where C at batch 64, that of the training, comes near 1 ends lower than a constant one, from each first step size, and lower than as many halvings spaced evenly",
                64,
            ),
            check(
                "batch-256",
                "halving the step size where C at batch 256 comes near 1 ends lower than a constant one, from each first step size, and lower than as many halvings spaced evenly",
                256,
            ),
        ],
    }
}

/// A loss that is lower by this share is an improvement.
const LOWER: f64 = 0.01;

type Loss = fn(&End) -> Option<f64>;

/// What is to be improved.
const MEASURES: [Loss; 2] = [|end| end.held_out, |end| end.loss];

/// Whether the loss is lower by more than [`LOWER`]; one that is not finite is higher than any that is.
fn improved(end: &End, than: &End, loss: Loss) -> bool {
    match (loss(end), loss(than)) {
        (Some(own), Some(other)) => own < (1.0 - LOWER) * other,
        (own, other) => own.is_some() && other.is_none(),
    }
}

/// How the sentence fares in the rows of one run from one first step size.
fn fate(rows: &[&Trained]) -> Fate {
    let acted = rows.iter().filter(|row| row.changes > 0);
    cells::agreed(
        acted.flat_map(|row| {
            MEASURES.map(|measure| improved(&row.adjusted, &row.constant, measure))
        }),
    )
}

/// Whether the evenly spaced halvings end at least as low.
fn in_control(rows: &[&Trained]) -> bool {
    let held_out = |end: &End| end.held_out.unwrap_or(f64::MAX);
    rows.iter()
        .all(|row| held_out(&row.even) <= held_out(&row.adjusted))
}

struct Trainings {
    runs: Vec<Vec<Trained>>,
    batch_size: usize,
}

fn cell(trainings: &Trainings, rate: f64) -> Cell {
    let own = |run: &'_ [Trained]| -> Vec<Trained> {
        let rows = run
            .iter()
            .filter(|r| r.learning_rate == rate && r.batch_size == trainings.batch_size);
        rows.cloned().collect()
    };
    let runs: Vec<Vec<Trained>> = trainings.runs.iter().map(|run| own(run)).collect();
    let each = |of: fn(&[&Trained]) -> Fate| {
        let fates = runs.iter().map(|run| of(&run.iter().collect::<Vec<_>>()));
        fates.collect::<Vec<Fate>>()
    };
    let same = runs
        .iter()
        .filter(|run| in_control(&run.iter().collect::<Vec<_>>()))
        .count();
    let told = Halving::ALL.map(|halving| {
        let own = || runs.iter().flatten().filter(move |r| r.halving == halving);
        let held_out = |end: fn(&Trained) -> End| {
            let mean = cells::mean(own().filter_map(|r| end(r).held_out));
            mean.map_or("undefined".into(), |loss| format!("{loss:.3}"))
        };
        format!(
            "{} after {:.1} halvings (spaced evenly {})",
            held_out(|r| r.adjusted),
            cells::mean(own().map(|r| r.changes as f64)).unwrap_or(0.0),
            held_out(|r| r.even)
        )
    });
    let constant = cells::mean(runs.iter().flatten().filter_map(|r| r.constant.held_out));
    Cell {
        shown_by: (2 * same >= runs.len()).then_some("in the control"),
        seen: format!(
            "held-out loss {} near 1, {} below 1.2, and {} constant",
            told[0],
            told[1],
            constant.map_or("undefined".into(), |loss| format!("{loss:.3}"))
        ),
        ..Cell::new(
            format!("step size {rate}"),
            each(fate).into_iter().map(Some),
        )
    }
}

fn examine(trainings: &Trainings, draw: &Draw) -> Finding {
    let rates = trainings.runs.iter().flatten().map(|r| r.learning_rate);
    let mut rates: Vec<f64> = rates.collect();
    rates.sort_by(f64::total_cmp);
    rates.dedup();
    let cells: Vec<Cell> = rates
        .into_iter()
        .map(|rate| cell(trainings, rate))
        .collect();
    let sentence = "halving the step size where C comes near 1 improves training";
    let place = format!(
        "C is measured at batch {} and training begins with",
        trainings.batch_size
    );
    let mut finding =
        cells::judge(&cells, draw, sentence).with_scope(&place, |c| cells[c].name.clone());
    let of_batch = |r: &&Trained| r.batch_size == trainings.batch_size;
    finding.cases = trainings.runs.iter().flatten().filter(of_batch).count() as u64;
    finding
}

/// As many made-up trainings, in which the rules act twice and end on `adjusted`, a constant step size on 1, and even halvings on `even`.
fn made_up(like: &Trainings, adjusted: f64, even: f64) -> Trainings {
    let end = |loss| End {
        loss: Some(loss),
        held_out: Some(loss),
        accuracy: 0.9,
    };
    let mut runs = like.runs.clone();
    for row in runs.iter_mut().flatten() {
        row.changes = 2;
        (row.adjusted, row.constant, row.even) = (end(adjusted), end(1.0), end(even));
    }
    Trainings {
        runs,
        batch_size: like.batch_size,
    }
}

/// First step sizes of the scenario, from each of which the sentence has to be true.
const STEP_SIZES: usize = 4;

fn check(id: &'static str, hypothesis: &'static str, batch_size: usize) -> Check {
    let seeds = shipped::study(SCENARIO).map_or(5, |study| study.tiers().seeds(Tier::Standard));
    let spec = Spec {
        id,
        role: Role::AsWritten,
        kind: Kind::Runs,
        hypothesis,
        tolerance: TOLERATED_FAILURES,
        detectable: Size::of(
            &format!("share of runs that violate the sentence, with {seeds} runs"),
            cells::detectable(seeds, STEP_SIZES),
        ),
    };
    let build = move |bench: &Bench| {
        let rows = bench.runs.rows::<Row>(SCENARIO)?.into_iter();
        let trained = rows.filter_map(|row| match row {
            Row::StepSize(row) => Some(row),
            _ => None,
        });
        let real = Trainings {
            runs: cells::by_seed(trained, |row| row.seed),
            batch_size,
        };
        Ok(Worlds {
            defect: Planted {
                what: "trainings that end as low as with a constant step size",
                size: 1.0,
                world: made_up(&real, 1.0, 1.1),
            },
            truth: Planted {
                what: "trainings that end a tenth lower, and evenly spaced halvings a twentieth",
                size: 0.0,
                world: made_up(&real, 0.9, 0.95),
            },
            real,
        })
    };
    Check::built(spec, build, examine)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(changes: u64, adjusted: Option<f64>, constant: Option<f64>) -> Trained {
        let end = |loss| End {
            loss,
            held_out: loss,
            accuracy: 0.5,
        };
        Trained {
            seed: 0,
            learning_rate: 0.1,
            batch_size: 16,
            halving: Halving::Near,
            changes,
            adjusted: end(adjusted),
            constant: end(constant),
            even: end(constant),
        }
    }

    #[test]
    fn a_rule_that_never_acts_says_nothing_and_one_that_saves_a_training_improves_it() {
        let of = |row: Trained| fate(&[&row]);
        assert_eq!(of(row(0, Some(0.5), Some(1.0))), Fate::Undecided);
        assert_eq!(of(row(1, Some(0.5), Some(1.0))), Fate::Holds);
        assert_eq!(of(row(1, Some(0.995), Some(1.0))), Fate::Fails);
        assert_eq!(of(row(1, Some(9.0), None)), Fate::Holds);
        assert_eq!(of(row(1, None, None)), Fate::Fails);
        let both = [row(1, Some(0.5), Some(1.0)), row(1, Some(2.0), Some(1.0))];
        assert_eq!(fate(&[&both[0], &both[1]]), Fate::Undecided);
    }
}
