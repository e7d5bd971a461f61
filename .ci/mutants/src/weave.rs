//! A source with all of its mutants in it. Each place that mutants change becomes a choice on `crate::woven(place)`, which says the
//! alternative that the environment chose there, or 0 for what the source says.

use crate::mutant::{Mutant, Place, Span};
use proc_macro2::{LineColumn, Span as Tokens};
use std::collections::BTreeMap;
use std::ops::Range;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// How a place is changed. Ranges are bytes of the source.
#[derive(Debug)]
enum Shape {
    /// A value that is returned before the body is begun.
    Body,
    /// `left op right`, of two values.
    Arithmetic(Range<usize>, String, Range<usize>),
    /// `left op right`, of two references: comparisons take nothing.
    Comparison(Range<usize>, String, Range<usize>),
    /// `left && right` (true) or `left || right`.
    Lazy(Range<usize>, bool, Range<usize>),
    /// `left op= right`.
    Assignment(Range<usize>, String, Range<usize>),
    /// An operator before its operand.
    Unary(String, Range<usize>),
    /// The condition of an arm.
    Guard,
    /// An arm that is passed over; with the condition that it has.
    Arm(Option<Range<usize>>),
}

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

/// Finds the places that a file's mutants are about.
struct Finder<'a> {
    source: &'a str,
    lines: Vec<usize>,
    /// Mutants by genre and where they begin.
    wanted: BTreeMap<(&'static str, Place), Vec<usize>>,
    found: Vec<(Range<usize>, Shape, Vec<usize>)>,
}

fn genre(mutant: &Mutant) -> &'static str {
    match mutant.genre.as_str() {
        "FnValue" => "body",
        "BinaryOperator" => "binary",
        "UnaryOperator" => "unary",
        "MatchArm" => "arm",
        "MatchArmGuard" => "guard",
        _ => "other",
    }
}

fn place(at: LineColumn) -> Place {
    Place {
        line: at.line,
        column: at.column + 1,
    }
}

/// Whether a condition binds names, which only `if` and `while` may do.
fn binds(e: &syn::Expr) -> bool {
    match e {
        syn::Expr::Let(_) => true,
        syn::Expr::Binary(b) => binds(&b.left) || binds(&b.right),
        _ => false,
    }
}

impl Finder<'_> {
    fn offset(&self, at: Place) -> usize {
        let line = self.lines[at.line - 1];
        let text = &self.source[line..];
        let column = text.char_indices().nth(at.column - 1);
        line + column.map_or(text.len(), |(i, _)| i)
    }

    fn range(&self, tokens: Tokens) -> Range<usize> {
        self.offset(place(tokens.start()))..self.offset(place(tokens.end()))
    }

    fn take(&mut self, genre: &'static str, at: Place) -> Option<Vec<usize>> {
        self.wanted.remove(&(genre, at))
    }

    fn note(&mut self, tokens: Tokens, shape: Shape, mutants: Vec<usize>) {
        let range = self.range(tokens);
        self.found.push((range, shape, mutants));
    }

    fn body(&mut self, sig: &syn::Signature, block: &syn::Block) {
        let Some(first) = block.stmts.first() else {
            return;
        };
        // nothing can be asked at compile time, and an `impl Trait` is of one type
        let output = &self.source[self.range(sig.output.span())];
        if sig.constness.is_some() || output.contains("impl ") {
            return;
        }
        let at = first.span().start();
        if let Some(mutants) = self.take("body", place(at)) {
            let start = self.offset(place(at));
            self.found.push((start..start, Shape::Body, mutants));
        }
    }
}

