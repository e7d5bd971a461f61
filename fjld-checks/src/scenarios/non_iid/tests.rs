//! Ways through a stream against the passes of single examples, and what a study says of them.

use super::super::fixtures::{linear_classifier, lines_of, quick};
use super::super::models::Model;
use super::*;
use crate::precision::Scalar;
use approx::assert_relative_eq;
use candle_core::Device;
use fjld_core::capture::flat_gradient;

/// A study of a network without a hidden layer.
const TEXT: &str = r#"
schema = "fjld-scenario/1"
kind = "non-iid"
name = "small-streams"
about = "a linear classifier of a tenth of the digits"
claims = ["non-iid"]
steps = 2
repeats = { quick = 2, standard = 2, full = 2 }

[training]
data = { name = "digits", test_share = 0.9 }
model = { kind = "mlp", hidden = [] }
optimiser = "sgd"
batch_size = 20
learning_rate = 0.5

[stream]
draws = 10
batch_size = 3
windows = [3]
first_reading = 4
every = 3

[tiers]
quick = { seeds = 2, time_budget = 1 }
standard = { seeds = 3, time_budget = 1 }
full = { seeds = 4, time_budget = 1 }
"#;

const LABELS: [u32; 7] = [0, 1, 2, 0, 1, 0, 2];

fn study(text: &str) -> NonIid {
    toml::from_str(text).expect("it is a study")
}

/// A linear classifier of seven points of a plane.
struct Small {
    model: Model,
    train: (Tensor, Tensor),
}

impl Small {
    fn new() -> Result<Self> {
        let device = Device::Cpu;
        let points: [[Scalar; 2]; 7] = [
            [1.0, 0.5],
            [-0.3, 0.8],
            [0.2, -1.1],
            [0.9, 0.4],
            [-0.7, -0.6],
            [0.1, 1.3],
            [1.2, -0.2],
        ];
        Ok(Self {
            model: linear_classifier()?,
            train: (
                Tensor::new(&points, &device)?,
                Tensor::new(&LABELS, &device)?,
            ),
        })
    }

    fn moment(&self) -> Moment<'_> {
        Moment {
            model: &self.model,
            train: &self.train,
            test: &self.train,
            step: 0,
        }
    }

    /// The mean gradient of some examples, by a backward pass of their own.
    fn gradient(&self, picked: &[u32]) -> Result<Vec<f64>> {
        let picked = Tensor::new(picked, &Device::Cpu)?;
        let batch = (
            self.train.0.index_select(&picked, 0)?,
            self.train.1.index_select(&picked, 0)?,
        );
        let gradient = flat_gradient(&self.model, &batch)?.to_vec1::<Scalar>()?;
        Ok(gradient.into_iter().map(f64::from).collect())
    }

    fn values(&self) -> Result<Vec<Vec<Scalar>>> {
        let parameters = Objective::parameters(&self.model).iter();
        let values = parameters.map(|(_, var)| Ok(var.flatten_all()?.to_vec1()?));
        values.collect()
    }

    /// A step of length 1/2 along a gradient.
    fn step(&self, gradient: &[f64]) -> Result<()> {
        let mut gradient = gradient.iter();
        for ((_, var), values) in Objective::parameters(&self.model)
            .iter()
            .zip(self.values()?)
        {
            let moved = values.iter().zip(gradient.by_ref());
            let moved: Vec<Scalar> = moved.map(|(v, g)| v - 0.5 * *g as Scalar).collect();
            var.set(&Tensor::from_vec(moved, var.shape(), &Device::Cpu)?)?;
        }
        Ok(())
    }
}

/// `|mean|^2` over the summed variance of gradients that have these chances.
fn ratio(gradients: &[Vec<f64>], chances: &[f64]) -> f64 {
    let average = |of: &dyn Fn(&[f64]) -> f64| -> f64 {
        let all = gradients.iter().zip(chances);
        all.map(|(g, p)| p * of(g)).sum()
    };
    let (mut signal, mut noise) = (0.0, 0.0);
    for j in 0..gradients[0].len() {
        let mean = average(&|g| g[j]);
        signal += mean * mean;
        noise += average(&|g| (g[j] - mean).powi(2));
    }
    signal / noise
}

/// What a way through a stream should find, from backward passes alone: windows of three, and all draws.
fn expected(
    stream: Stream,
    parameters: Parameters,
    generator: &mut Generator,
) -> Result<Vec<Vec<(f64, f64)>>> {
    let small = Small::new()?;
    let own = [vec![0, 3, 5], vec![1, 4], vec![2, 6]];
    let (mut past, mut found) = (Vec::new(), vec![Vec::new(); 2]);
    for at in 0..10 {
        let shares = stream.mixture(3, at, 10);
        let chance = |label: &u32| shares[*label as usize] / own[*label as usize].len() as f64;
        let singles = (0..7).map(|i| small.gradient(&[i]));
        let singles = singles.collect::<Result<Vec<_>>>()?;
        let truth = 3.0 * ratio(&singles, &LABELS.iter().map(chance).collect::<Vec<_>>());
        let gradient = small.gradient(&draw(&shares, &own, 3, generator))?;
        if parameters == Parameters::Training {
            small.step(&gradient)?;
        }
        past.push(gradient);
        // the first reading is behind the fourth draw, and then they are three draws apart
        if [4, 7, 10].contains(&past.len()) {
            for (found, last) in found.iter_mut().zip([3, past.len()]) {
                let n = last as f64;
                let plain = ratio(&past[past.len() - last..], &vec![1.0 / n; last]);
                // the variance of a sample has the divisor n - 1, and 1/n is taken off
                found.push((plain * (n - 1.0) / n - 1.0 / n, truth));
            }
        }
    }
    Ok(found)
}

