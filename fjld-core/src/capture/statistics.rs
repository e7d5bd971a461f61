//! What per-example gradients say, by parameter, by layer and whole.
//!
//! Legend: `n` draws `g_i` of the unit that the capture was told, `d` parameters, `mu_hat` their mean, `D_hat` their covariance with the
//! divisor `n - 1`, `$Q = \sum_i |g_i|^2$`. The trace comes as `$\Tr \hat D = (Q - n |\hat\mu|^2) / (n - 1)$`, from sums in `f64`.

use super::reduce::{PerDraw, squares};
use super::request::Unit;
use crate::error::{Error, Result};
use crate::moments::{FullMoments, Moments};
use crate::ranks::{self, Ranks};
use crate::ratio::{Estimates, Ratio, Undefined};
use candle_core::{DType, Tensor};
use faer::{Mat, Side};

/// Roundings, in units of the gradients' own resolution, that a squared norm and the square of the mean may differ by where all
/// gradients are the same: each comes from products of two tensors that were rounded twice, and from sums of them.
const ROUNDINGS: f64 = 16.0;

/// Statistics of the draws of one batch, or of several merged.
#[derive(Clone, Debug)]
pub struct Statistics {
    unit: Unit,
    parameters: Vec<ParameterStatistics>,
    /// Inner products of all draws, `[n, n]`, if they were measured.
    products: Option<Vec<f64>>,
}

/// Statistics of one parameter's gradients.
#[derive(Clone, Debug)]
pub struct ParameterStatistics {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    /// The sum of the draws over `scale`, `[d]`.
    pub(super) sum: Tensor,
    pub(super) scale: f64,
    /// Of the draws, scaled.
    pub(super) squared_norms: Vec<f64>,
    /// Over `scale^2`, `[d]`.
    pub(super) sum_of_squares: Option<Tensor>,
    /// The draws, scaled, `[n, d]`.
    pub(super) rows: Option<Tensor>,
    /// The relative distance of neighbouring numbers in the type that the gradients were computed in.
    pub(super) resolution: f64,
}

/// Signal and noise of a part of the gradient. Over all parameters they add up to those of the whole; their ratios do not.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// The parameter or layer.
    pub name: String,
    /// Its number of coordinates.
    pub coordinates: usize,
    /// The number of draws, `n`.
    pub samples: u64,
    /// `|mu_hat|^2` over its coordinates.
    pub signal: f64,
    /// `Tr D_hat` over its coordinates, with the divisor `n - 1`.
    pub noise: f64,
    /// The trace below which nothing but rounding is left.
    pub rounding_floor: f64,
}

impl Share {
    /// Of the parts together: all parameters, or those of a layer.
    pub fn sum(name: &str, parts: &[Self]) -> Self {
        let mut sum = Self {
            name: name.to_owned(),
            coordinates: 0,
            samples: parts.first().map_or(0, |part| part.samples),
            signal: 0.0,
            noise: 0.0,
            rounding_floor: 0.0,
        };
        parts.iter().for_each(|part| sum.add(part));
        sum
    }

    /// `signal / noise - 1/n`; `None` where the noise vanished against rounding.
    pub fn debiased(&self) -> Option<f64> {
        (self.noise > self.rounding_floor)
            .then(|| self.signal / self.noise - 1.0 / self.samples as f64)
    }
}

/// The layer that a parameter belongs to: its name without the last component.
pub(super) fn layer_of(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(layer, _)| layer)
}

impl ParameterStatistics {
    /// The name that the list of parameters gives it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its shape.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// `|g_i|^2` over this parameter, one for each draw.
    pub fn squared_norms(&self) -> &[f64] {
        &self.squared_norms
    }

    /// `mu_hat`, in the parameter's shape.
    ///
    /// # Errors
    /// When candle fails.
    pub fn mean(&self) -> Result<Tensor> {
        let n = self.squared_norms.len() as f64;
        Ok((self.sum.reshape(self.shape.as_slice())? * (self.scale / n))?)
    }

