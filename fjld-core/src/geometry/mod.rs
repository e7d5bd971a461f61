//! The geometry of a gradient's mean and covariance. Determinants are computed in logarithms throughout: the product of a few
//! hundred variances over- or underflows.

mod chart;
mod jeffreys;
mod mahalanobis;

pub use chart::pull_back;
pub use jeffreys::{log_determinant, log_jeffreys, log_jeffreys_diagonal, sphericity};
pub use mahalanobis::{Mahalanobis, mahalanobis};
