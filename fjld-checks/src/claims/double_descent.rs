//! `C` passes 1 before the second descent of the test error.

use super::capacity::{self, Axis, Event};
use super::{Claim, Origin, Sentence, linear_regression};
use crate::scenarios::capacity::worlds::World;

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "double-descent",
        origin: Origin::Document,
        statement: "C passes 1 before the second descent of the test error, and that explains double descent.",
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
                "along-widths",
                "as the number of random features of digits grows, C at some moment of training passes 1 before the second descent of the least-squares fits' test error",
                &[World::Fourier, World::Relu],
                Axis::Widths,
                Event::SecondDescent,
            ),
            capacity::check(
                "along-training",
                "as features of two scales are learned, C passes 1 before the second descent of the test error",
                &[World::TwoScales],
                Axis::Training,
                Event::SecondDescent,
            ),
            linear_regression::falls(),
            linear_regression::end(),
        ],
    }
}
