//! Progress and messages on standard error.

/// As `eprintln!`, but whoever was listening may have gone, which is no reason to stop: of `report 2>&1 | head -1` a report remains.
#[macro_export]
macro_rules! say {
    ($($message:tt)*) => {{
        use std::io::Write as _;
        writeln!(std::io::stderr(), $($message)*).ok();
    }};
}
