//! Optimisers, with their state as tensors.

use crate::error::{Error, Result};
use candle_core::backprop::GradStore;
use candle_core::{DType, Tensor, Var};
use serde::{Deserialize, Serialize};

/// The rule of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// `w - eta g`.
    Sgd,
    /// `v <- 0.9 v + g`, then `w - eta v` (Polyak's heavy ball, without dampening).
    Momentum,
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019), `beta = (0.9, 0.999)`, `eps = 1e-8`.
    AdamW,
}

const MOMENTUM: f64 = 0.9;
const BETAS: [f64; 2] = [0.9, 0.999];
const EPS: f64 = 1e-8;

/// An optimiser in the middle of its steps.
pub struct Optimiser {
    rule: Rule,
    learning_rate: f64,
    weight_decay: f64,
    steps: i32,
    /// What each parameter remembers; empty before the first step.
    memory: Vec<Vec<Tensor>>,
}

impl Optimiser {
    /// An optimiser that has not yet taken a step. `weight_decay` is decoupled from the gradient: it shrinks a parameter by the factor
    /// `1 - eta weight_decay` a step.
    pub fn new(rule: Rule, learning_rate: f64, weight_decay: f64) -> Self {
        Self {
            rule,
            learning_rate,
            weight_decay,
            steps: 0,
            memory: Vec::new(),
        }
    }

    /// Goes on with another learning rate.
    pub fn set_learning_rate(&mut self, learning_rate: f64) {
        self.learning_rate = learning_rate;
    }

    /// The factors that AdamW multiplies a gradient by, `1/(sqrt(v) + eps)` with the corrected `v`, all parameters one after the other;
    /// `None` for another rule, and before the first step.
    ///
    /// # Errors
    /// When candle fails.
    pub fn factors(&self) -> Result<Option<Vec<f64>>> {
        if self.rule != Rule::AdamW || self.memory.is_empty() {
            return Ok(None);
        }
        let correction = 1.0 - BETAS[1].powi(self.steps);
        let mut factors = Vec::new();
        for memory in &self.memory {
            let v = memory[1]
                .to_dtype(DType::F64)?
                .flatten_all()?
                .to_vec1::<f64>()?;
            factors.extend(v.iter().map(|v| 1.0 / ((v / correction).sqrt() + EPS)));
        }
        Ok(Some(factors))
    }

    /// One step along `gradients`.
    ///
    /// # Errors
    /// When a parameter has no gradient, or candle fails.
    pub fn step(&mut self, parameters: &[(String, Var)], gradients: &GradStore) -> Result<()> {
        if self.memory.is_empty() {
            let kept = match self.rule {
                Rule::Sgd => 0,
                Rule::Momentum => 1,
                Rule::AdamW => 2,
            };
            let zeros = |var: &Var| (0..kept).map(|_| var.zeros_like()).collect();
            let memory: candle_core::Result<_> = parameters.iter().map(|(_, v)| zeros(v)).collect();
            self.memory = memory?;
        }
        self.steps += 1;
        for ((name, var), memory) in parameters.iter().zip(&mut self.memory) {
            let Some(gradient) = gradients.get(var) else {
                return Err(Error::input(format!(
                    "no gradient reached parameter `{name}`: it can not be trained"
                )));
            };
            // a gradient carries the graph it came from, which the memory would keep alive
            let direction = direction(self.rule, self.steps, memory, &gradient.detach())?;
            let mut start = var.as_tensor().detach();
            if self.weight_decay > 0.0 {
                start = (start * (1.0 - self.learning_rate * self.weight_decay))?;
            }
            var.set(&start.sub(&(direction * self.learning_rate)?)?)?;
        }
        Ok(())
    }
}

