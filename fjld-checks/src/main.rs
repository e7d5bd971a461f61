//! The command line.

#![deny(clippy::print_stderr)]

use clap::{Args, Parser, Subcommand};
use fjld_checks::audit::{self, ROOT_SEED};
use fjld_checks::claims;
use fjld_checks::device::DeviceName;
use fjld_checks::document::Binding;
use fjld_checks::error::{Error, Result};
use fjld_checks::evidence::ledger::Budget;
use fjld_checks::files::{hold, write_whole};
use fjld_checks::nights::{self, Ledger};
use fjld_checks::plan_samples::{self, parse_half_width, plan_samples};
use fjld_checks::recorded::{calibration, judge, subjects};
use fjld_checks::replay::{Agreement, replay};
use fjld_checks::report::{self, Provenance, Report, pictures, pins, terminal};
use fjld_checks::scenarios::data::{fetch, folder};
use fjld_checks::scenarios::recorded;
use fjld_checks::scenarios::store::{RunStore, whole_lines};
use fjld_checks::scenarios::{self, Scenario};
use fjld_checks::tier::Tier;
use fjld_checks::{interrupt, say, threads, view};
use fjld_core::rng::Seed;
use rand::TryRng;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

mod commands;

use commands::compare::{self, CompareArgs};
use commands::measure::{self, MeasureArgs};
use commands::nights::{self as fresh, NightsArgs};
use commands::sweep::{self, MergeArgs, PlanArgs};
use commands::view::{self as views, ExplainArgs, ViewArgs};

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
    Report(ReportArgs),
    /// List the claims; with a copy of the document, check that each of its lines is as it was read
    Claims(ClaimsArgs),
    /// Run one scenario; an interrupted one goes on where it stopped
    Run(RunArgs),
    /// Measure C and its relatives on gradient samples dumped by any framework
    Measure(MeasureArgs),
    /// Tell a claim: what it says and means, its verdict, the evidence, and what is true instead
    Explain(ExplainArgs),
    /// Write report.md and report.html of a report.json anew, and run nothing
    View(ViewArgs),
    /// Judge a claim of a report again and compare the evidence
    Replay(ReplayArgs),
    /// Say what changed between two reports, and whether it is more than noise
    Compare(CompareArgs),
    /// Run the stochastic checks alone at fresh seeds, and count over all nights of a ledger what they find
    Nights(NightsArgs),
    /// Count how often the stochastic checks alarm where their claim holds, and record it
    Calibrate(CalibrateArgs),
    /// Count what the checks say in worlds that violate their claim by known sizes, and record it
    Judge(JudgeArgs),
    /// List the data sets, whether they are there and their bytes the known ones; or get one
    Data(DataArgs),
    /// List the independent pieces of work of an audit, for `run --item`
    Plan(PlanArgs),
    /// Join the pieces of work that several folders keep, and report on them
    Merge(MergeArgs),
    /// Say how many draws a wanted precision of C takes, from a pilot
    PlanSamples(PlanSamplesArgs),
}

