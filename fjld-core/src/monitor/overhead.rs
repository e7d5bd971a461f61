//! What the monitor costs.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// What the monitor cost so far, in time and in operations.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Overhead {
    /// The time that the monitor took over the time that forward and backward passes would have taken without it:
    ///
    /// ```math
    /// \frac{T_\text{measured} - n_\text{measured} \, p + T_\text{readings}}{n_\text{all} \, p}
    /// ```
    ///
    /// where `p`, a plain pass, is the median of the last 255. `None` where every pass was measured, so that there is none to compare with.
    /// A step of training is more than these passes (data, the optimiser), so that its share of a step is less.
    pub share: Option<f64>,
    /// Forward and backward passes without measuring.
    pub plain_passes: u64,
    /// Passes that were measured.
    pub measured_passes: u64,
    /// Seconds in plain passes.
    pub plain_seconds: f64,
    /// Seconds in measured ones.
    pub measured_seconds: f64,
    /// Seconds in making readings of them: intervals, phases, files.
    pub reading_seconds: f64,
    /// Counted: draws whose gradients were measured.
    pub draws: u64,
    /// Counted: inner products of their gradients, `n (n + 1) / 2` a reading of `n` draws.
    pub inner_products: u64,
    /// Counted, at most: multiplications that the intervals took, `9 n^3` for the eigenvalues of the inner products (Golub and Van Loan,
    /// *Matrix Computations*, 8.3) and `n^2 min(n, 2048) / 2` for the interval itself.
    pub interval_multiplications: u64,
}

impl fmt::Display for Overhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = |seconds: f64, count: u64| 1e3 * seconds / count.max(1) as f64;
        write!(
            f,
            "{} of {} passes measured: {:.2} ms each and {:.2} ms for the reading, {:.2} ms for a plain pass",
            self.measured_passes,
            self.measured_passes + self.plain_passes,
            milliseconds(self.measured_seconds, self.measured_passes),
            milliseconds(self.reading_seconds, self.measured_passes),
            milliseconds(self.plain_seconds, self.plain_passes),
        )?;
        match self.share {
            Some(share) => write!(f, "; that adds {:.1}% to all passes", 100.0 * share),
            None => write!(f, "; no plain pass to compare with"),
        }
    }
}

/// Keeps the accounts.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock {
    sums: Overhead,
    plain: VecDeque<f64>,
}

const REMEMBERED: usize = 255;

impl Clock {
    pub fn plain(&mut self, spent: Duration) {
        let seconds = spent.as_secs_f64();
        self.sums.plain_passes += 1;
        self.sums.plain_seconds += seconds;
        if self.plain.len() == REMEMBERED {
            self.plain.pop_front();
        }
        self.plain.push_back(seconds);
    }

    pub fn measured(&mut self, spent: Duration) {
        self.sums.measured_passes += 1;
        self.sums.measured_seconds += spent.as_secs_f64();
    }

    pub fn reading(&mut self, spent: Duration) {
        self.sums.reading_seconds += spent.as_secs_f64();
    }

    pub fn draws(&mut self, draws: u64) {
        self.sums.draws = self.sums.draws.saturating_add(draws);
        let products = draws.saturating_mul(draws.saturating_add(1)) / 2;
        self.sums.inner_products = self.sums.inner_products.saturating_add(products);
        let square = draws.saturating_mul(draws);
        let work = square
            .saturating_mul(draws)
            .saturating_mul(9)
            .saturating_add(square.saturating_mul(draws.min(2048)) / 2);
        let sum = &mut self.sums.interval_multiplications;
        *sum = sum.saturating_add(work);
    }

    pub fn overhead(&self) -> Overhead {
        let mut overhead = self.sums;
        let mut seconds: Vec<f64> = self.plain.iter().copied().collect();
        seconds.sort_by(f64::total_cmp);
        let median = seconds.get(seconds.len() / 2).copied();
        overhead.share = median.filter(|&plain| plain > 0.0).map(|plain| {
            let passes = (overhead.plain_passes + overhead.measured_passes) as f64;
            let extra = overhead.measured_seconds - overhead.measured_passes as f64 * plain;
            (extra + overhead.reading_seconds) / (passes * plain)
        });
        overhead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn the_share_is_what_measuring_took_over_what_the_passes_would_have_taken() {
        let mut clock = Clock::default();
        for spent in [2, 2, 50, 2] {
            clock.plain(seconds(spent));
        }
        clock.measured(seconds(5));
        clock.reading(seconds(1));
        // 5 - 2 + 1 over five passes of 2 s; one slow pass moves no median
        assert_eq!(clock.overhead().share, Some(0.4));
        assert_eq!(clock.overhead().plain_passes, 4);
        assert_eq!(
            clock.overhead().to_string(),
            "1 of 5 passes measured: 5000.00 ms each and 1000.00 ms for the reading, 14000.00 ms for a plain pass; that adds 40.0% to all passes"
        );
    }

    #[test]
    fn without_a_plain_pass_there_is_no_share() {
        let mut clock = Clock::default();
        clock.measured(seconds(5));
        assert_eq!(clock.overhead().share, None);
        assert_eq!(clock.overhead().measured_seconds, 5.0);
    }

    #[test]
    fn operations_are_counted_and_do_not_overflow() {
        let mut clock = Clock::default();
        clock.draws(4);
        clock.draws(2);
        let overhead = clock.overhead();
        assert_eq!((overhead.draws, overhead.inner_products), (6, 10 + 3));
        assert_eq!(overhead.interval_multiplications, 9 * 64 + 32 + 9 * 8 + 4);
        clock.draws(u64::MAX);
        assert_eq!(clock.overhead().interval_multiplications, u64::MAX);
    }

    #[test]
    fn a_plain_pass_is_the_median_of_the_last_255() {
        let share = |plain: &[u64]| {
            let mut clock = Clock::default();
            plain.iter().for_each(|&spent| clock.plain(seconds(spent)));
            clock.reading(seconds(6));
            // no measured pass: 6 s over all passes at the median
            6.0 / clock.overhead().share.expect("plain passes") / plain.len() as f64
        };
        assert!((share(&[5, 1, 4, 2, 3]) - 3.0).abs() < 1e-14);
        // of the last 255 of these, 128 are long; then 127
        for (long, median) in [(128, 3.0), (127, 1.0)] {
            let plain: Vec<u64> = (0..400)
                .map(|i| if i < 400 - long { 1 } else { 3 })
                .collect();
            assert!((share(&plain) - median).abs() < 1e-14);
        }
    }

    #[test]
    fn passes_too_short_for_the_clock_are_nothing_to_compare_with() {
        let mut clock = Clock::default();
        clock.plain(seconds(0));
        clock.measured(seconds(5));
        assert_eq!(clock.overhead().share, None);
    }
}
