//! Data sets.
//!
//! The UCI optical digits are embedded: E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine
//! Learning Repository, <https://doi.org/10.24432/C50P49>, CC BY 4.0; the copy is scikit-learn's (test part, 1,797 images).

use crate::error::Result;
use candle_core::{Device, Tensor};
use fjld_core::rng::{Seed, permutation};
use std::io::Read;
use std::sync::LazyLock;

/// Labelled examples.
#[derive(Clone, Debug)]
pub struct Examples {
    /// Inputs, `[n, width]`, row by row.
    inputs: Vec<f32>,
    /// Classes, `[n]`.
    labels: Vec<u32>,
}

/// Classes of the digits.
pub const CLASSES: usize = 10;

/// Pixels of a digit.
pub const PIXELS: usize = 64;

static DIGITS: LazyLock<Examples> = LazyLock::new(|| {
    let packed = include_bytes!("../../data/digits.csv.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed.as_slice())
        .read_to_string(&mut text)
        .expect("the embedded digits are gzip of text");
    let (mut inputs, mut labels) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let mut numbers = line
            .split(',')
            .map(|n| n.parse::<u32>().expect("the embedded digits are integers"));
        // pixels run from 0 to 16
        inputs.extend(numbers.by_ref().take(PIXELS).map(|p| p as f32 / 16.0));
        labels.extend(numbers);
    }
    Examples { inputs, labels }
});

/// The embedded digits, pixels scaled to `[0, 1]`.
pub fn digits() -> &'static Examples {
    &DIGITS
}

impl Examples {
    /// The number of examples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// How many examples a `test_share` is.
    pub fn held_out(&self, test_share: f64) -> usize {
        (self.len() as f64 * test_share).round() as usize
    }

    /// A random `test_share` apart from the rest: `(train, test)`.
    pub fn split(&self, test_share: f64, seed: Seed) -> (Self, Self) {
        let order = permutation(&mut seed.generator(), self.len());
        let (test, train) = order.split_at(self.held_out(test_share));
        (self.pick(train), self.pick(test))
    }

    /// The control: the same inputs with their labels dealt out at random.
    pub fn with_shuffled_labels(&self, seed: Seed) -> Self {
        let order = permutation(&mut seed.generator(), self.len());
        Self {
            inputs: self.inputs.clone(),
            labels: order.iter().map(|&i| self.labels[i]).collect(),
        }
    }

    /// The share of examples whose label is the same in `other`.
    pub fn label_agreement(&self, other: &Self) -> f64 {
        let pairs = self.labels.iter().zip(&other.labels);
        pairs.filter(|(a, b)| a == b).count() as f64 / self.len() as f64
    }

    /// As tensors: inputs `[n, width]` and labels `[n]`.
    ///
    /// # Errors
    /// When candle fails.
    pub fn tensors(&self, device: &Device) -> Result<(Tensor, Tensor)> {
        let inputs = Tensor::from_slice(&self.inputs, (self.len(), self.width()), device)?;
        let labels = Tensor::from_slice(&self.labels, self.len(), device)?;
        Ok((inputs, labels))
    }

    fn width(&self) -> usize {
        self.inputs.len() / self.len().max(1)
    }

    fn pick(&self, indices: &[usize]) -> Self {
        let width = self.width();
        let row = |&i: &usize| &self.inputs[i * width..(i + 1) * width];
        Self {
            inputs: indices.iter().flat_map(row).copied().collect(),
            labels: indices.iter().map(|&i| self.labels[i]).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_are_1797_images_of_ten_classes() {
        let digits = digits();
        assert_eq!((digits.len(), digits.width()), (1797, PIXELS));
        for class in 0..CLASSES as u32 {
            let count = digits.labels.iter().filter(|&&l| l == class).count();
            assert!((174..=183).contains(&count), "{count} of class {class}");
        }
        assert!(digits.inputs.iter().all(|p| (0.0..=1.0).contains(p)));
    }

    #[test]
    fn a_split_keeps_every_image_once_with_its_label() {
        let (train, test) = digits().split(0.25, Seed::root(1));
        assert_eq!((train.len(), test.len()), (1348, 449));
        let total = |e: &Examples| e.inputs.iter().map(|&p| f64::from(p)).sum::<f64>();
        assert_eq!(total(&train) + total(&test), total(digits()));
        let first = &test.inputs[..PIXELS];
        let at = digits().inputs.chunks(PIXELS).position(|row| row == first);
        assert_eq!(
            digits().labels[at.expect("it was split off")],
            test.labels[0]
        );
    }

    #[test]
    fn shuffled_labels_agree_with_the_true_ones_no_more_than_chance() {
        let shuffled = digits().with_shuffled_labels(Seed::root(2));
        let agreement = digits().label_agreement(&shuffled);
        // one in ten, give or take five standard deviations of a proportion over 1,797
        assert!((0.065..0.135).contains(&agreement), "{agreement}");
        let sorted = |e: &Examples| {
            let mut labels = e.labels.clone();
            labels.sort_unstable();
            labels
        };
        assert_eq!(sorted(&shuffled), sorted(digits()));
        assert_eq!(shuffled.inputs, digits().inputs);
    }
}
