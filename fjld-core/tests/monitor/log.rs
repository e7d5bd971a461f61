//! The log of a run: what is in it, and how a run goes on with it.

use super::*;
use fjld_core::monitor::SCHEMA;
use serde_json::Value;
use std::fs;
use std::path::Path;

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("the log is there");
    let parsed = text.lines().map(serde_json::from_str);
    parsed.collect::<std::result::Result<_, _>>().expect("JSON")
}

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

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

#[test]
fn the_log_starts_with_its_schema_and_has_a_line_a_reading_and_a_line_an_event() -> Result<()> {
    let (subject, folder) = (Subject::new()?, folder());
    let path = folder.path().join("run.jsonl");
    let mut monitor = Monitor::new(8, Schedule::every(3)?)?.create(&path)?;
    for step in 0..7 {
        subject.step(&mut monitor, step, &rows(8, 1.0, step))?;
    }
    let lines = lines(&path);
    assert_eq!(lines[0]["kind"], "start");
    assert_eq!(lines[0]["schema"], SCHEMA);
    assert_eq!(lines[0]["batch_size"], 8);
    let readings: Vec<&Value> = lines
        .iter()
        .filter(|line| line["kind"] == "reading")
        .collect();
    let steps: Vec<u64> = readings.iter().filter_map(|r| r["step"].as_u64()).collect();
    assert_eq!(steps, [0, 3, 6]);
    for reading in &readings {
        assert!(reading["ratio"]["debiased"].is_f64() && reading["ratio"]["interval"].is_array());
        assert_eq!(reading["exchangeable"], "example");
        assert!(reading["reason"].is_null());
    }
    // from the second reading on there are plain passes to compare with
    let overhead = &readings[2]["overhead"];
    assert!(overhead["share"].is_f64());
    assert_eq!(
        (&overhead["plain_passes"], &overhead["measured_passes"]),
        (&4.into(), &3.into())
    );
    assert_eq!(overhead["inner_products"], 3 * 36);
    Ok(())
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
        "plateaus by 200 steps",
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

#[test]
fn a_loss_that_stops_to_fall_is_a_plateau_in_the_log() -> Result<()> {
    let (folder, mut steps) = (folder(), Vec::new());
    let path = folder.path().join("run.jsonl");
    let monitor = Monitor::new(8, Schedule::every(1000)?)?.plateau(20, 0.05)?;
    let mut monitor = monitor.create(&path)?;
    for step in 0..200u64 {
        let loss = 1.0 + (-(step as f64) / 10.0).exp();
        let (_, events) = monitor.observe(step, Some(loss), Source::Nothing("only the loss"))?;
        steps.extend(
            events
                .into_iter()
                .filter(|e| matches!(e.what, What::Plateau(_))),
        );
    }
    let [Event { step, .. }] = steps.as_slice() else {
        panic!("one plateau: {steps:?}");
    };
    let logged = lines(&path)
        .into_iter()
        .find(|line| line["event"] == "plateau");
    assert_eq!(logged.expect("it is logged")["step"], *step);
    Ok(())
}
