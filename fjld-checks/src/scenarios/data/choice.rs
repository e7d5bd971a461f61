//! Which data a scenario trains on, as its file names it.

use super::folder::{CIFAR10, DataSet, MNIST, TINY_SHAKESPEARE};
use super::{CLASSES, Examples, PIXELS, digits, grammar, held_out, images, modular, text};
use crate::error::{Error, Result};
use crate::scenarios::models::Task;
use fjld_core::rng::Seed;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A data set and how much of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum DataChoice {
    /// The embedded digits.
    Digits {
        /// The share held out at random.
        test_share: f64,
    },
    /// All sums of two residues.
    ModularAddition {
        /// How many residues.
        modulus: usize,
        /// The share of pairs held out at random.
        test_share: f64,
    },
    /// Handwritten digits, from a folder.
    Mnist {
        /// How many of the 60,000 training images, drawn at random.
        train_examples: usize,
        /// How many of the 10,000 test images.
        test_examples: usize,
    },
    /// Small photographs, from a folder.
    #[serde(rename = "cifar-10")]
    Cifar10 {
        /// How many of the 50,000 training images, drawn at random.
        train_examples: usize,
        /// How many of the 10,000 test images.
        test_examples: usize,
    },
    /// Text of a small language whose entropy rate is known.
    Grammar {
        /// Stretches of text to train on.
        train_examples: usize,
        /// Stretches of another text.
        test_examples: usize,
        /// Characters of a stretch.
        context: usize,
    },
    /// Shakespeare, from a folder.
    TinyShakespeare {
        /// Stretches to train on, drawn at random from the first nine tenths.
        train_examples: usize,
        /// Stretches drawn at random from the last tenth.
        test_examples: usize,
        /// Characters of a stretch.
        context: usize,
    },
}

impl DataChoice {
    /// Refuses values out of range.
    ///
    /// # Errors
    /// Naming the first of them.
    pub fn check(&self, origin: &str) -> Result<()> {
        let refuse = |key: &str, value: &dyn std::fmt::Display, accepted: &str| {
            Err(Error::input(format!(
                "{origin}: data.{key} is {value}; it must be {accepted}"
            )))
        };
        let within = |train: usize, most_train: usize, test: usize, most_test: usize, context| {
            if !(2..=most_train).contains(&train) {
                let accepted = format!("between 2 and {most_train}");
                refuse("train_examples", &train, &accepted)
            } else if !(1..=most_test).contains(&test) {
                let accepted = format!("between 1 and {most_test}");
                refuse("test_examples", &test, &accepted)
            } else if !(1..=4096).contains(&context) {
                refuse("context", &context, "between 1 and 4096")
            } else {
                Ok(())
            }
        };
        match *self {
            Self::Digits { test_share } | Self::ModularAddition { test_share, .. }
                if !(0.01..=0.9).contains(&test_share) =>
            {
                refuse("test_share", &test_share, "between 0.01 and 0.9")
            }
            Self::ModularAddition { modulus, .. } if !(3..=1000).contains(&modulus) => {
                refuse("modulus", &modulus, "between 3 and 1000")
            }
            Self::Mnist {
                train_examples,
                test_examples,
            } => within(train_examples, 60_000, test_examples, 10_000, 1),
            Self::Cifar10 {
                train_examples,
                test_examples,
            } => within(train_examples, 50_000, test_examples, 10_000, 1),
            Self::Grammar {
                train_examples,
                test_examples,
                context,
            } => within(train_examples, 1_000_000, test_examples, 1_000_000, context),
            // stretches and the characters behind them must fit into the text
            Self::TinyShakespeare {
                train_examples,
                test_examples,
                context,
            } => {
                let fit = |characters: usize| characters / (context + 1);
                let (train, test) = (fit(1_003_851), fit(111_543));
                within(train_examples, train, test_examples, test, context)
            }
            _ => Ok(()),
        }
    }

