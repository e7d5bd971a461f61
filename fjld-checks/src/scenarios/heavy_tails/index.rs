//! Tail indices with their intervals.

use statrs::distribution::{ContinuousCDF, Gamma, Normal};

/// How many of the largest of `n` values are the tail: the root of `n`, with half and twice that beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Half of the root.
    Half,
    /// The root of `n`: it grows without end and is a vanishing share, as consistency asks for.
    Root,
    /// Twice the root.
    Double,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Self; 3] = [Self::Half, Self::Root, Self::Double];

    /// Values in the tail of `n`.
    pub fn count(self, n: usize) -> usize {
        let factor = match self {
            Self::Half => 0.5,
            Self::Root => 1.0,
            Self::Double => 2.0,
        };
        ((factor * (n as f64).sqrt()).round() as usize).clamp(1, n.saturating_sub(1).max(1))
    }
}

/// An estimate with its interval.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Its interval.
    pub interval: [f64; 2],
}

/// `log(x_i / x_(k+1))` of the `k` largest of positive values; `None` where there are not more than `k` of them, or these are the same.
fn excesses(values: &[f64], k: usize) -> Option<Vec<f64>> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| *v > 0.0).collect();
    if k == 0 || sorted.len() <= k || sorted.iter().any(|v| !v.is_finite()) {
        return None;
    }
    sorted.sort_by(|a, b| b.total_cmp(a));
    let least = sorted[k];
    let logs: Vec<f64> = sorted[..k].iter().map(|v| (v / least).ln()).collect();
    (logs[0] > 0.0).then_some(logs)
}

/// Hill's estimate (1975, *Annals of Statistics* 3) of the index `a` of a tail `P(X > x) ~ x^-a`: `k` over the sum of the log-excesses.
/// For an exact Pareto tail `k a / a_hat` follows the gamma law of shape `k`, which the interval is made from.
///
/// A law without such a tail has no index, and the estimate is that of the power by which its tail falls where the sample ends.
pub fn hill(values: &[f64], k: usize, level: f64) -> Option<Estimate> {
    let sum: f64 = excesses(values, k)?.iter().sum();
    let count = k as f64;
    let gamma = Gamma::new(count, 1.0).expect("the shape is positive");
    let end = |p: f64| gamma.inverse_cdf(p) / sum;
    let tail = 0.5 * (1.0 - level);
    Some(Estimate {
        value: count / sum,
        interval: [end(tail), end(1.0 - tail)],
    })
}

