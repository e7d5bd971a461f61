//! Kronecker factors as short messages, for training whose ranks are far apart: of low rank, or of few bits.
//!
//! A factor is a symmetric matrix without a negative eigenvalue, and so is what arrives of one of low rank; a quantised one may have small
//! negative eigenvalues, which damping has to cover.

use crate::error::{Error, Result};
use faer::{Mat, MatRef, Side};

/// How a symmetric matrix `[n, n]` is made short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Its upper triangle in `f64`.
    None,
    /// The `k` largest eigenvalues with their eigenvectors in `f32`, and the mean of the others in place of each: the trace stays, and the
    /// error is the spread of the others, `$\sum_{i > k} (\lambda_i - \bar\lambda)^2$` in squared Frobenius norm.
    LowRank(usize),
    /// The upper triangle in whole numbers of this many bits, 2 to 16: multiples of the largest entry of a row over
    /// `$2^{\text{bits} - 1} - 1$`. An entry is off by at most half of that, so that the error falls by half a bit.
    Bits(u32),
}

impl Compression {
    /// What arrives of `matrix`, and in how many bytes.
    ///
    /// # Errors
    /// When the number of bits or the rank is out of its range, or the matrix has no eigenvalues to rounding.
    pub fn send(self, matrix: MatRef<f64>) -> Result<(Mat<f64>, usize)> {
        let n = matrix.nrows();
        let triangle = n * (n + 1) / 2;
        match self {
            Self::None => Ok((matrix.to_owned(), 8 * triangle)),
            Self::LowRank(rank) => {
                if rank > n {
                    return Err(Error::OutOfRange {
                        name: "the rank of a message",
                        value: rank as f64,
                        accepted: "at most the side of the matrix",
                    });
                }
                Ok((low_rank(matrix, rank)?, 4 * (rank * (n + 1) + 1)))
            }
            Self::Bits(bits) => {
                if !(2..=16).contains(&bits) {
                    return Err(Error::OutOfRange {
                        name: "the number of bits",
                        value: f64::from(bits),
                        accepted: "2 to 16",
                    });
                }
                let bytes = (triangle * bits as usize).div_ceil(8) + 4 * n;
                Ok((quantised(matrix, bits), bytes))
            }
        }
    }
}

/// A number as it arrives in 32 bits.
fn narrow(x: f64) -> f64 {
    f64::from(x as f32)
}

fn low_rank(matrix: MatRef<f64>, rank: usize) -> Result<Mat<f64>> {
    let n = matrix.nrows();
    let eigen = matrix
        .self_adjoint_eigen(Side::Lower)
        .map_err(|_| Error::NotACovariance {
            what: "the factor",
            accepted: "a matrix that has eigenvalues to rounding",
        })?;
    // in ascending order
    let (vectors, values) = (eigen.U(), eigen.S().column_vector());
    let rest = (n - rank) as f64;
    let others = match rank == n {
        true => 0.0,
        false => narrow((0..n - rank).map(|k| values[k]).sum::<f64>() / rest),
    };
    Ok(Mat::from_fn(n, n, |i, j| {
        let kept = (n - rank..n).map(|k| {
            let above = narrow(values[k]) - others;
            above * (narrow(vectors[(i, k)]) * narrow(vectors[(j, k)]))
        });
        let diagonal = if i == j { others } else { 0.0 };
        kept.sum::<f64>() + diagonal
    }))
}

