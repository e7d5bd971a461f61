//! Signal, noise and descent where they can be worked out by hand.

use super::*;
use approx::assert_relative_eq;
use fjld_core::rng::{Seed, standard_normals};

fn matrix<const P: usize>(rows: &[[f64; P]]) -> Mat<f64> {
    Mat::from_fn(rows.len(), P, |i, j| rows[i][j])
}

/// Four examples, of lengths 5, 2, 10 and 5.
fn features() -> Mat<f64> {
    matrix(&[[3.0, 4.0], [0.0, 2.0], [6.0, 8.0], [3.0, -4.0]])
}

const THETA: [f64; 2] = [1.0, -2.0];

/// What [`THETA`] makes of them.
const FITTED: [f64; 4] = [-5.0, -4.0, -10.0, 11.0];

/// `unit` times the residuals -6, -2, -15 and -2.
fn targets(unit: f64) -> Vec<f64> {
    let residuals = [-6.0, -2.0, -15.0, -2.0];
    let pairs = FITTED.iter().zip(residuals);
    pairs.map(|(fitted, r)| fitted - unit * r).collect()
}

#[test]
fn signal_and_noise_and_their_floors_are_those_worked_out_by_hand() {
    // residuals in units of 2^-26, the root of eps, so that all that rounding makes shows beside them; every number here is exact
    let eps = f64::EPSILON;
    let found = gradients(features().as_ref(), &targets(eps.sqrt()), &THETA);
    // the mean gradient is -114/4 and -140/4
    assert_eq!(found.signal, (28.5 * 28.5 + 35.0 * 35.0) * eps);
    // of squared residuals times squared lengths: (36 * 25 + 4 * 4 + 225 * 100 + 4 * 25) / 4 = 5879
    assert_eq!(found.noise, 5879.0 * eps - found.signal);
    // The residuals are differences of numbers that are 16, 8, 32 and 22 together, and known to (4 + 2) eps of them: the mean of
    // (6 eps s)^2 |phi|^2 is 36 * 30289 eps^2, and the trace itself is known to as much of 5879 eps. The sizes are without the residuals,
    // some 1e-8 of them.
    let floor = 36.0 * 30_289.0 + 6.0 * 5879.0;
    assert_relative_eq!(found.floor / (eps * eps), floor, max_relative = 1e-6);
    // the mean of 6 eps s |phi| is 6 * (80 + 16 + 320 + 110) / 4 = 789 eps
    let signal_floor = found.signal_floor / (eps * eps);
    assert_relative_eq!(signal_floor, 789.0 * 789.0, max_relative = 1e-6);
}

#[test]
fn lengths_and_residuals_are_squared() {
    assert_eq!(
        squared_lengths(features().as_ref()),
        [25.0, 4.0, 100.0, 25.0]
    );
    // (36 + 4 + 225 + 4) / 4
    let found = mean_square(features().as_ref(), &targets(1.0), &column(&THETA));
    assert_eq!(found, 67.25);
}

#[test]
fn what_is_no_more_than_rounding_makes_is_nothing() {
    let with = |signal, noise| Gradients {
        signal,
        noise,
        floor: 3.0,
        signal_floor: 1.0,
    };
    assert_eq!(with(2.0, 4.0).ratio(), Some(0.5));
    assert_eq!(with(1.0, 4.0).ratio(), Some(0.0));
    assert_eq!(with(0.5, 4.0).ratio(), Some(0.0));
    assert_eq!(with(2.0, 3.0).ratio(), None);
    assert_eq!(with(2.0, 0.0).ratio(), None);
}

#[test]
fn without_a_look_at_the_rounding_only_a_division_by_nothing_has_no_value() {
    let with = |signal, noise| Gradients {
        signal,
        noise,
        floor: 100.0,
        signal_floor: 100.0,
    };
    assert_eq!(with(2.0, 8.0).unguarded(), Some(0.25));
    assert_eq!(with(0.0, 8.0).unguarded(), Some(0.0));
    assert_eq!(with(2.0, 0.0).unguarded(), None);
    assert_eq!(with(0.0, 0.0).unguarded(), None);
}

#[test]
fn the_independent_features_are_as_many_in_any_unit() -> Result<()> {
    let drawn = standard_normals(&mut Seed::root(6).generator(), 40 * 3);
    for unit in [2f64.powi(-33), 1.0, 2f64.powi(33)] {
        // the last is the first again
        let features = Mat::from_fn(40, 4, |i, j| unit * drawn[i * 3 + j % 3]);
        assert_eq!(Spectrum::of(features.as_ref())?.rank(), 3, "{unit:e}");
    }
    Ok(())
}

#[test]
fn of_features_that_are_all_nothing_none_is_independent_and_nothing_is_fitted() -> Result<()> {
    let spectrum = Spectrum::of(Mat::<f64>::zeros(3, 2).as_ref())?;
    assert_eq!(spectrum.rank(), 0);
    assert_eq!(spectrum.least_squares(&[1.0, 2.0, 3.0]), [0.0, 0.0]);
    Ok(())
}

#[test]
fn descent_shrinks_a_residual_by_its_own_factor_a_step() -> Result<()> {
    // The eigenvalues of Phi' Phi / 2 are 2 and 1/2 and the step is 1/2: the first target is met at once, and what is left of the second
    // is three quarters of what was.
    let design = Design {
        train: matrix(&[[2.0, 0.0], [0.0, 1.0]]),
        test: matrix(&[[1.0, 1.0]]),
    };
    let spectrum = Spectrum::of(design.train.as_ref())?;
    let targets = Targets {
        train: &[3.0, 8.0],
        test: &[0.0],
    };
    let states = descent(&design, &spectrum, &targets, &[0, 1, 2])?;
    let errors: Vec<[f64; 2]> = states
        .iter()
        .map(|s| [s.train_error, s.test_error])
        .collect();
    // residuals 3 and 8, then 0 and 6, then 0 and 9/2; parameters 0 and 0, then 3/2 and 2, then 3/2 and 7/2
    let expected = [[36.5, 0.0], [18.0, 12.25], [10.125, 25.0]];
    assert_eq!(errors.len(), 3);
    for (found, expected) in errors.iter().flatten().zip(expected.iter().flatten()) {
        assert_relative_eq!(found, expected, max_relative = 1e-13);
    }
    Ok(())
}

#[test]
fn with_a_single_example_stochastic_descent_divides_its_residual_by_the_batch_and_one() -> Result<()>
{
    // Each of three draws is the same example, of squared length 25, so that the step is 1 / (25 + 25/3) and leaves a quarter of the
    // residual 2.
    let design = Design {
        train: matrix(&[[3.0, 4.0]]),
        test: matrix(&[[1.0, 0.0]]),
    };
    let spectrum = Spectrum::of(design.train.as_ref())?;
    let targets = Targets {
        train: &[2.0],
        test: &[0.0],
    };
    let generator = &mut Seed::root(7).generator();
    let states = stochastic_descent(&design, &spectrum, &targets, &[0, 1, 3], 3, generator)?;
    assert_eq!(states.len(), 3);
    for (state, left) in states.iter().zip([2.0, 0.5, 0.031_25]) {
        assert_relative_eq!(state.train_error, left * left, max_relative = 1e-12);
        // along the example's own direction, 3/25 of what is fitted
        let along = 0.12 * (2.0 - left);
        assert_relative_eq!(state.test_error, along * along, max_relative = 1e-12);
    }
    Ok(())
}
