//! A small language of our own, whose entropy rate is known: words that follow each other as a Markov chain says, and spaces.

use fjld_core::rng::{Generator, Seed, permutation};
use rand::RngExt;
use std::sync::LazyLock;

/// Letters and the space.
pub const KINDS: usize = 13;
/// The index of the space.
const SPACE: u32 = 12;
/// Words.
const WORDS: usize = 24;
/// Probabilities with which one of four words follows.
const CHANCES: [f64; 4] = [0.5, 0.25, 0.125, 0.125];

/// Words, and of each the four that may follow it.
pub struct Grammar {
    words: Vec<Vec<u32>>,
    followers: Vec<[usize; 4]>,
}

static GRAMMAR: LazyLock<Grammar> = LazyLock::new(|| Grammar::new(Seed::root(0).derive("grammar")));

/// The language of the scenarios.
pub fn grammar() -> &'static Grammar {
    &GRAMMAR
}

impl Grammar {
    /// Distinct words of two to five letters, each followed by four random words with probabilities 1/2, 1/4, 1/8 and 1/8.
    fn new(seed: Seed) -> Self {
        let generator = &mut seed.generator();
        let mut words: Vec<Vec<u32>> = Vec::new();
        while words.len() < WORDS {
            let length = generator.random_range(2..=5);
            let word: Vec<u32> = (0..length)
                .map(|_| generator.random_range(0..SPACE))
                .collect();
            if !words.contains(&word) {
                words.push(word);
            }
        }
        let four = |_| {
            let order = permutation(generator, WORDS);
            [order[0], order[1], order[2], order[3]]
        };
        let followers = (0..WORDS).map(four).collect();
        Self { words, followers }
    }

    /// `length` characters of the stationary language, from the beginning of a word.
    pub fn text(&self, length: usize, seed: Seed) -> Vec<u32> {
        let generator = &mut seed.generator();
        let mut word = 0;
        // the chain forgets where it began by half a step or more
        for _ in 0..100 {
            word = self.next(word, generator);
        }
        let mut text = Vec::with_capacity(length + 6);
        while text.len() < length {
            text.extend(&self.words[word]);
            text.push(SPACE);
            word = self.next(word, generator);
        }
        text.truncate(length);
        text
    }

    fn next(&self, word: usize, generator: &mut Generator) -> usize {
        let mut left = generator.random::<f64>();
        for (&follower, chance) in self.followers[word].iter().zip(CHANCES) {
            left -= chance;
            if left < 0.0 {
                return follower;
            }
        }
        self.followers[word][3]
    }

    /// How often each word stands in a long text: the chain's stationary law, by repeated steps from even shares.
    fn shares(&self) -> Vec<f64> {
        let mut shares = vec![1.0 / WORDS as f64; WORDS];
        for _ in 0..10_000 {
            let mut next = vec![0.0; WORDS];
            for (share, followers) in shares.iter().zip(&self.followers) {
                for (&follower, chance) in followers.iter().zip(CHANCES) {
                    next[follower] += share * chance;
                }
            }
            // half a step at a time, so that a chain with a period settles too
            for (share, next) in shares.iter_mut().zip(next) {
                *share = 0.5 * (*share + next);
            }
        }
        shares
    }

    /// Nats a character. Every word leaves `7/4 ln 2` nats open, the entropy of 1/2, 1/4, 1/8 and 1/8, and spaces make a text readable in
    /// one way only; so the rate is that over the mean length of a word with its space.
    pub fn entropy_rate(&self) -> f64 {
        let lengths = self.words.iter().map(|word| word.len() as f64 + 1.0);
        let length: f64 = lengths.zip(self.shares()).map(|(l, share)| l * share).sum();
        1.75 * std::f64::consts::LN_2 / length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The logarithm of the probability of a text's words after the first, read from its characters, over the number of characters.
    #[test]
    fn a_long_text_is_as_improbable_as_the_entropy_rate_says() {
        let grammar = grammar();
        let text = grammar.text(400_000, Seed::root(5));
        let words: Vec<usize> = text
            .split(|&c| c == SPACE)
            .filter_map(|letters| grammar.words.iter().position(|w| w == letters))
            .collect();
        let nats: f64 = words
            .windows(2)
            .map(|pair| {
                let at = grammar.followers[pair[0]]
                    .iter()
                    .position(|&f| f == pair[1]);
                -CHANCES[at.expect("it may follow")].ln()
            })
            .sum();
        let rate = nats / text.len() as f64;
        // some 90,000 words, each with a standard deviation of ln 2 times 0.83 about 1.21 nats: 0.16% of the whole, five times
        let known = grammar.entropy_rate();
        assert!((rate / known - 1.0).abs() < 0.01, "{rate} against {known}");
    }

    #[test]
    fn texts_are_of_the_language_and_their_own_seed() {
        let grammar = grammar();
        let text = grammar.text(1000, Seed::root(1));
        assert_eq!(text.len(), 1000);
        assert_ne!(text, grammar.text(1000, Seed::root(2)));
        assert!(text.iter().all(|&c| c < KINDS as u32));
        let total: f64 = grammar.shares().iter().sum();
        assert!((total - 1.0).abs() < 1e-9, "{total}");
    }
}
