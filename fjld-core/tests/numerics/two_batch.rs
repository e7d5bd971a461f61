use crate::exact::{self, Q, assert_within, exact, number, whole};
use fjld_core::Error;
use fjld_core::moments::TwoBatch;
use fjld_core::moments::two_batch::Undefined;
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
fn norms(steps: usize, less: f64, spread: f64, scale: f64) -> Vec<(f64, f64)> {
    let z = standard_normals(&mut Seed::root(73).generator(), 2 * steps);
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
                let list = norms(20, less, less / 10.0, scale);
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
            let list = norms(steps, 0.5, spread, scale);
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
    let tiny = pushed((1, 2), &norms(5, 0.5, 0.1, 1e-300))?;
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
