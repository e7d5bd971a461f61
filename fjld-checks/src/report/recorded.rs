//! What checks find in recorded runs, shown apart from what they find in fresh ones.
//!
//! Every figure is computed from the recorded rows when it is shown: none is kept.

use crate::audit::ROOT_SEED;
use crate::claims::Claim;
use crate::error::Result;
use crate::evidence::ledger::Rates;
use crate::evidence::over_seeds::OverSeeds;
use crate::evidence::{Bench, Draw, Outcome, World};
use crate::scenarios::recorded::{Recording, all, recording};
use crate::scenarios::store::RunStore;
use crate::tier::Tier;
use fjld_core::rng::Seed;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the checks of a claim find in recorded runs of one tier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// How much work was recorded.
    pub tier: Tier,
    /// The recordings that the checks drew on.
    pub from: Vec<Source>,
    /// What was found.
    pub checks: Vec<Figures>,
}

/// A recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// The scenario.
    pub scenario: String,
    /// The command that made it, but for places.
    pub command: String,
    /// SHA-256 of its lines.
    pub lines_sha256: String,
    /// What else has to be known of it.
    pub note: Option<String>,
}

/// What one check finds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// The check's name within the claim.
    pub id: String,
    /// Whether the claim holds there.
    pub outcome: Outcome,
    /// The same in one sentence.
    pub summary: String,
    /// How many cases, draws or runs were looked at.
    pub cases: u64,
    /// The measured quantity.
    pub effect: Option<f64>,
    /// Its interval.
    pub interval: Option<[f64; 2]>,
    /// Effects over seeds, those of the controls beside them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub over_seeds: Vec<OverSeeds>,
}

/// What the checks of a claim find in the recordings of a higher tier than `tier`, of scenarios that were run fresh. Where a recording
/// stands in for a run, the verdict itself says so.
///
/// # Errors
/// When a recording is not as it was made, or a world can not be built of it.
pub fn beside(claim: &Claim, runs: &RunStore, tier: Tier) -> Result<Vec<Recorded>> {
    let mut apart = Vec::new();
    for &name in claim.scenarios {
        if runs.recorded_label(name).is_some() {
            continue;
        }
        apart.extend(recording(name)?.filter(|r| r.provenance.tier > tier));
    }
    figures(claim, apart)
}

/// What the checks of a claim find in all recordings that they can draw on.
///
/// # Errors
/// As [`beside`].
pub fn of(claim: &Claim) -> Result<Vec<Recorded>> {
    figures(claim, all()?)
}

fn figures(claim: &Claim, recordings: Vec<Recording>) -> Result<Vec<Recorded>> {
    let mut tiers: BTreeMap<Tier, Vec<Recording>> = BTreeMap::new();
    for recording in recordings {
        let tier = recording.provenance.tier;
        tiers.entry(tier).or_default().push(recording);
    }
    let mut found = Vec::new();
    for (tier, recordings) in tiers {
        let root = Seed::root(ROOT_SEED);
        let mut runs = RunStore::new(tier, root, None);
        for recording in &recordings {
            runs.take_up(recording.clone());
        }
        let mut checks = Vec::new();
        let mut drawn_on = Vec::new();
        for check in &claim.checks {
            let scenarios = check.draws_on(claim.scenarios);
            if scenarios.is_empty() || !scenarios.iter().all(|name| runs.has(name)) {
                continue;
            }
            drawn_on.extend(scenarios);
            let seed = root.derive(claim.id).derive(check.spec.id);
            let opened = check.open(&Bench { runs: &runs, seed })?;
            let draw = Draw {
                seed: seed.derive("real"),
                rates: Rates::of_one_slot(),
            };
            let finding = opened.look(World::Real, &draw);
            let finding = finding.expect("every check has a real world");
            checks.push(Figures {
                id: check.spec.id.to_owned(),
                outcome: finding.outcome,
                summary: finding.summary,
                cases: finding.cases,
                effect: finding.effect,
                interval: finding.interval,
                over_seeds: finding.over_seeds,
            });
        }
        if checks.is_empty() {
            continue;
        }
        let from = recordings
            .iter()
            .map(|r| &r.provenance)
            .filter(|p| drawn_on.contains(&p.scenario.as_str()))
            .map(|p| Source {
                scenario: p.scenario.clone(),
                command: p.command.clone(),
                lines_sha256: p.lines_sha256.clone(),
                note: p.note.clone(),
            });
        found.push(Recorded {
            tier,
            from: from.collect(),
            checks,
        });
    }
    Ok(found)
}
