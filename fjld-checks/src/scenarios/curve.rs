//! What a training run is called, and what it showed.

use super::measurement::{Value, View};
use crate::error::{Error, Result, printable};
use serde::{Deserialize, Serialize};

/// What is done to a run so that an effect that is not due to learning shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Control {
    /// The training labels are dealt out at random: there is nothing to learn but by heart.
    ShuffledLabels,
    /// The optimiser's weight decay is left out.
    NoWeightDecay,
    /// The characters of the training text are dealt out at random: nothing is left of its order.
    ShuffledCharacters,
}

impl Control {
    const ALL: [Self; 3] = [
        Self::ShuffledLabels,
        Self::NoWeightDecay,
        Self::ShuffledCharacters,
    ];

    /// The control of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn named(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|control| control.name() == name);
        found.ok_or_else(|| Error::input(format!("no control is called \"{}\"", printable(name))))
    }

    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::ShuffledLabels => "shuffled-labels",
            Self::NoWeightDecay => "no-weight-decay",
            Self::ShuffledCharacters => "shuffled-characters",
        }
    }
}

/// One run: a seed, plain or with a control, at the scenario's learning rate or another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Counts the seeds of a scenario.
    pub seed: u64,
    /// The control; `None` for the plain run.
    pub control: Option<Control>,
    /// The learning rate, where it is another than the scenario's own, which verdicts rest on.
    pub learning_rate: Option<f64>,
}

impl Item {
    /// A run at the scenario's own learning rate.
    pub fn new(seed: u64, control: Option<Control>) -> Self {
        Self {
            seed,
            control,
            learning_rate: None,
        }
    }
}

impl std::fmt::Display for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let arm = self.control.map_or("plain", Control::name);
        write!(f, "seed-{}-{arm}", self.seed)?;
        match self.learning_rate {
            Some(rate) => write!(f, "-rate-{rate}"),
            None => Ok(()),
        }
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
    /// The share of test labels that are predicted rightly.
    pub accuracy: f64,
    /// The mean loss over the training set.
    pub loss: f64,
    /// `C` by every estimator at every measurement batch.
    pub values: Vec<Value>,
}

impl Reading {
    /// `C` by one view at one measurement batch; `None` where it was not measured.
    pub fn value(&self, view: View, batch_size: usize) -> Option<&Value> {
        let View { estimator, unit } = view;
        let own = |v: &&Value| v.estimator == estimator && v.unit == unit;
        let mut own = self.values.iter().filter(own);
        own.find(|v| v.batch_size == batch_size)
    }
}

impl Curve {
    /// `C` along the run by one view at one measurement batch; readings where it is undefined or was not measured are `None`.
    pub fn series(&self, view: View, batch_size: usize) -> Vec<Option<f64>> {
        let value = |r: &Reading| r.value(view, batch_size).and_then(|v| v.c);
        self.readings.iter().map(value).collect()
    }

    /// Test accuracy along the run.
    pub fn accuracies(&self) -> Vec<f64> {
        self.readings.iter().map(|r| r.accuracy).collect()
    }
}
