//! The networks that scenarios train, built of the layers that per-example statistics come from: a file each.

pub mod deep;
pub mod gpt;
pub mod mlp;
pub mod modular;
pub mod resnet;

use crate::error::{Error, Result};
use crate::precision::{SCALAR, Scalar};
use candle_core::{D, Device, Tensor, Var};
use candle_nn::encoding::one_hot;
use fjld_core::Objective;
use fjld_core::capture::{OverTargets, cross_entropy};
use fjld_core::rng::Seed;
use serde::{Deserialize, Serialize};

/// A network: from inputs, examples along the first axis, to scores `[n, classes]` or, with several targets an example,
/// `[n, targets, classes]`.
pub trait Network {
    /// Every trainable variable with its name, in a fixed order.
    fn parameters(&self) -> &[(String, Var)];

    /// The scores.
    ///
    /// # Errors
    /// When the inputs do not fit, or candle fails.
    fn scores(&self, inputs: &Tensor) -> candle_core::Result<Tensor>;
}

/// What is minimised, always the mean over the examples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Softmax cross-entropy in nats, averaged over the targets of an example.
    CrossEntropy,
    /// The squared distance of the scores from the unit vector of the label.
    Squares,
}

/// The network of a scenario.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ModelChoice {
    /// See [`mlp::Mlp`].
    Mlp {
        /// Widths between inputs and classes.
        hidden: Vec<usize>,
    },
    /// See [`modular::QuadraticMlp`].
    QuadraticMlp {
        /// Hidden units.
        hidden: usize,
    },
    /// See [`modular::EmbeddingMlp`].
    EmbeddingMlp {
        /// Length of an embedding.
        width: usize,
        /// Hidden units.
        hidden: usize,
    },
    /// See [`resnet::ResNet18`].
    Resnet18 {
        /// Channels of the four stages.
        widths: [usize; 4],
        /// Groups of the normalisation, a divisor of every width.
        groups: usize,
    },
    /// See [`gpt::Gpt`].
    Gpt {
        /// Length of an embedding.
        width: usize,
        /// Attention heads, a divisor of the width.
        heads: usize,
        /// Blocks.
        layers: usize,
        /// Whether the embeddings are the weights of the last layer too.
        #[serde(default)]
        tied: bool,
    },
}

/// What a network is given and asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// The shape of one example's input.
    pub input: Vec<usize>,
    /// Of how many kinds an input is, where inputs are indices.
    pub kinds: Option<usize>,
    /// Classes to tell apart.
    pub classes: usize,
}

/// A matrix of so many rows and columns takes a gibibyte; a wider one, and the program would end for want of memory, without a word.
const WIDEST: usize = 1 << 14;

/// More blocks than any network has, and few enough to be made.
const MOST_LAYERS: usize = 1000;

impl ModelChoice {
    /// Refuses values out of range.
    ///
    /// # Errors
    /// Naming the first of them.
    pub fn check(&self, origin: &str) -> Result<()> {
        if let Self::Gpt { layers, .. } = self
            && *layers > MOST_LAYERS
        {
            return Err(Error::input(format!(
                "{origin}: model.layers is {layers}; it must be at most {MOST_LAYERS}"
            )));
        }
        let (widths, divisor) = match self {
            Self::Mlp { hidden } => (hidden.clone(), 1),
            Self::QuadraticMlp { hidden } => (vec![*hidden], 1),
            Self::EmbeddingMlp { width, hidden } => (vec![*width, *hidden], 1),
            Self::Resnet18 { widths, groups } => (widths.to_vec(), *groups),
            Self::Gpt { width, heads, .. } => (vec![*width], *heads),
        };
        if divisor == 0
            || widths
                .iter()
                .any(|&w| !(1..=WIDEST).contains(&w) || w % divisor != 0)
        {
            return Err(Error::input(format!(
                "{origin}: the widths in model are {widths:?}; each must be a positive multiple of {}, at most {WIDEST}",
                divisor.max(1)
            )));
        }
        Ok(())
    }

