//! `C` tells the subnetworks that train as well as the whole from those that do not.
//!
//! A subnetwork **trains as well as the whole** when, rewound to the first weights and trained for as many steps, its held-out accuracy is
//! at most one point (0.01) lower; the alternative beside it is that its held-out loss is at most a tenth higher. **`C` tells** them apart
//! when of two subnetworks with the same share of weights, one that trains as well and one that does not, the former has the larger `C`
//! more often than not: the share of such pairs, ties by halves (the concordance; chance gives one half), exceeds three quarters. Pairs of
//! one share, as the share by itself tells much. The order does not depend on the measurement batch, as `C` at batch `B` is `B` times that
//! of one example. A run is one network with its subnetworks; it counts where both definitions of a winner agree.
//!
//! Beside `C` stand the gradient's norm and the loss of the same readings, each in the direction that suits it better: where one of them
//! tells as much, on average over the runs, `C` explains nothing that it does not, and the effect counts as none. The random masks are the
//! control: they supply subnetworks of the same share that nobody chose, and the summary says how `C` orders those alone.

use super::cells::{self, Cell, shown};
use super::runs::Fate;
use super::{Claim, Origin, Sentence};
use crate::evidence::kernels::TOLERATED_FAILURES;
use crate::evidence::{Bench, Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use crate::scenarios::lottery::{Method, Reading, Row};
use crate::scenarios::shipped;
use crate::tier::Tier;

const SCENARIO: &str = "lottery";

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "lottery",
        origin: Origin::Document,
        statement: "C explains after the fact which sparse subnetworks train as well as the whole.",
        sentence: Some(Sentence {
            section: "Moderate Claims (Partially Supported)",
            line: 271,
            sha256: "6d161d19c157396252a15627de55cdf11dec9011fb22671ce81f782e3513c18f",
            status: "partial",
        }),
        holds_when: None,
        corrected: None,
        scenarios: &[SCENARIO],
        checks: vec![tells()],
    }
}

/// Accuracy that a subnetwork may fall short of the whole by and still train as well.
const MARGIN: f64 = 0.01;

/// Held-out loss, relative to the whole's, that it may have instead.
const RELATIVE_LOSS: f64 = 1.1;

/// The share of pairs that `C` has to order rightly: half way from chance to all.
const TELLS: f64 = 0.75;

type Wins = fn(&Row) -> bool;

/// The definitions of training as well as the whole.
const DEFINITIONS: [Wins; 2] = [
    |row| row.accuracy >= row.whole_accuracy - MARGIN,
    |row| matches!((row.loss, row.whole_loss), (Some(l), Some(w)) if l <= RELATIVE_LOSS * w),
];

/// The share of pairs, one winner and one loser with the same share of weights, in which the winner has the larger value; `None` without
/// such a pair.
fn concordance(rows: &[&Row], wins: Wins, value: impl Fn(&Row) -> Option<f64>) -> Option<f64> {
    let (mut right, mut pairs) = (0.0, 0.0);
    for winner in rows.iter().filter(|r| wins(r)) {
        for loser in rows.iter().filter(|r| !wins(r) && r.share == winner.share) {
            let (Some(a), Some(b)) = (value(winner), value(loser)) else {
                continue;
            };
            pairs += 1.0;
            right += if a > b {
                1.0
            } else if a == b {
                0.5
            } else {
                0.0
            };
        }
    }
    (pairs > 0.0).then(|| right / pairs)
}

/// How well the theory's own threshold sorts winners from losers at a measurement batch: the mean of the share of winners whose `C` exceeds
/// 1 and the share of losers whose `C` does not; one half is chance. `None` without both.
fn balanced(rows: &[Row], k: usize, batch_size: usize) -> Option<f64> {
    let share = |wins: bool| {
        let own = rows.iter().filter(|row| DEFINITIONS[0](row) == wins);
        let ratios = own.filter_map(|row| row.readings.get(k)?.c);
        cells::mean(ratios.map(|c| f64::from(u8::from((c * batch_size as f64 > 1.0) == wins))))
    };
    Some(0.5 * (share(true)? + share(false)?))
}

