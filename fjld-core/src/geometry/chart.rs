//! What a change of parameters does to a gradient.

use crate::error::{Error, Result};
use faer::MatRef;

/// The gradient in the chart `phi` where `theta = h(phi)`, by the chain rule:
///
/// ```math
/// \nabla_\phi L = J' \, \nabla_\theta L, \qquad J = \frac{\partial h}{\partial \phi} \quad [d, d']
/// ```
///
/// Gradients are covariant: they take the *transpose* of the Jacobian, and their covariance becomes `J' D J`.
///
/// # Errors
/// When the gradient's length is not the number of rows of `J`.
pub fn pull_back(jacobian: MatRef<'_, f64>, gradient: &[f64]) -> Result<Vec<f64>> {
    if gradient.len() != jacobian.nrows() {
        return Err(Error::Length {
            what: "the gradient",
            expected: jacobian.nrows(),
            got: gradient.len(),
        });
    }
    Ok((0..jacobian.ncols())
        .map(|j| {
            gradient
                .iter()
                .enumerate()
                .map(|(i, g)| jacobian[(i, j)] * g)
                .sum()
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use candle_core::{Device, Tensor, Var};
    use faer::mat;

    #[test]
    fn pulling_back_is_what_autograd_gives_in_the_new_chart() -> Result<()> {
        let device = Device::Cpu;
        let jacobian = mat![[1.0, 2.0], [0.0, 3.0]];
        let j = Tensor::new(&[[1f64, 2.], [0., 3.]], &device)?;
        let phi = Var::new(&[[0.5f64], [-1.0]], &device)?;
        let theta = Var::from_tensor(&j.matmul(&phi)?)?;
        // a loss with a different slope in each coordinate
        let loss = |t: &Tensor| {
            t.sqr()?
                .mul(&Tensor::new(&[[1f64], [5.]], &device)?)?
                .sum_all()
        };
        let in_theta = loss(&theta)?.backward()?;
        let in_phi = loss(&j.matmul(&phi)?)?.backward()?;
        let host = |grads: &candle_core::backprop::GradStore, var: &Var| -> Result<Vec<f64>> {
            let gradient = grads.get(var).expect("the loss depends on it");
            Ok(gradient.flatten_all()?.to_vec1()?)
        };
        let pulled = pull_back(jacobian.as_ref(), &host(&in_theta, &theta)?)?;
        for (a, b) in pulled.iter().zip(host(&in_phi, &phi)?) {
            assert_relative_eq!(*a, b, max_relative = 1e-14);
        }
        assert!(pull_back(jacobian.as_ref(), &[1.0]).is_err());
        Ok(())
    }
}
