//! The generic route: one backward pass a draw, through candle's autograd. Slow, and right for whatever candle differentiates.

use crate::error::{Error, Result};
use crate::geometry::log_jeffreys_diagonal;
use crate::moments::Moments;
use crate::ratio::{Interval, Ratio, Undefined};
use candle_core::{Tensor, Var, backprop::GradStore};

/// A model with its loss, as the measurements see it.
pub trait Objective {
    /// What a gradient draw is taken over: one example, or a minibatch of them.
    type Batch;

    /// Every trainable variable with its name, in a fixed order.
    fn parameters(&self) -> &[(String, Var)];

    /// The number of examples in a batch.
    fn examples(&self, batch: &Self::Batch) -> usize;

    /// The loss of one batch, a scalar: the *mean* over its examples, so that draws of any batch size share their expectation.
    ///
    /// # Errors
    /// Whatever candle reports.
    fn loss(&self, batch: &Self::Batch) -> candle_core::Result<Tensor>;
}

/// What [`compute_c_alpha`] returns: the document's fields, and the debiased estimate with its interval.
#[derive(Clone, Debug)]
pub struct ConsolidationReading {
    /// `|mu_hat|^2 / Tr D_hat`, the plug-in ratio of the document's listing; `None` where the noise vanished.
    pub c_alpha: Option<f64>,
    /// Whether `c_alpha > 1`.
    pub is_convergent: bool,
    /// The *logarithm* of the diagonal Jeffreys density (the density itself over- or underflows); `None` where a variance is zero.
    pub jeffreys_density: Option<f64>,
    /// `|mu_hat|`.
    pub mean_gradient_norm: f64,
    /// `Tr D_hat`.
    pub total_variance: f64,
    /// `c_alpha - 1/n`.
    pub debiased: Option<f64>,
    /// An interval for `C` at the level 0.95, or why there is none.
    pub interval: std::result::Result<Interval, Undefined>,
    /// The number of draws, `n`.
    pub samples: u64,
}

/// The document's `compute_c_alpha` as it was meant: `n_samples` gradients, one for each batch that `data` yields, at fixed parameters.
///
/// The unit is the batch: with `B` examples in each, the result is `C` at batch size `B`. Unlike the printed listing it runs a backward
/// pass for every batch, adds no `1e-10` to the variances and refuses to go on with fewer batches than were asked for.
///
/// # Errors
/// When `data` ends early or fails, `n_samples` is below 2, a gradient is not finite, or a parameter receives no gradient.
pub fn compute_c_alpha<O: Objective>(
    model: &O,
    data: impl IntoIterator<Item = candle_core::Result<O::Batch>>,
    n_samples: usize,
) -> Result<ConsolidationReading> {
    let moments = moments_of(model, data.into_iter().take(n_samples))?;
    if moments.count() < n_samples as u64 {
        return Err(Error::TooFewSamples {
            what: "the number of gradient samples that was asked for",
            needed: n_samples as u64,
            got: moments.count(),
        });
    }
    let ratio = Ratio::estimate(&moments, 0.95)?;
    let (c_alpha, debiased, interval) = match ratio.estimates {
        Ok(e) => (Some(e.plug_in), Some(e.debiased), e.interval),
        Err(reason) => (None, None, Err(reason)),
    };
    Ok(ConsolidationReading {
        c_alpha,
        is_convergent: c_alpha.is_some_and(|c| c > 1.0),
        jeffreys_density: log_jeffreys_diagonal(&moments.variances()?).ok(),
        mean_gradient_norm: ratio.signal.sqrt(),
        total_variance: ratio.noise,
        debiased,
        interval,
        samples: moments.count(),
    })
}

/// The moments of one gradient for each batch that `data` yields. With batches of one example these are the exact per-example ones.
///
/// # Errors
/// When `data` fails, a gradient is not finite, or a parameter receives no gradient.
pub fn moments_of<O: Objective>(
    model: &O,
    data: impl IntoIterator<Item = candle_core::Result<O::Batch>>,
) -> Result<Moments> {
    let dimension = model
        .parameters()
        .iter()
        .map(|(_, var)| var.elem_count())
        .sum();
    let mut moments = Moments::new(dimension)?;
    for batch in data {
        moments.push_tensor(&flat_gradient(model, &batch?)?)?;
    }
    Ok(moments)
}

/// The gradient of one batch's loss as a single vector `[d]`: every parameter flattened, in the order of [`Objective::parameters`].
///
/// # Errors
/// When candle fails, or a parameter receives no gradient.
pub fn flat_gradient<O: Objective>(model: &O, batch: &O::Batch) -> Result<Tensor> {
    flattened(&model.loss(batch)?.backward()?, model.parameters())
}

