//! The Jeffreys density as `1/sqrt(det D)`.

use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, power, q};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Outcome, Planted, Role, Size, Spec, Worlds};
use fjld_core::geometry::log_jeffreys_diagonal;
use num_traits::{One, Zero};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "jeffreys-density",
        origin: Origin::Document,
        statement: "Granted the line before it, I = D^-1, the Jeffreys density sqrt(det I) is 1/sqrt(det D).",
        sentence: Some(Sentence {
            section: "Fisher-Jeffreys Connection",
            line: 41,
            sha256: "9a556d0a860af089f3ba9d8c6060ab6b3fd0d83d12ff9045df1b7f2ac7031588",
            status: "theorem",
        }),
        holds_when: None,
        corrected: Some(
            "What is granted holds for the mean gradient as parameter and constant noise (fisher-is-inverse-covariance). In the parameters of a loss with Hessian H and constant noise the Jeffreys density is |det H| / sqrt(det D). It needs logarithms: over 200 parameters whose variances are a factor of two or more away from 1, all in one direction, the product in single precision is 0 or infinite, while the logarithm is not. Where a softmax makes D singular there is no density.",
        ),
        scenarios: &[],
        checks: vec![
            density("granted", Role::AsWritten, Curvature::Granted),
            density("curved-loss", Role::Corrected, Curvature::Any),
            leaves_single_precision(),
            softmax_is_singular(),
        ],
    }
}

/// The Hessian `H` in `I = H D^-1 H`.
#[derive(Clone, Copy)]
enum Curvature {
    /// 1, that is, `I = D^-1`.
    Granted,
    /// Any symmetric one.
    Any,
    /// `1 + sixty_fourths/64` on the information's side, 1 on the other.
    Off { sixty_fourths: i64 },
    /// 1, with one parameter.
    One,
}

struct Case {
    hessian: Matrix,
    covariance: Matrix,
}

fn parts(curvature: Curvature) -> Vec<Part<Case>> {
    let case = |hessian: Matrix, covariance: Matrix| {
        covariance.is_positive_definite().then_some(Case {
            hessian,
            covariance,
        })
    };
    let line = Part::new(&[&[Axis::Positive]], 6, move |c| {
        case(Matrix::identity(1), Matrix::diagonal(c))
    });
    let definite: &[Axis] = &[Axis::Positive, Axis::Any, Axis::Positive];
    match curvature {
        Curvature::One => vec![line],
        Curvature::Any => {
            let plane = Part::new(&[&[Axis::Any; 3], definite], 2, move |c| {
                case(Matrix::symmetric(2, &c[..3]), Matrix::symmetric(2, &c[3..]))
            });
            vec![line, plane]
        }
        Curvature::Granted | Curvature::Off { .. } => {
            let plane = Part::new(&[definite], 4, move |c| {
                case(Matrix::identity(2), Matrix::symmetric(2, c))
            });
            let space = Part::new(&[&[Axis::Positive; 3], &[Axis::Any; 3]], 2, move |c| {
                // lower triangle by rows, the diagonal first among the coordinates
                let entries = [0, 3, 1, 4, 5, 2].map(|k| c[k].clone());
                case(Matrix::identity(3), Matrix::symmetric(3, &entries))
            });
            vec![line, plane, space]
        }
    }
}

fn examine_density(curvature: &Curvature, _: &Draw) -> Finding {
    let stretch = match curvature {
        Curvature::Off { sixty_fourths } => q(64 + sixty_fourths, 64),
        _ => Q::one(),
    };
    search(&parts(*curvature), |case| {
        let precision = case
            .covariance
            .inverse()
            .expect("only definite noise is decoded");
        // both densities squared
        let of_information =
            precision.pulled_back(&case.hessian).determinant() * power(&stretch, 2);
        let of_noise = power(&case.hessian.determinant(), 2) / case.covariance.determinant();
        (of_information != of_noise).then(|| {
            format!(
                "H = {}, D = {}: det I = {of_information}, det(H)^2 / det D = {of_noise}",
                case.hessian, case.covariance
            )
        })
    })
}

fn density(id: &'static str, role: Role, real: Curvature) -> Check {
    let spec = Spec {
        id,
        role,
        kind: Kind::Exact,
        hypothesis: match role {
            Role::Corrected => {
                "sqrt(det I) = |det H| / sqrt(det D) for I = H D^-1 H, compared as squares"
            }
            _ => {
                "sqrt(det I) = 1 / sqrt(det D) for I = D^-1 in one to three dimensions, compared as squares"
            }
        },
        tolerance: 0.0,
        detectable: Size::of("relative error of the Hessian", 1.0 / 64.0),
    };
    let worlds = Worlds {
        real,
        defect: Planted {
            what: "a Hessian that is 1/64 above 1 in the information",
            size: 1.0 / 64.0,
            world: Curvature::Off { sixty_fourths: 1 },
        },
        truth: Planted {
            what: "one parameter",
            size: 0.0,
            world: Curvature::One,
        },
    };
    Check::new(spec, worlds, examine_density)
}

/// Variances all at least, or all at most, a factor of two from 1.
struct Product {
    parameters: usize,
    factors: &'static [f32],
}

