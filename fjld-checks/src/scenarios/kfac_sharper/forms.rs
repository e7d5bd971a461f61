//! The ratio of one sample of gradients in its several forms: plain, weighted by the diagonal, and in the layers' Kronecker factors.
//!
//! A sample is `n` gradients, each the mean over `B` examples. The weights of a form come from the `n B` examples of the same sample, as
//! the document's procedure takes them; they are second moments of single examples' gradients at the real labels. Then
//! `C = m'W m / Tr(W S)` with `m` and `S` the mean and the covariance of the `n` gradients. An infinite sample has `C(B) = B C(1)` in every
//! form.

use crate::error::Result;
use crate::precision::Scalar;
use candle_core::{D, DType, Device, Tensor};
use fjld_core::capture::LayerPair;
use fjld_core::fisher::Curvature;
use fjld_core::kronecker::{Damping, Factors, KfacRatios, KroneckerRatio, Setting};
use serde::{Deserialize, Serialize};

/// How signal and noise are weighted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Not at all: the document's first `C`.
    Plain,
    /// Each coordinate by the inverse of its second moment; coordinates without any are left out.
    Diagonal,
    /// By the factors' inverse, where they are singular the pseudo-inverse: the limit of no damping.
    KfacUndamped,
    /// By the factors damped as the document prints it.
    KfacPrinted,
    /// By the factors with Martens and Grosse's damping, a share of the block's mean eigenvalue.
    KfacPi,
}

impl Form {
    /// Every form.
    pub const ALL: [Self; 5] = [
        Self::Plain,
        Self::Diagonal,
        Self::KfacUndamped,
        Self::KfacPrinted,
        Self::KfacPi,
    ];

    /// The Kronecker form by every damping.
    pub const KFAC: [Self; 3] = [Self::KfacUndamped, Self::KfacPrinted, Self::KfacPi];

    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Diagonal => "diagonal",
            Self::KfacUndamped => "kfac-undamped",
            Self::KfacPrinted => "kfac-printed",
            Self::KfacPi => "kfac-pi",
        }
    }
}

/// What the factors are damped by.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dampings {
    /// Added to the diagonal of both factors, in whatever units they have.
    pub printed: f64,
    /// Of the mean eigenvalue of a layer's block.
    pub pi_share: f64,
}

/// Of the sum of a block's eigenvalues: a direction with less than this is taken for one that no gradient has. Gradients of 32-bit numbers have some
/// 1e-14 there by rounding.
const PSEUDO_INVERSE: f64 = 1e-10;

/// Every form of the ratio of a sample, in the order of [`Form::ALL`]: the plug-in estimate; `None` where it is undefined.
pub type Ratios = [Option<f64>; 5];

/// The ratios of a sample whose examples lie in `pairs`, layer by layer, in runs of `batch_size`.
///
/// # Errors
/// When candle fails.
pub fn ratios(pairs: &[LayerPair], batch_size: usize, dampings: Dampings) -> Result<Ratios> {
    let mut found = [None; 5];
    let [plain, diagonal] = by_coordinates(pairs, batch_size)?;
    (found[0], found[1]) = (plain, diagonal);
    let factors = pairs
        .iter()
        .map(|pair| {
            let mut factors = Factors::for_layer(pair, Setting::Expand)?;
            factors.push(pair)?;
            Ok(factors)
        })
        .collect::<Result<Vec<Factors>>>()?;
    let batches = pairs
        .iter()
        .map(|pair| in_batches(pair, batch_size))
        .collect::<Result<Vec<LayerPair>>>()?;
    for (at, form) in Form::ALL.into_iter().enumerate().skip(2) {
        found[at] = in_factors(&factors, &batches, form, dampings)?;
    }
    Ok(found)
}

/// A minibatch as one example of several positions: its gradient is then the sum over them of `g/B a'`.
fn in_batches(pair: &LayerPair, batch_size: usize) -> Result<LayerPair> {
    let shaped = |rows: &Tensor| -> Result<Tensor> {
        let width = rows.dim(D::Minus1)?;
        let (examples, positions, _) = rows.dims3()?;
        Ok(rows.reshape((examples / batch_size, batch_size * positions, width))?)
    };
    Ok(LayerPair {
        inputs: shaped(&pair.inputs)?,
        gradients: (shaped(&pair.gradients)? * (1.0 / batch_size as f64))?,
        ..pair.clone()
    })
}

