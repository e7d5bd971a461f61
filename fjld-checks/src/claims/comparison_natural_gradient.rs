//! The comparison with natural gradient descent: whether its metric is that of this theory.
//!
//! Judged is the line on the metric. That natural gradient descent speaks of no transition is history, and the transition at `C = 1` is
//! judged by descent-boundary.
//!
//! Natural gradient descent divides by the Fisher information `F` of the model's predictive law. For a loss that is minus a log
//! likelihood, and labels drawn from the model, a gradient has mean 0 and covariance `F`, and over a batch of `B` examples `F/B`. So the
//! metric of the document, `D^-1`, is `B F^-1`: the inverse, up to the batch size.

use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, q, tuple};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use num_traits::{One, Zero};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "comparison-natural-gradient",
        origin: Origin::Document,
        statement: "Natural gradient descent has the Fisher metric and no phase transition; this theory has the same metric, adds the Jeffreys density and a transition at C = 1, for diagnosis.",
        sentence: Some(Sentence {
            section: "vs. Information Geometry (Amari)",
            line: 339,
            sha256: "c2ffa174e184b515374da88a97ccf8d85c2159551c55568c8ae32edae21b54a2",
            status: "stated",
        }),
        holds_when: Some(
            "labels come from the model, draws are single examples, and the information is the identity, which is its own inverse",
        ),
        corrected: Some(
            "With labels from the model the covariance of a gradient over B examples is F/B: the Fisher metric of natural gradient descent is B D, and the D^-1 of this theory is B times its inverse.",
        ),
        scenarios: &[],
        checks: vec![
            same_metric("same-metric", Role::AsWritten, Inputs::Any),
            same_metric(
                "unit-information",
                Role::HoldsWhen,
                Inputs::Unit {
                    sixty_fourths: 0,
                    max_height: 4,
                },
            ),
            noise_of_the_model(),
        ],
    }
}

/// Inputs of a logistic model and its probabilities of a label 1, one of each for an example.
struct Model {
    inputs: Vec<Vec<Q>>,
    probabilities: Vec<Q>,
}

impl Model {
    /// `F = E p(1-p) x x'`: what the Hessian of the logistic loss is, whatever the labels.
    fn information(&self) -> Matrix {
        let d = self.inputs[0].len();
        let count = q(self.inputs.len() as i64, 1);
        Matrix::from_fn(d, d, |i, j| {
            let terms = self.inputs.iter().zip(&self.probabilities);
            terms
                .map(|(x, p)| p * (Q::one() - p) * &x[i] * &x[j])
                .sum::<Q>()
                / &count
        })
    }

    /// Every example and label with its chance, the label 1 with `excess` times the model's, and the gradient `(p - y) x`.
    fn draws(&self, excess: &Q) -> Vec<(Q, Vec<Q>)> {
        let count = q(self.inputs.len() as i64, 1);
        let examples = self.inputs.iter().zip(&self.probabilities);
        examples
            .flat_map(|(x, p)| {
                let chance = p * excess;
                let gradient = |y: Q| -> Vec<Q> { x.iter().map(|x| (p - &y) * x).collect() };
                [
                    (&chance / &count, gradient(Q::one())),
                    ((Q::one() - &chance) / &count, gradient(Q::zero())),
                ]
            })
            .collect()
    }

    /// The covariance of the mean gradient of two independent draws, over all pairs; or of one draw.
    fn covariance(&self, batch: usize, excess: &Q) -> Matrix {
        let d = self.inputs[0].len();
        let one = self.draws(excess);
        let draws: Vec<(Q, Vec<Q>)> = if batch == 1 {
            one
        } else {
            let pair = |a: &(Q, Vec<Q>), b: &(Q, Vec<Q>)| {
                let mean = a.1.iter().zip(&b.1).map(|(a, b)| (a + b) / q(2, 1));
                (&a.0 * &b.0, mean.collect())
            };
            one.iter()
                .flat_map(|a| one.iter().map(move |b| pair(a, b)))
                .collect()
        };
        let mean: Vec<Q> = (0..d)
            .map(|j| draws.iter().map(|(w, g)| w * &g[j]).sum())
            .collect();
        Matrix::from_fn(d, d, |i, j| {
            draws.iter().map(|(w, g)| w * &g[i] * &g[j]).sum::<Q>() - &mean[i] * &mean[j]
        })
    }

    fn show(&self) -> String {
        let examples = self.inputs.iter().zip(&self.probabilities);
        let shown: Vec<String> = examples
            .map(|(x, p)| format!("x = {} with p = {p}", tuple(x)))
            .collect();
        shown.join(", ")
    }
}

