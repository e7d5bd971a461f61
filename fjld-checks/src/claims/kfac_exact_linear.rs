//! Where the Kronecker product of the factors is the second moment exactly.

use super::kfac::{Layer, kronecker};
use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, q, tuple};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use num_traits::{One, Zero};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "kfac-exact-linear",
        origin: Origin::Document,
        statement: "For a linear layer with Gaussian inputs A (x) G is exactly the second moment of its gradients.",
        sentence: Some(Sentence {
            section: "Theory",
            line: 425,
            sha256: "226bd0222b0a372e8ea4769366a32ce3c452409e1e255f4a74af0cebc6a458c5",
            status: "stated",
        }),
        holds_when: Some(
            "the network is linear with squared loss and the labels are drawn from the model, whatever the law of the inputs",
        ),
        corrected: Some(
            "The product is exact for inputs and output gradients that are independent, whatever their laws. For jointly Gaussian a and g with means alpha and gamma, cross-covariance c and M = E a g' the entry E a_i a_j g_k g_l exceeds A_ij G_kl by M_ik M_jl + M_il M_jk - 2 alpha_i alpha_j gamma_k gamma_l; so the product is exact only for c = 0, where they are independent, and for c = -2 alpha gamma'. A vanishing mean gradient M does not suffice.",
        ),
        scenarios: &[],
        checks: vec![regression(), model_labels(), independent(), gaussian()],
    }
}

/// Five points whose moments up to the fifth are those of a standard Gaussian: 0 with probability 1/2, `+-1` with 1/6, `+-2` with 1/12.
/// The products of four of the variables below then have exactly their Gaussian expectations.
const GAUSSIAN: [(i64, i64); 5] = [(0, 2), (1, 6), (-1, 6), (2, 12), (-2, 12)];

/// `a = alpha + z` and `g = gamma + K z + e` with independent standard Gaussian `z` and `e`; so `c = Cov(a, g) = K'`.
struct Joint {
    input_mean: Vec<Q>,
    gradient_mean: Vec<Q>,
    slope: Matrix,
}

impl Joint {
    fn layer(&self) -> Layer {
        let (n, m) = (self.input_mean.len(), self.gradient_mean.len());
        let count = GAUSSIAN.len();
        let example = |code: usize| {
            let point = |k: usize| GAUSSIAN[code / count.pow(k as u32) % count];
            let value = |k: usize| q(point(k).0, 1);
            let z: Vec<Q> = (0..n).map(value).collect();
            let probability = (0..n + m).map(|k| q(1, point(k).1)).product();
            let input = self.input_mean.iter().zip(&z).map(|(a, z)| a + z);
            let shift = self.slope.apply(&z);
            let gradient = (0..m).map(|k| &self.gradient_mean[k] + &shift[k] + value(n + k));
            (probability, input.collect(), gradient.collect())
        };
        Layer::weighted((0..count.pow((n + m) as u32)).map(example).collect())
    }

    fn describe(&self) -> String {
        let slope: Vec<String> = self.slope.0.iter().map(|row| tuple(row)).collect();
        format!(
            "a = {} + z, g = {} + {} z + e, z and e standard Gaussian",
            tuple(&self.input_mean),
            tuple(&self.gradient_mean),
            slope.join("; ")
        )
    }
}

/// Both sides of the claim.
fn sides(layer: &Layer) -> (Matrix, Matrix) {
    let product = kronecker(&layer.input_factor(), &layer.output_factor());
    (product, layer.second_moment())
}

/// Least squares with one weight `w`, labels `v a + e`: the output gradient is `(w - v) a - e`. Any `w - v`, or `sixty_fourths/64`.
enum Regression {
    Any,
    Near { sixty_fourths: i64 },
}

fn examine_regression(world: &Regression, _: &Draw) -> Finding {
    let fixed = match *world {
        Regression::Any => None,
        Regression::Near { sixty_fourths } => Some(q(sixty_fourths, 64)),
    };
    let part = Part::new(&[&[Axis::Any; 2]], 3, move |c| {
        let slope = fixed.clone().unwrap_or_else(|| c[1].clone());
        Some(Joint {
            input_mean: vec![c[0].clone()],
            gradient_mean: vec![Q::zero()],
            slope: Matrix(vec![vec![slope]]),
        })
    });
    search(&[part], |joint| {
        let (product, moment) = sides(&joint.layer());
        (product != moment).then(|| {
            format!(
                "{}: E a^2 g^2 = {moment}, and E a^2 E g^2 = {product}",
                joint.describe()
            )
        })
    })
}

