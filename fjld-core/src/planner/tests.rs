use super::*;
use crate::rng::{Generator, Seed, standard_normals};
use approx::assert_relative_eq;

/// Draws `[n, d]` of `mu_j + s_j e_j` with independent `e_j`: `Exp(1) - 1` where `skewed` (variance 1, third moment 2, fourth 9), else
/// standard normal.
struct World {
    mean: Vec<f64>,
    deviation: Vec<f64>,
    skewed: bool,
}

impl World {
    /// A signal along the noisiest directions, and noise that falls off.
    fn new(d: usize, signal: f64, skewed: bool) -> Self {
        Self {
            mean: (0..d).map(|j| if j < 3 { signal } else { 0.0 }).collect(),
            deviation: (0..d).map(|j| 0.9f64.powi(j as i32)).collect(),
            skewed,
        }
    }

    fn draws(&self, generator: &mut Generator, n: usize) -> Vec<f64> {
        let d = self.mean.len();
        let z = standard_normals(generator, 2 * n * d);
        let unit = |i: usize| match self.skewed {
            // half the sum of two squared normals is Exp(1)
            true => 0.5 * (z[2 * i].powi(2) + z[2 * i + 1].powi(2)) - 1.0,
            false => z[2 * i],
        };
        (0..n * d)
            .map(|i| self.mean[i % d] + self.deviation[i % d] * unit(i))
            .collect()
    }

    /// By pencil: a = sum mu^2 s^2, b = sum s^4, V = (fourth - 1) b, w = third sum mu s^3.
    fn moments(&self) -> PilotMoments {
        let (third, fourth) = if self.skewed { (2.0, 9.0) } else { (0.0, 3.0) };
        let sum = |of: fn(f64, f64) -> f64| -> f64 {
            self.mean
                .iter()
                .zip(&self.deviation)
                .map(|(&m, &s)| of(m, s))
                .sum()
        };
        let noise = sum(|_, s| s * s);
        let concentration = sum(|_, s| s.powi(4)) / noise.powi(2);
        PilotMoments {
            ratio: sum(|m, _| m * m) / noise,
            along_signal: sum(|m, s| m * m * s * s) / noise.powi(2),
            concentration,
            tails: (fourth - 1.0) * concentration,
            skew: third * sum(|m, s| m * s.powi(3)) / noise.powi(2),
        }
    }
}

fn moments_of(samples: &[f64], d: usize) -> Moments {
    let mut moments = Moments::new(d).expect("tests use at least one coordinate");
    moments
        .push_batch(samples)
        .expect("tests use finite numbers");
    moments
}

fn debiased(samples: &[f64], d: usize) -> f64 {
    let moments = moments_of(samples, d);
    moments.squared_mean_norm() / moments.trace().expect("several samples")
        - 1.0 / moments.count() as f64
}

#[test]
fn the_estimates_are_averages_over_quadruples_of_different_draws() -> Result<()> {
    // once with more rows than columns and once with fewer, as the Gram matrix is taken from either side
    for (n, d) in [(6, 3), (5, 8)] {
        let mut samples = standard_normals(&mut Seed::root(31).generator(), n * d);
        samples.iter_mut().for_each(|x| *x += 0.7);
        let row = |i: usize| &samples[i * d..(i + 1) * d];
        let k = |i, j| inner_product(row(i), row(j));
        let h = |i, j| 0.5 * (k(i, i) + k(j, j)) - k(i, j);
        let (mut a, mut b, mut v, mut w, mut count) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for index in 0..n.pow(4) {
            let [i, j, l, m] = [1, n, n * n, n * n * n].map(|place| index / place % n);
            if i != j && i != l && i != m && j != l && j != m && l != m {
                a += k(i, j) * (k(i, l) - k(l, m));
                v += 4.0 * h(i, j) * (h(i, l) - h(l, m));
                w += 2.0 * k(i, j) * (h(i, l) - h(l, m));
                b += (k(i, l) - k(i, m) - k(j, l) + k(j, m)).powi(2) / 4.0;
                count += 1.0;
            }
        }
        let moments = moments_of(&samples, d);
        let unit = moments.trace()?.powi(2) * count;
        let estimated = PilotMoments::estimate(samples.clone(), d)?;
        // sums of some hundred products of size one: 1e-13 each, and a tenth of that size left
        assert_relative_eq!(estimated.along_signal, a / unit, max_relative = 1e-11);
        assert_relative_eq!(estimated.concentration, b / unit, max_relative = 1e-11);
        assert_relative_eq!(estimated.tails, v / unit, max_relative = 1e-11);
        assert_relative_eq!(estimated.skew, w / unit, max_relative = 1e-11);
        assert_relative_eq!(estimated.ratio, debiased(&samples, d), max_relative = 1e-12);
    }
    Ok(())
}

