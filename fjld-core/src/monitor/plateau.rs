//! When the loss stops to change.

use crate::error::{Error, Result};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Watches the loss of every step. What a plateau is, [`super::Monitor::plateau`] says in words. A loss that swings with a period near the
/// stretch is misread, as a step is what may be exchanged within each.
#[derive(Clone, Debug)]
pub(super) struct Plateau {
    window: usize,
    share: f64,
    level: f64,
    /// Of the stretch before this one: the mean loss and its squared standard error.
    older: Option<(f64, f64)>,
    /// The losses of this stretch so far.
    losses: Vec<f64>,
    flat: bool,
}

/// What a loss changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Turn {
    /// A plateau began; the mean loss on it.
    Begins(f64),
    /// It is over; the mean loss now.
    Ends(f64),
}

/// Steps in a stretch unless something else is asked for.
pub(super) const WINDOW: usize = 200;
/// The share of the loss that is no change, unless something else is asked for.
pub(super) const SHARE: f64 = 0.05;

impl Plateau {
    pub fn new(window: usize, share: f64, level: f64) -> Result<Self> {
        if window < 2 {
            return Err(Error::OutOfRange {
                name: "the number of steps that a plateau is judged by",
                value: window as f64,
                accepted: "at least 2, the fewest that have a variance",
            });
        }
        if !(share > 0.0 && share < 1.0) {
            return Err(Error::OutOfRange {
                name: "the share of the loss that is no change",
                value: share,
                accepted: "strictly between 0 and 1",
            });
        }
        Ok(Self {
            window,
            share,
            level,
            older: None,
            losses: Vec::new(),
            flat: false,
        })
    }

    /// The same watch at another level.
    pub fn at_level(mut self, level: f64) -> Self {
        self.level = level;
        self
    }

    pub fn window(&self) -> usize {
        self.window
    }

    pub fn share(&self) -> f64 {
        self.share
    }

    /// Goes on from what a log says: on a plateau or not. The losses themselves are not in the log.
    pub fn go_on(&mut self, flat: bool) {
        self.losses.clear();
        (self.older, self.flat) = (None, flat);
    }

    /// Takes in the finite loss of one more step.
    pub fn take(&mut self, loss: f64) -> Option<Turn> {
        self.losses.push(loss);
        if self.losses.len() < self.window {
            return None;
        }
        let (newer, newer_error) = mean_and_error(&self.losses);
        self.losses.clear();
        let (older, older_error) = self.older.replace((newer, newer_error))?;
        let gap = (newer - older).abs();
        let margin = self.margin(older_error, newer_error);
        let border = self.share * older.abs();
        let turn = match self.flat {
            false if gap + margin <= border => Turn::Begins(newer),
            true if gap - margin > border => Turn::Ends(newer),
            _ => return None,
        };
        self.flat = !self.flat;
        Some(turn)
    }

    /// Half of Welch's interval for the difference of two means with these squared standard errors (Welch 1947, *Biometrika* 34).
    fn margin(&self, older: f64, newer: f64) -> f64 {
        let total = older + newer;
        if total <= 0.0 {
            return 0.0;
        }
        let freedom = (self.window - 1) as f64 * total * total / (older * older + newer * newer);
        let quantile = StudentsT::new(0.0, 1.0, freedom.max(1.0))
            .map(|law| law.inverse_cdf(0.5 + self.level / 2.0))
            .unwrap_or(f64::INFINITY);
        quantile * total.sqrt()
    }
}

