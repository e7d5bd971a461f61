//! The effective rank of the noise: how many directions it is spread over, as if evenly. 1 for noise along one line, `d` for isotropic
//! noise.
//!
//! ```math
//! r = \frac{(\Tr D)^2}{\Tr D^2}
//! ```
//!
//! The ratio of the sample covariance's own traces is far too small once `d` is not small against `n`: it never exceeds `n - 1`. So
//! both traces are replaced by their unbiased estimators (Himeno and Yamada 2014, *Journal of Multivariate Analysis* 130), which assume
//! nothing of the distribution.
//!
//! Legend: `n` samples `x_i` in `d` coordinates, `S` their covariance with the divisor `n - 1`, `K` the `[n, n]` matrix of inner products
//! of the centred samples.

use crate::range::vector_to_unit;

/// The fewest samples that the unbiased estimators exist for.
pub const FEWEST_SAMPLES: u64 = 4;

/// Rows and columns of a tile: two tiles of 32 x 1024 numbers fit in the second-level cache.
const TILE_ROWS: usize = 32;
const TILE_COLUMNS: usize = 1024;

/// Multiplications below which starting a thread costs more than it saves: some milliseconds of work.
const WORTH_A_THREAD: usize = 20_000_000;

/// An estimate of `Tr(D^2)` below this part of the terms it is a difference of is their rounding: each is a sum of products with an
/// error of about `sqrt(d)` times 1e-16.
const CANCELLATION: f64 = 1e-11;

/// Why samples give no effective rank. A result, not an error.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Undefined {
    /// The estimators have a factor `1/(n-3)`.
    #[error("the effective rank needs at least 4 samples; there are {samples}")]
    TooFewSamples {
        /// The number of samples.
        samples: u64,
    },
    /// Nothing is left of `Tr(D^2)` once the bias is taken away.
    #[error(
        "the unbiased estimate of Tr(D^2) is {estimate:e} of (Tr D)^2, zero to rounding: no direction of the noise is seen in more than one pair of samples"
    )]
    NoSpread {
        /// The estimate, over that of `(Tr D)^2`.
        estimate: f64,
    },
}

/// Unbiased estimates of the two traces.
#[derive(Clone, Copy, Debug)]
pub struct Traces {
    /// Of `(Tr D)^2`.
    pub square_of_trace: f64,
    /// Of `Tr(D^2)`.
    pub trace_of_square: f64,
    /// How much of `trace_of_square` may be rounding.
    rounding: f64,
}

/// Estimates `(Tr D)^2` and `Tr(D^2)` without bias from samples `[n, d]`, row after row:
///
/// ```math
/// \begin{aligned}
/// \widehat{\Tr D^2} &= \frac{n - 1}{n (n - 2)(n - 3)} \bigl( (n - 1)(n - 2) \Tr S^2 + (\Tr S)^2 - n Q \bigr) \\
/// \widehat{(\Tr D)^2} &= \frac{n - 1}{n (n - 2)(n - 3)} \bigl( 2 \Tr S^2 + (n^2 - 3 n + 1) (\Tr S)^2 - n Q \bigr) \\
/// Q &= \frac{1}{n - 1} \sum_i |x_i - \bar x|^4
/// \end{aligned}
/// ```
///
/// They are the averages of `$\frac14 \bigl( (x_i - x_j) \cdot (x_k - x_l) \bigr)^2$` and `$\frac14 |x_i - x_j|^2 |x_k - x_l|^2$` over
/// four distinct samples: neither is negative, and their ratio is not below 1. `min(n, d) n d` multiplications, the same bits with any
/// number of threads.
///
/// # Errors
/// With fewer than four samples.
pub fn traces(samples: Vec<f64>, dimension: usize) -> Result<Traces, Undefined> {
    traces_with(samples, dimension, candle_core::utils::get_num_threads)
}

/// [`traces`] with as many threads as `threads` says, which is asked only where the work is worth more than one.
fn traces_with(
    mut samples: Vec<f64>,
    dimension: usize,
    threads: impl Fn() -> usize,
) -> Result<Traces, Undefined> {
    let count = samples.len() / dimension.max(1);
    if (count as u64) < FEWEST_SAMPLES {
        return Err(Undefined::TooFewSamples {
            samples: count as u64,
        });
    }
    centre(&mut samples, dimension);
    let norms: Vec<f64> = samples
        .chunks_exact(dimension)
        .map(|row| inner_product(row, row))
        .collect();
    let n = count as f64;
    let trace = norms.iter().sum::<f64>() / (n - 1.0);
    let fourth = norms.iter().map(|norm| norm * norm).sum::<f64>() / (n - 1.0);
    // Tr(S^2) is |K|^2 / (n-1)^2, and just as well that of the [d, d] products of the columns, where those are fewer
    let gram = if count <= dimension {
        squared_gram_norm(&samples, dimension, &threads)
    } else {
        squared_gram_norm(&transposed(&samples, dimension), count, &threads)
    };
    let square = gram / (n - 1.0).powi(2);
    let factor = (n - 1.0) / (n * (n - 2.0) * (n - 3.0));
    let whole = (n - 1.0) * (n - 2.0) * square + trace * trace;
    Ok(Traces {
        square_of_trace: factor
            * (2.0 * square + (n * n - 3.0 * n + 1.0) * trace * trace - n * fourth),
        trace_of_square: factor * (whole - n * fourth),
        rounding: factor * whole * CANCELLATION,
    })
}

