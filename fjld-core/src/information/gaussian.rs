//! Entropy, its rate, and what one gradient tells.

use crate::error::{Error, Result};
use crate::geometry::factor::{check_shape, definite_factor};
use crate::geometry::{log_determinant, mahalanobis};
use faer::linalg::solvers::Solve;
use faer::{Mat, MatRef};

/// The differential entropy of `N(mu, D)` (Cover and Thomas 2006, theorem 8.4.1):
///
/// ```math
/// H = \frac12 \log\det(2 \pi e D)
/// ```
///
/// # Errors
/// When `D` is not positive definite.
pub fn gaussian_entropy(covariance: MatRef<'_, f64>) -> Result<f64> {
    let d = covariance.nrows() as f64;
    let per_coordinate = (2.0 * std::f64::consts::PI).ln() + 1.0;
    Ok(0.5 * (d * per_coordinate + log_determinant(covariance)?))
}

/// The rate of the entropy, from `$d \log\det D = \Tr(D^{-1} dD)$` (Jacobi's formula):
///
/// ```math
/// \frac{dH}{dt} = +\frac12 \Tr \Bigl( D^{-1} \frac{dD}{dt} \Bigr)
/// ```
///
/// # Errors
/// When `D` is not positive definite, the shapes differ, or an entry is not finite.
pub fn entropy_rate(covariance: MatRef<'_, f64>, derivative: MatRef<'_, f64>) -> Result<f64> {
    let factor = definite_factor(covariance)?;
    let d = covariance.nrows();
    check_shape(derivative, d, d, "the derivative of the covariance")?;
    let solved = factor.solve(derivative);
    Ok(0.5 * (0..solved.nrows()).map(|i| solved[(i, i)]).sum::<f64>())
}

/// What one gradient tells, on average, against the hypothesis of no mean gradient (Kullback 1959, chapter 9, equal covariances):
///
/// ```math
/// \KL \bigl( N(\mu, D) \,\|\, N(0, D) \bigr) = \frac12 \, \mu' D^{-1} \mu
/// ```
///
/// # Errors
/// When `D` is no covariance, or `mu` lies outside its range, where the divergence is infinite.
pub fn kl_from_no_mean(mean: &[f64], covariance: MatRef<'_, f64>) -> Result<f64> {
    let t = mahalanobis(mean, covariance)?;
    // the eigenvectors are accurate to d eps, so a mean inside the range shows a squared share of that size outside
    let rounding = (mean.len() as f64 * f64::EPSILON).powi(2) * 16.0;
    if t.outside_range > rounding {
        return Err(Error::OutOfRange {
            name: "the share of the mean outside the range of the covariance",
            value: t.outside_range,
            accepted: "0, or the divergence is infinite",
        });
    }
    Ok(0.5 * t.squared_length)
}

