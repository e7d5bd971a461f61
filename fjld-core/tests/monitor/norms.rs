//! What a monitor reads off norms at two batch sizes.

use super::*;
use fjld_core::monitor::Reading;

/// The reading of five steps with these norms of batches of 4 and of 32, at the bigger size.
fn reading(small: f64, big: f64) -> Result<(Reading, TwoBatch)> {
    let mut norms = TwoBatch::new(4, 32)?;
    for _ in 0..5 {
        norms.push(small, big)?;
    }
    let mut monitor = Monitor::new(32, Schedule::every(1)?)?;
    let (reading, _) = monitor.observe(0, None, Source::TwoBatch(&norms))?;
    Ok((reading, norms))
}

#[test]
fn at_the_big_batch_size_the_plug_in_is_larger_than_c_by_one() -> Result<()> {
    // |g_32|^2 is |G|^2 + S/32, so that over S/32 it is C + 1. By pencil S = (small - big) 128/28: 64/7 and 120/7, and |G|^2 is
    // (32 big - 4 small)/28: 5/7 and -2/7, where the estimate of C is below 0 and still one
    for (small, big, c) in [(3.0, 1.0, 2.5), (4.0, 0.25, -8.0 / 15.0)] {
        let (reading, _) = reading(small, big)?;
        // a few roundings of numbers of size ten
        assert_relative_eq!(reading.c.expect("noise"), c, max_relative = 1e-14);
        let plug_in = reading.plug_in.expect("noise");
        assert_relative_eq!(plug_in, c + 1.0, max_relative = 1e-14);
        // norms that never differ show no spread
        assert!(reading.interval.is_none());
        let reason = reading.reason.expect("there is no interval");
        assert!(reason.contains("all steps have the same norms"), "{reason}");
    }
    Ok(())
}

#[test]
fn norms_without_noise_or_with_no_more_than_their_rounding_are_undefined_for_that_reason()
-> Result<()> {
    for (small, big) in [
        (1.0, 1.0),
        (1.0, 3.0),
        (1.0 + f64::EPSILON, 1.0),
        (0.0, 0.0),
    ] {
        let (reading, norms) = reading(small, big)?;
        assert_eq!((reading.c, reading.plug_in), (None, None), "{small}, {big}");
        let expected = norms.ratio().expect_err("no noise").to_string();
        assert!(expected.contains("the steps show no noise"), "{expected}");
        assert_eq!(reading.reason, Some(expected));
    }
    Ok(())
}
