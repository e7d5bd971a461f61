//! The stationary density of steps of pure noise on a torus, from their transition kernel, and its expansion in the step size.
//!
//! The coordinates of `z` are independent, with mean 0, variance 1 and third and fourth moments `k` and `m`, and the step along axis `i`
//! is `-eta D_i(x)^(1/2) z_i`. A density `p` stays as it is iff `E_p f(x') = E_p f(x)` for every smooth `f`. With `f` expanded about `x`
//! and integrated by parts over the torus, for normal `z`,
//!
//! ```text
//! (1/2) sum_i d_i^2 (D_i p) + (eta^2/8) sum_ij d_i^2 d_j^2 (D_i D_j p) + O(eta^4) = 0
//! ```
//!
//! - Isotropic `D_i = s^2`: the left side is half the Laplacian of `s^2 p + (eta^2/4) Laplacian(s^4 p)`, which on a torus is then
//!   constant: `p = s^-2 (1 - (eta^2/4) Laplacian s^2)`, in every dimension.
//! - `D_i = D_i(x_i)`: `p = (1/det D) (1 - (eta^2/4) sum_i D_i'')`, by insertion: `D_i/det D` does not depend on `x_i`, so that what is
//!   left of the second sum is `(D_i/det D) d_i^2 D_i''`, which the first one takes away.
//!
//! Both up to the order `eta^4`. On the ring the odd orders of other laws add `(eta k/6) (s^3 p)'''` and the like; integrated twice,
//! `s^2 p + (eta k/3) (s^3 p)' + (eta^2 m/12) (s^4 p)'' + O(eta^3)` is constant, so that up to the order `eta^3`
//!
//! ```text
//! p = s^-2 (1 - (eta k/3) s' + eta^2 (k^2/18 - m/12) (s^2)'')
//! ```
//!
//! On a ring with `s^2 = e^(cos x)` the least-squares power of `D` is `-1 + (eta^2/2) I_1(1)` to that order, since
//! `-(eta^2/4) (s^2)''` has there the mean product `(eta^2/4) I_1(1)` with `cos x`, whose own mean square is 1/2.

use faer::Mat;
use faer::linalg::solvers::Solve;
use std::f64::consts::TAU;

/// The law of a coordinate of `z`: normal laws mixed.
#[derive(Clone, Copy, PartialEq)]
pub enum Law {
    /// Standard normal.
    Normal,
    /// `N(2c, 1 - 2c^2)` with chance 1/3 and `N(-c, 1 - 2c^2)` with chance 2/3: mean 0, variance 1, third moment `2 c^3`.
    Skewed {
        /// Between 0 and `sqrt(1/2)`.
        c: f64,
    },
}

impl Law {
    /// `(chance, mean, variance)` of each normal law.
    fn parts(self) -> Vec<(f64, f64, f64)> {
        match self {
            Self::Normal => vec![(1.0, 0.0, 1.0)],
            Self::Skewed { c } => {
                let rest = 1.0 - 2.0 * c * c;
                vec![(1.0 / 3.0, 2.0 * c, rest), (2.0 / 3.0, -c, rest)]
            }
        }
    }

    /// `E z^3` and `E z^4`.
    fn moments(self) -> (f64, f64) {
        let parts = self.parts();
        let sum = |f: &dyn Fn(f64, f64) -> f64| parts.iter().map(|&(w, m, v)| w * f(m, v)).sum();
        (
            sum(&|m, v| m.powi(3) + 3.0 * m * v),
            sum(&|m, v| m.powi(4) + 6.0 * m * m * v + 3.0 * v * v),
        )
    }
}

/// How the noise varies over the torus.
#[derive(Clone, Copy)]
pub enum Noise {
    /// `s^2 = exp(slope (cos x_1 + ... + cos x_d))` on every axis.
    Isotropic {
        /// How much it varies.
        slope: f64,
    },
    /// `D_i = exp(slopes[i] cos x_i)`.
    Separable {
        /// How much it varies along each axis.
        slopes: [f64; 2],
    },
}

/// Steps of pure noise on a torus.
#[derive(Clone, Copy)]
pub struct Torus {
    /// The number of parameters.
    pub dimension: usize,
    /// Their noise.
    pub noise: Noise,
    /// Its law.
    pub law: Law,
    /// `eta`.
    pub step: f64,
}

