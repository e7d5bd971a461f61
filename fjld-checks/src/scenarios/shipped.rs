//! The scenarios that are built into the program, by name: those that claims draw on.

use super::training::TrainingScenario;
use super::{Scenario, parse};
use crate::error::{Error, Result};

const SHIPPED: [(&str, &str); 10] = [
    (
        "digits-mlp",
        include_str!("../../../scenarios/digits-mlp.toml"),
    ),
    (
        "modular-grokking",
        include_str!("../../../scenarios/modular-grokking.toml"),
    ),
    (
        "mnist-mlp",
        include_str!("../../../scenarios/mnist-mlp.toml"),
    ),
    (
        "cifar-resnet18",
        include_str!("../../../scenarios/cifar-resnet18.toml"),
    ),
    ("gpt", include_str!("../../../scenarios/gpt.toml")),
    (
        "kfac-modular",
        include_str!("../../../scenarios/kfac-modular.toml"),
    ),
    (
        "kfac-sharper",
        include_str!("../../../scenarios/kfac-sharper.toml"),
    ),
    (
        "heavy-tails",
        include_str!("../../../scenarios/heavy-tails.toml"),
    ),
    ("non-iid", include_str!("../../../scenarios/non-iid.toml")),
    (
        "quantisation",
        include_str!("../../../scenarios/quantisation.toml"),
    ),
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
        Scenario::Training(scenario) => Ok(scenario),
        _ => Err(Error::input(format!("\"{name}\" is no training scenario"))),
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
        for (name, _) in SHIPPED {
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
}
