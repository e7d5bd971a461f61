//! The consolidation ratio of one layer in the metric of its Kronecker block.

use super::Block;
use super::LayerMetric;
use super::data::Data;
use super::whiten::Whitening;
use crate::capture::LayerPair;
use crate::error::{Error, Result};
use crate::fisher::tensors::scalar;
use candle_core::{Device, Tensor};

/// Signal and noise of one layer's per-example gradients in the metric of a block `F` held fixed, streaming:
///
/// ```math
/// \text{signal} = \mu' F^{-1} \mu, \qquad \text{noise} = \Tr(F^{-1} D)
/// ```
///
/// For `$F = G \otimes A$` and the mean gradient as a matrix `M`, `[out, in]`, and for gradients `$g a'$` of rank one, these are
///
/// ```math
/// \text{signal} = \Tr(G^{-1} M A^{-1} M'), \qquad
/// \text{noise} = \frac{n}{n - 1} \Bigl( \frac1n \sum_i (g_i' G^{-1} g_i)(a_i' A^{-1} a_i) - \text{signal} \Bigr).
/// ```
///
/// Here the gradients are whitened on their device and their moments taken there, batch by batch (Chan's rule), so that no matrix of the
/// block's size `out in` x `out in` appears.
pub struct KroneckerRatio {
    layer: String,
    condition: Option<f64>,
    whitening: Whitening,
    examples: u64,
    mean: Option<Tensor>,
    scatter: f64,
    squares: f64,
    resolution: f64,
    terms: usize,
}

impl KroneckerRatio {
    /// No examples yet, for the layer of this name and the block that is its metric; `device` is where its pairs will be.
    ///
    /// # Errors
    /// When the block is singular.
    pub fn new(layer: &str, block: &Block, device: &Device) -> Result<Self> {
        let within = |e: Error| e.within(layer);
        Ok(Self {
            layer: layer.to_string(),
            condition: block.condition().map_err(within)?,
            whitening: Whitening::of(block, device).map_err(within)?,
            examples: 0,
            mean: None,
            scatter: 0.0,
            squares: 0.0,
            resolution: f64::EPSILON,
            terms: 0,
        })
    }

    /// Adds the examples of one pass.
    ///
    /// # Errors
    /// When the pair is of another layer or shape, or not usable as [`Factors::push`](super::Factors::push) says. Nothing is added then.
    pub fn push(&mut self, pair: &LayerPair) -> Result<()> {
        if pair.layer != self.layer {
            return Err(Error::OtherLayers {
                expected: vec![self.layer.clone()],
                got: vec![pair.layer.clone()],
            });
        }
        let data = Data::of(pair)?;
        let (inputs, outputs) = self.whitening.sides();
        data.check_sides(inputs, outputs)
            .map_err(|e| e.within(&self.layer))?;
        let (sum, squares) = self.whitening.sums(&data)?;
        let added = data.examples() as f64;
        let mean = (sum / added)?;
        let within = (squares - added * squared_norm(&mean)?).max(0.0);
        let before = self.examples as f64;
        let (mean, between) = match &self.mean {
            None => (mean, 0.0),
            Some(old) => {
                let gap = (mean - old)?;
                let weight = before * added / (before + added);
                let between = weight * squared_norm(&gap)?;
                ((old + (gap * (added / (before + added)))?)?, between)
            }
        };
        self.mean = Some(mean);
        self.scatter += within + between;
        self.squares += squares;
        self.examples += data.examples() as u64;
        self.resolution = self.resolution.max(data.resolution);
        self.terms = self
            .terms
            .max(data.examples() * data.positions() + inputs * outputs);
        Ok(())
    }

    /// The layer's name.
    pub fn layer(&self) -> &str {
        &self.layer
    }

    /// The number of examples, `n`.
    pub fn examples(&self) -> u64 {
        self.examples
    }

