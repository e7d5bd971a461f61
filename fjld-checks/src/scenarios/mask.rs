//! Which weights of a network are kept, and parameters to come back to.
//!
//! Weights are pruned within each weight matrix by the same share, as one matrix has gradients and weights of another size than the next,
//! and a share of all weights would empty one of them. Biases stay.

use crate::error::Result;
use crate::precision::Scalar;
use candle_core::{Tensor, Var};
use fjld_core::rng::{Generator, permutation};

/// Which parameters are kept, all of them one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask(pub Vec<bool>);

impl Mask {
    /// Keeps everything.
    pub fn whole(parameters: &[(String, Var)]) -> Self {
        Self(vec![
            true;
            parameters.iter().map(|(_, v)| v.elem_count()).sum()
        ])
    }

    /// Prunes from each weight matrix as many weights as `pruned` says for its number, those with the lowest scores; among equal ones
    /// those that come later.
    pub fn lowest(parameters: &[(String, Var)], scores: &[f64], pruned: &[usize]) -> Self {
        let mut mask = Self::whole(parameters);
        for (range, &count) in matrices(parameters).into_iter().zip(pruned) {
            let mut order: Vec<usize> = range.collect();
            order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]).then(b.cmp(&a)));
            order.iter().take(count).for_each(|&i| mask.0[i] = false);
        }
        mask
    }

    /// Prunes from each weight matrix as many weights, at random.
    pub fn random(
        parameters: &[(String, Var)],
        pruned: &[usize],
        generator: &mut Generator,
    ) -> Self {
        let mut mask = Self::whole(parameters);
        for (range, &count) in matrices(parameters).into_iter().zip(pruned) {
            let order = permutation(generator, range.len());
            let chosen = order.iter().take(count);
            chosen.for_each(|&i| mask.0[range.start + i] = false);
        }
        mask
    }

    /// The share of weights that are pruned, biases left out.
    pub fn pruned_share(&self, parameters: &[(String, Var)]) -> f64 {
        let weights: Vec<usize> = matrices(parameters).into_iter().flatten().collect();
        let pruned = weights.iter().filter(|&&i| !self.0[i]).count();
        pruned as f64 / weights.len().max(1) as f64
    }

    /// 1 for a kept parameter and 0 for another, in the shapes of the parameters.
    ///
    /// # Errors
    /// When candle fails.
    pub fn tensors(&self, parameters: &[(String, Var)]) -> Result<Vec<Tensor>> {
        let mut at = 0;
        let one = |(_, var): &(String, Var)| {
            let own = &self.0[at..at + var.elem_count()];
            at += own.len();
            let values: Vec<Scalar> = own.iter().map(|&k| Scalar::from(u8::from(k))).collect();
            Ok(Tensor::from_vec(values, var.shape(), var.device())?)
        };
        parameters.iter().map(one).collect()
    }
}

/// Sets the parameters that [`Mask::tensors`] has a 0 for to 0.
///
/// # Errors
/// When candle fails.
pub fn zero(parameters: &[(String, Var)], masks: &[Tensor]) -> Result<()> {
    for ((_, var), mask) in parameters.iter().zip(masks) {
        var.set(&var.mul(mask)?)?;
    }
    Ok(())
}

/// Where each weight matrix lies among all parameters.
pub fn matrices(parameters: &[(String, Var)]) -> Vec<std::ops::Range<usize>> {
    let mut at = 0;
    let mut found = Vec::new();
    for (_, var) in parameters {
        let end = at + var.elem_count();
        if var.rank() >= 2 {
            found.push(at..end);
        }
        at = end;
    }
    found
}

/// How many weights of each matrix a share of it is.
pub fn counts(parameters: &[(String, Var)], share: f64) -> Vec<usize> {
    let count = |range: std::ops::Range<usize>| (range.len() as f64 * share).round() as usize;
    matrices(parameters).into_iter().map(count).collect()
}

/// The sizes of all parameters.
///
/// # Errors
/// When candle fails.
pub fn magnitudes(parameters: &[(String, Var)]) -> Result<Vec<f64>> {
    let mut found = Vec::new();
    for (_, var) in parameters {
        let values = var.flatten_all()?.to_vec1::<Scalar>()?;
        found.extend(values.into_iter().map(|w| f64::from(w).abs()));
    }
    Ok(found)
}

