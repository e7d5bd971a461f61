//! What stops a command: bad usage or input, or an interruption.

use std::path::Path;

/// The result of anything a command does.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a command stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Bad usage or input, in one sentence that names the value and what is accepted.
    #[error("{0}")]
    Input(String),
    /// The person at the keyboard stopped it; what was finished is kept.
    #[error("interrupted; what was finished is kept, and the same command goes on from there")]
    Interrupted,
}

impl Error {
    /// Bad input, in one sentence that names the value and what is accepted.
    pub fn input(sentence: impl Into<String>) -> Self {
        Self::Input(sentence.into())
    }

    /// A file that could not be read or written.
    pub fn file(doing: &str, path: &Path, error: &std::io::Error) -> Self {
        Self::Input(format!("{} could not be {doing}: {error}", path.display()))
    }
}

impl From<fjld_core::Error> for Error {
    fn from(error: fjld_core::Error) -> Self {
        Self::Input(error.to_string())
    }
}

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Self::Input(format!("candle: {error}"))
    }
}

/// Text out of a file, fit for an error message: no control characters, and not too long.
pub fn printable(text: &str) -> String {
    shortened(text, 160)
}

/// The same with more room: for the words of a parser, which quote the file and go on with what is accepted.
pub fn parsers_words(error: &impl std::fmt::Display) -> String {
    shortened(&error.to_string(), 600)
}

fn shortened(text: &str, longest: usize) -> String {
    let mut shown: String = text
        .chars()
        .take(longest)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(longest).is_some() {
        shown.push_str("...");
    }
    shown.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_out_of_a_file_is_shown_on_one_line_and_not_whole_where_it_is_long() {
        assert_eq!(printable("a\u{1b}[2J\nb\n"), "a [2J b");
        assert_eq!(
            printable(&"x".repeat(200)),
            format!("{}...", "x".repeat(160))
        );
        assert_eq!(parsers_words(&"x".repeat(600)), "x".repeat(600));
    }
}
