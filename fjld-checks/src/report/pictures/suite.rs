//! The suite itself to look at: what it allows itself to get wrong, and what is known of its checks.

use crate::evidence::picture::{
    Axis, Kind, Line, Mark, Panel, Picture, Rule, Series, Style, median, plain,
};
use crate::evidence::{self, Outcome, Record};
use crate::report::Report;
use crate::report::appendix::{Calibration, Judgement};
use std::collections::BTreeMap;

fn suite(
    id: &str,
    kind: Kind,
    title: &str,
    caption: String,
    source: &str,
    panel: Panel,
) -> Picture {
    Picture {
        id: id.into(),
        claims: Vec::new(),
        kind,
        title: title.into(),
        caption,
        source: source.into(),
        panels: vec![panel],
    }
}

/// How often a claim's checks would alarm by chance, in all, against what the suite allows itself.
pub fn budget(report: &Report) -> Picture {
    let budget = &report.budget;
    let mut taken: BTreeMap<&str, (f64, usize)> = BTreeMap::new();
    for record in report.claims.iter().flat_map(|claim| &claim.checks) {
        if record.false_alarm > 0.0 {
            let own = taken.entry(record.method.name()).or_default();
            // in the real world and in the planted truth
            own.0 += 2.0 * record.false_alarm;
            own.1 += 1;
        }
    }
    let here: f64 = taken.values().map(|(share, _)| share).sum();
    let mut names: Vec<String> = taken
        .iter()
        .map(|(name, (_, checks))| format!("{name}, {checks} checks"))
        .collect();
    let mut shares: Vec<f64> = taken.values().map(|(share, _)| *share).collect();
    names.push("other claims".into());
    shares.push((budget.false_alarm_used - here).max(0.0));
    names.push("not used".into());
    shares.push(budget.false_alarm - budget.false_alarm_used);
    let caption = format!(
        "In one run of the whole suite any false alarm comes with a chance of at most {}; the n = {} stochastic checks there are take {} of it, by equal slots that are cut beforehand. Exact checks and identities take none.",
        plain(budget.false_alarm),
        budget.stochastic_checks,
        plain(budget.false_alarm_used)
    );
    let bars = shares.iter().enumerate().map(|(k, &s)| (s, k as f64));
    let panel = Panel {
        title: String::new(),
        x: Axis::linear("chance of a false alarm"),
        y: Axis::names("method", names),
        series: vec![Series::new("chance", Style::line(1, Line::Solid), bars)],
        ..Panel::default()
    };
    suite(
        "error-budget",
        Kind::Bars,
        "The error budget",
        caption,
        "the budget of this report",
        panel,
    )
}

/// How often checks alarm where nothing is wrong.
pub fn calibration(calibration: &Calibration) -> Option<Picture> {
    let recorded = &calibration.recorded;
    if recorded.checks.is_empty() {
        return None;
    }
    let names = recorded.checks.iter();
    let names = names.map(|c| format!("{}/{}", c.claim, c.check)).collect();
    let rates: Vec<f64> = recorded
        .checks
        .iter()
        .map(|c| c.found.violated as f64 / c.repeats.max(1) as f64)
        .collect();
    let often = recorded.checks.iter().filter(|c| c.alarms_too_often());
    let often = often.count();
    let caption = format!(
        "Given a rate of {} to keep, {often} of n = {} checks alarm more often than that in their planted truths, beyond doubt at the level {}; half of them alarm in at most {} of the repetitions.",
        plain(recorded.false_alarm),
        recorded.checks.len(),
        recorded.level,
        plain(median(&rates).unwrap_or(f64::NAN))
    );
    let points = rates.iter().enumerate().map(|(k, &rate)| (rate, k as f64));
    let ends = recorded
        .checks
        .iter()
        .map(|c| (c.alarm_rate[0], c.alarm_rate[1]));
    let panel = Panel {
        title: String::new(),
        x: Axis::linear("share of repetitions with an alarm"),
        y: Axis::names("check", names),
        series: vec![Series::new("alarms", Style::marks(1, Mark::Circle), points).between(ends)],
        rules: vec![Rule::upward("allowed", recorded.false_alarm)],
        ..Panel::default()
    };
    Some(suite(
        "calibration",
        Kind::Bars,
        "How often checks alarm where nothing is wrong",
        caption,
        "recorded by `calibrate`, not run for this report",
        panel,
    ))
}

