//! The plain ratio in place of the factored one in small networks.

use super::kfac::{Layer, Terms};
use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, q};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use num_traits::{One, Zero};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "small-networks",
        origin: Origin::Document,
        statement: "In networks of less than a million parameters the plain ratio is enough: it is above 1 where the factored one is.",
        sentence: Some(Sentence {
            section: "Comparison: Diagonal vs K-FAC",
            line: 516,
            sha256: "a7ab58c75461765523daab8707c78f31b45bba56905b0216adb70a41567af3b6",
            status: "stated",
        }),
        holds_when: Some("the network has one weight"),
        corrected: Some(
            "The number of parameters does not tell. From two weights on there are layers of every size whose ratios lie on different sides of 1, and layers whose ratios lie on the same; in whitened layers the two are equal at every size.",
        ),
        scenarios: &[],
        checks: vec![
            same_side("same-side", Role::AsWritten, Weights::UpTo(2)),
            same_side("one-weight", Role::HoldsWhen, Weights::UpTo(1)),
            every_size(),
            whitened(),
        ],
    }
}

/// Weights of a layer with the constant input 1, whose factors' product is the second moment of its gradients exactly.
#[derive(Clone, Copy)]
enum Weights {
    /// Up to so many.
    UpTo(usize),
    /// One, and a second one whose gradient has the mean 0 and a deviation of `sixty_fourths/64`.
    Second { sixty_fourths: i64 },
}

/// Both ratios, the plain one first.
fn ratios(layer: &Layer) -> Option<(Q, Q)> {
    Some((layer.plain().ratio()?, layer.undamped()?.ratio()?))
}

fn parts(weights: Weights) -> Vec<Part<Layer>> {
    let one = || {
        Part::new(&[&[Axis::Any], &[Axis::Positive]], 12, |c| {
            Some(Layer::cloud(&c[..1], &c[1..]))
        })
    };
    match weights {
        Weights::UpTo(1) => vec![one()],
        Weights::UpTo(_) => vec![
            one(),
            Part::new(&[&[Axis::Any; 2], &[Axis::Positive; 2]], 3, |c| {
                Some(Layer::cloud(&c[..2], &c[2..]))
            }),
        ],
        Weights::Second { sixty_fourths } => {
            vec![Part::new(
                &[&[Axis::Any], &[Axis::Positive]],
                12,
                move |c| {
                    let spreads = [c[1].clone(), q(sixty_fourths, 64)];
                    Some(Layer::cloud(&[c[0].clone(), Q::zero()], &spreads))
                },
            )]
        }
    }
}

fn examine_side(world: &Weights, _: &Draw) -> Finding {
    search(&parts(*world), |layer| {
        let (plain, factored) = ratios(layer)?;
        ((plain > Q::one()) != (factored > Q::one()))
            .then(|| format!("{layer}: the plain ratio is {plain} and the factored one {factored}"))
    })
}

fn same_side(id: &'static str, role: Role, real: Weights) -> Check {
    let spec = Spec {
        id,
        role,
        kind: Kind::Exact,
        hypothesis: match real {
            Weights::UpTo(1) => "for one weight the two ratios lie on the same side of 1",
            _ => "for one and for two weights the two ratios lie on the same side of 1",
        },
        tolerance: 0.0,
        detectable: Size::of("deviation of a second weight's gradient", 1.0 / 64.0),
    };
    let worlds = Worlds {
        real,
        defect: Planted {
            what: "a second weight whose gradient deviates by 1/64 and has the mean 0",
            size: 1.0 / 64.0,
            world: Weights::Second { sixty_fourths: 1 },
        },
        truth: Planted {
            what: "one weight",
            size: 0.0,
            world: Weights::UpTo(1),
        },
    };
    Check::new(spec, worlds, examine_side)
}

/// Sizes from `least` to `most` at which layers of both kinds are looked for.
struct Sizes {
    least: usize,
    most: usize,
}

