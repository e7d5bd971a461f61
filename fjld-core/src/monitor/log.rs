//! The file of a run: JSON Lines of the schema `fjld-monitor/1`.
//!
//! Its first line says how the run is monitored, each other one is a reading or an event. Lines are appended whole, in one write. Where a
//! run was cut off in the middle of one, the torn end is dropped on going on.

use super::event::{Event, What};
use super::overhead::Overhead;
use super::reading::Reading;
use crate::error::{Error, Result};
use crate::ratio::{Interval, Phase};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The `schema` of a log. Its lines are
///
/// ```text
/// {kind: "start", schema, batch_size, level, schedule, plateau_steps, plateau_share}
/// {kind: "reading", step, loss, ratio: {plug_in, debiased, interval: [low, high]}, phase, noise_scale, noise_scale_interval, draws,
///  exchangeable: example|token|microbatch|step, reason, overhead: {share, plain_passes, measured_passes, inner_products, interval_multiplications}}
/// {kind: "event", step, event: transition|plateau|plateau_over|undefined|not_finite, direction: up|down, loss, reason}
/// ```
///
/// with `C` at the batch size of the start. What is not defined is null, and `reason` says why.
pub const SCHEMA: &str = "fjld-monitor/1";

/// How a run is monitored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Start {
    pub schema: String,
    pub batch_size: u64,
    pub level: f64,
    pub schedule: String,
    pub plateau_steps: usize,
    pub plateau_share: f64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line {
    Start(Start),
    Reading(ReadingLine),
    Event(EventLine),
}

#[derive(Debug, Serialize, Deserialize)]
struct ReadingLine {
    step: u64,
    loss: Option<f64>,
    ratio: RatioLine,
    phase: String,
    noise_scale: Option<f64>,
    noise_scale_interval: Option<[f64; 2]>,
    draws: u64,
    exchangeable: String,
    reason: Option<String>,
    overhead: OverheadLine,
}

#[derive(Debug, Serialize, Deserialize)]
struct RatioLine {
    plug_in: Option<f64>,
    debiased: Option<f64>,
    interval: Option<[f64; 2]>,
}

#[derive(Debug, Serialize, Deserialize)]
struct OverheadLine {
    share: Option<f64>,
    plain_passes: u64,
    measured_passes: u64,
    inner_products: u64,
    interval_multiplications: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct EventLine {
    step: u64,
    event: String,
    direction: Option<String>,
    loss: Option<f64>,
    reason: Option<String>,
}

/// A log that is open for more.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: File,
}

/// What a log holds of a run that goes on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resumed {
    /// Readings from before the step that the run goes on from.
    pub readings: u64,
    /// Lines at that step or after, which were dropped: training goes over those steps again.
    pub dropped: u64,
    /// Bytes of an unfinished line at the end, which were dropped.
    pub torn: u64,
}

/// What has to be known again to go on.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Memory {
    pub phases: Vec<(u64, Phase)>,
    pub flat: bool,
}

impl Log {
    /// A new log.
    ///
    /// # Errors
    /// When there is something in the file already, or it can not be written.
    pub fn create(path: &Path, start: &Start) -> Result<Self> {
        let failed = |e| file_error(path, "written", e);
        let file = OpenOptions::new().append(true).create(true).open(path);
        let file = file.map_err(failed)?;
        if file.metadata().map_err(failed)?.len() > 0 {
            return Err(Error::Log {
                path: path.display().to_string(),
                what:
                    "there is a run in it already; go on with it by `resume`, or name another file"
                        .into(),
            });
        }
        let mut log = Self {
            path: path.to_owned(),
            file,
        };
        log.append(&[Line::Start(start.clone())])?;
        Ok(log)
    }

