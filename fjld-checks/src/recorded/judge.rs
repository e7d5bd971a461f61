//! What checks say in worlds that violate their claim by a known share of what they say they detect: the judge judged.
//!
//! Beside its planted truth each check is shown violations of half, once and twice its detectable size. A violation of twice the size is
//! to be caught, one of the size itself missed no more often than the stated rate, and a smaller one may go either way. Exact checks and
//! identities leave nothing to chance and are run once; the others are given rates that so few repetitions can tell.

use super::{Gaps, LEVEL, Sample, Subject, Tally, Trials, subjects};
use crate::error::Result;
use crate::evidence::ledger::Rates;
use crate::evidence::proportion::clopper_pearson;
use crate::evidence::{Kind, World};
use fjld_core::rng::Seed;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use std::sync::LazyLock;

/// The schema of a recorded judgement.
pub const SCHEMA: &str = "fjld-judge/1";

/// The rates that stochastic checks are given.
pub const RATES: Rates = Rates {
    false_alarm: 0.05,
    miss: 0.05,
};

/// Repetitions of a stochastic check in each world, unless others are asked for.
pub const SEEDS: u64 = 200;

/// The violations, as multiples of the detectable size; 0 is the planted truth.
pub const MULTIPLES: [f64; 4] = [0.0, 0.5, 1.0, 2.0];

/// Repetitions that are kept apart, and done again by a test.
const SAMPLE: usize = 2;

/// What every check that can be shown violations of any size says of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// [`SCHEMA`].
    pub schema: String,
    /// The arguments of this program that recorded it.
    pub command: String,
    /// The seed that every stream derives from.
    pub root_seed: u64,
    /// The false-alarm rate that stochastic checks were given.
    pub false_alarm: f64,
    /// The miss rate that they were given.
    pub miss: f64,
    /// A check each.
    pub checks: Vec<Judged>,
}

/// What one check says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// Its claim.
    pub claim: String,
    /// Its name.
    pub check: String,
    /// How it reaches its finding.
    pub kind: Kind,
    /// A hash of its promise.
    pub depends_on: String,
    /// Repetitions in each world: 1 where nothing is left to chance.
    pub seeds: u64,
    /// The worlds, in the order of [`MULTIPLES`].
    pub worlds: Vec<Shown>,
}

/// What a check says in one world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// The violation as a multiple of the detectable size; 0 is the planted truth.
    pub multiple: f64,
    /// What was found.
    pub found: Tally,
    /// What the first repetitions found.
    pub sample: Sample,
}

/// A row of the confusion matrix: what the checks said in all worlds of one truth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Confusion {
    /// Whether it is the row of checks that leave nothing to chance.
    pub exact: bool,
    /// The violation as a multiple of the detectable size; 0 is the planted truth.
    pub multiple: f64,
    /// Worlds.
    pub worlds: usize,
    /// What was found in them.
    pub found: Tally,
}

impl Judged {
    fn name(&self) -> String {
        format!("{}/{}", self.claim, self.check)
    }

    /// Whether the check does what it promises, as far as its repetitions tell.
    pub fn keeps_its_promise(&self) -> bool {
        self.worlds.iter().all(|world| {
            let Tally { violated, .. } = world.found;
            let trials = world.found.trials();
            // the lower end of an interval for the rate of what should not be
            let at_least = |bad| clopper_pearson(bad, trials, LEVEL)[0];
            let exact = leaves_nothing_to_chance(self.kind);
            match world.multiple {
                0.0 if exact => violated == 0,
                0.0 => at_least(violated) <= RATES.false_alarm,
                m if m >= 2.0 => violated == trials,
                m if m >= 1.0 && exact => violated == trials,
                m if m >= 1.0 => at_least(trials - violated) <= RATES.miss,
                _ => true,
            }
        })
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: of {} found violated", self.name(), self.seeds)?;
        for (index, world) in self.worlds.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let (violated, multiple) = (world.found.violated, world.multiple);
            write!(f, "{comma} {violated} at {multiple} times the size")?;
        }
        let kept = self.keeps_its_promise();
        f.write_str(if kept { "" } else { "; not as promised" })
    }
}

