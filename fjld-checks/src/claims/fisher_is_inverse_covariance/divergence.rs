//! The library's Fisher information against the curvature of its divergence, for `fisher-is-inverse-covariance`.

use crate::evidence::{
    Check, Draw, Finding, Kind, Outcome, Planted, Role, Size, Spec, Worlds, worse,
};
use faer::Mat;
use fjld_core::geometry::gaussian_fisher;
use fjld_core::information::gaussian_divergence;
use fjld_core::rng::standard_normals;

/// The Hessian is `1 + error` times too large in the information; the noise varies with the parameters, or not.
struct Family {
    error: f64,
    varying: bool,
}

/// The step of the second difference.
const STEP: f64 = 1e-3;

/// The fourth order, `STEP^2` times slopes over variances to the fourth, of which the second is below 10 for these families.
const TOLERANCE: f64 = 1e-4;

fn examine(world: &Family, draw: &Draw) -> Finding {
    let generator = &mut draw.seed.generator();
    let mut worst = 0f64;
    let mut cases = 0;
    for d in 1..=5 {
        for _ in 0..10 {
            let z = standard_normals(generator, 2 * d * d + d * d * d + d);
            let symmetric =
                |offset: usize, i: usize, j: usize| z[offset + i.max(j) * d + i.min(j)] / d as f64;
            let hessian = Mat::from_fn(d, d, |i, j| symmetric(0, i, j));
            let covariance = Mat::from_fn(d, d, |i, j| {
                let product: f64 = (0..d)
                    .map(|k| z[d * d + i * d + k] * z[d * d + j * d + k])
                    .sum();
                product / d as f64 + if i == j { 1.0 } else { 0.0 }
            });
            let slopes: Vec<Mat<f64>> = (0..d)
                .map(|k| {
                    Mat::from_fn(d, d, |i, j| {
                        if world.varying {
                            symmetric(2 * d * d + k * d * d, i, j)
                        } else {
                            0.0
                        }
                    })
                })
                .collect();
            let direction = &z[2 * d * d + d * d * d..];
            let length = direction.iter().map(|v| v * v).sum::<f64>().sqrt();
            let at = |step: f64| {
                let theta: Vec<f64> = direction.iter().map(|v| step * v / length).collect();
                let mean: Vec<f64> = (0..d)
                    .map(|i| (0..d).map(|j| hessian[(i, j)] * theta[j]).sum())
                    .collect();
                let mut noise = covariance.clone();
                for (slope, t) in slopes.iter().zip(&theta) {
                    noise += *t * slope;
                }
                (mean, noise)
            };
            let both = (|| -> fjld_core::Result<(f64, f64)> {
                let (mean, noise) = at(0.0);
                let mut curvature = 0.0;
                for step in [STEP, -STEP] {
                    let (other, other_noise) = at(step);
                    curvature +=
                        gaussian_divergence(&mean, noise.as_ref(), &other, other_noise.as_ref())?
                            / (STEP * STEP);
                }
                let grown = (1.0 + world.error) * &hessian;
                let information = gaussian_fisher(noise.as_ref(), grown.as_ref(), &slopes)?;
                let mut along = 0.0;
                for i in 0..d {
                    for j in 0..d {
                        along += direction[i] * information[(i, j)] * direction[j];
                    }
                }
                Ok((along / (length * length), curvature))
            })();
            let Ok((information, curvature)) = both else {
                return Finding::new(Outcome::Undecided, cases, "the library refused a family");
            };
            worst = worse(worst, (information - curvature).abs());
            cases += 1;
        }
    }
    let summary = format!(
        "the library's information and the curvature of its divergence differ by at most {worst:.1e} over {cases} random families in 1 to 5 dimensions"
    );
    Finding::of_discrepancy(worst, TOLERANCE, cases, summary)
}

/// The information along a direction is the second difference of the divergence from the laws on either side.
pub fn by_divergence() -> Check {
    let spec = Spec {
        id: "library",
        role: Role::Corrected,
        kind: Kind::Identity,
        hypothesis: "the library's information by the formula is the curvature of the library's divergence between neighbouring laws",
        tolerance: TOLERANCE,
        detectable: Size::of("relative error of the Hessian", 1e-3),
    };
    let family = |error, varying| Family { error, varying };
    let worlds = Worlds {
        real: family(0.0, true),
        defect: Planted {
            what: "a Hessian that is off by one part in 1000",
            size: 1e-3,
            world: family(1e-3, true),
        },
        truth: Planted {
            what: "constant noise",
            size: 0.0,
            world: family(0.0, false),
        },
    };
    let worlds = worlds.violated_by(move |error| family(error, true));
    Check::new(spec, worlds, examine)
}
