//! An audit past one machine: its runs planned as independent pieces of work, done one by one anywhere, and merged into one report.
//!
//! The pieces are those that an interrupted audit keeps, so that a report on merged pieces is one that goes on where others stopped.

use crate::audit;
use crate::error::{Error, Result};
use crate::files::write_whole;
use crate::scenarios::store::{RunStore, WorkItem};
use std::path::{Path, PathBuf};

/// The pieces of work that the audit of these claims takes (of all when empty), in a fixed order.
///
/// # Errors
/// When a claim is unknown.
pub fn plan(runs: &RunStore, claims: &[String]) -> Result<Vec<WorkItem>> {
    let mut items = Vec::new();
    for name in audit::scenarios_of(&audit::choose(claims)?) {
        items.extend(runs.plan(name)?);
    }
    Ok(items)
}

/// The planned piece of this id.
///
/// # Errors
/// When none has it.
pub fn find(runs: &RunStore, id: &str) -> Result<WorkItem> {
    let mut items = plan(runs, &[])?.into_iter();
    items.find(|item| item.id == id).ok_or_else(|| {
        Error::input(format!(
            "no piece of work has the id \"{id}\" at this tier, seed and data; `plan` lists them"
        ))
    })
}

/// Copies what `folders` keep of `items` into `out`, and says which are kept nowhere. Pieces that are there already stay.
///
/// # Errors
/// When a file can not be read or written, or two folders keep different findings of one piece.
pub fn merge<'a>(
    items: &'a [WorkItem],
    folders: &[PathBuf],
    out: &Path,
) -> Result<Vec<&'a WorkItem>> {
    let mut missing = Vec::new();
    for item in items {
        let mut found: Option<(PathBuf, Vec<u8>)> = None;
        for folder in std::iter::once(out).chain(folders.iter().map(PathBuf::as_path)) {
            let path = item.kept_in(folder);
            let bytes = match std::fs::read(&path) {
                Ok(bytes) => bytes,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(e) => return Err(Error::file("read", &path, &e)),
            };
            match &found {
                Some((first, other)) if *other != bytes => {
                    return Err(Error::input(format!(
                        "{} and {} hold different findings of one piece of work; one of them was changed, or made by a machine that computes otherwise",
                        first.display(),
                        path.display()
                    )));
                }
                Some(_) => {}
                None => found = Some((path, bytes)),
            }
        }
        match found {
            None => missing.push(item),
            Some((_, bytes)) => write_whole(&item.kept_in(out), &bytes)?,
        }
    }
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tier::Tier;
    use fjld_core::rng::Seed;
    use tempfile::TempDir;

    fn item(name: &str) -> WorkItem {
        WorkItem {
            id: "0123456789abcdef".into(),
            scenario: "some".into(),
            item: name.into(),
        }
    }

    fn folder(kept: &[(&str, &str)]) -> TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in kept {
            let path = item(name).kept_in(folder.path());
            write_whole(&path, text.as_bytes()).expect("it is mine");
        }
        folder
    }

    #[test]
    fn pieces_of_several_folders_come_together_once_and_a_missing_one_is_named() -> Result<()> {
        let (a, b, out) = (
            folder(&[("x", "1")]),
            folder(&[("x", "1"), ("y", "2")]),
            folder(&[]),
        );
        let items = ["x", "y", "z"].map(item);
        let folders = [a.path().to_owned(), b.path().to_owned()];
        for _ in 0..2 {
            assert_eq!(merge(&items, &folders, out.path())?, [&items[2]]);
        }
        let kept = |name| std::fs::read_to_string(item(name).kept_in(out.path())).ok();
        assert_eq!(kept("x").as_deref(), Some("1"));
        assert_eq!(kept("y").as_deref(), Some("2"));
        assert_eq!(kept("z"), None);
        Ok(())
    }

    #[test]
    fn two_findings_of_one_piece_are_refused_with_both_places() {
        let (a, b, out) = (folder(&[("x", "1")]), folder(&[("x", "2")]), folder(&[]));
        let folders = [a.path().to_owned(), b.path().to_owned()];
        let said = merge(&[item("x")], &folders, out.path()).expect_err("they differ");
        let said = said.to_string();
        for place in [a.path(), b.path()] {
            assert!(said.contains(&place.display().to_string()), "{said}");
        }
    }

    #[test]
    fn pieces_of_another_seed_or_tier_have_other_ids_and_an_unknown_id_is_refused() -> Result<()> {
        let ids = |tier, seed| -> Result<Vec<String>> {
            let runs = RunStore::new(tier, Seed::root(seed), None);
            let items = plan(&runs, &["grokking".into()])?;
            Ok(items.into_iter().map(|item| item.id).collect())
        };
        let first = ids(Tier::Quick, 1)?;
        assert_eq!(first.len(), 30);
        assert_eq!(first, ids(Tier::Quick, 1)?);
        for other in [ids(Tier::Quick, 2)?, ids(Tier::Standard, 1)?] {
            assert!(!other.iter().any(|id| first.contains(id)));
        }
        let runs = RunStore::new(Tier::Quick, Seed::root(1), None);
        assert_eq!(find(&runs, &first[3])?.id, first[3]);
        assert!(find(&runs, "0123").is_err());
        Ok(())
    }
}
