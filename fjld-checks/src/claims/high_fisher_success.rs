//! High Fisher information as success, low as failure.

use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, power, q, squared_norm, tuple};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use num_traits::{One, Signed, Zero};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "high-fisher-success",
        origin: Origin::Document,
        statement: "High Fisher information D^-1 brings success (C > 1), low information failure.",
        sentence: Some(Sentence {
            section: "Key Discovery",
            line: 17,
            sha256: "ded84fe8a6ff479eb555bb3dce69bad0cf8e99d407430020b9cea91ce06500e6",
            status: "stated",
        }),
        holds_when: Some("the states compared have the same mean gradient"),
        corrected: Some(
            "Multiplying the loss by s leaves C alone and divides the information D^-1 by s^2, so no threshold on the information tells the sign of C - 1; and where the mean gradient is 0, C is 0 at any information.",
        ),
        scenarios: &[],
        checks: vec![
            order(
                "order",
                Role::AsWritten,
                "of two states the one with the higher information does not fail where the other succeeds",
                Means::Any,
            ),
            order(
                "same-mean",
                Role::HoldsWhen,
                "of two states with the same mean the one with the higher information does not fail where the other succeeds, in one and two dimensions",
                Means::Same { quarters: 0 },
            ),
            no_threshold(),
            no_signal(),
        ],
    }
}

/// How the means of two states compare.
#[derive(Clone, Copy)]
enum Means {
    Any,
    /// The second is `1 + quarters/4` times the first.
    Same {
        quarters: i64,
    },
    /// The same, with one parameter.
    SameNumber,
}

struct State {
    mean: Vec<Q>,
    variances: Vec<Q>,
}

impl State {
    fn ratio(&self) -> Q {
        squared_norm(&self.mean) / self.variances.iter().sum::<Q>()
    }

    /// `D^-1`, which is diagonal here.
    fn information(&self) -> Vec<Q> {
        self.variances.iter().map(Q::recip).collect()
    }
}

/// Two states of which the first has the higher information in every coordinate.
fn parts(means: Means) -> Vec<Part<(State, State)>> {
    let part = move |d: usize, max_height| {
        let second: &[Axis] = match means {
            Means::Any => &vec![Axis::Any; d],
            _ => &[],
        };
        let quarters = match means {
            Means::Same { quarters } => quarters,
            _ => 0,
        };
        let axes: [&[Axis]; 3] = [&vec![Axis::Any; d], &vec![Axis::Positive; 2 * d], second];
        Part::new(&axes, max_height, move |c| {
            let stretched = || c[..d].iter().map(|m| m * q(4 + quarters, 4)).collect();
            let first = State {
                mean: c[..d].to_vec(),
                variances: c[d..2 * d].to_vec(),
            };
            let second = State {
                mean: if c.len() > 3 * d {
                    c[3 * d..].to_vec()
                } else {
                    stretched()
                },
                variances: c[2 * d..3 * d].to_vec(),
            };
            let higher = first
                .variances
                .iter()
                .zip(&second.variances)
                .all(|(a, b)| a < b);
            higher.then_some((first, second))
        })
    };
    match means {
        Means::SameNumber => vec![part(1, 4)],
        Means::Any => vec![part(1, 3)],
        Means::Same { .. } => vec![part(1, 4), part(2, 2)],
    }
}

fn examine_order(means: &Means, _: &Draw) -> Finding {
    search(&parts(*means), |(high, low)| {
        let (of_high, of_low) = (high.ratio(), low.ratio());
        (of_high <= Q::one() && of_low > Q::one()).then(|| {
            format!(
                "information {} with mu = {}: C = {of_high}; lower information {} with mu = {}: C = {of_low}",
                tuple(&high.information()),
                tuple(&high.mean),
                tuple(&low.information()),
                tuple(&low.mean),
            )
        })
    })
}

fn order(id: &'static str, role: Role, hypothesis: &'static str, real: Means) -> Check {
    let spec = Spec {
        id,
        role,
        kind: Kind::Exact,
        hypothesis,
        tolerance: 0.0,
        detectable: Size::of("excess of the second mean, relative", 0.25),
    };
    let worlds = Worlds {
        real,
        defect: Planted {
            what: "a second mean that is a quarter larger",
            size: 0.25,
            world: Means::Same { quarters: 1 },
        },
        truth: Planted {
            what: "one parameter and the same mean",
            size: 0.0,
            world: Means::SameNumber,
        },
    };
    Check::new(spec, worlds, examine_order)
}

