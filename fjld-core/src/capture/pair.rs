//! What a layer with a weight matrix saw in one forward and backward pass.

use candle_core::{Result, Tensor};

/// The inputs of a layer and the gradients at its outputs, example by example.
///
/// A position is a place where the layer is applied to one example: a token, a patch of an image, or the only one. The gradient of
/// example `i`'s loss in the weight `[out, in]` is `$\sum_t g_{it} a_{it}'$`, in the bias `$\sum_t g_{it}$`.
#[derive(Clone, Debug)]
pub struct LayerPair {
    /// The layer: the name of its weight without the last component.
    pub layer: String,
    /// Inputs `a`, `[examples, positions, in]`. For a convolution the unfolded patches; without the 1 that stands for a bias.
    pub inputs: Tensor,
    /// `dl_i/dz`, `[examples, positions, out]`: gradients of the loss of *each example*, whatever the batch's loss was reduced by.
    pub gradients: Tensor,
    /// Whether the layer has a bias.
    pub bias: bool,
    /// `[examples, positions]`, 1 where a position counts and 0 where it is padding; `None` when all of them count. Padding leaves
    /// the inputs, the bias's 1 and the number of positions.
    pub counted: Option<Tensor>,
}

impl LayerPair {
    /// Adds the positions at which the same weight was used another time.
    pub(super) fn add_positions(&mut self, other: &Self) -> Result<()> {
        self.counted = match (&self.counted, &other.counted) {
            (None, None) => None,
            _ => Some(Tensor::cat(&[self.mask()?, other.mask()?], 1)?),
        };
        self.inputs = Tensor::cat(&[&self.inputs, &other.inputs], 1)?;
        self.gradients = Tensor::cat(&[&self.gradients, &other.gradients], 1)?;
        Ok(())
    }

    fn mask(&self) -> Result<Tensor> {
        let (examples, positions, _) = self.inputs.dims3()?;
        match &self.counted {
            Some(mask) => mask.to_dtype(self.inputs.dtype()),
            None => Tensor::ones(
                (examples, positions),
                self.inputs.dtype(),
                self.inputs.device(),
            ),
        }
    }
}
