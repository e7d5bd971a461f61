//! A layer's block from its inputs only (Benzing 2022, arXiv:2201.12250).

use super::kronecker::INPUTS;
use super::{Curvature, Dense, Kronecker, check_damping};
use crate::error::{Error, Result};
use faer::Mat;

/// Gradient descent on the neurons' outputs rather than on the weights:
///
/// ```math
/// F = 1 \otimes A
/// ```
///
/// over the row-major weight `[out, in]` (with a bias `[out, in + 1]`). It knows nothing of the loss, and a rescaled loss leaves it.
#[derive(Clone, Debug)]
pub struct Foof {
    block: Kronecker,
}

impl Foof {
    /// From `A`, `[in, in]` or with a bias `[in + 1, in + 1]`, and the number of outputs.
    ///
    /// # Errors
    /// When there is no output.
    pub fn new(inputs: Dense, outputs: usize) -> Result<Self> {
        if outputs == 0 {
            return Err(Error::NoCoordinates);
        }
        let identity = Dense::new(Mat::identity(outputs, outputs).as_ref())?;
        Ok(Self {
            block: Kronecker::new(identity, inputs),
        })
    }

    /// `A`.
    pub fn inputs(&self) -> &Dense {
        self.block.inputs()
    }

    /// `$1 \otimes (A + \lambda 1)$`, which is `$F + \lambda 1$`.
    ///
    /// # Errors
    /// When `lambda` is negative or not finite.
    pub fn damped(&self, lambda: f64) -> Result<Self> {
        check_damping(lambda)?;
        Self::new(self.inputs().damped(lambda)?, self.outputs())
    }

    /// The same as a Kronecker product.
    pub fn kronecker(&self) -> &Kronecker {
        &self.block
    }

    fn outputs(&self) -> usize {
        self.block.gradients().dimension()
    }
}

impl Curvature for Foof {
    fn dimension(&self) -> usize {
        self.block.dimension()
    }

    fn matvec(&self, v: &[f64]) -> Result<Vec<f64>> {
        self.block.matvec(v)
    }

    fn solve(&self, v: &[f64]) -> Result<Vec<f64>> {
        self.block.solve(v)
    }

    fn trace(&self) -> f64 {
        self.outputs() as f64 * self.inputs().trace()
    }

    fn log_determinant(&self) -> Result<f64> {
        Ok(self.outputs() as f64 * self.inputs().log_determinant_of(INPUTS)?)
    }

    fn to_dense(&self) -> Mat<f64> {
        self.block.to_dense()
    }
}
