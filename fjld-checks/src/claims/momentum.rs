//! Momentum: what it does to `C`, to the horizon of directed motion, and to the boundary of descent.
//!
//! Heavy-ball steps (Polyak 1964, *USSR Computational Mathematics and Mathematical Physics* 4) keep a buffer `v' = beta v + g` and go
//! `theta' = theta - eta v'`, `0 <= beta < 1`. At constant `mu` and `D`, with independent draws and from `v = 0`:
//!
//! - after `k` steps the buffer has the mean `mu (1 - beta^k)/(1 - beta)` and the covariance `D (1 - beta^2k)/(1 - beta^2)`, so that its
//!   ratio is `C (1 - beta^k)(1 + beta)/((1 + beta^k)(1 - beta))`, in the end `C (1 + beta)/(1 - beta)`;
//! - the displacement after `K` steps is the sum of the draws with weights `w_i = (1 - beta^i)/(1 - beta)`. Its squared drift over
//!   noise is `C (sum w)^2/sum w^2`, at most `K C` (Cauchy and Schwarz) and, since `(1 - beta) w <= 1`, at least
//!   `C (1 - beta) sum w >= C (K - beta/(1 - beta))`: the gain of a single buffer is lost again in the sum, as consecutive buffers share
//!   their draws.
//!
//! A step whose direction has the mean `u = beta v + mu` changes a quadratic loss by
//!
//! ```text
//! E dL = -eta mu.u + (eta^2/2) (u'H u + Tr(H D))
//! ```
//!
//! so it falls iff `C_u (2 a - eta h_u) > eta h_D`, with `C_u = |u|^2/Tr D`, `h_u = u'H u/|u|^2` and the alignment `a = mu.u/|u|^2`: the
//! history decides with `C`. Where the iterates settle is in [`stationary`].

mod stationary;

use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, dot, power, q, squared_norm, tuple};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use num_traits::{One, Signed, Zero};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "momentum",
        origin: Origin::Document,
        statement: "What the theory says of C is said of plain stochastic gradient descent; momentum is not taken into it.",
        sentence: Some(Sentence {
            section: "Speculative Claims (Requiring Validation)",
            line: 283,
            sha256: "612e758189224a022d1ff9228d29a5b6c5fe2bc2b2579b0e734c7ff510f0687c",
            status: "stated",
        }),
        holds_when: None,
        corrected: Some(
            "With v' = beta v + g and steps -eta v' the buffer's ratio is C (1 - beta^k)(1 + beta)/((1 + beta^k)(1 - beta)) after k independent draws, in the end C (1 + beta)/(1 - beta); over K steps squared drift over noise is still at most K C, and at least (K - beta/(1 - beta)) C. On a quadratic loss a step lowers the loss on average if and only if C_u (2 a - eta h_u) > eta h_D, with u = beta v + mu, C_u = |u|^2/Tr D, a = mu.u/|u|^2 and h_u = u'H u/|u|^2. For H > 0 with eta H < 2(1 + beta) the iterates settle at E|mu|^2 = eta (1 + beta)/(1 - beta) Tr(D H (2(1 + beta) - eta H)^-1): with one curvature h at E C = e/(2 - e (1 - beta)/(1 + beta)), e = eta h/(1 - beta), which without momentum is the border C* itself.",
        ),
        scenarios: &[],
        checks: vec![
            not_the_gradient(),
            buffer_ratio(),
            horizon(),
            boundary(),
            stationary::exact(),
            stationary::simulated(),
        ],
    }
}

/// Gradients of constant mean and noise, drawn from a few equally likely ones, under momentum.
struct Case {
    points: Vec<Vec<Q>>,
    beta: Q,
}

/// Squared mean and total variance of a vector over every path of draws.
struct Spread {
    drift: Q,
    noise: Q,
}

fn spread(ends: &[Vec<Q>]) -> Spread {
    let n = q(ends.len() as i64, 1);
    let mean: Vec<Q> = (0..ends[0].len())
        .map(|j| ends.iter().map(|e| e[j].clone()).sum::<Q>() / &n)
        .collect();
    let drift = squared_norm(&mean);
    let square = ends.iter().map(|e| squared_norm(e)).sum::<Q>() / n;
    Spread {
        noise: square - &drift,
        drift,
    }
}

impl Case {
    /// Buffer and displacement (over `-eta`) after `steps` steps from rest, by taking them along every path.
    fn after(&self, steps: u32, beta: &Q) -> [Spread; 2] {
        let (n, d) = (self.points.len(), self.points[0].len());
        let (mut buffers, mut sums) = (Vec::new(), Vec::new());
        for code in 0..n.pow(steps) {
            let (mut buffer, mut sum) = (vec![Q::zero(); d], vec![Q::zero(); d]);
            for step in 0..steps {
                let draw = &self.points[code / n.pow(step) % n];
                for j in 0..d {
                    buffer[j] = beta * &buffer[j] + &draw[j];
                    sum[j] += &buffer[j];
                }
            }
            buffers.push(buffer);
            sums.push(sum);
        }
        [spread(&buffers), spread(&sums)]
    }

