//! `C > 1` as negative entropy production.

use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, dot, power, q, squared_norm, tuple};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use num_traits::{One, Signed, Zero};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "entropy-production",
        origin: Origin::Document,
        statement: "Where C exceeds 1 the entropy of the gradients falls, and the posterior sharpens for that reason.",
        sentence: Some(Sentence {
            section: "4. Maximum Entropy Production",
            line: 112,
            sha256: "1612cd9af177be304a25e20c3d867a25edd016837b89c6870c9e68dac0fe3722",
            status: "stated",
        }),
        holds_when: Some(
            "the noise is isotropic and proportional to a quadratic loss that gradient flow takes down; the entropy then falls at every C",
        ),
        corrected: Some(
            "C does not decide the sign. Under gradient flow on L = (h/2) theta^2 noise that goes as theta^k loses entropy if and only if k > 0, at every C. And the posterior of a conjugate Gaussian model sharpens with every observation, at every C.",
        ),
        scenarios: &[],
        checks: vec![
            falls("negative", Role::AsWritten, Noise::Any),
            follows_the_loss(),
            power_law(),
            conjugate(),
        ],
    }
}

/// Noise `D(theta) = a + b theta + c theta^2` of one parameter under gradient flow.
#[derive(Clone, Copy)]
enum Noise {
    Any,
    /// `c theta^2 + (eighths/8) (1 - theta)`: a part that grows as the parameter goes to the minimum.
    WithTheLoss {
        eighths: i64,
    },
}

struct Flow {
    curvature: Q,
    theta: Q,
    noise: [Q; 3],
}

impl Flow {
    fn variance(&self) -> Q {
        let [a, b, c] = &self.noise;
        a + b * &self.theta + c * &self.theta * &self.theta
    }

    fn ratio(&self) -> Q {
        power(&(&self.curvature * &self.theta), 2) / self.variance()
    }

    /// `dH/dt = (1/2) D'(theta) (d theta/dt) / D` with `d theta/dt = -h theta`.
    fn entropy_rate(&self) -> Q {
        let [_, b, c] = &self.noise;
        let slope = b + q(2, 1) * c * &self.theta;
        -slope * &self.curvature * &self.theta / (q(2, 1) * self.variance())
    }
}

/// `a + b theta + c theta^2` without the terms that are 0.
fn polynomial(coefficients: &[Q; 3]) -> String {
    let terms: Vec<String> = coefficients
        .iter()
        .zip(["", " theta", " theta^2"])
        .filter(|(c, _)| !c.is_zero())
        .map(|(c, power)| format!("{c}{power}"))
        .collect();
    terms.join(" + ").replace("+ -", "- ")
}

fn examine_falls(noise: &Noise, _: &Draw) -> Finding {
    let noise = *noise;
    let axes: [&[Axis]; 2] = match noise {
        Noise::Any => [&[Axis::Positive, Axis::NonZero], &[Axis::Any; 3]],
        Noise::WithTheLoss { .. } => [&[Axis::Positive, Axis::NonZero], &[Axis::Positive]],
    };
    let part = Part::new(&axes, 3, move |c| {
        let noise = match noise {
            Noise::Any => [c[2].clone(), c[3].clone(), c[4].clone()],
            Noise::WithTheLoss { eighths } => [q(eighths, 8), q(-eighths, 8), c[2].clone()],
        };
        let flow = Flow {
            curvature: c[0].clone(),
            theta: c[1].clone(),
            noise,
        };
        (flow.variance().is_positive() && flow.ratio() > Q::one()).then_some(flow)
    });
    search(&[part], |flow| {
        let rate = flow.entropy_rate();
        // entropy that neither grows nor falls is let pass: the refutation then needs no quibble
        rate.is_positive().then(|| {
            format!(
                "L = (h/2) theta^2 with h = {}, D = {}, at theta = {} on the way down by gradient flow: C = {}, dH/dt = {rate}",
                flow.curvature,
                polynomial(&flow.noise),
                flow.theta,
                flow.ratio()
            )
        })
    })
}

