//! `C` of streams that are not of one law: estimated from all draws so far, and from windows of the last ones, beside its exact value for
//! what is drawn from at the moment.
//!
//! A network is trained on all classes; then come minibatches of a stream, each with its gradient. The parameters stay as they are, or go on
//! with every minibatch. At chosen draws the debiased `C` over the last draws is set against the exact `C` of the stream's mixture of
//! classes at the present parameters. The same stream is drawn several times from the same start.

pub mod stream;

use super::optimiser::{Optimiser, Rule};
use super::per_tier::PerTier;
use super::study::{Study, Tiers, Work, line, rows};
use super::study_training::{Moment, StudyTraining};
use crate::error::{Error, Result};
use crate::interrupt;
use crate::precision::Scalar;
use crate::tier::Tier;
use candle_core::{Tensor, Var};
use fjld_core::capture::{Capture, Reduction};
use fjld_core::moments::Window;
use fjld_core::rng::{Generator, Seed};
use fjld_core::{Moments, Objective, Ratio};
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use stream::{Classes, Stream, by_class, draw, relative_error};

/// The experiment as its file describes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NonIid {
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
    steps: u64,
    stream: StreamChoice,
    repeats: PerTier<usize>,
    tiers: Tiers,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StreamChoice {
    draws: usize,
    batch_size: usize,
    windows: Vec<usize>,
    first_reading: usize,
    every: usize,
}

/// Whether the parameters move while the stream is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Parameters {
    /// They stay.
    Fixed,
    /// Every minibatch is a step.
    Training,
}

/// How one estimate fares on one stream: a line of the evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The run.
    pub seed: u64,
    /// The stream.
    pub stream: Stream,
    /// Whether the parameters move.
    pub parameters: Parameters,
    /// The draws that are estimated from; `None` for all so far.
    pub window: Option<usize>,
    /// The estimate's relative error on the average over repetitions, at each reading.
    pub bias: Vec<f64>,
    /// Its relative standard deviation over repetitions, at each reading.
    pub deviation: Vec<f64>,
}

impl Row {
    /// The size of the bias, on the average over the readings.
    pub fn size_of_bias(&self) -> f64 {
        self.bias.iter().map(|b| b.abs()).sum::<f64>() / self.bias.len() as f64
    }
}

impl NonIid {
    /// Refuses values out of range.
    ///
    /// # Errors
    /// Naming the first of them.
    pub fn check(&self, origin: &str) -> Result<()> {
        self.training.check(origin)?;
        self.tiers.check(origin)?;
        let StreamChoice {
            draws,
            batch_size,
            windows,
            first_reading,
            every,
        } = &self.stream;
        let wrong = if *batch_size == 0 || *every == 0 {
            format!("batch_size is {batch_size} and every is {every}; both must be at least 1")
        } else if !(2..=*draws).contains(first_reading) {
            format!("first_reading is {first_reading}; it must be between 2 and draws, {draws}")
        } else if windows.is_empty() || windows.iter().any(|w| !(2..=*first_reading).contains(w)) {
            format!(
                "windows is {windows:?}; it must be a list of numbers between 2 and first_reading, {first_reading}"
            )
        } else {
            return Ok(());
        };
        Err(Error::input(format!("{origin}: stream.{wrong}")))
    }

    /// The estimates of one way through a stream, from the state that the model is in: at each reading of each window the estimate and the
    /// truth.
    fn pass(
        &self,
        moment: &Moment,
        (stream, parameters): (Stream, Parameters),
        start: &Start,
        generator: &mut Generator,
    ) -> Result<Vec<Vec<(f64, f64)>>> {
        let choice = &self.stream;
        let model = moment.model;
        let width = start.width;
        let mut windows = choice
            .windows
            .iter()
            .map(|&length| Window::new(width, length))
            .collect::<fjld_core::Result<Vec<Window>>>()?;
        let mut all = Moments::new(width)?;
        let mut optimiser = Optimiser::new(Rule::Sgd, self.training.learning_rate, 0.0);
        let mut found = vec![Vec::new(); windows.len() + 1];
        for at in 0..choice.draws {
            let shares = stream.mixture(start.by_class.len(), at, choice.draws);
            let drawn = draw(&shares, &start.by_class, choice.batch_size, generator);
            // the truth is that of the parameters which this draw's gradient is taken at
            let read = at + 1 >= choice.first_reading
                && (at + 1 - choice.first_reading).is_multiple_of(choice.every);
            let classes = match parameters {
                Parameters::Training if read => Some(start.classes_now(moment)?),
                _ => None,
            };
            let gradient = match parameters {
                Parameters::Fixed => start.mean_of(&drawn),
                Parameters::Training => {
                    interrupt::check()?;
                    let count = drawn.len();
                    let picked = Tensor::from_vec(drawn, count, moment.train.0.device())?;
                    let batch = (
                        moment.train.0.index_select(&picked, 0)?,
                        moment.train.1.index_select(&picked, 0)?,
                    );
                    let gradients = model.loss(&batch)?.backward()?;
                    let mut flat = Vec::with_capacity(width);
                    for (name, var) in Objective::parameters(model) {
                        let Some(own) = gradients.get(var) else {
                            return Err(Error::input(format!("no gradient reached `{name}`")));
                        };
                        flat.extend(own.flatten_all()?.to_vec1::<Scalar>()?);
                    }
                    optimiser.step(Objective::parameters(model), &gradients)?;
                    flat
                }
            };
            windows.iter_mut().try_for_each(|w| w.push(&gradient))?;
            all.push(&gradient)?;
            if read {
                let classes = classes.as_ref().unwrap_or(&start.classes);
                let truth = classes.ratio(&shares, choice.batch_size);
                let windowed = windows.iter().map(Window::moments);
                let moments: Vec<Moments> = windowed.chain([all.clone()]).collect();
                for (found, moments) in found.iter_mut().zip(moments) {
                    let estimate = Ratio::estimate(&moments, 0.95)?.estimates.ok();
                    let estimate = estimate.map(|e| e.debiased);
                    // where there is no noise there is nothing to be off by
                    found.push((estimate.unwrap_or(f64::NAN), truth.unwrap_or(f64::NAN)));
                }
            }
        }
        Ok(found)
    }

