//! The ratio over two layers, against the Euclidean one and under changes that must or must not move it.

use super::*;
use crate::fisher::{Curvature, Dense, Kronecker};
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
    let mut layers = Vec::new();
    let mut rows: Vec<Tensor> = Vec::new();
    for pair in pairs()? {
        let side = pair.inputs.dims()[2] + usize::from(pair.bias);
        let block = Kronecker::new(identity(pair.gradients.dims()[2])?, identity(side)?);
        let block = Block::Kronecker(block);
        layers.push(KroneckerRatio::new(&pair.layer, &block, &Device::Cpu)?);
        // the weight's gradient and the bias's, each example's sums over positions
        let g = pair.gradients.transpose(1, 2)?.contiguous()?;
        rows.push(g.matmul(&pair.inputs)?.flatten_from(1)?);
        if pair.bias {
            rows.push(pair.gradients.sum(1)?);
        }
    }
    let mut ratios = KfacRatios::new(layers)?;
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
        message(reading(&dead, Damping::None))
            .starts_with("in `two`: the factor G of the output gradients is singular to rounding")
    );
    let mut factors = KfacAccumulator::new(Setting::Expand);
    assert!(factors.ratios(Damping::None, &Device::Cpu).is_err());
    assert!(factors.push(&[]).is_err());
    assert!(KfacRatios::new(Vec::new()).is_err());
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

/// One layer of one weight with these gradients, in the Euclidean metric.
fn scalars(gradients: [f64; 3]) -> Result<KfacReading> {
    let one = Dense::new(Mat::identity(1, 1).as_ref())?;
    let block = Block::Kronecker(Kronecker::new(one.clone(), one));
    let mut ratios = KfacRatios::new(vec![KroneckerRatio::new("w", &block, &Device::Cpu)?])?;
    ratios.push(&[LayerPair {
        layer: "w".into(),
        inputs: Tensor::full(1.0, (3, 1, 1), &Device::Cpu)?,
        gradients: Tensor::from_slice(&gradients, (3, 1, 1), &Device::Cpu)?,
        bias: false,
        counted: None,
    }])?;
    ratios.reading()
}

#[test]
fn a_reading_is_convergent_only_above_one() -> Result<()> {
    // the noise is (1 + 1 + 0) / 2 = 1 each time, and the means 2, 1 and 0
    for (gradients, c, convergent) in [
        ([3.0, 1.0, 2.0], 4.0, true),
        ([2.0, 0.0, 1.0], 1.0, false),
        ([1.0, -1.0, 0.0], 0.0, false),
    ] {
        let reading = scalars(gradients)?;
        assert_eq!(reading.total_noise, 1.0);
        assert_eq!(reading.c_alpha_kfac, Some(c));
        assert_eq!(reading.is_convergent, convergent, "at {c}");
    }
    Ok(())
}

#[test]
fn without_any_gradient_there_is_no_ratio_over_the_layers() -> Result<()> {
    let reading = scalars([0.0; 3])?;
    assert_eq!((reading.total_signal, reading.total_noise), (0.0, 0.0));
    assert_eq!((reading.c_alpha_kfac, reading.debiased), (None, None));
    assert!(!reading.is_convergent);
    Ok(())
}

#[test]
fn the_factors_of_every_layer_can_be_decayed_and_merged_in_place() -> Result<()> {
    let half = |from: usize| -> Result<KfacAccumulator> {
        let part = |t: &Tensor| t.narrow(0, from, EXAMPLES / 2);
        let pairs = pairs()?;
        let pairs: Vec<LayerPair> = pairs
            .iter()
            .map(|pair| mapped(pair, part, part))
            .collect::<Result<_>>()?;
        let mut factors = KfacAccumulator::new(Setting::Expand);
        factors.push(&pairs)?;
        Ok(factors)
    };
    let (mut merged, other) = (half(0)?, half(EXAMPLES / 2)?);
    for (own, other) in merged.layers_mut().iter_mut().zip(other.layers()) {
        own.merge(other)?;
    }
    let mut whole = KfacAccumulator::new(Setting::Expand);
    whole.push(&pairs()?)?;
    for (merged, whole) in merged.layers().iter().zip(whole.layers()) {
        assert_eq!(merged.examples(), whole.examples());
        let gap = merged.kronecker()?.to_dense() - whole.kronecker()?.to_dense();
        assert!(gap.norm_max() < TOLERANCE);
    }
    for factors in merged.layers_mut() {
        factors.decay(0.25)?;
    }
    for factors in merged.layers() {
        assert_eq!(factors.examples(), 0.25 * EXAMPLES as f64);
    }
    Ok(())
}
