//! A step of stochastic gradient descent on a quadratic loss, in exact arithmetic.

use crate::evidence::rational::{Q, dot, q, squared_norm, tuple};
use crate::evidence::search::{Axis, Part};
use num_traits::{One, Zero};

/// A step on `L = theta'H theta / 2` in the axes of `H`, where `mu = H theta`. Of `D` only the diagonal there has a say: neither
/// `Tr D` nor `E L` contains the rest.
pub struct Case {
    /// The step size `eta`.
    pub step: Q,
    /// The diagonal of `H`.
    pub curvatures: Vec<Q>,
    /// `mu`.
    pub mean: Vec<Q>,
    /// The diagonal of `D`.
    pub variances: Vec<Q>,
}

impl Case {
    fn signal(&self) -> Q {
        squared_norm(&self.mean)
    }

    fn noise(&self) -> Q {
        self.variances.iter().sum()
    }

    /// `C`.
    pub fn ratio(&self) -> Q {
        self.signal() / self.noise()
    }

    /// `E L(theta - eta g) - L(theta)`, coordinate by coordinate from the second moment of `theta - eta g`.
    pub fn change(&self) -> Q {
        self.axes()
            .map(|(h, m, v)| {
                let theta = m / h;
                let centre = &theta - &self.step * m;
                let second = &centre * &centre + &self.step * &self.step * v;
                h * (second - &theta * &theta) / q(2, 1)
            })
            .sum()
    }

    fn axes(&self) -> impl Iterator<Item = (&Q, &Q, &Q)> {
        let pairs = self.curvatures.iter().zip(&self.mean);
        pairs.zip(&self.variances).map(|((h, m), v)| (h, m, v))
    }

    /// `h_D = Tr(HD) / Tr D`.
    pub fn noise_curvature(&self) -> Q {
        dot(&self.curvatures, &self.variances) / self.noise()
    }

    /// `h_mu = mu'H mu / |mu|^2`.
    pub fn mean_curvature(&self) -> Q {
        let weighted: Q = self.axes().map(|(h, m, _)| h * m * m).sum();
        weighted / self.signal()
    }

    /// The case as it is written with pencil.
    pub fn shown(&self) -> String {
        format!(
            "H = diag({}), eta = {}, mu = {}, D = diag({})",
            tuple(&self.curvatures).replace(['(', ')'], ""),
            self.step,
            tuple(&self.mean),
            tuple(&self.variances).replace(['(', ')'], "")
        )
    }
}

/// Which step sizes there are.
#[derive(Clone, Copy)]
pub enum Steps {
    /// All.
    Any,
    /// `eta h < 2` for every curvature, so that descent without noise converges.
    Stable,
    /// `eta h <= 1` for every curvature.
    Small,
    /// `eta h = sixteenths/16` in the steepest direction.
    Steepest {
        /// In sixteenths.
        sixteenths: i64,
    },
    /// `eta = (1 + sixteenths/16) 2 / (h_D + h_mu)`.
    Balanced {
        /// In sixteenths.
        sixteenths: i64,
    },
}

/// Steps in `d` dimensions, in all small rationals.
pub fn part(d: usize, max_height: u64, steps: Steps) -> Part<Case> {
    let axes: [&[Axis]; 3] = [
        &vec![Axis::Positive; 1 + d],
        &vec![Axis::Any; d],
        &vec![Axis::Positive; d],
    ];
    Part::new(&axes, max_height, move |c| {
        let mut case = Case {
            step: c[0].clone(),
            curvatures: c[1..=d].to_vec(),
            mean: c[1 + d..1 + 2 * d].to_vec(),
            variances: c[1 + 2 * d..].to_vec(),
        };
        if case.signal().is_zero() {
            return None;
        }
        let steepest = case.curvatures.iter().max()?.clone();
        let fits = match steps {
            Steps::Any => true,
            Steps::Stable => &case.step * &steepest < q(2, 1),
            Steps::Small => &case.step * &steepest <= Q::one(),
            Steps::Steepest { sixteenths } => {
                case.step = q(sixteenths, 16) / steepest;
                true
            }
            Steps::Balanced { sixteenths } => {
                let both = case.noise_curvature() + case.mean_curvature();
                case.step = q(16 + sixteenths, 16) * q(2, 1) / both;
                true
            }
        };
        fits.then_some(case)
    })
}
