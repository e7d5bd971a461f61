//! What windows do to `C` of draws that are not independent of one law.
//!
//! Of the sentence the last part is judged, that a windowed estimate mends it: what an estimate is off by is to be no more in a window of
//! two draws than over four. The debiased numerator is meant for `|m|^2`, `m` the mean of the draws' means, and `Tr D_hat` for `Tr D`.
//!
//! Let draw `t` of a window of `w` have the mean `m + a t` and the noise `x_t` with covariance `D`, correlated by `c_|s-t|` from draw to draw, and let
//! `c` be the average of that over the pairs of the window. Since the numbers `1..w` have the variance `w(w+1)/12`,
//!
//! ```text
//! E Tr D_hat                    = (1 - c) Tr D + |a|^2 w(w+1)/12
//! E (|mu_hat|^2 - Tr D_hat / w) = |m|^2 + c Tr D - |a|^2 (w+1)/12
//! ```
//!
//! A shorter window leaves less of the drift. But neighbours are the most alike: where the correlation falls with the distance, `c` is the larger
//! the shorter the window.

mod streams;

use super::{Claim, Origin, Sentence};
use crate::evidence::kernels::equivalence;
use crate::evidence::rational::{Q, power, q};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Outcome, Planted, Role, Size, Spec, Worlds};
use fjld_core::Interval;
use fjld_core::moments::Window;
use fjld_core::rng::standard_normals;
use num_traits::{One, Signed, Zero};
use statrs::distribution::{ContinuousCDF, Normal};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "non-iid",
        origin: Origin::Document,
        statement: "C takes its draws to be independent and of one law; sequential, online or adversarial data may violate that, and a windowed estimate mends it.",
        sentence: Some(Sentence {
            section: "Empirical Boundaries",
            line: 318,
            sha256: "a79c0f0bdf519dde1340e799aecec0fa010f584bdc222d0499802105c3f3fb9d",
            status: "stated",
        }),
        holds_when: Some("the draws are independent, and only their mean drifts"),
        corrected: Some(
            "In a window of w draws whose mean moves by a from one to the next, and whose noise has the average correlation c between pairs of the window, Tr D_hat has the mean (1 - c) Tr D + |a|^2 w(w+1)/12, and the debiased numerator |m|^2 + c Tr D - |a|^2 (w+1)/12. Shorter windows mend a drift; correlation that falls with the distance weighs the more in them. On a small network fed with real digits class by class, its parameters fixed, the shorter window is the nearer to the exact C of the moment; where every draw is a step, C over windows and over all draws misses more than half of the exact C even where the classes stay.",
        ),
        scenarios: &[streams::SCENARIO],
        checks: vec![
            windows_mend("windows-mend", Role::AsWritten, Series::Any),
            windows_mend(
                "drift-alone",
                Role::HoldsWhen,
                Series::Drifting {
                    sixty_fourths: 0,
                    drifts: true,
                },
            ),
            by_enumeration(),
            by_the_library(),
            streams::class_by_class(),
            streams::while_training(),
        ],
    }
}

/// One parameter: the mean of the first draw, its step, and the correlation of the noise from one draw to the next. The noise is 1 or -1 and stays as
/// it is with the chance `(1 + correlation)/2`.
struct Case {
    mean: Q,
    step: Q,
    correlation: Q,
}

/// What is estimated from a window, over all ways that the noise can go.
struct Estimates {
    /// Of `|mu_hat|^2 - Tr D_hat / w`.
    numerator: Q,
    /// Of `Tr D_hat`.
    noise: Q,
}

impl Case {
    /// The mean of the draws' means, `1..w` steps on.
    fn middle(&self, window: i64) -> Q {
        &self.mean + &self.step * q(window + 1, 2)
    }

