//! A small transformer that predicts characters: inputs `[n, T]` of indices, scores `[n, T, kinds]`.

use super::Network;
use crate::error::Result;
use candle_core::{D, DType, Device, Tensor, Var};
use candle_nn::{Module, VarBuilder};
use fjld_core::capture::{
    Embedding, LayerNorm, Linear, embedding, layer_norm, linear, linear_no_bias,
};
use fjld_core::rng::{Seed, SeededVars};

const EPS: f64 = 1e-5;

/// The shape of a transformer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Kinds of characters.
    pub kinds: usize,
    /// Characters of a stretch.
    pub context: usize,
    /// Length of an embedding.
    pub width: usize,
    /// Attention heads, a divisor of the width.
    pub heads: usize,
    /// Blocks.
    pub layers: usize,
    /// Whether the embeddings are the weights of the last layer too.
    pub tied: bool,
}

/// Embeddings of characters and of positions, blocks with the normalisation before each part, a last normalisation, and the scores.
pub struct Gpt {
    shape: Shape,
    characters: Embedding,
    positions: Embedding,
    blocks: Vec<Block>,
    last: LayerNorm,
    head: Linear,
    parameters: Vec<(String, Var)>,
}

impl Gpt {
    /// Initialised from `seed`: embeddings normal with standard deviation 0.02, as GPT-2's, the rest as candle does.
    ///
    /// # Errors
    /// When candle fails.
    pub fn new(shape: Shape, seed: Seed, device: &Device) -> Result<Self> {
        let vars = SeededVars::new(seed);
        let builder = vars.builder(DType::F32, device);
        let small = |rows: usize, name: &str| -> candle_core::Result<Embedding> {
            let init = candle_nn::Init::Randn {
                mean: 0.0,
                stdev: 0.02,
            };
            let own = builder.pp(name);
            own.get_with_hints((rows, shape.width), "weight", init)?;
            embedding(rows, shape.width, own)
        };
        let characters = small(shape.kinds, "characters")?;
        let head = match shape.tied {
            true => Linear::new(characters.embeddings().clone(), None),
            false => linear_no_bias(shape.width, shape.kinds, builder.pp("head"))?,
        };
        Ok(Self {
            shape,
            positions: small(shape.context, "positions")?,
            characters,
            blocks: (0..shape.layers)
                .map(|i| Block::new(shape, &builder.pp(format!("block{i}"))))
                .collect::<candle_core::Result<_>>()?,
            last: layer_norm(shape.width, EPS, builder.pp("last"))?,
            head,
            parameters: vars.named(),
        })
    }
}

impl Network for Gpt {
    fn parameters(&self) -> &[(String, Var)] {
        &self.parameters
    }

    fn scores(&self, inputs: &Tensor) -> candle_core::Result<Tensor> {
        let (n, length) = inputs.dims2()?;
        let device = inputs.device();
        let places = Tensor::arange(0u32, length as u32, device)?;
        let places = places.broadcast_as((n, length))?.contiguous()?;
        let mut x = (self.characters.forward(inputs)? + self.positions.forward(&places)?)?;
        let mask = causal(length, device)?;
        for block in &self.blocks {
            x = block.forward(&x, &mask, self.shape.heads)?;
        }
        self.head.forward(&self.last.forward(&x)?)
    }
}

/// `[T, T]`: 0 where a position may look, minus infinity where it would look ahead.
fn causal(length: usize, device: &Device) -> candle_core::Result<Tensor> {
    let ahead = |i, j| if j > i { f32::NEG_INFINITY } else { 0.0 };
    let mask: Vec<f32> = (0..length)
        .flat_map(|i| (0..length).map(move |j| ahead(i, j)))
        .collect();
    Tensor::from_vec(mask, (length, length), device)
}

/// Attention, then two linear layers with a relu between, each added to what came in.
struct Block {
    before_attention: LayerNorm,
    joint: Linear,
    merge: Linear,
    before_rest: LayerNorm,
    widen: Linear,
    narrow: Linear,
}

