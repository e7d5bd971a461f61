//! Where momentum settles on a quadratic loss under constant noise.
//!
//! In an axis of `H` with curvature `h`, `x' = (1 + beta - eta h) x - beta x_before - eta xi` is an autoregression of order two. It is
//! stable iff `0 < eta h < 2(1 + beta)` (`0 <= beta < 1`), with the variance (Box and Jenkins 1976, *Time Series Analysis*, 3.2)
//!
//! ```text
//! Var x = eta D_hh (1 + beta) / ((1 - beta) h (2(1 + beta) - eta h))
//! ```
//!
//! `D_hh` the noise along that axis. Summed over the axes, with `mu = H x`,
//!
//! ```text
//! E|mu|^2 = eta (1 + beta)/(1 - beta) Tr(D H (2(1 + beta) - eta H)^-1)
//! ```
//!
//! which needs no axes. The noise's correlations between axes move `Cov x`, but not this.

use crate::evidence::kernels::equivalence;
use crate::evidence::rational::{Matrix, Q, q};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use fjld_core::Interval;
use fjld_core::rng::standard_normals;
use num_traits::{One, Zero};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// A quadratic loss with its noise, and the step.
struct Settled {
    eta: Q,
    beta: Q,
    hessian: Matrix,
    covariance: Matrix,
}

impl Settled {
    /// `E x x'` in the stationary state: the second moments of `(x, v)` solve a linear system, one equation for each pair of entries.
    fn second_moments(&self) -> Option<Matrix> {
        let d = self.hessian.rows();
        let unit = |i: usize, j: usize| if i == j { Q::one() } else { Q::zero() };
        // (x, v) -> (x - eta v', v') with v' = H x + beta v, and noise (-eta, 1) on top
        let update = Matrix::from_fn(2 * d, 2 * d, |i, j| {
            let pushed = if j < d {
                self.hessian.0[i % d][j].clone()
            } else {
                &self.beta * unit(i % d, j - d)
            };
            if i < d {
                unit(i, j) - &self.eta * pushed
            } else {
                pushed
            }
        });
        let share = |i: usize| if i < d { -&self.eta } else { Q::one() };
        let pairs: Vec<(usize, usize)> = (0..2 * d)
            .flat_map(|i| (0..=i).map(move |j| (i, j)))
            .collect();
        let system = Matrix::from_fn(pairs.len(), pairs.len(), |row, column| {
            let ((a, b), (i, j)) = (pairs[row], pairs[column]);
            let mut fed = &update.0[a][i] * &update.0[b][j];
            if i != j {
                fed += &update.0[a][j] * &update.0[b][i];
            }
            unit(row, column) - fed
        });
        let fresh: Vec<Q> = pairs
            .iter()
            .map(|&(a, b)| share(a) * share(b) * &self.covariance.0[a % d][b % d])
            .collect();
        let solved = system.inverse()?.apply(&fresh);
        // the pairs of x come first
        Some(Matrix::symmetric(d, &solved[..d * (d + 1) / 2]))
    }

    /// `2(1 + beta) - eta H`.
    fn room(&self) -> Matrix {
        let limit = q(2, 1) * (Q::one() + &self.beta);
        let d = self.hessian.rows();
        Matrix::diagonal(&vec![limit; d]).plus(&-&self.eta, &self.hessian)
    }
}

/// The stated `E|mu|^2` is multiplied by `1 + sixteenths/16`; in two dimensions too, or without momentum in one.
struct World {
    sixteenths: i64,
    plain: bool,
}

fn parts(plain: bool) -> Vec<Part<Settled>> {
    let line = Part::new(&[&[Axis::Positive; 4]], 4, move |c| {
        let beta = if plain { Q::zero() } else { c[1].clone() };
        let case = Settled {
            eta: c[0].clone(),
            beta,
            hessian: Matrix::diagonal(&c[2..3]),
            covariance: Matrix::diagonal(&c[3..]),
        };
        stable(case)
    });
    // eta; a diagonal entry and the other one of H and of D
    let axes: &[&[Axis]] = &[
        &[Axis::Positive],
        &[Axis::Positive, Axis::Any],
        &[Axis::Positive, Axis::Any],
    ];
    let plane = Part::new(axes, 2, |c| {
        let matrix = |diagonal: &Q, other: &Q| {
            Matrix::symmetric(2, &[Q::one(), other.clone(), diagonal.clone()])
        };
        let case = Settled {
            eta: c[0].clone(),
            beta: q(1, 2),
            hessian: matrix(&c[1], &c[2]),
            covariance: matrix(&c[3], &c[4]),
        };
        stable(case)
    });
    if plain { vec![line] } else { vec![line, plane] }
}

