//! ResNet-18 for images of 32 x 32 (He et al. 2016), with group normalisation (Wu and He 2018): batch normalisation mixes the examples of
//! a batch, so that there is no gradient of one.

use super::Network;
use crate::error::Result;
use crate::precision::SCALAR;
use candle_core::{Device, Tensor, Var};
use candle_nn::{Conv2dConfig, Module, VarBuilder};
use fjld_core::capture::{Conv2d, GroupNorm, Linear, conv2d_no_bias, group_norm, linear};
use fjld_core::rng::{Seed, SeededVars};

const EPS: f64 = 1e-5;

/// A convolution of 3 x 3 without a pool behind it, four stages of two blocks, the second to fourth at half the size of the one before,
/// the mean over the pixels, and the scores. Inputs `[n, channels, height, width]`.
pub struct ResNet18 {
    stem: Conv2d,
    normalise: GroupNorm,
    blocks: Vec<Block>,
    head: Linear,
    parameters: Vec<(String, Var)>,
}

impl ResNet18 {
    /// Stages of `widths` channels, each a multiple of `groups`; 64, 128, 256 and 512 are the original's. Initialised from `seed` as
    /// candle does.
    ///
    /// # Errors
    /// When candle fails.
    pub fn new(
        channels: usize,
        widths: [usize; 4],
        groups: usize,
        classes: usize,
        seed: Seed,
        device: &Device,
    ) -> Result<Self> {
        let vars = SeededVars::new(seed);
        let builder = vars.builder(SCALAR, device);
        let mut blocks = Vec::new();
        let mut before = widths[0];
        for (stage, &width) in widths.iter().enumerate() {
            for half in 0..2 {
                let stride = if stage > 0 && half == 0 { 2 } else { 1 };
                let own = builder.pp(format!("stage{stage}.block{half}"));
                blocks.push(Block::new(before, width, stride, groups, &own)?);
                before = width;
            }
        }
        Ok(Self {
            stem: three(channels, widths[0], 1, builder.pp("stem"))?,
            normalise: group_norm(groups, widths[0], EPS, builder.pp("normalise"))?,
            blocks,
            head: linear(widths[3], classes, builder.pp("head"))?,
            parameters: vars.named(),
        })
    }
}

impl Network for ResNet18 {
    fn parameters(&self) -> &[(String, Var)] {
        &self.parameters
    }

    fn scores(&self, inputs: &Tensor) -> candle_core::Result<Tensor> {
        let stem = self.stem.forward(inputs)?;
        let mut x = self.normalise.forward(&stem)?.relu()?;
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        self.head.forward(&x.flatten_from(2)?.mean(2)?)
    }
}

/// A convolution of 3 x 3 that keeps the size, but for its stride.
fn three(
    channels: usize,
    width: usize,
    stride: usize,
    builder: VarBuilder,
) -> candle_core::Result<Conv2d> {
    let config = Conv2dConfig {
        padding: 1,
        stride,
        ..Default::default()
    };
    conv2d_no_bias(channels, width, 3, config, builder)
}

/// Two convolutions, each normalised, added to what came in; where that has another shape, to a normalised convolution of 1 x 1 of it.
struct Block {
    first: (Conv2d, GroupNorm),
    second: (Conv2d, GroupNorm),
    shortcut: Option<(Conv2d, GroupNorm)>,
}

impl Block {
    fn new(
        channels: usize,
        width: usize,
        stride: usize,
        groups: usize,
        builder: &VarBuilder,
    ) -> candle_core::Result<Self> {
        let norm = |name: &str| group_norm(groups, width, EPS, builder.pp(name));
        let shortcut = match stride == 1 && channels == width {
            true => None,
            false => {
                let config = Conv2dConfig {
                    stride,
                    ..Default::default()
                };
                let one = conv2d_no_bias(channels, width, 1, config, builder.pp("shortcut"))?;
                Some((one, norm("shortcut_norm")?))
            }
        };
        Ok(Self {
            first: (
                three(channels, width, stride, builder.pp("first"))?,
                norm("first_norm")?,
            ),
            second: (
                three(width, width, 1, builder.pp("second"))?,
                norm("second_norm")?,
            ),
            shortcut,
        })
    }

    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let through =
            |(layer, norm): &(Conv2d, GroupNorm), x: &Tensor| norm.forward(&layer.forward(x)?);
        let inner = through(&self.second, &through(&self.first, x)?.relu()?)?;
        let outer = match &self.shortcut {
            Some(shortcut) => through(shortcut, x)?,
            None => x.clone(),
        };
        (inner + outer)?.relu()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_exact, assert_slopes};
    use super::super::{ModelChoice, Task};
    use super::*;
    use fjld_core::Objective;
    use fjld_core::rng::standard_normals;

    #[test]
    fn per_example_gradients_are_exact() -> Result<()> {
        let device = Device::Cpu;
        let choice = ModelChoice::Resnet18 {
            widths: [2, 4, 4, 6],
            groups: 2,
        };
        let task = Task {
            input: vec![3, 8, 8],
            kinds: None,
            classes: 3,
        };
        let model = choice.build(&task, Seed::root(7), &device)?;
        let pixels = standard_normals(&mut Seed::root(8).generator(), 3 * 192);
        let pixels = Tensor::from_vec(pixels, (3, 3, 8, 8), &device)?.to_dtype(SCALAR)?;
        let batch = (pixels, Tensor::new(&[0u32, 2, 1], &device)?);
        assert_exact(&model, &batch)?;
        assert_slopes(&model, &batch, 40, 5e-3)
    }

    #[test]
    fn at_full_width_it_has_as_many_parameters_as_the_original_with_this_stem() -> Result<()> {
        let task = Task {
            input: vec![3, 32, 32],
            kinds: None,
            classes: 10,
        };
        let choice = ModelChoice::Resnet18 {
            widths: [64, 128, 256, 512],
            groups: 32,
        };
        let model = choice.build(&task, Seed::root(1), &Device::Cpu)?;
        let count: usize = model.parameters().iter().map(|(_, v)| v.elem_count()).sum();
        // the number that is widely quoted for ResNet-18 on CIFAR-10
        assert_eq!(count, 11_173_962);
        Ok(())
    }

    #[test]
    fn it_is_built_for_images_only() {
        let choice = ModelChoice::Resnet18 {
            widths: [2, 2, 2, 2],
            groups: 2,
        };
        for input in [vec![64], vec![8, 8], vec![1, 3, 8, 8]] {
            let task = Task {
                input: input.clone(),
                kinds: None,
                classes: 3,
            };
            let said = choice.build(&task, Seed::root(1), &Device::Cpu).err();
            let said = said
                .expect("it has no channels, rows and columns")
                .to_string();
            let wanted = format!("inputs of shape {input:?} of real numbers");
            assert_eq!(said, format!("this model is not made for {wanted}"));
        }
    }
}
