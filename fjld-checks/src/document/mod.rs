//! The document that is audited, line by line. It is its author's and no part of the repository: [`table`] keeps, of each of its lines,
//! a hash and what the line does; [`binding`] says how a copy of it stands to that table; `align` finds the lines again that
//! have moved, and `show` writes what a person reads of it.

mod align;
pub mod binding;
mod show;
pub mod table;

pub use binding::Binding;
