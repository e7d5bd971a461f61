//! What the claims about fits of many capacities share: a sequence of fits, the event that `C` is said to come before, and when `C` passes.
//!
//! A sequence goes along training at one width, or along widths at one moment of training. Both are looked at, as the document says of
//! neither which it means. `C` at a batch of `B` examples is `B` times `C` of one.

use super::cells::{self, Cell, Judged, cell_test};
use super::crossing::crossing;
use super::runs::Fate;
use crate::evidence::kernels::TOLERATED_FAILURES;
use crate::evidence::ledger::Rates;
use crate::evidence::{
    Bench, Check, Draw, Finding, Kind, Outcome, Planted, Role, Size, Spec, Worlds,
};
use crate::scenarios::capacity::worlds::{Arm, World};
use crate::scenarios::capacity::{CapacityStudy, Fit, FitCurve};
use crate::scenarios::shipped;
use crate::tier::Tier;

/// The scenario whose fits are judged.
pub const SCENARIO: &str = "double-descent";

/// Fits in a row.
#[derive(Clone, Debug)]
pub struct Sequence {
    /// The test error without any fit: that of the answer 0.
    pub untrained: f64,
    /// Test errors.
    pub errors: Vec<f64>,
    /// `C` at batch 1; `None` where it is undefined.
    pub c: Vec<Option<f64>>,
}

/// What `C` is said to come before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The second descent of the test error: see [`Event::readings`].
    SecondDescent,
    /// The fit generalises: see [`Event::readings`].
    Generalising,
}

/// A rise and a fall by less than this factor are no second descent.
const PROMINENT: f64 = 1.2;

impl Event {
    /// The readings at which it comes, by every definition under which it comes at all and not with the first reading, before which
    /// nothing could come.
    ///
    /// *The second descent* is there where the test error has a peak that lies above its least before and its least after by a factor of
    /// [`PROMINENT`] at least; of several peaks, the most prominent. It comes with the peak (by one definition), when the error has fallen
    /// half of the way from it to the least after, in logarithms (by another), or when the error is below its least before the peak (by a
    /// third).
    ///
    /// *A fit generalises* where its test error comes below half of what the answer 0 has. It does so with that reading (by one
    /// definition), with half of the way down to the least error of the sequence (by another), or with nine tenths of it (by a third).
    pub fn readings(self, sequence: &Sequence) -> Vec<usize> {
        let errors = &sequence.errors;
        let least = |range: &[f64]| range.iter().copied().fold(f64::INFINITY, f64::min);
        let reached = |from: usize, level: f64| {
            let at = errors[from..].iter().position(|&e| e <= level);
            at.map(|k| from + k)
        };
        let found = match self {
            Self::Generalising => {
                let (start, best) = (sequence.untrained, least(errors));
                if best > 0.5 * start {
                    return Vec::new();
                }
                [
                    0.5 * start,
                    start - 0.5 * (start - best),
                    start - 0.9 * (start - best),
                ]
                .map(|level| reached(0, level))
            }
            Self::SecondDescent => {
                let prominence = |k: usize| {
                    let sides = [least(&errors[..k]), least(&errors[k + 1..])];
                    sides
                        .map(|side| errors[k] / side)
                        .into_iter()
                        .fold(f64::INFINITY, f64::min)
                };
                let inner = 1..errors.len().saturating_sub(1);
                let peak = inner.max_by(|&a, &b| prominence(a).total_cmp(&prominence(b)));
                let Some(peak) = peak.filter(|&k| prominence(k) >= PROMINENT) else {
                    return Vec::new();
                };
                let (before, after) = (least(&errors[..peak]), least(&errors[peak + 1..]));
                let halfway = (errors[peak] * after).sqrt();
                [Some(peak), reached(peak, halfway), reached(peak, before)]
            }
        };
        found.into_iter().flatten().filter(|&k| k > 0).collect()
    }
}

impl Sequence {
    /// Whether `C` passes `level` before an event that comes at these readings: by one definition it rises through it before, whatever
    /// it does then; by another it does not come back until the event. `None` where the event does not come.
    fn fate(&self, readings: &[usize], level: f64) -> Option<Fate> {
        let crossed = crossing(&self.c, level);
        let above = |c: &Option<f64>| c.is_some_and(|c| c > level);
        let votes: Vec<bool> = readings
            .iter()
            .flat_map(|&at| {
                let before = crossed.is_some_and(|k| k < at);
                let below = self.c[..at].iter().rposition(|c| !above(c));
                let lasting = below.is_some_and(|k| {
                    k + 1 < at && self.c[k].is_some() && self.c[k + 1..at].iter().all(above)
                });
                [before, lasting]
            })
            .collect();
        match votes.as_slice() {
            [] => None,
            votes if votes.iter().all(|&v| v) => Some(Fate::Holds),
            votes if votes.iter().all(|&v| !v) => Some(Fate::Fails),
            _ => Some(Fate::Undecided),
        }
    }

