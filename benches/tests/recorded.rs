//! The committed page is what the command makes of the committed rows.

use fjld_benches::figures::Figures;
use fjld_benches::results::page;
use fjld_benches::rows::{folder, measured_sources, read_all};
use std::fs;

#[test]
fn the_page_says_what_the_raw_rows_say() {
    let rows = read_all(&folder().join("results")).expect("every line is a row");
    let notes = fs::read_to_string(folder().join("results/notes.md")).unwrap_or_default();
    let committed = fs::read_to_string(folder().join("RESULTS.md")).expect("it is committed");
    assert_eq!(
        committed,
        page(&rows, &notes),
        "make it again: cargo run -p fjld-benches --example results"
    );
}

#[test]
fn reports_have_the_figures_that_the_raw_rows_give() {
    let rows = read_all(&folder().join("results")).expect("every line is a row");
    let path = folder().join("../fjld-checks/recorded/timings.json");
    let committed = fs::read_to_string(path).expect("it is committed");
    let figures = serde_json::to_string_pretty(&Figures::of(&rows)).expect("plain numbers");
    assert_eq!(
        committed.trim_end(),
        figures,
        "make it again: cargo run -p fjld-benches --example results"
    );
}

#[test]
fn the_hash_of_the_measured_sources_is_the_same_twice() {
    let hash = measured_sources().expect("the sources can be read");
    assert_eq!(hash.len(), 16);
    assert_eq!(hash, measured_sources().expect("the sources can be read"));
}
