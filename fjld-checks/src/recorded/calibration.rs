//! How often the stochastic checks alarm in their planted truths, where every alarm is a false one.
//!
//! A report allows itself 5e-5 false alarms a world, which no experiment can count. Here the same checks are given 0.05, and a miss rate
//! at which their samples stay small, and are run thousands of times: they must alarm no more often than that.

use super::{Gaps, LEVEL, Sample, Subject, Tally, Trials, subjects};
use crate::error::Result;
use crate::evidence::World;
use crate::evidence::ledger::Rates;
use crate::evidence::proportion::clopper_pearson;
use fjld_core::rng::Seed;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use std::sync::LazyLock;

/// The schema of a recorded calibration.
pub const SCHEMA: &str = "fjld-calibration/1";

/// The rates that the checks are given.
pub const RATES: Rates = Rates {
    false_alarm: 0.05,
    miss: 0.5,
};

/// Repetitions a check unless others are asked for.
pub const REPEATS: u64 = 2000;

/// Repetitions that are kept apart, and done again by a test.
const SAMPLE: usize = 5;

/// The alarm rates of all stochastic checks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// [`SCHEMA`].
    pub schema: String,
    /// The arguments of this program that recorded it.
    pub command: String,
    /// The seed that every stream derives from.
    pub root_seed: u64,
    /// The false-alarm rate that the checks were given, and must keep.
    pub false_alarm: f64,
    /// The miss rate that their samples were sized by.
    pub miss: f64,
    /// The level of the intervals.
    pub level: f64,
    /// A check each.
    pub checks: Vec<Calibrated>,
}

/// How often one check alarmed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibrated {
    /// Its claim.
    pub claim: String,
    /// Its name.
    pub check: String,
    /// A hash of its promise.
    pub depends_on: String,
    /// How often its planted truth was examined.
    pub repeats: u64,
    /// What it found there; violated is a false alarm.
    pub found: Tally,
    /// The interval of Clopper and Pearson for the alarm rate.
    pub alarm_rate: [f64; 2],
    /// What the first repetitions found.
    pub sample: Sample,
}

impl Calibrated {
    fn name(&self) -> String {
        format!("{}/{}", self.claim, self.check)
    }

    /// Whether it alarms more often than it was allowed, beyond doubt.
    pub fn alarms_too_often(&self) -> bool {
        self.alarm_rate[0] > RATES.false_alarm
    }
}

impl fmt::Display for Calibrated {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (alarms, [low, high]) = (self.found.violated, self.alarm_rate);
        write!(
            f,
            "{}: {alarms} alarms in {} [{low:.4}, {high:.4}]",
            self.name(),
            self.repeats
        )
    }
}

fn trials(root_seed: u64) -> Trials {
    Trials {
        root: Seed::root(root_seed),
        rates: RATES,
        stream: "calibration",
    }
}

/// What the first repetitions of a subject find now.
fn sample(subject: &Subject, root_seed: u64) -> Result<Sample> {
    let found = trials(root_seed).examine(subject, World::Truth, SAMPLE as u64)?;
    Ok(Sample::of(&found.unwrap_or_default()))
}

fn calibrate(subject: &Subject, root_seed: u64, repeats: u64) -> Result<Calibrated> {
    let found = trials(root_seed).examine(subject, World::Truth, repeats)?;
    let found = found.unwrap_or_default();
    let tally = Tally::of(found.iter().map(|f| f.outcome));
    Ok(Calibrated {
        claim: subject.claim.to_owned(),
        check: subject.check.spec.id.to_owned(),
        depends_on: subject.depends_on(RATES),
        repeats,
        found: tally,
        alarm_rate: clopper_pearson(tally.violated, tally.trials(), LEVEL),
        sample: Sample::of(&found[..found.len().min(SAMPLE)]),
    })
}

/// What to calibrate, and how.
pub struct Options<'a> {
    /// Repetitions a check.
    pub repeats: u64,
    /// The seed that every stream derives from.
    pub root_seed: u64,
    /// The claims whose checks are calibrated; all when empty.
    pub claims: &'a [String],
    /// Where to record.
    pub out: &'a Path,
}

