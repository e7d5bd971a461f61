//! What the runs of one tier depend on, of all that a scenario's file says.
//!
//! A recording is of these: a comment, a time budget or a number of another tier can change without its lapsing.

use super::from_toml;
use super::store::hex;
use crate::error::Result;
use crate::tier::Tier;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Keys that no run depends on, wherever they stand.
const TOLD: [&str; 4] = ["about", "claims", "for_gpu", "time_budget"];

/// A value of a file, its keys in the order of the alphabet whatever the features that `toml` was built with.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Setting {
    Table(BTreeMap<String, Setting>),
    Array(Vec<Setting>),
    Flag(bool),
    Integer(i64),
    Float(f64),
    Text(String),
}

/// SHA-256 of what the runs of a tier depend on; `origin` names the file in errors.
///
/// # Errors
/// When the text is no TOML.
pub fn sha256(text: &str, tier: Tier, origin: &str) -> Result<String> {
    let own = of_tier(from_toml(text, origin)?, tier);
    let canonical = serde_json::to_string(&own).expect("names and numbers");
    Ok(hex(&Sha256::digest(canonical)))
}

fn of_tier(setting: Setting, tier: Tier) -> Setting {
    let names = Tier::ALL.map(Tier::name);
    match setting {
        Setting::Table(mut table) => {
            if !table.is_empty() && table.keys().all(|key| names.contains(&key.as_str())) {
                let own = table.remove(tier.name());
                return own.map_or(Setting::Array(Vec::new()), |own| of_tier(own, tier));
            }
            table.retain(|key, _| !TOLD.contains(&key.as_str()));
            let own = table.into_iter();
            Setting::Table(own.map(|(k, v)| (k, of_tier(v, tier))).collect())
        }
        Setting::Array(values) => {
            Setting::Array(values.into_iter().map(|v| of_tier(v, tier)).collect())
        }
        plain => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
        about = \"one line\"
        steps = { quick = 1, standard = 2, full = 3 }
        [network]
        width = 16      # narrow
        [tiers.quick]
        seeds = 5
        time_budget = 8
        [tiers.full]
        seeds = 20
        time_budget = 9
    ";

    fn full(text: &str) -> String {
        sha256(text, Tier::Full, "some.toml").expect("it is TOML")
    }

    #[test]
    fn words_budgets_and_other_tiers_change_nothing() {
        for (was, is) in [
            ("one line", "two lines"),
            ("# narrow", "# wide"),
            ("quick = 1", "quick = 7"),
            ("seeds = 5", "seeds = 6"),
            ("time_budget = 9", "time_budget = 10"),
        ] {
            assert_eq!(full(&FILE.replace(was, is)), full(FILE), "{is}");
        }
    }

    #[test]
    fn a_setting_of_all_tiers_or_of_the_own_changes_it() {
        let changes = [
            ("width = 16", "width = 17"),
            ("width = 16", "depth = 16"),
            ("full = 3", "full = 4"),
            ("seeds = 20", "seeds = 21"),
        ];
        for (was, is) in changes {
            assert_ne!(full(&FILE.replace(was, is)), full(FILE), "{is}");
        }
        let of = |tier| sha256(FILE, tier, "some.toml").expect("it is TOML");
        assert_ne!(of(Tier::Quick), of(Tier::Full));
    }

    #[test]
    fn a_tier_that_a_file_leaves_out_has_nothing_of_its_own() {
        let of = |text: &str| sha256(text, Tier::Standard, "some.toml").expect("it is TOML");
        assert_eq!(of(FILE), of(&FILE.replace("seeds = 20", "seeds = 21")));
    }

    #[test]
    fn what_is_no_toml_is_refused_where_it_stands() {
        let said = sha256("a = = 1", Tier::Full, "some.toml").expect_err("it is none");
        assert!(said.to_string().starts_with("some.toml, line 1, column 5"));
    }
}
