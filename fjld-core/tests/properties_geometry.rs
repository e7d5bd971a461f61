//! What must hold of the geometry for every covariance, mean and change of parameters.

use faer::linalg::solvers::Solve;
use faer::{Mat, MatRef};
use fjld_core::geometry::{
    Metric, gaussian_fisher, hadamard_gap, location_fisher, log_determinant, log_jeffreys,
    log_jeffreys_diagonal, mahalanobis, natural_gradient, natural_gradient_in_range, pull_back,
    sphericity, student_location_fisher,
};
use fjld_core::information::{
    entropy_change, entropy_rate, expected_gain, gaussian_divergence, gaussian_entropy,
    kl_from_no_mean,
};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// Rounding, 1e-16 a step, times a few `d`, times the condition number. The covariances below have eigenvalues between 1/2 and
/// `d^2 9 + 1/2 < 350` and the Jacobians singular values between 1 and `3 d`, so in another chart the condition is below 2e5.
const TOLERANCE: f64 = 1e-9;

fn close(a: f64, b: f64, scale: f64) -> bool {
    (a - b).abs() <= TOLERANCE * (a.abs() + b.abs() + scale)
}

fn matrix(rows: usize, columns: usize, entries: &[f64]) -> Mat<f64> {
    Mat::from_fn(rows, columns, |i, j| entries[i * columns + j])
}

fn in_chart(covariance: &Mat<f64>, jacobian: &Mat<f64>) -> Mat<f64> {
    let carried = jacobian.transpose() * covariance * jacobian;
    // the two halves of the product round apart
    let d = carried.nrows();
    Mat::from_fn(d, d, |i, j| 0.5 * (carried[(i, j)] + carried[(j, i)]))
}

fn variances(covariance: &Mat<f64>) -> Vec<f64> {
    (0..covariance.nrows())
        .map(|i| covariance[(i, i)])
        .collect()
}

prop_compose! {
    /// `A A' + 1/2` with entries of `A` in `[-3, 3]`.
    fn covariance(d: usize)(entries in prop::collection::vec(-3.0..3.0, d * d)) -> Mat<f64> {
        let a = matrix(d, d, &entries);
        let half = 0.5 * Mat::<f64>::identity(d, d);
        &a * a.transpose() + half
    }
}

prop_compose! {
    /// Entries in `[-1, 1]` and a diagonal of `2 d` on top, of either sign: far from singular (Gershgorin).
    fn jacobian(d: usize)(
        entries in prop::collection::vec(-1.0..1.0, d * d),
        signs in prop::collection::vec(prop::bool::ANY, d),
    ) -> Mat<f64> {
        Mat::from_fn(d, d, |i, j| {
            let diagonal = if i == j { 2.0 * d as f64 } else { 0.0 };
            entries[i * d + j] + if signs[i] { diagonal } else { -diagonal }
        })
    }
}

prop_compose! {
    /// A product of two reflections.
    fn rotation(d: usize)(u in unit(d), v in unit(d)) -> Mat<f64> {
        let reflection = |u: &[f64]| Mat::from_fn(d, d, |i, j| {
            f64::from(u8::from(i == j)) - 2.0 * u[i] * u[j]
        });
        reflection(&u) * reflection(&v)
    }
}

prop_compose! {
    fn unit(d: usize)(entries in prop::collection::vec(-1.0..1.0, d)) -> Vec<f64> {
        let length = entries.iter().map(|v| v * v).sum::<f64>().sqrt();
        if length < 0.1 {
            (0..d).map(|i| f64::from(u8::from(i == 0))).collect()
        } else {
            entries.iter().map(|v| v / length).collect()
        }
    }
}

fn vector(d: usize) -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(-5.0..5.0, d)
}

/// `(mu, D, J)` in one to six dimensions.
fn chart() -> impl Strategy<Value = (Vec<f64>, Mat<f64>, Mat<f64>)> {
    (1usize..=6).prop_flat_map(|d| (vector(d), covariance(d), jacobian(d)))
}

