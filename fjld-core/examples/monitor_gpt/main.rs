//! `C` while a small transformer learns to write: `cargo run --example monitor_gpt [LOG.jsonl]`.
//!
//! Measured by microbatches, which work for every model: these layers are candle-nn's own. The schedule looks closely where `C` is
//! about to cross 1 and seldom elsewhere. The unit is an example, a stretch of text: per character `C` would be another number.

mod model;
mod text;

use candle_core::DType;
use candle_nn::{AdamW, Optimizer, ParamsAdamW, loss::cross_entropy};
use fjld_core::monitor::{Monitor, Schedule};
use fjld_core::rng::{Seed, SeededVars};
use model::Gpt;
use text::{KINDS, Text};

const BATCH: usize = 32;
const CONTEXT: usize = 16;
const STEPS: u64 = 200;

fn main() -> fjld_core::Result<()> {
    let device = candle_core::Device::Cpu;
    let vars = SeededVars::new(Seed::root(1).derive("weights"));
    let gpt = Gpt::new(KINDS, CONTEXT, vars.builder(DType::F32, &device))?;
    let parameters = vars.named();
    let adam = ParamsAdamW {
        lr: 3e-3,
        ..ParamsAdamW::default()
    };
    let mut adam = AdamW::new(
        parameters.iter().map(|(_, var)| var.clone()).collect(),
        adam,
    )?;
    let text = Text::new(Seed::root(1).derive("text"));

    // of so many readings some would leave 1 by chance at the usual 0.95
    let mut monitor = Monitor::new(BATCH as u64, Schedule::adaptive(2, 20)?)?
        .level(0.99)?
        .microbatches(16)?
        .plateau(40, 0.05)?;
    if let Some(path) = std::env::args().nth(1) {
        monitor = monitor.create(path)?;
    }
    for step in 0..STEPS {
        let (x, y) = text.batch(step, BATCH, CONTEXT, &device)?;
        let done = monitor.step(step, BATCH, &parameters, |examples| {
            let (start, count) = (examples.start, examples.len());
            let scores = gpt.forward(&x.narrow(0, start, count)?)?.flatten_to(1)?;
            cross_entropy(&scores, &y.narrow(0, start, count)?.flatten_all()?)
        })?;
        adam.step(&done.gradients)?;
        if let Some(reading) = &done.reading {
            println!("{}", reading.line("Step", step));
        }
        for event in &done.events {
            println!("  {event}");
        }
    }
    println!("{}", monitor.overhead());
    Ok(())
}
