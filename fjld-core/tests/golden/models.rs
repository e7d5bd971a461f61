//! The models of `scripts/golden/make.py`, from captured layers.

use candle_core::{D, Result, Tensor};
use candle_nn::{Conv2dConfig, LayerNormConfig, Module, VarBuilder, ops::softmax};
use fjld_core::capture::{
    Conv2d, Embedding, GroupNorm, LayerNorm, Linear, conv2d, conv2d_no_bias, embedding, group_norm,
    layer_norm, linear,
};

/// Of the normalisations: large, and no `f32`, so that how it is rounded shows.
const EPSILON: f64 = 0.1;

/// 5 - 7 - 4 with relu.
pub struct Mlp {
    first: Linear,
    second: Linear,
}

impl Mlp {
    pub fn new(vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            first: linear(5, 7, vb.pp("first"))?,
            second: linear(7, 4, vb.pp("second"))?,
        })
    }
}

impl Module for Mlp {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.second.forward(&self.first.forward(x)?.relu()?)
    }
}

/// Images of 2 x 8 x 11.
pub struct Cnn {
    conv: Conv2d,
    norm: GroupNorm,
    grouped: Conv2d,
    head: Linear,
}

impl Cnn {
    pub fn new(vb: VarBuilder) -> Result<Self> {
        let config = |stride, groups| Conv2dConfig {
            stride,
            groups,
            padding: 1,
            ..Conv2dConfig::default()
        };
        Ok(Self {
            conv: conv2d(2, 4, 3, config(2, 1), vb.pp("conv"))?,
            norm: group_norm(2, 4, EPSILON, vb.pp("norm"))?,
            grouped: conv2d_no_bias(4, 6, 3, config(1, 2), vb.pp("grouped"))?,
            head: linear(36, 3, vb.pp("head"))?,
        })
    }

    /// With the convolution in groups left as it is: a layer in groups has no pair.
    pub fn with_frozen_groups(self) -> Self {
        let config = *self.grouped.config();
        Self {
            grouped: Conv2d::new(self.grouped.weight().detach(), None, config),
            ..self
        }
    }
}

impl Module for Cnn {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.norm.forward(&self.conv.forward(x)?)?.relu()?;
        let x = self.grouped.forward(&x)?.tanh()?.avg_pool2d(2)?;
        self.head.forward(&x.flatten_from(1)?)
    }
}

/// One block of width 8 over a vocabulary of 7, the head tied to the token embedding.
pub struct Gpt {
    tokens: Embedding,
    places: Embedding,
    ln_1: LayerNorm,
    qkv: Linear,
    out: Linear,
    ln_2: LayerNorm,
    up: Linear,
    down: Linear,
    ln: LayerNorm,
    head: Linear,
}

const WIDTH: usize = 8;
const HEADS: usize = 2;

impl Gpt {
    pub fn new(vb: VarBuilder) -> Result<Self> {
        let block = vb.pp("block");
        let norm = |vb| layer_norm(WIDTH, LayerNormConfig::from(EPSILON), vb);
        let tokens = embedding(7, WIDTH, vb.pp("tokens"))?;
        Ok(Self {
            head: Linear::new(tokens.embeddings().clone(), None),
            tokens,
            places: embedding(5, WIDTH, vb.pp("places"))?,
            ln_1: norm(block.pp("ln_1"))?,
            qkv: linear(WIDTH, 3 * WIDTH, block.pp("qkv"))?,
            out: linear(WIDTH, WIDTH, block.pp("out"))?,
            ln_2: norm(block.pp("ln_2"))?,
            up: linear(WIDTH, 2 * WIDTH, block.pp("up"))?,
            down: linear(2 * WIDTH, WIDTH, block.pp("down"))?,
            ln: norm(vb.pp("ln"))?,
        })
    }

    fn attention(&self, x: &Tensor) -> Result<Tensor> {
        let (n, positions, _) = x.dims3()?;
        let size = WIDTH / HEADS;
        let all = self
            .qkv
            .forward(x)?
            .reshape((n, positions, 3, HEADS, size))?;
        // [n, heads, T, size] each
        let part = |index| all.get_on_dim(2, index)?.transpose(1, 2)?.contiguous();
        let (q, k, v) = (part(0)?, part(1)?, part(2)?);
        let scores = (q.matmul(&k.t()?)? / (size as f64).sqrt())?;
        let future: Vec<f64> = (0..positions * positions)
            .map(|at| match at % positions > at / positions {
                true => f64::NEG_INFINITY,
                false => 0.0,
            })
            .collect();
        let future = Tensor::from_vec(future, (positions, positions), x.device())?;
        let future = future.to_dtype(x.dtype())?;
        let mixed = softmax(&scores.broadcast_add(&future)?, D::Minus1)?.matmul(&v)?;
        self.out
            .forward(&mixed.transpose(1, 2)?.reshape((n, positions, WIDTH))?)
    }
}

impl Module for Gpt {
    fn forward(&self, ids: &Tensor) -> Result<Tensor> {
        let places = Tensor::arange(0, ids.dim(1)? as u32, ids.device())?;
        let places = places.broadcast_as(ids.shape())?;
        let x = (self.tokens.forward(ids)? + self.places.forward(&places)?)?;
        let x = (&x + self.attention(&self.ln_1.forward(&x)?)?)?;
        let up = self.up.forward(&self.ln_2.forward(&x)?)?.tanh()?;
        let x = (&x + self.down.forward(&up)?)?;
        self.head.forward(&self.ln.forward(&x)?)
    }
}
