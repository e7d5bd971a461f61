//! How far one Gaussian is from another.

use crate::error::Result;
use crate::geometry::factor::{check_shape, check_vector, definite_factor};
use crate::geometry::log_determinant;
use faer::linalg::solvers::Solve;
use faer::{Mat, MatRef};

/// The divergence of one Gaussian from another, in nats (Kullback 1959, chapter 9):
///
/// ```math
/// \KL \bigl( N(m, P) \,\|\, N(k, Q) \bigr)
/// = \frac12 \bigl[ \Tr(Q^{-1} P) + (m - k)' Q^{-1} (m - k) - d + \log\det Q - \log\det P \bigr]
/// ```
///
/// Means are `[d]`, covariances `[d, d]`. Not symmetric: it is the information a draw of the first law brings, on average, against the
/// hypothesis that it came from the second. The same in every chart.
///
/// # Errors
/// When the dimensions differ, an entry is not finite, or either covariance is not positive definite: the divergence is infinite where
/// `Q` is singular and `P` leaves its range, and does not exist between densities on different subspaces.
pub fn gaussian_divergence(
    mean: &[f64],
    covariance: MatRef<'_, f64>,
    other_mean: &[f64],
    other_covariance: MatRef<'_, f64>,
) -> Result<f64> {
    let factor = definite_factor(other_covariance)?;
    let d = other_covariance.nrows();
    check_vector(mean, d, "the first mean")?;
    check_vector(other_mean, d, "the second mean")?;
    check_shape(covariance, d, d, "the first covariance")?;
    let log_determinants = log_determinant(other_covariance)? - log_determinant(covariance)?;
    let gap = Mat::from_fn(d, 1, |i, _| mean[i] - other_mean[i]);
    let squared_length = (gap.transpose() * factor.solve(&gap))[(0, 0)];
    let spread = factor.solve(covariance);
    // each term less 1, as the sum is near d where the laws are alike
    let excess: f64 = (0..d).map(|i| spread[(i, i)] - 1.0).sum();
    // never negative, but for rounding
    Ok((0.5 * (excess + squared_length + log_determinants)).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::gaussian_fisher;
    use crate::information::kl_from_no_mean;
    use approx::assert_relative_eq;
    use faer::mat;

    #[test]
    fn the_divergence_is_the_integral_that_defines_it() -> Result<()> {
        let (p, q) = (mat![[1.5, 0.4], [0.4, 0.8]], mat![[2.0, -0.5], [-0.5, 1.0]]);
        let (m, k) = ([0.3, -0.2], [-0.5, 0.6]);
        let log_density = |x: f64, y: f64, mean: [f64; 2], c: &Mat<f64>| {
            let (x, y) = (x - mean[0], y - mean[1]);
            let determinant = c[(0, 0)] * c[(1, 1)] - c[(0, 1)] * c[(0, 1)];
            let square =
                (c[(1, 1)] * x * x - 2.0 * c[(0, 1)] * x * y + c[(0, 0)] * y * y) / determinant;
            -0.5 * (square + (4.0 * std::f64::consts::PI.powi(2) * determinant).ln())
        };
        // the trapezoidal rule on a Gaussian: steps of a fifth of its deviation are exact to 1e-15
        let h = 0.1;
        let mut expected = 0.0;
        for i in -150..=150 {
            for j in -150..=150 {
                let (x, y) = (h * f64::from(i), h * f64::from(j));
                let log_p = log_density(x, y, m, &p);
                expected += (log_p - log_density(x, y, k, &q)) * log_p.exp() * h * h;
            }
        }
        assert_relative_eq!(
            gaussian_divergence(&m, p.as_ref(), &k, q.as_ref())?,
            expected,
            max_relative = 1e-12
        );
        Ok(())
    }

    #[test]
    fn with_equal_covariances_it_is_half_the_squared_length_and_none_from_itself() -> Result<()> {
        let covariance = mat![[2.0, 1.0], [1.0, 3.0]];
        let divergence = |m: &[f64], k: &[f64]| {
            gaussian_divergence(m, covariance.as_ref(), k, covariance.as_ref())
        };
        assert_relative_eq!(
            divergence(&[1.0, -1.0], &[0.0, 0.0])?,
            kl_from_no_mean(&[1.0, -1.0], covariance.as_ref())?,
            max_relative = 1e-14
        );
        assert!(divergence(&[1.0, 2.0], &[1.0, 2.0])? < 1e-15);
        Ok(())
    }

    #[test]
    fn between_neighbours_it_is_half_the_fisher_information_times_the_squared_step() -> Result<()> {
        // mu = 2 theta, D = 1.5 + 0.7 theta
        let at = |theta: f64| ([2.0 * theta], mat![[1.5 + 0.7 * theta]]);
        let information =
            gaussian_fisher(mat![[1.5]].as_ref(), mat![[2.0]].as_ref(), &[mat![[0.7]]])?;
        let h = 1e-3;
        let (m, p) = at(0.0);
        let sides = [h, -h].map(|step| {
            let (k, q) = at(step);
            gaussian_divergence(&m, p.as_ref(), &k, q.as_ref())
        });
        let [up, down] = sides;
        // the two sides' third orders cancel, and h^2 of the fourth is left
        assert_relative_eq!(
            (up? + down?) / (h * h),
            information[(0, 0)],
            max_relative = 1e-5
        );
        Ok(())
    }

    #[test]
    fn what_has_no_divergence_is_refused() {
        let (one, two) = (mat![[1.0]], mat![[1.0, 0.0], [0.0, 1.0]]);
        let singular = mat![[1.0, 1.0], [1.0, 1.0]];
        let z = [0.0, 0.0];
        assert!(gaussian_divergence(&z, two.as_ref(), &z, singular.as_ref()).is_err());
        assert!(gaussian_divergence(&z, singular.as_ref(), &z, two.as_ref()).is_err());
        assert!(gaussian_divergence(&z, one.as_ref(), &z, two.as_ref()).is_err());
        assert!(gaussian_divergence(&z[..1], two.as_ref(), &z, two.as_ref()).is_err());
        assert!(gaussian_divergence(&[f64::NAN], one.as_ref(), &[0.0], one.as_ref()).is_err());
    }
}
