//! The comparison with variational inference: invariance.
//!
//! Judged is the line on invariance, both halves; for variational inference as it is practised, with one family in every chart. A prior
//! that is free and parameters beside the weights are part of what it is.
//!
//! A density carried to another chart takes on the Jacobian, and so does the one it is compared with: `KL(q || p)`, and the evidence bound
//! `log Z - KL`, do not change. So the best member of a family becomes the best member of the family carried over. The full Gaussian
//! family is carried to itself by linear maps. The mean-field family (diagonal covariances) is not: for a normal posterior with precision
//! `P` its best member has the variances `1/P_ii`, and found in a sheared chart it has correlations.

use super::theorem_2::{Maps, same_side_of_one};
use super::theorem_2_corrected::length_is_invariant;
use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, dot, q, tuple};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds, worse};
use num_traits::{One, Zero};
use std::f64::consts::TAU;

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "comparison-vi",
        origin: Origin::Document,
        statement: "Variational inference has a free prior, no invariance, more parameters and a theory of its optimisation; this theory has the Jeffreys prior, invariance, cheap statistics and a transition.",
        sentence: Some(Sentence {
            section: "vs. Bayesian Deep Learning",
            line: 331,
            sha256: "f27fb9c0c9bb4d30b6bae9aff08ee3698125ab337c2c9d08ac37fc7d63d1c0c1",
            status: "stated",
        }),
        holds_when: Some(
            "for this theory's invariance: there is one parameter, or the charts differ by a conformal map",
        ),
        corrected: Some(
            "Mean-field variational inference does depend on the chart: so much of the comparison is true. The divergence KL(q || p), and with it the evidence bound, does not where q is carried over as p is, by linear maps or others; so the best full Gaussian is the same in the sheared charts in which the best mean-field one is another. The ratio C is not, and mu' D^+ mu / rank(D) is.",
        ),
        scenarios: &[],
        checks: vec![
            optimum(
                "mean-field-moves",
                Role::AsWritten,
                "the best mean-field Gaussian is another in every sheared chart",
                World {
                    family: Family::MeanField,
                    moves: true,
                    one_shear: false,
                },
            ),
            same_side_of_one(
                "ratio-stays",
                Role::AsWritten,
                "C - 1 and C' - 1 have the same sign for all mu, D and invertible J",
                Maps::Invertible,
            ),
            same_side_of_one(
                "ratio-stays-conformal",
                Role::HoldsWhen,
                "C - 1 and C' - 1 have the same sign for one parameter, and for two with a conformal J",
                Maps::Conformal { of_128: 0 },
            ),
            optimum(
                "full-stays",
                Role::Corrected,
                "the best Gaussian of full covariance is the same in every sheared chart",
                World {
                    family: Family::Full,
                    moves: false,
                    one_shear: false,
                },
            ),
            divergence_in_linear_charts(),
            divergence_in_a_curved_chart(),
            length_is_invariant("mahalanobis", Role::Corrected),
        ],
    }
}

/// Which Gaussians the approximation is sought among.
#[derive(Clone, Copy, Debug)]
enum Family {
    MeanField,
    Full,
}

impl Family {
    /// The covariance of the member nearest to a normal law of precision `P` in `KL(q || p)`: setting the slopes of
    /// `(Tr(P S) - log det S)/2` to zero gives `S_ii = 1/P_ii` for a diagonal `S`, and `S = P^-1` for any.
    fn nearest(self, precision: &Matrix) -> Option<Matrix> {
        match self {
            Self::Full => precision.inverse(),
            Self::MeanField => {
                let variances: Vec<Q> = (0..precision.rows())
                    .map(|i| precision.0[i][i].recip())
                    .collect();
                Some(Matrix::diagonal(&variances))
            }
        }
    }
}

/// A family, whether its best member ought to move, and shears of any size or one of 1.
#[derive(Clone, Copy)]
struct World {
    family: Family,
    moves: bool,
    one_shear: bool,
}

