//! `compare` on reports made by hand, where what differs is known; and through the real binary.

mod shown;

use fjld_checks::claims::{self, Origin};
use fjld_checks::compare::{Change, Comparison, compare};
use fjld_checks::evidence::method::Method;
use fjld_checks::evidence::{
    Counterexample, DefectRecord, Kind, Outcome, Record, Role, Size, TruthRecord,
};
use fjld_checks::report::standing::Standings;
use fjld_checks::report::{ClaimReport, CorrectedReport, Receipt, Report, SCHEMA, Summary};
use fjld_checks::tier::Tier;
use fjld_checks::verdict::Verdict;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

fn check(id: &str, kind: Kind) -> Record {
    Record {
        id: id.to_owned(),
        role: Role::AsWritten,
        kind,
        hypothesis: "a thing is so".to_owned(),
        outcome: Outcome::Holds,
        summary: String::new(),
        cases: 100,
        effect: None,
        interval: None,
        tolerance: 0.0,
        detectable: Size::of("something", 1.0),
        false_alarm: 0.0,
        miss: 0.0,
        method: Method::default(),
        bound: 0.0,
        sample_size: None,
        planted_defect: DefectRecord {
            what: String::new(),
            size: 1.0,
            caught: true,
        },
        planted_truth: TruthRecord {
            what: String::new(),
            passed: true,
            alarmed: false,
        },
        counterexample: None,
        scope: None,
        over_seeds: Vec::new(),
    }
}

fn claim(id: &str, verdict: Verdict, checks: Vec<Record>) -> ClaimReport {
    ClaimReport {
        id: id.to_owned(),
        origin: Origin::Ours,
        statement: "a thing is so".to_owned(),
        about: None,
        document: None,
        verdict,
        reason: None,
        lapsed: None,
        holds_when: None,
        corrected: None,
        checks,
        multiverse: None,
        recorded: Vec::new(),
        receipt: Receipt {
            command: format!("replay {id}"),
            stream: id.to_owned(),
            evidence_sha256: String::new(),
        },
    }
}

/// A claim of each kind of evidence.
fn report() -> Report {
    let mut measured = check("measured", Kind::Statistical);
    measured.effect = Some(1.0);
    measured.interval = Some([0.9, 1.1]);
    let mut refuted = check("algebra", Kind::Exact);
    refuted.outcome = Outcome::Violated;
    refuted.counterexample = Some(Counterexample {
        case: "mu = 2 | D = 1".to_owned(),
        height: 2,
        searched: 10,
    });
    let runs = check("training", Kind::Runs);
    let mut false_claim = claim("false", Verdict::Refuted, vec![refuted]);
    false_claim.corrected = Some(CorrectedReport {
        statement: "another thing is so".to_owned(),
        verdict: Verdict::Verified,
    });
    Report {
        schema: SCHEMA.to_owned(),
        tier: Tier::Quick,
        root_seed: 2026,
        budget: claims::budget(&claims::all()),
        baseline: Vec::new(),
        summary: Summary::default(),
        standings: Standings::default(),
        checklist: Vec::new(),
        what_is_true: Vec::new(),
        pictures: Vec::new(),
        methods: Vec::new(),
        calibration: None,
        judge: None,
        recorded_nights: None,
        timings: None,
        nights: None,
        claims: vec![
            false_claim,
            claim("measured", Verdict::Supported, vec![measured]),
            claim("trained", Verdict::Supported, vec![runs]),
        ],
    }
}

/// What changes when `edit` is done to the second report.
fn edited(edit: impl FnOnce(&mut Report)) -> Comparison {
    let mut after = report();
    edit(&mut after);
    compare(&report(), &after)
}

fn change(
    claim: &str,
    check: Option<&str>,
    what: &'static str,
    before: Option<&str>,
    after: Option<&str>,
) -> Vec<Change> {
    vec![Change {
        claim: claim.to_owned(),
        check: check.map(str::to_owned),
        what,
        before: before.map(str::to_owned),
        after: after.map(str::to_owned),
    }]
}

#[test]
fn a_report_does_not_differ_from_itself() {
    let same = edited(|_| {});
    assert!(!same.changed && same.notes.is_empty() && same.not_compared.is_empty());
    assert_eq!(same.to_string(), "nothing changed beyond noise");
    assert_eq!(same.markdown(), "No claim changed by more than noise.\n");
}

