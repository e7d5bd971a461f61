//! A diagonal curvature.

use super::{Curvature, check_damping};
use crate::error::{Error, Result};
use crate::geometry::factor::check_vector;
use faer::Mat;

/// `diag(entries)`.
#[derive(Clone, Debug)]
pub struct Diagonal {
    entries: Vec<f64>,
}

impl Diagonal {
    /// From the diagonal, of length `d`.
    ///
    /// # Errors
    /// When there are no entries, or one is negative or not finite.
    pub fn new(entries: Vec<f64>) -> Result<Self> {
        if entries.is_empty() {
            return Err(Error::NoCoordinates);
        }
        if let Some(&value) = entries.iter().find(|&&v| !(v >= 0.0 && v.is_finite())) {
            return Err(Error::OutOfRange {
                name: "an entry of the diagonal",
                value,
                accepted: "zero or positive, and finite",
            });
        }
        Ok(Self { entries })
    }

    /// The diagonal, of length `d`.
    pub fn entries(&self) -> &[f64] {
        &self.entries
    }

    /// `$F + \lambda 1$`.
    ///
    /// # Errors
    /// When `lambda` is negative or not finite.
    pub fn damped(&self, lambda: f64) -> Result<Self> {
        check_damping(lambda)?;
        Self::new(self.entries.iter().map(|v| v + lambda).collect())
    }

    /// Every entry of a diagonal is its own eigenvalue to the last bit, so only zero is singular.
    fn check_definite(&self) -> Result<()> {
        if self.entries.contains(&0.0) {
            return Err(Error::Singular {
                what: "the diagonal curvature".into(),
                damping: f64::MIN_POSITIVE,
            });
        }
        Ok(())
    }
}

impl Curvature for Diagonal {
    fn dimension(&self) -> usize {
        self.entries.len()
    }

    fn matvec(&self, v: &[f64]) -> Result<Vec<f64>> {
        check_vector(v, self.dimension(), "the vector")?;
        Ok(v.iter().zip(&self.entries).map(|(v, f)| v * f).collect())
    }

    fn solve(&self, v: &[f64]) -> Result<Vec<f64>> {
        check_vector(v, self.dimension(), "the vector")?;
        self.check_definite()?;
        Ok(v.iter().zip(&self.entries).map(|(v, f)| v / f).collect())
    }

    fn trace(&self) -> f64 {
        self.entries.iter().sum()
    }

    fn log_determinant(&self) -> Result<f64> {
        self.check_definite()?;
        Ok(self.entries.iter().map(|f| f.ln()).sum())
    }

    fn to_dense(&self) -> Mat<f64> {
        let d = self.dimension();
        Mat::from_fn(d, d, |i, j| if i == j { self.entries[i] } else { 0.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damping_is_added_to_every_entry_and_makes_a_singular_diagonal_definite() -> Result<()> {
        let singular = Diagonal::new(vec![2.0, 0.0, 0.5])?;
        assert!(singular.solve(&[1.0; 3]).is_err());
        let damped = singular.damped(0.25)?;
        assert_eq!(damped.entries(), [2.25, 0.25, 0.75]);
        // each entry times its own
        assert_eq!(damped.solve(&[4.5, 1.0, 0.75])?, [2.0, 4.0, 1.0]);
        assert_eq!(singular.damped(0.0)?.entries(), singular.entries());
        for lambda in [-0.25, f64::INFINITY, f64::NAN] {
            assert!(singular.damped(lambda).is_err(), "{lambda}");
        }
        Ok(())
    }
}
