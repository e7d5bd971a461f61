//! The squared Mahalanobis length of the mean, the form that every invertible change of parameters leaves alone.

use super::factor::check_vector;
use super::spectrum::{Component, Spectrum};
use crate::error::Result;
use crate::range::{vector_to_unit, within_range};
use faer::MatRef;

/// The squared Mahalanobis length of the mean, with the rank of `D`:
///
/// ```math
/// t = \mu' D^+ \mu
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mahalanobis {
    /// `$t = \mu' D^+ \mu$`, with the pseudo-inverse.
    pub squared_length: f64,
    /// Eigenvalues of `D` above rounding (`d eps lambda_max`).
    pub rank: usize,
    /// The share of `|mu|^2` outside the range of `D`. Where it is more than rounding, `t` does change with the chart.
    pub outside_range: f64,
}

/// The squared Mahalanobis length of `mean`, `[d]`, in the metric of `covariance`, `[d, d]`, through its eigenvectors.
///
/// Unlike `C`, `$t / \rank D$` has the same value in every chart as long as `mean` lies in the range of `D`.
///
/// # Errors
/// When the lengths differ, an entry is not finite, or the covariance has a clearly negative eigenvalue, or when the length is
/// beyond the range of numbers.
pub fn mahalanobis(mean: &[f64], covariance: MatRef<'_, f64>) -> Result<Mahalanobis> {
    let d = covariance.nrows();
    check_vector(mean, d, "the mean")?;
    let spectrum = Spectrum::of(covariance)?;
    let unit = vector_to_unit(mean);
    let scaled: Vec<f64> = mean.iter().map(|m| m * unit).collect();
    let (mut squared_length, mut rank, mut outside, mut total) = (0.0, 0, 0.0, 0.0);
    for Component { along, variance } in spectrum.components(&scaled) {
        total += along * along;
        match variance {
            Some(variance) => {
                squared_length += along * along / variance;
                rank += 1;
            }
            None => outside += along * along,
        }
    }
    // in an order in which no product leaves the range of numbers but where the length does
    let squared_length = squared_length * (spectrum.unit() / unit) / unit;
    Ok(Mahalanobis {
        squared_length: within_range("the squared Mahalanobis length", squared_length)?,
        rank,
        outside_range: if total > 0.0 { outside / total } else { 0.0 },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use faer::{Mat, mat};

    #[test]
    fn a_correlated_pair_gives_what_pencil_gives() -> Result<()> {
        // D^-1 = [[2, -1], [-1, 2]] / 3; mu' D^-1 mu = (2 - 2 + 2) / 3
        let result = mahalanobis(&[1.0, 1.0], mat![[2.0, 1.0], [1.0, 2.0]].as_ref())?;
        assert_relative_eq!(result.squared_length, 2.0 / 3.0, max_relative = 1e-14);
        assert_eq!(result.rank, 2);
        assert!(result.outside_range < 1e-30);
        Ok(())
    }

    #[test]
    fn singular_noise_counts_its_rank_and_says_what_lies_outside_its_range() -> Result<()> {
        let noise = mat![[2.0, 0.0], [0.0, 0.0]];
        let inside = mahalanobis(&[3.0, 0.0], noise.as_ref())?;
        assert_relative_eq!(inside.squared_length, 4.5, max_relative = 1e-14);
        assert_eq!((inside.rank, inside.outside_range), (1, 0.0));
        let outside = mahalanobis(&[1.0, 1.0], noise.as_ref())?;
        assert_relative_eq!(outside.outside_range, 0.5, max_relative = 1e-14);
        Ok(())
    }

    #[test]
    fn no_noise_at_all_has_rank_zero() -> Result<()> {
        let nothing = mahalanobis(&[0.0], Mat::<f64>::zeros(1, 1).as_ref())?;
        assert_eq!((nothing.squared_length, nothing.rank), (0.0, 0));
        // at whatever scale the mean is: no noise has no unit of its own, and all of the mean lies outside
        for mean in [1e-300, 1.0, 1e300] {
            let outside = mahalanobis(&[mean], Mat::<f64>::zeros(1, 1).as_ref())?;
            assert_eq!((outside.squared_length, outside.rank), (0.0, 0));
            assert_eq!(outside.outside_range, 1.0);
        }
        Ok(())
    }

    #[test]
    fn what_is_no_covariance_is_refused() {
        assert!(mahalanobis(&[1.0], mat![[-1.0]].as_ref()).is_err());
        assert!(mahalanobis(&[1.0], mat![[f64::NAN]].as_ref()).is_err());
        assert!(mahalanobis(&[1.0, 2.0], mat![[1.0]].as_ref()).is_err());
        assert!(mahalanobis(&[f64::NAN], mat![[1.0]].as_ref()).is_err());
    }
}
