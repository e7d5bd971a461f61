//! What the claims about fits of many capacities share: a sequence of fits, the event that `C` is said to come before, and when `C` passes.
//!
//! A sequence goes along training at one width, or along widths at one moment of training. Both are looked at, as the document says of
//! neither which it means. `C` at a batch of `B` examples is `B` times `C` of one.

mod sequence;

pub use sequence::Event;

use super::cells::{self, Cell, Judged};
use super::crossing::crossing;
use super::runs::Fate;
use crate::evidence::kernels::TOLERATED_FAILURES;
use crate::evidence::{
    Bench, Check, Draw, Finding, Kind, Outcome, Planted, Role, Size, Spec, Worlds,
};
use crate::scenarios::capacity::worlds::{Arm, World};
use crate::scenarios::capacity::{CapacityStudy, Fit, FitCurve};
use crate::scenarios::shipped;
use crate::tier::Tier;
use sequence::Sequence;

/// The scenario whose fits are judged.
pub const SCENARIO: &str = "double-descent";

/// The sequences of every seed, by what was learned from.
#[derive(Clone)]
pub struct Seeds {
    event: Event,
    batch_sizes: Vec<u64>,
    runs: Vec<Vec<Sequence>>,
    /// Without added noise.
    bare: Vec<Vec<Sequence>>,
    /// On labels dealt out at random.
    shuffled: Vec<Vec<Sequence>>,
    /// Along widths, what a division without a look at the rounding gives for the least-squares fits: the medians below the interpolation
    /// threshold and from it on.
    unguarded: Option<[f64; 2]>,
}

/// In which direction a sequence goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Along training, for every width, by gradient descent and stochastic gradient descent.
    Training,
    /// Along widths. Test errors are those of the least-squares fits; `C` is that of the start, the lowest test error, the end or the
    /// largest of a training, or that of the least-squares fit.
    Widths,
}

fn along_training(curves: &[&FitCurve]) -> Vec<Sequence> {
    let trained = curves.iter().filter(|c| c.fit != Fit::LeastSquares);
    let sequence = |curve: &&FitCurve| Sequence {
        untrained: curve.test_error[0],
        errors: curve.test_error.clone(),
        c: curve.c.clone(),
    };
    trained.map(sequence).collect()
}

/// A moment of a training, or what stands for it.
type Moment = fn(&FitCurve) -> Option<f64>;

fn largest(curve: &FitCurve) -> Option<f64> {
    curve.c.iter().flatten().copied().reduce(f64::max)
}

/// The moments at which sequences go along widths.
const MOMENTS: [(Fit, Moment); 8] = [
    (Fit::GradientDescent, |c| c.c[0]),
    (Fit::GradientDescent, |c| c.c[c.best()]),
    (Fit::GradientDescent, |c| c.c.last().copied().flatten()),
    (Fit::GradientDescent, largest),
    (Fit::StochasticDescent, |c| c.c[c.best()]),
    (Fit::StochasticDescent, |c| c.c.last().copied().flatten()),
    (Fit::StochasticDescent, largest),
    (Fit::LeastSquares, |c| c.c[0]),
];

fn along_widths(curves: &[&FitCurve]) -> Vec<Sequence> {
    let of = |fit: Fit| {
        let mut own: Vec<&FitCurve> = curves.iter().filter(|c| c.fit == fit).copied().collect();
        own.sort_by_key(|c| c.width);
        own
    };
    let errors: Vec<f64> = of(Fit::LeastSquares)
        .iter()
        .map(|c| c.test_error[0])
        .collect();
    let trained = of(Fit::GradientDescent);
    let Some(first) = trained.first() else {
        return Vec::new();
    };
    let sequence = |&(fit, moment): &(Fit, Moment)| Sequence {
        untrained: first.test_error[0],
        errors: errors.clone(),
        c: of(fit).into_iter().map(moment).collect(),
    };
    MOMENTS.iter().map(sequence).collect()
}

/// The scenario as it is shipped.
fn study() -> CapacityStudy {
    let text = shipped::text(SCENARIO).expect("it is shipped");
    toml::from_str(text).expect("a test reads every shipped scenario")
}

