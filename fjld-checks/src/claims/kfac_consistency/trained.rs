//! A layer of a trained network on real digits, written in parameters in which both of its factors are the identity.

use crate::claims::trained_network::trained;
use crate::error::{Error, Result};
use crate::evidence::{
    Check, Draw, Finding, Kind, Outcome, Planted, Role, Size, Spec, Worlds, worse,
};
use crate::scenarios::reparameterization::metrics::moments;
use crate::scenarios::reparameterization::transformation::Drawn;
use candle_core::Device;
use faer::linalg::solvers::DenseSolveCore;
use faer::{Mat, MatRef, Side};
use fjld_core::kronecker::{Damping, KfacAccumulator, Setting};

/// The first input is `1 + excess` times too long after whitening.
struct Whitened {
    excess: f64,
    dampings: &'static [Damping],
}

/// Whitening by factors with conditions up to 1e4 errs by 1e4 `eps`, 2e-12, in each of some hundred entries.
const TOLERANCE: f64 = 1e-9;

fn lower(matrix: MatRef<'_, f64>) -> Result<Mat<f64>> {
    let factor = matrix.llt(Side::Lower);
    let factor = factor.map_err(|_| Error::input("a factor of the network is not definite"))?;
    Ok(factor.L().to_owned())
}

fn inverse(matrix: &Mat<f64>) -> Mat<f64> {
    matrix.partial_piv_lu().inverse()
}

fn examine(world: &Whitened, _: &Draw) -> Finding {
    compare(world).unwrap_or_else(|error| Finding::new(Outcome::Undecided, 0, error.to_string()))
}

fn compare(world: &Whitened) -> Result<Finding> {
    let (_, trained) = trained()?;
    let (mut network, mut problem) = (trained.network.clone(), trained.problem.clone());
    // x = m + L x' with mean 0 and covariance 1 of x', so that A = 1 with the bias's constant input as well
    let (n, inputs) = (problem.len(), problem.inputs.ncols());
    let (mean, covariance) = moments(&problem.inputs);
    let population = (n as f64 - 1.0) / n as f64;
    let spread = lower((population * covariance).as_ref())?;
    let centred = Mat::from_fn(n, inputs, |i, j| problem.inputs[(i, j)] - mean[j]);
    problem.inputs = centred * inverse(&spread).transpose();
    let shift = &network.first * Mat::from_fn(inputs, 1, |j, _| mean[j]);
    for (o, bias) in network.first_bias.iter_mut().enumerate() {
        *bias += shift[(o, 0)];
    }
    network.first = &network.first * &spread;
    // hidden units mixed by M turn their gradients into M'g: with G = L L' and M = L'^-1 their second moment is 1
    let mut factors = KfacAccumulator::new(Setting::Expand);
    factors.push(&network.gradients(&problem)?.pairs)?;
    let spread = lower(factors.layers()[0].gradient_factor()?.matrix())?;
    let mix = inverse(&spread).transpose().to_owned();
    let (network, mut problem) = Drawn::Hidden(mix).rewritten(&network, &problem);
    let first = problem.inputs.col_mut(0);
    first.iter_mut().for_each(|x| *x *= 1.0 + world.excess);

    let gradients = network.gradients(&problem)?;
    let covered = network.first.nrows() * (inputs + 1);
    let rows = Mat::from_fn(n, covered, |i, j| gradients.rows[(i, j)]);
    let (mean, covariance) = moments(&rows);
    let trace: f64 = (0..covered).map(|j| covariance[(j, j)]).sum();
    let plain = mean.iter().map(|m| m * m).sum::<f64>() / trace;
    let mut factors = KfacAccumulator::new(Setting::Expand);
    factors.push(&gradients.pairs)?;
    let mut worst = 0.0;
    for &damping in world.dampings {
        let mut ratios = factors.ratios(damping, &Device::Cpu)?;
        ratios.push(&gradients.pairs)?;
        let factored = ratios.reading()?.layer_metrics[0].c_alpha_layer;
        worst = worse(worst, (factored.unwrap_or(f64::NAN) / plain - 1.0).abs());
    }
    let cases = world.dampings.len() as u64;
    let compared = format!("the plain ratio {plain:.3e} of the layer and the factored one");
    Ok(Finding::of_identity(worst, TOLERANCE, cases, &compared))
}

/// That the two ratios agree in a whitened layer.
pub fn whitened_layer() -> Check {
    const DAMPINGS: &[Damping] = &[Damping::None, Damping::Factors(1e-5), Damping::Factors(1.0)];
    let spec = Spec {
        id: "trained-network",
        role: Role::AsWritten,
        kind: Kind::Identity,
        hypothesis: "for the first layer of a trained relu network, in parameters in which A = 1 and G = 1, the two ratios are equal, with a damping of 0, 1e-5 and 1",
        tolerance: TOLERANCE,
        detectable: Size::of("relative excess of one input after whitening", 1e-4),
    };
    let worlds = Worlds {
        real: Whitened {
            excess: 0.0,
            dampings: DAMPINGS,
        },
        defect: Planted {
            what: "an input that is one part in 10^4 too long",
            size: 1e-4,
            world: Whitened {
                excess: 1e-4,
                dampings: DAMPINGS,
            },
        },
        truth: Planted {
            what: "no damping",
            size: 0.0,
            world: Whitened {
                excess: 0.0,
                dampings: &DAMPINGS[..1],
            },
        },
    };
    Check::new(spec, worlds, examine)
}
