//! What a set of gradients says: count, mean, trace and diagonal of the covariance, streaming and mergeable.
//!
//! A *sample* is one gradient draw, a row of `d` numbers. What the rows are exchangeable over (examples, tokens or minibatches) is
//! the caller's to know: nothing here changes with it, and every number that comes out is per such row.

mod blocks;
mod columns;
pub mod effective_rank;
mod full;
mod layout;
pub mod robust;
pub mod two_batch;
mod tyler;
mod window;

pub use blocks::Deviation;
pub use full::FullMoments;
pub use layout::{Layout, Part};
pub use two_batch::TwoBatch;
pub use tyler::tyler_shape;
pub use window::{ExponentialMoments, Window};

use crate::error::{Error, Result};
use crate::range::unfit;
use crate::ranks::{self, Ranks};
use crate::wide::wide;
use blocks::Blocks;
use candle_core::{DType, Tensor};
use columns::{COLUMNS, accumulate, first_unfit};
use rayon::prelude::*;

/// A number type that samples come in. Arithmetic is in `f64` whatever comes in.
pub trait Sample: Copy + Into<f64> + Sync {
    /// The relative distance of neighbouring numbers, which is how finely a variance can be resolved.
    const RESOLUTION: f64;

    /// Whether every finite number of this type may be an entry, as none is above 3e144.
    const FITS_IF_FINITE: bool = false;
}

impl Sample for f32 {
    const FITS_IF_FINITE: bool = true;
    const RESOLUTION: f64 = f32::EPSILON as f64;
}

impl Sample for f64 {
    const RESOLUTION: f64 = f64::EPSILON;
}

/// Streaming moments of gradient samples, in `O(d)` memory beside a bounded store for the interval.
///
/// Means and squared deviations are updated by Chan, Golub and LeVeque's pairwise rule (1983, *The American Statistician* 37(3)), so
/// that neither a large mean nor a long stream costs digits. Columns are worked through in blocks that stay in cache.
#[derive(Clone, Debug)]
pub struct Moments {
    count: u64,
    mean: Vec<f64>,
    scatter: Vec<f64>,
    resolution: f64,
    blocks: Blocks,
}

/// Rows merged at a time by [`Moments::push_batch`].
const ROWS: usize = 64;

/// The length of a row from which on all rows are folded first: the folds take a quarter of the memory of rows of `f32`, or less.
const LONG: usize = 8 * blocks::WIDTH;

/// Numbers that are worth a task of their own.
const TASK: usize = 1 << 17;

