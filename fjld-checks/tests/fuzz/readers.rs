//! Everything that reads what others may have written, by the door that the command line takes, and good files to damage. A reader that is
//! added gets its entry here.

use super::damage::Form;
use super::good::{norms, npy_files, rows, safetensors_files};
use super::{Read, refused};
use fjld_checks::audit::{self, Options};
use fjld_checks::compare::compare;
use fjld_checks::device::DeviceName;
use fjld_checks::document::Binding;
use fjld_checks::error::{Error, Result};
use fjld_checks::measure::{self, measure};
use fjld_checks::nights::Ledger;
use fjld_checks::report::{self, Report, explain, html, markdown, pictures};
use fjld_checks::scenarios::recorded::{Made, Provenance, taken_from};
use fjld_checks::scenarios::store::RunStore;
use fjld_checks::scenarios::{self, Scenario};
use fjld_checks::tier::Tier;
use fjld_core::Monitor;
use fjld_core::monitor::Schedule;
use fjld_core::rng::Seed;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// One reader.
pub struct Reader {
    pub name: &'static str,
    /// What its file is called.
    pub file: &'static str,
    pub form: Form,
    /// Of all executions, in relation to the others.
    pub share: u64,
    /// Files that it accepts.
    pub good: Vec<Vec<u8>>,
    pub read: Read,
}

/// Every reader, with a folder to itself.
pub fn readers(folder: &Path) -> Vec<Reader> {
    let report = small_report();
    let ledger = ledger(&report, folder);
    let json = report.to_json().into_bytes();
    let text = |name, file, share, good, read| Reader {
        name,
        file,
        form: Form::Text,
        share,
        good,
        read,
    };
    vec![
        Reader {
            name: "npy",
            file: "samples.npy",
            form: Form::Npy,
            share: 15,
            good: npy_files(),
            read: Box::new(samples),
        },
        Reader {
            name: "safetensors",
            file: "samples.safetensors",
            form: Form::Safetensors,
            share: 15,
            good: safetensors_files(),
            read: Box::new(samples),
        },
        text("two-batch", "norms.csv", 15, norms(), Box::new(two_batch)),
        text("scenario", "a.toml", 20, scenarios(), Box::new(scenario)),
        text("ledger", "ledger.jsonl", 10, vec![ledger], Box::new(nights)),
        text(
            "report",
            "a.json",
            5,
            vec![json.clone()],
            Box::new(compared),
        ),
        text("view", "b.json", 1, vec![json], Box::new(viewed)),
        text(
            "evidence",
            "runs.jsonl",
            6,
            vec![lines("mnist-mlp")],
            Box::new(evidence),
        ),
        text(
            "provenance",
            "runs.json",
            6,
            vec![provenance()],
            Box::new(recording),
        ),
        text("rows", "rows.jsonl", 4, vec![rows()], Box::new(study_rows)),
        kept(folder),
        text(
            "monitor",
            "run.jsonl",
            2,
            vec![monitored(folder)],
            Box::new(monitor),
        ),
        text(
            "document",
            "document.md",
            1,
            vec![document()],
            Box::new(bound),
        ),
    ]
}

fn repository(place: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(place)
}

fn content(place: &str) -> Vec<u8> {
    fs::read(repository(place)).expect("it is in the repository")
}

/// The text of a file, as every reader of text takes it.
fn text_of(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|e| Error::file("read", path, &e))
}

fn samples(path: &Path) -> Result<()> {
    let measured = measure(&measure::Options {
        files: vec![path.to_owned()],
        key: None,
        batch_size: Some(64),
        level: 0.95,
        effective_rank: false,
    })?;
    let json = serde_json::to_value(&measured).map_err(refused)?;
    assert!(json["dimension"].is_u64() && !measured.to_string().is_empty());
    Ok(())
}

fn two_batch(path: &Path) -> Result<()> {
    let measured = measure::two_batch(path, 0.95)?;
    assert!(!measured.to_string().is_empty());
    Ok(())
}

fn scenarios() -> Vec<Vec<u8>> {
    let folder = fs::read_dir(repository("scenarios")).expect("it is in the repository");
    let mut paths: Vec<PathBuf> = folder
        .map(|entry| entry.expect("it is listed").path())
        .collect();
    paths.sort();
    let read = |path| fs::read(path).expect("it is in the repository");
    paths.iter().map(read).collect()
}