/// The measurement batches that the summary tells of.
const BATCHES: [usize; 3] = [16, 64, 256];

/// The rows of every run.
struct Runs(Vec<Vec<Row>>);

impl Runs {
    /// The concordance of a quantity at a reading, averaged over the runs that have pairs; over all masks or the random ones alone.
    fn average(&self, k: usize, random: bool, of: fn(&Reading) -> Option<f64>) -> Option<f64> {
        cells::mean(self.0.iter().filter_map(|run| {
            let own = run.iter().filter(|r| !random || r.method == Method::Random);
            let own: Vec<&Row> = own.collect();
            concordance(&own, DEFINITIONS[0], |r| of(r.readings.get(k)?))
        }))
    }
}

fn cell(runs: &Runs, k: usize, step: u64) -> Cell {
    let fate = |run: &Vec<Row>| {
        let rows: Vec<&Row> = run.iter().collect();
        let found = DEFINITIONS.map(|wins| concordance(&rows, wins, |r| r.readings.get(k)?.c));
        match found {
            [Some(a), Some(b)] => cells::agreed([a, b].map(|share| share > TELLS)),
            _ => Fate::Undecided,
        }
    };
    let c = runs.average(k, false, |r| r.c);
    // the plain quantities may point either way
    let either = |value: Option<f64>| value.map(|v| v.max(1.0 - v));
    let gradient = either(runs.average(k, false, |r| r.gradient));
    let loss = either(runs.average(k, false, |r| r.loss));
    let told = |plain: Option<f64>| plain.is_some_and(|plain| Some(plain) >= c);
    let levels = BATCHES.map(|batch| {
        let each = runs.0.iter().filter_map(|run| balanced(run, k, batch));
        format!("{} at batch {batch}", shown(cells::mean(each)))
    });
    Cell {
        shown_by: if told(loss) {
            Some("by the loss")
        } else {
            told(gradient).then_some("by the gradient's norm")
        },
        seen: format!(
            "C orders {} of the pairs rightly, the gradient's norm {}, the loss {}, and C among random masks alone {}; the level 1 sorts {} (balanced)",
            shown(c),
            shown(gradient),
            shown(loss),
            shown(runs.average(k, true, |r| r.c)),
            levels.join(", ")
        ),
        ..Cell::new(format!("step {step}"), runs.0.iter().map(fate).map(Some))
    }
}

fn examine(runs: &Runs, draw: &Draw) -> Finding {
    let first = runs.0.first().and_then(|run| run.first());
    let steps = first.map_or(Vec::new(), |row| {
        row.readings.iter().map(|r| r.step).collect()
    });
    let cells: Vec<Cell> = steps
        .iter()
        .enumerate()
        .map(|(k, &step)| cell(runs, k, step))
        .collect();
    let sentence = "C tells winners from losers";
    let mut finding = cells::judge(&cells, draw, sentence)
        .with_scope("C is read before", |c| cells[c].name.clone());
    finding.cases = runs.0.iter().map(Vec::len).sum::<usize>() as u64;
    finding
}

/// As many runs of made-up subnetworks, every other one a winner, whose `C` is what `c` says for winners and losers, and whose loss and
/// gradient tell nothing.
fn made_up(like: &Runs, c: impl Fn(bool, usize) -> f64) -> Runs {
    let runs = like.0.iter().map(|run| {
        let rows = run.iter().enumerate().map(|(k, row)| {
            let wins = k % 2 == 0;
            let mut row = row.clone();
            row.share = 0.5;
            (row.whole_accuracy, row.whole_loss) = (0.9, Some(0.3));
            row.accuracy = if wins { 0.9 } else { 0.8 };
            row.loss = Some(if wins { 0.3 } else { 0.6 });
            for reading in &mut row.readings {
                (reading.gradient, reading.loss) = (Some(1.0), Some(1.0));
                reading.c = Some(c(wins, k));
            }
            row
        });
        rows.collect()
    });
    Runs(runs.collect())
}

