//! Stochastic gradient descent as sampling from the Jeffreys density.

mod finite_step;
mod kernel;
pub mod picture;
mod stationary;

use super::{Claim, Origin, Sentence};
use crate::evidence::kernels::equivalence;
use crate::evidence::{Check, Draw, Finding, Kind, Outcome, Planted, Role, Size, Spec, Worlds};
use fjld_core::Interval;
use stationary::{Scheme, fitted_exponent, mean_cosines};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "implicit-jeffreys",
        origin: Origin::Document,
        statement: "Stochastic gradient descent performs Jeffreys inference implicitly: where the loss is flat, its parameters are distributed as the Jeffreys density 1/sqrt(det D).",
        sentence: Some(Sentence {
            section: "Speculative Claims (Requiring Validation)",
            line: 281,
            sha256: "845fb51eb7c00a8b214e1e2efa1e776a3f4c30f98e0937031683c7cbedc49b28",
            status: "speculative",
        }),
        holds_when: Some(
            "there are exactly two parameters with isotropic noise, or the noise acts in Stratonovich's sense on one, which that of gradient descent does not",
        ),
        corrected: Some(
            "On a flat loss with isotropic noise of variance s^2 the stationary density tends to s^-2 as the step size eta goes to 0, in every dimension d, while the Jeffreys density is s^-d; where each coordinate has noise D_i(x_i) of its own it tends to 1/det D, the square of the Jeffreys density. At a finite step with Gaussian noise on a torus these are to be multiplied by 1 - (eta^2/4) sum_i d_i^2 D_i, up to 2 eta^4, relative, for log-variances that are cosines and eta up to 0.4; noise with third moment k on a ring moves the density already by the factor 1 - (eta k/3) s'. On a ring with s^2 = e^(cos x) the power of D that fits is -0.997, -0.989, -0.931 and -0.750 at eta = 0.1, 0.2, 0.5 and 1.",
        ),
        scenarios: &[],
        checks: vec![
            exponent(
                "jeffreys",
                Role::AsWritten,
                "the density is det D to the power -1/2 with one and with three parameters",
                vec![jeffreys(1, Scheme::Ito), jeffreys(3, Scheme::Ito)],
            ),
            exponent(
                "two-parameters",
                Role::HoldsWhen,
                "the density is det D to the power -1/2 with two parameters",
                vec![jeffreys(2, Scheme::Ito)],
            ),
            exponent(
                "stratonovich",
                Role::HoldsWhen,
                "the density is det D to the power -1/2 with one parameter and steps by Heun's rule, whose limit is Stratonovich's",
                vec![jeffreys(1, Scheme::Heun)],
            ),
            exponent(
                "every-dimension",
                Role::Corrected,
                "the density is s^2 to the power -1 with one, two and three parameters",
                [1, 2, 3].map(|d| ito(d, Scheme::Ito)).to_vec(),
            ),
            finite_step::normal_noise(),
            finite_step::skewed_noise(),
            finite_step::ring_powers(),
        ],
    }
}

/// Walks on a torus, and the power of `s^2` that their density should be.
#[derive(Clone, Copy)]
struct Walks {
    dimension: usize,
    scheme: Scheme,
    power: f64,
}

/// `det D = s^(2d)`, so that `1/sqrt(det D)` is `s^2` to the power `-d/2`.
fn jeffreys(dimension: usize, scheme: Scheme) -> Walks {
    Walks {
        dimension,
        scheme,
        power: -(dimension as f64) / 2.0,
    }
}

fn ito(dimension: usize, scheme: Scheme) -> Walks {
    Walks {
        dimension,
        scheme,
        power: -1.0,
    }
}

/// Step size of the walks. The power that is fitted differs from its limit by about `eta^2/4 = 0.016`.
const STEP: f64 = 0.25;

/// A power this far from the stated one is let stand: five times that.
const TOLERANCE: f64 = 0.1;

/// What chance may take of the tolerance; the step's own bias needs the rest.
const HALF_WIDTH: f64 = 0.08;

/// Independent walks that an interval comes from.
const WALKS: usize = 40;

/// Student's quantiles with 39 degrees of freedom exceed the normal ones by up to this factor, squared.
const MARGIN: f64 = 1.6;

/// `log s^2` is this times the sum of cosines: enough to see a power by, and not so much that a walk rarely leaves the quiet places.
fn slope(dimension: usize) -> f64 {
    1.0 / (dimension as f64).sqrt()
}

