//! Texts for models of language: stretches of characters, each labelled by the character that follows.

use super::Examples;
use super::folder::TINY_SHAKESPEARE;
use crate::error::{Error, Result};
use std::path::Path;

/// Consecutive stretches of `context` characters of a text of indices, apart from each other; what is left over at the end is dropped.
pub fn stretches(text: &[u32], context: usize) -> Examples {
    let (mut inputs, mut labels) = (Vec::new(), Vec::new());
    for stretch in text.chunks_exact(context + 1) {
        inputs.extend(&stretch[..context]);
        labels.extend(&stretch[1..]);
    }
    Examples::of_indices(inputs, context, labels, context)
}

/// Characters of the tiny Shakespeare.
pub const KINDS: usize = 65;

/// The tiny Shakespeare as `(train, test)` texts of indices, the last tenth held out.
///
/// # Errors
/// When it is not there or not as it should be.
pub fn tiny_shakespeare(folder: Option<&Path>) -> Result<(Vec<u32>, Vec<u32>)> {
    let bytes = TINY_SHAKESPEARE.read(folder, "tinyshakespeare.txt")?;
    let mut known = bytes.clone();
    known.sort_unstable();
    known.dedup();
    if known.len() != KINDS {
        return Err(Error::input(format!(
            "the text has {} different characters; the tiny Shakespeare has {KINDS}",
            known.len()
        )));
    }
    let index = |b: &u8| known.iter().position(|k| k == b).unwrap_or_default() as u32;
    let mut text: Vec<u32> = bytes.iter().map(index).collect();
    let test = text.split_off(text.len() / 10 * 9);
    Ok((text, test))
}

#[cfg(test)]
mod tests {
    use super::super::Values;
    use super::*;
    use fjld_core::rng::Seed;

    #[test]
    fn a_label_is_the_next_character_and_a_remainder_is_dropped() {
        let examples = stretches(&[1, 2, 3, 4, 5, 6, 7], 2);
        assert_eq!(examples.inputs, Values::Index(vec![1, 2, 4, 5]));
        assert_eq!(examples.labels, [2, 3, 5, 6]);
        assert_eq!((examples.len(), examples.targets), (2, 2));
    }

    #[test]
    fn shuffled_characters_are_the_same_characters_in_a_text_of_its_own() {
        let text: Vec<u32> = (0..30).collect();
        let shuffled = stretches(&text, 2).with_shuffled_characters(Seed::root(3));
        let Values::Index(inputs) = &shuffled.inputs else {
            panic!("characters are indices");
        };
        let mut all = Vec::new();
        for (stretch, labels) in inputs.chunks(2).zip(shuffled.labels.chunks(2)) {
            assert_eq!(stretch[1], labels[0]);
            all.extend([stretch[0], stretch[1], labels[1]]);
        }
        assert_ne!(all, text);
        all.sort_unstable();
        assert_eq!(all, text);
    }

    /// A folder whose file has this text in place of Shakespeare's.
    fn folder(text: &[u8]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let own = folder.path().join("text");
        std::fs::create_dir(&own).expect("it is new");
        std::fs::write(own.join("tinyshakespeare.txt"), text).expect("it is mine");
        folder
    }

    #[test]
    fn characters_are_numbered_in_their_order_and_the_last_tenth_is_held_out() -> Result<()> {
        // 7 has no factor in common with 65, so that each of 65 characters comes in turn
        let numbers: Vec<u32> = (0..137).map(|i| i * 7 % 65).collect();
        let text: Vec<u8> = numbers.iter().map(|&n| b' ' + n as u8).collect();
        let (train, test) = tiny_shakespeare(Some(folder(&text).path()))?;
        // nine times a tenth of 137, rounded down
        assert_eq!(train, numbers[..117]);
        assert_eq!(test, numbers[117..]);
        Ok(())
    }

    #[test]
    fn a_text_of_another_number_of_characters_is_refused() {
        let said = tiny_shakespeare(Some(folder(b"to be or not").path()));
        let said = said.expect_err("it is another text").to_string();
        // a space and b, e, n, o, r, t
        assert!(said.contains("has 7 different characters"), "{said}");
    }
}
