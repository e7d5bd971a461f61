//! What the claims about known configurations share: a range of `C` before training and one at convergence.
//!
//! The ranges are stated without a batch size. `C` of minibatches is `B` times `C` of one example, so that any range is met at some
//! batch size; two ranges are met together only where their batch sizes overlap, and this is what a check looks for.

use super::multiverse::{self, Cell};
use super::runs::{Fate, Runs};
use crate::evidence::over_seeds::OverSeeds;
use crate::evidence::{Draw, Finding};
use crate::scenarios::measurement::{Estimator, Unit, View};
use crate::scenarios::training::{Curve, Reading};

/// Where `C` is said to lie.
#[derive(Clone, Copy, Debug)]
pub struct Ranges {
    /// Before the first step.
    pub start: [f64; 2],
    /// At convergence.
    pub end: [f64; 2],
}

/// The scenario and ranges of the claim with this name; `None` for another.
pub fn of(id: &str) -> Option<(&'static str, Ranges)> {
    use super::{config_cifar, config_gpt, config_mnist, config_modular};
    Some(match id {
        "config-mnist" => (config_mnist::SCENARIO, config_mnist::RANGES),
        "config-modular" => (config_modular::SCENARIO, config_modular::RANGES),
        "config-cifar" => (config_cifar::SCENARIO, config_cifar::RANGES),
        "config-gpt" => (config_gpt::SCENARIO, config_gpt::RANGES),
        _ => return None,
    })
}

/// The readings that are convergence: by one definition the last, by another the first of the highest test accuracy.
fn converged(curve: &Curve) -> Vec<&Reading> {
    let mut best: Option<&Reading> = None;
    for reading in &curve.readings {
        if best.is_none_or(|b| reading.accuracy > b.accuracy) {
            best = Some(reading);
        }
    }
    curve.readings.last().into_iter().chain(best).collect()
}

/// Whether a run came as far as to be asked what it is like at convergence: its training loss fell to at most this share of what it
/// was before the first step.
const FALLEN: f64 = 0.5;

fn has_converged(curve: &Curve) -> bool {
    match (curve.readings.first(), curve.readings.last()) {
        (Some(first), Some(last)) => last.loss <= FALLEN * first.loss,
        _ => false,
    }
}

/// Whether `C` of a reading lies in a range: surely, surely not, or its interval reaches over a bound.
fn inside(reading: &Reading, runs: &Runs, batch_size: usize, range: [f64; 2]) -> Fate {
    let value = reading.value(runs.view, batch_size);
    let Some((value, c)) = value.and_then(|v| Some((v, v.c?))) else {
        return Fate::Undecided;
    };
    let [low, high] = value.interval.unwrap_or([c, c]);
    if low >= range[0] && high <= range[1] {
        Fate::Holds
    } else if high < range[0] || low > range[1] {
        Fate::Fails
    } else {
        Fate::Undecided
    }
}

/// Both ranges must be met; the definitions of convergence must agree on the second, which a run that has not converged leaves open.
fn fate(ranges: Ranges, runs: &Runs, curve: &Curve, batch_size: usize) -> Fate {
    let start = curve.readings.first();
    let start = start.map_or(Fate::Undecided, |r| {
        inside(r, runs, batch_size, ranges.start)
    });
    // the document's procedure may have measured the last reading only
    let measured = converged(curve)
        .into_iter()
        .filter(|r| r.value(runs.view, batch_size).is_some());
    let ends: Vec<Fate> = measured
        .map(|r| inside(r, runs, batch_size, ranges.end))
        .collect();
    let counts = has_converged(curve) && !ends.is_empty();
    let all = |fate| counts && ends.iter().all(|&e| e == fate);
    if start == Fate::Fails || all(Fate::Fails) {
        Fate::Fails
    } else if start == Fate::Holds && all(Fate::Holds) {
        Fate::Holds
    } else {
        Fate::Undecided
    }
}

/// Batch sizes at which `C(B) = B C(1)` lies in the range in every run: above the first number and below the second. `None` where some
/// `C` is not known or not positive.
fn batches(
    readings: &[&Reading],
    unit: Unit,
    batch_sizes: &[usize],
    range: [f64; 2],
) -> Option<[f64; 2]> {
    let exact = View {
        estimator: Estimator::PerExample,
        unit,
    };
    let mut found = [0.0, f64::INFINITY];
    for reading in readings {
        let per_one = batch_sizes.iter().find_map(|&batch| {
            let c = reading.value(exact, batch)?.c?;
            Some(c / batch as f64)
        })?;
        if per_one <= 0.0 {
            return None;
        }
        found = [
            f64::max(found[0], range[0] / per_one),
            f64::min(found[1], range[1] / per_one),
        ];
    }
    (!readings.is_empty()).then_some(found)
}

