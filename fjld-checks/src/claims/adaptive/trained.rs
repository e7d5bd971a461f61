//! The ratio of AdamW's preconditioned gradients on a trained network, by its examples' gradients.

use crate::error::Result;
use crate::evidence::{
    Bench, Check, Draw, Finding, Kind, Outcome, Planted, Role, Size, Spec, Worlds,
};
use crate::precision::Scalar;
use crate::scenarios::coordinates::Coordinates;
use crate::scenarios::course::{Bench as Network, Course};
use crate::scenarios::data::choice::DataChoice;
use crate::scenarios::models::{ModelChoice, chunks};
use crate::scenarios::optimiser::Rule;
use fjld_core::capture::flat_gradient;
use fjld_core::rng::{Seed, standard_normals};
use fjld_core::{Moments, Ratio};

/// Gradients of examples, one a row, and the mean over coordinates of `mu_i^2 / E g_i^2` by another route.
struct Gradients {
    rows: Vec<Vec<f64>>,
    mean_share: f64,
    /// `v` is so much too large, relative, in the last half of the coordinates.
    error: f64,
}

/// Sums of some hundred products in `f32` by either route.
const TOLERANCE: f64 = 1e-4;

fn examine(gradients: &Gradients, _: &Draw) -> Finding {
    let n = gradients.rows.len() as f64;
    let d = gradients.rows[0].len();
    let second = |i: usize| {
        let v = gradients
            .rows
            .iter()
            .map(|row| row[i] * row[i])
            .sum::<f64>()
            / n;
        if 2 * i >= d {
            v * (1.0 + gradients.error)
        } else {
            v
        }
    };
    // a parameter behind a dead unit has no gradient, and no share
    let seconds: Vec<f64> = (0..d).map(second).collect();
    let ratio = (|| -> fjld_core::Result<Ratio> {
        let mut moments = Moments::new(d)?;
        for row in &gradients.rows {
            let scaled = row.iter().zip(&seconds);
            let scaled: Vec<f64> = scaled
                .map(|(g, v)| if *v > 0.0 { g / v.sqrt() } else { 0.0 })
                .collect();
            moments.push(&scaled)?;
        }
        Ratio::estimate(&moments, 0.95)
    })();
    let Ok(Ok(estimates)) = ratio.map(|r| r.estimates) else {
        return Finding::new(Outcome::Undecided, 0, "a gradient was refused");
    };
    // the examples are all there are: the divisor is n
    let found = estimates.plug_in * n / (n - 1.0);
    let expected = gradients.mean_share / (1.0 - gradients.mean_share);
    let worst = (found / expected - 1.0).abs();
    Finding::of_identity(
        worst,
        TOLERANCE,
        gradients.rows.len() as u64,
        "C of the preconditioned gradients of a network's examples and s/(1 - s)",
    )
}

/// Examples of the digits that are looked at.
const EXAMPLES: usize = 200;

/// Steps of AdamW before that.
const STEPS: u64 = 30;

fn network(seed: Seed) -> Result<(Vec<Vec<f64>>, f64)> {
    let data = DataChoice::Digits { test_share: 0.25 };
    let model = ModelChoice::Mlp { hidden: vec![16] };
    let network = Network::new(&data, &model, seed, None, false)?;
    Course::new(&network, Rule::AdamW, 0.005, 64, seed.derive("order"))?.to(STEPS)?;
    let (inputs, labels) = &network.train;
    let examples = (
        inputs.narrow(0, 0, EXAMPLES)?,
        labels.narrow(0, 0, EXAMPLES)?,
    );
    let rows = chunks(&examples, 1)?.into_iter().map(|one| {
        let gradient = flat_gradient(&network.model, &one)?.to_vec1::<Scalar>()?;
        Ok(gradient.into_iter().map(f64::from).collect())
    });
    let rows: Vec<Vec<f64>> = rows.collect::<Result<_>>()?;
    let coordinates = Coordinates::of(&network.model, &examples)?;
    let share = coordinates.and_then(|c| mean_share(&c.mean, &c.second_moments(1)));
    Ok((rows, share.unwrap_or(f64::NAN)))
}

fn mean_share(means: &[f64], seconds: &[f64]) -> Option<f64> {
    let pairs = means.iter().zip(seconds).filter(|(_, v)| **v > 0.0);
    crate::claims::cells::mean(pairs.map(|(m, v)| m * m / v))
}

/// Gaussian rows, with the share from their own moments.
fn gaussian(seed: Seed) -> Gradients {
    let generator = &mut seed.derive("gaussian").generator();
    let rows: Vec<Vec<f64>> = (0..EXAMPLES)
        .map(|_| {
            let z = standard_normals(generator, 30);
            z.iter()
                .enumerate()
                .map(|(i, z)| 0.1 * i as f64 + z)
                .collect()
        })
        .collect();
    let n = rows.len() as f64;
    let of = |f: &dyn Fn(f64) -> f64| -> Vec<f64> {
        (0..30)
            .map(|i| rows.iter().map(|r| f(r[i])).sum::<f64>() / n)
            .collect()
    };
    let share = mean_share(&of(&|g| g), &of(&|g| g * g));
    Gradients {
        mean_share: share.unwrap_or(f64::NAN),
        rows,
        error: 0.0,
    }
}

/// The relative error of `v` that moves the ratio by more than the tolerance.
const DETECTABLE: f64 = 0.1;

pub(super) fn on_a_network() -> Check {
    let spec = Spec {
        id: "on-a-network",
        role: Role::Corrected,
        kind: Kind::Identity,
        hypothesis: "on a network trained by AdamW, C of its examples' gradients over the root of their second moments is s/(1 - s), s from the layers' own statistics",
        tolerance: TOLERANCE,
        detectable: Size::of("relative error of v in half of the coordinates", DETECTABLE),
    };
    let build = |bench: &Bench| {
        let (rows, mean_share) = network(bench.seed)?;
        Ok(Worlds {
            defect: Planted {
                what: "a v that is a tenth too large in half of the coordinates",
                size: DETECTABLE,
                world: Gradients {
                    rows: rows.clone(),
                    mean_share,
                    error: DETECTABLE,
                },
            },
            truth: Planted {
                what: "Gaussian gradients",
                size: 0.0,
                world: gaussian(bench.seed),
            },
            real: Gradients {
                rows,
                mean_share,
                error: 0.0,
            },
        })
    };
    Check::built(spec, build, examine)
}
