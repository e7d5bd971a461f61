use crate::exact::{Q, assert_within, dot, exact, matrix, number, solve};
use crate::geometry::covariance;
use faer::{Mat, mat};
use fjld_core::fisher::{Curvature, Dense, Kronecker};
use fjld_core::ratio::Descent;

fn rationals(v: &[f64]) -> Vec<Q> {
    v.iter().copied().map(exact).collect()
}

/// Roundings of a product or a solution in `d` coordinates, times the condition of what is divided by.
fn bound(d: usize, condition: f64) -> f64 {
    32.0 * (d * d) as f64 * f64::EPSILON * condition
}

#[test]
fn the_kronecker_form_divides_by_both_factors_to_what_their_conditions_leave()
-> fjld_core::Result<()> {
    for (outer, inner) in [(1.0, 1.0), (1e3, 1e4), (1e8, 10.0), (1e16, 1.0)] {
        for scale in [1e-140, 1.0, 1e140] {
            let (g, a) = (covariance(2, outer), covariance(3, inner));
            let (g, a) = (&g * faer::Scale(scale), &a * faer::Scale(scale));
            let block = Kronecker::new(Dense::new(g.as_ref())?, Dense::new(a.as_ref())?);
            let v: Vec<f64> = (0..6).map(|i| scale * (1.0 - 0.3 * f64::from(i))).collect();
            let (g, a) = (matrix(g.as_ref()), matrix(a.as_ref()));
            let whole: Vec<Vec<Q>> = (0..6)
                .map(|i| {
                    (0..6)
                        .map(|j| &g[i / 3][j / 3] * &a[i % 3][j % 3])
                        .collect()
                })
                .collect();
            let what = format!("conditions {outer:e} and {inner:e} at {scale:e}");
            let right: Vec<Q> = whole.iter().map(|row| dot(row, &rationals(&v))).collect();
            // every entry of the product is one of vectors of up to this size
            let size = scale * scale * scale * 10.0;
            if size.is_finite() && size > 1e-290 {
                for (found, right) in block.matvec(&v)?.iter().zip(&right) {
                    assert_within(*found, right, 0.0, bound(6, 1.0) * size, &what);
                }
            }
            let Ok(found) = block.solve(&v) else {
                assert_eq!(outer, 1e16, "{what}");
                continue;
            };
            let (right, determinant) = solve(&whole, &rationals(&v)).expect("definite");
            let size = number(&dot(&right, &right)).sqrt().min(1e300);
            for (found, right) in found.iter().zip(&right) {
                assert_within(*found, right, 0.0, bound(6, outer * inner) * size, &what);
            }
            let logarithm = crate::exact::ln(&determinant);
            let absolute = bound(6, outer.max(inner)) + 1e-14 * logarithm.abs();
            assert_within(
                block.log_determinant()?,
                &exact(logarithm),
                0.0,
                absolute,
                &what,
            );
        }
    }
    Ok(())
}

#[test]
fn a_matrix_that_is_not_symmetric_is_refused_at_every_scale() {
    for scale in [1e-200, 1.0, 1e200] {
        let entries = |above: f64| mat![[2.0 * scale, above * scale], [scale, 2.0 * scale]];
        assert!(Dense::new(entries(1.0).as_ref()).is_ok(), "{scale:e}");
        // the last digit is rounding
        assert!(
            Dense::new(entries(1.0 + f64::EPSILON).as_ref()).is_ok(),
            "{scale:e}"
        );
        assert!(Dense::new(entries(0.5).as_ref()).is_err(), "{scale:e}");
    }
}

#[test]
fn descent_along_a_gradient_whose_square_is_no_number_is_refused() -> fjld_core::Result<()> {
    let noise = mat![[2.0, 1.0], [1.0, 2.0]];
    let hessian = mat![[1.0, 0.5], [0.5, 3.0]];
    for size in [1e-170, 1e-160, 1e160] {
        let mean = [size, -size];
        assert!(
            Descent::of(&mean, noise.as_ref(), hessian.as_ref()).is_err(),
            "{size:e}"
        );
    }
    for size in [1e-150, 1.0, 1e150] {
        let descent = Descent::of(&[size, -size], noise.as_ref(), hessian.as_ref())?;
        // (1 - 2 x 0.5 + 3) / 2, and (2 x 1 + 2 x 0.5 + 2 x 3) / 4
        assert_within(
            descent.mean_curvature,
            &exact(1.5),
            1e-15,
            0.0,
            "along the mean",
        );
        assert_within(
            descent.noise_curvature,
            &exact(2.25),
            1e-15,
            0.0,
            "in the noise",
        );
    }
    let enormous = Mat::<f64>::from_fn(2, 2, |i, j| if i == j { 1e308 } else { 0.0 });
    assert!(Descent::of(&[1.0, 1.0], enormous.as_ref(), hessian.as_ref()).is_err());
    Ok(())
}
