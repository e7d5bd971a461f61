//! `C` correlates with test accuracy.

use super::multiverse::{self, Multiverse};
use super::runs::{self, Fate, Runs, Statement};
use super::{Claim, Origin, Sentence};
use crate::evidence::over_seeds::{OverSeeds, pearson};
use crate::evidence::{Draw, Finding};
use crate::scenarios::training::Curve;

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "ratio-tracks-accuracy",
        origin: Origin::Document,
        statement: "Along a training run, C correlates with test accuracy by more than 0.7.",
        sentence: Some(Sentence {
            section: "Verification Checklist",
            line: 236,
            sha256: "720c7dbe98834d94c24c56a3d3de2e2b56cb1de198ec28783e52a7512246532c",
            status: "validated",
        }),
        holds_when: None,
        corrected: None,
        scenarios: &[runs::SCENARIO],
        checks: runs::checks(runs::SCENARIO, runs::ids, STATEMENT),
    }
}

/// "`C` correlates with test accuracy by more than 0.7 along a run".
pub const STATEMENT: Statement = Statement {
    defect: "runs in which C and accuracy correlate by 0.6",
    truth: "runs in which C and accuracy correlate by 0.8, and controls in which they hardly do",
    plant,
    examine,
};

/// The correlation that the document asks for.
const THRESHOLD: f64 = 0.7;

/// `C` is the accuracy and a fast square wave, which is no part of the climb: of height 0.5, or 0.28.
pub(super) fn plant(real: &Runs) -> [Runs; 2] {
    [0.5, 0.28].map(|height| {
        Runs::made_up(real, |control, k, accuracy| {
            let wave = if k % 2 == 0 { height } else { -height };
            match control {
                None => accuracy + wave,
                // twice as slow as the control's accuracy changes
                Some(_) => 0.1 * (k / 2 % 2) as f64,
            }
        })
    })
}

/// Pearson's correlation of `C` and accuracy over the readings of a run; `None` where a value is undefined or nothing varies.
fn correlation(runs: &Runs, curve: &Curve, batch_size: usize) -> Option<f64> {
    let values: Option<Vec<f64>> = curve.series(runs.view, batch_size).into_iter().collect();
    pearson(&values?, &curve.accuracies())
}

/// Pearson's correlation of the ranks; ties share their mean rank.
fn rank_correlation(runs: &Runs, curve: &Curve, batch_size: usize) -> Option<f64> {
    let values: Option<Vec<f64>> = curve.series(runs.view, batch_size).into_iter().collect();
    pearson(&ranks(&values?), &ranks(&curve.accuracies()))
}

/// The rank of every value; ties share their mean rank.
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let below = |v: f64| values.iter().filter(|&&w| w < v).count() as f64;
    let same = |v: f64| values.iter().filter(|&&w| w == v).count() as f64;
    values
        .iter()
        .map(|&v| below(v) + 0.5 * (same(v) - 1.0))
        .collect()
}

fn fate(runs: &Runs, curve: &Curve, batch_size: usize) -> Fate {
    match correlation(runs, curve, batch_size) {
        None => Fate::Undecided,
        Some(rho) if rho > THRESHOLD => Fate::Holds,
        Some(_) => Fate::Fails,
    }
}

/// Judges the sentence.
pub(super) fn examine(runs: &Runs, draw: &Draw) -> Finding {
    let mut finding = runs.judge(
        draw,
        "the correlation exceeds 0.7",
        fate,
        |runs, control, batch| fate(runs, control, batch) == Fate::Holds,
        true,
    );
    let mut told = Vec::new();
    for &batch in &runs.batch_sizes {
        let within = format!("correlation within a run, batch {batch}");
        let mut within = runs.means(&within, |c| correlation(runs, c, batch));
        // no correlation lies outside, whatever Student's interval says
        let intervals = within.iter_mut().filter_map(|w| w.interval.as_mut());
        intervals.for_each(|i| *i = i.map(|end| end.clamp(-1.0, 1.0)));
        told.push(format!("{} at batch {batch}", beside(&within)));
        finding.over_seeds.extend(within);
    }
    finding.summary += &format!("; within a run it is on average {}", told.join(", "));
    // C(B) is a multiple of C(1), the same for all seeds: one batch tells the correlation between seeds at all of them
    if let Some(&batch) = runs.batch_sizes.first() {
        let between = between_runs(runs, batch);
        finding.summary += &format!("; between runs at their end it is {}", beside(&between));
        finding.over_seeds.extend(between);
    }
    finding
}

/// The statistic of the runs with those of the controls in brackets.
fn beside(arms: &[OverSeeds]) -> String {
    let (runs, controls) = arms.split_first().expect("there are runs");
    let controls: Vec<String> = controls
        .iter()
        .map(|c| format!("{} {}", c.of, c.told()))
        .collect();
    match controls.is_empty() {
        true => runs.told(),
        false => format!("{} ({})", runs.told(), controls.join(", ")),
    }
}

/// The correlation of the last `C` of a run with its last accuracy, over seeds: whether runs with a higher `C` are the better ones.
fn between_runs(runs: &Runs, batch: usize) -> Vec<OverSeeds> {
    let last = |curve: &&Curve| {
        let c = curve.series(runs.view, batch).last().copied().flatten();
        (c, curve.accuracies().last().copied())
    };
    let arms = runs.arms().into_iter();
    arms.map(|(of, curves)| {
        OverSeeds::correlation(
            "correlation between runs at their end",
            of,
            curves.iter().map(last),
        )
    })
    .collect()
}

type Correlation = fn(&Runs, &Curve, usize) -> Option<f64>;

/// The definitions of a correlation, by name.
const DEFINITIONS: [(&str, Correlation); 2] =
    [("Pearson", correlation), ("Spearman", rank_correlation)];

/// Levels around the document's 0.7.
const LEVELS: [f64; 3] = [0.5, THRESHOLD, 0.9];

/// Every reading of the sentence, and the levels that would make it true.
pub fn multiverse(views: &[Runs; 2]) -> Multiverse {
    let holds = |runs: &Runs, curve: &Curve, batch: usize, definition: usize, level: f64| {
        DEFINITIONS[definition].1(runs, curve, batch).is_some_and(|rho| rho > level)
    };
    let cells = multiverse::grid(views, &DEFINITIONS.map(|d| d.0), &LEVELS, holds, holds);
    let mut regions = Vec::new();
    for runs in views {
        for &batch in &runs.batch_sizes {
            let all = runs.runs.iter().filter_map(|c| correlation(runs, c, batch));
            let mut all: Vec<f64> = all.collect();
            all.sort_by(f64::total_cmp);
            if let Some(median) = all.get(all.len() / 2) {
                let estimator = runs.view.estimator.name();
                regions.push(format!("{median:.2} ({estimator}, batch {batch})"));
            }
        }
    }
    let region = format!(
        "in most runs only for a level of Pearson's correlation below {}",
        regions.join(", ")
    );
    Multiverse::new(cells, region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_share_ties_and_a_monotone_curve_correlates_fully_by_rank() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0]), [1.5, 0.0, 1.5]);
        let x = [1.0, 2.0, 3.0, 4.0];
        let y = x.map(f64::exp);
        assert!((pearson(&ranks(&x), &ranks(&y)).expect("both vary") - 1.0).abs() < 1e-15);
        assert_eq!(pearson(&x, &[1.0; 4]), None);
    }
}
