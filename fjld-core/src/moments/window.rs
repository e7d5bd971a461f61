//! Moments of the recent past: the last `w` samples exactly, or all samples with weights that fall off.

use super::{Moments, Sample};
use crate::error::{Error, Result};
use crate::range::{fits, unfit};
use std::collections::VecDeque;

/// The last `w` samples, each as it came.
///
/// Nothing is subtracted when a sample leaves: the moments are taken anew from the samples kept, so that rounding does not pile up
/// over a long run and a single huge sample leaves no trace once it is gone. `w d` numbers of memory, and `O(w d)` work whenever the
/// moments are asked for.
#[derive(Clone, Debug)]
pub struct Window {
    dimension: usize,
    length: usize,
    resolution: f64,
    rows: VecDeque<Vec<f64>>,
    seen: u64,
}

impl Window {
    /// An empty window over the last `length` samples of dimension `d`.
    ///
    /// # Errors
    /// When `dimension` is 0, or `length` is below 2, too few for a variance.
    pub fn new(dimension: usize, length: usize) -> Result<Self> {
        if dimension == 0 {
            return Err(Error::NoCoordinates);
        }
        if length < 2 {
            return Err(Error::OutOfRange {
                name: "the length of the window",
                value: length as f64,
                accepted: "at least 2, the fewest samples that have a variance",
            });
        }
        Ok(Self {
            dimension,
            length,
            resolution: f64::EPSILON,
            rows: VecDeque::new(),
            seen: 0,
        })
    }

    /// Adds one sample of length `d`; the oldest leaves when there are more than `w`.
    ///
    /// # Errors
    /// When the length is not `d`, or an entry is not finite or above 3e144 in size (its row counts everything ever pushed); nothing is added then.
    pub fn push<T: Sample>(&mut self, sample: &[T]) -> Result<()> {
        let row = checked(sample, self.dimension, self.seen)?;
        self.resolution = self.resolution.max(T::RESOLUTION);
        if self.rows.len() == self.length {
            self.rows.pop_front();
        }
        self.rows.push_back(row);
        self.seen += 1;
        Ok(())
    }

    /// How many samples are in the window, at most `w`.
    pub fn count(&self) -> usize {
        self.rows.len()
    }

    /// The moments of the samples in the window.
    pub fn moments(&self) -> Moments {
        let mut moments = Moments::new(self.dimension)
            .expect("the dimension was checked when the window was made");
        for row in &self.rows {
            moments
                .push(row)
                .expect("rows were checked when they came in");
        }
        moments.resolution = self.resolution;
        moments
    }
}

/// Exponentially weighted moments: the newest sample has the weight 1, the one before it `decay`, then `decay^2`.
///
/// With `w_i` the weights,
///
/// ```math
/// \hat\mu = \frac{1}{W_1} \sum_i w_i g_i, \qquad
/// \Tr \hat D = \frac{\sum_i w_i |g_i - \hat\mu|^2}{W_1 - W_2 / W_1}, \qquad
/// W_1 = \sum_i w_i, \quad W_2 = \sum_i w_i^2.
/// ```
///
/// The mean has its own total weight, so that it is unbiased from the first sample on and no start-up correction is needed (Adam's
/// `1 - beta^t` is this `W_1`, but for the factor `1 - beta`). `O(d)` memory.
#[derive(Clone, Debug)]
pub struct ExponentialMoments {
    decay: f64,
    count: u64,
    weight: f64,
    squared_weight: f64,
    mean: Vec<f64>,
    scatter: Vec<f64>,
}

impl ExponentialMoments {
    /// No samples yet, of dimension `d`. A sample's weight halves after `ln 2 / -ln(decay)` more.
    ///
    /// # Errors
    /// When `dimension` is 0, or `decay` is not inside `(0, 1]`. With 1 all samples count the same.
    pub fn new(dimension: usize, decay: f64) -> Result<Self> {
        if dimension == 0 {
            return Err(Error::NoCoordinates);
        }
        if !(decay > 0.0 && decay <= 1.0) {
            return Err(Error::OutOfRange {
                name: "the decay",
                value: decay,
                accepted: "above 0 and at most 1",
            });
        }
        Ok(Self {
            decay,
            count: 0,
            weight: 0.0,
            squared_weight: 0.0,
            mean: vec![0.0; dimension],
            scatter: vec![0.0; dimension],
        })
    }

