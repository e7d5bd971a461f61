//! The command line.

#![deny(clippy::print_stderr)]

use clap::{Args, Parser, Subcommand};
use fjld_checks::device::DeviceName;
use fjld_checks::error::{Error, Result};
use fjld_checks::{interrupt, say, threads};
use rand::TryRng;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

mod commands;

use commands::{
    claims, compare, data, measure, nights, plan_samples, replay, report, run, sweep, tried, view,
};

/// glibc hands large tensors back to the system after every operation; this one keeps them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The audit of Fisher-Jeffreys Learning Dynamics.
#[derive(Parser)]
#[command(name = "fjld-checks", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Worker threads (default: one a core). No result depends on it.
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the audit and print a verdict per claim
    Report(report::ReportArgs),
    /// List the claims; with a copy of the document, check that each of its lines is as it was read
    Claims(claims::ClaimsArgs),
    /// Run one scenario; an interrupted one goes on where it stopped
    Run(run::RunArgs),
    /// Measure C and its relatives on gradient samples dumped by any framework
    Measure(measure::MeasureArgs),
    /// Tell a claim: what it says and means, its verdict, the evidence, and what is true instead
    Explain(view::ExplainArgs),
    /// Write report.md and report.html of a report.json anew, and run nothing
    View(view::ViewArgs),
    /// Judge a claim of a report again and compare the evidence
    Replay(replay::ReplayArgs),
    /// Say what changed between two reports, and whether it is more than noise
    Compare(compare::CompareArgs),
    /// Run the stochastic checks alone at fresh seeds, and count over all nights of a ledger what they find
    Nights(nights::NightsArgs),
    /// Count how often the stochastic checks alarm where their claim holds, and record it
    Calibrate(tried::CalibrateArgs),
    /// Count what the checks say in worlds that violate their claim by known sizes, and record it
    Judge(tried::JudgeArgs),
    /// List the data sets, whether they are there and their bytes the known ones; or get one
    Data(data::DataArgs),
    /// List the independent pieces of work of an audit, for `run --item`
    Plan(sweep::PlanArgs),
    /// Join the pieces of work that several folders keep, and report on them
    Merge(sweep::MergeArgs),
    /// Say how many draws a wanted precision of C takes, from a pilot
    PlanSamples(plan_samples::PlanSamplesArgs),
}

/// What every command that runs scenarios takes.
#[derive(Args)]
struct SharedArgs {
    /// A folder of data sets (the digits are built in)
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where tensors live
    #[arg(long, value_enum, default_value_t = DeviceName::Cpu)]
    device: DeviceName,
}

/// Exit codes, each with its name.
enum Exit {
    /// Done, and every verdict is as pinned.
    Done = 0,
    /// Something differs: a verdict from its pin, a sentence from its hash, a replay from its report.
    Difference = 1,
    /// Bad usage or input.
    BadInput = 2,
    /// The suite's own baseline failed.
    BaselineFailed = 3,
    /// Stopped by Ctrl-C; the same command goes on from there.
    Interrupted = 130,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(exit) = threads::settle(cli.threads) {
        return exit;
    }
    threads::one_a_matrix();
    interrupt::listen();
    let exit = match cli.execute() {
        Ok(exit) => exit,
        Err(error) => {
            say!("error: {error}");
            match error {
                Error::Input(_) => Exit::BadInput,
                Error::Interrupted => Exit::Interrupted,
            }
        }
    };
    ExitCode::from(exit as u8)
}

impl Cli {
    fn execute(self) -> Result<Exit> {
        match self.command {
            Command::Report(args) => report::run(args),
            Command::Claims(args) => claims::run(&args),
            Command::Run(args) => run::run(&args),
            Command::Measure(args) => measure::run(args),
            Command::Explain(args) => view::explain_claim(&args),
            Command::View(args) => view::view(&args),
            Command::Replay(args) => replay::run(&args),
            Command::Compare(args) => compare::run(&args),
            Command::PlanSamples(args) => plan_samples::run(args),
            Command::Plan(args) => sweep::plan(&args),
            Command::Merge(args) => sweep::merge(args),
            Command::Nights(args) => nights::run(args),
            Command::Calibrate(args) => tried::calibrate(&args),
            Command::Judge(args) => tried::judge(&args),
            Command::Data(args) => data::run(args),
        }
    }
}

impl SharedArgs {
    fn check(&self) -> Result<()> {
        if let Some(data) = self.data.as_ref().filter(|data| !data.is_dir()) {
            return Err(Error::input(format!(
                "--data {} is not there; it must be a folder",
                data.display()
            )));
        }
        self.device.open().map(drop)
    }
}

/// Prints to standard output; whoever closed the other end of it wants no more.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::file("written", Path::new("standard output"), &e))
        }
        _ => Ok(()),
    }
}

fn to_json(value: &impl serde::Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("plain numbers and names");
    text.push('\n');
    text
}

/// A seed from the system, small enough to be a whole number in every JSON reader.
fn fresh_seed() -> Result<u64> {
    let drawn = rand::rngs::SysRng.try_next_u64();
    let drawn = drawn.map_err(|e| Error::input(format!("the system gave no random seed: {e}")))?;
    Ok(drawn >> 11)
}

fn done_if(as_expected: bool) -> Exit {
    if as_expected {
        Exit::Done
    } else {
        Exit::Difference
    }
}
