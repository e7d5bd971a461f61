//! Whether tests notice when the source is changed.
//!
//! cargo-mutants says what to change. It would compile the crate anew for each mutant, which takes fjld-core a day of two cores; here all of
//! them are woven into one build, each behind a choice that the environment makes ([`weave`]), those that no compiler takes are left out
//! ([`build`]), and each of the others is tried with the tests that come to its place, the quick ones first ([`trial`]). The few that one
//! build can not hold beside the others, above all what is computed at compile time, have a build each.

mod build;
mod find;
mod mutant;
mod record;
mod trial;
mod weave;

use mutant::Mutant;
use record::Verdict;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;
use trial::Outcome;

const USAGE: &str = "mutants TREE PACKAGE (GLOB... | --in-diff FILE)";

/// Tries the mutants of one package, and hands over what became of them, file by file.
fn judge(
    tree: &Path,
    package: &str,
    mutants: &[Mutant],
    mut tell: impl FnMut(&[Verdict]) -> Result<(), String>,
) -> Result<Vec<Verdict>, String> {
    let begun = Instant::now();
    let built = build::build(tree, package, mutants)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let folder = tree.join(package);
    let tests = trial::trace(&folder, &built.tests, threads);
    eprintln!(
        "{} mutants in one build, {} tests, after {:.0?}",
        built.chosen.len(),
        tests.len(),
        begun.elapsed()
    );
    let mut files: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (number, mutant) in mutants.iter().enumerate() {
        files.entry(&mutant.file).or_default().push(number);
    }
    let verdicts = |numbers: &[usize], outcomes: &BTreeMap<usize, Outcome>| -> Vec<Verdict> {
        let verdict = |&number: &usize| Verdict {
            file: mutants[number].file.clone(),
            line: mutants[number].span.start.line,
            key: mutants[number].key(built.expressions.get(&number).map_or("", String::as_str)),
            outcome: outcomes[&number],
        };
        numbers.iter().map(verdict).collect()
    };
    let unviable = built.unviable.iter();
    let mut outcomes: BTreeMap<usize, Outcome> =
        unviable.map(|&m| (m, Outcome::Unviable)).collect();
    let woven = |number: &usize| built.chosen.contains_key(number);
    let is_apart = |number: &usize| !woven(number) && !built.unviable.contains(number);
    for (file, numbers) in &files {
        let tried: Vec<usize> = numbers.iter().copied().filter(woven).collect();
        let chosen: Vec<_> = tried.iter().map(|number| built.chosen[number]).collect();
        let found = trial::try_all(&folder, &tests, &chosen, threads);
        outcomes.extend(tried.into_iter().zip(found));
        if !numbers.iter().any(is_apart) {
            tell(&verdicts(numbers, &outcomes))?;
        }
        eprintln!("{file}, after {:.0?}", begun.elapsed());
    }
    for (file, numbers) in &files {
        let places = numbers.iter().filter_map(|number| built.chosen.get(number));
        let places: Vec<usize> = places.map(|&(place, _)| place).collect();
        let apart: Vec<usize> = numbers.iter().copied().filter(is_apart).collect();
        for &number in &apart {
            let outcome = match built.alone(tree, package, &mutants[number])? {
                true => trial::try_alone(&folder, &tests, &places),
                false => Outcome::Unviable,
            };
            outcomes.insert(number, outcome);
        }
        if !apart.is_empty() {
            tell(&verdicts(numbers, &outcomes))?;
            let (count, time) = (apart.len(), begun.elapsed());
            eprintln!("{file}, {count} in builds of their own, after {time:.0?}");
        }
    }
    Ok(files
        .values()
        .flat_map(|numbers| verdicts(numbers, &outcomes))
        .collect())
}

fn run(arguments: &[String]) -> Result<bool, String> {
    let [tree, package, rest @ ..] = arguments else {
        return Err(USAGE.into());
    };
    let tree = PathBuf::from(tree);
    let (chosen, all) = match rest {
        [flag, diff] if flag == "--in-diff" => (vec![flag.clone(), diff.clone()], false),
        [_, ..] => (
            rest.iter().map(|glob| format!("--file={glob}")).collect(),
            true,
        ),
        [] => return Err(USAGE.into()),
    };
    let mut mutants = mutant::list(&tree, &chosen)?;
    mutants.retain(|mutant| mutant.file.starts_with(&format!("{package}/")));
    if mutants.is_empty() {
        println!("no mutant of {package} is among them");
        return Ok(true);
    }
    let equivalent = record::equivalent()?;
    let tell = |verdicts: &[Verdict]| match all {
        true => record::keep(verdicts, &equivalent),
        false => Ok(()),
    };
    let verdicts = judge(&tree, package, &mutants, tell)?;
    print!("{}", record::summary(&verdicts, &equivalent));
    Ok(record::missed(&verdicts, &equivalent).next().is_none())
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(true) => {}
        Ok(false) => std::process::exit(1),
        Err(message) => {
            eprintln!("{message}");
            std::process::exit(2);
        }
    }
}
