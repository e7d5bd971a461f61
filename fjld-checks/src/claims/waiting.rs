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

const NO_SCENARIO: &str = "it takes training runs, and no scenario trains this yet";
const OPEN: &str =
    "the document leaves it open; what C says there is to be derived, and then measured";
const COMPARED: &str = "no check of it is written; what is no matter of taste in the comparison is to be derived line by line";
const BOTH: &str =
    "both forms have to be measured along training runs, and no scenario does that yet";
const EXAMINED_SOON: &str = "its checks are being written";

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

const fn not_run(
    id: &'static str,
    (line, section, status): (u32, &'static str, &'static str),
    statement: &'static str,
    missing: &'static str,
) -> Waiting {
    Waiting {
        id,
        line,
        section,
        status,
        statement,
        unexamined: Unexamined::NotRun(missing),
    }
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
    not_run(
        "natural-gradient-phase",
        (91, "2. Natural Gradient Connection", "stated"),
        "C passes 1 where the natural gradient comes to outweigh the diffusion.",
        "no check of it is written; the signal of the natural gradient against its noise is algebra",
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
    not_run(
        "config-mnist",
        (242, "Known Working Configurations", "validated"),
        "On MNIST, C of a two-layer perceptron is 0.1 to 0.3 at the start and 5 to 10 at convergence.",
        NO_SCENARIO,
    ),
    not_run(
        "config-modular",
        (243, "Known Working Configurations", "validated"),
        "In modular arithmetic, C of a one-layer network is 0.05 to 0.15 at the start and 20 to 50 at convergence.",
        NO_SCENARIO,
    ),
    not_run(
        "config-cifar",
        (244, "Known Working Configurations", "validated"),
        "On CIFAR-10, C of a ResNet-18 is 0.2 to 0.5 at the start and 2 to 8 at convergence.",
        NO_SCENARIO,
    ),
    not_run(
        "config-gpt",
        (245, "Known Working Configurations", "partial"),
        "In language modelling, C of a transformer is 0.3 to 0.7 at the start and 3 to 12 at convergence.",
        NO_SCENARIO,
    ),
    not_run(
        "grokking",
        (254, "Strong Claims (Well-Supported)", "validated"),
        "In modular arithmetic C passes 1 before the network generalises, and that explains grokking.",
        NO_SCENARIO,
    ),
    not_run(
        "polynomial",
        (254, "Strong Claims (Well-Supported)", "validated"),
        "In polynomial regression C passes 1 before the fit generalises.",
        NO_SCENARIO,
    ),
    not_run(
        "double-descent",
        (254, "Strong Claims (Well-Supported)", "validated"),
        "C passes 1 before the second descent of the test error, and that explains double descent.",
        NO_SCENARIO,
    ),
    not_run(
        "lottery",
        (271, "Moderate Claims (Partially Supported)", "partial"),
        "C explains after the fact which sparse subnetworks train as well as the whole.",
        NO_SCENARIO,
    ),
    not_run(
        "universal",
        (
            277,
            "Speculative Claims (Requiring Validation)",
            "speculative",
        ),
        "The theory applies to every neural network.",
        "several kinds of networks have to be run, and one kind has been: phase-precedes-accuracy and ratio-tracks-accuracy judge it there",
    ),
    not_run(
        "overhead",
        (292, "Computational Constraints", "stated"),
        "Measuring C adds 5 to 10 per cent to training, and less where it is measured every tenth epoch.",
        "no check of it is written; it is a count of gradients against steps",
    ),
    not_run(
        "full-fisher",
        (295, "Computational Constraints", "stated"),
        "The full Fisher matrix takes memory of order d^2, out of reach beyond a million parameters, so that a diagonal or block-diagonal form has to do.",
        "no check of it is written; the memory is arithmetic",
    ),
    not_testable(
        "discrete",
        (305, "Theoretical Gaps", "stated"),
        "The theory takes parameters to be continuous and does not apply to a discrete search for architectures.",
        "it is a limit that the document sets to itself: there is nothing within it to examine",
    ),
    not_run(
        "quantisation",
        (306, "Theoretical Gaps", "stated"),
        "Quantising or pruning parameters breaks the invariance under reparameterisation.",
        "no check of it is written; which maps keep what is to be derived",
    ),
    not_run(
        "multi-task",
        (309, "Theoretical Gaps", "stated"),
        "The theory is one of a single objective; several at once are still to be taken into it.",
        OPEN,
    ),
    not_run(
        "very-deep",
        (314, "Empirical Boundaries", "stated"),
        "The transition is less sharp in networks of more than 100 layers.",
        NO_SCENARIO,
    ),
    not_run(
        "non-iid",
        (318, "Empirical Boundaries", "stated"),
        "C takes its draws to be independent and of one law; sequential, online or adversarial data may violate that, and a windowed estimate mends it.",
        NO_SCENARIO,
    ),
    not_run(
        "comparison-laplace",
        (330, "vs. Bayesian Deep Learning", "stated"),
        "The Laplace approximation has a Gaussian prior, no invariance, a costly Hessian and an asymptotic theory of convergence; this theory has the Jeffreys prior, invariance, cheap statistics and a finite one.",
        COMPARED,
    ),
    not_run(
        "comparison-vi",
        (330, "vs. Bayesian Deep Learning", "stated"),
        "Variational inference has a free prior, no invariance, more parameters and a theory of its optimisation; this theory has the Jeffreys prior, invariance, cheap statistics and a transition.",
        COMPARED,
    ),
    not_run(
        "comparison-natural-gradient",
        (339, "vs. Information Geometry (Amari)", "stated"),
        "Natural gradient descent has the Fisher metric and no phase transition; this theory adds the Jeffreys density and a transition at C = 1, for diagnosis.",
        COMPARED,
    ),
    not_run(
        "comparison-ntk",
        (347, "vs. Neural Tangent Kernels (NTK)", "stated"),
        "The neural tangent kernel takes infinite width, a linearisation and a deterministic limit, and depends on the scaling; this theory takes finite networks, models the noise and is invariant.",
        COMPARED,
    ),
    not_run(
        "diagonal-boundary",
        (376, "FAQ", "stated"),
        "In practical networks the diagonal form puts the boundary where the full form does.",
        "both forms have to be measured on trained networks, which no scenario does yet",
    ),
    not_run(
        "necessary-not-sufficient",
        (380, "FAQ", "stated"),
        "C > 1 does not suffice for good test accuracy: it tells when a network can learn, not what it learns (that it is necessary is judged by descent-boundary).",
        "a network with C > 1 that memorises shuffled labels has to be run",
    ),
    not_run(
        "plateau",
        (385, "FAQ", "stated"),
        "C shows when learning has come to a plateau.",
        NO_SCENARIO,
    ),
    not_run(
        "step-size",
        (386, "FAQ", "stated"),
        "Adjusting the step size where C comes near 1 improves training.",
        NO_SCENARIO,
    ),
    not_run(
        "pruning",
        (387, "FAQ", "stated"),
        "Parameters that contribute little to C can be pruned.",
        NO_SCENARIO,
    ),
    not_run(
        "kfac-correlations",
        (423, "Theory", "stated"),
        "The gradients of the weights of one layer are correlated, which the diagonal form ignores and the Kronecker form captures.",
        "the covariance of layers has to be measured on trained networks, which no scenario does yet",
    ),
    not_run(
        "kfac-accuracy",
        (505, "Comparison: Diagonal vs K-FAC", "stated"),
        "The Kronecker form shows the transition more accurately than the diagonal one, and correlates with test accuracy earlier.",
        BOTH,
    ),
    not_run(
        "kfac-stall",
        (512, "Comparison: Diagonal vs K-FAC", "stated"),
        "Where the diagonal C lingers between 0.8 and 1.2, the Kronecker form tells more.",
        BOTH,
    ),
    not_run(
        "small-networks",
        (516, "Comparison: Diagonal vs K-FAC", "stated"),
        "Below a million parameters the diagonal form suffices.",
        BOTH,
    ),
    not_run(
        "kfac-sharper",
        (536, "Validation Protocol", "stated"),
        "Estimates of C in the Kronecker form vary less than in the diagonal one, and pass 1 sooner.",
        BOTH,
    ),
    not_testable(
        "future-work",
        (541, "Future Work", "stated"),
        "The Kronecker form is to be extended to attention and residual blocks, to streams, to adaptive damping and to distributed training.",
        "these are intentions",
    ),
    // to go when the files of the same names are there
    not_run(
        "kfac-weighting",
        (408, "Theory", "stated"),
        "The Fisher information of a layer is the Kronecker product of the second moments of its inputs and of its output gradients, which are called covariances.",
        EXAMINED_SOON,
    ),
    not_run(
        "kfac-parameterisation",
        (422, "Theory", "stated"),
        "The Kronecker form of C does not depend on the parameterisation, and neither does the diagonal one.",
        EXAMINED_SOON,
    ),
    not_run(
        "kfac-cost",
        (424, "Theory", "stated"),
        "The Kronecker form takes operations of order n^2 m^2 a layer against (nm)^2 for the full Fisher matrix; and of order n^2 + m^2.",
        EXAMINED_SOON,
    ),
    not_run(
        "kfac-exact-linear",
        (425, "Theory", "stated"),
        "The Kronecker form is exact for linear layers with Gaussian activations.",
        EXAMINED_SOON,
    ),
    not_run(
        "listing-kfac",
        (464, "Implementation", "stated"),
        "The printed function gives C in the Kronecker form, with the contribution and condition number of each layer.",
        EXAMINED_SOON,
    ),
    not_run(
        "kfac-condition",
        (485, "Implementation", "stated"),
        "The condition number of a Kronecker product is the product of those of its factors.",
        EXAMINED_SOON,
    ),
    not_run(
        "kfac-memory",
        (507, "Comparison: Diagonal vs K-FAC", "stated"),
        "The Kronecker form takes about twice the memory.",
        EXAMINED_SOON,
    ),
    not_run(
        "kfac-trigger",
        (513, "Comparison: Diagonal vs K-FAC", "stated"),
        "A condition number of the Fisher matrix above 100 tells that parameters are strongly coupled.",
        EXAMINED_SOON,
    ),
    not_run(
        "kfac-consistency",
        (522, "Validation Protocol", "stated"),
        "Where activations are white and gradients isotropic, the Kronecker form of C is the diagonal one.",
        EXAMINED_SOON,
    ),
    not_run(
        "kfac-invariance",
        (526, "Validation Protocol", "stated"),
        "C in the Kronecker form is unchanged to within 0.05 when W becomes UWV.",
        EXAMINED_SOON,
    ),
    not_run(
        "kfac-crossing",
        (535, "Validation Protocol", "stated"),
        "C in the Kronecker form passes 1 sooner.",
        EXAMINED_SOON,
    ),
];
