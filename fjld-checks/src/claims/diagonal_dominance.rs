//! Diagonal dominance as told by the rank.

use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, q};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use num_traits::{Signed, Zero};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "diagonal-dominance",
        origin: Origin::Document,
        statement: "Whether the gradient covariance is diagonally dominant is told by its rank.",
        sentence: Some(Sentence {
            section: "Comparison: Diagonal vs K-FAC",
            line: 517,
            sha256: "b36fc584a18c13a90ebd46c07944d9fc8d4aea479ad1187696d467243a4eda1e",
            status: "stated",
        }),
        holds_when: Some(
            "it is only used to rule dominance out: a covariance whose rows are strictly dominated by their diagonals has full rank",
        ),
        corrected: Some(
            "Strict dominance implies full rank, and the converse fails; weak dominance occurs at every rank. Dominance is |D_ii| against the sum of |D_ij| over j, row by row.",
        ),
        scenarios: &[],
        checks: vec![
            told(
                "full-rank-dominant",
                Role::AsWritten,
                "covariances of full rank are diagonally dominant, as the identity of the same rank is",
                World::Pairs,
            ),
            told(
                "dominant-full-rank",
                Role::AsWritten,
                "diagonally dominant covariances have full rank, as the identity has",
                World::DominantPairs { strict: false },
            ),
            told(
                "strict-rules-out",
                Role::HoldsWhen,
                "strictly dominant covariances have full rank, in two and three dimensions",
                World::DominantPairs { strict: true },
            ),
            told(
                "strict-implies-rank",
                Role::Corrected,
                "strictly dominant covariances have full rank, in two and three dimensions",
                World::DominantPairs { strict: true },
            ),
            every_rank(),
        ],
    }
}

/// Covariances, of which the dominant must have full rank, or those of full rank be dominant.
#[derive(Clone, Copy)]
enum World {
    /// Any definite pair has to be weakly dominant.
    Pairs,
    /// `a [[1, r], [r, 4]]` with `r = 1 + eighths/8` has to be weakly dominant.
    NearBoundary { eighths: i64 },
    /// Any dominant pair, and if strict any dominant triple, has to have full rank.
    DominantPairs { strict: bool },
    /// Triples with `(1 + eighths/8) D_11` equal to the sum of the rest of the first row are taken for strictly dominant.
    Misjudged { eighths: i64 },
}

/// `D_ii (1 + slack)` against the rest of its row, for every row.
fn is_dominant(matrix: &Matrix, strict: bool, slack: &Q) -> bool {
    matrix.0.iter().enumerate().all(|(i, row)| {
        let others = row.iter().enumerate().filter(|&(j, _)| j != i);
        let rest: Q = others.map(|(_, v)| v.abs()).sum();
        let diagonal = row[i].abs() * (q(1, 1) + slack);
        if strict {
            diagonal > rest
        } else {
            diagonal >= rest
        }
    })
}

/// A covariance has no negative principal minor.
fn is_covariance(matrix: &Matrix) -> bool {
    let d = matrix.rows();
    (1..1usize << d).all(|subset| {
        let kept: Vec<usize> = (0..d).filter(|i| subset >> i & 1 == 1).collect();
        let minor = Matrix::from_fn(kept.len(), kept.len(), |i, j| {
            matrix.0[kept[i]][kept[j]].clone()
        });
        !minor.determinant().is_negative()
    })
}

fn pairs(max_height: u64) -> Part<Matrix> {
    let axes = [Axis::Any; 3];
    Part::new(&[&axes], max_height, |c| {
        let matrix = Matrix::symmetric(2, c);
        (is_covariance(&matrix) && !matrix.trace().is_zero()).then_some(matrix)
    })
}

fn triples() -> Part<Matrix> {
    Part::new(&[&[Axis::Positive; 3], &[Axis::Any; 3]], 2, |c| {
        let entries = [0, 3, 1, 4, 5, 2].map(|k| c[k].clone());
        let matrix = Matrix::symmetric(3, &entries);
        is_covariance(&matrix).then_some(matrix)
    })
}

