//! Optimisers under schedules, with `C` of the raw gradient and of the one that AdamW steps along.

use super::coordinates::Coordinates;
use super::course::{self, Bench, Course};
use super::curve::Control;
use super::data::choice::DataChoice;
use super::data::folder::DataSet;
use super::models::ModelChoice;
use super::optimiser::Rule;
use super::study::{self, Study, Tiers, Work, line};
use crate::error::{Error, Result};
use crate::tier::Tier;
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;
use std::fmt::Write;

/// The experiment as its file describes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Optimisers {
    schema: String,
    kind: String,
    name: String,
    about: String,
    claims: Vec<String>,
    data: DataChoice,
    model: ModelChoice,
    batch_size: usize,
    steps: u64,
    /// How many readings a run has.
    readings: usize,
    optimisers: Vec<Choice>,
    schedules: Vec<Schedule>,
    tiers: Tiers,
}

/// An optimiser with its step size.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Choice {
    rule: Rule,
    learning_rate: f64,
}

/// What the step size is multiplied by along a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// 1.
    Constant,
    /// `(1 + cos(pi t))/2` at the share `t` of all steps.
    Cosine,
    /// 1, a tenth from half of the steps on, a hundredth from three quarters on.
    Step,
}

impl Schedule {
    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Cosine => "cosine",
            Self::Step => "step",
        }
    }

    fn factor(self, step: u64, steps: u64) -> f64 {
        let t = step as f64 / steps as f64;
        match self {
            Self::Constant => 1.0,
            Self::Cosine => 0.5 * (1.0 + (PI * t).cos()),
            Self::Step if t < 0.5 => 1.0,
            Self::Step if t < 0.75 => 0.1,
            Self::Step => 0.01,
        }
    }
}

fn name_of(rule: Rule) -> &'static str {
    match rule {
        Rule::Sgd => "sgd",
        Rule::Momentum => "momentum",
        Rule::AdamW => "adamw",
    }
}

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Counts the seeds; each optimiser under each schedule has streams of its own.
    pub seed: u64,
    /// The optimiser.
    pub rule: Rule,
    /// Its schedule.
    pub schedule: Schedule,
    /// The control; `None` for the plain run, from which it differs by the control only.
    pub control: Option<Control>,
    /// Examples a step averages over.
    pub batch_size: usize,
    /// How many labels accuracy is a share of.
    pub test_examples: usize,
    /// A guess is right once in as many.
    pub classes: usize,
    /// In the order of training.
    pub readings: Vec<Reading>,
}

/// The state of a run before one of its steps. Ratios are those of one example, exactly; at batch `B` they are `B` times that. `None`
/// where they are undefined.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Steps taken before it.
    pub step: u64,
    /// Held-out accuracy.
    pub accuracy: f64,
    /// The mean training loss; `None` where it is not finite.
    pub loss: Option<f64>,
    /// `C` of the gradient.
    pub raw: Option<f64>,
    /// `C` of the gradient times `v^(-1/2)`, `v` AdamW's own running second moment; before the first step, and for other optimisers, the
    /// second moment that `v` would have on average if the parameters stood still, `E g^2` at the training batch.
    pub preconditioned: Option<f64>,
    /// The mean of `mu_i^2 / E g_i^2` at the training batch, over the parameters with a gradient.
    pub mean_share: Option<f64>,
}

impl Optimisers {
    /// Refuses values out of range.
    ///
    /// # Errors
    /// Naming the first of them.
    pub fn check(&self, origin: &str) -> Result<()> {
        self.data.check(origin)?;
        self.model.check(origin)?;
        course::at_least_one(origin, "batch_size", self.batch_size as u64)?;
        course::at_least_one(origin, "steps", self.steps)?;
        for choice in &self.optimisers {
            course::positive(origin, "optimisers.learning_rate", choice.learning_rate)?;
        }
        if self.readings < 3 {
            return Err(Error::input(format!(
                "{origin}: readings is {}; it must be at least 3",
                self.readings
            )));
        }
        let adaptive = self.optimisers.iter().any(|c| c.rule == Rule::AdamW);
        if !adaptive || self.schedules.is_empty() {
            return Err(Error::input(format!(
                "{origin}: optimisers and schedules must be lists, with adamw among the optimisers"
            )));
        }
        self.tiers.check(origin)
    }

    /// Steps before which a reading is taken: none, then at equal ratios, then all of them.
    fn reading_steps(&self) -> Vec<u64> {
        let last = (self.readings - 2) as f64;
        let mut at: Vec<u64> = (0..self.readings - 1)
            .map(|i| (self.steps as f64).powf(i as f64 / last).round() as u64)
            .collect();
        at.insert(0, 0);
        at.dedup();
        at
    }

