//! Whole models, of all layers together.

use super::*;
use candle_core::D;
use candle_nn::{Conv2dConfig, Module, VarBuilder};
use fjld_core::capture::{
    Conv2d, Embedding, GroupNorm, LayerNorm, Linear, OverTargets, Statistics, Unit, conv2d,
    conv2d_no_bias, cross_entropy, embedding, group_norm, layer_norm, linear, linear_no_bias,
    one_target_each,
};
use rand::RngExt;

/// Two convolutions with normalisation, and a shortcut around them.
struct Block {
    first: Conv2d,
    second: Conv2d,
    norms: [GroupNorm; 2],
    shortcut: Conv2d,
}

impl Block {
    fn new(channels: [usize; 2], stride: usize, vb: VarBuilder) -> candle_core::Result<Self> {
        let [from, to] = channels;
        let config = |padding, stride| Conv2dConfig {
            padding,
            stride,
            ..Conv2dConfig::default()
        };
        Ok(Self {
            first: conv2d_no_bias(from, to, 3, config(1, stride), vb.pp("first"))?,
            second: conv2d_no_bias(to, to, 3, config(1, 1), vb.pp("second"))?,
            norms: [
                group_norm(2, to, 1e-3, vb.pp("norm1"))?,
                group_norm(2, to, 1e-3, vb.pp("norm2"))?,
            ],
            shortcut: conv2d(from, to, 1, config(0, stride), vb.pp("shortcut"))?,
        })
    }
}

impl Module for Block {
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let z = self.norms[0].forward(&self.first.forward(x)?)?.relu()?;
        let z = self.norms[1].forward(&self.second.forward(&z)?)?;
        (z + self.shortcut.forward(x)?)?.relu()
    }
}

/// A residual network on images `[examples, 2, 8, 8]` of 3 classes.
fn residual(examples: usize) -> Result<Subject<'static>> {
    let (vars, mut generator) = seeded("residual");
    let builder = vars.builder(DType::F64, &Device::Cpu);
    let blocks = [
        Block::new([2, 4], 1, builder.pp("block1"))?,
        Block::new([4, 6], 2, builder.pp("block2"))?,
    ];
    let head = linear(6, 3, builder.pp("head"))?;
    let images = normal(&mut generator, &[examples, 2, 8, 8])?;
    let classes: Vec<u32> = (0..examples)
        .map(|_| generator.random_range(0..3))
        .collect();
    let classes = Tensor::new(classes, &Device::Cpu)?;
    Ok(Subject {
        parameters: vars.named(),
        examples,
        loss: Box::new(move |rows| {
            let z = blocks[0].forward(&pick(&images, rows)?)?;
            let z = blocks[1].forward(&z)?.avg_pool2d(2)?.mean((2, 3))?;
            let losses = cross_entropy(
                &head.forward(&z)?,
                &pick(&classes, rows)?,
                None,
                OverTargets::Sum,
            )?;
            losses.mean(0)
        }),
    })
}

const WIDTH: usize = 6;
const HEADS: usize = 2;
const LENGTH: usize = 5;
const VOCABULARY: usize = 7;
const PAD: u32 = 99;

/// A block of causal attention and its multi-layer perceptron, each behind a layer normalisation.
struct Attention {
    norms: [LayerNorm; 2],
    qkv: Linear,
    out: Linear,
    wide: Linear,
    narrow: Linear,
}

impl Attention {
    fn new(vb: VarBuilder) -> candle_core::Result<Self> {
        Ok(Self {
            norms: [
                layer_norm(WIDTH, 1e-3, vb.pp("norm1"))?,
                layer_norm(WIDTH, 1e-3, vb.pp("norm2"))?,
            ],
            qkv: linear_no_bias(WIDTH, 3 * WIDTH, vb.pp("qkv"))?,
            out: linear(WIDTH, WIDTH, vb.pp("out"))?,
            wide: linear(WIDTH, 4 * WIDTH, vb.pp("wide"))?,
            narrow: linear(4 * WIDTH, WIDTH, vb.pp("narrow"))?,
        })
    }

