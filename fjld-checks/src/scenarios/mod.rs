//! Experiments as data: reading `scenarios/*.toml`, and running them.

pub mod curve;
pub mod data;
pub mod gaussian;
pub mod heavy_tails;
pub mod kfac_sharper;
mod loader;
pub mod measurement;
pub mod models;
pub mod non_iid;
pub mod optimiser;
pub mod per_tier;
pub mod quantised;
pub mod recorded;
pub mod reparameterization;
pub mod shipped;
pub mod store;
pub mod study;
pub mod study_training;
pub mod training;

pub use models::mlp;

use crate::error::{Error, Result};
use data::folder::DataSet;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::path::Path;

/// The schema that a scenario file names.
pub const SCHEMA: &str = "fjld-scenario/1";

/// An experiment as its file describes it.
#[derive(Debug)]
pub enum Scenario {
    /// Training runs with measurements.
    Training(training::TrainingScenario),
    /// Draws of a known Gaussian law.
    Gaussian(gaussian::GaussianScenario),
    /// One network in several parameterisations.
    Reparameterization(reparameterization::ReparameterizationScenario),
    /// Runs of a shape of their own.
    Study(Box<dyn study::Study>),
}

impl Scenario {
    /// The data set that a folder has to hold for this.
    pub fn needs(&self) -> Option<&'static DataSet> {
        match self {
            Self::Training(scenario) => scenario.needs(),
            Self::Study(study) => study.needs(),
            Self::Gaussian(_) | Self::Reparameterization(_) => None,
        }
    }
}

/// What every scenario says first.
#[derive(Deserialize)]
struct Head {
    schema: String,
    kind: String,
}

/// Reads a scenario file.
///
/// # Errors
/// When the file can not be read or its text is refused by [`parse`].
pub fn read(path: &Path) -> Result<Scenario> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::file("read", path, &e))?;
    parse(&text, &path.display().to_string())
}

/// Reads the text of a scenario; `origin` names it in errors.
///
/// # Errors
/// When it is no TOML, a key is missing, unknown or of the wrong type (with line and column), or a value is out of its range.
pub fn parse(text: &str, origin: &str) -> Result<Scenario> {
    let head: Head = from_toml(text, origin)?;
    if head.schema != SCHEMA {
        return Err(Error::input(format!(
            "{origin}: schema is \"{}\"; this program reads \"{SCHEMA}\"",
            head.schema
        )));
    }
    match head.kind.as_str() {
        "training" => {
            let scenario: training::TrainingScenario = from_toml(text, origin)?;
            scenario.check(origin)?;
            Ok(Scenario::Training(scenario))
        }
        "gaussian" => {
            let scenario: gaussian::GaussianScenario = from_toml(text, origin)?;
            scenario.check(origin)?;
            Ok(Scenario::Gaussian(scenario))
        }
        "reparameterization" => {
            let scenario: reparameterization::ReparameterizationScenario = from_toml(text, origin)?;
            scenario.check(origin)?;
            Ok(Scenario::Reparameterization(scenario))
        }
        "kfac-sharper" => {
            let study: kfac_sharper::KfacSharper = from_toml(text, origin)?;
            study.check(origin)?;
            Ok(Scenario::Study(Box::new(study)))
        }
        "heavy-tails" => {
            let study: heavy_tails::HeavyTails = from_toml(text, origin)?;
            study.check(origin)?;
            Ok(Scenario::Study(Box::new(study)))
        }
        "non-iid" => {
            let study: non_iid::NonIid = from_toml(text, origin)?;
            study.check(origin)?;
            Ok(Scenario::Study(Box::new(study)))
        }
        "quantisation" => {
            let study: quantised::Quantised = from_toml(text, origin)?;
            study.check(origin)?;
            Ok(Scenario::Study(Box::new(study)))
        }
        other => Err(Error::input(format!(
            "{origin}: kind is \"{other}\"; accepted are \"training\", \"gaussian\", \"reparameterization\", \"kfac-sharper\", \"heavy-tails\", \"non-iid\" and \"quantisation\""
        ))),
    }
}

fn from_toml<T: DeserializeOwned>(text: &str, origin: &str) -> Result<T> {
    toml::from_str(text).map_err(|error| {
        let before = &text[..error.span().map_or(0, |s| s.start).min(text.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
        let message = error.message().trim().replace('\n', "; ");
        Error::input(format!("{origin}, line {line}, column {column}: {message}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGITS: &str = include_str!("../../../scenarios/digits-mlp.toml");

    fn refusal(text: &str) -> String {
        parse(text, "some.toml")
            .expect_err("the text is wrong")
            .to_string()
    }

    #[test]
    fn the_shipped_scenarios_are_read() {
        assert!(matches!(parse(DIGITS, "digits"), Ok(Scenario::Training(_))));
        let text = include_str!("../../../scenarios/reparameterization.toml");
        assert!(matches!(
            parse(text, "other parameters"),
            Ok(Scenario::Reparameterization(_))
        ));
        for text in [
            include_str!("../../../scenarios/gaussian-correlated.toml"),
            include_str!("../../../scenarios/gaussian-isotropic.toml"),
        ] {
            assert!(matches!(parse(text, "gaussian"), Ok(Scenario::Gaussian(_))));
        }
    }

    #[test]
    fn malformed_toml_is_refused_with_line_and_column() {
        let said = refusal("schema = \"fjld-scenario/1\"\nkind = = 3\n");
        assert!(said.starts_with("some.toml, line 2, column 8:"), "{said}");
    }

    #[test]
    fn an_unknown_key_is_refused_where_it_stands() {
        let said = refusal(&DIGITS.replace("draws = 100", "drawz = 100"));
        assert!(said.contains("unknown field `drawz`"), "{said}");
        assert!(said.contains("line 26, column 1"), "{said}");
    }

    #[test]
    fn an_unknown_kind_schema_or_data_set_is_named_with_what_is_accepted() {
        assert_eq!(
            refusal("schema = \"fjld-scenario/1\"\nkind = \"dance\""),
            "some.toml: kind is \"dance\"; accepted are \"training\", \"gaussian\", \"reparameterization\", \"kfac-sharper\", \"heavy-tails\", \"non-iid\" and \"quantisation\""
        );
        assert!(refusal("schema = \"x\"\nkind = \"gaussian\"").contains("\"fjld-scenario/1\""));
        let said = refusal(&DIGITS.replace("name = \"digits\"", "name = \"letters\""));
        assert!(
            said.contains(
                "unknown variant `letters`, expected one of `digits`, `modular-addition`"
            ),
            "{said}"
        );
    }

    #[test]
    fn a_control_that_would_change_nothing_is_refused() {
        let with = |control: &str| refusal(&DIGITS.replace("shuffled-labels", control));
        let said = with("shuffled-characters");
        assert!(said.contains("data.name is no text"), "{said}");
        let said = with("no-weight-decay");
        assert!(said.contains("training.weight_decay is 0"), "{said}");
    }

    #[test]
    fn a_value_out_of_range_is_named() {
        let said = refusal(&DIGITS.replace("draws = 100", "draws = 1"));
        assert_eq!(
            said,
            "some.toml: measurement.draws is 1; it must be at least 3, the fewest that have an interval"
        );
    }
}
