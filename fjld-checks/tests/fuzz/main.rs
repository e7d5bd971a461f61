//! Damaged files, by the thousand: whatever a reader of ours is given, it must not panic, not hang, take no more memory than its input
//! explains, and refuse in one sentence.
//!
//! The files are damaged copies of good ones (`damage`), and a copy that was refused in words not heard before is damaged further: the
//! sentences stand in for the branches of the code. Everything derives from one seed. `.ci/fuzz` runs ten million of them
//! (`FJLD_EXECUTIONS`, `FJLD_SEED`, `FJLD_READER`); `cargo test` a few thousand.

mod damage;
mod good;
mod readers;

use damage::Damage;
use fjld_checks::error::{Error, Result};
use fjld_core::rng::Seed;
use peak_alloc::PeakAlloc;
use rand::RngExt;
use readers::{Reader, readers};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// Executions of all readers together where nobody says otherwise.
const EXECUTIONS: u64 = 20_000;

/// Buffers that do not depend on the input: half a mebibyte twice for reading ahead, and what a page is made of.
const OWN_MEMORY: usize = 4 << 20;

/// A byte of JSON can become a value of 32, in a list that grows by doubling while the old half is still there; and the report is read
/// twice, as any JSON and as what it is.
const MEMORY_A_BYTE: usize = 200;

/// Readers take microseconds to milliseconds; a machine that is busy with other things takes a hundred times as long.
const LONGEST: Duration = Duration::from_secs(5);

/// After so long without an end the whole is stopped, for a reader that hangs can not be.
const HANGS: Duration = Duration::from_secs(120);

/// A sentence that names what is wrong and what is accepted; some list ten names.
const LONGEST_SENTENCE: usize = 1000;

/// Findings of one reader that are told.
const TOLD: usize = 10;

/// The most files that are damaged further.
const POOL: usize = 400;

/// What came of one reader.
struct Tally {
    executions: u64,
    accepted: u64,
    sentences: BTreeSet<String>,
    slowest: Duration,
    most_memory: usize,
    found: Vec<String>,
}

impl Tally {
    /// Keeps what went wrong, and the file that did it.
    fn keep(&mut self, wrong: String, execution: u64, path: &Path, reader: &Reader) {
        if self.found.len() == TOLD {
            return;
        }
        let name = format!("finding-{}-{}", self.found.len(), reader.file);
        let kept = path.with_file_name(name);
        std::fs::copy(path, &kept).expect("the temporary folder can be written");
        let (name, kept) = (reader.name, kept.display());
        self.found.push(format!(
            "{name}, execution {execution}, kept as {kept}: {wrong}"
        ));
    }
}

/// The file that is being read, which is there still when the process was ended from without.
struct Place {
    folder: PathBuf,
}

impl Place {
    fn new() -> Self {
        // in memory where there is such a place: ten million files would wear a disk out
        let shared = Path::new("/dev/shm");
        let base = match shared.is_dir() {
            true => shared.to_owned(),
            false => std::env::temp_dir(),
        };
        let folder = base.join(format!("fjld-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a temporary folder can be made");
        Self { folder }
    }
}

fn number_from(variable: &str) -> Option<u64> {
    let given = std::env::var(variable).ok()?;
    Some(given.parse().expect("a number"))
}

/// A sentence without what differs from input to input: the file's name, numbers, and all between quotation marks; no more than its start,
/// for some end with a piece of the input.
fn gist(sentence: &str, path: &Path) -> String {
    let sentence = sentence.replace(&*path.to_string_lossy(), "");
    let plain = sentence.split('"').step_by(2).flat_map(str::chars);
    let letters = plain.filter(|c| c.is_ascii_alphabetic() || *c == ' ');
    letters.take(60).collect()
}

/// Tries one reader on so many damaged files.
fn try_on(reader: &Reader, executions: u64, seed: Seed, place: &Place, beat: &AtomicU64) -> Tally {
    let generator = &mut seed.derive(reader.name).generator();
    let mut pool = reader.good.clone();
    let path = place.folder.join(reader.file);
    let mut tally = Tally {
        executions,
        accepted: 0,
        sentences: BTreeSet::new(),
        slowest: Duration::ZERO,
        most_memory: 0,
        found: Vec::new(),
    };
    for execution in 0..executions {
        let of = generator.random_range(0..pool.len());
        // the good ones first, as they are
        let bytes = match reader.good.get(execution as usize) {
            Some(good) => good.clone(),
            None => Damage::new(generator, &pool, of, reader.form).done(),
        };
        std::fs::write(&path, &bytes).expect("the temporary folder can be written");
        beat.fetch_add(1, Ordering::Relaxed);
        let before = ALLOCATED.current_usage();
        ALLOCATED.reset_peak_usage();
        let start = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| (reader.read)(&path)));
        let took = start.elapsed();
        let memory = ALLOCATED.peak_usage().saturating_sub(before);
        let memory_explained = OWN_MEMORY + MEMORY_A_BYTE * bytes.len();
        tally.slowest = tally.slowest.max(took);
        tally.most_memory = tally.most_memory.max(memory);
        let is_good = execution < reader.good.len() as u64;
        let wrong = match &outcome {
            Err(_) => Some("it panicked".to_owned()),
            _ if took > LONGEST => Some(format!("it took {took:?}")),
            _ if memory > memory_explained => Some(format!("it took {memory} bytes")),
            Ok(Ok(())) => None,
            Ok(Err(error)) if is_good => Some(format!("a good file was refused: {error}")),
            Ok(Err(error)) => no_sentence(&error.to_string()),
        };
        if let Some(wrong) = wrong {
            tally.keep(wrong, execution, &path, reader);
        }
        match outcome {
            Ok(Ok(())) => tally.accepted += 1,
            Ok(Err(error)) => {
                let new = tally.sentences.insert(gist(&error.to_string(), &path));
                if new && pool.len() < POOL {
                    pool.push(bytes);
                }
            }
            Err(_) => {}
        }
    }
    tally
}

