//! Convolutions on the host, a few examples at a time: their patches are made where they are multiplied, in a buffer that stays in the
//! cache, and made again for the gradients. That takes less time than to fetch them from memory, and no memory.
//!
//! Legend as in [`super::unfold`]; one group. `o = dL/dz` is `[n, out, P]`, as the images lie.

use super::dense::{Ask, Number, Sums, absorb_all, multiply, with_slice};
use super::unfold::Unfolding;
use candle_core::{Result, Tensor};
use faer::reborrow::ReborrowMut;
use faer::{MatMut, MatRef};
use rayon::prelude::*;

/// Positions that a product should have at least, for its cost not to lie in arranging the kernel.
const POSITIONS: usize = 256;

/// A convolution over `n` examples.
pub(super) struct Convolution<'a> {
    pub unfolding: &'a Unfolding,
    pub examples: usize,
    pub out: usize,
}

/// Buffers of a task.
struct Buffers<T> {
    padded: Vec<T>,
    patches: Vec<T>,
    outputs: Vec<T>,
}

impl Convolution<'_> {
    /// Examples of a task: enough for [`POSITIONS`], and no more than leave eight tasks.
    fn together(&self) -> usize {
        let wanted = POSITIONS.div_ceil(self.unfolding.positions().max(1));
        wanted.min(self.examples.div_ceil(8)).max(1)
    }

    fn buffers<T: Number>(&self) -> Buffers<T> {
        let rows = self.together() * self.unfolding.positions();
        Buffers {
            padded: self.unfolding.scratch(),
            patches: vec![T::zero(); rows * self.unfolding.patch()],
            outputs: vec![T::zero(); rows * self.out],
        }
    }

    /// `z = U W' + b`, `[n, out, P]`, with the kernel `[out, K]`.
    pub fn forward<T: Number>(
        &self,
        images: &Tensor,
        kernel: &Tensor,
        bias: Option<&Tensor>,
    ) -> Result<Tensor> {
        let (out, positions, patch) =
            (self.out, self.unfolding.positions(), self.unfolding.patch());
        let (size, moves) = (self.unfolding.image_size(), self.unfolding.moves());
        let bias = bias.map(Tensor::to_vec1::<T>).transpose()?;
        let together = self.together();
        let mut value = vec![T::zero(); self.examples * out * positions];
        with_slice(images, |images: &[T]| {
            with_slice(kernel, |kernel: &[T]| {
                let kernel = MatRef::from_row_major_slice(kernel, out, patch);
                let chunks = value.par_chunks_mut(together * out * positions);
                chunks.enumerate().for_each_init(
                    || self.buffers::<T>(),
                    |buffers, (chunk, value)| {
                        let count = value.len() / (out * positions);
                        let images = &images[chunk * together * size..][..count * size];
                        let patches = &mut buffers.patches[..count * positions * patch];
                        let both = images.chunks_exact(size);
                        for (image, own) in both.zip(patches.chunks_exact_mut(positions * patch)) {
                            moves.unfold(image, &mut buffers.padded, own);
                        }
                        let rows = count * positions;
                        let patches = MatRef::from_row_major_slice(patches, rows, patch);
                        if count == 1 {
                            let value = MatMut::from_row_major_slice_mut(value, out, positions);
                            multiply(value, false, kernel, patches.transpose());
                        } else {
                            let outputs = &mut buffers.outputs[..rows * out];
                            let view = MatMut::from_row_major_slice_mut(outputs, rows, out);
                            multiply(view, false, patches, kernel.transpose());
                            let both = outputs.chunks_exact(positions * out);
                            for (from, to) in both.zip(value.chunks_exact_mut(out * positions)) {
                                transpose(from, to, positions, out);
                            }
                        }
                        if let Some(bias) = &bias {
                            let planes = value.chunks_exact_mut(positions).zip(bias.iter().cycle());
                            planes.for_each(|(plane, b)| plane.iter_mut().for_each(|v| *v += *b));
                        }
                    },
                );
            })
        })??;
        Tensor::from_vec(value, (self.examples, out, positions), images.device())
    }

    /// `dL/dx`, as the images.
    pub fn backward<T: Number>(&self, upstream: &Tensor, kernel: &Tensor) -> Result<Tensor> {
        let (out, positions, patch) =
            (self.out, self.unfolding.positions(), self.unfolding.patch());
        let (size, moves) = (self.unfolding.image_size(), self.unfolding.moves());
        let together = self.together();
        let mut gradient = vec![T::zero(); self.examples * size];
        with_slice(upstream, |upstream: &[T]| {
            with_slice(kernel, |kernel: &[T]| {
                let kernel = MatRef::from_row_major_slice(kernel, out, patch);
                let chunks = gradient.par_chunks_mut(together * size);
                chunks.enumerate().for_each_init(
                    || self.buffers::<T>(),
                    |buffers, (chunk, gradient)| {
                        let count = gradient.len() / size;
                        let rows = count * positions;
                        let own = &upstream[chunk * together * out * positions..][..rows * out];
                        let patches = &mut buffers.patches[..rows * patch];
                        let view = MatMut::from_row_major_slice_mut(patches, rows, patch);
                        if count == 1 {
                            let own = MatRef::from_row_major_slice(own, out, positions);
                            multiply(view, false, own.transpose(), kernel);
                        } else {
                            let outputs = &mut buffers.outputs[..rows * out];
                            let both = own.chunks_exact(out * positions);
                            for (from, to) in both.zip(outputs.chunks_exact_mut(positions * out)) {
                                transpose(from, to, out, positions);
                            }
                            let outputs = MatRef::from_row_major_slice(outputs, rows, out);
                            multiply(view, false, outputs, kernel);
                        }
                        let both = patches.chunks_exact(positions * patch);
                        for (patches, image) in both.zip(gradient.chunks_exact_mut(size)) {
                            moves.fold(patches, &mut buffers.padded, image);
                        }
                    },
                );
            })
        })??;
        Tensor::from_vec(gradient, self.unfolding.images(), upstream.device())
    }

    /// Sums over draws of `group` examples each of the gradients `[out, K]` of the kernel.
    pub fn sums<T: Number>(
        &self,
        images: &Tensor,
        upstream: &Tensor,
        group: usize,
        ask: Ask,
    ) -> Result<Sums<T>> {
        let (out, positions, patch) =
            (self.out, self.unfolding.positions(), self.unfolding.patch());
        let (size, moves) = (self.unfolding.image_size(), self.unfolding.moves());
        let border = self.unfolding.scratch::<T>().len();
        with_slice(images, |images: &[T]| {
            with_slice(upstream, |upstream: &[T]| {
                let shape = (self.examples / group, out, patch);
                absorb_all(shape, ask, |draw, rows, scratch, mut into, add| {
                    scratch.resize(border + positions * patch, T::zero());
                    let (padded, patches) = scratch.split_at_mut(border);
                    for example in draw * group..(draw + 1) * group {
                        moves.unfold(&images[example * size..][..size], padded, patches);
                        let own = &upstream[example * out * positions..][..out * positions];
                        let own = MatRef::from_row_major_slice(own, out, positions);
                        multiply(
                            into.rb_mut(),
                            add || example > draw * group,
                            own.subrows(rows.start, rows.len()),
                            MatRef::from_row_major_slice(patches, positions, patch),
                        );
                    }
                })
            })
        })?
    }
}

/// `[rows, columns]` as `[columns, rows]`.
fn transpose<T: Copy>(from: &[T], to: &mut [T], rows: usize, columns: usize) {
    for (column, to) in to.chunks_exact_mut(rows).enumerate() {
        let from = from[column..].iter().step_by(columns);
        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    }
}

#[cfg(test)]
mod tests;
