//! The tails of real gradient noise: how large minibatches' gradients deviate from their mean, beside Gaussian noise of the same covariance.
//!
//! The training examples' gradients `g_i` at fixed parameters are the law of one example's gradient. A minibatch of `B` is the mean of `B` of
//! them drawn with replacement; of one example each is taken once. Gaussian noise of their covariance is `n^-1/2 sum z_i (g_i - m)` with
//! independent standard normal `z_i`. What is looked at is the length of the deviation from the mean, and its size along a
//! direction that the seed draws.

pub mod index;

use super::per_tier::PerTier;
use super::study::{Study, Tiers, Work, line, rows};
use super::study_training::{Moment, StudyTraining, reading_steps};
use crate::error::{Error, Result};
use crate::precision::Scalar;
use candle_core::Tensor;
use fjld_core::Objective;
use fjld_core::capture::{Capture, Reduction};
use fjld_core::rng::{Generator, Seed, standard_normals};
use index::{Estimate, Rule, extreme_value_index, hill};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// The experiment as its file describes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeavyTails {
    #[serde(rename = "schema")]
    _schema: String,
    #[serde(rename = "kind")]
    _kind: String,
    name: String,
    #[serde(rename = "about")]
    _about: String,
    #[serde(rename = "claims")]
    _claims: Vec<String>,
    training: StudyTraining,
    batch_sizes: Vec<usize>,
    level: f64,
    steps: PerTier<u64>,
    readings: PerTier<usize>,
    tiers: Tiers,
}

/// What is measured of a deviation from the mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Of {
    /// Its length.
    Length,
    /// Its size along a random direction.
    Projection,
}

/// The tail of one law at one reading: a line of the evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The run.
    pub seed: u64,
    /// Steps taken before the reading.
    pub step: u64,
    /// The share of test labels that are predicted rightly.
    pub accuracy: f64,
    /// Examples in a minibatch; `None` for Gaussian noise, whose tail does not depend on it.
    pub batch_size: Option<usize>,
    /// What was measured.
    pub of: Of,
    /// How many values are the tail.
    pub rule: Rule,
    /// As a number.
    pub tail: usize,
    /// The index by Hill.
    pub hill: Option<Estimate>,
    /// The extreme value index by moments.
    pub extreme_value_index: Option<Estimate>,
}

impl HeavyTails {
    /// Refuses values out of range.
    ///
    /// # Errors
    /// Naming the first of them.
    pub fn check(&self, origin: &str) -> Result<()> {
        self.training.check(origin)?;
        self.tiers.check(origin)?;
        let wrong = if self.batch_sizes.is_empty() || self.batch_sizes.contains(&0) {
            let given = &self.batch_sizes;
            format!("batch_sizes is {given:?}; it must be a list of numbers that are at least 1")
        } else if !(0.5..1.0).contains(&self.level) {
            let level = self.level;
            format!("level is {level}; it must be at least 0.5 and below 1")
        } else if let Some(few) = self.readings.all().into_iter().find(|&r| r < 2) {
            format!("readings is {few}; it must be at least 2 at every tier")
        } else {
            return Ok(());
        };
        Err(Error::input(format!("{origin}: {wrong}")))
    }

    /// The tails before one step.
    fn reading(&self, number: u64, moment: &Moment, seed: Seed) -> Result<Vec<Row>> {
        let noise = Noise::of(moment)?;
        let accuracy = moment.model.accuracy(moment.test, usize::MAX)?;
        let direction = standard_normals(&mut seed.derive("direction").generator(), noise.width);
        let direction: Vec<Scalar> = direction.into_iter().map(|v| v as Scalar).collect();
        let seed = seed.derive(&format!("before step {}", moment.step));
        let mut rows = Vec::new();
        let arms = self.batch_sizes.iter().map(|&size| Some(size));
        for batch_size in arms.chain([None]) {
            let name = batch_size.map_or("gaussian".to_owned(), |b| format!("batches of {b}"));
            let generator = &mut seed.derive(&name).generator();
            let deviations = match batch_size {
                Some(size) => noise.minibatches(size, generator),
                None => noise.gaussian(generator)?,
            };
            let (mut lengths, mut projections) = (Vec::new(), Vec::new());
            for deviation in deviations.chunks(noise.width) {
                lengths.push(dot(deviation, deviation).sqrt());
                projections.push(dot(deviation, &direction).abs());
            }
            for (of, values) in [(Of::Length, &lengths), (Of::Projection, &projections)] {
                for rule in Rule::ALL {
                    let tail = rule.count(values.len());
                    rows.push(Row {
                        seed: number,
                        step: moment.step,
                        accuracy,
                        batch_size,
                        of,
                        rule,
                        tail,
                        hill: hill(values, tail, self.level),
                        extreme_value_index: extreme_value_index(values, tail, self.level),
                    });
                }
            }
        }
        Ok(rows)
    }
}

fn dot(a: &[Scalar], b: &[Scalar]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| f64::from(*a) * f64::from(*b))
        .sum()
}

