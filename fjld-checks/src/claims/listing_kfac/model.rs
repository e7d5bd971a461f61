//! The document's function for the Kronecker form as it is printed, in exact numbers, with the shapes of torch.

use crate::evidence::rational::{Matrix, Q, dot, q};
use num_traits::Zero;

/// What the two helpers give for one layer: for each batch the inputs, `[batch, in]`, and the output gradients, `[batch, out]`.
#[derive(Clone)]
pub struct Seen {
    /// A matrix for each batch.
    pub inputs: Vec<Matrix>,
    /// A matrix for each batch.
    pub gradients: Vec<Matrix>,
}

/// A batch with one row.
pub fn row(values: &[Q]) -> Matrix {
    Matrix(vec![values.to_vec()])
}

/// `damping=1e-5`.
pub fn printed_damping() -> Q {
    q(1, 100_000)
}

/// `torch.stack(...).mean(0)`.
pub fn mean(batches: &[Matrix]) -> Matrix {
    let share = q(1, batches.len() as i64);
    let (rows, columns) = (batches[0].rows(), columns(&batches[0]));
    Matrix::from_fn(rows, columns, |i, j| {
        batches.iter().map(|b| &b.0[i][j] * &share).sum()
    })
}

/// The number of columns.
pub fn columns(matrix: &Matrix) -> usize {
    matrix.0.first().map_or(0, Vec::len)
}

fn divided(matrix: &Matrix, by: usize) -> Matrix {
    let share = q(1, by as i64);
    Matrix::from_fn(matrix.rows(), columns(matrix), |i, j| {
        &matrix.0[i][j] * &share
    })
}

/// `square + damping * torch.eye(side)`: torch repeats a side of 1 as often as the other has it, and refuses any other pair.
fn damped(square: &Matrix, damping: &Q, side: usize) -> Result<Matrix, String> {
    let rows = square.rows();
    let common = rows.max(side);
    if rows != common && rows != 1 || side != common && side != 1 {
        return Err(format!(
            "a {rows} x {rows} matrix and a {side} x {side} identity can not be added"
        ));
    }
    let identity = Matrix::identity(side);
    let at = |k: usize, size: usize| if size == 1 { 0 } else { k };
    Ok(Matrix::from_fn(common, common, |i, j| {
        &square.0[at(i, rows)][at(j, rows)] + damping * &identity.0[at(i, side)][at(j, side)]
    }))
}

/// `torch.cholesky_inverse(torch.linalg.cholesky(...))`.
fn cholesky_inverse(matrix: &Matrix) -> Result<Matrix, String> {
    let inverse = matrix
        .is_positive_definite()
        .then(|| matrix.inverse())
        .flatten();
    inverse.ok_or_else(|| "a factor is not positive definite".to_owned())
}

/// `Tr(G^-1 M A^-1 M')`, where `mu` is read as `M`, `[out, in]`, row by row.
pub fn signal(g_inverse: &Matrix, a_inverse: &Matrix, mu: &[Q]) -> Q {
    let mu = Matrix(mu.chunks(a_inverse.rows()).map(<[Q]>::to_vec).collect());
    let turned = g_inverse.times(&mu).times(a_inverse);
    (0..mu.rows()).map(|o| dot(&turned.0[o], &mu.0[o])).sum()
}

/// `einsum('ij,ikjl,kl->')` of `G^-1`, of `D` reshaped to `[out, in, out, in]`, and of `A^-1`.
pub fn noise(g_inverse: &Matrix, a_inverse: &Matrix, d: &Matrix) -> Q {
    let (out, side) = (g_inverse.rows(), a_inverse.rows());
    let mut sum = Q::zero();
    for i in 0..out {
        for j in 0..out {
            for k in 0..side {
                for l in 0..side {
                    let entry = &d.0[i * side + k][j * side + l];
                    sum += &g_inverse.0[i][j] * entry * &a_inverse.0[k][l];
                }
            }
        }
    }
    sum
}

/// `torch.cov` of vectors: divided by one less than there are.
pub fn covariance(vectors: &[Vec<Q>]) -> Matrix {
    let (count, d) = (vectors.len() as i64, vectors[0].len());
    let mean: Vec<Q> = (0..d)
        .map(|j| vectors.iter().map(|v| &v[j]).sum::<Q>() / q(count, 1))
        .collect();
    Matrix::from_fn(d, d, |i, j| {
        let products = vectors
            .iter()
            .map(|v| (&v[i] - &mean[i]) * (&v[j] - &mean[j]));
        products.sum::<Q>() / q(count - 1, 1)
    })
}

/// The printed function, line by line, asked for as many batches as there are: what it compares with 1.
///
/// # Errors
/// Where the listing stops with one, in words.
pub fn printed(layers: &[Seen], damping: &Q) -> Result<Q, String> {
    let (mut total_signal, mut total_noise) = (Q::zero(), Q::zero());
    for layer in layers {
        let n_samples = layer.inputs.len();
        let (a, g) = (mean(&layer.inputs), mean(&layer.gradients));
        let a = damped(
            &divided(&a.times(&a.transpose()), n_samples),
            damping,
            a.rows(),
        )?;
        let g = damped(
            &divided(&g.transpose().times(&g), n_samples),
            damping,
            g.rows(),
        )?;
        let (a_inverse, g_inverse) = (cholesky_inverse(&a)?, cholesky_inverse(&g)?);
        let flat: Vec<Vec<Q>> = layer.gradients.iter().map(|g| g.0.concat()).collect();
        // the concatenated vectors are one vector, and its mean is one number
        let all = flat.concat();
        let mu = vec![all.iter().sum::<Q>() / q(all.len() as i64, 1)];
        let d = covariance(&flat);
        if g.rows() * a.rows() != mu.len() {
            return Err(format!(
                "a mean of one number can not be reshaped to {} x {}",
                g.rows(),
                a.rows()
            ));
        }
        total_signal += signal(&g_inverse, &a_inverse, &mu);
        total_noise += noise(&g_inverse, &a_inverse, &d);
    }
    if total_noise.is_zero() {
        return Err("float division by zero".to_owned());
    }
    Ok(total_signal / total_noise)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[i64]) -> Matrix {
        Matrix(vec![values.iter().map(|&v| q(v, 1)).collect()])
    }

    #[test]
    fn the_one_shape_that_runs_gives_what_pencil_gives() {
        // output gradients 1 and 3: mean 2, variance 2, and the factors cancel
        let layer = Seen {
            inputs: vec![row(&[5, 7]), row(&[1, 0])],
            gradients: vec![row(&[1]), row(&[3])],
        };
        assert_eq!(printed(&[layer], &printed_damping()), Ok(q(2, 1)));
    }

    #[test]
    fn torch_adds_equal_sides_and_sides_of_one_only() {
        let two = Matrix::identity(2);
        assert_eq!(
            damped(&two, &q(1, 1), 2),
            Ok(Matrix::diagonal(&[q(2, 1), q(2, 1)]))
        );
        let ones = Matrix::from_fn(2, 2, |_, _| q(1, 1));
        assert_eq!(damped(&two, &q(1, 1), 1), Ok(two.plus(&q(1, 1), &ones)));
        assert!(damped(&two, &q(1, 1), 3).is_err());
    }
}
