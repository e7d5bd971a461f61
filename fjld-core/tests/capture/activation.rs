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
