//! Parameters that contribute little to `C` can be pruned.
//!
//! **What a parameter contributes to `C`** is its part `mu_i^2 / Tr D` of the sum; the alternative beside it is what `C` changes by without
//! it ([`Contribution`](crate::scenarios::coordinates::Contribution)). Over all training examples, at the end of training; neither order
//! depends on the measurement batch. **Little** is said by what the parts of the pruned weights add up to, relative to those of all weights
//! in their matrix, and the sentence does not name it; the other definition prunes as many weights. **Can be pruned** means that held-out
//! accuracy falls by at most two points (0.02), right away or against the whole network after a short retraining of both. A run is one
//! trained network; it counts where the definitions of a contribution agree.
//!
//! The control prunes as many weights of each matrix at random: where that costs no more in half of the runs, the effect is none. The
//! summary tells of two other ways beside it: the weights whose own ratio `mu_i^2 / D_ii` is lowest, which is no contribution to `C` but a
//! `C` itself, and, plain, the smallest weights.

use super::cells::{self, Cell};
use super::runs::Fate;
use super::{Claim, Origin, Sentence};
use crate::evidence::kernels::TOLERATED_FAILURES;
use crate::evidence::{Bench, Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use crate::scenarios::faq::Row;
use crate::scenarios::faq::pruning::{Method, Row as Pruned};
use crate::scenarios::shipped;
use crate::tier::Tier;

/// The scenario of the FAQ's advice.
pub const SCENARIO: &str = "faq";

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "pruning",
        origin: Origin::Document,
        statement: "Parameters that contribute little to C can be pruned.",
        sentence: Some(Sentence {
            section: "FAQ",
            line: 387,
            sha256: "e5026a3e6f10cbf8ff793175b7d0b9fc20da776293dd7f4f846550c7d5833bd4",
            status: "stated",
        }),
        holds_when: None,
        corrected: None,
        scenarios: &[SCENARIO],
        checks: vec![
            check(
                "at-once",
                "where the weights that contribute least to C are pruned, held-out accuracy falls by at most two points, at each sum of their parts, and where as many at random are pruned it falls by more",
                false,
            ),
            check(
                "retrained",
                "where the weights that contribute least to C are pruned and the rest is retrained for a short while, held-out accuracy is at most two points below that of the whole network trained as long, at each sum of their parts, and not so where as many at random are pruned",
                true,
            ),
        ],
    }
}

/// What a parameter contributes to `C`, by either definition.
const CONTRIBUTIONS: [Method; 2] = [Method::Part, Method::Without];

/// Held-out accuracy that pruning may cost.
const MARGIN: f64 = 0.02;

struct Networks {
    runs: Vec<Vec<Pruned>>,
    retrained: bool,
}

impl Networks {
    fn fall(&self, row: &Pruned) -> f64 {
        if self.retrained {
            row.whole_retrained - row.retrained
        } else {
            row.whole - row.accuracy
        }
    }

    /// The mean fall of a method at a level of one run.
    fn mean_fall(&self, run: &[Pruned], method: Method, little: f64) -> Option<f64> {
        let own = run
            .iter()
            .filter(|r| r.method == method && r.little == little);
        cells::mean(own.map(|r| self.fall(r)))
    }

    fn cell(&self, little: f64) -> Cell {
        let fate = |run: &Vec<Pruned>| {
            let falls = CONTRIBUTIONS.map(|m| self.mean_fall(run, m, little));
            cells::agreed(falls.into_iter().flatten().map(|fall| fall <= MARGIN))
        };
        let fates: Vec<Fate> = self.runs.iter().map(fate).collect();
        let random = |run: &&Vec<Pruned>| {
            self.mean_fall(run, Method::Random, little)
                .is_some_and(|fall| fall <= MARGIN)
        };
        let in_control = 2 * self.runs.iter().filter(random).count() >= self.runs.len();
        let average = |method| {
            let falls = self
                .runs
                .iter()
                .filter_map(|run| self.mean_fall(run, method, little));
            cells::mean(falls).map_or("undefined".into(), |fall| format!("{:.1}", 100.0 * fall))
        };
        let rows = self.runs.iter().flatten().filter(|r| r.little == little);
        Cell {
            shown_by: in_control.then_some("in the control"),
            seen: format!(
                "{:.0}% of the weights pruned cost {} points by their parts, {} by what C changes by, {} by their own ratios, {} at random, {} by size",
                100.0 * cells::mean(rows.map(|r| r.pruned)).unwrap_or(0.0),
                average(Method::Part),
                average(Method::Without),
                average(Method::Own),
                average(Method::Random),
                average(Method::Magnitude)
            ),
            ..Cell::new(
                format!("{}% of C", 100.0 * little),
                fates.into_iter().map(Some),
            )
        }
    }
}

fn examine(networks: &Networks, draw: &Draw) -> Finding {
    let mut levels: Vec<f64> = networks.runs.iter().flatten().map(|r| r.little).collect();
    levels.sort_by(f64::total_cmp);
    levels.dedup();
    let cells: Vec<Cell> = levels.into_iter().map(|l| networks.cell(l)).collect();
    let sentence = "the weights of little contribution can be pruned";
    let mut finding =
        cells::judge(&cells, draw, sentence).with_scope("little means", |c| cells[c].name.clone());
    finding.cases = networks.runs.iter().map(Vec::len).sum::<usize>() as u64;
    finding
}

/// As many made-up networks, which lose `fall` by every contribution, and half of their accuracy at random.
fn made_up(like: &Networks, fall: f64) -> Networks {
    let mut runs = like.runs.clone();
    for row in runs.iter_mut().flatten() {
        (row.whole, row.whole_retrained) = (0.9, 0.9);
        let left = match row.method {
            Method::Random => 0.45,
            _ => 0.9 - fall,
        };
        (row.accuracy, row.retrained) = (left, left);
    }
    Networks {
        runs,
        retrained: like.retrained,
    }
}

/// Levels of the scenario, each of which the sentence has to be true at.
const LEVELS: usize = 4;

fn check(id: &'static str, hypothesis: &'static str, retrained: bool) -> Check {
    let seeds = shipped::study(SCENARIO).map_or(5, |study| study.tiers().seeds(Tier::Standard));
    let spec = Spec {
        id,
        role: Role::AsWritten,
        kind: Kind::Runs,
        hypothesis,
        tolerance: TOLERATED_FAILURES,
        detectable: Size::of(
            &format!("share of runs that violate the sentence, with {seeds} runs"),
            cells::detectable(seeds, LEVELS),
        ),
    };
    let build = move |bench: &Bench| {
        let rows = bench.runs.rows::<Row>(SCENARIO)?.into_iter();
        let pruned = rows.filter_map(|row| match row {
            Row::Pruning(row) => Some(row),
            _ => None,
        });
        let real = Networks {
            runs: cells::by_seed(pruned, |row| row.seed),
            retrained,
        };
        Ok(Worlds {
            defect: Planted {
                what: "networks that lose three points",
                size: 1.0,
                world: made_up(&real, 0.03),
            },
            truth: Planted {
                what: "networks that lose one point, and half of their accuracy at random",
                size: 0.0,
                world: made_up(&real, 0.01),
            },
            real,
        })
    };
    Check::built(spec, build, examine)
}
