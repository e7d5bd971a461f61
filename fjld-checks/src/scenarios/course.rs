//! A training that a study conducts itself, from reading to reading.

use super::data::choice::DataChoice;
use super::loader::Loader;
use super::mask::{self, Mask};
use super::models::{Model, ModelChoice};
use super::optimiser::{Optimiser, Rule};
use crate::error::{Error, Result};
use crate::interrupt;
use candle_core::{Device, Tensor};
use fjld_core::Objective;
use fjld_core::rng::Seed;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What a network is trained on, and a network at its start.
pub struct Bench {
    /// Training inputs and labels.
    pub train: (Tensor, Tensor),
    /// Those held out.
    pub test: (Tensor, Tensor),
    /// The network.
    pub model: Model,
}

/// How plain training goes, as a file describes it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plain {
    /// How many examples a step averages over.
    pub batch_size: usize,
    /// Of stochastic gradient descent.
    pub learning_rate: f64,
    /// How many steps.
    pub steps: u64,
}

impl Plain {
    /// Refuses values out of range.
    ///
    /// # Errors
    /// Naming the first of them.
    pub fn check(&self, origin: &str) -> Result<()> {
        positive(origin, "training.learning_rate", self.learning_rate)?;
        at_least_one(origin, "training.batch_size", self.batch_size as u64)?;
        at_least_one(origin, "training.steps", self.steps)
    }
}

/// # Errors
/// When a number is not positive and finite.
pub fn positive(origin: &str, key: &str, value: f64) -> Result<()> {
    if value > 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(Error::input(format!(
        "{origin}: {key} is {value}; it must be positive"
    )))
}

/// # Errors
/// When a count is 0.
pub fn at_least_one(origin: &str, key: &str, value: u64) -> Result<()> {
    if value > 0 {
        return Ok(());
    }
    Err(Error::input(format!(
        "{origin}: {key} is 0; it must be at least 1"
    )))
}

/// # Errors
/// When a list is empty or holds a number that is not in the open interval from 0 to 1.
pub fn shares(origin: &str, key: &str, values: &[f64]) -> Result<()> {
    if !values.is_empty() && values.iter().all(|v| *v > 0.0 && *v < 1.0) {
        return Ok(());
    }
    Err(Error::input(format!(
        "{origin}: {key} is {values:?}; it must be a list of numbers between 0 and 1"
    )))
}

impl Bench {
    /// Draws split and weights by their own streams of `seed`; with `shuffled`, the training labels are dealt out at random.
    ///
    /// # Errors
    /// When the data are not in `folder`, or the network is not made for them.
    pub fn new(
        data: &DataChoice,
        model: &ModelChoice,
        seed: Seed,
        folder: Option<&Path>,
        shuffled: bool,
    ) -> Result<Self> {
        let device = Device::Cpu;
        let (mut train, test) = data.split(seed.derive("split"), folder)?;
        if shuffled {
            train = train.with_shuffled_labels(seed.derive("labels"));
        }
        Ok(Self {
            train: train.tensors(&device)?,
            test: test.tensors(&device)?,
            model: model.build(&data.task(), seed.derive("weights"), &device)?,
        })
    }

    /// The share of held-out labels that are predicted rightly.
    ///
    /// # Errors
    /// When candle fails.
    pub fn accuracy(&self) -> Result<f64> {
        self.model.accuracy(&self.test, usize::MAX)
    }

    /// The mean loss over the training examples; `None` where it is not finite.
    ///
    /// # Errors
    /// When candle fails.
    pub fn loss(&self) -> Result<Option<f64>> {
        finite(self.model.mean_loss(&self.train, usize::MAX)?)
    }

    /// The mean loss over the held-out examples; `None` where it is not finite.
    ///
    /// # Errors
    /// When candle fails.
    pub fn held_out_loss(&self) -> Result<Option<f64>> {
        finite(self.model.mean_loss(&self.test, usize::MAX)?)
    }
}

fn finite(value: f64) -> Result<Option<f64>> {
    Ok(Some(value).filter(|v| v.is_finite()))
}

/// A training under way.
pub struct Course<'a> {
    model: &'a Model,
    loader: Loader<'a>,
    /// The optimiser with its state.
    pub optimiser: Optimiser,
    mask: Option<Vec<Tensor>>,
    taken: u64,
}

