//! When a step of stochastic gradient descent lowers a quadratic loss, in expectation.

use crate::error::{Error, Result};
use crate::geometry::factor::check_shape;
use faer::MatRef;

/// What decides between descent and ascent.
///
/// With gradient `mu`, Hessian `H` and noise covariance `D` at `theta`, the step `theta - eta (mu + xi)` changes the loss by
///
/// ```math
/// \E \Delta L = -\eta |\mu|^2 + \frac{\eta^2}{2} \bigl( \mu' H \mu + \Tr(H D) \bigr)
/// ```
///
/// exactly, whatever else the law of `xi` is. With the curvatures along the gradient and that the noise meets,
///
/// ```math
/// h_\mu = \frac{\mu' H \mu}{|\mu|^2}, \qquad h_D = \frac{\Tr(H D)}{\Tr D},
/// ```
///
/// and where `$\eta h_\mu < 2$`, that is negative if and only if
///
/// ```math
/// C > C^* = \frac{\eta h_D}{2 - \eta h_\mu}.
/// ```
///
/// A step that overshoots along the gradient, `$\eta h_\mu > 2$`, still lowers the loss where the noise meets negative curvature,
/// `$h_D < 0$`, and `$C < C^*$`. The change is least at
///
/// ```math
/// \eta = \frac{|\mu|^2}{\mu' H \mu + \Tr(H D)}
/// ```
///
/// (McCandlish et al. 2018, arXiv:1812.06162, eq. 2.6 and 2.7). `$C^* = 1$` only at the one step size `$\eta = 2 / (h_D + h_\mu)$`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Descent {
    /// `|mu|^2`.
    pub signal: f64,
    /// `Tr D`.
    pub noise: f64,
    /// `$h_\mu = \mu' H \mu / |\mu|^2$`, the curvature along the gradient.
    pub mean_curvature: f64,
    /// `$h_D = \Tr(H D) / \Tr D$`, the curvature that the noise meets.
    pub noise_curvature: f64,
}

impl Descent {
    /// From the gradient `mu`, `[d]`, and symmetric `D` and `H`, `[d, d]`.
    ///
    /// # Errors
    /// When sizes differ, an entry is not finite, or `|mu|^2` or `Tr D` is not positive or leaves the range of numbers: then there is no curvature along it.
    pub fn of(mean: &[f64], covariance: MatRef<'_, f64>, hessian: MatRef<'_, f64>) -> Result<Self> {
        let d = mean.len();
        check_shape(covariance, d, d, "the covariance")?;
        check_shape(hessian, d, d, "the Hessian")?;
        if let Some(column) = mean.iter().position(|m| !m.is_finite()) {
            return Err(Error::NotFinite {
                value: mean[column],
                row: 0,
                column,
            });
        }
        let signal: f64 = mean.iter().map(|m| m * m).sum();
        let noise: f64 = (0..d).map(|i| covariance[(i, i)]).sum();
        for (name, value) in [
            ("the squared length of the mean", signal),
            ("the trace of the covariance", noise),
        ] {
            if !(f64::MIN_POSITIVE..f64::INFINITY).contains(&value) {
                return Err(Error::OutOfRange {
                    name,
                    value,
                    accepted: "positive, from 2.2e-308, below which its digits are lost, to 1.8e308",
                });
            }
        }
        let (mut along, mut met) = (0.0, 0.0);
        for i in 0..d {
            for j in 0..d {
                along += mean[i] * hessian[(i, j)] * mean[j];
                met += hessian[(i, j)] * covariance[(j, i)];
            }
        }
        Ok(Self {
            signal,
            noise,
            mean_curvature: along / signal,
            noise_curvature: met / noise,
        })
    }

    /// `$C = |\mu|^2 / \Tr D$`.
    pub fn ratio(&self) -> f64 {
        self.signal / self.noise
    }

    /// `E dL` of a step of size `eta`.
    pub fn expected_change(&self, eta: f64) -> f64 {
        let second = self.mean_curvature * self.signal + self.noise_curvature * self.noise;
        eta * (0.5 * eta * second - self.signal)
    }

    /// `$C^* = \eta h_D / (2 - \eta h_\mu)$`, above which a step of size `$\eta > 0$` lowers the loss in expectation. `None` where
    /// `$\eta h_\mu \ge 2$`: such a step overshoots along the gradient itself, with no noise at all the loss would not fall, and no `C` is
    /// high enough. What it then does where `$h_D < 0$` is told by [`Descent::expected_change`].
    pub fn boundary(&self, eta: f64) -> Option<f64> {
        let room = 2.0 - eta * self.mean_curvature;
        (room > 0.0).then(|| eta * self.noise_curvature / room)
    }

