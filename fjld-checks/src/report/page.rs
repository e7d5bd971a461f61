//! The page of a claim, as data: the one source of its section in the HTML and of `explain`.

use super::documentation::documentation;
use super::{ClaimReport, Report};
use crate::claims::{self, Claim};
use crate::evidence::picture::plain;
use crate::evidence::{Outcome, Record, Role};
use crate::verdict::Verdict;
use serde::Serialize;

/// A claim's page.
#[derive(Clone, Debug, Serialize)]
pub struct Page {
    /// The claim.
    pub id: String,
    /// Its verdict; none where it is told of without a report.
    pub verdict: Option<Verdict>,
    /// Where it comes from, in a phrase.
    pub origin: String,
    /// In the order in which they are read.
    pub sections: Vec<Section>,
}

/// A part of a page.
#[derive(Clone, Debug, Serialize)]
pub struct Section {
    /// What it is, for whoever lays it out.
    pub kind: &'static str,
    /// Its heading.
    pub title: String,
    /// The verdict on what it says, where there is one.
    pub verdict: Option<Verdict>,
    /// What it says.
    pub blocks: Vec<Block>,
}

/// A piece of a section.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Block {
    /// A paragraph; what stands between back quotes is code.
    Text {
        /// It.
        text: String,
    },
    /// Lines as they are.
    Code {
        /// They.
        text: String,
    },
    /// Points.
    List {
        /// They, each a paragraph.
        items: Vec<String>,
    },
    /// What stands in a row for each.
    Table {
        /// The names of the columns.
        head: Vec<String>,
        /// The rows.
        rows: Vec<Vec<String>>,
    },
    /// A picture of the report.
    Picture {
        /// Its name.
        id: String,
        /// What it shows.
        title: String,
        /// And says.
        caption: String,
    },
}

fn text(text: impl Into<String>) -> Block {
    Block::Text { text: text.into() }
}

impl Section {
    fn new(kind: &'static str, title: &str, blocks: Vec<Block>) -> Self {
        Self {
            kind,
            title: title.to_owned(),
            verdict: None,
            blocks,
        }
    }
}

/// What a check tests, before or after it is run.
struct Tested {
    id: String,
    role: Role,
    hypothesis: String,
    tolerance: f64,
    detects: String,
}

impl Page {
    /// Of a claim that a report holds.
    pub fn of(claim: &ClaimReport, report: &Report) -> Self {
        let mut page = Self {
            id: claim.id.clone(),
            verdict: Some(claim.verdict),
            origin: origin(claim),
            sections: Vec::new(),
        };
        let tested = claim.checks.iter().map(|record| Tested {
            id: record.id.clone(),
            role: record.role,
            hypothesis: record.hypothesis.clone(),
            tolerance: record.tolerance,
            detects: size(record),
        });
        page.says(claim);
        page.means(claim.about.as_deref(), tested.collect());
        page.evidence(claim, report);
        page.scope(claim.holds_when.as_deref());
        if let Some(corrected) = &claim.corrected {
            page.instead(&corrected.statement, Some(corrected.verdict));
        }
        page.controls(claim);
        // what was not run has its reason, and in it the command that would
        if !claim.checks.is_empty() {
            let command = format!("cargo run -p fjld-checks -- {}", claim.receipt.command);
            let told = format!(
                "judges it again, at the tier and the seed of this report, and compares the evidence bit by bit (SHA-256 `{}`).",
                claim.receipt.evidence_sha256
            );
            let blocks = vec![Block::Code { text: command }, text(told)];
            page.sections.push(Section::new("again", "Again", blocks));
        }
        page
    }

    /// Of a claim that no report holds: what it says, and what is tested.
    pub fn unjudged(claim: &Claim) -> Self {
        let report = ClaimReport::new(claim, Vec::new(), None);
        let mut page = Self {
            id: claim.id.to_owned(),
            verdict: None,
            origin: origin(&report),
            sections: Vec::new(),
        };
        let tested = claim.checks.iter().map(|check| Tested {
            id: check.spec.id.to_owned(),
            role: check.spec.role,
            hypothesis: check.spec.hypothesis.to_owned(),
            tolerance: check.spec.tolerance,
            detects: format!(
                "{} {}",
                plain(check.spec.detectable.size),
                check.spec.detectable.what
            ),
        });
        page.says(&report);
        page.means(report.about.as_deref(), tested.collect());
        page.scope(claim.holds_when);
        if let Some(corrected) = claim.corrected {
            page.instead(corrected, None);
        }
        let command = format!("cargo run -p fjld-checks -- report --claim {}", claim.id);
        page.sections.push(Section::new(
            "again",
            "Not judged here",
            vec![text("Judge it by"), Block::Code { text: command }],
        ));
        page
    }

    fn says(&mut self, claim: &ClaimReport) {
        let title = match claim.document {
            Some(_) => "The document says",
            None => "We say",
        };
        let mut blocks = vec![text(&claim.statement)];
        if let Some(reason) = &claim.reason {
            blocks.push(text(format!("It is not examined: {reason}.")));
        }
        if let Some(why) = &claim.lapsed {
            blocks.push(text(format!("The verdict does not count: {why}.")));
        }
        self.sections.push(Section::new("says", title, blocks));
    }

