use super::*;
use crate::ranks::on_threads;
use crate::rng::{Seed, standard_normals};
use approx::assert_relative_eq;

#[test]
fn over_all_batches_of_a_small_population_both_estimates_average_to_the_truth() -> Result<()> {
    // three equally likely gradients; every batch of four, whose first one and first two are the small batches
    let gradients = [[1.0f64, 0.0], [-2.0, 3.0], [4.0, 1.5]];
    let mean = [1.0f64, 1.5];
    let signal = 1.0 + 2.25;
    let noise = gradients
        .iter()
        .map(|g| (g[0] - mean[0]).powi(2) + (g[1] - mean[1]).powi(2))
        .sum::<f64>()
        / 3.0;
    for small in [1usize, 2, 3] {
        let mut both = TwoBatch::new(small as u64, 4)?;
        for index in 0..81usize {
            let batch = [1, 3, 9, 27].map(|place| gradients[index / place % 3]);
            let norm = |count: usize| {
                let sum = |j: usize| batch[..count].iter().map(|g| g[j]).sum::<f64>();
                (sum(0).powi(2) + sum(1).powi(2)) / (count * count) as f64
            };
            both.push(norm(small), norm(4))?;
        }
        // 81 terms of size ten, in a difference that costs one digit
        assert_relative_eq!(both.signal().expect("steps"), signal, max_relative = 1e-12);
        assert_relative_eq!(both.noise().expect("steps"), noise, max_relative = 1e-12);
        let scale = both.noise_scale().expect("both are positive");
        assert_relative_eq!(scale, noise / signal, max_relative = 1e-12);
        assert_eq!(both.steps(), 81);
    }
    Ok(())
}

#[test]
fn ranks_that_share_a_step_or_hold_steps_of_their_own_give_what_one_rank_would() -> Result<()> {
    let mut alone = TwoBatch::new(2, 6)?;
    alone.push(4.0, 2.0)?;
    alone.push(5.0, 3.0)?;
    for found in on_threads(3, |ranks| {
        let own = ranks.rank() as f64 - 1.0;
        let mut together = TwoBatch::new(2, 6)?;
        together.push_ranks(ranks, 4.0 + own, 2.0)?;
        together.push_ranks(ranks, 5.0 - own, 3.0)?;
        // the same two steps, one on the first rank and one on the last
        let mut apart = TwoBatch::new(2, 6)?;
        match ranks.rank() {
            0 => apart.push(4.0, 2.0)?,
            1 => {}
            _ => apart.push(5.0, 3.0)?,
        }
        apart.all_reduce(ranks)?;
        assert_eq!(apart.joint_scatter, 0.5);
        let refused = together.push_ranks(ranks, own, 1.0).is_err();
        let unfit = TwoBatch::new(2, 8)?.push_ranks(ranks, 1.0, 1.0).is_err();
        let others = TwoBatch::new(2, 7 + ranks.rank() as u64)?.all_reduce(ranks);
        assert!(refused && unfit && others.is_err());
        Ok::<_, Error>([together, apart])
    }) {
        for both in found? {
            assert_eq!(both.steps(), 2);
            let gap = |a: Option<f64>, b: Option<f64>| a.expect("steps") - b.expect("steps");
            assert_eq!(gap(both.signal(), alone.signal()), 0.0);
            assert_eq!(gap(both.noise(), alone.noise()), 0.0);
        }
    }
    Ok(())
}

#[test]
fn a_ratio_without_signal_or_without_noise_is_undefined() -> Result<()> {
    let mut both = TwoBatch::new(1, 2)?;
    assert_eq!(both.ratio(), Err(Undefined::NoSteps));
    both.push(3.0, 1.0)?;
    // 2 x 1 - 1 x 3, over 1
    assert_eq!(both.ratio(), Err(Undefined::NoSignal { estimate: -1.0 }));
    // means 2 and 2
    both.push(1.0, 3.0)?;
    assert_eq!(both.ratio(), Err(Undefined::NoNoise { estimate: 0.0 }));
    Ok(())
}

/// For draws `g ~ N(mu, I)` in `d` dimensions the two norms' law is known, and so is `C`.
#[test]
fn the_interval_over_steps_holds_the_true_ratio_as_often_as_it_says() -> Result<()> {
    let (d, b, big, steps, repeats) = (20usize, 2usize, 16usize, 40, 400);
    let mean = 0.5; // of every coordinate: C per example is mean^2 d / d
    let generator = &mut Seed::root(91).generator();
    let mut held = 0;
    for _ in 0..repeats {
        let mut both = TwoBatch::new(b as u64, big as u64)?;
        for _ in 0..steps {
            let draws = standard_normals(generator, big * d);
            let norm = |count: usize| -> f64 {
                let sum = |j: usize| (0..count).map(|i| draws[i * d + j] + mean).sum::<f64>();
                (0..d).map(|j| (sum(j) / count as f64).powi(2)).sum()
            };
            both.push(norm(b), norm(big))?;
        }
        let interval = both.interval(0.9)?.expect("the noise is plain");
        let c = both.ratio().expect("signal and noise are plain");
        assert!(interval.low < c && c < interval.high);
        held += u32::from(interval.low <= mean * mean && mean * mean <= interval.high);
    }
    // .9 of 400, and four standard deviations of a binomial; norms are skewed, which costs a little
    let share = f64::from(held) / f64::from(repeats);
    assert!((share - 0.9).abs() < 0.06, "{share}");
    Ok(())
}

#[test]
fn an_interval_that_the_steps_do_not_bound_is_undefined_with_its_reason() -> Result<()> {
    let mut both = TwoBatch::new(1, 2)?;
    assert_eq!(both.interval(0.95)?, Err(Undefined::NoSteps));
    both.push(3.0, 2.0)?;
    both.push(3.0, 2.0)?;
    assert_eq!(
        both.interval(0.95)?,
        Err(Undefined::TooFewForInterval { steps: 2 })
    );
    both.push(3.0, 2.0)?;
    assert_eq!(both.interval(0.95)?, Err(Undefined::StepsAgree));
    both.push(1.0, 9.0)?;
    assert!(matches!(
        both.interval(0.95)?,
        Err(Undefined::NoiseUnresolved { .. })
    ));
    assert!(both.interval(1.0).is_err());
    Ok(())
}

#[test]
fn norms_and_sizes_that_can_not_be_are_refused() -> Result<()> {
    assert!(TwoBatch::new(0, 2).is_err() && TwoBatch::new(2, 2).is_err());
    let mut both = TwoBatch::new(1, 2)?;
    let error = both.push(1.0, -1.0).expect_err("a norm is not negative");
    assert_eq!(
        error.to_string(),
        "|g_big|^2 is -1; it must be finite, not negative and at most 3e144, for its square to be a number"
    );
    assert!(both.push(f64::NAN, 1.0).is_err());
    assert_eq!(both.steps(), 0);
    Ok(())
}
