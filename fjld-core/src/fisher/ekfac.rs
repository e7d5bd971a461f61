//! A layer's block as any spectrum in the eigenbasis of a Kronecker product (George et al. 2018, arXiv:1806.03884).

use super::dense::condition_of;
use super::kronecker::row_major;
use super::{Curvature, check_damping};
use crate::error::{Error, Result};
use crate::geometry::factor::{check_shape, check_square, check_vector};
use faer::{Mat, MatRef};

/// A spectrum in the eigenbasis of a Kronecker product,
///
/// ```math
/// F = (U_G \otimes U_A) \, \diag(S) \, (U_G \otimes U_A)',
/// ```
///
/// over the row-major weight `[out, in]` (with a bias `[out, in + 1]`), with orthogonal `U_G` and `U_A` and one eigenvalue `S_oi` for each
/// pair of eigenvectors.
///
/// EKFAC when `S` holds the second moments of the per-example gradients along them; an exactly damped K-FAC when it holds
/// `$s_o s_i + \lambda$`.
#[derive(Clone, Debug)]
pub struct Ekfac {
    left: Mat<f64>,
    right: Mat<f64>,
    spectrum: Mat<f64>,
}

impl Ekfac {
    /// From `U_G`, `[out, out]`, and `U_A`, `[in, in]`, with eigenvectors in columns, and `S`, `[out, in]`.
    ///
    /// # Errors
    /// When a shape does not fit, an entry is not finite, an eigenvalue is negative, or a basis is not orthogonal.
    pub fn new(left: Mat<f64>, right: Mat<f64>, spectrum: Mat<f64>) -> Result<Self> {
        check_orthogonal(left.as_ref())?;
        check_orthogonal(right.as_ref())?;
        check_shape(
            spectrum.as_ref(),
            left.nrows(),
            right.nrows(),
            "a side of the spectrum",
        )?;
        let block = Self {
            left,
            right,
            spectrum,
        };
        if let Some(&value) = block.eigenvalues().iter().find(|&&v| v < 0.0) {
            return Err(Error::OutOfRange {
                name: "an eigenvalue of the curvature",
                value,
                accepted: "zero or positive",
            });
        }
        Ok(block)
    }

    /// `U_G`, `[out, out]`.
    pub fn left(&self) -> MatRef<'_, f64> {
        self.left.as_ref()
    }

    /// `U_A`, `[in, in]` or with a bias `[in + 1, in + 1]`.
    pub fn right(&self) -> MatRef<'_, f64> {
        self.right.as_ref()
    }

    /// `S`, `[out, in]`.
    pub fn spectrum(&self) -> MatRef<'_, f64> {
        self.spectrum.as_ref()
    }

    /// `$F + \lambda 1$`.
    ///
    /// # Errors
    /// When `lambda` is negative or not finite.
    pub fn damped(&self, lambda: f64) -> Result<Self> {
        check_damping(lambda)?;
        let (rows, columns) = (self.spectrum.nrows(), self.spectrum.ncols());
        Self::new(
            self.left.clone(),
            self.right.clone(),
            Mat::from_fn(rows, columns, |o, i| self.spectrum[(o, i)] + lambda),
        )
    }

    /// The largest eigenvalue over the smallest; `None` where it is infinite to rounding.
    pub fn condition(&self) -> Option<f64> {
        condition_of(&self.eigenvalues())
    }

    fn eigenvalues(&self) -> Vec<f64> {
        row_major(&self.spectrum)
    }

    /// The spectrum, if every eigenvalue is more than rounding (`d eps` times the largest) away from zero.
    pub(crate) fn definite_spectrum(&self) -> Result<&Mat<f64>> {
        if self.condition().is_some() {
            return Ok(&self.spectrum);
        }
        let largest = self.eigenvalues().into_iter().fold(0.0, f64::max);
        Err(Error::Singular {
            what: "the curvature in its eigenbasis".into(),
            // above the rounding that `condition` allows for, of the damped spectrum too
            damping: (2.0 * self.dimension() as f64 * f64::EPSILON * largest)
                .max(f64::MIN_POSITIVE),
        })
    }

    /// `U_G (f(S) * (U_G' V U_A)) U_A'`, with an entrywise product.
    fn apply(&self, v: &[f64], scale: impl Fn(f64, f64) -> f64) -> Vec<f64> {
        let (rows, columns) = (self.left.nrows(), self.right.nrows());
        let weight = MatRef::from_row_major_slice(v, rows, columns);
        let turned = self.left.transpose() * weight * &self.right;
        let scaled = Mat::from_fn(rows, columns, |o, i| {
            scale(turned[(o, i)], self.spectrum[(o, i)])
        });
        row_major(&(&self.left * scaled * self.right.transpose()))
    }
}

/// Refuses a matrix whose columns are not orthonormal. Householder's reflections leave them so to a few `d eps`; a basis of single
/// precision would be off by 1e-7.
fn check_orthogonal(basis: MatRef<'_, f64>) -> Result<()> {
    check_square(basis, "a side of a basis")?;
    let d = basis.nrows();
    let product = basis.transpose() * basis;
    let tolerance = 100.0 * d as f64 * f64::EPSILON;
    let orthogonal = (0..d).all(|j| {
        (0..d).all(|i| (product[(i, j)] - f64::from(u8::from(i == j))).abs() <= tolerance)
    });
    if orthogonal {
        return Ok(());
    }
    Err(Error::NotACovariance {
        what: "a basis",
        accepted: "a matrix with orthonormal columns",
    })
}