/// The expected divergence of posterior from prior of one observation `$g \sim N(\theta, D)$` under the conjugate prior
/// `$\theta \sim N(0, \tau^2 1)$`, which is the mutual information (Cover and Thomas 2006, section 9.4):
///
/// ```math
/// \E \KL(\text{posterior} \,\|\, \text{prior}) = \frac12 \log\det(1 + \tau^2 D^{-1})
/// ```
///
/// It does not contain `mu`.
///
/// # Errors
/// When `D` is not positive definite, or `tau` is not positive and finite.
pub fn expected_gain(covariance: MatRef<'_, f64>, tau: f64) -> Result<f64> {
    if !(tau > 0.0 && tau.is_finite()) {
        return Err(Error::OutOfRange {
            name: "the prior's standard deviation",
            value: tau,
            accepted: "positive and finite",
        });
    }
    let d = covariance.nrows();
    let sum = Mat::from_fn(d, d, |i, j| {
        covariance[(i, j)] + if i == j { tau * tau } else { 0.0 }
    });
    Ok(0.5 * (log_determinant(sum.as_ref())? - log_determinant(covariance)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use faer::mat;

    /// Simpson's rule on `[-40, 40]`, far beyond where the integrands below live.
    fn integral(f: impl Fn(f64) -> f64) -> f64 {
        let (steps, low, high) = (40_000, -40.0, 40.0);
        let h = (high - low) / f64::from(steps);
        (0..=steps)
            .map(|i| {
                let weight = match i {
                    0 => 1.0,
                    i if i == steps => 1.0,
                    i if i % 2 == 1 => 4.0,
                    _ => 2.0,
                };
                weight * f(low + h * f64::from(i))
            })
            .sum::<f64>()
            * h
            / 3.0
    }

    fn log_density(x: f64, mean: f64, variance: f64) -> f64 {
        -0.5 * ((x - mean).powi(2) / variance + (2.0 * std::f64::consts::PI * variance).ln())
    }

    #[test]
    fn the_entropy_is_the_integral_that_defines_it() -> Result<()> {
        let variance = 1.7;
        let by_quadrature = integral(|x| {
            let log_p = log_density(x, 0.3, variance);
            -log_p * log_p.exp()
        });
        assert_relative_eq!(
            gaussian_entropy(mat![[variance]].as_ref())?,
            by_quadrature,
            max_relative = 1e-10
        );
        Ok(())
    }

    #[test]
    fn the_entropy_rate_is_the_slope_of_the_entropy() -> Result<()> {
        let at = |t: f64| mat![[2.0 + t, 0.5 - t], [0.5 - t, 1.0 + 3.0 * t]];
        let derivative = mat![[1.0, -1.0], [-1.0, 3.0]];
        let h = 1e-5;
        let slope =
            (gaussian_entropy(at(h).as_ref())? - gaussian_entropy(at(-h).as_ref())?) / (2.0 * h);
        // a central difference errs by h^2 and by eps/h: about 1e-10
        assert_relative_eq!(
            entropy_rate(at(0.0).as_ref(), derivative.as_ref())?,
            slope,
            max_relative = 1e-8
        );
        assert!(entropy_rate(mat![[0.0]].as_ref(), mat![[1.0]].as_ref()).is_err());
        assert!(entropy_rate(mat![[1.0]].as_ref(), derivative.as_ref()).is_err());
        Ok(())
    }

    #[test]
    fn the_divergence_is_the_integral_that_defines_it() -> Result<()> {
        let (mean, variance) = (1.3, 0.8);
        let by_quadrature = integral(|x| {
            let log_p = log_density(x, mean, variance);
            (log_p - log_density(x, 0.0, variance)) * log_p.exp()
        });
        assert_relative_eq!(
            kl_from_no_mean(&[mean], mat![[variance]].as_ref())?,
            by_quadrature,
            max_relative = 1e-10
        );
        assert!(kl_from_no_mean(&[1.0, 1.0], mat![[1.0, 0.0], [0.0, 0.0]].as_ref()).is_err());
        Ok(())
    }

    #[test]
    fn a_mean_inside_the_range_but_for_rounding_has_a_divergence_and_one_farther_out_has_none() {
        // a share (k eps)^2 of |(1, k eps)|^2 lies outside the range of diag(1, 0), and 16 (2 eps)^2 = (8 eps)^2 is rounding
        let covariance = mat![[1.0, 0.0], [0.0, 0.0]];
        let divergence = |k: f64| kl_from_no_mean(&[1.0, k * f64::EPSILON], covariance.as_ref());
        for k in [0.0, 4.0, 8.0] {
            assert_eq!(divergence(k).expect("inside"), 0.5);
        }
        let error = divergence(9.0).expect_err("outside").to_string();
        assert!(
            error.starts_with("the share of the mean outside the range of the covariance is 0.0")
                && error.ends_with("; it must be 0, or the divergence is infinite"),
            "{error}"
        );
    }

    #[test]
    fn the_expected_gain_is_the_average_divergence_of_posterior_from_prior() -> Result<()> {
        // theta ~ N(0, tau^2), g | theta ~ N(theta, D): the posterior is N(w g, w D) with w = tau^2 / (tau^2 + D)
        let (tau, variance) = (1.5f64, 0.7f64);
        let prior = tau * tau;
        let w = prior / (prior + variance);
        let posterior = w * variance;
        let average = integral(|g| {
            let kl = 0.5 * ((posterior + (w * g).powi(2)) / prior - 1.0 - (posterior / prior).ln());
            kl * log_density(g, 0.0, prior + variance).exp()
        });
        assert_relative_eq!(
            expected_gain(mat![[variance]].as_ref(), tau)?,
            average,
            max_relative = 1e-10
        );
        assert!(expected_gain(mat![[1.0]].as_ref(), 0.0).is_err());
        Ok(())
    }
}
