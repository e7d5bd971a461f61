//! The boundary of descent to look at: where exact steps lower a quadratic loss, in one dimension and in two.

use super::step::{Case, Steps, part};
use crate::evidence::picture::{
    Axis, Kind, Line, Mark, Panel, Picture, Rule, Series, Style, plain, rounded,
};
use crate::evidence::rational::{Q, q, to_f64};
use crate::evidence::search::search;
use num_traits::Signed;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Values of `eta h`, in sixteenths: all that descent without noise converges at.
const SIXTEENTHS: std::ops::RangeInclusive<i64> = 1..=31;

/// Levels of `C`, in eighths of an octave around 1.
const OCTAVES: i32 = 7;

/// A step with one curvature: `h = mu = 1`.
fn one(step: &Q, c: &Q) -> Case {
    Case {
        step: step.clone(),
        curvatures: vec![q(1, 1)],
        mean: vec![q(1, 1)],
        variances: vec![q(1, 1) / c],
    }
}

/// `2^(k/8)` as a rational.
fn level(k: i32) -> Q {
    const DENOMINATOR: f64 = 65536.0;
    let size = (f64::from(k) / 8.0).exp2();
    q((size * DENOMINATOR).round() as i64, DENOMINATOR as i64)
}

/// The boundary in one dimension: the levels of `C` between which the step begins to lower the loss, and their middle.
fn found() -> Vec<(f64, f64, f64)> {
    let mut found = Vec::new();
    for sixteenths in SIXTEENTHS {
        let step = q(sixteenths, 16);
        let levels: Vec<Q> = (-8 * OCTAVES..=8 * OCTAVES).map(level).collect();
        let falls = |c: &Q| one(&step, c).change().is_negative();
        if let Some(first) = levels.iter().position(falls)
            && first > 0
            && levels[first..].iter().all(falls)
        {
            let ends = (to_f64(&levels[first - 1]), to_f64(&levels[first]));
            found.push((to_f64(&step), ends.0, ends.1));
        }
    }
    found
}

fn one_curvature(found: &[(f64, f64, f64)]) -> Panel {
    let fine = (1..200).map(|k| f64::from(k) / 100.0);
    let inside = |c: f64| (-OCTAVES..=OCTAVES).contains(&(c.log2().round() as i32));
    let stated = fine.map(|x| (x, x / (2.0 - x))).filter(|&(_, c)| inside(c));
    let middle = found.iter().map(|&(x, low, high)| (x, (low * high).sqrt()));
    Panel {
        title: "one curvature".into(),
        x: Axis::linear("eta h"),
        y: Axis::log("C"),
        series: vec![
            Series::new(
                "found by exact steps",
                Style::marks(1, Mark::Circle),
                middle,
            )
            .between(found.iter().map(|&(_, low, high)| (low, high))),
            Series::new(
                "C* = eta h / (2 - eta h)",
                Style::line(1, Line::Solid),
                stated,
            ),
        ],
        rules: vec![Rule::across("C = 1", 1.0)],
        ..Panel::default()
    }
}

/// Every case of two dimensions that the check examines, by its `C*` and `C`: whether the loss falls there.
fn cases() -> BTreeMap<(u64, u64), (f64, f64, bool)> {
    let cases = RefCell::new(BTreeMap::new());
    search(&[part(2, 2, Steps::Stable)], |case| {
        let room = q(2, 1) - &case.step * case.mean_curvature();
        let boundary = to_f64(&(&case.step * case.noise_curvature() / room));
        let (x, y) = (rounded(boundary), rounded(to_f64(&case.ratio())));
        let falls = case.change().is_negative();
        cases
            .borrow_mut()
            .entry((x.to_bits(), y.to_bits()))
            .or_insert((x, y, falls));
        None
    });
    cases.into_inner()
}

/// The most cases that are drawn: they lie on each other long before.
const DRAWN: usize = 400;

fn two_curvatures(cases: &BTreeMap<(u64, u64), (f64, f64, bool)>) -> Panel {
    let every = cases.len().div_ceil(DRAWN);
    let of = |wanted: bool| {
        cases
            .values()
            .step_by(every)
            .filter(move |(_, _, falls)| *falls == wanted)
            .map(|&(x, y, _)| (x, y))
    };
    let ends = cases
        .values()
        .fold((f64::INFINITY, 0f64), |(l, h), c| (l.min(c.0), h.max(c.0)));
    Panel {
        title: "two curvatures, any noise".into(),
        x: Axis::log("C* = eta h_D / (2 - eta h_mu)"),
        y: Axis::log("C"),
        series: vec![
            Series::new("the loss falls", Style::marks(1, Mark::Circle), of(true)),
            Series::new("it does not", Style::marks(2, Mark::Cross), of(false)),
            Series::new(
                "C = C*",
                Style::line(0, Line::Dotted),
                [(ends.0, ends.0), (ends.1, ends.1)],
            ),
        ],
        rules: vec![Rule::across("C = 1", 1.0)],
        ..Panel::default()
    }
}

/// See the module.
pub fn picture() -> Picture {
    let (found, cases) = (found(), cases());
    let worst = found
        .iter()
        .map(|&(x, low, high)| {
            let stated = x / (2.0 - x);
            // a grid of levels tells the boundary to within one of its steps
            (low / stated).max(stated / high)
        })
        .fold(0.0, f64::max);
    let below = cases.values().filter(|c| c.2 && c.1 < 1.0).count();
    let above = cases.values().filter(|c| !c.2 && c.1 > 1.0).count();
    let wrong = cases.values().filter(|c| c.2 != (c.1 > c.0)).count();
    let ends = match &found[..] {
        [first, .., last] => format!(
            "from about {} at eta h = {} to about {} at eta h = {}",
            plain((first.1 * first.2).sqrt()),
            plain(first.0),
            plain((last.1 * last.2).sqrt()),
            plain(last.0)
        ),
        _ => "nowhere".into(),
    };
    let agrees = match worst <= 1.0 {
        true => "and the formula runs between them at every one",
        false => "and the formula leaves them",
    };
    Picture {
        id: "descent-boundary".into(),
        claims: vec!["descent-boundary".into()],
        kind: Kind::Curves,
        title: "Where a step lowers the loss: eta h against C".into(),
        caption: format!(
            "The border of descent is no constant: with one curvature exact steps begin to lower the loss {ends}; at each of {} step sizes two levels of C enclose it, {agrees}. In two dimensions (n = {} different cases, one in {} drawn) the loss falls in {below} with C below 1 and does not in {above} with C above 1; on the wrong side of C* lie {wrong}.",
            found.len(),
            cases.len(),
            cases.len().div_ceil(DRAWN),
        ),
        source: "exact steps on quadratic losses, in rational numbers".into(),
        panels: vec![one_curvature(&found), two_curvatures(&cases)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boundary_that_is_found_holds_the_formula_and_rises_with_the_step() {
        let found = found();
        assert!(found.len() > 20, "{}", found.len());
        for &(x, low, high) in &found {
            let stated = x / (2.0 - x);
            assert!(low <= stated && stated <= high, "eta h = {x}");
        }
        assert!(found.is_sorted_by(|a, b| a.1 <= b.1));
    }

    #[test]
    fn no_case_in_two_dimensions_lies_on_the_wrong_side() {
        let picture = picture();
        assert!(
            picture.caption.contains("wrong side of C* lie 0."),
            "{}",
            picture.caption
        );
        assert!(
            !picture.caption.contains("falls in 0 "),
            "{}",
            picture.caption
        );
    }
}
