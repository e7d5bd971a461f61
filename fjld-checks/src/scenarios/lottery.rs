//! Sparse subnetworks of one network, rewound to its first weights and trained like it (Frankle and Carbin 2019, arXiv:1803.03635), with
//! `C` and plain quantities read on the way.

use super::coordinates::{Contribution, Coordinates};
use super::course::{self, Bench, Course, Plain};
use super::data::choice::DataChoice;
use super::data::folder::DataSet;
use super::mask::{Mask, Snapshot, counts, magnitudes};
use super::models::ModelChoice;
use super::optimiser::Rule;
use super::study::{Study, Tiers, Work, line, rows};
use crate::error::{Error, Result};
use crate::tier::Tier;
use fjld_core::Objective;
use fjld_core::rng::Seed;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// The experiment as its file describes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lottery {
    schema: String,
    kind: String,
    name: String,
    about: String,
    claims: Vec<String>,
    data: DataChoice,
    model: ModelChoice,
    training: Plain,
    pruning: Pruning,
    tiers: Tiers,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pruning {
    /// The shares of each weight matrix that are pruned, in ascending order.
    shares: Vec<f64>,
    /// Random masks of each share.
    random: usize,
    /// Steps of a subnetwork's training before which it is read, besides its end.
    readings: Vec<u64>,
}

/// How a mask was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The smallest weights of the trained network are pruned.
    Magnitude,
    /// The same, share after share, each time from the trained and rewound subnetwork before.
    Iterative,
    /// The weights of the trained network whose part `mu_i^2 / Tr D` of `C` is smallest.
    Contribution,
    /// The control: weights at random.
    Random,
}

/// A subnetwork and how it fared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Counts the runs: one network with its subnetworks.
    pub seed: u64,
    /// How its mask was found.
    pub method: Method,
    /// Counts the random masks of one share.
    pub draw: usize,
    /// The share of each weight matrix that is pruned.
    pub share: f64,
    /// What was read, before the first step and on.
    pub readings: Vec<Reading>,
    /// Held-out accuracy in the end.
    pub accuracy: f64,
    /// Held-out loss in the end; `None` where it is not finite.
    pub loss: Option<f64>,
    /// Held-out accuracy of the whole network after as many steps.
    pub whole_accuracy: f64,
    /// Its held-out loss.
    pub whole_loss: Option<f64>,
}

/// The state of a subnetwork before one of its steps, over its kept parameters and all training examples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Steps taken before it.
    pub step: u64,
    /// `C` of one example, exactly; at batch `B` it is `B` times that. `None` where it is undefined.
    pub c: Option<f64>,
    /// `|mu|`.
    pub gradient: Option<f64>,
    /// The mean loss; `None`, like the others, where training diverged.
    pub loss: Option<f64>,
}

impl Lottery {
    /// Refuses values out of range.
    ///
    /// # Errors
    /// Naming the first of them.
    pub fn check(&self, origin: &str) -> Result<()> {
        self.data.check(origin)?;
        self.model.check(origin)?;
        self.training.check(origin)?;
        course::shares(origin, "pruning.shares", &self.pruning.shares)?;
        course::at_least_one(origin, "pruning.random", self.pruning.random as u64)?;
        let (readings, steps) = (&self.pruning.readings, self.training.steps);
        if readings.is_empty() || !readings.is_sorted() || readings.iter().any(|&r| r >= steps) {
            return Err(Error::input(format!(
                "{origin}: pruning.readings is {readings:?}; it must be an ascending list of steps before training.steps = {steps}"
            )));
        }
        if !self.pruning.shares.is_sorted() {
            return Err(Error::input(format!(
                "{origin}: pruning.shares is {:?}; it must be ascending",
                self.pruning.shares
            )));
        }
        self.tiers.check(origin)
    }

    /// Trains a subnetwork from the first weights, leaving the network at its end.
    fn train(
        &self,
        bench: &Bench,
        start: &Snapshot,
        mask: &Mask,
        order: Seed,
    ) -> Result<Vec<Reading>> {
        let Plain {
            batch_size,
            learning_rate,
            steps,
        } = self.training;
        start.restore(bench.model.parameters())?;
        let course = Course::new(bench, Rule::Sgd, learning_rate, batch_size, order)?;
        let mut course = course.masked(mask)?;
        let mut readings = Vec::new();
        for &step in self.pruning.readings.iter().chain([&steps]) {
            course.to(step)?;
            let coordinates = Coordinates::of(&bench.model, &bench.train)?;
            readings.push(Reading {
                step,
                c: coordinates.as_ref().and_then(|c| c.ratio(&mask.0)),
                gradient: coordinates.map(|c| c.signal(&mask.0).sqrt()),
                loss: bench.loss()?,
            });
        }
        Ok(readings)
    }
}

