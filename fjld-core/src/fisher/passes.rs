//! The Fisher matrix of a candle model: the backward passes whose per-example gradients make it up.

use super::OutputLoss;
use crate::capture::{Capture, Captured, Reduction};
use crate::error::{Error, Result};
use crate::rng::Seed;
use candle_core::{Tensor, Var};

/// Over which labels the model's own predictive distribution is averaged.
#[derive(Clone, Copy, Debug)]
pub enum ModelLabels {
    /// One label an example, drawn from it: the Monte-Carlo Fisher, in one pass.
    Drawn(Seed),
    /// All of them, exactly: the type-2 Fisher, in as many passes as there are outputs.
    Expected,
}

/// Runs the passes that make up the Fisher matrix of a model whose `outputs` are `[examples, c]`.
///
/// What each pass keeps is for `capture` to say: rows for [`SecondMoment::monte_carlo`](super::SecondMoment::monte_carlo) and
/// [`type_2`](super::SecondMoment::type_2), pairs for
/// [`KfacAccumulator::push_columns`](crate::kronecker::KfacAccumulator::push_columns), the diagonal for the sum of squares. Its loss is
/// a sum over the examples, and it has to be told so.
///
/// # Errors
/// When `capture` was told another reduction, the outputs are not `[examples, c]` or not finite, or as [`Capture::run`].
pub fn fisher_passes(
    capture: &Capture,
    parameters: &[(String, Var)],
    loss: OutputLoss,
    labels: ModelLabels,
    outputs: impl Fn() -> candle_core::Result<Tensor>,
) -> Result<Vec<Captured>> {
    if capture.reduction() != Reduction::Sum {
        return Err(Error::Capture(
            "the passes of a Fisher matrix sum over the examples; the capture must be told Reduction::Sum".into(),
        ));
    }
    let pass = |slope: &dyn Fn(&Tensor) -> Result<Tensor>| {
        capture.run(parameters, || {
            let outputs = outputs()?;
            let slope = slope(&outputs.detach()).map_err(candle_core::Error::wrap)?;
            (outputs * slope.detach())?.sum_all()
        })
    };
    match labels {
        ModelLabels::Drawn(seed) => Ok(vec![pass(&|f| loss.sampled(f, seed))?]),
        ModelLabels::Expected => {
            let width = outputs()?.dims().last().copied().unwrap_or(0);
            (0..width).map(|k| pass(&|f| loss.column(f, k))).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{Linear, linear};
    use crate::fisher::{Curvature, Dense, SecondMoment};
    use crate::kronecker::{Damping, KfacAccumulator, Setting};
    use crate::rng::{SeededVars, standard_normals};
    use candle_core::{DType, Device};
    use candle_nn::Module;

    const LOSS: OutputLoss = OutputLoss::SoftmaxCrossEntropy;

    /// A softmax model of one linear layer.
    struct Softmax {
        layer: Linear,
        parameters: Vec<(String, Var)>,
        inputs: Tensor,
    }

    impl Softmax {
        fn new(examples: usize) -> Result<Self> {
            let vars = SeededVars::new(Seed::root(12));
            let layer = linear(3, 4, vars.builder(DType::F64, &Device::Cpu))?;
            let values = standard_normals(&mut Seed::root(13).generator(), examples * 3);
            Ok(Self {
                layer,
                parameters: vars.named(),
                inputs: Tensor::from_vec(values, (examples, 3), &Device::Cpu)?,
            })
        }

        fn passes(&self, labels: ModelLabels) -> Result<Vec<Captured>> {
            let capture = Capture::new(self.inputs.dim(0)?, Reduction::Sum);
            fisher_passes(
                &capture.rows().pairs(),
                &self.parameters,
                LOSS,
                labels,
                || self.layer.forward(&self.inputs),
            )
        }

        /// `E (diag(p) - pp') (x) (a,1)(a,1)'` over the row-major `[W|b]`, entry by entry.
        fn by_hand(&self) -> Result<impl Fn(usize, usize) -> f64> {
            let outputs = self.layer.forward(&self.inputs)?;
            let p = candle_nn::ops::softmax(&outputs, 1)?.to_vec2::<f64>()?;
            let mut a = self.inputs.to_vec2::<f64>()?;
            a.iter_mut().for_each(|a| a.push(1.0));
            Ok(move |i: usize, j: usize| {
                let (k, l) = (i / 4, j / 4);
                let terms = p.iter().zip(&a).map(|(p, a)| {
                    let hessian = p[k] * (f64::from(u8::from(k == l)) - p[l]);
                    hessian * a[i % 4] * a[j % 4]
                });
                terms.sum::<f64>() / a.len() as f64
            })
        }
    }

    /// Where an entry of the row-major `[W|b]` stands among the parameters by name: four biases, then `W` row by row.
    fn place(joint: usize) -> usize {
        match joint % 4 {
            3 => joint / 4,
            column => 4 + joint / 4 * 3 + column,
        }
    }

    /// A dozen roundings of numbers of order 1.
    const TOLERANCE: f64 = 1e-14;

    #[test]
    fn the_type_2_passes_of_a_softmax_layer_make_up_what_pencil_gives() -> Result<()> {
        let model = Softmax::new(5)?;
        let rows = model
            .passes(ModelLabels::Expected)?
            .iter()
            .map(|pass| Ok(pass.statistics.rows()?.expect("they were asked for")))
            .collect::<Result<Vec<_>>>()?;
        assert_eq!(rows.len(), 4);
        let dense = SecondMoment::<Dense>::type_2(&rows)?.curvature().to_dense();
        let expected = model.by_hand()?;
        for i in 0..16 {
            for j in 0..16 {
                let gap = dense[(place(i), place(j))] - expected(i, j);
                assert!(gap.abs() < TOLERANCE, "({i}, {j}) differs by {gap}");
            }
        }
        Ok(())
    }

    #[test]
    fn the_factors_of_the_type_2_passes_are_exact_for_one_example() -> Result<()> {
        let model = Softmax::new(1)?;
        let passes = model.passes(ModelLabels::Expected)?;
        let columns: Vec<_> = passes.into_iter().map(|pass| pass.pairs).collect();
        let mut factors = KfacAccumulator::new(Setting::Expand);
        factors.push_columns(&columns)?;
        let block = factors.layers()[0].block(Damping::None)?.to_dense();
        let expected = model.by_hand()?;
        for i in 0..16 {
            for j in 0..16 {
                assert!((block[(i, j)] - expected(i, j)).abs() < TOLERANCE);
            }
        }
        Ok(())
    }

    #[test]
    fn a_drawn_label_gives_the_gradient_at_that_label() -> Result<()> {
        let (model, seed) = (Softmax::new(5)?, Seed::root(14));
        let passes = model.passes(ModelLabels::Drawn(seed))?;
        assert_eq!(passes.len(), 1);
        let slopes = LOSS.sampled(&model.layer.forward(&model.inputs)?, seed)?;
        let bias = &passes[0].statistics.parameters()[0];
        let gap = (bias.rows().expect("they were asked for") - slopes)?;
        assert!(gap.abs()?.flatten_all()?.max(0)?.to_scalar::<f64>()? < TOLERANCE);
        Ok(())
    }

    #[test]
    fn a_capture_that_divides_by_the_examples_is_refused() -> Result<()> {
        let model = Softmax::new(2)?;
        let error = fisher_passes(
            &Capture::new(2, Reduction::Mean),
            &model.parameters,
            LOSS,
            ModelLabels::Expected,
            || model.layer.forward(&model.inputs),
        )
        .expect_err("the passes sum");
        assert!(error.to_string().contains("Reduction::Sum"), "{error}");
        Ok(())
    }
}
