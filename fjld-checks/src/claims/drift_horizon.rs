//! `C` as the border between a random walk and directed motion, and the number of steps that it leaves out.

use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Q, power, q, squared_norm, tuple};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use num_traits::{One, Zero};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "drift-horizon",
        origin: Origin::Document,
        statement: "Where C is below 1 the parameters walk at random, noise outweighing signal; where it is above 1 they move in a direction.",
        sentence: Some(Sentence {
            section: "Phase Transition",
            line: 49,
            sha256: "9d0592b0ebc0ced792b8ac8411a577e635bdbe32f70557bf380831d03aae49b6",
            status: "stated",
        }),
        holds_when: Some("one single step is looked at"),
        corrected: Some(
            "Over k steps with constant mu and D and independent draws, squared drift over noise is k C: the motion is directed from k > 1/C on, whatever C is. On a quadratic loss of curvature h with step size eta (eta h < 1) it falls short of k C by at most the share (k-1) eta h / 2, so this needs 1/C << 1/(eta h); and it never exceeds C (2 - eta h)/(eta h), so that no horizon is directed once C <= eta h/(2 - eta h).",
        ),
        scenarios: &[],
        checks: vec![
            side(
                "below-one",
                Role::AsWritten,
                "C < 1 implies that noise outweighs drift over one to four steps",
                Horizons::upto(4),
                Side::Below,
            ),
            side(
                "above-one",
                Role::AsWritten,
                "C > 1 implies that drift outweighs noise over one to four steps",
                Horizons::upto(4),
                Side::Above,
            ),
            side(
                "one-step-below",
                Role::HoldsWhen,
                "C < 1 implies that noise outweighs drift in one step",
                Horizons::upto(1),
                Side::Below,
            ),
            side(
                "one-step-above",
                Role::HoldsWhen,
                "C > 1 implies that drift outweighs noise in one step",
                Horizons::upto(1),
                Side::Above,
            ),
            grows_with_steps(),
            quadratic("short-horizon", Bound::Lower),
            quadratic("never-more", Bound::Upper),
        ],
    }
}

/// Which half of the sentence is judged.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Below,
    Above,
}

/// Steps looked at, and how the draws of one path depend on each other.
#[derive(Clone, Copy)]
struct Horizons {
    steps: u32,
    /// The mean of every later step is smaller by this many eighths of itself.
    fades: i64,
    /// With this chance, in sixteenths, the second draw repeats the first.
    repeats: i64,
    /// Two points in one dimension only.
    two_points: bool,
}

impl Horizons {
    fn upto(steps: u32) -> Self {
        Self {
            steps,
            fades: 0,
            repeats: 0,
            two_points: false,
        }
    }

    fn parts(self) -> Vec<Part<Vec<Vec<Q>>>> {
        let population = |points: usize, d: usize, max_height| {
            Part::new(&[&vec![Axis::Any; points * d]], max_height, move |c| {
                Some(c.chunks(d).map(<[Q]>::to_vec).collect::<Vec<_>>())
            })
        };
        if self.two_points {
            vec![population(2, 1, 3)]
        } else {
            vec![
                population(2, 1, 3),
                population(3, 1, 1),
                population(2, 2, 1),
            ]
        }
    }

    /// Squared drift and noise of the sum of `steps` gradients, over every path of draws from the population.
    fn drift_and_noise(self, points: &[Vec<Q>], steps: u32) -> (Q, Q) {
        let (n, d) = (points.len(), points[0].len());
        let average = mean(points);
        let (mut drift, mut square, mut total) = (vec![Q::zero(); d], Q::zero(), Q::zero());
        for code in 0..n.pow(steps) {
            let path: Vec<usize> = (0..steps).map(|k| code / n.pow(k) % n).collect();
            let weight = match path.get(1) {
                Some(second) if *second == path[0] => {
                    q(16 - self.repeats + self.repeats * n as i64, 16)
                }
                Some(_) => q(16 - self.repeats, 16),
                None => Q::one(),
            };
            let lost = q(self.fades * i64::from(steps - 1), 8);
            let sum: Vec<Q> = (0..d)
                .map(|j| {
                    path.iter().map(|&i| points[i][j].clone()).sum::<Q>() - &average[j] * &lost
                })
                .collect();
            square += squared_norm(&sum) * &weight;
            drift
                .iter_mut()
                .zip(&sum)
                .for_each(|(m, s)| *m += s * &weight);
            total += weight;
        }
        drift.iter_mut().for_each(|m| *m /= &total);
        let drift = squared_norm(&drift);
        let noise = square / total - &drift;
        (drift, noise)
    }
}

