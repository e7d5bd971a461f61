//! Whether `C` passes 1 where the natural gradient comes to outweigh the diffusion.
//!
//! The line stands under the case `I = lambda 1` and draws its meaning from it; it is judged for every `D`, with that case as the scope.
//! The stochastic natural gradient `M g` has the mean `M mu` and the diffusion `M D M'`. With the document's `M = I^-1 = D` its own ratio
//! is `|D mu|^2 / Tr(D^3)`, which is `C` where `D` is a multiple of 1. With `M = D^-1`, lengths taken in the metric `F = D`, signal and
//! diffusion are `mu'D^-1 mu = t` and `Tr(D D^-1 D D^-1) = d`.

use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, dot, q, squared_norm, tuple};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use num_traits::{One, Zero};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "natural-gradient-phase",
        origin: Origin::Document,
        statement: "C passes 1 where the natural gradient comes to outweigh the diffusion.",
        sentence: Some(Sentence {
            section: "2. Natural Gradient Connection",
            line: 91,
            sha256: "3e7e67becd019bbc1649a16ebb71e4a1042c1e81be4c8d0bc0e614976a5092e2",
            status: "stated",
        }),
        holds_when: Some(
            "the noise is isotropic, I = lambda 1, and the diffusion is that of the natural gradient itself",
        ),
        corrected: Some(
            "The natural gradient D g of the document has the ratio |D mu|^2 / Tr(D^3), which passes 1 elsewhere than C. With the noise as the metric, F = D, the natural gradient D^-1 g has the squared length t = mu' D^-1 mu against a diffusion of d, so that t/d passes 1 where it comes to outweigh it, in every chart.",
        ),
        scenarios: &[],
        checks: vec![
            same_side("any-noise", Role::AsWritten, Noise::Any),
            same_side(
                "isotropic",
                Role::HoldsWhen,
                Noise::Isotropic { sixty_fourths: 0 },
            ),
            in_the_metric_of_the_noise(),
        ],
    }
}

/// Diagonal noise in one and two dimensions.
#[derive(Clone, Copy)]
enum Noise {
    Any,
    /// One variance, but the first of two smaller and the second larger by `sixty_fourths/64` of it.
    Isotropic {
        sixty_fourths: i64,
    },
    /// One parameter.
    OneParameter,
}

/// A mean, and variances of the coordinates.
struct Case {
    mean: Vec<Q>,
    variances: Vec<Q>,
}

fn parts(noise: Noise) -> Vec<Part<Case>> {
    let one = Part::new(&[&[Axis::Any, Axis::Positive]], 4, |c| {
        Some(Case {
            mean: c[..1].to_vec(),
            variances: c[1..].to_vec(),
        })
    });
    let variances = match noise {
        Noise::OneParameter => return vec![one],
        Noise::Any => 2,
        Noise::Isotropic { .. } => 1,
    };
    let axes: [&[Axis]; 2] = [&[Axis::Any; 2], &vec![Axis::Positive; variances]];
    let two = Part::new(&axes, 4, move |c| {
        let variances = match noise {
            Noise::Isotropic { sixty_fourths } => vec![
                &c[2] * q(64 - sixty_fourths, 64),
                &c[2] * q(64 + sixty_fourths, 64),
            ],
            _ => c[2..].to_vec(),
        };
        Some(Case {
            mean: c[..2].to_vec(),
            variances,
        })
    });
    vec![one, two]
}

fn examine_side(noise: &Noise, _: &Draw) -> Finding {
    search(&parts(*noise), |case| {
        let covariance = Matrix::diagonal(&case.variances);
        let ratio = squared_norm(&case.mean) / covariance.trace();
        let natural = covariance.apply(&case.mean);
        // M D M' with M = D
        let diffusion = covariance.pulled_back(&covariance);
        let (signal, noise) = (squared_norm(&natural), diffusion.trace());
        (ratio.cmp(&Q::one()) != signal.cmp(&noise)).then(|| {
            format!(
                "mu = {}, D = {covariance}: C = {ratio}, but the natural gradient D mu = {} has the squared length {signal} against a diffusion of {noise}",
                tuple(&case.mean),
                tuple(&natural),
            )
        })
    })
}

