//! What measuring costs: steps of several models in several ways, in rounds that take turns, so that whatever else the machine does falls
//! on all of them; the memory of each; and how fast moments take gradients in.
//!
//! `cargo run -p fjld-benches --example overhead [-- [--json] [--rounds N] [MODEL|memory|moments]...]` prints a table, or with `--json`
//! the raw rows for `benches/results/`. Models are `mlp128`, `mlp1024`, `resnet64`, `gpt16`, or any other batch size. Threads are
//! RAYON_NUM_THREADS. With the feature `cuda`, `--device cuda` runs on the GPU, there also in `--dtype bf16`; the models are then
//! `wide-resnet128` and `wide-gpt64` if none is named.
//!
//! Set MIMALLOC_PURGE_DELAY=-1 on a machine that does other work: without it the allocator gives pages back whenever more than 10 ms pass,
//! and page faults are timed.

use candle_core::{DType, Device};
use fjld_benches::clock::{Times, take_turns};
use fjld_benches::jobs::{Job, Model, Place, Way, disagreement, rayon_threads};
use fjld_benches::results::tables;
use fjld_benches::rows::{Context, Row};
use fjld_core::Moments;
use std::error::Error;
use std::hint::black_box;
use std::{env, fs, process};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What gradients in `f64` by two routes may differ by, relative to the largest entry of each parameter's: candle 0.11 has the constants of
/// the derivative of its gelu to six digits.
const TOLERANCE: f64 = 1e-6;

/// Examples that the routes are compared on.
const COMPARED: usize = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let (mut json, mut rounds, mut what) = (false, 15, Vec::new());
    let mut place = Place::CPU;
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => json = true,
            "--rounds" => rounds = arguments.next().unwrap_or_default().parse()?,
            "--device" => {
                place.device = match arguments.next().as_deref() {
                    Some("cpu") => Device::Cpu,
                    Some("cuda") => Device::new_cuda(0)?,
                    other => return Err(format!("--device {other:?}: cpu or cuda").into()),
                }
            }
            "--dtype" => place.dtype = arguments.next().unwrap_or_default().parse()?,
            // a process of its own, see `memory`
            "--steps-of" => {
                let (model, way) = (arguments.next(), arguments.next());
                return steps_of(&model.unwrap_or_default(), &way.unwrap_or_default());
            }
            _ => what.push(argument),
        }
    }
    if what.is_empty() && !place.device.is_cpu() {
        what = Model::WIDE.map(Model::name).into();
    } else if what.is_empty() {
        what = Model::ALL.map(Model::name).into();
        what.extend(["memory".into(), "moments".into()]);
    }
    let mut versions = "candle 0.11.1".to_owned();
    if !place.device.is_cpu() {
        versions = format!("{versions}, {}", gpu());
    }
    let mut rows = vec![Row::Context(Context::now(&versions))];
    for what in what {
        match (what.as_str(), Model::named(&what)) {
            ("memory", _) => rows.extend(memory()?),
            ("moments", _) => rows.extend(moments(rounds)?),
            (_, Some(model)) => rows.extend(steps(model, rounds, &place)?),
            _ => return Err(format!("`{what}` is no model, nor `memory` nor `moments`").into()),
        }
    }
    if json {
        for row in &rows {
            println!("{}", serde_json::to_string(row)?);
        }
    } else {
        print!("{}", tables(&rows));
    }
    Ok(())
}

/// The first GPU and its driver, as the system names them.
fn gpu() -> String {
    let told = process::Command::new("nvidia-smi")
        .args(["--query-gpu=name,driver_version", "--format=csv,noheader"])
        .output();
    let told = told.map(|told| String::from_utf8_lossy(&told.stdout).into_owned());
    let first = told
        .ok()
        .and_then(|told| Some(told.lines().next()?.replace(", ", ", driver ")));
    first.unwrap_or_else(|| "a GPU that the system does not name".into())
}

