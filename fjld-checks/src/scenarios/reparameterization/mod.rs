//! One trained network in other parameters: six metrics by six transformations.
//!
//! A metric is compared on the *same* draws, where any change but rounding is the metric's own, and on *independent* draws (one half of
//! the examples before, the other half after), where it has sampling noise as well; what that noise is by itself shows the same
//! comparison without a transformation.

pub mod metrics;
pub mod network;
mod picture;
pub mod transformation;

use super::data::{CLASSES, PIXELS, digits};
use crate::error::{Error, Result};
use crate::precision::Scalar;
use candle_core::Device;
use faer::Mat;
use fjld_core::rng::{Seed, permutation};
use metrics::Metric;
use network::{Network, Problem};
use serde::{Deserialize, Serialize};
use transformation::Transformation;

/// What the scenario's file says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReparameterizationScenario {
    #[serde(rename = "schema")]
    _schema: String,
    #[serde(rename = "kind")]
    _kind: String,
    /// Its name.
    pub name: String,
    /// What it is, in a phrase.
    pub about: String,
    /// The claims it speaks to.
    pub claims: Vec<String>,
    hidden: usize,
    steps: usize,
    learning_rate: f64,
    /// The largest stretch of a transformation over its smallest.
    pub condition: f64,
    repeats: usize,
    seed: u64,
}

/// How far one metric moved under one transformation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// See [`Transformation::name`].
    pub transformation: Transformation,
    /// See [`Metric::name`].
    pub metric: Metric,
    /// The largest change on the same draws, relative (for a logarithm the difference). `None` where the metric does not exist: the
    /// Kronecker form needs layers, which a rotation of all parameters together does not leave.
    pub same_draws: Option<f64>,
    /// The median size of the change from one half of the examples to the other.
    pub independent_draws: Option<f64>,
}

/// Six metrics by six transformations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// `fjld-reparameterization/1`.
    pub schema: String,
    /// The scenario.
    pub scenario: String,
    /// Parameters.
    pub dimension: usize,
    /// Examples, each a draw.
    pub samples: usize,
    /// The metrics before any transformation.
    pub before: Vec<(Metric, Option<f64>)>,
    /// The median size of the change from one half of the examples to the other without a transformation.
    pub sampling_noise: Vec<(Metric, Option<f64>)>,
    /// Transformation by transformation, metric by metric.
    pub cells: Vec<Cell>,
}

/// The trained network with its examples.
#[derive(Clone, Debug)]
pub struct Trained {
    /// After its training.
    pub network: Network,
    /// All examples, on which it was trained.
    pub problem: Problem,
}

impl ReparameterizationScenario {
    /// Refuses values out of range.
    ///
    /// # Errors
    /// Naming the first of them.
    pub fn check(&self, origin: &str) -> Result<()> {
        let refuse = |sentence: String| Err(Error::input(format!("{origin}: {sentence}")));
        if !(1..=30).contains(&self.hidden) {
            return refuse(format!(
                "hidden is {}; it must be 1 to 30, so that the full covariance stays small",
                self.hidden
            ));
        }
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            return refuse(format!(
                "learning_rate is {}; it must be positive",
                self.learning_rate
            ));
        }
        if !(self.condition > 1.0 && self.condition.is_finite()) {
            return refuse(format!("condition is {}; it must exceed 1", self.condition));
        }
        if self.repeats == 0 {
            return refuse("repeats is 0; it must be at least 1".into());
        }
        Ok(())
    }

    /// The stream of this scenario.
    pub fn seed(&self) -> Seed {
        Seed::root(self.seed).derive(&self.name)
    }

    /// Trains the network.
    ///
    /// # Errors
    /// When candle fails or the loss is not finite.
    pub fn trained(&self) -> Result<Trained> {
        self.after(self.steps)
    }

    /// The network after so many steps of its training.
    ///
    /// # Errors
    /// When candle fails or the loss is not finite.
    pub fn after(&self, steps: usize) -> Result<Trained> {
        let problem = pooled_digits()?;
        let widths = [problem.inputs.ncols(), self.hidden, CLASSES];
        let generator = &mut self.seed().derive("weights").generator();
        let network =
            Network::random(widths, generator).trained(&problem, steps, self.learning_rate)?;
        Ok(Trained { network, problem })
    }

    /// Measures every cell.
    ///
    /// # Errors
    /// When candle fails or a metric refuses its input.
    pub fn run(&self) -> Result<Table> {
        let Trained { network, problem } = self.trained()?;
        let gradients = network.gradients(&problem)?;
        let mut before = Vec::new();
        for metric in Metric::ALL {
            before.push((metric, metric.of(&gradients)?));
        }
        let mut halves = Vec::new();
        let mut noise = vec![Vec::new(); Metric::ALL.len()];
        for repeat in 0..self.repeats {
            let generator = &mut self.seed().derive(&format!("halves {repeat}")).generator();
            let order = permutation(generator, problem.len());
            let (first, second) = order.split_at(problem.len() / 2);
            let (first, second) = (problem.pick(first), problem.pick(second));
            let (one, other) = (network.gradients(&first)?, network.gradients(&second)?);
            let mut values = Vec::new();
            for (changes, metric) in noise.iter_mut().zip(Metric::ALL) {
                let value = metric.of(&one)?;
                changes.push(change(metric, value, metric.of(&other)?));
                values.push(value);
            }
            halves.push((values, second));
        }
        let mut cells = Vec::new();
        for kind in Transformation::ALL {
            let mut same = vec![Vec::new(); Metric::ALL.len()];
            let mut independent = same.clone();
            for (repeat, (values, second)) in halves.iter().enumerate() {
                let name = format!("{} {repeat}", kind.name());
                let generator = &mut self.seed().derive(&name).generator();
                let drawn = kind.draw(&network, self.condition, generator);
                let whole = drawn.gradients(&network, &problem)?;
                let half = drawn.gradients(&network, second)?;
                for (k, metric) in Metric::ALL.into_iter().enumerate() {
                    same[k].push(change(metric, before[k].1, metric.of(&whole)?));
                    independent[k].push(change(metric, values[k], metric.of(&half)?));
                }
            }
            for (k, metric) in Metric::ALL.into_iter().enumerate() {
                cells.push(Cell {
                    transformation: kind,
                    metric,
                    same_draws: sorted(&same[k]).and_then(|c| c.last().copied()),
                    independent_draws: median(&independent[k]),
                });
            }
        }
        let noise = noise.iter().zip(Metric::ALL);
        Ok(Table {
            schema: "fjld-reparameterization/1".into(),
            scenario: self.name.clone(),
            dimension: network.parameters().len(),
            samples: problem.len(),
            before,
            sampling_noise: noise.map(|(c, metric)| (metric, median(c))).collect(),
            cells,
        })
    }
}

