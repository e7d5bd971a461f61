//! `run`: one scenario.

use super::sweep;
use crate::{Exit, SharedArgs, print, to_json};
use clap::Args;
use fjld_checks::audit::ROOT_SEED;
use fjld_checks::error::{Error, Result};
use fjld_checks::files::{hold, write_whole};
use fjld_checks::scenarios::recorded;
use fjld_checks::scenarios::store::{RunStore, whole_lines};
use fjld_checks::scenarios::{self, Scenario};
use fjld_checks::tier::Tier;
use fjld_checks::{say, view};
use fjld_core::rng::Seed;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub struct RunArgs {
    /// The scenario file
    #[arg(required_unless_present = "item")]
    scenario: Option<PathBuf>,
    /// A piece of work that `plan` lists, in place of a whole scenario
    #[arg(long, value_name = "ID", conflicts_with = "scenario")]
    item: Option<String>,
    /// The root seed
    #[arg(long, value_name = "N", default_value_t = ROOT_SEED)]
    pub seed: u64,
    /// How much work to do
    #[arg(long, value_enum, default_value_t = Tier::Standard)]
    pub tier: Tier,
    /// Where to write the evidence
    #[arg(long, value_name = "DIR", default_value = "target/fjld-run")]
    pub out: PathBuf,
    #[command(flatten)]
    pub shared: SharedArgs,
    /// Keep the evidence as a recording: lines and provenance, which a line in scenarios/recorded.rs then builds in
    #[arg(
        long,
        value_name = "DIR",
        num_args = 0..=1,
        default_missing_value = "fjld-checks/recorded",
        conflicts_with = "item"
    )]
    record: Option<PathBuf>,
    /// What has to be known of the recording beside its provenance
    #[arg(long, value_name = "TEXT", requires = "record")]
    note: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Writes a scenario's table beside the evidence and prints it.
fn keep_table(
    args: &RunArgs,
    name: &str,
    table: &(impl serde::Serialize + std::fmt::Display),
) -> Result<()> {
    let json = to_json(table);
    let path = args.out.join(format!("{name}.json"));
    write_whole(&path, json.as_bytes())?;
    print(&if args.json { json } else { table.to_string() })
}

/// An empty store for the runs of one scenario.
fn run_store(args: &RunArgs) -> Result<RunStore> {
    let runs = RunStore::new(args.tier, Seed::root(args.seed), Some(args.out.clone()));
    let runs = runs.with_data(args.shared.data.clone());
    Ok(runs.on(args.shared.device.open()?))
}

/// Runs it, and keeps the evidence with where it is from.
pub fn run(args: &RunArgs) -> Result<Exit> {
    args.shared.check()?;
    if let Some(id) = &args.item {
        return sweep::run_item(id, args);
    }
    let path = args
        .scenario
        .as_deref()
        .expect("clap asks for one of the two");
    // read once: what is recorded as the scenario must be what was run
    let text = std::fs::read_to_string(path).map_err(|e| Error::file("read", path, &e))?;
    let scenario = scenarios::parse(&text, &path.display().to_string())?;
    let has_runs = matches!(scenario, Scenario::Study(_) | Scenario::Training(_));
    if args.record.is_some() && !has_runs {
        return Err(Error::input(format!(
            "--record: \"{}\" has no runs; accepted are scenarios of training and studies",
            scenario.name()
        )));
    }
    let _held = hold(&args.out)?;
    let mut runs = run_store(args)?;
    let (lines, shown) = match &scenario {
        Scenario::Gaussian(own) => {
            keep_table(args, &own.name, &own.run()?)?;
            return written_to(&args.out);
        }
        Scenario::Reparameterization(own) => {
            keep_table(args, &own.name, &own.run()?)?;
            return written_to(&args.out);
        }
        Scenario::Study(study) => {
            say!("root seed {}, tier {}", args.seed, args.tier.name());
            runs.run_study(study.as_ref())?;
            let rows = runs.lines(study.name());
            (whole_lines(rows), study.table(rows)?)
        }
        Scenario::Training(training) => {
            say!("root seed {}, tier {}", args.seed, args.tier.name());
            if let Some(rate) = training.entropy_rate() {
                say!("the language leaves {rate:.4} nats open a character");
            }
            runs.run(training)?;
            let evidence = runs.get(&training.name)?;
            (evidence.json_lines(), view::evidence_table(evidence))
        }
    };
    let made = recorded::Made {
        scenario: scenario.name(),
        text: &text,
        data: scenario.needs().is_some(),
        device: args.shared.device,
        tier: args.tier,
        root_seed: args.seed,
        note: args.note.clone(),
    };
    let provenance = recorded::Provenance::of(&made, &lines)?;
    provenance.write(&lines, &args.out.join("evidence"))?;
    if let Some(folder) = &args.record {
        provenance.record(&lines, folder)?;
        say!("recorded in {}", folder.display());
    }
    runs.write(&args.out)?;
    runs.forget();
    for (name, spent) in runs.spent() {
        say!(
            "{name} took {:.1} core-seconds; its file states {}",
            spent.core_seconds,
            spent.budget
        );
    }
    print(&if args.json { lines } else { shown })?;
    written_to(&args.out)
}

fn written_to(folder: &Path) -> Result<Exit> {
    say!("written to {}", folder.display());
    Ok(Exit::Done)
}
