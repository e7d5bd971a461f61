//! When the diagonal of the noise covariance will do.

use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, q, squared_norm, tuple};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Outcome, Planted, Role, Size, Spec, Worlds};
use faer::Side;
use fjld_core::rng::standard_normals;
use fjld_core::{FullMoments, Moments};
use num_traits::Zero;

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "diagonal-for-ratio",
        origin: Origin::Document,
        statement: "The diagonal may stand in for the noise covariance in C where the noise is nearly isotropic, which the condition number has to confirm first.",
        sentence: Some(Sentence {
            section: "Verification Checklist",
            line: 233,
            sha256: "9a7c5de1e5cd7b294d20b860d9666fc6f298e30443502e9891277171bb57a9e0",
            status: "stated",
        }),
        holds_when: Some(
            "the determinant in the Jeffreys density is meant instead of C, and all coordinates have the same variance",
        ),
        corrected: Some(
            "C takes the trace of D and nothing else, so the diagonal is exact for it whatever the condition number. It matters for the determinant: det D <= prod D_ii, for positive definite D with equality exactly when D is diagonal; and with n <= d samples the sample determinant is 0, whatever its diagonal.",
        ),
        scenarios: &[],
        checks: vec![
            condition_decides("condition-decides", Role::AsWritten, Target::Ratio),
            condition_decides(
                "equal-variances",
                Role::HoldsWhen,
                Target::Determinant { stretch: 1 },
            ),
            trace_is_enough(),
            ill_conditioned_samples(),
            hadamard(),
            too_few_samples(),
        ],
    }
}

/// What the diagonal is used for.
#[derive(Clone, Copy)]
enum Target {
    /// `C`, of draws with any covariance.
    Ratio,
    /// `det D`, with the second variance `stretch` times the first.
    Determinant { stretch: i64 },
}

/// From this condition number on nobody calls noise nearly isotropic. The document's own bound for strong coupling is 100 (l. 513).
const FAR_FROM_ISOTROPIC: i64 = 10;

/// Whether a positive definite 2 by 2 matrix has a condition number `k` above `bound`: with `x = k + 1/k`, `Tr^2 / det = x + 2`.
fn is_ill_conditioned(covariance: &Matrix, bound: i64) -> bool {
    let trace = covariance.trace();
    let x = &trace * &trace / covariance.determinant() - q(2, 1);
    x > q(bound * bound + 1, bound)
}

/// Four equally likely gradients `mu +- a`, `mu +- b`, whose covariance is `(a a' + b b') / 2`.
struct FourDraws {
    mean: Vec<Q>,
    arms: [Vec<Q>; 2],
}

impl FourDraws {
    fn covariance(&self) -> Matrix {
        let [a, b] = &self.arms;
        Matrix::from_fn(a.len(), a.len(), |i, j| {
            (&a[i] * &a[j] + &b[i] * &b[j]) / q(2, 1)
        })
    }

    /// `|mu|^2 / E|g - mu|^2`, with no covariance in it.
    fn ratio(&self) -> Q {
        let spread: Q = self.arms.iter().map(|arm| squared_norm(arm)).sum();
        squared_norm(&self.mean) / (spread / q(2, 1))
    }

    /// `|mu|^2 / sum D_ii`.
    fn diagonal_ratio(&self) -> Q {
        let covariance = self.covariance();
        let diagonal: Q = (0..self.mean.len())
            .map(|i| covariance.0[i][i].clone())
            .sum();
        squared_norm(&self.mean) / diagonal
    }

    fn shown(&self) -> String {
        let [a, b] = &self.arms;
        format!(
            "gradients {mean} +- {} and {mean} +- {}, D = {}",
            tuple(a),
            tuple(b),
            self.covariance(),
            mean = tuple(&self.mean)
        )
    }
}

/// Every mean and first arm; the second arm has no first coordinate, which still gives every covariance (Cholesky).
fn four_draws(d: usize, max_height: u64) -> Part<FourDraws> {
    Part::new(&[&vec![Axis::Any; 3 * d - 1]], max_height, move |c| {
        let mut second = vec![Q::zero()];
        second.extend_from_slice(&c[2 * d..]);
        let draws = FourDraws {
            mean: c[..d].to_vec(),
            arms: [c[d..2 * d].to_vec(), second],
        };
        (!squared_norm(&draws.mean).is_zero() && !draws.covariance().trace().is_zero())
            .then_some(draws)
    })
}

