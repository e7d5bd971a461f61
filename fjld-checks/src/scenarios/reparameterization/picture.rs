//! Which metric notices which change of parameters, as a map.

use super::metrics::Metric;
use super::transformation::Transformation;
use super::{Cell, Table};
use crate::evidence::picture::{self, Axis, Kind, Panel, Picture, plain};

/// The largest change that is rounding.
const ROUNDING: f64 = 1e-6;

/// White at a thousandth, black at ten times.
fn shade(change: f64) -> f64 {
    match change < ROUNDING {
        true => 0.0,
        false => ((change.log10() + 3.0) / 4.0).clamp(0.05, 1.0),
    }
}

fn written(change: f64) -> String {
    match change < ROUNDING {
        true => "stays".into(),
        false if change < 10.0 => format!("{change:.2}"),
        false => format!("{change:.0}"),
    }
}

impl Table {
    /// The changes on the same draws as a map, which speaks to `claims`.
    pub fn picture(&self, claims: &[String]) -> Picture {
        let own = |metric: Metric| self.cells.iter().filter(move |c| c.metric == metric);
        let cell = |cell: &Cell| picture::Cell {
            shade: cell.same_draws.map(shade),
            text: cell.same_draws.map_or("none".into(), written),
        };
        let cells = Metric::ALL.into_iter().flat_map(|m| own(m).map(cell));
        let told = Metric::ALL.map(|metric| {
            let moved: Vec<f64> = own(metric)
                .filter_map(|c| c.same_draws)
                .filter(|&change| change >= ROUNDING)
                .collect();
            let exist = own(metric).filter(|c| c.same_draws.is_some()).count();
            match moved.iter().copied().reduce(f64::max) {
                None => format!("{} stays under all {exist}", metric.name()),
                Some(most) => format!(
                    "{} moves under {} of {exist}, by up to {}",
                    metric.name(),
                    moved.len(),
                    plain(most)
                ),
            }
        });
        Picture {
            id: "invariance".into(),
            claims: claims.to_vec(),
            kind: Kind::Map,
            title: "Which metric notices a change of parameters".into(),
            caption: format!(
                "{}. The largest change of several random transformations of each kind, on the same draws, relative (for a logarithm the difference); below {} it is rounding (n = {} examples, {} parameters).",
                told.join("; "),
                plain(ROUNDING),
                self.samples,
                self.dimension
            ),
            source: format!("scenario {}", self.scenario),
            panels: vec![Panel {
                title: String::new(),
                x: Axis::names(
                    "change of parameters",
                    Transformation::ALL.map(|t| t.name().to_owned()).to_vec(),
                ),
                y: Axis::names("metric", Metric::ALL.map(|m| m.name().to_owned()).to_vec()),
                cells: cells.collect(),
                ..Panel::default()
            }],
        }
    }
}
