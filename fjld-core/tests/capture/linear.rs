//! Linear layers, alone and together.

use super::*;
use candle_nn::Module;
use fjld_core::capture::{Linear, Unit, gradients, linear, linear_b, linear_no_bias};
use proptest::prelude::*;

/// Two linear layers with a tanh between them, on inputs `[examples, positions..., in]`.
fn network(
    name: &str,
    examples: usize,
    positions: &[usize],
    widths: [usize; 3],
    bias: bool,
) -> Result<Subject<'static>> {
    let (vars, mut generator) = seeded(name);
    let builder = vars.builder(DType::F64, &Device::Cpu);
    let first = linear_b(widths[0], widths[1], bias, builder.pp("first"))?;
    let second = linear_b(widths[1], widths[2], bias, builder.pp("second"))?;
    let mut shape = vec![examples];
    shape.extend(positions);
    let outputs = positions.iter().product::<usize>() * widths[2];
    shape.push(widths[0]);
    let inputs = normal(&mut generator, &shape)?;
    let weights = normal(&mut generator, &[outputs])?;
    Ok(Subject {
        parameters: vars.named(),
        examples,
        loss: Box::new(move |rows| {
            let hidden = first.forward(&pick(&inputs, rows)?)?.tanh()?;
            smooth_loss(&second.forward(&hidden)?, &weights)
        }),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn linear_layers_of_any_shape_agree_with_autograd(
        examples in 2usize..7,
        positions in prop::collection::vec(1usize..5, 0..3),
        widths in [1usize..7, 1usize..7, 1usize..7],
        bias: bool,
    ) {
        network("any shape", examples, &positions, widths, bias)
            .and_then(|subject| subject.assert_routes_agree())
            .unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn a_layer_called_twice_in_one_forward_adds_both_uses_before_squaring() -> Result<()> {
    let (vars, mut generator) = seeded("called twice");
    let layer = linear(4, 4, vars.builder(DType::F64, &Device::Cpu).pp("shared"))?;
    let inputs = normal(&mut generator, &[5, 3, 4])?;
    let weights = normal(&mut generator, &[12])?;
    let subject = Subject {
        parameters: vars.named(),
        examples: 5,
        loss: Box::new(move |rows| {
            let once = layer.forward(&pick(&inputs, rows)?)?.tanh()?;
            smooth_loss(&layer.forward(&once)?, &weights)
        }),
    };
    subject.assert_routes_agree()?;
    // both uses are positions of one layer
    let pairs = subject.captured()?.pairs;
    assert_eq!(pairs.len(), 1);
    assert_eq!(pairs[0].layer, "shared");
    assert_eq!(pairs[0].inputs.dims(), [5, 6, 4]);
    // without a mask all of them count, and none is made up
    assert!(pairs[0].counted.is_none());
    Ok(())
}

#[test]
fn a_weight_shared_by_two_layers_is_one_parameter() -> Result<()> {
    let (vars, mut generator) = seeded("tied");
    let builder = vars.builder(DType::F64, &Device::Cpu);
    let first = linear(3, 3, builder.pp("tied"))?;
    let own = linear(3, 3, builder.pp("own"))?;
    let second = Linear::new(first.weight().clone(), own.bias().cloned());
    let inputs = normal(&mut generator, &[4, 3])?;
    let weights = normal(&mut generator, &[3])?;
    let mut parameters = vars.named();
    parameters.retain(|(name, _)| name != "own.weight");
    Subject {
        parameters,
        examples: 4,
        loss: Box::new(move |rows| {
            let hidden = first.forward(&pick(&inputs, rows)?)?.tanh()?;
            smooth_loss(&second.forward(&hidden)?, &weights)
        }),
    }
    .assert_routes_agree()
}

#[test]
fn the_sum_of_the_losses_and_their_mean_give_the_same_draws() -> Result<()> {
    let subject = network("reductions", 6, &[2], [3, 4, 2], true)?;
    let mean = subject.captured()?.statistics;
    let sum = Capture::new(6, Reduction::Sum)
        .run(&subject.parameters, || {
            (subject.loss)(&subject.all())? * 6.0
        })?
        .statistics;
    for (a, b) in mean.squared_norms().iter().zip(sum.squared_norms()) {
        approx::assert_relative_eq!(*a, b, max_relative = TOLERANCE);
    }
    approx::assert_relative_eq!(
        mean.whole()?.signal,
        sum.whole()?.signal,
        max_relative = TOLERANCE
    );
    Ok(())
}

#[test]
fn a_loss_that_is_scaled_leaves_the_ratio() -> Result<()> {
    let subject = network("scaled", 6, &[], [3, 4, 2], true)?;
    let ratio = subject.captured()?.statistics.ratio(0.95)?;
    let scaled = Capture::new(6, Reduction::Mean)
        .run(&subject.parameters, || {
            (subject.loss)(&subject.all())? * 1e-3
        })?
        .statistics
        .ratio(0.95)?;
    let plug_in = |r: &Ratio| {
        r.estimates
            .as_ref()
            .map(|e| e.plug_in)
            .expect("there is noise")
    };
    approx::assert_relative_eq!(plug_in(&ratio), plug_in(&scaled), max_relative = TOLERANCE);
    approx::assert_relative_eq!(scaled.signal, ratio.signal * 1e-6, max_relative = TOLERANCE);
    Ok(())
}

#[test]
fn a_draw_of_a_minibatch_is_the_mean_over_its_examples() -> Result<()> {
    let subject = network("minibatches", 6, &[3], [3, 4, 2], true)?;
    let rows = subject.generic()?;
    let captured = Capture::new(6, Reduction::Mean)
        .unit(Unit::Minibatch(2))
        .rows()
        .run(&subject.parameters, || (subject.loss)(&subject.all()))?;
    let mut expected = Moments::new(rows[0].len())?;
    for pair in rows.chunks(2) {
        let mean: Vec<f64> = pair[0]
            .iter()
            .zip(&pair[1])
            .map(|(a, b)| 0.5 * (a + b))
            .collect();
        expected.push(&mean)?;
    }
    let whole = captured.statistics.whole()?;
    assert_eq!(whole.samples, 3);
    approx::assert_relative_eq!(
        whole.signal,
        expected.squared_mean_norm(),
        max_relative = TOLERANCE
    );
    approx::assert_relative_eq!(whole.noise, expected.trace()?, max_relative = TOLERANCE);
    Ok(())
}

#[test]
fn batches_merged_are_the_whole() -> Result<()> {
    let subject = network("chunks", 7, &[2], [3, 4, 2], true)?;
    let part = |rows: &[u32]| -> Result<_> {
        let captured = Capture::new(rows.len(), Reduction::Mean)
            .diagonal()
            .rows()
            .run(&subject.parameters, || (subject.loss)(rows))?;
        Ok(captured.statistics)
    };
    let mut merged = part(&[0, 1, 2])?;
    merged.merge(&part(&[3])?)?;
    merged.merge(&part(&[4, 5, 6])?)?;
    let whole = subject.captured()?.statistics;
    for (a, b) in [
        (merged.whole()?.signal, whole.whole()?.signal),
        (merged.whole()?.noise, whole.whole()?.noise),
    ] {
        approx::assert_relative_eq!(a, b, max_relative = TOLERANCE);
    }
    for (a, b) in merged.parameters().iter().zip(whole.parameters()) {
        let gap = (a.variances()?.expect("asked for") - b.variances()?.expect("asked for"))?;
        assert!(gap.abs()?.flatten_all()?.max(0)?.to_scalar::<f64>()? < TOLERANCE);
    }
    let bounds = |s: &fjld_core::capture::Statistics| -> Result<(f64, f64)> {
        let interval = s
            .ratio(0.9)?
            .estimates
            .expect("noise")
            .interval
            .expect("draws");
        Ok((interval.low, interval.high))
    };
    approx::assert_relative_eq!(bounds(&merged)?.0, bounds(&whole)?.0, max_relative = 1e-7);
    approx::assert_relative_eq!(bounds(&merged)?.1, bounds(&whole)?.1, max_relative = 1e-7);
    Ok(())
}

#[test]
fn gradients_that_are_all_the_same_have_no_ratio_in_either_precision() -> Result<()> {
    for dtype in [DType::F32, DType::F64] {
        let (vars, mut generator) = seeded("constant");
        let layer = linear(40, 30, vars.builder(dtype, &Device::Cpu))?;
        let one = normal(&mut generator, &[1, 40])?.to_dtype(dtype)?;
        let inputs = one.repeat((50, 1))?;
        let captured = Capture::new(50, Reduction::Mean).run(&vars.named(), || {
            layer.forward(&inputs)?.sqr()?.sum(1)?.mean(0)
        })?;
        let ratio = captured.statistics.ratio(0.95)?;
        assert!(
            matches!(
                ratio.estimates,
                Err(fjld_core::Undefined::NoiseVanished { .. })
            ),
            "{dtype:?}: {ratio:?}"
        );
    }
    Ok(())
}

#[test]
fn half_precision_comes_in_and_is_added_wider() -> Result<()> {
    for dtype in [DType::BF16, DType::F16] {
        let (vars, mut generator) = seeded("half precision");
        let layer = linear(6, 5, vars.builder(dtype, &Device::Cpu))?;
        let inputs = normal(&mut generator, &[300, 6])?.to_dtype(dtype)?;
        let captured = Capture::new(300, Reduction::Sum).run(&vars.named(), || {
            layer.forward(&inputs)?.to_dtype(DType::F32)?.sum_all()
        })?;
        // dL/dz is 1 everywhere: the gradient of the weight is the input, five times over, and that of the bias is ones
        let x = inputs.to_dtype(DType::F64)?.to_vec2::<f64>()?;
        for (norm, row) in captured.statistics.squared_norms().iter().zip(&x) {
            let expected = 5.0 * (row.iter().map(|v| v * v).sum::<f64>() + 1.0);
            // products of two numbers of half precision are exact in f32, and sums are in f64
            approx::assert_relative_eq!(*norm, expected, max_relative = 1e-6);
        }
        let bias = &captured.statistics.parameters()[0];
        assert_eq!(bias.name(), "bias");
        assert_eq!(
            bias.mean()?.to_dtype(DType::F64)?.to_vec1::<f64>()?,
            [1.0; 5]
        );
    }
    Ok(())
}

#[test]
fn one_draw_that_carries_all_the_noise_leaves_no_interval() -> Result<()> {
    let (vars, mut generator) = seeded("one draw apart");
    let layer = linear(4, 3, vars.builder(DType::F64, &Device::Cpu))?;
    let two = normal(&mut generator, &[2, 4])?;
    let inputs = pick(&two, &[0, 0, 1])?;
    let captured = Capture::new(3, Reduction::Mean)
        .interval()
        .run(&vars.named(), || {
            layer.forward(&inputs)?.sqr()?.sum(1)?.mean(0)
        })?;
    let estimates = captured
        .statistics
        .ratio(0.95)?
        .estimates
        .expect("there is noise");
    assert_eq!(
        estimates
            .interval
            .expect_err("without that draw there is none"),
        fjld_core::Undefined::OneSampleCarriesTheNoise
    );
    Ok(())
}

#[test]
fn a_bias_beside_a_frozen_weight_is_measured() -> Result<()> {
    let (vars, mut generator) = seeded("frozen weight");
    let trained = linear(3, 4, vars.builder(DType::F64, &Device::Cpu))?;
    let layer = Linear::new(trained.weight().detach(), trained.bias().cloned());
    let inputs = normal(&mut generator, &[5, 2, 3])?;
    let weights = normal(&mut generator, &[8])?;
    let mut parameters = vars.named();
    parameters.retain(|(name, _)| name == "bias");
    // the input is not trained either: nothing but the bias leads the backward pass here
    Subject {
        parameters,
        examples: 5,
        loss: Box::new(move |rows| smooth_loss(&layer.forward(&pick(&inputs, rows)?)?, &weights)),
    }
    .assert_routes_agree()
}

#[test]
fn a_step_on_which_nothing_is_measured_takes_no_squares() -> Result<()> {
    let (vars, _) = seeded("no squares");
    let layer = linear_no_bias(2, 1, vars.builder(DType::F64, &Device::Cpu))?;
    // gradients are the inputs, and the squares of these are no numbers
    let inputs = Tensor::new(&[[1e200, -3e200], [1e200, 1e200]], &Device::Cpu)?;
    let loss = || layer.forward(&inputs)?.sum_all();
    let (_, store) = gradients(2, &vars.named(), loss)?;
    let gradient = store.get(layer.weight()).expect("it has one");
    assert_eq!(gradient.to_vec2::<f64>()?, [[2e200, -2e200]]);
    let error = Capture::new(2, Reduction::Sum)
        .run(&vars.named(), loss)
        .expect_err("norms are measured")
        .to_string();
    assert!(error.contains("has the squared norm inf"), "{error}");
    Ok(())
}
