//! The theory in every kind of network.
//!
//! The sentence names no quantity. What the theory says of training, wherever it applies, are the two lines of the document's checklist
//! on runs: `C` passes 1 before accuracy improves, and it correlates with accuracy by more than 0.7. They are judged in each kind of
//! network that is trained here, by `C` from all per-example gradients, the estimate without sampling error. A sentence about every
//! network stands only if both are true in every kind, and falls with one kind in which one of them is false; which kinds these are is
//! told by the checks, each beside the controls of its runs.

use super::runs::{self, Statement};
use super::{Claim, Origin, Sentence, crossing, ratio_tracks_accuracy};
use crate::evidence::Check;
use crate::scenarios::measurement::{Estimator, View};

/// A kind of network: the scenario that trains it, and the names of its two checks.
struct Kind {
    scenario: &'static str,
    crossing: &'static str,
    correlation: &'static str,
}

const KINDS: [Kind; 5] = [
    Kind {
        scenario: "digits-mlp",
        crossing: "perceptron-crossing",
        correlation: "perceptron-correlation",
    },
    Kind {
        scenario: "cifar-resnet18",
        crossing: "convolutional-crossing",
        correlation: "convolutional-correlation",
    },
    Kind {
        scenario: "gpt",
        crossing: "transformer-crossing",
        correlation: "transformer-correlation",
    },
    Kind {
        scenario: "modular-grokking",
        crossing: "quadratic-crossing",
        correlation: "quadratic-correlation",
    },
    Kind {
        scenario: "modular-embedding",
        crossing: "embedding-crossing",
        correlation: "embedding-correlation",
    },
];

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "universal",
        origin: Origin::Document,
        statement: "The theory applies to every neural network.",
        sentence: Some(Sentence {
            section: "Speculative Claims (Requiring Validation)",
            line: 277,
            sha256: "66582603c59d0f67d05b04eae9ed4625b26ae28e05dbd1df9d3ac89b59e4e46f",
            status: "speculative",
        }),
        holds_when: None,
        corrected: None,
        scenarios: &[
            "digits-mlp",
            "cifar-resnet18",
            "gpt",
            "modular-grokking",
            "modular-embedding",
        ],
        checks: KINDS.iter().flat_map(both).collect(),
    }
}

/// What the theory says of training, in one kind of network.
fn both(kind: &Kind) -> [Check; 2] {
    let exact = View::of_examples(Estimator::PerExample);
    let check = |id, statement: Statement| runs::check(kind.scenario, id, exact, statement);
    [
        check(kind.crossing, crossing::STATEMENT),
        check(kind.correlation, ratio_tracks_accuracy::STATEMENT),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_one_of_the_scenarios_that_the_claim_draws_on() {
        let claim = claim();
        let own: Vec<&str> = claim.checks.iter().filter_map(|c| c.scenario).collect();
        assert_eq!(own.len(), 2 * KINDS.len());
        assert!(own.iter().all(|name| claim.scenarios.contains(name)));
        assert!(claim.scenarios.iter().all(|name| own.contains(name)));
    }
}
