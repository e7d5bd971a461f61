//! `C` at the end of every epoch of a small network on handwritten digits: `cargo run --example monitor_digits [LOG.jsonl]`.
//!
//! The layers come from `fjld_core::capture`, and the forward and backward pass is the monitor's; all else is a plain training loop.

mod data;

use candle_core::{DType, Device};
use candle_nn::{Module, Optimizer, SGD, loss::cross_entropy};
use data::Digits;
use fjld_core::capture::linear; // in the place of `candle_nn::linear`
use fjld_core::monitor::{Monitor, Schedule};
use fjld_core::rng::{Seed, SeededVars};

const BATCH: usize = 64;
const EPOCHS: u64 = 10;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let digits = Digits::read()?;
    let vars = SeededVars::new(Seed::root(1).derive("weights"));
    let builder = vars.builder(DType::F32, &Device::Cpu);
    let net = candle_nn::seq()
        .add(linear(data::PIXELS, 32, builder.pp("hidden"))?)
        .add_fn(|x| x.relu())
        .add(linear(32, data::CLASSES, builder.pp("head"))?);
    let parameters = vars.named();
    let mut sgd = SGD::new(parameters.iter().map(|(_, var)| var.clone()).collect(), 0.2)?;

    let epoch = digits.batches(BATCH) as u64;
    let mut monitor = Monitor::new(BATCH as u64, Schedule::every(epoch)?)?;
    if let Some(path) = std::env::args().nth(1) {
        monitor = monitor.create(path)?;
    }
    for step in 0..EPOCHS * epoch + 1 {
        let (x, y) = digits.batch(step as usize, BATCH)?;
        let done = monitor.step(step, BATCH, &parameters, |examples| {
            let (start, count) = (examples.start, examples.len());
            cross_entropy(
                &net.forward(&x.narrow(0, start, count)?)?,
                &y.narrow(0, start, count)?,
            )
        })?;
        sgd.step(&done.gradients)?;
        if let Some(reading) = &done.reading {
            println!("{}", reading.line("Epoch", step / epoch));
        }
        for event in &done.events {
            println!("  {event}");
        }
    }
    println!("test accuracy {:.3}", digits.accuracy(|x| net.forward(x))?);
    println!("{}", monitor.overhead());
    Ok(())
}
