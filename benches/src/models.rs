//! The models of the measurements, each written once over a choice of layers: candle-nn's own, or the captured ones.

use candle_core::{D, Result, Tensor};
use candle_nn::{Conv2dConfig, Module, VarBuilder};
use fjld_core::capture::{self, OverTargets};

/// What needs no parameters.
#[derive(Clone, Copy)]
pub struct Functions {
    /// `max(x, 0)`.
    pub relu: fn(&Tensor) -> Result<Tensor>,
    /// By the hyperbolic tangent.
    pub gelu: fn(&Tensor) -> Result<Tensor>,
    /// Of queries, keys and values `[n, T, 3 heads e]` by so many heads.
    pub attention: fn(&Tensor, usize) -> Result<Tensor>,
    /// The mean over all targets, of logits `[n, c]` or `[n, T, c]`.
    pub cross_entropy: fn(&Tensor, &Tensor) -> Result<Tensor>,
}

/// Where a model takes its layers from.
pub trait Layers {
    /// Activations and the softmax.
    const FUNCTIONS: Functions;
    /// `[.., in]` to `[.., out]`.
    fn linear(from: usize, to: usize, bias: bool, vb: VarBuilder) -> Result<Layer>;
    /// Without a bias.
    fn conv2d(
        channels: [usize; 2],
        kernel: usize,
        config: Conv2dConfig,
        vb: VarBuilder,
    ) -> Result<Layer>;
    /// With scale and shift; where `affine` is false both are constants.
    fn group_norm(channels: usize, affine: bool, vb: VarBuilder) -> Result<Layer>;
    /// With scale and shift; where `affine` is false both are constants.
    fn layer_norm(size: usize, affine: bool, vb: VarBuilder) -> Result<Layer>;
    /// Rows by their indices.
    fn embedding(vocabulary: usize, size: usize, vb: VarBuilder) -> Result<Layer>;
}

/// Any of them.
pub type Layer = Box<dyn Module>;

/// Causal attention as one writes it in candle.
fn attention(qkv: &Tensor, heads: usize) -> Result<Tensor> {
    let (n, length, features) = qkv.dims3()?;
    let each = features / (3 * heads);
    let all = qkv
        .reshape((n, length, 3, heads, each))?
        .permute((2, 0, 3, 1, 4))?
        .contiguous()?;
    let (q, k, v) = (all.get(0)?, all.get(1)?, all.get(2)?);
    let ahead = (0..length * length).map(|at| match at % length > at / length {
        true => -1e9f32,
        false => 0.0,
    });
    let ahead = Tensor::from_vec(ahead.collect(), (length, length), qkv.device())?;
    let ahead = ahead.to_dtype(qkv.dtype())?;
    let scores = (q.matmul(&k.t()?)? * (each as f64).powf(-0.5))?;
    // the softmax that passes a gradient on
    let weights = candle_nn::ops::softmax(&scores.broadcast_add(&ahead)?, D::Minus1)?;
    let mixed = weights.matmul(&v)?.transpose(1, 2)?.contiguous()?;
    mixed.reshape((n, length, heads * each))
}

/// The layers of candle-nn.
pub struct Plain;

/// The captured ones.
pub struct Own;

const GROUPS: usize = 8;
const EPS: f64 = 1e-5;

/// Scale and shift of a normalisation.
fn scale_and_shift(size: usize, affine: bool, vb: &VarBuilder) -> Result<(Tensor, Tensor)> {
    if affine {
        let scale = vb.get_with_hints(size, "weight", candle_nn::Init::Const(1.0))?;
        let shift = vb.get_with_hints(size, "bias", candle_nn::Init::Const(0.0))?;
        return Ok((scale, shift));
    }
    let ones = Tensor::ones(size, vb.dtype(), vb.device())?;
    Ok((ones.clone(), ones.zeros_like()?))
}

/// candle-nn's layer normalisation with a bias takes a fused kernel that passes no gradient on: so the bias is added behind it.
struct Shifted(candle_nn::LayerNorm, Tensor);

impl Module for Shifted {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.0.forward(x)?.broadcast_add(&self.1)
    }
}

impl Layers for Plain {
    const FUNCTIONS: Functions = Functions {
        relu: Tensor::relu,
        gelu: Tensor::gelu,
        attention,
        cross_entropy: |logits, targets| {
            let logits = logits.flatten_to(logits.rank() - 2)?;
            candle_nn::loss::cross_entropy(&logits, &targets.flatten_all()?)
        },
    };

    fn linear(from: usize, to: usize, bias: bool, vb: VarBuilder) -> Result<Layer> {
        Ok(Box::new(candle_nn::linear_b(from, to, bias, vb)?))
    }

