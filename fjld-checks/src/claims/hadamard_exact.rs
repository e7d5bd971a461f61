//! The diagonal as exact for independent coordinates.

use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, q, tuple};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{
    Check, Draw, Finding, Kind, Outcome, Planted, Role, Size, Spec, Worlds, worse,
};
use faer::Mat;
use faer::linalg::solvers::{DenseSolveCore, PartialPivLu};
use fjld_core::geometry::hadamard_gap;
use fjld_core::rng::standard_normals;
use num_traits::{One, Zero};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "hadamard-exact",
        origin: Origin::Document,
        statement: "The diagonal form is exact where the gradient's coordinates are independent.",
        sentence: Some(Sentence {
            section: "FAQ",
            line: 376,
            sha256: "3dce6adadf253544c1df4934f3ffce7b23bf5fe082da193c3cff8426125dc449",
            status: "stated",
        }),
        holds_when: None,
        corrected: Some(
            "For the covariance it is enough that the coordinates are uncorrelated; and det D <= prod D_ii always, with equality for definite D only if they are (Hadamard). The second moment E gg' has mu_i mu_j off its diagonal even where the coordinates are independent, so its diagonal is exact only where at most one mean is not 0.",
        ),
        scenarios: &[],
        checks: vec![
            independent(),
            uncorrelated(),
            hadamard(),
            library(),
            second_moment(),
        ],
    }
}

/// A gradient of two coordinates that takes finitely many values, with their probabilities.
struct Law(Vec<(Q, [Q; 2])>);

impl Law {
    fn mean(&self) -> [Q; 2] {
        [0, 1].map(|k| self.0.iter().map(|(p, g)| p * &g[k]).sum())
    }

    fn second_moment(&self) -> Matrix {
        Matrix::from_fn(2, 2, |i, j| {
            self.0.iter().map(|(p, g)| p * &g[i] * &g[j]).sum()
        })
    }

    fn covariance(&self) -> Matrix {
        let mean = self.mean();
        let moment = self.second_moment();
        Matrix::from_fn(2, 2, |i, j| &moment.0[i][j] - &mean[i] * &mean[j])
    }

    /// Each coordinate takes its second value with its own share; both second values come `excess` more often together.
    fn of_two_points(values: &[Q], shares: [&Q; 2], excess: &Q) -> Self {
        let [s, t] = shares;
        let both = s * t + excess;
        let neither = Q::one() - s - t + &both;
        let (a, b) = (&values[..2], &values[2..]);
        let at = |i: usize, j: usize| [a[i].clone(), b[j].clone()];
        Self(vec![
            (neither, at(0, 0)),
            (s - &both, at(1, 0)),
            (t - &both, at(0, 1)),
            (both, at(1, 1)),
        ])
    }
}

impl std::fmt::Display for Law {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let points: Vec<String> = self
            .0
            .iter()
            .map(|(p, g)| format!("{} with probability {p}", tuple(g)))
            .collect();
        write!(f, "g = {}", points.join(", "))
    }
}

/// What is wrong with the diagonal in place of a definite covariance: its determinant, its inverse, or both.
fn inexact(law: &Law) -> Option<String> {
    let covariance = law.covariance();
    let inverse = covariance.inverse()?;
    let variances = [0, 1].map(|k| covariance.0[k][k].clone());
    let of_diagonal = Matrix::diagonal(&variances.clone().map(|v| v.recip()));
    let (full, diagonal) = (covariance.determinant(), covariance.diagonal_product());
    (full != diagonal || inverse != of_diagonal).then(|| {
        format!("{law}: D = {covariance}, det D = {full}, the product of its diagonal {diagonal}")
    })
}

/// Two coordinates, independent but for `sixty_fourths/64` of probability; each symmetric about its mean, or any.
struct Pair {
    sixty_fourths: i64,
    symmetric: bool,
}

fn examine_independent(world: &Pair, _: &Draw) -> Finding {
    let symmetric = world.symmetric;
    let shares: &[Axis] = if symmetric { &[] } else { &[Axis::Positive; 2] };
    let excess = q(world.sixty_fourths, 64);
    let part = Part::new(&[&[Axis::Any; 3], shares], 2, move |c| {
        // w / (1 + w) goes through the rationals between 0 and 1
        let share = |k: usize| match c.get(k) {
            Some(w) => w / (Q::one() + w),
            None => q(1, 2),
        };
        // the first value of the first coordinate is 0: the covariance does not change with it
        let values = [&[Q::zero()], &c[..3]].concat();
        Some(Law::of_two_points(&values, [&share(3), &share(4)], &excess))
    });
    search(&[part], inexact)
}

