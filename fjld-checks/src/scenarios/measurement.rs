//! `C` of a network at one moment of its training, by every estimator at every measurement batch.

use super::models::chunks;
use crate::error::{Error, Result};
use crate::interrupt;
use candle_core::Tensor;
use fjld_core::capture::{moments_of, per_example};
use fjld_core::rng::{Generator, Seed};
use fjld_core::{Objective, Ratio};
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// What is measured at each reading.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasurementChoice {
    /// How many examples a measured gradient averages over.
    pub batch_sizes: Vec<usize>,
    /// Measured gradients a reading, by the document's procedure.
    pub draws: usize,
    sampling: Sampling,
    estimators: Vec<Estimator>,
    unit: Unit,
    /// How many readings a run has.
    pub readings: usize,
    /// Where a run is measured by the document's procedure; everywhere if it is not said.
    #[serde(default)]
    minibatch_readings: Where,
    /// Examples that go through the network at a time where all of them do; all if it is not given.
    chunk: Option<usize>,
}

/// At which readings of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Where {
    /// At every one.
    #[default]
    All,
    /// At the first and the last.
    Ends,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Sampling {
    WithReplacement,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Unit {
    Minibatch,
}

/// How `C` was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Estimator {
    /// The document's procedure: gradients of minibatches drawn at random; debiased.
    Minibatch,
    /// All per-example gradients of the training set, taken as the population that minibatches are drawn from: exact.
    PerExample,
}

impl Estimator {
    /// The estimator of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn named(name: &str) -> Result<Self> {
        let found = [Self::Minibatch, Self::PerExample].into_iter();
        let mut found = found.filter(|estimator| estimator.name() == name);
        let none = || Error::input(format!("no estimator is called \"{name}\""));
        found.next().ok_or_else(none)
    }

    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Minibatch => "minibatch",
            Self::PerExample => "per-example",
        }
    }
}

/// `C` as one estimator gives it at one measurement batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Value {
    /// How it was measured.
    pub estimator: Estimator,
    /// How many examples a measured gradient averages over.
    pub batch_size: usize,
    /// The estimate; `None` where it is undefined.
    pub c: Option<f64>,
    /// Its interval at the level 0.95; `None` where there is none (the exact value needs none).
    pub interval: Option<[f64; 2]>,
}

impl MeasurementChoice {
    /// Examples that go through the network at a time where all of them do.
    pub fn chunk(&self) -> usize {
        self.chunk.unwrap_or(usize::MAX)
    }

    /// `C` of `model` on `examples`, by every estimator at every measurement batch; `at_end` says whether this is the first reading of
    /// its run or the last.
    ///
    /// # Errors
    /// When candle fails, a gradient is not finite, or the run is interrupted.
    pub fn values<O: Objective<Batch = (Tensor, Tensor)>>(
        &self,
        model: &O,
        examples: &(Tensor, Tensor),
        at_end: bool,
        seed: Seed,
    ) -> Result<Vec<Value>> {
        let mut values = Vec::new();
        for &estimator in &self.estimators {
            let skipped = self.minibatch_readings == Where::Ends && !at_end;
            let exact = match estimator {
                Estimator::PerExample => population_ratio(model, examples, self.chunk())?,
                Estimator::Minibatch if skipped => continue,
                Estimator::Minibatch => None,
            };
            for &batch_size in &self.batch_sizes {
                interrupt::check()?;
                let (c, interval) = match estimator {
                    Estimator::PerExample => (exact.map(|c| c * batch_size as f64), None),
                    Estimator::Minibatch => {
                        let name = format!("batches of {batch_size}");
                        let generator = &mut seed.derive(&name).generator();
                        let draws = self.draws;
                        sampled_ratio(model, examples, batch_size, draws, generator)?
                    }
                };
                values.push(Value {
                    estimator,
                    batch_size,
                    c,
                    interval,
                });
            }
        }
        Ok(values)
    }
}

/// `C` at batch size 1, exactly: the training set is the population, its covariance has the divisor `N`, and each example's gradient
/// is computed once, `chunk` examples at a time.
///
/// # Errors
/// When candle fails or a gradient is not finite.
pub fn population_ratio<O: Objective<Batch = (Tensor, Tensor)>>(
    model: &O,
    examples: &(Tensor, Tensor),
    chunk: usize,
) -> Result<Option<f64>> {
    let mut parts = chunks(examples, chunk)?.into_iter();
    let Some(first) = parts.next() else {
        return Ok(None);
    };
    let mut statistics = per_example(model, &first)?.statistics;
    for part in parts {
        interrupt::check()?;
        statistics.merge(&per_example(model, &part)?.statistics)?;
    }
    let ratio = statistics.ratio(0.95)?;
    let n = ratio.samples as f64;
    Ok(ratio.estimates.ok().map(|e| e.plug_in * n / (n - 1.0)))
}

/// `C` at batch size `batch_size` by the document's procedure: `draws` gradients, each of a minibatch drawn with replacement; debiased,
/// with its interval at the level 0.95.
fn sampled_ratio<O: Objective<Batch = (Tensor, Tensor)>>(
    model: &O,
    (inputs, labels): &(Tensor, Tensor),
    batch_size: usize,
    draws: usize,
    generator: &mut Generator,
) -> Result<(Option<f64>, Option<[f64; 2]>)> {
    let batches = (0..draws).map(|_| draw_batch(inputs, labels, batch_size, generator));
    let ratio = Ratio::estimate(&moments_of(model, batches)?, 0.95)?;
    Ok(match ratio.estimates {
        Err(_) => (None, None),
        Ok(e) => (Some(e.debiased), e.interval.ok().map(|i| [i.low, i.high])),
    })
}

/// A minibatch of `size` examples drawn with replacement.
///
/// # Errors
/// When candle fails.
pub fn draw_batch(
    inputs: &Tensor,
    labels: &Tensor,
    size: usize,
    generator: &mut Generator,
) -> candle_core::Result<(Tensor, Tensor)> {
    let n = labels.dim(0)? as u32;
    let picked: Vec<u32> = (0..size).map(|_| generator.random_range(0..n)).collect();
    let picked = Tensor::from_vec(picked, size, inputs.device())?;
    Ok((
        inputs.index_select(&picked, 0)?,
        labels.index_select(&picked, 0)?,
    ))
}
