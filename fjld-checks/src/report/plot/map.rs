//! Cells that are the darker, the more there is.

use super::frame::{Frame, LETTERS, write, write_upward};
use super::{Drawn, FRAME};
use crate::evidence::picture::Panel;
use plotters::backend::SVGBackend;
use plotters::prelude::{IntoDrawingArea, Rectangle};
use plotters::style::text_anchor::{HPos, VPos};
use plotters::style::{Color, RGBColor};

const ROW: i32 = 26;

/// How wide a letter is on average.
const LETTER: f64 = LETTERS / 1.24 * 0.53;

/// The narrowest cell.
const COLUMN: i32 = 54;

/// From nothing to everything, and written on either.
const LIGHT: RGBColor = RGBColor(0xF1, 0xF5, 0xFA);
const DARK: RGBColor = RGBColor(0x0B, 0x3A, 0x6B);
const BLACK: RGBColor = RGBColor(0x00, 0x00, 0x00);
const WHITE: RGBColor = RGBColor(0xFF, 0xFF, 0xFF);
const NOTHING: RGBColor = RGBColor(0xC4, 0xC4, 0xC4);

/// Draws a panel.
pub fn draw(panel: &Panel) -> String {
    let mut svg = String::new();
    draw_on(&mut svg, panel).expect("a string takes what is drawn on it");
    svg
}

fn width_of(names: &[String]) -> i32 {
    let letters = names.iter().map(|n| n.chars().count()).max().unwrap_or(0);
    (letters as f64 * LETTER).ceil() as i32
}

/// The relative luminance of a colour (WCAG 2.1).
fn luminance(RGBColor(r, g, b): RGBColor) -> f64 {
    let linear = |v: u8| {
        let v = f64::from(v) / 255.0;
        if v <= 0.04045 {
            v / 12.92
        } else {
            ((v + 0.055) / 1.055).powf(2.4)
        }
    };
    0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
}

/// The shade of a cell, and black or white, whichever stands out more there.
fn shaded(shade: f64) -> (RGBColor, RGBColor) {
    let mix = |a: u8, b: u8| (f64::from(a) + shade * (f64::from(b) - f64::from(a))).round() as u8;
    let fill = RGBColor(
        mix(LIGHT.0, DARK.0),
        mix(LIGHT.1, DARK.1),
        mix(LIGHT.2, DARK.2),
    );
    let own = luminance(fill) + 0.05;
    // (own / black) against (white / own)
    let text = if own * own > 0.05 * 1.05 {
        BLACK
    } else {
        WHITE
    };
    (fill, text)
}

fn draw_on(svg: &mut String, panel: &Panel) -> Drawn {
    let (columns, rows) = (panel.x.names.len() as i32, panel.y.names.len() as i32);
    let left = width_of(&panel.y.names) + 24;
    // short names lie, long ones stand
    let column = ((336 - left) / columns.max(1)).max(COLUMN);
    let stand = width_of(&panel.x.names) > column - 6;
    let below = if stand {
        width_of(&panel.x.names) + 8
    } else {
        20
    };
    let frame = Frame {
        left,
        right: left + columns * column,
        top: 6,
        bottom: 6 + rows * ROW,
    };
    let size = (frame.right as u32 + 6, (frame.bottom + below + 22) as u32);
    let area = SVGBackend::with_string(svg, size).into_drawing_area();
    for (k, cell) in panel
        .cells
        .iter()
        .enumerate()
        .take((columns * rows) as usize)
    {
        let (row, place) = (k as i32 / columns.max(1), k as i32 % columns.max(1));
        let (x, y) = (frame.left + place * column, frame.top + row * ROW);
        let (fill, text) = match cell.shade {
            Some(shade) => shaded(shade.clamp(0.0, 1.0)),
            None => (NOTHING, BLACK),
        };
        let corners = [(x, y), (x + column - 1, y + ROW - 1)];
        area.draw(&Rectangle::new(corners, fill.filled()))?;
        let middle = (x + column / 2, y + ROW / 2);
        write(
            &area,
            &cell.text,
            middle,
            (HPos::Center, VPos::Center),
            text,
        )?;
    }
    for (k, name) in panel.y.names.iter().enumerate() {
        let at = (frame.left - 6, frame.top + k as i32 * ROW + ROW / 2);
        write(&area, name, at, (HPos::Right, VPos::Center), FRAME)?;
    }
    for (k, name) in panel.x.names.iter().enumerate() {
        let at = (
            frame.left + k as i32 * column + column / 2,
            frame.bottom + 5,
        );
        match stand {
            true => write_upward(&area, name, at, FRAME)?,
            false => write(&area, name, at, (HPos::Center, VPos::Top), FRAME)?,
        }
    }
    frame.name(&area, &panel.x, &panel.y, below)?;
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_on_any_shade_stands_out() {
        for k in 0..=100 {
            let (fill, text) = shaded(f64::from(k) / 100.0);
            let mut both = [luminance(fill) + 0.05, luminance(text) + 0.05];
            both.sort_by(f64::total_cmp);
            assert!(both[1] / both[0] >= 4.5, "{k}");
        }
    }
}
