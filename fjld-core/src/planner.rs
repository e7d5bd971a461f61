//! How many draws a wanted precision of `C` takes, from a pilot.
//!
//! The debiased estimate is a ratio of two U-statistics, `$\hat C = N / T$` with `N` the mean of `$g_i \cdot g_j$` and `$T = \Tr \hat D$`
//! the mean of `$|g_i - g_j|^2 / 2$` over pairs of different draws. With `$g = \mu + \xi$` and `$q = |\xi|^2$` Hoeffding's decomposition
//! (1948, *Annals of Mathematical Statistics* 19, eq. 5.13) gives, exactly and for any law with fourth moments,
//!
//! ```math
//! \begin{aligned}
//! \Var N &= \frac{4a}{n} + \frac{2b}{n(n-1)} & a &= \mu' D \mu = \Var(\mu \cdot \xi) \\
//! \Var T &= \frac{V}{n} + \frac{2b}{n(n-1)} & b &= \Tr D^2 = \Var(\xi_1 \cdot \xi_2) \\
//! \Cov(N, T) &= \frac{2w}{n} - \frac{2b}{n(n-1)} & V &= \Var q, \quad w = \Cov(\mu \cdot \xi, q)
//! \end{aligned}
//! ```
//!
//! (for normal draws `$V = 2b$` and `$w = 0$`: then `$\hat\mu$` and `$\hat D$` are independent, and the covariance is `$-\Var(T)/n$`). To
//! first order in the error of `T`, `$\hat C - C = (N - C T)/\Tr D$`, so that
//!
//! ```math
//! \Var \hat C(n) = \frac{1}{(\Tr D)^2} \left( \frac{4a - 4 C w + C^2 V}{n} + \frac{2 (1 + C)^2\, b}{n(n-1)} \right)
//! ```
//!
//! What is left out is of the relative order of `$\Var T / (\Tr D)^2$`. The second term is what matters where the signal is weak: with no
//! signal at all the standard deviation is `$\sqrt{2/r}\,/n$`, with `$r = (\Tr D)^2/b$` the effective rank.

use crate::error::{Error, Result};
use crate::moments::Moments;
use crate::moments::robust::rows;
use crate::range::vector_to_unit;
use crate::ratio::{Ratio, Undefined};
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// The largest half-width that can be asked for: ten times `C`.
pub const WIDEST: f64 = 10.0;

/// A plan for more draws than every whole number that a 64-bit float holds is none.
const MOST_DRAWS: u64 = 1 << 53;

/// An interval needs a variance after a draw is left out.
const FEWEST_DRAWS: u64 = 3;

/// Student's quantile with so many degrees of freedom is the normal one to six digits.
const NEARLY_NORMAL: u64 = 1_000_000;

/// What the precision of `C_hat` hangs on, in units of the noise: each is free of the scale of the loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PilotMoments {
    /// `C`; from samples the debiased estimate.
    pub ratio: f64,
    /// `$a / (\Tr D)^2$` with `$a = \mu' D \mu$`: how far the signal lies along noisy directions.
    pub along_signal: f64,
    /// `$b / (\Tr D)^2$` with `$b = \Tr D^2$`: one over the effective rank.
    pub concentration: f64,
    /// `$V / (\Tr D)^2$` with `$V = \Var |g - \mu|^2$`: large for heavy tails.
    pub tails: f64,
    /// `$w / (\Tr D)^2$` with `$w = \Cov(\mu \cdot (g - \mu), |g - \mu|^2)$`: 0 for symmetric noise.
    pub skew: f64,
}

/// Why there is no plan. A result, not an error.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NoPlan {
    /// The pilot gives no ratio, or no interval for it.
    #[error(transparent)]
    Undefined(#[from] Undefined),
    /// A half-width relative to a `C` that may be 0 means nothing.
    #[error(
        "the pilot does not tell C from 0: its interval is [{low:.3e}, {high:.3e}] at level {level}, and a precision relative to C needs a C above 0; a larger pilot may show one"
    )]
    NotDistinguishable {
        /// Lower end of the pilot's interval.
        low: f64,
        /// Its upper end.
        high: f64,
        /// Its nominal coverage.
        level: f64,
    },
    /// The number is beyond anything that can be drawn.
    #[error("more than 2^53 draws would be needed")]
    TooMany,
}

