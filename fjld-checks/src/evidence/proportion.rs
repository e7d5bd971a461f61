//! The interval of a proportion.

use statrs::distribution::{Beta, ContinuousCDF};

/// The interval of Clopper and Pearson (1934, *Biometrika* 26) for the probability behind `hits` of `trials`: it covers with probability
/// `level` at the least, whatever the probability. `[0, 1]` without trials.
///
/// Its ends are quantiles of beta laws: `P(X >= hits)` is `(1 - level)/2` at the lower end, `P(X <= hits)` at the upper one.
pub fn clopper_pearson(hits: u64, trials: u64, level: f64) -> [f64; 2] {
    let tail = (1.0 - level) / 2.0;
    let (k, n) = (hits.min(trials) as f64, trials as f64);
    let quantile = |p: f64, a: f64, b: f64| {
        let beta = Beta::new(a, b).expect("both shapes are positive");
        beta.inverse_cdf(p)
    };
    let low = if k > 0.0 {
        quantile(tail, k, n - k + 1.0)
    } else {
        0.0
    };
    let high = if k < n {
        quantile(1.0 - tail, k + 1.0, n - k)
    } else {
        1.0
    };
    [low, high]
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use statrs::distribution::{Binomial, DiscreteCDF};

    #[test]
    fn the_ends_are_where_the_binomial_tails_have_half_of_what_is_left() {
        for (hits, trials) in [(1, 20), (7, 50), (100, 2000), (1999, 2000)] {
            let [low, high] = clopper_pearson(hits, trials, 0.95);
            let law = |p| Binomial::new(p, trials).expect("a probability");
            // quantiles are found to about 1e-8 of a probability
            assert_relative_eq!(law(low).sf(hits - 1), 0.025, max_relative = 1e-4);
            assert_relative_eq!(law(high).cdf(hits), 0.025, max_relative = 1e-4);
        }
    }

    #[test]
    fn nothing_in_ten_leaves_up_to_31_percent() {
        // (1 - p)^10 = .025 at p = .30850
        let [low, high] = clopper_pearson(0, 10, 0.95);
        assert_eq!(low, 0.0);
        assert_relative_eq!(high, 0.308_50, max_relative = 1e-4);
        let [low, high] = clopper_pearson(10, 10, 0.95);
        assert_relative_eq!(low, 1.0 - 0.308_50, max_relative = 1e-4);
        assert_eq!(high, 1.0);
    }

    #[test]
    fn without_trials_nothing_is_known() {
        assert_eq!(clopper_pearson(0, 0, 0.95), [0.0, 1.0]);
    }
}
