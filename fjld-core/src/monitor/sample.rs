//! Where a reading's numbers come from.

use super::reading::Exchangeable;
use crate::capture::{MicrobatchReading, Statistics, Unit};
use crate::error::{Error, Result};
use crate::moments::two_batch::Undefined;
use crate::moments::{TwoBatch, Window};
use crate::ratio::{Interval, Ratio};

/// What `C` is taken from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// The draws of one captured batch: exact per-example gradients, or those of tokens. The model did not move between them.
    Batch(&'a Statistics),
    /// The parts of one batch, a backward pass each.
    Microbatches(&'a MicrobatchReading),
    /// The minibatch gradients of the last steps, with the examples in each. The model moves from one to the next, so that `C` is that of
    /// a stretch of training: right as far as mean and covariance change little over the window.
    Window(&'a Window, u64),
    /// Norms of small and big batches over steps, as data-parallel training has them. As for a window, `C` is that of the steps taken in.
    TwoBatch(&'a TwoBatch),
    /// There is nothing to measure, for this reason.
    Nothing(&'a str),
}

/// `C` per draw, or in words why there is none.
pub(super) struct Sample {
    pub estimates: std::result::Result<Numbers, String>,
    pub draws: u64,
    /// Of how many units a draw is the mean.
    pub size: u64,
    pub exchangeable: Exchangeable,
}

/// `C` per draw.
pub(super) struct Numbers {
    pub plug_in: f64,
    pub debiased: f64,
    pub interval: std::result::Result<Interval, String>,
}

impl Source<'_> {
    pub(super) fn sample(self, level: f64) -> Result<Sample> {
        match self {
            Self::Batch(statistics) => {
                let (exchangeable, size) = match statistics.unit() {
                    Unit::Example => (Exchangeable::Example, 1),
                    Unit::Token => (Exchangeable::Token, 1),
                    Unit::Minibatch(size) => (Exchangeable::Microbatch, size as u64),
                };
                let draws = statistics.samples();
                Sample::of(statistics.ratio(level), draws, size, exchangeable)
            }
            Self::Microbatches(reading) => {
                let (draws, size) = (reading.moments.count(), reading.size as u64);
                Sample::of(reading.ratio(level), draws, size, Exchangeable::Microbatch)
            }
            Self::Window(window, examples) => {
                if examples == 0 {
                    return Err(Error::OutOfRange {
                        name: "the number of examples in a minibatch of the window",
                        value: 0.0,
                        accepted: "at least 1",
                    });
                }
                let ratio = Ratio::estimate(&window.moments(), level);
                let draws = window.count() as u64;
                Sample::of(ratio, draws, examples, Exchangeable::Step)
            }
            Self::TwoBatch(norms) => of_norms(norms, level),
            Self::Nothing(reason) => Ok(Sample {
                estimates: Err(reason.to_owned()),
                draws: 0,
                size: 1,
                exchangeable: Exchangeable::Example,
            }),
        }
    }
}

impl Sample {
    /// Too few draws for a variance are a reason; whatever else is wrong is an error.
    fn of(ratio: Result<Ratio>, draws: u64, size: u64, exchangeable: Exchangeable) -> Result<Self> {
        let estimates = match ratio {
            Ok(ratio) => ratio
                .estimates
                .map_err(|reason| reason.to_string())
                .map(|c| Numbers {
                    plug_in: c.plug_in,
                    debiased: c.debiased,
                    interval: c.interval.map_err(|reason| reason.to_string()),
                }),
            Err(error @ Error::TooFewSamples { .. }) => Err(error.to_string()),
            Err(error) => return Err(error),
        };
        Ok(Self {
            estimates,
            draws,
            size,
            exchangeable,
        })
    }
}

/// Per example. What a plug-in would take for the signal is the big batch's own norm.
fn of_norms(norms: &TwoBatch, level: f64) -> Result<Sample> {
    let interval = norms.interval(level)?;
    let estimates = match (norms.debiased(), norms.noise(), norms.big_norm()) {
        (Ok(debiased), Some(noise), Some(big)) => Ok(Numbers {
            plug_in: big / noise,
            debiased,
            interval: interval.map_err(|reason| reason.to_string()),
        }),
        (known, ..) => Err(known.err().unwrap_or(Undefined::NoSteps).to_string()),
    };
    Ok(Sample {
        estimates,
        draws: norms.steps(),
        size: 1,
        exchangeable: Exchangeable::Step,
    })
}
