//! Convolutions in one and two dimensions, as products of patches with the kernel.
//!
//! On the host the patches are made in the cache wherever they are multiplied ([`super::convolve`]). Elsewhere, and for several groups, they
//! are made once and serve the forward pass, the gradient of the weight and its per-example norms.

use super::attach::attach;
use super::convolve::Convolution;
use super::dense::{by_type, is_host};
use super::kernels::{Kernels, in_order};
use super::per_example::{Rows, over_positions};
use super::reduce::widened;
use super::session::{Announced, Session};
use super::unfold::{Unfolding, Window};
use candle_core::{Result, Tensor};
use candle_nn::{Conv1dConfig, Conv2dConfig, Module, VarBuilder};
use std::cell::OnceCell;
use std::sync::Arc;

/// `candle_nn::Conv2d`, measured. Input `[examples, in, height, width]`; places of the window are positions.
#[derive(Clone, Debug)]
pub struct Conv2d {
    plain: candle_nn::Conv2d,
}

impl Conv2d {
    /// From a weight `[out, in / groups, height, width]` and a bias `[out]`.
    pub fn new(weight: Tensor, bias: Option<Tensor>, config: Conv2dConfig) -> Self {
        Self {
            plain: candle_nn::Conv2d::new(weight, bias, config),
        }
    }

    /// Padding, stride, dilation and groups.
    pub fn config(&self) -> &Conv2dConfig {
        self.plain.config()
    }

    /// `[out, in / groups, height, width]`.
    pub fn weight(&self) -> &Tensor {
        self.plain.weight()
    }

    /// `[out]`.
    pub fn bias(&self) -> Option<&Tensor> {
        self.plain.bias()
    }
}

/// `candle_nn::Conv1d`, measured. Input `[examples, in, length]`; places of the window are positions.
#[derive(Clone, Debug)]
pub struct Conv1d {
    plain: candle_nn::Conv1d,
}

impl Conv1d {
    /// From a weight `[out, in / groups, length]` and a bias `[out]`.
    pub fn new(weight: Tensor, bias: Option<Tensor>, config: Conv1dConfig) -> Self {
        Self {
            plain: candle_nn::Conv1d::new(weight, bias, config),
        }
    }

    /// Padding, stride, dilation and groups.
    pub fn config(&self) -> &Conv1dConfig {
        self.plain.config()
    }

    /// `[out, in / groups, length]`.
    pub fn weight(&self) -> &Tensor {
        self.plain.weight()
    }

    /// `[out]`.
    pub fn bias(&self) -> Option<&Tensor> {
        self.plain.bias()
    }
}

/// As `candle_nn::conv2d`.
///
/// # Errors
/// When the builder has no such tensors.
pub fn conv2d(
    in_channels: usize,
    out_channels: usize,
    kernel_size: usize,
    config: Conv2dConfig,
    vb: VarBuilder,
) -> Result<Conv2d> {
    let plain = candle_nn::conv2d(in_channels, out_channels, kernel_size, config, vb)?;
    Ok(Conv2d { plain })
}

/// As `candle_nn::conv2d_no_bias`.
///
/// # Errors
/// When the builder has no such tensor.
pub fn conv2d_no_bias(
    in_channels: usize,
    out_channels: usize,
    kernel_size: usize,
    config: Conv2dConfig,
    vb: VarBuilder,
) -> Result<Conv2d> {
    let plain = candle_nn::conv2d_no_bias(in_channels, out_channels, kernel_size, config, vb)?;
    Ok(Conv2d { plain })
}

/// As `candle_nn::conv1d`.
///
/// # Errors
/// When the builder has no such tensors.
pub fn conv1d(
    in_channels: usize,
    out_channels: usize,
    kernel_size: usize,
    config: Conv1dConfig,
    vb: VarBuilder,
) -> Result<Conv1d> {
    let plain = candle_nn::conv1d(in_channels, out_channels, kernel_size, config, vb)?;
    Ok(Conv1d { plain })
}

/// As `candle_nn::conv1d_no_bias`.
///
/// # Errors
/// When the builder has no such tensor.
pub fn conv1d_no_bias(
    in_channels: usize,
    out_channels: usize,
    kernel_size: usize,
    config: Conv1dConfig,
    vb: VarBuilder,
) -> Result<Conv1d> {
    let plain = candle_nn::conv1d_no_bias(in_channels, out_channels, kernel_size, config, vb)?;
    Ok(Conv1d { plain })
}

