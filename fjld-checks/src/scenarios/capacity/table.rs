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
