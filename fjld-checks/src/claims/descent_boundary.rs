//! `C > 1` as the border of learning.

mod any_hessian;
pub mod picture;
mod step;

use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Q, q};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use num_traits::{One, Signed};
use step::{Case, Steps, part};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "descent-boundary",
        origin: Origin::Document,
        statement: "Learning succeeds where C exceeds 1, and C > 1 is necessary for convergence (so also line 380).",
        sentence: Some(Sentence {
            section: "Key Discovery",
            line: 14,
            sha256: "d66f00aa634bb4a2605a1cf8b0593240941c273600d0747de415fcb51f31e034",
            status: "stated",
        }),
        holds_when: Some(
            "success is a step that lowers a quadratic loss on average, and the step size is 2/(h_D + h_mu), with the curvatures h_D and h_mu that noise and mean gradient meet; with eta times the largest curvature at most 1, C > 1 still suffices, but is not necessary",
        ),
        corrected: Some(
            "On a quadratic loss with Hessian H a step of size eta lowers the loss on average if and only if C (2 - eta h_mu) > eta h_D, where h_D = Tr(HD)/Tr D and h_mu = mu'H mu/|mu|^2. Where H has no negative curvature that says eta h_mu < 2 and C > C* = eta h_D/(2 - eta h_mu); otherwise a step with eta h_mu > 2 lowers it as well, if h_D < 0 and C < C*. C* = 1 if and only if eta (h_D + h_mu) = 2. With one curvature h no step lowers it more than eta h = C/(1 + C). With steps 1/k under constant noise C goes to 0 as E C = 1/k while the iterates converge.",
        ),
        scenarios: &[],
        checks: vec![
            sufficient("sufficient", Role::AsWritten, Steps::Stable),
            necessary(),
            both_ways(),
            sufficient("small-steps", Role::HoldsWhen, Steps::Small),
            boundary(),
            any_hessian::check(),
            best_step(),
            robbins_monro(),
        ],
    }
}

fn examine_sufficient(steps: &Steps, _: &Draw) -> Finding {
    search(&[part(1, 3, *steps), part(2, 2, *steps)], |case| {
        let (c, change) = (case.ratio(), case.change());
        (c > Q::one() && !change.is_negative()).then(|| {
            format!(
                "{}: C = {c}, and the loss changes by {change} on average",
                case.shown()
            )
        })
    })
}

fn sufficient(id: &'static str, role: Role, real: Steps) -> Check {
    let spec = Spec {
        id,
        role,
        kind: Kind::Exact,
        hypothesis: match role {
            Role::AsWritten => {
                "C > 1 implies that a step lowers a quadratic loss on average, for every step size at which descent without noise converges"
            }
            _ => {
                "C > 1 implies that a step lowers a quadratic loss on average, for eta h <= 1 in every curvature h"
            }
        },
        tolerance: 0.0,
        detectable: Size::of("excess of eta h over 1", 0.25),
    };
    let worlds = Worlds {
        real,
        defect: Planted {
            what: "steps with eta h = 5/4 in the steepest direction",
            size: 0.25,
            world: Steps::Steepest { sixteenths: 20 },
        },
        truth: Planted {
            what: "steps with eta h = 1/2 in the steepest direction",
            size: 0.0,
            world: Steps::Steepest { sixteenths: 8 },
        },
    };
    Check::new(spec, worlds, examine_sufficient)
}

/// Noise in proportion to the parameter: `g = theta (1 +- s)` on `L = theta^2 / 2`, so that `C = 1/s^2` wherever `theta` is.
struct Multiplicative {
    /// The mean gradient is this many eighths of `theta`, and `C` so much smaller.
    mean_eighths: i64,
}

fn examine_necessary(world: &Multiplicative, _: &Draw) -> Finding {
    let slope = q(world.mean_eighths, 8);
    let part = Part::new(&[&[Axis::Positive; 2]], 6, |c| {
        Some((c[0].clone(), c[1].clone()))
    });
    search(&[part], |(step, spread)| {
        let c = &slope * &slope / (spread * spread);
        // E theta'^2 / theta^2 over the two gradients
        let factor: Q = [spread.clone(), -spread]
            .into_iter()
            .map(|s| {
                let keep = Q::one() - step * (&slope + s);
                &keep * &keep
            })
            .sum::<Q>()
            / q(2, 1);
        (c < Q::one() && factor < Q::one()).then(|| {
            format!(
                "g = theta ({slope} +- {spread}) with equal chance, eta = {step}: C = {c} at every theta, and E theta^2 is multiplied by {factor} in each step"
            )
        })
    })
}

