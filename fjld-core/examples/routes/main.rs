//! The two routes to per-example gradients against each other on the device of one's choice: one pass through the captured layers, and
//! candle's autograd example by example. `cargo run -p fjld-core --example routes -- --device cpu`; with `--features cuda` also
//! `--device cuda`, which holds every result against the CPU's too.
//!
//! It prints the worst relative gap of each model, and ends with 1 where one is beyond its tolerance, with 2 where the device is not to be
//! had.

mod measured;
#[expect(
    dead_code,
    reason = "its tests freeze a layer, which nothing here does"
)]
#[path = "../../tests/golden/models.rs"]
mod models;
mod subject;

use candle_core::{DType, Device};
use fjld_core::Result;
use measured::{Measured, captured, plain};
use std::process::ExitCode;
use subject::{Kind, Subject};

/// A bound on relative gaps, in roundings of the type: sums of up to a few hundred products, taken in other orders, through half a dozen
/// layers, and the special functions of another device, which are right to a few units in the last place.
const ROUNDINGS: f64 = 1000.0;

fn tolerance(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => ROUNDINGS * f64::EPSILON,
        _ => ROUNDINGS * f64::from(f32::EPSILON),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let device = match words.as_slice() {
        [] | ["--device", "cpu"] => Ok(Device::Cpu),
        ["--device", "cuda"] => Device::new_cuda(0),
        _ => {
            eprintln!("accepted is --device cpu and --device cuda; got {words:?}");
            return ExitCode::from(2);
        }
    };
    let device = match device {
        Ok(device) => device,
        Err(error) => {
            eprintln!("there is no such device: {error}");
            return ExitCode::from(2);
        }
    };
    match compare(&device) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(1)
        }
    }
}

/// Whether every gap is within its tolerance.
fn compare(device: &Device) -> Result<bool> {
    let mut within = true;
    for dtype in [DType::F32, DType::F64] {
        for kind in [Kind::Mlp, Kind::Cnn, Kind::Gpt] {
            let here = Subject::new(kind, dtype, device)?;
            let measured = captured(&here)?;
            within &= judged(kind, dtype, "autograd", &measured, &plain(&here)?);
            if !device.is_cpu() {
                let there = captured(&Subject::new(kind, dtype, &Device::Cpu)?)?;
                within &= judged(kind, dtype, "the CPU", &measured, &there);
            }
        }
    }
    Ok(within)
}

/// Prints the worst gap, and says whether it is within the tolerance.
fn judged(kind: Kind, dtype: DType, against: &str, got: &Measured, expected: &Measured) -> bool {
    let (name, gap) = got.worst_gap(expected);
    let limit = tolerance(dtype);
    let within = gap <= limit;
    println!(
        "{kind:?} in {dtype:?} against {against}: worst gap {gap:.1e} of {limit:.1e} in the {name}{}",
        if within { "" } else { ": TOO LARGE" }
    );
    within
}
