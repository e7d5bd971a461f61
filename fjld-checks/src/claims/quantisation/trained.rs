//! A trained network whose weights are rounded in its own parameters and in turned inputs.
//!
//! How far `C` is from one parameterisation to another is the mean size of the difference of its logarithms, from its own parameters to each
//! rotation of the inputs.

use crate::claims::by_seed::{self, Run, Words, judge, middle};
use crate::claims::runs::Fate;
use crate::evidence::{Check, Draw, Finding, Role};
use crate::scenarios::quantised::{Row, Weights};

/// The study.
pub const SCENARIO: &str = "quantisation";

/// How far `C` is from one parameterisation to another; `None` where it is undefined or there is one only.
fn spread(run: &Run<Row>, weights: Weights) -> Option<f64> {
    let own = run.iter().filter(|row| row.weights == weights);
    let values: Vec<f64> = own.map(|row| row.c).collect::<Option<_>>()?;
    let (first, others) = values.split_first()?;
    let sum: f64 = others.iter().map(|c| (c / first).ln().abs()).sum();
    (!others.is_empty()).then(|| sum / others.len() as f64)
}

/// How far `C` is from that of the weights as they were, in the network's own parameters.
fn moved(run: &Run<Row>, weights: Weights) -> Option<f64> {
    let at = |weights: Weights| {
        let mut own = run.iter().filter(|row| row.weights == weights);
        own.next()?.c
    };
    Some((at(weights)? / at(Weights::Float)?).ln().abs())
}

/// The numbers of bits that weights are rounded to, in the order of the rows.
fn bits(run: &Run<Row>) -> Vec<u32> {
    let mut found = Vec::new();
    for row in run {
        if let Weights::Rounded(bits) = row.weights
            && !found.contains(&bits)
        {
            found.push(bits);
        }
    }
    found
}

/// So many times the rounding of 32-bit numbers is no rounding of theirs.
const BEYOND: f64 = 100.0;

fn broken(run: &Run<Row>) -> Fate {
    let Some(float) = spread(run, Weights::Float) else {
        return Fate::Undecided;
    };
    let rounded = bits(run)
        .into_iter()
        .map(|b| spread(run, Weights::Rounded(b)));
    match rounded.collect::<Option<Vec<f64>>>() {
        None => Fate::Undecided,
        Some(all) if all.iter().all(|s| *s > BEYOND * float) => Fate::Holds,
        Some(_) => Fate::Fails,
    }
}

fn told(runs: &[Run<Row>]) -> String {
    let float = middle(runs.iter().filter_map(|run| spread(run, Weights::Float)));
    let parts = runs.first().map_or(Vec::new(), bits).into_iter().map(|b| {
        let of = |value: fn(&Run<Row>, Weights) -> Option<f64>, weights: Weights| {
            middle(runs.iter().filter_map(|run| value(run, weights)))
        };
        format!(
            "{b} bits {:.2} (noise {:.2}), which is moved by {:.2} (noise {:.2})",
            of(spread, Weights::Rounded(b)),
            of(spread, Weights::Noisy(b)),
            of(moved, Weights::Rounded(b)),
            of(moved, Weights::Noisy(b)),
        )
    });
    let parts: Vec<String> = parts.collect();
    format!(
        "; in the middle run log C differs between parameterisations by {float:.0e} as it is, and rounded to {}",
        parts.join(", ")
    )
}

#[allow(clippy::ptr_arg, reason = "a check examines a world as it is kept")]
fn examine_broken(runs: &Vec<Run<Row>>, draw: &Draw) -> Finding {
    let fates: Vec<Fate> = runs.iter().map(broken).collect();
    let sentence = "rounded to any of the numbers of bits, C differs between turned inputs by more than a hundred times what it does as it is,";
    let mut finding = judge(draw, sentence, &fates);
    finding.summary += &told(runs);
    finding
}

/// At most so many times as far as by noise, on the average over the numbers of bits.
const AS_NOISE: f64 = 3.0;

