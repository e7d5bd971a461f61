//! What the document's FAQ advises to do with `C`: prune by it, see plateaus by it, set the step size by it. A part each, with the plain
//! ways of doing the same beside it.

pub mod plateau;
pub mod pruning;
pub mod step_size;

use super::data::choice::DataChoice;
use super::data::folder::DataSet;
use super::models::ModelChoice;
use super::study::{self, Study, Tiers, Work, line};
use crate::error::{Error, Result};
use crate::tier::Tier;
use serde::{Deserialize, Serialize};

/// The experiment as its file describes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Faq {
    schema: String,
    kind: String,
    name: String,
    about: String,
    claims: Vec<String>,
    data: DataChoice,
    model: ModelChoice,
    pruning: pruning::Pruning,
    plateau: plateau::Plateau,
    step_size: step_size::StepSize,
    tiers: Tiers,
}

/// A line of the evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "part", rename_all = "kebab-case")]
pub enum Row {
    /// A pruned network.
    Pruning(pruning::Row),
    /// A training watched from reading to reading.
    Plateau(plateau::Row),
    /// A training whose step size was adjusted or not.
    StepSize(step_size::Row),
}

/// The parts, as pieces of work are named.
const PARTS: [&str; 3] = ["pruning", "plateau", "step-size"];

impl Faq {
    /// Refuses values out of range.
    ///
    /// # Errors
    /// Naming the first of them.
    pub fn check(&self, origin: &str) -> Result<()> {
        self.data.check(origin)?;
        self.model.check(origin)?;
        self.pruning.check(origin)?;
        self.plateau.check(origin)?;
        self.step_size.check(origin)?;
        self.tiers.check(origin)
    }
}

impl Study for Faq {
    fn name(&self) -> &str {
        &self.name
    }

    fn tiers(&self) -> &Tiers {
        &self.tiers
    }

    fn items(&self, tier: Tier) -> Vec<String> {
        let of = |part| (0..self.tiers.seeds(tier)).map(move |seed| format!("{part}-seed-{seed}"));
        PARTS.into_iter().flat_map(of).collect()
    }

    fn run(&self, item: &str, work: &Work) -> Result<Vec<String>> {
        let unknown = || Error::input(format!("no part of this study is called \"{item}\""));
        let (part, number) = item.rsplit_once("-seed-").ok_or_else(unknown)?;
        let run: u64 = number.parse().map_err(|_| unknown())?;
        let seed = work.seed.derive(&format!("seed {run}"));
        let bench = |shuffled| {
            super::course::Bench::new(&self.data, &self.model, seed, work.data, shuffled)
        };
        let bench = bench(false)?;
        let stream = seed.derive(part);
        let found: Vec<Row> = match part {
            "pruning" => {
                let rows = self.pruning.run(run, &bench, stream)?;
                rows.into_iter().map(Row::Pruning).collect()
            }
            "plateau" => {
                let rows = self.plateau.run(run, &bench, stream)?;
                rows.into_iter().map(Row::Plateau).collect()
            }
            "step-size" => {
                let rows = self.step_size.run(run, &bench, stream)?;
                rows.into_iter().map(Row::StepSize).collect()
            }
            _ => return Err(unknown()),
        };
        Ok(found.iter().map(line).collect())
    }

    fn needs(&self) -> Option<&'static DataSet> {
        self.data.needs()
    }

    fn table(&self, lines: &[String]) -> Result<String> {
        let (mut pruned, mut watched, mut adjusted) = (Vec::new(), Vec::new(), Vec::new());
        for row in study::rows::<Row>(lines)? {
            match row {
                Row::Pruning(row) => pruned.push(row),
                Row::Plateau(row) => watched.push(row),
                Row::StepSize(row) => adjusted.push(row),
            }
        }
        Ok([
            pruning::table(&pruned),
            plateau::table(&watched),
            step_size::table(&adjusted),
        ]
        .join("\n"))
    }
}