/// The loss is multiplied by any number; the noise grows by `1 + sixty_fourths/64` more than the mean's square.
struct Scaled {
    sign_only: bool,
    sixty_fourths: i64,
}

fn examine_scaled(world: &Scaled, _: &Draw) -> Finding {
    let sign_only = world.sign_only;
    let scale: &[Axis] = if sign_only { &[] } else { &[Axis::NonZero] };
    let covariance: &[Axis] = &[Axis::Positive, Axis::Any, Axis::Positive];
    let part = Part::new(&[&[Axis::Any; 2], covariance, scale], 2, move |c| {
        let covariance = Matrix::symmetric(2, &c[2..5]);
        let scale = c.get(5).cloned().unwrap_or_else(|| -Q::one());
        covariance
            .is_positive_definite()
            .then(|| (c[..2].to_vec(), covariance, scale))
    });
    let excess = q(64 + world.sixty_fourths, 64);
    search(&[part], |(mean, covariance, scale)| {
        let square = scale * scale;
        let grown = Matrix::from_fn(2, 2, |i, j| &covariance.0[i][j] * &square * &excess);
        let mean_there: Vec<Q> = mean.iter().map(|m| m * scale).collect();
        let ratio = |mean: &[Q], covariance: &Matrix| squared_norm(mean) / covariance.trace();
        let (before, after) = (ratio(mean, covariance), ratio(&mean_there, &grown));
        // det D^-1 is divided by s^4 in two dimensions
        let (here, there) = (
            covariance.determinant().recip(),
            grown.determinant().recip(),
        );
        (before != after || here != &there * power(&square, 2)).then(|| {
            format!(
                "mu = {}, D = {covariance}, the loss times {scale}: C from {before} to {after}, det I from {here} to {there}",
                tuple(mean)
            )
        })
    })
}

fn no_threshold() -> Check {
    let spec = Spec {
        id: "no-threshold",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "the loss times s leaves C alone and divides det D^-1 in two dimensions by s^4",
        tolerance: 0.0,
        detectable: Size::of("relative excess of the noise", 1.0 / 64.0),
    };
    let scaled = |sign_only, sixty_fourths| Scaled {
        sign_only,
        sixty_fourths,
    };
    let worlds = Worlds {
        real: scaled(false, 0),
        defect: Planted {
            what: "noise that grows by 1/64 more",
            size: 1.0 / 64.0,
            world: scaled(false, 1),
        },
        truth: Planted {
            what: "the loss with its sign changed",
            size: 0.0,
            world: scaled(true, 0),
        },
    };
    Check::new(spec, worlds, examine_scaled)
}

/// A mean of `sixty_fourths/64` along the first coordinate, in one dimension or in one and two.
struct Mean {
    sixty_fourths: i64,
    plane: bool,
}

fn examine_no_signal(world: &Mean, _: &Draw) -> Finding {
    let line = Part::new(&[&[Axis::Positive]], 8, |c| Some(c.to_vec()));
    let plane = Part::new(&[&[Axis::Positive; 2]], 8, |c| Some(c.to_vec()));
    let parts = if world.plane {
        vec![line, plane]
    } else {
        vec![line]
    };
    let along = q(world.sixty_fourths, 64);
    search(&parts, |variances| {
        let mut mean = vec![Q::zero(); variances.len()];
        mean[0].clone_from(&along);
        let state = State {
            mean,
            variances: variances.clone(),
        };
        let c = state.ratio();
        c.is_positive()
            .then(|| format!("information {}: C = {c}", tuple(&state.information())))
    })
}

fn no_signal() -> Check {
    let spec = Spec {
        id: "no-signal",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "with the mean gradient 0, C = 0 at every information",
        tolerance: 0.0,
        detectable: Size::of("length of the mean", 1.0 / 64.0),
    };
    let worlds = Worlds {
        real: Mean {
            sixty_fourths: 0,
            plane: true,
        },
        defect: Planted {
            what: "a mean of length 1/64",
            size: 1.0 / 64.0,
            world: Mean {
                sixty_fourths: 1,
                plane: true,
            },
        },
        truth: Planted {
            what: "one parameter",
            size: 0.0,
            world: Mean {
                sixty_fourths: 0,
                plane: false,
            },
        },
    };
    Check::new(spec, worlds, examine_no_signal)
}
