//! The entropy of Gaussian gradients.

use super::{Claim, Origin, Sentence};
use crate::evidence::{
    Check, Draw, Finding, Kind, Outcome, Planted, Role, Size, Spec, Worlds, worse,
};
use faer::Mat;
use fjld_core::information::gaussian_entropy;
use fjld_core::rng::standard_normals;

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "entropy",
        origin: Origin::Document,
        statement: "The entropy of Gaussian gradients with covariance D is (1/2) log det(2 pi e D).",
        sentence: Some(Sentence {
            section: "4. Maximum Entropy Production",
            line: 108,
            sha256: "dbeb759f384274984b4fdf2736fff9764e5b30ddfd36aa9a85b9fb1a60a7c8a1",
            status: "stated",
        }),
        holds_when: None,
        corrected: None,
        scenarios: &[],
        checks: vec![by_integrals(), in_the_plane()],
    }
}

/// The library sees variances that are `1 + error` times the true ones; the covariance is diagonal, or turned.
struct Gradients {
    error: f64,
    diagonal: bool,
}

/// Roundings of a dozen logarithms and of the eigenbasis: 1e-14, with room for a sum over eight coordinates.
const TOLERANCE: f64 = 1e-12;

/// `-∫ p log p` for the density `p`, given by its logarithm, over ten standard deviations on either side, by the trapezoidal rule:
/// for a Gaussian its error falls as `exp(-2 (pi / h)^2)` with the step `h` in standard deviations, below 1e-30 here.
fn integral(standard_deviation: f64, log_density: impl Fn(f64) -> f64) -> f64 {
    let steps_per_deviation = 4;
    let h = standard_deviation / f64::from(steps_per_deviation);
    let steps = 10 * steps_per_deviation;
    (-steps..=steps)
        .map(|k| {
            let log_p = log_density(h * f64::from(k));
            -log_p * log_p.exp() * h
        })
        .sum()
}

fn log_density(x: f64, variance: f64) -> f64 {
    -0.5 * (x * x / variance + (2.0 * std::f64::consts::PI * variance).ln())
}

/// A reflection `1 - 2 u u' / u'u` of the matrix on both sides, which leaves the entropy alone.
fn reflected(matrix: &Mat<f64>, u: &[f64]) -> Mat<f64> {
    let d = u.len();
    let squared: f64 = u.iter().map(|v| v * v).sum();
    let reflection = Mat::from_fn(d, d, |i, j| {
        f64::from(u8::from(i == j)) - 2.0 * u[i] * u[j] / squared
    });
    &reflection * matrix * &reflection
}

fn examine_integrals(world: &Gradients, draw: &Draw) -> Finding {
    let generator = &mut draw.seed.generator();
    let mut worst = 0f64;
    let mut cases = 0;
    for d in 1..=8 {
        for _ in 0..10 {
            let z = standard_normals(generator, 3 * d);
            // two decades of variances
            let variances: Vec<f64> = z[..d].iter().map(|v| v.exp()).collect();
            let expected: f64 = variances
                .iter()
                .map(|&v| integral(v.sqrt(), |x| log_density(x, v)))
                .sum();
            let mut covariance = Mat::from_fn(d, d, |i, j| {
                if i == j {
                    variances[i] * (1.0 + world.error)
                } else {
                    0.0
                }
            });
            if !world.diagonal {
                // two reflections make a rotation
                covariance = reflected(&reflected(&covariance, &z[d..2 * d]), &z[2 * d..]);
            }
            let Ok(entropy) = gaussian_entropy(covariance.as_ref()) else {
                return Finding::new(Outcome::Undecided, cases, "a covariance was refused");
            };
            worst = worse(worst, (entropy - expected).abs());
            cases += 1;
        }
    }
    judged(worst, cases, "turned Gaussians in 1 to 8 dimensions")
}

fn judged(worst: f64, cases: u64, what: &str) -> Finding {
    let summary = format!(
        "the library's entropy and the integral of -p log p differ by at most {worst:.1e} nats over {cases} {what}"
    );
    Finding::of_discrepancy(worst, TOLERANCE, cases, summary)
}

fn check(
    id: &'static str,
    hypothesis: &'static str,
    examine: fn(&Gradients, &Draw) -> Finding,
) -> Check {
    let spec = Spec {
        id,
        role: Role::AsWritten,
        kind: Kind::Identity,
        hypothesis,
        tolerance: TOLERANCE,
        detectable: Size::of("relative error of the variances", 1e-11),
    };
    let worlds = Worlds {
        real: Gradients {
            error: 0.0,
            diagonal: false,
        },
        defect: Planted {
            what: "variances that are off by one part in 10^11",
            size: 1e-11,
            world: Gradients {
                error: 1e-11,
                diagonal: false,
            },
        },
        truth: Planted {
            what: "diagonal covariances",
            size: 0.0,
            world: Gradients {
                error: 0.0,
                diagonal: true,
            },
        },
    };
    Check::new(spec, worlds, examine)
}

fn by_integrals() -> Check {
    check(
        "integrals",
        "(1/2) log det(2 pi e D) by the library is -∫ p log p over independent coordinates, which a rotation does not change",
        examine_integrals,
    )
}

/// Correlated pairs, with the density written out by pencil and integrated over the plane.
fn examine_plane(world: &Gradients, draw: &Draw) -> Finding {
    let generator = &mut draw.seed.generator();
    let mut worst = 0f64;
    let cases = 20;
    for _ in 0..cases {
        let z = standard_normals(generator, 3);
        let (a, c) = (z[0].exp(), z[1].exp());
        let correlation = if world.diagonal {
            0.0
        } else {
            0.9 * z[2].tanh()
        };
        let b = correlation * (a * c).sqrt();
        let determinant = a * c - b * b;
        let log_p = |x: f64, y: f64| {
            let square = (c * x * x - 2.0 * b * x * y + a * y * y) / determinant;
            -0.5 * (square + (4.0 * std::f64::consts::PI.powi(2) * determinant).ln())
        };
        // steps of a quarter of the narrowest deviation, out to ten of the widest
        let widest = 0.5 * (a + c) + (0.25 * (a - c).powi(2) + b * b).sqrt();
        let (h, reach) = (0.25 * (determinant / widest).sqrt(), 10.0 * widest.sqrt());
        let steps = (reach / h).ceil() as i64;
        let mut expected = 0.0;
        for i in -steps..=steps {
            for j in -steps..=steps {
                let log = log_p(i as f64 * h, j as f64 * h);
                expected -= log * log.exp() * h * h;
            }
        }
        let grown = 1.0 + world.error;
        let covariance = faer::mat![[a * grown, b * grown], [b * grown, c * grown]];
        let Ok(entropy) = gaussian_entropy(covariance.as_ref()) else {
            return Finding::new(Outcome::Undecided, cases, "a covariance was refused");
        };
        worst = worse(worst, (entropy - expected).abs());
    }
    judged(worst, cases, "correlated pairs")
}

fn in_the_plane() -> Check {
    check(
        "plane",
        "(1/2) log det(2 pi e D) by the library is -∫ p log p over the plane, for correlated pairs",
        examine_plane,
    )
}
