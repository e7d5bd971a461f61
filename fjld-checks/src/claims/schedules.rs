//! Schedules of the step size: they move the border of descent, and not `C`.
//!
//! `C = |mu|^2/Tr D` belongs to a point and a batch; no step size is in it. The border of descent on a quadratic loss,
//! `C* = eta h_D/(2 - eta h_mu)`, rises with `eta` from 0 on (where `h_D > 0`, and `H` is positive semidefinite). Solved for the step,
//! `C > C*` says
//!
//! ```text
//! eta < 2 C / (h_D + C h_mu)
//! ```
//!
//! so a schedule can cross the border at any `C > 0`.
//!
//! Along a schedule on `L = (h/2) theta^2` with constant `D` the second moment follows `E theta'^2 = (1 - eta h)^2 E theta^2 + eta^2 D`,
//! and with `C_k = h^2 theta^2/D` after `k` steps, `c = eta h`:
//!
//! ```text
//! E C_(k+1) = (1 - c)^2 E C_k + c^2
//! ```
//!
//! With constant steps that settles at `c/(2 - c) = C*`. With `c_k = a/k` and `a > 1/2`, insertion of `E C_k = A/k` gives `A (2 a - 1) =
//! a^2`: `k E C_k` goes to `a^2/(2 a - 1)` (Chung 1954, *Annals of Mathematical Statistics* 25), while the border goes as `a/(2 k)`, so
//! that `E C` stays above it by the factor `2 a/(2 a - 1)`, never at 1. Both go to 0, because `D` does not. With `g = theta (1 +- s)`,
//! whose noise vanishes at the minimum, `C = 1/s^2` under every schedule.

use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, dot, q, squared_norm, tuple};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds, worse};
use num_traits::{One, Signed, Zero};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "schedules",
        origin: Origin::Document,
        statement: "What the theory says of C does not take schedules of the step size into account.",
        sentence: Some(Sentence {
            section: "Speculative Claims (Requiring Validation)",
            line: 283,
            sha256: "612e758189224a022d1ff9228d29a5b6c5fe2bc2b2579b0e734c7ff510f0687c",
            status: "stated",
        }),
        holds_when: None,
        corrected: Some(
            "C has no step size in it, and a schedule does not move it at a point; it moves the border C* = eta h_D/(2 - eta h_mu), which on a convex quadratic loss rises with eta from 0, so that at any C > 0 a step lowers the loss on average if and only if eta < 2 C/(h_D + C h_mu). With one curvature h and constant noise, steps eta h = a/k (a > 1/2) have k E C -> a^2/(2a - 1): C goes to 0 above its border, by the factor 2a/(2a - 1) in the end, while constant steps settle on it. That takes noise at the minimum: with g = theta (1 +- s) C is 1/s^2 under every schedule, and E theta^2 falls in every step with eta < 2/(1 + s^2).",
        ),
        scenarios: &[],
        checks: vec![
            no_one_border(),
            largest_step(),
            recursion(),
            one_over_k(),
            vanishing_noise(),
        ],
    }
}

/// A point of a convex quadratic loss, with noise that is `noise` or its negative, and two step sizes.
struct Case {
    hessian: Matrix,
    mean: Vec<Q>,
    noise: Vec<Q>,
    steps: [Q; 2],
}

impl Case {
    fn ratio(&self) -> Q {
        squared_norm(&self.mean) / squared_norm(&self.noise)
    }

    /// `h_mu` for the mean, `h_D` for the noise.
    fn curvature(&self, along: &[Q]) -> Q {
        dot(along, &self.hessian.apply(along)) / squared_norm(along)
    }

    /// `E L(theta - eta g) - L(theta)`, by taking the step with either noise.
    fn change(&self, eta: &Q) -> Q {
        let after = |sign: Q| {
            let pairs = self.mean.iter().zip(&self.noise);
            let x: Vec<Q> = pairs.map(|(m, r)| -eta * (m + &sign * r)).collect();
            dot(&self.mean, &x) + dot(&x, &self.hessian.apply(&x)) / q(2, 1)
        };
        (after(Q::one()) + after(-Q::one())) / q(2, 1)
    }

    fn shown(&self) -> String {
        format!(
            "H = {}, mu = {}, noise +-{}: C = {}",
            self.hessian,
            tuple(&self.mean),
            tuple(&self.noise),
            self.ratio()
        )
    }
}