fn necessary() -> Check {
    let spec = Spec {
        id: "necessary",
        role: Role::AsWritten,
        kind: Kind::Exact,
        hypothesis: "with C below 1 all along, the parameter does not converge to the minimum in mean square",
        tolerance: 0.0,
        detectable: Size::of("slope of the mean gradient in theta", 0.5),
    };
    let worlds = Worlds {
        real: Multiplicative { mean_eighths: 8 },
        defect: Planted {
            what: "a mean gradient of half the slope",
            size: 0.5,
            world: Multiplicative { mean_eighths: 4 },
        },
        truth: Planted {
            what: "gradients without a mean, which converge nowhere",
            size: 0.0,
            world: Multiplicative { mean_eighths: 0 },
        },
    };
    Check::new(spec, worlds, examine_necessary)
}

/// Steps as given, in as many dimensions at most.
struct BothWays {
    steps: Steps,
    dimensions: usize,
}

fn examine_both_ways(world: &BothWays, _: &Draw) -> Finding {
    let parts: Vec<Part<Case>> = [(1, 3), (2, 2)]
        .into_iter()
        .take(world.dimensions)
        .map(|(d, max_height)| part(d, max_height, world.steps))
        .collect();
    search(&parts, |case| {
        let (c, change) = (case.ratio(), case.change());
        let kept = (c > Q::one()) == change.is_negative();
        (!kept).then(|| {
            format!(
                "{}: C = {c}, and the loss changes by {change} on average",
                case.shown()
            )
        })
    })
}

fn both_ways() -> Check {
    let spec = Spec {
        id: "balanced-step",
        role: Role::HoldsWhen,
        kind: Kind::Exact,
        hypothesis: "with eta = 2/(h_D + h_mu) a step lowers a quadratic loss on average exactly when C > 1",
        tolerance: 0.0,
        detectable: Size::of("relative error of the step size", 0.125),
    };
    let balanced = |sixteenths, dimensions| BothWays {
        steps: Steps::Balanced { sixteenths },
        dimensions,
    };
    let worlds = Worlds {
        real: balanced(0, 2),
        defect: Planted {
            what: "steps that are an eighth too large",
            size: 0.125,
            world: balanced(2, 2),
        },
        truth: Planted {
            what: "one parameter",
            size: 0.0,
            world: balanced(0, 1),
        },
    };
    Check::new(spec, worlds, examine_both_ways)
}

/// The threshold is multiplied by `1 + sixty_fourths/64`; in one and two dimensions, or in one.
struct Threshold {
    sixty_fourths: i64,
    one_dimension: bool,
}

fn examine_boundary(world: &Threshold, _: &Draw) -> Finding {
    let mut parts = vec![part(1, 3, Steps::Any)];
    if !world.one_dimension {
        parts.push(part(2, 2, Steps::Any));
    }
    let factor = q(64 + world.sixty_fourths, 64);
    search(&parts, |case| {
        let (c, change) = (case.ratio(), case.change());
        let (h_noise, h_mean) = (case.noise_curvature(), case.mean_curvature());
        let room = q(2, 1) - &case.step * &h_mean;
        let lowers = if room.is_positive() {
            let threshold = &factor * &case.step * &h_noise / &room;
            let at_one = &case.step * (h_noise + h_mean) == q(2, 1);
            if (threshold == Q::one()) != at_one {
                return Some(format!("{}: C* = {threshold}", case.shown()));
            }
            c > threshold
        } else {
            false
        };
        (lowers != change.is_negative()).then(|| {
            format!(
                "{}: C = {c}, and the loss changes by {change} on average",
                case.shown()
            )
        })
    })
}

fn boundary() -> Check {
    let spec = Spec {
        id: "boundary",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "the loss falls on average exactly when eta h_mu < 2 and C > eta h_D/(2 - eta h_mu), which is 1 exactly when eta (h_D + h_mu) = 2",
        tolerance: 0.0,
        detectable: Size::of("relative error of the threshold", 1.0 / 64.0),
    };
    let threshold = |sixty_fourths, one_dimension| Threshold {
        sixty_fourths,
        one_dimension,
    };
    let worlds = Worlds {
        real: threshold(0, false),
        defect: Planted {
            what: "a threshold that is 1/64 too high",
            size: 1.0 / 64.0,
            world: threshold(1, false),
        },
        truth: Planted {
            what: "one parameter",
            size: 0.0,
            world: threshold(0, true),
        },
    };
    Check::new(spec, worlds, examine_boundary)
}

