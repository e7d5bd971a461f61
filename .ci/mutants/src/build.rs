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
    sources: Sources,
}

impl Built {
    /// Compiles the crate with one mutant and nothing else in it, over the programs that hold the others. Whether the compiler takes it.
    pub fn alone(&self, tree: &Path, package: &str, mutant: &Mutant) -> Result<bool, String> {
        for (file, (text, _)) in &self.sources.files {
            let own = (*file == mutant.file).then(|| mutant.made_in(text));
            write(tree, file, own.as_ref().unwrap_or(text))?;
        }
        Ok(compile(tree, package)?.1.is_empty())
    }
}

fn write(tree: &Path, file: &str, text: &str) -> Result<(), String> {
    std::fs::write(tree.join(file), text).map_err(|e| format!("{file}: {e}"))
}

/// Weaves `mutants` into the crate at `tree/package`, and compiles its tests.
pub fn build(tree: &Path, package: &str, mutants: &[Mutant]) -> Result<Built, String> {
    let sources = Sources::read(tree, package, mutants)?;
    let (mut unviable, mut apart) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..ROUNDS {
        let dropped = |m: usize| unviable.contains(&m) || apart.contains(&m);
        let Woven {
            texts,
            mut chosen,
            expressions,
        } = sources.weave(mutants, &dropped)?;
        for (file, text) in &texts {
            write(tree, file, text)?;
        }
        let (tests, faults) = compile(tree, package)?;
        if faults.is_empty() {
            chosen.retain(|&m, _| !dropped(m));
            return Ok(Built {
                tests,
                chosen,
                expressions,
                unviable,
                sources,
            });
        }
        let before = unviable.len() + apart.len();
        for fault in &faults {
            match fault.blames(&texts) {
                Some(At::Alternative(m)) if !OF_THE_CHOICE.contains(&fault.code.as_str()) => {
                    unviable.insert(m);
                }
                Some(At::Alternative(m)) => {
                    apart.insert(m);
                }
                Some(At::Place(all)) => apart.extend(all),
                None => return Err(format!("{}:{}: {}", fault.file, fault.line, fault.message)),
            }
        }
        if unviable.len() + apart.len() == before {
            return Err(format!(
                "nothing more can be left out, and it does not compile: {faults:#?}"
            ));
        }
    }
    Err(format!("it does not compile after {ROUNDS} rounds"))
}

/// A crate with all its mutants woven in.
struct Woven<'a> {
    /// The text of each file.
    texts: BTreeMap<&'a str, String>,
    /// The place of each mutant, and its number there.
    chosen: BTreeMap<usize, (usize, usize)>,
    /// What each mutant puts there.
    expressions: BTreeMap<usize, String>,
}

/// The files that mutants are in, and the root of the crate.
struct Sources {
    root: String,
    /// Each with its text and the numbers of its mutants.
    files: BTreeMap<String, (String, Vec<usize>)>,
}

impl Sources {
    fn read(tree: &Path, package: &str, mutants: &[Mutant]) -> Result<Self, String> {
        let root = format!("{package}/src/lib.rs");
        let mut numbers = BTreeMap::from([(root.clone(), Vec::new())]);
        for (number, mutant) in mutants.iter().enumerate() {
            numbers.entry(mutant.file.clone()).or_default().push(number);
        }
        let read = |(file, numbers): (String, Vec<usize>)| {
            let text = std::fs::read_to_string(tree.join(&file));
            let text = text.map_err(|e| format!("{file}: {e}"))?;
            Ok((file, (text, numbers)))
        };
        let files = numbers
            .into_iter()
            .map(read)
            .collect::<Result<_, String>>()?;
        Ok(Self { root, files })
    }

    fn weave(
        &self,
        mutants: &[Mutant],
        dropped: &dyn Fn(usize) -> bool,
    ) -> Result<Woven<'_>, String> {
        let (mut texts, mut chosen, mut expressions) =
            (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut places = 1;
        for (file, (source, numbers)) in &self.files {
            let woven = weave(source, mutants, numbers, places, dropped);
            let woven = woven.map_err(|e| format!("{file}: {e}"))?;
            let last = woven.chosen.values().map(|chosen| chosen.0).max();
            places = last.map_or(places, |last| last + 1);
            chosen.extend(woven.chosen);
            expressions.extend(woven.expressions);
            texts.insert(file.as_str(), woven.text);
        }
        let top = texts.get_mut(self.root.as_str()).expect("it was read");
        let woven = WOVEN.replace("PLACES", &places.to_string());
        *top = format!("#![allow({ALLOWED})] {top}{woven}");
        Ok(Woven {
            texts,
            chosen,
            expressions,
        })
    }
}

/// What a mutant may do that a compiler would stop at.
const ALLOWED: &str = "warnings, arithmetic_overflow, unconditional_panic, overflowing_literals";

/// What the compiler refused.
#[derive(Debug)]
struct Fault {
    code: String,
    message: String,
    file: String,
    line: usize,
    column: usize,
}

impl Fault {
    /// Whom to leave out for it.
    fn blames(&self, texts: &BTreeMap<&str, String>) -> Option<At> {
        let (_, text) = texts.iter().find(|(file, _)| self.file.ends_with(*file))?;
        match self.code == "E0004" {
            // an arm that may be passed over counts for as little as one that is not there
            true => next_arm(text, self.line),
            false => place_of(text, self.line, self.column),
        }
    }
}

/// The programs with tests, or what the compiler refused.
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
