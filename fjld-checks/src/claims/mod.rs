//! The claims: a file each, and one list.

pub mod about;
mod adaptive;
mod adaptive_ratio;
mod batch_size;
mod by_seed;
mod capacity;
mod cells;
mod comparison_laplace;
mod comparison_natural_gradient;
mod comparison_ntk;
mod comparison_vi;
mod config;
mod config_cifar;
mod config_gpt;
mod config_mnist;
mod config_modular;
mod crossing;
mod descent_boundary;
mod diagonal_boundary;
mod diagonal_dominance;
mod diagonal_for_ratio;
mod double_descent;
mod drift_horizon;
mod entropy;
mod entropy_production;
mod entropy_rate;
mod fisher_is_inverse_covariance;
mod full_fisher;
mod grokking;
mod hadamard_exact;
mod heavy_tails;
mod high_fisher_success;
mod implicit_jeffreys;
mod jeffreys_density;
mod kfac;
mod kfac_accuracy;
mod kfac_condition;
mod kfac_consistency;
mod kfac_correlations;
mod kfac_cost;
mod kfac_crossing;
mod kfac_exact_linear;
mod kfac_invariance;
mod kfac_memory;
mod kfac_parameterisation;
mod kfac_runs;
mod kfac_sharper;
mod kfac_stall;
mod kfac_trigger;
mod kfac_weighting;
mod kl_information;
mod linear_regression;
mod listing_diagonal;
mod listing_kfac;
mod lottery;
mod momentum;
mod multi_task;
mod multiplications;
pub mod multiverse;
mod natural_gradient;
mod natural_gradient_equivariance;
mod natural_gradient_phase;
mod necessary_not_sufficient;
mod non_iid;
mod one_nat;
mod orthogonal_invariance;
mod overhead;
mod phase_precedes_accuracy;
pub mod pictures;
mod plateau;
mod polynomial;
mod pruning;
mod quantisation;
mod ratio_definition;
mod ratio_is_jeffreys;
mod ratio_tracks_accuracy;
mod runs;
mod sample_count;
mod schedules;
mod small_networks;
mod step_size;
mod theorem_1;
mod theorem_2;
mod theorem_2_corrected;
mod trained_network;
mod universal;
mod very_deep;
pub mod waiting;

use crate::evidence::Check;
use crate::evidence::ledger::Budget;
use serde::{Deserialize, Serialize};

/// Whose statement a claim judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The document's.
    Document,
    /// Our own.
    Ours,
}

/// Where the document says it.
#[derive(Clone, Copy, Debug)]
pub struct Sentence {
    /// The heading it stands under.
    pub section: &'static str,
    /// Its line, counted from 1.
    pub line: u32,
    /// SHA-256 of the line without leading and trailing white space, in hexadecimal.
    pub sha256: &'static str,
    /// How firmly the document says it.
    pub status: &'static str,
}

/// A statement, where it comes from, and the checks that judge it.
pub struct Claim {
    /// Its name everywhere.
    pub id: &'static str,
    /// Whose statement it is.
    pub origin: Origin,
    /// The statement, in our words.
    pub statement: &'static str,
    /// Where the document says it; `None` for ours.
    pub sentence: Option<Sentence>,
    /// The scope in which the sentence does hold, shown by the checks of that role.
    pub holds_when: Option<&'static str>,
    /// What is true instead, judged by the checks of that role.
    pub corrected: Option<&'static str>,
    /// The training scenarios that its checks draw on.
    pub scenarios: &'static [&'static str],
    /// The checks.
    pub checks: Vec<Check>,
}

/// Every claim, in the order of the report: those that are examined, then those that wait.
pub fn all() -> Vec<Claim> {
    let mut claims = examined();
    claims.extend(waiting::claims());
    claims
}

fn examined() -> Vec<Claim> {
    vec![
        ratio_definition::claim(),
        batch_size::claim(),
        fisher_is_inverse_covariance::claim(),
        jeffreys_density::claim(),
        ratio_is_jeffreys::claim(),
        theorem_1::claim(),
        theorem_2::claim(),
        theorem_2_corrected::claim(),
        sample_count::claim(),
        diagonal_for_ratio::claim(),
        drift_horizon::claim(),
        descent_boundary::claim(),
        heavy_tails::claim(),
        adaptive::claim(),
        momentum::claim(),
        schedules::claim(),
        implicit_jeffreys::claim(),
        listing_diagonal::claim(),
        orthogonal_invariance::claim(),
        natural_gradient::claim(),
        natural_gradient_equivariance::claim(),
        natural_gradient_phase::claim(),
        high_fisher_success::claim(),
        hadamard_exact::claim(),
        diagonal_boundary::claim(),
        diagonal_dominance::claim(),
        kl_information::claim(),
        one_nat::claim(),
        entropy::claim(),
        entropy_rate::claim(),
        entropy_production::claim(),
        kfac_correlations::claim(),
        kfac_consistency::claim(),
        kfac_invariance::claim(),
        kfac_parameterisation::claim(),
        kfac_weighting::claim(),
        kfac_crossing::claim(),
        kfac_sharper::claim(),
        kfac_accuracy::claim(),
        kfac_stall::claim(),
        kfac_exact_linear::claim(),
        kfac_cost::claim(),
        kfac_memory::claim(),
        kfac_trigger::claim(),
        kfac_condition::claim(),
        listing_kfac::claim(),
        overhead::claim(),
        full_fisher::claim(),
        comparison_laplace::claim(),
        comparison_vi::claim(),
        comparison_natural_gradient::claim(),
        comparison_ntk::claim(),
        multi_task::claim(),
        non_iid::claim(),
        quantisation::claim(),
        small_networks::claim(),
        phase_precedes_accuracy::claim(),
        ratio_tracks_accuracy::claim(),
        necessary_not_sufficient::claim(),
        config_mnist::claim(),
        config_modular::claim(),
        config_cifar::claim(),
        config_gpt::claim(),
        grokking::claim(),
        universal::claim(),
        polynomial::claim(),
        double_descent::claim(),
        very_deep::claim(),
        lottery::claim(),
        plateau::claim(),
        step_size::claim(),
        pruning::claim(),
        adaptive_ratio::claim(),
    ]
}

/// The error budget over every claim there is, whichever of them are judged.
pub fn budget(claims: &[Claim]) -> Budget {
    let checks = claims.iter().flat_map(|claim| &claim.checks);
    Budget::with(checks.filter(|check| check.is_stochastic()).count() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_claims_have_the_same_id() {
        let mut seen = HashSet::new();
        for claim in all() {
            assert!(seen.insert(claim.id), "{} is there twice", claim.id);
        }
    }

    #[test]
    fn a_claim_has_checks_or_a_reason_why_it_has_none() {
        for claim in all() {
            let reason = waiting::unexamined(claim.id);
            assert_eq!(claim.checks.is_empty(), reason.is_some(), "{}", claim.id);
        }
    }
}
