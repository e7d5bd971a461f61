//! The shape of a heavy-tailed law, from a robust scatter.

use crate::evidence::kernels::equivalence;
use crate::evidence::{Check, Draw, Finding, Kind, Outcome, Planted, Role, Size, Spec, Worlds};
use fjld_core::Interval;
use fjld_core::rng::{Generator, standard_normals};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// Draws in the plane of the shape [`SHAPE`], the first coordinate stretched by `exp(stretch / 2)`.
struct Tails {
    /// Degrees of freedom; `None` for Gaussian draws.
    freedom: Option<usize>,
    stretch: f64,
}

/// `v_11`, `v_12` and `v_22` of the scale: their logarithmic quotient and their correlation are its shape.
const SHAPE: [f64; 3] = [1.0, 0.6, 1.0];

/// What the logarithm of `v_11/v_22` and the correlation may be off by.
const TOLERANCE: f64 = 0.1;

/// Groups of draws, each with an estimate, that an interval comes from.
const GROUPS: usize = 20;

/// Tyler's estimate in the plane has the asymptotic variance of the Gaussian one times `(d + 2)/d = 2`: per draw at most 8 for
/// `log(v_11/v_22)`, and less for the correlation.
const VARIANCE: f64 = 8.0;

/// Student's quantiles with 19 degrees of freedom exceed the normal ones by up to this factor, squared.
const MARGIN: f64 = 2.5;

/// Rounds of Tyler's fixed point, which contracts by about a half in each: to 1e-9.
const ROUNDS: usize = 30;

fn draws(world: &Tails, count: usize, generator: &mut Generator) -> Vec<[f64; 2]> {
    let [_, cross, _] = SHAPE;
    let rest = (1.0 - cross * cross).sqrt();
    (0..count)
        .map(|_| {
            let z = standard_normals(generator, 2);
            let length = world.freedom.map_or(1.0, |freedom| {
                let squares: f64 = standard_normals(generator, freedom)
                    .iter()
                    .map(|v| v * v)
                    .sum();
                (squares / freedom as f64).sqrt()
            });
            let (x, y) = (z[0], cross * z[0] + rest * z[1]);
            [x * (0.5 * world.stretch).exp() / length, y / length]
        })
        .collect()
}

/// Tyler's scatter (1987, *Annals of Statistics* 15): the fixed point `V` of `V = (d/n) sum x x' / (x'V^-1 x)`, up to a factor; as
/// `log(v_11/v_22)` and correlation.
fn tyler(draws: &[[f64; 2]]) -> [f64; 2] {
    let [mut a, mut b, mut c] = [1.0, 0.0, 1.0];
    for _ in 0..ROUNDS {
        let mut sums = [0.0; 3];
        let determinant = a * c - b * b;
        for [x, y] in draws {
            let length = (c * x * x - 2.0 * b * x * y + a * y * y) / determinant;
            sums[0] += x * x / length;
            sums[1] += x * y / length;
            sums[2] += y * y / length;
        }
        [a, b, c] = sums.map(|s| 2.0 * s / draws.len() as f64);
    }
    [(a / c).ln(), b / (a * c).sqrt()]
}

fn examine(world: &Tails, draw: &Draw) -> Finding {
    let normal = Normal::new(0.0, 1.0).expect("a standard normal exists");
    // two numbers are judged
    let alarm = draw.rates.false_alarm / 2.0;
    let quantiles =
        normal.inverse_cdf(1.0 - alarm / 2.0) + normal.inverse_cdf(1.0 - draw.rates.miss);
    let total = MARGIN * VARIANCE * (quantiles / TOLERANCE).powi(2);
    let count = (total / GROUPS as f64).ceil() as usize;
    let generator = &mut draw.seed.generator();
    let estimates: Vec<[f64; 2]> = (0..GROUPS)
        .map(|_| tyler(&draws(world, count, generator)))
        .collect();
    let n = GROUPS as f64;
    let quantile = StudentsT::new(0.0, 1.0, n - 1.0)
        .expect("there are several groups")
        .inverse_cdf(1.0 - alarm / 2.0);
    let judge = |which: usize, target: f64| {
        let mean = estimates.iter().map(|e| e[which]).sum::<f64>() / n;
        let squares: f64 = estimates.iter().map(|e| (e[which] - mean).powi(2)).sum();
        let half = quantile * (squares / (n * (n - 1.0))).sqrt();
        let interval = Interval {
            low: mean - half,
            high: mean + half,
            level: 1.0 - alarm,
        };
        (
            mean,
            interval,
            equivalence(mean, interval, target, TOLERANCE),
        )
    };
    let (quotient, q_interval, first) = judge(0, (SHAPE[0] / SHAPE[2]).ln());
    let (correlation, c_interval, second) = judge(1, SHAPE[1]);
    let outcome = match (first, second) {
        (Outcome::Violated, _) | (_, Outcome::Violated) => Outcome::Violated,
        (Outcome::Holds, Outcome::Holds) => Outcome::Holds,
        _ => Outcome::Undecided,
    };
    let summary = format!(
        "log(v_11/v_22) is {quotient:.3} [{:.3}, {:.3}], truly {:.1}; the correlation {correlation:.3} [{:.3}, {:.3}], truly {:.1}",
        q_interval.low,
        q_interval.high,
        (SHAPE[0] / SHAPE[2]).ln(),
        c_interval.low,
        c_interval.high,
        SHAPE[1]
    );
    let mut finding = Finding::new(outcome, (count * GROUPS) as u64, summary);
    finding.effect = Some(quotient);
    finding.interval = Some([q_interval.low, q_interval.high]);
    finding.needing((total / MARGIN).ceil() as usize)
}

/// Tyler's scatter of draws without a covariance has the shape of their scale.
pub fn shape_restored() -> Check {
    let spec = Spec {
        id: "shape-restored",
        role: Role::Corrected,
        kind: Kind::Statistical,
        hypothesis: "Tyler's scatter of draws of a t law with one degree of freedom in the plane has the quotient of axes and the correlation of its scale",
        tolerance: TOLERANCE,
        // the interval is shorter than the tolerance on either side, and has to clear it
        detectable: Size::of("error of log(v_11/v_22)", 2.0 * TOLERANCE),
    };
    let tails = |freedom, stretch| Tails { freedom, stretch };
    let worlds = Worlds {
        real: tails(Some(1), 0.0),
        defect: Planted {
            what: "a first coordinate stretched by a tenth",
            size: 0.2,
            world: tails(Some(1), 0.2),
        },
        truth: Planted {
            what: "Gaussian draws",
            size: 0.0,
            world: tails(None, 0.0),
        },
    };
    let worlds = worlds.violated_by(move |stretch| tails(Some(1), stretch));
    Check::new(spec, worlds, examine)
}
