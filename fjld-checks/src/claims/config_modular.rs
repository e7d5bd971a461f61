//! `C` in modular arithmetic, before and after training.

use super::config::{self, Ranges};
use super::runs::{self, Statement};
use super::{Claim, Origin, Sentence};

/// The scenario whose runs are judged.
pub const SCENARIO: &str = "modular-grokking";

/// The same task for embeddings and relu units.
pub const EMBEDDING: &str = "modular-embedding";

/// What the document states.
pub const RANGES: Ranges = Ranges {
    start: [0.05, 0.15],
    end: [20.0, 50.0],
};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "config-modular",
        origin: Origin::Document,
        statement: "In modular arithmetic, C of a one-layer network is 0.05 to 0.15 at the start and 20 to 50 at convergence.",
        sentence: Some(Sentence {
            section: "Known Working Configurations",
            line: 243,
            sha256: "2e3033053549a7ef64ac4deaf18c7f948d16b9d5d8728dfc3db7b98b8cbd9e31",
            status: "validated",
        }),
        holds_when: None,
        corrected: None,
        scenarios: &[SCENARIO, EMBEDDING],
        checks: [
            runs::checks(SCENARIO, runs::ids, STATEMENT),
            runs::checks(EMBEDDING, runs::embedding_ids, STATEMENT),
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
