//! Masks of padding: which draws count, and which positions.

use super::*;
use candle_nn::Module;
use fjld_core::capture::{Linear, linear};

/// A layer on inputs `[4, ..., 3]`.
fn layer(positions: &[usize]) -> Result<(Linear, Parameters, Tensor)> {
    let (vars, mut generator) = seeded("padding");
    let layer = linear(3, 2, vars.builder(DType::F64, &Device::Cpu).pp("layer"))?;
    let shape = [&[4], positions, &[3]].concat();
    Ok((layer, vars.named(), normal(&mut generator, &shape)?))
}

/// Three positions an example, of which the second example has none that counts.
fn mask() -> candle_core::Result<Tensor> {
    Tensor::new(
        &[[1f64, 1., 0.], [0., 0., 0.], [1., 0., 0.], [1., 1., 1.]],
        &Device::Cpu,
    )
}

/// The squared outputs of the positions that count.
fn loss(layer: &Linear, x: &Tensor, counted: &Tensor) -> candle_core::Result<Tensor> {
    let squares = layer.forward(x)?.sqr()?.sum(candle_core::D::Minus1)?;
    (squares * counted)?.sum_all()
}

#[test]
fn a_pair_has_the_mask_of_the_examples_that_count() -> Result<()> {
    let (layer, parameters, x) = layer(&[3])?;
    let mask = mask()?;
    let captured = Capture::new(4, Reduction::Sum)
        .pairs()
        .counted(mask.clone())
        .run(&parameters, || loss(&layer, &x, &mask))?;
    let pair = &captured.pairs[0];
    let counted = pair.counted.as_ref().expect("some positions are padding");
    assert_eq!(
        counted.to_vec2::<f64>()?,
        [[1., 1., 0.], [1., 0., 0.], [1., 1., 1.]]
    );
    assert_eq!(
        pair.inputs.to_vec3::<f64>()?,
        pick(&x, &[0, 2, 3])?.to_vec3::<f64>()?
    );
    Ok(())
}

#[test]
fn a_layer_that_sees_an_example_once_has_no_padding() -> Result<()> {
    // as a head that stands on the mean over the positions does
    let (layer, parameters, x) = layer(&[])?;
    let examples = Tensor::new(&[1f64, 0., 1., 1.], &Device::Cpu)?;
    let captured = Capture::new(4, Reduction::Sum)
        .pairs()
        .counted(mask()?)
        .run(&parameters, || loss(&layer, &x, &examples))?;
    assert!(captured.pairs[0].counted.is_none());
    assert_eq!(captured.pairs[0].inputs.dims(), [3, 1, 3]);
    Ok(())
}

#[test]
fn a_mask_of_other_positions_than_the_layers_is_refused() -> Result<()> {
    let (layer, parameters, x) = layer(&[2])?;
    let examples = Tensor::new(&[[1f64], [0.], [1.], [1.]], &Device::Cpu)?.repeat((1, 2))?;
    let error = Capture::new(4, Reduction::Sum)
        .pairs()
        .counted(mask()?)
        .run(&parameters, || loss(&layer, &x, &examples))
        .expect_err("two positions against three")
        .to_string();
    assert!(
        error.contains("a layer has 2 positions an example where the mask of padding has 3"),
        "{error}"
    );
    Ok(())
}

#[test]
fn a_mask_of_another_shape_than_the_batch_is_refused() -> Result<()> {
    let (layer, parameters, x) = layer(&[3])?;
    let mask = mask()?;
    for (own, shape) in [
        (mask.narrow(0, 0, 3)?, "[3, 3]"),
        (mask.narrow(1, 0, 1)?.squeeze(1)?, "[4]"),
    ] {
        let error = Capture::new(4, Reduction::Sum)
            .counted(own)
            .run(&parameters, || loss(&layer, &x, &mask))
            .expect_err("it does not fit")
            .to_string();
        assert_eq!(
            error,
            format!("the mask of padding has shape {shape}; it must be [4, positions]")
        );
    }
    Ok(())
}

#[test]
fn an_interval_is_made_from_the_draws_that_count() -> Result<()> {
    let (layer, parameters, x) = layer(&[3])?;
    let mask = mask()?;
    let kept = [0, 2, 3];
    let padded = Capture::new(4, Reduction::Sum)
        .interval()
        .counted(mask.clone())
        .run(&parameters, || loss(&layer, &x, &mask))?;
    let without = Capture::new(3, Reduction::Sum)
        .interval()
        .run(&parameters, || {
            loss(&layer, &pick(&x, &kept)?, &pick(&mask, &kept)?)
        })?;
    let [padded, without] = [padded, without].map(|captured| -> Result<_> {
        let estimates = captured.statistics.ratio(0.9)?.estimates;
        Ok(estimates.expect("noise").interval.expect("three draws"))
    });
    let (padded, without) = (padded?, without?);
    // the ends are found by halving
    approx::assert_relative_eq!(padded.low, without.low, max_relative = 1e-7);
    approx::assert_relative_eq!(padded.high, without.high, max_relative = 1e-7);
    Ok(())
}
