//! The Fisher information of Gaussian gradients, and when it is the inverse of their covariance.

mod divergence;

use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, dot, q};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use divergence::by_divergence;
use num_traits::{One, Zero};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "fisher-is-inverse-covariance",
        origin: Origin::Document,
        statement: "The Fisher information of the parameters in Gaussian gradients is the inverse of the gradients' covariance, I = D^-1.",
        sentence: Some(Sentence {
            section: "Fisher-Jeffreys Connection",
            line: 40,
            sha256: "fa18d7d6f77fb1fa694691d6ff08f8820945059caea027dd00b4eadd4ef3779b",
            status: "theorem",
        }),
        holds_when: Some(
            "the parameter is the mean gradient itself (a loss with Hessian 1) and the noise does not depend on it",
        ),
        corrected: Some(
            "By the expectation of products of scores I_ij = (d_i mu)' D^-1 (d_j mu) + (1/2) Tr(D^-1 d_iD D^-1 d_jD), where d_i mu is a column of the loss's Hessian. It becomes J'IJ in another chart, as a metric must; D^-1 becomes J^-1 D^-1 J^-T.",
        ),
        scenarios: &[],
        checks: vec![
            is_inverse(
                "curved-loss",
                Role::AsWritten,
                "I = D^-1 for a loss with any invertible Hessian and constant noise",
                Family {
                    curved: true,
                    ..LOCATION
                },
            ),
            is_inverse(
                "varying-noise",
                Role::AsWritten,
                "I = D^-1 for a loss with Hessian 1 and noise that varies with the parameter",
                Family {
                    varying: true,
                    ..LOCATION
                },
            ),
            is_inverse(
                "location",
                Role::HoldsWhen,
                "I = D^-1 for a loss with Hessian 1 and constant noise, correlated or not",
                LOCATION,
            ),
            by_scores(),
            by_divergence(),
            metric(),
        ],
    }
}

/// Gaussian families `g ~ N(H theta, D_0 + theta_1 D_1 + theta_2 D_2)` at `theta = 0`. The information contains the value of `D` and the
/// slopes of `mu` and `D` only, and these families take every such value at this point.
#[derive(Clone, Copy)]
struct Family {
    /// Any invertible Hessian, or 1.
    curved: bool,
    /// Any `D_1` and `D_2`, or none.
    varying: bool,
    /// With two parameters too.
    plane: bool,
    /// The slope of the mean is multiplied by `1 + sixty_fourths/64`.
    sixty_fourths: i64,
}

const LOCATION: Family = Family {
    curved: false,
    varying: false,
    plane: true,
    sixty_fourths: 0,
};

struct Case {
    hessian: Matrix,
    covariance: Matrix,
    slopes: Vec<Matrix>,
}

impl Case {
    fn precision(&self) -> Matrix {
        self.covariance
            .inverse()
            .expect("only definite noise is decoded")
    }

    /// `H D^-1 H + (1/2) Tr(D^-1 D_i D^-1 D_j)`.
    fn information(&self) -> Matrix {
        let precision = self.precision();
        let whitened: Vec<Matrix> = self.slopes.iter().map(|s| precision.times(s)).collect();
        let from_mean = precision.pulled_back(&self.hessian);
        Matrix::from_fn(self.slopes.len(), self.slopes.len(), |i, j| {
            &from_mean.0[i][j] + whitened[i].times(&whitened[j]).trace() / q(2, 1)
        })
    }

    /// `E s_i s_j` of the scores `s_i = x'P m_i + (1/2)(x'P D_i P x - Tr(P D_i))`, `x ~ N(0, D)`, `P = D^-1`, by the moments of `x`:
    /// odd ones vanish, `E x_a x_b = D_ab`, and Isserlis (1918) for the fourth.
    fn score_products(&self) -> Matrix {
        let d = self.slopes.len();
        let precision = self.precision();
        let linear = precision.times(&self.hessian).transpose();
        let quadratic: Vec<Matrix> = self
            .slopes
            .iter()
            .map(|s| precision.times(s).times(&precision))
            .collect();
        let traces: Vec<Q> = self
            .slopes
            .iter()
            .map(|s| precision.times(s).trace())
            .collect();
        let c = &self.covariance.0;
        let fourth = |a: usize, b: usize, e: usize, f: usize| {
            &c[a][b] * &c[e][f] + &c[a][e] * &c[b][f] + &c[a][f] * &c[b][e]
        };
        Matrix::from_fn(d, d, |i, j| {
            let mut of_squares = -(&traces[i] * &traces[j]);
            for (a, b) in pairs(d) {
                let left = &quadratic[i].0[a][b];
                if left.is_zero() {
                    continue;
                }
                for (e, f) in pairs(d) {
                    of_squares += left * &quadratic[j].0[e][f] * fourth(a, b, e, f);
                }
            }
            dot(&linear.0[i], &self.covariance.apply(&linear.0[j])) + of_squares / q(4, 1)
        })
    }

