//! What `C` says where several objectives are trained at once.
//!
//! The document leaves it open. Its sentence is judged in this reading: what `C` is for each objective does not settle what it is for all.
//!
//! Let task `k` be drawn with the chance `p_k`, its gradients with mean `m_k` and covariance `D_k`. The law of total variance gives for the pool
//!
//! ```text
//! mu = sum p_k m_k        Tr D = sum p_k (Tr D_k + |m_k - mu|^2)
//! ```
//!
//! so that disagreement between tasks counts as noise. With `|m_k|^2 = C_k Tr D_k` and `|mu|^2 <= sum p_k |m_k|^2`, `C <= sum p_k |m_k|^2 / sum p_k Tr D_k`,
//! an average of the `C_k`: the pool is never above every task, and may be below each. In batches with a fixed share for every task the
//! means do not vary from batch to batch, and the second term is not there.

use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Q, q, squared_norm, tuple};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use num_traits::{One, Zero};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "multi-task",
        origin: Origin::Document,
        statement: "The theory is one of a single objective; several at once are still to be taken into it.",
        sentence: Some(Sentence {
            section: "Theoretical Gaps",
            line: 309,
            sha256: "2c875c03e6d123e3c745f39f31e3c50388d2c766e823ee5ae43a06acc21f02ce",
            status: "stated",
        }),
        holds_when: None,
        corrected: Some(
            "Drawn at random with chances p_k, tasks have the pooled mean mu = sum p_k m_k and the pooled noise sum p_k (Tr D_k + |m_k - mu|^2), in which conflict between tasks counts as noise. So the pooled C never exceeds the largest C of a task, and may be below every one of them. In batches with fixed shares of the tasks the conflict is no part of the noise.",
        ),
        scenarios: &[],
        checks: vec![
            not_settled(),
            total_variance(),
            never_above(),
            fixed_shares(),
        ],
    }
}

/// A task whose gradients are `mean + spread` and `mean - spread`, one as likely as the other.
struct Task {
    mean: Vec<Q>,
    spread: Vec<Q>,
}

impl Task {
    fn gradients(&self) -> [Vec<Q>; 2] {
        let pairs = || self.mean.iter().zip(&self.spread);
        [
            pairs().map(|(m, s)| m + s).collect(),
            pairs().map(|(m, s)| m - s).collect(),
        ]
    }

    /// `C`, unless the noise vanishes.
    fn ratio(&self) -> Option<Q> {
        let noise = squared_norm(&self.spread);
        (!noise.is_zero()).then(|| squared_norm(&self.mean) / noise)
    }

    fn show(&self) -> String {
        format!("{} +- {}", tuple(&self.mean), tuple(&self.spread))
    }
}

/// `|mean|^2` and the trace of the covariance of weighted gradients.
fn moments(draws: &[(Q, Vec<Q>)]) -> (Q, Q) {
    let d = draws[0].1.len();
    let total: Q = draws.iter().map(|(w, _)| w.clone()).sum();
    let mean: Vec<Q> = (0..d)
        .map(|j| draws.iter().map(|(w, g)| w * &g[j]).sum::<Q>() / &total)
        .collect();
    let squares: Q = draws.iter().map(|(w, g)| w * squared_norm(g)).sum();
    let signal = squared_norm(&mean);
    let noise = squares / total - &signal;
    (signal, noise)
}

/// Every gradient of two tasks, the first with the chance `share`.
fn pool(first: &Task, second: &Task, share: &Q) -> Vec<(Q, Vec<Q>)> {
    let weighted = |task: &Task, chance: Q| {
        let half = chance / q(2, 1);
        task.gradients().map(|g| (half.clone(), g))
    };
    let (first, second) = (
        weighted(first, share.clone()),
        weighted(second, Q::one() - share),
    );
    first.into_iter().chain(second).collect()
}

/// Two tasks with the same noise; in the conflict the second mean is the first one's times `turned`.
struct Conflict {
    turned: i64,
    dimension: usize,
}

