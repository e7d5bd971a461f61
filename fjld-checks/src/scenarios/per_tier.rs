//! A number of a scenario that its tiers differ in.

use crate::tier::Tier;
use serde::Deserialize;

/// One value a tier.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerTier<T> {
    quick: T,
    standard: T,
    full: T,
}

impl<T: Copy> PerTier<T> {
    /// That of a tier.
    pub fn of(&self, tier: Tier) -> T {
        match tier {
            Tier::Quick => self.quick,
            Tier::Standard => self.standard,
            Tier::Full => self.full,
        }
    }

    /// All of them, the least work first.
    pub fn all(&self) -> [T; 3] {
        [self.quick, self.standard, self.full]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tier_has_its_own_value_and_none_may_be_missing() {
        let steps: PerTier<u64> =
            toml::from_str("quick = 1\nstandard = 2\nfull = 3").expect("all three are there");
        assert_eq!(Tier::ALL.map(|tier| steps.of(tier)), [1, 2, 3]);
        assert_eq!(steps.all(), [1, 2, 3]);
        let said = toml::from_str::<PerTier<u64>>("quick = 1\nstandard = 2");
        let said = said.expect_err("full is missing").to_string();
        assert!(said.contains("missing field `full`"), "{said}");
    }
}
