//! Checks as code, evidence as records.
//!
//! A check examines three worlds by the same code: the real one; a world with a planted defect, which it must find violated; and a
//! planted truth, in which the claim holds and which it must not find violated. What examines does not know which world it is in.

mod check;
pub mod kernels;
pub mod ledger;
pub mod method;
pub mod over_seeds;
pub mod picture;
pub mod proportion;
pub mod rational;
mod record;
pub mod search;

pub use check::{Bench, Check, Draw, Family, Opened, Plan, Planted, World, Worlds};
pub use record::{DefectRecord, Record, SampleSize, TruthRecord};

use method::Method;
use over_seeds::OverSeeds;
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
    /// The method that found it, where that is not the usual one of the check's kind.
    pub method: Option<Method>,
    /// The fewest cases that the error rates ask for, where the check derives them.
    pub needed: Option<u64>,
    /// Effects over seeds, those of the controls beside them.
    pub over_seeds: Vec<OverSeeds>,
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
            method: None,
            needed: None,
            over_seeds: Vec::new(),
        }
    }

    /// The same with the fewest cases that the error rates ask for.
    pub fn needing(mut self, needed: usize) -> Self {
        self.needed = Some(needed as u64);
        self
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
    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Violated => "violated",
            Self::Undecided => "undecided",
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_named_as_its_file_names_it() {
        for outcome in [Outcome::Holds, Outcome::Violated, Outcome::Undecided] {
            let written = serde_json::to_string(&outcome).expect("a name");
            assert_eq!(written, format!("\"{}\"", outcome.name()));
        }
    }

    #[test]
    fn the_worst_of_no_discrepancies_is_told_without_a_sign() {
        // -0 is as large as 0, so it does not take its place
        let worst = [0.0, -0.0].into_iter().fold(0.0, worse);
        let finding = Finding::of_identity(worst, 1e-12, 2, "two sides");
        assert_eq!(
            finding.summary,
            "two sides differ by at most 0.0e0, relative, over 2 cases"
        );
    }
}
