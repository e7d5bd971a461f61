//! Where the diagonal form puts the boundary.

use super::trained_network;
use super::{Claim, Origin, Sentence};
use crate::error::{Error, Result};
use crate::evidence::{
    Check, Draw, Finding, Kind, Outcome, Planted, Role, Size, Spec, Worlds, worse,
};
use crate::scenarios::reparameterization::metrics::{Metric, moments};
use crate::scenarios::reparameterization::network::Gradients;
use faer::{Mat, Side};
use fjld_core::Moments;
use fjld_core::rng::{permutation, standard_normals};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "diagonal-boundary",
        origin: Origin::Document,
        statement: "In practical networks the diagonal form puts the boundary C = 1 where the full form does.",
        sentence: Some(Sentence {
            section: "FAQ",
            line: 376,
            sha256: "3dce6adadf253544c1df4934f3ffce7b23bf5fe082da193c3cff8426125dc449",
            status: "stated",
        }),
        holds_when: None,
        corrected: Some(
            "The C of the definition takes the trace of D, to which only the diagonal contributes: the diagonal puts the boundary where the full covariance does in every network. Where the inverse of D is taken instead, it does not: along the training of a small network on real digits mu'D^+ mu/rank(D) is more than twice the mean of mu_i^2/D_ii at every checkpoint.",
        ),
        scenarios: &[],
        checks: vec![
            boundary("trained-network", Role::AsWritten),
            boundary("trace", Role::Corrected),
            weighted(),
        ],
    }
}

/// Steps of training after which the network is looked at.
const CHECKPOINTS: [usize; 4] = [0, 30, 100, 300];

/// Per-example gradients at each checkpoint.
fn along_training() -> Result<Vec<Gradients>> {
    let (scenario, _) = trained_network::trained()?;
    let at = |&steps: &usize| {
        let trained = scenario.after(steps)?;
        trained.network.gradients(&trained.problem)
    };
    CHECKPOINTS.iter().map(at).collect()
}

/// The diagonal is that of all examples but this share; or the gradients are made-up and independent.
struct Diagonal {
    left_out: f64,
    made_up: bool,
}

/// Both sides add up squares of 1,797 by 172 numbers, and the eigenvalues err by 172 `eps` of the largest: 4e-14 of the trace.
const TOLERANCE: f64 = 1e-12;

fn examine_boundary(world: &Diagonal, draw: &Draw) -> Finding {
    compare(world, draw)
        .unwrap_or_else(|error| Finding::new(Outcome::Undecided, 0, error.to_string()))
}

fn compare(world: &Diagonal, draw: &Draw) -> Result<Finding> {
    let states = if world.made_up {
        let z = standard_normals(&mut draw.seed.generator(), 200 * 5);
        vec![Gradients {
            rows: Mat::from_fn(200, 5, |i, j| 1.0 + z[i * 5 + j]),
            pairs: Vec::new(),
        }]
    } else {
        along_training()?
    };
    let (mut worst, mut batches) = (0.0, Vec::new());
    for Gradients { rows, .. } in &states {
        let (n, d) = (rows.nrows(), rows.ncols());
        let seen = n - (world.left_out * n as f64).round() as usize;
        let mut diagonal = Moments::new(d)?;
        for i in 0..seen {
            diagonal.push(&rows.row(i).iter().copied().collect::<Vec<f64>>())?;
        }
        let by_diagonal = diagonal.squared_mean_norm() / diagonal.trace()?;
        let (mean, covariance) = moments(rows);
        let values = covariance
            .self_adjoint_eigenvalues(Side::Lower)
            .map_err(|_| Error::input("the covariance has no eigenvalues"))?;
        let full = mean.iter().map(|m| m * m).sum::<f64>() / values.iter().sum::<f64>();
        worst = worse(worst, (by_diagonal / full - 1.0).abs());
        batches.push(format!("{:.1}", 1.0 / full));
    }
    let summary = format!(
        "C by the diagonal and by the eigenvalues of the full covariance differ by at most {worst:.1e}, relative; along training C = 1 at batches of {}",
        batches.join(", ")
    );
    let cases = states.len() as u64;
    Ok(Finding::of_discrepancy(worst, TOLERANCE, cases, summary))
}

