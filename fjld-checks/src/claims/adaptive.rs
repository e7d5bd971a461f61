//! `C` of the gradients that an adaptive optimiser steps along.

mod trained;

use super::{Claim, Origin, Sentence};
use crate::evidence::kernels::equivalence;
use crate::evidence::rational::{Q, q, tuple};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Outcome, Planted, Role, Size, Spec, Worlds};
use fjld_core::rng::standard_normals;
use fjld_core::{Moments, Ratio};
use num_traits::{One, Zero};
use statrs::distribution::{ContinuousCDF, Normal};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "adaptive",
        origin: Origin::Document,
        statement: "Adaptive optimisers precondition by the Fisher information implicitly (so that C of preconditioned gradients should apply to them; adaptive-ratio judges by runs whether it does, and this what the preconditioner is and what its C says).",
        sentence: Some(Sentence {
            section: "FAQ",
            line: 391,
            sha256: "eb8255e5c85ed5b01be3d0920615bb0bda793ae3116b0253e3912e511398365d",
            status: "speculative",
        }),
        holds_when: Some("all coordinates have the same second moment"),
        corrected: Some(
            "Adam divides by the square root of v = E g^2 and not by v. With v at that value the ratio of its preconditioned gradients is C_Adam = s/(1 - s), s the mean over coordinates of mu_i^2 / E g_i^2, so it exceeds 1 if and only if s exceeds 1/2.",
        ),
        scenarios: &[],
        checks: vec![
            is_fisher("inverse-second-moment", Role::AsWritten, Populations::Any),
            is_fisher(
                "one-second-moment",
                Role::HoldsWhen,
                Populations::OneSecondMoment { stretch: 1 },
            ),
            identity(),
            adam_itself(),
            trained::on_a_network(),
        ],
    }
}

/// Gradients of two coordinates, equally likely.
#[derive(Clone, Copy)]
enum Populations {
    /// Two values of any kind.
    Any,
    /// The second coordinate is the first with its signs changed at will, `stretch` times as large.
    OneSecondMoment { stretch: i64 },
}

type Population = Vec<Vec<Q>>;

fn populations(which: Populations) -> Part<Population> {
    match which {
        Populations::Any => Part::new(&[&[Axis::Any; 4]], 3, |c| {
            Some(c.chunks(2).map(<[Q]>::to_vec).collect())
        }),
        // the last two choose the signs
        Populations::OneSecondMoment { stretch } => Part::new(&[&[Axis::Any; 4]], 2, move |c| {
            let signed =
                |v: &Q, sign: &Q| v * q(if sign > &Q::zero() { stretch } else { -stretch }, 1);
            Some(vec![
                vec![c[0].clone(), signed(&c[0], &c[2])],
                vec![c[1].clone(), signed(&c[1], &c[3])],
            ])
        }),
    }
}

/// `E g_i` and `E g_i^2` of every coordinate.
fn moments(points: &[Vec<Q>]) -> Vec<(Q, Q)> {
    let n = q(points.len() as i64, 1);
    (0..points[0].len())
        .map(|i| {
            let first = points.iter().map(|p| p[i].clone()).sum::<Q>() / &n;
            let second = points.iter().map(|p| &p[i] * &p[i]).sum::<Q>() / &n;
            (first, second)
        })
        .collect()
}

fn shown(points: &[Vec<Q>]) -> String {
    let points: Vec<String> = points.iter().map(|p| tuple(p)).collect();
    points.join(" or ")
}

/// Adam's factors and the Fisher information's are one preconditioner when they agree up to one number: `v_1^(1/2) : v_2^(1/2)` is
/// `v_1 : v_2`. Squares are compared.
fn examine_fisher(which: &Populations, _: &Draw) -> Finding {
    search(&[populations(*which)], |points| {
        let seconds: Vec<Q> = moments(points).into_iter().map(|(_, v)| v).collect();
        if seconds.iter().any(Zero::is_zero) {
            return None;
        }
        let quotient = &seconds[0] / &seconds[1];
        (&quotient * &quotient != quotient).then(|| {
            format!(
                "gradients {} with equal chance: v = E g^2 = {}; the squared quotient of the two factors is {} for 1/sqrt(v), and {} for 1/v",
                shown(points),
                tuple(&seconds),
                quotient.recip(),
                (&quotient * &quotient).recip()
            )
        })
    })
}

