//! Networks of few layers and of very many, with `C` by all per-example gradients along training.
//!
//! One piece of work is one network: its kind and depth, one seed, and the labels as they are or dealt out at random.

use super::data::{CLASSES, Examples, PIXELS, digits};
use super::loader::Loader;
use super::measurement::population_ratio;
use super::models::Model;
use super::models::deep::{self, Kind, Shape};
use super::optimiser::{Optimiser, Rule};
use super::study::{self, Study, Tiers, Work};
use crate::error::{Error, Result};
use crate::interrupt;
use crate::tier::Tier;
use candle_core::{Device, Tensor};
use fjld_core::Objective;
use fjld_core::rng::Seed;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;

/// What the scenario's file says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DepthStudy {
    #[serde(rename = "schema")]
    _schema: String,
    #[serde(rename = "kind")]
    _kind: String,
    /// Its name.
    pub name: String,
    /// What it is, in a phrase.
    pub about: String,
    /// The claims it speaks to.
    pub claims: Vec<String>,
    /// Measurement batches at which the sentence is judged.
    pub batch_sizes: Vec<u64>,
    data: Data,
    network: Choice,
    training: Training,
    tiers: Tiers,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    /// Digits to train on, and to measure with.
    examples: usize,
    /// Digits to test on.
    test_examples: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Choice {
    kinds: Vec<Kind>,
    width: usize,
    /// Layers with weights, by tier.
    depths: BTreeMap<Tier, Vec<usize>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Training {
    optimiser: Rule,
    batch_size: usize,
    learning_rate: f64,
    /// By tier.
    steps: BTreeMap<Tier, u64>,
    /// By tier.
    readings: BTreeMap<Tier, usize>,
}

/// One network's training: a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DepthCurve {
    /// How its layers follow each other.
    pub kind: Kind,
    /// Layers with weights.
    pub depth: usize,
    /// Counts the seeds.
    pub seed: u64,
    /// Whether the labels were dealt out at random.
    pub shuffled: bool,
    /// Steps taken before each reading. They stop early where the loss is no number any more.
    pub steps: Vec<u64>,
    /// `C` at batch 1 by all per-example gradients of the training set; null where it is undefined.
    pub c: Vec<Option<f64>>,
    /// The share of test digits that are told rightly.
    pub accuracy: Vec<f64>,
    /// The mean loss over the training set.
    pub loss: Vec<f64>,
}

/// A piece of work.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Piece {
    kind: Kind,
    depth: usize,
    seed: u64,
    shuffled: bool,
}

impl std::fmt::Display for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let arm = if self.shuffled {
            "shuffled-labels"
        } else {
            "true-labels"
        };
        let Self { depth, seed, .. } = self;
        write!(f, "seed-{seed}-{}-{depth}-{arm}", self.kind.name())
    }
}