    fn estimates(&self, window: i64) -> Estimates {
        let count = q(window, 1);
        let (mut numerator, mut noise) = (Q::zero(), Q::zero());
        for code in 0..1u32 << window {
            let sign = |t: i64| {
                if code >> t & 1 == 0 {
                    Q::one()
                } else {
                    -Q::one()
                }
            };
            let mut chance = q(1, 2);
            for t in 1..window {
                let alike = sign(t) * sign(t - 1);
                chance *= (Q::one() + alike * &self.correlation) / q(2, 1);
            }
            let draws: Vec<Q> = (0..window)
                .map(|t| &self.mean + &self.step * q(t + 1, 1) + sign(t))
                .collect();
            let average = draws.iter().sum::<Q>() / &count;
            let scatter: Q = draws.iter().map(|g| (g - &average) * (g - &average)).sum();
            let variance = scatter / q(window - 1, 1);
            numerator += (&average * &average - &variance / &count) * &chance;
            noise += variance * chance;
        }
        Estimates { numerator, noise }
    }

    /// How far both are from what they are meant for, and the variance of the noise is 1.
    fn errors(&self, window: i64) -> [Q; 2] {
        let estimates = self.estimates(window);
        let middle = self.middle(window);
        [
            (estimates.numerator - &middle * &middle).abs(),
            (estimates.noise - Q::one()).abs(),
        ]
    }

    fn show(&self) -> String {
        format!(
            "means {}, {}, ... and noise +-1 with the correlation {} between neighbours",
            &self.mean + &self.step,
            &self.mean + &self.step * q(2, 1),
            self.correlation
        )
    }
}

/// Which series there are.
#[derive(Clone, Copy)]
enum Series {
    /// Drifting, with any correlation.
    Any,
    /// With the correlation `sixty_fourths/64`; drifting, or not.
    Drifting { sixty_fourths: i64, drifts: bool },
}

fn part(series: Series) -> Part<Case> {
    let correlation: &[Axis] = match series {
        Series::Any => &[Axis::Any],
        Series::Drifting { .. } => &[],
    };
    Part::new(&[&[Axis::Any; 2], correlation], 3, move |c| {
        let (correlation, drifts) = match series {
            Series::Any => (c[2].clone(), true),
            Series::Drifting {
                sixty_fourths,
                drifts,
            } => (q(sixty_fourths, 64), drifts),
        };
        (correlation.abs() < Q::one()).then(|| Case {
            mean: c[0].clone(),
            step: if drifts { c[1].clone() } else { Q::zero() },
            correlation,
        })
    })
}

fn examine_windows(series: &Series, _: &Draw) -> Finding {
    search(&[part(*series)], |case| {
        let (short, long) = (case.errors(2), case.errors(4));
        (short[0] > long[0] || short[1] > long[1]).then(|| {
            format!(
                "{}: over 4 draws the numerator is off by {} and Tr D_hat by {}, in a window of 2 by {} and {}",
                case.show(),
                long[0],
                long[1],
                short[0],
                short[1]
            )
        })
    })
}

fn windows_mend(id: &'static str, role: Role, real: Series) -> Check {
    let drifting = |sixty_fourths, drifts| Series::Drifting {
        sixty_fourths,
        drifts,
    };
    let spec = Spec {
        id,
        role,
        kind: Kind::Exact,
        hypothesis: "the expected debiased numerator and Tr D_hat are no further from |m|^2 and Tr D in a window of two draws than over four",
        tolerance: 0.0,
        detectable: Size::of("correlation between neighbours", 1.0 / 64.0),
    };
    let worlds = Worlds {
        real,
        defect: Planted {
            what: "draws of one mean whose neighbours have the correlation 1/64",
            size: 1.0 / 64.0,
            world: drifting(1, false),
        },
        truth: Planted {
            what: "independent draws of one mean",
            size: 0.0,
            world: drifting(0, false),
        },
    };
    Check::new(spec, worlds, examine_windows)
}

/// The noise of the draws has `1 + sixty_fourths/64` times the correlation that is stated; drifting and correlated, or neither.
struct Formula {
    sixty_fourths: i64,
    plain: bool,
}

