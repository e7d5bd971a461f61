//! Doing a verdict again from its receipt.

use crate::audit::{self, Options};
use crate::error::{Error, Result};
use crate::evidence::Record;
use crate::report::Report;
use candle_core::Device;
use serde::Serialize;
use std::path::PathBuf;

/// How a replay compares with the report it was taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Agreement {
    /// Every number of the evidence is the same.
    BitEqual,
    /// Numbers differ, as they may between processors, but every check came to the same finding.
    WithinBudget,
    /// A check came to another finding.
    Diverged,
}

impl Agreement {
    /// Its name in files and in the terminal.
    pub fn name(self) -> &'static str {
        match self {
            Self::BitEqual => "bit_equal",
            Self::WithinBudget => "within_budget",
            Self::Diverged => "diverged",
        }
    }
}

/// Judges `CLAIM` or `CLAIM/CHECK` of a report again, at its tier and seed and on the data sets in a folder, and compares the evidence.
///
/// # Errors
/// When the report does not hold the claim or check, or the audit fails.
pub fn replay(what: &str, report: &Report, data: Option<PathBuf>) -> Result<Agreement> {
    let (id, check) = match what.split_once('/') {
        Some((id, check)) => (id, Some(check)),
        None => (what, None),
    };
    audit::choose(&[id.to_owned()])?;
    let Some(claim) = report.claims.iter().find(|claim| claim.id == id) else {
        let held: Vec<&str> = report.claims.iter().map(|c| c.id.as_str()).collect();
        return Err(Error::input(format!(
            "the report holds no claim \"{id}\"; it holds {}",
            held.join(", ")
        )));
    };
    if let Some(check) = check
        && !claim.checks.iter().any(|record| record.id == check)
    {
        let held: Vec<&str> = claim.checks.iter().map(|c| c.id.as_str()).collect();
        return Err(Error::input(format!(
            "claim \"{id}\" has no check \"{check}\"; it has {}",
            held.join(", ")
        )));
    }
    let again = audit::run(&Options {
        tier: report.tier,
        root_seed: report.root_seed,
        data,
        device: Device::Cpu,
        claims: vec![id.to_owned()],
        folder: None,
        binding: None,
    })?;
    let chosen = |records: &[Record]| -> Vec<Record> {
        let wanted = |r: &&Record| check.is_none_or(|check| r.id == check);
        records.iter().filter(wanted).cloned().collect()
    };
    Ok(compare(
        &chosen(&claim.checks),
        &chosen(&again.report.claims[0].checks),
    ))
}

fn compare(before: &[Record], after: &[Record]) -> Agreement {
    let findings = |records: &[Record]| -> Vec<_> {
        let finding = |r: &Record| (r.id.clone(), r.role, r.outcome, r.is_sound());
        records.iter().map(finding).collect()
    };
    if before == after {
        Agreement::BitEqual
    } else if findings(before) == findings(after) {
        Agreement::WithinBudget
    } else {
        Agreement::Diverged
    }
}
