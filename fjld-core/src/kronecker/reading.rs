//! The ratio over all layers: factors in one pass over the data, signal and noise in another.

use super::{Damping, Factors, KroneckerRatio, Setting};
use crate::capture::LayerPair;
use crate::error::{Error, Result};
use candle_core::Device;

/// One layer's part of a [`KfacReading`].
#[derive(Clone, Debug, PartialEq)]
pub struct LayerMetric {
    /// The layer.
    pub layer: String,
    /// `$\mu' F^{-1} \mu$`.
    pub signal: f64,
    /// `$\Tr(F^{-1} D)$`, with the divisor `n - 1`.
    pub noise: f64,
    /// `signal / noise`; `None` where the noise vanished.
    pub c_alpha_layer: Option<f64>,
    /// The condition number of the damped block, `$\kappa(A) \, \kappa(G)$` where it is a Kronecker product; `None` where it is infinite to
    /// rounding.
    pub fisher_condition: Option<f64>,
}

/// The consolidation ratio in the metric of the layers' blocks `F_l`: the document's section "K-FAC Extension".
///
/// ```math
/// C = \frac{\sum_l \mu_l' F_l^{-1} \mu_l}{\sum_l \Tr(F_l^{-1} D_l)}
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct KfacReading {
    /// `total_signal / total_noise`, per example; `None` where the noise vanished.
    pub c_alpha_kfac: Option<f64>,
    /// `c_alpha_kfac - 1/n`: with blocks that were not taken from these very examples this removes the excess of the signal, whose
    /// expectation is `$\text{signal} + \text{noise} / n$`, exactly.
    pub debiased: Option<f64>,
    /// Whether `c_alpha_kfac > 1`.
    pub is_convergent: bool,
    /// The sum of the layers' signals.
    pub total_signal: f64,
    /// The sum of the layers' noises.
    pub total_noise: f64,
    /// The layers, in the order of the pushes.
    pub layer_metrics: Vec<LayerMetric>,
    /// The number of examples, `n`.
    pub samples: u64,
}

/// The factors of every layer of a model, from the pairs of its passes.
#[derive(Clone, Debug)]
pub struct KfacAccumulator {
    setting: Setting,
    layers: Vec<Factors>,
}

impl KfacAccumulator {
    /// No examples yet.
    pub fn new(setting: Setting) -> Self {
        Self {
            setting,
            layers: Vec::new(),
        }
    }

    /// Adds one pass: a pair for every layer, in an order that stays the same.
    ///
    /// # Errors
    /// When the layers differ from those of the first push, two have the same name, or a pair is refused by [`Factors::push`].
    /// Nothing is added then.
    pub fn push(&mut self, pairs: &[LayerPair]) -> Result<()> {
        self.push_columns(std::slice::from_ref(&pairs))
    }

    /// Adds one forward pass with several backward passes, a list of pairs for each: see [`Factors::push_columns`].
    ///
    /// # Errors
    /// As [`KfacAccumulator::push`], and when there is no backward pass.
    pub fn push_columns<P: AsRef<[LayerPair]>>(&mut self, columns: &[P]) -> Result<()> {
        let Some(first) = columns.first() else {
            return Err(Error::Length {
                what: "the list of backward passes",
                expected: 1,
                got: 0,
            });
        };
        let first = first.as_ref();
        let new = if self.layers.is_empty() {
            check_names(first.iter().map(|p| p.layer.as_str()))?;
            let factors = |pair| Factors::for_layer(pair, self.setting);
            first.iter().map(factors).collect::<Result<_>>()?
        } else {
            Vec::new()
        };
        let layers = if new.is_empty() { &self.layers } else { &new };
        for pairs in columns {
            check_layers(layers.iter().map(Factors::layer), pairs.as_ref())?;
        }
        let mut added = Vec::with_capacity(layers.len());
        for (i, factors) in layers.iter().enumerate() {
            let passes: Vec<LayerPair> = columns.iter().map(|c| c.as_ref()[i].clone()).collect();
            added.push(factors.sums(&passes)?);
        }
        // nothing is refused from here on
        self.layers.extend(new);
        for (factors, sums) in self.layers.iter_mut().zip(added) {
            factors.add(sums);
        }
        Ok(())
    }

