//! The pictures of a report: those of its claims, and those that its own numbers make.

mod multiverse;
mod suite;

use super::Report;
use crate::audit::Audit;
use crate::claims;
use crate::error::Result;
use crate::evidence::picture::Picture;
use fjld_core::rng::Seed;

/// Puts the pictures of an audit into its report.
///
/// # Errors
/// When one can not be made.
pub fn add(audit: &mut Audit) -> Result<()> {
    let report = &audit.report;
    let all = claims::all();
    let judged: Vec<(String, &'static [&'static str])> = all
        .iter()
        .filter(|claim| report.claims.iter().any(|own| own.id == claim.id))
        .map(|claim| (claim.id.to_owned(), claim.scenarios))
        .collect();
    let root = Seed::root(report.root_seed);
    let mut pictures = claims::pictures::of(&judged, &audit.runs, root)?;
    pictures.extend(of_report(report));
    audit.report.pictures = pictures;
    Ok(())
}

/// The pictures that take nothing but the report.
fn of_report(report: &Report) -> Vec<Picture> {
    let mut pictures = Vec::new();
    for claim in &report.claims {
        if let Some(grid) = &claim.multiverse {
            pictures.push(multiverse::picture(&claim.id, grid));
        }
    }
    pictures.extend(suite::margins(report));
    pictures.push(suite::budget(report));
    pictures.extend(report.calibration.as_ref().and_then(suite::calibration));
    pictures.extend(report.judge.as_ref().and_then(suite::judge));
    pictures
}
