//! Gradients out of a candle model: what each example contributes, exactly, for the price of about a step.
//!
//! Two routes that know nothing of each other. The layers of this module stand in for candle-nn's; inside [`Capture::run`] their
//! backward step hands in per-example gradients in the cheapest form that gives the exact statistics, and outside it they compute what
//! candle-nn's do, by operations that candle differentiates right. The generic route, [`moments_of`], runs one backward pass a draw for
//! any [`Objective`] and is the oracle. Where neither will do, [`Microbatches`] estimate from a few passes over parts of a batch.
//!
//! Operations that candle does not differentiate end the flow of gradients without a word (`ops::softmax_last_dim`, `ops::layer_norm`,
//! `ops::rms_norm`, rotary embeddings); a parameter behind one is named in an error.

mod activation;
mod attach;
mod attention;
mod batch_norm;
mod conv;
mod convolve;
pub(crate) mod dense;
mod embedding;
mod exponential;
mod group_norm;
mod kernels;
mod layer_norm;
mod linear;
mod loss;
mod microbatch;
mod normalise;
mod pair;
mod per_example;
mod plain;
mod reduce;
mod request;
mod session;
mod standardise;
mod statistics;
mod unfold;

pub use activation::{gelu, relu, softmax_last_dim};
pub use attention::causal_attention;
pub use batch_norm::{BatchNorm, batch_norm};
pub use conv::{Conv1d, Conv2d, conv1d, conv1d_no_bias, conv2d, conv2d_no_bias};
pub use embedding::{Embedding, embedding};
pub use group_norm::{GroupNorm, group_norm};
pub use layer_norm::{LayerNorm, RmsNorm, layer_norm, layer_norm_no_bias, rms_norm};
pub use linear::{Linear, linear, linear_b, linear_no_bias};
pub use loss::{OverTargets, counted_targets, cross_entropy, one_target_each};
pub use microbatch::{MicrobatchReading, Microbatches};
pub use pair::LayerPair;
pub use plain::{ConsolidationReading, Objective, compute_c_alpha, flat_gradient, moments_of};
pub use request::{Capture, Captured, Reduction, Unit, gradients, per_example};
pub use statistics::{ParameterStatistics, Share, Statistics};
