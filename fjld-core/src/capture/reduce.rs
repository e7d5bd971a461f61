//! Sums of squares and products in `f64`, whatever comes in. candle adds in the tensors' own type, one number after the other, which
//! costs an `f32` sum over a million terms its third digit.

use super::dense::dot;
use candle_core::{CpuStorage, DType, Result, Storage, Tensor};
use rayon::prelude::*;

/// A number for every draw, in `f64`, where it was computed. A copy from a device to the host waits until the device has done all that
/// it was told, so it is put off until every parameter has its numbers.
#[derive(Clone, Debug)]
pub(crate) enum PerDraw {
    Host(Vec<f64>),
    /// `[n]`.
    Device(Tensor),
}

impl PerDraw {
    /// Of no draws.
    pub const NONE: Self = Self::Host(Vec::new());

    fn zipped(
        self,
        other: Self,
        on_host: impl Fn(f64, f64) -> f64,
        on_device: impl Fn(&Tensor, &Tensor) -> Result<Tensor>,
    ) -> Result<Self> {
        Ok(match (self, other) {
            (Self::Device(a), Self::Device(b)) => Self::Device(on_device(&a, &b)?),
            (a, b) => {
                let (a, b) = (a.on_host()?, b.on_host()?);
                Self::Host(a.iter().zip(&b).map(|(&a, &b)| on_host(a, b)).collect())
            }
        })
    }

    /// Draw by draw.
    pub fn times(self, other: Self) -> Result<Self> {
        self.zipped(other, |a, b| a * b, |a, b| a * b)
    }

    /// Draw by draw.
    pub fn plus(self, other: Self) -> Result<Self> {
        self.zipped(other, |a, b| a + b, |a, b| a + b)
    }

    /// Those of some draws, then those of the next.
    pub fn joined(parts: Vec<Self>) -> Result<Self> {
        let on_device: Option<Vec<&Tensor>> = parts.iter().map(Self::device).collect();
        match on_device {
            Some(all) if !all.is_empty() => Ok(Self::Device(Tensor::cat(&all, 0)?)),
            _ => Ok(Self::Host(Self::all_on_host(parts)?.concat())),
        }
    }

    fn device(&self) -> Option<&Tensor> {
        match self {
            Self::Host(_) => None,
            Self::Device(numbers) => Some(numbers),
        }
    }

    pub fn on_host(self) -> Result<Vec<f64>> {
        match self {
            Self::Host(numbers) => Ok(numbers),
            Self::Device(numbers) => numbers.to_vec1(),
        }
    }

    /// All of them, with one copy for those that are on a device.
    pub fn all_on_host(all: Vec<Self>) -> Result<Vec<Vec<f64>>> {
        let there: Vec<&Tensor> = all.iter().filter_map(Self::device).collect();
        let copied = match there.as_slice() {
            [] => Vec::new(),
            there => Tensor::cat(there, 0)?.to_vec1::<f64>()?,
        };
        let mut rest = copied.as_slice();
        let on_host = all.into_iter().map(|numbers| match numbers {
            Self::Host(numbers) => numbers,
            Self::Device(numbers) => {
                let (own, others) = rest.split_at(numbers.elem_count());
                rest = others;
                own.to_vec()
            }
        });
        Ok(on_host.collect())
    }
}

/// `sum_k x_ik^2` for every index `i` of the first axis.
pub(crate) fn squares(x: &Tensor) -> Result<PerDraw> {
    if x.device().is_cpu() {
        return products(x, x);
    }
    let x = x.reshape((x.dim(0)?, ()))?.to_dtype(DType::F64)?;
    Ok(PerDraw::Device(x.sqr()?.sum(1)?))
}

/// `sum_k x_ik y_ik` for every index `i` of the first axis. Both have the same shape and type.
pub(crate) fn products(x: &Tensor, y: &Tensor) -> Result<PerDraw> {
    let rows = x.dim(0)?;
    if !x.device().is_cpu() {
        return products_in_place(x, y);
    }
    let (x, y) = (x.contiguous()?, y.contiguous()?);
    let ((xs, x_layout), (ys, y_layout)) = (x.storage_and_layout(), y.storage_and_layout());
    let width = x.elem_count() / rows.max(1);
    let (from_x, from_y) = (x_layout.start_offset(), y_layout.start_offset());
    match (&*xs, &*ys) {
        (Storage::Cpu(CpuStorage::F32(x)), Storage::Cpu(CpuStorage::F32(y))) => {
            let sums = row_products(&x[from_x..], &y[from_y..], rows, width);
            Ok(PerDraw::Host(sums))
        }
        (Storage::Cpu(CpuStorage::F64(x)), Storage::Cpu(CpuStorage::F64(y))) => {
            let sums = row_products(&x[from_x..], &y[from_y..], rows, width);
            Ok(PerDraw::Host(sums))
        }
        _ => Err(candle_core::Error::Msg(format!(
            "sums of products need two tensors of type f32 or two of type f64; got {:?} and {:?}",
            x.dtype(),
            y.dtype()
        ))),
    }
}

