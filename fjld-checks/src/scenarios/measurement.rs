//! `C` of a network at one moment of its training, by every estimator, in every unit, at every measurement batch.

use super::models::{IGNORED, Model, chunks};
use crate::error::{Error, Result, printable};
use crate::interrupt;
use crate::precision::Scalar;
use candle_core::Tensor;
use fjld_core::capture::{self, Capture, Reduction, Statistics, moments_of, per_example};
use fjld_core::moments::Moments;
use fjld_core::rng::{Generator, Seed};
use fjld_core::{Objective, Ratio};
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// What is measured at each reading.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasurementChoice {
    /// How many examples, or tokens, a measured gradient averages over.
    pub batch_sizes: Vec<usize>,
    /// Measured gradients a reading, by the document's procedure.
    pub draws: usize,
    sampling: Sampling,
    estimators: Vec<Estimator>,
    /// What a batch is counted in: the first at every reading, the others at the first and the last.
    pub units: Vec<Unit>,
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

/// What a batch is counted in, and so what `C` at batch 1 is the ratio of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// An example: an image, a pair of numbers, a stretch of text.
    Example,
    /// One character of a text to be predicted, behind all that come before it in its stretch.
    Token,
}

impl Unit {
    /// The unit of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn named(name: &str) -> Result<Self> {
        let mut found = [Self::Example, Self::Token].into_iter();
        let none = || Error::input(format!("no unit is called \"{}\"", printable(name)));
        found.find(|unit| unit.name() == name).ok_or_else(none)
    }

    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Example => "example",
            Self::Token => "token",
        }
    }
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
        let none = || Error::input(format!("no estimator is called \"{}\"", printable(name)));
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

/// How a value was come by: one way to read what the document calls `C`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// How it was measured.
    pub estimator: Estimator,
    /// What the batch was counted in.
    pub unit: Unit,
}

impl View {
    /// An estimator of batches of examples.
    pub fn of_examples(estimator: Estimator) -> Self {
        Self {
            estimator,
            unit: Unit::Example,
        }
    }
}

/// `C` as one estimator gives it at one measurement batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Value {
    /// How it was measured.
    pub estimator: Estimator,
    /// What the batch is counted in.
    pub unit: Unit,
    /// How many of them a measured gradient averages over.
    pub batch_size: usize,
    /// The estimate; `None` where it is undefined.
    pub c: Option<f64>,
    /// Its interval at the level 0.95; `None` where there is none (the exact value needs none).
    pub interval: Option<[f64; 2]>,
}

/// Entries of per-example gradients that are kept at a time, so that minibatches are their means: 64 MB of `f32`.
const KEPT: usize = 1 << 24;

/// Sequences that go through the network at a time where each has one target.
const AT_ONCE: usize = 512;

impl MeasurementChoice {
    /// Examples that go through the network at a time where all of them do.
    pub fn chunk(&self) -> usize {
        self.chunk.unwrap_or(usize::MAX)
    }

    /// `C` of `model` on `examples`, by every estimator, in every unit, at every measurement batch; `at_end` says whether this is the
    /// first reading of its run or the last.
    ///
    /// # Errors
    /// When candle fails, a gradient is not finite, or the run is interrupted.
    pub fn values(
        &self,
        model: &Model,
        examples: &(Tensor, Tensor),
        at_end: bool,
        seed: Seed,
    ) -> Result<Vec<Value>> {
        let mut values = Vec::new();
        for (place, &unit) in self.units.iter().enumerate() {
            if place > 0 && !at_end {
                continue;
            }
            for &estimator in &self.estimators {
                let skipped = self.minibatch_readings == Where::Ends && !at_end;
                if estimator == Estimator::Minibatch && skipped {
                    continue;
                }
                let measured = match (estimator, unit) {
                    (Estimator::PerExample, Unit::Example) => {
                        exact(population_ratio(model, examples, self.chunk())?)
                    }
                    (Estimator::PerExample, Unit::Token) => exact(token_ratio(model, examples)?),
                    (Estimator::Minibatch, Unit::Example) => self.drawn(model, examples, seed)?,
                    (Estimator::Minibatch, Unit::Token) => {
                        let seed = seed.derive("tokens");
                        Box::new(move |batch_size| {
                            let generator = &mut drawing(seed, batch_size);
                            drawn_tokens(model, examples, batch_size, self.draws, generator)
                        })
                    }
                };
                for &batch_size in &self.batch_sizes {
                    interrupt::check()?;
                    let (c, interval) = measured(batch_size)?;
                    values.push(Value {
                        estimator,
                        unit,
                        batch_size,
                        c,
                        interval,
                    });
                }
            }
        }
        Ok(values)
    }

    /// The document's procedure: so many gradients, each of a minibatch drawn with replacement. Where all per-example gradients can be
    /// kept, that of a minibatch is computed as their mean, which it is; else by a backward pass of its own.
    fn drawn<'a>(
        &'a self,
        model: &'a Model,
        examples: &'a (Tensor, Tensor),
        seed: Seed,
    ) -> Result<AtBatch<'a>> {
        let n = examples.1.dim(0)?;
        let entries: usize = model.parameters().iter().map(|(_, v)| v.elem_count()).sum();
        if n > self.chunk() || n * entries > KEPT {
            return Ok(Box::new(move |batch_size| {
                let generator = &mut drawing(seed, batch_size);
                sampled_ratio(model, examples, batch_size, self.draws, generator)
            }));
        }
        let all = Capture::new(n, Reduction::Mean).rows();
        let all = all.run(model.parameters(), || model.loss(examples))?;
        let rows = all.statistics.rows()?.expect("they were asked for");
        Ok(Box::new(move |batch_size| {
            let generator = &mut drawing(seed, batch_size);
            let mut weights = vec![Scalar::default(); self.draws * n];
            for weights in weights.chunks_exact_mut(n) {
                for _ in 0..batch_size {
                    weights[generator.random_range(0..n as u32) as usize] +=
                        1.0 / batch_size as Scalar;
                }
            }
            let weights = Tensor::from_vec(weights, (self.draws, n), rows.device())?;
            let mut moments = Moments::new(entries)?;
            moments.push_tensor(&weights.to_dtype(rows.dtype())?.matmul(&rows)?)?;
            estimate(&moments)
        }))
    }
}

