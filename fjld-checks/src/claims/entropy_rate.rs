//! The rate of the gradient entropy, and its sign.

use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, q};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{
    Check, Draw, Finding, Kind, Outcome, Planted, Role, Size, Spec, Worlds, worse,
};
use faer::Mat;
use fjld_core::information::{entropy_rate, gaussian_entropy};
use fjld_core::rng::standard_normals;

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "entropy-rate",
        origin: Origin::Document,
        statement: "The entropy of Gaussian gradients changes at the rate -(1/2) Tr(D^-1 dD/dt).",
        sentence: Some(Sentence {
            section: "4. Maximum Entropy Production",
            line: 109,
            sha256: "963fbae870d18c60d1d4db7a04e7ac2c2c3ab2312111a597439d9a7bfc23b14b",
            status: "stated",
        }),
        holds_when: Some("the symbol D stands for the precision (the inverse covariance)"),
        corrected: Some("dH/dt = +(1/2) Tr(D^-1 dD/dt): entropy grows with the noise."),
        scenarios: &[],
        checks: vec![
            rate(
                "minus-sign",
                Role::AsWritten,
                "with D the covariance, dH/dt = -(1/2) Tr(D^-1 dD/dt)",
                Symbol::Covariance,
                -1,
            ),
            rate(
                "precision",
                Role::HoldsWhen,
                "with D the precision, dH/dt = -(1/2) Tr(D^-1 dD/dt)",
                Symbol::Precision,
                -1,
            ),
            rate(
                "plus-sign",
                Role::Corrected,
                "with D the covariance, dH/dt = +(1/2) Tr(D^-1 dD/dt)",
                Symbol::Covariance,
                1,
            ),
            library(),
        ],
    }
}

/// What the symbol `D` stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Symbol {
    Covariance,
    Precision,
}

/// A formula `sign (1/2) Tr(D^-1 dD/dt) (1 + of_128/128)` for the rate.
struct World {
    symbol: Symbol,
    sign: i64,
    of_128: i64,
}

struct Case {
    matrix: Matrix,
    derivative: Matrix,
}

impl Case {
    /// Exactly `(d/dt log det(D + t D'))` at `t = 0`: the determinant of a `d` by `d` matrix is a polynomial of degree `d` in `t`, and its
    /// slope follows from its values at `0, 1, -1, ...` without using Jacobi's formula, which is what is being judged.
    fn log_determinant_slope(&self) -> Q {
        let at = |t: Q| self.matrix.plus(&t, &self.derivative).determinant();
        let d = self.matrix.rows();
        let value = at(q(0, 1));
        // the slope at 0 of the polynomial through the nodes -1, 0, 1, (2): exact up to degree 3
        let slope = match d {
            1 => at(q(1, 1)) - &value,
            2 => (at(q(1, 1)) - at(q(-1, 1))) / q(2, 1),
            3 => {
                (q(-2, 1) * at(q(-1, 1)) - q(3, 1) * &value + q(6, 1) * at(q(1, 1)) - at(q(2, 1)))
                    / q(6, 1)
            }
            _ => unreachable!("cases have at most three dimensions"),
        };
        slope / value
    }
}

fn parts() -> Vec<Part<Case>> {
    let case = |matrix: Matrix, derivative: Matrix| {
        matrix
            .is_positive_definite()
            .then_some(Case { matrix, derivative })
    };
    let one = Part::new(&[&[Axis::Positive, Axis::Any]], 4, move |c| {
        case(Matrix::diagonal(&c[..1]), Matrix::diagonal(&c[1..]))
    });
    let definite: &[Axis] = &[Axis::Positive, Axis::Any, Axis::Positive];
    let two = Part::new(&[definite, &[Axis::Any; 3]], 2, move |c| {
        case(Matrix::symmetric(2, &c[..3]), Matrix::symmetric(2, &c[3..]))
    });
    let three = Part::new(&[&[Axis::Positive; 3], &[Axis::Any; 6]], 1, move |c| {
        case(Matrix::diagonal(&c[..3]), Matrix::symmetric(3, &c[3..]))
    });
    vec![one, two, three]
}

fn examine(world: &World, _: &Draw) -> Finding {
    search(&parts(), |case| {
        // H = (1/2) log det(2 pi e D) for a covariance; for a precision the logarithm changes sign
        let slope = case.log_determinant_slope() / q(2, 1);
        let rate = match world.symbol {
            Symbol::Covariance => slope,
            Symbol::Precision => -slope,
        };
        let inverse = case
            .matrix
            .inverse()
            .expect("only definite matrices are decoded");
        let formula =
            inverse.times(&case.derivative).trace() * q(world.sign * (128 + world.of_128), 2 * 128);
        (rate != formula).then(|| {
            format!(
                "D = {}, dD/dt = {}: dH/dt = {rate}, the formula gives {formula}",
                case.matrix, case.derivative
            )
        })
    })
}