/// `(V, w)` for noise `D = V V'` of rank `r < d` and a mean `V w` in its range. `V` holds small whole numbers and the identity, so that
/// `D` is exact and its eigenvalues in the range are at least 1.
fn singular() -> impl Strategy<Value = (Mat<f64>, Vec<f64>)> {
    (1usize..=4, 1usize..=3).prop_flat_map(|(rank, more)| {
        let below = prop::collection::vec(-2i32..=2, rank * more);
        let weights = prop::collection::vec(-3i32..=3, rank);
        (below, weights).prop_map(move |(below, weights)| {
            let factor = Mat::from_fn(rank + more, rank, |i, j| match i.checked_sub(rank) {
                None => f64::from(u8::from(i == j)),
                Some(row) => f64::from(below[row * rank + j]),
            });
            (factor, weights.into_iter().map(f64::from).collect())
        })
    })
}

fn times(matrix: MatRef<'_, f64>, vector: &[f64]) -> Vec<f64> {
    (0..matrix.nrows())
        .map(|i| {
            (0..matrix.ncols())
                .map(|j| matrix[(i, j)] * vector[j])
                .sum()
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(20260),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn invertible_maps_leave_the_squared_length_and_the_rank((mean, noise, j) in chart()) {
        let here = mahalanobis(&mean, noise.as_ref())?;
        let there = mahalanobis(&pull_back(j.as_ref(), &mean)?, in_chart(&noise, &j).as_ref())?;
        prop_assert!(close(here.squared_length, there.squared_length, 0.0), "{here:?} {there:?}");
        prop_assert_eq!(here.rank, there.rank);
    }

    #[test]
    fn the_same_in_the_range_of_singular_noise((factor, weights) in singular(), scale in 1i32..=3) {
        let d = factor.nrows();
        // a shear and a scale in whole numbers, so that the noise in the new chart is exact too
        let j = Mat::from_fn(d, d, |a, b| match a.cmp(&b) {
            std::cmp::Ordering::Equal => f64::from(scale),
            std::cmp::Ordering::Less => 1.0,
            std::cmp::Ordering::Greater => 0.0,
        });
        let mean = times(factor.as_ref(), &weights);
        let noise = &factor * factor.transpose();
        let here = mahalanobis(&mean, noise.as_ref())?;
        let there = mahalanobis(&pull_back(j.as_ref(), &mean)?, in_chart(&noise, &j).as_ref())?;
        prop_assert_eq!((here.rank, there.rank), (factor.ncols(), factor.ncols()));
        // mu' D^+ mu = w'w for mu = V w
        let expected: f64 = weights.iter().map(|w| w * w).sum();
        prop_assert!(close(here.squared_length, expected, 0.0), "{here:?}, expected {expected}");
        prop_assert!(close(there.squared_length, expected, 0.0), "{there:?}, expected {expected}");
        prop_assert!(here.outside_range < 1e-24 && there.outside_range < 1e-20);
    }

    #[test]
    fn singular_noise_has_no_density_and_no_natural_gradient((factor, weights) in singular()) {
        let noise = &factor * factor.transpose();
        let noise = noise.as_ref();
        let mean = times(factor.as_ref(), &weights);
        prop_assert!(log_determinant(noise).is_err());
        prop_assert!(log_jeffreys(noise).is_err());
        prop_assert!(hadamard_gap(noise).is_err());
        prop_assert!(gaussian_entropy(noise).is_err());
        prop_assert!(location_fisher(noise).is_err());
        prop_assert!(natural_gradient(&mean, noise, Metric::Noise).is_err());
        prop_assert_eq!(sphericity(noise)?, 0.0);
        // what is left is the part in the range: D (D^+ mu) = mu
        let natural = natural_gradient_in_range(&mean, noise)?;
        prop_assert_eq!(natural.rank, factor.ncols());
        for (back, m) in times(noise, &natural.direction).iter().zip(&mean) {
            prop_assert!(close(*back, *m, 1.0));
        }
    }

    #[test]
    fn a_rotation_leaves_the_log_determinant_and_the_sphericity(
        (noise, q) in (1usize..=6).prop_flat_map(|d| (covariance(d), rotation(d)))
    ) {
        let turned = in_chart(&noise, &q);
        let log_determinants = [&noise, &turned].map(|m| log_determinant(m.as_ref()));
        let [here, there] = log_determinants;
        prop_assert!(close(here?, there?, 1.0));
        prop_assert!(close(sphericity(noise.as_ref())?, sphericity(turned.as_ref())?, 0.0));
    }

    #[test]
    fn the_sphericity_lies_between_zero_and_one((_, noise, _) in chart()) {
        let s = sphericity(noise.as_ref())?;
        prop_assert!(s > 0.0 && s <= 1.0 + TOLERANCE, "{s}");
    }

    #[test]
    fn the_log_density_moves_by_the_log_determinant_of_the_map((_, noise, j) in chart()) {
        let moved = log_jeffreys(in_chart(&noise, &j).as_ref())? - log_jeffreys(noise.as_ref())?;
        prop_assert!(close(moved, -j.determinant().abs().ln(), 10.0));
    }

    #[test]
    fn the_hadamard_gap_is_what_the_diagonal_leaves_out_and_never_negative((_, noise, _) in chart()) {
        let gap = hadamard_gap(noise.as_ref())?;
        let left_out = 2.0 * (log_jeffreys(noise.as_ref())? - log_jeffreys_diagonal(&variances(&noise))?);
        prop_assert!(gap >= 0.0);
        prop_assert!(close(gap, left_out, 10.0));
    }

    #[test]
    fn the_hadamard_gap_is_the_same_in_any_units_and_none_without_correlation(
        (noise, units) in (1usize..=6).prop_flat_map(|d| (covariance(d), prop::collection::vec(-40i32..=40, d)))
    ) {
        let d = noise.nrows();
        let scaled = Mat::from_fn(d, d, |i, j| noise[(i, j)] * 2f64.powi(units[i] + units[j]));
        let gap = hadamard_gap(noise.as_ref())?;
        prop_assert!(close(gap, hadamard_gap(scaled.as_ref())?, 1.0));
        let diagonal = Mat::from_fn(d, d, |i, j| if i == j { scaled[(i, i)] } else { 0.0 });
        prop_assert_eq!(hadamard_gap(diagonal.as_ref())?, 0.0);
    }

    #[test]
    fn the_natural_gradient_in_the_metric_of_the_noise_is_a_vector((gradient, noise, j) in chart()) {
        let here = natural_gradient(&gradient, noise.as_ref(), Metric::Noise)?;
        let carried = pull_back(j.as_ref(), &gradient)?;
        let there = natural_gradient(&carried, in_chart(&noise, &j).as_ref(), Metric::Noise)?;
        // theta = J phi, so J takes it back
        for (back, v) in times(j.as_ref(), &there).iter().zip(&here) {
            prop_assert!(close(*back, *v, 10.0), "{back} {v}");
        }
    }

    #[test]
    fn the_information_is_a_metric(
        (noise, hessian, slope, j) in (1usize..=4)
            .prop_flat_map(|d| (covariance(d), covariance(d), covariance(d), jacobian(d)))
    ) {
        // D = noise + theta_1 slope, and nothing of the other parameters
        let d = noise.nrows();
        let mut slopes = vec![Mat::zeros(d, d); d];
        slopes[0] = slope.clone();
        let here = gaussian_fisher(noise.as_ref(), hessian.as_ref(), &slopes)?;
        // theta_1 = sum_k J_1k phi_k
        let carried = in_chart(&slope, &j);
        let slopes_there: Vec<Mat<f64>> = (0..d).map(|k| j[(0, k)] * &carried).collect();
        let there = gaussian_fisher(
            in_chart(&noise, &j).as_ref(),
            in_chart(&hessian, &j).as_ref(),
            &slopes_there,
        )?;
        let expected = j.transpose() * &here * &j;
        prop_assert!((&there - &expected).norm_max() <= TOLERANCE * (1.0 + expected.norm_max()));
        prop_assert!((&here - here.transpose()).norm_max() <= TOLERANCE * (1.0 + here.norm_max()));
    }

    #[test]
    fn a_divergence_is_never_negative_and_the_same_in_every_chart(
        (m, p, j, k, q) in (1usize..=5)
            .prop_flat_map(|d| (vector(d), covariance(d), jacobian(d), vector(d), covariance(d)))
    ) {
        let here = gaussian_divergence(&m, p.as_ref(), &k, q.as_ref())?;
        let there = gaussian_divergence(
            &pull_back(j.as_ref(), &m)?,
            in_chart(&p, &j).as_ref(),
            &pull_back(j.as_ref(), &k)?,
            in_chart(&q, &j).as_ref(),
        )?;
        prop_assert!(here >= 0.0);
        prop_assert!(close(here, there, 10.0), "{here} {there}");
    }

    #[test]
    fn changes_of_entropy_add_up_and_do_not_depend_on_the_chart(
        (a, b, c, j) in (1usize..=5)
            .prop_flat_map(|d| (covariance(d), covariance(d), covariance(d), jacobian(d)))
    ) {
        let change = |x: &Mat<f64>, y: &Mat<f64>| entropy_change(x.as_ref(), y.as_ref());
        prop_assert!(close(change(&a, &c)?, change(&a, &b)? + change(&b, &c)?, 10.0));
        prop_assert!(close(change(&a, &b)?, change(&in_chart(&a, &j), &in_chart(&b, &j))?, 10.0));
    }

    #[test]
    fn with_one_parameter_every_form_is_pencil_work(g in -10.0..10.0, log_v in -100.0..100.0) {
        let v = f64::exp(log_v);
        let noise = Mat::from_fn(1, 1, |_, _| v);
        let noise = noise.as_ref();
        let length = mahalanobis(&[g], noise)?;
        prop_assert!(close(length.squared_length, g * g / v, 0.0));
        prop_assert_eq!(length.rank, 1);
        prop_assert!(close(log_jeffreys(noise)?, -0.5 * log_v, 1.0));
        prop_assert_eq!(hadamard_gap(noise)?, 0.0);
        prop_assert!(close(sphericity(noise)?, 1.0, 0.0));
        prop_assert!(close(natural_gradient(&[g], noise, Metric::Noise)?[0], g / v, 0.0));
        prop_assert!(close(natural_gradient(&[g], noise, Metric::Precision)?[0], g * v, 0.0));
        prop_assert!(close(location_fisher(noise)?[(0, 0)], 1.0 / v, 0.0));
    }

    #[test]
    fn nan_and_infinity_are_refused_wherever_they_stand(
        (d, row, column) in (1usize..=4).prop_flat_map(|d| (Just(d), 0..d, 0..d)),
        bad in prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
    ) {
        let good = Mat::<f64>::identity(d, d);
        let mut matrix = good.clone();
        matrix[(row, column)] = bad;
        let (good, matrix) = (good.as_ref(), matrix.as_ref());
        let fine = vec![1.0; d];
        let mut vector = fine.clone();
        vector[row] = bad;
        let refused = [
            log_determinant(matrix).is_err(),
            log_jeffreys(matrix).is_err(),
            sphericity(matrix).is_err(),
            hadamard_gap(matrix).is_err(),
            mahalanobis(&fine, matrix).is_err(),
            mahalanobis(&vector, good).is_err(),
            natural_gradient(&fine, matrix, Metric::Noise).is_err(),
            natural_gradient(&vector, good, Metric::Precision).is_err(),
            natural_gradient_in_range(&fine, matrix).is_err(),
            natural_gradient_in_range(&vector, good).is_err(),
            location_fisher(matrix).is_err(),
            gaussian_fisher(matrix, good, &[]).is_err(),
            gaussian_fisher(good, matrix, &[]).is_err(),
            gaussian_fisher(good, good, &vec![matrix.to_owned(); d]).is_err(),
            student_location_fisher(matrix, 3.0).is_err(),
            student_location_fisher(good, bad).is_err(),
            gaussian_entropy(matrix).is_err(),
            entropy_rate(matrix, good).is_err(),
            entropy_rate(good, matrix).is_err(),
            entropy_change(good, matrix).is_err(),
            expected_gain(matrix, 1.0).is_err(),
            expected_gain(good, bad).is_err(),
            kl_from_no_mean(&fine, matrix).is_err(),
            gaussian_divergence(&fine, matrix, &fine, good).is_err(),
            gaussian_divergence(&fine, good, &vector, good).is_err(),
            log_jeffreys_diagonal(&vector).is_err(),
        ];
        let let_through = refused.iter().position(|r| !r);
        prop_assert_eq!(let_through, None, "the index of what let {} through", bad);
    }

    #[test]
    fn the_inverse_is_what_the_solver_gives((gradient, noise, _) in chart()) {
        let d = noise.nrows();
        let right = Mat::from_fn(d, 1, |i, _| gradient[i]);
        let solved = noise.partial_piv_lu().solve(&right);
        let by_information = times(location_fisher(noise.as_ref())?.as_ref(), &gradient);
        for (i, v) in by_information.iter().enumerate() {
            prop_assert!(close(*v, solved[(i, 0)], 10.0));
        }
    }
}
