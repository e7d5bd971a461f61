//! Which metric notices which change of parameters, as a map.

use super::metrics::Metric;
use super::transformation::Transformation;
use super::{Cell, Table};
use crate::evidence::picture::{self, Axis, Kind, Panel, Picture, plain};

/// A change below this is rounding.
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

#[cfg(test)]
mod tests {
    use super::super::tests::table;
    use super::*;

    #[test]
    fn shades_go_from_white_at_a_thousandth_to_black_at_ten_times_in_logarithms() {
        // a quarter for every factor of ten
        for (change, expected) in [(0.01, 0.25), (0.1, 0.5), (1.0, 0.75), (10.0, 1.0)] {
            // rounding of a logarithm
            assert!((shade(change) - expected).abs() < 1e-12, "{change}");
        }
        assert_eq!(shade(1e4), 1.0);
        // what moved at all is never quite white, what is below 1e-6 is
        assert_eq!([1e-3, 1e-6].map(shade), [0.05; 2]);
        assert_eq!([0.99e-6, 1e-12, 0.0].map(shade), [0.0; 3]);
    }

    #[test]
    fn changes_are_written_with_two_decimals_below_ten_and_what_is_rounding_stays() {
        let text = [0.0, 0.99e-6, 0.126, 9.5, 10.0, 123.4].map(written);
        assert_eq!(text, ["stays", "stays", "0.13", "9.50", "10", "123"]);
        // rounding is below 1e-6, as the caption says
        assert_ne!(written(1e-6), "stays");
    }

    #[test]
    fn the_map_has_a_row_for_every_metric_and_tells_how_many_changes_each_notices() {
        let same = |t: usize, m: usize| match Metric::ALL[m] {
            Metric::Ratio => Some([0.0, 1e-9, 12.4, 0.5, 1.0, 0.1][t]),
            // in the first and the last it does not exist
            Metric::Kfac => (1..5).contains(&t).then_some(1e-9),
            _ => Some(1e-9),
        };
        let picture = table(same, |_, _| None).picture(&["theorem-2".into()]);
        let told = [
            "C moves under 4 of 6, by up to 12.4",
            "C, diagonally weighted stays under all 6",
            "t / rank D stays under all 6",
            "C, Kronecker form stays under all 4",
            "log Jeffreys, diagonal stays under all 6",
            "effective rank stays under all 6",
        ];
        let caption = &picture.caption;
        assert!(
            caption.starts_with(&format!("{}. ", told.join("; "))),
            "{caption}"
        );
        assert!(
            caption.contains("n = 40 examples, 172 parameters"),
            "{caption}"
        );
        assert_eq!(picture.claims, ["theorem-2"]);
        let cells = &picture.panels[0].cells;
        assert_eq!(cells.len(), 36);
        let row = |m: usize| cells[6 * m..6 * (m + 1)].iter();
        let ratio = ["stays", "stays", "12", "0.50", "1.00", "0.10"];
        assert!(row(0).map(|c| c.text.as_str()).eq(ratio));
        let kronecker = ["none", "stays", "stays", "stays", "stays", "none"];
        assert!(row(3).map(|c| c.text.as_str()).eq(kronecker));
        let (nothing, white) = (None, Some(0.0));
        let shades = [nothing, white, white, white, white, nothing];
        assert!(row(3).map(|c| c.shade).eq(shades));
    }
}
