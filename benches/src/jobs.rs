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
    /// ResNet-18 of 64 to 512 channels, for a GPU.
    WideResNet(usize),
    /// Four blocks of 256 features and 8 heads, 128 tokens out of 65, for a GPU.
    WideGpt(usize),
}

impl Model {
    /// Those of the table of steps on a GPU.
    pub const WIDE: [Self; 2] = [Self::WideResNet(128), Self::WideGpt(64)];

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
            Self::WideResNet(batch) => format!("wide-resnet{batch}"),
            Self::WideGpt(batch) => format!("wide-gpt{batch}"),
        }
    }

    /// Of a name.
    pub fn named(name: &str) -> Option<Self> {
        let batch = |prefix| name.strip_prefix(prefix)?.parse().ok();
        batch("mlp")
            .map(Self::Mlp)
            .or_else(|| batch("resnet").map(Self::ResNet))
            .or_else(|| batch("gpt").map(Self::Gpt))
            .or_else(|| batch("wide-resnet").map(Self::WideResNet))
            .or_else(|| batch("wide-gpt").map(Self::WideGpt))
    }

    /// With another number of examples.
    #[must_use]
    pub fn with(self, examples: usize) -> Self {
        match self {
            Self::Mlp(_) => Self::Mlp(examples),
            Self::ResNet(_) => Self::ResNet(examples),
            Self::Gpt(_) => Self::Gpt(examples),
            Self::WideResNet(_) => Self::WideResNet(examples),
            Self::WideGpt(_) => Self::WideGpt(examples),
        }
    }

    fn examples(self) -> usize {
        match self {
            Self::Mlp(batch)
            | Self::ResNet(batch)
            | Self::Gpt(batch)
            | Self::WideResNet(batch)
            | Self::WideGpt(batch) => batch,
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

/// Where tensors live, and of what type they are.
#[derive(Clone, Debug)]
pub struct Place {
    /// Where.
    pub device: Device,
    /// Of parameters and data.
    pub dtype: DType,
}

impl Place {
    /// `f32` on the processor.
    pub const CPU: Self = Self {
        device: Device::Cpu,
        dtype: DType::F32,
    };
}

/// A model with both kinds of layers over the same parameters, and a batch.
pub struct Job {
    place: Place,
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
const WIDE_SIZES: GptSizes = GptSizes {
    vocabulary: 65,
    width: 256,
    heads: 8,
    context: 128,
    blocks: 4,
};
const WIDTHS: [usize; 4] = [784, 512, 512, 10];

fn classes(name: &str, of: u32, shape: &[usize], place: &Place) -> Result<Tensor> {
    let mut generator = Seed::root(5).derive(name).generator();
    let drawn = (0..shape.iter().product()).map(|_| generator.random_range(0..of));
    Tensor::from_vec(drawn.collect::<Vec<u32>>(), shape, &place.device)
}

fn normal(shape: &[usize], place: &Place) -> Result<Tensor> {
    let count = shape.iter().product();
    let drawn = standard_normals(&mut Seed::root(5).derive("data").generator(), count);
    Tensor::from_vec(drawn, shape, &place.device)?.to_dtype(place.dtype)
}

/// Channels of a residual network's first stage.
fn width_of(model: Model) -> usize {
    match model {
        Model::WideResNet(_) => 64,
        _ => 16,
    }
}

fn sizes_of(model: Model) -> GptSizes {
    match model {
        Model::WideGpt(_) => WIDE_SIZES,
        _ => SIZES,
    }
}

/// A loss over a batch that stays the same.
trait Lossy: Module + Sized + 'static {
    /// Inputs and labels.
    fn batch(&self, examples: usize, place: &Place) -> Result<(Tensor, Tensor)>;

    fn loss(self, examples: usize, place: &Place, over: Functions) -> Result<Loss> {
        let (x, y) = self.batch(examples, place)?;
        Ok(Box::new(move || {
            (over.cross_entropy)(&self.forward(&x)?, &y)
        }))
    }
}

/// By candle-nn's layers, and by the captured ones.
fn losses<M: Lossy>(plain: M, own: M, examples: usize, place: &Place) -> Result<[Loss; 2]> {
    Ok([
        plain.loss(examples, place, Plain::FUNCTIONS)?,
        own.loss(examples, place, Own::FUNCTIONS)?,
    ])
}

impl Lossy for Perceptron {
    fn batch(&self, examples: usize, place: &Place) -> Result<(Tensor, Tensor)> {
        let x = normal(&[examples, WIDTHS[0]], place)?;
        Ok((x, classes("labels", 10, &[examples], place)?))
    }
}

impl Lossy for Residual {
    fn batch(&self, examples: usize, place: &Place) -> Result<(Tensor, Tensor)> {
        let x = normal(&[examples, 3, 32, 32], place)?;
        Ok((x, classes("labels", 10, &[examples], place)?))
    }
}

impl Lossy for Gpt {
    fn batch(&self, examples: usize, place: &Place) -> Result<(Tensor, Tensor)> {
        let GptSizes {
            vocabulary,
            context,
            ..
        } = self.sizes();
        let draw = |name| classes(name, vocabulary as u32, &[examples, context], place);
        Ok((draw("tokens")?, draw("next")?))
    }
}

impl Job {
    /// Without `affine`, normalisations have neither scale nor shift.
    ///
    /// # Errors
    /// Whatever candle reports.
    pub fn new(model: Model, affine: bool, place: Place) -> Result<Self> {
        let vars = SeededVars::new(Seed::root(5).derive("weights"));
        let vb = vars.builder(place.dtype, &place.device);
        let batch = model.examples();
        let [plain, own] = match model {
            Model::Mlp(_) => losses(
                Perceptron::new::<Plain>(&WIDTHS, &vb)?,
                Perceptron::new::<Own>(&WIDTHS, &vb)?,
                batch,
                &place,
            )?,
            Model::ResNet(_) | Model::WideResNet(_) => losses(
                Residual::new::<Plain>(width_of(model), affine, &vb)?,
                Residual::new::<Own>(width_of(model), affine, &vb)?,
                batch,
                &place,
            )?,
            Model::Gpt(_) | Model::WideGpt(_) => losses(
                Gpt::new::<Plain>(sizes_of(model), affine, &vb)?,
                Gpt::new::<Own>(sizes_of(model), affine, &vb)?,
                batch,
                &place,
            )?,
        };
        let products = match model {
            Model::Mlp(_) => perceptron_products(batch),
            Model::ResNet(_) | Model::WideResNet(_) => residual_products(batch, width_of(model)),
            Model::Gpt(_) | Model::WideGpt(_) => gpt_products(batch, sizes_of(model)),
        };
        let full = |value: f64, shape: (usize, usize)| {
            Tensor::full(value as f32, shape, &place.device)?.to_dtype(place.dtype)
        };
        let operands = products.iter().map(|&Product { sides, .. }| {
            let [m, k, n] = sides;
            Ok((full(0.5, (m, k))?, full(0.25, (k, n))?))
        });
        Ok(Self {
            parameters: vars.named(),
            examples: batch,
            plain,
            own,
            operands: operands.collect::<Result<_>>()?,
            products,
            place,
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

    /// One step, which is over when this returns; `C` debiased, where it is measured.
    ///
    /// # Errors
    /// Whatever the capture reports.
    pub fn run(&self, way: Way) -> fjld_core::Result<Option<f64>> {
        let c = self.begin(way)?;
        // a GPU works on after its orders are given
        self.place.device.synchronize()?;
        Ok(c)
    }

    fn begin(&self, way: Way) -> fjld_core::Result<Option<f64>> {
        let capture = Capture::new(self.examples, Reduction::Mean);
        let capture = match way {
            Way::Plain => {
                let loss = (self.plain)()?;
                std::hint::black_box(loss.backward()?);
                // a training loop reads its loss, and so does a capture
                loss.to_dtype(DType::F32)?.to_scalar::<f32>()?;
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
    x.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
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

fn residual_products(batch: usize, first: usize) -> Vec<Product> {
    let mut products = layer(batch * 32 * 32, 27, first, false, 1);
    for stage in 0..4 {
        let (width, side) = (first << stage, 32usize >> stage);
        let rows = batch * side * side;
        if stage == 0 {
            products.extend(layer(rows, 9 * width, width, true, 4));
        } else {
            products.extend(layer(rows, 9 * width / 2, width, true, 1));
            products.extend(layer(rows, width / 2, width, true, 1));
            products.extend(layer(rows, 9 * width, width, true, 3));
        }
    }
    products.extend(layer(batch, first << 3, 10, true, 1));
    products
}

fn gpt_products(batch: usize, sizes: GptSizes) -> Vec<Product> {
    let GptSizes {
        vocabulary,
        width,
        heads,
        context,
        blocks,
    } = sizes;
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

/// The largest relative difference of an entry of the gradients by both kinds of layers, against the largest entry, and the parameter that
/// has it: what makes the comparison one of the same thing.
///
/// # Errors
/// Whatever candle reports, or a parameter without a gradient.
pub fn disagreement(job: &Job) -> fjld_core::Result<(f64, String)> {
    let plain = (job.plain)()?.backward()?;
    let own = Capture::new(job.examples, Reduction::Mean).run(&job.parameters, || (job.own)())?;
    let (_, fastest) = capture::gradients(job.examples, &job.parameters, || (job.own)())?;
    let mut worst = (0.0, String::new());
    for (name, var) in &job.parameters {
        let missing = || fjld_core::Error::NoGradient {
            name: name.clone(),
            shape: var.dims().to_vec(),
        };
        let expected = plain.get(var).ok_or_else(missing)?;
        let scale = largest(expected)?;
        for store in [&own.gradients, &fastest] {
            let got = store.get(var).ok_or_else(missing)?;
            let gap = largest(&(got - expected)?)? / scale;
            if gap > worst.0 {
                worst = (gap, name.clone());
            }
        }
    }
    Ok(worst)
}

fn largest(x: &Tensor) -> Result<f64> {
    let x = x.to_dtype(DType::F64)?.abs()?.flatten_all()?;
    x.max(D::Minus1)?.to_scalar()
}
