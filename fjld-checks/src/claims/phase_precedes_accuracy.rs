//! `C` crosses 1 before accuracy improves.

use super::{Claim, Origin, Sentence, crossing, runs};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "phase-precedes-accuracy",
        origin: Origin::Document,
        statement: "In training, C crosses 1 from below before validation accuracy improves.",
        sentence: Some(Sentence {
            section: "Verification Checklist",
            line: 234,
            sha256: "62dbf52bbcd6f082e814b036599dd65b3d2e96e1556c581106dc25f6780636dc",
            status: "validated",
        }),
        holds_when: None,
        corrected: None,
        scenarios: &[runs::SCENARIO],
        checks: runs::checks(runs::SCENARIO, runs::ids, crossing::STATEMENT),
    }
}
