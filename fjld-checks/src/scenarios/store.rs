//! The training runs of one audit: executed in parallel, kept as they finish, resumed after an interruption.

use super::measurement::Estimator;
use super::training::{Curve, Item, TrainingScenario};
use super::{Scenario, parse, recorded};
use crate::error::{Error, Result};
use crate::files::write_whole;
use crate::tier::Tier;
use fjld_core::rng::Seed;
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The training scenarios that claims draw on, by name.
const SHIPPED: [(&str, &str); 5] = [
    (
        "digits-mlp",
        include_str!("../../../scenarios/digits-mlp.toml"),
    ),
    (
        "modular-grokking",
        include_str!("../../../scenarios/modular-grokking.toml"),
    ),
    (
        "mnist-mlp",
        include_str!("../../../scenarios/mnist-mlp.toml"),
    ),
    (
        "cifar-resnet18",
        include_str!("../../../scenarios/cifar-resnet18.toml"),
    ),
    ("gpt", include_str!("../../../scenarios/gpt.toml")),
];

/// The scenario of this name that is built into the program.
///
/// # Errors
/// When there is none.
pub fn shipped(name: &str) -> Result<TrainingScenario> {
    match parse(shipped_text(name)?, name)? {
        Scenario::Training(scenario) => Ok(scenario),
        _ => Err(Error::input(format!("\"{name}\" is no training scenario"))),
    }
}

/// The text of its file.
///
/// # Errors
/// When there is none of this name.
pub fn shipped_text(name: &str) -> Result<&'static str> {
    let found = SHIPPED.iter().find(|(n, _)| *n == name);
    found
        .map(|(_, text)| *text)
        .ok_or_else(|| Error::input(format!("no training scenario is called \"{name}\"")))
}

/// What a scenario's runs showed.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// The scenario's name.
    pub scenario: String,
    /// Its measurement batches.
    pub batch_sizes: Vec<usize>,
    /// How many labels accuracy is a share of.
    pub test_examples: usize,
    /// A guess is right once in as many.
    pub classes: usize,
    /// A curve for each run, in the order of [`TrainingScenario::items`].
    pub curves: Vec<Curve>,
}

/// One measurement, a line of `evidence/*.jsonl`.
#[derive(Serialize, Deserialize)]
pub(super) struct Line<'a> {
    pub scenario: Cow<'a, str>,
    pub seed: u64,
    pub control: Option<Cow<'a, str>>,
    pub step: u64,
    pub unit: Cow<'a, str>,
    pub batch_size: usize,
    pub estimator: Cow<'a, str>,
    pub value: Option<f64>,
    pub interval: Option<[f64; 2]>,
    pub accuracy: f64,
    pub loss: f64,
}

impl Evidence {
    /// Evidence of a scenario without a run.
    pub fn none_of(scenario: &TrainingScenario) -> Self {
        Self {
            scenario: scenario.name.clone(),
            batch_sizes: scenario.batch_sizes().to_vec(),
            test_examples: scenario.test_examples(),
            classes: scenario.classes(),
            curves: Vec::new(),
        }
    }

    /// Every measurement as a line of JSON.
    pub fn json_lines(&self) -> String {
        let mut lines = String::new();
        for curve in &self.curves {
            let control = curve.item.control.map(|c| Cow::from(c.name()));
            for reading in &curve.readings {
                for value in &reading.values {
                    let line = Line {
                        scenario: Cow::from(&self.scenario),
                        seed: curve.item.seed,
                        control: control.clone(),
                        step: reading.step,
                        unit: match value.estimator {
                            Estimator::Minibatch => "minibatch".into(),
                            Estimator::PerExample => "example".into(),
                        },
                        batch_size: value.batch_size,
                        estimator: value.estimator.name().into(),
                        value: value.c,
                        interval: value.interval,
                        accuracy: reading.accuracy,
                        loss: reading.loss,
                    };
                    lines += &serde_json::to_string(&line).expect("plain numbers and names");
                    lines.push('\n');
                }
            }
        }
        lines
    }
}

/// The training runs of one audit.
pub struct RunStore {
    tier: Tier,
    root: Seed,
    /// Where finished runs are kept until all are; `None` keeps nothing.
    folder: Option<PathBuf>,
    /// A folder of data sets.
    data: Option<PathBuf>,
    done: BTreeMap<String, Evidence>,
    /// What stands in for runs whose data are not there, and where it comes from.
    recorded: BTreeMap<String, (recorded::Provenance, Evidence)>,
}

impl RunStore {
    /// No runs yet. Runs of an earlier audit that was interrupted in `folder` are taken up if nothing of them has changed: not the
    /// scenario, the tier, the seed or this program.
    pub fn new(tier: Tier, root: Seed, folder: Option<PathBuf>) -> Self {
        Self {
            tier,
            root,
            folder,
            data: None,
            done: BTreeMap::new(),
            recorded: BTreeMap::new(),
        }
    }

    /// With a folder of data sets.
    #[must_use]
    pub fn with_data(mut self, data: Option<PathBuf>) -> Self {
        self.data = data;
        self
    }

