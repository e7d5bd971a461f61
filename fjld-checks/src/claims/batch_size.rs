//! `C` grows with the measurement batch.

use super::{Claim, Origin};
use crate::error::Result;
use crate::evidence::kernels::equivalence;
use crate::evidence::rational::{Q, q, squared_norm, tuple};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{
    Bench, Check, Draw, Family, Finding, Kind, Outcome, Planted, Role, Size, Spec, Worlds,
};
use crate::precision::Scalar;
use crate::scenarios::mlp::Mlp;
use crate::scenarios::{measurement, shipped};
use candle_core::{Device, Tensor};
use fjld_core::capture::{flat_gradient, moments_of};
use fjld_core::rng::{Generator, standard_normals};
use fjld_core::{Moments, Ratio};
use num_traits::Zero;
use statrs::distribution::{ContinuousCDF, Normal};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "batch-size",
        origin: Origin::Ours,
        statement: "Measured over batches of B examples drawn with replacement, C is B times its per-example value: C = B / B_simple with the gradient noise scale B_simple. Without replacement it is (N-1)/(N-B) times that. So C > 1 says that the batch exceeds the noise scale.",
        sentence: None,
        holds_when: None,
        corrected: None,
        scenarios: &[],
        checks: vec![every_batch(), real_network()],
    }
}

/// How often, in sixteenths, the second draw of a batch repeats its first.
struct Loader {
    repeats: i64,
    two_points: bool,
}

/// The ratio of the batch means over every batch of `size`, each with its weight.
fn ratio_of_batches(points: &[Vec<Q>], size: usize, replace: bool, repeats: i64) -> Option<Q> {
    let d = points[0].len();
    let n = points.len();
    let mut total = Q::zero();
    let mut mean = vec![Q::zero(); d];
    let mut second_moment = Q::zero();
    for code in 0..n.pow(size as u32) {
        let batch: Vec<usize> = (0..size).map(|k| code / n.pow(k as u32) % n).collect();
        let distinct = (0..size).all(|a| !batch[..a].contains(&batch[a]));
        if !replace && !distinct {
            continue;
        }
        // with probability `repeats`/16 the second draw is a copy of the first instead of one of n
        let weight = match batch.get(1) {
            Some(second) if *second == batch[0] => q(16 - repeats + repeats * n as i64, 16),
            Some(_) => q(16 - repeats, 16),
            None => q(1, 1),
        };
        let average: Vec<Q> = (0..d)
            .map(|j| batch.iter().map(|&i| points[i][j].clone()).sum::<Q>() / q(size as i64, 1))
            .collect();
        second_moment += squared_norm(&average) * &weight;
        mean.iter_mut()
            .zip(&average)
            .for_each(|(m, a)| *m += a * &weight);
        total += weight;
    }
    // more draws than examples can not all be distinct
    if total.is_zero() {
        return None;
    }
    mean.iter_mut().for_each(|m| *m /= &total);
    let signal = squared_norm(&mean);
    let noise = second_moment / total - &signal;
    (!noise.is_zero()).then(|| signal / noise)
}

fn examine_batches(world: &Loader, _: &Draw) -> Finding {
    let population = |points: usize, d: usize, max_height| {
        Part::new(&[&vec![Axis::Any; points * d]], max_height, move |c| {
            Some(c.chunks(d).map(<[Q]>::to_vec).collect::<Vec<_>>())
        })
    };
    let parts = if world.two_points {
        vec![population(2, 1, 4)]
    } else {
        vec![population(3, 1, 2), population(3, 2, 1)]
    };
    search(&parts, |points: &Vec<Vec<Q>>| {
        let n = points.len() as i64;
        let one = ratio_of_batches(points, 1, true, 0)?;
        (1..=3).find_map(|size| {
            let replaced = &one * q(size, 1);
            let measured = ratio_of_batches(points, size as usize, true, world.repeats);
            let distinct = ratio_of_batches(points, size as usize, false, 0);
            // a batch of all N has no noise
            let expected = (size < n).then(|| &replaced * q(n - 1, n - size));
            let kept = measured.as_ref() == Some(&replaced) && (size > n || distinct == expected);
            (!kept).then(|| {
                let shown: Vec<String> = points.iter().map(|p| tuple(p)).collect();
                let number = |c: Option<Q>| c.map_or("undefined".into(), |c| c.to_string());
                format!(
                    "population {}: C = {one} for one example; over batches of {size} it is {} with and {} without replacement",
                    shown.join(" "),
                    number(measured),
                    number(distinct)
                )
            })
        })
    })
}

