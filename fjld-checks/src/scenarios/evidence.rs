//! What training runs showed, and the lines that it is written as.

use super::curve::Curve;
use super::measurement::Unit;
use super::training::TrainingScenario;
use crate::tier::Tier;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What a scenario's runs showed.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// The scenario's name.
    pub scenario: String,
    /// Its measurement batches.
    pub batch_sizes: Vec<usize>,
    /// What they are counted in.
    pub units: Vec<Unit>,
    /// The learning rate that verdicts rest on.
    pub learning_rate: f64,
    /// How many labels accuracy is a share of.
    pub test_examples: usize,
    /// A guess is right once in as many.
    pub classes: usize,
    /// A curve for each run, in the order of [`TrainingScenario::items`].
    pub curves: Vec<Curve>,
}

/// One measurement, a line of `evidence/*.jsonl`.
#[derive(Serialize, Deserialize)]
pub(super) struct Line<'a> {
    pub scenario: Cow<'a, str>,
    pub seed: u64,
    pub control: Option<Cow<'a, str>>,
    /// Where it is another than the scenario's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    pub step: u64,
    pub unit: Cow<'a, str>,
    pub batch_size: usize,
    pub estimator: Cow<'a, str>,
    pub value: Option<f64>,
    pub interval: Option<[f64; 2]>,
    pub accuracy: f64,
    pub loss: f64,
}

impl Evidence {
    /// Evidence of a scenario at a tier, without a run.
    pub fn none_of(scenario: &TrainingScenario, tier: Tier) -> Self {
        let own = scenario.at(tier);
        Self {
            batch_sizes: own.batch_sizes().to_vec(),
            units: own.units().to_vec(),
            learning_rate: own.learning_rate(),
            test_examples: own.test_examples(),
            classes: own.classes(),
            curves: Vec::new(),
            scenario: own.name,
        }
    }

    /// Every measurement as a line of JSON.
    pub fn json_lines(&self) -> String {
        let mut lines = String::new();
        for curve in &self.curves {
            let control = curve.item.control.map(|c| Cow::from(c.name()));
            for reading in &curve.readings {
                for value in &reading.values {
                    let line = Line {
                        scenario: Cow::from(&self.scenario),
                        seed: curve.item.seed,
                        control: control.clone(),
                        learning_rate: curve.item.learning_rate,
                        step: reading.step,
                        unit: value.unit.name().into(),
                        batch_size: value.batch_size,
                        estimator: value.estimator.name().into(),
                        value: value.c,
                        interval: value.interval,
                        accuracy: reading.accuracy,
                        loss: reading.loss,
                    };
                    lines += &serde_json::to_string(&line).expect("plain numbers and names");
                    lines.push('\n');
                }
            }
        }
        lines
    }
}