/// The mean; no number without values.
fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.into_iter().collect();
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios::fixtures::{quick, steady_rows};
    use crate::scenarios::{parse, shipped};
    use fjld_core::rng::Seed;

    /// The shipped study with trainings of a few steps.
    fn small() -> Result<Box<dyn Study>> {
        let mut text = String::new();
        for line in shipped::text("faq")?.lines() {
            let few = |key: &str, value: &str| {
                line.starts_with(&format!("{key} ="))
                    .then(|| format!("{key} = {value}"))
            };
            let shorter = few("steps", "12")
                .or_else(|| few("every", "4"))
                .or_else(|| few("window", "1"))
                .or_else(|| few("retraining", "2"));
            text += &shorter.unwrap_or_else(|| line.to_owned());
            text.push('\n');
        }
        match parse(&text, "faq")? {
            super::super::Scenario::Study(study) => Ok(study),
            _ => unreachable!("it is a study"),
        }
    }

    #[test]
    fn rows_are_the_same_whatever_the_threads_and_after_a_resumption() -> Result<()> {
        let study = small()?;
        let rows = steady_rows(study.as_ref())?;
        let table = study.table(&rows)?;
        assert!(
            table.contains("magnitude") && table.contains("halving"),
            "{table}"
        );
        Ok(())
    }

    #[test]
    fn a_piece_of_another_name_is_refused() -> Result<()> {
        let work = quick(1);
        let said = small()?
            .run("dancing-seed-1", &work)
            .expect_err("no such part");
        assert!(said.to_string().contains("\"dancing-seed-1\""), "{said}");
        Ok(())
    }

    #[test]
    fn a_value_of_any_part_that_is_out_of_range_is_refused() -> Result<()> {
        for (old, new, said) in [
            (
                "test_share = 0.5",
                "test_share = 0.95",
                "data.test_share is 0.95",
            ),
            (
                "hidden = [32]",
                "hidden = [0]",
                "the widths in model are [0]",
            ),
            (
                "retraining = 30",
                "retraining = 0",
                "pruning.retraining is 0",
            ),
            ("window = 5", "window = 0", "plateau.window is 0"),
            ("every = 20", "every = 200", "step_size.every is 200"),
            ("[16, 64, 256]", "[0]", "step_size.measurement_batches is 0"),
            ("name = \"end\"", "name = \"floor\"", "each once"),
            (
                "start = 0.01",
                "start = 0.0",
                "plateau.courses.saddle.start is 0",
            ),
            ("seeds = 5", "seeds = 0", "tiers.quick has 0 seeds"),
        ] {
            let text = shipped::text("faq")?;
            assert!(text.contains(old), "{old}");
            let refused = parse(&text.replace(old, new), "a.toml").expect_err(said);
            assert!(refused.to_string().contains(said), "{refused}");
        }
        Ok(())
    }

    #[test]
    fn its_folder_has_to_hold_the_data_that_it_names() -> Result<()> {
        assert!(small()?.needs().is_none());
        let text = shipped::text("faq")?
            .replace("name = \"digits\"", "name = \"mnist\"")
            .replace(
                "test_share = 0.5",
                "train_examples = 20\ntest_examples = 20",
            );
        let scenario = parse(&text, "a.toml")?;
        assert_eq!(scenario.needs().map(|set| set.name), Some("mnist"));
        Ok(())
    }

    #[test]
    fn the_mean_is_the_sum_over_the_number() {
        assert_eq!(mean([1.0, 2.0, 6.0]), 3.0);
        assert!(mean([]).is_nan());
    }

    /// A small network on a tenth of the digits.
    pub(super) fn bench() -> Result<super::super::course::Bench> {
        let data = DataChoice::Digits { test_share: 0.9 };
        let model = ModelChoice::Mlp { hidden: vec![8] };
        super::super::course::Bench::new(&data, &model, Seed::root(1), None, false)
    }

    /// The words of each line of a table behind its head.
    pub(super) fn words(table: &str) -> Vec<Vec<&str>> {
        let lines = table.lines().skip(1);
        lines
            .map(|line| line.split_whitespace().collect())
            .collect()
    }
}
