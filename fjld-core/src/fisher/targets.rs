//! What to backpropagate from a model's outputs so that the gradients make up its Fisher matrix.
//!
//! Everything here is `s` in `(outputs * s).sum().backward()`, with `s` constant: the gradients of that sum, example by example, are the
//! rows of the Monte-Carlo Fisher ([`OutputLoss::sampled`]) or, added up over the columns, of the type-2 Fisher
//! ([`OutputLoss::columns`]). See Martens 2020, *JMLR* 21(146), section 5, and Dangel et al. 2020, arXiv:1912.10985.

use super::tensors::{check_finite, to_device, widened};
use crate::error::{Error, Result};
use crate::rng::{Seed, standard_normals};
use candle_core::{D, Tensor};
use candle_nn::ops::softmax;
use faer::Mat;
use rand::RngExt;

/// A loss of one example's outputs `f`, `[c]`, that is minus a log-likelihood up to a constant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OutputLoss {
    /// `$-\log \operatorname{softmax}(f)_y$`: its Hessian in the outputs is `$\diag(p) - p p'$` for `$p = \operatorname{softmax}(f)$`.
    SoftmaxCrossEntropy,
    /// `$\frac{\text{scale}}{2} |f - y|^2$`, summed over the outputs: its Hessian is `scale` times the identity, and the likelihood is
    /// Gaussian with the variance `1/scale`.
    SquaredError {
        /// 1 for `|f - y|^2 / 2`, 2 for `|f - y|^2`, `2/c` for the mean of the squares over `c` outputs.
        scale: f64,
    },
}

impl OutputLoss {
    /// The gradient of the loss in the outputs at a label drawn from the model's own predictive distribution, `[n, c]`, given the
    /// outputs `[n, c]`: `$p - e_y$`, or `$-\sqrt{\text{scale}} \, z$` with `z` standard normal. Its second moment over labels is the output
    /// Hessian.
    ///
    /// # Errors
    /// When the outputs are not finite or not `[n, c]` with both at least 1, or the scale is not positive.
    pub fn sampled(&self, outputs: &Tensor, seed: Seed) -> Result<Tensor> {
        let wide = checked(outputs)?;
        let (examples, classes) = wide.dims2()?;
        let gradients = match self.root_scale()? {
            None => {
                let labels = draw_labels(&wide, seed)?;
                let hot = Mat::from_fn(examples, classes, |i, j| {
                    f64::from(u8::from(labels[i] as usize == j))
                });
                (softmax(&wide, D::Minus1)? - to_device(hot.as_ref(), wide.device())?)?
            }
            Some(root) => {
                let normals = standard_normals(&mut seed.generator(), examples * classes);
                (Tensor::from_vec(normals, (examples, classes), wide.device())? * -root)?
            }
        };
        Ok(gradients.to_dtype(outputs.dtype())?)
    }

    /// Column `k` of a square root of the output Hessian `H`, for every example, `[n, c]`:
    ///
    /// ```math
    /// \sum_k s_k s_k' = H, \qquad s_k = \sqrt{p_k} \, (e_k - p) \quad\text{or}\quad s_k = \sqrt{\text{scale}} \, e_k
    /// ```
    ///
    /// There are as many columns as outputs.
    ///
    /// # Errors
    /// As [`OutputLoss::sampled`], and when `k` is not below `c`.
    pub fn column(&self, outputs: &Tensor, k: usize) -> Result<Tensor> {
        let wide = checked(outputs)?;
        let (examples, classes) = wide.dims2()?;
        if k >= classes {
            return Err(Error::OutOfRange {
                name: "the index of a column",
                value: k as f64,
                accepted: "below the number of outputs",
            });
        }
        let unit = Mat::from_fn(1, classes, |_, j| f64::from(u8::from(j == k)));
        let unit = to_device(unit.as_ref(), wide.device())?.broadcast_as((examples, classes))?;
        let column = match self.root_scale()? {
            None => {
                let p = softmax(&wide, D::Minus1)?;
                let root = p.narrow(1, k, 1)?.sqrt()?;
                (unit - p)?.broadcast_mul(&root)?
            }
            Some(root) => (unit * root)?,
        };
        Ok(column.to_dtype(outputs.dtype())?)
    }

    /// All columns at once, `[c, n, c]`: for many outputs take them one by one.
    ///
    /// # Errors
    /// As [`OutputLoss::sampled`].
    pub fn columns(&self, outputs: &Tensor) -> Result<Tensor> {
        let classes = checked(outputs)?.dim(1)?;
        let columns = (0..classes)
            .map(|k| self.column(outputs, k))
            .collect::<Result<Vec<_>>>()?;
        Ok(Tensor::stack(&columns, 0)?)
    }

