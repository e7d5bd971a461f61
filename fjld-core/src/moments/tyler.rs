//! Tyler's M-estimator of shape: which directions the noise prefers, whatever its tails are.

use super::robust::rows;
use crate::error::{Error, Result};
use faer::linalg::solvers::Solve;
use faer::{Mat, Side};

/// Iterations after which samples that have come no nearer are said to have no shape.
const ITERATIONS: usize = 2000;

/// The relative change of any entry at which the iteration ends, some roundings of the solver.
const SETTLED: f64 = 1e-12;

/// The part of a coordinate's variance that must be its own: a hundred times what an ended iteration leaves of a vanishing one.
const FLAT: f64 = 1e-10;

/// Tyler's shape `V`, `[d, d]`, of samples `[n, d]` about a known or robust `centre`: the solution of
///
/// ```math
/// V = \frac dn \sum_i \frac{x_i x_i'}{x_i' V^{-1} x_i}, \qquad x_i = g_i - \text{centre}, \qquad \Tr V = d
/// ```
///
/// (Tyler 1987, *Annals of Statistics* 15). It restores the *shape* of the scatter of every elliptical law, `$D / (\Tr D / d)$`, even where
/// there is no covariance, and *not its scale*: lengths of the `x_i` do not enter at all, and `Tr V = d` by convention. So no noise, and no
/// `C`, can be read from it. `O(n d^2)` an iteration.
///
/// # Errors
/// When sizes do not fit, an entry is not finite, there are not more than `d` samples, a sample equals the centre (it has no
/// direction), or too many samples lie in one subspace for a solution (`n k / d` of them in one of `k` dimensions).
pub fn tyler_shape(samples: &[f64], centre: &[f64]) -> Result<Mat<f64>> {
    let d = centre.len();
    let n = rows(samples, d, 1, "a location")?;
    if let Some(column) = centre.iter().position(|c| !c.is_finite()) {
        return Err(Error::NotFinite {
            value: centre[column],
            row: 0,
            column,
        });
    }
    if n <= d {
        return Err(Error::TooFewSamples {
            what: "Tyler's shape in as many coordinates",
            needed: d as u64 + 1,
            got: n as u64,
        });
    }
    let directions = directions(samples, centre)?;
    let mut shape = Mat::<f64>::identity(d, d);
    for _ in 0..ITERATIONS {
        let factor = shape.llt(Side::Lower).map_err(|_| no_shape())?;
        let solved = factor.solve(&directions);
        let mut weighted = directions.clone();
        for i in 0..n {
            let length: f64 = (0..d).map(|j| directions[(j, i)] * solved[(j, i)]).sum();
            for j in 0..d {
                weighted[(j, i)] /= length;
            }
        }
        let mut next = &weighted * directions.transpose();
        let trace: f64 = (0..d).map(|j| next[(j, j)]).sum();
        next *= faer::Scale(d as f64 / trace);
        // entries relative to the two variances they belong to
        let mut change: f64 = 0.0;
        for i in 0..d {
            for j in 0..d {
                let size = (next[(i, i)] * next[(j, j)]).sqrt();
                change = change.max((next[(i, j)] - shape[(i, j)]).abs() / size);
            }
        }
        shape = next;
        if change.is_nan() {
            return Err(no_shape());
        }
        if change <= SETTLED {
            if is_flat(&shape) {
                return Err(no_shape());
            }
            // products of the same pairs, summed in another order, differ in the last digit
            return Ok(Mat::from_fn(d, d, |i, j| {
                0.5 * (shape[(i, j)] + shape[(j, i)])
            }));
        }
    }
    Err(no_shape())
}

/// Whether some coordinate is determined by those before it: the iteration then went towards a singular matrix and stopped on its way.
fn is_flat(shape: &Mat<f64>) -> bool {
    let Ok(factor) = shape.llt(Side::Lower) else {
        return true;
    };
    let lower = factor.L();
    (0..shape.nrows()).any(|j| lower[(j, j)].powi(2) <= FLAT * shape[(j, j)])
}

