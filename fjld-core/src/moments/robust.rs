//! Locations that a few wild gradients can not carry away.
//!
//! Neither restores a mean that heavy tails have hidden for certain: both estimate the *mean* where the noise is symmetric about it, and
//! something between mean and median where it is not. [`tyler_shape`](super::tyler_shape) is the scatter that goes with them, and
//! restores no scale. A ratio `C` needs a trace, which is a scale: with these it has to come from elsewhere.

use crate::error::{Error, Result};

/// Huber's location and the scale that it was found with, coordinate by coordinate.
#[derive(Clone, Debug, PartialEq)]
pub struct Huber {
    /// The location, of length `d`.
    pub location: Vec<f64>,
    /// `1.4826` times the median distance from the median. It is the standard deviation of Gaussian noise and of no other: for Student's
    /// law with 5 degrees of freedom it is .83 of it.
    pub scale: Vec<f64>,
}

/// `1 / Phi^-1(3/4)`.
const GAUSSIAN: f64 = 1.482_602_218_505_602;

/// The tuning constant with which Huber's location of Gaussian samples is as good as the mean of 95% as many.
pub const HUBER_95: f64 = 1.345;

/// Steps of reweighting at the most. A step leaves, of the distance to go, the part of all weight that clipped samples carry: below a half
/// at usual bends, so that some 50 steps reach rounding, and more for a bend so small that the location nears the median.
const STEPS: usize = 2000;

/// The median of the means of `blocks` runs of consecutive samples `[n, d]`, coordinate by coordinate (Nemirovsky and Yudin 1983; Lugosi
/// and Mendelson 2019, *Foundations of Computational Mathematics* 19). Run lengths differ by at most one. Fewer than `blocks / 2` wild
/// samples move it no further than the other runs' means lie. It has no scale.
///
/// # Errors
/// When the samples do not fill whole rows, one is not finite, or there are fewer of them than blocks or no blocks.
pub fn median_of_means(samples: &[f64], dimension: usize, blocks: usize) -> Result<Vec<f64>> {
    let n = rows(samples, dimension, 1, "a location")?;
    if blocks == 0 || blocks > n {
        return Err(Error::OutOfRange {
            name: "the number of blocks",
            value: blocks as f64,
            accepted: "at least 1 and at most the number of samples",
        });
    }
    let mut means = vec![Vec::with_capacity(blocks); dimension];
    for block in 0..blocks {
        let rows = &samples[block * n / blocks * dimension..(block + 1) * n / blocks * dimension];
        let count = (rows.len() / dimension) as f64;
        for (column, means) in means.iter_mut().enumerate() {
            let sum: f64 = rows.iter().skip(column).step_by(dimension).sum();
            means.push(sum / count);
        }
    }
    Ok(means.into_iter().map(|mut m| median(&mut m)).collect())
}

/// Huber's M-estimator `m` of location of samples `[n, d]`, coordinate by coordinate:
///
/// ```math
/// \sum_i \psi\Bigl( \frac{x_i - m}{s} \Bigr) = 0, \qquad \psi(u) = \max(-k, \min(u, k))
/// ```
///
/// with `k` the `bend` and `s` the [scale](Huber::scale) (Huber 1964, *Annals of Mathematical Statistics* 35), by iterative reweighting
/// from the median. Where more than half of the samples agree, `s` is 0 and the location is what they agree on.
///
/// # Errors
/// When there is no sample, the samples do not fill whole rows, one is not finite, or `bend` is not positive.
pub fn huber_location(samples: &[f64], dimension: usize, bend: f64) -> Result<Huber> {
    rows(samples, dimension, 1, "a location")?;
    if bend.is_nan() || bend <= 0.0 {
        return Err(Error::OutOfRange {
            name: "the bend of Huber's function",
            value: bend,
            accepted: "positive",
        });
    }
    let columns = (0..dimension).map(|column| {
        let values = || samples.iter().skip(column).step_by(dimension).copied();
        let start = median(&mut values().collect::<Vec<_>>());
        let mut distances: Vec<f64> = values().map(|x| (x - start).abs()).collect();
        let scale = GAUSSIAN * median(&mut distances);
        (reweighted(values, start, bend * scale), scale)
    });
    let (location, scale) = columns.unzip();
    Ok(Huber { location, scale })
}

fn reweighted<I: Iterator<Item = f64>>(values: impl Fn() -> I, start: f64, reach: f64) -> f64 {
    if reach == 0.0 {
        return start;
    }
    let mut location = start;
    for _ in 0..STEPS {
        let (mut shift, mut total) = (0.0, 0.0);
        for x in values() {
            let gap = x - location;
            let weight = (reach / gap.abs()).min(1.0);
            shift += weight * gap;
            total += weight;
        }
        let next = location + shift / total;
        if next == location {
            break;
        }
        location = next;
    }
    location
}

