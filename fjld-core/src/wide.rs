//! Loops compiled for what the processor has.

/// Runs `pass` with the widest instructions that this processor and [`pulp`] know. What `pass` calls takes part as far as it is inlined,
/// and `pass` itself no further: one of more than a few lines is to be marked `#[inline(always)]`, or it may be left as plain SSE2.
/// Nothing is contracted or added in another order, so that no bit depends on it.
#[inline(always)]
pub(crate) fn wide<R>(pass: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(pass)
}
