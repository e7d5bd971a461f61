//! What is said of the judge itself, at the end of a report: the bound on every method's false alarms; how often they come, and what is
//! missed, and what measuring costs, as recorded; and the nights of a ledger.

use super::markdown::cell;
use super::{ClaimReport, Report};
use crate::evidence::method::Method;
use crate::nights::Nights;
use crate::recorded::judge::Confusion;
use crate::recorded::{Gaps, calibration, judge, left_out, nights, timings};
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// A method by which checks of this report find what they find.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MethodReport {
    /// The method.
    pub method: Method,
    /// Checks that use it.
    pub checks: usize,
    /// The largest chance of a false alarm that one of them allows itself in a world.
    pub bound: f64,
    /// Why that bounds it.
    pub derivation: String,
}

impl MethodReport {
    /// The methods that the checks of these claims use.
    pub fn of(claims: &[ClaimReport]) -> Vec<Self> {
        let records = || claims.iter().flat_map(|claim| &claim.checks);
        Method::ALL
            .into_iter()
            .filter_map(|method| {
                let own = || records().filter(|record| record.method == method);
                (own().count() > 0).then(|| Self {
                    method,
                    checks: own().count(),
                    bound: own().map(|record| record.bound).fold(0.0, f64::max),
                    derivation: method.derivation().to_owned(),
                })
            })
            .collect()
    }
}

/// The recorded calibration: nothing of it was run for this report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// What was recorded, with the command and the seed that record it again.
    pub recorded: calibration::Calibration,
    /// What of it does not stand for this program, and what it lacks.
    pub gaps: Gaps,
    /// Stochastic checks that are not calibrated, as training runs are judged by them; their test is, by itself.
    pub left_out: Vec<String>,
}

impl Calibration {
    /// The one that is compiled in.
    pub fn recorded() -> Self {
        let recorded = calibration::recorded().clone();
        Self {
            gaps: calibration::gaps(&recorded),
            left_out: left_out(),
            recorded,
        }
    }
}

/// The recorded judgement: nothing of it was run for this report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// What was recorded, with the command and the seed that record it again.
    pub recorded: judge::Judgement,
    /// What the checks said in all worlds of one truth.
    pub confusion: Vec<Confusion>,
    /// What of it does not stand for this program, and what it lacks.
    pub gaps: Gaps,
}

impl Judgement {
    /// The one that is compiled in.
    pub fn recorded() -> Self {
        let recorded = judge::recorded().clone();
        Self {
            confusion: recorded.confusion(),
            gaps: judge::gaps(&recorded),
            recorded,
        }
    }
}

/// The recorded nights: nothing of them was run for this report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedNights {
    /// What was recorded, with the command that adds to it.
    pub recorded: nights::RecordedNights,
    /// What of it does not stand for this program, and what it lacks.
    pub gaps: Gaps,
}

impl RecordedNights {
    /// Those that are compiled in.
    pub fn recorded() -> Self {
        let recorded = nights::recorded().clone();
        Self {
            gaps: nights::gaps(&recorded),
            recorded,
        }
    }
}

/// The recorded timings: nothing of them was taken for this report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timings {
    /// What was recorded, with the command that makes it of raw rows.
    pub recorded: timings::Timings,
    /// [`timings::SOURCES`] of this program. A figure of others has lapsed.
    pub sources: String,
}

impl Timings {
    /// Those that are compiled in.
    pub fn recorded() -> Self {
        Self {
            recorded: timings::recorded().clone(),
            sources: timings::SOURCES.to_owned(),
        }
    }

    fn sentence(&self) -> String {
        let all = &self.recorded.figures;
        let met = all.iter().filter(|figure| figure.is_met()).count();
        let lapsed = all.iter().filter(|f| f.has_lapsed(&self.sources)).count();
        let lapsed = match lapsed {
            0 => String::new(),
            lapsed => format!("; {lapsed} have lapsed, as what they measured has changed"),
        };
        format!(
            "recorded: {met} of {} figures on what measuring costs keep to their target{lapsed}",
            all.len()
        )
    }
}

