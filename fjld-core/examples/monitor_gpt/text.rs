//! Text of our own making: words that follow each other at random, with spaces.

use candle_core::{Device, Result, Tensor};
use fjld_core::rng::Seed;
use rand::RngExt;

/// Letters and the space.
pub const KINDS: usize = 27;
const SPACE: u32 = 26;
const LENGTH: usize = 20_000;
const WORDS: [&str; 12] = [
    "the", "cat", "sat", "on", "a", "mat", "and", "saw", "no", "dog", "run", "away",
];

/// A long text as indices of characters.
pub struct Text(Vec<u32>);

impl Text {
    /// Each word is followed by one of the three after it in the list.
    pub fn new(seed: Seed) -> Self {
        let generator = &mut seed.generator();
        let (mut text, mut word) = (Vec::new(), 0);
        while text.len() < LENGTH {
            text.extend(WORDS[word].bytes().map(|b| u32::from(b - b'a')));
            text.push(SPACE);
            word = (word + generator.random_range(1..=3)) % WORDS.len();
        }
        Self(text)
    }

    /// Stretches drawn at random, `[size, context]`, and the characters that follow each of theirs.
    pub fn batch(
        &self,
        step: u64,
        size: usize,
        context: usize,
        device: &Device,
    ) -> Result<(Tensor, Tensor)> {
        let generator = &mut Seed::root(step).derive("batch").generator();
        let (mut x, mut y): (Vec<u32>, Vec<u32>) = Default::default();
        for _ in 0..size {
            let start = generator.random_range(0..self.0.len() - context);
            x.extend(&self.0[start..start + context]);
            y.extend(&self.0[start + 1..start + context + 1]);
        }
        let shape = (size, context);
        Ok((
            Tensor::from_vec(x, shape, device)?,
            Tensor::from_vec(y, shape, device)?,
        ))
    }
}
