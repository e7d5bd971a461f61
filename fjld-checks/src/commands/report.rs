//! `report`: the audit.

use super::view;
use crate::{Exit, SharedArgs, done_if, fresh_seed, print};
use clap::Args;
use fjld_checks::audit::{self, ROOT_SEED};
use fjld_checks::claims;
use fjld_checks::document::Binding;
use fjld_checks::error::Result;
use fjld_checks::evidence::ledger::Budget;
use fjld_checks::files::{hold, write_whole};
use fjld_checks::nights::{self, Ledger};
use fjld_checks::report::{Provenance, Report, pictures, pins, terminal};
use fjld_checks::say;
use fjld_checks::tier::Tier;
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(Args)]
pub struct ReportArgs {
    /// How much work to do
    #[arg(long, value_enum, default_value_t = Tier::Standard)]
    pub tier: Tier,
    /// Where to write report.json, report.md, report.html, provenance.json and the evidence
    #[arg(long, value_name = "DIR", default_value = "target/fjld-report")]
    pub out: PathBuf,
    /// Judge this claim only (may be given more than once)
    #[arg(long, value_name = "ID")]
    pub claim: Vec<String>,
    /// The root seed
    #[arg(long, value_name = "N", default_value_t = ROOT_SEED)]
    pub seed: u64,
    /// Take a root seed from the system
    #[arg(long, conflicts_with = "seed")]
    pub fresh: bool,
    #[command(flatten)]
    pub shared: SharedArgs,
    /// A copy of the document; verdicts on what has changed in it lapse
    #[arg(long, value_name = "FILE", env = "FJLD_DOCUMENT")]
    document: Option<PathBuf>,
    /// Print report.json instead of the table
    #[arg(long)]
    json: bool,
}

/// Runs the audit, writes all of the report, and prints it.
pub fn run(args: ReportArgs) -> Result<Exit> {
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
    view::write(report, Some(&shown), &args.out)?;
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
