//! The transition is less sharp in networks of more than 100 layers.

use super::cells::{self, Cell};
use super::runs::Fate;
use super::{Claim, Origin, Sentence};
use crate::evidence::kernels::TOLERATED_FAILURES;
use crate::evidence::{
    Bench, Check, Draw, Finding, Kind as CheckKind, Planted, Role, Size, Spec, Worlds,
};
use crate::scenarios::Scenario;
use crate::scenarios::depth::{DepthCurve, DepthStudy};
use crate::scenarios::models::deep::Kind;
use crate::scenarios::shipped;
use crate::tier::Tier;

/// The scenario whose runs are judged.
const SCENARIO: &str = "depth";

/// More layers than these are very many.
const DEEP: usize = 100;

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "very-deep",
        origin: Origin::Document,
        statement: "The transition is less sharp in networks of more than 100 layers.",
        sentence: Some(Sentence {
            section: "Empirical Boundaries",
            line: 314,
            sha256: "0cb11fcc7df8c97d7a82d8671399cbcb13d59841379178c94daf9115326b74cf",
            status: "stated",
        }),
        holds_when: None,
        corrected: None,
        scenarios: &[SCENARIO],
        checks: vec![
            check(
                "residual",
                "in residual networks of more than 100 layers C rises through 1 less sharply than in those of fewer",
                Kind::Residual,
            ),
            check(
                "orthogonal",
                "in plain networks with orthogonal weights at the start and more than 100 layers C rises through 1 less sharply than in those of fewer",
                Kind::Orthogonal,
            ),
            check(
                "plain",
                "in plain networks of more than 100 layers C rises through 1 less sharply than in those of fewer",
                Kind::Plain,
            ),
        ],
    }
}

/// `C` along training in logarithms: `(log(1 + step), log C)`. A reading at which `C` is undefined or not positive is left out.
fn logarithms(curve: &DepthCurve) -> Vec<[f64; 2]> {
    let pairs = curve.steps.iter().zip(&curve.c);
    pairs
        .filter_map(|(&step, c)| {
            let c = c.filter(|&c| c > 0.0)?;
            Some([(1.0 + step as f64).ln(), c.ln()])
        })
        .collect()
}

/// Half of the band that a transition crosses, in logarithms: from half of a level to twice of it.
const HALF_BAND: f64 = std::f64::consts::LN_2;

/// How sharp the transition is, by three definitions; larger is sharper.
///
/// A *transition* is the first rise of `C` through a level that goes from half of it to twice of it, whatever `C` does before and after. A
/// smaller rise is none: along stochastic training `C` goes up and down by as much at any time.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sharpness {
    /// The slope of `log C` against `log(1 + step)` where `C` rises through the level, between the readings to either side.
    slope: f64,
    /// The mean slope from the last time before it that `C` leaves half of the level to the first time after it that `C` reaches twice of
    /// it.
    band: f64,
    /// The largest slope between any two readings in a row, of the whole training.
    steepest: f64,
}

/// The time at which the line from `a` to `b` is at `level`.
fn time_at(a: [f64; 2], b: [f64; 2], level: f64) -> f64 {
    a[0] + (b[0] - a[0]) * (level - a[1]) / (b[1] - a[1])
}

fn slope([a, b]: [[f64; 2]; 2]) -> f64 {
    (b[1] - a[1]) / (b[0] - a[0])
}

/// The sharpness of the transition at `level`, in logarithms; `None` where there is none: in a network whose `C` starts above and stays,
/// or falls, or never comes there.
fn sharpness(points: &[[f64; 2]], level: f64) -> Option<Sharpness> {
    let pairs: Vec<[[f64; 2]; 2]> = points.windows(2).map(|w| [w[0], w[1]]).collect();
    let rises = |pair: &[[f64; 2]; 2], level: f64| pair[0][1] <= level && pair[1][1] > level;
    let (low, high) = (level - HALF_BAND, level + HALF_BAND);
    // the first rise above the band that comes after a rise out of what is below it, and the last such rise before
    let (leaves, comes) = (0..pairs.len()).find_map(|comes| {
        let fell = pairs[..=comes].iter().rposition(|p| rises(p, low))?;
        let dropped = pairs[fell..comes].iter().any(|p| p[1][1] <= low);
        (rises(&pairs[comes], high) && !dropped).then_some((fell, comes))
    })?;
    let at = (leaves..=comes).find(|&k| rises(&pairs[k], level))?;
    let time = |k: usize, level: f64| time_at(pairs[k][0], pairs[k][1], level);
    let band = 2.0 * HALF_BAND / (time(comes, high) - time(leaves, low));
    let steepest = pairs
        .iter()
        .map(|&p| slope(p))
        .fold(f64::NEG_INFINITY, f64::max);
    Some(Sharpness {
        slope: slope(pairs[at]),
        band,
        steepest,
    })
}

