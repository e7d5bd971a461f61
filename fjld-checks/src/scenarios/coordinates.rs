//! Mean and variance of a network's gradient, coordinate by coordinate, and what each parameter contributes to `C`.
//!
//! Legend: `g` the gradient of one example drawn from all, `mu = E g`, `D` the diagonal of its covariance with the divisor `N`, so that
//! everything is exact for the given examples. At batch `B`, drawn with replacement, `mu` stays and `D` is divided by `B`.

use crate::error::Result;
use crate::precision::Scalar;
use candle_core::{DType, Tensor};
use fjld_core::Objective;
use fjld_core::capture::{Capture, Reduction};

/// Mean and variance of every coordinate, all parameters one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Coordinates {
    /// `mu_i`.
    pub mean: Vec<f64>,
    /// `D_ii`, of one example.
    pub variance: Vec<f64>,
}

/// Roundings of `f32` that a variance may come from where all gradients are the same.
const ROUNDINGS: f64 = 16.0;

impl Coordinates {
    /// Those of all examples at the network's present parameters; `None` where the loss is not finite, as after a training that diverged.
    ///
    /// # Errors
    /// When candle fails, or the network is not built of captured layers.
    pub fn of<O: Objective<Batch = (Tensor, Tensor)>>(
        model: &O,
        examples: &(Tensor, Tensor),
    ) -> Result<Option<Self>> {
        if !model.loss(examples)?.to_scalar::<Scalar>()?.is_finite() {
            return Ok(None);
        }
        let count = model.examples(examples);
        let captured = Capture::new(count, Reduction::Mean)
            .diagonal()
            .run(model.parameters(), || model.loss(examples))?;
        let (mut mean, mut variance) = (Vec::new(), Vec::new());
        let population = (count as f64 - 1.0) / count as f64;
        for parameter in captured.statistics.parameters() {
            let own = parameter.mean()?.to_dtype(DType::F64)?.flatten_all()?;
            mean.extend(own.to_vec1::<f64>()?);
            let own = parameter.variances()?.expect("the diagonal was asked for");
            let own = own.flatten_all()?.to_vec1::<f64>()?;
            variance.extend(own.into_iter().map(|v| v * population));
        }
        Ok(Some(Self { mean, variance }))
    }

    /// `|mu|^2` over the kept coordinates.
    pub fn signal(&self, kept: &[bool]) -> f64 {
        let pairs = self.mean.iter().zip(kept);
        pairs.filter(|(_, kept)| **kept).map(|(m, _)| m * m).sum()
    }

    /// `Tr D` over the kept coordinates.
    pub fn noise(&self, kept: &[bool]) -> f64 {
        let pairs = self.variance.iter().zip(kept);
        pairs.filter(|(_, kept)| **kept).map(|(v, _)| v).sum()
    }

    /// `C` of one example over the kept coordinates; `None` where the noise vanished against rounding.
    pub fn ratio(&self, kept: &[bool]) -> Option<f64> {
        ratio(self.signal(kept), self.noise(kept))
    }

    /// `C` of one example of the gradient that is multiplied by `factors`, coordinate by coordinate.
    pub fn preconditioned(&self, factors: &[f64]) -> Option<f64> {
        let weighted = |values: &mut dyn Iterator<Item = f64>| -> f64 {
            values.zip(factors).map(|(v, f)| v * f * f).sum()
        };
        let signal = weighted(&mut self.mean.iter().map(|m| m * m));
        ratio(signal, weighted(&mut self.variance.iter().copied()))
    }

    /// `E g_i^2` at batch `batch_size`.
    pub fn second_moments(&self, batch_size: usize) -> Vec<f64> {
        let pairs = self.mean.iter().zip(&self.variance);
        pairs.map(|(m, v)| m * m + v / batch_size as f64).collect()
    }
}

fn ratio(signal: f64, noise: f64) -> Option<f64> {
    let floor = ROUNDINGS * f64::from(Scalar::EPSILON) * (signal + noise);
    (noise > floor).then(|| signal / noise)
}

/// What a parameter contributes to `C = |mu|^2 / Tr D`: three definitions of it. The measurement batch multiplies the first two by a
/// common factor and leaves the order of the third as it is, so that none of the orders depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contribution {
    /// Its part of the sum, `mu_i^2 / Tr D`: the parts add up to `C`.
    Part,
    /// What `C` loses without it: `C - (|mu|^2 - mu_i^2) / (Tr D - D_ii)`, negative for a parameter that brings more noise than signal.
    Without,
    /// Its own ratio `mu_i^2 / D_ii`, written as `mu_i^2 / (mu_i^2 + D_ii)`, which has the same order and is finite.
    Own,
}

impl Contribution {
    /// Every definition.
    pub const ALL: [Self; 3] = [Self::Part, Self::Without, Self::Own];

