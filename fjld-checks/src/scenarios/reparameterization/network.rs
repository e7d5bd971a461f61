//! A relu network with one hidden layer, in the parameters that it was trained in or in others for the same function.

use crate::error::Result;
use candle_core::{Device, Tensor, Var};
use candle_nn::Module;
use faer::{Mat, MatRef};
use fjld_core::capture::{Capture, Captured, LayerPair, Linear, Reduction};
use fjld_core::rng::{Generator, standard_normals};

/// Inputs `[n, in]` and targets `[n, out]` in `f64`.
#[derive(Clone, Debug)]
pub struct Problem {
    /// `[n, in]`.
    pub inputs: Mat<f64>,
    /// `[n, out]`.
    pub targets: Mat<f64>,
}

/// Weights as matrices: `f(x) = V relu(M (W x + b)) + c`, of which `W`, `b`, `V` and `c` are parameters and `M` is fixed.
#[derive(Clone, Debug)]
pub struct Network {
    /// `W`, `[hidden, in]`.
    pub first: Mat<f64>,
    /// `b`, `[hidden]`.
    pub first_bias: Vec<f64>,
    /// `V`, `[out, hidden]`.
    pub second: Mat<f64>,
    /// `c`, `[out]`.
    pub second_bias: Vec<f64>,
    /// `M`, `[hidden, hidden]`; nothing for the identity.
    pub mix: Option<Mat<f64>>,
}

/// Per-example gradients, and what the Kronecker factors are made from.
#[derive(Clone, Debug)]
pub struct Gradients {
    /// `[n, d]`: `W` row by row, `b`, `V` row by row, `c`.
    pub rows: Mat<f64>,
    /// Inputs and output gradients of the two layers.
    pub pairs: Vec<LayerPair>,
}

fn tensor(matrix: MatRef<'_, f64>) -> candle_core::Result<Tensor> {
    let (rows, columns) = (matrix.nrows(), matrix.ncols());
    let values = (0..rows).flat_map(|i| (0..columns).map(move |j| matrix[(i, j)]));
    Tensor::from_vec(values.collect(), (rows, columns), &Device::Cpu)
}

fn matrix(tensor: &Tensor) -> candle_core::Result<Mat<f64>> {
    let rows = tensor.to_vec2::<f64>()?;
    let columns = rows.first().map_or(0, Vec::len);
    Ok(Mat::from_fn(rows.len(), columns, |i, j| rows[i][j]))
}

/// The network as candle runs it.
struct Running {
    first: Linear,
    mix: Option<Linear>,
    second: Linear,
    parameters: Vec<(String, Var)>,
}

impl Running {
    fn of(network: &Network) -> candle_core::Result<Self> {
        let weight = |m: &Mat<f64>| Var::from_tensor(&tensor(m.as_ref())?);
        let bias = |b: &Vec<f64>| Var::from_tensor(&Tensor::new(b.as_slice(), &Device::Cpu)?);
        let (w, b) = (weight(&network.first)?, bias(&network.first_bias)?);
        let (v, c) = (weight(&network.second)?, bias(&network.second_bias)?);
        let layer =
            |w: &Var, b: &Var| Linear::new(w.as_tensor().clone(), Some(b.as_tensor().clone()));
        let mix = match &network.mix {
            Some(mix) => Some(Linear::new(tensor(mix.as_ref())?, None)),
            None => None,
        };
        Ok(Self {
            first: layer(&w, &b),
            mix,
            second: layer(&v, &c),
            parameters: [
                ("first.weight", w),
                ("first.bias", b),
                ("second.weight", v),
                ("second.bias", c),
            ]
            .map(|(name, var)| (name.to_owned(), var))
            .into(),
        })
    }

    /// The mean over the examples of half the squared error.
    fn loss(&self, inputs: &Tensor, targets: &Tensor) -> candle_core::Result<Tensor> {
        let mut hidden = self.first.forward(inputs)?;
        if let Some(mix) = &self.mix {
            hidden = mix.forward(&hidden)?;
        }
        let outputs = self.second.forward(&hidden.relu()?)?;
        (outputs - targets)?.sqr()?.sum(1)?.mean(0)? * 0.5
    }

