//! Per-example gradients of a convolution's weight.

use super::convolve::Convolution;
use super::dense::{Ask, by_type};
use super::per_example::{Outer, PerExample, Totals, ghost_is_cheaper};
use super::reduce::PerDraw;
use super::session::Session;
use super::unfold::Unfolding;
use candle_core::{Result, Tensor};
use std::cell::OnceCell;
use std::sync::Arc;

/// A last axis of whole patches `(taps, channels)`, one or several, in the weight's order `(channels, taps)`.
pub(super) fn in_order(x: &Tensor, channels: usize, patch: usize) -> Result<Tensor> {
    let rows = x.elem_count() / patch;
    x.reshape((rows, patch / channels, channels))?
        .transpose(1, 2)?
        .contiguous()?
        .reshape(x.shape())
}

/// Gradients of a weight `[out, in / groups, kh, kw]`: the groups' blocks of rows below each other.
pub(super) struct Kernels {
    /// `[n, in, h, w]`.
    pub images: Tensor,
    /// `dL/dz`, `[n, out, h', w']`.
    pub upstream: Tensor,
    /// Of the images, where the forward pass has left them.
    pub patches: Option<Tensor>,
    pub unfolding: Unfolding,
    /// Of one pixel, over the outputs.
    pub outputs: Unfolding,
    pub session: Arc<Session>,
    /// One a group, with the patches as inputs; made when asked for.
    pub written: OnceCell<Vec<Outer>>,
}

impl Kernels {
    /// One a group, with the patches as inputs.
    pub fn blocks(&self) -> Result<&[Outer]> {
        if let Some(blocks) = self.written.get() {
            return Ok(blocks);
        }
        let patches = match &self.patches {
            Some(patches) => patches.clone(),
            None => self.unfolding.unfold(&self.images)?,
        };
        let upstream = self.outputs.unfold(&self.upstream)?;
        let blocks = (0..self.unfolding.groups()).map(|group| {
            Ok(Outer {
                inputs: self.session.positions(&patches.get(group)?)?,
                upstream: self.session.positions(&upstream.get(group)?)?,
            })
        });
        let blocks = blocks.collect::<Result<Vec<_>>>()?;
        Ok(self.written.get_or_init(|| blocks))
    }

    /// Numbers of one block of every group below each other, `[..., out / groups x K]` each, in the weight's order.
    fn stacked(&self, blocks: Result<Vec<Tensor>>) -> Result<Tensor> {
        let blocks = blocks?;
        let all = match blocks.as_slice() {
            [block] => block.clone(),
            blocks => Tensor::cat(blocks, blocks.first().map_or(0, |b| b.rank() - 1))?,
        };
        in_order(&all, self.unfolding.channels(), self.unfolding.patch())
    }
}

impl Kernels {
    /// By the blocks, each in its cheapest way.
    fn block_totals(&self, ask: Ask) -> Result<Totals> {
        if let [block] = self.blocks()? {
            return self.reordered(block.totals(ask)?);
        }
        Ok(Totals {
            sum: self.sum()?,
            squared_norms: match ask {
                Ask::Sum => PerDraw::NONE,
                Ask::Norms | Ask::Squares => self.squared_norms()?,
            },
            sum_of_squares: match ask {
                Ask::Squares => Some(self.sum_of_squares()?),
                Ask::Sum | Ask::Norms => None,
            },
        })
    }

    /// Totals of one group's patches, in the weight's order.
    fn reordered(&self, totals: Totals) -> Result<Totals> {
        let (channels, patch) = (self.unfolding.channels(), self.unfolding.patch());
        let in_order = |x: &Tensor| in_order(x, channels, patch);
        Ok(Totals {
            sum: in_order(&totals.sum)?,
            sum_of_squares: totals.sum_of_squares.as_ref().map(in_order).transpose()?,
            ..totals
        })
    }
}

impl PerExample for Kernels {
    fn sum(&self) -> Result<Tensor> {
        self.stacked(self.blocks()?.iter().map(Outer::sum).collect())
    }

    fn squared_norms(&self) -> Result<PerDraw> {
        let blocks = self.blocks()?.iter().map(Outer::squared_norms);
        let added = blocks.reduce(|sum, own| sum?.plus(own?));
        added.unwrap_or(Ok(PerDraw::NONE))
    }

    fn sum_of_squares(&self) -> Result<Tensor> {
        self.stacked(self.blocks()?.iter().map(Outer::sum_of_squares).collect())
    }

    /// The order of a gradient's entries does not touch it, so the groups' add up.
    fn gram(&self) -> Result<Vec<f64>> {
        let mut total = Vec::new();
        for block in self.blocks()? {
            let own = block.gram()?;
            total.resize(own.len(), 0.0);
            total.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
        }
        Ok(total)
    }

    fn rows(&self, start: usize, count: usize) -> Result<Tensor> {
        let rows = self.blocks()?.iter().map(|block| block.rows(start, count));
        self.stacked(rows.collect())
    }

    fn draws(&self) -> Result<usize> {
        self.blocks()?.first().map_or(Ok(0), Outer::draws)
    }

    fn totals(&self, ask: Ask) -> Result<Totals> {
        let (positions, patch) = (self.unfolding.positions(), self.unfolding.patch());
        let (examples, out) = self.upstream.dims4().map(|(n, out, ..)| (n, out))?;
        let group = self.session.group();
        // few positions make products too thin to be taken example by example
        let thin = ask != Ask::Squares
            && ghost_is_cheaper(positions * group, patch, out, self.images.device());
        if self.patches.is_some() || self.written.get().is_some() || thin {
            return self.block_totals(ask);
        }
        let convolution = Convolution {
            unfolding: &self.unfolding,
            examples,
            out,
        };
        let totals = by_type!(self.images, T => {
            Totals::on_host(convolution.sums::<T>(&self.images, &self.upstream, group, ask)?)?
        });
        self.reordered(totals)
    }
}
