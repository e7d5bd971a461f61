//! Recorded evidence: runs that were made once, where their data or the time for them were, kept as the lines that they wrote.
//!
//! `run SCENARIO.toml --tier T --record` makes one. A recording stands for a fresh run only where the data for one are not there, and
//! whatever is judged from it says so; beside a fresh run of a lower tier it is shown apart (see [`crate::report::Recorded`]).
//!
//! The lines are kept packed (`zcat fjld-checks/recorded/NAME.jsonl.gz` shows them): a full tier has megabytes of them.

use super::curve::{Control, Curve, Item, Reading};
use super::evidence::{Evidence, Line};
use super::measurement::{Estimator, Unit, Value};
use super::store::hex;
use super::{Scenario, settings, shipped};
use crate::device::DeviceName;
use crate::error::{Error, Result, parsers_words, printable};
use crate::files::write_whole;
use crate::tier::Tier;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::path::Path;

/// The schema of a recording's provenance.
const SCHEMA: &str = "fjld-recorded/2";

/// Name, provenance and packed lines.
type Files = (&'static str, &'static str, &'static [u8]);

macro_rules! recording {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../../recorded/", $name, ".json")),
            include_bytes!(concat!("../../recorded/", $name, ".jsonl.gz")),
        )
    };
}

/// Scenarios with a recording, of training runs or of a study.
const RECORDINGS: &[Files] = &[
    recording!("cifar-resnet18"),
    recording!("cifar-resnet18-wide"),
    recording!("depth"),
    recording!("digits-mlp"),
    recording!("double-descent"),
    recording!("faq"),
    recording!("gpt"),
    recording!("gpt-shakespeare"),
    recording!("gpt-wide"),
    recording!("heavy-tails"),
    recording!("kfac-modular"),
    recording!("kfac-sharper"),
    recording!("lottery"),
    recording!("mnist-mlp"),
    recording!("modular-embedding"),
    recording!("modular-grokking"),
    recording!("non-iid"),
    recording!("optimisers"),
    recording!("quantisation"),
];

/// What was recorded of a scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// Where it comes from.
    pub provenance: Provenance,
    content: Content,
}

#[derive(Clone, Debug, PartialEq)]
enum Content {
    /// Of training runs.
    Curves(Evidence),
    /// Of a study.
    Rows(Vec<String>),
}

impl Recording {
    /// What training runs showed; `None` of a study.
    pub fn evidence(&self) -> Option<&Evidence> {
        match &self.content {
            Content::Curves(evidence) => Some(evidence),
            Content::Rows(_) => None,
        }
    }

    /// The rows of a study; `None` of training runs.
    pub fn rows(&self) -> Option<&[String]> {
        match &self.content {
            Content::Curves(_) => None,
            Content::Rows(rows) => Some(rows),
        }
    }
}

/// Where a recording comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    schema: String,
    /// The scenario.
    pub scenario: String,
    /// How much work was done.
    pub tier: Tier,
    /// The seed that every stream derives from.
    pub root_seed: u64,
    /// The command, but for places.
    pub command: String,
    /// The version of this program.
    pub program: String,
    /// The processor; another one may round otherwise.
    pub cpu: Option<String>,
    /// SHA-256 of what the runs of this tier depend on (see [`settings`]).
    pub settings_sha256: String,
    /// SHA-256 of the lines.
    pub lines_sha256: String,
    /// What else has to be known of it, written by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What was run, as a recording tells it.
pub struct Made<'a> {
    /// The scenario's name.
    pub scenario: &'a str,
    /// The text of its file.
    pub text: &'a str,
    /// Whether it took a folder of data sets.
    pub data: bool,
    /// Where tensors lived.
    pub device: DeviceName,
    /// How much work was done.
    pub tier: Tier,
    /// The seed that every stream derives from.
    pub root_seed: u64,
    /// What else has to be known of it.
    pub note: Option<String>,
}

impl Provenance {
    /// Of lines that were just made.
    ///
    /// # Errors
    /// When the text of the scenario is no TOML.
    pub fn of(made: &Made, lines: &str) -> Result<Self> {
        let Made { scenario, tier, .. } = made;
        let data = if made.data { " --data DIR" } else { "" };
        let device = match made.device {
            DeviceName::Cpu => "",
            DeviceName::Cuda => " --device cuda",
        };
        let seed = match made.root_seed {
            crate::audit::ROOT_SEED => String::new(),
            other => format!(" --seed {other}"),
        };
        Ok(Self {
            schema: SCHEMA.to_owned(),
            scenario: (*scenario).to_owned(),
            tier: *tier,
            root_seed: made.root_seed,
            command: format!(
                "fjld-checks run scenarios/{scenario}.toml --tier {}{seed}{data}{device}",
                tier.name()
            ),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            cpu: crate::spent::cpu(),
            settings_sha256: settings::sha256(made.text, *tier, scenario)?,
            lines_sha256: hex(&Sha256::digest(lines)),
            note: made.note.clone(),
        })
    }

