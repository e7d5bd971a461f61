//! What is known of the judge itself, from experiments too long for every report: how often its checks alarm in worlds where the claim
//! holds ([`calibration`]), what they say in worlds that violate it by known sizes ([`judge`]), and what they find when the audit is run
//! again at fresh seeds ([`nights`]). Beside them what measuring costs ([`timings`]).
//!
//! The results are recorded in `fjld-checks/recorded`, compiled in, and shown by every report as recorded. A recorded entry names a hash
//! of the promise of its check, and is stale once that has changed; its first repetitions are kept apart, so that a test can do them
//! again and a change of the code behind the promise does not go unseen either.

pub mod calibration;
mod instruments;
pub mod judge;
pub mod nights;
pub mod timings;

use crate::claims;
use crate::error::{Error, Result};
use crate::evidence::kernels::{CONTRADICTION, TOLERATED_FAILURES};
use crate::evidence::ledger::Rates;
use crate::evidence::{Bench, Check, Draw, Finding, Kind, Outcome, Spec, World};
use crate::files::write_whole;
use crate::scenarios::store::{RunStore, hex};
use crate::tier::Tier;
use fjld_core::rng::Seed;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::Path;

/// The level of the intervals of recorded proportions.
pub const LEVEL: f64 = 0.99;

/// What the mean effect of the same repetitions may differ by, relative, between processors: sums of up to 1e6 terms in another order,
/// with as many roundings of 1e-16.
pub const SAME: f64 = 1e-9;

/// How often a check found what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// The claim holds.
    pub holds: u64,
    /// It is violated.
    pub violated: u64,
    /// Neither.
    pub undecided: u64,
}

impl Tally {
    /// Counts.
    pub fn of(outcomes: impl Iterator<Item = Outcome>) -> Self {
        let mut tally = Self::default();
        for outcome in outcomes {
            match outcome {
                Outcome::Holds => tally.holds += 1,
                Outcome::Violated => tally.violated += 1,
                Outcome::Undecided => tally.undecided += 1,
            }
        }
        tally
    }

    /// With those of another.
    pub fn plus(self, other: Self) -> Self {
        Self {
            holds: self.holds + other.holds,
            violated: self.violated + other.violated,
            undecided: self.undecided + other.undecided,
        }
    }

    /// How often in all.
    pub fn trials(self) -> u64 {
        self.holds + self.violated + self.undecided
    }
}

/// The stochastic checks that are left out, as training runs are judged by them.
pub fn left_out() -> Vec<String> {
    let stochastic = |s: &Subject| s.check.is_stochastic() && !s.draws();
    let left_out = subjects().into_iter().filter(stochastic);
    left_out.map(|subject| subject.name()).collect()
}

/// What the first repetitions of a recorded entry found: done again, they must find the same.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Their outcomes.
    pub tally: Tally,
    /// The mean of their effects, where they have one.
    pub mean_effect: Option<f64>,
}

impl Sample {
    fn of(findings: &[Finding]) -> Self {
        let effects: Vec<f64> = findings.iter().filter_map(|f| f.effect).collect();
        let mean = effects.iter().sum::<f64>() / effects.len() as f64;
        Self {
            tally: Tally::of(findings.iter().map(|f| f.outcome)),
            mean_effect: mean.is_finite().then_some(mean),
        }
    }

    /// Whether another found the same, to [`SAME`] and a `rounding` that effects have of themselves.
    pub fn agrees(&self, other: &Self, rounding: f64) -> bool {
        let effects = match (self.mean_effect, other.mean_effect) {
            (Some(a), Some(b)) => (a - b).abs() <= SAME * a.abs().max(b.abs()) + rounding,
            (None, None) => true,
            _ => false,
        };
        self.tally == other.tally && effects
    }
}

/// A check whose own errors are counted.
pub struct Subject {
    /// The claim that it belongs to; `instruments` for a test by itself.
    pub claim: &'static str,
    /// The check.
    pub check: Check,
    /// Whether its claim is judged by training runs, which are too long to repeat.
    on_runs: bool,
}

