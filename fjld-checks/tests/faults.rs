//! What may befall a run: it is killed, another wants its folder, the disk is full, nobody listens. Nothing that was finished is lost, and
//! what comes out in the end is what an undisturbed run gives.
//!
//! `.ci/faults` kills far more often (`FJLD_KILLS`, `FJLD_SEED`) and fills a real disk.
#![cfg(unix)]

use fjld_core::rng::{Generator, Seed};
use rand::RngExt;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often each command is killed where nobody says otherwise.
const KILLS: u64 = 3;

/// The most kills before a command is left alone.
const IN_A_ROW: u64 = 8;

fn command(arguments: &[String], out: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fjld-checks"));
    command.args(arguments).args(["--tier", "quick", "--out"]);
    command.arg(out).env_remove("FJLD_DOCUMENT");
    command
}

/// Runs to the end, whatever is pinned.
fn to_the_end(arguments: &[String], out: &Path) {
    let output = command(arguments, out).output().expect("it starts");
    let said = text(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 1)), "{said}");
}

fn started(arguments: &[String], out: &Path) -> Child {
    let mut command = command(arguments, out);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("it starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("messages are text")
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn scenario(name: &str) -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios");
    words(&["run", &format!("{folder}/{name}.toml")])
}

fn report() -> Vec<String> {
    words(&["report", "--claim", "phase-precedes-accuracy"])
}

/// A report that takes a second.
fn short_report() -> Vec<String> {
    words(&["report", "--claim", "theorem-1"])
}

/// Every file below a folder by its place in it.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(bytes) = fs::read(&path) {
                let place = path.strip_prefix(folder).expect("it lies below");
                found.insert(place.to_owned(), bytes);
            }
        }
    }
    found
}

fn number_from(variable: &str) -> Option<u64> {
    let given = std::env::var(variable).ok()?;
    Some(given.parse().expect("a number"))
}

/// A command, what it leaves undisturbed, and what was seen of it when it was killed.
struct Trial {
    arguments: Vec<String>,
    /// Files that have the same bytes whenever they are there.
    whole: BTreeMap<PathBuf, Vec<u8>>,
    /// How long that took.
    took: Duration,
    /// Finished pieces of work, as they were first seen.
    pieces: BTreeMap<PathBuf, Vec<u8>>,
    killed: u64,
    with_pieces: u64,
    half_written: u64,
    with_results: u64,
}

impl Trial {
    fn new(arguments: Vec<String>) -> Self {
        let out = folder();
        let start = Instant::now();
        to_the_end(&arguments, out.path());
        let took = start.elapsed();
        // times and places are in the provenance, and in the page that shows it
        let same = |place: &Path| {
            let name = place.to_string_lossy();
            name.starts_with("evidence/") && name.ends_with(".jsonl")
                || name == "report.json"
                || name == "report.md"
        };
        let mut whole = files(out.path());
        whole.retain(|place, _| same(place));
        assert!(!whole.is_empty());
        Self {
            arguments,
            whole,
            took,
            pieces: BTreeMap::new(),
            killed: 0,
            with_pieces: 0,
            half_written: 0,
            with_results: 0,
        }
    }

    /// Starts the command and kills it (signal 9): at any time, or just when another file appears. It may have ended before.
    fn kill(&mut self, out: &Path, generator: &mut Generator) {
        let mut child = started(&self.arguments, out);
        let start = Instant::now();
        let at = self.took.mul_f64(generator.random::<f64>());
        let places = [out.to_owned(), out.join("evidence"), out.join("unfinished")];
        let names = |place| fs::read_dir(place).map_or(0, Iterator::count);
        let count = || places.iter().map(names).sum::<usize>();
        let before = count();
        let more = generator.random_range(1..12);
        let by_time = generator.random::<bool>();
        let due = || match by_time {
            true => start.elapsed() >= at,
            false => count() >= before + more,
        };
        while !due() && child.try_wait().expect("it can be asked").is_none() {
            std::thread::sleep(Duration::from_micros(200));
        }
        child.kill().ok();
        let ended = child.wait().expect("it can be waited for");
        if ended.code().is_none() {
            self.killed += 1;
            self.look(out);
        }
    }

    /// Looks at what a killed run left: nothing under a final name may be other than whole.
    fn look(&mut self, out: &Path) {
        let (mut pieces, mut half, mut results) = (0, 0, 0);
        for (place, bytes) in files(out) {
            let name = place.to_string_lossy();
            if name.contains(".writing-") {
                half += 1;
            } else if name.starts_with("unfinished/") {
                pieces += 1;
                serde_json::from_slice::<serde_json::Value>(&bytes).expect("a piece is whole");
                let first = self.pieces.entry(place.clone()).or_insert(bytes.clone());
                assert!(*first == bytes, "{name} has other bytes than before");
            } else if let Some(whole) = self.whole.get(&place) {
                results += 1;
                assert!(*whole == bytes, "{name} is torn");
            }
        }
        self.with_pieces += u64::from(pieces > 0);
        self.half_written += u64::from(half > 0);
        self.with_results += u64::from(results > 0);
    }

