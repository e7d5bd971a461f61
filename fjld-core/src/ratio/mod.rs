//! The consolidation ratio `C` of gradient draws: estimate, interval, phase.
//!
//! ```math
//! C = \frac{|\mu|^2}{\Tr D}, \qquad g = \mu + \xi, \quad \E \xi = 0, \quad \Cov \xi = D
//! ```
//!
//! Per draw. When a draw is the mean over a minibatch of `B` examples, `$D = \Sigma / B$` and `C` grows with `B`: it is the batch size
//! over the gradient noise scale,
//!
//! ```math
//! C = \frac{B}{B_\text{simple}}, \qquad B_\text{simple} = \frac{\Tr \Sigma}{|\mu|^2}
//! ```
//!
//! (McCandlish, Kaplan, Amodei and the OpenAI Dota Team 2018, arXiv:1812.06162, eq. 2.9).

mod batch;
mod descent;
mod interval;

pub use batch::{Population, at_batch_size, drift_horizon};
pub use descent::Descent;
pub use interval::{Spread, Summary};

use crate::error::{Error, Result};
use crate::moments::Moments;

/// `C` estimated from samples, or why there is none.
#[derive(Clone, Debug)]
pub struct Ratio {
    /// The number of draws, `n`.
    pub samples: u64,
    /// `|mu_hat|^2`.
    pub signal: f64,
    /// `Tr D_hat`, with the divisor `n - 1`.
    pub noise: f64,
    /// The estimates, unless the noise vanished.
    pub estimates: std::result::Result<Estimates, Undefined>,
}

/// Point estimates of `C` and an interval.
///
/// ```math
/// \hat C_\text{plug-in} = \frac{|\hat\mu|^2}{\Tr \hat D}, \qquad \hat C = \hat C_\text{plug-in} - \frac1n
/// ```
#[derive(Clone, Debug)]
pub struct Estimates {
    /// `signal / noise`. Its numerator is too large in expectation: `$\E |\hat\mu|^2 = |\mu|^2 + \Tr D / n$`.
    pub plug_in: f64,
    /// `plug_in - 1/n`, which takes that excess away exactly; negative where the samples show less than no signal.
    pub debiased: f64,
    /// An interval for `C` that holds `debiased`; it may reach below zero, to `-1/n`.
    pub interval: std::result::Result<Interval, Undefined>,
}

/// A two-sided interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Nominal coverage, in `(0, 1)`.
    pub level: f64,
}

/// Why a ratio, or its interval, does not exist. A result, not an error.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Undefined {
    /// A ratio over a vanished variance is undefined, not infinite.
    #[error(
        "the noise vanished: Tr D_hat = {noise:e} is within the rounding of the samples ({floor:e}), and a ratio over it means nothing"
    )]
    NoiseVanished {
        /// `Tr D_hat`.
        noise: f64,
        /// See [`Moments::rounding_floor`].
        floor: f64,
    },
    /// There has to be a variance after a sample is left out.
    #[error("an interval needs at least 3 samples; there are {samples}")]
    TooFewForInterval {
        /// The number of samples, or of the blocks that are left of them.
        samples: u64,
    },
    /// Leaving out one sample takes all noise away.
    #[error(
        "one sample carries all the noise, so that nothing can be said of how the estimate varies"
    )]
    OneSampleCarriesTheNoise,
    /// Only sums over the draws are left.
    #[error(
        "an interval is made from the draws or their inner products, and this measurement kept neither"
    )]
    DrawsNotKept,
}

/// Where training stands by the document's table: `C` below, at or above 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The interval lies below 1.
    Diffusive,
    /// The interval contains 1.
    Critical,
    /// The interval lies above 1.
    Drift,
    /// There is no interval.
    Undefined,
}

impl Phase {
    /// Its name in files and in the terminal.
    pub fn name(self) -> &'static str {
        match self {
            Self::Diffusive => "diffusive",
            Self::Critical => "critical",
            Self::Drift => "drift",
            Self::Undefined => "undefined",
        }
    }
}

impl Interval {
    /// Which side of 1 the interval is on.
    pub fn phase(&self) -> Phase {
        if self.high < 1.0 {
            Phase::Diffusive
        } else if self.low > 1.0 {
            Phase::Drift
        } else {
            Phase::Critical
        }
    }
}

