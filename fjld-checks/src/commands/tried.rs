//! `calibrate` and `judge`: the checks, tried in worlds whose truth is known.

use crate::{Exit, done_if, print};
use clap::Args;
use fjld_checks::audit::ROOT_SEED;
use fjld_checks::error::{Error, Result};
use fjld_checks::recorded::{calibration, judge, subjects};
use fjld_checks::say;
use std::path::PathBuf;

#[derive(Args)]
pub struct CalibrateArgs {
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
pub struct JudgeArgs {
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

/// Counts false alarms, and records them.
pub fn calibrate(args: &CalibrateArgs) -> Result<Exit> {
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

/// Counts what the checks miss, and records it.
pub fn judge(args: &JudgeArgs) -> Result<Exit> {
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
