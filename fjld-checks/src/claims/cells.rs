//! Judging a sentence from runs at every value of a quantity that it does not name: a cell each, whose false alarms add up to those of a
//! check.

use super::runs::Fate;
use crate::evidence::kernels::RunTest;
use crate::evidence::ledger::Rates;
use crate::evidence::{Draw, Finding, Outcome};

/// The runs at one value.
pub struct Cell {
    /// The value, as in "batch 16".
    pub name: String,
    /// How the sentence fares in each run; `None` where what it speaks of does not come to pass, so that it says nothing.
    pub fates: Vec<Option<Fate>>,
    /// Why the effect counts as none even where the sentence is true in the runs: what shows it as well, as in "in the control".
    pub shown_by: Option<&'static str>,
    /// How many runs of each control show the same, if that was counted.
    pub in_controls: String,
    /// What else was seen.
    pub seen: String,
}

impl Cell {
    /// Runs at a value, without anything that shows the same.
    pub fn new(name: impl Into<String>, fates: impl IntoIterator<Item = Option<Fate>>) -> Self {
        Self {
            name: name.into(),
            fates: fates.into_iter().collect(),
            shown_by: None,
            in_controls: String::new(),
            seen: String::new(),
        }
    }
}

/// What was found, and at which cells the sentence holds and fails, by their numbers.
pub struct Judged {
    /// The finding, its scope left open, its cases the runs of all cells.
    pub finding: Finding,
    /// Where it holds.
    pub holding: Vec<usize>,
    /// Where it fails.
    pub failing: Vec<usize>,
}

impl Judged {
    /// The finding with the values at which a refuted sentence holds as its scope. `place` says what the names are values of.
    pub fn with_scope(self, place: &str, name: impl Fn(usize) -> String) -> Finding {
        let names = |cells: &[usize]| -> Vec<String> { cells.iter().map(|&c| name(c)).collect() };
        let mut finding = self.finding;
        if finding.outcome == Outcome::Violated && !self.holding.is_empty() {
            finding.scope = Some(format!(
                "{place} {} here; at {} it fails",
                names(&self.holding).join(" or "),
                names(&self.failing).join(", ")
            ));
        }
        finding
    }
}

/// A test of one cell: the false alarms of `cells` of them add up to those of a check.
pub fn cell_test(runs: u64, cells: usize, mut rates: Rates) -> RunTest {
    rates.false_alarm /= cells.max(1) as f64;
    RunTest::new(runs, rates)
}

/// The share of runs that violate a sentence and are detected, with so many runs at each of so many values.
pub fn detectable(runs: u64, cells: usize) -> f64 {
    cell_test(runs, cells, Rates::of_one_slot()).detectable()
}

/// The sentence must hold at each cell, and one at which it fails refutes it.
pub fn judge(cells: &[Cell], draw: &Draw, sentence: &str) -> Judged {
    let (mut told, mut holding, mut failing) = (Vec::new(), Vec::new(), Vec::new());
    let mut cases = 0;
    for (number, cell) in cells.iter().enumerate() {
        let count = |f: Option<Fate>| cell.fates.iter().filter(|&&g| g == f).count() as u64;
        let runs = cell.fates.len() as u64;
        cases += runs;
        let (undecided, silent) = (count(Some(Fate::Undecided)), count(None));
        let mut line = format!(
            "{} of {runs} runs at {}",
            count(Some(Fate::Holds)),
            cell.name
        );
        let mut aside = Vec::new();
        if undecided > 0 {
            aside.push(format!("{undecided} undecided"));
        }
        if silent > 0 {
            aside.push(format!("{silent} without what it speaks of"));
        }
        if !cell.in_controls.is_empty() {
            aside.push(format!("the same in {}", cell.in_controls));
        }
        if !aside.is_empty() {
            line += &format!(" ({})", aside.join("; "));
        }
        let test = cell_test(runs, cells.len(), draw.rates);
        let outcome = test.outcome(count(Some(Fate::Fails)), undecided + silent);
        match (outcome, cell.shown_by) {
            (Outcome::Holds, Some(other)) => line += &format!(" (also {other})"),
            (Outcome::Holds, None) => holding.push(number),
            (Outcome::Violated, _) => failing.push(number),
            (Outcome::Undecided, _) => {}
        }
        if !cell.seen.is_empty() {
            line += &format!(": {}", cell.seen);
        }
        told.push(line);
    }
    let outcome = if !failing.is_empty() {
        Outcome::Violated
    } else if !cells.is_empty() && holding.len() == cells.len() {
        Outcome::Holds
    } else {
        Outcome::Undecided
    };
    // what was seen at a cell has commas of its own
    let between = match cells.iter().all(|cell| cell.seen.is_empty()) {
        true => ", ",
        false => "; ",
    };
    let summary = format!("{sentence} in {}", told.join(between));
    let mut finding = Finding::new(outcome, cases, summary);
    finding.effect = Some(failing.len() as f64 / cells.len().max(1) as f64);
    Judged {
        finding,
        holding,
        failing,
    }
}