impl Study for Lottery {
    fn name(&self) -> &str {
        &self.name
    }

    fn tiers(&self) -> &Tiers {
        &self.tiers
    }

    fn items(&self, tier: Tier) -> Vec<String> {
        let seeds = 0..self.tiers.seeds(tier);
        seeds.map(|seed| format!("seed-{seed}")).collect()
    }

    fn run(&self, item: &str, work: &Work) -> Result<Vec<String>> {
        let number = item.strip_prefix("seed-").and_then(|n| n.parse().ok());
        let run: u64 =
            number.ok_or_else(|| Error::input(format!("no run is called \"{item}\"")))?;
        let seed = work.seed.derive(item);
        let bench = Bench::new(&self.data, &self.model, seed, work.data, false)?;
        let parameters = bench.model.parameters();
        let start = Snapshot::of(parameters)?;
        // all see the same batches, so that they differ by their masks only
        let order = seed.derive("order");
        self.train(&bench, &start, &Mask::whole(parameters), order)?;
        let whole = (bench.accuracy()?, bench.held_out_loss()?);
        let sizes = magnitudes(parameters)?;
        let coordinates = Coordinates::of(&bench.model, &bench.train)?;
        let parts = coordinates.map_or(sizes.clone(), |c| Contribution::Part.of(&c));
        let mut iterative = sizes.clone();
        let mut found = Vec::new();
        for &share in &self.pruning.shares {
            let pruned = counts(parameters, share);
            let mut masks = vec![
                (
                    Method::Magnitude,
                    0,
                    Mask::lowest(parameters, &sizes, &pruned),
                ),
                (
                    Method::Iterative,
                    0,
                    Mask::lowest(parameters, &iterative, &pruned),
                ),
                (
                    Method::Contribution,
                    0,
                    Mask::lowest(parameters, &parts, &pruned),
                ),
            ];
            for draw in 0..self.pruning.random {
                let stream = seed.derive(&format!("mask {draw} of {share}"));
                let mask = Mask::random(parameters, &pruned, &mut stream.generator());
                masks.push((Method::Random, draw, mask));
            }
            for (method, draw, mask) in masks {
                let readings = self.train(&bench, &start, &mask, order)?;
                if method == Method::Iterative {
                    iterative = magnitudes(parameters)?;
                }
                found.push(line(&Row {
                    seed: run,
                    method,
                    draw,
                    share,
                    readings,
                    accuracy: bench.accuracy()?,
                    loss: bench.held_out_loss()?,
                    whole_accuracy: whole.0,
                    whole_loss: whole.1,
                }));
            }
        }
        Ok(found)
    }

    fn needs(&self) -> Option<&'static DataSet> {
        self.data.needs()
    }

    fn table(&self, lines: &[String]) -> Result<String> {
        let rows: Vec<Row> = rows(lines)?;
        let mut text = String::from(
            "pruned  mask          accuracy  C of one example, in the order of the readings\n",
        );
        for &share in &self.pruning.shares {
            for method in [
                Method::Magnitude,
                Method::Iterative,
                Method::Contribution,
                Method::Random,
            ] {
                let own: Vec<&Row> = rows
                    .iter()
                    .filter(|r| r.share == share && r.method == method)
                    .collect();
                let mean = |of: &dyn Fn(&Row) -> Option<f64>| {
                    let values: Vec<f64> = own.iter().filter_map(|r| of(r)).collect();
                    values.iter().sum::<f64>() / values.len() as f64
                };
                let accuracy = mean(&|r| Some(r.accuracy));
                write!(
                    text,
                    "{share:6.3}  {:12}  {accuracy:8.3} ",
                    format!("{method:?}").to_lowercase()
                )
                .ok();
                for k in 0..=self.pruning.readings.len() {
                    write!(text, " {:9.5}", mean(&|r| r.readings.get(k)?.c)).ok();
                }
                text.push('\n');
            }
        }
        if let Some(row) = rows.first() {
            writeln!(
                text,
                "the whole network of the first run: accuracy {:.3}",
                row.whole_accuracy
            )
            .ok();
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests;