impl Seeds {
    /// The sequences of some worlds.
    pub fn of(curves: &[FitCurve], worlds: &[World], axis: Axis, event: Event) -> Self {
        let mut seeds: Vec<u64> = curves.iter().map(|c| c.seed).collect();
        seeds.sort_unstable();
        seeds.dedup();
        let arm = |arm: Arm| {
            let of_seed = |&seed: &u64| {
                let of_world = |&world: &World| {
                    let own = |c: &&FitCurve| (c.seed, c.world, c.arm) == (seed, world, arm);
                    let own: Vec<&FitCurve> = curves.iter().filter(own).collect();
                    match axis {
                        Axis::Training => along_training(&own),
                        Axis::Widths => along_widths(&own),
                    }
                };
                worlds.iter().flat_map(of_world).collect()
            };
            seeds.iter().map(of_seed).collect()
        };
        let unguarded = |interpolates: bool| {
            let own = curves.iter().filter(|c| {
                worlds.contains(&c.world)
                    && c.arm == Arm::Plain
                    && (c.width >= c.examples) == interpolates
            });
            let mut values: Vec<f64> = own.filter_map(|c| c.unguarded).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied()
        };
        let both = unguarded(false).zip(unguarded(true));
        Self {
            unguarded: both.filter(|_| axis == Axis::Widths).map(Into::into),
            event,
            batch_sizes: study().batch_sizes,
            runs: arm(Arm::Plain),
            bare: arm(Arm::NoAddedNoise),
            shuffled: arm(Arm::ShuffledLabels),
        }
    }

    /// As many made-up seeds, at batch 1: the event comes in the middle of twelve readings, and `C` jumps over 1 at the reading `jump`.
    /// Nothing crosses in the controls.
    fn made_up(like: &Self, jump: usize) -> Self {
        let errors = match like.event {
            Event::SecondDescent => [4.0, 3.0, 2.0, 2.0, 3.0, 6.0, 9.0, 5.0, 2.0, 1.0, 0.8, 0.8],
            Event::Generalising => [4.0, 4.0, 4.0, 4.0, 3.9, 3.0, 1.5, 0.5, 0.1, 0.1, 0.1, 0.1],
        };
        let sequence = |jump: usize| Sequence {
            untrained: 4.0,
            errors: errors.to_vec(),
            c: (0..12)
                .map(|k| Some(if k >= jump { 2.0 } else { 0.5 }))
                .collect(),
        };
        let seeds = |like: &[Vec<Sequence>], jump| vec![vec![sequence(jump)]; like.len()];
        Self {
            unguarded: None,
            event: like.event,
            batch_sizes: vec![1],
            runs: seeds(&like.runs, jump),
            bare: seeds(&like.bare, jump),
            shuffled: seeds(&like.shuffled, 12),
        }
    }

    /// One seed at one level: all of its sequences in which the event comes must agree.
    fn fate(&self, sequences: &[Sequence], level: f64) -> Option<Fate> {
        let fates: Vec<Fate> = sequences
            .iter()
            .filter_map(|s| s.fate(&self.event.readings(s), level))
            .collect();
        let first = *fates.first()?;
        let agreed = fates.iter().all(|&f| f == first);
        Some(if agreed { first } else { Fate::Undecided })
    }

    /// Whether `C` passes a level in at least half of a seed's sequences.
    fn shows(sequences: &[Sequence], level: f64) -> bool {
        let crossed = sequences.iter().filter(|s| crossing(&s.c, level).is_some());
        2 * crossed.count() >= sequences.len()
    }

    /// By which factor `C` rises at most before the event, in the middle one of the sequences of these seeds; and the share of sequences in
    /// which it rises by a tenth or more.
    fn rises(&self, seeds: &[Vec<Sequence>]) -> (f64, f64) {
        let mut rises: Vec<f64> = seeds
            .iter()
            .flatten()
            .filter_map(|s| Some(s.rise(*self.event.readings(s).iter().max()?)))
            .collect();
        rises.sort_by(f64::total_cmp);
        let risen = rises.iter().filter(|&&r| r >= 1.1).count();
        let middle = rises.get(rises.len() / 2).copied().unwrap_or(1.0);
        (middle, risen as f64 / rises.len().max(1) as f64)
    }
}

