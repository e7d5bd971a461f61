//! The cheap route for what no layer here measures: a batch split into a few microbatches, one backward pass each, as in gradient
//! accumulation.
//!
//! Legend: `k` microbatches of `m` examples. The mean gradient of each is a draw whose covariance is `Sigma / m` for independent examples
//! of covariance `Sigma`, so the `k` draws estimate `C` at batch size `m`, and `C / m` per example. The cost over plain training is `k`
//! small passes for a large one; the price is an interval from `k` draws where the exact route has one from `k m`.

use super::plain::flattened;
use crate::error::{Error, Result};
use crate::moments::Moments;
use crate::ratio::{Estimates, Interval, Ratio, Undefined, at_batch_size};
use candle_core::{DType, Device, Tensor, Var, backprop::GradStore};
use std::ops::Range;

/// How to split a batch.
#[derive(Clone, Copy, Debug)]
pub struct Microbatches {
    examples: usize,
    count: usize,
    drop_remainder: bool,
}

/// What [`Microbatches::run`] measured.
#[derive(Debug)]
pub struct MicrobatchReading {
    /// The mean of the microbatches' losses.
    pub loss: f64,
    /// The mean of their gradients, for the optimiser's `step`: what plain backpropagation gives for the mean loss of all examples used.
    pub gradients: GradStore,
    /// Moments of the `k` mean gradients, in the order of the parameters. A draw is a microbatch.
    pub moments: Moments,
    /// The examples in each, `m`.
    pub size: usize,
    /// The examples at the end of the batch that were left out.
    pub dropped: usize,
}

impl Microbatches {
    /// `examples` in `count` microbatches of the same size, each of consecutive examples. They must be in random order: a batch sorted by
    /// class has microbatches that differ by more than chance.
    pub fn new(examples: usize, count: usize) -> Self {
        Self {
            examples,
            count,
            drop_remainder: false,
        }
    }

    /// Leave out the last `examples mod count` examples, where that is not 0; without this it is an error. A smaller microbatch would have
    /// another covariance than the rest.
    #[must_use]
    pub fn drop_remainder(mut self) -> Self {
        self.drop_remainder = true;
        self
    }

    /// Backpropagates `loss` of each microbatch: given the indices of its examples in the batch, a scalar, the *mean* of their losses.
    ///
    /// # Errors
    /// When there are fewer than two microbatches, or fewer examples than microbatches; when the examples do not divide evenly and the
    /// remainder was not given up; when a parameter receives no gradient; when a gradient is not finite; whatever candle reports.
    pub fn run(
        &self,
        parameters: &[(String, Var)],
        mut loss: impl FnMut(Range<usize>) -> candle_core::Result<Tensor>,
    ) -> Result<MicrobatchReading> {
        let (size, dropped) = self.sizes()?;
        let dimension = parameters.iter().map(|(_, var)| var.elem_count()).sum();
        let mut moments = Moments::new(dimension)?;
        let (mut total, mut last) = (0.0, None);
        for start in (0..self.count).map(|index| index * size) {
            let value = loss(start..start + size)?;
            if value.rank() != 0 {
                return Err(Error::Capture(format!(
                    "the loss of a microbatch has shape {:?}; it must be a scalar, the mean of its examples' losses",
                    value.dims()
                )));
            }
            let gradients = value.backward()?;
            moments.push_tensor(&flattened(&gradients, parameters)?)?;
            total += value.to_dtype(DType::F64)?.to_scalar::<f64>()?;
            last = Some(gradients);
        }
        let Some(mut gradients) = last else {
            return Err(self.too_few());
        };
        // the store of the last pass, with the means in the place of its gradients
        let mut mean = moments.mean();
        for (_, var) in parameters {
            let (own, rest) = mean.split_at(var.elem_count());
            let own = Tensor::from_slice(own, var.shape(), &Device::Cpu)?;
            gradients.insert(var, own.to_dtype(var.dtype())?.to_device(var.device())?);
            mean = rest;
        }
        Ok(MicrobatchReading {
            loss: total / self.count as f64,
            gradients,
            moments,
            size,
            dropped,
        })
    }

