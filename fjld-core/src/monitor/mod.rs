//! `C` along a training loop: when to measure, what each reading says, and what happened.
//!
//! Legend: `B` the batch size of training, `C` at that batch size, `$B_\text{simple} = B / C$` the gradient noise scale. A reading's *phase* is the
//! side of 1 that the interval of `C` is on: `diffusive` below, `critical` around, `drift` above; `undefined` without an interval.
//! What a *transition* is, is said at [`Monitor`], what a *plateau* is at [`Monitor::plateau`].
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use candle_nn::{Module, Optimizer, SGD};
//! use fjld_core::capture::linear;
//! use fjld_core::monitor::{Monitor, Schedule};
//! use fjld_core::rng::{Seed, SeededVars};
//!
//! let vars = SeededVars::new(Seed::root(1));
//! let layer = linear(4, 3, vars.builder(DType::F32, &Device::Cpu))?;
//! let (x, y) = (Tensor::ones((8, 4), DType::F32, &Device::Cpu)?, Tensor::new(&[0u32, 1, 2, 0, 1, 2, 0, 1], &Device::Cpu)?);
//! let parameters = vars.named();
//! let mut sgd = SGD::new(parameters.iter().map(|(_, var)| var.clone()).collect(), 0.1)?;
//!
//! let mut monitor = Monitor::new(8, Schedule::every(10)?)?;
//! for step in 0..30 {
//!     let done = monitor.step(step, 8, &parameters, |examples| {
//!         let (x, y) = (x.narrow(0, examples.start, examples.len())?, y.narrow(0, examples.start, examples.len())?);
//!         candle_nn::loss::cross_entropy(&layer.forward(&x)?, &y)
//!     })?;
//!     sgd.step(&done.gradients)?;
//!     if let Some(reading) = done.reading {
//!         println!("{}", reading.line("Step", step));
//!     }
//! }
//! assert!(monitor.overhead().measured_passes == 3);
//! # Ok::<(), fjld_core::Error>(())
//! ```

mod crossing;
mod event;
mod log;
mod overhead;
mod pass;
mod plateau;
mod reading;
mod sample;
mod schedule;

pub use event::{Direction, Event, What};
pub use log::{Resumed, SCHEMA};
pub use overhead::Overhead;
pub use reading::{Exchangeable, Reading};
pub use sample::Source;
pub use schedule::Schedule;

use crate::error::{Error, Result};
use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use crossing::Crossing;
use log::{Log, Start};
use overhead::Clock;
use pass::Route;
use plateau::{Plateau, Turn};
use std::ops::Range;
use std::path::Path;
use std::time::Instant;

/// Watches a training loop.
///
/// **Transition**, in words: the interval of `C` leaves 1 upward at the reading where it lies wholly above 1 and the last interval that did
/// not contain 1 lay wholly below it; at the beginning of a run, where there is no such interval yet, an earlier one that contained 1 will
/// do. Downward is the mirror image. An interval that contains 1 changes nothing: after a transition upward there is no other before
/// the interval has lain wholly below 1. A run whose first interval lies above 1 has had no transition. Where `C` is 1 throughout, a reading
/// at level `l` lies above by chance `(1 - l) / 2` of the time.
///
/// What can not be measured (a loss that is no number, noise that vanished, a single example) is an event with its reason, and training
/// goes on. Errors are for what is wrong with the program: layers that are not measured, a parameter without a gradient, a file that can
/// not be written.
#[derive(Debug)]
pub struct Monitor {
    batch_size: u64,
    level: f64,
    route: Route,
    schedule: Schedule,
    crossing: Crossing,
    plateau: Plateau,
    clock: Clock,
    log: Option<Log>,
    resumed: Option<Resumed>,
    finite: bool,
}

/// What [`Monitor::step`] did.
#[derive(Debug)]
pub struct Step {
    /// The mean loss of the batch; NaN or infinite where it is.
    pub loss: f64,
    /// Its gradients, for the optimiser: the same whether the step was measured or not.
    pub gradients: GradStore,
    /// What was measured, if this step was due.
    pub reading: Option<Reading>,
    /// What happened.
    pub events: Vec<Event>,
}

