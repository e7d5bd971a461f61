//! The comparison with neural tangent kernels: what depends on the scaling of the parameters.
//!
//! Judged is the line on reparameterisation. Width, linearisation and the limit say what either theory is about.
//!
//! With squared loss an example's gradient is its residual times the gradient of the output, `g_i = r_i df(x_i)`, so that
//! `g_i . g_j = r_i r_j K_ij` with the tangent kernel `K_ij = df(x_i) . df(x_j)`. Over `n` examples
//!
//! ```text
//! |mu|^2 = (1/n^2) sum_ij r_i r_j K_ij       Tr D = (1/n) sum_i r_i^2 K_ii - |mu|^2
//! ```
//!
//! and `C` is a function of the kernel and the residuals alone. In the chart `theta = J phi` the kernel becomes `df(x_i)' JJ' df(x_j)`, and `C`
//! moves with it; but for a common factor, which the kernel takes on squared and `C` does not.

use super::theorem_2_corrected::length_is_invariant;
use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, dot, q, squared_norm, tuple};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use num_traits::{One, Zero};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "comparison-ntk",
        origin: Origin::Document,
        statement: "The neural tangent kernel takes infinite width, a linearisation and a deterministic limit, and depends on the scaling; this theory takes finite networks, models the noise and is invariant.",
        sentence: Some(Sentence {
            section: "vs. Neural Tangent Kernels (NTK)",
            line: 350,
            sha256: "eeccda15f83ccfa5abe248a9d19a4dfed779ac30a259528d64058e11aebcce43",
            status: "stated",
        }),
        holds_when: Some(
            "all parameters are scaled by one factor: then the kernel changes and C does not",
        ),
        corrected: Some(
            "With squared loss C is a function of the residuals and the tangent kernel, in any chart; so it depends on the scaling of the parameters against each other as the kernel does. Independent of it is mu' D^+ mu / rank(D).",
        ),
        scenarios: &[],
        checks: vec![
            kernel_moves(),
            ratio_stays(
                "ratio-stays",
                Role::AsWritten,
                "C of a linear model with a bias is the same however weight and bias are scaled",
                Scales::Any,
            ),
            ratio_stays(
                "common-scale",
                Role::HoldsWhen,
                "where weight and bias are scaled by one s, C is the same and the kernel s^2 times what it was",
                Scales::Common {
                    sixty_fourths: 0,
                    signs: false,
                },
            ),
            from_the_kernel(),
            length_is_invariant("mahalanobis", Role::Corrected),
        ],
    }
}

/// The model `f(x) = w x + b` at some inputs, with the residuals there.
struct Case {
    inputs: Vec<Q>,
    residuals: Vec<Q>,
}

impl Case {
    /// `df(x_i)` in the chart `(w, b) = J phi`: `J'(x_i, 1)`.
    fn slopes(&self, jacobian: &Matrix) -> Vec<Vec<Q>> {
        let chart = jacobian.transpose();
        let inputs = self.inputs.iter();
        inputs
            .map(|x| chart.apply(&[x.clone(), Q::one()]))
            .collect()
    }

    fn kernel(&self, jacobian: &Matrix) -> Matrix {
        let slopes = self.slopes(jacobian);
        Matrix::from_fn(slopes.len(), slopes.len(), |i, j| {
            dot(&slopes[i], &slopes[j])
        })
    }

    /// `|mu|^2` and `Tr D` over the examples, gradient by gradient.
    fn moments(&self, jacobian: &Matrix) -> (Q, Q) {
        let count = q(self.inputs.len() as i64, 1);
        let gradients: Vec<Vec<Q>> = self
            .slopes(jacobian)
            .iter()
            .zip(&self.residuals)
            .map(|(slope, r)| slope.iter().map(|s| r * s).collect())
            .collect();
        let mean: Vec<Q> = (0..2)
            .map(|k| gradients.iter().map(|g| g[k].clone()).sum::<Q>() / &count)
            .collect();
        let squares: Q = gradients
            .iter()
            .map(|g| {
                let gap: Vec<Q> = g.iter().zip(&mean).map(|(g, m)| g - m).collect();
                squared_norm(&gap)
            })
            .sum();
        (squared_norm(&mean), squares / count)
    }

