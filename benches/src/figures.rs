//! The figures that have a target, for reports of `fjld-checks`: those of the tables, without what they are made of.

use crate::clock::{median, ratio};
use crate::rows::{Context, Row};
use crate::targets::{COPY_LIMIT, FILE_LIMIT, GPU_LIMIT, MEMORY_LIMIT, PEER_LIMIT, TARGETS};
use serde::Serialize;

/// The schema of [`Figures`].
const SCHEMA: &str = "fjld-timings/1";

/// `fjld-checks/recorded/timings.json`.
#[derive(Debug, Serialize)]
pub struct Figures<'a> {
    schema: &'static str,
    command: &'static str,
    figures: Vec<Figure<'a>>,
}

/// One ratio beside its target.
#[derive(Debug, PartialEq, Serialize)]
struct Figure<'a> {
    what: String,
    /// Of which model or size.
    of: String,
    ratio: f64,
    limit: f64,
    /// Whether the ratio is to be at least the limit; at most, otherwise.
    at_least: bool,
    /// The processor, and the GPU where one was used.
    on: &'a str,
    date: &'a str,
    /// What was measured, see [`crate::sources`].
    sources: &'a str,
}

impl<'a> Figures<'a> {
    /// Of rows in their files' order, each behind its context.
    pub fn of(rows: &'a [Row]) -> Self {
        let mut figures = Vec::new();
        let starts = rows.iter().enumerate().filter_map(|(at, row)| match row {
            Row::Context(context) => Some((at, context)),
            _ => None,
        });
        let starts: Vec<(usize, &Context)> = starts.collect();
        for (index, &(at, context)) in starts.iter().enumerate() {
            let end = starts.get(index + 1).map_or(rows.len(), |next| next.0);
            for (what, of, ratio, limit, at_least) in ratios(&rows[at..end]) {
                figures.push(Figure {
                    what,
                    of,
                    // three digits are more than the rounds bear out
                    ratio: (ratio * 1e3).round() / 1e3,
                    limit,
                    at_least,
                    on: &context.processor,
                    date: &context.date,
                    sources: &context.sources,
                });
            }
        }
        Self {
            schema: SCHEMA,
            command: "cargo run -p fjld-benches --example results",
            figures,
        }
    }
}

/// What, of what, the ratio, its limit, and whether it is to be at least that.
type Ratio = (String, String, f64, f64, bool);

/// Those of rows that were measured together.
fn ratios(rows: &[Row]) -> Vec<Ratio> {
    let mut all = Vec::new();
    for row in rows {
        match row {
            Row::Steps { .. } => all.extend(steps(row, rows)),
            Row::Memory { model, way, bytes } if way == "exact" => {
                let plain = rows.iter().find_map(|other| match other {
                    Row::Memory {
                        model: m,
                        way,
                        bytes,
                    } if m == model && way == "plain" => Some(bytes),
                    _ => None,
                });
                let what = "peak memory with exact C / candle-nn's own".to_owned();
                all.extend(plain.map(|p| (what, model.clone(), bytes / p, MEMORY_LIMIT, false)));
            }
            Row::Moments { n, d, push, copy } => {
                let what = "bytes of moments a second / of a copy".to_owned();
                all.push((
                    what,
                    format!("{n} x {d}"),
                    ratio(copy, push),
                    COPY_LIMIT,
                    true,
                ));
            }
            Row::File {
                bytes,
                read,
                measure,
                ..
            } => {
                let of = format!("{:.0} GB", bytes * 1e-9);
                all.push((
                    "`measure` / reading".into(),
                    of,
                    ratio(measure, read),
                    FILE_LIMIT,
                    false,
                ));
            }
            Row::Peers {
                model, method, cpu, ..
            } if method == "fjld exact" => {
                let best = rows.iter().filter_map(|other| match other {
                    Row::Peers {
                        model: m,
                        method,
                        cpu,
                        c: Some(_),
                    } if m == model && !method.starts_with("fjld") => Some((method, known(cpu))),
                    _ => None,
                });
                let best = best.min_by(|a, b| median(&a.1).total_cmp(&median(&b.1)));
                all.extend(best.map(|(method, best)| {
                    let what = format!("CPU time with exact C / {method}");
                    (
                        what,
                        model.clone(),
                        ratio(&known(cpu), &best),
                        PEER_LIMIT,
                        false,
                    )
                }));
            }
            _ => {}
        }
    }
    all
}

