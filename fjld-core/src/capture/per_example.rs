//! Per-example gradients of one parameter, in the form in which a layer's backward step has them, and what is asked of them.
//!
//! Legend: `n` draws, `T` positions, `d` entries of the parameter. Nothing here knows about the loss's reduction: a gradient is a
//! draw's share of the gradient of the loss as it was given.

use super::dense::{
    Ask, Number, Sums, absorb_all, by_type, is_host, multiply, product, squares_of,
    sums_over_positions, with_slice,
};
use super::reduce::{PerDraw, products, squares};
use candle_core::{D, DType, Device, Result, Tensor};
use faer::MatRef;

/// The gradients of one parameter, draw by draw, perhaps not written out.
pub(crate) trait PerExample: Send {
    /// Their sum over the draws, `[d]`.
    fn sum(&self) -> Result<Tensor>;
    /// `|g_i|^2`, `[n]`.
    fn squared_norms(&self) -> Result<PerDraw>;
    /// `sum_i g_i^2` entry by entry, `[d]`.
    fn sum_of_squares(&self) -> Result<Tensor>;
    /// The inner products `g_i . g_j`, `[n, n]`, in `f64` on the host, row after row.
    fn gram(&self) -> Result<Vec<f64>>;
    /// The gradients of draws `start..start + count`, written out, `[count, d]`.
    fn rows(&self, start: usize, count: usize) -> Result<Tensor>;
    /// The number of draws.
    fn draws(&self) -> Result<usize>;

    /// Everything that is asked, together where that is cheaper.
    fn totals(&self, ask: Ask) -> Result<Totals> {
        Ok(Totals {
            sum: self.sum()?,
            squared_norms: match ask {
                Ask::Sum => PerDraw::NONE,
                Ask::Norms | Ask::Squares => self.squared_norms()?,
            },
            sum_of_squares: match ask {
                Ask::Squares => Some(self.sum_of_squares()?),
                Ask::Sum | Ask::Norms => None,
            },
        })
    }
}

/// What was asked of the gradients of one parameter.
pub(crate) struct Totals {
    /// `[d]`.
    pub sum: Tensor,
    /// `[n]`; empty if not asked for.
    pub squared_norms: PerDraw,
    /// `[d]`.
    pub sum_of_squares: Option<Tensor>,
}

impl Totals {
    pub fn on_host<T: Number>(sums: Sums<T>) -> Result<Self> {
        let tensor = |entries: Vec<T>| {
            let size = entries.len();
            Tensor::from_vec(entries, size, &Device::Cpu)
        };
        Ok(Self {
            sum: tensor(sums.sum)?,
            squared_norms: PerDraw::Host(sums.squared_norms),
            sum_of_squares: sums.squares.map(tensor).transpose()?,
        })
    }
}

/// Entries of written-out gradients held at a time: 16 MB of `f32`.
const CHUNK: usize = 1 << 22;

/// The same on a device, which idles between small pieces of work: 256 MB of `f32`.
const DEVICE_CHUNK: usize = 1 << 26;

/// Start and length of runs of draws whose written-out gradients, `entries` numbers each, fit in a chunk.
pub(crate) fn chunks(
    draws: usize,
    entries: usize,
    device: &Device,
) -> impl Iterator<Item = (usize, usize)> + use<> {
    let chunk = if device.is_cpu() { CHUNK } else { DEVICE_CHUNK };
    let size = (chunk / entries.max(1)).max(1);
    (0..draws)
        .step_by(size)
        .map(move |start| (start, size.min(draws - start)))
}

/// Gradients that are written out, `[n, d]`.
pub(crate) struct Rows(pub Tensor);

impl PerExample for Rows {
    fn sum(&self) -> Result<Tensor> {
        column_sums(&self.0)
    }

    fn squared_norms(&self) -> Result<PerDraw> {
        squares(&self.0)
    }

    fn sum_of_squares(&self) -> Result<Tensor> {
        column_sums(&self.0.sqr()?)
    }

    fn gram(&self) -> Result<Vec<f64>> {
        host(&self.0.matmul(&self.0.t()?)?)
    }

    fn rows(&self, start: usize, count: usize) -> Result<Tensor> {
        self.0.narrow(0, start, count)
    }

    fn draws(&self) -> Result<usize> {
        self.0.dim(0)
    }
}

/// `[n, T, k]` summed over the positions, `[n, k]`.
pub(crate) fn over_positions(x: &Tensor) -> Result<Tensor> {
    let (n, positions, width) = x.dims3()?;
    match positions {
        1 => x.squeeze(1),
        _ if is_host(x) => by_type!(x, T => {
            let sums = with_slice(x, |x: &[T]| sums_over_positions(x, (n, positions, width)))?;
            Tensor::from_vec(sums, (n, width), &Device::Cpu)
        }),
        _ => x.sum(1),
    }
}

