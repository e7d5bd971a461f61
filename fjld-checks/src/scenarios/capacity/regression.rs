//! Linear regression in given features, with `C` in closed form.
//!
//! The loss of an example is half its squared residual, `$l_i = r_i^2/2$` with `$r_i = \phi_i \cdot \theta - y_i$`, so that its gradient
//! is `$g_i = r_i \phi_i$`, and with all `n` examples as the population, at batch 1,
//!
//! ```math
//! \mu = \frac1n \Phi' r, \qquad \Tr D = \frac1n \sum_i r_i^2 |\phi_i|^2 - |\mu|^2, \qquad C = \frac{|\mu|^2}{\Tr D}
//! ```
//!
//! and `$C(B) = B \, C$` at batch `B`.
//!
//! A residual is a difference of numbers as large as `s_i = sum_j |phi_ij theta_j| + |y_i|` and is known to some `(n + p) eps s_i`
//! (a sum of `p` products, behind a solution of `n` equations by backward stable means; Higham 2002, chapters 3 and 20). Where `Tr D` is
//! no more than what residuals of that size would make, nothing but rounding is left and `C` is undefined: so it is wherever the fit
//! interpolates. Where the mean gradient is no more than what such errors of the residuals sum up to, `C` is 0: so it is at any
//! least-squares fit that does not.

use crate::error::{Error, Result};
use crate::interrupt;
use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::matmul::matmul;
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};
use faer::{Accum, Mat, MatRef, Par};
use fjld_core::rng::Generator;
use rand::RngExt;

/// Examples by their features.
pub struct Design {
    /// `[n, p]`.
    pub train: Mat<f64>,
    /// `[m, p]`.
    pub test: Mat<f64>,
}

/// Signal and noise of the gradients at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gradients {
    /// `|mu|^2`.
    pub signal: f64,
    /// `Tr D`, with the divisor `n`.
    pub noise: f64,
    /// The trace that rounding alone would make.
    pub floor: f64,
    /// The squared mean that rounding alone would make.
    pub signal_floor: f64,
}

impl Gradients {
    /// `C` at batch 1; `None` where the noise vanished against rounding, and 0 where the signal alone did.
    pub fn ratio(&self) -> Option<f64> {
        let signal = if self.signal > self.signal_floor {
            self.signal
        } else {
            0.0
        };
        (self.noise > self.floor).then(|| signal / self.noise)
    }

    /// What a division without a look at the rounding gives; `None` where it has no value.
    pub fn unguarded(&self) -> Option<f64> {
        let ratio = self.signal / self.noise;
        ratio.is_finite().then_some(ratio)
    }
}

/// What a fit is like at one moment.
#[derive(Clone, Copy, Debug)]
pub struct State {
    /// The mean squared residual on the training examples.
    pub train_error: f64,
    /// The same on the test examples.
    pub test_error: f64,
    /// Signal and noise.
    pub gradients: Gradients,
}