fn examine_conflict(world: &Conflict, _: &Draw) -> Finding {
    let d = world.dimension;
    let part = Part::new(&[&vec![Axis::NonZero; 2 * d]], 2, move |c| {
        Some((c[..d].to_vec(), c[d..].to_vec()))
    });
    let turned = q(world.turned, 1);
    search(&[part], |(mean, spread)| {
        let task = |factor: Q| Task {
            mean: mean.iter().map(|m| m * &factor).collect(),
            spread: spread.clone(),
        };
        let half = q(1, 2);
        let ratio = |second: Task| {
            let (signal, noise) = moments(&pool(&task(Q::one()), &second, &half));
            signal / noise
        };
        let (agreeing, opposed) = (ratio(task(Q::one())), ratio(task(turned.clone())));
        (agreeing == opposed).then(|| {
            format!(
                "tasks {} and as much the other way: the pooled C is {agreeing} both times",
                task(Q::one()).show()
            )
        })
    })
}

fn not_settled() -> Check {
    let spec = Spec {
        id: "not-settled",
        role: Role::AsWritten,
        kind: Kind::Exact,
        hypothesis: "two tasks of the same C and noise have another pooled C when their means are opposed than when they agree",
        tolerance: 0.0,
        detectable: Size::of("conflict left out, in lengths of the mean", 1.0),
    };
    let conflict = |turned, dimension| Conflict { turned, dimension };
    let worlds = Worlds {
        real: conflict(-1, 2),
        defect: Planted {
            what: "tasks that agree where they should be opposed",
            size: 2.0,
            world: conflict(1, 2),
        },
        truth: Planted {
            what: "one parameter",
            size: 0.0,
            world: conflict(-1, 1),
        },
    };
    Check::new(spec, worlds, examine_conflict)
}

/// The chance of the first task is `1 - sixty_fourths/64` times what is stated; in one or two dimensions.
struct Shares {
    sixty_fourths: i64,
    dimensions: &'static [usize],
}

/// Two tasks and the chance of the first.
fn two_tasks(d: usize, max_height: u64) -> Part<(Task, Task, Q)> {
    let axes: [&[Axis]; 2] = [&vec![Axis::Any; 4 * d], &[Axis::Positive]];
    Part::new(&axes, max_height, move |c| {
        let task = |c: &[Q]| Task {
            mean: c[..d].to_vec(),
            spread: c[d..2 * d].to_vec(),
        };
        let odds = &c[4 * d];
        let share = odds / (Q::one() + odds);
        Some((task(c), task(&c[2 * d..]), share))
    })
}

fn parts(dimensions: &[usize]) -> Vec<Part<(Task, Task, Q)>> {
    let height = |d| if d == 1 { 2 } else { 1 };
    dimensions
        .iter()
        .map(|&d| two_tasks(d, height(d)))
        .collect()
}

fn examine_variance(world: &Shares, _: &Draw) -> Finding {
    let kept = q(64 - world.sixty_fourths, 64);
    search(&parts(world.dimensions), |(first, second, share)| {
        let (signal, noise) = moments(&pool(first, second, &(share * &kept)));
        let other = Q::one() - share;
        let mean: Vec<Q> = first
            .mean
            .iter()
            .zip(&second.mean)
            .map(|(a, b)| share * a + &other * b)
            .collect();
        let part = |task: &Task| {
            let gap: Vec<Q> = task.mean.iter().zip(&mean).map(|(m, mu)| m - mu).collect();
            squared_norm(&task.spread) + squared_norm(&gap)
        };
        let stated = share * part(first) + other * part(second);
        ((&signal, &noise) != (&squared_norm(&mean), &stated)).then(|| {
            format!(
                "tasks {} and {}, the first with chance {share}: over all draws |mu|^2 = {signal} and Tr D = {noise}, by the formula {} and {stated}",
                first.show(),
                second.show(),
                squared_norm(&mean)
            )
        })
    })
}

fn total_variance() -> Check {
    let spec = Spec {
        id: "conflict-is-noise",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "over all draws from two tasks |mu|^2 is |sum p m|^2, and Tr D is sum p (Tr D_k + |m_k - mu|^2)",
        tolerance: 0.0,
        detectable: Size::of("relative error of a task's chance", 1.0 / 64.0),
    };
    let shares = |sixty_fourths, dimensions| Shares {
        sixty_fourths,
        dimensions,
    };
    let worlds = Worlds {
        real: shares(0, &[1, 2]),
        defect: Planted {
            what: "a task that is drawn 1/64 less often",
            size: 1.0 / 64.0,
            world: shares(1, &[1, 2]),
        },
        truth: Planted {
            what: "one parameter",
            size: 0.0,
            world: shares(0, &[1]),
        },
    };
    Check::new(spec, worlds, examine_variance)
}