    fn attend(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let (n, length, _) = x.dims3()?;
        let all = self
            .qkv
            .forward(x)?
            .reshape((n, length, 3, HEADS, WIDTH / HEADS))?
            .permute((2, 0, 3, 1, 4))?;
        let part = |at: usize| all.get(at)?.contiguous();
        let (q, k, v) = (part(0)?, part(1)?, part(2)?);
        let scores = (q.matmul(&k.t()?)? / ((WIDTH / HEADS) as f64).sqrt())?;
        let ahead: Vec<f64> = (0..length * length)
            .map(|at| if at % length > at / length { -1e9 } else { 0.0 })
            .collect();
        let ahead = Tensor::from_vec(ahead, (length, length), x.device())?;
        let weights = candle_nn::ops::softmax(&scores.broadcast_add(&ahead)?, D::Minus1)?;
        let mixed = weights.matmul(&v)?.transpose(1, 2)?.contiguous()?;
        self.out.forward(&mixed.reshape((n, length, WIDTH))?)
    }
}

impl Module for Attention {
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let x = (x + self.attend(&self.norms[0].forward(x)?)?)?;
        let hidden = self.wide.forward(&self.norms[1].forward(&x)?)?.gelu()?;
        x + self.narrow.forward(&hidden)?
    }
}

/// A language model with learned positions, two blocks, and a head tied to its embedding.
struct Gpt {
    words: Embedding,
    places: Embedding,
    blocks: [Attention; 2],
    norm: LayerNorm,
    head: Linear,
}

impl Gpt {
    fn new(vb: VarBuilder) -> candle_core::Result<Self> {
        let words = embedding(VOCABULARY, WIDTH, vb.pp("words"))?;
        let head = Linear::new(words.embeddings().clone(), None);
        Ok(Self {
            words,
            head,
            places: embedding(LENGTH, WIDTH, vb.pp("places"))?,
            blocks: [
                Attention::new(vb.pp("block1"))?,
                Attention::new(vb.pp("block2"))?,
            ],
            norm: layer_norm(WIDTH, 1e-3, vb.pp("norm"))?,
        })
    }
}

impl Module for Gpt {
    fn forward(&self, ids: &Tensor) -> candle_core::Result<Tensor> {
        let places = Tensor::arange(0u32, LENGTH as u32, ids.device())?;
        // of every example: a layer must see them along the first axis
        let places = places.broadcast_as(ids.shape())?;
        let mut x = (self.words.forward(ids)? + self.places.forward(&places)?)?;
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        self.head.forward(&self.norm.forward(&x)?)
    }
}

/// Texts and their next words, the last of some of which are padding: `[examples, LENGTH]` both.
fn texts(generator: &mut Generator, examples: usize) -> candle_core::Result<(Tensor, Tensor)> {
    let mut draw = || -> Vec<u32> {
        (0..examples * LENGTH)
            .map(|_| generator.random_range(0..VOCABULARY as u32))
            .collect()
    };
    let (ids, mut targets) = (draw(), draw());
    targets
        .iter_mut()
        .skip(LENGTH - 1)
        .step_by(2 * LENGTH)
        .for_each(|last| *last = PAD);
    let tensor = |values| Tensor::from_vec(values, (examples, LENGTH), &Device::Cpu);
    Ok((tensor(ids)?, tensor(targets)?))
}

fn gpt(examples: usize) -> Result<Subject<'static>> {
    let (vars, mut generator) = seeded("gpt");
    let model = Gpt::new(vars.builder(DType::F64, &Device::Cpu))?;
    let (ids, targets) = texts(&mut generator, examples)?;
    Ok(Subject {
        parameters: vars.named(),
        examples,
        loss: Box::new(move |rows| {
            let logits = model.forward(&pick(&ids, rows)?)?;
            let targets = pick(&targets, rows)?;
            cross_entropy(&logits, &targets, Some(PAD), OverTargets::Mean)?.mean(0)
        }),
    })
}

#[test]
fn a_residual_network_agrees_with_autograd() -> Result<()> {
    residual(4)?.assert_routes_agree()
}

#[test]
fn a_language_model_agrees_with_autograd() -> Result<()> {
    gpt(4)?.assert_routes_agree()
}

