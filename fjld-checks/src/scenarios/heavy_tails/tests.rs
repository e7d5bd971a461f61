//! Noise against pencil and passes of single examples, and what a study says of it.

use super::super::fixtures::{linear_classifier, lines_of, quick};
use super::*;
use crate::precision::Scalar;
use crate::tier::Tier;
use approx::assert_relative_eq;
use candle_core::Device;
use fjld_core::capture::flat_gradient;

/// A study of a network without a hidden layer.
const TEXT: &str = r#"
schema = "fjld-scenario/1"
kind = "heavy-tails"
name = "small-tails"
about = "a linear classifier of a tenth of the digits"
claims = ["heavy-tails"]
batch_sizes = [1, 4]
level = 0.9
steps = { quick = 2, standard = 3, full = 4 }
readings = { quick = 2, standard = 2, full = 2 }

[training]
data = { name = "digits", test_share = 0.9 }
model = { kind = "mlp", hidden = [] }
optimiser = "sgd"
batch_size = 20
learning_rate = 0.5

[tiers]
quick = { seeds = 2, time_budget = 1 }
standard = { seeds = 3, time_budget = 1 }
full = { seeds = 4, time_budget = 1 }
"#;

fn study(text: &str) -> HeavyTails {
    toml::from_str(text).expect("it is a study")
}

/// Four examples of two parameters, with the mean (1, 0).
fn noise() -> Noise {
    Noise::centred(vec![1.0, 2.0, 1.0, -2.0, 4.0, 0.0, -2.0, 0.0], 2)
}

#[test]
fn noise_is_what_is_left_without_the_mean() {
    let expected = [0.0, 2.0, 0.0, -2.0, 3.0, 0.0, -3.0, 0.0];
    assert_eq!(noise().rows, expected);
    let generator = &mut Seed::root(1).generator();
    assert_eq!(noise().minibatches(1, generator), expected);
}

#[test]
fn gaussian_noise_has_the_covariance_of_the_examples() -> Result<()> {
    let generator = &mut Seed::root(2).generator();
    let (mut squares, repeats) = ([0.0; 3], 5000);
    for _ in 0..repeats {
        for pair in noise().gaussian(generator)?.chunks(2) {
            let (x, y) = (f64::from(pair[0]), f64::from(pair[1]));
            [x * x, y * y, x * y]
                .iter()
                .zip(&mut squares)
                .for_each(|(v, sum)| *sum += v);
        }
    }
    // variances 18/4 and 8/4; a variance over 20,000 draws is known to a hundredth, five of which
    let [x, y, both] = squares.map(|sum| sum / f64::from(4 * repeats));
    assert_relative_eq!(x, 4.5, max_relative = 0.05);
    assert_relative_eq!(y, 2.0, max_relative = 0.05);
    assert!(both.abs() < 0.15, "{both}");
    Ok(())
}

#[test]
fn a_minibatch_of_many_deviates_by_its_root_less() {
    let generator = &mut Seed::root(3).generator();
    let mean_square = |size: usize, generator: &mut Generator| {
        let drawn: Vec<Scalar> = (0..2000)
            .flat_map(|_| noise().minibatches(size, generator))
            .collect();
        dot(&drawn, &drawn) / 8000.0
    };
    // Tr D = 4.5 + 2
    assert_relative_eq!(mean_square(4, generator), 6.5 / 4.0, max_relative = 0.05);
}

#[test]
fn minibatches_of_examples_that_are_all_alike_are_like_them() {
    let rows = vec![1.0, -2.0, 1.0, -2.0, 1.0, -2.0];
    let alike = Noise {
        rows: rows.clone(),
        width: 2,
    };
    let generator = &mut Seed::root(4).generator();
    assert_eq!(alike.minibatches(4, generator), rows);
}

