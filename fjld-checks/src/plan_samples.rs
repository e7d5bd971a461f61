//! `fjld-checks plan-samples`: how many gradient draws a wanted precision of `C` takes, from a pilot that any framework wrote to disk.
//!
//! The pilot is read as `measure` reads its samples; the derivation is in [`fjld_core::planner`].

use crate::error::{Error, Result};
use crate::measure::samples::Samples;
use fjld_core::planner::{WIDEST, plan};
use fjld_core::{NoPlan, Ratio};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// The `schema` of the JSON.
pub const SCHEMA: &str = "fjld-plan-samples/1";

/// The fewest rows that the moments of a pilot can be estimated from without bias.
const FEWEST_SAMPLES: u64 = 4;

/// All rows are kept, as 64-bit numbers, beside a matrix of `min(n, d)^2` of them.
const MOST_BYTES: f64 = (4u64 << 30) as f64;

/// `n d min(n, d)` beyond this takes minutes.
const MOST_MULTIPLICATIONS: f64 = 1e12;

/// What to plan, and from what.
#[derive(Clone, Debug)]
pub struct Options {
    /// Files of pilot samples `[n, d]` or `[d]`, or directories of them.
    pub pilot: Vec<PathBuf>,
    /// The tensor to read out of a `.safetensors` file; needed only where there are several.
    pub key: Option<String>,
    /// The wanted half-width of the interval as a share of `C`, in `(0, 10]`.
    pub half_width: f64,
    /// The nominal coverage of the interval, in `(0, 1)`.
    pub level: f64,
}

/// Everything `plan-samples` found. A `None` is `null` in JSON, and has its reason under its dotted path in `reasons`.
#[derive(Clone, Debug, Serialize)]
pub struct SamplePlan {
    /// Always [`SCHEMA`].
    pub schema: &'static str,
    /// The number of rows of the pilot.
    pub pilot_samples: u64,
    /// The number of coordinates, `d`.
    pub dimension: usize,
    /// The wanted half-width, as a share of `C`.
    pub half_width: f64,
    /// The nominal coverage of the interval.
    pub level: f64,
    /// The pilot's `C`.
    pub ratio: PilotRatio,
    /// The fewest draws that are expected to do.
    pub samples: Option<u64>,
    /// Why a value is `null`, by its dotted path.
    pub reasons: BTreeMap<&'static str, String>,
}

/// The pilot's `C`, per row.
#[derive(Clone, Debug, Serialize)]
pub struct PilotRatio {
    /// The plug-in ratio less `1/n`.
    pub debiased: Option<f64>,
}

/// Reads a half-width as people write it: `10%`, or `0.1`.
///
/// # Errors
/// For anything else, and for a half-width that is not above 0 and at most 1000%.
pub fn parse_half_width(text: &str) -> Result<f64> {
    let number = text.trim();
    let (number, unit) = match number.strip_suffix('%') {
        Some(percent) => (percent.trim_end(), 100.0),
        None => (number, 1.0),
    };
    let refused = || {
        Error::input(format!(
            "--half-width is {text:?}; it must be above 0% and at most 1000% of C, as in 10% or 0.1"
        ))
    };
    let value: f64 = number.parse().map_err(|_| refused())?;
    let share = value / unit;
    if share > 0.0 && share <= WIDEST {
        Ok(share)
    } else {
        Err(refused())
    }
}

/// Plans from the pilot in `options.pilot`.
///
/// A pilot that does not tell `C` from 0 is a result, with its reason.
///
/// # Errors
/// For options out of range, for files that `measure` would not read, and for a pilot with fewer than four samples or too large a one.
pub fn plan_samples(options: &Options) -> Result<SamplePlan> {
    if !(options.level > 0.0 && options.level < 1.0) {
        return Err(Error::input(format!(
            "--level is {}; it must be strictly between 0 and 1",
            options.level
        )));
    }
    let pilot = Samples::find(&options.pilot, options.key.as_deref())?;
    let (rows, dimension) = (pilot.rows(), pilot.dimension());
    if rows < FEWEST_SAMPLES {
        return Err(Error::input(format!(
            "the pilot has {rows} samples; a plan needs at least {FEWEST_SAMPLES} (rows of [n, d], or several files of [d])"
        )));
    }
    let (n, d) = (rows as f64, dimension as f64);
    let fewer = n.min(d);
    let (bytes, work) = ((n * d + fewer * fewer) * 8.0, n * d * fewer);
    if bytes > MOST_BYTES || work > MOST_MULTIPLICATIONS {
        return Err(Error::input(format!(
            "the pilot of {rows} samples of dimension {dimension} takes {:.1} GiB and {work:.0e} multiplications; a plan is made from at most 4 GiB and {MOST_MULTIPLICATIONS:.0e}: give fewer of its rows",
            bytes / (1u64 << 30) as f64
        )));
    }
    let (moments, kept) = pilot.stream(true)?;
    let ratio = Ratio::estimate(&moments, options.level)?;
    let planned = plan(kept, &moments, options.half_width, options.level)?;

    let mut reasons = BTreeMap::new();
    let debiased = match &ratio.estimates {
        Ok(estimates) => Some(estimates.debiased),
        Err(reason) => {
            reasons.insert("ratio.debiased", reason.to_string());
            None
        }
    };
    let samples = planned
        .map_err(|reason: NoPlan| reasons.insert("samples", reason.to_string()))
        .ok();
    Ok(SamplePlan {
        schema: SCHEMA,
        pilot_samples: rows,
        dimension,
        half_width: options.half_width,
        level: options.level,
        ratio: PilotRatio { debiased },
        samples,
        reasons,
    })
}

impl fmt::Display for SamplePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.samples {
            Some(samples) => write!(
                f,
                "{samples} draws: the interval of C at level {} is then expected to reach {}% of C to either side",
                self.level,
                // 0.07 x 100 is 7.000000000000001
                (self.half_width * 1e12).round() / 1e10
            )?,
            None => write!(f, "no plan: {}", self.reason("samples"))?,
        }
        write!(
            f,
            "\n  pilot      {} samples of dimension {}\n  debiased C ",
            self.pilot_samples, self.dimension
        )?;
        match self.ratio.debiased {
            Some(c) => write!(f, "{c:.4e}"),
            None => write!(f, "none: {}", self.reason("ratio.debiased")),
        }
    }
}

impl SamplePlan {
    fn reason(&self, path: &str) -> &str {
        self.reasons.get(path).map_or("", String::as_str)
    }
}
