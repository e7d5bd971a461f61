//! The function that was meant, on a small network.

use super::network::{Examples, Network};
use crate::error::Result;
use crate::evidence::{
    Check, Draw, Finding, Kind, Outcome, Planted, Role, Size, Spec, Worlds, worse,
};
use fjld_core::compute_c_alpha_kfac;
use fjld_core::kronecker::Damping;

/// Widths of the network, and what is asked of the function.
struct Asked {
    widths: [usize; 3],
    /// The function's damping over that of the dense algebra, less 1.
    excess: f64,
}

/// The damped factors here have conditions up to 1e3, their product 1e6: solving by it errs by 1e6 `eps`, which is 2e-10, relative.
const TOLERANCE: f64 = 1e-9;

/// Both much smaller than the factors' entries, which are about one.
const DAMPINGS: [f64; 2] = [0.1, 0.01];

const EXAMPLES: usize = 40;
const BATCH: usize = 8;

fn examine_value(world: &Asked, draw: &Draw) -> Finding {
    value(world, draw)
        .unwrap_or_else(|error| Finding::new(Outcome::Undecided, 0, error.to_string()))
}

fn value(world: &Asked, draw: &Draw) -> Result<Finding> {
    let generator = &mut draw.seed.generator();
    let (mut worst, mut cases, mut same_side) = (0.0, 0, true);
    for damping in DAMPINGS {
        let network = Network::random(world.widths, generator)?;
        let examples = Examples::random(EXAMPLES, world.widths, generator);
        let batches = examples.batches(BATCH)?;
        let reading = compute_c_alpha_kfac(
            &network,
            batches.into_iter().map(Ok),
            EXAMPLES / BATCH,
            Damping::Factors(damping * (1.0 + world.excess)),
        )?;
        let dense = network.dense(&examples, damping)?;
        let mut compare = |got: Option<f64>, expected: f64| {
            worst = worse(worst, (got.unwrap_or(f64::NAN) / expected - 1.0).abs());
            cases += 1;
        };
        for (metric, layer) in reading.layer_metrics.iter().zip(&dense) {
            compare(Some(metric.signal), layer.signal);
            compare(Some(metric.noise), layer.noise);
            compare(metric.c_alpha_layer, layer.signal / layer.noise);
            compare(metric.fisher_condition, layer.condition);
        }
        let signal: f64 = dense.iter().map(|layer| layer.signal).sum();
        let noise: f64 = dense.iter().map(|layer| layer.noise).sum();
        compare(Some(reading.total_signal), signal);
        compare(Some(reading.total_noise), noise);
        compare(reading.c_alpha_kfac, signal / noise);
        same_side &= reading.is_convergent == (signal > noise);
    }
    if !same_side {
        let summary = "is_convergent is not C > 1";
        return Ok(Finding::new(Outcome::Violated, cases, summary));
    }
    let compared = "what compute_c_alpha_kfac returns and dense algebra with whole blocks";
    Ok(Finding::of_identity(worst, TOLERANCE, cases, compared))
}

/// That the function gives what dense algebra gives.
pub fn meant_function() -> Check {
    let spec = Spec {
        id: "meant-function",
        role: Role::Corrected,
        kind: Kind::Identity,
        hypothesis: "compute_c_alpha_kfac gives mu'F^-1 mu and Tr(F^-1 D) of each layer and of all, their quotients and the layers' condition numbers, as whole blocks F = (G + lambda 1) (x) (A + lambda 1) give them",
        tolerance: TOLERANCE,
        detectable: Size::of("relative error of the damping", 1e-6),
    };
    let asked = |widths, excess| Asked { widths, excess };
    let worlds = Worlds {
        real: asked([3, 4, 2], 0.0),
        defect: Planted {
            what: "a damping that is one part in 10^6 too large",
            size: 1e-6,
            world: asked([3, 4, 2], 1e-6),
        },
        truth: Planted {
            what: "one input, one hidden unit and one output",
            size: 0.0,
            world: asked([1, 1, 1], 0.0),
        },
    };
    Check::new(spec, worlds, examine_value)
}

/// Batches that there are and that are wanted; the function is asked for `lowered` fewer than are wanted.
struct Wanted {
    there: usize,
    wanted: usize,
    lowered: usize,
}

fn examine_refusal(world: &Wanted, draw: &Draw) -> Finding {
    refusal(world, draw)
        .unwrap_or_else(|error| Finding::new(Outcome::Undecided, 0, error.to_string()))
}