    /// The data set that a folder has to hold.
    pub fn needs(&self) -> Option<&'static DataSet> {
        match self {
            Self::Digits { .. } | Self::ModularAddition { .. } | Self::Grammar { .. } => None,
            Self::Mnist { .. } => Some(&MNIST),
            Self::Cifar10 { .. } => Some(&CIFAR10),
            Self::TinyShakespeare { .. } => Some(&TINY_SHAKESPEARE),
        }
    }

    /// `(train, test)` examples, drawn by `seed` from what is built in or lies in `folder`.
    ///
    /// # Errors
    /// When the data set is not there, or not as it should be.
    pub fn split(&self, seed: Seed, folder: Option<&Path>) -> Result<(Examples, Examples)> {
        Ok(match *self {
            Self::Digits { test_share } => digits().split(test_share, seed),
            Self::ModularAddition {
                modulus,
                test_share,
            } => modular::addition(modulus).split(test_share, seed),
            Self::Mnist {
                train_examples,
                test_examples,
            } => some(images::mnist(folder)?, train_examples, test_examples, seed),
            Self::Cifar10 {
                train_examples,
                test_examples,
            } => some(
                images::cifar10(folder)?,
                train_examples,
                test_examples,
                seed,
            ),
            Self::Grammar {
                train_examples,
                test_examples,
                context,
            } => {
                let text = |stretches: usize, name: &str| {
                    let length = stretches * (context + 1);
                    let text = grammar::grammar().text(length, seed.derive(name));
                    text::stretches(&text, context)
                };
                (text(train_examples, "train"), text(test_examples, "test"))
            }
            Self::TinyShakespeare {
                train_examples,
                test_examples,
                context,
            } => {
                let (train, test) = text::tiny_shakespeare(folder)?;
                let both = [train, test].map(|text| text::stretches(&text, context));
                some(both.into(), train_examples, test_examples, seed)
            }
        })
    }

    /// How many labels accuracy is a share of.
    pub fn test_labels(&self) -> usize {
        match *self {
            Self::Digits { test_share } => held_out(digits().len(), test_share),
            Self::ModularAddition {
                modulus,
                test_share,
            } => held_out(modulus * modulus, test_share),
            Self::Mnist { test_examples, .. } | Self::Cifar10 { test_examples, .. } => {
                test_examples
            }
            Self::Grammar {
                test_examples,
                context,
                ..
            }
            | Self::TinyShakespeare {
                test_examples,
                context,
                ..
            } => test_examples * context,
        }
    }

    /// What a network is given and asked for.
    pub fn task(&self) -> Task {
        match *self {
            Self::Digits { .. } => Task {
                input: vec![PIXELS],
                kinds: None,
                classes: CLASSES,
            },
            Self::ModularAddition { modulus, .. } => Task {
                input: vec![2],
                kinds: Some(modulus),
                classes: modulus,
            },
            Self::Mnist { .. } => Task {
                input: vec![28, 28],
                kinds: None,
                classes: 10,
            },
            Self::Cifar10 { .. } => Task {
                input: vec![3, 32, 32],
                kinds: None,
                classes: 10,
            },
            Self::Grammar { context, .. } => characters(context, grammar::KINDS),
            Self::TinyShakespeare { context, .. } => characters(context, text::KINDS),
        }
    }

    /// Whether examples are stretches of a text.
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Grammar { .. } | Self::TinyShakespeare { .. })
    }

    /// Nats a label that no model can do better than, where they are known.
    pub fn entropy_rate(&self) -> Option<f64> {
        matches!(self, Self::Grammar { .. }).then(|| grammar::grammar().entropy_rate())
    }
}

/// Stretches of characters, each to be followed by another.
fn characters(context: usize, kinds: usize) -> Task {
    Task {
        input: vec![context],
        kinds: Some(kinds),
        classes: kinds,
    }
}

