//! A source with all of its mutants in it. Each place that mutants change becomes a choice on `crate::woven(place)`, which says the
//! alternative that the environment chose there, or 0 for what the source says.

use crate::find::{Shape, find};
use crate::mutant::Mutant;
use std::collections::BTreeMap;
use std::ops::Range;

/// A place with its mutants.
#[derive(Debug)]
struct Edit {
    range: Range<usize>,
    shape: Shape,
    /// The number of the place, and the mutants that are alternatives 1, 2, ...
    place: usize,
    mutants: Vec<usize>,
}

/// What a file became.
pub struct Woven {
    pub text: String,
    /// The place and the alternative of each mutant that is in it.
    pub chosen: BTreeMap<usize, (usize, usize)>,
    /// The expression around each mutant.
    pub expressions: BTreeMap<usize, String>,
}

/// Text in the making.
struct Weaver<'a> {
    source: &'a str,
    edits: &'a [Edit],
    mutants: &'a [Mutant],
    dropped: &'a dyn Fn(usize) -> bool,
}

impl Weaver<'_> {
    /// A range of the source with the edits from `from` on that lie in it.
    fn text(&self, range: Range<usize>, mut from: usize, out: &mut String) {
        let mut at = range.start;
        while let Some(edit) = self.edits.get(from) {
            if edit.range.start >= range.end {
                break;
            }
            if edit.range.start >= at && edit.range.end <= range.end {
                out.push_str(&self.source[at..edit.range.start]);
                self.edit(from, out);
                at = edit.range.end;
            }
            from += 1;
        }
        out.push_str(&self.source[at..range.end]);
    }

    fn inner(&self, range: &Range<usize>, from: usize) -> String {
        let mut out = String::new();
        self.text(range.clone(), from, &mut out);
        out
    }

    /// The alternatives that are left, each a line that ends in its number, and what the source says.
    fn choice(&self, edit: &Edit, arm: impl Fn(&str) -> String, otherwise: &str, out: &mut String) {
        out.push_str(&format!("match crate::woven({}) {{\n", edit.place));
        for (k, &mutant) in edit.mutants.iter().enumerate() {
            if !(self.dropped)(mutant) {
                let arm = arm(&self.mutants[mutant].replacement).replace('\n', " ");
                out.push_str(&format!("{} => {{ {arm} }} //~{mutant}\n", k + 1));
            }
        }
        out.push_str(&format!("_ => {{ {otherwise} }} }}"));
    }

    fn edit(&self, index: usize, out: &mut String) {
        let edit = &self.edits[index];
        let next = index + 1;
        let whole = || self.inner(&edit.range, next);
        if edit.mutants.iter().all(|&m| (self.dropped)(m)) {
            return out.push_str(&whole());
        }
        let open = edit
            .mutants
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(",");
        out.push_str(&format!("/*<{open}*/"));
        match &edit.shape {
            Shape::Body => self.choice(edit, |to| format!("return {to};"), "", out),
            Shape::Arithmetic(l, op, r) | Shape::Comparison(l, op, r) => {
                let taken = matches!(edit.shape, Shape::Arithmetic(..));
                let (by, of) = if taken { ("", "") } else { ("&", "*") };
                let (left, right) = (self.inner(l, next), self.inner(r, next));
                out.push_str(&format!(
                    "(match ({by}({left}), {by}({right})) {{ (l, r) => "
                ));
                self.choice(
                    edit,
                    |to| format!("{of}l {to} {of}r"),
                    &format!("{of}l {op} {of}r"),
                    out,
                );
                out.push_str("})");
            }
            Shape::Lazy(l, and, r) => {
                let (left, right) = (self.inner(l, next), self.inner(r, next));
                let place = edit.place;
                let test = if *and { "!=" } else { "==" };
                out.push_str(&format!(
                    "(match ({left}) {{ l => if l {test} (crate::woven({place}) == 1) {{ {right} }} else {{ l }} }})"
                ));
            }
            Shape::Assignment(l, op, r) => {
                let (left, right) = (self.inner(l, next), self.inner(r, next));
                out.push_str(&format!("match ({right}) {{ r => "));
                self.choice(
                    edit,
                    |to| format!("{left} {to} r;"),
                    &format!("{left} {op} r;"),
                    out,
                );
                out.push('}');
            }
            Shape::Unary(op, x) => {
                out.push_str(&format!("(match ({}) {{ x => ", self.inner(x, next)));
                self.choice(edit, |_| "x".into(), &format!("{op}x"), out);
                out.push_str("})");
            }
            Shape::Guard => {
                out.push('(');
                self.choice(edit, str::to_owned, &whole(), out);
                out.push(')');
            }
            Shape::Boxed(taken) => {
                let boxed = |value: &str| format!("Box::new({value}) as Box<{taken}>");
                out.push('{');
                self.choice(edit, boxed, &boxed(&whole()), out);
                out.push('}');
            }
            Shape::Field(name, value, rest) => {
                out.push_str(&format!("{name}: "));
                let left_out = format!("({}).{name}", &self.source[rest.clone()]);
                let otherwise = self.inner(value, next);
                self.choice(edit, |_| left_out.clone(), &otherwise, out);
            }
            Shape::Arm(guard) => {
                let asked = format!("(crate::woven({}) == 0)", edit.place);
                match guard {
                    Some(_) => out.push_str(&format!("{asked} && ({})", whole())),
                    None => out.push_str(&format!(" if {asked}")),
                }
            }
        }
        out.push_str("/*>*/");
    }
}