fn every_batch() -> Check {
    let spec = Spec {
        id: "every-batch",
        role: Role::AsWritten,
        kind: Kind::Exact,
        hypothesis: "over every batch of 1, 2 and 3 from a population of three, C is B C(1) with and B C(1) (N-1)/(N-B) without replacement",
        tolerance: 0.0,
        detectable: Size::of(
            "chance that a batch's second example repeats its first",
            1.0 / 16.0,
        ),
    };
    let worlds = Worlds {
        real: Loader {
            repeats: 0,
            two_points: false,
        },
        defect: Planted {
            what: "a loader that repeats an example in one batch of sixteen",
            size: 1.0 / 16.0,
            world: Loader {
                repeats: 1,
                two_points: false,
            },
        },
        truth: Planted {
            what: "populations of two numbers",
            size: 0.0,
            world: Loader {
                repeats: 0,
                two_points: true,
            },
        },
    };
    Check::new(spec, worlds, examine_batches)
}

/// Where gradients of minibatches come from, with the exact per-example ratio.
struct Source {
    per_example: f64,
    /// Relative variance of the ratio's estimate from `n` batches of `B`: `(over_batch / B + 2) / n` at the most.
    over_batch: f64,
    draw: Box<DrawGradient>,
}

/// The gradient of a minibatch of the given size, drawn at random.
type DrawGradient = dyn Fn(usize, &mut Generator) -> fjld_core::Result<Vec<f64>>;

/// The measurement batches compared with one example.
const BATCHES: [usize; 3] = [16, 64, 256];

/// A ratio this far from `B C(1)`, relative, is let stand.
const TOLERANCE: f64 = 0.25;

/// The variance of [`Source::draw`]'s estimate is known to a factor only, from a delta method; this much more is drawn.
const MARGIN: f64 = 1.5;

fn examine_source(source: &Source, draw: &Draw) -> Finding {
    let alarm = draw.rates.false_alarm / BATCHES.len() as f64;
    let normal = Normal::new(0.0, 1.0).expect("a standard normal exists");
    let quantiles =
        normal.inverse_cdf(1.0 - alarm / 2.0) + normal.inverse_cdf(1.0 - draw.rates.miss);
    let mut told = Vec::new();
    let mut outcomes = Vec::new();
    let (mut drawn, mut needed) = (0, 0);
    let mut widest: Option<(f64, [f64; 2])> = None;
    for batch in BATCHES {
        let variance = source.over_batch / batch as f64 + 2.0;
        let least = variance * (quantiles / TOLERANCE).powi(2);
        let n = (MARGIN * least).ceil() as usize;
        needed += least.ceil() as usize;
        let generator = &mut draw.seed.derive(&format!("batches of {batch}")).generator();
        let ratio = (|| -> fjld_core::Result<Ratio> {
            let first = (source.draw)(batch, generator)?;
            let mut moments = Moments::new(first.len())?;
            moments.push(&first)?;
            for _ in 1..n {
                moments.push(&(source.draw)(batch, generator)?)?;
            }
            Ratio::estimate(&moments, 1.0 - alarm)
        })();
        let Ok(Ok(estimates)) = ratio.map(|r| r.estimates) else {
            return Finding::new(Outcome::Undecided, drawn, "a gradient was refused");
        };
        let Ok(mut interval) = estimates.interval else {
            return Finding::new(Outcome::Undecided, drawn, "there was no interval");
        };
        let expected = batch as f64 * source.per_example;
        let effect = estimates.debiased / expected;
        interval.low /= expected;
        interval.high /= expected;
        outcomes.push(equivalence(effect, interval, 1.0, TOLERANCE));
        drawn += n as u64;
        told.push(format!(
            "{effect:.3} [{:.3}, {:.3}] at batch {batch}",
            interval.low, interval.high
        ));
        if widest.is_none_or(|(worst, _)| (effect - 1.0).abs() > (worst - 1.0).abs()) {
            widest = Some((effect, [interval.low, interval.high]));
        }
    }
    let outcome = Outcome::of_all(&outcomes);
    let summary = format!("C over B C(1) is {}", told.join(", "));
    let mut finding = Finding::new(outcome, drawn, summary);
    (finding.effect, finding.interval) = widest.unzip();
    finding.needing(needed)
}

