//! The result of an audit. [`Report`] is `report.json`; everything else is a view of it.

mod appendix;
mod documentation;
mod explain;
mod html;
mod markdown;
mod page;
pub mod pictures;
pub mod pins;
mod plot;
mod provenance;
mod read;
pub mod recorded;
pub mod standing;
mod terminal;
pub mod truths;

pub use appendix::{Calibration, Judgement, MethodReport, RecordedNights, Timings};
pub use explain::explain;
pub use html::html;
pub use markdown::markdown;
pub use provenance::Provenance;
pub use read::read;
pub use recorded::Recorded;
pub use terminal::terminal;

use crate::audit::Options;
use crate::baseline::Instrument;
use crate::claims::multiverse::Multiverse;
use crate::claims::{Claim, Origin, about, waiting};
use crate::document::table::shipped;
use crate::evidence::ledger::Budget;
use crate::evidence::picture::Picture;
use crate::evidence::{Record, Role};
use crate::nights::Nights;
use crate::scenarios::store::hex;
use crate::tier::Tier;
use crate::verdict::{Verdict, judge};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use standing::{Standing, Standings};
use truths::Truth;

/// The schema of `report.json`.
pub const SCHEMA: &str = "fjld-report/1";

/// `report.json`: the same for the same program, tier, seed and data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// How much work was done.
    pub tier: Tier,
    /// The seed that every stream derives from.
    pub root_seed: u64,
    /// The error budget.
    pub budget: Budget,
    /// The suite's own instruments.
    pub baseline: Vec<Instrument>,
    /// How many claims have each verdict.
    pub summary: Summary,
    /// On how many sentences the document says more, as much or less than the evidence bears out.
    #[serde(default)]
    pub standings: Standings,
    /// The five lines of the document's checklist.
    pub checklist: Vec<ChecklistLine>,
    /// Every statement that stands.
    #[serde(default)]
    pub what_is_true: Vec<Truth>,
    /// The claims.
    pub claims: Vec<ClaimReport>,
    /// The methods of the checks, each with what bounds its false alarms.
    #[serde(default)]
    pub methods: Vec<MethodReport>,
    /// How often the stochastic checks alarm where their claim holds, as recorded.
    #[serde(default)]
    pub calibration: Option<Calibration>,
    /// What checks say in worlds that violate their claim by known sizes, as recorded.
    #[serde(default)]
    pub judge: Option<Judgement>,
    /// What the stochastic checks found on nights at fresh seeds, as recorded.
    #[serde(default)]
    pub recorded_nights: Option<RecordedNights>,
    /// What measuring costs, as recorded.
    #[serde(default)]
    pub timings: Option<Timings>,
    /// The stochastic checks over all nights of the ledger beside the report; there only where the ledger is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nights: Option<Nights>,
    /// The evidence to look at.
    #[serde(default)]
    pub pictures: Vec<Picture>,
}

/// How many claims have each verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Claims.
    pub claims: usize,
    /// Of them verified.
    pub verified: usize,
    /// Of them supported.
    pub supported: usize,
    /// Of them refuted.
    pub refuted: usize,
    /// Of them inconclusive.
    pub inconclusive: usize,
    /// Of them not run.
    pub not_run: usize,
    /// Of them not testable.
    pub not_testable: usize,
}

/// A line of the document's checklist with the verdict on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChecklistLine {
    /// Its line in the document.
    pub line: u32,
    /// What it asks, in our words.
    pub asks: String,
    /// The claim that judges it.
    pub claim: String,
    /// The verdict; `not_run` where that claim is not in this report.
    pub verdict: Verdict,
}

/// A claim with its verdict and evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClaimReport {
    /// Its name.
    pub id: String,
    /// Whose statement it is.
    pub origin: Origin,
    /// The statement, in our words.
    pub statement: String,
    /// What the file of the claim says of it: what it means, and derivations.
    #[serde(default)]
    pub about: Option<String>,
    /// Where the document says it.
    pub document: Option<DocumentReport>,
    /// On the sentence as written.
    pub verdict: Verdict,
    /// Why there are no checks of it, where there are none.
    #[serde(default)]
    pub reason: Option<String>,
    /// Why the verdict does not count, where it does not.
    pub lapsed: Option<String>,
    /// The scope in which the sentence does hold, where a check showed it.
    pub holds_when: Option<String>,
    /// What is true instead.
    pub corrected: Option<CorrectedReport>,
    /// The evidence.
    pub checks: Vec<Record>,
    /// Every reading of an empirical sentence.
    #[serde(default)]
    pub multiverse: Option<Multiverse>,
    /// What the checks find in runs of a higher tier that were made once and kept; no verdict rests on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recorded: Vec<Recorded>,
    /// How to do it again.
    pub receipt: Receipt,
}

