//! Checks as code, evidence as records.
//!
//! A check examines three worlds by the same code: the real one; a world with a planted defect, which it must find violated; and a
//! planted truth, in which the claim holds and which it must not find violated. What examines does not know which world it is in.

pub mod kernels;
pub mod ledger;
pub mod rational;
pub mod search;

use crate::scenarios::store::RunStore;
use fjld_core::rng::Seed;
use ledger::Rates;
use serde::{Deserialize, Serialize};

/// Which sentence of a claim a check speaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The document's sentence (or, for a claim of ours, our own), at its own generality.
    AsWritten,
    /// The sentence within the scope of `holds_when`.
    HoldsWhen,
    /// The corrected statement.
    Corrected,
}

/// How a check reaches its finding, which decides between `verified` and `supported`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Small rationals enumerated by height, in exact arithmetic.
    Exact,
    /// An identity or bound between functions of the library, over generated cases, to rounding.
    Identity,
    /// A statistical test on simulated or measured draws.
    Statistical,
    /// Training runs, each a unit, beside their controls.
    Runs,
}

/// What a check is and promises, before it is run.
pub struct Spec {
    /// Its name within the claim.
    pub id: &'static str,
    /// The sentence it speaks to.
    pub role: Role,
    /// How it reaches its finding.
    pub kind: Kind,
    /// What is tested, in words.
    pub hypothesis: &'static str,
    /// The discrepancy that is not held against the claim; 0 in exact arithmetic.
    pub tolerance: f64,
    /// The smallest violation that the check says it detects.
    pub detectable: Size,
}

/// The size of a violation, with what it measures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Size {
    /// What is measured, with its unit.
    pub what: String,
    /// How much of it.
    pub size: f64,
}

impl Size {
    /// `size` of `what`.
    pub fn of(what: &str, size: f64) -> Self {
        Self {
            what: what.to_owned(),
            size,
        }
    }
}

/// The three worlds that a check examines.
pub struct Worlds<W> {
    /// What the claim is about.
    pub real: W,
    /// A world made to violate the claim, by at most twice [`Spec::detectable`].
    pub defect: Planted<W>,
    /// A world made so that the claim holds.
    pub truth: Planted<W>,
}

/// A world made on purpose.
pub struct Planted<W> {
    /// What was planted, in words.
    pub what: &'static str,
    /// How large it is, in the unit of [`Spec::detectable`]; 0 for a truth.
    pub size: f64,
    /// The world.
    pub world: W,
}

/// What examining one world found.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Whether the claim holds there.
    pub outcome: Outcome,
    /// How many cases, draws or runs were looked at.
    pub cases: u64,
    /// The measured quantity, where there is one number.
    pub effect: Option<f64>,
    /// Its interval.
    pub interval: Option<[f64; 2]>,
    /// What was seen, in one sentence.
    pub summary: String,
    /// The smallest counterexample.
    pub counterexample: Option<Counterexample>,
    /// Where the sentence does hold, found by the check itself.
    pub scope: Option<String>,
}

/// Whether a claim holds in a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It holds: in every case, or to the stated tolerance with the stated power.
    Holds,
    /// It is violated.
    Violated,
    /// The evidence does not tell.
    Undecided,
}

/// A case that violates a claim, as a reader checks it with pencil.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counterexample {
    /// The case, with both sides of the claim worked out.
    pub case: String,
    /// The largest numerator or denominator in it.
    pub height: u64,
    /// How many cases were examined, up to and with all of this height.
    pub searched: u64,
}

impl Finding {
    /// A finding without numbers.
    pub fn new(outcome: Outcome, cases: u64, summary: impl Into<String>) -> Self {
        Self {
            outcome,
            cases,
            effect: None,
            interval: None,
            summary: summary.into(),
            counterexample: None,
            scope: None,
        }
    }

    /// Two sides that ought to be the same to within `tolerance`, and were off by at most `worst`, relative, over `cases`. `compared`
    /// names both.
    pub fn of_identity(worst: f64, tolerance: f64, cases: u64, compared: &str) -> Self {
        let summary =
            format!("{compared} differ by at most {worst:.1e}, relative, over {cases} cases");
        Self::of_discrepancy(worst, tolerance, cases, summary)
    }

    /// A discrepancy that ought to be within `tolerance`, with its own summary.
    pub fn of_discrepancy(worst: f64, tolerance: f64, cases: u64, summary: String) -> Self {
        let outcome = match worst {
            w if w.is_nan() => Outcome::Undecided,
            w if w <= tolerance => Outcome::Holds,
            _ => Outcome::Violated,
        };
        let mut finding = Self::new(outcome, cases, summary);
        finding.effect = Some(worst);
        finding
    }
}

impl Outcome {
    /// Of parts that must all hold: one violation violates, and without one a doubt leaves it open.
    pub fn of_all(parts: &[Self]) -> Self {
        if parts.contains(&Self::Violated) {
            Self::Violated
        } else if parts.contains(&Self::Undecided) {
            Self::Undecided
        } else {
            Self::Holds
        }
    }
}

/// The larger of the worst discrepancy so far and another; once one of them is no number, neither is the worst.
pub fn worse(worst: f64, other: f64) -> f64 {
    if other.is_nan() || other > worst {
        other
    } else {
        worst
    }
}

/// What a check draws on.
#[derive(Clone, Copy)]
pub struct Draw {
    /// The stream of this check in this world.
    pub seed: Seed,
    /// The error rates it was given.
    pub rates: Rates,
}

