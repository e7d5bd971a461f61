//! A small network, as candle runs it and as dense algebra has it.

use crate::error::{Error, Result};
use candle_core::{Device, Tensor, Var};
use candle_nn::Module;
use faer::linalg::solvers::Solve;
use faer::{Mat, Side};
use fjld_core::Objective;
use fjld_core::capture::Linear;
use fjld_core::rng::{Generator, standard_normals};

/// `f(x) = V tanh(W x + b) + c`, with the squared error summed over the outputs and averaged over the examples.
pub struct Network {
    layers: [Linear; 2],
    parameters: Vec<(String, Var)>,
    weights: [Mat<f64>; 2],
    biases: [Vec<f64>; 2],
}

/// Inputs `[n, in]` and targets `[n, out]`.
#[derive(Clone)]
pub struct Examples {
    /// `[n, in]`.
    pub inputs: Mat<f64>,
    /// `[n, out]`.
    pub targets: Mat<f64>,
}

/// One layer by dense algebra.
pub struct DenseLayer {
    /// `mu' F^-1 mu`.
    pub signal: f64,
    /// `Tr(F^-1 D)`.
    pub noise: f64,
    /// The largest eigenvalue of `F` over the smallest.
    pub condition: f64,
}

/// A matrix of independent normals.
pub fn normals(rows: usize, columns: usize, generator: &mut Generator) -> Mat<f64> {
    let values = standard_normals(generator, rows * columns);
    Mat::from_fn(rows, columns, |i, j| values[i * columns + j])
}

fn tensor(matrix: &Mat<f64>) -> candle_core::Result<Tensor> {
    let (rows, columns) = (matrix.nrows(), matrix.ncols());
    let values = (0..rows).flat_map(|i| (0..columns).map(move |j| matrix[(i, j)]));
    Tensor::from_vec(values.collect(), (rows, columns), &Device::Cpu)
}

impl Examples {
    /// `n` examples of independent normals.
    pub fn random(n: usize, widths: [usize; 3], generator: &mut Generator) -> Self {
        Self {
            inputs: normals(n, widths[0], generator),
            targets: normals(n, widths[2], generator),
        }
    }

    /// As batches of `size` examples.
    ///
    /// # Errors
    /// When candle fails.
    pub fn batches(&self, size: usize) -> candle_core::Result<Vec<(Tensor, Tensor)>> {
        let (inputs, targets) = (tensor(&self.inputs)?, tensor(&self.targets)?);
        let starts = (0..self.inputs.nrows()).step_by(size);
        starts
            .map(|start| {
                let length = size.min(self.inputs.nrows() - start);
                Ok((
                    inputs.narrow(0, start, length)?,
                    targets.narrow(0, start, length)?,
                ))
            })
            .collect()
    }
}

impl Network {
    /// Weights and biases of independent normals, over the root of the number of inputs.
    ///
    /// # Errors
    /// When candle fails.
    pub fn random(widths: [usize; 3], generator: &mut Generator) -> Result<Self> {
        let mut layer = |fan_out: usize, fan_in: usize| {
            let scale = 1.0 / (fan_in as f64).sqrt();
            let weight = scale * normals(fan_out, fan_in, generator);
            (weight, standard_normals(generator, fan_out))
        };
        let first = layer(widths[1], widths[0]);
        let second = layer(widths[2], widths[1]);
        let mut parameters = Vec::new();
        let mut running = |name: &str, (weight, bias): &(Mat<f64>, Vec<f64>)| {
            let weight = Var::from_tensor(&tensor(weight)?)?;
            let bias = Var::from_tensor(&Tensor::new(bias.as_slice(), &Device::Cpu)?)?;
            let (w, b) = (weight.as_tensor().clone(), bias.as_tensor().clone());
            parameters.push((format!("{name}.weight"), weight));
            parameters.push((format!("{name}.bias"), bias));
            Ok::<_, Error>(Linear::new(w, Some(b)))
        };
        let layers = [running("first", &first)?, running("second", &second)?];
        Ok(Self {
            layers,
            parameters,
            weights: [first.0, second.0],
            biases: [first.1, second.1],
        })
    }

