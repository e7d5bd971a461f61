//! `view` and `explain`: a report that is there already, looked at again.

use crate::{Exit, print};
use clap::Args;
use fjld_checks::error::{Error, Result};
use fjld_checks::files::{hold, write_whole};
use fjld_checks::report::{self, Report, explain, html, markdown};
use std::path::{Path, PathBuf};

#[derive(Args)]
pub struct ViewArgs {
    /// The report to show
    #[arg(value_name = "FILE", default_value = "target/fjld-report/report.json")]
    from: PathBuf,
    /// Where to write report.md and report.html (default: beside it)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Args)]
pub struct ExplainArgs {
    /// The claim
    #[arg(value_name = "CLAIM")]
    claim: String,
    /// The report that judges it; without one it is told what is tested
    #[arg(
        long,
        value_name = "FILE",
        default_value = "target/fjld-report/report.json"
    )]
    from: PathBuf,
}

/// Writes what people read of a report.
pub fn write(report: &Report, provenance: Option<&serde_json::Value>, folder: &Path) -> Result<()> {
    write_whole(&folder.join("report.md"), markdown(report).as_bytes())?;
    let page = html(report, provenance);
    write_whole(&folder.join("report.html"), page.as_bytes())
}

/// Writes the views of a report anew, and runs nothing.
pub fn view(args: &ViewArgs) -> Result<Exit> {
    let report = report::read(&args.from)?;
    let beside = args.from.parent().unwrap_or(Path::new("."));
    let provenance = std::fs::read(beside.join("provenance.json")).ok();
    let provenance = provenance.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let folder = args.out.as_deref().unwrap_or(beside);
    let _held = hold(folder)?;
    write(&report, provenance.as_ref(), folder)?;
    print(&format!("{}\n", folder.join("report.html").display()))?;
    Ok(Exit::Done)
}

/// Prints the page of a claim.
pub fn explain_claim(args: &ExplainArgs) -> Result<Exit> {
    let report = match args.from.exists() {
        true => Some(report::read(&args.from)?),
        false => None,
    };
    match explain(&args.claim, report.as_ref()) {
        Ok(page) => {
            print(&page)?;
            Ok(Exit::Done)
        }
        Err(near) => Err(Error::input(format!(
            "no claim is called \"{}\"; the nearest are {}",
            args.claim,
            near.join(", ")
        ))),
    }
}
