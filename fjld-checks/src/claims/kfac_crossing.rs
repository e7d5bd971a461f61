//! Whether the Kronecker-factored ratio reaches one before the plain one.

mod few;

use super::kfac::{Layer, Terms};
use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, dot, q, tuple};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use num_traits::{One, Zero};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "kfac-crossing",
        origin: Origin::Document,
        statement: "The Kronecker-factored ratio crosses 1 sooner than the plain ratio does.",
        sentence: Some(Sentence {
            section: "Validation Protocol",
            line: 535,
            sha256: "15aeccb11931727b18ecec35b439dcbb60f78b6aafae02251a7f94f1ff973152",
            status: "stated",
        }),
        holds_when: Some(
            "the metric is the noise alone, without mu mu', as with labels drawn from the model, and the mean gradient lies in coordinates that are quieter than the average",
        ),
        corrected: Some(
            "Where the factors multiply to the exact second moment F = Sigma + mu mu' of the examples' gradients, a layer of d weights has C_F = s/(d - s) with s = mu'F^-1 mu = t/(1 + t), t = mu'Sigma^-1 mu: less than 1/(d - 1) for an invertible Sigma, so with two weights or more it never reaches 1, whatever the plain ratio does. Over L layers it is at most L/(d - L), and so at most 1 when each has two weights or more. Measured over batches of B it is B times that, and exceeds 1 exactly for B > d/s - 1. From n linearly independent gradients in d >= n weights the estimate is 1/n, and its debiased form 0, whatever the gradients are.",
        ),
        scenarios: &[],
        checks: vec![
            sooner(),
            quiet_mean(),
            one_layer(),
            several_layers(),
            few::gradients(),
        ],
    }
}

/// The plain and the factored ratio for batches of `size`, where both are defined.
fn both(layer: &Layer, size: &Q) -> Option<(Q, Q)> {
    let ratio = |terms: Terms| terms.ratio().map(|c| c * size);
    Some((ratio(layer.plain())?, ratio(layer.undamped()?)?))
}

/// Layers with the constant input and so many outputs; the factored noise is multiplied by `1 + quarters/4`.
struct Crossing {
    outputs: usize,
    quarters: i64,
}

fn examine_sooner(world: &Crossing, _: &Draw) -> Finding {
    let m = world.outputs;
    let part = Part::new(
        &[
            &vec![Axis::Any; m],
            &vec![Axis::Positive; m],
            &[Axis::Positive],
        ],
        4,
        move |c| {
            let batch = c[2 * m].clone();
            batch
                .is_integer()
                .then(|| (Layer::cloud(&c[..m], &c[m..2 * m]), batch))
        },
    );
    let excess = q(4 + world.quarters, 4);
    search(&[part], |(layer, batch)| {
        let (plain, factored) = both(layer, batch)?;
        let factored = factored / &excess;
        let one = Q::one();
        (plain > one && factored <= one).then(|| {
            format!("{layer}, batches of {batch}: the plain ratio is {plain}, the factored one {factored}")
        })
    })
}

fn sooner() -> Check {
    let spec = Spec {
        id: "sooner",
        role: Role::AsWritten,
        kind: Kind::Exact,
        hypothesis: "wherever C exceeds 1, at whatever batch size, C_KFAC exceeds 1 already",
        tolerance: 0.0,
        detectable: Size::of("relative excess of the factored noise", 0.25),
    };
    let world = |outputs, quarters| Crossing { outputs, quarters };
    let worlds = Worlds {
        real: world(2, 0),
        defect: Planted {
            what: "one weight, and a factored noise that is a quarter too large",
            size: 0.25,
            world: world(1, 1),
        },
        truth: Planted {
            what: "one weight, where both ratios are the same",
            size: 0.0,
            world: world(1, 0),
        },
    };
    Check::new(spec, worlds, examine_sooner)
}

/// The metric is the noise and `sixteenths/16` of `mu mu'`; in two dimensions, or three as well.
struct Quiet {
    sixteenths: i64,
    three: bool,
}

