//! The natural gradient with the inverse covariance as its metric.

use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, q, tuple};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{
    Check, Draw, Finding, Kind, Outcome, Planted, Role, Size, Spec, Worlds, worse,
};
use faer::Mat;
use fjld_core::geometry::Metric as LibraryMetric;
use fjld_core::geometry::{natural_gradient as library_gradient, pull_back};
use fjld_core::rng::standard_normals;
use num_traits::Zero;

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "natural-gradient-equivariance",
        origin: Origin::Document,
        statement: "With the information I = D^-1 the natural gradient, the direction that does not depend on the chart, is I^-1 times the gradient.",
        sentence: Some(Sentence {
            section: "2. Natural Gradient Connection",
            line: 82,
            sha256: "10743da9cb82638277d9a6b22c83f309b27f3b5a7f709aba1b75d9d3fdada842",
            status: "definition",
        }),
        holds_when: Some("the charts differ by an orthogonal map"),
        corrected: Some(
            "I^-1 mu = D mu becomes J'DJJ'mu in the chart phi, theta = J phi, where a vector becomes J^-1 D mu; it also moves each coordinate in proportion to its variance, so the noisiest most. With the metric F = D, which does take J'DJ, F^-1 mu becomes J^-1 F^-1 mu for every invertible J.",
        ),
        scenarios: &[],
        checks: vec![
            equivariant(
                "all-charts",
                Role::AsWritten,
                "v = D mu becomes J^-1 v for every invertible J",
                World {
                    metric: Metric::Information,
                    maps: Maps::Invertible,
                },
            ),
            equivariant(
                "orthogonal",
                Role::HoldsWhen,
                "v = D mu becomes J^-1 v for every orthogonal J",
                World {
                    metric: Metric::Information,
                    maps: Maps::Orthogonal { of_128: 0 },
                },
            ),
            amplifies(),
            equivariant(
                "noise-as-metric",
                Role::Corrected,
                "v = D^-1 mu becomes J^-1 v for every invertible J",
                World {
                    metric: Metric::Noise { of_128: 0 },
                    maps: Maps::Invertible,
                },
            ),
            library(),
        ],
    }
}

/// What the gradient is divided by.
#[derive(Clone, Copy)]
enum Metric {
    /// `I = D^-1`.
    Information,
    /// `F = D`, off by `of_128/128` in the new chart.
    Noise { of_128: i64 },
}

#[derive(Clone, Copy)]
enum Maps {
    Invertible,
    /// Rotations with a rational half tangent, the second axis stretched by `1 + of_128/128`.
    Orthogonal {
        of_128: i64,
    },
    /// One parameter with its sign changed, or not.
    Signs,
}

#[derive(Clone, Copy)]
struct World {
    metric: Metric,
    maps: Maps,
}

struct Case {
    mean: Vec<Q>,
    covariance: Matrix,
    jacobian: Matrix,
}

/// Makes a Jacobian of coordinates, or refuses them.
type Decode = Box<dyn Fn(&[Q]) -> Option<Matrix>>;

fn parts(maps: Maps) -> Vec<Part<Case>> {
    let covariance: &[Axis] = &[Axis::Positive, Axis::Any, Axis::Positive];
    let plane = |axes: &[Axis], height, map: Decode| {
        Part::new(&[&[Axis::Any; 2], covariance, axes], height, move |c| {
            let covariance = Matrix::symmetric(2, &c[2..5]);
            let jacobian = map(&c[5..])?;
            covariance.is_positive_definite().then(|| Case {
                mean: c[..2].to_vec(),
                covariance,
                jacobian,
            })
        })
    };
    let line = |maps: &'static [Axis]| {
        Part::new(&[&[Axis::NonZero, Axis::Positive], maps], 3, |c| {
            Some(Case {
                mean: c[..1].to_vec(),
                covariance: Matrix::diagonal(&c[1..2]),
                jacobian: match c.get(2) {
                    Some(slope) => Matrix::diagonal(std::slice::from_ref(slope)),
                    None => Matrix::diagonal(&[q(-1, 1)]),
                },
            })
        })
    };
    match maps {
        Maps::Signs => vec![line(&[])],
        Maps::Invertible => {
            let any = |c: &[Q]| {
                let jacobian = Matrix(vec![c[..2].to_vec(), c[2..].to_vec()]);
                (!jacobian.determinant().is_zero()).then_some(jacobian)
            };
            vec![
                line(&[Axis::NonZero]),
                plane(&[Axis::Any; 4], 1, Box::new(any)),
            ]
        }
        Maps::Orthogonal { of_128 } => {
            let rotation = move |c: &[Q]| {
                // with t the tangent of half the angle: cos = (1 - t^2)/(1 + t^2), sin = 2t/(1 + t^2)
                let square = &c[0] * &c[0];
                let below = q(1, 1) + &square;
                let (cos, sin) = ((q(1, 1) - square) / &below, q(2, 1) * &c[0] / below);
                let stretch = q(128 + of_128, 128);
                Some(Matrix(vec![
                    vec![cos.clone(), -&sin * &stretch],
                    vec![sin, cos * stretch],
                ]))
            };
            vec![plane(&[Axis::Any], 2, Box::new(rotation))]
        }
    }
}

