//! Multilayer perceptrons of any depth, plain and residual.

use super::{Loss, Model, Network};
use crate::error::Result;
use candle_core::{DType, Device, Tensor, Var};
use candle_nn::init::{FanInOut, Init, NonLinearity, NormalOrUniform};
use candle_nn::{Module, VarBuilder};
use fjld_core::capture::Linear;
use fjld_core::rng::{Seed, SeededVars};
use serde::{Deserialize, Serialize};

/// How a layer follows the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// `x <- W relu(x) + b`.
    Plain,
    /// `x <- x + (W relu(x) + b)/sqrt(m)` at `m` such layers (He et al. 2016), so that at any depth they change `x` by about as much as
    /// it is.
    Residual,
}

impl Kind {
    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
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
    /// What a layer between is multiplied by; nothing in a plain network.
    residual: Option<f64>,
    parameters: Vec<(String, Var)>,
}

/// The network with cross-entropy loss, its weights normal with the variance that keeps the mean square of activations from layer to layer
/// (He et al. 2015), and its biases 0.
///
/// # Errors
/// When candle fails.
pub fn build(shape: Shape, inputs: usize, classes: usize, seed: Seed) -> Result<Model> {
    let vars = SeededVars::new(seed);
    let builder = vars.builder(DType::F32, &Device::Cpu);
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
        residual: (shape.kind == Kind::Residual).then(|| 1.0 / (between.max(1) as f64).sqrt()),
        parameters: vars.named(),
    };
    Ok(Model {
        network: Box::new(network),
        loss: Loss::CrossEntropy,
    })
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
        let mut x = self.first.forward(&inputs.flatten_from(1)?)?;
        for layer in &self.between {
            let next = layer.forward(&x.relu()?)?;
            x = match self.residual {
                None => next,
                Some(share) => (&x + (next * share)?)?,
            };
        }
        self.scores.forward(&x.relu()?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_exact, assert_slopes};
    use super::*;
    use fjld_core::rng::standard_normals;

    #[test]
    fn both_kinds_have_exact_gradients_by_example() -> Result<()> {
        let device = Device::Cpu;
        let drawn = standard_normals(&mut Seed::root(3).generator(), 4 * 6);
        let inputs = Tensor::from_vec(drawn, (4, 6), &device)?.to_dtype(DType::F32)?;
        let batch = (inputs, Tensor::new(&[0u32, 2, 1, 1], &device)?);
        for kind in [Kind::Plain, Kind::Residual] {
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
    fn a_residual_network_passes_on_as_much_at_any_depth() -> Result<()> {
        let device = Device::Cpu;
        let drawn = standard_normals(&mut Seed::root(5).generator(), 50 * 64);
        let inputs = Tensor::from_vec(drawn, (50, 64), &device)?.to_dtype(DType::F32)?;
        let size = |depth| -> Result<f32> {
            let shape = Shape {
                kind: Kind::Residual,
                depth,
                width: 64,
            };
            let model = build(shape, 64, 10, Seed::root(6))?;
            let scores = model.network.scores(&inputs)?;
            Ok(scores.sqr()?.mean_all()?.to_scalar::<f32>()?)
        };
        let growth = size(128)? / size(4)?;
        // each of m layers adds a share 1/m, so that all multiply by between 2 and e, give or take what one draw of weights does
        assert!((0.3..3.0).contains(&growth), "{growth}");
        Ok(())
    }
}
