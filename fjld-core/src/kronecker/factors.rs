//! The factors `A` and `G` of a layer's block, streaming.

use super::data::{self, Data};
use super::{Block, Compression, Damping};
use crate::capture::LayerPair;
use crate::capture::dense::{gram, is_host, with_slice};
use crate::error::{Error, Result};
use crate::fisher::tensors::to_host;
use crate::fisher::{Dense, Foof, Kronecker};
use crate::ranks::{self, Ranks};
use candle_core::Tensor;
use faer::{Mat, MatRef, Scale};

/// What the factors of a layer make of its positions: example `i`'s gradient is `$\sum_t g_{it} a_{it}'$`, and no Kronecker product holds
/// the second moment of that sum in general.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Every position by itself:
    ///
    /// ```math
    /// A = \operatorname*{mean}_{i, t} \, a_{it} a_{it}', \qquad G = \frac1n \sum_i \sum_t g_{it} g_{it}'
    /// ```
    ///
    /// Exact for a deep linear network where each position's output enters the loss apart: tokens of a language model.
    Expand,
    /// The positions of an example together, inputs by their mean and gradients by their sum:
    ///
    /// ```math
    /// A = \operatorname*{mean}_i \, \bar a_i \bar a_i', \quad \bar a_i = \operatorname*{mean}_t \, a_{it}, \qquad
    /// G = \operatorname*{mean}_i \, \gamma_i \gamma_i', \quad \gamma_i = \sum_t g_{it}
    /// ```
    ///
    /// Exact for a deep linear network where the loss sees the positions' outputs by their mean only, or by their sum with equally many
    /// positions in every example: patches pooled for one label.
    Reduce,
}

/// `A` and `G` of one layer over everything pushed: sums with their weights, so that any split of the data gives the same.
///
/// `$G \otimes A$` estimates the per-example second moment of the gradient in the weight: the empirical Fisher's block when the gradients were
/// taken at real labels, a Monte-Carlo or type-2 Fisher's when at those of [`OutputLoss`](crate::fisher::OutputLoss).
#[derive(Clone, Debug)]
pub struct Factors {
    layer: String,
    setting: Setting,
    bias: bool,
    sums: Sums,
}

/// Sums over examples and the weights to divide them by.
#[derive(Clone, Debug)]
pub(super) struct Sums {
    inputs: Mat<f64>,
    input_weight: f64,
    gradients: Mat<f64>,
    examples: f64,
    positions: f64,
}

impl Sums {
    fn add(&mut self, other: &Self) {
        self.inputs += &other.inputs;
        self.input_weight += other.input_weight;
        self.gradients += &other.gradients;
        self.examples += other.examples;
        self.positions += other.positions;
    }

    fn scale(&mut self, factor: f64) {
        self.inputs *= Scale(factor);
        self.input_weight *= factor;
        self.gradients *= Scale(factor);
        self.examples *= factor;
        self.positions *= factor;
    }
}

impl Factors {
    /// No examples yet, for the layer that `pair` comes from.
    ///
    /// # Errors
    /// When the pair's shapes are not usable: see [`Factors::push`].
    pub fn for_layer(pair: &LayerPair, setting: Setting) -> Result<Self> {
        let (inputs, outputs) = data::sides(pair)?;
        Ok(Self {
            layer: pair.layer.clone(),
            setting,
            bias: pair.bias,
            sums: Sums {
                inputs: Mat::zeros(inputs, inputs),
                input_weight: 0.0,
                gradients: Mat::zeros(outputs, outputs),
                examples: 0.0,
                positions: 0.0,
            },
        })
    }

    /// Adds the examples of one forward and backward pass.
    ///
    /// An example all of whose positions are padding has the gradient 0: it counts in the mean of `G`, and not in that of `A`.
    ///
    /// # Errors
    /// When the pair is of another layer or shape, holds a number that is not finite outside the padding, or a mask of anything but ones
    /// and zeros. Nothing is added then.
    pub fn push(&mut self, pair: &LayerPair) -> Result<()> {
        self.push_columns(std::slice::from_ref(pair))
    }

    /// Adds the examples of one forward pass with several backward passes, whose products of gradients add up: one for each column of the
    /// type-2 Fisher. The inputs and the mask are the same in all, and the first one's are taken.
    ///
    /// # Errors
    /// As [`Factors::push`], and when there is no pair.
    pub fn push_columns(&mut self, pairs: &[LayerPair]) -> Result<()> {
        let sums = self.sums(pairs)?;
        self.add(sums);
        Ok(())
    }

