//! `C` as the squared length of the natural gradient.

use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Q, power, q, squared_norm, tuple};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use num_traits::{One, Zero};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "natural-gradient",
        origin: Origin::Document,
        statement: "Where the information is lambda times the identity, C is lambda |mu|^2, and proportional to the squared norm of the natural gradient mu / lambda.",
        sentence: Some(Sentence {
            section: "2. Natural Gradient Connection",
            line: 88,
            sha256: "b7e0f70515f7f299345aeef7c61a0b83cf27f15ed856a360e5231188a88e8a36",
            status: "stated",
        }),
        holds_when: Some(
            "there is one parameter, for the equality; and lambda is the same throughout, for the proportionality",
        ),
        corrected: Some(
            "With D = (1/lambda) 1 and the natural gradient v = mu / lambda, C = lambda |mu|^2 / d = lambda^3 |v|^2 / d = lambda^2 v'Iv / d. With the metric F = D in place of I = D^-1, v = D^-1 mu and C = v'Fv / d.",
        ),
        scenarios: &[],
        checks: vec![
            holds(
                "equality",
                Role::AsWritten,
                "C = lambda |mu|^2 for I = lambda 1 in one to three dimensions",
                World {
                    form: Form::Equality,
                    dimensions: &[1, 2, 3],
                    ..ONE
                },
            ),
            holds(
                "proportionality",
                Role::AsWritten,
                "C / |v|^2 is the same for all means and all lambda of one dimension",
                World {
                    form: Form::Proportionality { one_lambda: false },
                    ..ONE
                },
            ),
            holds(
                "one-parameter",
                Role::HoldsWhen,
                "C = lambda |mu|^2 with one parameter",
                ONE,
            ),
            holds(
                "one-lambda",
                Role::HoldsWhen,
                "C / |v|^2 is the same for all means at one lambda",
                World {
                    form: Form::Proportionality { one_lambda: true },
                    dimensions: &[1, 2, 3],
                    ..ONE
                },
            ),
            holds(
                "powers",
                Role::Corrected,
                "C = lambda |mu|^2 / d = lambda^3 |v|^2 / d = lambda^2 v'Iv / d",
                World {
                    form: Form::Powers,
                    dimensions: &[1, 2, 3],
                    ..ONE
                },
            ),
            holds(
                "metric-is-the-noise",
                Role::Corrected,
                "with F = D = (1/lambda) 1 and v = F^-1 mu, C = v'Fv / d",
                World {
                    form: Form::NoiseMetric,
                    dimensions: &[1, 2, 3],
                    ..ONE
                },
            ),
        ],
    }
}

/// What is compared with `C`.
#[derive(Clone, Copy)]
enum Form {
    Equality,
    /// With the quotient at the same `lambda` and a unit mean, or at `lambda = 1`.
    Proportionality {
        one_lambda: bool,
    },
    Powers,
    NoiseMetric,
}

/// Isotropic noise of variance `1/lambda`, times `1 + sixty_fourths/64` for `C` only where the mean is not a unit vector.
#[derive(Clone, Copy)]
struct World {
    form: Form,
    dimensions: &'static [usize],
    unit_lambda: bool,
    sixty_fourths: i64,
}

const ONE: World = World {
    form: Form::Equality,
    dimensions: &[1],
    unit_lambda: false,
    sixty_fourths: 0,
};

struct Case {
    mean: Vec<Q>,
    lambda: Q,
    /// Of one coordinate of the noise that `C` is computed from.
    variance: Q,
}

impl Case {
    fn ratio(&self) -> Q {
        squared_norm(&self.mean) / (self.dimension() * &self.variance)
    }

    fn dimension(&self) -> Q {
        q(self.mean.len() as i64, 1)
    }

    /// `mu / lambda`.
    fn natural_gradient(&self) -> Vec<Q> {
        self.mean.iter().map(|m| m / &self.lambda).collect()
    }
}

fn part(world: World, d: usize) -> Part<Case> {
    let excess = q(64 + world.sixty_fourths, 64);
    let lambda: &[Axis] = if world.unit_lambda {
        &[]
    } else {
        &[Axis::Positive]
    };
    Part::new(&[&vec![Axis::Any; d], lambda], 3, move |c| {
        let lambda = c.get(d).cloned().unwrap_or_else(Q::one);
        let mean = c[..d].to_vec();
        let squared = squared_norm(&mean);
        let variance = if squared.is_one() {
            lambda.recip()
        } else {
            lambda.recip() * &excess
        };
        (!squared.is_zero()).then_some(Case {
            mean,
            lambda,
            variance,
        })
    })
}

/// The forms that `C` ought to equal, by name; the first that it does not equal violates.
fn others(form: Form, case: &Case) -> Vec<(&'static str, Q)> {
    let signal = squared_norm(&case.mean);
    let natural = squared_norm(&case.natural_gradient());
    let (lambda, d) = (&case.lambda, case.dimension());
    match form {
        Form::Equality => vec![("lambda |mu|^2", lambda * signal)],
        Form::Proportionality { one_lambda } => {
            // at mu = e_1 and the reference lambda C = lambda/d and |v|^2 = 1/lambda^2
            let reference = if one_lambda {
                power(lambda, 3) / d
            } else {
                d.recip()
            };
            vec![(
                "|v|^2 times what C / |v|^2 is at the reference",
                natural * reference,
            )]
        }
        Form::Powers => vec![
            ("lambda |mu|^2 / d", lambda * signal / &d),
            ("lambda^3 |v|^2 / d", power(lambda, 3) * &natural / &d),
            // v'Iv = lambda |v|^2
            (
                "lambda^2 v'Iv / d",
                power(lambda, 2) * (lambda * natural) / d,
            ),
        ],
        Form::NoiseMetric => {
            let solved: Vec<Q> = case.mean.iter().map(|m| m * lambda).collect();
            vec![("v'Fv / d", squared_norm(&solved) / lambda / d)]
        }
    }
}

fn examine(world: &World, _: &Draw) -> Finding {
    let parts: Vec<Part<Case>> = world.dimensions.iter().map(|&d| part(*world, d)).collect();
    let form = world.form;
    search(&parts, |case| {
        let c = case.ratio();
        let wrong = others(form, case).into_iter().find(|(_, v)| *v != c);
        wrong.map(|(name, value)| {
            format!(
                "d = {}, lambda = {}, mu = {}: C = {c}, |v|^2 = {}, {name} = {value}",
                case.mean.len(),
                case.lambda,
                tuple(&case.mean),
                squared_norm(&case.natural_gradient()),
            )
        })
    })
}

fn holds(id: &'static str, role: Role, hypothesis: &'static str, real: World) -> Check {
    let spec = Spec {
        id,
        role,
        kind: Kind::Exact,
        hypothesis,
        tolerance: 0.0,
        detectable: Size::of("relative excess of the noise over 1/lambda", 1.0 / 64.0),
    };
    let one = World {
        form: real.form,
        unit_lambda: true,
        ..ONE
    };
    let worlds = Worlds {
        real,
        defect: Planted {
            what: "one parameter and lambda = 1, with noise that is 1/64 too large",
            size: 1.0 / 64.0,
            world: World {
                sixty_fourths: 1,
                ..one
            },
        },
        truth: Planted {
            what: "one parameter and lambda = 1",
            size: 0.0,
            world: one,
        },
    };
    Check::new(spec, worlds, examine)
}
