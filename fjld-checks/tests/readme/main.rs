//! What README.md shows of the results is what the pins and the recorded runs say, and what it points at is there.
//!
//! To write it anew: `README_UPDATE=1 cargo test -p fjld-checks --test readme`.

mod figure;
mod findings;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const UPDATE: &str = "README_UPDATE=1 cargo test -p fjld-checks --test readme";
const PICTURE: &str = "docs/training.svg";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .expect("the repository is there")
}

fn read(name: &str) -> String {
    let path = root().join(name);
    fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("{} could not be read: {e}", path.display()))
}

/// Writes `wanted`, or holds the file against it.
fn hold(name: &str, wanted: &str) {
    if std::env::var_os("README_UPDATE").is_some() {
        fs::write(root().join(name), wanted).expect("it can be written");
        return;
    }
    assert!(
        fs::read_to_string(root().join(name)).is_ok_and(|found| found == wanted),
        "{name} is not what the pins and recordings say now; write it anew by: {UPDATE}"
    );
}

/// The README with what lies between the two comments of this name replaced.
fn with_part(readme: &str, name: &str, text: &str) -> String {
    let (begin, end) = (
        format!("<!-- {name}: written by `{UPDATE}` -->\n"),
        format!("<!-- end of {name} -->"),
    );
    let parts = readme.split_once(&begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(&end)?;
        Some((before, after))
    });
    let (before, after) = parts.unwrap_or_else(|| panic!("README.md has no {begin}...{end}"));
    format!("{before}{begin}{text}{end}{after}")
}

#[test]
fn the_headline_findings_and_the_picture_are_those_of_the_pins_and_the_recorded_runs() {
    let (picture, caption) = figure::training();
    let readme = with_part(&read("README.md"), "findings", &findings::markdown());
    let shown = format!("![{}]({PICTURE})\n\n*{caption}*\n", figure::TITLE);
    hold("README.md", &with_part(&readme, "picture", &shown));
    hold(PICTURE, &picture);
}

/// The targets of a page's links, without those that leave the repository.
fn links(text: &str) -> Vec<&str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.split('#').next().unwrap_or(target))
        .filter(|target| !target.is_empty() && !target.contains("://"))
        .collect()
}

const PAGES: [&str; 8] = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "fjld-core/README.md",
    "fjld-checks/README.md",
    "fjld-core/coverage/README.md",
    "scripts/pytorch/README.md",
    "scripts/golden/README.md",
];

#[test]
fn every_link_of_a_page_leads_somewhere() {
    for page in PAGES {
        let text = read(page);
        let folder = root().join(page);
        let folder = folder.parent().expect("a page lies in a folder");
        for target in links(&text) {
            assert!(
                folder.join(target).exists(),
                "{page} links to {target}, which is not there"
            );
        }
    }
}

#[test]
fn every_command_of_the_pages_is_one_of_the_programs() {
    let help = Command::new(env!("CARGO_BIN_EXE_fjld-checks"))
        .arg("--help")
        .output()
        .expect("the binary is there");
    let help = String::from_utf8(help.stdout).expect("text");
    let known: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(known.contains(&"report"), "{help}");
    let mut seen = 0;
    for page in PAGES {
        for rest in read(page).split("-p fjld-checks -- ").skip(1) {
            let command = rest.split_whitespace().next().unwrap_or_default();
            let command = command.trim_end_matches('`');
            assert!(
                known.contains(&command),
                "{page} tells to run `{command}`, which is no command"
            );
            seen += 1;
        }
    }
    assert!(seen > 5, "{seen}");
}

#[test]
fn every_block_of_commands_is_run_by_the_script_or_says_why_not() {
    for (number, line) in read("README.md").lines().enumerate() {
        let Some(info) = line.strip_prefix("```sh") else {
            continue;
        };
        let reason = info
            .strip_prefix(" not-run: ")
            .is_some_and(|reason| !reason.is_empty());
        assert!(
            info.is_empty() || reason,
            "README.md, line {}: {line}",
            number + 1
        );
    }
}