    /// What the passes add, before anything is changed.
    pub(super) fn sums(&self, pairs: &[LayerPair]) -> Result<Sums> {
        let Some(first) = pairs.first() else {
            return Err(Error::Length {
                what: "the list of backward passes",
                expected: 1,
                got: 0,
            });
        };
        let data = self.data(first)?;
        let (inputs, input_weight) = self.input_products(&data)?;
        let mut sums = Sums {
            inputs,
            input_weight,
            gradients: self.gradient_products(&data)?,
            examples: data.examples() as f64,
            positions: data.counted()?,
        };
        for pair in &pairs[1..] {
            let column = self.data(pair)?;
            if column.inputs.dims() != data.inputs.dims() {
                return Err(Error::Shape {
                    what: "the inputs of a later backward pass",
                    expected: format!("{:?}, as in the first", data.inputs.dims()),
                    got: column.inputs.dims().to_vec(),
                }
                .within(&self.layer));
            }
            sums.gradients += self.gradient_products(&column)?;
        }
        Ok(sums)
    }

    pub(super) fn add(&mut self, sums: Sums) {
        self.sums.add(&sums);
    }

    /// `sum a a'`, `[in, in]`, and over how many.
    fn input_products(&self, data: &Data) -> Result<(Mat<f64>, f64)> {
        let (rows, weight) = match self.setting {
            Setting::Expand => (data.inputs.flatten_to(1)?, data.counted()?),
            Setting::Reduce => {
                // an example without positions has a sum of 0, and so has its mean
                let divisor = data.counts.maximum(1.0)?;
                let covered = data.counts.minimum(1.0)?.sum_all()?.to_scalar::<f64>()?;
                (data.inputs.sum(1)?.broadcast_div(&divisor)?, covered)
            }
        };
        Ok((self_products(&rows)?, weight))
    }

    /// `sum g g'`, `[out, out]`.
    fn gradient_products(&self, data: &Data) -> Result<Mat<f64>> {
        let rows = match self.setting {
            Setting::Expand => data.gradients.flatten_to(1)?,
            Setting::Reduce => data.gradients.sum(1)?,
        };
        self_products(&rows)
    }

    /// The pair's data, if it is of this layer.
    fn data(&self, pair: &LayerPair) -> Result<Data> {
        if pair.layer != self.layer || pair.bias != self.bias {
            return Err(Error::OtherLayers {
                expected: vec![self.described()],
                got: vec![described(&pair.layer, pair.bias)],
            });
        }
        let data = Data::of(pair)?;
        data.check_sides(self.sums.inputs.nrows(), self.sums.gradients.nrows())
            .map_err(|e| e.within(&self.layer))?;
        Ok(data)
    }

    /// Adds up what every rank has seen of this layer, and leaves it on each. Messages of `in^2 + out^2` numbers.
    ///
    /// # Errors
    /// When the layer's sides differ between ranks, or the numbers can not be brought together.
    pub fn all_reduce(&mut self, ranks: &impl Ranks) -> Result<()> {
        let (inputs, outputs) = (self.sums.inputs.nrows(), self.sums.gradients.nrows());
        ranks::agree(ranks, "the number of inputs", inputs as u64)?;
        ranks::agree(ranks, "the number of outputs", outputs as u64)?;
        let Sums {
            inputs,
            input_weight,
            gradients,
            examples,
            positions,
        } = &mut self.sums;
        ranks::add_matrix(ranks, inputs)?;
        ranks::add_matrix(ranks, gradients)?;
        let mut weights = [*input_weight, *examples, *positions];
        ranks.add(&mut weights)?;
        [*input_weight, *examples, *positions] = weights;
        Ok(())
    }

