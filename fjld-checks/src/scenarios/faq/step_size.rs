//! Adjusting the step size where `C` comes near 1: halving it, against leaving it, and against as many halvings spaced evenly.

use super::mean;
use crate::error::{Error, Result};
use crate::scenarios::course::{self, Bench, Course};
use crate::scenarios::mask::Snapshot;
use crate::scenarios::measurement::population_ratio;
use crate::scenarios::optimiser::Rule;
use fjld_core::Objective;
use fjld_core::rng::Seed;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// This part as the file describes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepSize {
    /// Examples a step averages over.
    batch_size: usize,
    steps: u64,
    /// Steps from one look at `C` to the next.
    every: u64,
    /// Where trainings start from.
    learning_rates: Vec<f64>,
    /// The measurement batches that `C` is looked at with.
    measurement_batches: Vec<usize>,
}

/// When the step size is halved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Halving {
    /// Where `C` is between 0.8 and 1.2, the document's "critical".
    Near,
    /// Where `C` is below 1.2: near 1 or under it.
    Below,
}

impl Halving {
    /// Every rule.
    pub const ALL: [Self; 2] = [Self::Near, Self::Below];

    fn acts(self, c: f64) -> bool {
        match self {
            Self::Near => (0.8..=1.2).contains(&c),
            Self::Below => c <= 1.2,
        }
    }
}

/// One training under a rule, with those it is compared with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Counts the runs: one split of the data and one start.
    pub seed: u64,
    /// The step size at first.
    pub learning_rate: f64,
    /// The measurement batch.
    pub batch_size: usize,
    /// The rule.
    pub halving: Halving,
    /// How often it acted.
    pub changes: u64,
    /// With the rule.
    pub adjusted: End,
    /// With a constant step size.
    pub constant: End,
    /// The control: with as many halvings, spaced evenly.
    pub even: End,
}

/// Where a training ended.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// The mean training loss; `None` where it is not finite.
    pub loss: Option<f64>,
    /// The mean held-out loss.
    pub held_out: Option<f64>,
    /// Held-out accuracy.
    pub accuracy: f64,
}

/// The looks, out of `looks`, at which `changes` halvings are spaced evenly.
fn spaced(looks: u64, changes: u64) -> Vec<u64> {
    (1..=changes).map(|k| k * looks / (changes + 1)).collect()
}

impl StepSize {
    pub(super) fn check(&self, origin: &str) -> Result<()> {
        course::at_least_one(origin, "step_size.batch_size", self.batch_size as u64)?;
        course::at_least_one(origin, "step_size.every", self.every)?;
        for &rate in &self.learning_rates {
            course::positive(origin, "step_size.learning_rates", rate)?;
        }
        for &size in &self.measurement_batches {
            course::at_least_one(origin, "step_size.measurement_batches", size as u64)?;
        }
        if self.every >= self.steps {
            return Err(Error::input(format!(
                "{origin}: step_size.every is {}; it must be below step_size.steps = {}",
                self.every, self.steps
            )));
        }
        Ok(())
    }

    /// Trains from the start, halving the step size where `halve` says so, given the number of a look; tells how often it did.
    fn train(
        &self,
        (bench, start): (&Bench, &Snapshot),
        learning_rate: f64,
        order: Seed,
        mut halve: impl FnMut(u64) -> Result<bool>,
    ) -> Result<(End, u64)> {
        start.restore(bench.model.parameters())?;
        let mut course = Course::new(bench, Rule::Sgd, learning_rate, self.batch_size, order)?;
        let mut changes = 0;
        for look in 0..self.looks() {
            course.to(look * self.every)?;
            if halve(look)? {
                changes += 1;
                let halved = learning_rate * 0.5f64.powi(changes);
                course.optimiser.set_learning_rate(halved);
            }
        }
        course.to(self.steps)?;
        let end = End {
            loss: bench.loss()?,
            held_out: bench.held_out_loss()?,
            accuracy: bench.accuracy()?,
        };
        Ok((end, changes as u64))
    }