fn examine_product(world: &Product, _: &Draw) -> Finding {
    let mut inside = Vec::new();
    let mut logarithms_lost = 0;
    for &variance in world.factors {
        let variances = vec![variance; world.parameters];
        // as printed: one over the square root of the product, in single precision
        let printed = variances.iter().product::<f32>().sqrt().recip();
        if printed.is_finite() && printed > 0.0 {
            inside.push(format!("{printed:e} at variance {variance}"));
        }
        let doubles: Vec<f64> = variances.iter().map(|&v| f64::from(v)).collect();
        let expected = -0.5 * world.parameters as f64 * f64::from(variance).ln();
        // a sum of a few hundred logarithms errs by as many roundings
        let kept =
            log_jeffreys_diagonal(&doubles).is_ok_and(|log| (log / expected - 1.0).abs() < 1e-12);
        logarithms_lost += usize::from(!kept);
    }
    let outcome = if inside.is_empty() && logarithms_lost == 0 {
        Outcome::Holds
    } else {
        Outcome::Violated
    };
    let summary = format!(
        "of {} products over {} parameters in single precision {} stayed finite and positive, and {logarithms_lost} logarithms were lost",
        world.factors.len(),
        world.parameters,
        inside.len(),
    );
    Finding::new(outcome, world.factors.len() as u64, summary)
}

fn leaves_single_precision() -> Check {
    let spec = Spec {
        id: "single-precision",
        role: Role::Corrected,
        kind: Kind::Identity,
        hypothesis: "the printed product is 0 or infinite in f32 over 200 parameters, while the library's logarithm is exact to rounding",
        tolerance: 1e-12,
        detectable: Size::of("parameters too few to leave the range of f32", 100.0),
    };
    let worlds = Worlds {
        real: Product {
            parameters: 200,
            factors: &[1e-10, 1e-4, 0.01, 0.1, 0.5, 2.0, 10.0, 1e3],
        },
        defect: Planted {
            what: "100 parameters, whose product single precision still holds",
            size: 100.0,
            world: Product {
                parameters: 100,
                factors: &[0.5, 2.0],
            },
        },
        truth: Planted {
            what: "variances at the floor of the document's listing, 1e-10",
            size: 0.0,
            world: Product {
                parameters: 200,
                factors: &[1e-10],
            },
        },
    };
    Check::new(spec, worlds, examine_product)
}

/// Labels of any shares, or even ones; and a share of `lone_sixty_fourths/64` of gradients that pull the first class alone.
struct Labels {
    lone_sixty_fourths: i64,
    even: bool,
}

/// The gradient of the loss by the biases of a softmax layer is `p - e_y`: predicted shares less the label. With the shares `p` fixed
/// its covariance comes from the labels.
fn examine_softmax(world: &Labels, _: &Draw) -> Finding {
    let even = world.even;
    let mut parts = Vec::new();
    for classes in [2, 3] {
        let weights: &[Axis] = if even {
            &[]
        } else {
            &vec![Axis::Positive; classes]
        };
        parts.push(Part::new(
            &[&vec![Axis::Positive; classes], weights],
            if classes == 2 { 3 } else { 2 },
            move |c| {
                let share = |weights: &[Q]| -> Vec<Q> {
                    let total: Q = weights.iter().sum();
                    weights.iter().map(|w| w / &total).collect()
                };
                let predicted = share(&c[..classes]);
                let labels = if even {
                    share(&vec![Q::one(); classes])
                } else {
                    share(&c[classes..])
                };
                Some((predicted, labels))
            },
        ));
    }
    let lone = q(world.lone_sixty_fourths, 64);
    search(&parts, |(predicted, labels)| {
        let classes = predicted.len();
        // every gradient with its probability
        let gradient = |y: usize| -> Vec<Q> {
            let label = |k| if k == y { Q::one() } else { Q::zero() };
            (0..classes).map(|k| &predicted[k] - label(k)).collect()
        };
        let mut law: Vec<(Q, Vec<Q>)> = labels
            .iter()
            .enumerate()
            .map(|(y, share)| (share * (Q::one() - &lone), gradient(y)))
            .collect();
        let mut pull = vec![Q::zero(); classes];
        pull[0] = Q::one();
        law.push((lone.clone(), pull));
        let covariance = covariance(&law, classes);
        let determinant = covariance.determinant();
        (!determinant.is_zero()).then(|| format!("D = {covariance}: det D = {determinant}"))
    })
}

fn covariance(law: &[(Q, Vec<Q>)], d: usize) -> Matrix {
    let mean: Vec<Q> = (0..d)
        .map(|k| law.iter().map(|(p, g)| p * &g[k]).sum())
        .collect();
    Matrix::from_fn(d, d, |i, j| {
        law.iter()
            .map(|(p, g)| p * (&g[i] - &mean[i]) * (&g[j] - &mean[j]))
            .sum()
    })
}

fn softmax_is_singular() -> Check {
    let spec = Spec {
        id: "softmax",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "the covariance of the gradients by the biases of a softmax over two and three classes has determinant 0",
        tolerance: 0.0,
        detectable: Size::of("share of gradients that pull one class alone", 1.0 / 64.0),
    };
    let labels = |lone_sixty_fourths, even| Labels {
        lone_sixty_fourths,
        even,
    };
    let worlds = Worlds {
        real: labels(0, false),
        defect: Planted {
            what: "one gradient in 64 that pulls the first class alone, which no softmax gives",
            size: 1.0 / 64.0,
            world: labels(1, false),
        },
        truth: Planted {
            what: "labels spread evenly",
            size: 0.0,
            world: labels(0, true),
        },
    };
    Check::new(spec, worlds, examine_softmax)
}