/// Which level `C` at batch 1 has to rise through.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Level {
    /// One over a measurement batch, where `C` of such batches is 1.
    Batch(u64),
    /// The middle of the steepest rise of each run by itself: the batch at which that rise is the transition.
    Steepest,
}

impl Level {
    fn name(self) -> String {
        match self {
            Self::Batch(batch) => format!("batch {batch}"),
            Self::Steepest => "the batch of each run's steepest rise".into(),
        }
    }

    fn sharpness(self, curve: &DepthCurve) -> Option<Sharpness> {
        let points = logarithms(curve);
        let level = match self {
            Self::Batch(batch) => -(batch as f64).ln(),
            Self::Steepest => {
                let pairs = points.windows(2).map(|w| [w[0], w[1]]);
                let steepest = pairs.max_by(|&a, &b| slope(a).total_cmp(&slope(b)))?;
                0.5 * (steepest[0][1] + steepest[1][1])
            }
        };
        sharpness(&points, level)
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    let middle = [values.get(n.saturating_sub(1) / 2)?, values.get(n / 2)?];
    Some(0.5 * (middle[0] + middle[1]))
}

/// The runs of one kind of network, by seed.
#[derive(Clone)]
struct Networks {
    levels: Vec<Level>,
    runs: Vec<Vec<DepthCurve>>,
    /// On labels dealt out at random.
    controls: Vec<Vec<DepthCurve>>,
}

/// Whether the very deep networks of a seed have a less sharp transition than the others: the median over either, by every definition.
/// `None` where either have no transition.
fn fate(curves: &[DepthCurve], level: Level) -> Option<Fate> {
    let of = |deep: bool| -> Vec<Sharpness> {
        let own = curves.iter().filter(|c| (c.depth > DEEP) == deep);
        own.filter_map(|c| level.sharpness(c)).collect()
    };
    let (deep, shallow) = (of(true), of(false));
    let definitions: [fn(&Sharpness) -> f64; 3] = [|s| s.slope, |s| s.band, |s| s.steepest];
    let votes: Vec<bool> = definitions
        .iter()
        .filter_map(|of| {
            let middle = |all: &[Sharpness]| median(all.iter().map(of).collect());
            Some(middle(&deep)? < middle(&shallow)?)
        })
        .collect();
    match votes.as_slice() {
        [] => None,
        votes if votes.iter().all(|&v| v) => Some(Fate::Holds),
        votes if votes.iter().all(|&v| !v) => Some(Fate::Fails),
        _ => Some(Fate::Undecided),
    }
}

fn examine(world: &Networks, draw: &Draw) -> Finding {
    let cell = |&level: &Level| {
        let same = |c: &&Vec<DepthCurve>| fate(c, level) == Some(Fate::Holds);
        Cell {
            shown_by: (2 * world.controls.iter().filter(same).count() >= world.controls.len())
                .then_some("in the control"),
            ..Cell::new(level.name(), world.runs.iter().map(|c| fate(c, level)))
        }
    };
    let cells: Vec<Cell> = world.levels.iter().map(cell).collect();
    let cases = world.runs.iter().chain(&world.controls).flatten().count();
    let sentence = "C rises from 1/2 to 2 less sharply in the very deep networks";
    let judged = cells::judge(&cells, draw, sentence);
    let mut finding = judged.with_scope("C is measured at", |c| world.levels[c].name());
    finding.cases = cases as u64;
    finding.summary += &by_depth(world);
    finding
}

/// Of every depth: how many networks have a transition at each batch, by which factor `C` changes from the start of training to its end,
/// and how well they learn.
fn by_depth(world: &Networks) -> String {
    let mut depths: Vec<usize> = world.runs.iter().flatten().map(|c| c.depth).collect();
    depths.sort_unstable();
    depths.dedup();
    let batches = world.levels.iter().filter(|&&l| l != Level::Steepest);
    let names: Vec<String> = batches
        .clone()
        .map(|l| l.name().replace("batch ", ""))
        .collect();
    let mut told = format!(
        "; how many networks have that rise at all at batches {}, how C changes from start to end, and accuracy",
        names.join("/")
    );
    for depth in depths {
        let of = |seeds: &[Vec<DepthCurve>]| -> Vec<DepthCurve> {
            let all = seeds.iter().flatten();
            all.filter(|c| c.depth == depth).cloned().collect()
        };
        let (own, control) = (of(&world.runs), of(&world.controls));
        let counts = |curves: &[DepthCurve]| -> String {
            let count = |level: &Level| {
                curves
                    .iter()
                    .filter(|c| level.sharpness(c).is_some())
                    .count()
            };
            let counts: Vec<String> = batches.clone().map(|l| count(l).to_string()).collect();
            counts.join("/")
        };
        let change = |curves: &[DepthCurve]| {
            let ends = curves.iter().filter_map(|c| {
                let points = logarithms(c);
                Some((points.last()?[1] - points.first()?[1]).exp())
            });
            median(ends.collect()).map_or("none".to_owned(), |s| format!("{s:.1e}"))
        };
        let accuracy = median(own.iter().map(DepthCurve::best_accuracy).collect());
        told += &format!(
            "; {depth} layers: {} of {} (control {}), times {} (control {}), {:.0}%",
            counts(&own),
            own.len(),
            counts(&control),
            change(&own),
            change(&control),
            100.0 * accuracy.unwrap_or(f64::NAN),
        );
    }
    told
}

/// The scenario as it is shipped.
fn study() -> DepthStudy {
    let text = shipped::text(SCENARIO).expect("it is shipped");
    toml::from_str(text).expect("a test reads every shipped scenario")
}

impl Networks {
    fn of(curves: Vec<DepthCurve>, kind: Kind) -> Self {
        let mut seeds: Vec<u64> = curves.iter().map(|c| c.seed).collect();
        seeds.sort_unstable();
        seeds.dedup();
        let arm = |shuffled: bool| {
            let of_seed = |&seed: &u64| {
                let own = |c: &&DepthCurve| (c.seed, c.kind, c.shuffled) == (seed, kind, shuffled);
                curves.iter().filter(own).cloned().collect()
            };
            seeds.iter().map(of_seed).collect()
        };
        let batches = study().batch_sizes.into_iter().map(Level::Batch);
        Self {
            levels: batches.chain([Level::Steepest]).collect(),
            runs: arm(false),
            controls: arm(true),
        }
    }

