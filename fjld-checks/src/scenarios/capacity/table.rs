//! What people are shown of the fits.

use super::worlds::{Arm, World};
use super::{Fit, FitCurve};
use std::fmt::Write;

/// A line for every world, arm and width.
pub fn of(curves: &[FitCurve]) -> String {
    let mut out = format!(
        "{}\n\n{:11} {:16} {:>6}  {:>10}  {:>10}  {:>10} {:>10} {:>10}\n",
        "medians over seeds; C at batch 1, along gradient descent at its start, its lowest test error and its end",
        "world",
        "arm",
        "width",
        "least sq.",
        "unguarded",
        "C start",
        "C best",
        "C end"
    );
    let mut groups: Vec<(World, Arm, usize)> =
        curves.iter().map(|c| (c.world, c.arm, c.width)).collect();
    groups.sort_unstable();
    groups.dedup();
    for (world, arm, width) in groups {
        let own = |fit: Fit| {
            let of =
                move |c: &&FitCurve| (c.world, c.arm, c.width, c.fit) == (world, arm, width, fit);
            curves.iter().filter(of)
        };
        let error = median(own(Fit::LeastSquares).map(|c| c.test_error[0]).collect());
        let naive = median(own(Fit::LeastSquares).filter_map(|c| c.unguarded).collect());
        let c = |at: fn(&FitCurve) -> usize| {
            let values = own(Fit::GradientDescent).filter_map(|curve| curve.c[at(curve)]);
            shown(median(values.collect()))
        };
        writeln!(
            out,
            "{:11} {:16} {width:>6}  {}  {}  {} {} {}",
            world.name(),
            arm.name(),
            shown(error),
            shown(naive),
            c(|_| 0),
            c(FitCurve::best),
            c(|curve| curve.c.len() - 1),
        )
        .expect("writing to a string");
    }
    out
}

fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| format!("{:>10}", "undefined"), |v| format!("{v:>10.2e}"))
}

/// The middle one; the upper of two.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(
        fit: Fit,
        width: usize,
        test_error: &[f64],
        c: &[Option<f64>],
        unguarded: Option<f64>,
    ) -> FitCurve {
        FitCurve {
            world: World::Fourier,
            seed: 0,
            arm: Arm::Plain,
            fit,
            width,
            examples: 30,
            steps: Vec::new(),
            train_error: vec![0.0; test_error.len()],
            test_error: test_error.to_vec(),
            c: c.to_vec(),
            unguarded,
        }
    }

    /// Three seeds at width 20 and one at width 40.
    fn curves() -> Vec<FitCurve> {
        let least = |error, unguarded| curve(Fit::LeastSquares, 20, &[error], &[None], unguarded);
        let along = |errors: [f64; 3], c: [f64; 3]| {
            curve(Fit::GradientDescent, 20, &errors, &c.map(Some), None)
        };
        vec![
            curve(Fit::GradientDescent, 40, &[1.0, 2.0], &[None, None], None),
            least(0.5, Some(8.0)),
            least(0.125, None),
            least(0.25, Some(4.0)),
            // the lowest error is the second reading's, the third's and the first's
            along([3.0, 1.0, 2.0], [7.0, 0.1, 0.003]),
            along([3.0, 2.0, 1.0], [5.0, 0.2, 0.001]),
            along([1.0, 2.0, 3.0], [6.0, 0.3, 0.002]),
            curve(Fit::StochasticDescent, 20, &[9.0], &[Some(9.0)], Some(9.0)),
        ]
    }

    #[test]
    fn a_line_shows_the_medians_over_the_seeds_of_its_world_arm_and_width() {
        let shown = of(&curves());
        let lines: Vec<&str> = shown.lines().collect();
        // least squares: of 1/8, 1/4 and 1/2, and the upper of 4 and 8; C: of 5, 6 and 7, of 0.001, 0.1 and 6, of 0.001, 0.002 and 0.003
        let words: Vec<&str> = lines[3].split_whitespace().collect();
        assert_eq!(
            words,
            [
                "fourier", "plain", "20", "2.50e-1", "8.00e0", "6.00e0", "1.00e-1", "2.00e-3"
            ]
        );
        let words: Vec<&str> = lines[4].split_whitespace().collect();
        assert_eq!(words[..3], ["fourier", "plain", "40"]);
        assert_eq!(words[3..], ["undefined"; 5]);
        assert_eq!(lines.len(), 5);
        // columns stand below their names
        assert!(lines[2].starts_with("world") && lines[2].ends_with("C end"));
        assert!(lines[3..].iter().all(|line| line.len() == lines[2].len()));
    }

    #[test]
    fn the_median_is_the_middle_one_and_of_two_the_upper() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![2.0]), Some(2.0));
        assert_eq!(median(vec![3.0, 2.0]), Some(3.0));
        assert_eq!(median(vec![5.0, 3.0, 4.0]), Some(4.0));
        assert_eq!(median(vec![7.0, 9.0, 6.0, 8.0]), Some(8.0));
    }
}
