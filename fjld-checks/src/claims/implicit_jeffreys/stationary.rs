//! Where steps of pure noise settle on a ring or torus, by walking.
//!
//! The noise has the variance `s^2 = exp(slope (cos x_1 + ... + cos x_d))`, the same in every direction.

use fjld_core::rng::{Generator, standard_normals};
use rand::RngExt;
use std::f64::consts::TAU;

/// How a step is taken.
#[derive(Clone, Copy)]
pub enum Scheme {
    /// `x + eta s(x) z`, as gradient descent does: Ito's sense.
    Ito,
    /// `x + eta z (s(x) + s(x + eta s(x) z))/2`, Heun's rule: Stratonovich's sense.
    Heun,
    /// Ito's with this share of the drift `(eta^2/4) grad s^2` that makes it Stratonovich's.
    Drift {
        /// Between 0 and 1.
        share: f64,
    },
}

fn variance(x: &[f64], slope: f64) -> f64 {
    (slope * x.iter().map(|v| v.cos()).sum::<f64>()).exp()
}

/// The average of `cos x_i` over the coordinates and over `steps` steps of one walk, after a quarter as many that do not count.
pub fn mean_cosines(
    scheme: Scheme,
    dimension: usize,
    slope: f64,
    step: f64,
    steps: usize,
    generator: &mut Generator,
) -> f64 {
    let mut x: Vec<f64> = (0..dimension)
        .map(|_| TAU * generator.random::<f64>())
        .collect();
    let unheard = steps / 4;
    let (mut sum, mut taken) = (0.0, 0);
    while taken < unheard + steps {
        // drawn ahead for many steps, which saves time only
        for z in standard_normals(generator, AHEAD * dimension).chunks_exact(dimension) {
            advance(&mut x, z, scheme, slope, step);
            taken += 1;
            if (unheard + 1..=unheard + steps).contains(&taken) {
                sum += x.iter().map(|v| v.cos()).sum::<f64>();
            }
        }
    }
    sum / (steps * dimension) as f64
}

/// Steps whose draws are made at once.
const AHEAD: usize = 256;

fn advance(x: &mut [f64], z: &[f64], scheme: Scheme, slope: f64, step: f64) {
    let square = variance(x, slope);
    let s = square.sqrt();
    match scheme {
        Scheme::Ito => x.iter_mut().zip(z).for_each(|(x, z)| *x += step * s * z),
        Scheme::Heun => {
            let ahead: Vec<f64> = x.iter().zip(z).map(|(x, z)| x + step * s * z).collect();
            let middle = 0.5 * (s + variance(&ahead, slope).sqrt());
            x.iter_mut()
                .zip(z)
                .for_each(|(x, z)| *x += step * middle * z);
        }
        Scheme::Drift { share } => x.iter_mut().zip(z).for_each(|(x, z)| {
            // d s^2 / dx_i = -slope sin(x_i) s^2
            *x += step * s * z - share * step * step / 4.0 * slope * x.sin() * square;
        }),
    }
}

/// Nodes on the ring. Sums over them are exact to rounding for densities as smooth as these.
const NODES: usize = 256;

fn node(i: usize) -> f64 {
    TAU * i as f64 / NODES as f64
}

/// `E cos x` under a density proportional to `exp(a cos x)`.
fn mean_cosine(a: f64) -> f64 {
    let (mut sum, mut total) = (0.0, 0.0);
    for i in 0..NODES {
        let cosine = node(i).cos();
        let weight = (a * cosine).exp();
        sum += weight * cosine;
        total += weight;
    }
    sum / total
}

/// The power `p` for which a density proportional to `s^(2p)` has this mean cosine, in any dimension; between -8 and 8.
pub fn fitted_exponent(mean: f64, slope: f64) -> f64 {
    let (mut low, mut high) = (-8.0, 8.0);
    // fifty halvings: to 1e-14
    for _ in 0..50 {
        let middle = 0.5 * (low + high);
        if mean_cosine(middle * slope) < mean {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn a_density_is_fitted_by_its_own_power() {
        // I_1(1)/I_0(1), as the tables of Bessel functions have them (Abramowitz and Stegun 1964, table 9.8)
        let tabulated = 0.565_159_1 / 1.266_065_9;
        assert_relative_eq!(mean_cosine(1.0), tabulated, max_relative = 1e-6);
        assert_relative_eq!(
            fitted_exponent(mean_cosine(-0.7), 1.0),
            -0.7,
            max_relative = 1e-12
        );
    }
}
