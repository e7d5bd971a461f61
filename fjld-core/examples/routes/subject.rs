//! Small models with seeded weights and data, the same numbers on every device.

use crate::models::{Cnn, Gpt, Mlp};
use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::{Module, loss::cross_entropy};
use fjld_core::rng::{Generator, Seed, SeededVars, standard_normals};
use rand::RngExt;

pub const EXAMPLES: usize = 9;
const POSITIONS: usize = 5;

/// Which model.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// 5 - 7 - 4 with relu.
    Mlp,
    /// Convolutions, one of them in groups, and a group normalisation.
    Cnn,
    /// A block of attention between tied embeddings.
    Gpt,
}

/// The mean loss of `count` examples from one on.
type Loss = Box<dyn Fn(usize, usize) -> Result<Tensor>>;

/// A model with its data.
pub struct Subject {
    pub parameters: Vec<(String, Var)>,
    pub loss: Loss,
}

impl Subject {
    pub fn new(kind: Kind, dtype: DType, device: &Device) -> Result<Self> {
        let seed = Seed::root(31).derive(&format!("{kind:?}"));
        let vars = SeededVars::new(seed);
        let builder = vars.builder(dtype, device);
        let generator = &mut seed.derive("data").generator();
        let loss = match kind {
            Kind::Mlp => {
                let x = normal(generator, &[EXAMPLES, 5], device)?.to_dtype(dtype)?;
                let y = classes(generator, 4, &[EXAMPLES], device)?;
                mean_loss(Mlp::new(builder)?, x, y)
            }
            Kind::Cnn => {
                let x = normal(generator, &[EXAMPLES, 2, 8, 11], device)?.to_dtype(dtype)?;
                let y = classes(generator, 3, &[EXAMPLES], device)?;
                mean_loss(Cnn::new(builder)?, x, y)
            }
            Kind::Gpt => {
                let x = classes(generator, 7, &[EXAMPLES, POSITIONS], device)?;
                let y = classes(generator, 7, &[EXAMPLES, POSITIONS], device)?;
                mean_loss(Gpt::new(builder)?, x, y)
            }
        };
        Ok(Self {
            parameters: vars.named(),
            loss,
        })
    }
}

fn mean_loss(model: impl Module + 'static, x: Tensor, y: Tensor) -> Loss {
    Box::new(move |start, count| {
        let logits = model.forward(&x.narrow(0, start, count)?)?;
        let logits = logits.flatten_to(logits.rank() - 2)?;
        // every example has as many targets as any other: the mean over all is the mean of the examples' means
        cross_entropy(&logits, &y.narrow(0, start, count)?.flatten_all()?)
    })
}

fn normal(generator: &mut Generator, shape: &[usize], device: &Device) -> Result<Tensor> {
    let values = standard_normals(generator, shape.iter().product());
    Tensor::from_vec(values, shape, device)
}

fn classes(
    generator: &mut Generator,
    count: u32,
    shape: &[usize],
    device: &Device,
) -> Result<Tensor> {
    let values: Vec<u32> = (0..shape.iter().product())
        .map(|_| generator.random_range(0..count))
        .collect();
    Tensor::from_vec(values, shape, device)
}
