//! What the claims about training runs share: the cells of estimator and measurement batch, and made-up runs to plant.

use super::cells::{self, Cell, Judged, cell_test};
use crate::evidence::kernels::TOLERATED_FAILURES;
use crate::evidence::ledger::Rates;
use crate::evidence::{Check, Draw, Finding, Kind, Outcome, Planted, Role, Size, Spec, Worlds};
use crate::scenarios::measurement::{Estimator, Value};
use crate::scenarios::shipped;
use crate::scenarios::store::Evidence;
use crate::scenarios::training::{Control, Curve, Item, Reading};
use crate::tier::Tier;

/// The runs of a scenario as one estimator sees them.
#[derive(Clone)]
pub struct Runs {
    /// The plain ones.
    pub runs: Vec<Curve>,
    /// Those with a control.
    pub controls: Vec<Curve>,
    /// The measurement batches, each of which the sentence must be true at.
    pub batch_sizes: Vec<usize>,
    /// Which estimate of `C` is looked at.
    pub estimator: Estimator,
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

/// The checks of a sentence about the runs of a scenario, one an estimator. `plant` makes a defect and a truth as large as the real thing; in
/// the planted defect every run violates the sentence.
pub fn checks(
    name: &'static str,
    defect: &'static str,
    truth: &'static str,
    plant: fn(&Runs) -> [Runs; 2],
    examine: fn(&Runs, &Draw) -> Finding,
) -> Vec<Check> {
    // what the default report promises
    let scenario = shipped::training(name).expect("a test reads every shipped scenario");
    let seeds = scenario.seeds(Tier::Standard);
    let cells = scenario.batch_sizes().len();
    let detectable = cell_test(seeds, cells, Rates::of_one_slot()).detectable();
    let promise = format!("share of runs that violate the sentence, with {seeds} runs");
    let check = |id, hypothesis, estimator| {
        let spec = Spec {
            id,
            role: Role::AsWritten,
            kind: Kind::Runs,
            hypothesis,
            tolerance: TOLERATED_FAILURES,
            detectable: Size::of(&promise, detectable),
        };
        let build = move |bench: &crate::evidence::Bench| {
            let real = Runs::of(bench.runs.get(name)?, estimator);
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
    };
    vec![
        check(
            "minibatch",
            "the sentence is true in a run at each measurement batch, C measured by the document's procedure",
            Estimator::Minibatch,
        ),
        check(
            "per-example",
            "the sentence is true in a run at each measurement batch, C computed from all per-example gradients",
            Estimator::PerExample,
        ),
    ]
}

impl Runs {
    /// The runs of a scenario by one estimator.
    pub fn of(evidence: &Evidence, estimator: Estimator) -> Self {
        let curves = evidence.curves.iter().cloned();
        let (runs, controls) = curves.partition(|c| c.item.control.is_none());
        Self {
            runs,
            controls,
            batch_sizes: evidence.batch_sizes.clone(),
            estimator,
            test_examples: evidence.test_examples,
            classes: evidence.classes,
        }
    }

    /// As many made-up runs, measured at batch 1: accuracy climbs from chance to 0.9 in the middle of twenty readings, and `C` is
    /// what `c` says for the number of a reading and its accuracy.
    pub fn made_up(like: &Self, c: impl Fn(Option<Control>, usize, f64) -> f64) -> Self {
        let curve = |item: Item| {
            let readings = (0..20)
                .map(|k| {
                    let climb = 1.0 / (1.0 + (-(k as f64 - 10.0)).exp());
                    let accuracy = match item.control {
                        None => 0.1 + 0.8 * climb,
                        // one image more or less, so that a correlation with it exists
                        Some(_) => 0.1 + 0.001 * (k % 2) as f64,
                    };
                    Reading {
                        step: k as u64,
                        accuracy,
                        loss: 0.0,
                        values: vec![Value {
                            estimator: like.estimator,
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
            estimator: like.estimator,
            test_examples: like.test_examples,
            classes: like.classes,
        }
    }

    /// Whether at least half of the runs with some control show the same.
    fn also_in_control(&self, shows: impl Fn(&Curve) -> bool) -> bool {
        let mut kinds: Vec<_> = self.controls.iter().map(|c| c.item.control).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds.into_iter().any(|kind| {
            let own = self.controls.iter().filter(|c| c.item.control == kind);
            2 * own.clone().filter(|c| shows(c)).count() >= own.count()
        })
    }

    /// Judges a sentence that does not name the measurement batch: it must hold at each. `fate` judges one run; `in_control` says
    /// whether a control shows the same, which makes the effect none.
    pub fn judge(
        &self,
        draw: &Draw,
        sentence: &str,
        fate: impl Fn(&Self, &Curve, usize) -> Fate,
        in_control: impl Fn(&Self, &Curve, usize) -> bool,
    ) -> Finding {
        let cell = |&batch: &usize| Cell {
            name: format!("batch {batch}"),
            fates: self
                .runs
                .iter()
                .map(|r| Some(fate(self, r, batch)))
                .collect(),
            in_control: self.also_in_control(|c| in_control(self, c, batch)),
        };
        let cells: Vec<Cell> = self.batch_sizes.iter().map(cell).collect();
        let cases = (self.runs.len() + self.controls.len()) as u64;
        let Judged {
            mut finding,
            holding,
            failing,
        } = cells::judge(&cells, cases, draw, sentence);
        let batches = |cells: &[usize]| -> Vec<String> {
            cells
                .iter()
                .map(|&c| self.batch_sizes[c].to_string())
                .collect()
        };
        if finding.outcome == Outcome::Violated && !holding.is_empty() {
            finding.scope = Some(format!(
                "the measurement batch is {} here; at {} it fails",
                batches(&holding).join(" or "),
                batches(&failing).join(", ")
            ));
        }
        finding
    }
}
