//! Six ways to write the same network in other parameters.

use super::network::{Gradients, Network, Problem};
use crate::error::Result;
use faer::{Mat, MatRef};
use fjld_core::rng::{Generator, standard_normals};
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// A kind of change of parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transformation {
    /// A random rotation of all parameters together.
    Rotation,
    /// Random rotations of the inputs of the first layer: `x` becomes `Rx`, `W` becomes `WR'`.
    RotatedInputs,
    /// Inputs measured in other units: `x` becomes `Sx`, `W` becomes `W S^-1`.
    ScaledInputs,
    /// The first layer followed by a fixed invertible map: `W` becomes `M^-1 W`, `b` becomes `M^-1 b`.
    MixedHidden,
    /// Each hidden unit's weights times `c > 0`, its outgoing weights over `c`: a relu network computes the same.
    RescaledUnits,
    /// Each parameter bent by itself: `theta = sinh(s phi) / s`.
    Bent,
}

impl Transformation {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 6] = [
        Self::Rotation,
        Self::RotatedInputs,
        Self::ScaledInputs,
        Self::MixedHidden,
        Self::RescaledUnits,
        Self::Bent,
    ];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rotation => "rotation of all parameters",
            Self::RotatedInputs => "rotated inputs",
            Self::ScaledInputs => "scaled inputs",
            Self::MixedHidden => "mixed hidden units",
            Self::RescaledUnits => "rescaled relu units",
            Self::Bent => "bent coordinates",
        }
    }

    /// A random change of this kind, with stretches between `1/sqrt(condition)` and `sqrt(condition)`.
    pub fn draw(self, network: &Network, condition: f64, generator: &mut Generator) -> Drawn {
        let (hidden, inputs) = (network.first.nrows(), network.first.ncols());
        let mut stretches = |count: usize| -> Vec<f64> {
            let range = 0.5 * condition.ln();
            let uniform = (0..count).map(|_| generator.random::<f64>());
            uniform.map(|u| ((2.0 * u - 1.0) * range).exp()).collect()
        };
        match self {
            Self::Rotation => Drawn::OnGradients(rotation(network.parameters().len(), generator)),
            Self::RotatedInputs => Drawn::Inputs(rotation(inputs, generator)),
            Self::ScaledInputs => Drawn::Inputs(diagonal(&stretches(inputs))),
            Self::MixedHidden => {
                let middle = diagonal(&stretches(hidden));
                let (left, right) = (rotation(hidden, generator), rotation(hidden, generator));
                Drawn::Hidden(left * middle * right)
            }
            Self::RescaledUnits => Drawn::Units(stretches(hidden)),
            Self::Bent => {
                // d theta / d phi = sqrt(1 + s^2 theta^2): at most the condition, at the largest parameter
                let largest = network
                    .parameters()
                    .iter()
                    .fold(0.0f64, |m, p| m.max(p.abs()));
                let slope = (condition * condition - 1.0).sqrt() / largest;
                let jacobian = network
                    .parameters()
                    .iter()
                    .map(|theta| (1.0 + (slope * theta).powi(2)).sqrt())
                    .collect::<Vec<f64>>();
                Drawn::OnGradients(diagonal(&jacobian))
            }
        }
    }
}

/// A change of parameters, drawn.
#[derive(Clone, Debug)]
pub enum Drawn {
    /// A linear map of all parameters, `theta = J phi` to first order; gradients become `J'g`.
    OnGradients(Mat<f64>),
    /// `R`, with which inputs become `Rx`.
    Inputs(Mat<f64>),
    /// `M`, with which `W` becomes `M^-1 W`.
    Hidden(Mat<f64>),
    /// `c` for every hidden unit.
    Units(Vec<f64>),
}

impl Drawn {
    /// Gradients of the same function in the new parameters. Where the new parameters are those of a network, it is built and run.
    ///
    /// # Errors
    /// When candle fails.
    pub fn gradients(&self, network: &Network, problem: &Problem) -> Result<Gradients> {
        match self {
            Self::OnGradients(jacobian) => Ok(Gradients {
                rows: network.gradients(problem)?.rows * jacobian,
                pairs: Vec::new(),
            }),
            _ => {
                let (network, problem) = self.rewritten(network, problem);
                network.gradients(&problem)
            }
        }
    }

