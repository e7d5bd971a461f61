//! Information along a training run.

use crate::error::{Error, Result};
use crate::geometry::{log_determinant, log_jeffreys_diagonal};
use faer::MatRef;

/// What the gradients of a run told so far, in nats (see [`crate::information::kl_from_no_mean`]):
///
/// ```math
/// \sum_\text{steps} \frac t2, \qquad t = \mu' D^{-1} \mu
/// ```
///
/// The sum is the divergence of the whole run from one without mean gradients only if draws are independent given the parameters, as
/// minibatches drawn with replacement are (the chain rule of divergence, Cover and Thomas 2006, theorem 2.5.3).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Accumulated {
    nats: f64,
    steps: u64,
}

impl Accumulated {
    /// No steps yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `steps` steps, during which the squared Mahalanobis length was `squared_length`.
    ///
    /// Push debiased estimates ([`crate::geometry::SmallSample::debiased`]): plug-in ones add their excess at every step. These may be
    /// negative, and must be pushed as they are: the sum of unbiased terms is unbiased, that of clipped ones is not.
    ///
    /// # Errors
    /// When the length is NaN or infinite; nothing is added then.
    pub fn push(&mut self, squared_length: f64, steps: u64) -> Result<()> {
        if !squared_length.is_finite() {
            return Err(Error::OutOfRange {
                name: "the squared Mahalanobis length",
                value: squared_length,
                accepted: "finite",
            });
        }
        self.nats += 0.5 * squared_length * steps as f64;
        self.steps += steps;
        Ok(())
    }

    /// The sum, in nats.
    pub fn nats(&self) -> f64 {
        self.nats
    }

    /// Steps added.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Nats a step; `None` before the first.
    pub fn nats_per_step(&self) -> Option<f64> {
        (self.steps > 0).then(|| self.nats / self.steps as f64)
    }
}

/// The change of the gradients' entropy between two moments of a run, in nats:
///
/// ```math
/// \Delta H = \frac12 \bigl( \log\det D_\text{after} - \log\det D_\text{before} \bigr)
/// ```
///
/// # Errors
/// When a covariance is not positive definite, or their dimensions differ.
pub fn entropy_change(before: MatRef<'_, f64>, after: MatRef<'_, f64>) -> Result<f64> {
    same_dimension(before.nrows(), after.nrows())?;
    Ok(0.5 * (log_determinant(after)? - log_determinant(before)?))
}

/// The same from the variances of the coordinates alone, `[d]` each: the change of the summed entropies of the coordinates. It differs
/// from [`entropy_change`] by half the change of the Hadamard gap.
///
/// # Errors
/// When a variance is not positive, or the lengths differ.
pub fn entropy_change_diagonal(before: &[f64], after: &[f64]) -> Result<f64> {
    same_dimension(before.len(), after.len())?;
    Ok(log_jeffreys_diagonal(before)? - log_jeffreys_diagonal(after)?)
}

fn same_dimension(before: usize, after: usize) -> Result<()> {
    match (before, after) {
        (0, 0) => Err(Error::NoCoordinates),
        (expected, got) if expected != got => Err(Error::Length {
            what: "a side of the later covariance",
            expected,
            got,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::hadamard_gap;
    use crate::information::{entropy_rate, gaussian_divergence, kl_from_no_mean};
    use approx::assert_relative_eq;
    use faer::{Mat, mat};

    #[test]
    fn independent_steps_add_up_to_the_divergence_of_all_of_them_together() -> Result<()> {
        // three steps of one parameter are one draw in three dimensions
        let (means, variances) = ([1.0, -0.5, 0.2], [2.0, 0.3, 1.0]);
        let mut told = Accumulated::new();
        assert_eq!(told.nats_per_step(), None);
        for (m, v) in means.iter().zip(variances) {
            told.push(m * m / v, 1)?;
        }
        let all = Mat::from_fn(3, 3, |i, j| if i == j { variances[i] } else { 0.0 });
        let together = gaussian_divergence(&means, all.as_ref(), &[0.0; 3], all.as_ref())?;
        assert_relative_eq!(told.nats(), together, max_relative = 1e-14);
        assert_eq!(told.steps(), 3);
        assert_relative_eq!(
            kl_from_no_mean(&means, all.as_ref())?,
            3.0 * told.nats_per_step().expect("three steps were added"),
            max_relative = 1e-14
        );
        Ok(())
    }

    #[test]
    fn a_reading_stands_for_the_steps_it_covers_and_may_be_negative() -> Result<()> {
        let mut told = Accumulated::new();
        told.push(0.4, 10)?;
        told.push(-0.1, 20)?;
        assert_relative_eq!(told.nats(), 1.0, max_relative = 1e-15);
        let before = told;
        assert!(told.push(f64::NAN, 1).is_err());
        assert!(told.push(f64::INFINITY, 1).is_err());
        assert_eq!(told, before);
        Ok(())
    }

    #[test]
    fn the_change_of_entropy_is_the_integral_of_its_rate() -> Result<()> {
        let derivative = mat![[1.0, -0.3], [-0.3, 0.5]];
        let at = |t: f64| {
            Mat::from_fn(2, 2, |i, j| {
                f64::from(u8::from(i == j)) + t * derivative[(i, j)]
            })
        };
        // Simpson's rule with 100 steps errs by 1e-8 / 180 times a fourth derivative of order 10
        let steps = 100;
        let mut integral = 0.0;
        for k in 0..=steps {
            let weight = match k {
                0 => 1.0,
                k if k == steps => 1.0,
                k if k % 2 == 1 => 4.0,
                _ => 2.0,
            };
            let t = f64::from(k) / f64::from(steps);
            integral += weight * entropy_rate(at(t).as_ref(), derivative.as_ref())?;
        }
        integral /= 3.0 * f64::from(steps);
        assert_relative_eq!(
            entropy_change(at(0.0).as_ref(), at(1.0).as_ref())?,
            integral,
            max_relative = 1e-8
        );
        Ok(())
    }

    #[test]
    fn the_diagonal_misses_half_the_change_of_the_hadamard_gap() -> Result<()> {
        let (before, after) = (mat![[2.0, 0.1], [0.1, 1.0]], mat![[1.0, 0.6], [0.6, 0.5]]);
        let diagonal = entropy_change_diagonal(&[2.0, 1.0], &[1.0, 0.5])?;
        let gaps = hadamard_gap(after.as_ref())? - hadamard_gap(before.as_ref())?;
        assert_relative_eq!(
            entropy_change(before.as_ref(), after.as_ref())?,
            diagonal - 0.5 * gaps,
            max_relative = 1e-13
        );
        // a factor of four in variance, in pencil
        assert_relative_eq!(diagonal, -(2f64.ln()), max_relative = 1e-14);
        Ok(())
    }

    #[test]
    fn runs_without_entropy_are_refused() {
        let (one, two) = (mat![[1.0]], mat![[1.0, 0.0], [0.0, 1.0]]);
        assert!(entropy_change(one.as_ref(), two.as_ref()).is_err());
        assert!(entropy_change(one.as_ref(), mat![[0.0]].as_ref()).is_err());
        assert!(entropy_change_diagonal(&[1.0], &[1.0, 1.0]).is_err());
        assert!(entropy_change_diagonal(&[1.0], &[f64::NAN]).is_err());
        assert!(entropy_change_diagonal(&[], &[]).is_err());
    }
}
