//! `exp` without a branch, for the compiler to work on many numbers at a time: the C library's takes one at a time, and took a third of a
//! transformer's step.
//!
//! `exp(x) = 2^n exp(r)` with `n = round(x / ln 2)` and `|r| <= ln(2)/2`, and `exp(r)` by its series to `r^7/7!`, whose remainder, below
//! 6e-9 of it, vanishes in single precision. Nothing is contracted, so that every processor gives the same bits.

use super::dense::{Number, in_lanes, num};

/// `1.5 x 2^23`: added to a number of modest size, it leaves the nearest integer in the last bits.
const ROUND: f32 = 12_582_912.0;
/// `ln 2` in two parts: the first has so few digits that its multiples by `n` are exact.
const LN2_HIGH: f32 = 355.0 / 512.0;
const LN2_LOW: f32 = -2.121_944_4e-4;
/// Beyond these the result is 0, or infinite.
const LEAST: f32 = -106.0;
const MOST: f32 = 90.0;

/// `2^n` for `-126 <= n <= 127`. Wrapping, as a check for overflow is a branch.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// `exp(x)`, to two units in the last place; infinite above 88.73, NaN of NaN.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    let x = if x < LEAST { LEAST } else { x };
    let x = if x > MOST { MOST } else { x };
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = x - n * LN2_HIGH - n * LN2_LOW;
    let series = 1.0 / 5040.0;
    let series = series * r + 1.0 / 720.0;
    let series = series * r + 1.0 / 120.0;
    let series = series * r + 1.0 / 24.0;
    let series = series * r + 1.0 / 6.0;
    let series = series * r + 0.5;
    let series = series * (r * r) + r + 1.0;
    // in two steps, so that neither power leaves the range of exponents; of NaN any power will do
    let n = (rounded.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let half = n >> 1;
    let (half, rest) = (half.clamp(-126, 127), n.wrapping_sub(half).clamp(-126, 127));
    series * power_of_two(half) * power_of_two(rest)
}

/// A row to `weight` times the softmax of `scale` times it; its largest entry `m` and `sum exp(scale (x - m))` as they were.
#[inline(always)]
pub(super) fn softmax<T: Number>(row: &mut [T], scale: T, weight: T) -> (T, T) {
    let largest = in_lanes(row, row[0], |lane, x| if x > lane { x } else { lane });
    for x in row.iter_mut() {
        *x = T::exp_of((*x - largest) * scale);
    }
    let total = in_lanes(row, num::<T>(0.0), |lane, x| lane + x);
    let share = weight / total;
    row.iter_mut().for_each(|x| *x *= share);
    (largest, total)
}

#[cfg(test)]
mod tests {
    use super::{exp, softmax};

    #[test]
    fn single_precision_keeps_its_digits_over_the_whole_range() {
        let mut worst: f64 = 0.0;
        for at in -8_730_000..8_872_000 {
            let x = at as f32 / 1e5;
            let exact = f64::from(x).exp();
            worst = worst.max((f64::from(exp(x)) / exact - 1.0).abs());
        }
        // two units in the last place: a rounding of `r`, of the sum, and of the series' terms below 1/3
        assert!(worst < 2.0 * f64::from(f32::EPSILON), "{worst:e}");
    }

    #[test]
    fn what_is_too_small_is_zero_or_denormal_and_what_is_too_large_infinite() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!([exp(-1e9), exp(f32::NEG_INFINITY), exp(-104.5)], [0.0; 3]);
        assert_eq!(
            [exp(88.8), exp(1e9), exp(f32::INFINITY)],
            [f32::INFINITY; 3]
        );
        assert!(exp(f32::NAN).is_nan());
        let denormal = f64::from(exp(-95.0));
        // one unit of the smallest numbers
        assert!((denormal - (-95f64).exp()).abs() <= 1.5e-45, "{denormal:e}");
    }

    #[test]
    fn a_softmax_of_large_numbers_is_that_of_their_differences() {
        // 1000 to 1005 by quarters, with the largest neither first nor last; exp(1000) is infinite
        let row: Vec<f64> = (0..21)
            .map(|k| 1000.0 + 0.25 * f64::from(8 * k % 21))
            .collect();
        let (scale, weight) = (2.0, 3.0);
        let mut shares = row.clone();
        let (largest, total) = softmax(&mut shares, scale, weight);
        assert_eq!(largest, 1005.0);
        // exp(-1/2 j) for j = 0 to 20
        let geometric = (1.0 - (-10.5f64).exp()) / (1.0 - (-0.5f64).exp());
        // 21 roundings at the most
        assert!((total / geometric - 1.0).abs() < 21.0 * f64::EPSILON);
        for (share, x) in shares.iter().zip(&row) {
            let expected = weight * (scale * (x - 1005.0)).exp() / geometric;
            assert!((share / expected - 1.0).abs() < 1e-14, "{share} of {x}");
        }
    }
}
