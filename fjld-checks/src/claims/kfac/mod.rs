//! What the claims about the Kronecker-factored ratio share: layers whose examples are few and rational.

mod layer;

pub use layer::{Layer, Terms, kronecker};
