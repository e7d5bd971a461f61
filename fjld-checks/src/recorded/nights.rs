//! What the stochastic checks found on nights at fresh seeds, at the rates of the budget and on training runs made anew each time: too
//! many nights for a report, or for a morning. `nights --record` adds those of a ledger.
//!
//! The calibration beside it counts alarms at a rate that can be counted; here it is the audit itself that was run again and again. A
//! check that finds a statement to hold on one night and to be violated on another is not to be believed on either.

use super::{Gaps, Tally, promise};
use crate::claims::{self, Claim};
use crate::error::Result;
use crate::evidence::Check;
use crate::evidence::ledger::Rates;
use crate::nights::{Ledger, Line, e_value};
use crate::scenarios::store::hex;
use crate::scenarios::{settings, shipped};
use crate::tier::Tier;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::LazyLock;

/// The schema of recorded nights.
pub const SCHEMA: &str = "fjld-nights/1";

/// The tier whose nights are recorded.
pub const TIER: Tier = Tier::Quick;

/// All nights that were recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedNights {
    /// [`SCHEMA`].
    pub schema: String,
    /// The arguments of this program that recorded them.
    pub command: String,
    /// How much work each did.
    pub tier: Tier,
    /// The chance of a false alarm in a world that each check allowed itself.
    pub false_alarm: f64,
    /// The nights, each named by its root seed, which counts once.
    pub root_seeds: Vec<u64>,
    /// A check each.
    pub checks: Vec<RecordedCheck>,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedCheck {
    /// Its claim.
    pub claim: String,
    /// Its name.
    pub check: String,
    /// A hash of its promise and of the settings of the scenarios that it draws on.
    pub depends_on: String,
    /// What it found in the real world, a night each.
    pub found: Tally,
    /// Alarms in its planted truth, where each is a false one.
    pub truth_alarms: u64,
}

impl RecordedCheck {
    fn name(&self) -> String {
        format!("{}/{}", self.claim, self.check)
    }

    /// Whether it found its statement to hold on one night and to be violated on another.
    pub fn contradicts_itself(&self) -> bool {
        self.found.holds > 0 && self.found.violated > 0
    }
}

impl RecordedNights {
    /// How many planted truths were examined, and in how many of them there was an alarm.
    pub fn truths(&self) -> (u64, u64) {
        let examined = self.checks.iter().map(|c| c.found.trials()).sum();
        (examined, self.checks.iter().map(|c| c.truth_alarms).sum())
    }

    /// The alarms in planted truths that the budget allows on average.
    pub fn allowed(&self) -> f64 {
        self.truths().0 as f64 * self.false_alarm
    }

    /// The average over checks of the e-values against them (see [`crate::nights`]), which is an e-value against the suite.
    pub fn e_value(&self) -> f64 {
        let of = |check: &RecordedCheck| {
            let nights = 0..check.found.trials();
            e_value(nights.map(|night| (night < check.truth_alarms, self.false_alarm)))
        };
        let all: f64 = self.checks.iter().map(of).sum();
        match self.checks.len() {
            0 => 1.0,
            checks => all / checks as f64,
        }
    }
}

impl fmt::Display for RecordedNights {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (truths, alarms) = self.truths();
        let nights = || self.checks.iter().map(|check| check.found.trials());
        let contradictory = self.checks.iter().filter(|c| c.contradicts_itself());
        write!(
            f,
            "on {} to {} nights each, at fresh seeds (tier {}), {} stochastic checks had {alarms} alarms in {truths} planted truths, where {:.2} are allowed on average; {} found their statement to hold on one night and to be violated on another",
            nights().min().unwrap_or(0),
            nights().max().unwrap_or(0),
            self.tier.name(),
            self.checks.len(),
            self.allowed(),
            contradictory.count()
        )
    }
}

/// A hash of what a night of a check depends on: its promise, and the settings of the runs that it judges.
///
/// # Errors
/// When a scenario of the claim is none.
pub fn depends_on(claim: &Claim, check: &Check, tier: Tier) -> Result<String> {
    let mut text = promise(claim.id, &check.spec, Rates::of_one_slot());
    for name in check.draws_on(claim.scenarios) {
        text += &settings::sha256(shipped::text(name)?, tier, name)?;
    }
    Ok(hex(&Sha256::digest(text)))
}

/// The stochastic checks as they are now, each with its claim and what its nights depend on.
fn wanted() -> Result<Vec<(&'static str, &'static str, String)>> {
    let claims = claims::all();
    let checks = claims
        .iter()
        .flat_map(|claim| claim.checks.iter().map(move |check| (claim, check)));
    checks
        .filter(|(_, check)| check.is_stochastic())
        .map(|(claim, check)| Ok((claim.id, check.spec.id, depends_on(claim, check, TIER)?)))
        .collect()
}

