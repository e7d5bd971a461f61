//! `C` passes 1 before a polynomial fit generalises.

use super::capacity::{self, Axis, Event};
use super::{Claim, Origin, Sentence, linear_regression};
use crate::evidence::rational::{Q, q};
use crate::evidence::search::{Axis as Coordinate, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use crate::scenarios::capacity::worlds::World;
use num_traits::One;

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
            line_through_two_points(),
            linear_regression::falls(),
            linear_regression::end(),
        ],
    }
}

/// The line `m + d x` is fitted to its values at `-1` and `1` by the features `1` and `2x`, from 0, by gradient descent.
///
/// With what is missing, `a` of the constant and `b` of the slope, the residuals are `a - b` and `a + b`, so that `mu = (a, 2b)`,
/// `Tr D = 4 a^2 + b^2`, and a step of `s` over the largest curvature, which is 4, leaves `a (1 - s/4)` and `b (1 - s)`. The mean squared
/// error over `[-1, 1]` is `a^2 + b^2/3`.
struct Line {
    constant: Q,
    slope: Q,
    step: Q,
}

impl Line {
    /// `C` at batch 1 and the error, before the first step and after every one until the error is at most half of the first.
    fn course(&self) -> Vec<(Q, Q)> {
        let (mut a, mut b) = (-&self.constant, -&self.slope);
        let mut course: Vec<(Q, Q)> = Vec::new();
        loop {
            let (aa, bb) = (&a * &a, &b * &b);
            let c = (&aa + q(4, 1) * &bb) / (q(4, 1) * &aa + &bb);
            course.push((c, aa + bb / q(3, 1)));
            if course[course.len() - 1].1 <= &course[0].1 / q(2, 1) {
                return course;
            }
            a *= Q::one() - &self.step / q(4, 1);
            b *= Q::one() - &self.step;
        }
    }
}

/// Lines, fitted by steps of so many halves, or tenths, over the largest curvature.
struct Lines {
    step: Q,
}

fn examine_lines(world: &Lines, _: &Draw) -> Finding {
    let step = world.step.clone();
    let part = Part::new(&[&[Coordinate::NonZero; 2]], 3, move |c| {
        Some(Line {
            constant: c[0].clone(),
            slope: c[1].clone(),
            step: step.clone(),
        })
    });
    search(&[part], |line| {
        let course = line.course();
        // where C at batch 1 never rises, B C never rises through 1, at any batch B
        course.windows(2).all(|pair| pair[1].0 <= pair[0].0).then(|| {
            let (first, last) = (&course[0], &course[course.len() - 1]);
            format!(
                "the line through {} at -1 and {} at 1, fitted from 0 by the features 1 and 2x with steps of {} over the largest curvature: C at batch 1 falls from {} to {} in {} steps without ever rising, after which the squared error is {} of what it was",
                &line.constant - &line.slope,
                &line.constant + &line.slope,
                line.step,
                first.0,
                last.0,
                course.len() - 1,
                &last.1 / &first.1,
            )
        })
    })
}

/// That there is a batch at which `C` rises through 1 no later than the error halves.
fn line_through_two_points() -> Check {
    let spec = Spec {
        id: "line-through-two-points",
        role: Role::AsWritten,
        kind: Kind::Exact,
        hypothesis: "fitting a line to two of its points, C rises, so that at some batch it passes 1, no later than the squared error comes to half of what it was",
        tolerance: 0.0,
        detectable: Size::of("step, over the largest curvature, at which C falls", 1.0),
    };
    let worlds = Worlds {
        real: Lines { step: q(1, 2) },
        defect: Planted {
            what: "steps of one over the largest curvature, the longest at which C can not rise",
            size: 1.0,
            world: Lines { step: q(1, 1) },
        },
        truth: Planted {
            what: "steps of 19/10 over the largest curvature, at which what is missing along it turns over and back and C rises",
            size: 0.0,
            world: Lines { step: q(19, 10) },
        },
    };
    Check::new(spec, worlds, examine_lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_course_of_pencil() {
        let line = Line {
            constant: q(1, 1),
            slope: q(1, 1),
            step: q(1, 1),
        };
        // a = b = -1: C = 5/5, error 4/3; then a = -3/4, b = 0: C = 1/4, error 9/16
        let course = line.course();
        assert_eq!(course, [(q(1, 1), q(4, 3)), (q(1, 4), q(9, 16))]);
    }
}