fn same_side(id: &'static str, role: Role, real: Noise) -> Check {
    let spec = Spec {
        id,
        role,
        kind: Kind::Exact,
        hypothesis: "C is above, at or below 1 as |I^-1 mu|^2 is above, at or below Tr(I^-1 D I^-1), with I = D^-1",
        tolerance: 0.0,
        detectable: Size::of(
            "difference of the variances from their mean, relative",
            1.0 / 64.0,
        ),
    };
    let worlds = Worlds {
        real,
        defect: Planted {
            what: "variances that are 1/64 of their mean below and above it",
            size: 1.0 / 64.0,
            world: Noise::Isotropic { sixty_fourths: 1 },
        },
        truth: Planted {
            what: "one parameter",
            size: 0.0,
            world: Noise::OneParameter,
        },
    };
    Check::new(spec, worlds, examine_side)
}

/// The metric of the natural gradient is `1 + sixty_fourths/64` times the noise; with two parameters, or one.
struct Metric {
    sixty_fourths: i64,
    dimension: usize,
}

fn examine_metric(world: &Metric, _: &Draw) -> Finding {
    let d = world.dimension;
    // draws mu + l and mu - l for every column l of L: mean mu and D = L L' / d
    let part = |max_height| {
        Part::new(&[&vec![Axis::Any; d + d * d]], max_height, move |c| {
            let columns: Vec<Vec<Q>> = c[d..].chunks(d).map(<[Q]>::to_vec).collect();
            let singular = Matrix(columns.clone()).determinant().is_zero();
            (!singular).then(|| (c[..d].to_vec(), columns))
        })
    };
    let excess = q(64 + world.sixty_fourths, 64);
    search(&[part(if d == 1 { 4 } else { 1 })], |(mean, columns)| {
        let covariance = Matrix::from_fn(d, d, |i, j| {
            columns.iter().map(|l| &l[i] * &l[j]).sum::<Q>() / q(d as i64, 1)
        });
        let inverse = covariance.inverse()?;
        let divided =
            |g: &[Q]| -> Vec<Q> { inverse.apply(g).iter().map(|v| v / &excess).collect() };
        let draws: Vec<Vec<Q>> = columns
            .iter()
            .flat_map(|l| {
                let plus = mean.iter().zip(l).map(|(m, l)| m + l).collect::<Vec<_>>();
                let minus = mean.iter().zip(l).map(|(m, l)| m - l).collect::<Vec<_>>();
                [divided(&plus), divided(&minus)]
            })
            .collect();
        let count = q(draws.len() as i64, 1);
        let average: Vec<Q> = (0..d)
            .map(|j| draws.iter().map(|v| v[j].clone()).sum::<Q>() / &count)
            .collect();
        let length = |v: &[Q]| dot(v, &covariance.apply(v));
        let diffusion = draws
            .iter()
            .map(|v| {
                let gap: Vec<Q> = v.iter().zip(&average).map(|(v, a)| v - a).collect();
                length(&gap)
            })
            .sum::<Q>()
            / &count;
        let (signal, t) = (length(&average), dot(mean, &inverse.apply(mean)));
        let kept = signal == t && diffusion == q(d as i64, 1);
        (!kept).then(|| {
            format!(
                "mu = {}, D = {covariance}: over the draws the natural gradient has the squared length {signal} and the diffusion {diffusion}; t = {t}, d = {d}",
                tuple(mean)
            )
        })
    })
}

fn in_the_metric_of_the_noise() -> Check {
    let spec = Spec {
        id: "metric-of-the-noise",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "over draws with covariance D, the mean of D^-1 g has the squared length mu'D^-1 mu in the metric D, and its noise d",
        tolerance: 0.0,
        detectable: Size::of("relative error of the metric", 1.0 / 64.0),
    };
    let metric = |sixty_fourths, dimension| Metric {
        sixty_fourths,
        dimension,
    };
    let worlds = Worlds {
        real: metric(0, 2),
        defect: Planted {
            what: "a natural gradient in a metric that is 1/64 too large",
            size: 1.0 / 64.0,
            world: metric(1, 2),
        },
        truth: Planted {
            what: "one parameter",
            size: 0.0,
            world: metric(0, 1),
        },
    };
    Check::new(spec, worlds, examine_metric)
}
