//! The statistical tests, each with the sample size that its error rates ask for.

use super::ledger::Rates;
use super::method::Method;
use super::{Finding, Outcome, worse};
use fjld_core::Interval;
use statrs::distribution::{Binomial, Discrete, DiscreteCDF, Poisson};
use statrs::function::beta::beta_reg;

/// Draws that a Kolmogorov test needs to alarm with probability at most `false_alarm` when the law is right, and to miss with
/// probability at most `miss` a law whose distribution function is off by `distance` somewhere.
///
/// Both from the Dvoretzky-Kiefer-Wolfowitz inequality with Massart's constant (1990, *Annals of Probability* 18), so for every `n`.
pub fn kolmogorov_sample_size(distance: f64, rates: Rates) -> usize {
    let root = |rate: f64| ((2.0 / rate).ln() / 2.0).sqrt();
    ((root(rates.false_alarm) + root(rates.miss)) / distance)
        .powi(2)
        .ceil() as usize
}

/// Tests that `draws` follow the continuous law with distribution function `cdf` (Kolmogorov's distance against the DKW bound).
pub fn kolmogorov(mut draws: Vec<f64>, cdf: impl Fn(f64) -> f64, rates: Rates) -> Finding {
    if draws.iter().any(|x| x.is_nan()) {
        return Finding::new(
            Outcome::Undecided,
            draws.len() as u64,
            "a draw is no number",
        );
    }
    draws.sort_by(f64::total_cmp);
    let n = draws.len() as f64;
    let distance = draws
        .iter()
        .enumerate()
        .map(|(i, &x)| {
            let f = cdf(x);
            (f - i as f64 / n).max((i + 1) as f64 / n - f)
        })
        .fold(0.0, worse);
    let critical = ((2.0 / rates.false_alarm).ln() / (2.0 * n)).sqrt();
    let outcome = match distance {
        d if d.is_nan() => Outcome::Undecided,
        d if d > critical => Outcome::Violated,
        _ => Outcome::Holds,
    };
    let summary = format!(
        "Kolmogorov distance {distance:.4} over {} draws, critical value {critical:.4}",
        draws.len()
    );
    let mut finding = Finding::new(outcome, draws.len() as u64, summary);
    finding.effect = Some(distance);
    finding.method = Some(Method::Kolmogorov);
    finding
}

/// The distribution function of the F law with `d1` and `d2` degrees of freedom and noncentrality `ncp`: a Poisson mixture of
/// regularised incomplete beta functions (Johnson, Kotz and Balakrishnan 1995, chapter 30).
pub fn noncentral_f_cdf(x: f64, d1: f64, d2: f64, ncp: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    let y = d1 * x / (d1 * x + d2);
    if ncp <= 0.0 {
        return beta_reg(d1 / 2.0, d2 / 2.0, y);
    }
    let mean = ncp / 2.0;
    let poisson = Poisson::new(mean).expect("the noncentrality is positive");
    // all but 1e-15 of the mixture lies within ten standard deviations of its mean
    let spread = 10.0 * mean.sqrt() + 10.0;
    let first = (mean - spread).max(0.0) as u64;
    (first..=(mean + spread) as u64)
        .map(|j| poisson.pmf(j) * beta_reg(d1 / 2.0 + j as f64, d2 / 2.0, y))
        .sum()
}

/// Judges a quantity that ought to be `target` to within `tolerance` by its interval: inside, outside, or neither.
pub fn equivalence(effect: f64, interval: Interval, target: f64, tolerance: f64) -> Outcome {
    let (low, high) = (target - tolerance, target + tolerance);
    if !effect.is_finite() {
        Outcome::Undecided
    } else if interval.low >= low && interval.high <= high {
        Outcome::Holds
    } else if interval.high < low || interval.low > high {
        Outcome::Violated
    } else {
        Outcome::Undecided
    }
}

/// Judges "the sentence holds in a run" from independent runs, some of which may be undecided themselves.
#[derive(Clone, Copy, Debug)]
pub struct RunTest {
    runs: u64,
    rates: Rates,
}

/// A sentence that fails in this share of runs is still let stand: training is a chance affair.
pub const TOLERATED_FAILURES: f64 = 0.1;

/// No share of runs in which a sentence fails makes both answers, that it holds and that it is violated, come with a chance above this.
pub const CONTRADICTION: f64 = 0.05;

impl RunTest {
    /// A test over `runs` independent runs.
    pub fn new(runs: u64, rates: Rates) -> Self {
        Self { runs, rates }
    }

