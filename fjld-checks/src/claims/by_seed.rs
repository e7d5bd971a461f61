//! What the checks on small studies share: a sentence judged in the run of each seed.

use super::cells;
use super::runs::Fate;
use crate::error::Result;
use crate::evidence::kernels::{RunTest, TOLERATED_FAILURES};
use crate::evidence::ledger::Rates;
use crate::evidence::{Bench, Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use serde::de::DeserializeOwned;

/// The seeds of these studies at the standard tier, which a test holds them to.
pub const SEEDS: u64 = 5;

/// The rows of one seed.
pub type Run<R> = Vec<R>;

/// A promise about runs, in words.
pub struct Words {
    /// The check's name within the claim.
    pub id: &'static str,
    /// The sentence it speaks to.
    pub role: Role,
    /// What is tested.
    pub hypothesis: &'static str,
    /// The planted defect, in which every run violates the sentence.
    pub defect: &'static str,
    /// The planted truth.
    pub truth: &'static str,
}

/// The runs of a study, each by its seed.
///
/// # Errors
/// When the study was not run, or its rows are others.
pub fn runs<R: DeserializeOwned>(
    bench: &Bench,
    study: &str,
    seed: fn(&R) -> u64,
) -> Result<Vec<Run<R>>> {
    Ok(cells::by_seed(bench.runs.rows::<R>(study)?, seed))
}

/// A check that a sentence is true in the runs of a study. `plant` makes a defect and a truth of as many runs.
#[allow(clippy::type_complexity, reason = "two worlds of runs")]
pub fn check<R: DeserializeOwned + Clone + 'static>(
    words: Words,
    (study, seed): (&'static str, fn(&R) -> u64),
    plant: fn(&[Run<R>]) -> [Vec<Run<R>>; 2],
    examine: fn(&Vec<Run<R>>, &Draw) -> Finding,
) -> Check {
    let promise = format!("share of runs that violate the sentence, with {SEEDS} runs");
    let detectable = RunTest::new(SEEDS, Rates::of_one_slot()).detectable();
    let spec = Spec {
        id: words.id,
        role: words.role,
        kind: Kind::Runs,
        hypothesis: words.hypothesis,
        tolerance: TOLERATED_FAILURES,
        detectable: Size::of(&promise, detectable),
    };
    let build = move |bench: &Bench| {
        let real = runs(bench, study, seed)?;
        let [defect, truth] = plant(&real);
        Ok(Worlds {
            real,
            defect: Planted {
                what: words.defect,
                size: 1.0,
                world: defect,
            },
            truth: Planted {
                what: words.truth,
                size: 0.0,
                world: truth,
            },
        })
    };
    Check::built(spec, build, examine).on(study)
}

/// Judges a sentence from how it fares in every run.
pub fn judge(draw: &Draw, sentence: &str, fates: &[Fate]) -> Finding {
    let count = |fate: Fate| fates.iter().filter(|&&f| f == fate).count() as u64;
    let test = RunTest::new(fates.len() as u64, draw.rates);
    let held = count(Fate::Holds);
    let outcome = test.outcome(count(Fate::Fails), count(Fate::Undecided));
    let mut summary = format!("{sentence} in {held} of {} runs", fates.len());
    if count(Fate::Undecided) > 0 {
        summary += &format!(" ({} undecided)", count(Fate::Undecided));
    }
    let mut finding = Finding::new(outcome, fates.len() as u64, summary);
    finding.effect = Some(held as f64 / fates.len().max(1) as f64);
    finding
}

/// The middle one of some values; NaN of none.
pub fn middle(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().filter(|v| !v.is_nan()).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::evidence::Outcome;
    use crate::scenarios::{Scenario, shipped};
    use crate::tier::Tier;
    use fjld_core::rng::Seed;

    pub fn draw() -> Draw {
        Draw {
            seed: Seed::root(1),
            rates: Rates::of_one_slot(),
        }
    }

    #[test]
    fn the_studies_have_as_many_seeds_as_the_checks_promise() -> Result<()> {
        for name in ["heavy-tails", "non-iid", "quantisation"] {
            let Scenario::Study(study) = shipped::scenario(name)? else {
                unreachable!("they are studies");
            };
            assert_eq!(study.tiers().seeds(Tier::Standard), SEEDS, "{name}");
        }
        Ok(())
    }

    #[test]
    fn runs_that_fail_refute_and_one_that_is_undecided_leaves_it_open() {
        let judge = |fates: &[Fate]| judge(&draw(), "it does", fates);
        assert_eq!(judge(&[Fate::Fails; 5]).outcome, Outcome::Violated);
        assert_eq!(judge(&[Fate::Holds; 5]).outcome, Outcome::Holds);
        let mut open = [Fate::Fails; 5];
        open[2] = Fate::Undecided;
        let found = judge(&open);
        assert_eq!(found.outcome, Outcome::Undecided);
        assert_eq!(found.summary, "it does in 0 of 5 runs (1 undecided)");
        let mut few = [Fate::Undecided; 5];
        few[..2].fill(Fate::Holds);
        assert_eq!(judge(&few).outcome, Outcome::Undecided);
    }

    #[test]
    fn the_middle_value_leaves_out_what_is_no_number() {
        assert_eq!(middle([3.0, f64::NAN, 1.0, 2.0]), 2.0);
        assert!(middle([]).is_nan());
    }
}
