//! What measuring `C` adds to training, in gradients and in multiplications.
//!
//! A reading by the document's procedure takes the gradients of `n` further minibatches, each as dear as a step. With `s` steps between
//! readings that is `n/s` of training, whatever the model.
//!
//! Exact per-example `C` rides on a step instead; `multiplications` counts what it adds.

use super::multiplications::{formula, pass};
use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Q, q};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "overhead",
        origin: Origin::Document,
        statement: "Measuring C adds 5 to 10 per cent to training, and less where it is measured every tenth epoch.",
        sentence: Some(Sentence {
            section: "Computational Constraints",
            line: 292,
            sha256: "d030e4e4dda0a7dc9f109605fde9d52f49ec3e1151f17b0fa62107ddfe32d7f5",
            status: "stated",
        }),
        holds_when: Some(
            "an epoch has 1000 to 2000 steps and each is followed by one reading of 100 gradients",
        ),
        corrected: Some(
            "A reading of n minibatch gradients every s steps adds n/s: 100 gradients after each epoch of MNIST add 5.3% at a batch of 32, 10.7% at 64 and 42.6% at 256, and a tenth of that every tenth epoch. Exact per-example C of a 784-512-512-10 perceptron adds less than 1% to the multiplications of a step of 64 examples or more.",
        ),
        scenarios: &[],
        checks: vec![
            at_most_a_tenth(),
            between_five_and_ten(),
            samples_over_steps(),
            counted(),
            below_one_percent(),
        ],
    }
}

/// The training images of MNIST.
const EXAMPLES: usize = 60_000;

/// Steps of an epoch, counted off.
fn steps(batch: usize) -> i64 {
    (0..EXAMPLES).step_by(batch).count() as i64
}

/// The largest batch in 32s and reading in hundreds; epochs between readings.
struct Schedule {
    least_batch: i64,
    largest: u64,
    every: i64,
}

fn examine_tenth(world: &Schedule, _: &Draw) -> Finding {
    let least = world.least_batch;
    let part = Part::new(&[&[Axis::Positive; 2]], world.largest, move |c| {
        let whole = c.iter().all(Q::is_integer);
        let [hundreds, batches] = [c[0].to_integer(), c[1].to_integer()];
        let batch: i64 = batches.try_into().ok()?;
        let samples: i64 = (hundreds * 100i64).try_into().ok()?;
        whole.then_some((samples, batch * least))
    });
    let every = world.every;
    search(&[part], |&(samples, batch)| {
        let share = q(samples, steps(batch as usize) * every);
        (share > q(1, 10)).then(|| {
            format!(
                "MNIST at a batch of {batch} has {} steps an epoch; {samples} gradients to every {} of them are {share}, more than 1/10",
                steps(batch as usize),
                steps(batch as usize) * every
            )
        })
    })
}

fn at_most_a_tenth() -> Check {
    let spec = Spec {
        id: "at-most-a-tenth",
        role: Role::AsWritten,
        kind: Kind::Exact,
        hypothesis: "100 to 800 gradients after each epoch of MNIST, at batches of 32 to 256, are at most a tenth of the epoch's",
        tolerance: 0.0,
        detectable: Size::of("excess over a tenth, relative", 0.066),
    };
    let schedule = |least_batch, largest, every| Schedule {
        least_batch,
        largest,
        every,
    };
    let worlds = Worlds {
        real: schedule(32, 8, 1),
        defect: Planted {
            what: "100 gradients after each epoch at a batch of 64",
            size: 100.0 / 93.8 - 1.0,
            world: schedule(64, 1, 1),
        },
        truth: Planted {
            what: "the same every tenth epoch",
            size: 0.0,
            world: schedule(64, 1, 10),
        },
    };
    Check::new(spec, worlds, examine_tenth)
}

/// Epochs of 1000 to 2000 steps, or of 1000 to 1050, and the gradients of a reading.
struct Epochs {
    samples: i64,
    most: u64,
}

fn examine_epochs(world: &Epochs, _: &Draw) -> Finding {
    let part = Part::new(&[&[Axis::Positive]], world.most, |c| {
        let fifties: i64 = c[0].to_integer().try_into().ok()?;
        c[0].is_integer().then_some(1000 + 50 * (fifties - 1))
    });
    let samples = world.samples;
    search(&[part], |&steps| {
        let share = q(samples, steps);
        (share < q(1, 20) || share > q(1, 10))
            .then(|| format!("{samples} gradients for {steps} steps are {share}"))
    })
}

fn between_five_and_ten() -> Check {
    let spec = Spec {
        id: "between-five-and-ten",
        role: Role::HoldsWhen,
        kind: Kind::Exact,
        hypothesis: "100 gradients after each epoch of 1000 to 2000 steps are a twentieth to a tenth of the epoch's",
        tolerance: 0.0,
        detectable: Size::of("share of gradients too many", 0.01),
    };
    let worlds = Worlds {
        real: Epochs {
            samples: 100,
            most: 21,
        },
        defect: Planted {
            what: "readings of 101 gradients",
            size: 0.01,
            world: Epochs {
                samples: 101,
                most: 21,
            },
        },
        truth: Planted {
            what: "epochs of 1000 and 1050 steps",
            size: 0.0,
            world: Epochs {
                samples: 100,
                most: 2,
            },
        },
    };
    Check::new(spec, worlds, examine_epochs)
}

/// A training loop in which `extra` readings are taken beyond the schedule; with several epochs between readings, or one.
struct Loop {
    extra: i64,
    several: bool,
}