/// A hash of what a check of a claim promises and at which rates it is tried. [`CONTRADICTION`] is a part of what a check of
/// [`kernels::RunTest`](crate::evidence::kernels::RunTest) promises, all of which tolerate [`TOLERATED_FAILURES`]; a few that happen to
/// tolerate as much of something else have it too.
fn promise(claim: &str, spec: &Spec, rates: Rates) -> String {
    let mut text = format!(
        "{claim}\n{}\n{:?}\n{:?}\n{}\n{:e}\n{}\n{:e}\n{:e}\n{:e}",
        spec.id,
        spec.role,
        spec.kind,
        spec.hypothesis,
        spec.tolerance,
        spec.detectable.what,
        spec.detectable.size,
        rates.false_alarm,
        rates.miss
    );
    if spec.tolerance == TOLERATED_FAILURES {
        text += &format!("\n{CONTRADICTION:e}");
    }
    hex(&Sha256::digest(text))
}

/// Every check of every claim, then the tests by themselves.
pub fn subjects() -> Vec<Subject> {
    let claims = claims::all().into_iter();
    let of_claims = claims.flat_map(|claim| {
        let (id, checks) = (claim.id, claim.checks.into_iter());
        checks.map(move |check| (id, check.spec.kind == Kind::Runs, check))
    });
    let by_themselves = instruments::checks().into_iter();
    of_claims
        .chain(by_themselves.map(|check| (instruments::CLAIM, false, check)))
        .map(|(claim, on_runs, check)| Subject {
            claim,
            check,
            on_runs,
        })
        .collect()
}

impl Subject {
    /// Its name in messages.
    pub fn name(&self) -> String {
        format!("{}/{}", self.claim, self.check.spec.id)
    }

    /// A hash of what the check promises and at which rates it is tried.
    pub fn depends_on(&self, rates: Rates) -> String {
        promise(self.claim, &self.check.spec, rates)
    }

    /// What its effects may differ by between processors: where two routes to one number are compared they are roundings themselves,
    /// within the tolerance.
    fn rounding(&self) -> f64 {
        match self.check.spec.kind {
            Kind::Identity => self.check.spec.tolerance,
            Kind::Exact | Kind::Statistical | Kind::Runs => 0.0,
        }
    }

    /// Whether what the check finds in a planted world can be drawn again and again. It can not where training runs are judged: made-up
    /// ones are not drawn at all, and real ones take too long.
    fn draws(&self) -> bool {
        self.check.is_stochastic() && !self.on_runs
    }
}

/// Where trials draw from.
#[derive(Clone, Copy)]
struct Trials {
    root: Seed,
    rates: Rates,
    /// Keeps the streams of different experiments apart.
    stream: &'static str,
}

/// Trials that are done together; the worlds are built once for so many.
const BLOCK: u64 = 250;

impl Trials {
    /// Examines a world `count` times, each time with draws of its own; `None` where the check has no such world. The findings do not
    /// depend on the number of threads, and the first of them not on `count`.
    fn examine(&self, subject: &Subject, world: World, count: u64) -> Result<Option<Vec<Finding>>> {
        // no training run is needed by the checks that draw
        let runs = RunStore::new(Tier::Quick, self.root, None);
        let seed = self
            .root
            .derive(subject.claim)
            .derive(subject.check.spec.id);
        let blocks: Vec<u64> = (0..count.div_ceil(BLOCK)).collect();
        let found = blocks
            .par_iter()
            .map(|block| {
                let opened = subject.check.open(&Bench { runs: &runs, seed })?;
                let stream = seed.derive(self.stream).derive(&format!("{world:?}"));
                (block * BLOCK..count.min((block + 1) * BLOCK))
                    .map(|trial| {
                        crate::interrupt::check()?;
                        let draw = Draw {
                            seed: stream.derive(&trial.to_string()),
                            rates: self.rates,
                        };
                        Ok(opened.look(world, &draw))
                    })
                    .collect::<Result<Option<Vec<Finding>>>>()
            })
            .collect::<Result<Option<Vec<Vec<Finding>>>>>()?;
        Ok(found.map(|blocks| blocks.into_iter().flatten().collect()))
    }
}

