//! Which tests reach which place, and whether they notice what is changed there.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use wait_timeout::ChildExt;

/// KiB of address space that a mutant may ask for: one that loops may ask for all there is.
const MEMORY: u64 = 12 << 20;

/// One test, with what it took and where it came.
#[derive(Debug)]
pub struct Test {
    pub program: PathBuf,
    pub name: String,
    pub took: Duration,
    pub places: Vec<usize>,
}

/// What became of a mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Caught,
    TimedOut,
    Missed,
    /// No test comes to its place.
    Unreached,
    /// It does not compile.
    Unviable,
}

/// How a run of tests ended.
#[derive(PartialEq, Eq)]
enum End {
    Passed,
    Failed,
    TimedOut,
}

/// Calls `work` on 0 to `count` by several threads.
fn in_parallel<T: Send>(threads: usize, count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    if i >= count {
                        break;
                    }
                    let result = work(i);
                    done.lock().unwrap().insert(i, result);
                }
            });
        }
    });
    done.into_inner().unwrap().into_values().collect()
}

fn start(
    folder: &Path,
    program: &Path,
    names: &[&str],
    limit: Duration,
    environment: &[(&str, &str)],
) -> End {
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("ulimit -v {MEMORY}; exec \"$@\""))
        .arg("sh");
    shell
        .arg(program)
        .arg("--exact")
        .args(names)
        .current_dir(folder);
    shell
        .env("PROPTEST_MAX_SHRINK_ITERS", "0")
        .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1");
    shell
        .env("RAYON_NUM_THREADS", "1")
        .env("RUST_TEST_THREADS", "1")
        .env_remove("RUST_BACKTRACE");
    shell.envs(environment.iter().copied());
    shell
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = shell.process_group(0).spawn().expect("a shell");
    match child.wait_timeout(limit).expect("a child to wait for") {
        Some(status) if status.success() => End::Passed,
        Some(_) => End::Failed,
        None => {
            // with the programs that the tests have started
            let group = format!("-{}", child.id());
            let _ = Command::new("kill").args(["-9", "--", &group]).status();
            let _ = child.wait();
            End::TimedOut
        }
    }
}

/// A test that takes longer says nothing here: mutants that only it would catch count as missed.
const LONGEST: Duration = Duration::from_secs(10);

/// Runs each test by itself, and keeps those that pass.
pub fn trace(folder: &Path, programs: &[PathBuf], threads: usize) -> Vec<Test> {
    let mut names = Vec::new();
    for program in programs {
        let told = Command::new(program)
            .args(["--list", "--format", "terse"])
            .current_dir(folder)
            .output();
        let told = told.expect("a program with tests");
        let text = String::from_utf8_lossy(&told.stdout).into_owned();
        let tests = text.lines().filter_map(|line| line.strip_suffix(": test"));
        names.extend(tests.map(|name| (program.clone(), name.to_owned())));
    }
    let traces = std::env::temp_dir().join(format!("woven-{}", std::process::id()));
    std::fs::create_dir_all(&traces).expect("a folder for traces");
    let tests = in_parallel(threads, names.len(), |i| {
        let (program, name) = &names[i];
        let file = traces.join(i.to_string());
        let begun = Instant::now();
        let end = start(
            folder,
            program,
            &[name],
            LONGEST,
            &[("WOVEN_TRACE", &file.to_string_lossy())],
        );
        let took = begun.elapsed();
        if end != End::Passed {
            eprintln!(
                "left out: {name}, which {}",
                if end == End::Failed {
                    "fails as it is"
                } else {
                    "takes too long"
                }
            );
            return None;
        }
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let mut places: Vec<usize> = text.lines().filter_map(|line| line.parse().ok()).collect();
        places.sort_unstable();
        places.dedup();
        Some(Test {
            program: program.clone(),
            name: name.clone(),
            took,
            places,
        })
    });
    let _ = std::fs::remove_dir_all(&traces);
    tests.into_iter().flatten().collect()
}

/// Tests that are tried together: starting a program costs as much as a small test.
const TOGETHER: Duration = Duration::from_millis(300);

/// No mutant is given more than this, by what its tests took without it: those that are left are the slow ones.
const ENOUGH: Duration = Duration::from_secs(30);

/// The tests that reach one of these places.
fn reaching<'a>(tests: &'a [Test], places: &[usize]) -> Vec<&'a Test> {
    let reaches = |test: &&Test| places.iter().any(|p| test.places.binary_search(p).is_ok());
    tests.iter().filter(reaches).collect()
}

/// What these tests say of the programs with one alternative, the quick ones first.
fn judge(folder: &Path, mut reaching: Vec<&Test>, chosen: &str) -> Outcome {
    if reaching.is_empty() {
        return Outcome::Unreached;
    }
    reaching.sort_by_key(|test| test.took);
    let mut spent = Duration::ZERO;
    reaching.retain(|test| {
        spent += test.took;
        spent < ENOUGH
    });
    while !reaching.is_empty() {
        let program = reaching[0].program.clone();
        let mut took = Duration::ZERO;
        let mut names = Vec::new();
        reaching.retain(|test| {
            let now = test.program == program && (names.is_empty() || took + test.took < TOGETHER);
            if now {
                took += test.took;
                names.push(test.name.as_str());
            }
            !now
        });
        let limit = 10 * took + Duration::from_secs(10);
        match start(folder, &program, &names, limit, &[("WOVEN", chosen)]) {
            End::Passed => {}
            End::Failed => return Outcome::Caught,
            End::TimedOut => return Outcome::TimedOut,
        }
    }
    Outcome::Missed
}

/// Tries all alternatives.
pub fn try_all(
    folder: &Path,
    tests: &[Test],
    chosen: &[(usize, usize)],
    threads: usize,
) -> Vec<Outcome> {
    in_parallel(threads, chosen.len(), |i| {
        let (place, alternative) = chosen[i];
        let chosen = format!("{place}:{alternative}");
        judge(folder, reaching(tests, &[place]), &chosen)
    })
}

/// Tries a mutant that the programs hold by itself, with the tests that reach one of these places; with all if none does.
pub fn try_alone(folder: &Path, tests: &[Test], places: &[usize]) -> Outcome {
    let mut chosen = reaching(tests, places);
    if chosen.is_empty() {
        chosen = tests.iter().collect();
    }
    judge(folder, chosen, "")
}