    /// By which factor `C` rises at most before the reading `until`, from any value to a later one; 1 where it only falls.
    fn rise(&self, until: usize) -> f64 {
        let mut least = f64::INFINITY;
        let mut rise = 1.0;
        for c in self.c[..until].iter().flatten() {
            least = least.min(*c);
            if least > 0.0 {
                rise = f64::max(rise, c / least);
            }
        }
        rise
    }
}

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

    /// The largest factor by which `C` rises before the event in any sequence of these seeds, and the share of sequences in which it
    /// rises by a tenth or more.
    fn rises(&self, seeds: &[Vec<Sequence>]) -> (f64, f64) {
        let rises: Vec<f64> = seeds
            .iter()
            .flatten()
            .filter_map(|s| Some(s.rise(*self.event.readings(s).iter().max()?)))
            .collect();
        let risen = rises.iter().filter(|&&r| r >= 1.1).count();
        let largest = rises.iter().copied().fold(1.0, f64::max);
        (largest, risen as f64 / rises.len().max(1) as f64)
    }
}

fn examine(world: &Seeds, draw: &Draw) -> Finding {
    let level = |batch: u64| 1.0 / batch as f64;
    let cell = |&batch: &u64| {
        let fate = |sequences: &Vec<Sequence>| world.fate(sequences, level(batch));
        let controls = world.shuffled.iter();
        let same = controls.filter(|s| Seeds::shows(s, level(batch))).count();
        Cell {
            name: format!("batch {batch}"),
            fates: world.runs.iter().map(fate).collect(),
            in_control: 2 * same >= world.shuffled.len(),
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
    } = cells::judge(&cells, cases as u64, draw, sentence);
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
    let (most, share) = world.rises(&world.runs);
    finding.summary += &format!(
        "; whatever the batch, C rises before it by a tenth or more in {:.0}% of sequences, at most by a factor of {most:.1}",
        100.0 * share
    );
    let (most, share) = world.rises(&world.bare);
    finding.summary += &format!(
        " (without added noise in {:.0}%, by {most:.1})",
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
    let detectable = cell_test(seeds, cells, Rates::of_one_slot()).detectable();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(errors: &[f64], c: &[f64]) -> Sequence {
        Sequence {
            untrained: errors[0],
            errors: errors.to_vec(),
            c: c.iter().map(|&c| c.is_finite().then_some(c)).collect(),
        }
    }

    #[test]
    fn a_second_descent_comes_with_the_peak_half_way_down_and_below_the_first() {
        let readings = |errors: &[f64]| Event::SecondDescent.readings(&sequence(errors, &[]));
        // half of the way from 8 to 0.5, in logarithms, is 2
        assert_eq!(readings(&[4.0, 1.0, 8.0, 4.0, 2.0, 0.5]), [2, 4, 5]);
        // it never comes below the first
        assert_eq!(readings(&[4.0, 1.0, 8.0, 2.0]), [2, 3]);
        assert_eq!(readings(&[4.0, 3.0, 2.0, 1.0]), [0usize; 0]);
        // a peak at either end is none, nor a small one
        assert_eq!(readings(&[1.0, 2.0, 3.0]), [0usize; 0]);
        assert_eq!(readings(&[4.0, 2.0, 2.2, 2.0]), [0usize; 0]);
    }

    #[test]
    fn a_fit_generalises_below_half_of_the_untrained_error_or_not_at_all() {
        let readings = |errors: &[f64]| Event::Generalising.readings(&sequence(errors, &[]));
        // levels 5, 5.5 and 1.9
        assert_eq!(readings(&[10.0, 9.0, 5.2, 4.0, 1.0]), [3, 2, 4]);
        assert_eq!(readings(&[10.0, 9.0, 6.0]), [0usize; 0]);
    }

    #[test]
    fn c_has_to_pass_before_every_event_and_to_stay() {
        let errors = [1.0; 6];
        let fate = |c: &[f64]| sequence(&errors, c).fate(&[3, 5], 1.0);
        assert_eq!(fate(&[0.5, 2.0, 2.0, 2.0, 2.0, 2.0]), Some(Fate::Holds));
        assert_eq!(fate(&[2.0, 2.0, 0.5, 0.4, 0.3, 2.0]), Some(Fate::Fails));
        // it comes back, or comes between the two definitions of the event
        assert_eq!(fate(&[0.5, 2.0, 0.5, 0.5, 0.5, 0.5]), Some(Fate::Undecided));
        assert_eq!(fate(&[0.5, 0.5, 0.5, 0.5, 2.0, 2.0]), Some(Fate::Undecided));
        // from round-off to round-off, as at interpolation
        assert_eq!(
            fate(&[1e-28, f64::NAN, f64::NAN, 3.0, 3.0, 3.0]),
            Some(Fate::Fails)
        );
        assert_eq!(sequence(&errors, &[0.5; 6]).fate(&[], 1.0), None);
    }

    #[test]
    fn the_largest_rise_is_from_a_value_to_a_later_one() {
        let s = sequence(&[1.0; 5], &[4.0, 1.0, 2.0, 3.0, 9.0]);
        assert_eq!(s.rise(4), 3.0);
        assert_eq!(s.rise(2), 1.0);
    }
}
