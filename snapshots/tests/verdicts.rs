//! The verdicts of each tier are as pinned.

use fjld_checks::audit::{Options, ROOT_SEED, run};
use fjld_checks::report::{Report, pins};
use fjld_checks::tier::Tier;
use fjld_snapshots::settings;

fn audit(tier: Tier) -> Report {
    let options = Options {
        tier,
        root_seed: ROOT_SEED,
        claims: Vec::new(),
        folder: None,
        binding: None,
    };
    run(&options).expect("the audit runs").report
}

/// The verdicts are as pinned; every check caught its planted defect and passed its planted truth; the baseline works.
fn verdicts_are_pinned(tier: Tier) {
    let report = audit(tier);
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
#[ignore = "minutes; run it with: cargo test -p fjld-snapshots -- --ignored"]
fn the_verdicts_of_the_full_tier_are_as_pinned() {
    verdicts_are_pinned(Tier::Full);
}
