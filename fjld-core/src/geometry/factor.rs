//! What every function of a definite covariance starts from: its Cholesky factor, or the reason why there is none.

use crate::error::{Error, Result};
use faer::linalg::solvers::Llt;
use faer::{MatRef, Side};

/// Refuses a matrix that is empty, not square, or holds NaN or an infinity.
pub(crate) fn check_square(matrix: MatRef<'_, f64>, what: &'static str) -> Result<()> {
    let d = matrix.nrows();
    if d == 0 {
        return Err(Error::NoCoordinates);
    }
    check_shape(matrix, d, d, what)
}

/// Refuses a matrix of another shape than `[rows, columns]`, or with NaN or an infinity in it.
pub(crate) fn check_shape(
    matrix: MatRef<'_, f64>,
    rows: usize,
    columns: usize,
    what: &'static str,
) -> Result<()> {
    for (expected, got) in [(rows, matrix.nrows()), (columns, matrix.ncols())] {
        if expected != got {
            return Err(Error::Length {
                what,
                expected,
                got,
            });
        }
    }
    for row in 0..rows {
        for column in 0..columns {
            let value = matrix[(row, column)];
            if !value.is_finite() {
                return Err(Error::NotFinite {
                    value,
                    row: row as u64,
                    column,
                });
            }
        }
    }
    Ok(())
}

/// Refuses a vector of another length, or with NaN or an infinity in it.
pub(crate) fn check_vector(vector: &[f64], length: usize, what: &'static str) -> Result<()> {
    check_shape(
        MatRef::from_column_major_slice(vector, vector.len(), 1),
        length,
        1,
        what,
    )
}

/// The Cholesky factor of `covariance`, `[d, d]`, of which the lower triangle is read.
///
/// The square of a diagonal entry of the factor is the variance of that coordinate given those before it. Where it is down to the
/// rounding of the coordinate's variance, the matrix is singular as far as anyone can tell, and it is refused. That is `2 (d + 1) eps D_ii`,
/// twice the factor's backward error (Higham 2002, *Accuracy and Stability of Numerical Algorithms*, theorem 10.3).
pub(crate) fn definite_factor(covariance: MatRef<'_, f64>) -> Result<Llt<f64>> {
    check_square(covariance, "a side of the covariance")?;
    let refused = Error::NotACovariance {
        what: "the covariance",
        accepted: "positive definite: some direction has no variance, so there is neither an inverse nor a log determinant",
    };
    let Ok(factor) = covariance.llt(Side::Lower) else {
        return Err(refused);
    };
    let d = covariance.nrows();
    let rounding = 2.0 * (d as f64 + 1.0) * f64::EPSILON;
    let l = factor.L();
    if (0..d).any(|i| l[(i, i)] * l[(i, i)] <= rounding * covariance[(i, i)]) {
        return Err(refused);
    }
    Ok(factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use faer::{Mat, mat};

    #[test]
    fn noise_that_is_singular_but_for_rounding_is_refused() {
        // (0.1, 0.2, 0.3) twice over: rank one, whatever its entries round to
        let v = [0.1, 0.2, 0.3];
        let rank_one = Mat::from_fn(3, 3, |i, j| v[i] * v[j]);
        assert!(definite_factor(rank_one.as_ref()).is_err());
        // small variances are no singularity
        let small = mat![[1e-200, 0.0], [0.0, 1.0]];
        assert!(definite_factor(small.as_ref()).is_ok());
    }

    #[test]
    fn a_variance_within_twice_the_backward_error_is_refused_and_one_beyond_it_is_not() {
        // [[1, 1], [1, 1 + k eps]] has the factor [[1, 0], [1, sqrt(k eps)]], and 2 (d + 1) eps is 6 eps
        let left = |k: f64| mat![[1.0, 1.0], [1.0, 1.0 + k * f64::EPSILON]];
        assert!(definite_factor(left(6.0).as_ref()).is_err());
        assert!(definite_factor(left(7.0).as_ref()).is_ok());
    }

    #[test]
    fn the_message_names_what_is_wrong() {
        let message = |m: Mat<f64>| {
            definite_factor(m.as_ref())
                .expect_err("it is no definite covariance")
                .to_string()
        };
        assert_eq!(
            message(mat![[1.0, 0.0], [f64::NAN, 1.0]]),
            "row 1, column 0 is NaN; every entry must be a finite number"
        );
        assert_eq!(
            message(Mat::zeros(2, 3)),
            "a side of the covariance has length 3; it must have length 2"
        );
        assert!(message(Mat::zeros(0, 0)).contains("at least one coordinate"));
        assert!(message(mat![[1.0, 2.0], [2.0, 1.0]]).contains("positive definite"));
    }
}
