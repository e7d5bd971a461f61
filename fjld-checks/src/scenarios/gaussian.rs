//! Draws of a known Gaussian law, with every metric beside its exact value.

use crate::error::{Error, Result};
use faer::{Mat, Side};
use fjld_core::geometry::{log_jeffreys, log_jeffreys_diagonal, mahalanobis, sphericity};
use fjld_core::information::{gaussian_entropy, kl_from_no_mean};
use fjld_core::rng::{Seed, standard_normals};
use fjld_core::{FullMoments, Moments, Ratio};
use serde::{Deserialize, Serialize};

/// A Gaussian law to draw gradients from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GaussianScenario {
    #[serde(rename = "schema")]
    _schema: String,
    #[serde(rename = "kind")]
    _kind: String,
    /// Its name.
    pub name: String,
    /// What it is, in a phrase.
    pub about: String,
    mean: Vec<f64>,
    covariance: Option<Vec<Vec<f64>>>,
    diagonal: Option<Vec<f64>>,
    samples: usize,
    seed: u64,
}

/// One metric: its exact value for the law, and what the samples gave. `None` where it does not exist.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The metric.
    pub metric: String,
    /// Its value for the law that was drawn from.
    pub exact: Option<f64>,
    /// Its value for the samples.
    pub estimate: Option<f64>,
}

/// Every metric of one law.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// `fjld-gaussian/1`.
    pub schema: String,
    /// The scenario.
    pub scenario: String,
    /// Draws.
    pub samples: usize,
    /// Coordinates.
    pub dimension: usize,
    /// The seed of the draws.
    pub seed: u64,
    /// Metric by metric.
    pub metrics: Vec<Row>,
    /// The interval for `C` at the level 0.95.
    pub interval: Option<[f64; 2]>,
}

/// A metric of a mean and a covariance; `None` where it does not exist.
type Metric = dyn Fn(&[f64], &Mat<f64>) -> Option<f64>;

/// The most coordinates for which a full covariance is taken.
const MAX_DIMENSION: usize = 1000;

impl GaussianScenario {
    /// Refuses values out of range.
    ///
    /// # Errors
    /// Naming the first of them.
    pub fn check(&self, origin: &str) -> Result<()> {
        let d = self.mean.len();
        let refuse = |sentence: String| Err(Error::input(format!("{origin}: {sentence}")));
        if d == 0 || d > MAX_DIMENSION {
            return refuse(format!(
                "mean has {d} coordinates; it must have 1 to {MAX_DIMENSION}"
            ));
        }
        if self.samples < 2 {
            return refuse(format!(
                "samples is {}; it must be at least 2, the fewest that have a variance",
                self.samples
            ));
        }
        if let Some(bad) = self.mean.iter().find(|m| !m.is_finite()) {
            return refuse(format!(
                "mean holds {bad}; every entry must be a finite number"
            ));
        }
        match (&self.covariance, &self.diagonal) {
            (Some(_), Some(_)) | (None, None) => {
                return refuse("exactly one of covariance and diagonal must be given".into());
            }
            (None, Some(diagonal)) if diagonal.len() != d => {
                let n = diagonal.len();
                return refuse(format!(
                    "diagonal has {n} entries; mean has {d} coordinates"
                ));
            }
            (Some(rows), None) if rows.len() != d || rows.iter().any(|r| r.len() != d) => {
                return refuse(format!(
                    "covariance must be {d} rows of {d} numbers, as mean has {d} coordinates"
                ));
            }
            _ => {}
        }
        let covariance = self.covariance();
        for i in 0..d {
            for j in 0..d {
                let (a, b) = (covariance[(i, j)], covariance[(j, i)]);
                if !a.is_finite() {
                    return refuse(format!("the covariance holds {a} at row {i}, column {j}"));
                }
                if a != b {
                    return refuse(format!(
                        "the covariance is not symmetric: {a} at row {i}, column {j}, but {b} across"
                    ));
                }
            }
        }
        if mahalanobis(&self.mean, covariance.as_ref()).is_err() {
            return refuse(
                "the covariance has a negative eigenvalue; a variance can not be negative".into(),
            );
        }
        Ok(())
    }

    fn covariance(&self) -> Mat<f64> {
        let d = self.mean.len();
        Mat::from_fn(d, d, |i, j| match (&self.covariance, &self.diagonal) {
            (Some(rows), _) => rows[i][j],
            (_, Some(diagonal)) if i == j => diagonal[i],
            _ => 0.0,
        })
    }

