//! `C` crosses 1 before accuracy improves.

use super::runs::{self, Fate, Runs};
use super::{Claim, Origin, Sentence};
use crate::evidence::{Draw, Finding};
use crate::scenarios::data::CLASSES;
use crate::scenarios::training::{Curve, Labels};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "phase-precedes-accuracy",
        origin: Origin::Document,
        statement: "In training, C crosses 1 from below before validation accuracy improves.",
        sentence: Some(Sentence {
            section: "Verification Checklist",
            line: 234,
            sha256: "62dbf52bbcd6f082e814b036599dd65b3d2e96e1556c581106dc25f6780636dc",
            status: "validated",
        }),
        holds_when: None,
        corrected: None,
        scenarios: &[runs::SCENARIO],
        checks: runs::checks(
            "runs in which C crosses 1 after accuracy has risen",
            "runs in which C crosses 1 before accuracy rises, and controls in which it never does",
            plant,
            examine,
        ),
    }
}

/// `C` jumps over 1 late, or early.
fn plant(real: &Runs) -> [Runs; 2] {
    [18, 5].map(|reading| {
        Runs::made_up(real, |labels, k, _| match labels {
            Labels::True if k >= reading => 2.0,
            _ => 0.5,
        })
    })
}

/// The reading at which `C` crosses 1: the first above 1 after one that is not. A run that starts above 1 and stays there crosses
/// nothing.
fn crossing(values: &[Option<f64>]) -> Option<usize> {
    let values: Vec<f64> = values.iter().map(|v| v.unwrap_or(f64::NAN)).collect();
    (1..values.len()).find(|&k| values[k] > 1.0 && values[k - 1] <= 1.0)
}

/// The reading at which accuracy has improved, by three definitions: five standard deviations of guessing above chance; half of the way
/// from its first value to its highest; nine tenths of its last value.
fn improvements(runs: &Runs, accuracies: &[f64]) -> [Option<usize>; 3] {
    let first = accuracies.first().copied().unwrap_or(0.0);
    let last = accuracies.last().copied().unwrap_or(0.0);
    let best = accuracies.iter().copied().fold(first, f64::max);
    let chance = 1.0 / CLASSES as f64;
    let guessing = (chance * (1.0 - chance) / runs.test_examples as f64).sqrt();
    let above_chance = chance + 5.0 * guessing;
    let reached = |level: f64| accuracies.iter().position(|&a| a >= level);
    [
        reached(above_chance),
        reached(first + 0.5 * (best - first)),
        reached(0.9 * last),
    ]
}

fn fate(runs: &Runs, curve: &Curve, batch_size: usize) -> Fate {
    let crossed = crossing(&curve.series(runs.estimator, batch_size));
    let improved = improvements(runs, &curve.accuracies());
    let before = improved.map(|at| match (crossed, at) {
        (_, None) => None,
        (Some(crossed), Some(at)) => Some(crossed < at),
        (None, Some(_)) => Some(false),
    });
    match before {
        [Some(true), Some(true), Some(true)] => Fate::Holds,
        [Some(false), Some(false), Some(false)] => Fate::Fails,
        _ => Fate::Undecided,
    }
}

fn examine(runs: &Runs, draw: &Draw) -> Finding {
    let mut finding = runs.judge(
        draw,
        "C crosses 1 before accuracy improves",
        fate,
        // nothing improves in a control, so that a crossing there comes before nothing
        |runs, control, batch| crossing(&control.series(runs.estimator, batch)).is_some(),
    );
    let above = |curves: &[Curve], batch: usize| {
        let first = |c: &&Curve| c.series(runs.estimator, batch).first().copied().flatten();
        curves.iter().filter(|c| first(c) > Some(1.0)).count()
    };
    let starts: Vec<String> = runs
        .batch_sizes
        .iter()
        .map(|&batch| {
            let (run, control) = (above(&runs.runs, batch), above(&runs.controls, batch));
            format!("{run} (control {control}) at batch {batch}")
        })
        .collect();
    finding.summary += &format!("; runs that start above 1: {}", starts.join(", "));
    finding
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crossing_is_upward_through_one_and_a_run_that_starts_above_has_none() {
        let at = |values: &[f64]| crossing(&values.iter().map(|&v| Some(v)).collect::<Vec<_>>());
        assert_eq!(at(&[0.5, 0.9, 1.1, 0.8, 2.0]), Some(2));
        assert_eq!(at(&[2.0, 3.0]), None);
        assert_eq!(at(&[2.0, 0.5, 3.0]), Some(2));
        assert_eq!(crossing(&[Some(0.5), None, Some(2.0)]), None);
    }
}
