//! Fisher matrices and covariances from per-example gradients, `[n, d]`.

use super::tensors::{check_finite, to_host, widened};
use super::{Curvature, Dense, Diagonal};
use crate::error::{Error, Result};
use crate::ranks::{self, Ranks};
use candle_core::Tensor;
use faer::Mat;

/// Where the labels came from at which gradients were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The data's own labels: the empirical Fisher.
    Empirical,
    /// Labels drawn from the model's predictive distribution: the Monte-Carlo Fisher (type 1).
    MonteCarlo,
    /// The expectation over those labels, exactly: the type-2 Fisher, which is the generalised Gauss-Newton matrix.
    Type2,
}

/// An operator that can hold `sum_i g_i g_i'`, or the part of it that fits its shape.
pub trait RowProducts: Curvature + Sized {
    /// `$\frac{1}{\text{divisor}} \sum_i g_i g_i'$` of `rows`, `[n, d]` of 64-bit numbers.
    ///
    /// # Errors
    /// When the result is not finite, or candle fails.
    fn of_products(rows: &Tensor, divisor: f64) -> Result<Self>;

    /// Its numbers, of which sums over operators of one size are the numbers of their sum.
    fn numbers(&self) -> Vec<f64>;

    /// The operator of these numbers.
    ///
    /// # Errors
    /// When they are those of no such operator.
    fn of_numbers(numbers: Vec<f64>) -> Result<Self>;
}

impl RowProducts for Diagonal {
    fn of_products(rows: &Tensor, divisor: f64) -> Result<Self> {
        let sums = rows.sqr()?.sum(0)?.to_vec1::<f64>()?;
        Self::new(sums.into_iter().map(|s| s / divisor).collect())
    }

    fn numbers(&self) -> Vec<f64> {
        self.entries().to_vec()
    }

    fn of_numbers(numbers: Vec<f64>) -> Result<Self> {
        Self::new(numbers)
    }
}

impl RowProducts for Dense {
    fn of_products(rows: &Tensor, divisor: f64) -> Result<Self> {
        let products = (rows.t()?.matmul(rows)? / divisor)?;
        Self::new(to_host(&products)?.as_ref())
    }

    fn numbers(&self) -> Vec<f64> {
        let matrix = self.matrix();
        let columns = (0..matrix.ncols()).map(|j| matrix.col(j));
        columns
            .flat_map(|c| c.iter().copied().collect::<Vec<f64>>())
            .collect()
    }

    fn of_numbers(numbers: Vec<f64>) -> Result<Self> {
        let side = numbers.len().isqrt();
        Self::new(Mat::from_fn(side, side, |i, j| numbers[j * side + i]).as_ref())
    }
}

/// The uncentred second moment, a Fisher matrix:
///
/// ```math
/// F = \frac1n \sum_i g_i g_i'
/// ```
#[derive(Clone, Debug)]
pub struct SecondMoment<C> {
    curvature: C,
    source: Source,
    /// The rows, or for type 2 the examples, that it is a mean over.
    examples: u64,
}

impl<C: RowProducts> SecondMoment<C> {
    /// The empirical Fisher, from gradients at the real labels.
    ///
    /// # Errors
    /// When `rows` is not `[n, d]` with both at least 1, or not finite.
    pub fn empirical(rows: &Tensor) -> Result<Self> {
        Self::of(std::slice::from_ref(rows), Source::Empirical)
    }

    /// The Monte-Carlo Fisher, from gradients at labels drawn from the model ([`super::OutputLoss::sampled`]); several draws an example are
    /// several rows.
    ///
    /// # Errors
    /// As [`SecondMoment::empirical`].
    pub fn monte_carlo(rows: &Tensor) -> Result<Self> {
        Self::of(std::slice::from_ref(rows), Source::MonteCarlo)
    }

