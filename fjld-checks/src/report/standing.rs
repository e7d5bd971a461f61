//! The document's own status of a sentence beside our verdict on it. One rule, here and nowhere else:
//!
//! | the document's status | the sentence stands | refuted, and holds in a scope that a check showed | refuted |
//! |---|---|---|---|
//! | firm: `theorem`, `proven`, `validated`, `stated`, `definition` | agrees | overclaims | overclaims |
//! | guarded: `partial`, `speculative` | underclaims | agrees | overclaims |
//!
//! A guarded sentence says of itself that it holds in part or perhaps, so that finding the part bears it out. Where our verdict is
//! `inconclusive`, `not_run` or `not_testable`, or does not count, it is undecided.

use crate::verdict::Verdict;
use serde::{Deserialize, Serialize};

/// Statuses under which the document says that something is so.
const FIRM: [&str; 5] = ["theorem", "proven", "validated", "stated", "definition"];

/// Statuses under which it says that something is so in part, or may be.
const GUARDED: [&str; 2] = ["partial", "speculative"];

/// How the document's status of a sentence stands to the evidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It says more than the evidence bears out.
    Overclaims,
    /// It says what the evidence bears out.
    Agrees,
    /// It says less than the evidence bears out.
    Underclaims,
    /// The evidence does not tell.
    #[default]
    Undecided,
}

impl Standing {
    /// By the rule of this module. `in_part` is whether a check showed a scope in which the sentence holds. A status that the rule does
    /// not know is undecided; a test finds none among the claims.
    pub fn of(status: &str, verdict: Verdict, in_part: bool) -> Self {
        let firm = FIRM.contains(&status);
        if !firm && !GUARDED.contains(&status) {
            return Self::Undecided;
        }
        match verdict {
            Verdict::Verified | Verdict::Supported if firm => Self::Agrees,
            Verdict::Verified | Verdict::Supported => Self::Underclaims,
            Verdict::Refuted if !firm && in_part => Self::Agrees,
            Verdict::Refuted => Self::Overclaims,
            Verdict::Inconclusive | Verdict::NotRun | Verdict::NotTestable => Self::Undecided,
        }
    }

    /// Its name in files and in the terminal.
    pub fn name(self) -> &'static str {
        match self {
            Self::Overclaims => "overclaims",
            Self::Agrees => "agrees",
            Self::Underclaims => "underclaims",
            Self::Undecided => "undecided",
        }
    }
}

/// On how many sentences the document stands how to the evidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standings {
    /// Sentences that say more than the evidence bears out.
    pub overclaims: usize,
    /// Sentences that say what it bears out.
    pub agrees: usize,
    /// Sentences that say less.
    pub underclaims: usize,
    /// Sentences on which it does not tell.
    pub undecided: usize,
}

impl Standings {
    /// Counts.
    pub fn of(standings: impl Iterator<Item = Standing>) -> Self {
        let mut counts = Self::default();
        for standing in standings {
            match standing {
                Standing::Overclaims => counts.overclaims += 1,
                Standing::Agrees => counts.agrees += 1,
                Standing::Underclaims => counts.underclaims += 1,
                Standing::Undecided => counts.undecided += 1,
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims;

    #[test]
    fn a_refuted_sentence_overclaims_unless_it_is_guarded_and_holds_in_part() {
        let of = |status, in_part| Standing::of(status, Verdict::Refuted, in_part);
        assert_eq!(of("theorem", true), Standing::Overclaims);
        assert_eq!(of("partial", true), Standing::Agrees);
        assert_eq!(of("speculative", false), Standing::Overclaims);
    }

    #[test]
    fn a_sentence_that_stands_agrees_unless_it_is_guarded() {
        for verdict in [Verdict::Verified, Verdict::Supported] {
            assert_eq!(Standing::of("stated", verdict, false), Standing::Agrees);
            assert_eq!(
                Standing::of("partial", verdict, false),
                Standing::Underclaims
            );
        }
    }

    #[test]
    fn without_a_finding_or_a_known_status_it_is_undecided() {
        for verdict in [Verdict::Inconclusive, Verdict::NotRun, Verdict::NotTestable] {
            assert_eq!(Standing::of("theorem", verdict, true), Standing::Undecided);
        }
        let unknown = Standing::of("certain", Verdict::Refuted, false);
        assert_eq!(unknown, Standing::Undecided);
    }

    #[test]
    fn the_rule_knows_every_status_that_the_claims_name() {
        for claim in claims::all() {
            let status = claim.sentence.map_or("stated", |sentence| sentence.status);
            let known = FIRM.contains(&status) || GUARDED.contains(&status);
            assert!(known, "{}: {status}", claim.id);
        }
    }
}
