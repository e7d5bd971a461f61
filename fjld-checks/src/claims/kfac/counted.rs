//! The matrix algorithms behind both forms of the Fisher matrix, run with a counter: every product and quotient of two numbers counts.

/// Multiplications and divisions so far.
#[derive(Default)]
pub struct Counter(pub u64);

/// A square matrix, row by row.
pub type Square = Vec<Vec<f64>>;

impl Counter {
    fn times(&mut self, a: f64, b: f64) -> f64 {
        self.0 += 1;
        a * b
    }

    fn over(&mut self, a: f64, b: f64) -> f64 {
        self.0 += 1;
        a / b
    }

    /// Adds `x x'` to a moment.
    pub fn take_in(&mut self, moment: &mut Square, x: &[f64]) {
        for (row, &a) in moment.iter_mut().zip(x) {
            for (entry, &b) in row.iter_mut().zip(x) {
                *entry += self.times(a, b);
            }
        }
    }

    /// The lower factor `L` of a definite matrix `L L'` (Cholesky, column by column).
    pub fn factorise(&mut self, matrix: &Square) -> Square {
        let d = matrix.len();
        let mut lower = vec![vec![0.0; d]; d];
        for j in 0..d {
            for i in j..d {
                let known: f64 = (0..j).map(|k| self.times(lower[i][k], lower[j][k])).sum();
                let left = matrix[i][j] - known;
                lower[i][j] = if i == j {
                    left.sqrt()
                } else {
                    self.over(left, lower[j][j])
                };
            }
        }
        lower
    }

    /// `x` with `L L' x = b`, by substitution forwards and backwards.
    pub fn solve(&mut self, lower: &Square, b: &[f64]) -> Vec<f64> {
        let d = lower.len();
        let mut x = b.to_vec();
        for i in 0..d {
            let known: f64 = (0..i).map(|k| self.times(lower[i][k], x[k])).sum();
            x[i] = self.over(x[i] - known, lower[i][i]);
        }
        for i in (0..d).rev() {
            let known: f64 = (i + 1..d).map(|k| self.times(lower[k][i], x[k])).sum();
            x[i] = self.over(x[i] - known, lower[i][i]);
        }
        x
    }

    /// `(A^-1 (x) G^-1) vec(M)` as `G^-1 M A^-1`, for the columns of `M`: a solution by `G` for each column, then by `A` for each row.
    pub fn solve_both(&mut self, input: &Square, output: &Square, columns: &Square) -> Square {
        let solved: Square = columns.iter().map(|c| self.solve(output, c)).collect();
        let rows: Square = transposed(&solved)
            .iter()
            .map(|r| self.solve(input, r))
            .collect();
        transposed(&rows)
    }
}

fn transposed(matrix: &Square) -> Square {
    let columns = matrix.first().map_or(0, Vec::len);
    (0..columns)
        .map(|j| matrix.iter().map(|row| row[j]).collect())
        .collect()
}

/// A definite matrix to start from: the identity.
pub fn identity(d: usize) -> Square {
    let entry = |i: usize, j: usize| f64::from(u8::from(i == j));
    (0..d)
        .map(|i| (0..d).map(|j| entry(i, j)).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn the_solution_by_both_factors_is_that_of_the_whole_matrix() {
        let counter = &mut Counter::default();
        let (mut a, mut g) = (identity(2), identity(3));
        counter.take_in(&mut a, &[1.0, 2.0]);
        counter.take_in(&mut g, &[1.0, -1.0, 0.5]);
        let columns = vec![vec![1.0, 0.0, 2.0], vec![-1.0, 3.0, 0.5]];
        let whole: Square = (0..6)
            .map(|i| (0..6).map(|j| a[i / 3][j / 3] * g[i % 3][j % 3]).collect())
            .collect();
        let whole = counter.factorise(&whole);
        let expected = counter.solve(&whole, &columns.concat());
        let (a, g) = (counter.factorise(&a), counter.factorise(&g));
        let solved = counter.solve_both(&a, &g, &columns).concat();
        for (x, y) in solved.iter().zip(&expected) {
            // six unknowns and condition 14: a few dozen roundings
            assert_relative_eq!(x, y, max_relative = 1e-13);
        }
    }

    #[test]
    fn the_counts_are_those_of_pencil() {
        let mut counter = Counter::default();
        counter.take_in(&mut identity(3), &[1.0, 2.0, 3.0]);
        assert_eq!(counter.0, 9);
        // below the diagonal 3 divisions; products 0 + (1 + 1) + 2
        let mut counter = Counter::default();
        let lower = counter.factorise(&identity(3));
        assert_eq!(counter.0, 7);
        let mut counter = Counter::default();
        counter.solve(&lower, &[1.0, 2.0, 3.0]);
        assert_eq!(counter.0, 12);
    }
}