fn independent() -> Check {
    let spec = Spec {
        id: "independent",
        role: Role::AsWritten,
        kind: Kind::Exact,
        hypothesis: "for independent coordinates, each of two values with any shares, det D and D^-1 are those of the diagonal of D",
        tolerance: 0.0,
        detectable: Size::of(
            "probability by which two values come together too often",
            1.0 / 64.0,
        ),
    };
    let pair = |sixty_fourths, symmetric| Pair {
        sixty_fourths,
        symmetric,
    };
    let worlds = Worlds {
        real: pair(0, false),
        defect: Planted {
            what: "two values that come together in 1/64 of draws too many",
            size: 1.0 / 64.0,
            world: pair(1, false),
        },
        truth: Planted {
            what: "coordinates that take either value half the time",
            size: 0.0,
            world: pair(0, true),
        },
    };
    Check::new(spec, worlds, examine_independent)
}

/// One coordinate at a time moves, by plus or minus its own amount: dependent, but uncorrelated. With `sixty_fourths/64` of the draws
/// moving both.
struct Cross {
    sixty_fourths: i64,
    even: bool,
}

fn examine_uncorrelated(world: &Cross, _: &Draw) -> Finding {
    let even = world.even;
    let together = q(world.sixty_fourths, 64);
    let share: &[Axis] = if even { &[] } else { &[Axis::Positive] };
    let part = Part::new(
        &[&[Axis::Any; 2], &[Axis::NonZero; 2], share],
        2,
        move |c| {
            let first = match c.get(4) {
                Some(w) => w / (Q::one() + w),
                None => q(1, 2),
            };
            let rest = Q::one() - &together;
            let (x, y) = (
                &first * &rest / q(2, 1),
                (Q::one() - &first) * rest / q(2, 1),
            );
            let at = |a: Q, b: Q| [&c[0] + a, &c[1] + b];
            let (a, b, zero) = (c[2].clone(), c[3].clone(), Q::zero());
            Some(Law(vec![
                (x.clone(), at(a.clone(), zero.clone())),
                (x, at(-&a, zero.clone())),
                (y.clone(), at(zero.clone(), b.clone())),
                (y, at(zero, -&b)),
                (together.clone(), at(a, b)),
            ]))
        },
    );
    search(&[part], inexact)
}

fn uncorrelated() -> Check {
    let spec = Spec {
        id: "uncorrelated",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "for coordinates that are dependent but uncorrelated, det D and D^-1 are those of the diagonal of D",
        tolerance: 0.0,
        detectable: Size::of("share of draws that move both coordinates", 1.0 / 64.0),
    };
    let cross = |sixty_fourths, even| Cross {
        sixty_fourths,
        even,
    };
    let worlds = Worlds {
        real: cross(0, false),
        defect: Planted {
            what: "one draw in 64 that moves both coordinates",
            size: 1.0 / 64.0,
            world: cross(1, false),
        },
        truth: Planted {
            what: "either coordinate moves half the time",
            size: 0.0,
            world: cross(0, true),
        },
    };
    Check::new(spec, worlds, examine_uncorrelated)
}

/// The product of the diagonal is multiplied by `1 - sixty_fourths/64`.
struct Bound {
    sixty_fourths: i64,
    plane_only: bool,
}

fn examine_hadamard(world: &Bound, _: &Draw) -> Finding {
    let plane = Part::new(&[&[Axis::Positive, Axis::Any, Axis::Positive]], 5, |c| {
        Some(Matrix::symmetric(2, c))
    });
    let space = Part::new(&[&[Axis::Positive; 3], &[Axis::Any; 3]], 2, |c| {
        let entries = [0, 3, 1, 4, 5, 2].map(|k| c[k].clone());
        Some(Matrix::symmetric(3, &entries))
    });
    let parts = if world.plane_only {
        vec![plane]
    } else {
        vec![plane, space]
    };
    let factor = q(64 - world.sixty_fourths, 64);
    search(&parts, |covariance| {
        if !covariance.is_positive_definite() {
            return None;
        }
        let (full, diagonal) = (
            covariance.determinant(),
            covariance.diagonal_product() * &factor,
        );
        let d = covariance.rows();
        let entries: Vec<Q> = (0..d).map(|i| covariance.0[i][i].clone()).collect();
        let is_diagonal = *covariance == Matrix::diagonal(&entries);
        (full > diagonal || (full == diagonal) != is_diagonal).then(|| {
            format!("D = {covariance}: det D = {full}, the product of its diagonal {diagonal}")
        })
    })
}

fn hadamard() -> Check {
    let spec = Spec {
        id: "hadamard",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "det D <= prod D_ii for definite D in two and three dimensions, with equality if and only if D is diagonal",
        tolerance: 0.0,
        detectable: Size::of("relative error of the product", 1.0 / 64.0),
    };
    let bound = |sixty_fourths, plane_only| Bound {
        sixty_fourths,
        plane_only,
    };
    let worlds = Worlds {
        real: bound(0, false),
        defect: Planted {
            what: "a product that is 1/64 too small",
            size: 1.0 / 64.0,
            world: bound(1, false),
        },
        truth: Planted {
            what: "two dimensions, where det D = D_11 D_22 - D_12^2",
            size: 0.0,
            world: bound(0, true),
        },
    };
    Check::new(spec, worlds, examine_hadamard)
}