    /// What is told wherever the recording is judged.
    pub fn label(&self) -> String {
        let note = self.note.as_ref().map(|note| format!(" ({note})"));
        format!(
            "recorded at tier {}{}, not run here",
            self.tier.name(),
            note.unwrap_or_default()
        )
    }

    /// Writes it and the lines to a folder, for people to read.
    ///
    /// # Errors
    /// When a file can not be written.
    pub fn write(&self, lines: &str, folder: &Path) -> Result<()> {
        self.beside("jsonl", lines.as_bytes(), folder)
    }

    /// Writes it and the packed lines to a folder, as this module reads them.
    ///
    /// # Errors
    /// When a file can not be written.
    pub fn record(&self, lines: &str, folder: &Path) -> Result<()> {
        self.beside("jsonl.gz", &packed(lines), folder)
    }

    fn beside(&self, ending: &str, lines: &[u8], folder: &Path) -> Result<()> {
        let name = &self.scenario;
        let mut json = serde_json::to_string_pretty(self).expect("names and sums");
        json.push('\n');
        write_whole(&folder.join(format!("{name}.{ending}")), lines)?;
        write_whole(&folder.join(format!("{name}.json")), json.as_bytes())
    }
}

/// The same bytes whenever and wherever they are packed: no name and no time.
fn packed(lines: &str) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    let done = packer.write_all(lines.as_bytes());
    done.and_then(|()| packer.finish())
        .expect("memory takes what is written to it")
}

fn unpacked(name: &str, lines: &[u8]) -> Result<String> {
    std::io::read_to_string(GzDecoder::new(lines))
        .map_err(|e| Error::input(format!("the recording of \"{name}\": its lines: {e}")))
}

/// Every recording there is.
///
/// # Errors
/// As [`recording`].
pub fn all() -> Result<Vec<Recording>> {
    RECORDINGS.iter().map(read).collect()
}

/// The recording of a scenario, if there is one: where it comes from, and what its runs showed.
///
/// # Errors
/// When its lines or its scenario are not those that it was made with.
pub fn recording(name: &str) -> Result<Option<Recording>> {
    let found = RECORDINGS.iter().find(|(n, _, _)| *n == name);
    found.map(read).transpose()
}

fn read(&(name, provenance, lines): &Files) -> Result<Recording> {
    taken_from(
        &shipped::scenario(name)?,
        shipped::text(name)?,
        provenance,
        &unpacked(name, lines)?,
    )
}

/// A recording of this scenario, whose file has this text.
///
/// # Errors
/// When its lines or its scenario are not those that it was made with, or a line is none.
pub fn taken_from(
    scenario: &Scenario,
    text: &str,
    provenance: &str,
    lines: &str,
) -> Result<Recording> {
    let name = scenario.name();
    let refuse = |what: String| Error::input(format!("the recording of \"{name}\": {what}"));
    let provenance: Provenance =
        serde_json::from_str(provenance).map_err(|e| refuse(parsers_words(&e)))?;
    if provenance.lines_sha256 != hex(&Sha256::digest(lines)) {
        return Err(refuse("its lines are not those that were recorded".into()));
    }
    if provenance.settings_sha256 != settings::sha256(text, provenance.tier, name)? {
        return Err(refuse("its scenario has changed; record it again".into()));
    }
    let content = match scenario {
        Scenario::Training(training) => Content::Curves(Evidence {
            curves: curves(lines).map_err(|e| refuse(e.to_string()))?,
            ..Evidence::none_of(training, provenance.tier)
        }),
        Scenario::Study(_) => Content::Rows(lines.lines().map(str::to_owned).collect()),
        Scenario::Gaussian(_) | Scenario::Reparameterization(_) => {
            return Err(refuse("it has no runs that could be recorded".into()));
        }
    };
    Ok(Recording {
        provenance,
        content,
    })
}

/// The curves that lines were written from: lines of one run follow each other, and within it those of one reading.
fn curves(lines: &str) -> Result<Vec<Curve>> {
    let mut curves: Vec<Curve> = Vec::new();
    for text in lines.lines() {
        let line: Line = serde_json::from_str(text).map_err(|e| {
            let (text, why) = (printable(text), parsers_words(&e));
            Error::input(format!("{text}: {why}"))
        })?;
        let item = Item {
            seed: line.seed,
            control: line.control.as_deref().map(Control::named).transpose()?,
            learning_rate: line.learning_rate,
        };
        if curves.last().is_none_or(|curve| curve.item != item) {
            curves.push(Curve {
                item,
                readings: Vec::new(),
            });
        }
        let readings = &mut curves.last_mut().expect("one was pushed").readings;
        if readings.last().is_none_or(|r| r.step != line.step) {
            readings.push(Reading {
                step: line.step,
                accuracy: line.accuracy,
                loss: line.loss,
                values: Vec::new(),
            });
        }
        let reading = readings.last_mut().expect("one was pushed");
        reading.values.push(Value {
            estimator: Estimator::named(&line.estimator)?,
            unit: Unit::named(&line.unit)?,
            batch_size: line.batch_size,
            c: line.value,
            interval: line.interval,
        });
    }
    Ok(curves)
}

#[cfg(test)]
mod tests;