/// The size of a change; `None` where a side does not exist.
fn change(metric: Metric, before: Option<f64>, after: Option<f64>) -> Option<f64> {
    Some(metric.change(before?, after?).abs())
}

/// The sizes in order; `None` where one does not exist.
fn sorted(changes: &[Option<f64>]) -> Option<Vec<f64>> {
    let mut sizes: Vec<f64> = changes.iter().copied().collect::<Option<_>>()?;
    sizes.sort_by(f64::total_cmp);
    Some(sizes)
}

fn median(changes: &[Option<f64>]) -> Option<f64> {
    let sizes = sorted(changes)?;
    let middle = sizes.len() / 2;
    Some(match sizes.len() % 2 {
        1 => sizes[middle],
        _ => 0.5 * (sizes[middle - 1] + sizes[middle]),
    })
}

/// The digits with every 2 x 2 block of pixels averaged, and their classes as ones among zeros.
fn pooled_digits() -> Result<Problem> {
    let (images, labels) = digits().tensors(&Device::Cpu)?;
    let (images, labels) = (images.to_vec2::<Scalar>()?, labels.to_vec1::<u32>()?);
    let side = PIXELS.isqrt();
    let pooled = side / 2;
    let inputs = Mat::from_fn(images.len(), pooled * pooled, |image, at| {
        let (row, column) = (2 * (at / pooled), 2 * (at % pooled));
        let block = [(0, 0), (0, 1), (1, 0), (1, 1)];
        let pixels = block.map(|(i, j)| f64::from(images[image][(row + i) * side + column + j]));
        pixels.iter().sum::<f64>() / 4.0
    });
    let targets = Mat::from_fn(labels.len(), CLASSES, |image, class| {
        f64::from(u8::from(labels[image] as usize == class))
    });
    Ok(Problem { inputs, targets })
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = |v: Option<f64>| match v {
            None => "-".into(),
            Some(v) if v == 0.0 || v.abs() >= 1e-3 => format!("{v:.4}"),
            Some(v) => format!("{v:.1e}"),
        };
        writeln!(
            f,
            "{}: {} parameters, {} examples; how far each metric moves (relative; a logarithm by difference)",
            self.scenario, self.dimension, self.samples
        )?;
        let head = |f: &mut std::fmt::Formatter<'_>, first: &str| {
            write!(f, "{first:<28}")?;
            for metric in Metric::ALL {
                write!(f, " {:>23}", metric.name())?;
            }
            writeln!(f)
        };
        let row = |f: &mut std::fmt::Formatter<'_>, name: &str, values: Vec<Option<f64>>| {
            write!(f, "{name:<28}")?;
            for value in values {
                write!(f, " {:>23}", number(value))?;
            }
            writeln!(f)
        };
        let second = |pairs: &[(Metric, Option<f64>)]| pairs.iter().map(|(_, v)| *v).collect();
        head(f, "value")?;
        row(f, "before", second(&self.before))?;
        for (title, pick) in [
            (
                "same draws, largest",
                Cell::same as fn(&Cell) -> Option<f64>,
            ),
            ("independent, median", Cell::independent),
        ] {
            head(f, title)?;
            for cells in self.cells.chunks(Metric::ALL.len()) {
                let values = cells.iter().map(pick).collect();
                row(f, cells[0].transformation.name(), values)?;
            }
        }
        row(f, "no transformation", second(&self.sampling_noise))
    }
}

impl Cell {
    fn same(&self) -> Option<f64> {
        self.same_draws
    }

    fn independent(&self) -> Option<f64> {
        self.independent_draws
    }
}

#[cfg(test)]
mod tests;