/// A density at the nodes of a torus, one node for all that symmetry makes equal.
pub struct Density {
    /// The nodes, and how many each stands for.
    pub nodes: Vec<(Vec<f64>, f64)>,
    /// The values there; over all nodes they sum to 1.
    pub values: Vec<f64>,
}

impl Torus {
    /// Nodes along an axis. Sums over them stand for integrals up to `exp(-2 (pi spread/gap)^2)` of a normal step's own spread: below
    /// 1e-4 for every step that is taken here, and below 1e-12 on the ring.
    fn resolution(&self) -> usize {
        match self.dimension {
            1 => 256,
            2 => 48,
            _ => 32,
        }
    }

    /// The variance along `axis`.
    pub fn variance(&self, x: &[f64], axis: usize) -> f64 {
        match self.noise {
            Noise::Isotropic { slope } => (slope * x.iter().map(|v| v.cos()).sum::<f64>()).exp(),
            Noise::Separable { slopes } => (slopes[axis] * x[axis].cos()).exp(),
        }
    }

    /// The second derivative of that variance along its own axis.
    fn bend(&self, x: &[f64], axis: usize) -> f64 {
        let slope = match self.noise {
            Noise::Isotropic { slope } => slope,
            Noise::Separable { slopes } => slopes[axis],
        };
        let (sine, cosine) = x[axis].sin_cos();
        self.variance(x, axis) * slope * (slope * sine * sine - cosine)
    }

    /// The node that stands for all that symmetry makes equal to `index`: noise that is even in a coordinate under an even law makes
    /// `x_i` and `-x_i` equal, isotropic noise the axes.
    fn representative(&self, index: &[usize]) -> Vec<usize> {
        let n = self.resolution();
        if self.law != Law::Normal {
            return index.to_vec();
        }
        let mut folded: Vec<usize> = index.iter().map(|&i| i.min(n - i)).collect();
        if matches!(self.noise, Noise::Isotropic { .. }) {
            // the largest where it counts least: the representative is the first of its kind
            folded.sort_unstable_by(|a, b| b.cmp(a));
        }
        folded
    }

    /// For each offset along `axis`, in nodes, the chance of that step from `x`.
    fn chances(&self, x: &[f64], axis: usize) -> Vec<f64> {
        let n = self.resolution();
        let size = self.step * self.variance(x, axis).sqrt();
        let density = |gap: f64| -> f64 {
            let parts = self.law.parts().into_iter();
            parts
                .map(|(chance, mean, variance)| {
                    let spread = size * variance.sqrt();
                    chance * (-0.5 * ((gap + size * mean) / spread).powi(2)).exp()
                })
                .sum()
        };
        let chances: Vec<f64> = (0..n)
            .map(|i| {
                let gap = TAU * i as f64 / n as f64;
                (-TURNS..=TURNS)
                    .map(|turn| density(gap + TAU * f64::from(turn)))
                    .sum()
            })
            .collect();
        let total: f64 = chances.iter().sum();
        chances.into_iter().map(|c| c / total).collect()
    }

    /// The density that the steps leave as it is.
    pub fn stationary(&self) -> Density {
        let (n, d) = (self.resolution(), self.dimension);
        let count = n.pow(d as u32);
        let index = |code: usize| -> Vec<usize> {
            (0..d).map(|axis| code / n.pow(axis as u32) % n).collect()
        };
        let code = |index: &[usize]| index.iter().rev().fold(0, |code, i| code * n + i);
        let (mut place, mut indices, mut sizes) = (vec![0; count], Vec::new(), Vec::new());
        // a representative comes before all it stands for
        for here in 0..count {
            let first = code(&self.representative(&index(here)));
            if first == here {
                place[here] = indices.len();
                indices.push(index(here));
                sizes.push(0.0);
            } else {
                place[here] = place[first];
            }
            sizes[place[here]] += 1.0;
        }
        let size = indices.len();
        let nodes: Vec<Vec<f64>> = indices
            .iter()
            .map(|index| index.iter().map(|&i| TAU * i as f64 / n as f64).collect())
            .collect();
        // the balance of every node but the last, whose is that of the others, and the sum
        let mut balance = Mat::<f64>::zeros(size, size);
        for (from, x) in nodes.iter().enumerate() {
            let chances: Vec<Vec<f64>> = (0..d).map(|axis| self.chances(x, axis)).collect();
            for (target, &into) in place.iter().enumerate() {
                let steps = index(target);
                let chance: f64 = (0..d)
                    .map(|axis| chances[axis][(n + steps[axis] - indices[from][axis]) % n])
                    .product();
                balance[(into, from)] += chance;
            }
            balance[(from, from)] -= 1.0;
        }
        for from in 0..size {
            balance[(size - 1, from)] = 1.0;
        }
        let right = Mat::from_fn(size, 1, |i, _| if i + 1 == size { 1.0 } else { 0.0 });
        let shares = balance.partial_piv_lu().solve(&right);
        let values = (0..size).map(|i| shares[(i, 0)] / sizes[i]).collect();
        Density {
            nodes: nodes.into_iter().zip(sizes).collect(),
            values,
        }
    }

