//! Data sets.
//!
//! The UCI optical digits are embedded: E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine
//! Learning Repository, <https://doi.org/10.24432/C50P49>, CC BY 4.0; the copy is scikit-learn's (test part, 1,797 images).

#[cfg(feature = "datasets")]
mod by_candle;
pub mod choice;
pub mod fetch;
pub mod folder;
mod grammar;
mod images;
mod modular;
mod text;

use crate::error::Result;
use crate::precision::Scalar;
use candle_core::{Device, Tensor};
use fjld_core::rng::{Seed, permutation};
use std::io::Read;
use std::sync::LazyLock;

/// Labelled examples. Each has an input of the same shape and, where it is a sequence, a label a position.
#[derive(Clone, Debug)]
pub struct Examples {
    inputs: Values,
    /// Of one input.
    shape: Vec<usize>,
    /// `[n, targets]`, row by row.
    labels: Vec<u32>,
    /// Labels of one example.
    targets: usize,
}

/// What inputs are made of, row by row.
#[derive(Clone, Debug, PartialEq)]
enum Values {
    /// Real numbers.
    Real(Vec<Scalar>),
    /// Indices.
    Index(Vec<u32>),
}

/// Classes of the digits.
pub const CLASSES: usize = 10;

/// Pixels of a digit.
pub const PIXELS: usize = 64;

static DIGITS: LazyLock<Examples> = LazyLock::new(|| {
    let packed = include_bytes!("../../../data/digits.csv.gz");
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
        inputs.extend(numbers.by_ref().take(PIXELS).map(|p| p as Scalar / 16.0));
        labels.extend(numbers);
    }
    Examples::of_images(inputs, &[PIXELS], labels)
});

/// The embedded digits, pixels scaled to `[0, 1]`.
pub fn digits() -> &'static Examples {
    &DIGITS
}

impl Examples {
    /// Real inputs of a shape, one label each.
    fn of_images(inputs: Vec<Scalar>, shape: &[usize], labels: Vec<u32>) -> Self {
        Self {
            inputs: Values::Real(inputs),
            shape: shape.to_vec(),
            labels,
            targets: 1,
        }
    }

    /// Inputs of `width` indices, `targets` labels each.
    fn of_indices(inputs: Vec<u32>, width: usize, labels: Vec<u32>, targets: usize) -> Self {
        Self {
            inputs: Values::Index(inputs),
            shape: vec![width],
            labels,
            targets,
        }
    }

