//! The geometry of a gradient's mean and covariance. Determinants are computed in logarithms throughout: the product of a few
//! hundred variances over- or underflows.

mod chart;
pub(crate) mod factor;
mod fisher;
mod hadamard;
mod jeffreys;
mod mahalanobis;
mod natural;
mod small_sample;
mod spectrum;

pub use chart::pull_back;
pub use fisher::{gaussian_fisher, location_fisher, student_location_fisher};
pub use hadamard::{hadamard_gap, sample_hadamard_gap};
pub use jeffreys::{log_determinant, log_jeffreys, log_jeffreys_diagonal, sphericity};
pub use mahalanobis::{Mahalanobis, mahalanobis};
pub use natural::{InRange, Metric, natural_gradient, natural_gradient_in_range};
pub use small_sample::{FLaw, SmallSample};
