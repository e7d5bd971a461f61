//! Layer normalisation, with and without the mean.
//!
//! candle's fused kernels (`ops::layer_norm`, `ops::rms_norm`) pass no gradient on, without an error. Outside a capture the layers here
//! are computed by operations that do.

use super::normalise::{Scaling, attach_on_host, standard_scores};
use super::reduce::widened;
use super::session::Session;
use super::standardise::{Scales, Standardisation};
use candle_core::{D, Error, Result, Tensor};
use candle_nn::{LayerNormConfig, Module, VarBuilder};

/// `candle_nn::LayerNorm`, measured and differentiable. Input `[examples, ..., size]`; the axes between are positions.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    /// Without the bias: with one, candle takes its fused kernel.
    plain: candle_nn::LayerNorm,
    bias: Option<Tensor>,
}

impl LayerNorm {
    /// From a weight and a bias `[size]`.
    pub fn new(weight: Tensor, bias: Tensor, eps: f64) -> Self {
        Self {
            bias: Some(bias),
            ..Self::new_no_bias(weight, eps)
        }
    }

    /// From a weight `[size]`.
    pub fn new_no_bias(weight: Tensor, eps: f64) -> Self {
        Self {
            plain: candle_nn::LayerNorm::new_no_bias(weight, eps),
            bias: None,
        }
    }

    /// Divides by the root of the mean square, and leaves the mean. From a weight `[size]`.
    pub fn rms_norm(weight: Tensor, eps: f64) -> Self {
        Self {
            plain: candle_nn::LayerNorm::rms_norm(weight, eps),
            bias: None,
        }
    }

    /// `[size]`.
    pub fn weight(&self) -> &Tensor {
        self.plain.weight()
    }

    /// `[size]`.
    pub fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }

    /// What is added to the variance.
    pub fn eps(&self) -> f64 {
        self.plain.eps()
    }

    /// Whether the mean is subtracted.
    pub fn remove_mean(&self) -> bool {
        self.plain.remove_mean()
    }
}

impl From<candle_nn::LayerNorm> for LayerNorm {
    fn from(layer: candle_nn::LayerNorm) -> Self {
        let (weight, eps) = (layer.weight().clone(), layer.eps());
        let own = match layer.remove_mean() {
            true => Self::new_no_bias(weight, eps),
            false => Self::rms_norm(weight, eps),
        };
        Self {
            bias: layer.bias().cloned(),
            ..own
        }
    }
}

/// As `candle_nn::layer_norm`.
///
/// # Errors
/// When the builder has no such tensors.
pub fn layer_norm<C: Into<LayerNormConfig>>(
    size: usize,
    config: C,
    vb: VarBuilder,
) -> Result<LayerNorm> {
    Ok(candle_nn::layer_norm(size, config, vb)?.into())
}

/// As `candle_nn::layer_norm_no_bias`.
///
/// # Errors
/// When the builder has no such tensor.
pub fn layer_norm_no_bias(size: usize, eps: f64, vb: VarBuilder) -> Result<LayerNorm> {
    Ok(candle_nn::layer_norm_no_bias(size, eps, vb)?.into())
}

impl Module for LayerNorm {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let Some(session) = Session::current() else {
            let value = self.plain.forward(x)?;
            return match &self.bias {
                Some(bias) => value.broadcast_add(bias),
                None => Ok(value),
            };
        };
        session.check_input(x)?;
        let (n, size) = (x.dim(0)?, x.dim(D::Minus1)?);
        if self.weight().dims() != [size] {
            return Err(Error::Msg(format!(
                "a layer normalisation with a weight of shape {:?} was given an input of shape {:?}; its last axis must be as long",
                self.weight().dims(),
                x.dims()
            )));
        }
        if x.device().is_cpu() && x.elem_count() > 0 {
            let standardisation = Standardisation {
                examples: n,
                rows: x.elem_count() / (n * size),
                size,
                scales: Scales::Columns,
                centred: self.remove_mean(),
                eps: self.eps(),
            };
            let (weight, bias) = (self.weight(), self.bias.as_ref());
            return attach_on_host(&session, x, weight, bias, standardisation);
        }
        let rows = widened(&x.detach())?.reshape((n, (), size))?;
        let (scores, pull_back) = standard_scores(&rows, self.remove_mean(), self.eps())?;
        let scaling = Scaling {
            weight: self.weight(),
            bias: self.bias(),
            scores,
            positions: 1,
            pull_back,
        };
        scaling.attach(&session, x)
    }
}

/// `candle_nn::RmsNorm`, measured and differentiable. Input `[examples, ..., size]`; the axes between are positions.
#[derive(Clone, Debug)]
pub struct RmsNorm(LayerNorm);

impl RmsNorm {
    /// From a weight `[size]`.
    pub fn new(weight: Tensor, eps: f64) -> Self {
        Self(LayerNorm::rms_norm(weight, eps))
    }

    /// The layer normalisation that it is.
    pub fn into_inner(self) -> LayerNorm {
        self.0
    }

    /// `[size]`.
    pub fn weight(&self) -> &Tensor {
        self.0.weight()
    }

    /// What is added to the mean square.
    pub fn eps(&self) -> f64 {
        self.0.eps()
    }
}

/// As `candle_nn::rms_norm`.
///
/// # Errors
/// When the builder has no such tensor.
pub fn rms_norm(size: usize, eps: f64, vb: VarBuilder) -> Result<RmsNorm> {
    let plain = candle_nn::rms_norm(size, eps, vb)?;
    Ok(RmsNorm(plain.into_inner().into()))
}

impl Module for RmsNorm {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.0.forward(x)
    }
}
