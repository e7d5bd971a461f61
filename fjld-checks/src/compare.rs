//! `fjld-checks compare`: what changed between two reports, and whether it is more than noise.
//!
//! A verdict, a corrected verdict or a scope that is another one is a change, and so is a claim or check that only one report has. Below
//! that, evidence is compared by its kind. A stochastic check has changed when its two intervals do not overlap (two independent 95%
//! intervals of one quantity miss each other once in some 170 times), or, where either lacks an interval, when its outcome is another.
//! An exact check has no noise: another outcome, counterexample or number of cases is a change. A check that was believed and no longer
//! is, or the other way round, has changed whatever its kind. `not_run` is no finding, so that nothing is compared with it.
//!
//! Pins hold verdicts and scopes alone, so that against them no evidence is compared.

mod markdown;

use crate::evidence::{Kind, Outcome, Record};
use crate::report::{ClaimReport, Report, pins};
use crate::verdict::Verdict;
use serde::Serialize;
use std::fmt;

/// The `schema` of the JSON.
pub const SCHEMA: &str = "fjld-compare/1";

/// What changed from one report to another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Always [`SCHEMA`].
    pub schema: &'static str,
    /// How the first report was made.
    pub before: Side,
    /// How the second was made.
    pub after: Side,
    /// Whether anything changed beyond noise.
    pub changed: bool,
    /// What a reader has to know of the two reports: other tiers, other seeds, a failed baseline.
    pub notes: Vec<String>,
    /// The changes, in the order of the claims of the first report; then the claims that only the second has.
    pub changes: Vec<Change>,
    /// What `not_run` kept from being compared.
    pub not_compared: Vec<NotCompared>,
}

/// How a report was made.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Side {
    /// Its tier.
    pub tier: &'static str,
    /// Its seed; `None` for pins, which hold for every seed.
    pub root_seed: Option<u64>,
}

/// One thing that changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The claim.
    pub claim: String,
    /// The check of it, where one check changed.
    pub check: Option<String>,
    /// `claim`, `verdict`, `corrected_verdict`, `holds_when`, `check`, `soundness`, `outcome`, `effect`, `counterexample` or `cases`.
    pub what: &'static str,
    /// In the first report; `None` where it has none.
    pub before: Option<String>,
    /// In the second.
    pub after: Option<String>,
}

/// Something that `not_run` stands for in one of the reports.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NotCompared {
    /// The claim.
    pub claim: String,
    /// `verdict` or `corrected_verdict`.
    pub what: &'static str,
    /// The verdict in the first report.
    pub before: &'static str,
    /// The verdict in the second.
    pub after: &'static str,
}

/// What changed from `before` to `after`.
pub fn compare(before: &Report, after: &Report) -> Comparison {
    let mut found = Comparison {
        schema: SCHEMA,
        before: Side::of(before),
        after: Side::of(after),
        changed: false,
        notes: notes(before, after),
        changes: Vec::new(),
        not_compared: Vec::new(),
    };
    for claim in &before.claims {
        match after.claims.iter().find(|other| other.id == claim.id) {
            Some(other) => found.compare_claims(claim, other),
            None => found.note(&claim.id, None, "claim", Some(verdict_of(claim)), None),
        }
    }
    for claim in &after.claims {
        if !before.claims.iter().any(|other| other.id == claim.id) {
            found.note(&claim.id, None, "claim", None, Some(verdict_of(claim)));
        }
    }
    found.changed = !found.changes.is_empty();
    found
}

/// What changed from the pinned verdicts of the report's tier. Claims that the report does not have are left out, and counted in a note.
pub fn against_pins(after: &Report) -> Comparison {
    let mut found = Comparison {
        schema: SCHEMA,
        before: Side {
            tier: after.tier.name(),
            root_seed: None,
        },
        after: Side::of(after),
        changed: false,
        notes: failed_baseline(after, "the report").into_iter().collect(),
        changes: Vec::new(),
        not_compared: Vec::new(),
    };
    let mut pinned = pins::pinned(after.tier);
    for (id, now) in pins::of(after) {
        match pinned.remove(&id) {
            Some(pin) => {
                found.compare_verdicts(&id, "verdict", Some(pin.verdict), Some(now.verdict));
                if pin.verdict != Verdict::NotRun && now.verdict != Verdict::NotRun {
                    let what = "corrected_verdict";
                    found.compare_verdicts(&id, what, pin.corrected, now.corrected);
                    found.note(&id, None, "holds_when", pin.holds_when, now.holds_when);
                }
            }
            None => {
                let now = now.verdict.name().to_owned();
                found.note(&id, None, "claim", None, Some(now));
            }
        }
    }
    if !pinned.is_empty() {
        let missing = pinned.len();
        found.notes.push(format!(
            "{missing} pinned claims are not in this report, and are left out"
        ));
    }
    found.changed = !found.changes.is_empty();
    found
}

fn notes(before: &Report, after: &Report) -> Vec<String> {
    let mut notes = Vec::new();
    if before.tier != after.tier {
        notes.push(format!(
            "the tiers differ, {} before and {} after: numbers of cases differ by that alone",
            before.tier.name(),
            after.tier.name()
        ));
    }
    if before.root_seed != after.root_seed {
        notes.push(format!(
            "the root seeds differ, {} before and {} after: every draw is another one",
            before.root_seed, after.root_seed
        ));
    }
    notes.extend(failed_baseline(before, "the first report"));
    notes.extend(failed_baseline(after, "the second report"));
    notes
}

