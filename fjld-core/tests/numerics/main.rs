//! What the crate publishes against exact arithmetic, where 64-bit numbers are hardest on it: right to the digits that the condition of
//! the question leaves, or refused or undefined with the reason; never infinite, never NaN.

mod cases;
mod curvature;
mod effective_rank;
mod exact;
mod geometry;
mod interval;
mod moments;
mod ratio;
mod two_batch;