    /// What the module states, times a constant, at `x`; each correction is multiplied by `factor`.
    fn stated(&self, x: &[f64], factor: f64) -> f64 {
        let (third, fourth) = self.law.moments();
        let axes = match self.noise {
            Noise::Isotropic { .. } => 1,
            Noise::Separable { .. } => self.dimension,
        };
        let determinant: f64 = (0..axes).map(|axis| self.variance(x, axis)).product();
        let bend: f64 = (0..self.dimension).map(|axis| self.bend(x, axis)).sum();
        let mut correction = (third * third / 18.0 - fourth / 12.0) * self.step.powi(2) * bend;
        if let (Noise::Isotropic { slope }, 1) = (self.noise, self.dimension) {
            // s' = (s^2)' / (2 s)
            let rise = -0.5 * slope * x[0].sin() * self.variance(x, 0).sqrt();
            correction -= self.step * third / 3.0 * rise;
        }
        (1.0 + factor * correction) / determinant
    }

    /// The largest relative difference between the stationary density and the stated one, whose corrections are multiplied by `factor`.
    pub fn gap(&self, factor: f64) -> f64 {
        let density = self.stationary();
        let stated: Vec<f64> = density
            .nodes
            .iter()
            .map(|(x, _)| self.stated(x, factor))
            .collect();
        let total: f64 = density
            .nodes
            .iter()
            .zip(&stated)
            .map(|((_, size), s)| size * s)
            .sum();
        let gaps = density.values.iter().zip(&stated);
        gaps.map(|(p, s)| (p * total / s - 1.0).abs())
            .fold(0.0, crate::evidence::worse)
    }

    /// The power of `s^2` that fits the stationary density, by least squares between their logarithms over the nodes.
    pub fn fitted_power(&self) -> f64 {
        let density = self.stationary();
        let weights: Vec<f64> = density.nodes.iter().map(|(_, size)| *size).collect();
        let logarithms = density.nodes.iter().map(|(x, _)| self.variance(x, 0).ln());
        let against: Vec<f64> = logarithms.collect();
        let total: f64 = weights.iter().sum();
        let middle = weights
            .iter()
            .zip(&against)
            .map(|(w, a)| w * a)
            .sum::<f64>()
            / total;
        let (mut slope, mut square) = (0.0, 0.0);
        for ((w, a), p) in weights.iter().zip(&against).zip(&density.values) {
            slope += w * (a - middle) * p.ln();
            square += w * (a - middle).powi(2);
        }
        slope / square
    }
}

/// Turns of the ring that a step is followed for: more than six of its spreads, at any step up to 1 here.
const TURNS: i32 = 3;

#[cfg(test)]
mod tests {
    use super::super::stationary::{Scheme, mean_cosines};
    use super::*;
    use approx::assert_relative_eq;
    use fjld_core::rng::Seed;

    fn ring(slope: f64, law: Law, step: f64) -> Torus {
        Torus {
            dimension: 1,
            noise: Noise::Isotropic { slope },
            law,
            step,
        }
    }

    #[test]
    fn noise_that_is_the_same_everywhere_settles_evenly() {
        for (dimension, count) in [(1, 256.0), (2, 48f64.powi(2)), (3, 32f64.powi(3))] {
            let torus = Torus {
                dimension,
                ..ring(0.0, Law::Normal, 0.5)
            };
            for value in torus.stationary().values {
                // a linear system of some hundred equations
                assert_relative_eq!(value * count, 1.0, max_relative = 1e-9);
            }
        }
    }

