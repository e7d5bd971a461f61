//! The Fisher information of families of gradient laws.

use super::factor::{check_shape, definite_factor};
use crate::error::{Error, Result};
use crate::range::within_range;
use faer::linalg::solvers::{DenseSolveCore, Solve};
use faer::{Mat, MatRef};

/// `$D^{-1}$`, `[d, d]`: the information on the mean of `N(mu, D)` where `D` does not depend on it. Of the parameters of a model it is the
/// information only where the gradient's mean is the parameter itself; see [`gaussian_fisher`].
///
/// # Errors
/// When `D` is not positive definite, or so small that its inverse leaves the range of numbers.
pub fn location_fisher(covariance: MatRef<'_, f64>) -> Result<Mat<f64>> {
    let inverse = definite_factor(covariance)?.inverse();
    for value in inverse.col_iter().flat_map(|column| column.iter()) {
        within_range("an entry of the inverse covariance", *value)?;
    }
    Ok(inverse)
}

/// The information on the parameters `theta` of `N(mu(theta), D(theta))`, `[p, p]` for `p` of them:
///
/// ```math
/// I_{ij} = \E \bigl[ (\partial_i \log f) (\partial_j \log f) \bigr]
/// = (\partial_i \mu)' D^{-1} (\partial_j \mu) + \frac12 \Tr \bigl( D^{-1} (\partial_i D) \, D^{-1} (\partial_j D) \bigr)
/// ```
///
/// (Kay 1993, *Estimation Theory*, eq. 3.31).
///
/// `mean_slopes` is `[d, p]`, a column `$\partial_i \mu$` per parameter: for the gradient of a loss its Hessian. `covariance_slopes`
/// holds one `$\partial_i D$`, `[d, d]`, per parameter, or nothing where the noise does not depend on the parameters.
///
/// # Errors
/// When `D` is not positive definite, a shape does not fit, or an entry is not finite.
pub fn gaussian_fisher(
    covariance: MatRef<'_, f64>,
    mean_slopes: MatRef<'_, f64>,
    covariance_slopes: &[Mat<f64>],
) -> Result<Mat<f64>> {
    let factor = definite_factor(covariance)?;
    let (d, p) = (covariance.nrows(), mean_slopes.ncols());
    if p == 0 {
        return Err(Error::NoCoordinates);
    }
    check_shape(mean_slopes, d, p, "the slopes of the mean")?;
    if !covariance_slopes.is_empty() && covariance_slopes.len() != p {
        return Err(Error::Length {
            what: "the list of slopes of the covariance",
            expected: p,
            got: covariance_slopes.len(),
        });
    }
    let from_mean = mean_slopes.transpose() * factor.solve(mean_slopes);
    let mut whitened = Vec::with_capacity(covariance_slopes.len());
    for slope in covariance_slopes {
        check_shape(slope.as_ref(), d, d, "a slope of the covariance")?;
        whitened.push(factor.solve(slope));
    }
    Ok(Mat::from_fn(p, p, |i, j| {
        from_mean[(i, j)]
            + match (whitened.get(i), whitened.get(j)) {
                (Some(a), Some(b)) => 0.5 * trace_of_product(a, b),
                _ => 0.0,
            }
    }))
}

fn trace_of_product(a: &Mat<f64>, b: &Mat<f64>) -> f64 {
    let d = a.nrows();
    (0..d)
        .flat_map(|i| (0..d).map(move |j| (i, j)))
        .map(|(i, j)| a[(i, j)] * b[(j, i)])
        .sum()
}

