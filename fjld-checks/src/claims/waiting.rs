//! The claims of the document that no check examines, each with the reason: what has to be there first, or why no experiment can tell.
//!
//! A claim leaves this list when it gets a file of its own beside this one.

use super::{Claim, Origin, Sentence};
use crate::document::table::shipped;
use crate::verdict::Unexamined;

/// A claim that waits.
struct Waiting {
    id: &'static str,
    line: u32,
    section: &'static str,
    status: &'static str,
    statement: &'static str,
    unexamined: Unexamined,
}

/// Why a claim has no checks; `None` where it has some.
pub fn unexamined(id: &str) -> Option<Unexamined> {
    let claim = WAITING.iter().find(|claim| claim.id == id);
    claim.map(|claim| claim.unexamined)
}

/// The claims that wait, without checks, in the order of the document.
pub(super) fn claims() -> Vec<Claim> {
    let claims = WAITING.iter().map(|claim| Claim {
        id: claim.id,
        origin: Origin::Document,
        statement: claim.statement,
        sentence: Some(Sentence {
            section: claim.section,
            line: claim.line,
            sha256: shipped().line(claim.line).map_or("", |line| &line.sha256),
            status: claim.status,
        }),
        holds_when: None,
        corrected: None,
        scenarios: &[],
        checks: Vec::new(),
    });
    claims.collect()
}

const fn not_testable(
    id: &'static str,
    (line, section, status): (u32, &'static str, &'static str),
    statement: &'static str,
    reason: &'static str,
) -> Waiting {
    Waiting {
        id,
        line,
        section,
        status,
        statement,
        unexamined: Unexamined::NotTestable(reason),
    }
}

const WAITING: &[Waiting] = &[
    not_testable(
        "unification",
        (5, "Overview", "stated"),
        "One framework joins the martingale analysis of stochastic gradient descent, Bayesian inference with Jeffreys priors, information geometry and the natural gradient.",
        "to join theories is to present them together; what is said of each is judged by its own claims, and of martingales nothing more is said",
    ),
    not_testable(
        "provided-software",
        (222, "Synthetic Experiments", "stated"),
        "An implementation with tests can be installed, and its experiments show the phase transitions reproducibly.",
        "the address that it is to be had from is a placeholder, and none of the files that are named come with the document",
    ),
    not_testable(
        "expected-output",
        (209, "Expected Output", "stated"),
        "The printed loop shows C rise from about 0.2 through 1 in its fourth epoch.",
        "neither data, model, batch size nor optimiser are named; what the loop does measure is judged by listing-diagonal, and the rise through 1 by the claims on training",
    ),
    not_testable(
        "discrete",
        (305, "Theoretical Gaps", "stated"),
        "The theory takes parameters to be continuous and does not apply to a discrete search for architectures.",
        "it is a limit that the document sets to itself: there is nothing within it to examine",
    ),
    not_testable(
        "future-work",
        (541, "Future Work", "stated"),
        "The Kronecker form is to be extended to attention and residual blocks, to streams, to adaptive damping and to distributed training.",
        "these are intentions",
    ),
];