/// A sentence each on what was recorded and on the nights.
pub fn sentences(report: &Report) -> Vec<String> {
    let mut sentences = Vec::new();
    if let Some(Calibration { recorded, gaps, .. }) = &report.calibration {
        let often = recorded.checks.iter().filter(|c| c.alarms_too_often());
        sentences.push(format!(
            "recorded: allowed {} false alarms, {} of {} stochastic checks have more in their planted truths{}",
            recorded.false_alarm,
            often.count(),
            recorded.checks.len(),
            counted(gaps)
        ));
    }
    if let Some(Judgement { recorded, gaps, .. }) = &report.judge {
        let kept = recorded.checks.iter().filter(|c| c.keeps_its_promise());
        sentences.push(format!(
            "recorded: {} of {} checks, shown violations of half, once and twice the size that they say they detect, find what they promise{}",
            kept.count(),
            recorded.checks.len(),
            counted(gaps)
        ));
    }
    if let Some(RecordedNights { recorded, gaps }) = &report.recorded_nights {
        sentences.push(format!("recorded: {recorded}{}", counted(gaps)));
    }
    sentences.extend(report.timings.as_ref().map(Timings::sentence));
    if let Some(nights) = &report.nights {
        sentences.push(format!(
            "over {} fresh nights the e-value against the suite's own error rates is {:.3} (1 says nothing, 20 is rarer than one in twenty)",
            nights.nights, nights.e_value
        ));
    }
    sentences
}

/// How much there is to record again, for a line in the terminal.
fn counted(gaps: &Gaps) -> String {
    match (gaps.stale.len(), gaps.missing.len()) {
        (0, 0) => String::new(),
        (stale, missing) => format!("; {stale} stale and {missing} not recorded, see report.md"),
    }
}

fn shown(gaps: &Gaps) -> String {
    let said = |what: &str, names: &[String]| match names {
        [] => String::new(),
        names => format!("; {what}: {}", names.join(", ")),
    };
    said("stale", &gaps.stale) + &said("not recorded", &gaps.missing)
}

/// The appendix of the report in Markdown.
pub fn write(text: &mut String, report: &Report) -> std::fmt::Result {
    write_methods(text, &report.methods)?;
    if let Some(calibration) = &report.calibration {
        write_calibration(text, calibration)?;
    }
    if let Some(judgement) = &report.judge {
        write_judgement(text, judgement)?;
    }
    if let Some(nights) = &report.recorded_nights {
        write_recorded_nights(text, nights)?;
    }
    if let Some(timings) = &report.timings {
        write_timings(text, timings)?;
    }
    match &report.nights {
        Some(nights) => write_nights(text, nights),
        None => Ok(()),
    }
}

fn write_methods(text: &mut String, methods: &[MethodReport]) -> std::fmt::Result {
    writeln!(text, "\n## What bounds the false alarms\n")?;
    writeln!(
        text,
        "| method | checks | false alarms in a world, at most | because |"
    )?;
    writeln!(text, "|---|---|---|---|")?;
    for m in methods {
        writeln!(
            text,
            "| {} | {} | {} | {} |",
            m.method.name(),
            m.checks,
            m.bound,
            cell(&m.derivation)
        )?;
    }
    Ok(())
}

fn write_calibration(text: &mut String, calibration: &Calibration) -> std::fmt::Result {
    let Calibration {
        recorded,
        gaps,
        left_out,
    } = calibration;
    writeln!(text, "\n## How often checks alarm where nothing is wrong\n")?;
    writeln!(
        text,
        "Recorded, not run for this report, by `{}` (root seed {}): every stochastic check in its planted truth, allowed a false alarm with a chance of {} instead of its share of the budget. The intervals are those of Clopper and Pearson at {}. A truth in the middle of a tolerance alarms far less than one on its edge. Left out are checks that judge training runs, whose test is `instruments/run-test`: {}{}.\n",
        recorded.command,
        recorded.root_seed,
        recorded.false_alarm,
        recorded.level,
        left_out.join(", "),
        shown(gaps)
    )?;
    writeln!(text, "| check | repetitions | alarms | alarm rate |")?;
    writeln!(text, "|---|---|---|---|")?;
    for c in &recorded.checks {
        writeln!(
            text,
            "| {}/{} | {} | {} | {:.4} to {:.4} |",
            c.claim, c.check, c.repeats, c.found.violated, c.alarm_rate[0], c.alarm_rate[1]
        )?;
    }
    Ok(())
}

