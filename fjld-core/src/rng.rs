//! Seeded randomness: one root seed, and a named stream for everything that draws.
//!
//! candle's CPU generator can not be seeded, so no draw of this project uses it: numbers come from ChaCha and enter candle by
//! `Tensor::from_vec`. A stream depends on the root and its own name only, not on what was drawn before it, so that adding a draw
//! in one place changes no other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use candle_core::{DType, Device, Shape, Tensor, Var};
use candle_nn::init::{Init, NormalOrUniform};
use candle_nn::var_builder::{SimpleBackend, VarBuilder};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use sha2::{Digest, Sha256};

/// The generator behind every draw.
pub type Generator = ChaCha8Rng;

/// A seed from which named, independent streams derive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seed([u8; 32]);

impl Seed {
    /// The seed of a whole run.
    pub fn root(value: u64) -> Self {
        Self(Sha256::digest(value.to_le_bytes()).into())
    }

    /// The seed of the stream called `name` under this one.
    pub fn derive(&self, name: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(name.as_bytes());
        Self(hash.finalize().into())
    }

    /// A fresh generator at the start of this stream.
    pub fn generator(&self) -> Generator {
        ChaCha8Rng::from_seed(self.0)
    }
}

/// `count` independent standard normal draws.
pub fn standard_normals(generator: &mut impl Rng, count: usize) -> Vec<f64> {
    (0..count)
        .map(|_| StandardNormal.sample(generator))
        .collect()
}

/// A uniform random permutation of `0..count` (Fisher and Yates).
pub fn permutation(generator: &mut impl Rng, count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        order.swap(last, generator.random_range(0..=last));
    }
    order
}

/// The trainable variables of a model, initialised from a [`Seed`].
///
/// Stands where `candle_nn::VarMap` would: layers built from [`SeededVars::builder`] get their variables here. Each variable's values
/// depend on the seed and on its own name, not on the order in which layers are built.
#[derive(Clone)]
pub struct SeededVars {
    seed: Seed,
    vars: Arc<Mutex<BTreeMap<String, Var>>>,
}

impl SeededVars {
    /// No variables yet.
    pub fn new(seed: Seed) -> Self {
        Self {
            seed,
            vars: Arc::default(),
        }
    }

    /// A `VarBuilder` whose variables are created here on first use.
    pub fn builder(&self, dtype: DType, device: &Device) -> VarBuilder<'static> {
        VarBuilder::from_backend(Box::new(self.clone()), dtype, device.clone())
    }

    /// Every variable with its name, in the order of the names.
    pub fn named(&self) -> Vec<(String, Var)> {
        let vars = self.vars.lock().expect("no holder of this lock panics");
        vars.iter()
            .map(|(name, var)| (name.clone(), var.clone()))
            .collect()
    }

    fn draw(&self, name: &str, shape: &Shape, init: Init) -> Vec<f64> {
        let generator = &mut self.seed.derive(name).generator();
        let count = shape.elem_count();
        match init {
            Init::Const(value) => vec![value; count],
            Init::Randn { mean, stdev } => normals(generator, count, mean, stdev),
            Init::Uniform { lo, up } => uniforms(generator, count, lo, up),
            Init::Kaiming {
                dist,
                fan,
                non_linearity,
            } => {
                let std = non_linearity.gain() / (fan.for_shape(shape) as f64).sqrt();
                match dist {
                    NormalOrUniform::Normal => normals(generator, count, 0.0, std),
                    NormalOrUniform::Uniform => {
                        let bound = 3f64.sqrt() * std;
                        uniforms(generator, count, -bound, bound)
                    }
                }
            }
        }
    }
}

fn normals(generator: &mut Generator, count: usize, mean: f64, stdev: f64) -> Vec<f64> {
    let mut values = standard_normals(generator, count);
    values.iter_mut().for_each(|v| *v = mean + stdev * *v);
    values
}

fn uniforms(generator: &mut Generator, count: usize, low: f64, high: f64) -> Vec<f64> {
    (0..count)
        .map(|_| low + (high - low) * generator.random::<f64>())
        .collect()
}

