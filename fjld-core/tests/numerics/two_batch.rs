use crate::exact::{self, Q, assert_within, exact, number, whole};
use fjld_core::Error;
use fjld_core::moments::TwoBatch;
use fjld_core::moments::two_batch::Undefined;
use fjld_core::ranks::{Ranks, on_threads};
use fjld_core::rng::{Seed, standard_normals};
use statrs::distribution::{ContinuousCDF, StudentsT};

const SIZES: [(u64, u64); 4] = [
    (1, 2),
    (8, 64),
    (1, 1 << 40),
    (1_000_000_000, 1_000_000_001),
];
const SCALES: [f64; 6] = [1e-300, 1e-100, 1e-80, 1.0, 1e80, 1e143];

/// `steps` pairs of norms about `scale`, that of the big batch `less` of them below; `spread` is their relative deviation.
fn norms(seed: u64, steps: usize, less: f64, spread: f64, scale: f64) -> Vec<(f64, f64)> {
    let z = standard_normals(&mut Seed::root(seed).generator(), 2 * steps);
    z.chunks(2)
        .map(|z| {
            let small = 1.0 + spread * z[0].clamp(-3.0, 3.0);
            let big = (1.0 - less) * (1.0 + spread * z[1].clamp(-3.0, 3.0));
            (small * scale, big * scale)
        })
        .collect()
}

fn pushed(sizes: (u64, u64), norms: &[(f64, f64)]) -> fjld_core::Result<TwoBatch> {
    let mut both = TwoBatch::new(sizes.0, sizes.1)?;
    norms.iter().try_for_each(|n| both.push(n.0, n.1))?;
    Ok(both)
}

fn mean(values: impl Iterator<Item = f64>, n: usize) -> Q {
    values.map(exact).sum::<Q>() / whole(n)
}

/// `|G|^2` and `S` of the means over steps.
fn signal_and_noise(sizes: (u64, u64), norms: &[(f64, f64)]) -> (Q, Q) {
    let (b, big) = (whole(sizes.0 as usize), whole(sizes.1 as usize));
    let n = norms.len();
    let (small_norm, big_norm) = (
        mean(norms.iter().map(|n| n.0), n),
        mean(norms.iter().map(|n| n.1), n),
    );
    let signal = (&big * &big_norm - &b * &small_norm) / (&big - &b);
    let noise = (small_norm - big_norm) * &b * &big / (big - b);
    (signal, noise)
}

#[test]
fn signal_noise_and_ratio_keep_the_digits_that_the_differences_leave() -> fjld_core::Result<()> {
    for sizes in SIZES {
        for less in [0.5, 1e-3, 1e-9] {
            for scale in SCALES {
                let list = norms(73, 20, less, less / 10.0, scale);
                let both = pushed(sizes, &list)?;
                let (signal, noise) = signal_and_noise(sizes, &list);
                let what = format!("batches of {sizes:?}, {less} apart, at {scale:e}");
                // means of 20 terms; the noise is a difference that leaves the part `less` of them, the signal one of B and b norms
                let rounding = 30.0 * f64::EPSILON;
                assert_within(
                    both.noise().expect("steps"),
                    &noise,
                    rounding / less,
                    0.0,
                    &what,
                );
                let (b, big) = (sizes.0 as f64, sizes.1 as f64);
                let absolute = rounding * scale * (big + b) / (sizes.1 - sizes.0) as f64;
                assert_within(both.signal().expect("steps"), &signal, 0.0, absolute, &what);
                match both.ratio() {
                    Ok(ratio) => {
                        let absolute = absolute / number(&noise);
                        assert_within(
                            ratio,
                            &(&signal / &noise),
                            2.0 * rounding / less,
                            absolute,
                            &what,
                        );
                    }
                    // batches a part in 1e9 apart that differ by half: all of it is noise
                    Err(Undefined::NoSignal { .. }) => assert!(number(&signal) <= 0.0, "{what}"),
                    Err(other) => panic!("{what}: {other}"),
                }
            }
        }
    }
    Ok(())
}

