//! `C` as the expected information of a gradient.

use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, dot, q, squared_norm, tuple};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{
    Check, Draw, Finding, Kind, Outcome, Planted, Role, Size, Spec, Worlds, worse,
};
use faer::linalg::solvers::DenseSolveCore;
use faer::{Mat, Side};
use fjld_core::information::expected_gain;
use fjld_core::rng::standard_normals;
use num_traits::{One, Zero};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "kl-information",
        origin: Origin::Document,
        statement: "C approximates the expected Kullback-Leibler divergence that one gradient observation brings, in nats.",
        sentence: Some(Sentence {
            section: "3. Information Accumulation",
            line: 98,
            sha256: "0510390de8bb1868bd73e3f21f64c2a92548e83c33deefa6dad62cd0d51cecc7",
            status: "stated",
        }),
        holds_when: Some(
            "the noise is isotropic in exactly two dimensions, and the divergence is that of N(mu, D) from N(0, D)",
        ),
        corrected: Some(
            "KL(N(mu, D) || N(0, D)) = (1/2) mu' D^-1 mu, which is (d/2) C when the noise is isotropic. Averaged over a conjugate prior the gain is (1/2) log det(1 + tau^2 D^-1), which does not contain mu at all.",
        ),
        scenarios: &[],
        checks: vec![
            approximates("from-no-mean", Role::AsWritten, Noise::Any),
            approximates_prior_gain(),
            approximates("two-dimensions", Role::HoldsWhen, PLANE),
            half_the_squared_length(),
            isotropic(),
            prior_gain(),
        ],
    }
}

/// What "approximates" is taken to allow, relative: one part in ten.
const TOLERANCE: (i64, i64) = (1, 10);

/// Diagonal noise.
#[derive(Clone, Copy)]
enum Noise {
    /// In one to three dimensions, every variance its own.
    Any,
    /// In `dimensions`, all variances equal but the last, which is `1 + quarters/4` times as large.
    Isotropic { dimensions: usize, quarters: i64 },
}

const PLANE: Noise = Noise::Isotropic {
    dimensions: 2,
    quarters: 0,
};

struct Case {
    mean: Vec<Q>,
    covariance: Matrix,
}

impl Case {
    fn ratio(&self) -> Q {
        squared_norm(&self.mean) / self.covariance.trace()
    }

    /// `E_p[log p - log q]` for `p = N(mu, D)` and `q = N(0, D)`: with `E g'D^-1 g = Tr(D^-1 (D + mu mu'))` the logarithms of the
    /// determinants cancel and `(1/2)(E g'D^-1 g - d)` is left.
    fn divergence(&self) -> Q {
        let d = self.mean.len();
        let second_moment = Matrix::from_fn(d, d, |i, j| {
            &self.covariance.0[i][j] + &self.mean[i] * &self.mean[j]
        });
        let precision = self
            .covariance
            .inverse()
            .expect("only definite noise is decoded");
        (precision.times(&second_moment).trace() - q(d as i64, 1)) / q(2, 1)
    }
}

fn part(d: usize, max_height: u64, noise: Noise) -> Part<Case> {
    let variances = match noise {
        Noise::Any => d,
        Noise::Isotropic { .. } => 1,
    };
    let axes: [&[Axis]; 2] = [&vec![Axis::Any; d], &vec![Axis::Positive; variances]];
    Part::new(&axes, max_height, move |c| {
        let mut variances = c[d..].to_vec();
        if let Noise::Isotropic { quarters, .. } = noise {
            variances.resize(d, c[d].clone());
            variances[d - 1] *= q(4 + quarters, 4);
        }
        (!squared_norm(&c[..d]).is_zero()).then(|| Case {
            mean: c[..d].to_vec(),
            covariance: Matrix::diagonal(&variances),
        })
    })
}

fn parts(noise: Noise) -> Vec<Part<Case>> {
    match noise {
        Noise::Any => vec![part(1, 4, noise), part(2, 3, noise), part(3, 2, noise)],
        Noise::Isotropic { dimensions, .. } => vec![part(dimensions, 3, noise)],
    }
}

fn differ(a: &Q, b: &Q) -> bool {
    let tolerance = q(TOLERANCE.0, TOLERANCE.1);
    (a - b) * (a - b) > &tolerance * &tolerance * b * b
}

fn examine_approximates(noise: &Noise, _: &Draw) -> Finding {
    search(&parts(*noise), |case| {
        let (c, kl) = (case.ratio(), case.divergence());
        differ(&c, &kl).then(|| {
            format!(
                "d = {}, mu = {}, D = {}: C = {c}, KL = {kl} nats",
                case.mean.len(),
                tuple(&case.mean),
                case.covariance
            )
        })
    })
}

