//! Lines, marks and bands.

use super::frame::{Area, Frame, Range, line, write};
use super::{Drawn, FRAME, ink, marked};
use crate::evidence::picture::{Line, Mark, Of, Panel, Rule, Series};
use plotters::backend::SVGBackend;
use plotters::prelude::{Circle, Cross, IntoDrawingArea, PathElement, Polygon, TriangleMarker};
use plotters::style::text_anchor::{HPos, VPos};
use plotters::style::{Color, RGBColor, ShapeStyle};

const SIZE: (u32, u32) = (360, 258);
const FRAME_AT: Frame = Frame {
    left: 66,
    right: 350,
    top: 12,
    bottom: 206,
};

/// Draws a panel.
pub fn draw(panel: &Panel) -> String {
    let mut svg = String::new();
    draw_on(&mut svg, panel).expect("a string takes what is drawn on it");
    svg
}

fn draw_on(svg: &mut String, panel: &Panel) -> Drawn {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let ruled = |of: Of| panel.rules.iter().filter(move |r| r.of == of).map(|r| r.at);
    let xs = panel.series.iter().flat_map(|s| s.x.iter().copied());
    let ys = panel.series.iter().flat_map(|s| {
        let all = s.y.iter().chain(&s.low).chain(&s.high);
        all.filter_map(|v| *v)
    });
    let x = Range::of(panel.x.scale, xs.chain(ruled(Of::X)));
    let y = Range::of(panel.y.scale, ys.chain(ruled(Of::Y)));
    let frame = FRAME_AT;
    frame.draw(&area, Some(&x), Some(&y))?;
    frame.name(&area, &panel.x, &panel.y, 24)?;
    for series in &panel.series {
        band(&area, &frame, (&x, &y), series)?;
    }
    for series in &panel.series {
        stroke(&area, &frame, (&x, &y), series)?;
    }
    // on top, so that their names can be read
    let low = ruled(Of::Y).any(|level| y.place(level).is_some_and(|share| share < 0.3));
    for rule in &panel.rules {
        let crowd = Crowd {
            low,
            right: y
                .place(rule.at)
                .is_some_and(|at| crowded_right(panel, (&x, &y), at)),
        };
        draw_rule(&area, &frame, (&x, &y), rule, crowd)?;
    }
    area.present()?;
    Ok(())
}

/// A series at both ends of a small drawing.
pub fn sample(series: &Series) -> String {
    const SAMPLE: (u32, u32) = (34, 14);
    let mut svg = String::new();
    let frame = Frame {
        left: 3,
        right: 31,
        top: 2,
        bottom: 12,
    };
    let unit = Range::of(Default::default(), [0.0, 1.0].into_iter());
    let drawn = (|| -> Drawn {
        let area = SVGBackend::with_string(&mut svg, SAMPLE).into_drawing_area();
        stroke(&area, &frame, (&unit, &unit), series)?;
        area.present()?;
        Ok(())
    })();
    drawn.expect("a string takes what is drawn on it");
    svg
}

fn pixel(frame: &Frame, (x, y): (&Range, &Range), at: (f64, Option<f64>)) -> Option<(i32, i32)> {
    Some((frame.x(x.place(at.0)?), frame.y(y.place(at.1?)?)))
}

/// Between the ends of a line's values a shade; around those of marks a bar.
fn band(area: &Area, frame: &Frame, ranges: (&Range, &Range), series: &Series) -> Drawn {
    if series.low.len() != series.x.len() || series.high.len() != series.x.len() {
        return Ok(());
    }
    let ends = |ends: &[Option<f64>]| -> Vec<(i32, i32)> {
        let at = series.x.iter().copied().zip(ends.iter().copied());
        at.filter_map(|at| pixel(frame, ranges, at)).collect()
    };
    let (low, mut high) = (ends(&series.low), ends(&series.high));
    if series.style.line == Line::None {
        let style = ShapeStyle::from(&ink(series.style, false)).stroke_width(1);
        for (from, to) in low.into_iter().zip(high).filter(|(a, b)| a.0 == b.0) {
            line(area, from, to, style)?;
        }
        return Ok(());
    }
    if low.len() < 2 {
        return Ok(());
    }
    // thin edges, broken like the line itself, so that bands that overlap are told apart
    let edge = ShapeStyle::from(&ink(series.style, true).mix(0.5)).stroke_width(1);
    for end in [&low, &high] {
        area.draw(&PathElement::new(end.clone(), edge))?;
    }
    high.reverse();
    let outline: Vec<(i32, i32)> = low.into_iter().chain(high).collect();
    area.draw(&Polygon::new(outline, ink(series.style, false).mix(0.16)))?;
    Ok(())
}