    /// The type-2 Fisher, from one `[n, d]` for each column of [`super::OutputLoss::columns`]:
    ///
    /// ```math
    /// F = \frac1n \sum_i \sum_k g_{ik} g_{ik}'
    /// ```
    ///
    /// # Errors
    /// As [`SecondMoment::empirical`], and when there is no column or their shapes differ.
    pub fn type_2(columns: &[Tensor]) -> Result<Self> {
        Self::of(columns, Source::Type2)
    }

    fn of(columns: &[Tensor], source: Source) -> Result<Self> {
        let columns = columns
            .iter()
            .map(|rows| checked(rows, 1))
            .collect::<Result<Vec<_>>>()?;
        let Some(first) = columns.first() else {
            return Err(Error::Length {
                what: "the list of columns",
                expected: 1,
                got: 0,
            });
        };
        let (examples, width) = first.dims2()?;
        if let Some(other) = columns.iter().find(|c| c.dims() != first.dims()) {
            return Err(Error::Shape {
                what: "a column's gradients",
                expected: format!("[{examples}, {width}]"),
                got: other.dims().to_vec(),
            });
        }
        Ok(Self {
            curvature: C::of_products(&Tensor::cat(&columns, 0)?, examples as f64)?,
            source,
            examples: examples as u64,
        })
    }

    /// The mean over the examples of all ranks, left on each: shards may be of any sizes, but none empty. Messages of as many numbers as the
    /// operator holds.
    ///
    /// # Errors
    /// When the ranks' sizes differ, or the numbers can not be brought together.
    pub fn all_reduce(&mut self, ranks: &impl Ranks) -> Result<()> {
        let mut sums = self.curvature.numbers();
        ranks::agree(ranks, "the size of the Fisher matrix", sums.len() as u64)?;
        let own = self.examples as f64;
        let mut total = [own];
        ranks.add(&mut total)?;
        sums.iter_mut().for_each(|x| *x *= own / total[0]);
        ranks.add(&mut sums)?;
        self.curvature = C::of_numbers(sums)?;
        self.examples = total[0] as u64;
        Ok(())
    }
}

impl<C> SecondMoment<C> {
    /// The operator.
    pub fn curvature(&self) -> &C {
        &self.curvature
    }

    /// The number of examples that it is a mean over.
    pub fn examples(&self) -> u64 {
        self.examples
    }

    /// Which Fisher matrix this is.
    pub fn source(&self) -> Source {
        self.source
    }
}

/// The covariance, centred and with the divisor `n - 1`: noise, and no Fisher matrix.
///
/// ```math
/// \hat D = \frac{1}{n - 1} \sum_i (g_i - \hat\mu)(g_i - \hat\mu)'
/// ```
#[derive(Clone, Debug)]
pub struct Covariance<C> {
    curvature: C,
}

impl<C: RowProducts> Covariance<C> {
    /// From gradients, `[n, d]`.
    ///
    /// # Errors
    /// When `rows` is not `[n, d]` with `n` at least 2, or not finite.
    pub fn of(rows: &Tensor) -> Result<Self> {
        let rows = checked(rows, 2)?;
        let centred = rows.broadcast_sub(&rows.mean_keepdim(0)?)?;
        let divisor = (rows.dim(0)? - 1) as f64;
        Ok(Self {
            curvature: C::of_products(&centred, divisor)?,
        })
    }
}

impl<C> Covariance<C> {
    /// The operator.
    pub fn curvature(&self) -> &C {
        &self.curvature
    }
}