/// Adds the nights of a ledger to those recorded in a file. A night that is there already is not counted again; what was found by a check
/// that promises something else now is left out, and so are nights of other tiers.
///
/// # Errors
/// When the file can not be read or written.
pub fn record(ledger: &Ledger, out: &Path) -> Result<RecordedNights> {
    let earlier: Option<RecordedNights> = super::read(out)?;
    let earlier = earlier.filter(|e| e.schema == SCHEMA && e.tier == TIER);
    let (known, earlier) = earlier.map_or_else(Default::default, |e| {
        (BTreeSet::from_iter(e.root_seeds), e.checks)
    });
    let mut root_seeds = known.clone();
    let mut checks = Vec::new();
    for (claim, check, depends_on) in wanted()? {
        let stands = |line: &&Line| {
            line.claim == claim
                && line.check == check
                && line.depends_on.as_ref() == Some(&depends_on)
        };
        let is_new = |line: &&Line| line.tier == TIER && !known.contains(&line.root_seed);
        let new = ledger.lines.iter().filter(is_new).filter(stands);
        // one line a night
        let new: BTreeMap<u64, &Line> = new.map(|line| (line.root_seed, line)).collect();
        root_seeds.extend(new.keys());
        let found = Tally::of(new.values().map(|line| line.outcome));
        let alarms = new.values().filter(|line| line.truth_alarm).count() as u64;
        let before = earlier.iter().find(|entry| {
            entry.claim == claim && entry.check == check && entry.depends_on == depends_on
        });
        let own = RecordedCheck {
            claim: claim.to_owned(),
            check: check.to_owned(),
            found: before.map_or(found, |entry| entry.found.plus(found)),
            truth_alarms: before.map_or(0, |entry| entry.truth_alarms) + alarms,
            depends_on,
        };
        if own.found.trials() > 0 {
            checks.push(own);
        }
    }
    let recorded = RecordedNights {
        schema: SCHEMA.to_owned(),
        command: "nights --record".to_owned(),
        tier: TIER,
        false_alarm: Rates::of_one_slot().false_alarm,
        root_seeds: root_seeds.into_iter().collect(),
        checks,
    };
    super::write(out, &recorded)?;
    Ok(recorded)
}

/// The nights that are compiled in.
pub fn recorded() -> &'static RecordedNights {
    static RECORDED: LazyLock<RecordedNights> = LazyLock::new(|| {
        let text = include_str!("../../recorded/nights.json");
        serde_json::from_str(text).expect("a test reads the recorded nights")
    });
    &RECORDED
}

