//! How a copy of the document stands to its table, as a person reads it.

use super::binding::{Binding, Problem, Shift, Wrong};
use super::table::Class;
use std::fmt;

/// Characters of a line of the copy before a message cuts it.
const SHOWN: usize = 90;

impl Problem {
    /// What the line was in the table.
    fn was(&self) -> String {
        let class = self.class.map_or("", Class::name);
        match self.claims.is_empty() {
            true => class.to_owned(),
            false => format!("{class} of {}", self.claims.join(", ")),
        }
    }

    fn shown(&self) -> String {
        let text = self.text.as_deref().unwrap_or_default();
        let mut shown: String = text.chars().take(SHOWN).collect();
        if shown.len() < text.len() {
            shown.push_str(" ...");
        }
        format!("\"{shown}\"")
    }
}

/// A line each: the number in the copy, or in the table where the copy has none, and what is wrong.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let number = |number: Option<u32>| number.unwrap_or_default();
        let (line, was) = (number(self.line), number(self.was));
        match self.wrong {
            Wrong::Changed => {
                let before = match line == was {
                    true => String::new(),
                    false => format!(", line {was} before"),
                };
                let (class, text) = (self.was(), self.shown());
                write!(f, "line {line}: changed{before} ({class}); it says {text}")
            }
            Wrong::Vanished => write!(f, "line {was}: vanished ({})", self.was()),
            Wrong::Unbound => write!(f, "line {line}: unbound; it says {}", self.shown()),
        }
    }
}

impl fmt::Display for Shift {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { first, last, by } = *self;
        let lines = match first == last {
            true => format!("line {first} stands"),
            false => format!("lines {first} to {last} stand"),
        };
        let where_to = if by < 0 { "up" } else { "down" };
        write!(
            f,
            "{lines} {} further {where_to}, unchanged",
            by.unsigned_abs()
        )
    }
}

/// What is wrong and what has moved, a line each, then the sum of it.
impl fmt::Display for Binding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for problem in self.problems() {
            writeln!(f, "{problem}")?;
        }
        for shift in self.shifts() {
            writeln!(f, "{shift}")?;
        }
        let count = |wrong| self.problems().iter().filter(|p| p.wrong == wrong).count();
        write!(
            f,
            "{} of the document's {} lines are bound; {} changed, {} vanished, {} unbound",
            self.found(),
            self.lines().len(),
            count(Wrong::Changed),
            count(Wrong::Vanished),
            count(Wrong::Unbound)
        )?;
        let lapsed: Vec<&str> = self.lapsed().into_iter().collect();
        match lapsed.is_empty() {
            true => writeln!(f),
            false => writeln!(f, "; the verdicts lapse on {}", lapsed.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::table::Table;

    #[test]
    fn a_long_line_is_cut_at_a_character() {
        let long = "\u{e9}".repeat(SHOWN + 1);
        let empty = Table::parse("").expect("it is a table without lines");
        let said = Binding::to_text(&empty, &long).to_string();
        let shown = format!("\"{} ...\"", "\u{e9}".repeat(SHOWN));
        assert!(said.contains(&shown), "{said}");
    }
}