/// The extreme value index by moments (Dekkers, Einmahl and de Haan 1989, *Annals of Statistics* 17): `1/a` for a tail of index `a`, and
/// 0 or less for a law all of whose moments exist. The interval is that of large samples, `k` growing.
pub fn extreme_value_index(values: &[f64], k: usize, level: f64) -> Option<Estimate> {
    let logs = excesses(values, k)?;
    let moment = |power: i32| logs.iter().map(|l| l.powi(power)).sum::<f64>() / k as f64;
    let (first, second) = (moment(1), moment(2));
    let share = first * first / second;
    // all excesses the same: there is no shape to tell
    if share >= 1.0 {
        return None;
    }
    let g = first + 1.0 - 0.5 / (1.0 - share);
    let variance = if g >= 0.0 {
        1.0 + g * g
    } else {
        let (two, three, four) = (1.0 - 2.0 * g, 1.0 - 3.0 * g, 1.0 - 4.0 * g);
        let inner = 4.0 - 8.0 * two / three + (5.0 - 11.0 * g) * two / (three * four);
        (1.0 - g).powi(2) * two * inner
    };
    let normal = Normal::new(0.0, 1.0).expect("a standard normal exists");
    let half = normal.inverse_cdf(0.5 + 0.5 * level) * (variance / k as f64).sqrt();
    Some(Estimate {
        value: g,
        interval: [g - half, g + half],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use fjld_core::rng::{Seed, standard_normals};
    use rand::RngExt;

    fn pareto(index: f64, count: usize, seed: &str) -> Vec<f64> {
        let generator = &mut Seed::root(3).derive(seed).generator();
        let uniform = (0..count).map(|_| 1.0 - generator.random::<f64>());
        uniform.map(|u| u.powf(-1.0 / index)).collect()
    }

    #[test]
    fn hills_estimate_is_that_of_pencil() {
        // log-excesses 2 and 1 over e: 2/3
        let values = [1f64, 3.0, 2.0, 0.0].map(f64::exp);
        let found = hill(&values, 2, 0.9).expect("there are four values");
        assert_relative_eq!(found.value, 2.0 / 3.0, max_relative = 1e-14);
        assert_eq!(hill(&values, 4, 0.9), None);
        assert_eq!(hill(&[2.0; 9], 3, 0.9), None);
        assert_eq!(hill(&[], 1, 0.9), None);
        assert_eq!(hill(&[f64::NAN, 1.0, f64::INFINITY], 1, 0.9), None);
    }

    #[test]
    fn the_interval_of_a_pareto_law_covers_its_index_as_often_as_it_says() {
        let (index, repeats, level) = (2.5, 1000, 0.9);
        let covered = (0..repeats)
            .filter(|i| {
                let draws = pareto(index, 400, &i.to_string());
                let [low, high] = hill(&draws, 20, level).expect("400 values").interval;
                low <= index && index <= high
            })
            .count();
        let share = covered as f64 / f64::from(repeats);
        // five standard deviations of a proportion over 1,000
        assert!((share - level).abs() < 0.048, "{share}");
    }

    #[test]
    fn a_pareto_law_has_a_finite_index_and_a_gaussian_one_has_none() {
        let n = 20_000;
        let k = Rule::Double.count(n);
        let heavy = extreme_value_index(&pareto(2.0, n, "heavy"), k, 0.999).expect("it has a tail");
        assert!(heavy.interval[0] > 0.0, "{heavy:?}");
        assert!((0.2..0.8).contains(&heavy.value), "{heavy:?}");
        let normals = standard_normals(&mut Seed::root(4).generator(), n);
        let sizes: Vec<f64> = normals.iter().map(|v| v.abs()).collect();
        let light = extreme_value_index(&sizes, k, 0.999).expect("it has a tail");
        assert!(light.interval[0] < 0.0, "{light:?}");
        // and Hill's estimate tells the two apart at the same k
        let both = [pareto(2.0, n, "heavy"), sizes].map(|v| hill(&v, k, 0.999).expect("a tail"));
        assert!(both[0].interval[1] < both[1].interval[0], "{both:?}");
    }

    #[test]
    fn the_tail_is_the_root_of_the_number_of_values_and_never_all_of_them() {
        assert_eq!(Rule::ALL.map(|rule| rule.count(1600)), [20, 40, 80]);
        assert_eq!(Rule::Double.count(3), 2);
        assert_eq!(Rule::Half.count(1), 1);
    }

    #[test]
    fn only_positive_values_can_be_a_tail() {
        // two of them are not more than k = 2: there is no third to divide them by
        assert_eq!(hill(&[3.0, 2.0, 0.0], 2, 0.9), None);
        assert!(hill(&[3.0, 2.0, 1.0], 2, 0.9).is_some());
    }

    #[test]
    fn the_extreme_value_index_is_that_of_pencil_on_either_side_of_zero() {
        // the level of two standard deviations, given to fifteen digits
        let level = 0.954_499_736_103_642;
        let of = |a: f64, b: f64| {
            let values = [a, b, 0.0].map(f64::exp);
            extreme_value_index(&values, 2, level).expect("there are three values")
        };
        // Log-excesses 3 and 1 have the moments 2 and 5: g = 2 + 1 - 1/2 / (1 - 4/5) = 1/2, of variance (1 + 1/4) / 2.
        let heavy = of(3.0, 1.0);
        let half = 2.0 * (1.25f64 / 2.0).sqrt();
        assert_relative_eq!(heavy.value, 0.5, max_relative = 1e-12);
        assert_relative_eq!(heavy.interval[0], 0.5 - half, max_relative = 1e-9);
        assert_relative_eq!(heavy.interval[1], 0.5 + half, max_relative = 1e-9);
        // 14/3 and 7/3 have the moments 7/2 and 245/18: g = 7/2 + 1 - 1/2 / (1 - 9/10) = -1/2. With 1 - 2g, 1 - 3g and 1 - 4g being 2,
        // 5/2 and 3 the variance is (3/2)^2 2 (4 - 16/(5/2) + (21/2) 2/(15/2)) = 9/2 (4 - 32/5 + 14/5) = 9/5, over k = 2.
        let light = of(14.0 / 3.0, 7.0 / 3.0);
        let half = 2.0 * (1.8f64 / 2.0).sqrt();
        assert_relative_eq!(light.value, -0.5, max_relative = 1e-12);
        assert_relative_eq!(light.interval[0], -0.5 - half, max_relative = 1e-9);
        assert_relative_eq!(light.interval[1], -0.5 + half, max_relative = 1e-9);
    }
}
