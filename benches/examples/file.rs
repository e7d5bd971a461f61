//! `measure` on a large file beside reading it: `file PROGRAM FOLDER GIGABYTES D` writes `n` samples of `D` numbers of `f32` into FOLDER,
//! reads the file and has `PROGRAM measure` read it, in turns, prints the raw row for `benches/results/` and removes the file.

use fjld_benches::rows::{Context, Row};
use fjld_core::rng::{Seed, standard_normals};
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

const ROUNDS: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [program, folder, gigabytes, d] = arguments.as_slice() else {
        return Err("four arguments are needed: PROGRAM FOLDER GIGABYTES D".into());
    };
    let d: usize = d.parse()?;
    let n = (gigabytes.parse::<f64>()? * 1e9 / (4 * d) as f64) as usize;
    let path = Path::new(folder).join("samples.npy");
    write(&path, n, d)?;
    let (mut read, mut measure, mut peak) = (Vec::new(), Vec::new(), 0f64);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let mut file = File::open(&path)?;
        let mut buffer = vec![0; 1 << 20];
        while file.read(&mut buffer)? > 0 {}
        read.push(start.elapsed().as_secs_f64());
        let start = Instant::now();
        peak = peak.max(measured(program, &path)?);
        measure.push(start.elapsed().as_secs_f64());
    }
    fs::remove_file(&path)?;
    let bytes = (n * d * 4) as f64;
    for row in [
        Row::Context(Context::now("fjld-checks measure")),
        Row::File {
            bytes,
            d,
            read,
            measure,
            peak,
        },
    ] {
        println!("{}", serde_json::to_string(&row)?);
    }
    Ok(())
}

/// Runs the program to its end; its largest resident size in bytes, looked at every few milliseconds.
fn measured(program: &str, path: &Path) -> Result<f64, Box<dyn Error>> {
    let mut child = Command::new(program)
        .args(["measure", "--json"])
        .arg(path)
        .stdout(Stdio::null())
        .spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0f64;
    loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|l| l.split_whitespace().next()?.parse::<f64>().ok());
        peak = peak.max(kib.unwrap_or(0.0) * 1024.0);
        if let Some(ended) = child.try_wait()? {
            return match ended.success() {
                true => Ok(peak),
                false => Err(format!("{program} ended with {ended}").into()),
            };
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// A mean of a tenth of the deviation in every coordinate; the same few thousand draws again and again, from another place in every row.
fn write(path: &Path, n: usize, d: usize) -> std::io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({n}, {d}), }}");
    header.push_str(&" ".repeat((64 - (header.len() + 11) % 64) % 64));
    header.push('\n');
    file.write_all(b"\x93NUMPY\x01\x00")?;
    file.write_all(&(header.len() as u16).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    let draws = standard_normals(&mut Seed::root(7).generator(), 8191);
    let bytes: Vec<u8> = draws
        .iter()
        .flat_map(|x| ((x + 0.1) as f32).to_le_bytes())
        .collect();
    let mut left = n * d * 4;
    while left > 0 {
        let piece = left.min(bytes.len());
        file.write_all(&bytes[..piece])?;
        left -= piece;
    }
    file.flush()
}
