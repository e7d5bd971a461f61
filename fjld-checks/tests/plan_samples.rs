//! `plan-samples` on pilots whose law is known, and through the real binary.

use fjld_checks::plan_samples::{Options, parse_half_width, plan_samples};
use fjld_core::PilotMoments;
use fjld_core::rng::{Seed, standard_normals};
use npyz::WriterBuilder;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn npy(dir: &TempDir, name: &str, shape: &[u64], values: &[f64]) -> PathBuf {
    let mut bytes = Vec::new();
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(shape)
        .writer(&mut bytes)
        .begin_nd()
        .expect("a header");
    writer.extend(values.iter().copied()).expect("numbers");
    writer.finish().expect("as many numbers as the shape says");
    let path = dir.path().join(name);
    fs::write(&path, bytes).expect("a writable directory");
    path
}

/// Isotropic unit normal draws with `C = signal^2`: the mean is `signal` in every coordinate.
fn isotropic(n: usize, d: usize, signal: f64) -> Vec<f64> {
    let mut draws = standard_normals(&mut Seed::root(41).generator(), n * d);
    draws.iter_mut().for_each(|x| *x += signal);
    draws
}

fn run(pilot: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fjld-checks"))
        .arg("plan-samples")
        .arg("--pilot")
        .arg(pilot)
        .args(more)
        .output()
        .expect("the binary is there")
}

#[test]
fn half_widths_are_read_as_people_write_them_and_refused_in_words() {
    for (text, share) in [
        ("10%", 0.1),
        ("0.1", 0.1),
        (" 25 % ", 0.25),
        ("1000%", 10.0),
        ("1e-3", 0.001),
    ] {
        assert_eq!(parse_half_width(text).expect("a half-width"), share);
    }
    for text in [
        "0", "0%", "-5%", "-0.1", "NaN", "nan%", "inf", "1001%", "10.1", "", "%", "ten", "5%%",
    ] {
        assert_eq!(
            parse_half_width(text).expect_err("refused").to_string(),
            format!(
                "--half-width is {text:?}; it must be above 0% and at most 1000% of C, as in 10% or 0.1"
            )
        );
    }
}

#[test]
fn a_pilot_of_isotropic_draws_asks_for_what_the_f_law_asks_for() {
    let (n, d, c) = (2000, 50, 0.09);
    let dir = folder();
    let pilot = npy(
        &dir,
        "pilot.npy",
        &[n, d],
        &isotropic(n as usize, d as usize, 0.3),
    );
    let planned = plan_samples(&Options {
        pilot: vec![pilot],
        key: None,
        half_width: 0.1,
        level: 0.95,
    })
    .expect("a valid pilot");
    let exact = PilotMoments {
        ratio: c,
        along_signal: c / d as f64,
        concentration: 1.0 / d as f64,
        tails: 2.0 / d as f64,
        skew: 0.0,
    };
    let needed = exact
        .draws_needed(0.1, 0.95)
        .expect("valid")
        .expect("C is 0.09") as f64;
    // the pilot's C is off by a standard error of sqrt(2 (2C + C^2)/(d n))/C = 2.2%, and the number goes as 1/C; the other moments are
    // sums over 2000 x 50 squares, off by 1% together: four of both
    let planned = planned.samples.expect("C is far from 0") as f64;
    assert!((planned / needed - 1.0).abs() < 0.1, "{planned} {needed}");
}

