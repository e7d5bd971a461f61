//! Commands that have a file of their own.

pub mod sweep;
pub mod view;
