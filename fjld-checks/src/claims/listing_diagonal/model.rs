//! The document's function for `C` as it is printed, and the state of training that it is called in.

use crate::error::Result;
use crate::evidence::Bench;
use crate::precision::Scalar;
use crate::scenarios::mlp::Mlp;
use crate::scenarios::shipped;
use candle_core::{Device, Tensor};
use fjld_core::capture::flat_gradient;
use fjld_core::rng::permutation;
use std::sync::Arc;

/// A network after one epoch on shuffled labels, and the gradients of the batches that the loader then gives.
pub struct Epoch {
    /// The network.
    pub model: Mlp,
    /// The batches of the next pass of the loader.
    pub batches: Vec<(Tensor, Tensor)>,
    /// The gradient of each of them.
    pub gradients: Vec<Vec<Scalar>>,
    /// The gradient of the last training step.
    pub last_step: Vec<Scalar>,
}

/// The training batch, and its learning rate, of the printed loop.
const BATCH: usize = 64;
const LEARNING_RATE: f64 = 0.2;

/// Trains for an epoch.
///
/// # Errors
/// When candle fails.
pub fn epoch(bench: &Bench) -> Result<Arc<Epoch>> {
    let device = Device::Cpu;
    let scenario = shipped::training("digits-mlp")?;
    let (train, _) = scenario.split(bench.seed.derive("split"), None)?;
    let shuffled = train.with_shuffled_labels(bench.seed.derive("labels"));
    let (inputs, labels) = shuffled.tensors(&device)?;
    let model = Mlp::new(&scenario.widths(), bench.seed.derive("weights"), &device)?;
    let pass = |name: &str| -> Result<Vec<(Tensor, Tensor)>> {
        let order = permutation(&mut bench.seed.derive(name).generator(), train.len());
        // a last batch that is not full is dropped
        let full = order.chunks_exact(BATCH);
        full.map(|chosen| {
            let chosen: Vec<u32> = chosen.iter().map(|&i| i as u32).collect();
            let chosen = Tensor::from_vec(chosen, BATCH, &device)?;
            Ok((
                inputs.index_select(&chosen, 0)?,
                labels.index_select(&chosen, 0)?,
            ))
        })
        .collect()
    };
    let mut last_step = Vec::new();
    for batch in pass("training")? {
        last_step = flat_gradient(&model, &batch)?.to_vec1::<Scalar>()?;
        model.sgd_step(&batch, LEARNING_RATE)?;
    }
    let batches = pass("measurement")?;
    let gradients = batches
        .iter()
        .map(|batch| Ok(flat_gradient(&model, batch)?.to_vec1::<Scalar>()?))
        .collect::<Result<_>>()?;
    Ok(Arc::new(Epoch {
        model,
        batches,
        gradients,
        last_step,
    }))
}

/// What the printed function returns.
pub struct Returned {
    /// `c_alpha`.
    pub c: Scalar,
    /// How many gradients were stacked.
    pub gradients: usize,
    /// `D_diag`.
    pub variances: Vec<Scalar>,
}

/// The printed function, line by line in the same number type; `read` gives the slots at a batch, `None` where they are empty.
///
/// # Errors
/// Where the listing stops with one, in words.
pub fn printed<'a>(
    batches: usize,
    n_samples: usize,
    read: impl Fn(usize) -> Option<&'a [Scalar]>,
) -> std::result::Result<Returned, &'static str> {
    let mut stacked: Vec<&[Scalar]> = Vec::new();
    // islice ends with the loader, and says nothing
    for batch in 0..batches.min(n_samples) {
        // parameters without a gradient are left out, and torch.cat refuses a list with nothing in it
        stacked.push(read(batch).ok_or("torch.cat is given an empty list")?);
    }
    let n = stacked.len() as Scalar;
    let width = stacked
        .first()
        .ok_or("torch.stack is given an empty list")?
        .len();
    let (mut signal, mut variances) = (Scalar::default(), Vec::with_capacity(width));
    for j in 0..width {
        let mean = stacked.iter().map(|g| g[j]).sum::<Scalar>() / n;
        let squares: Scalar = stacked.iter().map(|g| (g[j] - mean).powi(2)).sum();
        signal += mean * mean;
        variances.push(squares / (n - 1.0) + 1e-10);
    }
    Ok(Returned {
        c: signal / variances.iter().sum::<Scalar>(),
        gradients: stacked.len(),
        variances,
    })
}