    /// The number of examples.
    pub fn len(&self) -> usize {
        self.labels.len() / self.targets
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// A random `test_share` apart from the rest: `(train, test)`.
    pub fn split(&self, test_share: f64, seed: Seed) -> (Self, Self) {
        let order = permutation(&mut seed.generator(), self.len());
        let (test, train) = order.split_at(held_out(self.len(), test_share));
        (self.pick(train), self.pick(test))
    }

    /// `count` examples at random, without replacement; all when there are not as many.
    pub fn sample(&self, count: usize, seed: Seed) -> Self {
        let mut order = permutation(&mut seed.generator(), self.len());
        order.truncate(count);
        self.pick(&order)
    }

    /// The control: the same inputs with their labels dealt out at random.
    pub fn with_shuffled_labels(&self, seed: Seed) -> Self {
        let order = permutation(&mut seed.generator(), self.len());
        let row = |&i: &usize| &self.labels[i * self.targets..(i + 1) * self.targets];
        Self {
            labels: order.iter().flat_map(row).copied().collect(),
            ..self.clone()
        }
    }

    /// The control for texts: all their characters, those that are labels only among them, dealt out at random.
    pub fn with_shuffled_characters(&self, seed: Seed) -> Self {
        let (Values::Index(inputs), context) = (&self.inputs, self.targets) else {
            return self.clone();
        };
        let stretches = inputs.chunks(context).zip(self.labels.chunks(context));
        let text: Vec<u32> = stretches
            .flat_map(|(input, labels)| input.iter().chain(labels.last()))
            .copied()
            .collect();
        let order = permutation(&mut seed.generator(), text.len());
        let shuffled: Vec<u32> = order.iter().map(|&i| text[i]).collect();
        text::stretches(&shuffled, context)
    }

    /// The share of examples whose label is the same in `other`.
    pub fn label_agreement(&self, other: &Self) -> f64 {
        let pairs = self.labels.iter().zip(&other.labels);
        pairs.filter(|(a, b)| a == b).count() as f64 / self.len() as f64
    }

    /// As tensors: inputs `[n, ...]` and labels `[n]`, or `[n, targets]`.
    ///
    /// # Errors
    /// When candle fails.
    pub fn tensors(&self, device: &Device) -> Result<(Tensor, Tensor)> {
        let mut shape = vec![self.len()];
        shape.extend(&self.shape);
        let inputs = match &self.inputs {
            Values::Real(values) => Tensor::from_slice(values, shape, device)?,
            Values::Index(values) => Tensor::from_slice(values, shape, device)?,
        };
        let labels = match self.targets {
            1 => Tensor::from_slice(&self.labels, self.len(), device)?,
            targets => Tensor::from_slice(&self.labels, (self.len(), targets), device)?,
        };
        Ok((inputs, labels))
    }

    /// Real inputs, one after the other, and the labels; no inputs where they are indices.
    pub fn flat_reals(&self) -> (&[Scalar], &[u32]) {
        match &self.inputs {
            Values::Real(values) => (values, &self.labels),
            Values::Index(_) => (&[], &self.labels),
        }
    }

    fn pick(&self, indices: &[usize]) -> Self {
        let inputs = match &self.inputs {
            Values::Real(values) => Values::Real(rows(values, self.len(), indices)),
            Values::Index(values) => Values::Index(rows(values, self.len(), indices)),
        };
        Self {
            inputs,
            shape: self.shape.clone(),
            labels: rows(&self.labels, self.len(), indices),
            targets: self.targets,
        }
    }
}

/// The chosen ones of `n` rows.
fn rows<T: Copy>(values: &[T], n: usize, chosen: &[usize]) -> Vec<T> {
    let width = values.len() / n.max(1);
    let row = |&i: &usize| &values[i * width..(i + 1) * width];
    chosen.iter().flat_map(row).copied().collect()
}

/// How many of `n` examples a `test_share` is.
fn held_out(n: usize, test_share: f64) -> usize {
    (n as f64 * test_share).round() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(examples: &Examples) -> &[Scalar] {
        match &examples.inputs {
            Values::Real(values) => values,
            Values::Index(_) => &[],
        }
    }

    #[test]
    fn the_digits_are_1797_images_of_ten_classes() {
        let digits = digits();
        assert_eq!(
            (digits.len(), digits.shape.as_slice()),
            (1797, &[PIXELS][..])
        );
        for class in 0..CLASSES as u32 {
            let count = digits.labels.iter().filter(|&&l| l == class).count();
            assert!((174..=183).contains(&count), "{count} of class {class}");
        }
        assert!(pixels(digits).iter().all(|p| (0.0..=1.0).contains(p)));
    }

    #[test]
    fn a_split_keeps_every_image_once_with_its_label() {
        let (train, test) = digits().split(0.25, Seed::root(1));
        assert_eq!((train.len(), test.len()), (1348, 449));
        let total = |e: &Examples| pixels(e).iter().map(|&p| f64::from(p)).sum::<f64>();
        assert_eq!(total(&train) + total(&test), total(digits()));
        let first = &pixels(&test)[..PIXELS];
        let at = pixels(digits()).chunks(PIXELS).position(|row| row == first);
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

    #[test]
    fn there_are_no_examples_without_labels() {
        assert!(!digits().is_empty());
        for (count, is_empty) in [(0, true), (1, false)] {
            let some = digits().sample(count, Seed::root(3));
            assert_eq!((some.len(), some.is_empty()), (count, is_empty));
        }
    }

    #[test]
    fn shuffled_labels_of_one_sequence_stay_together_in_their_order() {
        // a hundred sequences of two indices, with the labels 10 k, 10 k + 1, 10 k + 2
        let labels = |k: u32| [10 * k, 10 * k + 1, 10 * k + 2];
        let all: Vec<u32> = (0..100).flat_map(labels).collect();
        let examples = Examples::of_indices(vec![7; 200], 2, all.clone(), 3);
        let shuffled = examples.with_shuffled_labels(Seed::root(4));
        assert_ne!(shuffled.labels, all);
        let mut dealt: Vec<&[u32]> = shuffled.labels.chunks(3).collect();
        dealt.sort_unstable();
        let wanted: Vec<&[u32]> = all.chunks(3).collect();
        assert_eq!(dealt, wanted);
    }
}