#[test]
fn the_interval_has_the_ends_of_its_quadratic_at_every_scale_and_however_short()
-> fjld_core::Result<()> {
    for spread in [1e-1, 1e-4, 1e-8, 1e-11] {
        for scale in SCALES.into_iter().skip(1) {
            let (sizes, steps) = ((8, 64), 12);
            let list = norms(73, steps, 0.5, spread, scale);
            let interval = pushed(sizes, &list)?.interval(0.95)?;
            let interval =
                interval.unwrap_or_else(|why| panic!("spread {spread} at {scale:e}: {why}"));
            // the same quadratic, its roots by the textbook's formula in rationals
            let (s, t) = signal_and_noise(sizes, &list);
            let of_step: Vec<(Q, Q)> = list
                .iter()
                .map(|step| {
                    let (signal, noise) = signal_and_noise(sizes, &[*step]);
                    (signal - &s, noise - &t)
                })
                .collect();
            let of_means = whole(steps * (steps - 1));
            let moment =
                |term: &dyn Fn(&(Q, Q)) -> Q| of_step.iter().map(term).sum::<Q>() / &of_means;
            let student = StudentsT::new(0.0, 1.0, (steps - 1) as f64).expect("eleven");
            let q = exact(student.inverse_cdf(0.975));
            let square = &q * &q;
            let a = &t * &t - &square * moment(&|d| &d.1 * &d.1);
            let h = &s * &t - &square * moment(&|d| &d.0 * &d.1);
            let c = &s * &s - &square * moment(&|d| &d.0 * &d.0);
            let root = number(&((&h * &h - &a * c) / (&a * &a))).sqrt();
            let middle = number(&(h / a));
            // the norms' deviations are known to eps / spread of themselves
            let width = 1e3 * f64::EPSILON * (middle + root / spread);
            let what = format!("spread {spread} at {scale:e}");
            assert_within(interval.low, &exact(middle - root), 0.0, width, &what);
            assert_within(interval.high, &exact(middle + root), 0.0, width, &what);
            assert!(interval.low < interval.high, "{what}");
        }
    }
    Ok(())
}

#[test]
fn norms_that_differ_by_their_rounding_show_no_noise() -> fjld_core::Result<()> {
    for scale in SCALES {
        let next = f64::from_bits(scale.to_bits() + 1);
        for (small, big) in [(scale, scale), (next, scale), (scale, next), (0.0, 0.0)] {
            let both = pushed((4, 8), &[(small, big); 5])?;
            assert!(
                matches!(both.ratio(), Err(Undefined::NoNoise { .. })),
                "{small:e}, {big:e}"
            );
            assert!(both.interval(0.9)?.is_err());
        }
        // the same step again and again, with noise in it
        let copies = pushed((4, 8), &[(2.0 * scale, scale * 1.1); 5])?;
        assert_eq!(copies.interval(0.9)?, Err(Undefined::StepsAgree));
    }
    Ok(())
}

#[test]
fn norms_whose_squares_are_no_numbers_are_refused_and_the_smallest_have_no_interval()
-> fjld_core::Result<()> {
    let mut both = TwoBatch::new(1, 2)?;
    for bad in [1e200, f64::INFINITY, f64::NAN, -1.0] {
        assert!(matches!(both.push(1.0, bad), Err(Error::OutOfRange { .. })));
        assert!(matches!(both.push(bad, 1.0), Err(Error::OutOfRange { .. })));
    }
    assert_eq!(both.steps(), 0);
    let tiny = pushed((1, 2), &norms(73, 5, 0.5, 0.1, 1e-300))?;
    assert!(tiny.ratio().is_ok());
    assert_eq!(tiny.interval(0.95)?, Err(Undefined::StepsAgree));
    Ok(())
}

#[test]
fn the_oracle_gives_what_pencil_gives() {
    // |g_1|^2 = 3 and |g_2|^2 = 2: |G|^2 = 1 and S = 2
    let (signal, noise) = signal_and_noise((1, 2), &[(3.0, 2.0)]);
    assert_eq!((number(&signal), number(&noise)), (1.0, 2.0));
    assert_eq!(exact::ln(&whole(1)), 0.0);
}

