//! The comparison with Laplace's approximation: prior and invariance.
//!
//! Judged are the lines on the prior and on invariance. Cost is judged by overhead and full-fisher; of convergence nothing is said that
//! descent-boundary does not judge.
//!
//! Laplace's approximation is the normal law at the mode of the posterior density with the inverse Hessian of minus its logarithm. Under
//! a linear map mode and Hessian are carried over exactly. Under others the density takes on a Jacobian and the mode moves: a gamma
//! posterior with shape `a` and rate `b` has the mode `(a-1)/b`, and in the chart `theta = phi^k` the slope of its log density there is
//! `(k-1)/phi`.
//!
//! The prior of this theory is `1/sqrt(det D)`. In the chart `theta = J phi` a density has to be multiplied by `|det J|`; with `D` become
//! `J'DJ` this is divided by it. `sqrt(det F)` with `F = D` is a density.

use super::theorem_2::{Maps, same_side_of_one};
use super::theorem_2_corrected::length_is_invariant;
use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, power, q, tuple};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use num_traits::{One, Zero};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "comparison-laplace",
        origin: Origin::Document,
        statement: "The Laplace approximation has a Gaussian prior, no invariance, a costly Hessian and an asymptotic theory of convergence; this theory has the Jeffreys prior, invariance, cheap statistics and a finite one.",
        sentence: Some(Sentence {
            section: "vs. Bayesian Deep Learning",
            line: 330,
            sha256: "aa90d7b750e2869b510338a38d55b9f6c4d1389cf2dad6891840c56da8a3bd3b",
            status: "stated",
        }),
        holds_when: Some(
            "for this theory's invariance and its prior: the charts differ by an orthogonal map",
        ),
        corrected: Some(
            "Laplace's approximation is carried over by linear maps exactly, and not by others, under which the mode moves: so much of the comparison is true. The ratio C is not carried over by every linear map; mu' D^+ mu / rank(D) is. 1/sqrt(det D) is divided by |det J| where a density is multiplied by it; sqrt(det D) is a density.",
        ),
        scenarios: &[],
        checks: vec![
            mode_moves("laplace-moves", Role::AsWritten),
            same_side_of_one(
                "ratio-stays",
                Role::AsWritten,
                "C - 1 and C' - 1 have the same sign for all mu, D and invertible J",
                Maps::Invertible,
            ),
            density(
                "prior-is-a-density",
                Role::AsWritten,
                "1/det D is multiplied by det(J)^2 where theta = J phi, as the square of a density is",
                World {
                    prior: Prior::OverNoise,
                    charts: Charts::Invertible,
                },
            ),
            same_side_of_one(
                "ratio-stays-orthogonal",
                Role::HoldsWhen,
                "C - 1 and C' - 1 have the same sign for turned, reflected and scaled coordinates",
                Maps::Conformal { of_128: 0 },
            ),
            density(
                "prior-orthogonal",
                Role::HoldsWhen,
                "1/det D is multiplied by det(J)^2 for every orthogonal J",
                World {
                    prior: Prior::OverNoise,
                    charts: Charts::Orthogonal { sixty_fourths: 0 },
                },
            ),
            mode_moves("laplace-other-charts", Role::Corrected),
            laplace_is_carried_over(),
            length_is_invariant("mahalanobis", Role::Corrected),
            density(
                "root-is-a-density",
                Role::Corrected,
                "det D is multiplied by det(J)^2 where theta = J phi, for every invertible J",
                World {
                    prior: Prior::OfNoise,
                    charts: Charts::Invertible,
                },
            ),
        ],
    }
}

