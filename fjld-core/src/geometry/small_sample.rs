//! What a sample's squared Mahalanobis length says of the true one: with few samples, little, and far too much.

use crate::error::{Error, Result};

/// The law of the sample's squared Mahalanobis length from `n` Gaussian samples in `d` dimensions, `D_hat` with the divisor `n - 1`:
///
/// ```math
/// \hat t = \hat\mu' \hat D^{-1} \hat\mu, \qquad \frac{n (n - d)}{d (n - 1)} \, \hat t \;\sim\; F_{d,\, n - d}(n t)
/// ```
///
/// `$n \hat t$` is Hotelling's statistic (1931, *Annals of Mathematical Statistics* 2; Anderson 2003, theorem 5.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SmallSample {
    samples: u64,
    dimension: u64,
}

/// `$\text{factor} \cdot \hat t$` follows the F law with these parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FLaw {
    /// `$\frac{n (n - d)}{d (n - 1)}$`.
    pub factor: f64,
    /// Degrees of freedom above, `d`.
    pub numerator: f64,
    /// Degrees of freedom below, `n - d`.
    pub denominator: f64,
    /// Noncentrality, `n t`.
    pub noncentrality: f64,
}

impl SmallSample {
    /// For `samples` samples, `n`, of `dimension` coordinates, `d`.
    ///
    /// # Errors
    /// When there are no coordinates, or `n <= d`: the sample covariance is then singular.
    pub fn new(samples: u64, dimension: u64) -> Result<Self> {
        if dimension == 0 {
            return Err(Error::NoCoordinates);
        }
        let small = Self { samples, dimension };
        small.need(1, "the inverse of a sample covariance")?;
        Ok(small)
    }

    fn need(self, more: u64, what: &'static str) -> Result<()> {
        let needed = self.dimension.saturating_add(more);
        if self.samples < needed {
            return Err(Error::TooFewSamples {
                what,
                needed,
                got: self.samples,
            });
        }
        Ok(())
    }

    fn numbers(self) -> (f64, f64) {
        (self.samples as f64, self.dimension as f64)
    }

    /// The law of `t_hat` where the true squared length is `squared_length`, `t`.
    ///
    /// # Errors
    /// When `t` is negative or not finite.
    pub fn law(self, squared_length: f64) -> Result<FLaw> {
        accept(squared_length)?;
        let (n, d) = self.numbers();
        Ok(FLaw {
            factor: n * (n - d) / (d * (n - 1.0)),
            numerator: d,
            denominator: n - d,
            noncentrality: n * squared_length,
        })
    }

    /// The mean of [`SmallSample::law`],
    ///
    /// ```math
    /// \E \hat t = \frac{n - 1}{n - d - 2} \Bigl( t + \frac dn \Bigr).
    /// ```
    ///
    /// # Errors
    /// When `n <= d + 2`, where the expectation is infinite, or `t` is negative or not finite.
    pub fn expectation(self, squared_length: f64) -> Result<f64> {
        self.need(3, "the expected squared Mahalanobis length")?;
        accept(squared_length)?;
        let (n, d) = self.numbers();
        Ok((n - 1.0) / (n - d - 2.0) * (squared_length + d / n))
    }

    /// The estimate whose expectation is `t`; negative where the samples show less than no signal:
    ///
    /// ```math
    /// \frac{n - d - 2}{n - 1} \, \hat t - \frac dn
    /// ```
    ///
    /// # Errors
    /// When `n <= d + 2`, where no such estimate exists, or `t_hat` is negative or not finite.
    pub fn debiased(self, estimate: f64) -> Result<f64> {
        self.need(3, "a debiased squared Mahalanobis length")?;
        accept(estimate)?;
        let (n, d) = self.numbers();
        Ok((n - d - 2.0) / (n - 1.0) * estimate - d / n)
    }
}

