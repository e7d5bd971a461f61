//! The document as the program meets it: a copy is whole, or the program says which line is not, and exits with 1.
//!
//! The document is no part of the repository. Where `FJLD_DOCUMENT` names a copy, edits of that copy are tried too.

use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn fjld(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fjld-checks"));
    let command = command.args(arguments).env_remove("FJLD_DOCUMENT");
    command.output().expect("the program starts")
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("it is JSON")
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("messages are text")
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

/// A file with that text.
fn file(folder: &tempfile::TempDir, text: &str) -> String {
    let path = folder.path().join("document.md");
    std::fs::write(&path, text).expect("the folder can be written");
    path.display().to_string()
}

#[test]
fn of_another_text_every_line_is_named_and_every_verdict_lapses() {
    let folder = folder();
    let document = file(&folder, "# Another text\n");
    let listed = fjld(&["claims", "--json", "--document", &document]);
    assert_eq!(listed.status.code(), Some(1));
    let said = said(&listed);
    assert!(
        said.contains("line 42: vanished (claim of theorem-1)"),
        "{said}"
    );
    assert!(said.contains("; it says \"# Another text\""), "{said}");
    let list = json(&listed.stdout);
    assert_eq!(list["schema"], "fjld-claims/1");
    let binding = &list["binding"];
    assert_eq!(binding["whole"], false);
    assert_eq!(binding["bound"], 0);
    let problems = binding["problems"].as_array().expect("a list");
    let gone = problems.iter().find(|p| p["was"] == 42);
    assert_eq!(
        gone,
        Some(&serde_json::json!({
            "wrong": "vanished", "line": null, "was": 42, "class": "claim", "claims": ["theorem-1"], "text": null
        }))
    );
    let lapsed = binding["lapsed"].as_array().expect("a list").len();
    let claims = list["claims"].as_array().expect("a list");
    let of_the_document = |claim: &&Value| claim["origin"] == "document";
    assert_eq!(claims.iter().filter(of_the_document).count(), lapsed);
}

#[test]
fn a_claim_is_listed_with_all_its_lines_and_one_without_checks_with_the_reason() {
    let output = fjld(&["claims", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    let list = json(&output.stdout);
    assert_eq!(list["binding"], Value::Null);
    let claim = |id: &str| -> &Value {
        let claims = list["claims"].as_array().expect("a list");
        claims
            .iter()
            .find(|c| c["id"] == id)
            .expect("it is a claim")
    };
    let line = |at: usize| &claim("natural-gradient-equivariance")["document"]["lines"][at];
    let expected =
        |line: u32, class: &str| serde_json::json!({"line": line, "class": class, "place": null});
    assert_eq!(line(0), &expected(79, "part"));
    assert_eq!(line(1), &expected(82, "claim"));
    assert_eq!(claim("theorem-1")["unexamined"], Value::Null);
    let unexamined = &claim("future-work")["unexamined"];
    assert_eq!(unexamined["verdict"], "not_testable");
    let reason = unexamined["reason"].as_str();
    assert!(reason.is_some_and(|why| !why.is_empty()));
}

#[test]
fn a_report_gives_a_claim_that_is_not_examined_its_verdict_and_reason() {
    let folder = folder();
    let out = folder.path().join("r").display().to_string();
    let claims = ["--claim", "future-work", "--claim", "theorem-1"];
    let mut arguments = vec!["report", "--tier", "quick", "--json", "--out", &out];
    arguments.extend(claims);
    let output = fjld(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let report = json(&output.stdout);
    assert_eq!(report["summary"]["not_testable"], 1);
    assert_eq!(
        report["standings"],
        serde_json::json!({"overclaims": 1, "agrees": 0, "underclaims": 0, "undecided": 1})
    );
    assert_eq!(report["claims"][0]["document"]["standing"], "overclaims");
    assert_eq!(report["claims"][0]["reason"], Value::Null);
    assert_eq!(report["claims"][1]["document"]["standing"], "undecided");
    assert!(report["claims"][1]["reason"].is_string());
    let page = std::fs::read_to_string(Path::new(&out).join("report.md")).expect("it is there");
    assert!(
        page.contains("it overclaims 1, agrees 0, underclaims 0, undecided 1."),
        "{page}"
    );
    assert!(
        page.contains("It is not examined: these are intentions."),
        "{page}"
    );
}

/// An edit of the document: what is done to its lines, the beginning of what is said, and the claims that lapse.
type Edit = (fn(&mut Vec<String>), &'static str, &'static [&'static str]);

const EDITS: [Edit; 6] = [
    (|_| (), "381 of the document's 381 lines are bound", &[]),
    (
        |lines| lines.insert(0, String::new()),
        "lines 1 to 546 stand 1 further down, unchanged",
        &[],
    ),
    (
        |lines| lines[41].push_str(" (almost)"),
        "line 42: changed (claim of theorem-1); it says ",
        &["theorem-1"],
    ),
    (
        |lines| lines[78].push_str(" always"),
        "line 79: changed (part of natural-gradient-equivariance); it says ",
        &["natural-gradient-equivariance"],
    ),
    (
        |lines| lines.push("Training ends sooner where C exceeds 2.".to_owned()),
        "line 547: unbound; it says \"Training ends sooner where C exceeds 2.\"",
        &[],
    ),
    (
        |lines| drop(lines.remove(100)),
        "line 101: vanished (claim of one-nat)",
        &["one-nat"],
    ),
];

#[test]
fn an_edit_of_the_document_is_found_and_lapses_what_it_touches() {
    let Some(document) = std::env::var_os("FJLD_DOCUMENT") else {
        // past the capture of the harness, which would swallow it
        let skipped = format!(
            "\nskipped {} edits: FJLD_DOCUMENT is not set\n",
            EDITS.len()
        );
        std::io::stderr()
            .write_all(skipped.as_bytes())
            .expect("it takes text");
        return;
    };
    // tests run in the folder of their crate, and the name was given in that of the workspace
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), ".."]
        .iter()
        .collect::<PathBuf>()
        .join(document);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    for (k, (edit, says, lapse)) in EDITS.into_iter().enumerate() {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        edit(&mut lines);
        let folder = folder();
        let copy = file(&folder, &lines.join("\n"));
        let whole = k < 2;
        let listed = fjld(&["claims", "--json", "--document", &copy]);
        let said = said(&listed);
        assert_eq!(
            listed.status.code(),
            Some(if whole { 0 } else { 1 }),
            "{said}"
        );
        assert!(said.starts_with(says), "{said}");
        let binding = &json(&listed.stdout)["binding"];
        assert_eq!(binding["whole"], whole);
        assert_eq!(binding["lapsed"], serde_json::json!(lapse));
        let out = folder.path().join("r").display().to_string();
        let report = fjld(&[
            "report",
            "--tier",
            "quick",
            "--claim",
            "one-nat",
            "--document",
            &copy,
            "--out",
            &out,
            "--json",
        ]);
        assert_eq!(report.status.code(), Some(if whole { 0 } else { 1 }));
        let verdict = &json(&report.stdout)["claims"][0]["verdict"];
        let expected = if lapse.contains(&"one-nat") {
            "not_run"
        } else {
            "refuted"
        };
        assert_eq!(verdict, expected);
    }
}