#[derive(Args)]
struct ReportArgs {
    /// How much work to do
    #[arg(long, value_enum, default_value_t = Tier::Standard)]
    tier: Tier,
    /// Where to write report.json, report.md, report.html, provenance.json and the evidence
    #[arg(long, value_name = "DIR", default_value = "target/fjld-report")]
    out: PathBuf,
    /// Judge this claim only (may be given more than once)
    #[arg(long, value_name = "ID")]
    claim: Vec<String>,
    /// The root seed
    #[arg(long, value_name = "N", default_value_t = ROOT_SEED)]
    seed: u64,
    /// Take a root seed from the system
    #[arg(long, conflicts_with = "seed")]
    fresh: bool,
    #[command(flatten)]
    shared: SharedArgs,
    /// A copy of the document; verdicts on what has changed in it lapse
    #[arg(long, value_name = "FILE", env = "FJLD_DOCUMENT")]
    document: Option<PathBuf>,
    /// Print report.json instead of the table
    #[arg(long)]
    json: bool,
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

#[derive(Args)]
struct ClaimsArgs {
    /// A copy of the document
    #[arg(long, value_name = "FILE", env = "FJLD_DOCUMENT")]
    document: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct RunArgs {
    /// The scenario file
    #[arg(required_unless_present = "item")]
    scenario: Option<PathBuf>,
    /// A piece of work that `plan` lists, in place of a whole scenario
    #[arg(long, value_name = "ID", conflicts_with = "scenario")]
    item: Option<String>,
    /// The root seed
    #[arg(long, value_name = "N", default_value_t = ROOT_SEED)]
    seed: u64,
    /// How much work to do
    #[arg(long, value_enum, default_value_t = Tier::Standard)]
    tier: Tier,
    /// Where to write the evidence
    #[arg(long, value_name = "DIR", default_value = "target/fjld-run")]
    out: PathBuf,
    #[command(flatten)]
    shared: SharedArgs,
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

#[derive(Args)]
struct ReplayArgs {
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

#[derive(Args)]
struct DataArgs {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Subcommand)]
enum DataCommand {
    /// Every data set, and what has to lie where
    List {
        /// A folder of data sets
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
    },
    /// Get a data set, check its bytes, and write it whole
    Fetch {
        /// Its name, as `data list` has it
        name: String,
        /// The folder of data sets to put it in
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// The address of a folder with the same files, in place of where they are published
        #[arg(long, value_name = "URL")]
        mirror: Option<String>,
        /// By the hub of candle-datasets; the program has to be built with it
        #[arg(long, conflicts_with = "mirror")]
        hub: bool,
    },
}

#[derive(Args)]
struct PlanSamplesArgs {
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

#[derive(Args)]
struct CalibrateArgs {
    /// How often each check's planted truth is examined
    #[arg(long, value_name = "N", default_value_t = calibration::REPEATS, value_parser = clap::value_parser!(u64).range(1..))]
    repeats: u64,
    /// Where to record; what is there already and still stands is kept
    #[arg(
        long,
        value_name = "FILE",
        default_value = "fjld-checks/recorded/calibration.json"
    )]
    out: PathBuf,
    /// Calibrate the checks of this claim only (may be given more than once)
    #[arg(long, value_name = "ID")]
    claim: Vec<String>,
}

#[derive(Args)]
struct JudgeArgs {
    /// How often a stochastic check examines each world
    #[arg(long, value_name = "N", default_value_t = judge::SEEDS, value_parser = clap::value_parser!(u64).range(2..))]
    seeds: u64,
    /// Where to record; what is there already and still stands is kept
    #[arg(
        long,
        value_name = "FILE",
        default_value = "fjld-checks/recorded/judge.json"
    )]
    out: PathBuf,
    /// Judge the checks of this claim only (may be given more than once)
    #[arg(long, value_name = "ID")]
    claim: Vec<String>,
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
            Command::Report(args) => report(args),
            Command::Claims(args) => list_claims(&args),
            Command::Run(args) => run(&args),
            Command::Measure(args) => measure::run(args),
            Command::Explain(args) => views::explain_claim(&args),
            Command::View(args) => views::view(&args),
            Command::Replay(args) => replay_claim(&args),
            Command::Compare(args) => compare::run(&args),
            Command::PlanSamples(args) => plan_draws(args),
            Command::Plan(args) => sweep::plan(&args),
            Command::Merge(args) => sweep::merge(args),
            Command::Nights(args) => fresh::run(args),
            Command::Calibrate(args) => calibrate(&args),
            Command::Judge(args) => judge_checks(&args),
            Command::Data(DataArgs { command }) => {
                print(&match command {
                    DataCommand::List { data } => folder::list(data.as_deref())?,
                    DataCommand::Fetch {
                        name,
                        data,
                        mirror,
                        hub,
                    } => {
                        let from = match &mirror {
                            Some(url) => fetch::From::Mirror(url),
                            None if hub => fetch::From::Hub,
                            None => fetch::From::Published,
                        };
                        fetch::fetch(fetch::named(&name)?, &data, from)?
                    }
                })?;
                Ok(Exit::Done)
            }
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

fn report(args: ReportArgs) -> Result<Exit> {
    let start = Instant::now();
    args.shared.check()?;
    // before the folder is made: a name that is none leaves nothing behind
    audit::choose(&args.claim)?;
    let all = claims::all();
    let binding = args.document.as_deref().map(Binding::of).transpose()?;
    let _held = hold(&args.out)?;
    // one that is none is refused before the work, not after it
    Ledger::read(&args.out.join(nights::FILE))?;
    let root_seed = if args.fresh { fresh_seed()? } else { args.seed };
    let budget: Budget = claims::budget(&all);
    say!(
        "root seed {root_seed}, tier {}; any false alarm with a chance of at most {}, of which {} stochastic checks take {:.4}",
        args.tier.name(),
        budget.false_alarm,
        budget.stochastic_checks,
        budget.false_alarm_used
    );
    let broken = binding.as_ref().is_some_and(|binding| !binding.is_whole());
    if let Some(binding) = &binding {
        say!("{}", binding.to_string().trim_end());
    }
    let mut audit = audit::run(&audit::Options {
        tier: args.tier,
        root_seed,
        claims: args.claim,
        folder: Some(args.out.clone()),
        device: args.shared.device.open()?,
        data: args.shared.data,
        binding,
    })?;
    pictures::add(&mut audit)?;
    add_night(&mut audit.report, &args.out.join(nights::FILE), args.fresh)?;
    let report = &audit.report;
    let json = report.to_json();
    audit.runs.write(&args.out)?;
    let spent = audit.runs.spent();
    for complaint in spent.iter().filter_map(|(name, s)| s.complaint(name)) {
        say!("note: {complaint}");
    }
    let provenance = Provenance::of(&json, start.elapsed(), spent);
    let shown = serde_json::to_value(&provenance).expect("plain numbers and names");
    views::write(report, Some(&shown), &args.out)?;
    write_whole(
        &args.out.join("provenance.json"),
        provenance.to_json().as_bytes(),
    )?;
    write_whole(&args.out.join("report.json"), json.as_bytes())?;
    audit.runs.forget();
    print(&if args.json { json } else { terminal(report) })?;
    say!(
        "written to {} in {:.0} s",
        args.out.display(),
        start.elapsed().as_secs_f64()
    );
    Ok(judge_exit(report, broken))
}

/// Adds a fresh report to the ledger beside it, and to any report what the ledger holds. A night whose instruments failed is none.
fn add_night(report: &mut Report, path: &Path, fresh: bool) -> Result<()> {
    let adds = fresh && !report.baseline_failed();
    let mut ledger = match Ledger::read(path)? {
        Some(ledger) => ledger,
        None if adds => Ledger::default(),
        None => return Ok(()),
    };
    if ledger.torn > 0 {
        say!(
            "{} ends in {} bytes of an unfinished line, which are dropped",
            path.display(),
            ledger.torn
        );
    }
    if adds {
        ledger.append(report, path)?;
    }
    report.nights = Some(ledger.nights());
    Ok(())
}

fn judge_exit(report: &Report, document_differs: bool) -> Exit {
    if report.baseline_failed() {
        say!("the suite's own baseline failed: no verdict counts");
        return Exit::BaselineFailed;
    }
    let differences = pins::differences(report);
    for difference in &differences {
        say!("differs from its pin: {difference}");
    }
    if document_differs {
        say!("the document is not as it was read: see `claims --document`");
    }
    done_if(differences.is_empty() && !document_differs)
}

/// A seed from the system, small enough to be a whole number in every JSON reader.
fn fresh_seed() -> Result<u64> {
    let drawn = rand::rngs::SysRng.try_next_u64();
    let drawn = drawn.map_err(|e| Error::input(format!("the system gave no random seed: {e}")))?;
    Ok(drawn >> 11)
}

fn list_claims(args: &ClaimsArgs) -> Result<Exit> {
    let all = claims::all();
    let binding = args.document.as_deref().map(Binding::of).transpose()?;
    print(&if args.json {
        to_json(&view::claims(&all, binding.as_ref()))
    } else {
        view::claims_table(&all)
    })?;
    let Some(binding) = binding else {
        return Ok(Exit::Done);
    };
    say!("{}", binding.to_string().trim_end());
    Ok(done_if(binding.is_whole()))
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

fn run(args: &RunArgs) -> Result<Exit> {
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

fn replay_claim(args: &ReplayArgs) -> Result<Exit> {
    let agreement = replay(&args.what, &report::read(&args.from)?, args.data.clone())?;
    print(&format!("{}: {}\n", args.what, agreement.name()))?;
    Ok(match agreement {
        Agreement::BitEqual | Agreement::WithinBudget => Exit::Done,
        Agreement::Diverged => Exit::Difference,
    })
}

fn plan_draws(args: PlanSamplesArgs) -> Result<Exit> {
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

/// The claims whose checks are tried: those of the audit, and the tests by themselves.
fn known_subjects(names: &[String]) -> Result<()> {
    let known = subjects();
    for name in names {
        if !known.iter().any(|subject| subject.claim == name) {
            return Err(Error::input(format!(
                "no claim with checks is called \"{name}\"; see `claims`, or \"instruments\" for the tests by themselves"
            )));
        }
    }
    Ok(())
}

fn calibrate(args: &CalibrateArgs) -> Result<Exit> {
    known_subjects(&args.claim)?;
    let options = calibration::Options {
        repeats: args.repeats,
        root_seed: ROOT_SEED,
        claims: &args.claim,
        out: &args.out,
    };
    let calibration = calibration::run(&options, |entry| say!("{entry}"))?;
    let often = calibration.checks.iter().filter(|c| c.alarms_too_often());
    let (all, often) = (calibration.checks.len(), often.count());
    print(&format!(
        "{all} checks calibrated, of which {often} alarm more often than {}\n",
        calibration.false_alarm
    ))?;
    Ok(done_if(often == 0))
}

fn judge_checks(args: &JudgeArgs) -> Result<Exit> {
    known_subjects(&args.claim)?;
    let options = judge::Options {
        seeds: args.seeds,
        root_seed: ROOT_SEED,
        claims: &args.claim,
        out: &args.out,
    };
    let judgement = judge::run(&options, |entry| say!("{entry}"))?;
    let broken = judgement.checks.iter().filter(|c| !c.keeps_its_promise());
    let (all, broken) = (judgement.checks.len(), broken.count());
    print(&format!(
        "{all} checks judged, of which {broken} do not keep their promise\n"
    ))?;
    Ok(done_if(broken == 0))
}

fn done_if(as_expected: bool) -> Exit {
    if as_expected {
        Exit::Done
    } else {
        Exit::Difference
    }
}