/// `rows` in 64 bits, if they are at least `needed` finite rows of at least one number.
fn checked(rows: &Tensor, needed: usize) -> Result<Tensor> {
    match rows.dims() {
        [_, 0] => Err(Error::NoCoordinates),
        [n, _] if *n < needed => Err(Error::TooFewSamples {
            what: "a curvature from gradients",
            needed: needed as u64,
            got: *n as u64,
        }),
        [_, _] => {
            let rows = widened(rows)?;
            check_finite(&rows)?;
            Ok(rows)
        }
        other => Err(Error::Shape {
            what: "the gradients",
            expected: "[examples, parameters]".into(),
            got: other.to_vec(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};
    use faer::mat;

    fn rows<const N: usize>(entries: &[[f64; 2]; N]) -> Tensor {
        Tensor::new(entries, &Device::Cpu).expect("a small tensor")
    }

    #[test]
    fn the_two_moments_of_three_gradients_are_what_pencil_gives() -> Result<()> {
        // mean (2, 1); deviations (-1, -1), (0, 2), (1, -1)
        let gradients = rows(&[[1.0, 0.0], [2.0, 3.0], [3.0, 0.0]]);
        let covariance = Covariance::<Dense>::of(&gradients)?;
        assert_eq!(
            covariance.curvature().matrix(),
            mat![[1.0, 0.0], [0.0, 3.0]]
        );
        let second = SecondMoment::<Dense>::empirical(&gradients)?;
        // (1 + 4 + 9, 0 + 6 + 0, 9) / 3
        let expected = mat![[14.0 / 3.0, 2.0], [2.0, 3.0]];
        // one rounding of numbers below 8
        assert!((second.curvature().matrix() - expected).norm_max() < 2e-15);
        assert_eq!(second.source(), Source::Empirical);
        let diagonal = Covariance::<Diagonal>::of(&gradients)?;
        assert_eq!(diagonal.curvature().entries(), [1.0, 3.0]);
        let diagonal = SecondMoment::<Diagonal>::monte_carlo(&gradients)?;
        assert_eq!(diagonal.curvature().entries(), [14.0 / 3.0, 3.0]);
        assert_eq!(diagonal.source(), Source::MonteCarlo);
        Ok(())
    }

    #[test]
    fn columns_add_up_and_do_not_average() -> Result<()> {
        let columns = [
            rows(&[[1.0, 0.0], [0.0, 0.0]]),
            rows(&[[0.0, 3.0], [2.0, 0.0]]),
        ];
        let fisher = SecondMoment::<Dense>::type_2(&columns)?;
        assert_eq!(fisher.curvature().matrix(), mat![[2.5, 0.0], [0.0, 4.5]]);
        assert!(SecondMoment::<Dense>::type_2(&[]).is_err());
        let uneven = [rows(&[[1.0, 0.0]]), rows(&[[1.0, 0.0], [1.0, 2.0]])];
        assert_eq!(
            SecondMoment::<Dense>::type_2(&uneven)
                .expect_err("two shapes")
                .to_string(),
            "a column's gradients has shape [2, 2]; it must have shape [1, 2]"
        );
        Ok(())
    }

    #[test]
    fn a_million_small_squares_in_half_the_bits_are_summed_in_all_of_them() -> Result<()> {
        let column = Tensor::full(0.5f32, (1_000_000, 1), &Device::Cpu)?.to_dtype(DType::BF16)?;
        let second = SecondMoment::<Diagonal>::empirical(&column)?;
        assert_eq!(second.curvature().entries(), [0.25]);
        Ok(())
    }

    #[test]
    fn what_has_no_moment_is_refused() -> Result<()> {
        let message = |tensor: &Tensor| {
            Covariance::<Diagonal>::of(tensor)
                .expect_err("refused")
                .to_string()
        };
        assert_eq!(
            message(&rows(&[[1.0, 2.0]])),
            "1 samples were given; a curvature from gradients needs at least 2"
        );
        assert_eq!(
            message(&rows(&[[1.0, 2.0], [3.0, f64::INFINITY]])),
            "row 1, column 1 is inf; every entry must be a finite number"
        );
        assert_eq!(
            message(&Tensor::zeros((2, 2, 2), DType::F64, &Device::Cpu)?),
            "the gradients has shape [2, 2, 2]; it must have shape [examples, parameters]"
        );
        assert!(
            message(&Tensor::zeros((2, 0), DType::F64, &Device::Cpu)?).contains("one coordinate")
        );
        Ok(())
    }
}
