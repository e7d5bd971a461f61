//! The definition of `C`, and what its estimators estimate.

pub mod picture;

use super::{Claim, Origin, Sentence};
use crate::evidence::kernels::{kolmogorov, kolmogorov_sample_size, noncentral_f_cdf};
use crate::evidence::rational::{Q, dot, q, squared_norm, to_f64, tuple};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{
    Check, Draw, Finding, Kind, Outcome, Planted, Role, Size, Spec, Worlds, worse,
};
use fjld_core::rng::standard_normals;
use fjld_core::{Moments, Ratio};
use num_traits::Zero;
use rand::RngExt;

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "ratio-definition",
        origin: Origin::Document,
        statement: "C is the squared norm of the mean gradient over the trace of the gradient covariance.",
        sentence: Some(Sentence {
            section: "The Consolidation Ratio",
            line: 30,
            sha256: "781686a56945f78b7ea0c1ac273bcbb7fa188c9653209b3868db2160727752a5",
            status: "definition",
        }),
        holds_when: None,
        corrected: Some(
            "The plug-in estimate of the document's listing is too large by 1/n in its numerator: E|mu_hat|^2 = |mu|^2 + Tr(D)/n. Taking 1/n off the ratio makes the numerator unbiased, and for isotropic Gaussian gradients n (C_debiased + 1/n) follows the F law with (d, d(n-1)) degrees of freedom and noncentrality n d C. Drawn without replacement from N examples the debiased numerator has the mean |mu|^2 - Tr(Sigma)/N.",
        ),
        scenarios: &[],
        checks: vec![
            by_exact_arithmetic(),
            unbiased_numerator(),
            law("central-law", CENTRAL),
            law("noncentral-law", NONCENTRAL),
        ],
    }
}

/// One sample's coordinate is moved by `error`, relative, before the library sees it; or all samples are two-point.
struct Samples {
    error: f64,
    two_point: bool,
}

/// A few dozen roundings of `f64`.
const ARITHMETIC_TOLERANCE: f64 = 1e-13;

fn examine_arithmetic(world: &Samples, draw: &Draw) -> Finding {
    let generator = &mut draw.seed.generator();
    let mut worst = 0f64;
    let cases = 200;
    for case in 0..cases {
        let (n, d) = (2 + case % 7, 1 + case % 5);
        let samples: Vec<Vec<i64>> = (0..n)
            .map(|i| {
                let entry = |_| {
                    if world.two_point {
                        2 * (i % 2) as i64
                    } else {
                        generator.random_range(-9..=9)
                    }
                };
                (0..d).map(entry).collect()
            })
            .collect();
        let exact: Vec<Vec<Q>> = samples
            .iter()
            .map(|row| row.iter().map(|&v| q(v, 1)).collect())
            .collect();
        let count = q(n as i64, 1);
        let mean: Vec<Q> = (0..d)
            .map(|j| exact.iter().map(|row| row[j].clone()).sum::<Q>() / &count)
            .collect();
        let scatter: Q = exact
            .iter()
            .map(|row| {
                let gaps: Vec<Q> = row.iter().zip(&mean).map(|(x, m)| x - m).collect();
                squared_norm(&gaps)
            })
            .sum();
        let noise = scatter / (&count - q(1, 1));
        if noise.is_zero() || squared_norm(&mean).is_zero() {
            continue;
        }
        let expected = to_f64(&(squared_norm(&mean) / noise));
        let estimate = (|| -> fjld_core::Result<f64> {
            let mut moments = Moments::new(d)?;
            for row in &samples {
                let row: Vec<f64> = row
                    .iter()
                    .map(|&v| v as f64 * (1.0 + world.error))
                    .collect();
                moments.push(&row)?;
            }
            // the numerator and the denominator grow alike when every sample does, so the error goes into one of them
            let ratio = Ratio::estimate(&moments, 0.95)?;
            Ok(ratio.signal / (ratio.noise / (1.0 + world.error)))
        })();
        let Ok(estimate) = estimate else {
            return Finding::new(
                Outcome::Undecided,
                case as u64,
                "the library refused a sample",
            );
        };
        worst = worse(worst, (estimate / expected - 1.0).abs());
    }
    let compared = "the library and exact rational arithmetic on integer samples";
    Finding::of_identity(worst, ARITHMETIC_TOLERANCE, cases as u64, compared)
}