impl Module for Conv2d {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (n, channels, height, width) = x.dims4()?;
        let (_, _, rows, columns) = self.weight().dims4()?;
        let config = self.config();
        let window = Window {
            kernel: [rows, columns],
            padding: [config.padding; 2],
            stride: config.stride,
            dilation: config.dilation,
        };
        let unfolding = Unfolding::new(window, [n, channels, height, width], config.groups)?;
        if let Some(session) = Session::current() {
            return convolve(&session, x, self.weight(), self.bias(), unfolding);
        }
        let [below, right] = unfolding.left_over();
        if below == right {
            return self.plain.forward(x);
        }
        differentiable(x, self.weight(), self.bias(), &unfolding)
    }
}

impl Module for Conv1d {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (n, channels, length) = x.dims3()?;
        let (_, _, taps) = self.weight().dims3()?;
        let config = self.config();
        let window = Window {
            kernel: [1, taps],
            padding: [0, config.padding],
            stride: config.stride,
            dilation: config.dilation,
        };
        // an image of one line
        let unfolding = Unfolding::new(window, [n, channels, 1, length], config.groups)?;
        if let Some(session) = Session::current() {
            return convolve(&session, x, self.weight(), self.bias(), unfolding);
        }
        let (image, kernel) = (x.unsqueeze(2)?, self.weight().unsqueeze(2)?);
        differentiable(&image, &kernel, self.bias(), &unfolding)?.squeeze(2)
    }
}

/// The convolution by operations that candle differentiates right. In candle 0.11 `conv2d` has no backward pass where the stride leaves
/// more pixels over on one axis than on the other, and that of `conv1d` gives a wrong gradient of the weight for more than one example
/// on the CPU. So the image is padded and cut to the pixels that the window sees, and a sequence is an image of one line.
fn differentiable(
    images: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    unfolding: &Unfolding,
) -> Result<Tensor> {
    let window = unfolding.window();
    let ([top, left], [height, width]) = (window.padding, unfolding.seen());
    let value = images
        .pad_with_zeros(2, top, top)?
        .pad_with_zeros(3, left, left)?
        .narrow(2, 0, height)?
        .narrow(3, 0, width)?
        .contiguous()?
        .conv2d(
            weight,
            0,
            window.stride,
            window.dilation,
            unfolding.groups(),
        )?;
    match bias {
        Some(bias) => value.broadcast_add(&bias.reshape((1, (), 1, 1))?),
        None => Ok(value),
    }
}

/// The convolution as a node that records both parameters' per-example gradients.
fn convolve(
    session: &Arc<Session>,
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    unfolding: Unfolding,
) -> Result<Tensor> {
    session.check_input(x)?;
    let (dtype, groups, channels) = (x.dtype(), unfolding.groups(), unfolding.channels());
    let out = weight.dim(0)?;
    if weight.dim(1)? != channels || !out.is_multiple_of(groups) {
        return Err(candle_core::Error::Msg(format!(
            "a convolution with a weight of shape {:?} in {groups} groups was given an input of shape {:?}",
            weight.dims(),
            x.dims()
        )));
    }
    let Announced {
        weight: weight_slot,
        bias: bias_slot,
        anchor,
    } = session.announce_both(weight, bias)?;
    if weight_slot.is_some() && groups > 1 && session.wants_pairs() {
        return Err(candle_core::Error::Msg(format!(
            "a convolution has {groups} groups; Kronecker factors are supported for convolutions of one group"
        )));
    }
    let n = x.dim(0)?;
    let (positions, patch) = (unfolding.positions(), unfolding.patch());
    let [height, width] = unfolding.output();
    let outputs = Unfolding::new(Window::POINT, [n, out, height, width], groups)?;

    let images = widened(&x.detach())?.contiguous()?;
    let kernel = widened(&weight.detach())?
        .reshape((out, channels, patch / channels))?
        .transpose(1, 2)?
        .contiguous()?
        .reshape((groups, out / groups, patch))?;
    let on_host = groups == 1 && is_host(&images);
    let shift = bias.map(|bias| widened(&bias.detach())).transpose()?;
    let (mut value, patches) = if on_host {
        let convolution = Convolution {
            unfolding: &unfolding,
            examples: n,
            out,
        };
        let value =
            by_type!(images, T => convolution.forward::<T>(&images, &kernel, shift.as_ref())?);
        (value.reshape((n, out, height, width))?, None)
    } else {
        let patches = unfolding.unfold(&images)?;
        let product = patches
            .reshape((groups, n * positions, patch))?
            .matmul(&kernel.t()?)?;
        (outputs.fold(&product)?, Some(patches))
    };
    if let (Some(shift), false) = (&shift, on_host) {
        value = value.broadcast_add(&shift.reshape((1, out, 1, 1))?)?;
    }
    let mut shape = vec![n, out, height, width];
    if x.rank() == 3 {
        shape.remove(2);
    }
    let value = value.to_dtype(dtype)?.reshape(shape)?;

    let (session, has_bias, input_shape) = (session.clone(), bias.is_some(), x.shape().clone());
    attach(
        x,
        anchor,
        value,
        Box::new(move |upstream, input_wanted| {
            let upstream = widened(&upstream.reshape((n, out, height, width))?)?.contiguous()?;
            if let Some(slot) = bias_slot {
                let sums = upstream.reshape((n, 1, out, positions))?.sum(3)?;
                session.record(
                    slot,
                    Box::new(Rows(over_positions(&session.positions(&sums)?)?)),
                )?;
            }
            if let Some(slot) = weight_slot {
                let gradients = Kernels {
                    images: images.clone(),
                    upstream: upstream.clone(),
                    patches: patches.clone(),
                    unfolding: unfolding.clone(),
                    outputs: outputs.clone(),
                    session: session.clone(),
                    written: OnceCell::new(),
                };
                if session.wants_pairs()
                    && let [block] = gradients.blocks()?
                {
                    let inputs = in_order(&block.inputs, channels, patch)?;
                    session.record_pair(slot, &inputs, &block.upstream, has_bias)?;
                }
                session.record(slot, Box::new(gradients))?;
            }
            if !input_wanted {
                return Ok(None);
            }
            let gradient = if on_host {
                let convolution = Convolution {
                    unfolding: &unfolding,
                    examples: n,
                    out,
                };
                by_type!(images, T => convolution.backward::<T>(&upstream, &kernel)?)
            } else if let Some(padding) = unfolding.adjoint_padding() {
                by_convolution(&upstream, &kernel, unfolding.window(), padding)?
            } else {
                let product = outputs
                    .unfold(&upstream)?
                    .reshape((groups, n * positions, out / groups))?
                    .matmul(&kernel)?;
                unfolding.fold(&product)?
            };
            Ok(Some(gradient.reshape(&input_shape)?.to_dtype(dtype)?))
        }),
    )
}

