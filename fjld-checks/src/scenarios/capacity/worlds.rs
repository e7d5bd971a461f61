//! The regressions that are fitted at many widths: random features of digits, two groups of features of different scales, and polynomials.

use super::regression::Design;
use crate::scenarios::data::digits;
use faer::Mat;
use fjld_core::rng::{Generator, Seed, permutation, standard_normals};
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// A family of regressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum World {
    /// Cosines and sines of random projections of the digits (Rahimi and Recht 2007): every example's features have the same length.
    Fourier,
    /// Random projections of the digits, cut off at 0.
    Relu,
    /// Features of two scales: gradient descent learns the strong first and fits them to what the weak still leave open, so that the
    /// test error rises before it falls again (Heckel and Yilmaz 2021; Stephenson and Lee 2021).
    TwoScales,
    /// Legendre polynomials.
    Polynomial,
}

impl World {
    /// Every world.
    pub const ALL: [Self; 4] = [Self::Fourier, Self::Relu, Self::TwoScales, Self::Polynomial];

    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fourier => "fourier",
            Self::Relu => "relu",
            Self::TwoScales => "two-scales",
            Self::Polynomial => "polynomial",
        }
    }
}

/// What is learned from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arm {
    /// Labels with noise added.
    Plain,
    /// The same labels without the noise.
    NoAddedNoise,
    /// The labels without noise, dealt out at random: there is nothing to generalise.
    ShuffledLabels,
}

impl Arm {
    /// Every arm.
    pub const ALL: [Self; 3] = [Self::Plain, Self::NoAddedNoise, Self::ShuffledLabels];

    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::NoAddedNoise => "no-added-noise",
            Self::ShuffledLabels => "shuffled-labels",
        }
    }
}

/// Odd digits against even ones, by random features of the pixels.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomFeatures {
    /// Training examples.
    pub examples: usize,
    /// Test examples.
    pub test_examples: usize,
    /// The share of training labels that are turned around.
    pub label_noise: f64,
    /// The standard deviation of the projections' weights in [`World::Fourier`].
    pub frequency: f64,
    /// Numbers of features.
    pub widths: Vec<usize>,
    /// Steps of stochastic gradient descent.
    pub stochastic_steps: u64,
}

/// Gaussian features, some of scale 1 and others of a smaller one, and a linear teacher.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TwoScales {
    /// Training examples.
    pub examples: usize,
    /// Test examples.
    pub test_examples: usize,
    /// Features of scale 1.
    pub strong: usize,
    /// Features of scale `weak_scale`.
    pub weak: usize,
    /// The scale of the weak ones.
    pub weak_scale: f64,
    /// Variance of the target that the strong ones explain.
    pub strong_signal: f64,
    /// Variance of the target that the weak ones explain.
    pub weak_signal: f64,
    /// Variance of the noise added to the labels.
    pub noise: f64,
    /// Steps of stochastic gradient descent.
    pub stochastic_steps: u64,
}

/// A random polynomial at random places in `[-1, 1]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Polynomial {
    /// Training examples.
    pub examples: usize,
    /// Test places, equally spaced.
    pub test_examples: usize,
    /// The degree of the polynomial that is to be found; its variance is 1.
    pub target_degree: usize,
    /// The standard deviation of the noise added to the labels.
    pub noise: f64,
    /// Degrees of the polynomials that are fitted.
    pub degrees: Vec<usize>,
    /// Steps of stochastic gradient descent.
    pub stochastic_steps: u64,
}

/// Examples of a world for one seed, at every width.
pub struct Problem {
    /// The designs, with the number of features.
    pub designs: Vec<(usize, Design)>,
    /// Training targets of every arm.
    pub targets: Vec<(Arm, Vec<f64>)>,
    /// Test targets, without noise.
    pub test: Vec<f64>,
}

/// Targets of every arm from the clean ones and what is added to them.
fn arms(clean: &[f64], noisy: Vec<f64>, seed: Seed) -> Vec<(Arm, Vec<f64>)> {
    let order = permutation(&mut seed.derive("labels").generator(), clean.len());
    let shuffled = order.iter().map(|&i| clean[i]).collect();
    vec![
        (Arm::Plain, noisy),
        (Arm::NoAddedNoise, clean.to_vec()),
        (Arm::ShuffledLabels, shuffled),
    ]
}

