use crate::cases::{self, samples};
use crate::exact::{self, assert_within, number};
use crate::moments::{every_way, roundings};
use fjld_core::ratio::Estimates;
use fjld_core::{Moments, Phase, Ratio, Undefined};

/// Whatever it is, it is a number, and the interval holds what it is for.
fn assert_sound(estimates: &Estimates, what: &str) {
    assert!(
        estimates.plug_in.is_finite() && estimates.debiased.is_finite(),
        "{what}"
    );
    if let Ok(interval) = &estimates.interval {
        let (low, high) = (interval.low, interval.high);
        assert!(
            low.is_finite() && high.is_finite(),
            "{what}: [{low}, {high}]"
        );
        assert!(
            low <= estimates.debiased && estimates.debiased <= high,
            "{what}"
        );
    }
}

#[test]
fn the_ratio_is_right_to_the_digits_that_conditioning_leaves_or_undefined_by_name()
-> fjld_core::Result<()> {
    let mut defined = 0;
    for (name, d, scale, samples) in cases::all() {
        if !cases::fit(&samples) {
            continue; // refused on the way in, which another test sees
        }
        let truth = exact::Moments::of(&samples, d);
        let (n, condition) = (truth.n, truth.condition());
        let right = truth.signal() / truth.noise();
        for (way, moments) in every_way(&samples, d)? {
            let what = format!("{way}, {name}");
            match Ratio::estimate(&moments, 0.95)?.estimates {
                Ok(estimates) => {
                    defined += 1;
                    assert_sound(&estimates, &what);
                    // the variance loses a digit for each that the mean is longer than the deviations; the signal is as long as it is, or
                    // where it cancels to less than the noise, as exact as the noise is
                    let relative = 2.0 * roundings(n, d) * condition;
                    let absolute = 2.0 * roundings(n, d);
                    assert_within(estimates.plug_in, &right, relative, absolute, &what);
                    let debiased = &right - exact::exact(1.0) / exact::whole(n);
                    let absolute = absolute + relative * number(&right);
                    assert_within(estimates.debiased, &debiased, 0.0, absolute, &what);
                }
                Err(Undefined::NoiseVanished { noise, floor }) => {
                    // deviations whose squares have no digits, or none beyond the rounding of a mean of up to 64 samples: 1 / (64 eps)
                    assert!(noise <= floor && floor.is_finite(), "{what}");
                    assert!(scale < 1e-153 || condition > 7e13, "{what}");
                }
                Err(other) => panic!("{what}: {other}"),
            }
        }
    }
    assert!(defined > 400, "{defined}");
    Ok(())
}

#[test]
fn multiplying_the_loss_changes_no_bit_of_what_is_defined() -> fjld_core::Result<()> {
    let of = |power: i32| {
        let scaled: Vec<f64> = samples(9, 2, 3.0, 1.0)
            .iter()
            .map(|x| x * 2f64.powi(power))
            .collect();
        let mut moments = Moments::new(2)?;
        moments.push_batch(&scaled)?;
        Ratio::estimate(&moments, 0.95)
    };
    let one = of(0)?.estimates.expect("normal draws are noisy");
    for power in [-480, -300, 300, 475] {
        let scaled = of(power)?.estimates.expect("their squares are numbers");
        assert_eq!(
            (scaled.plug_in, scaled.debiased),
            (one.plug_in, one.debiased),
            "{power}"
        );
        assert_eq!(scaled.interval, one.interval, "2^{power}");
    }
    Ok(())
}

#[test]
fn samples_that_are_all_the_same_are_undefined_at_every_scale() -> fjld_core::Result<()> {
    for scale in cases::SCALES.into_iter().chain([5e-324, 1e-310, 0.0]) {
        if scale > 1e144 {
            continue;
        }
        for n in [2, 3, 64, 65, 300] {
            let row = [0.1 * scale, -scale, 0.7 * scale];
            let mut moments = Moments::new(3)?;
            moments.push_batch(&row.repeat(n))?;
            let ratio = Ratio::estimate(&moments, 0.95)?;
            assert!(
                matches!(ratio.estimates, Err(Undefined::NoiseVanished { .. })),
                "{n} times {scale:e}: {:?}",
                ratio.estimates
            );
            assert_eq!(ratio.phase(), Phase::Undefined);
        }
    }
    Ok(())
}

#[test]
fn duplicated_samples_have_the_moments_of_their_list() -> fjld_core::Result<()> {
    // every sample k times over: the mean stays, and the variance takes its divisor
    for copies in [2, 5, 40] {
        let list: Vec<f64> = samples(4, 2, 2.0, 1.0).repeat(copies);
        let truth = exact::Moments::of(&list, 2);
        for (way, moments) in every_way(&list, 2)? {
            let estimates = Ratio::estimate(&moments, 0.95)?.estimates.expect("noise");
            assert_sound(&estimates, way);
            let right = truth.signal() / truth.noise();
            let relative = 2.0 * roundings(truth.n, 2) * truth.condition();
            assert_within(estimates.plug_in, &right, relative, 0.0, way);
        }
    }
    // two samples, of which one comes again and again
    let mut moments = Moments::new(1)?;
    moments.push_batch(&[1.0, 1.0, 1.0, 1.0, 3.0])?;
    let ratio = Ratio::estimate(&moments, 0.95)?.estimates.expect("noise");
    assert_within(ratio.plug_in, &exact::exact(2.45), 1e-15, 0.0, "1.96 / 0.8");
    assert_eq!(ratio.interval, Err(Undefined::OneSampleCarriesTheNoise));
    Ok(())
}

#[test]
fn denormal_samples_are_undefined_for_want_of_digits_and_say_so() -> fjld_core::Result<()> {
    let least = 5e-324;
    for row in [[least, 0.0], [3.0 * least, 1e-310], [1e-308, 1e-170]] {
        let mut moments = Moments::new(2)?;
        moments.push(&row)?;
        moments.push(&[0.0, 0.0])?;
        moments.push(&row)?;
        let ratio = Ratio::estimate(&moments, 0.95)?;
        let reason = ratio.estimates.expect_err("their squares have no digits");
        assert!(
            reason.to_string().starts_with("the noise vanished"),
            "{reason}"
        );
        assert!(ratio.signal.is_finite() && ratio.noise.is_finite());
    }
    Ok(())
}

#[test]
fn noise_along_one_line_gives_the_ratio_that_its_trace_says() -> fjld_core::Result<()> {
    // an exactly singular covariance: C takes its trace, and no inverse
    for offset in [0.0, 1.0, 1e6] {
        let z = samples(12, 1, offset, 1.0);
        let list: Vec<f64> = z.iter().flat_map(|z| [*z, 2.0 * z, -4.0 * z]).collect();
        let truth = exact::Moments::of(&list, 3);
        let mut moments = Moments::new(3)?;
        moments.push_batch(&list)?;
        let estimates = Ratio::estimate(&moments, 0.95)?.estimates.expect("noise");
        assert_sound(&estimates, "along one line");
        let right = truth.signal() / truth.noise();
        let relative = 2.0 * roundings(12, 3) * truth.condition();
        assert_within(
            estimates.plug_in,
            &right,
            relative,
            2.0 * roundings(12, 3),
            "along one line",
        );
    }
    Ok(())
}