    /// Both layers in the metric of `(G + damping 1) (x) (A + damping 1)`, by forward and backward formulas written out, one example at a
    /// time, and by matrices of the size of all weights of a layer.
    ///
    /// # Errors
    /// When a damped block is not definite.
    pub fn dense(&self, examples: &Examples, damping: f64) -> Result<[DenseLayer; 2]> {
        let [w, v] = &self.weights;
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for e in 0..examples.inputs.nrows() {
            let x: Vec<f64> = examples.inputs.row(e).iter().copied().collect();
            let line = |weight: &Mat<f64>, o: usize, seen: &[f64], bias: &[f64]| -> f64 {
                let products = (0..seen.len()).map(|i| weight[(o, i)] * seen[i]);
                products.sum::<f64>() + bias[o]
            };
            let hidden: Vec<f64> = (0..w.nrows())
                .map(|o| line(w, o, &x, &self.biases[0]).tanh())
                .collect();
            // the loss of an example is the sum of (f - y)^2
            let outer: Vec<f64> = (0..v.nrows())
                .map(|o| 2.0 * (line(v, o, &hidden, &self.biases[1]) - examples.targets[(e, o)]))
                .collect();
            let inner = (0..w.nrows()).map(|h| {
                let back: f64 = (0..v.nrows()).map(|o| v[(o, h)] * outer[o]).sum();
                back * (1.0 - hidden[h] * hidden[h])
            });
            let inner = inner.collect();
            first.push(([x, vec![1.0]].concat(), inner));
            second.push(([hidden, vec![1.0]].concat(), outer));
        }
        Ok([dense(&first, damping)?, dense(&second, damping)?])
    }
}

/// A layer's inputs and output gradients, example by example.
type Pairs = [(Vec<f64>, Vec<f64>)];

fn dense(pairs: &Pairs, damping: f64) -> Result<DenseLayer> {
    let n = pairs.len() as f64;
    let (side, out) = (pairs[0].0.len(), pairs[0].1.len());
    let moment = |rows: &dyn Fn(usize) -> Vec<f64>, d: usize| {
        let mut sum = Mat::<f64>::zeros(d, d);
        for row in (0..pairs.len()).map(rows) {
            sum += Mat::from_fn(d, d, |i, j| row[i] * row[j] / n);
        }
        sum
    };
    let a = moment(&|e| pairs[e].0.clone(), side) + damping * Mat::<f64>::identity(side, side);
    let g = moment(&|e| pairs[e].1.clone(), out) + damping * Mat::<f64>::identity(out, out);
    let d = side * out;
    let block = Mat::from_fn(d, d, |i, j| {
        g[(i / side, j / side)] * a[(i % side, j % side)]
    });
    let gradient = |e: usize| -> Vec<f64> {
        let (a, g) = &pairs[e];
        (0..d).map(|k| g[k / side] * a[k % side]).collect()
    };
    let mut mean = Mat::<f64>::zeros(d, 1);
    for e in 0..pairs.len() {
        let gradient = gradient(e);
        mean += Mat::from_fn(d, 1, |k, _| gradient[k] / n);
    }
    let raw = moment(&gradient, d);
    let covariance = (n / (n - 1.0)) * (raw - &mean * mean.transpose());
    let values = block
        .self_adjoint_eigenvalues(Side::Lower)
        .map_err(|_| Error::input("the block has no eigenvalues"))?;
    let factor = block
        .llt(Side::Lower)
        .map_err(|_| Error::input("the block is not definite"))?;
    let (turned, noise) = (factor.solve(&mean), factor.solve(&covariance));
    Ok(DenseLayer {
        signal: (0..d).map(|k| mean[(k, 0)] * turned[(k, 0)]).sum(),
        noise: (0..d).map(|k| noise[(k, k)]).sum(),
        condition: values[d - 1] / values[0],
    })
}

impl Objective for Network {
    type Batch = (Tensor, Tensor);

    fn parameters(&self) -> &[(String, Var)] {
        &self.parameters
    }

    fn examples(&self, (inputs, _): &Self::Batch) -> usize {
        inputs.dims()[0]
    }

    fn loss(&self, (inputs, targets): &Self::Batch) -> candle_core::Result<Tensor> {
        let hidden = self.layers[0].forward(inputs)?.tanh()?;
        let outputs = self.layers[1].forward(&hidden)?;
        (outputs - targets)?.sqr()?.sum(1)?.mean(0)
    }
}