/// Which entries are stale and which checks have none.
///
/// # Panics
/// When a shipped scenario is no TOML, which a test would say.
pub fn gaps(nights: &RecordedNights) -> Gaps {
    let wanted = wanted().expect("shipped scenarios are read by a test");
    let wanted: Vec<_> = wanted
        .into_iter()
        .map(|(claim, check, depends_on)| (format!("{claim}/{check}"), depends_on))
        .collect();
    let entries = nights.checks.iter();
    Gaps::of(entries.map(|e| (e.name(), e.depends_on.as_str())), &wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Outcome;
    use approx::assert_relative_eq;

    /// What a check of `ratio-definition` found.
    fn line(root_seed: u64, check: &str, outcome: Outcome, truth_alarm: bool) -> Line {
        let wanted = wanted().expect("scenarios are there");
        let own = wanted.into_iter().find(|(_, id, _)| *id == check);
        Line::new(
            (root_seed, TIER),
            ("ratio-definition", check),
            Rates::of_one_slot().false_alarm,
            outcome,
            truth_alarm,
            Some(own.map_or(String::new(), |(.., depends_on)| depends_on)),
        )
    }

    fn ledger(lines: &[Line]) -> Ledger {
        Ledger {
            lines: lines.to_vec(),
            torn: 0,
        }
    }

    #[test]
    fn every_stochastic_check_has_nights_as_it_is_now() {
        assert_eq!(
            gaps(recorded()),
            Gaps::default(),
            "run `fjld-checks nights --record`: a night of all checks takes about a minute of a core"
        );
    }

    #[test]
    fn alarms_keep_to_the_budget_and_no_check_contradicts_itself() {
        let nights = recorded();
        // whatever the dependence between checks, a suite that keeps its rates comes to this with a chance of at most one in a thousand
        assert!(nights.e_value() < 1e3, "{nights}");
        for check in &nights.checks {
            assert!(!check.contradicts_itself(), "{check:?}");
        }
    }

    #[test]
    fn a_night_counts_once_whatever_ledgers_it_is_in() -> Result<()> {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let out = folder.path().join("nights.json");
        let first = [
            line(7, "central-law", Outcome::Holds, false),
            line(7, "noncentral-law", Outcome::Undecided, false),
            line(8, "central-law", Outcome::Violated, true),
        ];
        let repeated = [&first[..], &first[..1]].concat();
        let once = record(&ledger(&repeated), &out)?;
        assert_eq!(once.root_seeds, [7, 8]);
        assert_eq!(record(&ledger(&first), &out)?, once);
        let other_tier = Line {
            tier: Tier::Standard,
            ..line(9, "noncentral-law", Outcome::Holds, true)
        };
        let other_promise = Line {
            depends_on: Some("another".into()),
            ..line(10, "noncentral-law", Outcome::Holds, true)
        };
        let before_promises = Line {
            depends_on: None,
            ..line(11, "noncentral-law", Outcome::Holds, true)
        };
        let second = [
            line(3, "noncentral-law", Outcome::Undecided, true),
            first[2].clone(),
            other_tier,
            other_promise,
            before_promises,
            line(4, "gone", Outcome::Holds, true),
        ];
        let both = record(&ledger(&second), &out)?;
        assert_eq!(both.root_seeds, [3, 7, 8]);
        let counts = both
            .checks
            .iter()
            .map(|c| (c.name(), c.found, c.truth_alarms));
        let tally = |holds, violated, undecided| Tally {
            holds,
            violated,
            undecided,
        };
        let wanted = [
            ("ratio-definition/central-law".to_owned(), tally(1, 1, 0), 1),
            (
                "ratio-definition/noncentral-law".to_owned(),
                tally(0, 0, 2),
                1,
            ),
        ];
        assert_eq!(counts.collect::<Vec<_>>(), wanted);
        let contradicts: Vec<bool> = both.checks.iter().map(|c| c.contradicts_itself()).collect();
        assert_eq!(contradicts, [true, false]);
        Ok(())
    }

    #[test]
    fn what_was_recorded_under_another_promise_is_dropped() -> Result<()> {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let out = folder.path().join("nights.json");
        let names = ["central-law", "noncentral-law"];
        let mut before = record(
            &ledger(&names.map(|name| line(1, name, Outcome::Holds, true))),
            &out,
        )?;
        before.checks[0].depends_on.clear();
        assert_eq!(gaps(&before).stale, ["ratio-definition/central-law"]);
        super::super::write(&out, &before)?;
        let after = record(
            &ledger(&names.map(|name| line(2, name, Outcome::Holds, false))),
            &out,
        )?;
        let counts = after.checks.iter().map(|c| (c.found.holds, c.truth_alarms));
        assert_eq!(counts.collect::<Vec<_>>(), [(1, 0), (2, 1)]);
        Ok(())
    }

    #[test]
    fn a_check_of_training_runs_depends_on_their_settings() -> Result<()> {
        let mut claims = claims::all().into_iter();
        let mut claim = claims
            .find(|claim| claim.id == "lottery")
            .expect("it is a claim");
        let check = claim.checks.remove(0);
        let own = depends_on(&claim, &check, TIER)?;
        assert_eq!(depends_on(&claim, &check, TIER)?, own);
        assert_ne!(depends_on(&claim, &check, Tier::Standard)?, own);
        claim.scenarios = &["faq"];
        assert_ne!(depends_on(&claim, &check, TIER)?, own);
        Ok(())
    }

    #[test]
    fn evidence_against_the_suite_is_the_average_over_its_checks() {
        let check = |holds, truth_alarms| RecordedCheck {
            claim: "a".into(),
            check: "b".into(),
            depends_on: String::new(),
            found: Tally {
                holds,
                ..Tally::default()
            },
            truth_alarms,
        };
        let mut nights = RecordedNights {
            schema: SCHEMA.into(),
            command: String::new(),
            tier: TIER,
            false_alarm: 0.01,
            root_seeds: vec![1, 2],
            checks: vec![check(2, 1), check(1, 0)],
        };
        let of = |nights: &[bool]| e_value(nights.iter().map(|&alarm| (alarm, 0.01)));
        let expected = (of(&[true, false]) + of(&[false])) / 2.0;
        // a product of two factors and a sum of two
        assert_relative_eq!(nights.e_value(), expected, max_relative = 1e-14);
        assert_eq!(
            nights.to_string(),
            "on 1 to 2 nights each, at fresh seeds (tier quick), 2 stochastic checks had 1 alarms in 3 planted truths, where 0.03 are allowed on average; 0 found their statement to hold on one night and to be violated on another"
        );
        nights.checks.clear();
        assert_eq!(nights.e_value(), 1.0);
    }
}