fn examine_optimum(world: &World, _: &Draw) -> Finding {
    let World {
        family,
        moves,
        one_shear,
    } = *world;
    let axes: [&[Axis]; 2] = [
        &[Axis::Positive, Axis::Any, Axis::Positive],
        if one_shear { &[] } else { &[Axis::NonZero] },
    ];
    let part = Part::new(&axes, 3, |c| {
        let precision = Matrix::symmetric(2, &c[..3]);
        let shear = c.get(3).cloned().unwrap_or_else(Q::one);
        precision.is_positive_definite().then(|| {
            let jacobian = Matrix(vec![vec![Q::one(), shear], vec![Q::zero(), Q::one()]]);
            (precision, jacobian)
        })
    });
    search(&[part], |(precision, jacobian)| {
        let here = family.nearest(precision)?;
        let there = family.nearest(&precision.pulled_back(jacobian))?;
        // q in phi, with theta = J phi, has the covariance J S J' in theta
        let back = there.pulled_back(&jacobian.transpose());
        ((here != back) != moves).then(|| {
            format!(
                "{family:?} covariances, posterior precision {precision}, J = {jacobian}: the best one is {here}, and from the other chart {back}"
            )
        })
    })
}

fn optimum(id: &'static str, role: Role, hypothesis: &'static str, real: World) -> Check {
    let spec = Spec {
        id,
        role,
        kind: Kind::Exact,
        hypothesis,
        tolerance: 0.0,
        detectable: Size::of("free numbers of a covariance, too many or too few", 1.0),
    };
    let (what, other) = match real.family {
        Family::MeanField => ("full covariances, whose correlation is free", Family::Full),
        Family::Full => (
            "mean-field covariances, without a correlation",
            Family::MeanField,
        ),
    };
    let worlds = Worlds {
        real,
        defect: Planted {
            what,
            size: 1.0,
            world: World {
                family: other,
                ..real
            },
        },
        truth: Planted {
            what: "one shear, of 1",
            size: 0.0,
            world: World {
                one_shear: true,
                ..real
            },
        },
    };
    Check::new(spec, worlds, examine_optimum)
}

/// `q` is carried over with a covariance that is `1 + sixty_fourths/64` times too large; by any `J`, or a reflection.
struct Linear {
    sixty_fourths: i64,
    reflection: bool,
}

/// `2 KL + d + log(det S_q / det S_p)` of `N(m, S_q)` from `N(0, S_p)`, and that quotient: what the divergence is made of, both rational.
fn divergence_parts(gap: &[Q], approximation: &Matrix, posterior: &Matrix) -> Option<(Q, Q)> {
    let precision = posterior.inverse()?;
    let trace = precision.times(approximation).trace() + dot(gap, &precision.apply(gap));
    Some((trace, approximation.determinant() / posterior.determinant()))
}

fn examine_linear(world: &Linear, _: &Draw) -> Finding {
    let reflection = world.reflection;
    let covariance: &[Axis] = &[Axis::Positive, Axis::Any, Axis::Positive];
    let axes: [&[Axis]; 3] = [
        covariance,
        &[Axis::Positive, Axis::Any],
        if reflection { &[] } else { &[Axis::Any; 4] },
    ];
    let part = Part::new(&axes, 1, move |c| {
        let posterior = Matrix::symmetric(2, &c[..3]);
        let approximation = Matrix::diagonal(&[c[3].clone(), &c[3] * q(2, 1)]);
        let gap = vec![c[4].clone(), Q::one()];
        let jacobian = if reflection {
            Matrix::diagonal(&[q(-1, 1), q(-1, 1)])
        } else {
            Matrix(vec![c[5..7].to_vec(), c[7..9].to_vec()])
        };
        let fits = posterior.is_positive_definite() && !jacobian.determinant().is_zero();
        fits.then_some((posterior, approximation, gap, jacobian))
    });
    let excess = q(64 + world.sixty_fourths, 64);
    search(&[part], |(posterior, approximation, gap, jacobian)| {
        let here = divergence_parts(gap, approximation, posterior)?;
        // phi = J^-1 theta
        let inverse = jacobian.inverse()?;
        let carried = |covariance: &Matrix| covariance.pulled_back(&inverse.transpose());
        let spread = carried(approximation);
        let spread = Matrix::from_fn(2, 2, |i, j| &spread.0[i][j] * &excess);
        let there = divergence_parts(&inverse.apply(gap), &spread, &carried(posterior))?;
        (here != there).then(|| {
            format!(
                "q with mean {} and covariance {approximation}, p with covariance {posterior}, J = {jacobian}: 2 KL = {} - 2 - log {} here, {} - 2 - log {} in the new chart",
                tuple(gap),
                here.0,
                here.1,
                there.0,
                there.1
            )
        })
    })
}