    /// The examples in each microbatch, and how many are left over.
    fn sizes(&self) -> Result<(usize, usize)> {
        if self.count < 2 {
            return Err(self.too_few());
        }
        let (size, left) = (self.examples / self.count, self.examples % self.count);
        if size == 0 || (left > 0 && !self.drop_remainder) {
            return Err(Error::Capture(format!(
                "{} examples do not make up {} microbatches of the same size; give a multiple of {}{}",
                self.examples,
                self.count,
                self.count,
                match size {
                    0 => "",
                    _ => ", or drop the remainder",
                }
            )));
        }
        Ok((size, left))
    }

    fn too_few(&self) -> Error {
        Error::TooFewSamples {
            what: "a variance between microbatches",
            needed: 2,
            got: self.count as u64,
        }
    }
}

impl MicrobatchReading {
    /// `C` at batch size `m`, the unit of the draws, with an interval of nominal coverage `level`. Three microbatches are the fewest that
    /// have one.
    ///
    /// # Errors
    /// When `level` is not inside `(0, 1)`.
    pub fn ratio(&self, level: f64) -> Result<Ratio> {
        Ratio::estimate(&self.moments, level)
    }

    /// `C` of one example: [`MicrobatchReading::at_batch_size`] of 1.
    ///
    /// # Errors
    /// As there.
    pub fn per_example(&self, level: f64) -> Result<std::result::Result<Estimates, Undefined>> {
        self.at_batch_size(1, level)
    }

