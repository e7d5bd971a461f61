//! The commands: the arguments of each, and what it does with them.

pub mod claims;
pub mod compare;
pub mod data;
pub mod measure;
pub mod nights;
pub mod plan_samples;
pub mod replay;
pub mod report;
pub mod run;
pub mod sweep;
pub mod tried;
pub mod view;