/// `dL/dx` of a convolution of stride 1 in one group: the convolution of `dL/dz`, `[n, out, h', w']`, with the kernel `[1, out, K]` turned
/// round. On a GPU it takes far fewer passes than patches that are added up.
fn by_convolution(
    upstream: &Tensor,
    kernel: &Tensor,
    window: Window,
    padding: usize,
) -> Result<Tensor> {
    let [rows, columns] = window.kernel;
    let (out, taps) = (kernel.dim(1)?, rows * columns);
    let backwards: Vec<u32> = (0..taps as u32).rev().collect();
    let backwards = Tensor::new(backwards, kernel.device())?;
    let turned = kernel
        .reshape((out, taps, ()))?
        .index_select(&backwards, 1)?
        .permute((2, 0, 1))?
        .contiguous()?
        .reshape(((), out, rows, columns))?;
    upstream.conv2d(&turned, padding, 1, window.dilation, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Seed, standard_normals};
    use candle_core::{Device, Var};

    #[test]
    fn the_kernel_turned_round_pulls_a_gradient_back_as_candle_does() -> Result<()> {
        let generator = &mut Seed::root(53).generator();
        let mut draw = |shape: [usize; 4]| {
            let numbers = standard_normals(generator, shape.iter().product());
            Tensor::from_vec(numbers, &shape[..], &Device::Cpu)
        };
        // kernel, padding, dilation
        for (side, padding, dilation) in [(3, 1, 1), (1, 0, 1), (3, 0, 2), (5, 3, 1), (2, 1, 1)] {
            let window = Window {
                kernel: [side; 2],
                padding: [padding; 2],
                stride: 1,
                dilation,
            };
            let unfolding = Unfolding::new(window, [2, 3, 7, 6], 1)?;
            let images = Var::from_tensor(&draw([2, 3, 7, 6])?)?;
            let weight = draw([4, 3, side, side])?;
            let z = images.conv2d(&weight, padding, 1, dilation, 1)?;
            let (n, out, height, width) = z.dims4()?;
            let upstream = draw([n, out, height, width])?;
            let store = (&z * &upstream)?.sum_all()?.backward()?;
            let expected = store.get(&images).expect("the loss depends on them");
            let kernel = weight
                .reshape((4, 3, side * side))?
                .transpose(1, 2)?
                .contiguous()?
                .reshape((1, 4, side * side * 3))?;
            let padding = unfolding.adjoint_padding().expect("stride 1, one group");
            let got = by_convolution(&upstream, &kernel, window, padding)?;
            let gap = (got - expected)?.abs()?.max_all()?.to_scalar::<f64>()?;
            // sums of up to a hundred products of numbers of a few units
            assert!(gap < 1e-13, "{window:?}: {gap}");
        }
        Ok(())
    }
}
