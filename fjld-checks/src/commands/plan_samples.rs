//! `plan-samples`: how many draws a wanted precision takes.

use crate::{Exit, print, to_json};
use clap::Args;
use fjld_checks::error::Result;
use fjld_checks::plan_samples::{self, parse_half_width, plan_samples};
use std::path::PathBuf;

#[derive(Args)]
pub struct PlanSamplesArgs {
    /// A .npy or .safetensors file of pilot gradients, or a directory of them (may be given more than once)
    #[arg(long, required = true, value_name = "FILE")]
    pilot: Vec<PathBuf>,
    /// The wanted half-width of the interval as a share of C, as in 10% or 0.1
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true)]
    half_width: String,
    /// The tensor to read of a .safetensors file
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
    /// Nominal coverage of the interval
    #[arg(long, default_value_t = 0.95)]
    level: f64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Plans them from a pilot.
pub fn run(args: PlanSamplesArgs) -> Result<Exit> {
    let planned = plan_samples(&plan_samples::Options {
        pilot: args.pilot,
        key: args.key,
        half_width: parse_half_width(&args.half_width)?,
        level: args.level,
    })?;
    print(&if args.json {
        to_json(&planned)
    } else {
        format!("{planned}\n")
    })?;
    Ok(Exit::Done)
}