fn quiet_clouds(d: usize, max_height: u64) -> Part<(Vec<Q>, Vec<Q>)> {
    Part::new(
        &[&vec![Axis::Any; d], &vec![Axis::Positive; d]],
        max_height,
        move |c| {
            let (mean, spreads) = c.split_at(d);
            let variances: Vec<Q> = spreads.iter().map(|s| s * s).collect();
            let average = variances.iter().sum::<Q>() / q(d as i64, 1);
            let moved = || (0..d).filter(|&j| !mean[j].is_zero());
            let quiet = moved().all(|j| variances[j] < average) && moved().next().is_some();
            quiet.then(|| (mean.to_vec(), spreads.to_vec()))
        },
    )
}

fn examine_quiet(world: &Quiet, _: &Draw) -> Finding {
    let mut parts = vec![quiet_clouds(2, 4)];
    if world.three {
        parts.push(quiet_clouds(3, 2));
    }
    let share = q(world.sixteenths, 16);
    search(&parts, |(mean, spreads)| {
        let d = mean.len();
        let layer = Layer::cloud(mean, spreads);
        // what the model itself would label has the same noise, and no mean
        let model = Layer::cloud(&vec![Q::zero(); d], spreads);
        let outer = Matrix::from_fn(d, d, |i, j| &mean[i] * &mean[j]);
        let metric = model.output_factor().plus(&share, &outer);
        let factored = layer.in_metric(&model.input_factor(), &metric)?.ratio()?;
        let plain = layer.plain().ratio()?;
        (factored <= plain).then(|| {
            format!(
                "mu = {}, standard deviations {}: the plain ratio is {plain}, the factored one {factored}, for one example",
                tuple(mean),
                tuple(spreads)
            )
        })
    })
}

fn quiet_mean() -> Check {
    let spec = Spec {
        id: "quiet-mean",
        role: Role::HoldsWhen,
        kind: Kind::Exact,
        hypothesis: "in the metric of the noise alone, with a mean in quieter coordinates than the average, C_KFAC exceeds C, so that at any batch size it crosses sooner",
        tolerance: 0.0,
        detectable: Size::of("share of mu mu' in the metric", 1.0 / 16.0),
    };
    let world = |sixteenths, three| Quiet { sixteenths, three };
    let worlds = Worlds {
        real: world(0, true),
        defect: Planted {
            what: "a metric with a sixteenth of mu mu'",
            size: 1.0 / 16.0,
            world: world(1, false),
        },
        truth: Planted {
            what: "two dimensions",
            size: 0.0,
            world: world(0, false),
        },
    };
    Check::new(spec, worlds, examine_quiet)
}

/// The squared length `t` is multiplied by `1 + sixty_fourths/64`; one to three weights, or one.
struct Length {
    sixty_fourths: i64,
    dimensions: &'static [usize],
}

/// The batches for which the threshold is tried.
const BATCHES: i64 = 6;

/// Output gradients `mu +- u_1, mu +- u_2, ...`: the covariance is the mean of the `u_j u_j'`, any matrix.
fn layers(d: usize) -> Part<Layer> {
    // in three dimensions the u_j lie along the axes, to keep the number of cases down
    let free = if d < 3 { d * d } else { d };
    Part::new(&[&vec![Axis::Any; d + free]], 1, move |c| {
        let (mean, noise) = c.split_at(d);
        let direction = |j: usize| -> Vec<Q> {
            if d < 3 {
                noise[j * d..(j + 1) * d].to_vec()
            } else {
                let mut u = vec![Q::zero(); d];
                u[j].clone_from(&noise[j]);
                u
            }
        };
        let moved = |sign: i64, u: &[Q]| -> Vec<Q> {
            mean.iter()
                .zip(u)
                .map(|(m, v)| m + q(sign, 1) * v)
                .collect()
        };
        let pairs = (0..d).flat_map(|j| {
            let u = direction(j);
            [1, -1].map(|sign| (vec![Q::one()], moved(sign, &u)))
        });
        Some(Layer::even(pairs.collect()))
    })
}

