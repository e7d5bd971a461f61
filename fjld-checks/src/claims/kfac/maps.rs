//! Charts of a layer: fixed maps `U` and `V` around its weights, `W = U W' V`.

use super::Layer;
use crate::evidence::rational::{Matrix, Q, q};
use crate::evidence::search::{Axis, Part};
use num_traits::{One, Zero};

/// A layer and the maps around it.
pub struct Chart {
    /// The layer as it was.
    pub layer: Layer,
    /// `U`, at the output.
    pub u: Matrix,
    /// `V`, at the input.
    pub v: Matrix,
}

impl Chart {
    /// The layer of `W'`.
    pub fn inner(&self) -> Layer {
        self.layer.within(&self.u, &self.v)
    }

    /// The layer and its maps in words.
    pub fn describe(&self) -> String {
        format!("{}, U = {}, V = {}", self.layer, self.u, self.v)
    }
}

/// Three examples with two inputs and two outputs, such that neither factor is singular for most `x`.
pub fn three_examples(x: &Q) -> Layer {
    let numbers = |values: [i64; 2]| values.map(|v| q(v, 1)).to_vec();
    Layer::even(vec![
        (numbers([1, 0]), vec![Q::one(), x.clone()]),
        (numbers([1, 1]), numbers([0, 1])),
        (vec![x.clone(), Q::one()], numbers([1, -1])),
    ])
}

fn lower_triangular(c: &[Q]) -> Matrix {
    Matrix(vec![
        vec![Q::one(), Q::zero()],
        vec![c[0].clone(), c[1].clone()],
    ])
}

fn any(c: &[Q]) -> Option<Matrix> {
    let matrix = Matrix(vec![c[..2].to_vec(), c[2..].to_vec()]);
    (!matrix.determinant().is_zero()).then_some(matrix)
}

/// Invertible maps of two numbers, any `U` with triangular `V` and any `V` with triangular `U`, as cases that `make` makes of them.
pub fn invertible<C: 'static>(make: fn(Chart) -> C) -> Vec<Part<C>> {
    let axes: [&[Axis]; 3] = [&[Axis::Any; 5], &[Axis::Any], &[Axis::NonZero]];
    let part = |general_first: bool| {
        Part::new(&axes, 1, move |c| {
            let (general, triangular) = (any(&c[1..5])?, lower_triangular(&c[5..]));
            let (u, v) = if general_first {
                (general, triangular)
            } else {
                (triangular, general)
            };
            let layer = three_examples(&c[0]);
            Some(make(Chart { layer, u, v }))
        })
    };
    vec![part(true), part(false)]
}

/// The rotation by the angle with the half tangent `t`: `cos = (1 - t^2)/(1 + t^2)`, `sin = 2t/(1 + t^2)`.
pub fn rotation(t: &Q) -> Matrix {
    let square = t * t;
    let below = Q::one() + &square;
    let (cos, sin) = ((Q::one() - square) / &below, q(2, 1) * t / below);
    Matrix(vec![vec![cos.clone(), -sin.clone()], vec![sin, cos]])
}

/// `s self`.
pub fn scaled(matrix: &Matrix, s: &Q) -> Matrix {
    let d = matrix.rows();
    Matrix::from_fn(d, d, |i, j| &matrix.0[i][j] * s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_times_its_transpose_is_the_identity() {
        let turn = rotation(&q(2, 3));
        assert_eq!(turn.times(&turn.transpose()), Matrix::identity(2));
        assert_eq!(turn.determinant(), q(1, 1));
        assert_eq!(scaled(&turn, &q(3, 1)).determinant(), q(9, 1));
    }
}