fn write_judgement(text: &mut String, judgement: &Judgement) -> std::fmt::Result {
    let Judgement {
        recorded,
        confusion,
        gaps,
    } = judgement;
    writeln!(text, "\n## The judge judged\n")?;
    writeln!(
        text,
        "Recorded, not run for this report, by `{}` (root seed {}): {} checks shown their planted truth and violations of half, once and twice the size that they say they detect. Exact checks and identities once in each world; the others repeatedly, allowed false alarms at a rate of {} and misses at {}. Half the size detected is on the edge of what the claim allows where that is twice the tolerance{}.\n",
        recorded.command,
        recorded.root_seed,
        recorded.checks.len(),
        recorded.false_alarm,
        recorded.miss,
        shown(gaps)
    )?;
    writeln!(
        text,
        "| checks | violation, of the size detected | worlds | judged to hold | violated | undecided |"
    )?;
    writeln!(text, "|---|---|---|---|---|---|")?;
    for row in confusion {
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            if row.exact {
                "exact and identities"
            } else {
                "stochastic"
            },
            match row.multiple {
                0.0 => "none".to_owned(),
                multiple => format!("{multiple} times"),
            },
            row.worlds,
            row.found.holds,
            row.found.violated,
            row.found.undecided
        )?;
    }
    writeln!(
        text,
        "\n| check | repetitions | violated where it holds | at half | once | twice |"
    )?;
    writeln!(text, "|---|---|---|---|---|---|")?;
    for c in &recorded.checks {
        let violated: Vec<String> = c
            .worlds
            .iter()
            .map(|world| world.found.violated.to_string())
            .collect();
        writeln!(
            text,
            "| {}/{} | {} | {} |",
            c.claim,
            c.check,
            c.seeds,
            violated.join(" | ")
        )?;
    }
    Ok(())
}

fn write_recorded_nights(text: &mut String, nights: &RecordedNights) -> std::fmt::Result {
    let RecordedNights { recorded, gaps } = nights;
    writeln!(text, "\n## The audit on other nights\n")?;
    writeln!(
        text,
        "Recorded, not run for this report, by `{}`: {recorded}. Every training run was made anew each night. The e-value against the checks is {:.3} (1 says nothing, 20 is rarer than one in twenty){}.\n",
        recorded.command,
        recorded.e_value(),
        shown(gaps)
    )?;
    writeln!(
        text,
        "| check | nights | alarms in the planted truth | real world: holds | violated | undecided |"
    )?;
    writeln!(text, "|---|---|---|---|---|---|")?;
    for c in &recorded.checks {
        let found = c.found;
        writeln!(
            text,
            "| {}/{} | {} | {} | {} | {} | {} |",
            c.claim,
            c.check,
            found.trials(),
            c.truth_alarms,
            found.holds,
            found.violated,
            found.undecided
        )?;
    }
    Ok(())
}

fn write_timings(text: &mut String, timings: &Timings) -> std::fmt::Result {
    writeln!(text, "\n## What measuring costs\n")?;
    writeln!(
        text,
        "Recorded, not taken for this report; made of the raw rows by `{}` (`benches/RESULTS.md` has all of them). No verdict rests on a timing: claims on costs are judged by counted operations and bytes.\n",
        timings.recorded.command
    )?;
    writeln!(text, "| figure | of | ratio | target | | recorded on |")?;
    writeln!(text, "|---|---|---|---|---|---|")?;
    for figure in &timings.recorded.figures {
        writeln!(
            text,
            "| {} | {} | {:.2} | {} {} | {} | {}, {} |",
            cell(&figure.what),
            cell(&figure.of),
            figure.ratio,
            if figure.at_least {
                "at least"
            } else {
                "at most"
            },
            figure.limit,
            figure.standing(&timings.sources),
            cell(&figure.on),
            figure.date
        )?;
    }
    Ok(())
}

fn write_nights(text: &mut String, nights: &Nights) -> std::fmt::Result {
    writeln!(text, "\n## Over {} fresh nights\n", nights.nights)?;
    writeln!(
        text,
        "What one coin has become that was staked every night on alarms coming more often than promised: it reaches 1/c with a chance of at most c, at any time, if they do not (Ville's inequality). Against the suite as a whole: {:.3}.\n",
        nights.e_value
    )?;
    writeln!(
        text,
        "| check | nights | alarms in the planted truth | e-value against the check | alarms in the real world | e-value against the statement |"
    )?;
    writeln!(text, "|---|---|---|---|---|---|")?;
    for c in &nights.checks {
        writeln!(
            text,
            "| {}/{} | {} | {} | {:.3} | {} | {:.3e} |",
            c.claim, c.check, c.nights, c.truth_alarms, c.e_value, c.alarms, c.e_value_of_statement
        )?;
    }
    Ok(())
}
