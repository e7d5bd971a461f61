//! The report as Markdown: fits a pull request or a CI summary.

use super::appendix;
use super::terminal::budget;
use super::{ClaimReport, Recorded, Report};
use crate::claims::multiverse::{Cell, Multiverse};
use crate::evidence::over_seeds::OverSeeds;
use crate::evidence::{Record, Role};
use std::fmt::Write;

/// The whole report.
pub fn markdown(report: &Report) -> String {
    let mut text = String::new();
    write_report(&mut text, report).expect("a string takes what is written to it");
    text
}

fn write_report(text: &mut String, report: &Report) -> std::fmt::Result {
    let s = report.summary;
    writeln!(text, "# The audit of Fisher-Jeffreys Learning Dynamics\n")?;
    writeln!(
        text,
        "{} claims: {} verified, {} supported, {} refuted, {} inconclusive, {} not run, {} not testable. Tier {}, root seed {}; {}.\n",
        s.claims,
        s.verified,
        s.supported,
        s.refuted,
        s.inconclusive,
        s.not_run,
        s.not_testable,
        report.tier.name(),
        report.root_seed,
        budget(report)
    )?;
    if report.baseline_failed() {
        writeln!(
            text,
            "**The suite's own baseline failed: no verdict counts.**\n"
        )?;
    }
    let standings = report.standings;
    writeln!(
        text,
        "The document's own status against the evidence: it overclaims {}, agrees {}, underclaims {}, undecided {}.\n",
        standings.overclaims, standings.agrees, standings.underclaims, standings.undecided
    )?;
    writeln!(
        text,
        "| line | the document's checklist | verdict | claim |"
    )?;
    writeln!(text, "|---|---|---|---|")?;
    for item in &report.checklist {
        writeln!(
            text,
            "| {} | {} | {} | {} |",
            item.line,
            item.asks,
            item.verdict.name(),
            item.claim
        )?;
    }
    writeln!(
        text,
        "\n| claim | the document says | verdict | its status | which | corrected statement |"
    )?;
    writeln!(text, "|---|---|---|---|---|---|")?;
    for claim in &report.claims {
        let document = claim.document.as_ref();
        writeln!(
            text,
            "| [{id}](#{id}) | {} | **{}** | {} | {} | {} |",
            cell(&claim.statement),
            claim.verdict.name(),
            document.map_or("", |d| &d.status),
            document.map_or("", |d| d.standing.name()),
            claim.corrected.as_ref().map_or("", |c| c.verdict.name()),
            id = claim.id,
        )?;
    }
    write_truths(text, report)?;
    for claim in &report.claims {
        write_claim(text, claim)?;
    }
    appendix::write(text, report)
}

fn write_truths(text: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(
        text,
        "\n## What is true\n\nEvery statement of this report that stands, with the claim that holds its evidence."
    )?;
    for group in report.what_is_true.chunk_by(|a, b| a.topic == b.topic) {
        writeln!(text, "\n### {}\n", group[0].topic)?;
        for truth in group {
            writeln!(
                text,
                "- {} ([{claim}](#{claim}), {}, {})",
                truth.statement,
                truth.source.name(),
                truth.verdict.name(),
                claim = truth.claim
            )?;
        }
    }
    Ok(())
}

fn write_claim(text: &mut String, claim: &ClaimReport) -> std::fmt::Result {
    writeln!(text, "\n## {}\n", claim.id)?;
    match &claim.document {
        Some(document) => writeln!(
            text,
            "Line {} of the document, \"{}\" ({}; lines that speak to it: {}): {}\n",
            document.line,
            document.section,
            document.status,
            runs(&document.lines),
            claim.statement
        )?,
        None => writeln!(text, "Ours: {}\n", claim.statement)?,
    }
    writeln!(text, "Verdict: **{}**.\n", claim.verdict.name())?;
    if let Some(reason) = &claim.reason {
        return writeln!(text, "It is not examined: {reason}.");
    }
    if let Some(why) = &claim.lapsed {
        writeln!(text, "It does not count: {why}.\n")?;
    }
    if let Some(scope) = &claim.holds_when {
        writeln!(text, "It holds when {scope}.\n")?;
    }
    if let Some(corrected) = &claim.corrected {
        writeln!(
            text,
            "Instead ({}): {}\n",
            corrected.verdict.name(),
            corrected.statement
        )?;
    }
    writeln!(
        text,
        "| check | of | tests | found | planted defect | planted truth | false alarm | detects |"
    )?;
    writeln!(text, "|---|---|---|---|---|---|---|---|")?;
    for record in &claim.checks {
        write_check(text, record)?;
    }
    for record in &claim.checks {
        write_over_seeds(text, &record.id, &record.over_seeds)?;
    }
    if let Some(multiverse) = &claim.multiverse {
        write_multiverse(text, multiverse)?;
    }
    for recorded in &claim.recorded {
        write_recorded(text, recorded)?;
    }
    writeln!(
        text,
        "\nAgain: `cargo run -p fjld-checks -- {}`",
        claim.receipt.command
    )
}

