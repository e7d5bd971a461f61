//! What the Kronecker product of the factors stands for, against the inverse covariance.

use super::kfac::{Layer, kronecker};
use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, q};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use num_traits::Zero;

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "kfac-weighting",
        origin: Origin::Document,
        statement: "The Fisher information I of a layer, which is the inverse covariance D^-1 of its gradients, is A (x) G with A the second moment of the inputs and G that of the output gradients.",
        sentence: Some(Sentence {
            section: "Theory",
            line: 408,
            sha256: "d5e3b0ea8524689de63d36078dc1b5e67a69eec3a534f119ccfab97d16eed93e",
            status: "definition",
        }),
        holds_when: Some(
            "I stands for the second moment of the examples' gradients instead of D^-1, and inputs and output gradients are independent",
        ),
        corrected: Some(
            "A (x) G stands for a moment and not for an inverse: with independent inputs and output gradients it is the second moment Sigma + mu mu' of the examples' gradients; where moreover the output gradients average to zero, as those of labels drawn from the model do, it is Sigma. The mean of a batch of B examples has the second moment D + mu mu' with D = Sigma/B.",
        ),
        scenarios: &[],
        checks: vec![
            inverse_covariance(),
            second_moment("independent", Role::HoldsWhen),
            second_moment("second-moment", Role::Corrected),
            centred(),
            batches(),
        ],
    }
}

/// Layers with one weight whose gradients average to zero.
enum Scalars {
    /// Any, with the inputs `+-a` and the output gradients `+-g`.
    Any,
    /// Inputs and output gradients of length one, the latter times `1 + sixty_fourths/64`.
    Whitened { sixty_fourths: i64 },
}

fn signs(value: &Q) -> [Vec<Q>; 2] {
    [vec![value.clone()], vec![-value]]
}

fn examine_inverse(world: &Scalars, _: &Draw) -> Finding {
    let part = match *world {
        Scalars::Any => Part::new(&[&[Axis::Positive; 2]], 4, |c| {
            Some(Layer::independent(&signs(&c[0]), &signs(&c[1])))
        }),
        Scalars::Whitened { sixty_fourths } => Part::new(&[&[Axis::Positive]], 1, move |c| {
            let gradient = q(64 + sixty_fourths, 64);
            Some(Layer::independent(&signs(&c[0]), &signs(&gradient)))
        }),
    };
    // at a = g = +-1 both sides are 1, which fixes the factor of proportion
    search(&[part], |layer| {
        let product = kronecker(&layer.input_factor(), &layer.output_factor());
        let inverse = layer.covariance().inverse()?;
        (product != inverse).then(|| {
            format!(
                "{layer}: A (x) G = {product} and D^-1 = {inverse}; at a = +-1, g = +-1 both are 1"
            )
        })
    })
}

fn inverse_covariance() -> Check {
    let spec = Spec {
        id: "inverse-covariance",
        role: Role::AsWritten,
        kind: Kind::Exact,
        hypothesis: "for one weight whose gradients average to zero, A (x) G is D^-1 up to one factor for all",
        tolerance: 0.0,
        detectable: Size::of(
            "excess of the output gradients' length over one",
            1.0 / 64.0,
        ),
    };
    let worlds = Worlds {
        real: Scalars::Any,
        defect: Planted {
            what: "whitened inputs, and output gradients that are 1/64 too long",
            size: 1.0 / 64.0,
            world: Scalars::Whitened { sixty_fourths: 1 },
        },
        truth: Planted {
            what: "whitened inputs and output gradients, where D is its own inverse",
            size: 0.0,
            world: Scalars::Whitened { sixty_fourths: 0 },
        },
    };
    Check::new(spec, worlds, examine_inverse)
}

/// Independent inputs and output gradients, two of each, the last example's output gradient times `1 + sixty_fourths/64`; the output
/// gradients average to zero, or not.
#[derive(Clone, Copy)]
struct Pairs {
    sixty_fourths: i64,
    centred: bool,
    outputs: usize,
}

fn pairs(world: Pairs) -> Part<Layer> {
    let Pairs {
        sixty_fourths,
        centred,
        outputs: m,
    } = world;
    // with two points g and -g fewer coordinates are free
    let free = if centred { m } else { 2 * m };
    Part::new(&[&vec![Axis::Any; 2 + free]], 1, move |c| {
        // the first input is a bias, as in most layers
        let (a, g) = c.split_at(2);
        let input = |k: usize| vec![q(1, 1), a[k].clone()];
        let first = g[..m].to_vec();
        let second = if centred {
            first.iter().map(|v| -v).collect()
        } else {
            g[m..].to_vec()
        };
        let longer: Vec<Q> = second
            .iter()
            .map(|v| v * q(64 + sixty_fourths, 64))
            .collect();
        Some(Layer::even(vec![
            (input(0), first.clone()),
            (input(0), second),
            (input(1), first),
            (input(1), longer),
        ]))
    })
}

fn examine_second_moment(world: &Pairs, _: &Draw) -> Finding {
    search(&[pairs(*world)], |layer| {
        let product = kronecker(&layer.input_factor(), &layer.output_factor());
        let moment = layer.second_moment();
        let mean = layer.mean();
        let covariance = layer.covariance();
        let d = mean.len();
        let sum = Matrix::from_fn(d, d, |i, j| &covariance.0[i][j] + &mean[i] * &mean[j]);
        (product != moment || sum != moment)
            .then(|| format!("{layer}: A (x) G = {product}, Sigma + mu mu' = {sum}"))
    })
}

