//! Readings against passes of single examples, and what a study says of itself.

use super::super::fixtures::{linear_classifier, lines_of, quick};
use super::*;
use crate::precision::Scalar;
use approx::assert_relative_eq;
use fjld_core::capture::flat_gradient;
use fjld_core::rng::standard_normals;

/// A study of a small network.
const TEXT: &str = r#"
schema = "fjld-scenario/1"
kind = "kfac-sharper"
name = "small-kfac"
about = "a network of two hidden units and a tenth of the digits"
claims = ["kfac-sharper"]
measurement = { batch_sizes = [1, 3], gradients = 5 }
damping = { printed = 1e-5, pi_share = 0.01 }
steps = { quick = 4, standard = 5, full = 6 }
readings = { quick = 3, standard = 4, full = 5 }
repeats = { quick = 3, standard = 4, full = 5 }

[training]
data = { name = "digits", test_share = 0.9 }
model = { kind = "mlp", hidden = [2] }
optimiser = "sgd"
batch_size = 20
learning_rate = 0.5

[tiers]
quick = { seeds = 2, time_budget = 1 }
standard = { seeds = 3, time_budget = 1 }
full = { seeds = 4, time_budget = 1 }
"#;

fn study(text: &str) -> KfacSharper {
    toml::from_str(text).expect("it is a study")
}

/// The plain ratio of minibatches' gradients and the one weighted by the examples' second moments, coordinate by coordinate: the
/// examples are in runs of `batch`, and the variance has the divisor `n - freedom`.
fn by_hand(examples: &[&[Scalar]], batch: usize, freedom: f64) -> [f64; 2] {
    let n = (examples.len() / batch) as f64;
    let mut terms = [[0.0; 2]; 2];
    for j in 0..examples[0].len() {
        let mean_of = |rows: &[&[Scalar]]| {
            let sum: f64 = rows.iter().map(|row| f64::from(row[j])).sum();
            sum / rows.len() as f64
        };
        let means: Vec<f64> = examples.chunks(batch).map(mean_of).collect();
        let mean = means.iter().sum::<f64>() / n;
        let variance = means.iter().map(|m| (m - mean).powi(2)).sum::<f64>() / (n - freedom);
        let squares = examples.iter().map(|row| f64::from(row[j]).powi(2));
        let moment = squares.sum::<f64>() / examples.len() as f64;
        for (terms, weight) in terms.iter_mut().zip([1.0, 1.0 / moment]) {
            terms[0] += weight * mean * mean;
            terms[1] += weight * variance;
        }
    }
    terms.map(|[signal, noise]| signal / noise)
}

#[test]
fn a_reading_is_of_the_gradients_of_single_examples_all_of_them_and_drawn() -> Result<()> {
    let device = Device::Cpu;
    let model = linear_classifier()?;
    let n = 7;
    let inputs = standard_normals(&mut Seed::root(3).generator(), 2 * n);
    let inputs: Vec<Scalar> = inputs.into_iter().map(|v| v as Scalar).collect();
    let train = (
        Tensor::from_vec(inputs, (n, 2), &device)?,
        Tensor::new(&[0u32, 1, 2, 2, 1, 0, 1], &device)?,
    );
    let gradients = (0..n)
        .map(|i| {
            let one = (train.0.narrow(0, i, 1)?, train.1.narrow(0, i, 1)?);
            Ok(flat_gradient(&model, &one)?.to_vec1::<Scalar>()?)
        })
        .collect::<Result<Vec<Vec<Scalar>>>>()?;
    let moment = Moment {
        model: &model,
        train: &train,
        test: &train,
        step: 9,
    };
    let seed = Seed::root(4);
    let row = study(TEXT).reading(Item::new(6, None), &moment, Tier::Quick, seed)?;
    assert_eq!((row.seed, row.control, row.step), (6, None, 9));
    assert_eq!((row.tested, row.classes), (7, 10));

    // the training set is the population, with the divisor n
    let all: Vec<&[Scalar]> = gradients.iter().map(Vec::as_slice).collect();
    // gradients in f32 from sums of a few products
    let close = |found: Option<f64>, expected| {
        let found = found.expect("there is noise");
        assert_relative_eq!(found, expected, max_relative = 1e-5);
    };
    let [plain, diagonal] = by_hand(&all, 1, 0.0);
    close(row.exact(Form::Plain), plain);
    close(row.exact(Form::Diagonal), diagonal);

    let sizes: Vec<_> = row.samples.iter().map(|s| s.batch_size).collect();
    assert_eq!(sizes, [1, 3]);
    for sample in row.samples {
        let batch = sample.batch_size;
        assert_eq!((sample.gradients, sample.estimates.len()), (5, 3));
        // each size has a stream of its own, from which five minibatches a sample are drawn with replacement
        let stream = seed.derive(&format!("batches of {batch} before step 9"));
        let generator = &mut stream.generator();
        for found in sample.estimates {
            let drawn = (0..5 * batch).map(|_| all[generator.random_range(0..n as u32) as usize]);
            let [plain, diagonal] = by_hand(&drawn.collect::<Vec<_>>(), batch, 1.0);
            close(found[0], plain);
            close(found[1], diagonal);
        }
    }
    Ok(())
}

