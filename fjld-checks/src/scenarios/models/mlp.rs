//! A multilayer perceptron with cross-entropy loss.

use super::Network;
use crate::error::Result;
use crate::precision::SCALAR;
use candle_core::{Device, Tensor, Var};
use candle_nn::Module;
use fjld_core::Objective;
use fjld_core::capture::{Linear, linear};
use fjld_core::rng::{Seed, SeededVars};

/// `Linear, relu, ..., Linear`, with softmax cross-entropy averaged over the batch.
pub struct Mlp {
    layers: Vec<Linear>,
    parameters: Vec<(String, Var)>,
}

impl Mlp {
    /// Layers of the given widths, inputs first, initialised from `seed` as `candle_nn::linear` does.
    ///
    /// # Errors
    /// When candle fails.
    pub fn new(widths: &[usize], seed: Seed, device: &Device) -> Result<Self> {
        let vars = SeededVars::new(seed);
        let builder = vars.builder(SCALAR, device);
        let layers = widths
            .windows(2)
            .enumerate()
            .map(|(i, w)| linear(w[0], w[1], builder.pp(format!("layer{i}"))))
            .collect::<candle_core::Result<_>>()?;
        Ok(Self {
            layers,
            parameters: vars.named(),
        })
    }

    /// One step of plain stochastic gradient descent.
    ///
    /// # Errors
    /// When candle fails.
    pub fn sgd_step(&self, batch: &(Tensor, Tensor), learning_rate: f64) -> Result<()> {
        let gradients = self.loss(batch)?.backward()?;
        for (_, var) in &self.parameters {
            if let Some(gradient) = gradients.get(var) {
                var.set(&var.sub(&(gradient * learning_rate)?)?)?;
            }
        }
        Ok(())
    }
}

impl Network for Mlp {
    fn parameters(&self) -> &[(String, Var)] {
        &self.parameters
    }

    /// The class scores of inputs `[n, ...]`, flattened to `[n, width]`.
    fn scores(&self, inputs: &Tensor) -> candle_core::Result<Tensor> {
        let (last, hidden) = self.layers.split_last().expect("there is an output layer");
        let mut x = inputs.flatten_from(1)?;
        for layer in hidden {
            x = layer.forward(&x)?.relu()?;
        }
        last.forward(&x)
    }
}

impl Objective for Mlp {
    type Batch = (Tensor, Tensor);

    fn parameters(&self) -> &[(String, Var)] {
        &self.parameters
    }

    fn examples(&self, (_, labels): &Self::Batch) -> usize {
        labels.elem_count()
    }

    fn loss(&self, (inputs, labels): &Self::Batch) -> candle_core::Result<Tensor> {
        candle_nn::loss::cross_entropy(&self.scores(inputs)?, labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precision::Scalar;
    use fjld_core::capture::flat_gradient;

    #[test]
    fn the_gradient_is_the_slope_of_the_loss_along_every_parameter() -> Result<()> {
        let device = Device::Cpu;
        let model = Mlp::new(&[3, 4, 2], Seed::root(1), &device)?;
        let inputs = Tensor::new(&[[0.3 as Scalar, -0.2, 0.9], [0.1, 0.5, -0.4]], &device)?;
        let batch = (inputs, Tensor::new(&[0u32, 1], &device)?);
        let gradient = flat_gradient(&model, &batch)?.to_vec1::<Scalar>()?;
        let mut at = 0;
        for (name, var) in Objective::parameters(&model) {
            let original = var.as_tensor().copy()?;
            let values = original.flatten_all()?.to_vec1::<Scalar>()?;
            for k in 0..values.len() {
                let h: Scalar = 1e-2;
                let loss_at = |shift: Scalar| -> Result<Scalar> {
                    let mut moved = values.clone();
                    moved[k] += shift;
                    var.set(&Tensor::from_vec(moved, original.shape(), &device)?)?;
                    Ok(model.loss(&batch)?.to_scalar::<Scalar>()?)
                };
                let slope = (loss_at(h)? - loss_at(-h)?) / (2.0 * h);
                // the difference errs by h^2 = 1e-4 and by eps/h = 1e-5
                assert!(
                    (slope - gradient[at]).abs() < 3e-4,
                    "{name}[{k}]: slope {slope}, gradient {}",
                    gradient[at]
                );
                at += 1;
            }
            var.set(&original)?;
        }
        assert_eq!(at, gradient.len());
        Ok(())
    }

    #[test]
    fn a_step_takes_the_rate_times_the_gradient_from_every_parameter() -> Result<()> {
        let device = Device::Cpu;
        let model = Mlp::new(&[1, 2], Seed::root(1), &device)?;
        for (_, var) in &model.parameters {
            var.set(&var.zeros_like()?)?;
        }
        // both classes are as likely, so that the scores of label 0 have the slopes -1/2 and 1/2; the weights' are those times the mean
        // input, 3
        let inputs = Tensor::new(&[[2 as Scalar], [4.0]], &device)?;
        model.sgd_step(&(inputs, Tensor::new(&[0u32, 0], &device)?), 0.1)?;
        for (name, expected) in [
            ("layer0.bias", [0.05 as Scalar, -0.05]),
            ("layer0.weight", [0.15, -0.15]),
        ] {
            let (_, var) = model
                .parameters
                .iter()
                .find(|(n, _)| n == name)
                .expect(name);
            let found = var.flatten_all()?.to_vec1::<Scalar>()?;
            for (found, expected) in found.into_iter().zip(expected) {
                // a few roundings of 32-bit numbers below 1
                assert!((found - expected).abs() < 1e-6, "{name}: {found}");
            }
        }
        Ok(())
    }
}
