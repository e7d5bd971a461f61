//! The factored ratio under fixed maps around a layer.

mod sizes;
mod trained;

use super::kfac::maps::{self, Chart, rotation, scaled, three_examples};
use super::kfac::{Layer, Terms};
use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, power, q, to_f64};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use num_bigint::BigInt;
use num_traits::{One, Signed, ToPrimitive, Zero};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "kfac-invariance",
        origin: Origin::Document,
        statement: "The Kronecker-factored ratio, as the printed function computes it, moves by less than 0.05 when a layer's weights W are written as U W' V.",
        sentence: Some(Sentence {
            section: "Validation Protocol",
            line: 526,
            sha256: "dd4325f96f27fe574debd9884a3ac5b7b697f223b6eeba6bc14869896564dc24",
            status: "stated",
        }),
        holds_when: Some(
            "nothing is added to the factors, whatever invertible maps U and V are; or the function's constant is added and they are orthogonal",
        ),
        corrected: Some(
            "Without damping the ratio is exactly the same for all invertible U and V that stand as fixed maps around the layer, with the factors taken anew. A damping that adds one constant to both factors leaves it the same for orthogonal U and V, and otherwise keeps that of a layer within the factor (1 + lambda/a)(1 + lambda/g) of the undamped one, lambda being the constant and a and g the least eigenvalues of A and G. One that is shared out by the factors' mean eigenvalues (A + pi r 1 and G + r/pi 1, pi^2 = (Tr A/n)/(Tr G/m)) leaves it the same for orthogonal maps and for U = c 1, V = 1/c as well.",
        ),
        scenarios: &[],
        checks: vec![
            as_defined("as-defined", Role::AsWritten),
            as_printed(),
            as_defined("undamped", Role::HoldsWhen),
            orthogonal("damped-orthogonal", Role::HoldsWhen),
            as_defined("all-maps", Role::Corrected),
            sizes::sizes(),
            orthogonal("orthogonal-maps", Role::Corrected),
            shared_damping(),
            drift(),
            trained::undamped(),
            trained::damped(),
        ],
    }
}

/// What is added to the factors before they are inverted.
enum Damping {
    /// The same number to both.
    Additive(Q),
    /// `pi r` to `A` and `r/pi` to `G` (Martens and Grosse 2015, section 6.3, with `r` the root of their damping).
    Shared(Q),
}

/// The maps that are tried.
#[derive(Clone, Copy)]
enum Maps {
    /// Any invertible ones.
    Invertible,
    /// Rotations, the second axis of `V` stretched by `1 + sixty_fourths/64`.
    Rotations { sixty_fourths: i64 },
    /// Rotations times `c` at the output and times `(1 + sixty_fourths/64)/c` at the input.
    Balanced { sixty_fourths: i64 },
    /// `V = 10^-k` for `k` from 1 to `most`.
    Shrinking { most: usize },
    /// The second input with its sign changed.
    Sign,
}

struct World {
    damping: Damping,
    maps: Maps,
    /// What the ratio may move by.
    tolerance: Q,
}

/// The exact root of a square of rationals.
fn root(value: &Q) -> Option<Q> {
    if !value.is_positive() {
        return None;
    }
    let root = |n: &BigInt| Some(n.sqrt()).filter(|r| &(r * r) == n);
    Some(Q::new(root(value.numer())?, root(value.denom())?))
}

fn terms(layer: &Layer, damping: &Damping) -> Option<Terms> {
    match damping {
        Damping::Additive(constant) => layer.damped(constant),
        Damping::Shared(r) => {
            let (a, g) = (layer.input_factor(), layer.output_factor());
            let mean = |m: &Matrix| m.trace() / q(m.rows() as i64, 1);
            let pi = root(&(mean(&a) / mean(&g)))?;
            let raise = |m: Matrix, by: Q| m.plus(&by, &Matrix::identity(m.rows()));
            layer.in_metric(&raise(a, &pi * r), &raise(g, r / pi))
        }
    }
}

