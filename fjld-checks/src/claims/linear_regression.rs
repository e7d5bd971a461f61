//! What `C` does in linear regression, whatever the labels and whether or not the fit generalises.
//!
//! With residuals `r`, features `Phi` of `n` examples, all of squared length `l`, and `K = Phi Phi'`, the gradients `g_i = r_i phi_i` have
//! `|mu|^2 = r'K r/n^2` and `E|g|^2 = l |r|^2/n`, so that at batch 1
//!
//! ```text
//! C/(1 + C) = |mu|^2 / E|g|^2 = (r'K r/|r|^2) / (n l)
//! ```
//!
//! is a mean of the eigenvalues of `K`, weighted by the squared coordinates of `r`. A step of gradient descent multiplies the coordinate
//! along the eigenvalue `k` by `1 - eta k/n`, which for `eta <= n/k_max` lies in `[0, 1]` and falls with `k`: weight only moves from larger
//! eigenvalues to smaller ones, and the mean never rises (likelihood ratios that fall order the means). At the least-squares end
//! `Phi' r = 0`; with as many independent features as examples `r = 0` too.

use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds, worse};
use crate::scenarios::capacity::regression::{Gradients, Spectrum, gradients};
use faer::Mat;
use fjld_core::rng::{Generator, standard_normals};
use rand::RngExt;

/// What is true instead of the claims on linear regression.
pub const STATEMENT: &str = "Where a model is linear in its parameters, its loss is squared and all examples' features have the same length, gradient descent with steps of at most one over the largest curvature never raises C, from any start, at any batch size, whatever the labels: C passes 1 downward or not at all, before, while and after the fit generalises. At the least-squares end C is 0 with fewer independent features than examples, and undefined from the interpolation threshold on.";

/// Problems drawn.
const CASES: usize = 200;
/// Steps of each.
const STEPS: usize = 60;

/// A random problem: features by rows, and targets. `count` examples with `width` features, of lengths from 1 to `1 + spread`.
fn problem(
    generator: &mut Generator,
    (count, width): (usize, usize),
    spread: f64,
) -> (Mat<f64>, Vec<f64>) {
    let rows: Vec<Vec<f64>> = (0..count)
        .map(|i| {
            let drawn = standard_normals(generator, width);
            let length = drawn.iter().map(|x| x * x).sum::<f64>().sqrt();
            let wanted = 1.0 + spread * i as f64 / (count - 1) as f64;
            drawn.iter().map(|x| x * wanted / length).collect()
        })
        .collect();
    let features = Mat::from_fn(count, width, |i, j| rows[i][j]);
    (features, standard_normals(generator, count))
}

/// `C/(1 + C)`.
fn share(gradients: &Gradients) -> f64 {
    gradients.signal / (gradients.signal + gradients.noise)
}

/// Lengths from 1 to one and this.
struct Lengths(f64);

fn examine_falls(world: &Lengths, draw: &Draw) -> Finding {
    let generator = &mut draw.seed.derive("problems").generator();
    let mut worst: f64 = 0.0;
    let mut cases = 0;
    for _ in 0..CASES {
        let size = (
            generator.random_range(2..=12),
            generator.random_range(1..=20),
        );
        let (features, targets) = problem(generator, size, world.0);
        let Ok(spectrum) = Spectrum::of(features.as_ref()) else {
            worst = f64::NAN;
            continue;
        };
        // steps of (0, 1] over the largest curvature, from a random start
        let step = (1.0 - generator.random::<f64>()) / spectrum.sharpest();
        let mut theta = standard_normals(generator, size.1);
        let mut last: Option<Gradients> = None;
        for _ in 0..STEPS {
            let now = gradients(features.as_ref(), &targets, &theta);
            let total = now.signal + now.noise;
            // the residuals are known to some 1e-14 of their first size: six digits are left
            if now.ratio().is_none() || total < 1e-14 {
                break;
            }
            if let Some(last) = last {
                // a share that has fallen to 0 is rounding from there on
                worst = worse(worst, (share(&now) - share(&last)) / share(&last).max(1e-9));
                cases += 1;
            }
            last = Some(now);
            theta = stepped(&features, &targets, &theta, step);
        }
    }
    let summary = format!("C/(1 + C) rises by at most {worst:.1e}, relative, in {cases} steps");
    Finding::of_discrepancy(worst, 1e-6, cases, summary)
}

/// One step of gradient descent.
fn stepped(features: &Mat<f64>, targets: &[f64], theta: &[f64], step: f64) -> Vec<f64> {
    let mut next = theta.to_vec();
    for (i, target) in targets.iter().enumerate() {
        let fitted: f64 = theta
            .iter()
            .enumerate()
            .map(|(j, t)| features[(i, j)] * t)
            .sum();
        let factor = step * (fitted - target) / targets.len() as f64;
        for (j, t) in next.iter_mut().enumerate() {
            *t -= factor * features[(i, j)];
        }
    }
    next
}

