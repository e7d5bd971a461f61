//! A layer's block as a Kronecker product (Martens and Grosse 2015, arXiv:1503.05671).

use super::dense::Dense;
use super::{Curvature, Ekfac};
use crate::error::Result;
use crate::geometry::factor::check_vector;
use faer::{Mat, MatRef};

/// The product of two factors over the row-major weight `[out, in]`:
///
/// ```math
/// F = G \otimes A, \qquad F_{(oi),(pj)} = G_{op} A_{ij}
/// ```
///
/// With a bias `A` has the side `in + 1`, the last one standing for the constant input 1, and each row of the weight is followed by its bias.
#[derive(Clone, Debug)]
pub struct Kronecker {
    gradients: Dense,
    inputs: Dense,
}

/// What errors call the factor `G`.
pub(crate) const GRADIENTS: &str = "the factor G of the output gradients";
/// What errors call the factor `A`.
pub(crate) const INPUTS: &str = "the factor A of the inputs";

impl Kronecker {
    /// From `G`, `[out, out]`, and `A`, `[in, in]` or with a bias `[in + 1, in + 1]`.
    pub fn new(gradients: Dense, inputs: Dense) -> Self {
        Self { gradients, inputs }
    }

    /// `G`, `[out, out]`.
    pub fn gradients(&self) -> &Dense {
        &self.gradients
    }

    /// `A`, `[in, in]` or with a bias `[in + 1, in + 1]`.
    pub fn inputs(&self) -> &Dense {
        &self.inputs
    }

    /// `$G \otimes A$` in its eigenbasis, where anything may be done to the spectrum: adding `$\lambda 1$`, which is no Kronecker product any
    /// more.
    ///
    /// # Errors
    /// When the eigenvectors can not be found.
    pub fn eigenbasis(&self) -> Result<Ekfac> {
        let (left, outer) = self.gradients.eigen()?;
        let (right, inner) = self.inputs.eigen()?;
        let spectrum = Mat::from_fn(outer.len(), inner.len(), |o, i| outer[o] * inner[i]);
        Ekfac::new(left, right, spectrum)
    }

    /// `$\kappa(G) \, \kappa(A)$`; `None` where it is infinite to rounding.
    ///
    /// # Errors
    /// When the eigenvalues can not be found.
    pub fn condition(&self) -> Result<Option<f64>> {
        let (outer, inner) = (self.gradients.condition()?, self.inputs.condition()?);
        Ok(outer.zip(inner).map(|(outer, inner)| outer * inner))
    }

    /// `v` as the matrix `[out, in]` that it lists row by row.
    fn weight<'a>(&self, v: &'a [f64]) -> Result<MatRef<'a, f64>> {
        check_vector(v, self.dimension(), "the vector")?;
        Ok(MatRef::from_row_major_slice(
            v,
            self.gradients.dimension(),
            self.inputs.dimension(),
        ))
    }
}

/// The entries of a matrix row by row.
pub(crate) fn row_major(matrix: &Mat<f64>) -> Vec<f64> {
    (0..matrix.nrows())
        .flat_map(|i| (0..matrix.ncols()).map(move |j| matrix[(i, j)]))
        .collect()
}

impl Curvature for Kronecker {
    fn dimension(&self) -> usize {
        self.gradients.dimension() * self.inputs.dimension()
    }

    /// `$(G \otimes A) \operatorname{vec} V = \operatorname{vec}(G V A)$` for row-major `vec`.
    fn matvec(&self, v: &[f64]) -> Result<Vec<f64>> {
        let product = self.gradients.matrix() * self.weight(v)? * self.inputs.matrix();
        Ok(row_major(&product))
    }

    /// `$\operatorname{vec}(G^{-1} V A^{-1})$`.
    fn solve(&self, v: &[f64]) -> Result<Vec<f64>> {
        let left = self.gradients.solve_columns(self.weight(v)?, GRADIENTS)?;
        let both = self.inputs.solve_columns(left.transpose(), INPUTS)?;
        Ok(row_major(&both.transpose().to_owned()))
    }

    fn trace(&self) -> f64 {
        self.gradients.trace() * self.inputs.trace()
    }

    /// `$\text{in} \log\det G + \text{out} \log\det A$`.
    fn log_determinant(&self) -> Result<f64> {
        let (out, inputs) = (self.gradients.dimension(), self.inputs.dimension());
        Ok(
            inputs as f64 * self.gradients.log_determinant_of(GRADIENTS)?
                + out as f64 * self.inputs.log_determinant_of(INPUTS)?,
        )
    }

    fn to_dense(&self) -> Mat<f64> {
        let (g, a) = (self.gradients.matrix(), self.inputs.matrix());
        let side = a.nrows();
        Mat::from_fn(self.dimension(), self.dimension(), |i, j| {
            g[(i / side, j / side)] * a[(i % side, j % side)]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faer::mat;

    #[test]
    fn the_product_of_the_gradient_of_one_example_is_the_outer_product_of_its_flat_weight()
    -> Result<()> {
        // g = (1, 2), a = (3, 5, 1): the gradient is g a', with rows (3, 5, 1) and (6, 10, 2)
        let (g, a) = ([1.0, 2.0], [3.0, 5.0, 1.0]);
        let outer = |v: &[f64]| Mat::from_fn(v.len(), v.len(), |i, j| v[i] * v[j]);
        let block = Kronecker::new(
            Dense::new(outer(&g).as_ref())?,
            Dense::new(outer(&a).as_ref())?,
        );
        let flat = [3.0, 5.0, 1.0, 6.0, 10.0, 2.0];
        assert_eq!(block.to_dense(), outer(&flat));
        // times a unit vector it is a column
        assert_eq!(
            block.matvec(&[0.0, 1.0, 0.0, 0.0, 0.0, 0.0])?,
            flat.map(|v| 5.0 * v)
        );
        Ok(())
    }

    #[test]
    fn the_singular_factor_is_named() -> Result<()> {
        let definite = Dense::new(mat![[2.0]].as_ref())?;
        let singular = Dense::new(mat![[1.0, 1.0], [1.0, 1.0]].as_ref())?;
        let message = |block: Kronecker| {
            block
                .solve(&[1.0, 2.0])
                .expect_err("no inverse")
                .to_string()
        };
        assert!(
            message(Kronecker::new(singular.clone(), definite.clone()))
                .starts_with("the factor G of the output gradients is singular to rounding")
        );
        assert!(
            message(Kronecker::new(definite, singular))
                .starts_with("the factor A of the inputs is singular to rounding")
        );
        Ok(())
    }
}
