//! Embeddings: rows of a matrix by their indices.
//!
//! Kronecker factors are made from products of a layer's inputs; the inputs of an embedding are indices, so that no pair is recorded.

use super::attach::attach;
use super::per_example::{PerExample, Rows, chunks};
use super::reduce::{PerDraw, squares};
use super::session::Session;
use candle_core::{D, DType, Result, Tensor};
use candle_nn::{Module, VarBuilder};
use std::collections::HashMap;

/// `candle_nn::Embedding`, measured. Indices `[examples]` or `[examples, ...]` of type `u8`, `u32` or `i64`; the axes behind the first are
/// positions.
///
/// Where candle's own gives a row of zeros for the largest number of the indices' type, this one does not for 255 in `u8`, which may be a
/// byte of a text; inside a capture the others are errors.
#[derive(Clone, Debug)]
pub struct Embedding {
    plain: candle_nn::Embedding,
}

impl Embedding {
    /// From a matrix `[vocabulary, hidden_size]`.
    pub fn new(embeddings: Tensor, hidden_size: usize) -> Self {
        Self {
            plain: candle_nn::Embedding::new(embeddings, hidden_size),
        }
    }

    /// `[vocabulary, hidden_size]`.
    pub fn embeddings(&self) -> &Tensor {
        self.plain.embeddings()
    }

    /// The length of one embedding.
    pub fn hidden_size(&self) -> usize {
        self.plain.hidden_size()
    }
}

/// As `candle_nn::embedding`.
///
/// # Errors
/// When the builder has no such tensor.
pub fn embedding(vocabulary: usize, hidden_size: usize, vb: VarBuilder) -> Result<Embedding> {
    let plain = candle_nn::embedding(vocabulary, hidden_size, vb)?;
    Ok(Embedding { plain })
}

impl Module for Embedding {
    fn forward(&self, indices: &Tensor) -> Result<Tensor> {
        let indices = match indices.dtype() {
            DType::U8 => indices.to_dtype(DType::U32)?,
            _ => indices.clone(),
        };
        let Some(session) = Session::current() else {
            return self.plain.forward(&indices);
        };
        match indices.rank() {
            1 => session.check_input(&indices.unsqueeze(1)?)?,
            _ => session.check_input(&indices)?,
        }
        let (vocabulary, width) = self.embeddings().dims2()?;
        let own = checked(&indices, vocabulary)?;
        let Some(slot) = session.announce(self.embeddings())? else {
            return self.plain.forward(&indices);
        };
        let frozen = candle_nn::Embedding::new(self.embeddings().detach(), width);
        let value = frozen.forward(&indices.contiguous()?)?;
        attach(
            &indices,
            self.embeddings(),
            value,
            Box::new(move |upstream, _| {
                let upstream = session.positions(upstream)?;
                session.record(slot, Box::new(Scatter::new(&own, &upstream, vocabulary)?))?;
                Ok(None)
            }),
        )
    }
}

/// The indices on the host, each below `vocabulary`.
fn checked(indices: &Tensor, vocabulary: usize) -> Result<Vec<usize>> {
    if !matches!(indices.dtype(), DType::U32 | DType::I64) {
        return Err(candle_core::Error::Msg(format!(
            "an embedding was given indices of type {:?}; they must be u8, u32 or i64",
            indices.dtype()
        )));
    }
    let indices = indices
        .flatten_all()?
        .to_dtype(DType::I64)?
        .to_vec1::<i64>()?;
    let inside = |&index: &i64| {
        let found = usize::try_from(index).ok().filter(|&at| at < vocabulary);
        found.ok_or_else(|| {
            candle_core::Error::Msg(format!(
                "an embedding was given the index {index}; its vocabulary has the indices 0 to {}",
                vocabulary.saturating_sub(1)
            ))
        })
    };
    indices.iter().map(inside).collect()
}

/// Gradients of a matrix `[vocabulary, dim]` whose rows were picked: `g_i[v] = sum_t [id_it = v] o_it`.
struct Scatter {
    /// `[n, T, dim]`: for every draw the rows of its gradient that may differ from zero, then zeros.
    touched: Tensor,
    /// `n T` row numbers; where a draw touched fewer than `T`, any number.
    rows: Vec<usize>,
    vocabulary: usize,
}

