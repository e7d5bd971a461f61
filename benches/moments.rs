//! How fast moments take gradients in, beside a plain copy of the same bytes.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fjld_core::Moments;
use std::hint::black_box;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn push_batch(c: &mut Criterion) {
    let mut group = c.benchmark_group("moments");
    group.sample_size(10);
    for (rows, d) in [
        (6400, 1_000),
        (16, 100_000),
        (64, 100_000),
        (256, 100_000),
        (64, 1_000_000),
        (8, 10_000_000),
    ] {
        let samples: Vec<f32> = (0..rows * d).map(|i| (i % 97) as f32).collect();
        group.throughput(Throughput::Bytes((samples.len() * size_of::<f32>()) as u64));
        group.bench_with_input(
            BenchmarkId::new(format!("push_batch {rows}"), d),
            &d,
            |b, &d| {
                b.iter(|| {
                    let mut moments = Moments::new(d).expect("there are coordinates");
                    moments
                        .push_batch(&samples)
                        .expect("the numbers are finite");
                    black_box(moments.squared_mean_norm())
                });
            },
        );
        let mut copy = vec![0f32; samples.len()];
        group.bench_with_input(BenchmarkId::new(format!("copy {rows}"), d), &d, |b, _| {
            b.iter(|| black_box(&mut copy).copy_from_slice(black_box(&samples)));
        });
    }
    group.finish();
}

criterion_group!(benches, push_batch);
criterion_main!(benches);