impl Moments {
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
            scatter: vec![0.0; dimension],
            resolution: f64::EPSILON,
            blocks: Blocks::new(dimension),
        })
    }

    /// Adds one sample of length `d`.
    ///
    /// # Errors
    /// When the length is not `d`, or an entry is not finite or above 3e144 in size; nothing is added then.
    pub fn push<T: Sample>(&mut self, sample: &[T]) -> Result<()> {
        if sample.len() != self.dimension() {
            return Err(Error::Length {
                what: "the sample",
                expected: self.dimension(),
                got: sample.len(),
            });
        }
        self.push_batch(sample)
    }

    /// Adds samples `[rows, d]`, row after row.
    ///
    /// # Errors
    /// When the length is not a multiple of `d`, or an entry is not finite or above 3e144 in size; nothing is added then.
    pub fn push_batch<T: Sample>(&mut self, samples: &[T]) -> Result<()> {
        let d = self.dimension();
        if !samples.len().is_multiple_of(d) {
            return Err(Error::Length {
                what: "the last row",
                expected: d,
                got: samples.len() % d,
            });
        }
        // rows that are folded before anything is added need no look of their own: what is not finite shows in the folds
        let ahead = match (T::FITS_IF_FINITE, d >= LONG) {
            (false, _) => 0,
            (true, false) => samples.len().min(ROWS * d),
            (true, true) => samples.len(),
        };
        let mut folded = self.blocks.fold(&samples[..ahead], d).into_iter();
        let finite = folded.as_slice().iter().all(|row| row.finite);
        let seen = if finite { ahead } else { 0 };
        if let Some(at) = first_unfit(&samples[seen..]) {
            let at = seen + at;
            let row = self.count + (at / d) as u64;
            return Err(unfit(samples[at].into(), row, at % d));
        }
        self.resolution = self.resolution.max(T::RESOLUTION);
        for rows in samples.chunks(ROWS * d) {
            if folded.len() == 0 {
                folded = self.blocks.fold(rows, d).into_iter();
            }
            self.push_rows(rows);
            self.blocks.push(folded.by_ref().take(rows.len() / d));
        }
        Ok(())
    }

    /// Merges a few rows, column block by column block: their own mean and scatter first, then Chan's rule.
    fn push_rows<T: Sample>(&mut self, rows: &[T]) {
        let d = self.dimension();
        let added = (rows.len() / d) as f64;
        let weights = MergeWeights::new(self.count as f64, added);
        let blocks = self
            .mean
            .par_chunks_mut(COLUMNS)
            .zip(self.scatter.par_chunks_mut(COLUMNS))
            .enumerate()
            .with_min_len((TASK / (rows.len() / d * COLUMNS)).max(1));
        blocks.for_each(|(block, (all_mean, all_scatter))| {
            let width = all_mean.len();
            let mut own = vec![0.0; 2 * width];
            let (mean, scatter) = own.split_at_mut(width);
            let columns = block * COLUMNS..block * COLUMNS + width;
            wide(
                #[inline(always)]
                || {
                    // the scatter is all zeros here, and not looked at
                    accumulate(mean, scatter, rows, d, columns.clone(), |sum, x, _| sum + x);
                    mean.iter_mut().for_each(|m| *m /= added);
                    accumulate(scatter, mean, rows, d, columns, |sum, x, m| {
                        let deviation = x - m;
                        sum + deviation * deviation
                    });
                    weights.merge(all_mean, all_scatter, mean, scatter);
                },
            );
        });
        self.count += added as u64;
    }

    /// Adds a tensor of samples: `[d]` for one, `[rows, d]` for several; f16, bf16, f32 or f64, on any device.
    ///
    /// # Errors
    /// As [`Moments::push_batch`], and for any other rank or number type.
    pub fn push_tensor(&mut self, samples: &Tensor) -> Result<()> {
        let width = *samples.dims().last().unwrap_or(&0);
        if samples.rank() > 2 || width != self.dimension() {
            return Err(Error::Length {
                what: "the last axis of the sample tensor (of rank 1 or 2)",
                expected: self.dimension(),
                got: width,
            });
        }
        let flat = samples.flatten_all()?;
        match flat.dtype() {
            DType::F64 => self.push_batch(&flat.to_vec1::<f64>()?),
            DType::F32 => self.push_batch(&flat.to_vec1::<f32>()?),
            _ => {
                self.push_batch(&flat.to_dtype(DType::F32)?.to_vec1::<f32>()?)?;
                let bits = if flat.dtype() == DType::BF16 { 7 } else { 10 };
                self.resolution = self.resolution.max(0.5f64.powi(bits));
                Ok(())
            }
        }
    }

    /// Adds everything that `other` has seen. Associative and commutative to rounding.
    ///
    /// # Errors
    /// When the dimensions differ; nothing is added then.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if other.dimension() != self.dimension() {
            return Err(Error::Length {
                what: "the other accumulator's mean",
                expected: self.dimension(),
                got: other.dimension(),
            });
        }
        if other.count == 0 {
            return Ok(());
        }
        MergeWeights::new(self.count as f64, other.count as f64).merge(
            &mut self.mean,
            &mut self.scatter,
            &other.mean,
            &other.scatter,
        );
        self.count += other.count;
        self.resolution = self.resolution.max(other.resolution);
        self.blocks.merge(&other.blocks);
        Ok(())
    }

    /// Adds up what every rank has seen, and leaves it on each: with the means first and then the scatter about the common mean, which
    /// costs no digits whatever the mean. Messages of `O(d)` numbers, and of the bounded store for the interval.
    ///
    /// # Errors
    /// When the ranks' dimensions differ, or the numbers can not be brought together.
    pub fn all_reduce(&mut self, ranks: &impl Ranks) -> Result<()> {
        ranks::agree(ranks, "the dimension", self.dimension() as u64)?;
        self.resolution = ranks::largest(ranks, self.resolution)?;
        self.blocks.all_reduce(ranks)?;
        self.count = reduce_mean_and_scatter(ranks, self.count, &mut self.mean, |gap, own| {
            let scatter = self.scatter.iter_mut().zip(gap);
            scatter.for_each(|(s, g)| *s += own * g * g);
            ranks.add(&mut self.scatter)
        })?;
        Ok(())
    }

    /// The number of samples, `n`.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The number of coordinates, `d`.
    pub fn dimension(&self) -> usize {
        self.mean.len()
    }

    /// The mean gradient `mu_hat`, of length `d`.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// `|mu_hat|^2`, the squared Euclidean norm of the mean.
    pub fn squared_mean_norm(&self) -> f64 {
        self.mean.iter().map(|m| m * m).sum()
    }

    /// The variance of each coordinate, with the divisor `n - 1`.
    ///
    /// # Errors
    /// When there are fewer than two samples.
    pub fn variances(&self) -> Result<Vec<f64>> {
        let divisor = self.divisor("a variance")?;
        Ok(self.scatter.iter().map(|s| s / divisor).collect())
    }

    /// `Tr D_hat`, the trace of the sample covariance with the divisor `n - 1`.
    ///
    /// # Errors
    /// When there are fewer than two samples.
    pub fn trace(&self) -> Result<f64> {
        let divisor = self.divisor("a variance")?;
        Ok(self.scatter.iter().sum::<f64>() / divisor)
    }

    /// How many coordinates never moved: their sample variance is exactly zero.
    pub fn zero_variance_coordinates(&self) -> usize {
        self.scatter.iter().filter(|&&s| s == 0.0).count()
    }

    /// The trace below which nothing but rounding is left:
    ///
    /// ```math
    /// \frac{n}{n - 1} \, \Bigl( \frac{e^2}{n} \sum_i |g_i|^2 + d\, u \Bigr)
    /// ```
    ///
    /// `e` is the larger of two. One is `$2 \varepsilon$`, with `$\varepsilon$` the coarsest resolution that came in: an entry `x` stands for a
    /// number within `$\varepsilon |x| / 2$`, and a factor of 2 leaves room for one more rounding in the last operation that made it. The other
    /// is 2e-16 for each of the up to 64 samples that are added up at a time: twice what their mean may be off. `u = 2.2e-308` is the least
    /// number of full precision: where squares are not well above it, their digits are lost.
    pub fn rounding_floor(&self) -> f64 {
        let n = self.count as f64;
        let second_moment = self.squared_mean_norm() + self.scatter.iter().sum::<f64>() / n;
        let of_means = n.min(ROWS as f64) * f64::EPSILON;
        let relative = (2.0 * self.resolution).max(of_means);
        let lost = self.dimension() as f64 * f64::MIN_POSITIVE;
        n / (n - 1.0) * (relative * relative * second_moment + lost)
    }

    /// Says that the samples are known less finely than their type: their relative error is `resolution`.
    pub(crate) fn coarsen(&mut self, resolution: f64) {
        self.resolution = self.resolution.max(resolution);
    }

    pub(crate) fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    pub(crate) fn total_scatter(&self) -> f64 {
        self.scatter.iter().sum()
    }

    fn divisor(&self, what: &'static str) -> Result<f64> {
        if self.count < 2 {
            return Err(Error::TooFewSamples {
                what,
                needed: 2,
                got: self.count,
            });
        }
        Ok((self.count - 1) as f64)
    }
}

