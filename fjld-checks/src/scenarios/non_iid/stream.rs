//! Streams of minibatches whose classes drift or stay, and the exact ratio of what they are drawn from.

use crate::precision::Scalar;
use fjld_core::rng::Generator;
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// How the classes of a stream go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stream {
    /// All classes alike, all along: the control.
    Stationary,
    /// One class after another, each fading into the next.
    Drifting,
}

impl Stream {
    /// The share of each of `classes` at the `at`-th of `draws` draws. Drifting, draw 0 is all of the first class, and in equal times each
    /// class gives way to the next in a straight line; the last gives way to the first.
    pub fn mixture(self, classes: usize, at: usize, draws: usize) -> Vec<f64> {
        match self {
            Self::Stationary => vec![1.0 / classes as f64; classes],
            Self::Drifting => {
                let place = (at * classes) as f64 / draws as f64;
                let first = place.floor() as usize % classes;
                let mut shares = vec![0.0; classes];
                shares[(first + 1) % classes] = place.fract();
                shares[first] += 1.0 - place.fract();
                shares
            }
        }
    }
}

/// The indices of the examples of every class.
pub fn by_class(labels: &[u32], classes: usize) -> Vec<Vec<u32>> {
    let mut found = vec![Vec::new(); classes];
    for (index, label) in labels.iter().enumerate() {
        found[*label as usize].push(index as u32);
    }
    found
}

/// `size` examples drawn independently: a class by its share, then one of its examples with replacement.
pub fn draw(
    shares: &[f64],
    by_class: &[Vec<u32>],
    size: usize,
    generator: &mut Generator,
) -> Vec<u32> {
    let one = |generator: &mut Generator| {
        let mut left: f64 = generator.random();
        let reached = |share: &f64| {
            left -= share;
            left < 0.0
        };
        // rounding may leave a remainder behind the last class
        let class = shares.iter().position(reached);
        let class = class.unwrap_or_else(|| shares.iter().rposition(|s| *s > 0.0).unwrap_or(0));
        let own = &by_class[class];
        own[generator.random_range(0..own.len() as u32) as usize]
    };
    (0..size).map(|_| one(generator)).collect()
}

/// What the gradients of every class's examples say.
pub struct Classes {
    means: Vec<Vec<f64>>,
    mean_squares: Vec<f64>,
}

impl Classes {
    /// Of gradients `[n, width]`, row by row.
    pub fn of(rows: &[Scalar], width: usize, by_class: &[Vec<u32>]) -> Self {
        let (mut means, mut mean_squares) = (Vec::new(), Vec::new());
        for own in by_class {
            let (mut mean, mut square) = (vec![0.0; width], 0.0);
            for &index in own {
                let row = &rows[index as usize * width..][..width];
                for (m, v) in mean.iter_mut().zip(row) {
                    let v = f64::from(*v);
                    *m += v;
                    square += v * v;
                }
            }
            let n = own.len().max(1) as f64;
            mean.iter_mut().for_each(|m| *m /= n);
            means.push(mean);
            mean_squares.push(square / n);
        }
        Self {
            means,
            mean_squares,
        }
    }

    /// `C` of minibatches of `size` examples drawn from a mixture, exactly; `None` where they do not vary.
    pub fn ratio(&self, shares: &[f64], size: usize) -> Option<f64> {
        let width = self.means.first()?.len();
        let mixed = |j: usize| -> f64 {
            let parts = shares.iter().zip(&self.means);
            parts.map(|(share, mean)| share * mean[j]).sum()
        };
        let signal: f64 = (0..width).map(|j| mixed(j).powi(2)).sum();
        let squares: f64 = shares
            .iter()
            .zip(&self.mean_squares)
            .map(|(p, q)| p * q)
            .sum();
        let noise = squares - signal;
        (noise > f64::from(Scalar::EPSILON) * squares).then(|| size as f64 * signal / noise)
    }
}

