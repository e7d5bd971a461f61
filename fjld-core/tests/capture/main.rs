//! The two routes to per-example gradients against each other: one pass through the captured layers, and candle's autograd example by
//! example. Outside a capture the same layers are candle-nn's, so that both routes see the same model.

mod activation;
mod conv;
mod embedding;
mod linear;
mod loss;
mod models;
mod norm;
mod padding;
mod refusals;
mod statistics;

use candle_core::{DType, Device, Tensor, Var};
use fjld_core::capture::{Capture, Captured, Reduction};
use fjld_core::rng::{Generator, Seed, SeededVars, standard_normals};
use fjld_core::{Moments, Ratio, Result};

type Parameters = Vec<(String, Var)>;

/// The mean loss of these examples.
type Loss<'a> = Box<dyn Fn(&[u32]) -> candle_core::Result<Tensor> + 'a>;

/// A model under test: its parameters, and the mean loss of any of its examples.
pub(crate) struct Subject<'a> {
    pub(crate) parameters: Parameters,
    pub(crate) examples: usize,
    pub(crate) loss: Loss<'a>,
}

/// What two routes may differ by in f64, relative to the largest gradient: sums of at most some 1e4 products, rounded in another order.
pub(crate) const TOLERANCE: f64 = 1e-11;

pub(crate) fn seeded(name: &str) -> (SeededVars, Generator) {
    let seed = Seed::root(2026).derive(name);
    (SeededVars::new(seed), seed.derive("data").generator())
}

pub(crate) fn normal(generator: &mut Generator, shape: &[usize]) -> candle_core::Result<Tensor> {
    let values = standard_normals(generator, shape.iter().product());
    Tensor::from_vec(values, shape, &Device::Cpu)
}

/// What `f` gives inside a capture of one example, in which some layer has to take part.
pub(crate) fn inside<T>(f: impl FnOnce() -> candle_core::Result<T>) -> Result<T> {
    use candle_nn::Module;
    let (vars, _) = seeded("inside");
    let builder = vars.builder(DType::F64, &Device::Cpu);
    let layer = fjld_core::capture::linear(1, 1, builder)?;
    let one = Tensor::ones((1, 1), DType::F64, &Device::Cpu)?;
    let mut value = None;
    Capture::new(1, Reduction::Sum).run(&vars.named(), || {
        value = Some(f()?);
        layer.forward(&one)?.sum_all()
    })?;
    Ok(value.expect("the loss was computed"))
}

/// The given rows of a tensor.
pub(crate) fn pick(x: &Tensor, rows: &[u32]) -> candle_core::Result<Tensor> {
    x.index_select(&Tensor::new(rows, x.device())?, 0)
}

/// A smooth scalar of any output `[examples, ...]` with its own random weights: the mean over examples of `(w . tanh(z))^2 / 2 + w . z`.
pub(crate) fn smooth_loss(z: &Tensor, weights: &Tensor) -> candle_core::Result<Tensor> {
    let z = z.flatten_from(1)?;
    let weights = weights.reshape((1, ()))?;
    let bent = z.tanh()?.broadcast_mul(&weights)?.sum(1)?;
    let straight = z.broadcast_mul(&weights)?.sum(1)?;
    ((bent.sqr()? * 0.5)? + straight)?.mean(0)
}

