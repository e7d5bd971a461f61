//! What the interval is made from, against leaving blocks of samples out one after the other, and against pencil.

use crate::exact::{self, Q, dot, exact, number};
use approx::assert_relative_eq;
use candle_core::{DType, Device, Tensor};
use fjld_core::moments::Deviation;
use fjld_core::moments::effective_rank::effective_rank;
use fjld_core::ranks::{Ranks, on_threads};
use fjld_core::ratio::{Spread, Summary};
use fjld_core::{Moments, Undefined};

/// Numbers of size one to ten in at most nine rows: a few dozen roundings, of differences that cost a digit.
const ROUNDING: f64 = 1e-13;

/// Four samples at equal distances from their mean, at the ends of a cross. Of the three ways to take two disjoint differences `a` and `b`
/// of them, one has a = (2, 0), b = (0, 2) and two have a = -b = (1, 1) and the like: `$(a \cdot b)^2 / 4$` is 0, 1 and 1, and
/// `$|a|^2 |b|^2 / 4$` is 4, 1 and 1, so that `1/r = 2/6`.
const CROSS: [f64; 8] = [1.0, 0.0, -1.0, 0.0, 0.0, 1.0, 0.0, -1.0];

fn summary(samples: &[f64], d: usize) -> Result<Summary, Undefined> {
    let mut moments = Moments::new(d).expect("d is not 0");
    moments.push_batch(samples).expect("finite rows");
    Summary::of(&moments)
}

/// The summary of samples `[n, d]` in consecutive blocks of the given lengths, each sum over a block as its definition says.
fn in_blocks(samples: &[f64], d: usize, lengths: &[usize], concentration: f64) -> Summary {
    let n = samples.len() / d;
    let mean: Vec<f64> = (0..d)
        .map(|j| samples.iter().skip(j).step_by(d).sum::<f64>() / n as f64)
        .collect();
    let square = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>();
    let deviations: Vec<Vec<f64>> = samples
        .chunks(d)
        .map(|row| row.iter().zip(&mean).map(|(x, m)| x - m).collect())
        .collect();
    let mut rest = deviations.as_slice();
    let blocks = lengths.iter().map(|&length| {
        let (block, after) = rest.split_at(length);
        rest = after;
        let sum: Vec<f64> = (0..d)
            .map(|j| block.iter().map(|row| row[j]).sum())
            .collect();
        Deviation {
            count: length as u64,
            along_mean: mean.iter().zip(&sum).map(|(m, s)| m * s).sum(),
            squared: square(&sum),
            scatter: block.iter().map(|row| square(row)).sum(),
        }
    });
    Summary {
        samples: n as u64,
        signal: square(&mean),
        blocks: blocks.collect(),
        noise: deviations.iter().map(|row| square(row)).sum::<f64>() / (n - 1) as f64,
        concentration,
    }
}

/// The spread as [`Summary::spread`] describes it, from mean and trace of what is left each time that a block is left out.
fn by_leaving_out(samples: &[f64], d: usize, lengths: &[usize], concentration: f64) -> Spread {
    let all = exact::Moments::of(samples, d);
    let (mut before, mut rest) = (vec![], samples);
    let (mut along, mut log_noise) = (vec![], vec![]);
    for length in lengths {
        let (block, after) = rest.split_at(length * d);
        let others = exact::Moments::of(&[&before, after].concat(), d);
        let deviation: Vec<Q> = (0..d)
            .map(|j| {
                let column = block.iter().skip(j).step_by(d);
                column.map(|x| exact(*x) - &all.mean[j]).sum()
            })
            .collect();
        along.push(number(&(dot(&deviation, &others.mean) / all.noise())));
        log_noise.push(exact::ln(&others.noise()));
        before.extend(block);
        rest = after;
    }
    let (n, blocks) = (all.n as f64, lengths.len() as f64);
    let covariance = |x: &[f64], y: &[f64]| {
        let mean = |v: &[f64]| v.iter().sum::<f64>() / blocks;
        let (a, b) = (mean(x), mean(y));
        let products = x.iter().zip(y).map(|(x, y)| (x - a) * (y - b));
        products.sum::<f64>() / (blocks - 1.0)
    };
    let (of_along, of_log) = (
        covariance(&along, &along),
        covariance(&log_noise, &log_noise),
    );
    let expected = n * number(&(all.signal() / all.noise()));
    Spread {
        along_mean: (blocks * of_along + concentration * concentration) / expected,
        concentration,
        // the jackknife's variance: the sum of squares about the mean, times (k - 1)/k
        noise: (blocks - 1.0) * (blocks - 1.0) / blocks * of_log,
        // what is far from the mean takes noise away when it is left out
        correlation: -covariance(&along, &log_noise) / (of_along * of_log).sqrt(),
    }
}

