//! What people read of a report: the page in HTML, and a claim explained in the terminal.

use std::path::Path;
use std::process::{Command, Output};

fn fjld(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fjld-checks"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("FJLD_DOCUMENT")
        .output()
        .expect("the program starts")
}

fn printed(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("it prints text")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("the program wrote it")
}

#[test]
fn a_report_has_a_page_that_can_be_made_again_from_its_json_and_claims_that_can_be_explained() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let here = folder.path();
    let arguments = [
        "report",
        "--tier",
        "quick",
        "--claim",
        "theorem-1",
        "--claim",
        "theorem-2",
    ];
    assert_eq!(fjld(here, &arguments).status.code(), Some(0));
    let out = here.join("target/fjld-report");
    let page = read(&out.join("report.html"));
    assert!(page.contains("Of the document’s 2 claims 0 stand, 2 fall and 0 wait."));
    assert!(page.contains("id=\"claim-theorem-2\""));
    // the map of six metrics by six transformations belongs to theorem-2
    assert!(page.contains("Which metric notices a change of parameters"));

    let output = fjld(here, &["view", "--out", "again"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(read(&here.join("again/report.html")), page);
    assert_eq!(
        read(&here.join("again/report.md")),
        read(&out.join("report.md"))
    );

    let judged = printed(&fjld(here, &["explain", "theorem-2"]));
    assert!(judged.starts_with("theorem-2 is refuted\n"), "{judged}");
    for title in [
        "Counterexample",
        "It holds when",
        "True instead [verified]",
        "Checks and controls",
    ] {
        assert!(
            judged.contains(&format!("\n{title}\n")),
            "{title}: {judged}"
        );
    }
    // the words of the page are those of the file of the claim
    assert!(judged.contains("if and only if"), "{judged}");
    let elsewhere = printed(&fjld(here, &["explain", "entropy-rate"]));
    assert!(elsewhere.starts_with("entropy-rate\n"), "{elsewhere}");
    assert!(
        elsewhere.contains("report --claim entropy-rate"),
        "{elsewhere}"
    );
}

#[test]
fn an_unknown_claim_is_answered_by_the_nearest_names() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let output = fjld(folder.path(), &["explain", "theorem-22"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let said = String::from_utf8(output.stderr).expect("messages are text");
    assert!(
        said.starts_with("error: no claim is called \"theorem-22\"; the nearest are theorem-2, "),
        "{said}"
    );
}

#[test]
fn a_report_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let output = fjld(folder.path(), &["view", "none.json"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).expect("messages are text");
    assert!(said.contains("none.json could not be read"), "{said}");
}