fn as_noise(run: &Run<Row>) -> Fate {
    let logs: Option<Vec<f64>> = bits(run)
        .into_iter()
        .map(|b| {
            let ratio = spread(run, Weights::Rounded(b))? / spread(run, Weights::Noisy(b))?;
            Some(ratio.ln())
        })
        .collect();
    match logs {
        Some(logs) if !logs.is_empty() && logs.iter().all(|l| l.is_finite()) => {
            let mean = logs.iter().sum::<f64>() / logs.len() as f64;
            if mean.exp() <= AS_NOISE {
                Fate::Holds
            } else {
                Fate::Fails
            }
        }
        _ => Fate::Undecided,
    }
}

#[allow(clippy::ptr_arg, reason = "a check examines a world as it is kept")]
fn examine_noise(runs: &Vec<Run<Row>>, draw: &Draw) -> Finding {
    let fates: Vec<Fate> = runs.iter().map(as_noise).collect();
    let sentence = "rounding makes C differ between turned inputs by no more than three times what noise of its size does,";
    judge(draw, sentence, &fates)
}

/// Runs in which `log C` differs between two parameterisations by these: as it is, rounded to four bits, and with noise.
fn planted(like: &[Run<Row>], spreads: [f64; 3]) -> Vec<Run<Row>> {
    let run = |seed: u64| {
        let kinds = [Weights::Float, Weights::Rounded(4), Weights::Noisy(4)];
        let rows = kinds
            .into_iter()
            .zip(spreads)
            .flat_map(|(weights, spread)| {
                [0.0, spread]
                    .into_iter()
                    .enumerate()
                    .map(move |(chart, log)| Row {
                        seed,
                        chart: chart as u64,
                        weights,
                        c: Some(f64::exp(log)),
                        accuracy: 0.9,
                    })
            });
        rows.collect()
    };
    (0..like.len() as u64).map(run).collect()
}

/// That rounding breaks the invariance of a real network's `C`.
pub fn turned_inputs() -> Check {
    by_seed::check(
        Words {
            id: "trained-network",
            role: Role::Corrected,
            hypothesis: "C of a trained network with weights of 8, 4 and 2 bits differs between its own parameters and turned inputs by more than a hundred times what it does with the weights as they are",
            defect: "weights whose rounding makes no difference to that of 32-bit numbers",
            truth: "weights whose rounding moves C by a tenth, and by one part in 10^6 as they are",
        },
        (SCENARIO, |row: &Row| row.seed),
        |real| [1e-6, 0.1].map(|rounded| planted(real, [1e-6, rounded, 0.1])),
        examine_broken,
    )
}

/// That noise as large does the same.
pub fn as_noise_does() -> Check {
    by_seed::check(
        Words {
            id: "as-noise-does",
            role: Role::Corrected,
            hypothesis: "C of a trained network differs between its own parameters and turned inputs, with rounded weights, by no more than three times what it does with noise as large",
            defect: "rounding that moves C ten times as far as noise does",
            truth: "rounding that moves C as far as noise does",
        },
        (SCENARIO, |row: &Row| row.seed),
        |real| [1.0, 0.1].map(|rounded| planted(real, [1e-6, rounded, 0.1])),
        examine_noise,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::by_seed::tests::draw;
    use crate::evidence::Outcome;
    use approx::assert_relative_eq;

    #[test]
    fn the_spread_is_the_mean_size_of_the_differences_of_logarithms() {
        let runs = planted(&vec![Vec::new(); 5], [1e-6, 0.5, 0.1]);
        let found = spread(&runs[0], Weights::Rounded(4)).expect("it is defined");
        assert_relative_eq!(found, 0.5, max_relative = 1e-12);
        assert_eq!(spread(&runs[0], Weights::Rounded(3)), None);
        assert_eq!(moved(&runs[0], Weights::Rounded(4)), Some(0.0));
        assert_eq!(bits(&runs[0]), [4]);
    }

    #[test]
    fn rounding_that_moves_c_no_further_than_float_breaks_nothing() {
        let found = |spreads| {
            let runs = planted(&vec![Vec::new(); 5], spreads);
            [
                examine_broken(&runs, &draw()),
                examine_noise(&runs, &draw()),
            ]
            .map(|f| f.outcome)
        };
        assert_eq!(
            found([1e-6, 1e-6, 0.1]),
            [Outcome::Violated, Outcome::Holds]
        );
        assert_eq!(found([1e-6, 0.5, 0.1]), [Outcome::Holds, Outcome::Violated]);
    }
}