    fn rows(&self, number: u64, moment: &Moment, tier: Tier, seed: Seed) -> Result<Vec<Row>> {
        let start = Start::of(moment)?;
        let windows = self.stream.windows.iter().map(|&w| Some(w));
        let windows: Vec<Option<usize>> = windows.chain([None]).collect();
        let mut rows = Vec::new();
        for stream in [Stream::Stationary, Stream::Drifting] {
            for parameters in [Parameters::Fixed, Parameters::Training] {
                let mut passes = Vec::new();
                for repeat in 0..self.repeats.of(tier) {
                    let name = format!("{stream:?} {parameters:?} {repeat}");
                    let generator = &mut seed.derive(&name).generator();
                    passes.push(self.pass(moment, (stream, parameters), &start, generator)?);
                    start.restore()?;
                }
                for (at, &window) in windows.iter().enumerate() {
                    let readings = passes[0][at].len();
                    let (mut bias, mut deviation) = (Vec::new(), Vec::new());
                    for reading in 0..readings {
                        let own: Vec<_> = passes.iter().map(|pass| pass[at][reading]).collect();
                        let (mean, spread) = relative_error(&own);
                        bias.push(mean);
                        deviation.push(spread);
                    }
                    rows.push(Row {
                        seed: number,
                        stream,
                        parameters,
                        window,
                        bias,
                        deviation,
                    });
                }
            }
        }
        Ok(rows)
    }
}

/// Where every stream starts.
struct Start {
    by_class: Vec<Vec<u32>>,
    values: Vec<(Var, Tensor)>,
    rows: Vec<Scalar>,
    width: usize,
    classes: Classes,
}

impl Start {
    fn of(moment: &Moment) -> Result<Self> {
        let labels = moment.train.1.to_vec1::<u32>()?;
        let classes = labels.iter().max().map_or(0, |l| *l as usize + 1);
        let by_class = by_class(&labels, classes);
        let (rows, width) = rows_of(moment)?;
        let parameters = Objective::parameters(moment.model).iter();
        let values = parameters.map(|(_, var)| Ok((var.clone(), var.as_tensor().copy()?)));
        Ok(Self {
            classes: Classes::of(&rows, width, &by_class),
            values: values.collect::<Result<_>>()?,
            by_class,
            rows,
            width,
        })
    }

    fn restore(&self) -> Result<()> {
        for (var, value) in &self.values {
            var.set(value)?;
        }
        Ok(())
    }

    fn mean_of(&self, drawn: &[u32]) -> Vec<Scalar> {
        let mut mean = vec![0.0; self.width];
        for &index in drawn {
            let row = &self.rows[index as usize * self.width..][..self.width];
            mean.iter_mut().zip(row).for_each(|(m, v)| *m += v);
        }
        mean.iter_mut().for_each(|m| *m /= drawn.len() as Scalar);
        mean
    }

    fn classes_now(&self, moment: &Moment) -> Result<Classes> {
        let (rows, width) = rows_of(moment)?;
        Ok(Classes::of(&rows, width, &self.by_class))
    }
}

/// The gradient of every training example, row by row, and how many coordinates it has.
fn rows_of(moment: &Moment) -> Result<(Vec<Scalar>, usize)> {
    let capture = Capture::new(moment.train.1.dim(0)?, Reduction::Mean).rows();
    let captured = capture.run(Objective::parameters(moment.model), || {
        moment.model.loss(moment.train)
    })?;
    let rows = captured.statistics.rows()?.expect("the capture kept them");
    let (_, width) = rows.dims2()?;
    Ok((rows.flatten_all()?.to_vec1()?, width))
}

impl Study for NonIid {
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
        self.training.along(seed, None, &[self.steps], |moment| {
            let rows = self.rows(number, moment, work.tier, seed.derive("streams"))?;
            lines.extend(rows.iter().map(line));
            Ok(())
        })?;
        Ok(lines)
    }

    fn table(&self, lines: &[String]) -> Result<String> {
        let rows: Vec<Row> = rows(lines)?;
        let mut text =
            "seed   stream      parameters  draws  bias (relative, mean size)  deviation\n"
                .to_owned();
        for row in &rows {
            let stream = match row.stream {
                Stream::Stationary => "stationary",
                Stream::Drifting => "drifting",
            };
            let parameters = match row.parameters {
                Parameters::Fixed => "fixed",
                Parameters::Training => "training",
            };
            let draws = row.window.map_or("all".to_owned(), |w| w.to_string());
            let deviation = row.deviation.iter().sum::<f64>() / row.deviation.len() as f64;
            let (seed, bias) = (row.seed, row.size_of_bias());
            writeln!(
                text,
                "{seed:<5}  {stream:<10}  {parameters:<10}  {draws:<5}  {bias:<26.3}  {deviation:.3}"
            )
            .expect("a string takes any text");
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests;