    /// `C`, unless the noise vanishes.
    fn ratio(&self, jacobian: &Matrix) -> Option<Q> {
        let (signal, noise) = self.moments(jacobian);
        (!noise.is_zero()).then(|| signal / noise)
    }

    fn show(&self) -> String {
        format!(
            "f(x) = w x + b at x = {}, residuals {}",
            tuple(&self.inputs),
            tuple(&self.residuals)
        )
    }
}

/// Scales of weight and bias that are kept at 1.
struct Kept {
    weight: bool,
    bias: bool,
}

fn examine_kernel(world: &Kept, _: &Draw) -> Finding {
    let (weight, bias) = (world.weight, world.bias);
    let part = Part::new(&[&[Axis::Any; 2], &[Axis::Positive; 2]], 2, move |c| {
        let kept = |keep, scale: &Q| if keep { Q::one() } else { scale.clone() };
        let scales = [kept(weight, &c[2]), kept(bias, &c[3])];
        // two inputs with one square, or a chart asked to change that does not, tell nothing
        let differ = &c[0] * &c[0] != &c[1] * &c[1];
        let changed = [(weight, &scales[0]), (bias, &scales[1])];
        let asked = changed.iter().all(|(keep, s)| *keep || !s.is_one());
        (differ && asked).then(|| {
            let case = Case {
                inputs: c[..2].to_vec(),
                residuals: vec![Q::one(); 2],
            };
            (case, Matrix::diagonal(&scales))
        })
    });
    search(&[part], |(case, jacobian)| {
        let (here, there) = (case.kernel(&Matrix::identity(2)), case.kernel(jacobian));
        (here == there).then(|| format!("{}, J = {jacobian}: the kernel stays {here}", case.show()))
    })
}

fn kernel_moves() -> Check {
    let spec = Spec {
        id: "kernel-moves",
        role: Role::AsWritten,
        kind: Kind::Exact,
        hypothesis: "the tangent kernel of a linear model with a bias, at two inputs of different size, changes when weight and bias are scaled",
        tolerance: 0.0,
        detectable: Size::of("scales that stay at 1", 1.0),
    };
    let worlds = Worlds {
        real: Kept {
            weight: false,
            bias: false,
        },
        defect: Planted {
            what: "both scales at 1, where nothing changes",
            size: 2.0,
            world: Kept {
                weight: true,
                bias: true,
            },
        },
        truth: Planted {
            what: "the bias alone is scaled",
            size: 0.0,
            world: Kept {
                weight: true,
                bias: false,
            },
        },
    };
    Check::new(spec, worlds, examine_kernel)
}

#[derive(Clone, Copy)]
enum Scales {
    Any,
    /// One for both, but for the bias larger by `sixty_fourths/64`; of size 1 if only `signs` are to change.
    Common {
        sixty_fourths: i64,
        signs: bool,
    },
}

/// Two examples with unlike gradients, and the scales of weight and bias.
fn scaled(scales: Scales) -> Part<(Case, Q, Q)> {
    Part::new(&[&[Axis::Any; 2], &[Axis::NonZero; 2]], 2, move |c| {
        let (weight, bias) = match scales {
            Scales::Any => (c[3].clone(), Q::one()),
            Scales::Common {
                sixty_fourths,
                signs,
            } => {
                let scale = if signs { q(-1, 1) } else { c[3].clone() };
                (scale.clone(), scale * q(64 + sixty_fourths, 64))
            }
        };
        let case = Case {
            inputs: c[..2].to_vec(),
            // a common factor of the residuals cancels in C
            residuals: vec![c[2].clone(), Q::one()],
        };
        Some((case, weight, bias))
    })
}

