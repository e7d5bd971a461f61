//! Multilayer perceptrons of any depth: plain, plain with orthogonal weights, and residual.

use super::{Loss, Model, Network};
use crate::error::Result;
use crate::precision::{SCALAR, Scalar};
use candle_core::{Device, Tensor, Var};
use candle_nn::init::{FanInOut, Init, NonLinearity, NormalOrUniform};
use candle_nn::{Module, VarBuilder};
use fjld_core::capture::Linear;
use fjld_core::rng::{Seed, SeededVars};
use serde::{Deserialize, Serialize};

/// How a layer follows the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// `x <- W relu(x) + b`. From some tens of layers on it does not train.
    Plain,
    /// `x <- W tanh(x) + b` with orthogonal `W` at the start, by which a plain network of any depth can be trained (Saxe et al. 2014;
    /// Pennington et al. 2017).
    Orthogonal,
    /// `x <- x + (W relu(x) + b)/sqrt(m)` at `m` such layers (He et al. 2016), so that at any depth they change `x` by about as much as
    /// it is.
    Residual,
}

impl Kind {
    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Orthogonal => "orthogonal",
            Self::Residual => "residual",
        }
    }
}

/// What a deep network looks like.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// How its layers follow each other.
    pub kind: Kind,
    /// Layers with weights, at least 2: the first, those between, and the scores.
    pub depth: usize,
    /// Units of every layer but the last.
    pub width: usize,
}

/// See [`Shape`].
struct Deep {
    first: Linear,
    between: Vec<Linear>,
    scores: Linear,
    kind: Kind,
    parameters: Vec<(String, Var)>,
}

/// The network with cross-entropy loss, its weights normal with the variance that keeps the mean square of activations from layer to layer
/// (He et al. 2015) where its kind says nothing else, and its biases 0.
///
/// # Errors
/// When candle fails.
pub fn build(shape: Shape, inputs: usize, classes: usize, seed: Seed) -> Result<Model> {
    let vars = SeededVars::new(seed);
    let builder = vars.builder(SCALAR, &Device::Cpu);
    let (relu, none) = (NonLinearity::ReLU, NonLinearity::Linear);
    let between = shape.depth.saturating_sub(2);
    let first = layer(inputs, shape.width, none, &builder.pp("first"))?;
    let layers = (0..between).map(|k| {
        let own = builder.pp(format!("between{k:03}"));
        layer(shape.width, shape.width, relu, &own)
    });
    let layers = layers.collect::<candle_core::Result<_>>()?;
    let scores = layer(shape.width, classes, none, &builder.pp("scores"))?;
    let network = Deep {
        first,
        between: layers,
        scores,
        kind: shape.kind,
        parameters: vars.named(),
    };
    if shape.kind == Kind::Orthogonal {
        for (name, var) in &network.parameters {
            if name.starts_with("between") && name.ends_with("weight") {
                let rows = orthonormal(var.to_vec2::<Scalar>()?);
                var.set(&Tensor::new(rows, &Device::Cpu)?)?;
            }
        }
    }
    Ok(Model {
        network: Box::new(network),
        loss: Loss::CrossEntropy,
    })
}

/// The rows, each without what it shares with those before it, and of length 1 (Gram and Schmidt): of normal rows a uniformly random
/// orthogonal matrix.
fn orthonormal(rows: Vec<Vec<Scalar>>) -> Vec<Vec<Scalar>> {
    let mut done: Vec<Vec<Scalar>> = Vec::new();
    for mut row in rows {
        // twice is enough (Parlett 1980, section 6-9)
        for _ in 0..2 {
            for other in &done {
                let along: Scalar = row.iter().zip(other).map(|(a, b)| a * b).sum();
                row.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
            }
        }
        let length = row.iter().map(|a| a * a).sum::<Scalar>().sqrt();
        row.iter_mut().for_each(|a| *a /= length);
        done.push(row);
    }
    done
}

