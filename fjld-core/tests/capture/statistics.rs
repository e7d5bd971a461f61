//! What statistics say of gradients that are known.

use super::*;
use approx::assert_relative_eq;
use candle_nn::Module;
use fjld_core::Undefined;
use fjld_core::capture::{Share, Statistics, linear, linear_no_bias};

/// Draws that are these rows: the gradients of a weight `[1, d]` are its layer's inputs.
fn given(name: &str, draws: &[&[f64]], dtype: DType, capture: Capture) -> Result<Statistics> {
    let (vars, _) = seeded("given");
    let d = draws[0].len();
    let layer = linear_no_bias(d, 1, vars.builder(dtype, &Device::Cpu).pp(name))?;
    let inputs = Tensor::from_vec(draws.concat(), (draws.len(), d), &Device::Cpu)?;
    let inputs = inputs.to_dtype(dtype)?;
    let captured = capture.run(&vars.named(), || layer.forward(&inputs)?.sum_all())?;
    Ok(captured.statistics)
}

fn sums(draws: usize) -> Capture {
    Capture::new(draws, Reduction::Sum)
}

#[test]
fn a_share_without_bias_is_the_ratio_less_one_over_the_draws() {
    let share = Share {
        name: "layer".into(),
        coordinates: 7,
        samples: 4,
        signal: 3.0,
        noise: 2.0,
        rounding_floor: 1e-12,
    };
    // 3/2 - 1/4
    assert_eq!(share.debiased(), Some(1.25));
    // what is no more than rounding is no noise, nor is nothing
    let of = |noise, rounding_floor| Share {
        noise,
        rounding_floor,
        ..share.clone()
    };
    assert_eq!(of(2.0, 2.0).debiased(), None);
    assert_eq!(of(0.0, 0.0).debiased(), None);
}

#[test]
fn a_share_is_known_to_sixteen_roundings_of_every_squared_norm() -> Result<()> {
    let draws: [&[f64]; 4] = [&[3.0, 4.0], &[0.0, 5.0], &[5.0, 0.0], &[1.0, -1.0]];
    for (dtype, resolution) in [
        (DType::F32, f64::from(f32::EPSILON)),
        (DType::F64, f64::EPSILON),
    ] {
        let share = given("layer", &draws, dtype, sums(4))?.parameters()[0].share()?;
        // squares of 25 + 25 + 25 + 2, and a sum of (9, 8)
        assert_relative_eq!(share.signal, 145.0 / 16.0, max_relative = 1e-14);
        assert_relative_eq!(
            share.noise,
            (77.0 - 145.0 / 4.0) / 3.0,
            max_relative = 1e-14
        );
        let floor = 16.0 * resolution * 77.0 / 3.0;
        assert_relative_eq!(
            share.rounding_floor,
            floor,
            epsilon = 0.0,
            max_relative = 1e-14
        );
    }
    Ok(())
}

#[test]
fn gradients_that_are_zero_have_no_ratio() -> Result<()> {
    let statistics = given("layer", &[[0.0; 5].as_slice(); 4], DType::F64, sums(4))?;
    let share = statistics.whole()?;
    assert_eq!((share.signal, share.noise), (0.0, 0.0));
    // each of 4 x 5 squares may have lost what is below the least number of full precision
    let floor = 20.0 * f64::MIN_POSITIVE / 3.0;
    // relative alone: any two numbers of this size are near each other
    assert_relative_eq!(
        share.rounding_floor,
        floor,
        epsilon = 0.0,
        max_relative = 1e-14
    );
    assert_eq!(share.debiased(), None);
    assert!(matches!(
        statistics.ratio(0.95)?.estimates,
        Err(Undefined::NoiseVanished { .. })
    ));
    Ok(())
}

#[test]
fn a_spread_of_one_part_in_a_hundred_thousand_is_noise_in_double_precision_only() -> Result<()> {
    let near = |part: f64| 1.0 + 1e-5 * part;
    let draws = [[near(1.0)], [near(-1.0)], [near(2.0)], [near(-2.0)]];
    let draws = draws.each_ref().map(|draw| draw.as_slice());
    let estimates = |dtype| -> Result<_> {
        Ok(given("layer", &draws, dtype, sums(4))?
            .ratio(0.95)?
            .estimates)
    };
    // a mean of 1 and a variance of (1 + 1 + 4 + 4) / 3 x 1e-10, six digits of which cancel in a difference of squares
    let plug_in = estimates(DType::F64)?.expect("noise").plug_in;
    assert_relative_eq!(plug_in, 3e9, max_relative = 1e-4);
    assert!(matches!(
        estimates(DType::F32)?,
        Err(Undefined::NoiseVanished { .. })
    ));
    Ok(())
}

#[test]
fn the_interval_is_there_down_to_the_noise_from_which_the_ratio_is() -> Result<()> {
    // 512 along the mean and 1 across, exact in single precision: a trace of 1, half as much again as the floor of
    // 4/3 x 16 x 2^-23 x (512^2 + 1)
    let mut draws = [[512.0, 0.0, 0.0, 0.0, 0.0]; 4];
    for (at, draw) in draws.iter_mut().enumerate() {
        draw[at + 1] = 1.0;
    }
    let draws = draws.each_ref().map(|draw| draw.as_slice());
    let statistics = given("layer", &draws, DType::F32, sums(4).interval())?;
    let share = statistics.whole()?;
    assert_relative_eq!(share.noise / share.rounding_floor, 1.5, max_relative = 1e-4);
    let estimates = statistics.ratio(0.95)?.estimates.expect("noise");
    // the mean is (512, 1/4, 1/4, 1/4, 1/4)
    assert_relative_eq!(estimates.plug_in, 262_144.25, max_relative = 1e-12);
    let interval = estimates.interval.expect("the draws' products");
    assert!(interval.low < estimates.debiased && estimates.debiased < interval.high);
    Ok(())
}

