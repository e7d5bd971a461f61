//! Criterion benches of `fjld-core`: `cargo bench -p fjld-benches`. They hold every claim about speed; no timed test does.
