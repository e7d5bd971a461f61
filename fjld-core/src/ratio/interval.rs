//! The interval for `C`: which values of it would have made the plug-in ratio that was seen neither too large nor too small.
//!
//! Under a hypothetical `C = x`, numerator and denominator of the plug-in ratio have the means `$(x + 1/n) \Tr D$` and `Tr D`. Both are
//! positive quadratic forms, for which a power near the square or cube root is close to normal (Wilson and Hilferty 1931, *PNAS* 17;
//! Jensen and Solomon 1972, *JASA* 67; for the quotient of two, Paulson 1942, *Annals of Mathematical Statistics* 13). Their variances
//! are those that `x` implies, not those at the estimate: a signal that happens to come out small does not make the interval short.
//!
//! Legend: `n` samples, `P` the plug-in ratio, `v` the relative variance of `Tr D_hat`, `q` Student's quantile, and
//!
//! ```math
//! r = \frac{(\Tr D)^2}{\Tr D^2}, \qquad b = \frac{\mu' D \mu}{|\mu|^2 \Tr D}, \qquad m = n x + 1, \qquad R = \frac{n P}{m}.
//! ```

use super::{Interval, Undefined};
use crate::moments::effective_rank::effective_rank;
use crate::moments::{Deviation, Moments};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// What an interval is made from.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The number of samples, `n`.
    pub samples: u64,
    /// `|mu_hat|^2`.
    pub signal: f64,
    /// `Tr D_hat`, with the divisor `n - 1`.
    pub noise: f64,
    /// How consecutive samples, at most 256 blocks of them, deviate from the mean.
    pub blocks: Vec<Deviation>,
    /// `$1/r = \Tr D^2 / (\Tr D)^2$`, estimated without bias in either trace and then kept within `[0, 1]`.
    pub concentration: f64,
}

/// How much numerator and denominator of the plug-in ratio vary, relative to their means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// `$b = \mu' D \mu / (|\mu|^2 \Tr D)$`, the part of the noise that lies along the mean, in `[0, 1]`.
    pub along_mean: f64,
    /// `$1/r = \Tr D^2 / (\Tr D)^2$`, in `[0, 1]`.
    pub concentration: f64,
    /// `$v = \Var(\Tr \hat D) / (\Tr D)^2$`.
    pub noise: f64,
    /// The correlation of a sample's part along the mean with its squared distance from the mean, in `[-1, 1]`. 0 for symmetric noise.
    pub correlation: f64,
}

impl Summary {
    /// The summary of what `moments` has seen. `min(n, 256)^2 min(d, 2048) / 2` multiplications at the most.
    ///
    /// # Errors
    /// With fewer than three samples or blocks of them, where the noise vanished, or where one block of samples carries all of it.
    pub fn of(moments: &Moments) -> Result<Self, Undefined> {
        let blocks = moments.blocks().deviations();
        if blocks.len() < 3 {
            let samples = blocks.len() as u64;
            return Err(Undefined::TooFewForInterval { samples });
        }
        let n = moments.count() as f64;
        let scatter = moments.total_scatter();
        let noise = scatter / (n - 1.0);
        let floor = moments.rounding_floor();
        if noise <= floor {
            return Err(Undefined::NoiseVanished { noise, floor });
        }
        for block in &blocks {
            let left = n - block.count as f64;
            let left_noise = (scatter - block.scatter - block.squared / left) / (left - 1.0);
            if left_noise <= floor || left_noise.is_nan() {
                return Err(Undefined::OneSampleCarriesTheNoise);
            }
        }
        let (rows, width) = moments.blocks().standardised();
        // with three samples nothing is known of it, and 1 is the widest
        let concentration = match effective_rank(rows, width) {
            Ok(rank) => 1.0 / rank.max(1.0),
            Err(_) if blocks.len() < 4 => 1.0,
            Err(_) => 0.0,
        };
        Ok(Self {
            samples: moments.count(),
            signal: moments.squared_mean_norm(),
            noise,
            blocks,
            concentration,
        })
    }

    /// `$P = |\hat\mu|^2 / \Tr \hat D$`.
    pub fn plug_in(&self) -> f64 {
        self.signal / self.noise
    }

