//! A picture as the page shows it: drawn panels, and one legend for all of them.

use crate::evidence::picture::{Kind, Picture, Series, Style};
use crate::report::plot;
use minijinja::Value;
use serde::Serialize;

/// A picture, drawn.
#[derive(Serialize)]
pub struct Figure {
    title: String,
    caption: String,
    source: String,
    /// `curves`, `map` or `bars`.
    kind: Kind,
    panels: Vec<Drawn>,
    legend: Vec<Entry>,
}

#[derive(Serialize)]
struct Drawn {
    title: String,
    svg: Value,
}

#[derive(Serialize)]
struct Entry {
    name: String,
    svg: Value,
}

impl Figure {
    /// Draws a picture.
    pub fn of(picture: &Picture) -> Self {
        let panels = plot::svg(picture).into_iter().zip(&picture.panels);
        Self {
            title: picture.title.clone(),
            caption: picture.caption.clone(),
            source: picture.source.clone(),
            kind: picture.kind,
            panels: panels
                .map(|(svg, panel)| Drawn {
                    title: panel.title.clone(),
                    svg: Value::from_safe_string(svg),
                })
                .collect(),
            legend: legend(picture),
        }
    }
}

/// Each name once, as it looks where it comes first. Names that differ in what follows a comma are kept apart; a single series needs none.
fn legend(picture: &Picture) -> Vec<Entry> {
    if picture.kind != Kind::Curves {
        return Vec::new();
    }
    let mut seen: Vec<(&str, Style)> = Vec::new();
    let mut entries = Vec::new();
    let all: Vec<&Series> = picture.panels.iter().flat_map(|p| &p.series).collect();
    for series in &all {
        // a bare name is the arm of a longer one that looks the same
        let longer = all
            .iter()
            .any(|s| s.style == series.style && s.name.starts_with(&format!("{},", series.name)));
        let known = seen.contains(&(&series.name, series.style));
        if !known && !longer {
            seen.push((&series.name, series.style));
            entries.push(Entry {
                name: series.name.clone(),
                svg: Value::from_safe_string(plot::sample(series)),
            });
        }
    }
    match entries.len() {
        1 => Vec::new(),
        _ => entries,
    }
}
