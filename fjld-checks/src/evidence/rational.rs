//! Vectors and matrices of exact rationals.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive, Zero};

/// An exact rational of unbounded size: no overflow can pass for a result.
pub type Q = BigRational;

/// `numerator / denominator`.
pub fn q(numerator: i64, denominator: i64) -> Q {
    Q::new(BigInt::from(numerator), BigInt::from(denominator))
}

/// The nearest double.
pub fn to_f64(value: &Q) -> f64 {
    value.to_f64().unwrap_or(f64::NAN)
}

/// `|x|^2`.
pub fn squared_norm(x: &[Q]) -> Q {
    x.iter().map(|v| v * v).sum()
}

/// `x . y`.
pub fn dot(x: &[Q], y: &[Q]) -> Q {
    x.iter().zip(y).map(|(a, b)| a * b).sum()
}

/// `x^n`.
pub fn power(x: &Q, n: usize) -> Q {
    (0..n).fold(Q::one(), |product, _| product * x)
}

/// `(a, b, c)`, or `a` alone, as it is written with pencil.
pub fn tuple(x: &[Q]) -> String {
    if let [only] = x {
        return only.to_string();
    }
    let parts: Vec<String> = x.iter().map(Q::to_string).collect();
    format!("({})", parts.join(", "))
}

/// A matrix of exact rationals, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matrix(pub Vec<Vec<Q>>);

impl Matrix {
    /// The matrix with entries `f(row, column)`.
    pub fn from_fn(rows: usize, columns: usize, f: impl Fn(usize, usize) -> Q) -> Self {
        let row = |i| (0..columns).map(|j| f(i, j)).collect();
        Self((0..rows).map(row).collect())
    }

    /// The matrix with this diagonal and zeros elsewhere.
    pub fn diagonal(entries: &[Q]) -> Self {
        Self::from_fn(entries.len(), entries.len(), |i, j| {
            if i == j {
                entries[i].clone()
            } else {
                Q::zero()
            }
        })
    }

    /// The identity.
    pub fn identity(d: usize) -> Self {
        Self::diagonal(&vec![Q::one(); d])
    }

    /// The symmetric matrix whose lower triangle, row by row, is `entries`.
    pub fn symmetric(d: usize, entries: &[Q]) -> Self {
        Self::from_fn(d, d, |i, j| {
            let (low, high) = (i.min(j), i.max(j));
            entries[high * (high + 1) / 2 + low].clone()
        })
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.0.len()
    }

    /// The transpose.
    pub fn transpose(&self) -> Self {
        let columns = self.0.first().map_or(0, Vec::len);
        Self::from_fn(columns, self.rows(), |i, j| self.0[j][i].clone())
    }

    /// `self x`.
    pub fn apply(&self, x: &[Q]) -> Vec<Q> {
        self.0.iter().map(|row| dot(row, x)).collect()
    }

    /// `self other`.
    pub fn times(&self, other: &Self) -> Self {
        let columns = other.transpose();
        Self::from_fn(self.rows(), columns.rows(), |i, j| {
            dot(&self.0[i], &columns.0[j])
        })
    }

    /// `self + s other`.
    pub fn plus(&self, s: &Q, other: &Self) -> Self {
        Self::from_fn(self.rows(), self.rows(), |i, j| {
            &self.0[i][j] + s * &other.0[i][j]
        })
    }

    /// The sum of the diagonal.
    pub fn trace(&self) -> Q {
        (0..self.rows()).map(|i| self.0[i][i].clone()).sum()
    }

    /// The product of the diagonal.
    pub fn diagonal_product(&self) -> Q {
        (0..self.rows()).fold(Q::one(), |product, i| product * &self.0[i][i])
    }

    /// The determinant, by elimination.
    pub fn determinant(&self) -> Q {
        let mut rows = self.0.clone();
        let mut determinant = Q::one();
        for column in 0..rows.len() {
            let Some(pivot) = (column..rows.len()).find(|&i| !rows[i][column].is_zero()) else {
                return Q::zero();
            };
            if pivot != column {
                rows.swap(pivot, column);
                determinant = -determinant;
            }
            determinant *= &rows[column][column];
            let (above, below) = rows.split_at_mut(column + 1);
            let pivot = &above[column];
            for row in below {
                let factor = &row[column] / &pivot[column];
                for (entry, p) in row.iter_mut().zip(pivot).skip(column) {
                    *entry -= &factor * p;
                }
            }
        }
        determinant
    }

