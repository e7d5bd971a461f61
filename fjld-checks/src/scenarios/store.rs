//! The runs of one audit: executed in parallel, kept as they finish, resumed after an interruption.

pub use super::evidence::Evidence;
use super::recorded::{self, Recording};
use super::study::{self, Study, Work};
use super::training::{Curve, Item, Place, Reading, TrainingScenario};
use super::{Scenario, shipped};
use crate::error::{Error, Result};
use crate::files::write_whole;
use crate::spent::{Spent, core_seconds};
use crate::tier::Tier;
use candle_core::Device;
use fjld_core::rng::Seed;
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// A piece of work that depends on no other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WorkItem {
    /// A hash of all that it depends on: the program, the scenario, the tier, the root seed and the item.
    pub id: String,
    /// The scenario that it is a part of.
    pub scenario: String,
    /// Which part.
    pub item: String,
}

impl WorkItem {
    /// The file in which `folder` keeps what was found.
    pub fn kept_in(&self, folder: &Path) -> PathBuf {
        let Self { id, scenario, item } = self;
        unfinished(folder).join(format!("{scenario}-{item}-{id}.json"))
    }
}

/// What the store has to know of a scenario to keep its work.
struct Share<'a> {
    name: &'a str,
    /// All that the work depends on but for tier, seed and program.
    key: String,
    /// Core-seconds.
    time_budget: u64,
}

impl<'a> Share<'a> {
    fn training(scenario: &'a TrainingScenario, tier: Tier) -> Self {
        Self {
            name: &scenario.name,
            key: serde_json::to_string(scenario).expect("plain numbers and names"),
            time_budget: scenario.time_budget(tier),
        }
    }

    fn study(study: &'a dyn Study, tier: Tier) -> Self {
        Self {
            name: study.name(),
            key: format!("{study:?}"),
            time_budget: study.tiers().time_budget(tier),
        }
    }
}