/// Judges the ranges at every measurement batch of the runs, and looks for the batch sizes at which both would be met.
pub fn examine(ranges: Ranges, runs: &Runs, draw: &Draw) -> Finding {
    let mut finding = runs.judge(
        draw,
        "both ranges are met",
        |runs, curve, batch| fate(ranges, runs, curve, batch),
        |runs, curve, batch| fate(ranges, runs, curve, batch) == Fate::Holds,
        false,
    );
    for &batch in &runs.batch_sizes {
        let c = |reading: Option<&Reading>| reading?.value(runs.view, batch)?.c;
        finding.over_seeds.extend(
            [
                runs.means(&format!("C at the start, batch {batch}"), |curve| {
                    c(curve.readings.first())
                }),
                runs.means(&format!("C at the end, batch {batch}"), |curve| {
                    c(curve.readings.last())
                }),
            ]
            .concat(),
        );
    }
    if let Some(&batch) = runs.batch_sizes.first() {
        finding.summary += &format!("; {}", ends(&finding.over_seeds, batch));
    }
    let Some([start, end]) = solve(&runs.runs, runs, ranges) else {
        return finding;
    };
    let told = |[low, high]: [f64; 2]| match low.ceil() <= high {
        true => format!("a batch of {:.0} to {:.0}", low.ceil(), high.floor()),
        false => format!("no batch (above {low:.0} in one run, below {high:.0} in another)"),
    };
    finding.summary += &format!(
        "; by C(B) = B C(1) the first range takes {}, the second {}",
        told(start),
        told(end)
    );
    let converged = runs.runs.iter().filter(|c| has_converged(c)).count();
    finding.summary += &format!("; {converged} of {} runs converged", runs.runs.len());
    // seeds may differ more than a range is wide: a run by itself is judged more kindly
    let alone = |curve: &&Curve| {
        let own = solve(std::slice::from_ref(*curve), runs, ranges);
        own.and_then(common).is_some()
    };
    finding.summary += &format!(
        "; some batch would meet both in {} of {} runs",
        runs.runs.iter().filter(alone).count(),
        runs.runs.len()
    );
    if converged == runs.runs.len()
        && let Some([low, high]) = common([start, end])
    {
        finding.scope = Some(format!(
            "the measurement batch is {low:.0} to {high:.0} here"
        ));
    }
    finding
}

/// Batch sizes at which the start lies in its range in every run, and those at which the end does.
fn solve(curves: &[Curve], like: &Runs, ranges: Ranges) -> Option<[[f64; 2]; 2]> {
    let (unit, batch_sizes) = (like.view.unit, like.batch_sizes.as_slice());
    let starts: Vec<&Reading> = curves.iter().filter_map(|c| c.readings.first()).collect();
    // tokens are measured at the first reading and the last
    let exact = View {
        estimator: Estimator::PerExample,
        unit,
    };
    let measured = |r: &&Reading| batch_sizes.iter().any(|&b| r.value(exact, b).is_some());
    let ends: Vec<&Reading> = curves.iter().flat_map(converged).filter(measured).collect();
    Some([
        batches(&starts, unit, batch_sizes, ranges.start)?,
        batches(&ends, unit, batch_sizes, ranges.end)?,
    ])
}

/// `C` at the start and at the end at one batch, the controls in brackets.
fn ends(over_seeds: &[OverSeeds], batch: usize) -> String {
    let told = |when: &str| {
        let what = format!("C at the {when}, batch {batch}");
        let own = over_seeds.iter().filter(|o| o.what == what);
        let all: Vec<String> = own.map(|o| format!("{} ({})", o.told(), o.of)).collect();
        all.join(", ")
    };
    format!(
        "at batch {batch} C starts at {} and ends at {}",
        told("start"),
        told("end")
    )
}

/// The whole numbers that both have in common, the first and the last.
fn common([a, b]: [[f64; 2]; 2]) -> Option<[f64; 2]> {
    let (low, high) = (a[0].max(b[0]).ceil(), a[1].min(b[1]).floor());
    (low <= high && low >= 1.0).then_some([low, high])
}

/// The definitions of convergence, by name.
const DEFINITIONS: [&str; 2] = ["last reading", "best accuracy"];

