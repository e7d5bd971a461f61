//! The jobs that are timed, and the ways to do each.

use crate::models::{Functions, Gpt, GptSizes, Layers, Own, Perceptron, Plain, Residual};
use candle_core::{D, DType, Device, Result, Tensor, Var};
use candle_nn::Module;
use fjld_core::capture::{self, Capture, Reduction};
use fjld_core::kronecker::{Factors, Setting};
use fjld_core::rng::{Seed, SeededVars, standard_normals};
use rand::RngExt;

/// A model with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// 784 - 512 - 512 - 10 with this many examples.
    Mlp(usize),
    /// ResNet-18 of 16 to 128 channels with group normalisation, on 32 x 32 pixels, with this many examples.
    ResNet(usize),
    /// Two blocks of 64 features and 4 heads, 64 tokens out of 96, with this many examples.
    Gpt(usize),
}

impl Model {
    /// Those of the table.
    pub const ALL: [Self; 4] = [
        Self::Mlp(128),
        Self::Mlp(1024),
        Self::ResNet(64),
        Self::Gpt(16),
    ];

    /// `mlp128` and so on.
    pub fn name(self) -> String {
        match self {
            Self::Mlp(batch) => format!("mlp{batch}"),
            Self::ResNet(batch) => format!("resnet{batch}"),
            Self::Gpt(batch) => format!("gpt{batch}"),
        }
    }

    /// Of a name.
    pub fn named(name: &str) -> Option<Self> {
        let batch = |prefix| name.strip_prefix(prefix)?.parse().ok();
        batch("mlp")
            .map(Self::Mlp)
            .or_else(|| batch("resnet").map(Self::ResNet))
            .or_else(|| batch("gpt").map(Self::Gpt))
    }

    fn examples(self) -> usize {
        match self {
            Self::Mlp(batch) | Self::ResNet(batch) | Self::Gpt(batch) => batch,
        }
    }
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Forward and backward with the layers of candle-nn.
    Plain,
    /// The same gradients with the captured layers, nothing measured.
    Fastest,
    /// Signal, noise and `C` per example, exactly.
    Exact,
    /// The variance of every parameter too.
    Diagonal,
    /// `C` and the Kronecker factors of every layer with a weight matrix.
    Kfac,
    /// Nothing but the matrix products of forward and backward, by candle.
    Products,
    /// The same by faer.
    FaerProducts,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Plain,
        Self::Fastest,
        Self::Exact,
        Self::Diagonal,
        Self::Kfac,
        Self::Products,
        Self::FaerProducts,
    ];

    /// For tables and rows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Fastest => "fastest",
            Self::Exact => "exact",
            Self::Diagonal => "diagonal",
            Self::Kfac => "kfac",
            Self::Products => "products",
            Self::FaerProducts => "products-faer",
        }
    }

    /// Of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.name() == name)
    }
}

/// One matrix product `[m, k] x [k, n]`, done so many times a step.
#[derive(Clone, Copy, Debug)]
pub struct Product {
    /// `m`, `k`, `n`.
    pub sides: [usize; 3],
    /// How often.
    pub times: usize,
}

type Loss = Box<dyn Fn() -> Result<Tensor>>;

/// A model with both kinds of layers over the same parameters, and a batch.
pub struct Job {
    parameters: Vec<(String, Var)>,
    examples: usize,
    plain: Loss,
    own: Loss,
    products: Vec<Product>,
    operands: Vec<(Tensor, Tensor)>,
}

const SIZES: GptSizes = GptSizes {
    vocabulary: 96,
    width: 64,
    heads: 4,
    context: 64,
    blocks: 2,
};
const WIDTHS: [usize; 4] = [784, 512, 512, 10];

fn classes(name: &str, count: usize, of: u32, shape: &[usize]) -> Result<Tensor> {
    let mut generator = Seed::root(5).derive(name).generator();
    let drawn: Vec<u32> = (0..count).map(|_| generator.random_range(0..of)).collect();
    Tensor::from_vec(drawn, shape, &Device::Cpu)
}

fn normal(shape: &[usize]) -> Result<Tensor> {
    let count = shape.iter().product();
    let drawn = standard_normals(&mut Seed::root(5).derive("data").generator(), count);
    Tensor::from_vec(drawn, shape, &Device::Cpu)?.to_dtype(DType::F32)
}

