//! Pinned results: the snapshots in `pins/`, compared number by number.
//!
//! The tests that hold results against them are `fjld-checks/tests/pinned_*.rs`. They are reviewed with cargo-insta as usual:
//! `cargo insta test --review`. The verdict pins are also compiled into `fjld-checks`, whose `report` exits with 1 when a
//! verdict is another.

use insta::internals::SnapshotContents;
use insta::{Comparator, Settings, Snapshot};
use serde_json::Value;

/// How far a number may be from its pin, relative. The tables come of `f64` sums of up to 10^4 draws, whose logarithms and sines may
/// differ in their last bits between platforms: 10^4 roundings of 10^-16, and a factor 1000 for differences of nearly equal numbers.
pub const TOLERANCE: f64 = 1e-9;

/// Settings under which the JSON snapshots of a crate's `tests/` live in `pins/` and are equal when their numbers are, to [`TOLERANCE`].
pub fn settings() -> Settings {
    let mut settings = Settings::clone_current();
    settings.set_snapshot_path("../../snapshots/pins");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_comparator(Box::new(ByNumber));
    settings
}

/// Compares snapshots as JSON, numbers to [`TOLERANCE`].
#[derive(Clone)]
struct ByNumber;

impl Comparator for ByNumber {
    fn matches(&self, reference: &Snapshot, test: &Snapshot) -> bool {
        match (json(reference), json(test)) {
            (Some(a), Some(b)) => agree(&a, &b),
            _ => false,
        }
    }

    fn dyn_clone(&self) -> Box<dyn Comparator> {
        Box::new(self.clone())
    }
}

fn json(snapshot: &Snapshot) -> Option<Value> {
    let SnapshotContents::Text(text) = snapshot.contents() else {
        return None;
    };
    serde_json::from_str(&text.to_string()).ok()
}

/// Whether two JSON values are the same, their numbers to [`TOLERANCE`].
pub fn agree(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            let (Some(a), Some(b)) = (a.as_f64(), b.as_f64()) else {
                return a == b;
            };
            (a - b).abs() <= TOLERANCE * a.abs().max(b.abs())
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| agree(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let same = |(key, a): (&String, &Value)| b.get(key).is_some_and(|b| agree(a, b));
            a.len() == b.len() && a.iter().all(same)
        }
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_agree_within_the_tolerance_and_everything_else_exactly() {
        let pinned = json!({"c": [1.0, "x", null], "n": 3});
        assert!(agree(
            &pinned,
            &json!({"n": 3, "c": [1.0 + 5e-10, "x", null]})
        ));
        assert!(!agree(
            &pinned,
            &json!({"n": 3, "c": [1.0 + 5e-9, "x", null]})
        ));
        assert!(!agree(&pinned, &json!({"n": 3, "c": [1.0, "y", null]})));
        assert!(!agree(&pinned, &json!({"n": 3, "c": [1.0, "x", 0.0]})));
        assert!(!agree(
            &pinned,
            &json!({"n": 3, "c": [1.0, "x", null], "more": 1})
        ));
    }
}
