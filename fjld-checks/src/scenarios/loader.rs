//! Training batches.

use crate::error::{Error, Result};
use candle_core::Tensor;
use fjld_core::rng::{Generator, Seed, permutation};

/// Every example once an epoch, in a new random order each time; an incomplete last batch is left out.
pub struct Loader<'a> {
    examples: &'a (Tensor, Tensor),
    /// `None`: all examples, in their own order.
    batch_size: Option<usize>,
    generator: Generator,
    order: Vec<u32>,
}

impl<'a> Loader<'a> {
    /// Batches of `batch_size` of these examples, or always all of them.
    ///
    /// # Errors
    /// When there are not as many.
    pub fn new(
        examples: &'a (Tensor, Tensor),
        batch_size: Option<usize>,
        seed: Seed,
    ) -> Result<Self> {
        let n = examples.1.dim(0)?;
        if let Some(size) = batch_size.filter(|&size| size > n) {
            return Err(Error::input(format!(
                "training.batch_size is {size}; the training set has {n} examples"
            )));
        }
        Ok(Self {
            examples,
            batch_size,
            generator: seed.generator(),
            order: Vec::new(),
        })
    }

    /// The next batch.
    ///
    /// # Errors
    /// When candle fails.
    pub fn next_batch(&mut self) -> Result<(Tensor, Tensor)> {
        let (inputs, labels) = self.examples;
        let Some(size) = self.batch_size else {
            return Ok((inputs.clone(), labels.clone()));
        };
        if self.order.len() < size {
            let order = permutation(&mut self.generator, labels.dim(0)?);
            self.order = order.into_iter().map(|i| i as u32).collect();
        }
        let picked = self.order.split_off(self.order.len() - size);
        let picked = Tensor::from_vec(picked, size, inputs.device())?;
        Ok((
            inputs.index_select(&picked, 0)?,
            labels.index_select(&picked, 0)?,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn an_epoch_gives_every_example_once_but_for_an_incomplete_batch() -> Result<()> {
        let numbers = Tensor::arange(0u32, 10, &Device::Cpu)?;
        let examples = (numbers.reshape((10, 1))?, numbers);
        let mut loader = Loader::new(&examples, Some(3), Seed::root(1))?;
        for _ in 0..2 {
            let mut seen = Vec::new();
            for _ in 0..3 {
                seen.extend(loader.next_batch()?.1.to_vec1::<u32>()?);
            }
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), 9);
        }
        let mut whole = Loader::new(&examples, None, Seed::root(1))?;
        assert_eq!(whole.next_batch()?.1.dim(0)?, 10);
        let said = Loader::new(&examples, Some(11), Seed::root(1)).err();
        let said = said.map(|e| e.to_string());
        let wanted = "training.batch_size is 11; the training set has 10 examples";
        assert_eq!(said.as_deref(), Some(wanted));
        Ok(())
    }

    #[test]
    fn an_epoch_of_whole_batches_gives_every_example_once() -> Result<()> {
        let numbers = Tensor::arange(0u32, 9, &Device::Cpu)?;
        let examples = (numbers.reshape((9, 1))?, numbers);
        let mut loader = Loader::new(&examples, Some(3), Seed::root(1))?;
        for _ in 0..4 {
            let mut seen = Vec::new();
            for _ in 0..3 {
                seen.extend(loader.next_batch()?.1.to_vec1::<u32>()?);
            }
            seen.sort_unstable();
            assert_eq!(seen, (0..9).collect::<Vec<u32>>());
        }
        Ok(())
    }
}