impl Subject<'_> {
    /// Per-example gradients `[n, d]` by candle's autograd, one backward pass each.
    pub(crate) fn generic(&self) -> Result<Vec<Vec<f64>>> {
        let mut rows = Vec::new();
        for example in 0..self.examples as u32 {
            let gradients = (self.loss)(&[example])?.backward()?;
            let mut row = Vec::new();
            for (name, var) in &self.parameters {
                let gradient = gradients
                    .get(var)
                    .unwrap_or_else(|| panic!("candle's autograd gives no gradient of `{name}`"));
                row.extend(
                    gradient
                        .flatten_all()?
                        .to_dtype(DType::F64)?
                        .to_vec1::<f64>()?,
                );
            }
            rows.push(row);
        }
        Ok(rows)
    }

    pub(crate) fn all(&self) -> Vec<u32> {
        (0..self.examples as u32).collect()
    }

    /// Measures everything but the pairs for the Kronecker factors.
    pub(crate) fn capture(&self) -> Capture {
        Capture::new(self.examples, Reduction::Mean)
            .diagonal()
            .rows()
            .interval()
    }

    pub(crate) fn captured(&self) -> Result<Captured> {
        self.capture()
            .pairs()
            .run(&self.parameters, || (self.loss)(&self.all()))
    }

    /// Asserts that both routes agree in everything that a capture measures.
    pub(crate) fn assert_routes_agree(&self) -> Result<()> {
        self.assert_agrees(&self.captured()?)
    }

    /// Asserts that autograd agrees with what was captured.
    pub(crate) fn assert_agrees(&self, captured: &Captured) -> Result<()> {
        let expected = self.generic()?;
        let statistics = &captured.statistics;
        let d = expected[0].len();
        let size = expected
            .iter()
            .flatten()
            .fold(0.0f64, |m, v| m.max(v.abs()));
        assert!(size > 0.0, "a model without gradients tests nothing");
        let close = |got: f64, expected: f64, scale: f64, what: &str| {
            assert!(
                (got - expected).abs() <= TOLERANCE * scale,
                "{what}: {got} against {expected}, ratio {}",
                got / expected
            );
        };

        // every draw, written out
        let rows = statistics
            .rows()?
            .expect("they were asked for")
            .to_vec2::<f64>()?;
        assert_eq!((rows.len(), rows[0].len()), (self.examples, d));
        for (row, expected) in rows.iter().zip(&expected) {
            for (got, expected) in row.iter().zip(expected) {
                close(*got, *expected, size, "a per-example gradient");
            }
        }

        // what was never written out
        let squared = size * size * d as f64;
        let norms = statistics.squared_norms();
        for (norm, row) in norms.iter().zip(&expected) {
            let expected: f64 = row.iter().map(|g| g * g).sum();
            close(*norm, expected, squared, "a squared norm");
        }
        let mut moments = Moments::new(d)?;
        for row in &expected {
            moments.push(row)?;
        }
        let gradients = expected;
        let mut at = 0;
        for parameter in statistics.parameters() {
            let mean = parameter.mean()?.flatten_all()?.to_vec1::<f64>()?;
            let variances = parameter.variances()?.expect("they were asked for");
            let variances = variances.flatten_all()?.to_vec1::<f64>()?;
            let expected = moments.variances()?;
            for (k, (mean, variance)) in mean.iter().zip(&variances).enumerate() {
                close(*mean, moments.mean()[at + k], size, "a mean");
                close(*variance, expected[at + k], size * size, "a variance");
            }
            let own = parameter.squared_norms();
            assert_eq!(own.len(), self.examples);
            for (norm, row) in own.iter().zip(&gradients) {
                let expected: f64 = row[at..][..mean.len()].iter().map(|g| g * g).sum();
                close(*norm, expected, squared, "a parameter's squared norm");
            }
            at += mean.len();
        }
        let whole = statistics.whole()?;
        assert_eq!(whole.coordinates, d);
        close(
            whole.signal,
            moments.squared_mean_norm(),
            squared,
            "the signal",
        );
        close(whole.noise, moments.trace()?, squared, "the noise");
        let layers = statistics.by_layer()?;
        close(
            layers.iter().map(|l| l.signal).sum(),
            whole.signal,
            squared,
            "the layers' signal",
        );
        close(
            layers.iter().map(|l| l.noise).sum(),
            whole.noise,
            squared,
            "the layers' noise",
        );

        // the interval from inner products is that from the draws
        let (ours, theirs) = (statistics.ratio(0.95)?, Ratio::estimate(&moments, 0.95)?);
        let interval = |r: &Ratio| {
            r.estimates
                .as_ref()
                .ok()
                .and_then(|e| e.interval.clone().ok())
        };
        if let (Some(ours), Some(theirs)) = (interval(&ours), interval(&theirs)) {
            // the ends are found by halving, from moments that differ by rounding
            close(
                ours.low,
                theirs.low,
                1e4 * (1.0 + theirs.low.abs()),
                "the interval's low end",
            );
            close(
                ours.high,
                theirs.high,
                1e4 * (1.0 + theirs.high.abs()),
                "the interval's high end",
            );
        } else {
            assert_eq!(interval(&ours).is_some(), interval(&theirs).is_some());
        }

        // the optimiser gets what plain backpropagation would give it
        let plain = (self.loss)(&self.all())?.backward()?;
        for (name, var) in &self.parameters {
            let ours = captured
                .gradients
                .get(var)
                .expect("every parameter has one");
            let theirs = plain.get(var).expect("as above");
            let gap = (ours - theirs)?
                .abs()?
                .flatten_all()?
                .max(0)?
                .to_scalar::<f64>()?;
            assert!(gap <= TOLERANCE * size, "{name} differs by {gap}");
        }
        Ok(())
    }
}