/// `C` never rises along gradient descent where lengths are equal.
pub fn falls() -> Check {
    let spec = Spec {
        id: "descent-lowers-c",
        role: Role::Corrected,
        kind: Kind::Identity,
        hypothesis: "with features of equal length, gradient descent never raises C/(1 + C), whatever the labels",
        tolerance: 1e-6,
        detectable: Size::of("by how much the longest example exceeds the shortest", 0.1),
    };
    let worlds = Worlds {
        real: Lengths(0.0),
        defect: Planted {
            what: "examples of lengths from 1 to 1.1",
            size: 0.1,
            world: Lengths(0.1),
        },
        truth: Planted {
            what: "examples of equal length",
            size: 0.0,
            world: Lengths(0.0),
        },
    };
    Check::new(spec, worlds, examine_falls)
}

/// How far a fit stays from the least-squares one, along a direction whose eigenvalue is the largest times `x`: the share `ridge/(x + ridge)`.
struct Ridge(f64);

fn examine_end(world: &Ridge, draw: &Draw) -> Finding {
    let generator = &mut draw.seed.derive("problems").generator();
    let mut worst: f64 = 0.0;
    let (mut below, mut above) = (0, 0);
    for _ in 0..CASES {
        let size = (
            generator.random_range(2..=12),
            generator.random_range(1..=20),
        );
        let (features, targets) = problem(generator, size, 0.0);
        let Ok(spectrum) = Spectrum::of(features.as_ref()) else {
            worst = f64::NAN;
            continue;
        };
        let theta = spectrum.parameters(&targets, |x| x / (x + world.0));
        let start = gradients(features.as_ref(), &targets, &vec![0.0; size.1]);
        let found = gradients(features.as_ref(), &targets, &theta);
        let off = if spectrum.rank() < size.0 {
            below += 1;
            // no signal: C is 0, against rounding
            found.signal / (start.signal + start.noise)
        } else {
            above += 1;
            match found.ratio() {
                None => 0.0,
                Some(_) => found.noise / (start.signal + start.noise),
            }
        };
        worst = worse(worst, off);
    }
    let summary = format!(
        "below the threshold the signal, and from it on the noise above rounding, is at most {worst:.1e} of the mean squared gradient at the start, in {below} and {above} problems"
    );
    Finding::of_discrepancy(worst, 1e-20, (below + above) as u64, summary)
}

/// At the least-squares end `C` is 0, or undefined.
pub fn end() -> Check {
    let spec = Spec {
        id: "least-squares-end",
        role: Role::Corrected,
        kind: Kind::Identity,
        hypothesis: "at the least-squares end there is no signal; and no noise either, to rounding, where the fit interpolates",
        tolerance: 1e-20,
        detectable: Size::of("ridge, relative to the largest eigenvalue", 1e-6),
    };
    let worlds = Worlds {
        real: Ridge(0.0),
        defect: Planted {
            what: "a ridge of 1e-6",
            size: 1e-6,
            world: Ridge(1e-6),
        },
        truth: Planted {
            what: "the least-squares fit itself",
            size: 0.0,
            world: Ridge(0.0),
        },
    };
    Check::new(spec, worlds, examine_end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Outcome;
    use crate::evidence::ledger::Rates;
    use fjld_core::rng::Seed;

    #[test]
    fn two_examples_have_the_ratio_of_pencil() {
        // phi = (1, 0) and (0.6, 0.8), residuals -1 and -2: mu = (-1.1, -0.8), |mu|^2 = 1.85, E|g|^2 = 2.5
        let features = Mat::from_fn(2, 2, |i, j| [[1.0, 0.0], [0.6, 0.8]][i][j]);
        let found = gradients(features.as_ref(), &[1.0, 2.0], &[0.0, 0.0]);
        assert!((share(&found) - 0.74).abs() < 1e-15);
    }

    #[test]
    fn the_worlds_are_told_apart_at_any_seed() {
        for root in 1..4 {
            let draw = Draw {
                seed: Seed::root(root),
                rates: Rates::of_one_slot(),
            };
            assert_eq!(examine_falls(&Lengths(0.0), &draw).outcome, Outcome::Holds);
            assert_eq!(
                examine_falls(&Lengths(0.1), &draw).outcome,
                Outcome::Violated
            );
            assert_eq!(examine_end(&Ridge(0.0), &draw).outcome, Outcome::Holds);
            assert_eq!(examine_end(&Ridge(1e-6), &draw).outcome, Outcome::Violated);
        }
    }
}
