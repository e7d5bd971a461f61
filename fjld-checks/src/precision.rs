//! How exact the numbers are that networks are made of.

use candle_core::{DType, WithDType};

/// A weight, an input or a gradient of a network that is trained here: 32 bits, as people train. A build with `--features double` takes 64,
/// to see whether a verdict rests on rounding (`.ci/platforms`). What is estimated from gradients has 64 bits in either.
#[cfg(not(feature = "double"))]
pub type Scalar = f32;

/// A weight, an input or a gradient of a network that is trained here, in a build with `--features double`.
#[cfg(feature = "double")]
pub type Scalar = f64;

/// What candle calls it.
pub const SCALAR: DType = Scalar::DTYPE;
