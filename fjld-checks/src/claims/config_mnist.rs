//! `C` on MNIST, before and after training.

use super::config::{self, Ranges};
use super::runs::{self, Statement};
use super::{Claim, Origin, Sentence};

/// The scenario whose runs are judged.
pub const SCENARIO: &str = "mnist-mlp";

/// What the document states.
pub const RANGES: Ranges = Ranges {
    start: [0.1, 0.3],
    end: [5.0, 10.0],
};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "config-mnist",
        origin: Origin::Document,
        statement: "On MNIST, C of a two-layer perceptron is 0.1 to 0.3 at the start and 5 to 10 at convergence.",
        sentence: Some(Sentence {
            section: "Known Working Configurations",
            line: 242,
            sha256: "505bdabaf12736909423f47f8b83c78981022d99f0b7b3abc690829af3f2d80f",
            status: "validated",
        }),
        holds_when: None,
        corrected: None,
        scenarios: &[SCENARIO],
        checks: runs::checks(SCENARIO, runs::ids, STATEMENT),
    }
}

const STATEMENT: Statement = Statement {
    defect: config::DEFECT,
    truth: config::TRUTH,
    plant: |real| config::plant(RANGES, real),
    examine: |runs, draw| config::examine(RANGES, runs, draw),
};