fn is_fisher(id: &'static str, role: Role, real: Populations) -> Check {
    let spec = Spec {
        id,
        role,
        kind: Kind::Exact,
        hypothesis: "the factors 1/sqrt(E g_i^2) that Adam applies are those of the inverse diagonal of E g g', up to one number",
        tolerance: 0.0,
        detectable: Size::of("quotient of root mean square gradients", 2.0),
    };
    let worlds = Worlds {
        real,
        defect: Planted {
            what: "one coordinate twice the other",
            size: 2.0,
            world: Populations::OneSecondMoment { stretch: 2 },
        },
        truth: Planted {
            what: "coordinates that differ in sign only",
            size: 0.0,
            world: Populations::OneSecondMoment { stretch: 1 },
        },
    };
    Check::new(spec, worlds, examine_fisher)
}

/// `v` is multiplied by `1 + of_128/128` in the last coordinate only; for populations of two or three points, or on the line.
struct Second {
    of_128: i64,
    one_dimension: bool,
}

fn examine_identity(world: &Second, _: &Draw) -> Finding {
    let population = |points: usize, d: usize, max_height| {
        Part::new(&[&vec![Axis::Any; points * d]], max_height, move |c| {
            Some(c.chunks(d).map(<[Q]>::to_vec).collect::<Population>())
        })
    };
    let parts = if world.one_dimension {
        vec![population(2, 1, 4)]
    } else {
        vec![
            population(2, 1, 4),
            population(2, 2, 2),
            population(3, 2, 1),
        ]
    };
    let error = q(128 + world.of_128, 128);
    search(&parts, |points| {
        let moments = moments(points);
        let d = moments.len();
        if moments.iter().any(|(_, second)| second.is_zero()) {
            return None;
        }
        let scale = |i: usize| {
            let second = moments[i].1.clone();
            if i + 1 == d { second * &error } else { second }
        };
        // |P mu|^2 and E|P (g - mu)|^2 with P = v^(-1/2), which enters by its square only
        let signal: Q = (0..d)
            .map(|i| &moments[i].0 * &moments[i].0 / scale(i))
            .sum();
        let noise: Q = points
            .iter()
            .map(|p| {
                let terms = (0..d).map(|i| {
                    let gap = &p[i] - &moments[i].0;
                    &gap * &gap / scale(i)
                });
                terms.sum::<Q>()
            })
            .sum::<Q>()
            / q(points.len() as i64, 1);
        let s = moments.iter().map(|(m, v)| m * m / v).sum::<Q>() / q(d as i64, 1);
        let room = Q::one() - &s;
        let crosses = (signal > noise) == (s > q(1, 2));
        (&signal * &room != &s * &noise || !crosses).then(|| {
            format!(
                "gradients {} with equal chance: s = {s}, |P mu|^2 = {signal}, E|P (g - mu)|^2 = {noise}",
                shown(points)
            )
        })
    })
}

fn identity() -> Check {
    let spec = Spec {
        id: "identity",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "with P = diag(E g_i^2)^(-1/2), |P mu|^2 (1 - s) = s E|P (g - mu)|^2, and the former exceeds the latter exactly when s > 1/2",
        tolerance: 0.0,
        detectable: Size::of("relative error of one v", 1.0 / 64.0),
    };
    let second = |of_128, one_dimension| Second {
        of_128,
        one_dimension,
    };
    let worlds = Worlds {
        real: second(0, false),
        defect: Planted {
            what: "a v that is 1/64 too large in the last coordinate",
            size: 1.0 / 64.0,
            world: second(2, false),
        },
        truth: Planted {
            what: "the line",
            size: 0.0,
            world: second(0, true),
        },
    };
    let worlds = worlds.violated_by(move |error| second((128.0 * error) as i64, false));
    Check::new(spec, worlds, examine_identity)
}

/// Adam's second moment as it is run: its decay, and the power of `v` that a gradient is divided by.
struct Adam {
    power: f64,
    root_mean_squares: [f64; 3],
}

/// The usual decay of Adam's second moment.
const DECAY: f64 = 0.999;

/// Steps until what `v` started from has a weight of `e^-10`.
const WARM_UP: usize = 10_000;

/// With `v` still moving by `sqrt((1 - DECAY)/2)` of itself times the spread of squares, 1 or so, the ratio is off by a few times
/// 0.001; the rest of this is for the interval.
const TOLERANCE: f64 = 0.05;

/// Squared mean over second moment, a coordinate each.
const SHARES: [f64; 3] = [0.8, 0.5, 0.1];