/// Calibrates, and records after every check. An entry that is there already stays if its check promises the same, it has as many
/// repetitions, and the first of them come out the same; so an interrupted calibration goes on, and a changed check is done again.
///
/// # Errors
/// When the file can not be read or written, or a check's worlds can not be built.
pub fn run(options: &Options, mut tell: impl FnMut(&Calibrated)) -> Result<Calibration> {
    let earlier: Option<Calibration> = super::read(options.out)?;
    let earlier = earlier.filter(|c| c.schema == SCHEMA && c.root_seed == options.root_seed);
    let earlier = earlier.map_or(Vec::new(), |c| c.checks);
    let mut calibration = Calibration {
        schema: SCHEMA.to_owned(),
        command: format!("calibrate --repeats {}", options.repeats),
        root_seed: options.root_seed,
        false_alarm: RATES.false_alarm,
        miss: RATES.miss,
        level: LEVEL,
        checks: Vec::new(),
    };
    let subjects: Vec<Subject> = subjects().into_iter().filter(Subject::draws).collect();
    let mut later: Vec<&Calibrated> = earlier.iter().collect();
    for subject in &subjects {
        let depends_on = subject.depends_on(RATES);
        let place = later.iter().position(|e| e.name() == subject.name());
        let before = place.map(|at| later.remove(at));
        let asked = options.claims.is_empty() || options.claims.iter().any(|c| c == subject.claim);
        let before = before.filter(|e| e.depends_on == depends_on);
        let entry = match before {
            Some(entry) if !asked => entry.clone(),
            None if !asked => continue,
            Some(entry)
                if entry.repeats == options.repeats
                    && entry
                        .sample
                        .agrees(&sample(subject, options.root_seed)?, subject.rounding()) =>
            {
                entry.clone()
            }
            _ => calibrate(subject, options.root_seed, options.repeats)?,
        };
        tell(&entry);
        calibration.checks.push(entry);
        // what comes later is kept too, should this be interrupted
        let mut so_far = calibration.clone();
        so_far.checks.extend(later.iter().map(|&e| e.clone()));
        super::write(options.out, &so_far)?;
    }
    super::write(options.out, &calibration)?;
    Ok(calibration)
}

/// The calibration that is compiled in.
pub fn recorded() -> &'static Calibration {
    static RECORDED: LazyLock<Calibration> = LazyLock::new(|| {
        let text = include_str!("../../recorded/calibration.json");
        serde_json::from_str(text).expect("a test reads the recorded calibration")
    });
    &RECORDED
}

/// Which entries are stale and which checks have none.
pub fn gaps(calibration: &Calibration) -> Gaps {
    let subjects = subjects().into_iter().filter(Subject::draws);
    let wanted: Vec<_> = subjects.map(|s| (s.name(), s.depends_on(RATES))).collect();
    let entries = calibration.checks.iter();
    Gaps::of(entries.map(|e| (e.name(), e.depends_on.as_str())), &wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::prelude::*;

    #[test]
    fn every_stochastic_check_is_calibrated_as_it_is_now() {
        let gaps = gaps(recorded());
        assert_eq!(
            gaps,
            Gaps::default(),
            "run `fjld-checks calibrate`, which does what is missing and keeps the rest"
        );
    }

    #[test]
    fn no_check_alarms_more_often_than_it_is_allowed() {
        for entry in &recorded().checks {
            assert!(!entry.alarms_too_often(), "{entry:?}");
            assert_eq!(entry.found.trials(), entry.repeats);
            let interval = clopper_pearson(entry.found.violated, entry.repeats, LEVEL);
            assert_eq!(entry.alarm_rate, interval);
        }
    }

    #[test]
    fn the_first_repetitions_come_out_as_recorded() {
        let recorded = recorded();
        let subjects: Vec<Subject> = subjects().into_iter().filter(Subject::draws).collect();
        subjects.par_iter().for_each(|subject| {
            let name = subject.name();
            if let Some(entry) = recorded.checks.iter().find(|e| e.name() == name) {
                let again = sample(subject, recorded.root_seed).expect("its worlds are built");
                let same = entry.sample.agrees(&again, subject.rounding());
                assert!(same, "{name}: {entry:?}, {again:?}");
            }
        });
    }

    #[test]
    fn a_calibration_is_taken_up_where_it_stopped_and_a_changed_entry_is_done_again() -> Result<()>
    {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let out = folder.path().join("calibration.json");
        let claims = ["instruments".to_owned()];
        let options = Options {
            repeats: 50,
            root_seed: 3,
            claims: &claims,
            out: &out,
        };
        let first = run(&options, |_| ())?;
        assert_eq!(first.checks.len(), 3);
        let mut spoilt = first.clone();
        // an entry that stands, though its count could not: it is not done again
        spoilt.checks[0].found.violated = 50;
        // and two that do not stand any more
        spoilt.checks[1].depends_on.clear();
        spoilt.checks[1].found.violated = 50;
        spoilt.checks[2].sample.mean_effect = Some(2.0);
        spoilt.checks[2].found.violated = 50;
        super::super::write(&out, &spoilt)?;
        let second = run(&options, |_| ())?;
        assert_eq!(second.checks[0], spoilt.checks[0]);
        assert_eq!(second.checks[1..], first.checks[1..]);
        Ok(())
    }
}
