//! Times of several ways that take turns, and what is made of them.

use std::fs;
use std::time::Instant;

/// Seconds of a step, one entry a round.
#[derive(Clone, Debug, Default)]
pub struct Times {
    /// By the clock on the wall.
    pub wall: Vec<f64>,
    /// Of all threads of this process; not a number where the system does not tell.
    pub cpu: Vec<f64>,
}

/// Seconds that all threads of this process have run.
pub fn cpu_seconds() -> f64 {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else {
        return f64::NAN;
    };
    let ran = tasks.filter_map(|task| {
        let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    });
    ran.sum::<f64>() * 1e-9
}

/// Times each of `ways` for at least `least` seconds a round, in rounds in which they take turns; a round before the first warms caches
/// and the allocator up and finds the number of steps.
///
/// # Errors
/// The first that a step reports.
pub fn take_turns<E>(
    ways: &mut [Box<dyn FnMut() -> Result<(), E> + '_>],
    rounds: usize,
    least: f64,
) -> Result<Vec<Times>, E> {
    let mut steps = Vec::with_capacity(ways.len());
    for way in ways.iter_mut() {
        way()?;
        let start = Instant::now();
        way()?;
        let once = start.elapsed().as_secs_f64();
        steps.push(((least / once).ceil() as usize).clamp(1, 1000));
    }
    let mut times = vec![Times::default(); ways.len()];
    for _ in 0..rounds {
        for ((way, &steps), times) in ways.iter_mut().zip(&steps).zip(&mut times) {
            let (start, cpu) = (Instant::now(), cpu_seconds());
            for _ in 0..steps {
                way()?;
            }
            times
                .wall
                .push(start.elapsed().as_secs_f64() / steps as f64);
            times.cpu.push((cpu_seconds() - cpu) / steps as f64);
        }
    }
    Ok(times)
}

/// The middle one of those that are numbers; not a number of none.
pub fn median(numbers: &[f64]) -> f64 {
    let mut sorted: Vec<f64> = numbers.iter().copied().filter(|x| !x.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => 0.5 * (sorted[n / 2 - 1] + sorted[n / 2]),
    }
}

/// The median over rounds of the ratio of two ways in the same round.
pub fn ratio(of: &[f64], to: &[f64]) -> f64 {
    let ratios: Vec<f64> = of.iter().zip(to).map(|(of, to)| of / to).collect();
    median(&ratios)
}

/// The exponent `b` of `y = a x^b`, by least squares of the logarithms.
pub fn exponent(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let logs = points.iter().map(|(x, y)| (x.ln(), y.ln()));
    let (sx, sy) = logs
        .clone()
        .fold((0.0, 0.0), |s, (x, y)| (s.0 + x, s.1 + y));
    let (mx, my) = (sx / n, sy / n);
    let (up, down) = logs.fold((0.0, 0.0), |s, (x, y)| {
        (s.0 + (x - mx) * (y - my), s.1 + (x - mx) * (x - mx))
    });
    up / down
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_law_gives_its_exponent() {
        let points: Vec<(f64, f64)> = (1..6)
            .map(|x| (x as f64, 3.0 * (x as f64).powf(1.5)))
            .collect();
        assert!((exponent(&points) - 1.5).abs() < 1e-12);
    }

    #[test]
    fn a_ratio_is_the_middle_one_of_the_rounds_and_not_that_of_the_middles() {
        // a round that was disturbed as a whole leaves the ratio alone
        assert_eq!(ratio(&[1.0, 10.0, 1.0], &[2.0, 20.0, 2.0]), 0.5);
        assert!(median(&[]).is_nan());
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn every_way_is_timed_in_every_round() {
        let counts = std::cell::Cell::new(0);
        let mut ways: Vec<Box<dyn FnMut() -> Result<(), ()>>> = vec![
            Box::new(|| {
                counts.set(counts.get() + 1);
                Ok(())
            }),
            Box::new(|| Ok(())),
        ];
        let times = take_turns(&mut ways, 3, 0.0).expect("nothing fails");
        drop(ways);
        assert_eq!(
            times.iter().map(|t| t.wall.len()).collect::<Vec<_>>(),
            [3, 3]
        );
        assert_eq!(counts.get(), 5);
    }
}
