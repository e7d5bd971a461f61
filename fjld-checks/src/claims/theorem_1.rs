//! Theorem 1: `C` is proportional to `|mu|^2 pi_J^(2/d)`.

use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Q, power, q, squared_norm, tuple};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{
    Check, Draw, Finding, Kind, Outcome, Planted, Role, Size, Spec, Worlds, worse,
};
use faer::Mat;
use fjld_core::geometry::{log_jeffreys, sphericity};
use fjld_core::rng::standard_normals;
use num_traits::{One, Zero};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "theorem-1",
        origin: Origin::Document,
        statement: "In any fixed dimension d the ratio C is a constant times |mu|^2 pi_J^(2/d), where pi_J = 1/sqrt(det D).",
        sentence: Some(Sentence {
            section: "Fisher-Jeffreys Connection",
            line: 42,
            sha256: "c27d23d13c6b460d1a697f5857d535ab8738228fddcb70ce0880ddf18d8e976a",
            status: "theorem",
        }),
        holds_when: Some("the shape of the noise is fixed, so that D only changes by a factor"),
        corrected: Some(
            "C = (S/d) |mu|^2 pi_J^(2/d) with the sphericity S = det(D)^(1/d) / (Tr(D)/d) in [0, 1]; so C never exceeds |mu|^2 pi_J^(2/d) / d, with equality only for isotropic noise.",
        ),
        scenarios: &[],
        checks: vec![proportional(), at_fixed_shape(), identity(), bound()],
    }
}

/// Diagonal noise whose shape may vary with the case, or not.
#[derive(Clone, Copy)]
enum Noise {
    /// Every variance its own.
    Any,
    /// One variance for all coordinates, but the last one's `1 + eighths/8` times as large.
    OneVariance { eighths: i64 },
}

struct Case {
    mean: Vec<Q>,
    variances: Vec<Q>,
}

impl Case {
    /// `C^d`, which is rational, as `pi_J^2 = 1/det D` is.
    fn ratio_power(&self) -> Q {
        let trace: Q = self.variances.iter().sum();
        power(&(squared_norm(&self.mean) / trace), self.mean.len())
    }

    /// `(|mu|^2 pi_J^(2/d))^d = |mu|^(2d) / det D`.
    fn right_side_power(&self) -> Q {
        let determinant = self.variances.iter().fold(Q::one(), |p, v| p * v);
        power(&squared_norm(&self.mean), self.mean.len()) / determinant
    }
}

fn parts(noise: Noise, d: usize, max_height: u64) -> Part<Case> {
    let variances = match noise {
        Noise::Any => d,
        Noise::OneVariance { .. } => 1,
    };
    let axes: [&[Axis]; 2] = [&vec![Axis::Any; d], &vec![Axis::Positive; variances]];
    Part::new(&axes, max_height, move |c| {
        let (mean, variances) = c.split_at(d);
        if squared_norm(mean).is_zero() {
            return None;
        }
        let variances = match noise {
            Noise::Any => variances.to_vec(),
            Noise::OneVariance { eighths } => {
                let mut all = vec![variances[0].clone(); d];
                if d > 1 {
                    all[d - 1] *= q(8 + eighths, 8);
                }
                all
            }
        };
        Some(Case {
            mean: mean.to_vec(),
            variances,
        })
    })
}

fn examine_proportional(noise: &Noise, _: &Draw) -> Finding {
    let parts = [
        parts(*noise, 1, 4),
        parts(*noise, 2, 3),
        parts(*noise, 3, 2),
    ];
    search(&parts, |case| {
        let d = case.mean.len();
        // the case mu = e_1, D = 1 has C = 1/d and right side 1, and fixes the constant
        let constant_power = power(&q(1, d as i64), d);
        let (left, right) = (case.ratio_power(), case.right_side_power());
        (left != &constant_power * &right).then(|| {
            let trace: Q = case.variances.iter().sum();
            let c = squared_norm(&case.mean) / trace;
            format!(
                "d = {d}, mu = {}, D = diag{}: C = {c} and (|mu|^2 pi_J^(2/d))^{d} = {right}, so C^{d} is {} of it; at mu = e_1, D = 1 it is {constant_power}",
                tuple(&case.mean),
                tuple(&case.variances),
                left / &right,
            )
        })
    })
}

