//! Networks for pairs of numbers modulo `p`, inputs `[n, 2]` of indices, scores `[n, p]`.

use super::Network;
use crate::error::Result;
use crate::precision::{SCALAR, Scalar};
use candle_core::{Device, Tensor, Var};
use candle_nn::Module;
use candle_nn::encoding::one_hot;
use fjld_core::capture::{Embedding, Linear, embedding, linear, linear_no_bias};
use fjld_core::rng::{Seed, SeededVars};

/// `V (U x)^2`, the square by coordinate, `x` the unit vectors of both numbers one after the other (Gromov 2023, "Grokking modular
/// arithmetic"). Without biases.
pub struct QuadraticMlp {
    modulus: usize,
    first: Linear,
    second: Linear,
    parameters: Vec<(String, Var)>,
}

impl QuadraticMlp {
    /// `U` is `[hidden, 2 p]`, `V` is `[p, hidden]`, initialised from `seed` as `candle_nn::linear` does.
    ///
    /// # Errors
    /// When candle fails.
    pub fn new(modulus: usize, hidden: usize, seed: Seed, device: &Device) -> Result<Self> {
        let vars = SeededVars::new(seed);
        let builder = vars.builder(SCALAR, device);
        Ok(Self {
            modulus,
            first: linear_no_bias(2 * modulus, hidden, builder.pp("first"))?,
            second: linear_no_bias(hidden, modulus, builder.pp("second"))?,
            parameters: vars.named(),
        })
    }
}

impl Network for QuadraticMlp {
    fn parameters(&self) -> &[(String, Var)] {
        &self.parameters
    }

    fn scores(&self, inputs: &Tensor) -> candle_core::Result<Tensor> {
        let units = one_hot::<Scalar>(inputs.clone(), self.modulus, 1.0, 0.0)?.flatten_from(1)?;
        self.second.forward(&self.first.forward(&units)?.sqr()?)
    }
}

/// One embedding for both numbers, then `Linear, relu, Linear`.
pub struct EmbeddingMlp {
    embedding: Embedding,
    first: Linear,
    second: Linear,
    parameters: Vec<(String, Var)>,
}

impl EmbeddingMlp {
    /// Embeddings of length `width`, which stand one after the other before `hidden` units; initialised from `seed` as candle does.
    ///
    /// # Errors
    /// When candle fails.
    pub fn new(
        modulus: usize,
        width: usize,
        hidden: usize,
        seed: Seed,
        device: &Device,
    ) -> Result<Self> {
        let vars = SeededVars::new(seed);
        let builder = vars.builder(SCALAR, device);
        Ok(Self {
            embedding: embedding(modulus, width, builder.pp("embedding"))?,
            first: linear(2 * width, hidden, builder.pp("first"))?,
            second: linear(hidden, modulus, builder.pp("second"))?,
            parameters: vars.named(),
        })
    }
}

impl Network for EmbeddingMlp {
    fn parameters(&self) -> &[(String, Var)] {
        &self.parameters
    }

    fn scores(&self, inputs: &Tensor) -> candle_core::Result<Tensor> {
        let embedded = self.embedding.forward(inputs)?.flatten_from(1)?;
        self.second.forward(&self.first.forward(&embedded)?.relu()?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_exact, assert_slopes};
    use super::super::{ModelChoice, Task};
    use super::*;
    use fjld_core::Objective;

    #[test]
    fn both_networks_have_exact_gradients_by_example() -> Result<()> {
        let device = Device::Cpu;
        let task = Task {
            input: vec![2],
            kinds: Some(5),
            classes: 5,
        };
        let inputs = Tensor::new(&[[0u32, 1], [3, 3], [4, 2], [1, 0]], &device)?;
        let batch = (inputs, Tensor::new(&[1u32, 1, 1, 4], &device)?);
        for choice in [
            ModelChoice::QuadraticMlp { hidden: 6 },
            ModelChoice::EmbeddingMlp {
                width: 3,
                hidden: 6,
            },
        ] {
            let model = choice.build(&task, Seed::root(4), &device)?;
            assert_exact(&model, &batch)?;
            assert_slopes(&model, &batch, 60, 5e-3)?;
        }
        Ok(())
    }

    #[test]
    fn the_loss_of_the_quadratic_network_is_the_squared_distance_from_the_labels_unit_vector()
    -> Result<()> {
        let device = Device::Cpu;
        let task = Task {
            input: vec![2],
            kinds: Some(3),
            classes: 3,
        };
        let model = ModelChoice::QuadraticMlp { hidden: 4 }.build(&task, Seed::root(5), &device)?;
        let inputs = Tensor::new(&[[0u32, 1], [2, 2]], &device)?;
        let labels = [1usize, 0];
        let scores = model.network.scores(&inputs)?.to_vec2::<Scalar>()?;
        let mut distances = 0.0;
        for (scores, label) in scores.iter().zip(labels) {
            for (class, score) in scores.iter().enumerate() {
                let wanted: Scalar = if class == label { 1.0 } else { 0.0 };
                distances += (score - wanted).powi(2);
            }
        }
        let batch = (inputs, Tensor::new(&labels.map(|l| l as u32), &device)?);
        let loss = model.loss(&batch)?.to_scalar::<Scalar>()?;
        // the mean over two examples; six squares near 1 at most in f32
        assert!((loss - distances / 2.0).abs() < 1e-6, "{loss} {distances}");
        Ok(())
    }
}