#[test]
fn isotropic_normal_draws_have_the_variance_of_the_noncentral_f_law() {
    // n (C_hat + 1/n) ~ F(d, d(n-1)) with ncp = n d C; b = Tr D^2 = (Tr D)^2/d, V = 2b, a = C (Tr D)^2/d
    let d = 1e6;
    for c in [0.0, 1e-4, 0.3, 1.0, 40.0] {
        for n in [5u64, 100, 20_000] {
            let moments = PilotMoments {
                ratio: c,
                along_signal: c / d,
                concentration: 1.0 / d,
                tails: 2.0 / d,
                skew: 0.0,
            };
            let count = n as f64;
            let (d2, ncp) = (d * (count - 1.0), count * d * c);
            // Johnson, Kotz and Balakrishnan 1995, eq. 30.3b
            let f_variance = 2.0 * ((d + ncp).powi(2) + (d + 2.0 * ncp) * (d2 - 2.0))
                / ((d2 - 2.0).powi(2) * (d2 - 4.0))
                * (d2 / d).powi(2);
            // the terms left out are of the relative size of Var(T)/(Tr D)^2 = 2/d2, with a factor of at most 8
            assert_relative_eq!(
                moments.variance(n),
                f_variance / count.powi(2),
                max_relative = 16.0 / d2
            );
        }
    }
}

#[test]
fn simulated_ratios_vary_as_the_formula_says_for_normal_and_for_skewed_draws() {
    let (n, d, repetitions) = (120, 60, 3000);
    for skewed in [false, true] {
        let world = World::new(d, 0.5, skewed);
        let generator = &mut Seed::root(17).generator();
        let ratios: Vec<f64> = (0..repetitions)
            .map(|_| debiased(&world.draws(generator, n), d))
            .collect();
        let mean = ratios.iter().sum::<f64>() / repetitions as f64;
        let squares = ratios.iter().map(|c| (c - mean).powi(2)).sum::<f64>();
        let variance = squares / (repetitions - 1) as f64;
        let moments = world.moments();
        // the sample variance has a relative standard error of sqrt(2/3000) = 2.6% (nearly normal ratios): four of them, and what the
        // formula leaves out, Var(T)/(Tr D)^2 = tails/n, which is 1% for the skewed draws, with a factor of 4
        let tolerance = 4.0 * (2.0 / repetitions as f64).sqrt() + 4.0 * moments.tails / n as f64;
        assert!(tolerance < 0.2, "{tolerance}");
        let quotient = variance / moments.variance(n as u64);
        assert!((quotient - 1.0).abs() < tolerance, "{skewed}: {quotient}");
    }
}

#[test]
fn at_the_planned_number_of_draws_the_interval_is_as_wide_as_was_asked() -> Result<()> {
    let (pilot, d, wanted, level) = (4000, 60, 0.2, 0.95);
    for skewed in [false, true] {
        let world = World::new(d, 0.5, skewed);
        let generator = &mut Seed::root(23).generator();
        let samples = world.draws(generator, pilot);
        let moments = moments_of(&samples, d);
        let n = plan(samples, &moments, wanted, level)?.expect("C is 0.14, far from 0");
        let repetitions = 200;
        let mut total = 0.0;
        for _ in 0..repetitions {
            let moments = moments_of(&world.draws(generator, n as usize), d);
            let interval = Ratio::estimate(&moments, level)?
                .estimates
                .and_then(|estimates| estimates.interval)
                .expect("noisy draws have an interval");
            total += 0.5 * (interval.high - interval.low);
        }
        let realised = total / f64::from(repetitions) / world.moments().ratio;
        // the pilot's C has a standard error of about 0.2/1.96 sqrt(n/4000) = 3% of C, and its other moments one of 2%, which move the
        // planned n and with it the half-width by as much; the mean of 200 jackknives adds 1.4%, joined blocks 1%: three of the sum
        // in quadrature, 4%
        assert!(
            (realised / wanted - 1.0).abs() < 0.12,
            "{skewed}: {realised} at {n}"
        );
    }
    Ok(())
}

#[test]
fn the_planned_number_is_the_fewest_that_is_enough() -> Result<()> {
    let moments = World::new(20, 0.4, true).moments();
    for half_width in [0.01, 0.1, 0.5, 3.0, 10.0] {
        let n = moments.draws_needed(half_width, 0.9)?.expect("C is not 0");
        let reach = |n| quantile(n, 0.9) * moments.variance(n).sqrt() / moments.ratio;
        assert!(reach(n) <= half_width);
        assert!(n == FEWEST_DRAWS || reach(n - 1) > half_width);
    }
    Ok(())
}

#[test]
fn a_signal_free_of_noise_needs_draws_as_the_square_of_the_precision_and_pencil_agrees()
-> Result<()> {
    // only the first term, so n = (t/h)^2 4a/C^2 = 400 t^2. With the normal 1.959964 that is 1536.6; Student's quantile with f degrees of
    // freedom is larger by (z^3 + z)/(4 f) = 0.0015414 near f = 1539, and 400 x 1.9615054^2 = 1539.0014
    let moments = PilotMoments {
        ratio: 1.0,
        along_signal: 0.01,
        concentration: 0.0,
        tails: 0.0,
        skew: 0.0,
    };
    assert_eq!(moments.draws_needed(0.01, 0.95)?, Ok(1540));
    Ok(())
}