/// Independent coordinates, as in [`Pair`].
fn examine_second_moment(world: &Pair, _: &Draw) -> Finding {
    let symmetric = world.symmetric;
    let excess = q(world.sixty_fourths, 64);
    let half = q(1, 2);
    let part = Part::new(&[&[Axis::Any; 4]], 2, move |c| {
        let mut values = c.to_vec();
        if symmetric {
            values[1] = -values[0].clone();
            values[3] = -values[2].clone();
        }
        Some(Law::of_two_points(&values, [&half, &half], &excess))
    });
    search(&[part], |law| {
        let (moment, mean) = (law.second_moment(), law.mean());
        let expected = &mean[0] * &mean[1];
        let off = &moment.0[0][1];
        let exact = moment.determinant() == moment.diagonal_product();
        let one_mean_at_most = mean.iter().filter(|m| !m.is_zero()).count() <= 1;
        (*off != expected || exact != one_mean_at_most)
            .then(|| format!("{law}: E gg' = {moment}, mu_1 mu_2 = {expected}"))
    })
}

fn second_moment() -> Check {
    let spec = Spec {
        id: "second-moment",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "for independent coordinates E gg' has mu_1 mu_2 off its diagonal, and det E gg' is the product of its diagonal if and only if that is 0",
        tolerance: 0.0,
        detectable: Size::of(
            "probability by which two values come together too often",
            1.0 / 64.0,
        ),
    };
    let pair = |sixty_fourths, symmetric| Pair {
        sixty_fourths,
        symmetric,
    };
    let worlds = Worlds {
        real: pair(0, false),
        defect: Planted {
            what: "two values that come together in 1/64 of draws too many",
            size: 1.0 / 64.0,
            world: pair(1, false),
        },
        truth: Planted {
            what: "coordinates with mean 0",
            size: 0.0,
            world: pair(0, true),
        },
    };
    Check::new(spec, worlds, examine_second_moment)
}

/// Correlations are `1 + error` times too large for the library; or there are none.
struct Correlated {
    error: f64,
    diagonal: bool,
}

/// Conditions up to 1e4 times a few `d eps`.
const GAP_TOLERANCE: f64 = 1e-10;

fn examine_library(world: &Correlated, draw: &Draw) -> Finding {
    let generator = &mut draw.seed.generator();
    let mut worst = 0f64;
    let mut cases = 0;
    for d in 2..=8 {
        for _ in 0..10 {
            let z = standard_normals(generator, d * d);
            let covariance = Mat::from_fn(d, d, |i, j| {
                let product: f64 = (0..d).map(|k| z[i * d + k] * z[j * d + k]).sum();
                match (i == j, world.diagonal) {
                    (true, _) => 0.5 + product,
                    (false, true) => 0.0,
                    (false, false) => product,
                }
            });
            // the variance of a coordinate given those before it is one over the last entry of the inverse of the leading block
            let expected: f64 = (0..d)
                .map(|i| {
                    let block = covariance.submatrix(0, 0, i + 1, i + 1);
                    let given = PartialPivLu::new(block).inverse()[(i, i)];
                    (covariance[(i, i)] * given).ln()
                })
                .sum();
            let grown = Mat::from_fn(d, d, |i, j| {
                covariance[(i, j)] * if i == j { 1.0 } else { 1.0 + world.error }
            });
            let Ok(gap) = hadamard_gap(grown.as_ref()) else {
                return Finding::new(Outcome::Undecided, cases, "a covariance was refused");
            };
            worst = worse(worst, (gap - expected).abs());
            cases += 1;
        }
    }
    let summary = format!(
        "the library's gap and the sum of what each coordinate's variance loses given those before it differ by at most {worst:.1e} nats over {cases} covariances in 2 to 8 dimensions"
    );
    Finding::of_discrepancy(worst, GAP_TOLERANCE, cases, summary)
}

fn library() -> Check {
    let spec = Spec {
        id: "library",
        role: Role::Corrected,
        kind: Kind::Identity,
        hypothesis: "the library's sum log D_ii - log det D is the sum of the logarithms by which variances shrink given the coordinates before",
        tolerance: GAP_TOLERANCE,
        detectable: Size::of("relative error of the correlations", 1e-8),
    };
    let correlated = |error, diagonal| Correlated { error, diagonal };
    let worlds = Worlds {
        real: correlated(0.0, false),
        defect: Planted {
            what: "correlations that are off by one part in 10^8",
            size: 1e-8,
            world: correlated(1e-8, false),
        },
        truth: Planted {
            what: "no correlations",
            size: 0.0,
            world: correlated(0.0, true),
        },
    };
    let worlds = worlds.violated_by(move |error| correlated(error, false));
    Check::new(spec, worlds, examine_library)
}
