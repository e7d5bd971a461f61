//! The consolidation ratio of stochastic gradients, and the geometry around it:
//!
//! ```math
//! C = \frac{|\mu|^2}{\Tr D}
//! ```
//!
//! with the mean `mu` and the covariance `D` of gradient draws.
//!
//! One way through: gradients come out of a model ([`capture`]), are taken in by streaming [`moments`], and these give the metrics:
//! the [`ratio`] with its interval, [`geometry`] and [`information`]. [`fisher`] holds the curvature operators and [`kronecker`] the layers'
//! blocks among them, with the ratio in their metric. A [`monitor`] does it along a training loop. Nothing here holds an opinion on any claim about them.
//!
//! ```
//! use fjld_core::{Moments, Ratio};
//!
//! let mut moments = Moments::new(2)?;
//! moments.push_batch(&[1.0, 0.0, 3.0, 0.0, 2.0, 2.0, 2.0, -2.0])?; // four gradients of two parameters
//! let c = Ratio::estimate(&moments, 0.95)?.estimates.expect("the noise is not zero");
//! assert!((c.plug_in - 1.2).abs() < 1e-12);
//! # Ok::<(), fjld_core::Error>(())
//! ```

pub mod capture;
pub mod error;
pub mod fisher;
pub mod geometry;
pub mod information;
pub mod kronecker;
pub mod moments;
pub mod monitor;
pub mod planner;
mod range;
pub mod ranks;
pub mod ratio;
pub mod rng;
mod wide;

pub use capture::{Capture, ConsolidationReading, Objective, compute_c_alpha};
pub use error::{Error, Result};
pub use kronecker::{KfacReading, compute_c_alpha_kfac};
pub use moments::{FullMoments, Moments};
pub use monitor::Monitor;
pub use planner::{NoPlan, PilotMoments};
pub use ratio::{Estimates, Interval, Phase, Ratio, Undefined};

/// The README's examples, run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
