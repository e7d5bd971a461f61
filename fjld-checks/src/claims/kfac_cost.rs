//! What the factored form costs, by counted operations.

use super::kfac::counted::{Counter, Square, identity};
use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Q, power, q};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Outcome, Planted, Role, Size, Spec, Worlds};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "kfac-cost",
        origin: Origin::Document,
        statement: "For a layer with n inputs and m outputs the Kronecker factors cost O(n^2 m^2) where the whole Fisher matrix costs O((n m)^2); elsewhere, O(n^2 + m^2).",
        sentence: Some(Sentence {
            section: "Theory",
            line: 424,
            sha256: "9607c2f82b0179b4508cb1af8fa3085e8c5ab95b7edd7f3f228a820b6da4adb5",
            status: "stated",
        }),
        holds_when: Some(
            "what is counted is taking one example into the moments: n^2 + m^2 products into the factors, (n m)^2 into the whole matrix",
        ),
        corrected: Some(
            "The two bounds of the comparison are one and the same number. The factors take n^2 + m^2 numbers of memory, O(n^3 + m^3) operations to factorise and O(n^2 m + n m^2) to apply their inverses to a gradient; the whole matrix (n m)^2 numbers, O((n m)^3) and O((n m)^2).",
        ),
        scenarios: &[],
        checks: vec![
            saving(),
            grows(
                "within-the-product",
                Role::AsWritten,
                "factorising the factors and applying their inverses to one gradient takes at most a multiple of n^2 m^2 operations, for layers with two inputs or two outputs",
                World::new(Form::Factors, Stage::Both, Bound::SquareProduct, NARROW),
            ),
            grows(
                "within-the-sum",
                Role::AsWritten,
                "factorising the factors and applying their inverses to one gradient takes at most a multiple of n^2 + m^2 operations",
                World::new(Form::Factors, Stage::Both, Bound::SquareSum, WIDE),
            ),
            exactly(
                "one-example",
                Role::HoldsWhen,
                "taking in one example costs as many products as n^2 + m^2 says",
                Form::Factors,
                Stage::TakeIn,
                Bound::SquareSum,
            ),
            exactly(
                "one-example-whole",
                Role::HoldsWhen,
                "taking one example into the whole matrix costs as many products as (n m)^2 says",
                Form::Whole,
                Stage::TakeIn,
                Bound::SquareProduct,
            ),
            exactly(
                "memory",
                Role::Corrected,
                "the factors hold n^2 + m^2 numbers",
                Form::Factors,
                Stage::Store,
                Bound::SquareSum,
            ),
            exactly(
                "memory-whole",
                Role::Corrected,
                "the whole matrix holds (n m)^2 numbers",
                Form::Whole,
                Stage::Store,
                Bound::SquareProduct,
            ),
            grows(
                "factorise",
                Role::Corrected,
                "factorising the factors takes at most a multiple of n^3 + m^3 operations",
                World::new(Form::Factors, Stage::Factorise, Bound::CubeSum, WIDE),
            ),
            grows(
                "apply",
                Role::Corrected,
                "applying the inverses of the factors to a gradient takes at most a multiple of n^2 m + n m^2 operations",
                World::new(Form::Factors, Stage::Apply, Bound::Mixed, WIDE),
            ),
            grows(
                "factorise-whole",
                Role::Corrected,
                "factorising the whole matrix takes at most a multiple of (n m)^3 operations",
                World::new(Form::Whole, Stage::Factorise, Bound::CubeProduct, SMALL),
            ),
            grows(
                "apply-whole",
                Role::Corrected,
                "applying the inverse of the whole matrix to a gradient takes at most a multiple of (n m)^2 operations",
                World::new(Form::Whole, Stage::Apply, Bound::SquareProduct, SMALL),
            ),
        ],
    }
}

/// The stated cost `n^input m^output` of the factors, to be less than the `(n m)^2` of the whole matrix.
struct Stated {
    input: usize,
    output: usize,
}

fn examine_saving(world: &Stated, _: &Draw) -> Finding {
    // where both sides are at least three, every cost that is lower in one power is a saving by a third or more
    let part = Part::new(&[&[Axis::Positive; 2]], 8, |c| {
        let wide = c.iter().all(|v| v.is_integer() && *v >= q(3, 1));
        wide.then(|| (c[0].clone(), c[1].clone()))
    });
    search(&[part], |(n, m): &(Q, Q)| {
        let stated = power(n, world.input) * power(m, world.output);
        let whole = power(&(n * m), 2);
        (stated >= whole).then(|| {
            format!(
                "n = {n}, m = {m}: n^{} m^{} = {stated} for the factors, (n m)^2 = {whole} for the whole matrix",
                world.input, world.output
            )
        })
    })
}

