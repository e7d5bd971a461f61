//! What to add to a layer's block so that it has an inverse.

use super::Block;
use crate::error::{Error, Result};
use crate::fisher::{Curvature, Dense, Kronecker, check_damping};

/// How a block `$F = G \otimes A$` is damped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Damping {
    /// Not at all. The block may then be singular, and refuses to be solved.
    None,
    /// `$F + \lambda 1$`, through the eigenbases of the factors.
    Exact(f64),
    /// Damping split between the factors (Martens and Grosse 2015, arXiv:1503.05671, section 6.3):
    ///
    /// ```math
    /// \Bigl( G + \frac{\sqrt\lambda}{\pi} 1 \Bigr) \otimes \bigl( A + \pi \sqrt\lambda \, 1 \bigr),
    /// \qquad \pi^2 = \frac{\Tr A / \dim A}{\Tr G / \dim G}
    /// ```
    ///
    /// It exceeds `$F + \lambda 1$` by `$\sqrt\lambda \, (\pi \, G \otimes 1 + 1 \otimes A / \pi)$`.
    Pi(f64),
    /// `$(G + \lambda 1) \otimes (A + \lambda 1)$`: the document's `damping`, in whatever units each factor has.
    Factors(f64),
    /// `$F + \lambda \det(F)^{1/d} \, 1$`: the document's future work of a Tikhonov term scaled by the Jeffreys density, read as
    /// `$\lambda \pi_J^{2/d}$` with `$\pi_J = \sqrt{\det F}$`. The scale is the geometric mean of the eigenvalues, so `$\lambda$` has no
    /// units: a loss `c` times as large gives `$c^2 F$` the damping `$c^2$` times as large, and the same steps up to the factor. A singular
    /// `F` has the scale 0 and stays singular: this damping conditions, and can not mend.
    Jeffreys(f64),
}

impl Damping {
    /// The damped block.
    ///
    /// # Errors
    /// When `lambda` is negative or not finite; for [`Damping::Pi`] when a factor is zero; for [`Damping::Jeffreys`] when `F` is singular.
    pub fn apply(self, block: Kronecker) -> Result<Block> {
        let (gradients, inputs) = (block.gradients(), block.inputs());
        Ok(match self {
            Self::None => Block::Kronecker(block),
            Self::Exact(lambda) => Block::Ekfac(block.eigenbasis()?.damped(lambda)?),
            Self::Pi(lambda) => {
                check_damping(lambda)?;
                let pi = (mean_variance(inputs)? / mean_variance(gradients)?).sqrt();
                Block::Kronecker(Kronecker::new(
                    gradients.damped(lambda.sqrt() / pi)?,
                    inputs.damped(lambda.sqrt() * pi)?,
                ))
            }
            Self::Factors(lambda) => Block::Kronecker(Kronecker::new(
                gradients.damped(lambda)?,
                inputs.damped(lambda)?,
            )),
            Self::Jeffreys(lambda) => {
                check_damping(lambda)?;
                let scale = block.geometric_mean()?;
                Block::Ekfac(block.eigenbasis()?.damped(lambda * scale)?)
            }
        })
    }
}

