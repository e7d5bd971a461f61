//! The factored ratio against the plain one where the factors are the identity.

mod trained;

use super::kfac::maps::{rotation, scaled};
use super::kfac::{Layer, Terms};
use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, power, q};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use num_traits::{One, Zero};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "kfac-consistency",
        origin: Origin::Document,
        statement: "Over the weights that both cover, the Kronecker-factored ratio agrees with the plain one where inputs and output gradients of every layer are whitened.",
        sentence: Some(Sentence {
            section: "Validation Protocol",
            line: 522,
            sha256: "118c73a13eb5de9cf3875635528ce2b1d9342fded123767910ddfc9ca057baf8",
            status: "stated",
        }),
        holds_when: None,
        corrected: Some(
            "The two are equal, with or without a constant added to the factors, for A = 1 and G = 1 in every layer. Without it they are equal for A = alpha 1 and G = gamma 1 in every layer with one product alpha gamma for all; with it for one pair of alpha and gamma, in either order. Where the eigenvalues of all factors lie within a factor k of one the quotient of the ratios lies within a factor k^4.",
        ),
        scenarios: &[],
        checks: vec![
            whitened("whitened", Role::AsWritten),
            nearly_whitened("nearly-whitened", Role::AsWritten),
            trained::whitened_layer(),
            whitened("identity-factors", Role::Corrected),
            common_product(),
            nearly_whitened("bound", Role::Corrected),
        ],
    }
}

/// Four examples with `A = G = 1` exactly: the corners of a square turned by `input` as inputs, and turned by `output` as output
/// gradients. The first keeps its sign, the other output gradients get `signs`, which decide how much of them the mean keeps.
fn square(input: &Q, output: &Q, signs: &[Q]) -> Layer {
    let corners = [[1, 1], [1, -1], [-1, 1], [-1, -1]].map(|c| c.map(|v| q(v, 1)));
    let (first, second) = (rotation(input), rotation(output));
    let one = Q::one();
    let example = |(corner, sign): (&[Q; 2], &Q)| {
        let gradient = second.apply(corner);
        let signed = gradient.iter().map(|v| v * sign).collect();
        (first.apply(corner), signed)
    };
    let signs = std::iter::once(&one).chain(signs);
    Layer::even(corners.iter().zip(signs).map(example).collect())
}

/// The layer with inputs `input` times and output gradients `output` times as long.
fn stretched(layer: &Layer, input: &Q, output: &Q) -> Layer {
    let one = Matrix::identity(2);
    layer.within(&scaled(&one, output), &scaled(&one, input))
}

/// The plain and the factored ratio of several layers, with `damping` added to the factors.
fn both(layers: &[Layer], damping: &Q) -> Option<(Q, Q)> {
    let plain: Vec<Terms> = layers.iter().map(Layer::plain).collect();
    let factored: Option<Vec<Terms>> = layers.iter().map(|layer| layer.damped(damping)).collect();
    Some((Terms::sum(&plain).ratio()?, Terms::sum(&factored?).ratio()?))
}

fn disagreement(layers: &[Layer], damping: &Q) -> Option<String> {
    let (plain, factored) = both(layers, damping)?;
    (plain != factored).then(|| {
        let shown: Vec<String> = layers.iter().map(Layer::to_string).collect();
        format!(
            "layers {}, damping {damping}: the plain ratio is {plain}, the factored one {factored}",
            shown.join(" and ")
        )
    })
}

/// The dampings tried: none, the printed function's, and one that is as large as the factors.
const DAMPINGS: [(i64, i64); 3] = [(0, 1), (1, 100_000), (1, 1)];

/// The second layer's inputs are `1 + sixty_fourths/64` times as long; or there is one layer only.
struct Whitened {
    sixty_fourths: i64,
    layers: usize,
}

fn examine_whitened(world: &Whitened, _: &Draw) -> Finding {
    let (longer, count) = (q(64 + world.sixty_fourths, 64), world.layers);
    let part = Part::new(&[&[Axis::Any], &[Axis::NonZero; 6]], 1, move |c| {
        let first = square(&c[0], &q(1, 2), &c[1..4]);
        let second = square(&q(1, 3), &c[0], &c[4..]);
        let second = stretched(&second, &longer, &Q::one());
        Some([first, second][..count].to_vec())
    });
    search(&[part], |layers: &Vec<Layer>| {
        DAMPINGS
            .iter()
            .find_map(|&(n, d)| disagreement(layers, &q(n, d)))
    })
}

fn whitened(id: &'static str, role: Role) -> Check {
    let spec = Spec {
        id,
        role,
        kind: Kind::Exact,
        hypothesis: "for two layers with A = 1 and G = 1 the two ratios are equal, with a damping of 0, 1e-5 and 1",
        tolerance: 0.0,
        detectable: Size::of("relative excess of one layer's inputs", 1.0 / 64.0),
    };
    let world = |sixty_fourths, layers| Whitened {
        sixty_fourths,
        layers,
    };
    let worlds = Worlds {
        real: world(0, 2),
        defect: Planted {
            what: "a second layer whose inputs are 1/64 too long",
            size: 1.0 / 64.0,
            world: world(1, 2),
        },
        truth: Planted {
            what: "one layer",
            size: 0.0,
            world: world(0, 1),
        },
    };
    Check::new(spec, worlds, examine_whitened)
}