impl Judgement {
    /// The confusion matrix: checks that leave nothing to chance first.
    pub fn confusion(&self) -> Vec<Confusion> {
        let row = |exact: bool, multiple: f64| {
            let of = |c: &&Judged| leaves_nothing_to_chance(c.kind) == exact;
            let worlds = self.checks.iter().filter(of).flat_map(|c| &c.worlds);
            let shown: Vec<&Shown> = worlds.filter(|w| w.multiple == multiple).collect();
            Confusion {
                exact,
                multiple,
                worlds: shown.len(),
                found: shown
                    .iter()
                    .fold(Tally::default(), |sum, w| sum.plus(w.found)),
            }
        };
        [true, false]
            .into_iter()
            .flat_map(|exact| MULTIPLES.map(|multiple| row(exact, multiple)))
            .collect()
    }
}

fn leaves_nothing_to_chance(kind: Kind) -> bool {
    matches!(kind, Kind::Exact | Kind::Identity)
}

/// The checks that are judged.
fn judged() -> impl Iterator<Item = Subject> {
    let shown = |s: &Subject| s.check.any_size && (s.draws() || !s.check.is_stochastic());
    subjects().into_iter().filter(shown)
}

fn look(subject: &Subject, root_seed: u64, seeds: u64) -> Result<Vec<Shown>> {
    let trials = Trials {
        root: Seed::root(root_seed),
        rates: RATES,
        stream: "judge",
    };
    let size = subject.check.spec.detectable.size;
    let mut worlds = Vec::new();
    for multiple in MULTIPLES {
        let world = match multiple {
            0.0 => World::Truth,
            _ => World::Violated(multiple * size),
        };
        if let Some(found) = trials.examine(subject, world, seeds)? {
            worlds.push(Shown {
                multiple,
                found: Tally::of(found.iter().map(|f| f.outcome)),
                sample: Sample::of(&found[..found.len().min(SAMPLE)]),
            });
        }
    }
    Ok(worlds)
}

/// Whether the first repetitions of an entry come out the same now.
fn comes_out_again(entry: &Judged, subject: &Subject, root_seed: u64) -> Result<bool> {
    let again = look(subject, root_seed, entry.seeds.min(SAMPLE as u64))?;
    let rounding = subject.rounding();
    let mut pairs = entry.worlds.iter().zip(&again);
    Ok(entry.worlds.len() == again.len()
        && pairs.all(|(then, now)| then.sample.agrees(&now.sample, rounding)))
}

/// What to judge, and how.
pub struct Options<'a> {
    /// Repetitions of a stochastic check in each world.
    pub seeds: u64,
    /// The seed that every stream derives from.
    pub root_seed: u64,
    /// The claims whose checks are judged; all when empty.
    pub claims: &'a [String],
    /// Where to record.
    pub out: &'a Path,
}

/// Judges, and records after every check. Entries that are there already stay as those of a calibration do.
///
/// # Errors
/// When the file can not be read or written, or a check's worlds can not be built.
pub fn run(options: &Options, mut tell: impl FnMut(&Judged)) -> Result<Judgement> {
    let earlier: Option<Judgement> = super::read(options.out)?;
    let earlier = earlier.filter(|j| j.schema == SCHEMA && j.root_seed == options.root_seed);
    let earlier = earlier.map_or(Vec::new(), |j| j.checks);
    let mut judgement = Judgement {
        schema: SCHEMA.to_owned(),
        command: format!("judge --seeds {}", options.seeds),
        root_seed: options.root_seed,
        false_alarm: RATES.false_alarm,
        miss: RATES.miss,
        checks: Vec::new(),
    };
    let mut later: Vec<&Judged> = earlier.iter().collect();
    for subject in judged() {
        let depends_on = subject.depends_on(RATES);
        let kind = subject.check.spec.kind;
        let seeds = if leaves_nothing_to_chance(kind) {
            1
        } else {
            options.seeds
        };
        let place = later.iter().position(|e| e.name() == subject.name());
        let before = place.map(|at| later.remove(at));
        let asked = options.claims.is_empty() || options.claims.iter().any(|c| c == subject.claim);
        let before = before.filter(|e| e.depends_on == depends_on);
        let entry = match before {
            Some(entry) if !asked => entry.clone(),
            None if !asked => continue,
            Some(entry)
                if entry.seeds == seeds && comes_out_again(entry, &subject, options.root_seed)? =>
            {
                entry.clone()
            }
            _ => Judged {
                claim: subject.claim.to_owned(),
                check: subject.check.spec.id.to_owned(),
                kind,
                depends_on,
                seeds,
                worlds: look(&subject, options.root_seed, seeds)?,
            },
        };
        tell(&entry);
        judgement.checks.push(entry);
        // what comes later is kept too, should this be interrupted
        let mut so_far = judgement.clone();
        so_far.checks.extend(later.iter().map(|&e| e.clone()));
        super::write(options.out, &so_far)?;
    }
    super::write(options.out, &judgement)?;
    Ok(judgement)
}