fn by_exact_arithmetic() -> Check {
    let spec = Spec {
        id: "exact-arithmetic",
        role: Role::AsWritten,
        kind: Kind::Identity,
        hypothesis: "the library's |mu_hat|^2 / Tr D_hat is that of exact rational arithmetic with the divisor n - 1",
        tolerance: ARITHMETIC_TOLERANCE,
        detectable: Size::of("relative error of the noise", 1e-12),
    };
    let worlds = Worlds {
        real: Samples {
            error: 0.0,
            two_point: false,
        },
        defect: Planted {
            what: "a noise that is off by one part in 10^12",
            size: 1e-12,
            world: Samples {
                error: 1e-12,
                two_point: false,
            },
        },
        truth: Planted {
            what: "samples that alternate between two points",
            size: 0.0,
            world: Samples {
                error: 0.0,
                two_point: true,
            },
        },
    };
    let worlds = worlds.violated_by(|error| Samples {
        error,
        two_point: false,
    });
    Check::new(spec, worlds, examine_arithmetic)
}

/// What is subtracted from the numerator: `noise (1 - eighths/8) / n`. With a population of one point mass only, or any.
struct Correction {
    eighths: i64,
    one_dimension: bool,
}

/// Averages over every sample of two draws, exactly.
fn examine_numerator(world: &Correction, _: &Draw) -> Finding {
    let kept = q(8 - world.eighths, 8);
    let population = |d: usize, max_height| {
        Part::new(&[&vec![Axis::Any; 3 * d]], max_height, move |c| {
            Some(c.chunks(d).map(<[Q]>::to_vec).collect::<Vec<_>>())
        })
    };
    let mut parts = vec![population(1, 3)];
    if !world.one_dimension {
        parts.push(population(2, 1));
    }
    search(&parts, |points: &Vec<Vec<Q>>| {
        let size = points.len();
        let n = q(size as i64, 1);
        let mean: Vec<Q> = (0..points[0].len())
            .map(|j| points.iter().map(|p| p[j].clone()).sum::<Q>() / &n)
            .collect();
        let signal = squared_norm(&mean);
        let trace = points.iter().map(|p| squared_norm(p)).sum::<Q>() / &n - &signal;
        // two draws x, y: |mu_hat|^2 = |x + y|^2/4, Tr D_hat = |x - y|^2/2
        let numerator = |x: &[Q], y: &[Q]| {
            let (xx, yy, xy) = (squared_norm(x), squared_norm(y), dot(x, y));
            let plug_in = (&xx + &yy + q(2, 1) * &xy) / q(4, 1);
            let noise = (xx + yy - q(2, 1) * xy) / q(2, 1);
            plug_in - noise * &kept / q(2, 1)
        };
        let average = |with_replacement: bool| {
            let pairs = (0..size).flat_map(|i| (0..size).map(move |j| (i, j)));
            let chosen: Vec<Q> = pairs
                .filter(|(i, j)| with_replacement || i != j)
                .map(|(i, j)| numerator(&points[i], &points[j]))
                .collect();
            let count = q(chosen.len() as i64, 1);
            chosen.into_iter().sum::<Q>() / count
        };
        // Sigma with the divisor N - 1
        let finite = &signal - &trace / (&n - q(1, 1));
        let (with, without) = (average(true), average(false));
        (with != signal || without != finite).then(|| {
            let shown: Vec<String> = points.iter().map(|p| tuple(p)).collect();
            format!(
                "population {}: |mu|^2 = {signal}; the mean of the debiased numerator over two draws is {with} with and {without} without replacement",
                shown.join(" ")
            )
        })
    })
}

fn unbiased_numerator() -> Check {
    let spec = Spec {
        id: "unbiased-numerator",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "averaged over every sample of two draws from three points, |mu_hat|^2 - Tr(D_hat)/n is |mu|^2 with and |mu|^2 - Tr(Sigma)/N without replacement",
        tolerance: 0.0,
        detectable: Size::of("share of the correction left out", 0.25),
    };
    let correction = |eighths, one_dimension| Correction {
        eighths,
        one_dimension,
    };
    let worlds = Worlds {
        real: correction(0, false),
        defect: Planted {
            what: "a quarter of the correction left out",
            size: 0.25,
            world: correction(2, false),
        },
        truth: Planted {
            what: "populations of three numbers",
            size: 0.0,
            world: correction(0, true),
        },
    };
    let worlds = worlds.violated_by(move |share| correction((8.0 * share) as i64, false));
    Check::new(spec, worlds, examine_numerator)
}

/// An isotropic Gaussian law to estimate `C` from.
#[derive(Clone, Copy)]
struct Setting {
    dimension: usize,
    samples: usize,
    ratio: f64,
    distance: f64,
}

/// The divisor n in place of n - 1, and a missing 1/n, show where d/n is large.
const CENTRAL: Setting = Setting {
    dimension: 400,
    samples: 20,
    ratio: 0.0,
    distance: 0.15,
};

