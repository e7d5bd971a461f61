//! The full Fisher matrix beyond a million parameters.
//!
//! As a matrix it has `d(d+1)/2` different entries. As an operator it has none: with the rows `g_1..g_n` of `G`, `F = G'G/n` gives
//!
//! ```text
//! F v            = (1/n) sum_i g_i (g_i.v)
//! det(l 1 + F)   = l^(d-n) det(l 1_n + GG'/n)                (Sylvester)
//! (l 1 + F)^-1 v = (v - G'(n l 1_n + GG')^-1 G v) / l         (Woodbury)
//! ```
//!
//! from the `n d` numbers of the gradients and an `n x n` matrix, with nothing approximated.

use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, dot, power, q, tuple};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds, worse};
use num_traits::One;

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "full-fisher",
        origin: Origin::Document,
        statement: "The full Fisher matrix takes memory of order d^2, out of reach beyond a million parameters, so that a diagonal or block-diagonal form has to do.",
        sentence: Some(Sentence {
            section: "Computational Constraints",
            line: 295,
            sha256: "6517b33a98cdf7ad9a0fff5bdd91bb8296b7e3d31553a764fe4dbd0326948990",
            status: "stated",
        }),
        holds_when: Some(
            "the matrix itself is to be stored, entry by entry, and a tebibyte is out of reach",
        ),
        corrected: Some(
            "Stored, the matrix takes d(d+1)/2 numbers, two terabytes at a million parameters in single precision. But from n gradients its products F v take n d numbers, and with n^2 more its damped determinant and inverse, all without approximation: at a million parameters this fits a small machine.",
        ),
        scenarios: &[],
        checks: vec![
            memory("memory", Role::AsWritten),
            has_to_be_stored(),
            memory("stored", Role::HoldsWhen),
            by_gram_matrix(),
            beyond_a_million(),
        ],
    }
}

/// How much of a machine counts as out of reach: a tebibyte.
const OUT_OF_REACH: i64 = 1 << 40;

/// Bytes of one number.
struct Storage {
    bytes: i64,
}

/// Different entries of a symmetric matrix, counted one by one.
fn entries(d: i64) -> i64 {
    (0..d).map(|row| (0..=row).count() as i64).sum()
}

/// [`entries`] where there are too many to count: its third differences vanish, so that Newton's series of three terms from `d = 1` is exact.
fn entries_of(d: i64) -> Q {
    let [a, b, c] = [entries(1), entries(2), entries(3)];
    let steps = q(d - 1, 1);
    q(a, 1) + &steps * q(b - a, 1) + &steps * (&steps - Q::one()) * q(c - 2 * b + a, 2)
}

fn examine_memory(world: &Storage, _: &Draw) -> Finding {
    // just beyond a million, and well beyond
    let part = |spacing: i64| {
        Part::new(&[&[Axis::Positive]], 20, move |c| {
            c[0].is_integer()
                .then(|| q(1_000_000, 1) + &c[0] * q(spacing, 1))
        })
    };
    search(&[part(1), part(1_000_000)], |d| {
        let d: i64 = d.to_integer().try_into().ok()?;
        let bytes = entries_of(d) * q(world.bytes, 1);
        (bytes <= q(OUT_OF_REACH, 1)).then(|| {
            format!(
                "d = {d}: the matrix takes {bytes} bytes at {} a number, and a tebibyte is {OUT_OF_REACH}",
                world.bytes
            )
        })
    })
}

fn memory(id: &'static str, role: Role) -> Check {
    let spec = Spec {
        id,
        role,
        kind: Kind::Exact,
        hypothesis: "the lower triangle of F, in single precision, takes more than a tebibyte for every d beyond a million",
        tolerance: 0.0,
        detectable: Size::of("share of the bytes saved", 0.5),
    };
    let worlds = Worlds {
        real: Storage { bytes: 4 },
        defect: Planted {
            what: "numbers of half as many bytes",
            size: 0.5,
            world: Storage { bytes: 2 },
        },
        truth: Planted {
            what: "double precision",
            size: 0.0,
            world: Storage { bytes: 8 },
        },
    };
    Check::new(spec, worlds, examine_memory)
}

/// Gradients as rows, with the vector that is multiplied.
struct Case {
    rows: Matrix,
    vector: Vec<Q>,
}

impl Case {
    fn examples(&self) -> i64 {
        self.rows.rows() as i64
    }