fn examine_ratio(world: &Scales, _: &Draw) -> Finding {
    let common = matches!(world, Scales::Common { .. });
    search(&[scaled(*world)], |(case, weight, bias)| {
        let (one, jacobian) = (
            Matrix::identity(2),
            Matrix::diagonal(&[weight.clone(), bias.clone()]),
        );
        let (before, after) = (case.ratio(&one)?, case.ratio(&jacobian)?);
        let squared = Matrix::from_fn(2, 2, |i, j| &case.kernel(&one).0[i][j] * weight * weight);
        let kept = before == after && (!common || case.kernel(&jacobian) == squared);
        (!kept).then(|| {
            format!(
                "{}: C = {before}; with the weight scaled by {weight} and the bias by {bias} C = {after}, and the kernel {} becomes {}",
                case.show(),
                case.kernel(&one),
                case.kernel(&jacobian)
            )
        })
    })
}

fn ratio_stays(id: &'static str, role: Role, hypothesis: &'static str, real: Scales) -> Check {
    let common = |sixty_fourths, signs| Scales::Common {
        sixty_fourths,
        signs,
    };
    let spec = Spec {
        id,
        role,
        kind: Kind::Exact,
        hypothesis,
        tolerance: 0.0,
        detectable: Size::of(
            "scale of the bias against the weight's, relative",
            1.0 / 64.0,
        ),
    };
    let worlds = Worlds {
        real,
        defect: Planted {
            what: "a common scale, but for a bias that is scaled by 1/64 more",
            size: 1.0 / 64.0,
            world: common(1, false),
        },
        truth: Planted {
            what: "both signs changed",
            size: 0.0,
            world: common(0, true),
        },
    };
    Check::new(spec, worlds, examine_ratio)
}

/// The kernel's diagonal is multiplied by `1 + sixty_fourths/64`; in any chart, or the model's own.
struct Kernel {
    sixty_fourths: i64,
    own_chart: bool,
}

fn examine_from_kernel(world: &Kernel, _: &Draw) -> Finding {
    let own_chart = world.own_chart;
    let chart: &[Axis] = if own_chart { &[] } else { &[Axis::Any; 4] };
    let part = Part::new(&[&[Axis::Any; 3], chart], 1, move |c| {
        let jacobian = if own_chart {
            Matrix::identity(2)
        } else {
            Matrix(vec![c[3..5].to_vec(), c[5..7].to_vec()])
        };
        // three inputs that are never all alike
        let inputs = vec![c[0].clone(), q(-1, 1), q(2, 1)];
        let case = Case {
            inputs,
            residuals: vec![c[1].clone(), c[2].clone(), Q::one()],
        };
        (!jacobian.determinant().is_zero()).then_some((case, jacobian))
    });
    let excess = q(64 + world.sixty_fourths, 64);
    search(&[part], |(case, jacobian)| {
        let kernel = case.kernel(jacobian);
        let count = q(case.inputs.len() as i64, 1);
        let r = &case.residuals;
        let signal = dot(r, &kernel.apply(r)) / (&count * &count);
        let squares: Q = (0..r.len())
            .map(|i| &r[i] * &r[i] * &kernel.0[i][i] * &excess)
            .sum();
        let noise = squares / count - &signal;
        let moments = case.moments(jacobian);
        ((&signal, &noise) != (&moments.0, &moments.1)).then(|| {
            format!(
                "{}, J = {jacobian}: |mu|^2 = {} and Tr D = {}, from the kernel {signal} and {noise}",
                case.show(),
                moments.0,
                moments.1
            )
        })
    })
}

fn from_the_kernel() -> Check {
    let spec = Spec {
        id: "from-the-kernel",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "over three examples of a linear model with a bias, |mu|^2 and Tr D from residuals and tangent kernel are those of the gradients, in every chart",
        tolerance: 0.0,
        detectable: Size::of("relative error of the kernel's diagonal", 1.0 / 64.0),
    };
    let kernel = |sixty_fourths, own_chart| Kernel {
        sixty_fourths,
        own_chart,
    };
    let worlds = Worlds {
        real: kernel(0, false),
        defect: Planted {
            what: "a kernel whose diagonal is 1/64 too large",
            size: 1.0 / 64.0,
            world: kernel(1, false),
        },
        truth: Planted {
            what: "the model's own parameters",
            size: 0.0,
            world: kernel(0, true),
        },
    };
    Check::new(spec, worlds, examine_from_kernel)
}