const NONCENTRAL: Setting = Setting {
    dimension: 100,
    samples: 10,
    ratio: 0.5,
    distance: 0.25,
};

/// A lost statistic is as large as this, where the law has nothing left.
const LOST: f64 = 1e12;

/// The library's estimates of samples, their divisor as it is or `n`; or draws of the law itself. A share of either is `lost`: so large
/// that the distribution function is short by that share in the end, and nowhere by more.
struct Estimates {
    setting: Setting,
    from_samples: bool,
    biased: bool,
    lost: f64,
}

fn examine_law(world: &Estimates, draw: &Draw) -> Finding {
    let Setting {
        dimension,
        samples,
        ratio,
        distance,
    } = world.setting;
    let (n, d) = (samples as f64, dimension as f64);
    let generator = &mut draw.seed.generator();
    let shift = (ratio * d).sqrt();
    let squares = |z: &[f64]| z.iter().map(|v| v * v).sum::<f64>();
    let repetitions = kolmogorov_sample_size(distance, draw.rates);
    let mut statistics = Vec::with_capacity(repetitions);
    for _ in 0..repetitions {
        let statistic = if world.from_samples {
            let estimate = (|| -> fjld_core::Result<Option<f64>> {
                let mut moments = Moments::new(dimension)?;
                let mut rows = standard_normals(generator, samples * dimension);
                rows.iter_mut().step_by(dimension).for_each(|x| *x += shift);
                moments.push_batch(&rows)?;
                Ok(Ratio::estimate(&moments, 0.95)?
                    .estimates
                    .ok()
                    .map(|e| e.debiased))
            })();
            let Ok(Some(mut debiased)) = estimate else {
                return Finding::new(Outcome::Undecided, 0, "the library refused a sample");
            };
            if world.biased {
                debiased = (debiased + 1.0 / n) * n / (n - 1.0) - 1.0 / n;
            }
            n * (debiased + 1.0 / n)
        } else {
            let mut above = standard_normals(generator, dimension);
            above[0] += shift * n.sqrt();
            let below = standard_normals(generator, dimension * (samples - 1));
            (squares(&above) / d) / (squares(&below) / (d * (n - 1.0)))
        };
        let lost = world.lost > 0.0 && generator.random::<f64>() < world.lost;
        statistics.push(if lost { LOST } else { statistic });
    }
    let cdf = |x| noncentral_f_cdf(x, d, d * (n - 1.0), n * d * ratio);
    kolmogorov(statistics, cdf, draw.rates).needing(repetitions)
}

fn law(id: &'static str, setting: Setting) -> Check {
    let spec = Spec {
        id,
        role: Role::Corrected,
        kind: Kind::Statistical,
        hypothesis: "n (C_debiased + 1/n) of isotropic Gaussian gradients follows the F law with (d, d(n-1)) degrees of freedom and noncentrality n d C",
        tolerance: 0.0,
        detectable: Size::of("distance between distribution functions", setting.distance),
    };
    let estimates = move |from_samples, biased| Estimates {
        setting,
        from_samples,
        biased,
        lost: 0.0,
    };
    let worlds = Worlds {
        real: estimates(true, false),
        defect: Planted {
            what: "a noise with the divisor n",
            size: divisor_distance(setting),
            world: estimates(true, true),
        },
        truth: Planted {
            what: "draws of the F law itself, from sums of squares",
            size: 0.0,
            world: estimates(false, false),
        },
    };
    let worlds = worlds.violated_by(move |lost| Estimates {
        lost,
        ..estimates(false, false)
    });
    Check::new(spec, worlds, examine_law)
}

/// How far the planted divisor moves the distribution function: the largest gap between `F(x)` and `F(x (n-1)/n)`.
fn divisor_distance(setting: Setting) -> f64 {
    let (n, d) = (setting.samples as f64, setting.dimension as f64);
    let cdf = |x| noncentral_f_cdf(x, d, d * (n - 1.0), n * d * setting.ratio);
    // the law lives around 1 + n C
    let middle = 1.0 + n * setting.ratio;
    (1..200)
        .map(|i| {
            let x = middle * f64::from(i) * 0.01;
            cdf(x) - cdf(x * (n - 1.0) / n)
        })
        .fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_planted_divisor_moves_both_laws_by_a_little_more_than_is_detected() {
        for setting in [CENTRAL, NONCENTRAL] {
            let size = divisor_distance(setting) / setting.distance;
            assert!((1.0..=2.0).contains(&size), "{size}");
        }
    }
}
