//! The rows of a study to look at: numbers against a number, the median over seeds between the lowest and the highest.
//!
//! Rows are taken as they lie in `evidence/*.jsonl`, so that a study has a picture by one entry of [`VIEWS`]; a row without the keys that
//! an entry names is left out, and without rows there is no picture.

use crate::error::Result;
use crate::evidence::picture::{
    Axis, Kind, Line, Mark, Panel, Picture, Rule, Scale, Series, Style, capital, median, plain,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What a caption says of a quantity.
enum Told {
    /// Where its medians lie about a level, which has a name.
    Level(&'static str, f64),
    /// Where it is highest.
    Peak,
    /// Its first value and its last.
    Ends,
}

/// A path of keys, its name, how it is laid out, and what is said of it.
type Upward = (&'static str, &'static str, Scale, Told);

/// What is drawn of a study.
struct View {
    /// Its name.
    study: &'static str,
    title: &'static str,
    /// To the right: a key and its name.
    x: (&'static str, &'static str, Scale),
    /// A panel each. Of a list the last number counts.
    y: &'static [Upward],
    /// Rows that differ in this key have panels of their own.
    panels: Option<&'static str>,
    /// Rows that differ in one of these keys are series of their own.
    series: &'static [&'static str],
    /// Only rows with this value of this key.
    only: Option<(&'static str, &'static str)>,
    /// What is said instead of null, by key.
    nothing: &'static str,
}

const VIEWS: [View; 4] = [
    View {
        study: "heavy-tails",
        title: "The tails of gradient noise in training",
        x: ("step", "training step, counted from 1", Scale::Log),
        y: &[
            (
                "hill.value",
                "tail index by Hill",
                Scale::Log,
                Told::Level("no variance below 2", 2.0),
            ),
            (
                "extreme_value_index.value",
                "extreme value index",
                Scale::Linear,
                Told::Level("heavy above 0", 0.0),
            ),
        ],
        panels: Some("of"),
        series: &["batch_size"],
        only: Some(("rule", "root")),
        nothing: "Gaussian noise",
    },
    View {
        study: "double-descent",
        title: "Across the interpolation threshold",
        x: ("width", "width", Scale::Log),
        y: &[
            (
                "test_error",
                "test error at the end",
                Scale::Log,
                Told::Peak,
            ),
            ("c", "C at the end", Scale::Log, Told::Level("C = 1", 1.0)),
        ],
        panels: Some("world"),
        series: &["arm"],
        only: Some(("fit", "gradient-descent")),
        nothing: "undefined",
    },
    View {
        study: "depth",
        title: "C and accuracy in very deep networks",
        x: ("depth", "layers", Scale::Log),
        y: &[
            ("c", "C at the end", Scale::Log, Told::Ends),
            (
                "accuracy",
                "test accuracy at the end",
                Scale::Linear,
                Told::Ends,
            ),
        ],
        panels: None,
        series: &["kind", "shuffled"],
        only: None,
        nothing: "none",
    },
    View {
        study: "lottery",
        title: "Accuracy of pruned networks",
        x: ("share", "share of the weights taken out", Scale::Linear),
        y: &[(
            "accuracy",
            "share of test labels right",
            Scale::Linear,
            Told::Ends,
        )],
        panels: None,
        series: &["method"],
        only: None,
        nothing: "none",
    },
];

/// A number along a path of keys, the last one of a list.
fn number(row: &Value, path: &str) -> Option<f64> {
    let mut at = row;
    for key in path.split('.') {
        at = at.get(key)?;
    }
    match at {
        Value::Array(list) => list.last()?.as_f64(),
        value => value.as_f64(),
    }
}

/// What is said of a value that sets rows apart.
fn name(row: &Value, key: &str, nothing: &str) -> String {
    match &row[key] {
        Value::Null => nothing.to_owned(),
        Value::Bool(true) => key.to_owned(),
        Value::Bool(false) => format!("not {key}"),
        Value::String(text) => text.replace('-', " "),
        value => format!("{} {value}", key.replace('_', " ")),
    }
}

/// The values at each place.
type Places = Vec<(f64, Vec<f64>)>;

/// The same by series.
type Values = BTreeMap<String, Places>;

impl View {
    fn rows<'a>(&self, rows: &'a [Value]) -> Vec<&'a Value> {
        let wanted = |row: &&Value| {
            self.only
                .is_none_or(|(key, value)| row.get(key).is_some_and(|own| own == value))
                && self.series.iter().all(|key| row.get(key).is_some())
        };
        rows.iter().filter(wanted).collect()
    }

    fn x(&self, row: &Value) -> Option<f64> {
        let x = number(row, self.x.0)?;
        // steps are counted from 1, so that the start has a place on a logarithmic axis
        let shift = f64::from(u8::from(self.x.0 == "step"));
        Some(x + shift)
    }

    fn values(&self, rows: &[&Value], path: &str) -> Values {
        let mut values = Values::new();
        for row in rows {
            let (Some(x), Some(y)) = (self.x(row), number(row, path)) else {
                continue;
            };
            let names = self.series.iter().map(|key| name(row, key, self.nothing));
            let own = values
                .entry(names.collect::<Vec<_>>().join(", "))
                .or_default();
            match own.iter_mut().find(|(at, _)| *at == x) {
                Some((_, found)) => found.push(y),
                None => own.push((x, vec![y])),
            }
        }
        for own in values.values_mut() {
            own.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        values
    }

    fn panels(&self, rows: &[&Value]) -> Vec<Panel> {
        let groups: BTreeSet<String> = self
            .panels
            .map(|key| rows.iter().map(|r| name(r, key, self.nothing)).collect())
            .unwrap_or_else(|| BTreeSet::from([String::new()]));
        let mut panels = Vec::new();
        for group in &groups {
            let own: Vec<&Value> = rows
                .iter()
                .copied()
                .filter(|r| {
                    self.panels
                        .is_none_or(|key| name(r, key, self.nothing) == *group)
                })
                .collect();
            for &(path, what, scale, ref told) in self.y {
                let values = self.values(&own, path);
                if values.is_empty() {
                    continue;
                }
                panels.push(Panel {
                    title: match group.as_str() {
                        "" => what.to_owned(),
                        group => format!("{group}: {what}"),
                    },
                    x: Axis {
                        scale: self.x.2,
                        ..Axis::linear(self.x.1)
                    },
                    y: Axis {
                        scale,
                        ..Axis::linear(what)
                    },
                    series: values
                        .iter()
                        .enumerate()
                        .map(|(place, (name, own))| drawn(place, name, own))
                        .collect(),
                    rules: match told {
                        Told::Level(name, at) => vec![Rule::across(name, *at)],
                        Told::Peak | Told::Ends => Vec::new(),
                    },
                    ..Panel::default()
                });
            }
        }
        panels
    }
}

