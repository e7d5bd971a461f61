//! What the page opens with: how many claims stand, fall and wait, and the rows of its table.

use crate::claims::Origin;
use crate::evidence::picture::plain;
use crate::report::pins::{self, Pin};
use crate::report::{ClaimReport, Report};
use crate::verdict::Verdict;
use serde::Serialize;

/// The beginning of the page.
#[derive(Serialize)]
pub struct Answer {
    headline: String,
    ours: Option<String>,
    broken: bool,
    /// How many have each verdict, in the order of a bar from left to right.
    bar: Vec<Part>,
    theorems: Vec<Theorem>,
    surviving: usize,
    changes: Vec<Change>,
    rows: Vec<Row>,
    /// Checks that got a planted world wrong.
    unsound: usize,
    checks: usize,
}

#[derive(Serialize)]
struct Part {
    verdict: Verdict,
    says: &'static str,
    count: usize,
}

#[derive(Serialize)]
struct Theorem {
    id: String,
    status: String,
    statement: String,
    verdict: Verdict,
}

/// A claim that is not as pinned.
#[derive(Serialize)]
struct Change {
    id: String,
    how: String,
}

/// A claim in the table.
#[derive(Serialize)]
struct Row {
    id: String,
    says: String,
    origin: String,
    verdict: Verdict,
    corrected: Option<Verdict>,
    effect: String,
    catches: String,
}

const ORDER: [(Verdict, &str); 6] = [
    (Verdict::Verified, "held in every case examined"),
    (Verdict::Supported, "held statistically"),
    (Verdict::Refuted, "violated"),
    (Verdict::Inconclusive, "left open by the evidence"),
    (Verdict::NotRun, "not examined"),
    (Verdict::NotTestable, "no experiment can tell"),
];

/// Stand, fall, wait.
fn counts(claims: &[&ClaimReport]) -> (usize, usize, usize) {
    let stand = claims.iter().filter(|c| c.verdict.stands()).count();
    let fall = claims.iter().filter(|c| c.verdict == Verdict::Refuted);
    let fall = fall.count();
    (stand, fall, claims.len() - stand - fall)
}

impl Answer {
    /// Of a report.
    pub fn of(report: &Report) -> Self {
        let of = |origin: Origin| -> Vec<&ClaimReport> {
            let own = report.claims.iter();
            own.filter(|claim| claim.origin == origin).collect()
        };
        let (document, ours) = (of(Origin::Document), of(Origin::Ours));
        let (stand, fall, wait) = counts(&document);
        let verb =
            |n: usize, one: &'static str, many: &'static str| if n == 1 { one } else { many };
        let headline = format!(
            "Of the document\u{2019}s {} {} {stand} {}, {fall} {} and {wait} {}.",
            document.len(),
            verb(document.len(), "claim", "claims"),
            verb(stand, "stands", "stand"),
            verb(fall, "falls", "fall"),
            verb(wait, "waits", "wait"),
        );
        let ours = (!ours.is_empty()).then(|| {
            let (stand, ..) = counts(&ours);
            format!(
                "Beside them {stand} of {} statements of our own stand.",
                ours.len()
            )
        });
        let bar = ORDER.into_iter().map(|(verdict, says)| Part {
            verdict,
            says,
            count: report
                .claims
                .iter()
                .filter(|c| c.verdict == verdict)
                .count(),
        });
        let theorems: Vec<Theorem> = report.claims.iter().filter_map(theorem).collect();
        let records = || report.claims.iter().flat_map(|claim| &claim.checks);
        Self {
            headline,
            ours,
            broken: report.baseline_failed(),
            bar: bar.filter(|part| part.count > 0).collect(),
            surviving: theorems.iter().filter(|t| t.verdict.stands()).count(),
            theorems,
            changes: changes(report),
            rows: report.claims.iter().map(row).collect(),
            unsound: records().filter(|record| !record.is_sound()).count(),
            checks: records().count(),
        }
    }
}

/// What differs from the pins of the tier. A claim that was not run differs from nothing.
fn changes(report: &Report) -> Vec<Change> {
    let pinned = pins::pinned(report.tier);
    let name = |verdict: Verdict| verdict.name().replace('_', " ");
    let change = |(id, now): (String, Pin)| {
        let how = match pinned.get(&id) {
            _ if now.verdict == Verdict::NotRun => return None,
            None => format!("is new: {}", name(now.verdict)),
            Some(before) if *before == now => return None,
            Some(before) if before.verdict != now.verdict => {
                format!("was {}, is {}", name(before.verdict), name(now.verdict))
            }
            Some(before) if before.corrected != now.corrected => {
                "has another verdict on its correction".to_owned()
            }
            Some(_) => "holds in another scope".to_owned(),
        };
        Some(Change { id, how })
    };
    pins::of(report).into_iter().filter_map(change).collect()
}

/// What the document calls a theorem, or proven.
fn theorem(claim: &ClaimReport) -> Option<Theorem> {
    let status = &claim.document.as_ref()?.status;
    matches!(status.as_str(), "theorem" | "proven").then(|| Theorem {
        id: claim.id.clone(),
        status: status.clone(),
        statement: claim.statement.clone(),
        verdict: claim.verdict,
    })
}

fn row(claim: &ClaimReport) -> Row {
    let decisive = claim.decisive();
    let effect = decisive.map_or(String::new(), |record| {
        match (&record.counterexample, record.effect, record.interval) {
            (Some(found), ..) => format!("counterexample of height {}", found.height),
            (None, Some(effect), Some([low, high])) => {
                format!("{} [{}, {}]", plain(effect), plain(low), plain(high))
            }
            (None, Some(effect), None) => {
                format!("{} (allowed {})", plain(effect), plain(record.tolerance))
            }
            (None, None, _) => format!("none in {} cases", record.cases),
        }
    });
    Row {
        id: claim.id.clone(),
        says: claim.statement.clone(),
        origin: match &claim.document {
            Some(document) => format!("line {}, {}", document.line, document.status),
            None => "ours".into(),
        },
        verdict: claim.verdict,
        corrected: claim.corrected.as_ref().map(|c| c.verdict),
        effect: match &claim.reason {
            Some(reason) => reason.clone(),
            None => effect,
        },
        catches: decisive.map_or(String::new(), |record| {
            let detectable = &record.detectable;
            format!("{} {}", plain(detectable.size), detectable.what)
        }),
    }
}
