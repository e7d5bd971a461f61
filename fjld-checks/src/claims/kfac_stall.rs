//! Whether the Kronecker form tells more where the plain one lingers near 1.
//!
//! *Lingers*: of each run the longest stretch of readings, at least four, over which the plain `C` stays within a factor of 1.5, so that at the
//! batch `1/C` it lies between 0.8 and 1.2 all along: `C(B) = B C(1)`, and that batch is chosen for each run. *Tells more*, by two
//! definitions: over that stretch the Kronecker form moves by more than a factor of 1.5, so that it can not linger between the same bounds at any
//! batch; or from one sample it predicts better how far test accuracy has still to rise, by the size of the rank correlation of
//! its estimates with what accuracy lacks of its highest value, averaged over repeated samples. The control, where there is nothing to learn, is
//! looked at in the same way. A run is decided where both agree, with the factors undamped, damped as printed, and pi-damped.

use super::kfac_runs::{self, Cell, On, Run, SCENARIOS, Words, World, accuracies, agreed, series};
use super::ratio_tracks_accuracy::ranks;
use super::runs::Fate;
use super::{Claim, Origin, Sentence};
use crate::evidence::over_seeds::pearson;
use crate::evidence::{Check, Draw, Finding, Role};
use crate::scenarios::kfac_sharper::forms::Form;
use std::ops::Range;

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "kfac-stall",
        origin: Origin::Document,
        statement: "Where the diagonal C lingers between 0.8 and 1.2, the Kronecker form tells more.",
        sentence: Some(Sentence {
            section: "Comparison: Diagonal vs K-FAC",
            line: 512,
            sha256: "e517648455f5de9e71e98889885f0c43ea85b6256b61d64e2cbdbade88cefbef",
            status: "stated",
        }),
        holds_when: None,
        corrected: None,
        scenarios: SCENARIOS,
        checks: vec![tells_more(On::Digits), tells_more(On::Modular)],
    }
}

/// From 0.8 to 1.2.
const WIDTH: f64 = 1.2 / 0.8;

/// The fewest readings that are a stretch.
const FEWEST: usize = 4;

/// The largest value over the smallest; `None` where one is undefined or not positive.
fn width(values: &[Option<f64>]) -> Option<f64> {
    let values: Vec<f64> = values.iter().copied().collect::<Option<_>>()?;
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(0.0, f64::max);
    (low > 0.0).then_some(high / low)
}

/// The longest stretch over which the plain form lingers, the first of several.
fn stretch(run: &Run) -> Option<Range<usize>> {
    let plain = series(run, Form::Plain, 1);
    let n = plain.len();
    let all = (0..n).flat_map(|first| (first + FEWEST..=n).map(move |end| first..end));
    let within = |r: &Range<usize>| width(&plain[r.clone()]).is_some_and(|w| w <= WIDTH);
    // the first of those that are equally long
    all.filter(within)
        .max_by_key(|r| (r.len(), usize::MAX - r.start))
}

/// The size of the rank correlation of a form's estimates with what accuracy lacks, averaged over the samples; 0 where estimates do not vary.
fn prediction(run: &Run, at: &Range<usize>, form: Form, sample: usize) -> Option<f64> {
    let accuracies = accuracies(run);
    let best = accuracies.iter().copied().fold(0.0, f64::max);
    let lacking: Vec<f64> = accuracies[at.clone()].iter().map(|a| best - a).collect();
    let rows = &run[at.clone()];
    let repeats = rows.first()?.samples.get(sample)?.estimates.len();
    let mut sum = 0.0;
    for repeat in 0..repeats {
        let estimates = rows
            .iter()
            .map(|row| row.samples[sample].estimates[repeat][form as usize]);
        let estimates: Vec<f64> = estimates.collect::<Option<_>>()?;
        sum += pearson(&ranks(&estimates), &ranks(&lacking)).unwrap_or(0.0);
    }
    Some((sum / repeats as f64).abs())
}

/// Whether the Kronecker form tells more, by both definitions at each damping and sample.
fn told(run: &Run) -> Vec<Option<bool>> {
    let Some(at) = stretch(run) else {
        return Vec::new();
    };
    let samples = run[0].samples.len();
    let mut told = Vec::new();
    for form in Form::KFAC {
        told.push(width(&series(run, form, 1)[at.clone()]).map(|w| w > WIDTH));
        for sample in 0..samples {
            let [own, plain] = [form, Form::Plain].map(|form| prediction(run, &at, form, sample));
            told.push(own.zip(plain).map(|(own, plain)| own > plain));
        }
    }
    told
}