fn tells() -> Check {
    let seeds = shipped::study(SCENARIO).map_or(5, |study| study.tiers().seeds(Tier::Standard));
    let spec = Spec {
        id: "tells",
        role: Role::AsWritten,
        kind: Kind::Runs,
        hypothesis: "of two subnetworks of the same share of weights, one that trains as well as the whole and one that does not, the former has the larger C in more than three quarters of the pairs of a run, at each reading, and no plain quantity tells as much",
        tolerance: TOLERATED_FAILURES,
        detectable: Size::of(
            &format!("share of runs that violate the sentence, with {seeds} runs"),
            cells::detectable(seeds, READINGS),
        ),
    };
    let build = |bench: &Bench| {
        let real = Runs(cells::by_seed(bench.runs.rows(SCENARIO)?, |row: &Row| {
            row.seed
        }));
        Ok(Worlds {
            // of three pairs C orders two rightly
            defect: Planted {
                what: "subnetworks whose C orders two pairs of three rightly",
                size: 1.0,
                world: made_up(&real, |wins, k| match (wins, k / 2 % 3) {
                    (true, _) => 1.0,
                    (false, 0) => 2.0,
                    (false, _) => 0.5,
                }),
            },
            truth: Planted {
                what: "subnetworks whose C orders every pair rightly, with losses and gradients that tell nothing",
                size: 0.0,
                world: made_up(&real, |wins, k| if wins { 1.0 + k as f64 } else { 0.5 }),
            },
            real,
        })
    };
    Check::built(spec, build, examine)
}

/// Readings of a subnetwork, each of which the sentence has to be true at.
const READINGS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn row(share: f64, accuracy: f64, c: f64) -> Row {
        Row {
            seed: 0,
            method: Method::Random,
            draw: 0,
            share,
            readings: vec![Reading {
                step: 0,
                c: Some(c),
                gradient: Some(1.0),
                loss: Some(1.0),
            }],
            accuracy,
            loss: Some(1.0 - accuracy),
            whole_accuracy: 0.9,
            whole_loss: Some(0.1),
        }
    }

    #[test]
    fn only_winners_and_losers_of_one_share_are_compared_and_ties_count_by_halves() {
        let rows = [
            row(0.5, 0.9, 2.0),
            row(0.5, 0.5, 1.0),
            row(0.5, 0.5, 2.0),
            // of another share: compared with none
            row(0.9, 0.5, 3.0),
        ];
        let all: Vec<&Row> = rows.iter().collect();
        let of = |rows: &[&Row]| concordance(rows, DEFINITIONS[0], |r| r.readings[0].c);
        assert_eq!(of(&all), Some(0.75));
        assert_eq!(of(&all[..1]), None);
    }

    #[test]
    fn the_level_one_sorts_by_the_batch_that_it_is_read_at() {
        let rows = [row(0.5, 0.9, 0.1), row(0.5, 0.5, 0.01), row(0.9, 0.5, 0.05)];
        assert_eq!(balanced(&rows, 0, 1), Some(0.5));
        assert_eq!(balanced(&rows, 0, 15), Some(1.0));
        assert_eq!(balanced(&rows, 0, 50), Some(0.75));
        assert_eq!(balanced(&rows[..1], 0, 1), None);
    }

    #[test]
    fn a_point_below_the_whole_still_trains_as_well_and_two_do_not() {
        assert!(DEFINITIONS[0](&row(0.5, 0.891, 1.0)));
        assert!(!DEFINITIONS[0](&row(0.5, 0.88, 1.0)));
        assert!(DEFINITIONS[1](&row(0.5, 0.891, 1.0)));
        assert!(!DEFINITIONS[1](&row(0.5, 0.88, 1.0)));
    }

    #[test]
    fn the_number_of_readings_is_that_of_the_scenario() -> crate::error::Result<()> {
        let text = shipped::text(SCENARIO)?;
        assert!(
            text.contains("readings = [0, 10, 50] "),
            "three, and the end"
        );
        assert_eq!(READINGS, 4);
        Ok(())
    }
}
