//! What a piece of work costs: processor time, on all cores together.

use serde::Serialize;
use std::sync::LazyLock;
use std::time::Instant;

/// What the runs of a scenario took beside what their file allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spent {
    /// Processor time of this process while they went on, on all cores together; what was kept from before is not in it.
    pub core_seconds: f64,
    /// What the scenario's file states for the tier.
    pub budget: u64,
}

impl Spent {
    /// What to say of a scenario that took more than its share.
    pub fn complaint(&self, name: &str) -> Option<String> {
        let Self {
            core_seconds,
            budget,
        } = self;
        (*core_seconds > *budget as f64).then(|| {
            format!("{name} took {core_seconds:.0} core-seconds; its file states {budget}")
        })
    }
}

/// Clock ticks a second in `/proc`: fixed at 100 for programs, whatever the kernel's own.
const TICKS: f64 = 100.0;

/// Core-seconds that this process has taken so far. Where the system does not tell, the time since it first was asked, times the
/// number of threads, which is the most that it can have been.
pub fn core_seconds() -> f64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let stat = std::fs::read_to_string("/proc/self/stat").ok();
    stat.as_deref().and_then(ticks).map_or_else(
        || START.elapsed().as_secs_f64() * rayon::current_num_threads() as f64,
        |ticks| ticks / TICKS,
    )
}

/// What the processor calls itself, where the system tells.
pub fn cpu() -> Option<String> {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = cpus.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// User and system time: the 14th and 15th fields, counted behind the name, which may hold spaces and brackets.
fn ticks(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_system_time_are_found_behind_a_name_with_brackets() {
        let stat = "7 (a (b) c) R 1 1 1 0 -1 4194304 99 0 0 0 250 50 0 0 20 0 1 0 12345 1 1";
        assert_eq!(ticks(stat), Some(300.0));
        assert_eq!(ticks("7 (a) R 1"), None);
    }

    #[test]
    fn more_than_its_share_is_said_with_both_figures() {
        let spent = Spent {
            core_seconds: 12.3,
            budget: 10,
        };
        let said = "gpt took 12 core-seconds; its file states 10";
        assert_eq!(spent.complaint("gpt").as_deref(), Some(said));
        let spent = Spent {
            core_seconds: 10.0,
            ..spent
        };
        assert_eq!(spent.complaint("gpt"), None);
    }
}
