//! What the claims about the Kronecker-factored ratio share: layers whose examples are few and rational, and maps around them.

pub mod counted;
mod layer;
pub mod maps;

pub use layer::{Layer, Terms, kronecker};