fn quantised(matrix: MatRef<f64>, bits: u32) -> Mat<f64> {
    let n = matrix.nrows();
    let levels = f64::from((1u32 << (bits - 1)) - 1);
    // of the part of a row that is sent
    let scale: Vec<f64> = (0..n)
        .map(|i| narrow((i..n).map(|j| matrix[(i, j)].abs()).fold(0.0, f64::max)) / levels)
        .collect();
    Mat::from_fn(n, n, |i, j| {
        let (row, column) = (i.min(j), i.max(j));
        match scale[row] {
            0.0 => 0.0,
            unit => {
                (matrix[(row, column)] / unit)
                    .round()
                    .clamp(-levels, levels)
                    * unit
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Seed, standard_normals};
    use approx::assert_relative_eq;

    /// `X'X / rows` of normal rows with falling scales.
    fn factor(n: usize) -> Mat<f64> {
        let rows = 3 * n;
        let x = standard_normals(&mut Seed::root(8).generator(), rows * n);
        let x = Mat::from_fn(rows, n, |i, j| x[i * n + j] / (1.0 + j as f64));
        (x.transpose() * &x) * faer::Scale(1.0 / rows as f64)
    }

    fn gap(a: &Mat<f64>, b: &Mat<f64>) -> f64 {
        (a - b).norm_l2() / b.norm_l2()
    }

    #[test]
    fn a_message_of_low_rank_keeps_the_trace_and_misses_the_spread_of_the_other_eigenvalues()
    -> Result<()> {
        let n = 12;
        let matrix = factor(n);
        let values = matrix
            .self_adjoint_eigenvalues(Side::Lower)
            .expect("it is symmetric");
        for rank in [0, 3, 11, 12] {
            let (arrived, bytes) = Compression::LowRank(rank).send(matrix.as_ref())?;
            assert_eq!(bytes, 4 * (rank * 13 + 1));
            let trace = |m: &Mat<f64>| (0..n).map(|i| m[(i, i)]).sum::<f64>();
            // eigenvectors in f32
            assert_relative_eq!(trace(&arrived), trace(&matrix), max_relative = 1e-6);
            let others = &values[..n - rank];
            let mean = others.iter().sum::<f64>() / others.len().max(1) as f64;
            let spread: f64 = others.iter().map(|v| (v - mean).powi(2)).sum();
            let missed = (&arrived - &matrix).norm_l2();
            assert!((missed - spread.sqrt()).abs() < 1e-6 * matrix.norm_l2());
        }
        Ok(())
    }

    #[test]
    fn an_entry_of_a_quantised_message_is_off_by_at_most_half_of_its_unit() -> Result<()> {
        let n = 40;
        let matrix = factor(n);
        let mut before = f64::INFINITY;
        for bits in [2, 4, 8, 10, 12] {
            let (arrived, bytes) = Compression::Bits(bits).send(matrix.as_ref())?;
            assert_eq!(bytes, (820 * bits as usize).div_ceil(8) + 160);
            assert_eq!(arrived, arrived.transpose().to_owned());
            let levels = f64::from(2u32.pow(bits - 1) - 1);
            for i in 0..n {
                let largest = (i..n).map(|j| matrix[(i, j)].abs()).fold(0.0, f64::max);
                for j in i..n {
                    let off = (arrived[(i, j)] - matrix[(i, j)]).abs();
                    // the unit itself is sent in f32
                    assert!(off <= 0.5 * largest / levels + 1e-7 * largest, "{off}");
                }
            }
            let error = gap(&arrived, &matrix);
            assert!(error < before, "{bits} bits: {error} after {before}");
            before = error;
        }
        Ok(())
    }

    #[test]
    fn what_fits_arrives_whole_and_what_can_not_be_is_refused() -> Result<()> {
        let matrix = factor(5);
        let (arrived, bytes) = Compression::None.send(matrix.as_ref())?;
        assert_eq!((arrived, bytes), (matrix.clone(), 120));
        let zero = Mat::zeros(3, 3);
        assert_eq!(Compression::Bits(2).send(zero.as_ref())?.0, zero);
        assert!(Compression::Bits(1).send(matrix.as_ref()).is_err());
        assert!(Compression::Bits(17).send(matrix.as_ref()).is_err());
        let said = Compression::LowRank(6).send(matrix.as_ref()).err();
        assert_eq!(
            said.map(|e| e.to_string()).as_deref(),
            Some("the rank of a message is 6; it must be at most the side of the matrix")
        );
        Ok(())
    }

    #[test]
    fn a_quantised_entry_is_a_whole_multiple_of_its_unit_that_the_bits_can_count() -> Result<()> {
        let matrix = faer::mat![[7.0, 2.4, -3.6], [2.4, 14.0, 5.2], [-3.6, 5.2, 21.0]];
        // four bits count to 7: the units of the rows are 1, 2 and 3
        let four = faer::mat![[7.0, 2.0, -4.0], [2.0, 14.0, 6.0], [-4.0, 6.0, 21.0]];
        // two bits count to 1: the units are 7, 14 and 21
        let two = faer::mat![[7.0, 0.0, -7.0], [0.0, 14.0, 0.0], [-7.0, 0.0, 21.0]];
        for (bits, expected) in [(4, four), (2, two)] {
            let (arrived, _) = Compression::Bits(bits).send(matrix.as_ref())?;
            assert_eq!(arrived, expected);
        }
        Ok(())
    }
}
