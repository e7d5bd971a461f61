//! The one place where evidence becomes a verdict.

use crate::evidence::{Kind, Outcome, Record, Role};
use serde::{Deserialize, Serialize};

/// What is said of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// An identity or bound, found to hold over the stated cases.
    Verified,
    /// Found to hold statistically, with the stated effect, interval and power.
    Supported,
    /// Violated, by a counterexample or by an interval.
    Refuted,
    /// The evidence does not tell, or may not be believed.
    Inconclusive,
    /// What it takes was not there.
    NotRun,
    /// No experiment can tell.
    NotTestable,
}

impl Verdict {
    /// Its name in files and in the terminal.
    pub fn name(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Supported => "supported",
            Self::Refuted => "refuted",
            Self::Inconclusive => "inconclusive",
            Self::NotRun => "not_run",
            Self::NotTestable => "not_testable",
        }
    }

    /// Whether the statement stands.
    pub fn stands(self) -> bool {
        matches!(self, Self::Verified | Self::Supported)
    }
}

/// Why a claim without checks has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unexamined {
    /// What it takes is not there yet, and this is missing.
    NotRun(&'static str),
    /// No experiment can tell, for this reason.
    NotTestable(&'static str),
}

impl Unexamined {
    /// The verdict on such a claim.
    pub fn verdict(self) -> Verdict {
        match self {
            Self::NotRun(_) => Verdict::NotRun,
            Self::NotTestable(_) => Verdict::NotTestable,
        }
    }

    /// Why.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotRun(reason) | Self::NotTestable(reason) => reason,
        }
    }
}

/// The verdict on the statement that the checks of `role` speak to.
///
/// A check that missed its planted defect or found its planted truth violated is not believed, and with one such check nothing is said.
/// One violation refutes. A statement stands when every check of it holds; it is `verified` when all of them are exact or identities.
pub fn judge(records: &[Record], role: Role) -> Verdict {
    let records: Vec<&Record> = records.iter().filter(|r| r.role == role).collect();
    let any = |outcome| records.iter().any(|r| r.outcome == outcome);
    if records.is_empty() {
        Verdict::NotRun
    } else if !records.iter().all(|r| r.is_sound()) {
        Verdict::Inconclusive
    } else if any(Outcome::Violated) {
        Verdict::Refuted
    } else if any(Outcome::Undecided) {
        Verdict::Inconclusive
    } else if records
        .iter()
        .all(|r| matches!(r.kind, Kind::Exact | Kind::Identity))
    {
        Verdict::Verified
    } else {
        Verdict::Supported
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::method::Method;
    use crate::evidence::{DefectRecord, Size, TruthRecord};

    fn record(role: Role, kind: Kind, outcome: Outcome) -> Record {
        Record {
            id: "check".into(),
            role,
            kind,
            hypothesis: String::new(),
            outcome,
            summary: String::new(),
            cases: 1,
            effect: None,
            interval: None,
            tolerance: 0.0,
            detectable: Size::of("something", 1.0),
            false_alarm: 0.0,
            miss: 0.0,
            method: Method::default(),
            bound: 0.0,
            sample_size: None,
            planted_defect: DefectRecord {
                what: String::new(),
                size: 2.0,
                caught: true,
            },
            planted_truth: TruthRecord {
                what: String::new(),
                passed: true,
                alarmed: false,
            },
            counterexample: None,
            scope: None,
            over_seeds: Vec::new(),
        }
    }

    fn exact(outcome: Outcome) -> Record {
        record(Role::AsWritten, Kind::Exact, outcome)
    }

    #[test]
    fn exact_evidence_verifies_and_statistical_evidence_supports() {
        let statistical = record(Role::AsWritten, Kind::Statistical, Outcome::Holds);
        let judge = |records: &[Record]| judge(records, Role::AsWritten);
        assert_eq!(judge(&[exact(Outcome::Holds)]), Verdict::Verified);
        assert_eq!(
            judge(&[exact(Outcome::Holds), statistical]),
            Verdict::Supported
        );
        assert_eq!(judge(&[]), Verdict::NotRun);
    }

    #[test]
    fn one_violation_refutes_and_without_one_doubt_leaves_it_open() {
        let judge = |records: &[Record]| judge(records, Role::AsWritten);
        let (held, violated, open) = (
            exact(Outcome::Holds),
            exact(Outcome::Violated),
            exact(Outcome::Undecided),
        );
        assert_eq!(
            judge(&[held.clone(), violated, open.clone()]),
            Verdict::Refuted
        );
        assert_eq!(judge(&[held, open]), Verdict::Inconclusive);
    }

    #[test]
    fn a_missed_defect_a_refused_truth_or_a_defect_too_large_leaves_nothing_said() {
        let mut missed = exact(Outcome::Violated);
        missed.planted_defect.caught = false;
        let mut refused = exact(Outcome::Holds);
        refused.planted_truth.passed = false;
        let mut too_large = exact(Outcome::Holds);
        too_large.planted_defect.size = 2.1;
        for unsound in [missed, refused, too_large] {
            assert_eq!(
                judge(&[exact(Outcome::Holds), unsound], Role::AsWritten),
                Verdict::Inconclusive
            );
        }
    }

    #[test]
    fn a_check_speaks_to_its_own_statement_only() {
        let records = [
            exact(Outcome::Violated),
            record(Role::Corrected, Kind::Exact, Outcome::Holds),
        ];
        assert_eq!(judge(&records, Role::AsWritten), Verdict::Refuted);
        assert_eq!(judge(&records, Role::Corrected), Verdict::Verified);
        assert_eq!(judge(&records, Role::HoldsWhen), Verdict::NotRun);
    }

    #[test]
    fn every_verdict_is_called_in_the_terminal_what_files_call_it_and_two_of_them_stand() {
        use Verdict::{Inconclusive, NotRun, NotTestable, Refuted, Supported, Verified};
        for verdict in [
            Verified,
            Supported,
            Refuted,
            Inconclusive,
            NotRun,
            NotTestable,
        ] {
            let in_files = serde_json::to_value(verdict).expect("a name");
            assert_eq!(in_files, verdict.name());
            assert_eq!(verdict.stands(), [Verified, Supported].contains(&verdict));
        }
    }

    #[test]
    fn a_claim_without_checks_says_why_and_gets_the_verdict_of_its_reason() {
        let missing = Unexamined::NotRun("no data");
        assert_eq!(
            (missing.verdict(), missing.reason()),
            (Verdict::NotRun, "no data")
        );
        let never = Unexamined::NotTestable("a taste");
        assert_eq!(
            (never.verdict(), never.reason()),
            (Verdict::NotTestable, "a taste")
        );
    }
}
