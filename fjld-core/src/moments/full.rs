//! The whole covariance matrix, for small `d`.

use super::reduce_mean_and_scatter;
use crate::error::{Error, Result};
use crate::range::{fits, unfit};
use crate::ranks::{self, Ranks};
use faer::Mat;

/// Streaming mean and full covariance of samples, in `O(d^2)` memory.
#[derive(Clone, Debug)]
pub struct FullMoments {
    count: u64,
    mean: Vec<f64>,
    scatter: Mat<f64>,
}

impl FullMoments {
    /// No samples yet, of dimension `d`.
    ///
    /// # Errors
    /// When `dimension` is 0.
    pub fn new(dimension: usize) -> Result<Self> {
        if dimension == 0 {
            return Err(Error::NoCoordinates);
        }
        Ok(Self {
            count: 0,
            mean: vec![0.0; dimension],
            scatter: Mat::zeros(dimension, dimension),
        })
    }

    /// Adds one sample of length `d` (Welford's rule for every pair of coordinates).
    ///
    /// # Errors
    /// When the length is not `d`, or an entry is not finite or above 3e144 in size; nothing is added then.
    pub fn push(&mut self, sample: &[f64]) -> Result<()> {
        let d = self.mean.len();
        if sample.len() != d {
            return Err(Error::Length {
                what: "the sample",
                expected: d,
                got: sample.len(),
            });
        }
        if let Some(column) = sample.iter().position(|&v| !fits(v)) {
            return Err(unfit(sample[column], self.count, column));
        }
        self.count += 1;
        let n = self.count as f64;
        let before: Vec<f64> = sample.iter().zip(&self.mean).map(|(x, m)| x - m).collect();
        for (m, b) in self.mean.iter_mut().zip(&before) {
            *m += b / n;
        }
        for j in 0..d {
            for i in 0..d {
                self.scatter[(i, j)] += before[i] * before[j] * (n - 1.0) / n;
            }
        }
        Ok(())
    }

    /// Adds up what every rank has seen, and leaves it on each. Messages of `O(d^2)` numbers.
    ///
    /// # Errors
    /// When the ranks' dimensions differ, or the numbers can not be brought together.
    pub fn all_reduce(&mut self, ranks: &impl Ranks) -> Result<()> {
        let d = self.mean.len();
        ranks::agree(ranks, "the dimension", d as u64)?;
        let scatter = &mut self.scatter;
        self.count = reduce_mean_and_scatter(ranks, self.count, &mut self.mean, |gap, own| {
            *scatter += Mat::from_fn(d, d, |i, j| own * (gap[i] * gap[j]));
            ranks::add_matrix(ranks, scatter)
        })?;
        Ok(())
    }

    /// The number of samples, `n`.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The mean `mu_hat`, of length `d`.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The sample covariance `D_hat`, `[d, d]`, with the divisor `n - 1`.
    ///
    /// # Errors
    /// When there are fewer than two samples.
    pub fn covariance(&self) -> Result<Mat<f64>> {
        if self.count < 2 {
            return Err(Error::TooFewSamples {
                what: "a covariance",
                needed: 2,
                got: self.count,
            });
        }
        let divisor = (self.count - 1) as f64;
        let d = self.mean.len();
        Ok(Mat::from_fn(d, d, |i, j| self.scatter[(i, j)] / divisor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moments::Moments;
    use crate::ranks::on_threads;
    use crate::rng::{Seed, standard_normals};
    use approx::assert_relative_eq;

    #[test]
    fn over_ranks_the_covariance_is_that_of_all_samples_and_stays_symmetric() -> Result<()> {
        let (n, d) = (23, 4);
        let mut draws = standard_normals(&mut Seed::root(3).generator(), n * d);
        draws.iter_mut().for_each(|x| *x += 100.0);
        let of = |rows: &[f64]| -> Result<FullMoments> {
            let mut full = FullMoments::new(d)?;
            rows.chunks(d).try_for_each(|row| full.push(row))?;
            Ok(full)
        };
        let whole = of(&draws)?.covariance()?;
        for found in on_threads(3, |ranks| {
            let own = [0, 1, 5, n][ranks.rank()] * d..[0, 1, 5, n][ranks.rank() + 1] * d;
            let mut full = of(&draws[own])?;
            full.all_reduce(ranks)?;
            Ok::<_, Error>((full.count(), full.covariance()?))
        }) {
            let (count, covariance) = found?;
            assert_eq!(count, n as u64);
            for i in 0..d {
                for j in 0..d {
                    // means of 100 take four digits of the products
                    let gap = (covariance[(i, j)] - whole[(i, j)]).abs();
                    assert!(gap < 1e-11, "{gap}");
                    assert_eq!(covariance[(i, j)], covariance[(j, i)]);
                }
            }
        }
        Ok(())
    }

    #[test]
    fn the_diagonal_is_that_of_the_streaming_moments_and_a_copied_coordinate_is_fully_correlated()
    -> Result<()> {
        let mut full = FullMoments::new(3)?;
        let mut diagonal = Moments::new(3)?;
        for pair in standard_normals(&mut Seed::root(2).generator(), 40).chunks(2) {
            let row = [pair[0], pair[1] + 4.0, -2.0 * pair[0]];
            full.push(&row)?;
            diagonal.push(&row)?;
        }
        let covariance = full.covariance()?;
        for (j, variance) in diagonal.variances()?.into_iter().enumerate() {
            assert_relative_eq!(covariance[(j, j)], variance, max_relative = 1e-13);
        }
        assert_relative_eq!(
            covariance[(0, 2)],
            -2.0 * covariance[(0, 0)],
            max_relative = 1e-13
        );
        assert_eq!(covariance[(0, 2)], covariance[(2, 0)]);
        Ok(())
    }
}