fn second_moment(id: &'static str, role: Role) -> Check {
    let spec = Spec {
        id,
        role,
        kind: Kind::Exact,
        hypothesis: "for two inputs and two output gradients in every combination, A (x) G = E (a (x) g)(a (x) g)' = Sigma + mu mu'",
        tolerance: 0.0,
        detectable: Size::of(
            "excess of one example's output gradient, relative",
            1.0 / 64.0,
        ),
    };
    let world = |sixty_fourths, outputs| Pairs {
        sixty_fourths,
        centred: false,
        outputs,
    };
    let worlds = Worlds {
        real: world(0, 2),
        defect: Planted {
            what: "an output gradient that is 1/64 longer with one of the inputs",
            size: 1.0 / 64.0,
            world: world(1, 2),
        },
        truth: Planted {
            what: "one output",
            size: 0.0,
            world: world(0, 1),
        },
    };
    Check::new(spec, worlds, examine_second_moment)
}

fn examine_centred(world: &Pairs, _: &Draw) -> Finding {
    search(&[pairs(*world)], |layer| {
        let product = kronecker(&layer.input_factor(), &layer.output_factor());
        let covariance = layer.covariance();
        (product != covariance)
            .then(|| format!("{layer}: A (x) G = {product}, Sigma = {covariance}"))
    })
}

fn centred() -> Check {
    let spec = Spec {
        id: "centred",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "for output gradients that are g or -g, whatever the input, A (x) G = Sigma",
        tolerance: 0.0,
        detectable: Size::of(
            "excess of one example's output gradient, relative",
            1.0 / 64.0,
        ),
    };
    let world = |sixty_fourths, outputs| Pairs {
        sixty_fourths,
        centred: true,
        outputs,
    };
    let worlds = Worlds {
        real: world(0, 2),
        defect: Planted {
            what: "an output gradient that is 1/64 longer with one of the inputs",
            size: 1.0 / 64.0,
            world: world(1, 2),
        },
        truth: Planted {
            what: "one output",
            size: 0.0,
            world: world(0, 1),
        },
    };
    Check::new(spec, worlds, examine_centred)
}

/// Batches of up to three examples with replacement, whose size is taken for `1 + sixteenths/16` of what it is; of layers with one input,
/// or two.
struct Batches {
    sixteenths: i64,
    inputs: usize,
}

/// The second moment of the mean over every batch of `size`.
fn moment_of_batches(gradients: &[(Q, Vec<Q>)], size: usize) -> Matrix {
    let (n, d) = (gradients.len(), gradients[0].1.len());
    let mut total = Matrix::from_fn(d, d, |_, _| Q::zero());
    let batches = n.pow(size as u32);
    for code in 0..batches {
        let batch: Vec<&[Q]> = (0..size)
            .map(|k| gradients[code / n.pow(k as u32) % n].1.as_slice())
            .collect();
        let average = |i: usize| batch.iter().map(|w| w[i].clone()).sum::<Q>() / q(size as i64, 1);
        let average: Vec<Q> = (0..d).map(average).collect();
        let outer = Matrix::from_fn(d, d, |i, j| &average[i] * &average[j]);
        total = total.plus(&q(1, batches as i64), &outer);
    }
    total
}

fn examine_batches(world: &Batches, _: &Draw) -> Finding {
    let n = world.inputs;
    let part = Part::new(&[&vec![Axis::Any; 2 * n + 2]], 1, move |c| {
        let (a, g) = c.split_at(2 * n);
        let example = |k: usize| (a[k * n..(k + 1) * n].to_vec(), vec![g[k].clone()]);
        Some(Layer::even(vec![example(0), example(1)]))
    });
    search(&[part], |layer| {
        let (mean, covariance) = (layer.mean(), layer.covariance());
        let d = mean.len();
        (1..=3).find_map(|size| {
            let taken = q(size as i64 * (16 + world.sixteenths), 16);
            let expected = Matrix::from_fn(d, d, |i, j| {
                &covariance.0[i][j] / &taken + &mean[i] * &mean[j]
            });
            let moment = moment_of_batches(&layer.gradients(), size);
            (moment != expected).then(|| {
                format!("{layer}: batches of {size} have the second moment {moment}, and Sigma/B + mu mu' is {expected}")
            })
        })
    })
}

fn batches() -> Check {
    let spec = Spec {
        id: "batches",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "over every batch of 1, 2 and 3 from two examples the second moment of the batch's gradient is Sigma/B + mu mu'",
        tolerance: 0.0,
        detectable: Size::of("relative error of the batch size", 1.0 / 16.0),
    };
    let world = |sixteenths, inputs| Batches { sixteenths, inputs };
    let worlds = Worlds {
        real: world(0, 2),
        defect: Planted {
            what: "a batch size that is 1/16 too large",
            size: 1.0 / 16.0,
            world: world(1, 2),
        },
        truth: Planted {
            what: "one weight",
            size: 0.0,
            world: world(0, 1),
        },
    };
    Check::new(spec, worlds, examine_batches)
}