/// Which quadratics there are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Losses {
    /// Any with positive definite Hessians.
    Definite,
    /// Those with one parameter.
    Line,
    /// A valley along the first axis, with the noise along it.
    FlatNoise,
}

fn cases(losses: Losses) -> Vec<Part<Case>> {
    let steps = |c: &[Q]| [c[0].clone(), &c[0] + &c[1]];
    let line = Part::new(&[&[Axis::Positive; 5]], 2, move |c| {
        Some(Case {
            hessian: Matrix::diagonal(&c[2..3]),
            mean: c[3..4].to_vec(),
            noise: c[4..].to_vec(),
            steps: steps(c),
        })
    });
    // the step and how much longer the other is; H, mu and the noise, each up to its scale
    let axes: &[&[Axis]] = &[&[Axis::Positive; 2], &[Axis::Positive], &[Axis::Any; 3]];
    let plane = Part::new(axes, 2, move |c| {
        let flat = losses == Losses::FlatNoise;
        let hessian = if flat {
            Matrix::diagonal(&[Q::zero(), c[2].clone()])
        } else {
            Matrix::symmetric(2, &[Q::one(), c[3].clone(), c[2].clone()])
        };
        let fits = flat || hessian.is_positive_definite();
        let noise = if flat { Q::zero() } else { c[5].clone() };
        fits.then(|| Case {
            hessian,
            mean: vec![c[4].clone(), Q::one()],
            noise: vec![Q::one(), noise],
            steps: steps(c),
        })
    });
    match losses {
        Losses::Definite => vec![line, plane],
        Losses::Line => vec![line],
        Losses::FlatNoise => vec![plane],
    }
}

fn examine_border(losses: &Losses, _: &Draw) -> Finding {
    search(&cases(*losses), |case| {
        let (noise, mean) = (case.curvature(&case.noise), case.curvature(&case.mean));
        let border = |eta: &Q| {
            let room = q(2, 1) - eta * &mean;
            room.is_positive().then(|| eta * &noise / room)
        };
        let [short, long] = &case.steps;
        let (low, high) = (border(short)?, border(long)?);
        (low >= high).then(|| {
            format!(
                "{}; C* = {low} with eta = {short}, and {high} with eta = {long}",
                case.shown()
            )
        })
    })
}

fn no_one_border() -> Check {
    let spec = Spec {
        id: "no-one-border",
        role: Role::AsWritten,
        kind: Kind::Exact,
        hypothesis: "at one point of a convex quadratic loss the longer of two steps has the higher border C*, so that no one border serves a schedule",
        tolerance: 0.0,
        detectable: Size::of("share of the noise in directions without curvature", 1.0),
    };
    let worlds = Worlds {
        real: Losses::Definite,
        defect: Planted {
            what: "noise along a flat valley only, where no step size matters",
            size: 1.0,
            world: Losses::FlatNoise,
        },
        truth: Planted {
            what: "one parameter",
            size: 0.0,
            world: Losses::Line,
        },
    };
    Check::new(spec, worlds, examine_border)
}

/// The largest step is multiplied by `1 + eighths/8`.
struct Largest {
    losses: Losses,
    eighths: i64,
}

fn examine_largest(world: &Largest, _: &Draw) -> Finding {
    let error = q(8 + world.eighths, 8);
    search(&cases(world.losses), |case| {
        let c = case.ratio();
        let both = case.curvature(&case.noise) + &c * case.curvature(&case.mean);
        let largest = q(2, 1) * &c / both * &error;
        // the two step sizes, and the largest itself, which no longer lowers the loss
        let [short, long] = &case.steps;
        [short, long, &largest].into_iter().find_map(|eta| {
            let change = case.change(eta);
            (change.is_negative() != (*eta < largest)).then(|| {
                format!(
                    "{}; with eta = {eta} the loss changes by {change} on average, and 2 C/(h_D + C h_mu) = {largest}",
                    case.shown()
                )
            })
        })
    })
}

