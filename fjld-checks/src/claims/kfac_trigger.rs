//! The condition number as a sign of coupling between parameters.

use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, power, q};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use num_traits::{One, Signed, Zero};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "kfac-trigger",
        origin: Origin::Document,
        statement: "A Fisher condition number above 100 indicates that the parameters are strongly coupled.",
        sentence: Some(Sentence {
            section: "Comparison: Diagonal vs K-FAC",
            line: 513,
            sha256: "5c8d2ac105aeb538887a9905fa7289cabcc0d9de46f92736e736fb690f68417f",
            status: "stated",
        }),
        holds_when: Some(
            "there are two parameters and their entries on the diagonal of F are equal",
        ),
        corrected: Some(
            "Coupling is told by 1 - det F / prod F_ii, which lies in [0, 1], is 0 exactly for a diagonal F and does not change when parameters are rescaled. The condition number changes then, and takes every value without any coupling. Between two parameters of equal scale it is (1 + |rho|)/(1 - |rho|): 19 at the strong correlation 9/10, and above 100 only beyond 99/101.",
        ),
        scenarios: &[],
        checks: vec![
            indicates("any-scales", Role::AsWritten, Pairs::Any),
            indicates("equal-scales", Role::HoldsWhen, Pairs::Scaled { times: 1 }),
            measure(),
            every_value(),
            equal_scales(),
        ],
    }
}

/// `1 - det F / prod F_ii`: one less the determinant of the correlations.
fn coupling(fisher: &Matrix) -> Q {
    Q::one() - fisher.determinant() / fisher.diagonal_product()
}

/// Coupling from which on it is called strong: a correlation of 0.7 between two parameters.
const STRONG: (i64, i64) = (1, 2);

/// Two parameters.
#[derive(Clone, Copy)]
enum Pairs {
    /// Scales and correlation are anything.
    Any,
    /// Any correlation; the second parameter's scale is `times` the first's.
    Scaled { times: i64 },
}

/// The pair with the scales `first` and `second`, the roots of the diagonal, and the correlation `rho`.
fn pair(first: &Q, second: &Q, rho: &Q) -> Matrix {
    let entries = [first * first, rho * first * second, second * second];
    Matrix::symmetric(2, &entries)
}

fn pairs(pairs: Pairs) -> Part<Matrix> {
    match pairs {
        Pairs::Any => Part::new(&[&[Axis::Positive; 2], &[Axis::Any]], 4, |c| {
            (c[2].abs() < Q::one()).then(|| pair(&c[0], &c[1], &c[2]))
        }),
        Pairs::Scaled { times } => {
            Part::new(&[&[Axis::Positive], &[Axis::NonZero]], 6, move |c| {
                // correlations (1 - u)/(1 + u) as near to one as u = x^3 is to zero
                let u = power(&c[1].abs(), 3);
                let rho = (Q::one() - &u) / (Q::one() + &u) * c[1].signum();
                let fisher = pair(&c[0], &(&c[0] * q(times, 1)), &rho);
                fisher.is_positive_definite().then_some(fisher)
            })
        }
    }
}

/// For two parameters `kappa + 1/kappa + 2 = Tr(F)^2/det F`, which grows with `kappa`; at 100 it is `101^2/100`.
fn exceeds_hundred(fisher: &Matrix) -> bool {
    let trace = fisher.trace();
    q(100, 1) * &trace * &trace > q(101 * 101, 1) * fisher.determinant()
}

fn examine_indicates(world: &Pairs, _: &Draw) -> Finding {
    search(&[pairs(*world)], |fisher| {
        let coupling = coupling(fisher);
        (exceeds_hundred(fisher) && coupling < q(STRONG.0, STRONG.1)).then(|| {
            let trace = fisher.trace();
            let squares = &trace * &trace / fisher.determinant();
            format!("F = {fisher}: kappa + 1/kappa + 2 = Tr(F)^2/det F = {squares}, more than the 102.01 of kappa = 100, and the coupling is {coupling}")
        })
    })
}

