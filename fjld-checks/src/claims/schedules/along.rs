//! `C` along a schedule of step sizes.
//!
//! On `L = (h/2) theta^2` with constant `D` the second moment follows `E theta'^2 = (1 - eta h)^2 E theta^2 + eta^2 D`,
//! and with `C_k = h^2 theta^2/D` after `k` steps, `c = eta h`:
//!
//! ```text
//! E C_(k+1) = (1 - c)^2 E C_k + c^2
//! ```
//!
//! With constant steps that settles at `c/(2 - c) = C*`. With `c_k = a/k` and `a > 1/2`, insertion of `E C_k = A/k` gives `A (2 a - 1) =
//! a^2`: `k E C_k` goes to `a^2/(2 a - 1)` (Chung 1954, *Annals of Mathematical Statistics* 25), while the border goes as `a/(2 k)`, so
//! that `E C` stays above it by the factor `2 a/(2 a - 1)`, never at 1.
//!
//! What `E C` becomes grows with `E C`, so that the best schedule takes the best step every time, `c = E C/(1 + E C)`, after which `E C` is
//! `E C/(1 + E C)`: each step adds 1 to `1/E C`. From `C_0` on no `k` steps bring `E C` below `C_0/(1 + k C_0)`, which `c_k = 1/(k +
//! 1/C_0)`, for `k` from 1, attains; where `C` passes 1 nothing changes.
//!
//! `C` and its border go to 0 because `D` does not. With `g = theta (1 +- s)`, whose noise vanishes at the minimum, `C = 1/s^2` under
//! every schedule.

use crate::evidence::rational::{Q, q, squared_norm, tuple};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds, worse};
use num_traits::{One, Zero};

/// Steps `eta h = a/k` from `k = 1` on, or constant ones; the recursion's noise is multiplied by `1 + eighths/8`.
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

/// By every path of draws.
pub fn recursion() -> Check {
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

/// A schedule with `eta h = a/k`, or the constant `a`.
#[derive(Clone, Copy)]
struct Schedule {
    a: f64,
    constant: bool,
}

impl Schedule {
    fn falling(a: f64) -> Self {
        Self { a, constant: false }
    }

    fn constant(a: f64) -> Self {
        Self { a, constant: true }
    }

    /// `eta h` of step `k`, from 1 on.
    fn step(self, k: u32) -> f64 {
        if self.constant {
            self.a
        } else {
            self.a / f64::from(k)
        }
    }

    /// What `E C` comes to, over the border of the step that is next.
    fn above(self) -> f64 {
        if self.constant {
            1.0
        } else {
            2.0 * self.a / (2.0 * self.a - 1.0)
        }
    }
}

/// Schedules that are stated; the steps taken are longer by `excess`, relative.
struct Limits {
    schedules: Vec<Schedule>,
    excess: f64,
}

/// Steps that the recursion is followed for.
const LONG: u32 = 100_000;

/// What is left of the limit after so many steps is of the order `a^2/LONG`, or `LONG^(1 - 2a)` from the start: below 1e-3 for `a`
/// from 1 to 4. Constant steps forget faster.
const LIMIT_TOLERANCE: f64 = 1e-3;

fn examine_limits(world: &Limits, _: &Draw) -> Finding {
    let (mut worst, mut told) = (0f64, Vec::new());
    for schedule in &world.schedules {
        // from C = 1
        let end = (1..=LONG).fold(1.0, |c, k| {
            let step = schedule.step(k) * (1.0 + world.excess);
            (1.0 - step).powi(2) * c + step * step
        });
        let next = schedule.step(LONG + 1);
        let border = next / (2.0 - next);
        worst = worse(worst, (end / border / schedule.above() - 1.0).abs());
        if !schedule.constant {
            let limit = schedule.a * schedule.a / (2.0 * schedule.a - 1.0);
            worst = worse(worst, (f64::from(LONG) * end / limit - 1.0).abs());
        }
        let name = if schedule.constant { "" } else { "/k" };
        told.push(format!("{:.4} C* with {}{name}", end / border, schedule.a));
    }
    let summary = format!("after {LONG} steps E C is {}", told.join(", "));
    Finding::of_discrepancy(
        worst,
        LIMIT_TOLERANCE,
        world.schedules.len() as u64,
        summary,
    )
}

/// By following the recursion far.
pub fn limits() -> Check {
    let spec = Spec {
        id: "limits",
        role: Role::Corrected,
        kind: Kind::Identity,
        hypothesis: "under steps eta h = a/k the recursion of E C comes to k E C = a^2/(2a - 1) and E C = 2a/(2a - 1) C*, under constant steps to C*",
        tolerance: LIMIT_TOLERANCE,
        detectable: Size::of("relative error of the steps", 0.125),
    };
    let falling = || [1.0, 1.5, 2.0, 4.0].map(Schedule::falling).to_vec();
    let constant = [0.25, 0.5, 1.5].map(Schedule::constant);
    let limits = |schedules, excess| Limits { schedules, excess };
    let worlds = Worlds {
        real: limits([falling(), constant.to_vec()].concat(), 0.0),
        defect: Planted {
            what: "steps that are 1/8 too long",
            size: 0.125,
            world: limits(falling(), 0.125),
        },
        truth: Planted {
            what: "steps 1/k, which average the draws: E C = 1/k from the first on",
            size: 0.0,
            world: limits(vec![Schedule::falling(1.0)], 0.0),
        },
    };
    Check::new(spec, worlds, examine_limits)
}

/// Steps followed by the recursion; the bound is multiplied by `1 + eighths/8`.
struct Best {
    steps: usize,
    eighths: i64,
}

fn examine_best(world: &Best, _: &Draw) -> Finding {
    let error = q(8 + world.eighths, 8);
    let axes: &[&[Axis]] = &[&[Axis::Positive], &vec![Axis::Any; world.steps]];
    let count = world.steps as i64;
    let part = Part::new(axes, 3, |c| Some(c.to_vec()));
    let along = |start: &Q, steps: &[Q]| {
        steps.iter().fold(start.clone(), |c, step| {
            let keep = Q::one() - step;
            &keep * &keep * c + step * step
        })
    };
    search(&[part], |case| {
        let (start, steps) = case.split_first()?;
        let bound = start / (Q::one() + q(count, 1) * start) * &error;
        let best: Vec<Q> = (1..=count)
            .map(|k| (q(k, 1) + start.recip()).recip())
            .collect();
        let (reached, attained) = (along(start, steps), along(start, &best));
        (reached < bound || attained != bound).then(|| {
            format!(
                "C = {start}: E C = {reached} after eta h = {}, {attained} after {}, and C/(1 + k C) = {bound}",
                tuple(steps),
                tuple(&best)
            )
        })
    })
}

/// Against every schedule of small rationals.
pub fn best_schedule() -> Check {
    let spec = Spec {
        id: "best-schedule",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "no three step sizes bring the recursion of E C from C below C/(1 + 3 C), and eta h = 1/(i + 1/C) attains that",
        tolerance: 0.0,
        detectable: Size::of("relative error of the bound", 0.125),
    };
    let world = |steps, eighths| Best { steps, eighths };
    let worlds = Worlds {
        real: world(3, 0),
        defect: Planted {
            what: "a bound that is 1/8 too high",
            size: 0.125,
            world: world(3, 1),
        },
        truth: Planted {
            what: "one step",
            size: 0.0,
            world: world(1, 0),
        },
    };
    Check::new(spec, worlds, examine_best)
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

/// With noise that vanishes at the minimum.
pub fn vanishing_noise() -> Check {
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
