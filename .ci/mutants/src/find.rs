//! Where a source is to be changed, and how.

use crate::mutant::{Mutant, Place, Span};
use proc_macro2::{LineColumn, Span as Tokens};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// How a place is changed. Ranges are bytes of the source.
#[derive(Debug)]
pub enum Shape {
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
    /// A body whose value is of the one type behind an `impl Trait`, which is named here with `dyn`: all values are boxed.
    Boxed(String),
    /// A field's name, its value, and the struct that it is taken from when it is left out.
    Field(String, Range<usize>, Range<usize>),
}

impl Shape {
    /// What is around comes before what is in it: an arm's condition is around its guard, which is around the guard's own expression.
    fn rank(&self) -> u8 {
        match self {
            Self::Body | Self::Boxed(_) => 0,
            Self::Arm(_) => 1,
            Self::Guard => 2,
            _ => 3,
        }
    }
}

/// The range of a place, its shape, and its mutants.
pub type Found = (Range<usize>, Shape, Vec<usize>);

/// The places that the mutants `numbers` of `mutants` are about, in the order of the source; what is around another place comes before it.
pub fn find(source: &str, mutants: &[Mutant], numbers: &[usize]) -> Result<Vec<Found>, String> {
    let file = syn::parse_file(source).map_err(|e| e.to_string())?;
    let mut wanted: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for &number in numbers {
        let Span { start, .. } = mutants[number].span;
        let key = (genre(&mutants[number]), start);
        wanted.entry(key).or_default().push(number);
    }
    let mut finder = Finder {
        source,
        wanted,
        found: Vec::new(),
    };
    finder.visit_file(&file);
    finder.found.sort_by_key(|(range, shape, _)| {
        let first = shape.rank() != 0;
        (range.start, first, Reverse(range.end), shape.rank())
    });
    Ok(finder.found)
}

struct Finder<'a> {
    source: &'a str,
    /// Mutants by genre and where they begin.
    wanted: BTreeMap<(&'static str, Place), Vec<usize>>,
    found: Vec<Found>,
}

fn genre(mutant: &Mutant) -> &'static str {
    match mutant.genre.as_str() {
        "FnValue" => "body",
        "BinaryOperator" => "binary",
        "UnaryOperator" => "unary",
        "MatchArm" => "arm",
        "MatchArmGuard" => "guard",
        "StructField" => "field",
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
    fn range(&self, tokens: Tokens) -> Range<usize> {
        place(tokens.start()).offset(self.source)..place(tokens.end()).offset(self.source)
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
        // nothing can be asked at compile time
        if sig.constness.is_some() {
            return;
        }
        let Some(mutants) = self.take("body", place(first.span().start())) else {
            return;
        };
        match &sig.output {
            syn::ReturnType::Type(_, output) if let syn::Type::ImplTrait(output) = &**output => {
                let captures = |bound: &&syn::TypeParamBound| {
                    !matches!(bound, syn::TypeParamBound::PreciseCapture(_))
                };
                let bounds = output.bounds.iter().filter(captures);
                let bounds: Vec<&str> = bounds
                    .map(|bound| &self.source[self.range(bound.span())])
                    .collect();
                let boxed = Shape::Boxed(format!("dyn {} + '_", bounds.join(" + ")));
                self.note(block.span(), boxed, mutants);
            }
            _ => {
                let start = place(first.span().start()).offset(self.source);
                self.found.push((start..start, Shape::Body, mutants));
            }
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

    fn visit_expr_struct(&mut self, e: &'a syn::ExprStruct) {
        for field in &e.fields {
            if let Some(rest) = &e.rest
                && let Some(mutants) = self.take("field", place(field.span().start()))
            {
                let name = self.source[self.range(field.member.span())].to_owned();
                let value = self.range(field.expr.span());
                let shape = Shape::Field(name, value, self.range(rest.span()));
                self.note(field.span(), shape, mutants);
            }
        }
        visit::visit_expr_struct(self, e);
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
