//! How many threads work, settled before any of them starts.

use std::process::{Command, ExitCode};

/// What rayon and candle both read.
const VARIABLE: &str = "RAYON_NUM_THREADS";

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
    let given = std::env::var(VARIABLE).ok();
    let wanted = match (asked, &given) {
        (Some(threads), _) => threads.to_string(),
        (None, Some(_)) => return None,
        (None, None) => std::thread::available_parallelism()
            .map_or(1, usize::from)
            .to_string(),
    };
    if given.as_ref() == Some(&wanted) {
        return None;
    }
    let mut again = Command::new(std::env::current_exe().ok()?);
    again
        .args(std::env::args_os().skip(1))
        .env(VARIABLE, wanted);
    run(&mut again)
}

/// Replaces this process, so that signals reach the one that works. It only returns when that failed; then this one goes on, slower.
#[cfg(unix)]
fn run(again: &mut Command) -> Option<ExitCode> {
    let error = std::os::unix::process::CommandExt::exec(again);
    eprintln!(
        "note: this program could not start itself with {VARIABLE} set, and is slower for it: {error}"
    );
    None
}

#[cfg(not(unix))]
fn run(again: &mut Command) -> Option<ExitCode> {
    let code = again.status().ok()?.code()?;
    Some(ExitCode::from(code as u8))
}
