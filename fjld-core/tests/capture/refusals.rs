//! What can not be measured exactly is an error that says so, never a number.

use super::*;
use candle_nn::Module;
use fjld_core::capture::{Linear, Unit, linear};

fn layer(name: &str) -> Result<(Linear, Parameters, Tensor)> {
    let (vars, mut generator) = seeded(name);
    let layer = linear(3, 3, vars.builder(DType::F64, &Device::Cpu).pp("layer"))?;
    Ok((layer, vars.named(), normal(&mut generator, &[4, 3])?))
}

fn message<T: std::fmt::Debug>(result: Result<T>) -> String {
    result.expect_err("this must be refused").to_string()
}

fn mean(z: &Tensor) -> candle_core::Result<Tensor> {
    z.sqr()?.sum(1)?.mean(0)
}

#[test]
fn a_parameter_outside_the_captured_layers_is_named() -> Result<()> {
    let (layer, parameters, x) = layer("outside")?;
    let capture = Capture::new(4, Reduction::Mean);
    // a layer of candle-nn's with the same weights
    let plain = candle_nn::Linear::new(layer.weight().clone(), layer.bias().cloned());
    let error = message(capture.run(&parameters, || mean(&plain.forward(&x)?)));
    assert!(
        error.starts_with("parameter `layer.bias` received a gradient outside"),
        "{error}"
    );
    // the weight used once more by hand: a head tied to it, say
    let error = message(capture.run(&parameters, || {
        mean(&layer.forward(&x)?.matmul(layer.weight())?)
    }));
    assert!(
        error.starts_with("parameter `layer.weight` received a gradient outside"),
        "{error}"
    );
    // on another thread there is no capture
    let error = message(capture.run(&parameters, || {
        std::thread::scope(|scope| scope.spawn(|| mean(&layer.forward(&x)?)).join())
            .expect("the thread does not panic")
    }));
    assert!(error.contains("outside the captured layers"), "{error}");
    Ok(())
}

#[test]
fn a_parameter_that_no_gradient_reaches_is_named() -> Result<()> {
    let (layer, mut parameters, x) = layer("stray")?;
    let capture = Capture::new(4, Reduction::Mean);
    // candle's fused softmax passes no gradient on, and says nothing
    let error = message(capture.run(&parameters, || {
        mean(&candle_nn::ops::softmax_last_dim(&layer.forward(&x)?)?)
    }));
    assert!(
        error.starts_with("no gradient reached parameter `layer.bias`"),
        "{error}"
    );
    // one of two uses
    let error = message(capture.run(&parameters, || {
        let z = layer.forward(&x)?;
        let lost = candle_nn::ops::softmax_last_dim(&layer.forward(&z)?)?;
        mean(&(z + lost)?)
    }));
    assert_eq!(
        error,
        "the backward pass reached 1 of the 2 uses of parameter `layer.bias`; every use must lead to the loss through operations that candle differentiates"
    );
    parameters.push(("stray".into(), Var::zeros(2, DType::F64, &Device::Cpu)?));
    let error = message(capture.run(&parameters, || mean(&layer.forward(&x)?)));
    assert!(
        error.starts_with("no gradient reached parameter `stray` of shape [2]"),
        "{error}"
    );
    Ok(())
}

#[test]
fn a_trainable_parameter_that_is_not_in_the_list_is_refused() -> Result<()> {
    let (layer, mut parameters, x) = layer("unlisted")?;
    parameters.pop();
    let error =
        message(Capture::new(4, Reduction::Mean).run(&parameters, || mean(&layer.forward(&x)?)));
    assert!(
        error.contains("shape [3, 3] that is not in the list"),
        "{error}"
    );
    // a weight computed from variables has no place to put its gradient
    let computed = Linear::new((layer.weight() * 2.0)?, None);
    let error =
        message(Capture::new(4, Reduction::Mean).run(&parameters, || mean(&computed.forward(&x)?)));
    assert!(
        error.contains("is computed from other variables"),
        "{error}"
    );
    Ok(())
}

#[test]
fn frozen_parameters_are_left_out_and_pass_the_gradient_on() -> Result<()> {
    let (layer, parameters, x) = layer("frozen")?;
    let frozen = Linear::new(layer.weight().detach(), layer.bias().map(Tensor::detach));
    Subject {
        parameters,
        examples: 4,
        loss: Box::new(|rows| mean(&frozen.forward(&layer.forward(&pick(&x, rows)?)?.tanh()?)?)),
    }
    .assert_routes_agree()
}

