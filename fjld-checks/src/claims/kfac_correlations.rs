//! The correlations between the weights of a layer, and what of them two factors hold.

mod trained;

use super::kfac::{Layer, kronecker};
use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, q};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use num_traits::{One, Zero};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "kfac-correlations",
        origin: Origin::Document,
        statement: "The gradients of the weights of one layer are correlated, which the diagonal form ignores and the Kronecker form captures.",
        sentence: Some(Sentence {
            section: "Theory",
            line: 423,
            sha256: "18847881a1e330aeb2eecf05e2d0c5e52a24f84afabaf997c032243b7522de9a",
            status: "stated",
        }),
        holds_when: Some("inputs and output gradients of the layer are independent"),
        corrected: Some(trained::CORRECTED),
        scenarios: &[],
        checks: vec![
            trained::correlated(),
            some_captured(),
            captured(),
            left_out(),
            trained::share(),
        ],
    }
}

/// How inputs and output gradients belong together.
#[derive(Clone, Copy)]
enum Law {
    /// Two examples, anything.
    Any,
    /// Two inputs and two output gradients; those that belong together have `sixty_fourths/64` more than their share of probability.
    Independent { sixty_fourths: i64 },
}

/// One input and two outputs.
fn part(law: Law) -> Part<Layer> {
    match law {
        Law::Any => Part::new(&[&[Axis::Any; 6]], 1, |c| {
            let pair = |k: usize| (vec![c[k].clone()], c[2 + 2 * k..4 + 2 * k].to_vec());
            Some(Layer::even(vec![pair(0), pair(1)]))
        }),
        Law::Independent { sixty_fourths } => Part::new(&[&[Axis::NonZero; 4]], 2, move |c| {
            let excess = q(sixty_fourths, 64);
            let gradients = [vec![c[2].clone(), c[3].clone()], vec![c[2].clone(), -&c[3]]];
            let places = (0..2).flat_map(|i| (0..2).map(move |j| (i, j)));
            let example = |(i, j): (usize, usize)| {
                let sign = if i == j { &excess } else { &-&excess };
                let probability = (Q::one() + sign) / q(4, 1);
                (probability, vec![c[i].clone()], gradients[j].clone())
            };
            Some(Layer::weighted(places.map(example).collect()))
        }),
    }
}

/// The second moment of the weights' gradients and the product of the factors.
fn both(layer: &Layer) -> (Matrix, Matrix) {
    let product = kronecker(&layer.input_factor(), &layer.output_factor());
    (layer.second_moment(), product)
}

fn describe(layer: &Layer, moment: &Matrix, product: &Matrix) -> String {
    format!(
        "{layer}: the weights' gradients have the second moment {moment}, and A (x) G = {product}"
    )
}

fn examine_some(world: &Law, _: &Draw) -> Finding {
    search(&[part(*world)], |layer| {
        let (moment, product) = both(layer);
        let ignored = !moment.0[0][1].is_zero() && product.0[0][1].is_zero();
        ignored.then(|| describe(layer, &moment, &product))
    })
}

fn examine_all(world: &Law, _: &Draw) -> Finding {
    search(&[part(*world)], |layer| {
        let (moment, product) = both(layer);
        (moment != product).then(|| describe(layer, &moment, &product))
    })
}

fn check(
    id: &'static str,
    role: Role,
    hypothesis: &'static str,
    real: Law,
    examine: fn(&Law, &Draw) -> Finding,
) -> Check {
    let spec = Spec {
        id,
        role,
        kind: Kind::Exact,
        hypothesis,
        tolerance: 0.0,
        detectable: Size::of(
            "relative excess of a probability over independence",
            1.0 / 64.0,
        ),
    };
    let worlds = Worlds {
        real,
        defect: Planted {
            what: "pairs that are 1/64 more probable than if they were independent",
            size: 1.0 / 64.0,
            world: Law::Independent { sixty_fourths: 1 },
        },
        truth: Planted {
            what: "independent inputs and output gradients",
            size: 0.0,
            world: Law::Independent { sixty_fourths: 0 },
        },
    };
    Check::new(spec, worlds, examine)
}

fn some_captured() -> Check {
    check(
        "some-captured",
        Role::AsWritten,
        "where the gradients of two weights have a product with a mean other than 0, A (x) G has an entry other than 0 there",
        Law::Any,
        examine_some,
    )
}

fn captured() -> Check {
    check(
        "captured",
        Role::HoldsWhen,
        "with independent inputs and output gradients the second moment of two weights' gradients is A (x) G",
        Law::Independent { sixty_fourths: 0 },
        examine_all,
    )
}

/// The input and the output gradients of an example.
type Told = (Q, Vec<Q>);

/// Any two examples, of which the first is `sixty_fourths/64` longer than is told; or two with the same input.
struct Left {
    sixty_fourths: i64,
    same_input: bool,
}

fn examine_left(world: &Left, _: &Draw) -> Finding {
    let (longer, same) = (q(64 + world.sixty_fourths, 64), world.same_input);
    let part = Part::new(&[&[Axis::Any; 6]], 1, move |c| {
        let input = |k: usize| if same { &c[0] } else { &c[k] }.clone();
        let gradient = |k: usize| c[2 + 2 * k..4 + 2 * k].to_vec();
        let told: Vec<Told> = (0..2).map(|k| (input(k), gradient(k))).collect();
        let pair = |k: usize| (vec![told[k].0.clone()], told[k].1.clone());
        let (mut first, second) = (pair(0), pair(1));
        first.0[0] *= &longer;
        Some((Layer::even(vec![first, second]), told.clone()))
    });
    search(&[part], |(layer, told): &(Layer, Vec<Told>)| {
        let (moment, product) = both(layer);
        let mean =
            |value: &dyn Fn(&Told) -> Q| -> Q { told.iter().map(value).sum::<Q>() / q(2, 1) };
        let places = (0..2).flat_map(|o| (0..2).map(move |p| (o, p)));
        let wrong = places.into_iter().any(|(o, p)| {
            let inputs = |(a, _): &Told| a * a;
            let outputs = |(_, g): &Told| &g[o] * &g[p];
            let joint = mean(&|e| inputs(e) * outputs(e));
            let covariance = joint - mean(&inputs) * mean(&outputs);
            let left = &moment.0[o][p] - &product.0[o][p];
            left != covariance
        });
        wrong.then(|| describe(layer, &moment, &product))
    })
}

fn left_out() -> Check {
    let spec = Spec {
        id: "left-out",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "for two weights that share an input, the second moment less A (x) G is Cov(a^2, g_o g_p)",
        tolerance: 0.0,
        detectable: Size::of("relative excess of one input", 1.0 / 64.0),
    };
    let left = |sixty_fourths, same_input| Left {
        sixty_fourths,
        same_input,
    };
    let worlds = Worlds {
        real: left(0, false),
        defect: Planted {
            what: "a first input that is 1/64 longer than is told",
            size: 1.0 / 64.0,
            world: left(1, false),
        },
        truth: Planted {
            what: "the same input in both examples",
            size: 0.0,
            world: left(0, true),
        },
    };
    Check::new(spec, worlds, examine_left)
}
