//! A network in training, looked at by a study before chosen steps.

use super::curve::Control;
use super::data::choice::DataChoice;
use super::loader::Loader;
use super::models::{Model, ModelChoice};
use super::optimiser::{Optimiser, Rule};
use crate::error::{Error, Result};
use crate::interrupt;
use candle_core::{Device, Tensor};
use fjld_core::Objective;
use fjld_core::rng::Seed;
use serde::Deserialize;

/// The network and how it is trained.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyTraining {
    /// What it is trained on.
    pub data: DataChoice,
    /// The network.
    pub model: ModelChoice,
    /// The rule of a step.
    pub optimiser: Rule,
    /// How many examples a step averages over; all when it is not given.
    pub batch_size: Option<usize>,
    /// The step size.
    pub learning_rate: f64,
    /// Decoupled from the gradient.
    #[serde(default)]
    pub weight_decay: f64,
}

/// A run before one of its steps.
pub struct Moment<'a> {
    /// The network.
    pub model: &'a Model,
    /// What it is trained on.
    pub train: &'a (Tensor, Tensor),
    /// What is held out.
    pub test: &'a (Tensor, Tensor),
    /// Steps taken.
    pub step: u64,
}

impl StudyTraining {
    /// Refuses values out of range.
    ///
    /// # Errors
    /// Naming the first of them.
    pub fn check(&self, origin: &str) -> Result<()> {
        self.data.check(origin)?;
        self.model.check(origin)?;
        let (rate, decay) = (self.learning_rate, self.weight_decay);
        let wrong = if self.batch_size == Some(0) {
            "batch_size is 0; it must be at least 1".to_owned()
        } else if !(rate > 0.0 && rate.is_finite()) {
            format!("learning_rate is {rate}; it must be positive")
        } else if !(0.0..1.0).contains(&(decay * rate)) {
            format!("weight_decay is {decay}; it must be at least 0 and below 1 / learning_rate")
        } else if self.data.needs().is_some() {
            "data.name is of a data set in a folder; it must be one that is built in".to_owned()
        } else {
            return Ok(());
        };
        Err(Error::input(format!("{origin}: training.{wrong}")))
    }

    /// Trains a run and calls `visit` before each of `steps`, which ascend. A run and its control share all but the labels.
    ///
    /// # Errors
    /// When candle fails, the run is interrupted, or `visit` fails.
    pub fn along(
        &self,
        seed: Seed,
        control: Option<Control>,
        steps: &[u64],
        mut visit: impl FnMut(&Moment) -> Result<()>,
    ) -> Result<()> {
        let device = Device::Cpu;
        let (mut train, test) = self.data.split(seed.derive("split"), None)?;
        if control == Some(Control::ShuffledLabels) {
            train = train.with_shuffled_labels(seed.derive("labels"));
        }
        let (train, test) = (train.tensors(&device)?, test.tensors(&device)?);
        let task = self.data.task();
        let model = self.model.build(&task, seed.derive("weights"), &device)?;
        let mut loader = Loader::new(&train, self.batch_size, seed.derive("order"))?;
        let mut optimiser = Optimiser::new(self.optimiser, self.learning_rate, self.weight_decay);
        let mut taken = 0;
        for &step in steps {
            while taken < step {
                interrupt::check()?;
                let gradients = model.loss(&loader.next_batch()?)?.backward()?;
                optimiser.step(Objective::parameters(&model), &gradients)?;
                taken += 1;
            }
            visit(&Moment {
                model: &model,
                train: &train,
                test: &test,
                step,
            })?;
        }
        Ok(())
    }
}

