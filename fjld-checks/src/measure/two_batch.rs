//! `measure --two-batch`: the noise scale and `C` from a log of gradient norms at two batch sizes, as data-parallel training or gradient
//! accumulation has them for nothing: each worker's own gradient is of a small batch, their mean is of the big one.
//!
//! The log is CSV with a header, or JSON Lines, with the columns of `COLUMNS` and any others; a line is a step.

use super::report::{Reasons, short};
use crate::error::{Error, Result, parsers_words, printable};
use fjld_core::moments::TwoBatch;
use fjld_core::{Interval, Phase};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// The `schema` of the JSON.
const SCHEMA: &str = "fjld-two-batch/1";

/// What each line of the log has to say: the batch sizes in examples, and the squared norms of their mean gradients (for the small
/// batch, the mean over the workers of their squared norms).
const COLUMNS: [&str; 4] = ["small_batch", "big_batch", "small_norm2", "big_norm2"];

/// What a log of norms says. A `None` is `null` in JSON, and has its reason under its dotted path in `reasons`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NormMeasurement {
    /// Always `fjld-two-batch/1`.
    pub schema: &'static str,
    /// The number of steps.
    pub steps: u64,
    /// What may be exchanged without changing anything, and what the interval counts: always `step`.
    pub exchangeable: &'static str,
    /// The two batch sizes.
    pub batch_sizes: BatchSizes,
    /// The mean over steps of the estimate of `|G|^2`; negative now and then.
    pub signal: Option<f64>,
    /// The mean over steps of the estimate of `Tr Sigma`, per example; negative now and then.
    pub noise: Option<f64>,
    /// `C` at the big batch size.
    pub ratio: NormRatio,
    /// `diffusive`, `critical`, `drift`, or `undefined` where there is no interval.
    pub phase: &'static str,
    /// `$B_\text{simple} = \Tr \Sigma / |G|^2$`, in examples.
    pub noise_scale: Option<f64>,
    /// Its interval.
    pub noise_scale_interval: Option<[f64; 2]>,
    /// Why a value is `null`, by its dotted path.
    pub reasons: BTreeMap<&'static str, String>,
}

/// Batch sizes in examples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BatchSizes {
    /// Of one worker.
    pub small: u64,
    /// Of all together.
    pub big: u64,
}

/// `C` at the big batch size: estimate and interval.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NormRatio {
    /// `B |G|^2 / Tr Sigma`; negative where the steps show less than no signal.
    pub debiased: Option<f64>,
    /// `[low, high]`.
    pub interval: Option<[f64; 2]>,
    /// The interval's nominal coverage.
    pub level: f64,
}

/// Measures the log at `path`.
///
/// # Errors
/// For a level out of range, and for a log that is missing or malformed: the line and the value are named.
pub fn two_batch(path: &Path, level: f64) -> Result<NormMeasurement> {
    if !(level > 0.0 && level < 1.0) {
        return Err(Error::input(format!(
            "--level is {level}; it must be strictly between 0 and 1"
        )));
    }
    let text = std::fs::read_to_string(path).map_err(|e| Error::file("read", path, &e))?;
    let refuse = |wrong: String| Error::input(format!("{}: {wrong}", path.display()));
    let mut norms: Option<TwoBatch> = None;
    for (number, row) in rows(&text).map_err(refuse)? {
        let wrong = |what: String| refuse(format!("line {number}: {what}"));
        let [small, big, small_norm, big_norm] = row;
        let sizes = (examples("small_batch", small), examples("big_batch", big));
        let (small, big) = (sizes.0.map_err(wrong)?, sizes.1.map_err(wrong)?);
        let own = match &mut norms {
            Some(own) => own,
            None => {
                let new = TwoBatch::new(small, big).map_err(|e| wrong(e.to_string()))?;
                norms.insert(new)
            }
        };
        if own.batch_sizes() != (small, big) {
            let (first, second) = own.batch_sizes();
            return Err(wrong(format!(
                "the batch sizes are {small} and {big}, and {first} and {second} before; all steps must have the same"
            )));
        }
        own.push(small_norm, big_norm)
            .map_err(|e| wrong(e.to_string()))?;
    }
    let norms =
        norms.ok_or_else(|| refuse("there is no step in it; at least one is needed".into()))?;
    NormMeasurement::of(&norms, level)
}

/// Line numbers with the four values of each step.
fn rows(text: &str) -> std::result::Result<Vec<(usize, [f64; 4])>, String> {
    let mut lines = text
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()))
        .filter(|(_, line)| !line.is_empty())
        .peekable();
    if lines.peek().is_some_and(|(_, line)| line.starts_with('{')) {
        return lines
            .map(|(number, line)| Ok((number, of_json(number, line)?)))
            .collect();
    }
    let Some((_, header)) = lines.next() else {
        return Ok(Vec::new());
    };
    let header: Vec<&str> = header.split(',').map(str::trim).collect();
    let mut places = [0; 4];
    for (place, column) in places.iter_mut().zip(COLUMNS) {
        *place = header.iter().position(|name| *name == column).ok_or_else(|| {
            format!(
                "the header \"{}\" has no column {column}; it must have {}, or each line must be JSON with these keys",
                printable(&header.join(",")),
                COLUMNS.join(", ")
            )
        })?;
    }
    let of_csv = |(number, line): (usize, &str)| {
        let cells: Vec<&str> = line.split(',').map(str::trim).collect();
        if cells.len() != header.len() {
            let (found, wanted) = (cells.len(), header.len());
            return Err(format!(
                "line {number}: there are {found} values; the header has {wanted} columns"
            ));
        }
        let mut row = [0.0; 4];
        for ((value, place), column) in row.iter_mut().zip(places).zip(COLUMNS) {
            let cell = cells[place];
            *value = cell.parse().map_err(|_| {
                let cell = printable(cell);
                format!("line {number}: {column} is \"{cell}\"; it must be a number")
            })?;
        }
        Ok((number, row))
    };
    lines.map(of_csv).collect()
}