/// The information on the location of the multivariate Student law with `nu` degrees of freedom and this scale matrix `S`, `[d, d]`:
///
/// ```math
/// I = \frac{\nu + d}{\nu + d + 2} \, S^{-1}
/// ```
///
/// (Lange, Little and Taylor 1989, *Journal of the American Statistical Association* 84).
///
/// The scale is not the covariance, which is `$\frac{\nu}{\nu - 2} S$` and exists for `$\nu > 2$` only; there the information exceeds
/// the inverse covariance by the factor `$\frac{(\nu + d) \, \nu}{(\nu + d + 2)(\nu - 2)}$`.
///
/// # Errors
/// When `nu` is not positive and finite, or the scale is not positive definite.
pub fn student_location_fisher(
    scale: MatRef<'_, f64>,
    degrees_of_freedom: f64,
) -> Result<Mat<f64>> {
    if !(degrees_of_freedom > 0.0 && degrees_of_freedom.is_finite()) {
        return Err(Error::OutOfRange {
            name: "the degrees of freedom",
            value: degrees_of_freedom,
            accepted: "positive and finite; for the Gaussian limit use the information of a Gaussian location",
        });
    }
    let total = degrees_of_freedom + scale.nrows() as f64;
    Ok((total / (total + 2.0)) * location_fisher(scale)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Seed, standard_normals};
    use approx::assert_relative_eq;
    use faer::mat;

    /// Central differences err by `h^2` and by `eps / h`: 1e-10.
    const STEP: f64 = 1e-5;

    /// `E[(d log p)^2]` in one dimension, by differences of the log density and Simpson's rule on `[-reach, reach]`.
    fn information_by_quadrature(log_density: impl Fn(f64, f64) -> f64, reach: f64) -> f64 {
        let steps = 200_000;
        let h = 2.0 * reach / f64::from(steps);
        (0..=steps)
            .map(|k| {
                let x = -reach + h * f64::from(k);
                let weight = match k {
                    0 => 1.0,
                    k if k == steps => 1.0,
                    k if k % 2 == 1 => 4.0,
                    _ => 2.0,
                };
                let score = (log_density(x, STEP) - log_density(x, -STEP)) / (2.0 * STEP);
                weight * score * score * log_density(x, 0.0).exp()
            })
            .sum::<f64>()
            * h
            / 3.0
    }

    #[test]
    fn a_quadratic_loss_has_four_times_the_inverse_covariance() -> Result<()> {
        // L = theta^2: mu = 2 theta
        let information = gaussian_fisher(mat![[1.0]].as_ref(), mat![[2.0]].as_ref(), &[])?;
        assert_eq!(information[(0, 0)], 4.0);
        Ok(())
    }

    #[test]
    fn the_information_is_the_expected_square_of_the_score() -> Result<()> {
        // mu = 2 theta, D = 1.5 + 0.7 theta
        let log_density = |x: f64, theta: f64| {
            let variance = 1.5 + 0.7 * theta;
            let square = (x - 2.0 * theta).powi(2) / variance;
            -0.5 * (square + (2.0 * std::f64::consts::PI * variance).ln())
        };
        let information =
            gaussian_fisher(mat![[1.5]].as_ref(), mat![[2.0]].as_ref(), &[mat![[0.7]]])?;
        assert_relative_eq!(
            information[(0, 0)],
            information_by_quadrature(log_density, 20.0),
            max_relative = 1e-8
        );
        Ok(())
    }

    #[test]
    fn two_parameters_of_a_correlated_pair_give_what_pencil_gives() -> Result<()> {
        // D = diag(1, 4), H = [[1, 1], [1, 2]]: H D^-1 H = [[5/4, 3/2], [3/2, 2]];
        // d_1D = diag(2, 0): (1/2) 2^2; d_2D = [[0, 1], [1, 8]]: (1/2)(2 * 1/4 + 2^2); across (1/2)(2 * 0)
        let information = gaussian_fisher(
            mat![[1.0, 0.0], [0.0, 4.0]].as_ref(),
            mat![[1.0, 1.0], [1.0, 2.0]].as_ref(),
            &[mat![[2.0, 0.0], [0.0, 0.0]], mat![[0.0, 1.0], [1.0, 8.0]]],
        )?;
        let expected = mat![[1.25 + 2.0, 1.5], [1.5, 2.0 + 2.25]];
        assert!((&information - &expected).norm_max() < 1e-14);
        Ok(())
    }

    #[test]
    fn more_parameters_than_coordinates_are_as_good_as_fewer() -> Result<()> {
        let information =
            gaussian_fisher(mat![[2.0]].as_ref(), mat![[1.0, 2.0, 3.0]].as_ref(), &[])?;
        let expected = Mat::from_fn(3, 3, |i, j| ((i + 1) * (j + 1)) as f64 / 2.0);
        assert!((&information - &expected).norm_max() < 1e-14);
        Ok(())
    }

    #[test]
    fn the_student_information_is_the_expected_square_of_the_score() -> Result<()> {
        // up to its constant, which the quadrature finds itself
        let (nu, scale) = (5.0, 1.7);
        let kernel = |x: f64, shift: f64| {
            -0.5 * (nu + 1.0) * (1.0 + (x - shift).powi(2) / (nu * scale)).ln()
        };
        // score^2 times density falls as x^-8: beyond 1000 less than 1e-18 of it is left
        let reach = 1000.0;
        let unnormalised = information_by_quadrature(kernel, reach);
        let h = 0.01;
        let mass: f64 = (-100_000..=100_000)
            .map(|k| kernel(h * f64::from(k), 0.0).exp() * h)
            .sum();
        let information = student_location_fisher(mat![[scale]].as_ref(), nu)?;
        assert_relative_eq!(
            information[(0, 0)],
            unnormalised / mass,
            max_relative = 1e-7
        );
        Ok(())
    }

    #[test]
    fn the_student_information_in_the_plane_is_the_average_product_of_scores() -> Result<()> {
        let (nu, count) = (4u32, 40_000);
        let scale = mat![[2.0, 0.6], [0.6, 1.0]];
        let precision = location_fisher(scale.as_ref())?;
        let log_kernel = |x: f64, y: f64| {
            let square = precision[(0, 0)] * x * x
                + 2.0 * precision[(0, 1)] * x * y
                + precision[(1, 1)] * y * y;
            -0.5 * f64::from(nu + 2) * (1.0 + square / f64::from(nu)).ln()
        };
        let generator = &mut Seed::root(31).generator();
        let (mut sum, mut squares) = ([0.0; 3], [0.0; 3]);
        for _ in 0..count {
            // a normal pair with covariance `scale` over the root of chi^2 / nu
            let z = standard_normals(generator, 2 + nu as usize);
            let chi: f64 = z[2..].iter().map(|v| v * v).sum();
            let shrink = (f64::from(nu) / chi).sqrt();
            let x = 2f64.sqrt() * z[0] * shrink;
            let y = (0.6 / 2f64.sqrt() * z[0] + (1.0 - 0.18f64).sqrt() * z[1]) * shrink;
            let slope = |dx: f64, dy: f64| {
                (log_kernel(x - dx, y - dy) - log_kernel(x + dx, y + dy)) / (2.0 * STEP)
            };
            let (a, b) = (slope(STEP, 0.0), slope(0.0, STEP));
            for (k, product) in [a * a, a * b, b * b].into_iter().enumerate() {
                sum[k] += product;
                squares[k] += product * product;
            }
        }
        let information = student_location_fisher(scale.as_ref(), f64::from(nu))?;
        let n = f64::from(count);
        for (k, (i, j)) in [(0, 0), (0, 1), (1, 1)].into_iter().enumerate() {
            let mean = sum[k] / n;
            // five standard errors
            let tolerance = 5.0 * ((squares[k] / n - mean * mean) / n).sqrt();
            let expected = information[(i, j)];
            assert!(
                (mean - expected).abs() < tolerance,
                "{mean} against {expected}"
            );
        }
        Ok(())
    }

    #[test]
    fn heavy_tails_hold_more_information_than_the_inverse_covariance() -> Result<()> {
        let (nu, scale) = (3.0, mat![[2.0]]);
        let covariance = mat![[nu / (nu - 2.0) * 2.0]];
        let information = student_location_fisher(scale.as_ref(), nu)?[(0, 0)];
        let inverse = location_fisher(covariance.as_ref())?[(0, 0)];
        // (4 * 3) / (6 * 1)
        assert_relative_eq!(information / inverse, 2.0, max_relative = 1e-14);
        Ok(())
    }

    #[test]
    fn what_has_no_information_is_refused() {
        let one = mat![[1.0]];
        let singular = mat![[1.0, 1.0], [1.0, 1.0]];
        assert!(location_fisher(singular.as_ref()).is_err());
        assert!(gaussian_fisher(one.as_ref(), singular.as_ref(), &[]).is_err());
        assert!(gaussian_fisher(one.as_ref(), Mat::zeros(1, 0).as_ref(), &[]).is_err());
        assert!(gaussian_fisher(one.as_ref(), mat![[f64::NAN]].as_ref(), &[]).is_err());
        assert!(
            gaussian_fisher(one.as_ref(), one.as_ref(), std::slice::from_ref(&singular)).is_err()
        );
        assert!(
            gaussian_fisher(
                one.as_ref(),
                mat![[1.0, 2.0]].as_ref(),
                std::slice::from_ref(&one)
            )
            .is_err()
        );
        for nu in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(student_location_fisher(one.as_ref(), nu).is_err());
        }
    }
}