#[test]
fn there_is_nothing_before_the_first_step_and_then_the_means_over_steps() -> fjld_core::Result<()> {
    let mut both = TwoBatch::new(3, 12)?;
    assert_eq!(both.batch_sizes(), (3, 12));
    let found = |both: &TwoBatch| (both.big_norm(), both.signal(), both.noise());
    assert_eq!(found(&both), (None, None, None));
    both.push(5.0, 2.0)?;
    both.push(7.0, 5.0)?;
    // 6 and 3.5: (12 x 3.5 - 3 x 6) / 9, and 2.5 over 1/3 - 1/12
    assert_eq!(found(&both), (Some(3.5), Some(24.0 / 9.0), Some(10.0)));
    Ok(())
}

#[test]
fn a_level_is_strictly_between_0_and_1() -> fjld_core::Result<()> {
    let both = pushed((1, 2), &norms(73, 4, 0.5, 0.1, 1.0))?;
    for level in [0.0, 1.0, -0.5, 1.5, f64::NAN] {
        let error = both.interval(level).expect_err("no level");
        let said =
            format!("the level of the interval is {level}; it must be strictly between 0 and 1");
        assert_eq!(error.to_string(), said);
    }
    assert!(both.interval(1e-9)?.is_ok());
    Ok(())
}

/// With `b = 1` and `B = 2` these three steps have the noise `2 (|g_1|^2 - |g_2|^2)` = 8, 8 and -4, whose mean 4 has the standard error
/// `sqrt((16 + 16 + 64) / 6)` = 4, and the signals -2, -2 and 4: the mean 0, its variance 4, the covariance of both means -8. Student's
/// quantile for two degrees of freedom is `q` at the level `q / sqrt(2 + q^2)`.
const BY_PENCIL: [(f64, f64); 3] = [(6.0, 2.0), (6.0, 2.0), (0.0, 2.0)];

#[test]
fn the_interval_of_three_steps_is_what_pencil_gives() -> fjld_core::Result<()> {
    let both = pushed((1, 2), &BY_PENCIL)?;
    // q = 1/2: x^2 (16 - 16/4) - 2 x (0 + 8/4) + 0 - 4/4 = 12 x^2 - 4 x - 1, which is 0 at 1/2 and at -1/6
    let interval = both.interval(1.0 / 3.0)?.expect("two standard errors");
    // as finely as the quantile is worked out
    assert_within(interval.high, &exact(0.5), 1e-12, 0.0, "the upper end");
    assert_within(
        interval.low,
        &exact(-1.0 / 6.0),
        1e-12,
        0.0,
        "the lower end",
    );
    // one standard error is a quantile of 1
    assert!(both.interval(0.577)?.is_ok());
    assert_eq!(
        both.interval(0.578)?,
        Err(Undefined::NoiseUnresolved {
            estimate: 4.0,
            error: 4.0
        })
    );
    Ok(())
}

#[test]
fn at_the_level_at_which_it_ceases_to_be_bounded_an_interval_has_finite_ends_or_none()
-> fjld_core::Result<()> {
    let mut found = 0;
    for seed in 0..100 {
        let both = pushed((1, 2), &norms(seed, 3, 0.5, 0.3, 1.0))?;
        let (mut below, mut above) = (0.01, 0.99);
        if both.interval(below)?.is_err() || both.interval(above)?.is_ok() {
            continue;
        }
        found += 1;
        // down to neighbouring numbers
        for _ in 0..60 {
            let middle = 0.5 * (below + above);
            match both.interval(middle)? {
                Ok(_) => below = middle,
                Err(_) => above = middle,
            }
        }
        // quantiles of neighbouring levels are not quite in order
        let edge = above.to_bits();
        for bits in edge - 20..edge + 20 {
            match both.interval(f64::from_bits(bits))? {
                Ok(interval) => assert!(
                    interval.low.is_finite() && interval.high.is_finite(),
                    "{interval:?}"
                ),
                Err(why) => assert!(matches!(why, Undefined::NoiseUnresolved { .. }), "{why}"),
            }
        }
    }
    assert!(found > 50, "{found}");
    Ok(())
}

