//! Evidence to look at: what `report.json` holds of a picture, and any view of the report draws.
//!
//! A picture is data with its axes. It says what it shows and of how many cases in its caption, which is put together from the same
//! numbers. A style is a wish: lines are told apart by dashes and marks, colour comes on top.

use serde::{Deserialize, Serialize};

/// One picture of one or several panels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Picture {
    /// Its name in the report.
    pub id: String,
    /// The claims that it speaks to; none where it is about the suite.
    pub claims: Vec<String>,
    /// How it is to be drawn.
    pub kind: Kind,
    /// What it is.
    pub title: String,
    /// What it shows, with the number of cases.
    pub caption: String,
    /// Where the numbers come from.
    pub source: String,
    /// Beside each other.
    pub panels: Vec<Panel>,
}

/// How a picture is to be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Lines and marks.
    Curves,
    /// A grid of values, one shade each.
    Map,
    /// A bar, or a mark with its interval, for each name.
    Bars,
}

/// One pair of axes with what is drawn there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Panel {
    /// What sets it apart from its neighbours.
    pub title: String,
    /// To the right.
    pub x: Axis,
    /// Upward; for a map and for bars the names, from the top down.
    pub y: Axis,
    /// What is drawn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub series: Vec<Series>,
    /// Levels drawn across.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// The cells of a map, row by row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cells: Vec<Cell>,
}

/// An axis.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Axis {
    /// The quantity.
    pub what: String,
    /// Its unit; none for a pure number.
    pub unit: Option<String>,
    /// How it is laid out.
    pub scale: Scale,
    /// The names along it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}

/// How an axis is laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Equal differences are equally long.
    #[default]
    Linear,
    /// Equal ratios are.
    Log,
    /// One place for each name.
    Names,
}

/// Points that belong together. Without a value there is a gap.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// How it is to look.
    pub style: Style,
    /// Where.
    pub x: Vec<f64>,
    /// The values.
    pub y: Vec<Option<f64>>,
    /// The lower end of what each stands for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub low: Vec<Option<f64>>,
    /// The upper end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub high: Vec<Option<f64>>,
}

/// How a series is to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Style {
    /// Which of the colours, from 0.
    pub ink: usize,
    /// Its line.
    pub line: Line,
    /// Its marks.
    pub mark: Mark,
}

/// The line of a series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// Unbroken.
    #[default]
    Solid,
    /// In dashes.
    Dashed,
    /// In dots.
    Dotted,
    /// None, only marks.
    None,
}

/// The marks of a series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// None.
    #[default]
    None,
    /// Filled circles.
    Circle,
    /// Crosses.
    Cross,
    /// Triangles.
    Triangle,
}

/// A level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// What it is.
    pub name: String,
    /// Which axis it is a value of.
    pub of: Of,
    /// The value.
    pub at: f64,
}

/// Which axis a level belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// A level of `x`, drawn upward.
    X,
    /// A level of `y`, drawn across.
    Y,
}

/// A cell of a map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// How dark, from 0 to 1; none where there is nothing.
    pub shade: Option<f64>,
    /// What is written there.
    pub text: String,
}

impl Axis {
    /// A linear axis.
    pub fn linear(what: &str) -> Self {
        Self {
            what: what.to_owned(),
            ..Self::default()
        }
    }

    /// A logarithmic axis.
    pub fn log(what: &str) -> Self {
        Self {
            scale: Scale::Log,
            ..Self::linear(what)
        }
    }

    /// One place for each name.
    pub fn names(what: &str, names: Vec<String>) -> Self {
        Self {
            scale: Scale::Names,
            names,
            ..Self::linear(what)
        }
    }

    /// The same in this unit.
    #[must_use]
    pub fn in_unit(mut self, unit: &str) -> Self {
        self.unit = Some(unit.to_owned());
        self
    }

    /// What is written beside it.
    pub fn label(&self) -> String {
        match &self.unit {
            Some(unit) => format!("{} ({unit})", self.what),
            None => self.what.clone(),
        }
    }
}

