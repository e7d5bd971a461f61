//! Schedules of the step size: they move the border of descent, and not `C`.
//!
//! `C = |mu|^2/Tr D` belongs to a point and a batch; no step size is in it. The border of descent on a quadratic loss,
//! `C* = eta h_D/(2 - eta h_mu)`, rises with `eta` from 0 on where `H > 0`. Solved for the step,
//! `C > C*` says
//!
//! ```text
//! eta < 2 C / (h_D + C h_mu)
//! ```
//!
//! so a schedule can cross the border at any `C > 0`.
//!
//! What `C` does along a schedule is in [`along`].

mod along;

use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, dot, q, squared_norm, tuple};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
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
            "C has no step size in it, and a schedule does not move it at a point; it moves the border C* = eta h_D/(2 - eta h_mu), which on a quadratic loss with H > 0 rises with eta from 0, so that at any C > 0 a step lowers the loss on average if and only if eta < 2 C/(h_D + C h_mu). With one curvature h and constant noise, steps eta h = a/k (a > 1/2) have k E C -> a^2/(2a - 1): C goes to 0 above its border, by the factor 2a/(2a - 1) in the end, while constant steps settle on it. No k steps from C on bring E C below C/(1 + k C), and steps eta h = 1/(i + 1/C), i = 1 to k, attain that. That C goes to 0 takes noise at the minimum: with g = theta (1 +- s) C is 1/s^2 under every schedule, and E theta^2 falls in every step with eta < 2/(1 + s^2).",
        ),
        scenarios: &[],
        checks: vec![
            no_one_border(),
            largest_step(),
            along::recursion(),
            along::limits(),
            along::best_schedule(),
            along::vanishing_noise(),
        ],
    }
}

/// A point of a quadratic loss, with noise that is `noise` or its negative, and two step sizes.
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
        hypothesis: "at one point of a quadratic loss with H > 0 the longer of two steps has the higher border C*, so that no one border serves a schedule",
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
        hypothesis: "on a quadratic loss with H > 0 a step lowers the loss on average exactly when eta < 2 C/(h_D + C h_mu)",
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
