//! The condition number of a Kronecker product.

use super::kfac::kronecker;
use super::kfac::maps::rotation;
use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, q};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{
    Check, Draw, Finding, Kind, Outcome, Planted, Role, Size, Spec, Worlds, worse,
};
use faer::{Mat, Side};
use fjld_core::rng::standard_normals;
use num_traits::{Signed, Zero};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "kfac-condition",
        origin: Origin::Document,
        statement: "The condition number of A (x) G is the product of the factors' largest eigenvalues over that of their smallest.",
        sentence: Some(Sentence {
            section: "Implementation",
            line: 485,
            sha256: "8674e6c3351968c33e99d0034fdc20fad432b83be9c47cec3771a2eec5a9bfc3",
            status: "stated",
        }),
        holds_when: None,
        corrected: None,
        scenarios: &[],
        checks: vec![extremes(), spectrum()],
    }
}

/// Positive definite factors, turned or diagonal; the largest eigenvalue of the product is taken for `1 + sixty_fourths/64` of what it is.
struct Factors {
    turned: bool,
    sixty_fourths: i64,
}

/// A factor with its smallest and its largest eigenvalue.
struct Factor {
    matrix: Matrix,
    smallest: Q,
    largest: Q,
}

fn factor(half_tangent: &Q, first: &Q, second: &Q) -> Factor {
    let turn = rotation(half_tangent);
    Factor {
        matrix: Matrix::diagonal(&[first.clone(), second.clone()]).pulled_back(&turn),
        smallest: first.min(second).clone(),
        largest: first.max(second).clone(),
    }
}

/// Whether a symmetric matrix has no negative eigenvalue and a vanishing one: no principal minor is negative, and its determinant is 0.
fn touches_zero(matrix: &Matrix) -> bool {
    let d = matrix.rows();
    let minor = |subset: usize| {
        let kept: Vec<usize> = (0..d).filter(|i| subset >> i & 1 == 1).collect();
        Matrix::from_fn(kept.len(), kept.len(), |i, j| {
            matrix.0[kept[i]][kept[j]].clone()
        })
        .determinant()
    };
    matrix.determinant().is_zero() && (1..1 << d).all(|subset| !minor(subset).is_negative())
}

fn examine_extremes(world: &Factors, _: &Draw) -> Finding {
    let turned = world.turned;
    let part = Part::new(&[&[Axis::Any; 2], &[Axis::Positive; 4]], 2, move |c| {
        let angle = |k: usize| if turned { c[k].clone() } else { Q::zero() };
        // a small step of angles is enough beside the eigenvalues
        let few = c[..2].iter().all(Q::is_integer);
        few.then(|| {
            (
                factor(&angle(0), &c[2], &c[3]),
                factor(&angle(1), &c[4], &c[5]),
            )
        })
    });
    let excess = q(64 + world.sixty_fourths, 64);
    search(&[part], |(a, g)| {
        let product = kronecker(&a.matrix, &g.matrix);
        let identity = Matrix::identity(product.rows());
        let largest = &a.largest * &g.largest * &excess;
        let smallest = &a.smallest * &g.smallest;
        let above =
            Matrix::diagonal(&vec![largest.clone(); product.rows()]).plus(&q(-1, 1), &product);
        let below = product.plus(&-&smallest, &identity);
        (!touches_zero(&above) || !touches_zero(&below)).then(|| {
            format!(
                "A = {}, G = {}: the eigenvalues of A (x) G do not reach from {smallest} to {largest}",
                a.matrix, g.matrix
            )
        })
    })
}

fn extremes() -> Check {
    let spec = Spec {
        id: "extremes",
        role: Role::AsWritten,
        kind: Kind::Exact,
        hypothesis: "max 1 - A (x) G and A (x) G - min 1 have no negative eigenvalue and a vanishing one, with max and min the products of the factors' largest and smallest",
        tolerance: 0.0,
        detectable: Size::of("relative error of the largest eigenvalue", 1.0 / 64.0),
    };
    let world = |turned, sixty_fourths| Factors {
        turned,
        sixty_fourths,
    };
    let worlds = Worlds {
        real: world(true, 0),
        defect: Planted {
            what: "a largest eigenvalue that is 1/64 too large",
            size: 1.0 / 64.0,
            world: world(true, 1),
        },
        truth: Planted {
            what: "diagonal factors",
            size: 0.0,
            world: world(false, 0),
        },
    };
    Check::new(spec, worlds, examine_extremes)
}

/// Random definite factors; the product's condition number is multiplied by `1 + error`; or diagonal factors.
struct Spectrum {
    error: f64,
    diagonal: bool,
}

/// The smallest eigenvalue errs by a few `n m eps` times the condition number, which stays below 1e6 here.
const TOLERANCE: f64 = 1e-8;

fn condition(matrix: &Mat<f64>) -> Option<(f64, f64)> {
    let eigenvalues = matrix.self_adjoint_eigenvalues(Side::Lower).ok()?;
    Some((*eigenvalues.first()?, *eigenvalues.last()?))
}

fn examine_spectrum(world: &Spectrum, draw: &Draw) -> Finding {
    let generator = &mut draw.seed.generator();
    let mut worst = 0f64;
    let mut cases = 0;
    for n in 1..=5 {
        for m in 1..=5 {
            let mut definite = |d: usize| {
                let z = standard_normals(generator, d * d);
                Mat::from_fn(d, d, |i, j| {
                    let product: f64 = (0..d).map(|k| z[i * d + k] * z[j * d + k]).sum();
                    match (i == j, world.diagonal) {
                        (true, _) => 0.05 + product,
                        (false, true) => 0.0,
                        (false, false) => product,
                    }
                })
            };
            let (a, g) = (definite(n), definite(m));
            let product = Mat::from_fn(n * m, n * m, |i, j| a[(i / m, j / m)] * g[(i % m, j % m)]);
            let (Some(of_a), Some(of_g), Some(whole)) =
                (condition(&a), condition(&g), condition(&product))
            else {
                return Finding::new(Outcome::Undecided, cases, "a spectrum did not converge");
            };
            let stated = of_a.1 * of_g.1 / (of_a.0 * of_g.0);
            let measured = whole.1 / whole.0 * (1.0 + world.error);
            worst = worse(worst, (stated / measured - 1.0).abs());
            cases += 1;
        }
    }
    let compared = "the product of the factors' condition numbers and that of the whole matrix, up to 25 by 25,";
    Finding::of_identity(worst, TOLERANCE, cases, compared)
}

fn spectrum() -> Check {
    let spec = Spec {
        id: "spectrum",
        role: Role::AsWritten,
        kind: Kind::Identity,
        hypothesis: "the whole matrix, by its own eigenvalues, has the stated condition number",
        tolerance: TOLERANCE,
        detectable: Size::of("relative error of the condition number", 1e-7),
    };
    let world = |error, diagonal| Spectrum { error, diagonal };
    let worlds = Worlds {
        real: world(0.0, false),
        defect: Planted {
            what: "a condition number that is off by one part in 10^7",
            size: 1e-7,
            world: world(1e-7, false),
        },
        truth: Planted {
            what: "diagonal factors",
            size: 0.0,
            world: world(0.0, true),
        },
    };
    Check::new(spec, worlds, examine_spectrum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_matrix_with_a_vanishing_and_no_negative_eigenvalue_touches_zero() {
        let diagonal = |values: [i64; 2]| Matrix::diagonal(&values.map(|v| q(v, 1)));
        assert!(touches_zero(&diagonal([0, 3])));
        assert!(!touches_zero(&diagonal([1, 3])));
        assert!(!touches_zero(&diagonal([0, -3])));
    }
}
