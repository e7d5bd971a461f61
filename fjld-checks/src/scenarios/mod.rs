//! Experiments as data: reading `scenarios/*.toml`, and running them.

pub mod capacity;
pub mod coordinates;
pub mod course;
pub mod curve;
pub mod data;
pub mod depth;
pub mod evidence;
pub mod faq;
#[cfg(test)]
mod fixtures;
pub mod gaussian;
pub mod heavy_tails;
pub mod kfac_sharper;
mod loader;
pub mod lottery;
pub mod mask;
pub mod measurement;
pub mod models;
pub mod non_iid;
pub mod optimiser;
pub mod optimisers;
pub mod per_tier;
pub mod picture;
pub mod quantised;
pub mod recorded;
pub mod reparameterization;
pub mod settings;
pub mod shipped;
pub mod store;
pub mod study;
mod study_picture;
pub mod study_training;
pub mod training;

pub use models::mlp;

use crate::error::{Error, Result, parsers_words, printable};
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
    Training(Box<training::TrainingScenario>),
    /// Draws of a known Gaussian law.
    Gaussian(gaussian::GaussianScenario),
    /// One network in several parameterisations.
    Reparameterization(reparameterization::ReparameterizationScenario),
    /// Runs of a shape of their own.
    Study(Box<dyn study::Study>),
}

impl Scenario {
    /// Its name, also that of its evidence.
    pub fn name(&self) -> &str {
        match self {
            Self::Training(scenario) => &scenario.name,
            Self::Gaussian(scenario) => &scenario.name,
            Self::Reparameterization(scenario) => &scenario.name,
            Self::Study(study) => study.name(),
        }
    }

    /// The data set that a folder has to hold for this.
    pub fn needs(&self) -> Option<&'static DataSet> {
        match self {
            Self::Training(scenario) => scenario.needs(),
            Self::Study(study) => study.needs(),
            Self::Gaussian(_) | Self::Reparameterization(_) => None,
        }
    }
}

type ReadStudy = fn(&str, &str) -> Result<Box<dyn study::Study>>;

/// Reads a study of this type and refuses values out of range.
macro_rules! reads {
    ($study:ty) => {
        |text, origin| {
            let study: $study = from_toml(text, origin)?;
            study.check(origin)?;
            Ok(Box::new(study))
        }
    };
}

/// The kinds of studies.
const STUDIES: &[(&str, ReadStudy)] = &[
    ("capacity", reads!(capacity::CapacityStudy)),
    ("depth", reads!(depth::DepthStudy)),
    ("faq", reads!(faq::Faq)),
    ("heavy-tails", reads!(heavy_tails::HeavyTails)),
    ("kfac-sharper", reads!(kfac_sharper::KfacSharper)),
    ("lottery", reads!(lottery::Lottery)),
    ("non-iid", reads!(non_iid::NonIid)),
    ("optimisers", reads!(optimisers::Optimisers)),
    ("quantisation", reads!(quantised::Quantised)),
];

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
            printable(&head.schema)
        )));
    }
    refuse_vast(&from_toml(text, origin)?, "", origin)?;
    let scenario = of_kind(&head.kind, text, origin)?;
    let name = scenario.name();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !name.chars().all(plain) || name.starts_with('.') || !(1..=100).contains(&name.len()) {
        return Err(Error::input(format!(
            "{origin}: name is {:?}; files are called by it, so that accepted are 1 to 100 letters, digits and - _ . without a point in front",
            printable(name)
        )));
    }
    Ok(scenario)
}

