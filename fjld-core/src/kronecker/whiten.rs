//! Per-example gradients of a layer seen through two matrices, `X_i = P (sum_t g_it a_it') Q'`, without a matrix of the block's size.
//!
//! Index legend: examples `n`, positions `t`, outputs `o`, inputs `i`.

use super::Block;
use super::data::Data;
use crate::error::Result;
use crate::fisher::kronecker::{GRADIENTS, INPUTS};
use crate::fisher::tensors::{scalar, to_device};
use crate::fisher::{Ekfac, Kronecker};
use candle_core::{Device, Tensor};
use faer::Mat;

/// Numbers of 64 bits materialised at a time: 32 MiB.
const CHUNK: usize = 1 << 22;

/// `P g` and `Q a` of a batch.
pub(super) struct Turned {
    /// `[n, t, o]`.
    gradients: Tensor,
    /// `[n, t, i]`.
    inputs: Tensor,
}

impl Turned {
    /// With `left` for `P'`, `[o, o]`, and `right` for `Q'`, `[i, i]`.
    pub fn of(data: &Data, left: &Tensor, right: &Tensor) -> Result<Self> {
        let turn = |rows: &Tensor, by: &Tensor| -> Result<Tensor> {
            Ok(rows.flatten_to(1)?.matmul(by)?.reshape(rows.shape())?)
        };
        Ok(Self {
            gradients: turn(&data.gradients, left)?,
            inputs: turn(&data.inputs, right)?,
        })
    }

    /// `sum_n X_n`, `[o, i]`.
    pub fn sum(&self) -> Result<Tensor> {
        let gradients = self.gradients.flatten_to(1)?;
        Ok(gradients.t()?.matmul(&self.inputs.flatten_to(1)?)?)
    }

    /// `sum_n X_n^2` entry by entry, `[o, i]`: the positions are summed before the square.
    pub fn entry_squares(&self) -> Result<Tensor> {
        let (examples, positions, outputs) = self.gradients.dims3()?;
        if positions == 1 {
            // (g a)^2 = g^2 a^2
            let gradients = self.gradients.sqr()?.flatten_to(1)?;
            return Ok(gradients.t()?.matmul(&self.inputs.sqr()?.flatten_to(1)?)?);
        }
        let inputs = self.inputs.dims()[2];
        let mut sum: Option<Tensor> = None;
        for (start, length) in chunks(examples, outputs * inputs) {
            let gradients = self.gradients.narrow(0, start, length)?;
            let gradients = gradients.transpose(1, 2)?.contiguous()?;
            let materialised = gradients.matmul(&self.inputs.narrow(0, start, length)?)?;
            let squares = materialised.sqr()?.sum(0)?;
            sum = Some(match sum {
                Some(sum) => (sum + squares)?,
                None => squares,
            });
        }
        Ok(sum.expect("a batch holds at least one example"))
    }

    /// `sum_n |X_n|^2`: by `sum_ts (g_t'g_s)(a_t'a_s)` over two Gram matrices `[t, t]`, or entry by entry, whichever takes fewer
    /// multiplications.
    pub fn squared_norms(&self) -> Result<f64> {
        let (examples, positions, outputs) = self.gradients.dims3()?;
        let inputs = self.inputs.dims()[2];
        if positions * (outputs + inputs) > outputs * inputs {
            return scalar(&self.entry_squares()?.sum_all()?);
        }
        let mut sum = 0.0;
        for (start, length) in chunks(examples, positions * positions) {
            let gram = |rows: &Tensor| -> Result<Tensor> {
                let rows = rows.narrow(0, start, length)?.contiguous()?;
                Ok(rows.matmul(&rows.transpose(1, 2)?.contiguous()?)?)
            };
            let products = (gram(&self.gradients)? * gram(&self.inputs)?)?;
            sum += scalar(&products.sum_all()?)?;
        }
        Ok(sum)
    }
}

