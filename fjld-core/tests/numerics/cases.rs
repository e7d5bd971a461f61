//! Samples from easy to hopeless.

use fjld_core::rng::{Seed, standard_normals};

/// What the samples are multiplied by. Squares of the outer two are no 64-bit numbers.
pub const SCALES: [f64; 8] = [1e-300, 1e-160, 1e-152, 1e-100, 1.0, 1e100, 1e143, 1e300];

/// How many standard deviations the mean is away from 0.
pub const OFFSETS: [f64; 6] = [0.0, 1.0, 1e4, 1e8, 1e12, 1e15];

/// `(n, d)`: the fewest samples in one and in several dimensions, and more rows than are worked on at a time.
pub const SIZES: [(usize, usize); 5] = [(2, 1), (2, 3), (7, 1), (9, 2), (66, 2)];

/// `n` rows of `d` coordinates with deviations of about `scale` from `offset * scale`.
pub fn samples(n: usize, d: usize, offset: f64, scale: f64) -> Vec<f64> {
    let z = standard_normals(&mut Seed::root(71).generator(), n * d);
    z.iter().map(|z| (offset + z) * scale).collect()
}

/// Whether squares of them are numbers: every one is at most `2^480`.
pub fn fit(samples: &[f64]) -> bool {
    samples.iter().all(|x| x.abs() <= 2f64.powi(480))
}

/// Every combination of them, with a name for messages.
pub fn all() -> impl Iterator<Item = (String, usize, f64, Vec<f64>)> {
    SIZES.into_iter().flat_map(|(n, d)| {
        OFFSETS.into_iter().flat_map(move |offset| {
            // what is no number itself is refused for that, which another test sees
            let numbers = SCALES
                .into_iter()
                .filter(move |scale| offset * scale < 1e307);
            numbers.map(move |scale| {
                let name = format!("n = {n}, d = {d}, a mean of {offset} deviations of {scale:e}");
                (name, d, scale, samples(n, d, offset, scale))
            })
        })
    })
}
