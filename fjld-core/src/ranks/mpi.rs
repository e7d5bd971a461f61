//! Ranks of MPI, through rsmpi.

use super::Ranks;
use crate::error::Result;
use mpi::collective::{CommunicatorCollectives, SystemOperation};
use mpi::topology::Communicator;

/// Numbers a message: counts in MPI are 32-bit integers, and one buffer of this size serves for any length.
const MESSAGE: usize = 1 << 20;

/// The ranks of a communicator: `MpiRanks(&universe.world())`.
///
/// A failure inside MPI ends all ranks with an error, as its default handler does.
#[derive(Clone, Copy, Debug)]
pub struct MpiRanks<'a, C>(pub &'a C);

impl<C: CommunicatorCollectives> Ranks for MpiRanks<'_, C> {
    fn rank(&self) -> usize {
        Communicator::rank(self.0) as usize
    }

    fn size(&self) -> usize {
        Communicator::size(self.0) as usize
    }

    fn add(&self, values: &mut [f64]) -> Result<()> {
        let mut sums = vec![0.0; values.len().min(MESSAGE)];
        for part in values.chunks_mut(MESSAGE) {
            let sums = &mut sums[..part.len()];
            self.0.all_reduce_into(&*part, sums, SystemOperation::sum());
            part.copy_from_slice(sums);
        }
        Ok(())
    }
}