impl Job {
    /// In `f32`, on the CPU. Without `affine`, normalisations have neither scale nor shift.
    ///
    /// # Errors
    /// Whatever candle reports.
    pub fn new(model: Model, affine: bool) -> Result<Self> {
        let vars = SeededVars::new(Seed::root(5).derive("weights"));
        let vb = vars.builder(DType::F32, &Device::Cpu);
        let batch = model.examples();
        let (plain, own, products) = match model {
            Model::Mlp(_) => {
                let x = normal(&[batch, WIDTHS[0]])?;
                let y = classes("labels", batch, 10, &[batch])?;
                let loss = |network: Perceptron, over: Functions| -> Loss {
                    let (x, y) = (x.clone(), y.clone());
                    Box::new(move || (over.cross_entropy)(&network.forward(&x)?, &y))
                };
                (
                    loss(Perceptron::new::<Plain>(&WIDTHS, &vb)?, Plain::FUNCTIONS),
                    loss(Perceptron::new::<Own>(&WIDTHS, &vb)?, Own::FUNCTIONS),
                    perceptron_products(batch),
                )
            }
            Model::ResNet(_) => {
                let x = normal(&[batch, 3, 32, 32])?;
                let y = classes("labels", batch, 10, &[batch])?;
                let loss = |network: Residual, over: Functions| -> Loss {
                    let (x, y) = (x.clone(), y.clone());
                    Box::new(move || (over.cross_entropy)(&network.forward(&x)?, &y))
                };
                (
                    loss(Residual::new::<Plain>(16, affine, &vb)?, Plain::FUNCTIONS),
                    loss(Residual::new::<Own>(16, affine, &vb)?, Own::FUNCTIONS),
                    residual_products(batch),
                )
            }
            Model::Gpt(_) => {
                let shape = [batch, SIZES.context];
                let count = batch * SIZES.context;
                let tokens = classes("tokens", count, SIZES.vocabulary as u32, &shape)?;
                let next = classes("next", count, SIZES.vocabulary as u32, &shape)?;
                let loss = |network: Gpt, over: Functions| -> Loss {
                    let (tokens, next) = (tokens.clone(), next.clone());
                    Box::new(move || (over.cross_entropy)(&network.forward(&tokens)?, &next))
                };
                (
                    loss(Gpt::new::<Plain>(SIZES, affine, &vb)?, Plain::FUNCTIONS),
                    loss(Gpt::new::<Own>(SIZES, affine, &vb)?, Own::FUNCTIONS),
                    gpt_products(batch),
                )
            }
        };
        let operands = products.iter().map(|&Product { sides, .. }| {
            let [m, k, n] = sides;
            Ok((
                Tensor::full(0.5f32, (m, k), &Device::Cpu)?,
                Tensor::full(0.25f32, (k, n), &Device::Cpu)?,
            ))
        });
        Ok(Self {
            parameters: vars.named(),
            examples: batch,
            plain,
            own,
            operands: operands.collect::<Result<_>>()?,
            products,
        })
    }

    /// Coordinates of the gradient.
    pub fn dimension(&self) -> usize {
        self.parameters
            .iter()
            .map(|(_, var)| var.elem_count())
            .sum()
    }

    /// Floating-point operations of [`Way::Products`].
    pub fn operations(&self) -> f64 {
        let each = |p: &Product| 2.0 * (p.times * p.sides.iter().product::<usize>()) as f64;
        self.products.iter().map(each).sum()
    }

    /// One step; `C` debiased, where it is measured.
    ///
    /// # Errors
    /// Whatever the capture reports.
    pub fn run(&self, way: Way) -> fjld_core::Result<Option<f64>> {
        let capture = Capture::new(self.examples, Reduction::Mean);
        let capture = match way {
            Way::Plain => {
                let loss = (self.plain)()?;
                std::hint::black_box(loss.backward()?);
                // a training loop reads its loss, and so does a capture
                loss.to_scalar::<f32>()?;
                return Ok(None);
            }
            Way::Fastest => {
                let loss = || (self.own)();
                std::hint::black_box(capture::gradients(self.examples, &self.parameters, loss)?);
                return Ok(None);
            }
            Way::Products => {
                self.multiply()?;
                return Ok(None);
            }
            Way::FaerProducts => {
                self.multiply_by_faer()?;
                return Ok(None);
            }
            Way::Exact => capture,
            Way::Diagonal => capture.diagonal(),
            Way::Kfac => capture.pairs(),
        };
        let captured = capture.run(&self.parameters, || (self.own)())?;
        for pair in &captured.pairs {
            let mut factors = Factors::for_layer(pair, Setting::Expand)?;
            factors.push(pair)?;
            std::hint::black_box(factors);
        }
        Ok(captured.statistics.whole()?.debiased())
    }

    fn multiply(&self) -> Result<()> {
        for (product, (a, b)) in self.products.iter().zip(&self.operands) {
            for _ in 0..product.times {
                std::hint::black_box(a.matmul(b)?);
            }
        }
        Ok(())
    }