    fn arms(&self) -> impl Iterator<Item = (Choice, Schedule, Option<Control>)> + '_ {
        self.optimisers.iter().flat_map(move |&choice| {
            self.schedules.iter().flat_map(move |&schedule| {
                let controls = [None, Some(Control::ShuffledLabels)];
                controls.map(|control| (choice, schedule, control))
            })
        })
    }

    fn one(
        &self,
        run: u64,
        (choice, schedule, control): (Choice, Schedule, Option<Control>),
        work: &Work,
    ) -> Result<Row> {
        let arm = format!("{} {} seed {run}", name_of(choice.rule), schedule.name());
        let seed = work.seed.derive(&arm);
        let bench = Bench::new(&self.data, &self.model, seed, work.data, control.is_some())?;
        let (rule, rate) = (choice.rule, choice.learning_rate);
        let mut course = Course::new(&bench, rule, rate, self.batch_size, seed.derive("order"))?;
        let mut readings = Vec::new();
        let mut last = 0;
        for step in self.reading_steps() {
            while last < step {
                let factor = schedule.factor(last, self.steps);
                course.optimiser.set_learning_rate(rate * factor);
                last += 1;
                course.to(last)?;
            }
            let coordinates = Coordinates::of(&bench.model, &bench.train)?;
            let [raw, preconditioned, mean_share] = match &coordinates {
                None => [None; 3],
                Some(coordinates) => {
                    let seconds = coordinates.second_moments(self.batch_size);
                    let factors = course.optimiser.factors()?;
                    let factors =
                        factors.unwrap_or_else(|| seconds.iter().map(|v| settled(*v)).collect());
                    let whole = vec![true; seconds.len()];
                    [
                        coordinates.ratio(&whole),
                        coordinates.preconditioned(&factors),
                        mean_share(coordinates, &seconds),
                    ]
                }
            };
            readings.push(Reading {
                step,
                accuracy: bench.accuracy()?,
                loss: bench.loss()?,
                raw,
                preconditioned,
                mean_share,
            });
        }
        Ok(Row {
            seed: run,
            rule,
            schedule,
            control,
            batch_size: self.batch_size,
            test_examples: self.data.test_labels(),
            classes: self.data.task().classes,
            readings,
        })
    }
}

/// `v^(-1/2)`; 0 for a parameter that has no gradient.
fn settled(v: f64) -> f64 {
    if v > 0.0 { v.sqrt().recip() } else { 0.0 }
}

/// The mean of `mu_i^2 / v_i` over the parameters with a gradient; `None` without one.
fn mean_share(coordinates: &Coordinates, seconds: &[f64]) -> Option<f64> {
    let pairs = coordinates.mean.iter().zip(seconds);
    let shares: Vec<f64> = pairs
        .filter(|(_, v)| **v > 0.0)
        .map(|(m, v)| m * m / v)
        .collect();
    (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64)
}

impl Study for Optimisers {
    fn name(&self) -> &str {
        &self.name
    }

    fn tiers(&self) -> &Tiers {
        &self.tiers
    }

    fn items(&self, tier: Tier) -> Vec<String> {
        (0..self.tiers.seeds(tier))
            .flat_map(|seed| {
                (0..self.arms().count()).map(move |arm| format!("seed-{seed}-arm-{arm}"))
            })
            .collect()
    }

    fn run(&self, item: &str, work: &Work) -> Result<Vec<String>> {
        let unknown = || Error::input(format!("no run is called \"{item}\""));
        let numbers = item
            .strip_prefix("seed-")
            .and_then(|i| i.split_once("-arm-"));
        let (seed, arm) = numbers.ok_or_else(unknown)?;
        let arm = arm.parse().ok().and_then(|arm| self.arms().nth(arm));
        let seed = seed.parse().map_err(|_| unknown())?;
        let row = self.one(seed, arm.ok_or_else(unknown)?, work)?;
        Ok(vec![line(&row)])
    }

    fn needs(&self) -> Option<&'static DataSet> {
        self.data.needs()
    }

    fn table(&self, lines: &[String]) -> Result<String> {
        let rows: Vec<Row> = study::rows(lines)?;
        let mut text = String::from(
            "optimiser  schedule  control          step  accuracy  loss    C of one example, raw  preconditioned\n",
        );
        for (choice, schedule, control) in self.arms() {
            let of = |r: &&Row| (r.rule, r.schedule, r.control) == (choice.rule, schedule, control);
            let own: Vec<&Row> = rows.iter().filter(of).collect();
            for k in (0..self.reading_steps().len()).step_by(3) {
                let mean = |value: fn(&Reading) -> Option<f64>| {
                    let values = own.iter().filter_map(|r| value(r.readings.get(k)?));
                    let values: Vec<f64> = values.collect();
                    values.iter().sum::<f64>() / values.len() as f64
                };
                writeln!(
                    text,
                    "{:9}  {:8}  {:15} {:5}  {:8.3}  {:.4}  {:21.5}  {:14.5}",
                    name_of(choice.rule),
                    schedule.name(),
                    control.map_or("", Control::name),
                    self.reading_steps()[k],
                    mean(|r| Some(r.accuracy)),
                    mean(|r| r.loss),
                    mean(|r| r.raw),
                    mean(|r| r.preconditioned)
                )
                .ok();
            }
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests;
