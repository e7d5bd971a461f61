//! Training runs with measurements: one seed with one control, or none, at a time.

pub use super::curve::{Control, Curve, Item, Reading};
use super::data::Examples;
use super::data::choice::DataChoice;
use super::data::folder::DataSet;
use super::loader::Loader;
use super::measurement::{MeasurementChoice, Unit};
use super::models::{Model, ModelChoice};
use super::optimiser::{Optimiser, Rule};
use super::study::MOST_SEEDS;
use crate::error::{Error, Result};
use crate::interrupt;
use crate::tier::Tier;
use candle_core::{Device, Tensor};
use fjld_core::rng::Seed;
use fjld_core::{Objective, capture};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

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
    /// Whether claims draw on its runs only at the tier full with tensors on a GPU, and elsewhere on its recording.
    #[serde(default)]
    pub for_gpu: bool,
    data: DataChoice,
    model: ModelChoice,
    training: TrainingChoice,
    measurement: MeasurementChoice,
    tiers: BTreeMap<Tier, TierChoice>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TrainingChoice {
    optimiser: Rule,
    /// All training examples when it is not given.
    batch_size: Option<usize>,
    /// Verdicts rest on the runs with this one.
    learning_rate: f64,
    /// More rates that every seed and control is run with, as other readings of the same sentences.
    #[serde(default)]
    other_learning_rates: Vec<f64>,
    #[serde(default)]
    weight_decay: f64,
    steps: u64,
    /// Runs beside the plain ones.
    #[serde(default)]
    controls: Vec<Control>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TierChoice {
    seeds: u64,
    /// Core-seconds that all runs of the tier may take, on the machine that the scenario was written on.
    time_budget: u64,
    steps: Option<u64>,
    readings: Option<usize>,
    /// In place of the scenario's own.
    data: Option<DataChoice>,
    /// In place of the scenario's own.
    model: Option<ModelChoice>,
}

/// Where a run takes its data from, and where its tensors live.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// A folder of data sets.
    pub folder: Option<&'a Path>,
    /// Where tensors live.
    pub device: &'a Device,
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
        self.data.check(origin)?;
        self.model.check(origin)?;
        for choice in self.tiers.values() {
            choice.model.as_ref().map_or(Ok(()), |m| m.check(origin))?;
            let Some(data) = &choice.data else { continue };
            data.check(origin)?;
            if std::mem::discriminant(data) != std::mem::discriminant(&self.data) {
                let accepted = "the data set that the scenario has, in another amount";
                return refuse("data.name of a tier", &"another data set", accepted);
            }
        }
        if training.batch_size == Some(0) {
            return refuse("training.batch_size", &0, "at least 1");
        }
        if !(training.learning_rate > 0.0 && training.learning_rate.is_finite()) {
            return refuse(
                "training.learning_rate",
                &training.learning_rate,
                "positive",
            );
        }
        let others = training.other_learning_rates.iter();
        if let Some(rate) = others
            .clone()
            .find(|&&r| !(r > 0.0 && r.is_finite()) || r == training.learning_rate)
        {
            let accepted = "positive and another than learning_rate";
            return refuse("training.other_learning_rates", rate, accepted);
        }
        let largest = others.fold(training.learning_rate, |a, &b| a.max(b));
        if !(0.0..1.0).contains(&(training.weight_decay * largest)) {
            let accepted = "at least 0 and below 1 / learning_rate";
            return refuse("training.weight_decay", &training.weight_decay, accepted);
        }
        if training.controls.contains(&Control::NoWeightDecay) && training.weight_decay == 0.0 {
            let accepted = "positive where a control goes without it";
            return refuse("training.weight_decay", &0, accepted);
        }
        if training.controls.contains(&Control::ShuffledCharacters) && !self.data.is_text() {
            let accepted = "a text where a control shuffles its characters";
            return refuse("data.name", &"no text", accepted);
        }
        if measurement.chunk() == 0 {
            return refuse("measurement.chunk", &0, "at least 1");
        }
        if measurement.batch_sizes.is_empty() || measurement.batch_sizes.contains(&0) {
            let accepted = "a list of numbers that are at least 1";
            let given = format!("{:?}", measurement.batch_sizes);
            return refuse("measurement.batch_sizes", &given, accepted);
        }
        if measurement.units.is_empty() {
            return refuse(
                "measurement.units",
                &"empty",
                "a list of \"example\" and \"token\"",
            );
        }
        if measurement.units.contains(&Unit::Token) && !self.data.is_text() {
            let accepted = "a text where C is measured by token";
            return refuse("data.name", &"no text", accepted);
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
            if !(1..=MOST_SEEDS).contains(&choice.seeds) {
                let (key, accepted) = (tier.name(), format!("1 to {MOST_SEEDS}"));
                return refuse(&format!("tiers.{key}.seeds"), &choice.seeds, &accepted);
            }
        }
        Ok(())
    }

    /// The scenario as a tier has it, which may have other data and another model.
    pub fn at(&self, tier: Tier) -> Self {
        let mut own = self.clone();
        if let Some(choice) = own.tiers.get_mut(&tier) {
            own.data = choice.data.take().unwrap_or(own.data);
            own.model = choice.model.take().unwrap_or(own.model);
        }
        own
    }

    /// The runs of a tier: every seed plain, and with every control, at the scenario's own learning rate and at the others.
    pub fn items(&self, tier: Tier) -> Vec<Item> {
        let controls = self.training.controls.iter().map(|&c| Some(c));
        let arms: Vec<_> = std::iter::once(None).chain(controls).collect();
        let others = self.training.other_learning_rates.iter().map(|&r| Some(r));
        let rates: Vec<_> = std::iter::once(None).chain(others).collect();
        let mut items = Vec::new();
        for learning_rate in rates {
            for seed in 0..self.seeds(tier) {
                items.extend(arms.iter().map(|&control| Item {
                    seed,
                    control,
                    learning_rate,
                }));
            }
        }
        items
    }

    /// Steps of one run at a tier.
    pub fn steps(&self, tier: Tier) -> u64 {
        self.tiers[&tier].steps.unwrap_or(self.training.steps)
    }

    /// The measurement batches, in the file's order.
    pub fn batch_sizes(&self) -> &[usize] {
        &self.measurement.batch_sizes
    }

    /// What a batch is counted in.
    pub fn units(&self) -> &[Unit] {
        &self.measurement.units
    }

    /// The learning rate that verdicts rest on.
    pub fn learning_rate(&self) -> f64 {
        self.training.learning_rate
    }

    /// The controls that run beside the plain runs.
    pub fn controls(&self) -> &[Control] {
        &self.training.controls
    }

    /// Core-seconds that all runs of a tier may take.
    pub fn time_budget(&self, tier: Tier) -> u64 {
        self.tiers[&tier].time_budget
    }

    /// Layer widths of a multilayer perceptron, inputs first; empty for another model.
    pub fn widths(&self) -> Vec<usize> {
        let ModelChoice::Mlp { hidden } = &self.model else {
            return Vec::new();
        };
        let task = self.data.task();
        let mut widths = vec![task.input.iter().product()];
        widths.extend(hidden);
        widths.push(task.classes);
        widths
    }

    /// The examples of the named data set, apart into `(train, test)`.
    ///
    /// # Errors
    /// When the data set is not built in and does not lie in `folder`.
    pub fn split(&self, seed: Seed, folder: Option<&Path>) -> Result<(Examples, Examples)> {
        self.data.split(seed, folder)
    }

    /// The data set that a folder has to hold for this.
    pub fn needs(&self) -> Option<&'static DataSet> {
        self.data.needs()
    }

    /// Nats a label that no model can do better than, where they are known.
    pub fn entropy_rate(&self) -> Option<f64> {
        self.data.entropy_rate()
    }

    /// How many labels accuracy is a share of.
    pub fn test_examples(&self) -> usize {
        self.data.test_labels()
    }

    /// Classes to tell apart: a guess is right once in as many.
    pub fn classes(&self) -> usize {
        self.data.task().classes
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

    /// Trains one run of the scenario as a tier has it (see [`Self::at`]), calling `progress` with each new reading.
    ///
    /// Every stream derives from `root`, the scenario's name and the seed's number; a run and its controls share all but what the
    /// control changes.
    ///
    /// # Errors
    /// When the data are not in the folder, candle fails, training diverges, or the run is interrupted.
    pub fn run(
        &self,
        item: Item,
        tier: Tier,
        root: Seed,
        place: Place,
        progress: &dyn Fn(&Reading),
    ) -> Result<Curve> {
        let Place { folder, device } = place;
        let Self { data, model, .. } = &self.at(tier);
        let seed = root
            .derive(&self.name)
            .derive(&format!("seed {}", item.seed));
        let (mut train, test) = data.split(seed.derive("split"), folder)?;
        let mut weight_decay = self.training.weight_decay;
        match item.control {
            None => {}
            Some(Control::ShuffledLabels) => {
                train = train.with_shuffled_labels(seed.derive("labels"));
            }
            Some(Control::NoWeightDecay) => weight_decay = 0.0,
            Some(Control::ShuffledCharacters) => {
                train = train.with_shuffled_characters(seed.derive("characters"));
            }
        }
        let examples = train.tensors(device)?;
        let test = test.tensors(device)?;
        let model = model.build(&data.task(), seed.derive("weights"), device)?;
        let mut loader = Loader::new(&examples, self.training.batch_size, seed.derive("order"))?;
        let TrainingChoice {
            optimiser,
            learning_rate,
            ..
        } = self.training;
        let learning_rate = item.learning_rate.unwrap_or(learning_rate);
        let mut optimiser = Optimiser::new(optimiser, learning_rate, weight_decay);
        let mut readings: Vec<Reading> = Vec::new();
        let mut last = 0;
        let steps = self.reading_steps(tier);
        for &step in &steps {
            while last < step {
                interrupt::check()?;
                let batch = loader.next_batch()?;
                let loss = || model.loss(&batch);
                let n = batch.1.dim(0)?;
                let (_, gradients) = capture::gradients(n, model.parameters(), loss)?;
                optimiser.step(model.parameters(), &gradients)?;
                last += 1;
            }
            let draws = seed.derive(&format!("measurement before step {step}"));
            let at_end = step == 0 || Some(&step) == steps.last();
            let reading = self.measure(&model, &examples, &test, (step, at_end), draws)?;
            progress(&reading);
            readings.push(reading);
        }
        Ok(Curve { item, readings })
    }

    fn measure(
        &self,
        model: &Model,
        examples: &(Tensor, Tensor),
        test: &(Tensor, Tensor),
        (step, at_end): (u64, bool),
        seed: Seed,
    ) -> Result<Reading> {
        let chunk = self.measurement.chunk();
        Ok(Reading {
            step,
            accuracy: model.accuracy(test, chunk)?,
            loss: model.mean_loss(examples, chunk)?,
            values: self.measurement.values(model, examples, at_end, seed)?,
        })
    }
}

#[cfg(test)]
mod tests;
