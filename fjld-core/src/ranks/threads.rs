//! Threads of one process in the place of ranks: to try what others will run, and for tests.

use super::Ranks;
use crate::error::Result;
use std::sync::{Barrier, Mutex};

/// One of the threads that [`on_threads`] starts.
pub struct ThreadRank<'a> {
    rank: usize,
    shared: &'a Shared,
}

struct Shared {
    size: usize,
    /// What every rank gives.
    given: Mutex<Vec<Vec<f64>>>,
    barrier: Barrier,
}

impl Ranks for ThreadRank<'_> {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.shared.size
    }

    fn add(&self, values: &mut [f64]) -> Result<()> {
        self.shared.given.lock().expect("no rank panics here")[self.rank] = values.to_vec();
        self.shared.barrier.wait();
        values.fill(0.0);
        for own in self
            .shared
            .given
            .lock()
            .expect("no rank panics here")
            .iter()
        {
            assert_eq!(own.len(), values.len(), "messages of unequal length");
            values.iter_mut().zip(own).for_each(|(sum, x)| *sum += x);
        }
        // nobody gives anew before all have read
        self.shared.barrier.wait();
        Ok(())
    }
}

/// What `work` gives on each of `size` ranks, in their order. Their sums are taken in that order too.
///
/// # Panics
/// When `work` panics on any, which must then not leave the others waiting.
pub fn on_threads<T: Send>(size: usize, work: impl Fn(&ThreadRank) -> T + Sync) -> Vec<T> {
    let shared = Shared {
        size,
        given: Mutex::new(vec![Vec::new(); size]),
        barrier: Barrier::new(size),
    };
    std::thread::scope(|scope| {
        let started: Vec<_> = (0..size)
            .map(|rank| {
                let own = ThreadRank {
                    rank,
                    shared: &shared,
                };
                let work = &work;
                scope.spawn(move || work(&own))
            })
            .collect();
        let ended = started.into_iter().map(std::thread::ScopedJoinHandle::join);
        ended
            .map(|found| found.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}