fn proportional() -> Check {
    let spec = Spec {
        id: "proportional",
        role: Role::AsWritten,
        kind: Kind::Exact,
        hypothesis: "C^d / (|mu|^2 pi_J^(2/d))^d is the same for all mu and diagonal D of one dimension",
        tolerance: 0.0,
        detectable: Size::of("excess of one variance over the others, relative", 0.125),
    };
    let worlds = Worlds {
        real: Noise::Any,
        defect: Planted {
            what: "isotropic noise whose last variance is 1/8 too large",
            size: 0.125,
            world: Noise::OneVariance { eighths: 1 },
        },
        truth: Planted {
            what: "isotropic noise of any size",
            size: 0.0,
            world: Noise::OneVariance { eighths: 0 },
        },
    };
    Check::new(spec, worlds, examine_proportional)
}

/// Noise `D = s D_0`, with the last variance growing faster than the rest by `s^(1 + drift)` for whole `drift`.
struct Scaled {
    drift: usize,
    isotropic: bool,
}

fn examine_fixed_shape(world: &Scaled, _: &Draw) -> Finding {
    let (drift, isotropic) = (world.drift, world.isotropic);
    let part = Part::new(&[&[Axis::Any; 2], &[Axis::Positive; 3]], 2, move |c| {
        let scale = c[4].clone();
        let shape = if isotropic {
            vec![c[2].clone(), c[2].clone()]
        } else {
            vec![c[2].clone(), c[3].clone()]
        };
        let mean = c[..2].to_vec();
        (!squared_norm(&mean).is_zero()).then_some((mean, shape, scale))
    });
    search(&[part], |(mean, shape, scale)| {
        let constant = |case: &Case| case.ratio_power() / case.right_side_power();
        let unscaled = Case {
            mean: vec![Q::one(), Q::zero()],
            variances: shape.clone(),
        };
        let scaled = Case {
            mean: mean.clone(),
            variances: vec![&shape[0] * scale, &shape[1] * power(scale, 1 + drift)],
        };
        let (before, after) = (constant(&unscaled), constant(&scaled));
        (before != after).then(|| {
            format!(
                "D_0 = diag{}, scaled by {scale}: the constant's square goes from {before} to {after}",
                tuple(shape)
            )
        })
    })
}

fn at_fixed_shape() -> Check {
    let spec = Spec {
        id: "fixed-shape",
        role: Role::HoldsWhen,
        kind: Kind::Exact,
        hypothesis: "for D = s D_0 the constant depends on D_0 alone",
        tolerance: 0.0,
        detectable: Size::of("power of s by which one variance outgrows the others", 1.0),
    };
    let worlds = Worlds {
        real: Scaled {
            drift: 0,
            isotropic: false,
        },
        defect: Planted {
            what: "the last variance grows as s^2",
            size: 1.0,
            world: Scaled {
                drift: 1,
                isotropic: false,
            },
        },
        truth: Planted {
            what: "isotropic D_0",
            size: 0.0,
            world: Scaled {
                drift: 0,
                isotropic: true,
            },
        },
    };
    Check::new(spec, worlds, examine_fixed_shape)
}

/// What is compared with `C`: the identity's right side, with its log density off by `shift`, for covariances as `build` makes them.
struct Metric {
    isotropic: bool,
    shift: f64,
}

/// The Cholesky factor's logarithm errs by a few `d eps` times the condition number's share, 1e-13 for the covariances below.
const IDENTITY_TOLERANCE: f64 = 1e-10;

