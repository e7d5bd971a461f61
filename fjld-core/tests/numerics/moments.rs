use crate::cases;
use crate::exact::{self, Q, assert_within, number, whole};
use fjld_core::moments::{ExponentialMoments, Window};
use fjld_core::{Error, FullMoments, Moments};

/// Roundings of a mean or a variance, each `eps` times the size of what is added: `n` additions, with a merge's half a dozen operations and
/// the `d` additions of a trace on top.
pub fn roundings(n: usize, d: usize) -> f64 {
    (4 * (n + d) + 16) as f64 * f64::EPSILON
}

/// Squares that are no numbers of full precision have lost up to the last place of the least of them, 5e-324, each.
pub fn lost(n: usize, d: usize) -> f64 {
    (n * d) as f64 * 5e-324
}

/// The same samples taken in by every way there is.
pub fn every_way(samples: &[f64], d: usize) -> fjld_core::Result<Vec<(&'static str, Moments)>> {
    let mut pushed = Moments::new(d)?;
    samples.chunks(d).try_for_each(|row| pushed.push(row))?;
    let mut at_once = Moments::new(d)?;
    at_once.push_batch(samples)?;
    let (first, rest) = samples.split_at(d);
    let mut merged = Moments::new(d)?;
    merged.push_batch(rest)?;
    let mut other = Moments::new(d)?;
    other.push(first)?;
    merged.merge(&other)?;
    let mut window = Window::new(d, samples.len() / d)?;
    window.push(&vec![7.0; d])?;
    samples.chunks(d).try_for_each(|row| window.push(row))?;
    Ok(vec![
        ("row by row", pushed),
        ("at once", at_once),
        ("merged", merged),
        ("out of a window", window.moments()),
    ])
}

#[test]
fn means_and_traces_keep_the_digits_that_the_distance_from_zero_leaves() -> fjld_core::Result<()> {
    for (name, d, scale, samples) in cases::all() {
        if !cases::fit(&samples) {
            let refused = every_way(&samples, d).expect_err("squares of these are no numbers");
            assert!(matches!(refused, Error::TooLarge { .. }));
            continue;
        }
        let truth = exact::Moments::of(&samples, d);
        let (n, condition) = (truth.n, truth.condition());
        // a mean is as exact as its terms are long; a variance loses as many digits as the mean has more than the deviations
        let of_mean = roundings(n, d) * scale * (condition + 4.0);
        for (way, moments) in every_way(&samples, d)? {
            let what = format!("{way}, {name}");
            for (found, right) in moments.mean().iter().zip(&truth.mean) {
                assert_within(*found, right, 0.0, of_mean, &what);
            }
            let (relative, absolute) = (roundings(n, d) * condition, lost(n, d));
            let trace = moments.trace()?;
            assert_within(trace, &truth.noise(), relative, absolute, &what);
            for (j, found) in moments.variances()?.into_iter().enumerate() {
                // of its own mean and deviations, which may be worse off than those of all coordinates together
                let right = &truth.covariance[j][j];
                let own = &truth.mean[j] * &truth.mean[j] / right;
                let relative = roundings(n, d) * (number(&own).sqrt() + 1.0);
                assert_within(found, right, relative, lost(n, d), &what);
            }
        }
    }
    Ok(())
}

#[test]
fn covariances_keep_the_digits_that_the_distance_from_zero_leaves() -> fjld_core::Result<()> {
    for (name, d, _, samples) in cases::all() {
        let mut moments = FullMoments::new(d)?;
        let taken = samples.chunks(d).try_for_each(|row| moments.push(row));
        if !cases::fit(&samples) {
            assert!(matches!(taken, Err(Error::TooLarge { .. })), "{name}");
            continue;
        }
        taken?;
        let truth = exact::Moments::of(&samples, d);
        let covariance = moments.covariance()?;
        // an entry may be any part of the variances, so that these are what it is compared with
        let size = number(&truth.noise());
        let relative = roundings(truth.n, d) * truth.condition();
        for i in 0..d {
            for j in 0..d {
                let (found, right) = (covariance[(i, j)], &truth.covariance[i][j]);
                assert_within(found, right, 0.0, relative * size + lost(truth.n, d), &name);
            }
        }
    }
    Ok(())
}