fn examine_condition(target: &Target, _: &Draw) -> Finding {
    match *target {
        Target::Ratio => search(&[four_draws(2, 2)], |draws| {
            let covariance = draws.covariance();
            if covariance.determinant().is_zero()
                || !is_ill_conditioned(&covariance, FAR_FROM_ISOTROPIC)
            {
                return None;
            }
            let (whole, diagonal) = (draws.ratio(), draws.diagonal_ratio());
            (whole == diagonal).then(|| {
                format!(
                    "{}, condition number above {FAR_FROM_ISOTROPIC}: |mu|^2 / E|g - mu|^2 = {whole}, and the diagonal gives {diagonal} as well",
                    draws.shown()
                )
            })
        }),
        Target::Determinant { stretch } => {
            let part = Part::new(&[&[Axis::Positive, Axis::Any]], 8, move |c| {
                let covariance =
                    Matrix::symmetric(2, &[c[0].clone(), c[1].clone(), &c[0] * q(stretch, 1)]);
                covariance.is_positive_definite().then_some(covariance)
            });
            search(&[part], |covariance| {
                let exact = covariance.determinant() == covariance.diagonal_product();
                let trace = covariance.trace();
                // condition number 1 is Tr^2 = 4 det
                let isotropic = &trace * &trace == q(4, 1) * covariance.determinant();
                let wrong_alarm = exact && is_ill_conditioned(covariance, FAR_FROM_ISOTROPIC);
                (wrong_alarm || (isotropic && !exact)).then(|| {
                    format!(
                        "D = {covariance}: condition number above {FAR_FROM_ISOTROPIC}, and det D = {} is the product of the diagonal",
                        covariance.determinant()
                    )
                })
            })
        }
    }
}

fn condition_decides(id: &'static str, role: Role, real: Target) -> Check {
    let spec = Spec {
        id,
        role,
        kind: Kind::Exact,
        hypothesis: "the diagonal's value departs from the whole covariance's where the condition number exceeds 10, and agrees where it is 1",
        tolerance: 0.0,
        detectable: Size::of("quotient of the two variances", 16.0),
    };
    let worlds = Worlds {
        real,
        defect: Planted {
            what: "the determinant, with one variance sixteen times the other",
            size: 16.0,
            world: Target::Determinant { stretch: 16 },
        },
        truth: Planted {
            what: "the determinant, with equal variances",
            size: 0.0,
            world: Target::Determinant { stretch: 1 },
        },
    };
    Check::new(spec, worlds, examine_condition)
}

/// `sum D_ii` is multiplied by `1 + sixty_fourths/64`; in one to three dimensions, or in one.
struct Diagonal {
    sixty_fourths: i64,
    one_dimension: bool,
}

fn examine_trace(world: &Diagonal, _: &Draw) -> Finding {
    let mut parts = vec![four_draws(1, 4)];
    if !world.one_dimension {
        parts.extend([four_draws(2, 2), four_draws(3, 1)]);
    }
    let factor = q(64 + world.sixty_fourths, 64);
    search(&parts, |draws| {
        let (whole, diagonal) = (draws.ratio(), draws.diagonal_ratio() / &factor);
        (whole != diagonal).then(|| {
            format!(
                "{}: |mu|^2 / E|g - mu|^2 = {whole}, the diagonal gives {diagonal}",
                draws.shown()
            )
        })
    })
}

fn trace_is_enough() -> Check {
    let spec = Spec {
        id: "trace-is-enough",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "|mu|^2 / sum D_ii is |mu|^2 / E|g - mu|^2 for every four gradients, correlated and singular ones among them",
        tolerance: 0.0,
        detectable: Size::of("relative error of the diagonal", 1.0 / 64.0),
    };
    let world = |sixty_fourths, one_dimension| Diagonal {
        sixty_fourths,
        one_dimension,
    };
    let worlds = Worlds {
        real: world(0, false),
        defect: Planted {
            what: "a diagonal that is 1/64 too large",
            size: 1.0 / 64.0,
            world: world(1, false),
        },
        truth: Planted {
            what: "one dimension, where the diagonal is all there is",
            size: 0.0,
            world: world(0, true),
        },
    };
    Check::new(spec, worlds, examine_trace)
}