/// The powers `k` of the charts `theta = phi^k`.
struct Powers(&'static [i64]);

fn examine_mode(world: &Powers, _: &Draw) -> Finding {
    let powers = world.0;
    // shape above 1, so that there is a mode; rate; the point phi at which the mode is expected
    let part = Part::new(&[&[Axis::Positive; 2]], 6, |c| {
        Some((Q::one() + &c[0], c[1].clone()))
    });
    search(&[part], |(shape, point)| {
        powers.iter().find_map(|&k| {
            // the rate that puts the mode (a-1)/b at phi^k
            let rate = (shape - Q::one()) / power(point, k as usize);
            // log density: (a-1) log theta - b theta, and log|d theta/d phi| = log k + (k-1) log phi
            let along = q(k, 1) * power(point, (k - 1) as usize);
            let theta = power(point, k as usize);
            let slope = ((shape - Q::one()) / theta - &rate) * along + q(k - 1, 1) / point;
            slope.is_zero().then(|| {
                format!(
                    "gamma posterior with shape {shape} and rate {rate}: the mode is also that of the chart theta = phi^{k}"
                )
            })
        })
    })
}

fn mode_moves(id: &'static str, role: Role) -> Check {
    let spec = Spec {
        id,
        role,
        kind: Kind::Exact,
        hypothesis: "the mode of a gamma posterior is not that of its density in the charts theta = phi^2 and phi^3",
        tolerance: 0.0,
        detectable: Size::of("power of the chart that is missing", 1.0),
    };
    let worlds = Worlds {
        real: Powers(&[2, 3]),
        defect: Planted {
            what: "the chart theta = phi, in which nothing moves",
            size: 1.0,
            world: Powers(&[1]),
        },
        truth: Planted {
            what: "squares alone",
            size: 0.0,
            world: Powers(&[2]),
        },
    };
    Check::new(spec, worlds, examine_mode)
}

/// What is taken for the square of the prior's density.
#[derive(Clone, Copy)]
enum Prior {
    /// `1/det D`, the document's.
    OverNoise,
    /// `det D`.
    OfNoise,
}

#[derive(Clone, Copy)]
enum Charts {
    Invertible,
    /// Rotations with a rational half tangent, the second axis stretched by `1 + sixty_fourths/64`.
    Orthogonal {
        sixty_fourths: i64,
    },
    /// One parameter with its sign changed.
    Sign,
    /// The whole parameter scaled by `1 + sixty_fourths/64`, in a noise taken to be unchanged.
    Frozen {
        sixty_fourths: i64,
    },
}

#[derive(Clone, Copy)]
struct World {
    prior: Prior,
    charts: Charts,
}

fn chart_parts(charts: Charts) -> Vec<Part<(Matrix, Matrix, Matrix)>> {
    // D, J, and D in the new chart
    let covariance: &[Axis] = &[Axis::Positive, Axis::Any, Axis::Positive];
    let plane = |axes: &[Axis], height, map: fn(&[Q], i64) -> Matrix, argument: i64| {
        Part::new(&[covariance, axes], height, move |c| {
            let (noise, jacobian) = (Matrix::symmetric(2, &c[..3]), map(&c[3..], argument));
            let fits = noise.is_positive_definite() && !jacobian.determinant().is_zero();
            fits.then(|| {
                (
                    noise.clone(),
                    jacobian.clone(),
                    noise.pulled_back(&jacobian),
                )
            })
        })
    };
    match charts {
        Charts::Invertible => {
            let line = Part::new(&[&[Axis::Positive, Axis::NonZero]], 4, |c| {
                let (noise, jacobian) = (Matrix::diagonal(&c[..1]), Matrix::diagonal(&c[1..]));
                Some((
                    noise.clone(),
                    jacobian.clone(),
                    noise.pulled_back(&jacobian),
                ))
            });
            let any = |c: &[Q], _| Matrix(vec![c[..2].to_vec(), c[2..].to_vec()]);
            vec![line, plane(&[Axis::Any; 4], 1, any, 0)]
        }
        Charts::Orthogonal { sixty_fourths } => {
            let turned = |c: &[Q], sixty_fourths| {
                // with t the tangent of half the angle: cos = (1 - t^2)/(1 + t^2), sin = 2t/(1 + t^2)
                let square = &c[0] * &c[0];
                let below = Q::one() + &square;
                let (cos, sin) = ((Q::one() - square) / &below, q(2, 1) * &c[0] / below);
                let stretch = q(64 + sixty_fourths, 64);
                Matrix(vec![
                    vec![cos.clone(), -&sin * &stretch],
                    vec![sin, cos * stretch],
                ])
            };
            vec![plane(&[Axis::Any], 2, turned, sixty_fourths)]
        }
        Charts::Sign => vec![Part::new(&[&[Axis::Positive]], 4, |c| {
            let noise = Matrix::diagonal(c);
            Some((noise.clone(), Matrix::diagonal(&[q(-1, 1)]), noise))
        })],
        Charts::Frozen { sixty_fourths } => vec![Part::new(&[&[Axis::Positive]], 4, move |c| {
            let noise = Matrix::diagonal(c);
            let jacobian = Matrix::diagonal(&[q(64 + sixty_fourths, 64)]);
            Some((noise.clone(), jacobian, noise))
        })],
    }
}

fn examine_density(world: &World, _: &Draw) -> Finding {
    let squared = |noise: &Matrix| match world.prior {
        Prior::OverNoise => noise.determinant().recip(),
        Prior::OfNoise => noise.determinant(),
    };
    search(&chart_parts(world.charts), |(noise, jacobian, carried)| {
        let determinant = jacobian.determinant();
        let expected = squared(noise) * &determinant * &determinant;
        let found = squared(carried);
        (found != expected).then(|| {
            format!(
                "D = {noise}, J = {jacobian}: the squared prior is {} here and {found} in the new chart, where a density's is {expected}",
                squared(noise)
            )
        })
    })
}

fn density(id: &'static str, role: Role, hypothesis: &'static str, real: World) -> Check {
    let spec = Spec {
        id,
        role,
        kind: Kind::Exact,
        hypothesis,
        tolerance: 0.0,
        detectable: Size::of("stretch that the noise does not follow", 1.0 / 64.0),
    };
    let defect = match real.prior {
        Prior::OverNoise => Planted {
            what: "rotations with the second axis stretched by 1/64",
            size: 1.0 / 64.0,
            world: World {
                charts: Charts::Orthogonal { sixty_fourths: 1 },
                ..real
            },
        },
        Prior::OfNoise => Planted {
            what: "a parameter stretched by 1/64 in a noise that stays as it was",
            size: 1.0 / 64.0,
            world: World {
                charts: Charts::Frozen { sixty_fourths: 1 },
                ..real
            },
        },
    };
    let worlds = Worlds {
        real,
        defect,
        truth: Planted {
            what: "one parameter with its sign changed",
            size: 0.0,
            world: World {
                charts: Charts::Sign,
                ..real
            },
        },
    };
    Check::new(spec, worlds, examine_density)
}

/// Mode and covariance are carried over by `J (1 + sixty_fourths/64)`; with any `J`, or the reflection.
struct Carried {
    sixty_fourths: i64,
    reflection: bool,
}

/// `(1/2) x'Hx - b'x`.
fn potential(hessian: &Matrix, slope: &[Q], x: &[Q]) -> Q {
    let pulled = hessian.apply(x);
    let terms = x.iter().zip(&pulled).zip(slope);
    terms.map(|((x, h), b)| x * (h / q(2, 1) - b)).sum()
}

/// Mode and covariance of a quadratic potential from nine of its values: differences are exact.
fn laplace(value: impl Fn(&[Q]) -> Q) -> Option<(Vec<Q>, Matrix)> {
    let at = |i: i64, j: i64| value(&[q(i, 1), q(j, 1)]);
    let centre = at(0, 0);
    let gradient = [
        (at(1, 0) - at(-1, 0)) / q(2, 1),
        (at(0, 1) - at(0, -1)) / q(2, 1),
    ];
    let second = at(1, 0) + at(-1, 0) - q(2, 1) * &centre;
    let other = at(0, 1) + at(0, -1) - q(2, 1) * &centre;
    let mixed = (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / q(4, 1);
    let covariance = Matrix::symmetric(2, &[second, mixed, other]).inverse()?;
    let mode = covariance.apply(&gradient).iter().map(|m| -m).collect();
    Some((mode, covariance))
}

fn examine_carried(world: &Carried, _: &Draw) -> Finding {
    let reflection = world.reflection;
    let axes: [&[Axis]; 3] = [
        &[Axis::Positive, Axis::Any, Axis::Positive],
        &[Axis::Any; 2],
        if reflection { &[] } else { &[Axis::Any; 4] },
    ];
    let part = Part::new(&axes, 1, move |c| {
        let hessian = Matrix::symmetric(2, &c[..3]);
        let jacobian = if reflection {
            Matrix::diagonal(&[q(-1, 1), q(-1, 1)])
        } else {
            Matrix(vec![c[5..7].to_vec(), c[7..9].to_vec()])
        };
        let fits = hessian.is_positive_definite() && !jacobian.determinant().is_zero();
        fits.then(|| (hessian, c[3..5].to_vec(), jacobian))
    });
    let stretch = q(64 + world.sixty_fourths, 64);
    search(&[part], |(hessian, slope, jacobian)| {
        let here = laplace(|x| potential(hessian, slope, x))?;
        let there = laplace(|x| potential(hessian, slope, &jacobian.apply(x)))?;
        let back = Matrix::from_fn(2, 2, |i, j| &jacobian.0[i][j] * &stretch);
        let mode = back.apply(&there.0);
        let covariance = there.1.pulled_back(&back.transpose());
        ((&mode, &covariance) != (&here.0, &here.1)).then(|| {
            format!(
                "H = {hessian}, J = {jacobian}: mode {} and covariance {}, carried back from the new chart {} and {covariance}",
                tuple(&here.0),
                here.1,
                tuple(&mode)
            )
        })
    })
}

fn laplace_is_carried_over() -> Check {
    let spec = Spec {
        id: "laplace-linear",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "mode and inverse Hessian, from values of the potential in the chart theta = J phi, carried back by J are those of theta, for every invertible J",
        tolerance: 0.0,
        detectable: Size::of("relative error of J on the way back", 1.0 / 64.0),
    };
    let worlds = Worlds {
        real: Carried {
            sixty_fourths: 0,
            reflection: false,
        },
        defect: Planted {
            what: "a way back that is 1/64 too long",
            size: 1.0 / 64.0,
            world: Carried {
                sixty_fourths: 1,
                reflection: false,
            },
        },
        truth: Planted {
            what: "the reflection J = -1",
            size: 0.0,
            world: Carried {
                sixty_fourths: 0,
                reflection: true,
            },
        },
    };
    Check::new(spec, worlds, examine_carried)
}