/// The case, where its iterates settle.
fn stable(case: Settled) -> Option<Settled> {
    let fits = case.beta < Q::one()
        && case.hessian.is_positive_definite()
        && case.covariance.is_positive_definite()
        && case.room().is_positive_definite();
    fits.then_some(case)
}

fn examine_exact(world: &World, _: &Draw) -> Finding {
    let error = q(16 + world.sixteenths, 16);
    search(&parts(world.plain), |case| {
        let Settled {
            eta,
            beta,
            hessian,
            covariance,
        } = case;
        let shown = || format!("H = {hessian}, D = {covariance}, eta = {eta}, beta = {beta}");
        let Some(squares) = case.second_moments() else {
            return Some(format!("{}: no one stationary second moment", shown()));
        };
        let signal = hessian.times(&squares).times(hessian).trace();
        let inverse = case.room().inverse()?;
        let gain = eta * (Q::one() + beta) / (Q::one() - beta);
        let stated = gain * covariance.times(hessian).times(&inverse).trace() * &error;
        let mut kept = signal == stated;
        if hessian.rows() == 1 {
            let effective = eta * &hessian.0[0][0] / (Q::one() - beta);
            let slower = (Q::one() - beta) / (Q::one() + beta);
            let ratio = &effective / (q(2, 1) - &effective * slower) * &error;
            kept &= ratio == &signal / covariance.trace();
        }
        (!kept).then(|| format!("{}: E|mu|^2 = {signal}, stated {stated}", shown()))
    })
}

/// By solving for the second moments.
pub fn exact() -> Check {
    let spec = Spec {
        id: "stationary",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "the stationary second moments of (theta, v) have E|mu|^2 = eta (1 + beta)/(1 - beta) Tr(D H (2(1 + beta) - eta H)^-1), with correlated H and D too, and with one curvature E C = e/(2 - e (1 - beta)/(1 + beta)), e = eta h/(1 - beta)",
        tolerance: 0.0,
        detectable: Size::of("relative error of the stated signal", 1.0 / 16.0),
    };
    let world = |sixteenths, plain| World { sixteenths, plain };
    let worlds = Worlds {
        real: world(0, false),
        defect: Planted {
            what: "a stated signal that is 1/16 too large",
            size: 1.0 / 16.0,
            world: world(1, false),
        },
        truth: Planted {
            what: "one parameter without momentum, which settles at C*",
            size: 0.0,
            world: world(0, true),
        },
    };
    Check::new(spec, worlds, examine_exact)
}

/// A run of gradient descent with momentum `taken`, beside what is stated of `beta`.
struct Run {
    beta: f64,
    taken: f64,
}

/// Curvatures and noise variances along the axes.
const AXES: [(f64, f64); 3] = [(0.25, 2.0), (1.0, 1.0), (2.0, 0.5)];

/// With `beta = 0` the steepest axis has `eta h = 1`.
const STEP: f64 = 0.5;

/// Independent runs that an interval comes from.
const RUNS: usize = 40;

/// A relative error this large is let stand.
const TOLERANCE: f64 = 0.05;

/// What chance may take of it.
const HALF_WIDTH: f64 = 0.04;

/// Student's quantiles with 39 degrees of freedom exceed the normal ones by up to this factor, squared.
const MARGIN: f64 = 1.6;

/// Steps after which a run has forgotten itself, on every axis: the slowest root of `z^2 - (1 + beta - eta h) z + beta` has at most the
/// modulus 0.95 at `beta = 0.9` and 0.875 at `beta = 0`, and `0.95^40` is 0.13.
const MEMORY: usize = 40;

/// `E|mu|^2 / Tr D`, as the module has it.
fn stated(beta: f64) -> f64 {
    let noise: f64 = AXES.iter().map(|(_, v)| v).sum();
    let signal = AXES
        .iter()
        .map(|(h, v)| v * h / (2.0 * (1.0 + beta) - STEP * h));
    STEP * (1.0 + beta) / (1.0 - beta) * signal.sum::<f64>() / noise
}

