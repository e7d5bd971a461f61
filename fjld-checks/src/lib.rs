//! The judge: claims as data, checks as code, evidence as records, and one function from evidence to verdict.
//!
//! A scenario ([`scenarios`]) gives runs and draws; the checks of a claim ([`claims`]) examine them and leave records ([`evidence`]);
//! [`verdict`] judges the records; [`report`] shows them. `fjld_core` does the measuring and knows of none of this.

#![deny(clippy::print_stderr)]

pub mod audit;
pub mod baseline;
pub mod claims;
pub mod compare;
pub mod device;
pub mod document;
pub mod error;
pub mod evidence;
pub mod files;
pub mod interrupt;
pub mod measure;
pub mod nights;
pub mod plan_samples;
pub mod precision;
pub mod recorded;
pub mod replay;
pub mod report;
mod say;
pub mod scenarios;
pub mod spent;
pub mod sweep;
pub mod threads;
pub mod tier;
pub mod verdict;
pub mod view;