/// The number of rows, if they are whole, finite and at least `needed`, the fewest that define `what`.
pub(crate) fn rows(
    samples: &[f64],
    dimension: usize,
    needed: u64,
    what: &'static str,
) -> Result<usize> {
    if dimension == 0 {
        return Err(Error::NoCoordinates);
    }
    if !samples.len().is_multiple_of(dimension) {
        return Err(Error::Length {
            what: "the last row",
            expected: dimension,
            got: samples.len() % dimension,
        });
    }
    if let Some(at) = samples.iter().position(|x| !x.is_finite()) {
        return Err(Error::NotFinite {
            value: samples[at],
            row: (at / dimension) as u64,
            column: at % dimension,
        });
    }
    let count = samples.len() / dimension;
    if (count as u64) < needed {
        return Err(Error::TooFewSamples {
            what,
            needed,
            got: count as u64,
        });
    }
    Ok(count)
}

/// The median of at least one number; of an even count, the middle of the two in the middle.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len().is_multiple_of(2) {
        0.5 * values[half - 1] + 0.5 * values[half]
    } else {
        values[half]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Seed, standard_normals};
    use approx::assert_relative_eq;

    #[test]
    fn the_median_of_means_is_what_pencil_gives() -> Result<()> {
        // runs of 2, 2 and 3: means (1, 10), (3, -1), (100, 2)
        let samples = [0., 9., 2., 11., 3., -1., 3., -1., 0., 2., 0., 2., 300., 2.];
        assert_eq!(median_of_means(&samples, 2, 3)?, [3.0, 2.0]);
        // one run is the mean, as many runs as samples the median
        assert_eq!(median_of_means(&[1.0, 2.0, 9.0], 1, 1)?, [4.0]);
        assert_eq!(median_of_means(&[1.0, 2.0, 9.0], 1, 3)?, [2.0]);
        Ok(())
    }

    #[test]
    fn one_wild_sample_moves_hubers_location_by_the_bend_only() -> Result<()> {
        // median 1/2, distances 3/2, 1/2, 1/2 and one beyond: their median is 1. The wild one pulls with 1.345 x 1.4826, against three
        // that pull with their distance: 3 m = that
        let huber = huber_location(&[-1.0, 0.0, 1.0, 1e9], 1, HUBER_95)?;
        assert_relative_eq!(huber.scale[0], 1.482_602_2, max_relative = 1e-7);
        assert_relative_eq!(
            huber.location[0],
            1.345 * 1.482_602_2 / 3.0,
            max_relative = 1e-7
        );
        Ok(())
    }

    #[test]
    fn hubers_location_solves_its_equation() -> Result<()> {
        let d = 4;
        let mut samples = standard_normals(&mut Seed::root(19).generator(), 101 * d);
        samples.iter_mut().for_each(|x| *x = 3.0 + x.powi(3));
        for bend in [0.2, HUBER_95, 3.0] {
            let huber = huber_location(&samples, d, bend)?;
            for column in 0..d {
                let residual: f64 = samples
                    .iter()
                    .skip(column)
                    .step_by(d)
                    .map(|x| {
                        ((x - huber.location[column]) / huber.scale[column]).clamp(-bend, bend)
                    })
                    .sum();
                // 101 terms of size one
                assert!(residual.abs() < 1e-12, "{residual}");
            }
        }
        Ok(())
    }

    #[test]
    fn a_far_bend_gives_the_mean_and_agreement_of_most_samples_gives_that() -> Result<()> {
        let samples = standard_normals(&mut Seed::root(20).generator(), 50);
        let mean = samples.iter().sum::<f64>() / 50.0;
        let huber = huber_location(&samples, 1, 1e6)?;
        assert_relative_eq!(huber.location[0], mean, epsilon = 1e-14);
        let agreed = huber_location(&[2.0, 2.0, 2.0, 7.0], 1, HUBER_95)?;
        assert_eq!((agreed.location[0], agreed.scale[0]), (2.0, 0.0));
        let single = huber_location(&[5.0], 1, HUBER_95)?;
        assert_eq!(single.location, [5.0]);
        Ok(())
    }

    #[test]
    fn what_can_not_be_is_refused() {
        assert!(median_of_means(&[1.0, 2.0], 1, 3).is_err());
        assert!(median_of_means(&[1.0, 2.0], 1, 0).is_err());
        assert!(median_of_means(&[], 1, 1).is_err());
        assert!(median_of_means(&[1.0], 0, 1).is_err());
        assert!(huber_location(&[1.0, 2.0, 3.0], 2, HUBER_95).is_err());
        assert!(huber_location(&[1.0], 1, f64::NAN).is_err());
        let error = huber_location(&[1.0, 2.0, 3.0, f64::NAN], 2, HUBER_95).expect_err("NaN");
        assert_eq!(
            error.to_string(),
            "row 1, column 1 is NaN; every entry must be a finite number"
        );
        let error = median_of_means(&[1.0, 2.0, 3.0, 4.0, 5.0, f64::INFINITY], 3, 1)
            .expect_err("an infinity");
        assert_eq!(
            error.to_string(),
            "row 1, column 2 is inf; every entry must be a finite number"
        );
    }
}