#[test]
fn exponential_weights_keep_the_digits_too() -> fjld_core::Result<()> {
    // 1/2, so that the weights are exact
    let decay = exact::exact(0.5);
    for (name, d, _, samples) in cases::all() {
        let mut moments = ExponentialMoments::new(d, 0.5)?;
        let taken = samples.chunks(d).try_for_each(|row| moments.push(row));
        if !cases::fit(&samples) {
            assert!(matches!(taken, Err(Error::TooLarge { .. })), "{name}");
            continue;
        }
        taken?;
        let n = samples.len() / d;
        let weights: Vec<Q> = (0..n)
            .map(|i| (i + 1..n).fold(whole(1), |w, _| w * &decay))
            .collect();
        let total: Q = weights.iter().sum();
        let squares: Q = weights.iter().map(|w| w * w).sum();
        let mut trace = whole(0);
        let mut second = whole(0);
        for j in 0..d {
            let column = || samples.iter().skip(j).step_by(d).copied().map(exact::exact);
            let mean = column().zip(&weights).map(|(x, w)| x * w).sum::<Q>() / &total;
            let square = column().zip(&weights).map(|(x, w)| &x * &x * w).sum::<Q>();
            trace += &square - &mean * &mean * &total;
            second += square;
        }
        let condition = number(&(second / &trace)).sqrt();
        let right = trace / (&total - squares / &total);
        let relative = roundings(n, d) * condition;
        assert_within(moments.trace()?, &right, relative, lost(n, d), &name);
    }
    Ok(())
}

#[test]
fn one_infinite_coordinate_is_refused_by_its_place_and_leaves_no_trace() -> fjld_core::Result<()> {
    for bad in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
        let (mut moments, mut full) = (Moments::new(3)?, FullMoments::new(3)?);
        let mut window = Window::new(3, 4)?;
        for row in [[1.0, 2.0, 3.0], [2.0, 2.0, 5.0]] {
            moments.push(&row)?;
            full.push(&row)?;
            window.push(&row)?;
        }
        let row = [0.0, bad, 1.0];
        for refused in [moments.push(&row), full.push(&row), window.push(&row)] {
            assert!(matches!(
                refused,
                Err(Error::NotFinite {
                    row: 2,
                    column: 1,
                    ..
                })
            ));
        }
        assert_eq!((moments.count(), full.count(), window.count()), (2, 2, 2));
        assert_eq!(moments.trace()?, 2.5);
        assert_eq!(full.covariance()?[(2, 2)], 2.0);
    }
    Ok(())
}

#[test]
fn a_number_too_large_to_be_squared_is_refused_and_told_what_to_do() -> fjld_core::Result<()> {
    let error = Moments::new(2)?
        .push(&[1.0, -1e200])
        .expect_err("its square is no number");
    assert_eq!(
        error.to_string(),
        "row 0, column 1 is -1e200; every entry must be at most 3e144 in size, for its square to be a number: scale the gradients down, which leaves the ratio as it is"
    );
    // as far apart as two samples may be
    let mut moments = Moments::new(1)?;
    moments.push_batch(&[3e144, -3e144])?;
    assert!(moments.trace()?.is_finite() && moments.squared_mean_norm() == 0.0);
    Ok(())
}

#[test]
fn the_rounding_floor_is_what_its_formula_gives_for_few_and_for_many_samples()
-> fjld_core::Result<()> {
    // up to 64 samples are added up at a time, whose mean may be off by a rounding for each
    for (n, added, d) in [(2, 2, 3), (5, 5, 1), (64, 64, 2), (66, 64, 2), (200, 64, 4)] {
        for (offset, scale) in [(0.0, 1.0), (1e3, 1.0), (3.0, 1e-100), (0.0, 1e-152)] {
            let list = cases::samples(n, d, offset, scale);
            let mut moments = Moments::new(d)?;
            moments.push_batch(&list)?;
            // n/(n-1) times the mean of the rows' |g_i|^2, and d times the least number of full precision
            let square: Q = list.iter().map(|x| exact::exact(*x)).map(|x| &x * &x).sum();
            let e = exact::exact(added as f64 * f64::EPSILON);
            let lost = whole(n * d) * exact::exact(f64::MIN_POSITIVE);
            let right = (&e * &e * square + lost) / whole(n - 1);
            let what = format!("n = {n}, d = {d}, {offset} deviations of {scale:e}");
            let relative = roundings(n, d);
            assert_within(moments.rounding_floor(), &right, relative, 1e-320, &what);
        }
    }
    Ok(())
}
