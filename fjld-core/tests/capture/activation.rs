//! Activations in one pass against candle's, and against the formula where candle's constants are cut short.

use super::*;
use candle_nn::Module;
use fjld_core::capture::{gelu, linear, relu, softmax_last_dim};

/// `x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))` by operations that candle differentiates exactly.
fn gelu_by_formula(x: &Tensor) -> candle_core::Result<Tensor> {
    let inner = ((x * 0.044_715)? * x.sqr()?)?.add(x)?;
    let tanh = (inner * (2.0 / std::f64::consts::PI).sqrt())?.tanh()?;
    (x * 0.5)? * (tanh + 1.0)?
}

#[test]
fn a_network_of_activations_in_one_pass_is_the_network_of_candles() -> Result<()> {
    let (vars, mut generator) = seeded("activations");
    let builder = vars.builder(DType::F64, &Device::Cpu);
    let layers = [
        linear(5, 40, builder.pp("a"))?,
        linear(40, 7, builder.pp("b"))?,
        linear(7, 3, builder.pp("c"))?,
    ];
    let x = normal(&mut generator, &[6, 4, 5])?;
    let weights = normal(&mut generator, &[12])?;
    let examples = 6;
    let subject = Subject {
        parameters: vars.named(),
        examples,
        loss: Box::new(move |rows| {
            let z = relu(&layers[0].forward(&pick(&x, rows)?)?)?;
            let z = softmax_last_dim(&layers[1].forward(&z)?)?;
            let z = layers[2].forward(&z)?;
            smooth_loss(&z, &weights)
        }),
    };
    subject.assert_routes_agree()
}

#[test]
fn the_gaussian_unit_has_the_value_and_the_gradients_of_its_formula() -> Result<()> {
    let (vars, mut generator) = seeded("gelu");
    let builder = vars.builder(DType::F64, &Device::Cpu);
    let layer = linear(5, 4, builder.pp("a"))?;
    let x = (normal(&mut generator, &[6, 3, 5])? * 3.0)?;
    let parameters = vars.named();
    let by = |f: fn(&Tensor) -> candle_core::Result<Tensor>| {
        let loss = || f(&layer.forward(&x)?)?.sqr()?.mean_all();
        Capture::new(6, Reduction::Mean).run(&parameters, loss)
    };
    let (own, formula) = (by(gelu)?, by(gelu_by_formula)?);
    assert!((own.loss / formula.loss - 1.0).abs() < TOLERANCE);
    let norms = own.statistics.squared_norms().into_iter();
    for (own, formula) in norms.zip(formula.statistics.squared_norms()) {
        assert!(
            (own / formula - 1.0).abs() < TOLERANCE,
            "{own} against {formula}"
        );
    }
    Ok(())
}

#[test]
fn the_gradients_alone_are_those_of_the_capture() -> Result<()> {
    let (vars, mut generator) = seeded("alone");
    let builder = vars.builder(DType::F64, &Device::Cpu);
    let layer = linear(5, 4, builder.pp("a"))?;
    let x = normal(&mut generator, &[6, 3, 5])?;
    let parameters = vars.named();
    let loss = || layer.forward(&x)?.sqr()?.mean_all();
    let captured = Capture::new(6, Reduction::Mean).run(&parameters, loss)?;
    let (value, gradients) = fjld_core::capture::gradients(6, &parameters, loss)?;
    assert_eq!(value, captured.loss);
    for (name, var) in &parameters {
        let both = [&gradients, &captured.gradients].map(|store| store.get(var));
        let [Some(alone), Some(beside)] = both else {
            panic!("`{name}` has a gradient by both");
        };
        let gap = (alone - beside)?.abs()?.flatten_all()?.max(0)?;
        assert!(gap.to_scalar::<f64>()? < TOLERANCE);
    }
    Ok(())
}