fn examine_identity(world: &Metric, draw: &Draw) -> Finding {
    let generator = &mut draw.seed.generator();
    let mut worst = 0f64;
    let mut cases = 0;
    for d in 1..=12 {
        for _ in 0..20 {
            let z = standard_normals(generator, d * 2 * d);
            let covariance = Mat::from_fn(d, d, |i, j| {
                if world.isotropic {
                    if i == j { z[0].abs() } else { 0.0 }
                } else {
                    (0..2 * d)
                        .map(|k| z[i * 2 * d + k] * z[j * 2 * d + k])
                        .sum()
                }
            });
            let mean = standard_normals(generator, d);
            let signal: f64 = mean.iter().map(|m| m * m).sum();
            let trace: f64 = (0..d).map(|i| covariance[(i, i)]).sum();
            let (Ok(sphericity), Ok(log_density)) = (
                sphericity(covariance.as_ref()),
                log_jeffreys(covariance.as_ref()),
            ) else {
                return Finding::new(Outcome::Undecided, cases, "a covariance was singular");
            };
            let exponent = 2.0 / d as f64;
            let right =
                sphericity / d as f64 * signal * (exponent * log_density + world.shift).exp();
            worst = worse(worst, (right * trace / signal - 1.0).abs());
            cases += 1;
        }
    }
    let compared = "by the library, the two sides for random covariances in 1 to 12 dimensions";
    Finding::of_identity(worst, IDENTITY_TOLERANCE, cases, compared)
}

fn identity() -> Check {
    let spec = Spec {
        id: "identity",
        role: Role::Corrected,
        kind: Kind::Identity,
        hypothesis: "(S/d) |mu|^2 pi_J^(2/d), by the library's sphericity and log-Jeffreys density, is |mu|^2 / Tr D",
        tolerance: IDENTITY_TOLERANCE,
        detectable: Size::of("relative error of one side", 1e-9),
    };
    let real = Metric {
        isotropic: false,
        shift: 0.0,
    };
    let worlds = Worlds {
        real,
        defect: Planted {
            what: "a density that is off by one part in 10^9",
            size: 1e-9,
            world: Metric {
                isotropic: false,
                shift: 1e-9,
            },
        },
        truth: Planted {
            what: "isotropic noise",
            size: 0.0,
            world: Metric {
                isotropic: true,
                shift: 0.0,
            },
        },
    };
    Check::new(spec, worlds, examine_identity)
}

/// `C` is multiplied by `1 + eighths/8` before it is compared with the bound.
struct Bound {
    eighths: i64,
    isotropic: bool,
}

fn examine_bound(world: &Bound, _: &Draw) -> Finding {
    let noise = if world.isotropic {
        Noise::OneVariance { eighths: 0 }
    } else {
        Noise::Any
    };
    let parts = [parts(noise, 1, 4), parts(noise, 2, 3), parts(noise, 3, 2)];
    search(&parts, |case| {
        let d = case.mean.len();
        let left = case.ratio_power() * power(&q(d as i64 * (8 + world.eighths), 8), d);
        let right = case.right_side_power();
        (left > right).then(|| {
            format!(
                "mu = {}, D = diag{}: (d C)^{d} = {left} > {right}",
                tuple(&case.mean),
                tuple(&case.variances)
            )
        })
    })
}

fn bound() -> Check {
    let spec = Spec {
        id: "bound",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "d C <= |mu|^2 pi_J^(2/d), compared as d-th powers",
        tolerance: 0.0,
        detectable: Size::of("relative excess of C", 0.125),
    };
    let worlds = Worlds {
        real: Bound {
            eighths: 0,
            isotropic: false,
        },
        defect: Planted {
            what: "an estimator of C that is 1/8 too large",
            size: 0.125,
            world: Bound {
                eighths: 1,
                isotropic: false,
            },
        },
        truth: Planted {
            what: "isotropic noise, where the bound is met with equality",
            size: 0.0,
            world: Bound {
                eighths: 0,
                isotropic: true,
            },
        },
    };
    Check::new(spec, worlds, examine_bound)
}
