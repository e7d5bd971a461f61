//! The Fisher at labels drawn from the model against the expectation over them, which is also taken here another way: from the gradients
//! of the loss itself at every label, weighted by the label's probability.

use super::models::Mlp;
use super::*;
use candle_nn::loss::cross_entropy;
use candle_nn::ops::softmax;
use rand::RngExt;

const EXAMPLES: usize = 6;
const CLASSES: usize = 4;
const DRAWS: usize = 400;
const LAYER: &str = "second";

struct Softmax {
    model: Mlp,
    parameters: Parameters,
    x: Tensor,
}

impl Softmax {
    fn new() -> Result<(Self, Generator)> {
        let (vars, mut generator) = seeded("softmax");
        let x = normal(&mut generator, &[EXAMPLES, 5])?;
        let model = Mlp::new(vars.builder(DType::F64, &Device::Cpu))?;
        let parameters = vars.named();
        Ok((
            Self {
                model,
                parameters,
                x,
            },
            generator,
        ))
    }

    /// `[n][d]`: the layer's gradients of each example's loss at these labels.
    fn gradients(&self, labels: &[u32]) -> Result<Vec<Vec<f64>>> {
        let y = Tensor::new(labels, &Device::Cpu)?;
        let capture = Capture::new(EXAMPLES, Reduction::Mean).rows();
        let pass = capture.run(&self.parameters, || {
            cross_entropy(&self.model.forward(&self.x)?, &y)
        })?;
        Ok(joint(&pass.statistics, LAYER)?.to_vec2()?)
    }

    /// Mean and variance over labels of every entry of `(1/n) sum_i g_i g_i'`, each example's label drawn from `p_i`.
    fn over_labels(&self) -> Result<(Mat<f64>, Mat<f64>)> {
        let p = softmax(&self.model.forward(&self.x)?, 1)?.to_vec2::<f64>()?;
        let at_labels = (0..CLASSES as u32)
            .map(|label| self.gradients(&[label; EXAMPLES]))
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

/// Deviations of the entries from their mean, squared, in squared standard errors of this many draws: the largest and the average. An
/// entry of a weight whose input a relu has shut off does not vary.
fn deviations(got: &Mat<f64>, mean: &Mat<f64>, variance: &Mat<f64>, draws: usize) -> (f64, f64) {
    let d = mean.nrows();
    let (mut largest, mut sum, mut count) = (0.0f64, 0.0, 0.0);
    for i in 0..d {
        for j in 0..=i {
            let gap = got[(i, j)] - mean[(i, j)];
            if variance[(i, j)] <= ROUNDING {
                assert!(gap.abs() < ROUNDING);
                continue;
            }
            let squared = gap * gap / (variance[(i, j)] / draws as f64);
            largest = largest.max(squared);
            sum += squared;
            count += 1.0;
        }
    }
    (largest, sum / count)
}

#[test]
fn the_type_2_passes_average_the_real_loss_over_the_models_labels() -> Result<()> {
    let (softmax, _) = Softmax::new()?;
    let passes = type_2(&softmax.parameters, OutputLoss::SoftmaxCrossEntropy, || {
        softmax.model.forward(&softmax.x)
    })?;
    let (mean, _) = softmax.over_labels()?;
    let gap = distance(&exact_block(&passes, LAYER)?, &mean);
    assert!(gap < ROUNDING, "{gap:e}");
    Ok(())
}

#[test]
fn the_monte_carlo_fisher_converges_to_the_type_2_one_within_its_standard_errors() -> Result<()> {
    let (softmax, mut generator) = Softmax::new()?;
    let (mean, variance) = softmax.over_labels()?;
    let capture = Capture::new(EXAMPLES, Reduction::Sum).rows();
    let seed = Seed::root(2027).derive("drawn labels");
    let mut rows = Vec::new();
    for draw in 0..DRAWS {
        let labels = ModelLabels::Drawn(seed.derive(&draw.to_string()));
        let passes = fisher_passes(
            &capture,
            &softmax.parameters,
            OutputLoss::SoftmaxCrossEntropy,
            labels,
            || softmax.model.forward(&softmax.x),
        )?;
        rows.push(joint(&passes[0].statistics, LAYER)?);
    }
    let fisher = |rows: &[Tensor]| -> Result<Mat<f64>> {
        let rows = Tensor::cat(rows, 0)?;
        let fisher = SecondMoment::<Dense>::monte_carlo(&rows)?;
        Ok(fisher.curvature().to_dense())
    };
    // some of the 528 entries passes five standard errors with a chance of 3e-4; the squares average to one, those of so many
    // correlated entries to within a factor of three
    let (largest, average) = deviations(&fisher(&rows)?, &mean, &variance, DRAWS);
    assert!(largest < 25.0, "{}", largest.sqrt());
    assert!((1.0 / 3.0..3.0).contains(&average), "{average}");
    // so do those of a tenth of the draws, whose errors are larger by the root of ten
    let few = DRAWS / 10;
    let (_, average) = deviations(&fisher(&rows[..few])?, &mean, &variance, few);
    assert!((1.0 / 3.0..3.0).contains(&average), "{average}");
    // labels from elsewhere do not: uniform ones, as many
    let mut uniform = Vec::new();
    for _ in 0..DRAWS {
        let labels: Vec<u32> = (0..EXAMPLES)
            .map(|_| generator.random_range(0..CLASSES as u32))
            .collect();
        let gradients = softmax.gradients(&labels)?.concat();
        uniform.push(Tensor::from_vec(gradients, (EXAMPLES, ()), &Device::Cpu)?);
    }
    let (largest, average) = deviations(&fisher(&uniform)?, &mean, &variance, DRAWS);
    assert!(largest > 25.0 && average > 3.0, "{largest} and {average}");
    Ok(())
}