#[test]
fn gradients_in_another_unit_have_the_same_interval() -> Result<()> {
    let (_, mut generator) = seeded("units");
    let draws = (normal(&mut generator, &[6, 4])? + 1.0)?.to_vec2::<f64>()?;
    // a power of two, so that nothing else changes
    let interval = |unit: f64| -> Result<_> {
        let draws: Vec<Vec<f64>> = draws
            .iter()
            .map(|draw| draw.iter().map(|g| unit * g).collect())
            .collect();
        let draws: Vec<&[f64]> = draws.iter().map(Vec::as_slice).collect();
        let ratio = given("layer", &draws, DType::F64, sums(6).interval())?.ratio(0.9)?;
        Ok(ratio.estimates.expect("noise").interval.expect("products"))
    };
    let (here, small) = (interval(1.0)?, interval(0.5f64.powi(30))?);
    // the ends are found by halving
    assert_relative_eq!(here.low, small.low, max_relative = 1e-7);
    assert_relative_eq!(here.high, small.high, max_relative = 1e-7);
    Ok(())
}

#[test]
fn layers_come_in_the_order_of_their_first_parameters_with_the_sums_of_theirs() -> Result<()> {
    let (vars, mut generator) = seeded("layers");
    let builder = vars.builder(DType::F64, &Device::Cpu);
    let layers = [
        linear(3, 4, builder.pp("net.second"))?,
        linear(4, 2, builder.pp("net.first"))?,
    ];
    let mut parameters = vars.named();
    // second.weight, first.bias, second.bias, first.weight
    parameters.sort_by_key(|(name, _)| match name.as_str() {
        "net.second.weight" => 0,
        "net.first.bias" => 1,
        "net.second.bias" => 2,
        _ => 3,
    });
    let inputs = normal(&mut generator, &[5, 3])?;
    let captured = sums(5).run(&parameters, || {
        let hidden = layers[0].forward(&inputs)?.tanh()?;
        layers[1].forward(&hidden)?.sqr()?.sum_all()
    })?;
    let statistics = captured.statistics;
    let shares = statistics.parameters().iter().map(|p| p.share());
    let shares = shares.collect::<Result<Vec<_>>>()?;
    let found = statistics.by_layer()?;
    let expected = [
        ("net.second", [0, 2], 3 * 4 + 4),
        ("net.first", [1, 3], 4 * 2 + 2),
    ];
    assert_eq!(found.len(), expected.len());
    for (found, (name, [a, b], coordinates)) in found.iter().zip(expected) {
        assert_eq!(found.name, name);
        assert_eq!((found.coordinates, found.samples), (coordinates, 5));
        // sums of two numbers
        assert_eq!(found.signal, shares[a].signal + shares[b].signal);
        assert_eq!(found.noise, shares[a].noise + shares[b].noise);
    }
    Ok(())
}

#[test]
fn statistics_of_different_parameters_are_not_merged() -> Result<()> {
    let refused = |a: &Statistics, b: &Statistics| {
        let error = a.clone().merge(b).expect_err("they differ").to_string();
        assert!(
            error.contains("two different lists of parameters can not be merged"),
            "{error}"
        );
    };
    let two: [&[f64]; 2] = [&[1.0, 2.0], &[3.0, 4.0]];
    let three: [&[f64]; 2] = [&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]];
    let own = given("layer", &two, DType::F64, sums(2))?;
    refused(&own, &given("other", &two, DType::F64, sums(2))?);
    refused(&own, &given("layer", &three, DType::F64, sums(2))?);
    // one list that goes on where the other ends
    let (vars, mut generator) = seeded("longer");
    let layer = linear(2, 1, vars.builder(DType::F64, &Device::Cpu).pp("layer"))?;
    let mut parameters = vars.named();
    parameters.reverse();
    let inputs = normal(&mut generator, &[2, 2])?;
    let longer = sums(2).run(&parameters, || layer.forward(&inputs)?.sum_all())?;
    let longer = longer.statistics;
    assert_eq!(longer.parameters()[0].name(), own.parameters()[0].name());
    refused(&own, &longer);
    refused(&longer, &own);
    Ok(())
}

#[test]
fn kept_draws_have_a_full_covariance_and_others_have_none() -> Result<()> {
    let draws: [&[f64]; 3] = [&[1.0, 2.0], &[3.0, 3.0], &[2.0, 7.0]];
    let kept = given("layer", &draws, DType::F64, sums(3).rows())?;
    let moments = kept.full_moments()?.expect("they were kept");
    assert_eq!(moments.count(), 3);
    // deviations (-1, -2), (1, -1) and (0, 3) from (2, 4), and the divisor 2
    let expected = [[1.0, 0.5], [0.5, 7.0]];
    let covariance = moments.covariance()?;
    for (i, row) in expected.iter().enumerate() {
        assert_relative_eq!(moments.mean()[i], [2.0, 4.0][i], max_relative = 1e-15);
        for (j, expected) in row.iter().enumerate() {
            // three roundings of numbers up to 14
            assert_relative_eq!(covariance[(i, j)], *expected, epsilon = 1e-14);
        }
    }
    assert!(
        given("layer", &draws, DType::F64, sums(3))?
            .full_moments()?
            .is_none()
    );
    Ok(())
}