fn examine_formula(world: &Formula, _: &Draw) -> Finding {
    let excess = q(64 + world.sixty_fourths, 64);
    let series = if world.plain {
        Series::Drifting {
            sixty_fourths: 0,
            drifts: false,
        }
    } else {
        Series::Any
    };
    search(&[part(series)], |case| {
        (2..=4).find_map(|window: i64| {
            let w = q(window, 1);
            // pairs at the distance k, of which there are w - k
            let sum: Q = (1..window)
                .map(|k| q(window - k, 1) * power(&case.correlation, k as usize))
                .sum();
            let average = sum * q(2, 1) / (&w * (&w - Q::one()));
            let drift = &case.step * &case.step * (&w + Q::one()) / q(12, 1);
            let middle = case.middle(window);
            let numerator = &middle * &middle + &average - &drift;
            let noise = Q::one() - &average + &drift * &w;
            let drawn = Case {
                mean: case.mean.clone(),
                step: case.step.clone(),
                correlation: &case.correlation * &excess,
            };
            let found = drawn.estimates(window);
            ((&found.numerator, &found.noise) != (&numerator, &noise)).then(|| {
                format!(
                    "{}, {window} draws: the numerator has the mean {} and Tr D_hat {}, by the formula {numerator} and {noise}",
                    case.show(),
                    found.numerator,
                    found.noise
                )
            })
        })
    })
}

fn by_enumeration() -> Check {
    let spec = Spec {
        id: "by-enumeration",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "over all ways that the noise of two to four draws can go, the numerator and Tr D_hat have the stated means",
        tolerance: 0.0,
        detectable: Size::of("relative error of the correlation", 1.0 / 64.0),
    };
    let formula = |sixty_fourths, plain| Formula {
        sixty_fourths,
        plain,
    };
    let worlds = Worlds {
        real: formula(0, false),
        defect: Planted {
            what: "noise with a correlation that is 1/64 larger",
            size: 1.0 / 64.0,
            world: formula(1, false),
        },
        truth: Planted {
            what: "independent draws of one mean",
            size: 0.0,
            world: formula(0, true),
        },
    };
    Check::new(spec, worlds, examine_formula)
}

/// Gaussian draws with mean 0 and unit variances, correlated by `drawn` from one to the next where `stated` is expected.
struct Chain {
    drawn: f64,
    stated: f64,
}

const DIMENSION: usize = 20;

/// Draws in the library's window.
const WINDOW: usize = 10;

/// Per coordinate and unit of variance, this much is not held against the formula.
const CHAIN_TOLERANCE: f64 = 0.02;

/// The average over the pairs of a window of `correlation` to the power of their distance.
fn average_correlation(correlation: f64) -> f64 {
    let w = WINDOW as f64;
    let pairs = (1..WINDOW).map(|k| (w - k as f64) * correlation.powi(k as i32));
    2.0 * pairs.sum::<f64>() / (w * (w - 1.0))
}

/// The variance of `x'Ax` for a Gaussian `x` with covariance `correlation^|s-t|`: `2 Tr((A R)^2)`. `A` has `diagonal` and `off` in its entries.
fn variance_of_form(diagonal: f64, off: f64, correlation: f64) -> f64 {
    let entry = |s: usize, t: usize| {
        (0..WINDOW)
            .map(|k| {
                let a = if s == k { diagonal } else { off };
                a * correlation.powi(k.abs_diff(t) as i32)
            })
            .sum::<f64>()
    };
    let pairs = (0..WINDOW).flat_map(|s| (0..WINDOW).map(move |t| (s, t)));
    2.0 * pairs.map(|(s, t)| entry(s, t) * entry(t, s)).sum::<f64>()
}

