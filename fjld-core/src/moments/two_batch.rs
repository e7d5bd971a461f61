//! Signal and noise from the norms of gradients at two batch sizes: no per-example gradient is needed.
//!
//! With `g_b` the mean gradient of `b` examples and `g_B` that of `B > b`, `$\E |g_b|^2 = |G|^2 + \Tr \Sigma / b$` and the same for `B`.
//! Two equations, two unknowns (McCandlish, Kaplan, Amodei and the OpenAI Dota Team 2018, arXiv:1812.06162, appendix A.1):
//!
//! ```math
//! |G|^2 \approx \frac{B |g_B|^2 - b |g_b|^2}{B - b}, \qquad S = \Tr \Sigma \approx \frac{|g_b|^2 - |g_B|^2}{1/b - 1/B}
//! ```
//!
//! Either is unbiased for one step and very noisy. Their ratio is not unbiased, so that the steps' means are taken first, and the interval
//! is that of a ratio of two means (Fieller 1954, *Journal of the Royal Statistical Society* B 16). What may be exchanged without changing
//! anything is a step: the interval holds what it says only where the model moves little over the steps taken in.

use super::reduce_mean_and_scatter;
use crate::error::{Error, Result};
use crate::range::LARGEST;
use crate::ranks::{self, Ranks};
use crate::ratio::Interval;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Accumulated squared norms at two batch sizes.
#[derive(Clone, Copy, Debug)]
pub struct TwoBatch {
    small: u64,
    big: u64,
    steps: u64,
    small_norm: f64,
    big_norm: f64,
    /// Sums over steps of the deviations' squares, and of their product.
    small_scatter: f64,
    big_scatter: f64,
    joint_scatter: f64,
}

/// A difference of norms within this part of them is the rounding of the two, and of their means over steps.
const ROUNDINGS: f64 = 4.0 * f64::EPSILON;

/// Why two batch sizes give no ratio. A result, not an error.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum Undefined {
    /// Nothing was pushed.
    #[error("no step was taken in")]
    NoSteps,
    /// The estimate of `|G|^2` is not positive.
    #[error(
        "the estimate of |G|^2 is {estimate}, not positive: the steps show no signal to compare the noise with"
    )]
    NoSignal {
        /// The estimate.
        estimate: f64,
    },
    /// The estimate of `Tr Sigma` is not positive.
    #[error(
        "the estimate of Tr Sigma is {estimate}, not positive beyond rounding: the steps show no noise, and a ratio over it means nothing"
    )]
    NoNoise {
        /// The estimate.
        estimate: f64,
    },
    /// Two steps have no more than a difference.
    #[error("an interval over steps needs at least 3 of them; there are {steps}")]
    TooFewForInterval {
        /// The steps.
        steps: u64,
    },
    /// Norms that never differ are copies, and show no spread.
    #[error(
        "all steps have the same norms, so that nothing can be said of how the estimate varies"
    )]
    StepsAgree,
    /// The estimate of `Tr Sigma` is within its own error, or its rounding, of zero.
    #[error(
        "the steps do not show that there is noise: {estimate} with a standard error of {error}, and a ratio over it may be anything"
    )]
    NoiseUnresolved {
        /// The estimate.
        estimate: f64,
        /// Its standard error over the steps.
        error: f64,
    },
}

impl TwoBatch {
    /// For batches of `small < big` examples.
    ///
    /// # Errors
    /// When `small` is 0, or `big` is not above `small`.
    pub fn new(small: u64, big: u64) -> Result<Self> {
        if small == 0 {
            return Err(Error::OutOfRange {
                name: "the small batch size",
                value: 0.0,
                accepted: "at least 1",
            });
        }
        if big <= small {
            return Err(Error::OutOfRange {
                name: "the big batch size",
                value: big as f64,
                accepted: "above the small one",
            });
        }
        Ok(Self {
            small,
            big,
            steps: 0,
            small_norm: 0.0,
            big_norm: 0.0,
            small_scatter: 0.0,
            big_scatter: 0.0,
            joint_scatter: 0.0,
        })
    }

    /// Adds a step: `|g_b|^2` (the mean over several small batches is as good) and `|g_B|^2`, of gradients of means over examples.
    ///
    /// # Errors
    /// When either is negative, not finite or above 3e144; nothing is added then.
    pub fn push(&mut self, small_norm: f64, big_norm: f64) -> Result<()> {
        for (name, value) in [("|g_small|^2", small_norm), ("|g_big|^2", big_norm)] {
            if !(0.0..=LARGEST).contains(&value) {
                return Err(Error::OutOfRange {
                    name,
                    value,
                    accepted: "finite, not negative and at most 3e144, for its square to be a number",
                });
            }
        }
        self.steps += 1;
        let weight = 1.0 / self.steps as f64;
        let (small_gap, big_gap) = (small_norm - self.small_norm, big_norm - self.big_norm);
        self.small_norm += small_gap * weight;
        self.big_norm += big_gap * weight;
        // a deviation from the old mean times one from the new (Welford 1962, *Technometrics* 4)
        self.small_scatter += small_gap * (small_norm - self.small_norm);
        self.big_scatter += big_gap * (big_norm - self.big_norm);
        self.joint_scatter += small_gap * (big_norm - self.big_norm);
        Ok(())
    }

