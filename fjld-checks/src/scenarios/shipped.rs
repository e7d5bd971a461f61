//! The scenarios that are built into the program, by name: those that claims draw on.

use super::study::Study;
use super::training::TrainingScenario;
use super::{Scenario, parse};
use crate::error::{Error, Result};

macro_rules! shipped {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../../../scenarios/", $name, ".toml")),
        )
    };
}

const SHIPPED: &[(&str, &str)] = &[
    shipped!("cifar-resnet18"),
    shipped!("cifar-resnet18-wide"),
    shipped!("depth"),
    shipped!("digits-mlp"),
    shipped!("double-descent"),
    shipped!("faq"),
    shipped!("gpt"),
    shipped!("gpt-shakespeare"),
    shipped!("gpt-wide"),
    shipped!("heavy-tails"),
    shipped!("kfac-modular"),
    shipped!("kfac-sharper"),
    shipped!("lottery"),
    shipped!("mnist-mlp"),
    shipped!("modular-embedding"),
    shipped!("modular-grokking"),
    shipped!("non-iid"),
    shipped!("optimisers"),
    shipped!("quantisation"),
];

/// The scenario of this name.
///
/// # Errors
/// When there is none.
pub fn scenario(name: &str) -> Result<Scenario> {
    parse(text(name)?, name)
}

/// The training scenario of this name.
///
/// # Errors
/// When there is none.
pub fn training(name: &str) -> Result<TrainingScenario> {
    match scenario(name)? {
        Scenario::Training(scenario) => Ok(*scenario),
        _ => Err(Error::input(format!("\"{name}\" is no training scenario"))),
    }
}

/// The study of this name.
///
/// # Errors
/// When there is none.
pub fn study(name: &str) -> Result<Box<dyn Study>> {
    match scenario(name)? {
        Scenario::Study(study) => Ok(study),
        _ => Err(Error::input(format!("\"{name}\" is no study"))),
    }
}

/// The text of its file.
///
/// # Errors
/// When there is none of this name.
pub fn text(name: &str) -> Result<&'static str> {
    let found = SHIPPED.iter().find(|(n, _)| *n == name);
    found
        .map(|(_, text)| *text)
        .ok_or_else(|| Error::input(format!("no scenario is called \"{name}\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_scenario_is_read_under_its_own_name() -> Result<()> {
        for &(name, _) in SHIPPED {
            let own = match scenario(name)? {
                Scenario::Training(scenario) => scenario.name,
                Scenario::Study(study) => study.name().to_owned(),
                Scenario::Gaussian(_) | Scenario::Reparameterization(_) => {
                    unreachable!("no claim draws on one of these")
                }
            };
            assert_eq!(own, name);
        }
        Ok(())
    }

    #[test]
    fn a_scenario_is_had_as_what_it_is_and_as_nothing_else() -> Result<()> {
        assert_eq!(study("lottery")?.name(), "lottery");
        assert_eq!(training("digits-mlp")?.name, "digits-mlp");
        let said = study("digits-mlp").expect_err("it trains").to_string();
        assert_eq!(said, "\"digits-mlp\" is no study");
        let said = training("lottery").expect_err("it is a study").to_string();
        assert_eq!(said, "\"lottery\" is no training scenario");
        let said = study("letters").expect_err("there is none").to_string();
        assert_eq!(said, "no scenario is called \"letters\"");
        Ok(())
    }
}