/// Samples with the condition number `10^decades`, turned away from the axes; the diagonal is multiplied by `1 + error`.
struct Samples {
    decades: f64,
    error: f64,
}

/// 200 samples of 6 coordinates: a thousand roundings, and `d eps` times the trace for the sum of the eigenvalues.
const SAMPLE_TOLERANCE: f64 = 1e-12;

fn examine_samples(world: &Samples, draw: &Draw) -> Finding {
    let d = 6;
    let generator = &mut draw.seed.generator();
    let traces = (|| -> fjld_core::Result<Option<(f64, f64)>> {
        let (mut diagonal, mut full) = (Moments::new(d)?, FullMoments::new(d)?);
        // the reflection 1 - 2 u u' with u along (1, ..., 1) mixes every coordinate into every other
        for _ in 0..200 {
            let mut z = standard_normals(generator, d);
            for (k, v) in z.iter_mut().enumerate() {
                *v *= 10f64.powf(-0.5 * world.decades * k as f64 / (d - 1) as f64);
            }
            let mean = z.iter().sum::<f64>() / d as f64;
            let row: Vec<f64> = z.iter().map(|v| v - 2.0 * mean).collect();
            diagonal.push(&row)?;
            full.push(&row)?;
        }
        let Ok(eigen) = full.covariance()?.self_adjoint_eigen(Side::Lower) else {
            return Ok(None);
        };
        let values = eigen.S().column_vector();
        let sum = (0..d).map(|i| values[i]).sum::<f64>();
        Ok(Some((diagonal.trace()? * (1.0 + world.error), sum)))
    })();
    let Ok(Some((diagonal, eigenvalues))) = traces else {
        return Finding::new(Outcome::Undecided, 0, "the library refused a sample");
    };
    let gap = (diagonal / eigenvalues - 1.0).abs();
    let outcome = if gap <= SAMPLE_TOLERANCE {
        Outcome::Holds
    } else {
        Outcome::Violated
    };
    let summary = format!(
        "at condition number 1e{} the library's trace, from the diagonal, and the sum of the eigenvalues differ by {gap:.1e}, relative",
        world.decades
    );
    let mut finding = Finding::new(outcome, 200, summary);
    finding.effect = Some(gap);
    finding
}

fn ill_conditioned_samples() -> Check {
    let spec = Spec {
        id: "ill-conditioned-samples",
        role: Role::Corrected,
        kind: Kind::Identity,
        hypothesis: "the library's denominator, from the diagonal alone, is the sum of the eigenvalues of the whole sample covariance at a condition number of a million",
        tolerance: SAMPLE_TOLERANCE,
        detectable: Size::of("relative error of the diagonal", 1e-11),
    };
    let samples = |decades, error| Samples { decades, error };
    let worlds = Worlds {
        real: samples(6.0, 0.0),
        defect: Planted {
            what: "a diagonal that is off by one part in 10^11",
            size: 1e-11,
            world: samples(6.0, 1e-11),
        },
        truth: Planted {
            what: "isotropic noise",
            size: 0.0,
            world: samples(0.0, 0.0),
        },
    };
    Check::new(spec, worlds, examine_samples)
}

/// The product of the diagonal is multiplied by `1 - sixty_fourths/64`; for all covariances, or for diagonal ones.
struct Product {
    sixty_fourths: i64,
    diagonal_only: bool,
}

