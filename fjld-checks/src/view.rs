//! Lists for the terminal and for other programs: the claims, and what a scenario's runs showed.

use crate::claims::waiting::unexamined;
use crate::claims::{Claim, Origin};
use crate::document::Binding;
use crate::document::binding::{Place, Problem, Shift};
use crate::document::table::{Class, shipped};
use crate::evidence::{Kind, Role};
use crate::scenarios::measurement::{Estimator, View};
use crate::scenarios::store::Evidence;
use crate::scenarios::training::{Control, Curve};
use crate::verdict::Verdict;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Write;

/// `claims --json`: `{schema, claims, binding}`.
#[derive(Serialize)]
pub struct ClaimList<'a> {
    schema: &'static str,
    claims: Vec<ListedClaim<'a>>,
    /// How the copy of the document stands to the table of its lines; null without one.
    binding: Option<ListedBinding<'a>>,
}

#[derive(Serialize)]
struct ListedClaim<'a> {
    id: &'a str,
    origin: Origin,
    statement: &'a str,
    /// Where its principal sentence stands; null for a claim of ours.
    document: Option<ListedSentence<'a>>,
    holds_when: Option<&'a str>,
    corrected: Option<&'a str>,
    checks: Vec<ListedCheck<'a>>,
    /// The verdict that a claim without checks has, and why; null for a claim with checks.
    unexamined: Option<ListedReason>,
}

#[derive(Serialize)]
struct ListedSentence<'a> {
    section: &'a str,
    line: u32,
    sha256: &'a str,
    status: &'a str,
    /// Where that line is in the copy; null without one.
    place: Option<Place>,
    /// Every line that speaks to the claim.
    lines: Vec<ListedLine>,
}

#[derive(Serialize)]
struct ListedLine {
    line: u32,
    class: Class,
    /// `{state: bound | moved | changed | vanished, line}`, `line` being that in the copy where it is another one; null without a copy.
    place: Option<Place>,
}

#[derive(Serialize)]
struct ListedCheck<'a> {
    id: &'a str,
    role: Role,
    kind: Kind,
    hypothesis: &'a str,
}

#[derive(Serialize)]
struct ListedReason {
    verdict: Verdict,
    reason: &'static str,
}

#[derive(Serialize)]
struct ListedBinding<'a> {
    /// Lines of the document that are not blank.
    lines: usize,
    /// Of them found again in the copy, in place or moved.
    bound: usize,
    /// Whether the copy has every line of the table and no other.
    whole: bool,
    /// `{wrong: changed | vanished | unbound, line, was, class, claims, text}`.
    problems: &'a [Problem],
    /// `{first, last, by}`: lines that moved together.
    shifts: Vec<Shift>,
    /// Claims whose verdicts lapse.
    lapsed: BTreeSet<&'a str>,
}

/// The claims as `claims --json` prints them.
pub fn claims<'a>(claims: &'a [Claim], binding: Option<&'a Binding>) -> ClaimList<'a> {
    let place = |number: u32| {
        let found = binding?
            .lines()
            .iter()
            .find(|(line, _)| line.number == number);
        found.map(|&(_, place)| place)
    };
    let lines = |id: &str| {
        let lines = shipped().lines_of(id).map(|line| ListedLine {
            line: line.number,
            class: line.class,
            place: place(line.number),
        });
        lines.collect()
    };
    let claims = claims
        .iter()
        .map(|claim| ListedClaim {
            id: claim.id,
            origin: claim.origin,
            statement: claim.statement,
            document: claim.sentence.map(|sentence| ListedSentence {
                section: sentence.section,
                line: sentence.line,
                sha256: sentence.sha256,
                status: sentence.status,
                place: place(sentence.line),
                lines: lines(claim.id),
            }),
            holds_when: claim.holds_when,
            corrected: claim.corrected,
            checks: claim
                .checks
                .iter()
                .map(|check| ListedCheck {
                    id: check.spec.id,
                    role: check.spec.role,
                    kind: check.spec.kind,
                    hypothesis: check.spec.hypothesis,
                })
                .collect(),
            unexamined: unexamined(claim.id).map(|why| ListedReason {
                verdict: why.verdict(),
                reason: why.reason(),
            }),
        })
        .collect();
    ClaimList {
        schema: "fjld-claims/1",
        claims,
        binding: binding.map(|binding| ListedBinding {
            lines: binding.lines().len(),
            bound: binding.found(),
            whole: binding.is_whole(),
            problems: binding.problems(),
            shifts: binding.shifts(),
            lapsed: binding.lapsed(),
        }),
    }
}

/// The claims as `claims` prints them.
pub fn claims_table(claims: &[Claim]) -> String {
    let mut text = String::new();
    for claim in claims {
        let line = claim
            .sentence
            .map_or("ours".into(), |s| format!("l. {}", s.line));
        let (examined, reason) = match unexamined(claim.id) {
            Some(why) => {
                let verdict = why.verdict().name().replace('_', " ");
                (verdict, format!(" ({})", why.reason()))
            }
            None => (format!("{} checks", claim.checks.len()), String::new()),
        };
        writeln!(
            text,
            "{:<29} {line:<7} {examined:<13} {}{reason}",
            claim.id, claim.statement
        )
        .expect("a string takes what is written to it");
    }
    text
}

/// What a scenario's runs showed, averaged over seeds: `C` at the first and last reading, and accuracy.
pub fn evidence_table(evidence: &Evidence) -> String {
    let mut text = format!(
        "{:<15} {:>8} {:<12} {:<8} {:>6} {:>12} {:>12} {:>16}\n",
        "control", "rate", "estimator", "unit", "batch", "C at first", "C at last", "last accuracy"
    );
    let mut arms: Vec<(Option<Control>, Option<f64>)> = Vec::new();
    for curve in &evidence.curves {
        let arm = (curve.item.control, curve.item.learning_rate);
        if !arms.contains(&arm) {
            arms.push(arm);
        }
    }
    for arm in arms {
        let curves: Vec<&Curve> = evidence
            .curves
            .iter()
            .filter(|c| (c.item.control, c.item.learning_rate) == arm)
            .collect();
        let mean = |of: &dyn Fn(&Curve) -> Option<f64>| -> String {
            let values: Option<Vec<f64>> = curves.iter().map(|c| of(c)).collect();
            values.map_or("undefined".into(), |v| {
                format!("{:.3}", v.iter().sum::<f64>() / v.len() as f64)
            })
        };
        let accuracy = mean(&|c| c.accuracies().last().copied());
        let control = arm.0.map_or("none", Control::name);
        let rate = arm.1.unwrap_or(evidence.learning_rate);
        for &unit in &evidence.units {
            for estimator in [Estimator::Minibatch, Estimator::PerExample] {
                for &batch in &evidence.batch_sizes {
                    let series = |c: &Curve| c.series(View { estimator, unit }, batch);
                    let first = mean(&|c| series(c).first().copied().flatten());
                    let last = mean(&|c| series(c).last().copied().flatten());
                    writeln!(
                        text,
                        "{control:<15} {rate:>8} {:<12} {:<8} {batch:>6} {first:>12} {last:>12} {accuracy:>16}",
                        estimator.name(),
                        unit.name()
                    )
                    .expect("a string takes what is written to it");
                }
            }
        }
    }
    text
}
