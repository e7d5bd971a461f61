//! The tails of the gradient noise of a network in training, beside Gaussian noise of the same covariance.
//!
//! *Heavier*: the interval of the index by Hill lies wholly below the Gaussian noise's estimate from as many values in the same tail; *lighter*,
//! where the estimate is no smaller; else the two are not told apart. That is asked of the deviation's length and of its size along a random
//! direction, with three numbers of values in the tail, and those that tell anything have to agree.

use crate::claims::by_seed::{self, Run, Words, judge, middle};
use crate::claims::kfac_runs::agreed;
use crate::claims::runs::Fate;
use crate::evidence::{Check, Draw, Finding, Role};
use crate::scenarios::heavy_tails::index::{Estimate, Rule};
use crate::scenarios::heavy_tails::{Of, Row};

/// The study.
pub const SCENARIO: &str = "heavy-tails";

/// The last reading's row of a law.
fn last(run: &Run<Row>, batch_size: Option<usize>, of: Of, rule: Rule) -> Option<&Row> {
    let chosen = |row: &&Row| (row.batch_size, row.of, row.rule) == (batch_size, of, rule);
    run.iter().rev().find(chosen)
}

/// What a question finds by both quantities and all three rules.
fn by_all<T>(question: impl Fn(Of, Rule) -> T) -> Vec<T> {
    let quantities = [Of::Length, Of::Projection].into_iter();
    quantities
        .flat_map(|of| Rule::ALL.map(|rule| (of, rule)))
        .map(|(of, rule)| question(of, rule))
        .collect()
}

fn heavier(run: &Run<Row>, batch_size: usize) -> Fate {
    agreed(by_all(|of, rule| {
        let own = last(run, Some(batch_size), of, rule)?.hill?;
        let gaussian = last(run, None, of, rule)?.hill?;
        if own.interval[1] < gaussian.value {
            Some(true)
        } else {
            (own.value >= gaussian.value).then_some(false)
        }
    }))
}

/// The middle estimates over the runs, at the first reading and the last.
fn told(runs: &[Run<Row>]) -> String {
    let batches = |run: &Run<Row>| {
        let mut sizes: Vec<Option<usize>> = run.iter().map(|row| row.batch_size).collect();
        sizes.dedup();
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    };
    let sizes = runs.first().map_or(Vec::new(), batches);
    let of = |size: Option<usize>, at_end: bool, of: Of| {
        let values = runs.iter().filter_map(|run| {
            let mut rows = run
                .iter()
                .filter(|row| (row.batch_size, row.of, row.rule) == (size, of, Rule::Root));
            let row = if at_end {
                rows.next_back()
            } else {
                rows.next()
            };
            Some(row?.hill?.value)
        });
        middle(values)
    };
    let parts = sizes.into_iter().map(|size| {
        let name = size.map_or("Gaussian noise".to_owned(), |b| format!("batches of {b}"));
        let [length, projection] = [Of::Length, Of::Projection].map(|quantity| {
            let (first, last) = (of(size, false, quantity), of(size, true, quantity));
            format!("{first:.1} to {last:.1}")
        });
        format!("{name} {length} in length and {projection} along a direction")
    });
    let parts: Vec<String> = parts.collect();
    format!(
        "; the index by Hill goes over training, in the middle run, from {}",
        parts.join(", ")
    )
}

#[allow(clippy::ptr_arg, reason = "a check examines a world as it is kept")]
fn examine_heavier(runs: &Vec<Run<Row>>, draw: &Draw) -> Finding {
    let fates: Vec<Fate> = runs.iter().map(|run| heavier(run, 1)).collect();
    let mut finding = judge(
        draw,
        "after training one example's noise has a heavier tail than Gaussian noise of the same covariance",
        &fates,
    );
    finding.summary += &told(runs);
    let extreme = [Of::Length, Of::Projection].map(|of| {
        middle(runs.iter().filter_map(|run| {
            let row = last(run, Some(1), of, Rule::Root)?;
            Some(row.extreme_value_index?.value)
        }))
    });
    finding.summary += &format!(
        "; one example's extreme value index after training is {:.2} in length and {:.2} along a direction",
        extreme[0], extreme[1]
    );
    finding
}

/// Rows in which one example's noise has this index, and Gaussian noise has 8.
fn planted(like: &[Run<Row>], index: f64) -> Vec<Run<Row>> {
    let run = |seed: u64| {
        let row = |batch_size: Option<usize>| {
            move |(of, rule): (Of, Rule)| {
                let value = if batch_size.is_some() { index } else { 8.0 };
                Row {
                    seed,
                    step: 0,
                    accuracy: 0.9,
                    batch_size,
                    of,
                    rule,
                    tail: 40,
                    hill: Some(Estimate {
                        value,
                        interval: [0.7 * value, 1.3 * value],
                    }),
                    extreme_value_index: None,
                }
            }
        };
        let each = by_all(|of, rule| (of, rule));
        let own = each.iter().copied().map(row(Some(1)));
        own.chain(each.iter().copied().map(row(None))).collect()
    };
    (0..like.len() as u64).map(run).collect()
}

/// That training leaves the noise of one example with a heavier tail than Gaussian noise.
pub fn heavier_than_gaussian() -> Check {
    by_seed::check(
        Words {
            id: "real-noise",
            role: Role::Corrected,
            hypothesis: "in a trained network the interval of Hill's index of one example's gradient noise lies below the index of Gaussian noise of the same covariance, as far as it tells the two apart",
            defect: "noise with the index of Gaussian noise",
            truth: "noise of the index 3 beside Gaussian noise's 8",
        },
        (SCENARIO, |row: &Row| row.seed),
        |real| [8.0, 3.0].map(|index| planted(real, index)),
        examine_heavier,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::by_seed::tests::draw;
    use crate::evidence::Outcome;

    fn like() -> Vec<Run<Row>> {
        vec![Vec::new(); 5]
    }

    #[test]
    fn noise_is_heavier_where_its_interval_lies_below_the_gaussian_index() {
        let found = |index| examine_heavier(&planted(&like(), index), &draw()).outcome;
        assert_eq!(found(3.0), Outcome::Holds);
        assert_eq!(found(9.0), Outcome::Violated);
        // 7 with an interval up to 9.1 tells nothing
        assert_eq!(found(7.0), Outcome::Undecided);
    }
}