fn examine_hadamard(world: &Product, _: &Draw) -> Finding {
    let diagonal_only = world.diagonal_only;
    let part = |d: usize, max_height| {
        let off: &[Axis] = &vec![Axis::Any; d * (d - 1) / 2];
        let axes: [&[Axis]; 2] = [
            &vec![Axis::Positive; d],
            if diagonal_only { &[] } else { off },
        ];
        Part::new(&axes, max_height, move |c| {
            let (variances, off) = c.split_at(d);
            let covariance = Matrix::from_fn(d, d, |i, j| match (i.max(j), i.min(j)) {
                (high, low) if high == low => variances[high].clone(),
                (high, low) => off
                    .get(high * (high - 1) / 2 + low)
                    .cloned()
                    .unwrap_or_else(Q::zero),
            });
            covariance.is_positive_definite().then_some(covariance)
        })
    };
    let factor = q(64 - world.sixty_fourths, 64);
    search(&[part(2, 4), part(3, 2)], |covariance| {
        let (determinant, product) = (
            covariance.determinant(),
            covariance.diagonal_product() * &factor,
        );
        let d = covariance.rows();
        let is_diagonal = (0..d).all(|i| (0..d).all(|j| i == j || covariance.0[i][j].is_zero()));
        let kept = determinant <= product && (determinant == product) == is_diagonal;
        (!kept).then(|| {
            format!("D = {covariance}: det D = {determinant}, the diagonal gives {product}")
        })
    })
}

fn hadamard() -> Check {
    let spec = Spec {
        id: "hadamard",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "det D <= prod D_ii for positive definite D, with equality exactly when D is diagonal",
        tolerance: 0.0,
        detectable: Size::of("relative shortfall of the product", 1.0 / 64.0),
    };
    let product = |sixty_fourths, diagonal_only| Product {
        sixty_fourths,
        diagonal_only,
    };
    let worlds = Worlds {
        real: product(0, false),
        defect: Planted {
            what: "a product that is 1/64 too small",
            size: 1.0 / 64.0,
            world: product(1, false),
        },
        truth: Planted {
            what: "diagonal noise",
            size: 0.0,
            world: product(0, true),
        },
    };
    Check::new(spec, worlds, examine_hadamard)
}

/// Samples beyond the `d` at which the determinant must vanish; with all samples the same, or any.
struct Count {
    extra: usize,
    equal: bool,
}

fn examine_count(world: &Count, _: &Draw) -> Finding {
    let (extra, equal) = (world.extra, world.equal);
    let part = move |d: usize, n: usize, max_height| {
        let rows = if equal { 1 } else { n };
        Part::new(&[&vec![Axis::Any; rows * d]], max_height, move |c| {
            let row = |i: usize| c[if equal { 0 } else { i * d }..][..d].to_vec();
            Some((0..n).map(row).collect::<Vec<_>>())
        })
    };
    let parts = [
        part(2, 2 + extra, if extra == 0 { 2 } else { 1 }),
        part(3, 2 + extra, 1),
        part(3, 3 + extra, 1),
    ];
    search(&parts, |rows: &Vec<Vec<Q>>| {
        let (n, d) = (rows.len(), rows[0].len());
        let mean: Vec<Q> = (0..d)
            .map(|j| rows.iter().map(|r| r[j].clone()).sum::<Q>() / q(n as i64, 1))
            .collect();
        let covariance = Matrix::from_fn(d, d, |i, j| {
            let products = rows.iter().map(|r| (&r[i] - &mean[i]) * (&r[j] - &mean[j]));
            products.sum::<Q>() / q(n as i64 - 1, 1)
        });
        let determinant = covariance.determinant();
        (!determinant.is_zero()).then(|| {
            let shown: Vec<String> = rows.iter().map(|r| tuple(r)).collect();
            format!("samples {}: det D_hat = {determinant}", shown.join(" "))
        })
    })
}

fn too_few_samples() -> Check {
    let spec = Spec {
        id: "too-few-samples",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "two samples in two dimensions, and two and three in three, have a sample covariance of determinant 0",
        tolerance: 0.0,
        detectable: Size::of("samples beyond the dimension", 1.0),
    };
    let worlds = Worlds {
        real: Count {
            extra: 0,
            equal: false,
        },
        defect: Planted {
            what: "one sample more than there are dimensions",
            size: 1.0,
            world: Count {
                extra: 1,
                equal: false,
            },
        },
        truth: Planted {
            what: "samples that are all the same",
            size: 0.0,
            world: Count {
                extra: 0,
                equal: true,
            },
        },
    };
    Check::new(spec, worlds, examine_count)
}
