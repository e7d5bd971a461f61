//! Layers' Fisher blocks as Kronecker products of what the layers see: estimation, damping, and the consolidation ratio in their metric.
//!
//! The data are [`LayerPair`](crate::capture::LayerPair)s, `[examples, positions, features]`. Products of them are taken on their device in
//! 64 bits, and only the factors, `[in, in]` and `[out, out]`, come to the host.
//!
//! A layer applied at several positions of an example shares its weight among them. [`Setting`] says how its factors treat that
//! (Eschenhagen et al. 2023, arXiv:2311.00636).

mod block;
mod damping;
mod data;
mod ekfac;
mod factors;
mod ratio;
mod reading;
mod whiten;

pub use block::Block;
pub use damping::Damping;
pub use ekfac::EkfacMoments;
pub use factors::{Factors, Setting};
pub use ratio::KroneckerRatio;
pub use reading::{KfacAccumulator, KfacRatios, KfacReading, LayerMetric};
