//! Lines, marks and bands.

use super::frame::{Area, Frame, Range, line, write};
use super::label::{Crowd, Pixel, Spot};
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
    let mut crowd = crowd(panel, &frame, (&x, &y));
    for rule in &panel.rules {
        draw_rule(&area, &frame, (&x, &y), rule, &mut crowd)?;
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

/// What the series and levels of a panel go through.
fn crowd(panel: &Panel, frame: &Frame, ranges: (&Range, &Range)) -> Crowd {
    let mut crowd = Crowd::default();
    for series in &panel.series {
        let pixels = |values: &[Option<f64>]| -> Vec<Option<Pixel>> {
            let at = series.x.iter().copied().zip(values.iter().copied());
            at.map(|at| pixel(frame, ranges, at)).collect()
        };
        let [middle, low, high] = [&series.y, &series.low, &series.high].map(|v| pixels(v));
        if series.style.line == Line::None {
            middle.iter().flatten().for_each(|at| crowd.line(&[*at]));
            let bars = low.into_iter().zip(high);
            bars.filter_map(|(from, to)| Some([from?, to?]))
                .for_each(|bar| crowd.line(&bar));
            continue;
        }
        for values in [middle, low, high] {
            for run in values.split(Option::is_none) {
                crowd.line(&run.iter().filter_map(|p| *p).collect::<Vec<_>>());
            }
        }
    }
    for ends in panel.rules.iter().filter_map(|r| ends(frame, ranges, r)) {
        crowd.line(&ends);
    }
    crowd
}

/// The ends of a level's line, from the left or from the top.
fn ends(frame: &Frame, (x, y): (&Range, &Range), rule: &Rule) -> Option<[Pixel; 2]> {
    Some(match rule.of {
        Of::Y => {
            let at = frame.y(y.place(rule.at)?);
            [(frame.left, at), (frame.right, at)]
        }
        Of::X => {
            let at = frame.x(x.place(rule.at)?);
            [(at, frame.top), (at, frame.bottom)]
        }
    })
}

/// Where the name of a level may stand: beside its line, the usual places first.
fn spots(of: Of, [(left, top), (right, bottom)]: [Pixel; 2]) -> Vec<Spot> {
    match of {
        Of::Y => [(top - 2, VPos::Bottom), (top + 2, VPos::Top)]
            .into_iter()
            .flat_map(|(at, side)| {
                [
                    (right - 2, HPos::Right),
                    (left + 3, HPos::Left),
                    ((left + right) / 2, HPos::Center),
                ]
                .map(|(end, along)| ((end, at), (along, side)))
            })
            .collect(),
        Of::X => [
            (bottom - 4, VPos::Bottom),
            (top + 2, VPos::Top),
            ((top + 2 * bottom) / 3, VPos::Center),
            ((2 * top + bottom) / 3, VPos::Center),
        ]
        .into_iter()
        .flat_map(|(end, up)| {
            [(left + 3, HPos::Left), (left - 3, HPos::Right)]
                .map(|(at, side)| ((at, end), (side, up)))
        })
        .collect(),
    }
}

fn draw_rule(
    area: &Area,
    frame: &Frame,
    ranges: (&Range, &Range),
    rule: &Rule,
    crowd: &mut Crowd,
) -> Drawn {
    let Some(ends) = ends(frame, ranges, rule) else {
        return Ok(());
    };
    line(
        area,
        ends[0],
        ends[1],
        ShapeStyle::from(&FRAME).stroke_width(1),
    )?;
    match crowd.place(&rule.name, frame, &spots(rule.of, ends)) {
        Some((at, side)) => write(area, &rule.name, at, side, FRAME),
        None => Ok(()),
    }
}
