//! A bounded record of the samples, by which the interval leaves one out: the sums of consecutive blocks of rows.
//!
//! A jackknife needs, for every block it leaves out, the inner products of the block's sum with itself and with the mean. Those are
//! kept by a sketch: exact while `d <= WIDTH`; beyond that coordinates are folded onto `WIDTH` places with pseudo-random signs (a
//! count sketch, Charikar, Chen and Farach-Colton 2002), which keeps inner products unbiased with a variance of `|x|^2 |y|^2 / WIDTH`.
//! A folded sketch therefore widens the interval once the effective rank exceeds `WIDTH`, and never narrows it in expectation.

use super::Sample;
use crate::error::Result;
use crate::ranks::{self, Ranks};
use crate::wide::wide;
use rayon::prelude::*;

/// Places a row is folded onto.
pub(super) const WIDTH: usize = 2048;

/// Blocks kept before neighbours are joined: the memory bound is `BLOCKS * WIDTH` numbers.
const BLOCKS: usize = 256;

/// Sums over consecutive rows.
#[derive(Clone, Debug)]
pub(crate) struct Blocks {
    width: usize,
    /// Rows in a full block; doubles whenever neighbours are joined.
    rows_per_block: u64,
    counts: Vec<u64>,
    /// Sum of squared deviations of a block's rows from the block's mean.
    within: Vec<f64>,
    /// Sums of the blocks' rows, `[blocks, width]`.
    sums: Vec<f64>,
}

/// What leaving out one block of consecutive samples takes away, relative to the mean `mu_hat` of all of them.
#[derive(Clone, Copy, Debug)]
pub struct Deviation {
    /// Rows in the block.
    pub count: u64,
    /// `$\hat\mu \cdot \sum_i (g_i - \hat\mu)$` over the block.
    pub along_mean: f64,
    /// `$|\sum_i (g_i - \hat\mu)|^2$` over the block.
    pub squared: f64,
    /// `$\sum_i |g_i - \hat\mu|^2$` over the block.
    pub scatter: f64,
}

/// A row on the places of the sketch.
pub(crate) struct Folded {
    places: Vec<f64>,
    /// Whether all places are, and with them all entries: what is not stays so whatever is added.
    pub finite: bool,
}

impl Blocks {
    pub fn new(dimension: usize) -> Self {
        Self {
            width: dimension.min(WIDTH),
            rows_per_block: 1,
            counts: Vec::new(),
            within: Vec::new(),
            sums: Vec::new(),
        }
    }

    /// Rows of length `d` next to each other, each folded for [`Blocks::push`], over the pool.
    pub fn fold<T: Sample>(&self, rows: &[T], d: usize) -> Vec<Folded> {
        rows.par_chunks_exact(d)
            .with_min_len((super::TASK / d).max(1))
            .map(|row| Folded::new(row, self.width))
            .collect()
    }

    /// Takes folded rows in, one after the other.
    pub fn push(&mut self, rows: impl IntoIterator<Item = Folded>) {
        for row in rows {
            match self.counts.last() {
                Some(&count) if count < self.rows_per_block => {
                    self.join(self.counts.len() - 1, 1, 0.0, &row.places);
                }
                _ => {
                    self.counts.push(1);
                    self.within.push(0.0);
                    self.sums.extend(row.places);
                    self.halve_when_full();
                }
            }
        }
    }

    pub fn merge(&mut self, other: &Self) {
        self.counts.extend(&other.counts);
        self.within.extend(&other.within);
        self.sums.extend(&other.sums);
        self.rows_per_block = self.rows_per_block.max(other.rows_per_block);
        self.halve_when_full();
    }

