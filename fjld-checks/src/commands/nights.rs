//! `nights`: the stochastic checks alone, at fresh seeds.

use crate::{Exit, SharedArgs, fresh_seed, print};
use clap::Args;
use fjld_checks::audit::{self, Options};
use fjld_checks::error::Result;
use fjld_checks::evidence::Outcome;
use fjld_checks::evidence::ledger::{FALSE_ALARM, SLOTS};
use fjld_checks::files::hold;
use fjld_checks::nights::{FILE, Ledger, Line};
use fjld_checks::recorded::Tally;
use fjld_checks::recorded::nights::record;
use fjld_checks::say;
use fjld_checks::tier::Tier;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Args)]
pub struct NightsArgs {
    /// How many, each at a root seed from the system
    #[arg(long, value_name = "N", default_value_t = 1)]
    count: u32,
    /// How much work each is to do
    #[arg(long, value_enum, default_value_t = Tier::Quick)]
    tier: Tier,
    /// The checks of this claim only (may be given more than once)
    #[arg(long, value_name = "ID")]
    claim: Vec<String>,
    /// The folder of the ledger; nights that are in it count too
    #[arg(long, value_name = "DIR", default_value = "target/fjld-nights")]
    out: PathBuf,
    /// Add the nights of the ledger to those that every report shows as recorded
    #[arg(
        long,
        value_name = "FILE",
        num_args = 0..=1,
        default_missing_value = "fjld-checks/recorded/nights.json"
    )]
    record: Option<PathBuf>,
    #[command(flatten)]
    shared: SharedArgs,
}

/// Runs them, one line of the ledger a check and night, and says what all nights of the ledger come to. What an interruption cuts off is
/// a night at the most.
pub fn run(args: NightsArgs) -> Result<Exit> {
    args.shared.check()?;
    audit::choose(&args.claim)?;
    let _held = hold(&args.out)?;
    let path = args.out.join(FILE);
    let mut ledger = Ledger::read(&path)?.unwrap_or_default();
    let device = args.shared.device.open()?;
    for night in 1..=args.count {
        let lines = audit::night(&Options {
            tier: args.tier,
            root_seed: fresh_seed()?,
            claims: args.claim.clone(),
            folder: None,
            data: args.shared.data.clone(),
            device: device.clone(),
            binding: None,
        })?;
        ledger.extend(lines, &path)?;
        say!("night {night} of {}", args.count);
    }
    print(&told(&ledger))?;
    if let Some(file) = &args.record {
        print(&format!("recorded: {}\n", record(&ledger, file)?))?;
    }
    Ok(Exit::Done)
}

/// A ledger in words.
fn told(ledger: &Ledger) -> String {
    let mut checks: BTreeMap<String, Vec<&Line>> = BTreeMap::new();
    for line in &ledger.lines {
        let name = format!("{}/{}", line.claim, line.check);
        checks.entry(name).or_default().push(line);
    }
    let nights = ledger.nights();
    let examined = ledger.lines.len();
    let alarms = ledger.lines.iter().filter(|line| line.truth_alarm).count();
    let allowed = examined as f64 * FALSE_ALARM / f64::from(SLOTS);
    let mut text = format!(
        "{} nights, {} checks, {examined} planted truths: {alarms} alarms, of which {allowed:.2} are allowed on average; e-value against the checks {:.3}\n",
        nights.nights,
        checks.len(),
        nights.e_value
    );
    for (name, lines) in checks {
        let found = Tally::of(lines.iter().map(|line| line.outcome));
        let alarms = lines.iter().filter(|line| line.truth_alarm).count();
        let one = |outcome: Outcome| lines.iter().all(|line| line.outcome == outcome);
        let steady = [Outcome::Holds, Outcome::Violated, Outcome::Undecided]
            .into_iter()
            .any(one);
        if !steady || alarms > 0 {
            text += &format!(
                "{name}: the real world holds {}, violated {}, undecided {}; {alarms} alarms in the planted truth\n",
                found.holds, found.violated, found.undecided
            );
        }
    }
    text
}
