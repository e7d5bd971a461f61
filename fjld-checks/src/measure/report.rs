//! What `measure` says: the JSON of schema `fjld-measure/1`, and the same for the terminal.

use fjld_core::{Phase, Ratio};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// The `schema` of the JSON.
pub const SCHEMA: &str = "fjld-measure/1";

/// A number, or in words why there is none.
pub(super) type Reading<T> = Result<T, String>;

/// Everything `measure` found. A `None` is `null` in JSON, and has its reason under its dotted path in `reasons`.
#[derive(Clone, Debug, Serialize)]
pub struct Measurement {
    /// Always [`SCHEMA`].
    pub schema: &'static str,
    /// The number of rows, `n`.
    pub samples: u64,
    /// The number of coordinates, `d`.
    pub dimension: usize,
    /// Over how many examples each row is a mean, where the caller said so.
    pub batch_size: Option<u64>,
    /// `|mu_hat|^2`.
    pub signal: f64,
    /// `Tr D_hat`, with the divisor `n - 1`.
    pub noise: f64,
    /// `$C = |\mu|^2 / \Tr D$`, per row.
    pub ratio: RatioReading,
    /// `diffusive`, `critical`, `drift`, or `undefined` where there is no interval.
    pub phase: &'static str,
    /// `$B_\text{simple} = \Tr \Sigma / |\mu|^2$`, in examples.
    pub noise_scale: Option<f64>,
    /// `$(\Tr D)^2 / \Tr D^2$`, debiased.
    pub effective_rank: Option<f64>,
    /// How many coordinates never moved.
    pub zero_variance_coordinates: usize,
    /// The logarithm of the document's Jeffreys density.
    pub log_jeffreys: LogJeffreys,
    /// Why a value is `null`, by its dotted path.
    pub reasons: BTreeMap<&'static str, String>,
}

/// The ratio `C`: estimates and interval.
#[derive(Clone, Debug, Serialize)]
pub struct RatioReading {
    /// `signal / noise`.
    pub plug_in: Option<f64>,
    /// `plug_in - 1/n`; negative where the samples show less than no signal.
    pub debiased: Option<f64>,
    /// `[low, high]`, centred on `debiased`.
    pub interval: Option<[f64; 2]>,
    /// The interval's nominal coverage.
    pub level: f64,
}

/// `$\log \pi_J = -\frac12 \log\det D$`.
#[derive(Clone, Debug, Serialize)]
pub struct LogJeffreys {
    /// With the diagonal in place of `D`: `$-\frac12 \sum_i \log D_{ii}$`.
    pub diagonal: Option<f64>,
}

/// The reasons for what is `null`, as they come up.
#[derive(Default)]
pub(super) struct Reasons(BTreeMap<&'static str, String>);

impl Reasons {
    /// The value, or `None` with its reason noted under `path`.
    pub fn keep<T>(&mut self, path: &'static str, reading: Reading<T>) -> Option<T> {
        match reading {
            Ok(value) => Some(value),
            Err(reason) => {
                self.0.insert(path, reason);
                None
            }
        }
    }

    pub fn into_map(self) -> BTreeMap<&'static str, String> {
        self.0
    }
}

impl RatioReading {
    /// What a ratio gives to report, with its phase.
    pub(super) fn of(ratio: &Ratio, level: f64, reasons: &mut Reasons) -> (Self, Phase) {
        let estimates = ratio.estimates.as_ref().map_err(ToString::to_string);
        let interval = estimates.clone().and_then(|estimates| {
            let interval = estimates.interval.as_ref().map_err(ToString::to_string)?;
            let ends = [interval.low, interval.high];
            // Student's quantile is infinite once (1 + level) / 2 rounds to 1
            if ends.iter().all(|end| end.is_finite()) {
                Ok(ends)
            } else {
                Err(format!(
                    "the level {level} is so near 1 that the interval is unbounded"
                ))
            }
        });
        let phase = match interval {
            Ok(_) => ratio.phase(),
            Err(_) => Phase::Undefined,
        };
        let plug_in = estimates.clone().map(|estimates| estimates.plug_in);
        let debiased = estimates.map(|estimates| estimates.debiased);
        let reading = Self {
            plug_in: reasons.keep("ratio.plug_in", plug_in),
            debiased: reasons.keep("ratio.debiased", debiased),
            interval: reasons.keep("ratio.interval", interval),
            level,
        };
        (reading, phase)
    }
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_headline(f)?;
        let rows = [
            ("samples", self.samples.to_string()),
            ("dimension", self.dimension.to_string()),
            ("signal |mu|^2", short(self.signal)),
            ("noise Tr D", short(self.noise)),
            (
                "plug-in",
                self.or_reason(self.ratio.plug_in, "ratio.plug_in"),
            ),
            (
                "debiased",
                self.or_reason(self.ratio.debiased, "ratio.debiased"),
            ),
            (
                "noise scale",
                self.or_reason(self.noise_scale, "noise_scale"),
            ),
            (
                "effective rank",
                self.or_reason(self.effective_rank, "effective_rank"),
            ),
            (
                "log Jeffreys (diagonal)",
                self.or_reason(self.log_jeffreys.diagonal, "log_jeffreys.diagonal"),
            ),
        ];
        for (name, value) in rows {
            write!(f, "\n  {name:<23}  {value}")?;
        }
        Ok(())
    }
}

impl Measurement {
    fn write_headline(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ratio.debiased {
            None => write!(f, "C is undefined: {}", self.reason("ratio.debiased"))?,
            Some(c) => {
                write!(f, "C = {}", short(c))?;
                if let Some([low, high]) = self.ratio.interval {
                    let (low, high, level) = (short(low), short(high), self.ratio.level);
                    write!(f, " [{low}, {high}] at level {level}")?;
                }
                write!(f, ", per draw")?;
                if let Some(examples) = self.batch_size {
                    write!(f, " over {examples} examples")?;
                }
                if self.ratio.interval.is_none() {
                    write!(f, "; no interval: {}", self.reason("ratio.interval"))?;
                }
            }
        }
        write!(f, "  [{}]", self.phase.to_uppercase())
    }

    fn or_reason(&self, value: Option<f64>, path: &str) -> String {
        value.map_or_else(|| format!("none: {}", self.reason(path)), short)
    }

    fn reason(&self, path: &str) -> &str {
        self.reasons.get(path).map_or("", String::as_str)
    }
}

/// Four significant digits, in the plain notation where that is readable.
pub(super) fn short(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let exponent = value.abs().log10().floor() as i32;
    if (-4..7).contains(&exponent) {
        let decimals = (3 - exponent).max(0) as usize;
        format!("{value:.decimals$}")
    } else {
        format!("{value:.3e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_with_four_digits() {
        let shown = [1.1234567, -0.5, 12345.6, 0.000123456, 1e-9, 3e12, 0.0].map(short);
        assert_eq!(
            shown,
            [
                "1.123",
                "-0.5000",
                "12346",
                "0.0001235",
                "1.000e-9",
                "3.000e12",
                "0"
            ]
        );
    }
}
