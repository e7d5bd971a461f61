//! Layers' Fisher blocks as Kronecker products of what the layers see: estimation, damping, and the consolidation ratio in their metric.
//!
//! The data are [`LayerPair`](crate::capture::LayerPair)s, `[examples, positions, features]`. Products of them are taken on their device in
//! 64 bits, and only the factors, `[in, in]` and `[out, out]`, come to the host.
//!
//! A layer applied at several positions of an example shares its weight among them. [`Setting`] says how its factors treat that
//! (Eschenhagen et al. 2023, arXiv:2311.00636).
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use fjld_core::capture::LayerPair;
//! use fjld_core::kronecker::{Damping, KfacAccumulator, Setting};
//!
//! // three examples of one position: inputs of one number, gradients at outputs of one number
//! let pass = [LayerPair {
//!     layer: "fc".into(),
//!     inputs: Tensor::new(&[[[1.0]], [[2.0]], [[1.0]]], &Device::Cpu)?,
//!     gradients: Tensor::new(&[[[1.0]], [[1.0]], [[3.0]]], &Device::Cpu)?,
//!     bias: false,
//!     counted: None,
//! }];
//! let mut factors = KfacAccumulator::new(Setting::Expand);
//! factors.push(&pass)?; // one pass over the data
//! let mut ratios = factors.ratios(Damping::None, &Device::Cpu)?;
//! ratios.push(&pass)?; // and another in the metric that the first one made
//! let reading = ratios.reading()?;
//! // the gradients are 1, 2 and 3: the squared mean is 4 and the variance 1, whatever a single number's metric
//! assert!((reading.c_alpha_kfac.expect("the noise is not zero") - 4.0).abs() < 1e-12);
//! # Ok::<(), fjld_core::Error>(())
//! ```

mod block;
mod damping;
mod data;
mod ekfac;
mod factors;
mod message;
mod model;
mod ratio;
mod reading;
mod whiten;

pub use block::Block;
pub use damping::Damping;
pub use ekfac::EkfacMoments;
pub use factors::{Factors, Setting};
pub use message::Compression;
pub use model::compute_c_alpha_kfac;
pub use ratio::KroneckerRatio;
pub use reading::{KfacAccumulator, KfacRatios, KfacReading, LayerMetric};