/// The draws of some examples alone.
fn part(subject: &Subject, rows: &[u32]) -> Result<Statistics> {
    let captured = Capture::new(rows.len(), Reduction::Mean)
        .diagonal()
        .run(&subject.parameters, || (subject.loss)(rows))?;
    Ok(captured.statistics)
}

#[test]
fn models_measured_in_chunks_are_the_whole() -> Result<()> {
    for subject in [residual(5)?, gpt(5)?] {
        let mut chunks = part(&subject, &[0, 1])?;
        chunks.merge(&part(&subject, &[2])?)?;
        chunks.merge(&part(&subject, &[3, 4])?)?;
        let all = part(&subject, &subject.all())?;
        let (a, b) = (chunks.whole()?, all.whole()?);
        assert_eq!(a.samples, 5);
        approx::assert_relative_eq!(a.signal, b.signal, max_relative = TOLERANCE);
        approx::assert_relative_eq!(a.noise, b.noise, max_relative = TOLERANCE);
        for (a, b) in chunks.by_layer()?.iter().zip(all.by_layer()?) {
            approx::assert_abs_diff_eq!(a.noise, b.noise, epsilon = TOLERANCE * all.whole()?.noise);
        }
        for (a, b) in chunks.parameters().iter().zip(all.parameters()) {
            let gap = (a.variances()?.expect("asked for") - b.variances()?.expect("asked for"))?;
            let gap = gap.abs()?.flatten_all()?.max(0)?.to_scalar::<f64>()?;
            assert!(
                gap < TOLERANCE * (1.0 + b.share()?.noise),
                "{} differs by {gap}",
                a.name()
            );
        }
    }
    Ok(())
}

#[test]
fn layers_add_up_to_the_model() -> Result<()> {
    for subject in [residual(4)?, gpt(4)?] {
        let statistics = part(&subject, &subject.all())?;
        let (layers, whole) = (statistics.by_layer()?, statistics.whole()?);
        let total: usize = subject
            .parameters
            .iter()
            .map(|(_, var)| var.elem_count())
            .sum();
        assert_eq!(layers.iter().map(|l| l.coordinates).sum::<usize>(), total);
        let noise: f64 = layers.iter().map(|l| l.noise).sum();
        approx::assert_relative_eq!(noise, whole.noise, max_relative = TOLERANCE);
        // the coordinates' variances add up to the same trace
        let mut trace = 0.0;
        for parameter in statistics.parameters() {
            let variances = parameter.variances()?.expect("asked for");
            trace += variances.sum_all()?.to_scalar::<f64>()?;
        }
        approx::assert_relative_eq!(trace, whole.noise, max_relative = TOLERANCE);
    }
    Ok(())
}

#[test]
fn tokens_of_a_language_model_are_measured_one_by_one() -> Result<()> {
    let (vars, mut generator) = seeded("gpt tokens");
    let model = Gpt::new(vars.builder(DType::F64, &Device::Cpu))?;
    let (ids, targets) = texts(&mut generator, 3)?;
    let (rows, alone) = one_target_each(&targets, PAD)?;
    let tokens = rows.dim(0)?;
    // two of the three texts end in padding
    assert_eq!(tokens, 3 * LENGTH - 2);
    let own = ids.index_select(&rows, 0)?;
    let loss = |ids: &Tensor, targets: &Tensor| {
        cross_entropy(&model.forward(ids)?, targets, Some(PAD), OverTargets::Sum)?.sum_all()
    };
    let captured = Capture::new(tokens, Reduction::Sum)
        .unit(Unit::Token)
        .run(&vars.named(), || loss(&own, &alone))?;
    // by autograd, each token's loss from its text's forward pass
    for (token, norm) in captured.statistics.squared_norms().iter().enumerate() {
        let text = ids.narrow(0, rows.get(token)?.to_scalar::<u32>()? as usize, 1)?;
        let gradients = loss(&text, &alone.narrow(0, token, 1)?)?.backward()?;
        let mut expected = 0.0;
        for (_, var) in vars.named() {
            let gradient = gradients.get(&var).expect("it takes part");
            expected += gradient.sqr()?.sum_all()?.to_scalar::<f64>()?;
        }
        approx::assert_relative_eq!(*norm, expected, max_relative = TOLERANCE);
    }
    Ok(())
}
