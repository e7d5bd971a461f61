//! Reading a report back.

use super::{Report, SCHEMA};
use crate::error::{Error, Result, parsers_words, printable};
use std::path::Path;

/// Reads a report of the schema that this program writes.
///
/// # Errors
/// When the file can not be read, is no JSON, has another schema, or is not what its schema says.
pub fn read(path: &Path) -> Result<Report> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|e| Error::file("read", path, &e))?;
    let json: serde_json::Value = serde_json::from_str(&text).map_err(|error| {
        Error::input(format!(
            "{name} is no JSON: {error}; a report.json is needed"
        ))
    })?;
    match json.get("schema").and_then(serde_json::Value::as_str) {
        Some(SCHEMA) => {}
        Some(other) => {
            return Err(Error::input(format!(
                "{name} has the schema {:?}; accepted is {SCHEMA:?}",
                printable(other)
            )));
        }
        None => {
            return Err(Error::input(format!(
                "{name} names no schema; accepted is {:?}",
                SCHEMA
            )));
        }
    }
    serde_json::from_value(json).map_err(|error| {
        Error::input(format!(
            "{name} is not the {SCHEMA} that it says it is: {}",
            parsers_words(&error)
        ))
    })
}