    /// The blocks of all ranks, rank after rank: each joins neighbours first until all of them together are as many as one may keep.
    pub fn all_reduce(&mut self, ranks: &impl Ranks) -> Result<()> {
        while self.counts.len() > (BLOCKS / ranks.size()).max(1) {
            self.halve();
        }
        let kept = ranks::gather(ranks, &[self.counts.len() as f64])?;
        let of_ranks = |ranks: &[f64]| ranks.iter().sum::<f64>() as usize;
        let (before, all) = (of_ranks(&kept[..ranks.rank()]), of_ranks(&kept));
        // `each` numbers a block
        let among_all = |own: &[f64], each: usize| -> Result<Vec<f64>> {
            let mut numbers = vec![0.0; all * each];
            numbers[before * each..][..own.len()].copy_from_slice(own);
            ranks.add(&mut numbers)?;
            Ok(numbers)
        };
        let counts: Vec<f64> = self.counts.iter().map(|&count| count as f64).collect();
        let counts = among_all(&counts, 1)?;
        let within = among_all(&self.within, 1)?;
        let sums = among_all(&self.sums, self.width)?;
        let rows_per_block = ranks::largest(ranks, self.rows_per_block as f64)?;
        *self = Self {
            width: self.width,
            rows_per_block: rows_per_block as u64,
            counts: counts.into_iter().map(|count| count as u64).collect(),
            within,
            sums,
        };
        self.halve_when_full();
        Ok(())
    }

    /// Adds rows with the given count, within-scatter and sum to block `index`.
    fn join(&mut self, index: usize, count: u64, within: f64, sum: &[f64]) {
        let (a, b) = (self.counts[index] as f64, count as f64);
        let own = &mut self.sums[index * self.width..(index + 1) * self.width];
        let gap = wide(
            #[inline(always)]
            || add_with_gap(own, 1.0 / a, sum, 1.0 / b),
        );
        self.within[index] += within + gap * a * b / (a + b);
        self.counts[index] += count;
    }

    fn halve_when_full(&mut self) {
        while self.counts.len() > BLOCKS {
            self.halve();
        }
    }

    /// Joins neighbours pair by pair.
    fn halve(&mut self) {
        let old = std::mem::replace(self, Self::new(self.width));
        self.rows_per_block = old.rows_per_block * 2;
        for (index, sum) in old.sums.chunks_exact(old.width).enumerate() {
            if index % 2 == 0 {
                self.counts.push(old.counts[index]);
                self.within.push(old.within[index]);
                self.sums.extend(sum);
            } else {
                self.join(index / 2, old.counts[index], old.within[index], sum);
            }
        }
    }

    fn mean(&self) -> Vec<f64> {
        let total: u64 = self.counts.iter().sum();
        let mut mean = vec![0.0; self.width];
        for sum in self.sums.chunks_exact(self.width) {
            mean.iter_mut().zip(sum).for_each(|(m, s)| *m += s);
        }
        mean.iter_mut().for_each(|m| *m /= total as f64);
        mean
    }

    /// `sum (g_i - mu_hat) / sqrt(count)` for every block, `[blocks, width]`, and the width. Each has the covariance of one row, less
    /// the part `count / n` of it, whatever the number of rows in its block.
    pub fn standardised(&self) -> (Vec<f64>, usize) {
        let mean = self.mean();
        let sums = self.sums.chunks_exact(self.width);
        let rows = self.counts.iter().zip(sums).flat_map(|(&count, sum)| {
            let rows = count as f64;
            let deviation = move |(s, m): (&f64, &f64)| (s - rows * m) / rows.sqrt();
            sum.iter().zip(&mean).map(deviation)
        });
        (rows.collect(), self.width)
    }

    /// Each block's deviation from the mean of all rows.
    pub fn deviations(&self) -> Vec<Deviation> {
        let mean = self.mean();
        let blocks = self.counts.iter().zip(&self.within);
        blocks
            .zip(self.sums.chunks_exact(self.width))
            .map(|((&count, &within), sum)| {
                let rows = count as f64;
                let (mut along_mean, mut squared) = (0.0, 0.0);
                for (s, m) in sum.iter().zip(&mean) {
                    let deviation = s - rows * m;
                    along_mean += m * deviation;
                    squared += deviation * deviation;
                }
                Deviation {
                    count,
                    along_mean,
                    squared,
                    scatter: within + squared / rows,
                }
            })
            .collect()
    }
}