    /// The fewest failures that refute: with failures tolerated in [`TOLERATED_FAILURES`] of runs, so many come with probability at most
    /// `false_alarm`. `None` when there are too few runs for any number to refute.
    pub fn critical(&self) -> Option<u64> {
        let tolerated = binomial(TOLERATED_FAILURES, self.runs);
        (1..=self.runs).find(|&k| tolerated.sf(k - 1) <= self.rates.false_alarm)
    }

    /// The failure rate at which fewer failures than [`RunTest::critical`] come with probability `chance`.
    fn rate_with_fewer(&self, critical: u64, chance: f64) -> f64 {
        let (mut low, mut high) = (TOLERATED_FAILURES, 1.0);
        // forty halvings: to 1e-12
        for _ in 0..40 {
            let middle = 0.5 * (low + high);
            if binomial(middle, self.runs).cdf(critical - 1) <= chance {
                high = middle;
            } else {
                low = middle;
            }
        }
        high
    }

    /// The smallest failure rate that [`RunTest::critical`] misses with probability at most `miss`.
    pub fn detectable(&self) -> f64 {
        self.critical().map_or(1.0, |critical| {
            self.rate_with_fewer(critical, self.rates.miss)
        })
    }

    /// The most failures with which the sentence is said to hold. A failure rate that refutes with the probability [`CONTRADICTION`] shows
    /// so few with no larger one; neither does a larger rate, and a smaller one refutes less often. `None` when there are too few runs
    /// for any number to refute, or to let stand.
    pub fn acceptable(&self) -> Option<u64> {
        let rate = self.rate_with_fewer(self.critical()?, 1.0 - CONTRADICTION);
        let refuting = binomial(rate, self.runs);
        let acceptable = (0..self.runs).take_while(|&k| refuting.cdf(k) <= CONTRADICTION);
        acceptable.last()
    }

    /// `failed` runs surely violate the sentence, `undecided` ones might.
    pub fn outcome(&self, failed: u64, undecided: u64) -> Outcome {
        let possible = failed + undecided;
        if self.critical().is_some_and(|critical| failed >= critical) {
            Outcome::Violated
        } else if self.acceptable().is_some_and(|most| possible <= most) {
            Outcome::Holds
        } else {
            Outcome::Undecided
        }
    }
}

