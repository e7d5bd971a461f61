//! The eigenvectors of a covariance that may be singular, split into its range and the rest.

use super::factor::check_square;
use crate::error::{Error, Result};
use crate::range::to_unit;
use faer::{Mat, MatRef, Side};

/// Eigenvalues and eigenvectors of a covariance.
pub(crate) struct Spectrum {
    vectors: Mat<f64>,
    values: Vec<f64>,
    cutoff: f64,
    unit: f64,
}

/// A coordinate of a vector along an eigenvector.
pub(crate) struct Component {
    /// The length along it.
    pub along: f64,
    /// The eigenvalue times [`Spectrum::unit`], or `None` where it is down to rounding.
    pub variance: Option<f64>,
}

impl Spectrum {
    /// Of `covariance`, `[d, d]`; eigenvalues below `d eps lambda_max` count as 0.
    pub fn of(covariance: MatRef<'_, f64>) -> Result<Self> {
        check_square(covariance, "a side of the covariance")?;
        let refused = Error::NotACovariance {
            what: "the covariance",
            accepted: "a symmetric matrix of finite numbers with no negative eigenvalue",
        };
        let d = covariance.nrows();
        let entries = (0..d).flat_map(|j| (0..d).map(move |i| covariance[(i, j)].abs()));
        let unit = to_unit(entries.fold(0.0, f64::max));
        let scaled = Mat::from_fn(d, d, |i, j| covariance[(i, j)] * unit);
        let Ok(eigen) = scaled.self_adjoint_eigen(Side::Lower) else {
            return Err(refused);
        };
        let column = eigen.S().column_vector();
        let values: Vec<f64> = (0..d).map(|i| column[i]).collect();
        let largest = values.iter().map(|v| v.abs()).fold(0.0, f64::max);
        let cutoff = d as f64 * f64::EPSILON * largest;
        if values.iter().any(|v| !v.is_finite() || *v < -cutoff) {
            return Err(refused);
        }
        Ok(Self {
            vectors: eigen.U().to_owned(),
            values,
            cutoff,
            unit,
        })
    }

    /// The power of two that the covariance was multiplied by, to bring it near 1.
    pub fn unit(&self) -> f64 {
        self.unit
    }

    /// `vector`, `[d]`, along every eigenvector.
    pub fn components(&self, vector: &[f64]) -> Vec<Component> {
        let d = self.values.len();
        (0..d)
            .map(|i| Component {
                along: (0..d).map(|j| self.vectors[(j, i)] * vector[j]).sum(),
                variance: (self.values[i] > self.cutoff).then_some(self.values[i]),
            })
            .collect()
    }

    /// The vector, `[d]`, with these lengths along the eigenvectors.
    pub fn assemble(&self, along: &[f64]) -> Vec<f64> {
        let d = self.values.len();
        (0..d)
            .map(|j| (0..d).map(|i| self.vectors[(j, i)] * along[i]).sum())
            .collect()
    }
}
