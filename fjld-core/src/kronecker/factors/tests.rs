//! The factors against pencil, scale by scale.

use super::*;
use crate::fisher::Curvature;
use candle_core::{DType, Device, Tensor};
use faer::mat;

const SETTINGS: [Setting; 2] = [Setting::Expand, Setting::Reduce];

fn pair(inputs: &Tensor, gradients: &Tensor, bias: bool) -> LayerPair {
    LayerPair {
        layer: "fc".into(),
        inputs: inputs.clone(),
        gradients: gradients.clone(),
        bias,
        counted: None,
    }
}

fn tensor<const T: usize, const F: usize>(rows: &[[[f64; F]; T]]) -> Tensor {
    let flat: Vec<f64> = rows.iter().flatten().flatten().copied().collect();
    Tensor::from_vec(flat, (rows.len(), T, F), &Device::Cpu).expect("it has this shape")
}

fn factors(pair: &LayerPair, setting: Setting) -> Result<Factors> {
    let mut factors = Factors::for_layer(pair, setting)?;
    factors.push(pair)?;
    Ok(factors)
}

#[test]
fn constant_positions_are_exact_reduced_and_too_small_by_their_number_expanded() -> Result<()> {
    // a = (2, 3) and the bias's 1, g = 5 at each of four positions: the gradient is 20 (2, 3, 1)
    let pair = pair(
        &tensor(&[[[2.0, 3.0]; 4]; 2]),
        &tensor(&[[[5.0]; 4]; 2]),
        true,
    );
    let truth = mat![[4.0, 6.0, 2.0], [6.0, 9.0, 3.0], [2.0, 3.0, 1.0]] * Scale(400.0);
    let [expanded, reduced] = SETTINGS.map(|s| factors(&pair, s));
    assert_eq!(reduced?.kronecker()?.to_dense(), truth);
    assert_eq!(expanded?.kronecker()?.to_dense() * Scale(4.0), truth);
    Ok(())
}

#[test]
fn a_loss_twice_as_large_has_four_times_the_gradient_factor_and_the_same_inputs() -> Result<()> {
    let (a, g) = (
        tensor(&[[[0.1, 0.7], [0.3, -0.2]]]),
        tensor(&[[[0.3], [1.7]]]),
    );
    for setting in SETTINGS {
        let plain = factors(&pair(&a, &g, true), setting)?;
        let doubled = factors(&pair(&a, &(&g * 2.0)?, true), setting)?;
        // powers of two scale without rounding
        let expected = plain.gradient_factor()?.to_dense() * Scale(4.0);
        assert_eq!(doubled.gradient_factor()?.to_dense(), expected);
        assert_eq!(doubled.foof()?.to_dense(), plain.foof()?.to_dense());
    }
    Ok(())
}

#[test]
fn padding_is_as_good_as_removed() -> Result<()> {
    let (a, g) = (
        tensor(&[[[1.5, -2.0], [0.5, 4.0]], [[3.0, 1.0], [2.0, 2.5]]]),
        tensor(&[[[1.0], [3.0]], [[-2.0], [0.5]]]),
    );
    let long = |t: &Tensor| -> Result<Tensor> {
        let junk = t.narrow(1, 0, 1)?.affine(0.0, f64::NAN)?;
        Ok(Tensor::cat(&[&junk, t], 1)?)
    };
    for setting in SETTINGS {
        let short = factors(&pair(&a, &g, true), setting)?;
        let mut padded = pair(&long(&a)?, &long(&g)?, true);
        padded.counted = Some(Tensor::new(&[[0u8, 1, 1], [0, 1, 1]], &Device::Cpu)?);
        let padded = factors(&padded, setting)?;
        assert_eq!(padded.positions(), 4.0);
        assert_eq!(
            padded.kronecker()?.to_dense(),
            short.kronecker()?.to_dense()
        );
    }
    Ok(())
}

#[test]
fn a_wholly_padded_example_halves_the_block_of_two() -> Result<()> {
    // its gradient is zero, so the mean over both is half of the other's
    let mut pair = pair(
        &tensor(&[[[3.0]], [[f64::NAN]]]),
        &tensor(&[[[2.0]], [[7.0]]]),
        false,
    );
    pair.counted = Some(Tensor::new(&[[1u8], [0]], &Device::Cpu)?);
    for setting in SETTINGS {
        assert_eq!(
            factors(&pair, setting)?.kronecker()?.to_dense(),
            mat![[18.0]]
        );
    }
    Ok(())
}

#[test]
fn numbers_of_few_bits_are_widened_before_they_are_summed() -> Result<()> {
    // 2^24 + 1 needs more bits than a 32-bit sum has; every product here is exact
    let large = Tensor::from_vec(vec![4096f32, 1.0], (2, 1, 1), &Device::Cpu)?;
    for dtype in [DType::F32, DType::BF16] {
        let large = large.to_dtype(dtype)?;
        let factors = factors(&pair(&large, &large, false), Setting::Expand)?;
        let expected = mat![[(16_777_216.0 + 1.0) / 2.0]];
        assert_eq!(factors.input_factor()?.to_dense(), expected);
        assert_eq!(factors.gradient_factor()?.to_dense(), expected);
    }
    Ok(())
}

