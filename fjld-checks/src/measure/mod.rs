//! `fjld-checks measure`: the ratio and its company, from gradient samples that any framework wrote to disk.
//!
//! `samples` finds the files and streams their rows (`npy` and `safetensors` read the headers), `fjld_core` turns the rows into
//! numbers, and `report` is what goes to the terminal or into JSON. Every file is read once.

mod listing;
mod npy;
mod report;
mod safetensors;
pub(crate) mod samples;
mod two_batch;

pub use report::{LogJeffreys, Measurement, RatioReading, SCHEMA};
pub use two_batch::{NormMeasurement, two_batch};

use crate::error::{Error, Result};
use fjld_core::geometry::log_jeffreys_diagonal;
use fjld_core::moments::effective_rank;
use fjld_core::{Moments, Ratio, Undefined};
use report::{Reading, Reasons};
use samples::Samples;
use std::path::PathBuf;

/// What to measure, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Files of samples `[n, d]` or `[d]`, or directories of them.
    pub files: Vec<PathBuf>,
    /// The tensor to read out of a `.safetensors` file; needed only where there are several.
    pub key: Option<String>,
    /// Over how many examples each row is a mean.
    pub batch_size: Option<u64>,
    /// The nominal coverage of the interval, in `(0, 1)`.
    pub level: f64,
    /// Compute the effective rank however long it takes.
    pub effective_rank: bool,
}

/// The effective rank takes `n^2 d` multiplications; beyond this many it is computed only on request (seconds, on two cores).
const MULTIPLICATIONS: f64 = 1e10;

/// It also keeps all rows as 64-bit numbers; beyond this many bytes only on request.
const KEPT_BYTES: f64 = (1u64 << 30) as f64;

/// Measures the samples in `options.files`.
///
/// A ratio that does not exist (the noise vanished) is a result, with its reason. Memory is a few rows, and all of them where the
/// effective rank is computed.
///
/// # Errors
/// For options out of range, and for files that are missing, malformed, or hold fewer than two samples, samples of different
/// dimension, or a number that is not finite.
pub fn measure(options: &Options) -> Result<Measurement> {
    validate(options)?;
    let samples = Samples::find(&options.files, options.key.as_deref())?;
    let (rows, dimension) = (samples.rows(), samples.dimension());
    if rows < 2 {
        return Err(Error::input(format!(
            "the number of samples is {rows}; a variance needs at least 2 (rows of [n, d], or several files of [d])"
        )));
    }
    let rank_plan = plan_rank(rows, dimension, options.effective_rank);
    let (moments, kept) = samples.stream(rank_plan.is_ok())?;
    let ratio = Ratio::estimate(&moments, options.level)?;
    let vanished = ratio.estimates.as_ref().err().cloned();

    let mut reasons = Reasons::default();
    let (reading, phase) = RatioReading::of(&ratio, options.level, &mut reasons);
    Ok(Measurement {
        schema: SCHEMA,
        samples: rows,
        dimension,
        batch_size: reasons.keep(
            "batch_size",
            options.batch_size.ok_or_else(|| {
                "not given: --batch-size says over how many examples each row is a mean".to_owned()
            }),
        ),
        signal: ratio.signal,
        noise: ratio.noise,
        ratio: reading,
        phase: phase.name(),
        noise_scale: reasons.keep("noise_scale", noise_scale(&ratio, options.batch_size)),
        effective_rank: reasons.keep(
            "effective_rank",
            rank_plan.and_then(|()| rank(kept, dimension, vanished.as_ref())),
        ),
        zero_variance_coordinates: moments.zero_variance_coordinates(),
        log_jeffreys: LogJeffreys {
            diagonal: reasons.keep(
                "log_jeffreys.diagonal",
                log_jeffreys(&moments, vanished.as_ref()),
            ),
        },
        reasons: reasons.into_map(),
    })
}

fn validate(options: &Options) -> Result<()> {
    if options.files.is_empty() {
        return Err(Error::input(
            "no file was given; at least one .npy or .safetensors file, or a directory of them, is needed",
        ));
    }
    if !(options.level > 0.0 && options.level < 1.0) {
        return Err(Error::input(format!(
            "--level is {}; it must be strictly between 0 and 1",
            options.level
        )));
    }
    if options.batch_size == Some(0) {
        return Err(Error::input("--batch-size is 0; it must be at least 1"));
    }
    Ok(())
}

fn noise_scale(ratio: &Ratio, batch_size: Option<u64>) -> Reading<f64> {
    let estimates = ratio.estimates.as_ref().map_err(ToString::to_string)?;
    let batch_size = batch_size.ok_or("the batch size is not known: pass --batch-size")?;
    ratio.noise_scale(batch_size).ok_or_else(|| {
        format!(
            "the debiased ratio is {}, not positive: the samples show no signal to compare the noise with",
            estimates.debiased
        )
    })
}

fn log_jeffreys(moments: &Moments, vanished: Option<&Undefined>) -> Reading<f64> {
    let still = moments.zero_variance_coordinates();
    if still > 0 {
        return Err(format!(
            "{still} of {} coordinates have zero variance, and the density is infinite there",
            moments.dimension()
        ));
    }
    if let Some(reason) = vanished {
        return Err(reason.to_string());
    }
    moments
        .variances()
        .and_then(|variances| log_jeffreys_diagonal(&variances))
        .map_err(|error| error.to_string())
}

/// Whether the effective rank will be computed, decided before the rows are read because it needs them kept.
fn plan_rank(rows: u64, dimension: usize, requested: bool) -> Reading<()> {
    if rows < effective_rank::FEWEST_SAMPLES {
        return Err(effective_rank::Undefined::TooFewSamples { samples: rows }.to_string());
    }
    let (n, d) = (rows as f64, dimension as f64);
    let (work, bytes) = (n * n * d, n * d * size_of::<f64>() as f64);
    if requested || (work <= MULTIPLICATIONS && bytes <= KEPT_BYTES) {
        Ok(())
    } else if work > MULTIPLICATIONS {
        Err(format!(
            "n^2 d is {work:.1e}, above {MULTIPLICATIONS:.0e}; --effective-rank computes it all the same"
        ))
    } else {
        Err(format!(
            "the rows take {:.1} GiB as 64-bit numbers, above 1 GiB; --effective-rank computes it all the same",
            bytes / KEPT_BYTES
        ))
    }
}

fn rank(kept: Vec<f64>, dimension: usize, vanished: Option<&Undefined>) -> Reading<f64> {
    match vanished {
        Some(reason) => Err(reason.to_string()),
        None => effective_rank::effective_rank(kept, dimension).map_err(|why| why.to_string()),
    }
}
