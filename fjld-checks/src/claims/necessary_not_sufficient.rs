//! `C > 1` without good accuracy.

use super::runs::{self, Runs};
use super::{Claim, Origin, Sentence};
use crate::evidence::kernels::{RunTest, TOLERATED_FAILURES};
use crate::evidence::ledger::Rates;
use crate::evidence::{Bench, Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use crate::scenarios::measurement::{Estimator, View};
use crate::scenarios::shipped;
use crate::scenarios::training::Curve;
use crate::tier::Tier;

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "necessary-not-sufficient",
        origin: Origin::Document,
        statement: "C > 1 does not suffice for good test accuracy: it tells when a network can learn, not what it learns (that it is necessary is judged by descent-boundary).",
        sentence: Some(Sentence {
            section: "FAQ",
            line: 380,
            sha256: "bef4a62f2f38719243e0407dbbc0b4b4917553a98345d93037b849d984166d4a",
            status: "stated",
        }),
        holds_when: None,
        corrected: None,
        scenarios: &[runs::SCENARIO],
        checks: vec![insufficient()],
    }
}

/// Half of the images right, where chance is a tenth: what falls short of it all along is no good accuracy.
const GOOD: f64 = 0.5;

/// Whether `C` exceeds 1 at a reading and no reading from there on has a good accuracy. `C` is that of the training set's own
/// examples, drawn with replacement, and has no sampling error.
fn without_accuracy(runs: &Runs, curve: &Curve, batch_size: usize) -> bool {
    let values = curve.series(runs.view, batch_size);
    let above = values.iter().position(|c| c.is_some_and(|c| c > 1.0));
    above.is_some_and(|at| curve.accuracies()[at..].iter().all(|&a| a < GOOD))
}

fn examine(world: &Runs, draw: &Draw) -> Finding {
    let test = RunTest::new(world.controls.len() as u64, draw.rates);
    let shows = |curve: &&Curve| {
        let batches = world.batch_sizes.iter();
        batches.copied().any(|b| without_accuracy(world, curve, b))
    };
    let shown = world.controls.iter().filter(shows).count();
    let runs = world.controls.len();
    let values = world.controls.iter().flat_map(|curve| {
        let largest = world.batch_sizes.iter().max().copied().unwrap_or(1);
        curve.series(world.view, largest)
    });
    let highest = values.flatten().fold(f64::NAN, f64::max);
    let accuracies = world.controls.iter().flat_map(Curve::accuracies);
    let best = accuracies.fold(0.0, f64::max);
    let summary = format!(
        "in {shown} of {runs} runs on shuffled labels C exceeds 1 (up to {highest:.0}) and test accuracy stays below {GOOD} (at most {best:.2})"
    );
    let outcome = test.outcome((runs - shown) as u64, 0);
    let mut finding = Finding::new(outcome, runs as u64, summary);
    finding.effect = Some(shown as f64 / runs.max(1) as f64);
    finding
}

fn insufficient() -> Check {
    // what the default report promises
    let scenario = shipped::training(runs::SCENARIO).expect("a test reads every shipped scenario");
    let seeds = scenario.seeds(Tier::Standard);
    let detectable = RunTest::new(seeds, Rates::of_one_slot()).detectable();
    let promise = format!("share of runs in which C > 1 does suffice, with {seeds} runs");
    let spec = Spec {
        id: "shuffled-labels",
        role: Role::AsWritten,
        kind: Kind::Runs,
        hypothesis: "training on shuffled labels has C above 1 at a reading, at some measurement batch, and reaches no good test accuracy from there on",
        tolerance: TOLERATED_FAILURES,
        detectable: Size::of(&promise, detectable),
    };
    let build = |bench: &Bench| {
        let real = Runs::of(
            bench.runs.get(runs::SCENARIO)?,
            View::of_examples(Estimator::PerExample),
        );
        let truth = Runs::made_up(&real, |_, _, _| 2.0);
        let defect = Runs {
            controls: truth.runs.clone(),
            ..truth.clone()
        };
        Ok(Worlds {
            real,
            defect: Planted {
                what: "runs with C = 2 in which accuracy climbs to 0.9",
                size: 1.0,
                world: defect,
            },
            truth: Planted {
                what: "runs with C = 2 in which accuracy stays at chance",
                size: 0.0,
                world: truth,
            },
        })
    };
    Check::built(spec, build, examine).on(runs::SCENARIO)
}
