//! A check: its promise, its worlds, and the one function that examines all of them.

use super::ledger::Rates;
use super::method::Method;
use super::{DefectRecord, Finding, Kind, Outcome, Record, SampleSize, Spec, TruthRecord};
use crate::error::Result;
use crate::scenarios::store::RunStore;
use fjld_core::rng::Seed;
use std::sync::Arc;

/// The three worlds that a check examines.
pub struct Worlds<W> {
    /// What the claim is about.
    pub real: W,
    /// A world made to violate the claim, by at most twice [`Spec::detectable`].
    pub defect: Planted<W>,
    /// A world made so that the claim holds.
    pub truth: Planted<W>,
}

/// A world made on purpose.
pub struct Planted<W> {
    /// What was planted, in words.
    pub what: &'static str,
    /// How large it is, in the unit of [`Spec::detectable`]; 0 for a truth.
    pub size: f64,
    /// The world.
    pub world: W,
}

/// The worlds of a check, with violations of any size where one can be made.
pub struct Family<W> {
    worlds: Worlds<W>,
    violated: Option<Box<Violated<W>>>,
}

/// Makes a world that violates the claim by the given size, in the unit of [`Spec::detectable`].
type Violated<W> = dyn Fn(f64) -> W + Send + Sync;

impl<W> Worlds<W> {
    /// With worlds that violate the claim by any size, in the unit of [`Spec::detectable`]: what the judge is judged by.
    pub fn violated_by(self, world: impl Fn(f64) -> W + Send + Sync + 'static) -> Family<W> {
        Family {
            worlds: self,
            violated: Some(Box::new(world)),
        }
    }
}

/// What a check is made of: three worlds, or a family.
pub trait Plan<W> {
    /// Whether there are violations of any size.
    const ANY_SIZE: bool;

    /// The worlds.
    fn family(self) -> Family<W>;
}

impl<W> Plan<W> for Worlds<W> {
    const ANY_SIZE: bool = false;

    fn family(self) -> Family<W> {
        Family {
            worlds: self,
            violated: None,
        }
    }
}

impl<W> Plan<W> for Family<W> {
    const ANY_SIZE: bool = true;

    fn family(self) -> Self {
        self
    }
}

/// Which world a check is shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum World {
    /// What the claim is about.
    Real,
    /// The planted defect.
    Defect,
    /// The planted truth.
    Truth,
    /// One that violates the claim by this size, in the unit of [`Spec::detectable`].
    Violated(f64),
}

/// What a check draws on.
#[derive(Clone, Copy)]
pub struct Draw {
    /// The stream of this check in this world.
    pub seed: Seed,
    /// The error rates it was given.
    pub rates: Rates,
}

/// What the worlds of a check are built from.
pub struct Bench<'a> {
    /// The training runs of this audit.
    pub runs: &'a RunStore,
    /// The stream of this check, for building worlds.
    pub seed: Seed,
}

type Open = dyn Fn(&Bench) -> Result<Opened> + Send + Sync;
type Look = dyn Fn(World, &Draw) -> Option<Finding>;

/// A check: its promise, and the code that examines its worlds.
pub struct Check {
    /// Its promise.
    pub spec: Spec,
    /// Whether it can be shown violations of any size.
    pub any_size: bool,
    /// The one scenario of its claim that it draws on; `None` where it may draw on all of them.
    pub scenario: Option<&'static str>,
    open: Box<Open>,
}

/// A check with its worlds built, to be looked at as often as one likes.
pub struct Opened {
    /// The planted defect and its size.
    pub defect: (&'static str, f64),
    /// The planted truth.
    pub truth: &'static str,
    look: Box<Look>,
}

impl Opened {
    fn of<W: 'static>(family: Arc<Family<W>>, examine: fn(&W, &Draw) -> Finding) -> Self {
        let Worlds { defect, truth, .. } = &family.worlds;
        Self {
            defect: (defect.what, defect.size),
            truth: truth.what,
            look: Box::new(move |world, draw| {
                let Worlds {
                    real,
                    defect,
                    truth,
                } = &family.worlds;
                match world {
                    World::Real => Some(examine(real, draw)),
                    World::Defect => Some(examine(&defect.world, draw)),
                    World::Truth => Some(examine(&truth.world, draw)),
                    World::Violated(size) => {
                        let made = family.violated.as_ref()?(size);
                        Some(examine(&made, draw))
                    }
                }
            }),
        }
    }

