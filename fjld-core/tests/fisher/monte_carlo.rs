//! The Fisher at labels drawn from the model against the expectation over them, which is also taken here another way: from the gradients
//! of the loss itself at every label, weighted by the label's probability.

use super::models::Mlp;
use super::*;
use candle_nn::loss::cross_entropy;
use candle_nn::ops::softmax;
use fjld_core::fisher::sampled_labels;

const EXAMPLES: usize = 6;
const CLASSES: usize = 4;
/// How often the examples stand in one pass, each with a label of its own.
const REPEATS: usize = 400;
const PASSES: usize = 10;
const LAYER: &str = "second";

struct Softmax {
    model: Mlp,
    parameters: Parameters,
    x: Tensor,
}

impl Softmax {
    fn new() -> Result<Self> {
        let (vars, mut generator) = seeded("softmax");
        let x = normal(&mut generator, &[EXAMPLES, 5])?;
        let model = Mlp::new(vars.builder(DType::F64, &Device::Cpu))?;
        let parameters = vars.named();
        Ok(Self {
            model,
            parameters,
            x,
        })
    }

    /// `[n, d]`: the layer's gradients of each example's loss at these labels, for the examples or repetitions of them.
    fn gradients(&self, x: &Tensor, labels: &Tensor) -> Result<Tensor> {
        let capture = Capture::new(x.dim(0)?, Reduction::Mean).rows();
        let pass = capture.run(&self.parameters, || {
            cross_entropy(&self.model.forward(x)?, labels)
        })?;
        joint(&pass.statistics, LAYER)
    }

    /// Mean and variance over labels of every entry of `(1/n) sum_i g_i g_i'`, each example's label drawn from `p_i`.
    fn over_labels(&self) -> Result<(Mat<f64>, Mat<f64>)> {
        let p = softmax(&self.model.forward(&self.x)?, 1)?.to_vec2::<f64>()?;
        let at_labels = (0..CLASSES as u32)
            .map(|label| {
                let labels = Tensor::new(&[label; EXAMPLES], &Device::Cpu)?;
                Ok(self.gradients(&self.x, &labels)?.to_vec2::<f64>()?)
            })
            .collect::<Result<Vec<_>>>()?;
        let d = at_labels[0][0].len();
        let n = EXAMPLES as f64;
        // E of the entry's power, for one example
        let moment = |example: usize, i: usize, j: usize, power: i32| -> f64 {
            let entry = |label: usize| {
                let g: &Vec<f64> = &at_labels[label][example];
                g[i] * g[j]
            };
            (0..CLASSES)
                .map(|label| p[example][label] * entry(label).powi(power))
                .sum()
        };
        let mean = Mat::from_fn(d, d, |i, j| {
            (0..EXAMPLES).map(|e| moment(e, i, j, 1)).sum::<f64>() / n
        });
        let variance = Mat::from_fn(d, d, |i, j| {
            let of_one = |e| moment(e, i, j, 2) - moment(e, i, j, 1).powi(2);
            (0..EXAMPLES).map(of_one).sum::<f64>() / (n * n)
        });
        Ok((mean, variance))
    }
}

/// Deviations of the entries from their mean in standard errors of this many draws: the largest, and the average square. Entries
/// whose input a relu has shut off are zero whatever the label, and leave the average.
fn deviations(got: &Mat<f64>, mean: &Mat<f64>, variance: &Mat<f64>, draws: usize) -> (f64, f64) {
    let d = mean.nrows();
    let (mut largest, mut sum, mut count) = (0.0f64, 0.0, 0.0);
    for i in 0..d {
        for j in 0..=i {
            let gap = got[(i, j)] - mean[(i, j)];
            if variance[(i, j)] == 0.0 {
                assert_eq!(gap, 0.0);
                continue;
            }
            let squared = gap * gap / (variance[(i, j)] / draws as f64);
            largest = largest.max(squared.sqrt());
            sum += squared;
            count += 1.0;
        }
    }
    (largest, sum / count)
}

#[test]
fn the_type_2_passes_average_the_real_loss_over_the_models_labels() -> Result<()> {
    let softmax = Softmax::new()?;
    let passes = type_2(&softmax.parameters, OutputLoss::SoftmaxCrossEntropy, || {
        softmax.model.forward(&softmax.x)
    })?;
    let (mean, _) = softmax.over_labels()?;
    let gap = distance(&exact_block(&passes, LAYER)?, &mean);
    assert!(gap < ROUNDING, "{gap:e}");
    Ok(())
}

/// `(1/n) sum g g'` of these gradients.
fn fisher(rows: &[Tensor]) -> Result<Mat<f64>> {
    let fisher = SecondMoment::<Dense>::monte_carlo(&Tensor::cat(rows, 0)?)?;
    Ok(fisher.curvature().to_dense())
}

/// In standard errors. Some of the 528 entries passes it with a chance of 3e-4, if they are normal.
const LARGEST: f64 = 5.0;

/// Of the average square, whose expectation is one: that of so few independent directions strays by a factor of two.
const AVERAGE: std::ops::Range<f64> = 1.0 / 3.0..3.0;

#[test]
fn the_monte_carlo_fisher_converges_to_the_type_2_one_within_its_standard_errors() -> Result<()> {
    let softmax = Softmax::new()?;
    let (mean, variance) = softmax.over_labels()?;
    let x = softmax.x.repeat((REPEATS, 1))?;
    let seed = Seed::root(2027).derive("drawn labels");
    let capture = Capture::new(x.dim(0)?, Reduction::Sum).rows();
    let mut rows = Vec::new();
    for pass in 0..PASSES {
        let passes = fisher_passes(
            &capture,
            &softmax.parameters,
            OutputLoss::SoftmaxCrossEntropy,
            ModelLabels::Drawn(seed.derive(&pass.to_string())),
            || softmax.model.forward(&x),
        )?;
        rows.push(joint(&passes[0].statistics, LAYER)?);
    }
    // ten times the draws have errors smaller by the root of ten
    for passes in [1, PASSES] {
        let got = fisher(&rows[..passes])?;
        let (largest, average) = deviations(&got, &mean, &variance, passes * REPEATS);
        assert!(largest < LARGEST, "{largest}");
        assert!(AVERAGE.contains(&average), "{average}");
    }
    Ok(())
}

#[test]
fn labels_of_a_slightly_flatter_distribution_are_told_from_the_models_own() -> Result<()> {
    let softmax = Softmax::new()?;
    let (mean, variance) = softmax.over_labels()?;
    let x = softmax.x.repeat((REPEATS * PASSES, 1))?;
    let flatter = (softmax.model.forward(&x)? * 0.8)?;
    let labels = sampled_labels(&flatter, Seed::root(2027).derive("flatter labels"))?;
    let got = fisher(&[softmax.gradients(&x, &labels)?])?;
    let (largest, average) = deviations(&got, &mean, &variance, REPEATS * PASSES);
    assert!(
        largest > LARGEST && average > AVERAGE.end,
        "{largest} and {average}"
    );
    Ok(())
}