/// What keeps words from being one line for a terminal, of a length that a person reads.
fn no_sentence(words: &str) -> Option<String> {
    let start: String = words.chars().take(300).collect();
    if words.trim().is_empty() {
        Some("it refused without a word".to_owned())
    } else if words.chars().any(char::is_control) {
        Some(format!("its refusal has control characters: {start:?}"))
    } else if words.chars().count() > LONGEST_SENTENCE {
        let length = words.chars().count();
        Some(format!("its refusal has {length} characters: {start}"))
    } else {
        None
    }
}

/// Ends the process when a reader hangs.
fn watch(beat: Arc<AtomicU64>) {
    std::thread::spawn(move || {
        loop {
            let before = beat.load(Ordering::Relaxed);
            std::thread::sleep(HANGS);
            if beat.load(Ordering::Relaxed) == before {
                println!("a reader hangs; its file is kept in /dev/shm or the temporary folder");
                std::process::exit(1);
            }
        }
    });
}

#[test]
fn whatever_a_file_holds_its_reader_ends_soon_in_bounded_memory_with_a_result_or_a_sentence() {
    let total = number_from("FJLD_EXECUTIONS").unwrap_or(EXECUTIONS);
    let root = number_from("FJLD_SEED").unwrap_or(1);
    let only = std::env::var("FJLD_READER").ok();
    let place = Place::new();
    let mut readers = readers(&place.folder);
    readers.retain(|reader| only.as_ref().is_none_or(|name| name == reader.name));
    let shares: u64 = readers.iter().map(|reader| reader.share).sum();
    let beat = Arc::new(AtomicU64::new(0));
    watch(beat.clone());
    let (mut done, mut found) = (0, Vec::new());
    for reader in &readers {
        let start = Instant::now();
        let executions = (total * reader.share).div_ceil(shares);
        let tally = try_on(reader, executions, Seed::root(root), &place, &beat);
        done += tally.executions;
        found.extend(tally.found.clone());
        println!(
            "{:<12} {:>8} executions, {:>7} accepted, {:>4} different refusals, slowest {:.3} s, most memory {:.1} MiB, {:.0} s",
            reader.name,
            tally.executions,
            tally.accepted,
            tally.sentences.len(),
            tally.slowest.as_secs_f64(),
            tally.most_memory as f64 / f64::from(1 << 20),
            start.elapsed().as_secs_f64()
        );
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    println!(
        "{done} executions from seed {root}: no panic, no hang, memory as the input explains, every refusal a sentence"
    );
    std::fs::remove_dir_all(&place.folder).ok();
}

/// What a reader is called with.
type Read = Box<dyn Fn(&Path) -> Result<()>>;

/// A refusal by the library is one by us.
fn refused(error: impl std::fmt::Display) -> Error {
    Error::input(error.to_string())
}