/// Inputs `p` and output gradients `r` times as long in the first layer, and `p'` and `(1 + sixty_fourths/64) p r / p'` times in the
/// second; or the same in both layers.
struct Multiples {
    sixty_fourths: i64,
    same: bool,
}

fn examine_multiples(world: &Multiples, _: &Draw) -> Finding {
    let (excess, same) = (q(64 + world.sixty_fourths, 64), world.same);
    let axes: [&[Axis]; 2] = [&[Axis::Positive; 3], &[Axis::NonZero; 3]];
    let part = Part::new(&axes, 2, move |c| {
        let (p, r) = (&c[0], &c[1]);
        let other = if same { p } else { &c[2] };
        let signs = &c[3..];
        if signs.iter().any(|s| !(s * s).is_one()) {
            return None;
        }
        // with other signs, so that the two layers do not have the same ratio
        let other_signs = [signs[0].clone(), Q::one(), Q::one()];
        let layers = vec![
            stretched(&square(&q(1, 2), &q(1, 3), signs), p, r),
            stretched(
                &square(&q(1, 3), &q(1, 2), &other_signs),
                other,
                &(p * r / other * &excess),
            ),
        ];
        let one_pair = other == p || other == r;
        Some((layers, one_pair))
    });
    search(&[part], |(layers, one_pair)| {
        let undamped = disagreement(layers, &Q::zero());
        let damped = || one_pair.then(|| disagreement(layers, &q(1, 3))).flatten();
        undamped.or_else(damped)
    })
}

fn common_product() -> Check {
    let spec = Spec {
        id: "common-product",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "for two layers with A = alpha 1, G = gamma 1 and the same alpha gamma the two ratios are equal without damping, and for the same alpha and gamma, in either order, with it",
        tolerance: 0.0,
        detectable: Size::of(
            "relative excess of one layer's output gradients",
            1.0 / 64.0,
        ),
    };
    let world = |sixty_fourths, same| Multiples {
        sixty_fourths,
        same,
    };
    let worlds = Worlds {
        real: world(0, false),
        defect: Planted {
            what: "a second layer whose output gradients are 1/64 too long",
            size: 1.0 / 64.0,
            world: world(1, false),
        },
        truth: Planted {
            what: "the same multiples in both layers",
            size: 0.0,
            world: world(0, true),
        },
    };
    Check::new(spec, worlds, examine_multiples)
}

/// Axes stretched by up to a quarter, or not at all; the second layer's output gradients are `untold` times as long as is known.
struct Nearly {
    stretched: bool,
    untold: i64,
}

fn examine_nearly(world: &Nearly, _: &Draw) -> Finding {
    let (allowed, untold) = (world.stretched, q(world.untold, 1));
    let axes: [&[Axis]; 2] = [&[Axis::Any; 4], &[Axis::NonZero; 3]];
    let part = Part::new(&axes, 1, move |c| {
        // lengths 3/4, 1 and 5/4, so that the factors have the eigenvalues 9/16, 1 and 25/16
        let length = |k: usize| {
            if allowed {
                Q::one() + &c[k] / q(4, 1)
            } else {
                Q::one()
            }
        };
        let (input, output) = (
            Matrix::diagonal(&[length(0), length(1)]),
            Matrix::diagonal(&[length(2), length(3)]),
        );
        let first = square(&q(1, 2), &q(1, 3), &c[4..]).within(&output, &input);
        let other_signs = [c[4].clone(), Q::one(), Q::one()];
        let second = square(&q(1, 3), &q(1, 2), &other_signs).within(&input, &output);
        let spread = (0..4).map(|k| length(k).max(length(k).recip())).max()?;
        let layers = vec![first, stretched(&second, &Q::one(), &untold)];
        Some((layers, &spread * &spread))
    });
    search(&[part], |(layers, k): &(Vec<Layer>, Q)| {
        let (plain, factored) = both(layers, &Q::zero())?;
        let bound = power(k, 4);
        (factored > &plain * &bound || plain > &factored * &bound).then(|| {
            format!("eigenvalues within a factor {k} of one: the plain ratio is {plain}, the factored one {factored}")
        })
    })
}

fn nearly_whitened(id: &'static str, role: Role) -> Check {
    let spec = Spec {
        id,
        role,
        kind: Kind::Exact,
        hypothesis: "for two layers whose factors have eigenvalues within a factor k of one, the ratios agree within a factor k^4",
        tolerance: 0.0,
        detectable: Size::of("factor on one layer's output gradients", 2.0),
    };
    let world = |stretched, untold| Nearly { stretched, untold };
    let worlds = Worlds {
        real: world(true, 1),
        defect: Planted {
            what: "a second layer whose output gradients are twice as long as is known",
            size: 2.0,
            world: world(true, 2),
        },
        truth: Planted {
            what: "no stretch at all",
            size: 0.0,
            world: world(false, 1),
        },
    };
    Check::new(spec, worlds, examine_nearly)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_factors_of_a_turned_square_are_the_identity() {
        let signs = [-1, -1, 1].map(|s| q(s, 1));
        let layer = square(&q(1, 2), &q(2, 3), &signs);
        assert_eq!(layer.input_factor(), Matrix::identity(2));
        assert_eq!(layer.output_factor(), Matrix::identity(2));
    }
}