/// `Tr / dim`, which has to be positive to be divided by.
fn mean_variance(factor: &Dense) -> Result<f64> {
    let value = factor.trace() / factor.dimension() as f64;
    if value > 0.0 {
        return Ok(value);
    }
    Err(Error::OutOfRange {
        name: "the trace of a Kronecker factor",
        value,
        accepted: "positive for pi-damping, which compares the two factors; exact damping takes any",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use faer::{Mat, Scale, mat};

    /// `G = diag(1, 3)`, `A = diag(4, 12)`: `pi^2 = 8 / 2 = 4`.
    fn block() -> Kronecker {
        let dense = |m: Mat<f64>| Dense::new(m.as_ref()).expect("tests use variances");
        Kronecker::new(
            dense(mat![[1.0, 0.0], [0.0, 3.0]]),
            dense(mat![[4.0, 0.0], [0.0, 12.0]]),
        )
    }

    fn diagonal(damping: Damping) -> Result<Vec<f64>> {
        let dense = damping.apply(block())?.to_dense();
        Ok((0..4).map(|i| dense[(i, i)]).collect())
    }

    fn assert_diagonal(damping: Damping, expected: [f64; 4]) -> Result<()> {
        for (got, expected) in diagonal(damping)?.into_iter().zip(expected) {
            assert_relative_eq!(got, expected, max_relative = 1e-14);
        }
        Ok(())
    }

    #[test]
    fn every_damping_of_a_diagonal_block_is_what_pencil_gives() -> Result<()> {
        assert_diagonal(Damping::None, [4.0, 12.0, 12.0, 36.0])?;
        assert_diagonal(Damping::Exact(0.25), [4.25, 12.25, 12.25, 36.25])?;
        // pi sqrt(lambda) = 1 on A and 1/4 on G
        assert_diagonal(
            Damping::Pi(0.25),
            [1.25 * 5.0, 1.25 * 13.0, 3.25 * 5.0, 3.25 * 13.0],
        )?;
        assert_diagonal(
            Damping::Factors(0.25),
            [1.25 * 4.25, 1.25 * 12.25, 3.25 * 4.25, 3.25 * 12.25],
        )?;
        // (4 * 12 * 12 * 36)^(1/4) = 12
        assert_diagonal(Damping::Jeffreys(0.25), [7.0, 15.0, 15.0, 39.0])
    }

    #[test]
    fn pi_damping_is_not_lambda_on_the_diagonal() -> Result<()> {
        let (pi, exact) = (
            diagonal(Damping::Pi(0.25))?,
            diagonal(Damping::Exact(0.25))?,
        );
        // by sqrt(lambda) (pi G_o + A_i / pi) = (2 G_o + A_i / 2) / 2: 2, 4, 4 and 6
        for ((pi, exact), excess) in pi.iter().zip(&exact).zip([2.0, 4.0, 4.0, 6.0]) {
            assert_relative_eq!(pi - exact, excess, max_relative = 1e-13);
        }
        Ok(())
    }

    #[test]
    fn a_scaled_block_gets_a_scaled_jeffreys_damping_and_no_other() -> Result<()> {
        let scaled = Kronecker::new(block().gradients().clone(), {
            let matrix = Mat::from_fn(2, 2, |i, j| 9.0 * block().inputs().matrix()[(i, j)]);
            Dense::new(matrix.as_ref())?
        });
        let ratio = |damping: Damping| -> Result<f64> {
            let here = damping.apply(block())?.to_dense();
            let there = damping.apply(scaled.clone())?.to_dense();
            Ok((there - &here * Scale(9.0)).norm_max() / here.norm_max())
        };
        // rounding of a few operations
        assert!(ratio(Damping::Jeffreys(0.25))? < 1e-14);
        assert!(ratio(Damping::Exact(0.25))? > 0.01);
        assert!(ratio(Damping::Factors(0.25))? > 0.01);
        Ok(())
    }

    #[test]
    fn a_damping_that_is_not_defined_says_why() -> Result<()> {
        let zero = Dense::new(Mat::<f64>::zeros(2, 2).as_ref())?;
        let dead = || Kronecker::new(zero.clone(), block().inputs().clone());
        let message = |damping: Damping| match damping.apply(dead()) {
            Ok(_) => "accepted".to_string(),
            Err(e) => e.to_string(),
        };
        assert!(message(Damping::Pi(1.0)).contains("exact damping takes any"));
        assert!(message(Damping::Jeffreys(1.0)).contains("the factor G of the output gradients"));
        assert_eq!(message(Damping::Exact(1.0)), "accepted");
        for damping in [
            Damping::Exact,
            Damping::Pi,
            Damping::Factors,
            Damping::Jeffreys,
        ] {
            assert!(damping(-1.0).apply(block()).is_err());
            assert!(damping(f64::NAN).apply(block()).is_err());
        }
        assert!(Damping::None.apply(dead())?.solve(&[1.0; 4]).is_err());
        Ok(())
    }
}
