//! Cross-entropies by example, and single targets as examples.

use super::*;
use candle_nn::Module;
use fjld_core::capture::{
    OverTargets, Unit, counted_targets, cross_entropy, linear, one_target_each,
};

const PAD: u32 = 9;

fn targets() -> candle_core::Result<Tensor> {
    Tensor::new(&[[2u32, PAD, 0], [PAD, PAD, PAD], [1, 1, 2]], &Device::Cpu)
}

#[test]
fn equal_logits_cost_the_logarithm_of_the_number_of_classes() -> Result<()> {
    let logits = Tensor::zeros((3, 3, 3), DType::F64, &Device::Cpu)?;
    let ln3 = 3f64.ln();
    for (over, expected) in [
        (OverTargets::Sum, [2.0 * ln3, 0.0, 3.0 * ln3]),
        (OverTargets::Mean, [ln3, 0.0, ln3]),
    ] {
        let losses = cross_entropy(&logits, &targets()?, Some(PAD), over)?.to_vec1::<f64>()?;
        for (got, expected) in losses.iter().zip(expected) {
            approx::assert_relative_eq!(*got, expected, max_relative = 1e-15);
        }
    }
    let mask = counted_targets(&targets()?, Some(PAD))?.to_vec2::<u8>()?;
    assert_eq!(mask, [[1, 0, 1], [0, 0, 0], [1, 1, 1]]);
    Ok(())
}

#[test]
fn a_single_target_an_example_costs_what_candle_says() -> Result<()> {
    let (_, mut generator) = seeded("one target");
    let logits = normal(&mut generator, &[4, 5])?;
    let targets = Tensor::new(&[4u32, 0, 2, 2], &Device::Cpu)?;
    let ours = cross_entropy(&logits, &targets, None, OverTargets::Sum)?.mean(0)?;
    let candles = candle_nn::loss::cross_entropy(&logits, &targets)?;
    approx::assert_relative_eq!(
        ours.to_scalar::<f64>()?,
        candles.to_scalar::<f64>()?,
        max_relative = 1e-14
    );
    Ok(())
}

#[test]
fn what_does_not_count_has_no_gradient_even_where_it_is_infinite() -> Result<()> {
    let logits = Tensor::new(&[[[f64::NEG_INFINITY, 0.0], [1.0, 2.0]]], &Device::Cpu)?;
    let bias = candle_core::Var::zeros((1, 2, 2), DType::F64, &Device::Cpu)?;
    let targets = Tensor::new(&[[1u32, PAD]], &Device::Cpu)?;
    let z = (logits.narrow(1, 1, 1)?.broadcast_as((1, 2, 2))? + bias.as_tensor())?;
    let loss = cross_entropy(&z, &targets, Some(PAD), OverTargets::Mean)?.sum_all()?;
    let gradients = loss.backward()?;
    let gradient = gradients
        .get(&bias)
        .expect("it takes part")
        .to_vec3::<f64>()?;
    // softmax(1, 2) - (0, 1) at the target that counts
    let p = 1.0 / (1.0 + 1f64.exp());
    for (got, expected) in gradient[0].iter().flatten().zip([p, -p, 0.0, 0.0]) {
        approx::assert_abs_diff_eq!(*got, expected, epsilon = 1e-15);
    }
    // the class that stands in for an ignored one is impossible at the first position
    let ignored = Tensor::new(&[[PAD, 1]], &Device::Cpu)?;
    let loss = cross_entropy(&logits, &ignored, Some(PAD), OverTargets::Sum)?;
    approx::assert_relative_eq!(
        loss.to_vec1::<f64>()?[0],
        -(1.0 - p).ln(),
        max_relative = 1e-14
    );
    Ok(())
}

#[test]
fn every_target_becomes_an_example_of_its_own() -> Result<()> {
    let (rows, alone) = one_target_each(&targets()?, PAD)?;
    assert_eq!(rows.to_vec1::<u32>()?, [0, 0, 2, 2, 2]);
    assert_eq!(
        alone.to_vec2::<u32>()?,
        [
            [2, PAD, PAD],
            [PAD, PAD, 0],
            [1, PAD, PAD],
            [PAD, 1, PAD],
            [PAD, PAD, 2]
        ]
    );
    let bytes = Tensor::new(&[[7u8, 255]], &Device::Cpu)?;
    let (_, alone) = one_target_each(&bytes, 1000)?;
    assert_eq!(alone.to_vec2::<u32>()?, [[7, 1000], [1000, 255]]);
    Ok(())
}