    /// The log of a run that goes on from `step`: what is there from that step on is dropped, and a torn end. A new one if there is none.
    ///
    /// # Errors
    /// When the file is no log, or that of a run monitored otherwise, or can not be read or written.
    pub fn resume(path: &Path, start: &Start, step: u64) -> Result<(Self, Memory, Resumed)> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(file_error(path, "read", e)),
        };
        let whole = bytes.iter().rposition(|&b| b == b'\n').map_or(0, |i| i + 1);
        let mut resumed = Resumed {
            torn: (bytes.len() - whole) as u64,
            ..Resumed::default()
        };
        let (mut memory, mut kept) = (Memory::default(), 0);
        let mut lines = bytes[..whole].split_inclusive(|&b| b == b'\n').enumerate();
        for (number, text) in lines.by_ref() {
            let wrong = |what: String| Error::Log {
                path: path.display().to_string(),
                what: format!("line {}: {}", number + 1, on_one_line(&what)),
            };
            let line: Line =
                serde_json::from_slice(text).map_err(|e| wrong(format!("not of {SCHEMA}: {e}")))?;
            match line {
                Line::Start(own) if number == 0 => own.same_as(start).map_err(wrong)?,
                Line::Start(_) => return Err(wrong("a second start".into())),
                _ if number == 0 => {
                    return Err(wrong("the first line does not start a run".into()));
                }
                Line::Reading(ReadingLine { step: at, .. })
                | Line::Event(EventLine { step: at, .. })
                    if at >= step =>
                {
                    resumed.dropped = 1 + lines.count() as u64;
                    break;
                }
                Line::Reading(reading) => {
                    let phase = phase_named(&reading.phase).map_err(wrong)?;
                    memory.phases.push((reading.step, phase));
                    resumed.readings += 1;
                }
                Line::Event(event) => match event.event.as_str() {
                    "plateau" => memory.flat = true,
                    "plateau_over" => memory.flat = false,
                    _ => {}
                },
            }
            kept += text.len() as u64;
        }
        let failed = |e| file_error(path, "written", e);
        let file = OpenOptions::new().append(true).create(true).open(path);
        let file = file.map_err(failed)?;
        file.set_len(kept).map_err(failed)?;
        let mut log = Self {
            path: path.to_owned(),
            file,
        };
        if kept == 0 {
            log.append(&[Line::Start(start.clone())])?;
        }
        Ok((log, memory, resumed))
    }

    /// Appends what happened at one step.
    ///
    /// # Errors
    /// When the file can not be written.
    pub fn add(
        &mut self,
        reading: Option<&Reading>,
        events: &[Event],
        overhead: &Overhead,
    ) -> Result<()> {
        let reading = reading.map(|reading| Line::Reading(ReadingLine::of(reading, overhead)));
        let events = events.iter().map(|event| Line::Event(EventLine::of(event)));
        let lines: Vec<Line> = reading.into_iter().chain(events).collect();
        match lines.is_empty() {
            true => Ok(()),
            false => self.append(&lines),
        }
    }

    fn append(&mut self, lines: &[Line]) -> Result<()> {
        let mut text = String::new();
        for line in lines {
            text += &serde_json::to_string(line).expect("plain numbers and names");
            text.push('\n');
        }
        let written = self.file.write_all(text.as_bytes());
        written.map_err(|e| file_error(&self.path, "written", e))
    }
}

/// Words that may quote a line of the file, without its control characters, and not longer than a person reads.
fn on_one_line(words: &str) -> String {
    const LONGEST: usize = 300;
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    words.chars().take(LONGEST).map(plain).collect()
}

fn file_error(path: &Path, doing: &'static str, source: std::io::Error) -> Error {
    Error::File {
        path: path.display().to_string(),
        doing,
        source,
    }
}

fn phase_named(name: &str) -> std::result::Result<Phase, String> {
    let known = [
        Phase::Diffusive,
        Phase::Critical,
        Phase::Drift,
        Phase::Undefined,
    ];
    let found = known.into_iter().find(|phase| phase.name() == name);
    found.ok_or_else(|| {
        format!("the phase is \"{name}\"; it must be diffusive, critical, drift or undefined")
    })
}

impl Start {
    /// A run goes on only as it began: otherwise its lines would not be comparable.
    fn same_as(&self, now: &Self) -> std::result::Result<(), String> {
        let differs = |what: &str, then: String, now: String| {
            Err(format!(
                "this run has {what} {then}, and is to go on with {now}; they must be the same"
            ))
        };
        if self.schema != now.schema {
            return differs("the schema", self.schema.clone(), now.schema.clone());
        }
        if self.batch_size != now.batch_size {
            let (then, now) = (self.batch_size, now.batch_size);
            return differs("the batch size", then.to_string(), now.to_string());
        }
        if self.level != now.level {
            return differs("the level", self.level.to_string(), now.level.to_string());
        }
        if self.schedule != now.schedule {
            return differs("the schedule", self.schedule.clone(), now.schedule.clone());
        }
        let plateau = |start: &Self| {
            format!(
                "{} steps, share {}",
                start.plateau_steps, start.plateau_share
            )
        };
        match plateau(self) == plateau(now) {
            true => Ok(()),
            false => differs("plateaus by", plateau(self), plateau(now)),
        }
    }
}

impl ReadingLine {
    fn of(reading: &Reading, overhead: &Overhead) -> Self {
        let ends = |interval: Option<Interval>| interval.map(|i| [i.low, i.high]);
        Self {
            step: reading.step,
            loss: reading.loss,
            ratio: RatioLine {
                plug_in: reading.plug_in,
                debiased: reading.c,
                interval: ends(reading.interval),
            },
            phase: reading.phase.name().to_owned(),
            noise_scale: reading.noise_scale,
            noise_scale_interval: ends(reading.noise_scale_interval),
            draws: reading.draws,
            exchangeable: reading.exchangeable.name().to_owned(),
            reason: reading.reason.clone(),
            overhead: OverheadLine {
                share: overhead.share,
                plain_passes: overhead.plain_passes,
                measured_passes: overhead.measured_passes,
                inner_products: overhead.inner_products,
                interval_multiplications: overhead.interval_multiplications,
            },
        }
    }
}

impl EventLine {
    fn of(event: &Event) -> Self {
        let mut line = Self {
            step: event.step,
            event: event.what.name().to_owned(),
            direction: None,
            loss: None,
            reason: None,
        };
        match &event.what {
            What::Transition(direction) => line.direction = Some(direction.name().to_owned()),
            What::Plateau(loss) | What::PlateauOver(loss) => line.loss = Some(*loss),
            What::Undefined(reason) | What::NotFinite(reason) => {
                line.reason = Some(reason.clone());
            }
        }
        line
    }
}