fn drawn(place: usize, name: &str, values: &[(f64, Vec<f64>)]) -> Series {
    const LINES: [Line; 3] = [Line::Solid, Line::Dashed, Line::Dotted];
    const MARKS: [Mark; 3] = [Mark::Circle, Mark::Cross, Mark::Triangle];
    let style = Style {
        ink: 1 + place % 4,
        line: LINES[place % 3],
        mark: MARKS[place % 3],
    };
    let middle = values
        .iter()
        .filter_map(|(x, found)| Some((*x, median(found)?)));
    let ends = values.iter().map(|(_, found)| {
        found
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
                (low.min(*v), high.max(*v))
            })
    });
    Series::new(name, style, middle).between(ends)
}

/// What the panels of one quantity show.
fn shown(what: &str, told: &Told, panels: &[&Panel], x: &str) -> String {
    let all = || panels.iter().flat_map(|p| &p.series);
    match told {
        Told::Level(_, level) => {
            let medians: Vec<f64> = all().flat_map(|s| s.y.iter().filter_map(|y| *y)).collect();
            let above = medians.iter().filter(|y| *y > level).count();
            format!(
                "{what} lies above {level} at {above} of {} places, between {} and {}",
                medians.len(),
                plain(medians.iter().copied().fold(f64::INFINITY, f64::min)),
                plain(medians.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
            )
        }
        Told::Peak => {
            let peaks = panels.iter().filter_map(|panel| {
                let places = panel
                    .series
                    .iter()
                    .filter(|s| s.x.len() > 1)
                    .filter_map(|s| {
                        let values = s.x.iter().zip(&s.y).filter_map(|(x, y)| Some((*x, (*y)?)));
                        values.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(x, _)| x)
                    });
                let mut places: Vec<f64> = places.collect();
                places.sort_by(f64::total_cmp);
                places.dedup();
                let places: Vec<String> = places.into_iter().map(plain).collect();
                let group = panel.title.strip_suffix(what)?.trim_end_matches(": ");
                (!places.is_empty()).then(|| format!("{} ({group})", places.join(" or ")))
            });
            match peaks.collect::<Vec<_>>().join(", ") {
                none if none.is_empty() => {
                    format!("{what} has no peak, as no line has more than one {x}")
                }
                peaks => format!("{what} is highest at {x} {peaks}"),
            }
        }
        Told::Ends => {
            let ends = all().filter_map(|s| Some((&s.name, (*s.y.first()?)?, (*s.y.last()?)?)));
            let ends: Vec<(&String, f64, f64)> = ends.collect();
            let falls = ends.iter().filter(|(_, first, last)| last < first).count();
            let each = ends.iter().map(|(name, first, last)| {
                format!("{name} from {} to {}", plain(*first), plain(*last))
            });
            format!(
                "{what} falls from the left end to the right in {falls} of {} lines: {}",
                ends.len(),
                each.collect::<Vec<_>>().join("; ")
            )
        }
    }
}

/// A sentence for each quantity, and of how many runs.
fn caption(view: &View, panels: &[Panel], rows: &[&Value]) -> String {
    let told = view.y.iter().filter_map(|(_, what, _, told)| {
        let own: Vec<&Panel> = panels.iter().filter(|p| p.y.what == *what).collect();
        (!own.is_empty()).then(|| capital(&shown(what, told, &own, view.x.1)) + ".")
    });
    let seeds: BTreeSet<u64> = rows.iter().filter_map(|r| r["seed"].as_u64()).collect();
    format!(
        "{} Medians over runs, between the lowest and the highest (n = {} seeds).",
        told.collect::<Vec<_>>().join(" "),
        seeds.len()
    )
}

/// The pictures of a study's rows, which speak to `claims`; none where nothing is known of how to draw them.
///
/// # Errors
/// When a row is no JSON.
pub fn of(study: &str, lines: &[String], claims: &[String]) -> Result<Vec<Picture>> {
    let Some(view) = VIEWS.iter().find(|view| view.study == study) else {
        return Ok(Vec::new());
    };
    let all: Vec<Value> = super::study::rows(lines)?;
    let rows = view.rows(&all);
    let panels = view.panels(&rows);
    if panels.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![Picture {
        id: format!("study-{study}"),
        claims: claims.to_vec(),
        kind: Kind::Curves,
        title: view.title.to_owned(),
        caption: caption(view, &panels, &rows),
        source: format!("scenario {study}"),
        panels,
    }])
}

#[cfg(test)]
mod tests;
