//! Causal self-attention, in one pass each way. It has no parameters and nothing to measure: it is here because the operations it
//! otherwise consists of (rearranged copies, a scale, a mask, and their gradients) cost candle several times its products.

use super::activation::in_one_pass;
use super::attach::attach_alone;
use super::dense::{Number, by_type, in_lanes, multiply, num, wide, with_slice};
use super::exponential::softmax;
use candle_core::{D, Device, Error, Result, Tensor};
use candle_nn::ops;
use faer::{MatMut, MatRef};
use rayon::prelude::*;

/// `o_t = sum_{s <= t} a_ts v_s` with `a_t = softmax_{s <= t}(q_t k_s / sqrt(e))`, head by head (Vaswani et al. 2017, arXiv:1706.03762,
/// equation 1).
///
/// `qkv` is `[n, T, 3 heads e]`: of each position the queries of all heads, then their keys, then their values. Gives `[n, T, heads e]`.
///
/// # Errors
/// When the last axis is no multiple of `3 heads`, or candle fails.
pub fn causal_attention(qkv: &Tensor, heads: usize) -> Result<Tensor> {
    let (n, positions, features) = qkv.dims3()?;
    if heads == 0 || features % (3 * heads) != 0 {
        return Err(Error::Msg(format!(
            "an attention of {heads} heads was given {features} features a position; they must be queries, keys and values for each head"
        )));
    }
    let shape = Heads {
        heads,
        positions,
        each: features / (3 * heads),
    };
    if !in_one_pass(qkv) {
        return shape.by_operations(qkv, n);
    }
    by_type!(qkv, T => shape.on_host::<T>(qkv))
}

/// The sizes of one example.
#[derive(Clone, Copy)]
struct Heads {
    heads: usize,
    positions: usize,
    /// Features of a query, a key or a value.
    each: usize,
}

impl Heads {
    fn width(&self) -> usize {
        self.heads * self.each
    }

    fn scale(&self) -> f64 {
        1.0 / (self.each as f64).sqrt()
    }

    /// As candle differentiates it.
    fn by_operations(&self, qkv: &Tensor, n: usize) -> Result<Tensor> {
        let Self {
            heads,
            positions,
            each,
        } = *self;
        let all = qkv
            .reshape((n, positions, 3, heads, each))?
            .permute((2, 0, 3, 1, 4))?
            .contiguous()?;
        let (q, k, v) = (all.get(0)?, all.get(1)?, all.get(2)?);
        let later = (0..positions * positions).map(|at| match at % positions > at / positions {
            true => f32::NEG_INFINITY,
            false => 0.0,
        });
        let later = Tensor::from_vec(later.collect(), (positions, positions), &Device::Cpu)?
            .to_device(qkv.device())?
            .to_dtype(qkv.dtype())?;
        let scores = (q.matmul(&k.t()?)? * self.scale())?.broadcast_add(&later)?;
        let mixed = ops::softmax(&scores, D::Minus1)?.matmul(&v)?;
        mixed
            .transpose(1, 2)?
            .contiguous()?
            .reshape((n, positions, heads * each))
    }