    /// The network with its loss, initialised from `seed`.
    ///
    /// # Errors
    /// When the network is not made for such inputs, or candle fails.
    pub fn build(&self, task: &Task, seed: Seed, device: &Device) -> Result<Model> {
        let unfit = || {
            let Task { input, kinds, .. } = task;
            let kind = match kinds {
                Some(kinds) => format!("indices of {kinds} kinds"),
                None => "real numbers".to_owned(),
            };
            Err(Error::input(format!(
                "this model is not made for inputs of shape {input:?} of {kind}"
            )))
        };
        let (network, loss): (Box<dyn Network>, Loss) = match (self, task.kinds) {
            (Self::Mlp { hidden }, None) => {
                let mut widths = vec![task.input.iter().product()];
                widths.extend(hidden);
                widths.push(task.classes);
                let network = mlp::Mlp::new(&widths, seed, device)?;
                (Box::new(network), Loss::CrossEntropy)
            }
            (&Self::QuadraticMlp { hidden }, Some(kinds)) => {
                let network = modular::QuadraticMlp::new(kinds, hidden, seed, device)?;
                (Box::new(network), Loss::Squares)
            }
            (&Self::EmbeddingMlp { width, hidden }, Some(kinds)) => {
                let network = modular::EmbeddingMlp::new(kinds, width, hidden, seed, device)?;
                (Box::new(network), Loss::CrossEntropy)
            }
            (&Self::Resnet18 { widths, groups }, None) if task.input.len() == 3 => {
                let (channels, classes) = (task.input[0], task.classes);
                let network =
                    resnet::ResNet18::new(channels, widths, groups, classes, seed, device)?;
                (Box::new(network), Loss::CrossEntropy)
            }
            (
                &Self::Gpt {
                    width,
                    heads,
                    layers,
                    tied,
                },
                Some(kinds),
            ) => {
                let shape = gpt::Shape {
                    kinds,
                    context: task.input[0],
                    width,
                    heads,
                    layers,
                    tied,
                };
                let network = gpt::Gpt::new(shape, seed, device)?;
                (Box::new(network), Loss::CrossEntropy)
            }
            _ => return unfit(),
        };
        Ok(Model { network, loss })
    }
}

/// A target that does not count.
pub const IGNORED: u32 = u32::MAX;

/// A network with its loss.
pub struct Model {
    network: Box<dyn Network>,
    loss: Loss,
}

impl Model {
    /// The share of targets whose class has the highest score, taking `chunk` examples at a time.
    ///
    /// # Errors
    /// When candle fails.
    pub fn accuracy(&self, examples: &(Tensor, Tensor), chunk: usize) -> Result<f64> {
        let mut right = 0.0;
        for (inputs, labels) in &chunks(examples, chunk)? {
            let found = self.network.scores(inputs)?.argmax(D::Minus1)?.eq(labels)?;
            right += f64::from(found.to_dtype(SCALAR)?.sum_all()?.to_scalar::<Scalar>()?);
        }
        Ok(right / examples.1.elem_count() as f64)
    }

    /// The mean loss over examples, taking `chunk` at a time.
    ///
    /// # Errors
    /// When candle fails.
    pub fn mean_loss(&self, examples: &(Tensor, Tensor), chunk: usize) -> Result<f64> {
        let n = examples.1.dim(0)?;
        let mut total = 0.0;
        for part in &chunks(examples, chunk)? {
            let loss = f64::from(self.loss(part)?.to_scalar::<Scalar>()?);
            let share = part.1.dim(0)? as f64 / n as f64;
            total += loss * share;
        }
        Ok(total)
    }
}

impl Model {
    /// The mean cross-entropy of sequences that have one target each, all others being [`IGNORED`].
    ///
    /// # Errors
    /// When the network gives no scores a position, or candle fails.
    pub fn single_target_loss(
        &self,
        (inputs, targets): &(Tensor, Tensor),
    ) -> candle_core::Result<Tensor> {
        let scores = self.network.scores(inputs)?;
        cross_entropy(&scores, targets, Some(IGNORED), OverTargets::Sum)?.mean_all()
    }
}

/// Examples in runs of at most `size`.
///
/// # Errors
/// When candle fails.
pub fn chunks(
    (inputs, labels): &(Tensor, Tensor),
    size: usize,
) -> candle_core::Result<Vec<(Tensor, Tensor)>> {
    let n = labels.dim(0)?;
    (0..n)
        .step_by(size.max(1))
        .map(|start| {
            let length = size.max(1).min(n - start);
            Ok((
                inputs.narrow(0, start, length)?,
                labels.narrow(0, start, length)?,
            ))
        })
        .collect()
}

impl Objective for Model {
    type Batch = (Tensor, Tensor);

    fn parameters(&self) -> &[(String, Var)] {
        self.network.parameters()
    }

    fn examples(&self, (_, labels): &Self::Batch) -> usize {
        labels.dims().first().copied().unwrap_or(0)
    }

