//! How a copy of the document stands to the table of its lines: every line that is not blank is bound, or it is named.

use super::align::{Match, align};
use super::table::{Class, Line, Table, shipped};
use crate::error::{Error, Result};
use crate::scenarios::store::hex;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::path::Path;

/// Where a line of the table is in a copy of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Place {
    /// Where the table says.
    Bound,
    /// Unchanged, on another line.
    Moved {
        /// That line.
        line: u32,
    },
    /// Replaced by another line.
    Changed {
        /// That line.
        line: u32,
    },
    /// Nowhere.
    Vanished,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wrong {
    /// Another line stands in its place.
    Changed,
    /// It is in the table and not in the copy.
    Vanished,
    /// It is in the copy and not in the table.
    Unbound,
}

/// A line that is not as it ought to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What is wrong.
    pub wrong: Wrong,
    /// Its number in the copy; `None` where it is not there.
    pub line: Option<u32>,
    /// Its number in the table; `None` where it is not there.
    pub was: Option<u32>,
    /// What the table says it does; `None` where it is not there.
    pub class: Option<Class>,
    /// The claims whose verdicts lapse with it.
    pub claims: Vec<String>,
    /// What the copy says there; `None` where it says nothing.
    pub text: Option<String>,
}

/// Lines that stand together elsewhere than the table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Shift {
    /// The first of them, in the table.
    pub first: u32,
    /// The last of them, in the table.
    pub last: u32,
    /// How many lines further down they are in the copy; negative where they are further up.
    pub by: i64,
}

/// How a copy of the document stands to the table.
#[derive(Clone, Debug)]
pub struct Binding<'t> {
    /// Each line of the table with its place.
    lines: Vec<(&'t Line, Place)>,
    /// What is wrong: with lines of the table in their order, then with lines that only the copy has.
    problems: Vec<Problem>,
}

impl Binding<'static> {
    /// Compares the table that is compiled in with a copy of the document.
    ///
    /// # Errors
    /// When the file can not be read.
    pub fn of(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::file("read", path, &e))?;
        Ok(Self::to_text(shipped(), &text))
    }
}

impl<'t> Binding<'t> {
    /// Compares a table with a text.
    pub fn to_text(table: &'t Table, text: &str) -> Self {
        let copy: Vec<Copied> = Copied::all(text);
        let before: Vec<&str> = table.lines().iter().map(|l| l.sha256.as_str()).collect();
        let after: Vec<&str> = copy.iter().map(|l| l.sha256.as_str()).collect();
        let mut bound = vec![false; copy.len()];
        let mut lines = Vec::with_capacity(before.len());
        let mut problems = Vec::new();
        for (line, found) in table.lines().iter().zip(align(&before, &after)) {
            let place = match found {
                Match::InOrder(j) | Match::Elsewhere(j) => {
                    bound[j] = true;
                    if copy[j].number == line.number {
                        Place::Bound
                    } else {
                        Place::Moved {
                            line: copy[j].number,
                        }
                    }
                }
                Match::Replaced(j) => {
                    bound[j] = true;
                    problems.push(Problem::with(line, Wrong::Changed, Some(&copy[j])));
                    Place::Changed {
                        line: copy[j].number,
                    }
                }
                Match::Gone => {
                    problems.push(Problem::with(line, Wrong::Vanished, None));
                    Place::Vanished
                }
            };
            lines.push((line, place));
        }
        let unbound = copy.iter().zip(&bound).filter(|(_, bound)| !**bound);
        problems.extend(unbound.map(|(line, _)| Problem::unbound(line)));
        Self { lines, problems }
    }

    /// Each line of the table with its place.
    pub fn lines(&self) -> &[(&'t Line, Place)] {
        &self.lines
    }

    /// Every line that is changed, vanished or unbound.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Whether every line is bound.
    pub fn is_whole(&self) -> bool {
        self.problems.is_empty()
    }

    /// Whether a line that speaks to this claim is changed or gone, so that a verdict on it says nothing any more.
    pub fn has_lapsed(&self, id: &str) -> bool {
        let speaks = |problem: &Problem| problem.claims.iter().any(|claim| claim == id);
        self.problems.iter().any(speaks)
    }

    /// The claims whose verdicts lapse, by name.
    pub fn lapsed(&self) -> BTreeSet<&str> {
        let claims = self.problems.iter().flat_map(|problem| &problem.claims);
        claims.map(String::as_str).collect()
    }

    /// How many lines of the table are found again, in place or elsewhere.
    pub fn found(&self) -> usize {
        let found = |place: &Place| matches!(place, Place::Bound | Place::Moved { .. });
        self.lines.iter().filter(|(_, place)| found(place)).count()
    }

    /// The lines that have moved, those that moved together as one.
    pub fn shifts(&self) -> Vec<Shift> {
        let mut shifts: Vec<Shift> = Vec::new();
        // whether the line before this one moved as the last of `shifts` did
        let mut goes_on = false;
        for &(line, place) in &self.lines {
            let Place::Moved { line: to } = place else {
                goes_on = false;
                continue;
            };
            let by = i64::from(to) - i64::from(line.number);
            match shifts.last_mut() {
                Some(shift) if goes_on && shift.by == by => shift.last = line.number,
                _ => shifts.push(Shift {
                    first: line.number,
                    last: line.number,
                    by,
                }),
            }
            goes_on = true;
        }
        shifts
    }
}

/// A line of a copy that is not blank.
struct Copied {
    number: u32,
    sha256: String,
    text: String,
}

impl Copied {
    fn all(text: &str) -> Vec<Self> {
        let lines = (1..).zip(text.lines().map(str::trim));
        lines
            .filter(|(_, line)| !line.is_empty())
            .map(|(number, line)| Self {
                number,
                sha256: hex(&Sha256::digest(line)),
                text: line.to_owned(),
            })
            .collect()
    }
}

impl Problem {
    fn with(line: &Line, wrong: Wrong, found: Option<&Copied>) -> Self {
        Self {
            wrong,
            line: found.map(|found| found.number),
            was: Some(line.number),
            class: Some(line.class),
            claims: line.claims.clone(),
            text: found.map(|found| found.text.clone()),
        }
    }