fn examine_chain(world: &Chain, draw: &Draw) -> Finding {
    // two quantities are tested
    let alarm = draw.rates.false_alarm / 2.0;
    let normal = Normal::new(0.0, 1.0).expect("a standard normal exists");
    let reach = normal.inverse_cdf(1.0 - alarm / 2.0);
    let quantiles = reach + normal.inverse_cdf(1.0 - draw.rates.miss);
    let (w, d) = (WINDOW as f64, DIMENSION as f64);
    // per coordinate: sum (x - mean)^2 / (w-1), and the average product over pairs
    let noise = variance_of_form(1.0 / w, -1.0 / (w * (w - 1.0)), world.stated) / d;
    let numerator = variance_of_form(0.0, 1.0 / (w * (w - 1.0)), world.stated) / d;
    let repetitions =
        (noise.max(numerator) * (quantiles / CHAIN_TOLERANCE).powi(2)).ceil() as usize;
    let generator = &mut draw.seed.generator();
    let (mut noise_sum, mut numerator_sum) = (0.0, 0.0);
    for _ in 0..repetitions {
        let window = (|| -> fjld_core::Result<_> {
            let mut window = Window::new(DIMENSION, WINDOW)?;
            let mut state = standard_normals(generator, DIMENSION);
            // as many draws leave the window as are in it
            for _ in 0..2 * WINDOW {
                let fresh = standard_normals(generator, DIMENSION);
                let kept = (1.0 - world.drawn * world.drawn).sqrt();
                state
                    .iter_mut()
                    .zip(&fresh)
                    .for_each(|(x, z)| *x = world.drawn * *x + kept * z);
                window.push(&state)?;
            }
            let moments = window.moments();
            Ok((moments.squared_mean_norm(), moments.trace()?))
        })();
        let Ok((signal, trace)) = window else {
            return Finding::new(Outcome::Undecided, 0, "the library refused a draw");
        };
        noise_sum += trace / d;
        numerator_sum += (signal - trace / w) / d;
    }
    let n = repetitions as f64;
    let average = average_correlation(world.stated);
    let judge = |sum: f64, variance: f64, target: f64| {
        let (effect, half) = (sum / n, reach * (variance / n).sqrt());
        let interval = Interval {
            low: effect - half,
            high: effect + half,
            level: 1.0 - alarm,
        };
        (
            effect,
            equivalence(effect, interval, target, CHAIN_TOLERANCE),
        )
    };
    let (trace, first) = judge(noise_sum, noise, 1.0 - average);
    let (signal, second) = judge(numerator_sum, numerator, average);
    let summary = format!(
        "in windows of {WINDOW} correlated draws Tr D_hat / d is {trace:.3}, expected {:.3}, and the debiased numerator over d {signal:.3}, expected {average:.3}, over {repetitions} windows",
        1.0 - average
    );
    let mut finding = Finding::new(
        Outcome::of_all(&[first, second]),
        repetitions as u64,
        summary,
    );
    finding.effect = Some((trace - 1.0 + average).abs().max((signal - average).abs()));
    finding
}

fn by_the_library() -> Check {
    let spec = Spec {
        id: "by-the-library",
        role: Role::Corrected,
        kind: Kind::Statistical,
        hypothesis: "with the correlation 1/2 between neighbours, the library's window of ten draws has Tr D_hat and debiased numerator of the stated means",
        tolerance: CHAIN_TOLERANCE,
        // the interval is shorter than the tolerance on either side, and has to clear it
        detectable: Size::of("average correlation over the window", 2.0 * CHAIN_TOLERANCE),
    };
    let worlds = Worlds {
        real: Chain {
            drawn: 0.5,
            stated: 0.5,
        },
        defect: Planted {
            what: "the correlation 0.6 between neighbours",
            size: average_correlation(0.6) - average_correlation(0.5),
            world: Chain {
                drawn: 0.6,
                stated: 0.5,
            },
        },
        truth: Planted {
            what: "independent draws",
            size: 0.0,
            world: Chain {
                drawn: 0.0,
                stated: 0.0,
            },
        },
    };
    Check::new(spec, worlds, examine_chain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn the_variance_of_a_sample_variance_of_independent_draws_is_two_over_n_minus_one() {
        let w = WINDOW as f64;
        let found = variance_of_form(1.0 / w, -1.0 / (w * (w - 1.0)), 0.0);
        assert_relative_eq!(found, 2.0 / (w - 1.0), max_relative = 1e-12);
    }
}
