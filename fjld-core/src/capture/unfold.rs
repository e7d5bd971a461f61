//! Convolutions as matrix products: images to rows of patches, and patches back to images.
//!
//! Legend: `n` examples, `g` groups, `c` channels of one group, `h` and `w` the image, `P` positions of the window, `K = kh kw c` numbers
//! under it. A patch holds its channels next to each other, tap after tap, `(kh, kw, c)`: so a row of taps is one run of memory. The
//! weight's own order is `(c, kh, kw)`.

use super::dense::{wide, with_slice};
use candle_core::{DType, Result, Tensor, WithDType};
use rayon::prelude::*;

/// How a kernel moves over an image, height before width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub kernel: [usize; 2],
    pub padding: [usize; 2],
    pub stride: usize,
    pub dilation: usize,
}

impl Window {
    /// A single pixel: with it unfolding only moves the channels behind the positions, and folding moves them back.
    pub const POINT: Self = Self {
        kernel: [1, 1],
        padding: [0, 0],
        stride: 1,
        dilation: 1,
    };

    /// Positions along each axis of an image.
    fn output(&self, image: [usize; 2]) -> Result<[usize; 2]> {
        let mut output = [0; 2];
        for axis in 0..2 {
            let reach = self.dilation * self.kernel[axis].saturating_sub(1) + 1;
            let size = image[axis] + 2 * self.padding[axis];
            if self.stride == 0 || self.kernel[axis] == 0 || reach > size {
                return Err(candle_core::Error::Msg(format!(
                    "a window with {self:?} does not fit into an image of {image:?}; stride and kernel must be positive, and the dilated kernel no larger than the padded image"
                )));
            }
            output[axis] = (size - reach) / self.stride + 1;
        }
        Ok(output)
    }
}

/// A window over images of one shape.
#[derive(Clone, Debug)]
pub(crate) struct Unfolding {
    window: Window,
    examples: usize,
    groups: usize,
    /// In one group.
    channels: usize,
    image: [usize; 2],
    output: [usize; 2],
}

impl Unfolding {
    /// Over images `[n, g c, h, w]`.
    ///
    /// # Errors
    /// When the window does not fit, or there are no channels, or not `groups` equal parts of them.
    pub fn new(window: Window, images: [usize; 4], groups: usize) -> Result<Self> {
        let [examples, channels, height, width] = images;
        if groups == 0 || channels == 0 || !channels.is_multiple_of(groups) {
            return Err(candle_core::Error::Msg(format!(
                "{channels} channels do not make up {groups} groups; both must be positive and the first a multiple of the second"
            )));
        }
        let image = [height, width];
        Ok(Self {
            window,
            examples,
            groups,
            channels: channels / groups,
            image,
            output: window.output(image)?,
        })
    }

    pub fn groups(&self) -> usize {
        self.groups
    }

    /// In one group.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Positions along height and width.
    pub fn output(&self) -> [usize; 2] {
        self.output
    }

