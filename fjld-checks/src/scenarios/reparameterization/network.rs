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

#[cfg(test)]
mod tests {
    use super::*;
    use fjld_core::rng::Seed;

    /// A network 4 -> 3 -> 2 with biases and a map between its layers, and five examples.
    fn network_and_problem() -> (Network, Problem) {
        let generator = &mut Seed::root(11).derive("network").generator();
        let mut draw = |rows: usize, columns: usize| {
            let values = standard_normals(generator, rows * columns);
            Mat::from_fn(rows, columns, |i, j| values[i * columns + j])
        };
        let network = Network {
            first: draw(3, 4),
            first_bias: draw(3, 1).col(0).iter().copied().collect(),
            second: draw(2, 3),
            second_bias: draw(2, 1).col(0).iter().copied().collect(),
            mix: Some(draw(3, 3)),
        };
        let problem = Problem {
            inputs: draw(5, 4),
            targets: draw(5, 2),
        };
        (network, problem)
    }

    /// `V relu(M (W x + b)) + c` of one example, entry by entry.
    fn formula(network: &Network, problem: &Problem, example: usize) -> [f64; 2] {
        let mix = network
            .mix
            .as_ref()
            .expect("it has a map between its layers");
        let mut outputs = [network.second_bias[0], network.second_bias[1]];
        for unit in 0..3 {
            let mut sum = 0.0;
            for k in 0..3 {
                let mut before = network.first_bias[k];
                for j in 0..4 {
                    before += network.first[(k, j)] * problem.inputs[(example, j)];
                }
                sum += mix[(unit, k)] * before;
            }
            for (o, output) in outputs.iter_mut().enumerate() {
                *output += network.second[(o, unit)] * sum.max(0.0);
            }
        }
        outputs
    }

    /// Half the squared error of one example.
    fn loss(network: &Network, problem: &Problem, example: usize) -> f64 {
        let outputs = formula(network, problem, example);
        let errors = (0..2).map(|o| outputs[o] - problem.targets[(example, o)]);
        errors.map(|e| e * e / 2.0).sum()
    }

    #[test]
    fn outputs_are_those_of_the_formula_entry_by_entry() {
        let (network, problem) = network_and_problem();
        let outputs = network.outputs(problem.inputs.as_ref());
        assert_eq!((outputs.nrows(), outputs.ncols()), (5, 2));
        for example in 0..5 {
            for (o, expected) in formula(&network, &problem, example).into_iter().enumerate() {
                // rounding of a sum of some ten products of order 1
                assert!((outputs[(example, o)] - expected).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn each_row_of_gradients_is_the_slope_of_half_the_squared_error_of_its_example() -> Result<()> {
        let (network, problem) = network_and_problem();
        let rows = network.gradients(&problem)?.rows;
        // W row by row, b, V row by row, c
        assert_eq!((rows.nrows(), rows.ncols()), (5, 12 + 3 + 6 + 2));
        let step = 1e-4;
        for k in 0..rows.ncols() {
            let moved = |by: f64| {
                let mut network = network.clone();
                match k {
                    0..12 => network.first[(k / 4, k % 4)] += by,
                    12..15 => network.first_bias[k - 12] += by,
                    15..21 => network.second[((k - 15) / 3, (k - 15) % 3)] += by,
                    _ => network.second_bias[k - 21] += by,
                }
                network
            };
            let (up, down) = (moved(step), moved(-step));
            for example in 0..5 {
                let rise = loss(&up, &problem, example) - loss(&down, &problem, example);
                let expected = rise / (2.0 * step);
                // the loss is quadratic in one parameter, so that there is only the rounding of losses up to some 100 over the step
                let error = (rows[(example, k)] - expected).abs();
                assert!(error < 1e-9, "{example}, {k}: {error}");
            }
        }
        Ok(())
    }

    #[test]
    fn random_weights_differ_and_have_variances_of_two_and_one_over_the_fan_in() {
        let generator = &mut Seed::root(12).derive("random").generator();
        let network = Network::random([50, 40, 30], generator);
        for (weights, variance) in [(&network.first, 2.0 / 50.0), (&network.second, 1.0 / 40.0)] {
            let columns = 0..weights.ncols();
            let mut entries: Vec<f64> = columns
                .flat_map(|j| weights.col(j).iter().copied())
                .collect();
            let count = entries.len();
            let found = entries.iter().map(|w| w * w).sum::<f64>() / count as f64;
            // five standard errors of the mean square of normals
            let error = 5.0 * (2.0 / count as f64).sqrt();
            assert!((found / variance - 1.0).abs() < error, "{found}");
            entries.sort_by(f64::total_cmp);
            entries.dedup();
            assert_eq!(entries.len(), count);
        }
        assert_eq!(network.first_bias, [0.0; 40]);
        assert_eq!(network.second_bias, [0.0; 30]);
    }

    #[test]
    fn a_problem_is_empty_when_no_example_is_picked() {
        let (_, problem) = network_and_problem();
        assert!(problem.pick(&[]).is_empty());
        let picked = problem.pick(&[3, 0]);
        assert!(!picked.is_empty());
        assert_eq!(picked.len(), 2);
        assert!((0..4).all(|j| picked.inputs[(0, j)] == problem.inputs[(3, j)]));
        assert!((0..2).all(|j| picked.targets[(1, j)] == problem.targets[(0, j)]));
    }
}