    fn shown(&self) -> String {
        let points: Vec<String> = self.points.iter().map(|p| tuple(p)).collect();
        format!(
            "each gradient {} with equal chance, beta = {}",
            points.join(" or "),
            self.beta
        )
    }
}

/// Every small population, with `beta = b/(1 + b)` for a positive rational `b`.
fn cases() -> Vec<Part<Case>> {
    let population = |points: usize, d: usize, max_height| {
        let axes: &[&[Axis]] = &[&vec![Axis::Any; points * d], &[Axis::Positive]];
        Part::new(axes, max_height, move |c| {
            let (gradients, odds) = c.split_at(points * d);
            Some(Case {
                points: gradients.chunks(d).map(<[Q]>::to_vec).collect(),
                beta: &odds[0] / (Q::one() + &odds[0]),
            })
        })
    };
    vec![
        population(2, 1, 2),
        population(3, 1, 1),
        population(2, 2, 1),
    ]
}

/// `beta` in force over the one that is stated, and the steps looked at.
struct Buffers {
    factor: Q,
    from: u32,
    to: u32,
}

fn buffers(factor: Q, from: u32, to: u32) -> Buffers {
    Buffers { factor, from, to }
}

fn examine_plain(world: &Buffers, _: &Draw) -> Finding {
    search(&cases(), |case| {
        let gradient = spread(&case.points);
        if gradient.noise.is_zero() || gradient.drift.is_zero() {
            return None;
        }
        let c = &gradient.drift / &gradient.noise;
        (world.from..=world.to).find_map(|k| {
            let [buffer, _] = case.after(k, &(&case.beta * &world.factor));
            (buffer.drift == &c * &buffer.noise).then(|| {
                format!(
                    "{}: C = {c}, and so is the buffer's after {k} steps",
                    case.shown()
                )
            })
        })
    })
}

fn not_the_gradient() -> Check {
    let spec = Spec {
        id: "not-the-gradient",
        role: Role::AsWritten,
        kind: Kind::Exact,
        hypothesis: "from the second step on, the direction that momentum steps along has a ratio other than C, at every beta and every C but 0",
        tolerance: 0.0,
        detectable: Size::of("share of beta left out", 1.0),
    };
    let worlds = Worlds {
        real: buffers(Q::one(), 2, 4),
        defect: Planted {
            what: "steps without momentum",
            size: 1.0,
            world: buffers(Q::zero(), 2, 4),
        },
        truth: Planted {
            what: "the second step alone",
            size: 0.0,
            world: buffers(Q::one(), 2, 2),
        },
    };
    Check::new(spec, worlds, examine_plain)
}

fn examine_ratio(world: &Buffers, _: &Draw) -> Finding {
    search(&cases(), |case| {
        let gradient = spread(&case.points);
        (world.from..=world.to).find_map(|k| {
            let [buffer, _] = case.after(k, &(&case.beta * &world.factor));
            let faded = power(&case.beta, k as usize);
            let up = (Q::one() - &faded) * (Q::one() + &case.beta);
            let down = (Q::one() + &faded) * (Q::one() - &case.beta);
            // without a division, so that a vanished noise is a case as well
            let kept =
                &buffer.drift * &gradient.noise * down == &gradient.drift * &buffer.noise * up;
            (!kept).then(|| {
                format!(
                    "{}: |mu|^2 = {}, Tr D = {}; after {k} steps the buffer's are {} and {}",
                    case.shown(),
                    gradient.drift,
                    gradient.noise,
                    buffer.drift,
                    buffer.noise
                )
            })
        })
    })
}

fn buffer_ratio() -> Check {
    let spec = Spec {
        id: "buffer-ratio",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "over every path of one to four independent draws the buffer's ratio is C (1 - beta^k)(1 + beta)/((1 + beta^k)(1 - beta))",
        tolerance: 0.0,
        detectable: Size::of("relative error of beta", 1.0 / 16.0),
    };
    let worlds = Worlds {
        real: buffers(Q::one(), 1, 4),
        defect: Planted {
            what: "a beta that is 1/16 too small",
            size: 1.0 / 16.0,
            world: buffers(q(15, 16), 1, 4),
        },
        truth: Planted {
            what: "the first step, whose buffer is the gradient",
            size: 0.0,
            world: buffers(Q::one(), 1, 1),
        },
    };
    Check::new(spec, worlds, examine_ratio)
}

/// Steps looked at; the drift is `1 + eighths/8` times as large as it should be, squared.
struct Horizon {
    steps: u32,
    eighths: i64,
}