    /// The spread of numerator and denominator, estimated from the blocks.
    ///
    /// `b` is `$\mu' \hat D \mu / (|\hat\mu|^2 \Tr \hat D)$` with `mu` on the right from the other blocks, so that no sample is compared
    /// with itself, plus `$1 / (r^2 n P)$`, what is left of it where the mean's noisiest part happens to cancel. `v` is the jackknife's
    /// variance of `$\ln \Tr \hat D$`; it is not let below `$2 / (r (n - 1))$`, its value for Gaussian noise, because fourth moments of few
    /// samples come out too small.
    pub fn spread(&self) -> Spread {
        let n = self.samples as f64;
        let count = self.blocks.len() as f64;
        let freedom = n - 1.0;
        let scatter = self.noise * freedom;
        let along: Vec<f64> = self
            .blocks
            .iter()
            .map(|block| (block.along_mean - block.squared / (n - block.count as f64)) / self.noise)
            .collect();
        // what a block adds to ln Tr D_hat, in units of what leaving it out takes away
        let excess: Vec<f64> = self
            .blocks
            .iter()
            .map(|block| {
                let left = n - block.count as f64;
                let left_scatter = scatter - block.scatter - block.squared / left;
                (freedom / (left - 1.0) * left_scatter / scatter).ln()
            })
            .collect();
        let (along, excess) = (centred(along), centred(excess));
        let product: f64 = along.iter().zip(&excess).map(|(a, e)| -a * e).sum();
        let square = |values: &[f64]| values.iter().map(|v| v * v).sum::<f64>();
        let (along, excess) = (square(&along), square(&excess));
        let along_mean = if self.signal > 0.0 {
            let squared_length = count / (count - 1.0) * along + self.concentration.powi(2);
            (squared_length / (n * self.plug_in())).min(1.0)
        } else {
            self.concentration
        };
        let correlation = if along > 0.0 && excess > 0.0 {
            (product / (along * excess).sqrt()).clamp(-1.0, 1.0)
        } else {
            0.0
        };
        let gaussian = 2.0 * self.concentration / freedom;
        Spread {
            along_mean,
            concentration: self.concentration,
            noise: ((count - 1.0) / count * excess).max(gaussian),
            correlation,
        }
    }

    /// The interval of nominal coverage `level`, in `(0, 1)`, with Student's quantile for as many degrees of freedom as there are
    /// blocks less one. See [`Spread::interval`].
    pub fn interval(&self, level: f64) -> Interval {
        let quantile = StudentsT::new(0.0, 1.0, self.blocks.len() as f64 - 1.0)
            .expect("there are at least three blocks")
            .inverse_cdf(0.5 + level / 2.0);
        let (low, high) = self
            .spread()
            .interval(self.samples, self.plug_in(), quantile);
        Interval { low, high, level }
    }
}

impl Spread {
    /// All `x` for which `$|z(x)| \le q$`, `q` being `quantile`, from a plug-in ratio of `samples` samples:
    ///
    /// ```math
    /// z(x) = \frac{R^h \bigl( 1 - \tfrac{h(1-h)}{2} v \bigr) - \bigl( 1 - \tfrac{h(1-h)}{2} w \bigr)}{h \sqrt{v R^{2h} + w - 2 c R^h}}
    /// ```
    ///
    /// with `n` samples, the plug-in ratio `P`, `$m = n x + 1$` and `$R = n P / m$`; the relative variance `w` of `$|\hat\mu|^2$` and `v` of
    /// `$\Tr \hat D$`, their relative covariance `c`, what `v` exceeds its Gaussian value by, which `$|\hat\mu - \mu|^2$` shares (`k`), what
    /// skewness adds (`s`, with the correlation `$\rho$`), and the power `h`, kept within .1 and .5, which is 1/3 for a chi-square:
    ///
    /// ```math
    /// \begin{aligned}
    /// w(x) &= \frac{4 b n x + 2/r + k}{m^2} + \frac{2 s}{m} &
    /// c(x) &= \frac{k}{m} + s \\
    /// k &= v - \frac{2}{r (n - 1)} &
    /// s(x) &= \frac{\rho \sqrt{4 b n x v}}{m} \\
    /// h(x) &= 1 - \frac{m \, (8/r^2 + 24 b^2 n x)}{3 \, (4 b n x + 2/r)^2}
    /// \end{aligned}
    /// ```
    ///
    /// Below `x = 0`, where no `C` lies, all but `R` keep their values at 0. The ends hold the debiased ratio between them, are not below
    /// `-1/n`, and are finite for a finite quantile. For isotropic Gaussian noise the powers are those of Sankaran (1959, *Biometrika* 46).
    pub fn interval(&self, samples: u64, plug_in: f64, quantile: f64) -> (f64, f64) {
        let n = samples as f64;
        let debiased = plug_in - 1.0 / n;
        // a level within rounding of 1 has no quantile
        if quantile.is_infinite() {
            return (-1.0 / n, f64::INFINITY);
        }
        let end = |side: f64| {
            // in u = ln(n x + 1) the excess goes from positive to negative
            let (mut below, mut above) = (-RANGE, RANGE);
            for _ in 0..HALVINGS {
                let middle = 0.5 * (below + above);
                let (gap, deviation) = self.gap(n, middle.exp(), n * plug_in);
                if gap >= side * quantile * deviation {
                    below = middle;
                } else {
                    above = middle;
                }
            }
            above.exp_m1() / n
        };
        (end(1.0).min(debiased), end(-1.0).max(debiased))
    }

