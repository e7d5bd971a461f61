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
    /// `mu' F^-1 mu`.
    pub signal: f64,
    /// `Tr(F^-1 D)`, with the divisor `n - 1`.
    pub noise: f64,
    /// `signal / noise`; `None` where the noise vanished.
    pub c_alpha_layer: Option<f64>,
    /// The condition number of the damped block, `kappa(A) kappa(G)` where it is a Kronecker product; `None` where it is infinite to
    /// rounding.
    pub fisher_condition: Option<f64>,
}

/// The consolidation ratio in the metric of the layers' blocks: the document's section "K-FAC Extension".
#[derive(Clone, Debug, PartialEq)]
pub struct KfacReading {
    /// `total_signal / total_noise`, per example; `None` where the noise vanished.
    pub c_alpha_kfac: Option<f64>,
    /// `c_alpha_kfac - 1/n`: with blocks that were not taken from these very examples this removes the excess of the signal,
    /// `E signal_hat = signal + noise / n`, exactly.
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
            check_names(first)?;
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
        Ok(KfacRatios { layers })
    }
}

/// Signal and noise of every layer of a model, from the pairs of its passes.
pub struct KfacRatios {
    layers: Vec<KroneckerRatio>,
}

impl KfacRatios {
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

fn check_names(pairs: &[LayerPair]) -> Result<()> {
    if pairs.is_empty() {
        return Err(Error::Length {
            what: "the list of layers",
            expected: 1,
            got: 0,
        });
    }
    for (i, pair) in pairs.iter().enumerate() {
        if pairs[..i].iter().any(|earlier| earlier.layer == pair.layer) {
            return Err(Error::SameName {
                name: pair.layer.clone(),
            });
        }
    }
    Ok(())
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
mod tests {
    use super::*;
    use crate::fisher::{Dense, Kronecker};
    use crate::kronecker::Block;
    use crate::rng::{Seed, standard_normals};
    use crate::{Moments, Ratio};
    use approx::assert_relative_eq;
    use candle_core::Tensor;
    use faer::Mat;

    const EXAMPLES: usize = 40;
    const POSITIONS: usize = 2;

    fn normals(name: &str, width: usize) -> Result<Tensor> {
        let seed = Seed::root(31).derive(name);
        let count = EXAMPLES * POSITIONS * width;
        let values = standard_normals(&mut seed.generator(), count);
        let shape = (EXAMPLES, POSITIONS, width);
        // a mean, so that there is a signal
        Ok((Tensor::from_vec(values, shape, &Device::Cpu)? + 0.5)?)
    }

    /// Two layers, 3 to 2 with a bias and 2 to 4 without, whose data have no structure.
    fn pairs() -> Result<Vec<LayerPair>> {
        let pair = |layer: &str, inputs: usize, outputs: usize, bias: bool| -> Result<LayerPair> {
            Ok(LayerPair {
                layer: layer.into(),
                inputs: normals(&format!("{layer} a"), inputs)?,
                gradients: normals(&format!("{layer} g"), outputs)?,
                bias,
                counted: None,
            })
        };
        Ok(vec![pair("one", 3, 2, true)?, pair("two", 2, 4, false)?])
    }

    fn reading(pairs: &[LayerPair], damping: Damping) -> Result<KfacReading> {
        let mut factors = KfacAccumulator::new(Setting::Expand);
        factors.push(pairs)?;
        let mut ratios = factors.ratios(damping, &Device::Cpu)?;
        ratios.push(pairs)?;
        ratios.reading()
    }

    fn mapped(
        pair: &LayerPair,
        inputs: impl Fn(&Tensor) -> candle_core::Result<Tensor>,
        gradients: impl Fn(&Tensor) -> candle_core::Result<Tensor>,
    ) -> Result<LayerPair> {
        Ok(LayerPair {
            inputs: inputs(&pair.inputs)?,
            gradients: gradients(&pair.gradients)?,
            ..pair.clone()
        })
    }

    /// Rounding of sums of a hundred terms, times condition numbers of the factors (below 1e3, maps included).
    const TOLERANCE: f64 = 1e-11;

    fn ratio_of(reading: &KfacReading) -> f64 {
        reading.c_alpha_kfac.expect("normal draws are noisy")
    }

    #[test]
    fn in_the_euclidean_metric_it_is_the_ratio_of_the_flat_gradients() -> Result<()> {
        let identity = |d: usize| Dense::new(Mat::identity(d, d).as_ref());
        let mut ratios = KfacRatios { layers: Vec::new() };
        let mut rows: Vec<Tensor> = Vec::new();
        for pair in pairs()? {
            let side = pair.inputs.dims()[2] + usize::from(pair.bias);
            let block = Kronecker::new(identity(pair.gradients.dims()[2])?, identity(side)?);
            let block = Block::Kronecker(block);
            ratios
                .layers
                .push(KroneckerRatio::new(&pair.layer, &block, &Device::Cpu)?);
            // the weight's gradient and the bias's, each example's sums over positions
            let g = pair.gradients.transpose(1, 2)?.contiguous()?;
            rows.push(g.matmul(&pair.inputs)?.flatten_from(1)?);
            if pair.bias {
                rows.push(pair.gradients.sum(1)?);
            }
        }
        ratios.push(&pairs()?)?;
        let reading = ratios.reading()?;
        let rows = Tensor::cat(&rows, 1)?;
        let mut moments = Moments::new(rows.dims()[1])?;
        moments.push_tensor(&rows)?;
        let expected = Ratio::estimate(&moments, 0.95)?;
        assert_relative_eq!(
            reading.total_signal,
            expected.signal,
            max_relative = TOLERANCE
        );
        assert_relative_eq!(
            reading.total_noise,
            expected.noise,
            max_relative = TOLERANCE
        );
        let estimates = expected.estimates.expect("normal draws are noisy");
        let debiased = reading.debiased.expect("normal draws are noisy");
        assert_relative_eq!(
            ratio_of(&reading),
            estimates.plug_in,
            max_relative = TOLERANCE
        );
        assert_relative_eq!(
            debiased,
            estimates.debiased,
            max_relative = 100.0 * TOLERANCE
        );
        assert_eq!(reading.is_convergent, estimates.plug_in > 1.0);
        assert_eq!(reading.samples, EXAMPLES as u64);
        Ok(())
    }

    #[test]
    fn the_totals_are_the_sums_over_layers() -> Result<()> {
        let reading = reading(&pairs()?, Damping::Exact(0.1))?;
        let [one, two] = &reading.layer_metrics[..] else {
            panic!("there are two layers");
        };
        assert_eq!((one.layer.as_str(), two.layer.as_str()), ("one", "two"));
        assert_eq!(reading.total_signal, one.signal + two.signal);
        assert_eq!(reading.total_noise, one.noise + two.noise);
        assert_eq!(one.c_alpha_layer, Some(one.signal / one.noise));
        Ok(())
    }

    #[test]
    fn a_rescaled_loss_leaves_the_ratio_undamped_or_with_damping_that_scales_along() -> Result<()> {
        let scaled = pairs()?
            .iter()
            .map(|pair| mapped(pair, |a| Ok(a.clone()), |g| g * 3.0))
            .collect::<Result<Vec<_>>>()?;
        for damping in [Damping::None, Damping::Jeffreys(0.3)] {
            let (here, there) = (reading(&pairs()?, damping)?, reading(&scaled, damping)?);
            assert_relative_eq!(ratio_of(&here), ratio_of(&there), max_relative = TOLERANCE);
        }
        for damping in [Damping::Exact(0.3), Damping::Factors(0.3)] {
            let (here, there) = (reading(&pairs()?, damping)?, reading(&scaled, damping)?);
            assert!((ratio_of(&here) / ratio_of(&there) - 1.0).abs() > 1e-3);
        }
        Ok(())
    }

    #[test]
    fn linear_maps_of_inputs_and_outputs_leave_the_undamped_ratio() -> Result<()> {
        let maps = |pair: &LayerPair| -> Result<LayerPair> {
            let map = |width: usize| {
                let entry = |k: usize| {
                    if k / width <= k % width {
                        1.0 + (k % 3) as f64
                    } else {
                        0.0
                    }
                };
                let entries: Vec<f64> = (0..width * width).map(entry).collect();
                Tensor::from_vec(entries, (width, width), &Device::Cpu)
            };
            let by = |t: &Tensor| t.broadcast_matmul(&map(t.dims()[2])?);
            mapped(pair, by, by)
        };
        let mapped = pairs()?.iter().map(maps).collect::<Result<Vec<_>>>()?;
        let (here, there) = (
            reading(&pairs()?, Damping::None)?,
            reading(&mapped, Damping::None)?,
        );
        assert_relative_eq!(
            here.total_signal,
            there.total_signal,
            max_relative = TOLERANCE
        );
        assert_relative_eq!(
            here.total_noise,
            there.total_noise,
            max_relative = TOLERANCE
        );
        let damped = |pairs: &[LayerPair]| reading(pairs, Damping::Exact(0.3));
        let moved = ratio_of(&damped(&pairs()?)?) / ratio_of(&damped(&mapped)?) - 1.0;
        assert!(moved.abs() > 1e-3);
        Ok(())
    }

    #[test]
    fn a_ratio_over_a_vanished_noise_is_undefined() -> Result<()> {
        let constant = |t: &Tensor| t.narrow(0, 0, 1)?.repeat((EXAMPLES, 1, 1));
        let constant = pairs()?
            .iter()
            .map(|pair| mapped(pair, constant, constant))
            .collect::<Result<Vec<_>>>()?;
        let reading = reading(&constant, Damping::Exact(0.1))?;
        assert_eq!((reading.c_alpha_kfac, reading.debiased), (None, None));
        assert!(!reading.is_convergent);
        assert_eq!(reading.layer_metrics[0].c_alpha_layer, None);
        Ok(())
    }

    #[test]
    fn one_example_dead_outputs_and_other_layers_are_named() -> Result<()> {
        let message = |result: Result<KfacReading>| match result {
            Ok(_) => "accepted".to_string(),
            Err(e) => e.to_string(),
        };
        let first = |t: &Tensor| t.narrow(0, 0, 1);
        let single = mapped(&pairs()?[0], first, first)?;
        assert_eq!(
            message(reading(&[single], Damping::Exact(0.1))),
            "in `one`: 1 samples were given; a variance needs at least 2"
        );
        let mut dead = pairs()?;
        dead[1] = mapped(&dead[1], |a| Ok(a.clone()), |g| g * 0.0)?;
        assert!(
            message(reading(&dead, Damping::None)).starts_with(
                "in `two`: the factor G of the output gradients is singular to rounding"
            )
        );
        let mut factors = KfacAccumulator::new(Setting::Expand);
        assert!(factors.ratios(Damping::None, &Device::Cpu).is_err());
        assert!(factors.push(&[]).is_err());
        let twice = [pairs()?[0].clone(), pairs()?[0].clone()];
        assert!(matches!(factors.push(&twice), Err(Error::SameName { .. })));
        factors.push(&pairs()?)?;
        let error = factors
            .push(&pairs()?[..1])
            .expect_err("a layer is missing");
        assert_eq!(
            error.to_string(),
            "the layers are [\"one\"]; those of the first push were [\"one\", \"two\"]"
        );
        assert_eq!(factors.layers()[0].examples(), EXAMPLES as f64);
        let columns = [pairs()?, pairs()?];
        factors.push_columns(&columns)?;
        assert_eq!(factors.layers()[1].examples(), 2.0 * EXAMPLES as f64);
        Ok(())
    }
}
