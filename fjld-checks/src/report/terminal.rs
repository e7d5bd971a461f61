//! The report as it is printed.

use super::{ClaimReport, Report};
use crate::evidence::Role;
use crate::verdict::Verdict;
use std::fmt::Write;

/// A table of verdicts, then every refutation with its counterexample and what is true instead.
pub fn terminal(report: &Report) -> String {
    let mut text = String::new();
    let s = report.summary;
    let stand = s.verified + s.supported;
    let open = s.inconclusive + s.not_run + s.not_testable;
    let plural = |n: usize| if n == 1 { "claim" } else { "claims" };
    line(
        &mut text,
        &format!(
            "{} {}: {stand} stand, {} refuted, {open} open  (tier {}, root seed {})",
            s.claims,
            plural(s.claims),
            s.refuted,
            report.tier.name(),
            report.root_seed
        ),
    );
    line(&mut text, &budget(report));
    if report.baseline_failed() {
        line(&mut text, "\nTHE BASELINE FAILED: no verdict counts.");
        for instrument in report.baseline.iter().filter(|i| !i.works) {
            line(&mut text, &format!("  not so: {}", instrument.what));
        }
    }
    top(&mut text, report);
    line(&mut text, "");
    line(
        &mut text,
        "claim                         verdict       document     which        corrected     checks",
    );
    for claim in report.claims.iter().filter(|c| c.reason.is_none()) {
        let corrected = claim.corrected.as_ref().map_or("", |c| c.verdict.name());
        let cases = claim.checks.iter().map(|r| r.cases).sum::<u64>();
        let (status, standing) = match &claim.document {
            Some(document) => (document.status.as_str(), document.standing.name()),
            None => ("", ""),
        };
        let row = format!(
            "{:<29} {:<13} {status:<12} {standing:<12} {corrected:<13} {} in {cases} cases",
            claim.id,
            claim.verdict.name(),
            claim.checks.len()
        );
        line(&mut text, row.trim_end());
    }
    let records = || report.claims.iter().flat_map(|claim| &claim.checks);
    let unsound = records().filter(|record| !record.is_sound()).count();
    line(&mut text, "");
    line(
        &mut text,
        &match unsound {
            0 => format!(
                "each of the {} checks caught its planted defect and passed its planted truth",
                records().count()
            ),
            n => format!("{n} checks got a planted world wrong, and what they say does not count"),
        },
    );
    for sentence in super::appendix::sentences(report) {
        line(&mut text, &sentence);
    }
    for claim in report.claims.iter().filter(|c| c.reason.is_none()) {
        page(&mut text, claim);
    }
    waiting(&mut text, report);
    text
}

/// The document's own status beside ours, and its checklist.
fn top(text: &mut String, report: &Report) {
    let s = report.standings;
    line(
        text,
        &format!(
            "the document's own status against the evidence: it overclaims {}, agrees {}, underclaims {}, undecided {}",
            s.overclaims, s.agrees, s.underclaims, s.undecided
        ),
    );
    line(text, "\nThe document's checklist:");
    for item in &report.checklist {
        line(
            text,
            &format!(
                "  {:<13} {} ({})",
                item.verdict.name(),
                item.asks,
                item.claim
            ),
        );
    }
}

/// The claims that no check examines, with the reason.
fn waiting(text: &mut String, report: &Report) {
    let mut claims = report
        .claims
        .iter()
        .filter(|c| c.reason.is_some())
        .peekable();
    if claims.peek().is_some() {
        line(text, "\nNot examined:");
    }
    for claim in claims {
        let says = format!(
            "{}: {} ({})",
            claim.verdict.name().replace('_', " "),
            claim.statement,
            claim.reason.as_deref().unwrap_or_default()
        );
        wrapped(text, &claim.id, &says);
    }
}

/// What the suite allows itself to get wrong.
pub fn budget(report: &Report) -> String {
    let b = &report.budget;
    format!(
        "error budget: any false alarm at most {}, of which {} stochastic checks take {:.4}; a check misses what it says it detects at most once in {:.0}",
        b.false_alarm,
        b.stochastic_checks,
        b.false_alarm_used,
        1.0 / b.miss_per_check
    )
}

fn page(text: &mut String, claim: &ClaimReport) {
    let title = format!("{} is {}", claim.id, claim.verdict.name().replace('_', " "));
    line(text, &format!("\n{title}"));
    wrapped(text, "says", &claim.statement);
    if let Some(why) = &claim.lapsed {
        wrapped(text, "lapsed", why);
    }
    if let Some(record) = claim.decisive() {
        match &record.counterexample {
            Some(found) => {
                let case = format!(
                    "{} (height {}, {} cases searched)",
                    found.case, found.height, found.searched
                );
                wrapped(text, "but", &case);
            }
            None => {
                let own = claim.checks.iter().filter(|r| r.role == Role::AsWritten);
                for record in own {
                    wrapped(text, &record.id, &record.summary);
                }
            }
        }
    }
    if let Some(scope) = &claim.holds_when {
        wrapped(text, "holds when", scope);
    }
    if let Some(corrected) = &claim.corrected {
        let verdict = match corrected.verdict {
            Verdict::Refuted => "refuted too",
            other => other.name(),
        };
        wrapped(
            text,
            "instead",
            &format!("{} [{verdict}]", corrected.statement),
        );
    }
    for recorded in &claim.recorded {
        for figures in &recorded.checks {
            let label = format!("{} recorded", figures.id);
            let found = format!(
                "at tier {}, not run here and no part of the verdict: {}",
                recorded.tier.name(),
                figures.summary
            );
            wrapped(text, &label, &found);
        }
    }
    for record in claim.checks.iter().filter(|r| !r.is_sound()) {
        let what = format!(
            "its planted defect (size {} for {} promised) was {}, its planted truth {}",
            record.planted_defect.size,
            record.detectable.size,
            if record.planted_defect.caught {
                "caught"
            } else {
                "missed"
            },
            if record.planted_truth.passed {
                "passed"
            } else {
                "not passed"
            },
        );
        wrapped(text, &format!("unsound {}", record.id), &what);
    }
}

fn line(text: &mut String, content: &str) {
    writeln!(text, "{content}").expect("a string takes what is written to it");
}

/// `label` in a column of its own, `content` beside it in lines of 100.
fn wrapped(text: &mut String, label: &str, content: &str) {
    let mut row = format!("  {label:<19} ");
    for word in content.split_whitespace() {
        if row.chars().count() + word.chars().count() > 118 {
            line(text, row.trim_end());
            row = " ".repeat(22);
        }
        row.push_str(word);
        row.push(' ');
    }
    line(text, row.trim_end());
}