    /// Kills it some times in one folder, and lets it then run to its end.
    fn round(&mut self, generator: &mut Generator, left: u64) {
        let out = folder();
        for _ in 0..generator.random_range(1..=left.min(IN_A_ROW)) {
            self.kill(out.path(), generator);
        }
        to_the_end(&self.arguments, out.path());
        let all = files(out.path());
        for (place, whole) in &self.whole {
            let name = place.display();
            assert!(all.get(place) == Some(whole), "{name} has other bytes");
        }
        for place in all.keys().map(|place| place.to_string_lossy()) {
            let left_over = place.contains(".writing-") || place.starts_with("unfinished/");
            assert!(!left_over, "{place} is left over");
        }
    }
}

/// Kills a command time and again, and holds it to what it gives undisturbed.
fn kill_often(name: &str, arguments: Vec<String>) {
    let (kills, seed) = (number_from("FJLD_KILLS"), number_from("FJLD_SEED"));
    let (kills, seed) = (kills.unwrap_or(KILLS), seed.unwrap_or(1));
    let generator = &mut Seed::root(seed).derive(name).generator();
    let mut trial = Trial::new(arguments);
    let mut rounds = 0;
    while trial.killed < kills {
        trial.round(generator, kills - trial.killed);
        rounds += 1;
    }
    println!(
        "{name}: seed {seed}, {} kills in {rounds} runs of {:.1} s, of which {} left finished pieces, {} results, {} a file half written; every run ended with the bytes of an undisturbed one",
        trial.killed,
        trial.took.as_secs_f64(),
        trial.with_pieces,
        trial.with_results,
        trial.half_written
    );
}

#[test]
fn a_killed_scenario_goes_on_to_the_bytes_of_an_undisturbed_one() {
    kill_often("scenario", scenario("digits-mlp"));
}

#[test]
fn a_killed_study_goes_on_to_the_bytes_of_an_undisturbed_one() {
    kill_often("study", scenario("quantisation"));
}

#[test]
fn a_killed_report_goes_on_to_the_bytes_of_an_undisturbed_one() {
    kill_often("report", report());
}

#[test]
fn the_second_of_two_reports_into_one_folder_says_so_and_the_first_goes_on() {
    let whole = Trial::new(report()).whole;
    let out = folder();
    let mut first = started(&report(), out.path());
    while !out.path().join("unfinished").exists() {
        assert!(first.try_wait().expect("it can be asked").is_none());
        std::thread::sleep(Duration::from_millis(1));
    }
    for second in [report(), scenario("quantisation")] {
        let output = command(&second, out.path()).output().expect("it starts");
        assert_eq!(output.status.code(), Some(2));
        let said = text(&output.stderr);
        assert!(said.contains("another fjld-checks is at work in"), "{said}");
    }
    assert_eq!(first.wait().expect("it ends").code(), Some(0));
    let all = files(out.path());
    assert!(whole.iter().all(|(place, bytes)| all[place] == *bytes));
    // and it has let go
    to_the_end(&short_report(), out.path());
}

/// A limit on the size of files stands in for a disk that is full: the pieces of work fit, the evidence does not.
#[test]
fn a_full_disk_is_said_and_what_was_finished_is_taken_up_again() {
    let arguments = scenario("quantisation");
    let whole = Trial::new(arguments.clone()).whole;
    let out = folder();
    let limited = |out: &Path| {
        let all = command(&arguments, out);
        let mut shell = Command::new("bash");
        // without the trap the kernel ends the program, as no disk would; 4 KiB
        shell.args(["-c", "trap '' XFSZ; ulimit -f 4; exec \"$0\" \"$@\""]);
        shell.arg(all.get_program()).args(all.get_args());
        shell.output().expect("bash is there")
    };
    let output = limited(out.path());
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    let named = said.contains("evidence/quantisation.jsonl could not be written: File too large");
    assert!(named, "{said}");
    let kept = fs::read_dir(out.path().join("unfinished")).map_or(0, Iterator::count);
    assert_eq!(kept, 5, "the pieces of all five seeds are kept");
    to_the_end(&arguments, out.path());
    let all = files(out.path());
    assert!(whole.iter().all(|(place, bytes)| all[place] == *bytes));
}

#[test]
fn a_report_outlives_those_who_listened_to_it() {
    let out = folder();
    let mut child = command(&short_report(), out.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    drop((child.stdout.take(), child.stderr.take()));
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    assert!(out.path().join("report.json").exists());
}

/// `/dev/full` is a disk without room.
#[test]
#[cfg(target_os = "linux")]
fn a_result_that_can_not_be_printed_is_an_error_and_its_files_are_there() {
    let out = folder();
    let full = || fs::File::options().write(true).open("/dev/full");
    let output = command(&short_report(), out.path())
        .stdout(full().expect("it is there"))
        .output()
        .expect("it starts");
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    let wanted = "standard output could not be written: No space left on device";
    assert!(said.contains(wanted), "{said}");
    assert!(out.path().join("report.json").exists());
    // messages that can not be printed are no reason to stop
    let status = command(&short_report(), out.path())
        .stdout(Stdio::null())
        .stderr(full().expect("it is there"))
        .status();
    assert_eq!(status.expect("it starts").code(), Some(0));
}