fn real_network() -> Check {
    let spec = Spec {
        id: "real-network",
        role: Role::AsWritten,
        kind: Kind::Statistical,
        hypothesis: "on a network trained on digits, C by the document's procedure at batch 16, 64 and 256 is B times its exact per-example value",
        tolerance: TOLERANCE,
        // the interval is shorter than the tolerance on either side, and has to clear it
        detectable: Size::of("relative error of C at batch B", 2.0 * TOLERANCE),
    };
    Check::built(spec, build, examine_source)
}

/// A network after a little training, measured at that checkpoint; the same with every example of a batch twice; and Gaussian
/// gradients.
fn build(bench: &Bench) -> Result<Family<Source>> {
    let worlds = Worlds {
        real: network(bench, 1)?,
        defect: Planted {
            what: "batches that hold every example twice",
            size: 0.5,
            world: network(bench, 2)?,
        },
        truth: Planted {
            what: "Gaussian gradients of known mean and covariance",
            size: 0.0,
            world: gaussian(0.0),
        },
    };
    Ok(worlds.violated_by(gaussian))
}

/// Steps of training before the checkpoint.
const STEPS: usize = 30;

fn network(bench: &Bench, copies: usize) -> Result<Source> {
    let device = Device::Cpu;
    let scenario = shipped::training("digits-mlp")?;
    let (train, _) = scenario.split(bench.seed.derive("split"), None)?;
    let (inputs, labels) = train.tensors(&device)?;
    let model = Mlp::new(&scenario.widths(), bench.seed.derive("weights"), &device)?;
    let generator = &mut bench.seed.derive("training").generator();
    for _ in 0..STEPS {
        let batch = measurement::draw_batch(&inputs, &labels, 64, generator)?;
        model.sgd_step(&batch, 0.1)?;
    }
    let one = |i| Ok((inputs.narrow(0, i, 1)?, labels.narrow(0, i, 1)?));
    let count = labels.elem_count();
    let moments = moments_of(&model, (0..count).map(one))?;
    let n = count as f64;
    let (signal, noise) = (
        moments.squared_mean_norm(),
        moments.trace()? * (n - 1.0) / n,
    );
    // the delta method: the estimate moves by 2 mu'(g - mu)/|mu|^2 - (|g - mu|^2 - Tr)/Tr
    let mut spread = 0.0;
    for i in 0..count {
        let gradient = flat_gradient(&model, &one(i)?)?.to_vec1::<Scalar>()?;
        let (mut along, mut squared) = (0.0, 0.0);
        for (&g, m) in gradient.iter().zip(moments.mean()) {
            let gap = f64::from(g) - m;
            along += m * gap;
            squared += gap * gap;
        }
        spread += (2.0 * along / signal - (squared - noise) / noise).powi(2) / n;
    }
    Ok(Source {
        per_example: signal / noise,
        over_batch: spread,
        draw: Box::new(move |batch, generator| {
            let (x, y) = measurement::draw_batch(&inputs, &labels, batch / copies, generator)?;
            let (x, y) = (
                Tensor::cat(&vec![x; copies], 0)?,
                Tensor::cat(&vec![y; copies], 0)?,
            );
            let gradient = flat_gradient(&model, &(x, y))?.to_vec1::<Scalar>()?;
            Ok(gradient.into_iter().map(f64::from).collect())
        }),
    })
}

/// Independent coordinates with variances 1, 1/2, ..., 1/8 and a mean along the first, whose square is `error` too small, relative.
fn gaussian(error: f64) -> Source {
    let variances: Vec<f64> = (1..=8).map(|k| 1.0 / f64::from(k)).collect();
    let noise: f64 = variances.iter().sum();
    let mean = 0.3;
    Source {
        per_example: mean * mean / noise,
        // 4 mu' Sigma mu / |mu|^4, and at most 2 for the trace
        over_batch: 4.0 / (mean * mean) + 2.0,
        draw: Box::new(move |batch, generator| {
            let z = standard_normals(generator, variances.len());
            let scaled = z.iter().zip(&variances);
            let mut gradient: Vec<f64> =
                scaled.map(|(z, v)| z * (v / batch as f64).sqrt()).collect();
            gradient[0] += mean * (1.0 - error).max(0.0).sqrt();
            Ok(gradient)
        }),
    }
}