    /// Looks at `C`, the first before the first step.
    fn looks(&self) -> u64 {
        self.steps.div_ceil(self.every)
    }

    pub(super) fn run(&self, run: u64, bench: &Bench, seed: Seed) -> Result<Vec<Row>> {
        let start = Snapshot::of(bench.model.parameters())?;
        let from = (bench, &start);
        // all see the same batches, so that they differ by their step sizes only
        let order = seed.derive("order");
        let mut rows = Vec::new();
        for &learning_rate in &self.learning_rates {
            let (constant, _) = self.train(from, learning_rate, order, |_| Ok(false))?;
            for &batch_size in &self.measurement_batches {
                for halving in Halving::ALL {
                    let looked = |_| {
                        // a training that diverged has no C, and nothing to act on
                        if bench.loss()?.is_none() {
                            return Ok(false);
                        }
                        let c = population_ratio(&bench.model, &bench.train, usize::MAX)?;
                        Ok(c.is_some_and(|c| halving.acts(c * batch_size as f64)))
                    };
                    let (adjusted, changes) = self.train(from, learning_rate, order, looked)?;
                    let at = spaced(self.looks(), changes);
                    let even = match changes {
                        0 => constant,
                        _ => {
                            let is = |look| Ok(at.contains(&look));
                            self.train(from, learning_rate, order, is)?.0
                        }
                    };
                    rows.push(Row {
                        seed: run,
                        learning_rate,
                        batch_size,
                        halving,
                        changes,
                        adjusted,
                        constant,
                        even,
                    });
                }
            }
        }
        Ok(rows)
    }
}

