//! `C` shows when learning has come to a plateau.
//!
//! A reading of a training stands **on a plateau** when the held-out loss, averaged over the next readings, is less than a hundredth lower
//! than averaged over the last ones, relative to the latter; the alternative beside it takes a hundredth of the whole fall of the training
//! instead. Learning **goes on** where it is more than a twentieth lower, and by more than three standard errors of that difference, as the
//! loss bounces where steps are large; else it is neither. A detector sees only what was read so far. `C` **shows** plateaus when its
//! detector finds at least half of their readings, at a threshold that is exceeded in at most a tenth of the readings of all trainings of
//! the run in which learning goes on. There are three detectors: the level of `C`, as the theory has it that below 1 nothing is learned (a
//! low `C` is a plateau), at the reading or averaged over the last ones; and how little `C` moved since those. The sentence is true in a run
//! where one of them suffices by both definitions, and false where none does by any. A run is four trainings from one split and start; the
//! one that gains all the time is the control, in which every alarm is false.
//!
//! The measurement batch multiplies `C` and every threshold, so that the detectors do not depend on it. The plain detectors are how little
//! the training loss fell since the last readings, and how little its average over them is below that over those before: where one of them
//! finds as much on average over the runs, the effect counts as none.

use super::cells::{self, Cell, shown};
use super::pruning::SCENARIO;
use super::runs::Fate;
use super::{Claim, Origin, Sentence};
use crate::evidence::kernels::TOLERATED_FAILURES;
use crate::evidence::{Bench, Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use crate::scenarios::faq::Row;
use crate::scenarios::faq::plateau::{Kind as Training, Reading, Row as Watched};
use crate::scenarios::shipped;
use crate::tier::Tier;

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "plateau",
        origin: Origin::Document,
        statement: "C shows when learning has come to a plateau.",
        sentence: Some(Sentence {
            section: "FAQ",
            line: 385,
            sha256: "715f0f74f1968d0bbff3a5c80d5c58f04ba992c5bfad35409491bf0e9c182ef0",
            status: "stated",
        }),
        holds_when: None,
        corrected: None,
        scenarios: &[SCENARIO],
        checks: vec![shows()],
    }
}

/// A held-out loss that falls by less than this share stands still.
const STILL: f64 = 0.01;

/// One that falls by more than this share goes on falling.
const FALLING: f64 = 0.05;

/// The share of readings with false alarms.
const FALSE_ALARMS: f64 = 0.1;

/// The share of a plateau's readings to be found; guessing finds as many as there are false alarms.
const FOUND: f64 = 0.5;

/// In standard errors of the difference.
const BEYOND_NOISE: f64 = 3.0;

/// What the fall of the held-out loss is relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relative {
    ToItself,
    ToTheWholeFall,
}

const DEFINITIONS: [Relative; 2] = [Relative::ToItself, Relative::ToTheWholeFall];

/// The squared standard error of the mean; a trend counts as scatter, but too little to hide itself.
fn squared_error(values: &[f64]) -> Option<f64> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
    (n > 1.0).then(|| squares / (n * (n - 1.0)))
}

/// Whether a reading is on a plateau; `None` where it is neither that nor are there enough readings around it.
fn on_plateau(row: &Watched, k: usize, relative: Relative) -> Option<bool> {
    let held_out = |readings: &[Reading]| -> Option<Vec<f64>> {
        readings.iter().map(|r| r.held_out).collect()
    };
    let before = held_out(row.readings.get((k + 1).checked_sub(row.window)?..=k)?)?;
    let after = held_out(row.readings.get(k + 1..k + 1 + row.window)?)?;
    let error = (squared_error(&before)? + squared_error(&after)?).sqrt();
    let (before, after) = (cells::mean(before)?, cells::mean(after)?);
    let unit = match relative {
        Relative::ToItself => before,
        Relative::ToTheWholeFall => {
            let all = held_out(&row.readings)?;
            let lowest = all.iter().copied().fold(f64::MAX, f64::min);
            all[0] - lowest
        }
    };
    match (before - after) / unit {
        fall if fall < STILL => Some(true),
        fall if fall > FALLING && before - after > BEYOND_NOISE * error => Some(false),
        _ => None,
    }
}

/// How much a reading looks like a plateau, by what was read so far: a score, higher for more.
type Detector = fn(&Watched, usize) -> Option<f64>;

/// A low `C`.
fn level(row: &Watched, k: usize) -> Option<f64> {
    Some(-row.readings[k].c?)
}

/// The mean over as many readings as the window has, up to one; `None` where there are not as many, or one is undefined.
fn recent(row: &Watched, last: usize, of: fn(&Reading) -> Option<f64>) -> Option<f64> {
    let readings = row
        .readings
        .get((last + 1).checked_sub(row.window)?..=last)?;
    cells::mean(readings.iter().map(of).collect::<Option<Vec<f64>>>()?)
}

/// A low `C` on average.
fn smoothed_level(row: &Watched, k: usize) -> Option<f64> {
    Some(-recent(row, k, |r| r.c)?)
}

