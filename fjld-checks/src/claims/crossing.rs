//! What the claims that `C` passes 1 before a network generalises share: when it passes, and when a network has.

use super::multiverse::{self, Multiverse};
use super::runs::{Fate, Runs, Statement};
use crate::evidence::over_seeds::OverSeeds;
use crate::evidence::{Draw, Finding};
use crate::scenarios::training::Curve;

/// "`C` passes 1 from below before accuracy improves".
pub const STATEMENT: Statement = Statement {
    defect: "runs in which C crosses 1 after accuracy has risen",
    truth: "runs in which C crosses 1 before accuracy rises, and controls in which it never does",
    plant,
    examine,
};

/// `C` jumps over 1 late, or early.
pub(super) fn plant(real: &Runs) -> [Runs; 2] {
    // at the second reading no number of test examples tells the accuracy from a guess
    [18, 2].map(|reading| {
        Runs::made_up(real, |control, k, _| match control {
            None if k >= reading => 2.0,
            _ => 0.5,
        })
    })
}

/// The reading at which `C` crosses `level`: the first above it after one that is not. A run that starts above it and stays there
/// crosses nothing.
pub(super) fn crossing(values: &[Option<f64>], level: f64) -> Option<usize> {
    let values: Vec<f64> = values.iter().map(|v| v.unwrap_or(f64::NAN)).collect();
    (1..values.len()).find(|&k| values[k] > level && values[k - 1] <= level)
}

/// The share of right guesses.
fn chance(runs: &Runs) -> f64 {
    1.0 / runs.classes as f64
}

/// The reading at which accuracy has improved, by three definitions: five standard deviations of guessing above chance; half of the way
/// from its first value to its highest; nine tenths of its last value.
fn improvements(runs: &Runs, accuracies: &[f64]) -> [Option<usize>; 3] {
    let first = accuracies.first().copied().unwrap_or(0.0);
    let last = accuracies.last().copied().unwrap_or(0.0);
    let best = accuracies.iter().copied().fold(first, f64::max);
    let chance = chance(runs);
    let guessing = (chance * (1.0 - chance) / runs.test_examples as f64).sqrt();
    let above_chance = chance + 5.0 * guessing;
    let reached = |level: f64| accuracies.iter().position(|&a| a >= level);
    [
        reached(above_chance),
        reached(first + 0.5 * (best - first)),
        reached(0.9 * last),
    ]
}

/// Steps from the crossing to the reading at which accuracy is half of the way from its first value to its highest: positive where `C`
/// crosses first.
fn lead(runs: &Runs, curve: &Curve, batch_size: usize) -> Option<f64> {
    let crossed = crossing(&curve.series(runs.view, batch_size), 1.0)?;
    let [_, improved, _] = improvements(runs, &curve.accuracies());
    let step = |reading: usize| curve.readings[reading].step as f64;
    Some(step(improved?) - step(crossed))
}

/// Whether accuracy ever comes half of the way from chance to 1.
fn generalises(runs: &Runs, curve: &Curve) -> bool {
    let half = 0.5 * (1.0 + chance(runs));
    curve.accuracies().iter().any(|&a| a >= half)
}

