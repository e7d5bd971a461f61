//! A small transformer that predicts characters: inputs `[n, T]` of indices, scores `[n, T, kinds]`.

use super::Network;
use crate::error::Result;
use crate::precision::{SCALAR, Scalar};
use candle_core::{D, Device, Tensor, Var};
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
        let builder = vars.builder(SCALAR, device);
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
    let ahead = |i, j| if j > i { Scalar::NEG_INFINITY } else { 0.0 };
    let mask: Vec<Scalar> = (0..length)
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
    use candle_core::DType;
    use fjld_core::rng::standard_normals;
    use std::collections::BTreeMap;

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
        let scores = |last: u32| -> Result<Vec<Vec<Scalar>>> {
            let inputs = Tensor::new(&[[1u32, 2, 3, 4, last]], &device)?;
            Ok(network.scores(&inputs)?.squeeze(0)?.to_vec2()?)
        };
        let (one, other) = (scores(0)?, scores(6)?);
        assert_eq!(one[..4], other[..4]);
        assert_ne!(one[4], other[4]);
        Ok(())
    }

    type Rows = Vec<Vec<f64>>;

    /// The parameters by name in rows, and the network written out in loops, a stretch at a time.
    struct Written(BTreeMap<String, Rows>);

    fn product(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    fn added(x: &Rows, y: &Rows) -> Rows {
        let sum = |(x, y): (&Vec<f64>, &Vec<f64>)| x.iter().zip(y).map(|(x, y)| x + y).collect();
        x.iter().zip(y).map(sum).collect()
    }

    /// Queries, keys and values stand one behind the other, and in each of them the heads.
    fn attended(joint: &Rows, heads: usize) -> Rows {
        let width = joint[0].len() / 3;
        let size = width / heads;
        let mut seen = vec![vec![0.0; width]; joint.len()];
        for (t, seen) in seen.iter_mut().enumerate() {
            for start in (0..width).step_by(size) {
                let part = |row: &[f64], which: usize| {
                    let from = which * width + start;
                    row[from..from + size].to_vec()
                };
                // of itself and of those before it
                let alike = |s: usize| product(&part(&joint[t], 0), &part(&joint[s], 1));
                let weights = (0..=t).map(|s| (alike(s) / (size as f64).sqrt()).exp());
                let weights: Vec<f64> = weights.collect();
                let all: f64 = weights.iter().sum();
                for (weight, row) in weights.iter().zip(joint) {
                    for (c, value) in part(row, 2).iter().enumerate() {
                        seen[start + c] += weight / all * value;
                    }
                }
            }
        }
        seen
    }

    impl Written {
        fn vector(&self, layer: &str, what: &str) -> &[f64] {
            &self.0[&format!("{layer}.{what}")][0]
        }

        fn linear(&self, layer: &str, x: &Rows) -> Rows {
            let weight = &self.0[&format!("{layer}.weight")];
            let lines = || weight.iter().zip(self.vector(layer, "bias"));
            let row = |x: &Vec<f64>| lines().map(|(w, b)| product(w, x) + b).collect();
            x.iter().map(row).collect()
        }

        fn normalised(&self, layer: &str, x: &Rows) -> Rows {
            let (weight, bias) = (self.vector(layer, "weight"), self.vector(layer, "bias"));
            let row = |x: &Vec<f64>| {
                let n = x.len() as f64;
                let mean = x.iter().sum::<f64>() / n;
                let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
                let scores = x.iter().map(|x| (x - mean) / (variance + 1e-5).sqrt());
                let scaled = scores.zip(weight).zip(bias);
                scaled.map(|((x, w), b)| x * w + b).collect()
            };
            x.iter().map(row).collect()
        }

        fn scores(&self, shape: Shape, text: &[u32]) -> Rows {
            let characters = &self.0["characters.weight"];
            let own = text.iter().map(|&c| characters[c as usize].clone());
            let mut x = added(&own.collect(), &self.0["positions.weight"]);
            for block in (0..shape.layers).map(|i| format!("block{i}")) {
                let part = |name: &str| format!("{block}.{name}");
                let before = self.normalised(&part("before_attention"), &x);
                let seen = attended(&self.linear(&part("joint"), &before), shape.heads);
                x = added(&x, &self.linear(&part("merge"), &seen));
                let mut wide = self.normalised(&part("before_rest"), &x);
                wide = self.linear(&part("widen"), &wide);
                wide.iter_mut().flatten().for_each(|x| *x = x.max(0.0));
                x = added(&x, &self.linear(&part("narrow"), &wide));
            }
            let head = match shape.tied {
                true => characters,
                false => &self.0["head.weight"],
            };
            let row = |x: &Vec<f64>| head.iter().map(|w| product(w, x)).collect();
            self.normalised("last", &x).iter().map(row).collect()
        }
    }

    #[test]
    fn the_scores_are_those_of_a_transformer_written_out_in_loops() -> Result<()> {
        let device = Device::Cpu;
        for tied in [false, true] {
            let shape = Shape {
                kinds: 5,
                context: 4,
                width: 6,
                heads: 2,
                layers: 2,
                tied,
            };
            let network = Gpt::new(shape, Seed::root(3), &device)?;
            let mut rows = BTreeMap::new();
            for (name, var) in &network.parameters {
                // those it starts with are small, or 0 and 1
                let generator = &mut Seed::root(4).derive(name).generator();
                let drawn = standard_normals(generator, var.elem_count());
                let drawn = Tensor::from_vec(drawn, var.shape(), &device)?;
                var.set(&(drawn.to_dtype(SCALAR)? * 0.5)?)?;
                let own = var.reshape(((), var.dim(D::Minus1)?))?;
                rows.insert(name.clone(), own.to_dtype(DType::F64)?.to_vec2()?);
            }
            let written = Written(rows);
            let texts = [[1u32, 4, 0, 1], [2, 2, 3, 4]];
            let found = network.scores(&Tensor::new(&texts, &device)?)?;
            for (found, text) in found.to_vec3::<Scalar>()?.iter().zip(texts) {
                let expected = written.scores(shape, &text);
                for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
                    // some hundred operations in f32, of numbers of some ten
                    let gap = (f64::from(*found) - expected).abs();
                    assert!(gap < 1e-4, "{found} {expected}");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn a_thousand_blocks_are_accepted_and_no_more() -> Result<()> {
        let of = |layers: usize| ModelChoice::Gpt {
            width: 8,
            heads: 2,
            layers,
            tied: false,
        };
        of(1000).check("a.toml")?;
        for layers in [1001, 2000] {
            let said = of(layers).check("a.toml").expect_err("they are too many");
            let wanted = format!("a.toml: model.layers is {layers}; it must be at most 1000");
            assert_eq!(said.to_string(), wanted);
        }
        Ok(())
    }
}
