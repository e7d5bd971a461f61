//! A comparison as a comment on a pull request: a row for each claim that changed, and nothing of the rest.

use super::{Change, Comparison};

/// Characters of a text before it is cut; the JSON has all of them.
const CELL: usize = 160;

/// Details of one claim before the rest is counted.
const DETAILS: usize = 4;

/// What a comment on GitHub holds, in characters; bytes are no fewer.
const COMMENT: usize = 65_536;

/// Kept free for the line that counts the claims which found no room.
const SPARE: usize = 200;

impl Comparison {
    /// The changed claims as a table for a pull request, or one line where there are none; never more than a comment holds.
    pub fn markdown(&self) -> String {
        if self.changes.is_empty() {
            let mut text = "No claim changed by more than noise".to_owned();
            for note in &self.notes {
                text.push_str(&format!("; {}", plain(note)));
            }
            return text + &self.left_out("; ", "") + ".\n";
        }
        let mut claims: Vec<&str> = Vec::new();
        for change in &self.changes {
            if !claims.contains(&change.claim.as_str()) {
                claims.push(&change.claim);
            }
        }
        let number = match claims.len() {
            1 => "1 claim".to_owned(),
            many => format!("{many} claims"),
        };
        let [then, now] = match self.before.root_seed {
            None => ["pinned", "now"],
            Some(_) => ["before", "after"],
        };
        let mut text = format!(
            "**{number} changed** (tier {}, {then} against {now})\n\n| claim | {then} | {now} | what else changed |\n|---|---|---|---|\n",
            self.after.tier
        );
        let notes: Vec<String> = self
            .notes
            .iter()
            .map(|n| format!("\nNote: {}.\n", plain(n)))
            .collect();
        let last = notes.concat() + &self.left_out("\nNote: ", ".\n");
        for (shown, claim) in claims.iter().enumerate() {
            let row = self.row(claim);
            if text.len() + row.len() + last.len() + SPARE > COMMENT {
                text.push_str(&format!(
                    "\nAnd {} more changed, for which a comment has no room; `compare --json` has them.\n",
                    claims.len() - shown
                ));
                break;
            }
            text.push_str(&row);
        }
        text + &last
    }

    fn row(&self, claim: &str) -> String {
        let own = self.changes.iter().filter(|change| change.claim == claim);
        let (verdict, details): (Vec<&Change>, Vec<&Change>) =
            own.partition(|change| ["verdict", "claim"].contains(&change.what));
        let side = |side: Option<&String>| match (side, verdict.is_empty()) {
            (Some(verdict), _) => format!("**{}**", cell(verdict)),
            (None, true) => "as it was".to_owned(),
            (None, false) => "not there".to_owned(),
        };
        let changed = verdict.first();
        let (before, after) = (
            side(changed.and_then(|c| c.before.as_ref())),
            side(changed.and_then(|c| c.after.as_ref())),
        );
        let mut more: Vec<String> = details.iter().take(DETAILS).map(|c| detail(c)).collect();
        if details.len() > DETAILS {
            more.push(format!("and {} more", details.len() - DETAILS));
        }
        let more = more.join("<br>");
        format!("| `{}` | {before} | {after} | {more} |\n", cell(claim))
    }

    /// That some claims were not run on one side.
    fn left_out(&self, before: &str, after: &str) -> String {
        let mut claims: Vec<&str> = self.not_compared.iter().map(|c| c.claim.as_str()).collect();
        claims.dedup();
        match claims.as_slice() {
            [] => String::new(),
            [claim] => format!(
                "{before}not run on one side, so not compared: {}{after}",
                cell(claim)
            ),
            many => format!(
                "{before}{} claims were not run on one side, and are not compared{after}",
                many.len()
            ),
        }
    }
}

fn detail(change: &Change) -> String {
    let side = |side: &Option<String>| side.as_deref().map_or("none".to_owned(), cell);
    let [before, after] = [side(&change.before), side(&change.after)];
    format!("{}: {before} → {after}", cell(&change.what()))
}

/// Text that can not break out of its cell, nor be markup in it.
fn cell(text: &str) -> String {
    let mut shown: String = text.chars().take(CELL).collect();
    if text.chars().nth(CELL).is_some() {
        shown.push_str("...");
    }
    plain(&shown).replace('|', "\\|")
}

/// Text on one line in which nothing is a tag.
fn plain(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
        .replace('&', "&amp;")
        .replace('<', "&lt;")
}
