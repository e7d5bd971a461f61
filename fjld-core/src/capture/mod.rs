//! Gradients out of a candle model.

mod pair;
mod plain;

pub use pair::LayerPair;
pub use plain::{ConsolidationReading, Objective, compute_c_alpha, flat_gradient, moments_of};