    /// The padded pixels along height and width up to the last that lies under the window.
    pub fn seen(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            let last = (self.output[axis] - 1) * self.window.stride;
            last + self.window.dilation * (self.window.kernel[axis] - 1) + 1
        })
    }

    /// Padded pixels along height and width behind those, where the stride does not come out even.
    pub fn left_over(&self) -> [usize; 2] {
        let (padded, seen) = (self.padded(), self.seen());
        [0, 1].map(|axis| padded[axis] - seen[axis])
    }

    /// The padding with which a convolution of the outputs goes back to the images, where it is one that candle knows: of stride 1, one
    /// group, and the same on both axes.
    pub fn adjoint_padding(&self) -> Option<usize> {
        let Window {
            kernel: [rows, columns],
            padding: [top, left],
            stride,
            dilation,
        } = self.window;
        let plain = self.groups == 1 && stride == 1 && rows == columns && top == left;
        plain.then(|| (dilation * (rows - 1)).checked_sub(top))?
    }

    /// The window.
    pub fn window(&self) -> Window {
        self.window
    }

    /// `P`.
    pub fn positions(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// `K`.
    pub fn patch(&self) -> usize {
        self.window.kernel[0] * self.window.kernel[1] * self.channels
    }

    /// The patches of images `[n, g c, h, w]`, `[g, n, P, K]`; zeros where the window lies on the padding.
    pub fn unfold(&self, images: &Tensor) -> Result<Tensor> {
        match (images.device().is_cpu(), images.dtype()) {
            (true, DType::F32) => self.unfold_slices::<f32>(images),
            (true, DType::F64) => self.unfold_slices::<f64>(images),
            _ => self.unfold_tensors(images),
        }
    }

    /// Patches `[g, n, P, K]` added back into images `[n, g c, h, w]`: the adjoint of [`Self::unfold`].
    pub fn fold(&self, patches: &Tensor) -> Result<Tensor> {
        match (patches.device().is_cpu(), patches.dtype()) {
            (true, DType::F32) => self.fold_slices::<f32>(patches),
            (true, DType::F64) => self.fold_slices::<f64>(patches),
            _ => self.fold_tensors(patches),
        }
    }

    /// The shape of the images.
    pub fn images(&self) -> (usize, usize, usize, usize) {
        let [height, width] = self.image;
        (self.examples, self.groups * self.channels, height, width)
    }

    fn patches(&self) -> (usize, usize, usize, usize) {
        (self.groups, self.examples, self.positions(), self.patch())
    }

    /// Height and width with the padding of both sides.
    fn padded(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.image[axis] + 2 * self.window.padding[axis])
    }

    /// Where each run of a patch begins in a padded image `[h, w, c]`, in the order of the patches, and how long a run is.
    fn runs(&self) -> (Vec<usize>, usize) {
        let Window {
            kernel: [rows, columns],
            stride,
            dilation,
            ..
        } = self.window;
        // without dilation the taps of a row are neighbours
        let (pieces, run) = match dilation {
            1 => (1, columns * self.channels),
            _ => (columns, self.channels),
        };
        let width = self.padded()[1];
        let mut starts = Vec::with_capacity(self.positions() * rows * pieces);
        for y in 0..self.output[0] {
            for x in 0..self.output[1] {
                for row in 0..rows {
                    let line = (y * stride + row * dilation) * width + x * stride;
                    starts.extend((0..pieces).map(|p| (line + p * dilation) * self.channels));
                }
            }
        }
        (starts, run)
    }

    /// For every line of every channel of one example and group: where it begins in `[c, h, w]`, and in the padded `[h, w, c]`.
    fn lines(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let ([height, width], [top, left]) = (self.image, self.window.padding);
        let padded_width = self.padded()[1];
        // line by line, so that what is written with strides stays in the cache
        (0..height).flat_map(move |y| {
            (0..self.channels).map(move |channel| {
                let padded = ((y + top) * padded_width + left) * self.channels + channel;
                ((channel * height + y) * width, padded)
            })
        })
    }

    /// A padded image of zeros.
    pub fn scratch<T: WithDType>(&self) -> Vec<T> {
        let [height, width] = self.padded();
        vec![T::zero(); height * width * self.channels]
    }

    /// Numbers of one example's image in one group, `c h w`.
    pub fn image_size(&self) -> usize {
        self.channels * self.image[0] * self.image[1]
    }

    /// The way of every number of one image to its patches and back.
    pub fn moves(&self) -> Moves<'_> {
        let (starts, run) = self.runs();
        Moves {
            unfolding: self,
            starts,
            run,
        }
    }

    fn unfold_slices<T: WithDType>(&self, images: &Tensor) -> Result<Tensor> {
        let (size, each) = (self.image_size(), self.positions() * self.patch());
        let moves = self.moves();
        let mut patches = vec![T::zero(); self.groups * self.examples * each];
        with_slice(images, |images: &[T]| {
            let both = patches.par_chunks_mut(each).enumerate();
            both.for_each_init(
                || self.scratch::<T>(),
                |padded, (chunk, patches)| {
                    let (group, example) = (chunk / self.examples, chunk % self.examples);
                    let image = &images[(example * self.groups + group) * size..][..size];
                    moves.unfold(image, padded, patches);
                },
            );
        })?;
        Tensor::from_vec(patches, self.patches(), images.device())
    }

    fn fold_slices<T: WithDType>(&self, patches: &Tensor) -> Result<Tensor> {
        let (size, each) = (self.image_size(), self.positions() * self.patch());
        let moves = self.moves();
        let mut images = vec![T::zero(); self.examples * self.groups * size];
        with_slice(patches, |patches: &[T]| {
            let both = images.par_chunks_mut(size).enumerate();
            both.for_each_init(
                || self.scratch::<T>(),
                |padded, (chunk, image)| {
                    let (example, group) = (chunk / self.groups, chunk % self.groups);
                    let patches = &patches[(group * self.examples + example) * each..][..each];
                    moves.fold(patches, padded, image);
                },
            );
        })?;
        Tensor::from_vec(images, self.images(), patches.device())
    }

    /// Height and width of a padded image in which every tap finds `stride` pixels for each position. That is at least the image with
    /// both its borders, as one more step would lead out of it.
    fn strided(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            let last = self.window.dilation * (self.window.kernel[axis] - 1);
            last + self.output[axis] * self.window.stride
        })
    }

    /// The offset of every tap in a padded image, row by row.
    fn taps(&self) -> impl Iterator<Item = [usize; 2]> {
        let Window {
            kernel: [rows, columns],
            dilation,
            ..
        } = self.window;
        (0..rows).flat_map(move |y| (0..columns).map(move |x| [y * dilation, x * dilation]))
    }

    /// [`Self::unfold`] on any device: one slice of the images a tap.
    fn unfold_tensors(&self, images: &Tensor) -> Result<Tensor> {
        let ([height, width], [top, left]) = (self.image, self.window.padding);
        let [full_height, full_width] = self.strided();
        let all = self.groups * self.examples;
        let images = images
            .reshape((self.examples, self.groups, self.channels, height, width))?
            .permute((1, 0, 3, 4, 2))?
            .contiguous()?
            .reshape((all, height, width, self.channels))?
            .pad_with_zeros(1, top, full_height - height - top)?
            .pad_with_zeros(2, left, full_width - width - left)?;
        let ([rows, columns], stride) = (self.output, self.window.stride);
        let taps = self.taps().map(|[y, x]| {
            images
                .narrow(1, y, rows * stride)?
                .narrow(2, x, columns * stride)?
                .contiguous()?
                .reshape(vec![all, rows, stride, columns, stride, self.channels])?
                .narrow(2, 0, 1)?
                .narrow(4, 0, 1)?
                .contiguous()?
                .reshape((all, rows * columns, self.channels))
        });
        Tensor::cat(&taps.collect::<Result<Vec<_>>>()?, 2)?.reshape(self.patches())
    }

    /// [`Self::fold`] on any device. Not by `index_add`, which on a GPU adds all patches of an example in one thread.
    fn fold_tensors(&self, patches: &Tensor) -> Result<Tensor> {
        let ([height, width], [top, left]) = (self.image, self.window.padding);
        let [full_height, full_width] = self.strided();
        let ([rows, columns], stride) = (self.output, self.window.stride);
        let all = self.groups * self.examples;
        let patches = patches.reshape((all, rows * columns, self.patch()))?;
        let shape = (all, full_height, full_width, self.channels);
        let mut images = Tensor::zeros(shape, patches.dtype(), patches.device())?;
        for (tap, [y, x]) in self.taps().enumerate() {
            let slice = patches
                .narrow(2, tap * self.channels, self.channels)?
                .contiguous()?
                .reshape(vec![all, rows, 1, columns, 1, self.channels])?
                .pad_with_zeros(2, 0, stride - 1)?
                .pad_with_zeros(4, 0, stride - 1)?
                .reshape((all, rows * stride, columns * stride, self.channels))?
                .pad_with_zeros(1, y, full_height - y - rows * stride)?
                .pad_with_zeros(2, x, full_width - x - columns * stride)?;
            images = (images + slice)?;
        }
        images
            .narrow(1, top, height)?
            .narrow(2, left, width)?
            .contiguous()?
            .reshape((self.groups, self.examples, height, width, self.channels))?
            .permute((1, 0, 4, 2, 3))?
            .contiguous()?
            .reshape(self.images())
    }
}

