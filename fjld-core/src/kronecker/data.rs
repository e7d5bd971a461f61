//! A layer's pair as the sums want it: checked, in 64 bits, without padding, with the bias's 1.

use crate::capture::LayerPair;
use crate::error::{Error, Result};
use crate::fisher::tensors::{check_finite, scalar, widened};
use candle_core::{DType, Tensor};

/// Inputs and output gradients of one layer, zero at padding.
pub(super) struct Data {
    /// `a` with the 1 of a bias behind it, `[examples, positions, in]`.
    pub inputs: Tensor,
    /// `g`, `[examples, positions, out]`.
    pub gradients: Tensor,
    /// How many positions count in each example, `[examples, 1]`.
    pub counts: Tensor,
    /// How finely the numbers that came in are resolved: the relative distance of neighbours.
    pub resolution: f64,
}

/// The sides of a pair's block, `(in, out)`, the bias counted.
pub(super) fn sides(pair: &LayerPair) -> Result<(usize, usize)> {
    let (_, _, inputs, outputs) = shape(pair).map_err(|e| e.within(&pair.layer))?;
    Ok((inputs + usize::from(pair.bias), outputs))
}

/// Examples, positions, inputs and outputs.
fn shape(pair: &LayerPair) -> Result<(usize, usize, usize, usize)> {
    let (examples, positions, inputs) = dims(&pair.inputs, "the inputs")?;
    let (rows, columns, outputs) = dims(&pair.gradients, "the output gradients")?;
    if (rows, columns) != (examples, positions) {
        return Err(Error::Shape {
            what: "the output gradients",
            expected: format!("[{examples}, {positions}, outputs] as the inputs have"),
            got: pair.gradients.dims().to_vec(),
        });
    }
    Ok((examples, positions, inputs, outputs))
}

impl Data {
    /// Everything that can be wrong with a pair is found here.
    pub fn of(pair: &LayerPair) -> Result<Self> {
        Self::unnamed(pair).map_err(|e| e.within(&pair.layer))
    }

    fn unnamed(pair: &LayerPair) -> Result<Self> {
        let (examples, positions, ..) = shape(pair)?;
        let mut inputs = widened(&pair.inputs)?;
        let mut gradients = widened(&pair.gradients)?;
        let ones = Tensor::ones((examples, positions), DType::F64, inputs.device())?;
        let counted = match &pair.counted {
            None => ones,
            Some(mask) => {
                let mask = checked_mask(mask, examples, positions)?;
                inputs = without_padding(&inputs, &mask)?;
                gradients = without_padding(&gradients, &mask)?;
                mask
            }
        };
        if pair.bias {
            inputs = Tensor::cat(&[&inputs, &counted.unsqueeze(2)?], 2)?;
        }
        check_finite(&inputs)?;
        check_finite(&gradients)?;
        Ok(Self {
            counts: counted.sum_keepdim(1)?,
            resolution: resolution(pair.inputs.dtype()).max(resolution(pair.gradients.dtype())),
            inputs: inputs.contiguous()?,
            gradients: gradients.contiguous()?,
        })
    }

    /// Refuses numbers of inputs and outputs other than these.
    pub fn check_sides(&self, inputs: usize, outputs: usize) -> Result<()> {
        for (what, expected, tensor) in [
            ("the last axis of the inputs", inputs, &self.inputs),
            (
                "the last axis of the output gradients",
                outputs,
                &self.gradients,
            ),
        ] {
            let got = tensor.dims()[2];
            if got != expected {
                return Err(Error::Length {
                    what,
                    expected,
                    got,
                });
            }
        }
        Ok(())
    }

    /// The number of examples.
    pub fn examples(&self) -> usize {
        self.inputs.dims()[0]
    }

    /// The number of positions in an example, padding included.
    pub fn positions(&self) -> usize {
        self.inputs.dims()[1]
    }

    /// The number of positions that count, over all examples.
    pub fn counted(&self) -> Result<f64> {
        scalar(&self.counts.sum_all()?)
    }
}

/// The three sides of a tensor `[examples, positions, features]`, none of them 0.
fn dims(tensor: &Tensor, what: &'static str) -> Result<(usize, usize, usize)> {
    match tensor.dims() {
        &[examples, positions, features] if tensor.elem_count() > 0 => {
            Ok((examples, positions, features))
        }
        other => Err(Error::Shape {
            what,
            expected: "[examples, positions, features], none of them 0".into(),
            got: other.to_vec(),
        }),
    }
}

/// The mask in 64 bits, if it is `[examples, positions]` of ones and zeros.
fn checked_mask(mask: &Tensor, examples: usize, positions: usize) -> Result<Tensor> {
    if mask.dims() != [examples, positions] {
        return Err(Error::Shape {
            what: "the mask of counted positions",
            expected: format!("[{examples}, {positions}] as the inputs have"),
            got: mask.dims().to_vec(),
        });
    }
    let mask = widened(mask)?;
    check_finite(&mask)?;
    let neither = (&mask * (&mask - 1.0)?)?.abs()?;
    if scalar(&neither.sum_all()?)? != 0.0 {
        let values = mask.flatten_all()?.to_vec1::<f64>()?;
        let other = values.into_iter().find(|v| *v != 0.0 && *v != 1.0);
        return Err(Error::OutOfRange {
            name: "an entry of the mask of counted positions",
            value: other.unwrap_or(f64::NAN),
            accepted: "1 where a position counts and 0 where it is padding",
        });
    }
    Ok(mask)
}

