//! The ratio of a trained network on real digits under maps around its layers, with and without damping.

use crate::claims::trained_network::{AROUND_LAYERS, trained};
use crate::error::Result;
use crate::evidence::{
    Check, Draw, Finding, Kind, Outcome, Planted, Role, Size, Spec, Worlds, worse,
};
use crate::scenarios::reparameterization::Trained;
use crate::scenarios::reparameterization::network::Gradients;
use crate::scenarios::reparameterization::transformation::Transformation;
use candle_core::Device;
use fjld_core::KfacReading;
use fjld_core::kronecker::{Damping, KfacAccumulator, Setting};
use fjld_core::rng::Generator;

/// Maps of some kinds, stretching by up to the root of `condition`, and what is added to the factors.
struct Maps {
    damping: Damping,
    kinds: &'static [Transformation],
    condition: f64,
}

/// Solving by blocks with conditions up to 1e6, which the summary gives, errs by 1e6 `eps`, 2e-10, relative.
const TOLERANCE: f64 = 1e-9;

/// Random maps of each kind.
const REPEATS: usize = 2;

/// The stretches of the drift curve.
const CONDITIONS: [f64; 4] = [3.0, 10.0, 30.0, 100.0];

/// The printed function's.
const PRINTED: Damping = Damping::Factors(1e-5);

/// Martens and Grosse's, with the same geometric mean of what is added to both factors.
const SHARED: Damping = Damping::Pi(1e-10);

fn reading(gradients: &Gradients, damping: Damping) -> Result<KfacReading> {
    let mut factors = KfacAccumulator::new(Setting::Expand);
    factors.push(&gradients.pairs)?;
    let mut ratios = factors.ratios(damping, &Device::Cpu)?;
    ratios.push(&gradients.pairs)?;
    Ok(ratios.reading()?)
}

fn ratio(reading: &KfacReading) -> f64 {
    reading.c_alpha_kfac.unwrap_or(f64::NAN)
}

/// The largest condition number of a layer's block; infinite where there is none.
fn condition(reading: &KfacReading) -> f64 {
    let conditions = reading.layer_metrics.iter();
    conditions
        .map(|m| m.fisher_condition.unwrap_or(f64::INFINITY))
        .fold(0.0, f64::max)
}

/// Gradients after every map of the world, with other stretches if wanted.
fn rewritten(
    kinds: &[Transformation],
    stretch: f64,
    generator: &mut Generator,
) -> Result<Vec<Gradients>> {
    let (_, Trained { network, problem }) = trained()?;
    let repeated = kinds.iter().flat_map(|kind| [kind; REPEATS]);
    repeated
        .map(|kind| {
            kind.draw(network, stretch, generator)
                .gradients(network, problem)
        })
        .collect()
}

fn examine(world: &Maps, draw: &Draw) -> Finding {
    compare(world, draw)
        .unwrap_or_else(|error| Finding::new(Outcome::Undecided, 0, error.to_string()))
}

fn compare(world: &Maps, draw: &Draw) -> Result<Finding> {
    let (_, Trained { network, problem }) = trained()?;
    let generator = &mut draw.seed.generator();
    let before = network.gradients(problem)?;
    let reading_before = reading(&before, world.damping)?;
    let (mut worst, mut cases, mut largest) = (0.0, 0, condition(&reading_before));
    for gradients in rewritten(world.kinds, world.condition, generator)? {
        let after = reading(&gradients, world.damping)?;
        worst = worse(worst, (ratio(&after) / ratio(&reading_before) - 1.0).abs());
        largest = largest.max(condition(&after));
        cases += 1;
    }
    let summary = format!(
        "the ratio {:.3e} moves by at most {worst:.1e}, relative, under {cases} maps around layers whose blocks have conditions up to {largest:.0e}",
        ratio(&reading_before),
    );
    Ok(Finding::of_discrepancy(worst, TOLERANCE, cases, summary))
}

fn examine_damped(world: &Maps, draw: &Draw) -> Finding {
    let with_drift = || -> Result<Finding> {
        let mut finding = compare(world, draw)?;
        let mut curve = Vec::new();
        for stretch in CONDITIONS {
            let generator = &mut draw.seed.derive("drift").generator();
            let maps = rewritten(AROUND_LAYERS, stretch, generator)?;
            let moved = |damping: Damping| -> Result<f64> {
                let (_, Trained { network, problem }) = trained()?;
                let before = ratio(&reading(&network.gradients(problem)?, damping)?);
                let mut worst = 0.0;
                for gradients in &maps {
                    let after = ratio(&reading(gradients, damping)?);
                    worst = worse(worst, (after / before - 1.0).abs());
                }
                Ok(worst)
            };
            curve.push(format!(
                "{:.0e} ({:.0e}) at {stretch}",
                moved(PRINTED)?,
                moved(SHARED)?
            ));
        }
        finding.summary += &format!(
            "; with the printed 1e-5 (in brackets: shared out by mean eigenvalues) maps of a condition move it by {}",
            curve.join(", ")
        );
        Ok(finding)
    };
    with_drift().unwrap_or_else(|error| Finding::new(Outcome::Undecided, 0, error.to_string()))
}

/// Any map, nothing added.
pub fn undamped() -> Check {
    let spec = Spec {
        id: "trained-network",
        role: Role::Corrected,
        kind: Kind::Identity,
        hypothesis: "without damping the ratio of a trained relu network is the same under four kinds of maps around its layers",
        tolerance: TOLERANCE,
        detectable: Size::of("constant added to both factors", 1e-5),
    };
    let maps = |damping, kinds| Maps {
        damping,
        kinds,
        condition: 10.0,
    };
    let worlds = Worlds {
        real: maps(Damping::None, AROUND_LAYERS),
        defect: Planted {
            what: "the printed function's 1e-5 added to both factors",
            size: 1e-5,
            world: maps(PRINTED, AROUND_LAYERS),
        },
        truth: Planted {
            what: "rotated inputs",
            size: 0.0,
            world: maps(Damping::None, &[Transformation::RotatedInputs]),
        },
    };
    Check::new(spec, worlds, examine)
}

/// Maps that stretch nothing are orthogonal.
const TURNS: &[Transformation] = &[Transformation::RotatedInputs, Transformation::MixedHidden];

/// Orthogonal maps, the printed damping.
pub fn damped() -> Check {
    let spec = Spec {
        id: "trained-network-damped",
        role: Role::Corrected,
        kind: Kind::Identity,
        hypothesis: "with the printed function's 1e-5 added to both factors the ratio of a trained relu network is the same under rotations of its inputs and of its hidden units",
        tolerance: TOLERANCE,
        detectable: Size::of("condition of the maps, less one", 0.01),
    };
    let maps = |damping, condition| Maps {
        damping,
        kinds: TURNS,
        condition,
    };
    let worlds = Worlds {
        real: maps(PRINTED, 1.0),
        defect: Planted {
            what: "hidden units mixed with a condition of 1.01",
            size: 0.01,
            world: maps(PRINTED, 1.01),
        },
        truth: Planted {
            what: "nothing added",
            size: 0.0,
            world: maps(Damping::None, 1.0),
        },
    };
    Check::new(spec, worlds, examine_damped)
}
