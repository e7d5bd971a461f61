//! Steps of every model in every way, and of perceptrons over batch sizes. `cargo bench -p fjld-benches --bench capture`; ratios that
//! other work on the machine disturbs less are those of the example `overhead`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fjld_benches::jobs::{Job, Model, Place, Way};
use std::hint::black_box;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn steps(c: &mut Criterion) {
    for model in Model::ALL {
        let mut group = c.benchmark_group(format!("step of {}", model.name()));
        group.sample_size(10);
        let job = Job::new(model, true, Place::CPU).expect("a small network");
        for way in Way::ALL {
            group.bench_with_input(BenchmarkId::from_parameter(way.name()), &way, |b, &way| {
                b.iter(|| black_box(job.run(way).expect("the step can be taken")));
            });
        }
        group.finish();
    }
}

fn batches(c: &mut Criterion) {
    let mut group = c.benchmark_group("exact step over batch sizes");
    group.sample_size(10);
    for batch in [32, 128, 512, 2048] {
        let job = Job::new(Model::Mlp(batch), true, Place::CPU).expect("a small network");
        group.throughput(Throughput::Elements(batch as u64));
        for way in [Way::Plain, Way::Exact] {
            let id = BenchmarkId::new(way.name(), batch);
            group.bench_with_input(id, &way, |b, &way| {
                b.iter(|| black_box(job.run(way).expect("the step can be taken")));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, steps, batches);
criterion_main!(benches);
