//! Laws with a known `C`, and samples of them for every mean at once.
//!
//! The covariance is diagonal: `C` and all intervals are the same in every orthonormal basis. The mean shifts the samples and nothing
//! else, so that one draw of the noise serves all means.

use fjld_core::moments::Deviation;
use fjld_core::ratio::Summary;
use fjld_core::rng::{Generator, standard_normals};
use fjld_core::{Moments, Undefined};
use rand_distr::{ChiSquared, Distribution, Exp1};

/// The shape of the noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// Gaussian.
    Normal,
    /// Multivariate Student with 5 degrees of freedom: one heavy-tailed factor for all coordinates of a draw.
    Student5,
    /// Independent coordinates `e - 1`, with `e` exponential: skewed.
    Exponential,
}

impl Law {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Normal, Self::Student5, Self::Exponential];

    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Student5 => "student5",
            Self::Exponential => "exponential",
        }
    }
}

/// Noise of unit covariance, `[n, d]`, of every law.
pub struct Noise {
    dimension: usize,
    normal: Vec<f64>,
    exponential: Vec<f64>,
    /// The factor of each draw that makes it a Student one, with covariance 1.
    factors: Vec<f64>,
}

impl Noise {
    /// Draws `n` times.
    pub fn draw(n: usize, dimension: usize, generator: &mut Generator) -> Self {
        let normal = standard_normals(generator, n * dimension);
        let exponential = (0..n * dimension)
            .map(|_| {
                let e: f64 = Exp1.sample(generator);
                e - 1.0
            })
            .collect();
        let chi_squared = ChiSquared::new(5.0).expect("5 degrees of freedom are accepted");
        // 5/chi^2 has the mean 5/3
        let factors = (0..n)
            .map(|_| f64::sqrt(3.0 / chi_squared.sample(generator)))
            .collect();
        Self {
            dimension,
            normal,
            exponential,
            factors,
        }
    }

    /// The samples `[n, d]` of one law, with the standard deviation of each coordinate.
    fn rows(&self, law: Law, deviations: &[f64]) -> Vec<f64> {
        let unit = match law {
            Law::Exponential => &self.exponential,
            Law::Normal | Law::Student5 => &self.normal,
        };
        let rows = unit.chunks_exact(self.dimension).zip(&self.factors);
        rows.flat_map(|(row, &factor)| {
            let factor = if law == Law::Student5 { factor } else { 1.0 };
            row.iter().zip(deviations).map(move |(x, s)| factor * x * s)
        })
        .collect()
    }
}

/// Standard deviations of coordinates whose variances fall evenly in their logarithm from the first to the last, `condition` times
/// smaller, and add up to 1.
pub fn spectrum(dimension: usize, condition: f64) -> Vec<f64> {
    let steps = (dimension.max(2) - 1) as f64;
    let variances: Vec<f64> = (0..dimension)
        .map(|j| condition.powf(-(j as f64) / steps))
        .collect();
    let trace: f64 = variances.iter().sum();
    variances.iter().map(|v| (v / trace).sqrt()).collect()
}

/// Where the mean points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mean {
    /// Along the direction with the most noise.
    Top,
    /// Evenly over all directions.
    Even,
}

impl Mean {
    /// Those that differ in `dimension` coordinates.
    pub fn all(dimension: usize) -> &'static [Self] {
        match dimension {
            1 => &[Self::Top],
            _ => &[Self::Top, Self::Even],
        }
    }

    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Top => "top",
            Self::Even => "even",
        }
    }

    /// The inner product of `x` with the unit vector in this direction.
    fn project(self, x: &[f64]) -> f64 {
        match self {
            Self::Top => x[0],
            Self::Even => x.iter().sum::<f64>() / (x.len() as f64).sqrt(),
        }
    }
}

/// A sample with mean zero, as an interval sees it, and what a mean in some direction adds.
pub struct Centred {
    summary: Summary,
    /// The inner product of the sample mean with each direction.
    means: Vec<f64>,
    /// The same of the sum of each block's deviations.
    along: Vec<Vec<f64>>,
}

impl Centred {
    /// Takes in the samples of one law and spectrum.
    ///
    /// # Errors
    /// Where these samples give no interval.
    pub fn take(noise: &Noise, law: Law, deviations: &[f64]) -> Result<Self, Undefined> {
        let d = noise.dimension;
        let rows = noise.rows(law, deviations);
        let mut moments = Moments::new(d).expect("d is not 0");
        moments.push_batch(&rows).expect("draws are finite");
        let summary = Summary::of(&moments)?;
        let directions = Mean::all(d);
        let means: Vec<f64> = directions
            .iter()
            .map(|m| m.project(moments.mean()))
            .collect();
        let mut along = vec![Vec::new(); directions.len()];
        let mut rest = rows.chunks_exact(d);
        for block in &summary.blocks {
            let mut sums = vec![0.0; directions.len()];
            for row in rest.by_ref().take(block.count as usize) {
                for (sum, (direction, mean)) in sums.iter_mut().zip(directions.iter().zip(&means)) {
                    *sum += direction.project(row) - mean;
                }
            }
            along
                .iter_mut()
                .zip(sums)
                .for_each(|(all, sum)| all.push(sum));
        }
        Ok(Self {
            summary,
            means,
            along,
        })
    }

    /// The sample moved by a mean of squared length `c` in direction `index` of [`Mean::all`]. As the trace is 1, its ratio is `c`.
    pub fn moved(&self, index: usize, c: f64) -> Summary {
        let length = c.sqrt();
        let blocks = self.summary.blocks.iter().zip(&self.along[index]);
        Summary {
            signal: self.summary.signal + 2.0 * length * self.means[index] + c,
            blocks: blocks
                .map(|(block, along)| Deviation {
                    along_mean: block.along_mean + length * along,
                    ..*block
                })
                .collect(),
            ..self.summary
        }
    }
}
