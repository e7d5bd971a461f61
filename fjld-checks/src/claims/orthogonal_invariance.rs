//! Orthogonal maps leave `C` alone; of its relatives, the trace form only.

use super::trained_network::{self, ROTATIONS, Rewriting};
use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, q, squared_norm, tuple};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use crate::scenarios::reparameterization::metrics::Metric;
use num_traits::{One, Zero};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "orthogonal-invariance",
        origin: Origin::Document,
        statement: "C is unchanged under orthogonal transformations of the parameters.",
        sentence: Some(Sentence {
            section: "Strong Claims (Well-Supported)",
            line: 257,
            sha256: "8754b58cce5d49503d4bdba0a6bc70b945fbbcadfeae44c6e1a5d1b30ddbb3cd",
            status: "proven",
        }),
        holds_when: None,
        corrected: Some(
            "It is the trace form that rotations leave alone. The diagonal Jeffreys density 1/sqrt(prod D_ii), and with it whatever uses the diagonal alone, is left alone by permutations and changes of sign only.",
        ),
        scenarios: &[],
        checks: vec![trace_form(), diagonal_form(), trained()],
    }
}

/// Rounding of sums over 1,797 examples and 172 coordinates, each a product with a rotation: 1e-16 times their number, at the worst.
const ROUNDING: f64 = 1e-10;

/// Which maps there are.
#[derive(Clone, Copy)]
enum Maps {
    /// Rotations and reflections with rational entries (Cayley's transform of a skew matrix), the first row scaled by
    /// `1 + sixty_fourths/64`.
    Orthogonal { sixty_fourths: i64 },
    /// Permutations with changes of sign, then a turn by the angle with half tangent `sixty_fourths/64`.
    SignedPermutations { sixty_fourths: i64 },
}

struct Case {
    mean: Vec<Q>,
    covariance: Matrix,
    map: Matrix,
}

/// Cayley's transform `(1 - A)(1 + A)^-1` of the skew matrix with these entries above the diagonal: orthogonal, and rational.
fn cayley(d: usize, above: &[Q]) -> Matrix {
    let entry = |i: usize, j: usize| above[if i == 0 { j - 1 } else { i + j - 1 }].clone();
    let skew = Matrix::from_fn(d, d, |i, j| match i.cmp(&j) {
        std::cmp::Ordering::Less => entry(i, j),
        std::cmp::Ordering::Equal => Q::zero(),
        std::cmp::Ordering::Greater => -entry(j, i),
    });
    let identity = Matrix::identity(d);
    let inverse = identity
        .plus(&Q::one(), &skew)
        .inverse()
        .expect("1 + A is invertible for a skew A");
    identity.plus(&q(-1, 1), &skew).times(&inverse)
}

fn parts(maps: Maps) -> Vec<Part<Case>> {
    let covariance: &[Axis] = &[Axis::Positive, Axis::Any, Axis::Positive];
    let two = move |max_height, map: Box<dyn Fn(&Q) -> Matrix>| {
        Part::new(
            &[&[Axis::Any; 2], covariance, &[Axis::Any]],
            max_height,
            move |c| {
                let covariance = Matrix::symmetric(2, &c[2..5]);
                covariance.is_positive_definite().then(|| Case {
                    mean: c[..2].to_vec(),
                    covariance,
                    map: map(&c[5]),
                })
            },
        )
    };
    match maps {
        Maps::Orthogonal { sixty_fourths } => {
            let scale = q(64 + sixty_fourths, 64);
            let scaled = move |mut map: Matrix| {
                map.0[0].iter_mut().for_each(|v| *v *= &scale);
                map
            };
            let scaled_too = scaled.clone();
            let rotations = two(
                2,
                Box::new(move |t| scaled(cayley(2, std::slice::from_ref(t)))),
            );
            let three = Part::new(
                &[&[Axis::Any; 3], &[Axis::Positive; 3], &[Axis::Any; 3]],
                1,
                move |c| {
                    Some(Case {
                        mean: c[..3].to_vec(),
                        covariance: Matrix::diagonal(&c[3..6]),
                        map: scaled_too(cayley(3, &c[6..9])),
                    })
                },
            );
            vec![rotations, three]
        }
        Maps::SignedPermutations { sixty_fourths } => {
            let turn = cayley(2, &[q(sixty_fourths, 64)]);
            vec![two(
                2,
                Box::new(move |choice| {
                    let (zero, one) = (Q::zero(), Q::one());
                    let permutation = if choice.is_zero() {
                        Matrix(vec![vec![zero.clone(), one.clone()], vec![-one, zero]])
                    } else {
                        Matrix(vec![vec![one.clone(), zero.clone()], vec![zero, -one]])
                    };
                    permutation.times(&turn)
                }),
            )]
        }
    }
}

