//! The forms where both factors are diagonal, so that every entry of a gradient can be weighted by hand, and in other units.

use super::*;
use approx::assert_relative_eq;

/// As large as the factors themselves, so that they show.
const DAMPINGS: Dampings = Dampings {
    printed: 0.3,
    pi_share: 0.5,
};

const INPUTS: usize = 2;
const OUTPUTS: usize = 3;

/// Examples of which one input and one output gradient are not 0: which input, what it is, which output, and its gradient. So neither
/// factor has anything off its diagonal, and a gradient has one entry. Some entries are met in two minibatches of two and others in one, or
/// every weighting would have the same ratio.
const EXAMPLES: [(usize, f64, usize, f64); 8] = [
    (0, 2.0, 0, 1.0),
    (1, 1.0, 1, 2.0),
    (0, 1.0, 0, 3.0),
    (1, 3.0, 1, 1.0),
    (0, 1.0, 2, 1.0),
    (1, 2.0, 2, -1.0),
    (1, 1.0, 0, 1.0),
    (0, 2.0, 1, -2.0),
];

/// What a layer sees of [`EXAMPLES`] when the loss is multiplied by `unit`.
fn layer(unit: f64) -> Result<LayerPair> {
    let mut inputs = [[0.0; INPUTS]; 8];
    let mut gradients = [[0.0; OUTPUTS]; 8];
    for (k, (i, a, o, g)) in EXAMPLES.into_iter().enumerate() {
        inputs[k][i] = a;
        gradients[k][o] = g * unit;
    }
    Ok(LayerPair {
        layer: "x".into(),
        inputs: Tensor::new(&inputs, &Device::Cpu)?.unsqueeze(1)?,
        gradients: Tensor::new(&gradients, &Device::Cpu)?.unsqueeze(1)?,
        bias: false,
        counted: None,
    })
}

/// The gradients of minibatches, each the mean of its examples', by output and input.
fn gradients(batch: usize) -> Vec<[[f64; INPUTS]; OUTPUTS]> {
    let mean = |examples: &[(usize, f64, usize, f64)]| {
        let mut mean = [[0.0; INPUTS]; OUTPUTS];
        for &(i, a, o, g) in examples {
            mean[o][i] += a * g / batch as f64;
        }
        mean
    };
    EXAMPLES.chunks(batch).map(mean).collect()
}

/// `m'W m / Tr(W S)` for a weight of each entry, by output and input.
fn weighted(batch: usize, weight: impl Fn(usize, usize) -> f64) -> f64 {
    let gradients = gradients(batch);
    let n = gradients.len() as f64;
    let (mut signal, mut noise) = (0.0, 0.0);
    for o in 0..OUTPUTS {
        for i in 0..INPUTS {
            let mean = gradients.iter().map(|m| m[o][i]).sum::<f64>() / n;
            let squares = gradients.iter().map(|m| (m[o][i] - mean).powi(2));
            signal += weight(o, i) * mean * mean;
            noise += weight(o, i) * squares.sum::<f64>() / (n - 1.0);
        }
    }
    signal / noise
}

#[test]
fn every_damping_weights_each_entry_as_its_formula_says() -> Result<()> {
    // the diagonals of the factors: mean squares over the eight examples
    let (mut a, mut g) = ([0.0; INPUTS], [0.0; OUTPUTS]);
    for (i, input, o, gradient) in EXAMPLES {
        a[i] += input * input / 8.0;
        g[o] += gradient * gradient / 8.0;
    }
    assert_eq!((a, g), ([1.25, 1.875], [1.375, 1.125, 0.25]));
    // six eigenvalues with the sum 3.125 * 2.75
    let lambda: f64 = 0.5 * (3.125 * 2.75 / 6.0);
    let pi = ((3.125f64 / 2.0) / (2.75 / 3.0)).sqrt();
    let (on_a, on_g) = (pi * lambda.sqrt(), lambda.sqrt() / pi);
    for batch in [1, 2] {
        let found = ratios(&[layer(1.0)?], batch, DAMPINGS)?;
        let expected = [
            weighted(batch, |o, i| 1.0 / (g[o] * a[i])),
            weighted(batch, |o, i| 1.0 / ((g[o] + 0.3) * (a[i] + 0.3))),
            weighted(batch, |o, i| 1.0 / ((g[o] + on_g) * (a[i] + on_a))),
        ];
        for (form, expected) in Form::KFAC.into_iter().zip(expected) {
            let found = found[form as usize].expect("there is noise");
            // the undamped form adds 1e-10 of the sum of eigenvalues, some 3e-9 of the least of them; the others err by rounding
            assert_relative_eq!(found, expected, max_relative = 1e-8);
        }
    }
    Ok(())
}

#[test]
fn a_minibatch_as_one_example_has_the_mean_gradient_of_its_examples() -> Result<()> {
    let batches = in_batches(&layer(1.0)?, 2)?;
    let found = products(&batches.inputs, &batches.gradients)?.to_vec3::<f64>()?;
    // halves of small whole numbers, without rounding
    let expected = gradients(2);
    let expected: Vec<_> = expected.iter().map(|m| m.map(Vec::from).to_vec()).collect();
    assert_eq!(found, expected);
    Ok(())
}

#[test]
fn a_loss_in_other_units_leaves_every_form_but_the_printed_one() -> Result<()> {
    let own = ratios(&[layer(1.0)?], 2, DAMPINGS)?;
    for unit in [1e-5, 1e5] {
        let other = ratios(&[layer(unit)?], 2, DAMPINGS)?;
        for form in Form::ALL {
            let [own, other] = [own, other].map(|r| r[form as usize].expect("there is noise"));
            if form == Form::KfacPrinted {
                // what it adds to the factor of gradients is then 1e10 times as large against it, or as small
                assert!((other / own - 1.0).abs() > 1e-2, "{own} {other}");
            } else {
                // some hundred operations in 64 bits
                assert_relative_eq!(other, own, max_relative = 1e-12);
            }
        }
    }
    Ok(())
}

#[test]
fn a_layer_that_no_gradient_reaches_adds_nothing_but_has_no_metric_unless_damped() -> Result<()> {
    let silent = LayerPair {
        layer: "y".into(),
        ..layer(0.0)?
    };
    let [plain, diagonal, _, printed, _] = ratios(&[layer(1.0)?], 1, DAMPINGS)?;
    let both = ratios(&[layer(1.0)?, silent.clone()], 1, DAMPINGS)?;
    assert!(plain.is_some());
    assert_eq!(both, [plain, diagonal, None, printed, None]);
    // nor is there a ratio where nothing else is
    assert_eq!(ratios(&[silent], 1, DAMPINGS)?, [None; 5]);
    Ok(())
}

#[test]
fn a_signal_above_the_noise_is_a_ratio_above_1_in_every_form() -> Result<()> {
    // gradients of one weight, 1 and 3: the squared mean is 4 and the variance 2, whatever both are weighted by
    let one = LayerPair {
        inputs: Tensor::new(&[[[1.0]], [[1.0]]], &Device::Cpu)?,
        gradients: Tensor::new(&[[[1.0]], [[3.0]]], &Device::Cpu)?,
        ..layer(1.0)?
    };
    for found in ratios(&[one], 1, DAMPINGS)? {
        // some ten operations in 64 bits
        assert_relative_eq!(found.expect("there is noise"), 2.0, max_relative = 1e-13);
    }
    Ok(())
}