/// What the worlds of a check are built from.
pub struct Bench<'a> {
    /// The training runs of this audit.
    pub runs: &'a RunStore,
    /// The stream of this check, for building worlds.
    pub seed: Seed,
}

type Body = dyn Fn(&Bench, Rates) -> crate::error::Result<Examined> + Send + Sync;

/// A check: its promise, and the code that examines the three worlds.
pub struct Check {
    /// Its promise.
    pub spec: Spec,
    body: Box<Body>,
}

impl Check {
    /// A check whose worlds are fixed.
    pub fn new<W: Send + Sync + 'static>(
        spec: Spec,
        worlds: Worlds<W>,
        examine: fn(&W, &Draw) -> Finding,
    ) -> Self {
        Self {
            spec,
            body: Box::new(move |bench, rates| {
                Ok(Examined::of(&worlds, examine, bench.seed, rates))
            }),
        }
    }

    /// A check whose worlds are built from the audit's data or runs.
    pub fn built<W: 'static>(
        spec: Spec,
        build: impl Fn(&Bench) -> crate::error::Result<Worlds<W>> + Send + Sync + 'static,
        examine: fn(&W, &Draw) -> Finding,
    ) -> Self {
        Self {
            spec,
            body: Box::new(move |bench, rates| {
                Ok(Examined::of(&build(bench)?, examine, bench.seed, rates))
            }),
        }
    }

    /// Whether the check spends error budget.
    pub fn is_stochastic(&self) -> bool {
        matches!(self.spec.kind, Kind::Statistical | Kind::Runs)
    }

    /// Examines the three worlds.
    ///
    /// # Errors
    /// When a world can not be built.
    pub fn run(&self, bench: &Bench, rates: Rates) -> crate::error::Result<Record> {
        let Examined {
            real,
            defect,
            truth,
        } = (self.body)(bench, rates)?;
        let spec = &self.spec;
        let rates = self.is_stochastic().then_some(rates);
        Ok(Record {
            id: spec.id.to_owned(),
            role: spec.role,
            kind: spec.kind,
            hypothesis: spec.hypothesis.to_owned(),
            outcome: real.outcome,
            summary: real.summary,
            cases: real.cases,
            effect: real.effect,
            interval: real.interval,
            tolerance: spec.tolerance,
            detectable: spec.detectable.clone(),
            false_alarm: rates.map_or(0.0, |r| r.false_alarm),
            miss: rates.map_or(0.0, |r| r.miss),
            planted_defect: defect,
            planted_truth: truth,
            counterexample: real.counterexample,
            scope: real.scope,
        })
    }
}

/// What examining the three worlds of a check found.
struct Examined {
    real: Finding,
    defect: DefectRecord,
    truth: TruthRecord,
}

impl Examined {
    fn of<W>(
        worlds: &Worlds<W>,
        examine: fn(&W, &Draw) -> Finding,
        seed: Seed,
        rates: Rates,
    ) -> Self {
        let look = |name: &str, world: &W| {
            let seed = seed.derive(name);
            examine(world, &Draw { seed, rates })
        };
        Self {
            real: look("real", &worlds.real),
            defect: DefectRecord {
                what: worlds.defect.what.to_owned(),
                size: worlds.defect.size,
                caught: look("defect", &worlds.defect.world).outcome == Outcome::Violated,
            },
            truth: TruthRecord {
                what: worlds.truth.what.to_owned(),
                passed: look("truth", &worlds.truth.world).outcome == Outcome::Holds,
            },
        }
    }
}

/// The evidence of one check, as `report.json` holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The check's name within the claim.
    pub id: String,
    /// The sentence it speaks to.
    pub role: Role,
    /// How it reached its finding.
    pub kind: Kind,
    /// What was tested.
    pub hypothesis: String,
    /// What was found in the real world.
    pub outcome: Outcome,
    /// The same in one sentence.
    pub summary: String,
    /// How many cases, draws or runs were looked at.
    pub cases: u64,
    /// The measured quantity.
    pub effect: Option<f64>,
    /// Its interval.
    pub interval: Option<[f64; 2]>,
    /// The discrepancy that is not held against the claim.
    pub tolerance: f64,
    /// The smallest violation that would have been caught.
    pub detectable: Size,
    /// The chance of finding a violation where there is none (0 in exact arithmetic).
    pub false_alarm: f64,
    /// The chance of not finding one of the detectable size.
    pub miss: f64,
    /// What was planted to be caught.
    pub planted_defect: DefectRecord,
    /// What was planted to pass.
    pub planted_truth: TruthRecord,
    /// The smallest counterexample.
    pub counterexample: Option<Counterexample>,
    /// Where the sentence does hold, found by the check itself.
    pub scope: Option<String>,
}

/// How a planted defect fared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DefectRecord {
    /// What was planted.
    pub what: String,
    /// Its size, in the unit of the record's `detectable`.
    pub size: f64,
    /// Whether the check found the claim violated there.
    pub caught: bool,
}

/// How a planted truth fared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TruthRecord {
    /// What was planted.
    pub what: String,
    /// Whether the check found that the claim holds there.
    pub passed: bool,
}

impl Record {
    /// Whether the check may be believed: it caught the defect, passed the truth, and the defect was not larger than twice what the
    /// check says it detects.
    pub fn is_sound(&self) -> bool {
        self.planted_defect.caught
            && self.planted_truth.passed
            && self.planted_defect.size <= 2.0 * self.detectable.size
    }
}