fn regression() -> Check {
    let spec = Spec {
        id: "regression",
        role: Role::AsWritten,
        kind: Kind::Exact,
        hypothesis: "in least squares with one Gaussian input and labels that are linear in it up to Gaussian noise, E a^2 g^2 = A G",
        tolerance: 0.0,
        detectable: Size::of("distance of the weight from its best value", 1.0 / 64.0),
    };
    let worlds = Worlds {
        real: Regression::Any,
        defect: Planted {
            what: "a weight that is 1/64 from its best value",
            size: 1.0 / 64.0,
            world: Regression::Near { sixty_fourths: 1 },
        },
        truth: Planted {
            what: "the best weight, where the residual is independent of the input",
            size: 0.0,
            world: Regression::Near { sixty_fourths: 0 },
        },
    };
    Check::new(spec, worlds, examine_regression)
}

/// Labels of a linear network, the noise being `1 + sixty_fourths/64` as large for one of the two inputs; with one layer, or two.
struct Labels {
    sixty_fourths: i64,
    deep: bool,
}

fn examine_labels(world: &Labels, _: &Draw) -> Finding {
    let noises = [1, -1].map(|sign| [q(sign, 1), q(sign * (64 + world.sixty_fourths), 64)]);
    let deep = world.deep;
    let part = Part::new(&[&[Axis::Any; 7]], 1, move |c| {
        let inputs = [c[..2].to_vec(), c[2..4].to_vec()];
        let first = Matrix(vec![
            vec![Q::one(), c[4].clone()],
            vec![Q::zero(), Q::one()],
        ]);
        let last = Matrix(vec![c[5..].to_vec()]);
        let (mut lower, mut upper) = (Vec::new(), Vec::new());
        for (k, x) in inputs.iter().enumerate() {
            let hidden = first.apply(x);
            let output = last.apply(&hidden);
            for noise in &noises {
                // half the squared error has the gradient z - y
                let label = &output[0] + &noise[k];
                let gradient = vec![&output[0] - label];
                lower.push((x.clone(), last.transpose().apply(&gradient)));
                upper.push((hidden.clone(), gradient));
            }
        }
        let layers = if deep {
            vec![Layer::even(lower), Layer::even(upper)]
        } else {
            vec![Layer::even(upper)]
        };
        Some(layers)
    });
    search(&[part], |layers: &Vec<Layer>| {
        layers.iter().find_map(|layer| {
            let (product, moment) = sides(layer);
            (product != moment)
                .then(|| format!("{layer}: A (x) G = {product}, the second moment is {moment}"))
        })
    })
}

fn model_labels() -> Check {
    let spec = Spec {
        id: "model-labels",
        role: Role::HoldsWhen,
        kind: Kind::Exact,
        hypothesis: "in both layers of a linear network, two inputs, labels that are the output +-1: A (x) G is the second moment",
        tolerance: 0.0,
        detectable: Size::of(
            "relative excess of the labels' noise for one input",
            1.0 / 64.0,
        ),
    };
    let world = |sixty_fourths, deep| Labels {
        sixty_fourths,
        deep,
    };
    let worlds = Worlds {
        real: world(0, true),
        defect: Planted {
            what: "labels whose noise is 1/64 larger for one input",
            size: 1.0 / 64.0,
            world: world(1, true),
        },
        truth: Planted {
            what: "the last layer alone",
            size: 0.0,
            world: world(0, false),
        },
    };
    Check::new(spec, worlds, examine_labels)
}

/// Two inputs and two output gradients in every combination, one input `1 + sixty_fourths/64` times as long in one of them; two outputs,
/// or one.
struct Apart {
    sixty_fourths: i64,
    outputs: usize,
}

fn examine_apart(world: &Apart, _: &Draw) -> Finding {
    let m = world.outputs;
    let excess = q(64 + world.sixty_fourths, 64);
    let part = Part::new(&[&vec![Axis::Any; 2 + 2 * m]], 1, move |c| {
        let (a, g) = c.split_at(2);
        let input = |k: usize| vec![Q::one(), a[k].clone()];
        let longer = input(1).iter().map(|v| v * &excess).collect();
        Some(Layer::even(vec![
            (input(0), g[..m].to_vec()),
            (input(0), g[m..].to_vec()),
            (input(1), g[..m].to_vec()),
            (longer, g[m..].to_vec()),
        ]))
    });
    search(&[part], |layer| {
        let (product, moment) = sides(layer);
        (product != moment)
            .then(|| format!("{layer}: A (x) G = {product}, the second moment is {moment}"))
    })
}

