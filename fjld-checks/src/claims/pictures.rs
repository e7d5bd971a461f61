//! Which pictures belong to which claims. A training scenario has its pictures by itself, and so may a study; here are the others.

use super::{descent_boundary, implicit_jeffreys, ratio_definition, trained_network};
use crate::error::Result;
use crate::evidence::picture::Picture;
use crate::scenarios::store::RunStore;
use crate::scenarios::{self, Scenario, shipped};
use fjld_core::rng::Seed;

/// Makes pictures out of the streams of the root seed.
type Draw = fn(Seed) -> Result<Vec<Picture>>;

/// Claims, and the pictures that are made if one of them is in the report.
const OWN: [(&[&str], Draw); 4] = [
    (&["ratio-definition", "sample-count"], |root| {
        Ok(vec![
            ratio_definition::picture::bias(root)?,
            ratio_definition::picture::coverage()?,
        ])
    }),
    (&["descent-boundary"], |_| {
        Ok(vec![descent_boundary::picture::picture()])
    }),
    (&["implicit-jeffreys"], |_| {
        Ok(vec![implicit_jeffreys::picture::picture()])
    }),
    (INVARIANCE, |_| {
        let (scenario, _) = trained_network::trained()?;
        Ok(vec![scenario.run()?.picture(&scenario.claims)])
    }),
];

/// The claims that `scenarios/reparameterization.toml` names.
const INVARIANCE: &[&str] = &[
    "theorem-2",
    "theorem-2-corrected",
    "orthogonal-invariance",
    "kfac-parameterisation",
    "kfac-invariance",
    "kfac-consistency",
    "kfac-correlations",
    "diagonal-boundary",
];

/// The pictures of these claims: those of their own, then those of the scenarios that they draw on.
///
/// # Errors
/// When one can not be made, or the rows of a study are none of its own.
pub fn of(
    claims: &[(String, &'static [&'static str])],
    runs: &RunStore,
    root: Seed,
) -> Result<Vec<Picture>> {
    let is_there = |id: &&str| claims.iter().any(|(claim, _)| claim == id);
    let mut pictures = Vec::new();
    for (names, draw) in OWN {
        if names.iter().any(is_there) {
            pictures.extend(draw(root)?);
        }
    }
    let mut names: Vec<&str> = claims.iter().flat_map(|(_, s)| *s).copied().collect();
    names.sort_unstable();
    names.dedup();
    for name in names.into_iter().filter(|name| runs.has(name)) {
        let speak = claims.iter().filter(|(_, s)| s.contains(&name));
        let ids: Vec<String> = speak.map(|(id, _)| id.clone()).collect();
        pictures.extend(match shipped::scenario(name)? {
            Scenario::Training(_) => {
                let recorded = runs.recorded_label(name);
                scenarios::picture::of(runs.get(name)?, &ids, recorded.as_deref())
            }
            Scenario::Study(study) => study.pictures(runs.lines(name), &ids)?,
            Scenario::Gaussian(_) | Scenario::Reparameterization(_) => Vec::new(),
        });
    }
    Ok(pictures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_claims_of_the_map_are_those_that_its_scenario_names() -> Result<()> {
        let (scenario, _) = trained_network::trained()?;
        assert_eq!(scenario.claims, INVARIANCE);
        Ok(())
    }

    #[test]
    fn every_claim_that_has_a_picture_is_a_claim() {
        let all = crate::claims::all();
        for id in OWN.iter().flat_map(|(names, _)| *names) {
            assert!(all.iter().any(|claim| claim.id == *id), "{id}");
        }
    }
}
