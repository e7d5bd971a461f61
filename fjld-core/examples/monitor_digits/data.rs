//! The digits that come with the repository: E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine
//! Learning Repository, <https://doi.org/10.24432/C50P49>, CC BY 4.0.

use candle_core::{Device, Tensor};
use fjld_core::rng::{Seed, permutation};
use std::error::Error;
use std::io::Read;

pub const PIXELS: usize = 64;
pub const CLASSES: usize = 10;
/// A quarter is held out.
const HELD_OUT: usize = 449;

/// 1,797 images of 8 x 8, in random order.
pub struct Digits {
    pixels: Vec<f32>,
    labels: Vec<u32>,
}

impl Digits {
    pub fn read() -> Result<Self, Box<dyn Error>> {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../fjld-checks/data/digits.csv.gz"
        );
        let packed = std::fs::File::open(path)
            .map_err(|e| format!("{path} could not be read ({e}); it comes with the repository"))?;
        let mut text = String::new();
        flate2::read::GzDecoder::new(packed).read_to_string(&mut text)?;
        let rows: Vec<Vec<u32>> = text
            .lines()
            .map(|line| line.split(',').map(str::parse).collect())
            .collect::<Result<_, _>>()?;
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for index in permutation(&mut Seed::root(1).derive("order").generator(), rows.len()) {
            let (image, label) = rows[index].split_at(PIXELS);
            pixels.extend(image.iter().map(|&p| p as f32 / 16.0));
            labels.extend(label);
        }
        Ok(Self { pixels, labels })
    }

    fn range(&self, start: usize, count: usize) -> candle_core::Result<(Tensor, Tensor)> {
        let pixels = &self.pixels[start * PIXELS..(start + count) * PIXELS];
        let x = Tensor::from_slice(pixels, (count, PIXELS), &Device::Cpu)?;
        let y = Tensor::from_slice(&self.labels[start..start + count], count, &Device::Cpu)?;
        Ok((x, y))
    }

    /// Batches of an epoch over the training part, the last short one left out.
    pub fn batches(&self, size: usize) -> usize {
        (self.labels.len() - HELD_OUT) / size
    }

    /// The batch of a step.
    pub fn batch(&self, step: usize, size: usize) -> candle_core::Result<(Tensor, Tensor)> {
        self.range(step % self.batches(size) * size, size)
    }

    /// The share of held-out labels that are predicted rightly.
    pub fn accuracy(
        &self,
        scores: impl Fn(&Tensor) -> candle_core::Result<Tensor>,
    ) -> candle_core::Result<f64> {
        let (x, y) = self.range(self.labels.len() - HELD_OUT, HELD_OUT)?;
        let right = scores(&x)?.argmax(1)?.eq(&y)?.to_vec1::<u8>()?;
        Ok(right.iter().map(|&r| f64::from(r)).sum::<f64>() / HELD_OUT as f64)
    }
}
