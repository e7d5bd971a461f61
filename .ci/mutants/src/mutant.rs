//! The mutants that cargo-mutants would make, and their names.

use serde::Deserialize;
use std::path::Path;
use std::process::Command;

/// A line and a column, counted from 1, in characters.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl Place {
    /// The byte of the source that it is at.
    pub fn offset(self, source: &str) -> usize {
        let before = source.split_inclusive('\n').take(self.line - 1);
        let line: usize = before.map(str::len).sum();
        let rest = &source[line..];
        let column = rest.char_indices().nth(self.column - 1);
        line + column.map_or(rest.len(), |(i, _)| i)
    }
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub struct Span {
    pub start: Place,
    pub end: Place,
}

/// One entry of `cargo mutants --list --json`.
#[derive(Clone, Debug, Deserialize)]
pub struct Mutant {
    /// Path of the source from the root of the workspace.
    pub file: String,
    pub genre: String,
    /// With its place in front.
    pub name: String,
    pub replacement: String,
    pub span: Span,
}

impl Mutant {
    /// The source with this one in it.
    pub fn made_in(&self, source: &str) -> String {
        let Span { start, end } = self.span;
        let mut made = source.to_owned();
        made.replace_range(start.offset(source)..end.offset(source), &self.replacement);
        made
    }

    /// What this one is called wherever its line moves to: the file, and what is replaced, with the text of the expression around it.
    pub fn key(&self, expression: &str) -> String {
        let what = self.name.splitn(4, ':').nth(3).unwrap_or(&self.name).trim();
        let text: Vec<&str> = expression.split_whitespace().collect();
        let text = text.join(" ");
        let mut short: String = text.chars().take(100).collect();
        if short.len() < text.len() {
            short.push('…');
        }
        if short.is_empty() {
            format!("{}: {what}", self.file)
        } else {
            format!("{}: {what} | {short}", self.file)
        }
    }
}

/// The mutants of the sources under `tree` that cargo-mutants lists with these arguments.
pub fn list(tree: &Path, arguments: &[String]) -> Result<Vec<Mutant>, String> {
    let mut command = Command::new("cargo");
    command
        .args(["mutants", "--list", "--json", "--dir"])
        .arg(tree)
        .args(arguments);
    let told = command
        .output()
        .map_err(|e| format!("cargo mutants: {e}"))?;
    if !told.status.success() {
        return Err(format!(
            "cargo mutants: {}",
            String::from_utf8_lossy(&told.stderr)
        ));
    }
    serde_json::from_slice(&told.stdout).map_err(|e| format!("cargo mutants --list --json: {e}"))
}
