//! `C` correlates with test accuracy.

use super::runs::{self, Fate, Runs};
use super::{Claim, Origin, Sentence};
use crate::evidence::{Draw, Finding};
use crate::scenarios::training::{Curve, Labels};
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
        Runs::made_up(real, |labels, k, accuracy| {
            let wave = if k % 2 == 0 { height } else { -height };
            match labels {
                Labels::True => accuracy + wave,
                // twice as slow as the control's accuracy changes
                Labels::Shuffled => 0.1 * (k / 2 % 2) as f64,
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
    let (c, accuracy) = (values?, curve.accuracies());
    let covariance = (&c).population_covariance(&accuracy);
    let rho = covariance / ((&c).population_std_dev() * (&accuracy).population_std_dev());
    rho.is_finite().then_some(rho)
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