    /// The two batch sizes, `(b, B)`.
    pub fn batch_sizes(&self) -> (u64, u64) {
        (self.small, self.big)
    }

    /// Adds a step of data-parallel training, in which every rank has the mean gradient of its `b` examples and all together that of
    /// `B = b * ranks`: `own_norm` is this rank's `|g_b|^2`, and `big_norm` that of the mean over ranks, which all of them have after the
    /// step's own all-reduce. A message of one number.
    ///
    /// # Errors
    /// As [`TwoBatch::push`]; when `B` is not `b` times the number of ranks, or the numbers can not be brought together. A norm that one
    /// rank may not push is refused on all.
    pub fn push_ranks(&mut self, ranks: &impl Ranks, own_norm: f64, big_norm: f64) -> Result<()> {
        if self.small * ranks.size() as u64 != self.big {
            return Err(Error::OutOfRange {
                name: "the big batch size",
                value: self.big as f64,
                accepted: "the small one times the number of ranks",
            });
        }
        // a negative norm must not hide in the sum of the others
        let own_norm = if own_norm >= 0.0 { own_norm } else { f64::NAN };
        let mut sum = [own_norm];
        ranks.add(&mut sum)?;
        self.push(sum[0] / ranks.size() as f64, big_norm)
    }

    /// Adds up the steps that every rank has taken in, and leaves them on each. Messages of a few numbers.
    ///
    /// # Errors
    /// When the ranks' batch sizes differ, or the numbers can not be brought together.
    pub fn all_reduce(&mut self, ranks: &impl Ranks) -> Result<()> {
        ranks::agree(ranks, "the small batch size", self.small)?;
        ranks::agree(ranks, "the big batch size", self.big)?;
        let mut means = [self.small_norm, self.big_norm];
        let mut scatter = [self.small_scatter, self.big_scatter, self.joint_scatter];
        self.steps = reduce_mean_and_scatter(ranks, self.steps, &mut means, |gap, own| {
            let between = [gap[0] * gap[0], gap[1] * gap[1], gap[0] * gap[1]];
            let pairs = scatter.iter_mut().zip(between);
            pairs.for_each(|(s, gaps)| *s += own * gaps);
            ranks.add(&mut scatter)
        })?;
        [self.small_norm, self.big_norm] = means;
        [self.small_scatter, self.big_scatter, self.joint_scatter] = scatter;
        Ok(())
    }

    /// How many steps were taken in.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The mean over steps of `|g_B|^2`; `None` before the first step.
    pub fn big_norm(&self) -> Option<f64> {
        (self.steps > 0).then_some(self.big_norm)
    }

    /// The mean over steps of the estimate of `|G|^2`; unbiased, and negative now and then. `None` before the first step.
    pub fn signal(&self) -> Option<f64> {
        let (b, big, more) = self.sizes();
        (self.steps > 0).then(|| (big * self.big_norm - b * self.small_norm) / more)
    }

    /// The mean over steps of the estimate of `S = Tr Sigma`, per example; unbiased, and negative now and then. `None` before the first
    /// step.
    pub fn noise(&self) -> Option<f64> {
        let (b, big, more) = self.sizes();
        (self.steps > 0).then(|| (self.small_norm - self.big_norm) * (b * big / more))
    }

    /// Whether the small batches' norm is above that of the big ones, by more than the rounding of both.
    fn shows_noise(&self) -> bool {
        self.small_norm - self.big_norm > ROUNDINGS * self.small_norm
    }

    /// `b`, `B` and `B - b`, the last without the rounding of the others.
    fn sizes(&self) -> (f64, f64, f64) {
        let more = (self.big - self.small) as f64;
        (self.small as f64, self.big as f64, more)
    }

    /// `C` per example, `|G|^2 / S`, a ratio of means over steps.
    ///
    /// # Errors
    /// Where either mean is not positive, or there is none.
    pub fn ratio(&self) -> std::result::Result<f64, Undefined> {
        match (self.debiased()?, self.signal()) {
            (_, Some(estimate)) if estimate <= 0.0 => Err(Undefined::NoSignal { estimate }),
            (ratio, _) => Ok(ratio),
        }
    }