    fn captured(&self, problem: &Problem, capture: &Capture) -> Result<Captured> {
        let inputs = tensor(problem.inputs.as_ref())?;
        let targets = tensor(problem.targets.as_ref())?;
        Ok(capture.run(&self.parameters, || self.loss(&inputs, &targets))?)
    }
}

impl Problem {
    /// The number of examples.
    pub fn len(&self) -> usize {
        self.inputs.nrows()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// These examples alone.
    #[must_use]
    pub fn pick(&self, examples: &[usize]) -> Self {
        let rows =
            |m: &Mat<f64>| Mat::from_fn(examples.len(), m.ncols(), |i, j| m[(examples[i], j)]);
        Self {
            inputs: rows(&self.inputs),
            targets: rows(&self.targets),
        }
    }
}

impl Network {
    /// Random weights, normal with variance `2 / fan-in` in the first layer and `1 / fan-in` in the second; no biases yet.
    pub fn random(widths: [usize; 3], generator: &mut Generator) -> Self {
        let mut weights = |fan_out: usize, fan_in: usize, gain: f64| {
            let values = standard_normals(generator, fan_out * fan_in);
            let scale = (gain / fan_in as f64).sqrt();
            Mat::from_fn(fan_out, fan_in, |i, j| scale * values[i * fan_in + j])
        };
        let [fan_in, hidden, out] = widths;
        Self {
            first: weights(hidden, fan_in, 2.0),
            second: weights(out, hidden, 1.0),
            first_bias: vec![0.0; hidden],
            second_bias: vec![0.0; out],
            mix: None,
        }
    }

    /// After `steps` of full-batch gradient descent.
    ///
    /// # Errors
    /// When candle fails or the loss is not finite.
    pub fn trained(&self, problem: &Problem, steps: usize, rate: f64) -> Result<Self> {
        let running = Running::of(self)?;
        let capture = Capture::new(problem.len(), Reduction::Mean);
        for _ in 0..steps {
            let gradients = running.captured(problem, &capture)?.gradients;
            for (_, var) in &running.parameters {
                if let Some(gradient) = gradients.get(var) {
                    var.set(&(var.as_tensor() - (gradient * rate)?)?)?;
                }
            }
        }
        let [w, b, v, c] = [0, 1, 2, 3].map(|k| running.parameters[k].1.as_tensor());
        Ok(Self {
            first: matrix(w)?,
            first_bias: b.to_vec1()?,
            second: matrix(v)?,
            second_bias: c.to_vec1()?,
            mix: self.mix.clone(),
        })
    }

    /// The gradient of every example, exactly.
    ///
    /// # Errors
    /// When candle fails or the loss is not finite.
    pub fn gradients(&self, problem: &Problem) -> Result<Gradients> {
        let capture = Capture::new(problem.len(), Reduction::Mean).rows().pairs();
        let captured = Running::of(self)?.captured(problem, &capture)?;
        let rows = captured.statistics.rows()?.expect("the capture kept them");
        Ok(Gradients {
            rows: matrix(&rows)?,
            pairs: captured.pairs,
        })
    }

    /// Every parameter in the order of the gradients' coordinates.
    pub fn parameters(&self) -> Vec<f64> {
        let flat = |m: &Mat<f64>| {
            let (rows, columns) = (m.nrows(), m.ncols());
            let entries = (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j)));
            entries.map(|at| m[at]).collect::<Vec<f64>>()
        };
        [
            flat(&self.first),
            self.first_bias.clone(),
            flat(&self.second),
            self.second_bias.clone(),
        ]
        .concat()
    }

    /// The outputs, `[n, out]`.
    pub fn outputs(&self, inputs: MatRef<'_, f64>) -> Mat<f64> {
        let mut hidden = inputs * self.first.transpose();
        for j in 0..hidden.ncols() {
            for i in 0..hidden.nrows() {
                hidden[(i, j)] += self.first_bias[j];
            }
        }
        if let Some(mix) = &self.mix {
            hidden = hidden * mix.transpose();
        }
        let mut outputs =
            faer::zip!(&hidden).map(|faer::unzip!(h)| h.max(0.0)) * self.second.transpose();
        for j in 0..outputs.ncols() {
            for i in 0..outputs.nrows() {
                outputs[(i, j)] += self.second_bias[j];
            }
        }
        outputs
    }
}
