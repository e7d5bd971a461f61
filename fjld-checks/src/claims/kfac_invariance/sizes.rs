//! The ratio without damping in layers of every size up to five by five, in floating point.

use crate::evidence::{
    Check, Draw, Finding, Kind, Outcome, Planted, Role, Size, Spec, Worlds, worse,
};
use faer::linalg::solvers::DenseSolveCore;
use faer::{Mat, Side};
use fjld_core::rng::{Generator, standard_normals};

/// Random maps, or a change of all signs; `damping` is added to both factors.
struct Sizes {
    damping: f64,
    signs: bool,
}

/// Maps here have conditions up to 10 or so, the factors up to 100: the inverses err by 1e4 `eps`, which is 2e-12, and
/// their sums by a few times that.
const TOLERANCE: f64 = 1e-11;

/// The ratio of a layer with an example in each column of `inputs` and `outputs`.
fn ratio(inputs: &Mat<f64>, outputs: &Mat<f64>, damping: f64) -> Option<f64> {
    let count = inputs.ncols() as f64;
    let inverse = |x: &Mat<f64>| {
        let d = x.nrows();
        let factor = (1.0 / count) * (x * x.transpose()) + damping * Mat::<f64>::identity(d, d);
        Some(factor.llt(Side::Lower).ok()?.inverse())
    };
    let (a, g) = (inverse(inputs)?, inverse(outputs)?);
    let mean = (1.0 / count) * (outputs * inputs.transpose());
    let turned = &g * &mean * &a;
    let product = |x: &Mat<f64>, y: &Mat<f64>, column: usize| -> f64 {
        (0..x.nrows())
            .map(|i| x[(i, column)] * y[(i, column)])
            .sum()
    };
    let signal: f64 = (0..mean.ncols()).map(|j| product(&mean, &turned, j)).sum();
    let (seen, back) = (&a * inputs, &g * outputs);
    let total: f64 = (0..inputs.ncols())
        .map(|k| product(inputs, &seen, k) * product(outputs, &back, k))
        .sum();
    Some(signal / (total / count - signal))
}

/// A map that is far from singular, or minus the identity.
fn map(generator: &mut Generator, d: usize, signs: bool) -> Mat<f64> {
    let z = standard_normals(generator, d * d);
    Mat::from_fn(d, d, |i, j| match (signs, i == j) {
        (true, true) => -1.0,
        (true, false) => 0.0,
        (false, same) => z[i * d + j] + if same { 3.0 * (d as f64).sqrt() } else { 0.0 },
    })
}

fn examine(world: &Sizes, draw: &Draw) -> Finding {
    let generator = &mut draw.seed.generator();
    let mut worst = 0f64;
    let mut cases = 0;
    for n in 1..=5 {
        for m in 1..=5 {
            let count = 6 * (n + m);
            let z = standard_normals(generator, count * (n + m));
            let inputs = Mat::from_fn(n, count, |i, k| z[i * count + k]);
            // output gradients that depend on the inputs, so that there is a mean gradient
            let outputs =
                Mat::from_fn(m, count, |i, k| z[(n + i) * count + k] + inputs[(i % n, k)]);
            let (u, v) = (
                map(generator, m, world.signs),
                map(generator, n, world.signs),
            );
            let (seen, back) = (&v * &inputs, u.transpose() * &outputs);
            let (Some(before), Some(after)) = (
                ratio(&inputs, &outputs, world.damping),
                ratio(&seen, &back, world.damping),
            ) else {
                return Finding::new(Outcome::Undecided, cases, "a factor was singular");
            };
            worst = worse(worst, (after / before - 1.0).abs());
            cases += 1;
        }
    }
    let compared = "the ratios before and after random maps, in layers up to five by five,";
    Finding::of_identity(worst, TOLERANCE, cases, compared)
}

/// The check over sizes of layer.
pub fn sizes() -> Check {
    let spec = Spec {
        id: "sizes",
        role: Role::Corrected,
        kind: Kind::Identity,
        hypothesis: "without damping the ratio of a layer with up to five inputs and five outputs is the same after random maps around it",
        tolerance: TOLERANCE,
        detectable: Size::of("damping of factors whose eigenvalues are about one", 1e-7),
    };
    let worlds = Worlds {
        real: Sizes {
            damping: 0.0,
            signs: false,
        },
        defect: Planted {
            what: "a damping of one part in 10^7",
            size: 1e-7,
            world: Sizes {
                damping: 1e-7,
                signs: false,
            },
        },
        truth: Planted {
            what: "a change of all signs",
            size: 0.0,
            world: Sizes {
                damping: 0.0,
                signs: true,
            },
        },
    };
    Check::new(spec, worlds, examine)
}
