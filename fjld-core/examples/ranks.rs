//! `C` of a data-parallel step, exactly and by the cheap form, over shards of unequal sizes:
//!
//! ```text
//! cargo run --example ranks                                     # 4 threads in the place of ranks
//! cargo build --example ranks --features fjld-core/mpi
//! mpirun -n 4 target/debug/examples/ranks                       # 4 processes
//! ```
//!
//! Every rank also measures all examples by itself, and the program fails where the two differ by more than rounding.

use candle_core::{DType, Device, Tensor};
use candle_nn::{Module, loss::cross_entropy};
use fjld_core::capture::{Capture, Reduction, Share, Statistics, linear};
use fjld_core::ranks::Ranks;
use fjld_core::rng::{Seed, SeededVars, standard_normals};
use fjld_core::{Error, Ratio};
use std::process::ExitCode;

const EXAMPLES: usize = 300;
const INPUTS: usize = 20;
const CLASSES: usize = 5;

/// Sums of 300 terms in `f64`, taken in another order, and a difference of them.
const ROUNDING: f64 = 1e-12;

/// Statistics of the examples from one number to another, of a network that is the same on every rank.
fn measure(from: usize, to: usize) -> fjld_core::Result<Statistics> {
    let seed = Seed::root(9);
    let vars = SeededVars::new(seed.derive("weights"));
    let vb = vars.builder(DType::F64, &Device::Cpu);
    let hidden = linear(INPUTS, 16, vb.pp("hidden"))?;
    let head = linear(16, CLASSES, vb.pp("head"))?;
    let x = standard_normals(&mut seed.derive("data").generator(), EXAMPLES * INPUTS);
    let x = Tensor::from_vec(x, (EXAMPLES, INPUTS), &Device::Cpu)?;
    let y = x
        .narrow(1, 0, CLASSES)?
        .argmax(1)?
        .narrow(0, from, to - from)?;
    let x = x.narrow(0, from, to - from)?;
    let captured = Capture::new(to - from, Reduction::Mean)
        .rows()
        .run(&vars.named(), || {
            cross_entropy(&head.forward(&hidden.forward(&x)?.relu()?)?, &y)
        })?;
    Ok(captured.statistics)
}

/// What the ranks find together, and what one finds that holds everything.
fn step(ranks: &impl Ranks) -> fjld_core::Result<[(f64, Ratio); 2]> {
    // the later the rank, the larger its shard
    let start = |rank: usize| rank * (rank + 1) * EXAMPLES / (ranks.size() * (ranks.size() + 1));
    let own = measure(start(ranks.rank()), start(ranks.rank() + 1))?;
    let shares = own.all_reduce(ranks)?;
    let together = Share::sum("all parameters", &shares);
    // the draws were kept, so that there is an interval too
    let mut moments = own.moments()?.expect("the draws were kept");
    moments.all_reduce(ranks)?;
    let whole = measure(0, EXAMPLES)?;
    let alone = whole.moments()?.expect("the draws were kept");
    let c = |share: &Share| share.debiased().unwrap_or(f64::NAN);
    Ok([
        (c(&together), Ratio::estimate(&moments, 0.95)?),
        (c(&whole.whole()?), Ratio::estimate(&alone, 0.95)?),
    ])
}

/// Prints, on the first rank, and says whether the two agree.
fn report(ranks: &impl Ranks) -> fjld_core::Result<bool> {
    let found = step(ranks)?;
    let [together, alone] = found.each_ref().map(|(c, _)| *c);
    if ranks.rank() == 0 {
        for (who, (c, ratio)) in ["ranks", "alone"].iter().zip(&found) {
            print!("{who}: C per example {c:.15}");
            match ratio.estimates.as_ref().map(|e| e.interval.as_ref()) {
                Ok(Ok(i)) => println!(" [{:.6}, {:.6}]", i.low, i.high),
                _ => println!(", no interval"),
            }
        }
        println!(
            "{} ranks differ from one by {:.1e}",
            ranks.size(),
            (together / alone - 1.0).abs()
        );
    }
    Ok((together / alone - 1.0).abs() <= ROUNDING)
}

#[cfg(feature = "mpi")]
fn run() -> fjld_core::Result<bool> {
    let universe =
        mpi::initialize().ok_or_else(|| Error::Capture("MPI was started twice".into()))?;
    report(&fjld_core::ranks::MpiRanks(&universe.world()))
}

#[cfg(not(feature = "mpi"))]
fn run() -> fjld_core::Result<bool> {
    let found = fjld_core::ranks::on_threads(4, |ranks| report(ranks));
    found
        .into_iter()
        .try_fold(true, |agree, own| Ok::<_, Error>(agree && own?))
}

/// A rank that fails ends with an error, by which the launcher ends the others.
fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("the ranks and the one that holds all differ");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
