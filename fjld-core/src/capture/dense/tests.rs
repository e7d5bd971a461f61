use super::*;
use crate::rng::{Seed, standard_normals};

fn draws(count: usize) -> Vec<f64> {
    standard_normals(&mut Seed::root(3).generator(), count)
}

#[test]
fn a_product_in_pieces_is_the_product_and_starts_where_it_is_told() {
    // sides that no power of two divides, beyond one piece
    let (m, k, n) = (131, 97, 205);
    let (a, b, start) = (draws(m * k), draws(k * n), draws(n));
    let got = product(
        (MatRef::from_row_major_slice(&a, m, k), false),
        (MatRef::from_row_major_slice(&b, k, n), false),
        Some(&start),
    );
    for (row, got) in got.chunks(n).enumerate() {
        for (column, got) in got.iter().enumerate() {
            let terms = (0..k).map(|at| a[row * k + at] * b[at * n + column]);
            let expected = start[column] + terms.sum::<f64>();
            // 97 roundings of sums of a few tens
            assert!((got - expected).abs() < 1e-12, "{got} against {expected}");
        }
    }
}

#[test]
fn the_number_of_threads_moves_no_bit() {
    let (m, k, n) = (200, 700, 150);
    let (a, b) = (draws(m * k), draws(k * n));
    let by = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().expect("a pool").install(|| {
            product(
                (MatRef::from_row_major_slice(&a, m, k), false),
                (MatRef::from_row_major_slice(&b, k, n), false),
                None,
            )
        })
    };
    assert_eq!(by(1), by(3));
}

#[test]
fn products_with_itself_are_symmetric_and_right() {
    let (n, width) = (7, 2 * SIDE + 5);
    let rows = draws(n * width);
    let got = gram(MatRef::from_row_major_slice(&rows, n, width));
    for i in 0..width {
        for j in 0..width {
            let expected: f64 = (0..n)
                .map(|at| rows[at * width + i] * rows[at * width + j])
                .sum();
            assert!((got[(i, j)] - expected).abs() < 1e-13);
            assert_eq!(got[(i, j)], got[(j, i)]);
        }
    }
}

/// Rows of a draw's gradient with the given entries, put in place of what is there or added to it, as [`absorb_all`] asks for them.
fn written_out(
    entry: impl Fn(usize, usize, usize) -> f64 + Copy + Sync,
) -> impl Fn(usize, std::ops::Range<usize>, &mut Vec<f64>, MatMut<'_, f64>, bool) + Copy + Sync {
    move |draw, own, _, mut into, add| {
        for (at, row) in own.enumerate() {
            for column in 0..into.ncols() {
                let value = entry(draw, row, column);
                into[(at, column)] = value + if add { into[(at, column)] } else { 0.0 };
            }
        }
    }
}

#[test]
fn gradients_absorbed_block_by_block_give_the_sums_of_the_whole() {
    // more than one block of rows and more than one group of draws
    let (n, out, columns) = (5, 3, BLOCK / 2);
    let rows = draws(n * out * columns);
    let part = written_out(|draw, row, column| rows[(draw * out + row) * columns + column]);
    let all = absorb_all((n, out, columns), Ask::Squares, part);
    let alone = absorb_all((n, out, columns), Ask::Sum, part);
    let d = out * columns;
    for (draw, norm) in all.squared_norms.iter().enumerate() {
        let expected: f64 = rows[draw * d..][..d].iter().map(|g| g * g).sum();
        assert!((norm / expected - 1.0).abs() < 1e-12);
    }
    let squares = all.squares.expect("they were asked for");
    for at in (0..d).step_by(1001) {
        let column = (0..n).map(|draw| rows[draw * d + at]);
        let (sum, square) = (
            column.clone().sum::<f64>(),
            column.map(|g| g * g).sum::<f64>(),
        );
        assert!((all.sum[at] - sum).abs() < 1e-13 && (alone.sum[at] - sum).abs() < 1e-13);
        assert!((squares[at] - square).abs() < 1e-12);
    }
}

