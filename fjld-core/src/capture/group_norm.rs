//! Group normalisation: each example's channels standardised in groups, over all their pixels.

use super::normalise::{Scaling, attach_on_host, standard_scores};
use super::reduce::widened;
use super::session::Session;
use super::standardise::{Scales, Standardisation};
use candle_core::{Error, Result, Tensor};
use candle_nn::{Module, VarBuilder};

/// `candle_nn::GroupNorm`, measured. Input `[examples, channels, ...]` with at least one axis behind the channels.
#[derive(Clone, Debug)]
pub struct GroupNorm {
    plain: candle_nn::GroupNorm,
    // candle keeps these to itself
    weight: Tensor,
    bias: Tensor,
    groups: usize,
    eps: f64,
}

impl GroupNorm {
    /// From a weight and a bias `[num_channels]`.
    ///
    /// # Errors
    /// When the channels do not make up the groups.
    pub fn new(
        weight: Tensor,
        bias: Tensor,
        num_channels: usize,
        num_groups: usize,
        eps: f64,
    ) -> Result<Self> {
        if num_groups == 0 || num_channels == 0 || weight.dims() != [num_channels] {
            return Err(Error::Msg(format!(
                "a group normalisation of {num_channels} channels in {num_groups} groups was given a weight of shape {:?}; both numbers must be positive and the shape [{num_channels}]",
                weight.dims()
            )));
        }
        let (own_weight, own_bias) = (weight.clone(), bias.clone());
        let plain = candle_nn::GroupNorm::new(weight, bias, num_channels, num_groups, eps)?;
        Ok(Self {
            plain,
            weight: own_weight,
            bias: own_bias,
            groups: num_groups,
            eps,
        })
    }

    /// `[channels]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// `[channels]`.
    pub fn bias(&self) -> &Tensor {
        &self.bias
    }
}

/// As `candle_nn::group_norm`.
///
/// # Errors
/// When the builder has no such tensors, or the channels do not make up the groups.
pub fn group_norm(
    num_groups: usize,
    num_channels: usize,
    eps: f64,
    vb: VarBuilder,
) -> Result<GroupNorm> {
    // names and initial values are those of candle's
    let weight = vb.get_with_hints(num_channels, "weight", candle_nn::Init::Const(1.0))?;
    let bias = vb.get_with_hints(num_channels, "bias", candle_nn::Init::Const(0.0))?;
    GroupNorm::new(weight, bias, num_channels, num_groups, eps)
}

impl Module for GroupNorm {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let Some(session) = Session::current() else {
            return self.plain.forward(x);
        };
        session.check_input(x)?;
        let channels = self.weight.dims1()?;
        let n = x.dim(0)?;
        if x.rank() < 3 || x.dim(1)? != channels {
            return Err(Error::Msg(format!(
                "a group normalisation of {channels} channels was given an input of shape {:?}; it must be [{n}, {channels}, ...]",
                x.dims()
            )));
        }
        let size = x.elem_count() / (n * self.groups).max(1);
        if x.device().is_cpu() && size > 0 {
            let standardisation = Standardisation {
                examples: n,
                rows: self.groups,
                size,
                scales: Scales::Runs(size * self.groups / channels),
                centred: true,
                eps: self.eps,
            };
            let (weight, bias) = (&self.weight, Some(&self.bias));
            return attach_on_host(&session, x, weight, bias, standardisation);
        }
        let rows = widened(&x.detach())?.reshape((n, self.groups, ()))?;
        let (scores, pull_back) = standard_scores(&rows, true, self.eps)?;
        let shape = rows.shape().clone();
        let scaling = Scaling {
            weight: &self.weight,
            bias: Some(&self.bias),
            scores: scores.reshape((n, channels, ()))?,
            positions: 2,
            pull_back: Box::new(move |gradient| pull_back(&gradient.reshape(&shape)?)),
        };
        scaling.attach(&session, x)
    }
}
