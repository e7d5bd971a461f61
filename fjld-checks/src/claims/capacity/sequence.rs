//! Fits in a row, the event that `C` is said to come before, and when `C` passes.

use crate::claims::crossing::crossing;
use crate::claims::runs::Fate;

/// Fits in a row.
#[derive(Clone, Debug)]
pub struct Sequence {
    /// The test error without any fit: that of the answer 0.
    pub untrained: f64,
    /// Test errors.
    pub errors: Vec<f64>,
    /// `C` at batch 1; `None` where it is undefined.
    pub c: Vec<Option<f64>>,
}

/// What `C` is said to come before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The second descent of the test error: see [`Event::readings`].
    SecondDescent,
    /// The fit generalises: see [`Event::readings`].
    Generalising,
}

/// A rise and a fall by less than this factor are no second descent.
const PROMINENT: f64 = 1.2;

impl Event {
    /// The readings at which it comes, by every definition under which it comes at all and not with the first reading, before which
    /// nothing could come.
    ///
    /// *The second descent* is there where the test error has a peak that lies above its least before and its least after by a factor of
    /// [`PROMINENT`] at least; of several peaks, the most prominent. It comes with the peak (by one definition), when the error has fallen
    /// half of the way from it to the least after, in logarithms (by another), or when the error is below its least before the peak (by a
    /// third).
    ///
    /// *A fit generalises* where its test error comes below half of what the answer 0 has. It does so with that reading (by one
    /// definition), with half of the way down to the least error of the sequence (by another), or with nine tenths of it (by a third).
    pub fn readings(self, sequence: &Sequence) -> Vec<usize> {
        let errors = &sequence.errors;
        let least = |range: &[f64]| range.iter().copied().fold(f64::INFINITY, f64::min);
        let reached = |from: usize, level: f64| {
            let at = errors[from..].iter().position(|&e| e <= level);
            at.map(|k| from + k)
        };
        let found = match self {
            Self::Generalising => {
                let (start, best) = (sequence.untrained, least(errors));
                if best > 0.5 * start {
                    return Vec::new();
                }
                [
                    0.5 * start,
                    start - 0.5 * (start - best),
                    start - 0.9 * (start - best),
                ]
                .map(|level| reached(0, level))
            }
            Self::SecondDescent => {
                let prominence = |k: usize| {
                    let sides = [least(&errors[..k]), least(&errors[k + 1..])];
                    sides
                        .map(|side| errors[k] / side)
                        .into_iter()
                        .fold(f64::INFINITY, f64::min)
                };
                let inner = 1..errors.len().saturating_sub(1);
                let peak = inner.max_by(|&a, &b| prominence(a).total_cmp(&prominence(b)));
                let Some(peak) = peak.filter(|&k| prominence(k) >= PROMINENT) else {
                    return Vec::new();
                };
                let (before, after) = (least(&errors[..peak]), least(&errors[peak + 1..]));
                let halfway = (errors[peak] * after).sqrt();
                [Some(peak), reached(peak, halfway), reached(peak, before)]
            }
        };
        found.into_iter().flatten().filter(|&k| k > 0).collect()
    }
}

impl Sequence {
    /// Whether `C` passes `level` before an event that comes at these readings: by one definition it rises through it before, whatever
    /// it does then; by another it does not come back until the event. `None` where the event does not come.
    pub fn fate(&self, readings: &[usize], level: f64) -> Option<Fate> {
        let crossed = crossing(&self.c, level);
        let above = |c: &Option<f64>| c.is_some_and(|c| c > level);
        let votes: Vec<bool> = readings
            .iter()
            .flat_map(|&at| {
                let before = crossed.is_some_and(|k| k < at);
                let below = self.c[..at].iter().rposition(|c| !above(c));
                let lasting = below.is_some_and(|k| {
                    k + 1 < at && self.c[k].is_some() && self.c[k + 1..at].iter().all(above)
                });
                [before, lasting]
            })
            .collect();
        match votes.as_slice() {
            [] => None,
            votes if votes.iter().all(|&v| v) => Some(Fate::Holds),
            votes if votes.iter().all(|&v| !v) => Some(Fate::Fails),
            _ => Some(Fate::Undecided),
        }
    }

    /// By which factor `C` rises at most before the reading `until`, from any value to a later one; 1 where it only falls.
    pub fn rise(&self, until: usize) -> f64 {
        let mut least = f64::INFINITY;
        let mut rise = 1.0;
        for c in self.c[..until].iter().flatten() {
            least = least.min(*c);
            if least > 0.0 {
                rise = f64::max(rise, c / least);
            }
        }
        rise
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(errors: &[f64], c: &[f64]) -> Sequence {
        Sequence {
            untrained: errors[0],
            errors: errors.to_vec(),
            c: c.iter().map(|&c| c.is_finite().then_some(c)).collect(),
        }
    }

    #[test]
    fn a_second_descent_comes_with_the_peak_half_way_down_and_below_the_first() {
        let readings = |errors: &[f64]| Event::SecondDescent.readings(&sequence(errors, &[]));
        // half of the way from 8 to 0.5, in logarithms, is 2
        assert_eq!(readings(&[4.0, 1.0, 8.0, 4.0, 2.0, 0.5]), [2, 4, 5]);
        // it never comes below the first
        assert_eq!(readings(&[4.0, 1.0, 8.0, 2.0]), [2, 3]);
        assert_eq!(readings(&[4.0, 3.0, 2.0, 1.0]), [0usize; 0]);
        // a peak at either end is none, nor a small one
        assert_eq!(readings(&[1.0, 2.0, 3.0]), [0usize; 0]);
        assert_eq!(readings(&[4.0, 2.0, 2.2, 2.0]), [0usize; 0]);
    }

    #[test]
    fn a_fit_generalises_below_half_of_the_untrained_error_or_not_at_all() {
        let readings = |errors: &[f64]| Event::Generalising.readings(&sequence(errors, &[]));
        // levels 5, 5.5 and 1.9
        assert_eq!(readings(&[10.0, 9.0, 5.2, 4.0, 1.0]), [3, 2, 4]);
        assert_eq!(readings(&[10.0, 9.0, 6.0]), [0usize; 0]);
    }

    #[test]
    fn c_has_to_pass_before_every_event_and_to_stay() {
        let errors = [1.0; 6];
        let fate = |c: &[f64]| sequence(&errors, c).fate(&[3, 5], 1.0);
        assert_eq!(fate(&[0.5, 2.0, 2.0, 2.0, 2.0, 2.0]), Some(Fate::Holds));
        assert_eq!(fate(&[2.0, 2.0, 0.5, 0.4, 0.3, 2.0]), Some(Fate::Fails));
        // it comes back, or comes between the two definitions of the event
        assert_eq!(fate(&[0.5, 2.0, 0.5, 0.5, 0.5, 0.5]), Some(Fate::Undecided));
        assert_eq!(fate(&[0.5, 0.5, 0.5, 0.5, 2.0, 2.0]), Some(Fate::Undecided));
        // from round-off to round-off, as at interpolation
        assert_eq!(
            fate(&[1e-28, f64::NAN, f64::NAN, 3.0, 3.0, 3.0]),
            Some(Fate::Fails)
        );
        assert_eq!(sequence(&errors, &[0.5; 6]).fate(&[], 1.0), None);
    }

    #[test]
    fn the_largest_rise_is_from_a_value_to_a_later_one() {
        let s = sequence(&[1.0; 5], &[4.0, 1.0, 2.0, 3.0, 9.0]);
        assert_eq!(s.rise(4), 3.0);
        assert_eq!(s.rise(2), 1.0);
    }
}