/// What the learning rate multiplies.
fn direction(
    rule: Rule,
    steps: i32,
    memory: &mut [Tensor],
    gradient: &Tensor,
) -> candle_core::Result<Tensor> {
    match rule {
        Rule::Sgd => Ok(gradient.clone()),
        Rule::Momentum => {
            memory[0] = ((&memory[0] * MOMENTUM)? + gradient)?;
            Ok(memory[0].clone())
        }
        Rule::AdamW => {
            for (kept, beta, new) in [
                (0, BETAS[0], gradient.clone()),
                (1, BETAS[1], gradient.sqr()?),
            ] {
                memory[kept] = ((&memory[kept] * beta)? + (new * (1.0 - beta))?)?;
            }
            let corrected = |kept: usize| &memory[kept] * (1.0 / (1.0 - BETAS[kept].powi(steps)));
            corrected(0)? / (corrected(1)?.sqrt()? + EPS)?
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use candle_nn::Optimizer;
    use candle_nn::optim::{AdamW, ParamsAdamW, SGD};

    /// A quartic with a linear term, whose gradient changes along the way.
    fn loss(w: &Var) -> candle_core::Result<Tensor> {
        let slope = Tensor::new(&[1.0, -0.5, 0.25], &Device::Cpu)?;
        (w.sqr()?.sqr()? + (w.as_tensor() * slope)?)?.sum_all()
    }

    fn start() -> Var {
        Var::new(&[1.0, -0.7, 0.3], &Device::Cpu).expect("three numbers")
    }

    fn ours(rule: Rule, weight_decay: f64, steps: usize) -> Vec<f64> {
        let w = start();
        let named = [("w".to_owned(), w.clone())];
        let mut optimiser = Optimiser::new(rule, 0.05, weight_decay);
        for _ in 0..steps {
            let gradients = loss(&w).and_then(|l| l.backward()).expect("it is smooth");
            optimiser.step(&named, &gradients).expect("it has one");
        }
        w.to_vec1().expect("three numbers")
    }

    fn candles(mut step: impl FnMut(&GradStore), w: &Var) -> Vec<f64> {
        for _ in 0..20 {
            step(&loss(w).and_then(|l| l.backward()).expect("it is smooth"));
        }
        w.to_vec1().expect("three numbers")
    }

    /// Twenty steps in `f64`, each of some ten roundings, of numbers near 1.
    fn assert_same(a: &[f64], b: &[f64]) {
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() < 200.0 * f64::EPSILON, "{a} against {b}");
        }
    }

    #[test]
    fn plain_steps_are_those_of_candle() {
        let w = start();
        let mut sgd = SGD::new(vec![w.clone()], 0.05).expect("it has parameters");
        let theirs = candles(|g| sgd.step(g).expect("it steps"), &w);
        assert_same(&ours(Rule::Sgd, 0.0, 20), &theirs);
    }

    #[test]
    fn adamw_with_decay_is_that_of_candle() {
        let w = start();
        let parameters = ParamsAdamW {
            lr: 0.05,
            weight_decay: 0.1,
            ..Default::default()
        };
        let mut adamw = AdamW::new(vec![w.clone()], parameters).expect("it has parameters");
        let theirs = candles(|g| adamw.step(g).expect("it steps"), &w);
        assert_same(&ours(Rule::AdamW, 0.1, 20), &theirs);
    }

    #[test]
    fn two_steps_of_momentum_are_those_of_pencil() {
        let slope = |w: f64, linear: f64| 4.0 * w.powi(3) + linear;
        let expected: Vec<f64> = [(1.0, 1.0), (-0.7, -0.5), (0.3, 0.25)]
            .into_iter()
            .map(|(w, linear)| {
                let first = slope(w, linear);
                let w = w - 0.05 * first;
                w - 0.05 * (0.9 * first + slope(w, linear))
            })
            .collect();
        assert_same(&ours(Rule::Momentum, 0.0, 2), &expected);
    }

    #[test]
    fn decay_shrinks_by_its_own_factor() {
        let (with, without) = (ours(Rule::Momentum, 0.2, 1), ours(Rule::Momentum, 0.0, 1));
        let gap: Vec<f64> = without.iter().zip(&with).map(|(a, b)| a - b).collect();
        assert_same(&gap, &[0.01, -0.007, 0.003]);
    }

    #[test]
    fn after_one_step_the_factors_are_those_of_its_gradient() {
        let w = start();
        let gradients = loss(&w).and_then(|l| l.backward()).expect("it is smooth");
        let own: Vec<f64> = gradients
            .get(&w)
            .and_then(|g| g.to_vec1().ok())
            .expect("it has one");
        let named = [("w".to_owned(), w)];
        for rule in [Rule::Sgd, Rule::Momentum, Rule::AdamW] {
            let mut optimiser = Optimiser::new(rule, 0.05, 0.0);
            assert_eq!(optimiser.factors().expect("no step"), None);
            optimiser.step(&named, &gradients).expect("it has one");
            let factors = optimiser.factors().expect("three numbers");
            assert_eq!(factors.is_some(), rule == Rule::AdamW);
            let expected: Vec<f64> = own.iter().map(|g| 1.0 / (g.abs() + EPS)).collect();
            assert_same(&factors.unwrap_or(expected.clone()), &expected);
        }
    }

    #[test]
    fn a_parameter_without_a_gradient_is_named() {
        let (w, apart) = (start(), start());
        let gradients = loss(&w).and_then(|l| l.backward()).expect("it is smooth");
        let error = Optimiser::new(Rule::Sgd, 0.1, 0.0)
            .step(&[("apart".to_owned(), apart)], &gradients)
            .expect_err("the loss does not hold it");
        assert!(error.to_string().contains("`apart`"), "{error}");
    }

    #[test]
    fn another_learning_rate_counts_from_the_next_step_on() {
        let w = start();
        let named = [("w".to_owned(), w.clone())];
        let mut optimiser = Optimiser::new(Rule::Sgd, 0.05, 0.0);
        let mut expected = [1.0f64, -0.7, 0.3];
        for rate in [0.05, 0.01, 0.03] {
            optimiser.set_learning_rate(rate);
            let gradients = loss(&w).and_then(|l| l.backward()).expect("it is smooth");
            optimiser.step(&named, &gradients).expect("it has one");
            // the slope of the quartic with its linear term
            for (w, linear) in expected.iter_mut().zip([1.0, -0.5, 0.25]) {
                *w -= rate * (4.0 * w.powi(3) + linear);
            }
        }
        assert_same(&w.to_vec1::<f64>().expect("three numbers"), &expected);
    }
}
