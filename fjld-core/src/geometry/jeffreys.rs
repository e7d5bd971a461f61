//! The document's Jeffreys density `1/sqrt(det D)`, in logarithms, and how far `D` is from a sphere.

use super::factor::{check_square, definite_factor};
use crate::error::{Error, Result};
use faer::MatRef;

/// `log det D` of a symmetric positive definite `D`, `[d, d]`, through its Cholesky factor.
///
/// # Errors
/// When `D` is not square or not finite, or not positive definite to rounding (a singular `D` has determinant 0, whose logarithm does
/// not exist).
pub fn log_determinant(covariance: MatRef<'_, f64>) -> Result<f64> {
    let factor = definite_factor(covariance)?;
    let l = factor.L();
    Ok((0..l.nrows()).map(|i| 2.0 * l[(i, i)].ln()).sum())
}

/// The logarithm of the document's Jeffreys density (section "Fisher-Jeffreys Connection"):
///
/// ```math
/// \log \pi_J = -\frac12 \log\det D
/// ```
///
/// # Errors
/// As [`log_determinant`].
pub fn log_jeffreys(covariance: MatRef<'_, f64>) -> Result<f64> {
    Ok(-0.5 * log_determinant(covariance)?)
}

/// The same with the diagonal in place of `D`, `$-\frac12 \sum_i \log D_{ii}$`. Never above [`log_jeffreys`] (Hadamard's inequality).
///
/// # Errors
/// When a variance is not positive, where the density is infinite, or not finite.
pub fn log_jeffreys_diagonal(variances: &[f64]) -> Result<f64> {
    if let Some(&value) = variances.iter().find(|&&v| !(v > 0.0 && v.is_finite())) {
        return Err(Error::OutOfRange {
            name: "a variance",
            value,
            accepted: "positive and finite: with a coordinate that never moves the Jeffreys density is infinite",
        });
    }
    Ok(-0.5 * variances.iter().map(|v| v.ln()).sum::<f64>())
}

/// Sphericity, 1 for isotropic noise and 0 for singular:
///
/// ```math
/// S = \frac{\det(D)^{1/d}}{\Tr(D) / d} \in [0, 1]
/// ```
///
/// (Mauchly 1940, *Annals of Mathematical Statistics* 11).
///
/// # Errors
/// When `D` is not square or not finite, or its trace is not positive or not a number.
pub fn sphericity(covariance: MatRef<'_, f64>) -> Result<f64> {
    check_square(covariance, "a side of the covariance")?;
    let d = covariance.nrows() as f64;
    let trace: f64 = (0..covariance.nrows()).map(|i| covariance[(i, i)]).sum();
    if !(trace > 0.0 && trace.is_finite()) {
        return Err(Error::OutOfRange {
            name: "the trace of the covariance",
            value: trace,
            accepted: "positive and finite",
        });
    }
    Ok(match log_determinant(covariance) {
        Ok(log_determinant) => (log_determinant / d - (trace / d).ln()).exp(),
        Err(_) => 0.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use faer::{Mat, mat};

    #[test]
    fn a_two_by_two_covariance_gives_what_pencil_gives() -> Result<()> {
        // det 4*3 - 4 = 8, trace 7
        let covariance = mat![[4.0, 2.0], [2.0, 3.0]];
        assert_relative_eq!(
            log_jeffreys(covariance.as_ref())?,
            -0.5 * 8f64.ln(),
            max_relative = 1e-14
        );
        assert_relative_eq!(
            log_jeffreys_diagonal(&[4.0, 3.0])?,
            -0.5 * 12f64.ln(),
            max_relative = 1e-14
        );
        assert_relative_eq!(
            sphericity(covariance.as_ref())?,
            8f64.sqrt() / 3.5,
            max_relative = 1e-14
        );
        Ok(())
    }

    #[test]
    fn a_thousand_small_variances_do_not_underflow() -> Result<()> {
        let log_density = log_jeffreys_diagonal(&[1e-10; 1000])?;
        assert_relative_eq!(log_density, 5000.0 * 10f64.ln(), max_relative = 1e-13);
        let covariance = Mat::from_fn(300, 300, |i, j| if i == j { 1e-10 } else { 0.0 });
        assert_relative_eq!(sphericity(covariance.as_ref())?, 1.0, max_relative = 1e-12);
        Ok(())
    }

    #[test]
    fn singular_noise_has_sphericity_zero_and_no_density() -> Result<()> {
        let singular = mat![[1.0, 1.0], [1.0, 1.0]];
        assert_eq!(sphericity(singular.as_ref())?, 0.0);
        assert!(log_jeffreys(singular.as_ref()).is_err());
        assert!(log_jeffreys_diagonal(&[1.0, 0.0]).is_err());
        assert!(log_jeffreys_diagonal(&[f64::NAN]).is_err());
        assert!(sphericity(Mat::<f64>::zeros(2, 2).as_ref()).is_err());
        assert!(sphericity(mat![[1.0, 0.0], [f64::NAN, 1.0]].as_ref()).is_err());
        Ok(())
    }
}