fn examine_told(world: &World, _: &Draw) -> Finding {
    let (parts, strict, slack, from_rank) = match *world {
        World::Pairs => (vec![pairs(4)], false, Q::zero(), true),
        World::NearBoundary { eighths } => {
            let near = Part::new(&[&[Axis::Positive]], 4, move |c| {
                let r = &c[0] * q(8 + eighths, 8);
                Some(Matrix::symmetric(2, &[c[0].clone(), r, &c[0] * q(4, 1)]))
            });
            (vec![near], false, Q::zero(), true)
        }
        World::DominantPairs { strict: false } => (vec![pairs(4)], false, Q::zero(), false),
        World::DominantPairs { strict: true } => {
            (vec![pairs(4), triples()], true, Q::zero(), false)
        }
        World::Misjudged { eighths } => (vec![pairs(4)], true, q(eighths, 8), false),
    };
    search(&parts, |matrix| {
        let full = !matrix.determinant().is_zero();
        let dominant = is_dominant(matrix, strict, &slack);
        let (premise, conclusion) = if from_rank {
            (full, dominant)
        } else {
            (dominant, full)
        };
        (premise && !conclusion).then(|| {
            format!(
                "D = {matrix} is {}of full rank (det {}) and {}dominated by its diagonal",
                if full { "" } else { "not " },
                matrix.determinant(),
                if dominant { "" } else { "not " },
            )
        })
    })
}

fn told(id: &'static str, role: Role, hypothesis: &'static str, real: World) -> Check {
    let from_rank = matches!(real, World::Pairs);
    let defect = if from_rank {
        Planted {
            what: "a first row whose other entry is 1/8 above its diagonal",
            size: 0.125,
            world: World::NearBoundary { eighths: 1 },
        }
    } else {
        Planted {
            what: "diagonals that are taken to be 1/8 larger than they are",
            size: 0.125,
            world: World::Misjudged { eighths: 1 },
        }
    };
    let truth = if from_rank {
        Planted {
            what: "a first row whose other entry is 1/8 below its diagonal",
            size: 0.0,
            world: World::NearBoundary { eighths: -1 },
        }
    } else {
        Planted {
            what: "diagonals that are taken to be 1/8 smaller than they are",
            size: 0.0,
            world: World::Misjudged { eighths: -1 },
        }
    };
    let spec = Spec {
        id,
        role,
        kind: Kind::Exact,
        hypothesis,
        tolerance: 0.0,
        detectable: Size::of(
            "excess of a row's other entries over its diagonal, relative",
            0.125,
        ),
    };
    let worlds = Worlds {
        real,
        defect,
        truth,
    };
    Check::new(spec, worlds, examine_told)
}

/// Diagonal covariances in three dimensions; one entry off the diagonal is `sixty_fourths/64` of the first variance.
struct Diagonals {
    sixty_fourths: i64,
    definite: bool,
}

fn examine_every_rank(world: &Diagonals, _: &Draw) -> Finding {
    let definite = world.definite;
    let off = q(world.sixty_fourths, 64);
    let part = Part::new(&[&[Axis::Any; 3]], 4, move |c| {
        let fits =
            c.iter().all(|v| !v.is_negative()) && (!definite || c.iter().all(|v| !v.is_zero()));
        let mut matrix = Matrix::diagonal(c);
        matrix.0[2][0] = &c[0] * &off;
        matrix.0[0][2] = &c[0] * &off;
        fits.then_some(matrix)
    });
    search(&[part], |matrix| {
        (!is_dominant(matrix, false, &Q::zero())).then(|| format!("D = {matrix} is not dominant"))
    })
}

fn every_rank() -> Check {
    let spec = Spec {
        id: "every-rank",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "diagonal covariances of every rank from 0 to 3 are weakly dominant",
        tolerance: 0.0,
        detectable: Size::of("entry off the diagonal, relative to a variance", 1.0 / 64.0),
    };
    let diagonals = |sixty_fourths, definite| Diagonals {
        sixty_fourths,
        definite,
    };
    let worlds = Worlds {
        real: diagonals(0, false),
        defect: Planted {
            what: "an entry of 1/64 of a variance off the diagonal, where the other variance may be 0",
            size: 1.0 / 64.0,
            world: diagonals(1, false),
        },
        truth: Planted {
            what: "definite diagonals",
            size: 0.0,
            world: diagonals(0, true),
        },
    };
    Check::new(spec, worlds, examine_every_rank)
}
