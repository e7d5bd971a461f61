//! `C` of the gradients that an adaptive optimiser steps along tells what the theory says `C` tells.
//!
//! What **applies** is what the document says of `C` elsewhere: it crosses 1 from below before validation accuracy improves (with
//! [`crossing`]'s definitions), and it correlates with accuracy by more than 0.7 (with [`ratio_tracks_accuracy`]'s). **Preconditioned
//! gradients** are those times `v^(-1/2)`, with AdamW's own `v` of the moment; before the first step `v` is what it has on average after
//! one, `E g^2` at the training batch. With `v` held the preconditioned `C` is proportional to the measurement batch, like the raw one.
//! Runs of AdamW under three schedules are judged, each with streams of its own, beside the same on shuffled labels; the summary tells how
//! the raw ratio fares in the same runs.

use super::runs::Runs;
use super::{Claim, Origin, Sentence, cells, crossing, ratio_tracks_accuracy};
use crate::evidence::kernels::TOLERATED_FAILURES;
use crate::evidence::{Bench, Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use crate::scenarios::measurement::{Estimator, Unit, Value, View};
use crate::scenarios::optimiser::Rule;
use crate::scenarios::optimisers::{Reading as Read, Row};
use crate::scenarios::shipped;
use crate::scenarios::training::{Curve, Item, Reading};
use crate::tier::Tier;

const SCENARIO: &str = "optimisers";

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "adaptive-ratio",
        origin: Origin::Document,
        statement: "C computed from preconditioned gradients applies to adaptive optimisers: it crosses 1 before accuracy improves, and correlates with it.",
        sentence: Some(Sentence {
            section: "FAQ",
            line: 391,
            sha256: "eb8255e5c85ed5b01be3d0920615bb0bda793ae3116b0253e3912e511398365d",
            status: "speculative",
        }),
        holds_when: None,
        corrected: None,
        scenarios: &[SCENARIO],
        checks: vec![
            check(
                "crosses-first",
                "in a run of AdamW, C of the preconditioned gradients crosses 1 from below before accuracy improves, at each measurement batch",
                (
                    "runs in which it crosses 1 after accuracy has risen",
                    "runs in which it crosses 1 before accuracy rises, and controls in which it never does",
                ),
                crossing::plant,
                |gradients, draw| gradients.tell(draw, crossing::examine),
            ),
            check(
                "correlates",
                "in a run of AdamW, C of the preconditioned gradients correlates with accuracy by more than 0.7, at each measurement batch",
                (
                    "runs in which it and accuracy correlate by 0.6",
                    "runs in which it and accuracy correlate by 0.8, and controls in which they hardly do",
                ),
                ratio_tracks_accuracy::plant,
                |gradients, draw| gradients.tell(draw, ratio_tracks_accuracy::examine),
            ),
        ],
    }
}

/// The measurement batches, each of which the sentence must be true at.
const BATCHES: [usize; 4] = [1, 16, 64, 256];

/// Runs of AdamW by the ratio of one gradient and by that of the other.
struct Gradients {
    preconditioned: Runs,
    raw: Runs,
}

impl Gradients {
    fn tell(&self, draw: &Draw, examine: fn(&Runs, &Draw) -> Finding) -> Finding {
        let mut finding = examine(&self.preconditioned, draw);
        let raw = examine(&self.raw, draw).summary;
        let raw = raw.split(';').next().unwrap_or_default();
        finding.summary += &format!("; of the raw gradients {raw}");
        finding
    }
}

fn runs(rows: &[Row], ratio: fn(&Read) -> Option<f64>) -> Runs {
    let own = rows.iter().filter(|row| row.rule == Rule::AdamW);
    let curve = |(k, row): (usize, &Row)| Curve {
        // a plain run and its control stand next to each other
        item: Item::new(k as u64 / 2, row.control),
        readings: row
            .readings
            .iter()
            .map(|reading| Reading {
                step: reading.step,
                accuracy: reading.accuracy,
                loss: reading.loss.unwrap_or(f64::NAN),
                values: BATCHES
                    .map(|batch_size| Value {
                        estimator: Estimator::PerExample,
                        unit: Unit::Example,
                        batch_size,
                        c: ratio(reading).map(|c| c * batch_size as f64),
                        interval: None,
                    })
                    .to_vec(),
            })
            .collect(),
    };
    let (runs, controls) = own
        .clone()
        .enumerate()
        .map(curve)
        .partition(|c: &Curve| c.item.control.is_none());
    let first = rows.first();
    Runs {
        runs,
        controls,
        batch_sizes: BATCHES.to_vec(),
        view: View::of_examples(Estimator::PerExample),
        test_examples: first.map_or(1, |row| row.test_examples),
        classes: first.map_or(2, |row| row.classes),
    }
}

/// Schedules that AdamW runs under.
const SCHEDULES: u64 = 3;

fn check(
    id: &'static str,
    hypothesis: &'static str,
    (defect, truth): (&'static str, &'static str),
    plant: fn(&Runs) -> [Runs; 2],
    examine: fn(&Gradients, &Draw) -> Finding,
) -> Check {
    let seeds = shipped::study(SCENARIO).map_or(5, |study| study.tiers().seeds(Tier::Standard));
    let count = SCHEDULES * seeds;
    let spec = Spec {
        id,
        role: Role::AsWritten,
        kind: Kind::Runs,
        hypothesis,
        tolerance: TOLERATED_FAILURES,
        detectable: Size::of(
            &format!("share of runs that violate the sentence, with {count} runs"),
            cells::detectable(count, BATCHES.len()),
        ),
    };
    let build = move |bench: &Bench| {
        let rows: Vec<Row> = bench.runs.rows(SCENARIO)?;
        let preconditioned = runs(&rows, |r| r.preconditioned);
        let [wrong, right] = plant(&preconditioned).map(|made_up| Gradients {
            raw: made_up.clone(),
            preconditioned: made_up,
        });
        Ok(Worlds {
            real: Gradients {
                preconditioned,
                raw: runs(&rows, |r| r.raw),
            },
            defect: Planted {
                what: defect,
                size: 1.0,
                world: wrong,
            },
            truth: Planted {
                what: truth,
                size: 0.0,
                world: right,
            },
        })
    };
    Check::built(spec, build, examine)
}