/// Where the document says it, and how firmly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DocumentReport {
    /// The heading it stands under.
    pub section: String,
    /// Its line.
    pub line: u32,
    /// The hash of that line.
    pub sha256: String,
    /// How firmly the document says it.
    pub status: String,
    /// How that stands to the verdict.
    #[serde(default)]
    pub standing: Standing,
    /// Every line that speaks to the claim or that it rests on, that one among them.
    #[serde(default)]
    pub lines: Vec<u32>,
}

/// A corrected statement with its verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CorrectedReport {
    /// The statement.
    pub statement: String,
    /// The verdict on it.
    pub verdict: Verdict,
}

/// What re-executes a verdict, and a hash of the evidence that must come out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// The arguments of this program.
    pub command: String,
    /// The stream that every draw of this claim derives from.
    pub stream: String,
    /// SHA-256 of the claim's `checks`, as compact JSON.
    pub evidence_sha256: String,
}

/// The document's checklist (lines 232 to 236), in our words, and the claims that judge it.
pub const CHECKLIST: [(u32, &str, &str); 5] = [
    (232, "100 gradient samples estimate C", "sample-count"),
    (
        233,
        "the diagonal approximation needs near-isotropic noise",
        "diagonal-for-ratio",
    ),
    (
        234,
        "C crosses 1 before validation accuracy improves",
        "phase-precedes-accuracy",
    ),
    (235, "C is unchanged under reparameterisation", "theorem-2"),
    (
        236,
        "C correlates with test accuracy by more than 0.7",
        "ratio-tracks-accuracy",
    ),
];

impl Report {
    /// Judges the records of each claim.
    pub fn new(
        options: &Options,
        budget: Budget,
        baseline: Vec<Instrument>,
        judged: Vec<(&Claim, Vec<Record>)>,
    ) -> Self {
        let broken = baseline.iter().any(|instrument| !instrument.works);
        let claims: Vec<ClaimReport> = judged
            .into_iter()
            .map(|(claim, records)| {
                let gone = options
                    .binding
                    .as_ref()
                    .is_some_and(|b| b.has_lapsed(claim.id));
                let missing = options.missing(claim).filter(|_| records.is_empty());
                let mut report = ClaimReport::new(claim, records, missing);
                if broken {
                    report.lapse(Verdict::Inconclusive, "the suite's own baseline failed");
                } else if gone {
                    report.lapse(
                        Verdict::NotRun,
                        "a line of the document that states it has changed",
                    );
                }
                report
            })
            .collect();
        let mut summary = Summary::default();
        for claim in &claims {
            summary.count(claim.verdict);
        }
        let standings = claims
            .iter()
            .filter_map(|claim| Some(claim.document.as_ref()?.standing));
        let standings = Standings::of(standings);
        let checklist = CHECKLIST
            .into_iter()
            .map(|(line, asks, id)| ChecklistLine {
                line,
                asks: asks.to_owned(),
                claim: id.to_owned(),
                verdict: claims
                    .iter()
                    .find(|claim| claim.id == id)
                    .map_or(Verdict::NotRun, |claim| claim.verdict),
            })
            .collect();
        Self {
            schema: SCHEMA.to_owned(),
            tier: options.tier,
            root_seed: options.root_seed,
            budget,
            baseline,
            summary,
            standings,
            checklist,
            what_is_true: truths::truths(&claims),
            methods: MethodReport::of(&claims),
            calibration: Some(Calibration::recorded()),
            judge: Some(Judgement::recorded()),
            recorded_nights: Some(RecordedNights::recorded()),
            timings: Some(Timings::recorded()),
            nights: None,
            pictures: Vec::new(),
            claims,
        }
    }

    /// Whether an instrument of the suite failed, so that no verdict counts.
    pub fn baseline_failed(&self) -> bool {
        self.baseline.iter().any(|instrument| !instrument.works)
    }

    /// As the bytes of `report.json`.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("plain numbers and names");
        text.push('\n');
        text
    }
}

impl Summary {
    fn count(&mut self, verdict: Verdict) {
        self.claims += 1;
        match verdict {
            Verdict::Verified => self.verified += 1,
            Verdict::Supported => self.supported += 1,
            Verdict::Refuted => self.refuted += 1,
            Verdict::Inconclusive => self.inconclusive += 1,
            Verdict::NotRun => self.not_run += 1,
            Verdict::NotTestable => self.not_testable += 1,
        }
    }
}