/// A `C` that hardly moved.
fn stillness(row: &Watched, k: usize) -> Option<f64> {
    let before = recent(row, k.checked_sub(1)?, |r| r.c)?;
    let moved = (row.readings[k].c? / before).ln().abs();
    moved.is_finite().then_some(-moved)
}

/// A training loss that hardly fell.
fn loss(row: &Watched, k: usize) -> Option<f64> {
    let before = recent(row, k.checked_sub(1)?, |r| r.loss)?;
    Some((row.readings[k].loss? - before) / before)
}

/// A training loss that hardly fell on average.
fn smoothed_loss(row: &Watched, k: usize) -> Option<f64> {
    let before = recent(row, k.checked_sub(row.window)?, |r| r.loss)?;
    Some((recent(row, k, |r| r.loss)? - before) / before)
}

const BY_C: [Detector; 3] = [level, smoothed_level, stillness];

const BY_LOSS: [Detector; 2] = [loss, smoothed_loss];

/// The share of plateau readings of the trainings of one kind that a detector finds, at a threshold for all trainings of the run; `None`
/// where there are none, or learning never goes on.
fn found(run: &[Watched], kind: Training, relative: Relative, detector: Detector) -> Option<f64> {
    let (mut plateaus, mut others) = (Vec::new(), Vec::new());
    for row in run {
        for k in row.window..row.readings.len() {
            // what is undefined raises no alarm
            let score = detector(row, k).unwrap_or(f64::MIN);
            match on_plateau(row, k, relative) {
                Some(true) if row.kind == kind => plateaus.push(score),
                Some(false) => others.push(score),
                _ => {}
            }
        }
    }
    others.sort_by(|a, b| b.total_cmp(a));
    let threshold = *others.get((FALSE_ALARMS * others.len() as f64) as usize)?;
    cells::mean(
        plateaus
            .iter()
            .map(|&score| f64::from(u8::from(score > threshold))),
    )
}

fn fate(run: &[Watched], kind: Training) -> Fate {
    let by = BY_C.map(|detector| {
        cells::agreed(
            DEFINITIONS
                .into_iter()
                .filter_map(|relative| found(run, kind, relative, detector))
                .map(|share| share >= FOUND),
        )
    });
    if by.contains(&Fate::Holds) {
        Fate::Holds
    } else if by == [Fate::Fails; 3] {
        Fate::Fails
    } else {
        Fate::Undecided
    }
}

struct Runs(Vec<Vec<Watched>>);

fn cell(runs: &Runs, kind: Training) -> Cell {
    let average = |detector| {
        let shares = runs
            .0
            .iter()
            .filter_map(|run| found(run, kind, DEFINITIONS[0], detector));
        cells::mean(shares)
    };
    let (by_c, by_loss) = (BY_C.map(average), BY_LOSS.map(average));
    let best = |of: &[Option<f64>]| of.iter().flatten().copied().reduce(f64::max);
    Cell {
        shown_by: (best(&by_loss) >= best(&by_c)).then_some("by the loss"),
        seen: format!(
            "found by the level of C {}, by its average {}, by its stillness {}, by the loss {}, by its average {} of the plateau; at batch {TRAINING_BATCH} C is below 1 in {} of it",
            shown(by_c[0]),
            shown(by_c[1]),
            shown(by_c[2]),
            shown(by_loss[0]),
            shown(by_loss[1]),
            shown(below_one(runs, Some(kind), true))
        ),
        ..Cell::new(
            format!("the {}", kind.name()),
            runs.0.iter().map(|run| fate(run, kind)).map(Some),
        )
    }
}

/// The share of readings on a plateau, or where learning goes on, at which `C` is below 1 at [`TRAINING_BATCH`].
fn below_one(runs: &Runs, kind: Option<Training>, plateau: bool) -> Option<f64> {
    let rows = runs.0.iter().flatten();
    let rows = rows.filter(|row| kind.is_none_or(|kind| row.kind == kind));
    let readings = rows.flat_map(|row| {
        let chosen = |k: &usize| on_plateau(row, *k, DEFINITIONS[0]) == Some(plateau);
        (0..row.readings.len())
            .filter(chosen)
            .map(|k| row.readings[k].c)
    });
    cells::mean(readings.map(|c| f64::from(u8::from(c.is_some_and(|c| TRAINING_BATCH * c < 1.0)))))
}

/// The batch at which the summary tells of the document's threshold.
const TRAINING_BATCH: f64 = 64.0;

fn examine(runs: &Runs, draw: &Draw) -> Finding {
    let cells = Training::PLATEAUS.map(|kind| cell(runs, kind));
    let sentence = "C shows the plateau";
    let mut finding = cells::judge(&cells, draw, sentence)
        .with_scope("the plateau is", |c| cells[c].name.clone());
    let readings = runs.0.iter().flatten().map(|row| row.readings.len());
    finding.cases = readings.sum::<usize>() as u64;
    // learning that goes on with a C below 1 is what the threshold would call a plateau
    let share = shown(below_one(runs, None, false));
    finding.summary += &format!(
        "; where learning goes on, C at batch {TRAINING_BATCH} is below 1 in {share} of the readings"
    );
    finding
}