fn examine_one_layer(world: &Length, _: &Draw) -> Finding {
    let parts: Vec<Part<Layer>> = world.dimensions.iter().map(|&d| layers(d)).collect();
    let excess = q(64 + world.sixty_fourths, 64);
    search(&parts, |layer| {
        let (mean, d) = (layer.mean(), q(layer.outputs() as i64, 1));
        let precision = layer.covariance().inverse()?;
        let t = dot(&mean, &precision.apply(&mean)) * &excess;
        let s = &t / (Q::one() + &t);
        let expected = &s / (&d - &s);
        let terms = layer.undamped()?;
        let ratio = terms.ratio()?;
        let below = &ratio * (&d - Q::one()) < Q::one();
        let threshold = (1..=BATCHES).all(|b| {
            let b = q(b, 1);
            let crosses = &ratio * &b > Q::one();
            // B > d/s - 1, without dividing by s = 0
            crosses == (&s * (b + Q::one()) > d)
        });
        (ratio != expected || terms.signal != s || !below || !threshold).then(|| {
            format!("{layer}: t = {t}, s = {s}, s/(d - s) = {expected}, and C_F = {ratio} with mu'F^-1 mu = {}", terms.signal)
        })
    })
}

fn one_layer() -> Check {
    let spec = Spec {
        id: "one-layer",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "with F = Sigma + mu mu' as the metric C_F = s/(d - s) < 1/(d - 1), s = t/(1 + t), and B C_F > 1 iff B > d/s - 1, for batches of 1 to 6 and 1 to 3 weights",
        tolerance: 0.0,
        detectable: Size::of("relative error of t", 1.0 / 64.0),
    };
    let world = |sixty_fourths, dimensions| Length {
        sixty_fourths,
        dimensions,
    };
    let worlds = Worlds {
        real: world(0, &[1, 2, 3]),
        defect: Planted {
            what: "a squared length that is 1/64 too large",
            size: 1.0 / 64.0,
            world: world(1, &[1, 2, 3]),
        },
        truth: Planted {
            what: "one weight",
            size: 0.0,
            world: world(0, &[1]),
        },
    };
    Check::new(spec, worlds, examine_one_layer)
}

/// Layers of so many weights each, whose ratio is multiplied by `1 + eighths/8`.
struct Several {
    sizes: &'static [&'static [usize]],
    eighths: i64,
}

fn examine_several(world: &Several, _: &Draw) -> Finding {
    let parts: Vec<Part<Vec<Layer>>> = world
        .sizes
        .iter()
        .map(|&sizes| {
            let axes = [Axis::Positive, Axis::Positive, Axis::Any].repeat(sizes.len());
            Part::new(&[&axes], 2, move |c| {
                // where the other coordinates are the same in every example, s = 1
                let layer = |(c, &d): (&[Q], &usize)| {
                    let (mut mean, mut spreads) = (vec![Q::one(); d], vec![c[2].clone(); d]);
                    mean[0].clone_from(&c[0]);
                    spreads[0].clone_from(&c[1]);
                    Layer::cloud(&mean, &spreads)
                };
                Some(c.chunks(3).zip(sizes).map(layer).collect())
            })
        })
        .collect();
    let excess = q(8 + world.eighths, 8);
    search(&parts, |layers: &Vec<Layer>| {
        let terms: Option<Vec<Terms>> = layers.iter().map(Layer::undamped).collect();
        let ratio = Terms::sum(&terms?).ratio()? * &excess;
        let weights: usize = layers.iter().map(Layer::outputs).sum();
        let bound = q(layers.len() as i64, (weights - layers.len()) as i64);
        (ratio > bound).then(|| {
            let shown: Vec<String> = layers.iter().map(Layer::to_string).collect();
            format!(
                "layers {}: C_F = {ratio}, L/(d - L) = {bound}",
                shown.join(" and ")
            )
        })
    })
}

fn several_layers() -> Check {
    let spec = Spec {
        id: "several-layers",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "over two layers of one and two weights, and of two each, C_F is at most L/(d - L)",
        tolerance: 0.0,
        detectable: Size::of("relative excess of C_F", 0.125),
    };
    let world = |sizes, eighths| Several { sizes, eighths };
    let worlds = Worlds {
        real: world(&[&[1, 2], &[2, 2]], 0),
        defect: Planted {
            what: "a ratio that is an eighth too large",
            size: 0.125,
            world: world(&[&[2, 2]], 1),
        },
        truth: Planted {
            what: "one layer",
            size: 0.0,
            world: world(&[&[2]], 0),
        },
    };
    Check::new(spec, worlds, examine_several)
}
