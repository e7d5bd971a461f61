//! A monitor in a training loop, its log, and what it does when there is nothing to measure.

mod log;
mod norms;
mod resume;
mod undefined;

use approx::assert_relative_eq;
use candle_core::{DType, Device, Tensor, Var};
use candle_nn::Module;
use fjld_core::capture::{Linear, linear_no_bias};
use fjld_core::moments::{TwoBatch, Window};
use fjld_core::monitor::{Direction, Event, Monitor, Schedule, Source, Step, What};
use fjld_core::rng::{Seed, SeededVars, standard_normals};
use fjld_core::{Moments, Ratio, Result};

/// A linear layer from three inputs to one score, whose loss is the score: the gradient of an example is its input.
struct Subject {
    layer: Linear,
    parameters: Vec<(String, Var)>,
}

impl Subject {
    fn new() -> Result<Self> {
        let vars = SeededVars::new(Seed::root(1));
        let layer = linear_no_bias(3, 1, vars.builder(DType::F64, &Device::Cpu).pp("layer"))?;
        Ok(Self {
            layer,
            parameters: vars.named(),
        })
    }

    fn step(&self, monitor: &mut Monitor, step: u64, rows: &[[f64; 3]]) -> Result<Step> {
        let x = Tensor::from_slice(rows.as_flattened(), (rows.len(), 3), &Device::Cpu)?;
        monitor.step(step, rows.len(), &self.parameters, |examples| {
            let own = x.narrow(0, examples.start, examples.len())?;
            self.layer.forward(&own)?.mean_all()
        })
    }

    fn gradient(&self, step: &Step) -> Vec<f64> {
        let gradient = step.gradients.get(&self.parameters[0].1);
        let gradient = gradient.expect("it takes part").flatten_all();
        gradient.and_then(|g| g.to_vec1()).expect("three numbers")
    }
}

/// `count` inputs around a mean, by the step.
fn rows(count: usize, mean: f64, step: u64) -> Vec<[f64; 3]> {
    let seed = Seed::root(step).derive("rows");
    let normals = standard_normals(&mut seed.generator(), 3 * count);
    let (rows, _) = normals.as_chunks::<3>();
    rows.iter().map(|row| row.map(|z| mean + z)).collect()
}

#[test]
fn a_due_step_trains_as_a_plain_one_does_and_shows_the_ratio_of_its_batch() -> Result<()> {
    let subject = Subject::new()?;
    let mut monitor = Monitor::new(16, Schedule::every(2)?)?;
    let batch = rows(16, 0.4, 0);
    let due = subject.step(&mut monitor, 0, &batch)?;
    let plain = subject.step(&mut monitor, 1, &batch)?;
    assert!(plain.reading.is_none());
    assert_relative_eq!(due.loss, plain.loss, max_relative = 1e-12);
    for (a, b) in subject.gradient(&due).iter().zip(subject.gradient(&plain)) {
        assert_relative_eq!(*a, b, max_relative = 1e-12);
    }
    let mut moments = Moments::new(3)?;
    batch.iter().try_for_each(|row| moments.push(row))?;
    let expected = Ratio::estimate(&moments, 0.95)?.estimates.expect("noise");
    let interval = expected.interval.expect("sixteen draws");
    let reading = due.reading.expect("step 0 is due");
    let (c, own) = (
        reading.c.expect("C"),
        reading.interval.expect("an interval"),
    );
    // per example, times the batch size
    assert_relative_eq!(c, 16.0 * expected.debiased, max_relative = 1e-9);
    assert_relative_eq!(own.low, 16.0 * interval.low, max_relative = 1e-6);
    assert_relative_eq!(own.high, 16.0 * interval.high, max_relative = 1e-6);
    assert_relative_eq!(
        reading.noise_scale.expect("positive"),
        16.0 / c,
        max_relative = 1e-12
    );
    assert_eq!(
        (reading.draws, reading.exchangeable.name()),
        (16, "example")
    );
    Ok(())
}

#[test]
fn microbatches_measure_the_same_batch_in_the_same_unit() -> Result<()> {
    let subject = Subject::new()?;
    let mut monitor = Monitor::new(12, Schedule::every(1)?)?.microbatches(4)?;
    let batch = rows(12, 0.5, 3);
    let step = subject.step(&mut monitor, 0, &batch)?;
    let mut moments = Moments::new(3)?;
    for part in batch.as_chunks::<3>().0 {
        let mean = |j: usize| part.iter().map(|row| row[j]).sum::<f64>() / 3.0;
        moments.push(&[mean(0), mean(1), mean(2)])?;
    }
    let expected = Ratio::estimate(&moments, 0.95)?.estimates.expect("noise");
    let reading = step.reading.expect("every step is due");
    // four draws of three examples, at a batch of twelve
    assert_relative_eq!(
        reading.c.expect("C"),
        4.0 * expected.debiased,
        max_relative = 1e-9
    );
    assert_eq!(
        (reading.draws, reading.exchangeable.name()),
        (4, "microbatch")
    );
    // seven examples do not divide by four, three or any number between: no reading, and training goes on
    let short = subject.step(&mut monitor, 1, &rows(7, 0.5, 4))?;
    let reason = short.reading.and_then(|r| r.reason).expect("a reason");
    assert!(
        reason.contains("7 examples do not make up 3 to 4 microbatches"),
        "{reason}"
    );
    Ok(())
}

