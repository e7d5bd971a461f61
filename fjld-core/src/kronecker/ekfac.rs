//! Second moments of the gradients in the factors' eigenbasis (George et al. 2018, arXiv:1806.03884).

use super::Factors;
use super::data::Data;
use super::whiten::Turned;
use crate::capture::LayerPair;
use crate::error::{Error, Result};
use crate::fisher::Ekfac;
use crate::fisher::tensors::{to_device, to_host};
use faer::Mat;

/// Second moments of `n` examples' gradients along the eigenvectors, streaming, in a basis held fixed:
///
/// ```math
/// S_{oi} = \frac1n \sum_{k=1}^n \Bigl[ U_G' \Bigl( \sum_t g_{kt} a_{kt}' \Bigr) U_A \Bigr]_{oi}^2
/// ```
///
/// Of all spectra in that basis this one is nearest, in Frobenius norm, to the second moment of the very gradients that it was taken of.
/// The basis may be older than the gradients. The positions of an example are summed before the square, whatever the factors' setting.
#[derive(Clone, Debug)]
pub struct EkfacMoments {
    layer: String,
    left: Mat<f64>,
    right: Mat<f64>,
    squares: Mat<f64>,
    examples: f64,
}

impl EkfacMoments {
    /// No gradients yet, in the eigenbasis of these factors.
    ///
    /// # Errors
    /// When the factors are empty, or their eigenvectors can not be found.
    pub fn new(factors: &Factors) -> Result<Self> {
        let basis = factors.kronecker()?.eigenbasis()?;
        let (left, right) = (basis.left().to_owned(), basis.right().to_owned());
        Ok(Self {
            layer: factors.layer().to_string(),
            squares: Mat::zeros(left.nrows(), right.nrows()),
            left,
            right,
            examples: 0.0,
        })
    }

    /// Adds the examples of one forward and backward pass.
    ///
    /// # Errors
    /// When the pair is of another layer or shape, or not usable as [`Factors::push`] says. Nothing is added then.
    pub fn push(&mut self, pair: &LayerPair) -> Result<()> {
        self.push_columns(std::slice::from_ref(pair))
    }

    /// Adds the examples of one forward pass with several backward passes, whose squares add up: see [`Factors::push_columns`].
    ///
    /// # Errors
    /// As [`EkfacMoments::push`], and when there is no pair or the passes differ in their number of examples.
    pub fn push_columns(&mut self, pairs: &[LayerPair]) -> Result<()> {
        let mut added: Option<(Mat<f64>, usize)> = None;
        for pair in pairs {
            let (squares, examples) = self.squares_of(pair)?;
            added = Some(match added {
                None => (squares, examples),
                Some((sum, first)) if first == examples => (sum + squares, first),
                Some((_, first)) => {
                    return Err(Error::Length {
                        what: "a later backward pass's list of examples",
                        expected: first,
                        got: examples,
                    });
                }
            });
        }
        let Some((squares, examples)) = added else {
            return Err(Error::Length {
                what: "the list of backward passes",
                expected: 1,
                got: 0,
            });
        };
        self.squares += squares;
        self.examples += examples as f64;
        Ok(())
    }

    fn squares_of(&self, pair: &LayerPair) -> Result<(Mat<f64>, usize)> {
        if pair.layer != self.layer {
            return Err(Error::OtherLayers {
                expected: vec![self.layer.clone()],
                got: vec![pair.layer.clone()],
            });
        }
        let data = Data::of(pair)?;
        data.check_sides(self.right.nrows(), self.left.nrows())
            .map_err(|e| e.within(&self.layer))?;
        let device = data.inputs.device();
        let left = to_device(self.left.as_ref(), device)?;
        let right = to_device(self.right.as_ref(), device)?;
        let turned = Turned::of(&data, &left, &right)?;
        Ok((to_host(&turned.entry_squares()?)?, data.examples()))
    }

    /// The block.
    ///
    /// # Errors
    /// When no example has been pushed.
    pub fn block(&self) -> Result<Ekfac> {
        if self.examples == 0.0 {
            return Err(Error::TooFewSamples {
                what: "a second moment",
                needed: 1,
                got: 0,
            }
            .within(&self.layer));
        }
        let spectrum = Mat::from_fn(self.squares.nrows(), self.squares.ncols(), |o, i| {
            self.squares[(o, i)] / self.examples
        });
        Ekfac::new(self.left.clone(), self.right.clone(), spectrum)
            .map_err(|e| e.within(&self.layer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kronecker::Setting;
    use candle_core::{Device, Tensor};
    use faer::mat;

    /// One position an example, with the input 2 and the gradient 3.
    fn pair(examples: usize) -> Result<LayerPair> {
        let filled = |value: f64| Tensor::full(value, (examples, 1, 1), &Device::Cpu);
        Ok(LayerPair {
            layer: "fc".into(),
            inputs: filled(2.0)?,
            gradients: filled(3.0)?,
            bias: false,
            counted: None,
        })
    }

    #[test]
    fn backward_passes_of_one_forward_pass_have_the_same_examples() -> Result<()> {
        let mut factors = Factors::for_layer(&pair(2)?, Setting::Expand)?;
        factors.push(&pair(2)?)?;
        let mut moments = EkfacMoments::new(&factors)?;
        for (passes, said) in [
            (
                vec![pair(2)?, pair(1)?],
                "a later backward pass's list of examples has length 1; it must have length 2",
            ),
            (
                vec![],
                "the list of backward passes has length 0; it must have length 1",
            ),
        ] {
            let refused = moments.push_columns(&passes).expect_err("refused");
            assert_eq!(refused.to_string(), said);
        }
        // nothing was added
        assert_eq!(
            moments.block().expect_err("empty").to_string(),
            "in `fc`: 0 samples were given; a second moment needs at least 1"
        );
        // two squares of 6 for each of two examples
        moments.push_columns(&[pair(2)?, pair(2)?])?;
        assert_eq!(moments.block()?.spectrum(), mat![[72.0]]);
        Ok(())
    }
}