    /// The variance of each coordinate with the divisor `n - 1`, in `f64` and the parameter's shape; `None` if it was not measured. A
    /// variance that rounding makes negative is zero.
    ///
    /// # Errors
    /// With fewer than two draws, or when candle fails.
    pub fn variances(&self) -> Result<Option<Tensor>> {
        let n = at_least_two(self.squared_norms.len())?;
        let Some(squares) = &self.sum_of_squares else {
            return Ok(None);
        };
        let sum = self.sum.to_dtype(DType::F64)?;
        let scatter = (squares.to_dtype(DType::F64)? - (sum.sqr()? / n)?)?;
        let variances = (scatter * (self.scale * self.scale / (n - 1.0)))?.relu()?;
        Ok(Some(variances.reshape(self.shape.as_slice())?))
    }

    /// The draws themselves, `[n, d]`; `None` if they were not kept.
    pub fn rows(&self) -> Option<&Tensor> {
        self.rows.as_ref()
    }

    /// Signal, noise and rounding of this parameter.
    ///
    /// # Errors
    /// With fewer than two draws, or when candle fails.
    pub fn share(&self) -> Result<Share> {
        Ok(shares(std::slice::from_ref(self))?.remove(0))
    }

    /// Signal, noise and rounding of `draws` with this squared norm of their sum and sum of their squared norms.
    fn share_of(&self, draws: usize, sum: f64, squares: f64, resolution: f64) -> Result<Share> {
        let n = at_least_two(draws)?;
        Ok(Share {
            name: self.name.clone(),
            coordinates: self.sum.elem_count(),
            samples: draws as u64,
            signal: sum / (n * n),
            noise: ((squares - sum / n) / (n - 1.0)).max(0.0),
            // where squares are not well above the least number of full precision, their digits are lost
            rounding_floor: (ROUNDINGS * resolution * squares
                + n * self.sum.elem_count() as f64 * f64::MIN_POSITIVE)
                / (n - 1.0),
        })
    }

    /// As [`ParameterStatistics::share`], of the draws of all ranks.
    fn all_reduce(&self, ranks: &impl Ranks) -> Result<Share> {
        let coordinates = self.sum.elem_count();
        ranks::agree(ranks, "the number of coordinates", coordinates as u64)?;
        let mut sums: Vec<f64> = wide(&self.sum, self.scale)?.to_vec1()?;
        sums.push(self.squared_norms.iter().sum());
        sums.push(self.squared_norms.len() as f64);
        ranks.add(&mut sums)?;
        let (sum, rest) = sums.split_at(coordinates);
        let sum = sum.iter().map(|s| s * s).sum();
        let resolution = ranks::largest(ranks, self.resolution)?;
        self.share_of(rest[1] as usize, sum, rest[0], resolution)
    }

    fn merge(&mut self, other: &Self) -> Result<()> {
        let sum = (wide(&self.sum, self.scale)? + wide(&other.sum, other.scale)?)?;
        self.sum_of_squares = match (&self.sum_of_squares, &other.sum_of_squares) {
            (Some(a), Some(b)) => {
                Some((wide(a, self.scale.powi(2))? + wide(b, other.scale.powi(2))?)?)
            }
            _ => None,
        };
        self.rows = match (&self.rows, &other.rows) {
            (Some(a), Some(b)) => Some(Tensor::cat(&[a, b], 0)?),
            _ => None,
        };
        self.sum = sum;
        self.scale = 1.0;
        self.resolution = self.resolution.max(other.resolution);
        self.squared_norms.extend(&other.squared_norms);
        Ok(())
    }
}

/// Signal, noise and rounding of each parameter.
fn shares(parameters: &[ParameterStatistics]) -> Result<Vec<Share>> {
    let sums = parameters.iter().map(|own| squares(&own.sum.unsqueeze(0)?));
    let sums = PerDraw::all_on_host(sums.collect::<candle_core::Result<_>>()?)?;
    let each = parameters.iter().zip(sums).map(|(own, sum)| {
        let sum = sum[0] * own.scale * own.scale;
        let squares = own.squared_norms.iter().sum();
        own.share_of(own.squared_norms.len(), sum, squares, own.resolution)
    });
    each.collect()
}

fn wide(tensor: &Tensor, scale: f64) -> Result<Tensor> {
    Ok((tensor.to_dtype(DType::F64)? * scale)?)
}

fn at_least_two(draws: usize) -> Result<f64> {
    if draws < 2 {
        return Err(Error::TooFewSamples {
            what: "a variance",
            needed: 2,
            got: draws as u64,
        });
    }
    Ok(draws as f64)
}