#[test]
fn a_verdict_a_corrected_verdict_and_a_scope_each_count() {
    let verdict = edited(|r| r.claims[1].verdict = Verdict::Inconclusive);
    assert!(verdict.changed);
    let expected = change(
        "measured",
        None,
        "verdict",
        Some("supported"),
        Some("inconclusive"),
    );
    assert_eq!(verdict.changes, expected);

    let corrected = edited(|r| r.claims[0].corrected = None);
    let expected = change("false", None, "corrected_verdict", Some("verified"), None);
    assert_eq!(corrected.changes, expected);

    let scope = edited(|r| r.claims[0].holds_when = Some("d = 1".to_owned()));
    let expected = change("false", None, "holds_when", None, Some("d = 1"));
    assert_eq!(scope.changes, expected);
    assert_eq!(
        scope.to_string(),
        "1 change\n  false: holds when: none -> d = 1"
    );
}

#[test]
fn a_claim_or_check_that_only_one_report_has_counts() {
    let gone = edited(|r| drop(r.claims.remove(1)));
    let expected = change("measured", None, "claim", Some("supported"), None);
    assert_eq!(gone.changes, expected);
    let new = edited(|r| r.claims.push(claim("new", Verdict::Verified, Vec::new())));
    let expected = change("new", None, "claim", None, Some("verified"));
    assert_eq!(new.changes, expected);
    let check_gone = edited(|r| r.claims[2].checks.clear());
    let expected = change("trained", Some("training"), "check", Some("holds"), None);
    assert_eq!(check_gone.changes, expected);
    // the same name, but it speaks to another sentence: one gone and one new
    let other_role = edited(|r| r.claims[2].checks[0].role = Role::Corrected);
    assert_eq!(other_role.changes.len(), 2);
}

#[test]
fn a_measured_effect_has_changed_only_when_the_intervals_do_not_overlap() {
    let moved = |low: f64, high: f64| {
        edited(|r| {
            let record = &mut r.claims[1].checks[0];
            record.effect = Some((low + high) / 2.0);
            record.interval = Some([low, high]);
            // so many draws were needed this time: no finding
            record.cases = 999;
            record.outcome = Outcome::Undecided;
        })
    };
    assert!(!moved(1.05, 1.25).changed);
    assert!(!moved(0.5, 0.9).changed);
    let expected = change(
        "measured",
        Some("measured"),
        "effect",
        Some("1.0000 [0.9000, 1.1000]"),
        Some("1.2500 [1.2000, 1.3000]"),
    );
    assert_eq!(moved(1.2, 1.3).changes, expected);
    assert!(moved(0.5, 0.89).changed);
}

#[test]
fn without_an_interval_only_the_outcome_of_a_stochastic_check_counts() {
    let noise = edited(|r| {
        let record = &mut r.claims[2].checks[0];
        record.cases = 7;
        record.effect = Some(0.3);
        record.interval = Some([0.1, 0.4]);
    });
    assert!(!noise.changed);
    let outcome = edited(|r| r.claims[2].checks[0].outcome = Outcome::Undecided);
    let expected = change(
        "trained",
        Some("training"),
        "outcome",
        Some("holds"),
        Some("undecided"),
    );
    assert_eq!(outcome.changes, expected);
}

#[test]
fn an_exact_check_has_no_noise() {
    let cases = edited(|r| r.claims[0].checks[0].cases = 101);
    let expected = change("false", Some("algebra"), "cases", Some("100"), Some("101"));
    assert_eq!(cases.changes, expected);
    let gone = edited(|r| {
        r.claims[0].checks[0].counterexample = None;
        r.claims[0].checks[0].outcome = Outcome::Holds;
    });
    let whats: Vec<&str> = gone.changes.iter().map(|change| change.what).collect();
    assert_eq!(whats, ["outcome", "counterexample"]);
    // rounding of an effect is not what such a check finds
    assert!(!edited(|r| r.claims[0].checks[0].effect = Some(1e-16)).changed);
}

#[test]
fn a_check_that_is_no_longer_believed_has_changed() {
    let missed = edited(|r| r.claims[1].checks[0].planted_defect.caught = false);
    let expected = change(
        "measured",
        Some("measured"),
        "soundness",
        Some("sound"),
        Some("unsound"),
    );
    assert_eq!(missed.changes, expected);
}