    /// Draws the samples and computes every metric.
    ///
    /// # Errors
    /// When a metric refuses its input.
    pub fn run(&self) -> Result<Table> {
        let d = self.mean.len();
        let covariance = self.covariance();
        let root = square_root(&covariance);
        let generator = &mut Seed::root(self.seed).derive(&self.name).generator();
        let mut moments = Moments::new(d)?;
        let mut full = FullMoments::new(d)?;
        for _ in 0..self.samples {
            let z = standard_normals(generator, d);
            let draw: Vec<f64> = (0..d)
                .map(|i| self.mean[i] + (0..d).map(|j| root[(i, j)] * z[j]).sum::<f64>())
                .collect();
            moments.push(&draw)?;
            full.push(&draw)?;
        }
        let ratio = Ratio::estimate(&moments, 0.95)?;
        let estimates = ratio.estimates.as_ref().ok();
        let sampled = full.covariance()?;
        let signal: f64 = self.mean.iter().map(|m| m * m).sum();
        let noise: f64 = (0..d).map(|i| covariance[(i, i)]).sum();
        let variances: Vec<f64> = (0..d).map(|i| covariance[(i, i)]).collect();
        let exact_c = (noise > 0.0).then(|| signal / noise);
        let mut metrics = Vec::new();
        let mut row = |metric: &str, exact: Option<f64>, estimate: Option<f64>| {
            metrics.push(Row {
                metric: metric.to_owned(),
                exact,
                estimate,
            });
        };
        let mut pair = |metric: &str, f: &Metric| {
            row(
                metric,
                f(&self.mean, &covariance),
                f(moments.mean(), &sampled),
            );
        };
        pair("log_jeffreys.full", &|_, c| log_jeffreys(c.as_ref()).ok());
        pair("sphericity", &|_, c| sphericity(c.as_ref()).ok());
        pair("mahalanobis.squared_length", &|m, c| {
            mahalanobis(m, c.as_ref()).ok().map(|t| t.squared_length)
        });
        pair("mahalanobis.rank", &|m, c| {
            mahalanobis(m, c.as_ref()).ok().map(|t| t.rank as f64)
        });
        pair("entropy", &|_, c| gaussian_entropy(c.as_ref()).ok());
        pair("kl_from_no_mean", &|m, c| {
            kl_from_no_mean(m, c.as_ref()).ok()
        });
        row("signal", Some(signal), Some(ratio.signal));
        row("noise", Some(noise), Some(ratio.noise));
        row("ratio.plug_in", exact_c, estimates.map(|e| e.plug_in));
        row("ratio.debiased", exact_c, estimates.map(|e| e.debiased));
        row(
            "log_jeffreys.diagonal",
            log_jeffreys_diagonal(&variances).ok(),
            log_jeffreys_diagonal(&moments.variances()?).ok(),
        );
        metrics.sort_by(|a, b| a.metric.cmp(&b.metric));
        Ok(Table {
            schema: "fjld-gaussian/1".into(),
            scenario: self.name.clone(),
            samples: self.samples,
            dimension: d,
            seed: self.seed,
            metrics,
            interval: estimates
                .and_then(|e| e.interval.as_ref().ok())
                .map(|i| [i.low, i.high]),
        })
    }
}

