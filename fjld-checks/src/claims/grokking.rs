//! `C` passes 1 before a network generalises in modular arithmetic.

use super::config_modular::EMBEDDING;
use super::{Claim, Origin, Sentence, crossing, runs};

/// The scenario whose runs are judged.
pub const SCENARIO: &str = "modular-grokking";

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "grokking",
        origin: Origin::Document,
        statement: "In modular arithmetic C passes 1 before the network generalises, and that explains grokking.",
        sentence: Some(Sentence {
            section: "Strong Claims (Well-Supported)",
            line: 254,
            sha256: "119fb56cd6019b6a2c0efb4f532cd1d29ae8d8c94c6995e299dfaaa76a7ab271",
            status: "validated",
        }),
        holds_when: None,
        corrected: None,
        scenarios: &[SCENARIO, EMBEDDING],
        checks: [
            runs::checks(SCENARIO, runs::ids, crossing::STATEMENT),
            runs::checks(EMBEDDING, runs::embedding_ids, crossing::STATEMENT),
        ]
        .into_iter()
        .flatten()
        .collect(),
    }
}
