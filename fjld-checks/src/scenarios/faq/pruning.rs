//! Pruning the weights that contribute little to `C`.

use super::mean;
use crate::error::{Error, Result};
use crate::scenarios::coordinates::{Contribution, Coordinates};
use crate::scenarios::course::{self, Bench, Course, Plain};
use crate::scenarios::mask::{self, Mask, Snapshot, magnitudes, matrices};
use crate::scenarios::optimiser::Rule;
use fjld_core::Objective;
use fjld_core::rng::Seed;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// This part as the file describes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pruning {
    batch_size: usize,
    learning_rate: f64,
    steps: u64,
    /// What the pruned weights' parts of `C` may add up to, relative to those of all weights of their matrix.
    little: Vec<f64>,
    /// Random masks beside each.
    random: usize,
    /// Steps of training after pruning.
    retraining: u64,
}

/// What the weights to prune were chosen by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// [`Contribution::Part`].
    Part,
    /// [`Contribution::Without`].
    Without,
    /// [`Contribution::Own`].
    Own,
    /// Plain: the weights' own size.
    Magnitude,
    /// The control: at random.
    Random,
}

impl Method {
    /// Those by a contribution to `C`, in the order of [`Contribution::ALL`].
    const BY_CONTRIBUTION: [Self; 3] = [Self::Part, Self::Without, Self::Own];

    const ALL: [Self; 5] = [
        Self::Part,
        Self::Without,
        Self::Own,
        Self::Magnitude,
        Self::Random,
    ];
}

/// A pruned network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Counts the runs: one trained network.
    pub seed: u64,
    /// What its weights were chosen by.
    pub method: Method,
    /// Counts the random masks.
    pub draw: usize,
    /// What the parts of the pruned weights add up to by [`Method::Part`], relative to all; the other methods prune as many.
    pub little: f64,
    /// The share of weights that are pruned.
    pub pruned: f64,
    /// Held-out accuracy right after pruning.
    pub accuracy: f64,
    /// The same after a short retraining.
    pub retrained: f64,
    /// Held-out accuracy of the whole network.
    pub whole: f64,
    /// The same after as many steps more.
    pub whole_retrained: f64,
}

/// How many weights of each matrix have parts that add up to at most this share of its sum, counted from the smallest.
fn countable(ranges: &[std::ops::Range<usize>], parts: &[f64], little: f64) -> Vec<usize> {
    let count = |range: &std::ops::Range<usize>| {
        let mut own = parts[range.clone()].to_vec();
        own.sort_by(f64::total_cmp);
        let allowed = little * own.iter().sum::<f64>();
        let sums = own.iter().scan(0.0, |sum, part| {
            *sum += part;
            Some(*sum)
        });
        sums.take_while(|sum| *sum <= allowed).count()
    };
    ranges.iter().map(count).collect()
}

impl Pruning {
    pub(super) fn check(&self, origin: &str) -> Result<()> {
        let plain = Plain {
            batch_size: self.batch_size,
            learning_rate: self.learning_rate,
            steps: self.steps,
        };
        plain.check(origin)?;
        course::shares(origin, "pruning.little", &self.little)?;
        course::at_least_one(origin, "pruning.random", self.random as u64)?;
        course::at_least_one(origin, "pruning.retraining", self.retraining)
    }