fn layer(
    inputs: usize,
    outputs: usize,
    non_linearity: NonLinearity,
    builder: &VarBuilder,
) -> candle_core::Result<Linear> {
    let init = Init::Kaiming {
        dist: NormalOrUniform::Normal,
        fan: FanInOut::FanIn,
        non_linearity,
    };
    let weight = builder.get_with_hints((outputs, inputs), "weight", init)?;
    let bias = builder.get_with_hints(outputs, "bias", Init::Const(0.0))?;
    Ok(Linear::new(weight, Some(bias)))
}

impl Network for Deep {
    fn parameters(&self) -> &[(String, Var)] {
        &self.parameters
    }

    fn scores(&self, inputs: &Tensor) -> candle_core::Result<Tensor> {
        let cut = |x: &Tensor| match self.kind {
            Kind::Plain | Kind::Residual => x.relu(),
            Kind::Orthogonal => x.tanh(),
        };
        let share = 1.0 / (self.between.len().max(1) as f64).sqrt();
        let mut x = self.first.forward(&inputs.flatten_from(1)?)?;
        for layer in &self.between {
            let next = layer.forward(&cut(&x)?)?;
            x = match self.kind {
                Kind::Plain | Kind::Orthogonal => next,
                Kind::Residual => (&x + (next * share)?)?,
            };
        }
        self.scores.forward(&cut(&x)?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_exact, assert_slopes};
    use super::*;
    use fjld_core::rng::standard_normals;
    use std::collections::BTreeMap;

    #[test]
    fn every_kind_has_exact_gradients_by_example() -> Result<()> {
        let device = Device::Cpu;
        let drawn = standard_normals(&mut Seed::root(3).generator(), 4 * 6);
        let inputs = Tensor::from_vec(drawn, (4, 6), &device)?.to_dtype(SCALAR)?;
        let batch = (inputs, Tensor::new(&[0u32, 2, 1, 1], &device)?);
        for kind in [Kind::Plain, Kind::Orthogonal, Kind::Residual] {
            let shape = Shape {
                kind,
                depth: 5,
                width: 7,
            };
            let model = build(shape, 6, 3, Seed::root(4))?;
            assert_exact(&model, &batch)?;
            assert_slopes(&model, &batch, 60, 1e-3)?;
        }
        Ok(())
    }

    #[test]
    fn orthonormal_rows_are_so_to_rounding() {
        let drawn = standard_normals(&mut Seed::root(7).generator(), 16 * 16);
        let rows = drawn
            .chunks(16)
            .map(|row| row.iter().map(|&x| x as Scalar).collect());
        let rows = orthonormal(rows.collect());
        for (i, a) in rows.iter().enumerate() {
            for (j, b) in rows.iter().enumerate() {
                let product: Scalar = a.iter().zip(b).map(|(a, b)| a * b).sum();
                let wanted = if i == j { 1.0 } else { 0.0 };
                assert!((product - wanted).abs() < 1e-6, "{i} by {j}: {product}");
            }
        }
    }

    #[test]
    fn a_residual_network_passes_on_as_much_at_any_depth() -> Result<()> {
        let device = Device::Cpu;
        let drawn = standard_normals(&mut Seed::root(5).generator(), 50 * 64);
        let inputs = Tensor::from_vec(drawn, (50, 64), &device)?.to_dtype(SCALAR)?;
        let size = |depth| -> Result<Scalar> {
            let shape = Shape {
                kind: Kind::Residual,
                depth,
                width: 64,
            };
            let model = build(shape, 64, 10, Seed::root(6))?;
            let scores = model.network.scores(&inputs)?;
            Ok(scores.sqr()?.mean_all()?.to_scalar::<Scalar>()?)
        };
        let growth = size(128)? / size(4)?;
        // each of m layers adds a share 1/m, so that all multiply by between 2 and e, give or take what one draw of weights does
        assert!((0.3..3.0).contains(&growth), "{growth}");
        Ok(())
    }

    #[test]
    fn every_kind_computes_what_its_description_says() -> Result<()> {
        let inputs = [0.4 as Scalar, -1.3, 0.7];
        for kind in [Kind::Plain, Kind::Orthogonal, Kind::Residual] {
            let shape = Shape {
                kind,
                depth: 4,
                width: 3,
            };
            let model = build(shape, 3, 2, Seed::root(8))?;
            let mut rows = BTreeMap::new();
            for (name, var) in model.network.parameters() {
                if name.ends_with("bias") {
                    // those it starts with are 0
                    let generator = &mut Seed::root(9).derive(name).generator();
                    let drawn = standard_normals(generator, var.elem_count());
                    let drawn = Tensor::new(drawn, &Device::Cpu)?.to_dtype(SCALAR)?;
                    var.set(&drawn)?;
                }
                let width = if var.rank() == 2 { var.dim(1)? } else { 1 };
                rows.insert(
                    name.as_str(),
                    var.reshape(((), width))?.to_vec2::<Scalar>()?,
                );
            }
            let layer = |name: &str, x: &[Scalar]| -> Vec<Scalar> {
                let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
                let lines = rows[weight.as_str()].iter().zip(&rows[bias.as_str()]);
                let product = |w: &[Scalar]| w.iter().zip(x).map(|(w, x)| w * x).sum::<Scalar>();
                lines.map(|(w, b)| product(w) + b[0]).collect()
            };
            let cut = |x: &[Scalar]| -> Vec<Scalar> {
                let cut = |x: &Scalar| match kind {
                    Kind::Orthogonal => x.tanh(),
                    _ => x.max(0.0),
                };
                x.iter().map(cut).collect()
            };
            let mut x = layer("first", &inputs);
            for name in ["between000", "between001"] {
                let next = layer(name, &cut(&x));
                x = match kind {
                    // two layers lie between
                    Kind::Residual => {
                        let pairs = x.iter().zip(next);
                        pairs
                            .map(|(x, next)| x + next / Scalar::sqrt(2.0))
                            .collect()
                    }
                    _ => next,
                };
            }
            let expected = layer("scores", &cut(&x));
            let found = model
                .network
                .scores(&Tensor::new(&[inputs], &Device::Cpu)?)?;
            for (found, expected) in found.squeeze(0)?.to_vec1::<Scalar>()?.iter().zip(expected) {
                // some fifty roundings of 32-bit numbers below 10
                assert!((found - expected).abs() < 3e-5, "{found} {expected}");
            }
        }
        Ok(())
    }

    #[test]
    fn only_the_orthogonal_kind_starts_with_orthonormal_rows() -> Result<()> {
        let width = 24;
        for kind in [Kind::Plain, Kind::Orthogonal, Kind::Residual] {
            let shape = Shape {
                kind,
                depth: 5,
                width,
            };
            let model = build(shape, 6, 3, Seed::root(4))?;
            let between = model.network.parameters().iter();
            let between =
                between.filter(|(n, _)| n.starts_with("between") && n.ends_with("weight"));
            let between: Vec<&Var> = between.map(|(_, var)| var).collect();
            assert_eq!(between.len(), 3);
            for weight in between {
                let products = weight.matmul(&weight.t()?)?.to_vec2::<Scalar>()?;
                if kind == Kind::Orthogonal {
                    for (at, row) in products.iter().enumerate() {
                        for (to, product) in row.iter().enumerate() {
                            let wanted: Scalar = if at == to { 1.0 } else { 0.0 };
                            // sums of 24 products in f32
                            assert!((product - wanted).abs() < 1e-5, "{product}");
                        }
                    }
                } else {
                    let squares: Scalar = (0..width).map(|at| products[at][at]).sum();
                    let variance = squares / (width * width) as Scalar;
                    // 2 over the width behind a relu (He et al. 2015); over 576 entries it is known to a seventeenth, of which five
                    assert!((variance * 12.0 - 1.0).abs() < 0.3, "{variance}");
                }
            }
        }
        Ok(())
    }
}
