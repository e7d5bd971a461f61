//! What is compared before and after a change of parameters.

use super::network::Gradients;
use crate::error::Result;
use candle_core::Device;
use faer::Mat;
use fjld_core::geometry::{log_jeffreys_diagonal, mahalanobis};
use fjld_core::kronecker::{Damping, KfacAccumulator, Setting};
use fjld_core::moments::effective_rank::effective_rank;
use serde::{Deserialize, Serialize};

/// A number that a set of gradients has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// `C = |mu|^2 / Tr D`, plug-in.
    Ratio,
    /// `(1/d) sum mu_i^2 / D_ii`, over the coordinates that move.
    DiagonallyWeighted,
    /// `mu' D^+ mu / rank(D)`, plug-in.
    Mahalanobis,
    /// The ratio in Kronecker form, without damping.
    Kfac,
    /// The logarithm of the diagonal Jeffreys density, over the coordinates that move; compared by difference.
    LogJeffreys,
    /// `(Tr D)^2 / Tr(D^2)`, each estimated without bias.
    EffectiveRank,
}

impl Metric {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 6] = [
        Self::Ratio,
        Self::DiagonallyWeighted,
        Self::Mahalanobis,
        Self::Kfac,
        Self::LogJeffreys,
        Self::EffectiveRank,
    ];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ratio => "C",
            Self::DiagonallyWeighted => "C, diagonally weighted",
            Self::Mahalanobis => "t / rank D",
            Self::Kfac => "C, Kronecker form",
            Self::LogJeffreys => "log Jeffreys, diagonal",
            Self::EffectiveRank => "effective rank",
        }
    }

    /// Its value; `None` where it does not exist.
    ///
    /// # Errors
    /// When a gradient is not finite.
    pub fn of(self, gradients: &Gradients) -> Result<Option<f64>> {
        let (mean, covariance) = moments(&gradients.rows);
        let d = mean.len();
        let moving = || {
            let pairs = mean.iter().zip((0..d).map(|j| covariance[(j, j)]));
            pairs.filter(|(_, variance)| *variance > 0.0)
        };
        Ok(match self {
            Self::Ratio => {
                let trace: f64 = (0..d).map(|j| covariance[(j, j)]).sum();
                Some(mean.iter().map(|m| m * m).sum::<f64>() / trace)
            }
            Self::DiagonallyWeighted => {
                let terms: Vec<f64> = moving().map(|(m, v)| m * m / v).collect();
                Some(terms.iter().sum::<f64>() / terms.len() as f64)
            }
            Self::Mahalanobis => {
                let length = mahalanobis(&mean, covariance.as_ref())?;
                Some(length.squared_length / length.rank as f64)
            }
            Self::Kfac => {
                if gradients.pairs.is_empty() {
                    return Ok(None);
                }
                let mut factors = KfacAccumulator::new(Setting::Expand);
                factors.push(&gradients.pairs)?;
                let mut ratios = factors.ratios(Damping::None, &Device::Cpu)?;
                ratios.push(&gradients.pairs)?;
                ratios.reading()?.c_alpha_kfac
            }
            Self::LogJeffreys => {
                let variances: Vec<f64> = moving().map(|(_, v)| v).collect();
                log_jeffreys_diagonal(&variances).ok()
            }
            Self::EffectiveRank => {
                let rows = &gradients.rows;
                let flat = (0..rows.nrows()).flat_map(|i| (0..d).map(move |j| rows[(i, j)]));
                effective_rank(flat.collect(), d).ok()
            }
        })
    }

    /// How far it moved: relative, or the difference of a logarithm.
    pub fn change(self, before: f64, after: f64) -> f64 {
        match self {
            Self::LogJeffreys => after - before,
            _ => after / before - 1.0,
        }
    }
}

/// Mean and covariance with the divisor `n - 1` of the rows.
pub fn moments(rows: &Mat<f64>) -> (Vec<f64>, Mat<f64>) {
    let (n, d) = (rows.nrows(), rows.ncols());
    let mean: Vec<f64> = (0..d)
        .map(|j| rows.col(j).iter().sum::<f64>() / n as f64)
        .collect();
    let centred = Mat::from_fn(n, d, |i, j| rows[(i, j)] - mean[j]);
    let covariance = (1.0 / (n as f64 - 1.0)) * (centred.transpose() * &centred);
    (mean, covariance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios::reparameterization::transformation::Transformation;
    use crate::scenarios::{Scenario, parse};
    use faer::Side;

    #[test]
    fn the_variances_that_count_stand_clear_of_rounding_in_all_parameters() -> Result<()> {
        let text = include_str!("../../../../scenarios/reparameterization.toml");
        let Scenario::Reparameterization(scenario) = parse(text, "shipped")? else {
            panic!("it is a reparameterization scenario");
        };
        let trained = scenario.trained()?;
        let mut ranks = std::collections::BTreeSet::new();
        let generator = &mut scenario.seed().derive("test").generator();
        for kind in Transformation::ALL {
            let drawn = kind.draw(&trained.network, scenario.condition, generator);
            let gradients = drawn.gradients(&trained.network, &trained.problem)?;
            let (_, covariance) = moments(&gradients.rows);
            let values = covariance
                .self_adjoint_eigenvalues(Side::Lower)
                .expect("it is finite");
            let largest = values.iter().copied().fold(0.0, f64::max);
            let d = values.len() as f64;
            let rounding = d * f64::EPSILON * largest;
            let (count, noise): (Vec<f64>, Vec<f64>) = values.iter().partition(|v| **v > rounding);
            ranks.insert(count.len());
            assert!(count.iter().all(|v| *v > 1e-8 * largest), "{}", kind.name());
            assert!(
                noise.iter().all(|v| v.abs() < 0.1 * rounding),
                "{}",
                kind.name()
            );
        }
        Ok(())
    }
}
