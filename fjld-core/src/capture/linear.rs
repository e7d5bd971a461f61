//! Linear layers: `z = x W' + b`, at one position or at many.

use super::attach::attach;
use super::dense::{Number, by_type, is_host, product as dense_product, with_slice};
use super::per_example::{Outer, Rows, over_positions};
use super::session::{Announced, Session};
use candle_core::{DType, Result, Tensor};
use candle_nn::{Module, VarBuilder};
use faer::MatRef;

/// `candle_nn::Linear`, measured. Input `[examples, in]` or `[examples, ..., in]`; the axes between are positions.
#[derive(Clone, Debug)]
pub struct Linear {
    plain: candle_nn::Linear,
}

impl Linear {
    /// From a weight `[out, in]` and a bias `[out]`.
    pub fn new(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self {
            plain: candle_nn::Linear::new(weight, bias),
        }
    }

    /// `[out, in]`.
    pub fn weight(&self) -> &Tensor {
        self.plain.weight()
    }

    /// `[out]`.
    pub fn bias(&self) -> Option<&Tensor> {
        self.plain.bias()
    }
}

/// As `candle_nn::linear`.
///
/// # Errors
/// When the builder has no such tensors.
pub fn linear(fan_in: usize, fan_out: usize, vb: VarBuilder) -> Result<Linear> {
    let plain = candle_nn::linear(fan_in, fan_out, vb)?;
    Ok(Linear { plain })
}

/// As `candle_nn::linear_no_bias`.
///
/// # Errors
/// When the builder has no such tensor.
pub fn linear_no_bias(fan_in: usize, fan_out: usize, vb: VarBuilder) -> Result<Linear> {
    let plain = candle_nn::linear_no_bias(fan_in, fan_out, vb)?;
    Ok(Linear { plain })
}

/// As `candle_nn::linear_b`.
///
/// # Errors
/// When the builder has no such tensors.
pub fn linear_b(fan_in: usize, fan_out: usize, bias: bool, vb: VarBuilder) -> Result<Linear> {
    let plain = candle_nn::linear_b(fan_in, fan_out, bias, vb)?;
    Ok(Linear { plain })
}

impl Module for Linear {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match Session::current() {
            None => self.plain.forward(x),
            Some(session) => affine(&session, x, self.weight(), self.bias()),
        }
    }
}

/// `x W' + b` as a node that records both parameters' per-example gradients.
fn affine(
    session: &std::sync::Arc<Session>,
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
) -> Result<Tensor> {
    session.check_input(x)?;
    let Announced {
        weight: weight_slot,
        bias: bias_slot,
        anchor,
    } = session.announce_both(weight, bias)?;
    let input = x.detach().contiguous()?;
    let (matrix, shift) = (weight.detach(), bias.map(Tensor::detach));
    let value = product(&input, &matrix, shift.as_ref())?;
    let session = session.clone();
    let has_bias = shift.is_some();
    attach(
        x,
        anchor,
        value,
        Box::new(move |upstream, input_wanted| {
            let upstream = upstream.contiguous()?;
            let positions = session.positions(&upstream)?;
            if let Some(slot) = bias_slot {
                session.record(slot, Box::new(Rows(over_positions(&positions)?)))?;
            }
            if let Some(slot) = weight_slot {
                let inputs = session.positions(&input)?;
                session.record_pair(slot, &inputs, &positions, has_bias)?;
                let gradients = Outer {
                    inputs,
                    upstream: positions,
                };
                session.record(slot, Box::new(gradients))?;
            }
            match input_wanted {
                true => Ok(Some(product(&upstream, &matrix.t()?, None)?)),
                false => Ok(None),
            }
        }),
    )
}

/// `x W' + b` over the last axis of a contiguous `x`. On the CPU candle has no product of bf16 matrices: there it is taken in `f32` and
/// rounded once.
fn product(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let dtype = x.dtype();
    if dtype == DType::BF16 && x.device().is_cpu() {
        let wide = |t: &Tensor| t.to_dtype(DType::F32);
        let bias = bias.map(wide).transpose()?;
        return product(&wide(x)?, &wide(weight)?, bias.as_ref())?.to_dtype(dtype);
    }
    let (fan_out, fan_in) = weight.dims2()?;
    let mut shape = x.dims().to_vec();
    if let Some(last) = shape.last_mut() {
        *last = fan_out;
    }
    let rows = x.elem_count() / fan_in.max(1);
    if is_host(x) {
        return by_type!(x, T => on_host::<T>(x, weight, bias, rows)?.reshape(shape));
    }
    let value = x.reshape((rows, fan_in))?.matmul(&weight.t()?)?;
    let value = match bias {
        Some(bias) => value.broadcast_add(bias)?,
        None => value,
    };
    value.reshape(shape)
}

/// The product of `[rows, in]` and `[out, in]`, each row started from the bias.
fn on_host<T: Number>(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    rows: usize,
) -> Result<Tensor> {
    let (fan_out, fan_in) = weight.dims2()?;
    // a transposed view of a contiguous matrix is read as it lies
    let (matrix, transposed) = match weight.is_contiguous() {
        true => (weight.clone(), true),
        false => (weight.t()?, false),
    };
    let bias = bias.map(Tensor::to_vec1::<T>).transpose()?;
    let value = with_slice(x, |x: &[T]| {
        with_slice(&matrix, |matrix: &[T]| {
            let sides = match transposed {
                true => (fan_out, fan_in),
                false => (fan_in, fan_out),
            };
            dense_product(
                (MatRef::from_row_major_slice(x, rows, fan_in), false),
                (
                    MatRef::from_row_major_slice(matrix, sides.0, sides.1),
                    transposed,
                ),
                bias.as_deref(),
            )
        })
    })??;
    Tensor::from_vec(value, (rows, fan_out), x.device())
}
