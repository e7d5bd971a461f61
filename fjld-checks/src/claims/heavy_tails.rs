//! Heavy tails: what they do to the Fisher information, and what a robust covariance mends.

mod laws;
mod real_noise;
mod shape;

use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Q, q};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{
    Check, Draw, Finding, Kind, Outcome, Planted, Role, Size, Spec, Worlds, worse,
};
use laws::{GAUSSIAN, Law, OUTLIERS, SCATTERS, STUDENT, expectation, nodes};
use num_traits::One;
use shape::shape_restored;

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "heavy-tails",
        origin: Origin::Document,
        statement: "Heavy-tailed gradients invalidate the Fisher information being the inverse covariance (line 302), and a robust covariance mends it.",
        sentence: Some(Sentence {
            section: "Theoretical Gaps",
            line: 303,
            sha256: "f88f5ea965b57e218ec8f3ed5fd3a8aa6103ca3216eb11b77719dabf8eaf2279",
            status: "stated",
        }),
        holds_when: Some(
            "the heavy tail is a few per cent of outliers on an otherwise Gaussian law, and the covariance that is meant is the robust one",
        ),
        corrected: Some(
            "Student's t with nu degrees of freedom in d dimensions has the location information (nu + d)/(nu + d + 2) Scale^-1, which exceeds the inverse covariance for every nu > 2; for nu <= 2 there is no covariance. A robust scatter restores the shape, also at nu = 1, but not the scale: its inverse stands to the information in a proportion that depends on the tails. In a small network trained on real digits the noise of one example's gradient has a heavier tail than Gaussian noise of the same covariance.",
        ),
        scenarios: &[real_noise::SCENARIO],
        checks: vec![
            tails_break_it(),
            robust_mends("robust-mends", Role::AsWritten, STUDENT.to_vec()),
            robust_mends("outliers", Role::HoldsWhen, OUTLIERS.to_vec()),
            information_formula(),
            exceeds_inverse_covariance(),
            no_covariance(),
            shape_restored(),
            scale_depends_on_tails(),
            real_noise::heavier_than_gaussian(),
        ],
    }
}

/// How far information times scatter may be from 1 for one to be called the inverse of the other.
const TOLERANCE: f64 = 0.05;

/// Laws, and what is multiplied to every scatter.
struct Robust {
    laws: Vec<Law>,
    factor: f64,
}

fn examine_robust(world: &Robust, _: &Draw) -> Finding {
    let (mut told, mut best) = (Vec::new(), f64::INFINITY);
    for scatter in SCATTERS {
        let products: Vec<f64> = world
            .laws
            .iter()
            .map(|&law| {
                let information = expectation(law, |_, score| score * score);
                information * scatter.limit(law) * world.factor
            })
            .collect();
        let worst = products.iter().map(|p| (p - 1.0).abs()).fold(0.0, f64::max);
        best = best.min(worst);
        let shown: Vec<String> = products.iter().map(|p| format!("{p:.3}")).collect();
        told.push(format!("{scatter:?} {}", shown.join(" ")));
    }
    let outcome = if best <= TOLERANCE {
        Outcome::Holds
    } else {
        Outcome::Violated
    };
    let names: Vec<String> = world
        .laws
        .iter()
        .map(|law| match law {
            Law::Student { freedom } => format!("t with {freedom} degrees of freedom"),
            Law::Outliers { share } => format!("{}% outliers", 100.0 * share),
        })
        .collect();
    let summary = format!(
        "information times robust scatter, which would be 1: {}; in order for {}",
        told.join("; "),
        names.join(", ")
    );
    let cases = (world.laws.len() * SCATTERS.len()) as u64;
    let mut finding = Finding::new(outcome, cases, summary);
    finding.effect = Some(best);
    finding
}

