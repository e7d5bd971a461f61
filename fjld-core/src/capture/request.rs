//! What to measure in one forward and backward pass, and what comes out.

use super::session::{Open, Session};
use super::statistics::Statistics;
use super::{LayerPair, Objective};
use crate::error::{Error, Result};
use candle_core::{DType, Tensor, Var, backprop::GradStore};
use std::sync::Arc;

/// How the loss was reduced over the examples of its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// The sum of the examples' losses.
    Sum,
    /// Their mean: the sum over the number of examples that count, so that the gradient of one example's loss is that many times its
    /// share of the gradient. For a mean over the tokens of a batch this makes the loss of an example `n / tokens` times the sum over
    /// its tokens.
    Mean,
}

/// What one draw of the gradient is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// The gradient of one example's loss.
    Example,
    /// The gradient of one token's loss; every example of the batch must have one target that counts. See [`super::one_target_each`].
    Token,
    /// The mean gradient of this many consecutive examples.
    Minibatch(usize),
}

/// What to measure in the next forward and backward pass. The gradient norms, the mean gradient and the trace of the covariance always are.
#[derive(Clone, Debug)]
pub struct Capture {
    pub(super) examples: usize,
    pub(super) unit: Unit,
    pub(super) reduction: Reduction,
    pub(super) wants: Wants,
    pub(super) counted: Option<Tensor>,
}

/// What is measured beside norms, mean and trace.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wants {
    pub diagonal: bool,
    pub rows: bool,
    pub gram: bool,
    pub pairs: bool,
    /// Nothing but the gradient itself.
    pub gradient_alone: bool,
}

/// What [`Capture::run`] measured.
#[derive(Debug)]
pub struct Captured {
    /// The loss as the closure returned it.
    pub loss: f64,
    /// Its gradients, for the optimiser's `step`: what plain backpropagation would give.
    pub gradients: GradStore,
    /// What the draws say of the gradient.
    pub statistics: Statistics,
    /// Inputs and output gradients of every layer with a weight matrix, if [`Capture::pairs`] asked for them.
    pub pairs: Vec<LayerPair>,
}

impl Capture {
    /// A batch of this many examples, each a draw, whose loss was reduced as `reduction` says. Every captured layer must see the
    /// examples along its first axis.
    pub fn new(examples: usize, reduction: Reduction) -> Self {
        Self {
            examples,
            unit: Unit::Example,
            reduction,
            wants: Wants::default(),
            counted: None,
        }
    }

    /// How the loss is reduced over the examples.
    pub fn reduction(&self) -> Reduction {
        self.reduction
    }

    /// What one draw is; an example unless this says otherwise.
    #[must_use]
    pub fn unit(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }

    /// Measure the variance of every coordinate too.
    #[must_use]
    pub fn diagonal(mut self) -> Self {
        self.wants.diagonal = true;
        self
    }

    /// Keep the per-example gradients, `[draws, d]`: memory for as many models as there are draws.
    #[must_use]
    pub fn rows(mut self) -> Self {
        self.wants.rows = true;
        self
    }

    /// Measure all inner products of the per-example gradients, which the interval of `C` is made from.
    #[must_use]
    pub fn interval(mut self) -> Self {
        self.wants.gram = true;
        self
    }

    /// Keep inputs and output gradients of the layers with a weight matrix, for the Kronecker factors.
    #[must_use]
    pub fn pairs(mut self) -> Self {
        self.wants.pairs = true;
        self
    }

    /// `[examples, positions]`, 1 where a position counts and 0 where it is padding. Examples without a position that counts leave the
    /// number of draws; they must not have a gradient. Positions leave the pairs.
    #[must_use]
    pub fn counted(mut self, mask: Tensor) -> Self {
        self.counted = Some(mask);
        self
    }

    /// Runs `loss`, a scalar computed by layers of this module, backpropagates, and measures the gradients in `parameters`, which are
    /// all the trainable ones, each with its name.
    ///
    /// # Errors
    /// When a parameter receives no gradient, or one that did not pass through a layer of this module (also beside one that did); when
    /// some use of a parameter was not reached by the backward pass; when a layer sees another number of examples than was said, or
    /// mixes them; when the loss is not a scalar or not finite; whatever candle reports.
    pub fn run(
        &self,
        parameters: &[(String, Var)],
        loss: impl FnOnce() -> candle_core::Result<Tensor>,
    ) -> Result<Captured> {
        let session = Arc::new(Session::new(self, parameters)?);
        let (loss, gradients) = passes(&session, loss)?;
        session.finish(parameters, loss, gradients)
    }
}

/// Forward and backward inside a session.
fn passes(
    session: &Arc<Session>,
    loss: impl FnOnce() -> candle_core::Result<Tensor>,
) -> Result<(f64, GradStore)> {
    let value = {
        let _open = Open::new(session)?;
        loss()?
    };
    if value.rank() != 0 {
        return Err(Error::Capture(format!(
            "the loss has shape {:?}; it must be a scalar, the sum or the mean of the examples' losses",
            value.dims()
        )));
    }
    let gradients = value.backward()?;
    let loss = value.to_dtype(DType::F64)?.to_scalar::<f64>()?;
    if !loss.is_finite() {
        return Err(Error::Capture(format!(
            "the loss is {loss}; it must be finite"
        )));
    }
    Ok((loss, gradients))
}

/// The loss and its gradients by the passes of the captured layers, for a step on which nothing is measured: mostly faster than the
/// layers of candle-nn, which the same model runs outside a capture.
///
/// # Errors
/// As [`Capture::run`]; every captured layer has to see the examples along its first axis.
pub fn gradients(
    examples: usize,
    parameters: &[(String, Var)],
    loss: impl FnOnce() -> candle_core::Result<Tensor>,
) -> Result<(f64, GradStore)> {
    let mut capture = Capture::new(examples, Reduction::Mean);
    capture.wants.gradient_alone = true;
    let session = Arc::new(Session::new(&capture, parameters)?);
    let (loss, gradients) = passes(&session, loss)?;
    let captured = session.finish(parameters, loss, gradients)?;
    Ok((captured.loss, captured.gradients))
}

/// Measures every example of a batch, whose loss is the mean over them: norms, mean gradient and the trace of the covariance, by
/// parameter, layer and whole, in one pass.
///
/// # Errors
/// As [`Capture::run`]; the model has to be built of the layers of this module.
pub fn per_example<O: Objective>(model: &O, batch: &O::Batch) -> Result<Captured> {
    Capture::new(model.examples(batch), Reduction::Mean)
        .run(model.parameters(), || model.loss(batch))
}