/// Replaces a rank's mean by that of all; `scatter` is given this rank's gap between the two and its count, in between. Returns the count
/// of all ranks.
fn reduce_mean_and_scatter(
    ranks: &impl Ranks,
    count: u64,
    mean: &mut [f64],
    scatter: impl FnOnce(&[f64], f64) -> Result<()>,
) -> Result<u64> {
    let own = count as f64;
    let mut total = [own];
    ranks.add(&mut total)?;
    if total[0] == 0.0 {
        return Ok(0);
    }
    let mut common: Vec<f64> = mean.iter().map(|m| m * (own / total[0])).collect();
    ranks.add(&mut common)?;
    let gap: Vec<f64> = mean.iter().zip(&common).map(|(m, c)| m - c).collect();
    mean.copy_from_slice(&common);
    scatter(&gap, own)?;
    Ok(total[0] as u64)
}

/// The weights of Chan's rule for joining `a` earlier and `b` later samples.
struct MergeWeights {
    toward_new: f64,
    between: f64,
}

impl MergeWeights {
    fn new(a: f64, b: f64) -> Self {
        Self {
            toward_new: b / (a + b),
            between: a * b / (a + b),
        }
    }

    #[inline(always)]
    fn merge(&self, mean: &mut [f64], scatter: &mut [f64], new_mean: &[f64], new_scatter: &[f64]) {
        let old = mean.iter_mut().zip(scatter);
        for ((m, s), (nm, ns)) in old.zip(new_mean.iter().zip(new_scatter)) {
            let gap = nm - *m;
            *s += ns + gap * gap * self.between;
            *m += gap * self.toward_new;
        }
    }
}

#[cfg(test)]
mod tests;
