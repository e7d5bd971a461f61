//! The boundary of descent for every quadratic loss: correlated curvature and noise, saddles and maxima included.
//!
//! `L(theta + x) - L(theta) = mu.x + x'H x/2` exactly, for any symmetric `H`, so the step `x = -eta (mu + xi)` has
//!
//! ```text
//! E dL = -eta |mu|^2 + (eta^2/2) (mu'H mu + Tr(H D))
//! ```
//!
//! and `E dL < 0` iff `C (2 - eta h_mu) > eta h_D`. Dividing by `2 - eta h_mu` turns the sign with it:
//!
//! - `eta h_mu < 2`: iff `C > C*`; where `h_D < 0`, `C*` is negative, and every step lowers the loss;
//! - `eta h_mu = 2`: iff `h_D < 0`, at every `C`;
//! - `eta h_mu > 2`: iff `C < C*`, which takes `h_D < 0`: the step overshoots along the gradient, and noise that leaves along
//!   negative curvature makes up for it.
//!
//! The last two do not arise where `H` is positive semidefinite.

use crate::evidence::rational::{Matrix, Q, dot, q, squared_norm, tuple};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use num_traits::{One, Signed, Zero};

/// A step on any quadratic loss, with noise that is one of `noises` or its negative, all equally likely.
struct Step {
    eta: Q,
    hessian: Matrix,
    mean: Vec<Q>,
    noises: Vec<Vec<Q>>,
}

impl Step {
    /// `D`, the average of the noises' squares.
    fn covariance(&self) -> Matrix {
        let (d, n) = (self.mean.len(), q(self.noises.len() as i64, 1));
        Matrix::from_fn(d, d, |i, j| {
            self.noises.iter().map(|r| &r[i] * &r[j]).sum::<Q>() / &n
        })
    }

    /// `E L(theta - eta g) - L(theta)`, by taking the step with every noise there is.
    fn change(&self) -> Q {
        let mut total = Q::zero();
        for noise in &self.noises {
            for sign in [Q::one(), -Q::one()] {
                let pairs = self.mean.iter().zip(noise);
                let x: Vec<Q> = pairs.map(|(m, r)| -&self.eta * (m + &sign * r)).collect();
                total += dot(&self.mean, &x) + dot(&x, &self.hessian.apply(&x)) / q(2, 1);
            }
        }
        total / q(2 * self.noises.len() as i64, 1)
    }
}

/// Which Hessians there are, and the share of the correlations of the noise, in eighths, that the estimate of `h_D` leaves out.
struct Quadratics {
    definite_plane: bool,
    left_out: i64,
}

/// Steps in the plane with any Hessian, gradient and correlated noise, and in space with fewer coordinates free.
fn parts(definite_plane: bool) -> Vec<Part<Step>> {
    // beside curvatures of size 1 they reach both sides of eta h_mu = 2, and 2 itself
    let steps = [q(1, 2), q(1, 1), q(3, 1)];
    let plane = steps.iter().cloned().map(|eta| {
        // H, mu, and one noise beside one along the first axis
        let axes: &[&[Axis]] = &[
            &[Axis::Any; 3],
            &[Axis::Any; 2],
            &[Axis::Any; 2],
            &[Axis::Any],
        ];
        Part::new(axes, 1, move |c| {
            let hessian = Matrix::symmetric(2, &c[..3]);
            if definite_plane && !hessian.is_positive_definite() {
                return None;
            }
            Some(Step {
                eta: eta.clone(),
                hessian,
                mean: c[3..5].to_vec(),
                noises: vec![c[5..7].to_vec(), vec![c[7].clone(), Q::zero()]],
            })
        })
    });
    let mut parts: Vec<Part<Step>> = plane.collect();
    if !definite_plane {
        parts.extend(steps[1..].iter().cloned().map(|eta| {
            // free: the diagonal of H and the size of its other entries, two entries of mu and two of the noise
            Part::new(&[&[Axis::Any; 8]], 1, move |c| {
                let (t, one) = (c[3].clone(), Q::one());
                let triangle = [&c[0], &t, &c[1], &-&t, &t, &c[2]].map(Q::clone);
                Some(Step {
                    eta: eta.clone(),
                    hessian: Matrix::symmetric(3, &triangle),
                    mean: vec![c[4].clone(), c[5].clone(), one.clone()],
                    noises: vec![vec![c[6].clone(), one, c[7].clone()]],
                })
            })
        }));
    }
    parts
}