pub(super) fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "halving  first step size  batch of C  changes  held-out loss in the end: adjusted, constant, evenly spaced\n",
    );
    let mut keys: Vec<(f64, usize, Halving)> = rows
        .iter()
        .map(|r| (r.learning_rate, r.batch_size, r.halving))
        .collect();
    keys.sort_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    keys.dedup();
    for key in keys {
        let own = || {
            rows.iter()
                .filter(move |r| (r.learning_rate, r.batch_size, r.halving) == key)
        };
        let of = |end: fn(&Row) -> End| mean(own().filter_map(|r| end(r).held_out));
        writeln!(
            text,
            "{:7}  {:15}  {:10}  {:7.1}  {:.4}  {:.4}  {:.4}",
            format!("{:?}", key.2).to_lowercase(),
            key.0,
            key.1,
            mean(own().map(|r| r.changes as f64)),
            of(|r| r.adjusted),
            of(|r| r.constant),
            of(|r| r.even)
        )
        .ok();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_act_near_one_and_one_of_them_below_it() {
        let acts = |c| Halving::ALL.map(|rule| rule.acts(c));
        assert_eq!(acts(0.1), [false, true]);
        assert_eq!(acts(1.0), [true, true]);
        assert_eq!(acts(1.3), [false, false]);
    }

    #[test]
    fn the_control_has_as_many_halvings_at_looks_of_their_own() {
        assert_eq!(spaced(10, 1), [5]);
        assert_eq!(spaced(10, 4), [2, 4, 6, 8]);
        let all = spaced(10, 10);
        assert_eq!((all.len(), all.iter().max()), (10, Some(&9)));
    }

    use super::super::tests::{bench, words};

    fn steps_of(steps: u64, every: u64, measurement_batches: &[usize]) -> StepSize {
        StepSize {
            batch_size: 32,
            steps,
            every,
            learning_rates: vec![0.001],
            measurement_batches: measurement_batches.to_vec(),
        }
    }

    #[test]
    fn the_step_size_is_halved_at_the_looks_that_say_so() -> Result<()> {
        let bench = bench()?;
        let start = Snapshot::of(bench.model.parameters())?;
        let order = Seed::root(2);
        let mut seen = Vec::new();
        // looks before steps 0, 3 and 6 of 7
        let (end, changes) = steps_of(7, 3, &[]).train((&bench, &start), 0.4, order, |look| {
            seen.push(look);
            Ok(look > 0)
        })?;
        assert_eq!((seen, changes), (vec![0, 1, 2], 2));
        start.restore(bench.model.parameters())?;
        let mut course = Course::new(&bench, Rule::Sgd, 0.4, 32, order)?;
        for (step, rate) in [(3, 0.4), (6, 0.2), (7, 0.1)] {
            course.optimiser.set_learning_rate(rate);
            course.to(step)?;
        }
        let near = |a: Option<f64>, b: Option<f64>| (a.unwrap() - b.unwrap()).abs() < 1e-5;
        // the same sums in f32; a step changes a loss by a hundred times as much
        assert!(near(end.loss, bench.loss()?), "{end:?}");
        assert!(near(end.held_out, bench.held_out_loss()?), "{end:?}");
        assert_eq!(end.accuracy, bench.accuracy()?);
        Ok(())
    }

    #[test]
    fn looks_begin_before_the_first_step_and_end_before_the_last() {
        assert_eq!(steps_of(200, 20, &[]).looks(), 10);
        assert_eq!(steps_of(201, 20, &[]).looks(), 11);
        assert_eq!(steps_of(3, 2, &[]).looks(), 2);
    }

    #[test]
    fn a_rule_acts_on_c_at_the_measurement_batch() -> Result<()> {
        let bench = bench()?;
        let c = population_ratio(&bench.model, &bench.train, usize::MAX)?;
        let c = c.expect("examples differ");
        // at these batches C is below what is critical, critical, and above it, and steps of a thousandth leave it there
        let critical = (1.0 / c).round() as usize;
        assert!(critical >= 3, "{c}");
        let batches = [1, critical, 1_000_000];
        let rows = steps_of(2, 1, &batches).run(5, &bench, Seed::root(3))?;
        let found: Vec<_> = rows
            .iter()
            .map(|r| (r.batch_size, r.halving, r.changes))
            .collect();
        let expected = [
            (1, Halving::Near, 0),
            (1, Halving::Below, 2),
            (critical, Halving::Near, 2),
            (critical, Halving::Below, 2),
            (1_000_000, Halving::Near, 0),
            (1_000_000, Halving::Below, 0),
        ];
        assert_eq!(found, expected);
        for row in rows {
            assert_eq!((row.seed, row.learning_rate), (5, 0.001));
            // without a halving all three trainings are the same, and two of two looks are spaced in one way only
            assert_eq!(row.even, row.adjusted, "{row:?}");
            assert_eq!(row.constant == row.adjusted, row.changes == 0, "{row:?}");
        }
        Ok(())
    }

    #[test]
    fn the_table_has_means_over_the_runs_of_each_rule_rate_and_batch() {
        let end = |held_out| End {
            loss: None,
            held_out: Some(held_out),
            accuracy: 0.5,
        };
        let row = |learning_rate, batch_size, halving, changes, held_out| Row {
            seed: 0,
            learning_rate,
            batch_size,
            halving,
            changes,
            adjusted: end(held_out),
            constant: end(2.0 * held_out),
            even: end(3.0 * held_out),
        };
        let text = table(&[
            row(0.5, 16, Halving::Near, 1, 0.25),
            row(0.5, 16, Halving::Near, 4, 0.75),
            row(0.5, 16, Halving::Below, 7, 2.0),
            row(0.1, 64, Halving::Near, 9, 3.0),
        ]);
        let expected = [
            ["near", "0.1", "64", "9.0", "3.0000", "6.0000", "9.0000"],
            ["near", "0.5", "16", "2.5", "0.5000", "1.0000", "1.5000"],
            ["below", "0.5", "16", "7.0", "2.0000", "4.0000", "6.0000"],
        ];
        assert_eq!(words(&text), expected);
    }
}