/// The ratio in the metric of the damped factors; `None` where it is singular even so, or the noise vanished.
fn in_factors(
    factors: &[Factors],
    batches: &[LayerPair],
    form: Form,
    dampings: Dampings,
) -> Result<Option<f64>> {
    let mut layers = Vec::with_capacity(factors.len());
    for layer in factors {
        let (a, g) = (layer.input_factor()?, layer.gradient_factor()?);
        let sum = a.trace() * g.trace();
        let mean = sum / (a.dimension() * g.dimension()) as f64;
        let damping = match form {
            Form::KfacPrinted => Damping::Factors(dampings.printed),
            Form::KfacPi => Damping::Pi(dampings.pi_share * mean),
            _ => Damping::Exact(PSEUDO_INVERSE * sum),
        };
        // a layer that no gradient reaches has no metric
        let Ok(block) = layer.block(damping) else {
            return Ok(None);
        };
        let Ok(ratio) = KroneckerRatio::new(layer.layer(), &block, &Device::Cpu) else {
            return Ok(None);
        };
        layers.push(ratio);
    }
    let mut ratios = KfacRatios::new(layers)?;
    ratios.push(batches)?;
    Ok(ratios.reading()?.c_alpha_kfac)
}

/// The plain ratio and the one weighted by the diagonal.
fn by_coordinates(pairs: &[LayerPair], batch_size: usize) -> Result<[Option<f64>; 2]> {
    let mut terms = [[0.0; 2]; 2];
    for pair in pairs {
        let (inputs, gradients) = widened(pair)?;
        let (examples, positions, fan_in) = inputs.dims3()?;
        let fan_out = gradients.dim(2)?;
        let (a, g) = (inputs.flatten_to(1)?, gradients.flatten_to(1)?);
        let draws = (examples / batch_size) as f64;
        let total = g.t()?.matmul(&a)?;
        // (g a)^2 = g^2 a^2 where an example has one position
        let moment = if positions == 1 {
            g.sqr()?.t()?.matmul(&a.sqr()?)?
        } else {
            products(&inputs, &gradients)?.sqr()?.sum(0)?
        };
        let squares = if batch_size == 1 {
            moment.clone()
        } else {
            let together = (examples / batch_size, batch_size * positions);
            let a = a.reshape((together.0, together.1, fan_in))?;
            let g = g.reshape((together.0, together.1, fan_out))?;
            (products(&a, &g)?.sqr()?.sum(0)? / (batch_size * batch_size) as f64)?
        };
        let flat = |t: Tensor| -> Result<Vec<f64>> { Ok(t.flatten_all()?.to_vec1()?) };
        let (total, moment, squares) = (flat(total)?, flat(moment)?, flat(squares)?);
        let largest = moment.iter().copied().fold(0.0, f64::max);
        for ((sum, moment), squares) in total.iter().zip(&moment).zip(&squares) {
            let mean = sum / examples as f64;
            let variance = (squares - draws * mean * mean).max(0.0) / (draws - 1.0);
            let weight = if *moment > PSEUDO_INVERSE * largest {
                examples as f64 / moment
            } else {
                0.0
            };
            for (terms, weight) in terms.iter_mut().zip([1.0, weight]) {
                terms[0] += weight * mean * mean;
                terms[1] += weight * variance;
            }
        }
    }
    Ok(terms.map(|[signal, noise]| {
        // what is left of a difference of sums of 32-bit numbers
        let floor = f64::from(Scalar::EPSILON).powi(2) * signal;
        (noise > floor).then(|| signal / noise)
    }))
}

/// `sum_t g_t a_t'` of every example, `[examples, out, in]`.
fn products(inputs: &Tensor, gradients: &Tensor) -> Result<Tensor> {
    let turned = gradients.transpose(1, 2)?.contiguous()?;
    Ok(turned.matmul(&inputs.contiguous()?)?)
}