/// An estimate and its interval.
type Estimate = (Option<f64>, Option<[f64; 2]>);

/// Measures at a batch size.
type AtBatch<'a> = Box<dyn Fn(usize) -> Result<Estimate> + 'a>;

/// `C(B) = B C(1)`, without error.
fn exact<'a>(ratio: Option<f64>) -> AtBatch<'a> {
    Box::new(move |batch_size| Ok((ratio.map(|c| c * batch_size as f64), None)))
}

/// The stream that minibatches of a size are drawn from.
fn drawing(seed: Seed, batch_size: usize) -> Generator {
    seed.derive(&format!("batches of {batch_size}")).generator()
}

fn estimate(moments: &Moments) -> Result<Estimate> {
    Ok(match Ratio::estimate(moments, 0.95)?.estimates {
        Err(_) => (None, None),
        Ok(e) => (Some(e.debiased), e.interval.ok().map(|i| [i.low, i.high])),
    })
}

/// The ratio of draws that are a whole population, whose covariance has their number as its divisor; `None` where the noise vanished.
fn of_population(statistics: &Statistics) -> Result<Option<f64>> {
    let whole = statistics.whole()?;
    let n = whole.samples as f64;
    let defined = whole.noise > whole.rounding_floor;
    Ok(defined.then(|| whole.signal / whole.noise * n / (n - 1.0)))
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
    of_population(&statistics)
}

/// `C` of single tokens, exactly: every token of the training set, behind what comes before it in its stretch, is one of the population.
/// A model that predicts what follows does not see what comes later, so that a stretch is cut behind its token.
fn token_ratio(model: &Model, (inputs, labels): &(Tensor, Tensor)) -> Result<Option<f64>> {
    let (n, length) = labels.dims2()?;
    let mut all: Option<Statistics> = None;
    for place in 0..length {
        interrupt::check()?;
        let before = Tensor::full(IGNORED, (n, place), labels.device())?;
        let own = labels.narrow(1, place, 1)?;
        let cut = (
            inputs.narrow(1, 0, place + 1)?.contiguous()?,
            match place {
                0 => own.contiguous()?,
                _ => Tensor::cat(&[before, own], 1)?,
            },
        );
        for part in chunks(&cut, AT_ONCE)? {
            let part = (part.0.contiguous()?, part.1.contiguous()?);
            let capture = Capture::new(part.1.dim(0)?, Reduction::Mean);
            let found = capture.run(model.parameters(), || model.single_target_loss(&part))?;
            match &mut all {
                None => all = Some(found.statistics),
                Some(all) => all.merge(&found.statistics)?,
            }
        }
    }
    all.map_or(Ok(None), |all| of_population(&all))
}

/// `C` of batches of tokens by the document's procedure: each gradient is that of `batch_size` tokens, drawn with replacement from all.
fn drawn_tokens(
    model: &Model,
    (inputs, labels): &(Tensor, Tensor),
    batch_size: usize,
    draws: usize,
    generator: &mut Generator,
) -> Result<Estimate> {
    let (n, length) = labels.dims2()?;
    let known = labels.to_vec2::<u32>()?;
    let entries = model.parameters().iter().map(|(_, v)| v.elem_count()).sum();
    let mut moments = Moments::new(entries)?;
    let mut left = draws;
    while left > 0 {
        interrupt::check()?;
        let now = left.min((AT_ONCE / batch_size).max(1));
        let picked: Vec<u32> = (0..now * batch_size)
            .map(|_| generator.random_range(0..(n * length) as u32))
            .collect();
        let mut targets = vec![IGNORED; picked.len() * length];
        for (row, &token) in picked.iter().enumerate() {
            let (stretch, place) = (token as usize / length, token as usize % length);
            targets[row * length + place] = known[stretch][place];
        }
        let stretches: Vec<u32> = picked.iter().map(|t| t / length as u32).collect();
        let stretches = Tensor::from_vec(stretches, picked.len(), inputs.device())?;
        let batch = (
            inputs.index_select(&stretches, 0)?,
            Tensor::from_vec(targets, (picked.len(), length), inputs.device())?,
        );
        let capture = Capture::new(picked.len(), Reduction::Mean)
            .unit(capture::Unit::Minibatch(batch_size))
            .rows();
        let found = capture.run(model.parameters(), || model.single_target_loss(&batch))?;
        let rows = found.statistics.rows()?.expect("they were asked for");
        moments.push_tensor(&rows)?;
        left -= now;
    }
    estimate(&moments)
}

/// `C` at batch size `batch_size` by the document's procedure: `draws` gradients, each of a minibatch drawn with replacement; debiased,
/// with its interval at the level 0.95.
fn sampled_ratio<O: Objective<Batch = (Tensor, Tensor)>>(
    model: &O,
    (inputs, labels): &(Tensor, Tensor),
    batch_size: usize,
    draws: usize,
    generator: &mut Generator,
) -> Result<Estimate> {
    let batches = (0..draws).map(|_| draw_batch(inputs, labels, batch_size, generator));
    estimate(&moments_of(model, batches)?)
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

#[cfg(test)]
mod tests;