#[test]
fn the_tails_of_single_examples_are_those_of_their_own_backward_passes() -> Result<()> {
    let device = Device::Cpu;
    let model = linear_classifier()?;
    let n = 16;
    let inputs = standard_normals(&mut Seed::root(5).generator(), 2 * n);
    let inputs: Vec<Scalar> = inputs.into_iter().map(|v| v as Scalar).collect();
    let labels: Vec<u32> = (0..n as u32).map(|i| i * i % 3).collect();
    let train = (
        Tensor::from_vec(inputs, (n, 2), &device)?,
        Tensor::from_vec(labels, n, &device)?,
    );
    let gradients = (0..n)
        .map(|i| {
            let one = (train.0.narrow(0, i, 1)?, train.1.narrow(0, i, 1)?);
            Ok(flat_gradient(&model, &one)?.to_vec1::<Scalar>()?)
        })
        .collect::<Result<Vec<Vec<Scalar>>>>()?;
    let mean = |j: usize| gradients.iter().map(|g| f64::from(g[j])).sum::<f64>() / n as f64;
    let lengths: Vec<f64> = gradients
        .iter()
        .map(|g| {
            let squares = (0..g.len()).map(|j| (f64::from(g[j]) - mean(j)).powi(2));
            squares.sum::<f64>().sqrt()
        })
        .collect();

    let moment = Moment {
        model: &model,
        train: &train,
        test: &train,
        step: 7,
    };
    let rows = study(TEXT).reading(5, &moment, Seed::root(6))?;
    // two sizes of batches and Gaussian noise, of two measures, by three rules
    assert_eq!(rows.len(), 3 * 2 * 3);
    assert!(rows.iter().all(|row| (row.seed, row.step) == (5, 7)));
    let singles = |row: &&Row| row.batch_size == Some(1) && row.of == Of::Length;
    let singles: Vec<&Row> = rows.iter().filter(singles).collect();
    // half the root of 16, the root and twice it
    let tails: Vec<usize> = singles.iter().map(|row| row.tail).collect();
    assert_eq!(tails, [2, 4, 8]);
    for row in singles {
        let (found, expected) = (row.hill, hill(&lengths, row.tail, 0.9));
        let (found, expected) = (found.expect("a tail"), expected.expect("a tail"));
        // gradients in f32, of whose lengths' logarithms differences are taken
        assert_relative_eq!(found.value, expected.value, max_relative = 1e-3);
    }
    Ok(())
}

#[test]
fn every_seed_is_a_piece_of_work_with_its_own_rows_at_every_reading() -> Result<()> {
    let study = study(TEXT);
    let work = quick(7);
    assert_eq!(study.items(work.tier), ["seed-0", "seed-1"]);
    assert_eq!(study.items(Tier::Full).len(), 4);
    let found: Vec<Row> = rows(&study.run("seed-1", &work)?)?;
    assert!(found.iter().all(|row| row.seed == 1));
    // eighteen before the first step and after the second
    let steps: Vec<u64> = found.iter().map(|row| row.step).collect();
    assert_eq!(steps, [[0; 18], [2; 18]].concat());
    assert!(study.run("seed-2", &work).is_err());
    Ok(())
}

#[test]
fn the_table_shows_what_the_root_of_the_number_of_values_finds() -> Result<()> {
    let row = |rule, batch_size, hill| Row {
        seed: 3,
        step: 10,
        accuracy: 0.5,
        batch_size,
        of: Of::Projection,
        rule,
        tail: 40,
        hill,
        extreme_value_index: None,
    };
    let index = Estimate {
        value: 2.0,
        interval: [1.5, 2.75],
    };
    let given = [
        row(Rule::Half, Some(8), None),
        row(Rule::Root, Some(8), Some(index)),
        row(Rule::Root, None, None),
        row(Rule::Double, Some(8), None),
    ];
    let text = study(TEXT).table(&given.map(|row| line(&row)))?;
    assert_eq!(
        lines_of(&text),
        [
            "seed step noise of k index by Hill 1/index by moments",
            "3 10 batches of 8 projection 40 2.00 [1.50, 2.75] undefined",
            "3 10 Gaussian projection 40 undefined undefined",
        ]
    );
    Ok(())
}

#[test]
fn sizes_of_batches_must_be_there_and_none_may_be_zero() -> Result<()> {
    study(TEXT).check("a.toml")?;
    for bad in ["[]", "[4, 0]"] {
        let said = study(&TEXT.replace("[1, 4]", bad)).check("a.toml");
        let said = said.expect_err("it is out of range").to_string();
        let wanted = "it must be a list of numbers that are at least 1";
        assert_eq!(said, format!("a.toml: batch_sizes is {bad}; {wanted}"));
    }
    Ok(())
}