    fn conv2d(
        [from, to]: [usize; 2],
        kernel: usize,
        config: Conv2dConfig,
        vb: VarBuilder,
    ) -> Result<Layer> {
        Ok(Box::new(candle_nn::conv2d_no_bias(
            from, to, kernel, config, vb,
        )?))
    }

    fn group_norm(channels: usize, affine: bool, vb: VarBuilder) -> Result<Layer> {
        let (scale, shift) = scale_and_shift(channels, affine, &vb)?;
        Ok(Box::new(candle_nn::GroupNorm::new(
            scale, shift, channels, GROUPS, EPS,
        )?))
    }

    fn layer_norm(size: usize, affine: bool, vb: VarBuilder) -> Result<Layer> {
        let (scale, shift) = scale_and_shift(size, affine, &vb)?;
        Ok(Box::new(Shifted(
            candle_nn::LayerNorm::new_no_bias(scale, EPS),
            shift,
        )))
    }

    fn embedding(vocabulary: usize, size: usize, vb: VarBuilder) -> Result<Layer> {
        Ok(Box::new(candle_nn::embedding(vocabulary, size, vb)?))
    }
}

impl Layers for Own {
    const FUNCTIONS: Functions = Functions {
        relu: capture::relu,
        gelu: capture::gelu,
        attention: capture::causal_attention,
        cross_entropy: |logits, targets| {
            capture::cross_entropy(logits, targets, None, OverTargets::Mean)?.mean(0)
        },
    };

    fn linear(from: usize, to: usize, bias: bool, vb: VarBuilder) -> Result<Layer> {
        Ok(Box::new(capture::linear_b(from, to, bias, vb)?))
    }

    fn conv2d(
        [from, to]: [usize; 2],
        kernel: usize,
        config: Conv2dConfig,
        vb: VarBuilder,
    ) -> Result<Layer> {
        Ok(Box::new(capture::conv2d_no_bias(
            from, to, kernel, config, vb,
        )?))
    }

    fn group_norm(channels: usize, affine: bool, vb: VarBuilder) -> Result<Layer> {
        let (scale, shift) = scale_and_shift(channels, affine, &vb)?;
        Ok(Box::new(capture::GroupNorm::new(
            scale, shift, channels, GROUPS, EPS,
        )?))
    }

    fn layer_norm(size: usize, affine: bool, vb: VarBuilder) -> Result<Layer> {
        let (scale, shift) = scale_and_shift(size, affine, &vb)?;
        Ok(Box::new(capture::LayerNorm::new(scale, shift, EPS)))
    }

    fn embedding(vocabulary: usize, size: usize, vb: VarBuilder) -> Result<Layer> {
        Ok(Box::new(capture::embedding(vocabulary, size, vb)?))
    }
}

/// A perceptron with rectified hidden layers, `[n, in]` to `[n, out]`.
pub struct Perceptron(Vec<Layer>, Functions);

impl Perceptron {
    /// Layers between neighbours of `widths`.
    pub fn new<L: Layers>(widths: &[usize], vb: &VarBuilder) -> Result<Self> {
        let layers = widths
            .windows(2)
            .enumerate()
            .map(|(at, pair)| L::linear(pair[0], pair[1], true, vb.pp(format!("layer{at}"))));
        Ok(Self(layers.collect::<Result<_>>()?, L::FUNCTIONS))
    }
}

impl Module for Perceptron {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut z = self.0[0].forward(x)?;
        for layer in &self.0[1..] {
            z = layer.forward(&(self.1.relu)(&z)?)?;
        }
        Ok(z)
    }
}

/// Two convolutions, and what their sum is added to.
struct Block {
    convolutions: [Layer; 2],
    norms: [Layer; 2],
    shortcut: Option<Layer>,
}

/// A residual network of eight blocks of two convolutions, in four stages of `width` to `8 width` channels; `[n, 3, h, w]` to `[n, 10]`.
pub struct Residual {
    stem: Layer,
    norm: Layer,
    blocks: Vec<Block>,
    head: Layer,
    functions: Functions,
}

impl Residual {
    /// With `width` channels in the first stage.
    pub fn new<L: Layers>(width: usize, affine: bool, vb: &VarBuilder) -> Result<Self> {
        let config = |padding, stride| Conv2dConfig {
            padding,
            stride,
            ..Conv2dConfig::default()
        };
        let mut from = width;
        let mut blocks = Vec::new();
        for at in 0..8 {
            let to = width << (at / 2);
            let stride = if at % 2 == 0 && at > 0 { 2 } else { 1 };
            let vb = vb.pp(format!("block{at}"));
            blocks.push(Block {
                convolutions: [
                    L::conv2d([from, to], 3, config(1, stride), vb.pp("conv1"))?,
                    L::conv2d([to, to], 3, config(1, 1), vb.pp("conv2"))?,
                ],
                norms: [
                    L::group_norm(to, affine, vb.pp("norm1"))?,
                    L::group_norm(to, affine, vb.pp("norm2"))?,
                ],
                shortcut: match from == to {
                    true => None,
                    false => Some(L::conv2d(
                        [from, to],
                        1,
                        config(0, stride),
                        vb.pp("shortcut"),
                    )?),
                },
            });
            from = to;
        }
        Ok(Self {
            stem: L::conv2d([3, width], 3, config(1, 1), vb.pp("stem"))?,
            norm: L::group_norm(width, affine, vb.pp("norm"))?,
            blocks,
            head: L::linear(from, 10, true, vb.pp("head"))?,
            functions: L::FUNCTIONS,
        })
    }
}

