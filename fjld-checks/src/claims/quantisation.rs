//! What pruning and quantisation do to invariance.
//!
//! Pruning keeps some coordinates and is the projection `P`: what is measured is `|P mu|^2 / Tr(P D P)`, or `mu_K' D_KK^-1 mu_K` over the
//! kept ones. A rotation leaves `C` alone, but does not commute with `P`. In the chart `theta = J phi` the gradients of the kept coordinates are
//! `J_KK' g_K + J_RK' g_R` with `R` the removed ones: a function of `g_K` alone, and the length over the kept ones unchanged, when no
//! removed coordinate depends on a kept one (`J_RK = 0`).
//!
//! Rounding weights to a grid moves the point, to another in every chart, whose grid it is. Stochastic rounding of a gradient to
//! multiples of `h`, up with the chance `f` of the fraction `f` of `h` that it is above one, keeps its mean and adds the variance `h^2 f(1-f)`.

mod trained;

use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, q, squared_norm, tuple};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use num_traits::{One, Zero};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "quantisation",
        origin: Origin::Document,
        statement: "Quantising or pruning parameters breaks the invariance under reparameterisation.",
        sentence: Some(Sentence {
            section: "Theoretical Gaps",
            line: 306,
            sha256: "076cd1160c7b4bcd54bd4438c355ef0137a7aa67e615c745cbdede2bbc8110b8",
            status: "stated",
        }),
        holds_when: None,
        corrected: Some(
            "It breaks even what C has of it: rotations, once a coordinate is removed, and the scale of a single parameter, once it is rounded. What is kept: mu_K' D_KK^-1 mu_K over the kept coordinates, where no removed one depends on them. Stochastic rounding of gradients to multiples of h keeps mu and adds h^2 E f(1-f), at most h^2/4, to the variance of each coordinate, so that C falls. In a small network trained on real digits, with weights of 8, 4 or 2 bits, C is another in turned inputs, as it is with noise as large in place of the rounding.",
        ),
        scenarios: &[trained::SCENARIO],
        checks: vec![
            pruning_breaks(),
            rounding_breaks(),
            what_is_kept(),
            stochastic_rounding(),
            trained::turned_inputs(),
            trained::as_noise_does(),
        ],
    }
}

/// How many of two coordinates are kept, and whether rotations have one angle only.
struct Pruned {
    kept: usize,
    one_angle: bool,
}

fn examine_pruned(world: &Pruned, _: &Draw) -> Finding {
    let (kept, one_angle) = (world.kept, world.one_angle);
    let axes: [&[Axis]; 3] = [
        &[Axis::NonZero],
        &[Axis::Positive; 2],
        if one_angle { &[] } else { &[Axis::NonZero] },
    ];
    let part = Part::new(&axes, 3, |c| {
        let half = c.get(3).cloned().unwrap_or_else(|| q(1, 2));
        // with t the tangent of half the angle: cos = (1 - t^2)/(1 + t^2), sin = 2t/(1 + t^2)
        let square = &half * &half;
        let below = Q::one() + &square;
        let (cos, sin) = ((Q::one() - square) / &below, q(2, 1) * half / below);
        let rotation = Matrix(vec![vec![cos.clone(), -&sin], vec![sin, cos]]);
        Some((c[0].clone(), Matrix::diagonal(&c[1..3]), rotation))
    });
    search(&[part], |(mean, noise, rotation)| {
        let mean = vec![mean.clone(), Q::zero()];
        let ratio = |mean: &[Q], noise: &Matrix| {
            let trace: Q = (0..kept).map(|i| noise.0[i][i].clone()).sum();
            squared_norm(&mean[..kept]) / trace
        };
        let turned = rotation.transpose().apply(&mean);
        let here = ratio(&mean, noise);
        let there = ratio(&turned, &noise.pulled_back(rotation));
        (here == there).then(|| {
            format!(
                "mu = {}, D = {noise}, J = {rotation}, the first {kept} of 2 coordinates kept: C = {here} in both charts",
                tuple(&mean)
            )
        })
    })
}

