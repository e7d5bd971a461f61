//! `C > 1` as more than one nat a gradient.

use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, dot, q, squared_norm, tuple};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use num_traits::One;

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "one-nat",
        origin: Origin::Document,
        statement: "Where C exceeds 1, each gradient brings more than one nat.",
        sentence: Some(Sentence {
            section: "3. Information Accumulation",
            line: 101,
            sha256: "12cf4109a149790b6ffdf9226482e06b37061bda6e78dc03c278e88b1607a85b",
            status: "stated",
        }),
        holds_when: Some("the noise is isotropic in two or more dimensions"),
        corrected: Some(
            "A gradient brings (1/2) mu' D^-1 mu >= C/2 nats against the hypothesis of no mean gradient, so C > 2 suffices for more than one nat, and nothing less does in general.",
        ),
        scenarios: &[],
        checks: vec![
            more_than_one_nat(
                "more-than-one-nat",
                Role::AsWritten,
                "C > 1 implies (1/2) mu' D^-1 mu > 1",
                World {
                    threshold: 1,
                    noise: Noise::Any,
                },
            ),
            more_than_one_nat(
                "isotropic",
                Role::HoldsWhen,
                "C > 1 implies (1/2) mu' D^-1 mu > 1 for isotropic noise in two and three dimensions",
                World {
                    threshold: 1,
                    noise: Noise::Isotropic { doubled: false },
                },
            ),
            more_than_one_nat(
                "two-suffices",
                Role::Corrected,
                "C > 2 implies (1/2) mu' D^-1 mu > 1, in one to three dimensions",
                World {
                    threshold: 2,
                    noise: Noise::Any,
                },
            ),
            at_least_half(),
        ],
    }
}

/// Diagonal or correlated noise.
#[derive(Clone, Copy)]
enum Noise {
    /// Diagonal in one to three dimensions, and correlated in two.
    Any,
    /// One variance in two and three dimensions, but the last twice as large when `doubled`.
    Isotropic { doubled: bool },
}

/// Cases with `C` above the threshold must bring more than one nat.
#[derive(Clone, Copy)]
struct World {
    threshold: i64,
    noise: Noise,
}

struct Case {
    mean: Vec<Q>,
    covariance: Matrix,
}

impl Case {
    fn ratio(&self) -> Q {
        squared_norm(&self.mean) / self.covariance.trace()
    }

    fn nats(&self) -> Q {
        let precision = self
            .covariance
            .inverse()
            .expect("only definite noise is decoded");
        dot(&self.mean, &precision.apply(&self.mean)) / q(2, 1)
    }
}

fn parts(noise: Noise) -> Vec<Part<Case>> {
    let diagonal = |d: usize, max_height| {
        let axes: [&[Axis]; 2] = [&vec![Axis::Any; d], &vec![Axis::Positive; d]];
        Part::new(&axes, max_height, move |c| {
            Some(Case {
                mean: c[..d].to_vec(),
                covariance: Matrix::diagonal(&c[d..]),
            })
        })
    };
    let isotropic = |d: usize, doubled: bool| {
        Part::new(&[&vec![Axis::Any; d], &[Axis::Positive]], 3, move |c| {
            let mut variances = vec![c[d].clone(); d];
            if doubled {
                variances[d - 1] *= q(2, 1);
            }
            Some(Case {
                mean: c[..d].to_vec(),
                covariance: Matrix::diagonal(&variances),
            })
        })
    };
    match noise {
        Noise::Any => {
            let covariance: &[Axis] = &[Axis::Positive, Axis::Any, Axis::Positive];
            let correlated = Part::new(&[&[Axis::Any; 2], covariance], 2, |c| {
                let covariance = Matrix::symmetric(2, &c[2..5]);
                covariance.is_positive_definite().then(|| Case {
                    mean: c[..2].to_vec(),
                    covariance,
                })
            });
            vec![diagonal(1, 5), diagonal(2, 3), correlated, diagonal(3, 2)]
        }
        Noise::Isotropic { doubled } => vec![isotropic(2, doubled), isotropic(3, doubled)],
    }
}

fn examine(world: &World, _: &Draw) -> Finding {
    search(&parts(world.noise), |case| {
        let (c, nats) = (case.ratio(), case.nats());
        (c > q(world.threshold, 1) && nats <= Q::one()).then(|| {
            format!(
                "d = {}, mu = {}, D = {}: C = {c}, but (1/2) mu' D^-1 mu = {nats} nat",
                case.mean.len(),
                tuple(&case.mean),
                case.covariance
            )
        })
    })
}

fn more_than_one_nat(id: &'static str, role: Role, hypothesis: &'static str, real: World) -> Check {
    let spec = Spec {
        id,
        role,
        kind: Kind::Exact,
        hypothesis,
        tolerance: 0.0,
        detectable: Size::of("excess of one variance over the others, relative", 1.0),
    };
    let world = |doubled| World {
        threshold: 1,
        noise: Noise::Isotropic { doubled },
    };
    let worlds = Worlds {
        real,
        defect: Planted {
            what: "a threshold of 1 with one variance twice as large as the others",
            size: 1.0,
            world: world(true),
        },
        truth: Planted {
            what: "a threshold of 1 with isotropic noise in two and three dimensions",
            size: 0.0,
            world: world(false),
        },
    };
    Check::new(spec, worlds, examine)
}

/// The squared length is multiplied by `1 - sixty_fourths/64`.
struct Half {
    sixty_fourths: i64,
    noise: Noise,
}

fn examine_half(world: &Half, _: &Draw) -> Finding {
    let factor = q(64 - world.sixty_fourths, 64);
    search(&parts(world.noise), |case| {
        let (half, nats) = (case.ratio() / q(2, 1), case.nats() * &factor);
        (nats < half).then(|| {
            format!(
                "mu = {}, D = {}: (1/2) mu' D^-1 mu = {nats} < C/2 = {half}",
                tuple(&case.mean),
                case.covariance
            )
        })
    })
}

fn at_least_half() -> Check {
    let spec = Spec {
        id: "at-least-half",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "(1/2) mu' D^-1 mu >= C/2 for every mu and definite D",
        tolerance: 0.0,
        detectable: Size::of("relative shortfall of the squared length", 1.0 / 64.0),
    };
    let half = |sixty_fourths, noise| Half {
        sixty_fourths,
        noise,
    };
    let worlds = Worlds {
        real: half(0, Noise::Any),
        defect: Planted {
            what: "a squared length that is 1/64 too small",
            size: 1.0 / 64.0,
            world: half(1, Noise::Any),
        },
        truth: Planted {
            what: "isotropic noise",
            size: 0.0,
            world: half(0, Noise::Isotropic { doubled: false }),
        },
    };
    Check::new(spec, worlds, examine_half)
}