    /// Adds one sample of length `d` (West 1979, *Communications of the ACM* 22(9)).
    ///
    /// # Errors
    /// When the length is not `d`, or an entry is not finite or above 3e144 in size; nothing is added then.
    pub fn push<T: Sample>(&mut self, sample: &[T]) -> Result<()> {
        let row = checked(sample, self.mean.len(), self.count)?;
        let old = self.decay * self.weight;
        self.weight = old + 1.0;
        self.squared_weight = self.decay * self.decay * self.squared_weight + 1.0;
        for ((m, s), x) in self.mean.iter_mut().zip(&mut self.scatter).zip(row) {
            let gap = x - *m;
            *s = self.decay * *s + gap * gap * old / self.weight;
            *m += gap / self.weight;
        }
        self.count += 1;
        Ok(())
    }

    /// How many samples were pushed.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The weighted mean, of length `d`.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// `$|\hat\mu|^2$`. For samples of one law its expectation is `$|\mu|^2 + \Tr D / n_\text{eff}$`.
    pub fn squared_mean_norm(&self) -> f64 {
        self.mean.iter().map(|m| m * m).sum()
    }

    /// `$n_\text{eff} = W_1^2 / W_2$`, how many equally weighted samples would leave as much noise in the mean (Kish 1965, *Survey Sampling*).
    /// It goes from 1 to `$(1 + \text{decay}) / (1 - \text{decay})$`. 0 before the first sample.
    pub fn effective_count(&self) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        self.weight * self.weight / self.squared_weight
    }

    /// `$\Tr \hat D = \sum_i w_i |g_i - \hat\mu|^2 / (W_1 - W_2 / W_1)$`, unbiased for samples of one law.
    ///
    /// # Errors
    /// When there are fewer than two samples.
    pub fn trace(&self) -> Result<f64> {
        let divisor = self.divisor()?;
        Ok(self.scatter.iter().sum::<f64>() / divisor)
    }

    /// The variance of each coordinate, with the same divisor.
    ///
    /// # Errors
    /// When there are fewer than two samples.
    pub fn variances(&self) -> Result<Vec<f64>> {
        let divisor = self.divisor()?;
        Ok(self.scatter.iter().map(|s| s / divisor).collect())
    }

    fn divisor(&self) -> Result<f64> {
        if self.count < 2 {
            return Err(Error::TooFewSamples {
                what: "a variance",
                needed: 2,
                got: self.count,
            });
        }
        Ok(self.weight - self.squared_weight / self.weight)
    }
}