#[test]
fn shapes_that_do_not_fit_are_refused_with_the_shape() -> Result<()> {
    let (layer, parameters, x) = layer("shapes")?;
    let run = |capture: Capture| message(capture.run(&parameters, || mean(&layer.forward(&x)?)));
    assert_eq!(
        run(Capture::new(5, Reduction::Mean)),
        "candle: a captured layer was given an input of shape [4, 3]; its first axis must be the 5 examples of the batch"
    );
    for (examples, size) in [(4, 3), (4, 0), (0, 1)] {
        let error = run(Capture::new(examples, Reduction::Mean).unit(Unit::Minibatch(size)));
        assert_eq!(
            error,
            format!(
                "{examples} examples do not make up minibatches of {size}; both must be positive and the first a multiple of the second"
            )
        );
    }
    let capture = Capture::new(4, Reduction::Mean);
    let error = message(capture.run(&parameters, || layer.forward(&x)?.sqr()?.mean(1)));
    assert!(
        error.starts_with("the loss has shape [4]; it must be a scalar"),
        "{error}"
    );
    let error = message(capture.run(&parameters, || mean(&(layer.forward(&x)? * f64::NAN)?)));
    assert!(error.starts_with("the loss is NaN"), "{error}");
    let error = message(capture.run(&parameters, || {
        let inner = Capture::new(4, Reduction::Mean).run(&parameters, || mean(&layer.forward(&x)?));
        let error = message(inner);
        assert!(error.starts_with("a capture is already running"), "{error}");
        candle_core::bail!("and the outer one fails too")
    }));
    assert!(error.contains("the outer one fails"), "{error}");
    // a failed capture leaves nothing open
    assert!(
        capture
            .run(&parameters, || mean(&layer.forward(&x)?))
            .is_ok()
    );
    Ok(())
}

#[test]
fn a_single_draw_has_norms_but_no_variance() -> Result<()> {
    let (layer, parameters, x) = layer("single")?;
    let one = x.narrow(0, 0, 1)?;
    let captured =
        Capture::new(1, Reduction::Mean).run(&parameters, || mean(&layer.forward(&one)?))?;
    assert_eq!(captured.statistics.squared_norms().len(), 1);
    assert_eq!(
        captured
            .statistics
            .ratio(0.95)
            .expect_err("one draw")
            .to_string(),
        "1 samples were given; a variance needs at least 2"
    );
    Ok(())
}

#[test]
fn padded_examples_leave_the_count_and_must_have_no_gradient() -> Result<()> {
    let (layer, parameters, x) = layer("padded")?;
    let weights = Tensor::new(&[1f64, 1., 0., 1.], &Device::Cpu)?;
    let masked = |w: &Tensor| -> candle_core::Result<Tensor> {
        (layer.forward(&x)?.sqr()?.sum(1)? * w)?.sum_all()? / 3.0
    };
    let mask = weights.reshape((4, 1))?;
    let capture = Capture::new(4, Reduction::Mean)
        .rows()
        .pairs()
        .counted(mask);
    let captured = capture.run(&parameters, || masked(&weights))?;
    let kept = Subject {
        parameters: parameters.clone(),
        examples: 3,
        loss: Box::new(|_| mean(&layer.forward(&pick(&x, &[0, 1, 3])?)?)),
    }
    .captured()?;
    let (a, b) = (captured.statistics.whole()?, kept.statistics.whole()?);
    assert_eq!(a.samples, 3);
    approx::assert_relative_eq!(a.signal, b.signal, max_relative = TOLERANCE);
    approx::assert_relative_eq!(a.noise, b.noise, max_relative = TOLERANCE);
    assert_eq!(captured.pairs[0].inputs.dims(), kept.pairs[0].inputs.dims());
    let gap = (&captured.pairs[0].gradients - &kept.pairs[0].gradients)?.abs()?;
    assert!(gap.flatten_all()?.max(0)?.to_scalar::<f64>()? < TOLERANCE);
    let error = message(capture.run(&parameters, || masked(&weights.ones_like()?)));
    assert!(
        error.starts_with("example 2 has no position that counts, and yet a gradient"),
        "{error}"
    );
    Ok(())
}
