//! The ratio in Kronecker form of a candle model.

use super::{Damping, KfacAccumulator, KfacReading, Setting};
use crate::capture::{Capture, Captured, Objective, Reduction};
use crate::error::{Error, Result};

/// The document's `compute_c_alpha_kfac` as it was meant: `C` in the metric of the layers' damped Kronecker factors (expand setting),
/// over every example of the first `n_samples` batches of `data`.
///
/// The unit is the *example*; over batches of `B` drawn with replacement the ratio is `B` times as large. The factors come from the
/// gradients at the real labels (the empirical Fisher, uncentred). Parameters without a weight matrix (embeddings, norms) have no
/// Kronecker block and take no part. Every batch is run twice, once for the factors and once for signal and noise in their metric, so
/// that no activations are kept.
///
/// # Errors
/// When `data` ends early or fails, `n_samples` is 0, a layer's damped factor is singular, or the model is not built of the layers of
/// [`crate::capture`].
pub fn compute_c_alpha_kfac<O: Objective>(
    model: &O,
    data: impl IntoIterator<Item = candle_core::Result<O::Batch>>,
    n_samples: usize,
    damping: Damping,
) -> Result<KfacReading> {
    let batches: Vec<O::Batch> = data
        .into_iter()
        .take(n_samples)
        .collect::<candle_core::Result<_>>()?;
    if batches.len() < n_samples.max(1) {
        return Err(Error::TooFewSamples {
            what: "the number of batches that was asked for",
            needed: n_samples.max(1) as u64,
            got: batches.len() as u64,
        });
    }
    let pass = |batch: &O::Batch| -> Result<Captured> {
        Capture::new(model.examples(batch), Reduction::Mean)
            .pairs()
            .run(model.parameters(), || model.loss(batch))
    };
    let mut factors = KfacAccumulator::new(Setting::Expand);
    for batch in &batches {
        factors.push(&pass(batch)?.pairs)?;
    }
    let device = model.parameters()[0].1.device();
    let mut ratios = factors.ratios(damping, device)?;
    for batch in &batches {
        ratios.push(&pass(batch)?.pairs)?;
    }
    ratios.reading()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{Linear, flat_gradient, linear};
    use crate::fisher::Curvature;
    use crate::rng::{Seed, SeededVars, standard_normals};
    use approx::assert_relative_eq;
    use candle_core::{DType, Device, Tensor, Var};
    use candle_nn::Module;

    /// Two linear layers with a tanh between them, and squared error.
    struct Network {
        layers: [Linear; 2],
        parameters: Vec<(String, Var)>,
    }

    const WIDTHS: [usize; 3] = [3, 4, 2];

    impl Network {
        fn new() -> candle_core::Result<Self> {
            let vars = SeededVars::new(Seed::root(8));
            let builder = vars.builder(DType::F64, &Device::Cpu);
            let layers = [
                linear(WIDTHS[0], WIDTHS[1], builder.pp("first"))?,
                linear(WIDTHS[1], WIDTHS[2], builder.pp("second"))?,
            ];
            let parameters = vars.named();
            Ok(Self { layers, parameters })
        }
    }

    impl Objective for Network {
        type Batch = (Tensor, Tensor);

        fn parameters(&self) -> &[(String, Var)] {
            &self.parameters
        }

        fn examples(&self, (x, _): &Self::Batch) -> usize {
            x.dims()[0]
        }

        fn loss(&self, (x, y): &Self::Batch) -> candle_core::Result<Tensor> {
            let hidden = self.layers[0].forward(x)?.tanh()?;
            (self.layers[1].forward(&hidden)? - y)?
                .sqr()?
                .sum(1)?
                .mean(0)
        }
    }

    fn batches() -> candle_core::Result<Vec<(Tensor, Tensor)>> {
        let generator = &mut Seed::root(9).generator();
        let mut draw = |n: usize, width: usize| {
            Tensor::from_vec(
                standard_normals(generator, n * width),
                (n, width),
                &Device::Cpu,
            )
        };
        [7, 4]
            .into_iter()
            .map(|n| Ok((draw(n, WIDTHS[0])?, draw(n, WIDTHS[2])?)))
            .collect()
    }

    /// A layer's part of a flat gradient (biases before weights, by name) as `[W|b]`, row after row.
    fn joint(flat: &[f64], start: usize, fan_in: usize, fan_out: usize) -> Vec<f64> {
        let (bias, weight) = flat[start..].split_at(fan_out);
        (0..fan_out)
            .flat_map(|row| {
                let weights = &weight[row * fan_in..(row + 1) * fan_in];
                weights
                    .iter()
                    .copied()
                    .chain([bias[row]])
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    #[test]
    fn a_models_ratio_is_that_of_its_gradients_in_the_metric_of_its_factors() -> Result<()> {
        let (model, batches) = (Network::new()?, batches()?);
        let damping = Damping::Factors(0.1);
        let reading = compute_c_alpha_kfac(&model, batches.iter().cloned().map(Ok), 2, damping)?;

        // gradients one by one through candle's autograd, and the damped blocks themselves
        let mut factors = KfacAccumulator::new(Setting::Expand);
        let mut gradients = Vec::new();
        for batch in &batches {
            let captured = Capture::new(model.examples(batch), Reduction::Mean)
                .pairs()
                .run(model.parameters(), || model.loss(batch))?;
            factors.push(&captured.pairs)?;
            for i in 0..model.examples(batch) {
                let one = (batch.0.narrow(0, i, 1)?, batch.1.narrow(0, i, 1)?);
                gradients.push(flat_gradient(&model, &one)?.to_vec1::<f64>()?);
            }
        }
        let n = gradients.len() as f64;
        let first = (0, WIDTHS[0], WIDTHS[1]);
        let second = ((WIDTHS[0] + 1) * WIDTHS[1], WIDTHS[1], WIDTHS[2]);
        for (layer, (start, fan_in, fan_out)) in [first, second].into_iter().enumerate() {
            let block = factors.layers()[layer].block(damping)?;
            let draws: Vec<_> = gradients
                .iter()
                .map(|flat| joint(flat, start, fan_in, fan_out))
                .collect();
            let length = |g: &[f64]| -> Result<f64> {
                let solved = block.solve(g)?;
                Ok(solved.iter().zip(g).map(|(a, b)| a * b).sum())
            };
            let mean: Vec<f64> = (0..draws[0].len())
                .map(|k| draws.iter().map(|g| g[k]).sum::<f64>() / n)
                .collect();
            let signal = length(&mean)?;
            let squares = draws.iter().map(|g| length(g)).sum::<Result<f64>>()?;
            let noise = (squares - n * signal) / (n - 1.0);
            let metric = &reading.layer_metrics[layer];
            // factors of condition below 1e3, in f64
            assert_relative_eq!(metric.signal, signal, max_relative = 1e-11);
            assert_relative_eq!(metric.noise, noise, max_relative = 1e-11);
        }
        assert_eq!(reading.samples, 11);
        assert_relative_eq!(
            reading.c_alpha_kfac.expect("there is noise"),
            reading.total_signal / reading.total_noise
        );
        Ok(())
    }

    #[test]
    fn too_few_batches_are_an_error() -> Result<()> {
        let (model, batches) = (Network::new()?, batches()?);
        let error = compute_c_alpha_kfac(&model, batches.into_iter().map(Ok), 3, Damping::None)
            .expect_err("two batches are not three");
        assert_eq!(
            error.to_string(),
            "2 samples were given; the number of batches that was asked for needs at least 3"
        );
        Ok(())
    }
}
