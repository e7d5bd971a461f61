//! `measure --two-batch` through the real binary.

use std::fs;
use std::process::{Command, Output};
use tempfile::TempDir;

fn measure(dir: &TempDir, log: &str, more: &[&str]) -> Output {
    let path = dir.path().join("log");
    fs::write(&path, log).expect("a writable directory");
    Command::new(env!("CARGO_BIN_EXE_fjld-checks"))
        .args(["measure", "--two-batch"])
        .arg(path)
        .args(more)
        .output()
        .expect("the binary is there")
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn json(log: &str) -> serde_json::Value {
    let output = measure(&folder(), log, &["--json"]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.stderr.is_empty());
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// b = 2, B = 8, mean norms 5 and 2: |G|^2 = (16 - 10) / 6 = 1, S = 3 / (1/2 - 1/8) = 8, noise scale 8, C at 8 examples 1.
const CSV: &str = "step,small_batch,big_batch,small_norm2,big_norm2
0,2,8,5.25,2.0
1,2,8,5.0,2.125
2,2,8,4.75,1.875
3,2,8,5.0,2.0
";

#[test]
fn the_noise_scale_of_a_small_log_is_what_pencil_gives() {
    let found = json(CSV);
    assert_eq!(found["schema"], "fjld-two-batch/1");
    assert_eq!(
        (&found["steps"], &found["exchangeable"]),
        (&4.into(), &"step".into())
    );
    for (path, expected) in [
        ("/signal", 1.0),
        ("/noise", 8.0),
        ("/noise_scale", 8.0),
        ("/ratio/debiased", 1.0),
    ] {
        let value = found
            .pointer(path)
            .and_then(|v| v.as_f64())
            .expect("a number");
        assert!((value - expected).abs() < 1e-12, "{path} is {value}");
    }
    assert_eq!(found["phase"], "critical");
    let ends = [0, 1].map(|i| found["ratio"]["interval"][i].as_f64().expect("a number"));
    assert!(ends[0] < 1.0 && 1.0 < ends[1], "{ends:?}");
    let scale = [0, 1].map(|i| found["noise_scale_interval"][i].as_f64().expect("a number"));
    // the noise scale is the batch size over C
    assert!((scale[0] - 8.0 / ends[1]).abs() < 1e-12 && (scale[1] - 8.0 / ends[0]).abs() < 1e-12);
    assert_eq!(found["reasons"], serde_json::json!({}));
}

#[test]
fn json_lines_and_columns_in_another_order_say_the_same() {
    let lines = CSV.lines().skip(1).map(|line| {
        let v: Vec<&str> = line.split(',').collect();
        let (step, small, big) = (v[0], v[3], v[4]);
        format!(
            r#"{{"step": {step}, "big_norm2": {big}, "small_norm2": {small}, "small_batch": 2, "big_batch": 8}}"#
        )
    });
    let lines: Vec<String> = lines.collect();
    assert_eq!(json(&lines.join("\n")), json(CSV));
    let turned = CSV.lines().map(|line| {
        let v: Vec<&str> = line.split(',').collect();
        [v[4], v[3], v[2], v[1], "more"].join(" , ")
    });
    let turned: Vec<String> = turned.collect();
    assert_eq!(json(&turned.join("\r\n")), json(CSV));
}

#[test]
fn the_terminal_says_what_the_interval_counts() {
    let output = measure(&folder(), CSV, &[]);
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.starts_with("C = 1.000 ["), "{text}");
    assert!(
        text.contains("at a batch of 8 examples  [CRITICAL]"),
        "{text}"
    );
    assert!(text.contains("noise scale      8.000 ["), "{text}");
    assert!(
        text.contains("a step is what the interval counts"),
        "{text}"
    );
}

#[test]
fn steps_without_noise_or_signal_are_a_result_with_its_reason() {
    let header = "small_batch,big_batch,small_norm2,big_norm2\n";
    let equal = json(&format!("{header}{}", "1,2,3,3\n".repeat(4)));
    assert_eq!(equal["phase"], "undefined");
    let reason = equal["reasons"]["ratio.debiased"]
        .as_str()
        .expect("a reason");
    assert!(reason.contains("Tr Sigma is 0, not positive"), "{reason}");
    assert!(equal["reasons"]["ratio.interval"].is_string());
    // 2 x 1 - 1 x 3 = -1
    let none = json(&format!("{header}1,2,3,1\n"));
    assert!(none["ratio"]["debiased"].as_f64().expect("a number") < 0.0);
    assert!(
        none["reasons"]["noise_scale"]
            .as_str()
            .expect("a reason")
            .contains("no signal")
    );
}

#[test]
fn norms_that_differ_by_rounding_alone_show_no_noise() {
    // 1 + 2^-52 over 1: their difference is the last bit of a sum, not a variance
    let apart = CSV
        .replace(",5.25,2.0", ",1.0000000000000002,1.0")
        .replace(",5.0,2.125", ",1.0000000000000002,1.0")
        .replace(",4.75,1.875", ",1.0000000000000002,1.0")
        .replace(",5.0,2.0", ",1.0000000000000002,1.0");
    let found = json(&apart);
    assert!(found["noise"].as_f64().expect("a number") > 0.0);
    assert!(found["ratio"]["debiased"].is_null(), "{found}");
    let reason = &found["reasons"]["ratio.debiased"];
    assert_eq!(reason, &found["reasons"]["noise_scale"]);
}

#[test]
fn a_log_that_is_none_is_refused_in_one_sentence_that_names_the_line() {
    let dir = folder();
    let header = "small_batch,big_batch,small_norm2,big_norm2\n";
    for (log, expected) in [
        (String::new(), "there is no step in it"),
        (header.to_owned(), "there is no step in it"),
        (
            "a,b\n1,2\n".to_owned(),
            "the header \"a,b\" has no column small_batch",
        ),
        (
            format!("{header}2,8,5\n"),
            "line 2: there are 3 values; the header has 4 columns",
        ),
        (
            format!("{header}2,8,x,1\n"),
            "line 2: small_norm2 is \"x\"; it must be a number",
        ),
        (
            format!("{header}2,8,5,NaN\n"),
            "line 2: |g_big|^2 is NaN; it must be finite",
        ),
        (format!("{header}2,8,-5,1\n"), "line 2: |g_small|^2 is -5"),
        (
            format!("{header}8,2,5,1\n"),
            "line 2: the big batch size is 2; it must be above the small one",
        ),
        (
            format!("{header}1.5,8,5,1\n"),
            "line 2: small_batch is 1.5; it must be a whole number",
        ),
        (
            format!("{header}2,8,5,1\n\n2,16,5,1\n"),
            "line 4: the batch sizes are 2 and 16, and 2 and 8 before",
        ),
        (
            "{\"small_batch\": 2}\n".to_owned(),
            "line 1: big_batch is null; it must be a number",
        ),
        (
            "{\"small_batch\": 2, \"big\n".to_owned(),
            "line 1 is no JSON",
        ),
    ] {
        let output = measure(&dir, &log, &["--json"]);
        let sentence = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(2), "{sentence}");
        assert!(output.stdout.is_empty());
        assert_eq!(sentence.lines().count(), 1, "{sentence}");
        assert!(sentence.contains(expected), "{sentence}");
    }
    let gone = Command::new(env!("CARGO_BIN_EXE_fjld-checks"))
        .args(["measure", "--two-batch", "gone.csv"])
        .output()
        .expect("the binary is there");
    assert_eq!(gone.status.code(), Some(2));
    let level = measure(&dir, CSV, &["--level", "1"]);
    assert_eq!(level.status.code(), Some(2));
    let both = measure(&dir, CSV, &["--batch-size", "4"]);
    assert_eq!(both.status.code(), Some(2));
}