#[test]
fn estimates_and_truths_along_a_stream_are_those_of_backward_passes() -> Result<()> {
    for stream in [Stream::Stationary, Stream::Drifting] {
        for parameters in [Parameters::Fixed, Parameters::Training] {
            let small = Small::new()?;
            let start = Start::of(&small.moment())?;
            let way = (stream, parameters);
            let generator = || Seed::root(3).generator();
            let found = study(TEXT).pass(&small.moment(), way, &start, &mut generator())?;
            let expected = expected(stream, parameters, &mut generator())?;
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                assert_eq!(found.len(), expected.len());
                for (found, expected) in found.iter().zip(expected) {
                    // gradients of order 1 in f32, and some steps along them
                    assert_relative_eq!(found.0, expected.0, epsilon = 1e-4, max_relative = 1e-4);
                    assert_relative_eq!(found.1, expected.1, max_relative = 1e-4);
                }
            }
        }
    }
    Ok(())
}

#[test]
fn the_gradient_of_a_minibatch_is_the_mean_of_its_examples_as_often_as_they_were_drawn()
-> Result<()> {
    let small = Small::new()?;
    let drawn = [6, 1, 1, 4, 0];
    let found = Start::of(&small.moment())?.mean_of(&drawn);
    let expected = small.gradient(&drawn)?;
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        // sums of five gradients of order 1 in f32
        assert_relative_eq!(f64::from(*found), *expected, epsilon = 1e-6);
    }
    Ok(())
}

#[test]
fn every_way_begins_where_the_first_one_did() -> Result<()> {
    let small = Small::new()?;
    let start = Start::of(&small.moment())?;
    let before = small.values()?;
    small.step(&small.gradient(&[0, 1])?)?;
    assert_ne!(small.values()?, before);
    start.restore()?;
    assert_eq!(small.values()?, before);
    Ok(())
}

#[test]
fn every_seed_is_a_piece_of_work_with_a_row_for_each_stream_and_window() -> Result<()> {
    let study = study(TEXT);
    let work = quick(7);
    assert_eq!(study.items(work.tier), ["seed-0", "seed-1"]);
    assert_eq!(study.items(Tier::Full).len(), 4);
    let found: Vec<Row> = rows(&study.run("seed-1", &work)?)?;
    let named = |row: &Row| (row.stream, row.parameters, row.window);
    let named: Vec<_> = found.iter().map(named).collect();
    let mut wanted = Vec::new();
    for stream in [Stream::Stationary, Stream::Drifting] {
        for parameters in [Parameters::Fixed, Parameters::Training] {
            wanted.extend([Some(3), None].map(|window| (stream, parameters, window)));
        }
    }
    assert_eq!(named, wanted);
    for row in &found {
        assert_eq!(row.seed, 1);
        // behind the draws 4, 7 and 10
        assert_eq!((row.bias.len(), row.deviation.len()), (3, 3));
    }
    assert!(study.run("seed-2", &work).is_err());
    Ok(())
}

#[test]
fn the_table_shows_the_mean_size_of_the_bias_and_the_mean_deviation() -> Result<()> {
    let row = |stream, parameters, window| Row {
        seed: 3,
        stream,
        parameters,
        window,
        bias: vec![-0.1, 0.3],
        deviation: vec![0.25, 0.5],
    };
    let given = [
        row(Stream::Stationary, Parameters::Fixed, Some(6)),
        row(Stream::Drifting, Parameters::Training, None),
    ];
    let text = study(TEXT).table(&given.map(|row| line(&row)))?;
    assert_eq!(
        lines_of(&text),
        [
            "seed stream parameters draws bias (relative, mean size) deviation",
            "3 stationary fixed 6 0.200 0.375",
            "3 drifting training all 0.200 0.375",
        ]
    );
    Ok(())
}

#[test]
fn a_stream_out_of_range_is_named_with_what_is_accepted() -> Result<()> {
    study(TEXT).check("a.toml")?;
    let both = "both must be at least 1";
    let between = "it must be a list of numbers between 2 and first_reading, 4";
    for (good, bad, said) in [
        (
            "batch_size = 3\n",
            "batch_size = 0\n",
            format!("batch_size is 0 and every is 3; {both}"),
        ),
        (
            "every = 3",
            "every = 0",
            format!("batch_size is 3 and every is 0; {both}"),
        ),
        (
            "first_reading = 4",
            "first_reading = 11",
            "first_reading is 11; it must be between 2 and draws, 10".to_owned(),
        ),
        (
            "windows = [3]",
            "windows = []",
            format!("windows is []; {between}"),
        ),
        (
            "windows = [3]",
            "windows = [3, 5]",
            format!("windows is [3, 5]; {between}"),
        ),
    ] {
        let refused = study(&TEXT.replace(good, bad)).check("a.toml");
        let refused = refused.expect_err("it is out of range").to_string();
        assert_eq!(refused, format!("a.toml: stream.{said}"));
    }
    Ok(())
}
