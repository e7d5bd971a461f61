//! `C` at other batch sizes, the noise scale, and draws without replacement.
//!
//! Legend: `N` examples with mean gradient `mu` and covariance `Sigma` (divisor `N`), `B` of them in a batch, the noise scale `B_simple`
//! as in [`super`].

use super::{Interval, Ratio, Undefined};
use crate::error::{Error, Result};

/// `C` at another batch size, both drawn with replacement, so that `$D = \Sigma / B$`:
///
/// ```math
/// C(\text{to}) = \frac{\text{to}}{\text{from}}\, C(\text{from})
/// ```
///
/// # Errors
/// When a batch size is 0.
pub fn at_batch_size(ratio: f64, from: u64, to: u64) -> Result<f64> {
    positive("the batch size that C was measured at", from)?;
    positive("the batch size that C is wanted at", to)?;
    Ok(ratio * to as f64 / from as f64)
}

/// The number of steps `k` after which a constant drift has gone as far as the noise wanders:
///
/// ```math
/// k\, |\mu| = \sqrt{k \Tr D} \quad\Longleftrightarrow\quad k = \frac1C
/// ```
///
/// `None` where `ratio` is not positive, or so small that no number is as large as its inverse. It supposes that `mu` and `D` stay what
/// they are for so long, and that batches are drawn with replacement.
pub fn drift_horizon(ratio: f64) -> Option<f64> {
    (ratio > 0.0)
        .then(|| 1.0 / ratio)
        .filter(|steps| steps.is_finite())
}

impl Interval {
    /// The interval of `scale / C`, with the same coverage; `None` where this one reaches 0 or below, for there `1/C` has no bound, or
    /// none that is a number.
    pub fn reciprocal(&self, scale: f64) -> Option<Self> {
        let high = scale / self.low;
        (self.low > 0.0 && high.is_finite()).then(|| Self {
            low: scale / self.high,
            high,
            level: self.level,
        })
    }
}

impl Ratio {
    /// The interval of the noise scale `B / C` in examples, from draws over `batch_size` examples each; `None` where there is no
    /// interval for `C`, or it reaches 0 or below.
    pub fn noise_scale_interval(&self, batch_size: u64) -> Option<Interval> {
        let interval = self.estimates.as_ref().ok()?.interval.as_ref().ok()?;
        interval.reciprocal(batch_size as f64)
    }
}

/// A finite set of `N` examples that batches of `B` are drawn from without replacement. Their mean gradient is `mu`, and `Sigma` its
/// covariance with the divisor `N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Population {
    examples: u64,
}

impl Population {
    /// `N` examples.
    ///
    /// # Errors
    /// When there are fewer than two, which have no noise.
    pub fn new(examples: u64) -> Result<Self> {
        if examples < 2 {
            return Err(Error::OutOfRange {
                name: "the number of examples",
                value: examples as f64,
                accepted: "at least 2",
            });
        }
        Ok(Self { examples })
    }

    /// `C` of batches of `B` distinct examples,
    ///
    /// ```math
    /// C = \frac{B}{B_\text{simple}} \cdot \frac{N-1}{N-B}, \qquad B_\text{simple} = \frac{\Tr \Sigma}{|\mu|^2},
    /// ```
    ///
    /// by sampling theory's finite population correction (Cochran 1977, *Sampling Techniques*, theorem 2.2).
    ///
    /// # Errors
    /// When `noise_scale` is not positive, or `batch_size` is not in `1..N`: the batch of all examples has no noise.
    pub fn ratio(&self, batch_size: u64, noise_scale: f64) -> Result<f64> {
        positive("the batch size", batch_size)?;
        if batch_size >= self.examples {
            return Err(Error::OutOfRange {
                name: "the batch size",
                value: batch_size as f64,
                accepted: "below the number of examples, all of which together have no noise",
            });
        }
        if noise_scale.is_nan() || noise_scale <= 0.0 {
            return Err(Error::OutOfRange {
                name: "the noise scale",
                value: noise_scale,
                accepted: "positive",
            });
        }
        let (n, b) = (self.examples as f64, batch_size as f64);
        Ok(b / noise_scale * (n - 1.0) / (n - b))
    }

    /// The debiased `C` of one example, `$|\mu|^2 / \Tr \Sigma$`, from the moments of disjoint batches of `batch_size` examples, as a loader
    /// gives them within an epoch. With `n` batches,
    ///
    /// ```math
    /// \E \Tr \hat D = \frac{N}{N-1} \cdot \frac{\Tr \Sigma}{B}, \qquad
    /// |\mu|^2 = \E \Bigl[ |\hat\mu|^2 - \Bigl( \frac1n - \frac BN \Bigr) \Tr \hat D \Bigr]
    /// ```
    ///
    /// so that taking `$\Tr \hat D / n$` away, as for independent draws, would take too much. Numerator and denominator are unbiased.
    ///
    /// # Errors
    /// When `batch_size` is 0, or the batches would hold more than `N` examples.
    pub fn per_example(
        &self,
        ratio: &Ratio,
        batch_size: u64,
    ) -> Result<std::result::Result<f64, Undefined>> {
        positive("the batch size", batch_size)?;
        let drawn = ratio.samples as f64 * batch_size as f64;
        let (n, b) = (self.examples as f64, batch_size as f64);
        if drawn > n {
            return Err(Error::OutOfRange {
                name: "the number of examples in disjoint batches",
                value: drawn,
                accepted: "at most the number of examples there are",
            });
        }
        let excess = 1.0 / ratio.samples as f64 - b / n;
        Ok(ratio.estimates.as_ref().map_err(Clone::clone).map(|e| {
            let per_batch = e.plug_in - excess;
            per_batch * n / ((n - 1.0) * b)
        }))
    }
}

