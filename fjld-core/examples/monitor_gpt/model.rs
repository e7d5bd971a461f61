//! A transformer of one block, of candle-nn's layers.

use candle_core::{D, Result, Tensor};
use candle_nn::{Embedding, LayerNorm, Linear, Module, VarBuilder, embedding, linear};

const WIDTH: usize = 32;

/// Embeddings, attention over what came before, two linear layers, scores.
pub struct Gpt {
    characters: Embedding,
    positions: Embedding,
    norms: [LayerNorm; 2],
    joint: Linear,
    widen: Linear,
    narrow: Linear,
    head: Linear,
    /// `[T, T]`: minus infinity where a position would look ahead.
    mask: Tensor,
}

impl Gpt {
    pub fn new(kinds: usize, context: usize, vb: VarBuilder) -> Result<Self> {
        let norm = |name: &str| -> Result<LayerNorm> {
            // with a bias, candle's fused layer norm would have no gradient
            let weight =
                vb.pp(name)
                    .get_with_hints(WIDTH, "weight", candle_nn::Init::Const(1.0))?;
            Ok(LayerNorm::new_no_bias(weight, 1e-5))
        };
        let ahead = |i, j| if j > i { f32::NEG_INFINITY } else { 0.0 };
        let mask: Vec<f32> = (0..context)
            .flat_map(|i| (0..context).map(move |j| ahead(i, j)))
            .collect();
        Ok(Self {
            characters: embedding(kinds, WIDTH, vb.pp("characters"))?,
            positions: embedding(context, WIDTH, vb.pp("positions"))?,
            norms: [norm("norm1")?, norm("norm2")?],
            joint: linear(WIDTH, 3 * WIDTH, vb.pp("joint"))?,
            widen: linear(WIDTH, 4 * WIDTH, vb.pp("widen"))?,
            narrow: linear(4 * WIDTH, WIDTH, vb.pp("narrow"))?,
            head: linear(WIDTH, kinds, vb.pp("head"))?,
            mask: Tensor::from_vec(mask, (context, context), vb.device())?,
        })
    }

    /// From `[n, T]` characters to `[n, T, kinds]` scores.
    pub fn forward(&self, ids: &Tensor) -> Result<Tensor> {
        let places = Tensor::arange(0u32, ids.dim(1)? as u32, ids.device())?;
        let places = places.broadcast_as(ids.shape())?.contiguous()?;
        let x = (self.characters.forward(ids)? + self.positions.forward(&places)?)?;
        let parts = self
            .joint
            .forward(&self.norms[0].forward(&x)?)?
            .chunk(3, D::Minus1)?;
        let (query, key, value) = (&parts[0].contiguous()?, &parts[1], &parts[2].contiguous()?);
        let scores = (query.matmul(&key.t()?.contiguous()?)? / (WIDTH as f64).sqrt())?;
        // `softmax`, not the fused `softmax_last_dim`, which has no gradient
        let weights = candle_nn::ops::softmax(&scores.broadcast_add(&self.mask)?, D::Minus1)?;
        let x = (x + weights.matmul(value)?)?;
        let rest = self.widen.forward(&self.norms[1].forward(&x)?)?.relu()?;
        self.head.forward(&(x + self.narrow.forward(&rest)?)?)
    }
}
