//! A training step of a perceptron 784 - 512 - 512 - 10 in three ways.

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::{Module, Optimizer, SGD, loss::cross_entropy};
use fjld_core::capture::{Capture, Linear, Reduction};
use fjld_core::rng::{Seed, SeededVars, standard_normals};

/// What a step does beside the update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Nothing, with the layers of candle-nn.
    Plain,
    /// Signal, noise and `C` per example, exactly.
    Measured,
    /// The variance of every parameter too.
    Diagonal,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Measured, Self::Diagonal];

    /// For reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Measured => "with C",
            Self::Diagonal => "with C and the diagonal",
        }
    }
}

const WIDTHS: [usize; 4] = [784, 512, 512, 10];

/// The network, a batch, and the optimiser.
pub struct Step {
    parameters: Vec<(String, Var)>,
    plain: Vec<candle_nn::Linear>,
    measured: Vec<Linear>,
    x: Tensor,
    y: Tensor,
    sgd: SGD,
}

impl Step {
    /// In `f32`, on the CPU.
    pub fn new(batch: usize) -> Result<Self> {
        let seed = Seed::root(5);
        let vars = SeededVars::new(seed.derive("weights"));
        let builder = vars.builder(DType::F32, &Device::Cpu);
        let plain = WIDTHS
            .windows(2)
            .enumerate()
            .map(|(at, width)| candle_nn::linear(width[0], width[1], builder.pp(at.to_string())))
            .collect::<Result<Vec<_>>>()?;
        let own =
            |layer: &candle_nn::Linear| Linear::new(layer.weight().clone(), layer.bias().cloned());
        let x = standard_normals(&mut seed.derive("data").generator(), batch * WIDTHS[0]);
        let x = Tensor::from_vec(x, (batch, WIDTHS[0]), &Device::Cpu)?.to_dtype(DType::F32)?;
        let y = x.narrow(1, 0, WIDTHS[3])?.argmax(1)?;
        let parameters = vars.named();
        let sgd = SGD::new(
            parameters.iter().map(|(_, var)| var.clone()).collect(),
            1e-3,
        )?;
        Ok(Self {
            measured: plain.iter().map(own).collect(),
            parameters,
            plain,
            x,
            y,
            sgd,
        })
    }

    /// One step; `C`, where it is measured.
    pub fn run(&mut self, way: Way) -> fjld_core::Result<Option<f64>> {
        if way == Way::Plain {
            let loss = loss(&self.plain, &self.x, &self.y)?;
            // a training loop reads its loss, and so does a capture
            loss.to_scalar::<f32>()?;
            self.sgd.backward_step(&loss)?;
            return Ok(None);
        }
        let mut capture = Capture::new(self.x.dim(0)?, Reduction::Mean);
        if way == Way::Diagonal {
            capture = capture.diagonal();
        }
        let captured = capture.run(&self.parameters, || loss(&self.measured, &self.x, &self.y))?;
        self.sgd.step(&captured.gradients)?;
        Ok(captured.statistics.whole()?.debiased())
    }
}

fn loss<L: Module>(layers: &[L], x: &Tensor, y: &Tensor) -> Result<Tensor> {
    let mut z = layers[0].forward(x)?;
    for layer in &layers[1..] {
        z = layer.forward(&z.relu()?)?;
    }
    cross_entropy(&z, y)
}