    /// The factors of every layer, in order.
    pub fn layers(&self) -> &[Factors] {
        &self.layers
    }

    /// The factors of every layer, in order, to be decayed or merged.
    pub fn layers_mut(&mut self) -> &mut [Factors] {
        &mut self.layers
    }

    /// What measures signal and noise in the metric of the damped blocks; the pairs will be on `device`.
    ///
    /// # Errors
    /// When nothing has been pushed, or a layer's damped block is singular: the layer and the factor are named.
    pub fn ratios(&self, damping: Damping, device: &Device) -> Result<KfacRatios> {
        if self.layers.is_empty() {
            return Err(Error::TooFewSamples {
                what: "a Kronecker factor",
                needed: 1,
                got: 0,
            });
        }
        let layers = self
            .layers
            .iter()
            .map(|factors| KroneckerRatio::new(factors.layer(), &factors.block(damping)?, device))
            .collect::<Result<_>>()?;
        KfacRatios::new(layers)
    }
}

/// Signal and noise of every layer of a model, from the pairs of its passes.
pub struct KfacRatios {
    layers: Vec<KroneckerRatio>,
}

impl KfacRatios {
    /// From layers in any metric, EKFAC's and FOOF's among them.
    ///
    /// # Errors
    /// When there is no layer, or two have the same name.
    pub fn new(layers: Vec<KroneckerRatio>) -> Result<Self> {
        check_names(layers.iter().map(KroneckerRatio::layer))?;
        Ok(Self { layers })
    }

    /// Adds one pass, with the layers in the order of the factors'. The gradients are those whose ratio is wanted: at the real labels.
    ///
    /// # Errors
    /// When the layers differ, or a pair is refused by [`KroneckerRatio::push`]; what came before it in the list has been added then.
    pub fn push(&mut self, pairs: &[LayerPair]) -> Result<()> {
        check_layers(self.layers.iter().map(KroneckerRatio::layer), pairs)?;
        for (ratio, pair) in self.layers.iter_mut().zip(pairs) {
            ratio.push(pair)?;
        }
        Ok(())
    }

    /// The ratio over everything pushed.
    ///
    /// # Errors
    /// When there are fewer than two examples.
    pub fn reading(&self) -> Result<KfacReading> {
        let layer_metrics = self
            .layers
            .iter()
            .map(KroneckerRatio::metric)
            .collect::<Result<Vec<_>>>()?;
        let samples = self
            .layers
            .iter()
            .map(KroneckerRatio::examples)
            .max()
            .unwrap_or(0);
        let floor: f64 = self.layers.iter().map(KroneckerRatio::rounding_floor).sum();
        let total_signal: f64 = layer_metrics.iter().map(|m| m.signal).sum();
        let total_noise: f64 = layer_metrics.iter().map(|m| m.noise).sum();
        let c_alpha_kfac = (total_noise > floor).then(|| total_signal / total_noise);
        Ok(KfacReading {
            c_alpha_kfac,
            debiased: c_alpha_kfac.map(|c| c - 1.0 / samples as f64),
            is_convergent: c_alpha_kfac.is_some_and(|c| c > 1.0),
            total_signal,
            total_noise,
            layer_metrics,
            samples,
        })
    }
}

fn check_names<'a>(names: impl Iterator<Item = &'a str>) -> Result<()> {
    let names: Vec<&str> = names.collect();
    if names.is_empty() {
        return Err(Error::Length {
            what: "the list of layers",
            expected: 1,
            got: 0,
        });
    }
    match (1..names.len()).find(|&i| names[..i].contains(&names[i])) {
        Some(i) => Err(Error::SameName {
            name: names[i].to_string(),
        }),
        None => Ok(()),
    }
}

fn check_layers<'a>(expected: impl Iterator<Item = &'a str>, pairs: &[LayerPair]) -> Result<()> {
    let expected: Vec<&str> = expected.collect();
    let got: Vec<&str> = pairs.iter().map(|p| p.layer.as_str()).collect();
    if expected == got {
        return Ok(());
    }
    let owned = |names: Vec<&str>| names.into_iter().map(String::from).collect();
    Err(Error::OtherLayers {
        expected: owned(expected),
        got: owned(got),
    })
}

#[cfg(test)]
mod tests;