fn examine_loop(world: &Loop, _: &Draw) -> Finding {
    let several = world.several;
    let part = Part::new(&[&[Axis::Positive; 3]], 12, move |c| {
        let whole = c.iter().all(Q::is_integer);
        let number = |v: &Q| i64::try_from(v.to_integer()).ok();
        let (steps, samples, every) = (number(&c[0])?, number(&c[1])?, number(&c[2])?);
        (whole && (several || every == 1)).then_some((steps, samples, every))
    });
    search(&[part], |&(steps, samples, every)| {
        let (mut training, mut reading) = (0, world.extra * samples);
        // two readings
        for epoch in 1..=2 * every {
            training += steps;
            if epoch % every == 0 {
                reading += samples;
            }
        }
        let (found, formula) = (q(reading, training), q(samples, every * steps));
        (found != formula).then(|| {
            format!(
                "{steps} steps an epoch, {samples} gradients every {every} epochs: counted {found}, and n/s is {formula}"
            )
        })
    })
}

fn samples_over_steps() -> Check {
    let spec = Spec {
        id: "samples-over-steps",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "counted off in a training loop, the gradients of the readings are n/s of those of the steps",
        tolerance: 0.0,
        detectable: Size::of("readings too many", 1.0),
    };
    let worlds = Worlds {
        real: Loop {
            extra: 0,
            several: true,
        },
        defect: Planted {
            what: "one more reading, before the first epoch",
            size: 1.0,
            world: Loop {
                extra: 1,
                several: true,
            },
        },
        truth: Planted {
            what: "a reading after every epoch",
            size: 0.0,
            world: Loop {
                extra: 0,
                several: false,
            },
        },
    };
    Check::new(spec, worlds, examine_loop)
}

/// The bias counts as an input of this size squared; perceptrons of so many layers.
struct Capture {
    bias: i64,
    layers: usize,
}

fn examine_counts(world: &Capture, _: &Draw) -> Finding {
    let numbers = world.layers + 2;
    let part = Part::new(&[&vec![Axis::Positive; numbers]], 4, |c| {
        let whole = c.iter().all(Q::is_integer);
        let sizes: Option<Vec<i64>> = c.iter().map(|v| v.to_integer().try_into().ok()).collect();
        sizes.filter(|_| whole)
    });
    let bias = world.bias;
    search(&[part], |sizes| {
        let (batch, widths) = sizes.split_first()?;
        let (passed, formula) = (pass(widths, *batch, bias), formula(widths, *batch));
        let kept = passed.cost.step == formula.step
            && passed.cost.capture == formula.capture
            && passed.by_norms == passed.by_entries;
        (!kept).then(|| {
            format!(
                "widths {widths:?}, batch {batch}: a step takes {} multiplications and the capture {}, by the formula {} and {}; sum |g_i|^2 = {} by norms, {} entry by entry",
                passed.cost.step,
                passed.cost.capture,
                formula.step,
                formula.capture,
                passed.by_norms,
                passed.by_entries,
            )
        })
    })
}

fn counted() -> Check {
    let spec = Spec {
        id: "counted-multiplications",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "in perceptrons of two layers with 1 to 4 units each, the capture gives sum |g_i|^2, and step and capture take the multiplications of the formulas",
        tolerance: 0.0,
        detectable: Size::of("share of the bias's gradient left out", 1.0),
    };
    let worlds = Worlds {
        real: Capture { bias: 1, layers: 2 },
        defect: Planted {
            what: "a capture that leaves out the bias",
            size: 1.0,
            world: Capture { bias: 0, layers: 2 },
        },
        truth: Planted {
            what: "perceptrons of one layer",
            size: 0.0,
            world: Capture { bias: 1, layers: 1 },
        },
    };
    Check::new(spec, worlds, examine_counts)
}

/// Batches of 32 examples and more, in steps of as many.
struct Batches {
    least: i64,
    most: u64,
}

fn examine_share(world: &Batches, _: &Draw) -> Finding {
    let least = world.least;
    let part = Part::new(&[&[Axis::Positive]], world.most, move |c| {
        let times: i64 = c[0].to_integer().try_into().ok()?;
        c[0].is_integer().then_some(times * least)
    });
    search(&[part], |&batch| {
        let cost = formula(&[784, 512, 512, 10], batch);
        let share = q(cost.capture, cost.step);
        (share >= q(1, 100)).then(|| {
            format!(
                "batch {batch}: {} multiplications on top of {}",
                cost.capture, cost.step
            )
        })
    })
}

fn below_one_percent() -> Check {
    let spec = Spec {
        id: "below-one-percent",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "in a 784-512-512-10 perceptron at batches of 64 to 1280 the capture takes less than 1% of a step's multiplications",
        tolerance: 0.0,
        detectable: Size::of("share of a step's multiplications", 0.01),
    };
    let worlds = Worlds {
        real: Batches {
            least: 64,
            most: 20,
        },
        defect: Planted {
            what: "batches of 32, at which the squared mean weighs twice as much",
            size: 0.0148,
            world: Batches { least: 32, most: 1 },
        },
        truth: Planted {
            what: "a batch of 1024",
            size: 0.0,
            world: Batches {
                least: 1024,
                most: 1,
            },
        },
    };
    Check::new(spec, worlds, examine_share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stated_shares_are_a_hundred_over_the_steps_of_an_epoch() {
        // 60000 over the batch, rounded up
        for (batch, count, percent) in [(32, 1875, 5.3), (64, 938, 10.7), (256, 235, 42.6)] {
            assert_eq!(steps(batch), count);
            assert!((100.0 * 100.0 / count as f64 - percent).abs() < 0.05);
        }
    }
}