impl Series {
    /// A line or marks through points; a value that is not finite is a gap.
    pub fn new(name: &str, style: Style, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let (x, y): (Vec<f64>, Vec<f64>) = points.into_iter().unzip();
        Self {
            name: name.to_owned(),
            style,
            x: x.into_iter().map(rounded).collect(),
            y: y.into_iter().map(shown).collect(),
            ..Self::default()
        }
    }

    /// The same with ends around each value.
    #[must_use]
    pub fn between(mut self, ends: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let (low, high): (Vec<f64>, Vec<f64>) = ends.into_iter().unzip();
        self.low = low.into_iter().map(shown).collect();
        self.high = high.into_iter().map(shown).collect();
        self
    }
}

impl Style {
    /// A line.
    pub fn line(ink: usize, line: Line) -> Self {
        Self {
            ink,
            line,
            mark: Mark::None,
        }
    }

    /// Marks without a line.
    pub fn marks(ink: usize, mark: Mark) -> Self {
        Self {
            ink,
            line: Line::None,
            mark,
        }
    }
}

impl Rule {
    /// A level of `y`.
    pub fn across(name: &str, at: f64) -> Self {
        Self {
            name: name.to_owned(),
            of: Of::Y,
            at,
        }
    }

    /// A level of `x`.
    pub fn upward(name: &str, at: f64) -> Self {
        Self {
            of: Of::X,
            ..Self::across(name, at)
        }
    }
}

fn shown(value: f64) -> Option<f64> {
    value.is_finite().then(|| rounded(value))
}

/// Six digits: more than an eye can tell, and the file stays small.
pub fn rounded(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

/// The middle of values, the mean of the two in the middle of an even number; none of none.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    (n > 0).then(|| 0.5 * (sorted[(n - 1) / 2] + sorted[n / 2]))
}

/// The text with a capital at its head.
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// A number as people read it: three digits, without an exponent where it is not needed.
pub fn plain(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        "0".into()
    } else if !value.is_finite() {
        value.to_string()
    } else if (1e-3..1e5).contains(&size) {
        let digits = (2 - size.log10().floor() as i32).max(0) as usize;
        let text = format!("{value:.digits$}");
        match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => text,
        }
    } else {
        let text = format!("{value:.2e}");
        let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
        let digits = digits.trim_end_matches('0').trim_end_matches('.');
        format!("{digits}e{power}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_with_three_digits_and_no_needless_exponent() {
        let written: Vec<String> = [0.0, 1.0, 0.01234, 123.4, 45678.0, 1e-9, 1.5e7, -0.5]
            .map(plain)
            .to_vec();
        let wanted = ["0", "1", "0.0123", "123", "45678", "1e-9", "1.5e7", "-0.5"];
        assert_eq!(written, wanted);
    }

    #[test]
    fn what_is_not_finite_is_a_gap_and_the_rest_has_six_digits() {
        let style = Style::line(0, Line::Solid);
        let series = Series::new("", style, [(1.0, 1.0 / 3.0), (2.0, f64::NAN)]);
        assert_eq!(series.y, [Some(0.333333), None]);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_two_in_the_middle() {
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[f64::NAN, 2.0]), Some(2.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn marks_stand_without_a_line_and_a_line_runs_without_marks() {
        let (marks, line) = (Style::marks(2, Mark::Cross), Style::line(3, Line::Dotted));
        assert_eq!(
            (marks.ink, marks.line, marks.mark),
            (2, Line::None, Mark::Cross)
        );
        assert_eq!(
            (line.ink, line.line, line.mark),
            (3, Line::Dotted, Mark::None)
        );
    }

    #[test]
    fn an_axis_of_names_has_a_place_for_each_and_no_unit() {
        let names = vec!["lookup".to_owned(), "parity".to_owned()];
        let axis = Axis::names("scenario", names.clone());
        assert_eq!((axis.scale, &axis.names), (Scale::Names, &names));
        assert_eq!(axis.label(), "scenario");
        assert_eq!(Axis::log("step").in_unit("s").label(), "step (s)");
    }
}
