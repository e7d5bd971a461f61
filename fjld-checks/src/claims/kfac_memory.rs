//! What the factors take in memory, in multiples of the layer's weights.

use super::kfac::maps::three_examples;
use super::kfac::{Layer, kronecker};
use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, dot, q};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use num_traits::{One, Signed};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "kfac-memory",
        origin: Origin::Document,
        statement: "The Kronecker factors take about twice the memory of the layer's weights.",
        sentence: Some(Sentence {
            section: "Comparison: Diagonal vs K-FAC",
            line: 507,
            sha256: "09289902cc1b36ec1659c5d1ba75fb41a0b7f190984eddc1e907e8e09f6d80a3",
            status: "stated",
        }),
        holds_when: Some("a layer has at most twice as many inputs as outputs, and the reverse"),
        corrected: Some(
            "The factors take n/m + m/n times the memory of the n m weights: exactly twice for a square layer, more for every other, and without bound. Nothing of size n m by n m need be formed for the noise: Tr((A^-1 (x) G^-1) D) = E (a'A^-1 a)(g'G^-1 g) - mu'(A^-1 (x) G^-1) mu.",
        ),
        scenarios: &[],
        checks: vec![
            twice("about-twice", Role::AsWritten, Sides::Any),
            twice("similar-sides", Role::HoldsWhen, Sides::Within { times: 2 }),
            multiple(),
            noise(),
        ],
    }
}

/// Numbers of inputs and outputs, up to eight.
#[derive(Clone, Copy)]
enum Sides {
    Any,
    /// Neither is more than so many times the other.
    Within {
        times: i64,
    },
    /// One is so many times the other.
    Ratio {
        times: i64,
    },
}

/// Layers of every such size, whatever their examples are.
fn layers(sides: Sides) -> Part<Layer> {
    Part::new(&[&[Axis::Positive; 2]], 8, move |c| {
        let (n, m) = (&c[0], &c[1]);
        let (less, more) = (n.min(m), n.max(m));
        let fits = match sides {
            Sides::Any => true,
            Sides::Within { times } => *more <= less * q(times, 1),
            Sides::Ratio { times } => *more == less * q(times, 1),
        };
        let ones = |size: &Q| -> Option<Vec<Q>> {
            let whole = size.is_integer().then(|| size.to_integer())?;
            Some(vec![Q::one(); usize::try_from(whole).ok()?])
        };
        let (input, output) = (ones(n)?, ones(m)?);
        fits.then(|| Layer::even(vec![(input, output)]))
    })
}

/// Numbers held in the factors over numbers held in the weights.
fn overhead(layer: &Layer) -> Q {
    let held = |m: &Matrix| m.0.iter().map(Vec::len).sum::<usize>() as i64;
    let factors = held(&layer.input_factor()) + held(&layer.output_factor());
    q(factors, layer.mean().len() as i64)
}

fn examine_twice(sides: &Sides, _: &Draw) -> Finding {
    search(&[layers(*sides)], |layer| {
        let overhead = overhead(layer);
        ((&overhead - q(2, 1)).abs() > q(1, 2)).then(|| {
            format!(
                "n = {}, m = {}: the factors take {overhead} times as much as the weights",
                layer.inputs(),
                layer.outputs()
            )
        })
    })
}

fn twice(id: &'static str, role: Role, real: Sides) -> Check {
    let spec = Spec {
        id,
        role,
        kind: Kind::Exact,
        hypothesis: "the factors hold twice as many numbers as the weights, give or take a quarter",
        tolerance: 0.5,
        detectable: Size::of("larger side of the layer over the smaller", 3.0),
    };
    let worlds = Worlds {
        real,
        defect: Planted {
            what: "layers of which one side is three times the other",
            size: 3.0,
            world: Sides::Ratio { times: 3 },
        },
        truth: Planted {
            what: "square layers",
            size: 0.0,
            world: Sides::Ratio { times: 1 },
        },
    };
    Check::new(spec, worlds, examine_twice)
}