/// The document's or our natural gradient; `excess` multiplies the metric.
fn natural(metric: Metric, mean: &[Q], covariance: &Matrix, excess: &Q) -> Vec<Q> {
    let scaled = match metric {
        Metric::Information => covariance.apply(mean),
        Metric::Noise { .. } => covariance
            .inverse()
            .expect("only definite noise is decoded")
            .apply(mean),
    };
    scaled.iter().map(|v| v / excess).collect()
}

fn examine(world: &World, _: &Draw) -> Finding {
    let metric = world.metric;
    let excess = match metric {
        Metric::Information => q(1, 1),
        Metric::Noise { of_128 } => q(128 + of_128, 128),
    };
    search(&parts(world.maps), |case| {
        let j = &case.jacobian;
        let here = natural(metric, &case.mean, &case.covariance, &q(1, 1));
        let mean = j.transpose().apply(&case.mean);
        let there = natural(metric, &mean, &case.covariance.pulled_back(j), &excess);
        let carried = j
            .inverse()
            .expect("only invertible J are decoded")
            .apply(&here);
        (there != carried).then(|| {
            format!(
                "mu = {}, D = {}, J = {j}: in the new chart it is {}, and the old one carried over {}",
                tuple(&case.mean),
                case.covariance,
                tuple(&there),
                tuple(&carried),
            )
        })
    })
}

fn equivariant(id: &'static str, role: Role, hypothesis: &'static str, real: World) -> Check {
    // either metric has its own way to be off by a little
    let defect = match real.metric {
        Metric::Information => Planted {
            what: "rotations with the second axis stretched by 1/64",
            size: 1.0 / 64.0,
            world: World {
                maps: Maps::Orthogonal { of_128: 2 },
                ..real
            },
        },
        Metric::Noise { .. } => Planted {
            what: "a metric that is 1/64 too large in the new chart",
            size: 1.0 / 64.0,
            world: World {
                metric: Metric::Noise { of_128: 2 },
                ..real
            },
        },
    };
    let spec = Spec {
        id,
        role,
        kind: Kind::Exact,
        hypothesis,
        tolerance: 0.0,
        detectable: Size::of(
            "relative error of the metric, or stretch of an axis",
            1.0 / 64.0,
        ),
    };
    let worlds = Worlds {
        real,
        defect,
        truth: Planted {
            what: "one parameter with its sign changed",
            size: 0.0,
            world: World {
                maps: Maps::Signs,
                ..real
            },
        },
    };
    let worlds = worlds.violated_by(move |error| {
        let of_128 = (128.0 * error) as i64;
        match real.metric {
            Metric::Information => World {
                maps: Maps::Orthogonal { of_128 },
                ..real
            },
            Metric::Noise { .. } => World {
                metric: Metric::Noise { of_128 },
                ..real
            },
        }
    });
    Check::new(spec, worlds, examine)
}

/// Independent coordinates with the same mean; the larger variance is `1 + of_128/128` times what `D` says.
struct Coordinates {
    equal: bool,
    of_128: i64,
}

fn examine_amplification(world: &Coordinates, _: &Draw) -> Finding {
    let equal = world.equal;
    let part = Part::new(&[&[Axis::NonZero], &[Axis::Positive; 2]], 4, move |c| {
        (!equal || c[1] == c[2]).then(|| (c[0].clone(), c[1].clone(), c[2].clone()))
    });
    let excess = q(128 + world.of_128, 128);
    search(&[part], |(mean, first, second)| {
        let covariance = Matrix::diagonal(&[first * &excess, second.clone()]);
        let means = [mean.clone(), mean.clone()];
        let v = natural(Metric::Information, &means, &covariance, &q(1, 1));
        // moves in the proportion of the variances
        (&v[0] * second != &v[1] * first).then(|| {
            format!(
                "mu = {}, variances {first} and {second}: it moves by {}",
                tuple(&means),
                tuple(&v)
            )
        })
    })
}