impl RandomFeatures {
    /// The problem of [`World::Fourier`] or [`World::Relu`].
    pub fn problem(&self, world: World, seed: Seed) -> Problem {
        let (pixels, labels) = digits().flat_reals();
        let inputs = pixels.len() / labels.len();
        let order = permutation(&mut seed.derive("split").generator(), labels.len());
        let (train, rest) = order.split_at(self.examples);
        let test = &rest[..self.test_examples];
        let sign = |&i: &usize| {
            if labels[i].is_multiple_of(2) {
                1.0
            } else {
                -1.0
            }
        };
        let clean: Vec<f64> = train.iter().map(sign).collect();
        let generator = &mut seed.derive("noise").generator();
        let turned = |y: &f64| {
            if generator.random::<f64>() < self.label_noise {
                -y
            } else {
                *y
            }
        };
        let noisy = clean.iter().map(turned).collect();
        let designs = self.widths.iter().map(|&width| {
            let generator = &mut seed.derive(&format!("projections {width}")).generator();
            let projections = match world {
                World::Fourier => width / 2,
                _ => width,
            };
            let weights = standard_normals(generator, projections * inputs);
            let project = |example: usize, k: usize| -> f64 {
                let row = &weights[k * inputs..(k + 1) * inputs];
                let own = &pixels[example * inputs..(example + 1) * inputs];
                row.iter().zip(own).map(|(w, &x)| w * f64::from(x)).sum()
            };
            let features = |examples: &[usize]| match world {
                World::Fourier => {
                    let angles = Mat::from_fn(examples.len(), projections, |i, k| {
                        self.frequency * project(examples[i], k)
                    });
                    Mat::from_fn(examples.len(), width, |i, j| {
                        let angle = angles[(i, j % projections)];
                        if j < projections {
                            angle.cos()
                        } else {
                            angle.sin()
                        }
                    })
                }
                _ => Mat::from_fn(examples.len(), width, |i, j| {
                    project(examples[i], j).max(0.0)
                }),
            };
            let design = Design {
                train: features(train),
                test: features(test),
            };
            (width, design)
        });
        Problem {
            designs: designs.collect(),
            targets: arms(&clean, noisy, seed),
            test: test.iter().map(sign).collect(),
        }
    }
}

impl TwoScales {
    /// The problem of [`World::TwoScales`].
    pub fn problem(&self, seed: Seed) -> Problem {
        let width = self.strong + self.weak;
        let scale = |j: usize| {
            if j < self.strong {
                1.0
            } else {
                self.weak_scale
            }
        };
        let features = |count: usize, name: &str| {
            let drawn = standard_normals(&mut seed.derive(name).generator(), count * width);
            Mat::from_fn(count, width, |i, j| scale(j) * drawn[i * width + j])
        };
        let design = Design {
            train: features(self.examples, "train"),
            test: features(self.test_examples, "test"),
        };
        let mut teacher = standard_normals(&mut seed.derive("teacher").generator(), width);
        for (j, weight) in teacher.iter_mut().enumerate() {
            let variance = if j < self.strong {
                self.strong_signal / self.strong as f64
            } else {
                self.weak_signal / self.weak as f64
            };
            *weight *= variance.sqrt() / scale(j);
        }
        let taught = |features: &Mat<f64>| -> Vec<f64> {
            (0..features.nrows())
                .map(|i| (0..width).map(|j| features[(i, j)] * teacher[j]).sum())
                .collect()
        };
        let clean = taught(&design.train);
        let test = taught(&design.test);
        let noisy = with_noise(&clean, self.noise.sqrt(), seed);
        Problem {
            designs: vec![(width, design)],
            targets: arms(&clean, noisy, seed),
            test,
        }
    }
}

