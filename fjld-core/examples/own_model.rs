//! Measuring `C` on a model of one's own while it trains: `cargo run -p fjld-core --example own_model`.
//!
//! Two things differ from training without the measurement: the layers come from `fjld_core::capture`, and the loss is taken inside
//! `Capture::run`, which does the backward pass and returns the gradients for the optimiser.

use candle_core::{DType, Device, Tensor};
use candle_nn::{Module, Optimizer, SGD, VarBuilder, loss::cross_entropy};
use fjld_core::capture::{Capture, Linear, Reduction, linear}; // in the place of `candle_nn::{Linear, linear}`
use fjld_core::rng::{Generator, Seed, SeededVars, standard_normals};

struct Net {
    hidden: Linear,
    head: Linear,
}

impl Net {
    fn new(vb: VarBuilder) -> candle_core::Result<Self> {
        Ok(Self {
            hidden: linear(INPUTS, 32, vb.pp("hidden"))?,
            head: linear(32, CLASSES, vb.pp("head"))?,
        })
    }
}

impl Module for Net {
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        self.head.forward(&self.hidden.forward(x)?.relu()?)
    }
}

fn main() -> fjld_core::Result<()> {
    let vars = SeededVars::new(Seed::root(1).derive("weights"));
    let net = Net::new(vars.builder(DType::F32, &Device::Cpu))?;
    let parameters = vars.named();
    let mut sgd = SGD::new(vars.named().into_iter().map(|(_, var)| var).collect(), 0.5)?;
    let mut generator = Seed::root(1).derive("data").generator();
    for step in 0..10 {
        let (x, y) = batch(&mut generator)?;
        let captured = Capture::new(BATCH, Reduction::Mean)
            .interval()
            .run(&parameters, || cross_entropy(&net.forward(&x)?, &y))?;
        sgd.step(&captured.gradients)?;
        let ratio = captured.statistics.ratio(0.95)?;
        print!("step {step}: loss {:.3}, ", captured.loss);
        match ratio.estimates.map(|c| (c.debiased, c.interval)) {
            Ok((c, Ok(i))) => println!("C per example {c:.4} [{:.4}, {:.4}]", i.low, i.high),
            Ok((c, Err(reason))) => println!("C per example {c:.4}, no interval: {reason}"),
            Err(reason) => println!("C undefined: {reason}"),
        }
    }
    Ok(())
}

const BATCH: usize = 128;
const INPUTS: usize = 10;
const CLASSES: usize = 4;

/// Normal inputs, `[BATCH, INPUTS]`, each labelled by the largest of its first few coordinates after some noise.
fn batch(generator: &mut Generator) -> candle_core::Result<(Tensor, Tensor)> {
    let x = standard_normals(generator, BATCH * INPUTS);
    let x = Tensor::from_vec(x, (BATCH, INPUTS), &Device::Cpu)?;
    let noise = standard_normals(generator, BATCH * CLASSES);
    let noise = Tensor::from_vec(noise, (BATCH, CLASSES), &Device::Cpu)?;
    let y = (x.narrow(1, 0, CLASSES)? + (noise * 0.3)?)?.argmax(1)?;
    Ok((x.to_dtype(DType::F32)?, y))
}