/// The judgement that is compiled in.
pub fn recorded() -> &'static Judgement {
    static RECORDED: LazyLock<Judgement> = LazyLock::new(|| {
        let text = include_str!("../../recorded/judge.json");
        serde_json::from_str(text).expect("a test reads the recorded judgement")
    });
    &RECORDED
}

/// Which entries are stale and which checks have none.
pub fn gaps(judgement: &Judgement) -> Gaps {
    let wanted: Vec<_> = judged().map(|s| (s.name(), s.depends_on(RATES))).collect();
    let entries = judgement.checks.iter();
    Gaps::of(entries.map(|e| (e.name(), e.depends_on.as_str())), &wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::prelude::*;

    #[test]
    fn every_check_that_can_be_judged_is_judged_as_it_is_now() {
        assert_eq!(
            gaps(recorded()),
            Gaps::default(),
            "run `fjld-checks judge`, which does what is missing and keeps the rest"
        );
    }

    #[test]
    fn every_check_keeps_its_promise() {
        for entry in &recorded().checks {
            assert!(entry.keeps_its_promise(), "{entry:?}");
            assert_eq!(entry.worlds.len(), MULTIPLES.len());
            for world in &entry.worlds {
                assert_eq!(world.found.trials(), entry.seeds);
            }
        }
    }

    #[test]
    fn worlds_of_every_kind_hold_and_fail_at_least_twenty_times() {
        let checks = &recorded().checks;
        assert!(checks.len() >= 20, "{}", checks.len());
        for kind in [Kind::Exact, Kind::Identity, Kind::Statistical, Kind::Runs] {
            assert!(checks.iter().any(|c| c.kind == kind), "{kind:?}");
        }
    }

    #[test]
    fn the_first_repetitions_come_out_as_recorded() {
        let recorded = recorded();
        judged().collect::<Vec<_>>().par_iter().for_each(|subject| {
            let name = subject.name();
            if let Some(entry) = recorded.checks.iter().find(|e| e.name() == name) {
                let same = comes_out_again(entry, subject, recorded.root_seed);
                assert!(same.expect("its worlds are built"), "{name}");
            }
        });
    }

    #[test]
    fn a_missed_violation_of_twice_the_size_and_a_false_alarm_break_the_promise() {
        let judged = |kind, seeds, violated: [u64; 4]| Judged {
            claim: String::new(),
            check: String::new(),
            kind,
            depends_on: String::new(),
            seeds,
            worlds: MULTIPLES
                .iter()
                .zip(violated)
                .map(|(&multiple, violated)| Shown {
                    multiple,
                    found: Tally {
                        violated,
                        undecided: seeds - violated,
                        holds: 0,
                    },
                    sample: Sample::of(&[]),
                })
                .collect(),
        };
        let keeps = |kind, seeds, violated| judged(kind, seeds, violated).keeps_its_promise();
        assert!(keeps(Kind::Exact, 1, [0, 0, 1, 1]));
        assert!(!keeps(Kind::Exact, 1, [0, 1, 0, 1]));
        assert!(!keeps(Kind::Exact, 1, [1, 1, 1, 1]));
        // 10 of 200 is the stated rate, 20 of 200 has its lower end at 5.4%
        assert!(keeps(Kind::Statistical, 200, [10, 90, 190, 200]));
        assert!(!keeps(Kind::Statistical, 200, [20, 90, 190, 200]));
        assert!(!keeps(Kind::Statistical, 200, [10, 90, 180, 200]));
        assert!(!keeps(Kind::Statistical, 200, [10, 90, 190, 199]));
    }
}