    /// The family that `J'g` follows as a function of `phi`, where `theta = J phi`.
    fn in_chart(&self, jacobian: &Matrix) -> Self {
        let d = self.slopes.len();
        let carried: Vec<Matrix> = self
            .slopes
            .iter()
            .map(|s| s.pulled_back(jacobian))
            .collect();
        let slope = |k: usize| {
            (0..d).fold(Matrix::diagonal(&vec![Q::zero(); d]), |sum, l| {
                sum.plus(&jacobian.0[l][k], &carried[l])
            })
        };
        Self {
            hessian: self.hessian.pulled_back(jacobian),
            covariance: self.covariance.pulled_back(jacobian),
            slopes: (0..d).map(slope).collect(),
        }
    }
}

fn pairs(d: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..d).flat_map(move |a| (0..d).map(move |b| (a, b)))
}

fn times(factor: &Q, matrix: &Matrix) -> Matrix {
    Matrix::diagonal(&vec![Q::zero(); matrix.rows()]).plus(factor, matrix)
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "L = (1/2) theta' H theta with H = {}, D = {}",
            self.hessian, self.covariance
        )?;
        for (k, slope) in self.slopes.iter().enumerate() {
            if slope.0.iter().flatten().any(|v| !v.is_zero()) {
                write!(f, " + theta_{} {slope}", k + 1)?;
            }
        }
        write!(f, " at theta = 0")
    }
}

fn parts(family: Family) -> Vec<Part<Case>> {
    let stretch = q(64 + family.sixty_fourths, 64);
    // few coordinates leave room for more values of each
    let (line, plane) = if family.curved || family.varying {
        (3, 1)
    } else {
        (8, 4)
    };
    let one = family_part(family, 1, line, stretch.clone());
    let two = family_part(family, 2, plane, stretch);
    if family.plane {
        vec![one, two]
    } else {
        vec![one]
    }
}

/// In the plane the Hessian is diagonal and `D_2` has no first entry where the noise varies, to keep the search short.
fn family_part(family: Family, d: usize, max_height: u64, stretch: Q) -> Part<Case> {
    let hessian: &[Axis] = match (family.curved, d, family.varying) {
        (false, ..) => &[],
        (true, 1, _) => &[Axis::NonZero],
        (true, _, true) => &[Axis::NonZero; 2],
        (true, _, false) => &[Axis::Any; 3],
    };
    let covariance: &[Axis] = match d {
        1 => &[Axis::Positive],
        _ => &[Axis::Positive, Axis::Any, Axis::Positive],
    };
    let slopes: &[Axis] = match (family.varying, d) {
        (false, _) => &[],
        (true, 1) => &[Axis::Any],
        (true, _) => &[Axis::Any; 5],
    };
    let (h, c) = (hessian.len(), hessian.len() + covariance.len());
    Part::new(&[hessian, covariance, slopes], max_height, move |x| {
        let hessian = match h {
            0 => Matrix::identity(d),
            3 => Matrix::symmetric(2, &x[..3]),
            _ => Matrix::diagonal(&x[..h]),
        };
        let covariance = Matrix::symmetric(d, &x[h..c]);
        let mut slopes = vec![Matrix::diagonal(&vec![Q::zero(); d]); d];
        match x.len() - c {
            0 => {}
            1 => slopes[0] = Matrix::diagonal(&x[c..]),
            _ => {
                slopes[0] = Matrix::symmetric(2, &x[c..c + 3]);
                slopes[1] = Matrix::symmetric(2, &[Q::zero(), x[c + 3].clone(), x[c + 4].clone()]);
            }
        }
        let fits = covariance.is_positive_definite() && !hessian.determinant().is_zero();
        fits.then(|| Case {
            hessian: times(&stretch, &hessian),
            covariance,
            slopes,
        })
    })
}

fn examine_inverse(family: &Family, _: &Draw) -> Finding {
    search(&parts(*family), |case| {
        let (information, precision) = (case.information(), case.precision());
        (information != precision).then(|| format!("{case}: I = {information}, D^-1 = {precision}"))
    })
}

fn is_inverse(id: &'static str, role: Role, hypothesis: &'static str, real: Family) -> Check {
    let spec = Spec {
        id,
        role,
        kind: Kind::Exact,
        hypothesis,
        tolerance: 0.0,
        detectable: Size::of("relative excess of the Hessian over 1", 1.0 / 64.0),
    };
    let worlds = Worlds {
        real,
        defect: Planted {
            what: "constant noise, but a Hessian that is 1/64 above 1",
            size: 1.0 / 64.0,
            world: Family {
                sixty_fourths: 1,
                ..LOCATION
            },
        },
        truth: Planted {
            what: "one parameter, the mean gradient itself, and constant noise",
            size: 0.0,
            world: Family {
                plane: false,
                ..LOCATION
            },
        },
    };
    Check::new(spec, worlds, examine_inverse)
}