/// Layers with these sides; so many more numbers are held than the factors have.
struct Held {
    sides: Sides,
    more: i64,
}

fn examine_multiple(world: &Held, _: &Draw) -> Finding {
    search(&[layers(world.sides)], |layer| {
        let (n, m) = (layer.inputs() as i64, layer.outputs() as i64);
        let overhead = overhead(layer) + q(world.more, n * m);
        let two = q(2, 1);
        let least = if n == m {
            overhead == two
        } else {
            overhead > two
        };
        // without bound: one side being the multiple k of the other it exceeds k
        let beyond = overhead > q(n.max(m), n.min(m));
        (overhead != q(n, m) + q(m, n) || !least || !beyond)
            .then(|| format!("n = {n}, m = {m}: {overhead} times as much as the weights"))
    })
}

fn multiple() -> Check {
    let spec = Spec {
        id: "multiple",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "the factors hold n/m + m/n times as many numbers as the weights: 2 for n = m, more than 2 otherwise, and always more than the larger side over the smaller",
        tolerance: 0.0,
        detectable: Size::of("numbers held beside the factors", 1.0),
    };
    let world = |sides, more| Held { sides, more };
    let worlds = Worlds {
        real: world(Sides::Any, 0),
        defect: Planted {
            what: "one number more",
            size: 1.0,
            world: world(Sides::Any, 1),
        },
        truth: Planted {
            what: "square layers",
            size: 0.0,
            world: world(Sides::Ratio { times: 1 }, 0),
        },
    };
    Check::new(spec, worlds, examine_multiple)
}

/// Layers of four weights or two; the whole matrix's noise is multiplied by `1 + sixty_fourths/64`.
struct Noise {
    two_outputs: bool,
    sixty_fourths: i64,
}

fn examine_noise(world: &Noise, _: &Draw) -> Finding {
    let two_outputs = world.two_outputs;
    let part = Part::new(&[&[Axis::Any; 4]], 2, move |c| {
        let layer = if two_outputs {
            let v = Matrix(vec![c[..2].to_vec(), vec![c[2].clone(), Q::one()]]);
            three_examples(&c[3]).within(&Matrix::identity(2), &v)
        } else {
            Layer::even(vec![
                (vec![Q::one(), c[0].clone()], vec![c[1].clone()]),
                (vec![c[2].clone(), Q::one()], vec![c[3].clone()]),
                (vec![Q::one(), Q::one()], vec![Q::one()]),
            ])
        };
        Some(layer)
    });
    let excess = q(64 + world.sixty_fourths, 64);
    search(&[part], |layer| {
        let terms = layer.undamped()?;
        let (a, g) = (layer.input_factor(), layer.output_factor());
        let metric = kronecker(&a.inverse()?, &g.inverse()?);
        let mean = layer.mean();
        let signal = dot(&mean, &metric.apply(&mean));
        let noise = metric.times(&layer.covariance()).trace() * &excess;
        (terms.signal != signal || terms.noise != noise).then(|| {
            format!(
                "{layer}: by the factors {} and {}, by the whole matrix {signal} and {noise}",
                terms.signal, terms.noise
            )
        })
    })
}

fn noise() -> Check {
    let spec = Spec {
        id: "noise-without-the-matrix",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "for three examples with two inputs, signal and noise by the factors alone are those by the matrices of size n m",
        tolerance: 0.0,
        detectable: Size::of("relative error of the noise", 1.0 / 64.0),
    };
    let world = |two_outputs, sixty_fourths| Noise {
        two_outputs,
        sixty_fourths,
    };
    let worlds = Worlds {
        real: world(true, 0),
        defect: Planted {
            what: "a noise that is 1/64 too large",
            size: 1.0 / 64.0,
            world: world(true, 1),
        },
        truth: Planted {
            what: "one output",
            size: 0.0,
            world: world(false, 0),
        },
    };
    Check::new(spec, worlds, examine_noise)
}