#[test]
fn big_batches_with_the_longer_gradients_have_no_interval_however_sure_that_is()
-> fjld_core::Result<()> {
    // the noise is that of the steps by pencil with the other sign, and at the level 1/3 two quantiles away from 0
    let turned = BY_PENCIL.map(|(small, big)| (big, small));
    assert_eq!(
        pushed((1, 2), &turned)?.interval(1.0 / 3.0)?,
        Err(Undefined::NoiseUnresolved {
            estimate: -4.0,
            error: 4.0
        })
    );
    Ok(())
}

#[test]
fn steps_agree_where_both_norms_differ_by_their_rounding_and_not_where_one_does()
-> fjld_core::Result<()> {
    for scale in SCALES.into_iter().skip(1) {
        let of = |small: [f64; 4], big: [f64; 4]| {
            let list: Vec<_> = small.into_iter().zip(big).collect();
            let scaled: Vec<_> = list.iter().map(|n| (n.0 * scale, n.1 * scale)).collect();
            pushed((4, 8), &scaled)?.interval(0.9)
        };
        let next = 1.0 + f64::EPSILON;
        let same = [1.0, next, 1.0, next];
        let twice = same.map(|x| 2.0 * x);
        assert_eq!(of(twice, same)?, Err(Undefined::StepsAgree), "{scale:e}");
        // (2 - 1) / (1/4 - 1/8) = 8 with an error of about .3, whichever norm it is of
        let moved = [0.95, 1.05, 1.0, 1.0];
        for (small, big) in [(twice, moved), (moved.map(|x| x + 1.0), same)] {
            let interval = of(small, big)?.expect("one norm differs");
            // |G|^2 = (8 x 1 - 4 x 2) / 4 = 0
            assert!(interval.low < 0.0 && 0.0 < interval.high, "{interval:?}");
        }
    }
    Ok(())
}

#[test]
fn norms_that_vary_together_have_no_interval_where_rounding_hides_what_they_differ_by()
-> fjld_core::Result<()> {
    // the steps' differences are less than their variances are known to, the square root of a rounding
    for (seed, less) in (0..300).flat_map(|seed| [(seed, 0.0), (seed, 1e-12)]) {
        let steps = 3 + seed as usize % 20;
        let mut list = norms(seed, steps, 0.0, 0.1, 1.0);
        for (small, big) in &mut list {
            let up = u64::from(*big > 1.05);
            let down = u64::from(*big < 0.95);
            *big = (1.0 - less) * f64::from_bits(small.to_bits() + up - down);
        }
        let found = pushed((4, 8), &list)?.interval(0.9)?;
        assert!(
            matches!(found, Err(Undefined::NoiseUnresolved { .. })),
            "{seed}, {less:e}: {found:?}"
        );
    }
    Ok(())
}

#[test]
fn steps_spread_over_ranks_have_the_interval_that_one_rank_would_give() -> fjld_core::Result<()> {
    let list = norms(73, 20, 0.5, 0.1, 1.0);
    let alone = pushed((8, 64), &list)?.interval(0.95)?.expect("20 steps");
    for size in [1, 2, 3, 5] {
        // shards of unequal lengths; the first of five is empty
        let start = |rank: usize| rank * rank * list.len() / (size * size);
        for found in on_threads(size, |ranks| {
            let own = &list[start(ranks.rank())..start(ranks.rank() + 1)];
            let mut both = pushed((8, 64), own)?;
            both.all_reduce(ranks)?;
            both.interval(0.95)
        }) {
            let interval = found?.expect("20 steps");
            // means and scatters of 20 terms, whose difference costs a digit
            let what = format!("{size} ranks");
            assert_within(interval.low, &exact(alone.low), 1e-13, 0.0, &what);
            assert_within(interval.high, &exact(alone.high), 1e-13, 0.0, &what);
        }
    }
    Ok(())
}
