//! What each line of the document does: a table of hashes, read by a person line by line, without a word of the document in it.

use crate::error::{Error, Result};
use serde::Serialize;
use std::collections::HashSet;
use std::sync::LazyLock;

/// What a line of the document does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// It states each of its claims by itself.
    Claim,
    /// It states a part of each of its claims: a condition, an example, evidence, a line of a listing, the head of a table.
    Part,
    /// It says what a symbol or a word means, on which its claims rest, if it names any.
    Definition,
    /// It opens or closes a block of code.
    Code,
    /// It is a heading.
    Heading,
    /// It asserts nothing: a question, thanks, a rule.
    Prose,
}

impl Class {
    const ALL: [Self; 6] = [
        Self::Claim,
        Self::Part,
        Self::Definition,
        Self::Code,
        Self::Heading,
        Self::Prose,
    ];

    /// Its name in the table and in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::Part => "part",
            Self::Definition => "definition",
            Self::Code => "code",
            Self::Heading => "heading",
            Self::Prose => "prose",
        }
    }

    /// Whether a line of this class may speak to so many claims.
    fn admits(self, claims: usize) -> bool {
        match self {
            Self::Claim | Self::Part => claims > 0,
            Self::Definition => true,
            Self::Code | Self::Heading | Self::Prose => claims == 0,
        }
    }
}

/// A line of the document that is not blank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number, counted from 1.
    pub number: u32,
    /// SHA-256 of the line without leading and trailing white space, in hexadecimal.
    pub sha256: String,
    /// What it does.
    pub class: Class,
    /// The claims that it speaks to.
    pub claims: Vec<String>,
}

/// The lines of the document that are not blank, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table(Vec<Line>);

/// The table that is compiled in.
pub fn shipped() -> &'static Table {
    static TABLE: LazyLock<Table> = LazyLock::new(|| {
        Table::parse(include_str!("lines.tsv")).expect("a test reads the table that is compiled in")
    });
    &TABLE
}

impl Table {
    /// Reads a table: a line each, `number<TAB>sha256<TAB>class`, and `<TAB>claim,claim` where it speaks to claims; lines that
    /// begin with `#` are remarks.
    ///
    /// # Errors
    /// When a line is none of that, when numbers do not rise, or when a claim is named twice on a line.
    pub fn parse(text: &str) -> Result<Self> {
        let mut lines: Vec<Line> = Vec::new();
        for (at, row) in text.lines().enumerate() {
            if row.starts_with('#') {
                continue;
            }
            let line = Line::parse(row)
                .map_err(|why| Error::input(format!("row {} of the table: {why}", at + 1)))?;
            if lines.last().is_some_and(|last| last.number >= line.number) {
                return Err(Error::input(format!(
                    "row {} of the table: line {} stands after a line of that number or a higher one",
                    at + 1,
                    line.number
                )));
            }
            lines.push(line);
        }
        Ok(Self(lines))
    }

    /// Its lines.
    pub fn lines(&self) -> &[Line] {
        &self.0
    }

    /// The line of that number; `None` where it is blank or beyond the end.
    pub fn line(&self, number: u32) -> Option<&Line> {
        let at = self.0.binary_search_by_key(&number, |line| line.number);
        at.ok().map(|at| &self.0[at])
    }

    /// The lines that speak to a claim.
    pub fn lines_of<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Line> {
        self.0.iter().filter(move |line| line.speaks_to(id))
    }
}

impl Line {
    /// Whether it speaks to a claim.
    pub fn speaks_to(&self, id: &str) -> bool {
        self.claims.iter().any(|claim| claim == id)
    }