impl Scatter {
    /// From `n T` indices and `o = dL/dz`, `[n, T, dim]`.
    fn new(indices: &[usize], upstream: &Tensor, vocabulary: usize) -> Result<Self> {
        let (n, positions, width) = upstream.dims3()?;
        let mut rows = vec![0; n * positions];
        let mut places = Vec::with_capacity(n * positions);
        for (draw, own) in indices.chunks(positions.max(1)).enumerate() {
            let mut known = HashMap::new();
            for &index in own {
                let next = known.len();
                let place = *known.entry(index).or_insert(next);
                rows[draw * positions + place] = index;
                places.push(place);
            }
        }
        Ok(Self {
            touched: added(upstream, &places, positions)?.reshape((n, positions, width))?,
            rows,
            vocabulary,
        })
    }

    fn width(&self) -> Result<usize> {
        self.touched.dim(D::Minus1)
    }

    /// Numbers for every touched row, `[n, T, dim]`, added up over the draws where they belong, `[d]`.
    fn over_draws(&self, numbers: &Tensor) -> Result<Tensor> {
        let flat = numbers.reshape((1, (), self.width()?))?;
        added(&flat, &self.rows, self.vocabulary)?.flatten_all()
    }
}

/// Entries of the matrix that [`added`] makes on a device at the most: 256 MB of `f32`.
const MARKS: usize = 1 << 26;

/// In each of `n` blocks, rows `[n, m, dim]` added up at their `n m` places below `size`, `[n size, dim]`.
fn added(rows: &Tensor, places: &[usize], size: usize) -> Result<Tensor> {
    let (n, m, width) = rows.dims3()?;
    let device = rows.device();
    if !device.is_cpu() && places.len() * size <= MARKS {
        return added_by_marks(rows, places, size);
    }
    let places = places.iter().enumerate();
    let places: Vec<i64> = places
        .map(|(at, place)| (at / m * size + place) as i64)
        .collect();
    let zeros = Tensor::zeros((n * size, width), rows.dtype(), device)?;
    let flat = rows.reshape((n * m, width))?.contiguous()?;
    zeros.index_add(&Tensor::new(places, device)?, &flat, 0)
}

/// [`added`] as a product: candle's `index_add` on a GPU adds one row after the other.
fn added_by_marks(rows: &Tensor, places: &[usize], size: usize) -> Result<Tensor> {
    let (n, m, width) = rows.dims3()?;
    let device = rows.device();
    let places: Vec<u32> = places.iter().map(|&place| place as u32).collect();
    let places = Tensor::from_vec(places, (n, 1, m), device)?;
    let all = Tensor::arange(0u32, size as u32, device)?.reshape((1, size, 1))?;
    let marks = places.broadcast_eq(&all)?.to_dtype(rows.dtype())?;
    marks
        .matmul(&rows.contiguous()?)?
        .reshape((n * size, width))
}

impl PerExample for Scatter {
    fn sum(&self) -> Result<Tensor> {
        self.over_draws(&self.touched)
    }

    fn squared_norms(&self) -> Result<PerDraw> {
        squares(&self.touched)
    }

    fn sum_of_squares(&self) -> Result<Tensor> {
        self.over_draws(&self.touched.sqr()?)
    }

    /// Over the rows that some draw touched, some columns at a time.
    fn gram(&self) -> Result<Vec<f64>> {
        let (n, _, width) = self.touched.dims3()?;
        let mut known = HashMap::new();
        for &row in &self.rows {
            let next = known.len();
            known.entry(row).or_insert(next);
        }
        let places: Vec<usize> = self.rows.iter().map(|row| known[row]).collect();
        let mut total = vec![0.0; n * n];
        for (start, count) in chunks(width, n * known.len(), self.touched.device()) {
            let columns = self.touched.narrow(2, start, count)?;
            let rows = added(&columns, &places, known.len())?;
            let own = Rows(rows.reshape((n, known.len() * count))?).gram()?;
            total.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
        }
        Ok(total)
    }

    fn rows(&self, start: usize, count: usize) -> Result<Tensor> {
        let (_, positions, width) = self.touched.dims3()?;
        let own = self.touched.narrow(0, start, count)?;
        let rows = &self.rows[start * positions..][..count * positions];
        added(&own, rows, self.vocabulary)?.reshape((count, self.vocabulary * width))
    }

    fn draws(&self) -> Result<usize> {
        self.touched.dim(0)
    }
}

#[cfg(test)]
mod tests;