fn examine_adam(world: &Adam, draw: &Draw) -> Finding {
    let normal = Normal::new(0.0, 1.0).expect("a standard normal exists");
    let Draw { seed, rates } = draw;
    let quantiles =
        normal.inverse_cdf(1.0 - rates.false_alarm / 2.0) + normal.inverse_cdf(1.0 - rates.miss);
    let s = SHARES.iter().sum::<f64>() / SHARES.len() as f64;
    let expected = s / (1.0 - s);
    // relative variance of the ratio: 4 mu'D mu/|mu|^4 <= 4/C from the mean and at most 2 from the trace, and twice as much to be sure
    let variance = 2.0 * (4.0 / expected + 2.0);
    let count = (variance * (quantiles / TOLERANCE).powi(2)).ceil() as usize;
    let generator = &mut seed.generator();
    let estimates = (|| -> fjld_core::Result<Option<(f64, fjld_core::Interval)>> {
        let mut moments = Moments::new(SHARES.len())?;
        let mut v = [0.0; SHARES.len()];
        for step in 1..=WARM_UP + count {
            let z = standard_normals(generator, SHARES.len());
            let correction = 1.0 - DECAY.powi(step as i32);
            let mut applied = [0.0; SHARES.len()];
            for i in 0..SHARES.len() {
                let share = SHARES[i];
                let g = world.root_mean_squares[i] * (share.sqrt() + (1.0 - share).sqrt() * z[i]);
                v[i] = DECAY * v[i] + (1.0 - DECAY) * g * g;
                applied[i] = g / (v[i] / correction).powf(world.power);
            }
            if step > WARM_UP {
                moments.push(&applied)?;
            }
        }
        let ratio = Ratio::estimate(&moments, 1.0 - rates.false_alarm)?;
        Ok(ratio
            .estimates
            .ok()
            .and_then(|e| Some((e.debiased, e.interval.ok()?))))
    })();
    let Ok(Some((debiased, mut interval))) = estimates else {
        return Finding::new(Outcome::Undecided, 0, "the library refused a gradient");
    };
    interval.low /= expected;
    interval.high /= expected;
    let effect = debiased / expected;
    let outcome = equivalence(effect, interval, 1.0, TOLERANCE);
    let summary = format!(
        "C of the gradients that Adam steps along over s/(1 - s) = {expected:.3} is {effect:.3} [{:.3}, {:.3}]",
        interval.low, interval.high
    );
    let mut finding = Finding::new(outcome, count as u64, summary);
    finding.effect = Some(effect);
    finding.interval = Some([interval.low, interval.high]);
    finding.needing(count)
}

/// Root mean square gradients, a coordinate each, far apart.
const UNEQUAL: [f64; 3] = [0.1, 1.0, 3.0];

/// The relative error of `C_Adam` where `v` is taken to a `power` other than a half: that weighs the coordinates with
/// `v^(1 - 2 power)` on top.
fn moved(power: f64) -> f64 {
    let weighted = |f: &dyn Fn(f64) -> f64| {
        let pairs = SHARES.iter().zip(UNEQUAL);
        pairs
            .map(|(&share, r)| f(share) * r.powf(2.0 - 4.0 * power))
            .sum::<f64>()
    };
    let s = SHARES.iter().sum::<f64>() / SHARES.len() as f64;
    weighted(&|x| x) / weighted(&|x| 1.0 - x) * (1.0 - s) / s - 1.0
}

/// The power below a half that moves `C_Adam` by this much.
fn power_that_moves(size: f64) -> f64 {
    let (mut low, mut high) = (0.0, 0.5);
    // thirty halvings: to 1e-9
    for _ in 0..30 {
        let middle = 0.5 * (low + high);
        if moved(middle).abs() > size {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

fn adam_itself() -> Check {
    let spec = Spec {
        id: "adam-itself",
        role: Role::Corrected,
        kind: Kind::Statistical,
        hypothesis: "gradients divided by the root of Adam's running v, with its decay of 0.999 and bias correction, have the ratio s/(1 - s)",
        tolerance: TOLERANCE,
        detectable: Size::of("relative error of C_Adam", 2.0 * TOLERANCE),
    };
    let adam = |power, root_mean_squares| Adam {
        power,
        root_mean_squares,
    };
    let worlds = Worlds {
        real: adam(0.5, UNEQUAL),
        defect: Planted {
            what: "v to the power 0.47 instead of its root",
            size: moved(0.47).abs(),
            world: adam(0.47, UNEQUAL),
        },
        truth: Planted {
            what: "coordinates of one second moment",
            size: 0.0,
            world: adam(0.5, [1.0; 3]),
        },
    };
    let worlds = worlds.violated_by(move |size| adam(power_that_moves(size), UNEQUAL));
    Check::new(spec, worlds, examine_adam)
}
