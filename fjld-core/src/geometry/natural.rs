//! The natural gradient, in the two metrics that a gradient covariance gives.

use super::factor::{check_vector, definite_factor};
use super::spectrum::{Component, Spectrum};
use crate::error::Result;
use crate::range::{vector_to_unit, within_range};
use faer::linalg::solvers::Solve;
use faer::{Mat, MatRef};

/// What the gradient is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// `$F = D$`, which gives `$D^{-1} g$`. It takes the form `$J' D J$` in another chart, as a metric does, so the direction does not depend
    /// on the chart.
    Noise,
    /// `$I = D^{-1}$`, the document's, which gives `$D g$`. It does depend on the chart, and moves the noisiest coordinates most.
    Precision,
}

/// The natural gradient of `gradient`, `[d]`, in either metric `F` of the gradient covariance `D`, `[d, d]`:
///
/// ```math
/// \tilde\nabla L = F^{-1} g
/// ```
///
/// (Amari 1998, *Neural Computation* 10, theorem 1).
///
/// # Errors
/// When the lengths differ, an entry is not finite, or `D` is not positive definite: `D` then has no inverse, and neither natural
/// gradient exists. [`natural_gradient_in_range`] is what is left of the first.
pub fn natural_gradient(
    gradient: &[f64],
    covariance: MatRef<'_, f64>,
    metric: Metric,
) -> Result<Vec<f64>> {
    let factor = definite_factor(covariance)?;
    let d = covariance.nrows();
    check_vector(gradient, d, "the gradient")?;
    let gradient = Mat::from_fn(d, 1, |i, _| gradient[i]);
    let natural = match metric {
        Metric::Noise => factor.solve(&gradient),
        Metric::Precision => covariance * &gradient,
    };
    (0..d).map(|i| in_range(natural[(i, 0)])).collect()
}

fn in_range(value: f64) -> Result<f64> {
    within_range("an entry of the natural gradient", value)
}

/// The natural gradient within the range of singular noise.
#[derive(Clone, Debug, PartialEq)]
pub struct InRange {
    /// `$D^+ g$`, `[d]`, with the pseudo-inverse.
    pub direction: Vec<f64>,
    /// Eigenvalues of `D` above rounding (`d eps lambda_max`).
    pub rank: usize,
    /// The share of `|g|^2` outside the range of `D`, which the direction leaves out. Where it is more than rounding, the direction
    /// depends on the chart.
    pub outside_range: f64,
}

