//! The range of 64-bit numbers: what fits in with its square, and how numbers are brought near 1 first.

use crate::error::{Error, Result};

/// The largest sample that is taken in, `2^480` or 3e144: the square of the distance of two is at most `2^962`, and `2^60` of these can be
/// added up.
pub(crate) const LARGEST: f64 = f64::from_bits((1023 + 480) << 52);

/// Whether a sample may have this entry. NaN it may not.
#[inline(always)]
pub(crate) fn fits(value: f64) -> bool {
    value.abs() <= LARGEST
}

/// Why a sample's entry that does not fit is refused.
pub(crate) fn unfit(value: f64, row: u64, column: usize) -> Error {
    match value.is_finite() {
        true => Error::TooLarge { value, row, column },
        false => Error::NotFinite { value, row, column },
    }
}

/// The power of two that brings numbers of which `largest` is the largest near 1. Multiplying by it costs no digit.
pub(crate) fn to_unit(largest: f64) -> f64 {
    if largest > 0.0 {
        // within what a power of two and its inverse can have
        let exponent = largest.log2().floor().clamp(-1000.0, 1000.0);
        return 2f64.powi(-exponent as i32);
    }
    1.0
}

/// As [`to_unit`], of the entries of a vector.
pub(crate) fn vector_to_unit(vector: &[f64]) -> f64 {
    to_unit(vector.iter().fold(0.0, |m: f64, x| m.max(x.abs())))
}

/// `value`, unless a result has left the range of numbers.
pub(crate) fn within_range(name: &'static str, value: f64) -> Result<f64> {
    if value.is_finite() {
        return Ok(value);
    }
    Err(Error::OutOfRange {
        name,
        value,
        accepted: "below 1.8e308, where 64-bit numbers end: bring what goes in nearer to 1",
    })
}
