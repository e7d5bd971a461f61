//! `C` of a transformer that predicts characters, before and after training, by stretches of text and by single characters: the range
//! is stated without a unit, as it is without a batch.

use super::config::{self, Ranges};
use super::runs::{self, Statement};
use super::{Claim, Origin, Sentence};

/// The scenario whose runs are judged.
pub const SCENARIO: &str = "gpt";

/// The same on a text that people wrote.
const SHAKESPEARE: &str = "gpt-shakespeare";

/// The same by a network of three million parameters, which takes a GPU; elsewhere its recording is judged.
const WIDE: &str = "gpt-wide";

/// What the document states.
pub const RANGES: Ranges = Ranges {
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
        scenarios: &[SCENARIO, SHAKESPEARE, WIDE],
        checks: [
            runs::checks(SCENARIO, runs::ids, STATEMENT),
            runs::checks(SHAKESPEARE, runs::shakespeare_ids, STATEMENT),
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