fn stroke(area: &Area, frame: &Frame, ranges: (&Range, &Range), series: &Series) -> Drawn {
    let points: Vec<Option<(i32, i32)>> = series
        .x
        .iter()
        .copied()
        .zip(series.y.iter().copied())
        .map(|at| pixel(frame, ranges, at))
        .collect();
    if series.style.line != Line::None {
        let style = ShapeStyle::from(&ink(series.style, true)).stroke_width(2);
        for run in points.split(Option::is_none).filter(|run| run.len() > 1) {
            let run: Vec<(i32, i32)> = run.iter().filter_map(|p| *p).collect();
            area.draw(&PathElement::new(run, style))?;
        }
    }
    if marked(series.style) {
        let colour = ink(series.style, false);
        for at in points.into_iter().flatten() {
            mark(area, at, series.style.mark, colour)?;
        }
    }
    Ok(())
}

/// Draws a mark at a pixel.
pub fn mark(area: &Area, at: (i32, i32), mark: Mark, colour: RGBColor) -> Drawn {
    let thin = ShapeStyle::from(&colour).stroke_width(2);
    match mark {
        Mark::None => {}
        Mark::Circle => area.draw(&Circle::new(at, 3, colour.filled()))?,
        Mark::Cross => area.draw(&Cross::new(at, 3, thin))?,
        Mark::Triangle => area.draw(&TriangleMarker::new(at, 4, colour.filled()))?,
    }
    Ok(())
}

/// Where something else stands already.
#[derive(Clone, Copy)]
struct Crowd {
    /// Another level is named near the bottom.
    low: bool,
    /// Values come nearer to the level at its right end than at its left.
    right: bool,
}

fn crowded_right(panel: &Panel, (x, y): (&Range, &Range), level: f64) -> bool {
    let nearest = |side: std::ops::Range<f64>| {
        let points = panel.series.iter().flat_map(|s| s.x.iter().zip(&s.y));
        let gaps = points.filter_map(|(at, value)| {
            let inside = side.contains(&x.place(*at)?);
            inside.then_some((y.place((*value)?)? - level).abs())
        });
        gaps.fold(f64::INFINITY, f64::min)
    };
    nearest(0.65..1.1) < nearest(-0.1..0.35)
}

fn draw_rule(
    area: &Area,
    frame: &Frame,
    (x, y): (&Range, &Range),
    rule: &Rule,
    crowd: Crowd,
) -> Drawn {
    let style = ShapeStyle::from(&FRAME).stroke_width(1);
    match rule.of {
        Of::Y => {
            let Some(share) = y.place(rule.at) else {
                return Ok(());
            };
            let at = frame.y(share);
            line(area, (frame.left, at), (frame.right, at), style)?;
            // beside the edge that is farther off
            let (at, side) = match share > 0.9 {
                true => (at + 2, VPos::Top),
                false => (at - 2, VPos::Bottom),
            };
            let (end, along) = if crowd.right {
                (frame.left + 3, HPos::Left)
            } else {
                (frame.right - 2, HPos::Right)
            };
            write(area, &rule.name, (end, at), (along, side), FRAME)
        }
        Of::X => {
            let Some(share) = x.place(rule.at) else {
                return Ok(());
            };
            let at = frame.x(share);
            line(area, (at, frame.top), (at, frame.bottom), style)?;
            let (at, side) = if share > 0.5 {
                (at - 3, HPos::Right)
            } else {
                (at + 3, HPos::Left)
            };
            // at the end where no other level is named
            let (end, up) = if crowd.low {
                (frame.top, VPos::Top)
            } else {
                (frame.bottom - 4, VPos::Bottom)
            };
            write(area, &rule.name, (at, end), (side, up), FRAME)
        }
    }
}
