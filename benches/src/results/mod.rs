//! Tables out of raw rows, each figure beside its target.

use crate::clock::{exponent, median, ratio};
use crate::rows::{Context, Row};
use crate::targets::{COPY_LIMIT, FILE_LIMIT, MEMORY_LIMIT, PEER_LIMIT};
use std::fmt::Write;

mod steps;

/// A figure against the most that it may be.
fn judged(figure: f64, limit: Option<f64>) -> String {
    match limit {
        None => format!("{figure:.2} | | "),
        Some(limit) if figure <= limit => format!("{figure:.2} | {limit:.2} | met"),
        Some(limit) => format!(
            "{figure:.2} | {limit:.2} | **missed by {:.0}%**",
            100.0 * (figure / limit - 1.0)
        ),
    }
}

/// Everything that the rows say, in Markdown.
pub fn tables(rows: &[Row]) -> String {
    let mut text = String::new();
    contexts(rows, &mut text);
    steps::on_the_processor(rows, &mut text);
    steps::on_a_gpu(rows, &mut text);
    memory(rows, &mut text);
    peers(rows, &mut text);
    moments(rows, &mut text);
    files(rows, &mut text);
    text
}

/// The committed page.
pub fn page(rows: &[Row], notes: &str) -> String {
    format!(
        "# What measuring costs\n\nMade by `cargo run -p fjld-benches --example results` out of the raw rows in `results/`, *recorded* on:\n\n{}\n{}",
        tables(rows),
        notes
    )
}

fn line(text: &mut String, line: std::fmt::Arguments) {
    // writing to a string does not fail
    let _ = writeln!(text, "{line}");
}

fn contexts(rows: &[Row], text: &mut String) {
    let mut known: Vec<&Context> = Vec::new();
    for row in rows {
        if let Row::Context(own) = row {
            let same = |c: &&Context| {
                (&c.date, &c.build, &c.versions, &c.sources, &c.processor)
                    == (
                        &own.date,
                        &own.build,
                        &own.versions,
                        &own.sources,
                        &own.processor,
                    )
            };
            if !known.iter().any(same) {
                known.push(own);
            }
        }
    }
    for c in known {
        line(
            text,
            format_args!(
                "- {}, {} cores; {}; {}; {}; sources `{}`; load before {}",
                c.processor, c.cores, c.date, c.build, c.versions, c.sources, c.load
            ),
        );
    }
}

fn memory(rows: &[Row], text: &mut String) {
    let all: Vec<(&str, &str, f64)> = rows
        .iter()
        .filter_map(|row| match row {
            Row::Memory { model, way, bytes } => Some((model.as_str(), way.as_str(), *bytes)),
            _ => None,
        })
        .collect();
    if all.is_empty() {
        return;
    }
    line(text, format_args!("\n## Peak memory\n"));
    line(
        text,
        format_args!(
            "A process for each; the largest resident size after three steps. `job` is a process that only makes model and batch.\n"
        ),
    );
    line(
        text,
        format_args!("| model | way | MiB | of which job | of plain | target | |"),
    );
    line(text, format_args!("|---|---|---|---|---|---|---|"));
    for &(model, way, bytes) in &all {
        let of = |way: &str| all.iter().find(|m| (m.0, m.1) == (model, way)).map(|m| m.2);
        let (Some(none), Some(plain)) = (of("none"), of("plain")) else {
            continue;
        };
        if way == "none" || way == "plain" && plain == 0.0 {
            continue;
        }
        let limit = (way == "exact").then_some(MEMORY_LIMIT);
        line(
            text,
            format_args!(
                "| {model} | {way} | {:.0} | {:.0} | {} |",
                bytes / f64::from(1 << 20),
                none / f64::from(1 << 20),
                judged(bytes / plain, limit)
            ),
        );
    }
}

fn peers(rows: &[Row], text: &mut String) {
    let all: Vec<(&str, &str, Vec<f64>, Option<f64>)> = rows
        .iter()
        .filter_map(|row| match row {
            Row::Peers {
                model,
                method,
                cpu,
                c,
            } => {
                let cpu = cpu.iter().map(|t| t.unwrap_or(f64::NAN)).collect();
                Some((model.as_str(), method.as_str(), cpu, *c))
            }
            _ => None,
        })
        .collect();
    if all.is_empty() {
        return;
    }
    line(text, format_args!("\n## Peers\n"));
    line(
        text,
        format_args!(
            "CPU time of a step, one thread each, in rounds that take turns; normalisations without scale and shift, which BackPACK does not know. The target is our exact step over the best peer's exact one.\n"
        ),
    );
    line(
        text,
        format_args!("| model | method | ms a step | of PyTorch's plain | of ours exact | C |"),
    );
    line(text, format_args!("|---|---|---|---|---|---|"));
    let mut models: Vec<&str> = Vec::new();
    for (model, method, cpu, c) in &all {
        let (model, method) = (*model, *method);
        let find = |method: &str| all.iter().find(|p| (p.0, p.1) == (model, method));
        let to = |method: &str| find(method).map_or(f64::NAN, |p| ratio(cpu, &p.2));
        line(
            text,
            format_args!(
                "| {model} | {method} | {:.2} | {:.2} | {:.2} | {} |",
                1e3 * median(cpu),
                to("plain"),
                to("fjld exact"),
                c.map_or(String::new(), |c| format!("{c:.4}"))
            ),
        );
        if !models.contains(&model) {
            models.push(model);
        }
    }
    line(
        text,
        format_args!("\n| model | best exact peer | our exact step of it | target | |"),
    );
    line(text, format_args!("|---|---|---|---|---|"));
    for model in models {
        let own = all.iter().find(|p| (p.0, p.1) == (model, "fjld exact"));
        let peers = all
            .iter()
            .filter(|p| p.0 == model && p.3.is_some() && !p.1.starts_with("fjld"));
        let best = peers.min_by(|a, b| median(&a.2).total_cmp(&median(&b.2)));
        if let (Some(own), Some(best)) = (own, best) {
            line(
                text,
                format_args!(
                    "| {model} | {} | {} |",
                    best.1,
                    judged(ratio(&own.2, &best.2), Some(PEER_LIMIT))
                ),
            );
        }
    }
}

