//! A whole matrix, for few parameters: the full curvature, a layer's exact block, or a factor of a Kronecker product.

use super::{Curvature, check_damping};
use crate::error::{Error, Result};
use crate::geometry::factor::{check_square, check_vector, definite_factor};
use faer::linalg::solvers::{Llt, Solve};
use faer::{Mat, MatRef, Side};

/// Entries on the two sides of the diagonal may differ by this much of `sqrt(F_ii F_jj)`. Naive sums of `N` products of 64-bit numbers
/// round by `N eps`, so this allows for forty million terms.
const ASYMMETRY: f64 = 1e-8;

/// A symmetric positive semidefinite matrix, `[d, d]`, with its Cholesky factor where it has one.
#[derive(Clone, Debug)]
pub struct Dense {
    matrix: Mat<f64>,
    factor: Option<Llt<f64>>,
}

impl Dense {
    /// From the matrix, `[d, d]`, whose two halves are averaged. Costs `d^3/3` multiplications.
    ///
    /// # Errors
    /// When the matrix is empty, not square, not finite, not symmetric or has a negative eigenvalue (all to rounding).
    pub fn new(matrix: MatRef<'_, f64>) -> Result<Self> {
        check_square(matrix, "a side of the curvature")?;
        let d = matrix.nrows();
        let refused = Error::NotACovariance {
            what: "the curvature",
            accepted: "a symmetric matrix with no negative eigenvalue",
        };
        let symmetric = (0..d).all(|j| {
            (0..j).all(|i| {
                let scale = matrix[(i, i)].sqrt() * matrix[(j, j)].sqrt();
                // a NaN scale, from a negative diagonal, refuses too
                (matrix[(i, j)] - matrix[(j, i)]).abs() <= ASYMMETRY * scale
            })
        });
        if !symmetric || (0..d).any(|i| matrix[(i, i)] < 0.0) {
            return Err(refused);
        }
        let dense = Self {
            matrix: Mat::from_fn(d, d, |i, j| {
                matrix[(i, j)] + 0.5 * (matrix[(j, i)] - matrix[(i, j)])
            }),
            factor: None,
        };
        if let Ok(factor) = definite_factor(dense.matrix.as_ref()) {
            return Ok(Self {
                factor: Some(factor),
                ..dense
            });
        }
        // a singular matrix is definite once damped; one that is not has a negative eigenvalue
        let damped = dense.shifted(dense.least_damping());
        match definite_factor(damped.as_ref()) {
            Ok(_) => Ok(dense),
            Err(_) => Err(refused),
        }
    }