/// Column sums as a product with a row of ones: matrix products add in blocks, `sum(0)` adds one number after the other.
fn column_sums(rows: &Tensor) -> Result<Tensor> {
    let ones = Tensor::ones((1, rows.dim(0)?), rows.dtype(), rows.device())?;
    ones.matmul(rows)?.squeeze(0)
}

fn host(x: &Tensor) -> Result<Vec<f64>> {
    x.to_dtype(DType::F64)?.flatten_all()?.to_vec1()
}

/// Gradients of a weight `[out, in]`: `g_i = sum_t o_it a_it'`.
pub(crate) struct Outer {
    /// `a`, `[n, T, in]`.
    pub inputs: Tensor,
    /// `o = dL/dz`, `[n, T, out]`.
    pub upstream: Tensor,
}

impl Outer {
    /// `n`, `T`, `in`, `out`.
    fn sizes(&self) -> Result<(usize, usize, usize, usize)> {
        let (n, positions, fan_in) = self.inputs.dims3()?;
        Ok((n, positions, fan_in, self.upstream.dim(2)?))
    }

    /// `[n T, k]`.
    fn flat(x: &Tensor) -> Result<Tensor> {
        let (n, positions, width) = x.dims3()?;
        x.reshape((n * positions, width))
    }

    /// Whether norms by two `T x T` Gram matrices a draw cost less than by the gradients written out.
    fn ghost_is_cheaper(&self) -> Result<bool> {
        let (_, t, fan_in, fan_out) = self.sizes()?;
        Ok(ghost_is_cheaper(t, fan_in, fan_out, self.inputs.device()))
    }

    /// Every draw's gradient written out in turn, and taken into all sums while it is in the cache.
    fn absorbed<T: Number>(&self, ask: Ask) -> Result<Totals> {
        let (n, positions, fan_in, fan_out) = self.sizes()?;
        let sums = with_slice(&self.inputs, |inputs: &[T]| {
            with_slice(&self.upstream, |upstream: &[T]| {
                absorb_all((n, fan_out, fan_in), ask, |draw, rows, _, into, add| {
                    let inputs = &inputs[draw * positions * fan_in..][..positions * fan_in];
                    let inputs = MatRef::from_row_major_slice(inputs, positions, fan_in);
                    let upstream = &upstream[draw * positions * fan_out..][..positions * fan_out];
                    let upstream = MatRef::from_row_major_slice(upstream, positions, fan_out);
                    let own = upstream.transpose().subrows(rows.start, rows.len());
                    multiply(into, add, own, inputs);
                })
            })
        })??;
        Totals::on_host(sums)
    }
}

/// What it costs to take an entry of a gradient that was written out into sum and norm, in multiplications of a matrix product.
const ABSORB: usize = 12;

/// The same on a device. There it is not fused: written, widened, squared and added up it moves some 50 bytes, in the time of which (at
/// 3 TB/s) a GPU of 2022 makes between one and two hundred multiplications of small products in `f32`.
const DEVICE_ABSORB: usize = 128;

/// Whether the norms of gradients `[out, in]` over `T` positions cost less by two Gram matrices and one product for the sum than with
/// every gradient written out, whose products make up the sum as well: `T^2 (in + out)` multiplications against a pass over `in x out`.
pub(crate) fn ghost_is_cheaper(
    positions: usize,
    fan_in: usize,
    fan_out: usize,
    device: &Device,
) -> bool {
    let absorb = if device.is_cpu() {
        ABSORB
    } else {
        DEVICE_ABSORB
    };
    positions * positions * (fan_in + fan_out + 1) <= absorb * fan_in * fan_out
}

impl PerExample for Outer {
    fn sum(&self) -> Result<Tensor> {
        transposed_product(&Self::flat(&self.upstream)?, &Self::flat(&self.inputs)?)
    }

    /// `|o|^2 |a|^2` at one position (Goodfellow 2015, arXiv:1510.01799); at several `sum_{t,u} (o_t . o_u)(a_t . a_u)` by two Gram
    /// matrices (Li et al. 2022, arXiv:2110.05679) or from the gradients written out, whichever takes fewer multiplications.
    fn squared_norms(&self) -> Result<PerDraw> {
        let (n, positions, fan_in, fan_out) = self.sizes()?;
        if positions == 1 {
            return squares(&self.inputs)?.times(squares(&self.upstream)?);
        }
        let mut norms = Vec::new();
        let device = self.inputs.device();
        if self.ghost_is_cheaper()? {
            for (start, count) in chunks(n, positions * positions, device) {
                let own = |x: &Tensor| -> Result<Tensor> {
                    let x = x.narrow(0, start, count)?;
                    x.matmul(&x.t()?)
                };
                norms.push(products(&own(&self.inputs)?, &own(&self.upstream)?)?);
            }
        } else {
            for (start, count) in chunks(n, fan_in * fan_out, device) {
                norms.push(squares(&self.rows(start, count)?)?);
            }
        }
        PerDraw::joined(norms)
    }

