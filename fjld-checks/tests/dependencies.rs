//! What comes into the build is accounted for: `docs/dependencies.md` against the manifests and the lock file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use toml::{Table, Value};

fn text(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn manifest(path: &str) -> Table {
    toml::from_str(&text(path)).expect("cargo reads it too")
}

fn strings(value: Option<&Value>) -> Vec<&str> {
    let array = value.and_then(Value::as_array);
    array
        .into_iter()
        .flatten()
        .map(|entry| entry.as_str().expect("a list of names"))
        .collect()
}

/// Every dependency of the workspace on a crate that is not ours, with its features as the table writes them.
fn asked_for() -> BTreeMap<String, String> {
    let root = manifest("Cargo.toml");
    let dependencies = root["workspace"]["dependencies"].as_table();
    dependencies
        .expect("a table of crates")
        .iter()
        .filter(|(_, asked)| asked.get("path").is_none())
        .map(|(name, asked)| {
            let default = asked.get("default-features").and_then(Value::as_bool);
            let mut features = match default {
                Some(false) => Vec::new(),
                _ => vec!["default"],
            };
            features.extend(strings(asked.get("features")));
            let written = match features.is_empty() {
                true => "none".to_owned(),
                false => format!("`{}`", features.join("`, `")),
            };
            (name.clone(), written)
        })
        .collect()
}

/// The rows of the table by crate, each with its cells.
fn table() -> BTreeMap<String, Vec<String>> {
    text("docs/dependencies.md")
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells = line.trim_matches('|').split(" | ");
            let cells: Vec<String> = cells.map(|cell| cell.trim().to_owned()).collect();
            (cells[0].trim_matches('`').to_owned(), cells)
        })
        .collect()
}

/// The packages of the lock file as `name version`, each with those that it depends on.
struct Lock(BTreeMap<String, Vec<String>>);

impl Lock {
    fn read() -> Self {
        let lock = manifest("Cargo.lock");
        let packages = lock["package"].as_array().expect("a list of packages");
        let id = |package: &Value| {
            let of = |key| package[key].as_str().expect("a name or a version");
            format!("{} {}", of("name"), of("version"))
        };
        let ids: Vec<String> = packages.iter().map(id).collect();
        // a name alone stands for the only version there is
        let of_name = |asked: &str| {
            let found = ids
                .iter()
                .find(|id| *id == asked || id.split(' ').next() == Some(asked));
            found.unwrap_or_else(|| panic!("{asked} is locked")).clone()
        };
        let needs = |package: &Value| {
            let needs = strings(package.get("dependencies"));
            needs.into_iter().map(of_name).collect()
        };
        Self(
            ids.iter()
                .cloned()
                .zip(packages.iter().map(needs))
                .collect(),
        )
    }

    /// The crates that ours name.
    fn direct(&self, names: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let of_ours = self.0.iter().filter(|(id, _)| id.starts_with("fjld-"));
        let named = of_ours.flat_map(|(_, needs)| needs);
        named
            .map(|id| (id.split(' ').next().unwrap_or(id).to_owned(), id.clone()))
            .filter(|(name, _)| names.contains_key(name))
            .collect()
    }

    /// All packages on the way down from these.
    fn reach<'a>(&'a self, from: impl Iterator<Item = &'a String>) -> BTreeSet<&'a str> {
        let mut open: Vec<&str> = from.map(String::as_str).collect();
        let mut reached = BTreeSet::new();
        while let Some(id) = open.pop() {
            if reached.insert(id) {
                open.extend(self.0[id].iter().map(String::as_str));
            }
        }
        reached
    }
}

#[test]
fn every_direct_dependency_has_its_line_with_its_features_and_what_it_brings() {
    let (asked, rows, lock) = (asked_for(), table(), Lock::read());
    let direct = lock.direct(&asked);
    assert!(
        direct.len() > 30 && rows.keys().eq(asked.keys()),
        "{:?} against {:?}",
        rows.keys(),
        asked.keys()
    );
    for (name, features) in &asked {
        let all = lock.reach(direct.get(name).into_iter());
        let others = lock.reach(
            direct
                .iter()
                .filter(|(other, _)| *other != name)
                .map(|(_, id)| id),
        );
        let own = all.difference(&others).count();
        let [_, purpose, written @ ..] = rows[name].as_slice() else {
            panic!("the line of {name} has no cells");
        };
        assert!(!purpose.is_empty(), "what {name} is for");
        assert_eq!(
            written,
            [features.clone(), all.len().to_string(), own.to_string()],
            "features, crates and its own, of {name} in docs/dependencies.md"
        );
    }
}

#[test]
fn no_member_names_a_crate_past_the_workspace_or_lifts_its_lints() {
    let root = manifest("Cargo.toml");
    assert_eq!(
        root["workspace"]["lints"]["rust"]["unsafe_code"].as_str(),
        Some("forbid")
    );
    let members = strings(root["workspace"].get("members"));
    assert!(members.len() >= 4);
    for member in members {
        let manifest = manifest(&format!("{member}/Cargo.toml"));
        assert_eq!(
            manifest["lints"]["workspace"].as_bool(),
            Some(true),
            "{member}"
        );
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let named = manifest.get(kind).and_then(Value::as_table);
            for (name, asked) in named.into_iter().flatten() {
                let inherited = asked.get("workspace").and_then(Value::as_bool);
                assert_eq!(inherited, Some(true), "{member} on {name}");
            }
        }
    }
}
