//! Judging a sentence at every value of a quantity that it does not name: a cell each, whose false alarms add up to those of a check.

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
    /// Whether at least half of the runs with some control show the same, which makes the effect none.
    pub in_control: bool,
}

/// What was found, and at which cells the sentence holds and fails, by their numbers.
pub struct Judged {
    /// The finding, its scope left open.
    pub finding: Finding,
    /// Where it holds.
    pub holding: Vec<usize>,
    /// Where it fails.
    pub failing: Vec<usize>,
}

/// A test of one cell: the false alarms of `cells` of them add up to those of a check.
pub fn cell_test(runs: u64, cells: usize, mut rates: Rates) -> RunTest {
    rates.false_alarm /= cells as f64;
    RunTest::new(runs, rates)
}

/// The sentence must hold at each cell. `cases` runs were looked at, controls among them.
pub fn judge(cells: &[Cell], cases: u64, draw: &Draw, sentence: &str) -> Judged {
    let (mut told, mut holding, mut failing) = (Vec::new(), Vec::new(), Vec::new());
    for (number, cell) in cells.iter().enumerate() {
        let test = cell_test(cell.fates.len() as u64, cells.len(), draw.rates);
        let count = |f: Option<Fate>| cell.fates.iter().filter(|&&g| g == f).count() as u64;
        let failed = count(Some(Fate::Fails));
        let (undecided, silent) = (count(Some(Fate::Undecided)), count(None));
        let mut line = format!(
            "{} of {} runs at {}",
            count(Some(Fate::Holds)),
            cell.fates.len(),
            cell.name
        );
        if undecided > 0 {
            line += &format!(" ({undecided} undecided)");
        }
        if silent > 0 {
            line += &format!(" ({silent} without what it speaks of)");
        }
        match test.outcome(failed, undecided + silent) {
            Outcome::Holds if cell.in_control => line += " (also in the control)",
            Outcome::Holds => holding.push(number),
            Outcome::Violated => failing.push(number),
            Outcome::Undecided => {}
        }
        told.push(line);
    }
    let outcome = if !failing.is_empty() {
        Outcome::Violated
    } else if holding.len() == cells.len() {
        Outcome::Holds
    } else {
        Outcome::Undecided
    };
    let summary = format!("{sentence} in {}", told.join(", "));
    let mut finding = Finding::new(outcome, cases, summary);
    finding.effect = Some(failing.len() as f64 / cells.len() as f64);
    Judged {
        finding,
        holding,
        failing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fjld_core::rng::Seed;

    fn found(fate: Option<Fate>, in_control: bool) -> Judged {
        let cell = Cell {
            name: "batch 1".into(),
            fates: vec![fate; 20],
            in_control,
        };
        let draw = Draw {
            seed: Seed::root(1),
            rates: Rates::of_one_slot(),
        };
        judge(&[cell], 20, &draw, "it is so")
    }

    #[test]
    fn a_cell_whose_control_shows_the_same_holds_nothing() {
        let plain = found(Some(Fate::Holds), false);
        assert_eq!(plain.finding.outcome, Outcome::Holds);
        assert_eq!(plain.holding, [0]);
        let same = found(Some(Fate::Holds), true);
        assert_eq!(same.finding.outcome, Outcome::Undecided);
        assert!(same.finding.summary.ends_with("(also in the control)"));
        assert_eq!(found(Some(Fate::Fails), true).failing, [0]);
    }

    #[test]
    fn runs_in_which_the_sentence_says_nothing_decide_nothing() {
        let silent = found(None, false);
        assert_eq!(silent.finding.outcome, Outcome::Undecided);
        let told = "it is so in 0 of 20 runs at batch 1 (20 without what it speaks of)";
        assert_eq!(silent.finding.summary, told);
    }
}
