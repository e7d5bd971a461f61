//! A bar, or a mark with its interval, for each name.

use super::curves::mark;
use super::frame::{Frame, LETTERS, Range, line, write};
use super::{Drawn, FRAME, ink, marked};
use crate::evidence::picture::{Of, Panel};
use plotters::backend::SVGBackend;
use plotters::prelude::{IntoDrawingArea, Rectangle};
use plotters::style::text_anchor::{HPos, VPos};
use plotters::style::{Color, ShapeStyle};

const ROW: i32 = 19;

/// Names longer than this are cut.
const LONGEST: usize = 34;

/// Draws a panel: values to the right, names downward.
pub fn draw(panel: &Panel) -> String {
    let mut svg = String::new();
    draw_on(&mut svg, panel).expect("a string takes what is drawn on it");
    svg
}

fn short(name: &str) -> String {
    match name.chars().count() > LONGEST {
        true => name.chars().take(LONGEST - 1).chain(['…']).collect(),
        false => name.to_owned(),
    }
}

fn draw_on(svg: &mut String, panel: &Panel) -> Drawn {
    let names: Vec<String> = panel.y.names.iter().map(|n| short(n)).collect();
    let letters = names.iter().map(|n| n.chars().count()).max().unwrap_or(0);
    let left = 26 + (letters as f64 * LETTERS / 1.24 * 0.55).ceil() as i32;
    let frame = Frame {
        left,
        right: left + 260,
        top: 18,
        bottom: 20 + names.len() as i32 * ROW,
    };
    let size = (frame.right as u32 + 14, frame.bottom as u32 + 46);
    let area = SVGBackend::with_string(svg, size).into_drawing_area();
    let ruled = panel.rules.iter().filter(|r| r.of == Of::X);
    let own = panel.series.iter().flat_map(|s| {
        let ends = s.low.iter().chain(&s.high).filter_map(|v| *v);
        s.x.iter().copied().chain(ends)
    });
    let values = own.chain(ruled.clone().map(|r| r.at)).chain([0.0]);
    let range = Range::of(panel.x.scale, values);
    frame.draw(&area, Some(&range), None)?;
    let row = |k: usize| frame.top + 2 + k as i32 * ROW + ROW / 2;
    for (k, name) in names.iter().enumerate() {
        write(
            &area,
            name,
            (frame.left - 6, row(k)),
            (HPos::Right, VPos::Center),
            FRAME,
        )?;
    }
    for rule in ruled {
        let Some(share) = range.place(rule.at) else {
            continue;
        };
        let at = frame.x(share);
        let style = ShapeStyle::from(&FRAME).stroke_width(1);
        line(&area, (at, frame.top), (at, frame.bottom), style)?;
        write(&area, &rule.name, (at, 3), (HPos::Center, VPos::Top), FRAME)?;
    }
    for series in &panel.series {
        let colour = ink(series.style, false);
        for (k, &value) in series.x.iter().enumerate() {
            let Some(share) = range.place(value) else {
                continue;
            };
            let (at, y) = (frame.x(share), row(k));
            if !marked(series.style) {
                let from = frame.x(range.place(0.0).unwrap_or(0.0));
                let corners = [(from, y - 6), (at.max(from + 1), y + 6)];
                area.draw(&Rectangle::new(corners, colour.filled()))?;
                continue;
            }
            let end = |ends: &[Option<f64>]| range.place(ends.get(k).copied().flatten()?);
            if let (Some(low), Some(high)) = (end(&series.low), end(&series.high)) {
                let style = ShapeStyle::from(&colour).stroke_width(1);
                line(&area, (frame.x(low), y), (frame.x(high), y), style)?;
            }
            mark(&area, (at, y), series.style.mark, colour)?;
        }
    }
    frame.name(&area, &panel.x, &panel.y, 24)?;
    area.present()?;
    Ok(())
}