    /// Examines a world; `None` for a violation of a size, where the check can make none.
    pub fn look(&self, world: World, draw: &Draw) -> Option<Finding> {
        (self.look)(world, draw)
    }

    /// Examines one of the three worlds that every check has, by the stream that is named after it.
    fn look_from(&self, bench: &Bench, rates: Rates, world: World) -> Finding {
        let name = match world {
            World::Real => "real",
            World::Defect => "defect",
            World::Truth => "truth",
            World::Violated(_) => "violated",
        };
        let seed = bench.seed.derive(name);
        let found = self.look(world, &Draw { seed, rates });
        found.expect("every check has these three worlds")
    }
}

impl Check {
    /// A check whose worlds are fixed.
    pub fn new<W: Send + Sync + 'static, P: Plan<W>>(
        spec: Spec,
        worlds: P,
        examine: fn(&W, &Draw) -> Finding,
    ) -> Self {
        let family = Arc::new(worlds.family());
        Self {
            spec,
            any_size: P::ANY_SIZE,
            scenario: None,
            open: Box::new(move |_| Ok(Opened::of(family.clone(), examine))),
        }
    }

    /// A check whose worlds are built from the audit's data or runs.
    pub fn built<W: 'static, P: Plan<W>>(
        spec: Spec,
        build: impl Fn(&Bench) -> Result<P> + Send + Sync + 'static,
        examine: fn(&W, &Draw) -> Finding,
    ) -> Self {
        Self {
            spec,
            any_size: P::ANY_SIZE,
            scenario: None,
            open: Box::new(move |bench| {
                let family = Arc::new(build(bench)?.family());
                Ok(Opened::of(family, examine))
            }),
        }
    }

    /// The same check, drawing on this scenario of its claim alone.
    #[must_use]
    pub fn on(mut self, scenario: &'static str) -> Self {
        self.scenario = Some(scenario);
        self
    }

    /// The scenarios that it draws on, of those of its claim.
    pub fn draws_on<'a>(&'a self, claim: &'a [&'static str]) -> &'a [&'static str] {
        self.scenario.as_ref().map_or(claim, std::slice::from_ref)
    }

    /// Whether the check spends error budget.
    pub fn is_stochastic(&self) -> bool {
        matches!(self.spec.kind, Kind::Statistical | Kind::Runs)
    }

    /// Builds its worlds.
    ///
    /// # Errors
    /// When a world can not be built.
    pub fn open(&self, bench: &Bench) -> Result<Opened> {
        (self.open)(bench)
    }

    /// What it finds in the real world and in its planted truth, as [`Check::run`] does.
    ///
    /// # Errors
    /// When a world can not be built.
    pub fn real_and_truth(&self, bench: &Bench, rates: Rates) -> Result<(Outcome, Outcome)> {
        let opened = self.open(bench)?;
        let outcome = |world| opened.look_from(bench, rates, world).outcome;
        Ok((outcome(World::Real), outcome(World::Truth)))
    }

    /// Examines the three worlds.
    ///
    /// # Errors
    /// When a world can not be built.
    pub fn run(&self, bench: &Bench, rates: Rates) -> Result<Record> {
        let opened = self.open(bench)?;
        let look = |world| opened.look_from(bench, rates, world);
        let real = look(World::Real);
        let defect = look(World::Defect);
        let truth = look(World::Truth);
        let spec = &self.spec;
        let method = real.method.unwrap_or(Method::of(spec.kind));
        let rates = self.is_stochastic().then_some(rates);
        let (what, size) = opened.defect;
        Ok(Record {
            id: spec.id.to_owned(),
            role: spec.role,
            kind: spec.kind,
            hypothesis: spec.hypothesis.to_owned(),
            outcome: real.outcome,
            summary: real.summary,
            cases: real.cases,
            effect: real.effect,
            interval: real.interval,
            tolerance: spec.tolerance,
            detectable: spec.detectable.clone(),
            false_alarm: rates.map_or(0.0, |r| r.false_alarm),
            miss: rates.map_or(0.0, |r| r.miss),
            method,
            bound: rates.map_or(0.0, |r| method.bound(r)),
            sample_size: real.needed.map(|needed| SampleSize {
                needed,
                used: real.cases,
            }),
            planted_defect: DefectRecord {
                what: what.to_owned(),
                size,
                caught: defect.outcome == Outcome::Violated,
            },
            planted_truth: TruthRecord {
                what: opened.truth.to_owned(),
                passed: truth.outcome == Outcome::Holds,
                alarmed: truth.outcome == Outcome::Violated,
            },
            counterexample: real.counterexample,
            scope: real.scope,
            over_seeds: real.over_seeds,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{Role, Size};
    use crate::tier::Tier;

    fn spec() -> Spec {
        Spec {
            id: "at-most-one",
            role: Role::AsWritten,
            kind: Kind::Statistical,
            hypothesis: "a number is at most 1",
            tolerance: 1.0,
            detectable: Size::of("number", 2.0),
        }
    }

    fn worlds() -> Worlds<f64> {
        Worlds {
            real: 0.5,
            defect: Planted {
                what: "three",
                size: 3.0,
                world: 3.0,
            },
            truth: Planted {
                what: "zero",
                size: 0.0,
                world: 0.0,
            },
        }
    }

    fn examine(number: &f64, _: &Draw) -> Finding {
        Finding::of_discrepancy(*number, 1.0, 7, String::new()).needing(5)
    }

    /// What a check finds in a world.
    fn look(check: &Check, world: World) -> Option<Outcome> {
        let seed = Seed::root(1);
        let runs = RunStore::new(Tier::Quick, seed, None);
        let opened = check.open(&Bench { runs: &runs, seed }).ok()?;
        let rates = Rates::of_one_slot();
        Some(opened.look(world, &Draw { seed, rates })?.outcome)
    }

    #[test]
    fn only_a_family_has_violations_of_any_size() {
        let three = Check::new(spec(), worlds(), examine);
        assert!(!three.any_size);
        assert_eq!(look(&three, World::Violated(2.0)), None);
        assert_eq!(look(&three, World::Defect), Some(Outcome::Violated));
        let family = worlds().violated_by(|size| size);
        let any = Check::new(spec(), family, examine);
        assert!(any.any_size);
        assert_eq!(look(&any, World::Violated(2.0)), Some(Outcome::Violated));
        assert_eq!(look(&any, World::Violated(0.9)), Some(Outcome::Holds));
        let built = Check::built(spec(), |_| Ok(worlds()), examine);
        assert!(!built.any_size);
        assert_eq!(look(&built, World::Truth), Some(Outcome::Holds));
    }

    #[test]
    fn a_record_holds_the_bound_of_its_method_and_the_sample_that_its_rates_ask_for() {
        let seed = Seed::root(1);
        let runs = RunStore::new(Tier::Quick, seed, None);
        let rates = Rates::of_one_slot();
        let check = Check::new(spec(), worlds(), examine);
        let record = check.run(&Bench { runs: &runs, seed }, rates);
        let record = record.expect("its worlds are fixed");
        assert_eq!(record.method, Method::Interval);
        assert_eq!(record.bound, rates.false_alarm);
        let sizes = SampleSize { needed: 5, used: 7 };
        assert_eq!(record.sample_size, Some(sizes));
        assert!(record.planted_truth.passed && !record.planted_truth.alarmed);
    }

    #[test]
    fn a_check_is_believed_up_to_a_defect_of_twice_the_size_that_it_detects() {
        let seed = Seed::root(1);
        let runs = RunStore::new(Tier::Quick, seed, None);
        let check = Check::new(spec(), worlds(), examine);
        let record = check.run(&Bench { runs: &runs, seed }, Rates::of_one_slot());
        let record = record.expect("its worlds are fixed");
        // it says that it detects 2, and was shown 3
        assert!(record.is_sound());
        let shown = |size: f64| {
            let mut record = record.clone();
            record.planted_defect.size = size;
            record.is_sound()
        };
        assert!(shown(4.0));
        assert!(!shown(4.0f64.next_up()));
        let (mut blind, mut harsh) = (record.clone(), record);
        blind.planted_defect.caught = false;
        harsh.planted_truth.passed = false;
        assert!(!blind.is_sound());
        assert!(!harsh.is_sound());
    }

    #[test]
    fn a_check_draws_on_every_scenario_of_its_claim_or_on_the_one_it_names() {
        let claim = ["lookup", "parity"];
        let all = Check::new(spec(), worlds(), examine);
        assert_eq!(all.draws_on(&claim), claim);
        let one = Check::new(spec(), worlds(), examine).on("parity");
        assert_eq!(one.draws_on(&claim), ["parity"]);
    }
}
