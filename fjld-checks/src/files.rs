//! Files are written whole: to a temporary name, then renamed. One program at a time writes to a folder of results.

use crate::error::{Error, Result};
use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::Path;

/// How the temporary names begin.
const WRITING: &str = ".writing-";

/// The file in a folder of results that is locked while a program writes there. It stays: were it removed, two programs could each lock
/// one of the name.
const LOCK: &str = ".lock";

/// Writes `bytes` to `path`, whose folder is made if it is not there. Whoever reads `path` sees the old file or the new one.
///
/// # Errors
/// When the folder or the file can not be written; an old file is left as it was.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |e: &std::io::Error| Error::file("written", path, e);
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|e| failed(&e))?;
    let mut file = tempfile::Builder::new()
        .prefix(WRITING)
        .tempfile_in(folder)
        .map_err(|e| failed(&e))?;
    file.write_all(bytes).map_err(|e| failed(&e))?;
    // a disk may say only now that it is full, and a name must not outlive a power failure that its bytes did not
    file.as_file().sync_all().map_err(|e| failed(&e))?;
    file.persist(path).map_err(|e| failed(&e.error))?;
    Ok(())
}

/// A folder of results that no other program writes to as long as this lives.
#[derive(Debug)]
pub struct Held(#[expect(dead_code, reason = "the lock lives as long as the file is open")] File);

/// Keeps all others out of a folder, which is made if it is not there, and drops what a program that was killed had half written.
///
/// # Errors
/// When another is at work there, or the folder can not be written.
pub fn hold(folder: &Path) -> Result<Held> {
    let held = locked(folder, File::try_lock)?;
    for folder in [folder.to_owned(), folder.join("evidence")] {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(WRITING) {
                // one that stays harms nobody
                std::fs::remove_file(entry.path()).ok();
            }
        }
    }
    Ok(held)
}

/// Keeps those out who want a folder for themselves, and not those who share it.
///
/// # Errors
/// As [`hold`].
pub fn share(folder: &Path) -> Result<Held> {
    locked(folder, File::try_lock_shared)
}

fn locked(
    folder: &Path,
    lock: impl Fn(&File) -> std::result::Result<(), TryLockError>,
) -> Result<Held> {
    let path = folder.join(LOCK);
    let failed = |e: &std::io::Error| Error::file("written", &path, e);
    std::fs::create_dir_all(folder).map_err(|e| failed(&e))?;
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|e| failed(&e))?;
    match lock(&file) {
        Ok(()) => Ok(Held(file)),
        Err(TryLockError::WouldBlock) => Err(Error::input(format!(
            "another fjld-checks is at work in {}; wait for its end, or name another folder by --out",
            folder.display()
        ))),
        // some file systems of clusters know no locks; there nobody is kept out
        Err(TryLockError::Error(e)) if e.kind() == std::io::ErrorKind::Unsupported => {
            Ok(Held(file))
        }
        Err(TryLockError::Error(e)) => Err(Error::file("locked", &path, &e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_is_left_beside_it() -> Result<()> {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("deep").join("file");
        write_whole(&path, b"old")?;
        write_whole(&path, b"new")?;
        assert_eq!(
            std::fs::read(&path).ok().as_deref(),
            Some(b"new".as_slice())
        );
        let beside = std::fs::read_dir(path.parent().expect("it has a folder"));
        assert_eq!(beside.expect("the folder is there").count(), 1);
        Ok(())
    }

    #[test]
    fn a_place_that_can_not_be_written_is_named() {
        let error = write_whole(Path::new("/dev/null/file"), b"x").expect_err("not a folder");
        assert!(error.to_string().contains("/dev/null/file"), "{error}");
        let error = hold(Path::new("/dev/null/folder")).expect_err("not a folder");
        assert!(error.to_string().contains("/dev/null/folder"), "{error}");
    }

    #[test]
    fn a_folder_is_held_by_one_or_shared_by_several_until_they_end() -> Result<()> {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let held = hold(folder.path())?;
        for said in [hold(folder.path()), share(folder.path())] {
            let said = said.expect_err("it is held").to_string();
            assert!(said.starts_with("another fjld-checks is at work"), "{said}");
        }
        drop(held);
        let several = [share(folder.path())?, share(folder.path())?];
        assert!(hold(folder.path()).is_err());
        drop(several);
        hold(folder.path()).map(drop)
    }

    #[test]
    fn what_a_killed_program_had_half_written_is_dropped_by_the_next_and_nothing_else() -> Result<()>
    {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let place = |name: &str| folder.path().join(name);
        for name in ["report.json", "evidence/a.jsonl"] {
            write_whole(&place(name), b"whole")?;
        }
        for name in [".writing-abc", "evidence/.writing-def"] {
            std::fs::write(place(name), b"ha").expect("the folder can be written");
        }
        hold(folder.path())?;
        assert!(!place(".writing-abc").exists() && !place("evidence/.writing-def").exists());
        assert!(place("report.json").exists() && place("evidence/a.jsonl").exists());
        Ok(())
    }
}