impl Statistics {
    pub(super) fn new(
        unit: Unit,
        parameters: Vec<ParameterStatistics>,
        products: Option<Vec<f64>>,
    ) -> Result<Self> {
        for parameter in &parameters {
            let norms = parameter.squared_norms.iter().enumerate();
            if let Some((draw, norm)) = norms.into_iter().find(|(_, norm)| !norm.is_finite()) {
                return Err(Error::Capture(format!(
                    "the gradient of draw {draw} in `{}` has the squared norm {norm}; every gradient must be finite",
                    parameter.name
                )));
            }
        }
        Ok(Self {
            unit,
            parameters,
            products,
        })
    }

    /// What one draw is.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// The number of draws, `n`.
    pub fn samples(&self) -> u64 {
        self.parameters
            .first()
            .map_or(0, |parameter| parameter.squared_norms.len() as u64)
    }

    /// Every parameter, in the order of the list that was measured.
    pub fn parameters(&self) -> &[ParameterStatistics] {
        &self.parameters
    }

    /// Signal and noise of every layer: parameters whose names agree up to the last `.`, in the order in which they first come.
    ///
    /// # Errors
    /// With fewer than two draws, or when candle fails.
    pub fn by_layer(&self) -> Result<Vec<Share>> {
        let mut layers: Vec<Share> = Vec::new();
        for share in shares(&self.parameters)? {
            let layer = layer_of(&share.name).to_owned();
            match layers.iter_mut().find(|known| known.name == layer) {
                Some(known) => known.add(&share),
                None => layers.push(Share {
                    name: layer,
                    ..share
                }),
            }
        }
        Ok(layers)
    }

    /// Signal and noise of the whole gradient.
    ///
    /// # Errors
    /// With fewer than two draws, or when candle fails.
    pub fn whole(&self) -> Result<Share> {
        Ok(Share::sum("all parameters", &shares(&self.parameters)?))
    }

    /// `|g_i|^2` over all parameters, one for each draw.
    pub fn squared_norms(&self) -> Vec<f64> {
        let mut total = vec![0.0; self.samples() as usize];
        for parameter in &self.parameters {
            let own = total.iter_mut().zip(&parameter.squared_norms);
            own.for_each(|(total, norm)| *total += norm);
        }
        total
    }

    /// `$C = |\mu|^2 / \Tr D$` per draw. With an interval of nominal coverage `level` ([`Ratio::estimate`]) where the capture measured the
    /// inner products of the draws or kept them; merged statistics have an interval only from kept draws.
    ///
    /// # Errors
    /// With fewer than two draws, when `level` is not inside `(0, 1)`, or when candle fails.
    pub fn ratio(&self, level: f64) -> Result<Ratio> {
        let whole = self.whole()?;
        let Share { signal, noise, .. } = whole;
        let isometric = match &self.products {
            Some(products) => {
                let mut moments = isometric_draws(products, self.samples() as usize)?;
                // a squared distance of two draws is a difference of inner products: the floor of the trace, as `Moments` has it
                let resolution = self.parameters.iter().map(|p| p.resolution);
                let resolution = resolution.fold(f64::EPSILON, f64::max);
                moments.coarsen((ROUNDINGS * resolution).sqrt() / 2.0);
                Some(moments)
            }
            None => self.moments()?,
        };
        let interval = match isometric {
            // checks the level as well
            Some(moments) => match Ratio::estimate(&moments, level)?.estimates {
                Ok(estimates) => estimates.interval,
                Err(reason) => Err(reason),
            },
            None => Err(Undefined::DrawsNotKept),
        };
        let estimates = if noise <= whole.rounding_floor {
            Err(Undefined::NoiseVanished {
                noise,
                floor: whole.rounding_floor,
            })
        } else {
            let plug_in = signal / noise;
            Ok(Estimates {
                plug_in,
                debiased: plug_in - 1.0 / whole.samples as f64,
                interval,
            })
        };
        Ok(Ratio {
            samples: whole.samples,
            signal,
            noise,
            estimates,
        })
    }

    /// The kept draws of all parameters, `[n, d]`; `None` if they were not kept.
    ///
    /// # Errors
    /// When candle fails.
    pub fn rows(&self) -> Result<Option<Tensor>> {
        let rows: Option<Vec<_>> = self.parameters.iter().map(|p| p.rows.as_ref()).collect();
        Ok(match rows {
            Some(rows) => Some(Tensor::cat(&rows, 1)?),
            None => None,
        })
    }