/// What is accepted can be planned too: its pieces are counted, and each is a name.
fn scenario(path: &Path) -> Result<()> {
    let read = scenarios::read(path)?;
    assert!(!read.name().contains('/'));
    for tier in Tier::ALL {
        match &read {
            Scenario::Training(own) if own.seeds(tier) <= FEW => drop(own.items(tier)),
            Scenario::Study(own) if own.tiers().seeds(tier) <= FEW => drop(own.items(tier)),
            _ => {}
        }
    }
    Ok(())
}

/// A list of ten thousand is not made ten thousand times.
const FEW: u64 = 100;

/// A report of two claims with their pictures, without what is recorded of the judge, which makes it long.
fn small_report() -> Report {
    let audited = audit::run(&Options {
        tier: Tier::Quick,
        root_seed: 1,
        claims: ["theorem-1", "adaptive"].map(str::to_owned).to_vec(),
        folder: None,
        data: None,
        device: candle_core::Device::Cpu,
        binding: None,
    });
    let mut audited = audited.expect("it can be judged");
    pictures::add(&mut audited).expect("they have pictures");
    let mut report = audited.report;
    (report.calibration, report.judge) = (None, None);
    (report.recorded_nights, report.timings) = (None, None);
    report
}

fn compared(path: &Path) -> Result<()> {
    let read = report::read(path)?;
    assert!(!compare(&read, &read).changed, "a report is as it is");
    Ok(())
}

fn viewed(path: &Path) -> Result<()> {
    let read = report::read(path)?;
    let provenance = serde_json::from_slice(&fs::read(path).map_err(refused)?).ok();
    assert!(!markdown(&read).is_empty() && !html(&read, provenance.as_ref()).is_empty());
    explain("theorem-1", Some(&read)).map_err(|near| refused(near.join(" ")))?;
    Ok(())
}

fn ledger(report: &Report, folder: &Path) -> Vec<u8> {
    let path = folder.join("good.jsonl");
    let mut ledger = Ledger::default();
    ledger.append(report, &path).expect("it can be written");
    fs::read(&path).expect("it was written")
}

fn nights(path: &Path) -> Result<()> {
    let read = Ledger::read(path)?.ok_or_else(|| refused("no file"))?;
    let nights = read.nights();
    assert!(!nights.e_value.is_nan());
    Ok(())
}

/// The first lines of a recording.
fn lines(name: &str) -> Vec<u8> {
    let packed = content(&format!("fjld-checks/recorded/{name}.jsonl.gz"));
    let mut all = Vec::new();
    let whole = flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut all);
    whole.expect("it is whole");
    let ends = all.iter().enumerate().filter(|(_, b)| **b == b'\n');
    let end = ends.map(|(at, _)| at + 1).nth(9).expect("ten lines");
    all[..end].to_vec()
}

const RECORDED: &str = "scenarios/mnist-mlp.toml";

fn made(text: &str, lines: &str) -> String {
    let made = Provenance::of(
        &Made {
            scenario: "mnist-mlp",
            text,
            data: true,
            device: DeviceName::Cpu,
            tier: Tier::Quick,
            root_seed: 1,
            note: None,
        },
        lines,
    );
    let made = made.expect("the scenario is TOML");
    serde_json::to_string(&made).expect("names and sums")
}

fn recorded_scenario() -> Result<(Scenario, String)> {
    let text = text_of(&repository(RECORDED))?;
    Ok((scenarios::parse(&text, RECORDED)?, text))
}

/// Damaged lines under their own sum.
fn evidence(path: &Path) -> Result<()> {
    thread_local!(static KNOWN: (Scenario, String) = recorded_scenario().expect("it is read"));
    let lines = text_of(path)?;
    KNOWN.with(|(scenario, text)| {
        let taken = taken_from(scenario, text, &made(text, &lines), &lines)?;
        assert!(taken.evidence().is_some());
        Ok(())
    })
}

fn provenance() -> Vec<u8> {
    let (_, text) = recorded_scenario().expect("it is read");
    made(&text, "").into_bytes()
}