fn refusal(world: &Wanted, draw: &Draw) -> Result<Finding> {
    let generator = &mut draw.seed.generator();
    let widths = [3, 4, 2];
    let network = Network::random(widths, generator)?;
    let examples = Examples::random(world.there * BATCH, widths, generator);
    let batches = examples.batches(BATCH)?.into_iter().map(Ok);
    let asked = world.wanted - world.lowered;
    let result = compute_c_alpha_kfac(&network, batches, asked, Damping::Factors(0.1));
    let outcome = if result.is_ok() == (world.there >= world.wanted) {
        Outcome::Holds
    } else {
        Outcome::Violated
    };
    let said = result.map_or_else(
        |error| error.to_string(),
        |reading| format!("C of {} examples", reading.samples),
    );
    let summary = format!(
        "{} batches wanted, {} there: {said}",
        world.wanted, world.there
    );
    Ok(Finding::new(outcome, 1, summary))
}

/// That the function refuses short data.
pub fn refuses_short_data() -> Check {
    let spec = Spec {
        id: "refuses-short-data",
        role: Role::Corrected,
        kind: Kind::Identity,
        hypothesis: "compute_c_alpha_kfac refuses data with fewer batches than are wanted, and no other",
        tolerance: 0.0,
        detectable: Size::of("batches missing without a word", 1.0),
    };
    let wanted = |there, wanted, lowered| Wanted {
        there,
        wanted,
        lowered,
    };
    let worlds = Worlds {
        real: wanted(4, 5, 0),
        defect: Planted {
            what: "a function that is content with one batch fewer",
            size: 1.0,
            world: wanted(4, 5, 1),
        },
        truth: Planted {
            what: "as many batches as are wanted",
            size: 0.0,
            world: wanted(5, 5, 0),
        },
    };
    Check::new(spec, worlds, examine_refusal)
}

/// The same example again and again, its first input moved by `spread` once; whether a ratio is expected.
struct Repeated {
    spread: f64,
    expected: bool,
}

fn examine_vanished(world: &Repeated, draw: &Draw) -> Finding {
    vanished(world, draw)
        .unwrap_or_else(|error| Finding::new(Outcome::Undecided, 0, error.to_string()))
}

fn vanished(world: &Repeated, draw: &Draw) -> Result<Finding> {
    let generator = &mut draw.seed.generator();
    let widths = [3, 4, 2];
    let network = Network::random(widths, generator)?;
    let one = Examples::random(1, widths, generator);
    let repeated = |m: &faer::Mat<f64>| faer::Mat::from_fn(EXAMPLES, m.ncols(), |_, j| m[(0, j)]);
    let mut examples = Examples {
        inputs: repeated(&one.inputs),
        targets: repeated(&one.targets),
    };
    examples.inputs[(0, 0)] += world.spread;
    let batches = examples.batches(BATCH)?.into_iter().map(Ok);
    let damping = Damping::Factors(0.1);
    let reading = compute_c_alpha_kfac(&network, batches, EXAMPLES / BATCH, damping)?;
    let fits = reading.c_alpha_kfac.is_some() == world.expected
        && (world.expected || !reading.is_convergent);
    let outcome = if fits {
        Outcome::Holds
    } else {
        Outcome::Violated
    };
    let shown = reading
        .c_alpha_kfac
        .map_or("no ratio".to_owned(), |c| format!("{c:.1e}"));
    let summary = format!(
        "{EXAMPLES} examples, of which one differs by {}: {shown}",
        world.spread
    );
    Ok(Finding::new(outcome, 1, summary))
}

/// That the function gives no ratio where the noise vanished.
pub fn vanished_noise() -> Check {
    let spec = Spec {
        id: "vanished-noise",
        role: Role::Corrected,
        kind: Kind::Identity,
        hypothesis: "compute_c_alpha_kfac gives no ratio, and calls nothing convergent, where all gradients are the same",
        tolerance: 0.0,
        detectable: Size::of("difference of one input of one example", 1e-4),
    };
    let repeated = |spread, expected| Repeated { spread, expected };
    let worlds = Worlds {
        real: repeated(0.0, false),
        defect: Planted {
            what: "an example that differs in one input by 10^-4",
            size: 1e-4,
            world: repeated(1e-4, false),
        },
        truth: Planted {
            what: "an example that differs by 1, and a ratio expected",
            size: 0.0,
            world: repeated(1.0, true),
        },
    };
    Check::new(spec, worlds, examine_vanished)
}