impl Monitor {
    /// Reports `C` at this batch size, by exact per-example gradients and with intervals at level 0.95, when `schedule` says so.
    ///
    /// `batch_size` counts examples; tokens, where the draws handed to [`Monitor::observe`] are tokens.
    ///
    /// # Errors
    /// When `batch_size` is 0.
    pub fn new(batch_size: u64, schedule: Schedule) -> Result<Self> {
        if batch_size == 0 {
            return Err(Error::OutOfRange {
                name: "the batch size",
                value: 0.0,
                accepted: "at least 1",
            });
        }
        Ok(Self {
            batch_size,
            level: LEVEL,
            route: Route::PerExample,
            schedule,
            crossing: Crossing::default(),
            plateau: Plateau::new(plateau::WINDOW, plateau::SHARE, LEVEL)?,
            clock: Clock::default(),
            log: None,
            resumed: None,
            finite: true,
        })
    }

    /// Intervals of this nominal coverage. Say it before [`Monitor::create`] or [`Monitor::resume`].
    ///
    /// # Errors
    /// When `level` is not inside `(0, 1)`.
    pub fn level(mut self, level: f64) -> Result<Self> {
        if !(level > 0.0 && level < 1.0) {
            return Err(Error::OutOfRange {
                name: "the level of the interval",
                value: level,
                accepted: "strictly between 0 and 1",
            });
        }
        self.level = level;
        self.plateau = self.plateau.at_level(level);
        Ok(self)
    }

    /// Measure by a backward pass for each of this many parts of a batch, which works for every model, in place of exact per-example
    /// gradients, which take the layers of [`crate::capture`]. Examples must be in random order within a batch. A batch that does not
    /// divide is split into the largest number of equal parts below.
    ///
    /// # Errors
    /// When there are fewer than three parts: two have no interval.
    pub fn microbatches(mut self, parts: usize) -> Result<Self> {
        if parts < pass::FEWEST_PARTS {
            return Err(Error::OutOfRange {
                name: "the number of microbatches",
                value: parts as f64,
                accepted: "at least 3, the fewest that have an interval",
            });
        }
        self.route = Route::Microbatches(parts);
        Ok(self)
    }

    /// How a plateau of the loss is told; 200 steps and a share of 0.05 unless this says otherwise.
    ///
    /// **Plateau**, in words: training is cut into stretches of so many `steps`. A plateau begins at the end of a stretch whose mean loss is
    /// shown to be within `share` of that of the stretch before, that is, where Welch's interval of their difference lies within `share`
    /// times the older mean on either side of 0. It is over at the end of a stretch where that interval lies wholly beyond. Between the
    /// two nothing is shown and nothing changes: too few or too noisy steps neither begin a plateau nor, but for a share of the stretches
    /// that the level leaves to chance, end one. What may be exchanged within a stretch is a step. With the mean losses `$\bar l_1$` and
    /// `$\bar l_2$` of the older stretch and the newer, their standard errors `$e_1$` and `$e_2$`, and Welch's quantile `q`, a plateau
    ///
    /// ```math
    /// \begin{aligned}
    /// \text{begins where} \quad |\bar l_2 - \bar l_1| + q \sqrt{e_1^2 + e_2^2} &\le \text{share} \cdot |\bar l_1| \\
    /// \text{and ends where} \quad |\bar l_2 - \bar l_1| - q \sqrt{e_1^2 + e_2^2} &> \text{share} \cdot |\bar l_1|.
    /// \end{aligned}
    /// ```
    ///
    /// # Errors
    /// When there are fewer than two steps, or `share` is not inside `(0, 1)`.
    pub fn plateau(mut self, steps: usize, share: f64) -> Result<Self> {
        self.plateau = Plateau::new(steps, share, self.level)?;
        Ok(self)
    }

    /// Writes readings and events to a new file, as JSON Lines of the schema [`SCHEMA`].
    ///
    /// # Errors
    /// When there is something in it already, or it can not be written.
    pub fn create(mut self, path: impl AsRef<Path>) -> Result<Self> {
        self.log = Some(Log::create(path.as_ref(), &self.start())?);
        Ok(self)
    }

    /// Goes on with the file of a run from `step`, which is the first step to be taken now: what the file has from it on is dropped, and
    /// an unfinished last line. Phases and the schedule go on where they were; the losses that plateaus are judged by are collected anew.
    /// A file that is not there is made.
    ///
    /// # Errors
    /// When the file is no log, or that of a run monitored otherwise, or can not be read or written.
    pub fn resume(mut self, path: impl AsRef<Path>, step: u64) -> Result<Self> {
        let (log, memory, resumed) = Log::resume(path.as_ref(), &self.start(), step)?;
        for (step, phase) in memory.phases {
            self.schedule.took(step, phase);
            self.crossing.take(phase);
        }
        self.plateau.go_on(memory.flat);
        (self.log, self.resumed) = (Some(log), Some(resumed));
        Ok(self)
    }