    /// Queries, keys and values of one head, as they lie in an example.
    fn triple<'a, T>(&self, example: &'a [T], head: usize) -> [MatRef<'a, T>; 3] {
        let (width, each) = (self.width(), self.each);
        [0, 1, 2].map(|which| {
            let from = &example[which * width + head * each..];
            MatRef::from_row_major_slice_with_stride(from, self.positions, each, 3 * width)
        })
    }

    /// Where one head's numbers go, in rows of `width` with `at` before them.
    fn place<'a, T>(&self, rows: &'a mut [T], at: usize, width: usize) -> MatMut<'a, T> {
        // by columns and turned over: faer 0.24.4 takes the stride of its own constructor by rows for one of columns
        let from = &mut rows[at..];
        MatMut::from_column_major_slice_with_stride_mut(from, self.each, self.positions, width)
            .transpose_mut()
    }

    fn on_host<T: Number>(&self, qkv: &Tensor) -> Result<Tensor> {
        let own = *self;
        let (n, length) = (qkv.dim(0)?, self.positions);
        let (width, square) = (self.width(), length * length);
        let mut weights = vec![num::<T>(0.0); n * self.heads * square];
        let mut mixed = vec![num::<T>(0.0); n * length * width];
        with_slice(qkv, |qkv: &[T]| {
            let examples = qkv
                .par_chunks(3 * length * width)
                .zip(weights.par_chunks_mut(self.heads * square))
                .zip(mixed.par_chunks_mut(length * width));
            examples.for_each(|((qkv, weights), mixed)| {
                for (head, weights) in weights.chunks_exact_mut(square).enumerate() {
                    let [q, k, v] = own.triple(qkv, head);
                    let scores = MatMut::from_row_major_slice_mut(weights, length, length);
                    multiply(scores, false, q, k.transpose());
                    wide(
                        #[inline(always)]
                        || own.weigh(weights),
                    );
                    let weights = MatRef::from_row_major_slice(weights, length, length);
                    let place = own.place(mixed, head * own.each, width);
                    multiply(place, false, weights, v);
                }
            });
        })?;
        let mixed = Tensor::from_vec(mixed, (n, length, width), qkv.device())?;
        let input = qkv.detach();
        let pull_back = move |upstream: &Tensor| own.pull_back::<T>(&input, &weights, upstream);
        attach_alone(qkv, mixed, Box::new(pull_back))
    }

    /// Scores to weights: a softmax over the first `t + 1` of row `t`, and 0 beyond.
    #[inline(always)]
    fn weigh<T: Number>(&self, scores: &mut [T]) {
        let scale = num::<T>(self.scale());
        for (t, row) in scores.chunks_exact_mut(self.positions).enumerate() {
            let (earlier, later) = row.split_at_mut(t + 1);
            later.fill(num(0.0));
            softmax(earlier, scale, num(1.0));
        }
    }

    /// `dv = a' do`, `dz = a (da - sum a da)` with `da = do v'`, `dq = dz k` and `dk = dz' q`, both by the scale.
    fn pull_back<T: Number>(
        &self,
        qkv: &Tensor,
        weights: &[T],
        upstream: &Tensor,
    ) -> Result<Tensor> {
        let length = self.positions;
        let (width, square) = (self.width(), length * length);
        let mut slopes = vec![num::<T>(0.0); qkv.elem_count()];
        with_slice(qkv, |qkv: &[T]| {
            with_slice(upstream, |upstream: &[T]| {
                let examples = slopes
                    .par_chunks_mut(3 * length * width)
                    .zip(qkv.par_chunks(3 * length * width))
                    .zip(weights.par_chunks(self.heads * square))
                    .zip(upstream.par_chunks(length * width));
                examples.for_each(|(((slopes, qkv), weights), upstream)| {
                    let mut along = vec![num::<T>(0.0); square];
                    for (head, weights) in weights.chunks_exact(square).enumerate() {
                        let [q, k, v] = self.triple(qkv, head);
                        let at = head * self.each;
                        let o = MatRef::from_row_major_slice_with_stride(
                            &upstream[at..],
                            length,
                            self.each,
                            width,
                        );
                        let a = MatRef::from_row_major_slice(weights, length, length);
                        multiply(
                            self.place(slopes, 2 * width + at, 3 * width),
                            false,
                            a.transpose(),
                            o,
                        );
                        let into = MatMut::from_row_major_slice_mut(&mut along, length, length);
                        multiply(into, false, o, v.transpose());
                        wide(
                            #[inline(always)]
                            || self.unweigh(weights, &mut along),
                        );
                        let z = MatRef::from_row_major_slice(&along, length, length);
                        multiply(self.place(slopes, at, 3 * width), false, z, k);
                        multiply(
                            self.place(slopes, width + at, 3 * width),
                            false,
                            z.transpose(),
                            q,
                        );
                    }
                });
            })
        })??;
        Tensor::from_vec(slopes, qkv.shape(), qkv.device())
    }

    /// `da` to `dz`, by the scale.
    #[inline(always)]
    fn unweigh<T: Number>(&self, weights: &[T], along: &mut [T]) {
        let scale = num::<T>(self.scale());
        let rows = weights
            .chunks_exact(self.positions)
            .zip(along.chunks_exact_mut(self.positions));
        for (weights, along) in rows {
            for (along, &a) in along.iter_mut().zip(weights) {
                *along *= a;
            }
            let sum = in_lanes(along, num::<T>(0.0), |lane, x| lane + x);
            for (along, &a) in along.iter_mut().zip(weights) {
                *along = (*along - a * sum) * scale;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{gradients, linear_no_bias};
    use crate::rng::{Seed, SeededVars, standard_normals};
    use candle_core::DType;
    use candle_nn::Module;

    fn draws(shape: (usize, usize, usize)) -> Result<Tensor> {
        let (a, b, c) = shape;
        let drawn = standard_normals(&mut Seed::root(8).generator(), a * b * c);
        Tensor::from_vec(drawn, shape, &Device::Cpu)
    }

    #[test]
    fn both_ways_give_the_same_values_and_gradients() -> crate::Result<()> {
        // two examples of five positions, three heads of four features, behind a layer that is measured
        let vars = SeededVars::new(Seed::root(9));
        let layer = linear_no_bias(6, 36, vars.builder(DType::F64, &Device::Cpu))?;
        let (x, outwards) = (draws((2, 5, 6))?, draws((2, 5, 12))?);
        let loss = || (causal_attention(&layer.forward(&x)?, 3)? * &outwards)?.sum_all();
        let parameters = vars.named();
        let weight = &parameters[0].1;
        let by_operations = loss()?.backward()?;
        let (value, captured) = gradients(2, &parameters, loss)?;
        // sums of sixty terms of order 1, in double precision
        let plain = loss()?.to_scalar::<f64>()?;
        assert!((value - plain).abs() < 1e-13, "{value} against {plain}");
        let flat = |x: &Tensor| x.flatten_all()?.to_vec1::<f64>();
        let expected = flat(by_operations.get(weight).expect("it was used"))?;
        let got = flat(captured.get(weight).expect("it was used"))?;
        assert_eq!(got.len(), expected.len());
        for (got, expected) in got.iter().zip(&expected) {
            assert!((got - expected).abs() < 1e-13, "{got} against {expected}");
        }
        Ok(())
    }

    #[test]
    fn no_position_sees_a_later_one() -> Result<()> {
        let qkv = draws((2, 5, 36))?;
        let before = causal_attention(&qkv, 3)?.narrow(1, 0, 4)?;
        let last = (qkv.narrow(1, 4, 1)? + 1.0)?;
        let changed = Tensor::cat(&[&qkv.narrow(1, 0, 4)?, &last], 1)?;
        let after = causal_attention(&changed, 3)?.narrow(1, 0, 4)?;
        assert_eq!((before - after)?.abs()?.max_all()?.to_scalar::<f64>()?, 0.0);
        Ok(())
    }

    #[test]
    fn features_that_heads_do_not_divide_are_refused() -> Result<()> {
        let qkv = Tensor::zeros((1, 2, 10), DType::F32, &Device::Cpu)?;
        for heads in [0, 2] {
            let said = causal_attention(&qkv, heads).expect_err("10 is no multiple of 6");
            assert!(said.to_string().contains("given 10 features"), "{said}");
        }
        Ok(())
    }

    #[test]
    fn a_position_mixes_the_values_before_it_by_the_softmax_of_its_scores() -> Result<()> {
        let (n, positions, heads, each) = (2, 5, 3, 4);
        let qkv = draws((n, positions, 3 * heads * each))?;
        let mixed = causal_attention(&qkv, heads)?.to_vec3::<f64>()?;
        for (qkv, mixed) in qkv.to_vec3::<f64>()?.iter().zip(&mixed) {
            for (head, t) in (0..heads).flat_map(|head| (0..positions).map(move |t| (head, t))) {
                // which: queries, keys or values
                let part =
                    |which: usize, t: usize| &qkv[t][(which * heads + head) * each..][..each];
                let score = |s: usize| {
                    let product: f64 = part(0, t).iter().zip(part(1, s)).map(|(q, k)| q * k).sum();
                    (product / (each as f64).sqrt()).exp()
                };
                let total: f64 = (0..=t).map(score).sum();
                for k in 0..each {
                    let expected: f64 = (0..=t).map(|s| score(s) / total * part(2, s)[k]).sum();
                    let got = mixed[t][head * each + k];
                    // a dozen roundings of numbers of a few units
                    assert!((got - expected).abs() < 1e-14, "{got} against {expected}");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn half_precision_goes_by_candles_operations() -> Result<()> {
        let qkv = draws((2, 5, 36))?;
        let half = causal_attention(&qkv.to_dtype(DType::F16)?, 3)?;
        assert_eq!(half.dtype(), DType::F16);
        let gap = (half.to_dtype(DType::F64)? - causal_attention(&qkv, 3)?)?;
        // scores, weights and values of a few units, each rounded by 5e-4
        assert!(gap.abs()?.max_all()?.to_scalar::<f64>()? < 1e-2, "{gap}");
        Ok(())
    }
}