/// A damaged provenance of no lines.
fn recording(path: &Path) -> Result<()> {
    thread_local!(static KNOWN: (Scenario, String) = recorded_scenario().expect("it is read"));
    let provenance = text_of(path)?;
    KNOWN.with(|(scenario, text)| {
        let taken = taken_from(scenario, text, &provenance, "")?;
        assert!(!taken.provenance.label().is_empty());
        Ok(())
    })
}

fn quantisation() -> Result<Scenario> {
    let place = "scenarios/quantisation.toml";
    scenarios::parse(&text_of(&repository(place))?, place)
}

/// What people are shown of the rows of a study.
fn study_rows(path: &Path) -> Result<()> {
    thread_local!(static KNOWN: Scenario = quantisation().expect("it is read"));
    let rows: Vec<String> = text_of(path)?.lines().map(str::to_owned).collect();
    KNOWN.with(|scenario| {
        let Scenario::Study(study) = scenario else {
            unreachable!("it is a study");
        };
        study.table(&rows)?;
        study
            .pictures(&rows, &["quantisation".to_owned()])
            .map(drop)
    })
}

/// A piece of work that was kept, damaged: it is taken up whole or done again, whatever is in its file.
fn kept(folder: &Path) -> Reader {
    let folder = folder.join("kept");
    let store = move |folder: &Path| {
        let mut store = RunStore::new(Tier::Quick, Seed::root(1), Some(folder.to_owned()));
        store.run_study(&numbers::Numbers::new()).map(|()| store)
    };
    store(&folder).expect("it can be kept");
    let unfinished = fs::read_dir(folder.join("unfinished")).expect("it was kept");
    let piece = unfinished
        .map(|entry| entry.expect("it is listed").path())
        .next();
    let piece = piece.expect("one piece");
    let good = fs::read(&piece).expect("it was kept");
    Reader {
        name: "kept",
        file: "piece.json",
        form: Form::Text,
        share: 2,
        good: vec![good],
        read: Box::new(move |path| {
            fs::copy(path, &piece).map_err(refused)?;
            let found = store(&folder)?;
            assert!(found.has(numbers::NAME));
            Ok(())
        }),
    }
}

mod numbers {
    use fjld_checks::error::Result;
    use fjld_checks::scenarios::study::{Study, Tiers, Work, line};
    use fjld_checks::tier::Tier;

    pub const NAME: &str = "numbers";

    /// A study of one piece that is done in no time.
    #[derive(Debug)]
    pub struct Numbers {
        tiers: Tiers,
    }

    impl Numbers {
        pub fn new() -> Self {
            let share = serde_json::json!({ "seeds": 1, "time_budget": 1 });
            let tiers = serde_json::json!({ "quick": share, "standard": share, "full": share });
            let tiers = serde_json::from_value(tiers).expect("it is as it should be");
            Self { tiers }
        }
    }

    impl Study for Numbers {
        fn name(&self) -> &str {
            NAME
        }

        fn tiers(&self) -> &Tiers {
            &self.tiers
        }

        fn items(&self, _: Tier) -> Vec<String> {
            vec!["only".to_owned()]
        }

        fn run(&self, _: &str, _: &Work) -> Result<Vec<String>> {
            Ok(vec![line(&[1.5, -2.0]), line(&[0.25])])
        }

        fn table(&self, rows: &[String]) -> Result<String> {
            Ok(rows.join("\n"))
        }
    }
}

fn new_monitor() -> fjld_core::Result<Monitor> {
    Monitor::new(8, Schedule::every(10)?)
}

/// The log of a run, by hand but for its first line.
fn monitored(folder: &Path) -> Vec<u8> {
    let path = folder.join("good-run.jsonl");
    let begun = new_monitor().and_then(|monitor| monitor.create(&path));
    begun.expect("it can be begun");
    fs::read(&path).expect("it was written")
}

fn monitor(path: &Path) -> Result<()> {
    let resumed = new_monitor().and_then(|monitor| monitor.resume(path, 1000));
    resumed.map(drop).map_err(refused)
}

/// Any text is a copy of the document; of this one nothing is found again.
fn document() -> Vec<u8> {
    content("CONTRIBUTING.md")
}

fn bound(path: &Path) -> Result<()> {
    let binding = Binding::of(path)?;
    assert!(!binding.to_string().is_empty());
    Ok(())
}