fn approximates(id: &'static str, role: Role, real: Noise) -> Check {
    let spec = Spec {
        id,
        role,
        kind: Kind::Exact,
        hypothesis: "C is within a tenth of KL(N(mu, D) || N(0, D))",
        tolerance: 0.1,
        detectable: Size::of("excess of one variance over the other, relative", 0.25),
    };
    let worlds = Worlds {
        real,
        defect: Planted {
            what: "two dimensions with one variance a quarter too large, which moves C by a ninth against KL",
            size: 0.25,
            world: Noise::Isotropic {
                dimensions: 2,
                quarters: 1,
            },
        },
        truth: Planted {
            what: "isotropic noise in two dimensions",
            size: 0.0,
            world: PLANE,
        },
    };
    Check::new(spec, worlds, examine_approximates)
}

/// How the second of two means compares with the first.
enum SecondMean {
    /// Any.
    Any,
    /// The first with its sign changed, times `1 + quarters/4`.
    Mirrored { quarters: i64 },
}

fn examine_prior_gain(world: &SecondMean, _: &Draw) -> Finding {
    let quarters = match world {
        SecondMean::Any => None,
        SecondMean::Mirrored { quarters } => Some(*quarters),
    };
    let part = Part::new(
        &[&[Axis::NonZero, Axis::NonZero, Axis::Positive]],
        3,
        move |c| {
            let second = match quarters {
                None => c[1].clone(),
                Some(quarters) => -&c[0] * q(4 + quarters, 4),
            };
            Some((c[0].clone(), second, c[2].clone()))
        },
    );
    search(&[part], |(first, second, variance)| {
        // the gain is one number, whatever mu is; with C within a tenth of it at both means, their quotient is at most 11/9
        let (a, b) = (first * first / variance, second * second / variance);
        let (one, t) = (Q::one(), q(TOLERANCE.0, TOLERANCE.1));
        let widest = (&one + &t) / (one - t);
        (a > &widest * &b || b > &widest * &a).then(|| {
            format!(
                "d = 1, D = {variance}: the gain (1/2) log(1 + tau^2/D) is the same at mu = {first} and mu = {second}, but C is {a} and {b}"
            )
        })
    })
}

fn approximates_prior_gain() -> Check {
    let spec = Spec {
        id: "prior-average",
        role: Role::AsWritten,
        kind: Kind::Exact,
        hypothesis: "C is within a tenth of the expected gain under a conjugate prior, at any two means with the same noise",
        tolerance: 0.1,
        detectable: Size::of("excess of one mean over the other, relative", 0.25),
    };
    let worlds = Worlds {
        real: SecondMean::Any,
        defect: Planted {
            what: "a second mean that is a quarter larger",
            size: 0.25,
            world: SecondMean::Mirrored { quarters: 1 },
        },
        truth: Planted {
            what: "means that differ in sign only",
            size: 0.0,
            world: SecondMean::Mirrored { quarters: 0 },
        },
    };
    Check::new(spec, worlds, examine_prior_gain)
}

/// The squared length is multiplied by `1 + sixty_fourths/64`; with correlated noise, or one coordinate only.
struct Length {
    sixty_fourths: i64,
    correlated: bool,
}

fn examine_length(world: &Length, _: &Draw) -> Finding {
    let covariance: &[Axis] = &[Axis::Positive, Axis::Any, Axis::Positive];
    let correlated = Part::new(&[&[Axis::Any; 2], covariance], 3, |c| {
        let covariance = Matrix::symmetric(2, &c[2..5]);
        covariance.is_positive_definite().then(|| Case {
            mean: c[..2].to_vec(),
            covariance,
        })
    });
    let parts = if world.correlated {
        vec![part(1, 4, Noise::Any), correlated]
    } else {
        vec![part(1, 4, Noise::Any)]
    };
    let factor = q(64 + world.sixty_fourths, 64);
    search(&parts, |case| {
        let precision = case
            .covariance
            .inverse()
            .expect("only definite noise is decoded");
        let half = dot(&case.mean, &precision.apply(&case.mean)) * &factor / q(2, 1);
        let kl = case.divergence();
        (half != kl).then(|| {
            format!(
                "mu = {}, D = {}: half the squared length is {half}, KL = {kl}",
                tuple(&case.mean),
                case.covariance
            )
        })
    })
}

fn half_the_squared_length() -> Check {
    let spec = Spec {
        id: "half-squared-length",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "E_p[log p - log q] by Gaussian moments is (1/2) mu' D^-1 mu",
        tolerance: 0.0,
        detectable: Size::of("relative error of the squared length", 1.0 / 64.0),
    };
    let length = |sixty_fourths, correlated| Length {
        sixty_fourths,
        correlated,
    };
    let worlds = Worlds {
        real: length(0, true),
        defect: Planted {
            what: "a squared length that is 1/64 too large",
            size: 1.0 / 64.0,
            world: length(1, true),
        },
        truth: Planted {
            what: "one dimension",
            size: 0.0,
            world: length(0, false),
        },
    };
    Check::new(spec, worlds, examine_length)
}

/// Isotropic noise in one to three dimensions, or in the plane, with the last variance `1 + quarters/4` times as large.
struct Sphere {
    dimensions: &'static [usize],
    quarters: i64,
}