    fn unbound(found: &Copied) -> Self {
        Self {
            wrong: Wrong::Unbound,
            line: Some(found.number),
            was: None,
            class: None,
            claims: Vec::new(),
            text: Some(found.text.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text, and the table that a reader of it wrote.
    const TEXT: [&str; 7] = [
        "# Of squares",
        "",
        "A square is a product.",
        "Squares are positive:",
        "  ```",
        "x x > 0",
        "  ```",
    ];

    fn table() -> Table {
        let class = [
            "heading",
            "",
            "definition",
            "part\ta",
            "code",
            "claim\ta,b",
            "code",
        ];
        let rows = (1..).zip(TEXT).zip(class);
        let rows = rows.filter(|((_, line), _)| !line.is_empty());
        let text: String = rows
            .map(|((number, line), class)| {
                format!("{number}\t{}\t{class}\n", hex(&Sha256::digest(line.trim())))
            })
            .collect();
        Table::parse(&text).expect("it is a table")
    }

    /// What is said of an edited copy.
    fn said(edit: impl Fn(&mut Vec<&str>)) -> Vec<String> {
        let mut lines = TEXT.to_vec();
        edit(&mut lines);
        let table = table();
        let binding = Binding::to_text(&table, &lines.join("\n"));
        let mut said: Vec<String> = binding.to_string().lines().map(str::to_owned).collect();
        // the sum comes last; a copy is whole exactly when nothing in it is wrong
        let sum = said.pop().expect("there is a sum");
        let whole = sum.ends_with("bound; 0 changed, 0 vanished, 0 unbound");
        assert_eq!(binding.is_whole(), whole, "{sum}");
        said.extend(
            binding
                .lapsed()
                .into_iter()
                .map(|id| format!("lapsed: {id}")),
        );
        said
    }

    #[test]
    fn a_copy_is_whole_with_other_blank_lines_and_indents_and_what_moved_is_said() {
        assert!(said(|_| ()).is_empty());
        assert!(said(|lines| lines[3] = "    Squares are positive:  ").is_empty());
        assert_eq!(
            said(|lines| lines.insert(2, "")),
            ["lines 3 to 7 stand 1 further down, unchanged"]
        );
        assert_eq!(
            said(|lines| lines.swap(2, 3)),
            [
                "line 3 stands 1 further down, unchanged",
                "line 4 stands 1 further up, unchanged"
            ]
        );
    }

    #[test]
    fn a_changed_line_lapses_the_claims_that_it_speaks_to() {
        assert_eq!(
            said(|lines| lines[5] = "x x >= 0"),
            [
                "line 6: changed (claim of a, b); it says \"x x >= 0\"",
                "lapsed: a",
                "lapsed: b"
            ]
        );
        assert_eq!(
            said(|lines| lines[3] = "Some squares are positive:"),
            [
                "line 4: changed (part of a); it says \"Some squares are positive:\"",
                "lapsed: a"
            ]
        );
        assert_eq!(
            said(|lines| lines[2] = "A square is a sum."),
            ["line 3: changed (definition); it says \"A square is a sum.\""]
        );
    }

    #[test]
    fn a_line_that_is_taken_out_has_vanished() {
        assert_eq!(
            said(|lines| lines.retain(|line| *line != TEXT[3])),
            [
                "line 4: vanished (part of a)",
                "lines 5 to 7 stand 1 further up, unchanged",
                "lapsed: a"
            ]
        );
        // one of two equal lines
        assert_eq!(said(|lines| lines.truncate(6)), ["line 7: vanished (code)"]);
    }

    #[test]
    fn a_line_that_the_table_does_not_know_is_unbound() {
        assert_eq!(
            said(|lines| lines.push("Cubes are positive too.")),
            ["line 8: unbound; it says \"Cubes are positive too.\""]
        );
        assert_eq!(
            said(|lines| lines.insert(3, "All numbers are.")),
            [
                "line 4: unbound; it says \"All numbers are.\"",
                "lines 4 to 7 stand 1 further down, unchanged"
            ]
        );
        // a line of the document said twice
        assert_eq!(
            said(|lines| lines.push("x x > 0")),
            ["line 8: unbound; it says \"x x > 0\""]
        );
    }

    #[test]
    fn of_an_empty_copy_everything_has_vanished() {
        let table = table();
        let binding = Binding::to_text(&table, " \n");
        assert_eq!((binding.found(), binding.problems().len()), (0, 6));
        assert!(binding.has_lapsed("a") && binding.has_lapsed("b"));
        assert!(!binding.has_lapsed("c"));
    }
}