    pub(super) fn run(&self, run: u64, bench: &Bench, seed: Seed) -> Result<Vec<Row>> {
        let parameters = bench.model.parameters();
        let course = |name: &str| {
            let (rate, size) = (self.learning_rate, self.batch_size);
            Course::new(bench, Rule::Sgd, rate, size, seed.derive(name))
        };
        course("order")?.to(self.steps)?;
        let trained = Snapshot::of(parameters)?;
        let whole = bench.accuracy()?;
        let sizes = magnitudes(parameters)?;
        let coordinates = Coordinates::of(&bench.model, &bench.train)?
            .ok_or_else(|| Error::input("the training of the network to prune diverged"))?;
        course("retraining")?.to(self.retraining)?;
        let whole_retrained = bench.accuracy()?;
        // little is little either way: without a parameter C may grow as well
        let contributions = Contribution::ALL.map(|contribution| {
            let values = contribution.of(&coordinates).into_iter();
            values.map(f64::abs).collect::<Vec<f64>>()
        });
        let mut rows = Vec::new();
        for &little in &self.little {
            let pruned = countable(&matrices(parameters), &contributions[0], little);
            let by = |scores: &[f64]| Mask::lowest(parameters, scores, &pruned);
            let mut masks: Vec<_> = Method::BY_CONTRIBUTION
                .into_iter()
                .zip(&contributions)
                .map(|(method, scores)| (method, 0, by(scores)))
                .collect();
            masks.push((Method::Magnitude, 0, by(&sizes)));
            for draw in 0..self.random {
                let stream = seed.derive(&format!("mask {draw} for {little}"));
                let mask = Mask::random(parameters, &pruned, &mut stream.generator());
                masks.push((Method::Random, draw, mask));
            }
            for (method, draw, mask) in masks {
                trained.restore(parameters)?;
                mask::zero(parameters, &mask.tensors(parameters)?)?;
                let accuracy = bench.accuracy()?;
                course("retraining")?.masked(&mask)?.to(self.retraining)?;
                rows.push(Row {
                    seed: run,
                    method,
                    draw,
                    little,
                    pruned: mask.pruned_share(parameters),
                    accuracy,
                    retrained: bench.accuracy()?,
                    whole,
                    whole_retrained,
                });
            }
        }
        Ok(rows)
    }
}

pub(super) fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "pruning by               parts of C  pruned  accuracy  retrained  (whole, retrained)\n",
    );
    let mut levels: Vec<f64> = rows.iter().map(|r| r.little).collect();
    levels.sort_by(f64::total_cmp);
    levels.dedup();
    for little in levels {
        for method in Method::ALL {
            let own = || {
                rows.iter()
                    .filter(move |r| r.little == little && r.method == method)
            };
            let of = |value: fn(&Row) -> f64| mean(own().map(value));
            writeln!(
                text,
                "{:24} {little:10.4}  {:6.3}  {:8.3}  {:9.3}  ({:.3}, {:.3})",
                format!("{method:?}").to_lowercase(),
                of(|r| r.pruned),
                of(|r| r.accuracy),
                of(|r| r.retrained),
                of(|r| r.whole),
                of(|r| r.whole_retrained),
            )
            .ok();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_pruned_as_add_up_to_the_allowed_share_of_their_matrix() {
        let parts = [9.0, 1.0, 2.0, 7.0, 0.0, 0.0, 5.0];
        let counts = |little| countable(&[1..4, 4..7], &parts, little);
        // of the first matrix, 1 of 10 and then 3 of 10; of the second only what contributes nothing
        assert_eq!(counts(0.1), [1, 2]);
        assert_eq!(counts(0.3), [2, 2]);
        assert_eq!(counts(0.05), [0, 2]);
    }

    #[test]
    fn the_table_has_means_over_the_runs_of_each_method_at_each_level() {
        let row = |method, little, accuracy| Row {
            seed: 0,
            method,
            draw: 0,
            little,
            pruned: 0.25,
            accuracy,
            retrained: 0.75,
            whole: 0.875,
            whole_retrained: 1.0,
        };
        let text = table(&[
            row(Method::Part, 0.01, 0.125),
            row(Method::Part, 0.01, 0.375),
            row(Method::Random, 0.01, 0.0625),
            row(Method::Part, 0.1, 0.5),
        ]);
        let lines = super::super::tests::words(&text);
        assert_eq!(lines.len(), 2 * Method::ALL.len());
        let accuracy = |method: &str, little: &str| {
            let mut own = lines.iter().filter(|w| w[..2] == [method, little]);
            own.next().expect("each is there")[3]
        };
        // the mean of an eighth and three eighths
        assert_eq!(accuracy("part", "0.0100"), "0.250");
        assert_eq!(accuracy("random", "0.0100"), "0.062");
        assert_eq!(accuracy("part", "0.1000"), "0.500");
        // no run, no mean
        assert_eq!(accuracy("own", "0.0100"), "NaN");
        assert_eq!(accuracy("random", "0.1000"), "NaN");
    }
}