/// Steps before which `readings` readings are taken: none, then at equal ratios, then all of them; each once.
pub fn reading_steps(steps: u64, readings: usize) -> Vec<u64> {
    let share = |i: usize| i as f64 / (readings.max(2) - 1) as f64;
    let later = (1..readings).map(|i| (steps as f64).powf(share(i)).round() as u64);
    let mut at: Vec<u64> = std::iter::once(0).chain(later).collect();
    at.dedup();
    at
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::store::RunStore;
    use super::super::{Scenario, parse, shipped};
    use super::*;
    use crate::scenarios::fixtures::{descend, quick};
    use crate::scenarios::mask::magnitudes;
    use crate::tier::Tier;

    pub fn small() -> StudyTraining {
        StudyTraining {
            data: DataChoice::Digits { test_share: 0.25 },
            model: ModelChoice::Mlp { hidden: vec![8] },
            optimiser: Rule::Sgd,
            batch_size: Some(64),
            learning_rate: 0.2,
            weight_decay: 0.0,
        }
    }

    #[test]
    fn a_run_learns_the_digits_and_its_control_does_not() -> Result<()> {
        let accuracy = |control| -> Result<f64> {
            let mut last = 0.0;
            small().along(Seed::root(1), control, &[0, 150], |moment| {
                last = moment.model.accuracy(moment.test, usize::MAX)?;
                Ok(())
            })?;
            Ok(last)
        };
        let (plain, control) = (accuracy(None)?, accuracy(Some(Control::ShuffledLabels))?);
        assert!(plain > 0.7, "{plain}");
        // a tenth by chance, and five standard deviations of a proportion over 449 images
        assert!(control < 0.18, "{control}");
        Ok(())
    }

    #[test]
    fn studies_find_the_same_whatever_the_threads() -> Result<()> {
        for name in ["kfac-sharper", "heavy-tails", "non-iid", "quantisation"] {
            let Scenario::Study(study) = shipped::scenario(name)? else {
                unreachable!("it is a study");
            };
            let work = quick(7);
            let items = study.items(work.tier);
            let alone = |threads: usize, item: &str| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                pool.expect("a pool can be made")
                    .install(|| study.run(item, &work))
            };
            let first = alone(1, &items[0])?;
            assert!(!first.is_empty());
            assert_eq!(first, alone(2, &items[0])?, "{name}");
            assert!(study.table(&first)?.lines().count() > 1, "{name}");
            let said = study
                .run("none", &work)
                .expect_err("there is no such piece");
            assert!(said.to_string().contains("no piece of work \"none\""));
        }
        Ok(())
    }

    #[test]
    fn a_trained_study_that_was_cut_off_goes_on_to_the_same_rows() -> Result<()> {
        let Scenario::Study(study) = shipped::scenario("quantisation")? else {
            unreachable!("it is a study");
        };
        let folder = tempfile::tempdir().expect("a temporary folder");
        let run = || -> Result<Vec<String>> {
            let kept = Some(folder.path().to_owned());
            let mut store = RunStore::new(Tier::Quick, Seed::root(8), kept);
            store.run_study(study.as_ref())?;
            Ok(store.lines(study.name()).to_vec())
        };
        let whole = run()?;
        let mut kept = std::fs::read_dir(folder.path().join("unfinished")).expect("it is there");
        let one = kept.next().expect("five pieces").expect("it is there");
        std::fs::remove_file(one.path()).expect("it is mine");
        assert_eq!(run()?, whole);
        Ok(())
    }

    #[test]
    fn a_value_of_a_study_that_is_out_of_range_is_named_with_what_is_accepted() -> Result<()> {
        for (name, good, bad, said) in [
            (
                "kfac-sharper",
                "gradients = 100",
                "gradients = 1",
                "measurement.gradients is 1; it must be at least 2",
            ),
            (
                "kfac-sharper",
                "printed = 1e-5",
                "printed = 0.0",
                "damping.printed is 0; it must be positive",
            ),
            (
                "heavy-tails",
                "level = 0.95",
                "level = 1.0",
                "level is 1; it must be at least 0.5 and below 1",
            ),
            (
                "non-iid",
                "windows = [6, 20]",
                "windows = [1]",
                "stream.windows is [1]; it must be a list of numbers between 2 and first_reading, 30",
            ),
            (
                "quantisation",
                "bits = [8, 4, 2]",
                "bits = [1]",
                "bits is [1]; it must be a list of numbers between 2 and 16",
            ),
        ] {
            let text = shipped::text(name)?;
            assert!(text.contains(good), "{name}: {good}");
            let refused =
                parse(&text.replace(good, bad), "some.toml").expect_err("it is out of range");
            assert!(refused.to_string().contains(said), "{refused}");
        }
        Ok(())
    }

    #[test]
    fn readings_lie_at_equal_ratios_and_no_step_is_read_twice() {
        assert_eq!(reading_steps(1000, 4), [0, 10, 100, 1000]);
        assert_eq!(reading_steps(8, 7), [0, 1, 2, 3, 4, 6, 8]);
        assert_eq!(reading_steps(2, 9), [0, 1, 2]);
        assert_eq!(reading_steps(5, 1), [0]);
    }

    #[test]
    fn a_step_size_that_is_not_positive_is_named() {
        let training = StudyTraining {
            learning_rate: 0.0,
            ..small()
        };
        let said = training.check("a.toml").expect_err("no step is taken");
        assert_eq!(
            said.to_string(),
            "a.toml: training.learning_rate is 0; it must be positive"
        );
    }

    #[test]
    fn before_a_step_so_many_steps_were_taken_and_none_before_the_first() -> Result<()> {
        let (training, seed) = (small(), Seed::root(9));
        let (train, _) = training.data.split(seed.derive("split"), None)?;
        let train = train.tensors(&Device::Cpu)?;
        let weights = seed.derive("weights");
        let model = training
            .model
            .build(&training.data.task(), weights, &Device::Cpu)?;
        let mut loader = Loader::new(&train, training.batch_size, seed.derive("order"))?;
        let mut taken = 0;
        let mut visited = Vec::new();
        training.along(seed, None, &[0, 1, 3], |moment| {
            while taken < moment.step {
                descend(&model, &loader.next_batch()?, training.learning_rate)?;
                taken += 1;
            }
            let expected = magnitudes(Objective::parameters(&model))?;
            let found = magnitudes(Objective::parameters(moment.model))?;
            for (a, b) in found.iter().zip(&expected) {
                // weights below 1 in f32, after three steps
                assert!((a - b).abs() < 1e-6, "{}: {a} {b}", moment.step);
            }
            visited.push((moment.step, found));
            Ok(())
        })?;
        let steps: Vec<u64> = visited.iter().map(|(step, _)| *step).collect();
        assert_eq!(steps, [0, 1, 3]);
        // a step moves the weights by far more than what they may differ by
        for pair in visited.windows(2) {
            let moved = pair[0].1.iter().zip(&pair[1].1);
            let moved = moved.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(moved > 1e-3, "{moved}");
        }
        Ok(())
    }
}
