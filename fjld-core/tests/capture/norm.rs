//! Normalising layers.

use super::*;
use candle_nn::{BatchNormConfig, LayerNormConfig, Module, ModuleT};
use fjld_core::capture::{
    BatchNorm, GroupNorm, LayerNorm, RmsNorm, Unit, batch_norm, group_norm, layer_norm,
    layer_norm_no_bias, linear, rms_norm,
};
use proptest::prelude::*;

/// Variables of a model, moved away from ones and zeros.
fn moved(vars: &SeededVars, generator: &mut Generator) -> Result<Parameters> {
    let mut parameters = vars.named();
    parameters.retain(|(name, _)| !name.contains("running"));
    for (_, var) in &parameters {
        let step = (normal(generator, var.dims())?.to_dtype(var.dtype())? * 0.3)?;
        var.set(&(var.as_tensor() + step)?)?;
    }
    Ok(parameters)
}

/// A linear layer over the last axis, so that a gradient goes through the normalisation as well, and then the normalisation.
fn network(
    dims: Vec<usize>,
    make: impl Fn(candle_nn::VarBuilder<'static>) -> candle_core::Result<Box<dyn Module>>,
) -> Result<Subject<'static>> {
    let (vars, mut generator) = seeded("normalised");
    let builder = vars.builder(DType::F64, &Device::Cpu);
    let width = dims[dims.len() - 1];
    let first = linear(width, width, builder.pp("first"))?;
    let norm = make(builder.pp("norm"))?;
    let inputs = normal(&mut generator, &dims)?;
    let weights = normal(&mut generator, &[dims[1..].iter().product()])?;
    Ok(Subject {
        parameters: moved(&vars, &mut generator)?,
        examples: dims[0],
        loss: Box::new(move |rows| {
            let hidden = first.forward(&pick(&inputs, rows)?)?;
            smooth_loss(&norm.forward(&hidden)?, &weights)
        }),
    })
}

/// A batch normalisation with fixed statistics.
struct Evaluated(BatchNorm);

impl Module for Evaluated {
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        self.0.forward_t(x, false)
    }
}