/// How many times wider than stated both ranges are, to either side.
const WIDER: [f64; 3] = [1.0, 2.0, 10.0];

/// Every reading of the sentence at one learning rate: definition of convergence by how much wider the ranges are taken.
pub fn cells(ranges: Ranges, runs: &Runs, prefix: &str) -> Vec<Cell> {
    let definitions = DEFINITIONS.map(|name| format!("{prefix}{name}"));
    let names: Vec<&str> = definitions.iter().map(String::as_str).collect();
    let met = |runs: &Runs, curve: &Curve, batch: usize, definition: usize, wider: f64| {
        let within = |reading: Option<&Reading>, range: [f64; 2]| {
            let c = reading.and_then(|r| r.value(runs.view, batch)?.c);
            c.is_some_and(|c| c >= range[0] / wider && c <= range[1] * wider)
        };
        let end = converged(curve).get(definition).copied();
        within(curve.readings.first(), ranges.start) && within(end, ranges.end)
    };
    // a range is no effect that a control could take away; what it shows stands beside
    multiverse::grid(std::slice::from_ref(runs), &names, &WIDER, met, met)
}

/// Made-up runs that end at twice the range, and runs that keep to both.
pub fn plant(ranges: Ranges, real: &Runs) -> [Runs; 2] {
    let middle = |range: [f64; 2]| 0.5 * (range[0] + range[1]);
    [2.0 * ranges.end[1], middle(ranges.end)].map(|end| {
        Runs::made_up(real, |_, k, _| match k {
            0 => middle(ranges.start),
            _ => end,
        })
    })
}

/// What is planted, in words.
pub const DEFECT: &str = "runs that end at twice the upper bound";
/// What is planted, in words.
pub const TRUTH: &str = "runs that start and end in the middle of the ranges";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Outcome;
    use crate::evidence::ledger::Rates;
    use crate::scenarios::training::Item;
    use fjld_core::rng::Seed;

    const RANGES: Ranges = Ranges {
        start: [0.1, 0.3],
        end: [5.0, 10.0],
    };

    /// Five runs that start at `start` and end at `end` by exact measurement at batch 1.
    fn runs(start: f64, end: f64) -> Runs {
        let bare = |seed| Curve {
            item: Item::new(seed, None),
            readings: Vec::new(),
        };
        let like = Runs {
            runs: (0..5).map(bare).collect(),
            controls: Vec::new(),
            batch_sizes: vec![1],
            view: View::of_examples(Estimator::PerExample),
            test_examples: 100,
            classes: 10,
        };
        Runs::made_up(&like, |_, k, _| if k == 0 { start } else { end })
    }

    fn found(start: f64, end: f64) -> Finding {
        let draw = Draw {
            seed: Seed::root(1),
            rates: Rates::of_one_slot(),
        };
        examine(RANGES, &runs(start, end), &draw)
    }

    #[test]
    fn ranges_that_a_larger_batch_would_meet_are_refuted_and_the_batches_are_found() {
        let finding = found(0.01, 0.4);
        assert_eq!(finding.outcome, Outcome::Violated);
        // 10 to 30 for the start, 12.5 to 25 for the end
        let scope = "the measurement batch is 13 to 25 here";
        assert_eq!(finding.scope.as_deref(), Some(scope));
    }

    #[test]
    fn where_c_falls_no_batch_meets_both_ranges() {
        let finding = found(0.01, 0.001);
        assert_eq!(finding.outcome, Outcome::Violated);
        assert_eq!(finding.scope, None);
        let told = "the first range takes a batch of 10 to 30, the second a batch of 5000 to 10000; 5 of 5 runs converged; some batch would meet both in 0 of 5 runs";
        assert!(finding.summary.ends_with(told), "{}", finding.summary);
    }

    #[test]
    fn runs_whose_loss_has_not_fallen_leave_the_end_open_but_not_the_start() {
        let draw = Draw {
            seed: Seed::root(1),
            rates: Rates::of_one_slot(),
        };
        for (start, outcome) in [(0.2, Outcome::Undecided), (0.01, Outcome::Violated)] {
            let mut runs = runs(start, 0.4);
            let readings = runs.runs.iter_mut().flat_map(|c| &mut c.readings);
            readings.for_each(|r| r.loss = 2.0);
            assert_eq!(examine(RANGES, &runs, &draw).outcome, outcome);
        }
    }

    #[test]
    fn runs_within_both_ranges_hold() {
        assert_eq!(found(0.2, 7.0).outcome, Outcome::Holds);
    }
}
