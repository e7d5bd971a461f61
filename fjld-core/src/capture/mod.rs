//! Gradients out of a candle model.

mod plain;

pub use plain::{ConsolidationReading, Objective, compute_c_alpha, flat_gradient, moments_of};
