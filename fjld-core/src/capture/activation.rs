//! Activations and the softmax, in one pass each way. They have no parameters and nothing to measure: they are here because candle's own
//! take five passes over memory for a backward step, or, as its fused softmax, pass no gradient on.

use super::attach::attach_alone;
use super::dense::{Number, by_type, in_lanes, is_host, num, wide, with_slice};
use super::exponential::softmax;
use super::session::Session;
use candle_core::{D, Result, Tensor};
use rayon::prelude::*;

/// Numbers of a task.
const CHUNK: usize = 1 << 14;

/// `max(x, 0)`, with the derivative 1 at 0, as candle has it.
///
/// # Errors
/// Whatever candle reports.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    if !in_one_pass(x) {
        return x.relu();
    }
    by_type!(x, T => {
        let value = map::<T>(x, |x| if x < num(0.0) { num(0.0) } else { x })?;
        let input = x.detach();
        attach_alone(x, value, Box::new(move |upstream| {
            zip::<T>(&input, upstream, |x, o| if x < num(0.0) { num(0.0) } else { o })
        }))
    })
}

/// The Gaussian error linear unit in its form by the hyperbolic tangent, `$\frac x2 \bigl( 1 + \tanh(\sqrt{2/\pi} \, (x + 0.044715 x^3)) \bigr)$` (Hendrycks and
/// Gimpel 2016, arXiv:1606.08415), as `Tensor::gelu`.
///
/// # Errors
/// Whatever candle reports.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    if !in_one_pass(x) {
        return x.gelu();
    }
    by_type!(x, T => {
        let (value, slope) = map2::<T>(x, |x| {
            // (1 + tanh(u)) / 2 = 1 / (1 + exp(-2u)), which cancels nothing below 0
            let twice = 2.0 * std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2;
            let (one, twice) = (num::<T>(1.0), num::<T>(twice));
            let cubic = num::<T>(0.044_715) * x * x;
            let odds = T::exp_of(num::<T>(0.0) - twice * x * (one + cubic));
            let above = one / (one + odds);
            let below = if above > num::<T>(0.0) { odds * above } else { one };
            let inner = twice * (one + num::<T>(3.0) * cubic);
            (x * above, above + x * above * below * inner)
        })?;
        attach_alone(x, value, Box::new(move |upstream| {
            zip::<T>(&slope, upstream, |slope, o| slope * o)
        }))
    })
}

/// `$e^{x_j} / \sum_k e^{x_k}$` over the last axis. candle's `softmax_last_dim` passes no gradient on, its `softmax` takes many passes.
///
/// # Errors
/// Whatever candle reports.
pub fn softmax_last_dim(x: &Tensor) -> Result<Tensor> {
    let width = x.dim(D::Minus1)?;
    if !in_one_pass(x) {
        return candle_nn::ops::softmax(x, D::Minus1);
    }
    by_type!(x, T => {
        let value = rows::<T>(x, None, width, |x, _, into| {
            into.copy_from_slice(x);
            softmax(into, num(1.0), num(1.0));
        })?;
        let own = value.copy()?;
        attach_alone(x, value, Box::new(move |upstream| {
            // dL/dx = y (o - sum o y)
            rows::<T>(&own, Some(upstream), width, |y, o, into| {
                for (into, (&y, &o)) in into.iter_mut().zip(y.iter().zip(o)) {
                    *into = y * o;
                }
                let along = in_lanes(into, num::<T>(0.0), |lane, x| lane + x);
                for (into, (&y, &o)) in into.iter_mut().zip(y.iter().zip(o)) {
                    *into = y * (o - along);
                }
            })
        }))
    })
}

/// Whether there is a capture to be fast for; outside one, models are candle's.
pub(super) fn in_one_pass(x: &Tensor) -> bool {
    is_host(x) && x.elem_count() > 0 && Session::current().is_some()
}

fn map<T: Number>(x: &Tensor, f: impl Fn(T) -> T + Sync) -> Result<Tensor> {
    rows::<T>(x, None, CHUNK, |x, _, into| {
        for (into, &x) in into.iter_mut().zip(x) {
            *into = f(x);
        }
    })
}

fn zip<T: Number>(x: &Tensor, y: &Tensor, f: impl Fn(T, T) -> T + Sync) -> Result<Tensor> {
    rows::<T>(x, Some(y), CHUNK, |x, y, into| {
        for (into, (&x, &y)) in into.iter_mut().zip(x.iter().zip(y)) {
            *into = f(x, y);
        }
    })
}

fn map2<T: Number>(x: &Tensor, f: impl Fn(T) -> (T, T) + Sync) -> Result<(Tensor, Tensor)> {
    let mut values = vec![num::<T>(0.0); x.elem_count()];
    let mut slopes = values.clone();
    with_slice(x, |x: &[T]| {
        let both = values
            .par_chunks_mut(CHUNK)
            .zip(slopes.par_chunks_mut(CHUNK));
        both.zip(x.par_chunks(CHUNK))
            .for_each(|((values, slopes), x)| {
                wide(
                    #[inline(always)]
                    || {
                        for ((value, slope), &x) in values.iter_mut().zip(slopes).zip(x) {
                            (*value, *slope) = f(x);
                        }
                    },
                );
            });
    })?;
    let tensor = |numbers| Tensor::from_vec(numbers, x.shape(), x.device());
    Ok((tensor(values)?, tensor(slopes)?))
}

/// `f` over rows of `width` numbers of `x`, and of `y` if there is one, into a tensor of the shape of `x`.
fn rows<T: Number>(
    x: &Tensor,
    y: Option<&Tensor>,
    width: usize,
    f: impl Fn(&[T], &[T], &mut [T]) + Sync,
) -> Result<Tensor> {
    let mut into = vec![num::<T>(0.0); x.elem_count()];
    let each = (CHUNK / width).max(1) * width;
    with_slice(x, |x: &[T]| {
        with_slice(
            y.unwrap_or(&Tensor::zeros(0, T::DTYPE, &candle_core::Device::Cpu)?),
            |y: &[T]| {
                into.par_chunks_mut(each)
                    .enumerate()
                    .for_each(|(at, into)| {
                        let x = &x[at * each..][..into.len()];
                        let y = y.get(at * each..at * each + into.len()).unwrap_or_default();
                        wide(
                            #[inline(always)]
                            || {
                                for (row, into) in into.chunks_mut(width).enumerate() {
                                    let own = row * width..row * width + into.len();
                                    f(&x[own.clone()], y.get(own).unwrap_or_default(), into);
                                }
                            },
                        );
                    });
            },
        )
    })??;
    Tensor::from_vec(into, x.shape(), x.device())
}