fn examine(world: &Quadratics, _: &Draw) -> Finding {
    let kept = q(8 - world.left_out, 8);
    search(&parts(world.definite_plane), |step| {
        let (covariance, signal) = (step.covariance(), squared_norm(&step.mean));
        let noise = covariance.trace();
        if signal.is_zero() || noise.is_zero() {
            return None;
        }
        let d = step.mean.len();
        let met: Q = (0..d)
            .flat_map(|i| (0..d).map(move |j| (i, j)))
            .map(|(i, j)| {
                let product = &step.hessian.0[i][j] * &covariance.0[i][j];
                if i == j { product } else { &kept * product }
            })
            .sum();
        let (c, h_noise) = (&signal / &noise, met / &noise);
        let h_mean = dot(&step.mean, &step.hessian.apply(&step.mean)) / &signal;
        let room = q(2, 1) - &step.eta * &h_mean;
        let change = step.change();
        let stated = if room.is_zero() {
            h_noise.is_negative()
        } else {
            let boundary = &step.eta * &h_noise / &room;
            let at_one = &step.eta * (&h_noise + &h_mean) == q(2, 1);
            if (boundary == Q::one()) != at_one {
                return Some(format!("{}: C* = {boundary}", shown(step, &covariance)));
            }
            if room.is_positive() {
                c > boundary
            } else {
                c < boundary
            }
        };
        (stated != change.is_negative()).then(|| {
            format!(
                "{}: C = {c}, h_D = {h_noise}, h_mu = {h_mean}, and the loss changes by {change} on average",
                shown(step, &covariance)
            )
        })
    })
}

fn shown(step: &Step, covariance: &Matrix) -> String {
    format!(
        "H = {}, eta = {}, mu = {}, D = {covariance}",
        step.hessian,
        step.eta,
        tuple(&step.mean)
    )
}

/// See the module.
pub fn check() -> Check {
    let spec = Spec {
        id: "any-hessian",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "for symmetric Hessians of every sign and correlated noise in two and three dimensions, the loss falls on average exactly when C > C* where eta h_mu < 2, C < C* where eta h_mu > 2, and h_D < 0 where eta h_mu = 2",
        tolerance: 0.0,
        detectable: Size::of("share of the noise's correlations left out of h_D", 0.125),
    };
    let world = |definite_plane, left_out| Quadratics {
        definite_plane,
        left_out,
    };
    let worlds = Worlds {
        real: world(false, 0),
        defect: Planted {
            what: "an h_D that leaves out an eighth of the noise's correlations",
            size: 0.125,
            world: world(false, 1),
        },
        truth: Planted {
            what: "two parameters and positive definite Hessians",
            size: 0.0,
            world: world(true, 0),
        },
    };
    Check::new(spec, worlds, examine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_along_negative_curvature_pays_for_an_overshoot() {
        // eta h_mu = 3, and C = 1/5 lies below C* = 3 (-1)/(2 - 3) = 3
        let step = Step {
            eta: q(3, 1),
            hessian: Matrix::diagonal(&[q(1, 1), q(-1, 1)]),
            mean: vec![q(1, 1), q(0, 1)],
            noises: vec![vec![q(0, 1), q(3, 1)], vec![q(0, 1), q(1, 1)]],
        };
        assert_eq!(step.covariance().trace(), q(5, 1));
        // -3 + (9/2) (1 - 5)
        assert_eq!(step.change(), q(-21, 1));
    }
}