impl Ratio {
    /// Estimates `C` from `n` exchangeable draws, with an interval of nominal coverage `level`.
    ///
    /// The interval ([`Summary::interval`], [`Spread::interval`]) was chosen by how often it holds `C`: `coverage/README.md` beside this
    /// crate's sources has the study and its table. In short, at a nominal .95, over dimensions 1 to 1000, noise from isotropic to a
    /// condition of 1e8, 10 to 1000 samples and `C` from .001 to 100: Gaussian noise is covered .90 or more everywhere, .93 and more where
    /// `n C >= 10`; it is least where the mean lies along the noisiest of many directions and `C` is about `1/n`. **It covers too little**
    /// (down to .84) for heavy tails (Student's law with 5 degrees of freedom, `n` up to 30) and (.88) for skewed noise in few directions
    /// (exponential, `n` up to 100): so few samples do not show how much `Tr D_hat` varies. It covers too much, .98 and
    /// above, where there is next to no signal or the noise lies in one direction. With five samples or fewer of noise in one direction
    /// its lower end is `-1/n`. Beyond 2048 dimensions the store that it is made from is folded, which widens it once the effective rank exceeds that.
    ///
    /// The cost beside the moments is `min(n, 256)^2 min(d, 2048) / 2` multiplications.
    ///
    /// # Errors
    /// When there are fewer than two samples, or `level` is not inside `(0, 1)`.
    pub fn estimate(moments: &Moments, level: f64) -> Result<Self> {
        if !(level > 0.0 && level < 1.0) {
            return Err(Error::OutOfRange {
                name: "the level of the interval",
                value: level,
                accepted: "strictly between 0 and 1",
            });
        }
        let noise = moments.trace()?;
        let signal = moments.squared_mean_norm();
        let floor = moments.rounding_floor();
        let estimates = if noise <= floor {
            Err(Undefined::NoiseVanished { noise, floor })
        } else {
            let plug_in = signal / noise;
            let debiased = plug_in - 1.0 / moments.count() as f64;
            Ok(Estimates {
                plug_in,
                debiased,
                interval: Summary::of(moments).map(|summary| summary.interval(level)),
            })
        };
        Ok(Self {
            samples: moments.count(),
            signal,
            noise,
            estimates,
        })
    }

    /// The phase that the interval shows.
    pub fn phase(&self) -> Phase {
        match &self.estimates {
            Ok(Estimates {
                interval: Ok(interval),
                ..
            }) => interval.phase(),
            _ => Phase::Undefined,
        }
    }

    /// The gradient noise scale `$B_\text{simple} = \Tr \Sigma / |\mu|^2 = B / C$` in examples, from draws over `batch_size` examples
    /// each; `None` where the debiased ratio is not positive, for then the samples show no signal to compare the noise with.
    pub fn noise_scale(&self, batch_size: u64) -> Option<f64> {
        let debiased = self.estimates.as_ref().ok()?.debiased;
        (debiased > 0.0).then(|| batch_size as f64 / debiased)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Seed, standard_normals};
    use approx::assert_relative_eq;

    fn moments_of<const D: usize>(rows: &[[f64; D]]) -> Moments {
        let mut moments = Moments::new(D).expect("tests use at least one coordinate");
        for row in rows {
            moments.push(row).expect("tests use finite numbers");
        }
        moments
    }

    #[test]
    fn the_ratio_of_a_small_set_is_what_pencil_gives() -> Result<()> {
        // mean (2, 0); squared deviations 1 + 1 and 4 + 4, over 4 - 1
        let moments = moments_of(&[[1., 0.], [3., 0.], [2., 2.], [2., -2.]]);
        let ratio = Ratio::estimate(&moments, 0.95)?;
        assert_relative_eq!(ratio.signal, 4.0, max_relative = 1e-15);
        assert_relative_eq!(ratio.noise, 10.0 / 3.0, max_relative = 1e-15);
        let estimates = ratio.estimates.expect("the noise is not zero");
        assert_relative_eq!(estimates.plug_in, 1.2, max_relative = 1e-15);
        assert_relative_eq!(estimates.debiased, 0.95, max_relative = 1e-15);
        Ok(())
    }

    #[test]
    fn a_ratio_over_a_vanished_variance_is_undefined() -> Result<()> {
        let constant = moments_of(&[[0.1, 7.0]; 5]);
        let ratio = Ratio::estimate(&constant, 0.95)?;
        assert!(matches!(
            ratio.estimates,
            Err(Undefined::NoiseVanished { .. })
        ));
        assert_eq!(ratio.phase(), Phase::Undefined);
        assert_eq!(ratio.noise_scale(64), None);

        // the same number, rounded now up and now down: variance that is rounding and nothing else
        let mut rounded = Moments::new(1)?;
        for i in 0..10u32 {
            rounded.push(&[f32::from_bits(1f32.to_bits() + i % 2)])?;
        }
        assert!(Ratio::estimate(&rounded, 0.95)?.estimates.is_err());

        // nothing at all
        assert!(
            Ratio::estimate(&moments_of(&[[0.0]; 3]), 0.95)?
                .estimates
                .is_err()
        );
        Ok(())
    }