/// Zero wherever the mask is: selected and not multiplied, since padding may hold anything, NaN included.
fn without_padding(values: &Tensor, mask: &Tensor) -> Result<Tensor> {
    let select = mask.to_dtype(DType::U8)?.unsqueeze(2)?;
    Ok(select
        .broadcast_as(values.shape())?
        .where_cond(values, &values.zeros_like()?)?)
}

fn resolution(dtype: DType) -> f64 {
    match dtype {
        DType::BF16 => 0.5f64.powi(7),
        DType::F16 => 0.5f64.powi(10),
        DType::F32 => f64::from(f32::EPSILON),
        _ => f64::EPSILON,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn pair(counted: Option<Tensor>) -> Result<LayerPair> {
        Ok(LayerPair {
            layer: "fc".into(),
            inputs: Tensor::new(&[[[1.0, 2.0], [f64::NAN, 3.0]]], &Device::Cpu)?,
            gradients: Tensor::new(&[[[5.0], [f64::INFINITY]]], &Device::Cpu)?,
            bias: true,
            counted,
        })
    }

    #[test]
    fn padding_leaves_whatever_it_holds() -> Result<()> {
        for mask in [
            Tensor::new(&[[1u8, 0]], &Device::Cpu)?,
            Tensor::new(&[[1f32, 0.0]], &Device::Cpu)?,
        ] {
            let data = Data::of(&pair(Some(mask))?)?;
            assert_eq!(
                data.inputs.to_vec3::<f64>()?,
                [[[1.0, 2.0, 1.0], [0.0, 0.0, 0.0]]]
            );
            assert_eq!(data.gradients.to_vec3::<f64>()?, [[[5.0], [0.0]]]);
            assert_eq!(data.counted()?, 1.0);
        }
        Ok(())
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_layer() -> Result<()> {
        let message = |pair: &LayerPair| match Data::of(pair) {
            Ok(_) => "accepted".to_string(),
            Err(e) => e.to_string(),
        };
        assert_eq!(
            message(&pair(None)?),
            "in `fc`: row 0, column 3 is NaN; every entry must be a finite number"
        );
        let half = Tensor::new(&[[1.0, 0.5]], &Device::Cpu)?;
        assert_eq!(
            message(&pair(Some(half))?),
            "in `fc`: an entry of the mask of counted positions is 0.5; it must be 1 where a position counts and 0 where it is padding"
        );
        let long = Tensor::new(&[[1.0, 0.0, 1.0]], &Device::Cpu)?;
        assert!(message(&pair(Some(long))?).contains("has shape [1, 3]"));
        let flat = LayerPair {
            inputs: Tensor::zeros((2, 3), DType::F64, &Device::Cpu)?,
            ..pair(None)?
        };
        assert_eq!(
            message(&flat),
            "in `fc`: the inputs has shape [2, 3]; it must have shape [examples, positions, features], none of them 0"
        );
        let other = LayerPair {
            gradients: Tensor::zeros((1, 3, 2), DType::F64, &Device::Cpu)?,
            ..pair(None)?
        };
        assert!(message(&other).contains("[1, 2, outputs]"));
        let empty = LayerPair {
            inputs: Tensor::zeros((0, 1, 2), DType::F64, &Device::Cpu)?,
            ..pair(None)?
        };
        assert!(message(&empty).contains("none of them 0"));
        Ok(())
    }

    #[test]
    fn a_type_resolves_the_next_number_above_one_and_nothing_nearer() -> Result<()> {
        for dtype in [DType::BF16, DType::F16, DType::F32, DType::F64] {
            let step = resolution(dtype);
            let kept = |x: f64| -> Result<f64> {
                Ok(Tensor::new(x, &Device::Cpu)?
                    .to_dtype(dtype)?
                    .to_dtype(DType::F64)?
                    .to_scalar()?)
            };
            assert!(step > 0.0);
            assert_eq!(kept(1.0 + step)?, 1.0 + step, "{dtype:?}");
            // halfway goes to the even neighbour
            assert_eq!(kept(1.0 + 0.5 * step)?, 1.0, "{dtype:?}");
        }
        Ok(())
    }

    #[test]
    fn a_pair_is_as_coarse_as_the_coarser_of_its_tensors() -> Result<()> {
        let ones = |dtype| Tensor::ones((2, 3, 1), dtype, &Device::Cpu);
        for (inputs, gradients, expected) in [
            (DType::F32, DType::F64, 0.5f64.powi(23)),
            (DType::F32, DType::BF16, 0.5f64.powi(7)),
            (DType::F16, DType::F32, 0.5f64.powi(10)),
        ] {
            let data = Data::of(&LayerPair {
                inputs: ones(inputs)?,
                gradients: ones(gradients)?,
                ..pair(None)?
            })?;
            assert_eq!(data.resolution, expected);
            assert_eq!((data.examples(), data.positions()), (2, 3));
        }
        Ok(())
    }
}