const ANY: Family = Family {
    curved: true,
    varying: true,
    plane: true,
    sixty_fourths: 0,
};

/// The slope of the mean that enters the formula is off by the family's excess, that of the scores is not.
fn examine_scores(family: &Family, _: &Draw) -> Finding {
    let stretch = q(64 + family.sixty_fourths, 64);
    let exact = Family {
        sixty_fourths: 0,
        ..*family
    };
    search(&parts(exact), |case| {
        let estimate = Case {
            hessian: times(&stretch, &case.hessian),
            covariance: case.covariance.clone(),
            slopes: case.slopes.clone(),
        };
        let (formula, scores) = (estimate.information(), case.score_products());
        (formula != scores)
            .then(|| format!("{case}: the formula gives {formula}, the scores {scores}"))
    })
}

fn by_scores() -> Check {
    let spec = Spec {
        id: "score-products",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "H D^-1 H + (1/2) Tr(D^-1 d_iD D^-1 d_jD) is the expected product of the scores, in one and two dimensions",
        tolerance: 0.0,
        detectable: Size::of("relative error of the slope of the mean", 1.0 / 64.0),
    };
    let worlds = Worlds {
        real: ANY,
        defect: Planted {
            what: "a slope of the mean that is 1/64 too large in the formula",
            size: 1.0 / 64.0,
            world: Family {
                sixty_fourths: 1,
                ..ANY
            },
        },
        truth: Planted {
            what: "constant noise",
            size: 0.0,
            world: Family {
                varying: false,
                ..ANY
            },
        },
    };
    Check::new(spec, worlds, examine_scores)
}

/// Jacobians, with the Hessian in the new chart off by `sixty_fourths/64`.
struct Charts {
    diagonal: bool,
    sixty_fourths: i64,
}

fn examine_metric(world: &Charts, _: &Draw) -> Finding {
    let covariance: &[Axis] = &[Axis::Positive, Axis::Any, Axis::Positive];
    let jacobian: &[Axis] = if world.diagonal {
        &[Axis::NonZero; 2]
    } else {
        &[Axis::Any; 4]
    };
    let diagonal = world.diagonal;
    // D, the slopes of its diagonal along either parameter, J; the Hessian [[2, 1], [1, 1]]
    let part = Part::new(&[covariance, &[Axis::Any; 4], jacobian], 1, move |c| {
        let jacobian = if diagonal {
            Matrix::diagonal(&c[7..])
        } else {
            Matrix(vec![c[7..9].to_vec(), c[9..].to_vec()])
        };
        let case = Case {
            hessian: Matrix::symmetric(2, &[q(2, 1), Q::one(), Q::one()]),
            covariance: Matrix::symmetric(2, &c[..3]),
            slopes: vec![Matrix::diagonal(&c[3..5]), Matrix::diagonal(&c[5..7])],
        };
        let fits = case.covariance.is_positive_definite() && !jacobian.determinant().is_zero();
        fits.then_some((case, jacobian))
    });
    let stretch = q(64 + world.sixty_fourths, 64);
    search(&[part], |(case, jacobian)| {
        let mut there = case.in_chart(jacobian);
        there.hessian = times(&stretch, &there.hessian);
        let expected = case.information().pulled_back(jacobian);
        let information = there.information();
        let back = jacobian.inverse().expect("only invertible J are decoded");
        let precision = case.precision().pulled_back(&back.transpose());
        let wrong = information != expected || there.precision() != precision;
        wrong.then(|| {
            format!("{case}, J = {jacobian}: I' = {information}, J'IJ = {expected}, D'^-1 = {}, J^-1 D^-1 J^-T = {precision}", there.precision())
        })
    })
}

fn metric() -> Check {
    let spec = Spec {
        id: "metric",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "in the chart phi, theta = J phi, the information of J'g is J'IJ and the inverse of its covariance is J^-1 D^-1 J^-T",
        tolerance: 0.0,
        detectable: Size::of("relative error of the Hessian in the new chart", 1.0 / 64.0),
    };
    let worlds = Worlds {
        real: Charts {
            diagonal: false,
            sixty_fourths: 0,
        },
        defect: Planted {
            what: "a Hessian that is 1/64 too large in the new chart",
            size: 1.0 / 64.0,
            world: Charts {
                diagonal: false,
                sixty_fourths: 1,
            },
        },
        truth: Planted {
            what: "changes of sign",
            size: 0.0,
            world: Charts {
                diagonal: true,
                sixty_fourths: 0,
            },
        },
    };
    Check::new(spec, worlds, examine_metric)
}