/// What checks say of violations of known sizes.
pub fn judge(judgement: &Judgement) -> Option<Picture> {
    let rows = &judgement.confusion;
    let of = |exact: bool| {
        let own = rows.iter().filter(move |row| row.exact == exact);
        own.filter(|row| row.found.trials() > 0)
            .map(|row| {
                (
                    row.multiple,
                    row.found.violated as f64 / row.found.trials() as f64,
                )
            })
            .collect::<Vec<_>>()
    };
    let (exact, drawn) = (of(true), of(false));
    if exact.is_empty() && drawn.is_empty() {
        return None;
    }
    let told = |multiple: f64| {
        let own = rows.iter().filter(|row| row.multiple == multiple);
        let counts = own.map(|row| {
            let of = if row.exact { "exact" } else { "stochastic" };
            format!("{} of {} ({of})", row.found.violated, row.found.trials())
        });
        counts.collect::<Vec<_>>().join(" and ")
    };
    let caption = format!(
        "Judged violated were, where nothing is, {} worlds; of the size said to be detected {}; of twice that {}; of half of it, where either is allowed, {}. n = {} checks; stochastic ones were allowed false alarms at a rate of {} and misses at {}.",
        told(0.0),
        told(1.0),
        told(2.0),
        told(0.5),
        judgement.recorded.checks.len(),
        plain(judgement.recorded.false_alarm),
        plain(judgement.recorded.miss)
    );
    let panel = Panel {
        title: String::new(),
        x: Axis::linear("violation over the size said to be detected"),
        y: Axis::linear("share judged violated"),
        series: vec![
            Series::new(
                "exact checks and identities",
                Style {
                    ink: 1,
                    line: Line::Solid,
                    mark: Mark::Circle,
                },
                exact,
            ),
            Series::new(
                "stochastic checks",
                Style {
                    ink: 2,
                    line: Line::Dashed,
                    mark: Mark::Cross,
                },
                drawn,
            ),
        ],
        ..Panel::default()
    };
    Some(suite(
        "judge",
        Kind::Curves,
        "What checks say of violations of known sizes",
        caption,
        "recorded by `judge`, not run for this report",
        panel,
    ))
}

/// How far the largest discrepancy of each identity is from what is allowed.
pub fn margins(report: &Report) -> Option<Picture> {
    let mut places = [Vec::new(), Vec::new()];
    for record in report.claims.iter().flat_map(|claim| &claim.checks) {
        if let Some(share) = share_of_tolerance(record) {
            places[usize::from(record.outcome == Outcome::Violated)].push(share);
        }
    }
    let [mut held, mut violated] = places;
    let (n, m) = (held.len(), violated.len());
    if n + m == 0 {
        return None;
    }
    held.sort_by(f64::total_cmp);
    violated.sort_by(f64::total_cmp);
    let ranked = |own: &[f64], from: usize| -> Vec<(f64, f64)> {
        let pairs = own.iter().enumerate();
        pairs.map(|(k, &s)| ((from + k + 1) as f64, s)).collect()
    };
    let panel = Panel {
        title: String::new(),
        x: Axis::linear("checks, from the closest agreement on"),
        y: Axis::log("discrepancy over allowed"),
        series: vec![
            Series::new("holds", Style::marks(1, Mark::Circle), ranked(&held, 0)),
            Series::new(
                "violated",
                Style::marks(2, Mark::Cross),
                ranked(&violated, n),
            ),
        ],
        rules: vec![Rule::across("allowed", 1.0)],
        ..Panel::default()
    };
    let of = |share: Option<&f64>| share.map_or("-".into(), |v| plain(*v));
    let caption = format!(
        "Of n = {} identities {n} hold, the nearest to its tolerance at {} of it, and {m} are violated, the least of them by {} times what is allowed. Agreement closer than 1e-6 of the tolerance is drawn there.",
        n + m,
        of(held.last()),
        of(violated.first())
    );
    Some(suite(
        "margins",
        Kind::Curves,
        "How far identities are from their tolerance",
        caption,
        "the checks of this report that are identities",
        panel,
    ))
}

/// The effect over the tolerance, where the one is a discrepancy and the other what is allowed of it.
fn share_of_tolerance(record: &Record) -> Option<f64> {
    let effect = record.effect.filter(|e| e.is_finite() && *e >= 0.0)?;
    let is_discrepancy = match record.outcome {
        Outcome::Holds => effect <= record.tolerance,
        Outcome::Violated => effect > record.tolerance,
        Outcome::Undecided => false,
    };
    let is_identity = record.kind == evidence::Kind::Identity && record.tolerance > 0.0;
    // agreement to the last bit has a place at the bottom
    (is_identity && is_discrepancy).then(|| (effect / record.tolerance).max(1e-6))
}
