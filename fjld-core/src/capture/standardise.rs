//! Normalising layers on the host: scores, scale and shift in one pass over an example, and one backward that gives the parameters' share
//! as well. Nothing is kept for the backward pass but the input and two numbers a row.
//!
//! `x_hat = (x - mean) / sqrt(variance + eps)` over a row, `z = w x_hat + b`, and
//! `dL/dx = (g - mean(g) - x_hat mean(g x_hat)) / sqrt(variance + eps)` with `g = w dL/dz`. Not centred, both means of `x` and of `g` stay
//! away, and the variance is the mean square.

use super::dense::{Number, num, wide, with_slice};
use candle_core::{Result, Tensor};
use rayon::prelude::*;

/// What a normalisation does with an example, which is `rows` rows of `size` numbers next to each other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standardisation {
    pub examples: usize,
    pub rows: usize,
    pub size: usize,
    pub scales: Scales,
    pub centred: bool,
    pub eps: f64,
}

/// Which number of a row belongs to which entry of weight and bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scales {
    /// Entry `j` to number `j` of every row: layer normalisation.
    Columns,
    /// One entry to each run of this many numbers, counted on over the rows of an example: group normalisation.
    Runs(usize),
}

/// Mean and `1 / sqrt(variance + eps)` of every row.
pub(super) type Spreads = Vec<(f64, f64)>;

/// `sum_j f(j)` over pairs of numbers, in lanes for the compiler to keep in vector registers.
#[inline(always)]
fn sum2<T: Number>(x: &[T], y: &[T], f: impl Fn(f64, f64) -> f64) -> f64 {
    let mut sums = [0.0; 16];
    let ((xs, x_rest), (ys, y_rest)) = (x.as_chunks::<16>(), y.as_chunks::<16>());
    for (x, y) in xs.iter().zip(ys) {
        for (sum, (&x, &y)) in sums.iter_mut().zip(x.iter().zip(y)) {
            *sum += f(x.into(), y.into());
        }
    }
    let rest = x_rest.iter().zip(y_rest);
    sums.iter().sum::<f64>() + rest.map(|(&x, &y)| f(x.into(), y.into())).sum::<f64>()
}

impl Standardisation {
    fn example(&self) -> usize {
        self.rows * self.size
    }

    /// Entries of weight and bias that a row has, and where they begin.
    fn entries(&self, row: usize) -> std::ops::Range<usize> {
        match self.scales {
            Scales::Columns => 0..self.size,
            Scales::Runs(run) => row * (self.size / run)..(row + 1) * (self.size / run),
        }
    }

    /// `z`, as flat as `x`.
    pub fn forward<T: Number>(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
    ) -> Result<(Vec<T>, Spreads)> {
        let weight = weight.to_vec1::<T>()?;
        let bias = match bias {
            Some(bias) => bias.to_vec1::<T>()?,
            None => vec![T::zero(); weight.len()],
        };
        let mut value = vec![T::zero(); x.elem_count()];
        let mut spreads = vec![(0.0, 0.0); self.examples * self.rows];
        with_slice(x, |x: &[T]| {
            let examples = value
                .par_chunks_mut(self.example())
                .zip(spreads.par_chunks_mut(self.rows))
                .zip(x.par_chunks(self.example()));
            examples.for_each(|((value, spreads), x)| {
                wide(
                    #[inline(always)]
                    || {
                        let rows = value
                            .chunks_exact_mut(self.size)
                            .zip(x.chunks_exact(self.size));
                        for (row, ((value, x), spread)) in rows.zip(spreads).enumerate() {
                            *spread = self.spread(x);
                            let own = self.entries(row);
                            self.scale(value, x, *spread, &weight[own.clone()], &bias[own]);
                        }
                    },
                );
            });
        })?;
        Ok((value, spreads))
    }

    #[inline(always)]
    fn spread<T: Number>(&self, x: &[T]) -> (f64, f64) {
        let size = self.size as f64;
        let mean = match self.centred {
            true => sum2(x, x, |x, _| x) / size,
            false => 0.0,
        };
        let variance = sum2(x, x, |x, _| (x - mean) * (x - mean)) / size;
        (mean, 1.0 / (variance + self.eps).sqrt())
    }

    #[inline(always)]
    fn scale<T: Number>(
        &self,
        value: &mut [T],
        x: &[T],
        (mean, inverse): (f64, f64),
        weight: &[T],
        bias: &[T],
    ) {
        let (mean, inverse) = (num::<T>(mean), num::<T>(inverse));
        match self.scales {
            Scales::Columns => {
                let both = value.iter_mut().zip(x).zip(weight.iter().zip(bias));
                for ((value, &x), (&w, &b)) in both {
                    *value = (x - mean) * inverse * w + b;
                }
            }
            Scales::Runs(run) => {
                let both = value.chunks_exact_mut(run).zip(x.chunks_exact(run));
                for ((value, x), (&w, &b)) in both.zip(weight.iter().zip(bias)) {
                    let slope = inverse * w;
                    for (value, &x) in value.iter_mut().zip(x) {
                        *value = (x - mean) * slope + b;
                    }
                }
            }
        }
    }