/// As many made-up runs: the held-out loss falls by 0.03 from reading to reading but for a plateau in the middle, on which `C` is what `c`
/// says; elsewhere it moves to and fro between 1 and 2. The training loss tells nothing.
fn made_up(like: &Runs, c: fn(usize) -> f64) -> Runs {
    let training = |row: &Watched| {
        let plateau = row.kind != Training::Steady;
        let mut held_out = 1.0;
        let readings = (0..45).map(|k| {
            let still = plateau && (15..30).contains(&k);
            if !still {
                held_out -= if plateau { 0.03 } else { 0.02 };
            }
            Reading {
                step: k as u64,
                c: Some(if still { c(k) } else { 1.0 + (k % 2) as f64 }),
                loss: Some(1.0),
                held_out: Some(held_out),
            }
        });
        Watched {
            window: 4,
            readings: readings.collect(),
            ..row.clone()
        }
    };
    let runs = like.0.iter().map(|run| run.iter().map(training).collect());
    Runs(runs.collect())
}

fn shows() -> Check {
    let seeds = shipped::study(SCENARIO).map_or(5, |study| study.tiers().seeds(Tier::Standard));
    let spec = Spec {
        id: "shows",
        role: Role::AsWritten,
        kind: Kind::Runs,
        hypothesis: "a detector on C finds half of the readings of a plateau, with false alarms in a tenth of those in which learning goes on, on each kind of plateau, and one on the loss finds fewer",
        tolerance: TOLERATED_FAILURES,
        detectable: Size::of(
            &format!("share of runs that violate the sentence, with {seeds} runs"),
            cells::detectable(seeds, Training::PLATEAUS.len()),
        ),
    };
    let build = |bench: &Bench| {
        let rows = bench.runs.rows::<Row>(SCENARIO)?.into_iter();
        let watched = rows.filter_map(|row| match row {
            Row::Plateau(row) => Some(row),
            _ => None,
        });
        let real = Runs(cells::by_seed(watched, |row| row.seed));
        Ok(Worlds {
            defect: Planted {
                what: "a C that is on plateaus what it is elsewhere",
                size: 1.0,
                world: made_up(&real, |k| 1.0 + (k % 2) as f64),
            },
            truth: Planted {
                what: "a C that is low on plateaus and nowhere else, and a loss that tells nothing",
                size: 0.0,
                world: made_up(&real, |_| 0.1),
            },
            real,
        })
    };
    Check::built(spec, build, examine)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(c: fn(usize) -> f64) -> Vec<Watched> {
        let row = |kind| Watched {
            seed: 0,
            kind,
            window: 2,
            readings: Vec::new(),
        };
        let like = Runs(vec![vec![row(Training::End), row(Training::Steady)]]);
        made_up(&like, c).0.remove(0)
    }

    #[test]
    fn a_plateau_is_where_the_held_out_loss_stands_still_before_and_after() {
        let run = made(|_| 0.1);
        for relative in DEFINITIONS {
            let labels: Vec<_> = (0..45).map(|k| on_plateau(&run[0], k, relative)).collect();
            assert_eq!([labels[18], labels[25]], [Some(true); 2]);
            // neither before there are readings to look back at, nor where too few are ahead
            assert_eq!([labels[0], labels[44]], [None, None]);
            assert_eq!([labels[5], labels[35]], [Some(false); 2]);
        }
    }

    #[test]
    fn a_c_that_is_low_on_plateaus_finds_them_and_one_that_is_not_does_not() {
        let share = |c, detector| found(&made(c), Training::End, Relative::ToItself, detector);
        assert_eq!(share(|_| 0.1, level), Some(1.0));
        assert_eq!(share(|k| 1.0 + (k % 2) as f64, level), Some(0.0));
        // the loss of made-up runs is the same everywhere
        assert_eq!(share(|_| 0.1, loss), Some(0.0));
        assert_eq!(share(|_| 0.1, smoothed_loss), Some(0.0));
        // a C that stands still, where else it moves to and fro
        assert!(share(|_| 1.5, stillness) >= Some(0.8));
        assert_eq!(share(|_| 1.5, level), Some(0.0));
    }

    #[test]
    fn a_fall_that_its_scatter_explains_is_no_learning() {
        let mut row = made(|_| 0.1).remove(1);
        assert_eq!(on_plateau(&row, 20, Relative::ToItself), Some(false));
        for (k, reading) in row.readings.iter_mut().enumerate() {
            reading.held_out = Some(if k % 4 == 3 { 2.0 } else { 1.0 } - 0.02 * k as f64);
        }
        assert_eq!(on_plateau(&row, 20, Relative::ToItself), None);
    }

    #[test]
    fn a_c_that_is_undefined_raises_no_alarm() {
        let mut run = made(|_| 0.1);
        run[0].readings.iter_mut().for_each(|r| r.c = None);
        let share = found(&run, Training::End, Relative::ToItself, level);
        assert_eq!(share, Some(0.0));
        let alone = [run.remove(1)];
        assert_eq!(
            found(&alone, Training::End, Relative::ToItself, level),
            None
        );
    }
}