    /// Numerator and denominator of `z`, at `m = n x + 1` and for `n P`.
    fn gap(&self, samples: f64, expected: f64, seen: f64) -> (f64, f64) {
        let (b, inverse_rank) = (self.along_mean, self.concentration);
        let (nx, mean) = ((expected - 1.0).max(0.0), expected.max(1.0));
        let kurtosis = (self.noise - 2.0 * inverse_rank / (samples - 1.0)).max(0.0);
        let variance = 4.0 * b * nx + 2.0 * inverse_rank;
        let third = 8.0 * inverse_rank * inverse_rank + 24.0 * b * b * nx;
        let power = if variance > 0.0 {
            (1.0 - mean * third / (3.0 * variance * variance)).clamp(POWERS.0, POWERS.1)
        } else {
            POWERS.1
        };
        let first = 4.0 * b * nx / (mean * mean);
        let skewness = self.correlation * (first * self.noise).sqrt();
        let signal = (variance + kurtosis) / (mean * mean) + 2.0 * skewness / mean;
        let covariance = skewness + kurtosis / mean;
        let root = (seen / expected).powf(power);
        let shrunk = |variance: f64| 1.0 - 0.5 * power * (1.0 - power) * variance;
        let gap = root * shrunk(self.noise) - shrunk(signal);
        let variance = self.noise * root * root + signal - 2.0 * covariance * root;
        (gap, power * variance.max(0.0).sqrt())
    }
}

fn centred(mut values: Vec<f64>) -> Vec<f64> {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter_mut().for_each(|v| *v -= mean);
    values
}

/// Powers that are used: the square root is right for much signal, the cube root for none, and less where the noise lies across it.
const POWERS: (f64, f64) = (0.1, 0.5);

/// `ln(n x + 1)` is looked for between this and its negative: all of the range of numbers.
const RANGE: f64 = 700.0;