/// `$D^+ g$` for noise that may be singular, in the metric `$F = D$`.
///
/// # Errors
/// When the lengths differ, an entry is not finite, or the covariance has a clearly negative eigenvalue.
pub fn natural_gradient_in_range(gradient: &[f64], covariance: MatRef<'_, f64>) -> Result<InRange> {
    let spectrum = Spectrum::of(covariance)?;
    check_vector(gradient, covariance.nrows(), "the gradient")?;
    let (mut scaled, mut rank, mut outside, mut total) = (Vec::new(), 0, 0.0, 0.0);
    let unit = vector_to_unit(gradient);
    let gradient: Vec<f64> = gradient.iter().map(|g| g * unit).collect();
    for Component { along, variance } in spectrum.components(&gradient) {
        total += along * along;
        scaled.push(match variance {
            Some(variance) => {
                rank += 1;
                along / variance
            }
            None => {
                outside += along * along;
                0.0
            }
        });
    }
    let direction = spectrum.assemble(&scaled).into_iter();
    Ok(InRange {
        direction: direction
            .map(|v| in_range(v * (spectrum.unit() / unit)))
            .collect::<Result<_>>()?,
        rank,
        outside_range: if total > 0.0 { outside / total } else { 0.0 },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{mahalanobis, pull_back};
    use approx::assert_relative_eq;
    use faer::mat;

    fn assert_close(a: &[f64], b: &[f64]) {
        assert_eq!(a.len(), b.len());
        for (x, y) in a.iter().zip(b) {
            assert_relative_eq!(*x, *y, epsilon = 1e-13, max_relative = 1e-13);
        }
    }

    #[test]
    fn a_correlated_pair_gives_what_pencil_gives() -> Result<()> {
        // D^-1 = [[2, -1], [-1, 2]] / 3
        let covariance = mat![[2.0, 1.0], [1.0, 2.0]];
        let natural = |metric| natural_gradient(&[1.0, 4.0], covariance.as_ref(), metric);
        assert_close(&natural(Metric::Noise)?, &[-2.0 / 3.0, 7.0 / 3.0]);
        assert_close(&natural(Metric::Precision)?, &[6.0, 9.0]);
        Ok(())
    }

    #[test]
    fn in_the_metric_of_the_noise_the_direction_does_not_depend_on_the_chart() -> Result<()> {
        // J = diag(1, 2), D = 1, g = (1, 1): (1, 1/2) against the document's (1, 8)
        let jacobian = mat![[1.0, 0.0], [0.0, 2.0]];
        let gradient = pull_back(jacobian.as_ref(), &[1.0, 1.0])?;
        let covariance = jacobian.transpose() * &jacobian;
        let natural = |metric| natural_gradient(&gradient, covariance.as_ref(), metric);
        assert_close(&natural(Metric::Noise)?, &[1.0, 0.5]);
        assert_close(&natural(Metric::Precision)?, &[1.0, 8.0]);
        Ok(())
    }

    #[test]
    fn along_it_the_gradient_rises_by_the_squared_mahalanobis_length() -> Result<()> {
        let covariance = mat![[2.0, 0.5, 0.0], [0.5, 1.0, 0.3], [0.0, 0.3, 4.0]];
        let gradient = [1.0, -2.0, 0.5];
        let natural = natural_gradient(&gradient, covariance.as_ref(), Metric::Noise)?;
        let rise: f64 = natural.iter().zip(&gradient).map(|(v, g)| v * g).sum();
        let length = mahalanobis(&gradient, covariance.as_ref())?.squared_length;
        assert_relative_eq!(rise, length, max_relative = 1e-13);
        let in_range = natural_gradient_in_range(&gradient, covariance.as_ref())?;
        assert_eq!(in_range.rank, 3);
        assert_close(&in_range.direction, &natural);
        Ok(())
    }

    #[test]
    fn singular_noise_leaves_what_lies_in_its_range() -> Result<()> {
        let singular = mat![[2.0, 2.0], [2.0, 2.0]];
        let error = natural_gradient(&[1.0, 1.0], singular.as_ref(), Metric::Noise)
            .expect_err("there is no inverse");
        assert!(error.to_string().contains("some direction has no variance"));
        assert!(natural_gradient(&[1.0, 1.0], singular.as_ref(), Metric::Precision).is_err());
        // eigenvalue 4 along (1, 1)
        let inside = natural_gradient_in_range(&[1.0, 1.0], singular.as_ref())?;
        assert_close(&inside.direction, &[0.25, 0.25]);
        assert_eq!(inside.rank, 1);
        assert!(inside.outside_range < 1e-30);
        let half = natural_gradient_in_range(&[2.0, 0.0], singular.as_ref())?;
        assert_close(&half.direction, &[0.25, 0.25]);
        assert_relative_eq!(half.outside_range, 0.5, max_relative = 1e-13);
        // (3, 1) = 2 (1, 1) + (1, -1): of the squared length of 10 a fifth lies across
        let fifth = natural_gradient_in_range(&[3.0, 1.0], singular.as_ref())?;
        assert_close(&fifth.direction, &[0.5, 0.5]);
        assert_relative_eq!(fifth.outside_range, 0.2, max_relative = 1e-13);
        let nothing = natural_gradient_in_range(&[0.0], mat![[0.0]].as_ref())?;
        assert_eq!((nothing.rank, nothing.outside_range), (0, 0.0));
        Ok(())
    }

    #[test]
    fn what_is_no_gradient_or_no_covariance_is_refused() {
        let one = mat![[1.0]];
        for metric in [Metric::Noise, Metric::Precision] {
            assert!(natural_gradient(&[f64::NAN], one.as_ref(), metric).is_err());
            assert!(natural_gradient(&[1.0, 2.0], one.as_ref(), metric).is_err());
            assert!(natural_gradient(&[1.0], mat![[-1.0]].as_ref(), metric).is_err());
        }
        assert!(natural_gradient_in_range(&[1.0], mat![[-1.0]].as_ref()).is_err());
        assert!(natural_gradient_in_range(&[f64::NAN], one.as_ref()).is_err());
    }
}
