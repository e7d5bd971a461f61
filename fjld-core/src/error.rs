//! What can be wrong with an input, said in one sentence that names the value and what is accepted.

/// The result of anything in this crate that can refuse its input.
pub type Result<T> = std::result::Result<T, Error>;

/// A refused input.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A sample holds NaN or an infinity.
    #[error("row {row}, column {column} is {value}; every entry must be a finite number")]
    NotFinite {
        /// The offending entry.
        value: f64,
        /// Zero-based index of the sample, counted over everything pushed so far.
        row: u64,
        /// Zero-based index of the coordinate.
        column: usize,
    },
    /// The square of a sample's entry would leave the range of numbers.
    #[error(
        "row {row}, column {column} is {value:e}; every entry must be at most 3e144 in size, for its square to be a number: scale the gradients down, which leaves the ratio as it is"
    )]
    TooLarge {
        /// The offending entry.
        value: f64,
        /// Zero-based index of the sample, counted over everything pushed so far.
        row: u64,
        /// Zero-based index of the coordinate.
        column: usize,
    },
    /// A sample, matrix or accumulator has another length than the one expected.
    #[error("{what} has length {got}; it must have length {expected}")]
    Length {
        /// What was measured.
        what: &'static str,
        /// The length that fits.
        expected: usize,
        /// The length that came.
        got: usize,
    },
    /// Vectors must have at least one coordinate.
    #[error("the dimension is 0; a gradient must have at least one coordinate")]
    NoCoordinates,
    /// Too few samples for the statistic that was asked for.
    #[error("{got} samples were given; {what} needs at least {needed}")]
    TooFewSamples {
        /// The statistic.
        what: &'static str,
        /// The fewest samples that define it.
        needed: u64,
        /// The number of samples given.
        got: u64,
    },
    /// Two parts of a gradient have the same name.
    #[error("`{name}` names two separate parts of the gradient; every name must be used once")]
    SameName {
        /// The name.
        name: String,
    },
    /// A parameter lies outside its range.
    #[error("{name} is {value}; it must be {accepted}")]
    OutOfRange {
        /// The parameter.
        name: &'static str,
        /// The value given.
        value: f64,
        /// The range, in words.
        accepted: &'static str,
    },
    /// A covariance must be symmetric with no negative eigenvalue.
    #[error("{what} is not {accepted}")]
    NotACovariance {
        /// The matrix.
        what: &'static str,
        /// What it must be.
        accepted: &'static str,
    },
    /// There is no inverse and no log determinant.
    #[error(
        "{what} is singular to rounding: some direction of it has no variance, so there is neither an inverse nor a log determinant; a damping of {damping:e} or more on its diagonal would be accepted"
    )]
    Singular {
        /// The matrix.
        what: String,
        /// A multiple of the identity that makes it definite when added, rounding included.
        damping: f64,
    },
    /// A tensor has another shape than the one expected.
    #[error("{what} has shape {got:?}; it must have shape {expected}")]
    Shape {
        /// The tensor.
        what: &'static str,
        /// The shape that fits, in words.
        expected: String,
        /// The shape that came.
        got: Vec<usize>,
    },
    /// A model's layers differ from those seen before.
    #[error("the layers are {got:?}; those of the first push were {expected:?}")]
    OtherLayers {
        /// The layers of the first push.
        expected: Vec<String>,
        /// The layers that came.
        got: Vec<String>,
    },
    /// Something is wrong with one named part of a whole.
    #[error("in `{name}`: {source}")]
    Within {
        /// The layer or block.
        name: String,
        /// What is wrong with it.
        source: Box<Error>,
    },
    /// Backpropagation reached a loss without touching this parameter.
    #[error(
        "no gradient reached parameter `{name}` of shape {shape:?}; every parameter must take part in the loss through operations that candle differentiates"
    )]
    NoGradient {
        /// The parameter's name.
        name: String,
        /// The parameter's shape.
        shape: Vec<usize>,
    },
    /// A gradient came to a parameter without passing through a layer that measures it.
    #[error(
        "parameter `{name}` received a gradient outside the captured layers (a layer of candle-nn's, an operation on the tensor itself, or a forward pass on another thread); use the layers of `capture` for all of it, or the generic route `moments_of`"
    )]
    UncapturedUse {
        /// The parameter's name.
        name: String,
    },
    /// Ranks that take part in one operation must agree.
    #[error("{what} is {value} on rank {rank}; it must be the same on every rank")]
    RanksDiffer {
        /// What must be the same.
        what: &'static str,
        /// This rank.
        rank: usize,
        /// What it has.
        value: u64,
    },
    /// A pass that can not be measured exactly.
    #[error("{0}")]
    Capture(String),
    /// A file that can not be used.
    #[error("{path} could not be {doing}: {source}")]
    File {
        /// The file.
        path: String,
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The log of a monitor that can not be used.
    #[error("{path}: {what}")]
    Log {
        /// The file.
        path: String,
        /// What is wrong with it, with the line.
        what: String,
    },
    /// An error of candle's own.
    #[error("candle: {0}")]
    Candle(#[from] candle_core::Error),
}

impl Error {
    /// The same error, with the layer or block that it is about.
    pub(crate) fn within(self, name: &str) -> Self {
        Self::Within {
            name: name.to_string(),
            source: Box::new(self),
        }
    }
}