    /// The evidence of a scenario that was run, or else its recording.
    ///
    /// # Errors
    /// When it was not run, and no recording was taken up.
    pub fn get(&self, name: &str) -> Result<&Evidence> {
        let missing = || Error::input(format!("scenario \"{name}\" was not run in this audit"));
        let recorded = self.recorded.get(name).map(|(_, evidence)| evidence);
        self.done.get(name).or(recorded).ok_or_else(missing)
    }

    /// Takes up the recording of a scenario, if there is one.
    ///
    /// # Errors
    /// When the recording is not as it was made.
    pub fn take_recording(&mut self, name: &str) -> Result<()> {
        if let Some(recording) = recorded::recording(name)? {
            self.recorded.insert(name.to_owned(), recording);
        }
        Ok(())
    }

    /// What to tell of a scenario whose recording was taken up.
    pub fn recorded_label(&self, name: &str) -> Option<String> {
        let (provenance, _) = self.recorded.get(name)?;
        Some(provenance.label())
    }

    /// Every scenario that was run, recordings left out.
    pub fn all(&self) -> impl Iterator<Item = &Evidence> {
        self.done.values()
    }

    /// Runs a scenario, as many runs at a time as there are threads. The result does not depend on how many.
    ///
    /// # Errors
    /// When a run fails or is interrupted.
    pub fn run(&mut self, scenario: &TrainingScenario) -> Result<()> {
        let items = scenario.items(self.tier);
        // readings take far longer than the steps between them
        let readings = scenario.reading_steps(self.tier).len();
        let bar = ProgressBar::new((items.len() * readings) as u64);
        let style = "{prefix} {wide_bar} {pos}/{len} readings, {eta} left  {msg}";
        bar.set_style(ProgressStyle::with_template(style).expect("a fixed template"));
        bar.set_prefix(scenario.name.clone());
        let start = Instant::now();
        let curves = items
            .par_iter()
            .map(|&item| self.run_item(scenario, item, &bar))
            .collect::<Result<Vec<_>>>();
        bar.finish_and_clear();
        let spent = start.elapsed().as_secs_f64() * rayon::current_num_threads() as f64;
        let budget = scenario.time_budget(self.tier);
        if spent > budget as f64 {
            let name = &scenario.name;
            eprintln!("note: {name} took up to {spent:.0} core-seconds; its file states {budget}");
        }
        let evidence = Evidence {
            curves: curves?,
            ..Evidence::none_of(scenario)
        };
        self.done.insert(scenario.name.clone(), evidence);
        Ok(())
    }

    fn run_item(
        &self,
        scenario: &TrainingScenario,
        item: Item,
        bar: &ProgressBar,
    ) -> Result<Curve> {
        let kept = self.kept_at(scenario, item)?;
        let earlier = kept.as_ref().and_then(|path| std::fs::read(path).ok());
        if let Some(curve) = earlier.and_then(|bytes| serde_json::from_slice::<Curve>(&bytes).ok())
        {
            bar.inc(curve.readings.len() as u64);
            return Ok(curve);
        }
        let curve = scenario.run(
            item,
            self.tier,
            self.root,
            self.data.as_deref(),
            &|reading| {
                bar.inc(1);
                let c = reading.values.last().and_then(|v| v.c);
                let c = c.map_or("undefined".into(), |c| format!("{c:.2}"));
                let accuracy = 100.0 * reading.accuracy;
                bar.set_message(format!("{item}: C = {c}, accuracy {accuracy:.0}%"));
            },
        )?;
        if let Some(path) = kept {
            let bytes = serde_json::to_vec(&curve).expect("plain numbers and names");
            write_whole(&path, &bytes)?;
        }
        Ok(curve)
    }

    /// Where a finished run is kept. The name holds a hash of all that the run depends on, so that a stale one is never found.
    fn kept_at(&self, scenario: &TrainingScenario, item: Item) -> Result<Option<PathBuf>> {
        let Some(folder) = &self.folder else {
            return Ok(None);
        };
        let mut hash = Sha256::new();
        hash.update(program()?);
        hash.update(serde_json::to_vec(scenario).expect("plain numbers and names"));
        hash.update(format!("{:?} {:?}", self.tier, self.root));
        let key = hex(&hash.finalize());
        let name = format!("{}-{item}-{}.json", scenario.name, &key[..16]);
        Ok(Some(unfinished(folder).join(name)))
    }

    /// Writes the evidence of every scenario, and drops what was kept for resuming.
    ///
    /// # Errors
    /// When a file can not be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        for evidence in self.all() {
            let path = folder.join(format!("evidence/{}.jsonl", evidence.scenario));
            write_whole(&path, evidence.json_lines().as_bytes())?;
        }
        if let Some(folder) = &self.folder {
            // it may never have been made
            std::fs::remove_dir_all(unfinished(folder)).ok();
        }
        Ok(())
    }
}

fn unfinished(folder: &Path) -> PathBuf {
    folder.join("unfinished")
}

/// A hash of the running program, once computed.
///
/// # Errors
/// When its file can not be read.
pub fn program() -> Result<&'static str> {
    static HASH: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    if let Some(hash) = HASH.get() {
        return Ok(hash);
    }
    let path = std::env::current_exe()
        .map_err(|e| Error::file("found", Path::new("this program's file"), &e))?;
    let bytes = std::fs::read(&path).map_err(|e| Error::file("read", &path, &e))?;
    Ok(HASH.get_or_init(|| hex(&Sha256::digest(bytes))))
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
