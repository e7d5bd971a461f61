//! The evidence of one check, as a report holds it.

use super::method::Method;
use super::over_seeds::OverSeeds;
use super::{Counterexample, Kind, Outcome, Role, Size};
use serde::{Deserialize, Serialize};

/// The evidence of one check, as `report.json` holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The check's name within the claim.
    pub id: String,
    /// The sentence it speaks to.
    pub role: Role,
    /// How it reached its finding.
    pub kind: Kind,
    /// What was tested.
    pub hypothesis: String,
    /// What was found in the real world.
    pub outcome: Outcome,
    /// The same in one sentence.
    pub summary: String,
    /// How many cases, draws or runs were looked at.
    pub cases: u64,
    /// The measured quantity.
    pub effect: Option<f64>,
    /// Its interval.
    pub interval: Option<[f64; 2]>,
    /// The discrepancy that is not held against the claim.
    pub tolerance: f64,
    /// The smallest violation that would have been caught.
    pub detectable: Size,
    /// The chance of finding a violation where there is none (0 in exact arithmetic).
    pub false_alarm: f64,
    /// The chance of not finding one of the detectable size.
    pub miss: f64,
    /// What bounds the chance of a false alarm.
    #[serde(default)]
    pub method: Method,
    /// That bound.
    #[serde(default)]
    pub bound: f64,
    /// The cases that the error rates ask for beside those looked at, where the check derives them.
    #[serde(default)]
    pub sample_size: Option<SampleSize>,
    /// What was planted to be caught.
    pub planted_defect: DefectRecord,
    /// What was planted to pass.
    pub planted_truth: TruthRecord,
    /// The smallest counterexample.
    pub counterexample: Option<Counterexample>,
    /// Where the sentence does hold, found by the check itself.
    pub scope: Option<String>,
    /// Effects over seeds, those of the controls beside them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub over_seeds: Vec<OverSeeds>,
}

/// How many cases there had to be, and how many there were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleSize {
    /// The fewest that the error rates ask for.
    pub needed: u64,
    /// Those looked at.
    pub used: u64,
}

/// How a planted defect fared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DefectRecord {
    /// What was planted.
    pub what: String,
    /// Its size, in the unit of the record's `detectable`.
    pub size: f64,
    /// Whether the check found the claim violated there.
    pub caught: bool,
}

/// How a planted truth fared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TruthRecord {
    /// What was planted.
    pub what: String,
    /// Whether the check found that the claim holds there.
    pub passed: bool,
    /// Whether it found the claim violated there, which is a false alarm. Without either it did not decide.
    #[serde(default)]
    pub alarmed: bool,
}

impl Record {
    /// Whether the check may be believed: it caught the defect, passed the truth, and the defect was not larger than twice what the
    /// check says it detects.
    pub fn is_sound(&self) -> bool {
        self.planted_defect.caught
            && self.planted_truth.passed
            && self.planted_defect.size <= 2.0 * self.detectable.size
    }
}
