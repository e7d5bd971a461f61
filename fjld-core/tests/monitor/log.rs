//! The log of a run, and what is in it.

use super::*;
use fjld_core::monitor::SCHEMA;
use serde_json::Value;
use std::fs;
use std::path::Path;

pub fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("the log is there");
    let parsed = text.lines().map(serde_json::from_str);
    parsed.collect::<std::result::Result<_, _>>().expect("JSON")
}

pub fn folder() -> tempfile::TempDir {
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

#[test]
fn the_first_line_has_every_setting_that_a_run_must_go_on_with() -> Result<()> {
    let folder = folder();
    let path = folder.path().join("run.jsonl");
    let monitor = Monitor::new(16, Schedule::adaptive(2, 40)?)?.level(0.9)?;
    monitor.plateau(30, 0.125)?.create(&path)?;
    let expected = serde_json::json!({
        "kind": "start", "schema": SCHEMA, "batch_size": 16, "level": 0.9, "schedule": "adaptive, 2 to 40 steps apart",
        "plateau_steps": 30, "plateau_share": 0.125,
    });
    assert_eq!(lines(&path), [expected]);
    Ok(())
}

#[test]
fn transitions_are_logged_with_the_way_in_which_the_interval_left_one() -> Result<()> {
    let folder = folder();
    let path = folder.path().join("run.jsonl");
    let mut monitor = Monitor::new(16, Schedule::every(1)?)?.create(&path)?;
    // draws of mean m and variance 10/9: C is 0.9 m^2 - 1/10, far on either side of 1
    for (step, mean) in [(0, 0.1), (1, 10.0), (2, 0.1)] {
        let mut window = Window::new(1, 10)?;
        for draw in 0..10 {
            window.push(&[mean + if draw % 2 == 0 { 1.0 } else { -1.0 }])?;
        }
        monitor.observe(step, None, Source::Window(&window, 16))?;
    }
    let logged = lines(&path);
    let events = logged.iter().filter(|line| line["kind"] == "event");
    let said: Vec<_> = events
        .map(|line| (&line["step"], &line["event"], &line["direction"]))
        .collect();
    assert_eq!(
        said,
        [
            (&1.into(), &"transition".into(), &"up".into()),
            (&2.into(), &"transition".into(), &"down".into())
        ]
    );
    Ok(())
}

#[test]
fn an_event_says_in_words_at_which_step_it_was_and_what() {
    let said = |what| Event { step: 7, what }.to_string();
    assert_eq!(
        said(What::Transition(Direction::Up)),
        "step 7: the interval of C left 1 upward"
    );
    assert_eq!(
        said(What::Transition(Direction::Down)),
        "step 7: the interval of C left 1 downward"
    );
    assert_eq!(
        said(What::Plateau(0.25)),
        "step 7: the loss is on a plateau, 0.2500"
    );
    assert_eq!(
        said(What::PlateauOver(0.125)),
        "step 7: the loss has left its plateau, 0.1250"
    );
    assert_eq!(
        said(What::Undefined("two draws".into())),
        "step 7: C or its interval is undefined: two draws"
    );
    assert_eq!(
        said(What::NotFinite("the loss is NaN".into())),
        "step 7: the loss is NaN"
    );
}
