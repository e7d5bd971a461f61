//! Counterexamples found, not typed: small rationals enumerated by height.
//!
//! The height of a rational is the larger of numerator and denominator, that of a case the largest of its coordinates. A search goes
//! through its parts in order (small dimensions first), and in each through the heights; it ends after the first height at which a
//! violation was seen, and reports the cheapest one there (the least sum of numerators and denominators).

use super::rational::Q;
use super::{Counterexample, Finding, Outcome};
use num_bigint::BigInt;
use num_traits::{Signed, ToPrimitive, Zero};

/// What a coordinate may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Any rational.
    Any,
    /// A positive one.
    Positive,
    /// Any but zero.
    NonZero,
}

/// Cases of one shape: rational coordinates up to a height, and what they stand for.
pub struct Part<C> {
    axes: Vec<Axis>,
    max_height: u64,
    decode: Box<Decode<C>>,
}

/// Makes a case of coordinates, or `None` outside the domain.
type Decode<C> = dyn Fn(&[Q]) -> Option<C>;

impl<C> Part<C> {
    /// Every way to fill `axes` up to `max_height`; `decode` makes a case of the coordinates, or `None` outside the domain.
    pub fn new(
        axes: &[&[Axis]],
        max_height: u64,
        decode: impl Fn(&[Q]) -> Option<C> + 'static,
    ) -> Self {
        Self {
            axes: axes.concat(),
            max_height,
            decode: Box::new(decode),
        }
    }
}

/// Every rational of height up to `max_height` that fits the axis, simplest first.
fn values(axis: Axis, max_height: u64) -> Vec<(u64, Q)> {
    let mut found = Vec::new();
    if axis == Axis::Any {
        found.push((1, Q::zero()));
    }
    for height in 1..=max_height as i64 {
        for other in 1..=height {
            for (numerator, denominator) in [(height, other), (other, height)] {
                let value = Q::new(BigInt::from(numerator), BigInt::from(denominator));
                let reduced = *value.denom() == BigInt::from(denominator);
                if !reduced || found.iter().any(|(_, v)| *v == value) {
                    continue;
                }
                found.push((height as u64, value.clone()));
                if axis != Axis::Positive {
                    found.push((height as u64, -value));
                }
            }
        }
    }
    found
}

/// Sum of numerators and denominators: what is less to write is simpler.
fn cost(case: &[Q]) -> u64 {
    case.iter()
        .map(|v| {
            let size = v.numer().abs() + v.denom();
            size.to_u64().unwrap_or(u64::MAX) + u64::from(v.is_negative())
        })
        .sum()
}

/// Examines every case of every part; `violation` says how a case violates the claim, if it does.
pub fn search<C>(parts: &[Part<C>], violation: impl Fn(&C) -> Option<String>) -> Finding {
    let mut searched = 0;
    for part in parts {
        for height in 1..=part.max_height {
            let mut cheapest: Option<(u64, String)> = None;
            for_each_tuple(&part.axes, height, |coordinates| {
                let Some(case) = (part.decode)(coordinates) else {
                    return;
                };
                searched += 1;
                if let Some(text) = violation(&case) {
                    let cost = cost(coordinates);
                    if cheapest.as_ref().is_none_or(|(least, _)| cost < *least) {
                        cheapest = Some((cost, text));
                    }
                }
            });
            if let Some((_, case)) = cheapest {
                let mut finding = Finding::new(Outcome::Violated, searched, case.clone());
                finding.counterexample = Some(Counterexample {
                    case,
                    height,
                    searched,
                });
                return finding;
            }
        }
    }
    let summary = format!("no counterexample among {searched} cases in exact arithmetic");
    let outcome = if searched == 0 {
        Outcome::Undecided
    } else {
        Outcome::Holds
    };
    Finding::new(outcome, searched, summary)
}