fn no_shape() -> Error {
    Error::NotACovariance {
        what: "Tyler's shape of these samples",
        accepted: "positive definite: too many of them lie in one subspace",
    }
}

/// The samples' directions from the centre, as unit columns `[d, n]`.
fn directions(samples: &[f64], centre: &[f64]) -> Result<Mat<f64>> {
    let d = centre.len();
    let mut directions = Mat::zeros(d, samples.len() / d);
    for (i, row) in samples.chunks_exact(d).enumerate() {
        let gaps: Vec<f64> = row.iter().zip(centre).map(|(x, c)| x - c).collect();
        // by the largest entry first, so that no square leaves the range of numbers
        let largest = gaps.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
        if largest == 0.0 {
            return Err(Error::OutOfRange {
                name: "the distance of a sample from the centre",
                value: 0.0,
                accepted: "positive: without a direction it has no part in a shape",
            });
        }
        let length = gaps
            .iter()
            .map(|x| (x / largest).powi(2))
            .sum::<f64>()
            .sqrt();
        for (j, gap) in gaps.iter().enumerate() {
            directions[(j, i)] = gap / largest / length;
        }
    }
    Ok(directions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Seed, standard_normals};
    use approx::assert_relative_eq;
    use faer::mat;

    fn assert_same(a: &Mat<f64>, b: &Mat<f64>, tolerance: f64) {
        for i in 0..a.nrows() {
            for j in 0..a.ncols() {
                assert!(
                    (a[(i, j)] - b[(i, j)]).abs() <= tolerance,
                    "entry {i}, {j}: {} and {}",
                    a[(i, j)],
                    b[(i, j)]
                );
            }
        }
    }

    #[test]
    fn four_even_directions_have_a_round_shape_whatever_their_lengths() -> Result<()> {
        let samples = [3.0, 0.0, 0.0, 1e-150, 1e150, 1e150, 5.0, -5.0];
        let shape = tyler_shape(&samples, &[0.0, 0.0])?;
        assert_same(&shape, &Mat::identity(2, 2), 1e-11);
        Ok(())
    }

    #[test]
    fn the_shape_solves_its_equation_has_trace_d_and_follows_a_linear_map() -> Result<()> {
        let (n, d) = (40, 3);
        let samples = standard_normals(&mut Seed::root(23).generator(), n * d);
        let centre = [0.1, -0.2, 0.3];
        let shape = tyler_shape(&samples, &centre)?;
        let x = Mat::from_fn(d, n, |j, i| samples[i * d + j] - centre[j]);
        let inverse = shape
            .llt(Side::Lower)
            .expect("a shape is positive definite")
            .solve(&x);
        let mut right = Mat::<f64>::zeros(d, d);
        for i in 0..n {
            let length: f64 = (0..d).map(|j| x[(j, i)] * inverse[(j, i)]).sum();
            for a in 0..d {
                for b in 0..d {
                    right[(a, b)] += x[(a, i)] * x[(b, i)] / length * d as f64 / n as f64;
                }
            }
        }
        // the iteration contracts by at least 1/2 here: what is left is of the size of its last change
        assert_same(&shape, &right, 1e-11);
        assert_relative_eq!((0..d).map(|j| shape[(j, j)]).sum::<f64>(), 3.0);

        let map = mat![[2.0, 0.0, 1.0], [0.0, 0.5, 0.0], [-1.0, 3.0, 1.0]];
        let mapped: Vec<f64> = (0..n)
            .flat_map(|i| {
                let (map, x) = (&map, &x);
                (0..d).map(move |a| (0..d).map(|b| map[(a, b)] * x[(b, i)]).sum::<f64>())
            })
            .collect();
        let after = tyler_shape(&mapped, &[0.0; 3])?;
        let mut expected = &map * &shape * map.transpose();
        let trace: f64 = (0..d).map(|j| expected[(j, j)]).sum();
        expected *= faer::Scale(3.0 / trace);
        assert_same(&after, &expected, 1e-10);
        Ok(())
    }

    #[test]
    fn the_shape_of_a_law_without_covariance_is_found() -> Result<()> {
        // Cauchy: normal draws with standard deviations 3 and 1 over an independent normal one. The shape is diag(1.8, .2); the variance of
        // an entry of it is that of n samples on the circle, (1 + 2/d) 2 / n relative: 5 standard errors of .02
        let n = 10_000;
        let z = standard_normals(&mut Seed::root(29).generator(), 3 * n);
        let samples: Vec<f64> = z
            .chunks(3)
            .flat_map(|z| [3.0 * z[0] / z[2], z[1] / z[2]])
            .collect();
        let shape = tyler_shape(&samples, &[0.0, 0.0])?;
        assert_relative_eq!(shape[(1, 1)], 0.2, max_relative = 0.1);
        assert!((shape[(0, 1)]).abs() < 0.1 * 0.6);
        Ok(())
    }

    #[test]
    fn samples_without_a_shape_are_refused() {
        let two = tyler_shape(&[1.0, 0.0, 0.0, 1.0], &[0.0, 0.0]).expect_err("n = d");
        assert_eq!(
            two.to_string(),
            "2 samples were given; Tyler's shape in as many coordinates needs at least 3"
        );
        let at_centre = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0];
        assert!(tyler_shape(&at_centre, &[0.0, 0.0]).is_err());
        // three of four on one line
        let line = [1.0, 1.0, 2.0, 2.0, -3.0, -3.0, 1.0, 0.0];
        let error = tyler_shape(&line, &[0.0, 0.0]).expect_err("three of four on a line");
        assert!(
            error
                .to_string()
                .contains("too many of them lie in one subspace")
        );
        assert!(tyler_shape(&[1.0, f64::NAN], &[0.0]).is_err());
        assert!(tyler_shape(&[1.0, 2.0], &[f64::NAN]).is_err());
        assert!(tyler_shape(&[1.0, 2.0, 3.0], &[0.0, 0.0]).is_err());
        assert!(tyler_shape(&[1.0], &[]).is_err());
    }

    #[test]
    fn in_one_dimension_the_shape_is_one() -> Result<()> {
        assert_eq!(tyler_shape(&[3.0, -7.0], &[1.0])?[(0, 0)], 1.0);
        Ok(())
    }

    #[test]
    fn coordinates_of_very_different_size_are_settled_each_by_its_own_size() -> Result<()> {
        // (1, +-p) and (1, +-q): the shape is diagonal by symmetry, and with r the second variance over the first its equation reads
        // r / (r + p^2) + r / (r + q^2) = 1, so that r = p q
        for small in [1.0, 1e-3, 1e-6, 1e-9] {
            let (p, q) = (small, 9.0 * small);
            let shape = tyler_shape(&[1.0, p, 1.0, -p, 1.0, q, 1.0, -q], &[0.0, 0.0])?;
            let r = p * q;
            // a step leaves ((q - p) / (q + p))^2 = .64 of the distance: 1.8 times the last change of 1e-12
            assert_relative_eq!(shape[(0, 0)], 2.0 / (1.0 + r), max_relative = 1e-11);
            assert_relative_eq!(shape[(1, 1)], 2.0 * r / (1.0 + r), max_relative = 1e-11);
            assert!(shape[(0, 1)].abs() < 1e-11 * r.sqrt());
        }
        Ok(())
    }

    #[test]
    fn directions_are_one_unit_column_for_each_sample() -> Result<()> {
        // legs of 3 and 4, 5 and 12, and 0 and 2 from (1, -2), also where their squares are no numbers
        for size in [1.0, 2f64.powi(700), 2f64.powi(-700)] {
            let samples = [4.0, 2.0, -4.0, 10.0, 1.0, -4.0].map(|x| size * x);
            let centre = [size, -2.0 * size];
            let found = directions(&samples, &centre)?;
            let expected = mat![[0.6, -5.0 / 13.0, 0.0], [0.8, 12.0 / 13.0, -1.0]];
            assert_eq!((found.nrows(), found.ncols()), (2, 3));
            // three roundings of numbers below 1
            assert_same(&found, &expected, 4e-16);
        }
        Ok(())
    }
}
