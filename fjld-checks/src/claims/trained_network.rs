//! What the claims about invariance share: a trained network on real digits, written in other parameters.

use crate::error::{Error, Result};
use crate::evidence::{Check, Draw, Finding, Outcome, Plan, Spec, worse};
use crate::scenarios::reparameterization::metrics::Metric;
use crate::scenarios::reparameterization::network::Gradients;
use crate::scenarios::reparameterization::transformation::Transformation;
use crate::scenarios::reparameterization::{ReparameterizationScenario, Trained};
use crate::scenarios::{Scenario, parse};
use candle_core::Tensor;
use faer::Mat;
use std::sync::LazyLock;

const SCENARIO: &str = "reparameterization";

static TRAINED: LazyLock<std::result::Result<(ReparameterizationScenario, Trained), String>> =
    LazyLock::new(|| train().map_err(|error| error.to_string()));

fn train() -> Result<(ReparameterizationScenario, Trained)> {
    let text = include_str!("../../../scenarios/reparameterization.toml");
    match parse(text, SCENARIO)? {
        Scenario::Reparameterization(scenario) => {
            let trained = scenario.trained()?;
            Ok((scenario, trained))
        }
        _ => Err(Error::input(format!(
            "\"{SCENARIO}\" is no reparameterization scenario"
        ))),
    }
}

/// The transformations that are orthogonal maps of the parameters.
pub const ROTATIONS: &[Transformation] = &[Transformation::Rotation, Transformation::RotatedInputs];

/// The transformations that are maps around layers, which leave a network.
pub const AROUND_LAYERS: &[Transformation] = &[
    Transformation::RotatedInputs,
    Transformation::ScaledInputs,
    Transformation::MixedHidden,
    Transformation::RescaledUnits,
];

/// The network and its examples, trained once.
///
/// # Errors
/// When the training failed.
pub fn trained() -> Result<&'static (ReparameterizationScenario, Trained)> {
    TRAINED
        .as_ref()
        .map_err(|message| Error::input(message.as_str()))
}

/// Random transformations of each kind.
const REPEATS: usize = 2;

/// Which metric is compared, and under what.
#[derive(Clone, Copy)]
pub struct Rewriting {
    /// What ought not to move.
    pub metric: Metric,
    /// How far it may move, relative.
    pub tolerance: f64,
    /// Under these, each drawn twice.
    pub kinds: &'static [Transformation],
    /// How much further than it should the direction of the mean is stretched: 0 for an honest transformation.
    pub stretch: f64,
    /// The share of the examples whose gradients stay as they were: 0 for an honest transformation.
    pub left_behind: f64,
}

impl Rewriting {
    /// Honest transformations.
    pub fn of(metric: Metric, tolerance: f64, kinds: &'static [Transformation]) -> Self {
        Self {
            metric,
            tolerance,
            kinds,
            stretch: 0.0,
            left_behind: 0.0,
        }
    }

    /// Gradients `after` an honest transformation, with what this world does wrong.
    fn spoilt(&self, before: &Gradients, mut after: Gradients) -> Result<Gradients> {
        let rows = &mut after.rows;
        let (n, d) = (rows.nrows(), rows.ncols());
        let mean: Vec<f64> = (0..d)
            .map(|j| rows.col(j).iter().sum::<f64>() / n as f64)
            .collect();
        let square: f64 = mean.iter().map(|m| m * m).sum();
        for i in 0..n {
            let along: f64 = (0..d).map(|j| rows[(i, j)] * mean[j]).sum::<f64>() / square;
            (0..d).for_each(|j| rows[(i, j)] += self.stretch * along * mean[j]);
        }
        let left = (self.left_behind * n as f64).round() as usize;
        after.rows = Mat::from_fn(n, d, |i, j| {
            if i < left {
                before.rows[(i, j)]
            } else {
                after.rows[(i, j)]
            }
        });
        if left > 0 {
            for (pair, old) in after.pairs.iter_mut().zip(&before.pairs) {
                let mixed = |old: &Tensor, new: &Tensor| {
                    Tensor::cat(
                        &[old.narrow(0, 0, left)?, new.narrow(0, left, n - left)?],
                        0,
                    )
                };
                pair.inputs = mixed(&old.inputs, &pair.inputs)?;
                pair.gradients = mixed(&old.gradients, &pair.gradients)?;
            }
        }
        Ok(after)
    }
}

/// A check that a metric of the trained network keeps its value.
pub fn check(spec: Spec, worlds: impl Plan<Rewriting>) -> Check {
    Check::new(spec, worlds, |world, draw| {
        examine(world, draw)
            .unwrap_or_else(|error| Finding::new(Outcome::Undecided, 0, error.to_string()))
    })
}

fn examine(world: &Rewriting, draw: &Draw) -> Result<Finding> {
    let (scenario, Trained { network, problem }) = trained()?;
    let before = network.gradients(problem)?;
    let Some(value) = world.metric.of(&before)? else {
        return Ok(Finding::new(
            Outcome::Undecided,
            0,
            "the metric does not exist here",
        ));
    };
    let (mut worst, mut where_worst, mut cases) = (0.0, String::new(), 0);
    for &kind in world.kinds {
        for repeat in 0..REPEATS {
            let generator = &mut draw
                .seed
                .derive(&format!("{} {repeat}", kind.name()))
                .generator();
            let drawn = kind.draw(network, scenario.condition, generator);
            let after = world.spoilt(&before, drawn.gradients(network, problem)?)?;
            let moved = match world.metric.of(&after)? {
                Some(after) => world.metric.change(value, after).abs(),
                None => f64::NAN,
            };
            if where_worst.is_empty() || moved > worst {
                where_worst = format!(" (the largest by {})", kind.name());
            }
            worst = worse(worst, moved);
            cases += 1;
        }
    }
    let summary = format!(
        "{} = {value:.3e} over {} examples moves by at most {worst:.1e}, relative, in {cases} other parameterisations{where_worst}",
        world.metric.name(),
        problem.len(),
    );
    Ok(Finding::of_discrepancy(
        worst,
        world.tolerance,
        cases,
        summary,
    ))
}