/// Effects over seeds, one row a quantity, the controls in columns of their own.
fn write_over_seeds(text: &mut String, check: &str, all: &[OverSeeds]) -> std::fmt::Result {
    let mut arms: Vec<&str> = Vec::new();
    let mut rows: Vec<&str> = Vec::new();
    for one in all {
        if !arms.contains(&one.of.as_str()) {
            arms.push(&one.of);
        }
        if !rows.contains(&one.what.as_str()) {
            rows.push(&one.what);
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(
        text,
        "\n`{check}` over seeds, with intervals at 0.95 (of means Student's, of shares Clopper and Pearson's, of correlations between seeds Fisher's), the controls beside the runs:\n"
    )?;
    writeln!(text, "| quantity | {} |", arms.join(" | "))?;
    writeln!(text, "|---|{}", "---|".repeat(arms.len()))?;
    for row in rows {
        let of_arm = |arm: &&str| {
            let found = all.iter().find(|o| o.what == row && o.of == **arm);
            found.map_or(String::new(), |o| {
                format!("{}, {} seeds", o.told(), o.seeds)
            })
        };
        let cells: Vec<String> = arms.iter().map(of_arm).collect();
        writeln!(text, "| {} | {} |", cell(row), cells.join(" | "))?;
    }
    Ok(())
}

/// What was recorded, apart from what was run.
fn write_recorded(text: &mut String, recorded: &Recorded) -> std::fmt::Result {
    let from = recorded.from.iter().map(|source| {
        let note = source.note.as_ref().map(|note| format!(" ({note})"));
        format!("`{}`{}", source.command, note.unwrap_or_default())
    });
    let from: Vec<String> = from.collect();
    writeln!(
        text,
        "\n*Recorded* at tier {}, not run here, and no part of the verdict: {}.\n",
        recorded.tier.name(),
        from.join(", ")
    )?;
    writeln!(text, "| check | outcome | found |\n|---|---|---|")?;
    for figures in &recorded.checks {
        writeln!(
            text,
            "| {} | {} | {} |",
            figures.id,
            figures.outcome.name(),
            cell(&figures.summary)
        )?;
    }
    for figures in &recorded.checks {
        let title = format!("{} (recorded)", figures.id);
        write_over_seeds(text, &title, &figures.over_seeds)?;
    }
    Ok(())
}

/// The grid as one row for each estimator and batch, one column for each definition and threshold.
fn write_multiverse(text: &mut String, multiverse: &Multiverse) -> std::fmt::Result {
    let readings = multiverse.cells.len();
    writeln!(
        text,
        "\nOf {readings} readings of the sentence {:.0}% agree with it (true in most runs and not in half of the controls). It would be true: {}.\n",
        100.0 * multiverse.agreeing,
        multiverse.region
    )?;
    let mut columns: Vec<String> = Vec::new();
    let column = |cell: &Cell| format!("{} {}", cell.definition, cell.threshold);
    for cell in &multiverse.cells {
        if !columns.contains(&column(cell)) {
            columns.push(column(cell));
        }
    }
    writeln!(
        text,
        "| estimator | unit | batch | {} |",
        columns.join(" | ")
    )?;
    writeln!(text, "|---|---|---|{}", "---|".repeat(columns.len()))?;
    for row in multiverse.cells.chunks(columns.len()) {
        let first = &row[0];
        let shares: Vec<String> = row
            .iter()
            .map(|c| format!("{}/{} ({}/{})", c.holding, c.runs, c.in_control, c.controls))
            .collect();
        writeln!(
            text,
            "| {} | {} | {} | {} |",
            first.estimator.name(),
            first.unit,
            first.batch_size,
            shares.join(" | ")
        )?;
    }
    writeln!(
        text,
        "\nRuns in which it is true, of all; controls in brackets."
    )
}

fn write_check(text: &mut String, record: &Record) -> std::fmt::Result {
    let of = match record.role {
        Role::AsWritten => "the sentence",
        Role::HoldsWhen => "its scope",
        Role::Corrected => "the correction",
    };
    let found = match &record.counterexample {
        Some(found) => format!(
            "{} (height {}, {} searched)",
            found.case, found.height, found.searched
        ),
        None => record.summary.clone(),
    };
    writeln!(
        text,
        "| {} | {of} | {} | {} | {}: {} | {}: {} | {} | {} {} |",
        record.id,
        cell(&record.hypothesis),
        cell(&found),
        cell(&record.planted_defect.what),
        if record.planted_defect.caught {
            "caught"
        } else {
            "**missed**"
        },
        cell(&record.planted_truth.what),
        if record.planted_truth.passed {
            "passed"
        } else {
            "**not passed**"
        },
        record.false_alarm,
        record.detectable.size,
        cell(&record.detectable.what),
    )
}

/// Text that can stand in a table.
pub(super) fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// Numbers that rise, those without a gap between them as one: `17-18, 40`.
fn runs(numbers: &[u32]) -> String {
    let runs: Vec<String> = numbers
        .chunk_by(|a, b| a + 1 == *b)
        .map(|run| match run {
            [first, .., last] => format!("{first}-{last}"),
            _ => run.iter().map(u32::to_string).collect(),
        })
        .collect();
    runs.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_without_a_gap_are_written_as_one() {
        assert_eq!(runs(&[17, 18, 40, 42, 43, 44]), "17-18, 40, 42-44");
        assert_eq!(runs(&[7]), "7");
        assert_eq!(runs(&[]), "");
    }
}
