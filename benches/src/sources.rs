//! What the figures speak of. The build script of `fjld-checks` reads this file too, so that a report knows whether they still do.

use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Files and folders of the repository: capture, moments and Kronecker factors, `measure`, the benches' models, jobs and clock, and the lock
/// of all dependencies. How figures are shown is no part of it, nor are tests that have a file of their own.
pub const PLACES: [&str; 9] = [
    "Cargo.lock",
    "Cargo.toml",
    "benches/src/clock.rs",
    "benches/src/jobs.rs",
    "benches/src/models.rs",
    "fjld-checks/src/measure",
    "fjld-core/src/capture",
    "fjld-core/src/kronecker",
    "fjld-core/src/moments",
];

/// The first digits of SHA-256 over all of it. Figures lapse when it changes.
///
/// # Errors
/// When a file can not be read.
pub fn hash(root: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    for place in PLACES {
        collect(&root.join(place), &mut files)?;
    }
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        // names too, but not where the repository lies
        let name = file.strip_prefix(root).unwrap_or(&file);
        hash.update(name.to_string_lossy().as_bytes());
        hash.update(fs::read(&file)?);
    }
    let digest = hash.finalize();
    Ok(digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

fn collect(place: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if place.is_file() {
        files.push(place.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(place)? {
        let path = entry?.path();
        let is_test = path.file_stem().is_some_and(|name| name == "tests");
        if !is_test && (path.is_dir() || path.extension().is_some_and(|e| e == "rs")) {
            collect(&path, files)?;
        }
    }
    Ok(())
}