fn product(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> Mat<f64> {
    let mut out = Mat::zeros(a.nrows(), b.ncols());
    // on one thread, so that the order of the sums is always the same
    matmul(out.as_mut(), Accum::Replace, a, b, 1.0, Par::Seq);
    out
}

fn column(values: &[f64]) -> Mat<f64> {
    Mat::from_fn(values.len(), 1, |i, _| values[i])
}

/// `|phi_i|^2`.
pub fn squared_lengths(features: MatRef<'_, f64>) -> Vec<f64> {
    let length = |i| (0..features.ncols()).map(move |j| features[(i, j)].powi(2));
    (0..features.nrows()).map(|i| length(i).sum()).collect()
}

/// Signal and noise at the parameters `theta`.
pub fn gradients(features: MatRef<'_, f64>, targets: &[f64], theta: &[f64]) -> Gradients {
    let (n, p) = (features.nrows(), features.ncols());
    let uncertain = (n + p) as f64 * f64::EPSILON;
    let mut mean = vec![0.0; p];
    let (mut second, mut rounding, mut mean_rounding) = (0.0, 0.0, 0.0);
    for (i, &target) in targets.iter().enumerate() {
        let (mut fitted, mut size, mut length) = (0.0, target.abs(), 0.0);
        for (j, weight) in theta.iter().enumerate() {
            let feature = features[(i, j)];
            fitted += feature * weight;
            size += (feature * weight).abs();
            length += feature * feature;
        }
        let residual = fitted - target;
        for (j, m) in mean.iter_mut().enumerate() {
            *m += residual * features[(i, j)] / n as f64;
        }
        second += residual * residual * length / n as f64;
        rounding += (uncertain * size).powi(2) * length / n as f64;
        mean_rounding += uncertain * size * length.sqrt() / n as f64;
    }
    let signal: f64 = mean.iter().map(|m| m * m).sum();
    Gradients {
        signal,
        noise: (second - signal).max(0.0),
        floor: rounding + uncertain * second,
        signal_floor: mean_rounding * mean_rounding,
    }
}

fn mean_square(features: MatRef<'_, f64>, targets: &[f64], theta: &Mat<f64>) -> f64 {
    let fitted = product(features, theta.as_ref());
    let squares = targets.iter().enumerate();
    let total: f64 = squares.map(|(i, y)| (fitted[(i, 0)] - y).powi(2)).sum();
    total / targets.len() as f64
}

impl Design {
    fn state(&self, targets: &[f64], test_targets: &[f64], theta: &[f64]) -> State {
        let weights = column(theta);
        State {
            train_error: mean_square(self.train.as_ref(), targets, &weights),
            test_error: mean_square(self.test.as_ref(), test_targets, &weights),
            gradients: gradients(self.train.as_ref(), targets, theta),
        }
    }
}

/// The features by their singular values, from which gradient descent follows for any number of steps.
pub struct Spectrum {
    /// `[n, k]`.
    u: Mat<f64>,
    /// `[p, k]`.
    v: Mat<f64>,
    /// Largest first; those within rounding of 0 are left out.
    singular: Vec<f64>,
    examples: usize,
}

impl Spectrum {
    /// Of features `[n, p]`.
    ///
    /// # Errors
    /// When the decomposition does not converge.
    pub fn of(features: MatRef<'_, f64>) -> Result<Self> {
        let (n, p) = (features.nrows(), features.ncols());
        let size = n.min(p);
        let (mut u, mut v) = (Mat::zeros(n, size), Mat::zeros(p, size));
        let mut singular = Diag::zeros(size);
        let thin = ComputeSvdVectors::Thin;
        let scratch = svd_scratch::<f64>(n, p, thin, thin, Par::Seq, Default::default());
        svd(
            features,
            singular.as_mut(),
            Some(u.as_mut()),
            Some(v.as_mut()),
            Par::Seq,
            MemStack::new(&mut MemBuffer::new(scratch)),
            Default::default(),
        )
        .map_err(|_| Error::input("the features have no singular values to rounding"))?;
        let all: Vec<f64> = (0..size).map(|k| singular.column_vector()[k]).collect();
        let largest = all.iter().copied().fold(0.0, f64::max);
        let least = n.max(p) as f64 * f64::EPSILON * largest;
        let singular = all.into_iter().take_while(|&s| s > least).collect();
        Ok(Self {
            u,
            v,
            singular,
            examples: n,
        })
    }

    /// The largest eigenvalue of `Phi' Phi / n`: gradient descent is stable at steps below two over it.
    pub fn sharpest(&self) -> f64 {
        let largest = self.singular.first().copied().unwrap_or(0.0);
        largest * largest / self.examples as f64
    }

    /// The independent features.
    pub fn rank(&self) -> usize {
        self.singular.len()
    }

    /// The parameters that `share` of the way along every direction makes of 0, by its eigenvalue over the largest.
    pub fn parameters(&self, targets: &[f64], share: impl Fn(f64) -> f64) -> Vec<f64> {
        let largest = self.singular.first().copied().unwrap_or(1.0);
        let mut theta = vec![0.0; self.v.nrows()];
        for (k, &s) in self.singular.iter().enumerate() {
            let along: f64 = targets
                .iter()
                .enumerate()
                .map(|(i, y)| self.u[(i, k)] * y)
                .sum();
            let factor = share((s / largest).powi(2)) * along / s;
            for (j, t) in theta.iter_mut().enumerate() {
                *t += factor * self.v[(j, k)];
            }
        }
        theta
    }

    /// The parameters of least norm among those of least squared residuals.
    pub fn least_squares(&self, targets: &[f64]) -> Vec<f64> {
        self.parameters(targets, |_| 1.0)
    }

    /// The parameters after `steps` steps of gradient descent from 0 at the step size `1/`[`Spectrum::sharpest`].
    pub fn descended(&self, targets: &[f64], steps: u64) -> Vec<f64> {
        if steps == 0 {
            return vec![0.0; self.v.nrows()];
        }
        // 1 - (1 - x)^steps without cancellation
        self.parameters(targets, |x| -(steps as f64 * (-x).ln_1p()).exp_m1())
    }
}

/// Targets to learn from, and those to be tested on.
pub struct Targets<'a> {
    /// `[n]`.
    pub train: &'a [f64],
    /// `[m]`.
    pub test: &'a [f64],
}