fn saving() -> Check {
    let spec = Spec {
        id: "saving",
        role: Role::AsWritten,
        kind: Kind::Exact,
        hypothesis: "n^2 m^2, stated for the factors, is less than (n m)^2, stated for the whole matrix, for layers of three inputs and outputs or more",
        tolerance: 0.0,
        detectable: Size::of("powers of n more than there may be", 1.0),
    };
    let worlds = Worlds {
        real: Stated {
            input: 2,
            output: 2,
        },
        defect: Planted {
            what: "a cost of n^3 m for the factors, which is a saving for narrow inputs only",
            size: 1.0,
            world: Stated {
                input: 3,
                output: 1,
            },
        },
        truth: Planted {
            what: "a cost of n^2 m for the factors",
            size: 0.0,
            world: Stated {
                input: 2,
                output: 1,
            },
        },
    };
    Check::new(spec, worlds, examine_saving)
}

/// What is held.
#[derive(Clone, Copy)]
enum Form {
    /// `A` and `G`.
    Factors,
    /// The matrix of size `n m`.
    Whole,
}

/// What is done with it.
#[derive(Clone, Copy)]
enum Stage {
    Store,
    TakeIn,
    Factorise,
    Apply,
    /// Factorise, then apply.
    Both,
}

/// What the count is compared with.
#[derive(Clone, Copy)]
enum Bound {
    SquareSum,
    CubeSum,
    Mixed,
    SquareProduct,
    CubeProduct,
}

impl Bound {
    fn at(self, n: usize, m: usize) -> f64 {
        let (n, m) = (n as f64, m as f64);
        match self {
            Self::SquareSum => n.powi(2) + m.powi(2),
            Self::CubeSum => n.powi(3) + m.powi(3),
            Self::Mixed => n * m * (n + m),
            Self::SquareProduct => (n * m).powi(2),
            Self::CubeProduct => (n * m).powi(3),
        }
    }
}

/// Runs the algorithm on made-up numbers and counts: products and quotients, or for [`Stage::Store`] numbers held.
fn count(form: Form, stage: Stage, n: usize, m: usize) -> u64 {
    let example = |d: usize| -> Vec<f64> { (0..d).map(|i| 1.0 / (1 + i) as f64).collect() };
    let (a, g) = (example(n), example(m));
    let gradient: Square = a
        .iter()
        .map(|x| g.iter().map(|y| x * y).collect())
        .collect();
    let vectors = match form {
        Form::Factors => vec![a, g],
        Form::Whole => vec![gradient.concat()],
    };
    let mut moments: Vec<Square> = vectors.iter().map(|x| identity(x.len())).collect();
    let [mut taking, mut factorising, mut applying] = [0; 3].map(Counter);
    for (moment, x) in moments.iter_mut().zip(&vectors) {
        taking.take_in(moment, x);
    }
    let lower: Vec<Square> = moments.iter().map(|m| factorising.factorise(m)).collect();
    if let [input, output] = lower.as_slice() {
        applying.solve_both(input, output, &gradient);
    } else {
        applying.solve(&lower[0], &gradient.concat());
    }
    match stage {
        Stage::Store => moments.iter().flatten().map(|row| row.len() as u64).sum(),
        Stage::TakeIn => taking.0,
        Stage::Factorise => factorising.0,
        Stage::Apply => applying.0,
        Stage::Both => factorising.0 + applying.0,
    }
}

/// A size of layer, and the one to compare it with.
type Doubling = [(usize, usize); 2];

/// Layers with two inputs or two outputs.
const NARROW: &[Doubling] = &[[(64, 2), (128, 2)], [(2, 64), (2, 128)]];

/// Inputs, outputs and both doubled.
const WIDE: &[Doubling] = &[
    [(32, 32), (64, 32)],
    [(32, 32), (32, 64)],
    [(32, 32), (64, 64)],
    [(64, 2), (128, 2)],
    [(2, 64), (2, 128)],
];

/// The same for the whole matrix, whose cost grows with the sixth power.
const SMALL: &[Doubling] = &[[(8, 8), (16, 8)], [(8, 8), (8, 16)], [(8, 8), (16, 16)]];

/// Counts against a bound; of one run, or of one for every input and every output.
struct World {
    form: Form,
    stage: Stage,
    bound: Bound,
    doublings: &'static [Doubling],
    repeated: bool,
}

