//! Axes: where a value lies, which values have a tick, and the frame around a panel.

use super::{Drawn, FRAME, GRID};
use crate::evidence::picture::{Axis, Scale};
use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::prelude::{DrawingArea, PathElement, Text, TextStyle};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontTransform, IntoFont, IntoTextStyle, RGBColor, ShapeStyle};

/// Where a panel is drawn.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The size of letters, in plotters' unit, of which the SVG takes 1/1.24.
pub const LETTERS: f64 = 16.0;

/// The range of one axis, laid out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    log: bool,
    low: f64,
    high: f64,
}

impl Range {
    /// All of these values, with a little room. A logarithmic axis leaves out what has no logarithm.
    pub fn of(scale: Scale, values: impl Iterator<Item = f64>) -> Self {
        let log = scale == Scale::Log;
        let placed = values
            .filter(|v| v.is_finite() && (!log || *v > 0.0))
            .map(|v| if log { v.log10() } else { v });
        let (low, high) = placed.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| {
            (l.min(v), h.max(v))
        });
        let (low, high) = match low <= high {
            true => (low, high),
            false => (0.0, 1.0),
        };
        let room = match high - low {
            0.0 if log => 0.5,
            0.0 => 0.5 * high.abs().max(1e-9),
            width => 0.04 * width,
        };
        Self {
            log,
            low: low - room,
            high: high + room,
        }
    }

    /// The share of the way along the axis; none where the value has no place.
    pub fn place(&self, value: f64) -> Option<f64> {
        let placed = match self.log {
            true if value <= 0.0 => return None,
            true => value.log10(),
            false => value,
        };
        let share = (placed - self.low) / (self.high - self.low);
        share.is_finite().then_some(share)
    }

    /// The values that have a tick, with what is written there.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        match self.log {
            true => self.decades(),
            false => self.even(),
        }
    }

    fn even(&self) -> Vec<(f64, String)> {
        const WANTED: f64 = 5.0;
        /// Steps are at least a fifth of the way.
        const MOST_TICKS: i64 = 10;
        let raw = (self.high - self.low) / WANTED;
        let size = 10f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|m| m * size)
            .find(|step| *step >= raw)
            .unwrap_or(raw);
        let digits = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step).floor() as i64;
        // at the ends of what numbers can be the step is lost in rounding
        if !step.is_normal() || last.saturating_sub(first) > MOST_TICKS {
            return Vec::new();
        }
        (first..=last)
            .map(|k| {
                let value = k as f64 * step;
                (value, format!("{value:.digits$}"))
            })
            .collect()
    }

    fn decades(&self) -> Vec<(f64, String)> {
        let (first, last) = (self.low.ceil() as i32, self.high.floor() as i32);
        if last - first < 1 {
            // less than a decade or two: thirds of one
            let fine = (self.low.floor() as i32..=self.high.ceil() as i32)
                .flat_map(|k| [1.0, 2.0, 5.0].map(|m| m * 10f64.powi(k)));
            let inside = fine.filter(|v| (self.low..=self.high).contains(&v.log10()));
            return inside.map(|v| (v, power_or_plain(v))).collect();
        }
        let every = ((last - first) / 6 + 1) as usize;
        let powers = (first..=last).filter(|k| k.rem_euclid(every as i32) == 0);
        powers
            .map(|k| {
                let value = 10f64.powi(k);
                (value, power_or_plain(value))
            })
            .collect()
    }
}

fn power_or_plain(value: f64) -> String {
    const RAISED: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    if (1e-3..1e5).contains(&value) {
        return crate::evidence::picture::plain(value);
    }
    let power = value.log10().round() as i32;
    let digits = power.unsigned_abs().to_string();
    let raised: String = digits
        .chars()
        .filter_map(|c| RAISED.get(c.to_digit(10)? as usize))
        .collect();
    let sign = if power < 0 { "⁻" } else { "" };
    format!("10{sign}{raised}")
}

/// A panel's frame: the pixels of its corners.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// From the left.
    pub left: i32,
    /// To here.
    pub right: i32,
    /// From the top.
    pub top: i32,
    /// To here.
    pub bottom: i32,
}

impl Frame {
    /// The pixel of a share of the way to the right.
    pub fn x(&self, share: f64) -> i32 {
        self.left + (share * f64::from(self.right - self.left)).round() as i32
    }

    /// The pixel of a share of the way upward.
    pub fn y(&self, share: f64) -> i32 {
        self.bottom - (share * f64::from(self.bottom - self.top)).round() as i32
    }