/// Weaves the mutants `numbers` of `mutants`, all of one file, into its source. Places are numbered from `first`; mutants that are dropped
/// are left out, and those whose place has no such form are not in `chosen`.
pub fn weave(
    source: &str,
    mutants: &[Mutant],
    numbers: &[usize],
    first: usize,
    dropped: &dyn Fn(usize) -> bool,
) -> Result<Woven, String> {
    let edits: Vec<Edit> = (first..)
        .zip(find(source, mutants, numbers)?)
        .map(|(place, (range, shape, mutants))| Edit {
            range,
            shape,
            place,
            mutants,
        })
        .collect();
    let mut text = String::new();
    let weaver = Weaver {
        source,
        edits: &edits,
        mutants,
        dropped,
    };
    weaver.text(0..source.len(), 0, &mut text);
    let mut chosen = BTreeMap::new();
    let mut expressions = BTreeMap::new();
    for edit in &edits {
        for (k, &mutant) in edit.mutants.iter().enumerate() {
            chosen.insert(mutant, (edit.place, k + 1));
            // a body and a field are named already
            if !matches!(edit.shape, Shape::Boxed(_) | Shape::Field(..)) {
                expressions.insert(mutant, source[edit.range.clone()].to_owned());
            }
        }
    }
    Ok(Woven {
        text,
        chosen,
        expressions,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutant::{Place, Span};

    const SOURCE: &str = "\
fn f(a: f64, b: f64) -> f64 {
    let mut sum = a + b * -a;
    sum += 1.0;
    match sum {
        x if x > b => x,
        _ => 0.0,
    }
}
fn g(s: &S) -> impl Iterator<Item = f64> + use<'_> {
    s.all()
}
fn h(n: usize) -> S {
    S { n, ..S::default() }
}
";

    /// One mutant of the genre where `text` stands first, which is replaced.
    fn mutant(genre: &str, text: &str, replacement: &str) -> Mutant {
        let at = SOURCE.find(text).expect("it is in the source");
        let before = &SOURCE[..at];
        let place = |at: usize| Place {
            line: before.matches('\n').count() + 1,
            column: at - before.rfind('\n').map_or(0, |i| i + 1) + 1,
        };
        Mutant {
            file: "f.rs".into(),
            genre: genre.into(),
            name: format!("f.rs:1:1: {genre}"),
            replacement: replacement.into(),
            span: Span {
                start: place(at),
                end: place(at + text.len()),
            },
        }
    }

    fn all() -> Vec<Mutant> {
        vec![
            mutant("FnValue", "let mut", "1.0"),
            mutant("BinaryOperator", "+ b", "-"),
            mutant("BinaryOperator", "+ b", "*"),
            mutant("BinaryOperator", "* -a", "/"),
            mutant("UnaryOperator", "-a", ""),
            mutant("BinaryOperator", "+= 1", "-="),
            mutant("MatchArm", "x if", ""),
            mutant("MatchArmGuard", "x > b", "true"),
            mutant("BinaryOperator", "> b", ">="),
            mutant("FnValue", "s.all()", "empty()"),
            mutant("StructField", "n, ..", ""),
        ]
    }

    fn woven(dropped: &dyn Fn(usize) -> bool) -> Woven {
        let (mutants, numbers): (Vec<Mutant>, Vec<usize>) = (all(), (0..11).collect());
        weave(SOURCE, &mutants, &numbers, 1, dropped).expect("it is Rust")
    }

    #[test]
    fn a_source_without_its_mutants_is_as_it_was() {
        assert_eq!(woven(&|_| true).text, SOURCE);
    }

    #[test]
    fn every_mutant_is_an_alternative_of_its_place_and_the_text_is_rust() {
        let woven = woven(&|_| false);
        syn::parse_file(&woven.text).expect("it is Rust");
        // two alternatives to one sum; an arm, its guard and the comparison in it begin at the same place
        let places: Vec<(usize, usize)> = (0..11).map(|m| woven.chosen[&m]).collect();
        let wanted = [
            (1, 1),
            (2, 1),
            (2, 2),
            (3, 1),
            (4, 1),
            (5, 1),
            (6, 1),
            (7, 1),
            (8, 1),
            (9, 1),
            (10, 1),
        ];
        assert_eq!(places, wanted);
        assert_eq!(woven.expressions[&1], "a + b * -a");
        for alternative in [
            "return 1.0;",
            "l - r",
            "l * r",
            "l / r",
            "sum -= r;",
            "*l >= *r",
            "Box::new(empty()) as Box<dyn Iterator<Item = f64> + '_>",
            "n: match crate::woven(10) {\n1 => { (S::default()).n }",
        ] {
            assert!(
                woven.text.contains(alternative),
                "{alternative}: {}",
                woven.text
            );
        }
    }

    #[test]
    fn a_mutant_that_is_dropped_leaves_the_others_of_its_place() {
        let woven = woven(&|m| m == 1);
        assert!(
            !woven.text.contains("l - r") && woven.text.contains("l * r"),
            "{}",
            woven.text
        );
        assert_eq!(woven.chosen[&2], (2, 2));
    }
}
