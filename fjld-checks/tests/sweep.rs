//! An audit in pieces: planned, done by separate processes in separate folders, merged.

use std::path::Path;
use std::process::{Command, Output};

const CLAIM: [&str; 4] = ["--tier", "quick", "--claim", "phase-precedes-accuracy"];

fn fjld(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fjld-checks"));
    command.args(arguments).env_remove("FJLD_DOCUMENT");
    command.output().expect("the program starts")
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("what is printed is text")
}

fn with<'a>(first: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [first, more].concat()
}

fn bytes(folder: &str, name: &str) -> Vec<u8> {
    std::fs::read(Path::new(folder).join(name)).expect("the program wrote it")
}

#[test]
fn pieces_done_by_other_processes_merge_to_the_bytes_of_one_report() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (even, odd, merged, single) = (at("even"), at("odd"), at("merged"), at("single"));
    let planned = fjld(&with(&["plan"], &CLAIM));
    let plan = text(planned.stdout);
    let ids: Vec<&str> = plan.lines().filter_map(|l| l.split('\t').next()).collect();
    assert_eq!(ids.len(), 10, "{plan}");

    let work = |id: &str, out: &str| {
        let output = fjld(&["run", "--item", id, "--tier", "quick", "--out", out]);
        let said = text(output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}");
    };
    // all but the last
    for (k, id) in ids[..9].iter().enumerate() {
        work(id, if k % 2 == 0 { &even } else { &odd });
    }
    let merge = || fjld(&with(&["merge", &even, &odd, "--out", &merged], &CLAIM));
    let short = merge();
    assert_eq!(short.status.code(), Some(2));
    let said = text(short.stderr);
    assert!(said.contains("1 of 10 pieces of work"), "{said}");
    assert!(said.contains(ids[9]), "{said}");

    work(ids[9], &odd);
    let whole = merge();
    let one = fjld(&with(&["report", "--out", &single], &CLAIM));
    assert_eq!(whole.status.code(), one.status.code());
    assert_eq!(text(whole.stdout), text(one.stdout));
    for name in ["report.json", "report.md", "evidence/digits-mlp.jsonl"] {
        assert!(
            bytes(&merged, name) == bytes(&single, name),
            "{name} differs"
        );
    }
}

#[test]
fn an_unknown_piece_and_a_merge_at_a_fresh_seed_are_refused() {
    let output = fjld(&["run", "--item", "0123456789abcdef"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(output.stderr).contains("no piece of work has the id \"0123456789abcdef\""));
    let output = fjld(&["merge", "somewhere", "--fresh"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(output.stderr).contains("accepted is --seed"));
}