    /// The step size that lowers the loss most, `$|\mu|^2 / (\mu' H \mu + \Tr(H D))$`. `None` where the curvature met is not positive, and
    /// longer is always better.
    pub fn best_step(&self) -> Option<f64> {
        let second = self.mean_curvature * self.signal + self.noise_curvature * self.noise;
        (second > 0.0).then(|| self.signal / second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use faer::{Mat, mat};

    /// `theta'H theta / 2 + slope.theta`.
    fn loss(hessian: &Mat<f64>, slope: [f64; 2], theta: [f64; 2]) -> f64 {
        let mut value = slope[0] * theta[0] + slope[1] * theta[1];
        for i in 0..2 {
            for j in 0..2 {
                value += 0.5 * theta[i] * hessian[(i, j)] * theta[j];
            }
        }
        value
    }

    /// Four equally likely noises with covariance `D = R R'`: plus and minus `sqrt 2` times a column of `R`.
    const ROOT: [[f64; 2]; 2] = [[1.5, 0.0], [-0.5, 0.75]];

    fn covariance() -> Mat<f64> {
        Mat::from_fn(2, 2, |i, j| {
            ROOT[i][0] * ROOT[j][0] + ROOT[i][1] * ROOT[j][1]
        })
    }

    #[test]
    fn the_expected_change_is_the_average_over_every_noise_there_is() -> Result<()> {
        let hessian = mat![[2.0, 0.5], [0.5, 1.0]];
        let (theta, slope) = ([1.0, -2.0], [0.25, 0.5]);
        let gradient =
            [0, 1].map(|i| hessian[(i, 0)] * theta[0] + hessian[(i, 1)] * theta[1] + slope[i]);
        let descent = Descent::of(&gradient, covariance().as_ref(), hessian.as_ref())?;
        for eta in [0.01, 0.3, 0.7, 1.5] {
            let mut change = 0.0;
            for column in [0, 1] {
                for sign in [2f64.sqrt(), -(2f64.sqrt())] {
                    let after =
                        [0, 1].map(|i| theta[i] - eta * (gradient[i] + sign * ROOT[i][column]));
                    change += loss(&hessian, slope, after) - loss(&hessian, slope, theta);
                }
            }
            // a few dozen roundings of numbers of size one
            assert_relative_eq!(
                descent.expected_change(eta),
                change / 4.0,
                epsilon = 1e-14,
                max_relative = 1e-13
            );
        }
        Ok(())
    }

    #[test]
    fn the_loss_falls_on_one_side_of_the_boundary_and_rises_on_the_other() -> Result<()> {
        let hessian = mat![[2.0, 0.5], [0.5, 1.0]];
        for eta in [0.1, 0.5, 0.8] {
            for (scale, falls) in [(1.0 + 1e-9, true), (1.0 - 1e-9, false)] {
                // the boundary does not depend on the mean's length, so that a mean can be put next to it
                let unit = [0.6, -0.8];
                let probe = Descent::of(&unit, covariance().as_ref(), hessian.as_ref())?;
                let wanted = probe.boundary(eta).expect("eta h_mu < 2") * scale;
                let length = (wanted * probe.noise).sqrt();
                let mean = unit.map(|m| m * length);
                let descent = Descent::of(&mean, covariance().as_ref(), hessian.as_ref())?;
                assert_eq!(
                    descent.expected_change(eta) < 0.0,
                    falls,
                    "eta {eta}, scale {scale}"
                );
            }
        }
        Ok(())
    }

    #[test]
    fn no_step_is_better_than_the_best_and_with_one_curvature_it_is_c_over_one_plus_c() -> Result<()>
    {
        let hessian = mat![[3.0, 0.0], [0.0, 3.0]];
        let descent = Descent::of(&[1.0, 2.0], covariance().as_ref(), hessian.as_ref())?;
        let best = descent.best_step().expect("the curvature is positive");
        let c = descent.ratio();
        assert_relative_eq!(3.0 * best, c / (1.0 + c), max_relative = 1e-14);
        for other in [0.5 * best, 0.99 * best, 1.01 * best, 2.0 * best] {
            assert!(descent.expected_change(other) > descent.expected_change(best));
        }
        Ok(())
    }

    #[test]
    fn the_two_counterexamples_of_one_dimension_are_on_their_sides() -> Result<()> {
        // g = theta (1 +- 2), eta = 1/5: C = 1/4 at every theta, and E theta^2 shrinks by 4/5, the loss by theta^2 / 10
        let below_one = Descent::of(&[1.0], mat![[4.0]].as_ref(), mat![[1.0]].as_ref())?;
        assert_relative_eq!(below_one.expected_change(0.2), -0.1, max_relative = 1e-15);
        assert!(below_one.ratio() > below_one.boundary(0.2).expect("0.2 < 2"));
        // h = 1, eta = 19/10: the loss rises for every C below 19
        assert_relative_eq!(
            below_one.boundary(1.9).expect("1.9 < 2"),
            19.0,
            max_relative = 1e-14
        );
        assert_eq!(below_one.boundary(2.0), None);
        Ok(())
    }

    #[test]
    fn a_gradient_or_a_noise_that_is_not_there_has_no_curvature() {
        let one = mat![[1.0]];
        let error = Descent::of(&[0.0], one.as_ref(), one.as_ref()).expect_err("no gradient");
        assert_eq!(
            error.to_string(),
            "the squared length of the mean is 0; it must be positive, from 2.2e-308, below which its digits are lost, to 1.8e308"
        );
        assert!(Descent::of(&[1.0], mat![[0.0]].as_ref(), one.as_ref()).is_err());
        assert!(Descent::of(&[1.0, 2.0], one.as_ref(), one.as_ref()).is_err());
        assert!(Descent::of(&[1.0], one.as_ref(), mat![[f64::NAN]].as_ref()).is_err());
        assert!(Descent::of(&[f64::INFINITY], one.as_ref(), one.as_ref()).is_err());
        let saddle = Descent::of(&[1.0], one.as_ref(), mat![[-1.0]].as_ref());
        assert_eq!(saddle.expect("finite").best_step(), None);
    }

    #[test]
    fn where_the_curvatures_met_cancel_longer_is_always_better_and_no_step_the_best() -> Result<()>
    {
        // up along the gradient (1, 0) as much as down along the noise: mu'H mu + Tr(H D) = 1 - 1
        let saddle = mat![[1.0, 0.0], [0.0, -1.0]];
        let across = mat![[0.0, 0.0], [0.0, 1.0]];
        let descent = Descent::of(&[1.0, 0.0], across.as_ref(), saddle.as_ref())?;
        assert_eq!(descent.best_step(), None);
        for eta in [0.5, 1.0, 1e6] {
            assert_eq!(descent.expected_change(eta), -eta);
        }
        Ok(())
    }
}
