//! How much work an audit does.

use serde::{Deserialize, Serialize};

/// How much work an audit does.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Seconds: what `cargo test` runs.
    Quick,
    /// Minutes: the default report.
    Standard,
    /// As long as it takes.
    Full,
}

impl Tier {
    /// Every tier.
    pub const ALL: [Self; 3] = [Self::Quick, Self::Standard, Self::Full];

    /// Its name in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Standard => "standard",
            Self::Full => "full",
        }
    }
}
