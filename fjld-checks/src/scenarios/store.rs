//! The training runs of one audit: executed in parallel, kept as they finish, resumed after an interruption.

use super::measurement::Estimator;
use super::training::{Curve, Item, Labels, TrainingScenario};
use super::{Scenario, parse};
use crate::error::{Error, Result};
use crate::files::write_whole;
use crate::tier::Tier;
use fjld_core::rng::Seed;
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The training scenarios that claims draw on, by name.
const SHIPPED: [(&str, &str); 1] = [(
    "digits-mlp",
    include_str!("../../../scenarios/digits-mlp.toml"),
)];

/// The scenario of this name that is built into the program.
///
/// # Errors
/// When there is none.
pub fn shipped(name: &str) -> Result<TrainingScenario> {
    let Some((_, text)) = SHIPPED.iter().find(|(n, _)| *n == name) else {
        return Err(Error::input(format!(
            "no training scenario is called \"{name}\""
        )));
    };
    match parse(text, name)? {
        Scenario::Training(scenario) => Ok(scenario),
        _ => Err(Error::input(format!("\"{name}\" is no training scenario"))),
    }
}

/// What a scenario's runs showed.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// The scenario's name.
    pub scenario: String,
    /// Its measurement batches.
    pub batch_sizes: Vec<usize>,
    /// How many examples accuracy is a share of.
    pub test_examples: usize,
    /// A curve for each run, in the order of [`TrainingScenario::items`].
    pub curves: Vec<Curve>,
}

/// One measurement, a line of `evidence/*.jsonl`.
#[derive(Serialize)]
struct Line<'a> {
    scenario: &'a str,
    seed: u64,
    control: Option<&'static str>,
    step: u64,
    unit: &'static str,
    batch_size: usize,
    estimator: &'static str,
    value: Option<f64>,
    interval: Option<[f64; 2]>,
    accuracy: f64,
    loss: f64,
}

impl Evidence {
    /// Every measurement as a line of JSON.
    pub fn json_lines(&self) -> String {
        let mut lines = String::new();
        for curve in &self.curves {
            let control = (curve.item.labels == Labels::Shuffled).then_some("shuffled-labels");
            for reading in &curve.readings {
                for value in &reading.values {
                    let line = Line {
                        scenario: &self.scenario,
                        seed: curve.item.seed,
                        control,
                        step: reading.step,
                        unit: match value.estimator {
                            Estimator::Minibatch => "minibatch",
                            Estimator::PerExample => "example",
                        },
                        batch_size: value.batch_size,
                        estimator: value.estimator.name(),
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
    done: BTreeMap<String, Evidence>,
}

impl RunStore {
    /// No runs yet. Runs of an earlier audit that was interrupted in `folder` are taken up if nothing of them has changed: not the
    /// scenario, the tier, the seed or this program.
    pub fn new(tier: Tier, root: Seed, folder: Option<PathBuf>) -> Self {
        Self {
            tier,
            root,
            folder,
            done: BTreeMap::new(),
        }
    }

    /// The evidence of a scenario that was run.
    ///
    /// # Errors
    /// When it was not.
    pub fn get(&self, name: &str) -> Result<&Evidence> {
        let missing = || Error::input(format!("scenario \"{name}\" was not run in this audit"));
        self.done.get(name).ok_or_else(missing)
    }

    /// Every scenario that was run.
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
        let curves = items
            .par_iter()
            .map(|&item| self.run_item(scenario, item, &bar))
            .collect::<Result<Vec<_>>>();
        bar.finish_and_clear();
        let evidence = Evidence {
            scenario: scenario.name.clone(),
            batch_sizes: scenario.batch_sizes().to_vec(),
            test_examples: scenario.test_examples(),
            curves: curves?,
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
        let curve = scenario.run(item, self.tier, self.root, &|reading| {
            bar.inc(1);
            let c = reading.values.last().and_then(|v| v.c);
            let c = c.map_or("undefined".into(), |c| format!("{c:.2}"));
            let accuracy = 100.0 * reading.accuracy;
            bar.set_message(format!("{item}: C = {c}, accuracy {accuracy:.0}%"));
        })?;
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
