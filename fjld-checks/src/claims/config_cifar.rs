//! `C` of a residual network on CIFAR-10, before and after training.

use super::config::{self, Ranges};
use super::runs::{self, Statement};
use super::{Claim, Origin, Sentence};

/// The scenario whose runs are judged.
pub const SCENARIO: &str = "cifar-resnet18";

/// The same at the original's width, which takes a GPU; elsewhere its recording is judged.
const WIDE: &str = "cifar-resnet18-wide";

/// What the document states.
pub const RANGES: Ranges = Ranges {
    start: [0.2, 0.5],
    end: [2.0, 8.0],
};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "config-cifar",
        origin: Origin::Document,
        statement: "On CIFAR-10, C of a ResNet-18 is 0.2 to 0.5 at the start and 2 to 8 at convergence.",
        sentence: Some(Sentence {
            section: "Known Working Configurations",
            line: 244,
            sha256: "649803e38d04870733905422eb53d34edcdcb1448bfe61fe01e48e9eeb471117",
            status: "validated",
        }),
        holds_when: None,
        corrected: None,
        scenarios: &[SCENARIO, WIDE],
        checks: [
            runs::checks(SCENARIO, runs::ids, STATEMENT),
            vec![runs::wide_check(WIDE, STATEMENT)],
        ]
        .into_iter()
        .flatten()
        .collect(),
    }
}

const STATEMENT: Statement = Statement {
    defect: config::DEFECT,
    truth: config::TRUTH,
    plant: |real| config::plant(RANGES, real),
    examine: |runs, draw| config::examine(RANGES, runs, draw),
};
