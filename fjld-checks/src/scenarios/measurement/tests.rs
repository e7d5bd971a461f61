//! Units and routes against each other.

use super::super::models::{ModelChoice, Task};
use super::*;
use crate::precision::Scalar;
use candle_core::Device;
use fjld_core::capture::{flat_gradient, one_target_each};

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

/// `|mean|^2` over the summed squares of the distances from it, by `divisor`.
fn ratio_of(gradients: &[Vec<Scalar>], divisor: f64) -> f64 {
    let n = gradients.len() as f64;
    let (mut signal, mut noise) = (0.0, 0.0);
    for j in 0..gradients[0].len() {
        let own = || gradients.iter().map(|g| f64::from(g[j]));
        let mean = own().sum::<f64>() / n;
        signal += mean * mean;
        noise += own().map(|v| (v - mean).powi(2)).sum::<f64>() / divisor;
    }
    signal / noise
}

#[test]
fn the_ratio_of_a_population_is_its_definition_over_passes_of_single_examples() -> Result<()> {
    let (model, examples) = text(5)?;
    let singles = chunks(&examples, 1)?;
    let singles = singles
        .iter()
        .map(|one| Ok(flat_gradient(&model, one)?.to_vec1()?));
    let singles = singles.collect::<Result<Vec<Vec<Scalar>>>>()?;
    // all there are: their covariance has the divisor 5
    let wanted = ratio_of(&singles, 5.0);
    for chunk in [2, usize::MAX] {
        assert_same(population_ratio(&model, &examples, chunk)?, Some(wanted));
    }
    Ok(())
}

#[test]
fn a_population_whose_gradients_all_vanish_has_no_ratio() -> Result<()> {
    let device = Device::Cpu;
    let task = Task {
        input: vec![2],
        kinds: Some(3),
        classes: 3,
    };
    let choice = ModelChoice::QuadraticMlp { hidden: 2 };
    let model = choice.build(&task, Seed::root(3), &device)?;
    // a square of nothing times nothing: no weight makes a difference
    for (_, var) in model.parameters() {
        var.set(&var.zeros_like()?)?;
    }
    let examples = (
        Tensor::new(&[[0u32, 1], [1, 2], [2, 2], [0, 0]], &device)?,
        Tensor::new(&[1u32, 0, 1, 0], &device)?,
    );
    assert_eq!(population_ratio(&model, &examples, usize::MAX)?, None);
    Ok(())
}

#[test]
fn the_draws_of_tokens_are_the_backward_passes_of_those_tokens() -> Result<()> {
    let (model, examples) = text(6)?;
    let (inputs, labels) = (examples.0.to_vec2::<u32>()?, examples.1.to_vec2::<u32>()?);
    let draws = 8;
    for batch_size in [1, 4] {
        let generator = || drawing(Seed::root(5), batch_size);
        let (c, _) = drawn_tokens(&model, &examples, batch_size, draws, &mut generator())?;
        let generator = &mut generator();
        let gradients = (0..draws)
            .map(|_| {
                let (mut read, mut asked): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
                for _ in 0..batch_size {
                    // one of five places of one of six stretches, where no other is asked for
                    let token = generator.random_range(0..30u32) as usize;
                    let (stretch, place) = (token / 5, token % 5);
                    let mut own = [IGNORED; 5];
                    own[place] = labels[stretch][place];
                    asked.extend(own);
                    read.extend(&inputs[stretch]);
                }
                let batch = (
                    Tensor::from_vec(read, (batch_size, 5), &Device::Cpu)?,
                    Tensor::from_vec(asked, (batch_size, 5), &Device::Cpu)?,
                );
                let gradients = model.single_target_loss(&batch)?.backward()?;
                let mut flat = Vec::new();
                for (_, var) in model.parameters() {
                    let own = gradients.get(var).expect("all weights are used");
                    flat.extend(own.flatten_all()?.to_vec1::<Scalar>()?);
                }
                Ok(flat)
            })
            .collect::<Result<Vec<Vec<Scalar>>>>()?;
        // a sample's covariance has the divisor n - 1; the debiased estimate is less by 1/n
        let n = draws as f64;
        let plain = ratio_of(&gradients, n - 1.0);
        assert_same(c.map(|c| c + 1.0 / n), Some(plain));
    }
    Ok(())
}

#[test]
fn other_units_are_measured_at_the_ends_of_a_run_and_minibatches_where_it_says() -> Result<()> {
    use super::Estimator::{Minibatch, PerExample};
    use super::Unit::{Example, Token};
    let (model, examples) = text(4)?;
    let asked = |minibatch_readings, at_end| -> Result<Vec<(Unit, Estimator, usize)>> {
        let choice = MeasurementChoice {
            batch_sizes: vec![1, 3],
            draws: 5,
            sampling: Sampling::WithReplacement,
            estimators: vec![PerExample, Minibatch],
            units: vec![Example, Token],
            readings: 2,
            minibatch_readings,
            chunk: None,
        };
        let values = choice.values(&model, &examples, at_end, Seed::root(9))?;
        let place = |v: &Value| (v.unit, v.estimator, v.batch_size);
        Ok(values.iter().map(place).collect())
    };
    let of = |unit: Unit| -> [(Unit, Estimator, usize); 4] {
        [
            (unit, PerExample, 1),
            (unit, PerExample, 3),
            (unit, Minibatch, 1),
            (unit, Minibatch, 3),
        ]
    };
    let both = [of(Example), of(Token)].concat();
    assert_eq!(asked(Where::All, true)?, both);
    assert_eq!(asked(Where::Ends, true)?, both);
    assert_eq!(asked(Where::All, false)?, of(Example));
    assert_eq!(asked(Where::Ends, false)?, of(Example)[..2]);
    Ok(())
}

#[test]
fn the_exact_ratio_grows_with_the_measurement_batch_and_has_no_interval() -> Result<()> {
    let (model, examples) = text(4)?;
    let choice = MeasurementChoice {
        batch_sizes: vec![1, 3],
        draws: 5,
        sampling: Sampling::WithReplacement,
        estimators: vec![Estimator::PerExample],
        units: vec![Unit::Example],
        readings: 2,
        minibatch_readings: Where::All,
        chunk: None,
    };
    // where no chunk is given all go at a time
    assert_eq!(choice.chunk(), usize::MAX);
    let one = population_ratio(&model, &examples, 4)?.expect("it is defined");
    let found = choice.values(&model, &examples, true, Seed::root(9))?;
    let found: Vec<_> = found.iter().map(|v| (v.c, v.interval)).collect();
    assert_eq!(found, [(Some(one), None), (Some(3.0 * one), None)]);
    Ok(())
}
