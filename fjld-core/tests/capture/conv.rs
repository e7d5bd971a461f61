//! Convolutions in one and two dimensions.

use super::*;
use candle_nn::{Conv1dConfig, Conv2dConfig, Module};
use fjld_core::capture::{Conv2d, Unit, conv1d, conv1d_no_bias, conv2d, conv2d_no_bias};
use proptest::prelude::*;

/// What a convolution is made of, in one dimension or two.
#[derive(Clone, Copy, Debug)]
struct Shape {
    examples: usize,
    groups: usize,
    /// In one group, those that come in and those that go out.
    channels: [usize; 2],
    kernel: usize,
    padding: usize,
    stride: usize,
    dilation: usize,
    /// Height and width.
    image: [usize; 2],
    bias: bool,
}

fn check(shape: Shape, flat: bool) -> Result<()> {
    let subject = network(shape, flat)?;
    if shape.groups == 1 {
        return subject.assert_routes_agree();
    }
    // grouped convolutions have no Kronecker factors
    let captured = subject
        .capture()
        .run(&subject.parameters, || (subject.loss)(&subject.all()))?;
    subject.assert_agrees(&captured)
}

prop_compose! {
    fn shapes()(
        examples in 2usize..5, groups in 1usize..4, channels in [1usize..4, 1usize..4],
        kernel in 1usize..4, padding in 0usize..3, stride in 1usize..4, dilation in 1usize..3,
        spare in 0usize..4, wider in 0usize..3, bias: bool,
    ) -> Shape {
        let height = (dilation * (kernel - 1) + 1).max(stride) + spare;
        let image = [height, height + wider];
        Shape { examples, groups, channels, kernel, padding, stride, dilation, image, bias }
    }
}