    /// `C` at batch size `B`: estimates and interval of [`MicrobatchReading::ratio`] times `B / m`, for batches drawn with replacement from
    /// far more examples than there are here. Of one example, `debiased` is `$\text{plug-in} - \frac{1}{k m}$`.
    ///
    /// # Errors
    /// When `batch_size` is 0, or `level` is not inside `(0, 1)`.
    pub fn at_batch_size(
        &self,
        batch_size: u64,
        level: f64,
    ) -> Result<std::result::Result<Estimates, Undefined>> {
        let convert = |c: f64| at_batch_size(c, self.size as u64, batch_size);
        // refuses a batch size of 0 where there is no ratio too
        convert(0.0)?;
        let estimates = match self.ratio(level)?.estimates {
            Ok(estimates) => estimates,
            Err(reason) => return Ok(Err(reason)),
        };
        let interval = match estimates.interval {
            Ok(interval) => Ok(Interval {
                low: convert(interval.low)?,
                high: convert(interval.high)?,
                level,
            }),
            Err(reason) => Err(reason),
        };
        Ok(Ok(Estimates {
            plug_in: convert(estimates.plug_in)?,
            debiased: convert(estimates.debiased)?,
            interval,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{Capture, Reduction, Unit, linear};
    use crate::rng::{Seed, SeededVars, standard_normals};
    use approx::assert_relative_eq;
    use candle_nn::Module;

    /// Sums of a few hundred products of numbers near 1.
    const TOLERANCE: f64 = 1e-12;

    /// A loss whose gradient in `w` is the mean of the rows: draws are what is put in.
    fn of_rows(rows: &[[f64; 2]], split: Microbatches) -> Result<MicrobatchReading> {
        let w = Var::from_slice(&[0.5, -1.0], 2, &Device::Cpu)?;
        let rows = Tensor::from_slice(rows.as_flattened(), (rows.len(), 2), &Device::Cpu)?;
        split.run(&[("w".into(), w.clone())], |range| {
            let own = rows.narrow(0, range.start, range.len())?;
            own.broadcast_mul(&w)?.sum(1)?.mean(0)
        })
    }

    /// Pairs whose means are (1, 0), (3, 0), (2, 2) and (2, -2).
    const PAIRS: [[f64; 2]; 8] = [
        [0., 0.],
        [2., 0.],
        [3., 1.],
        [3., -1.],
        [2., 2.],
        [2., 2.],
        [0., -2.],
        [4., -2.],
    ];

    #[test]
    fn four_pairs_give_the_ratio_that_pencil_gives_in_each_unit() -> Result<()> {
        let reading = of_rows(&PAIRS, Microbatches::new(8, 4))?;
        assert_eq!((reading.size, reading.dropped), (2, 0));
        // mean (2, 0), squared deviations 1 + 1 and 4 + 4, over 4 - 1
        let pair = reading.ratio(0.9)?.estimates.expect("there is noise");
        assert_relative_eq!(pair.plug_in, 1.2, max_relative = TOLERANCE);
        let own = pair.interval.expect("four draws");
        for (size, factor) in [(1, 0.5), (2, 1.0), (6, 3.0)] {
            let c = reading.at_batch_size(size, 0.9)?.expect("there is noise");
            assert_relative_eq!(c.plug_in, 1.2 * factor, max_relative = TOLERANCE);
            assert_relative_eq!(c.debiased, 0.95 * factor, max_relative = TOLERANCE);
            let interval = c.interval.expect("four draws");
            assert_relative_eq!(interval.low, own.low * factor, max_relative = TOLERANCE);
            assert_relative_eq!(interval.high, own.high * factor, max_relative = TOLERANCE);
            assert_eq!(interval.level, 0.9);
        }
        let c = reading.per_example(0.9)?.expect("there is noise");
        // the excess of the plug-in is one over all examples
        assert_relative_eq!(c.plug_in - c.debiased, 1.0 / 8.0, max_relative = TOLERANCE);
        Ok(())
    }

    /// Everything, moments and what the optimiser gets, against per-example gradients by the exact route and against one plain pass.
    #[test]
    fn microbatches_are_groups_of_the_per_example_gradients() -> Result<()> {
        let seed = Seed::root(71);
        let vars = SeededVars::new(seed);
        let builder = vars.builder(DType::F64, &Device::Cpu);
        let (first, second) = (
            linear(3, 4, builder.pp("first"))?,
            linear(4, 2, builder.pp("second"))?,
        );
        let inputs = standard_normals(&mut seed.derive("data").generator(), 36);
        let inputs = Tensor::from_vec(inputs, (12, 3), &Device::Cpu)?;
        let loss = |range: Range<usize>| {
            let x = inputs.narrow(0, range.start, range.len())?;
            let z = second.forward(&first.forward(&x)?.tanh()?)?;
            z.sqr()?.sum(1)?.mean(0)
        };
        let parameters = vars.named();
        let whole = loss(0..12)?;
        let plain = whole.backward()?;
        let exact = Capture::new(12, Reduction::Mean).rows();
        let exact = exact.run(&parameters, || loss(0..12))?.statistics;
        let rows = exact.rows()?.expect("they were asked for");
        for (count, size) in [(2, 6), (3, 4), (4, 3), (12, 1)] {
            let reading = Microbatches::new(12, count).run(&parameters, loss)?;
            let d = reading.moments.dimension();
            let groups = rows.reshape((count, size, d))?.mean(1)?;
            let mut expected = Moments::new(d)?;
            expected.push_tensor(&groups)?;
            for (got, mean) in reading.moments.mean().iter().zip(expected.mean()) {
                assert!((got - mean).abs() < TOLERANCE, "{got} against {mean}");
            }
            let variances = reading.moments.variances()?;
            for (got, variance) in variances.iter().zip(expected.variances()?) {
                assert!((got - variance).abs() < TOLERANCE, "{got} of {variance}");
            }
            let draws = Capture::new(12, Reduction::Mean).unit(Unit::Minibatch(size));
            let draws = draws.run(&parameters, || loss(0..12))?.statistics;
            let trace = reading.moments.trace()?;
            assert_relative_eq!(trace, draws.whole()?.noise, max_relative = TOLERANCE);
            let value = whole.to_scalar::<f64>()?;
            assert_relative_eq!(reading.loss, value, max_relative = TOLERANCE);
            for (name, var) in &parameters {
                let ours = reading.gradients.get(var).expect("every one has");
                let gap = (ours - plain.get(var).expect("as above"))?.abs()?;
                let gap = gap.flatten_all()?.max(0)?.to_scalar::<f64>()?;
                assert!(gap < TOLERANCE, "{name} differs by {gap}");
            }
        }
        Ok(())
    }

    #[test]
    fn over_all_orders_the_noise_per_example_averages_to_that_of_the_examples() -> Result<()> {
        let examples = [[0., 1.], [2., 5.], [3., -1.], [7., 2.], [-4., 0.], [1., 1.]];
        let mut orders: Vec<Vec<usize>> = vec![Vec::new()];
        for _ in 0..6 {
            let longer = orders.iter().flat_map(|order| {
                let unused = (0..6).filter(|index| !order.contains(index));
                unused.map(|index| [order.as_slice(), &[index]].concat())
            });
            orders = longer.collect();
        }
        let single = of_rows(&examples, Microbatches::new(6, 6))?;
        for (count, size) in [(2, 3.0), (3, 2.0)] {
            let mut total = 0.0;
            for order in &orders {
                let rows: Vec<[f64; 2]> = order.iter().map(|&index| examples[index]).collect();
                total += of_rows(&rows, Microbatches::new(6, count))?
                    .moments
                    .trace()?;
            }
            // analysis of variance: the mean square between groups expects the variance of the members
            let noise = size * total / orders.len() as f64;
            assert_relative_eq!(noise, single.moments.trace()?, max_relative = TOLERANCE);
        }
        Ok(())
    }

    #[test]
    fn a_remainder_is_refused_or_dropped_and_counted() -> Result<()> {
        let rows = [PAIRS.as_slice(), &[[100., 100.]]].concat();
        let error = of_rows(&rows, Microbatches::new(9, 4)).expect_err("one is left over");
        assert_eq!(
            error.to_string(),
            "9 examples do not make up 4 microbatches of the same size; give a multiple of 4, or drop the remainder"
        );
        let dropped = of_rows(&rows, Microbatches::new(9, 4).drop_remainder())?;
        assert_eq!((dropped.size, dropped.dropped), (2, 1));
        let without = of_rows(&PAIRS, Microbatches::new(8, 4))?;
        assert_eq!(dropped.moments.mean(), without.moments.mean());
        Ok(())
    }

    #[test]
    fn what_has_no_variance_or_no_meaning_is_refused_with_the_value() -> Result<()> {
        let message = |split: Microbatches| match of_rows(&PAIRS, split) {
            Ok(_) => "accepted".to_owned(),
            Err(error) => error.to_string(),
        };
        for count in [0, 1] {
            assert_eq!(
                message(Microbatches::new(8, count)),
                format!(
                    "{count} samples were given; a variance between microbatches needs at least 2"
                )
            );
        }
        for examples in [0, 3] {
            assert_eq!(
                message(Microbatches::new(examples, 4).drop_remainder()),
                format!(
                    "{examples} examples do not make up 4 microbatches of the same size; give a multiple of 4"
                )
            );
        }
        let w = Var::from_slice(&[1.0], 1, &Device::Cpu)?;
        let one = [("w".to_owned(), w.clone())];
        let two = Microbatches::new(2, 2);
        let error = two.run(&one, |_| Ok(w.as_tensor().clone()));
        assert_eq!(
            error.expect_err("not a scalar").to_string(),
            "the loss of a microbatch has shape [1]; it must be a scalar, the mean of its examples' losses"
        );
        let error = two.run(&one, |_| w.affine(f64::NAN, 0.0)?.sum_all());
        assert_eq!(
            error.expect_err("not finite").to_string(),
            "row 0, column 0 is NaN; every entry must be a finite number"
        );
        let error = two.run(&one, |_| Tensor::new(1.0, &Device::Cpu));
        let error = error.expect_err("the loss does not hold it").to_string();
        assert!(
            error.starts_with("no gradient reached parameter `w` of shape [1]"),
            "{error}"
        );
        let reading = of_rows(&PAIRS, Microbatches::new(8, 4))?;
        assert!(reading.at_batch_size(0, 0.9).is_err() && reading.per_example(1.0).is_err());
        Ok(())
    }

    #[test]
    fn gradients_that_are_all_the_same_have_no_ratio_and_two_have_no_interval() -> Result<()> {
        let constant = of_rows(&[[0.1, 7.0]; 8], Microbatches::new(8, 4))?;
        let c = constant.per_example(0.95)?;
        assert!(matches!(c, Err(Undefined::NoiseVanished { .. })), "{c:?}");
        let two = of_rows(&PAIRS[..4], Microbatches::new(4, 2))?.per_example(0.95)?;
        assert_eq!(
            two.expect("there is noise").interval,
            Err(Undefined::TooFewForInterval { samples: 2 })
        );
        Ok(())
    }
}
