//! Experiments whose runs are of a shape of their own: a study says which independent pieces of work it has, and what one finds.
//!
//! Adding a study is a file beside this one that implements [`Study`], its kind in [`super::parse`], its TOML in `scenarios/`, and a
//! line in [`super::shipped`].

use super::data::folder::DataSet;
use crate::error::{Error, Result, parsers_words, printable};
use crate::evidence::picture::Picture;
use crate::tier::Tier;
use fjld_core::rng::Seed;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;

/// An experiment. What it prints by `Debug` must tell everything that its rows depend on: finished work is kept under a hash of it.
pub trait Study: Debug + Send + Sync {
    /// Its name, also that of its evidence.
    fn name(&self) -> &str;

    /// What each tier does.
    fn tiers(&self) -> &Tiers;

    /// Independent pieces of work, each named as a file may be; their rows follow each other in this order.
    fn items(&self, tier: Tier) -> Vec<String>;

    /// Does one piece of work: its rows, each a line of JSON (see [`line()`]).
    ///
    /// # Errors
    /// When its data are not there, training fails, or it is interrupted.
    fn run(&self, item: &str, work: &Work) -> Result<Vec<String>>;

    /// The data set that a folder has to hold for this.
    fn needs(&self) -> Option<&'static DataSet> {
        None
    }

    /// What people are shown of its rows.
    ///
    /// # Errors
    /// When a row is none of this study's.
    fn table(&self, rows: &[String]) -> Result<String>;

    /// What people see of them, speaking to `claims`; a study may say otherwise.
    ///
    /// # Errors
    /// When a row is none of this study's.
    fn pictures(&self, rows: &[String], claims: &[String]) -> Result<Vec<Picture>> {
        super::study_picture::of(self.name(), rows, claims)
    }
}

/// What a piece of work is done with.
#[derive(Clone, Copy, Debug)]
pub struct Work<'a> {
    /// How much there is to do.
    pub tier: Tier,
    /// The stream of this study; a piece of work derives its own from it.
    pub seed: Seed,
    /// A folder of data sets.
    pub data: Option<&'a Path>,
}

/// More runs than any experiment has; each takes some room before the first is made.
pub const MOST_SEEDS: u64 = 10_000;

/// What a study does at each tier.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tiers(BTreeMap<Tier, Share>);

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Share {
    seeds: u64,
    /// Core-seconds that all of it may take, on the machine that the scenario was written on.
    time_budget: u64,
}

impl Tiers {
    /// Refuses a tier that is missing or has no seed.
    ///
    /// # Errors
    /// Naming the first of them.
    pub fn check(&self, origin: &str) -> Result<()> {
        for tier in Tier::ALL {
            let name = tier.name();
            let wrong = match self.0.get(&tier) {
                None => "is missing; it must be there, with seeds and time_budget",
                Some(Share { seeds, .. }) if !(1..=MOST_SEEDS).contains(seeds) => {
                    &format!("has {seeds} seeds; it must have 1 to {MOST_SEEDS}")
                }
                Some(_) => continue,
            };
            return Err(Error::input(format!("{origin}: tiers.{name} {wrong}")));
        }
        Ok(())
    }

    /// How many seeds a tier has.
    pub fn seeds(&self, tier: Tier) -> u64 {
        self.0[&tier].seeds
    }

    /// Core-seconds that all of a tier may take.
    pub fn time_budget(&self, tier: Tier) -> u64 {
        self.0[&tier].time_budget
    }
}

/// A row as a line of JSON.
pub fn line<T: Serialize>(row: &T) -> String {
    serde_json::to_string(row).expect("plain numbers and names")
}

/// Rows from their lines.
///
/// # Errors
/// When a line is no such row.
pub fn rows<T: DeserializeOwned>(lines: &[String]) -> Result<Vec<T>> {
    let row = |line: &String| {
        serde_json::from_str(line).map_err(|e| {
            let (line, why) = (printable(line), parsers_words(&e));
            Error::input(format!("the row {line}: {why}"))
        })
    };
    lines.iter().map(row).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Sums of numbers that its seed draws, to try the store on.
    #[derive(Debug)]
    pub struct Sums {
        pub tiers: Tiers,
    }

    pub fn tiers(seeds: u64) -> Tiers {
        let share = Share {
            seeds,
            time_budget: 1,
        };
        Tiers(Tier::ALL.map(|tier| (tier, share.clone())).into())
    }

    impl Study for Sums {
        fn name(&self) -> &str {
            "sums"
        }

        fn tiers(&self) -> &Tiers {
            &self.tiers
        }

        fn items(&self, tier: Tier) -> Vec<String> {
            (0..self.tiers.seeds(tier))
                .map(|seed| format!("seed-{seed}"))
                .collect()
        }

        fn run(&self, item: &str, work: &Work) -> Result<Vec<String>> {
            let drawn =
                fjld_core::rng::standard_normals(&mut work.seed.derive(item).generator(), 3);
            Ok(vec![line(&drawn.iter().sum::<f64>())])
        }

        fn table(&self, rows: &[String]) -> Result<String> {
            Ok(rows.join("\n"))
        }
    }

    #[test]
    fn a_tier_that_is_missing_or_empty_is_named() {
        let of = |text: &str| toml::from_str::<Tiers>(text).expect("it is TOML");
        let share = "{ seeds = 1, time_budget = 1 }";
        let some = of(&format!("quick = {share}\nstandard = {share}"));
        let said = some.check("a.toml").expect_err("full is missing");
        assert!(
            said.to_string()
                .starts_with("a.toml: tiers.full is missing")
        );
        let said = tiers(0).check("a.toml").expect_err("no seed");
        assert!(said.to_string().contains("tiers.quick has 0 seeds"));
    }

    #[test]
    fn every_tier_has_its_own_seeds_and_its_own_budget() {
        let text = "quick = { seeds = 5, time_budget = 6 }\n\
                    standard = { seeds = 20, time_budget = 25 }\n\
                    full = { seeds = 100, time_budget = 125 }";
        let tiers: Tiers = toml::from_str(text).expect("it is TOML");
        let told = Tier::ALL.map(|tier| (tiers.seeds(tier), tiers.time_budget(tier)));
        assert_eq!(told, [(5, 6), (20, 25), (100, 125)]);
    }

    #[test]
    fn a_study_that_says_nothing_else_is_drawn_as_its_name_is_known() -> Result<()> {
        let study = crate::scenarios::shipped::study("lottery")?;
        let row = r#"{"method":"random","seed":0,"share":0.5,"accuracy":0.9}"#;
        let claims = ["lottery".to_owned()];
        let pictures = study.pictures(&[row.to_owned()], &claims)?;
        let [picture] = &pictures[..] else {
            panic!("it has one picture");
        };
        assert_eq!(picture.id, "study-lottery");
        assert_eq!(picture.claims, claims);
        // nothing is known of how to draw sums
        let sums = Sums { tiers: tiers(1) };
        assert!(sums.pictures(&["1.5".to_owned()], &claims)?.is_empty());
        Ok(())
    }
}
