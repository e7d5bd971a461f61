//! `fjld-checks measure` on a file of 100 MB beside reading it. `cargo build -p fjld-checks && cargo bench -p fjld-benches --bench measure`;
//! the program is `target/debug/fjld-checks`, or what the variable FJLD names. On 4 GB: the example `file`.

use candle_core::{Device, Tensor};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fjld_core::rng::{Seed, standard_normals};
use std::collections::HashMap;
use std::fs::File;
use std::hint::black_box;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

const N: usize = 1000;
const D: usize = 25_000;

fn program() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/debug/fjld-checks");
    env::var_os("FJLD").map_or(built, PathBuf::from)
}

/// The same few thousand draws again and again, from another place in every row.
fn samples(path: &Path) -> candle_core::Result<()> {
    let draws = standard_normals(&mut Seed::root(7).generator(), 8191);
    let numbers: Vec<f32> = draws
        .iter()
        .map(|&x| x as f32)
        .cycle()
        .take(N * D)
        .collect();
    let tensor = Tensor::from_vec(numbers, (N, D), &Device::Cpu)?;
    candle_core::safetensors::save(&HashMap::from([("gradients", tensor)]), path)
}

fn measure(c: &mut Criterion) {
    let program = program();
    if !program.is_file() {
        println!("skipped: there is no {}", program.display());
        return;
    }
    let path = env::temp_dir().join("fjld-bench.safetensors");
    samples(&path).expect("100 MB of room for temporary files");
    let mut group = c.benchmark_group("file of 100 MB");
    group.sample_size(10);
    group.throughput(Throughput::Bytes((N * D * size_of::<f32>()) as u64));
    group.bench_function(BenchmarkId::from_parameter("read"), |b| {
        let mut buffer = vec![0; 1 << 20];
        b.iter(|| {
            let mut file = File::open(&path).expect("it was written");
            while file.read(black_box(&mut buffer)).expect("it can be read") > 0 {}
        });
    });
    group.bench_function(BenchmarkId::from_parameter("measure"), |b| {
        b.iter(|| {
            let mut command = Command::new(&program);
            command.arg("measure").arg(&path).stdout(Stdio::null());
            assert!(command.status().expect("the program runs").success());
        });
    });
    group.finish();
    fs::remove_file(&path).expect("it was written");
}

criterion_group!(benches, measure);
criterion_main!(benches);