/// The symmetric square root of a covariance, singular ones included.
fn square_root(covariance: &Mat<f64>) -> Mat<f64> {
    let d = covariance.nrows();
    let eigen = covariance
        .self_adjoint_eigen(Side::Lower)
        .expect("the covariance was checked");
    let (vectors, values) = (eigen.U(), eigen.S().column_vector());
    Mat::from_fn(d, d, |i, j| {
        (0..d)
            .map(|k| vectors[(i, k)] * values[k].max(0.0).sqrt() * vectors[(j, k)])
            .sum()
    })
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            scenario,
            samples,
            dimension,
            ..
        } = self;
        writeln!(f, "{scenario}: {samples} draws in {dimension} dimensions")?;
        writeln!(f, "{:<28} {:>14} {:>14}", "metric", "exact", "estimate")?;
        let number = |v: Option<f64>| v.map_or("undefined".into(), |v| format!("{v:.6}"));
        for row in &self.metrics {
            let (exact, estimate) = (number(row.exact), number(row.estimate));
            writeln!(f, "{:<28} {exact:>14} {estimate:>14}", row.metric)?;
        }
        if let Some([low, high]) = self.interval {
            writeln!(f, "C lies in [{low:.6}, {high:.6}] at the level 0.95")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios::fixtures::lines_of;
    use crate::scenarios::{Scenario, parse};

    const LAW: &str = r#"
schema = "fjld-scenario/1"
kind = "gaussian"
name = "pair"
about = "two coordinates"
mean = [1.0, -2.0]
covariance = [[2.0, 0.5], [0.5, 1.0]]
samples = 3
seed = 1
"#;
    const MEAN: &str = "mean = [1.0, -2.0]";
    const COVARIANCE: &str = "covariance = [[2.0, 0.5], [0.5, 1.0]]";

    /// The law with one of its lines replaced.
    fn law(line: &str, by: &str) -> Result<GaussianScenario> {
        assert!(LAW.contains(line), "{line}");
        match parse(&LAW.replace(line, by), "law.toml")? {
            Scenario::Gaussian(scenario) => Ok(scenario),
            _ => unreachable!("its kind is gaussian"),
        }
    }

    fn refusal(line: &str, by: &str) -> String {
        law(line, by).expect_err(by).to_string()
    }

    #[test]
    fn a_law_out_of_range_is_refused_with_what_is_accepted() {
        let wide = format!("mean = {:?}", [0.5; 1001]);
        let both = format!("{COVARIANCE}\ndiagonal = [2.0, 1.0]");
        let one_of_both = "exactly one of covariance and diagonal must be given";
        let square = "covariance must be 2 rows of 2 numbers, as mean has 2 coordinates";
        for (line, by, said) in [
            (
                MEAN,
                "mean = []",
                "mean has 0 coordinates; it must have 1 to 1000",
            ),
            (
                MEAN,
                wide.as_str(),
                "mean has 1001 coordinates; it must have 1 to 1000",
            ),
            (
                "samples = 3",
                "samples = 1",
                "samples is 1; it must be at least 2, the fewest that have a variance",
            ),
            (
                "samples = 3",
                "samples = 0",
                "samples is 0; it must be at least 2, the fewest that have a variance",
            ),
            (COVARIANCE, "", one_of_both),
            (COVARIANCE, both.as_str(), one_of_both),
            (
                COVARIANCE,
                "diagonal = [1.0]",
                "diagonal has 1 entries; mean has 2 coordinates",
            ),
            (COVARIANCE, "covariance = [[2.0, 0.5]]", square),
            (COVARIANCE, "covariance = [[2.0, 0.5], [0.5]]", square),
            (
                COVARIANCE,
                "covariance = [[2.0, 0.5], [0.25, 1.0]]",
                "the covariance is not symmetric: 0.5 at row 0, column 1, but 0.25 across",
            ),
            // its eigenvalues are 3 and -1
            (
                COVARIANCE,
                "covariance = [[1.0, 2.0], [2.0, 1.0]]",
                "the covariance has a negative eigenvalue; a variance can not be negative",
            ),
        ] {
            assert_eq!(refusal(line, by), format!("law.toml: {said}"));
        }
    }

    #[test]
    fn two_samples_and_a_thousand_coordinates_are_still_within_range() {
        assert!(law("samples = 3", "samples = 2").is_ok());
        // a thousand eigenvalues would take a while: what is refused of the law is something else
        let wide = format!("mean = {:?}", [0.5; 1000]);
        let said = refusal(MEAN, &wide);
        let wanted = "law.toml: covariance must be 1000 rows of 1000 numbers";
        assert!(said.starts_with(wanted), "{said}");
    }

    #[test]
    fn a_law_without_noise_has_no_ratio() -> Result<()> {
        let table = law(COVARIANCE, "diagonal = [0.0, 0.0]")?.run()?;
        let row = |metric: &str| {
            let found = table.metrics.iter().find(|r| r.metric == metric);
            let row = found.expect("it is a metric");
            (row.exact, row.estimate)
        };
        // every draw is the mean, whose square is 1 + 4
        assert_eq!(row("signal").0, Some(5.0));
        assert_eq!(row("noise"), (Some(0.0), Some(0.0)));
        assert_eq!(row("ratio.plug_in"), (None, None));
        assert_eq!(row("ratio.debiased"), (None, None));
        assert_eq!(table.interval, None);
        Ok(())
    }

    #[test]
    fn a_table_is_printed_with_what_is_undefined_in_words() {
        let row = |metric: &str, exact, estimate| Row {
            metric: metric.to_owned(),
            exact,
            estimate,
        };
        let table = Table {
            schema: "fjld-gaussian/1".into(),
            scenario: "pair".into(),
            samples: 3,
            dimension: 2,
            seed: 1,
            metrics: vec![
                row("noise", Some(2.0), Some(1.5)),
                row("x", Some(0.25), None),
            ],
            interval: Some([0.125, 0.5]),
        };
        let printed = lines_of(&table.to_string());
        let wanted = [
            "pair: 3 draws in 2 dimensions",
            "metric exact estimate",
            "noise 2.000000 1.500000",
            "x 0.250000 undefined",
            "C lies in [0.125000, 0.500000] at the level 0.95",
        ];
        assert_eq!(printed, wanted);
        let without = Table {
            interval: None,
            ..table
        };
        assert_eq!(lines_of(&without.to_string()), wanted[..4]);
    }
}
