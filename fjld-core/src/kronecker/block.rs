//! A layer's damped block, in whichever form its damping leaves it.

use crate::error::Result;
use crate::fisher::{Curvature, Ekfac, Kronecker};
use faer::Mat;

/// `F` of one layer over its row-major weight `[out, in]`, with a bias `[out, in + 1]`.
#[derive(Clone, Debug)]
pub enum Block {
    /// A Kronecker product.
    Kronecker(Kronecker),
    /// A spectrum in the eigenbasis of one.
    Ekfac(Ekfac),
}

impl Block {
    /// The largest eigenvalue over the smallest; `None` where it is infinite to rounding.
    ///
    /// # Errors
    /// When the eigenvalues can not be found.
    pub fn condition(&self) -> Result<Option<f64>> {
        match self {
            Self::Kronecker(block) => block.condition(),
            Self::Ekfac(block) => Ok(block.condition()),
        }
    }

    fn operator(&self) -> &dyn Curvature {
        match self {
            Self::Kronecker(block) => block,
            Self::Ekfac(block) => block,
        }
    }
}

impl Curvature for Block {
    fn dimension(&self) -> usize {
        self.operator().dimension()
    }

    fn matvec(&self, v: &[f64]) -> Result<Vec<f64>> {
        self.operator().matvec(v)
    }

    fn solve(&self, v: &[f64]) -> Result<Vec<f64>> {
        self.operator().solve(v)
    }

    fn trace(&self) -> f64 {
        self.operator().trace()
    }

    fn log_determinant(&self) -> Result<f64> {
        self.operator().log_determinant()
    }

    fn to_dense(&self) -> Mat<f64> {
        self.operator().to_dense()
    }
}
