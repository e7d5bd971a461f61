//! Files and names that nobody writes on purpose, at the command line: each is refused in one sentence, with exit code 2, or read as any other.
//! `tests/fuzz` has the readers' own; what it found is kept here.
#![cfg(unix)]

use serde_json::{Value, json};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn fjld<S: AsRef<OsStr>>(arguments: &[S]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fjld-checks"));
    command.args(arguments).env_remove("FJLD_DOCUMENT");
    command.output().expect("it starts")
}

/// The refusal: exit code 2, nothing on standard output, a sentence of a length that people read.
fn refusal<S: AsRef<OsStr>>(arguments: &[S]) -> String {
    let output = fjld(arguments);
    let said = String::from_utf8(output.stderr).expect("messages are text");
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(output.stdout.is_empty(), "it printed a result");
    assert!(!said.contains("panicked"), "{said}");
    let said = said.lines().last().expect("it says something").to_owned();
    assert!(said.len() < 1000, "{} bytes: {said}", said.len());
    said
}

fn accepted<S: AsRef<OsStr>>(arguments: &[S]) -> String {
    let output = fjld(arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    String::from_utf8(output.stdout).expect("results are text")
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

fn put(folder: &tempfile::TempDir, name: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> OsString {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("the folder can be written");
    path.into_os_string()
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

fn with(first: &[&str], path: &OsStr) -> Vec<OsString> {
    [words(first), vec![path.to_owned()]].concat()
}

/// A name with a byte that is in no text.
fn no_text(end: &str) -> OsString {
    OsString::from_vec([b"gradients-\xff", end.as_bytes()].concat())
}

fn scenario(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let path: PathBuf = folder.join(format!("{name}.toml"));
    std::fs::read_to_string(path).expect("it is in the repository")
}

#[test]
fn names_that_are_no_text_are_names_like_others() {
    let folder = folder();
    let log = "small_batch,big_batch,small_norm2,big_norm2\n8,64,3.5,1.25\n8,64,3.25,1.5\n";
    let log = put(&folder, no_text(".csv"), log);
    assert!(accepted(&with(&["measure", "--two-batch"], &log)).contains("batch sizes"));
    let header = "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1), }\n";
    let mut samples = b"\x93NUMPY\x01\x00".to_vec();
    samples.extend((header.len() as u16).to_le_bytes());
    samples.extend(header.bytes());
    samples.extend([1f64, 2.0].iter().flat_map(|v| v.to_le_bytes()));
    let samples = put(&folder, no_text(".npy"), samples);
    assert!(accepted(&with(&["measure"], &samples)).starts_with("C = "));
    let text = put(&folder, no_text(".toml"), scenario("gaussian-isotropic"));
    let out = folder.path().join(no_text("")).into_os_string();
    accepted(&[with(&["run"], &text), with(&["--out"], &out)].concat());
    assert!(Path::new(&out).join("gaussian-isotropic.json").exists());
    let missing = folder.path().join(no_text(".json")).into_os_string();
    let said = refusal(&[with(&["compare"], &missing), vec![missing.clone()]].concat());
    assert!(said.contains("could not be read"), "{said}");
}

#[test]
fn what_is_no_text_is_no_report_no_scenario_and_no_log() {
    let folder = folder();
    let file = put(&folder, "file", b"\xff\xfe\x00");
    for command in [
        &["view"][..],
        &["run"],
        &["measure", "--two-batch"],
        &["claims", "--document"],
    ] {
        let arguments = with(command, &file);
        let said = String::from_utf8(fjld(&arguments).stderr).expect("messages are text");
        assert!(said.contains("file could not be read: "), "{said}");
    }
}

#[test]
fn nesting_deeper_than_a_stack_is_refused_by_every_reader_of_json_and_toml() {
    let folder = folder();
    for (index, deep) in ["[", "{\"schema\":", "a."].iter().enumerate() {
        let deep = deep.repeat(300_000);
        let json = put(&folder, format!("{index}.json"), &deep);
        for command in [
            &["view"][..],
            &["compare", "--pins"],
            &["replay", "theorem-1", "--from"],
            &["explain", "theorem-1", "--from"],
            &["run"],
            &["measure", "--two-batch"],
        ] {
            refusal(&with(command, &json));
        }
        let out = folder.path().join(format!("out-{index}"));
        std::fs::create_dir(&out).expect("the folder can be written");
        std::fs::write(out.join("ledger.jsonl"), format!("{deep}\n")).expect("it can be written");
        let arguments = ["report", "--tier", "quick", "--claim", "theorem-1", "--out"];
        let said = refusal(&with(&arguments, out.as_os_str()));
        assert!(said.contains("line 1 of "), "{said}");
    }
}

/// Found by reading for it, before the trial by damaged files began: the runs went to the folder above.
#[test]
fn a_scenario_called_by_a_path_writes_nothing_anywhere() {
    let folder = folder();
    let named =
        scenario("quantisation").replace("name = \"quantisation\"", "name = \"../../escaped\"");
    let file = put(&folder, "some.toml", named);
    let out = folder.path().join("a/b/out").into_os_string();
    let said = refusal(&[with(&["run"], &file), with(&["--out"], &out)].concat());
    assert!(said.contains("name is \"../../escaped\""), "{said}");
    assert!(!folder.path().join("a").exists());
}

/// There were to be 2^60 runs and a layer of 2^62, for which there is no memory: both ended in a panic.
#[test]
fn a_scenario_of_vast_numbers_is_refused_by_the_key() {
    let folder = folder();
    let vast = scenario("quantisation").replace("seeds = 5", "seeds = 1152921504606846976");
    let said = refusal(&with(&["run"], &put(&folder, "seeds.toml", vast)));
    assert!(said.contains("seeds is 1152921504606846976"), "{said}");
    let wide = scenario("digits-mlp").replace("[32]", "[4611686018427387904]");
    let said = refusal(&with(&["run"], &put(&folder, "wide.toml", wide)));
    assert!(said.contains("hidden is 4611686018427387904"), "{said}");
}

/// Every number of a value in turn 0 and the smallest that there is.
fn smallest(value: &mut Value, count: &mut usize) {
    match value {
        Value::Number(number) if number.is_f64() => {
            *count += 1;
            *value = json!(if count.is_multiple_of(2) {
                0.0
            } else {
                f64::from_bits(1)
            });
        }
        Value::Array(values) => values.iter_mut().for_each(|v| smallest(v, count)),
        Value::Object(keys) => keys.values_mut().for_each(|v| smallest(v, count)),
        _ => {}
    }
}

/// An axis was to have 2^63 ticks, for which there is no memory: `view` ended in a panic.
#[test]
fn a_report_with_pictures_at_the_ends_of_what_numbers_can_be_is_shown() {
    let folder = folder();
    let out = folder.path().join("r");
    let arguments = ["report", "--tier", "quick", "--claim", "theorem-1", "--out"];
    accepted(&with(&arguments, out.as_os_str()));
    let path = out.join("report.json");
    let text = std::fs::read_to_string(&path).expect("it was written");
    let mut report: Value = serde_json::from_str(&text).expect("it is JSON");
    let mut count = 0;
    smallest(&mut report["pictures"], &mut count);
    assert!(count > 10, "there are numbers in the pictures");
    std::fs::write(&path, report.to_string()).expect("it can be written");
    assert!(accepted(&with(&["view"], path.as_os_str())).contains("report.html"));
}