fn mean(points: &[Vec<Q>]) -> Vec<Q> {
    let n = q(points.len() as i64, 1);
    (0..points[0].len())
        .map(|j| points.iter().map(|p| p[j].clone()).sum::<Q>() / &n)
        .collect()
}

/// `|mu|^2` and `Tr D` of one gradient from the population.
fn moments(points: &[Vec<Q>]) -> (Q, Q) {
    let signal = squared_norm(&mean(points));
    let n = q(points.len() as i64, 1);
    let noise = points.iter().map(|p| squared_norm(p)).sum::<Q>() / n - &signal;
    (signal, noise)
}

fn shown(points: &[Vec<Q>]) -> String {
    let points: Vec<String> = points.iter().map(|p| tuple(p)).collect();
    points.join(" or ")
}

fn examine_side((horizons, side): &(Horizons, Side), _: &Draw) -> Finding {
    search(&horizons.parts(), |points| {
        let (signal, noise) = moments(points);
        if noise.is_zero() || (*side == Side::Below) != (signal < noise) || signal == noise {
            return None;
        }
        let c = &signal / &noise;
        (1..=horizons.steps).find_map(|steps| {
            let (drift, spread) = horizons.drift_and_noise(points, steps);
            let kept = match side {
                Side::Below => drift < spread,
                Side::Above => drift > spread,
            };
            (!kept).then(|| {
                format!(
                    "each gradient {} with equal chance: |mu|^2 = {signal}, Tr D = {noise}, C = {c}; after {steps} steps squared drift {drift}, noise {spread}",
                    shown(points)
                )
            })
        })
    })
}

fn side(
    id: &'static str,
    role: Role,
    hypothesis: &'static str,
    horizons: Horizons,
    side: Side,
) -> Check {
    // a drift that fades can only hide motion, and a longer horizon can only show it
    let (what, size, planted) = match side {
        Side::Below => ("three steps instead of one", 3.0, Horizons::upto(3)),
        Side::Above => (
            "a mean that is gone after the first of two steps",
            2.0,
            Horizons {
                fades: 8,
                ..Horizons::upto(2)
            },
        ),
    };
    let spec = Spec {
        id,
        role,
        kind: Kind::Exact,
        hypothesis,
        tolerance: 0.0,
        detectable: Size::of("steps looked at", size),
    };
    let worlds = Worlds {
        real: (horizons, side),
        defect: Planted {
            what,
            size,
            world: (planted, side),
        },
        truth: Planted {
            what: "one step of gradients with two values",
            size: 0.0,
            world: (
                Horizons {
                    two_points: true,
                    ..Horizons::upto(1)
                },
                side,
            ),
        },
    };
    Check::new(spec, worlds, examine_side)
}

fn examine_growth(horizons: &Horizons, _: &Draw) -> Finding {
    search(&horizons.parts(), |points| {
        let (signal, noise) = moments(points);
        (1..=horizons.steps).find_map(|steps| {
            let (drift, spread) = horizons.drift_and_noise(points, steps);
            let k = q(i64::from(steps), 1);
            // without a division, so that a vanished noise is a case as well
            let kept = &drift * &noise == k * &signal * &spread;
            (!kept).then(|| {
                format!(
                    "each gradient {} with equal chance: |mu|^2 = {signal}, Tr D = {noise}; after {steps} steps squared drift {drift}, noise {spread}",
                    shown(points)
                )
            })
        })
    })
}