fn rate(
    id: &'static str,
    role: Role,
    hypothesis: &'static str,
    symbol: Symbol,
    sign: i64,
) -> Check {
    let spec = Spec {
        id,
        role,
        kind: Kind::Exact,
        hypothesis,
        tolerance: 0.0,
        detectable: Size::of("relative error of the rate", 1.0 / 64.0),
    };
    let world = |symbol, sign, of_128| World {
        symbol,
        sign,
        of_128,
    };
    // the other reading, in which the formula's sign is right
    let right = if sign < 0 {
        Symbol::Precision
    } else {
        Symbol::Covariance
    };
    let worlds = Worlds {
        real: world(symbol, sign, 0),
        defect: Planted {
            what: "the right sign for what D stands for, but a rate that is 1/64 too large",
            size: 1.0 / 64.0,
            world: world(right, sign, 2),
        },
        truth: Planted {
            what: "the right sign for what D stands for",
            size: 0.0,
            world: world(right, sign, 0),
        },
    };
    let worlds = worlds.violated_by(move |error| world(right, sign, (128.0 * error) as i64));
    Check::new(spec, worlds, examine)
}

/// The library's rate is multiplied by `1 + error`; the covariance is diagonal, or not.
struct Library {
    error: f64,
    diagonal: bool,
}

/// A central difference of step `h` errs by `h^2` and by `eps |H| / h`: 1e-9 for `h = 1e-5`.
const STEP: f64 = 1e-5;

/// Ten times that, as rates here reach 0.1 only seldom.
const LIBRARY_TOLERANCE: f64 = 1e-7;

fn examine_library(world: &Library, draw: &Draw) -> Finding {
    let generator = &mut draw.seed.generator();
    let mut worst = 0f64;
    let mut cases = 0;
    for d in 1..=6 {
        for _ in 0..10 {
            let z = standard_normals(generator, 3 * d * d);
            let entry = |i: usize, j: usize| {
                let off = z[i.max(j) * d + i.min(j)] * 0.3 / d as f64;
                if i == j {
                    1.0 + z[d * d + i].abs()
                } else if world.diagonal {
                    0.0
                } else {
                    off
                }
            };
            // a derivative along D itself plus a smaller symmetric part keeps the rate away from zero
            let change = |i: usize, j: usize| {
                let other = z[2 * d * d + i.max(j) * d + i.min(j)];
                entry(i, j) + 0.1 * other / d as f64
            };
            let at = |t: f64| Mat::from_fn(d, d, |i, j| entry(i, j) + t * change(i, j));
            let derivative = Mat::from_fn(d, d, change);
            let (Ok(rate), Ok(after), Ok(before)) = (
                entropy_rate(at(0.0).as_ref(), derivative.as_ref()),
                gaussian_entropy(at(STEP).as_ref()),
                gaussian_entropy(at(-STEP).as_ref()),
            ) else {
                return Finding::new(
                    Outcome::Undecided,
                    cases,
                    "the library refused a covariance",
                );
            };
            let slope = (after - before) / (2.0 * STEP);
            worst = worse(worst, (rate * (1.0 + world.error) / slope - 1.0).abs());
            cases += 1;
        }
    }
    let compared = "the library's rate and the slope of its entropy, in 1 to 6 dimensions";
    Finding::of_identity(worst, LIBRARY_TOLERANCE, cases, compared)
}

fn library() -> Check {
    let spec = Spec {
        id: "library",
        role: Role::Corrected,
        kind: Kind::Identity,
        hypothesis: "the library's entropy rate is the slope of the library's entropy",
        tolerance: LIBRARY_TOLERANCE,
        detectable: Size::of("relative error of the rate", 1e-6),
    };
    let worlds = Worlds {
        real: Library {
            error: 0.0,
            diagonal: false,
        },
        defect: Planted {
            what: "a rate that is off by one part in 10^6",
            size: 1e-6,
            world: Library {
                error: 1e-6,
                diagonal: false,
            },
        },
        truth: Planted {
            what: "diagonal covariances",
            size: 0.0,
            world: Library {
                error: 0.0,
                diagonal: true,
            },
        },
    };
    let worlds = worlds.violated_by(|error| Library {
        error,
        diagonal: false,
    });
    Check::new(spec, worlds, examine_library)
}