fn parts(maps: Maps) -> Vec<Part<Chart>> {
    match maps {
        Maps::Invertible => maps::invertible(|chart| chart),
        Maps::Rotations { sixty_fourths } => {
            vec![Part::new(&[&[Axis::Any; 3]], 2, move |c| {
                let stretch = Matrix::diagonal(&[Q::one(), q(64 + sixty_fourths, 64)]);
                Some(Chart {
                    layer: three_examples(&c[0]),
                    u: rotation(&c[1]),
                    v: stretch.times(&rotation(&c[2])),
                })
            })]
        }
        Maps::Balanced { sixty_fourths } => {
            vec![Part::new(&[&[Axis::Any; 3], &[Axis::Positive]], 2, {
                move |c| {
                    let back = q(64 + sixty_fourths, 64) / &c[3];
                    // with the output gradients doubled pi is 1/2 to begin with
                    let doubled = scaled(&Matrix::identity(2), &q(2, 1));
                    Some(Chart {
                        layer: three_examples(&c[0]).within(&doubled, &Matrix::identity(2)),
                        u: scaled(&rotation(&c[1]), &c[3]),
                        v: scaled(&rotation(&c[2]), &back),
                    })
                }
            })]
        }
        Maps::Shrinking { most } => vec![Part::new(
            &[&[Axis::Positive; 2], &[Axis::Any]],
            3,
            move |c| {
                let tens = c[0].is_integer().then(|| c[0].to_integer().to_usize())??;
                let layer = Layer::even(vec![
                    (vec![Q::one(), Q::zero()], vec![c[1].clone()]),
                    (vec![Q::one(), Q::one()], vec![c[2].clone()]),
                    (vec![Q::zero(), Q::one()], vec![Q::one()]),
                ]);
                (tens <= most).then(|| Chart {
                    layer,
                    u: Matrix::identity(1),
                    v: scaled(&Matrix::identity(2), &power(&q(1, 10), tens)),
                })
            },
        )],
        Maps::Sign => vec![Part::new(&[&[Axis::Any]], 3, |c| {
            Some(Chart {
                layer: three_examples(&c[0]),
                u: Matrix::identity(2),
                v: Matrix::diagonal(&[Q::one(), q(-1, 1)]),
            })
        })],
    }
}

fn examine(world: &World, _: &Draw) -> Finding {
    search(&parts(world.maps), |chart| {
        let before = terms(&chart.layer, &world.damping)?.ratio()?;
        let after = terms(&chart.inner(), &world.damping)?.ratio()?;
        let moved = (&after - &before).abs();
        (moved > world.tolerance).then(|| {
            format!(
                "{}: the ratio is {} before and {} after",
                chart.describe(),
                shown(&before),
                shown(&after)
            )
        })
    })
}

/// A rational as with pencil, or by six digits where it takes more than that to write it.
fn shown(value: &Q) -> String {
    let text = value.to_string();
    if text.len() <= 12 {
        text
    } else {
        format!("{:.6}", to_f64(value))
    }
}

fn exactly(damping: Damping, maps: Maps) -> World {
    World {
        damping,
        maps,
        tolerance: Q::zero(),
    }
}

fn as_defined(id: &'static str, role: Role) -> Check {
    let spec = Spec {
        id,
        role,
        kind: Kind::Exact,
        hypothesis: "without damping the ratio is the same for all invertible U and V",
        tolerance: 0.0,
        detectable: Size::of(
            "damping, where the inputs are of length one or two",
            1.0 / 64.0,
        ),
    };
    let worlds = Worlds {
        real: exactly(Damping::Additive(Q::zero()), Maps::Invertible),
        defect: Planted {
            what: "a damping of 1/64",
            size: 1.0 / 64.0,
            world: exactly(Damping::Additive(q(1, 64)), Maps::Invertible),
        },
        truth: Planted {
            what: "one input with its sign changed",
            size: 0.0,
            world: exactly(Damping::Additive(Q::zero()), Maps::Sign),
        },
    };
    Check::new(spec, worlds, examine)
}

/// The printed function's default.
const PRINTED_DAMPING: (i64, i64) = (1, 100_000);

fn as_printed() -> Check {
    let spec = Spec {
        id: "as-printed",
        role: Role::AsWritten,
        kind: Kind::Exact,
        hypothesis: "with the printed function's damping of 1e-5 the ratio moves by at most 0.05 for V = 0.1, 0.01 and 0.001",
        tolerance: 0.05,
        detectable: Size::of("powers of ten by which the inputs shrink", 2.0),
    };
    let world = |maps| World {
        damping: Damping::Additive(q(PRINTED_DAMPING.0, PRINTED_DAMPING.1)),
        maps,
        tolerance: q(1, 20),
    };
    let worlds = Worlds {
        real: world(Maps::Shrinking { most: 3 }),
        defect: Planted {
            what: "V = 0.1 and 0.01 only",
            size: 2.0,
            world: world(Maps::Shrinking { most: 2 }),
        },
        truth: Planted {
            what: "one input with its sign changed",
            size: 0.0,
            world: world(Maps::Sign),
        },
    };
    Check::new(spec, worlds, examine)
}

fn orthogonal(id: &'static str, role: Role) -> Check {
    let spec = Spec {
        id,
        role,
        kind: Kind::Exact,
        hypothesis: "with one constant added to both factors the ratio is the same for all rotations U and V",
        tolerance: 0.0,
        detectable: Size::of("stretch of one axis", 1.0 / 64.0),
    };
    let damping = || Damping::Additive(q(1, 10));
    let worlds = Worlds {
        real: exactly(damping(), Maps::Rotations { sixty_fourths: 0 }),
        defect: Planted {
            what: "rotations with an axis stretched by 1/64",
            size: 1.0 / 64.0,
            world: exactly(damping(), Maps::Rotations { sixty_fourths: 1 }),
        },
        truth: Planted {
            what: "one input with its sign changed",
            size: 0.0,
            world: exactly(damping(), Maps::Sign),
        },
    };
    Check::new(spec, worlds, examine)
}

