//! Fits of many capacities, from far too few features to many times the examples, with `C` along training and at the least-squares end.
//!
//! One piece of work is one world with one seed: every width, every arm, gradient descent, stochastic gradient descent and the end.

pub mod regression;
mod table;
pub mod worlds;

use super::study::{self, Study, Tiers, Work};
use crate::error::{Error, Result};
use crate::tier::Tier;
use fjld_core::rng::Seed;
use regression::{Spectrum, State, Targets};
use serde::{Deserialize, Serialize};
use worlds::{Arm, Polynomial, Problem, RandomFeatures, TwoScales, World};

/// What the scenario's file says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapacityStudy {
    #[serde(rename = "schema")]
    _schema: String,
    #[serde(rename = "kind")]
    _kind: String,
    /// Its name.
    pub name: String,
    /// What it is, in a phrase.
    pub about: String,
    /// The claims it speaks to.
    pub claims: Vec<String>,
    /// Measurement batches at which the sentences are judged.
    pub batch_sizes: Vec<u64>,
    random_features: RandomFeatures,
    two_scales: TwoScales,
    polynomial: Polynomial,
    training: Training,
    tiers: Tiers,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Training {
    /// Of gradient descent.
    steps: u64,
    /// Examples that one of its steps averages over.
    batch_size: usize,
    /// Readings for every factor of ten in the number of steps.
    readings_per_decade: usize,
}

/// How a fit came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// Steps along the mean gradient of all examples.
    GradientDescent,
    /// Steps along the mean gradient of a few.
    StochasticDescent,
    /// The least-squares parameters of least norm, without any steps.
    LeastSquares,
}

impl Fit {
    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::GradientDescent => "gradient-descent",
            Self::StochasticDescent => "stochastic-descent",
            Self::LeastSquares => "least-squares",
        }
    }
}

/// One fit: a row. Numbers are kept to seven digits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FitCurve {
    /// The family.
    pub world: World,
    /// Counts the seeds.
    pub seed: u64,
    /// What was learned from.
    pub arm: Arm,
    /// How.
    pub fit: Fit,
    /// The number of features.
    pub width: usize,
    /// The number of examples.
    pub examples: usize,
    /// Steps taken before each reading; one reading without steps at the least-squares end.
    pub steps: Vec<u64>,
    /// The mean squared residual on the training examples.
    pub train_error: Vec<f64>,
    /// The same on the test examples.
    pub test_error: Vec<f64>,
    /// `C` at batch 1, exactly; null where the noise vanished against rounding, 0 where the signal alone did.
    pub c: Vec<Option<f64>>,
    /// At the least-squares end, what a division without a look at the rounding gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unguarded: Option<f64>,
}

/// To seven digits, so that evidence stays small.
fn short(x: f64) -> f64 {
    format!("{x:.6e}").parse().unwrap_or(x)
}

/// Steps before which a reading is taken: none, then about `per_decade` for every factor of ten, to `last`.
pub fn reading_steps(last: u64, per_decade: usize) -> Vec<u64> {
    let mut steps = vec![0];
    let decades = (last as f64).log10();
    let count = (decades * per_decade as f64).round().max(1.0);
    steps.extend((0..=count as u64).map(|k| {
        let exponent = decades * k as f64 / count;
        10f64.powf(exponent).round() as u64
    }));
    steps.dedup();
    steps
}

