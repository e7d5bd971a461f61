use crate::exact::{self, Q, assert_within, dot, exact, matrix, number, solve, whole};
use faer::{Mat, MatRef};
use fjld_core::geometry::{
    Metric, hadamard_gap, location_fisher, log_determinant, log_jeffreys_diagonal, mahalanobis,
    natural_gradient, natural_gradient_in_range, sphericity,
};
use fjld_core::information::{gaussian_divergence, kl_from_no_mean};

/// Powers of two that a covariance is multiplied by: up to 1e300, so that its trace is still a number.
const POWERS: [i32; 5] = [-997, -300, 0, 300, 997];

const CONDITIONS: [f64; 6] = [1.0, 1e2, 1e5, 1e9, 1e13, 1e16];

/// A covariance with eigenvalues from 1 down to one over `condition`, turned in every plane, and exactly symmetric.
pub fn covariance(d: usize, condition: f64) -> Mat<f64> {
    let mut turned = Mat::from_fn(d, d, |i, j| {
        let exponent = i as f64 / (d as f64 - 1.0).max(1.0);
        if i == j {
            condition.powf(-exponent)
        } else {
            0.0
        }
    });
    for i in 0..d {
        for j in 0..i {
            let (sin, cos) = (0.3 + (i + 2 * j) as f64).sin_cos();
            let turn = Mat::from_fn(d, d, |a, b| match (a, b) {
                _ if a == b => {
                    if a == i || a == j {
                        cos
                    } else {
                        1.0
                    }
                }
                _ if (a, b) == (i, j) => sin,
                _ if (a, b) == (j, i) => -sin,
                _ => 0.0,
            });
            turned = &turn * turned * turn.transpose();
        }
    }
    Mat::from_fn(d, d, |i, j| turned[(i.max(j), i.min(j))])
}

fn times(m: &Mat<f64>, power: i32) -> Mat<f64> {
    Mat::from_fn(m.nrows(), m.ncols(), |i, j| m[(i, j)] * 2f64.powi(power))
}

/// Backward errors of Cholesky, of eigenvectors and of products are a few `d eps` of the largest entry, and the condition multiplies them.
fn bound(d: usize, condition: f64) -> f64 {
    32.0 * (d * d) as f64 * f64::EPSILON * condition
}

/// All covariances, each with its condition, the power that it is multiplied by, and a name.
fn all() -> impl Iterator<Item = (Mat<f64>, f64, i32, String)> {
    (1..=5).flat_map(|d| {
        CONDITIONS.into_iter().flat_map(move |condition| {
            POWERS.into_iter().map(move |power| {
                let name = format!("d = {d}, condition {condition:e}, times 2^{power}");
                (
                    times(&covariance(d, condition), power),
                    condition,
                    power,
                    name,
                )
            })
        })
    })
}

fn vector(d: usize, power: i32) -> Vec<f64> {
    (0..d)
        .map(|i| (1.0 - 0.6 * i as f64) * 2f64.powi(power))
        .collect()
}

fn rationals(v: &[f64]) -> Vec<Q> {
    v.iter().copied().map(exact).collect()
}

/// The solution of `D x = v`, and the determinant.
fn solved(covariance: MatRef<'_, f64>, v: &[f64]) -> Option<(Vec<Q>, Q)> {
    solve(&matrix(covariance), &rationals(v))
}

#[test]
fn lengths_and_log_determinants_are_right_to_what_the_condition_leaves_or_refused() {
    let mut right = 0;
    for (covariance, condition, power, name) in all() {
        let d = covariance.nrows();
        let condition = if d == 1 { 1.0 } else { condition };
        // an odd power leaves the mean a root of two off: the length is then 2 or 1/2 of that at power 0
        let mean = vector(d, power.div_euclid(2));
        let bound = bound(d, condition);
        match log_determinant(covariance.as_ref()) {
            Ok(found) => {
                let (_, determinant) = solved(covariance.as_ref(), &mean).expect("it is definite");
                let size = found.abs();
                assert_within(
                    found,
                    &exact(exact::ln(&determinant)),
                    0.0,
                    bound + 1e-15 * size,
                    &name,
                );
                right += 1;
            }
            Err(reason) => {
                // at a condition of 1 over a few roundings nobody can tell it from a singular one
                assert!(bound > 0.1, "{name}: {reason}");
                assert!(
                    reason.to_string().contains("no variance"),
                    "{name}: {reason}"
                );
            }
        }
        let length = mahalanobis(&mean, covariance.as_ref()).expect("no eigenvalue is negative");
        assert!(
            length.squared_length.is_finite() && length.squared_length >= 0.0,
            "{name}"
        );
        if length.rank == d {
            let (x, _) = solved(covariance.as_ref(), &mean).expect("it is definite");
            let right = dot(&x, &rationals(&mean));
            assert_within(length.squared_length, &right, bound, 0.0, &name);
        } else {
            assert!(bound > 0.1, "{name}: rank {}", length.rank);
            assert!(length.outside_range > 0.0);
        }
    }
    assert!(right > 100, "{right} of 150");
}

