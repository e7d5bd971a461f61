//! How a run goes on with the log that it has.

use super::log::{folder, lines};
use super::*;
use fjld_core::monitor::Resumed;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// A log without what depends on the clock.
fn timeless(path: &Path) -> Vec<Value> {
    let mut lines = lines(path);
    for line in &mut lines {
        if let Some(line) = line.as_object_mut() {
            line.remove("overhead");
        }
    }
    lines
}

/// Steps of a run that rises through one and falls again, with events.
fn train(subject: &Subject, monitor: &mut Monitor, steps: std::ops::Range<u64>) -> Result<()> {
    for step in steps {
        let mean = if (10..20).contains(&step) { 1.0 } else { 0.0 };
        subject.step(monitor, step, &rows(32, mean, step))?;
    }
    Ok(())
}

#[test]
fn a_run_that_was_cut_off_goes_on_as_if_it_had_not_been() -> Result<()> {
    let (subject, folder) = (Subject::new()?, folder());
    let new = || -> Result<Monitor> { Monitor::new(32, Schedule::adaptive(1, 4)?) };
    let whole = folder.path().join("whole.jsonl");
    train(&subject, &mut new()?.create(&whole)?, 0..30)?;

    let cut = folder.path().join("cut.jsonl");
    train(&subject, &mut new()?.create(&cut)?, 0..17)?;
    // the program died in the middle of a line, and its last checkpoint is of step 12
    let mut torn = fs::read(&cut).expect("the log is there");
    torn.extend(br#"{"kind":"reading","step":17,"lo"#);
    fs::write(&cut, torn).expect("it can be written");
    let mut monitor = new()?.resume(&cut, 12)?;
    let resumed = monitor.resumed().expect("it went on").clone();
    assert_eq!(resumed.torn, 31);
    assert!(resumed.readings > 0 && resumed.dropped > 0, "{resumed:?}");
    train(&subject, &mut monitor, 12..30)?;
    assert_eq!(timeless(&cut), timeless(&whole));
    Ok(())
}

#[test]
fn a_log_that_is_nothing_but_a_torn_line_or_is_not_there_is_begun() -> Result<()> {
    let folder = folder();
    for text in [None, Some("{\"kind\":\"sta")] {
        let path = folder.path().join("run.jsonl");
        if let Some(text) = text {
            fs::write(&path, text).expect("it can be written");
        }
        Monitor::new(8, Schedule::every(1)?)?.resume(&path, 0)?;
        assert_eq!(lines(&path).len(), 1);
        fs::remove_file(&path).expect("it is there");
    }
    Ok(())
}

#[test]
fn a_log_that_can_not_be_gone_on_with_is_refused_and_left_as_it_is() -> Result<()> {
    let folder = folder();
    let path = folder.path().join("run.jsonl");
    let monitor = || -> Result<Monitor> { Monitor::new(8, Schedule::every(1)?) };
    monitor()?.create(&path)?;
    let before = fs::read(&path).expect("the log is there");
    let refused = |made: Result<Monitor>, expected: &str| {
        let error = made.expect_err("refused").to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(fs::read(&path).expect("the log is there"), before);
    };
    refused(monitor()?.create(&path), "there is a run in it already");
    refused(
        Monitor::new(16, Schedule::every(1)?)?.resume(&path, 5),
        "line 1: this run has the batch size 8, and is to go on with 16; they must be the same",
    );
    refused(monitor()?.level(0.9)?.resume(&path, 5), "the level 0.95");
    refused(
        Monitor::new(8, Schedule::every(2)?)?.resume(&path, 5),
        "the schedule every 1 steps",
    );
    refused(
        monitor()?.plateau(9, 0.1)?.resume(&path, 5),
        "plateaus by 200 steps, share 0.05, and is to go on with 9 steps, share 0.1; they must",
    );
    refused(
        monitor()?.plateau(200, 0.1)?.resume(&path, 5),
        "plateaus by 200 steps, share 0.05, and is to go on with 200 steps, share 0.1; they must",
    );

    let strange = folder.path().join("strange.jsonl");
    for (text, expected) in [
        ("loss,step\n", "line 1: not of fjld-monitor/1"),
        (
            "{\"kind\":\"event\",\"step\":1,\"event\":\"plateau\"}\n",
            "the first line does not start",
        ),
    ] {
        fs::write(&strange, text).expect("it can be written");
        let error = monitor()?
            .resume(&strange, 5)
            .expect_err("refused")
            .to_string();
        assert!(error.contains(expected), "{error}");
    }
    let start = String::from_utf8(before.clone()).expect("JSON");
    fs::write(&strange, start.repeat(2)).expect("it can be written");
    let error = monitor()?.resume(&strange, 5).expect_err("refused");
    assert!(
        error.to_string().contains("line 2: a second start"),
        "{error}"
    );
    // a folder is there, but no file: it is not begun anew
    let error = monitor()?.resume(folder.path(), 5).expect_err("refused");
    assert!(error.to_string().contains("could not be read"), "{error}");
    let nowhere = monitor()?
        .create("/dev/null/run.jsonl")
        .expect_err("no folder");
    assert!(
        nowhere
            .to_string()
            .contains("/dev/null/run.jsonl could not be written")
    );
    Ok(())
}

/// Takes in losses alone, and says which of them began a plateau or ended one.
fn turns(monitor: &mut Monitor, steps: std::ops::Range<u64>, loss: f64) -> Result<Vec<Event>> {
    let mut turns = Vec::new();
    for step in steps {
        let (_, events) = monitor.observe(step, Some(loss), Source::Nothing("only the loss"))?;
        let turned = |e: &Event| matches!(e.what, What::Plateau(_) | What::PlateauOver(_));
        turns.extend(events.into_iter().filter(turned));
    }
    Ok(turns)
}

#[test]
fn every_line_from_the_step_on_is_dropped_and_counted() -> Result<()> {
    let folder = folder();
    let path = folder.path().join("run.jsonl");
    let new = || -> Result<Monitor> { Monitor::new(8, Schedule::every(1)?) };
    turns(&mut new()?.create(&path)?, 0..6, 1.0)?;
    let whole = lines(&path);
    // the start, and at each step a reading and the event that says why it is undefined
    assert_eq!(whole.len(), 1 + 6 * 2);
    let monitor = new()?.resume(&path, 4)?;
    let expected = Resumed {
        readings: 4,
        dropped: 2 * 2,
        torn: 0,
    };
    assert_eq!(monitor.resumed(), Some(&expected));
    assert_eq!(lines(&path), whole[..1 + 4 * 2]);
    Ok(())
}

#[test]
fn a_run_that_goes_on_knows_whether_it_was_on_a_plateau() -> Result<()> {
    let folder = folder();
    let path = folder.path().join("run.jsonl");
    let new = || -> Result<Monitor> { Monitor::new(8, Schedule::every(1)?)?.plateau(3, 0.05) };
    let at = |step, what| Event { step, what };
    // a loss that does not move is a plateau at the end of the second stretch of three
    let begun = turns(&mut new()?.create(&path)?, 0..6, 1.0)?;
    assert_eq!(begun, [at(5, What::Plateau(1.0))]);
    // it goes on without beginning again, and ends as any other
    let mut monitor = new()?.resume(&path, 6)?;
    assert_eq!(turns(&mut monitor, 6..15, 1.0)?, []);
    let ended = turns(&mut monitor, 15..18, 2.0)?;
    assert_eq!(ended, [at(17, What::PlateauOver(2.0))]);
    // and once it is over another one can begin
    let mut monitor = new()?.resume(&path, 18)?;
    let begun = turns(&mut monitor, 18..24, 2.0)?;
    assert_eq!(begun, [at(23, What::Plateau(2.0))]);
    Ok(())
}
