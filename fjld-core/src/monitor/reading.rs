//! What a monitor saw at one step.

use super::event::Direction;
use super::sample::{Numbers, Sample};
use crate::ratio::{Interval, Phase};

/// What the draws behind an interval are: these may be exchanged without changing anything, and the interval counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchangeable {
    /// The examples of one batch, at fixed parameters.
    Example,
    /// The tokens of one batch, at fixed parameters, one of each example.
    Token,
    /// Parts of one batch, at fixed parameters.
    Microbatch,
    /// Steps of training, as far as the model moves little over them.
    Step,
}

impl Exchangeable {
    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Example => "example",
            Self::Token => "token",
            Self::Microbatch => "microbatch",
            Self::Step => "step",
        }
    }
}

/// `C` at one step, at the monitor's batch size, with what follows from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Steps taken before it.
    pub step: u64,
    /// The loss of the batch, where there is one and it is a number.
    pub loss: Option<f64>,
    /// `C` as the ratio of sums; too large by 1 over the draws, in units of a draw.
    pub plug_in: Option<f64>,
    /// `C` without that excess: this is what is printed. `None` where the noise vanished or there are too few draws.
    pub c: Option<f64>,
    /// Its interval.
    pub interval: Option<Interval>,
    /// Which side of 1 the interval is on.
    pub phase: Phase,
    /// `$B_\text{simple} = B / C$`, in what the batch size counts; `None` where `c` is not positive.
    pub noise_scale: Option<f64>,
    /// Its interval; `None` where that of `C` reaches 0.
    pub noise_scale_interval: Option<Interval>,
    /// The number of draws.
    pub draws: u64,
    /// What a draw is.
    pub exchangeable: Exchangeable,
    /// Which way the interval left 1 at this reading, if it did.
    pub transition: Option<Direction>,
    /// Why there is no `C`, or no interval.
    pub reason: Option<String>,
}

impl Reading {
    /// From a sample, at batch size `batch_size`.
    pub(super) fn of(step: u64, loss: Option<f64>, sample: Sample, batch_size: u64) -> Self {
        let scale = batch_size as f64 / sample.size as f64;
        let mut reading = Self {
            step,
            loss,
            plug_in: None,
            c: None,
            interval: None,
            phase: Phase::Undefined,
            noise_scale: None,
            noise_scale_interval: None,
            draws: sample.draws,
            exchangeable: sample.exchangeable,
            transition: None,
            reason: None,
        };
        match sample.estimates {
            Ok(numbers) => reading.fill(numbers, scale, batch_size as f64),
            Err(reason) => reading.reason = Some(reason),
        }
        reading
    }

    fn fill(&mut self, numbers: Numbers, scale: f64, batch_size: f64) {
        let (plug_in, c) = (numbers.plug_in * scale, numbers.debiased * scale);
        if !(plug_in.is_finite() && c.is_finite()) {
            self.reason = Some(format!(
                "C is {c}: the gradients' squares are beyond the numbers"
            ));
            return;
        }
        (self.plug_in, self.c) = (Some(plug_in), Some(c));
        self.noise_scale = (c > 0.0).then(|| batch_size / c);
        match numbers.interval {
            Ok(own) => {
                let interval = Interval {
                    low: own.low * scale,
                    high: own.high * scale,
                    level: own.level,
                };
                if interval.low.is_finite() && interval.high.is_finite() {
                    self.phase = interval.phase();
                    self.interval = Some(interval);
                    self.noise_scale_interval = interval.reciprocal(batch_size);
                } else {
                    self.reason = Some("the interval is not bounded".to_owned());
                }
            }
            Err(reason) => self.reason = Some(reason),
        }
    }

