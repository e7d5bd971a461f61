//! How often intervals for `C` hold it: `cargo run -p fjld-core --example coverage [REPETITIONS]` writes the table as CSV to standard
//! output. See `fjld-core/coverage/README.md`.

mod methods;
mod worlds;

use fjld_core::rng::Seed;
use methods::METHODS;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use worlds::{Centred, Law, Mean, Noise, spectrum};

const DIMENSIONS: [usize; 5] = [1, 3, 10, 100, 1000];
const CONDITIONS: [f64; 4] = [1.0, 1e2, 1e4, 1e8];
const SAMPLES: [usize; 4] = [10, 30, 100, 1000];
const RATIOS: [f64; 6] = [0.001, 0.01, 0.1, 1.0, 10.0, 100.0];
const LEVEL: f64 = 0.95;

/// Repetitions when none are asked for: the standard error of a coverage of .95 is then .007.
const REPETITIONS: usize = 1000;

/// Repetitions that are drawn and added up together.
const CHUNK: usize = 20;

/// The root of all seeds. Not the one that the methods were shaped on.
const SEED: u64 = 21;

/// What one cell of the table adds up.
#[derive(Clone, Copy, Default)]
struct Tally {
    /// Repetitions that gave an interval.
    intervals: usize,
    covered: [usize; METHODS.len()],
    width: [f64; METHODS.len()],
}

/// A cell, but for `d` and `n`.
struct Cell {
    condition: f64,
    law: Law,
    mean: Mean,
    ratio: f64,
}

fn conditions(d: usize) -> &'static [f64] {
    if d == 1 {
        &CONDITIONS[..1]
    } else {
        &CONDITIONS
    }
}

fn cells(d: usize) -> Vec<Cell> {
    let mut cells = Vec::new();
    for &condition in conditions(d) {
        for law in Law::ALL {
            for &mean in Mean::all(d) {
                cells.extend(RATIOS.map(|ratio| Cell {
                    condition,
                    law,
                    mean,
                    ratio,
                }));
            }
        }
    }
    cells
}

/// All cells of one `d` and `n` over some repetitions, in the order of [`cells`].
fn repeat(d: usize, n: usize, repetitions: std::ops::Range<usize>) -> Vec<Tally> {
    let seed = Seed::root(SEED).derive(&format!("d {d}, n {n}"));
    let mut tallies = vec![Tally::default(); cells(d).len()];
    for repetition in repetitions {
        let generator = &mut seed.derive(&repetition.to_string()).generator();
        let noise = Noise::draw(n, d, generator);
        let mut cell = tallies.iter_mut();
        for &condition in conditions(d) {
            let deviations = spectrum(d, condition);
            for law in Law::ALL {
                let centred = Centred::take(&noise, law, &deviations);
                for index in 0..Mean::all(d).len() {
                    for ratio in RATIOS {
                        let tally = cell.next().expect("cells come in this order");
                        if let Ok(centred) = &centred {
                            tally.add(&centred.moved(index, ratio), ratio);
                        }
                    }
                }
            }
        }
    }
    tallies
}

impl Tally {
    fn add(&mut self, summary: &fjld_core::ratio::Summary, ratio: f64) {
        self.intervals += 1;
        for (index, (_, method)) in METHODS.iter().enumerate() {
            let (low, high) = method(summary, LEVEL);
            self.covered[index] += usize::from((low..=high).contains(&ratio));
            self.width[index] += (high - low) / ratio;
        }
    }

    fn join(&mut self, other: &Self) {
        self.intervals += other.intervals;
        for index in 0..METHODS.len() {
            self.covered[index] += other.covered[index];
            self.width[index] += other.width[index];
        }
    }
}

/// All cells of one `d` and `n`. Chunks are added up in their order, so that the number of threads changes nothing.
fn study(d: usize, n: usize, repetitions: usize) -> Vec<Tally> {
    let chunks = repetitions.div_ceil(CHUNK);
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut parts = std::thread::scope(|scope| {
        for _ in 0..threads {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                loop {
                    let chunk = next.fetch_add(1, Ordering::Relaxed);
                    if chunk >= chunks {
                        return;
                    }
                    let end = repetitions.min((chunk + 1) * CHUNK);
                    let part = repeat(d, n, chunk * CHUNK..end);
                    if sender.send((chunk, part)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        receiver.iter().collect::<Vec<_>>()
    });
    parts.sort_by_key(|&(chunk, _)| chunk);
    let mut whole = vec![Tally::default(); cells(d).len()];
    for (_, part) in &parts {
        whole.iter_mut().zip(part).for_each(|(a, b)| a.join(b));
    }
    whole
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let repetitions = match std::env::args().nth(1) {
        Some(text) => text
            .parse()
            .map_err(|_| format!("REPETITIONS is {text}; it must be a whole number"))?,
        None => REPETITIONS,
    };
    let mut out = std::io::stdout().lock();
    write!(out, "d,condition,law,mean,n,C,repetitions")?;
    for what in ["covers", "width"] {
        for (name, _) in METHODS {
            write!(out, ",{what}_{name}")?;
        }
    }
    writeln!(out)?;
    for d in DIMENSIONS {
        for n in SAMPLES {
            eprintln!("d = {d}, n = {n}");
            for (cell, tally) in cells(d).iter().zip(study(d, n, repetitions)) {
                write!(
                    out,
                    "{d},{:e},{},{},{n},{},{}",
                    cell.condition,
                    cell.law.name(),
                    cell.mean.name(),
                    cell.ratio,
                    tally.intervals
                )?;
                let count = tally.intervals as f64;
                for covered in tally.covered {
                    write!(out, ",{:.3}", covered as f64 / count)?;
                }
                for width in tally.width {
                    write!(out, ",{:.2e}", width / count)?;
                }
                writeln!(out)?;
            }
        }
    }
    Ok(())
}