const EPS: f64 = 1e-3;

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn layer_norms_of_any_shape_agree_with_autograd(
        examples in 2usize..6,
        positions in prop::collection::vec(1usize..5, 0..3),
        // a single number has no deviation from its mean
        size in 2usize..7,
        kind in 0..4,
    ) {
        let mut dims = vec![examples];
        dims.extend(positions);
        dims.push(size);
        network(dims, |vb| Ok(match kind {
            0 => Box::new(layer_norm(size, EPS, vb)?),
            1 => Box::new(layer_norm_no_bias(size, EPS, vb)?),
            2 => Box::new(layer_norm(size, LayerNormConfig { eps: EPS, remove_mean: false, affine: true }, vb)?),
            _ => Box::new(rms_norm(size, EPS, vb)?),
        }))
        .and_then(|subject| subject.assert_routes_agree())
        .unwrap_or_else(|error| panic!("{error}"));
    }

    #[test]
    fn group_norms_of_any_shape_agree_with_autograd(
        examples in 2usize..6,
        groups in 1usize..4,
        channels in 1usize..4,
        pixels in prop::collection::vec(2usize..5, 1..3),
    ) {
        let mut dims = vec![examples, groups * channels];
        dims.extend(pixels);
        network(dims, |vb| Ok(Box::new(group_norm(groups, groups * channels, EPS, vb)?)))
            .and_then(|subject| subject.assert_routes_agree())
            .unwrap_or_else(|error| panic!("{error}"));
    }

    #[test]
    fn batch_norms_with_fixed_statistics_agree_with_autograd(
        examples in 2usize..6,
        channels in 1usize..5,
        pixels in prop::collection::vec(1usize..5, 0..3),
        affine: bool,
    ) {
        let mut dims = vec![examples, channels];
        dims.extend(pixels);
        let config = BatchNormConfig { affine, ..EPS.into() };
        network(dims, |vb| {
            let layer = batch_norm(channels, config, vb)?;
            let statistics: Vec<f64> = (1..=channels).map(|k| k as f64).collect();
            let statistics = Tensor::new(statistics, &Device::Cpu)?;
            let fixed = match layer.weight_and_bias() {
                Some((w, b)) => BatchNorm::new(channels, statistics.clone(), statistics, w.clone(), b.clone(), EPS)?,
                None => BatchNorm::new_no_bias(channels, statistics.clone(), statistics, EPS)?,
            };
            Ok(Box::new(Evaluated(fixed)))
        })
        .and_then(|subject| subject.assert_routes_agree())
        .unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn outside_a_capture_the_values_are_candles_and_the_gradient_flows() -> Result<()> {
    // candle's fused kernels have no f64
    let (vars, mut generator) = seeded("values");
    let parameters = {
        let builder = vars.builder(DType::F32, &Device::Cpu);
        layer_norm(4, EPS, builder.pp("layer"))?;
        moved(&vars, &mut generator)?
    };
    let (bias, weight) = (parameters[0].1.as_tensor(), parameters[1].1.as_tensor());
    let x = normal(&mut generator, &[3, 2, 4])?.to_dtype(DType::F32)?;
    let ours = LayerNorm::new(weight.clone(), bias.clone(), EPS).forward(&x)?;
    let candles = candle_nn::LayerNorm::new(weight.clone(), bias.clone(), EPS);
    let rms = RmsNorm::new(weight.clone(), EPS).forward(&x)?;
    let candles_rms = candle_nn::RmsNorm::new(weight.clone(), EPS);
    for (ours, candles) in [
        (ours, candles.forward(&x)?),
        (rms, candles_rms.forward(&x)?),
    ] {
        let gap = (&ours - candles)?.abs()?.flatten_all()?.max(0)?;
        // a dozen roundings of numbers up to 3
        assert!(gap.to_scalar::<f32>()? < 4e-6, "{gap}");
        let gradients = ours.sqr()?.sum_all()?.backward()?;
        assert!(gradients.get(weight).is_some());
    }
    // what our own layers are for
    let lost = candles.forward(&x)?.sqr()?.sum_all()?.backward()?;
    assert!(lost.get(weight).is_none());
    Ok(())
}

#[test]
fn a_layer_norm_of_two_numbers_has_gradients_of_plus_and_minus_one() -> Result<()> {
    let (vars, _) = seeded("pencil");
    let layer = layer_norm(2, 0.0, vars.builder(DType::F64, &Device::Cpu))?;
    // standard scores (-1, 1) and (1, -1), whatever the numbers; dL/dz is 1
    let x = Tensor::new(&[[0f64, 5.], [7., 3.]], &Device::Cpu)?;
    let captured = Capture::new(2, Reduction::Sum)
        .rows()
        .run(&vars.named(), || layer.forward(&x)?.sum_all())?;
    let rows = captured.statistics.rows()?.expect("asked for");
    assert_eq!(
        rows.to_vec2::<f64>()?,
        [[1., 1., -1., 1.], [1., 1., 1., -1.]]
    );
    Ok(())
}

#[test]
fn minibatches_are_means_over_their_examples() -> Result<()> {
    let subject = network(vec![4, 2, 3], |vb| Ok(Box::new(group_norm(1, 2, EPS, vb)?)))?;
    let rows = subject.generic()?;
    let captured = Capture::new(4, Reduction::Mean)
        .unit(Unit::Minibatch(2))
        .run(&subject.parameters, || (subject.loss)(&subject.all()))?;
    for (norm, pair) in captured
        .statistics
        .squared_norms()
        .iter()
        .zip(rows.chunks(2))
    {
        let mean = pair[0].iter().zip(&pair[1]).map(|(a, b)| 0.5 * (a + b));
        let expected: f64 = mean.map(|g| g * g).sum();
        approx::assert_relative_eq!(*norm, expected, max_relative = TOLERANCE);
    }
    Ok(())
}

#[test]
fn batch_norm_in_training_mode_is_refused_inside_a_capture_only() -> Result<()> {
    let (vars, mut generator) = seeded("batch norm");
    let layer = batch_norm(3, EPS, vars.builder(DType::F64, &Device::Cpu))?;
    let parameters = moved(&vars, &mut generator)?;
    let x = normal(&mut generator, &[4, 3])?;
    assert!(layer.forward_t(&x, true).is_ok());
    let capture = Capture::new(4, Reduction::Mean);
    let error = capture.run(&parameters, || layer.forward_t(&x, true)?.mean_all());
    assert_eq!(
        error.expect_err("it mixes examples").to_string(),
        "candle: batch normalisation in training mode mixes examples, so that no per-example gradient exists; use group or layer normalisation, or evaluation mode"
    );
    Ok(())
}

#[test]
fn inputs_that_do_not_fit_a_normalisation_are_refused_with_their_shape() -> Result<()> {
    let (vars, mut generator) = seeded("misfits");
    let builder = vars.builder(DType::F64, &Device::Cpu);
    let layers: [(Box<dyn Module>, &str); 3] = [
        (
            Box::new(layer_norm(3, EPS, builder.pp("layer"))?),
            "weight of shape [3] was given an input of shape [2, 4]",
        ),
        (
            Box::new(group_norm(2, 4, EPS, builder.pp("group"))?),
            "4 channels was given an input of shape [2, 4]; it must be [2, 4, ...]",
        ),
        (
            Box::new(Evaluated(batch_norm(3, EPS, builder.pp("batch"))?)),
            "3 features was given an input of shape [2, 4]",
        ),
    ];
    let x = normal(&mut generator, &[2, 4])?;
    for (layer, expected) in layers {
        let captured =
            Capture::new(2, Reduction::Sum).run(&vars.named(), || layer.forward(&x)?.sum_all());
        let error = captured.expect_err("it does not fit").to_string();
        assert!(error.contains(expected), "{error}");
    }
    let ones = Tensor::ones(4, DType::F64, &Device::Cpu)?;
    for (channels, groups) in [(4, 0), (3, 1), (4, 3)] {
        assert!(GroupNorm::new(ones.clone(), ones.clone(), channels, groups, EPS).is_err());
    }
    Ok(())
}

#[test]
fn layers_tell_what_they_were_made_with() -> Result<()> {
    let new = |numbers: [f64; 2]| Tensor::new(&numbers, &Device::Cpu);
    let (ones, weight, bias) = (new([1.0; 2])?, new([2.0, 3.0])?, new([5.0, 7.0])?);
    let layer = LayerNorm::new(weight.clone(), bias.clone(), EPS);
    let told = layer.bias().expect("it was given one");
    assert_eq!(told.to_vec1::<f64>()?, [5.0, 7.0]);
    assert!(LayerNorm::new_no_bias(weight.clone(), EPS).bias().is_none());
    assert_eq!(RmsNorm::new(weight.clone(), 0.125).eps(), 0.125);
    let (mean, variance) = (ones.clone(), ones);
    let batch = BatchNorm::new_with_momentum(2, mean, variance, weight, bias, EPS, 0.25)?;
    assert_eq!((batch.eps(), batch.momentum()), (EPS, 0.25));
    Ok(())
}

#[test]
fn rows_of_more_than_sixteen_numbers_agree_with_autograd() -> Result<()> {
    // two runs of sixteen and three more
    network(vec![3, 2, 35], |vb| Ok(Box::new(layer_norm(35, EPS, vb)?)))?.assert_routes_agree()
}

#[test]
fn a_spread_is_taken_about_the_mean_however_far_that_is_from_zero() -> Result<()> {
    let ones = Tensor::ones(2, DType::F64, &Device::Cpu)?;
    let layer = LayerNorm::new_no_bias(ones, 0.0);
    // deviations of -1 and 1; the squares of numbers this large have no units
    let far = 2f64.powi(52);
    let x = Tensor::new(&[[far, far + 2.0]], &Device::Cpu)?;
    let scores = inside(|| layer.forward(&x))?.to_vec2::<f64>()?;
    assert_eq!(scores, [[-1.0, 1.0]]);
    Ok(())
}

#[test]
fn a_long_row_of_single_precision_is_standardised_in_double() -> Result<()> {
    let size = 1 << 16;
    // scores of -1 and 1; an `f32` sum of as many tenths, one after the other, moves them by a tenth
    let numbers: Vec<f32> = (0..size)
        .map(|at| 0.1 + if at % 2 == 0 { 0.0 } else { 2f32.powi(-10) })
        .collect();
    let x = Tensor::from_vec(numbers, (1, size), &Device::Cpu)?;
    let ones = |count: usize| Tensor::ones(count, DType::F32, &Device::Cpu);
    let by_layer = LayerNorm::new_no_bias(ones(size)?, 0.0);
    let by_group = GroupNorm::new(ones(2)?, ones(2)?.zeros_like()?, 2, 1, 0.0)?;
    let by_group = inside(|| by_group.forward(&x.reshape((1, 2, size / 2))?))?;
    for scores in [inside(|| by_layer.forward(&x))?, by_group] {
        for (at, score) in scores.flatten_all()?.to_vec1::<f32>()?.iter().enumerate() {
            let expected = if at % 2 == 0 { -1.0 } else { 1.0 };
            // the mean is rounded by up to 2^-28, which is 8e-6 of the spread, 2^-11
            assert!((score - expected).abs() < 2e-5, "{score} at {at}");
        }
    }
    Ok(())
}

#[test]
fn an_input_without_positions_stays_one() -> Result<()> {
    let ones = |count: usize| Tensor::ones(count, DType::F64, &Device::Cpu);
    let layers: [(Box<dyn Module>, [usize; 3]); 2] = [
        (Box::new(LayerNorm::new(ones(3)?, ones(3)?, EPS)), [1, 0, 3]),
        (
            Box::new(GroupNorm::new(ones(4)?, ones(4)?, 4, 2, EPS)?),
            [1, 4, 0],
        ),
    ];
    for (layer, shape) in layers {
        let x = Tensor::zeros(&shape[..], DType::F64, &Device::Cpu)?;
        assert_eq!(inside(|| layer.forward(&x))?.dims(), shape);
    }
    // and gives no gradient to what it did not meet
    let (vars, _) = seeded("no positions");
    let layer = layer_norm(3, EPS, vars.builder(DType::F64, &Device::Cpu))?;
    let x = Tensor::zeros((2, 0, 3), DType::F64, &Device::Cpu)?;
    let loss = || layer.forward(&x)?.sum_all();
    let captured = Capture::new(2, Reduction::Sum).run(&vars.named(), loss)?;
    assert_eq!(captured.statistics.squared_norms(), [0.0; 2]);
    Ok(())
}