/// One example of one parameter.
#[derive(Clone, Copy)]
enum Inputs {
    Any,
    /// With `p(1-p) x^2 = 1`, but `x` too large by `sixty_fourths/64`.
    Unit {
        sixty_fourths: i64,
        max_height: u64,
    },
}

fn examine_metric(inputs: &Inputs, _: &Draw) -> Finding {
    let part = match *inputs {
        // the odds of a label 0
        Inputs::Any => Part::new(&[&[Axis::NonZero, Axis::Positive]], 4, |c| {
            Some(Model {
                inputs: vec![c[..1].to_vec()],
                probabilities: vec![(Q::one() + &c[1]).recip()],
            })
        }),
        // p = r^2/(1 + r^2) and x = (1 + r^2)/r
        Inputs::Unit {
            sixty_fourths,
            max_height,
        } => Part::new(&[&[Axis::Positive]], max_height, move |c| {
            let square = &c[0] * &c[0];
            let below = Q::one() + &square;
            let input = &below / &c[0] * q(64 + sixty_fourths, 64);
            Some(Model {
                inputs: vec![vec![input]],
                probabilities: vec![square / below],
            })
        }),
    };
    search(&[part], |model| {
        let information = model.information();
        let covariance = model.covariance(1, &Q::one());
        let metric = covariance.inverse()?;
        (metric != information).then(|| {
            format!(
                "one logistic example, {}: the Fisher information is {information}; gradients at the model's labels have D = {covariance}, and D^-1 = {metric}",
                model.show()
            )
        })
    })
}

fn same_metric(id: &'static str, role: Role, real: Inputs) -> Check {
    let unit = |sixty_fourths| Inputs::Unit {
        sixty_fourths,
        max_height: 1,
    };
    let spec = Spec {
        id,
        role,
        kind: Kind::Exact,
        hypothesis: "D^-1, with D the covariance of a logistic model's gradients at its own labels, is its Fisher information",
        tolerance: 0.0,
        detectable: Size::of("relative error of an input", 1.0 / 64.0),
    };
    let worlds = Worlds {
        real,
        defect: Planted {
            what: "unit information, but for an input that is 1/64 too large",
            size: 1.0 / 64.0,
            world: unit(1),
        },
        truth: Planted {
            what: "even odds at the input 2, whose information is 1",
            size: 0.0,
            world: unit(0),
        },
    };
    Check::new(spec, worlds, examine_metric)
}

/// Labels 1 come up `1 - sixty_fourths/64` times as often as the model says; two examples of two parameters, or one of one.
struct Labels {
    sixty_fourths: i64,
    dimension: usize,
}

fn examine_labels(world: &Labels, _: &Draw) -> Finding {
    let d = world.dimension;
    let excess = q(64 - world.sixty_fourths, 64);
    let axes: [&[Axis]; 2] = [&vec![Axis::Any; d], &vec![Axis::Positive; d]];
    let part = Part::new(&axes, 2, move |c| {
        // the second example, if there is one, crosses every other
        let second = [q(1, 1), q(-2, 1)];
        Some(Model {
            inputs: [&c[..d], &second[..d]][..d]
                .iter()
                .map(|x| x.to_vec())
                .collect(),
            probabilities: c[d..]
                .iter()
                .map(|odds| (Q::one() + odds).recip())
                .collect(),
        })
    });
    search(&[part], |model| {
        let information = model.information();
        (1..=2).find_map(|batch| {
            let covariance = model.covariance(batch, &excess);
            let scaled = Matrix::from_fn(d, d, |i, j| &covariance.0[i][j] * q(batch as i64, 1));
            (scaled != information).then(|| {
                format!(
                    "{}: F = {information}, and over batches of {batch} D = {covariance}",
                    model.show()
                )
            })
        })
    })
}

fn noise_of_the_model() -> Check {
    let spec = Spec {
        id: "noise-of-the-model",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "over all labels that a logistic model gives two examples, B times the covariance of batch gradients is F, for B = 1 and 2",
        tolerance: 0.0,
        detectable: Size::of("relative error of the chance of a label", 1.0 / 64.0),
    };
    let worlds = Worlds {
        real: Labels {
            sixty_fourths: 0,
            dimension: 2,
        },
        defect: Planted {
            what: "labels that come up 1/64 less often than the model says",
            size: 1.0 / 64.0,
            world: Labels {
                sixty_fourths: 1,
                dimension: 1,
            },
        },
        truth: Planted {
            what: "one example of one parameter",
            size: 0.0,
            world: Labels {
                sixty_fourths: 0,
                dimension: 1,
            },
        },
    };
    Check::new(spec, worlds, examine_labels)
}