    /// The inverse, or `None` for a singular matrix.
    pub fn inverse(&self) -> Option<Self> {
        let d = self.rows();
        let mut left = self.0.clone();
        let mut right = Self::identity(d).0;
        for column in 0..d {
            let pivot = (column..d).find(|&i| !left[i][column].is_zero())?;
            left.swap(pivot, column);
            right.swap(pivot, column);
            let scale = left[column][column].recip();
            for j in 0..d {
                left[column][j] *= &scale;
                right[column][j] *= &scale;
            }
            for i in (0..d).filter(|&i| i != column) {
                let factor = left[i][column].clone();
                if factor.is_zero() {
                    continue;
                }
                for j in 0..d {
                    let (l, r) = (&factor * &left[column][j], &factor * &right[column][j]);
                    left[i][j] -= l;
                    right[i][j] -= r;
                }
            }
        }
        Some(Self(right))
    }

    /// Whether a symmetric matrix is positive definite (Sylvester: every leading principal minor is positive).
    pub fn is_positive_definite(&self) -> bool {
        (1..=self.rows()).all(|d| {
            Self::from_fn(d, d, |i, j| self.0[i][j].clone())
                .determinant()
                .is_positive()
        })
    }

    /// `J' self J`, what a covariance of gradients becomes in a chart with Jacobian `J`.
    pub fn pulled_back(&self, jacobian: &Self) -> Self {
        jacobian.transpose().times(self).times(jacobian)
    }
}

impl std::fmt::Display for Matrix {
    /// `diag(1, 2)` or `[[1, 2], [3, 4]]`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let d = self.rows();
        let entries: Vec<Q> = (0..d).map(|i| self.0[i][i].clone()).collect();
        if d > 1 && *self == Self::diagonal(&entries) {
            return write!(f, "diag{}", tuple(&entries));
        }
        if d == 1 {
            return write!(f, "{}", entries[0]);
        }
        let rows: Vec<String> = self
            .0
            .iter()
            .map(|row| tuple(row).replace('(', "[").replace(')', "]"))
            .collect();
        write!(f, "[{}]", rows.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverse_undoes_the_matrix_and_the_determinant_is_what_pencil_gives() {
        let m = Matrix(vec![
            vec![q(0, 1), q(2, 1), q(1, 1)],
            vec![q(1, 2), q(0, 1), q(3, 1)],
            vec![q(1, 1), q(1, 1), q(0, 1)],
        ]);
        // expansion along the first row: -2 (1/2 * 0 - 3 * 1) + 1 (1/2 * 1 - 0)
        assert_eq!(m.determinant(), q(13, 2));
        let inverse = m.inverse().expect("the determinant is not zero");
        assert_eq!(m.times(&inverse), Matrix::identity(3));
    }

    #[test]
    fn a_singular_matrix_has_no_inverse_and_is_not_positive_definite() {
        let m = Matrix::symmetric(2, &[q(1, 1), q(1, 1), q(1, 1)]);
        assert_eq!(m.inverse(), None);
        assert!(!m.is_positive_definite());
        assert!(Matrix::symmetric(2, &[q(2, 1), q(1, 1), q(1, 1)]).is_positive_definite());
    }

    #[test]
    fn matrices_are_written_as_with_pencil() {
        assert_eq!(
            Matrix::diagonal(&[q(1, 1), q(1, 2)]).to_string(),
            "diag(1, 1/2)"
        );
        assert_eq!(
            Matrix::symmetric(2, &[q(1, 1), q(-1, 1), q(2, 1)]).to_string(),
            "[[1, -1], [-1, 2]]"
        );
    }

    #[test]
    fn a_symmetric_matrix_is_filled_by_its_lower_triangle_row_by_row() {
        let entries: Vec<Q> = (1..=6).map(|k| q(k, 1)).collect();
        let written = Matrix::symmetric(3, &entries).to_string();
        assert_eq!(written, "[[1, 2, 4], [2, 3, 5], [4, 5, 6]]");
    }

    #[test]
    fn the_product_of_the_diagonal_is_the_determinant_of_a_triangle() {
        let m = Matrix(vec![
            vec![q(2, 1), q(0, 1), q(0, 1)],
            vec![q(5, 1), q(3, 4), q(0, 1)],
            vec![q(1, 7), q(9, 1), q(-5, 1)],
        ]);
        // 2 * 3/4 * -5
        assert_eq!(m.diagonal_product(), q(-15, 2));
        assert_eq!(m.diagonal_product(), m.determinant());
    }

    #[test]
    fn a_matrix_of_one_entry_is_written_as_the_entry() {
        assert_eq!(Matrix::diagonal(&[q(3, 2)]).to_string(), "3/2");
    }
}
