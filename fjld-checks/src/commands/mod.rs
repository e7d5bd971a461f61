//! Commands that have a file of their own.

pub mod compare;
pub mod measure;
pub mod nights;
pub mod sweep;
pub mod view;
