//! The table for a pull request, and the comparison with the pins.

use super::*;
use fjld_checks::compare::against_pins;

#[test]
fn the_markdown_table_holds_the_changed_claims_only_and_no_cell_breaks_out() {
    let table = edited(|r| {
        let found = r.claims[0].checks[0].counterexample.as_mut();
        found.expect("it has one").case = format!("a|b\n<img> {}", "x".repeat(500));
    })
    .markdown();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 5, "{table}");
    assert_eq!(
        lines[0],
        "**1 claim changed** (tier quick, before against after)"
    );
    assert_eq!(lines[2], "| claim | before | after | what else changed |");
    assert!(
        lines[4].starts_with(
            "| `false` | as it was | as it was | counterexample of algebra: mu = 2 \\| D = 1 → a\\|b &lt;img> xxx"
        ),
        "{table}"
    );
    assert!(
        lines[4].ends_with("x... |") && lines[4].len() < 330,
        "{table}"
    );
}

#[test]
fn a_claim_has_one_row_in_the_markdown_however_much_of_it_changed() {
    let table = edited(|r| {
        r.claims[0].verdict = Verdict::Verified;
        r.claims[0].corrected = None;
        r.claims[0].holds_when = Some("d = 1".to_owned());
        r.claims.remove(2);
    })
    .markdown();
    let rows: Vec<&str> = table.lines().skip(4).collect();
    assert_eq!(
        rows,
        [
            "| `false` | **refuted** | **verified** | corrected verdict: verified → none<br>holds when: none → d = 1 |",
            "| `trained` | **supported** | not there |  |"
        ]
    );
}

#[test]
fn against_the_pins_a_report_shows_its_verdicts_and_scopes_alone() {
    let mut now = report();
    now.claims.clear();
    now.claims
        .push(claim("batch-size", Verdict::Supported, Vec::new()));
    let as_pinned = against_pins(&now);
    assert!(!as_pinned.changed, "{as_pinned}");
    assert!(as_pinned.notes[0].ends_with("pinned claims are not in this report, and are left out"));

    now.claims[0].verdict = Verdict::Refuted;
    now.claims
        .push(claim("of-late", Verdict::Verified, Vec::new()));
    now.claims
        .push(claim("theorem-2", Verdict::NotRun, Vec::new()));
    let changed = against_pins(&now);
    let table = changed.markdown();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(
        lines[0],
        "**2 claims changed** (tier quick, pinned against now)"
    );
    assert_eq!(lines[2], "| claim | pinned | now | what else changed |");
    assert_eq!(
        lines[4],
        "| `batch-size` | **supported** | **refuted** |  |"
    );
    assert_eq!(lines[5], "| `of-late` | not there | **verified** |  |");
    assert_eq!(changed.not_compared[0].claim, "theorem-2");
    assert!(
        table.contains("not run on one side, so not compared: theorem-2"),
        "{table}"
    );
}

#[test]
fn one_report_is_compared_with_the_pins_and_two_with_each_other() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut now = report();
    now.claims.clear();
    now.claims
        .push(claim("batch-size", Verdict::Refuted, Vec::new()));
    let path = put(&dir, "now.json", now.to_json());
    let compare = |args: &[&str], files: usize| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fjld-checks"));
        command.arg("compare").args(args).args(vec![&path; files]);
        command.output().expect("the binary is there")
    };
    let pinned = compare(&["--pins", "--json"], 1);
    assert_eq!(pinned.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&pinned.stdout).expect("JSON");
    assert_eq!(json["before"]["root_seed"], serde_json::Value::Null);
    assert_eq!(json["changes"][0]["before"], "supported");
    for (args, files, expected) in [
        (
            vec!["--pins"],
            2,
            "--pins takes one report, and 2 were given",
        ),
        (
            vec![],
            1,
            "1 report was given; accepted are two, or one with --pins",
        ),
    ] {
        let refused = compare(&args, files);
        let sentence = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{sentence}");
        assert!(sentence.contains(expected), "{sentence}");
    }
}

#[test]
fn a_table_of_everything_changed_fits_a_comment_and_counts_the_claims_that_found_no_room() {
    const CLAIMS: usize = 100;
    let (mut before, mut after) = (report(), report());
    for (side, report) in [("x", &mut before), ("<", &mut after)] {
        report.claims = (0..CLAIMS)
            .map(|k| {
                let checks = (0..5).map(|c| {
                    let mut own = check(&format!("check-{c}"), Kind::Exact);
                    let case = side.repeat(500);
                    own.counterexample = Some(Counterexample {
                        case,
                        height: 2,
                        searched: 10,
                    });
                    own
                });
                claim(&format!("claim-{k}"), Verdict::Refuted, checks.collect())
            })
            .collect();
    }
    after.root_seed += 1;
    let table = compare(&before, &after).markdown();
    assert!(
        (50_000..=65_536).contains(&table.chars().count()),
        "{}",
        table.len()
    );
    let rows = table
        .lines()
        .filter(|line| line.starts_with("| `claim-"))
        .count();
    assert!(rows < CLAIMS);
    let more = format!(
        "And {} more changed, for which a comment has no room; `compare --json` has them.",
        CLAIMS - rows
    );
    assert!(table.lines().any(|line| line == more), "{rows}");
    assert!(table.starts_with("**100 claims changed**"));
    assert!(table.trim_end().ends_with("every draw is another one."));
}
