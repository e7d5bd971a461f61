//! What became of the mutants, in `results.txt`: a line a source file, and below it those that no test noticed.

use crate::trial::Outcome;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

const RESULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/results.txt");

/// Mutants that change nothing which a test could see, each with the reason.
const EQUIVALENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/equivalent.toml");

/// One mutant.
pub struct Verdict {
    pub file: String,
    pub line: usize,
    pub key: String,
    pub outcome: Outcome,
}

impl Verdict {
    /// Whether no test noticed it.
    fn is_unnoticed(&self) -> bool {
        matches!(self.outcome, Outcome::Missed | Outcome::Unreached)
    }
}

type Reasons = BTreeMap<String, String>;

/// The reasons in `equivalent.toml`, by the mutants' names.
pub fn equivalent() -> Result<Reasons, String> {
    let text = std::fs::read_to_string(EQUIVALENT).map_err(|e| format!("{EQUIVALENT}: {e}"))?;
    toml::from_str(&text).map_err(|e| format!("{EQUIVALENT}: {e}"))
}

/// Those that no test noticed and nothing excuses.
pub fn missed<'a>(
    verdicts: &'a [Verdict],
    equivalent: &'a Reasons,
) -> impl Iterator<Item = &'a Verdict> {
    verdicts
        .iter()
        .filter(|v| v.is_unnoticed())
        .filter(|v| !equivalent.contains_key(&v.key))
}

/// The counts of some mutants in one line.
fn counts(verdicts: &[&Verdict], equivalent: &Reasons) -> String {
    let mut counts = [0usize; 5];
    for verdict in verdicts {
        let excused = equivalent.contains_key(&verdict.key);
        counts[match verdict.outcome {
            Outcome::Caught => 0,
            Outcome::TimedOut => 1,
            Outcome::Missed | Outcome::Unreached if excused => 3,
            Outcome::Missed | Outcome::Unreached => 2,
            Outcome::Unviable => 4,
        }] += 1;
    }
    let [caught, timed_out, missed, equivalent, unviable] = counts;
    format!(
        "{caught} caught, {timed_out} timed out, {missed} missed, {equivalent} equivalent, {unviable} unviable"
    )
}

/// The missed ones with their lines, the counts, and the share that was caught.
pub fn summary(verdicts: &[Verdict], equivalent: &Reasons) -> String {
    let mut text = String::new();
    for v in missed(verdicts, equivalent) {
        let how = if v.outcome == Outcome::Unreached {
            "unreached"
        } else {
            "missed"
        };
        writeln!(text, "{how} at line {}: {}", v.line, v.key).expect("a string");
    }
    // a name may stand for several mutants, of which one is caught
    let unnoticed = verdicts.iter().filter(|v| v.is_unnoticed());
    let still: BTreeSet<&String> = unnoticed.map(|v| &v.key).collect();
    let seen: BTreeSet<&String> = verdicts.iter().map(|v| &v.key).collect();
    for key in equivalent
        .keys()
        .filter(|key| seen.contains(key) && !still.contains(key))
    {
        writeln!(text, "listed as equivalent, and caught: {key}").expect("a string");
    }
    let all: Vec<&Verdict> = verdicts.iter().collect();
    let caught = all
        .iter()
        .filter(|v| matches!(v.outcome, Outcome::Caught | Outcome::TimedOut))
        .count();
    let open = missed(verdicts, equivalent).count();
    let share = 100.0 * caught as f64 / (caught + open).max(1) as f64;
    writeln!(
        text,
        "{}: {share:.1}% of those that can be noticed are",
        counts(&all, equivalent)
    )
    .expect("a string");
    text
}

/// Puts the results of these files in the place of those that were kept of them.
pub fn keep(verdicts: &[Verdict], equivalent: &Reasons) -> Result<(), String> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    let kept = std::fs::read_to_string(RESULTS).unwrap_or_default();
    let mut file = String::new();
    for line in kept.lines() {
        if !line.starts_with(' ') {
            file = line.split(": ").next().unwrap_or_default().to_owned();
        }
        writeln!(files.entry(file.clone()).or_default(), "{line}").expect("a string");
    }
    let mut fresh: BTreeMap<&str, Vec<&Verdict>> = BTreeMap::new();
    for verdict in verdicts {
        fresh.entry(&verdict.file).or_default().push(verdict);
    }
    for (file, own) in fresh {
        let mut text = format!("{file}: {}\n", counts(&own, equivalent));
        for v in missed(verdicts, equivalent).filter(|v| v.file == file) {
            writeln!(
                text,
                "    {}",
                v.key.trim_start_matches(file).trim_start_matches(": ")
            )
            .expect("a string");
        }
        files.insert(file.to_owned(), text);
    }
    let text: String = files.into_values().collect();
    std::fs::write(RESULTS, text).map_err(|e| format!("{RESULTS}: {e}"))
}