    /// The line for the terminal: `Epoch 3: C_α = 1.123 [0.98, 1.27] [CRITICAL]`, followed by `  ← Phase transition` where the interval
    /// left 1 upward; the reason where there is no `C` or no interval.
    pub fn line(&self, what: &str, number: u64) -> String {
        let phase = self.phase.name().to_uppercase();
        let reason = self.reason.as_deref().unwrap_or_default();
        let Some(c) = self.c else {
            return format!("{what} {number}: C_α is undefined [{phase}]: {reason}");
        };
        let Some(Interval { low, high, .. }) = self.interval else {
            return format!("{what} {number}: C_α = {c:.3} [{phase}]: {reason}");
        };
        let mark = match self.transition {
            Some(Direction::Up) => "  ← Phase transition",
            _ => "",
        };
        format!("{what} {number}: C_α = {c:.3} [{low:.2}, {high:.2}] [{phase}]{mark}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Ends = Option<(f64, f64)>;

    fn reading(numbers: std::result::Result<(f64, Ends), &str>) -> Reading {
        let interval = |(low, high)| Interval {
            low,
            high,
            level: 0.95,
        };
        let estimates = numbers.map_err(str::to_owned).map(|(c, ends)| Numbers {
            plug_in: c + 0.1,
            debiased: c,
            interval: ends.map(interval).ok_or_else(|| "two draws".to_owned()),
        });
        let sample = Sample {
            estimates,
            draws: 8,
            size: 4,
            exchangeable: Exchangeable::Microbatch,
        };
        Reading::of(3, None, sample, 16)
    }

    #[test]
    fn the_line_is_the_documents_with_its_interval() {
        let critical = reading(Ok((1.123 / 4.0, Some((0.98 / 4.0, 1.27 / 4.0)))));
        assert_eq!(
            critical.line("Epoch", 3),
            "Epoch 3: C_α = 1.123 [0.98, 1.27] [CRITICAL]"
        );
        let mut drift = reading(Ok((2.341 / 4.0, Some((1.62 / 4.0, 3.05 / 4.0)))));
        drift.transition = Some(Direction::Up);
        assert_eq!(
            drift.line("Epoch", 4),
            "Epoch 4: C_α = 2.341 [1.62, 3.05] [DRIFT]  ← Phase transition"
        );
    }

    #[test]
    fn a_reading_without_a_ratio_or_an_interval_says_why() {
        assert_eq!(
            reading(Err("the noise vanished")).line("Step", 7),
            "Step 7: C_α is undefined [UNDEFINED]: the noise vanished"
        );
        assert_eq!(
            reading(Ok((0.5, None))).line("Step", 7),
            "Step 7: C_α = 2.000 [UNDEFINED]: two draws"
        );
    }

    #[test]
    fn c_at_the_batch_size_is_c_of_a_draw_times_the_draws_in_a_batch() {
        let seen = reading(Ok((0.5, Some((0.25, 1.0)))));
        // draws of 4 examples, batches of 16
        assert_eq!((seen.c, seen.noise_scale), (Some(2.0), Some(8.0)));
        let scale = seen.noise_scale_interval.expect("C is above 0");
        assert_eq!((scale.low, scale.high), (4.0, 16.0));
        let none = reading(Ok((-0.5, Some((-1.0, 1.0)))));
        assert_eq!((none.noise_scale, none.noise_scale_interval), (None, None));
    }

    #[test]
    fn numbers_beyond_the_range_are_undefined_with_a_reason() {
        let seen = reading(Ok((f64::INFINITY, None)));
        assert_eq!((seen.c, seen.phase), (None, Phase::Undefined));
        assert!(
            seen.reason
                .expect("a reason")
                .contains("beyond the numbers")
        );
        let open = reading(Ok((1.0, Some((0.0, f64::INFINITY)))));
        assert_eq!((open.interval, open.phase), (None, Phase::Undefined));
    }

    /// Draws of 4 examples, and batches of 16.
    fn of(plug_in: f64, debiased: f64, ends: (f64, f64)) -> Reading {
        let interval = Interval {
            low: ends.0,
            high: ends.1,
            level: 0.95,
        };
        let sample = Sample {
            estimates: Ok(Numbers {
                plug_in,
                debiased,
                interval: Ok(interval),
            }),
            draws: 8,
            size: 4,
            exchangeable: Exchangeable::Microbatch,
        };
        Reading::of(3, None, sample, 16)
    }

    #[test]
    fn the_plug_in_is_of_the_batch_size_as_c_is() {
        let seen = of(0.75, 0.5, (0.25, 1.0));
        assert_eq!((seen.plug_in, seen.c), (Some(3.0), Some(2.0)));
    }

    #[test]
    fn where_the_plug_in_alone_is_beyond_the_numbers_there_is_no_c_either() {
        let seen = of(0.5 * f64::MAX, 0.5, (0.25, 1.0));
        assert_eq!((seen.plug_in, seen.c, seen.interval), (None, None, None));
        let reason = seen.reason.expect("a reason");
        assert!(reason.contains("beyond the numbers"), "{reason}");
    }

    #[test]
    fn a_c_of_zero_has_no_noise_scale() {
        let seen = of(0.125, 0.0, (-0.25, 0.25));
        assert_eq!((seen.c, seen.noise_scale), (Some(0.0), None));
        assert_eq!(seen.noise_scale_interval, None);
    }
}