impl ClaimReport {
    fn new(claim: &Claim, checks: Vec<Record>, missing: Option<String>) -> Self {
        // a scope is shown by checks of its own, or found by the checks of the sentence
        let shown = judge(&checks, Role::HoldsWhen).stands();
        let holds_when = match claim.holds_when {
            Some(scope) => shown.then(|| scope.to_owned()),
            None => checks
                .iter()
                .filter(|record| record.role == Role::AsWritten && record.is_sound())
                .find_map(|record| record.scope.clone()),
        };
        let evidence = serde_json::to_vec(&checks).expect("plain numbers and names");
        let unexamined = waiting::unexamined(claim.id);
        let verdict = match unexamined {
            Some(why) => why.verdict(),
            None => judge(&checks, Role::AsWritten),
        };
        Self {
            id: claim.id.to_owned(),
            origin: claim.origin,
            statement: claim.statement.to_owned(),
            about: about::of(claim.id).map(str::to_owned),
            document: claim.sentence.map(|sentence| DocumentReport {
                section: sentence.section.to_owned(),
                line: sentence.line,
                sha256: sentence.sha256.to_owned(),
                status: sentence.status.to_owned(),
                standing: Standing::of(sentence.status, verdict, holds_when.is_some()),
                lines: shipped().lines_of(claim.id).map(|l| l.number).collect(),
            }),
            verdict,
            reason: unexamined.map(|why| why.reason().to_owned()).or(missing),
            lapsed: None,
            holds_when,
            corrected: claim.corrected.map(|statement| CorrectedReport {
                statement: statement.to_owned(),
                verdict: judge(&checks, Role::Corrected),
            }),
            receipt: Receipt {
                command: format!("replay {}", claim.id),
                stream: claim.id.to_owned(),
                evidence_sha256: hex(&Sha256::digest(evidence)),
            },
            checks,
            multiverse: None,
            recorded: Vec::new(),
        }
    }

    fn lapse(&mut self, verdict: Verdict, why: &str) {
        self.verdict = verdict;
        self.lapsed = Some(why.to_owned());
        self.holds_when = None;
        if let Some(document) = &mut self.document {
            document.standing = Standing::Undecided;
        }
        if let Some(corrected) = &mut self.corrected {
            corrected.verdict = verdict;
        }
    }

    /// The evidence that the verdict rests on most: a violation if there is one, else the first check of the sentence.
    pub fn decisive(&self) -> Option<&Record> {
        let mut own = self.checks.iter().filter(|r| r.role == Role::AsWritten);
        let violated = own
            .clone()
            .find(|r| r.outcome == crate::evidence::Outcome::Violated);
        violated.or_else(|| own.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit;

    fn report(works: bool) -> Report {
        let options = Options {
            tier: Tier::Quick,
            root_seed: 1,
            claims: Vec::new(),
            folder: None,
            data: None,
            device: candle_core::Device::Cpu,
            binding: None,
        };
        let instrument = Instrument {
            what: "measures".into(),
            works,
        };
        let claims = audit::choose(&["theorem-1".to_owned()]).expect("it is a claim");
        let judged = vec![(&claims[0], Vec::new())];
        Report::new(&options, Budget::with(0), vec![instrument], judged)
    }

    #[test]
    fn with_a_broken_instrument_no_verdict_counts() {
        let broken = report(false);
        assert!(broken.baseline_failed());
        assert_eq!(broken.claims[0].verdict, Verdict::Inconclusive);
        assert_eq!(broken.summary.inconclusive, 1);
        let lapsed = broken.claims[0].lapsed.as_deref();
        assert_eq!(lapsed, Some("the suite's own baseline failed"));
    }

    #[test]
    fn a_report_from_before_the_standings_is_read() {
        let mut json = serde_json::to_value(report(true)).expect("plain numbers and names");
        let remove = |value: &mut serde_json::Value, key: &str| {
            let removed = value.as_object_mut().and_then(|object| object.remove(key));
            assert!(removed.is_some(), "{key}");
        };
        remove(&mut json, "standings");
        for key in [
            "methods",
            "calibration",
            "judge",
            "recorded_nights",
            "timings",
        ] {
            remove(&mut json, key);
        }
        remove(&mut json["claims"][0], "reason");
        remove(&mut json["claims"][0]["document"], "standing");
        remove(&mut json["claims"][0]["document"], "lines");
        let read: Report = serde_json::from_value(json).expect("it is a report");
        assert_eq!(read.standings, Standings::default());
    }

    #[test]
    fn a_claim_without_evidence_is_not_run_and_differs_from_no_pin() {
        let report = report(true);
        assert_eq!(report.claims[0].verdict, Verdict::NotRun);
        assert_eq!(report.claims[0].holds_when, None);
        assert!(pins::differences(&report).is_empty());
    }
}