/// The fewest draws with which the interval of `C` at `level` is expected to reach no further than `half_width` times `C` to either side,
/// from a pilot's rows `samples`, `[n, d]` row after row, and the `moments` of the same rows.
///
/// The pilot's own errors carry over: with a pilot whose interval is `C (1 +- e)` the number is good to a factor of about `1 +- 2e`.
/// `O(n d min(n, d))` multiplications and `min(n, d)^2` numbers of memory.
///
/// # Errors
/// With fewer than four samples, another number of them than `moments` has, `half_width` outside `(0, 10]`, `level` outside `(0, 1)`.
pub fn plan(
    samples: Vec<f64>,
    moments: &Moments,
    half_width: f64,
    level: f64,
) -> Result<std::result::Result<u64, NoPlan>> {
    let expected = moments.count() as usize * moments.dimension();
    if samples.len() != expected {
        return Err(Error::Length {
            what: "the pilot",
            expected,
            got: samples.len(),
        });
    }
    check_half_width(half_width)?;
    let ratio = Ratio::estimate(moments, level)?;
    let interval = match ratio.estimates.and_then(|estimates| estimates.interval) {
        Ok(interval) => interval,
        Err(reason) => return Ok(Err(reason.into())),
    };
    // a level so near 1 that the interval is unbounded does not tell C from 0 either
    if interval.low.is_nan() || interval.low <= 0.0 {
        return Ok(Err(NoPlan::NotDistinguishable {
            low: interval.low,
            high: interval.high,
            level,
        }));
    }
    PilotMoments::estimate(samples, moments.dimension())?.draws_needed(half_width, level)
}

impl PilotMoments {
    /// Estimates each of them from `samples`, `[n, d]` row after row: the numerators `a`, `b`, `V`, `w` without bias, by the U-statistics
    /// over four different draws (any of them but `b` can come out negative).
    ///
    /// # Errors
    /// With fewer than four samples, a length that is not a multiple of `dimension`, an entry that is not finite, or no noise at all.
    pub fn estimate(mut samples: Vec<f64>, dimension: usize) -> Result<Self> {
        let count = rows(&samples, dimension, 4, "a plan from a pilot")?;
        // fourth powers of the entries leave the range of numbers early
        let unit = vector_to_unit(&samples);
        samples.iter_mut().for_each(|x| *x *= unit);
        let n = count as f64;
        let mut mean = vec![0.0; dimension];
        for row in samples.chunks_exact(dimension) {
            mean.iter_mut().zip(row).for_each(|(m, x)| *m += x / n);
        }
        for row in samples.chunks_exact_mut(dimension) {
            row.iter_mut().zip(&mean).for_each(|(x, m)| *x -= m);
        }
        let rows = || samples.chunks_exact(dimension);
        // the products that all pair sums come down to, for centred rows x: mean.x_i, |x_i|^2, and (x_i.x_j)^2 over different i, j
        let u: Vec<f64> = rows().map(|row| inner_product(&mean, row)).collect();
        let q: Vec<f64> = rows().map(|row| inner_product(row, row)).collect();
        let p2 = squared_gram_norm(&samples, count, dimension) - inner_product(&q, &q);
        let scatter: f64 = q.iter().sum();
        let noise = scatter / (n - 1.0);
        if noise <= 0.0 {
            return Err(Error::OutOfRange {
                name: "the noise of the pilot, Tr D_hat,",
                value: noise,
                accepted: "above 0",
            });
        }
        let (uq, qq) = (inner_product(&u, &q), inner_product(&q, &q));
        // the kernels less what is the same for all pairs: k = u_i + u_j + x_i.x_j of N, h = (q_i + q_j)/2 - x_i.x_j of T, and x_i.x_j
        let k: Vec<f64> = u.iter().zip(&q).map(|(u, q)| (n - 2.0) * u - q).collect();
        let h: Vec<f64> = q.iter().map(|q| 0.5 * (n * q + scatter)).collect();
        let kk = 2.0 * (n - 2.0) * inner_product(&u, &u) - 4.0 * uq + p2;
        let kh = n * uq - qq - p2;
        let hh = 0.5 * ((n + 2.0) * qq + scatter * scatter) + p2;
        let products = PairSums::new(n, &q, &q, p2);
        let unit = noise * noise;
        Ok(Self {
            ratio: (inner_product(&mean, &mean) - noise / n) / noise,
            along_signal: PairSums::new(n, &k, &k, kk).covariance() / unit,
            concentration: products.interaction() / unit,
            tails: 4.0 * PairSums::new(n, &h, &h, hh).covariance() / unit,
            skew: 2.0 * PairSums::new(n, &k, &h, kh).covariance() / unit,
        })
    }