fn examine_run(world: &Run, draw: &Draw) -> Finding {
    let normal = Normal::new(0.0, 1.0).expect("a standard normal exists");
    let rates = draw.rates;
    let quantiles =
        normal.inverse_cdf(1.0 - rates.false_alarm / 2.0) + normal.inverse_cdf(1.0 - rates.miss);
    // a normal square has the relative variance 2, and three of them weighed no more
    let steps = MARGIN * 2.0 * (quantiles / HALF_WIDTH).powi(2) * MEMORY as f64 / RUNS as f64;
    let steps = steps.ceil() as usize;
    let noise: f64 = AXES.iter().map(|(_, v)| v).sum();
    let stated = stated(world.beta);
    let shares: Vec<f64> = (0..RUNS)
        .map(|run| {
            let generator = &mut draw.seed.derive(&run.to_string()).generator();
            let mut state = [(0.0, 0.0); AXES.len()];
            let (unheard, mut sum) = (20 * MEMORY, 0.0);
            for step in 0..unheard + steps {
                let draws = standard_normals(generator, AXES.len());
                for (((x, v), (h, variance)), z) in state.iter_mut().zip(&AXES).zip(&draws) {
                    if step >= unheard {
                        sum += (h * *x) * (h * *x);
                    }
                    *v = world.taken * *v + h * *x + variance.sqrt() * z;
                    *x -= STEP * *v;
                }
            }
            sum / steps as f64 / noise / stated
        })
        .collect();
    let n = RUNS as f64;
    let effect = shares.iter().sum::<f64>() / n;
    let squares: f64 = shares.iter().map(|s| (s - effect).powi(2)).sum();
    let level = 1.0 - rates.false_alarm;
    let quantile = StudentsT::new(0.0, 1.0, n - 1.0)
        .expect("there are several runs")
        .inverse_cdf(1.0 - rates.false_alarm / 2.0);
    let half = quantile * (squares / (n * (n - 1.0))).sqrt();
    let interval = Interval {
        low: effect - half,
        high: effect + half,
        level,
    };
    let outcome = equivalence(effect, interval, 1.0, TOLERANCE);
    let summary = format!(
        "E|mu|^2/Tr D over the stated {stated:.3} is {effect:.3} [{:.3}, {:.3}]",
        interval.low, interval.high
    );
    let mut finding = Finding::new(outcome, (steps * RUNS) as u64, summary);
    finding.effect = Some(effect);
    finding.interval = Some([interval.low, interval.high]);
    finding
}

/// By running it.
pub fn simulated() -> Check {
    let spec = Spec {
        id: "simulated",
        role: Role::Corrected,
        kind: Kind::Statistical,
        hypothesis: "descent with beta = 0.9 on three axes of unequal curvature and noise settles at the stated E|mu|^2/Tr D",
        tolerance: TOLERANCE,
        detectable: Size::of("relative error of E|mu|^2/Tr D", 2.0 * TOLERANCE),
    };
    let run = |beta, taken| Run { beta, taken };
    let worlds = Worlds {
        real: run(0.9, 0.9),
        defect: Planted {
            what: "steps with beta = 0.912",
            size: stated(0.912) / stated(0.9) - 1.0,
            world: run(0.9, 0.912),
        },
        truth: Planted {
            what: "descent without momentum",
            size: 0.0,
            world: run(0.0, 0.0),
        },
    };
    Check::new(spec, worlds, examine_run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_parameter_without_momentum_settles_where_pencil_puts_it() {
        // x' = x/2 - xi/2: Var x = (1/4)/(1 - 1/4) = 1/3
        let case = Settled {
            eta: q(1, 2),
            beta: Q::zero(),
            hessian: Matrix::identity(1),
            covariance: Matrix::identity(1),
        };
        assert_eq!(case.second_moments(), Some(Matrix::diagonal(&[q(1, 3)])));
    }

    #[test]
    fn one_parameter_with_momentum_has_the_variance_of_an_autoregression() {
        // x' = x - x_before/2 - xi: with a = 1, b = -1/2, (1 - b)/((1 + b)((1 - b)^2 - a^2)) = (3/2)/((1/2)(5/4)) = 12/5
        let case = Settled {
            eta: q(1, 1),
            beta: q(1, 2),
            hessian: Matrix::diagonal(&[q(1, 2)]),
            covariance: Matrix::identity(1),
        };
        assert_eq!(case.second_moments(), Some(Matrix::diagonal(&[q(12, 5)])));
    }
}