fn examine_isotropic(world: &Sphere, _: &Draw) -> Finding {
    let quarters = world.quarters;
    let parts: Vec<Part<Case>> = world
        .dimensions
        .iter()
        .map(|&dimensions| {
            let noise = Noise::Isotropic {
                dimensions,
                quarters,
            };
            part(dimensions, 2, noise)
        })
        .collect();
    search(&parts, |case| {
        let expected = case.ratio() * q(case.mean.len() as i64, 2);
        let kl = case.divergence();
        (expected != kl).then(|| {
            format!(
                "mu = {}, D = {}: (d/2) C = {expected}, KL = {kl}",
                tuple(&case.mean),
                case.covariance
            )
        })
    })
}

fn isotropic() -> Check {
    let spec = Spec {
        id: "isotropic",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "with isotropic noise KL = (d/2) C, in one to three dimensions",
        tolerance: 0.0,
        detectable: Size::of("excess of one variance over the others, relative", 0.25),
    };
    let worlds = Worlds {
        real: Sphere {
            dimensions: &[1, 2, 3],
            quarters: 0,
        },
        defect: Planted {
            what: "one variance a quarter too large",
            size: 0.25,
            world: Sphere {
                dimensions: &[2, 3],
                quarters: 1,
            },
        },
        truth: Planted {
            what: "one dimension",
            size: 0.0,
            world: Sphere {
                dimensions: &[1],
                quarters: 0,
            },
        },
    };
    Check::new(spec, worlds, examine_isotropic)
}

/// The prior's variance is multiplied by `1 + error` for the library only; the noise is diagonal, or not.
struct Prior {
    error: f64,
    diagonal: bool,
}

/// Conditions up to 1e4 times a few `d eps`.
const GAIN_TOLERANCE: f64 = 1e-10;

/// `E KL(posterior || prior)` by the moments of Gaussians: with `theta ~ N(0, p 1)` and `g ~ N(theta, D)` the posterior is `N(W g, P)`,
/// `P = (D^-1 + 1/p)^-1`, `W = P D^-1`, and `g ~ N(0, p 1 + D)` on average.
fn average_gain(covariance: &Mat<f64>, prior: f64) -> Option<f64> {
    let d = covariance.nrows();
    let invert = |m: &Mat<f64>| m.llt(Side::Lower).ok().map(|f| f.inverse());
    let precision = invert(covariance)?;
    let identity = Mat::<f64>::identity(d, d);
    let posterior = invert(&(&precision + (1.0 / prior) * &identity))?;
    let weight = &posterior * &precision;
    let spread = &weight * (covariance + prior * &identity) * weight.transpose();
    let trace = |m: &Mat<f64>| (0..d).map(|i| m[(i, i)]).sum::<f64>();
    let log_determinant = posterior.determinant().ln();
    let squares = (trace(&posterior) + trace(&spread)) / prior;
    Some(0.5 * (squares - d as f64 - log_determinant + d as f64 * prior.ln()))
}

fn examine_gain(world: &Prior, draw: &Draw) -> Finding {
    let generator = &mut draw.seed.generator();
    let mut worst = 0f64;
    let mut cases = 0;
    for d in 1..=6 {
        for _ in 0..10 {
            let z = standard_normals(generator, d * d + 1);
            let covariance = Mat::from_fn(d, d, |i, j| {
                let product: f64 = (0..d).map(|k| z[i * d + k] * z[j * d + k]).sum();
                match (i == j, world.diagonal) {
                    (true, _) => 0.1 + product,
                    (false, true) => 0.0,
                    (false, false) => product,
                }
            });
            let prior = z[d * d].exp();
            let tau = (prior * (1.0 + world.error)).sqrt();
            let (Ok(gain), Some(average)) = (
                expected_gain(covariance.as_ref(), tau),
                average_gain(&covariance, prior),
            ) else {
                return Finding::new(Outcome::Undecided, cases, "a covariance was singular");
            };
            worst = worse(worst, (gain / average - 1.0).abs());
            cases += 1;
        }
    }
    let compared = "the library's gain and the average divergence of posterior from prior, in 1 to 6 dimensions";
    Finding::of_identity(worst, GAIN_TOLERANCE, cases, compared)
}

fn prior_gain() -> Check {
    let spec = Spec {
        id: "prior-gain",
        role: Role::Corrected,
        kind: Kind::Identity,
        hypothesis: "(1/2) log det(1 + tau^2 D^-1) is the divergence of posterior from prior, averaged over theta and g",
        tolerance: GAIN_TOLERANCE,
        detectable: Size::of("relative error of the prior variance", 1e-8),
    };
    let worlds = Worlds {
        real: Prior {
            error: 0.0,
            diagonal: false,
        },
        defect: Planted {
            what: "a prior variance that is off by one part in 10^8",
            size: 1e-8,
            world: Prior {
                error: 1e-8,
                diagonal: false,
            },
        },
        truth: Planted {
            what: "diagonal noise",
            size: 0.0,
            world: Prior {
                error: 0.0,
                diagonal: true,
            },
        },
    };
    Check::new(spec, worlds, examine_gain)
}
