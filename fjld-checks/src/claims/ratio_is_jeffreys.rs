//! `C` as proportional to the Jeffreys density itself.

use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, power, squared_norm, tuple};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use num_traits::{One, Zero};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "ratio-is-jeffreys",
        origin: Origin::Document,
        statement: "The ratio C is proportional to the Jeffreys density 1/sqrt(det D).",
        sentence: Some(Sentence {
            section: "Key Discovery",
            line: 14,
            sha256: "d66f00aa634bb4a2605a1cf8b0593240941c273600d0747de415fcb51f31e034",
            status: "stated",
        }),
        holds_when: Some(
            "there are exactly two parameters, |mu| is fixed, and D only changes by a factor",
        ),
        corrected: Some(
            "Where D only changes by a factor, C is proportional to |mu|^2 pi_J^(2/d), in every dimension d: the power is 1 for d = 2 alone.",
        ),
        scenarios: &[],
        checks: vec![
            proportional(
                "fixed-mean",
                Role::AsWritten,
                "with the mean and the shape of D fixed, C / pi_J is the same at every size of D",
                World {
                    dimensions: &[1, 2, 3],
                    ..PLANE
                },
            ),
            proportional(
                "two-parameters",
                Role::HoldsWhen,
                "with two parameters, |mu| and the shape of D fixed, C / pi_J is the same at every size of D",
                PLANE,
            ),
            proportional(
                "right-power",
                Role::Corrected,
                "with the shape of D fixed, C / (|mu|^2 pi_J^(2/d)) is the same at every mean and every size of D, in one to three dimensions",
                World {
                    dimensions: &[1, 2, 3],
                    corrected: true,
                    ..PLANE
                },
            ),
        ],
    }
}

/// Noise `s D_0`, with the last variance growing faster than the rest by `s^drift`.
#[derive(Clone, Copy)]
struct World {
    dimensions: &'static [usize],
    /// Any mean, and the right side `|mu|^2 pi_J^(2/d)` in place of `pi_J`.
    corrected: bool,
    isotropic: bool,
    drift: usize,
}

const PLANE: World = World {
    dimensions: &[2],
    corrected: false,
    isotropic: false,
    drift: 0,
};

struct Case {
    mean: Vec<Q>,
    /// `D_0`, and `D`.
    shape: Vec<Q>,
    variances: Vec<Q>,
    scale: Q,
}

fn part(world: World, d: usize) -> Part<Case> {
    let mean: &[Axis] = if world.corrected {
        &vec![Axis::Any; d]
    } else {
        &[]
    };
    let sizes: &[Axis] = if world.isotropic {
        &[Axis::Positive; 2]
    } else {
        &vec![Axis::Positive; d + 1]
    };
    // more coordinates, fewer values of each
    let max_height = match (d, world.corrected) {
        (1, _) | (2, false) => 3,
        _ => 2,
    };
    Part::new(&[sizes, mean], max_height, move |c| {
        let (sizes, mean) = c.split_at(if world.isotropic { 2 } else { d + 1 });
        let mut shape = sizes[1..].to_vec();
        shape.resize(d, sizes[1].clone());
        let mut variances: Vec<Q> = shape.iter().map(|v| v * &sizes[0]).collect();
        variances[d - 1] *= power(&sizes[0], world.drift);
        let mean = if mean.is_empty() {
            unit(d)
        } else {
            mean.to_vec()
        };
        (!squared_norm(&mean).is_zero()).then(|| Case {
            mean,
            shape,
            variances,
            scale: sizes[0].clone(),
        })
    })
}

/// `e_1`, the mean that other means are compared with.
fn unit(d: usize) -> Vec<Q> {
    (0..d)
        .map(|i| if i == 0 { Q::one() } else { Q::zero() })
        .collect()
}

fn ratio(mean: &[Q], variances: &[Q]) -> Q {
    squared_norm(mean) / variances.iter().sum::<Q>()
}

/// `pi_J^2 = 1/det D`.
fn squared_density(variances: &[Q]) -> Q {
    Matrix::diagonal(variances).determinant().recip()
}

fn examine(world: &World, _: &Draw) -> Finding {
    let parts: Vec<Part<Case>> = world.dimensions.iter().map(|&d| part(*world, d)).collect();
    let corrected = world.corrected;
    search(&parts, |case| {
        let d = case.mean.len();
        // squares and d-th powers of both sides are rational
        let constant = |mean: &[Q], variances: &[Q]| {
            let (c, density) = (ratio(mean, variances), squared_density(variances));
            if corrected {
                power(&(c / squared_norm(mean)), d) / density
            } else {
                power(&c, 2) / density
            }
        };
        let here = constant(&case.mean, &case.variances);
        let there = constant(&unit(d), &case.shape);
        (here != there).then(|| {
            format!(
                "d = {d}, mu = {}, D scaled by {} from {} to {}: C goes from {} to {}, pi_J^2 from {} to {}",
                tuple(&case.mean),
                case.scale,
                Matrix::diagonal(&case.shape),
                Matrix::diagonal(&case.variances),
                ratio(&unit(d), &case.shape),
                ratio(&case.mean, &case.variances),
                squared_density(&case.shape),
                squared_density(&case.variances),
            )
        })
    })
}

fn proportional(id: &'static str, role: Role, hypothesis: &'static str, real: World) -> Check {
    let spec = Spec {
        id,
        role,
        kind: Kind::Exact,
        hypothesis,
        tolerance: 0.0,
        detectable: Size::of(
            "power of the factor by which one variance outgrows the other",
            1.0,
        ),
    };
    let worlds = Worlds {
        real,
        defect: Planted {
            what: "two parameters, the second variance growing as the square of the factor",
            size: 1.0,
            world: World {
                drift: 1,
                corrected: real.corrected,
                ..PLANE
            },
        },
        truth: Planted {
            what: "two parameters with isotropic noise, where the power 2/d is 1",
            size: 0.0,
            world: World {
                isotropic: true,
                corrected: real.corrected,
                ..PLANE
            },
        },
    };
    Check::new(spec, worlds, examine)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::rational::q;

    #[test]
    fn four_times_the_noise_is_a_quarter_of_the_ratio_and_half_the_density() {
        let (before, after) = ([q(1, 1)], [q(4, 1)]);
        assert_eq!(ratio(&unit(1), &after) / ratio(&unit(1), &before), q(1, 4));
        assert_eq!(
            squared_density(&after) / squared_density(&before),
            power(&q(1, 2), 2)
        );
    }
}
