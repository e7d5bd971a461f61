//! Sums of squares and products in `f64`, whatever comes in. candle adds in the tensors' own type, one number after the other, which
//! costs an `f32` sum over a million terms its third digit.

use super::dense::dot;
use candle_core::{CpuStorage, DType, Result, Storage, Tensor};
use rayon::prelude::*;

/// `sum_k x_ik^2` for every index `i` of the first axis.
pub(crate) fn squares(x: &Tensor) -> Result<Vec<f64>> {
    products(x, x)
}

/// `sum_k x_ik y_ik` for every index `i` of the first axis. Both have the same shape and type.
pub(crate) fn products(x: &Tensor, y: &Tensor) -> Result<Vec<f64>> {
    let rows = x.dim(0)?;
    if !x.device().is_cpu() {
        let wide = |t: &Tensor| t.reshape((rows, ()))?.to_dtype(DType::F64);
        return (wide(x)? * wide(y)?)?.sum(1)?.to_vec1();
    }
    let (x, y) = (x.contiguous()?, y.contiguous()?);
    let ((xs, x_layout), (ys, y_layout)) = (x.storage_and_layout(), y.storage_and_layout());
    let width = x.elem_count() / rows.max(1);
    let (from_x, from_y) = (x_layout.start_offset(), y_layout.start_offset());
    match (&*xs, &*ys) {
        (Storage::Cpu(CpuStorage::F32(x)), Storage::Cpu(CpuStorage::F32(y))) => {
            Ok(row_products(&x[from_x..], &y[from_y..], rows, width))
        }
        (Storage::Cpu(CpuStorage::F64(x)), Storage::Cpu(CpuStorage::F64(y))) => {
            Ok(row_products(&x[from_x..], &y[from_y..], rows, width))
        }
        _ => Err(candle_core::Error::Msg(format!(
            "sums of products need two tensors of type f32 or two of type f64; got {:?} and {:?}",
            x.dtype(),
            y.dtype()
        ))),
    }
}

fn row_products<T: Copy + Into<f64> + Sync>(
    x: &[T],
    y: &[T],
    rows: usize,
    width: usize,
) -> Vec<f64> {
    if width == 0 {
        return vec![0.0; rows];
    }
    x[..rows * width]
        .par_chunks_exact(width)
        .zip(y[..rows * width].par_chunks_exact(width))
        .map(|(x, y)| dot(x, y))
        .collect()
}

/// `f32` for the half-width types, whose products would otherwise be rounded to three digits; the tensor itself for all others.
pub(crate) fn widened(x: &Tensor) -> Result<Tensor> {
    match x.dtype() {
        DType::BF16 | DType::F16 => x.to_dtype(DType::F32),
        _ => Ok(x.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn a_million_tenths_add_up_in_f32_tensors() -> Result<()> {
        let tenths = Tensor::full(0.1f32, (2, 1_000_000), &Device::Cpu)?;
        let expected = 1e6 * f64::from(0.1f32).powi(2);
        for sum in squares(&tenths)? {
            // 62500 roundings in each of sixteen sums, all to the same side
            assert!((sum / expected - 1.0).abs() < 1.4e-11, "{sum}");
        }
        Ok(())
    }

    #[test]
    fn a_view_into_a_larger_tensor_is_read_at_its_place() -> Result<()> {
        let x = Tensor::arange(0f64, 12., &Device::Cpu)?.reshape((3, 4))?;
        assert_eq!(
            products(&x.narrow(0, 1, 2)?, &x.narrow(0, 0, 2)?)?,
            [38.0, 214.0]
        );
        assert_eq!(squares(&x.t()?)?, [80.0, 107.0, 140.0, 179.0]);
        Ok(())
    }
}
