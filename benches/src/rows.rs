//! The raw rows of measurements, one JSON object a line, and what they were measured on.

use crate::sources;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "table", rename_all = "snake_case")]
pub enum Row {
    /// What the rows behind it were measured on.
    Context(Context),
    /// Seconds of a step, one entry a round; the ways of one model took turns.
    Steps {
        /// Its name.
        model: String,
        /// What a step did.
        way: String,
        /// Where its tensors lived: `cpu` or `cuda`.
        #[serde(default = "cpu", skip_serializing_if = "is_cpu")]
        device: String,
        /// Their type.
        #[serde(default = "f32", skip_serializing_if = "is_f32")]
        dtype: String,
        /// Threads of the pool.
        threads: usize,
        /// Floating-point operations of the matrix products.
        operations: f64,
        /// Seconds on the wall.
        wall: Vec<f64>,
        /// Seconds of all threads.
        cpu: Vec<f64>,
    },
    /// The largest resident memory of a process of its own that did a few steps.
    Memory {
        /// The model.
        model: String,
        /// What a step did; `none` where it only made the job.
        way: String,
        /// VmHWM.
        bytes: f64,
    },
    /// Moments of `[n, d]` numbers of `f32` pushed at once, and a copy of as many bytes.
    Moments {
        /// Rows.
        n: usize,
        /// Columns.
        d: usize,
        /// Seconds of a push, one entry a round.
        push: Vec<f64>,
        /// Seconds of a copy.
        copy: Vec<f64>,
    },
    /// CPU seconds of a step by PyTorch or by us, one entry a round, one thread each; the methods of one model took turns.
    Peers {
        /// The model.
        model: String,
        /// `plain`, a peer, or `fjld ...`.
        method: String,
        /// Seconds; nothing where a round left a slow method out.
        cpu: Vec<Option<f64>>,
        /// The `C` that it said, as a check that all measure the same kind of thing.
        c: Option<f64>,
    },
    /// A file of gradient samples: read, and measured.
    File {
        /// Its length.
        bytes: f64,
        /// Columns.
        d: usize,
        /// Seconds of reading it, one entry a round.
        read: Vec<f64>,
        /// Seconds of `measure`.
        measure: Vec<f64>,
        /// VmHWM of `measure`, bytes.
        peak: f64,
    },
}

fn cpu() -> String {
    "cpu".into()
}

fn is_cpu(device: &str) -> bool {
    device == cpu()
}

fn f32() -> String {
    "f32".into()
}

fn is_f32(dtype: &str) -> bool {
    dtype == f32()
}

/// Machine, versions, date, and the sources that were measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Context {
    /// `fjld-bench/1`.
    pub schema: String,
    /// As the system names it.
    pub processor: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Days of the calendar, UTC.
    pub date: String,
    /// Compiler and build profile.
    pub build: String,
    /// Other programs and their versions.
    pub versions: String,
    /// [`measured_sources`].
    pub sources: String,
    /// One- and five-minute load at the start, without us.
    pub load: String,
}

impl Context {
    /// Of now.
    pub fn now(versions: &str) -> Self {
        let line = |path: &str, key: &str| {
            let text = fs::read_to_string(path).unwrap_or_default();
            let found = text.lines().find(|line| line.starts_with(key));
            found.and_then(|l| l.split_once(':').map(|(_, v)| v.trim().to_owned()))
        };
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Self {
            schema: "fjld-bench/1".into(),
            processor: line("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".into()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            date: today(),
            build: format!(
                "{} profile",
                if cfg!(debug_assertions) {
                    "dev"
                } else {
                    "release"
                }
            ),
            versions: versions.to_owned(),
            sources: measured_sources().unwrap_or_else(|_| "unknown".into()),
            load: load.split(' ').take(2).collect::<Vec<_>>().join(" "),
        }
    }
}

/// The day in UTC, by the civil calendar (H. Hinnant's `civil_from_days`).
fn today() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let days = since.map_or(0, |d| d.as_secs() / 86_400) as i64 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let (day, month) = (
        of_year - (153 * shifted + 2) / 5 + 1,
        (shifted + 2) % 12 + 1,
    );
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year}-{month:02}-{day:02}")
}

/// The folder of this crate.
pub fn folder() -> PathBuf {
    env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| "benches".into(), PathBuf::from)
}

/// [`crate::sources::hash`] of this repository.
///
/// # Errors
/// When a file can not be read.
pub fn measured_sources() -> io::Result<String> {
    sources::hash(&folder().join(".."))
}

/// The rows of every `.jsonl` file in a folder, in the order of their names.
///
/// # Errors
/// When a file can not be read, or a line is no row.
pub fn read_all(folder: &Path) -> io::Result<Vec<Row>> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
        .collect();
    files.sort();
    let mut rows = Vec::new();
    for file in files {
        for line in fs::read_to_string(&file)?.lines() {
            rows.push(
                serde_json::from_str(line)
                    .map_err(|e| io::Error::other(format!("{}: {e}", file.display())))?,
            );
        }
    }
    Ok(rows)
}