#[test]
fn natural_gradients_are_right_to_what_the_condition_leaves() {
    for (covariance, condition, power, name) in all() {
        let d = covariance.nrows();
        let bound = bound(d, if d == 1 { 1.0 } else { condition });
        let gradient = vector(d, power);
        let Ok(found) = natural_gradient(&gradient, covariance.as_ref(), Metric::Noise) else {
            assert!(bound > 0.1, "{name}");
            continue;
        };
        let (x, _) = solved(covariance.as_ref(), &gradient).expect("it is definite");
        let size = number(&x.iter().map(|v| v * v).sum()).sqrt();
        for (found, right) in found.iter().zip(&x) {
            assert_within(*found, right, 0.0, bound * size, &name);
        }
        let in_range = natural_gradient_in_range(&gradient, covariance.as_ref()).expect("definite");
        if in_range.rank == d {
            for (found, right) in in_range.direction.iter().zip(&x) {
                assert_within(*found, right, 0.0, bound * size, &name);
            }
        }
    }
}

#[test]
fn information_between_gaussians_is_right_to_what_the_condition_leaves() {
    for (covariance, condition, power, name) in all() {
        let d = covariance.nrows();
        let bound = bound(d, if d == 1 { 1.0 } else { condition });
        if bound > 0.1 {
            continue;
        }
        let mean = vector(d, power.div_euclid(2));
        let (x, _) = solved(covariance.as_ref(), &mean).expect("definite");
        let half = dot(&x, &rationals(&mean)) / whole(2);
        let found = kl_from_no_mean(&mean, covariance.as_ref()).expect("a full rank");
        assert_within(found, &half, bound, 0.0, &name);
        // against one with twice the variance: 1/2 (d/2 + t/2 - d + d ln 2)
        let wide = times(&covariance, 1);
        let found = gaussian_divergence(&mean, covariance.as_ref(), &vec![0.0; d], wide.as_ref());
        let right = half / whole(2) + exact(d as f64 * (0.5 * 2f64.ln() - 0.25));
        assert_within(
            found.expect("definite"),
            &right,
            bound,
            1e-13 * power.abs() as f64,
            &name,
        );
    }
}

#[test]
fn what_has_no_units_is_the_same_at_every_scale() {
    for condition in [1.0, 1e5, 1e9] {
        for d in 2..=4 {
            let one = covariance(d, condition);
            let (sphere, gap) = (sphericity(one.as_ref()), hadamard_gap(one.as_ref()));
            let (sphere, gap) = (sphere.expect("a trace"), gap.expect("definite"));
            for power in POWERS {
                let scaled = times(&one, power);
                // a logarithm that loses what the condition takes, and of a scale of 1e300 is 700 long
                let found = sphericity(scaled.as_ref()).expect("a trace");
                assert_within(
                    found,
                    &exact(sphere),
                    700.0 * 4.0 * f64::EPSILON + bound(d, condition),
                    0.0,
                    "sphericity",
                );
                let found = hadamard_gap(scaled.as_ref()).expect("definite");
                assert_within(
                    found,
                    &exact(gap),
                    0.0,
                    bound(d, condition),
                    "Hadamard's gap",
                );
            }
        }
    }
}