    /// The matrix, `[d, d]`.
    pub fn matrix(&self) -> MatRef<'_, f64> {
        self.matrix.as_ref()
    }

    /// `$F + \lambda 1$`.
    ///
    /// # Errors
    /// When `lambda` is negative or not finite.
    pub fn damped(&self, lambda: f64) -> Result<Self> {
        check_damping(lambda)?;
        Self::new(self.shifted(lambda).as_ref())
    }

    /// The multiple of the identity that makes any matrix of this trace definite. Cholesky's backward error is below
    /// `(d + 1) eps sqrt(F_ii F_jj)` in entry `(i, j)` (Higham 2002, *Accuracy and Stability of Numerical Algorithms*, theorem 10.3), whose
    /// norm is below `(d + 1) eps Tr F`; the factor 4 leaves room for the test of the pivots and for the sum itself.
    fn least_damping(&self) -> f64 {
        let d = self.matrix.nrows() as f64;
        (4.0 * (d + 1.0) * f64::EPSILON * self.trace()).max(f64::MIN_POSITIVE)
    }

    fn shifted(&self, lambda: f64) -> Mat<f64> {
        let d = self.matrix.nrows();
        Mat::from_fn(d, d, |i, j| {
            self.matrix[(i, j)] + if i == j { lambda } else { 0.0 }
        })
    }

    /// The Cholesky factor, or an error that calls the matrix `what`.
    fn factor(&self, what: &str) -> Result<&Llt<f64>> {
        self.factor.as_ref().ok_or_else(|| Error::Singular {
            what: what.into(),
            damping: self.least_damping(),
        })
    }

    /// `F^-1 X`, for `X` of shape `[d, k]`; errors call the matrix `what`.
    pub(crate) fn solve_columns(&self, x: MatRef<'_, f64>, what: &str) -> Result<Mat<f64>> {
        Ok(self.factor(what)?.solve(x))
    }

    /// `L^-1`, `[d, d]`, of `F = L L'`: it whitens. Errors call the matrix `what`.
    pub(crate) fn whitening(&self, what: &str) -> Result<Mat<f64>> {
        let mut inverse = Mat::identity(self.dimension(), self.dimension());
        self.factor(what)?
            .L()
            .solve_lower_triangular_in_place(inverse.as_mut());
        Ok(inverse)
    }

    /// As [`Curvature::log_determinant`], with errors that call the matrix `what`.
    pub(crate) fn log_determinant_of(&self, what: &str) -> Result<f64> {
        let l = self.factor(what)?.L();
        Ok((0..l.nrows()).map(|i| 2.0 * l[(i, i)].ln()).sum())
    }

    /// Eigenvectors in columns, `[d, d]`, and eigenvalues in ascending order, those below zero by rounding raised to it.
    pub(crate) fn eigen(&self) -> Result<(Mat<f64>, Vec<f64>)> {
        let Ok(eigen) = self.matrix.self_adjoint_eigen(Side::Lower) else {
            return Err(no_eigenvalues());
        };
        let column = eigen.S().column_vector();
        let values = (0..self.dimension()).map(|i| column[i].max(0.0)).collect();
        Ok((eigen.U().to_owned(), values))
    }

    /// The largest eigenvalue over the smallest; `None` where the smallest is within rounding (`d eps` times the largest) of zero, and
    /// the condition infinite for all that can be told.
    ///
    /// # Errors
    /// When the eigenvalues can not be found.
    pub fn condition(&self) -> Result<Option<f64>> {
        match self.matrix.self_adjoint_eigenvalues(Side::Lower) {
            Ok(values) => Ok(condition_of(&values)),
            Err(_) => Err(no_eigenvalues()),
        }
    }
}

fn no_eigenvalues() -> Error {
    Error::NotACovariance {
        what: "the curvature",
        accepted: "a matrix whose eigenvalues can be found",
    }
}

/// The condition number of a matrix with these eigenvalues; see [`Dense::condition`].
pub(crate) fn condition_of(eigenvalues: &[f64]) -> Option<f64> {
    let largest = eigenvalues.iter().copied().fold(0.0, f64::max);
    let smallest = eigenvalues.iter().copied().fold(f64::INFINITY, f64::min);
    let rounding = eigenvalues.len() as f64 * f64::EPSILON * largest;
    (smallest > rounding).then(|| largest / smallest)
}

const WHAT: &str = "the curvature";

impl Curvature for Dense {
    fn dimension(&self) -> usize {
        self.matrix.nrows()
    }

    fn matvec(&self, v: &[f64]) -> Result<Vec<f64>> {
        check_vector(v, self.dimension(), "the vector")?;
        let product = &self.matrix * MatRef::from_column_major_slice(v, v.len(), 1);
        Ok((0..v.len()).map(|i| product[(i, 0)]).collect())
    }

    fn solve(&self, v: &[f64]) -> Result<Vec<f64>> {
        check_vector(v, self.dimension(), "the vector")?;
        let x = self.solve_columns(MatRef::from_column_major_slice(v, v.len(), 1), WHAT)?;
        Ok((0..v.len()).map(|i| x[(i, 0)]).collect())
    }