/// [`products`] where the tensors lie, on any device.
fn products_in_place(x: &Tensor, y: &Tensor) -> Result<PerDraw> {
    let wide = |t: &Tensor| t.reshape((t.dim(0)?, ()))?.to_dtype(DType::F64);
    Ok(PerDraw::Device((wide(x)? * wide(y)?)?.sum(1)?))
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
        for sum in squares(&tenths)?.on_host()? {
            // 62500 roundings in each of sixteen sums, all to the same side
            assert!((sum / expected - 1.0).abs() < 1.4e-11, "{sum}");
        }
        Ok(())
    }

    #[test]
    fn a_view_into_a_larger_tensor_is_read_at_its_place() -> Result<()> {
        let x = Tensor::arange(0f64, 12., &Device::Cpu)?.reshape((3, 4))?;
        assert_eq!(
            products(&x.narrow(0, 1, 2)?, &x.narrow(0, 0, 2)?)?.on_host()?,
            [38.0, 214.0]
        );
        assert_eq!(squares(&x.t()?)?.on_host()?, [80.0, 107.0, 140.0, 179.0]);
        Ok(())
    }

    #[test]
    fn numbers_of_a_device_meet_those_of_the_host_in_their_order() -> Result<()> {
        // a tensor of the host stands for one of a device: nothing here asks where it lies
        let there = |numbers: &[f64]| Tensor::new(numbers, &Device::Cpu).map(PerDraw::Device);
        let here = |numbers: &[f64]| PerDraw::Host(numbers.to_vec());
        let all = PerDraw::all_on_host(vec![there(&[1.0, 2.0])?, here(&[3.0]), there(&[4.0])?])?;
        assert_eq!(all, [vec![1.0, 2.0], vec![3.0], vec![4.0]]);
        for mixed in [
            vec![there(&[1.0])?, here(&[2.0])],
            vec![there(&[1.0])?, there(&[2.0])?],
            vec![here(&[1.0]), here(&[2.0])],
        ] {
            assert_eq!(PerDraw::joined(mixed)?.on_host()?, [1.0, 2.0]);
        }
        let product = there(&[2.0, 3.0])?.times(there(&[5.0, 7.0])?)?;
        assert_eq!(product.clone().on_host()?, [10.0, 21.0]);
        assert_eq!(product.plus(here(&[1.0, 1.0]))?.on_host()?, [11.0, 22.0]);
        Ok(())
    }

    #[test]
    fn numbers_that_are_all_on_a_device_stay_there() -> Result<()> {
        let there = |numbers: &[f64]| Tensor::new(numbers, &Device::Cpu).map(PerDraw::Device);
        let joined = PerDraw::joined(vec![there(&[1.0])?, there(&[2.0, 3.0])?])?;
        let sum = there(&[2.0, 3.0])?.plus(there(&[5.0, 7.0])?)?;
        // a copy would wait for the device
        assert!(joined.device().is_some() && sum.device().is_some());
        assert_eq!(joined.on_host()?, [1.0, 2.0, 3.0]);
        assert_eq!(sum.on_host()?, [7.0, 10.0]);
        Ok(())
    }

    #[test]
    fn no_parts_join_to_no_numbers() -> Result<()> {
        assert!(PerDraw::joined(Vec::new())?.on_host()?.is_empty());
        Ok(())
    }

    #[test]
    fn products_are_the_same_where_the_tensors_lie() -> Result<()> {
        // 5 + 12 and 21 + 32, and what `f32` would lose of (2^12 + 1)^2 + 1 = 2^24 + 2^13 + 2
        let odd = 4097f32;
        let x = Tensor::new(&[[1f32, 2.], [3., 4.], [odd, 1.]], &Device::Cpu)?;
        let y = Tensor::new(&[[5f32, 6.], [7., 8.], [odd, 1.]], &Device::Cpu)?;
        for by in [products, products_in_place] {
            assert_eq!(by(&x, &y)?.on_host()?, [17.0, 53.0, 16_785_410.0]);
        }
        Ok(())
    }

    #[test]
    fn products_of_two_types_are_refused() -> Result<()> {
        let x = Tensor::ones((2, 3), DType::F32, &Device::Cpu)?;
        let error = products(&x, &x.to_dtype(DType::F64)?).expect_err("one of them must be cast");
        assert_eq!(
            error.to_string(),
            "sums of products need two tensors of type f32 or two of type f64; got F32 and F64"
        );
        Ok(())
    }
}