    /// As many made-up networks, measured at batch 1: `C` rises from 1/16 to 16 in ten steps of one in the logarithm of the number of
    /// steps, all within `span` of them; the very deep ones within `deep`. In the controls it does not rise.
    fn made_up(like: &Self, span: f64, deep: f64) -> Self {
        let curve = |like: &DepthCurve| {
            let span = if like.depth > DEEP { deep } else { span };
            let steps: Vec<u64> = (0..12).map(|k| f64::from(k).exp() as u64).collect();
            let c = steps.iter().map(|&step| {
                let along = (((1.0 + step as f64).ln() - 5.0) / span).clamp(-0.5, 0.5);
                let rise = if like.shuffled { -0.1 } else { 256f64.ln() };
                Some((rise * along).exp())
            });
            DepthCurve {
                c: c.collect(),
                accuracy: vec![0.5; steps.len()],
                loss: vec![1.0; steps.len()],
                steps,
                ..like.clone()
            }
        };
        let seeds = |seeds: &[Vec<DepthCurve>]| -> Vec<Vec<DepthCurve>> {
            seeds
                .iter()
                .map(|s| s.iter().map(curve).collect())
                .collect()
        };
        Self {
            levels: vec![Level::Batch(1)],
            runs: seeds(&like.runs),
            controls: seeds(&like.controls),
        }
    }
}

fn check(id: &'static str, hypothesis: &'static str, kind: Kind) -> Check {
    // what the default report promises
    let scenario = shipped::scenario(SCENARIO).expect("a test reads every shipped scenario");
    let seeds = match &scenario {
        Scenario::Study(study) => study.tiers().seeds(Tier::Standard),
        _ => unreachable!("it is a study"),
    };
    let cells = study().batch_sizes.len() + 1;
    let detectable = cells::detectable(seeds, cells);
    let promise = format!("share of seeds that violate the sentence, with {seeds} seeds");
    let spec = Spec {
        id,
        role: Role::AsWritten,
        kind: CheckKind::Runs,
        hypothesis,
        tolerance: TOLERATED_FAILURES,
        detectable: Size::of(&promise, detectable),
    };
    let build = move |bench: &Bench| {
        let real = Networks::of(bench.runs.rows(SCENARIO)?, kind);
        let [sharper, softer] = [2.0, 8.0].map(|deep| Networks::made_up(&real, 4.0, deep));
        Ok(Worlds {
            real,
            defect: Planted {
                what: "networks in which C rises through 1 within 4 units of log step, very deep ones within 2",
                size: 1.0,
                world: sharper,
            },
            truth: Planted {
                what: "networks in which C rises through 1 within 4 units of log step, very deep ones within 8, and controls in which it does not rise",
                size: 0.0,
                world: softer,
            },
        })
    };
    Check::built(spec, build, examine)
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    /// `C = exp(y)` at the times `log(1 + step)`.
    fn points(pairs: &[(f64, f64)]) -> Vec<[f64; 2]> {
        pairs.iter().map(|&(x, y)| [x, y]).collect()
    }

    #[test]
    fn a_straight_rise_has_one_sharpness_by_all_definitions() {
        let line = points(&[(0.0, -2.0), (1.0, -1.0), (2.0, 0.0), (3.0, 1.0), (4.0, 2.0)]);
        let found = sharpness(&line, 0.5).expect("it rises through it");
        assert_relative_eq!(found.slope, 1.0, epsilon = 1e-15);
        assert_relative_eq!(found.band, 1.0, epsilon = 1e-14);
        assert_relative_eq!(found.steepest, 1.0, epsilon = 1e-15);
    }

    #[test]
    fn a_plateau_in_the_band_softens_the_transition_by_the_band_alone() {
        // slope 4 where it passes 0, but four units of time inside of the band
        let curve = points(&[
            (0.0, -2.0),
            (1.0, -0.2),
            (3.0, -0.2),
            (3.1, 0.2),
            (5.0, 0.2),
            (6.0, 2.0),
        ]);
        let found = sharpness(&curve, 0.0).expect("it rises through it");
        assert_relative_eq!(found.slope, 4.0, epsilon = 1e-12);
        assert!(found.band < 0.35, "{found:?}");
    }

    #[test]
    fn without_a_rise_through_the_level_there_is_no_transition() {
        assert_eq!(sharpness(&points(&[(0.0, 2.0), (1.0, -2.0)]), 0.0), None);
        assert_eq!(sharpness(&points(&[(0.0, -2.0), (1.0, -1.0)]), 0.0), None);
        assert_eq!(sharpness(&points(&[(0.0, 1.0), (1.0, 2.0)]), 0.0), None);
        // a rise that does not leave the band on both sides is none
        assert_eq!(sharpness(&points(&[(0.0, -0.1), (1.0, 2.0)]), 0.0), None);
        assert_eq!(
            sharpness(&points(&[(0.0, -2.0), (1.0, 0.1), (2.0, -2.0)]), 0.0),
            None
        );
        // and of two the first is taken
        let two = points(&[
            (0.0, -1.0),
            (1.0, 0.1),
            (2.0, -1.0),
            (3.0, 1.0),
            (4.0, -1.0),
            (4.1, 1.0),
        ]);
        assert_relative_eq!(sharpness(&two, 0.0).expect("there are two").slope, 2.0);
        assert_eq!(sharpness(&[], 0.0), None);
    }
}
