//! Which files a command line names: files as they are given, and the files of a directory in the order a person would count them.

use super::samples::Format;
use crate::error::{Error, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The files to read, in order.
///
/// # Errors
/// For a path that is missing or can not be listed, and for a directory with no sample file or with two kinds of them.
pub(super) fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        let metadata = fs::metadata(path).map_err(|error| Error::file("read", path, &error))?;
        if metadata.is_dir() {
            files.extend(directory(path)?);
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

/// The sample files of a directory, `step-2` before `step-10`. Other files and what lies deeper are not looked at.
fn directory(path: &Path) -> Result<Vec<PathBuf>> {
    let unlisted = |error| Error::file("listed", path, &error);
    let mut files = Vec::new();
    let mut formats = Vec::new();
    for entry in fs::read_dir(path).map_err(unlisted)? {
        let file = entry.map_err(unlisted)?.path();
        if let Some(format) = Format::of(&file)
            && file.is_file()
        {
            files.push(file);
            formats.push(format);
        }
    }
    if files.is_empty() {
        return Err(Error::input(format!(
            "the directory {} holds no sample files; .npy and .safetensors are read",
            path.display()
        )));
    }
    // the same steps saved twice would pass for twice as many samples
    if formats.iter().any(|format| *format != formats[0]) {
        return Err(Error::input(format!(
            "the directory {} holds both .npy and .safetensors files; name the files to read instead",
            path.display()
        )));
    }
    files.sort_by_cached_key(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        (natural_key(&name), file.clone())
    });
    Ok(files)
}

/// A run of digits or of anything else. Numbers compare by value: without leading zeros, the longer one is the larger.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Piece {
    Number { digits: usize, value: String },
    Text(String),
}

fn natural_key(name: &str) -> Vec<Piece> {
    let same_kind = |a: &u8, b: &u8| a.is_ascii_digit() == b.is_ascii_digit();
    name.as_bytes()
        .chunk_by(same_kind)
        .map(|run| {
            let text = String::from_utf8_lossy(run);
            if run[0].is_ascii_digit() {
                let value = text.trim_start_matches('0').to_owned();
                Piece::Number {
                    digits: value.len(),
                    value,
                }
            } else {
                Piece::Text(text.into_owned())
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ordered_as_a_person_counts() {
        let mut names = [
            "step-10",
            "step-2",
            "step-010-b",
            "step-9",
            "a-100",
            "step-",
        ];
        names.sort_by_key(|name| natural_key(name));
        assert_eq!(
            names,
            [
                "a-100",
                "step-",
                "step-2",
                "step-9",
                "step-10",
                "step-010-b"
            ]
        );
    }
}
