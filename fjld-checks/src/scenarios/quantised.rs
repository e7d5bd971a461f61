//! A trained network with its weights rounded, in its own parameters and in others that compute the same: does `C` stay what it was?
//!
//! The other parameters are the first layer's in turned inputs: `x' = Q x`, `W' = W Q'` with a random rotation `Q`. That is an orthogonal
//! map of the parameters, which leaves `C` alone. Weights of a tensor are rounded to multiples of one step, `2^bits - 1` of them around 0 up to
//! the largest weight; the control adds noise of the same size instead, uniform and independent. Biases stay as they are.

use super::measurement::population_ratio;
use super::per_tier::PerTier;
use super::reparameterization::transformation::rotation;
use super::study::{Study, Tiers, Work, line, rows};
use super::study_training::{Moment, StudyTraining};
use crate::error::{Error, Result};
use crate::interrupt;
use crate::precision::Scalar;
use crate::tier::Tier;
use candle_core::{Tensor, Var};
use fjld_core::Objective;
use fjld_core::rng::{Generator, Seed};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// The experiment as its file describes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantised {
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
    bits: Vec<u32>,
    steps: PerTier<u64>,
    charts: PerTier<u64>,
    tiers: Tiers,
}

/// What is done to the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weights {
    /// Nothing.
    Float,
    /// They are rounded to so many bits.
    Rounded(u32),
    /// Noise as large as the rounding to so many bits is added.
    Noisy(u32),
}

/// One network in one parameterisation: a line of the evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The run.
    pub seed: u64,
    /// 0 for its own parameters, then random rotations of the inputs.
    pub chart: u64,
    /// What was done to the weights.
    pub weights: Weights,
    /// `C` of one example, with the training set as the population.
    pub c: Option<f64>,
    /// The share of test labels that are predicted rightly.
    pub accuracy: f64,
}

impl Quantised {
    /// Refuses values out of range.
    ///
    /// # Errors
    /// Naming the first of them.
    pub fn check(&self, origin: &str) -> Result<()> {
        self.training.check(origin)?;
        self.tiers.check(origin)?;
        let wrong = if self.bits.is_empty() || self.bits.iter().any(|b| !(2..=16).contains(b)) {
            let bits = &self.bits;
            format!("bits is {bits:?}; it must be a list of numbers between 2 and 16")
        } else if self.charts.all().contains(&0) {
            "charts is 0; it must be at least 1 at every tier".to_owned()
        } else {
            return Ok(());
        };
        Err(Error::input(format!("{origin}: {wrong}")))
    }

    /// `C` and accuracy of what is done to the weights of one chart.
    fn measured(
        &self,
        number: u64,
        (chart, moment): (u64, &Moment),
        seed: Seed,
    ) -> Result<Vec<Row>> {
        let parameters = Objective::parameters(moment.model);
        let float = parameters.iter();
        let float: Vec<Tensor> = float
            .map(|(_, var)| Ok(var.as_tensor().copy()?))
            .collect::<Result<_>>()?;
        let changes = self
            .bits
            .iter()
            .flat_map(|&bits| [Weights::Rounded(bits), Weights::Noisy(bits)]);
        let mut rows = Vec::new();
        for weights in std::iter::once(Weights::Float).chain(changes) {
            interrupt::check()?;
            let generator = &mut seed.derive(&format!("{weights:?}")).generator();
            for ((_, var), value) in parameters.iter().zip(&float) {
                set(var, value, weights, generator)?;
            }
            rows.push(Row {
                seed: number,
                chart,
                weights,
                c: population_ratio(moment.model, moment.train, usize::MAX)?,
                accuracy: moment.model.accuracy(moment.test, usize::MAX)?,
            });
        }
        for ((_, var), value) in parameters.iter().zip(&float) {
            var.set(value)?;
        }
        Ok(rows)
    }
}