/// `(start, length)` of runs of examples that hold about [`CHUNK`] numbers at `each` numbers an example.
fn chunks(examples: usize, each: usize) -> impl Iterator<Item = (usize, usize)> {
    let step = (CHUNK / each).max(1);
    (0..examples)
        .step_by(step)
        .map(move |start| (start, step.min(examples - start)))
}

/// `F^-1/2` of a block, up to a rotation: `X_n` are the whitened gradients, for which `|X|^2 = vec(M)' F^-1 vec(M)`.
pub(super) struct Whitening {
    left: Tensor,
    right: Tensor,
    /// `1 / sqrt(S)` where the block is a spectrum in a basis, `[o, i]`.
    root: Option<Tensor>,
}

impl Whitening {
    /// Of a block that is not singular.
    pub fn of(block: &Block, device: &Device) -> Result<Self> {
        match block {
            Block::Kronecker(block) => Self::of_product(block, device),
            Block::Ekfac(block) => Self::of_spectrum(block, device),
        }
    }

    fn of_product(block: &Kronecker, device: &Device) -> Result<Self> {
        let left = block.gradients().whitening(GRADIENTS)?;
        let right = block.inputs().whitening(INPUTS)?;
        Ok(Self {
            left: to_device(left.transpose(), device)?,
            right: to_device(right.transpose(), device)?,
            root: None,
        })
    }

    fn of_spectrum(block: &Ekfac, device: &Device) -> Result<Self> {
        let spectrum = block.definite_spectrum()?;
        let root = Mat::from_fn(spectrum.nrows(), spectrum.ncols(), |o, i| {
            spectrum[(o, i)].sqrt().recip()
        });
        Ok(Self {
            left: to_device(block.left(), device)?,
            right: to_device(block.right(), device)?,
            root: Some(to_device(root.as_ref(), device)?),
        })
    }

    /// The sides of the layer, `(in, out)`.
    pub fn sides(&self) -> (usize, usize) {
        (self.right.dims()[0], self.left.dims()[0])
    }

    /// The sum of the whitened gradients of a batch, `[o, i]`, and the sum of their squared lengths.
    pub fn sums(&self, data: &Data) -> Result<(Tensor, f64)> {
        let turned = Turned::of(data, &self.left, &self.right)?;
        let sum = turned.sum()?;
        match &self.root {
            None => Ok((sum, turned.squared_norms()?)),
            Some(root) => {
                let squares = (turned.entry_squares()? * root.sqr()?)?;
                Ok(((sum * root)?, scalar(&squares.sum_all()?)?))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Seed, standard_normals};

    #[test]
    fn chunks_hold_every_example_once_and_at_least_one_each() {
        for (examples, each) in [(1, 1), (7, CHUNK / 3), (5, 2 * CHUNK), (CHUNK + 1, 1)] {
            let mut next = 0;
            for (start, length) in chunks(examples, each) {
                assert_eq!(start, next);
                assert!(length == 1 || length * each <= CHUNK);
                next += length;
            }
            assert_eq!(next, examples);
        }
    }

    #[test]
    fn gram_matrices_and_materialised_gradients_in_chunks_agree() -> Result<()> {
        // two examples fill a chunk, so five take three
        let (examples, positions, side) = (5, 2, 1448);
        let normals = |name: &str| {
            let generator = &mut Seed::root(41).derive(name).generator();
            let values = standard_normals(generator, examples * positions * side);
            Tensor::from_vec(values, (examples, positions, side), &Device::Cpu)
        };
        let turned = Turned {
            gradients: normals("g")?,
            inputs: normals("a")?,
        };
        let materialised = scalar(&turned.entry_squares()?.sum_all()?)?;
        // a naive sum of two million positive numbers rounds by less than 2e6 eps
        approx::assert_relative_eq!(turned.squared_norms()?, materialised, max_relative = 5e-10);
        Ok(())
    }
}