fn examine(world: &Seeds, draw: &Draw) -> Finding {
    let level = |batch: u64| 1.0 / batch as f64;
    let cell = |&batch: &u64| {
        let fate = |sequences: &Vec<Sequence>| world.fate(sequences, level(batch));
        let controls = world.shuffled.iter();
        let same = controls.filter(|s| Seeds::shows(s, level(batch))).count();
        Cell {
            shown_by: (2 * same >= world.shuffled.len()).then_some("in the control"),
            ..Cell::new(format!("batch {batch}"), world.runs.iter().map(fate))
        }
    };
    let cells: Vec<Cell> = world.batch_sizes.iter().map(cell).collect();
    let cases = world.runs.len() + world.bare.len() + world.shuffled.len();
    let sentence = match world.event {
        Event::SecondDescent => "C passes 1 before the second descent",
        Event::Generalising => "C passes 1 before the fit generalises",
    };
    let Judged {
        mut finding,
        holding,
        failing,
    } = cells::judge(&cells, draw, sentence);
    finding.cases = cases as u64;
    let sequences: Vec<&Sequence> = world.runs.iter().flatten().collect();
    let with = sequences
        .iter()
        .filter(|s| !world.event.readings(s).is_empty());
    finding.summary += &format!(
        "; it comes in {} of {} sequences",
        with.count(),
        sequences.len()
    );
    let above: Vec<String> = world
        .batch_sizes
        .iter()
        .map(|&batch| {
            let first = |s: &&&Sequence| s.c.first().copied().flatten() > Some(level(batch));
            let count = sequences.iter().filter(first).count();
            format!("{count} at batch {batch}")
        })
        .collect();
    finding.summary += &format!("; that start above 1: {}", above.join(", "));
    let (middle, share) = world.rises(&world.runs);
    finding.summary += &format!(
        "; whatever the batch, C rises before it by a tenth or more in {:.0}% of sequences, in the middle one by a factor of {middle:.1}",
        100.0 * share
    );
    let (middle, share) = world.rises(&world.bare);
    finding.summary += &format!(
        " (without added noise in {:.0}%, by {middle:.1})",
        100.0 * share
    );
    if let Some([below, above]) = world.unguarded {
        finding.summary += &format!(
            "; without a look at the rounding C of the least-squares fits would seem to rise from {below:.0e} below the interpolation threshold to {above:.0e} from it on, where it is undefined"
        );
    }
    if finding.outcome == Outcome::Violated && !holding.is_empty() {
        let names = |cells: &[usize]| -> Vec<String> {
            cells
                .iter()
                .map(|&c| world.batch_sizes[c].to_string())
                .collect()
        };
        finding.scope = Some(format!(
            "the measurement batch is {} here; at {} it fails",
            names(&holding).join(" or "),
            names(&failing).join(", ")
        ));
    }
    finding
}

/// A check of "`C` passes 1 before the event" on the sequences of some worlds.
pub fn check(
    id: &'static str,
    hypothesis: &'static str,
    worlds: &'static [World],
    axis: Axis,
    event: Event,
) -> Check {
    // what the default report promises
    let scenario = shipped::scenario(SCENARIO).expect("a test reads every shipped scenario");
    let seeds = match &scenario {
        crate::scenarios::Scenario::Study(study) => study.tiers().seeds(Tier::Standard),
        _ => unreachable!("it is a study"),
    };
    let cells = study().batch_sizes.len();
    let detectable = cells::detectable(seeds, cells);
    let promise = format!("share of seeds that violate the sentence, with {seeds} seeds");
    let spec = Spec {
        id,
        role: Role::AsWritten,
        kind: Kind::Runs,
        hypothesis,
        tolerance: TOLERATED_FAILURES,
        detectable: Size::of(&promise, detectable),
    };
    let build = move |bench: &Bench| {
        let curves: Vec<FitCurve> = bench.runs.rows(SCENARIO)?;
        let real = Seeds::of(&curves, worlds, axis, event);
        let [late, early] = [10, 3].map(|jump| Seeds::made_up(&real, jump));
        Ok(Worlds {
            real,
            defect: Planted {
                what: "fits in which C passes 1 when the event is over",
                size: 1.0,
                world: late,
            },
            truth: Planted {
                what: "fits in which C passes 1 before the event, and controls in which it never does",
                size: 0.0,
                world: early,
            },
        })
    };
    Check::built(spec, build, examine)
}
