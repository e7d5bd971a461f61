//! A training step with the exact `C` beside one without.

mod step;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use step::{Step, Way};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn steps(c: &mut Criterion) {
    for batch in [128, 1024] {
        let mut group = c.benchmark_group(format!("step of {batch} examples"));
        group.sample_size(20);
        let mut step = Step::new(batch).expect("a small network");
        for way in Way::ALL {
            group.bench_with_input(BenchmarkId::from_parameter(way.name()), &way, |b, &way| {
                b.iter(|| black_box(step.run(way).expect("the step can be taken")));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, steps);
criterion_main!(benches);
