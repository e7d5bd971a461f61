//! Data-parallel training: every rank holds a shard of the draws, and all ranks end with what one would have that holds them all.
//!
//! What can be merged can be added up over ranks: [`Moments::all_reduce`](crate::Moments::all_reduce),
//! [`FullMoments::all_reduce`](crate::FullMoments::all_reduce), [`Statistics::all_reduce`](crate::capture::Statistics::all_reduce),
//! [`Factors::all_reduce`](crate::kronecker::Factors::all_reduce), [`SecondMoment::all_reduce`](crate::fisher::SecondMoment::all_reduce) and, with messages of a few numbers,
//! [`TwoBatch::all_reduce`](crate::moments::TwoBatch::all_reduce) and [`TwoBatch::push_ranks`](crate::moments::TwoBatch::push_ranks).
//! Shards may be of any sizes. For any split the result is that of one rank to rounding, the unit of exchangeability that of the draws.
//!
//! All ranks must make the same calls in the same order, as with every collective operation. A rank that has nothing calls them with
//! nothing in its accumulator. One that fails must end its process with an error, so that the launcher ends the others: they would wait
//! for it for ever.
//!
//! [`on_threads`] makes ranks of the threads of one process; with the feature `mpi`, `MpiRanks` takes those of an MPI job. The example
//! `ranks` measures one step on either.

#[cfg(feature = "mpi")]
mod mpi;
mod threads;

#[cfg(feature = "mpi")]
pub use self::mpi::MpiRanks;
pub use threads::{ThreadRank, on_threads};

use crate::error::{Error, Result};
use faer::Mat;

/// Processes that can add up numbers.
pub trait Ranks {
    /// Which of them this is, from 0.
    fn rank(&self) -> usize;

    /// How many there are.
    fn size(&self) -> usize;

    /// Adds up `values` over all ranks, entry by entry; every rank is left with the same sums. All ranks give equally many.
    ///
    /// # Errors
    /// When the numbers can not be brought together.
    fn add(&self, values: &mut [f64]) -> Result<()>;
}

/// One process by itself.
#[derive(Clone, Copy, Debug)]
pub struct Alone;

impl Ranks for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn add(&self, _: &mut [f64]) -> Result<()> {
        Ok(())
    }
}

/// Refuses on every rank a number that is not the same on all, before messages of unequal length meet.
pub(crate) fn agree(ranks: &impl Ranks, what: &'static str, value: u64) -> Result<()> {
    // in parts of 16 bits: over 2^19 ranks the sums are exact, and a difference of 1 on one rank is more than the rounding of their products
    let parts = [0, 16, 32, 48].map(|shift| ((value >> shift) & 0xffff) as f64);
    let mut sums = parts.map(|own| [own, own * own]);
    ranks.add(sums.as_flattened_mut())?;
    // the ranks' variance, times the square of their number
    let size = ranks.size() as f64;
    match sums
        .iter()
        .all(|[sum, squares]| squares * size == sum * sum)
    {
        true => Ok(()),
        false => Err(Error::RanksDiffer {
            what,
            rank: ranks.rank(),
            value,
        }),
    }
}

/// The numbers that each rank gives, rank after rank; all give equally many.
pub(crate) fn gather(ranks: &impl Ranks, own: &[f64]) -> Result<Vec<f64>> {
    let mut all = vec![0.0; own.len() * ranks.size()];
    let start = own.len() * ranks.rank();
    all[start..start + own.len()].copy_from_slice(own);
    ranks.add(&mut all)?;
    Ok(all)
}

/// Adds up a matrix over all ranks, entry by entry; all give one of the same shape.
pub(crate) fn add_matrix(ranks: &impl Ranks, matrix: &mut Mat<f64>) -> Result<()> {
    let (rows, columns) = (matrix.nrows(), matrix.ncols());
    let entries = (0..columns).flat_map(|j| (0..rows).map(move |i| (i, j)));
    let mut sums: Vec<f64> = entries.map(|at| matrix[at]).collect();
    ranks.add(&mut sums)?;
    *matrix = Mat::from_fn(rows, columns, |i, j| sums[j * rows + i]);
    Ok(())
}

/// The largest of the numbers that each rank gives.
pub(crate) fn largest(ranks: &impl Ranks, own: f64) -> Result<f64> {
    let all = gather(ranks, &[own])?;
    Ok(all.into_iter().fold(own, f64::max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_differs_on_one_rank_is_refused_on_all() {
        // the largest differences and the smallest, in every part of the number
        for agreed in [0, 7, 1 << 30, (1 << 40) + 1, u64::MAX] {
            let said = on_threads(4, |ranks| agree(ranks, "the dimension", agreed));
            assert!(said.iter().all(std::result::Result::is_ok));
            for bit in 0..64 {
                let said = on_threads(3, |ranks| {
                    let own = agreed ^ (u64::from(ranks.rank() == 2) << bit);
                    agree(ranks, "the dimension", own)
                });
                assert!(said.iter().all(std::result::Result::is_err), "bit {bit}");
            }
        }
        let said = on_threads(2, |ranks| {
            agree(ranks, "the dimension", 3 + ranks.rank() as u64)
        });
        let said = said[1].as_ref().expect_err("they differ").to_string();
        assert_eq!(
            said,
            "the dimension is 4 on rank 1; it must be the same on every rank"
        );
    }

    #[test]
    fn every_rank_is_left_with_the_numbers_of_all_and_their_largest() -> Result<()> {
        for found in on_threads(3, |ranks| {
            let own = ranks.rank() as f64;
            let all = gather(ranks, &[own, 10.0 * own])?;
            Ok::<_, Error>((all, largest(ranks, -1.5 - own)?))
        }) {
            // the largest is that of rank 0, below 0 as all are
            assert_eq!(found?, (vec![0.0, 0.0, 1.0, 10.0, 2.0, 20.0], -1.5));
        }
        assert_eq!(gather(&Alone, &[5.0])?, [5.0]);
        Ok(())
    }

    #[test]
    fn a_large_number_that_is_the_same_on_many_ranks_is_never_refused() {
        // the square of 2^24 - 1 has 48 bits, so that the sum of more than 32 of them is no whole number that a 64-bit float holds
        for agreed in [(1 << 24) - 1, (1 << 48) - 1, u64::MAX] {
            let said = on_threads(50, |ranks| agree(ranks, "the dimension", agreed));
            assert!(said.iter().all(std::result::Result::is_ok), "{agreed}");
        }
    }
}