fn known(cpu: &[Option<f64>]) -> Vec<f64> {
    cpu.iter().map(|t| t.unwrap_or(f64::NAN)).collect()
}

/// A way of one model beside the other ways that it has a target to.
fn steps(row: &Row, rows: &[Row]) -> Vec<Ratio> {
    let Row::Steps {
        model,
        way,
        device,
        dtype,
        threads,
        wall,
        ..
    } = row
    else {
        return Vec::new();
    };
    let beside = |to: &str| {
        let same = rows.iter().find_map(|other| match other {
            Row::Steps {
                model: m,
                way,
                device: p,
                dtype: t,
                threads: n,
                wall,
                ..
            } if (m, p, t, n) == (model, device, dtype, threads) && way == to => Some(wall),
            _ => None,
        });
        same.map(|other| ratio(wall, other))
    };
    let own = |what: &str, of: String, to: &str, limit| {
        beside(to).map(|ratio| (what.to_owned(), of, ratio, limit, false))
    };
    if device != "cpu" {
        let exact = (way == "exact").then(|| {
            let what = "with exact C / candle-nn's own, on a GPU";
            own(what, format!("{model}, {dtype}"), "plain", GPU_LIMIT)
        });
        return exact.flatten().into_iter().collect();
    }
    let targets = TARGETS.iter().filter(|target| target.of == way);
    let limited = targets.filter_map(|target| {
        let limit = target.limits.iter().find(|(name, _)| name == model)?;
        own(target.what, model.clone(), target.to, limit.1)
    });
    limited.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(sources: &str) -> Row {
        Row::Context(Context {
            sources: sources.into(),
            ..Context::now("")
        })
    }

    fn step(device: &str, model: &str, way: &str, wall: f64) -> Row {
        Row::Steps {
            model: model.into(),
            way: way.into(),
            device: device.into(),
            dtype: "f32".into(),
            threads: 2,
            operations: 1.0,
            wall: vec![wall; 3],
            cpu: vec![wall; 3],
        }
    }

    fn moments(push: f64) -> Row {
        Row::Moments {
            n: 4,
            d: 10,
            push: vec![push],
            copy: vec![1.0],
        }
    }

    #[test]
    fn a_figure_is_of_its_own_recording_and_never_mixes_two() {
        let rows = [
            context("old"),
            step("cpu", "gpt16", "plain", 2.0),
            step("cpu", "gpt16", "exact", 1.0),
            context("new"),
            step("cuda", "gpt16", "plain", 4.0),
            step("cuda", "gpt16", "exact", 1.0),
            // its plain step is of another recording
            step("cpu", "gpt16", "exact", 1.0),
            moments(4.0),
        ];
        let figures = Figures::of(&rows).figures;
        let told: Vec<_> = figures
            .iter()
            .map(|f| (f.sources, f.of.as_str(), f.ratio, f.limit, f.at_least))
            .collect();
        let wanted = [
            ("old", "gpt16", 0.5, 1.0, false),
            ("new", "gpt16, f32", 0.25, GPU_LIMIT, false),
            ("new", "4 x 10", 0.25, COPY_LIMIT, true),
        ];
        assert_eq!(told, wanted);
    }

    #[test]
    fn the_best_peer_is_the_fastest_that_measures() {
        let peer = |method: &str, cpu: f64, c| Row::Peers {
            model: "mlp128".into(),
            method: method.into(),
            cpu: vec![Some(cpu), None],
            c,
        };
        let rows = [
            context("any"),
            peer("plain", 1.0, None),
            peer("hooks", 2.0, Some(0.5)),
            peer("opacus", 3.0, Some(0.5)),
            peer("fjld exact", 1.0, Some(0.5)),
        ];
        let figures = Figures::of(&rows).figures;
        assert_eq!(figures.len(), 1);
        assert_eq!(figures[0].what, "CPU time with exact C / hooks");
        assert_eq!((figures[0].ratio, figures[0].limit), (0.5, PEER_LIMIT));
    }
}