/// Runs by their numbers, in the order in which they come.
pub fn by_seed<T>(rows: impl IntoIterator<Item = T>, seed: fn(&T) -> u64) -> Vec<Vec<T>> {
    let mut runs: Vec<Vec<T>> = Vec::new();
    for row in rows {
        let own = |run: &&mut Vec<T>| run.first().map(seed) == Some(seed(&row));
        match runs.iter_mut().find(own) {
            Some(run) => run.push(row),
            None => runs.push(vec![row]),
        }
    }
    runs
}

/// `Holds` where every definition says so, `Fails` where every one denies it.
pub fn agreed(definitions: impl IntoIterator<Item = bool>) -> Fate {
    let (mut yes, mut no) = (0, 0);
    for definition in definitions {
        if definition {
            yes += 1;
        } else {
            no += 1;
        }
    }
    match (yes, no) {
        (1.., 0) => Fate::Holds,
        (0, 1..) => Fate::Fails,
        _ => Fate::Undecided,
    }
}

/// The mean; `None` without values.
pub fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let values: Vec<f64> = values.into_iter().collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// A number in words.
pub fn shown(value: Option<f64>) -> String {
    value.map_or("undefined".into(), |v| format!("{v:.2}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fjld_core::rng::Seed;

    fn judged(fates: &[(Option<Fate>, Option<&'static str>)]) -> Finding {
        let cells: Vec<Cell> = fates
            .iter()
            .enumerate()
            .map(|(k, &(fate, shown_by))| Cell {
                shown_by,
                ..Cell::new(k.to_string(), vec![fate; 20])
            })
            .collect();
        let draw = Draw {
            seed: Seed::root(1),
            rates: Rates::of_one_slot(),
        };
        let judged = judge(&cells, &draw, "it is so");
        judged.with_scope("the number is", |c| cells[c].name.clone())
    }

    #[test]
    fn one_value_at_which_it_fails_refutes_with_the_others_as_scope() {
        let finding = judged(&[(Some(Fate::Holds), None), (Some(Fate::Fails), None)]);
        assert_eq!(finding.outcome, Outcome::Violated);
        assert_eq!(
            finding.scope.as_deref(),
            Some("the number is 0 here; at 1 it fails")
        );
        assert_eq!(judged(&[(Some(Fate::Fails), None)]).scope, None);
    }

    #[test]
    fn an_effect_that_something_else_shows_too_counts_as_none() {
        let holds = Some(Fate::Holds);
        let finding = judged(&[(holds, None), (holds, Some("in the control"))]);
        assert_eq!(finding.outcome, Outcome::Undecided);
        assert_eq!(
            finding.summary,
            "it is so in 20 of 20 runs at 0, 20 of 20 runs at 1 (also in the control)"
        );
        assert_eq!(judged(&[(holds, None)]).outcome, Outcome::Holds);
        let failing = judged(&[(Some(Fate::Fails), Some("in the control"))]);
        assert_eq!(failing.outcome, Outcome::Violated);
        assert_eq!(judged(&[]).outcome, Outcome::Undecided);
    }

    #[test]
    fn runs_that_leave_it_open_or_in_which_the_sentence_says_nothing_decide_nothing() {
        let open = judged(&[(Some(Fate::Undecided), None)]);
        assert_eq!(open.outcome, Outcome::Undecided);
        let silent = judged(&[(None, None)]);
        assert_eq!(silent.outcome, Outcome::Undecided);
        let told = "it is so in 0 of 20 runs at 0 (20 without what it speaks of)";
        assert_eq!(silent.summary, told);
    }

    #[test]
    fn definitions_that_disagree_decide_nothing() {
        assert_eq!(agreed([true, true]), Fate::Holds);
        assert_eq!(agreed([false]), Fate::Fails);
        assert_eq!(agreed([true, false]), Fate::Undecided);
        assert_eq!(agreed([]), Fate::Undecided);
    }
}