/// At the least-squares end.
pub fn least_squares(design: &Design, spectrum: &Spectrum, targets: &Targets) -> State {
    design.state(
        targets.train,
        targets.test,
        &spectrum.least_squares(targets.train),
    )
}

/// After each of `readings` steps of gradient descent.
///
/// # Errors
/// When it is interrupted.
pub fn descent(
    design: &Design,
    spectrum: &Spectrum,
    targets: &Targets,
    readings: &[u64],
) -> Result<Vec<State>> {
    let state = |&steps: &u64| {
        interrupt::check()?;
        let theta = spectrum.descended(targets.train, steps);
        Ok(design.state(targets.train, targets.test, &theta))
    };
    readings.iter().map(state).collect()
}

/// After each of `readings` steps of stochastic gradient descent from 0, each along the mean gradient of `batch` examples drawn with
/// replacement. The step size is the inverse of the largest eigenvalue plus the largest squared length over the batch, which bounds how
/// a step multiplies the expected squared error.
///
/// # Errors
/// When it is interrupted.
pub fn stochastic_descent(
    design: &Design,
    spectrum: &Spectrum,
    targets: &Targets,
    readings: &[u64],
    batch: usize,
    generator: &mut Generator,
) -> Result<Vec<State>> {
    let features = &design.train;
    let (n, p) = (features.nrows(), features.ncols());
    // row by row, to run along an example
    let rows: Vec<f64> = (0..n)
        .flat_map(|i| (0..p).map(move |j| features[(i, j)]))
        .collect();
    let longest = squared_lengths(features.as_ref())
        .into_iter()
        .fold(0.0, f64::max);
    let step = 1.0 / (spectrum.sharpest() + longest / batch as f64);
    let mut theta = vec![0.0; p];
    let mut taken = 0;
    let mut states = Vec::new();
    for &reading in readings {
        interrupt::check()?;
        while taken < reading {
            let picked: Vec<usize> = (0..batch).map(|_| generator.random_range(0..n)).collect();
            let residuals: Vec<f64> = picked
                .iter()
                .map(|&i| inner_product(&rows[i * p..(i + 1) * p], &theta) - targets.train[i])
                .collect();
            for (&i, residual) in picked.iter().zip(residuals) {
                let factor = step * residual / batch as f64;
                let row = &rows[i * p..(i + 1) * p];
                theta
                    .iter_mut()
                    .zip(row)
                    .for_each(|(t, x)| *t -= factor * x);
            }
            taken += 1;
        }
        states.push(design.state(targets.train, targets.test, &theta));
    }
    Ok(states)
}