#[test]
fn the_command_says_the_number_and_its_json_has_the_keys_of_its_schema() {
    let dir = folder();
    let pilot = npy(&dir, "pilot.npy", &[40, 20], &isotropic(40, 20, 1.0));
    let json = run(&pilot, &["--half-width", "10%", "--json"]);
    assert_eq!(json.status.code(), Some(0));
    assert!(json.stderr.is_empty());
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    let keys: Vec<&String> = json.as_object().expect("an object").keys().collect();
    let mut expected = [
        "schema",
        "pilot_samples",
        "dimension",
        "half_width",
        "level",
        "ratio",
        "samples",
        "reasons",
    ];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!(json["schema"], "fjld-plan-samples/1");
    assert_eq!(json["pilot_samples"], 40);
    assert_eq!(json["dimension"], 20);
    assert_eq!(json["half_width"], 0.1);
    assert_eq!(json["level"], 0.95);
    assert!(json["ratio"]["debiased"].is_f64());
    assert_eq!(json["reasons"], serde_json::json!({}));
    let samples = json["samples"].as_u64().expect("a number");

    let shown = run(&pilot, &["--half-width=0.1"]);
    let shown = String::from_utf8(shown.stdout).expect("text");
    assert!(
        shown.starts_with(&format!(
            "{samples} draws: the interval of C at level 0.95 is then expected to reach 10% of C to either side\n"
        )),
        "{shown}"
    );
}

#[test]
fn a_pilot_without_a_signal_or_without_noise_is_a_result_with_its_reason() {
    let dir = folder();
    let noise = npy(&dir, "noise.npy", &[30, 20], &isotropic(30, 20, 0.0));
    let still = npy(&dir, "still.npy", &[5, 2], &[1.0; 10]);
    for (pilot, ratio_is_null, reason) in [
        (&noise, false, "the pilot does not tell C from 0"),
        (&still, true, "the noise vanished"),
    ] {
        let output = run(pilot, &["--half-width", "10%", "--json"]);
        assert_eq!(output.status.code(), Some(0));
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert!(json["samples"].is_null());
        assert_eq!(json["ratio"]["debiased"].is_null(), ratio_is_null);
        let told = json["reasons"]["samples"].as_str().expect("a reason");
        assert!(told.starts_with(reason), "{told}");
        let shown = run(pilot, &["--half-width", "10%"]);
        assert!(shown.stdout.starts_with(b"no plan: the "));
    }
}

#[test]
fn a_bad_pilot_or_option_is_refused_in_one_sentence() {
    let dir = folder();
    let pilot = npy(&dir, "pilot.npy", &[3, 2], &[1., 2., 3., 4., 5., 7.]);
    let good = npy(&dir, "good.npy", &[10, 4], &isotropic(10, 4, 1.0));
    let refusal = |pilot: &Path, more: &[&str]| {
        let output = run(pilot, more);
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
        let sentence = String::from_utf8(output.stderr).expect("text");
        assert_eq!(sentence.lines().count(), 1, "{sentence}");
        sentence
    };
    assert_eq!(
        refusal(&pilot, &["--half-width", "10%"]),
        "error: the pilot has 3 samples; a plan needs at least 4 (rows of [n, d], or several files of [d])\n"
    );
    assert_eq!(
        refusal(&good, &["--half-width", "-5%"]),
        "error: --half-width is \"-5%\"; it must be above 0% and at most 1000% of C, as in 10% or 0.1\n"
    );
    assert_eq!(
        refusal(&good, &["--half-width", "5%", "--level", "1"]),
        "error: --level is 1; it must be strictly between 0 and 1\n"
    );
    assert!(refusal(&good, &["--half-width", "5%", "--key", "w"]).contains("--key w names"));
    assert!(
        refusal(&dir.path().join("gone.npy"), &["--half-width", "5%"])
            .contains("gone.npy could not be read")
    );
    // ten gigabytes, refused before memory is asked for
    let path = dir.path().join("large.npy");
    let header = "{'descr': '<f8', 'fortran_order': False, 'shape': (100, 12500000)}\n";
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    fs::write(&path, &bytes).expect("a writable directory");
    let file = fs::OpenOptions::new().write(true).open(&path);
    // the hole takes no room on the disk
    file.and_then(|file| file.set_len(bytes.len() as u64 + 10_000_000_000))
        .expect("a sparse file");
    assert!(
        refusal(&path, &["--half-width", "5%"])
            .starts_with("error: the pilot of 100 samples of dimension 12500000 takes 9.3 GiB")
    );
}
