//! The derived error budget: what bounds the chance of a false alarm, for every method by which a check finds what it finds. This is the
//! one place where a bound is stated.

use super::Kind;
use super::ledger::Rates;
use serde::{Deserialize, Serialize};

/// A way of finding that a claim is violated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Every case of a bounded height, in exact arithmetic.
    #[default]
    Enumeration,
    /// Two routes to one number, compared to a tolerance above their rounding.
    Rounding,
    /// Kolmogorov's distance from a law, against the bound of Dvoretzky, Kiefer and Wolfowitz.
    Kolmogorov,
    /// An interval wholly outside of the tolerance.
    Interval,
    /// More failures among independent trials than the tolerated rate of them explains.
    Binomial,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 5] = [
        Self::Enumeration,
        Self::Rounding,
        Self::Kolmogorov,
        Self::Interval,
        Self::Binomial,
    ];

    /// The usual method of a kind of check; a kernel that works otherwise says so in its finding.
    pub fn of(kind: Kind) -> Self {
        match kind {
            Kind::Exact => Self::Enumeration,
            Kind::Identity => Self::Rounding,
            Kind::Statistical => Self::Interval,
            Kind::Runs => Self::Binomial,
        }
    }

    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enumeration => "enumeration",
            Self::Rounding => "rounding",
            Self::Kolmogorov => "kolmogorov",
            Self::Interval => "interval",
            Self::Binomial => "binomial",
        }
    }

    /// The chance of a false alarm in one world, at the most.
    pub fn bound(self, rates: Rates) -> f64 {
        match self {
            Self::Enumeration | Self::Rounding => 0.0,
            Self::Kolmogorov | Self::Interval | Self::Binomial => rates.false_alarm,
        }
    }

    /// Why that bounds it.
    pub fn derivation(self) -> &'static str {
        match self {
            Self::Enumeration => {
                "a counterexample is worked out in rational numbers, without rounding and without chance: 0"
            }
            Self::Rounding => {
                "both routes are deterministic for given draws, and the tolerance lies above the rounding that its check derives: 0"
            }
            Self::Kolmogorov => {
                "P(sup|F_n - F| > e) <= 2 exp(-2 n e^2) for every n (Dvoretzky, Kiefer and Wolfowitz 1956, with Massart's constant 1990); e is where the right side is the rate: the rate"
            }
            Self::Interval => {
                "an interval at the level 1 - rate lies outside of a tolerance that holds the truth only where it misses the truth: the rate, as far as the interval covers at its level (exactly for Student's with normal means; for the ratio's in large samples, see the calibration); a check of several intervals gives each its share (Boole)"
            }
            Self::Binomial => {
                "P(X >= k) <= rate for X binomial with the tolerated failure rate, k the fewest failures for which that is so; a lower failure rate gives stochastically fewer: the rate, shared among several tests (Boole)"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_left_to_chance_has_no_false_alarms() {
        let rates = Rates::of_one_slot();
        for kind in [Kind::Exact, Kind::Identity] {
            assert_eq!(Method::of(kind).bound(rates), 0.0);
        }
        for kind in [Kind::Statistical, Kind::Runs] {
            assert_eq!(Method::of(kind).bound(rates), rates.false_alarm);
        }
    }

    #[test]
    fn a_method_is_named_as_its_file_names_it() {
        for method in Method::ALL {
            let written = serde_json::to_string(&method).expect("a name");
            assert_eq!(written, format!("\"{}\"", method.name()));
        }
    }

    #[test]
    fn a_derivation_ends_in_the_bound_that_it_derives() {
        let rates = Rates::of_one_slot();
        for method in Method::ALL {
            let derivation = method.derivation();
            let (why, _) = derivation
                .split_once(':')
                .expect("a reason, then the bound");
            assert!(!why.is_empty());
            let bounded_by_zero = derivation.ends_with(": 0");
            let bounded_by_rate = derivation.contains(": the rate");
            assert_eq!(bounded_by_zero, method.bound(rates) == 0.0, "{derivation}");
            assert_eq!(bounded_by_rate, method.bound(rates) > 0.0, "{derivation}");
        }
    }
}
