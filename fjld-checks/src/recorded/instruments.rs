//! The tests by themselves, on draws whose law is known exactly: what a check of a claim adds to them can then be told from them.

use crate::evidence::kernels::{
    RunTest, TOLERATED_FAILURES, equivalence, kolmogorov, kolmogorov_sample_size,
};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use fjld_core::Interval;
use fjld_core::rng::standard_normals;
use rand::RngExt;
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// Stands where the claim's name does.
pub const CLAIM: &str = "instruments";

/// The three tests that stochastic checks use.
pub fn checks() -> Vec<Check> {
    vec![kolmogorov_test(), interval_test(), run_test()]
}

/// Distance between distribution functions that Kolmogorov's test detects here.
const DISTANCE: f64 = 0.1;

/// Uniform draws, of which this share is moved to the upper end: their distribution function is then off by that share.
fn examine_draws(moved: &f64, draw: &Draw) -> Finding {
    let generator = &mut draw.seed.generator();
    let draws = (0..kolmogorov_sample_size(DISTANCE, draw.rates))
        .map(|_| {
            let [x, chance] = [generator.random::<f64>(), generator.random::<f64>()];
            if chance < *moved { 1.0 } else { x }
        })
        .collect();
    kolmogorov(draws, |x| x, draw.rates)
}

fn kolmogorov_test() -> Check {
    let spec = Spec {
        id: "kolmogorov",
        role: Role::AsWritten,
        kind: Kind::Statistical,
        hypothesis: "uniform draws are uniform",
        tolerance: 0.0,
        detectable: Size::of("distance between distribution functions", DISTANCE),
    };
    let worlds = Worlds {
        real: 0.0,
        defect: Planted {
            what: "a tenth of the draws moved to the upper end",
            size: DISTANCE,
            world: DISTANCE,
        },
        truth: Planted {
            what: "uniform draws",
            size: 0.0,
            world: 0.0,
        },
    };
    Check::new(spec, worlds.violated_by(|moved| moved), examine_draws)
}

/// What a mean may be off by here; the draws have the variance 1.
const TOLERANCE: f64 = 0.5;

/// Student's quantiles from a dozen draws on exceed the normal ones by up to this factor, squared.
const MARGIN: f64 = 1.6;

fn examine_mean(mean: &f64, draw: &Draw) -> Finding {
    let normal = Normal::new(0.0, 1.0).expect("a standard normal exists");
    let quantiles = normal.inverse_cdf(1.0 - draw.rates.false_alarm / 2.0)
        + normal.inverse_cdf(1.0 - draw.rates.miss);
    let count = (MARGIN * (quantiles / TOLERANCE).powi(2)).ceil() as usize;
    let n = count as f64;
    let draws = standard_normals(&mut draw.seed.generator(), count);
    let average = draws.iter().sum::<f64>() / n;
    let squares: f64 = draws.iter().map(|x| (x - average).powi(2)).sum();
    let quantile = StudentsT::new(0.0, 1.0, n - 1.0)
        .expect("there are several draws")
        .inverse_cdf(1.0 - draw.rates.false_alarm / 2.0);
    let half = quantile * (squares / (n * (n - 1.0))).sqrt();
    let effect = mean + average;
    let interval = Interval {
        low: effect - half,
        high: effect + half,
        level: 1.0 - draw.rates.false_alarm,
    };
    let outcome = equivalence(effect, interval, 0.0, TOLERANCE);
    let mut finding = Finding::new(
        outcome,
        count as u64,
        format!("the mean is {effect:.3} +- {half:.3}"),
    );
    finding.effect = Some(effect);
    finding
}

fn interval_test() -> Check {
    let spec = Spec {
        id: "interval-at-the-edge",
        role: Role::AsWritten,
        kind: Kind::Statistical,
        hypothesis: "a mean is within the tolerance, where it lies on the edge of it: the truth that is hardest to tell",
        tolerance: TOLERANCE,
        detectable: Size::of("mean", 2.0 * TOLERANCE),
    };
    let worlds = Worlds {
        real: TOLERANCE,
        defect: Planted {
            what: "a mean of twice the tolerance",
            size: 2.0 * TOLERANCE,
            world: 2.0 * TOLERANCE,
        },
        truth: Planted {
            what: "a mean on the edge of the tolerance",
            size: 0.0,
            world: TOLERANCE,
        },
    };
    Check::new(spec, worlds, examine_mean)
}

/// Runs of the test by itself: enough that twice the failure rate that it detects is no certainty.
const RUNS: u64 = 60;

fn examine_failures(rate: &f64, draw: &Draw) -> Finding {
    let generator = &mut draw.seed.generator();
    let failed = (0..RUNS)
        .filter(|_| generator.random::<f64>() < *rate)
        .count() as u64;
    let outcome = RunTest::new(RUNS, draw.rates).outcome(failed, 0);
    let mut finding = Finding::new(outcome, RUNS, format!("{failed} of {RUNS} failed"));
    finding.effect = Some(failed as f64 / RUNS as f64);
    finding
}

fn run_test() -> Check {
    let detectable = RunTest::new(RUNS, super::judge::RATES).detectable();
    let spec = Spec {
        id: "run-test",
        role: Role::AsWritten,
        kind: Kind::Runs,
        hypothesis: "independent runs fail at the tolerated rate",
        tolerance: TOLERATED_FAILURES,
        detectable: Size::of("failure rate", detectable),
    };
    let worlds = Worlds {
        real: TOLERATED_FAILURES,
        defect: Planted {
            what: "runs that fail at the rate that is detected",
            size: detectable,
            world: detectable,
        },
        truth: Planted {
            what: "runs that fail at the tolerated rate",
            size: 0.0,
            world: TOLERATED_FAILURES,
        },
    };
    Check::new(spec, worlds.violated_by(|rate| rate), examine_failures)
}
