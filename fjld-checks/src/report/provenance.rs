//! When, where and by what a report was made: all that is kept out of `report.json` so that it is the same everywhere.

use crate::scenarios::store::{hex, program};
use crate::spent::{Spent, cpu};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `provenance.json`.
#[derive(Clone, Debug, Serialize)]
pub struct Provenance {
    schema: &'static str,
    /// Seconds since 1970-01-01 UTC when the report was finished.
    finished_unix: u64,
    version: &'static str,
    system: String,
    cpu: Option<String>,
    threads: usize,
    wall_seconds: f64,
    /// What the runs of each scenario took beside their budget.
    scenarios: BTreeMap<String, Spent>,
    program_sha256: Option<String>,
    report_sha256: String,
}

impl Provenance {
    /// Of a report that took `wall` on this machine, its scenarios what `spent` says.
    pub fn of(report_json: &str, wall: Duration, spent: BTreeMap<String, Spent>) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            schema: "fjld-provenance/1",
            finished_unix: now.map_or(0, |d| d.as_secs()),
            version: env!("CARGO_PKG_VERSION"),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            cpu: cpu(),
            threads: rayon::current_num_threads(),
            wall_seconds: wall.as_secs_f64(),
            scenarios: spent,
            program_sha256: program().ok().map(str::to_owned),
            report_sha256: hex(&Sha256::digest(report_json)),
        }
    }

    /// As the bytes of `provenance.json`.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("plain numbers and names");
        text.push('\n');
        text
    }
}