fn examine_horizon(world: &Horizon, _: &Draw) -> Finding {
    let excess = q(8 + world.eighths, 8);
    search(&cases(), |case| {
        let gradient = spread(&case.points);
        let late = &case.beta / (Q::one() - &case.beta);
        (1..=world.steps).find_map(|steps| {
            let [_, sum] = case.after(steps, &case.beta);
            let drift = &sum.drift * &excess;
            let (found, one) = (&drift * &gradient.noise, &gradient.drift * &sum.noise);
            let most = q(i64::from(steps), 1);
            let least = &most - &late;
            (found > &most * &one || found < least * one).then(|| {
                format!(
                    "{}: |mu|^2 = {}, Tr D = {}; after {steps} steps squared drift {drift}, noise {} (in eta^2)",
                    case.shown(),
                    gradient.drift,
                    gradient.noise,
                    sum.noise
                )
            })
        })
    })
}

fn horizon() -> Check {
    let spec = Spec {
        id: "horizon",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "over every path of one to four independent draws, squared drift over noise of the displacement after K steps lies between (K - beta/(1 - beta)) C and K C",
        tolerance: 0.0,
        detectable: Size::of("relative excess of the squared drift", 0.125),
    };
    let world = |steps, eighths| Horizon { steps, eighths };
    let worlds = Worlds {
        real: world(4, 0),
        defect: Planted {
            what: "a squared drift that is 1/8 too large",
            size: 0.125,
            world: world(4, 1),
        },
        truth: Planted {
            what: "one step",
            size: 0.0,
            world: world(1, 0),
        },
    };
    Check::new(spec, worlds, examine_horizon)
}

/// A step with a buffer on a quadratic loss, with noise that is `noise` or its negative.
struct Step {
    eta: Q,
    hessian: Matrix,
    mean: Vec<Q>,
    buffer: Vec<Q>,
    noise: Vec<Q>,
}

/// The alignment is `1 + eighths/8` times as large as it should be; with a buffer, or from rest.
struct Boundary {
    eighths: i64,
    at_rest: bool,
}

/// Half of the buffer is kept.
const HALF: (i64, i64) = (1, 2);

fn steps(at_rest: bool) -> Vec<Part<Step>> {
    let make = |d: usize, max_height, eta: Q| {
        let triangle = d * (d + 1) / 2;
        let axes: &[&[Axis]] = &[&vec![Axis::Any; triangle + 3 * d]];
        Part::new(axes, max_height, move |c| {
            let (hessian, rest) = c.split_at(triangle);
            let buffer = rest[d..2 * d].to_vec();
            if at_rest && buffer.iter().any(|b| !b.is_zero()) {
                return None;
            }
            Some(Step {
                eta: eta.clone(),
                hessian: Matrix::symmetric(d, hessian),
                mean: rest[..d].to_vec(),
                buffer,
                noise: rest[2 * d..].to_vec(),
            })
        })
    };
    vec![make(1, 2, q(1, 1)), make(2, 1, q(1, 1))]
}

fn examine_boundary(world: &Boundary, _: &Draw) -> Finding {
    let excess = q(8 + world.eighths, 8);
    search(&steps(world.at_rest), |step| {
        let Step { eta, hessian, .. } = step;
        let kept = q(HALF.0, HALF.1);
        let pairs = step.mean.iter().zip(&step.buffer);
        let u: Vec<Q> = pairs.map(|(m, v)| &kept * v + m).collect();
        let (length, noise) = (squared_norm(&u), squared_norm(&step.noise));
        if length.is_zero() || noise.is_zero() {
            return None;
        }
        // the loss after the step, with either noise
        let change: Q = [Q::one(), -Q::one()]
            .iter()
            .map(|sign| {
                let pairs = u.iter().zip(&step.noise);
                let x: Vec<Q> = pairs.map(|(u, r)| -eta * (u + sign * r)).collect();
                dot(&step.mean, &x) + dot(&x, &hessian.apply(&x)) / q(2, 1)
            })
            .sum::<Q>()
            / q(2, 1);
        let c = &length / &noise;
        let aligned = dot(&step.mean, &u) / &length * &excess;
        let along = dot(&u, &hessian.apply(&u)) / &length;
        let met = dot(&step.noise, &hessian.apply(&step.noise)) / &noise;
        let falls = &c * (q(2, 1) * &aligned - eta * along) > eta * met;
        (falls != change.is_negative()).then(|| {
            format!(
                "H = {hessian}, eta = {eta}, mu = {}, v = {}, beta = {kept}, noise +-{}: C_u = {c}, a = {aligned}, and the loss changes by {change} on average",
                tuple(&step.mean),
                tuple(&step.buffer),
                tuple(&step.noise)
            )
        })
    })
}

fn boundary() -> Check {
    let spec = Spec {
        id: "boundary",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "with a buffer the loss falls on average exactly when C_u (2 a - eta h_u) > eta h_D, for symmetric Hessians of every sign in one and two dimensions",
        tolerance: 0.0,
        detectable: Size::of("relative error of the alignment", 0.125),
    };
    let world = |eighths, at_rest| Boundary { eighths, at_rest };
    let worlds = Worlds {
        real: world(0, false),
        defect: Planted {
            what: "an alignment that is 1/8 too large",
            size: 0.125,
            world: world(1, false),
        },
        truth: Planted {
            what: "steps from rest",
            size: 0.0,
            world: world(0, true),
        },
    };
    Check::new(spec, worlds, examine_boundary)
}
