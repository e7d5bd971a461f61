//! `replay`: a claim of a report, judged again.

use crate::{Exit, print};
use clap::Args;
use fjld_checks::error::Result;
use fjld_checks::replay::{Agreement, replay};
use fjld_checks::report;
use std::path::PathBuf;

#[derive(Args)]
pub struct ReplayArgs {
    /// A claim, or one check of it
    #[arg(value_name = "CLAIM[/CHECK]")]
    what: String,
    /// The report to compare with
    #[arg(
        long,
        value_name = "FILE",
        default_value = "target/fjld-report/report.json"
    )]
    from: PathBuf,
    /// The folder of data sets that the report was made with
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Judges it again and compares the evidence.
pub fn run(args: &ReplayArgs) -> Result<Exit> {
    let agreement = replay(&args.what, &report::read(&args.from)?, args.data.clone())?;
    print(&format!("{}: {}\n", args.what, agreement.name()))?;
    Ok(match agreement {
        Agreement::BitEqual | Agreement::WithinBudget => Exit::Done,
        Agreement::Diverged => Exit::Difference,
    })
}
