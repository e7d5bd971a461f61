//! What measuring costs, as recorded by the benches. No claim is judged by it: those on costs are judged by counted operations and bytes.

use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// The schema of recorded timings.
pub const SCHEMA: &str = "fjld-timings/1";

/// A hash of the sources that the benches measure, as this program was built from them (`benches/src/sources.rs`).
pub const SOURCES: &str = env!("FJLD_MEASURED_SOURCES");

/// The figures of the benches that have a target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timings {
    /// [`SCHEMA`].
    pub schema: String,
    /// What makes them out of the raw rows.
    pub command: String,
    /// One each.
    pub figures: Vec<Figure>,
}

/// A ratio of two costs beside its target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Of which costs.
    pub what: String,
    /// The model or size.
    pub of: String,
    /// Measured: the median over rounds.
    pub ratio: f64,
    /// The target.
    pub limit: f64,
    /// Whether the ratio is to be at least the target; at most, otherwise.
    pub at_least: bool,
    /// The processor.
    pub on: String,
    /// The day, UTC.
    pub date: String,
    /// What was measured, as [`SOURCES`].
    pub sources: String,
}

impl Figure {
    /// Whether it keeps to its target.
    pub fn is_met(&self) -> bool {
        match self.at_least {
            true => self.ratio >= self.limit,
            false => self.ratio <= self.limit,
        }
    }

    /// Whether other sources were measured than `sources`.
    pub fn has_lapsed(&self, sources: &str) -> bool {
        self.sources != sources
    }

    /// Both in words.
    pub fn standing(&self, sources: &str) -> &'static str {
        match (self.is_met(), self.has_lapsed(sources)) {
            (true, false) => "met",
            (false, false) => "missed",
            (true, true) => "met, lapsed",
            (false, true) => "missed, lapsed",
        }
    }
}

/// The committed recording.
pub fn recorded() -> &'static Timings {
    static RECORDED: LazyLock<Timings> = LazyLock::new(|| {
        let text = include_str!("../../recorded/timings.json");
        serde_json::from_str(text).expect("a test reads what was recorded")
    });
    &RECORDED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recording_is_read_and_every_figure_is_a_number_of_known_sources() {
        let timings = recorded();
        assert_eq!(timings.schema, SCHEMA);
        assert!(!timings.figures.is_empty());
        for figure in &timings.figures {
            assert!(figure.ratio > 0.0 && figure.limit > 0.0, "{figure:?}");
            assert_eq!(figure.sources.len(), 16, "{figure:?}");
        }
        assert_eq!(SOURCES.len(), 16);
    }

    #[test]
    fn a_figure_lapses_with_its_sources_and_is_met_on_its_side_of_the_target() {
        let mut figure = recorded().figures[0].clone();
        assert!(!figure.has_lapsed(&figure.sources));
        assert!(figure.has_lapsed("another"));
        let mut met = |ratio, at_least| {
            (figure.ratio, figure.limit, figure.at_least) = (ratio, 0.5, at_least);
            figure.is_met()
        };
        assert!(met(0.4, false) && !met(0.6, false));
        assert!(met(0.6, true) && !met(0.4, true));
        (figure.ratio, figure.at_least) = (0.6, false);
        assert_eq!(figure.standing(&figure.sources), "missed");
        assert_eq!(figure.standing("another"), "missed, lapsed");
        figure.ratio = 0.4;
        assert_eq!(figure.standing(&figure.sources), "met");
        assert_eq!(figure.standing("another"), "met, lapsed");
    }
}