impl CapacityStudy {
    /// Refuses values out of range.
    ///
    /// # Errors
    /// Naming the first of them.
    pub fn check(&self, origin: &str) -> Result<()> {
        let refuse = |key: &str, value: &dyn std::fmt::Debug, accepted: &str| {
            Err(Error::input(format!(
                "{origin}: {key} is {value:?}; it must be {accepted}"
            )))
        };
        let (features, training) = (&self.random_features, &self.training);
        if self.batch_sizes.is_empty() || self.batch_sizes.contains(&0) {
            let accepted = "a list of numbers that are at least 1";
            return refuse("batch_sizes", &self.batch_sizes, accepted);
        }
        let counts = [
            ("random_features.examples", features.examples, 2),
            ("random_features.test_examples", features.test_examples, 1),
            ("two_scales.examples", self.two_scales.examples, 2),
            ("two_scales.test_examples", self.two_scales.test_examples, 1),
            ("two_scales.strong", self.two_scales.strong, 1),
            ("two_scales.weak", self.two_scales.weak, 1),
            ("polynomial.examples", self.polynomial.examples, 2),
            ("polynomial.test_examples", self.polynomial.test_examples, 2),
            ("training.steps", training.steps as usize, 1),
            (
                "random_features.stochastic_steps",
                features.stochastic_steps as usize,
                1,
            ),
            (
                "two_scales.stochastic_steps",
                self.two_scales.stochastic_steps as usize,
                1,
            ),
            (
                "polynomial.stochastic_steps",
                self.polynomial.stochastic_steps as usize,
                1,
            ),
            ("training.batch_size", training.batch_size, 1),
            (
                "training.readings_per_decade",
                training.readings_per_decade,
                1,
            ),
        ];
        if let Some((key, value, least)) =
            counts.into_iter().find(|(_, value, least)| value < least)
        {
            return refuse(key, &value, &format!("at least {least}"));
        }
        let most = 1797;
        if features.examples + features.test_examples > most {
            let total = features.examples + features.test_examples;
            let accepted = format!("at most {most}, the digits there are");
            return refuse(
                "random_features.examples + test_examples",
                &total,
                &accepted,
            );
        }
        if features.widths.iter().any(|w| *w == 0 || w % 2 == 1) || features.widths.is_empty() {
            let accepted = "even and at least 2: every cosine has its sine";
            return refuse("random_features.widths", &features.widths, accepted);
        }
        if self.polynomial.degrees.is_empty() {
            return refuse(
                "polynomial.degrees",
                &self.polynomial.degrees,
                "a list of degrees",
            );
        }
        if !(0.0..=0.5).contains(&features.label_noise) {
            let accepted = "between 0 and 0.5";
            return refuse(
                "random_features.label_noise",
                &features.label_noise,
                accepted,
            );
        }
        self.tiers.check(origin)
    }

    /// The regressions of a world, and the steps of stochastic gradient descent on them.
    fn problem(&self, world: World, seed: Seed) -> (Problem, u64) {
        let (features, scales) = (&self.random_features, &self.two_scales);
        match world {
            World::Fourier | World::Relu => {
                (features.problem(world, seed), features.stochastic_steps)
            }
            World::TwoScales => (scales.problem(seed), scales.stochastic_steps),
            World::Polynomial => {
                let polynomial = &self.polynomial;
                (polynomial.problem(seed), polynomial.stochastic_steps)
            }
        }
    }

    /// Every fit of one world.
    fn fits(&self, world: World, number: u64, seed: Seed) -> Result<Vec<FitCurve>> {
        let (problem, stochastic_steps) = self.problem(world, seed);
        let per_decade = self.training.readings_per_decade;
        let steps = reading_steps(self.training.steps, per_decade);
        let few = reading_steps(stochastic_steps, per_decade);
        let mut curves = Vec::new();
        for (width, design) in &problem.designs {
            let spectrum = Spectrum::of(design.train.as_ref())?;
            for (arm, train) in &problem.targets {
                let targets = Targets {
                    train,
                    test: &problem.test,
                };
                let mut add = |fit, steps: &[u64], states: &[State]| {
                    let all = |of: fn(&State) -> f64| states.iter().map(|s| short(of(s))).collect();
                    let end = (fit == Fit::LeastSquares).then(|| states[0].gradients.unguarded());
                    curves.push(FitCurve {
                        world,
                        seed: number,
                        arm: *arm,
                        fit,
                        width: *width,
                        examples: train.len(),
                        steps: steps.to_vec(),
                        train_error: all(|s| s.train_error),
                        test_error: all(|s| s.test_error),
                        c: states
                            .iter()
                            .map(|s| s.gradients.ratio().map(short))
                            .collect(),
                        unguarded: end.flatten().map(short),
                    });
                };
                let states = regression::descent(design, &spectrum, &targets, &steps)?;
                add(Fit::GradientDescent, &steps, &states);
                let order = seed.derive(&format!("order {width} {}", arm.name()));
                let states = regression::stochastic_descent(
                    design,
                    &spectrum,
                    &targets,
                    &few,
                    self.training.batch_size,
                    &mut order.generator(),
                )?;
                add(Fit::StochasticDescent, &few, &states);
                let end = regression::least_squares(design, &spectrum, &targets);
                add(Fit::LeastSquares, &[], &[end]);
            }
        }
        Ok(curves)
    }
}