fn assert_same(found: Spread, right: Spread) {
    assert_relative_eq!(found.along_mean, right.along_mean, max_relative = ROUNDING);
    assert_relative_eq!(
        found.concentration,
        right.concentration,
        max_relative = ROUNDING
    );
    assert_relative_eq!(found.noise, right.noise, max_relative = ROUNDING);
    assert_relative_eq!(
        found.correlation,
        right.correlation,
        max_relative = ROUNDING
    );
}

#[test]
fn the_spread_of_single_samples_is_that_of_leaving_each_of_them_out() {
    let with_an_outlier = [4., 1., 3., 0., 5., 2., 4., -1., 3., 1., 9., 4., 4., 0.];
    let four = [4., 1., 3., 0., 2., 2., 4., -1.];
    for (samples, n) in [(&with_an_outlier[..], 7), (&four, 4)] {
        let summary = summary(samples, 2).expect("noise in every sample");
        let rank = effective_rank(samples.to_vec(), 2).expect("four samples or more");
        let right = by_leaving_out(samples, 2, &vec![1; n], 1.0 / rank);
        // neither is kept at its bound
        assert!(right.along_mean < 1.0 && right.noise > 2.0 / (rank * (n - 1) as f64));
        assert_same(summary.spread(), right);
    }
}

#[test]
fn the_spread_of_blocks_of_unequal_lengths_is_that_of_leaving_each_of_them_out() {
    let samples = [
        4., 1., 3., 0., 5., 2., 4., -1., 3., 1., 4., 0., 2., 1., 9., 4., 4., -3.,
    ];
    let lengths = [2, 3, 1, 3];
    let right = by_leaving_out(&samples, 2, &lengths, 0.5);
    assert!(right.along_mean < 1.0 && right.noise > 2.0 * 0.5 / 8.0);
    assert_same(in_blocks(&samples, 2, &lengths, 0.5).spread(), right);
}

#[test]
fn equal_distances_from_the_mean_have_the_gaussian_spread_and_correlate_with_nothing() {
    // the cross about (1, 0): Tr D_hat = 4/3 whichever is left out, and v is its value for Gaussian noise, 2 / (r (n - 1)) = 2/9.
    // With the mean of the other three, (1, 0) - S/3, the four S have the products 2/3, -4/3, -1/3, -1/3, over 4/3: .5, -1, -.25, -.25.
    // Their variance is 2 x .75^2 / 3 = .375, n P = 4 / (4/3) = 3, and b = (4 x .375 + (1/3)^2) / 3 = 29/54
    let shifted: Vec<f64> = CROSS
        .chunks(2)
        .flat_map(|row| [row[0] + 1.0, row[1]])
        .collect();
    let right = Spread {
        along_mean: 29.0 / 54.0,
        concentration: 1.0 / 3.0,
        noise: 2.0 / 9.0,
        correlation: 0.0,
    };
    assert_same(summary(&shifted, 2).expect("noise").spread(), right);
}

#[test]
fn blocks_that_agree_along_the_mean_correlate_with_nothing() {
    // pairs on either side of the mean (1, 0): no block's sum deviates, and only the distances differ. n P = 6 / (28/5)
    let pairs = [1., 1., 1., -1., 1., 2., 1., -2., 1., 3., 1., -3.];
    let spread = in_blocks(&pairs, 2, &[2, 2, 2], 0.5).spread();
    assert_eq!(spread.correlation, 0.0);
    assert_relative_eq!(
        spread.along_mean,
        0.25 / (6.0 / 5.6),
        max_relative = ROUNDING
    );
}

