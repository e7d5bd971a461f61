//! Theorem 2: `C > 1` if and only if `C > 1` after any smooth reparameterisation.

use super::theorem_2_corrected::length_is_invariant;
use super::trained_network::{self, ROTATIONS, Rewriting};
use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, q, squared_norm, tuple};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use crate::scenarios::reparameterization::metrics::Metric;
use crate::scenarios::reparameterization::transformation::Transformation;
use num_traits::{One, Zero};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "theorem-2",
        origin: Origin::Document,
        statement: "Whether C exceeds 1 is the same in every smooth parameterisation.",
        sentence: Some(Sentence {
            section: "Reparameterization Invariance",
            line: 58,
            sha256: "257659926c9b6202eaaecae9e71dd973f63a72613a9dc2c35baafe4c99406ebf",
            status: "theorem",
        }),
        holds_when: Some(
            "there is one parameter, or the map is conformal there (its Jacobian a multiple of an orthogonal matrix)",
        ),
        corrected: Some(
            "Gradients become J'g and their covariance J'DJ, so what every invertible J leaves alone is the squared Mahalanobis length mu' D^-1 mu, and whether it exceeds the rank of D.",
        ),
        scenarios: &[],
        checks: vec![
            same_side_of_one(
                "same-side-of-one",
                Role::AsWritten,
                "C - 1 and C' - 1 have the same sign for all mu, D and invertible J",
                Maps::Invertible,
            ),
            same_side_of_one(
                "conformal",
                Role::HoldsWhen,
                "C - 1 and C' - 1 have the same sign for one parameter, and for two with a conformal J",
                Maps::Conformal { of_128: 0 },
            ),
            length_is_invariant("mahalanobis", Role::Corrected),
            trained_network::check(
                Spec {
                    id: "trained-network",
                    role: Role::AsWritten,
                    kind: Kind::Identity,
                    hypothesis: "C of a trained relu network, on the same draws, stays within the document's 5% in six other kinds of parameters",
                    tolerance: FIVE_PERCENT,
                    detectable: Size::of("relative change of C", 0.06),
                },
                Worlds {
                    real: Rewriting::of(Metric::Ratio, FIVE_PERCENT, &Transformation::ALL),
                    defect: Planted {
                        what: "rotations that stretch the mean's direction by 5%, which raises C by 10%",
                        size: 0.1,
                        world: Rewriting {
                            stretch: 0.05,
                            ..Rewriting::of(Metric::Ratio, FIVE_PERCENT, ROTATIONS)
                        },
                    },
                    truth: Planted {
                        what: "rotations of the inputs and of all parameters",
                        size: 0.0,
                        world: Rewriting::of(Metric::Ratio, FIVE_PERCENT, ROTATIONS),
                    },
                }
                // a stretch of the mean's direction enters C by its square
                .violated_by(|size| Rewriting {
                    stretch: (1.0 + size).sqrt() - 1.0,
                    ..Rewriting::of(Metric::Ratio, FIVE_PERCENT, ROTATIONS)
                }),
            ),
        ],
    }
}

/// What the document's checklist allows `C` to move by under a reparameterisation.
const FIVE_PERCENT: f64 = 0.05;

/// Which Jacobians there are.
#[derive(Clone, Copy)]
pub enum Maps {
    /// Every invertible one.
    Invertible,
    /// Turned, reflected and scaled, but stretched by `1 + of_128/128` along the second axis.
    Conformal { of_128: i64 },
    /// Turned by quarters and reflected.
    SignedPermutations,
}

struct Case {
    mean: Vec<Q>,
    covariance: Matrix,
    jacobian: Matrix,
}

fn parts(maps: Maps) -> Vec<Part<Case>> {
    let one = Part::new(&[&[Axis::Any, Axis::Positive, Axis::NonZero]], 3, |c| {
        Some(Case {
            mean: vec![c[0].clone()],
            covariance: Matrix::diagonal(&c[1..2]),
            jacobian: Matrix::diagonal(&c[2..3]),
        })
    });
    let two = match maps {
        Maps::Invertible => {
            // mu, D = [[a, b], [b, c]], J
            let covariance: &[Axis] = &[Axis::Positive, Axis::Any, Axis::Positive];
            let axes = [&[Axis::Any; 2], covariance, &[Axis::Any; 4]];
            Part::new(&axes, 1, |c| {
                let covariance = Matrix::symmetric(2, &c[2..5]);
                let jacobian = Matrix(vec![c[5..7].to_vec(), c[7..9].to_vec()]);
                let fits = covariance.is_positive_definite() && !jacobian.determinant().is_zero();
                fits.then(|| Case {
                    mean: c[..2].to_vec(),
                    covariance,
                    jacobian,
                })
            })
        }
        Maps::Conformal { of_128 } => two_dimensional(2, move |a, b| {
            let stretch = q(128 + of_128, 128);
            Matrix(vec![
                vec![a.clone(), -b * &stretch],
                vec![b.clone(), a * stretch],
            ])
        }),
        Maps::SignedPermutations => two_dimensional(1, |a, b| {
            Matrix(vec![vec![a.clone(), -b], vec![b.clone(), a.clone()]])
        }),
    };
    vec![one, two]
}

/// Diagonal noise and Jacobians made of two numbers.
fn two_dimensional(max_height: u64, jacobian: impl Fn(&Q, &Q) -> Matrix + 'static) -> Part<Case> {
    let axes: [&[Axis]; 3] = [&[Axis::Any; 2], &[Axis::Positive; 2], &[Axis::Any; 2]];
    Part::new(&axes, max_height, move |c| {
        let jacobian = jacobian(&c[4], &c[5]);
        (!jacobian.determinant().is_zero()).then(|| Case {
            mean: c[..2].to_vec(),
            covariance: Matrix::diagonal(&c[2..4]),
            jacobian,
        })
    })
}

fn examine(maps: &Maps, _: &Draw) -> Finding {
    search(&parts(*maps), |case| {
        let ratio = |mean: &[Q], covariance: &Matrix| squared_norm(mean) / covariance.trace();
        let mean = case.jacobian.transpose().apply(&case.mean);
        let covariance = case.covariance.pulled_back(&case.jacobian);
        let before = ratio(&case.mean, &case.covariance);
        let after = ratio(&mean, &covariance);
        ((before > Q::one()) != (after > Q::one())).then(|| {
            format!(
                "mu = {}, D = {}, J = {}: C = {before}; in the new chart mu' = J'mu = {}, D' = J'DJ = {covariance}: C' = {after}",
                tuple(&case.mean),
                case.covariance,
                case.jacobian,
                tuple(&mean),
            )
        })
    })
}

/// Whether `C` stays on its side of 1 under these maps, in exact arithmetic.
pub fn same_side_of_one(
    id: &'static str,
    role: Role,
    hypothesis: &'static str,
    real: Maps,
) -> Check {
    let spec = Spec {
        id,
        role,
        kind: Kind::Exact,
        hypothesis,
        tolerance: 0.0,
        detectable: Size::of("stretch of one axis against the other", 1.0 / 64.0),
    };
    let worlds = Worlds {
        real,
        defect: Planted {
            what: "conformal maps with the second axis stretched by 1/64",
            size: 1.0 / 64.0,
            world: Maps::Conformal { of_128: 2 },
        },
        truth: Planted {
            what: "signed permutations of two coordinates",
            size: 0.0,
            world: Maps::SignedPermutations,
        },
    };
    let worlds = worlds.violated_by(|stretch| Maps::Conformal {
        of_128: (128.0 * stretch) as i64,
    });
    Check::new(spec, worlds, examine)
}