impl Module for Residual {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let relu = self.functions.relu;
        let mut x = relu(&self.norm.forward(&self.stem.forward(x)?)?)?;
        for block in &self.blocks {
            let z = block.convolutions[0].forward(&x)?;
            let z = relu(&block.norms[0].forward(&z)?)?;
            let z = block.norms[1].forward(&block.convolutions[1].forward(&z)?)?;
            let around = match &block.shortcut {
                Some(shortcut) => shortcut.forward(&x)?,
                None => x,
            };
            x = relu(&(z + around)?)?;
        }
        self.head.forward(&x.mean((2, 3))?)
    }
}

/// Causal attention and a perceptron, each behind a normalisation and around a shortcut.
struct Attention {
    norms: [Layer; 2],
    qkv: Layer,
    out: Layer,
    wide: Layer,
    narrow: Layer,
}

/// A language model; token numbers `[n, T]` to logits `[n, T, vocabulary]`.
pub struct Gpt {
    words: Layer,
    places: Layer,
    blocks: Vec<Attention>,
    norm: Layer,
    head: Layer,
    sizes: GptSizes,
    functions: Functions,
    order: Tensor,
}

/// The sizes of a [`Gpt`].
#[derive(Clone, Copy, Debug)]
pub struct GptSizes {
    /// Tokens.
    pub vocabulary: usize,
    /// Features of a token.
    pub width: usize,
    /// Heads of an attention.
    pub heads: usize,
    /// Tokens of an example.
    pub context: usize,
    /// Blocks.
    pub blocks: usize,
}

impl Gpt {
    /// Of these sizes.
    pub fn new<L: Layers>(sizes: GptSizes, affine: bool, vb: &VarBuilder) -> Result<Self> {
        let GptSizes {
            vocabulary,
            width,
            context,
            blocks,
            ..
        } = sizes;
        let block = |at: usize| {
            let vb = vb.pp(format!("block{at}"));
            Ok(Attention {
                norms: [
                    L::layer_norm(width, affine, vb.pp("norm1"))?,
                    L::layer_norm(width, affine, vb.pp("norm2"))?,
                ],
                qkv: L::linear(width, 3 * width, true, vb.pp("qkv"))?,
                out: L::linear(width, width, true, vb.pp("out"))?,
                wide: L::linear(width, 4 * width, true, vb.pp("wide"))?,
                narrow: L::linear(4 * width, width, true, vb.pp("narrow"))?,
            })
        };
        Ok(Self {
            words: L::embedding(vocabulary, width, vb.pp("words"))?,
            places: L::embedding(context, width, vb.pp("places"))?,
            blocks: (0..blocks).map(block).collect::<Result<_>>()?,
            norm: L::layer_norm(width, affine, vb.pp("norm"))?,
            head: L::linear(width, vocabulary, false, vb.pp("head"))?,
            sizes,
            functions: L::FUNCTIONS,
            order: Tensor::arange(0u32, context as u32, vb.device())?,
        })
    }

    /// What it was made of.
    pub fn sizes(&self) -> GptSizes {
        self.sizes
    }

    fn attend(&self, block: &Attention, x: &Tensor) -> Result<Tensor> {
        let qkv = block.qkv.forward(x)?;
        block
            .out
            .forward(&(self.functions.attention)(&qkv, self.sizes.heads)?)
    }
}

impl Module for Gpt {
    fn forward(&self, tokens: &Tensor) -> Result<Tensor> {
        let places = self.order.broadcast_as(tokens.shape())?.contiguous()?;
        let mut x = (self.words.forward(tokens)? + self.places.forward(&places)?)?;
        for block in &self.blocks {
            x = (&x + self.attend(block, &block.norms[0].forward(&x)?)?)?;
            let hidden = block.wide.forward(&block.norms[1].forward(&x)?)?;
            let hidden = (self.functions.gelu)(&hidden)?;
            x = (x + block.narrow.forward(&hidden)?)?;
        }
        self.head.forward(&self.norm.forward(&x)?)
    }
}