    /// The file's own words, and what is tested of the sentence.
    fn means(&mut self, about: Option<&str>, tested: Vec<Tested>) {
        let mut blocks = about.map(documentation).unwrap_or_default();
        let own = tested.iter().filter(|t| t.role == Role::AsWritten);
        let items: Vec<String> = own
            .map(|t| {
                let allowed = match t.tolerance {
                    0.0 => "exactly".to_owned(),
                    tolerance => format!("allowing {}", plain(tolerance)),
                };
                format!(
                    "{} (`{}`; {allowed}; it would catch {})",
                    t.hypothesis, t.id, t.detects
                )
            })
            .collect();
        if !items.is_empty() {
            blocks.push(text("Tested is that"));
            blocks.push(Block::List { items });
        }
        if !blocks.is_empty() {
            let section = Section::new("means", "What that means here", blocks);
            self.sections.push(section);
        }
    }

    fn evidence(&mut self, claim: &ClaimReport, report: &Report) {
        let pictures = report
            .pictures
            .iter()
            .filter(|picture| picture.claims.contains(&claim.id));
        let mut blocks: Vec<Block> = pictures
            .map(|picture| Block::Picture {
                id: picture.id.clone(),
                title: picture.title.clone(),
                caption: picture.caption.clone(),
            })
            .collect();
        let own = claim.checks.iter().filter(|r| r.role == Role::AsWritten);
        let items: Vec<String> = own
            .filter(|r| r.counterexample.is_none())
            .map(|r| format!("`{}` {}: {}", r.id, outcome(r.outcome), r.summary))
            .collect();
        if !items.is_empty() {
            blocks.push(Block::List { items });
        }
        if !blocks.is_empty() {
            let section = Section::new("evidence", "The evidence", blocks);
            self.sections.push(section);
        }
        let found = claim.checks.iter().filter(|r| r.role == Role::AsWritten);
        for record in found {
            if let Some(found) = &record.counterexample {
                let blocks = vec![
                    Block::Code {
                        text: found.case.clone(),
                    },
                    text(format!(
                        "The smallest that `{}` found: height {}, {} cases searched in exact arithmetic.",
                        record.id, found.height, found.searched
                    )),
                ];
                let section = Section::new("counterexample", "Counterexample", blocks);
                self.sections.push(section);
            }
        }
    }

    fn scope(&mut self, scope: Option<&str>) {
        if let Some(scope) = scope {
            let section = Section::new("scope", "It holds when", vec![text(sentence(scope))]);
            self.sections.push(section);
        }
    }

    fn instead(&mut self, statement: &str, verdict: Option<Verdict>) {
        let mut section = Section::new("instead", "True instead", vec![text(statement)]);
        if verdict.is_some_and(|v| !v.stands()) {
            section.title = "Said instead".into();
        }
        section.verdict = verdict;
        self.sections.push(section);
    }

    /// Every check with its planted worlds.
    fn controls(&mut self, claim: &ClaimReport) {
        if claim.checks.is_empty() {
            return;
        }
        let head = [
            "check",
            "of",
            "found",
            "cases",
            "planted defect",
            "planted truth",
            "false alarm",
            "detects",
        ];
        let rows = claim.checks.iter().map(|r| {
            vec![
                r.id.clone(),
                match r.role {
                    Role::AsWritten => "the sentence",
                    Role::HoldsWhen => "its scope",
                    Role::Corrected => "the correction",
                }
                .into(),
                match &r.counterexample {
                    Some(found) => format!("{}: {}", outcome(r.outcome), found.case),
                    None => format!("{}: {}", outcome(r.outcome), r.summary),
                },
                match r.sample_size {
                    Some(size) => format!("{} ({} needed)", r.cases, size.needed),
                    None => r.cases.to_string(),
                },
                format!(
                    "{}: {}",
                    if r.planted_defect.caught {
                        "caught"
                    } else {
                        "MISSED"
                    },
                    r.planted_defect.what
                ),
                format!(
                    "{}: {}",
                    if r.planted_truth.passed {
                        "passed"
                    } else {
                        "NOT PASSED"
                    },
                    r.planted_truth.what
                ),
                plain(r.false_alarm),
                size(r),
            ]
        });
        let table = Block::Table {
            head: head.map(str::to_owned).to_vec(),
            rows: rows.collect(),
        };
        let section = Section::new("controls", "Checks and controls", vec![table]);
        self.sections.push(section);
    }
}

fn size(record: &Record) -> String {
    let detectable = &record.detectable;
    format!("{} {}", plain(detectable.size), detectable.what)
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Holds => "holds",
        Outcome::Violated => "is violated",
        Outcome::Undecided => "does not decide",
    }
}

fn origin(claim: &ClaimReport) -> String {
    match &claim.document {
        Some(document) => format!(
            "line {} of the document, \u{201c}{}\u{201d}; its status there: {}",
            document.line, document.section, document.status
        ),
        None => "a statement of ours".into(),
    }
}

/// A phrase as a sentence.
fn sentence(phrase: &str) -> String {
    let mut letters = phrase.chars();
    let first: String = letters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .collect();
    let end = if phrase.ends_with('.') { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

/// The page of a claim of this name, from a report that holds it or else from the claim alone; none where no claim is called that.
pub fn find(id: &str, report: Option<&Report>) -> Option<Page> {
    let judged = report.and_then(|report| {
        let claim = report.claims.iter().find(|claim| claim.id == id)?;
        Some(Page::of(claim, report))
    });
    judged.or_else(|| {
        let all = claims::all();
        let claim = all.iter().find(|claim| claim.id == id)?;
        Some(Page::unjudged(claim))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_without_a_report_has_a_page_that_says_how_to_judge_it() {
        let page = find("theorem-2", None).expect("it is a claim");
        assert_eq!(page.verdict, None);
        let kinds: Vec<&str> = page.sections.iter().map(|s| s.kind).collect();
        assert_eq!(kinds, ["says", "means", "scope", "instead", "again"]);
        assert!(find("theorem-3", None).is_none());
    }
}
