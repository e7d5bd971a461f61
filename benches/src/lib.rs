//! What measuring costs: models, jobs and clocks, for the examples and criterion benches of this crate (`cargo bench -p fjld-benches`).
//! They hold every claim about speed; no timed test does.

pub mod clock;
pub mod figures;
pub mod jobs;
pub mod models;
pub mod results;
pub mod rows;
pub mod sources;
mod targets;
