//! Laws with heavy tails on the line, and what robust estimates of their scatter tend to, by quadrature.

/// A law on the line, symmetric about its location, of unit scale.
#[derive(Clone, Copy)]
pub enum Law {
    /// Student's t.
    Student { freedom: f64 },
    /// Standard normal, but this share of draws has ten times the standard deviation.
    Outliers { share: f64 },
}

/// Tails from the Cauchy law's to nearly Gaussian ones.
pub const STUDENT: [Law; 5] = [
    Law::Student { freedom: 1.0 },
    Law::Student { freedom: 2.0 },
    Law::Student { freedom: 3.0 },
    Law::Student { freedom: 5.0 },
    Law::Student { freedom: 10.0 },
];

/// A few per cent of outliers.
pub const OUTLIERS: [Law; 3] = [
    Law::Outliers { share: 0.01 },
    Law::Outliers { share: 0.02 },
    Law::Outliers { share: 0.05 },
];

/// Gaussian to seven digits.
pub const GAUSSIAN: Law = Law::Student { freedom: 1e7 };

impl Law {
    /// The density up to a factor, and the score `-p'/p`.
    pub fn density_and_score(self, x: f64) -> (f64, f64) {
        match self {
            Self::Student { freedom } => {
                let exponent = -(freedom + 1.0) / 2.0;
                let square = x * x / freedom;
                (
                    (exponent * square.ln_1p()).exp(),
                    (freedom + 1.0) / freedom * x / (1.0 + square),
                )
            }
            Self::Outliers { share } => {
                let wide = 10.0;
                let inner = (1.0 - share) * (-0.5 * x * x).exp();
                let outer = share / wide * (-0.5 * x * x / (wide * wide)).exp();
                let density = inner + outer;
                let slope = inner * x + outer * x / (wide * wide);
                // beyond x = 370 both underflow and count for nothing
                (density, if density > 0.0 { slope / density } else { 0.0 })
            }
        }
    }
}

/// Nodes of the midpoint rule below. Its error falls with their square: 1e-7 here, relative.
const NODES: usize = 8_000;

/// `x` in `(0, infinity)` and weights, by `x = y/(1-y)` from equidistant `y`.
pub fn nodes() -> impl Iterator<Item = (f64, f64)> {
    let h = 1.0 / NODES as f64;
    (0..NODES).map(move |i| {
        let y = (i as f64 + 0.5) * h;
        (y / (1.0 - y), h / (1.0 - y).powi(2))
    })
}

/// `E f(|x|, score)` on the line, by quadrature.
pub fn expectation(law: Law, f: impl Fn(f64, f64) -> f64) -> f64 {
    let (mut sum, mut total) = (0.0, 0.0);
    for (x, weight) in nodes() {
        let (density, score) = law.density_and_score(x);
        sum += weight * density * f(x, score);
        total += weight * density;
    }
    sum / total
}

/// Robust estimates of scatter in one dimension, made to give the variance of Gaussian draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scatter {
    /// The squared median of `|x|` over that of a standard normal.
    MedianDeviation,
    /// Huber's proposal 2 with the usual constant 1.345 (Huber 1964, *Annals of Mathematical Statistics* 35).
    Huber,
    /// Maximum likelihood with the right tails, as if somebody knew them; of the Gaussian bulk where there are outliers.
    Likelihood,
}

/// All of them.
pub const SCATTERS: [Scatter; 3] = [
    Scatter::MedianDeviation,
    Scatter::Huber,
    Scatter::Likelihood,
];

/// The upper quartile of the standard normal law.
const QUARTILE: f64 = 0.674_489_750_196_081_7;

impl Scatter {
    /// The value that the estimate tends to with the number of samples.
    pub fn limit(self, law: Law) -> f64 {
        let huber = |law: Law, scale: f64| expectation(law, |x, _| (x / scale).min(1.345).powi(2));
        match self {
            Self::MedianDeviation => {
                let median = first(&|s| expectation(law, |x, _| f64::from(x < s)) > 0.5);
                (median / QUARTILE).powi(2)
            }
            Self::Huber => {
                let gaussian = huber(GAUSSIAN, 1.0);
                first(&|scale| huber(law, scale) < gaussian).powi(2)
            }
            Self::Likelihood => 1.0,
        }
    }
}

/// The scale between 0.1 and 10 from which on `passed` is true, by forty halvings of the logarithm: to 1e-11.
fn first(passed: &dyn Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.1f64, 10.0f64);
    for _ in 0..40 {
        let middle = (low * high).sqrt();
        if passed(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn the_cauchy_law_has_the_median_deviation_one_and_the_information_one_half() {
        let cauchy = Law::Student { freedom: 1.0 };
        // a step function by the midpoint rule: to one node in 8,000
        assert_relative_eq!(
            Scatter::MedianDeviation.limit(cauchy),
            QUARTILE.powi(-2),
            max_relative = 1e-3
        );
        let information = expectation(cauchy, |_, score| score * score);
        assert_relative_eq!(information, 0.5, max_relative = 1e-6);
    }

    #[test]
    fn every_scatter_is_one_for_gaussian_draws() {
        for scatter in SCATTERS {
            assert_relative_eq!(scatter.limit(GAUSSIAN), 1.0, max_relative = 1e-3);
        }
    }
}
