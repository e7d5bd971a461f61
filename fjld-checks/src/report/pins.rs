//! The verdicts that are expected, per tier, compiled in from the reviewed snapshots.

use super::Report;
use crate::tier::Tier;
use crate::verdict::Verdict;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is pinned of a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// On the sentence as written.
    pub verdict: Verdict,
    /// On the corrected statement.
    pub corrected: Option<Verdict>,
    /// The scope that was shown.
    pub holds_when: Option<String>,
}

/// The pins of a report: what `snapshots` reviews.
pub fn of(report: &Report) -> BTreeMap<String, Pin> {
    let pin = |claim: &super::ClaimReport| Pin {
        verdict: claim.verdict,
        corrected: claim.corrected.as_ref().map(|c| c.verdict),
        holds_when: claim.holds_when.clone(),
    };
    let claims = report.claims.iter();
    claims.map(|claim| (claim.id.clone(), pin(claim))).collect()
}

/// The pins of a tier.
pub fn pinned(tier: Tier) -> BTreeMap<String, Pin> {
    let snapshot = match tier {
        Tier::Quick => include_str!("../../../snapshots/pins/verdicts_quick.snap"),
        Tier::Standard => include_str!("../../../snapshots/pins/verdicts_standard.snap"),
        Tier::Full => include_str!("../../../snapshots/pins/verdicts_full.snap"),
    };
    // a header between two lines of dashes, then the JSON
    let json = snapshot.splitn(3, "---\n").nth(2).unwrap_or_default();
    serde_json::from_str(json).expect("reviewed snapshots hold pins")
}

/// What differs between a report and the pins of its tier, a sentence each. A claim that was not run differs from nothing.
pub fn differences(report: &Report) -> Vec<String> {
    let pinned = pinned(report.tier);
    let tier = report.tier.name();
    let mut differences = Vec::new();
    for (id, now) in of(report) {
        if now.verdict == Verdict::NotRun {
            continue;
        }
        match pinned.get(&id) {
            None => differences.push(format!(
                "{id}: {} now, and nothing is pinned for tier {tier}",
                now.verdict.name()
            )),
            Some(pin) if *pin != now => {
                let show = |p: &Pin| {
                    let corrected = p.corrected.map_or("none", Verdict::name);
                    let scope = p.holds_when.as_deref().unwrap_or("no scope");
                    format!("{} (corrected: {corrected}; {scope})", p.verdict.name())
                };
                differences.push(format!("{id}: {} pinned, {} now", show(pin), show(&now)));
            }
            Some(_) => {}
        }
    }
    differences
}
