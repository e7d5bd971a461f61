//! Training runs with measurements: one seed with one kind of labels at a time.

use super::data::{self, Examples};
use super::measurement::{Estimator, MeasurementChoice, Value};
use super::mlp::Mlp;
use crate::error::{Error, Result};
use crate::interrupt;
use crate::tier::Tier;
use candle_core::{Device, Tensor};
use fjld_core::Objective;
use fjld_core::rng::{Generator, Seed, permutation};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A training experiment as its file describes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingScenario {
    schema: String,
    kind: String,
    /// Its name, also that of its evidence.
    pub name: String,
    /// What it is, in a phrase.
    pub about: String,
    /// The claims it speaks to.
    pub claims: Vec<String>,
    data: DataChoice,
    model: ModelChoice,
    training: TrainingChoice,
    measurement: MeasurementChoice,
    tiers: BTreeMap<Tier, TierChoice>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DataChoice {
    name: DataName,
    test_share: f64,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum DataName {
    Digits,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelChoice {
    kind: ModelKind,
    hidden: Vec<usize>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ModelKind {
    Mlp,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TrainingChoice {
    optimiser: Optimiser,
    batch_size: usize,
    learning_rate: f64,
    steps: u64,
    labels: Vec<Labels>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Optimiser {
    Sgd,
}

/// Which labels a run trains on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Labels {
    /// The data set's own.
    True,
    /// The control: dealt out at random.
    Shuffled,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TierChoice {
    seeds: u64,
    steps: Option<u64>,
    readings: Option<usize>,
}

/// One run: a seed with a kind of labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Item {
    /// Counts the seeds of a scenario.
    pub seed: u64,
    /// What it trains on.
    pub labels: Labels,
}

impl std::fmt::Display for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let labels = match self.labels {
            Labels::True => "true",
            Labels::Shuffled => "shuffled",
        };
        write!(f, "seed-{}-{labels}", self.seed)
    }
}

/// What a run showed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// The run.
    pub item: Item,
    /// In the order of training.
    pub readings: Vec<Reading>,
}

/// The state of a run before one of its steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Steps taken before it.
    pub step: u64,
    /// The share of test images classified rightly.
    pub accuracy: f64,
    /// The mean loss over the training set.
    pub loss: f64,
    /// `C` by every estimator at every measurement batch.
    pub values: Vec<Value>,
}

impl Curve {
    /// `C` along the run by one estimator at one measurement batch; undefined readings are `None`.
    pub fn series(&self, estimator: Estimator, batch_size: usize) -> Vec<Option<f64>> {
        let chosen = |v: &&Value| v.estimator == estimator && v.batch_size == batch_size;
        let value = |r: &Reading| r.values.iter().find(chosen).and_then(|v| v.c);
        self.readings.iter().map(value).collect()
    }

    /// Test accuracy along the run.
    pub fn accuracies(&self) -> Vec<f64> {
        self.readings.iter().map(|r| r.accuracy).collect()
    }
}

impl TrainingScenario {
    /// Refuses values out of range.
    ///
    /// # Errors
    /// Naming the first of them.
    pub fn check(&self, origin: &str) -> Result<()> {
        let refuse = |key: &str, value: &dyn std::fmt::Display, accepted: &str| {
            Err(Error::input(format!(
                "{origin}: {key} is {value}; it must be {accepted}"
            )))
        };
        let (training, measurement) = (&self.training, &self.measurement);
        if !(0.01..=0.9).contains(&self.data.test_share) {
            return refuse(
                "data.test_share",
                &self.data.test_share,
                "between 0.01 and 0.9",
            );
        }
        if self.model.hidden.contains(&0) {
            return refuse("a width in model.hidden", &0, "at least 1");
        }
        if training.batch_size == 0 {
            return refuse("training.batch_size", &0, "at least 1");
        }
        if !(training.learning_rate > 0.0 && training.learning_rate.is_finite()) {
            return refuse(
                "training.learning_rate",
                &training.learning_rate,
                "positive",
            );
        }
        if training.labels.is_empty() {
            return refuse(
                "training.labels",
                &"empty",
                "a list of \"true\" and \"shuffled\"",
            );
        }
        if measurement.batch_sizes.is_empty() || measurement.batch_sizes.contains(&0) {
            let accepted = "a list of numbers that are at least 1";
            let given = format!("{:?}", measurement.batch_sizes);
            return refuse("measurement.batch_sizes", &given, accepted);
        }
        if measurement.draws < 3 {
            let accepted = "at least 3, the fewest that have an interval";
            return refuse("measurement.draws", &measurement.draws, accepted);
        }
        for tier in Tier::ALL {
            let Some(choice) = self.tiers.get(&tier) else {
                let key = format!("tiers.{}", tier.name());
                return refuse(&key, &"missing", "there, with the number of seeds");
            };
            if choice.seeds == 0 {
                return refuse(&format!("tiers.{}.seeds", tier.name()), &0, "at least 1");
            }
        }
        Ok(())
    }

    /// The runs of a tier: every seed with every kind of labels.
    pub fn items(&self, tier: Tier) -> Vec<Item> {
        let labels = &self.training.labels;
        (0..self.seeds(tier))
            .flat_map(|seed| labels.iter().map(move |&labels| Item { seed, labels }))
            .collect()
    }

    /// Steps of one run at a tier.
    pub fn steps(&self, tier: Tier) -> u64 {
        self.tiers[&tier].steps.unwrap_or(self.training.steps)
    }

    /// The measurement batches, in the file's order.
    pub fn batch_sizes(&self) -> &[usize] {
        &self.measurement.batch_sizes
    }

    /// Layer widths, inputs first.
    pub fn widths(&self) -> Vec<usize> {
        let mut widths = vec![data::PIXELS];
        widths.extend(&self.model.hidden);
        widths.push(data::CLASSES);
        widths
    }

    /// The examples of the named data set, apart into `(train, test)`.
    pub fn split(&self, seed: Seed) -> (Examples, Examples) {
        self.examples().split(self.data.test_share, seed)
    }

    /// How many examples accuracy is a share of.
    pub fn test_examples(&self) -> usize {
        self.examples().held_out(self.data.test_share)
    }

    fn examples(&self) -> &'static Examples {
        match self.data.name {
            DataName::Digits => data::digits(),
        }
    }

    /// How many seeds a tier has.
    pub fn seeds(&self, tier: Tier) -> u64 {
        self.tiers[&tier].seeds
    }

    /// Steps before which a reading is taken: none, then at equal ratios, then all of them.
    pub fn reading_steps(&self, tier: Tier) -> Vec<u64> {
        let steps = self.steps(tier);
        let count = self.tiers[&tier]
            .readings
            .unwrap_or(self.measurement.readings);
        let mut at: Vec<u64> = (1..count)
            .map(|i| {
                let share = i as f64 / (count.max(2) - 1) as f64;
                (steps as f64).powf(share).round() as u64
            })
            .collect();
        at.insert(0, 0);
        at.dedup();
        at
    }

    /// Trains one run, calling `progress` with each new reading.
    ///
    /// Every stream derives from `root`, the scenario's name and the seed's number; a run and its control share all but their labels.
    ///
    /// # Errors
    /// When candle fails, training diverges, or the run is interrupted.
    pub fn run(
        &self,
        item: Item,
        tier: Tier,
        root: Seed,
        progress: &dyn Fn(&Reading),
    ) -> Result<Curve> {
        let device = Device::Cpu;
        let seed = root
            .derive(&self.name)
            .derive(&format!("seed {}", item.seed));
        let (mut train, test) = self.split(seed.derive("split"));
        if item.labels == Labels::Shuffled {
            train = train.with_shuffled_labels(seed.derive("labels"));
        }
        let examples = train.tensors(&device)?;
        let test = test.tensors(&device)?;
        let model = Mlp::new(&self.widths(), seed.derive("weights"), &device)?;
        let mut loader = Loader::new(&examples, self.training.batch_size, seed.derive("order"))?;
        let mut readings: Vec<Reading> = Vec::new();
        let mut last = 0;
        for step in self.reading_steps(tier) {
            while last < step {
                interrupt::check()?;
                model.sgd_step(&loader.next_batch()?, self.training.learning_rate)?;
                last += 1;
            }
            let draws = seed.derive(&format!("measurement before step {step}"));
            let reading = self.measure(&model, &examples, &test, step, draws)?;
            progress(&reading);
            readings.push(reading);
        }
        Ok(Curve { item, readings })
    }

    fn measure(
        &self,
        model: &Mlp,
        examples: &(Tensor, Tensor),
        test: &(Tensor, Tensor),
        step: u64,
        seed: Seed,
    ) -> Result<Reading> {
        let values = self.measurement.values(model, examples, seed)?;
        Ok(Reading {
            step,
            accuracy: model.accuracy(&test.0, &test.1)?,
            loss: f64::from(model.loss(examples)?.to_scalar::<f32>()?),
            values,
        })
    }
}

