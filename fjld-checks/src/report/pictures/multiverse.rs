//! The grid of all readings of a sentence as a map.

use crate::claims::multiverse::{Cell, Multiverse};
use crate::evidence::picture::{self, Axis, Kind, Panel, Picture};

/// A panel for each definition: thresholds to the right, estimators and batches downward.
pub fn picture(claim: &str, grid: &Multiverse) -> Picture {
    let mut definitions: Vec<&str> = Vec::new();
    for cell in &grid.cells {
        if !definitions.contains(&cell.definition.as_str()) {
            definitions.push(&cell.definition);
        }
    }
    let panels = definitions.into_iter().map(|definition| {
        let own: Vec<&Cell> = grid
            .cells
            .iter()
            .filter(|cell| cell.definition == definition)
            .collect();
        panel(definition, &own)
    });
    let n = grid.cells.len();
    let agreeing = grid.cells.iter().filter(|cell| cell.agrees()).count();
    let runs = grid.cells.iter().map(|c| c.runs).max().unwrap_or(0);
    let controls = grid.cells.iter().map(|c| c.controls).max().unwrap_or(0);
    Picture {
        id: format!("multiverse-{claim}"),
        claims: vec![claim.to_owned()],
        kind: Kind::Map,
        title: "Every reading of the sentence".into(),
        caption: format!(
            "{agreeing} of n = {n} readings agree with the sentence: true in most runs and not in half of the controls (marked with *). In a cell stand the runs in which it is true, of {runs}, and the controls that show the same, of {controls}; the darker, the more runs. It would be true: {}.",
            grid.region
        ),
        source: "the multiverse of the claim".into(),
        panels: panels.collect(),
    }
}

fn panel(definition: &str, own: &[&Cell]) -> Panel {
    let row = |cell: &Cell| format!("{}, {}", cell.estimator.name(), cell.batch_size);
    let mut rows: Vec<String> = Vec::new();
    let mut thresholds: Vec<f64> = Vec::new();
    for cell in own {
        if !rows.contains(&row(cell)) {
            rows.push(row(cell));
        }
        if !thresholds.contains(&cell.threshold) {
            thresholds.push(cell.threshold);
        }
    }
    let mut cells = Vec::new();
    for name in &rows {
        for threshold in &thresholds {
            let found = own
                .iter()
                .find(|c| row(c) == *name && c.threshold == *threshold);
            cells.push(picture::Cell {
                shade: found.map(|c| c.holding as f64 / c.runs.max(1) as f64),
                text: found.map_or(String::new(), |c| {
                    let mark = if c.agrees() { "*" } else { "" };
                    format!("{} | {}{mark}", c.holding, c.in_control)
                }),
            });
        }
    }
    Panel {
        title: definition.to_owned(),
        x: Axis::names("threshold", thresholds.iter().map(f64::to_string).collect()),
        y: Axis::names("estimator, batch", rows),
        cells,
        ..Panel::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios::measurement::Estimator;

    #[test]
    fn a_grid_has_a_panel_for_each_definition_and_marks_the_readings_that_agree() {
        let cell = |definition: &str, threshold, holding| Cell {
            estimator: Estimator::PerExample,
            unit: "example".into(),
            batch_size: 1,
            definition: definition.into(),
            threshold,
            holding,
            runs: 5,
            in_control: 0,
            controls: 5,
        };
        let cells = vec![cell("a", 0.5, 5), cell("a", 1.0, 0), cell("b", 0.5, 2)];
        let picture = picture("c", &Multiverse::new(cells, "nowhere".into()));
        assert_eq!(picture.panels.len(), 2);
        let texts: Vec<&str> = picture.panels[0]
            .cells
            .iter()
            .map(|c| c.text.as_str())
            .collect();
        assert_eq!(texts, ["5 | 0*", "0 | 0"]);
        assert!(picture.caption.starts_with("1 of n = 3 readings"));
    }
}