/// What is seen of the stretches: their batches and lengths, widths and predictions.
fn with_stretches(mut finding: Finding, world: &World) -> Finding {
    let middle = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    };
    for (name, runs) in [("runs", &world.runs), ("control", &world.controls)] {
        let found: Vec<(&Run, Range<usize>)> = runs
            .iter()
            .filter_map(|run| Some((run, stretch(run)?)))
            .collect();
        if found.is_empty() {
            finding.summary += &format!("; {name}: none of {} lingers", runs.len());
            continue;
        }
        let of = |value: &dyn Fn(&Run, &Range<usize>) -> Option<f64>| {
            middle(
                found
                    .iter()
                    .filter_map(|(run, at)| value(run, at))
                    .collect(),
            )
        };
        let batch = of(&|run, at| {
            let logs = series(run, Form::Plain, 1)[at.clone()]
                .iter()
                .map(|c| c.map(f64::ln))
                .collect::<Option<Vec<f64>>>()?;
            Some((-logs.iter().sum::<f64>() / logs.len() as f64).exp())
        });
        let readings = of(&|_, at| Some(at.len() as f64));
        finding.summary += &format!(
            "; {name}: {} of {} linger, in the middle one at batch {batch:.0} over {readings} readings, with",
            found.len(),
            runs.len()
        );
        for form in Form::ALL {
            let wide = of(&|run, at| width(&series(run, form, 1)[at.clone()]));
            let samples = runs.first().map_or(0, |run| run[0].samples.len());
            let predicted: Vec<String> = (0..samples)
                .map(|s| format!("{:.2}", of(&|run, at| prediction(run, at, form, s))))
                .collect();
            let (form, predicted) = (form.name(), predicted.join(" and "));
            finding.summary +=
                &format!(" {form} moving by {wide:.2} and predicting by {predicted},");
        }
        finding.summary.pop();
    }
    finding
}

fn examine(world: &World, draw: &Draw) -> Finding {
    let cells = [Cell {
        label: String::new(),
        fate: Box::new(|run| agreed(told(run))),
        in_control: Box::new(|run| agreed(told(run)) == Fate::Holds),
    }];
    let sentence = "the Kronecker form tells more where the plain one lingers";
    with_stretches(world.judge(draw, sentence, &cells), world)
}

/// The plain form lingers at 1 in the middle, up and down or rising; the Kronecker form rises by a factor all along, or goes up and down.
fn plant(real: &World) -> [World; 2] {
    let wave = |k: usize| 1.0 + 0.01 * (k % 2) as f64;
    let middle = |k: usize| (2..10).contains(&k);
    [false, true].map(|tells| {
        World::made_up(real, |control, k, form| {
            let c = match form {
                Form::Plain if !middle(k) => 10.0,
                Form::Plain if tells => wave(k),
                Form::Plain => 1.0 + 0.02 * k as f64,
                _ if tells && control.is_none() => 0.01 * (1.0 + k as f64),
                _ => 0.01 * wave(k),
            };
            (c, 0.001)
        })
    })
}

fn tells_more(on: On) -> Check {
    kfac_runs::check(
        on,
        Words {
            id: on.pick(["tells-more", "tells-more-modular"]),
            role: Role::AsWritten,
            hypothesis: "over the longest stretch of readings in which the plain C stays within a factor of 1.5 the Kronecker form leaves that factor, and predicts better how far accuracy has still to rise",
            defect: "runs in which the plain form rises slowly with accuracy, and the Kronecker form goes up and down as little",
            truth: "runs in which the plain form goes up and down, and the Kronecker form rises with accuracy, and controls in which neither rises",
        },
        1,
        plant,
        examine,
    )
}

#[cfg(test)]
mod tests {
    use super::super::kfac_runs::tests::{bare, draw};
    use super::*;
    use crate::evidence::Outcome;

    #[test]
    fn the_stretch_is_the_longest_that_one_batch_brings_between_the_bounds() {
        let [still, tells] = plant(&bare());
        // plain readings 2 to 9 lie between 1 and 1.2
        assert_eq!(stretch(&still.runs[0]), Some(2..10));
        assert_eq!(stretch(&tells.runs[0]), Some(2..10));
        assert_eq!(stretch(&bare().runs[0]), None);
    }

    #[test]
    fn a_form_that_rises_with_accuracy_tells_more_than_one_that_does_not() {
        let [still, tells] = plant(&bare());
        assert_eq!(examine(&still, &draw()).outcome, Outcome::Violated);
        assert_eq!(examine(&tells, &draw()).outcome, Outcome::Holds);
    }

    #[test]
    fn runs_in_which_nothing_lingers_decide_nothing() {
        let steep = World::made_up(&bare(), |_, k, _| (2f64.powi(k as i32), 0.01));
        assert_eq!(examine(&steep, &draw()).outcome, Outcome::Undecided);
    }
}
