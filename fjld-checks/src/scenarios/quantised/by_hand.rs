//! Noise against its own draws, a run against rounding its network anew, and what people are shown.

use super::super::fixtures::{lines_of, quick};
use super::*;
use crate::precision::Scalar;
use candle_core::Device;

/// A study of a small network.
const TEXT: &str = r#"
schema = "fjld-scenario/1"
kind = "quantisation"
name = "small-quantisation"
about = "a network of four hidden units and a tenth of the digits"
claims = ["quantisation"]
bits = [3]
steps = { quick = 5, standard = 6, full = 7 }
charts = { quick = 2, standard = 3, full = 4 }

[training]
data = { name = "digits", test_share = 0.9 }
model = { kind = "mlp", hidden = [4] }
optimiser = "sgd"
batch_size = 20
learning_rate = 0.5

[tiers]
quick = { seeds = 2, time_budget = 1 }
standard = { seeds = 3, time_budget = 1 }
full = { seeds = 4, time_budget = 1 }
"#;

fn study() -> Quantised {
    toml::from_str(TEXT).expect("it is a study")
}

#[test]
fn noise_is_uniform_with_the_mean_square_of_the_rounding() -> Result<()> {
    let weights: [Scalar; 4] = [-0.75, 0.3125, 0.4375, 0.125];
    // three bits: multiples of a quarter, which are nearest at -0.75, 0.25, 0.5 and, half way, at 0.25
    let squares = 2.0 * 0.0625f64.powi(2) + 0.125f64.powi(2);
    // uniform on -h..h has the mean square h^2 / 3
    let h = (3.0 * squares / 4.0).sqrt();
    let value = Tensor::new(&[weights], &Device::Cpu)?;
    let var = Var::from_tensor(&value)?;
    let stream = Seed::root(5);
    set(&var, &value, Weights::Noisy(3), &mut stream.generator())?;
    let generator = &mut stream.generator();
    for (found, weight) in var
        .flatten_all()?
        .to_vec1::<Scalar>()?
        .into_iter()
        .zip(weights)
    {
        // the stream's numbers are uniform on 0..1
        let expected = f64::from(weight) - h + 2.0 * h * generator.random::<f64>();
        // two roundings of 32-bit numbers below 1
        let gap = f64::from(found) - expected;
        assert!(gap.abs() < 2e-7, "{found} {expected}");
    }
    Ok(())
}

#[test]
fn noise_grows_with_the_weights() -> Result<()> {
    let n = 400;
    let generator = &mut Seed::root(6).generator();
    let values: Vec<Scalar> = (0..n).map(|_| generator.random::<Scalar>() - 0.5).collect();
    for unit in [1e-3f64, 1e3] {
        let value = (Tensor::from_slice(&values, (20, 20), &Device::Cpu)? * unit)?;
        let var = Var::from_tensor(&value)?;
        let mut size = |weights| -> Result<Scalar> {
            set(&var, &value, weights, generator)?;
            let gap = (var.as_tensor() - &value)?.sqr()?.mean_all()?;
            Ok(gap.to_scalar::<Scalar>()?.sqrt())
        };
        let (rounded, noisy) = (size(Weights::Rounded(4))?, size(Weights::Noisy(4))?);
        // the root of a mean square over 400 uniform numbers is known to 2.2 hundredths, of which four
        assert!((noisy / rounded - 1.0).abs() < 0.09, "{noisy} {rounded}");
    }
    Ok(())
}

#[test]
fn a_run_rounds_the_networks_own_parameters_first_and_then_those_of_every_turn() -> Result<()> {
    let (study, work) = (study(), quick(7));
    let found: Vec<Row> = rows(&study.run("seed-1", &work)?)?;
    let order: Vec<_> = found.iter().map(|r| (r.seed, r.chart, r.weights)).collect();
    let each = [Weights::Float, Weights::Rounded(3), Weights::Noisy(3)];
    let expected = (0..=2).flat_map(|chart| each.map(|weights| (1, chart, weights)));
    assert_eq!(order, expected.collect::<Vec<_>>());

    // the same network, trained anew
    let seed = work.seed.derive("seed 1");
    study.training.along(seed, None, &[5], |moment| {
        let whole = || population_ratio(moment.model, moment.train, usize::MAX);
        assert_eq!(found[0].c, whole()?);
        for (_, var) in Objective::parameters(moment.model) {
            if var.rank() == 2 {
                let values = rounded(&var.flatten_all()?.to_vec1::<Scalar>()?, 3);
                var.set(&Tensor::from_vec(values, var.shape(), var.device())?)?;
            }
        }
        assert_eq!(found[1].c, whole()?);
        Ok(())
    })?;

    let by_chart = |at: usize| [0, 3, 6].map(|chart| found[chart + at].c.expect("gradients vary"));
    let [own, one, other] = by_chart(0);
    for turned in [one, other] {
        // a turn leaves C alone, up to sums of thousands of products of 32-bit numbers
        assert!((turned / own - 1.0).abs() < 1e-4, "{turned} {own}");
    }
    // but what is rounded are other numbers: by far more than such sums err
    let [own, one, other] = by_chart(1);
    for [a, b] in [[own, one], [own, other], [one, other]] {
        assert!((a / b - 1.0).abs() > 1e-3, "{a} {b}");
    }

    let said = study.run("seed-2", &work).expect_err("there are two seeds");
    let wanted = "\"small-quantisation\" has no piece of work \"seed-2\"";
    assert_eq!(said.to_string(), wanted);
    Ok(())
}

#[test]
fn the_table_says_what_was_done_to_the_weights_of_which_chart() -> Result<()> {
    let row = |chart, weights, c| Row {
        seed: 4,
        chart,
        weights,
        c,
        accuracy: 0.75,
    };
    let given = [
        row(0, Weights::Float, Some(0.125)),
        row(1, Weights::Rounded(8), None),
        row(2, Weights::Noisy(2), Some(2.5)),
    ];
    let text = study().table(&given.map(|row| line(&row)))?;
    assert_eq!(
        lines_of(&text),
        [
            "seed chart weights C accuracy",
            "4 0 float 0.125000 0.750",
            "4 1 8 bits undefined 0.750",
            "4 2 noise of 2 bits 2.500000 0.750",
        ]
    );
    Ok(())
}