    /// Moments of the kept draws, from which everything else of this crate follows; `None` if they were not kept.
    ///
    /// # Errors
    /// When candle fails or a gradient is not finite.
    pub fn moments(&self) -> Result<Option<Moments>> {
        let Some(rows) = self.rows()? else {
            return Ok(None);
        };
        let mut moments = Moments::new(rows.dim(1)?)?;
        moments.push_tensor(&rows)?;
        Ok(Some(moments))
    }

    /// Mean and full covariance of the kept draws, in `O(d^2)` memory; `None` if they were not kept.
    ///
    /// # Errors
    /// When candle fails or a gradient is not finite.
    pub fn full_moments(&self) -> Result<Option<FullMoments>> {
        let Some(rows) = self.rows()? else {
            return Ok(None);
        };
        let mut moments = FullMoments::new(rows.dim(1)?)?;
        for row in rows.to_dtype(DType::F64)?.to_vec2::<f64>()? {
            moments.push(&row)?;
        }
        Ok(Some(moments))
    }

    /// Signal and noise of every parameter over the draws of all ranks, in the order of the list that was measured: [`Share::sum`] gives
    /// those of the whole. Shards may be of any sizes; a message of `d` numbers and four a parameter.
    ///
    /// # Errors
    /// When the ranks' parameters differ, with fewer than two draws on all ranks together, or when the numbers can not be brought
    /// together.
    pub fn all_reduce(&self, ranks: &impl Ranks) -> Result<Vec<Share>> {
        ranks::agree(
            ranks,
            "the number of parameters",
            self.parameters.len() as u64,
        )?;
        let own = self.parameters.iter();
        own.map(|parameter| parameter.all_reduce(ranks)).collect()
    }

    /// Adds the draws of another batch of the same model. Sums go on in `f64`. Measured inner products are lost: those between draws of
    /// different batches were never taken.
    ///
    /// # Errors
    /// When the units or the parameters differ, or candle fails; then nothing is added but what came before the failure.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        let same = |(a, b): (&ParameterStatistics, &ParameterStatistics)| {
            a.name == b.name && a.shape == b.shape
        };
        let pairs = self.parameters.iter().zip(&other.parameters);
        if self.parameters.len() != other.parameters.len() || !pairs.into_iter().all(same) {
            return Err(Error::Capture(
                "statistics of two different lists of parameters can not be merged".into(),
            ));
        }
        if self.unit != other.unit {
            return Err(Error::Capture(format!(
                "statistics of draws of {:?} and of {:?} can not be merged",
                self.unit, other.unit
            )));
        }
        for (own, other) in self.parameters.iter_mut().zip(&other.parameters) {
            own.merge(other)?;
        }
        self.products = None;
        Ok(())
    }
}

impl Share {
    fn add(&mut self, other: &Self) {
        self.coordinates += other.coordinates;
        self.signal += other.signal;
        self.noise += other.noise;
        self.rounding_floor += other.rounding_floor;
    }
}

/// Moments of `n` vectors in `n` dimensions with these inner products, `[n, n]`. Everything that rotations leave alone (norms, traces,
/// ranks, intervals) is the same for them as for the draws.
fn isometric_draws(products: &[f64], n: usize) -> Result<Moments> {
    let gram = Mat::from_fn(n, n, |i, j| {
        0.5 * (products[i * n + j] + products[j * n + i])
    });
    let eigen = gram.self_adjoint_eigen(Side::Lower).map_err(|_| {
        Error::Capture("the inner products of the gradients have no eigenvalues to rounding".into())
    })?;
    let (vectors, values) = (eigen.U(), eigen.S().column_vector());
    let largest = values.iter().copied().fold(0.0, f64::max);
    let mut moments = Moments::new(n)?;
    for draw in 0..n {
        // an eigenvalue that is zero comes out as its rounding, whose root would be a coordinate of 1e-8
        let root = |value: f64| match value {
            v if v > n as f64 * f64::EPSILON * largest => v.sqrt(),
            _ => 0.0,
        };
        let row: Vec<f64> = (0..n)
            .map(|k| vectors[(draw, k)] * root(values[k]))
            .collect();
        moments.push(&row)?;
    }
    Ok(moments)
}