/// The sample as 64-bit numbers, if it has the length `dimension` and every entry may be squared.
fn checked<T: Sample>(sample: &[T], dimension: usize, row: u64) -> Result<Vec<f64>> {
    if sample.len() != dimension {
        return Err(Error::Length {
            what: "the sample",
            expected: dimension,
            got: sample.len(),
        });
    }
    let numbers: Vec<f64> = sample.iter().map(|&x| x.into()).collect();
    match numbers.iter().position(|&x| !fits(x)) {
        Some(column) => Err(unfit(numbers[column], row, column)),
        None => Ok(numbers),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Seed, standard_normals};
    use approx::assert_relative_eq;

    #[test]
    fn a_window_holds_exactly_the_last_samples_even_after_a_huge_one() -> Result<()> {
        let (d, length) = (3, 4);
        let mut samples = standard_normals(&mut Seed::root(14).generator(), 12 * d);
        samples[2 * d] = 1e100;
        let mut window = Window::new(d, length)?;
        for (i, row) in samples.chunks(d).enumerate() {
            window.push(row)?;
            let first = (i + 1).saturating_sub(length);
            let mut kept = Moments::new(d)?;
            for row in samples[first * d..(i + 1) * d].chunks(d) {
                kept.push(row)?;
            }
            let moments = window.moments();
            assert_eq!(window.count(), i + 1 - first);
            assert_eq!(moments.count(), kept.count());
            // the same operations on the same numbers: not a bit is left of those that went
            assert_eq!(moments.mean(), kept.mean());
            assert_eq!(moments.trace().ok(), kept.trace().ok());
        }
        Ok(())
    }

    #[test]
    fn exponential_weights_are_what_they_are_said_to_be() -> Result<()> {
        let (decay, values) = (0.75, [3.0, -1.0, 4.0, 1.5, -5.0, 9.0]);
        let mut moments = ExponentialMoments::new(1, decay)?;
        for (i, value) in values.iter().enumerate() {
            moments.push(&[*value])?;
            let weights: Vec<f64> = (0..=i).map(|j| decay.powi((i - j) as i32)).collect();
            let sum: f64 = weights.iter().sum();
            let squares: f64 = weights.iter().map(|w| w * w).sum();
            let mean = weights.iter().zip(values).map(|(w, x)| w * x).sum::<f64>() / sum;
            assert_relative_eq!(moments.mean()[0], mean, max_relative = 1e-14);
            assert_relative_eq!(
                moments.effective_count(),
                sum * sum / squares,
                max_relative = 1e-14
            );
            if i > 0 {
                let scatter: f64 = weights
                    .iter()
                    .zip(values)
                    .map(|(w, x)| w * (x - mean).powi(2))
                    .sum();
                let variance = scatter / (sum - squares / sum);
                assert_relative_eq!(moments.trace()?, variance, max_relative = 1e-13);
            }
        }
        Ok(())
    }

    #[test]
    fn over_all_samples_of_a_small_population_the_weighted_moments_average_to_the_truth()
    -> Result<()> {
        // three equally likely values, every sequence of four of them
        let values = [1.0, -2.0, 5.0];
        let mean = 4.0 / 3.0;
        let variance = (1.0 + 4.0 + 25.0) / 3.0 - mean * mean;
        let (mut means, mut traces, mut squares, mut effective) = (0.0, 0.0, 0.0, 0.0);
        for mut index in 0..81 {
            let mut moments = ExponentialMoments::new(1, 0.6)?;
            for _ in 0..4 {
                moments.push(&[values[index % 3]])?;
                index /= 3;
            }
            means += moments.mean()[0] / 81.0;
            traces += moments.trace()? / 81.0;
            squares += moments.squared_mean_norm() / 81.0;
            effective = moments.effective_count();
        }
        assert_relative_eq!(means, mean, max_relative = 1e-13);
        assert_relative_eq!(traces, variance, max_relative = 1e-13);
        assert_relative_eq!(
            squares,
            mean * mean + variance / effective,
            max_relative = 1e-13
        );
        Ok(())
    }

    #[test]
    fn without_decay_the_moments_are_the_plain_ones() -> Result<()> {
        let mut weighted = ExponentialMoments::new(2, 1.0)?;
        let mut plain = Moments::new(2)?;
        for row in standard_normals(&mut Seed::root(15).generator(), 40).chunks(2) {
            weighted.push(row)?;
            plain.push(row)?;
        }
        assert_relative_eq!(weighted.trace()?, plain.trace()?, max_relative = 1e-13);
        assert_relative_eq!(weighted.effective_count(), 20.0, max_relative = 1e-13);
        Ok(())
    }

    #[test]
    fn what_can_not_be_is_refused_and_leaves_no_trace() -> Result<()> {
        assert!(Window::new(0, 5).is_err() && Window::new(2, 1).is_err());
        assert!(ExponentialMoments::new(0, 0.5).is_err());
        for decay in [0.0, 1.1, f64::NAN] {
            assert!(ExponentialMoments::new(1, decay).is_err());
        }
        let mut window = Window::new(2, 2)?;
        for _ in 0..3 {
            window.push(&[1f32, 2.0])?;
        }
        let error = window.push(&[1.0, f64::NAN]).expect_err("NaN is no sample");
        assert_eq!(
            error.to_string(),
            "row 3, column 1 is NaN; every entry must be a finite number"
        );
        assert_eq!(window.count(), 2);
        let mut weighted = ExponentialMoments::new(2, 0.5)?;
        assert!(weighted.push(&[1.0]).is_err() && weighted.push(&[1.0, f64::INFINITY]).is_err());
        assert!(weighted.trace().is_err());
        assert_eq!(weighted.effective_count(), 0.0);
        Ok(())
    }

    #[test]
    fn each_coordinate_has_its_own_variance_and_every_sample_counts() -> Result<()> {
        let mut moments = ExponentialMoments::new(3, 0.5)?;
        assert_eq!(moments.count(), 0);
        moments.push(&[0.0, 1.0, 8.0])?;
        assert_eq!(moments.count(), 1);
        assert!(moments.variances().is_err());
        moments.push(&[3.0, 1.0, 4.0])?;
        assert_eq!(moments.count(), 2);
        // unbiased for two samples is half of their squared distance, whatever the weights: 9/2, 0 and 16/2. Some roundings each
        let variances = moments.variances()?;
        for (found, right) in variances.iter().zip([4.5, 0.0, 8.0]) {
            assert_relative_eq!(*found, right, max_relative = 1e-14);
        }
        assert_eq!(variances.len(), 3);
        assert_relative_eq!(moments.trace()?, 12.5, max_relative = 1e-14);
        // weights 1/4, 1/2 and 1: W1 = 7/4, W2 = 21/16, and the divisor is 1. Of 0, 3 and 10 that leaves 104.5 - 11.5^2 / W1 = 405/14, of
        // 8, 4 and 4 it leaves 40 - 8^2 / W1 = 24/7
        moments.push(&[10.0, 1.0, 4.0])?;
        for (found, right) in moments
            .variances()?
            .iter()
            .zip([405.0 / 14.0, 0.0, 24.0 / 7.0])
        {
            assert_relative_eq!(*found, right, max_relative = 1e-14);
        }
        Ok(())
    }
}