impl Block {
    fn new(shape: Shape, builder: &VarBuilder) -> candle_core::Result<Self> {
        let width = shape.width;
        Ok(Self {
            before_attention: layer_norm(width, EPS, builder.pp("before_attention"))?,
            joint: linear(width, 3 * width, builder.pp("joint"))?,
            merge: linear(width, width, builder.pp("merge"))?,
            before_rest: layer_norm(width, EPS, builder.pp("before_rest"))?,
            widen: linear(width, 4 * width, builder.pp("widen"))?,
            narrow: linear(4 * width, width, builder.pp("narrow"))?,
        })
    }

    fn forward(&self, x: &Tensor, mask: &Tensor, heads: usize) -> candle_core::Result<Tensor> {
        let (n, length, width) = x.dims3()?;
        let joint = self.joint.forward(&self.before_attention.forward(x)?)?;
        let part = |index: usize| {
            joint
                .narrow(D::Minus1, index * width, width)?
                .reshape((n, length, heads, width / heads))?
                .transpose(1, 2)?
                .contiguous()
        };
        let (query, key, value) = (part(0)?, part(1)?, part(2)?);
        let scale = 1.0 / ((width / heads) as f64).sqrt();
        let weights = (query.matmul(&key.t()?.contiguous()?)? * scale)?.broadcast_add(mask)?;
        let weights = candle_nn::ops::softmax(&weights, D::Minus1)?;
        let seen = weights.matmul(&value)?.transpose(1, 2)?.contiguous()?;
        let x = (x + self.merge.forward(&seen.reshape((n, length, width))?)?)?;
        let rest = self.widen.forward(&self.before_rest.forward(&x)?)?.relu()?;
        x + self.narrow.forward(&rest)?
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_exact, assert_slopes};
    use super::super::{ModelChoice, Task};
    use super::*;

    fn choice(tied: bool) -> ModelChoice {
        ModelChoice::Gpt {
            width: 8,
            heads: 2,
            layers: 2,
            tied,
        }
    }

    fn task() -> Task {
        Task {
            input: vec![5],
            kinds: Some(7),
            classes: 7,
        }
    }

    #[test]
    fn per_example_gradients_are_exact_with_the_head_tied_and_free() -> Result<()> {
        let device = Device::Cpu;
        let text: Vec<u32> = (0..18u32).map(|i| (i * i) % 7).collect();
        let text = Tensor::from_vec(text, (3, 6), &device)?;
        let batch = (
            text.narrow(1, 0, 5)?.contiguous()?,
            text.narrow(1, 1, 5)?.contiguous()?,
        );
        for tied in [false, true] {
            let model = choice(tied).build(&task(), Seed::root(2), &device)?;
            assert_exact(&model, &batch)?;
            // embeddings of size 0.02 are normalised: a step of 5e-5 moves the units behind by up to 2.5e-3, and some pass their kinks
            assert_slopes(&model, &batch, 60, 5e-5)?;
        }
        Ok(())
    }

    #[test]
    fn no_score_depends_on_a_character_that_comes_later() -> Result<()> {
        let device = Device::Cpu;
        let shape = Shape {
            kinds: 7,
            context: 5,
            width: 8,
            heads: 2,
            layers: 2,
            tied: false,
        };
        let network = Gpt::new(shape, Seed::root(2), &device)?;
        let scores = |last: u32| -> Result<Vec<Vec<f32>>> {
            let inputs = Tensor::new(&[[1u32, 2, 3, 4, last]], &device)?;
            Ok(network.scores(&inputs)?.squeeze(0)?.to_vec2()?)
        };
        let (one, other) = (scores(0)?, scores(6)?);
        assert_eq!(one[..4], other[..4]);
        assert_ne!(one[4], other[4]);
        Ok(())
    }
}
