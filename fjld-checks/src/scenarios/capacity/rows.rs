//! What a row of the evidence holds.

use super::super::fixtures::quick;
use super::tests::TEXT;
use super::*;

/// The shipped study with a few steps towards one polynomial.
fn tiny() -> CapacityStudy {
    let mut study: CapacityStudy = toml::from_str(TEXT).expect("it is shipped");
    study.polynomial.examples = 6;
    study.polynomial.test_examples = 3;
    study.polynomial.degrees = vec![2];
    study.polynomial.stochastic_steps = 10;
    study.training.steps = 100;
    study
}

fn lines(study: &CapacityStudy) -> Result<Vec<String>> {
    study.run("seed-0-polynomial", &quick(1))
}

#[test]
fn a_fit_is_named_as_rows_name_it() {
    for fit in [
        Fit::GradientDescent,
        Fit::StochasticDescent,
        Fit::LeastSquares,
    ] {
        let written = serde_json::to_value(fit).expect("it is a name");
        assert_eq!(written, fit.name());
    }
}

#[test]
fn numbers_are_kept_to_seven_digits() {
    assert_eq!(short(1.0 / 3.0), 0.333_333_3);
    assert_eq!(short(-2e9 / 3.0), -666_666_700.0);
    assert_eq!(short(0.25), 0.25);
    assert_eq!(short(f64::INFINITY), f64::INFINITY);
}

#[test]
fn every_factor_of_ten_has_as_many_readings_as_asked_for() {
    assert_eq!(reading_steps(1000, 2), [0, 1, 3, 10, 32, 100, 316, 1000]);
    // those that round to the same step are one
    assert_eq!(reading_steps(10, 10), [0, 1, 2, 3, 4, 5, 6, 8, 10]);
}

#[test]
fn a_fit_begins_with_parameters_of_nothing_and_ends_near_the_least_squares() -> Result<()> {
    let study = tiny();
    let seed = Seed::root(1).derive("seed 0");
    let problem = study.polynomial.problem(seed);
    let curves: Vec<FitCurve> = study::rows(&lines(&study)?)?;
    // three fits of each of three arms, at one width
    assert_eq!(curves.len(), 9);
    for (curves, (arm, targets)) in curves.chunks(3).zip(&problem.targets) {
        let squares: f64 = targets.iter().map(|y| y * y).sum();
        let least = curves.last().expect("there are three").train_error[0];
        for curve in curves {
            assert_eq!((curve.arm, curve.width, curve.examples), (*arm, 3, 6));
            assert_eq!(curve.train_error.len(), curve.c.len());
            let first = curve.train_error[0];
            // kept to seven digits
            assert!(first >= least * (1.0 - 1e-6), "{curve:?}");
            if curve.fit != Fit::LeastSquares {
                assert_eq!(curve.steps.len(), curve.c.len());
                assert_eq!(first, short(squares / 6.0));
            }
        }
    }
    Ok(())
}

#[test]
fn only_the_least_squares_end_is_read_without_a_look_at_the_rounding() -> Result<()> {
    let curves: Vec<FitCurve> = study::rows(&lines(&tiny())?)?;
    for curve in curves {
        // six examples of noise are no parabola, so that their gradients differ
        let least_squares = curve.fit == Fit::LeastSquares;
        assert_eq!(curve.unguarded.is_some(), least_squares, "{curve:?}");
    }
    Ok(())
}

#[test]
fn people_are_shown_a_line_for_every_arm_and_width() -> Result<()> {
    let mut study = tiny();
    study.polynomial.degrees = vec![2, 4];
    let shown = study.table(&lines(&study)?)?;
    for arm in Arm::ALL {
        let own = |line: &&str| line.starts_with("polynomial") && line.contains(arm.name());
        assert_eq!(shown.lines().filter(own).count(), 2, "{shown}");
    }
    let said = study.table(&["{}".to_owned()]).expect_err("it is no row");
    assert!(said.to_string().starts_with("the row {}"), "{said}");
    Ok(())
}

#[test]
fn the_best_reading_is_the_earliest_of_the_lowest_test_error() -> Result<()> {
    let mut curve: FitCurve = study::rows(&lines(&tiny())?)?.remove(0);
    for (errors, best) in [
        (vec![3.0, 2.0, 1.0, 1.0, 4.0], 2),
        (vec![1.0, 1.0, 2.0], 0),
        (vec![4.0, 3.0, 2.0, 1.0], 3),
    ] {
        curve.test_error = errors;
        assert_eq!(curve.best(), best, "{:?}", curve.test_error);
    }
    Ok(())
}