/// Weights are changed, biases are not.
fn set(var: &Var, value: &Tensor, weights: Weights, generator: &mut Generator) -> Result<()> {
    let (Weights::Rounded(bits) | Weights::Noisy(bits)) = weights else {
        return Ok(var.set(value)?);
    };
    if value.rank() < 2 {
        return Ok(var.set(value)?);
    }
    let float = value.flatten_all()?.to_vec1::<Scalar>()?;
    let rounded = rounded(&float, bits);
    let changed = match weights {
        Weights::Noisy(_) => {
            let squares = float.iter().zip(&rounded);
            let squares: f64 = squares.map(|(a, b)| f64::from(a - b).powi(2)).sum();
            // uniform on -h..h has the mean square h^2 / 3
            let half = (3.0 * squares / float.len() as f64).sqrt();
            let noise = |w: &Scalar| w + (half * (2.0 * generator.random::<f64>() - 1.0)) as Scalar;
            float.iter().map(noise).collect()
        }
        _ => rounded,
    };
    Ok(var.set(&Tensor::from_vec(changed, value.shape(), value.device())?)?)
}

/// The nearest multiples of one step, of which `2^(bits - 1) - 1` reach the largest weight.
fn rounded(weights: &[Scalar], bits: u32) -> Vec<Scalar> {
    let largest = weights.iter().fold(0.0, |a: Scalar, w| a.max(w.abs()));
    let step = largest / ((1u32 << (bits - 1)) - 1) as Scalar;
    let nearest = |w: &Scalar| {
        if step > 0.0 {
            (w / step).round() * step
        } else {
            *w
        }
    };
    weights.iter().map(nearest).collect()
}

/// Inputs and labels.
type Examples = (Tensor, Tensor);

/// The first layer and the examples in turned inputs.
fn turned(moment: &Moment, generator: &mut Generator) -> Result<(Tensor, Examples, Examples)> {
    let (_, width) = moment.train.0.dims2()?;
    let q = rotation(width, generator);
    let entries: Vec<Scalar> = (0..width)
        .flat_map(|i| (0..width).map(move |j| (j, i)))
        .map(|at| q[at] as Scalar)
        .collect();
    // Q', which rows of inputs and of weights are multiplied by
    let turn = Tensor::from_vec(entries, (width, width), moment.train.0.device())?;
    let examples = |(x, y): &(Tensor, Tensor)| Ok::<_, Error>((x.matmul(&turn)?, y.clone()));
    let (_, first) = first_layer(moment)?;
    Ok((
        first.as_tensor().matmul(&turn)?,
        examples(moment.train)?,
        examples(moment.test)?,
    ))
}

/// The weight that the inputs meet.
fn first_layer<'a>(moment: &'a Moment) -> Result<&'a (String, Var)> {
    let parameters = Objective::parameters(moment.model).iter();
    let mut weights = parameters.filter(|(name, _)| name == "layer0.weight");
    weights
        .next()
        .ok_or_else(|| Error::input("the network has no first layer"))
}

impl Study for Quantised {
    fn name(&self) -> &str {
        &self.name
    }

    fn tiers(&self) -> &Tiers {
        &self.tiers
    }

    fn items(&self, tier: Tier) -> Vec<String> {
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
        let mut lines = Vec::new();
        let steps = [self.steps.of(work.tier)];
        self.training.along(seed, None, &steps, |moment| {
            for chart in 0..=self.charts.of(work.tier) {
                let seed = seed.derive(&format!("chart {chart}"));
                let rows = if chart == 0 {
                    self.measured(number, (chart, moment), seed)?
                } else {
                    let (first, train, test) =
                        turned(moment, &mut seed.derive("rotation").generator())?;
                    let (_, var) = first_layer(moment)?;
                    let own = var.as_tensor().copy()?;
                    var.set(&first)?;
                    let there = Moment {
                        model: moment.model,
                        train: &train,
                        test: &test,
                        step: moment.step,
                    };
                    let rows = self.measured(number, (chart, &there), seed)?;
                    var.set(&own)?;
                    rows
                };
                lines.extend(rows.iter().map(line));
            }
            Ok(())
        })?;
        Ok(lines)
    }