/// Reads what was recorded before; `None` where there is no such file.
fn read<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<Option<T>> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            Error::input(format!(
                "{} holds no recording of this program: {error}; accepted is what this command wrote before, or no file",
                path.display()
            ))
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("read", path, &error)),
    }
}

fn write(path: &Path, recording: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_string_pretty(recording).expect("plain numbers and names");
    text.push('\n');
    write_whole(path, text.as_bytes())
}

/// What stands of a recording now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gaps {
    /// Checks whose entry was recorded under another promise, or that are no more.
    pub stale: Vec<String>,
    /// Checks that ought to have an entry and have none.
    pub missing: Vec<String>,
}

impl Gaps {
    /// Of entries, each a name with what it depends on, beside the subjects that ought to have one.
    fn of<'a>(
        entries: impl Iterator<Item = (String, &'a str)> + Clone,
        wanted: &[(String, String)],
    ) -> Self {
        let is_current =
            |name: &str, hash: &str| wanted.iter().any(|(n, h)| n == name && h == hash);
        let missing = |(name, _): &&(String, String)| entries.clone().all(|(n, _)| n != *name);
        Self {
            stale: entries
                .clone()
                .filter(|(name, hash)| !is_current(name, hash))
                .map(|(name, _)| name)
                .collect(),
            missing: wanted
                .iter()
                .filter(missing)
                .map(|(n, _)| n.clone())
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_stale_under_another_hash_and_missing_without_one() {
        let pair = |name: &str, hash: &str| (name.to_owned(), hash.to_owned());
        let wanted = [pair("a/x", "1"), pair("a/y", "2"), pair("b/z", "3")];
        let entries = [("a/x", "1"), ("a/y", "old"), ("gone/w", "4")];
        let entries = entries.iter().map(|(n, h)| ((*n).to_owned(), *h));
        let gaps = Gaps::of(entries, &wanted);
        assert_eq!(gaps.stale, ["a/y", "gone/w"]);
        assert_eq!(gaps.missing, ["b/z"]);
    }

    #[test]
    fn the_first_trials_do_not_depend_on_how_many_follow() {
        let subjects = subjects();
        let subject = subjects
            .iter()
            .find(|s| s.name() == "instruments/kolmogorov")
            .expect("it is one of the tests by themselves");
        let trials = Trials {
            root: Seed::root(1),
            rates: calibration::RATES,
            stream: "test",
        };
        let of = |count| {
            let found = trials.examine(subject, World::Truth, count);
            found.ok().flatten().expect("it has a truth")
        };
        let (few, many) = (of(3), of(BLOCK + 2));
        assert_eq!(few[..], many[..3]);
        assert_eq!(many.len(), BLOCK as usize + 2);
        assert_ne!(many[0], many[1]);
    }

    #[test]
    fn samples_agree_to_rounding_only() {
        let sample = |violated, effect| Sample {
            tally: Tally {
                violated,
                ..Tally::default()
            },
            mean_effect: effect,
        };
        let agree = |a: Sample, b: Sample| a.agrees(&b, 0.0);
        assert!(agree(
            sample(1, Some(0.5)),
            sample(1, Some(0.5 * (1.0 + 1e-12)))
        ));
        assert!(!agree(sample(1, Some(0.5)), sample(1, Some(0.5001))));
        assert!(!agree(sample(1, Some(0.5)), sample(2, Some(0.5))));
        assert!(!agree(sample(1, None), sample(1, Some(0.5))));
        // a rounding of 1e-15 may be any other within the tolerance, and no more than that
        let (small, large) = (sample(0, Some(1e-15)), sample(0, Some(3e-13)));
        assert!(small.agrees(&large, 1e-12) && !small.agrees(&large, 1e-13));
    }
}