#[test]
fn a_run_that_rises_through_one_has_one_transition_and_its_line_says_so() -> Result<()> {
    let subject = Subject::new()?;
    let mut monitor = Monitor::new(64, Schedule::every(1)?)?;
    let mut said = Vec::new();
    let mut transitions = Vec::new();
    for (step, mean) in [0.0, 0.0, 0.15, 1.0, 1.0, 0.15, 1.0]
        .into_iter()
        .enumerate()
    {
        let step = subject.step(&mut monitor, step as u64, &rows(64, mean, step as u64))?;
        said.push(
            step.reading
                .expect("every step is due")
                .line("Epoch", said.len() as u64),
        );
        transitions.extend(step.events);
    }
    assert!(
        said[0].ends_with("[DIFFUSIVE]") || said[0].ends_with("[CRITICAL]"),
        "{said:?}"
    );
    let marked: Vec<usize> = (0..said.len())
        .filter(|&i| said[i].ends_with("[DRIFT]  ← Phase transition"))
        .collect();
    assert_eq!(marked.len(), 1, "{said:?}");
    let up = Event {
        step: marked[0] as u64,
        what: What::Transition(Direction::Up),
    };
    assert!(transitions.contains(&up), "{transitions:?}");
    Ok(())
}

#[test]
fn what_the_monitor_reports_of_its_cost_is_counted_and_measured() -> Result<()> {
    let subject = Subject::new()?;
    let mut monitor = Monitor::new(8, Schedule::every(5)?)?;
    assert_eq!(monitor.overhead().share, None);
    for step in 0..10 {
        subject.step(&mut monitor, step, &rows(8, 1.0, step))?;
    }
    let overhead = monitor.overhead();
    assert_eq!((overhead.plain_passes, overhead.measured_passes), (8, 2));
    assert_eq!((overhead.draws, overhead.inner_products), (16, 72));
    assert!(overhead.share.is_some_and(f64::is_finite));
    assert!(overhead.plain_seconds > 0.0 && overhead.measured_seconds > 0.0);
    assert!(overhead.reading_seconds > 0.0);
    Ok(())
}

#[test]
fn measurements_over_steps_say_that_a_step_is_what_they_count() -> Result<()> {
    let mut monitor = Monitor::new(32, Schedule::every(1)?)?;
    let mut window = Window::new(3, 10)?;
    for row in rows(10, 0.5, 1) {
        window.push(&row)?;
    }
    let (reading, _) = monitor.observe(0, None, Source::Window(&window, 16))?;
    let own = Ratio::estimate(&window.moments(), 0.95)?
        .estimates
        .expect("noise");
    // of minibatches of 16, at a batch of 32
    assert_relative_eq!(
        reading.c.expect("C"),
        2.0 * own.debiased,
        max_relative = 1e-12
    );
    assert_eq!((reading.draws, reading.exchangeable.name()), (10, "step"));

    let mut norms = TwoBatch::new(4, 32)?;
    for z in standard_normals(&mut Seed::root(5).generator(), 50) {
        norms.push(3.0 + 0.1 * z, 1.0 + 0.05 * z)?;
    }
    let (reading, _) = monitor.observe(1, None, Source::TwoBatch(&norms))?;
    assert_relative_eq!(
        reading.noise_scale.expect("both are positive"),
        norms.noise_scale().expect("both are positive"),
        max_relative = 1e-12
    );
    assert_eq!((reading.draws, reading.exchangeable.name()), (50, "step"));
    let none = monitor.observe(2, None, Source::TwoBatch(&TwoBatch::new(4, 32)?))?;
    assert_eq!(none.0.reason.as_deref(), Some("no step was taken in"));
    assert!(
        monitor
            .observe(3, None, Source::Window(&window, 0))
            .is_err()
    );
    Ok(())
}

#[test]
fn settings_that_can_not_be_are_refused_with_their_value() -> Result<()> {
    let refused = |made: Result<Monitor>| made.expect_err("refused").to_string();
    let schedule = Schedule::every(1)?;
    assert_eq!(
        refused(Monitor::new(0, schedule)),
        "the batch size is 0; it must be at least 1"
    );
    let monitor = || Monitor::new(8, schedule);
    for level in [0.0, 1.0, -0.5, f64::NAN] {
        let said = format!("is {level}; it must be strictly between 0 and 1");
        assert!(refused(monitor()?.level(level)).contains(&said));
    }
    assert!(refused(monitor()?.microbatches(2)).contains("is 2; it must be at least 3"));
    assert!(refused(monitor()?.plateau(1, 0.1)).contains("is 1; it must be at least 2"));
    Ok(())
}
