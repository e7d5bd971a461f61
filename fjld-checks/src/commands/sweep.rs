//! `plan`, `run --item` and `merge`: an audit in pieces.

use super::report::{self, ReportArgs};
use super::run::RunArgs;
use crate::{Exit, SharedArgs, print, to_json};
use clap::Args;
use fjld_checks::audit::ROOT_SEED;
use fjld_checks::error::{Error, Result};
use fjld_checks::files::{hold, share};
use fjld_checks::scenarios::store::{RunStore, WorkItem};
use fjld_checks::sweep;
use fjld_checks::tier::Tier;
use fjld_core::rng::Seed;
use std::path::PathBuf;

#[derive(Args)]
pub struct PlanArgs {
    /// How much work the audit is to do
    #[arg(long, value_enum, default_value_t = Tier::Standard)]
    tier: Tier,
    /// Plan the runs of this claim only (may be given more than once)
    #[arg(long, value_name = "ID")]
    claim: Vec<String>,
    /// The root seed
    #[arg(long, value_name = "N", default_value_t = ROOT_SEED)]
    seed: u64,
    #[command(flatten)]
    shared: SharedArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct MergeArgs {
    /// Folders that `run --item` wrote to
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
    #[command(flatten)]
    report: ReportArgs,
}

fn store(tier: Tier, seed: u64, shared: &SharedArgs, folder: Option<PathBuf>) -> Result<RunStore> {
    shared.check()?;
    let runs = RunStore::new(tier, Seed::root(seed), folder).with_data(shared.data.clone());
    Ok(runs.on(shared.device.open()?))
}

/// Lists the independent pieces of work of an audit.
pub fn plan(args: &PlanArgs) -> Result<Exit> {
    let runs = store(args.tier, args.seed, &args.shared, None)?;
    let items = sweep::plan(&runs, &args.claim)?;
    let line = |item: &WorkItem| format!("{}\t{}\t{}\n", item.id, item.scenario, item.item);
    print(&if args.json {
        to_json(&items)
    } else {
        items.iter().map(line).collect()
    })?;
    Ok(Exit::Done)
}

/// Does one planned piece of work.
pub fn run_item(id: &str, args: &RunArgs) -> Result<Exit> {
    let runs = store(args.tier, args.seed, &args.shared, Some(args.out.clone()))?;
    let item = sweep::find(&runs, id)?;
    // several pieces may be done into one folder at once, each into a file of its own
    let _shared = share(&args.out)?;
    runs.work(&item)?;
    let kept = item.kept_in(&args.out);
    print(&format!("{}\n", kept.display()))?;
    Ok(Exit::Done)
}

/// Joins what several folders keep, and makes the report of it.
pub fn merge(args: MergeArgs) -> Result<Exit> {
    let MergeArgs {
        folders,
        report: own,
    } = args;
    if own.fresh {
        return Err(Error::input(
            "--fresh draws a seed of its own, at which nothing can be kept; accepted is --seed, as `plan` had it",
        ));
    }
    let runs = store(own.tier, own.seed, &own.shared, None)?;
    let items = sweep::plan(&runs, &own.claim)?;
    let held = hold(&own.out)?;
    let missing = sweep::merge(&items, &folders, &own.out)?;
    drop(held);
    if !missing.is_empty() {
        let names: Vec<String> = missing
            .iter()
            .map(|item| format!("{} ({} {})", item.id, item.scenario, item.item))
            .collect();
        return Err(Error::input(format!(
            "{} of {} pieces of work are kept in none of these folders: {}; `run --item ID` does one",
            missing.len(),
            items.len(),
            names.join(", ")
        )));
    }
    report::run(own)
}