/// How far estimates of one moment are from the truth on the average, relative, over repetitions; and their relative deviation.
pub fn relative_error(estimates: &[(f64, f64)]) -> (f64, f64) {
    let errors: Vec<f64> = estimates.iter().map(|(found, c)| found / c - 1.0).collect();
    let n = errors.len() as f64;
    let mean = errors.iter().sum::<f64>() / n;
    let variance = errors.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    (mean, variance.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Result;
    use approx::assert_relative_eq;
    use fjld_core::Moments;
    use fjld_core::rng::Seed;

    #[test]
    fn a_drifting_stream_goes_through_every_class_and_a_stationary_one_stays() {
        let drifting = |at| Stream::Drifting.mixture(4, at, 40);
        assert_eq!(drifting(0), [1.0, 0.0, 0.0, 0.0]);
        assert_eq!(drifting(15), [0.0, 0.5, 0.5, 0.0]);
        assert_eq!(drifting(35), [0.5, 0.0, 0.0, 0.5]);
        assert_eq!(Stream::Stationary.mixture(4, 35, 40), [0.25; 4]);
    }

    #[test]
    fn the_exact_ratio_is_that_of_pencil() {
        // one parameter: class 0 has gradients 1 and 3, class 1 has 0
        let by_class = by_class(&[0, 1, 0], 2);
        assert_eq!(by_class, [vec![0, 2], vec![1]]);
        let classes = Classes::of(&[1.0, 0.0, 3.0], 1, &by_class);
        // half of each: mean 1, mean square 5/2, so C = 1/(3/2); batches of 3 have three times that
        let ratio = classes.ratio(&[0.5, 0.5], 3).expect("they vary");
        assert_relative_eq!(ratio, 2.0, max_relative = 1e-15);
        assert_eq!(classes.ratio(&[0.0, 1.0], 1), None);
    }

    #[test]
    fn draws_from_a_mixture_have_its_exact_ratio() -> Result<()> {
        let rows: [Scalar; 6] = [1.0, 0.0, 3.0, 1.0, -1.0, 2.0];
        let by_class = by_class(&[0, 1, 0, 1, 1, 0], 2);
        let shares = [0.3, 0.7];
        let exact = Classes::of(&rows, 1, &by_class).ratio(&shares, 2);
        let generator = &mut Seed::root(6).generator();
        let mut moments = Moments::new(1)?;
        for _ in 0..200_000 {
            let drawn = draw(&shares, &by_class, 2, generator);
            let sum: Scalar = drawn.iter().map(|&i| rows[i as usize]).sum();
            moments.push(&[sum / 2.0])?;
        }
        let found = moments.squared_mean_norm() / moments.trace()?;
        // mean and variance of 200,000 draws are known to some thousandths
        assert_relative_eq!(found, exact.expect("they vary"), max_relative = 0.03);
        Ok(())
    }

    #[test]
    fn the_error_of_estimates_is_relative_to_their_own_truths() {
        let (mean, deviation) = relative_error(&[(2.0, 1.0), (2.0, 2.0)]);
        assert_relative_eq!(mean, 0.5);
        assert_relative_eq!(deviation, 0.5f64.sqrt());
        assert_eq!(relative_error(&[(3.0, 2.0)]), (0.5, 0.0));
    }

    #[test]
    fn a_number_at_the_end_of_a_share_belongs_to_the_next_class() {
        // numbers are drawn from 0 on and below 1: a share of u has all below u, or a class of no share could be drawn
        let seed = Seed::root(5);
        let u: f64 = seed.generator().random();
        let class = |share: f64| {
            let shares = [share, 1.0 - share];
            draw(&shares, &[vec![0], vec![1]], 1, &mut seed.generator())
        };
        assert_eq!(class(u), [1]);
        assert_eq!(class(u.next_up()), [0]);
    }

    #[test]
    fn what_rounding_leaves_behind_goes_to_the_last_class_that_has_a_share() {
        // shares that are all but nothing leave all behind them
        let shares = [f64::MIN_POSITIVE, f64::MIN_POSITIVE, 0.0];
        let generator = &mut Seed::root(6).generator();
        let drawn = draw(&shares, &[vec![0], vec![1], vec![2]], 20, generator);
        assert_eq!(drawn, [1; 20]);
    }

    #[test]
    fn means_and_squares_are_taken_class_by_class_over_all_coordinates() {
        // class 0 has (1, 2) and (3, -4), class 1 has (5, 6)
        let rows = [1.0, 2.0, 5.0, 6.0, 3.0, -4.0];
        let classes = Classes::of(&rows, 2, &by_class(&[0, 1, 0], 2));
        assert_eq!(classes.means, [[2.0, -1.0], [5.0, 6.0]]);
        assert_eq!(classes.mean_squares, [(5.0 + 25.0) / 2.0, 61.0]);
    }

    #[test]
    fn the_exact_ratio_does_not_depend_on_the_unit_of_the_gradients() {
        let ratio = |unit: Scalar| {
            let rows = [unit, 0.0, 3.0 * unit];
            Classes::of(&rows, 1, &by_class(&[0, 1, 0], 2)).ratio(&[0.5, 0.5], 3)
        };
        // powers of 2 leave every digit as it is
        for unit in [1.0, Scalar::powi(2.0, -20), Scalar::powi(2.0, 20)] {
            assert_eq!(ratio(unit), Some(2.0), "{unit}");
        }
    }

    #[test]
    fn the_deviation_of_estimates_has_the_divisor_of_a_sample() {
        // errors 1, 2 and 6 about their mean 3: (4 + 1 + 9) / 2
        let (mean, deviation) = relative_error(&[(2.0, 1.0), (6.0, 2.0), (3.5, 0.5)]);
        assert_relative_eq!(mean, 3.0);
        assert_relative_eq!(deviation, 7f64.sqrt());
    }
}
