//! The ratio in the metric of an estimated second moment that no more gradients than weights went into.

use crate::evidence::rational::{Matrix, Q, dot, q, tuple};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use num_traits::{One, Zero};

/// So many gradients of so many weights each; `sixty_fourths/64` of damping is added to their Gram matrix.
struct Few {
    shapes: &'static [(usize, usize)],
    sixty_fourths: i64,
}

/// The Moore-Penrose inverse of `X'X/n` for `X` with linearly independent rows: `n X'(XX')^-2 X`, with `XX' + damping` for `XX'`.
fn pseudo_inverse(rows: &Matrix, damping: &Q) -> Option<Matrix> {
    let turned = rows.transpose();
    let gram = rows.times(&turned);
    let inverse = gram
        .plus(damping, &Matrix::identity(gram.rows()))
        .inverse()?;
    let inner = turned.times(&inverse).times(&inverse).times(rows);
    let (n, d) = (q(rows.rows() as i64, 1), inner.rows());
    Some(Matrix::from_fn(d, d, |i, j| &n * &inner.0[i][j]))
}

/// `n` gradients of `d` weights; of three gradients the k-th has the k-th coordinate 1, to keep the number of cases down.
fn rows(n: usize, d: usize) -> Part<Matrix> {
    let ones = n == 3;
    let free = if ones { n * d - n } else { n * d };
    Part::new(&[&vec![Axis::Any; free]], 1, move |c| {
        let mut rest = c.iter();
        let mut rows = vec![vec![Q::one(); d]; n];
        for (i, row) in rows.iter_mut().enumerate() {
            for (j, entry) in row.iter_mut().enumerate() {
                if !(ones && i == j) {
                    entry.clone_from(rest.next()?);
                }
            }
        }
        Some(Matrix(rows))
    })
}

fn examine_few(world: &Few, _: &Draw) -> Finding {
    let parts: Vec<Part<Matrix>> = world.shapes.iter().map(|&(n, d)| rows(n, d)).collect();
    let damping = q(world.sixty_fourths, 64);
    search(&parts, |rows| {
        let (n, d) = (rows.rows() as i64, rows.0[0].len());
        // dependent gradients are outside the claim, damped or not
        if rows.times(&rows.transpose()).determinant().is_zero() {
            return None;
        }
        let metric = pseudo_inverse(rows, &damping)?;
        let count = q(n, 1);
        let mean: Vec<Q> = (0..d)
            .map(|j| rows.0.iter().map(|row| row[j].clone()).sum::<Q>() / &count)
            .collect();
        let signal = dot(&mean, &metric.apply(&mean));
        let length = |row: &Vec<Q>| {
            let gap: Vec<Q> = row.iter().zip(&mean).map(|(x, m)| x - m).collect();
            dot(&gap, &metric.apply(&gap))
        };
        let noise = rows.0.iter().map(length).sum::<Q>() / q(n - 1, 1);
        let ratio = signal / noise;
        (ratio != q(1, n)).then(|| {
            let shown: Vec<String> = rows.0.iter().map(|row| tuple(row)).collect();
            format!(
                "gradients {}: C_F = {ratio}, and 1/n = 1/{n}",
                shown.join(" ")
            )
        })
    })
}

/// The check of `C_F` from fewer gradients than weights, or as many.
pub fn gradients() -> Check {
    let spec = Spec {
        id: "few-gradients",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "two linearly independent gradients of two or three weights give C_F = 1/2, three of three weights 1/3, with the divisor n - 1",
        tolerance: 0.0,
        detectable: Size::of("damping of the Gram matrix", 1.0 / 64.0),
    };
    let world = |shapes, sixty_fourths| Few {
        shapes,
        sixty_fourths,
    };
    let worlds = Worlds {
        real: world(&[(2, 2), (2, 3), (3, 3)], 0),
        defect: Planted {
            what: "a Gram matrix with a damping of 1/64",
            size: 1.0 / 64.0,
            world: world(&[(2, 2)], 1),
        },
        truth: Planted {
            what: "two gradients of two weights",
            size: 0.0,
            world: world(&[(2, 2)], 0),
        },
    };
    Check::new(spec, worlds, examine_few)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pseudo_inverse_meets_the_four_conditions_of_penrose() {
        let rows = Matrix(vec![
            vec![q(1, 1), q(2, 1), q(0, 1)],
            vec![q(0, 1), q(1, 1), q(-1, 1)],
        ]);
        let moment = Matrix::from_fn(3, 3, |i, j| {
            rows.0.iter().map(|row| &row[i] * &row[j]).sum::<Q>() / q(2, 1)
        });
        let inverse = pseudo_inverse(&rows, &Q::zero()).expect("the rows are independent");
        let (left, right) = (moment.times(&inverse), inverse.times(&moment));
        assert_eq!(left.times(&moment), moment);
        assert_eq!(right.times(&inverse), inverse);
        assert_eq!((left.transpose(), right.transpose()), (left, right));
    }
}