/// The way of every number of one image to its patches and back, by way of a padded image whose border stays zero.
pub(crate) struct Moves<'a> {
    unfolding: &'a Unfolding,
    starts: Vec<usize>,
    run: usize,
}

impl Moves<'_> {
    /// An image `[c, h, w]` to patches `[P, K]`.
    pub fn unfold<T: WithDType>(&self, image: &[T], padded: &mut [T], patches: &mut [T]) {
        let Unfolding {
            channels,
            image: [_, width],
            ..
        } = *self.unfolding;
        for (from, to) in self.unfolding.lines() {
            let line = image[from..][..width].iter();
            let pixels = padded[to..].iter_mut().step_by(channels);
            pixels.zip(line).for_each(|(pixel, value)| *pixel = *value);
        }
        for (piece, &start) in patches.chunks_exact_mut(self.run).zip(&self.starts) {
            piece.copy_from_slice(&padded[start..][..self.run]);
        }
    }

    /// Patches added back into an image, whatever it held.
    pub fn fold<T: WithDType>(&self, patches: &[T], padded: &mut [T], image: &mut [T]) {
        let Unfolding {
            channels,
            image: [_, width],
            ..
        } = *self.unfolding;
        padded.fill(T::zero());
        wide(
            #[inline(always)]
            || {
                for (piece, &start) in patches.chunks_exact(self.run).zip(&self.starts) {
                    let sums = padded[start..][..self.run].iter_mut();
                    sums.zip(piece).for_each(|(sum, value)| *sum += *value);
                }
            },
        );
        for (to, from) in self.unfolding.lines() {
            let line = image[to..][..width].iter_mut();
            let pixels = padded[from..].iter().step_by(channels);
            line.zip(pixels).for_each(|(value, pixel)| *value = *pixel);
        }
    }
}

#[cfg(test)]
mod tests;