/// The pooled ratio is multiplied by `1 + eighths/8`; in one or two dimensions.
struct Bound {
    eighths: i64,
    dimensions: &'static [usize],
}

fn examine_bound(world: &Bound, _: &Draw) -> Finding {
    let excess = q(8 + world.eighths, 8);
    search(&parts(world.dimensions), |(first, second, share)| {
        let largest = first.ratio()?.max(second.ratio()?);
        let (signal, noise) = moments(&pool(first, second, share));
        let pooled = signal / noise * &excess;
        (pooled > largest).then(|| {
            format!(
                "tasks {} and {}, the first with chance {share}: the pooled C is {pooled}, the larger of theirs {largest}",
                first.show(),
                second.show()
            )
        })
    })
}

fn never_above() -> Check {
    let spec = Spec {
        id: "never-above-every-task",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "the pooled C of two tasks is at most the larger of theirs",
        tolerance: 0.0,
        detectable: Size::of("relative excess of the pooled C", 0.125),
    };
    let bound = |eighths, dimensions| Bound {
        eighths,
        dimensions,
    };
    let worlds = Worlds {
        real: bound(0, &[1, 2]),
        defect: Planted {
            what: "an estimator of the pooled C that is 1/8 too large",
            size: 0.125,
            world: bound(1, &[1, 2]),
        },
        truth: Planted {
            what: "one parameter",
            size: 0.0,
            world: bound(0, &[1]),
        },
    };
    Check::new(spec, worlds, examine_bound)
}

/// With the chance `sixteenths/16` a batch has the first task twice; in one or two dimensions.
struct Batches {
    sixteenths: i64,
    dimensions: &'static [usize],
}

fn examine_batches(world: &Batches, _: &Draw) -> Finding {
    let slipped = q(world.sixteenths, 16);
    search(&parts(world.dimensions), |(first, second, _)| {
        let pairs = |a: &Task, b: &Task, chance: &Q| -> Vec<(Q, Vec<Q>)> {
            let (a, b) = (a.gradients(), b.gradients());
            let of = |x: &Vec<Q>, y: &Vec<Q>| {
                let mean = x.iter().zip(y).map(|(x, y)| (x + y) / q(2, 1));
                (chance / q(4, 1), mean.collect())
            };
            a.iter()
                .flat_map(|x| b.iter().map(move |y| of(x, y)))
                .collect()
        };
        let mut draws = pairs(first, second, &(Q::one() - &slipped));
        draws.extend(pairs(first, first, &slipped));
        let (signal, noise) = moments(&draws);
        // two draws a batch, half of them of each task
        let spread = squared_norm(&first.spread) + squared_norm(&second.spread);
        let stated = spread / q(4, 1);
        let (pooled, _) = moments(&pool(first, second, &q(1, 2)));
        ((&signal, &noise) != (&pooled, &stated)).then(|| {
            format!(
                "tasks {} and {}, one draw of each a batch: |mu|^2 = {signal} and Tr D = {noise}; the pool's |mu|^2 is {pooled}, and the noise without conflict {stated}",
                first.show(),
                second.show()
            )
        })
    })
}

fn fixed_shares() -> Check {
    let spec = Spec {
        id: "fixed-shares",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "over all batches with one draw of each of two tasks, mu is the pool's and Tr D is (1/2) sum p_k Tr D_k",
        tolerance: 0.0,
        detectable: Size::of("chance that a batch has one task twice", 1.0 / 16.0),
    };
    let batches = |sixteenths, dimensions| Batches {
        sixteenths,
        dimensions,
    };
    let worlds = Worlds {
        real: batches(0, &[1, 2]),
        defect: Planted {
            what: "one batch in sixteen with the first task twice",
            size: 1.0 / 16.0,
            world: batches(1, &[1, 2]),
        },
        truth: Planted {
            what: "one parameter",
            size: 0.0,
            world: batches(0, &[1]),
        },
    };
    Check::new(spec, worlds, examine_batches)
}