fn positive(name: &'static str, value: u64) -> Result<()> {
    if value == 0 {
        return Err(Error::OutOfRange {
            name,
            value: 0.0,
            accepted: "at least 1",
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Moments;
    use approx::assert_relative_eq;

    const EXAMPLES: [[f64; 2]; 6] = [
        [1.0, 0.5],
        [-2.0, 3.0],
        [0.25, 1.0],
        [4.0, -1.0],
        [0.0, 0.0],
        [2.5, 2.0],
    ];

    /// `|mu|^2` and `Tr Sigma` of all examples.
    fn population() -> (f64, f64) {
        let mean = [0, 1].map(|j| EXAMPLES.iter().map(|g| g[j]).sum::<f64>() / 6.0);
        let trace = EXAMPLES
            .iter()
            .map(|g| (g[0] - mean[0]).powi(2) + (g[1] - mean[1]).powi(2))
            .sum::<f64>()
            / 6.0;
        (mean[0] * mean[0] + mean[1] * mean[1], trace)
    }

    /// All orders of the six examples.
    fn orders() -> Vec<Vec<usize>> {
        let mut orders = vec![vec![]];
        for _ in 0..6 {
            orders = orders
                .iter()
                .flat_map(|order: &Vec<usize>| {
                    let unused = (0..6).filter(move |i| !order.contains(i));
                    unused.map(move |i| [order.as_slice(), &[i]].concat())
                })
                .collect();
        }
        orders
    }

    fn batch_mean(batch: &[usize]) -> [f64; 2] {
        [0, 1].map(|j| batch.iter().map(|&i| EXAMPLES[i][j]).sum::<f64>() / batch.len() as f64)
    }

    #[test]
    fn over_all_epochs_of_a_small_population_numerator_and_denominator_average_to_the_truth()
    -> Result<()> {
        let (squared_mean, trace) = population();
        for (batches, size) in [(2usize, 3usize), (3, 2), (2, 2), (4, 1), (6, 1)] {
            let (mut numerator, mut denominator, mut count) = (0.0, 0.0, 0.0);
            for order in orders() {
                let mut moments = Moments::new(2)?;
                for batch in order.chunks(size).take(batches) {
                    moments.push(&batch_mean(batch))?;
                }
                let ratio = Ratio::estimate(&moments, 0.95)?;
                let c = Population::new(6)?
                    .per_example(&ratio, size as u64)?
                    .expect("no two batches have the same mean");
                // the denominator that the formula stands for; the numerator is what c makes of it
                let tr_sigma = ratio.noise * size as f64 * 5.0 / 6.0;
                numerator += c * tr_sigma;
                denominator += tr_sigma;
                count += 1.0;
            }
            // 720 terms of size ten
            assert_relative_eq!(numerator / count, squared_mean, max_relative = 1e-11);
            assert_relative_eq!(denominator / count, trace, max_relative = 1e-11);
        }
        Ok(())
    }

    #[test]
    fn batches_without_replacement_have_the_covariance_that_counting_gives() -> Result<()> {
        let (squared_mean, trace) = population();
        for size in 1..6usize {
            let orders = orders();
            let means = orders.iter().map(|order| batch_mean(&order[..size]));
            let squares: f64 = means.map(|m| m[0] * m[0] + m[1] * m[1]).sum();
            let noise = squares / orders.len() as f64 - squared_mean;
            let c = Population::new(6)?.ratio(size as u64, trace / squared_mean)?;
            // the noise of five examples of six is a difference that costs two digits
            assert_relative_eq!(c, squared_mean / noise, max_relative = 1e-11);
        }
        Ok(())
    }

    #[test]
    fn sizes_that_mean_nothing_are_refused() -> Result<()> {
        let six = Population::new(6)?;
        let all = six.ratio(6, 1.0).expect_err("no noise");
        assert_eq!(
            all.to_string(),
            "the batch size is 6; it must be below the number of examples, all of which together have no noise"
        );
        assert!(six.ratio(0, 1.0).is_err() && six.ratio(2, f64::NAN).is_err());
        assert!(Population::new(1).is_err());
        assert!(at_batch_size(1.0, 0, 4).is_err() && at_batch_size(1.0, 4, 0).is_err());
        let mut moments = Moments::new(1)?;
        moments.push_batch(&[1.0, 2.0, 4.0, 7.0])?;
        let four = Ratio::estimate(&moments, 0.95)?;
        assert!(six.per_example(&four, 2).is_err());
        Ok(())
    }

    #[test]
    fn noise_scale_horizon_and_ratio_are_reciprocal_and_open_where_no_signal_is_sure() -> Result<()>
    {
        let interval = |low, high| Interval {
            low,
            high,
            level: 0.9,
        };
        assert_eq!(
            interval(0.5, 2.0).reciprocal(64.0),
            Some(interval(32.0, 128.0))
        );
        assert_eq!(interval(0.0, 2.0).reciprocal(64.0), None);
        assert_eq!(drift_horizon(0.01), Some(100.0));
        assert_eq!(drift_horizon(5e-324), None);
        assert_eq!(interval(5e-324, 2.0).reciprocal(64.0), None);
        assert_eq!(drift_horizon(-0.1), None);
        assert_eq!(drift_horizon(f64::NAN), None);
        assert_eq!(at_batch_size(0.5, 16, 64)?, 2.0);
        Ok(())
    }
}