#[test]
fn the_plan_is_the_same_at_any_scale_of_the_loss() -> Result<()> {
    let d = 10;
    let samples = World::new(d, 1.0, true).draws(&mut Seed::root(5).generator(), 60);
    let planned = |exponent: i32| {
        let scaled: Vec<f64> = samples.iter().map(|x| x * 2f64.powi(exponent)).collect();
        let moments = moments_of(&scaled, d);
        plan(scaled, &moments, 0.1, 0.95)
    };
    let plain = planned(0)?;
    assert!(plain.is_ok());
    // powers of two scale without rounding
    assert_eq!(planned(400)?, plain);
    assert_eq!(planned(-400)?, plain);
    Ok(())
}

#[test]
fn a_pilot_that_does_not_tell_c_from_zero_gives_a_reason_and_no_number() -> Result<()> {
    let d = 5;
    let noise = World::new(d, 0.0, false).draws(&mut Seed::root(2).generator(), 30);
    let reason = plan(noise.clone(), &moments_of(&noise, d), 0.1, 0.95)?.expect_err("no signal");
    assert!(
        matches!(reason, NoPlan::NotDistinguishable { .. }),
        "{reason}"
    );

    let still = vec![1.0; 20];
    let reason = plan(still.clone(), &moments_of(&still, d), 0.1, 0.95)?.expect_err("no noise");
    assert!(matches!(
        reason,
        NoPlan::Undefined(Undefined::NoiseVanished { .. })
    ));
    let zero = PilotMoments {
        ratio: 0.0,
        along_signal: 0.0,
        concentration: 0.1,
        tails: 0.2,
        skew: 0.0,
    };
    assert_eq!(zero.draws_needed(0.1, 0.95)?, Err(NoPlan::TooMany));
    Ok(())
}

#[test]
fn what_can_not_be_planned_is_refused_in_words() {
    let d = 2;
    let samples = vec![1.0, 2.0, 3.0, 5.0, 2.0, 2.0, 4.0, 4.0];
    let moments = moments_of(&samples, d);
    for half_width in [0.0, -0.1, f64::NAN, f64::INFINITY, 10.1] {
        let error = plan(samples.clone(), &moments, half_width, 0.95).expect_err("refused");
        assert_eq!(
            error.to_string(),
            format!(
                "the half-width, as a share of C, is {half_width}; it must be above 0 and at most 10"
            )
        );
    }
    assert!(plan(samples.clone(), &moments, 0.1, 1.0).is_err());
    assert!(plan(samples[..6].to_vec(), &moments, 0.1, 0.95).is_err());
    let refusal = |samples: &[f64], d| {
        PilotMoments::estimate(samples.to_vec(), d)
            .expect_err("refused")
            .to_string()
    };
    assert_eq!(
        refusal(&samples[..6], d),
        "3 samples were given; a plan from a pilot needs at least 4"
    );
    assert_eq!(
        refusal(&[1.0; 8], d),
        "the noise of the pilot, Tr D_hat, is 0; it must be above 0"
    );
    assert!(refusal(&samples[..7], d).contains("the last row has length 1"));
    assert!(refusal(&[f64::NAN; 8], d).starts_with("row 0, column 0 is NaN"));
    assert!(refusal(&[], 0).contains("the dimension is 0"));
}

#[test]
fn a_handful_of_draws_is_planned_with_students_quantile_and_never_fewer_than_three() -> Result<()> {
    // only the first term, 4 x 0.03/n: the deviation of three draws is 0.2. With two degrees of freedom the law of t is
    // 1/2 + t/(2 sqrt(2 + t^2)), so that the quantile of level 0.8 is 0.8 sqrt(2/0.36) = 1.88562, and the half-width 0.37712
    let moments = PilotMoments {
        ratio: 1.0,
        along_signal: 0.03,
        concentration: 0.0,
        tails: 0.0,
        skew: 0.0,
    };
    assert_eq!(moments.draws_needed(0.3772, 0.8)?, Ok(3));
    assert_eq!(moments.draws_needed(0.3771, 0.8)?, Ok(4));
    // two of these would be enough, but have no interval
    let precise = PilotMoments {
        along_signal: 0.0,
        ..moments
    };
    assert_eq!(precise.draws_needed(0.1, 0.8)?, Ok(3));
    Ok(())
}

#[test]
fn a_level_that_is_no_probability_between_none_and_all_is_refused() {
    let moments = World::new(5, 0.5, false).moments();
    for level in [0.0, 1.0, -0.1, 1.1, f64::NAN] {
        let error = moments.draws_needed(0.1, level).expect_err("refused");
        assert_eq!(
            error.to_string(),
            format!("the level of the interval is {level}; it must be strictly between 0 and 1")
        );
    }
}