    fn dimension(&self) -> i64 {
        self.vector.len() as i64
    }

    /// `F = G'G/n`, entry by entry.
    fn matrix(&self) -> Matrix {
        let d = self.vector.len();
        let columns = self.rows.transpose();
        Matrix::from_fn(d, d, |i, j| {
            dot(&columns.0[i], &columns.0[j]) / q(self.examples(), 1)
        })
    }

    /// `(1/n) sum_i g_i (g_i.v)`, which holds no matrix.
    fn product(&self) -> Vec<Q> {
        let weights = self.rows.apply(&self.vector);
        let sum = self.rows.transpose().apply(&weights);
        sum.iter().map(|s| s / q(self.examples(), 1)).collect()
    }
}

fn part(n: usize, d: usize, entry: Axis) -> Part<Case> {
    Part::new(&[&vec![entry; n * d]], 1, move |c| {
        Some(Case {
            rows: Matrix(c.chunks(d).map(<[Q]>::to_vec).collect()),
            // no two coordinates alike, so that one can not stand for another
            vector: (1..=d as i64).map(|k| q(k, 1)).collect(),
        })
    })
}

/// Numbers of gradients and parameters.
struct Shapes(&'static [(usize, usize)]);

fn examine_storage(world: &Shapes, _: &Draw) -> Finding {
    let parts: Vec<Part<Case>> = world
        .0
        .iter()
        .map(|&(n, d)| part(n, d, Axis::NonZero))
        .collect();
    search(&parts, |case| {
        let (n, d) = (case.examples(), case.dimension());
        let exact = case.product() == case.matrix().apply(&case.vector);
        let (held, matrix) = (n * d, entries(d));
        (exact && held < matrix).then(|| {
            let shown: Vec<String> = case.rows.0.iter().map(|g| tuple(g)).collect();
            format!(
                "gradients {}: F v = {} at v = {} exactly, from the {held} numbers of the gradients, where F has {matrix}",
                shown.join(" "),
                tuple(&case.product()),
                tuple(&case.vector),
            )
        })
    })
}

fn has_to_be_stored() -> Check {
    let spec = Spec {
        id: "has-to-be-stored",
        role: Role::AsWritten,
        kind: Kind::Exact,
        hypothesis: "nothing gives F v exactly from fewer numbers than F has, so that without them an approximation has to do",
        tolerance: 0.0,
        detectable: Size::of("share of F's numbers done without", 1.0 / 6.0),
    };
    let worlds = Worlds {
        real: Shapes(&[(1, 1), (1, 2), (2, 2), (1, 3), (1, 4)]),
        defect: Planted {
            what: "one gradient of two parameters, two numbers against three",
            size: 1.0 / 3.0,
            world: Shapes(&[(1, 2)]),
        },
        truth: Planted {
            what: "as many gradients as parameters",
            size: 0.0,
            world: Shapes(&[(1, 1), (2, 2)]),
        },
    };
    Check::new(spec, worlds, examine_storage)
}

/// The Gram matrix of the gradients is multiplied by `1 + sixty_fourths/64`; in several parameters, or one.
struct Gram {
    sixty_fourths: i64,
    shapes: &'static [(usize, usize)],
}

fn examine_gram(world: &Gram, _: &Draw) -> Finding {
    let excess = q(64 + world.sixty_fourths, 64);
    let parts: Vec<Part<Case>> = world
        .shapes
        .iter()
        .map(|&(n, d)| part(n, d, Axis::Any))
        .collect();
    search(&parts, |case| {
        let (n, d) = (case.rows.rows(), case.vector.len());
        let damping = q(1, 2);
        let count = q(case.examples(), 1);
        let full = case.matrix().plus(&damping, &Matrix::identity(d));
        let gram = Matrix::from_fn(n, n, |i, j| dot(&case.rows.0[i], &case.rows.0[j]) * &excess);
        // l^(d-n) may have either sign in its exponent
        let small = Matrix::from_fn(n, n, |i, j| &gram.0[i][j] / &count)
            .plus(&damping, &Matrix::identity(n));
        let determinant = small.determinant() * power(&damping, d) / power(&damping, n);
        let solved = gram
            .plus(&(&count * &damping), &Matrix::identity(n))
            .inverse()?
            .apply(&case.rows.apply(&case.vector));
        let back = case.rows.transpose().apply(&solved);
        let inverse: Vec<Q> = case
            .vector
            .iter()
            .zip(&back)
            .map(|(v, b)| (v - b) / &damping)
            .collect();
        let kept = case.product() == case.matrix().apply(&case.vector)
            && determinant == full.determinant()
            && full.apply(&inverse) == case.vector;
        (!kept).then(|| {
            format!(
                "G = {}: det(1/2 + F) = {}, by the Gram matrix {determinant}; (1/2 + F)^-1 v = {} by it",
                case.rows,
                full.determinant(),
                tuple(&inverse),
            )
        })
    })
}

fn by_gram_matrix() -> Check {
    let spec = Spec {
        id: "by-gram-matrix",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "F v, det(1/2 + F) and (1/2 + F)^-1 v from the gradients and their n x n Gram matrix are those of the full matrix",
        tolerance: 0.0,
        detectable: Size::of("relative error of the Gram matrix", 1.0 / 64.0),
    };
    const SHAPES: &[(usize, usize)] = &[(1, 2), (2, 1), (2, 2), (1, 4), (2, 3), (3, 2)];
    let worlds = Worlds {
        real: Gram {
            sixty_fourths: 0,
            shapes: SHAPES,
        },
        defect: Planted {
            what: "a Gram matrix that is 1/64 too large",
            size: 1.0 / 64.0,
            world: Gram {
                sixty_fourths: 1,
                shapes: SHAPES,
            },
        },
        truth: Planted {
            what: "one gradient of one parameter",
            size: 0.0,
            world: Gram {
                sixty_fourths: 0,
                shapes: &[(1, 1)],
            },
        },
    };
    Check::new(spec, worlds, examine_gram)
}

/// The last entry of the second gradient is off by `error`; the gradients have so many parameters.
struct Long {
    parameters: usize,
    error: f64,
}

/// Every number in it is a small multiple of 1/2, so that nothing is rounded.
const LONG_TOLERANCE: f64 = 0.0;

fn examine_long(world: &Long, _: &Draw) -> Finding {
    let d = world.parameters;
    let alternating = |i: usize| if i.is_multiple_of(2) { 1.0 } else { -1.0 };
    let ones = vec![1.0; d];
    let mut signs: Vec<f64> = (0..d).map(alternating).collect();
    signs[d - 1] += world.error;
    // F v at v = e_1 is half the sum of both, 1 and 0 in turn
    let mut product = vec![0.0; d];
    for gradient in [&ones, &signs] {
        let weight = gradient[0] / 2.0;
        product
            .iter_mut()
            .zip(gradient)
            .for_each(|(p, g)| *p += weight * g);
    }
    let worst = (0..d)
        .map(|i| (product[i] - if i.is_multiple_of(2) { 1.0 } else { 0.0 }).abs())
        .fold(0.0, worse);
    let bytes = size_of::<f64>() * (ones.len() + signs.len() + product.len());
    let summary = format!(
        "F v from two gradients of {d} parameters is off by at most {worst:.1e}, and takes {bytes} bytes, where F would take {} in the same precision",
        entries_of(d as i64) * q(size_of::<f64>() as i64, 1)
    );
    Finding::of_discrepancy(worst, LONG_TOLERANCE, d as u64, summary)
}

fn beyond_a_million() -> Check {
    let spec = Spec {
        id: "beyond-a-million",
        role: Role::Corrected,
        kind: Kind::Identity,
        hypothesis: "with gradients of all ones and of alternating signs, F e_1 in 1,000,001 parameters is 1 and 0 in turn",
        tolerance: LONG_TOLERANCE,
        detectable: Size::of("error of one entry of one gradient", 1.0 / 64.0),
    };
    let worlds = Worlds {
        real: Long {
            parameters: 1_000_001,
            error: 0.0,
        },
        defect: Planted {
            what: "one entry that is off by 1/64",
            size: 1.0 / 64.0,
            world: Long {
                parameters: 1_000_001,
                error: 1.0 / 64.0,
            },
        },
        truth: Planted {
            what: "two parameters",
            size: 0.0,
            world: Long {
                parameters: 2,
                error: 0.0,
            },
        },
    };
    Check::new(spec, worlds, examine_long)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extrapolated_count_is_the_counted_one() {
        for d in 1..=50 {
            assert_eq!(entries_of(d), q(entries(d), 1));
        }
        // 10^6 (10^6 + 1) / 2
        assert_eq!(entries_of(1_000_000), q(500_000_500_000, 1));
    }
}