    /// The network in the new parameters, on its new inputs; the same as before for maps that no network of this form has.
    pub fn rewritten(&self, network: &Network, problem: &Problem) -> (Network, Problem) {
        let (mut network, mut problem) = (network.clone(), problem.clone());
        match self {
            Self::OnGradients(_) => {}
            Self::Inputs(map) => {
                problem.inputs = &problem.inputs * map.transpose();
                network.first = &network.first * inverse(map.as_ref());
            }
            Self::Hidden(map) => {
                let inverse = inverse(map.as_ref());
                network.first = &inverse * &network.first;
                let bias = Mat::from_fn(map.nrows(), 1, |i, _| network.first_bias[i]);
                let bias = inverse * bias;
                network.first_bias = bias.col(0).iter().copied().collect();
                network.mix = Some(map.clone());
            }
            Self::Units(factors) => {
                for (unit, factor) in factors.iter().enumerate() {
                    network
                        .first
                        .row_mut(unit)
                        .iter_mut()
                        .for_each(|w| *w *= factor);
                    network.first_bias[unit] *= factor;
                    network
                        .second
                        .col_mut(unit)
                        .iter_mut()
                        .for_each(|w| *w /= factor);
                }
            }
        }
        (network, problem)
    }
}

fn inverse(map: MatRef<'_, f64>) -> Mat<f64> {
    use faer::linalg::solvers::DenseSolveCore;
    map.partial_piv_lu().inverse()
}

fn diagonal(entries: &[f64]) -> Mat<f64> {
    let d = entries.len();
    Mat::from_fn(d, d, |i, j| if i == j { entries[i] } else { 0.0 })
}

