//! Properties of moments and ratio over generated samples, with NaN, infinities, one coordinate and two samples in scope.

use fjld_core::ratio::at_batch_size;
use fjld_core::rng::{Seed, permutation, standard_normals};
use fjld_core::{Error, Estimates, Moments, Ratio};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestCaseResult, TestRng, TestRunner};

/// Rounding of sums over at most 40 x 8 terms whose mean is at most 1000 times their spread: 1e6 roundings of 1e-16, and some room.
const ROUNDING: f64 = 1e-9;

/// Samples `[n, d]`: a mean of any size between nothing and 1000 times the noise, columns of unequal noise.
#[derive(Clone, Debug)]
struct Samples {
    n: usize,
    d: usize,
    values: Vec<f64>,
}

prop_compose! {
    fn samples(fewest: usize)(
        n in fewest..40,
        d in 1usize..8,
        seed in any::<u64>(),
        mean in prop_oneof![Just(0.0), -3.0..3.0f64, Just(1000.0)],
    ) -> Samples {
        let generator = &mut Seed::root(seed).generator();
        let mut values = standard_normals(generator, n * d);
        for row in values.chunks_mut(d) {
            for (j, x) in row.iter_mut().enumerate() {
                *x = mean + *x / (1.0 + j as f64);
            }
        }
        Samples { n, d, values }
    }
}

/// Runs a property with draws of its own, the same every time.
fn check<S: Strategy>(name: &str, strategy: S, property: impl Fn(S::Value) -> TestCaseResult) {
    let mut seed = [0u8; 32];
    for (place, byte) in name.bytes().enumerate() {
        seed[place % 32] ^= byte;
    }
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(200)
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    if let Err(error) = TestRunner::new_with_rng(config, rng).run(&strategy, property) {
        panic!("{name}: {error}");
    }
}

fn moments(values: &[f64], d: usize) -> Moments {
    let mut moments = Moments::new(d).expect("d is not 0");
    moments.push_batch(values).expect("finite rows");
    moments
}

fn estimates(values: &[f64], d: usize) -> Estimates {
    Ratio::estimate(&moments(values, d), 0.95)
        .expect("two samples or more")
        .estimates
        .expect("normal draws are noisy")
}

/// Both within `tolerance` of each other, relative to the larger of them and `1/n`, the size of what debiasing takes away.
fn close(a: f64, b: f64, tolerance: f64) -> TestCaseResult {
    let size = a.abs().max(b.abs()).max(0.01);
    prop_assert!((a - b).abs() <= tolerance * size, "{a} and {b}");
    Ok(())
}

fn same(a: &Estimates, b: &Estimates, tolerance: f64) -> TestCaseResult {
    close(a.plug_in, b.plug_in, tolerance)?;
    close(a.debiased, b.debiased, tolerance)?;
    match (&a.interval, &b.interval) {
        (Ok(a), Ok(b)) => {
            // ends are looked for to 1e-15 in a logarithm and pass through fourth moments: ten times the rounding
            close(a.low, b.low, 10.0 * tolerance)?;
            close(a.high, b.high, 10.0 * tolerance)
        }
        (a, b) => {
            prop_assert_eq!(a, b);
            Ok(())
        }
    }
}

#[test]
fn scaling_the_loss_leaves_the_ratio_and_its_interval() {
    check("scale", (samples(2), 1e-6..1e6f64), |(s, scale)| {
        let scaled: Vec<f64> = s.values.iter().map(|x| -scale * x).collect();
        same(
            &estimates(&s.values, s.d),
            &estimates(&scaled, s.d),
            ROUNDING,
        )
    });
}

#[test]
fn the_order_of_the_samples_does_not_matter() {
    check("permutation", (samples(2), any::<u64>()), |(s, seed)| {
        let order = permutation(&mut Seed::root(seed).generator(), s.n);
        let shuffled: Vec<f64> = order
            .iter()
            .flat_map(|&i| s.values[i * s.d..(i + 1) * s.d].iter().copied())
            .collect();
        same(
            &estimates(&s.values, s.d),
            &estimates(&shuffled, s.d),
            ROUNDING,
        )
    });
}

#[test]
fn a_rotation_leaves_the_ratio_and_its_interval() {
    check("rotation", (samples(2), any::<u64>()), |(s, seed)| {
        // a reflection in a random direction turns every coordinate into every other
        let direction = standard_normals(&mut Seed::root(seed).generator(), s.d);
        let square: f64 = direction.iter().map(|u| u * u).sum();
        let mut turned = s.values.clone();
        for row in turned.chunks_mut(s.d) {
            let along: f64 = row.iter().zip(&direction).map(|(x, u)| x * u).sum();
            row.iter_mut()
                .zip(&direction)
                .for_each(|(x, u)| *x -= 2.0 * along / square * u);
        }
        same(
            &estimates(&s.values, s.d),
            &estimates(&turned, s.d),
            ROUNDING,
        )
    });
}

