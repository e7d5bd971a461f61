//! The Fisher matrices of real networks and their layers' Kronecker blocks: where the blocks are exact, where they are not, and what
//! holds of them either way.

mod approximate;
mod groups;
mod linear;
#[path = "../golden/models.rs"]
mod models;
mod monte_carlo;
mod pieces;
mod positions;

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::Module;
use faer::Mat;
use fjld_core::Result;
use fjld_core::capture::{Capture, Captured, Linear, Reduction, Statistics, linear};
use fjld_core::fisher::{Curvature, Dense, ModelLabels, OutputLoss, SecondMoment, fisher_passes};
use fjld_core::kronecker::{Factors, KfacAccumulator, Setting};
use fjld_core::rng::{Generator, Seed, SeededVars, standard_normals};

type Parameters = Vec<(String, Var)>;

/// What two routes to one block may differ by, relative to `sqrt(F_ii F_jj)` or to the whole: sums of up to a few hundred products in
/// `f64`, taken in other orders, of numbers that came through a few layers. 1e-15 at most is what shows.
const ROUNDING: f64 = 1e-13;

fn seeded(name: &str) -> (SeededVars, Generator) {
    let seed = Seed::root(2027).derive(name);
    (SeededVars::new(seed), seed.derive("data").generator())
}

fn normal(generator: &mut Generator, shape: &[usize]) -> candle_core::Result<Tensor> {
    let values = standard_normals(generator, shape.iter().product());
    Tensor::from_vec(values, shape, &Device::Cpu)
}

/// Linear layers one after the other, named `layer0`, `layer1` and so on.
struct Deep {
    layers: Vec<Linear>,
    parameters: Parameters,
}

impl Deep {
    fn new(vars: &SeededVars, widths: &[usize]) -> Result<Self> {
        let builder = vars.builder(DType::F64, &Device::Cpu);
        let layers = widths
            .windows(2)
            .enumerate()
            .map(|(at, width)| linear(width[0], width[1], builder.pp(format!("layer{at}"))))
            .collect::<candle_core::Result<_>>()?;
        let parameters = vars.named();
        Ok(Self { layers, parameters })
    }

    /// `dz_last/dz_at`, the product of the later weights, `[out, width]`.
    fn jacobian(&self, at: usize) -> Result<Mat<f64>> {
        let out = self.layers[self.layers.len() - 1].weight().dim(0)?;
        let mut later = self.layers[at + 1..].iter().rev();
        later.try_fold(Mat::identity(out, out), |product: Mat<f64>, layer| {
            Ok(product * matrix(layer.weight())?)
        })
    }
}

impl Module for Deep {
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let mut layers = self.layers.iter();
        layers.try_fold(x.clone(), |x, layer| layer.forward(&x))
    }
}

/// The passes of the type-2 Fisher, with rows and pairs kept.
fn type_2(
    parameters: &[(String, Var)],
    loss: OutputLoss,
    outputs: impl Fn() -> candle_core::Result<Tensor>,
) -> Result<Vec<Captured>> {
    let capture = Capture::new(outputs()?.dim(0)?, Reduction::Sum);
    let capture = capture.rows().pairs();
    fisher_passes(&capture, parameters, loss, ModelLabels::Expected, outputs)
}

/// The kept gradients of a layer in the order of its block, the row-major `[W|b]`.
fn joint(statistics: &Statistics, layer: &str) -> Result<Tensor> {
    let rows = |part: &str| {
        let name = format!("{layer}.{part}");
        let found = statistics.parameters().iter().find(|p| p.name() == name);
        found.and_then(|p| p.rows())
    };
    let weight = rows("weight").expect("the layer has a weight, and rows were asked for");
    let Some(bias) = rows("bias") else {
        return Ok(weight.clone());
    };
    let (n, outputs) = bias.dims2()?;
    let weight = weight.reshape((n, outputs, ()))?;
    Ok(Tensor::cat(&[weight, bias.unsqueeze(2)?], 2)?.flatten_from(1)?)
}

/// A layer's block of the Fisher matrix that these passes make up, from gradients written out.
fn exact_block(passes: &[Captured], layer: &str) -> Result<Mat<f64>> {
    let rows = passes
        .iter()
        .map(|pass| joint(&pass.statistics, layer))
        .collect::<Result<Vec<_>>>()?;
    Ok(SecondMoment::<Dense>::type_2(&rows)?.curvature().to_dense())
}

/// The factors of every layer of the Fisher matrix that these passes make up.
fn factors(passes: &[Captured], setting: Setting) -> Result<KfacAccumulator> {
    let columns: Vec<_> = passes.iter().map(|pass| pass.pairs.clone()).collect();
    let mut factors = KfacAccumulator::new(setting);
    factors.push_columns(&columns)?;
    Ok(factors)
}

/// `G (x) A`.
fn kfac(factors: &Factors) -> Result<Mat<f64>> {
    Ok(factors.kronecker()?.to_dense())
}

/// A tensor `[rows, columns]` as a matrix.
fn matrix(tensor: &Tensor) -> Result<Mat<f64>> {
    let rows = tensor.to_vec2::<f64>()?;
    let (height, width) = tensor.dims2()?;
    Ok(Mat::from_fn(height, width, |i, j| rows[i][j]))
}

/// `L (x) R`.
fn product(left: &Mat<f64>, right: &Mat<f64>) -> Mat<f64> {
    let (height, width) = (right.nrows(), right.ncols());
    Mat::from_fn(left.nrows() * height, left.ncols() * width, |i, j| {
        left[(i / height, j / width)] * right[(i % height, j % width)]
    })
}

/// The largest difference of two entries relative to `sqrt(F_ii F_jj)`: it sees small coordinates beside large ones.
fn worst(got: &Mat<f64>, expected: &Mat<f64>) -> f64 {
    let d = expected.nrows();
    assert_eq!((got.nrows(), got.ncols()), (d, d));
    let relative = |i: usize, j: usize| {
        let scale = (expected[(i, i)] * expected[(j, j)]).sqrt();
        assert!(scale > 0.0, "coordinates {i} and {j} have no curvature");
        (got[(i, j)] - expected[(i, j)]).abs() / scale
    };
    let pairs = (0..d).flat_map(|i| (0..d).map(move |j| (i, j)));
    pairs.map(|(i, j)| relative(i, j)).fold(0.0, f64::max)
}

/// `|got - expected| / |expected|` in Frobenius norm.
fn distance(got: &Mat<f64>, expected: &Mat<f64>) -> f64 {
    (got - expected).norm_l2() / expected.norm_l2()
}