/// Parameters as they were.
pub struct Snapshot(Vec<Tensor>);

impl Snapshot {
    /// Those of now.
    ///
    /// # Errors
    /// When candle fails.
    pub fn of(parameters: &[(String, Var)]) -> Result<Self> {
        let copies: candle_core::Result<_> = parameters
            .iter()
            .map(|(_, v)| v.as_tensor().copy())
            .collect();
        Ok(Self(copies?))
    }

    /// Sets the parameters back to them, bit by bit.
    ///
    /// # Errors
    /// When candle fails.
    pub fn restore(&self, parameters: &[(String, Var)]) -> Result<()> {
        for ((_, var), kept) in parameters.iter().zip(&self.0) {
            // a variable may take over the storage of what it is set to
            var.set(&kept.copy()?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use fjld_core::rng::Seed;

    fn parameters() -> Vec<(String, Var)> {
        let var = |values: &[Scalar], shape: &[usize]| {
            let tensor = Tensor::from_vec(values.to_vec(), shape, &Device::Cpu);
            Var::from_tensor(&tensor.expect("as many values")).expect("it is a tensor")
        };
        vec![
            ("a.bias".into(), var(&[0.01, 0.02], &[2])),
            ("a.weight".into(), var(&[0.4, -0.1, 0.3, -0.2], &[2, 2])),
            ("b.weight".into(), var(&[5.0, -6.0], &[1, 2])),
        ]
    }

    #[test]
    fn the_smallest_of_each_matrix_go_and_biases_stay() -> Result<()> {
        let parameters = parameters();
        assert_eq!(counts(&parameters, 0.5), [2, 1]);
        let scores = magnitudes(&parameters)?;
        let mask = Mask::lowest(&parameters, &scores, &[2, 1]);
        let kept = [true, true, true, false, true, false, false, true];
        assert_eq!(mask.0, kept);
        assert_eq!(mask.pruned_share(&parameters), 0.5);
        zero(&parameters, &mask.tensors(&parameters)?)?;
        assert_eq!(
            parameters[1].1.flatten_all()?.to_vec1::<Scalar>()?,
            [0.4, 0.0, 0.3, 0.0]
        );
        // pruning further keeps no weight that was pruned before
        let further = Mask::lowest(&parameters, &magnitudes(&parameters)?, &[3, 1]);
        assert!(further.0.iter().zip(&mask.0).all(|(&f, &m)| m || !f));
        Ok(())
    }

    #[test]
    fn random_pruning_takes_as_many_of_each_matrix() {
        let parameters = parameters();
        let generator = &mut Seed::root(3).generator();
        for _ in 0..10 {
            let mask = Mask::random(&parameters, &[3, 1], generator);
            let pruned =
                |range: std::ops::Range<usize>| mask.0[range].iter().filter(|k| !**k).count();
            assert_eq!([pruned(0..2), pruned(2..6), pruned(6..8)], [0, 3, 1]);
        }
    }

    #[test]
    fn what_was_kept_comes_back_bit_by_bit_as_often_as_asked() -> Result<()> {
        let parameters = parameters();
        let before = magnitudes(&parameters)?;
        let snapshot = Snapshot::of(&parameters)?;
        for _ in 0..2 {
            for (_, var) in &parameters {
                var.set(&(var.as_tensor() * 3.0)?)?;
            }
            assert_ne!(magnitudes(&parameters)?, before);
            snapshot.restore(&parameters)?;
            assert_eq!(magnitudes(&parameters)?, before);
        }
        Ok(())
    }

    #[test]
    fn the_pruned_share_is_of_weights_and_of_no_biases() {
        let parameters = parameters();
        let scores = [0.0; 8];
        // six weights in two matrices, and two biases
        for (pruned, share) in [([0, 0], 0.0), ([3, 0], 0.5), ([4, 2], 1.0)] {
            let mask = Mask::lowest(&parameters, &scores, &pruned);
            assert_eq!(mask.pruned_share(&parameters), share);
        }
        let mask = Mask::lowest(&parameters, &scores, &[1, 0]);
        assert_eq!(mask.pruned_share(&parameters), 1.0 / 6.0);
        let biases_only = &parameters[..1];
        assert_eq!(Mask::whole(biases_only).pruned_share(biases_only), 0.0);
    }
}