    #[test]
    fn a_step_has_the_moments_and_the_characteristic_function_of_its_law() {
        let skewed = Law::Skewed { c: 0.5 };
        // 2/8, and E u^4 + 6 E u^2 v + 3 v^2 with E u^4 = 3/8, E u^2 = v = 1/2
        assert_relative_eq!(skewed.moments().0, 0.25, max_relative = 1e-14);
        assert_relative_eq!(skewed.moments().1, 2.625, max_relative = 1e-14);
        let step = 0.4;
        let chances = ring(0.0, skewed, step).chances(&[0.0], 0);
        for k in [1.0, 2.0, 5.0] {
            // E exp(-i k eta z)
            let decay = (-0.5f64 * 0.5 * (k * step) * (k * step)).exp();
            let real = decay * ((k * step).cos() / 3.0 + 2.0 * (0.5 * k * step).cos() / 3.0);
            let imaginary = decay * (-(k * step).sin() / 3.0 + 2.0 * (0.5 * k * step).sin() / 3.0);
            let sum = |f: fn(f64) -> f64| -> f64 {
                let gaps = (0..256).map(|i| TAU * f64::from(i) / 256.0);
                chances
                    .iter()
                    .zip(gaps)
                    .map(|(c, gap)| c * f(k * gap))
                    .sum()
            };
            assert_relative_eq!(sum(f64::cos), real, epsilon = 1e-13);
            assert_relative_eq!(sum(f64::sin), imaginary, epsilon = 1e-13);
        }
    }

    #[test]
    fn coordinates_with_their_own_noise_settle_independently() {
        let step = 0.4;
        let plane = Torus {
            dimension: 2,
            noise: Noise::Separable {
                slopes: [0.8, -0.5],
            },
            law: Law::Normal,
            step,
        };
        let marginals = [0.8, -0.5].map(|slope| ring(slope, Law::Normal, step).stationary());
        let plane = plane.stationary();
        let on_ring = |axis: usize, x: f64| {
            let ring: &Density = &marginals[axis];
            let gaps = ring.nodes.iter().map(|(node, _)| (node[0] - x).abs());
            let nearest = gaps
                .enumerate()
                .min_by(|a, b| a.1.total_cmp(&b.1))
                .expect("a ring has nodes");
            (nearest.1, ring.values[nearest.0])
        };
        let mut compared = 0;
        for ((x, _), p) in plane.nodes.iter().zip(&plane.values) {
            let ((near, first), (close, second)) = (on_ring(0, x[0]), on_ring(1, x[1]));
            // nodes that both have: every third of 48 is one of 256
            if near.max(close) < 1e-9 {
                let density = first * second * (256.0f64 / 48.0).powi(2);
                // 1e-12 of aliasing at this step, and the linear system
                assert_relative_eq!(*p, density, max_relative = 1e-8);
                compared += 1;
            }
        }
        assert_eq!(compared, 81);
    }

    #[test]
    fn a_walk_spends_its_time_as_the_density_says() {
        let density = ring(1.0, Law::Normal, 0.5).stationary();
        let nodes = density.nodes.iter().zip(&density.values);
        let expected: f64 = nodes.map(|((x, size), p)| size * p * x[0].cos()).sum();
        let walks: Vec<f64> = (0..40)
            .map(|walk| {
                let generator = &mut Seed::root(11).derive(&walk.to_string()).generator();
                mean_cosines(Scheme::Ito, 1, 1.0, 0.5, 40_000, generator)
            })
            .collect();
        let mean = walks.iter().sum::<f64>() / 40.0;
        let squares: f64 = walks.iter().map(|w| (w - mean).powi(2)).sum();
        // five standard errors of forty independent walks
        let error = (squares / (39.0 * 40.0)).sqrt();
        assert!(
            (mean - expected).abs() < 5.0 * error,
            "{mean} +- {error} against {expected}"
        );
        // and the error is small enough to tell steps of 0.5 from the limit of small ones, I_1(1)/I_0(1) = 0.446 below 0
        assert!((expected + 0.4464).abs() > 5.0 * error);
    }
}