impl Curvature for Ekfac {
    fn dimension(&self) -> usize {
        self.left.nrows() * self.right.nrows()
    }

    fn matvec(&self, v: &[f64]) -> Result<Vec<f64>> {
        check_vector(v, self.dimension(), "the vector")?;
        Ok(self.apply(v, |x, s| x * s))
    }

    fn solve(&self, v: &[f64]) -> Result<Vec<f64>> {
        check_vector(v, self.dimension(), "the vector")?;
        self.definite_spectrum()?;
        Ok(self.apply(v, |x, s| x / s))
    }

    fn trace(&self) -> f64 {
        self.eigenvalues().iter().sum()
    }

    fn log_determinant(&self) -> Result<f64> {
        let spectrum = self.definite_spectrum()?;
        Ok(row_major(spectrum).into_iter().map(f64::ln).sum())
    }

    fn to_dense(&self) -> Mat<f64> {
        let side = self.right.nrows();
        let d = self.dimension();
        let basis = Mat::from_fn(d, d, |i, j| {
            self.left[(i / side, j / side)] * self.right[(i % side, j % side)]
        });
        let scaled = Mat::from_fn(d, d, |i, j| {
            basis[(i, j)] * self.spectrum[(j / side, j % side)]
        });
        scaled * basis.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faer::mat;

    #[test]
    fn a_turned_spectrum_is_what_pencil_gives() -> Result<()> {
        // U_G swaps its two coordinates, so diag(1, 2) becomes diag(2, 1)
        let block = Ekfac::new(
            mat![[0.0, 1.0], [1.0, 0.0]],
            mat![[1.0]],
            mat![[1.0], [2.0]],
        )?;
        assert_eq!(block.matvec(&[10.0, 100.0])?, [20.0, 100.0]);
        assert_eq!(block.solve(&[10.0, 100.0])?, [5.0, 100.0]);
        assert_eq!(block.to_dense(), mat![[2.0, 0.0], [0.0, 1.0]]);
        Ok(())
    }

    #[test]
    fn what_is_no_basis_or_no_spectrum_is_refused() {
        let refused = |left: Mat<f64>, spectrum: Mat<f64>| {
            Ekfac::new(left, mat![[1.0]], spectrum)
                .expect_err("refused")
                .to_string()
        };
        assert_eq!(
            refused(mat![[2.0]], mat![[1.0]]),
            "a basis is not a matrix with orthonormal columns"
        );
        assert!(refused(mat![[1.0]], mat![[-1.0]]).contains("must be zero or positive"));
        assert!(refused(mat![[1.0]], mat![[f64::NAN]]).contains("finite"));
        assert!(refused(mat![[1.0]], mat![[1.0, 2.0]]).contains("length 2"));
    }

    #[test]
    fn the_damping_that_a_refusal_names_is_accepted() -> Result<()> {
        for spectrum in [mat![[3.0, 0.0]], mat![[0.0, 0.0]]] {
            let block = Ekfac::new(mat![[1.0]], Mat::identity(2, 2), spectrum)?;
            let Err(Error::Singular { damping, .. }) = block.solve(&[1.0, 1.0]) else {
                panic!("it has no inverse");
            };
            assert!(block.damped(damping)?.solve(&[1.0, 1.0]).is_ok());
        }
        Ok(())
    }

    #[test]
    fn the_damping_that_a_refusal_names_is_twice_the_rounding_that_makes_it_singular() -> Result<()>
    {
        let spectrum = mat![[3.0, 0.0, 1.0], [1.0, 2.0, 1.0]];
        let block = Ekfac::new(Mat::identity(2, 2), Mat::identity(3, 3), spectrum)?;
        let Err(Error::Singular { damping, .. }) = block.log_determinant() else {
            panic!("one of its eigenvalues is zero");
        };
        // d eps times the largest is 2 * 3 eps 3
        let rounding = 18.0 * f64::EPSILON;
        assert_eq!(damping, 2.0 * rounding);
        assert!(block.damped(rounding)?.log_determinant().is_err());
        assert!(block.damped(damping)?.log_determinant().is_ok());
        Ok(())
    }

    #[test]
    fn a_basis_of_double_precision_is_one_however_large_and_a_basis_of_single_precision_is_not() {
        let d = 100;
        let stretched = |by: f64| {
            let basis = Mat::from_fn(d, d, |i, j| if i == j { 1.0 + by } else { 0.0 });
            Ekfac::new(basis, mat![[1.0]], Mat::full(d, 1, 1.0))
        };
        // squared lengths are off by 4 d eps, as Householder's reflections may leave them
        assert!(stretched(2.0 * d as f64 * f64::EPSILON).is_ok());
        assert!(stretched(f64::from(f32::EPSILON)).is_err());
    }
}