#[test]
fn taking_every_sample_twice_multiplies_the_plug_in_by_its_known_factor() {
    // the scatter doubles and the mean stays: |mu|^2 (2n-1) / (2 scatter) over |mu|^2 (n-1) / scatter
    check("twice", samples(2), |s| {
        let twice = [s.values.as_slice(), s.values.as_slice()].concat();
        let n = s.n as f64;
        let factor = (2.0 * n - 1.0) / (2.0 * n - 2.0);
        let once = estimates(&s.values, s.d);
        close(
            estimates(&twice, s.d).plug_in,
            factor * once.plug_in,
            ROUNDING,
        )?;
        close(once.debiased, once.plug_in - 1.0 / n, ROUNDING)
    });
}

#[test]
fn a_linear_map_moves_the_plug_in_within_the_square_of_its_condition() {
    check("condition", (samples(2), 1.0..50.0f64), |(s, condition)| {
        // singular values from 1 to `condition`, one a coordinate
        let last = (s.d.max(2) - 1) as f64;
        let mut mapped = s.values.clone();
        for row in mapped.chunks_mut(s.d) {
            for (j, x) in row.iter_mut().enumerate() {
                *x *= condition.powf(j as f64 / last);
            }
        }
        let (before, after) = (estimates(&s.values, s.d), estimates(&mapped, s.d));
        let bound = condition * condition * (1.0 + ROUNDING);
        prop_assert!(after.plug_in <= before.plug_in * bound);
        prop_assert!(after.plug_in >= before.plug_in / bound);
        Ok(())
    });
}

#[test]
fn means_over_batches_have_the_noise_that_exhaustive_pairing_gives() {
    // every pair of samples, drawn with replacement, as a batch of two: its covariance over all pairs is half of that of the samples,
    // with divisors n and n^2
    check("batch", samples(2), |s| {
        let mut pairs = Vec::new();
        for a in s.values.chunks(s.d) {
            for b in s.values.chunks(s.d) {
                pairs.extend(a.iter().zip(b).map(|(x, y)| 0.5 * (x + y)));
            }
        }
        let with_divisor = |values: &[f64]| {
            let count = (values.len() / s.d) as f64;
            estimates(values, s.d).plug_in * count / (count - 1.0)
        };
        let expected = at_batch_size(with_divisor(&s.values), 1, 2).expect("sizes are positive");
        close(with_divisor(&pairs), expected, ROUNDING)
    });
}

#[test]
fn merging_parts_in_any_grouping_gives_the_whole() {
    check("merge", (samples(3), any::<[usize; 2]>()), |(s, cuts)| {
        let mut cuts = cuts.map(|c| c % (s.n + 1) * s.d);
        cuts.sort_unstable();
        let [a, b, c] = [
            &s.values[..cuts[0]],
            &s.values[cuts[0]..cuts[1]],
            &s.values[cuts[1]..],
        ]
        .map(|part| moments(part, s.d));
        let mut left = a.clone();
        left.merge(&b).expect("one dimension");
        left.merge(&c).expect("one dimension");
        let mut right = b;
        right.merge(&c).expect("one dimension");
        let mut first = a;
        first.merge(&right).expect("one dimension");
        let whole = estimates(&s.values, s.d);
        for merged in [left, first] {
            prop_assert_eq!(merged.count(), s.n as u64);
            let ratio = Ratio::estimate(&merged, 0.95).expect("three samples");
            same(&whole, &ratio.estimates.expect("noisy"), ROUNDING)?;
        }
        Ok(())
    });
}

#[test]
fn a_number_that_is_not_finite_is_refused_with_its_place_and_leaves_no_trace() {
    let bad = prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY)];
    check(
        "finite",
        (samples(2), any::<usize>(), bad),
        |(s, place, bad)| {
            let mut values = s.values.clone();
            let place = place % values.len();
            values[place] = bad;
            let mut taken = moments(&s.values, s.d);
            let before = taken.clone();
            match taken.push_batch(&values) {
                Err(Error::NotFinite { row, column, .. }) => {
                    prop_assert_eq!((row, column), ((s.n + place / s.d) as u64, place % s.d));
                }
                other => prop_assert!(false, "{other:?}"),
            }
            prop_assert_eq!(taken.count(), before.count());
            prop_assert_eq!(taken.mean(), before.mean());
            Ok(())
        },
    );
}

#[test]
fn two_samples_of_one_coordinate_have_the_ratio_of_pencil_and_no_interval() {
    // mean (a+b)/2, variance (a-b)^2/2
    check("two", (-100.0..100.0f64, 0.01..100.0f64), |(a, gap)| {
        let b = a + gap;
        let estimates = estimates(&[a, b], 1);
        close(
            estimates.plug_in,
            (a + b).powi(2) / (2.0 * gap * gap),
            ROUNDING,
        )?;
        prop_assert!(estimates.interval.is_err());
        Ok(())
    });
}
