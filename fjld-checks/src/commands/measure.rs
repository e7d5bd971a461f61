//! `measure`: gradient samples, or norms at two batch sizes, that others wrote.

use crate::{Exit, print, to_json};
use clap::Args;
use fjld_checks::error::Result;
use fjld_checks::measure::{self, measure};
use std::path::PathBuf;

#[derive(Args)]
pub struct MeasureArgs {
    /// .npy or .safetensors files of gradients, or a directory of them
    #[arg(required_unless_present = "two_batch", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A log of squared gradient norms at two batch sizes, a step a line: CSV with a header or JSON Lines, of small_batch, big_batch,
    /// small_norm2 and big_norm2
    #[arg(long, value_name = "LOG", conflicts_with_all = ["files", "key", "batch_size", "effective_rank"])]
    two_batch: Option<PathBuf>,
    /// The tensor to read of a .safetensors file
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
    /// How many examples each gradient averages over
    #[arg(long, value_name = "B")]
    batch_size: Option<u64>,
    /// Nominal coverage of the interval
    #[arg(long, default_value_t = 0.95)]
    level: f64,
    /// Compute the effective rank, whatever it costs
    #[arg(long)]
    effective_rank: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Measures what the arguments name.
pub fn run(args: MeasureArgs) -> Result<Exit> {
    if let Some(log) = &args.two_batch {
        let measured = measure::two_batch(log, args.level)?;
        print(&match args.json {
            true => to_json(&measured),
            false => format!("{measured}\n"),
        })?;
        return Ok(Exit::Done);
    }
    let measurement = measure(&measure::Options {
        files: args.files,
        key: args.key,
        batch_size: args.batch_size,
        level: args.level,
        effective_rank: args.effective_rank,
    })?;
    print(&if args.json {
        to_json(&measurement)
    } else {
        format!("{measurement}\n")
    })?;
    Ok(Exit::Done)
}
