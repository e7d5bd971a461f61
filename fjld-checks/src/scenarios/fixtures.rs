//! What the tests of several scenarios build on.

use super::models::{Model, ModelChoice, Task};
use super::store::RunStore;
use super::study::{Study, Work};
use crate::error::Result;
use crate::tier::Tier;
use candle_core::{Device, Tensor};
use fjld_core::Objective;
use fjld_core::rng::Seed;
use std::path::PathBuf;

/// The quick tier's work from a root seed, without a folder of data.
pub fn quick(root: u64) -> Work<'static> {
    Work {
        tier: Tier::Quick,
        seed: Seed::root(root),
        data: None,
    }
}

/// The rows of a study at the quick tier, by so many threads; what is done is kept in the folder, and taken up from it.
fn rows_by(study: &dyn Study, threads: usize, folder: Option<PathBuf>) -> Result<Vec<String>> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.expect("a pool of threads").install(|| {
        let mut store = RunStore::new(Tier::Quick, Seed::root(4), folder);
        store.run_study(study)?;
        Ok(store.lines(study.name()).to_vec())
    })
}

/// The rows of a study at the quick tier, which have to be the same by one thread, by two, and where a run goes on from another of which a
/// piece of work is lost.
pub fn steady_rows(study: &dyn Study) -> Result<Vec<String>> {
    let rows = rows_by(study, 1, None)?;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let kept = || Some(folder.path().to_owned());
    assert_eq!(rows_by(study, 2, kept())?, rows);
    let mut unfinished = std::fs::read_dir(folder.path().join("unfinished")).expect("it is there");
    let one = unfinished.next().expect("a piece").expect("it is there");
    std::fs::remove_file(one.path()).expect("it is mine");
    assert_eq!(rows_by(study, 2, kept())?, rows);
    Ok(rows)
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