    /// Ticks and lines of both axes.
    pub fn draw(&self, area: &Area, x: Option<&Range>, y: Option<&Range>) -> Drawn {
        let grid = ShapeStyle::from(&GRID).stroke_width(1);
        let frame = ShapeStyle::from(&FRAME).stroke_width(1);
        if let Some(range) = x {
            for (value, label) in range.ticks() {
                let Some(share) = range.place(value) else {
                    continue;
                };
                let at = self.x(share);
                line(area, (at, self.top), (at, self.bottom), grid)?;
                write(
                    area,
                    &label,
                    (at, self.bottom + 5),
                    (HPos::Center, VPos::Top),
                    FRAME,
                )?;
            }
        }
        if let Some(range) = y {
            for (value, label) in range.ticks() {
                let Some(share) = range.place(value) else {
                    continue;
                };
                let at = self.y(share);
                line(area, (self.left, at), (self.right, at), grid)?;
                write(
                    area,
                    &label,
                    (self.left - 5, at),
                    (HPos::Right, VPos::Center),
                    FRAME,
                )?;
            }
        }
        line(area, (self.left, self.top), (self.left, self.bottom), frame)?;
        line(
            area,
            (self.left, self.bottom),
            (self.right, self.bottom),
            frame,
        )
    }

    /// The names of both axes.
    pub fn name(&self, area: &Area, x: &Axis, y: &Axis, x_below: i32) -> Drawn {
        let middle = (self.left + self.right) / 2;
        let below = self.bottom + x_below;
        write(
            area,
            &x.label(),
            (middle, below),
            (HPos::Center, VPos::Top),
            FRAME,
        )?;
        let style = style(FRAME)
            .transform(FontTransform::Rotate270)
            .pos(Pos::new(HPos::Center, VPos::Top));
        area.draw(&Text::new(
            y.label(),
            (3, (self.top + self.bottom) / 2),
            style,
        ))?;
        Ok(())
    }
}

fn style(colour: RGBColor) -> TextStyle<'static> {
    ("sans-serif", LETTERS)
        .into_font()
        .color(&colour.to_rgba())
        .into_text_style(&(0u32, 0u32))
}

/// Writes at a pixel.
pub fn write(
    area: &Area,
    text: &str,
    at: (i32, i32),
    (h, v): (HPos, VPos),
    colour: RGBColor,
) -> Drawn {
    let style = style(colour).pos(Pos::new(h, v));
    area.draw(&Text::new(text.to_owned(), at, style))?;
    Ok(())
}

/// Writes upward, the end of the text at a pixel.
pub fn write_upward(area: &Area, text: &str, at: (i32, i32), colour: RGBColor) -> Drawn {
    let style = style(colour)
        .transform(FontTransform::Rotate270)
        .pos(Pos::new(HPos::Right, VPos::Center));
    area.draw(&Text::new(text.to_owned(), at, style))?;
    Ok(())
}

/// Draws a line between pixels.
pub fn line(area: &Area, from: (i32, i32), to: (i32, i32), style: ShapeStyle) -> Drawn {
    area.draw(&PathElement::new(vec![from, to], style))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let labels = |range: &Range| range.ticks().into_iter().map(|t| t.1).collect::<Vec<_>>();
        let linear = Range::of(Scale::Linear, [0.0, 1.0].into_iter());
        assert_eq!(labels(&linear), ["0.0", "0.5", "1.0"]);
        let log = Range::of(Scale::Log, [1e-4, 0.0, 100.0].into_iter());
        assert_eq!(labels(&log), ["10⁻⁴", "0.01", "1", "100"]);
        let narrow = Range::of(Scale::Log, [0.9, 4.0].into_iter());
        assert_eq!(labels(&narrow), ["1", "2"]);
    }

    #[test]
    fn what_has_no_logarithm_has_no_place_and_equal_values_still_have_a_range() {
        let log = Range::of(Scale::Log, [1.0].into_iter());
        assert_eq!(log.place(-1.0), None);
        assert_eq!(log.place(1.0), Some(0.5));
        let none = Range::of(Scale::Linear, std::iter::empty());
        assert!(none.place(0.5).is_some());
    }

    /// Between 0 and the smallest number there were to be 2^63 of them, for which there is no memory.
    #[test]
    fn a_range_at_the_ends_of_what_numbers_can_be_has_few_ticks() {
        let smallest = f64::from_bits(1);
        for ends in [
            [0.0, smallest],
            [-f64::MAX, f64::MAX],
            [1.0, 1.0 + f64::EPSILON],
        ] {
            for scale in [Scale::Linear, Scale::Log] {
                let ticks = Range::of(scale, ends.into_iter()).ticks();
                assert!(ticks.len() <= 11, "{ends:?}: {} ticks", ticks.len());
            }
        }
    }
}
