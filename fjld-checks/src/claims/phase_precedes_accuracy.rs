//! `C` crosses 1 before accuracy improves.

use super::multiverse::{self, Multiverse};
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

/// The reading at which `C` crosses `level`: the first above it after one that is not. A run that starts above it and stays there
/// crosses nothing.
fn crossing(values: &[Option<f64>], level: f64) -> Option<usize> {
    let values: Vec<f64> = values.iter().map(|v| v.unwrap_or(f64::NAN)).collect();
    (1..values.len()).find(|&k| values[k] > level && values[k - 1] <= level)
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
    let crossed = crossing(&curve.series(runs.estimator, batch_size), 1.0);
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
        |runs, control, batch| crossing(&control.series(runs.estimator, batch), 1.0).is_some(),
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

/// The definitions of [`improvements`], by name.
const DEFINITIONS: [&str; 3] = ["above chance", "half way up", "nine tenths of the last"];

/// Levels of `C` around the document's 1.
const LEVELS: [f64; 3] = [0.5, 1.0, 2.0];

fn holds(runs: &Runs, curve: &Curve, batch_size: usize, definition: usize, level: f64) -> bool {
    let crossed = crossing(&curve.series(runs.estimator, batch_size), level);
    let improved = improvements(runs, &curve.accuracies())[definition];
    matches!((crossed, improved), (Some(crossed), Some(improved)) if crossed < improved)
}

fn shown(runs: &Runs, control: &Curve, batch_size: usize, _: usize, level: f64) -> bool {
    crossing(&control.series(runs.estimator, batch_size), level).is_some()
}

/// Every reading of the sentence, and the levels of `C` per example that would make it true.
pub fn multiverse(views: &[Runs; 2]) -> Multiverse {
    let cells = multiverse::grid(views, &DEFINITIONS, &LEVELS, holds, shown);
    // the per-example C times the batch is the exact one, so that one batch tells the levels of all
    let [_, exact] = views;
    let one = Runs {
        batch_sizes: exact.batch_sizes.iter().copied().take(1).collect(),
        ..exact.clone()
    };
    // ten a decade, from 1e-4 to 100
    let levels: Vec<f64> = (-40..=20)
        .map(|k| 10f64.powf(f64::from(k) / 10.0))
        .collect();
    let fitted = multiverse::grid(&[one], &DEFINITIONS, &levels, holds, shown);
    let regions = DEFINITIONS.map(|definition| {
        let own = fitted
            .iter()
            .filter(|c| c.definition == definition && c.agrees());
        let per_example: Vec<f64> = own.map(|c| c.threshold / c.batch_size as f64).collect();
        match (per_example.first(), per_example.last()) {
            (Some(low), Some(high)) => {
                format!("{definition}: at levels of C per example from {low:.2e} to {high:.2e}")
            }
            _ => format!("{definition}: at no level of C per example from 1e-4 to 100"),
        }
    });
    Multiverse::new(cells, regions.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crossing_is_upward_through_one_and_a_run_that_starts_above_has_none() {
        let at =
            |values: &[f64]| crossing(&values.iter().map(|&v| Some(v)).collect::<Vec<_>>(), 1.0);
        assert_eq!(at(&[0.5, 0.9, 1.1, 0.8, 2.0]), Some(2));
        assert_eq!(at(&[2.0, 3.0]), None);
        assert_eq!(at(&[2.0, 0.5, 3.0]), Some(2));
        assert_eq!(crossing(&[Some(0.5), None, Some(2.0)], 1.0), None);
    }
}
