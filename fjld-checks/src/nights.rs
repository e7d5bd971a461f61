//! Evidence over nights: `report --fresh` draws everything anew, writes what each stochastic check found to a ledger beside the report,
//! and bets against each check.
//!
//! A check promises that, whatever came before, it alarms with a chance of at most `a` on a night on which nothing is wrong. Someone who
//! starts with one coin and stakes it every night on a rate `$q \ge a$` holds, after alarms `x_t` in `{0, 1}`,
//!
//! ```math
//! E_T(q) = \prod_t \Bigl( \frac qa \Bigr)^{x_t} \Bigl( \frac{1 - q}{1 - a} \Bigr)^{1 - x_t} = \prod_t \bigl( 1 + l \, (x_t - a) \bigr),
//! \qquad l = \frac{q - a}{a (1 - a)},
//! ```
//!
//! and a night multiplies it by `$1 + l (p - a) \le 1$` on average if the chance of an alarm is `$p \le a$`: a nonnegative supermartingale.
//! So is the average over several `q` ([`BETS`]), for one coin in all. By Ville's inequality (1939) the chance that `$E_T \ge 1/c$` for some `T` is at most `c`: one may
//! look every morning and stop when one likes, and `E_T` is evidence against the promise at any time (Shafer and Vovk 2019, *Game-Theoretic
//! Foundations for Probability and Finance*; Ramdas, Grünwald, Vovk and Shafer 2023, *Statistical Science* 38).
//!
//! Two promises are bet against. Alarms in the planted truth are false for certain: they speak against the check. Alarms in the real
//! world are false if the statement holds: they speak against the statement.

use crate::claims;
use crate::error::{Error, Result, parsers_words, printable};
use crate::evidence::{Check, Outcome};
use crate::files::write_whole;
use crate::recorded::nights::depends_on;
use crate::report::Report;
use crate::tier::Tier;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The file beside a report.
pub const FILE: &str = "ledger.jsonl";

/// The schema of a line.
pub const SCHEMA: &str = "fjld-night/1";

/// The alarm rates that are bet on, with equal shares of the coin: from rates that only years tell from the promised one to an alarm
/// every other night. A rate below the promised one is raised to it, where nothing is staked.
pub const BETS: [f64; 4] = [1e-3, 1e-2, 0.1, 0.5];

/// What one check found in one night.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// [`SCHEMA`].
    pub schema: String,
    /// The night, named by its root seed.
    pub root_seed: u64,
    /// How much work was done.
    pub tier: Tier,
    /// The claim.
    pub claim: String,
    /// The check.
    pub check: String,
    /// The chance of an alarm that it promises.
    pub false_alarm: f64,
    /// What it found in the real world.
    pub outcome: Outcome,
    /// Whether that is an alarm.
    pub alarm: bool,
    /// Whether it alarmed in its planted truth.
    pub truth_alarm: bool,
    /// A hash of what the check promised and of the settings of its runs; a ledger from before it was written has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depends_on: Option<String>,
}

impl Line {
    /// What a check, named with its claim, found in a night, named by its root seed and tier.
    pub fn new(
        (root_seed, tier): (u64, Tier),
        (claim, check): (&str, &str),
        false_alarm: f64,
        outcome: Outcome,
        truth_alarm: bool,
        depends_on: Option<String>,
    ) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            root_seed,
            tier,
            claim: claim.to_owned(),
            check: check.to_owned(),
            false_alarm,
            outcome,
            alarm: outcome == Outcome::Violated,
            truth_alarm,
            depends_on,
        }
    }
}

/// The stochastic checks over all nights of a ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Nights {
    /// Nights, each another root seed.
    pub nights: usize,
    /// The average of the e-values against the checks, which is one itself whatever their dependence: evidence that the suite does not
    /// keep its rates. 1 says nothing.
    pub e_value: f64,
    /// A check each, in the order of the ledger.
    pub checks: Vec<CheckNights>,
}

