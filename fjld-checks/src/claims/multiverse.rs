//! Every reasonable way to read an empirical sentence at once: estimator, unit, measurement batch, definition of its words and threshold
//! (Steegen, Tuerlinckx, Gelman and Vanpaemel 2016, *Perspectives on Psychological Science* 11). A verdict that hangs on one choice shows
//! here; so does the region, if there is one, in which the sentence would be true.

use super::config::{self, Ranges};
use super::runs::{Runs, SCENARIO};
use super::{crossing, grokking, ratio_tracks_accuracy};
use crate::error::Result;
use crate::scenarios::measurement::{Estimator, View};
use crate::scenarios::store::{Evidence, RunStore};
use crate::scenarios::training::Curve;
use serde::{Deserialize, Serialize};

/// The grid of one claim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Multiverse {
    /// The share of the cells that agree with the sentence.
    pub agreeing: f64,
    /// Where the sentence would be true, by the fitted threshold of each estimator and batch.
    pub region: String,
    /// The grid.
    pub cells: Vec<Cell>,
}

/// One way to read the sentence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// How `C` was measured.
    pub estimator: Estimator,
    /// What the batch is counted in.
    pub unit: String,
    /// How many examples it averages over.
    pub batch_size: usize,
    /// The definition of the sentence's words.
    pub definition: String,
    /// The threshold.
    pub threshold: f64,
    /// Runs in which the sentence is true.
    pub holding: usize,
    /// Runs.
    pub runs: usize,
    /// Controls that show the same.
    pub in_control: usize,
    /// Controls.
    pub controls: usize,
}

impl Cell {
    /// Whether the sentence is true in most runs and not in half of the controls.
    pub fn agrees(&self) -> bool {
        2 * self.holding > self.runs && (self.controls == 0 || 2 * self.in_control < self.controls)
    }
}

/// The grid of the claim with this name; `None` for claims that are not about training runs.
///
/// # Errors
/// When the runs are not there.
pub fn of(id: &str, runs: &RunStore) -> Result<Option<Multiverse>> {
    if let Some((scenario, ranges)) = config::of(id) {
        return Ok(runs.get(scenario).ok().map(|e| of_range(ranges, e)));
    }
    let (scenario, grid): (_, fn(&[Runs; 2]) -> Multiverse) = match id {
        "phase-precedes-accuracy" => (SCENARIO, crossing::multiverse),
        "ratio-tracks-accuracy" => (SCENARIO, ratio_tracks_accuracy::multiverse),
        "grokking" => (grokking::SCENARIO, crossing::multiverse),
        _ => return Ok(None),
    };
    let evidence = runs.get(scenario)?;
    Ok(Some(grid(&BOTH.map(|estimator| {
        Runs::of(evidence, View::of_examples(estimator))
    }))))
}

const BOTH: [Estimator; 2] = [Estimator::Minibatch, Estimator::PerExample];

/// The grid of a claim about a range of `C`: every estimator and unit, at the learning rate of the verdict and at every other.
fn of_range(ranges: Ranges, evidence: &Evidence) -> Multiverse {
    let mut rates: Vec<Option<f64>> = Vec::new();
    for curve in &evidence.curves {
        let rate = curve.item.learning_rate;
        if !rates.contains(&rate) {
            rates.push(rate);
        }
    }
    let mut cells = Vec::new();
    for unit in evidence.units.iter().copied() {
        for estimator in BOTH {
            let view = View { estimator, unit };
            let of_rate = rates.iter().map(|&rate| {
                let runs = Runs::at_rate(evidence, view, rate);
                let prefix = match (rates.len(), rate) {
                    (1, _) => String::new(),
                    (_, rate) => format!("rate {}, ", rate.unwrap_or(evidence.learning_rate)),
                };
                config::cells(ranges, &runs, &prefix)
            });
            // row by row: the cells of one batch follow each other, whatever the rate
            let of_rate: Vec<Vec<Cell>> = of_rate.collect();
            for &batch in &evidence.batch_sizes {
                for cells_of_rate in &of_rate {
                    let own = cells_of_rate.iter().filter(|c| c.batch_size == batch);
                    cells.extend(own.cloned());
                }
            }
        }
    }
    let agreeing = cells.iter().filter(|c| c.threshold == 1.0 && c.agrees());
    let at: Vec<String> = agreeing
        .map(|c| {
            format!(
                "{} of {} {}s, {}",
                c.estimator.name(),
                c.batch_size,
                c.unit,
                c.definition
            )
        })
        .collect();
    let region = match at.is_empty() {
        true => "by none of these readings, as the ranges are stated".to_owned(),
        false => at.join("; "),
    };
    Multiverse::new(cells, region)
}

/// Judges every run and control by every reading of the sentence: `definitions` by `thresholds`, at each estimator and batch.
pub fn grid(
    views: &[Runs],
    definitions: &[&str],
    thresholds: &[f64],
    holds: impl Fn(&Runs, &Curve, usize, usize, f64) -> bool,
    in_control: impl Fn(&Runs, &Curve, usize, usize, f64) -> bool,
) -> Vec<Cell> {
    let mut cells = Vec::new();
    for runs in views {
        for &batch_size in &runs.batch_sizes {
            for (definition, name) in definitions.iter().enumerate() {
                for &threshold in thresholds {
                    let own =
                        |curve: &&Curve| holds(runs, curve, batch_size, definition, threshold);
                    let same =
                        |curve: &&Curve| in_control(runs, curve, batch_size, definition, threshold);
                    cells.push(Cell {
                        estimator: runs.view.estimator,
                        unit: runs.view.unit.name().into(),
                        batch_size,
                        definition: (*name).to_owned(),
                        threshold,
                        holding: runs.runs.iter().filter(own).count(),
                        runs: runs.runs.len(),
                        in_control: runs.controls.iter().filter(same).count(),
                        controls: runs.controls.len(),
                    });
                }
            }
        }
    }
    cells
}

impl Multiverse {
    /// A grid with the region that was fitted beside it.
    pub fn new(cells: Vec<Cell>, region: String) -> Self {
        let agreeing = cells.iter().filter(|cell| cell.agrees()).count();
        Self {
            agreeing: agreeing as f64 / cells.len().max(1) as f64,
            region,
            cells,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(holding: usize, in_control: usize) -> Cell {
        Cell {
            estimator: Estimator::PerExample,
            unit: "example".into(),
            batch_size: 1,
            definition: String::new(),
            threshold: 1.0,
            holding,
            runs: 5,
            in_control,
            controls: 4,
        }
    }

    #[test]
    fn a_reading_agrees_when_most_runs_do_and_the_control_does_not() {
        assert!(cell(3, 1).agrees());
        assert!(!cell(2, 0).agrees());
        assert!(!cell(5, 2).agrees());
        let grid = Multiverse::new(vec![cell(3, 1), cell(0, 0)], String::new());
        assert_eq!(grid.agreeing, 0.5);
    }
}
