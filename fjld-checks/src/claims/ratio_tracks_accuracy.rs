//! `C` correlates with test accuracy.

use super::multiverse::{self, Multiverse};
use super::runs::{self, Fate, Runs};
use super::{Claim, Origin, Sentence};
use crate::evidence::{Draw, Finding};
use crate::scenarios::training::Curve;
use statrs::statistics::Statistics;

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
        checks: runs::checks(
            runs::SCENARIO,
            "runs in which C and accuracy correlate by 0.6",
            "runs in which C and accuracy correlate by 0.8, and controls in which they hardly do",
            plant,
            examine,
        ),
    }
}

/// The correlation that the document asks for.
const THRESHOLD: f64 = 0.7;

/// `C` is the accuracy and a fast square wave, which is no part of the climb: of height 0.5, or 0.28.
fn plant(real: &Runs) -> [Runs; 2] {
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
    let values: Option<Vec<f64>> = curve
        .series(runs.estimator, batch_size)
        .into_iter()
        .collect();
    pearson(&values?, &curve.accuracies())
}

/// Pearson's correlation; `None` where one of the two does not vary.
pub fn pearson(x: &[f64], y: &[f64]) -> Option<f64> {
    let rho = x.population_covariance(y) / (x.population_std_dev() * y.population_std_dev());
    rho.is_finite().then_some(rho)
}

/// Pearson's correlation of the ranks; ties share their mean rank.
fn rank_correlation(runs: &Runs, curve: &Curve, batch_size: usize) -> Option<f64> {
    let values: Option<Vec<f64>> = curve
        .series(runs.estimator, batch_size)
        .into_iter()
        .collect();
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

fn examine(runs: &Runs, draw: &Draw) -> Finding {
    let mut finding = runs.judge(
        draw,
        "the correlation exceeds 0.7",
        fate,
        |runs, control, batch| fate(runs, control, batch) == Fate::Holds,
    );
    let mean = |curves: &[Curve], batch: usize| -> f64 {
        let all = curves.iter().filter_map(|c| correlation(runs, c, batch));
        all.collect::<Vec<_>>().mean()
    };
    let means: Vec<String> = runs
        .batch_sizes
        .iter()
        .map(|&batch| {
            let (run, control) = (mean(&runs.runs, batch), mean(&runs.controls, batch));
            format!("{run:.2} (control {control:.2}) at batch {batch}")
        })
        .collect();
    finding.summary += &format!("; on average it is {}", means.join(", "));
    finding
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
                let estimator = runs.estimator.name();
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
