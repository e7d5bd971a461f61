//! Arithmetic on slices of the host's memory: matrix products, and passes over them that the compiler works on many numbers at a time.
//!
//! Products are faer's, which are as fast on an example's small matrices as on a batch's. They are split over rayon's pool by their
//! sides alone, never by its size, so that the number of threads moves no bit.

use super::exponential;
pub(crate) use crate::wide::wide;
use candle_core::{DType, Error, Result, Storage, Tensor, WithDType};
use faer::linalg::matmul::matmul_with_conj;
use faer::reborrow::ReborrowMut;
use faer::{Accum, Conj, Mat, MatMut, MatRef, Par};
use rayon::prelude::*;
use std::cmp::Ordering;

/// `f32` and `f64`.
pub(crate) trait Number: WithDType + faer::traits::ComplexField + Into<f64> {
    /// `exp(x)`.
    fn exp_of(x: Self) -> Self;
}

impl Number for f32 {
    #[inline(always)]
    fn exp_of(x: Self) -> Self {
        exponential::exp(x)
    }
}

impl Number for f64 {
    #[inline(always)]
    fn exp_of(x: Self) -> Self {
        x.exp()
    }
}

/// Whether the fast ways take this tensor: `f32` or `f64` on the host.
pub(crate) fn is_host(x: &Tensor) -> bool {
    x.device().is_cpu() && matches!(x.dtype(), DType::F32 | DType::F64)
}

/// Calls `$run` with the type of `$x` as `T`; `$x` has passed [`is_host`].
macro_rules! by_type {
    ($x:expr, $T:ident => $run:expr) => {
        match $x.dtype() {
            candle_core::DType::F64 => {
                type $T = f64;
                $run
            }
            _ => {
                type $T = f32;
                $run
            }
        }
    };
}
pub(crate) use by_type;

/// The numbers of a tensor on the host, row after row.
pub(crate) fn with_slice<T: WithDType, R>(x: &Tensor, read: impl FnOnce(&[T]) -> R) -> Result<R> {
    let x = x.contiguous()?;
    let (storage, layout) = x.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else {
        return Err(Error::Msg(
            "a tensor of another device was read as one of the CPU".into(),
        ));
    };
    let all = storage.as_slice::<T>()?;
    Ok(read(&all[layout.start_offset()..][..x.elem_count()]))
}

/// Multiplications in a piece of a product that is worth a task of its own, and pieces of the largest.
const PIECE: usize = 1 << 20;
const PIECES: usize = 16;

/// `into = a b`, or `into += a b` where `add`, on this thread.
pub(crate) fn multiply<T: Number>(
    into: MatMut<'_, T>,
    add: bool,
    a: MatRef<'_, T>,
    b: MatRef<'_, T>,
) {
    let how = if add { Accum::Add } else { Accum::Replace };
    matmul_with_conj(into, how, a, Conj::No, b, Conj::No, num(1.0), Par::Seq);
}

/// A number of a type that is not known here.
#[inline(always)]
pub(crate) fn num<T: Number>(x: f64) -> T {
    <T as WithDType>::from_f64(x)
}

/// What `join` makes of all numbers, in lanes that the compiler keeps in vector registers: `join` must not mind their order.
#[inline(always)]
pub(crate) fn in_lanes<T: Number>(x: &[T], start: T, join: impl Fn(T, T) -> T) -> T {
    let mut lanes = [start; 16];
    let (chunks, rest) = x.as_chunks::<16>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = join(*lane, x);
        }
    }
    let whole = lanes.into_iter().fold(start, &join);
    rest.iter().fold(whole, |whole, &x| join(whole, x))
}

/// As [`multiply`], in pieces over the pool.
pub(crate) fn multiply_in_pieces<T: Number>(
    into: MatMut<'_, T>,
    add: bool,
    a: MatRef<'_, T>,
    b: MatRef<'_, T>,
) {
    let all = into.nrows() * into.ncols() * a.ncols();
    split(into, add, a, b, PIECE.max(all / PIECES));
}

fn split<T: Number>(
    into: MatMut<'_, T>,
    add: bool,
    a: MatRef<'_, T>,
    b: MatRef<'_, T>,
    enough: usize,
) {
    let (rows, columns) = (into.nrows(), into.ncols());
    if rows * columns * a.ncols() <= enough || rows.max(columns) <= 16 {
        return multiply(into, add, a, b);
    }
    // in multiples of the registers' width
    let half = |side: usize| (side / 2).next_multiple_of(16);
    if rows >= columns {
        let at = half(rows);
        let (top, bottom) = into.split_at_row_mut(at);
        let (a_top, a_bottom) = a.split_at_row(at);
        rayon::join(
            || split(top, add, a_top, b, enough),
            || split(bottom, add, a_bottom, b, enough),
        );
    } else {
        let at = half(columns);
        let (left, right) = into.split_at_col_mut(at);
        let (b_left, b_right) = b.split_at_col(at);
        rayon::join(
            || split(left, add, a, b_left, enough),
            || split(right, add, a, b_right, enough),
        );
    }
}