/// Numbers of `f(x)`, and of the gradient of `sum w f(x)` in `x`.
fn values_and_slopes(
    f: fn(&Tensor) -> candle_core::Result<Tensor>,
    x: &Tensor,
    w: &Tensor,
) -> candle_core::Result<[Vec<f64>; 2]> {
    let x = Var::from_tensor(x)?;
    let value = f(&x)?;
    let store = (&value * w)?.sum_all()?.backward()?;
    let slope = store.get(&x).expect("the sum depends on it");
    let flat = |x: &Tensor| x.flatten_all()?.to_vec1::<f64>();
    Ok([flat(&value)?, flat(slope)?])
}

fn assert_close(got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len());
    for (at, (got, expected)) in got.iter().zip(expected).enumerate() {
        // a dozen roundings of numbers of a few units
        assert!(
            (got - expected).abs() < 1e-14,
            "{got} against {expected} at {at}"
        );
    }
}

#[test]
fn activations_of_more_numbers_than_a_task_takes_are_their_formulas() -> Result<()> {
    // two tasks of 2^14 numbers and a rest; no task ends with a row of 5 by itself
    let (rows, width) = (7001, 5);
    let (_, mut generator) = seeded("many numbers");
    let x = normal(&mut generator, &[rows, width])?;
    let w = normal(&mut generator, &[rows, width])?;
    let (xs, ws) = (x.to_vec2::<f64>()?, w.to_vec2::<f64>()?);

    let [values, slopes] = inside(|| values_and_slopes(relu, &x, &w))?;
    let both = || xs.iter().flatten().zip(ws.iter().flatten());
    let expected: Vec<f64> = both().map(|(x, _)| x.max(0.0)).collect();
    assert_close(&values, &expected);
    let expected: Vec<f64> = both()
        .map(|(&x, &w)| if x > 0.0 { w } else { 0.0 })
        .collect();
    assert_close(&slopes, &expected);

    let [values, slopes] = inside(|| values_and_slopes(gelu, &x, &w))?;
    let expected = values_and_slopes(gelu_by_formula, &x, &w)?;
    assert_close(&values, &expected[0]);
    assert_close(&slopes, &expected[1]);

    let [values, slopes] = inside(|| values_and_slopes(softmax_last_dim, &x, &w))?;
    let (mut shares, mut pulled) = (Vec::new(), Vec::new());
    for (x, w) in xs.iter().zip(&ws) {
        let total: f64 = x.iter().map(|x| x.exp()).sum();
        let own: Vec<f64> = x.iter().map(|x| x.exp() / total).collect();
        // dy_j/dx_k = y_j ([j = k] - y_k)
        let mean: f64 = own.iter().zip(w).map(|(y, w)| y * w).sum();
        pulled.extend(own.iter().zip(w).map(|(y, w)| y * (w - mean)));
        shares.extend(own);
    }
    assert_close(&values, &shares);
    assert_close(&slopes, &pulled);
    Ok(())
}

#[test]
fn half_precision_is_left_to_candle_inside_a_capture_and_outside() -> Result<()> {
    type Activation = fn(&Tensor) -> candle_core::Result<Tensor>;
    let pairs: [(Activation, Activation); 3] = [
        (relu, |x| x.relu()),
        (gelu, |x| x.gelu()),
        (softmax_last_dim, |x| candle_nn::ops::softmax(x, 1)),
    ];
    let (_, mut generator) = seeded("half precision");
    let x = normal(&mut generator, &[3, 5])?.to_dtype(DType::F16)?;
    for (own, candles) in pairs {
        let expected = candles(&x)?.to_dtype(DType::F64)?.to_vec2::<f64>()?;
        for got in [own(&x)?, inside(|| own(&x))?] {
            assert_eq!(got.dtype(), DType::F16);
            assert_eq!(got.to_dtype(DType::F64)?.to_vec2::<f64>()?, expected);
        }
    }
    Ok(())
}

#[test]
fn a_softmax_over_no_numbers_is_an_error_inside_a_capture_and_outside() -> Result<()> {
    let nothing = Tensor::zeros((2, 0), DType::F64, &Device::Cpu)?;
    let outside = softmax_last_dim(&nothing).expect_err("there is no largest number");
    let within = inside(|| softmax_last_dim(&nothing)).expect_err("as outside");
    for error in [outside.to_string(), within.to_string()] {
        assert!(error.contains("empty tensor"), "{error}");
    }
    Ok(())
}