impl<'a> Visit<'a> for Finder<'_> {
    fn visit_item_fn(&mut self, f: &'a syn::ItemFn) {
        self.body(&f.sig, &f.block);
        if f.sig.constness.is_none() {
            visit::visit_item_fn(self, f);
        }
    }

    fn visit_impl_item_fn(&mut self, f: &'a syn::ImplItemFn) {
        self.body(&f.sig, &f.block);
        if f.sig.constness.is_none() {
            visit::visit_impl_item_fn(self, f);
        }
    }

    fn visit_trait_item_fn(&mut self, f: &'a syn::TraitItemFn) {
        if let Some(block) = &f.default {
            self.body(&f.sig, block);
            visit::visit_trait_item_fn(self, f);
        }
    }

    fn visit_item_const(&mut self, _: &'a syn::ItemConst) {}
    fn visit_impl_item_const(&mut self, _: &'a syn::ImplItemConst) {}
    fn visit_trait_item_const(&mut self, _: &'a syn::TraitItemConst) {}
    fn visit_item_static(&mut self, _: &'a syn::ItemStatic) {}
    fn visit_type(&mut self, _: &'a syn::Type) {}

    fn visit_expr_binary(&mut self, e: &'a syn::ExprBinary) {
        use syn::BinOp::*;
        let bound = binds(&e.left) || binds(&e.right);
        if !bound && let Some(mutants) = self.take("binary", place(e.op.span().start())) {
            let (l, r) = (self.range(e.left.span()), self.range(e.right.span()));
            let op = self.source[self.range(e.op.span())].to_owned();
            let shape = match e.op {
                And(_) | Or(_) => Shape::Lazy(l, matches!(e.op, And(_)), r),
                Eq(_) | Ne(_) | Lt(_) | Le(_) | Gt(_) | Ge(_) => Shape::Comparison(l, op, r),
                AddAssign(_) | SubAssign(_) | MulAssign(_) | DivAssign(_) | RemAssign(_)
                | BitXorAssign(_) | BitAndAssign(_) | BitOrAssign(_) | ShlAssign(_)
                | ShrAssign(_) => Shape::Assignment(l, op, r),
                _ => Shape::Arithmetic(l, op, r),
            };
            self.note(e.span(), shape, mutants);
        }
        visit::visit_expr_binary(self, e);
    }

    fn visit_expr_unary(&mut self, e: &'a syn::ExprUnary) {
        if let Some(mutants) = self.take("unary", place(e.op.span().start())) {
            let op = self.source[self.range(e.op.span())].to_owned();
            let shape = Shape::Unary(op, self.range(e.expr.span()));
            self.note(e.span(), shape, mutants);
        }
        visit::visit_expr_unary(self, e);
    }

    fn visit_arm(&mut self, arm: &'a syn::Arm) {
        if let Some(mutants) = self.take("arm", place(arm.span().start())) {
            let guard = arm
                .guard
                .as_ref()
                .map(|(_, guard)| self.range(guard.span()));
            let end = self.range(arm.pat.span()).end;
            let range = guard.clone().unwrap_or(end..end);
            self.found.push((range, Shape::Arm(guard), mutants));
        }
        if let Some((_, guard)) = &arm.guard
            && let Some(mutants) = self.take("guard", place(guard.span().start()))
        {
            self.note(guard.span(), Shape::Guard, mutants);
        }
        visit::visit_arm(self, arm);
    }
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
    let file = syn::parse_file(source).map_err(|e| e.to_string())?;
    let mut wanted: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for &number in numbers {
        let Span { start, .. } = mutants[number].span;
        wanted
            .entry((genre(&mutants[number]), start))
            .or_default()
            .push(number);
    }
    let starts = source.match_indices('\n').map(|(i, _)| i + 1);
    let mut finder = Finder {
        source,
        lines: std::iter::once(0).chain(starts).collect(),
        wanted,
        found: Vec::new(),
    };
    finder.visit_file(&file);
    // what is around comes before what is in it; an arm's condition is around its guard, which is around the guard's own expression
    let rank = |shape: &Shape| match shape {
        Shape::Body => 0,
        Shape::Arm(_) => 1,
        Shape::Guard => 2,
        _ => 3,
    };
    finder.found.sort_by_key(|(range, shape, _)| {
        (
            range.start,
            rank(shape) != 0,
            std::cmp::Reverse(range.end),
            rank(shape),
        )
    });
    let edits: Vec<Edit> = (first..)
        .zip(finder.found)
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
            expressions.insert(mutant, source[edit.range.clone()].to_owned());
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

    const SOURCE: &str = "\
fn f(a: f64, b: f64) -> f64 {
    let mut sum = a + b * -a;
    sum += 1.0;
    match sum {
        x if x > b => x,
        _ => 0.0,
    }
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
        ]
    }

    fn woven(dropped: &dyn Fn(usize) -> bool) -> Woven {
        let (mutants, numbers): (Vec<Mutant>, Vec<usize>) = (all(), (0..9).collect());
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
        let places: Vec<(usize, usize)> = (0..9).map(|m| woven.chosen[&m]).collect();
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