/// One check over all nights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckNights {
    /// The claim.
    pub claim: String,
    /// The check.
    pub check: String,
    /// Nights on which it was run.
    pub nights: u64,
    /// Alarms in its planted truth.
    pub truth_alarms: u64,
    /// The e-value against the check, from those.
    pub e_value: f64,
    /// Alarms in the real world.
    pub alarms: u64,
    /// The e-value against the statement that the check speaks to, from those.
    pub e_value_of_statement: f64,
}

/// The e-value of nights, each with whether there was an alarm and the chance of one that was promised: what one coin has become.
pub fn e_value(nights: impl Iterator<Item = (bool, f64)> + Clone) -> f64 {
    let coins = BETS.map(|bet| {
        let logarithm: f64 = nights
            .clone()
            .map(|(alarm, promised)| {
                let rate = bet.max(promised);
                if alarm {
                    (rate / promised).ln()
                } else {
                    ((1.0 - rate) / (1.0 - promised)).ln()
                }
            })
            .sum();
        // more than a number can be is as good as the largest
        logarithm.exp().min(f64::MAX / BETS.len() as f64)
    });
    coins.iter().map(|coin| coin / BETS.len() as f64).sum()
}

/// The lines of a report's stochastic checks.
fn lines(report: &Report) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for claim in claims::all() {
        let judged = report.claims.iter().filter(|own| own.id == claim.id);
        for record in judged.flat_map(|own| &own.checks) {
            let own = |check: &&Check| check.is_stochastic() && check.spec.id == record.id;
            if let Some(check) = claim.checks.iter().find(own) {
                lines.push(Line::new(
                    (report.root_seed, report.tier),
                    (claim.id, check.spec.id),
                    record.false_alarm,
                    record.outcome,
                    record.planted_truth.alarmed,
                    Some(depends_on(&claim, check, report.tier)?),
                ));
            }
        }
    }
    Ok(lines)
}

/// A ledger as it was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ledger {
    /// Its whole lines.
    pub lines: Vec<Line>,
    /// Bytes of a last line without an end, which are dropped.
    pub torn: usize,
}

