//! `measure` on files as they come: every format and number type, and everything that can be wrong with them.

use fjld_checks::measure::{Measurement, Options, measure};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

mod damaged;
mod given;
mod made;
mod refusals;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn options(files: &[PathBuf]) -> Options {
    Options {
        files: files.to_vec(),
        key: None,
        batch_size: None,
        level: 0.95,
        effective_rank: false,
    }
}

fn measured(files: &[PathBuf]) -> Measurement {
    measure(&options(files)).expect("valid samples")
}

/// The sentence, with the folder's own name taken out.
fn refusal(options: &Options) -> String {
    let sentence = measure(options).expect_err("a refusal").to_string();
    let folder = options.files.first().and_then(|file| file.parent());
    match folder
        .and_then(Path::to_str)
        .filter(|name| !name.is_empty())
    {
        Some(folder) => sentence.replace(&format!("{folder}/"), ""),
        None => sentence,
    }
}

fn refused(file: PathBuf) -> String {
    refusal(&options(&[file]))
}

/// Every null of the JSON, as dotted paths.
fn nulls(value: &serde_json::Value, path: &str, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Null => found.push(path.to_owned()),
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                let dot = if path.is_empty() { "" } else { "." };
                nulls(value, &format!("{path}{dot}{key}"), found);
            }
        }
        serde_json::Value::Array(values) => {
            for value in values {
                nulls(value, path, found);
            }
        }
        _ => {}
    }
}

fn assert_every_null_has_its_reason(measurement: &Measurement) {
    let json = serde_json::to_value(measurement).expect("JSON");
    let mut found = Vec::new();
    nulls(&json, "", &mut found);
    found.sort();
    let reasons: Vec<&str> = measurement.reasons.keys().copied().collect();
    assert_eq!(found, reasons);
    assert!(
        measurement
            .reasons
            .values()
            .all(|reason| !reason.is_empty())
    );
}