fn indicates(id: &'static str, role: Role, real: Pairs) -> Check {
    let spec = Spec {
        id,
        role,
        kind: Kind::Exact,
        hypothesis: "two parameters whose Fisher matrix has a condition number above 100 have a coupling of one half or more",
        tolerance: 0.0,
        detectable: Size::of("one parameter's scale over the other's", 11.0),
    };
    let worlds = Worlds {
        real,
        defect: Planted {
            what: "a parameter whose scale is 11 times the other's",
            size: 11.0,
            world: Pairs::Scaled { times: 11 },
        },
        truth: Planted {
            what: "parameters of one scale",
            size: 0.0,
            world: Pairs::Scaled { times: 1 },
        },
    };
    Check::new(spec, worlds, examine_indicates)
}

/// Three parameters, or two; after rescaling, the last row alone is another `1 + sixty_fourths/64` times as large.
struct Rescaling {
    sixty_fourths: i64,
    three: bool,
}

fn examine_measure(world: &Rescaling, _: &Draw) -> Finding {
    let two = Part::new(
        &[&[Axis::Positive; 2], &[Axis::Any; 1], &[Axis::Positive; 2]],
        3,
        |c| {
            let fisher = Matrix::symmetric(2, &[c[0].clone(), c[2].clone(), c[1].clone()]);
            fisher
                .is_positive_definite()
                .then(|| (fisher, c[3..].to_vec()))
        },
    );
    let three = Part::new(&[&[Axis::Any; 3], &[Axis::Positive; 2]], 2, |c| {
        let entries = [
            Q::one(),
            c[0].clone(),
            q(2, 1),
            c[1].clone(),
            c[2].clone(),
            q(3, 1),
        ];
        let fisher = Matrix::symmetric(3, &entries);
        let scales = vec![Q::one(), c[3].clone(), c[4].clone()];
        fisher.is_positive_definite().then_some((fisher, scales))
    });
    let parts = if world.three {
        vec![two, three]
    } else {
        vec![two]
    };
    let excess = q(64 + world.sixty_fourths, 64);
    search(&parts, |(fisher, scales)| {
        let mut rescaled = fisher.pulled_back(&Matrix::diagonal(scales));
        let last = rescaled.rows() - 1;
        rescaled.0[last][last] *= &excess;
        let (before, after) = (coupling(fisher), coupling(&rescaled));
        let entries: Vec<Q> = (0..=last).map(|i| fisher.0[i][i].clone()).collect();
        let is_diagonal = *fisher == Matrix::diagonal(&entries);
        let in_range = !before.is_negative() && before < Q::one();
        (before != after || before.is_zero() != is_diagonal || !in_range).then(|| {
            format!(
                "F = {fisher}: the coupling is {before}, and {after} after rescaling to {rescaled}"
            )
        })
    })
}

fn measure() -> Check {
    let spec = Spec {
        id: "measure",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "for definite F of two and three parameters 1 - det F / prod F_ii lies in [0, 1), is 0 only for diagonal F, and stays the same when parameters are rescaled",
        tolerance: 0.0,
        detectable: Size::of("relative error of one entry after rescaling", 1.0 / 64.0),
    };
    let world = |sixty_fourths, three| Rescaling {
        sixty_fourths,
        three,
    };
    let worlds = Worlds {
        real: world(0, true),
        defect: Planted {
            what: "an entry that is 1/64 too large after rescaling",
            size: 1.0 / 64.0,
            world: world(1, true),
        },
        truth: Planted {
            what: "two parameters",
            size: 0.0,
            world: world(0, false),
        },
    };
    Check::new(spec, worlds, examine_measure)
}

/// `diag(1, kappa)` with `sixty_fourths/64` off the diagonal; any `kappa`, or one.
struct Uncoupled {
    sixty_fourths: i64,
    any: bool,
}