/// The step size called best is multiplied by `1 + eighths/8`; it is compared with every step size, or with multiples of itself by
/// positive whole numbers only.
struct Best {
    eighths: i64,
    multiples: bool,
}

fn examine_best(world: &Best, _: &Draw) -> Finding {
    let multiples = world.multiples;
    let axes: &[&[Axis]] = &[&[
        Axis::Positive,
        Axis::NonZero,
        Axis::Positive,
        Axis::Positive,
    ]];
    // curvature, mean, noise, and the step size to compare with
    let part = Part::new(axes, 3, move |c| {
        (!multiples || c[3].is_integer()).then(|| c.to_vec())
    });
    search(&[part], |c| {
        let change = |step: &Q| {
            let case = Case {
                step: step.clone(),
                curvatures: vec![c[0].clone()],
                mean: vec![c[1].clone()],
                variances: vec![c[2].clone()],
            };
            (case.change(), case.shown())
        };
        let ratio = &c[1] * &c[1] / &c[2];
        let best = q(8 + world.eighths, 8) * &ratio / (&c[0] * (Q::one() + &ratio));
        let other = if multiples {
            &best * &c[3]
        } else {
            c[3].clone()
        };
        let ((at_best, shown), (at_other, _)) = (change(&best), change(&other));
        (at_other < at_best).then(|| {
            format!("{shown}: the loss changes by {at_best}, but with eta = {other} by {at_other}")
        })
    })
}

fn best_step() -> Check {
    let spec = Spec {
        id: "best-step",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "with one curvature h no step size lowers the loss more on average than eta = C/((1 + C) h)",
        tolerance: 0.0,
        detectable: Size::of("relative error of the best step size", 0.125),
    };
    let best = |eighths, multiples| Best { eighths, multiples };
    let worlds = Worlds {
        real: best(0, false),
        defect: Planted {
            what: "a best step size that is an eighth too large",
            size: 0.125,
            world: best(1, false),
        },
        truth: Planted {
            what: "comparison with whole multiples of the step itself",
            size: 0.0,
            world: best(0, true),
        },
    };
    Check::new(spec, worlds, examine_best)
}

/// Steps `1/k` on `L = theta^2 / 2` with `g = theta +- s`, the first `steps` of them; each `1 + eighths/8` times as long.
struct Averaging {
    steps: u32,
    eighths: i64,
}

fn examine_averaging(world: &Averaging, _: &Draw) -> Finding {
    let part = Part::new(&[&[Axis::Any, Axis::Positive]], 3, |c| {
        Some((c[0].clone(), c[1].clone()))
    });
    let factor = q(8 + world.eighths, 8);
    search(&[part], |(start, spread)| {
        (1..=world.steps).find_map(|steps| {
            // over all 2^steps signs of the noise
            let squares: Q = (0..1u32 << steps)
                .map(|signs| {
                    let end = (0..steps).fold(start.clone(), |theta, k| {
                        let noise = if signs >> k & 1 == 1 {
                            spread.clone()
                        } else {
                            -spread
                        };
                        let step = &factor * q(1, i64::from(k) + 1);
                        &theta - step * (&theta + noise)
                    });
                    &end * &end
                })
                .sum();
            let c = squares / q(1 << steps, 1) / (spread * spread);
            (c != q(1, i64::from(steps))).then(|| {
                format!("theta_0 = {start}, g = theta +- {spread}: E C = {c} after {steps} steps")
            })
        })
    })
}

fn robbins_monro() -> Check {
    let spec = Spec {
        id: "steps-one-over-k",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "with steps 1/k under constant noise E C = E theta^2 / D is 1/k after k steps, from one to six, so E theta^2 and C vanish together",
        tolerance: 0.0,
        detectable: Size::of("relative error of the step sizes", 0.125),
    };
    let averaging = |steps, eighths| Averaging { steps, eighths };
    let worlds = Worlds {
        real: averaging(6, 0),
        defect: Planted {
            what: "steps that are an eighth too large",
            size: 0.125,
            world: averaging(6, 1),
        },
        truth: Planted {
            what: "the first step, which lands on the noise alone",
            size: 0.0,
            world: averaging(1, 0),
        },
    };
    Check::new(spec, worlds, examine_averaging)
}
