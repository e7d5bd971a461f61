//! `C` passes 1 before a polynomial fit generalises.

use super::capacity::{self, Axis, Event};
use super::{Claim, Origin, Sentence, linear_regression};
use crate::scenarios::capacity::worlds::World;

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "polynomial",
        origin: Origin::Document,
        statement: "In polynomial regression C passes 1 before the fit generalises.",
        sentence: Some(Sentence {
            section: "Strong Claims (Well-Supported)",
            line: 254,
            sha256: "119fb56cd6019b6a2c0efb4f532cd1d29ae8d8c94c6995e299dfaaa76a7ab271",
            status: "validated",
        }),
        holds_when: None,
        corrected: Some(linear_regression::STATEMENT),
        scenarios: &[capacity::SCENARIO],
        checks: vec![
            capacity::check(
                "along-training",
                "as polynomials of any degree that comes to generalise are trained, C passes 1 before they do",
                &[World::Polynomial],
                Axis::Training,
                Event::Generalising,
            ),
            capacity::check(
                "along-degrees",
                "as the degree grows, C at some moment of training passes 1 before the least-squares fit generalises",
                &[World::Polynomial],
                Axis::Widths,
                Event::Generalising,
            ),
            linear_regression::falls(),
            linear_regression::end(),
        ],
    }
}