/// The effective rank `$(\Tr D)^2 / \Tr D^2$`, each trace estimated without bias, from samples `[n, d]`, row after row. At least 1, now
/// and then above `d`, and the same whatever the samples are multiplied by.
///
/// # Errors
/// With fewer than four samples, or where the estimate of `Tr(D^2)` is zero to rounding.
pub fn effective_rank(mut samples: Vec<f64>, dimension: usize) -> Result<f64, Undefined> {
    // fourth powers of the entries leave the range of numbers early
    let unit = vector_to_unit(&samples);
    samples.iter_mut().for_each(|x| *x *= unit);
    let traces = traces(samples, dimension)?;
    if traces.trace_of_square <= traces.rounding || traces.trace_of_square.is_nan() {
        // samples that are all the same leave nothing to compare with either
        let estimate = match traces.square_of_trace > 0.0 {
            true => traces.trace_of_square / traces.square_of_trace,
            false => 0.0,
        };
        return Err(Undefined::NoSpread { estimate });
    }
    Ok(traces.square_of_trace / traces.trace_of_square)
}

fn centre(samples: &mut [f64], dimension: usize) {
    let n = (samples.len() / dimension) as f64;
    let mut mean = vec![0.0; dimension];
    for row in samples.chunks_exact(dimension) {
        mean.iter_mut().zip(row).for_each(|(m, x)| *m += x / n);
    }
    samples
        .chunks_exact_mut(dimension)
        .for_each(|row| row.iter_mut().zip(&mean).for_each(|(x, m)| *x -= m));
}

fn transposed(samples: &[f64], dimension: usize) -> Vec<f64> {
    (0..dimension)
        .flat_map(|column| samples.iter().skip(column).step_by(dimension).copied())
        .collect()
}

/// The sum of the squares of all inner products between two rows of a matrix with rows of length `width`.
fn squared_gram_norm(matrix: &[f64], width: usize, threads: &impl Fn() -> usize) -> f64 {
    let tiles: Vec<&[f64]> = matrix.chunks(TILE_ROWS * width).collect();
    let pairs: Vec<(usize, usize)> = (0..tiles.len())
        .flat_map(|i| (i..tiles.len()).map(move |j| (i, j)))
        .collect();
    let work = &|&(i, j): &(usize, usize)| {
        let both_ways = if i == j { 1.0 } else { 2.0 };
        both_ways * squared_products(tiles[i], tiles[j], width)
    };
    let multiplications = pairs.len() * TILE_ROWS * TILE_ROWS * width;
    if multiplications < 2 * WORTH_A_THREAD {
        return pairs.iter().map(work).sum();
    }
    let threads = threads().clamp(1, multiplications / WORTH_A_THREAD);
    let share = pairs.len().div_ceil(threads);
    let mut sums = vec![0.0; pairs.len()];
    std::thread::scope(|scope| {
        for (sums, pairs) in sums.chunks_mut(share).zip(pairs.chunks(share)) {
            scope.spawn(move || {
                for (sum, pair) in sums.iter_mut().zip(pairs) {
                    *sum = work(pair);
                }
            });
        }
    });
    // in order, so that threads have no say in the rounding
    sums.iter().sum()
}

/// The sum of the squares of the inner products between the rows of two tiles, taken a strip of columns at a time.
fn squared_products(a: &[f64], b: &[f64], width: usize) -> f64 {
    let mut products = [[0.0; TILE_ROWS]; TILE_ROWS];
    for start in (0..width).step_by(TILE_COLUMNS) {
        let strip = start..width.min(start + TILE_COLUMNS);
        for (row_a, products) in a.chunks_exact(width).zip(&mut products) {
            for (row_b, product) in b.chunks_exact(width).zip(products) {
                *product += inner_product(&row_a[strip.clone()], &row_b[strip.clone()]);
            }
        }
    }
    products.iter().flatten().map(|p| p * p).sum()
}