    /// [`TwoBatch::ratio`] also where the estimate of `|G|^2` is not positive, as debiased ones may be.
    ///
    /// # Errors
    /// Where the noise is not positive beyond rounding, or there are no steps.
    pub fn debiased(&self) -> std::result::Result<f64, Undefined> {
        let (Some(signal), Some(noise)) = (self.signal(), self.noise()) else {
            return Err(Undefined::NoSteps);
        };
        if !self.shows_noise() {
            return Err(Undefined::NoNoise { estimate: noise });
        }
        Ok(signal / noise)
    }

    /// The interval of nominal coverage `level` for `C` per example: all `x` for which the steps' mean of `|G|^2 - x S` is within
    /// `q` standard errors of 0, `q` being Student's quantile for `steps - 1` degrees of freedom. It may reach below zero, and holds
    /// `|G|^2 / S` also where that is not positive. With `s` and `t` the means of `|G|^2` and `S`, and `V` the covariance of these means,
    ///
    /// ```math
    /// (s - x t)^2 \le q^2 \, \bigl( V_s - 2 x V_{st} + x^2 V_t \bigr).
    /// ```
    ///
    /// # Errors
    /// When `level` is not inside `(0, 1)`. Inside: with fewer than three steps, where all are the same, and where `S` is within its
    /// error or its rounding of 0, for then the interval is not bounded.
    pub fn interval(&self, level: f64) -> Result<std::result::Result<Interval, Undefined>> {
        if !(level > 0.0 && level < 1.0) {
            return Err(Error::OutOfRange {
                name: "the level of the interval",
                value: level,
                accepted: "strictly between 0 and 1",
            });
        }
        Ok(self.fieller(level))
    }

    fn fieller(&self, level: f64) -> std::result::Result<Interval, Undefined> {
        let (Some(s), Some(t)) = (self.signal(), self.noise()) else {
            return Err(Undefined::NoSteps);
        };
        if self.steps < 3 {
            return Err(Undefined::TooFewForInterval { steps: self.steps });
        }
        let n = self.steps as f64;
        // a deviation that is the rounding of the norm, or whose square has lost its digits, is none
        let agree = |norm: f64, scatter: f64| {
            scatter <= n * ((ROUNDINGS * norm).powi(2) + f64::MIN_POSITIVE)
        };
        if agree(self.small_norm, self.small_scatter) && agree(self.big_norm, self.big_scatter) {
            return Err(Undefined::StepsAgree);
        }
        let quantile = StudentsT::new(0.0, 1.0, n - 1.0)
            .expect("there are at least three steps")
            .inverse_cdf(0.5 + level / 2.0);
        // in units of the larger norm, whose fourth power would leave the range of numbers
        let unit = self.small_norm.max(self.big_norm);
        let (s, t) = (s / unit, t / unit);
        let large = self.big_norm / unit;
        let of_means = n * (n - 1.0);
        let variance = |scatter: f64| scatter / unit / unit / of_means;
        let of_small = variance(self.small_scatter);
        let of_large = variance(self.big_scatter);
        let of_both = variance(self.joint_scatter);
        // signal and noise are linear in the two norms: coefficients on |g_b|^2 and |g_B|^2
        let (b, big, more) = self.sizes();
        let signal = (-b / more, big / more);
        let factor = b * big / more;
        let square = quantile * quantile;
        // a difference, in which norms that vary together leave rounding
        let of_gap = (of_small - 2.0 * of_both + of_large).max(ROUNDINGS * of_small);
        let of_noise = factor * factor * of_gap;
        let both =
            factor * (signal.0 * of_small - signal.1 * of_large + (signal.1 - signal.0) * of_both);
        // a x^2 - 2 h x + c <= 0
        let a = t * t - square * of_noise;
        if !(self.shows_noise() && a > 0.0) {
            return Err(Undefined::NoiseUnresolved {
                estimate: t * unit,
                error: of_noise.sqrt() * unit,
            });
        }
        let h = s * t - square * both;
        // h^2 - a c without the (s t)^2 that both terms have, against which little may be left; the unit is the small norm
        let along = large * large * of_small - 2.0 * large * of_both + of_large
            - square * (of_small * of_large - of_both * of_both);
        let root = quantile * factor * along.max(0.0).sqrt();
        Ok(Interval {
            low: (h - root) / a,
            high: (h + root) / a,
            level,
        })
    }

    /// The noise scale `$B_\text{simple} = S / |G|^2$` in examples.
    ///
    /// # Errors
    /// As [`TwoBatch::ratio`].
    pub fn noise_scale(&self) -> std::result::Result<f64, Undefined> {
        self.ratio().map(|c| 1.0 / c)
    }
}

#[cfg(test)]
mod tests;
