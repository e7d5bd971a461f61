//! Ctrl-C asks; the work in progress stops at its next step.

use crate::error::{Error, Result};
use std::sync::atomic::{AtomicBool, Ordering};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Listens for Ctrl-C. Called once, by the command line.
pub fn listen() {
    // a second handler can not be set; then the first one keeps listening
    ctrlc::set_handler(|| REQUESTED.store(true, Ordering::Relaxed)).ok();
}

/// # Errors
/// When an interruption was asked for.
pub fn check() -> Result<()> {
    if REQUESTED.load(Ordering::Relaxed) {
        return Err(Error::Interrupted);
    }
    Ok(())
}
