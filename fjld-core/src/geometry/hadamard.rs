//! What the diagonal leaves out of a log determinant.

use super::factor::{check_square, definite_factor};
use crate::error::{Error, Result};
use crate::moments::FullMoments;
use faer::{Mat, MatRef};

/// The Hadamard gap, in nats:
///
/// ```math
/// \sum_i \log D_{ii} - \log\det D \;=\; -\log\det R \;\ge\; 0
/// ```
///
/// for `D`, `[d, d]`, with the correlation matrix `R`; 0 if and only if the coordinates are uncorrelated (Hadamard 1893), and the same in
/// every unit of theirs. For Gaussian gradients half of it is the information that the coordinates hold of each other.
///
/// # Errors
/// When `D` is not square or not finite, or not positive definite to rounding: the gap is then undefined.
pub fn hadamard_gap(covariance: MatRef<'_, f64>) -> Result<f64> {
    check_square(covariance, "a side of the covariance")?;
    let d = covariance.nrows();
    if let Some(value) = (0..d)
        .map(|i| covariance[(i, i)])
        .find(|variance| *variance <= 0.0)
    {
        return Err(Error::OutOfRange {
            name: "a variance",
            value,
            accepted: "positive: with a coordinate that never moves both sides of the gap are infinite",
        });
    }
    let deviations: Vec<f64> = (0..d).map(|i| covariance[(i, i)].sqrt()).collect();
    let correlation = Mat::from_fn(d, d, |i, j| {
        if i == j {
            1.0
        } else {
            covariance[(i, j)] / deviations[i] / deviations[j]
        }
    });
    let factor = definite_factor(correlation.as_ref())?;
    let l = factor.L();
    // every pivot is at most 1, so no rounding can make the sum negative but its own
    let gap: f64 = (0..d).map(|i| -2.0 * l[(i, i)].ln()).sum();
    Ok(gap.max(0.0))
}

/// The gap of a sample covariance. With `n <= d` samples that covariance is singular whatever the gradients are, its gap infinite and
/// nothing learnt of theirs, so it is refused.
///
/// The sample's gap is too large: for Gaussian gradients with independent coordinates its expectation is
///
/// ```math
/// \sum_{i=1}^d \left[ \psi\Bigl(\frac{n-1}{2}\Bigr) - \psi\Bigl(\frac{n-i}{2}\Bigr) \right]
/// ```
///
/// with the digamma function `$\psi$` (Bartlett's decomposition of a Wishart matrix).
///
/// # Errors
/// When `n <= d`, or as [`hadamard_gap`].
pub fn sample_hadamard_gap(moments: &FullMoments) -> Result<f64> {
    let d = moments.mean().len() as u64;
    if moments.count() <= d {
        return Err(Error::TooFewSamples {
            what: "the log determinant of a sample covariance",
            needed: d + 1,
            got: moments.count(),
        });
    }
    hadamard_gap(moments.covariance()?.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Seed, standard_normals};
    use approx::assert_relative_eq;
    use faer::mat;
    use statrs::function::gamma::digamma;

    #[test]
    fn a_correlated_pair_has_the_gap_that_pencil_gives() -> Result<()> {
        // 4 * 3 = 12 over 12 - 4 = 8
        let gap = hadamard_gap(mat![[4.0, 2.0], [2.0, 3.0]].as_ref())?;
        assert_relative_eq!(gap, 1.5f64.ln(), max_relative = 1e-14);
        // units do not matter, however far apart
        let gap = hadamard_gap(mat![[4e-200, 2e-100], [2e-100, 3.0]].as_ref())?;
        assert_relative_eq!(gap, 1.5f64.ln(), max_relative = 1e-14);
        assert_eq!(hadamard_gap(mat![[7.0]].as_ref())?, 0.0);
        Ok(())
    }

    #[test]
    fn equal_correlations_have_the_determinant_of_the_textbook() -> Result<()> {
        // det of (1 - r) 1 + r e e' is (1 - r)^(d-1) (1 + (d-1) r)
        let (d, r) = (30, 0.4f64);
        let covariance = Mat::from_fn(d, d, |i, j| if i == j { 1.0 } else { r });
        let expected = -((d - 1) as f64 * (1.0 - r).ln() + (1.0 + (d - 1) as f64 * r).ln());
        assert_relative_eq!(
            hadamard_gap(covariance.as_ref())?,
            expected,
            max_relative = 1e-13
        );
        Ok(())
    }

    #[test]
    fn a_gap_that_does_not_exist_is_refused() -> Result<()> {
        assert!(hadamard_gap(mat![[1.0, 1.0], [1.0, 1.0]].as_ref()).is_err());
        assert!(hadamard_gap(mat![[1.0, 0.0], [0.0, 0.0]].as_ref()).is_err());
        assert!(hadamard_gap(mat![[f64::NAN]].as_ref()).is_err());
        let mut moments = FullMoments::new(3)?;
        for row in [[1.0, 0.0, 2.0], [0.0, 1.0, 0.5], [3.0, 1.0, 1.0]] {
            moments.push(&row)?;
        }
        let error = sample_hadamard_gap(&moments).expect_err("three samples in three dimensions");
        assert_eq!(
            error.to_string(),
            "3 samples were given; the log determinant of a sample covariance needs at least 4"
        );
        Ok(())
    }

    #[test]
    fn the_gap_of_samples_exceeds_the_true_one_as_bartlett_says() -> Result<()> {
        let (n, d, repetitions) = (12u64, 5, 2000);
        let generator = &mut Seed::root(21).generator();
        let mut gaps = Vec::with_capacity(repetitions);
        for _ in 0..repetitions {
            let mut moments = FullMoments::new(d)?;
            for _ in 0..n {
                moments.push(&standard_normals(generator, d))?;
            }
            gaps.push(sample_hadamard_gap(&moments)?);
        }
        let count = repetitions as f64;
        let mean = gaps.iter().sum::<f64>() / count;
        let variance = gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let half = |k: u64| digamma((n - k) as f64 / 2.0);
        let expected: f64 = (1..=d as u64).map(|i| half(1) - half(i)).sum();
        // five standard errors of the mean
        let tolerance = 5.0 * (variance / count).sqrt();
        assert!(
            (mean - expected).abs() < tolerance,
            "{mean} against {expected}"
        );
        Ok(())
    }
}