impl DepthStudy {
    /// Refuses values out of range.
    ///
    /// # Errors
    /// Naming the first of them.
    pub fn check(&self, origin: &str) -> Result<()> {
        let refuse = |key: &str, value: &dyn std::fmt::Debug, accepted: &str| {
            Err(Error::input(format!(
                "{origin}: {key} is {value:?}; it must be {accepted}"
            )))
        };
        if self.batch_sizes.is_empty() || self.batch_sizes.contains(&0) {
            let accepted = "a list of numbers that are at least 1";
            return refuse("batch_sizes", &self.batch_sizes, accepted);
        }
        let total = self.data.examples + self.data.test_examples;
        if total > digits().len() || self.data.test_examples == 0 {
            let accepted = format!("at most {}, the digits there are", digits().len());
            return refuse("data.examples + test_examples", &total, &accepted);
        }
        if !(2..=self.data.examples).contains(&self.training.batch_size) {
            let accepted = "at least 2 and at most data.examples";
            return refuse("training.batch_size", &self.training.batch_size, accepted);
        }
        let rate = self.training.learning_rate;
        if !(rate > 0.0 && rate.is_finite()) {
            return refuse("training.learning_rate", &rate, "positive");
        }
        if self.network.kinds.is_empty() || self.network.width == 0 {
            return refuse(
                "network.width",
                &self.network.width,
                "at least 1, of some kind",
            );
        }
        for tier in Tier::ALL {
            let depths = self.network.depths.get(&tier);
            if depths.is_none_or(|d| d.is_empty() || d.iter().any(|&depth| depth < 2)) {
                let key = format!("network.depths.{}", tier.name());
                return refuse(&key, &depths, "a list of numbers that are at least 2");
            }
            let steps = self.training.steps.get(&tier);
            if steps.is_none_or(|&s| s == 0) {
                let key = format!("training.steps.{}", tier.name());
                return refuse(&key, &steps, "at least 1");
            }
            let readings = self.training.readings.get(&tier);
            if readings.is_none_or(|&r| r < 3) {
                let key = format!("training.readings.{}", tier.name());
                return refuse(&key, &readings, "at least 3");
            }
        }
        self.tiers.check(origin)
    }

    fn pieces(&self, tier: Tier) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for seed in 0..self.tiers.seeds(tier) {
            for &kind in &self.network.kinds {
                for &depth in &self.network.depths[&tier] {
                    for shuffled in [false, true] {
                        pieces.push(Piece {
                            kind,
                            depth,
                            seed,
                            shuffled,
                        });
                    }
                }
            }
        }
        pieces
    }

    /// Steps before which a reading is taken: none, then at equal ratios, then all of them.
    fn reading_steps(&self, tier: Tier) -> Vec<u64> {
        let (last, count) = (self.training.steps[&tier], self.training.readings[&tier]);
        let at = |k: usize| {
            let share = k as f64 / (count - 2) as f64;
            (last as f64).powf(share).round() as u64
        };
        let mut steps: Vec<u64> = std::iter::once(0).chain((0..count - 1).map(at)).collect();
        steps.dedup();
        steps
    }

    fn train(&self, piece: Piece, work: &Work) -> Result<DepthCurve> {
        let seed = work.seed.derive(&format!("seed {}", piece.seed));
        let (examples, test) = self.examples(seed, piece.shuffled)?;
        let shape = Shape {
            kind: piece.kind,
            depth: piece.depth,
            width: self.network.width,
        };
        let model = deep::build(shape, PIXELS, CLASSES, seed.derive("weights"))?;
        let batch = Some(self.training.batch_size);
        let mut loader = Loader::new(&examples, batch, seed.derive("order"))?;
        let rule = self.training.optimiser;
        let mut optimiser = Optimiser::new(rule, self.training.learning_rate, 0.0);
        let mut curve = DepthCurve {
            kind: piece.kind,
            depth: piece.depth,
            seed: piece.seed,
            shuffled: piece.shuffled,
            steps: Vec::new(),
            c: Vec::new(),
            accuracy: Vec::new(),
            loss: Vec::new(),
        };
        let mut taken = 0;
        for step in self.reading_steps(work.tier) {
            while taken < step {
                interrupt::check()?;
                let gradients = model.loss(&loader.next_batch()?)?.backward()?;
                optimiser.step(model.parameters(), &gradients)?;
                taken += 1;
            }
            if !curve.read(step, &model, &examples, &test)? {
                break;
            }
        }
        Ok(curve)
    }

    /// `(train, test)`, inputs and labels each.
    #[allow(clippy::type_complexity)]
    fn examples(&self, seed: Seed, shuffled: bool) -> Result<((Tensor, Tensor), (Tensor, Tensor))> {
        let total = self.data.examples + self.data.test_examples;
        let chosen = digits().sample(total, seed.derive("sample"));
        let share = self.data.test_examples as f64 / total as f64;
        let (mut train, test): (Examples, Examples) = chosen.split(share, seed.derive("split"));
        if shuffled {
            train = train.with_shuffled_labels(seed.derive("labels"));
        }
        Ok((train.tensors(&Device::Cpu)?, test.tensors(&Device::Cpu)?))
    }
}