#[test]
fn gradients_of_tokens_add_up_to_the_gradient_of_their_example() -> Result<()> {
    let (vars, mut generator) = seeded("tokens");
    let builder = vars.builder(DType::F64, &Device::Cpu);
    let (first, head) = (
        linear(4, 4, builder.pp("first"))?,
        linear(4, 3, builder.pp("head"))?,
    );
    let inputs = normal(&mut generator, &[3, 3, 4])?;
    // every position hears of all others, as in attention
    let logits = |x: &Tensor| {
        let hidden = first.forward(x)?.tanh()?;
        head.forward(&hidden.broadcast_add(&hidden.sum_keepdim(1)?.tanh()?)?)
    };
    let rows_of = |examples: usize, unit: Unit, x: &Tensor, targets: &Tensor| -> Result<_> {
        let captured = Capture::new(examples, Reduction::Sum)
            .unit(unit)
            .rows()
            .run(&vars.named(), || {
                cross_entropy(&logits(x)?, targets, Some(PAD), OverTargets::Sum)?.sum_all()
            })?;
        Ok(captured.statistics.rows()?.expect("asked for"))
    };
    let examples = rows_of(3, Unit::Example, &inputs, &targets()?)?;
    let (rows, alone) = one_target_each(&targets()?, PAD)?;
    let tokens = rows_of(5, Unit::Token, &inputs.index_select(&rows, 0)?, &alone)?;
    let added = examples.zeros_like()?.index_add(&rows, &tokens, 0)?;
    let gap = (added - examples)?.abs()?.flatten_all()?.max(0)?;
    assert!(gap.to_scalar::<f64>()? < TOLERANCE);
    Ok(())
}

#[test]
fn examples_of_padding_leave_the_draws() -> Result<()> {
    let (vars, mut generator) = seeded("padding");
    let head = linear(4, 3, vars.builder(DType::F64, &Device::Cpu))?;
    let inputs = normal(&mut generator, &[3, 3, 4])?;
    let captured = Capture::new(3, Reduction::Sum)
        .counted(counted_targets(&targets()?, Some(PAD))?)
        .run(&vars.named(), || {
            let logits = head.forward(&inputs)?;
            cross_entropy(&logits, &targets()?, Some(PAD), OverTargets::Mean)?.sum_all()
        })?;
    assert_eq!(captured.statistics.samples(), 2);
    Ok(())
}

#[test]
fn targets_that_do_not_fit_are_refused_with_their_value() -> Result<()> {
    let logits = Tensor::zeros((2, 3), DType::F64, &Device::Cpu)?;
    let error = |targets: Tensor| {
        cross_entropy(&logits, &targets, Some(PAD), OverTargets::Sum)
            .expect_err("it does not fit")
            .to_string()
    };
    let new = |targets: [i64; 2]| Tensor::new(&targets, &Device::Cpu);
    assert_eq!(
        error(new([0, 3])?),
        "a target is 3; with 3 classes it must be 0 to 2"
    );
    assert_eq!(
        error(new([-100, 0])?),
        "a target is -100; with 3 classes it must be 0 to 2"
    );
    assert_eq!(
        error(new([0, 1])?.to_dtype(DType::F32)?),
        "targets are of type F32; they must be u8, u32 or i64"
    );
    let shapes = error(new([0, 1])?.reshape((2, 1))?);
    assert!(
        shapes.starts_with("logits of shape [2, 3] were given with targets of shape [2, 1]"),
        "{shapes}"
    );
    let none = one_target_each(&Tensor::new(&[[PAD, PAD]], &Device::Cpu)?, PAD);
    assert!(
        none.expect_err("nothing counts")
            .to_string()
            .contains("at least one must count")
    );
    Ok(())
}

#[test]
fn a_loss_is_its_formula_inside_a_capture_and_outside() -> Result<()> {
    let (_, mut generator) = seeded("formula");
    // logits far from 0, of which no exponential is finite
    let logits = (normal(&mut generator, &[3, 3, 3])? + 1000.0)?;
    let (z, y) = (logits.to_vec3::<f64>()?, targets()?.to_vec2::<u32>()?);
    for over in [OverTargets::Sum, OverTargets::Mean] {
        let own = || cross_entropy(&logits, &targets()?, Some(PAD), over);
        for losses in [own()?, inside(own)?] {
            let losses = losses.to_vec1::<f64>()?;
            for ((loss, z), y) in losses.iter().zip(&z).zip(&y) {
                let counted: Vec<f64> = z
                    .iter()
                    .zip(y)
                    .filter(|&(_, &y)| y != PAD)
                    .map(|(z, &y)| {
                        z.iter()
                            .map(|k| (k - z[y as usize]).exp())
                            .sum::<f64>()
                            .ln()
                    })
                    .collect();
                let sum: f64 = counted.iter().sum();
                let expected = match over {
                    OverTargets::Sum => sum,
                    OverTargets::Mean => sum / counted.len().max(1) as f64,
                };
                // candle's logarithm is taken off a logit of 1000, and rounded with it
                assert!((loss - expected).abs() < 1e-12, "{loss} against {expected}");
            }
        }
    }
    Ok(())
}

#[test]
fn examples_without_targets_cost_nothing_and_no_examples_have_no_losses() -> Result<()> {
    for (shape, expected) in [([2, 0, 3], vec![0.0, 0.0]), ([0, 2, 3], vec![])] {
        let logits = Tensor::zeros(&shape[..], DType::F64, &Device::Cpu)?;
        let targets = Tensor::zeros(&shape[..2], DType::U32, &Device::Cpu)?;
        for over in [OverTargets::Sum, OverTargets::Mean] {
            let own = || cross_entropy(&logits, &targets, None, over)?.to_vec1::<f64>();
            assert_eq!(own()?, expected, "{shape:?}");
            assert_eq!(inside(own)?, expected, "{shape:?} in a capture");
        }
    }
    Ok(())
}