fn examine_sizes(world: &Sizes, _: &Draw) -> Finding {
    let least = world.least as i64;
    let sizes = world.most as u64;
    let part = Part::new(&[&[Axis::Positive]], sizes, move |c| {
        let size = c[0].is_integer() && c[0] >= q(least, 1);
        size.then(|| c[0].to_integer().try_into().ok()).flatten()
    });
    search(&[part], |&weights: &usize| {
        // deviations of 1 everywhere, and a mean along the first coordinate
        let layer = |mean: i64| {
            let mut means = vec![Q::zero(); weights];
            means[0] = q(mean, 1);
            ratios(&Layer::cloud(&means, &vec![Q::one(); weights]))
        };
        let (apart, together) = (layer(weights as i64)?, layer(0)?);
        let sides = |(plain, factored): &(Q, Q)| (*plain > Q::one(), *factored > Q::one());
        let found = sides(&apart) == (true, false) && sides(&together) == (false, false);
        (!found).then(|| {
            format!(
                "{weights} weights: plain {} and factored {}, plain {} and factored {}",
                apart.0, apart.1, together.0, together.1
            )
        })
    })
}

fn every_size() -> Check {
    let spec = Spec {
        id: "every-size",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "for every number of weights from 2 to 8 there is a layer with the plain ratio above and the factored one below 1, and one with both below",
        tolerance: 0.0,
        detectable: Size::of("weights fewer than two", 1.0),
    };
    let worlds = Worlds {
        real: Sizes { least: 2, most: 8 },
        defect: Planted {
            what: "one weight",
            size: 1.0,
            world: Sizes { least: 1, most: 8 },
        },
        truth: Planted {
            what: "two weights",
            size: 0.0,
            world: Sizes { least: 2, most: 2 },
        },
    };
    Check::new(spec, worlds, examine_sizes)
}

/// Up to so many weights; the last one's gradient is `1 + sixty_fourths/64` times as long.
struct Whitened {
    weights: i64,
    sixty_fourths: i64,
}

fn examine_whitened(world: &Whitened, _: &Draw) -> Finding {
    let (weights, excess) = (world.weights, q(64 + world.sixty_fourths, 64));
    let axes: [&[Axis]; 2] = [&[Axis::NonZero], &[Axis::Positive]];
    let part = Part::new(&axes, 8, move |c| {
        let fits = c[1].is_integer() && c[1] <= q(weights, 1);
        let size: usize = fits.then(|| c[1].to_integer().try_into().ok())??;
        // mean m and deviation s with m^2 + s^2 = 1, so that G = 1
        let square = &c[0] * &c[0];
        let below = Q::one() + &square;
        let (mean, spread) = (q(2, 1) * &c[0] / &below, (Q::one() - square) / below);
        let mut means = vec![Q::zero(); size];
        let mut spreads = vec![Q::one(); size];
        means[0] = mean;
        spreads[0] = spread;
        let mut scales = vec![Q::one(); size];
        scales[size - 1].clone_from(&excess);
        let layer = Layer::cloud(&means, &spreads);
        Some(layer.within(&Matrix::diagonal(&scales), &Matrix::identity(1)))
    });
    search(&[part], |layer| {
        let terms: [Terms; 2] = [layer.plain(), layer.undamped()?];
        let [plain, factored] = terms.map(|t| t.ratio());
        (plain != factored).then(|| {
            let shown = |ratio: Option<Q>| ratio.map_or("none".to_owned(), |r| r.to_string());
            format!(
                "{layer}: the plain ratio is {} and the factored one {}",
                shown(plain),
                shown(factored)
            )
        })
    })
}

fn whitened() -> Check {
    let spec = Spec {
        id: "whitened",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "in layers of 1 to 6 weights with A = 1 and G = 1 the two ratios are equal",
        tolerance: 0.0,
        detectable: Size::of("relative excess of one weight's gradient", 1.0 / 64.0),
    };
    let worlds = Worlds {
        real: Whitened {
            weights: 6,
            sixty_fourths: 0,
        },
        defect: Planted {
            what: "a last weight whose gradient is 1/64 too long",
            size: 1.0 / 64.0,
            world: Whitened {
                weights: 6,
                sixty_fourths: 1,
            },
        },
        truth: Planted {
            what: "one weight",
            size: 0.0,
            world: Whitened {
                weights: 1,
                sixty_fourths: 0,
            },
        },
    };
    Check::new(spec, worlds, examine_whitened)
}