fn failed_baseline(report: &Report, which: &str) -> Option<String> {
    report
        .baseline_failed()
        .then(|| format!("the suite's own baseline failed in {which}: no verdict in it counts"))
}

fn verdict_of(claim: &ClaimReport) -> String {
    claim.verdict.name().to_owned()
}

impl Side {
    fn of(report: &Report) -> Self {
        Self {
            tier: report.tier.name(),
            root_seed: Some(report.root_seed),
        }
    }
}

impl Comparison {
    fn note(
        &mut self,
        claim: &str,
        check: Option<&str>,
        what: &'static str,
        before: Option<String>,
        after: Option<String>,
    ) {
        if before != after {
            self.changes.push(Change {
                claim: claim.to_owned(),
                check: check.map(str::to_owned),
                what,
                before,
                after,
            });
        }
    }

    fn compare_claims(&mut self, before: &ClaimReport, after: &ClaimReport) {
        let id = &before.id;
        let verdicts = (before.verdict, after.verdict);
        self.compare_verdicts(id, "verdict", Some(verdicts.0), Some(verdicts.1));
        let corrected = |claim: &ClaimReport| claim.corrected.as_ref().map(|c| c.verdict);
        let what = "corrected_verdict";
        self.compare_verdicts(id, what, corrected(before), corrected(after));
        if verdicts.0 == Verdict::NotRun || verdicts.1 == Verdict::NotRun {
            return;
        }
        let scope = |claim: &ClaimReport| claim.holds_when.clone();
        self.note(id, None, "holds_when", scope(before), scope(after));
        self.compare_checks(id, &before.checks, &after.checks);
    }

    fn compare_verdicts(
        &mut self,
        claim: &str,
        what: &'static str,
        before: Option<Verdict>,
        after: Option<Verdict>,
    ) {
        let not_run = [before, after].contains(&Some(Verdict::NotRun));
        match (before, after) {
            (Some(before), Some(after)) if not_run && before != after => {
                self.not_compared.push(NotCompared {
                    claim: claim.to_owned(),
                    what,
                    before: before.name(),
                    after: after.name(),
                });
            }
            _ => {
                let name = |verdict: Option<Verdict>| verdict.map(|v| v.name().to_owned());
                self.note(claim, None, what, name(before), name(after));
            }
        }
    }

    fn compare_checks(&mut self, claim: &str, before: &[Record], after: &[Record]) {
        // a check keeps its name when it comes to speak to another sentence, but is not the same check any more
        let same = |a: &Record, b: &Record| a.id == b.id && a.role == b.role;
        for record in before {
            match after.iter().find(|other| same(record, other)) {
                Some(other) => self.compare_records(claim, record, other),
                None => {
                    let outcome = Some(outcome(record));
                    self.note(claim, Some(&record.id), "check", outcome, None);
                }
            }
        }
        for record in after {
            if !before.iter().any(|other| same(record, other)) {
                let outcome = Some(outcome(record));
                self.note(claim, Some(&record.id), "check", None, outcome);
            }
        }
    }

    fn compare_records(&mut self, claim: &str, before: &Record, after: &Record) {
        let check = Some(before.id.as_str());
        let mut note = |what, of: fn(&Record) -> Option<String>| {
            self.note(claim, check, what, of(before), of(after));
        };
        note("soundness", |record| {
            let sound = if record.is_sound() {
                "sound"
            } else {
                "unsound"
            };
            Some(sound.to_owned())
        });
        let stochastic = |record: &Record| matches!(record.kind, Kind::Statistical | Kind::Runs);
        if !stochastic(before) || !stochastic(after) {
            note("outcome", |record| Some(outcome(record)));
            note("counterexample", |record| {
                record.counterexample.as_ref().map(|c| c.case.clone())
            });
            note("cases", |record| Some(record.cases.to_string()));
        } else if let (Some(a), Some(b)) = (before.interval, after.interval) {
            if a[1] < b[0] || b[1] < a[0] {
                note("effect", effect);
            }
        } else {
            note("outcome", |record| Some(outcome(record)));
        }
    }
}

impl Change {
    /// What changed, in words.
    fn what(&self) -> String {
        let what = self.what.replace('_', " ");
        match &self.check {
            Some(check) if self.what == "check" => format!("check {check}"),
            Some(check) => format!("{what} of {check}"),
            None => what,
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.changes.len() {
            0 => write!(f, "nothing changed beyond noise")?,
            1 => write!(f, "1 change")?,
            many => write!(f, "{many} changes")?,
        }
        for change in &self.changes {
            let side = |side: &Option<String>| side.clone().unwrap_or_else(|| "none".to_owned());
            write!(
                f,
                "\n  {}: {}: {} -> {}",
                change.claim,
                change.what(),
                side(&change.before),
                side(&change.after)
            )?;
        }
        for pair in &self.not_compared {
            write!(
                f,
                "\n  not compared: {}: {}: {} and {}",
                pair.claim,
                pair.what.replace('_', " "),
                pair.before,
                pair.after
            )?;
        }
        for note in &self.notes {
            write!(f, "\n  note: {note}")?;
        }
        Ok(())
    }
}

fn outcome(record: &Record) -> String {
    match record.outcome {
        Outcome::Holds => "holds",
        Outcome::Violated => "violated",
        Outcome::Undecided => "undecided",
    }
    .to_owned()
}

fn effect(record: &Record) -> Option<String> {
    let [low, high] = record.interval?;
    Some(match record.effect {
        Some(effect) => format!("{effect:.4} [{low:.4}, {high:.4}]"),
        None => format!("[{low:.4}, {high:.4}]"),
    })
}
