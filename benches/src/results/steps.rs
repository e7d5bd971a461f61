//! Steps of training, each way beside the others.

use super::{judged, line};
use crate::clock::{exponent, median, ratio};
use crate::rows::Row;
use crate::targets::{GPU_LIMIT, TARGETS};

/// Model, way, threads, operations, wall and CPU seconds.
type Steps<'a> = (&'a str, &'a str, usize, f64, &'a [f64], &'a [f64]);

fn steps_of(rows: &[Row]) -> Vec<Steps<'_>> {
    let steps = rows.iter().filter_map(|row| match row {
        Row::Steps {
            model,
            way,
            threads,
            operations,
            wall,
            cpu,
            device,
            ..
        } if device == "cpu" => Some((
            model.as_str(),
            way.as_str(),
            *threads,
            *operations,
            wall.as_slice(),
            cpu.as_slice(),
        )),
        _ => None,
    });
    steps.collect()
}

/// What a step costs beside every other way that it has a target to.
pub fn on_the_processor(rows: &[Row], text: &mut String) {
    let all = steps_of(rows);
    let mut models: Vec<(&str, usize)> = Vec::new();
    for &(model, _, threads, ..) in &all {
        if !models.contains(&(model, threads)) {
            models.push((model, threads));
        }
    }
    if models.is_empty() {
        return;
    }
    line(text, format_args!("\n## Steps\n"));
    line(
        text,
        format_args!(
            "Medians over rounds of the ratio within a round: by the wall clock, and by the CPU time of all threads, which other work on the machine disturbs less. The target is held against the wall clock.\n"
        ),
    );
    line(
        text,
        format_args!("| figure | model | threads | CPU time | wall | target | |"),
    );
    line(text, format_args!("|---|---|---|---|---|---|---|"));
    for target in &TARGETS {
        for &(model, threads) in &models {
            let find = |way: &str| {
                let found = all
                    .iter()
                    .find(|s| (s.0, s.1, s.2) == (model, way, threads));
                found.map(|s| (s.4, s.5))
            };
            let (Some(of), Some(to)) = (find(target.of), find(target.to)) else {
                continue;
            };
            let limit = target.limits.iter().find(|(name, _)| *name == model);
            line(
                text,
                format_args!(
                    "| {} | {model} | {threads} | {:.2} | {} |",
                    target.what,
                    ratio(of.1, to.1),
                    judged(ratio(of.0, to.0), limit.map(|l| l.1))
                ),
            );
        }
    }
    line(
        text,
        format_args!(
            "\n| model | threads | way | ms a step | of plain | G operations/s of its products |"
        ),
    );
    line(text, format_args!("|---|---|---|---|---|---|"));
    for &(model, way, threads, operations, wall, _) in &all {
        let plain = all
            .iter()
            .find(|s| (s.0, s.1, s.2) == (model, "plain", threads));
        let of_plain = plain.map_or(f64::NAN, |plain| ratio(wall, plain.4));
        line(
            text,
            format_args!(
                "| {model} | {threads} | {way} | {:.2} | {of_plain:.2} | {:.0} |",
                1e3 * median(wall),
                operations / median(wall) * 1e-9
            ),
        );
    }
    for way in ["plain", "exact"] {
        let sizes = all.iter().filter_map(|s| {
            let batch: f64 = s.0.strip_prefix("mlp")?.parse().ok()?;
            (s.1 == way).then_some((batch, median(s.4)))
        });
        let sizes: Vec<(f64, f64)> = sizes.collect();
        if sizes.len() > 2 {
            let smallest = sizes.iter().map(|s| s.0).fold(f64::INFINITY, f64::min);
            let largest = sizes.iter().map(|s| s.0).fold(0.0, f64::max);
            line(
                text,
                format_args!(
                    "\nOver batches B of {smallest} to {largest} the {way} step of the perceptron takes a time that goes as B^{:.2}; 1 is linear.",
                    exponent(&sizes)
                ),
            );
        }
    }
}

/// What a step on a GPU costs: every way beside candle's own and our fastest.
pub fn on_a_gpu(rows: &[Row], text: &mut String) {
    let all: Vec<(&str, &str, &str, &[f64])> = rows
        .iter()
        .filter_map(|row| match row {
            Row::Steps {
                model,
                way,
                device,
                dtype,
                wall,
                ..
            } if device != "cpu" => Some((model.as_str(), dtype.as_str(), way.as_str(), &wall[..])),
            _ => None,
        })
        .collect();
    if all.is_empty() {
        return;
    }
    line(text, format_args!("\n## Steps on a GPU\n"));
    line(
        text,
        format_args!("By the wall clock, until the GPU has done what it was told.\n"),
    );
    line(
        text,
        format_args!("| model | type | way | ms a step | of our fastest | of plain | target | |"),
    );
    line(text, format_args!("|---|---|---|---|---|---|---|---|"));
    for &(model, dtype, way, wall) in &all {
        let of = |other: &str| {
            let found = all
                .iter()
                .find(|s| (s.0, s.1, s.2) == (model, dtype, other));
            found.map_or(f64::NAN, |s| ratio(wall, s.3))
        };
        let limit = (way == "exact").then_some(GPU_LIMIT);
        line(
            text,
            format_args!(
                "| {model} | {dtype} | {way} | {:.2} | {:.2} | {} |",
                1e3 * median(wall),
                of("fastest"),
                judged(of("plain"), limit)
            ),
        );
    }
}