impl Polynomial {
    /// The problem of [`World::Polynomial`], its width the degree and one.
    pub fn problem(&self, seed: Seed) -> Problem {
        let generator = &mut seed.derive("places").generator();
        let train: Vec<f64> = (0..self.examples).map(|_| uniform(generator)).collect();
        let spacing = 2.0 / (self.test_examples.max(2) - 1) as f64;
        let test: Vec<f64> = (0..self.test_examples)
            .map(|i| -1.0 + spacing * i as f64)
            .collect();
        let drawn = standard_normals(
            &mut seed.derive("teacher").generator(),
            self.target_degree + 1,
        );
        let norm = drawn.iter().map(|w| w * w).sum::<f64>().sqrt();
        let taught = |x: &f64| -> f64 {
            let terms = legendre(*x, self.target_degree).into_iter().zip(&drawn);
            terms.map(|(p, w)| p * w / norm).sum()
        };
        let clean: Vec<f64> = train.iter().map(taught).collect();
        let noisy = with_noise(&clean, self.noise, seed);
        let designs = self.degrees.iter().map(|&degree| {
            let features = |places: &[f64]| {
                let rows: Vec<Vec<f64>> = places.iter().map(|&x| legendre(x, degree)).collect();
                Mat::from_fn(places.len(), degree + 1, |i, j| rows[i][j])
            };
            let design = Design {
                train: features(&train),
                test: features(&test),
            };
            (degree + 1, design)
        });
        Problem {
            designs: designs.collect(),
            targets: arms(&clean, noisy, seed),
            test: test.iter().map(taught).collect(),
        }
    }
}

fn uniform(generator: &mut Generator) -> f64 {
    2.0 * generator.random::<f64>() - 1.0
}

fn with_noise(clean: &[f64], deviation: f64, seed: Seed) -> Vec<f64> {
    let noise = standard_normals(&mut seed.derive("noise").generator(), clean.len());
    clean
        .iter()
        .zip(noise)
        .map(|(y, e)| y + deviation * e)
        .collect()
}

/// Legendre polynomials of degrees 0 to `degree`, normalised: the mean of the square over `[-1, 1]` is 1.
pub fn legendre(x: f64, degree: usize) -> Vec<f64> {
    let mut plain = vec![1.0, x];
    for k in 1..degree {
        let (k, last, before) = (k as f64, plain[k], plain[k - 1]);
        plain.push(((2.0 * k + 1.0) * x * last - k * before) / (k + 1.0));
    }
    plain.truncate(degree + 1);
    let scaled = plain.into_iter().enumerate();
    scaled
        .map(|(k, p)| (2.0 * k as f64 + 1.0).sqrt() * p)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::regression::squared_lengths;
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn legendre_polynomials_are_those_of_a_table_and_orthonormal() {
        let at_half = legendre(0.5, 3);
        // P_2(1/2) = -1/8 and P_3(1/2) = -7/16
        assert_relative_eq!(at_half[2], -0.125 * 5f64.sqrt(), epsilon = 1e-15);
        assert_relative_eq!(at_half[3], -0.4375 * 7f64.sqrt(), epsilon = 1e-15);
        assert_eq!(legendre(0.3, 0), vec![1.0]);
        // the midpoint rule on 10,000 places errs by some 1e-6 at these degrees
        let places = (0..10_000).map(|i| -1.0 + (f64::from(i) + 0.5) / 5000.0);
        let rows: Vec<Vec<f64>> = places.map(|x| legendre(x, 6)).collect();
        for (a, b) in [(0, 0), (2, 4), (5, 5), (6, 6), (3, 6)] {
            let mean = rows.iter().map(|r| r[a] * r[b]).sum::<f64>() / 1e4;
            assert_relative_eq!(mean, if a == b { 1.0 } else { 0.0 }, epsilon = 1e-4);
        }
    }

    #[test]
    fn cosines_and_sines_give_every_example_the_same_length() {
        let choice = RandomFeatures {
            examples: 20,
            test_examples: 5,
            label_noise: 0.2,
            frequency: 0.4,
            widths: vec![6],
            stochastic_steps: 1,
        };
        let problem = choice.problem(World::Fourier, Seed::root(1));
        for length in squared_lengths(problem.designs[0].1.train.as_ref()) {
            assert_relative_eq!(length, 3.0, epsilon = 1e-14);
        }
        let relu = choice.problem(World::Relu, Seed::root(1));
        assert_eq!(relu.targets, problem.targets);
    }

    #[test]
    fn shuffled_labels_are_the_clean_ones_in_another_order() {
        let clean: Vec<f64> = (0..30).map(f64::from).collect();
        let made = arms(&clean, vec![0.5; 30], Seed::root(2));
        let mut shuffled = made[2].1.clone();
        assert_ne!(shuffled, clean);
        shuffled.sort_by(f64::total_cmp);
        assert_eq!(shuffled, clean);
    }
}

#[cfg(test)]
mod formulas;