/// Deviations of the examples' gradients from their mean, `[n, width]`.
struct Noise {
    rows: Vec<Scalar>,
    width: usize,
}

impl Noise {
    fn of(moment: &Moment) -> Result<Self> {
        let n = moment.train.1.dim(0)?;
        let capture = Capture::new(n, Reduction::Mean).rows();
        let captured = capture.run(Objective::parameters(moment.model), || {
            moment.model.loss(moment.train)
        })?;
        let rows = captured.statistics.rows()?.expect("the capture kept them");
        let (_, width) = rows.dims2()?;
        Ok(Self::centred(rows.flatten_all()?.to_vec1()?, width))
    }

    fn centred(mut rows: Vec<Scalar>, width: usize) -> Self {
        let mut mean = vec![0.0; width];
        for row in rows.chunks(width) {
            mean.iter_mut()
                .zip(row)
                .for_each(|(m, v)| *m += f64::from(*v));
        }
        let n = (rows.len() / width) as f64;
        for row in rows.chunks_mut(width) {
            row.iter_mut()
                .zip(&mean)
                .for_each(|(v, m)| *v -= (m / n) as Scalar);
        }
        Self { rows, width }
    }

    fn len(&self) -> usize {
        self.rows.len() / self.width
    }

    /// As many minibatches as there are examples: the examples themselves, or means of some drawn with replacement.
    fn minibatches(&self, size: usize, generator: &mut Generator) -> Vec<Scalar> {
        if size == 1 {
            return self.rows.clone();
        }
        let mut means = vec![0.0; self.rows.len()];
        for mean in means.chunks_mut(self.width) {
            for _ in 0..size {
                let picked = generator.random_range(0..self.len() as u32) as usize;
                let row = &self.rows[picked * self.width..][..self.width];
                mean.iter_mut().zip(row).for_each(|(m, v)| *m += v);
            }
            mean.iter_mut().for_each(|m| *m /= size as Scalar);
        }
        means
    }

    /// As many Gaussian deviations of the same covariance.
    fn gaussian(&self, generator: &mut Generator) -> Result<Vec<Scalar>> {
        let (n, width, device) = (self.len(), self.width, &candle_core::Device::Cpu);
        let scale = (n as f64).sqrt().recip();
        let weights = standard_normals(generator, n * n);
        let weights: Vec<Scalar> = weights.into_iter().map(|z| (scale * z) as Scalar).collect();
        let weights = Tensor::from_vec(weights, (n, n), device)?;
        let rows = Tensor::from_slice(&self.rows, (n, width), device)?;
        Ok(weights.matmul(&rows)?.flatten_all()?.to_vec1()?)
    }
}

impl Study for HeavyTails {
    fn name(&self) -> &str {
        &self.name
    }

    fn tiers(&self) -> &Tiers {
        &self.tiers
    }

    fn items(&self, tier: crate::tier::Tier) -> Vec<String> {
        (0..self.tiers.seeds(tier))
            .map(|seed| format!("seed-{seed}"))
            .collect()
    }

    fn run(&self, item: &str, work: &Work) -> Result<Vec<String>> {
        let mut seeds = 0..self.tiers.seeds(work.tier);
        let Some(number) = seeds.find(|seed| format!("seed-{seed}") == item) else {
            let sentence = format!("\"{}\" has no piece of work \"{item}\"", self.name);
            return Err(Error::input(sentence));
        };
        let seed = work.seed.derive(&format!("seed {number}"));
        let steps = reading_steps(self.steps.of(work.tier), self.readings.of(work.tier));
        let mut lines = Vec::new();
        self.training.along(seed, None, &steps, |moment| {
            let rows = self.reading(number, moment, seed.derive("noise"))?;
            lines.extend(rows.iter().map(line));
            Ok(())
        })?;
        Ok(lines)
    }

    fn table(&self, lines: &[String]) -> Result<String> {
        let rows: Vec<Row> = rows(lines)?;
        let mut text =
            "seed   step  noise            of          k  index by Hill          1/index by moments\n"
                .to_owned();
        for row in rows.iter().filter(|row| row.rule == Rule::Root) {
            let noise = row.batch_size;
            let noise = noise.map_or("Gaussian".to_owned(), |b| format!("batches of {b}"));
            let of = match row.of {
                Of::Length => "length",
                Of::Projection => "projection",
            };
            let shown = |estimate: Option<Estimate>| match estimate {
                Some(e) => format!(
                    "{:.2} [{:.2}, {:.2}]",
                    e.value, e.interval[0], e.interval[1]
                ),
                None => "undefined".to_owned(),
            };
            let Row {
                seed, step, tail, ..
            } = row;
            let (index, other) = (shown(row.hill), shown(row.extreme_value_index));
            writeln!(
                text,
                "{seed:<5} {step:>5}  {noise:<15}  {of:<10} {tail:>3}  {index:<22} {other}"
            )
            .expect("a string takes any text");
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests;