    /// The noise below which nothing but rounding is left: that of the numbers that came in (as
    /// [`Moments::rounding_floor`](crate::Moments::rounding_floor), in the block's metric) and that of the sums, whose difference the
    /// noise is.
    pub fn rounding_floor(&self) -> f64 {
        let n = self.examples as f64;
        let data = (2.0 * self.resolution).powi(2);
        let sums = self.terms as f64 * f64::EPSILON;
        (data + sums) * self.squares / (n - 1.0)
    }

    /// Signal, noise and their ratio.
    ///
    /// # Errors
    /// When there are fewer than two examples.
    pub fn metric(&self) -> Result<LayerMetric> {
        let (Some(mean), 2..) = (&self.mean, self.examples) else {
            return Err(Error::TooFewSamples {
                what: "a variance",
                needed: 2,
                got: self.examples,
            }
            .within(&self.layer));
        };
        let signal = squared_norm(mean)?;
        let noise = self.scatter / (self.examples - 1) as f64;
        Ok(LayerMetric {
            layer: self.layer.clone(),
            signal,
            noise,
            c_alpha_layer: (noise > self.rounding_floor()).then(|| signal / noise),
            fisher_condition: self.condition,
        })
    }
}

fn squared_norm(tensor: &Tensor) -> Result<f64> {
    scalar(&tensor.sqr()?.sum_all()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fisher::{Dense, Kronecker};
    use approx::assert_relative_eq;
    use candle_core::DType;
    use faer::Mat;

    const INPUTS: usize = 3;
    const OUTPUTS: usize = 5;

    /// Two positions an example, whose gradient is 2 `value` in each of the 15 entries.
    fn pair(examples: usize, value: f64, dtype: DType) -> Result<LayerPair> {
        let filled = |value: f64, width: usize| {
            Tensor::full(value, (examples, 2, width), &Device::Cpu)?.to_dtype(dtype)
        };
        Ok(LayerPair {
            layer: "fc".into(),
            inputs: filled(1.0, INPUTS)?,
            gradients: filled(value, OUTPUTS)?,
            bias: false,
            counted: None,
        })
    }

    fn euclidean() -> Result<KroneckerRatio> {
        let identity = |d: usize| Dense::new(Mat::identity(d, d).as_ref());
        let block = Kronecker::new(identity(OUTPUTS)?, identity(INPUTS)?);
        KroneckerRatio::new("fc", &Block::Kronecker(block), &Device::Cpu)
    }

    #[test]
    fn the_floor_is_the_rounding_of_the_data_and_of_the_largest_sums() -> Result<()> {
        for (dtype, resolution) in [
            (DType::F64, 0.5f64.powi(52)),
            (DType::F32, 0.5f64.powi(23)),
            (DType::F16, 0.5f64.powi(10)),
            (DType::BF16, 0.5f64.powi(7)),
        ] {
            let mut ratio = euclidean()?;
            // a coarse push is not made finer by the next
            ratio.push(&pair(3, 1.0, dtype)?)?;
            ratio.push(&pair(1, 1.0, DType::F64)?)?;
            // in the larger push 3 examples of 2 positions, then the squares of 3 * 5 entries
            let sums = (6.0 + 15.0) * f64::EPSILON;
            let data = 4.0 * resolution * resolution;
            // four gradients of the squared length 15 * 2^2, over n - 1
            let squares = 4.0 * 60.0 / 3.0;
            assert_relative_eq!(
                ratio.rounding_floor(),
                (data + sums) * squares,
                max_relative = 1e-14 // a few roundings
            );
        }
        Ok(())
    }

    #[test]
    fn without_any_gradient_the_ratio_is_undefined() -> Result<()> {
        let mut ratio = euclidean()?;
        ratio.push(&pair(4, 0.0, DType::F64)?)?;
        let metric = ratio.metric()?;
        // nothing is above a floor of nothing
        assert_eq!(ratio.rounding_floor(), 0.0);
        assert_eq!((metric.signal, metric.noise), (0.0, 0.0));
        assert_eq!(metric.c_alpha_layer, None);
        Ok(())
    }
}