/// Halvings that bring `2 RANGE` to the rounding of a number of size one.
const HALVINGS: usize = 62;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Seed, standard_normals};
    use approx::assert_relative_eq;
    use statrs::distribution::{Continuous, Normal};

    /// Isotropic Gaussian noise in `d` dimensions, whose spread is known.
    fn isotropic(d: f64, n: f64) -> Spread {
        Spread {
            along_mean: 1.0 / d,
            concentration: 1.0 / d,
            noise: 2.0 / (d * (n - 1.0)),
            correlation: 0.0,
        }
    }

    #[test]
    fn without_signal_in_one_dimension_the_lower_end_touches_zero_at_the_quantile_of_f() {
        // n P ~ F(1, n - 1): its .975 quantiles, printed. Cube roots of a chi-square with one degree of freedom are normal to about 1%
        // of a standard deviation there, which moves n P by less than 4%
        for (n, quantile) in [(11u64, 6.937), (31, 5.568), (121, 5.152)] {
            let spread = isotropic(1.0, n as f64);
            let low = |f: f64| spread.interval(n, f / n as f64, 1.96).0;
            assert!(low(0.96 * quantile) < 0.0, "n = {n}");
            assert!(low(1.04 * quantile) > 0.0, "n = {n}");
        }
    }

    #[test]
    fn much_signal_in_one_dimension_gives_the_interval_of_a_squared_normal_mean() {
        // the noise is known when n is large and v tiny: sqrt(n P) is normal about sqrt(n C) with variance 1
        let spread = Spread {
            noise: 0.0,
            ..isotropic(1.0, 2.0)
        };
        let n = 1_000_000u64;
        let (low, high) = spread.interval(n, 400.0 / n as f64, 1.96);
        // sqrt(n P) = 20; the power transform is exact to third order in 1/20
        let exact = |root: f64| root * root / n as f64;
        assert_relative_eq!(low, exact(20.0 - 1.96), max_relative = 2e-3);
        assert_relative_eq!(high, exact(20.0 + 1.96), max_relative = 2e-3);
    }

    #[test]
    fn the_ends_hold_the_debiased_ratio_and_reach_no_further_down_than_minus_one_over_n() {
        let extremes = [0.0, 1e-3, 0.5, 1.0];
        for b in extremes {
            for concentration in extremes {
                for noise in [0.0, 0.1, 1.0, 20.0] {
                    for correlation in [-1.0, 0.0, 1.0] {
                        let spread = Spread {
                            along_mean: b,
                            concentration,
                            noise,
                            correlation,
                        };
                        for plug_in in [0.0, 1e-12, 0.3, 1e9] {
                            let (low, high) = spread.interval(10, plug_in, 2.0);
                            let debiased = plug_in - 0.1;
                            assert!(low >= -0.1 - 1e-15 && high.is_finite(), "{spread:?}");
                            assert!(low <= debiased && debiased <= high, "{spread:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn the_spread_of_many_gaussian_samples_is_that_of_their_law() -> crate::Result<()> {
        // D = diag(4, 1, 1), mu = (1, 1, 0): b = 5/(2 x 6), 1/r = 18/36, v = 2/(r (n-1))
        let n = 20_000;
        let mut moments = Moments::new(3)?;
        for z in standard_normals(&mut Seed::root(31).generator(), 3 * n).chunks(3) {
            moments.push(&[1.0 + 2.0 * z[0], 1.0 + z[1], z[2]])?;
        }
        let summary = Summary::of(&moments).expect("20,000 samples have an interval");
        let spread = summary.spread();
        // at most 256 blocks: a variance from them has the relative standard error sqrt(2/128) = .125, a correlation .09
        assert_relative_eq!(spread.along_mean, 5.0 / 12.0, max_relative = 0.5);
        assert_relative_eq!(spread.concentration, 0.5, max_relative = 0.4);
        assert_relative_eq!(spread.noise, 1.0 / (n - 1) as f64, max_relative = 0.5);
        assert!(spread.correlation.abs() < 0.36, "{}", spread.correlation);
        Ok(())
    }

    /// `z(x)` as [`Spread::interval`] has it, by the names it has there.
    fn z(spread: &Spread, samples: u64, plug_in: f64, x: f64) -> f64 {
        let (b, inverse_r, v, rho) = (
            spread.along_mean,
            spread.concentration,
            spread.noise,
            spread.correlation,
        );
        let n = samples as f64;
        let ratio = n * plug_in / (n * x + 1.0);
        // below 0 all but R keep their values at 0
        let nx = n * x.max(0.0);
        let m = nx + 1.0;
        let k = (v - 2.0 * inverse_r / (n - 1.0)).max(0.0);
        let s = rho * (4.0 * b * nx * v).sqrt() / m;
        let w = (4.0 * b * nx + 2.0 * inverse_r + k) / m.powi(2) + 2.0 * s / m;
        let c = k / m + s;
        let h = match 4.0 * b * nx + 2.0 * inverse_r {
            0.0 => 0.5, // the numerator does not vary: the power is that of much signal
            variance => {
                let third = 8.0 * inverse_r.powi(2) + 24.0 * b.powi(2) * nx;
                (1.0 - m * third / (3.0 * variance.powi(2))).clamp(0.1, 0.5)
            }
        };
        let shrunk = |variance: f64| 1.0 - h * (1.0 - h) / 2.0 * variance;
        let square = v * ratio.powf(2.0 * h) + w - 2.0 * c * ratio.powf(h);
        (ratio.powf(h) * shrunk(v) - shrunk(w)) / (h * square.sqrt())
    }

    #[test]
    fn at_either_end_the_score_is_the_quantile_that_was_asked_for() {
        let spread = |along_mean, concentration, noise, correlation| Spread {
            along_mean,
            concentration,
            noise,
            correlation,
        };
        for (spread, samples, plug_in) in [
            (isotropic(3.0, 10.0), 10, 2.0),
            // tails heavier and lighter than Gaussian
            (spread(0.5, 0.3, 0.2, 0.0), 10, 1.0),
            (spread(0.5, 0.3, 0.02, 0.0), 10, 1.0),
            // skewed either way
            (spread(0.2, 0.3, 0.3, 0.6), 12, 0.7),
            (spread(0.2, 0.3, 0.3, -0.6), 12, 0.7),
            // a lower end below 0
            (spread(0.1, 0.4, 0.15, 0.8), 9, 0.2),
            // so many directions that only the denominator varies
            (spread(0.0, 0.0, 0.01, 0.0), 100, 1.0),
        ] {
            let (low, high) = spread.interval(samples, plug_in, 1.96);
            let what = format!("{spread:?}: [{low}, {high}]");
            assert!(-0.9 / samples as f64 <= low && low < high, "{what}");
            // the ends are known to a few roundings of n x + 1, of which z is a smooth function
            for (end, quantile) in [(low, 1.96), (high, -1.96)] {
                let found = z(&spread, samples, plug_in, end);
                assert!((found - quantile).abs() < 1e-12, "{what}: {found}");
            }
        }
    }

    #[test]
    fn in_three_dimensions_of_known_noise_the_ends_are_those_of_the_noncentral_chi_square() {
        // the length of a standard normal vector about one of length t has the distribution
        // F(r) = Phi(r - t) + Phi(r + t) - 1 - (phi(r - t) - phi(r + t)) / t, here with r^2 = 3 n P and t^2 = 3 n C
        let normal = Normal::new(0.0, 1.0).expect("the standard one");
        let below = |r: f64, t: f64| {
            let (near, far) = (r - t, r + t);
            normal.cdf(near) + normal.cdf(far) - 1.0 - (normal.pdf(near) - normal.pdf(far)) / t
        };
        let spread = Spread {
            noise: 0.0,
            ..isotropic(3.0, 2.0)
        };
        let n = 1_000_000u64;
        for expected in [8.0, 20.0, 100.0] {
            let (low, high) = spread.interval(n, expected / n as f64, 1.959964);
            let root = |x: f64| (3.0 * x * n as f64).sqrt();
            let seen = (3.0 * expected).sqrt();
            // what the power leaves of the law's third and fourth cumulants: .0013 at the most of these, and of a square root .003
            assert_relative_eq!(below(seen, root(low)), 0.975, epsilon = 1.5e-3);
            assert_relative_eq!(below(seen, root(high)), 0.025, epsilon = 1.5e-3);
        }
    }

    #[test]
    fn the_upper_end_is_the_last_ratio_with_the_score_of_the_quantile() {
        // nothing seen, and nothing known but v = 4: below 0, z = -(1 - 4/8) / (1/2 sqrt 4) = -1/2, and above 0 less
        let spread = Spread {
            along_mean: 0.0,
            concentration: 0.0,
            noise: 4.0,
            correlation: 0.0,
        };
        let (low, high) = spread.interval(10, 0.0, 0.5);
        assert_eq!(low, -0.1);
        assert!(high.abs() < 1e-15, "{high}");
    }

    #[test]
    fn without_a_quantile_the_interval_holds_every_ratio_that_there_can_be() {
        let ends = isotropic(3.0, 8.0).interval(8, 0.7, f64::INFINITY);
        assert_eq!(ends, (-0.125, f64::INFINITY));
    }
}
