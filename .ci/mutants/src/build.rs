//! The woven crate, compiled: mutants that do not compile are taken out until the others do.

use crate::mutant::Mutant;
use crate::weave::weave;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a place asks.
const WOVEN: &str = include_str!("woven.rs.txt");

/// Rounds after which something else than a mutant must be wrong.
const ROUNDS: usize = 60;

/// What a compiler says of a choice and might not say of the mutant by itself: that nothing can be asked at compile time, that a type can
/// not be inferred any more, that something was moved or is borrowed. All else it would say of the mutant too.
const OF_THE_CHOICE: [&str; 13] = [
    "E0015", "E0282", "E0283", "E0284", "E0382", "E0499", "E0502", "E0503", "E0505", "E0506",
    "E0507", "E0597", "E0716",
];

/// A crate with its mutants.
pub struct Built {
    /// Programs with tests, and where they are to be started.
    pub tests: Vec<PathBuf>,
    /// The place and alternative of each mutant that is in them.
    pub chosen: BTreeMap<usize, (usize, usize)>,
    /// The expression around each mutant.
    pub expressions: BTreeMap<usize, String>,
    /// Mutants that no compiler accepts.
    pub unviable: BTreeSet<usize>,
}

/// Weaves `mutants` into the crate at `tree/package`, and compiles its tests.
pub fn build(tree: &Path, package: &str, mutants: &[Mutant]) -> Result<Built, String> {
    let mut files: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (number, mutant) in mutants.iter().enumerate() {
        files.entry(&mutant.file).or_default().push(number);
    }
    let root = format!("{package}/src/lib.rs");
    files.entry(&root).or_default();
    let mut sources = BTreeMap::new();
    for &file in files.keys() {
        let text = std::fs::read_to_string(tree.join(file)).map_err(|e| format!("{file}: {e}"))?;
        sources.insert(file, text);
    }
    let (mut unviable, mut apart) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..ROUNDS {
        let (mut chosen, mut expressions) = (BTreeMap::new(), BTreeMap::new());
        let mut texts = BTreeMap::new();
        let mut places = 1;
        for (&file, numbers) in &files {
            let dropped = |m: usize| unviable.contains(&m) || apart.contains(&m);
            let woven = weave(&sources[file], mutants, numbers, places, &dropped)
                .map_err(|e| format!("{file}: {e}"))?;
            places = woven
                .chosen
                .values()
                .map(|c| c.0 + 1)
                .max()
                .unwrap_or(places);
            chosen.extend(woven.chosen);
            expressions.extend(woven.expressions);
            texts.insert(file, woven.text);
        }
        let top = texts.get_mut(root.as_str()).unwrap();
        *top = format!(
            "#![allow(warnings, arithmetic_overflow, unconditional_panic, overflowing_literals)] {top}{}",
            WOVEN.replace("PLACES", &places.to_string())
        );
        for (file, text) in &texts {
            std::fs::write(tree.join(file), text).map_err(|e| format!("{file}: {e}"))?;
        }
        let (tests, errors) = compile(tree, package)?;
        if errors.is_empty() {
            chosen.retain(|m, _| !unviable.contains(m) && !apart.contains(m));
            return Ok(Built {
                tests,
                chosen,
                expressions,
                unviable,
            });
        }
        let before = unviable.len() + apart.len();
        for error in &errors {
            let text = texts
                .iter()
                .find(|(file, _)| error.file.ends_with(*file))
                .map(|(_, text)| text);
            // an arm that may be passed over counts for as little as one that is not there
            let exhausts = error.code == "E0004";
            let at = text.and_then(|text| match exhausts {
                true => next_arm(text, error.line),
                false => place_of(text, error.line, error.column),
            });
            match at {
                Some(At::Alternative(m)) if !OF_THE_CHOICE.contains(&error.code.as_str()) => {
                    unviable.insert(m);
                }
                Some(At::Alternative(m)) => {
                    apart.insert(m);
                }
                Some(At::Place(all)) => apart.extend(all),
                None => return Err(format!("{}:{}: {}", error.file, error.line, error.message)),
            }
        }
        if unviable.len() + apart.len() == before {
            return Err(format!(
                "nothing more can be left out, and it does not compile: {errors:#?}"
            ));
        }
    }
    Err(format!("it does not compile after {ROUNDS} rounds"))
}

#[derive(Debug)]
struct Fault {
    code: String,
    message: String,
    file: String,
    line: usize,
    column: usize,
}

fn compile(tree: &Path, package: &str) -> Result<(Vec<PathBuf>, Vec<Fault>), String> {
    let mut cargo = Command::new("cargo");
    cargo.args([
        "test",
        "--locked",
        "--no-run",
        "--message-format=json",
        "-p",
        package,
    ]);
    cargo.args(["--lib", "--bins", "--tests"]);
    cargo.current_dir(tree).stderr(Stdio::null());
    let told = cargo.output().map_err(|e| format!("cargo test: {e}"))?;
    let (mut tests, mut faults) = (Vec::new(), Vec::new());
    for line in String::from_utf8_lossy(&told.stdout).lines() {
        let Ok(value) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        let message = &value["message"];
        if value["reason"] == "compiler-artifact" && value["profile"]["test"] == true {
            tests.extend(value["executable"].as_str().map(PathBuf::from));
        }
        if message["level"] == "error"
            && let Some(spans) = message["spans"].as_array()
            && let Some(span) = spans.iter().find(|s| s["is_primary"] == true)
        {
            let number = |v: &Value| v.as_u64().unwrap_or(0) as usize;
            let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
            faults.push(Fault {
                code: text(&message["code"]["code"]),
                message: text(&message["message"]),
                file: text(&span["file_name"]),
                line: number(&span["line_start"]),
                column: number(&span["column_start"]),
            });
        }
    }
    if !told.status.success() && faults.is_empty() {
        return Err("cargo test --no-run failed and named no place".into());
    }
    Ok((tests, faults))
}

enum At {
    Alternative(usize),
    Place(Vec<usize>),
}

/// The mutants that a line and a column of a woven text belong to.
fn place_of(text: &str, line: usize, column: usize) -> Option<At> {
    let lines: Vec<&str> = text.split('\n').collect();
    let this = lines.get(line - 1)?;
    if let Some((_, number)) = this.rsplit_once("//~") {
        return number.parse().ok().map(At::Alternative);
    }
    let before: String = this.chars().take(column).collect();
    let mut open: Vec<&str> = Vec::new();
    let mut rest = lines[..line - 1].join("\n") + "\n" + &before;
    rest.push(' ');
    let mut rest = rest.as_str();
    while let Some(i) = rest.find("/*") {
        rest = &rest[i + 2..];
        if let Some(numbers) = rest.strip_prefix('<') {
            open.push(numbers.split("*/").next().unwrap_or_default());
        } else if rest.starts_with(">*/") {
            open.pop();
        }
    }
    let numbers = open.last()?;
    Some(At::Place(
        numbers.split(',').filter_map(|n| n.parse().ok()).collect(),
    ))
}

/// The first arm at or after a line that can be passed over.
fn next_arm(text: &str, line: usize) -> Option<At> {
    let after = text.split('\n').skip(line - 1);
    let marks = after.filter_map(|line| {
        line.split_once("*/ if (crate::woven(")?
            .0
            .rsplit_once("/*<")
    });
    let number = marks.map(|(_, number)| number.parse()).next()?;
    number.ok().map(At::Alternative)
}
