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
