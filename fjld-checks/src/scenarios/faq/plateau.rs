//! Trainings that stand still for a while, watched by `C` and by the loss.

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
pub struct Plateau {
    /// Steps from reading to reading.
    every: u64,
    /// Readings that are looked back and ahead.
    window: usize,
    courses: Vec<Watched>,
}

/// A training to watch.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Watched {
    name: Kind,
    batch_size: usize,
    learning_rate: f64,
    /// What the first weights are multiplied by.
    start: f64,
    steps: u64,
    /// The step after which the learning rate is a tenth, if it is at some.
    drop: Option<u64>,
}

/// Where a plateau comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The training starts near the saddle of small weights.
    Saddle,
    /// Large steps end on the floor of their own noise, until the step size drops.
    Floor,
    /// The network has learned what it can.
    End,
    /// The control: none for as long as it is watched.
    Steady,
}

impl Kind {
    /// Those that have a plateau.
    pub const PLATEAUS: [Self; 3] = [Self::Saddle, Self::Floor, Self::End];

    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Saddle => "saddle",
            Self::Floor => "floor",
            Self::End => "end",
            Self::Steady => "steady",
        }
    }
}

/// A training from reading to reading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Counts the runs: one split of the data and one start.
    pub seed: u64,
    /// Which training.
    pub kind: Kind,
    /// Readings that are looked back and ahead.
    pub window: usize,
    /// In the order of training.
    pub readings: Vec<Reading>,
}

/// The state of a training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Steps taken.
    pub step: u64,
    /// `C` of one example, exactly; at batch `B` it is `B` times that. `None` where it is undefined.
    pub c: Option<f64>,
    /// The mean training loss; `None` where it is not finite.
    pub loss: Option<f64>,
    /// The mean held-out loss.
    pub held_out: Option<f64>,
}

impl Plateau {
    pub(super) fn check(&self, origin: &str) -> Result<()> {
        course::at_least_one(origin, "plateau.every", self.every)?;
        course::at_least_one(origin, "plateau.window", self.window as u64)?;
        for watched in &self.courses {
            let name = format!("plateau.courses.{}", watched.name.name());
            course::positive(
                origin,
                &format!("{name}.learning_rate"),
                watched.learning_rate,
            )?;
            course::positive(origin, &format!("{name}.start"), watched.start)?;
            let size = watched.batch_size as u64;
            course::at_least_one(origin, &format!("{name}.batch_size"), size)?;
        }
        let mut names: Vec<Kind> = self.courses.iter().map(|c| c.name).collect();
        names.sort_unstable();
        if names == [Kind::Saddle, Kind::Floor, Kind::End, Kind::Steady] {
            return Ok(());
        }
        Err(Error::input(format!(
            "{origin}: plateau.courses has {names:?}; it must have saddle, floor, end and steady, each once"
        )))
    }

    pub(super) fn run(&self, run: u64, bench: &Bench, seed: Seed) -> Result<Vec<Row>> {
        let parameters = bench.model.parameters();
        let start = Snapshot::of(parameters)?;
        let mut rows = Vec::new();
        for watched in &self.courses {
            start.restore(parameters)?;
            for (_, var) in parameters {
                var.set(&(var.as_tensor() * watched.start)?)?;
            }
            let order = seed.derive(watched.name.name());
            let (rate, size) = (watched.learning_rate, watched.batch_size);
            let mut course = Course::new(bench, Rule::Sgd, rate, size, order)?;
            let mut readings = Vec::new();
            for step in (0..=watched.steps).step_by(self.every as usize) {
                course.to(step)?;
                if watched.drop.is_some_and(|at| step >= at) {
                    course.optimiser.set_learning_rate(rate / 10.0);
                }
                let loss = bench.loss()?;
                readings.push(Reading {
                    step,
                    c: match loss {
                        Some(_) => population_ratio(&bench.model, &bench.train, usize::MAX)?,
                        None => None,
                    },
                    loss,
                    held_out: bench.held_out_loss()?,
                });
            }
            rows.push(Row {
                seed: run,
                kind: watched.name,
                window: self.window,
                readings,
            });
        }
        Ok(rows)
    }
}