fn largest_step() -> Check {
    let spec = Spec {
        id: "largest-step",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "on a convex quadratic loss a step lowers the loss on average exactly when eta < 2 C/(h_D + C h_mu)",
        tolerance: 0.0,
        detectable: Size::of("relative error of the largest step", 0.125),
    };
    let world = |losses, eighths| Largest { losses, eighths };
    let worlds = Worlds {
        real: world(Losses::Definite, 0),
        defect: Planted {
            what: "a largest step that is 1/8 too large",
            size: 0.125,
            world: world(Losses::Definite, 1),
        },
        truth: Planted {
            what: "one parameter",
            size: 0.0,
            world: world(Losses::Line, 0),
        },
    };
    Check::new(spec, worlds, examine_largest)
}

/// Steps `eta h = a/k` for `k` from the second on, or constant ones; the recursion's noise is multiplied by `1 + eighths/8`.
struct Paths {
    constant: bool,
    eighths: i64,
}

/// Steps followed on every path of signs.
const FOLLOWED: u32 = 4;

fn examine_recursion(world: &Paths, _: &Draw) -> Finding {
    let constant = world.constant;
    // a, theta_0 and the noise, with h = 1
    let part = Part::new(
        &[&[Axis::Positive], &[Axis::Any], &[Axis::Positive]],
        3,
        |c| Some(c.to_vec()),
    );
    let excess = q(8 + world.eighths, 8);
    search(&[part], |case| {
        let [a, start, spread] = &case[..] else {
            return None;
        };
        let step = |k: u32| {
            if constant {
                a.clone()
            } else {
                a / q(i64::from(k) + 1, 1)
            }
        };
        let variance = spread * spread;
        let mut stated = start * start / &variance;
        (1..=FOLLOWED).find_map(|steps| {
            // over all signs of the noise
            let squares: Q = (0..1u32 << steps)
                .map(|signs| {
                    let end = (0..steps).fold(start.clone(), |theta, k| {
                        let noise = if signs >> k & 1 == 1 {
                            spread.clone()
                        } else {
                            -spread
                        };
                        &theta - step(k) * (&theta + noise)
                    });
                    &end * &end
                })
                .sum();
            let c = squares / q(1 << steps, 1) / &variance;
            let length = step(steps - 1);
            let keep = Q::one() - &length;
            stated = &keep * &keep * &stated + &length * &length * &excess;
            (c != stated).then(|| {
                format!("a = {a}, theta_0 = {start}, g = theta +- {spread}: E C = {c} after {steps} steps, stated {stated}")
            })
        })
    })
}

fn recursion() -> Check {
    let spec = Spec {
        id: "recursion",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "under steps eta h = a/k, over every path of up to four draws of constant noise, E C becomes (1 - eta h)^2 E C + (eta h)^2",
        tolerance: 0.0,
        detectable: Size::of("relative error of the noise", 0.125),
    };
    let world = |constant, eighths| Paths { constant, eighths };
    let worlds = Worlds {
        real: world(false, 0),
        defect: Planted {
            what: "a recursion whose noise is 1/8 too large",
            size: 0.125,
            world: world(false, 1),
        },
        truth: Planted {
            what: "constant steps",
            size: 0.0,
            world: world(true, 0),
        },
    };
    Check::new(spec, worlds, examine_recursion)
}

/// Schedules `eta h = a/k`, or the constant `a`; the steps taken are longer by `excess`, relative.
struct Limits {
    schedules: Vec<f64>,
    constant: bool,
    excess: f64,
}

/// Steps that the recursion is followed for.
const LONG: u32 = 100_000;

/// What is left of the limit after so many steps is of the order `a^2/LONG`, or `LONG^(1 - 2a)` from the start: below 1e-3 for `a`
/// from 1 to 4.
const LIMIT_TOLERANCE: f64 = 1e-3;

fn examine_limits(world: &Limits, _: &Draw) -> Finding {
    let (mut worst, mut told) = (0f64, Vec::new());
    for &a in &world.schedules {
        let taken = a * (1.0 + world.excess);
        let step = |k: u32| {
            if world.constant {
                taken
            } else {
                taken / f64::from(k)
            }
        };
        // from C = 1
        let end = (1..=LONG).fold(1.0, |c, k| (1.0 - step(k)).powi(2) * c + step(k).powi(2));
        let stated_step = if world.constant {
            a
        } else {
            a / (f64::from(LONG) + 1.0)
        };
        let border = stated_step / (2.0 - stated_step);
        let (scaled, limit, above) = if world.constant {
            (end, border, 1.0)
        } else {
            (
                f64::from(LONG) * end,
                a * a / (2.0 * a - 1.0),
                2.0 * a / (2.0 * a - 1.0),
            )
        };
        worst = worse(worst, (scaled / limit - 1.0).abs());
        worst = worse(worst, (end / border / above - 1.0).abs());
        told.push(format!("{:.4} C* at a = {a}", end / border));
    }
    let summary = format!("after {LONG} steps E C is {}", told.join(", "));
    Finding::of_discrepancy(
        worst,
        LIMIT_TOLERANCE,
        world.schedules.len() as u64,
        summary,
    )
}