    /// `sqrt(scale)`, or `None` for the cross-entropy.
    fn root_scale(&self) -> Result<Option<f64>> {
        match *self {
            Self::SoftmaxCrossEntropy => Ok(None),
            Self::SquaredError { scale } if scale > 0.0 && scale.is_finite() => {
                Ok(Some(scale.sqrt()))
            }
            Self::SquaredError { scale } => Err(Error::OutOfRange {
                name: "the scale of the squared error",
                value: scale,
                accepted: "positive and finite: it is the second derivative of the loss in an output",
            }),
        }
    }
}

/// One label for each example, drawn from `softmax(logits)`: `[n]` of unsigned integers, for `logits` of `[n, c]`.
///
/// # Errors
/// When the logits are not finite or not `[n, c]` with both at least 1.
pub fn sampled_labels(logits: &Tensor, seed: Seed) -> Result<Tensor> {
    let labels = draw_labels(&checked(logits)?, seed)?;
    let count = labels.len();
    Ok(Tensor::from_vec(labels, count, logits.device())?)
}

/// A label for each row, drawn from its softmax.
fn draw_labels(logits: &Tensor, seed: Seed) -> Result<Vec<u32>> {
    let generator = &mut seed.generator();
    let probabilities = softmax(logits, D::Minus1)?.to_vec2::<f64>()?;
    let draw = |p: Vec<f64>| label_at(generator.random(), &p);
    Ok(probabilities.into_iter().map(draw).collect())
}

/// The inverse of the distribution function: the first label whose cumulative probability exceeds `uniform`, in `[0, 1)`. The weights are
/// the probabilities up to a factor.
fn label_at(uniform: f64, weights: &[f64]) -> u32 {
    let mut left = uniform * weights.iter().sum::<f64>();
    // rounding can leave the last label with nothing: it must have been possible at all
    let mut label = 0;
    for (j, &weight) in weights.iter().enumerate().filter(|(_, w)| **w > 0.0) {
        label = j as u32;
        if left < weight {
            break;
        }
        left -= weight;
    }
    label
}

