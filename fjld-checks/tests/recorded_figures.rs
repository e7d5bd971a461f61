//! Every figure that a report shows as recorded comes out of the committed rows.

use fjld_checks::claims;
use fjld_checks::error::Result;
use fjld_checks::evidence::Outcome;
use fjld_checks::report::recorded;
use fjld_snapshots::settings;
use serde::Serialize;
use std::collections::BTreeMap;

/// The numbers of one check.
#[derive(Serialize)]
struct Figure {
    outcome: Outcome,
    cases: u64,
    effect: Option<f64>,
    interval: Option<[f64; 2]>,
}

/// The rows are taken up (which their hashes must allow) and examined by every check that draws on them; outcomes and numbers are as
/// pinned.
#[test]
fn every_recorded_figure_is_regenerated_from_the_rows() -> Result<()> {
    let mut figures = BTreeMap::new();
    for claim in claims::all() {
        for found in recorded::of(&claim)? {
            for check in found.checks {
                let name = format!("{}/{}/{}", claim.id, check.id, found.tier.name());
                let figure = Figure {
                    outcome: check.outcome,
                    cases: check.cases,
                    effect: check.effect,
                    interval: check.interval,
                };
                figures.insert(name, figure);
            }
        }
    }
    assert!(!figures.is_empty());
    settings().bind(|| insta::assert_json_snapshot!("recorded_figures", figures));
    Ok(())
}