fn of_json(number: usize, line: &str) -> std::result::Result<[f64; 4], String> {
    let value: serde_json::Value = serde_json::from_str(line).map_err(|e| {
        let why = parsers_words(&e);
        format!("line {number} is no JSON: {why}")
    })?;
    let mut row = [0.0; 4];
    for (cell, column) in row.iter_mut().zip(COLUMNS) {
        let found = &value[column];
        *cell = found.as_f64().ok_or_else(|| {
            let found = printable(&found.to_string());
            format!("line {number}: {column} is {found}; it must be a number")
        })?;
    }
    Ok(row)
}

/// A batch size: a whole number of examples, small enough to be exact.
fn examples(name: &str, value: f64) -> std::result::Result<u64, String> {
    if value >= 1.0 && value <= 2f64.powi(53) && value.fract() == 0.0 {
        Ok(value as u64)
    } else {
        Err(format!(
            "{name} is {value}; it must be a whole number of examples, at least 1"
        ))
    }
}

impl NormMeasurement {
    fn of(norms: &TwoBatch, level: f64) -> Result<Self> {
        let (small, big) = norms.batch_sizes();
        let mut reasons = Reasons::default();
        let at_big = |c: f64| c * big as f64;
        let interval = norms.interval(level)?.map_err(|reason| reason.to_string());
        let interval = interval.and_then(|i| match i.low.is_finite() && i.high.is_finite() {
            true => Ok(i),
            false => Err(format!(
                "the level {level} is so near 1 that the interval is unbounded"
            )),
        });
        let own = interval.as_ref().ok().map(|i| Interval {
            low: at_big(i.low),
            high: at_big(i.high),
            level,
        });
        let debiased = norms.debiased().map(at_big);
        let debiased = debiased.map_err(|reason| reason.to_string());
        let scale_interval = interval.as_ref().map_err(Clone::clone).and_then(|i| {
            let i = i.reciprocal(1.0);
            i.ok_or_else(|| "the interval of C reaches 0, and its reciprocal has no bound".into())
        });
        if let Err(reason) = &interval {
            reasons.keep::<f64>("ratio.interval", Err(reason.clone()));
        }
        let noise_scale = norms.noise_scale().map_err(|reason| reason.to_string());
        let ends = |i: Interval| [i.low, i.high];
        Ok(Self {
            schema: SCHEMA,
            steps: norms.steps(),
            exchangeable: "step",
            batch_sizes: BatchSizes { small, big },
            signal: norms.signal(),
            noise: norms.noise(),
            ratio: NormRatio {
                debiased: reasons.keep("ratio.debiased", debiased),
                interval: own.map(ends),
                level,
            },
            phase: own.map_or(Phase::Undefined, |i| i.phase()).name(),
            noise_scale: reasons.keep("noise_scale", noise_scale),
            noise_scale_interval: reasons.keep("noise_scale_interval", scale_interval.map(ends)),
            reasons: reasons.into_map(),
        })
    }
}

impl fmt::Display for NormMeasurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BatchSizes { small, big } = self.batch_sizes;
        let reason = |path: &str| self.reasons.get(path).map_or("", String::as_str);
        match self.ratio.debiased {
            None => write!(f, "C is undefined: {}", reason("ratio.debiased"))?,
            Some(c) => {
                write!(f, "C = {}", short(c))?;
                if let Some([low, high]) = self.ratio.interval {
                    write!(
                        f,
                        " [{}, {}] at level {}",
                        short(low),
                        short(high),
                        self.ratio.level
                    )?;
                }
                write!(f, ", at a batch of {big} examples")?;
                if self.ratio.interval.is_none() {
                    write!(f, "; no interval: {}", reason("ratio.interval"))?;
                }
            }
        }
        write!(f, "  [{}]", self.phase.to_uppercase())?;
        let number = |value: Option<f64>, path: &str| {
            value.map_or_else(|| format!("none: {}", reason(path)), short)
        };
        let mut scale = number(self.noise_scale, "noise_scale");
        if let Some([low, high]) = self.noise_scale_interval {
            scale += &format!(" [{}, {}] examples", short(low), short(high));
        }
        let rows = [
            ("steps", self.steps.to_string()),
            ("batch sizes", format!("{small} and {big}")),
            ("signal |G|^2", number(self.signal, "signal")),
            ("noise Tr Sigma", number(self.noise, "noise")),
            ("noise scale", scale),
        ];
        for (name, value) in rows {
            write!(f, "\n  {name:<15}  {value}")?;
        }
        write!(
            f,
            "\n  a step is what the interval counts: it holds where the model moves little over these steps"
        )
    }
}
