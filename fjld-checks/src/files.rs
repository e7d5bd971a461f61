//! Files are written whole: to a temporary name, then renamed.

use crate::error::{Error, Result};
use std::io::Write;
use std::path::Path;

/// Writes `bytes` to `path`, whose folder is made if it is not there. Whoever reads `path` sees the old file or the new one.
///
/// # Errors
/// When the folder or the file can not be written; an old file is left as it was.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |e: &std::io::Error| Error::file("written", path, e);
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|e| failed(&e))?;
    let mut file = tempfile::Builder::new()
        .prefix(".writing-")
        .tempfile_in(folder)
        .map_err(|e| failed(&e))?;
    file.write_all(bytes).map_err(|e| failed(&e))?;
    file.persist(path).map_err(|e| failed(&e.error))?;
    Ok(())
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
    }
}