/// Inputs, with the 1 of a bias, and output gradients in 64 bits.
fn widened(pair: &LayerPair) -> Result<(Tensor, Tensor)> {
    let mut inputs = pair.inputs.to_dtype(DType::F64)?;
    if pair.bias {
        let (examples, positions, _) = inputs.dims3()?;
        let ones = Tensor::ones((examples, positions, 1), DType::F64, inputs.device())?;
        inputs = Tensor::cat(&[&inputs, &ones], 2)?;
    }
    Ok((inputs, pair.gradients.to_dtype(DType::F64)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use fjld_core::Moments;
    use fjld_core::rng::{Seed, standard_normals};

    const DAMPINGS: Dampings = Dampings {
        printed: 1e-5,
        pi_share: 1e-2,
    };

    fn pair(layer: &str, sides: [usize; 2], positions: usize, examples: usize) -> LayerPair {
        let draw = |name: &str, width: usize| {
            let generator = &mut Seed::root(5).derive(layer).derive(name).generator();
            let values = standard_normals(generator, examples * positions * width);
            let shape = (examples, positions, width);
            Tensor::from_vec(values, shape, &Device::Cpu).expect("as many as the shape says")
        };
        LayerPair {
            layer: layer.into(),
            inputs: draw("a", sides[0]),
            gradients: (draw("g", sides[1]) + 0.5).expect("they are numbers"),
            bias: true,
            counted: None,
        }
    }

    /// The gradients of minibatches, one by one, with every coordinate scaled as `scale` says.
    fn one_by_one(pairs: &[LayerPair], batch: usize, scale: impl Fn(&[f64]) -> f64) -> Result<f64> {
        let mut rows: Vec<Vec<f64>> = Vec::new();
        for pair in pairs {
            let (a, g) = widened(pair)?;
            let each = products(&a, &g)?.flatten_from(1)?.to_vec2::<f64>()?;
            rows.resize(each.len(), Vec::new());
            for (row, more) in rows.iter_mut().zip(each) {
                row.extend(more);
            }
        }
        let d = rows[0].len();
        let scales: Vec<f64> = (0..d)
            .map(|j| scale(&rows.iter().map(|r| r[j]).collect::<Vec<_>>()))
            .collect();
        let mut moments = Moments::new(d)?;
        for batch in rows.chunks(batch) {
            let mean =
                |j: usize| batch.iter().map(|r| r[j]).sum::<f64>() / batch.len() as f64 * scales[j];
            moments.push(&(0..d).map(mean).collect::<Vec<_>>())?;
        }
        Ok(moments.squared_mean_norm() / moments.trace()?)
    }

    #[test]
    fn the_forms_by_coordinates_are_those_of_gradients_taken_one_by_one() -> Result<()> {
        for positions in [1, 3] {
            let pairs = [pair("x", [3, 4], positions, 12), pair("y", [4, 2], 1, 12)];
            for batch in [1, 4] {
                let found = ratios(&pairs, batch, DAMPINGS)?;
                let plain = one_by_one(&pairs, batch, |_| 1.0)?;
                let diagonal = one_by_one(&pairs, batch, |column| {
                    (column.len() as f64 / column.iter().map(|v| v * v).sum::<f64>()).sqrt()
                })?;
                // some hundred operations in 64 bits
                for (found, expected) in found.iter().zip([plain, diagonal]) {
                    let found = found.expect("there is noise");
                    assert_relative_eq!(found, expected, max_relative = 1e-12);
                }
            }
        }
        Ok(())
    }

    #[test]
    fn one_weight_has_the_same_ratio_in_every_form_and_minibatches_do_too() -> Result<()> {
        let mut one = pair("x", [1, 1], 1, 40);
        one.bias = false;
        for batch in [1, 5] {
            let found = ratios(std::slice::from_ref(&one), batch, DAMPINGS)?;
            for form in found {
                let ratio = form.expect("there is noise") / found[0].expect("there is noise");
                assert_relative_eq!(ratio, 1.0, max_relative = 1e-9);
            }
        }
        Ok(())
    }

    #[test]
    fn an_input_that_is_always_zero_leaves_the_undamped_form_as_without_it() -> Result<()> {
        let with = |extra: usize| -> Result<Ratios> {
            let mut one = pair("x", [3, 4], 1, 50);
            let zeros = Tensor::zeros((50, 1, extra), DType::F64, &Device::Cpu)?;
            if extra > 0 {
                one.inputs = Tensor::cat(&[&one.inputs, &zeros], 2)?;
            }
            ratios(&[one], 1, DAMPINGS)
        };
        let (without, with) = (with(0)?, with(2)?);
        for at in [0, 1, 2] {
            let [a, b] = [without, with].map(|r| r[at].expect("there is noise"));
            // some hundred operations in 64 bits, of factors whose conditions are near 1
            assert_relative_eq!(a, b, max_relative = 1e-12);
        }
        Ok(())
    }

    #[test]
    fn gradients_that_are_all_the_same_have_no_ratio() -> Result<()> {
        let mut one = pair("x", [2, 2], 1, 6);
        one.inputs = Tensor::ones((6, 1, 2), DType::F64, &Device::Cpu)?;
        one.gradients = Tensor::ones((6, 1, 2), DType::F64, &Device::Cpu)?;
        assert_eq!(ratios(&[one], 1, DAMPINGS)?, [None; 5]);
        Ok(())
    }
}

#[cfg(test)]
mod by_hand;
