//! When to measure.

use crate::error::{Error, Result};
use crate::ratio::Phase;

/// At which steps of a training loop there is a reading. The first step that is asked about always has one.
///
/// What comes next depends on the readings alone, never on the clock: the same run is measured at the same steps on every machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    rule: Rule,
    /// The first step that is due.
    next: u64,
    gap: u64,
    last: Option<Phase>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    Every(u64),
    Ratios(f64),
    Adaptive { least: u64, most: u64 },
}

impl Schedule {
    /// Steps 0, `k`, `2k` and so on.
    ///
    /// # Errors
    /// When `steps` is 0.
    pub fn every(steps: u64) -> Result<Self> {
        at_least_one("the number of steps between readings", steps)?;
        Ok(Self::new(Rule::Every(steps), steps))
    }

    /// Steps 0 and 1, then each `factor` times the one before, rounded up: what changes fast at first and slowly later is seen evenly.
    ///
    /// # Errors
    /// When `factor` is not above 1, or not finite.
    pub fn ratios(factor: f64) -> Result<Self> {
        if !(factor > 1.0 && factor.is_finite()) {
            return Err(Error::OutOfRange {
                name: "the ratio of a step with a reading to the one before",
                value: factor,
                accepted: "above 1 and finite",
            });
        }
        Ok(Self::new(Rule::Ratios(factor), 1))
    }

    /// Gaps of `least` to `most` steps: a reading that shows the phase of the one before doubles the gap, one that shows another halves it.
    /// In the critical phase, where the interval contains 1, a gap is a quarter of `most` at the longest. So it looks closely where `C` may
    /// cross 1 and seldom elsewhere.
    ///
    /// # Errors
    /// When `least` is 0, or `most` is below it.
    pub fn adaptive(least: u64, most: u64) -> Result<Self> {
        at_least_one("the smallest gap between readings", least)?;
        if most < least {
            return Err(Error::OutOfRange {
                name: "the largest gap between readings",
                value: most as f64,
                accepted: "at least the smallest",
            });
        }
        Ok(Self::new(Rule::Adaptive { least, most }, least))
    }

    fn new(rule: Rule, gap: u64) -> Self {
        Self {
            rule,
            next: 0,
            gap,
            last: None,
        }
    }

    /// Whether there is to be a reading at `step`.
    pub fn is_due(&self, step: u64) -> bool {
        step >= self.next
    }

    /// Takes note of a reading at `step` and of what it showed.
    pub(super) fn took(&mut self, step: u64, phase: Phase) {
        self.next = match self.rule {
            Rule::Every(steps) => (step / steps).saturating_add(1).saturating_mul(steps),
            // a float that is too large becomes the largest number
            Rule::Ratios(factor) => {
                ((step as f64 * factor).ceil() as u64).max(step.saturating_add(1))
            }
            Rule::Adaptive { least, most } => {
                let longest = match phase {
                    Phase::Critical => (most / 4).max(least),
                    _ => most,
                };
                let gap = match self.last == Some(phase) {
                    true => self.gap.saturating_mul(2),
                    false => self.gap / 2,
                };
                self.gap = gap.clamp(least, longest);
                step.saturating_add(self.gap)
            }
        };
        self.last = Some(phase);
    }

    /// In words, as the log has it.
    pub(super) fn describe(&self) -> String {
        match self.rule {
            Rule::Every(steps) => format!("every {steps} steps"),
            Rule::Ratios(factor) => format!("steps at ratios of {factor}"),
            Rule::Adaptive { least, most } => format!("adaptive, {least} to {most} steps apart"),
        }
    }
}

fn at_least_one(name: &'static str, value: u64) -> Result<()> {
    match value {
        0 => Err(Error::OutOfRange {
            name,
            value: 0.0,
            accepted: "at least 1",
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The steps below `end` that are measured when every reading shows what `phase` says of its step.
    fn steps(mut schedule: Schedule, end: u64, phase: impl Fn(u64) -> Phase) -> Vec<u64> {
        let mut due = Vec::new();
        for step in 0..end {
            if schedule.is_due(step) {
                schedule.took(step, phase(step));
                due.push(step);
            }
        }
        due
    }

    #[test]
    fn readings_come_every_k_steps_or_at_ratios() -> Result<()> {
        let calm = |_| Phase::Drift;
        assert_eq!(steps(Schedule::every(4)?, 13, calm), [0, 4, 8, 12]);
        let doubling = steps(Schedule::ratios(2.0)?, 40, calm);
        assert_eq!(doubling, [0, 1, 2, 4, 8, 16, 32]);
        // where the ratio is less than a step, every step
        let slow = steps(Schedule::ratios(1.2)?, 12, calm);
        assert_eq!(slow, [0, 1, 2, 3, 4, 5, 6, 8, 10]);
        Ok(())
    }

    #[test]
    fn an_adaptive_schedule_looks_closely_where_the_interval_contains_one() -> Result<()> {
        let phase = |step| match step {
            0..40 => Phase::Diffusive,
            40..60 => Phase::Critical,
            _ => Phase::Drift,
        };
        let due = steps(Schedule::adaptive(2, 16)?, 120, phase);
        // the gap doubles to 16 while nothing happens, is 4 in the critical phase, 2 after it, and doubles again
        let expected = [0, 2, 6, 14, 30, 46, 50, 54, 58, 62, 64, 68, 76, 92, 108];
        assert_eq!(due, expected);
        Ok(())
    }

    #[test]
    fn a_loop_that_goes_on_from_a_later_step_is_measured_there_and_keeps_the_grid() -> Result<()> {
        let mut schedule = Schedule::every(10)?;
        assert!(schedule.is_due(37));
        schedule.took(37, Phase::Undefined);
        assert!(!schedule.is_due(39) && schedule.is_due(40));
        Ok(())
    }

    #[test]
    fn a_schedule_that_can_not_be_is_refused_with_its_value() {
        let of = |made: Result<Schedule>| made.expect_err("refused").to_string();
        assert_eq!(
            of(Schedule::every(0)),
            "the number of steps between readings is 0; it must be at least 1"
        );
        assert!(of(Schedule::ratios(1.0)).contains("is 1; it must be above 1"));
        assert!(Schedule::ratios(f64::NAN).is_err() && Schedule::ratios(f64::INFINITY).is_err());
        assert!(of(Schedule::adaptive(5, 4)).contains("is 4; it must be at least the smallest"));
    }

    #[test]
    fn the_last_step_there_can_be_does_not_overflow() -> Result<()> {
        for schedule in [
            Schedule::every(7)?,
            Schedule::ratios(3.0)?,
            Schedule::adaptive(1, u64::MAX)?,
        ] {
            let mut schedule = schedule;
            schedule.took(u64::MAX, Phase::Drift);
            schedule.took(u64::MAX, Phase::Drift);
            assert!(schedule.is_due(u64::MAX));
        }
        Ok(())
    }

    #[test]
    fn gaps_whose_smallest_is_their_largest_are_all_the_same() -> Result<()> {
        let due = steps(Schedule::adaptive(4, 4)?, 13, |_| Phase::Drift);
        assert_eq!(due, [0, 4, 8, 12]);
        Ok(())
    }
}
