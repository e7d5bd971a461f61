//! What happened in a training loop.

use std::fmt;

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From below 1, or from around it, to above.
    Up,
    /// To below 1.
    Down,
}

/// Something that happened at a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The step.
    pub step: u64,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// The interval of `C` left 1: see [`super::Monitor`] for when.
    Transition(Direction),
    /// The loss stopped to change by more than noise; its mean since.
    Plateau(f64),
    /// The loss changes again; its mean of late.
    PlateauOver(f64),
    /// A reading without `C` or without its interval, and why.
    Undefined(String),
    /// The loss is no number any more, and which it is instead. Said once, until it is one again.
    NotFinite(String),
}

impl Direction {
    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

impl What {
    /// Its name in files.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Transition(_) => "transition",
            Self::Plateau(_) => "plateau",
            Self::PlateauOver(_) => "plateau_over",
            Self::Undefined(_) => "undefined",
            Self::NotFinite(_) => "not_finite",
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}: ", self.step)?;
        match &self.what {
            What::Transition(Direction::Up) => write!(f, "the interval of C left 1 upward"),
            What::Transition(Direction::Down) => write!(f, "the interval of C left 1 downward"),
            What::Plateau(loss) => write!(f, "the loss is on a plateau, {loss:.4}"),
            What::PlateauOver(loss) => write!(f, "the loss has left its plateau, {loss:.4}"),
            What::Undefined(reason) => write!(f, "C or its interval is undefined: {reason}"),
            What::NotFinite(reason) => f.write_str(reason),
        }
    }
}