impl Study for CapacityStudy {
    fn name(&self) -> &str {
        &self.name
    }

    fn tiers(&self) -> &Tiers {
        &self.tiers
    }

    fn items(&self, tier: Tier) -> Vec<String> {
        let seeds = 0..self.tiers.seeds(tier);
        let of = |seed| World::ALL.map(|world| format!("seed-{seed}-{}", world.name()));
        seeds.flat_map(of).collect()
    }

    fn run(&self, item: &str, work: &Work) -> Result<Vec<String>> {
        let unknown = || Error::input(format!("\"{item}\" is no piece of {}", self.name));
        let named = item
            .strip_prefix("seed-")
            .and_then(|rest| rest.split_once('-'));
        let (number, world) = named.ok_or_else(unknown)?;
        let number: u64 = number.parse().map_err(|_| unknown())?;
        let world = World::ALL.into_iter().find(|w| w.name() == world);
        let world = world.ok_or_else(unknown)?;
        let seed = work.seed.derive(&format!("seed {number}"));
        let curves = self.fits(world, number, seed)?;
        Ok(curves.iter().map(study::line).collect())
    }

    fn table(&self, rows: &[String]) -> Result<String> {
        Ok(table::of(&study::rows::<FitCurve>(rows)?))
    }
}

impl FitCurve {
    /// The reading of the lowest test error.
    pub fn best(&self) -> usize {
        let mut best = 0;
        for (k, error) in self.test_error.iter().enumerate() {
            if *error < self.test_error[best] {
                best = k;
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Scenario, parse};
    use super::*;
    use crate::scenarios::fixtures::quick;

    pub(super) const TEXT: &str = include_str!("../../../../scenarios/double-descent.toml");

    /// The shipped study, with less to do.
    fn small() -> CapacityStudy {
        let mut study: CapacityStudy = toml::from_str(TEXT).expect("it is shipped");
        study.random_features.widths = vec![20, 100];
        study.random_features.test_examples = 50;
        study.polynomial.degrees = vec![3, 60];
        study.random_features.stochastic_steps = 100;
        study.polynomial.stochastic_steps = 100;
        study
    }

    fn rows(threads: usize, item: &str) -> Vec<String> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let work = quick(1);
        let run = || small().run(item, &work).expect("it runs");
        pool.expect("a pool").install(run)
    }

    #[test]
    fn a_piece_of_work_gives_the_same_rows_whatever_the_number_of_threads() {
        for item in ["seed-0-fourier", "seed-1-polynomial"] {
            let found = rows(1, item);
            assert_eq!(found.len(), 2 * 3 * 3);
            assert_eq!(found, rows(2, item));
        }
    }

    #[test]
    fn at_and_above_the_threshold_c_of_the_least_squares_fit_is_undefined_and_below_it_is_nothing()
    -> Result<()> {
        let curves: Vec<FitCurve> = study::rows(&rows(1, "seed-0-fourier"))?;
        for curve in curves.iter().filter(|c| c.fit == Fit::LeastSquares) {
            match curve.width < curve.examples {
                true => assert_eq!(curve.c, [Some(0.0)], "{curve:?}"),
                false => assert_eq!(curve.c, [None], "{curve:?}"),
            }
        }
        Ok(())
    }

    #[test]
    fn every_piece_is_named_as_it_is_read() {
        let study = small();
        let items = study.items(Tier::Quick);
        assert_eq!(items[2], "seed-0-two-scales");
        let work = quick(1);
        let said = study.run("seed-0-none", &work).expect_err("there is none");
        assert_eq!(
            said.to_string(),
            "\"seed-0-none\" is no piece of double-descent"
        );
    }

    #[test]
    fn readings_are_spread_by_equal_ratios_and_end_with_the_last_step() {
        assert_eq!(reading_steps(100, 2), [0, 1, 3, 10, 32, 100]);
        assert_eq!(reading_steps(1, 4), [0, 1]);
    }

    #[test]
    fn a_width_without_its_sines_is_refused() {
        let said = parse(&TEXT.replace("widths = [10,", "widths = [11,"), "a.toml");
        let said = said.expect_err("it is odd").to_string();
        assert!(said.contains("random_features.widths is [11,"), "{said}");
        assert!(matches!(parse(TEXT, "a.toml"), Ok(Scenario::Study(_))));
    }
}

#[cfg(test)]
mod refusals;
#[cfg(test)]
mod rows;