fn robust_mends(id: &'static str, role: Role, laws: Vec<Law>) -> Check {
    let spec = Spec {
        id,
        role,
        kind: Kind::Identity,
        hypothesis: "for one of three robust estimates of scatter, information times its limit is within a twentieth of 1 for every law",
        tolerance: TOLERANCE,
        detectable: Size::of("relative error of every scatter", 0.1),
    };
    let robust = |laws, factor| Robust { laws, factor };
    let worlds = Worlds {
        real: robust(laws, 1.0),
        defect: Planted {
            what: "the Gaussian law with every scatter a tenth too large",
            size: 0.1,
            world: robust(vec![GAUSSIAN], 1.1),
        },
        truth: Planted {
            what: "the Gaussian law",
            size: 0.0,
            world: robust(vec![GAUSSIAN], 1.0),
        },
    };
    let worlds = worlds.violated_by(move |error| robust(vec![GAUSSIAN], 1.0 + error));
    Check::new(spec, worlds, examine_robust)
}

/// Degrees of freedom and dimensions of a multivariate t law.
struct Laws {
    freedoms: &'static [f64],
    dimensions: &'static [usize],
    /// The information is multiplied by this before it is compared.
    factor: f64,
}

/// The information of the location of a multivariate t of unit scale, along one axis, by quadrature over the radius `r` with the
/// density `r^(d-1) (1 + r^2/nu)^(-(nu+d)/2)` and the squared score `((nu+d)/nu)^2 r^2/(d (1 + r^2/nu)^2)`.
fn information(freedom: f64, dimension: usize) -> f64 {
    let d = dimension as f64;
    let (mut sum, mut total) = (0.0, 0.0);
    for (r, weight) in nodes() {
        let one = 1.0 + r * r / freedom;
        let density = weight * ((d - 1.0) * r.ln() - 0.5 * (freedom + d) * one.ln()).exp();
        sum += density * ((freedom + d) / freedom * r / one).powi(2) / d;
        total += density;
    }
    sum / total
}

fn examine_tails(world: &Laws, _: &Draw) -> Finding {
    let mut least = f64::INFINITY;
    let mut cases = 0;
    for &freedom in world.freedoms {
        for &dimension in world.dimensions {
            // the covariance is nu/(nu - 2) times the scale
            let covariance = freedom / (freedom - 2.0);
            let product = information(freedom, dimension) * covariance * world.factor;
            least = least.min((product - 1.0).abs());
            cases += 1;
        }
    }
    let outcome = if least > TOLERANCE {
        Outcome::Holds
    } else {
        Outcome::Violated
    };
    let summary = format!(
        "information times covariance departs from 1 by at least {least:.3} in {cases} t laws"
    );
    let mut finding = Finding::new(outcome, cases, summary);
    finding.effect = Some(least);
    finding
}

fn tails_break_it() -> Check {
    let spec = Spec {
        id: "tails-break-it",
        role: Role::AsWritten,
        kind: Kind::Identity,
        hypothesis: "information times covariance is not within a twentieth of 1 for t laws of 2.5 to 10 degrees of freedom in one to five dimensions",
        tolerance: TOLERANCE,
        detectable: Size::of("shortfall of the departure", TOLERANCE),
    };
    let laws = |freedoms, dimensions| Laws {
        freedoms,
        dimensions,
        factor: 1.0,
    };
    let worlds = Worlds {
        real: laws(&[2.5, 3.0, 4.0, 6.0, 10.0], &[1, 2, 5]),
        defect: Planted {
            what: "a t law so light-tailed, with 100 degrees of freedom, that it is nearly Gaussian",
            size: TOLERANCE,
            world: laws(&[100.0], &[1]),
        },
        truth: Planted {
            what: "three degrees of freedom on the line, where pencil gives 2/3 times 3",
            size: 0.0,
            world: laws(&[3.0], &[1]),
        },
    };
    Check::new(spec, worlds, examine_tails)
}

/// The quadrature's error, with room for five dimensions.
const QUADRATURE: f64 = 1e-5;