impl Ledger {
    /// Reads a ledger; `None` where there is none. A last line without its end was being written when something stopped: it is dropped, and
    /// its night is not counted for that check.
    ///
    /// # Errors
    /// When the file can not be read, or a whole line of it is no line of a ledger.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file("read", path, &error)),
        };
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        let parse = |(index, line): (usize, &str)| {
            let refused = |why: String| {
                let (name, number) = (path.display(), index + 1);
                Error::input(format!(
                    "line {number} of {name} {why}; accepted are lines of {SCHEMA:?} as `report --fresh` writes them"
                ))
            };
            let line: Line = serde_json::from_str(line).map_err(|error| {
                refused(format!("is no line of a ledger: {}", parsers_words(&error)))
            })?;
            if line.schema != SCHEMA {
                return Err(refused(format!(
                    "has the schema {:?}",
                    printable(&line.schema)
                )));
            }
            if !(line.false_alarm > 0.0 && line.false_alarm < 1.0) {
                return Err(refused(format!(
                    "promises a false alarm with a chance of {}, which is not between 0 and 1",
                    line.false_alarm
                )));
            }
            Ok(line)
        };
        Ok(Some(Self {
            lines: text[..whole]
                .lines()
                .enumerate()
                .map(parse)
                .collect::<Result<_>>()?,
            torn: text.len() - whole,
        }))
    }

    /// Adds the night of a report, as [`Ledger::extend`] does.
    ///
    /// # Errors
    /// When it can not be written.
    pub fn append(&mut self, report: &Report, path: &Path) -> Result<()> {
        self.extend(lines(report)?, path)
    }

    /// Adds lines and writes the ledger whole: whoever reads it sees the old or the new one.
    ///
    /// # Errors
    /// When it can not be written.
    pub fn extend(&mut self, lines: Vec<Line>, path: &Path) -> Result<()> {
        self.lines.extend(lines);
        self.torn = 0;
        let mut text = String::new();
        for line in &self.lines {
            text += &serde_json::to_string(line).expect("plain numbers and names");
            text.push('\n');
        }
        write_whole(path, text.as_bytes())
    }

    /// The e-values. A seed that comes again is the same night and counts once.
    pub fn nights(&self) -> Nights {
        let mut seeds: Vec<u64> = self.lines.iter().map(|line| line.root_seed).collect();
        seeds.sort_unstable();
        seeds.dedup();
        let mut names: Vec<(&str, &str)> = Vec::new();
        for line in &self.lines {
            let name = (line.claim.as_str(), line.check.as_str());
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let checks: Vec<CheckNights> = names.into_iter().map(|name| self.check(name)).collect();
        let total: f64 = checks.iter().map(|c| c.e_value / checks.len() as f64).sum();
        Nights {
            nights: seeds.len(),
            e_value: if checks.is_empty() { 1.0 } else { total },
            checks,
        }
    }

    fn check(&self, (claim, check): (&str, &str)) -> CheckNights {
        let mut own: Vec<&Line> = Vec::new();
        for line in &self.lines {
            let again = own.iter().any(|o| o.root_seed == line.root_seed);
            if line.claim == claim && line.check == check && !again {
                own.push(line);
            }
        }
        let count = |alarmed: fn(&Line) -> bool| own.iter().filter(|l| alarmed(l)).count() as u64;
        CheckNights {
            claim: claim.to_owned(),
            check: check.to_owned(),
            nights: own.len() as u64,
            truth_alarms: count(|l| l.truth_alarm),
            e_value: e_value(own.iter().map(|l| (l.truth_alarm, l.false_alarm))),
            alarms: count(|l| l.alarm),
            e_value_of_statement: e_value(own.iter().map(|l| (l.alarm, l.false_alarm))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit;
    use approx::assert_relative_eq;

    /// Every history of `n` nights with its probability when alarms come at the rate `p`.
    fn histories(n: u32, p: f64) -> impl Iterator<Item = (Vec<bool>, f64)> {
        (0..1u32 << n).map(move |code| {
            let history: Vec<bool> = (0..n).map(|t| code >> t & 1 == 1).collect();
            let chance = |&x: &bool| if x { p } else { 1.0 - p };
            let probability = history.iter().map(chance).product();
            (history, probability)
        })
    }

    fn of(history: &[bool], promised: f64) -> f64 {
        e_value(history.iter().map(|&x| (x, promised)))
    }

    #[test]
    fn a_kept_promise_leaves_one_coin_on_average_and_a_better_one_less() {
        let mean = |p: f64, promised: f64| -> f64 {
            let all = histories(10, p);
            all.map(|(h, weight)| weight * of(&h, promised)).sum()
        };
        // 1024 terms with a rounding of 1e-16 each
        assert_relative_eq!(mean(0.05, 0.05), 1.0, epsilon = 1e-12);
        assert_relative_eq!(mean(0.3, 0.3), 1.0, epsilon = 1e-12);
        assert!(mean(0.02, 0.05) < 0.99);
        assert!(mean(0.0, 0.3) < 0.99);
        assert!(mean(0.1, 0.05) > 1.01);
    }

    #[test]
    fn whatever_came_before_the_next_night_adds_nothing_on_average() {
        let promised = 0.05;
        for p in [0.0, 0.03, 0.05] {
            for (history, _) in histories(6, 0.5) {
                let after = |x: bool| of(&[&history[..], &[x]].concat(), promised);
                let next = p * after(true) + (1.0 - p) * after(false);
                assert!(
                    next <= of(&history, promised) * (1.0 + 1e-12),
                    "{history:?}"
                );
            }
        }
    }

    #[test]
    fn ten_coins_are_ever_held_by_fewer_than_one_in_ten() {
        let promised = 0.05;
        let ever: f64 = histories(12, promised)
            .filter(|(h, _)| (1..=h.len()).any(|t| of(&h[..t], promised) >= 10.0))
            .map(|(_, weight)| weight)
            .sum();
        assert!(ever > 0.0 && ever <= 0.1, "{ever}");
    }

    #[test]
    fn the_coin_grows_where_alarms_come_too_often_and_shrinks_where_they_do_not_come() {
        let often: Vec<bool> = (0..100).map(|t| t % 5 == 0).collect();
        let growing = [20, 40, 100].map(|t| of(&often[..t], 0.05));
        assert!(
            growing.is_sorted() && growing[0] > 1.0 && growing[2] > 1e3,
            "{growing:?}"
        );
        // a quarter of the coin is staked on each rate: those on 1/10 and 1/2 are gone, of that on 1/1000 (999/1000)^1000 = e^-1 is left
        let never = of(&[false; 1000], 5e-5);
        assert_relative_eq!(
            never,
            0.25 * (1000.0 * (0.999f64 / 0.99995).ln()).exp(),
            max_relative = 1e-3
        );
        // one alarm in the first night: a quarter of 20 + 200 + 2000 + 10000
        assert_relative_eq!(of(&[true], 5e-5), 3055.0, max_relative = 1e-12);
        assert!(of(&[true; 500], 5e-5).is_finite());
        assert_eq!(of(&[], 5e-5), 1.0);
    }

    fn line(root_seed: u64, check: &str, alarm: bool) -> Line {
        let outcome = match alarm {
            true => Outcome::Violated,
            false => Outcome::Holds,
        };
        let night = (root_seed, Tier::Quick);
        Line::new(night, ("claim", check), 0.05, outcome, false, None)
    }

    #[test]
    fn a_night_of_the_stochastic_checks_alone_finds_what_a_report_of_its_seed_does() {
        let options = audit::Options {
            tier: Tier::Quick,
            root_seed: 11,
            claims: vec!["adaptive".to_owned(), "theorem-1".to_owned()],
            folder: None,
            data: None,
            device: candle_core::Device::Cpu,
            binding: None,
        };
        let alone = audit::night(&options).expect("its runs end");
        let whole = audit::run(&options).expect("its runs end");
        assert_eq!(
            alone,
            lines(&whole.report).expect("its scenarios are there")
        );
        // theorem-1 is judged by exact arithmetic and takes no part
        assert!(alone.iter().all(|line| line.claim == "adaptive"));
        assert!(!alone.is_empty());
    }

    #[test]
    fn a_seed_that_comes_again_counts_once() {
        let ledger = Ledger {
            lines: vec![
                line(1, "a", true),
                line(1, "b", false),
                line(2, "a", false),
                line(1, "a", true),
            ],
            torn: 0,
        };
        let nights = ledger.nights();
        assert_eq!(nights.nights, 2);
        let first = &nights.checks[0];
        assert_eq!((first.nights, first.alarms, first.truth_alarms), (2, 1, 0));
        assert_relative_eq!(first.e_value_of_statement, of(&[true, false], 0.05));
        assert_relative_eq!(first.e_value, of(&[false, false], 0.05));
        assert_eq!(Ledger::default().nights().e_value, 1.0);
    }

    #[test]
    fn a_torn_last_line_is_dropped_and_a_bad_whole_one_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join(FILE);
        assert_eq!(Ledger::read(&path).expect("no file is no error"), None);
        let text =
            |line: &Line| serde_json::to_string(line).expect("plain numbers and names") + "\n";
        let (first, second) = (text(&line(1, "a", false)), text(&line(2, "a", false)));
        let torn = &second[..second.len() - 5];
        std::fs::write(&path, format!("{first}{torn}")).expect("it can be written");
        let read = Ledger::read(&path).expect("the first line is whole");
        let read = read.expect("there is a file");
        assert_eq!(read.lines, [line(1, "a", false)]);
        assert_eq!(read.torn, torn.len());
        std::fs::write(&path, format!("{torn}\n{first}")).expect("it can be written");
        let error = Ledger::read(&path)
            .expect_err("a whole line is bad")
            .to_string();
        assert!(error.contains("line 1 of"), "{error}");
        let other = first.replace(SCHEMA, "fjld-night/0");
        std::fs::write(&path, other).expect("it can be written");
        let error = Ledger::read(&path).expect_err("another schema").to_string();
        assert!(error.contains("fjld-night/0"), "{error}");
        let certain = first.replace("0.05", "1.0");
        std::fs::write(&path, certain).expect("it can be written");
        let error = Ledger::read(&path).expect_err("no promise").to_string();
        assert!(error.contains("not between 0 and 1"), "{error}");
    }
}