    fn table(&self, lines: &[String]) -> Result<String> {
        let rows: Vec<Row> = rows(lines)?;
        let mut text = "seed   chart  weights          C         accuracy\n".to_owned();
        for row in &rows {
            let weights = match row.weights {
                Weights::Float => "float".to_owned(),
                Weights::Rounded(bits) => format!("{bits} bits"),
                Weights::Noisy(bits) => format!("noise of {bits} bits"),
            };
            let c = row.c.map_or("undefined".to_owned(), |c| format!("{c:.6}"));
            let Row {
                seed,
                chart,
                accuracy,
                ..
            } = row;
            writeln!(
                text,
                "{seed:<5}  {chart:<5}  {weights:<15}  {c:<9} {accuracy:.3}"
            )
            .expect("a string takes any text");
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::study_training::tests::small;
    use super::*;

    #[test]
    fn rounding_goes_to_the_nearest_step_and_a_second_time_changes_nothing() {
        let weights: [Scalar; 5] = [-0.7, 0.34, 0.36, 0.0, 0.1];
        // three bits: multiples of 0.7/3 up to three of them
        let found = rounded(&weights, 3);
        let steps: Vec<Scalar> = found.iter().map(|w| w * 3.0 / 0.7).collect();
        for (found, expected) in steps.iter().zip([-3.0, 1.0, 2.0, 0.0, 0.0]) {
            assert!((found - expected).abs() < 1e-5, "{found}");
        }
        assert_eq!(rounded(&found, 3), found);
        let two = rounded(&weights, 2);
        assert_eq!(two, [-0.7, 0.0, 0.7, 0.0, 0.0]);
        assert_eq!(rounded(&[0.0; 3], 4), [0.0; 3]);
    }

    #[test]
    fn noise_is_as_large_as_the_rounding_it_stands_for_and_biases_stay() -> Result<()> {
        let device = &candle_core::Device::Cpu;
        let generator = &mut Seed::root(1).generator();
        let values: Vec<Scalar> = (0..4000)
            .map(|_| generator.random::<Scalar>() - 0.5)
            .collect();
        let weight = Tensor::from_vec(values.clone(), (40, 100), device)?;
        let var = Var::from_tensor(&weight)?;
        let mut size = |weights| -> Result<f64> {
            set(&var, &weight, weights, generator)?;
            let gap = (var.as_tensor() - &weight)?.sqr()?.mean_all()?;
            Ok(f64::from(gap.to_scalar::<Scalar>()?).sqrt())
        };
        let (rounded, noisy) = (size(Weights::Rounded(4))?, size(Weights::Noisy(4))?);
        // a mean square over 4,000 numbers is known to two hundredths
        assert!((noisy / rounded - 1.0).abs() < 0.05, "{noisy} {rounded}");
        assert_eq!(size(Weights::Float)?, 0.0);
        let bias = Var::new(&values[..5], device)?;
        let own = bias.as_tensor().copy()?;
        set(&bias, &own, Weights::Rounded(2), generator)?;
        assert_eq!(bias.to_vec1::<Scalar>()?, own.to_vec1::<Scalar>()?);
        Ok(())
    }

    #[test]
    fn turned_inputs_with_turned_weights_are_the_same_network_with_the_same_ratio() -> Result<()> {
        small().along(Seed::root(2), None, &[20], |moment| {
            let before = population_ratio(moment.model, moment.train, usize::MAX)?;
            let loss = moment.model.mean_loss(moment.train, usize::MAX)?;
            let (first, train, _) = turned(moment, &mut Seed::root(3).generator())?;
            first_layer(moment)?.1.set(&first)?;
            let after = population_ratio(moment.model, &train, usize::MAX)?;
            let gap = moment.model.mean_loss(&train, usize::MAX)? - loss;
            assert!(gap.abs() < 1e-5, "{gap}");
            let [before, after] = [before, after].map(|c| c.expect("gradients vary"));
            // sums of thousands of products of 32-bit numbers
            assert!((after / before - 1.0).abs() < 1e-4, "{before} {after}");
            Ok(())
        })
    }
}

#[cfg(test)]
mod by_hand;
