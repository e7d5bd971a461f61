//! The plain, the diagonally weighted and the Kronecker-factored ratio side by side along training: from the whole training set, and from
//! repeated independent samples of one size.

pub mod forms;

use super::curve::{Control, Item};
use super::per_tier::PerTier;
use super::study::{Study, Tiers, Work, line, rows};
use super::study_training::{Moment, StudyTraining, reading_steps};
use crate::error::{Error, Result};
use crate::interrupt;
use crate::threads;
use crate::tier::Tier;
use candle_core::{Device, Tensor};
use fjld_core::Objective;
use fjld_core::capture::{Capture, LayerPair, Reduction};
use fjld_core::rng::{Generator, Seed};
use forms::{Dampings, Form, ratios};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// The experiment as its file describes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KfacSharper {
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
    measurement: Measurement,
    damping: Dampings,
    steps: PerTier<u64>,
    readings: PerTier<usize>,
    repeats: PerTier<usize>,
    tiers: Tiers,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Measurement {
    batch_sizes: Vec<usize>,
    gradients: usize,
}

/// One reading of a run: a line of the evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The run.
    pub seed: u64,
    /// Its control; `None` for a plain run.
    pub control: Option<Control>,
    /// Steps taken before it.
    pub step: u64,
    /// The share of test labels that are predicted rightly.
    pub accuracy: f64,
    /// Test labels.
    pub tested: usize,
    /// A guess is right once in as many.
    pub classes: usize,
    /// `C` at batch 1 with the training set as the population, in the order of [`Form::ALL`].
    pub exact: [Option<f64>; 5],
    /// Estimates from samples.
    pub samples: Vec<Sample>,
}

/// Estimates from repeated samples of one size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// How many examples a gradient averages over.
    pub batch_size: usize,
    /// Gradients in a sample.
    pub gradients: usize,
    /// The plug-in estimates, a list a sample in the order of [`Form::ALL`].
    pub estimates: Vec<[Option<f64>; 5]>,
}

impl Row {
    /// The exact `C` of a form at batch 1.
    pub fn exact(&self, form: Form) -> Option<f64> {
        self.exact[form as usize]
    }
}

impl KfacSharper {
    /// Refuses values out of range.
    ///
    /// # Errors
    /// Naming the first of them.
    pub fn check(&self, origin: &str) -> Result<()> {
        self.training.check(origin)?;
        self.tiers.check(origin)?;
        let refuse = |key: &str, value: &dyn std::fmt::Display, accepted: &str| {
            let sentence = format!("{origin}: {key} is {value}; it must be {accepted}");
            Err(Error::input(sentence))
        };
        let Measurement {
            batch_sizes,
            gradients,
        } = &self.measurement;
        if batch_sizes.is_empty() || batch_sizes.contains(&0) {
            let given = format!("{batch_sizes:?}");
            let accepted = "a list of numbers that are at least 1";
            return refuse("measurement.batch_sizes", &given, accepted);
        }
        if *gradients < 2 {
            let accepted = "at least 2, the fewest that have a variance";
            return refuse("measurement.gradients", gradients, accepted);
        }
        for (key, value) in [
            ("damping.printed", self.damping.printed),
            ("damping.pi_share", self.damping.pi_share),
        ] {
            if !(value > 0.0 && value.is_finite()) {
                return refuse(key, &value, "positive");
            }
        }
        for (key, least, given) in [
            ("readings", 2, self.readings.all()),
            ("repeats", 3, self.repeats.all()),
        ] {
            if let Some(value) = given.into_iter().find(|&v| v < least) {
                return refuse(key, &value, &format!("at least {least} at every tier"));
            }
        }
        Ok(())
    }

    fn runs(&self, tier: Tier) -> Vec<Item> {
        let arms = [None, Some(Control::ShuffledLabels)];
        let seeds = 0..self.tiers.seeds(tier);
        seeds
            .flat_map(|seed| arms.map(|control| Item::new(seed, control)))
            .collect()
    }

