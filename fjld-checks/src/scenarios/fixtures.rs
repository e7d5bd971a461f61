//! What the tests of several scenarios build on.

use super::models::{Model, ModelChoice, Task};
use super::study::Work;
use crate::error::Result;
use crate::tier::Tier;
use candle_core::{Device, Tensor};
use fjld_core::Objective;
use fjld_core::rng::Seed;

/// The quick tier's work from a root seed, without a folder of data.
pub fn quick(root: u64) -> Work<'static> {
    Work {
        tier: Tier::Quick,
        seed: Seed::root(root),
        data: None,
    }
}

/// A linear classifier of points of a plane, of three classes.
pub fn linear_classifier() -> Result<Model> {
    let task = Task {
        input: vec![2],
        kinds: None,
        classes: 3,
    };
    ModelChoice::Mlp { hidden: vec![] }.build(&task, Seed::root(2), &Device::Cpu)
}

/// The lines of a printed table, with one space between words.
pub fn lines_of(table: &str) -> Vec<String> {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    table.lines().map(words).collect()
}

/// A step of plain descent written out, for what an optimiser is to be held against.
pub fn descend(model: &Model, batch: &(Tensor, Tensor), rate: f64) -> Result<()> {
    let gradients = model.loss(batch)?.backward()?;
    for (_, var) in model.parameters() {
        let gradient = gradients.get(var).expect("the loss holds it");
        var.set(&var.as_tensor().detach().sub(&(gradient * rate)?)?)?;
    }
    Ok(())
}