#[test]
fn a_mean_of_zero_has_the_part_of_the_noise_along_it_that_noise_has_along_itself() {
    // a mean that is noise has the covariance D/n, and E mu'D mu / (E |mu|^2 Tr D) = Tr D^2 / (Tr D)^2
    let spread = summary(&CROSS, 2).expect("noise").spread();
    assert_relative_eq!(spread.along_mean, 1.0 / 3.0, max_relative = ROUNDING);
}

#[test]
fn three_samples_are_taken_for_noise_in_one_direction_and_four_at_right_angles_for_noise_in_ever_so_many()
 {
    // of three, no two differences are disjoint, and 1 is the widest
    let three = [4., 1., 3., 0., 2., 2.];
    assert_eq!(summary(&three, 2).expect("noise").concentration, 1.0);
    // disjoint differences of unit vectors are at right angles: no direction of the noise is seen twice
    let mut four = [0.0; 16];
    (0..4).for_each(|i| four[5 * i] = 1.0);
    assert_eq!(summary(&four, 4).expect("noise").concentration, 0.0);
}

#[test]
fn the_variance_that_one_sample_leaves_is_held_against_the_rounding_of_the_samples() {
    // 1, 1, 1 + k u, 1 + k u and 1.5 in bf16, whose neighbours above 1 are u = 1/128 apart. Without the last, the variance is k^2 u^2 / 3.
    // The rounding floor is 5/4 (2u)^2 times the mean square, u^2 (2 + 2 (1 + k u)^2 + 2.25): 6.38 u^2 for k = 4 and 6.41 u^2 for k = 5.
    // 16/3 is below and 25/3 above; 25/4 and 25/5 would be below
    let of = |k: f64| {
        let samples = [1.0, 1.0, 1.0 + k / 128.0, 1.0 + k / 128.0, 1.5];
        let samples = Tensor::new(&samples, &Device::Cpu)?.reshape((5, 1))?;
        let mut moments = Moments::new(1)?;
        moments.push_tensor(&samples.to_dtype(DType::BF16)?)?;
        Ok::<_, fjld_core::Error>(Summary::of(&moments))
    };
    let rounding = of(4.0).expect("bf16 samples are taken");
    assert_eq!(
        rounding.expect_err("what is left is rounding"),
        Undefined::OneSampleCarriesTheNoise
    );
    assert!(of(5.0).expect("bf16 samples are taken").is_ok());
}

#[test]
fn two_blocks_have_no_interval_however_many_samples_are_in_them() -> fjld_core::Result<()> {
    // each of 128 ranks may keep two of 256 blocks, and only one of them has samples
    for found in on_threads(128, |ranks| {
        let mut moments = Moments::new(1)?;
        if ranks.rank() == 0 {
            moments.push_batch(&[9.0, 10.0, 11.0, 10.0, 9.5, 10.5, 9.8, 10.2])?;
        }
        moments.all_reduce(ranks)?;
        Ok::<_, fjld_core::Error>((moments.count(), Summary::of(&moments)))
    }) {
        let (count, summary) = found?;
        assert_eq!(count, 8);
        let why = summary.expect_err("two blocks");
        assert_eq!(why, Undefined::TooFewForInterval { samples: 2 });
    }
    Ok(())
}

#[test]
fn the_quantile_is_students_for_one_degree_of_freedom_less_than_there_are_blocks() {
    // the .975 quantile for three degrees of freedom, as tables print it to seven digits
    let summary = summary(&[4., 1., 3., 0., 2., 2., 4., -1.], 2).expect("noise");
    let interval = summary.interval(0.95);
    let spread = summary.spread();
    let (low, high) = spread.interval(4, summary.plug_in(), 3.182446);
    assert_relative_eq!(interval.low, low, max_relative = 1e-5);
    assert_relative_eq!(interval.high, high, max_relative = 1e-5);
    assert!(-0.25 < low && low < high, "{low} and {high}");
}

#[test]
fn a_level_within_rounding_of_one_leaves_every_ratio_that_there_can_be() {
    let summary = summary(&[4., 1., 3., 0., 2., 2., 4., -1.], 2).expect("noise");
    let interval = summary.interval(1.0f64.next_down());
    // with n = 4 no plug-in ratio is below 0, and no debiased one below -1/4
    assert_eq!((interval.low, interval.high), (-0.25, f64::INFINITY));
}