fn moments(rows: &[Row], text: &mut String) {
    let all: Vec<(usize, usize, f64, f64)> = rows
        .iter()
        .filter_map(|row| match row {
            Row::Moments { n, d, push, copy } => Some((*n, *d, median(push), ratio(copy, push))),
            _ => None,
        })
        .collect();
    if all.is_empty() {
        return;
    }
    line(text, format_args!("\n## Moments\n"));
    line(
        text,
        format_args!(
            "Bytes of gradient a second, and of those that a copy of the same array moves (read once, written once; one thread).\n"
        ),
    );
    line(
        text,
        format_args!("| n | d | GB/s | of the copy's | target | |"),
    );
    line(text, format_args!("|---|---|---|---|---|---|"));
    for &(n, d, push, of_copy) in &all {
        let verdict = match of_copy >= COPY_LIMIT {
            true => "met".to_owned(),
            false => format!("**missed by {:.0}%**", 100.0 * (1.0 - of_copy / COPY_LIMIT)),
        };
        line(
            text,
            format_args!(
                "| {n} | {d} | {:.2} | {of_copy:.2} | {COPY_LIMIT:.2} | {verdict} |",
                (n * d * 4) as f64 / push * 1e-9
            ),
        );
    }
    let along = |keep: &dyn Fn(usize, usize) -> Option<usize>| {
        let points = all
            .iter()
            .filter_map(|&(n, d, push, _)| Some((keep(n, d)? as f64, push)));
        points.collect::<Vec<_>>()
    };
    let n = along(&|n, d| (d == 100_000).then_some(n));
    let d = along(&|n, d| (n == 64).then_some(d));
    let size = along(&|n, d| Some(n * d));
    line(
        text,
        format_args!(
            "\nTime goes as n^{:.2} at d = 100000, as d^{:.2} at n = 64, and as (n d)^{:.2} over all of them, up to d = 10^7; 1 is linear.",
            exponent(&n),
            exponent(&d),
            exponent(&size)
        ),
    );
}

fn files(rows: &[Row], text: &mut String) {
    let mut first = true;
    for row in rows {
        let Row::File {
            bytes,
            d,
            read,
            measure,
            peak,
        } = row
        else {
            continue;
        };
        if first {
            line(text, format_args!("\n## `measure` on a file\n"));
            line(
                text,
                format_args!(
                    "| GB | d | reading, GB/s | measuring, GB/s | peak MiB, in f64 of d | of reading | target | |"
                ),
            );
            line(text, format_args!("|---|---|---|---|---|---|---|---|"));
            first = false;
        }
        line(
            text,
            format_args!(
                "| {:.1} | {d} | {:.2} | {:.2} | {:.0}, {:.1} d | {} |",
                bytes * 1e-9,
                bytes / median(read) * 1e-9,
                bytes / median(measure) * 1e-9,
                peak / f64::from(1 << 20),
                peak / (8 * d) as f64,
                judged(ratio(measure, read), Some(FILE_LIMIT))
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(way: &str, wall: f64) -> Row {
        Row::Steps {
            model: "gpt16".into(),
            way: way.into(),
            device: "cpu".into(),
            dtype: "f32".into(),
            threads: 2,
            operations: 1e9,
            wall: vec![wall; 3],
            cpu: vec![2.0 * wall; 3],
        }
    }

    #[test]
    fn a_missed_target_says_by_how_much_and_a_met_one_that_it_is() {
        let rows = [
            steps("plain", 1.0),
            steps("exact", 1.2),
            steps("fastest", 1.15),
        ];
        let text = tables(&rows);
        assert!(
            text.contains("| gpt16 | 2 | 1.20 | 1.20 | 1.00 | **missed by 20%** |"),
            "{text}"
        );
        assert!(
            text.contains("| gpt16 | 2 | 1.04 | 1.04 | 1.12 | met |"),
            "{text}"
        );
    }

    #[test]
    fn the_best_peer_is_one_that_measures() {
        let peer = |method: &str, cpu: f64, c: Option<f64>| Row::Peers {
            model: "mlp128".into(),
            method: method.into(),
            cpu: vec![Some(cpu)],
            c,
        };
        let rows = [
            peer("plain", 1.0, None),
            peer("hooks", 1.2, Some(0.1)),
            peer("opacus", 1.6, Some(0.1)),
            peer("fjld exact", 0.6, Some(0.1)),
        ];
        assert!(tables(&rows).contains("| mlp128 | hooks | 0.50 | 1.00 | met |"));
    }
}
