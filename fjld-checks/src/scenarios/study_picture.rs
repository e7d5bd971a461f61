//! The rows of a study to look at: numbers against a number, the median over seeds between the lowest and the highest.
//!
//! Rows are taken as they lie in `evidence/*.jsonl`, so that a study has a picture by one entry of [`VIEWS`]; a row without the keys that
//! an entry names is left out, and without rows there is no picture.

use crate::error::Result;
use crate::evidence::picture::{
    Axis, Kind, Line, Mark, Panel, Picture, Rule, Scale, Series, Style, median, plain,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A path of keys, its name, how it is laid out, and a level with its name.
type Upward = (
    &'static str,
    &'static str,
    Scale,
    Option<(&'static str, f64)>,
);

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
                Some(("no variance below 2", 2.0)),
            ),
            (
                "extreme_value_index.value",
                "extreme value index",
                Scale::Linear,
                Some(("heavy above 0", 0.0)),
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
            ("test_error", "test error at the end", Scale::Log, None),
            ("c", "C at the end", Scale::Log, Some(("C = 1", 1.0))),
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
            ("c", "C at the end", Scale::Log, None),
            ("accuracy", "test accuracy at the end", Scale::Linear, None),
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
            None,
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
            for &(path, what, scale, rule) in self.y {
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
                    rules: rule
                        .into_iter()
                        .map(|(name, at)| Rule::across(name, at))
                        .collect(),
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

/// What the panels show: each series from its first place to its last.
fn caption(panels: &[Panel], rows: &[&Value]) -> String {
    let told = panels.iter().map(|panel| {
        let series = panel.series.iter().filter_map(|own| {
            let (first, last) = (own.y.first()?.as_ref()?, own.y.last()?.as_ref()?);
            Some(format!(
                "{} from {} to {}",
                own.name,
                plain(*first),
                plain(*last)
            ))
        });
        format!("{}: {}", panel.title, series.collect::<Vec<_>>().join(", "))
    });
    let seeds: BTreeSet<u64> = rows.iter().filter_map(|r| r["seed"].as_u64()).collect();
    format!(
        "{}. From the left end to the right, medians over runs, between the lowest and the highest (n = {} seeds).",
        told.collect::<Vec<_>>().join("; "),
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
        caption: caption(&panels, &rows),
        source: format!("scenario {study}"),
        panels,
    }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(seed: u64, batch: &str, rule: &str, index: f64) -> String {
        format!(
            r#"{{"seed":{seed},"step":0,"batch_size":{batch},"of":"length","rule":"{rule}","hill":{{"value":{index}}},"extreme_value_index":null}}"#
        )
    }

    #[test]
    fn the_rows_of_a_study_that_is_known_have_a_picture() -> Result<()> {
        let rows = [
            tail(0, "1", "root", 4.0),
            tail(1, "1", "root", 6.0),
            tail(0, "1", "half", 99.0),
            tail(0, "null", "root", 30.0),
        ];
        let pictures = of("heavy-tails", &rows, &["heavy-tails".into()])?;
        let [panel] = &pictures[0].panels[..] else {
            panic!("an index that is null has no panel");
        };
        let names: Vec<&str> = panel.series.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["Gaussian noise", "batch size 1"]);
        assert_eq!(
            (&panel.series[1].x, &panel.series[1].y),
            (&vec![1.0], &vec![Some(5.0)])
        );
        assert!(pictures[0].caption.contains("n = 2 seeds"));
        Ok(())
    }

    #[test]
    fn of_a_list_the_last_number_counts_and_a_row_without_the_keys_is_left_out() -> Result<()> {
        let rows = [
            r#"{"kind":"plain","depth":4,"seed":0,"shuffled":false,"c":[1.0,null,0.5],"accuracy":[0.1]}"#,
            r#"{"depth":4}"#,
        ];
        let pictures = of("depth", &rows.map(str::to_owned), &[])?;
        assert_eq!(pictures[0].panels[0].series[0].y, [Some(0.5)]);
        assert_eq!(pictures[0].panels[0].series[0].name, "plain, not shuffled");
        Ok(())
    }

    #[test]
    fn other_rows_have_none() -> Result<()> {
        assert!(of("sums", &["1.5".into()], &[])?.is_empty());
        assert!(of("depth", &[], &[])?.is_empty());
        Ok(())
    }
}