/// Eight running sums, for the compiler to keep in vector registers.
fn inner_product(a: &[f64], b: &[f64]) -> f64 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut lanes = [0.0; 8];
    for (x, y) in a.iter().zip(b) {
        for (lane, (x, y)) in lanes.iter_mut().zip(x.iter().zip(y)) {
            *lane += x * y;
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    lanes.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Seed, standard_normals};
    use approx::assert_relative_eq;

    /// The exact expectation of both estimators over all samples of size `n` from a population of equally likely points.
    fn expectations(population: &[[f64; 2]], n: usize) -> Traces {
        let total = population.len().pow(n as u32);
        let mut sums = [0.0; 2];
        for mut index in 0..total {
            let mut sample = Vec::new();
            for _ in 0..n {
                sample.extend(population[index % population.len()]);
                index /= population.len();
            }
            let traces = traces(sample, 2).expect("four samples or more");
            sums[0] += traces.square_of_trace;
            sums[1] += traces.trace_of_square;
        }
        Traces {
            square_of_trace: sums[0] / total as f64,
            trace_of_square: sums[1] / total as f64,
            rounding: 0.0,
        }
    }

    #[test]
    fn over_all_samples_of_a_small_population_both_estimators_average_to_the_truth() {
        let three: &[[f64; 2]] = &[[1.0, 0.0], [-2.0, 3.0], [0.5, 1.0]];
        let two: &[[f64; 2]] = &[[1.0, 5.0], [-0.25, 2.0]];
        for (population, n) in [(three, 4), (three, 6), (two, 5)] {
            let count = population.len() as f64;
            let mean = |f: &dyn Fn(&[f64; 2]) -> f64| population.iter().map(f).sum::<f64>() / count;
            let (a, b) = (mean(&|x| x[0]), mean(&|x| x[1]));
            let aa = mean(&|x| (x[0] - a).powi(2));
            let ab = mean(&|x| (x[0] - a) * (x[1] - b));
            let bb = mean(&|x| (x[1] - b).powi(2));
            let average = expectations(population, n);
            assert_relative_eq!(
                average.square_of_trace,
                (aa + bb).powi(2),
                max_relative = 1e-12
            );
            assert_relative_eq!(
                average.trace_of_square,
                aa * aa + 2.0 * ab * ab + bb * bb,
                max_relative = 1e-12
            );
        }
    }

    /// Both estimators as what they are: averages over four distinct samples.
    fn by_quadruples(samples: &[f64], d: usize) -> (f64, f64) {
        let rows: Vec<&[f64]> = samples.chunks(d).collect();
        let n = rows.len();
        let product = |i: usize, j: usize, k: usize, l: usize| -> f64 {
            (0..d)
                .map(|c| (rows[i][c] - rows[j][c]) * (rows[k][c] - rows[l][c]))
                .sum()
        };
        let (mut square_of_trace, mut trace_of_square, mut count) = (0.0, 0.0, 0.0);
        for index in 0..n.pow(4) {
            let [i, j, k, l] = [1, n, n * n, n * n * n].map(|place| index / place % n);
            let distinct = i != j && i != k && i != l && j != k && j != l && k != l;
            if distinct {
                square_of_trace += product(i, j, i, j) * product(k, l, k, l) / 4.0;
                trace_of_square += product(i, j, k, l).powi(2) / 4.0;
                count += 1.0;
            }
        }
        (square_of_trace / count, trace_of_square / count)
    }

    #[test]
    fn the_estimators_are_averages_over_quadruples_for_wide_and_for_tall_samples() {
        for (n, d) in [(4, 3), (6, 19), (8, 2), (7, 7)] {
            let samples = standard_normals(&mut Seed::root(8).generator(), n * d);
            let (square_of_trace, trace_of_square) = by_quadruples(&samples, d);
            let traces = traces(samples, d).expect("four samples or more");
            assert_relative_eq!(
                traces.square_of_trace,
                square_of_trace,
                max_relative = 1e-12
            );
            assert_relative_eq!(
                traces.trace_of_square,
                trace_of_square,
                max_relative = 1e-12
            );
        }
    }

    #[test]
    fn tiles_and_strips_give_the_plain_sum_of_squared_products() {
        // beyond one tile of rows and one strip of columns, and no multiple of either
        let (rows, width) = (TILE_ROWS * 2 + 3, TILE_COLUMNS + 13);
        let matrix = standard_normals(&mut Seed::root(3).generator(), rows * width);
        let mut plain = 0.0;
        for a in matrix.chunks(width) {
            for b in matrix.chunks(width) {
                plain += a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>().powi(2);
            }
        }
        assert_relative_eq!(
            squared_gram_norm(&matrix, width, &|| 1),
            plain,
            max_relative = 1e-12
        );
    }

    #[test]
    fn isotropic_noise_has_the_rank_of_its_space_even_with_far_fewer_samples() {
        // r = 400 from 60 samples, whose own covariance has rank 59. For normal noise the relative standard error of Tr(D^2)_hat is about
        // sqrt(4/n^2 + 8/(n d)) (Chen, Zhang and Zhong 2010, JASA 105), which is 3.8%: the band is five of them
        let (n, d) = (60, 400);
        let mut samples = standard_normals(&mut Seed::root(21).generator(), n * d);
        samples.iter_mut().for_each(|x| *x += 10.0);
        let rank = effective_rank(samples, d).expect("isotropic noise");
        assert!((336.0..494.0).contains(&rank), "{rank}");
    }

    #[test]
    fn noise_along_one_line_has_rank_one_at_any_scale() {
        let line = [1.0, 4.0, -2.0, 0.5, 3.0]
            .map(|t| [t, 2.0 * t, -t])
            .concat();
        for exponent in [-900, -300, 0, 300, 900] {
            let scaled = line.iter().map(|x| x * 2f64.powi(exponent)).collect();
            let rank = effective_rank(scaled, 3).expect("five samples on a line");
            assert_relative_eq!(rank, 1.0, max_relative = 1e-12);
        }
    }

    #[test]
    fn samples_that_show_no_spread_twice_have_no_rank() {
        // one sample away from all others: every product of two disjoint differences is zero
        let outlier = vec![0.1, 0.7, 0.1, 0.7, 0.1, 0.7, 0.1, 0.7, 9.3, -4.1];
        assert!(matches!(
            effective_rank(outlier, 2),
            Err(Undefined::NoSpread { .. })
        ));
        assert!(effective_rank(vec![0.0; 20], 2).is_err());
        assert_eq!(
            effective_rank(vec![1.0, 2.0, 3.0], 1),
            Err(Undefined::TooFewSamples { samples: 3 })
        );
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        // enough work for three threads
        let (n, d) = (200, 5000);
        let samples = standard_normals(&mut Seed::root(2).generator(), n * d);
        let with = |threads: usize| {
            let traces = traces_with(samples.clone(), d, || threads).expect("four samples or more");
            (traces.square_of_trace, traces.trace_of_square)
        };
        assert_eq!(with(1), with(3));
    }

    #[test]
    fn noise_that_no_two_pairs_of_samples_share_is_undefined_with_what_is_left_of_the_estimate() {
        // corners of a regular simplex, one of them off by h. Of the products of disjoint differences two are h^2 and one is 0, a quarter of
        // whose mean is h^2/6, and |x_i - x_j|^2 |x_k - x_l|^2 / 4 is 1 but for 2h: all of it times 1.5^4
        let h = 2f64.powi(-19);
        let mut samples = vec![0.0; 16];
        (0..4).for_each(|i| samples[5 * i] = 1.5);
        samples[3 * 4] = 1.5 * h;
        let Err(Undefined::NoSpread { estimate }) = effective_rank(samples, 4) else {
            panic!("6e-13 may be the rounding of a sum over many coordinates");
        };
        // some 20 roundings of 2e-16 in the difference of numbers of size one that it is
        assert_relative_eq!(estimate, h * h / 6.0, max_relative = 1e-2);
    }

    #[test]
    fn threads_are_asked_for_only_where_two_have_enough_to_do() {
        let asked = std::cell::Cell::new(0);
        let threads = || {
            asked.set(asked.get() + 1);
            8
        };
        // one pair of tiles takes 32 x 32 multiplications for each column: 40 millions are 39062.5 columns
        for (width, times) in [(1, 0), (39_062, 0), (39_063, 1)] {
            asked.set(0);
            // the squares of 3 w, 4 w (twice) and 16/3 w
            let matrix = [vec![3f64.sqrt(); width], vec![4.0 / 3f64.sqrt(); width]].concat();
            let norm = squared_gram_norm(&matrix, width, &threads);
            let w = width as f64;
            let right = (9.0 + 2.0 * 16.0 + 256.0 / 9.0) * w * w;
            // sums of up to 39,063 equal numbers in eight running sums
            assert_relative_eq!(norm, right, max_relative = 1e-12);
            assert_eq!(asked.get(), times, "{width} columns");
        }
        // 80 millions are four threads' shares to the last multiplication
        let matrix = vec![1.0; 78_125];
        let norm = squared_gram_norm(&matrix, 78_125, &threads);
        assert_eq!((norm, asked.get()), (78_125f64.powi(2), 2));
    }
}