/// Training batches: every example once an epoch, in a new random order each time; an incomplete last batch is left out.
struct Loader<'a> {
    examples: &'a (Tensor, Tensor),
    batch_size: usize,
    generator: Generator,
    order: Vec<u32>,
}

impl<'a> Loader<'a> {
    fn new(examples: &'a (Tensor, Tensor), batch_size: usize, seed: Seed) -> Result<Self> {
        let n = examples.1.elem_count();
        if batch_size > n {
            return Err(Error::input(format!(
                "training.batch_size is {batch_size}; the training set has {n} examples"
            )));
        }
        Ok(Self {
            examples,
            batch_size,
            generator: seed.generator(),
            order: Vec::new(),
        })
    }

    fn next_batch(&mut self) -> Result<(Tensor, Tensor)> {
        if self.order.len() < self.batch_size {
            let n = self.examples.1.elem_count();
            let order = permutation(&mut self.generator, n);
            self.order = order.into_iter().map(|i| i as u32).collect();
        }
        let picked = self.order.split_off(self.order.len() - self.batch_size);
        let (inputs, labels) = self.examples;
        let picked = Tensor::from_vec(picked, self.batch_size, inputs.device())?;
        Ok((
            inputs.index_select(&picked, 0)?,
            labels.index_select(&picked, 0)?,
        ))
    }
}
