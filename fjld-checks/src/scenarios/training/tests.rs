use super::super::measurement::Estimator;
use super::super::{Scenario, parse, shipped};
use super::*;

const DIGITS: &str = include_str!("../../../../scenarios/digits-mlp.toml");

/// The text, with the second one of each pair in place of the first.
fn changed(pairs: &[(&str, &str)]) -> String {
    let change = |text: String, (old, new): &(&str, &str)| {
        assert!(text.contains(old), "{old}");
        text.replace(old, new)
    };
    pairs.iter().fold(DIGITS.to_owned(), change)
}

fn read(text: &str) -> std::result::Result<Box<TrainingScenario>, String> {
    match parse(text, "a.toml").map_err(|e| e.to_string())? {
        Scenario::Training(scenario) => Ok(scenario),
        _ => unreachable!("it is a training"),
    }
}

/// The digits with four steps at the tier quick, looked at before the first, in the middle and after the last.
fn small() -> TrainingScenario {
    let text = changed(&[
        ("steps = 200\n", "steps = 4\n"),
        ("readings = 8\n", "readings = 3\n"),
        ("draws = 100", "draws = 3"),
        ("batch_sizes = [1, 16, 64, 256]", "batch_sizes = [1, 4]"),
        (
            "[measurement]\n",
            "[measurement]\nminibatch_readings = \"ends\"\n",
        ),
    ]);
    *read(&text).expect("it is as accepted")
}

#[test]
fn a_value_just_out_of_range_is_refused_and_the_last_one_within_is_taken() {
    for (old, new, said) in [
        (
            "learning_rate = 0.2",
            "learning_rate = 0.0",
            "training.learning_rate is 0; it must be positive",
        ),
        (
            "learning_rate = 0.2",
            "learning_rate = 0.2\nother_learning_rates = [0.0]",
            "training.other_learning_rates is 0; it must be positive",
        ),
        (
            "[1, 16, 64, 256]",
            "[1, 0]",
            "measurement.batch_sizes is [1, 0]; it must be a list",
        ),
        (
            "[1, 16, 64, 256]",
            "[]",
            "measurement.batch_sizes is []; it must be a list",
        ),
        (
            "draws = 100",
            "draws = 2",
            "measurement.draws is 2; it must be at least 3",
        ),
    ] {
        let refused = read(&changed(&[(old, new)])).expect_err(said);
        assert!(refused.contains(said), "{refused}");
    }
    assert!(read(&changed(&[("draws = 100", "draws = 3")])).is_ok());
}

#[test]
fn what_a_scenario_says_of_itself_is_what_its_file_says() -> Result<()> {
    let digits = shipped::training("digits-mlp")?;
    assert_eq!(digits.batch_sizes(), [1, 16, 64, 256]);
    assert_eq!(digits.learning_rate(), 0.2);
    assert_eq!(digits.controls(), [Control::ShuffledLabels]);
    let budgets = Tier::ALL.map(|tier| digits.time_budget(tier));
    assert_eq!(budgets, [10, 60, 240]);
    assert_eq!(digits.classes(), 10);
    assert!(digits.needs().is_none());
    assert_eq!(digits.entropy_rate(), None);
    let mnist = shipped::training("mnist-mlp")?;
    assert_eq!(mnist.needs().map(|set| set.name), Some("mnist"));
    // sums modulo 23
    assert_eq!(shipped::training("modular-grokking")?.classes(), 23);
    let rate = shipped::training("gpt")?.entropy_rate();
    // 7/4 ln 2 a word, of 2 to 5 letters and a space
    let word = 1.75 * std::f64::consts::LN_2;
    assert!(rate.is_some_and(|rate| (word / 6.0..word / 3.0).contains(&rate)));
    Ok(())
}

#[test]
fn each_reading_is_taken_after_as_many_steps_as_it_says() -> Result<()> {
    let device = Device::Cpu;
    let place = Place {
        folder: None,
        device: &device,
    };
    let root = Seed::root(3);
    let scenario = small();
    let item = Item::new(1, None);
    let curve = scenario.run(item, Tier::Quick, root, place, &|_| {})?;
    let steps: Vec<u64> = curve.readings.iter().map(|r| r.step).collect();
    assert_eq!(steps, [0, 2, 4]);
    let seed = root.derive("digits-mlp").derive("seed 1");
    let examples = scenario.split(seed.derive("split"), None)?.0;
    let examples = examples.tensors(&device)?;
    let task = scenario.data.task();
    let model = scenario
        .model
        .build(&task, seed.derive("weights"), &device)?;
    let mut loader = Loader::new(&examples, Some(64), seed.derive("order"))?;
    let mut losses = vec![model.mean_loss(&examples, usize::MAX)?];
    for _ in 0..4 {
        let gradients = model.loss(&loader.next_batch()?)?.backward()?;
        for (_, var) in model.parameters() {
            let gradient = gradients.get(var).expect("every parameter has one");
            var.set(&var.sub(&(gradient * 0.2)?)?)?;
        }
        losses.push(model.mean_loss(&examples, usize::MAX)?);
    }
    for reading in &curve.readings {
        let expected = losses[reading.step as usize];
        // the same sums in f32; a step changes the loss by a hundred times as much
        assert!(
            (reading.loss - expected).abs() < 1e-5,
            "{reading:?} {expected}"
        );
    }
    // draws cost most, so that the file has them at the ends alone
    let drawn = |reading: &Reading| {
        let mut values = reading.values.iter();
        values.any(|v| v.estimator == Estimator::Minibatch)
    };
    let drawn: Vec<bool> = curve.readings.iter().map(drawn).collect();
    assert_eq!(drawn, [true, false, true]);
    Ok(())
}