    fn reading(&self, item: Item, moment: &Moment, tier: Tier, seed: Seed) -> Result<Row> {
        let pairs = pairs_of(moment)?;
        let n = moment.train.1.dim(0)?;
        // the training set is the population: its covariance has the divisor n
        let population = n as f64 / (n - 1) as f64;
        let exact = ratios(&pairs, 1, self.damping)?.map(|c| c.map(|c| c * population));
        let gradients = self.measurement.gradients;
        let mut samples = Vec::new();
        for &batch_size in &self.measurement.batch_sizes {
            let name = format!("batches of {batch_size} before step {}", moment.step);
            let generator = &mut seed.derive(&name).generator();
            let estimates = (0..self.repeats.of(tier)).map(|_| {
                interrupt::check()?;
                let sample = sample(&pairs, n, gradients * batch_size, generator)?;
                ratios(&sample, batch_size, self.damping)
            });
            samples.push(Sample {
                batch_size,
                gradients,
                estimates: estimates.collect::<Result<_>>()?,
            });
        }
        Ok(Row {
            seed: item.seed,
            control: item.control,
            step: moment.step,
            accuracy: moment.model.accuracy(moment.test, usize::MAX)?,
            tested: moment.test.1.elem_count(),
            classes: self.training.data.task().classes,
            exact,
            samples,
        })
    }
}

/// What the layers see of every training example.
fn pairs_of(moment: &Moment) -> Result<Vec<LayerPair>> {
    let capture = Capture::new(moment.train.1.dim(0)?, Reduction::Mean).pairs();
    let captured = capture.run(Objective::parameters(moment.model), || {
        moment.model.loss(moment.train)
    })?;
    Ok(captured.pairs)
}

/// `count` of `n` examples, drawn with replacement.
fn sample(
    pairs: &[LayerPair],
    n: usize,
    count: usize,
    generator: &mut Generator,
) -> Result<Vec<LayerPair>> {
    let drawn: Vec<u32> = (0..count)
        .map(|_| generator.random_range(0..n as u32))
        .collect();
    let drawn = Tensor::from_vec(drawn, count, &Device::Cpu)?;
    let picked = pairs.iter().map(|pair| {
        Ok(LayerPair {
            inputs: pair.inputs.index_select(&drawn, 0)?,
            gradients: pair.gradients.index_select(&drawn, 0)?,
            ..pair.clone()
        })
    });
    picked.collect()
}

impl Study for KfacSharper {
    fn name(&self) -> &str {
        &self.name
    }

    fn tiers(&self) -> &Tiers {
        &self.tiers
    }

    fn items(&self, tier: Tier) -> Vec<String> {
        self.runs(tier).iter().map(Item::to_string).collect()
    }

    fn run(&self, item: &str, work: &Work) -> Result<Vec<String>> {
        let mut runs = self.runs(work.tier).into_iter();
        let Some(run) = runs.find(|run| run.to_string() == item) else {
            let sentence = format!("\"{}\" has no piece of work \"{item}\"", self.name);
            return Err(Error::input(sentence));
        };
        // a run and its control share all but the labels
        let seed = work.seed.derive(&format!("seed {}", run.seed));
        let steps = reading_steps(self.steps.of(work.tier), self.readings.of(work.tier));
        // the eigenbases of factors
        threads::one_a_matrix();
        let mut lines = Vec::with_capacity(steps.len());
        self.training.along(seed, run.control, &steps, |moment| {
            let row = self.reading(run, moment, work.tier, seed.derive("samples"))?;
            lines.push(line(&row));
            Ok(())
        })?;
        Ok(lines)
    }

    fn table(&self, lines: &[String]) -> Result<String> {
        let rows: Vec<Row> = rows(lines)?;
        let mut text = format!("{:<26} {:>6} {:>9}", "run", "step", "accuracy");
        let names = Form::ALL.map(Form::name);
        names
            .iter()
            .for_each(|name| write!(text, " {name:>13}").expect("a string takes any text"));
        for row in &rows {
            let (seed, control) = (row.seed, row.control);
            let run = Item::new(seed, control).to_string();
            write!(text, "\n{run:<26} {:>6} {:>9.3}", row.step, row.accuracy)
                .expect("a string takes any text");
            for c in row.exact {
                let c = c.map_or("undefined".to_owned(), |c| format!("{c:.5}"));
                write!(text, " {c:>13}").expect("a string takes any text");
            }
        }
        Ok(text + "\n")
    }
}

#[cfg(test)]
mod tests;
