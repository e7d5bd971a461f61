//! What normalising layers share: standard scores, and the scale and shift behind them.

use super::attach::attach;
use super::dense::by_type;
use super::per_example::{Rows, over_positions};
use super::reduce::widened;
use super::session::{Announced, Session};
use super::standardise::Standardisation;
use candle_core::{D, Result, Tensor};
use std::sync::Arc;

/// `dL/dx` from `dL/dx_hat`, both `[n, ., .]`.
pub(super) type PullBack = Box<dyn Fn(&Tensor) -> Result<Tensor> + Send + Sync>;

/// `x_hat = (x - mean) / sqrt(variance + eps)` over the last axis, and its derivative,
/// `dL/dx = (g - mean(g) - x_hat mean(g x_hat)) / sqrt(variance + eps)` with `g = dL/dx_hat`. Not `centred`, both means of `x` and of `g`
/// stay, and the variance is the mean square.
pub(super) fn standard_scores(x: &Tensor, centred: bool, eps: f64) -> Result<(Tensor, PullBack)> {
    let x = match centred {
        true => x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?,
        false => x.clone(),
    };
    let spread = (x.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?;
    let scores = x.broadcast_div(&spread)?;
    let own = scores.clone();
    let pull_back = move |gradient: &Tensor| {
        let slope = (gradient * &own)?.mean_keepdim(D::Minus1)?;
        let mut rest = (gradient - own.broadcast_mul(&slope)?)?;
        if centred {
            rest = rest.broadcast_sub(&gradient.mean_keepdim(D::Minus1)?)?;
        }
        rest.broadcast_div(&spread)
    };
    Ok((scores, Box::new(pull_back)))
}

/// The layer `z = w x_hat + b` behind a normalisation.
pub(super) struct Scaling<'a> {
    /// `[k]`.
    pub weight: &'a Tensor,
    /// `[k]`.
    pub bias: Option<&'a Tensor>,
    /// `x_hat`, `[n, T, k]` or `[n, k, T]`, not part of candle's graph.
    pub scores: Tensor,
    /// The axis of the positions `T`, 1 or 2.
    pub positions: usize,
    /// Of the normalisation.
    pub pull_back: PullBack,
}

impl Scaling<'_> {
    /// `z` in the shape and type of `x`, as a node that records both parameters' per-example gradients, `sum_t o_it x_hat_it` and
    /// `sum_t o_it`.
    pub fn attach(self, session: &Arc<Session>, x: &Tensor) -> Result<Tensor> {
        let Self {
            weight,
            bias,
            scores,
            positions,
            pull_back,
        } = self;
        let Announced {
            weight: weight_slot,
            bias: bias_slot,
            anchor,
        } = session.announce_both(weight, bias)?;
        let mut shape = [1, 1, 1];
        shape[3 - positions] = weight.dims1()?;
        let broad = |parameter: &Tensor| widened(&parameter.detach())?.reshape(&shape);
        let scale = broad(weight)?;
        let mut value = scores.broadcast_mul(&scale)?;
        if let Some(bias) = bias {
            value = value.broadcast_add(&broad(bias)?)?;
        }
        let (dtype, full) = (x.dtype(), x.shape().clone());
        let value = value.to_dtype(dtype)?.reshape(&full)?;
        let session = session.clone();
        attach(
            x,
            anchor,
            value,
            Box::new(move |upstream, input_wanted| {
                let upstream = widened(upstream)?.reshape(scores.shape())?;
                let record = |slot: Option<usize>, gradients: &Tensor| match slot {
                    None => Ok(()),
                    Some(slot) => {
                        let sums = gradients.sum(positions)?.unsqueeze(1)?;
                        session.record(
                            slot,
                            Box::new(Rows(over_positions(&session.positions(&sums)?)?)),
                        )
                    }
                };
                record(bias_slot, &upstream)?;
                if weight_slot.is_some() {
                    record(weight_slot, &(&upstream * &scores)?)?;
                }
                match input_wanted {
                    true => {
                        let gradient = pull_back(&upstream.broadcast_mul(&scale)?)?;
                        Ok(Some(gradient.to_dtype(dtype)?.reshape(&full)?))
                    }
                    false => Ok(None),
                }
            }),
        )
    }
}

/// The layer on the host, where `x` lies there as `f32` or `f64`: in one pass each way, see [`super::standardise`].
pub(super) fn attach_on_host(
    session: &Arc<Session>,
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    standardisation: Standardisation,
) -> Result<Tensor> {
    let Announced {
        weight: weight_slot,
        bias: bias_slot,
        anchor,
    } = session.announce_both(weight, bias)?;
    let input = widened(&x.detach())?.contiguous()?;
    let scale = widened(&weight.detach())?;
    let shift = bias.map(|bias| widened(&bias.detach())).transpose()?;
    let (dtype, shape) = (x.dtype(), x.shape().clone());
    by_type!(input, T => {
        let (value, spreads) = standardisation.forward::<T>(&input, &scale, shift.as_ref())?;
        let value = Tensor::from_vec(value, &shape, x.device())?.to_dtype(dtype)?;
        let session = session.clone();
        let width = scale.elem_count();
        attach(
            x,
            anchor,
            value,
            Box::new(move |upstream, input_wanted| {
                let upstream = widened(upstream)?;
                let gradients = standardisation
                    .backward::<T>(&input, &spreads, &scale, &upstream, input_wanted)?;
                let record = |slot: Option<usize>, rows: Vec<T>| match slot {
                    None => Ok(()),
                    Some(slot) => {
                        let shape = (standardisation.examples, 1, width);
                        let rows = Tensor::from_vec(rows, shape, upstream.device())?;
                        session.record(slot, Box::new(Rows(over_positions(&session.positions(&rows)?)?)))
                    }
                };
                record(bias_slot, gradients.bias)?;
                record(weight_slot, gradients.weight)?;
                match input_wanted {
                    true => {
                        let gradient = Tensor::from_vec(gradients.input, &shape, upstream.device())?;
                        Ok(Some(gradient.to_dtype(dtype)?))
                    }
                    false => Ok(None),
                }
            }),
        )
    })
}

#[cfg(test)]
mod tests;
