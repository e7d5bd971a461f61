//! One file of `scripts/golden/make.py`, of which every tensor is to be compared.

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{Module, VarBuilder, loss::cross_entropy};
use faer::MatRef;
use fjld_core::Result;
use fjld_core::capture::{Capture, Captured, LayerPair, Reduction};
use fjld_core::fisher::{Dense, SecondMoment};
use fjld_core::kronecker::{Factors, Setting};
use std::collections::HashMap;

/// Relative to the largest entry of a tensor. Both sides took sums of up to some 1e3 products in `f64`, in other orders, through a few
/// layers: roundings of 1e-13 at the very most (2e-15 is what shows), and some digits for another processor. A divisor `n` for `n - 1`
/// shows as 0.2, a normalisation's epsilon of 0.1 rounded to `f32` as 4e-10.
const TOLERANCE: f64 = 1e-10;

/// Parameters with their names.
pub type Parameters = Vec<(String, Var)>;

/// A file, of which every tensor is taken once.
pub struct Golden {
    left: HashMap<String, Tensor>,
    /// In the order of their names.
    pub parameters: Parameters,
    /// `[examples, ...]`.
    pub inputs: Tensor,
    targets: Tensor,
}

impl Golden {
    pub fn load(kind: &str) -> Result<Self> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
        let path = format!("{folder}/{kind}.safetensors");
        let mut left = candle_core::safetensors::load(path, &Device::Cpu)?;
        let mut names: Vec<String> = left
            .keys()
            .filter_map(|name| name.strip_prefix("weights.").map(str::to_owned))
            .collect();
        names.sort();
        let mut parameters = Vec::new();
        for name in names {
            let weights = take(&mut left, &format!("weights.{name}"));
            parameters.push((name, Var::from_tensor(&weights)?));
        }
        let inputs = take(&mut left, "data.inputs");
        let targets = take(&mut left, "data.targets").to_dtype(DType::U32)?;
        Ok(Self {
            left,
            parameters,
            inputs,
            targets,
        })
    }

    /// The parameters by name, for constructors like candle-nn's.
    pub fn builder(&self) -> VarBuilder<'static> {
        let own = |(name, var): &(String, Var)| (name.clone(), var.as_tensor().clone());
        let tensors = self.parameters.iter().map(own).collect();
        VarBuilder::from_tensors(tensors, DType::F64, &Device::Cpu)
    }

    pub fn examples(&self) -> Result<usize> {
        Ok(self.inputs.dim(0)?)
    }

    /// One pass at the real targets. `model` gives logits `[examples, (positions,) classes]`.
    pub fn pass(
        &self,
        capture: impl FnOnce(Capture) -> Capture,
        parameters: &[(String, Var)],
        model: &impl Module,
    ) -> Result<Captured> {
        let capture = capture(Capture::new(self.examples()?, Reduction::Mean));
        capture.run(parameters, || {
            let logits = model.forward(&self.inputs)?;
            // every example has as many targets as any other: the mean over all is the mean of the examples' means
            let logits = logits.flatten_to(logits.rank() - 2)?;
            cross_entropy(&logits, &self.targets.flatten_all()?)
        })
    }

    /// Takes the tensor `name` and holds `got` against it.
    pub fn assert_is(&mut self, name: &str, got: &Tensor) -> Result<()> {
        let expected = take(&mut self.left, name);
        assert_eq!(got.dims(), expected.dims(), "{name}");
        let (got, expected) = (entries(got)?, entries(&expected)?);
        let size = largest(expected.iter().copied());
        let gaps = got.iter().zip(&expected).map(|(g, e)| g - e);
        let gap = largest(gaps);
        assert!(
            size > 0.0 && gap <= TOLERANCE * size,
            "{name}: {gap:e} of {size:e}"
        );
        Ok(())
    }

    /// Rows, means, variances, norms, signal, noise and `C`.
    pub fn assert_statistics(&mut self, captured: &Captured) -> Result<()> {
        let statistics = &captured.statistics;
        let n = self.examples()?;
        assert_eq!(statistics.parameters().len(), self.parameters.len());
        for parameter in statistics.parameters() {
            let (name, mean) = (parameter.name(), parameter.mean()?);
            let rows = parameter.rows().expect("they were asked for");
            let shape = [&[n], mean.dims()].concat();
            self.assert_is(&format!("rows.{name}"), &rows.reshape(shape)?)?;
            let variances = parameter.variances()?.expect("they were asked for");
            self.assert_is(&format!("variance.{name}"), &variances)?;
            // what the optimiser is given is the same mean
            let var = self.parameters.iter().find(|(own, _)| own == name);
            let gradient = var.and_then(|(_, var)| captured.gradients.get(var));
            let gap = (&mean - gradient.expect("every parameter has one"))?;
            // of entries near 1
            assert!(largest(entries(&gap)?.into_iter()) < TOLERANCE, "{name}");
            self.assert_is(&format!("mean.{name}"), &mean)?;
        }
        let scalar = |value: f64| Tensor::new(value, &Device::Cpu);
        let norms = Tensor::new(statistics.squared_norms(), &Device::Cpu)?;
        self.assert_is("squared_norms", &norms)?;
        let whole = statistics.whole()?;
        self.assert_is("signal", &scalar(whole.signal)?)?;
        self.assert_is("noise", &scalar(whole.noise)?)?;
        let c = statistics.ratio(0.95)?.estimates.expect("there is noise");
        self.assert_is("ratio", &scalar(c.plug_in)?)
    }

    /// The Kronecker factors of these layers and no others.
    pub fn assert_factors(&mut self, pairs: &[LayerPair], layers: &[&str]) -> Result<()> {
        let found: Vec<&str> = pairs.iter().map(|pair| pair.layer.as_str()).collect();
        assert_eq!(found, layers);
        for pair in pairs {
            for (form, setting) in [("expand", Setting::Expand), ("reduce", Setting::Reduce)] {
                let mut factors = Factors::for_layer(pair, setting)?;
                factors.push(pair)?;
                let name = format!("factors.{}.{form}", pair.layer);
                self.assert_is(&format!("{name}.a"), &matrix(&factors.input_factor()?)?)?;
                self.assert_is(&format!("{name}.g"), &matrix(&factors.gradient_factor()?)?)?;
            }
        }
        Ok(())
    }

    /// The empirical Fisher of one layer with a bias.
    pub fn assert_fisher(&mut self, captured: &Captured, layer: &str) -> Result<()> {
        let rows = |part: &str| {
            let name = format!("{layer}.{part}");
            let parameters = captured.statistics.parameters();
            let found = parameters.iter().find(|p| p.name() == name);
            found.and_then(|p| p.rows()).expect("the layer has it")
        };
        let bias = rows("bias").unsqueeze(2)?;
        let (n, outputs, _) = bias.dims3()?;
        let weight = rows("weight").reshape((n, outputs, ()))?;
        let joint = Tensor::cat(&[weight, bias], 2)?.flatten_from(1)?;
        let fisher = SecondMoment::<Dense>::empirical(&joint)?;
        self.assert_is(&format!("fisher.{layer}"), &matrix(fisher.curvature())?)
    }

    pub fn assert_nothing_left(self) {
        let left: Vec<&String> = self.left.keys().collect();
        assert!(left.is_empty(), "never compared: {left:?}");
    }
}

fn take(tensors: &mut HashMap<String, Tensor>, name: &str) -> Tensor {
    let tensor = tensors.remove(name);
    tensor.unwrap_or_else(|| panic!("the file has no `{name}`, or it was taken before"))
}

fn entries(x: &Tensor) -> Result<Vec<f64>> {
    Ok(x.flatten_all()?.to_vec1()?)
}

/// The largest size of a number, infinite if one is NaN.
fn largest(numbers: impl Iterator<Item = f64>) -> f64 {
    numbers.fold(0.0, |most, x| match x.is_nan() {
        true => f64::INFINITY,
        false => most.max(x.abs()),
    })
}

/// A matrix as a tensor.
pub fn matrix(dense: &Dense) -> Result<Tensor> {
    let matrix: MatRef<'_, f64> = dense.matrix();
    let rows = matrix.row_iter().flat_map(|row| row.iter().copied());
    let shape = (matrix.nrows(), matrix.ncols());
    Ok(Tensor::from_vec(rows.collect(), shape, &Device::Cpu)?)
}