fn inner_product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use candle_core::{Device, Tensor, Var};
    use fjld_core::Moments;
    use fjld_core::rng::{Seed, standard_normals};

    fn normal(n: usize, p: usize, seed: u64) -> Mat<f64> {
        let drawn = standard_normals(&mut Seed::root(seed).generator(), n * p);
        Mat::from_fn(n, p, |i, j| drawn[i * p + j])
    }

    fn design(n: usize, p: usize) -> (Design, Vec<f64>, Vec<f64>) {
        let design = Design {
            train: normal(n, p, 1),
            test: normal(7, p, 2),
        };
        let targets = standard_normals(&mut Seed::root(3).generator(), n);
        (design, targets, vec![0.0; 7])
    }

    #[test]
    fn closed_gradients_are_those_of_candle() -> Result<()> {
        let (n, p) = (9, 4);
        let (design, targets, _) = design(n, p);
        let theta = standard_normals(&mut Seed::root(4).generator(), p);
        let weights = Var::from_tensor(&Tensor::new(theta.as_slice(), &Device::Cpu)?)?;
        let mut moments = Moments::new(p)?;
        for (i, &target) in targets.iter().enumerate() {
            let row: Vec<f64> = (0..p).map(|j| design.train[(i, j)]).collect();
            let row = Tensor::new(row.as_slice(), &Device::Cpu)?;
            let residual = ((&row * weights.as_tensor())?.sum_all()? - target)?;
            let gradients = (residual.sqr()? * 0.5)?.backward()?;
            let gradient = gradients.get(&weights).expect("the loss holds them");
            moments.push(&gradient.to_vec1::<f64>()?)?;
        }
        let ours = gradients(design.train.as_ref(), &targets, &theta);
        assert_relative_eq!(
            ours.signal,
            moments.squared_mean_norm(),
            max_relative = 1e-12
        );
        // ours has the divisor n
        let population = moments.trace()? * (n - 1) as f64 / n as f64;
        assert_relative_eq!(ours.noise, population, max_relative = 1e-12);
        Ok(())
    }

    #[test]
    fn descent_by_singular_values_is_descent_by_steps() -> Result<()> {
        let (design, targets, _) = design(6, 9);
        let spectrum = Spectrum::of(design.train.as_ref())?;
        let mut theta = vec![0.0; 9];
        for _ in 0..5 {
            let mut mean = vec![0.0; 9];
            for (i, &target) in targets.iter().enumerate() {
                let fitted: f64 = (0..9).map(|j| design.train[(i, j)] * theta[j]).sum();
                for (j, m) in mean.iter_mut().enumerate() {
                    *m += (fitted - target) * design.train[(i, j)] / 6.0;
                }
            }
            theta
                .iter_mut()
                .zip(&mean)
                .for_each(|(t, m)| *t -= m / spectrum.sharpest());
        }
        for (a, b) in spectrum.descended(&targets, 5).iter().zip(&theta) {
            assert_relative_eq!(a, b, epsilon = 1e-12);
        }
        Ok(())
    }

    #[test]
    fn without_interpolation_least_squares_leave_noise_and_no_signal_and_with_it_nothing()
    -> Result<()> {
        for (p, interpolates) in [(3, false), (11, false), (12, true), (13, true), (60, true)] {
            let (design, targets, test) = design(12, p);
            let spectrum = Spectrum::of(design.train.as_ref())?;
            assert_eq!(spectrum.rank(), p.min(12));
            let targets = Targets {
                train: &targets,
                test: &test,
            };
            let found = least_squares(&design, &spectrum, &targets).gradients;
            assert_eq!(
                found.ratio().is_none(),
                interpolates,
                "{p} features: {found:?}"
            );
            // read without a look at the rounding, the ratio of nothing to nothing is anything
            assert!(found.unguarded().is_some());
            if let Some(c) = found.ratio() {
                assert_eq!(c, 0.0);
            }
        }
        Ok(())
    }

    #[test]
    fn stochastic_descent_comes_near_the_fit_that_interpolates() -> Result<()> {
        let (design, targets, test) = design(5, 30);
        let spectrum = Spectrum::of(design.train.as_ref())?;
        let targets = Targets {
            train: &targets,
            test: &test,
        };
        let generator = &mut Seed::root(5).generator();
        let states = stochastic_descent(&design, &spectrum, &targets, &[0, 2000], 2, generator)?;
        assert!(states[1].train_error < 1e-6 * states[0].train_error);
        Ok(())
    }
}

#[cfg(test)]
mod by_hand;
