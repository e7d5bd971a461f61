//! What is taken in pieces is the whole: a batch in chunks, a model in layers.

use super::models::Cnn;
use super::*;
use candle_core::IndexOp;
use candle_nn::loss::cross_entropy;
use fjld_core::fisher::BlockDiagonal;
use fjld_core::kronecker::{Damping, KfacReading};
use rand::RngExt;

const EXAMPLES: usize = 7;
const CHUNKS: [(usize, usize); 3] = [(0, 3), (3, 1), (4, 3)];

/// A convolution, a normalisation, a frozen convolution in groups and a head, on images of 2 x 8 x 11.
struct Images {
    model: Cnn,
    parameters: Parameters,
    x: Tensor,
    y: Tensor,
}

impl Images {
    fn new() -> Result<Self> {
        let (vars, mut generator) = seeded("images");
        let model = Cnn::new(vars.builder(DType::F64, &Device::Cpu))?.with_frozen_groups();
        let mut parameters = vars.named();
        // a layer in groups has no pair
        parameters.retain(|(name, _)| name != "grouped.weight");
        let classes: Vec<u32> = (0..EXAMPLES)
            .map(|_| generator.random_range(0..3))
            .collect();
        Ok(Self {
            model,
            parameters,
            x: normal(&mut generator, &[EXAMPLES, 2, 8, 11])?,
            y: Tensor::new(classes, &Device::Cpu)?,
        })
    }

    /// A pass over some of the examples at the real labels.
    fn pass(&self, start: usize, count: usize) -> Result<Captured> {
        let (x, y) = (
            self.x.narrow(0, start, count)?,
            self.y.narrow(0, start, count)?,
        );
        let capture = Capture::new(count, Reduction::Mean).rows().pairs();
        capture.run(&self.parameters, || {
            cross_entropy(&self.model.forward(&x)?, &y)
        })
    }

    fn type_2(&self, start: usize, count: usize) -> Result<Vec<Captured>> {
        let x = self.x.narrow(0, start, count)?;
        type_2(&self.parameters, OutputLoss::SoftmaxCrossEntropy, || {
            self.model.forward(&x)
        })
    }

    /// The reading of these chunks in the metric of the whole's damped blocks, and the blocks.
    fn ratio(&self, chunks: &[(usize, usize)]) -> Result<(KfacReading, BlockDiagonal)> {
        let factors = factors(&[self.pass(0, EXAMPLES)?], Setting::Expand)?;
        let damping = Damping::Exact(0.01);
        let mut ratios = factors.ratios(damping, &Device::Cpu)?;
        for &(start, count) in chunks {
            ratios.push(&self.pass(start, count)?.pairs)?;
        }
        let blocks = factors
            .layers()
            .iter()
            .map(|own| {
                let block: Box<dyn Curvature> = Box::new(own.block(damping)?);
                Ok((own.layer().to_owned(), block))
            })
            .collect::<Result<_>>()?;
        Ok((ratios.reading()?, BlockDiagonal::new(blocks)?))
    }
}

#[test]
fn factors_of_chunks_are_the_factors_of_the_batch() -> Result<()> {
    let images = Images::new()?;
    for setting in [Setting::Expand, Setting::Reduce] {
        for exact in [false, true] {
            let passes = |start, count| match exact {
                true => images.type_2(start, count),
                false => Ok(vec![images.pass(start, count)?]),
            };
            let whole = factors(&passes(0, EXAMPLES)?, setting)?;
            let mut chunked = KfacAccumulator::new(setting);
            for (start, count) in CHUNKS {
                let columns: Vec<_> = passes(start, count)?.into_iter().map(|p| p.pairs).collect();
                chunked.push_columns(&columns)?;
            }
            for (chunked, whole) in chunked.layers().iter().zip(whole.layers()) {
                assert_eq!(chunked.examples(), EXAMPLES as f64);
                assert!(distance(&kfac(chunked)?, &kfac(whole)?) < ROUNDING);
            }
        }
    }
    Ok(())
}

#[test]
fn the_ratio_of_chunks_is_the_ratio_of_the_batch() -> Result<()> {
    let images = Images::new()?;
    let (chunked, whole) = (images.ratio(&CHUNKS)?.0, images.ratio(&[(0, EXAMPLES)])?.0);
    assert_eq!(chunked.samples, EXAMPLES as u64);
    let pairs = [
        (chunked.total_signal, whole.total_signal),
        (chunked.total_noise, whole.total_noise),
    ];
    for (chunked, whole) in pairs {
        approx::assert_relative_eq!(chunked, whole, max_relative = ROUNDING);
    }
    Ok(())
}

#[test]
fn layers_sum_to_the_model_in_the_ratio_and_the_model_is_the_block_diagonal_metric() -> Result<()> {
    let images = Images::new()?;
    let (reading, metric) = images.ratio(&[(0, EXAMPLES)])?;
    let sum = |part: fn(&fjld_core::kronecker::LayerMetric) -> f64| -> f64 {
        reading.layer_metrics.iter().map(part).sum()
    };
    approx::assert_relative_eq!(
        reading.total_signal,
        sum(|m| m.signal),
        max_relative = ROUNDING
    );
    approx::assert_relative_eq!(
        reading.total_noise,
        sum(|m| m.noise),
        max_relative = ROUNDING
    );

    // by gradients written out: mu' F^-1 mu, and the mean of the deviations' forms with n - 1
    let statistics = images.pass(0, EXAMPLES)?.statistics;
    let parts = metric
        .blocks()
        .map(|(layer, _)| joint(&statistics, layer))
        .collect::<Result<Vec<_>>>()?;
    let rows = Tensor::cat(&parts, 1)?;
    let mean = rows.mean_keepdim(0)?;
    let form = |v: &Tensor| -> Result<f64> {
        let v = v.to_vec1::<f64>()?;
        let solved = metric.solve(&v)?;
        Ok(v.iter().zip(solved).map(|(v, s)| v * s).sum())
    };
    let signal = form(&mean.i(0)?)?;
    let centred = rows.broadcast_sub(&mean)?;
    let forms = (0..EXAMPLES)
        .map(|example| form(&centred.i(example)?))
        .collect::<Result<Vec<_>>>()?;
    let noise = forms.iter().sum::<f64>() / (EXAMPLES - 1) as f64;
    // a damping of 0.01 beside curvature of order 1 leaves the inverse four digits fewer
    approx::assert_relative_eq!(reading.total_signal, signal, max_relative = 1e4 * ROUNDING);
    approx::assert_relative_eq!(reading.total_noise, noise, max_relative = 1e4 * ROUNDING);
    let c = reading.c_alpha_kfac.expect("there is noise");
    approx::assert_relative_eq!(c, signal / noise, max_relative = 1e4 * ROUNDING);
    Ok(())
}
