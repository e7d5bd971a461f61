//! The correlations in the layers of a trained network on real digits.

use crate::claims::trained_network::trained;
use crate::error::Result;
use crate::evidence::{Check, Draw, Finding, Kind, Outcome, Planted, Role, Size, Spec, Worlds};
use candle_core::Tensor;
use faer::Mat;
use fjld_core::fisher::Curvature;
use fjld_core::kronecker::{KfacAccumulator, Setting};
use fjld_core::rng::permutation;

/// The corrected statement, with the bounds that the check tests.
pub const CORRECTED: &str = "The second moment of a layer's weight gradients exceeds A (x) G by Cov(a_i a_j, g_o g_p), which may be all of a correlation that there is. In a small trained network the weights of both layers are correlated, and of the squared correlations the factors leave out between a twentieth and a half.";

/// Which examples are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Examples {
    /// All of them.
    All,
    /// A random half.
    Half,
    /// All, with their output gradients dealt out anew, which makes them independent of the inputs.
    Independent,
    /// All, with the gradient of every weight dealt out anew by itself, which makes them independent of each other.
    Apart,
}

/// What the layers show.
struct Layers {
    /// The root mean square of the correlations between two weights' gradients.
    correlation: Vec<f64>,
    /// The squared differences between these correlations and the factors', over the squared correlations.
    left_out: Vec<f64>,
    examples: usize,
}

fn layers(world: &Examples, draw: &Draw) -> Result<Layers> {
    let (_, trained) = trained()?;
    let generator = &mut draw.seed.generator();
    let mut problem = trained.problem.clone();
    if *world == Examples::Half {
        let order = permutation(generator, problem.len());
        problem = problem.pick(&order[..order.len() / 2]);
    }
    let n = problem.len();
    let mut pairs = trained.network.gradients(&problem)?.pairs;
    let dealt = permutation(generator, n);
    let mut found = Layers {
        correlation: Vec::new(),
        left_out: Vec::new(),
        examples: n,
    };
    for pair in &mut pairs {
        if *world == Examples::Independent {
            let order: Vec<u32> = dealt.iter().map(|&i| i as u32).collect();
            let order = Tensor::new(order.as_slice(), pair.gradients.device())?;
            pair.gradients = pair.gradients.index_select(&order, 0)?;
        }
        let mut factors = KfacAccumulator::new(Setting::Expand);
        factors.push(std::slice::from_ref(pair))?;
        let product = factors.layers()[0].kronecker()?.to_dense();
        let mut inputs = pair.inputs.squeeze(1)?.to_vec2::<f64>()?;
        inputs.iter_mut().for_each(|a| a.push(1.0));
        let gradients = pair.gradients.squeeze(1)?.to_vec2::<f64>()?;
        let side = inputs[0].len();
        let d = side * gradients[0].len();
        let mut rows = Mat::from_fn(n, d, |e, k| gradients[e][k / side] * inputs[e][k % side]);
        if *world == Examples::Apart {
            for k in 0..d {
                let order = permutation(generator, n);
                let column: Vec<f64> = order.iter().map(|&e| rows[(e, k)]).collect();
                column
                    .iter()
                    .enumerate()
                    .for_each(|(e, v)| rows[(e, k)] = *v);
            }
        }
        let moment = (1.0 / n as f64) * (rows.transpose() * &rows);
        let (mut squares, mut left, mut count) = (0.0, 0.0, 0.0);
        for i in 0..d {
            for j in 0..i {
                let scaled = |m: &Mat<f64>| m[(i, j)] / (m[(i, i)] * m[(j, j)]).sqrt();
                let correlation = scaled(&moment);
                // a weight whose gradient is always 0 has no correlations
                if correlation.is_finite() {
                    squares += correlation * correlation;
                    left += (correlation - scaled(&product)).powi(2);
                    count += 1.0;
                }
            }
        }
        found.correlation.push((squares / count).sqrt());
        found.left_out.push(left / squares);
    }
    Ok(found)
}

fn within(values: &[f64], [least, most]: [f64; 2]) -> bool {
    values.iter().all(|v| (least..=most).contains(v))
}

fn shown(values: &[f64]) -> String {
    let shown: Vec<String> = values.iter().map(|v| format!("{v:.3}")).collect();
    shown.join(" and ")
}

fn judged(world: &Examples, draw: &Draw, judge: fn(&Layers) -> (bool, String)) -> Finding {
    match layers(world, draw) {
        Err(error) => Finding::new(Outcome::Undecided, 0, error.to_string()),
        Ok(layers) => {
            let (holds, summary) = judge(&layers);
            let outcome = if holds {
                Outcome::Holds
            } else {
                Outcome::Violated
            };
            Finding::new(outcome, layers.examples as u64, summary)
        }
    }
}

/// Beyond this two weights' correlation is no chance of the 1,797 examples: five over their root.
const CHANCE: f64 = 0.12;

fn examine_correlated(world: &Examples, draw: &Draw) -> Finding {
    judged(world, draw, |layers| {
        let summary = format!(
            "correlations of {} (root mean square) in the two layers",
            shown(&layers.correlation)
        );
        (within(&layers.correlation, [CHANCE, 1.0]), summary)
    })
}

/// Shares left out that are neither nothing nor most. The chance of 1,797 examples leaves out less, as the planted defect shows.
const LEFT_OUT: [f64; 2] = [0.05, 0.5];

fn examine_share(world: &Examples, draw: &Draw) -> Finding {
    judged(world, draw, |layers| {
        let summary = format!(
            "the factors leave out {} of the squared correlations in the two layers",
            shown(&layers.left_out)
        );
        (within(&layers.left_out, LEFT_OUT), summary)
    })
}

/// That there are correlations.
pub fn correlated() -> Check {
    let spec = Spec {
        id: "correlated",
        role: Role::AsWritten,
        kind: Kind::Identity,
        hypothesis: "in both layers of a trained relu network the weights' gradients are correlated by more than chance",
        tolerance: 0.0,
        detectable: Size::of(
            "share of the weights whose gradients are dealt out anew",
            1.0,
        ),
    };
    let worlds = Worlds {
        real: Examples::All,
        defect: Planted {
            what: "the gradient of every weight dealt out anew by itself",
            size: 1.0,
            world: Examples::Apart,
        },
        truth: Planted {
            what: "half of the examples",
            size: 0.0,
            world: Examples::Half,
        },
    };
    Check::new(spec, worlds, examine_correlated)
}

/// That the factors leave some of them out.
pub fn share() -> Check {
    let spec = Spec {
        id: "trained-network",
        role: Role::Corrected,
        kind: Kind::Identity,
        hypothesis: "in both layers of a trained relu network the factors leave out between a twentieth and a half of the squared correlations",
        tolerance: 0.0,
        detectable: Size::of(
            "share of the examples whose output gradients are dealt out anew",
            1.0,
        ),
    };
    let worlds = Worlds {
        real: Examples::All,
        defect: Planted {
            what: "output gradients dealt out anew, so that they are independent of the inputs",
            size: 1.0,
            world: Examples::Independent,
        },
        truth: Planted {
            what: "half of the examples",
            size: 0.0,
            world: Examples::Half,
        },
    };
    Check::new(spec, worlds, examine_share)
}