fn pruning_breaks() -> Check {
    let spec = Spec {
        id: "pruning-breaks",
        role: Role::AsWritten,
        kind: Kind::Exact,
        hypothesis: "with a mean along the first of two axes, C over the first coordinate alone moves under every rotation, though C over both does not",
        tolerance: 0.0,
        detectable: Size::of("coordinates kept that should be removed", 1.0),
    };
    let pruned = |kept, one_angle| Pruned { kept, one_angle };
    let worlds = Worlds {
        real: pruned(1, false),
        defect: Planted {
            what: "nothing removed, where rotations change nothing",
            size: 1.0,
            world: pruned(2, false),
        },
        truth: Planted {
            what: "one angle",
            size: 0.0,
            world: pruned(1, true),
        },
    };
    Check::new(spec, worlds, examine_pruned)
}

/// Whether weights are rounded to whole numbers, and the largest height of a scale.
struct Rounded {
    rounds: bool,
    max_height: u64,
}

fn examine_rounded(world: &Rounded, _: &Draw) -> Finding {
    let rounds = world.rounds;
    let part = Part::new(&[&[Axis::Positive]], world.max_height, |c| {
        (!c[0].is_integer()).then(|| c[0].clone())
    });
    search(&[part], |scale| {
        let rounded = |weight: Q| if rounds { weight.round() } else { weight };
        // targets 1 and -1 and half the squared distance from them: g = theta - 1 or theta + 1, so C = theta^2 at theta
        let ratio = |theta: Q| &theta * &theta;
        // the weight is theta = s, which is phi = 1 in the chart theta = s phi
        let here = ratio(rounded(scale.clone()));
        let there = ratio(scale * rounded(Q::one()));
        (here == there)
            .then(|| format!("theta = {scale} phi at phi = 1: C = {here} in both charts"))
    })
}

fn rounding_breaks() -> Check {
    let spec = Spec {
        id: "rounding-breaks",
        role: Role::AsWritten,
        kind: Kind::Exact,
        hypothesis: "at the weight phi = 1, C after rounding to whole numbers is another in the chart theta = s phi, for every s that is not whole",
        tolerance: 0.0,
        detectable: Size::of("steps of the grid that are not rounded to", 1.0),
    };
    let worlds = Worlds {
        real: Rounded {
            rounds: true,
            max_height: 12,
        },
        defect: Planted {
            what: "weights that are not rounded",
            size: 1.0,
            world: Rounded {
                rounds: false,
                max_height: 12,
            },
        },
        truth: Planted {
            what: "a scale of a half",
            size: 0.0,
            world: Rounded {
                rounds: true,
                max_height: 2,
            },
        },
    };
    Check::new(spec, worlds, examine_rounded)
}

/// The removed coordinate depends on the kept one by this many 64ths; the kept one only changes its sign.
struct Dependence {
    sixty_fourths: i64,
    signs: bool,
}

fn examine_kept(world: &Dependence, _: &Draw) -> Finding {
    let signs = world.signs;
    let leak = q(world.sixty_fourths, 64);
    let jacobian: &[Axis] = if signs {
        &[]
    } else {
        &[Axis::NonZero, Axis::Any, Axis::NonZero]
    };
    let part = Part::new(&[&[Axis::Any; 2], jacobian], 2, move |c| {
        let mean = vec![c[0].clone(), Q::one()];
        // definite for every correlation of height 2
        let noise = Matrix::symmetric(2, &[q(2, 1), c[1].clone(), q(3, 1)]);
        let jacobian = if signs {
            Matrix::diagonal(&[q(-1, 1), q(-1, 1)])
        } else {
            // kept first, removed second
            Matrix(vec![
                vec![c[2].clone(), c[3].clone()],
                vec![leak.clone(), c[4].clone()],
            ])
        };
        (!jacobian.determinant().is_zero()).then_some((mean, noise, jacobian))
    });
    search(&[part], |(mean, noise, jacobian)| {
        let length = |mean: &[Q], noise: &Matrix| &mean[0] * &mean[0] / &noise.0[0][0];
        let here = length(mean, noise);
        let there = length(
            &jacobian.transpose().apply(mean),
            &noise.pulled_back(jacobian),
        );
        (here != there).then(|| {
            format!(
                "mu = {}, D = {noise}, J = {jacobian}, the first coordinate kept: its squared length is {here}, and {there} in the new chart",
                tuple(mean)
            )
        })
    })
}