/// Steps of one walk: a cosine forgets itself within some `4/eta^2` steps. An average of cosines moves by 0.4 `slope` with the power,
/// and a cosine has the variance 1/2.
fn steps(dimension: usize, quantiles: f64) -> usize {
    let d = dimension as f64;
    let memory = 4.0 / (STEP * STEP);
    let needed = 0.5 * (quantiles / (0.4 * slope(dimension) * HALF_WIDTH)).powi(2) / d;
    (MARGIN * needed * memory / WALKS as f64).ceil() as usize
}

fn examine_exponent(world: &Vec<Walks>, draw: &Draw) -> Finding {
    let normal = Normal::new(0.0, 1.0).expect("a standard normal exists");
    let alarm = draw.rates.false_alarm / world.len() as f64;
    let quantiles =
        normal.inverse_cdf(1.0 - alarm / 2.0) + normal.inverse_cdf(1.0 - draw.rates.miss);
    let n = WALKS as f64;
    let quantile = StudentsT::new(0.0, 1.0, n - 1.0)
        .expect("there are several walks")
        .inverse_cdf(1.0 - alarm / 2.0);
    let (mut told, mut outcomes, mut taken) = (Vec::new(), Vec::new(), 0);
    let mut widest: Option<(f64, f64, [f64; 2])> = None;
    for walks in world {
        let d = walks.dimension;
        let count = steps(d, quantiles);
        let seed = draw.seed.derive(&format!("{d} parameters"));
        let means: Vec<f64> = (0..WALKS)
            .map(|walk| {
                let generator = &mut seed.derive(&walk.to_string()).generator();
                mean_cosines(walks.scheme, d, slope(d), STEP, count, generator)
            })
            .collect();
        let mean = means.iter().sum::<f64>() / n;
        let squares: f64 = means.iter().map(|m| (m - mean).powi(2)).sum();
        let half = quantile * (squares / (n * (n - 1.0))).sqrt();
        // the power grows with the mean cosine
        let power = |m| fitted_exponent(m, slope(d));
        let (effect, interval) = (
            power(mean),
            Interval {
                low: power(mean - half),
                high: power(mean + half),
                level: 1.0 - alarm,
            },
        );
        outcomes.push(equivalence(effect, interval, walks.power, TOLERANCE));
        told.push(format!(
            "{effect:.3} [{:.3}, {:.3}] against {} with d = {d}",
            interval.low, interval.high, walks.power
        ));
        taken += (count * WALKS) as u64;
        let gap = (effect - walks.power).abs();
        if widest.is_none_or(|(most, ..)| gap > most) {
            widest = Some((gap, effect, [interval.low, interval.high]));
        }
    }
    let outcome = Outcome::of_all(&outcomes);
    let summary = format!("the density is s^2 to the power {}", told.join(", "));
    let mut finding = Finding::new(outcome, taken, summary);
    if let Some((_, effect, interval)) = widest {
        (finding.effect, finding.interval) = (Some(effect), Some(interval));
    }
    finding.needing((taken as f64 / MARGIN).ceil() as usize)
}

fn exponent(id: &'static str, role: Role, hypothesis: &'static str, real: Vec<Walks>) -> Check {
    let spec = Spec {
        id,
        role,
        kind: Kind::Statistical,
        hypothesis,
        tolerance: TOLERANCE,
        // the interval and the step's own bias have to clear the tolerance
        detectable: Size::of("error of the power of s^2", 2.0 * TOLERANCE),
    };
    let worlds = Worlds {
        real,
        defect: Planted {
            what: "one parameter and half of the drift that makes Ito's sense Stratonovich's: power -3/4 instead of -1/2",
            size: 0.25,
            world: vec![jeffreys(1, Scheme::Drift { share: 0.5 })],
        },
        truth: Planted {
            what: "one parameter with all of that drift: power -1/2",
            size: 0.0,
            world: vec![jeffreys(1, Scheme::Drift { share: 1.0 })],
        },
    };
    // a share of the drift gives the power (share - 2)/2
    let worlds = worlds.violated_by(|error| {
        let share = 1.0 - 2.0 * error;
        vec![jeffreys(1, Scheme::Drift { share })]
    });
    Check::new(spec, worlds, examine_exponent)
}