/// Some of both parts, drawn at random.
fn some(
    (train, test): (Examples, Examples),
    train_examples: usize,
    test_examples: usize,
    seed: Seed,
) -> (Examples, Examples) {
    (
        train.sample(train_examples, seed.derive("train")),
        test.sample(test_examples, seed.derive("test")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grammar_of(train_examples: usize, test_examples: usize, context: usize) -> DataChoice {
        DataChoice::Grammar {
            train_examples,
            test_examples,
            context,
        }
    }

    fn shakespeare_of(train_examples: usize, test_examples: usize, context: usize) -> DataChoice {
        DataChoice::TinyShakespeare {
            train_examples,
            test_examples,
            context,
        }
    }

    fn mnist_of(train_examples: usize, test_examples: usize) -> DataChoice {
        DataChoice::Mnist {
            train_examples,
            test_examples,
        }
    }

    fn cifar10_of(train_examples: usize, test_examples: usize) -> DataChoice {
        DataChoice::Cifar10 {
            train_examples,
            test_examples,
        }
    }

    fn sums_of(modulus: usize, test_share: f64) -> DataChoice {
        DataChoice::ModularAddition {
            modulus,
            test_share,
        }
    }

    #[test]
    fn every_data_set_gives_what_it_has_and_one_more_is_refused() {
        let digits = |test_share| DataChoice::Digits { test_share };
        // a stretch of 9 takes 10 characters, of the 1,003,851 to train on and the 111,543 held out
        for (most, more, said) in [
            (digits(0.9), digits(0.95), "test_share is 0.95"),
            (sums_of(3, 0.01), sums_of(3, 0.001), "test_share is 0.001"),
            (sums_of(1000, 0.5), sums_of(1001, 0.5), "modulus is 1001"),
            (sums_of(3, 0.5), sums_of(2, 0.5), "modulus is 2"),
            (mnist_of(60_000, 10_000), mnist_of(60_001, 1), "2 and 60000"),
            (mnist_of(2, 1), mnist_of(2, 10_001), "1 and 10000"),
            (
                cifar10_of(50_000, 10_000),
                cifar10_of(50_001, 1),
                "2 and 50000",
            ),
            (cifar10_of(2, 1), cifar10_of(1, 1), "train_examples is 1"),
            (
                grammar_of(2, 1, 4096),
                grammar_of(2, 1, 4097),
                "context is 4097",
            ),
            (
                grammar_of(2, 1, 1),
                grammar_of(2, 0, 1),
                "test_examples is 0",
            ),
            (
                shakespeare_of(100_385, 11_154, 9),
                shakespeare_of(100_386, 1, 9),
                "2 and 100385",
            ),
            (
                shakespeare_of(2, 1, 9),
                shakespeare_of(2, 11_155, 9),
                "1 and 11154",
            ),
        ] {
            assert!(most.check("a.toml").is_ok(), "{most:?}");
            let refused = more.check("a.toml").expect_err(said).to_string();
            assert!(refused.starts_with("a.toml: data."), "{refused}");
            assert!(refused.contains(said), "{refused}");
        }
    }

    #[test]
    fn a_folder_has_to_hold_what_is_not_built_in() {
        let needs = |choice: DataChoice| choice.needs().map(|set| set.name);
        assert_eq!(needs(mnist_of(2, 1)), Some("mnist"));
        assert_eq!(needs(cifar10_of(2, 1)), Some("cifar-10"));
        assert_eq!(needs(shakespeare_of(2, 1, 9)), Some("tiny-shakespeare"));
        assert_eq!(needs(grammar_of(2, 1, 9)), None);
    }

    #[test]
    fn a_part_has_as_many_stretches_and_labels_as_the_choice_says() -> Result<()> {
        let choice = grammar_of(5, 3, 4);
        let (train, test) = choice.split(Seed::root(1), None)?;
        assert_eq!((train.len(), test.len()), (5, 3));
        let device = candle_core::Device::Cpu;
        assert_eq!(train.tensors(&device)?.0.dims(), [5, 4]);
        // each of 4 characters of 3 stretches is followed by one to guess
        assert_eq!(choice.test_labels(), 12);
        assert_eq!(shakespeare_of(9, 3, 4).test_labels(), 12);
        for choice in [
            choice,
            sums_of(5, 0.4),
            DataChoice::Digits { test_share: 0.3 },
        ] {
            let (_, test) = choice.split(Seed::root(2), None)?;
            let labels = test.tensors(&device)?.1.elem_count();
            assert_eq!(choice.test_labels(), labels, "{choice:?}");
        }
        Ok(())
    }

    #[test]
    fn the_entropy_rate_is_known_of_the_grammar_alone() {
        let rate = grammar_of(2, 1, 9).entropy_rate().expect("it is known");
        // 7/4 ln 2 a word, of 2 to 5 letters and a space
        let word = 1.75 * std::f64::consts::LN_2;
        assert!((word / 6.0..word / 3.0).contains(&rate), "{rate}");
        assert_eq!(shakespeare_of(2, 1, 9).entropy_rate(), None);
    }
}