fn what_is_kept() -> Check {
    let spec = Spec {
        id: "what-is-kept",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "mu_K^2 / D_KK of one kept coordinate of two is unchanged for every J in which the removed one does not depend on it",
        tolerance: 0.0,
        detectable: Size::of(
            "slope of the removed coordinate in the kept one",
            1.0 / 64.0,
        ),
    };
    let dependence = |sixty_fourths, signs| Dependence {
        sixty_fourths,
        signs,
    };
    let worlds = Worlds {
        real: dependence(0, false),
        defect: Planted {
            what: "a removed coordinate that depends on the kept one by 1/64",
            size: 1.0 / 64.0,
            world: dependence(1, false),
        },
        truth: Planted {
            what: "both signs changed",
            size: 0.0,
            world: dependence(0, true),
        },
    };
    Check::new(spec, worlds, examine_kept)
}

/// Values are rounded up with `1 - sixty_fourths/64` times the chance that keeps the mean; or lie on the grid already.
struct Rounding {
    sixty_fourths: i64,
    on_grid: bool,
}

/// Mean and variance of weighted values.
fn spread(values: &[(Q, Q)]) -> (Q, Q) {
    let mean: Q = values.iter().map(|(w, v)| w * v).sum();
    let squares: Q = values.iter().map(|(w, v)| w * v * v).sum();
    let variance = squares - &mean * &mean;
    (mean, variance)
}

fn examine_rounding(world: &Rounding, _: &Draw) -> Finding {
    let on_grid = world.on_grid;
    let part = Part::new(&[&[Axis::Any; 2], &[Axis::Positive]], 4, move |c| {
        let step = c[2].clone();
        let at = |v: &Q| {
            if on_grid {
                v.round() * &step
            } else {
                v.clone()
            }
        };
        Some(([at(&c[0]), at(&c[1])], step))
    });
    let kept = q(64 - world.sixty_fourths, 64);
    search(&[part], |(gradients, step)| {
        let half = q(1, 2);
        let exact: Vec<(Q, Q)> = gradients
            .iter()
            .map(|g| (half.clone(), g.clone()))
            .collect();
        let fraction = |g: &Q| g / step - (g / step).floor();
        let rounded: Vec<(Q, Q)> = gradients
            .iter()
            .flat_map(|g| {
                let down = (g / step).floor() * step;
                let up = fraction(g) * &kept;
                [(&half * &up, &down + step), (&half * (Q::one() - up), down)]
            })
            .collect();
        let added: Q = gradients
            .iter()
            .map(|g| &half * fraction(g) * (Q::one() - fraction(g)) * step * step)
            .sum();
        let ((mean, variance), found) = (spread(&exact), spread(&rounded));
        let stated = (mean, variance + &added);
        let bounded = added <= step * step / q(4, 1);
        (found != stated || !bounded).then(|| {
            format!(
                "gradients {} rounded to multiples of {step}: mean {} and variance {}, by the formula {} and {}",
                tuple(gradients),
                found.0,
                found.1,
                stated.0,
                stated.1
            )
        })
    })
}

fn stochastic_rounding() -> Check {
    let spec = Spec {
        id: "stochastic-rounding",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "over all ways to round two gradients stochastically, the mean is kept and the variance grows by h^2 E f(1-f), at most h^2/4",
        tolerance: 0.0,
        detectable: Size::of("relative error of the chance to round up", 1.0 / 64.0),
    };
    let rounding = |sixty_fourths, on_grid| Rounding {
        sixty_fourths,
        on_grid,
    };
    let worlds = Worlds {
        real: rounding(0, false),
        defect: Planted {
            what: "values that are rounded up 1/64 less often",
            size: 1.0 / 64.0,
            world: rounding(1, false),
        },
        truth: Planted {
            what: "values on the grid",
            size: 0.0,
            world: rounding(0, true),
        },
    };
    Check::new(spec, worlds, examine_rounding)
}