fn of_kind(kind: &str, text: &str, origin: &str) -> Result<Scenario> {
    match kind {
        "training" => {
            let scenario: training::TrainingScenario = from_toml(text, origin)?;
            scenario.check(origin)?;
            Ok(Scenario::Training(Box::new(scenario)))
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
        other => match STUDIES.iter().find(|(kind, _)| *kind == other) {
            Some((_, read)) => Ok(Scenario::Study(read(text, origin)?)),
            None => {
                let studies = STUDIES.iter().map(|(kind, _)| *kind);
                let kinds = ["training", "gaussian", "reparameterization"].into_iter();
                let kinds: Vec<&str> = kinds.chain(studies).collect();
                Err(Error::input(format!(
                    "{origin}: kind is \"{}\"; accepted are {}",
                    printable(other),
                    kinds.join(", ")
                )))
            }
        },
    }
}

/// The largest whole number in a scenario. A run of more of anything would not end, and below it neither sums nor products of two leave
/// the numbers that there are.
const LARGEST: u64 = 10_000_000;

/// Refuses numbers that nothing can be counted or sized by, wherever they stand. A seed counts nothing.
fn refuse_vast(value: &toml::Value, key: &str, origin: &str) -> Result<()> {
    let refuse = |number: &dyn std::fmt::Display, accepted: String| {
        Err(Error::input(format!(
            "{origin}: {} is {number}; it must be {accepted}",
            printable(key)
        )))
    };
    match value {
        toml::Value::Integer(n) if n.unsigned_abs() > LARGEST && key != "seed" => {
            refuse(n, format!("at most {LARGEST}"))
        }
        toml::Value::Float(x) if !x.is_finite() => refuse(x, "a finite number".into()),
        toml::Value::Array(values) => values
            .iter()
            .try_for_each(|value| refuse_vast(value, key, origin)),
        toml::Value::Table(table) => table.iter().try_for_each(|(name, value)| {
            let dot = if key.is_empty() { "" } else { "." };
            refuse_vast(value, &format!("{key}{dot}{name}"), origin)
        }),
        _ => Ok(()),
    }
}

fn from_toml<T: DeserializeOwned>(text: &str, origin: &str) -> Result<T> {
    toml::from_str(text).map_err(|error| {
        let before = &text[..error.span().map_or(0, |s| s.start).min(text.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
        let message = parsers_words(&error.message().trim().replace('\n', "; "));
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

    /// Also those that no claim draws on by itself, which take a GPU.
    #[test]
    fn every_file_of_the_folder_is_read_under_its_own_name() -> Result<()> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios");
        for entry in std::fs::read_dir(folder).expect("it is in the repository") {
            let path = entry.expect("it can be listed").path();
            let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned());
            assert_eq!(Some(read(&path)?.name()), stem.as_deref());
        }
        Ok(())
    }

    #[test]
    fn a_tier_may_have_less_of_the_data_and_another_model_but_no_other_data() {
        let tier = |data: &str| {
            let more = format!("[tiers.quick]\ndata = {data}\n");
            DIGITS.replace("[tiers.quick]\n", &more)
        };
        let less = tier("{ name = \"digits\", test_share = 0.8 }");
        let Ok(Scenario::Training(scenario)) = parse(&less, "some.toml") else {
            panic!("it is as accepted");
        };
        let held_out = |tier| scenario.at(tier).test_examples();
        assert_eq!(held_out(crate::tier::Tier::Quick), 1438);
        assert_eq!(held_out(crate::tier::Tier::Standard), 449);
        let said = refusal(&tier(
            "{ name = \"modular-addition\", modulus = 5, test_share = 0.5 }",
        ));
        assert!(said.contains("another data set"), "{said}");
    }

    #[test]
    fn other_learning_rates_and_units_are_held_to_what_they_can_be() {
        let rates = |rates: &str| {
            let more = format!("learning_rate = 0.2\nother_learning_rates = {rates}\n");
            DIGITS.replace("learning_rate = 0.2\n", &more)
        };
        assert!(refusal(&rates("[0.2]")).contains("other_learning_rates is 0.2"));
        assert!(refusal(&rates("[-1.0]")).contains("other_learning_rates is -1"));
        let Ok(Scenario::Training(scenario)) = parse(&rates("[0.1]"), "some.toml") else {
            panic!("it is as accepted");
        };
        let items = scenario.items(crate::tier::Tier::Quick);
        assert_eq!(items.len(), 20);
        assert_eq!(items[19].to_string(), "seed-4-shuffled-labels-rate-0.1");
        let said = refusal(&DIGITS.replace("[\"example\"]", "[\"token\"]"));
        assert!(said.contains("measured by token"), "{said}");
        let said = refusal(&DIGITS.replace("[\"example\"]", "[]"));
        assert!(said.contains("measurement.units is empty"), "{said}");
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
            "some.toml: kind is \"dance\"; accepted are training, gaussian, reparameterization, capacity, depth, faq, heavy-tails, kfac-sharper, lottery, non-iid, optimisers, quantisation"
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
    fn numbers_that_nothing_can_be_sized_by_are_refused_wherever_they_stand() {
        let said = refusal(&DIGITS.replace("draws = 100", "draws = 1152921504606846976"));
        let wanted =
            "some.toml: measurement.draws is 1152921504606846976; it must be at most 10000000";
        assert_eq!(said, wanted);
        let said = refusal(&DIGITS.replace("learning_rate = 0.2", "learning_rate = nan"));
        assert!(said.contains("training.learning_rate is NaN; it must be a finite number"));
        let said = refusal(&DIGITS.replace("hidden = [32]", "hidden = [1000000]"));
        assert!(said.contains("model are [1000000]"), "{said}");
        let quick = DIGITS.find("[tiers.quick]").expect("it has that tier");
        let many = DIGITS[quick..].replacen("seeds = 5", "seeds = 1000000", 1);
        let said = refusal(&format!("{}{many}", &DIGITS[..quick]));
        assert!(said.contains("tiers.quick.seeds is 1000000"), "{said}");
    }

    #[test]
    fn a_name_that_is_none_for_a_file_is_refused() {
        for name in ["../digits", "/tmp/digits", ".digits", "a b", "\\u0000", ""] {
            let named = DIGITS.replace("name = \"digits-mlp\"", &format!("name = \"{name}\""));
            let said = refusal(&named);
            assert!(said.contains("files are called by it"), "{name}: {said}");
        }
    }

    #[test]
    fn deep_nesting_and_torn_characters_are_refused_in_words() {
        let deep = format!("{DIGITS}deep = {}", "[".repeat(100_000));
        assert!(refusal(&deep).contains("recursion"));
        // the place of an error may lie inside a character
        for text in ["a = \u{e9}", "\u{e9}\u{1f600} = = 1", "kind = \"\u{1f600}"] {
            assert!(refusal(text).starts_with("some.toml, line 1, column "));
        }
    }

    #[test]
    fn a_value_out_of_range_is_named() {
        let said = refusal(&DIGITS.replace("draws = 100", "draws = 1"));
        assert_eq!(
            said,
            "some.toml: measurement.draws is 1; it must be at least 3, the fewest that have an interval"
        );
    }

    #[test]
    fn a_scenario_needs_the_data_set_that_it_names_and_no_other() -> Result<()> {
        let needs = |text: &str| -> Result<Option<&'static str>> {
            Ok(parse(text, "some.toml")?.needs().map(|set| set.name))
        };
        assert_eq!(needs(DIGITS)?, None);
        assert_eq!(needs(shipped::text("mnist-mlp")?)?, Some("mnist"));
        let gaussian = include_str!("../../../scenarios/gaussian-isotropic.toml");
        assert_eq!(needs(gaussian)?, None);
        // studies as they are, and on data that come in a folder
        for name in ["lottery", "optimisers"] {
            let text = shipped::text(name)?;
            assert_eq!(needs(text)?, None, "{name}");
            let mnist = "name = \"mnist\"\ntrain_examples = 100\ntest_examples = 10\n#";
            let text = text
                .replace("name = \"digits\"", mnist)
                .replace("test_share", "# test_share");
            assert_eq!(needs(&text)?, Some("mnist"), "{name}");
        }
        Ok(())
    }

    #[test]
    fn ten_million_is_the_largest_whole_number_but_of_seeds() {
        let is_refused = |key: &str, number: i64| {
            refuse_vast(&toml::Value::Integer(number), key, "some.toml").is_err()
        };
        for largest in [10_000_000, -10_000_000] {
            assert!(!is_refused("draws", largest));
            assert!(is_refused("draws", largest + largest.signum()));
        }
        assert!(!is_refused("seed", i64::MAX));
    }
}