fn examine_trace(maps: &Maps, _: &Draw) -> Finding {
    search(&parts(*maps), |case| {
        let before = squared_norm(&case.mean) / case.covariance.trace();
        let mean = case.map.transpose().apply(&case.mean);
        let after = squared_norm(&mean) / case.covariance.pulled_back(&case.map).trace();
        (before != after).then(|| {
            format!(
                "mu = {}, D = {}, Q = {}: C = {before}, and {after} after the map",
                tuple(&case.mean),
                case.covariance,
                case.map
            )
        })
    })
}

fn trace_form() -> Check {
    let spec = Spec {
        id: "trace-form",
        role: Role::AsWritten,
        kind: Kind::Exact,
        hypothesis: "|Q'mu|^2 / Tr(Q'DQ) = |mu|^2 / Tr D for every orthogonal Q",
        tolerance: 0.0,
        detectable: Size::of("stretch of one axis", 1.0 / 64.0),
    };
    let worlds = Worlds {
        real: Maps::Orthogonal { sixty_fourths: 0 },
        defect: Planted {
            what: "maps that stretch one axis by 1/64",
            size: 1.0 / 64.0,
            world: Maps::Orthogonal { sixty_fourths: 1 },
        },
        truth: Planted {
            what: "permutations with changes of sign",
            size: 0.0,
            world: Maps::SignedPermutations { sixty_fourths: 0 },
        },
    };
    Check::new(spec, worlds, examine_trace)
}

fn trained() -> Check {
    let spec = Spec {
        id: "trained-network",
        role: Role::AsWritten,
        kind: Kind::Identity,
        hypothesis: "C of a trained relu network, on the same draws, is unchanged by rotations of its inputs and of all its parameters",
        tolerance: ROUNDING,
        detectable: Size::of("stretch of the mean's direction", 1.0 / 64.0),
    };
    let worlds = Worlds {
        real: Rewriting::of(Metric::Ratio, ROUNDING, ROTATIONS),
        defect: Planted {
            what: "rotations that stretch the mean's direction by 1/64",
            size: 1.0 / 64.0,
            world: Rewriting {
                stretch: 1.0 / 64.0,
                ..Rewriting::of(Metric::Ratio, ROUNDING, ROTATIONS)
            },
        },
        truth: Planted {
            what: "rotations of the inputs alone",
            size: 0.0,
            world: Rewriting::of(Metric::Ratio, ROUNDING, &ROTATIONS[1..]),
        },
    };
    trained_network::check(spec, worlds)
}

fn examine_diagonal(maps: &Maps, _: &Draw) -> Finding {
    search(&parts(*maps), |case| {
        let before = case.covariance.diagonal_product();
        let after = case.covariance.pulled_back(&case.map).diagonal_product();
        (before != after).then(|| {
            format!(
                "D = {}, Q = {}: the product of the diagonal is {before}, and {after} after the map",
                case.covariance, case.map
            )
        })
    })
}

fn diagonal_form() -> Check {
    let spec = Spec {
        id: "diagonal-form",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "the product of the diagonal of D is unchanged under permutations and changes of sign, and a small turn already moves it",
        tolerance: 0.0,
        detectable: Size::of("tangent of half the angle of a turn", 1.0 / 64.0),
    };
    let worlds = Worlds {
        real: Maps::SignedPermutations { sixty_fourths: 0 },
        defect: Planted {
            what: "permutations followed by a turn of 1.8 degrees",
            size: 1.0 / 64.0,
            world: Maps::SignedPermutations { sixty_fourths: 1 },
        },
        truth: Planted {
            what: "quarter turns",
            size: 0.0,
            world: Maps::SignedPermutations { sixty_fourths: 64 },
        },
    };
    Check::new(spec, worlds, examine_diagonal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cayleys_transform_is_orthogonal_and_a_half_tangent_of_one_is_a_quarter_turn() {
        let map = cayley(3, &[q(1, 2), q(-1, 3), q(2, 1)]);
        assert_eq!(map.times(&map.transpose()), Matrix::identity(3));
        let quarter = cayley(2, &[q(1, 1)]);
        assert_eq!(
            quarter.0,
            vec![vec![q(0, 1), q(-1, 1)], vec![q(1, 1), q(0, 1)]]
        );
    }
}