fn shared_damping() -> Check {
    let spec = Spec {
        id: "shared-damping",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "with the damping shared out by the mean eigenvalues the ratio is the same for rotations times c at the output and times 1/c at the input",
        tolerance: 0.0,
        detectable: Size::of("relative error of 1/c", 1.0 / 64.0),
    };
    let damping = || Damping::Shared(q(1, 3));
    let worlds = Worlds {
        real: exactly(damping(), Maps::Balanced { sixty_fourths: 0 }),
        defect: Planted {
            what: "an input that is 1/64 longer than 1/c",
            size: 1.0 / 64.0,
            world: exactly(damping(), Maps::Balanced { sixty_fourths: 1 }),
        },
        truth: Planted {
            what: "one input with its sign changed",
            size: 0.0,
            world: exactly(damping(), Maps::Sign),
        },
    };
    Check::new(spec, worlds, examine)
}

/// The damping is so many times what the bound is told.
struct Drift {
    times: i64,
    whitened: bool,
}

/// Layers that `make` makes of one number, with a damping and the factor of the bound.
fn drifting(make: fn(&Q) -> Layer) -> Part<(Layer, Q, Q)> {
    Part::new(&[&[Axis::Any], &[Axis::Positive; 3]], 3, move |c| {
        let layer = make(&c[0]);
        // whatever lies below all eigenvalues will do, the least themselves among it
        let (a, g) = (&c[1], &c[2]);
        let below = |factor: Matrix, bound: &Q| {
            let rest = factor.plus(&-bound, &Matrix::identity(factor.rows()));
            !rest.determinant().is_negative() && !rest.trace().is_negative()
        };
        let fits = below(layer.input_factor(), a) && below(layer.output_factor(), g);
        let damping = &c[3] / q(64, 1);
        let factor = (Q::one() + &damping / a) * (Q::one() + &damping / g);
        fits.then_some((layer, damping, factor))
    })
}

fn numbers(values: &[i64]) -> Vec<Q> {
    values.iter().map(|&v| q(v, 1)).collect()
}

/// The signal is in the second input, and most of the noise in the first.
fn apart(x: &Q) -> Layer {
    Layer::even(vec![
        (numbers(&[1, 0]), numbers(&[3])),
        (numbers(&[1, 0]), numbers(&[-3])),
        (vec![Q::zero(), x.clone()], numbers(&[3])),
    ])
}

/// Three examples with inputs three and twice as long, and output gradients three times.
fn together(x: &Q) -> Layer {
    let triple = Matrix::diagonal(&numbers(&[3, 3]));
    three_examples(x).within(&triple, &Matrix::diagonal(&numbers(&[3, 2])))
}

/// Inputs and output gradients with the identity for their factors.
fn square(_: &Q) -> Layer {
    let corners = [numbers(&[1, 1]), numbers(&[1, -1])];
    Layer::even(corners.map(|c| (c.clone(), c)).to_vec())
}

fn examine_drift(world: &Drift, _: &Draw) -> Finding {
    let parts = if world.whitened {
        vec![drifting(square)]
    } else {
        vec![drifting(apart), drifting(together)]
    };
    search(&parts, |(layer, damping, factor)| {
        let undamped = layer.undamped()?.ratio()?;
        let damped = layer.damped(&(damping * q(world.times, 1)))?.ratio()?;
        (damped > &undamped * factor || undamped > &damped * factor).then(|| {
            format!(
                "{layer}: the ratio is {} undamped and {} damped by {damping}, and the factor {}",
                shown(&undamped),
                shown(&damped),
                shown(factor)
            )
        })
    })
}

fn drift() -> Check {
    let spec = Spec {
        id: "drift",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "for layers with two and four weights the damped ratio is within the factor (1 + lambda/a)(1 + lambda/g) of the undamped one",
        tolerance: 0.0,
        detectable: Size::of("damping in multiples of what is told", 8.0),
    };
    let world = |times, whitened| Drift { times, whitened };
    let worlds = Worlds {
        real: world(1, false),
        defect: Planted {
            what: "a damping eight times as large as is told",
            size: 8.0,
            world: world(8, false),
        },
        truth: Planted {
            what: "whitened inputs and output gradients, where damping cancels",
            size: 0.0,
            world: world(1, true),
        },
    };
    Check::new(spec, worlds, examine_drift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_squares_of_rationals_have_a_root() {
        assert_eq!(root(&q(4, 9)), Some(q(2, 3)));
        assert_eq!(root(&q(2, 1)), None);
        assert_eq!(root(&q(-4, 1)), None);
    }
}