fn independent() -> Check {
    let spec = Spec {
        id: "independent",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "for two inputs and two output gradients in every combination A (x) G is the second moment",
        tolerance: 0.0,
        detectable: Size::of("relative excess of one example's input", 1.0 / 64.0),
    };
    let world = |sixty_fourths, outputs| Apart {
        sixty_fourths,
        outputs,
    };
    let worlds = Worlds {
        real: world(0, 2),
        defect: Planted {
            what: "an input that is 1/64 longer with one of the output gradients",
            size: 1.0 / 64.0,
            world: world(1, 2),
        },
        truth: Planted {
            what: "one output",
            size: 0.0,
            world: world(0, 1),
        },
    };
    Check::new(spec, worlds, examine_apart)
}

/// The last term of the formula is multiplied by `1 + eighths/8`; the means may be anything, or zero.
struct Formula {
    eighths: i64,
    centred: bool,
}

fn joints(n: usize, m: usize, max_height: u64, centred: bool) -> Part<Joint> {
    let axes = vec![Axis::Any; n + m + n * m];
    Part::new(&[&axes], max_height, move |c| {
        let (means, slopes) = c.split_at(n + m);
        // doubled, so that c = -2 alpha gamma' is among the cases of small height
        let slopes: Vec<Q> = slopes.iter().map(|s| q(2, 1) * s).collect();
        let mean = |k: usize| {
            if centred { Q::zero() } else { means[k].clone() }
        };
        Some(Joint {
            input_mean: (0..n).map(mean).collect(),
            gradient_mean: (n..n + m).map(mean).collect(),
            slope: Matrix(slopes.chunks(n).map(<[Q]>::to_vec).collect()),
        })
    })
}

fn examine_gaussian(world: &Formula, _: &Draw) -> Finding {
    let centred = world.centred;
    let parts = [
        joints(1, 1, 2, centred),
        joints(2, 1, 1, centred),
        joints(1, 2, 1, centred),
    ];
    let factor = q(2 * (8 + world.eighths), 8);
    search(&parts, |joint| {
        let layer = joint.layer();
        let (product, moment) = sides(&layer);
        let (alpha, gamma) = (&joint.input_mean, &joint.gradient_mean);
        let (m, d) = (gamma.len(), product.rows());
        let cross = |i: usize, k: usize| &joint.slope.0[k][i] + &alpha[i] * &gamma[k];
        let predicted = Matrix::from_fn(d, d, |row, column| {
            // a (x) g has a_i g_k at i m + k
            let (i, k, j, l) = (row / m, row % m, column / m, column % m);
            let means = &alpha[i] * &alpha[j] * &gamma[k] * &gamma[l];
            // of A (x) G the entry is A_ij G_kl
            &product.0[row][column] + cross(i, k) * cross(j, l) + cross(i, l) * cross(j, k)
                - &factor * means
        });
        let slope = |f: &dyn Fn(usize, usize) -> Q| {
            (0..alpha.len()).all(|i| (0..m).all(|k| joint.slope.0[k][i] == f(i, k)))
        };
        let exact = slope(&|_, _| Q::zero()) || slope(&|i, k| q(-2, 1) * &alpha[i] * &gamma[k]);
        (moment != predicted || exact != (moment == product)).then(|| {
            format!(
                "{}: the second moment is {moment}, the formula gives {predicted}, and A (x) G = {product}",
                joint.describe()
            )
        })
    })
}

fn gaussian() -> Check {
    let spec = Spec {
        id: "jointly-gaussian",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "for jointly Gaussian a and g, up to three numbers in all, the second moment is that of the formula, and A (x) G exactly when c = 0 or c = -2 alpha gamma'",
        tolerance: 0.0,
        detectable: Size::of("relative error of the term of the means", 0.125),
    };
    let world = |eighths, centred| Formula { eighths, centred };
    let worlds = Worlds {
        real: world(0, false),
        defect: Planted {
            what: "a term of the means that is an eighth too large",
            size: 0.125,
            world: world(1, false),
        },
        truth: Planted {
            what: "means of zero",
            size: 0.0,
            world: world(0, true),
        },
    };
    Check::new(spec, worlds, examine_gaussian)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_five_points_have_the_moments_of_a_standard_gaussian_up_to_the_fifth() {
        for (order, moment) in [(0, 1), (1, 0), (2, 1), (3, 0), (4, 3), (5, 0)] {
            let average: Q = GAUSSIAN
                .iter()
                .map(|&(value, below)| q(value.pow(order), below))
                .sum();
            assert_eq!(average, q(moment, 1), "order {order}");
        }
    }
}