/// Calls `visit` for every tuple of exactly this height.
fn for_each_tuple(axes: &[Axis], height: u64, mut visit: impl FnMut(&[Q])) {
    let values: Vec<_> = axes.iter().map(|&axis| values(axis, height)).collect();
    let mut index = vec![0; axes.len()];
    let mut tuple: Vec<Q> = values.iter().map(|v| v[0].1.clone()).collect();
    loop {
        let highest = index.iter().zip(&values).map(|(&i, v)| v[i].0).max();
        if highest == Some(height) {
            visit(&tuple);
        }
        // the last coordinate turns fastest
        let Some(turn) = (0..axes.len())
            .rev()
            .find(|&k| index[k] + 1 < values[k].len())
        else {
            return;
        };
        index[turn] += 1;
        index[turn + 1..].fill(0);
        for k in turn..axes.len() {
            tuple[k].clone_from(&values[k][index[k]].1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rational::q;
    use super::*;

    #[test]
    fn every_rational_of_a_height_is_met_once() {
        let met: Vec<Q> = values(Axis::Any, 3).into_iter().map(|(_, v)| v).collect();
        let expected = [
            q(0, 1),
            q(1, 1),
            q(-1, 1),
            q(2, 1),
            q(-2, 1),
            q(1, 2),
            q(-1, 2),
            q(3, 1),
            q(-3, 1),
            q(1, 3),
            q(-1, 3),
            q(3, 2),
            q(-3, 2),
            q(2, 3),
            q(-2, 3),
        ];
        assert_eq!(met.len(), expected.len());
        assert!(expected.iter().all(|v| met.contains(v)));
        let mut pairs = 0;
        for height in 1..=3 {
            for_each_tuple(&[Axis::Any, Axis::Positive], height, |_| pairs += 1);
        }
        assert_eq!(pairs, 15 * 7);
    }

    #[test]
    fn the_smallest_counterexample_is_reported_with_its_height_and_how_many_were_searched() {
        // "x^2 >= x for every rational": 1/2 is the simplest violation
        let parts = [Part::new(&[&[Axis::Any]], 5, |c| Some(c[0].clone()))];
        let finding = search(&parts, |x| (x * x < *x).then(|| format!("x = {x}")));
        assert_eq!(finding.outcome, Outcome::Violated);
        let found = finding.counterexample.expect("1/2 violates it");
        assert_eq!((found.case.as_str(), found.height), ("x = 1/2", 2));
        assert_eq!(found.searched, 7);
    }

    #[test]
    fn a_true_statement_holds_and_an_empty_domain_decides_nothing() {
        let parts = [Part::new(&[&[Axis::Any, Axis::Any]], 2, |c| {
            Some(c.to_vec())
        })];
        let finding = search(&parts, |c| {
            let square = (&c[0] - &c[1]) * (&c[0] - &c[1]);
            square.is_negative().then(String::new)
        });
        assert_eq!((finding.outcome, finding.cases), (Outcome::Holds, 49));
        let nothing: [Part<Q>; 1] = [Part::new(&[&[Axis::Any]], 2, |_| None)];
        assert_eq!(search(&nothing, |_| None).outcome, Outcome::Undecided);
    }

    #[test]
    fn a_case_costs_its_numerators_and_denominators_and_a_sign_one_more() {
        assert_eq!(cost(&[q(0, 1)]), 1);
        assert_eq!(cost(&[q(1, 2)]), 1 + 2);
        assert_eq!(cost(&[q(-1, 2)]), 1 + 2 + 1);
        assert_eq!(cost(&[q(2, 3), q(-2, 1)]), (2 + 3) + (2 + 1 + 1));
    }

    #[test]
    fn of_the_violations_of_a_height_the_least_to_write_is_reported_and_of_two_such_the_first_met()
    {
        // "no two positive rationals make 7/2": none of height 2 do, and of height 3 in this order (2, 3/2), (1/2, 3), (3, 1/2) and
        // (3/2, 2), which cost 8, 7, 7 and 8
        let pair = [Axis::Positive, Axis::Positive];
        let parts = [Part::new(&[&pair], 3, |c| Some(c.to_vec()))];
        let finding = search(&parts, |c| {
            let text = format!("{} and {}", c[0], c[1]);
            (&c[0] + &c[1] == q(7, 2)).then_some(text)
        });
        let found = finding.counterexample.expect("four pairs violate it");
        assert_eq!((found.case.as_str(), found.height), ("1/2 and 3", 3));
        // seven rationals a coordinate
        assert_eq!(found.searched, 49);
    }
}