impl SimpleBackend for SeededVars {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        init: Init,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let mut vars = self.vars.lock().expect("no holder of this lock panics");
        if let Some(var) = vars.get(name) {
            if var.shape() != &shape {
                candle_core::bail!(
                    "variable `{name}` was created with shape {:?} and asked for with shape {shape:?}",
                    var.shape()
                );
            }
            return Ok(var.as_tensor().clone());
        }
        let values = Tensor::from_vec(self.draw(name, &shape, init), shape, device)?;
        let var = Var::from_tensor(&values.to_dtype(dtype)?)?;
        let tensor = var.as_tensor().clone();
        vars.insert(name.to_owned(), var);
        Ok(tensor)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        let vars = self.vars.lock().expect("no holder of this lock panics");
        match vars.get(name) {
            Some(var) => Ok(var.as_tensor().clone()),
            None => candle_core::bail!(
                "variable `{name}` does not exist yet, and its shape is not known here"
            ),
        }
    }

    fn contains_tensor(&self, name: &str) -> bool {
        let vars = self.vars.lock().expect("no holder of this lock panics");
        vars.contains_key(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_nn::init::{FanInOut, NonLinearity};

    #[test]
    fn a_stream_depends_on_its_name_and_not_on_what_was_drawn_before() {
        let root = Seed::root(7);
        let alone = standard_normals(&mut root.derive("b").generator(), 3);
        standard_normals(&mut root.derive("a").generator(), 100);
        assert_eq!(
            alone,
            standard_normals(&mut root.derive("b").generator(), 3)
        );
        assert_ne!(
            alone,
            standard_normals(&mut root.derive("a").generator(), 3)
        );
    }

    #[test]
    fn a_layer_gets_the_same_weights_whatever_was_built_before_it() -> candle_core::Result<()> {
        let weights = |names: &[&str]| -> candle_core::Result<Vec<f32>> {
            let vars = SeededVars::new(Seed::root(1));
            let builder = vars.builder(DType::F32, &Device::Cpu);
            for name in names {
                candle_nn::linear(3, 2, builder.pp(name))?;
            }
            builder
                .pp("head")
                .get((2, 3), "weight")?
                .flatten_all()?
                .to_vec1()
        };
        assert_eq!(weights(&["head"])?, weights(&["body", "head"])?);
        Ok(())
    }

    #[test]
    fn a_permutation_holds_every_index_once() {
        let mut order = permutation(&mut Seed::root(3).generator(), 50);
        assert_ne!(order, (0..50).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn kaiming_uniform_weights_fill_the_range_that_their_fan_in_says() {
        // He's deviation for rectifiers is sqrt(2 / 24) at 24 inputs; a uniform law has it on +- sqrt(3) times that, which is 1/2
        let vars = SeededVars::new(Seed::root(1));
        let init = Init::Kaiming {
            dist: NormalOrUniform::Uniform,
            fan: FanInOut::FanIn,
            non_linearity: NonLinearity::ReLU,
        };
        let drawn = vars.draw("weight", &Shape::from((100, 24)), init);
        let least = drawn.iter().copied().fold(f64::INFINITY, f64::min);
        let largest = drawn.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // that none of 2400 draws falls into the last hundredth has a chance of 3e-11
        assert!((-0.5..-0.49).contains(&least), "{least}");
        assert!((0.49..0.5).contains(&largest), "{largest}");
        let square = drawn.iter().map(|w| w * w).sum::<f64>() / 2400.0;
        // the square of such a draw has the mean 1/12 and the variance 1/80 - 1/144 = 0.0745^2: five standard errors
        assert!((square - 1.0 / 12.0).abs() < 5.0 * 0.0745 / 2400f64.sqrt());
    }

    #[test]
    fn normal_weights_are_their_mean_and_deviation_times_the_stream_of_their_name()
    -> candle_core::Result<()> {
        let seed = Seed::root(2);
        let builder = SeededVars::new(seed).builder(DType::F64, &Device::Cpu);
        let init = Init::Randn {
            mean: 3.0,
            stdev: 0.5,
        };
        let weights = builder.pp("head").get_with_hints(4, "weight", init)?;
        let stream = standard_normals(&mut seed.derive("head.weight").generator(), 4);
        let expected: Vec<f64> = stream.iter().map(|z| 3.0 + 0.5 * z).collect();
        assert_eq!(weights.to_vec1::<f64>()?, expected);
        Ok(())
    }

    #[test]
    fn a_variable_is_there_once_a_layer_has_asked_for_it() -> candle_core::Result<()> {
        let builder = SeededVars::new(Seed::root(1)).builder(DType::F32, &Device::Cpu);
        assert!(!builder.pp("head").contains_tensor("weight"));
        candle_nn::linear_no_bias(3, 2, builder.pp("head"))?;
        assert!(builder.pp("head").contains_tensor("weight"));
        assert!(!builder.pp("head").contains_tensor("bias"));
        Ok(())
    }
}