    /// Per-example gradients `[n, k]` of weight and bias, and `dL/dx` where it is `wanted`.
    pub fn backward<T: Number>(
        &self,
        x: &Tensor,
        spreads: &Spreads,
        weight: &Tensor,
        upstream: &Tensor,
        wanted: bool,
    ) -> Result<Gradients<T>> {
        let weight = weight.to_vec1::<T>()?;
        let k = weight.len();
        let mut all = Gradients {
            weight: vec![T::zero(); self.examples * k],
            bias: vec![T::zero(); self.examples * k],
            input: vec![T::zero(); if wanted { x.elem_count() } else { 0 }],
        };
        let example = self.example();
        // an empty gradient of the input has as many empty parts
        let inputs: Vec<&mut [T]> = match wanted {
            true => all.input.chunks_exact_mut(example).collect(),
            false => (0..self.examples).map(|_| Default::default()).collect(),
        };
        with_slice(x, |x: &[T]| {
            with_slice(upstream, |upstream: &[T]| {
                let parameters = all.weight.par_chunks_mut(k).zip(all.bias.par_chunks_mut(k));
                let data = x.par_chunks(example).zip(upstream.par_chunks(example));
                parameters
                    .zip(inputs)
                    .zip(data.zip(spreads.par_chunks(self.rows)))
                    .for_each(
                        |(((of_weight, of_bias), input), ((x, upstream), spreads))| {
                            wide(
                                #[inline(always)]
                                || {
                                    for (row, &spread) in spreads.iter().enumerate() {
                                        let numbers = row * self.size..(row + 1) * self.size;
                                        let own = self.entries(row);
                                        let sums = self.parameters(
                                            &x[numbers.clone()],
                                            &upstream[numbers.clone()],
                                            spread,
                                            &weight[own.clone()],
                                            &mut of_weight[own.clone()],
                                            &mut of_bias[own.clone()],
                                        );
                                        if wanted {
                                            let (x, upstream) =
                                                (&x[numbers.clone()], &upstream[numbers.clone()]);
                                            let into = &mut input[numbers];
                                            self.input(
                                                into,
                                                x,
                                                upstream,
                                                spread,
                                                &weight[own],
                                                sums,
                                            );
                                        }
                                    }
                                },
                            );
                        },
                    );
            })
        })??;
        Ok(all)
    }

    /// Adds a row's share to the gradients of weight and bias; `sum g` and `sum g x_hat`.
    #[inline(always)]
    fn parameters<T: Number>(
        &self,
        x: &[T],
        upstream: &[T],
        (mean, inverse): (f64, f64),
        weight: &[T],
        of_weight: &mut [T],
        of_bias: &mut [T],
    ) -> (f64, f64) {
        match self.scales {
            Scales::Columns => {
                let (m, s) = (num::<T>(mean), num::<T>(inverse));
                let own = of_weight.iter_mut().zip(of_bias);
                for ((of_weight, of_bias), (&x, &o)) in own.zip(x.iter().zip(upstream)) {
                    *of_weight += o * ((x - m) * s);
                    *of_bias += o;
                }
                let slopes = sum2(weight, upstream, |w, o| w * o);
                let mut lanes = [0.0; 16];
                let chunks = x.as_chunks::<16>();
                let (w, o) = (weight.as_chunks::<16>(), upstream.as_chunks::<16>());
                for ((x, w), o) in chunks.0.iter().zip(w.0).zip(o.0) {
                    for (lane, ((&x, &w), &o)) in lanes.iter_mut().zip(x.iter().zip(w).zip(o)) {
                        *lane += (x.into() - mean) * (w.into() * o.into());
                    }
                }
                let mut along: f64 = lanes.iter().sum();
                for ((&x, &w), &o) in chunks.1.iter().zip(w.1).zip(o.1) {
                    along += (x.into() - mean) * (w.into() * o.into());
                }
                (slopes, along * inverse)
            }
            Scales::Runs(run) => {
                let mut sums = (0.0, 0.0);
                let own = of_weight.iter_mut().zip(of_bias).zip(weight);
                let runs = x.chunks_exact(run).zip(upstream.chunks_exact(run));
                for (((of_weight, of_bias), &w), (x, o)) in own.zip(runs) {
                    let flat = sum2(o, o, |o, _| o);
                    let along = sum2(x, o, |x, o| (x - mean) * o) * inverse;
                    *of_weight += num::<T>(along);
                    *of_bias += num::<T>(flat);
                    let w: f64 = w.into();
                    sums.0 += w * flat;
                    sums.1 += w * along;
                }
                sums
            }
        }
    }

    #[inline(always)]
    fn input<T: Number>(
        &self,
        into: &mut [T],
        x: &[T],
        upstream: &[T],
        (mean, inverse): (f64, f64),
        weight: &[T],
        (flat, along): (f64, f64),
    ) {
        let size = self.size as f64;
        let flat = if self.centred { flat / size } else { 0.0 };
        // dL/dx = s (w o - flat - (x - mean) s along): two constants of the row
        let (m, s) = (num::<T>(mean), num::<T>(inverse));
        let (flat, along) = (num::<T>(flat), num::<T>(inverse * along / size));
        match self.scales {
            Scales::Columns => {
                let data = x.iter().zip(upstream).zip(weight);
                for (into, ((&x, &o), &w)) in into.iter_mut().zip(data) {
                    *into = s * (w * o - flat - (x - m) * along);
                }
            }
            Scales::Runs(run) => {
                let runs = x
                    .chunks_exact(run)
                    .zip(upstream.chunks_exact(run))
                    .zip(weight);
                for (into, ((x, o), &w)) in into.chunks_exact_mut(run).zip(runs) {
                    for (into, (&x, &o)) in into.iter_mut().zip(x.iter().zip(o)) {
                        *into = s * (w * o - flat - (x - m) * along);
                    }
                }
            }
        }
    }
}

/// Of a normalisation's parameters, `[n, k]` each, and of its input.
pub(super) struct Gradients<T> {
    pub weight: Vec<T>,
    pub bias: Vec<T>,
    /// Empty if not wanted.
    pub input: Vec<T>,
}
