//! Losses example by example, and the targets that count.
//!
//! Legend: `n` examples, `T` targets of each, `c` classes. A target equal to the index to ignore does not count: padding, say.

use super::activation::in_one_pass;
use super::attach::attach_alone;
use super::dense::{Number, by_type, num, wide, with_slice};
use super::exponential::softmax;
use candle_core::{D, DType, Error, Result, Tensor};
use rayon::prelude::*;

/// How the losses of one example's targets become the loss of the example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverTargets {
    /// Their sum.
    Sum,
    /// Their mean over the targets that count.
    Mean,
}

/// The cross-entropy of each example over the targets that count, or their mean; `[n]`, in the logits' type:
///
/// ```math
/// l_i = -\sum_t \log \operatorname{softmax}(z_{it})_{y_{it}}
/// ```
///
/// An example of which no target counts has the loss 0 and no gradient, by [`OverTargets::Mean`] too.
///
/// Logits are `[n, c]` or `[n, T, c]`, targets `[n]` or `[n, T]` of type `u8`, `u32` or `i64`.
///
/// # Errors
/// When the shapes do not fit, a target that counts is no class, or candle fails.
pub fn cross_entropy(
    logits: &Tensor,
    targets: &Tensor,
    ignore: Option<u32>,
    over: OverTargets,
) -> Result<Tensor> {
    let dims = logits.dims();
    if !(2..=3).contains(&dims.len()) || targets.dims() != &dims[..dims.len() - 1] {
        return Err(Error::Msg(format!(
            "logits of shape {dims:?} were given with targets of shape {:?}; they must be [n, classes] with [n], or [n, T, classes] with [n, T]",
            targets.dims()
        )));
    }
    let (n, classes) = (logits.dim(0)?, logits.dim(D::Minus1)?);
    let known = read(targets)?;
    let counts = |&target: &i64| !is_ignored(target, ignore);
    for target in known.iter().filter(|target| counts(target)) {
        if !(0..classes as i64).contains(target) {
            return Err(Error::Msg(format!(
                "a target is {target}; with {classes} classes it must be 0 to {}",
                classes as i64 - 1
            )));
        }
    }
    if logits.elem_count() == 0 {
        // candle takes no maximum of nothing; the sum of nothing is 0
        return logits.flatten_from(1)?.sum(1);
    }
    if in_one_pass(logits) {
        let counts: Vec<Option<usize>> = known
            .iter()
            .map(|target| counts(target).then_some(*target as usize))
            .collect();
        return by_type!(logits, T => on_host::<T>(logits, &counts, over));
    }
    // any class will do where no target counts
    let safe: Vec<u32> = known
        .iter()
        .map(|target| if counts(target) { *target as u32 } else { 0 })
        .collect();
    let positions = known.len() / n;
    let safe = Tensor::from_vec(safe, (n, positions, 1), logits.device())?;
    let logits = logits.reshape((n, positions, classes))?;
    let losses = candle_nn::ops::log_softmax(&logits, D::Minus1)?
        .gather(&safe, D::Minus1)?
        .squeeze(2)?
        .neg()?;
    let mask = counted_targets(targets, ignore)?.reshape((n, positions))?;
    // chosen, not multiplied: what does not count may be infinite
    let sums = mask.where_cond(&losses, &losses.zeros_like()?)?.sum(1)?;
    match over {
        OverTargets::Sum => Ok(sums),
        OverTargets::Mean => {
            let counts = mask.to_dtype(sums.dtype())?.sum(1)?;
            sums / counts.maximum(1.0)?
        }
    }
}