impl DepthCurve {
    /// Takes a reading; `false` where the loss is no number, and there is nothing to read.
    fn read(
        &mut self,
        step: u64,
        model: &Model,
        examples: &(Tensor, Tensor),
        test: &(Tensor, Tensor),
    ) -> Result<bool> {
        let loss = model.mean_loss(examples, usize::MAX)?;
        // beyond this the squares of gradients leave the range of f32
        if !loss.is_finite() || loss > 1e12 {
            return Ok(false);
        }
        let Ok(c) = population_ratio(model, examples, usize::MAX) else {
            return Ok(false);
        };
        self.steps.push(step);
        self.c.push(c);
        self.accuracy.push(model.accuracy(test, usize::MAX)?);
        self.loss.push(loss);
        Ok(true)
    }

    /// The highest share of test digits told rightly.
    pub fn best_accuracy(&self) -> f64 {
        self.accuracy.iter().copied().fold(0.0, f64::max)
    }
}

impl Study for DepthStudy {
    fn name(&self) -> &str {
        &self.name
    }

    fn tiers(&self) -> &Tiers {
        &self.tiers
    }

    fn items(&self, tier: Tier) -> Vec<String> {
        self.pieces(tier).iter().map(Piece::to_string).collect()
    }

    fn run(&self, item: &str, work: &Work) -> Result<Vec<String>> {
        let pieces = self.pieces(work.tier).into_iter();
        let piece = pieces.into_iter().find(|piece| piece.to_string() == item);
        let piece = piece
            .ok_or_else(|| Error::input(format!("\"{item}\" is no piece of {}", self.name)))?;
        Ok(vec![study::line(&self.train(piece, work)?)])
    }

    fn table(&self, rows: &[String]) -> Result<String> {
        let curves: Vec<DepthCurve> = study::rows(rows)?;
        let mut out = format!(
            "{}\n\n{:9} {:>5} {:8} {:>9} {:>9} {:>9} {:>9} {:>9}\n",
            "means over seeds, of C at batch 1 in logarithms",
            "network",
            "depth",
            "labels",
            "accuracy",
            "C start",
            "C least",
            "C most",
            "C end"
        );
        let mut groups: Vec<(Kind, usize, bool)> = curves
            .iter()
            .map(|c| (c.kind, c.depth, c.shuffled))
            .collect();
        groups.sort_unstable();
        groups.dedup();
        for (kind, depth, shuffled) in groups {
            let of = |c: &&DepthCurve| (c.kind, c.depth, c.shuffled) == (kind, depth, shuffled);
            let own: Vec<&DepthCurve> = curves.iter().filter(of).collect();
            let count = own.len() as f64;
            let accuracy = own.iter().map(|c| c.best_accuracy()).sum::<f64>() / count;
            let c = |of: fn(&[f64]) -> Option<f64>| {
                let logs = own.iter().filter_map(|curve| {
                    let values: Vec<f64> = curve.c.iter().flatten().copied().collect();
                    of(&values).map(f64::ln)
                });
                let logs: Vec<f64> = logs.collect();
                (logs.iter().sum::<f64>() / logs.len() as f64).exp()
            };
            let labels = if shuffled { "shuffled" } else { "true" };
            writeln!(
                out,
                "{:9} {depth:>5} {labels:8} {accuracy:>9.2} {:>9.1e} {:>9.1e} {:>9.1e} {:>9.1e}",
                kind.name(),
                c(|v| v.first().copied()),
                c(|v| v.iter().copied().reduce(f64::min)),
                c(|v| v.iter().copied().reduce(f64::max)),
                c(|v| v.last().copied()),
            )
            .expect("writing to a string");
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests;
