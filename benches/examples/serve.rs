//! Steps on demand, for `peers/compare.py`: `serve MODEL WAY` reads a number of steps a line, and answers with the CPU seconds that
//! they took and the `C` of the last, or `none`. Normalisations have neither scale nor shift.

use fjld_benches::clock::cpu_seconds;
use fjld_benches::jobs::{Job, Model, Place, Way};
use std::env;
use std::error::Error;
use std::io::{BufRead, Write, stdin, stdout};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let [model, way] = [1, 2].map(|at| env::args().nth(at).unwrap_or_default());
    let model = Model::named(&model).ok_or_else(|| format!("`{model}` is no model"))?;
    let way = Way::named(&way).ok_or_else(|| format!("`{way}` is no way"))?;
    let job = Job::new(model, false, Place::CPU)?;
    for line in stdin().lock().lines() {
        let steps: usize = line?.trim().parse()?;
        let start = cpu_seconds();
        let mut c = None;
        for _ in 0..steps {
            c = job.run(way)?;
        }
        let seconds = cpu_seconds() - start;
        let c = c.map_or("none".to_owned(), |c| c.to_string());
        println!("{seconds} {c}");
        stdout().flush()?;
    }
    Ok(())
}