#[test]
fn decay_keeps_its_weight_so_that_means_are_unbiased_from_the_first_push() -> Result<()> {
    let step = |v: f64| pair(&tensor(&[[[v]]]), &tensor(&[[[1.0]]]), false);
    let mut decayed = Factors::for_layer(&step(1.0), Setting::Expand)?;
    for (v, expected) in [
        (2.0, 4.0),
        // (4 * 3/4 + 16) / (3/4 + 1)
        (4.0, 19.0 / 1.75),
    ] {
        decayed.decay(0.75)?;
        decayed.push(&step(v))?;
        let got = decayed.input_factor()?.matrix()[(0, 0)];
        approx::assert_relative_eq!(got, expected, max_relative = 1e-15);
    }
    assert_eq!(decayed.gradient_factor()?.to_dense(), mat![[1.0]]);
    assert_eq!(decayed.examples(), 1.75);
    for keep in [0.0, 1.5, f64::NAN] {
        assert!(decayed.decay(keep).is_err());
    }
    Ok(())
}

#[test]
fn what_belongs_to_another_layer_or_holds_nothing_is_refused() -> Result<()> {
    let (a, g) = (tensor(&[[[1.0, 2.0]]]), tensor(&[[[1.0]]]));
    let here = pair(&a, &g, true);
    let mut empty = Factors::for_layer(&here, Setting::Expand)?;
    assert_eq!(
        empty.input_factor().expect_err("empty").to_string(),
        "in `fc`: 0 samples were given; a Kronecker factor needs at least 1"
    );
    assert!(empty.push_columns(&[]).is_err());
    let message = |pair: &LayerPair, factors: &mut Factors| match factors.push(pair) {
        Ok(()) => "accepted".to_string(),
        Err(e) => e.to_string(),
    };
    assert_eq!(
        message(&pair(&a, &g, false), &mut empty),
        "the layers are [\"fc without bias\"]; those of the first push were [\"fc with bias\"]"
    );
    assert_eq!(
        message(&pair(&tensor(&[[[1.0]]]), &g, true), &mut empty),
        "in `fc`: the last axis of the inputs has length 2; it must have length 3"
    );
    let longer = pair(&tensor(&[[[1.0, 2.0]; 2]]), &tensor(&[[[1.0]; 2]]), true);
    assert!(empty.push_columns(&[here.clone(), longer]).is_err());
    assert_eq!(empty.examples(), 0.0);
    assert!(
        empty
            .merge(&Factors::for_layer(&here, Setting::Reduce)?)
            .is_err()
    );
    Ok(())
}

#[test]
fn decay_weighs_examples_and_positions_alike() -> Result<()> {
    // two examples of three positions
    let pair = pair(&tensor(&[[[1.0]; 3]; 2]), &tensor(&[[[1.0]; 3]; 2]), false);
    for setting in SETTINGS {
        let mut decayed = factors(&pair, setting)?;
        decayed.decay(0.25)?;
        assert_eq!((decayed.examples(), decayed.positions()), (0.5, 1.5));
        decayed.push(&pair)?;
        assert_eq!((decayed.examples(), decayed.positions()), (2.5, 7.5));
    }
    Ok(())
}

#[test]
fn factors_are_merged_with_those_of_the_very_same_layer_only() -> Result<()> {
    let here = pair(&tensor(&[[[1.0, 2.0]]]), &tensor(&[[[1.0]]]), true);
    let mut own = factors(&here, Setting::Expand)?;
    let elsewhere = LayerPair {
        layer: "head".into(),
        ..here.clone()
    };
    // as many sides as two inputs with a bias have
    let unbiased = pair(&tensor(&[[[1.0, 2.0, 1.0]]]), &tensor(&[[[1.0]]]), false);
    for (other, named) in [(elsewhere, "head with bias"), (unbiased, "fc without bias")] {
        let refused = own.merge(&factors(&other, Setting::Expand)?);
        assert_eq!(
            refused.expect_err("another layer").to_string(),
            format!(
                "the layers are [\"{named}\"]; those of the first push were [\"fc with bias\"]"
            )
        );
        assert_eq!(own.examples(), 1.0);
    }
    own.merge(&factors(&here, Setting::Expand)?)?;
    assert_eq!(own.examples(), 2.0);
    Ok(())
}

/// With the sums [[10, -1, 4], [-1, 5, 1], [4, 1, 2]] and [[5, -7.5], [-7.5, 16.25]].
fn of_two_examples() -> Result<Factors> {
    let pair = pair(
        &tensor(&[[[1.0, 2.0]], [[3.0, -1.0]]]),
        &tensor(&[[[1.0, 0.5]], [[-2.0, 4.0]]]),
        true,
    );
    factors(&pair, Setting::Expand)
}

#[test]
fn factors_are_sent_as_two_matrices_and_three_weights() -> Result<()> {
    let own = of_two_examples()?;
    // triangles of 6 and 3 numbers
    let weights = 3 * 8;
    let (arrived, bytes) = own.send(Compression::None)?;
    assert_eq!(bytes, 6 * 8 + 3 * 8 + weights);
    assert_eq!(arrived.examples(), 2.0);
    assert_eq!(arrived.positions(), 2.0);
    assert_eq!(arrived.kronecker()?.to_dense(), own.kronecker()?.to_dense());
    // triangles of 24 and 12 bits, in whole bytes, with a scale of 4 bytes for each row
    let (_, bytes) = own.send(Compression::Bits(4))?;
    assert_eq!(bytes, (3 + 3 * 4) + (2 + 2 * 4) + weights);
    Ok(())
}

#[test]
fn both_sums_arrive_as_what_the_compression_leaves_of_them() -> Result<()> {
    let own = of_two_examples()?;
    let (arrived, _) = own.send(Compression::Bits(4))?;
    for (own, arrived) in [
        (&own.sums.inputs, &arrived.sums.inputs),
        (&own.sums.gradients, &arrived.sums.gradients),
    ] {
        let (left, _) = Compression::Bits(4).send(own.as_ref())?;
        // four bits are too few for them
        assert_ne!(left, *own);
        assert_eq!(*arrived, left);
    }
    Ok(())
}
