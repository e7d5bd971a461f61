//! What runs show on average over their seeds, with an interval, and their controls beside it. These are told, and decide nothing.

use super::proportion::clopper_pearson;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};
use statrs::statistics::Statistics;

/// The nominal coverage of every interval here.
pub const LEVEL: f64 = 0.95;

/// A statistic over the seeds of an experiment, in the runs or in a control.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OverSeeds {
    /// What was measured, with its unit.
    pub what: String,
    /// `runs`, or the name of a control.
    pub of: String,
    /// Seeds that have a value.
    pub seeds: u64,
    /// The mean of their values, or the share or correlation over them; `None` without one.
    pub value: Option<f64>,
    /// Its interval at the level 0.95; `None` where there are too few seeds, or none of them differs.
    pub interval: Option<[f64; 2]>,
    /// How the interval was made.
    pub method: Interval,
}

/// How an interval over seeds is made. None of them resamples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interval {
    /// Student's, of a mean over seeds: exact for normal values, near it for means of others.
    Student,
    /// Of a share of seeds: Clopper and Pearson's, which covers at its level whatever the share.
    ClopperPearson,
    /// Of a correlation between seeds: Fisher's transformation, for normal pairs; from four seeds on.
    Fisher,
}

impl Interval {
    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Student => "student",
            Self::ClopperPearson => "clopper-pearson",
            Self::Fisher => "fisher",
        }
    }
}

impl OverSeeds {
    /// The mean of a value a seed; seeds without one are left out.
    pub fn mean(what: &str, of: &str, values: impl IntoIterator<Item = Option<f64>>) -> Self {
        let values: Vec<f64> = values.into_iter().flatten().collect();
        let n = values.len();
        let value = (n > 0).then(|| values.as_slice().mean());
        // no number for fewer than two
        let deviation = values.as_slice().std_dev();
        let interval = (deviation > 0.0).then(|| {
            let law = StudentsT::new(0.0, 1.0, n as f64 - 1.0).expect("it has degrees of freedom");
            let half = law.inverse_cdf(0.5 + 0.5 * LEVEL) * deviation / (n as f64).sqrt();
            value.map(|mean| [mean - half, mean + half])
        });
        Self {
            what: what.to_owned(),
            of: of.to_owned(),
            seeds: n as u64,
            value,
            interval: interval.flatten(),
            method: Interval::Student,
        }
    }

    /// The share of seeds that show something.
    pub fn share(what: &str, of: &str, shown: impl IntoIterator<Item = bool>) -> Self {
        let shown: Vec<bool> = shown.into_iter().collect();
        let (n, hits) = (shown.len(), shown.iter().filter(|&&s| s).count());
        Self {
            what: what.to_owned(),
            of: of.to_owned(),
            seeds: n as u64,
            value: (n > 0).then(|| hits as f64 / n as f64),
            interval: (n > 0).then(|| clopper_pearson(hits as u64, n as u64, LEVEL)),
            method: Interval::ClopperPearson,
        }
    }

    /// Pearson's correlation between seeds of two values that each of them has; seeds without both are left out.
    pub fn correlation(
        what: &str,
        of: &str,
        pairs: impl IntoIterator<Item = (Option<f64>, Option<f64>)>,
    ) -> Self {
        let pairs = pairs.into_iter().filter_map(|(x, y)| Some((x?, y?)));
        let (x, y): (Vec<f64>, Vec<f64>) = pairs.unzip();
        let n = x.len();
        let value = pearson(&x, &y);
        let interval = value.filter(|rho| n > 3 && rho.abs() < 1.0).map(|rho| {
            let normal = Normal::new(0.0, 1.0).expect("a standard normal exists");
            let half = normal.inverse_cdf(0.5 + 0.5 * LEVEL) / (n as f64 - 3.0).sqrt();
            [rho.atanh() - half, rho.atanh() + half].map(f64::tanh)
        });
        Self {
            what: what.to_owned(),
            of: of.to_owned(),
            seeds: n as u64,
            value,
            interval,
            method: Interval::Fisher,
        }
    }

    /// The value and its interval, as they stand in a sentence.
    pub fn told(&self) -> String {
        let number = |v: f64| match v.abs() {
            a if a >= 100.0 => format!("{v:.0}"),
            a if a >= 0.01 || a == 0.0 => format!("{v:.2}"),
            _ => format!("{v:.1e}"),
        };
        match (self.value, self.interval) {
            (None, _) => "none".to_owned(),
            (Some(value), None) => number(value),
            (Some(value), Some([low, high])) => {
                format!("{} [{}, {}]", number(value), number(low), number(high))
            }
        }
    }
}