/// The mean, and its squared standard error.
fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let scatter: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (mean, scatter / (n - 1.0) / n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Seed, standard_normals};

    fn turns(plateau: &mut Plateau, losses: impl IntoIterator<Item = f64>) -> Vec<(usize, Turn)> {
        let numbered = losses.into_iter().enumerate();
        numbered
            .filter_map(|(step, loss)| plateau.take(loss).map(|turn| (step, turn)))
            .collect()
    }

    #[test]
    fn a_loss_that_falls_stays_and_falls_again_has_one_plateau() -> Result<()> {
        // e^(-k/20) down to 1 + ..., flat for 300 steps, then down again
        let loss = |k: usize| match k {
            0..300 => 1.0 + (-(k as f64) / 20.0).exp(),
            300..600 => 1.0,
            _ => (-((k - 600) as f64) / 100.0).exp(),
        };
        let noise = standard_normals(&mut Seed::root(51).generator(), 800);
        let losses = (0..800).map(|k| loss(k) * (1.0 + 0.05 * noise[k]));
        let seen = turns(&mut Plateau::new(50, 0.05, 0.95)?, losses);
        let [(begun, Turn::Begins(on)), (ended, Turn::Ends(_))] = seen.as_slice() else {
            panic!("one plateau and its end: {seen:?}");
        };
        assert!((100..300).contains(begun), "{begun}");
        assert!((600..700).contains(ended), "{ended}");
        assert!((on - 1.0).abs() < 0.05);
        Ok(())
    }

    #[test]
    fn losses_too_noisy_to_tell_begin_no_plateau_and_end_one_no_oftener_than_the_level_says()
    -> Result<()> {
        let noise = standard_normals(&mut Seed::root(52).generator(), 20_000);
        let noisy: Vec<f64> = noise.iter().map(|z| 1.0 + 0.5 * z).collect();
        let mut plateau = Plateau::new(20, 0.05, 0.95)?;
        assert_eq!(turns(&mut plateau, noisy.iter().copied()), []);
        let mut ended = 0;
        for pair in noisy.chunks(40) {
            plateau.go_on(true);
            ended += turns(&mut plateau, pair.iter().copied()).len();
        }
        // .05 of 500, and four standard deviations of a binomial
        assert!(ended <= 25 + 20, "{ended}");
        Ok(())
    }

    #[test]
    fn a_steady_fall_is_no_plateau() -> Result<()> {
        let falling = (0..2_000).map(|k| (-(k as f64) / 500.0).exp());
        assert_eq!(turns(&mut Plateau::new(50, 0.05, 0.95)?, falling), []);
        Ok(())
    }

    #[test]
    fn a_loss_that_never_moves_is_a_plateau_and_zero_divides_nothing() -> Result<()> {
        let seen = turns(&mut Plateau::new(3, 0.05, 0.95)?, [0.0; 9]);
        assert_eq!(seen, [(5, Turn::Begins(0.0))]);
        Ok(())
    }

    #[test]
    fn a_window_or_a_share_that_can_not_be_is_refused() {
        assert!(Plateau::new(1, 0.05, 0.95).is_err());
        for share in [0.0, 1.0, f64::NAN] {
            assert!(Plateau::new(5, share, 0.95).is_err());
        }
    }

    #[test]
    fn a_plateau_begins_and_ends_where_welchs_interval_says() -> Result<()> {
        // three losses of 1, then three of the mean m with the deviation 0.03: squared standard errors of 0 and of 0.0009/3. Welch's degrees
        // of freedom are then the 2 of the second stretch, whose law of t, 1/2 + t/(2 sqrt(2 + t^2)), has the quantile
        // 0.8 sqrt(2/0.36) = 1.8856 at level 0.8: the interval reaches 1.8856 x 0.017321 = 0.03266 to either side of m - 1
        let turn = |flat: bool, gap: f64| -> Result<Option<Turn>> {
            let mut plateau = Plateau::new(3, 0.05, 0.8)?;
            plateau.go_on(flat);
            let losses = [1.0, 1.0, 1.0, 1.0 + gap - 0.03, 1.0 + gap, 1.0 + gap + 0.03];
            let seen = turns(&mut plateau, losses);
            Ok(seen.last().map(|&(_, turn)| turn))
        };
        for sign in [1.0, -1.0] {
            // 0.05 - 0.03266 = 0.01734 and 0.05 + 0.03266 = 0.08266
            let begins = turn(false, sign * 0.0173)?;
            assert!(matches!(begins, Some(Turn::Begins(on)) if (on - 1.0).abs() < 0.018));
            assert_eq!(turn(false, sign * 0.0174)?, None);
            assert_eq!(turn(true, sign * 0.0826)?, None);
            let ends = turn(true, sign * 0.0827)?;
            assert!(matches!(ends, Some(Turn::Ends(on)) if (on - 1.0).abs() > 0.082));
        }
        Ok(())
    }
}