    /// Adds everything that `other` has seen.
    ///
    /// # Errors
    /// When it is of another layer, shape or setting. Nothing is added then.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        let same = self.layer == other.layer
            && self.bias == other.bias
            && self.setting == other.setting
            && self.sums.inputs.nrows() == other.sums.inputs.nrows()
            && self.sums.gradients.nrows() == other.sums.gradients.nrows();
        if !same {
            return Err(Error::OtherLayers {
                expected: vec![self.described()],
                got: vec![other.described()],
            });
        }
        self.sums.add(&other.sums);
        Ok(())
    }

    /// The factors as they arrive elsewhere, and in how many bytes: what a server merges in place of the whole ones.
    ///
    /// # Errors
    /// As [`Compression::send`].
    pub fn send(&self, compression: Compression) -> Result<(Self, usize)> {
        let within = |e: Error| e.within(&self.layer);
        let (inputs, input_bytes) = compression
            .send(self.sums.inputs.as_ref())
            .map_err(within)?;
        let gradients = self.sums.gradients.as_ref();
        let (gradients, gradient_bytes) = compression.send(gradients).map_err(within)?;
        let arrived = Self {
            sums: Sums {
                inputs,
                gradients,
                ..self.sums.clone()
            },
            ..self.clone()
        };
        // the three weights besides
        Ok((arrived, input_bytes + gradient_bytes + 24))
    }

    /// Gives everything pushed so far the weight `keep` relative to what comes. Called before each push it makes exponential means; they
    /// are unbiased from the first push on, since sums and weights decay together.
    ///
    /// # Errors
    /// When `keep` is not in `(0, 1]`.
    pub fn decay(&mut self, keep: f64) -> Result<()> {
        if !(keep > 0.0 && keep <= 1.0) {
            return Err(Error::OutOfRange {
                name: "the weight kept",
                value: keep,
                accepted: "above 0 and at most 1",
            });
        }
        self.sums.scale(keep);
        Ok(())
    }

    /// The layer's name.
    pub fn layer(&self) -> &str {
        &self.layer
    }

    /// What is made of positions.
    pub fn setting(&self) -> Setting {
        self.setting
    }

    /// The number of examples, or their weight where it has decayed.
    pub fn examples(&self) -> f64 {
        self.sums.examples
    }

    /// The number of positions that count, over all examples, or their weight where it has decayed.
    pub fn positions(&self) -> f64 {
        self.sums.positions
    }

    /// `A`, `[in, in]`, with a bias `[in + 1, in + 1]`.
    ///
    /// # Errors
    /// When no position has been pushed.
    pub fn input_factor(&self) -> Result<Dense> {
        self.mean(&self.sums.inputs, self.sums.input_weight)
    }

    /// `G`, `[out, out]`.
    ///
    /// # Errors
    /// When no example has been pushed.
    pub fn gradient_factor(&self) -> Result<Dense> {
        self.mean(&self.sums.gradients, self.sums.examples)
    }

    fn mean(&self, sum: &Mat<f64>, weight: f64) -> Result<Dense> {
        if weight == 0.0 {
            return Err(Error::TooFewSamples {
                what: "a Kronecker factor",
                needed: 1,
                got: 0,
            }
            .within(&self.layer));
        }
        let side = sum.nrows();
        let mean = Mat::from_fn(side, side, |i, j| sum[(i, j)] / weight);
        Dense::new(mean.as_ref()).map_err(|e| e.within(&self.layer))
    }

    /// `$G \otimes A$`, undamped.
    ///
    /// # Errors
    /// When nothing has been pushed.
    pub fn kronecker(&self) -> Result<Kronecker> {
        Ok(Kronecker::new(
            self.gradient_factor()?,
            self.input_factor()?,
        ))
    }

    /// `$G \otimes A$` with damping.
    ///
    /// # Errors
    /// When nothing has been pushed, or the damping is not defined: see [`Damping::apply`].
    pub fn block(&self, damping: Damping) -> Result<Block> {
        damping
            .apply(self.kronecker()?)
            .map_err(|e| e.within(&self.layer))
    }

    /// `$1 \otimes A$` (Benzing 2022): the same inputs, and no gradients.
    ///
    /// # Errors
    /// When nothing has been pushed.
    pub fn foof(&self) -> Result<Foof> {
        Foof::new(self.input_factor()?, self.sums.gradients.nrows())
    }

    fn described(&self) -> String {
        described(&self.layer, self.bias)
    }
}

fn described(layer: &str, bias: bool) -> String {
    format!("{layer} {} bias", if bias { "with" } else { "without" })
}

#[cfg(test)]
mod tests;

/// `X' X` of rows `X`.
fn self_products(rows: &Tensor) -> Result<Mat<f64>> {
    if !is_host(rows) {
        return to_host(&rows.t()?.matmul(rows)?);
    }
    let (count, width) = rows.dims2()?;
    Ok(with_slice(rows, |entries: &[f64]| {
        gram(MatRef::from_row_major_slice(entries, count, width))
    })?)
}