    fn trace(&self) -> f64 {
        (0..self.dimension()).map(|i| self.matrix[(i, i)]).sum()
    }

    fn log_determinant(&self) -> Result<f64> {
        self.log_determinant_of(WHAT)
    }

    fn to_dense(&self) -> Mat<f64> {
        self.matrix.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faer::mat;

    #[test]
    fn the_damping_that_a_refusal_names_is_accepted() -> Result<()> {
        // rank one, zero, and rank one of forty directions
        let v: Vec<f64> = (1..=40).map(|i| 0.1 * f64::from(i)).collect();
        let large = Mat::from_fn(40, 40, |i, j| v[i] * v[j]);
        for singular in [mat![[1.0, 1.0], [1.0, 1.0]], Mat::zeros(3, 3), large] {
            let dense = Dense::new(singular.as_ref())?;
            let Err(Error::Singular { what, damping }) = dense.log_determinant() else {
                panic!("it has no log determinant");
            };
            assert_eq!(what, "the curvature");
            assert!(dense.damped(damping)?.log_determinant().is_ok());
            assert!(dense.solve(&vec![1.0; dense.dimension()]).is_err());
            assert_eq!(dense.condition()?, None);
        }
        Ok(())
    }

    #[test]
    fn what_is_no_curvature_is_refused() {
        let refused = |m: Mat<f64>| Dense::new(m.as_ref()).expect_err("refused").to_string();
        let symmetric =
            "the curvature is not a symmetric matrix with no negative eigenvalue".to_string();
        assert_eq!(refused(mat![[1.0, 0.5], [0.0, 1.0]]), symmetric);
        assert_eq!(refused(mat![[1.0, 2.0], [2.0, 1.0]]), symmetric);
        assert_eq!(refused(mat![[-1.0]]), symmetric);
        assert_eq!(
            refused(mat![[1.0, 0.0], [f64::NAN, 1.0]]),
            "row 1, column 0 is NaN; every entry must be a finite number"
        );
        assert!(refused(Mat::zeros(0, 0)).contains("at least one coordinate"));
        let dense = Dense::new(mat![[1.0]].as_ref()).expect("1 is definite");
        assert!(dense.damped(-1.0).is_err());
        assert!(dense.matvec(&[1.0, 2.0]).is_err());
        assert!(dense.solve(&[f64::NAN]).is_err());
    }

    #[test]
    fn graded_curvature_is_solved_to_full_precision() -> Result<()> {
        // the scale of a parameter is no ill condition: Cholesky's error does not see it
        let dense = Dense::new(mat![[4.0, 1e-100], [1e-100, 1e-200]].as_ref())?;
        let x = dense.solve(&[1.0, 0.0])?;
        // the inverse of [[4, e], [e, e^2]] is [[1, -1/e], [-1/e, 4/e^2]] / 3
        approx::assert_relative_eq!(x[0], 1.0 / 3.0, max_relative = 1e-14);
        approx::assert_relative_eq!(x[1], -1e100 / 3.0, max_relative = 1e-14);
        Ok(())
    }

    #[test]
    fn a_negative_eigenvalue_is_forgiven_within_the_rounding_of_cholesky_and_no_further()
    -> Result<()> {
        // the eigenvalues are 2 + e and -e
        let beyond = |e: f64| Dense::new(mat![[1.0, 1.0 + e], [1.0 + e, 1.0]].as_ref());
        // four times the bound (d + 1) eps Tr F = (2 + 1) eps 2
        let forgiven = 24.0 * f64::EPSILON;
        let Err(Error::Singular { damping, .. }) = beyond(0.0)?.log_determinant() else {
            panic!("it has no log determinant");
        };
        assert_eq!(damping, forgiven);
        assert!(beyond(forgiven / 3.0).is_ok());
        for e in [2.0 * forgiven, 1e-12, 0.5] {
            assert!(beyond(e).is_err(), "{e}");
        }
        Ok(())
    }
}