    fn multiply_by_faer(&self) -> Result<()> {
        use faer::linalg::matmul::matmul;
        use faer::{Accum, MatMut, MatRef, Par};
        let threads = rayon_threads();
        let par = if threads > 1 {
            Par::rayon(threads)
        } else {
            Par::Seq
        };
        for (product, (a, b)) in self.products.iter().zip(&self.operands) {
            let [m, k, n] = product.sides;
            let (a, b) = (host(a)?, host(b)?);
            for _ in 0..product.times {
                let mut c = vec![0f32; m * n];
                matmul(
                    MatMut::from_row_major_slice_mut(&mut c, m, n),
                    Accum::Replace,
                    MatRef::from_row_major_slice(&a, m, k),
                    MatRef::from_row_major_slice(&b, k, n),
                    1.0,
                    par,
                );
                std::hint::black_box(c);
            }
        }
        Ok(())
    }
}

fn host(x: &Tensor) -> Result<Vec<f32>> {
    x.flatten_all()?.to_vec1()
}

/// Threads of the pool that candle and the captured layers share.
pub fn rayon_threads() -> usize {
    rayon::current_num_threads()
}

/// A layer `[rows, from] -> [rows, to]`: forward, gradient of the weight and, where wanted, of the input.
fn layer(rows: usize, from: usize, to: usize, input_wanted: bool, times: usize) -> Vec<Product> {
    let mut products = vec![
        Product {
            sides: [rows, from, to],
            times,
        },
        Product {
            sides: [to, rows, from],
            times,
        },
    ];
    if input_wanted {
        products.push(Product {
            sides: [rows, to, from],
            times,
        });
    }
    products
}

fn perceptron_products(batch: usize) -> Vec<Product> {
    let layers = WIDTHS
        .windows(2)
        .enumerate()
        .map(|(at, pair)| layer(batch, pair[0], pair[1], at > 0, 1));
    layers.flatten().collect()
}

fn residual_products(batch: usize) -> Vec<Product> {
    let mut products = layer(batch * 32 * 32, 27, 16, false, 1);
    for stage in 0..4 {
        let (width, side) = (16usize << stage, 32usize >> stage);
        let rows = batch * side * side;
        if stage == 0 {
            products.extend(layer(rows, 9 * width, width, true, 4));
        } else {
            products.extend(layer(rows, 9 * width / 2, width, true, 1));
            products.extend(layer(rows, width / 2, width, true, 1));
            products.extend(layer(rows, 9 * width, width, true, 3));
        }
    }
    products.extend(layer(batch, 128, 10, true, 1));
    products
}

fn gpt_products(batch: usize) -> Vec<Product> {
    let GptSizes {
        vocabulary,
        width,
        heads,
        context,
        blocks,
    } = SIZES;
    let rows = batch * context;
    let each = width / heads;
    let mut products = layer(rows, width, vocabulary, true, 1);
    for (from, to) in [
        (width, 3 * width),
        (width, width),
        (width, 4 * width),
        (4 * width, width),
    ] {
        products.extend(layer(rows, from, to, true, blocks));
    }
    // scores and mixing, forward and backward
    let times = batch * heads * blocks;
    for sides in [
        [context, each, context],
        [context, context, each],
        [context, context, each],
        [context, context, each],
        [context, each, context],
        [context, context, each],
    ] {
        products.push(Product { sides, times });
    }
    products
}

/// The largest relative difference of an entry of the gradients by both kinds of layers, against the largest entry: what makes the
/// comparison one of the same thing.
///
/// # Errors
/// Whatever candle reports, or a parameter without a gradient.
pub fn disagreement(job: &Job) -> fjld_core::Result<f64> {
    let plain = (job.plain)()?.backward()?;
    let own = Capture::new(job.examples, Reduction::Mean).run(&job.parameters, || (job.own)())?;
    let (_, fastest) = capture::gradients(job.examples, &job.parameters, || (job.own)())?;
    let mut worst = 0f64;
    for (name, var) in &job.parameters {
        let missing = || fjld_core::Error::NoGradient {
            name: name.clone(),
            shape: var.dims().to_vec(),
        };
        let expected = plain.get(var).ok_or_else(missing)?;
        let scale = expected.abs()?.flatten_all()?.max(D::Minus1)?;
        for store in [&own.gradients, &fastest] {
            let got = store.get(var).ok_or_else(missing)?;
            let gap = (got - expected)?.abs()?.flatten_all()?.max(D::Minus1)?;
            let ratio = f64::from(gap.to_scalar::<f32>()?) / f64::from(scale.to_scalar::<f32>()?);
            worst = worst.max(ratio);
        }
    }
    Ok(worst)
}