impl<'a> Course<'a> {
    /// Begins at the network's present parameters, with batches drawn by `order`.
    ///
    /// # Errors
    /// When there are fewer examples than in a batch.
    pub fn new(
        bench: &'a Bench,
        rule: Rule,
        learning_rate: f64,
        batch_size: usize,
        order: Seed,
    ) -> Result<Self> {
        Ok(Self {
            model: &bench.model,
            loader: Loader::new(&bench.train, Some(batch_size), order)?,
            optimiser: Optimiser::new(rule, learning_rate, 0.0),
            mask: None,
            taken: 0,
        })
    }

    /// Sets the pruned weights to 0, and again after every step.
    ///
    /// # Errors
    /// When candle fails.
    pub fn masked(mut self, mask: &Mask) -> Result<Self> {
        let parameters = self.model.parameters();
        let tensors = mask.tensors(parameters)?;
        mask::zero(parameters, &tensors)?;
        self.mask = Some(tensors);
        Ok(self)
    }

    /// Goes on until so many steps are taken.
    ///
    /// # Errors
    /// When candle fails, or it is interrupted.
    pub fn to(&mut self, step: u64) -> Result<()> {
        let parameters = self.model.parameters();
        while self.taken < step {
            interrupt::check()?;
            let gradients = self.model.loss(&self.loader.next_batch()?)?.backward()?;
            self.optimiser.step(parameters, &gradients)?;
            if let Some(mask) = &self.mask {
                mask::zero(parameters, mask)?;
            }
            self.taken += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios::fixtures::descend;
    use crate::scenarios::mask::{Snapshot, counts, magnitudes};
    use candle_core::DType;

    fn bench() -> Result<Bench> {
        let data = DataChoice::Digits { test_share: 0.5 };
        let model = ModelChoice::Mlp { hidden: vec![8] };
        Bench::new(&data, &model, Seed::root(1), None, false)
    }

    #[test]
    fn pruned_weights_stay_zero_through_training_under_every_rule() -> Result<()> {
        for rule in [Rule::Sgd, Rule::Momentum, Rule::AdamW] {
            let bench = bench()?;
            let parameters = bench.model.parameters();
            let before = magnitudes(parameters)?;
            let mask = Mask::lowest(parameters, &before, &counts(parameters, 0.7));
            let mut course = Course::new(&bench, rule, 0.05, 32, Seed::root(2))?.masked(&mask)?;
            course.to(7)?;
            let after = magnitudes(parameters)?;
            for (i, &kept) in mask.0.iter().enumerate() {
                if kept {
                    continue;
                }
                assert_eq!(after[i], 0.0, "{rule:?}: weight {i}");
            }
            let moved = (0..after.len()).filter(|&i| mask.0[i] && after[i] != before[i]);
            assert!(moved.count() > 0, "{rule:?} moved nothing");
        }
        Ok(())
    }

    #[test]
    fn a_training_that_is_rewound_goes_the_same_way_again() -> Result<()> {
        let bench = bench()?;
        let start = Snapshot::of(bench.model.parameters())?;
        let mut ends = Vec::new();
        for _ in 0..2 {
            start.restore(bench.model.parameters())?;
            Course::new(&bench, Rule::Sgd, 0.1, 32, Seed::root(2))?.to(5)?;
            ends.push(magnitudes(bench.model.parameters())?);
        }
        assert_eq!(ends[0], ends[1]);
        Ok(())
    }

    #[test]
    fn numbers_out_of_range_are_refused_by_name() {
        let said = |result: Result<()>| result.expect_err("it is out of range").to_string();
        let plain = Plain {
            batch_size: 0,
            learning_rate: 0.1,
            steps: 1,
        };
        assert_eq!(
            said(plain.check("a.toml")),
            "a.toml: training.batch_size is 0; it must be at least 1"
        );
        assert!(said(positive("a.toml", "x", f64::NAN)).contains("x is NaN; it must be positive"));
        assert!(said(shares("a.toml", "x", &[0.5, 1.0])).contains("between 0 and 1"));
        // the borders are outside
        for value in [0.0, -1.0, f64::INFINITY] {
            assert!(said(positive("a.toml", "x", value)).ends_with("it must be positive"));
        }
        for list in [&[][..], &[0.0], &[0.5, 0.0]] {
            assert!(said(shares("a.toml", "x", list)).ends_with("between 0 and 1"));
        }
        assert!(positive("a.toml", "x", f64::MIN_POSITIVE).is_ok());
        assert!(shares("a.toml", "x", &[f64::MIN_POSITIVE, 0.5]).is_ok());
    }

    /// One layer of a network in `f64`: inputs to outputs.
    fn layer(bench: &Bench, name: &str, inputs: &[f64]) -> Result<Vec<f64>> {
        let values = |what: &str| -> Result<Vec<f64>> {
            let name = format!("{name}.{what}");
            let mut all = bench.model.parameters().iter();
            let (_, var) = all.find(|(own, _)| *own == name).expect("it has it");
            Ok(var.flatten_all()?.to_dtype(DType::F64)?.to_vec1()?)
        };
        let (weights, biases) = (values("weight")?, values("bias")?);
        let rows = weights.chunks(inputs.len()).zip(biases);
        let one = |(row, bias): (&[f64], f64)| -> f64 {
            bias + row.iter().zip(inputs).map(|(w, x)| w * x).sum::<f64>()
        };
        Ok(rows.map(one).collect())
    }

    /// Share predicted rightly, and mean cross-entropy, by a loop over the examples.
    fn by_hand(bench: &Bench, examples: &(Tensor, Tensor)) -> Result<(f64, f64)> {
        let inputs = examples.0.to_dtype(DType::F64)?.to_vec2::<f64>()?;
        let labels = examples.1.to_vec1::<u32>()?;
        let (mut right, mut loss) = (0.0, 0.0);
        for (input, &label) in inputs.iter().zip(&labels) {
            let hidden = layer(bench, "layer0", input)?;
            let hidden: Vec<f64> = hidden.into_iter().map(|h| h.max(0.0)).collect();
            let scores = layer(bench, "layer1", &hidden)?;
            let own = scores[label as usize];
            right += f64::from(u8::from(scores.iter().all(|s| *s <= own)));
            loss += scores.iter().map(|s| (s - own).exp()).sum::<f64>().ln();
        }
        let count = labels.len() as f64;
        Ok((right / count, loss / count))
    }

    #[test]
    fn accuracy_and_losses_are_those_of_the_network_written_out() -> Result<()> {
        let bench = bench()?;
        Course::new(&bench, Rule::Sgd, 0.5, 32, Seed::root(3))?.to(20)?;
        let (accuracy, held_out) = by_hand(&bench, &bench.test)?;
        let (_, loss) = by_hand(&bench, &bench.train)?;
        // means of some 900 numbers near 1 in f32
        let close = |found: Option<f64>, expected: f64| {
            let found = found.expect("it is finite");
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        };
        close(bench.loss()?, loss);
        close(bench.held_out_loss()?, held_out);
        // where two scores are the same but for rounding, either may be the higher: of one example at most
        let one = 1.0 / bench.test.1.dim(0)? as f64;
        let found = bench.accuracy()?;
        assert!((found - accuracy).abs() < 1.5 * one, "{found} {accuracy}");
        assert!(accuracy > 0.2 && accuracy < 0.99, "{accuracy}");
        Ok(())
    }

    #[test]
    fn a_loss_that_is_not_finite_is_none() -> Result<()> {
        let bench = bench()?;
        for (_, var) in bench.model.parameters() {
            var.set(&(var.ones_like()? * f64::NAN)?)?;
        }
        assert_eq!((bench.loss()?, bench.held_out_loss()?), (None, None));
        assert_eq!(finite(f64::INFINITY)?, None);
        Ok(())
    }

    #[test]
    fn a_training_goes_to_a_step_and_not_past_it() -> Result<()> {
        let (bench, other) = (bench()?, bench()?);
        let parameters = bench.model.parameters();
        let before = magnitudes(parameters)?;
        let mut course = Course::new(&bench, Rule::Sgd, 0.1, 32, Seed::root(2))?;
        course.to(0)?;
        assert_eq!(magnitudes(parameters)?, before);
        course.to(2)?;
        // two steps of the same network along the same batches
        let mut loader = Loader::new(&other.train, Some(32), Seed::root(2))?;
        for _ in 0..2 {
            descend(&other.model, &loader.next_batch()?, 0.1)?;
        }
        let there = magnitudes(parameters)?;
        for (a, b) in there.iter().zip(magnitudes(other.model.parameters())?) {
            // weights below 1 in f32
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
        assert_ne!(there, before);
        course.to(2)?;
        assert_eq!(magnitudes(parameters)?, there);
        Ok(())
    }
}