fn binomial(p: f64, n: u64) -> Binomial {
    Binomial::new(p, n).expect("the rate lies in [0, 1]")
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use fjld_core::rng::{Seed, standard_normals};
    use statrs::distribution::{ContinuousCDF, Normal};

    const RATES: Rates = Rates {
        false_alarm: 1e-4,
        miss: 1e-3,
    };

    #[test]
    fn normal_draws_pass_as_normal_and_shifted_ones_do_not() {
        let normal = Normal::new(0.0, 1.0).expect("a standard normal exists");
        let n = kolmogorov_sample_size(0.1, RATES);
        let draws = standard_normals(&mut Seed::root(8).generator(), n);
        // a shift of 0.26 moves the distribution function by 0.103 at its middle
        let shifted = draws.iter().map(|x| x + 0.26).collect();
        let cdf = |x| normal.cdf(x);
        assert_eq!(kolmogorov(draws, cdf, RATES).outcome, Outcome::Holds);
        assert_eq!(kolmogorov(shifted, cdf, RATES).outcome, Outcome::Violated);
    }

    #[test]
    fn what_is_no_number_decides_nothing() {
        let draws = vec![0.5, f64::NAN];
        assert_eq!(kolmogorov(draws, |x| x, RATES).outcome, Outcome::Undecided);
        let cdf = |_| f64::NAN;
        assert_eq!(
            kolmogorov(vec![0.5], cdf, RATES).outcome,
            Outcome::Undecided
        );
        assert!(worse(worse(1.0, f64::NAN), 2.0).is_nan());
        let finding = Finding::of_identity(f64::NAN, 1.0, 1, "two sides");
        assert_eq!(finding.outcome, Outcome::Undecided);
    }

    #[test]
    fn a_kolmogorov_test_asks_for_as_many_draws_as_pencil_does() {
        // sqrt(log(20000)/2) + sqrt(log(2000)/2) = 2.2252 + 1.9494, over 0.1, squared
        assert_eq!(kolmogorov_sample_size(0.1, RATES), 1743);
    }

    #[test]
    fn the_noncentral_f_law_is_that_of_a_shifted_square_over_a_mean_of_squares() {
        let (d1, d2, shift) = (3, 7, 1.5);
        let n = kolmogorov_sample_size(0.02, RATES);
        let generator = &mut Seed::root(1).generator();
        let draws = (0..n)
            .map(|_| {
                let mut z = standard_normals(generator, d1 + d2);
                z[0] += shift;
                let squares = |z: &[f64]| z.iter().map(|v| v * v).sum::<f64>();
                (squares(&z[..d1]) / d1 as f64) / (squares(&z[d1..]) / d2 as f64)
            })
            .collect();
        let cdf = |x| noncentral_f_cdf(x, d1 as f64, d2 as f64, shift * shift);
        assert_eq!(kolmogorov(draws, cdf, RATES).outcome, Outcome::Holds);
    }

    #[test]
    fn the_central_f_law_has_its_printed_five_percent_point() {
        // F(4, 10): 3.478 in every table
        assert_relative_eq!(
            noncentral_f_cdf(3.478_05, 4.0, 10.0, 0.0),
            0.95,
            epsilon = 1e-5
        );
        assert_eq!(noncentral_f_cdf(-1.0, 4.0, 10.0, 2.0), 0.0);
    }

    /// What an interval decides about 1, to a relative tolerance.
    fn about_one(low: f64, high: f64, tolerance: f64) -> Outcome {
        let interval = Interval {
            low,
            high,
            level: 0.95,
        };
        equivalence(0.5 * (low + high), interval, 1.0, tolerance)
    }

    #[test]
    fn an_interval_decides_only_when_it_is_inside_or_outside_the_tolerance() {
        let judge = |low, high| about_one(low, high, 0.1);
        assert_eq!(judge(0.95, 1.05), Outcome::Holds);
        assert_eq!(judge(1.2, 1.3), Outcome::Violated);
        assert_eq!(judge(1.05, 1.3), Outcome::Undecided);
        assert_eq!(judge(f64::NAN, f64::NAN), Outcome::Undecided);
    }

    #[test]
    fn five_failures_in_five_runs_refute_and_three_do_not() {
        let test = RunTest::new(5, RATES);
        // .1^5 = 1e-5, and four of five 4.6e-4
        assert_eq!(test.critical(), Some(5));
        assert_eq!(test.outcome(5, 0), Outcome::Violated);
        assert_eq!(test.outcome(4, 1), Outcome::Undecided);
        assert_eq!(test.outcome(0, 0), Outcome::Holds);
        // .549 refutes in one of twenty, as .549^5 = .05; it shows no failure in .02 of cases, and at most one in .13
        assert_eq!(test.acceptable(), Some(0));
        assert_eq!(test.outcome(1, 0), Outcome::Undecided);
        assert_eq!(test.outcome(0, 1), Outcome::Undecided);
        assert_eq!(RunTest::new(2, RATES).outcome(2, 0), Outcome::Undecided);
    }

    #[test]
    fn no_failure_rate_is_likely_to_give_both_answers() {
        for runs in [5, 6, 10, 20, 40, 100, 300] {
            let test = RunTest::new(runs, RATES);
            let (critical, most) = (test.critical(), test.acceptable());
            let (critical, most) = critical.zip(most).expect("there are enough runs");
            let both = |most: u64| {
                let rates = (1..1000).map(|k| binomial(f64::from(k) * 1e-3, runs));
                let both = rates.map(|b| b.sf(critical - 1).min(b.cdf(most)));
                both.fold(0.0, f64::max)
            };
            assert!(both(most) <= CONTRADICTION, "{runs}");
            assert!(both(most + 1) > 0.9 * CONTRADICTION, "{runs}");
        }
        // with many runs a sentence stands that fails about as often as is tolerated
        let share = |runs| {
            let most = RunTest::new(runs, RATES).acceptable();
            most.expect("there are enough runs") as f64 / runs as f64
        };
        assert!((TOLERATED_FAILURES..0.15).contains(&share(100)));
    }

    #[test]
    fn twenty_runs_detect_a_smaller_failure_rate_than_five() {
        let (few, many) = (RunTest::new(5, RATES), RunTest::new(20, RATES));
        assert!(many.detectable() < few.detectable());
        let critical = many.critical().expect("twenty runs can refute");
        let missed = binomial(many.detectable(), 20).cdf(critical - 1);
        assert_relative_eq!(missed, RATES.miss, max_relative = 1e-6);
    }

    #[test]
    fn kolmogorovs_distance_looks_at_both_sides_of_a_step_and_is_held_against_the_bound() {
        // 2 exp(-2 n e^2) = 2 exp(-2) at e = 1/2 for four draws
        let rates = Rates {
            false_alarm: 2.0 * (-2.0f64).exp(),
            ..RATES
        };
        let uniform = |draws: [f64; 4]| kolmogorov(draws.to_vec(), |x| x, rates);
        for (draws, distance, outcome) in [
            // at the last draw all four have been seen, and the law has .55 or .45 to come
            ([0.1, 0.2, 0.3, 0.45], 0.55, Outcome::Violated),
            ([0.1, 0.2, 0.3, 0.55], 0.45, Outcome::Holds),
            // short of the first none has been seen, and the law has .55 or .45 behind it
            ([0.55, 0.7, 0.8, 0.9], 0.55, Outcome::Violated),
            ([0.45, 0.7, 0.8, 0.9], 0.45, Outcome::Holds),
        ] {
            let finding = uniform(draws);
            let effect = finding.effect.expect("it measures a distance");
            // a difference of two numbers below 1
            assert_relative_eq!(effect, distance, epsilon = 1e-15);
            assert_eq!(finding.outcome, outcome, "{draws:?}");
        }
    }

    #[test]
    fn only_a_distance_beyond_the_bound_alarms() {
        // P(D > e) <= 2 exp(-2 e^2) for one draw, whose distance is F or 1 - F at it: e = .83 for a rate of one half
        let rates = Rates {
            false_alarm: 0.5,
            ..RATES
        };
        let bound = (4.0f64.ln() / 2.0).sqrt();
        let at = |f: f64| kolmogorov(vec![0.0], |_| f, rates).outcome;
        assert_eq!(at(bound), Outcome::Holds);
        assert_eq!(at(bound.next_up()), Outcome::Violated);
    }

    #[test]
    fn the_noncentral_f_law_over_two_squares_is_what_pencil_gives_for_any_noncentrality() {
        // with d2 = 2 the beta functions are powers of y = d1 x / (d1 x + 2), and the sum over the Poisson law is its generating function:
        // y^(d1 / 2) exp(-(1 - y) ncp / 2)
        for ncp in [1e-4f64, 0.3, 5.0, 200.0, 2000.0] {
            for x in [0.5, 3.0, 1.0 + ncp, 1e6] {
                let y = 3.0 * x / (3.0 * x + 2.0);
                let by_pencil = y.powf(1.5) * (-(1.0 - y) * ncp / 2.0).exp();
                // logarithms of the weights have terms up to 7e3, each good to 1e-15 of itself
                let cdf = noncentral_f_cdf(x, 3.0, 2.0, ncp);
                assert_relative_eq!(cdf, by_pencil, epsilon = 1e-10);
            }
        }
    }

    #[test]
    fn an_interval_that_touches_the_end_of_the_tolerance_is_not_outside() {
        // halves and quarters, so that the ends meet exactly
        let judge = |low, high| about_one(low, high, 0.25);
        assert_eq!(judge(0.75, 1.25), Outcome::Holds);
        assert_eq!(judge(0.5, 0.75), Outcome::Undecided);
        assert_eq!(judge(1.25, 1.5), Outcome::Undecided);
        assert_eq!(judge(0.5, 0.75f64.next_down()), Outcome::Violated);
        assert_eq!(judge(1.25f64.next_up(), 1.5), Outcome::Violated);
    }

    #[test]
    fn a_sentence_stands_where_all_possible_failures_are_few_and_is_refuted_by_sure_ones() {
        // four in four have probability 1e-4 up to rounding; five are the first that surely refute, also of six
        for (runs, critical, most) in [(5, 5, 0), (6, 5, 0), (20, 9, 1), (60, 17, 6)] {
            let test = RunTest::new(runs, RATES);
            assert_eq!(test.critical(), Some(critical));
            assert_eq!(test.acceptable(), Some(most));
            for failed in 0..=runs {
                for undecided in 0..=runs - failed {
                    let expected = if failed >= critical {
                        Outcome::Violated
                    } else if failed + undecided <= most {
                        Outcome::Holds
                    } else {
                        Outcome::Undecided
                    };
                    let found = test.outcome(failed, undecided);
                    assert_eq!(found, expected, "{failed} and {undecided} of {runs}");
                }
            }
        }
    }
}