#[test]
fn singular_noise_is_refused_or_measured_within_its_range_at_every_scale() {
    // (1, 2, -2) and (2, 1, 2) at right angles: rank 2 exactly, in whole numbers
    let v = [[1.0, 2.0, -2.0], [2.0, 1.0, 2.0]];
    let singular = Mat::from_fn(3, 3, |i, j| v[0][i] * v[0][j] + 4.0 * v[1][i] * v[1][j]);
    for power in POWERS {
        let covariance = times(&singular, power);
        assert!(log_determinant(covariance.as_ref()).is_err());
        assert!(hadamard_gap(covariance.as_ref()).is_err());
        assert!(location_fisher(covariance.as_ref()).is_err());
        assert_eq!(sphericity(covariance.as_ref()).expect("a trace"), 0.0);
        // eigenvalues 9 and 36: along the first vector, of length 3, t = 9/9
        let mean: Vec<f64> = v[0].iter().map(|x| x * 2f64.powi(power / 2)).collect();
        let found = mahalanobis(&mean, covariance.as_ref()).expect("a covariance");
        let right = exact(2f64.powi(2 * (power / 2) - power));
        assert_eq!(found.rank, 2);
        assert_within(found.squared_length, &right, bound(3, 4.0), 0.0, "in range");
        assert!(
            found.outside_range < bound(3, 4.0).powi(2),
            "{}",
            found.outside_range
        );
        // and across: the third direction (2, -2, -1)
        let across: Vec<f64> = [2.0, -2.0, -1.0]
            .iter()
            .map(|x| x * 2f64.powi(power / 2))
            .collect();
        let found = mahalanobis(&across, covariance.as_ref()).expect("a covariance");
        assert!((found.outside_range - 1.0).abs() < bound(3, 4.0));
        assert!(kl_from_no_mean(&across, covariance.as_ref()).is_err());
    }
}

#[test]
fn what_leaves_the_range_of_numbers_is_refused_and_never_infinite() {
    let one = |value: f64| Mat::from_fn(1, 1, |_, _| value);
    let least = one(5e-324);
    let error = location_fisher(least.as_ref()).expect_err("its inverse is no number");
    assert_eq!(
        error.to_string(),
        "an entry of the inverse covariance is inf; it must be below 1.8e308, where 64-bit numbers end: bring what goes in nearer to 1"
    );
    assert!(mahalanobis(&[1e300], least.as_ref()).is_err());
    assert!(natural_gradient(&[1e300], one(1e-300).as_ref(), Metric::Noise).is_err());
    assert!(natural_gradient(&[1e300], one(1e300).as_ref(), Metric::Precision).is_err());
    assert!(natural_gradient_in_range(&[1e300], one(1e-300).as_ref()).is_err());
    // where the length is a number it is the right one, whatever its parts are
    let long = mahalanobis(&[1e300], one(1e300).as_ref()).expect("1e300");
    assert_within(
        long.squared_length,
        &exact(1e300),
        1e-15,
        0.0,
        "1e600 over 1e300",
    );
    let short = mahalanobis(&[1e-300], one(1e-300).as_ref()).expect("1e-300");
    assert_within(
        short.squared_length,
        &exact(1e-300),
        1e-15,
        0.0,
        "1e-600 over 1e-300",
    );
    // a trace of 2e308
    assert!(
        sphericity(Mat::<f64>::from_fn(2, 2, |i, j| if i == j { 1e308 } else { 0.0 }).as_ref())
            .is_err()
    );
    let logarithm = log_jeffreys_diagonal(&[1e300, 5e-324, 1e300]).expect("all are positive");
    let right = exact::ln(&(exact(1e300) * exact(1e300) * exact(5e-324)));
    assert_within(
        logarithm,
        &exact(-0.5 * right),
        1e-15,
        0.0,
        "a product out of range",
    );
    assert!(log_jeffreys_diagonal(&[1.0, 0.0]).is_err());
}

#[test]
fn the_oracle_solves_what_pencil_solves() {
    // D^-1 = [[2, -1], [-1, 2]] / 3
    let d = faer::mat![[2.0, 1.0], [1.0, 2.0]];
    let (x, determinant) = solved(d.as_ref(), &[1.0, 4.0]).expect("definite");
    assert_eq!((number(&x[0]), number(&x[1])), (-2.0 / 3.0, 7.0 / 3.0));
    assert_eq!(determinant, whole(3));
    assert!(solved(Mat::<f64>::zeros(2, 2).as_ref(), &[1.0, 1.0]).is_none());
    assert!((exact::ln(&(whole(1) / whole(1000))) + 1000f64.ln()).abs() < 1e-15 * 7.0);
}