fn steps(model: Model, rounds: usize, place: &Place) -> fjld_core::Result<Vec<Row>> {
    let exact = Place {
        dtype: DType::F64,
        ..place.clone()
    };
    let (gap, parameter) = disagreement(&Job::new(model.with(COMPARED), true, exact)?)?;
    assert!(
        gap < TOLERANCE,
        "the captured layers' gradients of {} differ from candle's by {gap} in {parameter}: nothing is compared",
        model.name()
    );
    let job = Job::new(model, true, place.clone())?;
    let mut ways: Vec<Box<dyn FnMut() -> fjld_core::Result<()> + '_>> = Vec::new();
    // faer's products are the processor's
    let on_host = place.device.is_cpu();
    let all = Way::ALL.iter().copied();
    let all: Vec<Way> = all
        .filter(|&way| on_host || way != Way::FaerProducts)
        .collect();
    for &way in &all {
        let job = &job;
        ways.push(Box::new(move || {
            job.run(way).map(|c| {
                black_box(c);
            })
        }));
    }
    let times = take_turns(&mut ways, rounds, 0.1)?;
    let row = |(way, Times { wall, cpu }): (Way, Times)| Row::Steps {
        model: model.name(),
        way: way.name().into(),
        device: if on_host { "cpu" } else { "cuda" }.into(),
        dtype: place.dtype.as_str().into(),
        threads: rayon_threads(),
        operations: job.operations(),
        wall,
        cpu,
    };
    Ok(all.into_iter().zip(times).map(row).collect())
}

fn memory() -> Result<Vec<Row>, Box<dyn Error>> {
    let own = env::current_exe()?;
    let mut rows = Vec::new();
    for model in Model::ALL {
        for way in ["none", "plain", "fastest", "exact", "diagonal", "kfac"] {
            let output = process::Command::new(&own)
                .args(["--steps-of", &model.name(), way])
                .output()?;
            let bytes = String::from_utf8(output.stdout)?.trim().parse()?;
            rows.push(Row::Memory {
                model: model.name(),
                way: way.into(),
                bytes,
            });
        }
    }
    Ok(rows)
}

/// A few steps, and the largest resident memory since the process began.
fn steps_of(model: &str, way: &str) -> Result<(), Box<dyn Error>> {
    let model = Model::named(model).ok_or("no such model")?;
    let job = Job::new(model, true, Place::CPU)?;
    if let Some(way) = Way::named(way) {
        for _ in 0..3 {
            black_box(job.run(way)?);
        }
    }
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: f64 = peak
        .and_then(|peak| peak.split_whitespace().next())
        .ok_or("the system does not tell the largest resident memory")?
        .parse()?;
    println!("{}", kib * 1024.0);
    Ok(())
}

fn moments(rounds: usize) -> fjld_core::Result<Vec<Row>> {
    let mut rows = Vec::new();
    // along n and along d
    for (n, d) in [
        (16, 100_000),
        (64, 100_000),
        (256, 100_000),
        (64, 10_000),
        (64, 1_000_000),
        (16, 10_000_000),
    ] {
        let samples: Vec<f32> = (0..n * d).map(|i| (i % 97) as f32).collect();
        let mut copied = samples.clone();
        let mut known = Moments::new(d)?;
        let mut ways: Vec<Box<dyn FnMut() -> fjld_core::Result<()> + '_>> = vec![
            Box::new(|| {
                known.push_batch(&samples)?;
                black_box(&known);
                Ok(())
            }),
            Box::new(|| {
                black_box(&mut copied).copy_from_slice(black_box(&samples));
                Ok(())
            }),
        ];
        let times = take_turns(&mut ways, rounds.min(7), 0.05)?;
        drop(ways);
        let [push, copy] = [0, 1].map(|at: usize| times[at].wall.clone());
        rows.push(Row::Moments { n, d, push, copy });
    }
    Ok(rows)
}