/// Two convolutions, so that a gradient reaches an input as well, with a tanh between them.
fn network(shape: Shape, flat: bool) -> Result<Subject<'static>> {
    let (vars, mut generator) = seeded("convolution");
    let builder = vars.builder(DType::F64, &Device::Cpu);
    let [channels_in, channels_out] = shape.channels.map(|channels| channels * shape.groups);
    let layers: [Box<dyn Module>; 2] = if flat {
        let config = Conv1dConfig {
            padding: shape.padding,
            stride: shape.stride,
            dilation: shape.dilation,
            groups: shape.groups,
            cudnn_fwd_algo: None,
        };
        let make = match shape.bias {
            true => conv1d,
            false => conv1d_no_bias,
        };
        let first = conv1d(
            channels_in,
            channels_in,
            1,
            Conv1dConfig::default(),
            builder.pp("first"),
        )?;
        [
            Box::new(first),
            Box::new(make(
                channels_in,
                channels_out,
                shape.kernel,
                config,
                builder.pp("second"),
            )?),
        ]
    } else {
        let config = Conv2dConfig {
            padding: shape.padding,
            stride: shape.stride,
            dilation: shape.dilation,
            groups: shape.groups,
            cudnn_fwd_algo: None,
        };
        let make = match shape.bias {
            true => conv2d,
            false => conv2d_no_bias,
        };
        let first = conv2d(
            channels_in,
            channels_in,
            1,
            Conv2dConfig::default(),
            builder.pp("first"),
        )?;
        [
            Box::new(first),
            Box::new(make(
                channels_in,
                channels_out,
                shape.kernel,
                config,
                builder.pp("second"),
            )?),
        ]
    };
    let mut dims = vec![shape.examples, channels_in];
    dims.extend(&shape.image[usize::from(flat)..]);
    let inputs = normal(&mut generator, &dims)?;
    let forward = move |x: &Tensor| layers[1].forward(&layers[0].forward(x)?.tanh()?);
    let outputs = forward(&inputs)?.elem_count() / shape.examples;
    let weights = normal(&mut generator, &[outputs])?;
    Ok(Subject {
        parameters: vars.named(),
        examples: shape.examples,
        loss: Box::new(move |rows| smooth_loss(&forward(&pick(&inputs, rows)?)?, &weights)),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn convolutions_of_images_of_any_shape_agree_with_autograd(shape in shapes()) {
        check(shape, false).unwrap_or_else(|error| panic!("{error}"));
    }

    #[test]
    fn convolutions_of_sequences_of_any_shape_agree_with_autograd(shape in shapes()) {
        check(shape, true).unwrap_or_else(|error| panic!("{error}"));
    }
}

const PLAIN: Shape = Shape {
    examples: 4,
    groups: 1,
    channels: [2, 3],
    kernel: 3,
    padding: 1,
    stride: 2,
    dilation: 1,
    image: [5, 7],
    bias: true,
};

#[test]
fn a_pair_of_a_convolution_gives_its_weight_gradients_back() -> Result<()> {
    let subject = network(PLAIN, false)?;
    let captured = subject.captured()?;
    let pair = &captured.pairs[1];
    assert_eq!((pair.layer.as_str(), pair.bias), ("second", true));
    // positions of a window of 3 with a step of 2 on 5 by 7 pixels and a border of 1; 2 channels of 9 taps
    assert_eq!(pair.inputs.dims(), [4, 12, 18]);
    assert_eq!(pair.gradients.dims(), [4, 12, 3]);
    let product = pair.gradients.transpose(1, 2)?.matmul(&pair.inputs)?;
    let weight = &captured.statistics.parameters()[3];
    assert_eq!(weight.name(), "second.weight");
    let gap = (product.flatten_from(1)? - weight.rows().expect("asked for"))?;
    assert!(gap.abs()?.flatten_all()?.max(0)?.to_scalar::<f64>()? < TOLERANCE);
    Ok(())
}

#[test]
fn minibatches_of_images_are_means_over_their_examples() -> Result<()> {
    let shape = Shape { groups: 2, ..PLAIN };
    let subject = network(shape, false)?;
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
fn more_images_than_tasks_are_multiplied_several_at_a_time() -> Result<()> {
    // 19 of few positions go by threes, in patches below each other, and the last goes alone
    let shape = Shape {
        examples: 19,
        ..PLAIN
    };
    network(shape, false)?.assert_routes_agree()
}

#[test]
fn many_minibatches_of_images_hold_each_of_their_examples_once() -> Result<()> {
    // more draws than tasks: a buffer serves one draw after the other
    let shape = Shape {
        examples: 38,
        ..PLAIN
    };
    let subject = network(shape, false)?;
    let rows = subject.generic()?;
    let mut expected = Moments::new(rows[0].len())?;
    let mut norms = Vec::new();
    for pair in rows.chunks(2) {
        let both = pair[0].iter().zip(&pair[1]);
        let mean: Vec<f64> = both.map(|(a, b)| 0.5 * (a + b)).collect();
        expected.push(&mean)?;
        norms.push(mean.iter().map(|g| g * g).sum::<f64>());
    }
    let captured = Capture::new(38, Reduction::Mean)
        .unit(Unit::Minibatch(2))
        .diagonal()
        .run(&subject.parameters, || (subject.loss)(&subject.all()))?;
    for (norm, expected) in captured.statistics.squared_norms().iter().zip(norms) {
        approx::assert_relative_eq!(*norm, expected, max_relative = TOLERANCE);
    }
    let mut variances = Vec::new();
    for parameter in captured.statistics.parameters() {
        let own = parameter.variances()?.expect("they were asked for");
        variances.extend(own.flatten_all()?.to_vec1::<f64>()?);
    }
    // a variance is a difference of two sums of squares
    let scale = expected.squared_mean_norm() + expected.trace()?;
    for (got, expected) in variances.iter().zip(expected.variances()?) {
        assert!((got - expected).abs() < TOLERANCE * scale);
    }
    Ok(())
}

/// What makes `differentiable` in `conv.rs` necessary: when this fails, candle's own layers will do.
#[test]
fn candle_does_not_differentiate_every_convolution() -> Result<()> {
    let (vars, mut generator) = seeded("candle");
    let builder = vars.builder(DType::F64, &Device::Cpu);
    // a step of 2 leaves a pixel over on the second axis
    let config = Conv2dConfig {
        stride: 2,
        ..Conv2dConfig::default()
    };
    let image = candle_nn::conv2d_no_bias(1, 1, 2, config, builder.pp("image"))?;
    let x = candle_core::Var::from_tensor(&normal(&mut generator, &[1, 1, 6, 5])?)?;
    assert!(image.forward(&x)?.sum_all()?.backward().is_err());
    // the gradient of a sum over two examples is not the sum of theirs
    let line = candle_nn::conv1d_no_bias(2, 2, 1, Conv1dConfig::default(), builder.pp("line"))?;
    let x = normal(&mut generator, &[2, 2, 1])?;
    let gradient = |x: &Tensor| -> candle_core::Result<Tensor> {
        let gradients = line.forward(x)?.sqr()?.sum_all()?.backward()?;
        Ok(gradients.get(line.weight()).expect("it has one").clone())
    };
    let apart = (gradient(&x.narrow(0, 0, 1)?)? + gradient(&x.narrow(0, 1, 1)?)?)?;
    let gap = (gradient(&x)? - apart)?
        .abs()?
        .flatten_all()?
        .max(0)?
        .to_scalar::<f64>()?;
    assert!(gap > 1e-3, "{gap}");
    Ok(())
}

#[test]
fn half_precision_is_multiplied_and_added_wider() -> Result<()> {
    let (vars, mut generator) = seeded("bf16 image");
    let layer = conv2d(
        2,
        3,
        2,
        Conv2dConfig::default(),
        vars.builder(DType::BF16, &Device::Cpu),
    )?;
    let inputs = normal(&mut generator, &[5, 2, 2, 2])?.to_dtype(DType::BF16)?;
    let captured = Capture::new(5, Reduction::Sum).run(&vars.named(), || {
        layer.forward(&inputs)?.to_dtype(DType::F32)?.sum_all()
    })?;
    // one position and dL/dz = 1: three times the input, and the bias
    let x = inputs
        .flatten_from(1)?
        .to_dtype(DType::F64)?
        .to_vec2::<f64>()?;
    for (norm, row) in captured.statistics.squared_norms().iter().zip(&x) {
        let expected = 3.0 * (row.iter().map(|v| v * v).sum::<f64>() + 1.0);
        approx::assert_relative_eq!(*norm, expected, max_relative = 1e-6);
    }
    Ok(())
}

#[test]
fn what_a_convolution_can_not_measure_is_refused() -> Result<()> {
    let message = |result: Result<Captured>| result.expect_err("this must be refused").to_string();
    let grouped = network(Shape { groups: 2, ..PLAIN }, false)?;
    let error = message(grouped.captured());
    assert!(
        error.contains("a convolution has 2 groups; Kronecker factors"),
        "{error}"
    );

    let (vars, mut generator) = seeded("refused");
    let layer = conv2d(
        2,
        2,
        3,
        Conv2dConfig::default(),
        vars.builder(DType::F64, &Device::Cpu),
    )?;
    let run = |layer: &Conv2d, x: &Tensor| {
        message(Capture::new(2, Reduction::Sum).run(&vars.named(), || layer.forward(x)?.sum_all()))
    };
    let error = run(&layer, &normal(&mut generator, &[2, 2, 2, 3])?);
    assert!(
        error.contains("does not fit into an image of [2, 3]"),
        "{error}"
    );
    let error = run(&layer, &normal(&mut generator, &[2, 3, 4, 4])?);
    assert!(
        error.contains("[2, 2, 3, 3] in 1 groups was given an input of shape [2, 3, 4, 4]"),
        "{error}"
    );
    let still = Conv2dConfig {
        stride: 0,
        ..Conv2dConfig::default()
    };
    let still = Conv2d::new(layer.weight().clone(), None, still);
    let error = run(&still, &normal(&mut generator, &[2, 2, 4, 4])?);
    assert!(error.contains("stride: 0"), "{error}");
    Ok(())
}

#[test]
fn a_window_of_two_sides_is_differentiated_outside_a_capture() -> Result<()> {
    // 3 by 2 taps in steps of 3 on 3 by 4 pixels: one position, with two columns left over and no row
    let weight = Var::from_tensor(&Tensor::new(
        &[[[[1f64, 2.], [3., 4.], [5., 6.]]]],
        &Device::Cpu,
    )?)?;
    let config = Conv2dConfig {
        stride: 3,
        ..Conv2dConfig::default()
    };
    let layer = Conv2d::new(weight.as_tensor().clone(), None, config);
    let x = Tensor::arange(0f64, 12., &Device::Cpu)?.reshape((1, 1, 3, 4))?;
    let z = layer.forward(&x)?.sum_all()?;
    // 0 1, 4 5 and 8 9 lie under it
    let expected = 1. * 2. + 4. * 3. + 5. * 4. + 8. * 5. + 9. * 6.;
    assert_eq!(z.to_scalar::<f64>()?, expected);
    let store = z.backward()?;
    let slope = store.get(&weight).expect("the sum depends on it");
    let slope = slope.flatten_all()?.to_vec1::<f64>()?;
    assert_eq!(slope, [0., 1., 4., 5., 8., 9.]);
    Ok(())
}
