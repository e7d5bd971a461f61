//! One forward and backward pass, measured or not.

use super::sample::Source;
use crate::capture::{Capture, MicrobatchReading, Microbatches, Reduction, Statistics};
use crate::error::{Error, Result};
use candle_core::backprop::GradStore;
use candle_core::{DType, Tensor, Var};
use std::ops::Range;

/// How a due step is measured.
#[derive(Clone, Copy, Debug)]
pub(super) enum Route {
    /// Exact per-example gradients of the captured layers.
    PerExample,
    /// A backward pass for each of so many parts of the batch.
    Microbatches(usize),
}

/// Fewer have no interval.
pub(super) const FEWEST_PARTS: usize = 3;

/// A pass that was to be measured.
pub(super) struct Pass {
    loss: f64,
    gradients: GradStore,
    measured: Measured,
}

/// What it shows.
pub(super) enum Measured {
    Batch(Statistics),
    Microbatches(MicrobatchReading),
    Nothing(String),
}

impl Pass {
    pub fn into_parts(self) -> (f64, GradStore, Measured) {
        (self.loss, self.gradients, self.measured)
    }
}

impl Measured {
    pub fn source(&self) -> Source<'_> {
        match self {
            Self::Batch(statistics) => Source::Batch(statistics),
            Self::Microbatches(reading) => Source::Microbatches(reading),
            Self::Nothing(reason) => Source::Nothing(reason),
        }
    }
}

/// The mean loss of the batch and its gradients.
pub(super) fn plain(
    examples: usize,
    loss: impl Fn(Range<usize>) -> candle_core::Result<Tensor>,
) -> Result<(f64, GradStore)> {
    let value = loss(0..examples)?;
    if value.rank() != 0 {
        return Err(Error::Capture(format!(
            "the loss has shape {:?}; it must be a scalar, the mean of the examples' losses",
            value.dims()
        )));
    }
    let gradients = value.backward()?;
    Ok((value.to_dtype(DType::F64)?.to_scalar::<f64>()?, gradients))
}

/// The same, measured. Where it can not be because something is not finite, it is done again plainly, with the reason.
pub(super) fn measured(
    route: Route,
    examples: usize,
    parameters: &[(String, Var)],
    loss: impl Fn(Range<usize>) -> candle_core::Result<Tensor>,
) -> Result<Pass> {
    let tried = match route {
        Route::PerExample => Capture::new(examples, Reduction::Mean)
            .interval()
            .run(parameters, || loss(0..examples))
            .map(|captured| Pass {
                loss: captured.loss,
                gradients: captured.gradients,
                measured: Measured::Batch(captured.statistics),
            }),
        Route::Microbatches(parts) => match equal_parts(examples, parts) {
            Some(parts) => Microbatches::new(examples, parts)
                .run(parameters, &loss)
                .map(in_parts),
            None => {
                let reason = format!(
                    "{examples} examples do not make up {FEWEST_PARTS} to {parts} microbatches of the same size"
                );
                return unmeasured(examples, reason, &loss);
            }
        },
    };
    let error = match tried {
        Ok(pass) => return Ok(pass),
        Err(error) => error,
    };
    let (value, gradients) = plain(examples, &loss)?;
    match not_finite(value, &gradients, parameters)? {
        Some(reason) => Ok(Pass {
            loss: value,
            gradients,
            measured: Measured::Nothing(reason),
        }),
        None => Err(error),
    }
}

fn in_parts(mut reading: MicrobatchReading) -> Pass {
    let gradients = std::mem::take(&mut reading.gradients);
    Pass {
        loss: reading.loss,
        gradients,
        measured: Measured::Microbatches(reading),
    }
}

fn unmeasured(
    examples: usize,
    reason: String,
    loss: impl Fn(Range<usize>) -> candle_core::Result<Tensor>,
) -> Result<Pass> {
    let (loss, gradients) = plain(examples, loss)?;
    Ok(Pass {
        loss,
        gradients,
        measured: Measured::Nothing(reason),
    })
}

/// The largest number of equal parts that is at most `parts`.
fn equal_parts(examples: usize, parts: usize) -> Option<usize> {
    (FEWEST_PARTS..=parts)
        .rev()
        .find(|&count| examples > 0 && examples.is_multiple_of(count))
}

/// Which number is none, if one is.
fn not_finite(
    loss: f64,
    gradients: &GradStore,
    parameters: &[(String, Var)],
) -> Result<Option<String>> {
    if !loss.is_finite() {
        return Ok(Some(format!("the loss is {loss}")));
    }
    for (name, var) in parameters {
        let Some(gradient) = gradients.get(var) else {
            continue;
        };
        // a number times 0 is 0 unless it is none
        let sum = (gradient.to_dtype(DType::F64)? * 0.0)?
            .sum_all()?
            .to_scalar::<f64>()?;
        if !sum.is_finite() {
            return Ok(Some(format!("the gradient of `{name}` is not finite")));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_split_into_the_largest_number_of_equal_parts() {
        assert_eq!(equal_parts(64, 8), Some(8));
        assert_eq!(equal_parts(62, 8), None);
        assert_eq!(equal_parts(60, 8), Some(6));
        assert_eq!(equal_parts(7, 8), Some(7));
        assert_eq!(equal_parts(2, 8), None);
        assert_eq!(equal_parts(0, 8), None);
    }
}
