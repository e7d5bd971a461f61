//! Makes `benches/RESULTS.md`, and `fjld-checks/recorded/timings.json` for reports, out of the raw rows in `benches/results/`:
//! `cargo run -p fjld-benches --example results`. With `--check` nothing is written: it says whether the figures are of the sources as they
//! are now, and ends with 1 where they lapsed.

use fjld_benches::figures::Figures;
use fjld_benches::results::page;
use fjld_benches::rows::{Row, folder, measured_sources, read_all};
use std::error::Error;
use std::path::Path;
use std::{env, fs, process};

/// Compiled into `fjld-checks`.
const TIMINGS: &str = "../fjld-checks/recorded/timings.json";

fn main() -> Result<(), Box<dyn Error>> {
    let rows = read_all(&folder().join("results"))?;
    if env::args().any(|argument| argument == "--check") {
        let now = measured_sources()?;
        let mut stale = 0;
        for row in &rows {
            if let Row::Context(context) = row
                && context.sources != now
            {
                stale += 1;
            }
        }
        if stale > 0 {
            println!("stale: {stale} recordings are of other sources than these (`{now}`)");
            process::exit(1);
        }
        println!("the figures are of these sources (`{now}`)");
        return Ok(());
    }
    let notes = fs::read_to_string(folder().join("results/notes.md")).unwrap_or_default();
    let page = page(&rows, &notes);
    let figures = serde_json::to_string_pretty(&Figures::of(&rows))? + "\n";
    write(&folder().join("RESULTS.md"), &page)?;
    write(&folder().join(TIMINGS), &figures)?;
    Ok(())
}

/// The whole of it or nothing.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, text)?;
    fs::rename(new, path)
}
