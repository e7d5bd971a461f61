//! How many threads work, settled before any of them starts.
//!
//! Runs go on side by side, a thread each; within one the matrix products are small, and to share them among threads costs several times
//! what it gains. So the pool that runs are spread over has as many threads as were asked for, and candle is told of one.

use std::process::{Command, ExitCode};

/// What candle reads for every matrix product, and rayon for a pool that nobody built.
const CANDLE: &str = "RAYON_NUM_THREADS";

/// The number of threads of the pool, handed to the program that is started again.
const OWN: &str = "FJLD_THREADS";

/// Has every decomposition of a matrix work on the thread that asks for it. Sums go in an order that depends on how many threads share
/// them, and so do the last digits; the runs of an audit are what is shared out.
pub fn one_a_matrix() {
    faer::set_global_parallelism(faer::Par::Seq);
}

/// Starts this program again with the number of threads in its environment, unless it is there already; then the exit code of that.
///
/// Without it candle counts the machine's cores by reading `/proc/cpuinfo` for every matrix product, which for networks as small as the
/// scenarios' takes two thirds of the time. A program can not safely change its own environment.
pub fn settle(asked: Option<u16>) -> Option<ExitCode> {
    let variable = |name: &str| std::env::var(name).ok();
    let own: Option<usize> = variable(OWN).and_then(|n| n.parse().ok());
    let candles: Option<usize> = variable(CANDLE).and_then(|n| n.parse().ok());
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let wanted = asked.map(usize::from).or(own).or(candles);
    let wanted = wanted.filter(|&n| n > 0).unwrap_or_else(cores);
    if own == Some(wanted) && candles == Some(1) {
        return pool(wanted);
    }
    let mut again = Command::new(std::env::current_exe().ok()?);
    again
        .args(std::env::args_os().skip(1))
        .env(OWN, wanted.to_string())
        .env(CANDLE, "1");
    run(&mut again)
}

/// Builds the pool. Only one can be built, and none was.
fn pool(threads: usize) -> Option<ExitCode> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    if let Err(error) = pool.build_global() {
        crate::say!("note: no pool of {threads} threads could be built: {error}");
    }
    None
}

/// Replaces this process, so that signals reach the one that works. It only returns when that failed; then this one goes on, slower.
#[cfg(unix)]
fn run(again: &mut Command) -> Option<ExitCode> {
    let error = std::os::unix::process::CommandExt::exec(again);
    crate::say!(
        "note: this program could not start itself with {CANDLE} set, and is slower for it: {error}"
    );
    None
}

#[cfg(not(unix))]
fn run(again: &mut Command) -> Option<ExitCode> {
    let code = again.status().ok()?.code()?;
    Some(ExitCode::from(code as u8))
}
