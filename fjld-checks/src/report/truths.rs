//! What is true: every statement of the report that stands, in a short chapter. Nothing enters it but by its verdict.

use super::ClaimReport;
use crate::verdict::Verdict;
use serde::{Deserialize, Serialize};

/// A statement that stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// What it is about.
    pub topic: String,
    /// The claim that it is, or that it corrects.
    pub claim: String,
    /// Whose statement it is.
    pub source: Source,
    /// The statement.
    pub statement: String,
    /// `verified` or `supported`.
    pub verdict: Verdict,
}

/// Where a statement comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A sentence of the document, as written.
    Document,
    /// What is true instead of one.
    Correction,
    /// A statement of our own.
    Ours,
}

impl Source {
    /// Its name in a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Self::Document => "the document's",
            Self::Correction => "a correction",
            Self::Ours => "ours",
        }
    }
}

/// The topics, each with how its claims' names begin. The first that fits is taken.
const TOPICS: [(&str, &[&str]); 7] = [
    (
        "Kronecker factors",
        &[
            "kfac",
            "listing-kfac",
            "diagonal-dominance",
            "small-networks",
        ],
    ),
    (
        "Estimating C",
        &[
            "ratio-definition",
            "batch-size",
            "sample-count",
            "diagonal-for-ratio",
            "listing-diagonal",
            "overhead",
            "full-fisher",
            "heavy-tails",
            "non-iid",
            "multi-task",
        ],
    ),
    (
        "Parameterisations",
        &[
            "theorem",
            "orthogonal-invariance",
            "natural-gradient",
            "ratio-is-jeffreys",
            "fisher-is-inverse-covariance",
            "jeffreys-density",
            "hadamard-exact",
            "diagonal-boundary",
            "discrete",
            "quantisation",
        ],
    ),
    (
        "Information",
        &[
            "kl-information",
            "one-nat",
            "entropy",
            "high-fisher-success",
        ],
    ),
    (
        "Dynamics",
        &[
            "drift-horizon",
            "descent-boundary",
            "implicit-jeffreys",
            "adaptive",
            "momentum",
            "schedules",
            "very-deep",
            "necessary-not-sufficient",
        ],
    ),
    ("Beside other methods", &["comparison"]),
    ("Training", &[""]),
];

fn topic(id: &str) -> &'static str {
    TOPICS
        .iter()
        .find(|(_, names)| names.iter().any(|name| id.starts_with(name)))
        .map_or("", |(topic, _)| topic)
}

/// The statements that stand, topic by topic.
pub fn truths(claims: &[ClaimReport]) -> Vec<Truth> {
    let mut truths = Vec::new();
    for (topic_name, _) in TOPICS {
        for claim in claims.iter().filter(|claim| topic(&claim.id) == topic_name) {
            let source = match claim.document {
                Some(_) => Source::Document,
                None => Source::Ours,
            };
            let own = Some((source, &claim.statement, claim.verdict));
            let corrected = claim.corrected.as_ref();
            let instead = corrected.map(|c| (Source::Correction, &c.statement, c.verdict));
            for (source, statement, verdict) in [own, instead].into_iter().flatten() {
                if verdict.stands() {
                    truths.push(Truth {
                        topic: topic_name.to_owned(),
                        claim: claim.id.clone(),
                        source,
                        statement: statement.clone(),
                        verdict,
                    });
                }
            }
        }
    }
    truths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_has_a_claim_and_no_claim_falls_under_training_by_mistake() {
        let claims = crate::claims::all();
        for (name, _) in TOPICS {
            assert!(claims.iter().any(|claim| topic(claim.id) == name), "{name}");
        }
        assert_eq!(topic("kfac-cost"), "Kronecker factors");
        assert_eq!(topic("entropy-rate"), "Information");
        assert_eq!(topic("grokking"), "Training");
    }
}