fn examine_formula(world: &Laws, _: &Draw) -> Finding {
    let (mut worst, mut cases) = (0f64, 0);
    for &freedom in world.freedoms {
        for &dimension in world.dimensions {
            let sum = freedom + dimension as f64;
            let stated = sum / (sum + 2.0) * world.factor;
            worst = worse(
                worst,
                (stated / information(freedom, dimension) - 1.0).abs(),
            );
            cases += 1;
        }
    }
    let summary = format!(
        "the formula and the integral of the squared score differ by at most {worst:.1e}, relative, over {cases} t laws"
    );
    Finding::of_discrepancy(worst, QUADRATURE, cases, summary)
}

fn information_formula() -> Check {
    let spec = Spec {
        id: "information-formula",
        role: Role::Corrected,
        kind: Kind::Identity,
        hypothesis: "the integral of the squared score of a t law is (nu + d)/(nu + d + 2)",
        tolerance: QUADRATURE,
        detectable: Size::of("relative error of the formula", 1e-4),
    };
    let laws = |freedoms, dimensions, factor| Laws {
        freedoms,
        dimensions,
        factor,
    };
    let worlds = Worlds {
        real: laws(&[1.0, 2.0, 3.0, 7.5, 30.0], &[1, 2, 3, 5], 1.0),
        defect: Planted {
            what: "a formula that is off by one part in 10^4",
            size: 1e-4,
            world: laws(&[3.0], &[1, 2], 1.0 + 1e-4),
        },
        truth: Planted {
            what: "the Cauchy law, whose information is 1/2 in every textbook",
            size: 0.0,
            world: laws(&[1.0], &[1], 1.0),
        },
    };
    let worlds = worlds.violated_by(move |error| laws(&[3.0], &[1, 2], 1.0 + error));
    Check::new(spec, worlds, examine_formula)
}

/// The inverse covariance `(nu - 2)/nu` is multiplied by `1 + eighths/8` before it is compared.
struct Inverse {
    eighths: i64,
    one_dimension: bool,
}

fn examine_exceeds(world: &Inverse, _: &Draw) -> Finding {
    let one_dimension = world.one_dimension;
    // nu = 2 + x
    let part = Part::new(&[&[Axis::Positive]], 20, move |c| {
        let freedom = q(2, 1) + &c[0];
        let dimensions = if one_dimension { 1 } else { 6 };
        Some(
            (1..=dimensions)
                .map(|d| (freedom.clone(), d))
                .collect::<Vec<(Q, i64)>>(),
        )
    });
    let factor = q(8 + world.eighths, 8);
    search(&[part], |laws| {
        laws.iter().find_map(|(freedom, d)| {
            let sum = freedom + q(*d, 1);
            let information = &sum / (&sum + q(2, 1));
            let inverse = &factor * (Q::one() - q(2, 1) / freedom);
            (information <= inverse).then(|| {
                format!("nu = {freedom}, d = {d}: information {information}, inverse covariance {inverse}")
            })
        })
    })
}

fn exceeds_inverse_covariance() -> Check {
    let spec = Spec {
        id: "exceeds-inverse-covariance",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "(nu + d)/(nu + d + 2) > (nu - 2)/nu for rational nu > 2 in one to six dimensions",
        tolerance: 0.0,
        detectable: Size::of("relative excess of the inverse covariance", 0.125),
    };
    let inverse = |eighths, one_dimension| Inverse {
        eighths,
        one_dimension,
    };
    let worlds = Worlds {
        real: inverse(0, false),
        defect: Planted {
            what: "an inverse covariance that is an eighth too large",
            size: 0.125,
            world: inverse(1, false),
        },
        truth: Planted {
            what: "the line",
            size: 0.0,
            world: inverse(0, true),
        },
    };
    Check::new(spec, worlds, examine_exceeds)
}

/// What is contributed to `E x^2` by the decade from `10^exponent` on, up to a factor, by the midpoint rule in the logarithm.
fn decade(law: Law, exponent: i32) -> f64 {
    let steps = 200;
    let h = 10f64.ln() / f64::from(steps);
    (0..steps)
        .map(|i| {
            let x = 10f64.powi(exponent) * (h * (f64::from(i) + 0.5)).exp();
            // one more x from dx = x d(log x)
            x.powi(3) * law.density_and_score(x).0
        })
        .sum()
}