    #[test]
    fn two_samples_give_an_estimate_but_no_interval_and_one_gives_neither() -> Result<()> {
        let two = Ratio::estimate(&moments_of(&[[1.0], [2.0]]), 0.95)?;
        let estimates = two.estimates.clone().expect("two samples have a variance");
        assert_relative_eq!(estimates.plug_in, 4.5, max_relative = 1e-15);
        assert_eq!(
            estimates.interval,
            Err(Undefined::TooFewForInterval { samples: 2 })
        );
        assert_eq!(two.phase(), Phase::Undefined);
        let error = Ratio::estimate(&moments_of(&[[1.0]]), 0.95).expect_err("no variance");
        assert_eq!(
            error.to_string(),
            "1 samples were given; a variance needs at least 2"
        );
        for level in [0.0, 1.0, f64::NAN] {
            assert!(Ratio::estimate(&moments_of(&[[1.0], [2.0]]), level).is_err());
        }
        Ok(())
    }

    #[test]
    fn the_noise_scale_is_the_batch_over_the_debiased_ratio_where_that_is_positive() -> Result<()> {
        let of = |rows: &[[f64; 1]]| Ratio::estimate(&moments_of(rows), 0.95);
        // mean 1.5 and variance 1/2: 4.5 - 1/2
        let four = of(&[[1.0], [2.0]])?;
        assert_eq!(four.noise_scale(64), Some(16.0));
        assert_eq!(four.noise_scale_interval(64), None);
        // mean 1/2 and variance 1/2: exactly what two draws of no signal are expected to show
        assert_eq!(of(&[[0.0], [1.0]])?.noise_scale(64), None);
        let many = of(&[9.0, 10.0, 11.0, 10.0, 9.5, 10.5, 9.8, 10.2].map(|x| [x]))?;
        let interval = many.estimates.clone().expect("noise").interval;
        let interval = interval.expect("eight samples");
        let scale = many.noise_scale_interval(64).expect("much signal");
        assert_eq!(
            (scale.low, scale.high),
            (64.0 / interval.high, 64.0 / interval.low)
        );
        assert_eq!(scale.level, 0.95);
        Ok(())
    }

    #[test]
    fn every_phase_has_the_name_that_files_have() {
        use Phase::{Critical, Diffusive, Drift, Undefined};
        let names = [Diffusive, Critical, Drift, Undefined].map(Phase::name);
        assert_eq!(names, ["diffusive", "critical", "drift", "undefined"]);
    }

    #[test]
    fn the_phase_is_the_side_of_one_that_the_whole_interval_is_on() {
        let phase = |low, high| {
            Interval {
                low,
                high,
                level: 0.95,
            }
            .phase()
        };
        assert_eq!(phase(-0.1, 0.9), Phase::Diffusive);
        assert_eq!(phase(0.9, 1.0), Phase::Critical);
        assert_eq!(phase(1.0, 1.1), Phase::Critical);
        assert_eq!(phase(1.1, 2.0), Phase::Drift);
    }

    #[test]
    fn scaling_the_loss_leaves_the_ratio_and_its_interval() -> Result<()> {
        let samples = standard_normals(&mut Seed::root(6).generator(), 60);
        let of = |scale: f64| -> Result<Estimates> {
            let scaled: Vec<f64> = samples.iter().map(|x| x * scale).collect();
            let mut moments = Moments::new(3)?;
            moments.push_batch(&scaled)?;
            Ok(Ratio::estimate(&moments, 0.95)?
                .estimates
                .expect("normal draws are noisy"))
        };
        // powers of two scale without rounding
        let (small, large) = (of(2f64.powi(-300))?, of(2f64.powi(300))?);
        assert_eq!(small.plug_in, large.plug_in);
        assert_eq!(small.interval, large.interval);
        Ok(())
    }

    #[test]
    fn the_phase_of_samples_is_that_of_their_interval() -> Result<()> {
        // a mean of ten standard deviations, and one of none: C is about 100 and 0, known to a few parts of 40 samples
        for (mean, phase) in [(10.0, Phase::Drift), (0.0, Phase::Diffusive)] {
            let rows: Vec<[f64; 1]> = (0..40).map(|i| [mean + f64::from(i % 2 * 2 - 1)]).collect();
            assert_eq!(Ratio::estimate(&moments_of(&rows), 0.95)?.phase(), phase);
        }
        Ok(())
    }
}