fn one_over_k() -> Check {
    let spec = Spec {
        id: "one-over-k",
        role: Role::Corrected,
        kind: Kind::Identity,
        hypothesis: "under steps eta h = a/k the recursion of E C comes to k E C = a^2/(2a - 1) and E C = 2a/(2a - 1) C*",
        tolerance: LIMIT_TOLERANCE,
        detectable: Size::of("relative error of the steps", 0.125),
    };
    let limits = |schedules: &[f64], constant, excess| Limits {
        schedules: schedules.to_vec(),
        constant,
        excess,
    };
    let worlds = Worlds {
        real: limits(&[1.0, 1.5, 2.0, 4.0], false, 0.0),
        defect: Planted {
            what: "steps that are 1/8 too long",
            size: 0.125,
            world: limits(&[1.0, 1.5, 2.0, 4.0], false, 0.125),
        },
        truth: Planted {
            what: "constant steps, which settle on the border",
            size: 0.0,
            world: limits(&[0.25, 0.5, 1.0], true, 0.0),
        },
    };
    Check::new(spec, worlds, examine_limits)
}

/// Noise `s theta` and, on top, noise of `sixteenths/16` that does not vanish.
struct Multiplicative {
    sixteenths: i64,
    fixed_steps: bool,
}

fn examine_vanishing(world: &Multiplicative, _: &Draw) -> Finding {
    let fixed_steps = world.fixed_steps;
    let remainder = q(world.sixteenths * world.sixteenths, 256);
    // s, theta_0 and three step sizes
    let part = Part::new(&[&[Axis::Positive; 5]], 2, move |c| {
        let same = c[2] == c[3] && c[3] == c[4];
        (!fixed_steps || same).then(|| c.to_vec())
    });
    search(&[part], |case| {
        let [spread, start, steps @ ..] = &case[..] else {
            return None;
        };
        let square = spread * spread;
        let stated = square.recip();
        // every theta that the path of signs leads to, with equal weights
        let mut reached = vec![start.clone()];
        for eta in steps {
            let next: Vec<Q> = reached
                .iter()
                .flat_map(|theta| {
                    [Q::one() + spread, Q::one() - spread].map(|g| theta - eta * theta * g)
                })
                .collect();
            let mean_square = |points: &[Q]| squared_norm(points) / q(points.len() as i64, 1);
            let (before, after) = (mean_square(&reached), mean_square(&next));
            let moved =
                before.is_zero() || (after < before) == (*eta < q(2, 1) / (Q::one() + &square));
            let other = next.iter().find(|theta| {
                let signal = *theta * *theta;
                !signal.is_zero() && &signal / (&signal * &square + &remainder) != stated
            });
            if !moved || other.is_some() {
                return Some(format!(
                    "g = theta (1 +- {spread}), theta_0 = {start}, steps {}: E theta^2 from {before} to {after}, stated C {stated}",
                    tuple(steps)
                ));
            }
            reached = next;
        }
        None
    })
}

fn vanishing_noise() -> Check {
    let spec = Spec {
        id: "vanishing-noise",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "with g = theta (1 +- s), over every path of three steps of any three sizes, C is 1/s^2 at every parameter reached, and E theta^2 falls exactly in steps with eta < 2/(1 + s^2)",
        tolerance: 0.0,
        detectable: Size::of("standard deviation left at the minimum", 1.0 / 16.0),
    };
    let world = |sixteenths, fixed_steps| Multiplicative {
        sixteenths,
        fixed_steps,
    };
    let worlds = Worlds {
        real: world(0, false),
        defect: Planted {
            what: "a standard deviation of 1/16 that does not vanish",
            size: 1.0 / 16.0,
            world: world(1, false),
        },
        truth: Planted {
            what: "three equal steps",
            size: 0.0,
            world: world(0, true),
        },
    };
    Check::new(spec, worlds, examine_vanishing)
}