    /// What [`Monitor::resume`] found.
    pub fn resumed(&self) -> Option<&Resumed> {
        self.resumed.as_ref()
    }

    /// Whether there is to be a reading at `step`.
    pub fn is_due(&self, step: u64) -> bool {
        self.schedule.is_due(step)
    }

    /// What measuring cost so far.
    pub fn overhead(&self) -> Overhead {
        self.clock.overhead()
    }

    /// The forward and backward pass of one step over a batch of so many examples, measured if it is due. `loss` gives the *mean* loss of
    /// the examples of the batch in a range, a scalar; `parameters` are all trainable ones, each with its name.
    ///
    /// # Errors
    /// As [`crate::Capture::run`] for a measured step, unless its loss or a gradient is no finite number, which is an event; when the loss
    /// is not a scalar; when the file can not be written.
    pub fn step(
        &mut self,
        step: u64,
        examples: usize,
        parameters: &[(String, Var)],
        loss: impl Fn(Range<usize>) -> candle_core::Result<Tensor>,
    ) -> Result<Step> {
        if !self.is_due(step) {
            let start = Instant::now();
            let (value, gradients) = pass::plain(examples, &loss)?;
            self.clock.plain(start.elapsed());
            let events = self.take_loss(step, value);
            self.write(None, &events)?;
            return Ok(Step {
                loss: value,
                gradients,
                reading: None,
                events,
            });
        }
        let start = Instant::now();
        let pass = pass::measured(self.route, examples, parameters, &loss)?;
        self.clock.measured(start.elapsed());
        let (loss, gradients, measured) = pass.into_parts();
        let (reading, events) = self.observe(step, Some(loss), measured.source())?;
        Ok(Step {
            loss,
            gradients,
            reading: Some(reading),
            events,
        })
    }

    /// Takes in a measurement of one's own at `step`, which need not be due, with the loss of that step. One batch of training knows `C` at
    /// its own size only roughly; the draws may be of a larger one.
    ///
    /// # Errors
    /// When candle fails, or the file can not be written.
    pub fn observe(
        &mut self,
        step: u64,
        loss: Option<f64>,
        source: Source<'_>,
    ) -> Result<(Reading, Vec<Event>)> {
        let start = Instant::now();
        let sample = source.sample(self.level)?;
        self.clock.draws(sample.draws);
        let finite = loss.filter(|loss| loss.is_finite());
        let mut reading = Reading::of(step, finite, sample, self.batch_size);
        reading.transition = self.crossing.take(reading.phase);
        self.schedule.took(step, reading.phase);
        let mut happened: Vec<What> = Vec::new();
        happened.extend(reading.reason.clone().map(What::Undefined));
        happened.extend(reading.transition.map(What::Transition));
        let mut events: Vec<Event> = happened
            .into_iter()
            .map(|what| Event { step, what })
            .collect();
        if let Some(loss) = loss {
            events.extend(self.take_loss(step, loss));
        }
        self.clock.reading(start.elapsed());
        self.write(Some(&reading), &events)?;
        Ok((reading, events))
    }

    /// What the loss of a step shows.
    fn take_loss(&mut self, step: u64, loss: f64) -> Vec<Event> {
        let was_finite = std::mem::replace(&mut self.finite, loss.is_finite());
        let what = match loss.is_finite() {
            true => self.plateau.take(loss).map(|turn| match turn {
                Turn::Begins(mean) => What::Plateau(mean),
                Turn::Ends(mean) => What::PlateauOver(mean),
            }),
            false => was_finite.then(|| What::NotFinite(format!("the loss is {loss}"))),
        };
        what.map(|what| Event { step, what }).into_iter().collect()
    }

    fn write(&mut self, reading: Option<&Reading>, events: &[Event]) -> Result<()> {
        let overhead = match reading {
            Some(_) => self.clock.overhead(),
            None => Overhead::default(),
        };
        match &mut self.log {
            Some(log) => log.add(reading, events, &overhead),
            None => Ok(()),
        }
    }

    fn start(&self) -> Start {
        Start {
            schema: SCHEMA.to_owned(),
            batch_size: self.batch_size,
            level: self.level,
            schedule: self.schedule.describe(),
            plateau_steps: self.plateau.window(),
            plateau_share: self.plateau.share(),
        }
    }
}

/// Unless something else is asked for.
const LEVEL: f64 = 0.95;