#[test]
fn not_run_is_no_difference_but_is_said() {
    let skipped = edited(|r| {
        r.claims[2].verdict = Verdict::NotRun;
        r.claims[2].checks.clear();
    });
    assert!(!skipped.changed);
    assert_eq!(
        skipped.to_string(),
        "nothing changed beyond noise\n  not compared: trained: verdict: supported and not_run"
    );
}

#[test]
fn other_tiers_other_seeds_and_a_failed_baseline_are_said() {
    let other = edited(|r| {
        r.tier = Tier::Full;
        r.root_seed = 7;
        let broken = r#"[{"what": "a rule", "works": false}]"#;
        r.baseline = serde_json::from_str(broken).expect("an instrument");
    });
    assert!(!other.changed);
    assert_eq!(
        other.notes,
        [
            "the tiers differ, quick before and full after: numbers of cases differ by that alone",
            "the root seeds differ, 2026 before and 7 after: every draw is another one",
            "the suite's own baseline failed in the second report: no verdict in it counts",
        ]
    );
    assert_eq!(other.markdown().lines().count(), 1);
}

fn put(dir: &TempDir, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, text).expect("a writable directory");
    path
}

fn run(before: &Path, after: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fjld-checks"))
        .arg("compare")
        .args([before, after])
        .args(more)
        .output()
        .expect("the binary is there")
}

#[test]
fn the_command_exits_0_when_nothing_and_1_when_something_changed() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut other = report();
    other.claims[1].verdict = Verdict::Refuted;
    let a = put(&dir, "a.json", report().to_json());
    let b = put(&dir, "b.json", other.to_json());

    let same = run(&a, &a, &["--markdown"]);
    assert_eq!(same.status.code(), Some(0));
    assert_eq!(same.stdout, b"No claim changed by more than noise.\n");

    let changed = run(&a, &b, &["--json"]);
    assert_eq!(changed.status.code(), Some(1));
    assert!(changed.stderr.is_empty());
    let json: serde_json::Value = serde_json::from_slice(&changed.stdout).expect("JSON");
    assert_eq!(json["schema"], "fjld-compare/1");
    assert_eq!(json["changed"], true);
    assert_eq!(json["before"]["tier"], "quick");
    assert_eq!(json["after"]["root_seed"], 2026);
    assert_eq!(json["changes"][0]["after"], "refuted");
    assert_eq!(json["changes"][0]["check"], serde_json::Value::Null);
    let keys: Vec<&String> = json.as_object().expect("an object").keys().collect();
    let mut expected = [
        "schema",
        "before",
        "after",
        "changed",
        "notes",
        "changes",
        "not_compared",
    ];
    expected.sort_unstable();
    assert_eq!(keys, expected);
}

#[test]
fn what_is_no_report_is_refused_in_one_sentence() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let good = put(&dir, "good.json", report().to_json());
    let refusal = |bad: PathBuf| {
        let output = run(&good, &bad, &[]);
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
        let sentence = String::from_utf8(output.stderr).expect("text");
        assert_eq!(sentence.lines().count(), 1, "{sentence}");
        sentence
    };
    assert!(refusal(dir.path().join("gone.json")).contains("gone.json could not be read"));
    assert!(refusal(put(&dir, "x", "{")).contains("x is no JSON: "));
    assert!(refusal(put(&dir, "x", b"\xff\xfe")).contains("x could not be read"));
    assert!(refusal(put(&dir, "x", "[1]")).contains("x names no schema; "));
    assert!(refusal(put(&dir, "x", r#"{"schema": 3}"#)).contains("x names no schema; "));
    assert!(
        refusal(put(&dir, "x", r#"{"schema": "fjld-measure/1"}"#))
            .contains(r#"x has the schema "fjld-measure/1"; accepted is "fjld-report/1""#)
    );
    assert!(
        refusal(put(&dir, "x", r#"{"schema": "fjld-report/1"}"#))
            .contains("x is not the fjld-report/1 that it says it is: missing field")
    );
    let both = run(&good, &good, &["--json", "--markdown"]);
    assert_eq!(both.status.code(), Some(2));
}