    fn parse(row: &str) -> std::result::Result<Self, String> {
        let fields: Vec<&str> = row.split('\t').collect();
        let (number, sha256, class, claims) = match fields[..] {
            [number, sha256, class] => (number, sha256, class, ""),
            [number, sha256, class, claims] => (number, sha256, class, claims),
            _ => {
                return Err(format!(
                    "{} fields between tabs; there are 3 or 4",
                    fields.len()
                ));
            }
        };
        let number = match number.parse::<u32>() {
            Ok(number) if number > 0 => number,
            _ => return Err(format!("{number:?} is no number of a line, from 1")),
        };
        let hexadecimal = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        if sha256.len() != 64 || !sha256.chars().all(hexadecimal) {
            return Err(format!(
                "{sha256:?} is no SHA-256: 64 digits 0 to 9 and a to f"
            ));
        }
        let Some(class) = Class::ALL.into_iter().find(|c| c.name() == class) else {
            let known = Class::ALL.map(Class::name).join(", ");
            return Err(format!("{class:?} is no class; there are {known}"));
        };
        let claims: Vec<String> = claims
            .split(',')
            .filter(|claim| !claim.is_empty())
            .map(str::to_owned)
            .collect();
        if !class.admits(claims.len()) {
            return Err(format!(
                "class {} with {} claims; claim and part name some, definition may, and no other class does",
                class.name(),
                claims.len()
            ));
        }
        let different: HashSet<&String> = claims.iter().collect();
        if different.len() < claims.len() {
            return Err(format!("a claim is named twice in {claims:?}"));
        }
        Ok(Self {
            number,
            sha256: sha256.to_owned(),
            class,
            claims,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::{self, Origin};

    /// SHA-256 of "abc", as FIPS 180 prints it.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_table_is_read_as_it_is_written() -> Result<()> {
        let text = format!("# a remark\n2\t{ABC}\tpart\ta,b-c\n5\t{ABC}\tcode\n");
        let table = Table::parse(&text)?;
        let [part, code] = table.lines() else {
            panic!("{table:?}")
        };
        assert_eq!((part.number, part.class), (2, Class::Part));
        assert_eq!(part.claims, ["a", "b-c"]);
        assert_eq!(
            (code.number, code.class, code.claims.len()),
            (5, Class::Code, 0)
        );
        assert_eq!(table.line(5), Some(code));
        assert_eq!(table.line(3), None);
        assert_eq!(table.lines_of("b-c").collect::<Vec<_>>(), [part]);
        Ok(())
    }

    #[test]
    fn what_is_no_table_is_refused_with_its_row_and_what_is_accepted() {
        let refusals = [
            (format!("1\t{ABC}"), "row 1 of the table: 2 fields"),
            (
                format!("0\t{ABC}\tcode"),
                "\"0\" is no number of a line, from 1",
            ),
            ("1\tabc\tcode".into(), "\"abc\" is no SHA-256"),
            (
                format!("1\t{ABC}\tlisting"),
                "there are claim, part, definition",
            ),
            (format!("1\t{ABC}\tclaim"), "class claim with 0 claims"),
            (format!("1\t{ABC}\tprose\ta"), "class prose with 1 claims"),
            (format!("1\t{ABC}\tpart\ta,a"), "named twice"),
            (
                format!("2\t{ABC}\tcode\n2\t{ABC}\tcode"),
                "row 2 of the table: line 2",
            ),
        ];
        for (text, why) in refusals {
            let error = Table::parse(&text).expect_err(why).to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn the_table_that_is_compiled_in_holds_numbers_hashes_classes_and_ids_and_no_text() {
        // what `parse` lets through is a number, a hash and a class; so the claims are left, and each of them is an id of ours
        let ours = claims::all();
        for line in shipped().lines() {
            for id in &line.claims {
                let claim = ours.iter().find(|claim| claim.id == id);
                let origin = claim.map(|claim| claim.origin);
                assert_eq!(origin, Some(Origin::Document), "line {}: {id}", line.number);
            }
        }
        let remarks = include_str!("lines.tsv")
            .lines()
            .filter(|l| l.starts_with('#'));
        assert_eq!(remarks.count(), 2);
    }

    #[test]
    fn every_claim_of_the_document_has_its_sentence_in_the_table() {
        for claim in claims::all() {
            let Some(sentence) = claim.sentence else {
                assert_eq!(claim.origin, Origin::Ours, "{}", claim.id);
                continue;
            };
            let line = shipped().line(sentence.line);
            let bound = line.is_some_and(|line| line.sha256 == sentence.sha256);
            assert!(bound, "{}: another hash, line {}", claim.id, sentence.line);
            let speaks = line.is_some_and(|line| line.speaks_to(claim.id));
            assert!(speaks, "{}: not on line {}", claim.id, sentence.line);
        }
    }
}