fn fate(runs: &Runs, curve: &Curve, batch_size: usize) -> Fate {
    let crossed = crossing(&curve.series(runs.view, batch_size), 1.0);
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

/// Judges it.
pub(super) fn examine(runs: &Runs, draw: &Draw) -> Finding {
    let mut finding = runs.judge(
        draw,
        "C crosses 1 before accuracy improves",
        fate,
        // a crossing in a control that does not generalise comes before nothing
        |runs, control, batch| {
            let crossed = crossing(&control.series(runs.view, batch), 1.0).is_some();
            crossed && !generalises(runs, control)
        },
        true,
    );
    let above = |curve: &Curve, batch: usize| {
        let first = curve.series(runs.view, batch).first().copied().flatten();
        first > Some(1.0)
    };
    let (mut starts, mut leads) = (Vec::new(), Vec::new());
    for &batch in &runs.batch_sizes {
        for (of, curves) in runs.arms() {
            let shown = curves.iter().map(|c| above(c, batch));
            let what = format!("starts above 1, batch {batch}");
            starts.push(OverSeeds::share(&what, of, shown));
        }
        let what = format!("lead of the crossing in steps, batch {batch}");
        leads.push(runs.means(&what, |c| lead(runs, c, batch)));
    }
    let told: Vec<String> = (runs.batch_sizes.iter())
        .map(|&batch| {
            let count = |curves: &[Curve]| curves.iter().filter(|c| above(c, batch)).count();
            let (run, control) = (count(&runs.runs), count(&runs.controls));
            format!("{run} (control {control}) at batch {batch}")
        })
        .collect();
    finding.summary += &format!("; runs that start above 1: {}", told.join(", "));
    for (&batch, leads) in runs.batch_sizes.iter().zip(&leads) {
        let crossing = leads.iter().filter(|l| l.seeds > 0).map(|l| {
            let OverSeeds { of, seeds, .. } = l;
            format!("{seeds} {of} cross {} steps", l.told())
        });
        let crossing: Vec<String> = crossing.collect();
        if !crossing.is_empty() {
            let crossing = crossing.join(", ");
            finding.summary += &format!(
                "; at batch {batch} {crossing} ahead of the half-way rise (behind it, if negative)"
            );
        }
    }
    finding.over_seeds = starts.into_iter().chain(leads.concat()).collect();
    finding
}

/// The definitions of [`improvements`], by name.
const DEFINITIONS: [&str; 3] = ["above chance", "half way up", "nine tenths of the last"];

/// Levels of `C` around the document's 1.
const LEVELS: [f64; 3] = [0.5, 1.0, 2.0];

fn holds(runs: &Runs, curve: &Curve, batch_size: usize, definition: usize, level: f64) -> bool {
    let crossed = crossing(&curve.series(runs.view, batch_size), level);
    let improved = improvements(runs, &curve.accuracies())[definition];
    matches!((crossed, improved), (Some(crossed), Some(improved)) if crossed < improved)
}

fn shown(runs: &Runs, control: &Curve, batch_size: usize, _: usize, level: f64) -> bool {
    let crossed = crossing(&control.series(runs.view, batch_size), level).is_some();
    crossed && !generalises(runs, control)
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
    use crate::scenarios::measurement::{Estimator, View};
    use crate::scenarios::training::Item;

    #[test]
    fn a_crossing_is_upward_through_one_and_a_run_that_starts_above_has_none() {
        let at =
            |values: &[f64]| crossing(&values.iter().map(|&v| Some(v)).collect::<Vec<_>>(), 1.0);
        assert_eq!(at(&[0.5, 0.9, 1.1, 0.8, 2.0]), Some(2));
        assert_eq!(at(&[2.0, 3.0]), None);
        assert_eq!(at(&[2.0, 0.5, 3.0]), Some(2));
        assert_eq!(crossing(&[Some(0.5), None, Some(2.0)], 1.0), None);
    }

    fn one_run(classes: usize, test_examples: usize) -> Runs {
        Runs {
            runs: vec![Curve {
                item: Item::new(0, None),
                readings: Vec::new(),
            }],
            controls: Vec::new(),
            batch_sizes: vec![1],
            view: View::of_examples(Estimator::PerExample),
            test_examples,
            classes,
        }
    }

    #[test]
    fn planted_runs_cross_on_their_side_of_every_improvement_whatever_the_classes_and_test_examples()
     {
        for (classes, test_examples) in [(2, 1_000_000), (10, 450), (97, 7527), (97, 1_000_000)] {
            let [late, early] = plant(&one_run(classes, test_examples));
            let sides = [&late, &early].map(|world| {
                let readings = &world.runs[0].readings;
                let accuracies: Vec<f64> = readings.iter().map(|r| r.accuracy).collect();
                let values: Vec<_> = readings.iter().map(|r| r.values[0].c).collect();
                let at = crossing(&values, 1.0).expect("it jumps over 1");
                improvements(world, &accuracies).map(|improved| improved.map(|i| at < i))
            });
            let expected = [[Some(false); 3], [Some(true); 3]];
            assert_eq!(sides, expected, "{classes} classes, {test_examples} tests");
        }
    }

    #[test]
    fn the_lead_is_the_steps_from_the_crossing_to_the_half_way_rise() {
        let like = one_run(10, 100);
        // accuracy is half of the way up at the eleventh of twenty readings, a step apart
        let lead_of = |jump: usize| {
            let runs = Runs::made_up(&like, |_, k, _| if k >= jump { 2.0 } else { 0.5 });
            lead(&runs, &runs.runs[0], 1)
        };
        assert_eq!(lead_of(4), Some(6.0));
        assert_eq!(lead_of(15), Some(-5.0));
        assert_eq!(lead_of(0), None);
    }
}
