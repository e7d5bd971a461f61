//! Cells that are the darker, the more there is.

use super::frame::{Frame, LETTERS, write, write_upward};
use super::{Drawn, FRAME};
use crate::evidence::picture::Panel;
use plotters::backend::SVGBackend;
use plotters::prelude::{IntoDrawingArea, Rectangle};
use plotters::style::text_anchor::{HPos, VPos};
use plotters::style::{Color, RGBColor};

const ROW: i32 = 26;

/// The widest that a letter is on average.
const LETTER: f64 = LETTERS / 1.24 * 0.56;

/// From nothing to everything, and written on either.
const LIGHT: RGBColor = RGBColor(0xF1, 0xF5, 0xFA);
const DARK: RGBColor = RGBColor(0x0B, 0x3A, 0x6B);
const ON_LIGHT: RGBColor = RGBColor(0x11, 0x11, 0x11);
const ON_DARK: RGBColor = RGBColor(0xFF, 0xFF, 0xFF);
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

fn shaded(shade: f64) -> (RGBColor, RGBColor) {
    let mix = |a: u8, b: u8| (f64::from(a) + shade * (f64::from(b) - f64::from(a))).round() as u8;
    let fill = RGBColor(mix(LIGHT.0, DARK.0), mix(LIGHT.1, DARK.1), mix(LIGHT.2, DARK.2));
    // the side on which the contrast is the larger one
    (fill, if shade > 0.45 { ON_DARK } else { ON_LIGHT })
}

fn draw_on(svg: &mut String, panel: &Panel) -> Drawn {
    let (columns, rows) = (panel.x.names.len() as i32, panel.y.names.len() as i32);
    let left = width_of(&panel.y.names) + 24;
    // short names lie, long ones stand
    let column = (336 - left).max(200) / columns.max(1);
    let stand = width_of(&panel.x.names) > column - 6;
    let below = if stand { width_of(&panel.x.names) + 8 } else { 20 };
    let frame = Frame {
        left,
        right: left + columns * column,
        top: 6,
        bottom: 6 + rows * ROW,
    };
    let size = (frame.right as u32 + 6, (frame.bottom + below + 22) as u32);
    let area = SVGBackend::with_string(svg, size).into_drawing_area();
    for (k, cell) in panel.cells.iter().enumerate().take((columns * rows) as usize) {
        let (row, place) = (k as i32 / columns.max(1), k as i32 % columns.max(1));
        let (x, y) = (frame.left + place * column, frame.top + row * ROW);
        let (fill, text) = match cell.shade {
            Some(shade) => shaded(shade.clamp(0.0, 1.0)),
            None => (NOTHING, ON_LIGHT),
        };
        let corners = [(x, y), (x + column - 1, y + ROW - 1)];
        area.draw(&Rectangle::new(corners, fill.filled()))?;
        let middle = (x + column / 2, y + ROW / 2);
        write(&area, &cell.text, middle, (HPos::Center, VPos::Center), text)?;
    }
    for (k, name) in panel.y.names.iter().enumerate() {
        let at = (frame.left - 6, frame.top + k as i32 * ROW + ROW / 2);
        write(&area, name, at, (HPos::Right, VPos::Center), FRAME)?;
    }
    for (k, name) in panel.x.names.iter().enumerate() {
        let at = (frame.left + k as i32 * column + column / 2, frame.bottom + 5);
        match stand {
            true => write_upward(&area, name, at, FRAME)?,
            false => write(&area, name, at, (HPos::Center, VPos::Top), FRAME)?,
        }
    }
    frame.name(&area, &panel.x, &panel.y, below)?;
    area.present()?;
    Ok(())
}