#[test]
fn every_seed_is_run_plain_and_with_shuffled_labels() {
    let expected = [
        "seed-0-plain",
        "seed-0-shuffled-labels",
        "seed-1-plain",
        "seed-1-shuffled-labels",
    ];
    assert_eq!(study(TEXT).items(Tier::Quick), expected);
    assert_eq!(study(TEXT).items(Tier::Full).len(), 8);
}

#[test]
fn a_run_and_its_control_begin_with_one_network_and_differ_in_what_it_is_to_learn() -> Result<()> {
    let study = study(TEXT);
    let of = |item: &str| -> Result<Vec<Row>> { rows(&study.run(item, &quick(7))?) };
    let (plain, control) = (of("seed-1-plain")?, of("seed-1-shuffled-labels")?);
    for (found, arm) in [(&plain, None), (&control, Some(Control::ShuffledLabels))] {
        let of_whom: Vec<_> = found.iter().map(|r| (r.seed, r.control, r.step)).collect();
        // three readings of four steps at equal ratios: before the first, after two, after all
        assert_eq!(of_whom, [(1, arm, 0), (1, arm, 2), (1, arm, 4)]);
    }
    assert_eq!(plain[0].accuracy, control[0].accuracy);
    assert_ne!(plain[0].exact, control[0].exact);
    let said = study.run("seed-2-plain", &quick(7));
    let said = said.expect_err("there are two seeds").to_string();
    let wanted = "\"small-kfac\" has no piece of work \"seed-2-plain\"";
    assert_eq!(said, wanted);
    Ok(())
}

#[test]
fn the_table_shows_every_form_of_every_reading() -> Result<()> {
    let row = Row {
        seed: 3,
        control: None,
        step: 0,
        accuracy: 0.125,
        tested: 8,
        classes: 10,
        exact: [Some(0.5), Some(1.25), None, Some(0.03125), Some(20.0)],
        samples: vec![],
    };
    let trained = Row {
        control: Some(Control::ShuffledLabels),
        step: 40,
        exact: [None; 5],
        ..row.clone()
    };
    let text = study(TEXT).table(&[line(&row), line(&trained)])?;
    assert_eq!(
        lines_of(&text),
        [
            "run step accuracy plain diagonal kfac-undamped kfac-printed kfac-pi",
            "seed-3-plain 0 0.125 0.50000 1.25000 undefined 0.03125 20.00000",
            "seed-3-shuffled-labels 40 0.125 undefined undefined undefined undefined undefined",
        ]
    );
    Ok(())
}

#[test]
fn a_form_is_called_what_it_is_called_in_files() {
    for form in Form::ALL {
        assert_eq!(line(&form), format!("\"{}\"", form.name()));
    }
}

#[test]
fn the_least_of_every_number_is_accepted_and_what_is_below_is_named() -> Result<()> {
    let sizes = "measurement.batch_sizes";
    let list = "a list of numbers that are at least 1";
    let gradients = "at least 2, the fewest that have a variance";
    for (given, least, less, key, value, accepted) in [
        ("[1, 3]", "[1]", "[]", sizes, "[]", list),
        ("[1, 3]", "[1]", "[3, 0]", sizes, "[3, 0]", list),
        (
            "gradients = 5",
            "gradients = 2",
            "gradients = 1",
            "measurement.gradients",
            "1",
            gradients,
        ),
        (
            "readings = { quick = 3",
            "readings = { quick = 2",
            "readings = { quick = 1",
            "readings",
            "1",
            "at least 2 at every tier",
        ),
        (
            "repeats = { quick = 3",
            "repeats = { quick = 3",
            "repeats = { quick = 2",
            "repeats",
            "2",
            "at least 3 at every tier",
        ),
    ] {
        assert!(TEXT.contains(given), "{given}");
        study(&TEXT.replace(given, least)).check("a.toml")?;
        let said = study(&TEXT.replace(given, less)).check("a.toml");
        let said = said.expect_err("it is out of range").to_string();
        assert_eq!(
            said,
            format!("a.toml: {key} is {value}; it must be {accepted}")
        );
    }
    Ok(())
}
