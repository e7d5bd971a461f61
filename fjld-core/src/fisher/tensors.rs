//! Between tensors, where the data are, and matrices on the host, where the factors are.

use crate::capture::dense::{in_lanes, is_host, wide, with_slice};
use crate::error::{Error, Result};
use candle_core::{DType, Device, Tensor};
use faer::{Mat, MatRef};
use rayon::prelude::*;

/// The same numbers in 64 bits, without their history: sums of 32-bit numbers lose digits, and no gradient flows through a measurement.
pub(crate) fn widened(tensor: &Tensor) -> Result<Tensor> {
    Ok(tensor.detach().to_dtype(DType::F64)?)
}

/// A tensor `[rows, columns]` of 64-bit numbers as a matrix.
pub(crate) fn to_host(tensor: &Tensor) -> Result<Mat<f64>> {
    let (rows, columns) = tensor.dims2()?;
    let entries = tensor.flatten_all()?.to_vec1::<f64>()?;
    Ok(Mat::from_fn(rows, columns, |i, j| entries[i * columns + j]))
}

/// A matrix as a tensor `[rows, columns]` of 64-bit numbers.
pub(crate) fn to_device(matrix: MatRef<'_, f64>, device: &Device) -> Result<Tensor> {
    let (rows, columns) = (matrix.nrows(), matrix.ncols());
    let entries: Vec<f64> = (0..rows)
        .flat_map(|i| (0..columns).map(move |j| matrix[(i, j)]))
        .collect();
    Ok(Tensor::from_vec(entries, (rows, columns), device)?)
}

/// A tensor of one number.
pub(crate) fn scalar(tensor: &Tensor) -> Result<f64> {
    Ok(tensor.to_scalar::<f64>()?)
}

/// Refuses a tensor of 64-bit numbers with NaN or an infinity in it: `row` counts along the first axis, `column` over all the others.
pub(crate) fn check_finite(tensor: &Tensor) -> Result<()> {
    let all_finite = match is_host(tensor) {
        true => with_slice(tensor, all_finite)?,
        // nothing but this sum leaves the device
        false => scalar(&(tensor * 0.0)?.sum_all()?)? == 0.0,
    };
    if all_finite {
        return Ok(());
    }
    let entries = tensor.flatten_all()?.to_vec1::<f64>()?;
    let width = entries.len() / tensor.dim(0)?;
    match entries.iter().position(|v| !v.is_finite()) {
        Some(at) => Err(Error::NotFinite {
            value: entries[at],
            row: (at / width) as u64,
            column: at % width,
        }),
        None => Ok(()),
    }
}

/// x * 0 is NaN for NaN and the infinities, and so is any sum with it.
fn all_finite(entries: &[f64]) -> bool {
    let vanish = |chunk: &[f64]| {
        wide(
            #[inline(always)]
            || in_lanes(chunk, 0.0, |lane, x| lane + x * 0.0) == 0.0,
        )
    };
    entries.par_chunks(1 << 16).all(vanish)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finite_numbers_are_told_from_others_wherever_one_stands() -> Result<()> {
        // two rows of 20: sixteen lanes with a few numbers left over
        let finite: Vec<f64> = (0..40).map(|k| 1.5 * f64::from(k) - 7.0).collect();
        assert!(all_finite(&finite));
        // nothing adds up to infinity where the numbers do not hold it
        assert!(all_finite(&[f64::MAX; 40]));
        for at in [0, 15, 16, 33, 39] {
            for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                let mut entries = finite.clone();
                entries[at] = value;
                assert!(!all_finite(&entries), "{value} at {at}");
                let tensor = Tensor::from_vec(entries, (2, 20), &Device::Cpu)?;
                let refused = check_finite(&tensor).expect_err("it is not finite");
                let place = format!("row {}, column {}", at / 20, at % 20);
                assert!(refused.to_string().starts_with(&place), "{refused}");
            }
        }
        Ok(())
    }
}