/// The outputs in 64 bits, if they are `[n, c]` and finite.
fn checked(outputs: &Tensor) -> Result<Tensor> {
    if outputs.rank() != 2 || outputs.elem_count() == 0 {
        return Err(Error::Shape {
            what: "the outputs",
            expected: "[examples, outputs], neither of them 0".into(),
            got: outputs.dims().to_vec(),
        });
    }
    let wide = widened(outputs)?;
    check_finite(&wide)?;
    Ok(wide)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fisher::tensors::to_host;
    use approx::assert_relative_eq;
    use candle_core::{DType, Device, Var};

    const CE: OutputLoss = OutputLoss::SoftmaxCrossEntropy;

    fn logits() -> Tensor {
        Tensor::new(&[[0.3, -1.0, 2.0], [0.0, 0.5, -700.0]], &Device::Cpu).expect("a small tensor")
    }

    /// `softmax` of each row, in plain numbers.
    fn probabilities() -> Result<Vec<Vec<f64>>> {
        let normalised = |row: Vec<f64>| {
            let total: f64 = row.iter().map(|v| v.exp()).sum();
            row.iter().map(|v| v.exp() / total).collect()
        };
        Ok(logits()
            .to_vec2::<f64>()?
            .into_iter()
            .map(normalised)
            .collect())
    }

    fn hessian(p: &[f64]) -> Mat<f64> {
        Mat::from_fn(p.len(), p.len(), |i, j| {
            if i == j {
                p[i] * (1.0 - p[i])
            } else {
                -p[i] * p[j]
            }
        })
    }

    #[test]
    fn the_columns_of_the_cross_entropy_add_up_to_its_hessian() -> Result<()> {
        let columns = CE.columns(&logits())?;
        assert_eq!(columns.dims(), [3, 2, 3]);
        for (i, p) in probabilities()?.iter().enumerate() {
            // [columns, outputs] of one example
            let s = to_host(&columns.narrow(1, i, 1)?.squeeze(1)?)?;
            let (sum, expected) = (s.transpose() * &s, hessian(p));
            // a few roundings of numbers up to 1
            assert!((sum - expected).norm_max() < 1e-15);
        }
        Ok(())
    }

    #[test]
    fn squared_errors_have_the_hessian_of_their_scale() -> Result<()> {
        for scale in [1.0, 2.0] {
            let columns = OutputLoss::SquaredError { scale }.columns(&logits())?;
            for i in 0..2 {
                let s = to_host(&columns.narrow(1, i, 1)?.squeeze(1)?)?;
                let expected = Mat::from_fn(3, 3, |a, b| if a == b { scale } else { 0.0 });
                assert!((s.transpose() * &s - expected).norm_max() < 1e-15);
            }
        }
        Ok(())
    }

    #[test]
    fn backpropagated_columns_give_the_gauss_newton_matrix() -> Result<()> {
        // f = W a: the gradient of outputs * s in W is s a', and sum_k vec(s_k a') vec(s_k a')' = H (x) a a'
        let weight = Var::new(&[[0.2, -0.4], [1.0, 0.3], [0.1, 0.7]], &Device::Cpu)?;
        let input = Tensor::new(&[[1.5, -2.0]], &Device::Cpu)?;
        let outputs = input.matmul(&weight.t()?)?;
        let columns = CE.columns(&outputs)?;
        let mut sum = Mat::<f64>::zeros(6, 6);
        for k in 0..3 {
            let loss = (&outputs * columns.get(k)?)?.sum_all()?;
            let gradients = loss.backward()?;
            let gradient = gradients.get(&weight).expect("the weight takes part");
            let g = gradient.flatten_all()?.to_vec1::<f64>()?;
            sum += Mat::from_fn(6, 6, |i, j| g[i] * g[j]);
        }
        let f = outputs.to_vec2::<f64>()?.remove(0);
        let total: f64 = f.iter().map(|v| v.exp()).sum();
        let h = hessian(&f.iter().map(|v| v.exp() / total).collect::<Vec<_>>());
        let a = [1.5, -2.0];
        let expected = Mat::from_fn(6, 6, |i, j| h[(i / 2, j / 2)] * a[i % 2] * a[j % 2]);
        // a few roundings of numbers up to 4
        assert!((sum - expected).norm_max() < 1e-14);
        Ok(())
    }

    /// The mean of `g g'` over `draws` sampled gradients of every example, with each entry's deviation from `expected` in units of its
    /// standard error, `sqrt(Var / draws)`; the largest is returned.
    fn largest_deviation(
        loss: OutputLoss,
        example: usize,
        expected: &Mat<f64>,
        variance: &Mat<f64>,
    ) -> Result<f64> {
        let draws = 20_000;
        let repeated = logits().narrow(0, example, 1)?.repeat((draws, 1))?;
        let g = to_host(&loss.sampled(&repeated, Seed::root(7).derive("labels"))?)?;
        let mean = (g.transpose() * &g) * faer::Scale(1.0 / draws as f64);
        let deviation = |i: usize, j: usize| {
            let gap = (mean[(i, j)] - expected[(i, j)]).abs();
            // entries that do not vary are to be exact, but for the rounding of a sum of that many terms
            (gap - 1e-12).max(0.0) / (variance[(i, j)] / draws as f64).sqrt().max(1e-12)
        };
        Ok((0..3)
            .flat_map(|i| (0..3).map(move |j| (i, j)))
            .map(|(i, j)| deviation(i, j))
            .fold(0.0, f64::max))
    }

    /// The chance that the largest of 9 normal deviations exceeds this is 9 * 6e-7 = 5e-6.
    const DEVIATIONS: f64 = 5.0;

    #[test]
    fn sampled_gradients_average_to_the_hessian() -> Result<()> {
        for (i, p) in probabilities()?.iter().enumerate() {
            let expected = hessian(p);
            // E (g_a g_b)^2 - (E g_a g_b)^2 over the three labels
            let variance = Mat::from_fn(3, 3, |a, b| {
                let entry = |y: usize| {
                    (p[a] - f64::from(u8::from(a == y))) * (p[b] - f64::from(u8::from(b == y)))
                };
                (0..3).map(|y| p[y] * entry(y).powi(2)).sum::<f64>() - expected[(a, b)].powi(2)
            });
            let worst = largest_deviation(CE, i, &expected, &variance)?;
            assert!(worst < DEVIATIONS, "{worst}");
        }
        let expected = Mat::from_fn(3, 3, |a, b| if a == b { 2.0 } else { 0.0 });
        // Var z^2 = 2 and Var z z' = 1, times scale^2
        let variance = Mat::from_fn(3, 3, |a, b| if a == b { 8.0 } else { 4.0 });
        let squared = OutputLoss::SquaredError { scale: 2.0 };
        let worst = largest_deviation(squared, 0, &expected, &variance)?;
        assert!(worst < DEVIATIONS, "{worst}");
        Ok(())
    }

    #[test]
    fn labels_come_as_often_as_their_probability_and_impossible_ones_never() -> Result<()> {
        let draws = 20_000;
        let repeated = logits().narrow(0, 1, 1)?.repeat((draws, 1))?;
        let labels = sampled_labels(&repeated, Seed::root(8))?.to_vec1::<u32>()?;
        let p = &probabilities()?[1];
        for (class, p) in p.iter().enumerate() {
            let count = labels.iter().filter(|&&l| l as usize == class).count() as f64;
            let deviation = (count - draws as f64 * p).abs();
            assert!(deviation <= DEVIATIONS * (draws as f64 * p * (1.0 - p)).sqrt());
        }
        assert_eq!(
            sampled_labels(&logits(), Seed::root(1))?.to_vec1::<u32>()?,
            sampled_labels(&logits(), Seed::root(1))?.to_vec1::<u32>()?
        );
        Ok(())
    }

    #[test]
    fn results_have_the_outputs_type_and_large_logits_do_not_overflow() -> Result<()> {
        let large = Tensor::new(&[[1e4f32, 0.0]], &Device::Cpu)?;
        let columns = CE.columns(&large)?;
        assert_eq!(columns.dtype(), DType::F32);
        assert_relative_eq!(columns.abs()?.sum_all()?.to_scalar::<f32>()?, 0.0);
        Ok(())
    }

    #[test]
    fn what_is_no_output_is_refused() -> Result<()> {
        let seed = Seed::root(1);
        let nan = Tensor::new(&[[0.0, f64::NAN]], &Device::Cpu)?;
        assert_eq!(
            CE.sampled(&nan, seed).expect_err("refused").to_string(),
            "row 0, column 1 is NaN; every entry must be a finite number"
        );
        let flat = Tensor::new(&[0.0, 1.0], &Device::Cpu)?;
        assert!(CE.columns(&flat).is_err());
        assert!(CE.column(&logits(), 3).is_err());
        assert!(sampled_labels(&Tensor::zeros((0, 3), DType::F64, &Device::Cpu)?, seed).is_err());
        for scale in [0.0, -1.0, f64::NAN] {
            assert!(
                OutputLoss::SquaredError { scale }
                    .sampled(&logits(), seed)
                    .is_err()
            );
        }
        Ok(())
    }

    #[test]
    fn a_label_is_the_first_whose_cumulative_probability_exceeds_the_uniform_number() {
        // probabilities 1/4, 1/2, 0 and 1/4
        let weights = [1.0, 2.0, 0.0, 1.0];
        for (uniform, label) in [
            (0.0, 0),
            (0.125, 0),
            // it reaches 1/4 and does not exceed it
            (0.25, 1),
            (0.625, 1),
            (0.75, 3),
            (0.875, 3),
        ] {
            assert_eq!(label_at(uniform, &weights), label, "at {uniform}");
        }
        assert_eq!(label_at(0.0, &[0.0, 1.0]), 1);
    }

    #[test]
    fn an_impossible_label_is_not_even_drawn_where_rounding_uses_up_the_others() {
        // the largest number below 1 leaves 0.6 of the sum, from which 0.1, 0.1 and 0.4 are taken without one of them exceeding it
        let largest = 1.0 - 0.5 * f64::EPSILON;
        assert_eq!(label_at(largest, &[0.1, 0.1, 0.4, 0.0]), 2);
    }

    #[test]
    fn a_sampled_squared_error_is_differentiated_at_the_label_that_the_normal_numbers_make()
    -> Result<()> {
        let seed = Seed::root(9).derive("labels");
        let outputs = [0.25, -1.0, 3.0, 0.5];
        let scale = 4.0;
        let tensor = Tensor::from_slice(&outputs, (2, 2), &Device::Cpu)?;
        let sampled = OutputLoss::SquaredError { scale }.sampled(&tensor, seed)?;
        let sampled = sampled.flatten_all()?.to_vec1::<f64>()?;
        let normals = standard_normals(&mut seed.generator(), outputs.len());
        for ((g, f), z) in sampled.into_iter().zip(outputs).zip(normals) {
            // the label has the variance 1 / scale about the output
            let y = f + z / scale.sqrt();
            // a few roundings of numbers below 4, times the scale
            assert_relative_eq!(g, scale * (f - y), epsilon = 1e-14);
        }
        Ok(())
    }

    #[test]
    fn outputs_of_no_example_or_of_another_rank_are_named_by_their_shape() -> Result<()> {
        let outputs = |shape: &[usize]| Tensor::zeros(shape, DType::F64, &Device::Cpu);
        for (shape, named) in [
            (&[0, 3][..], "[0, 3]"),
            (&[3, 0], "[3, 0]"),
            (&[3], "[3]"),
            (&[1, 2, 3], "[1, 2, 3]"),
        ] {
            let refused = CE.columns(&outputs(shape)?).expect_err("refused");
            assert_eq!(
                refused.to_string(),
                format!(
                    "the outputs has shape {named}; it must have shape [examples, outputs], neither of them 0"
                )
            );
        }
        Ok(())
    }
}
