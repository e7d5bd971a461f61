//! Batch normalisation, which has per-example gradients only where its statistics are fixed.
//!
//! In training mode the mean and the variance are those of the batch: every example's loss depends on all the others, and the gradient
//! of the batch is no sum of one gradient for each of its examples.

use super::normalise::Scaling;
use super::reduce::widened;
use super::session::Session;
use candle_core::{Error, Result, Tensor};
use candle_nn::{BatchNormConfig, ModuleT, VarBuilder};

/// `candle_nn::BatchNorm`; inside a capture it is measured in evaluation mode and refused in training mode.
///
/// The running statistics are no parameters: they receive no gradient, and must not be in the list that a capture measures.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    plain: candle_nn::BatchNorm,
}

impl BatchNorm {
    /// From tensors `[num_features]`.
    ///
    /// # Errors
    /// When the shapes differ or `eps` is negative.
    pub fn new(
        num_features: usize,
        running_mean: Tensor,
        running_var: Tensor,
        weight: Tensor,
        bias: Tensor,
        eps: f64,
    ) -> Result<Self> {
        let plain =
            candle_nn::BatchNorm::new(num_features, running_mean, running_var, weight, bias, eps)?;
        Ok(Self { plain })
    }

    /// Without weight and bias. From tensors `[num_features]`.
    ///
    /// # Errors
    /// When the shapes differ or `eps` is negative.
    pub fn new_no_bias(
        num_features: usize,
        running_mean: Tensor,
        running_var: Tensor,
        eps: f64,
    ) -> Result<Self> {
        let plain =
            candle_nn::BatchNorm::new_no_bias(num_features, running_mean, running_var, eps)?;
        Ok(Self { plain })
    }

    /// As [`Self::new`], with the weight of a new batch in the running statistics.
    ///
    /// # Errors
    /// When the shapes differ, `eps` is negative, or `momentum` lies outside 0 to 1.
    pub fn new_with_momentum(
        num_features: usize,
        running_mean: Tensor,
        running_var: Tensor,
        weight: Tensor,
        bias: Tensor,
        eps: f64,
        momentum: f64,
    ) -> Result<Self> {
        let plain = candle_nn::BatchNorm::new_with_momentum(
            num_features,
            running_mean,
            running_var,
            weight,
            bias,
            eps,
            momentum,
        )?;
        Ok(Self { plain })
    }

    /// As [`Self::new_no_bias`], with the weight of a new batch in the running statistics.
    ///
    /// # Errors
    /// When the shapes differ, `eps` is negative, or `momentum` lies outside 0 to 1.
    pub fn new_no_bias_with_momentum(
        num_features: usize,
        running_mean: Tensor,
        running_var: Tensor,
        eps: f64,
        momentum: f64,
    ) -> Result<Self> {
        let plain = candle_nn::BatchNorm::new_no_bias_with_momentum(
            num_features,
            running_mean,
            running_var,
            eps,
            momentum,
        )?;
        Ok(Self { plain })
    }

    /// `[num_features]`.
    pub fn running_mean(&self) -> &Tensor {
        self.plain.running_mean()
    }

    /// `[num_features]`.
    pub fn running_var(&self) -> &Tensor {
        self.plain.running_var()
    }

    /// What is added to the variance.
    pub fn eps(&self) -> f64 {
        self.plain.eps()
    }

    /// Both `[num_features]`.
    pub fn weight_and_bias(&self) -> Option<(&Tensor, &Tensor)> {
        self.plain.weight_and_bias()
    }

    /// The weight of a new batch in the running statistics.
    pub fn momentum(&self) -> f64 {
        self.plain.momentum()
    }
}

/// As `candle_nn::batch_norm`.
///
/// # Errors
/// When the builder has no such tensors, or `eps` is negative.
pub fn batch_norm<C: Into<BatchNormConfig>>(
    num_features: usize,
    config: C,
    vb: VarBuilder,
) -> Result<BatchNorm> {
    let plain = candle_nn::batch_norm(num_features, config, vb)?;
    Ok(BatchNorm { plain })
}

impl ModuleT for BatchNorm {
    fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        let Some(session) = Session::current() else {
            return self.plain.forward_t(x, train);
        };
        if train {
            return Err(Error::Msg(
                "batch normalisation in training mode mixes examples, so that no per-example gradient exists; use group or layer normalisation, or evaluation mode".into(),
            ));
        }
        let Some((weight, bias)) = self.weight_and_bias() else {
            return self.plain.forward_t(x, train);
        };
        session.check_input(x)?;
        let (n, channels) = (x.dim(0)?, weight.dims1()?);
        if x.dim(1)? != channels {
            return Err(Error::Msg(format!(
                "a batch normalisation of {channels} features was given an input of shape {:?}; it must be [{n}, {channels}, ...]",
                x.dims()
            )));
        }
        let fixed = |t: &Tensor| widened(&t.detach())?.reshape((1, channels, 1));
        let spread = (fixed(self.running_var())? + self.eps())?.sqrt()?;
        let scores = widened(&x.detach())?
            .reshape((n, channels, ()))?
            .broadcast_sub(&fixed(self.running_mean())?)?
            .broadcast_div(&spread)?;
        let scaling = Scaling {
            weight,
            bias: Some(bias),
            scores,
            positions: 2,
            pull_back: Box::new(move |gradient| gradient.broadcast_div(&spread)),
        };
        scaling.attach(&session, x)
    }
}
