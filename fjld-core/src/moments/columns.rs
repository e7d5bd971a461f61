//! The passes over rows of samples that everything else waits for, written so that the compiler works on several columns at once.

use super::{Sample, TASK};
use crate::range::fits;
use crate::wide::wide;
use rayon::prelude::*;
use std::ops::Range;

/// Columns worked on at a time: what is fetched of 64 rows is still near the second time, and stretches are long enough to be fetched ahead.
pub(super) const COLUMNS: usize = 4096;

/// Adds a stretch of `columns` of every row to `sums`, by `add(sum, x, centre)` in the order of the rows. Four rows at a time, so that a
/// sum is fetched and put back once for all four.
#[inline(always)]
pub(super) fn accumulate<T: Sample>(
    sums: &mut [f64],
    centre: &[f64],
    rows: &[T],
    d: usize,
    columns: Range<usize>,
    add: impl Fn(f64, f64, f64) -> f64,
) {
    let quads = rows.chunks_exact(4 * d);
    let last = quads.remainder();
    for quad in quads {
        let [a, b, c, e] = [0, 1, 2, 3].map(|row| &quad[row * d..][columns.clone()]);
        let entries = a.iter().zip(b).zip(c.iter().zip(e));
        for ((sum, &m), ((&a, &b), (&c, &e))) in sums.iter_mut().zip(centre).zip(entries) {
            let two = add(add(*sum, a.into(), m), b.into(), m);
            *sum = add(add(two, c.into(), m), e.into(), m);
        }
    }
    for row in last.chunks_exact(d) {
        for ((sum, &m), &x) in sums.iter_mut().zip(centre).zip(&row[columns.clone()]) {
            *sum = add(*sum, x.into(), m);
        }
    }
}

/// The place of the first entry that is NaN or too large to be squared. Stretches are looked at without stopping, which the compiler does
/// many entries at a time.
pub(super) fn first_unfit<T: Sample>(samples: &[T]) -> Option<usize> {
    let is_bad = |&v: &T| !fits(v.into());
    let first_in = |(part, samples): (usize, &[T])| {
        let stretches = samples.chunks(COLUMNS).enumerate();
        let mut bad = stretches.filter(|(_, stretch)| {
            wide(
                #[inline(always)]
                || stretch.iter().fold(false, |any, v| any | is_bad(v)),
            )
        });
        let (index, stretch) = bad.next()?;
        Some(part * TASK + index * COLUMNS + stretch.iter().position(is_bad)?)
    };
    let parts = samples.par_chunks(TASK).enumerate();
    parts.find_map_first(first_in)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::range::LARGEST;

    #[test]
    fn every_row_is_added_once_and_in_order_whatever_their_number() {
        // powers of ten under sum -> 10 sum + x spell out the order
        let d = 3;
        for rows in 1..=9usize {
            let samples: Vec<f64> = (0..rows * d).map(|i| (i / d + 1) as f64).collect();
            let mut sums = [0.0; 2];
            accumulate(
                &mut sums,
                &[7.0, 5.0],
                &samples,
                d,
                1..3,
                |sum, x, centre| 10.0 * sum + x * centre,
            );
            let spelt = |centre: f64| (1..=rows).fold(0.0, |sum, x| 10.0 * sum + x as f64 * centre);
            assert_eq!(sums, [spelt(7.0), spelt(5.0)]);
        }
    }

    #[test]
    fn the_first_entry_that_may_not_be_is_found_wherever_it_is() {
        let length = 2 * COLUMNS + 5;
        for at in [0, 1, COLUMNS - 1, COLUMNS, 2 * COLUMNS, length - 1] {
            let mut samples = vec![f32::MAX; length];
            assert_eq!(first_unfit(&samples), None);
            samples[length - 1] = f32::NAN;
            samples[at] = f32::NEG_INFINITY;
            assert_eq!(first_unfit(&samples), Some(at));
        }
        assert_eq!(first_unfit::<f64>(&[]), None);
        assert_eq!(first_unfit(&[LARGEST, -LARGEST, 2.0 * LARGEST]), Some(2));
    }
}
