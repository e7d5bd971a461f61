//! Lists for the terminal and for other programs: the claims, and what a scenario's runs showed.

use crate::claims::{Claim, Origin};
use crate::document::{Binding, Place};
use crate::evidence::{Kind, Role};
use crate::scenarios::measurement::Estimator;
use crate::scenarios::store::Evidence;
use crate::scenarios::training::{Curve, Labels};
use serde::Serialize;
use std::fmt::Write;

/// `claims --json`.
#[derive(Serialize)]
pub struct ClaimList<'a> {
    schema: &'static str,
    claims: Vec<ListedClaim<'a>>,
}

#[derive(Serialize)]
struct ListedClaim<'a> {
    id: &'a str,
    origin: Origin,
    statement: &'a str,
    document: Option<ListedSentence<'a>>,
    holds_when: Option<&'a str>,
    corrected: Option<&'a str>,
    checks: Vec<ListedCheck<'a>>,
}

#[derive(Serialize)]
struct ListedSentence<'a> {
    section: &'a str,
    line: u32,
    sha256: &'a str,
    status: &'a str,
    place: Option<&'a Place>,
}

#[derive(Serialize)]
struct ListedCheck<'a> {
    id: &'a str,
    role: Role,
    kind: Kind,
    hypothesis: &'a str,
}

/// The claims as `claims --json` prints them.
pub fn claims<'a>(claims: &'a [Claim], binding: Option<&'a Binding>) -> ClaimList<'a> {
    let place = |id: &str| {
        let places = binding?.places().find(|(claim, _)| *claim == id);
        places.map(|(_, place)| place)
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
                place: place(claim.id),
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
        })
        .collect();
    ClaimList {
        schema: "fjld-claims/1",
        claims,
    }
}

/// The claims as `claims` prints them.
pub fn claims_table(claims: &[Claim]) -> String {
    let mut text = String::new();
    for claim in claims {
        let line = claim
            .sentence
            .map_or("ours".into(), |s| format!("l. {}", s.line));
        let checks = claim.checks.len();
        writeln!(
            text,
            "{:<25} {line:<7} {checks} checks  {}",
            claim.id, claim.statement
        )
        .expect("a string takes what is written to it");
    }
    text
}

/// What a scenario's runs showed, averaged over seeds: `C` at the first and last reading, and accuracy.
pub fn evidence_table(evidence: &Evidence) -> String {
    let mut text = format!(
        "{:<10} {:<12} {:>6} {:>12} {:>12} {:>16}\n",
        "labels", "estimator", "batch", "C at first", "C at last", "last accuracy"
    );
    for labels in [Labels::True, Labels::Shuffled] {
        let curves: Vec<&Curve> = evidence
            .curves
            .iter()
            .filter(|c| c.item.labels == labels)
            .collect();
        if curves.is_empty() {
            continue;
        }
        let mean = |of: &dyn Fn(&Curve) -> Option<f64>| -> String {
            let values: Option<Vec<f64>> = curves.iter().map(|c| of(c)).collect();
            values.map_or("undefined".into(), |v| {
                format!("{:.3}", v.iter().sum::<f64>() / v.len() as f64)
            })
        };
        let accuracy = mean(&|c| c.accuracies().last().copied());
        for estimator in [Estimator::Minibatch, Estimator::PerExample] {
            for &batch in &evidence.batch_sizes {
                let series = |c: &Curve| c.series(estimator, batch);
                let first = mean(&|c| series(c).first().copied().flatten());
                let last = mean(&|c| series(c).last().copied().flatten());
                let labels = match labels {
                    Labels::True => "true",
                    Labels::Shuffled => "shuffled",
                };
                writeln!(
                    text,
                    "{labels:<10} {:<12} {batch:>6} {first:>12} {last:>12} {accuracy:>16}",
                    estimator.name()
                )
                .expect("a string takes what is written to it");
            }
        }
    }
    text
}
