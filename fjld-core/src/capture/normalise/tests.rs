//! The way by tensors, which devices take, on the host.

use super::*;
use crate::capture::{Capture, Captured, LayerNorm, Reduction, linear};
use crate::rng::{Seed, SeededVars, standard_normals};
use candle_core::{DType, Device, Var};
use candle_nn::Module;

const EPS: f64 = 0.5;

/// Sums of at most a dozen products of numbers of a few units.
const TOLERANCE: f64 = 1e-13;

fn draw(name: &str, shape: &[usize]) -> Result<Tensor> {
    let generator = &mut Seed::root(61).derive(name).generator();
    let values = standard_normals(generator, shape.iter().product());
    Tensor::from_vec(values, shape, &Device::Cpu)
}

fn gap(a: &Tensor, b: &Tensor) -> Result<f64> {
    (a - b)?.flatten_all()?.abs()?.max(0)?.to_scalar()
}

#[test]
fn standard_scores_and_their_derivative_are_those_of_the_formula() -> Result<()> {
    let x = Var::from_tensor(&(draw("scores", &[2, 3, 5])? + 1.0)?)?;
    let upstream = draw("upstream", &[2, 3, 5])?;
    for centred in [true, false] {
        let (scores, pull_back) = standard_scores(&x.detach(), centred, EPS)?;
        // by operations that candle differentiates
        let mean = (x.sum_keepdim(2)? * if centred { 0.2 } else { 0.0 })?;
        let apart = x.broadcast_sub(&mean)?;
        let spread = ((apart.sqr()?.sum_keepdim(2)? * 0.2)? + EPS)?.sqrt()?;
        let expected = apart.broadcast_div(&spread)?;
        assert!(gap(&scores, &expected)? < TOLERANCE, "centred: {centred}");
        let store = (&expected * &upstream)?.sum_all()?.backward()?;
        let slope = store.get(&x).expect("the sum depends on it");
        assert!(
            gap(&pull_back(&upstream)?, slope)? < TOLERANCE,
            "centred: {centred}"
        );
    }
    Ok(())
}

#[test]
fn a_layer_of_tensors_is_the_layer_on_the_host() -> crate::Result<()> {
    let vars = SeededVars::new(Seed::root(62));
    let builder = vars.builder(DType::F64, &Device::Cpu);
    // a gradient goes on to the layer before
    let first = linear(4, 4, builder.pp("first"))?;
    let weight = builder.get_with_hints(4, "weight", candle_nn::Init::Const(1.0))?;
    let bias = builder.get_with_hints(4, "bias", candle_nn::Init::Const(0.0))?;
    let parameters = vars.named();
    for (name, var) in &parameters {
        var.set(&draw(name, var.dims())?)?;
    }
    let layer = LayerNorm::new(weight.clone(), bias.clone(), EPS);
    let (inputs, outwards) = (draw("inputs", &[3, 2, 4])?, draw("outwards", &[3, 2, 4])?);
    let by = |forward: &dyn Fn(&Tensor) -> Result<Tensor>| {
        let loss = || (forward(&first.forward(&inputs)?)?.tanh()? * &outwards)?.sum_all();
        Capture::new(3, Reduction::Sum)
            .rows()
            .run(&parameters, loss)
    };
    let by_tensors = by(&|x| {
        let session = Session::current().expect("a capture is running");
        let (scores, pull_back) = standard_scores(&x.detach(), true, EPS)?;
        let scaling = Scaling {
            weight: &weight,
            bias: Some(&bias),
            scores,
            positions: 1,
            pull_back,
        };
        scaling.attach(&session, x)
    })?;
    let on_host = by(&|x| layer.forward(x))?;
    assert!((by_tensors.loss - on_host.loss).abs() < TOLERANCE);
    let rows = |captured: &Captured| -> crate::Result<Tensor> {
        Ok(captured.statistics.rows()?.expect("they were asked for"))
    };
    assert!(gap(&rows(&by_tensors)?, &rows(&on_host)?)? < TOLERANCE);
    Ok(())
}