fn falls(id: &'static str, role: Role, real: Noise) -> Check {
    let spec = Spec {
        id,
        role,
        kind: Kind::Exact,
        hypothesis: "under gradient flow on a quadratic loss, C > 1 implies that the entropy does not grow",
        tolerance: 0.0,
        detectable: Size::of("part of the noise that grows towards the minimum", 0.25),
    };
    let worlds = Worlds {
        real,
        defect: Planted {
            what: "noise in proportion to the loss, and (1/4)(1 - theta)",
            size: 0.25,
            world: Noise::WithTheLoss { eighths: 2 },
        },
        truth: Planted {
            what: "noise in proportion to the loss",
            size: 0.0,
            world: Noise::WithTheLoss { eighths: 0 },
        },
    };
    Check::new(spec, worlds, examine_falls)
}

/// Two parameters and isotropic noise, `D = a L 1` with `L = (1/2) theta' H theta`, or `D = (a/L) 1`.
struct LossNoise {
    decreasing: bool,
    diagonal: bool,
}

fn examine_loss_noise(world: &LossNoise, _: &Draw) -> Finding {
    let hessian: &[Axis] = if world.diagonal {
        &[Axis::Positive; 2]
    } else {
        &[Axis::Positive, Axis::Any, Axis::Positive]
    };
    let diagonal = world.diagonal;
    let part = Part::new(
        &[&[Axis::Any; 2], hessian, &[Axis::Positive]],
        2,
        move |c| {
            let hessian = if diagonal {
                Matrix::diagonal(&c[2..4])
            } else {
                Matrix::symmetric(2, &c[2..5])
            };
            let theta = c[..2].to_vec();
            let fits = hessian.is_positive_definite() && !squared_norm(&theta).is_zero();
            fits.then(|| (theta, hessian, c[c.len() - 1].clone()))
        },
    );
    let direction = if world.decreasing {
        -Q::one()
    } else {
        Q::one()
    };
    search(&[part], |(theta, hessian, factor)| {
        let mean = hessian.apply(theta);
        let loss = dot(theta, &mean) / q(2, 1);
        // along the flow dL/dt = -|mu|^2; D = a L^(+-1) 1 in two dimensions has dH/dt = +-(1/L) dL/dt
        let loss_rate = -squared_norm(&mean);
        let rate = &direction * loss_rate / &loss;
        (!rate.is_negative()).then(|| {
            let variance = if direction.is_positive() {
                factor * &loss
            } else {
                factor / &loss
            };
            format!(
                "theta = {}, H = {hessian}, D = {variance} 1: C = {}, dH/dt = {rate}",
                tuple(theta),
                squared_norm(&mean) / (q(2, 1) * &variance)
            )
        })
    })
}

fn follows_the_loss() -> Check {
    let spec = Spec {
        id: "noise-follows-loss",
        role: Role::HoldsWhen,
        kind: Kind::Exact,
        hypothesis: "with D = a L 1 the entropy falls under gradient flow on a quadratic loss in two parameters, at every C",
        tolerance: 0.0,
        detectable: Size::of("change of the power of L that the noise goes with", 2.0),
    };
    let world = |decreasing, diagonal| LossNoise {
        decreasing,
        diagonal,
    };
    let worlds = Worlds {
        real: world(false, false),
        defect: Planted {
            what: "noise that goes as 1/L",
            size: 2.0,
            world: world(true, false),
        },
        truth: Planted {
            what: "a diagonal Hessian",
            size: 0.0,
            world: world(false, true),
        },
    };
    Check::new(spec, worlds, examine_loss_noise)
}

/// Powers of `theta` that the noise goes with; the one in force is `shift` below the one that is stated.
struct Powers {
    from: i64,
    to: i64,
    shift: i64,
}

fn integer_power(x: &Q, k: i64) -> Q {
    let positive = power(x, k.unsigned_abs() as usize);
    if k < 0 { positive.recip() } else { positive }
}

