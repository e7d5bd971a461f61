//! Sentences that must be true for each value of a quantity that they do not name, judged from runs.

use super::runs::Fate;
use crate::evidence::kernels::RunTest;
use crate::evidence::ledger::Rates;
use crate::evidence::{Draw, Finding, Outcome};

/// The runs at one value.
pub struct Cell {
    /// The value, in words.
    pub name: String,
    /// How the sentence fares in each run.
    pub fates: Vec<Fate>,
    /// Why the effect counts as none even where the sentence is true in the runs: what shows it as well.
    pub shown_by: Option<&'static str>,
    /// What else was seen.
    pub seen: String,
}

/// A test of one value: the false alarms of all of them add up to those of a check.
fn test(runs: u64, cells: usize, mut rates: Rates) -> RunTest {
    rates.false_alarm /= cells.max(1) as f64;
    RunTest::new(runs, rates)
}

/// The share of runs that violate a sentence and are detected, with so many runs at each of so many values.
pub fn detectable(runs: u64, cells: usize) -> f64 {
    test(runs, cells, Rates::of_one_slot()).detectable()
}

/// One violation refutes; the scope is the values at which the sentence holds. `place` says what the names of the cells are values of.
pub fn judge(cells: &[Cell], draw: &Draw, sentence: &str, place: &str) -> Finding {
    let (mut told, mut holding, mut failing) = (Vec::new(), Vec::new(), Vec::new());
    let mut cases = 0;
    for cell in cells {
        let count = |fate: Fate| cell.fates.iter().filter(|&&f| f == fate).count() as u64;
        let runs = cell.fates.len() as u64;
        cases += runs;
        let mut line = format!("{} of {runs} runs at {}", count(Fate::Holds), cell.name);
        let undecided = count(Fate::Undecided);
        if undecided > 0 {
            line += &format!(" ({undecided} undecided)");
        }
        let outcome = test(runs, cells.len(), draw.rates).outcome(count(Fate::Fails), undecided);
        match (outcome, cell.shown_by) {
            (Outcome::Holds, Some(other)) => line += &format!(" (also {other})"),
            (Outcome::Holds, None) => holding.push(cell.name.as_str()),
            (Outcome::Violated, _) => failing.push(cell.name.as_str()),
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
    let summary = format!("{sentence} in {}", told.join("; "));
    let mut finding = Finding::new(outcome, cases, summary);
    finding.effect = Some(failing.len() as f64 / cells.len().max(1) as f64);
    if outcome == Outcome::Violated && !holding.is_empty() {
        finding.scope = Some(format!(
            "{place} {} here; at {} it fails",
            holding.join(" or "),
            failing.join(", ")
        ));
    }
    finding
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

    fn judged(fates: &[(Fate, Option<&'static str>)]) -> Finding {
        let cells: Vec<Cell> = fates
            .iter()
            .enumerate()
            .map(|(k, &(fate, shown_by))| Cell {
                name: k.to_string(),
                fates: vec![fate; 8],
                shown_by,
                seen: String::new(),
            })
            .collect();
        let draw = Draw {
            seed: Seed::root(1),
            rates: Rates::of_one_slot(),
        };
        judge(&cells, &draw, "it is so", "the number is")
    }

    #[test]
    fn one_value_at_which_it_fails_refutes_with_the_others_as_scope() {
        let finding = judged(&[(Fate::Holds, None), (Fate::Fails, None)]);
        assert_eq!(finding.outcome, Outcome::Violated);
        assert_eq!(
            finding.scope.as_deref(),
            Some("the number is 0 here; at 1 it fails")
        );
        assert_eq!(judged(&[(Fate::Fails, None)]).scope, None);
    }

    #[test]
    fn an_effect_that_something_else_shows_too_counts_as_none() {
        let finding = judged(&[(Fate::Holds, None), (Fate::Holds, Some("in the control"))]);
        assert_eq!(finding.outcome, Outcome::Undecided);
        assert!(
            finding
                .summary
                .contains("8 of 8 runs at 1 (also in the control)")
        );
        assert_eq!(judged(&[(Fate::Holds, None)]).outcome, Outcome::Holds);
        assert_eq!(
            judged(&[(Fate::Undecided, None)]).outcome,
            Outcome::Undecided
        );
        assert_eq!(judged(&[]).outcome, Outcome::Undecided);
    }

    #[test]
    fn definitions_that_disagree_decide_nothing() {
        assert_eq!(agreed([true, true]), Fate::Holds);
        assert_eq!(agreed([false]), Fate::Fails);
        assert_eq!(agreed([true, false]), Fate::Undecided);
        assert_eq!(agreed([]), Fate::Undecided);
    }
}