fn grows_with_steps() -> Check {
    let spec = Spec {
        id: "grows-with-steps",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "over every path of one to four independent draws, squared drift over noise is k C",
        tolerance: 0.0,
        detectable: Size::of("chance that the second draw repeats the first", 1.0 / 16.0),
    };
    let worlds = Worlds {
        real: Horizons::upto(4),
        defect: Planted {
            what: "a second draw that repeats the first in one path of sixteen",
            size: 1.0 / 16.0,
            world: Horizons {
                repeats: 1,
                ..Horizons::upto(2)
            },
        },
        truth: Planted {
            what: "one step of gradients with two values",
            size: 0.0,
            world: Horizons {
                two_points: true,
                ..Horizons::upto(1)
            },
        },
    };
    Check::new(spec, worlds, examine_growth)
}

/// Which of the bounds on a quadratic loss is judged.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bound {
    /// `k C (1 - (k-1) eta h / 2)` from below, and `k C` from above.
    Lower,
    /// `C (2 - eta h) / (eta h)` from above.
    Upper,
}

/// Stochastic gradient descent on `L = h theta^2 / 2`, followed exactly for up to `steps` steps; the drift is `1 + eighths/8` times as
/// large as it should be.
#[derive(Clone, Copy)]
struct Path {
    bound: Bound,
    steps: usize,
    eighths: i64,
}

/// Step size times curvature, and start and noise: `theta_0` and `Tr D`.
struct Quadratic {
    step: Q,
    start: Q,
    noise: Q,
}

fn examine_path(world: &Path, _: &Draw) -> Finding {
    let axes: &[&[Axis]] = &[&[Axis::Positive, Axis::NonZero, Axis::Positive]];
    let part = Part::new(axes, 4, |c| {
        (c[0] < Q::one()).then(|| Quadratic {
            step: c[0].clone(),
            start: c[1].clone(),
            noise: c[2].clone(),
        })
    });
    let excess = q(8 + world.eighths, 8);
    search(&[part], |case| {
        // h = 1: the step size is eta h. The mean and the variance of theta follow the recursion of the update itself.
        let eta = &case.step;
        let keep = Q::one() - eta;
        let c = &case.start * &case.start / &case.noise;
        let (mut centre, mut variance) = (case.start.clone(), Q::zero());
        for k in 1..=world.steps {
            centre *= &keep;
            variance = power(&keep, 2) * variance + power(eta, 2) * &case.noise;
            let ratio = power(&(&centre - &case.start), 2) / &variance * &excess;
            let per_step = &ratio / (q(k as i64, 1) * &c);
            let shortfall = q(k as i64 - 1, 2) * eta;
            let kept = match world.bound {
                Bound::Lower => per_step <= Q::one() && per_step >= Q::one() - shortfall,
                Bound::Upper => &ratio * eta <= &c * (q(2, 1) - eta),
            };
            if !kept {
                return Some(format!(
                    "eta h = {eta}, theta_0 = {}, D = {} (h = 1): C = {c}; after {k} steps squared drift over noise is {ratio}, which is {per_step} of k C",
                    case.start, case.noise
                ));
            }
        }
        None
    })
}

fn quadratic(id: &'static str, bound: Bound) -> Check {
    let (hypothesis, steps) = match bound {
        Bound::Lower => (
            "on a quadratic loss, squared drift over noise lies between k C (1 - (k-1) eta h/2) and k C for up to 8 steps",
            8,
        ),
        Bound::Upper => (
            "on a quadratic loss, squared drift over noise never exceeds C (2 - eta h)/(eta h), for up to 24 steps",
            24,
        ),
    };
    let spec = Spec {
        id,
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis,
        tolerance: 0.0,
        detectable: Size::of("relative excess of the squared drift", 0.125),
    };
    let path = |steps, eighths| Path {
        bound,
        steps,
        eighths,
    };
    let worlds = Worlds {
        real: path(steps, 0),
        defect: Planted {
            what: "a squared drift that is 1/8 too large",
            size: 0.125,
            world: path(steps, 1),
        },
        truth: Planted {
            what: "one step",
            size: 0.0,
            world: path(1, 0),
        },
    };
    Check::new(spec, worlds, examine_path)
}