impl Folded {
    /// The first `width` coordinates keep their sign, so that a short row is kept as it is.
    fn new<T: Sample>(row: &[T], width: usize) -> Self {
        let mut places = vec![0.0; width];
        let finite = wide(
            #[inline(always)]
            || {
                let (first, later) = row.split_at(width);
                let own = places.iter_mut().zip(first);
                own.for_each(|(place, &x)| *place = x.into());
                for (layer, rest) in later.chunks(width).enumerate() {
                    let words = places.chunks_mut(64).zip(rest.chunks(64));
                    for (word, (places, lanes)) in words.enumerate() {
                        let signs = mix((layer * width.div_ceil(64) + word) as u64);
                        add_signed(places, lanes, signs);
                    }
                }
                let finite = places.iter().map(|place| place.is_finite());
                finite.fold(true, |all, one| all & one)
            },
        );
        Self { places, finite }
    }
}

/// Adds up to 64 numbers to their places, each with the sign that its bit of `signs` says.
#[inline(always)]
fn add_signed<T: Sample>(places: &mut [f64], numbers: &[T], signs: u64) {
    for (lane, (place, &x)) in (0u32..).zip(places.iter_mut().zip(numbers)) {
        let sign = signs.wrapping_shl(63 - lane) & 1 << 63;
        *place += f64::from_bits(x.into().to_bits() ^ sign);
    }
}

/// Adds `y` to `x`, and returns `|p x - q y|^2` for the `x` before, in eight running sums. The squares are written down first: the
/// compiler works on several at a time only where none waits for a sum.
#[inline(always)]
fn add_with_gap(x: &mut [f64], p: f64, y: &[f64], q: f64) -> f64 {
    let add = |x: &mut f64, y: f64| {
        let gap = p * *x - q * y;
        *x += y;
        gap * gap
    };
    let eights = x.len() / 8 * 8;
    let ((x, x_rest), (y, y_rest)) = (x.split_at_mut(eights), y.split_at(eights));
    let (mut squares, mut lanes) = ([0.0; 64], [0.0; 8]);
    for (x, y) in x.chunks_mut(64).zip(y.chunks(64)) {
        for (square, (x, &y)) in squares.iter_mut().zip(x.iter_mut().zip(y)) {
            *square = add(x, y);
        }
        for eight in squares[..y.len()].as_chunks::<8>().0 {
            for (lane, square) in lanes.iter_mut().zip(eight) {
                *lane += square;
            }
        }
    }
    let rest = x_rest.iter_mut().zip(y_rest).map(|(x, &y)| add(x, y));
    lanes.iter().sum::<f64>() + rest.sum::<f64>()
}

