//! The headline findings: how many claims stand, and the verdicts on the document's theorems and on its checklist, by the pins.

use fjld_checks::claims::{self, Claim};
use fjld_checks::report::CHECKLIST;
use fjld_checks::report::pins::{Pin, pinned};
use fjld_checks::tier::Tier;
use fjld_checks::verdict::Verdict;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Statuses under which the document presents a sentence as proven.
const PROVEN: [&str; 2] = ["theorem", "proven"];

pub fn markdown() -> String {
    let (all, pins) = (claims::all(), pinned(Tier::Standard));
    let count = |wanted: fn(Verdict) -> bool| pins.values().filter(|p| wanted(p.verdict)).count();
    let (stand, refuted) = (
        count(Verdict::stands),
        count(|verdict| verdict == Verdict::Refuted),
    );
    let open = pins.len() - stand - refuted;
    let mut text = format!(
        "Of {} claims {stand} stand, {refuted} are refuted as they are written, and {open} are open.\n",
        pins.len()
    );
    let proven = all.iter().filter(|claim| {
        let status = claim.sentence.map(|sentence| sentence.status);
        status.is_some_and(|status| PROVEN.contains(&status))
    });
    let proven: Vec<&str> = proven.map(|claim| claim.id).collect();
    table(
        &mut text,
        "What the document calls a theorem or proven",
        &proven,
        &all,
        &pins,
    );
    let checklist = CHECKLIST.map(|(_, _, id)| id);
    table(
        &mut text,
        "The document's checklist",
        &checklist,
        &all,
        &pins,
    );
    text
}

fn table(
    text: &mut String,
    title: &str,
    ids: &[&str],
    all: &[Claim],
    pins: &BTreeMap<String, Pin>,
) {
    write!(
        text,
        "\n| {title} | verdict | what is true |\n|---|---|---|\n"
    )
    .expect("strings take all");
    for id in ids {
        let claim = all
            .iter()
            .find(|claim| claim.id == *id)
            .expect("a claim of the list");
        let verdict = pins.get(*id).map_or(Verdict::NotRun, |pin| pin.verdict);
        let true_instead = match (verdict, claim.corrected, claim.holds_when) {
            (Verdict::Refuted, Some(corrected), _) => corrected.to_owned(),
            (Verdict::Refuted, None, Some(scope)) => format!("It holds when {scope}."),
            (Verdict::Refuted, None, None) => {
                "The report shows run for run what happened.".to_owned()
            }
            _ => String::new(),
        };
        let statement = format!("`{id}`: {}", claim.statement);
        writeln!(
            text,
            "| {} | {} | {} |",
            cell(&statement),
            verdict.name().replace('_', " "),
            cell(&true_instead)
        )
        .expect("strings take all");
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
        .replace('\n', " ")
        .replace('<', "&lt;")
}
