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

    /// Four gradients with the means 2, 3 and 0. The first two coordinates have the deviations -1, 1, -1, 1 and -3, -1, 1, 3, so that
    /// with the divisor 3 their variances are 4/3 and 20/3 and their covariance is 4/3; the third, as of a pixel that is always dark,
    /// never moves.
    fn four_gradients() -> Gradients {
        let rows = [[1.0, 0.0], [3.0, 2.0], [1.0, 4.0], [3.0, 6.0]];
        Gradients {
            rows: Mat::from_fn(4, 3, |i, j| if j < 2 { rows[i][j] } else { 0.0 }),
            pairs: Vec::new(),
        }
    }

    /// Rounding of a few operations on numbers of order 1.
    const TOLERANCE: f64 = 1e-12;

    #[test]
    fn means_and_covariances_of_four_gradients_are_those_by_hand() {
        let (mean, covariance) = moments(&four_gradients().rows);
        assert_eq!(mean, [2.0, 3.0, 0.0]);
        let expected = [[4.0, 4.0, 0.0], [4.0, 20.0, 0.0], [0.0, 0.0, 0.0]];
        let expected = Mat::from_fn(3, 3, |i, j| expected[i][j] / 3.0);
        assert!((covariance - expected).norm_max() < TOLERANCE);
    }

    #[test]
    fn metrics_of_four_gradients_are_those_by_hand_and_a_coordinate_that_never_moves_does_not_count()
    -> Result<()> {
        let by_hand = [
            // (4 + 9) / (4/3 + 20/3)
            (Metric::Ratio, 13.0 / 8.0),
            // (4 / (4/3) + 9 / (20/3)) / 2 = (3 + 1.35) / 2
            (Metric::DiagonallyWeighted, 2.175),
            // D = [4 4; 4 20] / 3 has the inverse 3/64 [20 -4; -4 4], so that t = 3/64 (20 * 4 - 8 * 6 + 4 * 9); the rank is 2
            (Metric::Mahalanobis, 3.0 / 64.0 * 68.0 / 2.0),
            // the product of the variances is 80/9
            (Metric::LogJeffreys, -0.5 * (80.0f64 / 9.0).ln()),
        ];
        for (metric, expected) in by_hand {
            let value = metric.of(&four_gradients())?.expect("it exists");
            assert!((value - expected).abs() < TOLERANCE, "{metric:?}: {value}");
        }
        Ok(())
    }

    #[test]
    fn the_effective_rank_averages_over_all_pairs_of_differences_of_gradients() -> Result<()> {
        // for four different gradients the differences d = x1 - x2 and e = x3 - x4 are independent of mean 0 and covariance 2 D, so that
        // (d.e)^2 is 4 Tr D^2 in the mean and |d|^2 |e|^2 is 4 (Tr D)^2
        let gradients = four_gradients();
        let row = |i: usize| [gradients.rows[(i, 0)], gradients.rows[(i, 1)]];
        let less = |a: [f64; 2], b: [f64; 2]| [a[0] - b[0], a[1] - b[1]];
        let dot = |a: [f64; 2], b: [f64; 2]| a[0] * b[0] + a[1] * b[1];
        let (mut square_of_trace, mut trace_of_square) = (0.0, 0.0);
        // the three ways to split four into two pairs: which of a pair is first makes no difference
        for [a, b, c, d] in [[0, 1, 2, 3], [0, 2, 1, 3], [0, 3, 1, 2]] {
            let (one, other) = (less(row(a), row(b)), less(row(c), row(d)));
            square_of_trace += dot(one, one) * dot(other, other);
            trace_of_square += dot(one, other).powi(2);
        }
        let value = Metric::EffectiveRank.of(&gradients)?.expect("they spread");
        let expected = square_of_trace / trace_of_square;
        assert!((value - expected).abs() < TOLERANCE, "{value}, {expected}");
        Ok(())
    }

    #[test]
    fn there_is_no_kronecker_form_without_layers() -> Result<()> {
        assert_eq!(Metric::Kfac.of(&four_gradients())?, None);
        Ok(())
    }

    #[test]
    fn a_logarithm_moves_by_its_difference_and_all_else_relatively() {
        for metric in Metric::ALL {
            // from 2 to 5: the difference is 3, which is one and a half times 2
            let expected = if metric == Metric::LogJeffreys {
                3.0
            } else {
                1.5
            };
            assert_eq!(metric.change(2.0, 5.0), expected, "{metric:?}");
            assert_eq!(metric.change(2.0, 2.0), 0.0, "{metric:?}");
        }
    }
}