fn accept(squared_length: f64) -> Result<()> {
    if squared_length.is_finite() && squared_length >= 0.0 {
        return Ok(());
    }
    Err(Error::OutOfRange {
        name: "the squared Mahalanobis length",
        value: squared_length,
        accepted: "finite and not negative",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::mahalanobis;
    use crate::moments::FullMoments;
    use crate::rng::{Seed, standard_normals};
    use approx::assert_relative_eq;
    use statrs::distribution::{ContinuousCDF, FisherSnedecor, StudentsT};

    #[test]
    fn one_coordinate_has_the_square_of_students_t() -> Result<()> {
        // n t_hat = n mu_hat^2 / s^2 is the square of Student's t with n - 1 degrees of freedom
        let law = SmallSample::new(7, 1)?.law(0.0)?;
        assert_eq!((law.factor, law.denominator), (7.0, 6.0));
        let f = FisherSnedecor::new(law.numerator, law.denominator).expect("both are positive");
        let student = StudentsT::new(0.0, 1.0, 6.0).expect("six degrees of freedom");
        let t_hat = 0.4f64;
        let two_sided = 2.0 * student.cdf((7.0 * t_hat).sqrt()) - 1.0;
        assert_relative_eq!(f.cdf(law.factor * t_hat), two_sided, max_relative = 1e-9);
        Ok(())
    }

    #[test]
    fn the_expectation_and_the_debiased_estimate_are_those_of_simulated_samples() -> Result<()> {
        let (n, d, t, repetitions) = (14u64, 4usize, 0.8f64, 4000);
        let small = SmallSample::new(n, d as u64)?;
        let generator = &mut Seed::root(41).generator();
        let mut estimates = Vec::with_capacity(repetitions);
        for _ in 0..repetitions {
            let mut moments = FullMoments::new(d)?;
            for _ in 0..n {
                let mut sample = standard_normals(generator, d);
                sample[0] += t.sqrt();
                moments.push(&sample)?;
            }
            let length = mahalanobis(moments.mean(), moments.covariance()?.as_ref())?;
            estimates.push(length.squared_length);
        }
        let count = repetitions as f64;
        let mean = estimates.iter().sum::<f64>() / count;
        let variance = estimates.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / (count - 1.0);
        // five standard errors of the mean, about 0.07; uncorrected it would be 0.8 against 1.77
        let tolerance = 5.0 * (variance / count).sqrt();
        let expected = small.expectation(t)?;
        assert!(
            (mean - expected).abs() < tolerance,
            "{mean} against {expected}"
        );
        assert!((small.debiased(mean)? - t).abs() < tolerance);
        Ok(())
    }

    #[test]
    fn the_mean_of_the_law_is_the_expectation() -> Result<()> {
        // E F = d2 (d1 + ncp) / (d1 (d2 - 2))
        for (n, d, t) in [(4, 1, 0.3), (20, 12, 0.5), (100, 3, 7.0)] {
            let small = SmallSample::new(n, d)?;
            let law = small.law(t)?;
            let mean = law.denominator * (law.numerator + law.noncentrality)
                / (law.numerator * (law.denominator - 2.0));
            assert_relative_eq!(
                small.expectation(t)?,
                mean / law.factor,
                max_relative = 1e-13
            );
            assert_relative_eq!(
                small.debiased(small.expectation(t)?)?,
                t,
                max_relative = 1e-12
            );
        }
        Ok(())
    }

    #[test]
    fn too_few_samples_are_refused_and_say_how_many_are_needed() -> Result<()> {
        assert!(SmallSample::new(5, 5).is_err());
        assert!(SmallSample::new(5, 0).is_err());
        assert!(SmallSample::new(5, u64::MAX).is_err());
        let small = SmallSample::new(7, 5)?;
        assert!(small.law(1.0).is_ok());
        let error = small.debiased(1.0).expect_err("n = d + 2");
        assert_eq!(
            error.to_string(),
            "7 samples were given; a debiased squared Mahalanobis length needs at least 8"
        );
        assert!(small.expectation(1.0).is_err());
        for t in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(SmallSample::new(9, 2)?.law(t).is_err());
            assert!(SmallSample::new(9, 2)?.debiased(t).is_err());
        }
        Ok(())
    }
}
