//! One error budget for the whole suite.
//!
//! The budget bounds the chance that *any* stochastic check finds a violation where there is none, in the real world or in its planted
//! truth (Boole's inequality). It is cut into equal slots beforehand, so that a new claim changes no other claim's rates, sample sizes
//! or numbers; a test fails when the slots run out.

use serde::{Deserialize, Serialize};

/// The chance of any false alarm in one run of the suite.
pub const FALSE_ALARM: f64 = 0.01;

/// Equal slots that [`FALSE_ALARM`] is cut into. A stochastic check takes [`SLOTS_PER_CHECK`].
pub const SLOTS: u32 = 200;

/// The real world and the planted truth can each raise a false alarm.
pub const SLOTS_PER_CHECK: u32 = 2;

/// The chance that one check misses a violation of the size it says it detects.
pub const MISS: f64 = 0.001;

/// The error rates of one examination.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// The chance of finding a violation where there is none.
    pub false_alarm: f64,
    /// The chance of not finding one of the detectable size.
    pub miss: f64,
}

impl Rates {
    /// One slot of the budget.
    pub fn of_one_slot() -> Self {
        Self {
            false_alarm: FALSE_ALARM / f64::from(SLOTS),
            miss: MISS,
        }
    }
}

/// The budget as the report states it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// The chance of any false alarm that the suite allows itself.
    pub false_alarm: f64,
    /// The chance of any false alarm that the registered checks add up to.
    pub false_alarm_used: f64,
    /// The chance that a check misses a violation of its detectable size.
    pub miss_per_check: f64,
    /// Stochastic checks registered.
    pub stochastic_checks: u32,
    /// Equal slots in all.
    pub slots: u32,
    /// Slots taken.
    pub slots_used: u32,
}

impl Budget {
    /// The budget with this many stochastic checks registered.
    pub fn with(stochastic_checks: u32) -> Self {
        let slots_used = stochastic_checks * SLOTS_PER_CHECK;
        Self {
            false_alarm: FALSE_ALARM,
            false_alarm_used: FALSE_ALARM * f64::from(slots_used) / f64::from(SLOTS),
            miss_per_check: MISS,
            stochastic_checks,
            slots: SLOTS,
            slots_used,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn each_stochastic_check_takes_a_slot_for_the_real_world_and_one_for_the_truth() {
        let budget = Budget::with(3);
        assert_eq!((budget.stochastic_checks, budget.slots_used), (3, 6));
        // six slots of 200, of one in a hundred; a product and a quotient round
        assert_relative_eq!(budget.false_alarm_used, 3e-4, max_relative = 1e-15);
        let slot = Rates::of_one_slot().false_alarm;
        assert_relative_eq!(budget.false_alarm_used, 6.0 * slot, max_relative = 1e-15);
    }

    #[test]
    fn a_hundred_stochastic_checks_use_up_the_budget() {
        let full = Budget::with(100);
        assert_eq!(full.slots_used, full.slots);
        assert_relative_eq!(
            full.false_alarm_used,
            full.false_alarm,
            max_relative = 1e-15
        );
    }
}