    /// The contribution of every parameter; 0 where it is undefined.
    pub fn of(self, coordinates: &Coordinates) -> Vec<f64> {
        let all = vec![true; coordinates.mean.len()];
        let (signal, noise) = (coordinates.signal(&all), coordinates.noise(&all));
        let pairs = coordinates.mean.iter().zip(&coordinates.variance);
        let defined = |value: f64| if value.is_finite() { value } else { 0.0 };
        pairs
            .map(|(m, v)| {
                let own = m * m;
                defined(match self {
                    Self::Part => own / noise,
                    // the difference of the two fractions, over their common denominator: nothing cancels but what has to
                    Self::Without => (own * noise - signal * v) / (noise * (noise - v)),
                    Self::Own => own / (own + v),
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precision::SCALAR;
    use crate::scenarios::mlp::Mlp;
    use crate::scenarios::models::chunks;
    use candle_core::Device;
    use fjld_core::capture::moments_of;
    use fjld_core::rng::{Seed, standard_normals};

    /// A small network with its examples, and the moments of the examples' gradients by a backward pass each.
    fn small() -> Result<(Coordinates, Vec<Vec<f64>>)> {
        let device = Device::Cpu;
        let model = Mlp::new(&[3, 4, 2], Seed::root(1), &device)?;
        let inputs = standard_normals(&mut Seed::root(2).generator(), 8 * 3);
        let inputs = Tensor::from_vec(inputs, (8, 3), &device)?.to_dtype(SCALAR)?;
        let labels = Tensor::from_vec((0..8).map(|i| i % 2).collect::<Vec<u32>>(), 8, &device)?;
        let examples = (inputs, labels);
        let coordinates = Coordinates::of(&model, &examples)?.expect("the loss is finite");
        let mut rows = Vec::new();
        for one in chunks(&examples, 1)? {
            rows.push(moments_of(&model, [Ok(one)])?.mean().to_vec());
        }
        Ok((coordinates, rows))
    }

    /// `C` from the examples' gradients written out, over the kept coordinates.
    fn by_hand(rows: &[Vec<f64>], kept: impl Fn(usize) -> bool) -> f64 {
        let n = rows.len() as f64;
        let (mut signal, mut noise) = (0.0, 0.0);
        for i in (0..rows[0].len()).filter(|&i| kept(i)) {
            let mean = rows.iter().map(|r| r[i]).sum::<f64>() / n;
            signal += mean * mean;
            noise += rows.iter().map(|r| (r[i] - mean).powi(2)).sum::<f64>() / n;
        }
        signal / noise
    }

    #[test]
    fn each_contribution_is_what_brute_force_says() -> Result<()> {
        let (coordinates, rows) = small()?;
        let whole = by_hand(&rows, |_| true);
        // sums of a few products of numbers near 1 in f32
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-5 * whole.max(1.0), "{a} {b}");
        let all = vec![true; coordinates.mean.len()];
        close(coordinates.ratio(&all).expect("there is noise"), whole);
        let [parts, without, own] = Contribution::ALL.map(|c| c.of(&coordinates));
        close(parts.iter().sum(), whole);
        for i in 0..all.len() {
            close(without[i], whole - by_hand(&rows, |j| j != i));
            let alone = by_hand(&rows, |j| j == i);
            // a coordinate behind a dead unit has neither mean nor variance
            if alone.is_finite() {
                close(own[i], alone / (1.0 + alone));
            } else {
                assert_eq!([parts[i], without[i].max(0.0), own[i]], [0.0; 3]);
            }
        }
        Ok(())
    }

    #[test]
    fn half_of_the_coordinates_have_the_ratio_of_their_gradients() -> Result<()> {
        let (coordinates, rows) = small()?;
        let kept: Vec<bool> = (0..coordinates.mean.len()).map(|i| i % 2 == 0).collect();
        let expected = by_hand(&rows, |i| kept[i]);
        let found = coordinates.ratio(&kept).expect("there is noise");
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        let factors: Vec<f64> = kept.iter().map(|&k| if k { 3.0 } else { 0.0 }).collect();
        let scaled = coordinates
            .preconditioned(&factors)
            .expect("there is noise");
        assert!((scaled - expected).abs() < 1e-5, "{scaled} {expected}");
        Ok(())
    }

    #[test]
    fn where_all_gradients_are_the_same_the_ratio_is_undefined() {
        let coordinates = Coordinates {
            mean: vec![1.0, 2.0],
            variance: vec![1e-8, 0.0],
        };
        assert_eq!(coordinates.ratio(&[true, true]), None);
        assert_eq!(coordinates.ratio(&[false, false]), None);
        let contributions = Contribution::Without.of(&coordinates);
        assert!(contributions.iter().all(|c| c.is_finite()));
    }

    #[test]
    fn noise_counts_from_sixteen_roundings_of_the_second_moment_on() {
        // noise is the second moment without the signal, which is known to so many roundings of itself
        let roundings = 16.0 * 2f64.powi(-23);
        let with = |noise| Coordinates {
            mean: vec![1.0],
            variance: vec![noise],
        };
        // as much of the signal alone is less than that of signal and noise
        assert_eq!(with(roundings).ratio(&[true]), None);
        let more = roundings * (1.0 + 2.0 * roundings);
        assert_eq!(with(more).ratio(&[true]), Some(1.0 / more));
    }
}