impl World {
    fn new(form: Form, stage: Stage, bound: Bound, doublings: &'static [Doubling]) -> Self {
        Self {
            form,
            stage,
            bound,
            doublings,
            repeated: false,
        }
    }

    fn count(&self, n: usize, m: usize) -> f64 {
        let times = if self.repeated { n + m } else { 1 };
        count(self.form, self.stage, n, m) as f64 * times as f64
    }
}

/// Lower powers are a sixteenth of the count at most at these sizes, so that they move the exponent by less than this.
const EXPONENT_TOLERANCE: f64 = 0.2;

fn examine_growth(world: &World, _: &Draw) -> Finding {
    let excess = |&[small, large]: &Doubling| {
        let share = |(n, m): (usize, usize)| world.count(n, m) / world.bound.at(n, m);
        ((share(large) / share(small)).log2(), small, large)
    };
    let worst = world
        .doublings
        .iter()
        .map(excess)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let Some((exponent, small, large)) = worst else {
        return Finding::new(Outcome::Undecided, 0, "no sizes were compared");
    };
    let [few, many] = [small, large].map(|(n, m)| world.count(n, m));
    let summary = format!(
        "from (n, m) = {small:?} to {large:?} the count goes from {few} to {many}: faster than the bound by the power {exponent:.2} of the doubled size at the most"
    );
    Finding::of_discrepancy(
        exponent.max(0.0),
        EXPONENT_TOLERANCE,
        world.doublings.len() as u64,
        summary,
    )
}

fn grows(id: &'static str, role: Role, hypothesis: &'static str, real: World) -> Check {
    let spec = Spec {
        id,
        role,
        kind: Kind::Identity,
        hypothesis,
        tolerance: EXPONENT_TOLERANCE,
        detectable: Size::of("power by which the count outgrows the bound", 0.5),
    };
    // what does keep within the bound
    let kept = match real.bound {
        Bound::SquareSum | Bound::SquareProduct => Stage::TakeIn,
        Bound::CubeSum | Bound::CubeProduct => Stage::Factorise,
        Bound::Mixed => Stage::Apply,
    };
    let bounded = |repeated| World {
        stage: kept,
        repeated,
        ..World::new(real.form, kept, real.bound, real.doublings)
    };
    let worlds = Worlds {
        defect: Planted {
            what: "an algorithm within the bound, run anew for every input and every output",
            size: 1.0,
            world: bounded(true),
        },
        truth: Planted {
            what: "an algorithm within the bound",
            size: 0.0,
            world: bounded(false),
        },
        real,
    };
    Check::new(spec, worlds, examine_growth)
}

/// A count, with so many more to it, that ought to be the stated number exactly; for square layers only, or any.
struct Exact {
    form: Form,
    stage: Stage,
    bound: Bound,
    more: u64,
    square: bool,
}

fn examine_exact(world: &Exact, _: &Draw) -> Finding {
    let sizes = (1..=8_usize).flat_map(|n| (1..=8).map(move |m| (n, m)));
    let sizes: Vec<(usize, usize)> = sizes.filter(|(n, m)| !world.square || n == m).collect();
    let off = |&(n, m): &(usize, usize)| {
        let counted = count(world.form, world.stage, n, m) + world.more;
        (counted as f64 - world.bound.at(n, m)).abs()
    };
    let worst = sizes.iter().map(off).fold(0.0, f64::max);
    let summary = format!(
        "the count and the stated number differ by at most {worst} over {} sizes of layer up to 8 by 8",
        sizes.len()
    );
    Finding::of_discrepancy(worst, 0.0, sizes.len() as u64, summary)
}

fn exactly(
    id: &'static str,
    role: Role,
    hypothesis: &'static str,
    form: Form,
    stage: Stage,
    bound: Bound,
) -> Check {
    let spec = Spec {
        id,
        role,
        kind: Kind::Identity,
        hypothesis,
        tolerance: 0.0,
        detectable: Size::of("miscount", 1.0),
    };
    let world = |more, square| Exact {
        form,
        stage,
        bound,
        more,
        square,
    };
    let worlds = Worlds {
        real: world(0, false),
        defect: Planted {
            what: "a count that is one too large",
            size: 1.0,
            world: world(1, false),
        },
        truth: Planted {
            what: "square layers",
            size: 0.0,
            world: world(0, true),
        },
    };
    Check::new(spec, worlds, examine_exact)
}