fn examine_powers(world: &Powers, _: &Draw) -> Finding {
    let (from, to, shift) = (world.from, world.to, world.shift);
    let parts: Vec<_> = (from..=to)
        .map(|k| {
            // h, theta and the share of it that is left after some time of gradient flow
            Part::new(
                &[&[Axis::Positive, Axis::NonZero, Axis::Positive]],
                4,
                move |c| (c[2] < Q::one()).then(|| (k, c[0].clone(), c[1].clone(), c[2].clone())),
            )
        })
        .collect();
    search(&parts, |(k, curvature, theta, left)| {
        let in_force = k - shift;
        let variance = |theta: &Q| integer_power(&theta.abs(), in_force);
        let (before, after) = (variance(theta), variance(&(theta * left)));
        // the entropy moves by half the logarithm of after / before
        ((after < before) != (*k > 0)).then(|| {
            let c = power(&(curvature * theta), 2) / &before;
            format!(
                "k = {k}, h = {curvature}, theta from {theta} to {}: D from {before} to {after}, C = {c}",
                theta * left
            )
        })
    })
}

fn power_law() -> Check {
    let spec = Spec {
        id: "power-law",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "with D = |theta|^k, k from -3 to 3, the entropy falls over any time of gradient flow if and only if k > 0, whatever h and theta, and so C, are",
        tolerance: 0.0,
        detectable: Size::of("error of the power", 1.0),
    };
    let worlds = Worlds {
        real: Powers {
            from: -3,
            to: 3,
            shift: 0,
        },
        defect: Planted {
            what: "a power that is stated 1 too large",
            size: 1.0,
            world: Powers {
                from: -3,
                to: 3,
                shift: 1,
            },
        },
        truth: Planted {
            what: "noise as the loss, k = 2",
            size: 0.0,
            world: Powers {
                from: 2,
                to: 2,
                shift: 0,
            },
        },
    };
    Check::new(spec, worlds, examine_powers)
}

/// A prior `N(0, p 1)` and one observation; the posterior is widened by `1 + quarters/4`.
struct Model {
    quarters: i64,
    plane: bool,
}

fn examine_conjugate(world: &Model, _: &Draw) -> Finding {
    let line = Part::new(&[&[Axis::Any, Axis::Positive, Axis::Positive]], 4, |c| {
        Some((c[..1].to_vec(), Matrix::diagonal(&c[1..2]), c[2].clone()))
    });
    let definite: &[Axis] = &[Axis::Positive, Axis::Any, Axis::Positive];
    let plane = Part::new(&[&[Axis::Any; 2], definite, &[Axis::Positive]], 2, |c| {
        let covariance = Matrix::symmetric(2, &c[2..5]);
        covariance
            .is_positive_definite()
            .then(|| (c[..2].to_vec(), covariance, c[5].clone()))
    });
    let parts = if world.plane {
        vec![line, plane]
    } else {
        vec![line]
    };
    let width = q(4 + world.quarters, 4);
    search(&parts, |(mean, covariance, prior)| {
        let d = mean.len();
        let precision = covariance
            .inverse()
            .expect("only definite noise is decoded");
        let prior_precision = Matrix::diagonal(&vec![prior.recip(); d]);
        let posterior = prior_precision
            .plus(&Q::one(), &precision)
            .inverse()
            .expect("a sum of definite matrices is definite");
        let (before, after) = (power(prior, d), posterior.determinant() * power(&width, d));
        // entropies are half the logarithms of these
        (after >= before).then(|| {
            format!(
                "mu = {}, D = {covariance}, prior variance {prior}: C = {}, the determinant goes from {before} to {after}",
                tuple(mean),
                squared_norm(mean) / covariance.trace()
            )
        })
    })
}

fn conjugate() -> Check {
    let spec = Spec {
        id: "conjugate-posterior",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "one observation with any noise makes the posterior's determinant smaller than the prior's, at every C, 0 included",
        tolerance: 0.0,
        detectable: Size::of("relative excess of the posterior's width", 0.25),
    };
    let worlds = Worlds {
        real: Model {
            quarters: 0,
            plane: true,
        },
        defect: Planted {
            what: "a posterior variance that is 1/4 too large",
            size: 0.25,
            world: Model {
                quarters: 1,
                plane: true,
            },
        },
        truth: Planted {
            what: "one parameter",
            size: 0.0,
            world: Model {
                quarters: 0,
                plane: false,
            },
        },
    };
    Check::new(spec, worlds, examine_conjugate)
}
