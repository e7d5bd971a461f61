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
}

impl Sample for f32 {
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
        if let Some(at) = first_unfit(samples) {
            let row = self.count + (at / d) as u64;
            return Err(unfit(samples[at].into(), row, at % d));
        }
        self.resolution = self.resolution.max(T::RESOLUTION);
        for rows in samples.chunks(ROWS * d) {
            self.push_rows(rows);
        }
        for rows in samples.chunks(ROWS * d) {
            self.blocks.push_rows(rows, d);
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
            let mut mean = [0.0; COLUMNS];
            let mut scatter = [0.0; COLUMNS];
            let width = all_mean.len();
            let (mean, scatter) = (&mut mean[..width], &mut scatter[..width]);
            let columns = block * COLUMNS..block * COLUMNS + width;
            wide(|| {
                // the scatter is all zeros here, and not looked at
                accumulate(mean, scatter, rows, d, columns.clone(), |sum, x, _| sum + x);
                mean.iter_mut().for_each(|m| *m /= added);
                accumulate(scatter, mean, rows, d, columns, |sum, x, m| {
                    let deviation = x - m;
                    sum + deviation * deviation
                });
                weights.merge(all_mean, all_scatter, mean, scatter);
            });
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
    /// \frac{n}{n - 1} \, \bigl( e^2 \, ( |\hat\mu|^2 + \Tr \hat D ) + d\, u \bigr)
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
mod tests {
    use super::*;
    use crate::ranks::on_threads;
    use crate::rng::{Seed, standard_normals};
    use approx::assert_relative_eq;

    fn draws(rows: usize, d: usize, shift: f64) -> Vec<f64> {
        let mut values = standard_normals(&mut Seed::root(11).generator(), rows * d);
        values.iter_mut().for_each(|v| *v += shift);
        values
    }

    /// Mean and trace by the textbook's two passes.
    fn two_pass(samples: &[f64], d: usize) -> (Vec<f64>, f64) {
        let n = (samples.len() / d) as f64;
        let mean: Vec<f64> = (0..d)
            .map(|j| samples.iter().skip(j).step_by(d).sum::<f64>() / n)
            .collect();
        let scatter: f64 = samples
            .chunks(d)
            .flat_map(|row| row.iter().zip(&mean).map(|(x, m)| (x - m).powi(2)))
            .sum();
        (mean, scatter / (n - 1.0))
    }

    #[test]
    fn streaming_moments_equal_the_two_pass_ones() -> Result<()> {
        // rows and columns beyond one block each
        let (rows, d) = (150, 1500);
        let samples = draws(rows, d, 500.0);
        let (mean, trace) = two_pass(&samples, d);
        let mut one_by_one = Moments::new(d)?;
        for row in samples.chunks(d) {
            one_by_one.push(row)?;
        }
        let mut at_once = Moments::new(d)?;
        at_once.push_batch(&samples)?;
        for moments in [one_by_one, at_once] {
            // both sum 150 x 1500 terms about means of 500: 1e-12 is that many roundings of a few 1e-16
            assert_relative_eq!(moments.trace()?, trace, max_relative = 1e-12);
            for (a, b) in moments.mean().iter().zip(&mean) {
                assert_relative_eq!(a, b, max_relative = 1e-13);
            }
        }
        Ok(())
    }

    #[test]
    fn merging_in_any_grouping_and_order_gives_the_whole() -> Result<()> {
        let d = 7;
        let samples = draws(30, d, 3.0);
        let part = |from: usize, to: usize| -> Result<Moments> {
            let mut moments = Moments::new(d)?;
            moments.push_batch(&samples[from * d..to * d])?;
            Ok(moments)
        };
        let whole = part(0, 30)?;
        let (a, b, c) = (part(0, 5)?, part(5, 6)?, part(6, 30)?);
        let mut left = a.clone();
        left.merge(&b)?;
        left.merge(&c)?;
        let mut right = c;
        right.merge(&b)?;
        right.merge(&Moments::new(d)?)?;
        right.merge(&a)?;
        for merged in [left, right] {
            assert_eq!(merged.count(), 30);
            assert_relative_eq!(merged.trace()?, whole.trace()?, max_relative = 1e-13);
            assert_relative_eq!(
                merged.squared_mean_norm(),
                whole.squared_mean_norm(),
                max_relative = 1e-13
            );
        }
        Ok(())
    }

    /// Rank `r` of `k` holds the rows from `r^2 n / k^2` on: shards of unequal sizes, the first of which may be empty.
    fn shard(samples: &[f64], d: usize, rank: usize, size: usize) -> &[f64] {
        let n = samples.len() / d;
        let start = |r: usize| r * r * n / (size * size) * d;
        &samples[start(rank)..start(rank + 1)]
    }

    #[test]
    fn any_number_of_ranks_with_unequal_shards_is_left_with_what_one_rank_would_have() -> Result<()>
    {
        // a mean of 500 standard deviations; more coordinates than the interval's store has places, and more rows than it has blocks
        for (n, d) in [(30, 7), (600, 2100)] {
            let samples = draws(n, d, 500.0);
            let of = |rows: &[f64]| -> Result<Moments> {
                let mut moments = Moments::new(d)?;
                moments.push_batch(rows)?;
                Ok(moments)
            };
            let whole = of(&samples)?;
            let alone = crate::Ratio::estimate(&whole, 0.95)?;
            for size in [1, 2, 3, 8] {
                let found = on_threads(size, |ranks| {
                    let mut moments = of(shard(&samples, d, ranks.rank(), size))?;
                    moments.all_reduce(ranks)?;
                    Ok::<_, Error>(moments)
                });
                let found: Vec<Moments> = found.into_iter().collect::<Result<_>>()?;
                for moments in &found {
                    assert_eq!(moments.count(), n as u64);
                    // sums of n terms about means of 500
                    assert_relative_eq!(moments.trace()?, whole.trace()?, max_relative = 1e-12);
                    let signal = whole.squared_mean_norm();
                    assert_relative_eq!(moments.squared_mean_norm(), signal, max_relative = 1e-12);
                    assert_eq!(moments.mean(), found[0].mean());
                    let ratio = crate::Ratio::estimate(moments, 0.95)?
                        .estimates
                        .expect("noise");
                    let (own, one) = (ratio.interval.expect("rows"), alone.estimates.clone());
                    let one = one.expect("noise").interval.expect("rows");
                    // its blocks are others, so that it is another estimate of the same ends
                    assert_relative_eq!(own.low, one.low, max_relative = 0.1);
                    assert_relative_eq!(own.high, one.high, max_relative = 0.1);
                }
            }
        }
        Ok(())
    }

    #[test]
    fn ranks_of_different_dimensions_are_refused_and_ranks_without_samples_have_none() -> Result<()>
    {
        for found in on_threads(2, |ranks| Moments::new(2 + ranks.rank())?.all_reduce(ranks)) {
            assert!(matches!(found, Err(Error::RanksDiffer { .. })));
        }
        for found in on_threads(2, |ranks| {
            let mut moments = Moments::new(2)?;
            moments.all_reduce(ranks)?;
            Ok::<_, Error>(moments.count())
        }) {
            assert_eq!(found?, 0);
        }
        Ok(())
    }

    #[test]
    fn a_large_mean_costs_no_digits() -> Result<()> {
        let mut moments = Moments::new(1)?;
        for i in 0..1000 {
            moments.push(&[1e8 + f64::from(i % 2)])?;
        }
        // half of the samples 1/2 below the mean and half above: 1000/4 over 999
        assert_relative_eq!(moments.trace()?, 250.0 / 999.0, max_relative = 1e-9);
        Ok(())
    }

    #[test]
    fn a_number_that_is_not_finite_is_refused_with_its_place_and_nothing_is_added() -> Result<()> {
        let mut moments = Moments::new(2)?;
        moments.push(&[1.0, 2.0])?;
        let error = moments
            .push_batch(&[1.0, 2.0, 3.0, f64::NAN])
            .expect_err("NaN is no sample");
        assert_eq!(
            error.to_string(),
            "row 2, column 1 is NaN; every entry must be a finite number"
        );
        assert_eq!(moments.count(), 1);
        assert!(moments.push(&[f64::INFINITY, 0.0]).is_err());
        assert!(moments.push(&[1.0]).is_err());
        assert!(Moments::new(0).is_err());
        assert!(moments.trace().is_err());
        Ok(())
    }

    #[test]
    fn tensors_of_every_float_type_are_read() -> Result<()> {
        let device = candle_core::Device::Cpu;
        for dtype in [DType::BF16, DType::F16, DType::F32, DType::F64] {
            let rows = Tensor::new(&[[1f64, 2.], [3., 2.]], &device)?.to_dtype(dtype)?;
            let mut moments = Moments::new(2)?;
            moments.push_tensor(&rows)?;
            moments.push_tensor(&rows.get(0)?)?;
            assert_eq!(moments.count(), 3);
            assert_relative_eq!(moments.mean()[0], 5.0 / 3.0, max_relative = 1e-15);
            assert_eq!(moments.zero_variance_coordinates(), 1);
        }
        Ok(())
    }
}