pub(super) fn table(rows: &[Row]) -> String {
    let mut text = String::from("training  step  C of one example  training loss  held-out loss\n");
    let mut kinds: Vec<Kind> = rows.iter().map(|r| r.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    for kind in kinds {
        let own: Vec<&Row> = rows.iter().filter(|r| r.kind == kind).collect();
        let count = own.first().map_or(0, |r| r.readings.len());
        // every run would be a long list
        for k in (0..count).step_by((count / 12).max(1)) {
            let of = |value: fn(&Reading) -> Option<f64>| {
                mean(own.iter().filter_map(|r| value(&r.readings[k])))
            };
            writeln!(
                text,
                "{:8} {:5}  {:16.6}  {:13.4}  {:13.4}",
                kind.name(),
                own[0].readings[k].step,
                of(|r| r.c),
                of(|r| r.loss),
                of(|r| r.held_out)
            )
            .ok();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bench, words};
    use super::*;

    #[test]
    fn a_kind_is_named_as_in_files() {
        for kind in [Kind::Saddle, Kind::Floor, Kind::End, Kind::Steady] {
            let written = serde_json::to_string(&kind).expect("it is a name");
            assert_eq!(written, format!("\"{}\"", kind.name()));
        }
    }

    #[test]
    fn a_training_is_watched_from_its_scaled_start_and_at_a_tenth_of_its_rate_from_the_drop_on()
    -> Result<()> {
        let bench = bench()?;
        let parameters = bench.model.parameters();
        let start = Snapshot::of(parameters)?;
        let watched = |name, start, drop| Watched {
            name,
            batch_size: 16,
            learning_rate: 0.5,
            start,
            steps: 6,
            drop,
        };
        let plateau = Plateau {
            every: 2,
            window: 3,
            courses: vec![
                watched(Kind::Saddle, 0.5, None),
                watched(Kind::Floor, 1.0, Some(4)),
            ],
        };
        let seed = Seed::root(2);
        let rows = plateau.run(9, &bench, seed)?;
        let rates = [[0.5; 3], [0.5, 0.5, 0.05]];
        let kinds = [(Kind::Saddle, 0.5), (Kind::Floor, 1.0)];
        assert_eq!(rows.len(), 2);
        for ((row, (kind, scale)), rates) in rows.iter().zip(kinds).zip(rates) {
            assert_eq!((row.seed, row.kind, row.window), (9, kind, 3));
            start.restore(parameters)?;
            for (_, var) in parameters {
                var.set(&var.affine(scale, 0.0)?)?;
            }
            let order = seed.derive(kind.name());
            let mut course = Course::new(&bench, Rule::Sgd, 0.5, 16, order)?;
            let mut expected = vec![(0, bench.loss()?, bench.held_out_loss()?)];
            for (step, rate) in [2, 4, 6].into_iter().zip(rates) {
                course.optimiser.set_learning_rate(rate);
                course.to(step)?;
                expected.push((step, bench.loss()?, bench.held_out_loss()?));
            }
            assert_eq!(row.readings.len(), 4);
            for (reading, (step, loss, held_out)) in row.readings.iter().zip(expected) {
                assert_eq!(reading.step, step);
                // the same sums in f32; a step changes a loss by a hundred times as much
                let near = |a: Option<f64>, b: Option<f64>| (a.unwrap() - b.unwrap()).abs() < 1e-5;
                assert!(near(reading.loss, loss), "{reading:?} {loss:?}");
                assert!(near(reading.held_out, held_out), "{reading:?} {held_out:?}");
                assert!(reading.c.is_some_and(|c| c > 0.0), "{reading:?}");
            }
        }
        Ok(())
    }

    #[test]
    fn the_table_has_about_a_dozen_lines_a_kind_of_means_over_the_runs() {
        let row = |seed, kind, readings: u64, c| Row {
            seed,
            kind,
            window: 1,
            readings: (0..readings)
                .map(|k| Reading {
                    step: 10 * k,
                    c: Some(c),
                    loss: Some(c + k as f64),
                    held_out: None,
                })
                .collect(),
        };
        let text = table(&[
            row(0, Kind::End, 24, 1.0),
            row(1, Kind::End, 24, 2.0),
            row(0, Kind::Saddle, 3, 4.0),
        ]);
        let lines = words(&text);
        // of 24 readings every second one, of 3 each
        let steps = |name: &str| -> Vec<&str> {
            let own = lines.iter().filter(|words| words[0] == name);
            own.map(|words| words[1]).collect()
        };
        assert_eq!(steps("saddle"), ["0", "10", "20"]);
        let every_second = (0..12).map(|k| (20 * k).to_string());
        assert_eq!(steps("end"), every_second.collect::<Vec<_>>());
        assert_eq!(lines[4], ["end", "20", "1.500000", "3.5000", "NaN"]);
    }
}