/// 64 well-mixed bits of a counter (the output function of SplitMix64, Steele, Lea and Flood 2014).
#[inline(always)]
fn mix(counter: u64) -> u64 {
    let mut z = counter.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Seed, standard_normals};
    use approx::assert_relative_eq;

    #[test]
    fn joined_blocks_keep_the_scatter_and_the_count_of_their_rows() {
        let (rows, d) = (3 * BLOCKS + 5, 3);
        let samples = standard_normals(&mut Seed::root(5).generator(), rows * d);
        let mut blocks = Blocks::new(d);
        for row in samples.chunks(d) {
            blocks.push(blocks.fold(row, d));
        }
        let deviations = blocks.deviations();
        assert!(deviations.len() <= BLOCKS);
        assert_eq!(deviations.iter().map(|b| b.count).sum::<u64>(), rows as u64);
        let n = rows as f64;
        let scatter: f64 = (0..d)
            .map(|j| {
                let column = || samples.iter().skip(j).step_by(d);
                let mean = column().sum::<f64>() / n;
                column().map(|x| (x - mean).powi(2)).sum::<f64>()
            })
            .sum();
        let kept: f64 = deviations.iter().map(|b| b.scatter).sum();
        // 10,000 additions of numbers of size one
        assert_relative_eq!(kept, scatter, max_relative = 1e-11);
    }

    #[test]
    fn a_gap_is_added_up_in_eight_running_sums_whatever_the_length() {
        for length in [1, 7, 8, 63, 64, 65, 2048, 2053] {
            let numbers = standard_normals(&mut Seed::root(13).generator(), 2 * length);
            let (x, y) = numbers.split_at(length);
            let gap = |i: usize| (0.5 * x[i] - 0.25 * y[i]) * (0.5 * x[i] - 0.25 * y[i]);
            let eights = length / 8 * 8;
            let mut lanes = [0.0; 8];
            (0..eights).for_each(|i| lanes[i % 8] += gap(i));
            let plain = lanes.iter().sum::<f64>() + (eights..length).map(gap).sum::<f64>();
            let mut sum = x.to_vec();
            let found = add_with_gap(&mut sum, 0.5, y, 0.25);
            assert_eq!(found.to_bits(), plain.to_bits());
            let sums: Vec<f64> = x.iter().zip(y).map(|(x, y)| x + y).collect();
            assert_eq!(sum, sums);
        }
    }

    #[test]
    fn a_row_is_folded_as_one_sign_after_the_other_says() {
        // neither a whole number of layers, nor of words, nor of fours
        let (width, d) = (WIDTH, 3 * WIDTH + 64 * 5 + 7);
        let row = standard_normals(&mut Seed::root(12).generator(), d);
        let mut plain = row[..width].to_vec();
        for (place, x) in row[width..].iter().enumerate() {
            let (layer, column) = (place / width, place % width);
            let signs = mix((layer * width.div_ceil(64) + column / 64) as u64);
            let turned = signs >> (column % 64) & 1 == 1;
            plain[column] += if turned { -x } else { *x };
        }
        assert_eq!(Folded::new(&row, width).places, plain);
    }

    #[test]
    fn folding_keeps_inner_products_unbiased_and_as_tight_as_promised() {
        // two fixed vectors with inner product 0 and squared norms d, under many shifts of the sign pattern: the folded inner
        // product has mean 0 and standard deviation d / sqrt(WIDTH)
        let d = 8 * WIDTH;
        let trials = 200;
        let generator = &mut Seed::root(9).generator();
        let products: Vec<f64> = (0..trials)
            .map(|_| {
                let x = standard_normals(generator, d);
                let y = standard_normals(generator, d);
                let exact: f64 = x.iter().zip(&y).map(|(a, b)| a * b).sum();
                let folded: f64 = Folded::new(&x, WIDTH)
                    .places
                    .iter()
                    .zip(Folded::new(&y, WIDTH).places)
                    .map(|(a, b)| a * b)
                    .sum();
                (folded - exact) * (WIDTH as f64).sqrt() / d as f64
            })
            .collect();
        let mean = products.iter().sum::<f64>() / trials as f64;
        let square = products.iter().map(|p| p * p).sum::<f64>() / trials as f64;
        // 7/8 of all coordinate pairs of a place come from two different layers; 5 standard errors either way
        assert!(mean.abs() < 5.0 / (trials as f64).sqrt(), "mean {mean}");
        assert!((0.5..1.5).contains(&square), "mean square {square}");
    }

    #[test]
    fn the_bits_of_the_signs_are_those_of_splitmix64() {
        // what the authors' own program gives from the seed 0, whose state goes up by the same odd number before every output
        let published = [
            0xE220_A839_7B1D_CDAF,
            0x6E78_9E6A_A1B9_65F4,
            0x06C4_5D18_8009_454F,
            0xF88B_B8A8_724C_81EC,
        ];
        assert_eq!([0, 1, 2, 3].map(mix), published);
    }

    #[test]
    fn a_row_of_equal_entries_folds_to_no_more_than_its_length() {
        // eight layers of ones: a place is a sum of 8 signs, the square of which has the mean 8 and the variance 2 x 8 x 7; five standard
        // errors of the mean over all places. With the same sign in every layer all squares were 64
        let folded = Folded::new(&[1f64; 8 * WIDTH], WIDTH).places;
        let square = folded.iter().map(|p| p * p).sum::<f64>() / WIDTH as f64;
        let error = (2.0 * 8.0 * 7.0 / WIDTH as f64).sqrt();
        assert!((square - 8.0).abs() < 5.0 * error, "{square}");
    }

    #[test]
    fn sums_of_blocks_of_unequal_size_are_brought_to_the_noise_of_one_row() {
        let mut blocks = Blocks {
            rows_per_block: 4,
            ..Blocks::new(1)
        };
        blocks.push(blocks.fold(&[1.0, 3.0, 2.0, 4.0, 15.0], 1));
        // the mean is 5: four rows that sum up to 10 - 4 x 5, over the root of 4, and one that is 10 above
        assert_eq!(blocks.standardised(), (vec![-5.0, 10.0], 1));
    }
}
