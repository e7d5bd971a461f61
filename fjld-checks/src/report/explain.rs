//! A claim's page in the terminal.

use super::Report;
use super::page::{Block, Page, find};
use crate::claims;
use std::fmt::Write;

/// Letters in a line.
const WIDTH: usize = 100;

/// Names that are told where none fits.
const NEAR: usize = 5;

/// The page of a claim: from the report if it holds it, else from the claim alone.
///
/// # Errors
/// The nearest names, where no claim is called that.
pub fn explain(id: &str, report: Option<&Report>) -> Result<String, Vec<String>> {
    match find(id, report) {
        Some(page) => Ok(terminal(&page)),
        None => Err(nearest(id)),
    }
}

fn terminal(page: &Page) -> String {
    let mut text = String::new();
    let verdict = match page.verdict {
        Some(verdict) => format!(" is {}", verdict.name().replace('_', " ")),
        None => String::new(),
    };
    line(&mut text, &format!("{}{verdict}", page.id));
    line(&mut text, &format!("({})", page.origin));
    for section in &page.sections {
        let verdict = section.verdict.map_or(String::new(), |v| {
            format!(" [{}]", v.name().replace('_', " "))
        });
        line(&mut text, "");
        line(&mut text, &format!("{}{verdict}", section.title));
        for block in &section.blocks {
            write_block(&mut text, block);
        }
    }
    text
}

fn write_block(text: &mut String, block: &Block) {
    match block {
        Block::Text { text: content } => wrapped(text, "  ", content),
        Block::Code { text: content } => {
            for row in content.lines() {
                match row.chars().count() > WIDTH {
                    true => wrapped(text, "      ", row),
                    false => line(text, &format!("      {row}")),
                }
            }
        }
        Block::List { items } => {
            for item in items {
                wrapped(text, "  - ", item);
            }
        }
        Block::Picture { title, caption, .. } => {
            wrapped(text, "  ", &format!("(picture) {title}. {caption}"));
        }
        Block::Table { head, rows } => {
            for row in rows {
                for (k, (name, cell)) in head.iter().zip(row).enumerate() {
                    let label = match k {
                        0 => format!("  - {name}: "),
                        _ => format!("      {name}: "),
                    };
                    wrapped(text, &label, cell);
                }
            }
        }
    }
}

fn line(text: &mut String, content: &str) {
    writeln!(text, "{}", content.trim_end()).expect("a string takes what is written to it");
}

/// `content` in lines after `first`, the others as far in as its own indentation.
fn wrapped(text: &mut String, first: &str, content: &str) {
    let depth = first.len() - first.trim_start_matches([' ', '-']).len();
    let mut row = first.to_owned();
    let mut fresh = true;
    for word in content.split_whitespace() {
        if !fresh && row.chars().count() + 1 + word.chars().count() > WIDTH {
            line(text, &row);
            row = " ".repeat(depth);
            fresh = true;
        }
        if !fresh {
            row.push(' ');
        }
        row.push_str(word);
        fresh = false;
    }
    line(text, &row);
}

/// The names that take the fewest changes of letters; a part of a name takes none.
fn nearest(id: &str) -> Vec<String> {
    let mut names: Vec<(usize, String)> = claims::all()
        .iter()
        .map(|claim| {
            let part = !id.is_empty() && claim.id.contains(id);
            let distance = if part { 0 } else { changes(id, claim.id) };
            (distance, claim.id.to_owned())
        })
        .collect();
    names.sort();
    names.into_iter().take(NEAR).map(|(_, name)| name).collect()
}

/// Letters to insert, take out or exchange between two names (Levenshtein 1966).
fn changes(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &y) in b.iter().enumerate() {
            let exchanged = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = exchanged.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_explained_without_a_report() {
        let page = explain("theorem-2", None).expect("it is a claim");
        assert!(
            page.starts_with("theorem-2\n(line 58 of the document"),
            "{page}"
        );
        assert!(page.contains("\nTrue instead\n"), "{page}");
        assert!(
            page.lines().all(|l| l.chars().count() <= WIDTH + 6),
            "{page}"
        );
    }

    #[test]
    fn an_unknown_name_is_answered_by_the_nearest() {
        let near = explain("theorem-3", None).expect_err("there is none");
        assert!(near.contains(&"theorem-1".to_owned()), "{near:?}");
        assert!(near.contains(&"theorem-2".to_owned()), "{near:?}");
        let part = explain("grok", None).expect_err("it is a part of one");
        assert_eq!(part[0], "grokking");
    }

    #[test]
    fn changes_are_counted_letter_by_letter() {
        assert_eq!(changes("kitten", "sitting"), 3);
        assert_eq!(changes("", "abc"), 3);
        assert_eq!(changes("abc", "abc"), 0);
    }
}