    /// `$\Var \hat C(n)$`, the variance of the debiased ratio of `draws` draws, by the formula at the head of this module. Where estimates
    /// put the first term below zero it counts as zero.
    pub fn variance(&self, draws: u64) -> f64 {
        let (n, c) = (draws as f64, self.ratio);
        let first = 4.0 * self.along_signal - 4.0 * c * self.skew + c * c * self.tails;
        let second = 2.0 * (1.0 + c).powi(2) * self.concentration;
        first.max(0.0) / n + second / (n * (n - 1.0))
    }

    /// The fewest draws `n`, at least 3, with `$t \operatorname{sd} \hat C(n) \le \text{half-width} \cdot C$`, `t` being the two-sided Student quantile of `level` with
    /// `n - 1` degrees of freedom that the interval of [`Ratio::estimate`] takes; for more than 50 draws it is the normal `z` to 3%.
    ///
    /// # Errors
    /// When `half_width` lies outside `(0, 10]` or `level` outside `(0, 1)`.
    pub fn draws_needed(
        &self,
        half_width: f64,
        level: f64,
    ) -> Result<std::result::Result<u64, NoPlan>> {
        check_half_width(half_width)?;
        if !(level > 0.0 && level < 1.0) {
            return Err(Error::OutOfRange {
                name: "the level of the interval",
                value: level,
                accepted: "strictly between 0 and 1",
            });
        }
        let wanted = half_width * self.ratio;
        let enough = |n: u64| quantile(n, level) * self.variance(n).sqrt() <= wanted;
        // the half-width falls with n: `low` is too few (or one below the fewest), `high` is enough in the end
        let (mut low, mut high) = (FEWEST_DRAWS - 1, FEWEST_DRAWS);
        while !enough(high) {
            (low, high) = (high, 2 * high);
            if high > MOST_DRAWS {
                return Ok(Err(NoPlan::TooMany));
            }
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if enough(middle) {
                high = middle;
            } else {
                low = middle;
            }
        }
        Ok(Ok(high))
    }
}

/// Sums over different draws of the products of two symmetric kernels `k(i, j)` and `h(i, j)`.
struct PairSums {
    n: f64,
    /// `sum k(i,j) h(i,j)`
    both: f64,
    /// `sum k(i,j) h(i,l)`
    one: f64,
    /// `sum k(i,j) h(l,m)`
    none: f64,
}

impl PairSums {
    /// From the kernels' row sums `sum_j k(i, j)` over `j` other than `i`, and `both`.
    fn new(n: f64, k: &[f64], h: &[f64], both: f64) -> Self {
        let one = inner_product(k, h) - both;
        let all = k.iter().sum::<f64>() * h.iter().sum::<f64>();
        Self {
            n,
            both,
            one,
            // a pair of pairs shares an index in 4 ways, and both in 2
            none: all - 4.0 * one - 2.0 * both,
        }
    }

    fn means(&self) -> [f64; 3] {
        let two = self.n * (self.n - 1.0);
        let three = two * (self.n - 2.0);
        [
            self.both / two,
            self.one / three,
            self.none / (three * (self.n - 3.0)),
        ]
    }

    /// `Cov(k(1,2), h(1,3))`, without bias.
    fn covariance(&self) -> f64 {
        let [_, one, none] = self.means();
        one - none
    }

    /// What is left of `Cov(k(1,2), h(1,2))` without the parts that hang on one draw alone.
    fn interaction(&self) -> f64 {
        let [both, one, none] = self.means();
        both - 2.0 * one + none
    }
}

fn quantile(draws: u64, level: f64) -> f64 {
    let freedom = (draws - 1).min(NEARLY_NORMAL) as f64;
    StudentsT::new(0.0, 1.0, freedom)
        .expect("there are at least two degrees of freedom")
        .inverse_cdf(0.5 + level / 2.0)
}

fn check_half_width(half_width: f64) -> Result<()> {
    if half_width > 0.0 && half_width <= WIDEST {
        return Ok(());
    }
    Err(Error::OutOfRange {
        name: "the half-width, as a share of C,",
        value: half_width,
        accepted: "above 0 and at most 10",
    })
}

/// The sum of the squares of all inner products of two rows: that of the columns is the same, and there may be fewer.
fn squared_gram_norm(samples: &[f64], count: usize, dimension: usize) -> f64 {
    let rows = MatRef::from_row_major_slice(samples, count, dimension);
    let rows = if count <= dimension {
        rows
    } else {
        rows.transpose()
    };
    let mut gram = Mat::zeros(rows.nrows(), rows.nrows());
    let product = gram.as_mut();
    matmul(
        product,
        Accum::Replace,
        rows,
        rows.transpose(),
        1.0,
        Par::Seq,
    );
    gram.squared_norm_l2()
}

fn inner_product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests;