/// The runs of one audit.
pub struct RunStore {
    tier: Tier,
    root: Seed,
    /// Where finished runs are kept until all are; `None` keeps nothing.
    folder: Option<PathBuf>,
    /// A folder of data sets.
    data: Option<PathBuf>,
    /// Where the tensors of training runs live.
    device: Device,
    done: BTreeMap<String, Evidence>,
    /// The rows of studies, each a line.
    studies: BTreeMap<String, Vec<String>>,
    /// What stands in for runs whose data are not there, and where it comes from.
    recorded: BTreeMap<String, Recording>,
    /// What each scenario took.
    spent: Mutex<BTreeMap<String, Spent>>,
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
            device: Device::Cpu,
            done: BTreeMap::new(),
            studies: BTreeMap::new(),
            recorded: BTreeMap::new(),
            spent: Mutex::default(),
        }
    }

    /// With the tensors of training runs on a device.
    #[must_use]
    pub fn on(mut self, device: Device) -> Self {
        self.device = device;
        self
    }

    /// Takes up a recording, in place of runs.
    pub fn take_up(&mut self, recording: Recording) {
        self.recorded
            .insert(recording.provenance.scenario.clone(), recording);
    }

    /// What each scenario took, by name.
    pub fn spent(&self) -> BTreeMap<String, Spent> {
        self.spent.lock().expect("no holder of it panics").clone()
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
        let recorded = self.recorded.get(name).and_then(Recording::evidence);
        self.done.get(name).or(recorded).ok_or_else(missing)
    }

    /// The rows of a study that was run, or else its recording's.
    ///
    /// # Errors
    /// When it was not run and no recording was taken up, or its rows are others.
    pub fn rows<T: DeserializeOwned>(&self, name: &str) -> Result<Vec<T>> {
        if self.kept_rows(name).is_none() {
            let sentence = format!("study \"{name}\" was not run in this audit");
            return Err(Error::input(sentence));
        }
        study::rows(self.lines(name))
    }

    /// The same rows as lines of JSON; none of a study that was not run.
    pub fn lines(&self, name: &str) -> &[String] {
        self.kept_rows(name).unwrap_or(&[])
    }

    fn kept_rows(&self, name: &str) -> Option<&[String]> {
        let fresh = self.studies.get(name).map(Vec::as_slice);
        fresh.or_else(|| self.recorded.get(name)?.rows())
    }

    /// Whether a scenario was run, or its recording taken up.
    pub fn has(&self, name: &str) -> bool {
        self.kept_rows(name).is_some() || self.get(name).is_ok()
    }

    /// Whether claims are to be judged by fresh runs of a scenario: its data are there, and the GPU where it is meant for one.
    fn runs_here(&self, scenario: &Scenario) -> bool {
        let data = self.data.as_deref();
        let has_data = scenario.needs().is_none_or(|set| set.is_in(data));
        let for_gpu = matches!(scenario, Scenario::Training(own) if own.for_gpu);
        has_data && (!for_gpu || self.tier > Tier::Quick && !self.device.is_cpu())
    }

    /// Runs a shipped scenario, or takes up its recording, if there is one, where it can not be run.
    ///
    /// # Errors
    /// When a run fails or is interrupted, or the recording is not as it was made.
    pub fn run_shipped(&mut self, name: &str) -> Result<()> {
        let scenario = shipped::scenario(name)?;
        if self.runs_here(&scenario) {
            match &scenario {
                Scenario::Training(scenario) => self.run(scenario)?,
                Scenario::Study(study) => self.run_study(study.as_ref())?,
                Scenario::Gaussian(_) | Scenario::Reparameterization(_) => {
                    let sentence = format!("claims do not draw on \"{name}\": it has no runs");
                    return Err(Error::input(sentence));
                }
            }
        } else if let Some(recording) = recorded::recording(name)? {
            self.take_up(recording);
        }
        Ok(())
    }

    /// What to tell of a scenario whose recording was taken up.
    pub fn recorded_label(&self, name: &str) -> Option<String> {
        Some(self.recorded.get(name)?.provenance.label())
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
        let evidence = Evidence {
            curves: self.curves(scenario, &scenario.items(self.tier))?,
            ..Evidence::none_of(scenario, self.tier)
        };
        self.done.insert(scenario.name.clone(), evidence);
        Ok(())
    }

    fn curves(&self, scenario: &TrainingScenario, items: &[Item]) -> Result<Vec<Curve>> {
        // readings take far longer than the steps between them
        let readings = scenario.reading_steps(self.tier).len();
        self.keep(
            &Share::training(scenario, self.tier),
            items,
            readings,
            |&item, bar| {
                let progress = |reading: &Reading| {
                    bar.inc(1);
                    let c = reading.values.last().and_then(|v| v.c);
                    let c = c.map_or("undefined".into(), |c| format!("{c:.2}"));
                    let accuracy = 100.0 * reading.accuracy;
                    bar.set_message(format!("{item}: C = {c}, accuracy {accuracy:.0}%"));
                };
                let place = Place {
                    folder: self.data.as_deref(),
                    device: &self.device,
                };
                scenario.run(item, self.tier, self.root, place, &progress)
            },
        )
    }

    /// Runs a study, as many of its pieces at a time as there are threads. The result does not depend on how many.
    ///
    /// # Errors
    /// When a piece fails or is interrupted.
    pub fn run_study(&mut self, study: &dyn Study) -> Result<()> {
        let rows = self.pieces(study, &study.items(self.tier))?;
        self.studies.insert(study.name().to_owned(), rows.concat());
        Ok(())
    }

    fn pieces(&self, study: &dyn Study, items: &[String]) -> Result<Vec<Vec<String>>> {
        let work = Work {
            tier: self.tier,
            seed: self.root.derive(study.name()),
            data: self.data.as_deref(),
        };
        self.keep(&Share::study(study, self.tier), items, 1, |item, bar| {
            bar.set_message(item.clone());
            let rows = study.run(item, &work)?;
            bar.inc(1);
            Ok(rows)
        })
    }

    /// The independent pieces of work that a shipped scenario takes; none where it can not be run.
    ///
    /// # Errors
    /// When there is no such scenario.
    pub fn plan(&self, name: &str) -> Result<Vec<WorkItem>> {
        let scenario = shipped::scenario(name)?;
        if !self.runs_here(&scenario) {
            return Ok(Vec::new());
        }
        let (share, items) = match &scenario {
            Scenario::Training(scenario) => {
                let items = scenario.items(self.tier);
                let names = items.iter().map(Item::to_string).collect();
                (Share::training(scenario, self.tier), names)
            }
            Scenario::Study(study) => (
                Share::study(study.as_ref(), self.tier),
                study.items(self.tier),
            ),
            Scenario::Gaussian(_) | Scenario::Reparameterization(_) => return Ok(Vec::new()),
        };
        let item = |item: String| {
            Ok(WorkItem {
                id: self.id(&share, &item)?,
                scenario: name.to_owned(),
                item,
            })
        };
        items.into_iter().map(item).collect()
    }

    /// Does one planned piece of work and keeps what it found, unless it is kept already.
    ///
    /// # Errors
    /// When it fails or is interrupted, or nothing is kept.
    pub fn work(&self, planned: &WorkItem) -> Result<()> {
        match shipped::scenario(&planned.scenario)? {
            Scenario::Training(scenario) => {
                let mut items = scenario.items(self.tier);
                items.retain(|item| item.to_string() == planned.item);
                self.curves(&scenario, &items).map(drop)
            }
            Scenario::Study(study) => {
                let items = [planned.item.clone()];
                self.pieces(study.as_ref(), &items).map(drop)
            }
            Scenario::Gaussian(_) | Scenario::Reparameterization(_) => Ok(()),
        }
    }

    /// Does every item in parallel, taking up those that were finished before; an item is `ticks` steps of the progress bar.
    fn keep<I: Display + Sync, T: Serialize + DeserializeOwned + Send>(
        &self,
        share: &Share,
        items: &[I],
        ticks: usize,
        work: impl Fn(&I, &ProgressBar) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let bar = ProgressBar::new((items.len() * ticks) as u64);
        let style = "{prefix} {wide_bar} {pos}/{len}, {eta} left  {msg}";
        bar.set_style(ProgressStyle::with_template(style).expect("a fixed template"));
        bar.set_prefix(share.name.to_owned());
        let start = core_seconds();
        let done = items
            .par_iter()
            .map(|item| {
                let kept = self.kept_at(share, item)?;
                let earlier = kept.as_ref().and_then(|path| std::fs::read(path).ok());
                if let Some(earlier) = earlier.and_then(|b| serde_json::from_slice(&b).ok()) {
                    bar.inc(ticks as u64);
                    return Ok(earlier);
                }
                let found = work(item, &bar)?;
                if let Some(path) = kept {
                    let bytes = serde_json::to_vec(&found).expect("plain numbers and names");
                    write_whole(&path, &bytes)?;
                }
                Ok(found)
            })
            .collect();
        bar.finish_and_clear();
        let spent = core_seconds() - start;
        let mut all = self.spent.lock().expect("no holder of it panics");
        let own = all.entry(share.name.to_owned()).or_default();
        own.core_seconds += spent;
        own.budget = share.time_budget;
        done
    }

    /// Where a finished piece of work is kept.
    fn kept_at(&self, share: &Share, item: &impl Display) -> Result<Option<PathBuf>> {
        let Some(folder) = &self.folder else {
            return Ok(None);
        };
        let planned = WorkItem {
            id: self.id(share, item)?,
            scenario: share.name.to_owned(),
            item: item.to_string(),
        };
        Ok(Some(planned.kept_in(folder)))
    }

    /// A hash of all that a piece of work depends on, so that a stale one is never taken up.
    fn id(&self, share: &Share, item: &impl Display) -> Result<String> {
        let mut hash = Sha256::new();
        hash.update(program()?);
        hash.update(&share.key);
        let place = if self.device.is_cpu() { "cpu" } else { "cuda" };
        hash.update(format!("{:?} {:?} {place} {item}", self.tier, self.root));
        Ok(hex(&hash.finalize())[..16].to_owned())
    }

    /// Writes the evidence of every scenario.
    ///
    /// # Errors
    /// When a file can not be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        for evidence in self.all() {
            let path = folder.join(format!("evidence/{}.jsonl", evidence.scenario));
            write_whole(&path, evidence.json_lines().as_bytes())?;
        }
        for (name, rows) in &self.studies {
            let path = folder.join(format!("evidence/{name}.jsonl"));
            write_whole(&path, whole_lines(rows).as_bytes())?;
        }
        Ok(())
    }

    /// Drops what was kept for resuming, once all that is made of it is written.
    pub fn forget(&self) {
        if let Some(folder) = &self.folder {
            // it may never have been made
            std::fs::remove_dir_all(unfinished(folder)).ok();
        }
    }
}

/// Rows as the text of a file.
pub fn whole_lines(rows: &[String]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
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

#[cfg(test)]
mod tests;