fn boundary(id: &'static str, role: Role) -> Check {
    let spec = Spec {
        id,
        role,
        kind: Kind::Identity,
        hypothesis: "along the training of a relu network on real digits C by the variances alone is C by the full covariance",
        tolerance: TOLERANCE,
        detectable: Size::of("share of the examples that the variances miss", 1.0 / 64.0),
    };
    let world = |left_out, made_up| Diagonal { left_out, made_up };
    let worlds = Worlds {
        real: world(0.0, false),
        defect: Planted {
            what: "variances that miss one example in 64",
            size: 1.0 / 64.0,
            world: world(1.0 / 64.0, false),
        },
        truth: Planted {
            what: "independent normal gradients",
            size: 0.0,
            world: world(0.0, true),
        },
    };
    Check::new(spec, worlds, examine_boundary)
}

/// Which gradients are weighted.
enum Weighted {
    /// The network's along its training.
    Network,
    /// The same, with those of every parameter dealt out anew by themselves, so that they are uncorrelated.
    Apart,
    /// Two parameters, the second one's gradient that of the first and a little more: full and diagonal weights are far apart.
    Pair,
}

/// How many times the diagonal form the full one is at least.
const APART: f64 = 2.0;

fn examine_weighted(world: &Weighted, draw: &Draw) -> Finding {
    quotients(world, draw)
        .unwrap_or_else(|error| Finding::new(Outcome::Undecided, 0, error.to_string()))
}

fn quotients(world: &Weighted, draw: &Draw) -> Result<Finding> {
    let generator = &mut draw.seed.generator();
    let mut states = match world {
        Weighted::Pair => {
            let z = standard_normals(generator, 400);
            vec![Gradients {
                rows: Mat::from_fn(200, 2, |i, j| match j {
                    0 => 1.0 + z[2 * i],
                    _ => z[2 * i] + 0.1 * z[2 * i + 1],
                }),
                pairs: Vec::new(),
            }]
        }
        _ => along_training()?,
    };
    let (mut least, mut shown) = (f64::INFINITY, Vec::new());
    for gradients in &mut states {
        let (n, d) = (gradients.rows.nrows(), gradients.rows.ncols());
        if matches!(world, Weighted::Apart) {
            for j in 0..d {
                let order = permutation(generator, n);
                let column: Vec<f64> = order.iter().map(|&i| gradients.rows[(i, j)]).collect();
                let entries = column.iter().enumerate();
                entries.for_each(|(i, value)| gradients.rows[(i, j)] = *value);
            }
        }
        let value = |metric: Metric| -> Result<f64> {
            metric
                .of(gradients)?
                .ok_or_else(|| Error::input("the metric does not exist"))
        };
        let (diagonal, full) = (
            value(Metric::DiagonallyWeighted)?,
            value(Metric::Mahalanobis)?,
        );
        // of the negatives the worst is the least, and no number stays no number
        least = -worse(-least, -full / diagonal);
        shown.push(format!("{full:.3} and {diagonal:.4}"));
    }
    let outcome = match least {
        v if v.is_nan() => Outcome::Undecided,
        v if v > APART => Outcome::Holds,
        _ => Outcome::Violated,
    };
    let summary = format!(
        "mu'D^+ mu/rank(D) and the mean of mu_i^2/D_ii are {}: the first is at least {least:.1} times the second",
        shown.join(", ")
    );
    let mut finding = Finding::new(outcome, states.len() as u64, summary);
    finding.effect = Some(least);
    Ok(finding)
}

fn weighted() -> Check {
    let spec = Spec {
        id: "weighted",
        role: Role::Corrected,
        kind: Kind::Identity,
        hypothesis: "at every checkpoint the full form weighted by the inverse covariance is more than twice the diagonal one",
        tolerance: 0.0,
        detectable: Size::of(
            "share of the parameters whose gradients are dealt out anew",
            1.0,
        ),
    };
    let worlds = Worlds {
        real: Weighted::Network,
        defect: Planted {
            what: "the gradients of every parameter dealt out anew by themselves",
            size: 1.0,
            world: Weighted::Apart,
        },
        truth: Planted {
            what: "two parameters, one nearly a copy of the other but for its mean",
            size: 0.0,
            world: Weighted::Pair,
        },
    };
    Check::new(spec, worlds, examine_weighted)
}
