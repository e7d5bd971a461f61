//! Pictures as SVG: a drawing for each panel, so that a narrow page sets them below each other.
//!
//! What is drawn carries a class beside its colour (`i1` for the second ink, `dash`, `frame`), so that a style sheet can give other
//! colours in the dark. Lines differ by dashes and marks first; in shades of grey nothing is lost.

mod bars;
mod curves;
mod frame;
mod label;
mod map;

use crate::evidence::picture::{Kind, Line, Mark, Panel, Picture, Series, Style};
use plotters::prelude::RGBColor;

/// What went wrong while drawing. A string takes everything, so that nothing does.
type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;

/// Axes, ticks and their names.
const FRAME: RGBColor = RGBColor(0x5A, 0x5A, 0x5B);
/// Lines behind everything.
const GRID: RGBColor = RGBColor(0xDD, 0xDD, 0xDE);
/// The colours of series.
const INKS: [RGBColor; 5] = [
    RGBColor(0x1B, 0x1B, 0x1C),
    RGBColor(0x00, 0x5F, 0xA8),
    RGBColor(0xB3, 0x45, 0x00),
    RGBColor(0x00, 0x70, 0x5B),
    RGBColor(0x8A, 0x3C, 0x79),
];

/// The panels of a picture, each as an SVG element.
pub fn svg(picture: &Picture) -> Vec<String> {
    picture
        .panels
        .iter()
        .map(|panel| {
            let drawn = match picture.kind {
                Kind::Curves => curves::draw(panel),
                Kind::Map => map::draw(panel),
                Kind::Bars => bars::draw(panel),
            };
            let name = match panel.title.as_str() {
                "" => picture.title.clone(),
                title => format!("{}: {title}", picture.title),
            };
            finished(&drawn, &format!("{name}. {}", told(panel)))
        })
        .collect()
}

/// What a series looks like, small, for a legend in the page.
pub fn sample(series: &Series) -> String {
    // a line from end to end, or one mark in the middle
    let x = match series.style.line {
        Line::None => vec![0.5],
        _ => vec![0.0, 0.5, 1.0],
    };
    let own = Series {
        y: vec![Some(0.5); x.len()],
        x,
        ..series.clone()
    };
    finished(&curves::sample(&own), "")
}

/// The axes and series in words, for whoever does not see them.
fn told(panel: &Panel) -> String {
    let mut told = format!("{} against {}", panel.y.label(), panel.x.label());
    let names: Vec<&str> = panel.series.iter().map(|s| s.name.as_str()).collect();
    if names.len() > 1 {
        told += &format!("; {}", names.join(", "));
    }
    told
}

/// The colour that a line or a mark is drawn in; the last bits of blue tell what it is, see [`finished`].
fn ink(style: Style, of_line: bool) -> RGBColor {
    let RGBColor(r, g, b) = INKS[style.ink % INKS.len()];
    let dash = match (of_line, style.line) {
        (true, Line::Dashed) => 1,
        (true, Line::Dotted) => 2,
        _ => 0,
    };
    RGBColor(r, g, b + dash)
}

fn hexadecimal(RGBColor(r, g, b): RGBColor) -> String {
    format!("\"#{r:02X}{g:02X}{b:02X}\"")
}

/// Gives what was drawn its classes, dashes, size and name.
fn finished(drawn: &str, name: &str) -> String {
    let mut svg = drawn.to_owned();
    for (attribute, initial) in [("fill", 'f'), ("stroke", 's')] {
        let mut class = |colour: RGBColor, class: &str, more: &str| {
            let old = format!("{attribute}={}", hexadecimal(colour));
            let new = format!("class=\"{initial}{class}\" {old}{more}");
            svg = svg.replace(&old, &new);
        };
        class(FRAME, "-frame", "");
        class(GRID, "-grid", "");
        for k in 0..INKS.len() {
            let dashes = [
                (Line::Solid, ""),
                (Line::Dashed, " stroke-dasharray=\"6 3\""),
                (Line::Dotted, " stroke-dasharray=\"1.5 3\""),
            ];
            for (line, more) in dashes {
                class(ink(Style::line(k, line), true), &format!("-{k}"), more);
            }
        }
    }
    let Some((_, inside)) = svg.split_once('>') else {
        return String::new();
    };
    let size = drawn
        .split_once("viewBox=\"")
        .and_then(|(_, rest)| rest.split_once('"'));
    let size = size.map_or("0 0 1 1", |(size, _)| size);
    let name = match name {
        "" => "aria-hidden=\"true\"".to_owned(),
        name => format!("role=\"img\" aria-label=\"{}\"", escaped(name)),
    };
    let lines: Vec<&str> = inside.lines().map(str::trim).collect();
    format!("<svg viewBox=\"{size}\" {name}>{}", lines.join("\n"))
}

/// Text that can stand in an attribute.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// Whether a series has marks.
fn marked(style: Style) -> bool {
    style.mark != Mark::None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::picture::{Axis, Rule};

    pub fn picture(kind: Kind) -> Picture {
        let series = |name: &str, style| Series::new(name, style, [(1.0, 0.1), (10.0, 5.0)]);
        Picture {
            id: "p".into(),
            claims: Vec::new(),
            kind,
            title: "A <b>title</b> & \"more\"".into(),
            caption: String::new(),
            source: String::new(),
            panels: vec![Panel {
                title: "one".into(),
                x: Axis::log("steps"),
                y: Axis::log("C").in_unit("nats"),
                series: vec![
                    series("a", Style::line(1, Line::Solid)),
                    series("b", Style::line(2, Line::Dashed)),
                    series("c", Style::marks(1, Mark::Cross)),
                ],
                rules: vec![Rule::across("C = 1", 1.0)],
                ..Panel::default()
            }],
        }
    }

    #[test]
    fn a_line_has_its_class_and_its_dashes_and_the_name_is_escaped() {
        let svg = &svg(&picture(Kind::Curves))[0];
        assert!(svg.contains("class=\"s-1\""), "{svg}");
        let dashed = format!(
            "stroke={} stroke-dasharray",
            hexadecimal(ink(Style::line(2, Line::Dashed), true))
        );
        assert!(svg.contains(&dashed), "{svg}");
        assert!(svg.contains("role=\"img\" aria-label=\"A &lt;b&gt;title&lt;/b&gt; &amp; &quot;more&quot;: one. C (nats) against steps; a, b, c\""));
        assert!(!svg.contains("<b>"));
    }

    #[test]
    fn no_two_inks_share_a_colour() {
        let mut colours: Vec<String> = Vec::new();
        for k in 0..INKS.len() {
            for line in [Line::Solid, Line::Dashed, Line::Dotted] {
                colours.push(hexadecimal(ink(Style::line(k, line), true)));
            }
        }
        colours.extend([hexadecimal(FRAME), hexadecimal(GRID)]);
        let all = colours.len();
        colours.sort();
        colours.dedup();
        assert_eq!(colours.len(), all);
    }
}
