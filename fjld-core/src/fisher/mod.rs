//! Curvature operators: what a Fisher matrix does to a vector, in every shape it is approximated by, and where it comes from.
//!
//! All operators act on flat vectors of length `d`. A layer's block orders its parameters as the row-major weight `[out, in]`; with a
//! bias each row of the weight is followed by its bias, so the block is the row-major `[out, in + 1]`.
//!
//! The names are the field's (Kunstner, Balles and Hennig 2019, arXiv:1905.12558; Dangel et al. 2020, arXiv:1912.10985). The *empirical
//! Fisher* is the uncentred second moment of per-example gradients at the real labels; the *Monte-Carlo Fisher* the same at labels drawn
//! from the model; the *type-2 Fisher* takes the expectation over those labels exactly, and is the generalised Gauss-Newton matrix for
//! the losses of [`OutputLoss`]. None of them is the covariance of the gradients, which is centred: [`SecondMoment`] and [`Covariance`]
//! are two types. With `g` the gradient of one example's loss, `y` its label and `p` the model's distribution over labels,
//!
//! ```math
//! \begin{aligned}
//! F_\text{empirical} &= \frac1n \sum_i g_i(y_i) \, g_i(y_i)' \\
//! F_\text{Monte Carlo} &= \frac1n \sum_i g_i(\tilde y_i) \, g_i(\tilde y_i)', \qquad \tilde y_i \sim p(\cdot \mid x_i) \\
//! F_\text{type 2} &= \frac1n \sum_i \sum_y p(y \mid x_i) \, g_i(y) \, g_i(y)'
//! \end{aligned}
//! ```

mod block_diagonal;
mod dense;
mod diagonal;
mod ekfac;
mod foof;
mod groups;
pub(crate) mod kronecker;
mod passes;
mod rows;
mod targets;
pub(crate) mod tensors;

pub use block_diagonal::BlockDiagonal;
pub use dense::Dense;
pub use diagonal::Diagonal;
pub use ekfac::Ekfac;
pub use foof::Foof;
pub use groups::{Group, Selection};
pub use kronecker::Kronecker;
pub use passes::{ModelLabels, fisher_passes};
pub use rows::{Covariance, RowProducts, SecondMoment, Source};
pub use targets::{OutputLoss, sampled_labels};

use crate::error::Result;
use faer::Mat;

/// A symmetric positive semidefinite `F`, `[d, d]`.
pub trait Curvature: std::fmt::Debug {
    /// The number of parameters, `d`.
    fn dimension(&self) -> usize;

    /// `F v`, of length `d`.
    ///
    /// # Errors
    /// When the length of `v` is not `d`, or an entry is not finite.
    fn matvec(&self, v: &[f64]) -> Result<Vec<f64>>;

    /// `$F^{-1} v$`, of length `d`.
    ///
    /// # Errors
    /// As [`Curvature::matvec`], and where `F` is singular to rounding.
    fn solve(&self, v: &[f64]) -> Result<Vec<f64>>;

    /// `Tr F`.
    fn trace(&self) -> f64;

    /// `$\log\det F$`.
    ///
    /// # Errors
    /// Where `F` is singular to rounding.
    fn log_determinant(&self) -> Result<f64>;

    /// `F` itself, `[d, d]`: for small `d` and for tests.
    fn to_dense(&self) -> Mat<f64>;

    /// `$\det(F)^{1/d}$`, the geometric mean of the eigenvalues: `$\pi_J^{2/d}$` for the Jeffreys density `$\pi_J = \sqrt{\det F}$`.
    ///
    /// # Errors
    /// Where `F` is singular to rounding.
    fn geometric_mean(&self) -> Result<f64> {
        Ok((self.log_determinant()? / self.dimension() as f64).exp())
    }
}

/// Refuses a damping that is negative, NaN or infinite.
pub(crate) fn check_damping(lambda: f64) -> Result<()> {
    if lambda >= 0.0 && lambda.is_finite() {
        return Ok(());
    }
    Err(crate::Error::OutOfRange {
        name: "the damping",
        value: lambda,
        accepted: "zero or positive, and finite",
    })
}