/// The gradients of `parameters`, flattened one after the other, `[d]`.
pub(super) fn flattened(gradients: &GradStore, parameters: &[(String, Var)]) -> Result<Tensor> {
    let mut parts = Vec::with_capacity(parameters.len());
    for (name, var) in parameters {
        let Some(gradient) = gradients.get(var) else {
            return Err(Error::NoGradient {
                name: name.clone(),
                shape: var.dims().to_vec(),
            });
        };
        parts.push(gradient.flatten_all()?);
    }
    Ok(Tensor::cat(&parts, 0)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Seed, SeededVars};
    use approx::assert_relative_eq;
    use candle_core::{DType, Device};
    use candle_nn::{Linear, Module};

    /// Linear regression with squared loss, whose gradient pencil gives: `2 (w x + b - y) (x, 1)`.
    struct Regression {
        layer: Linear,
        parameters: Vec<(String, Var)>,
    }

    impl Regression {
        fn new() -> candle_core::Result<Self> {
            let vars = SeededVars::new(Seed::root(1));
            let layer = candle_nn::linear(1, 1, vars.builder(DType::F64, &Device::Cpu))?;
            let parameters = vars.named();
            for (_, var) in &parameters {
                var.set(&var.ones_like()?)?;
            }
            Ok(Self { layer, parameters })
        }
    }

    impl Objective for Regression {
        type Batch = (Tensor, Tensor);

        fn parameters(&self) -> &[(String, Var)] {
            &self.parameters
        }

        fn examples(&self, (x, _): &Self::Batch) -> usize {
            x.dims()[0]
        }

        fn loss(&self, (x, y): &Self::Batch) -> candle_core::Result<Tensor> {
            self.layer.forward(x)?.sub(y)?.sqr()?.mean_all()
        }
    }

    fn example(x: f64, y: f64) -> candle_core::Result<(Tensor, Tensor)> {
        let column = |v: f64| Tensor::new(&[[v]], &Device::Cpu);
        Ok((column(x)?, column(y)?))
    }

    #[test]
    fn per_example_gradients_give_the_ratio_that_pencil_gives() -> Result<()> {
        // residuals 1, 2, 3 with x = 1, 0, -1: gradients (bias, weight) = (2, 2), (4, 0), (6, -6)
        let model = Regression::new()?;
        let data = [(1.0, 1.0), (0.0, -1.0), (-1.0, -3.0)];
        let reading = compute_c_alpha(&model, data.map(|(x, y)| example(x, y)), 3)?;
        // mean (4, -4/3); variances 4 and 52/3
        let (signal, noise) = (16.0 + 16.0 / 9.0, 4.0 + 52.0 / 3.0);
        assert_relative_eq!(reading.total_variance, noise, max_relative = 1e-14);
        assert_relative_eq!(
            reading.c_alpha.expect("the noise is not zero"),
            signal / noise,
            max_relative = 1e-14
        );
        assert_relative_eq!(
            reading.jeffreys_density.expect("no variance is zero"),
            -0.5 * (4.0f64 * 52.0 / 3.0).ln(),
            max_relative = 1e-14
        );
        assert!(!reading.is_convergent);
        Ok(())
    }

    #[test]
    fn data_that_ends_early_is_an_error_and_not_a_smaller_sample() -> Result<()> {
        let model = Regression::new()?;
        let error = compute_c_alpha(&model, [example(1.0, 2.0), example(2.0, 1.0)], 100)
            .expect_err("two batches are not a hundred");
        assert_eq!(
            error.to_string(),
            "2 samples were given; the number of gradient samples that was asked for needs at least 100"
        );
        Ok(())
    }

    #[test]
    fn a_parameter_that_the_loss_does_not_reach_is_named() -> Result<()> {
        let mut model = Regression::new()?;
        let stray = Var::zeros((2, 3), DType::F64, &Device::Cpu)?;
        model.parameters.push(("stray".into(), stray));
        let error = flat_gradient(&model, &example(1.0, 2.0)?).expect_err("nothing uses it");
        assert!(
            error
                .to_string()
                .starts_with("no gradient reached parameter `stray` of shape [2, 3]"),
            "{error}"
        );
        Ok(())
    }

    #[test]
    fn only_a_ratio_above_one_is_convergent() -> Result<()> {
        let model = Regression::new()?;
        // residuals 1/2 at x: gradients (x, 1). At 2 and 0 the mean (1, 1) has the square 2, and the variance of 2 and 0 is 2; at 2 and 1
        // they are 13/4 and 1/2
        for (second, ratio, convergent) in [(0.0, 1.0, false), (1.0, 6.5, true)] {
            let data = [2.0, second].map(|x| example(x, x + 0.5));
            let reading = compute_c_alpha(&model, data, 2)?;
            assert_eq!(reading.c_alpha, Some(ratio));
            assert_eq!(reading.is_convergent, convergent, "at {ratio}");
        }
        Ok(())
    }
}