fn divergence_in_linear_charts() -> Check {
    let spec = Spec {
        id: "linear-charts",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "KL(q || p) of Gaussians in two dimensions is unchanged when both are carried over by an invertible map",
        tolerance: 0.0,
        detectable: Size::of("relative error of q's covariance", 1.0 / 64.0),
    };
    let linear = |sixty_fourths, reflection| Linear {
        sixty_fourths,
        reflection,
    };
    let worlds = Worlds {
        real: linear(0, false),
        defect: Planted {
            what: "a covariance of q that is 1/64 too large in the new chart",
            size: 1.0 / 64.0,
            world: linear(1, false),
        },
        truth: Planted {
            what: "the reflection J = -1",
            size: 0.0,
            world: linear(0, true),
        },
    };
    Check::new(spec, worlds, examine_linear)
}

/// The chart `theta = phi + bend phi^3`; `q` takes on `1 + error` times its Jacobian.
struct Curved {
    bend: f64,
    error: f64,
}

/// The trapezoid rule on so many points is exact to rounding for such smooth functions that vanish at both ends; 1e5 roundings of 1e-16.
const CURVED_TOLERANCE: f64 = 1e-10;

fn examine_curved(world: &Curved, _: &Draw) -> Finding {
    let normal = |x: f64, mean: f64, spread: f64| {
        let z = (x - mean) / spread;
        (-0.5 * z * z).exp() / (spread * TAU.sqrt())
    };
    let (reach, points) = (25.0, 100_000);
    let width = 2.0 * reach / f64::from(points);
    let mut worst = 0f64;
    let mut cases = 0;
    for mean in [-1.0, 0.0, 0.5] {
        for spread in [0.5, 1.0, 1.5f64] {
            // of N(mean, spread^2) from N(0, 1)
            let closed = 0.5 * (spread * spread + mean * mean - 1.0) - spread.ln();
            let integral: f64 = (0..=points)
                .map(|k| {
                    let phi = f64::from(k) * width - reach;
                    let theta = phi + world.bend * phi.powi(3);
                    let jacobian = 1.0 + 3.0 * world.bend * phi * phi;
                    let q = normal(theta, mean, spread) * jacobian * (1.0 + world.error);
                    let p = normal(theta, 0.0, 1.0) * jacobian;
                    // q log q goes to 0 with q, and both are 0 far out
                    if q == 0.0 || p == 0.0 {
                        0.0
                    } else {
                        q * (q / p).ln() * width
                    }
                })
                .sum();
            worst = worse(worst, (integral - closed).abs());
            cases += 1;
        }
    }
    let summary = format!(
        "KL(q || p) integrated in the new chart is within {worst:.1e} nats of its closed form over {cases} normal laws"
    );
    Finding::of_discrepancy(worst, CURVED_TOLERANCE, cases, summary)
}

fn divergence_in_a_curved_chart() -> Check {
    let spec = Spec {
        id: "curved-chart",
        role: Role::Corrected,
        kind: Kind::Identity,
        hypothesis: "KL(q || p) integrated in the chart theta = phi + phi^3 is the closed form of the normal laws in theta",
        tolerance: CURVED_TOLERANCE,
        detectable: Size::of("relative error of q's Jacobian", 1e-8),
    };
    let curved = |bend, error| Curved { bend, error };
    let worlds = Worlds {
        real: curved(1.0, 0.0),
        defect: Planted {
            what: "a Jacobian of q that is off by one part in 10^8",
            size: 1e-8,
            world: curved(1.0, 1e-8),
        },
        truth: Planted {
            what: "the chart theta = phi",
            size: 0.0,
            world: curved(0.0, 0.0),
        },
    };
    Check::new(spec, worlds, examine_curved)
}
