//! Units and routes against each other.

use super::super::models::{ModelChoice, Task};
use super::*;
use candle_core::Device;
use fjld_core::capture::one_target_each;

/// A small transformer and stretches of five characters.
fn text(n: usize) -> Result<(Model, (Tensor, Tensor))> {
    let device = Device::Cpu;
    let task = Task {
        input: vec![5],
        kinds: Some(7),
        classes: 7,
    };
    let choice = ModelChoice::Gpt {
        width: 8,
        heads: 2,
        layers: 1,
        tied: false,
    };
    let model = choice.build(&task, Seed::root(3), &device)?;
    let text: Vec<u32> = (0..6 * n as u32).map(|i| (i * i + i / 3) % 7).collect();
    let text = Tensor::from_vec(text, (n, 6), &device)?;
    let examples = (
        text.narrow(1, 0, 5)?.contiguous()?,
        text.narrow(1, 1, 5)?.contiguous()?,
    );
    Ok((model, examples))
}

/// Ratios of sums of some thousand products in `f32`.
fn assert_same(a: Option<f64>, b: Option<f64>) {
    let (a, b) = (a.expect("it is defined"), b.expect("it is defined"));
    assert!((a / b - 1.0).abs() < 1e-4, "{a} against {b}");
}

#[test]
fn minibatches_as_means_of_per_example_gradients_are_those_of_their_own_passes() -> Result<()> {
    let (model, examples) = text(12)?;
    let choice = MeasurementChoice {
        batch_sizes: vec![1, 4],
        draws: 20,
        sampling: Sampling::WithReplacement,
        estimators: vec![Estimator::Minibatch],
        units: vec![Unit::Example],
        readings: 2,
        minibatch_readings: Where::All,
        chunk: None,
    };
    let seed = Seed::root(9);
    let kept = choice.values(&model, &examples, true, seed)?;
    let passes = MeasurementChoice {
        chunk: Some(4),
        ..choice
    };
    let passes = passes.values(&model, &examples, true, seed)?;
    for (a, b) in kept.iter().zip(&passes) {
        assert_same(a.c.map(|c| c + 1.0), b.c.map(|c| c + 1.0));
        let ends = |v: &Value| v.interval.expect("twenty draws have one");
        assert_same(Some(ends(a)[1]), Some(ends(b)[1]));
    }
    Ok(())
}

#[test]
fn tokens_cut_behind_their_place_are_those_of_whole_stretches() -> Result<()> {
    let (model, examples) = text(6)?;
    let (rows, targets) = one_target_each(&examples.1, IGNORED)?;
    let whole = (examples.0.index_select(&rows, 0)?, targets);
    let capture = Capture::new(30, Reduction::Mean);
    let whole = capture.run(model.parameters(), || model.single_target_loss(&whole))?;
    let cut = token_ratio(&model, &examples)?;
    assert_same(cut, of_population(&whole.statistics)?);
    // the mean over five tokens is less noisy than one of them
    assert!(population_ratio(&model, &examples, usize::MAX)? > cut);
    Ok(())
}

#[test]
fn many_drawn_tokens_come_near_to_the_exact_ratio() -> Result<()> {
    let (model, examples) = text(6)?;
    let exact = token_ratio(&model, &examples)?.expect("it is defined");
    for batch_size in [1, 4] {
        let generator = &mut drawing(Seed::root(4), batch_size);
        let (_, interval) = drawn_tokens(&model, &examples, batch_size, 300, generator)?;
        let [low, high] = interval.expect("three hundred draws have one");
        let wanted = exact * batch_size as f64;
        assert!(low < wanted && wanted < high, "{wanted} in {low} to {high}");
    }
    Ok(())
}