    fn loss(&self, (inputs, labels): &Self::Batch) -> candle_core::Result<Tensor> {
        let scores = self.network.scores(inputs)?;
        let classes = scores.dim(D::Minus1)?;
        match self.loss {
            Loss::CrossEntropy => {
                // every example has as many targets as the others, so that the mean over targets is the mean over examples
                let scores = scores.reshape(((), classes))?;
                candle_nn::loss::cross_entropy(&scores, &labels.flatten_all()?)
            }
            Loss::Squares => {
                let wanted = one_hot::<Scalar>(labels.clone(), classes, 1.0, 0.0)?;
                (scores - wanted)?.sqr()?.sum(D::Minus1)?.mean_all()
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use fjld_core::capture::{flat_gradient, moments_of, per_example};

    /// Per-example statistics by the layers against a backward pass an example.
    pub fn assert_exact(model: &Model, batch: &(Tensor, Tensor)) -> Result<()> {
        let statistics = per_example(model, batch)?.statistics.whole()?;
        let singles = chunks(batch, 1)?.into_iter().map(Ok);
        let moments = moments_of(model, singles)?;
        // sums of some thousand products in f32, relative to the sums of their sizes
        let close = |a: f64, b: f64, of: f64| (a - b).abs() <= 2e-5 * of;
        let trace = moments.trace()?;
        let size = trace + moments.squared_mean_norm();
        assert!(
            close(statistics.noise, trace, size),
            "noise {} against {trace}",
            statistics.noise
        );
        assert!(
            close(statistics.signal, moments.squared_mean_norm(), size),
            "signal {} against {}",
            statistics.signal,
            moments.squared_mean_norm()
        );
        Ok(())
    }

    /// The gradient against the slope of the loss between two points `h` to either side, along `probes` coordinates spread over all
    /// parameters. `h` must be small against the weights.
    pub fn assert_slopes(
        model: &Model,
        batch: &(Tensor, Tensor),
        probes: usize,
        h: Scalar,
    ) -> Result<()> {
        let gradient = flat_gradient(model, batch)?.to_vec1::<Scalar>()?;
        let largest = gradient.iter().fold(0.0, |a: Scalar, g| a.max(g.abs()));
        let stride = (gradient.len() / probes).max(1);
        let mut at = 0;
        for (name, var) in model.parameters() {
            let original = var.as_tensor().copy()?;
            let values = original.flatten_all()?.to_vec1::<Scalar>()?;
            for k in 0..values.len() {
                if (at + k) % stride != 0 {
                    continue;
                }
                let loss_at = |shift: Scalar| -> Result<Scalar> {
                    let mut moved = values.clone();
                    moved[k] += shift;
                    var.set(&Tensor::from_vec(
                        moved,
                        original.shape(),
                        original.device(),
                    )?)?;
                    Ok(model.loss(batch)?.to_scalar::<Scalar>()?)
                };
                let slope = (loss_at(h)? - loss_at(-h)?) / (2.0 * h);
                // the loss is of order 1 and known to some 1e-6; besides, the difference errs by a multiple of h^2 and, where a
                // unit passes its kink, by a share of the gradient
                let allowed = 2.5e-6 / h + 0.02 * largest;
                assert!(
                    (slope - gradient[at + k]).abs() < allowed,
                    "{name}[{k}]: slope {slope}, gradient {}",
                    gradient[at + k]
                );
            }
            var.set(&original)?;
            at += values.len();
        }
        assert_eq!(at, gradient.len());
        Ok(())
    }

    #[test]
    fn a_model_is_not_built_for_inputs_that_it_is_not_made_for() {
        let choice = ModelChoice::QuadraticMlp { hidden: 4 };
        let task = Task {
            input: vec![64],
            kinds: None,
            classes: 10,
        };
        let said = choice.build(&task, Seed::root(1), &Device::Cpu).err();
        let said = said.map(|e| e.to_string());
        assert_eq!(
            said.as_deref(),
            Some("this model is not made for inputs of shape [64] of real numbers")
        );
    }

    #[test]
    fn in_parts_accuracy_and_loss_are_those_of_the_whole() -> Result<()> {
        let choice = ModelChoice::EmbeddingMlp {
            width: 3,
            hidden: 5,
        };
        let task = Task {
            input: vec![2],
            kinds: Some(7),
            classes: 7,
        };
        let device = Device::Cpu;
        let model = choice.build(&task, Seed::root(1), &device)?;
        let inputs = Tensor::from_vec(
            (0..20).map(|i| i % 7).collect::<Vec<u32>>(),
            (10, 2),
            &device,
        )?;
        let labels = Tensor::from_vec((0..10).map(|i| i % 7).collect::<Vec<u32>>(), 10, &device)?;
        let all = (inputs, labels);
        assert_eq!(model.accuracy(&all, 3)?, model.accuracy(&all, 10)?);
        let gap = model.mean_loss(&all, 3)? - model.mean_loss(&all, 100)?;
        // means of four parts in f32, of losses near 2
        assert!(gap.abs() < 1e-6, "{gap}");
        Ok(())
    }
}
