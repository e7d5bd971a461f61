//! The verdicts of each tier are as pinned.

use fjld_checks::report::{Report, markdown, pins};
use fjld_checks::tier::Tier;
use fjld_snapshots::settings;
use std::process::Command;

/// The report of a whole tier, by the program itself: it settles the number of threads before any of them starts.
fn report(tier: Tier) -> Report {
    let out = tempfile::tempdir().expect("a temporary folder can be made");
    let output = Command::new(env!("CARGO_BIN_EXE_fjld-checks"))
        .args(["report", "--json", "--tier", tier.name(), "--out"])
        .arg(out.path().join("report"))
        .env_remove("FJLD_DOCUMENT")
        .output()
        .expect("the program starts");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        let said = String::from_utf8_lossy(&output.stderr);
        panic!("no report: {error}; {said}")
    })
}

/// What the summary of a step of GitHub's CI holds, in bytes, so that `report.md` can be one.
const CI_SUMMARY: usize = 1 << 20;

/// The verdicts are as pinned; every check caught its planted defect and passed its planted truth; the baseline works.
fn verdicts_are_pinned(tier: Tier) {
    let report = report(tier);
    assert!(!report.baseline_failed());
    for claim in &report.claims {
        for record in &claim.checks {
            assert!(
                record.is_sound(),
                "{}/{}: {:?}, {:?}",
                claim.id,
                record.id,
                record.planted_defect,
                record.planted_truth
            );
        }
    }
    assert!(markdown(&report).len() < CI_SUMMARY);
    let name = format!("verdicts_{}", tier.name());
    settings().bind(|| insta::assert_json_snapshot!(name, pins::of(&report)));
}

#[test]
fn the_verdicts_of_the_quick_tier_are_as_pinned() {
    verdicts_are_pinned(Tier::Quick);
}

#[test]
fn the_verdicts_of_the_standard_tier_are_as_pinned() {
    verdicts_are_pinned(Tier::Standard);
}

#[test]
#[ignore = "hours, for the sums modulo 97; run it with: cargo test -p fjld-checks --test pinned_verdicts -- --ignored"]
fn the_verdicts_of_the_full_tier_are_as_pinned() {
    verdicts_are_pinned(Tier::Full);
}