/// Pearson's correlation; `None` where nothing varies.
pub fn pearson(x: &[f64], y: &[f64]) -> Option<f64> {
    let rho = x.population_covariance(y) / (x.population_std_dev() * y.population_std_dev());
    rho.is_finite().then_some(rho)
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn the_mean_of_five_has_students_interval() {
        let five = OverSeeds::mean("x", "runs", [1.0, 2.0, 3.0, 4.0, 5.0].map(Some));
        // t at 0.975 with four degrees of freedom: 2.776 in every table; the deviation is sqrt(2.5)
        let half = 2.776_445 * (2.5f64 / 5.0).sqrt();
        let [low, high] = five.interval.expect("five values differ");
        assert_relative_eq!(low, 3.0 - half, max_relative = 1e-5);
        assert_relative_eq!(high, 3.0 + half, max_relative = 1e-5);
        assert_eq!(five.value, Some(3.0));
    }

    #[test]
    fn seeds_without_a_value_are_left_out_and_too_few_have_no_interval() {
        let one = OverSeeds::mean("x", "runs", [None, Some(2.0)]);
        assert_eq!((one.seeds, one.value, one.interval), (1, Some(2.0), None));
        let none = OverSeeds::mean("x", "runs", [None]);
        assert_eq!((none.seeds, none.value), (0, None));
        assert_eq!(none.told(), "none");
        assert_eq!(OverSeeds::mean("x", "runs", [Some(2.0); 3]).interval, None);
        assert_eq!(OverSeeds::share("x", "runs", []).value, None);
    }

    #[test]
    fn a_correlation_between_seeds_has_fishers_interval_from_four_on() {
        let of = |n: usize| {
            let pairs = [(1.0, 1.0), (2.0, 3.0), (3.0, 2.0), (4.0, 4.0), (5.0, 5.0)];
            let pairs = pairs.into_iter().take(n).map(|(x, y)| (Some(x), Some(y)));
            OverSeeds::correlation("x with y", "runs", pairs)
        };
        // 0.9 by pencil; atanh 0.9 = 1.47222, give or take 1.95996 / sqrt 2
        let five = of(5);
        assert_relative_eq!(five.value.expect("both vary"), 0.9, max_relative = 1e-12);
        let [low, high] = five.interval.expect("five pairs have one");
        assert_relative_eq!(low, (1.472_219f64 - 1.385_904).tanh(), max_relative = 1e-4);
        assert_relative_eq!(high, (1.472_219f64 + 1.385_904).tanh(), max_relative = 1e-4);
        assert_eq!(of(3).interval, None);
        let shown = OverSeeds::share("x", "runs", [true, false, true, true]);
        assert_eq!(shown.value, Some(0.75));
    }

    #[test]
    fn a_share_has_the_interval_of_clopper_and_pearson_unless_there_are_no_seeds() {
        let three_of_four = OverSeeds::share("x", "runs", [true, false, true, true]);
        let [p, q] = three_of_four.interval.expect("there are seeds");
        // P(X >= 3) = 4 p^3 (1 - p) + p^4 at the lower end, P(X <= 3) = 1 - q^4 at the upper: .025 each; quantiles are found to about
        // 1e-8 of a probability
        let above = 4.0 * p.powi(3) * (1.0 - p) + p.powi(4);
        assert_relative_eq!(above, 0.025, max_relative = 1e-4);
        assert_relative_eq!(1.0 - q.powi(4), 0.025, max_relative = 1e-4);
        assert_eq!(OverSeeds::share("x", "runs", []).interval, None);
    }

    #[test]
    fn seeds_on_a_line_leave_fishers_transformation_nothing_to_transform() {
        // the mean is 0 and the variance (4 + 4) / 8 = 1, without rounding; atanh 1 is infinite
        let x = [-2.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        for slope in [1.0, -1.0] {
            let pairs = x.map(|x| (Some(x), Some(slope * x)));
            let found = OverSeeds::correlation("x with y", "runs", pairs);
            assert_eq!((found.value, found.interval), (Some(slope), None));
        }
    }

    #[test]
    fn a_value_is_told_with_two_decimals_none_from_a_hundred_on_and_a_power_below_a_hundredth() {
        let told = |value: f64| OverSeeds::mean("x", "runs", [Some(value)]).told();
        for (value, wanted) in [
            (12345.6, "12346"),
            (100.0, "100"),
            (-99.994, "-99.99"),
            (5.678, "5.68"),
            (0.01, "0.01"),
            (0.00999, "1.0e-2"),
            (-0.000_123, "-1.2e-4"),
            (0.0, "0.00"),
        ] {
            assert_eq!(told(value), wanted);
        }
        let mut both = OverSeeds::mean("x", "runs", [Some(2.0)]);
        both.interval = Some([-0.001, 150.2]);
        assert_eq!(both.told(), "2.00 [-1.0e-3, 150]");
    }

    #[test]
    fn an_interval_is_named_as_its_file_names_it() {
        for interval in [
            Interval::Student,
            Interval::ClopperPearson,
            Interval::Fisher,
        ] {
            let written = serde_json::to_string(&interval).expect("a name");
            assert_eq!(written, format!("\"{}\"", interval.name()));
        }
    }
}
