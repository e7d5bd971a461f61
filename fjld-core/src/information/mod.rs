//! Entropy, divergence and what gradient observations tell, all in nats, for Gaussian gradients `g ~ N(mu, D)`.

mod divergence;
mod gaussian;
mod run;

pub use divergence::gaussian_divergence;
pub use gaussian::{entropy_rate, expected_gain, gaussian_entropy, kl_from_no_mean};
pub use run::{Accumulated, entropy_change, entropy_change_diagonal};
