//! `C` of a transformer that predicts characters, before and after training.

use super::config::{self, Ranges};
use super::{Claim, Origin, Sentence, runs};

const SCENARIO: &str = "gpt";

const RANGES: Ranges = Ranges {
    start: [0.3, 0.7],
    end: [3.0, 12.0],
};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "config-gpt",
        origin: Origin::Document,
        statement: "In language modelling, C of a transformer is 0.3 to 0.7 at the start and 3 to 12 at convergence.",
        sentence: Some(Sentence {
            section: "Known Working Configurations",
            line: 245,
            sha256: "29c7468000ed6417c4627ec22a95d113295b10061197c6b0e3c788e695734355",
            status: "partial",
        }),
        holds_when: None,
        corrected: None,
        scenarios: &[SCENARIO],
        checks: runs::checks(
            SCENARIO,
            config::DEFECT,
            config::TRUTH,
            |real| config::plant(RANGES, real),
            |runs, draw| config::examine(RANGES, runs, draw),
        ),
    }
}
