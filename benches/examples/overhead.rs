//! What measuring costs: the time of a training step with the exact `C` over that of a step without, in rounds that take turns, so that
//! whatever else the machine does falls on both. `cargo run -p fjld-benches --example overhead`.

#[path = "../step.rs"]
mod step;

use std::time::Instant;
use step::{Step, Way};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 41;
const EXAMPLES_A_ROUND: usize = 2048;

fn main() -> fjld_core::Result<()> {
    for batch in [128, 1024] {
        let mut step = Step::new(batch)?;
        let mut times = [const { Vec::new() }; 3];
        // the first round warms the caches and the allocator up
        for round in 0..=ROUNDS {
            for (way, times) in Way::ALL.into_iter().zip(&mut times) {
                let start = Instant::now();
                for _ in 0..EXAMPLES_A_ROUND / batch {
                    step.run(way)?;
                }
                if round > 0 {
                    let steps = (EXAMPLES_A_ROUND / batch) as f64;
                    times.push(start.elapsed().as_secs_f64() * 1e3 / steps);
                }
            }
        }
        for (way, own) in Way::ALL.into_iter().zip(&times) {
            let ratios = own.iter().zip(&times[0]).map(|(own, plain)| own / plain);
            println!(
                "batch {batch}, {}: {:.2} ms a step, {:.2} of the plain one",
                way.name(),
                median(own.clone()),
                median(ratios.collect())
            );
        }
    }
    Ok(())
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
