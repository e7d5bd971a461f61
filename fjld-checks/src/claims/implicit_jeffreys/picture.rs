//! Where steps of pure noise settle, beside the densities that are said of it.

use super::kernel::{Density, Law, Noise, Torus};
use crate::evidence::picture::{Axis, Kind, Line, Mark, Panel, Picture, Series, Style, plain};
use std::f64::consts::TAU;

/// Dimensions, each with a slope of `log s^2` at which the walk reaches every place.
const TORI: [(usize, f64); 3] = [(1, 1.0), (2, 0.6), (3, 0.4)];

const STEP: f64 = 0.25;

/// The most places that are drawn.
const DRAWN: usize = 32;

/// `(s^2, density over its mean)` at every node, in the order of `s^2`.
fn settled(torus: &Torus, density: &Density) -> Vec<(f64, f64)> {
    let nodes: f64 = density.nodes.iter().map(|(_, size)| size).sum();
    let pairs = density.nodes.iter().zip(&density.values);
    let mut settled: Vec<(f64, f64)> = pairs
        .map(|((x, _), p)| (torus.variance(x, 0), p * nodes))
        .collect();
    settled.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    settled
}

/// `s^2` to a power over the torus, divided by its mean there.
fn stated(torus: &Torus, density: &Density, power: f64) -> impl Fn(f64) -> f64 + use<> {
    let total: f64 = density.nodes.iter().map(|(_, size)| size).sum();
    let weighted = density.nodes.iter();
    let sum: f64 = weighted
        .map(|(x, size)| size * torus.variance(x, 0).powf(power))
        .sum();
    move |variance| variance.powf(power) * total / sum
}

struct Seen {
    dimension: usize,
    fitted: f64,
    panel: Panel,
}

fn see((dimension, slope): (usize, f64)) -> (Torus, Density, Seen) {
    let torus = Torus {
        dimension,
        noise: Noise::Isotropic { slope },
        law: Law::Normal,
        step: STEP,
    };
    let density = torus.stationary();
    let settled = settled(&torus, &density);
    let ito = stated(&torus, &density, -1.0);
    let jeffreys = stated(&torus, &density, -(dimension as f64) / 2.0);
    let ends = [settled[0].0, settled[settled.len() - 1].0];
    let every = settled.len().div_ceil(DRAWN);
    let panel = Panel {
        title: match dimension {
            1 => "one parameter".into(),
            2 => "two parameters".into(),
            3 => "three parameters".into(),
            _ => format!("{dimension} parameters"),
        },
        x: Axis::log("noise s^2"),
        y: Axis::log("density over its mean"),
        series: vec![
            Series::new(
                "where the steps settle",
                Style::marks(0, Mark::Circle),
                settled.iter().copied().step_by(every),
            ),
            Series::new(
                "1/s^2 (Ito)",
                Style::line(1, Line::Solid),
                ends.map(|v| (v, ito(v))),
            ),
            Series::new(
                "1/sqrt(det D) (Jeffreys)",
                Style::line(2, Line::Dashed),
                ends.map(|v| (v, jeffreys(v))),
            ),
        ],
        ..Panel::default()
    };
    let seen = Seen {
        dimension,
        fitted: torus.fitted_power(),
        panel,
    };
    (torus, density, seen)
}

/// The same on the ring, place by place.
fn ring(torus: &Torus, density: &Density) -> Panel {
    let nodes: f64 = density.nodes.iter().map(|(_, size)| size).sum();
    let places = |k: usize| {
        let fine = (0..=k).map(move |i| TAU * i as f64 / k as f64);
        fine.map(|x| (x, torus.variance(&[x], 0)))
    };
    let (ito, jeffreys) = (stated(torus, density, -1.0), stated(torus, density, -0.5));
    // the nodes reach half of the way round, and the other half is the same
    let mut drawn: Vec<(f64, f64)> = Vec::new();
    let every = density.nodes.len().div_ceil(DRAWN / 2);
    for ((x, size), p) in density.nodes.iter().zip(&density.values).step_by(every) {
        drawn.push((x[0], p * nodes));
        if *size > 1.0 {
            drawn.push((TAU - x[0], p * nodes));
        }
    }
    drawn.sort_by(|a, b| a.0.total_cmp(&b.0));
    Panel {
        title: "around the ring".into(),
        x: Axis::linear("place x").in_unit("radians"),
        y: Axis::linear("density over its mean"),
        series: vec![
            Series::new(
                "where the steps settle",
                Style::marks(0, Mark::Circle),
                drawn,
            ),
            Series::new(
                "1/s^2 (Ito)",
                Style::line(1, Line::Solid),
                places(64).map(|(x, v)| (x, ito(v))),
            ),
            Series::new(
                "1/sqrt(det D) (Jeffreys)",
                Style::line(2, Line::Dashed),
                places(64).map(|(x, v)| (x, jeffreys(v))),
            ),
        ],
        ..Panel::default()
    }
}

/// See the module.
pub fn picture() -> Picture {
    let mut panels = Vec::new();
    let mut told = Vec::new();
    for tori in TORI {
        let (torus, density, seen) = see(tori);
        if seen.dimension == 1 {
            panels.push(ring(&torus, &density));
        }
        told.push(format!(
            "{} against {} with {}",
            plain(seen.fitted),
            plain(-(seen.dimension as f64) / 2.0),
            seen.panel.title
        ));
        panels.push(seen.panel);
    }
    Picture {
        id: "stationary-density".into(),
        claims: vec!["implicit-jeffreys".into()],
        kind: Kind::Curves,
        title: "Where steps of pure noise settle".into(),
        caption: format!(
            "The density follows the noise with a power near -1 in every dimension, and not with that of Jeffreys: the power of s^2 that fits is {}. Only with two parameters are the two lines one (n = {} tori, eta = {STEP}).",
            told.join(", "),
            TORI.len(),
        ),
        source: "stationary densities of the transition kernel; nothing is drawn at random".into(),
        panels,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marks_lie_on_itos_line_and_leave_jeffreys_where_the_two_part() {
        let picture = picture();
        let one = &picture.panels[1];
        let (marks, ito, jeffreys) = (&one.series[0], &one.series[1], &one.series[2]);
        let first = |s: &Series| s.y[0].expect("it is positive");
        let near = |a: f64, b: f64| (a / b - 1.0).abs();
        assert!(near(first(marks), first(ito)) < 0.05);
        assert!(near(first(marks), first(jeffreys)) > 0.2);
        let two = &picture.panels[2];
        assert_eq!(two.series[1].y, two.series[2].y);
    }
}