    fn sum_of_squares(&self) -> Result<Tensor> {
        let (n, positions, fan_in, fan_out) = self.sizes()?;
        if positions == 1 {
            let upstream = squared(&Self::flat(&self.upstream)?)?;
            return transposed_product(&upstream, &squared(&Self::flat(&self.inputs)?)?);
        }
        let shape = fan_in * fan_out;
        let mut total = Tensor::zeros(shape, self.inputs.dtype(), self.inputs.device())?;
        for (start, count) in chunks(n, shape, self.inputs.device()) {
            total = (total + column_sums(&self.rows(start, count)?.sqr()?)?)?;
        }
        Ok(total)
    }

    fn gram(&self) -> Result<Vec<f64>> {
        let (n, positions, fan_in, fan_out) = self.sizes()?;
        if n * positions * positions > fan_in * fan_out {
            return Rows(self.rows(0, n)?).gram();
        }
        let own = |x: &Tensor| -> Result<Tensor> {
            let x = Self::flat(x)?;
            x.matmul(&x.t()?)
        };
        let both = (own(&self.inputs)? * own(&self.upstream)?)?;
        let blocks = both.reshape((n, positions, n, positions))?;
        host(&blocks.sum(D::Minus1)?.sum(1)?)
    }

    fn rows(&self, start: usize, count: usize) -> Result<Tensor> {
        let upstream = self.upstream.narrow(0, start, count)?;
        let inputs = self.inputs.narrow(0, start, count)?;
        upstream.transpose(1, 2)?.matmul(&inputs)?.flatten_from(1)
    }

    fn draws(&self) -> Result<usize> {
        self.inputs.dim(0)
    }

    fn totals(&self, ask: Ask) -> Result<Totals> {
        let (_, positions, ..) = self.sizes()?;
        let written = match ask {
            Ask::Sum => false,
            Ask::Norms => !self.ghost_is_cheaper()?,
            Ask::Squares => true,
        };
        if written && positions > 1 && is_host(&self.inputs) {
            return by_type!(self.inputs, T => self.absorbed::<T>(ask));
        }
        Ok(Totals {
            sum: self.sum()?,
            squared_norms: match ask {
                Ask::Sum => PerDraw::NONE,
                Ask::Norms | Ask::Squares => self.squared_norms()?,
            },
            sum_of_squares: match ask {
                Ask::Squares => Some(self.sum_of_squares()?),
                Ask::Sum | Ask::Norms => None,
            },
        })
    }
}

/// The square of every entry, on the host by all threads.
fn squared(x: &Tensor) -> Result<Tensor> {
    if !is_host(x) {
        return x.sqr();
    }
    by_type!(x, T => {
        let squares = with_slice(x, |x: &[T]| squares_of(x))?;
        Tensor::from_vec(squares, x.shape(), &Device::Cpu)
    })
}

/// `o' a` of `[m, out]` and `[m, in]`, `[out in]`.
fn transposed_product(upstream: &Tensor, inputs: &Tensor) -> Result<Tensor> {
    if !is_host(inputs) {
        return upstream.t()?.matmul(inputs)?.flatten_all();
    }
    let ((m, fan_in), fan_out) = (inputs.dims2()?, upstream.dim(1)?);
    by_type!(inputs, T => {
        let sum = with_slice(inputs, |inputs: &[T]| {
            with_slice(upstream, |upstream: &[T]| {
                let upstream = MatRef::from_row_major_slice(upstream, m, fan_out);
                let inputs = MatRef::from_row_major_slice(inputs, m, fan_in);
                product((upstream, true), (inputs, false), None)
            })
        })??;
        Tensor::from_vec(sum, fan_out * fan_in, &Device::Cpu)
    })
}

/// The gradients of a parameter that takes part several times: each draw's gradients add up before anything is squared.
pub(crate) fn joined(mut uses: Vec<Box<dyn PerExample>>) -> Result<Box<dyn PerExample>> {
    if uses.len() == 1 {
        return Ok(uses.remove(0));
    }
    let mut total: Option<Tensor> = None;
    for one in uses {
        let rows = one.rows(0, one.draws()?)?;
        total = Some(match total {
            None => rows,
            Some(total) => (total + rows)?,
        });
    }
    total
        .map(|rows| Box::new(Rows(rows)) as Box<dyn PerExample>)
        .ok_or_else(|| candle_core::Error::Msg("a parameter without a use was reached".into()))
}

#[cfg(test)]
mod tests;