/// The tail's own correction at `x = 10^4` is `1e-8`, relative.
const GROWTH_TOLERANCE: f64 = 1e-6;

fn examine_growth(freedoms: &Vec<f64>, _: &Draw) -> Finding {
    let mut least = f64::INFINITY;
    for &freedom in freedoms {
        let law = Law::Student { freedom };
        for exponent in 4..12 {
            least = least.min(decade(law, exponent + 1) / decade(law, exponent));
        }
    }
    let outcome = if least >= 1.0 - GROWTH_TOLERANCE {
        Outcome::Holds
    } else {
        Outcome::Violated
    };
    let summary = format!(
        "from x = 10^4 to 10^13 each decade adds at least {least:.6} times as much to E x^2 as the one before"
    );
    let mut finding = Finding::new(outcome, freedoms.len() as u64 * 8, summary);
    finding.effect = Some(least);
    finding
}

fn no_covariance() -> Check {
    let spec = Spec {
        id: "no-covariance",
        role: Role::Corrected,
        kind: Kind::Identity,
        hypothesis: "for nu <= 2 every decade of x adds no less to E x^2 than the one before, so that it has no limit",
        tolerance: GROWTH_TOLERANCE,
        detectable: Size::of("degrees of freedom beyond 2", 0.01),
    };
    let worlds = Worlds {
        real: vec![0.5, 1.0, 1.5, 2.0],
        defect: Planted {
            what: "2.01 degrees of freedom",
            size: 0.01,
            world: vec![2.01],
        },
        truth: Planted {
            what: "the Cauchy law",
            size: 0.0,
            world: vec![1.0],
        },
    };
    Check::new(spec, worlds, examine_growth)
}

/// Laws over which the proportion is compared.
struct Tails {
    laws: Vec<Law>,
}

fn examine_proportion(world: &Tails, _: &Draw) -> Finding {
    let laws = &world.laws;
    let spreads: Vec<f64> = SCATTERS
        .into_iter()
        .map(|scatter| {
            let products = laws
                .iter()
                .map(|&law| scatter.limit(law) * expectation(law, |_, score| score * score));
            let (low, high) = products.fold((f64::INFINITY, 0f64), |(low, high), p| {
                (low.min(p), high.max(p))
            });
            high / low - 1.0
        })
        .collect();
    let least = spreads.iter().copied().fold(f64::INFINITY, f64::min);
    let outcome = if least > TOLERANCE {
        Outcome::Holds
    } else {
        Outcome::Violated
    };
    let summary = format!(
        "information times robust scatter varies with the tails by at least {:.0}%, for each of three scatters",
        100.0 * least
    );
    let mut finding = Finding::new(outcome, (laws.len() * SCATTERS.len()) as u64, summary);
    finding.effect = Some(least);
    finding
}

fn scale_depends_on_tails() -> Check {
    let spec = Spec {
        id: "scale-depends-on-tails",
        role: Role::Corrected,
        kind: Kind::Identity,
        hypothesis: "information times robust scatter varies by more than a twentieth over t laws, for each of three scatters",
        tolerance: TOLERANCE,
        detectable: Size::of("shortfall of the variation", TOLERANCE),
    };
    let tails = |laws: &[Law]| Tails {
        laws: laws.to_vec(),
    };
    let worlds = Worlds {
        real: tails(&STUDENT),
        defect: Planted {
            what: "one law, twice",
            size: TOLERANCE,
            world: tails(&[STUDENT[2]; 2]),
        },
        truth: Planted {
            what: "one and three degrees of freedom",
            size: 0.0,
            world: tails(&[STUDENT[0], STUDENT[2]]),
        },
    };
    Check::new(spec, worlds, examine_proportion)
}