fn examine_every_value(world: &Uncoupled, _: &Draw) -> Finding {
    let (off, any) = (q(world.sixty_fourths, 64), world.any);
    let part = Part::new(&[&[Axis::Positive]], 12, move |c| {
        let kappa = if any {
            Q::one() + power(&c[0], 3)
        } else {
            Q::one()
        };
        Some((
            Matrix::symmetric(2, &[Q::one(), off.clone(), kappa.clone()]),
            kappa,
        ))
    });
    search(&[part], |(fisher, kappa)| {
        let trace = fisher.trace();
        let squares = &trace * &trace / fisher.determinant();
        let expected = kappa + kappa.recip() + q(2, 1);
        (squares != expected || !coupling(fisher).is_zero()).then(|| {
            format!(
                "F = {fisher}: kappa + 1/kappa + 2 = {squares}, coupling {}",
                coupling(fisher)
            )
        })
    })
}

fn every_value() -> Check {
    let spec = Spec {
        id: "every-value",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "there is an F with the condition number kappa and no coupling, for kappa = 1 + x^3 and rationals x up to 12",
        tolerance: 0.0,
        detectable: Size::of("entry off the diagonal", 1.0 / 64.0),
    };
    let world = |sixty_fourths, any| Uncoupled { sixty_fourths, any };
    let worlds = Worlds {
        real: world(0, true),
        defect: Planted {
            what: "an entry of 1/64 off the diagonal",
            size: 1.0 / 64.0,
            world: world(1, true),
        },
        truth: Planted {
            what: "the identity",
            size: 0.0,
            world: world(0, false),
        },
    };
    Check::new(spec, worlds, examine_every_value)
}

/// Two parameters with the same entry on the diagonal but for a factor `1 + sixty_fourths/64` of the second; correlated, or not.
struct Equal {
    sixty_fourths: i64,
    correlated: bool,
}

fn examine_equal(world: &Equal, _: &Draw) -> Finding {
    let (excess, correlated) = (q(64 + world.sixty_fourths, 64), world.correlated);
    let part = Part::new(&[&[Axis::Positive], &[Axis::Any]], 10, move |c| {
        let rho = if correlated { c[1].clone() } else { Q::zero() };
        let entries = [c[0].clone(), &rho * &c[0], &c[0] * &excess];
        (rho.abs() < Q::one()).then(|| (Matrix::symmetric(2, &entries), rho))
    });
    search(&[part], |(fisher, rho)| {
        let kappa = (Q::one() + rho.abs()) / (Q::one() - rho.abs());
        let trace = fisher.trace();
        let squares = &trace * &trace / fisher.determinant();
        let expected = &kappa + kappa.recip() + q(2, 1);
        let threshold = exceeds_hundred(fisher) == (rho.abs() > q(99, 101));
        (squares != expected || !threshold).then(|| {
            format!("F = {fisher}: kappa + 1/kappa + 2 = {squares}, with (1 + |rho|)/(1 - |rho|) = {kappa} it is {expected}")
        })
    })
}

fn equal_scales() -> Check {
    let spec = Spec {
        id: "correlation",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "with equal entries on the diagonal the condition number of two parameters is (1 + |rho|)/(1 - |rho|)",
        tolerance: 0.0,
        detectable: Size::of("excess of one entry of the diagonal, relative", 1.0 / 64.0),
    };
    let world = |sixty_fourths, correlated| Equal {
        sixty_fourths,
        correlated,
    };
    let worlds = Worlds {
        real: world(0, true),
        defect: Planted {
            what: "a second entry that is 1/64 larger than the first",
            size: 1.0 / 64.0,
            world: world(1, true),
        },
        truth: Planted {
            what: "no correlation",
            size: 0.0,
            world: world(0, false),
        },
    };
    Check::new(spec, worlds, examine_equal)
}
