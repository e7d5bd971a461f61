//! Streams of real gradients whose classes drift, and a network that moves while it is measured.

use crate::claims::by_seed::{self, Run, Words, judge, middle};
use crate::claims::runs::Fate;
use crate::evidence::{Check, Draw, Finding, Role};
use crate::scenarios::non_iid::stream::Stream;
use crate::scenarios::non_iid::{Parameters, Row};

/// The study.
pub const SCENARIO: &str = "non-iid";

/// The sizes of the bias in a stream: of every window, the shortest first, and of all draws.
fn biases(run: &Run<Row>, stream: Stream, parameters: Parameters) -> (Vec<f64>, Option<f64>) {
    let own = |row: &&Row| (row.stream, row.parameters) == (stream, parameters);
    let mut windows: Vec<&Row> = run.iter().filter(own).collect();
    windows.sort_by_key(|row| row.window.unwrap_or(usize::MAX));
    let all = windows.pop_if(|row| row.window.is_none());
    let sizes = windows.iter().map(|row| row.size_of_bias());
    (sizes.collect(), all.map(Row::size_of_bias))
}

/// The middle sizes of the bias over the runs, for every stream.
fn told(runs: &[Run<Row>]) -> String {
    let mut told = String::new();
    for (parameters, name) in [
        (Parameters::Fixed, "fixed parameters"),
        (Parameters::Training, "every draw a step"),
    ] {
        for (stream, of) in [
            (Stream::Drifting, "class by class"),
            (Stream::Stationary, "all classes alike"),
        ] {
            let count = runs
                .first()
                .map_or(0, |run| biases(run, stream, parameters).0.len());
            let shown: Vec<String> = (0..count)
                .map(|w| {
                    let each = runs.iter().map(|run| biases(run, stream, parameters).0[w]);
                    format!("{:.2}", middle(each))
                })
                .collect();
            let all = runs
                .iter()
                .filter_map(|run| biases(run, stream, parameters).1);
            told += &format!(
                "; with {name}, {of}, C is off by {} of itself in windows, the shortest first, and by {:.2} over all draws",
                shown.join(" and "),
                middle(all)
            );
        }
    }
    told
}

/// Whether the shortest window is nearer than all draws where the classes drift, and the parameters stay.
fn mended(run: &Run<Row>) -> Fate {
    match biases(run, Stream::Drifting, Parameters::Fixed) {
        (windows, Some(all))
            if all.is_finite() && windows.first().is_some_and(|w| w.is_finite()) =>
        {
            if windows[0] < all {
                Fate::Holds
            } else {
                Fate::Fails
            }
        }
        _ => Fate::Undecided,
    }
}

#[allow(clippy::ptr_arg, reason = "a check examines a world as it is kept")]
fn examine_mended(runs: &Vec<Run<Row>>, draw: &Draw) -> Finding {
    let fates: Vec<Fate> = runs.iter().map(mended).collect();
    let sentence = "fed class by class at fixed parameters, the shortest window is nearer to the exact C of the moment than all draws are,";
    let mut finding = judge(draw, sentence, &fates);
    finding.summary += &told(runs);
    finding
}

/// Of the exact `C`.
const FAR: f64 = 0.5;

/// Whether no window comes near where the parameters move, though the classes stay.
fn far_off(run: &Run<Row>) -> Fate {
    let (windows, all) = biases(run, Stream::Stationary, Parameters::Training);
    let sizes: Vec<f64> = windows.into_iter().chain(all).collect();
    if sizes.is_empty() || sizes.iter().any(|s| !s.is_finite()) {
        Fate::Undecided
    } else if sizes.iter().all(|s| *s > FAR) {
        Fate::Holds
    } else {
        Fate::Fails
    }
}

#[allow(clippy::ptr_arg, reason = "a check examines a world as it is kept")]
fn examine_far(runs: &Vec<Run<Row>>, draw: &Draw) -> Finding {
    let fates: Vec<Fate> = runs.iter().map(far_off).collect();
    let sentence = "where every draw is a step, with all classes alike, every window and all draws together are off by more than half of the exact C";
    judge(draw, sentence, &fates)
}

/// Runs with these biases: of the window and of all draws at fixed parameters where the classes drift, and of everything while training.
fn planted(like: &[Run<Row>], [window, all, training]: [f64; 3]) -> Vec<Run<Row>> {
    let run = |seed: u64| {
        let row = |stream, parameters, window, bias: f64| Row {
            seed,
            stream,
            parameters,
            window,
            bias: vec![bias, -bias],
            deviation: vec![0.1; 2],
        };
        let (drifting, fixed) = (Stream::Drifting, Parameters::Fixed);
        let (still, moving) = (Stream::Stationary, Parameters::Training);
        vec![
            row(drifting, fixed, Some(6), window),
            row(drifting, fixed, None, all),
            row(still, moving, Some(6), training),
            row(still, moving, None, training),
        ]
    };
    (0..like.len() as u64).map(run).collect()
}

/// That a window mends a drift of the classes.
pub fn class_by_class() -> Check {
    by_seed::check(
        Words {
            id: "class-by-class",
            role: Role::Corrected,
            hypothesis: "at fixed parameters of a trained network fed class by class, the debiased C over the shortest window is nearer to the exact C of the mixture at the moment than C over all draws",
            defect: "a window that is off by half, and all draws by a tenth",
            truth: "a window that is off by a tenth, and all draws by half",
        },
        (SCENARIO, |row: &Row| row.seed),
        |real| [[0.5, 0.1, 1.0], [0.1, 0.5, 1.0]].map(|biases| planted(real, biases)),
        examine_mended,
    )
}

/// That none mends the movement of the parameters.
pub fn while_training() -> Check {
    by_seed::check(
        Words {
            id: "while-training",
            role: Role::Corrected,
            hypothesis: "where every draw is a step of training, on all classes alike, C over windows and over all draws is off by more than half of the exact C at the moment",
            defect: "estimates that are off by a quarter",
            truth: "estimates that are off by all of it",
        },
        (SCENARIO, |row: &Row| row.seed),
        |real| [0.25, 1.0].map(|training| planted(real, [0.1, 0.5, training])),
        examine_far,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::by_seed::tests::draw;
    use crate::evidence::Outcome;

    fn like() -> Vec<Run<Row>> {
        vec![Vec::new(); 5]
    }

    #[test]
    fn a_window_mends_where_it_is_nearer_than_all_draws() {
        let found = |biases| examine_mended(&planted(&like(), biases), &draw()).outcome;
        assert_eq!(found([0.1, 0.5, 0.0]), Outcome::Holds);
        assert_eq!(found([0.5, 0.1, 0.0]), Outcome::Violated);
        assert_eq!(found([f64::NAN, 0.1, 0.0]), Outcome::Undecided);
    }

    #[test]
    fn a_bias_counts_by_its_size_and_not_by_its_sign() {
        let found =
            |training| examine_far(&planted(&like(), [0.0, 0.0, training]), &draw()).outcome;
        assert_eq!(found(0.6), Outcome::Holds);
        assert_eq!(found(-0.6), Outcome::Holds);
        assert_eq!(found(0.4), Outcome::Violated);
    }
}