/// `a b` with sides `[m, k]` and `[k, n]` as given by `a_sides` and `b_sides` before a transposition, onto a row of `start` in every
/// row if there is one; `[m, n]` row after row.
pub(crate) fn product<T: Number>(
    (a, a_transposed): (MatRef<'_, T>, bool),
    (b, b_transposed): (MatRef<'_, T>, bool),
    start: Option<&[T]>,
) -> Vec<T> {
    let a = if a_transposed { a.transpose() } else { a };
    let b = if b_transposed { b.transpose() } else { b };
    let (m, n) = (a.nrows(), b.ncols());
    let mut into = vec![T::zero(); m * n];
    if let Some(start) = start.filter(|_| n > 0) {
        for row in into.chunks_exact_mut(n) {
            row.copy_from_slice(start);
        }
    }
    let view = MatMut::from_row_major_slice_mut(&mut into, m, n);
    multiply_in_pieces(view, start.is_some(), a, b);
    into
}

/// Columns of a block of [`gram`].
const SIDE: usize = 96;

/// `X' X`, exactly symmetric: of each pair of blocks of columns one product.
pub(crate) fn gram(x: MatRef<'_, f64>) -> Mat<f64> {
    let width = x.ncols();
    let blocks = width.div_ceil(SIDE);
    let columns = |block: usize| block * SIDE..width.min((block + 1) * SIDE);
    let pairs: Vec<(usize, usize)> = (0..blocks)
        .flat_map(|i| (0..=i).map(move |j| (i, j)))
        .collect();
    let parts: Vec<Mat<f64>> = pairs
        .par_iter()
        .map(|&(i, j)| {
            let (rows, columns) = (columns(i), columns(j));
            let mut into = Mat::zeros(rows.len(), columns.len());
            let own = |range: std::ops::Range<usize>| x.subcols(range.start, range.len());
            multiply(into.as_mut(), false, own(rows).transpose(), own(columns));
            into
        })
        .collect();
    // in the order of `pairs`
    let part = |i: usize, j: usize| parts[i * (i + 1) / 2 + j].as_ref();
    let mut all = Mat::zeros(width, width);
    let stripes = all.as_mut().par_col_chunks_mut(SIDE).enumerate();
    stripes.for_each(|(j, mut stripe)| {
        for i in 0..blocks {
            let mut into = stripe
                .rb_mut()
                .subrows_mut(columns(i).start, columns(i).len());
            match i.cmp(&j) {
                Ordering::Less => into.copy_from(part(j, i).transpose()),
                Ordering::Equal => {
                    // the lower half counts for both
                    into.copy_from_triangular_lower(part(i, i));
                    into.copy_from_strict_triangular_upper(part(i, i).transpose());
                }
                Ordering::Greater => into.copy_from(part(i, j)),
            }
        }
    });
    all
}

/// `sum_k x_k y_k`, in `f64`.
#[inline(always)]
fn dot_inline<T: Copy + Into<f64>>(x: &[T], y: &[T]) -> f64 {
    // for the compiler to keep in vector registers
    let mut sums = [0.0; 16];
    let ((xs, x_rest), (ys, y_rest)) = (x.as_chunks::<16>(), y.as_chunks::<16>());
    for (x, y) in xs.iter().zip(ys) {
        for (sum, (&a, &b)) in sums.iter_mut().zip(x.iter().zip(y)) {
            *sum += a.into() * b.into();
        }
    }
    let rest = x_rest.iter().zip(y_rest);
    let rest: f64 = rest.map(|(&a, &b)| a.into() * b.into()).sum();
    sums.iter().sum::<f64>() + rest
}

/// `sum_k x_k y_k`, in `f64`.
pub(crate) fn dot<T: Copy + Into<f64>>(x: &[T], y: &[T]) -> f64 {
    wide(
        #[inline(always)]
        || dot_inline(x, y),
    )
}

/// One gradient taken in: `sum += g`, `squares += g^2` where they are wanted, and `|g|^2`.
pub(crate) fn absorb<T: Number>(gradient: &[T], sum: &mut [T], squares: Option<&mut [T]>) -> f64 {
    wide(
        #[inline(always)]
        || {
            for (sum, &g) in sum.iter_mut().zip(gradient) {
                *sum += g;
            }
            if let Some(squares) = squares {
                for (square, &g) in squares.iter_mut().zip(gradient) {
                    *square += g * g;
                }
            }
            dot_inline(gradient, gradient)
        },
    )
}

/// `sum += x`, entry by entry.
pub(crate) fn add_to<T: Number>(sum: &mut [T], x: &[T]) {
    wide(
        #[inline(always)]
        || {
            for (sum, &x) in sum.iter_mut().zip(x) {
                *sum += x;
            }
        },
    );
}

/// Entries of a pass that is worth a task of its own.
const STRETCH: usize = 1 << 16;

/// `x^2`, entry by entry.
pub(crate) fn squares_of<T: Number>(x: &[T]) -> Vec<T> {
    let mut squares = vec![T::zero(); x.len()];
    let stretches = squares.par_chunks_mut(STRETCH).zip(x.par_chunks(STRETCH));
    stretches.for_each(|(squares, x)| {
        wide(
            #[inline(always)]
            || {
                for (square, &x) in squares.iter_mut().zip(x) {
                    *square = x * x;
                }
            },
        );
    });
    squares
}

/// Rows `[n, T, k]` summed over the positions `T`, `[n, k]`.
pub(crate) fn sums_over_positions<T: Number>(
    rows: &[T],
    (n, positions, width): (usize, usize, usize),
) -> Vec<T> {
    let mut sums = vec![T::zero(); n * width];
    let draw = positions * width;
    if draw > 0 {
        let draws = sums.par_chunks_mut(width).zip(rows.par_chunks(draw));
        draws
            .with_min_len((STRETCH / draw).max(1))
            .for_each(|(sums, rows)| rows.chunks(width).for_each(|row| add_to(sums, row)));
    }
    sums
}

/// What is asked of the gradients of one weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Their sum.
    Sum,
    /// And `|g_i|^2`.
    Norms,
    /// And `sum_i g_i^2`.
    Squares,
}

/// Sums over draws of the gradients `[out, in]` of one weight.
pub(crate) struct Sums<T> {
    pub sum: Vec<T>,
    pub squared_norms: Vec<f64>,
    pub squares: Option<Vec<T>>,
}

/// Entries of gradients that one task holds, and the tasks that a weight is worth at least.
const BLOCK: usize = 1 << 17;
const TASKS: usize = 16;

/// The parts of a gradient that a task writes out at a time: one draw after the other, so that each goes into sum, squares and norm
/// while it is in the cache.
///
/// `add_part(i, rows, scratch, into)` writes these rows of draw `i`'s gradient, or adds to them where its flag says so. `scratch` is one
/// buffer a task.
pub(crate) fn absorb_all<T: Number>(
    (draws, out, columns): (usize, usize, usize),
    ask: Ask,
    add_part: impl Fn(usize, std::ops::Range<usize>, &mut Vec<T>, MatMut<'_, T>, bool) + Sync,
) -> Sums<T> {
    let rows = (BLOCK / columns.max(1)).clamp(1, out.max(1));
    let blocks = out.div_ceil(rows);
    let groups = (TASKS / blocks.max(1)).clamp(1, draws.max(1));
    let each = draws.div_ceil(groups).max(1);
    let tasks: Vec<(usize, usize)> = (0..blocks)
        .flat_map(|block| (0..draws.div_ceil(each)).map(move |group| (block, group)))
        .collect();
    let run = |&(block, group): &(usize, usize)| {
        let own = block * rows..out.min((block + 1) * rows);
        let size = own.len() * columns;
        let mut part = Sums {
            sum: vec![T::zero(); size],
            squared_norms: Vec::new(),
            squares: (ask == Ask::Squares).then(|| vec![T::zero(); size]),
        };
        let mut gradient = match ask {
            Ask::Sum => Vec::new(),
            _ => vec![T::zero(); size],
        };
        let mut scratch = Vec::new();
        for draw in group * each..draws.min((group + 1) * each) {
            if ask == Ask::Sum {
                let into = MatMut::from_row_major_slice_mut(&mut part.sum, own.len(), columns);
                add_part(draw, own.clone(), &mut scratch, into, true);
                continue;
            }
            let into = MatMut::from_row_major_slice_mut(&mut gradient, own.len(), columns);
            add_part(draw, own.clone(), &mut scratch, into, false);
            let norm = absorb(&gradient, &mut part.sum, part.squares.as_deref_mut());
            part.squared_norms.push(norm);
        }
        part
    };
    let parts: Vec<Sums<T>> = tasks.par_iter().map(run).collect();
    let mut all = Sums {
        sum: vec![T::zero(); out * columns],
        squared_norms: vec![0.0; if ask == Ask::Sum { 0 } else { draws }],
        squares: (ask == Ask::Squares).then(|| vec![T::zero(); out * columns]),
    };
    for ((block, group), part) in tasks.into_iter().zip(parts) {
        let at = block * rows * columns;
        add_to(&mut all.sum[at..][..part.sum.len()], &part.sum);
        if let (Some(all), Some(own)) = (&mut all.squares, &part.squares) {
            add_to(&mut all[at..][..own.len()], own);
        }
        let norms = all.squared_norms.iter_mut().skip(group * each);
        norms
            .zip(part.squared_norms)
            .for_each(|(all, own)| *all += own);
    }
    all
}

#[cfg(test)]
mod tests;