/// A random orthogonal matrix: the orthogonal factor of a matrix of independent normals.
pub fn rotation(d: usize, generator: &mut Generator) -> Mat<f64> {
    let values = standard_normals(generator, d * d);
    Mat::from_fn(d, d, |i, j| values[i * d + j])
        .qr()
        .compute_Q()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fjld_core::rng::Seed;

    fn network_and_problem() -> (Network, Problem, Generator) {
        let mut generator = Seed::root(5).generator();
        let mut network = Network::random([4, 3, 2], &mut generator);
        network.first_bias = standard_normals(&mut generator, 3);
        network.second_bias = standard_normals(&mut generator, 2);
        let mut draw = |columns: usize| {
            let values = standard_normals(&mut generator, 20 * columns);
            Mat::from_fn(20, columns, |i, j| values[i * columns + j])
        };
        let problem = Problem {
            inputs: draw(4),
            targets: draw(2),
        };
        (network, problem, generator)
    }

    /// Rounding of sums of a few products that were stretched by up to 10.
    const TOLERANCE: f64 = 1e-12;

    #[test]
    fn a_network_in_other_parameters_computes_the_same_function() {
        let (network, problem, mut generator) = network_and_problem();
        let before = network.outputs(problem.inputs.as_ref());
        for kind in Transformation::ALL {
            let drawn = kind.draw(&network, 10.0, &mut generator);
            let (other, seen) = drawn.rewritten(&network, &problem);
            let after = other.outputs(seen.inputs.as_ref());
            assert!((&after - &before).norm_max() < TOLERANCE, "{}", kind.name());
        }
    }

    #[test]
    fn the_gradient_in_other_parameters_is_the_slope_of_the_same_loss() -> Result<()> {
        // a step along the new weights, mapped back to the old ones: first.weight is W S with x' = S^-1 x
        let (network, problem, mut generator) = network_and_problem();
        let before = network.gradients(&problem)?.rows;
        let map = rotation(4, &mut generator) * diagonal(&[0.5, 1.0, 2.0, 3.0]);
        let after = Drawn::Inputs(map.clone())
            .gradients(&network, &problem)?
            .rows;
        for example in 0..problem.len() {
            let block = |rows: &Mat<f64>| Mat::from_fn(3, 4, |i, j| rows[(example, i * 4 + j)]);
            // W = W' M, so that the gradient in W' is that in W times M'
            let expected = block(&before) * map.transpose();
            assert!((block(&after) - expected).norm_max() < TOLERANCE);
            for k in 12..before.ncols() {
                assert!((after[(example, k)] - before[(example, k)]).abs() < TOLERANCE);
            }
        }
        let units = vec![0.5, 2.0, 4.0];
        let after = Drawn::Units(units.clone())
            .gradients(&network, &problem)?
            .rows;
        for example in 0..problem.len() {
            for (unit, stretch) in units.iter().enumerate() {
                let (weight, bias, outgoing) = (unit * 4, 12 + unit, 15 + unit);
                let slopes = [
                    (weight, 1.0 / stretch),
                    (bias, 1.0 / stretch),
                    (outgoing, *stretch),
                ];
                for (k, factor) in slopes {
                    let expected = factor * before[(example, k)];
                    assert!((after[(example, k)] - expected).abs() < TOLERANCE);
                }
            }
        }
        Ok(())
    }

    #[test]
    fn a_rotation_keeps_lengths_and_bent_coordinates_stretch_up_to_the_condition() {
        let (network, _, mut generator) = network_and_problem();
        let map = rotation(7, &mut generator);
        let identity = Mat::<f64>::identity(7, 7);
        assert!((map.transpose() * &map - identity).norm_max() < TOLERANCE);
        let Drawn::OnGradients(bent) = Transformation::Bent.draw(&network, 10.0, &mut generator)
        else {
            panic!("bending acts on gradients");
        };
        let largest = bent
            .diagonal()
            .column_vector()
            .iter()
            .fold(0.0f64, |m, v| m.max(*v));
        assert!((largest - 10.0).abs() < TOLERANCE);
    }

    #[test]
    fn a_map_of_all_parameters_turns_gradients_by_the_chain_rule_and_leaves_no_layers() -> Result<()>
    {
        let (network, problem, mut generator) = network_and_problem();
        let before = network.gradients(&problem)?.rows;
        let d = before.ncols();
        // neither symmetric nor orthogonal, so that a transpose or an inverse would show
        let map =
            rotation(d, &mut generator) * diagonal(&vec![2.0; d]) + Mat::<f64>::identity(d, d);
        let after = Drawn::OnGradients(map.clone()).gradients(&network, &problem)?;
        assert!(after.pairs.is_empty());
        for example in 0..problem.len() {
            for k in 0..d {
                // theta_i = sum_k J_ik phi_k
                let expected: f64 = (0..d).map(|i| before[(example, i)] * map[(i, k)]).sum();
                assert!((after.rows[(example, k)] - expected).abs() < TOLERANCE);
            }
        }
        Ok(())
    }

    #[test]
    fn the_logarithms_of_stretches_fill_the_range_of_the_condition_evenly() {
        let mut generator = Seed::root(6).derive("stretches").generator();
        let network = Network::random([1, 1000, 1], &mut generator);
        let Drawn::Units(stretches) =
            Transformation::RescaledUnits.draw(&network, 100.0, &mut generator)
        else {
            panic!("units are rescaled one by one");
        };
        // between 1/sqrt(100) and sqrt(100), so that decimal logarithms are between -1 and 1
        let logarithms: Vec<f64> = stretches.iter().map(|c| c.log10()).collect();
        assert!(logarithms.iter().all(|l| l.abs() <= 1.0));
        // each quarter of the range has 250 of 1000, to five standard errors of sqrt(1000 * 1/4 * 3/4) = 13.7
        for quarter in 0..4 {
            let from = -1.0 + 0.5 * f64::from(quarter);
            let inside = logarithms
                .iter()
                .filter(|l| (from..from + 0.5).contains(*l));
            let count = inside.count();
            assert!(count.abs_diff(250) < 69, "{quarter}: {count}");
        }
    }

    #[test]
    fn every_kind_has_a_name_of_its_own_since_its_draws_are_seeded_by_it() {
        let names: std::collections::BTreeSet<_> =
            Transformation::ALL.map(Transformation::name).into();
        assert_eq!(names.len(), Transformation::ALL.len());
    }
}
