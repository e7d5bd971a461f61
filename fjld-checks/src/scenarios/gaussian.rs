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
