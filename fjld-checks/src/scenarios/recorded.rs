//! Recorded evidence: runs that were made once, where their data were, kept as the lines that they wrote.
//!
//! A recording stands for a fresh run only where the data for one are not there, and whatever is judged from it says so.

use super::curve::{Control, Curve, Item, Reading};
use super::measurement::{Estimator, Value};
use super::shipped;
use super::store::{Evidence, Line, hex};
use crate::error::{Error, Result};
use crate::tier::Tier;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The schema of a recording's provenance.
const SCHEMA: &str = "fjld-recorded/1";

/// Scenarios with a recording: name, provenance and lines.
const RECORDINGS: [(&str, &str, &str); 2] = [
    (
        "mnist-mlp",
        include_str!("../../recorded/mnist-mlp.json"),
        include_str!("../../recorded/mnist-mlp.jsonl"),
    ),
    (
        "cifar-resnet18",
        include_str!("../../recorded/cifar-resnet18.json"),
        include_str!("../../recorded/cifar-resnet18.jsonl"),
    ),
];

/// Where a recording comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    schema: String,
    /// The scenario.
    pub scenario: String,
    /// How much work was done.
    pub tier: Tier,
    /// The command, but for places.
    pub command: String,
    /// The version of this program.
    pub program: String,
    /// SHA-256 of the scenario's file.
    pub scenario_sha256: String,
    /// SHA-256 of the lines.
    pub lines_sha256: String,
    /// What else has to be known of it, written by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Provenance {
    /// Of evidence that was just made from a scenario's text.
    pub fn of(scenario: &str, text: &str, tier: Tier, lines: &str) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            scenario: scenario.to_owned(),
            tier,
            command: format!(
                "fjld-checks run scenarios/{scenario}.toml --tier {} --data DIR",
                tier.name()
            ),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            scenario_sha256: hex(&Sha256::digest(text)),
            lines_sha256: hex(&Sha256::digest(lines)),
            note: None,
        }
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
}

/// The recording of a scenario, if there is one: where it comes from, and what its runs showed.
///
/// # Errors
/// When its lines or its scenario are not those that it was made with.
pub fn recording(name: &str) -> Result<Option<(Provenance, Evidence)>> {
    let Some((_, provenance, lines)) = RECORDINGS.iter().find(|(n, _, _)| *n == name) else {
        return Ok(None);
    };
    read(name, shipped::text(name)?, provenance, lines).map(Some)
}

fn read(name: &str, text: &str, provenance: &str, lines: &str) -> Result<(Provenance, Evidence)> {
    let refuse = |what: String| Error::input(format!("the recording of \"{name}\": {what}"));
    let provenance: Provenance =
        serde_json::from_str(provenance).map_err(|e| refuse(e.to_string()))?;
    let now = Provenance::of(name, text, provenance.tier, lines);
    if provenance.lines_sha256 != now.lines_sha256 {
        return Err(refuse("its lines are not those that were recorded".into()));
    }
    if provenance.scenario_sha256 != now.scenario_sha256 {
        return Err(refuse("its scenario has changed; record it again".into()));
    }
    let scenario = shipped::training(name)?;
    let evidence = Evidence {
        curves: curves(lines).map_err(|e| refuse(e.to_string()))?,
        ..Evidence::none_of(&scenario)
    };
    Ok((provenance, evidence))
}

/// The curves that lines were written from: lines of one run follow each other, and within it those of one reading.
fn curves(lines: &str) -> Result<Vec<Curve>> {
    let mut curves: Vec<Curve> = Vec::new();
    for text in lines.lines() {
        let line: Line =
            serde_json::from_str(text).map_err(|e| Error::input(format!("{text}: {e}")))?;
        let item = Item {
            seed: line.seed,
            control: line.control.as_deref().map(Control::named).transpose()?,
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
            batch_size: line.batch_size,
            c: line.value,
            interval: line.interval,
        });
    }
    Ok(curves)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "digits-mlp";

    /// Two runs of two readings by both estimators.
    fn evidence() -> Evidence {
        let value = |estimator, interval| Value {
            estimator,
            batch_size: 16,
            c: Some(0.1 + 0.2),
            interval,
        };
        let reading = |step| Reading {
            step,
            accuracy: 1.0 / 3.0,
            loss: 2.5,
            values: vec![
                value(Estimator::Minibatch, Some([-0.1, 0.7])),
                value(Estimator::PerExample, None),
            ],
        };
        let curve = |control| Curve {
            item: Item { seed: 3, control },
            readings: vec![reading(0), reading(7)],
        };
        let scenario = shipped::training(NAME).expect("it is built in");
        Evidence {
            curves: vec![curve(None), curve(Some(Control::ShuffledLabels))],
            ..Evidence::none_of(&scenario)
        }
    }

    #[test]
    fn curves_come_back_from_their_lines_to_the_last_bit() -> Result<()> {
        let lines = evidence().json_lines();
        assert_eq!(curves(&lines)?, evidence().curves);
        Ok(())
    }

    #[test]
    fn a_changed_line_or_scenario_is_refused() -> Result<()> {
        let (lines, text) = (evidence().json_lines(), shipped::text(NAME)?);
        let provenance = Provenance::of(NAME, text, Tier::Quick, &lines);
        let provenance = serde_json::to_string(&provenance).expect("names and sums");
        assert_eq!(read(NAME, text, &provenance, &lines)?.1, evidence());
        let said = |text: &str, lines: &str| {
            let read = read(NAME, text, &provenance, lines).expect_err("it differs");
            read.to_string()
        };
        let spoilt = lines.replacen("0.7", "0.8", 1);
        assert!(said(text, &spoilt).contains("not those that were recorded"));
        assert!(said("another", &lines).contains("its scenario has changed"));
        Ok(())
    }

    /// Every recording is of its scenario as it is now, whole: as many runs and readings as the tier has.
    #[test]
    fn every_recording_gives_the_evidence_that_its_tier_would() -> Result<()> {
        for (name, _, lines) in RECORDINGS {
            let (provenance, evidence) = recording(name)?.expect("it is in the list");
            let scenario = shipped::training(name)?;
            assert_eq!(provenance.schema, SCHEMA);
            let items: Vec<Item> = evidence.curves.iter().map(|c| c.item).collect();
            assert_eq!(items, scenario.items(provenance.tier), "{name}");
            let steps = scenario.reading_steps(provenance.tier);
            for curve in &evidence.curves {
                let read: Vec<u64> = curve.readings.iter().map(|r| r.step).collect();
                assert_eq!(read, steps, "{name}, {}", curve.item);
            }
            assert_eq!(evidence.json_lines(), *lines, "{name}");
        }
        Ok(())
    }
}