#[test]
fn a_product_over_an_empty_inner_side_is_where_it_starts_and_one_without_columns_is_empty() {
    let empty: [f64; 0] = [];
    let sides = |rows, columns| MatRef::from_row_major_slice(&empty, rows, columns);
    let start = [1.0, -2.0, 3.0];
    // nothing is added
    let got = product((sides(2, 0), false), (sides(0, 3), false), Some(&start));
    assert_eq!(got, [start, start].concat());
    let got = product((sides(2, 0), false), (sides(0, 3), false), None);
    assert_eq!(got, [0.0; 6]);
    let own = draws(2 * 5);
    let own = MatRef::from_row_major_slice(&own, 2, 5);
    for start in [None, Some(empty.as_slice())] {
        assert_eq!(product((own, false), (sides(5, 0), false), start), [0.0; 0]);
    }
}

#[test]
fn a_large_product_of_narrow_sides_is_not_cut_for_ever() {
    // beyond one piece by its inner side alone: sides of a register's width have no half to be cut at
    let (side, inner) = (16, 5000);
    assert!(side * side * inner > PIECE);
    // whole numbers, whose sums are exact
    let a: Vec<f64> = (0..side * inner).map(|at| (at % 7) as f64).collect();
    let b: Vec<f64> = (0..inner * side).map(|at| (at % 5) as f64).collect();
    let got = product(
        (MatRef::from_row_major_slice(&a, side, inner), false),
        (MatRef::from_row_major_slice(&b, inner, side), false),
        None,
    );
    for row in 0..side {
        for column in 0..side {
            let terms = (0..inner).map(|at| a[row * inner + at] * b[at * side + column]);
            assert_eq!(got[row * side + column], terms.sum::<f64>());
        }
    }
}

#[test]
fn more_draws_than_tasks_are_taken_in_once_each() {
    // several draws a task, the last task with fewer; whole numbers, whose sums are exact
    let (n, out, columns) = (2 * TASKS + 5, 2, 3);
    let entry = |draw: usize, row: usize, column: usize| {
        (draw * draw) as f64 - 40.0 * row as f64 + 7.0 * column as f64
    };
    let part = written_out(entry);
    let gradient = |draw: usize| -> Vec<f64> {
        (0..out * columns)
            .map(|at| entry(draw, at / columns, at % columns))
            .collect()
    };
    let over_draws = |f: &dyn Fn(f64) -> f64| -> Vec<f64> {
        (0..out * columns)
            .map(|at| (0..n).map(|draw| f(gradient(draw)[at])).sum())
            .collect()
    };
    let norms: Vec<f64> = (0..n)
        .map(|draw| gradient(draw).iter().map(|g| g * g).sum())
        .collect();
    for ask in [Ask::Sum, Ask::Norms, Ask::Squares] {
        let got = absorb_all((n, out, columns), ask, part);
        assert_eq!(got.sum, over_draws(&|g| g));
        let expected = if ask == Ask::Sum {
            &[]
        } else {
            norms.as_slice()
        };
        assert_eq!(got.squared_norms, expected);
        let squares = (ask == Ask::Squares).then(|| over_draws(&|g| g * g));
        assert_eq!(got.squares, squares);
    }
}

#[test]
fn a_softmax_in_either_precision_is_its_formula() {
    fn gap<T: Number>(resolution: f64) {
        let numbers = draws(37);
        let mut row: Vec<T> = numbers.iter().map(|&x| num(x)).collect();
        let (scale, weight) = (1.5, 0.25);
        exponential::softmax(&mut row, num::<T>(scale), num::<T>(weight));
        let powers: Vec<f64> = numbers.iter().map(|x| (scale * x).exp()).collect();
        let total: f64 = powers.iter().sum();
        for (got, power) in row.into_iter().zip(powers) {
            let expected = weight * power / total;
            // an exponent of at most 8, off by a dozen units, in the power and in the total, and a few more roundings
            assert!((got.into() / expected - 1.0).abs() < 40.0 * resolution);
        }
    }
    gap::<f32>(f32::EPSILON.into());
    gap::<f64>(f64::EPSILON);
}