/// The losses and their gradients in one pass over the logits; `targets` are classes where they count.
fn on_host<T: Number>(
    logits: &Tensor,
    targets: &[Option<usize>],
    over: OverTargets,
) -> Result<Tensor> {
    let (n, classes) = (logits.dim(0)?, logits.dim(D::Minus1)?);
    let positions = targets.len() / n;
    let each = positions * classes;
    let mut losses = vec![num::<T>(0.0); n];
    let mut slopes = vec![num::<T>(0.0); n * each];
    with_slice(logits, |logits: &[T]| {
        let examples = losses.par_iter_mut().zip(slopes.par_chunks_mut(each));
        let given = logits.par_chunks(each).zip(targets.par_chunks(positions));
        examples
            .zip(given)
            .for_each(|((loss, slopes), (logits, targets))| {
                wide(
                    #[inline(always)]
                    || {
                        let counted = targets.iter().flatten().count().max(1);
                        let weight = match over {
                            OverTargets::Sum => 1.0,
                            OverTargets::Mean => 1.0 / counted as f64,
                        };
                        let rows = slopes
                            .chunks_exact_mut(classes)
                            .zip(logits.chunks_exact(classes));
                        let mut sum = 0.0;
                        for ((slopes, logits), target) in rows.zip(targets) {
                            if let &Some(class) = target {
                                sum += surprise(logits, class, weight, slopes);
                            }
                        }
                        *loss = num(weight * sum);
                    },
                );
            });
    })?;
    let losses = Tensor::from_vec(losses, n, logits.device())?;
    let slopes = Tensor::from_vec(slopes, (n, each), logits.device())?;
    let shape = logits.shape().clone();
    attach_alone(
        logits,
        losses,
        Box::new(move |upstream| {
            slopes
                .broadcast_mul(&upstream.reshape(((), 1))?)?
                .reshape(&shape)
        }),
    )
}

/// `-log softmax(z)_y`, and `weight` times its gradient, `softmax(z) - e_y`, into `slopes`.
#[inline(always)]
fn surprise<T: Number>(z: &[T], class: usize, weight: f64, slopes: &mut [T]) -> f64 {
    slopes.copy_from_slice(z);
    let (largest, total) = softmax(slopes, num(1.0), num(weight));
    slopes[class] -= num::<T>(weight);
    let total: f64 = total.into();
    total.ln() - (z[class] - largest).into()
}

/// 1 where a target counts and 0 where it is to be ignored, `u8` in the shape of the targets: the mask that
/// [`super::Capture::counted`] takes.
///
/// # Errors
/// When the targets are no integers, or candle fails.
pub fn counted_targets(targets: &Tensor, ignore: Option<u32>) -> Result<Tensor> {
    let mask = read(targets)?.into_iter();
    let mask: Vec<u8> = mask
        .map(|target| u8::from(!is_ignored(target, ignore)))
        .collect();
    Tensor::from_vec(mask, targets.shape(), targets.device())
}

/// Makes every target that counts an example of its own: the row of `targets` that it comes from, `u32` `[m]`, and targets `[m, T]` in
/// which all others are `ignore`.
///
/// With the inputs `index_select`ed by these rows, the per-example gradients are those of single tokens also where the network mixes
/// positions, as attention does, and no layer could tell the tokens apart: `m` forward passes in place of `n`, the price of
/// [`super::Unit::Token`]. By [`OverTargets::Sum`] the gradients of an example's tokens add up to the example's.
///
/// # Errors
/// When targets are not `[n, T]` or no integers, when none counts, or candle fails.
pub fn one_target_each(targets: &Tensor, ignore: u32) -> Result<(Tensor, Tensor)> {
    let (_, positions) = targets.dims2()?;
    let known = read(targets)?;
    let counted: Vec<usize> = (0..known.len())
        .filter(|&at| !is_ignored(known[at], Some(ignore)))
        .collect();
    if counted.is_empty() {
        return Err(Error::Msg(format!(
            "all targets of shape {:?} are {ignore}, which is ignored; at least one must count",
            targets.dims()
        )));
    }
    let mut alone = vec![i64::from(ignore); counted.len() * positions];
    for (row, &at) in counted.iter().enumerate() {
        alone[row * positions + at % positions] = known[at];
    }
    let rows: Vec<u32> = counted.iter().map(|at| (at / positions) as u32).collect();
    let device = targets.device();
    let alone = Tensor::from_vec(alone, (counted.len(), positions), device)?;
    // `ignore` need not fit into u8
    let dtype = match targets.dtype() {
        DType::U8 => DType::U32,
        dtype => dtype,
    };
    Ok((Tensor::new(rows, device)?, alone.to_dtype(dtype)?))
}

fn is_ignored(target: i64, ignore: Option<u32>) -> bool {
    ignore.map(i64::from) == Some(target)
}

/// Targets on the host, row after row.
fn read(targets: &Tensor) -> Result<Vec<i64>> {
    if !matches!(targets.dtype(), DType::U8 | DType::U32 | DType::I64) {
        return Err(Error::Msg(format!(
            "targets are of type {:?}; they must be u8, u32 or i64",
            targets.dtype()
        )));
    }
    targets.flatten_all()?.to_dtype(DType::I64)?.to_vec1()
}