fn amplifies() -> Check {
    let spec = Spec {
        id: "noisiest-most",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "with equal means and independent coordinates, D mu moves them in the proportion of their variances",
        tolerance: 0.0,
        detectable: Size::of("relative error of one variance", 1.0 / 64.0),
    };
    let worlds = Worlds {
        real: Coordinates {
            equal: false,
            of_128: 0,
        },
        defect: Planted {
            what: "one variance that is 1/64 too large",
            size: 1.0 / 64.0,
            world: Coordinates {
                equal: false,
                of_128: 2,
            },
        },
        truth: Planted {
            what: "equal variances",
            size: 0.0,
            world: Coordinates {
                equal: true,
                of_128: 0,
            },
        },
    };
    let worlds = worlds.violated_by(|error| Coordinates {
        equal: false,
        of_128: (128.0 * error) as i64,
    });
    Check::new(spec, worlds, examine_amplification)
}

/// The library's natural gradient in random charts, from a gradient that is `1 + error` times too large in the new one.
struct Charts {
    error: f64,
    reflection: bool,
}

/// The condition numbers of these covariances and Jacobians, below 1e5, times 1e-16 times a few `d`.
const TOLERANCE: f64 = 1e-9;

fn examine_library(world: &Charts, draw: &Draw) -> Finding {
    let generator = &mut draw.seed.generator();
    let mut worst = 0f64;
    let mut cases = 0;
    for d in 1..=8 {
        for _ in 0..10 {
            let z = standard_normals(generator, 2 * d * d + d);
            let jacobian = Mat::from_fn(d, d, |i, j| match (world.reflection, i == j) {
                (true, true) => -1.0,
                (true, false) => 0.0,
                // strong enough a diagonal keeps it far from singular
                (false, same) => z[i * d + j] + if same { 3.0 * (d as f64).sqrt() } else { 0.0 },
            });
            let root = Mat::from_fn(d, d, |i, j| z[d * d + i * d + j]);
            let covariance = &root * root.transpose() + 0.5 * Mat::<f64>::identity(d, d);
            let gradient = &z[2 * d * d..];
            let carried = jacobian.transpose() * &covariance * &jacobian;
            let both = (|| -> fjld_core::Result<(Vec<f64>, Vec<f64>)> {
                let mut there = pull_back(jacobian.as_ref(), gradient)?;
                there.iter_mut().for_each(|g| *g *= 1.0 + world.error);
                Ok((
                    library_gradient(gradient, covariance.as_ref(), LibraryMetric::Noise)?,
                    library_gradient(&there, carried.as_ref(), LibraryMetric::Noise)?,
                ))
            })();
            let Ok((here, there)) = both else {
                return Finding::new(Outcome::Undecided, cases, "the library refused a gradient");
            };
            // v' = J^-1 v, compared as J v' = v
            let length = here.iter().map(|v| v * v).sum::<f64>().sqrt();
            for i in 0..d {
                let back: f64 = (0..d).map(|j| jacobian[(i, j)] * there[j]).sum();
                worst = worse(worst, (back - here[i]).abs() / length);
            }
            cases += 1;
        }
    }
    let summary = format!(
        "the library's natural gradient and the one carried back differ by at most {worst:.1e} of its length over {cases} random charts in 1 to 8 dimensions"
    );
    Finding::of_discrepancy(worst, TOLERANCE, cases, summary)
}

fn library() -> Check {
    let spec = Spec {
        id: "library",
        role: Role::Corrected,
        kind: Kind::Identity,
        hypothesis: "the library's D^-1 g becomes J^-1 D^-1 g in every chart",
        tolerance: TOLERANCE,
        detectable: Size::of("relative error of the gradient in the new chart", 1e-8),
    };
    let charts = |error, reflection| Charts { error, reflection };
    let worlds = Worlds {
        real: charts(0.0, false),
        defect: Planted {
            what: "a gradient that is off by one part in 10^8 in the new chart",
            size: 1e-8,
            world: charts(1e-8, false),
        },
        truth: Planted {
            what: "the reflection J = -1",
            size: 0.0,
            world: charts(0.0, true),
        },
    };
    let worlds = worlds.violated_by(move |error| charts(error, false));
    Check::new(spec, worlds, examine_library)
}
