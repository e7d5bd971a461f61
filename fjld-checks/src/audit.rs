//! An audit: the baseline, the runs, every check of the chosen claims, and the report of their verdicts.

use crate::baseline::try_instruments;
use crate::claims::{self, Claim, multiverse};
use crate::document::Binding;
use crate::error::{Error, Result};
use crate::evidence::ledger::Rates;
use crate::evidence::{Bench, Check, Outcome, Record};
use crate::nights::Line;
use crate::recorded::nights::depends_on;
use crate::report::{Report, recorded};
use crate::scenarios::shipped;
use crate::scenarios::store::RunStore;
use crate::tier::Tier;
use candle_core::Device;
use fjld_core::rng::Seed;
use rayon::prelude::*;
use std::path::PathBuf;

/// The root seed unless another is asked for.
pub const ROOT_SEED: u64 = 2026;

/// What to audit, and how.
pub struct Options {
    /// How much work to do.
    pub tier: Tier,
    /// The seed that every stream derives from.
    pub root_seed: u64,
    /// The claims to judge; all when empty.
    pub claims: Vec<String>,
    /// Where finished runs are kept while others go on; `None` keeps nothing.
    pub folder: Option<PathBuf>,
    /// A folder of data sets that are not built in.
    pub data: Option<PathBuf>,
    /// Where the tensors of training runs live.
    pub device: Device,
    /// How a copy of the document stands to the table of its lines, if there is one.
    pub binding: Option<Binding<'static>>,
}

impl Options {
    /// Why a claim can not be judged here, with the command that would: the data of one of its scenarios are not there.
    pub fn missing(&self, claim: &Claim) -> Option<String> {
        let absent = |name: &&str| {
            let needs = shipped::scenario(name).ok()?.needs()?;
            (!needs.is_in(self.data.as_deref())).then_some(needs)
        };
        let set = claim.scenarios.iter().find_map(absent)?;
        Some(format!(
            "it takes {}; `fjld-checks report --tier {} --claim {} --data DIR` runs it where {}; `fjld-checks data fetch {} --data DIR` gets it",
            set.source,
            self.tier.name(),
            claim.id,
            set.wanted(),
            set.name
        ))
    }
}

/// A finished audit.
pub struct Audit {
    /// The result.
    pub report: Report,
    /// The runs behind it.
    pub runs: RunStore,
}

/// Chooses claims by name.
///
/// # Errors
/// When a name is none of theirs.
pub fn choose(names: &[String]) -> Result<Vec<Claim>> {
    let all = claims::all();
    for name in names {
        if !all.iter().any(|claim| claim.id == name) {
            let known: Vec<&str> = all.iter().map(|claim| claim.id).collect();
            return Err(Error::input(format!(
                "no claim is called \"{name}\"; there are {}",
                known.join(", ")
            )));
        }
    }
    let chosen = |claim: &Claim| names.is_empty() || names.iter().any(|name| name == claim.id);
    Ok(all.into_iter().filter(chosen).collect())
}

/// The scenarios that claims draw on, each once, by name.
pub fn scenarios_of(claims: &[Claim]) -> Vec<&'static str> {
    let mut scenarios: Vec<&str> = claims.iter().flat_map(|c| c.scenarios).copied().collect();
    scenarios.sort_unstable();
    scenarios.dedup();
    scenarios
}

/// The training runs of these claims.
fn runs_of(options: &Options, claims: &[Claim]) -> Result<RunStore> {
    let root = Seed::root(options.root_seed);
    let mut runs = RunStore::new(options.tier, root, options.folder.clone())
        .with_data(options.data.clone())
        .on(options.device.clone());
    for name in scenarios_of(claims) {
        runs.run_shipped(name)?;
    }
    Ok(runs)
}

fn can_run(claim: &Claim, runs: &RunStore) -> bool {
    claim.scenarios.iter().all(|name| runs.has(name))
}

/// The checks of the claims that can be judged by these runs.
fn jobs<'a>(claims: &'a [Claim], runs: &RunStore) -> Vec<(&'a Claim, &'a Check)> {
    let claims = claims.iter().filter(|claim| can_run(claim, runs));
    let checks = |claim: &'a Claim| claim.checks.iter().map(move |check| (claim, check));
    claims.flat_map(checks).collect()
}

fn bench<'a>(options: &Options, claim: &Claim, check: &Check, runs: &'a RunStore) -> Bench<'a> {
    let root = Seed::root(options.root_seed);
    Bench {
        runs,
        seed: root.derive(claim.id).derive(check.spec.id),
    }
}

/// What the stochastic checks find at one root seed in the real world and in their planted truths: the lines that an audit with
/// [`run`] would add to a ledger, without what takes the rest of its time.
///
/// # Errors
/// Those of [`run`].
pub fn night(options: &Options) -> Result<Vec<Line>> {
    let claims = choose(&options.claims)?;
    let runs = runs_of(options, &claims)?;
    let mut jobs = jobs(&claims, &runs);
    jobs.retain(|(_, check)| check.is_stochastic());
    let line = |&(claim, check): &(&Claim, &Check)| {
        crate::interrupt::check()?;
        let bench = bench(options, claim, check, &runs);
        let rates = Rates::of_one_slot();
        let (outcome, truth) = check.real_and_truth(&bench, rates)?;
        Ok(Line::new(
            (options.root_seed, options.tier),
            (claim.id, check.spec.id),
            rates.false_alarm,
            outcome,
            truth == Outcome::Violated,
            Some(depends_on(claim, check, options.tier)?),
        ))
    };
    jobs.par_iter().map(line).collect()
}

/// Runs an audit. The report depends on the options and on this program, not on the number of threads.
///
/// # Errors
/// When a claim is unknown, a run fails, or the audit is interrupted.
pub fn run(options: &Options) -> Result<Audit> {
    let claims = choose(&options.claims)?;
    let budget = claims::budget(&claims::all());
    let instruments = try_instruments(Seed::root(options.root_seed));
    let runs = runs_of(options, &claims)?;
    let jobs = jobs(&claims, &runs);
    let records = jobs
        .par_iter()
        .map(|(claim, check)| {
            crate::interrupt::check()?;
            let bench = bench(options, claim, check, &runs);
            let mut record = check.run(&bench, Rates::of_one_slot())?;
            let drawn_on = check.draws_on(claim.scenarios).iter();
            for label in drawn_on.filter_map(|name| runs.recorded_label(name)) {
                record.summary = format!("{label}: {}", record.summary);
            }
            Ok(record)
        })
        .collect::<Result<Vec<Record>>>()?;
    let mut records = records.into_iter();
    let judged = claims
        .iter()
        .map(|claim| {
            let own = if can_run(claim, &runs) {
                claim.checks.len()
            } else {
                0
            };
            (claim, records.by_ref().take(own).collect())
        })
        .collect();
    let mut report = Report::new(options, budget, instruments, judged);
    for claim in &mut report.claims {
        claim.multiverse = multiverse::of(&claim.id, &runs)?;
    }
    for (report, claim) in report.claims.iter_mut().zip(&claims) {
        report.recorded = recorded::beside(claim, &runs, options.tier)?;
    }
    Ok(Audit { report, runs })
}
