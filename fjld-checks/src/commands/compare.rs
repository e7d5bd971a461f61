//! `compare`: what changed between two reports, or from the pins.

use crate::{Exit, done_if, print, to_json};
use clap::Args;
use fjld_checks::compare;
use fjld_checks::error::{Error, Result};
use fjld_checks::report;
use std::path::PathBuf;

#[derive(Args)]
pub struct CompareArgs {
    /// Two report.json, the earlier first; with --pins, one
    #[arg(required = true, num_args = 1..=2, value_names = ["A.json", "B.json"])]
    reports: Vec<PathBuf>,
    /// Compare one report with the pinned verdicts of its tier
    #[arg(long)]
    pins: bool,
    /// Print a table of what changed, for a pull request
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Compares what the arguments name.
pub fn run(args: &CompareArgs) -> Result<Exit> {
    let comparison = match (args.reports.as_slice(), args.pins) {
        ([before, after], false) => compare::compare(&report::read(before)?, &report::read(after)?),
        ([now], true) => compare::against_pins(&report::read(now)?),
        (many, true) => {
            let many = many.len();
            return Err(Error::input(format!(
                "--pins takes one report, and {many} were given"
            )));
        }
        (_, false) => {
            return Err(Error::input(
                "1 report was given; accepted are two, or one with --pins",
            ));
        }
    };
    print(&if args.json {
        to_json(&comparison)
    } else if args.markdown {
        comparison.markdown()
    } else {
        format!("{comparison}\n")
    })?;
    Ok(done_if(!comparison.changed))
}
