//! `measure` through the real binary: what goes to which stream, and with which exit code.

use npyz::WriterBuilder;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// Mean (2, 0), squared deviations 1 + 1 and 4 + 4: signal 4, noise 10/3, C = 1.2 - 0.25.
const ROWS: [f64; 8] = [1., 0., 3., 0., 2., 2., 2., -2.];

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn put(dir: &TempDir, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, bytes).expect("a writable directory");
    path
}

fn npy_bytes(shape: &[u64], order: npyz::Order, values: &[f64]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(shape)
        .order(order)
        .writer(&mut bytes)
        .begin_nd()
        .expect("a header");
    writer.extend(values.iter().copied()).expect("numbers");
    writer.finish().expect("as many numbers as the shape says");
    bytes
}

fn npy(dir: &TempDir, name: &str, shape: &[u64], values: &[f64]) -> PathBuf {
    put(dir, name, npy_bytes(shape, npyz::Order::C, values))
}

/// A file of doubles `[4, 2]`, one tensor a name.
fn safetensors(dir: &TempDir, name: &str, dtype: Dtype, tensors: &[&str]) -> PathBuf {
    let bytes: Vec<u8> = ROWS.iter().flat_map(|v| v.to_le_bytes()).collect();
    let views = tensors.iter().map(|&tensor| {
        let view = TensorView::new(dtype, vec![4, 2], &bytes);
        (tensor, view.expect("as many bytes as the shape says"))
    });
    put(
        dir,
        name,
        safetensors::serialize(views, None).expect("a valid set of tensors"),
    )
}

fn command<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fjld-checks"));
    command.arg("measure").args(args);
    // a sentence is one line whatever the caller's environment asks for
    command.env("RUST_BACKTRACE", "1");
    command
}

fn measure<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    command(args).output().expect("the binary is there")
}

/// Exit code 2, nothing on stdout, one line on stderr, and no panic in it.
fn refusal<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> String {
    let output = measure(args);
    let sentence = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(2), "{sentence}");
    assert!(output.stdout.is_empty(), "{sentence}");
    assert_eq!(sentence.lines().count(), 1, "{sentence}");
    assert!(sentence.starts_with("error: "), "{sentence}");
    assert!(!sentence.contains("panicked"), "{sentence}");
    sentence
}

fn file_refused(path: &Path, expected: &str) {
    // with and without --json: an error is never a JSON document
    for args in [
        vec![path.as_os_str()],
        vec![path.as_os_str(), "--json".as_ref()],
    ] {
        let sentence = refusal(args);
        assert!(sentence.contains(expected), "{sentence}");
    }
}

fn json<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> serde_json::Value {
    let output = measure(args);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The names of all leaves, as dotted paths.
fn paths(value: &serde_json::Value, path: &str, found: &mut Vec<String>) {
    match value.as_object() {
        Some(map) if path != "reasons" => {
            for (key, value) in map {
                let dot = if path.is_empty() { "" } else { "." };
                paths(value, &format!("{path}{dot}{key}"), found);
            }
        }
        _ => found.push(path.to_owned()),
    }
}

#[test]
fn the_json_has_the_keys_of_the_contract_and_no_other() {
    let dir = folder();
    let file = npy(&dir, "grads.npy", &[4, 2], &ROWS);
    let with_batch = json([
        file.as_os_str(),
        "--batch-size".as_ref(),
        "19".as_ref(),
        "--json".as_ref(),
    ]);
    // the same keys, where many of them are null
    let constant = json([
        npy(&dir, "constant.npy", &[4, 1], &[7.0; 4]).as_os_str(),
        "--json".as_ref(),
    ]);
    let mut expected = [
        "schema",
        "samples",
        "dimension",
        "batch_size",
        "signal",
        "noise",
        "ratio.plug_in",
        "ratio.debiased",
        "ratio.interval",
        "ratio.level",
        "phase",
        "noise_scale",
        "effective_rank",
        "zero_variance_coordinates",
        "log_jeffreys.diagonal",
        "reasons",
    ];
    expected.sort_unstable();
    for value in [&with_batch, &constant] {
        let mut found = Vec::new();
        paths(value, "", &mut found);
        found.sort();
        assert_eq!(found, expected);
    }
    assert_eq!(with_batch["schema"], "fjld-measure/1");
    assert_eq!(with_batch["batch_size"], 19);
    assert_eq!(
        with_batch["ratio"]["interval"].as_array().map(Vec::len),
        Some(2)
    );
    assert_eq!(with_batch["reasons"], serde_json::json!({}));
}

#[test]
fn a_ratio_that_is_undefined_is_a_result_and_not_a_failure() {
    let dir = folder();
    let file = npy(&dir, "constant.npy", &[4, 1], &[7.0; 4]);
    let value = json([file.as_os_str(), "--json".as_ref()]);
    assert_eq!(value["phase"], "undefined");
    assert!(value["ratio"]["plug_in"].is_null());
    assert!(
        value["reasons"]["ratio.plug_in"]
            .as_str()
            .is_some_and(|reason| reason.starts_with("the noise vanished"))
    );
    let shown = measure([&file]);
    assert_eq!(shown.status.code(), Some(0));
    assert!(shown.stderr.is_empty());
    assert!(
        shown
            .stdout
            .starts_with(b"C is undefined: the noise vanished")
    );
}

#[test]
fn several_files_and_a_directory_are_one_stream() {
    let dir = folder();
    let files: Vec<PathBuf> = ROWS
        .chunks(2)
        .enumerate()
        .map(|(i, row)| npy(&dir, &format!("step-{i}.npy"), &[2], row))
        .collect();
    let named = measure(&files);
    let listed = measure([dir.path()]);
    assert_eq!(named.status.code(), Some(0));
    assert!(named.stdout.starts_with(b"C = 0.9500 ["));
    assert_eq!(named.stdout, listed.stdout);
}

#[test]
fn options_out_of_range_are_refused() {
    let dir = folder();
    let file = npy(&dir, "grads.npy", &[4, 2], &ROWS);
    let with = |more: &[&str]| {
        let more = more.iter().map(OsStr::new);
        refusal([file.as_os_str()].into_iter().chain(more))
    };
    for level in ["0", "1", "NaN", "inf", "1.5", "-0.5"] {
        let sentence = with(&[&format!("--level={level}")]);
        assert_eq!(
            sentence,
            format!("error: --level is {level}; it must be strictly between 0 and 1\n")
        );
    }
    assert_eq!(
        with(&["--batch-size", "0"]),
        "error: --batch-size is 0; it must be at least 1\n"
    );
    assert!(with(&["--key", "w"]).contains("names a tensor of a .safetensors file"));
}

#[test]
fn a_command_line_that_can_not_be_read_exits_with_2_and_an_empty_stdout() {
    let dir = folder();
    let file = npy(&dir, "grads.npy", &[4, 2], &ROWS);
    let file = file.to_str().expect("a plain name");
    for args in [
        vec![],
        vec![file, "--level", "high"],
        vec![file, "--batch-size", "-3"],
        vec![file, "--batch-size", "99999999999999999999"],
        vec![file, "--unknown"],
    ] {
        let output = measure(&args);
        let message = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(output.stdout.is_empty());
        assert!(message.starts_with("error: "), "{message}");
        assert!(!message.contains("panicked"), "{message}");
    }
}

#[test]
fn files_that_are_missing_empty_or_of_another_kind_are_refused() {
    let dir = folder();
    file_refused(
        &dir.path().join("gone.npy"),
        "gone.npy could not be read: No such file",
    );
    file_refused(&put(&dir, "empty.npy", ""), "empty.npy is no .npy file");
    file_refused(
        &put(&dir, "empty.safetensors", ""),
        "empty.safetensors is no .safetensors file",
    );
    file_refused(
        &put(&dir, "grads.npz", "PK"),
        "grads.npz has the extension .npz; .npy and .safetensors are read",
    );
    let empty = folder();
    file_refused(
        empty.path(),
        "holds no sample files; .npy and .safetensors are read",
    );
    npy(&empty, "step.npy", &[2], &ROWS[..2]);
    safetensors(&empty, "step.safetensors", Dtype::F64, &["g"]);
    file_refused(empty.path(), "holds both .npy and .safetensors files");
}

#[test]
fn too_few_samples_no_coordinates_or_another_rank_are_refused() {
    let dir = folder();
    file_refused(
        &npy(&dir, "one.npy", &[1, 2], &ROWS[..2]),
        "the number of samples is 1; a variance needs at least 2",
    );
    file_refused(
        &npy(&dir, "none.npy", &[0, 2], &[]),
        "the number of samples is 0; a variance needs at least 2",
    );
    file_refused(
        &npy(&dir, "flat.npy", &[4, 0], &[]),
        "flat.npy has dimension 0",
    );
    file_refused(
        &npy(&dir, "deep.npy", &[2, 2, 2], &ROWS),
        "deep.npy has shape [2, 2, 2], of rank 3",
    );
    let files = [
        npy(&dir, "a.npy", &[4, 2], &ROWS),
        npy(&dir, "b.npy", &[2, 4], &ROWS),
    ];
    let sentence = refusal(&files);
    assert!(
        sentence.contains("all samples must have the same dimension"),
        "{sentence}"
    );
}

#[test]
fn a_nan_or_an_infinity_is_refused_with_its_row_and_column() {
    let dir = folder();
    for (bad, name) in [
        (f64::NAN, "NaN"),
        (f64::INFINITY, "inf"),
        (f64::NEG_INFINITY, "-inf"),
    ] {
        let mut rows = ROWS;
        rows[5] = bad;
        file_refused(
            &npy(&dir, "bad.npy", &[4, 2], &rows),
            &format!("bad.npy: row 2, column 1 is {name}; every entry must be a finite number"),
        );
    }
    file_refused(
        &npy(&dir, "huge.npy", &[3, 1], &[1e200, 2e200, -1e200]),
        "scale the gradients down",
    );
}

#[test]
fn a_nan_at_the_start_of_a_long_file_ends_the_reading_ahead() {
    // eight blocks of 512 KiB: the reader has filled the next ones by then, and must not wait for anybody to take them
    let dir = folder();
    let mut values = vec![0.5; 8 << 16];
    values[1] = f64::NAN;
    file_refused(
        &npy(&dir, "long.npy", &[4 << 16, 2], &values),
        "long.npy: row 0, column 1 is NaN",
    );
}

#[test]
fn files_cut_short_too_long_or_damaged_are_refused() {
    let dir = folder();
    let valid = npy_bytes(&[4, 2], npyz::Order::C, &ROWS);
    file_refused(
        &put(&dir, "x.npy", &valid[..valid.len() - 3]),
        "x.npy is cut short",
    );
    file_refused(
        &put(&dir, "x.npy", [&valid[..], b"\n"].concat()),
        "x.npy is too long",
    );
    file_refused(&put(&dir, "x.npy", &valid[..20]), "x.npy is cut short");
    file_refused(
        &put(&dir, "x.npy", "not numbers at all"),
        "x.npy is no .npy file",
    );
    let mut hostile = b"\x93NUMPY\x01\x00".to_vec();
    hostile.extend(30_000u16.to_le_bytes());
    hostile.extend("(".repeat(30_000).as_bytes());
    file_refused(
        &put(&dir, "x.npy", hostile),
        "x.npy has a header that is not of a plain array of numbers",
    );

    let path = safetensors(&dir, "x.safetensors", Dtype::F64, &["g"]);
    let valid = fs::read(&path).expect("it was just written");
    file_refused(
        &put(&dir, "x.safetensors", &valid[..valid.len() - 3]),
        "x.safetensors is cut short",
    );
    let announced = [&(1u64 << 60).to_le_bytes()[..], b"{}"].concat();
    file_refused(
        &put(&dir, "x.safetensors", announced),
        "x.safetensors announces a header of 1152921504606846976 bytes",
    );
    let nonsense = [&2u64.to_le_bytes()[..], b"[]"].concat();
    file_refused(
        &put(&dir, "x.safetensors", nonsense),
        "is not of a .safetensors file",
    );
}

#[test]
fn numbers_of_another_type_or_order_and_tensors_that_are_not_there_are_refused() {
    let dir = folder();
    let fortran = npy_bytes(&[4, 2], npyz::Order::Fortran, &ROWS);
    file_refused(&put(&dir, "f.npy", fortran), "f.npy is in Fortran order");
    let mut integers = npy_bytes(&[4, 2], npyz::Order::C, &ROWS);
    let at = integers
        .windows(3)
        .position(|w| w == b"<f8")
        .expect("its type");
    integers[at + 1] = b'i';
    file_refused(
        &put(&dir, "i.npy", integers),
        "i.npy holds numbers of type '<i8'",
    );
    file_refused(
        &safetensors(&dir, "i.safetensors", Dtype::I64, &["g"]),
        "holds numbers of type I64",
    );

    let two = safetensors(&dir, "two.safetensors", Dtype::F64, &["v", "w"]);
    file_refused(
        &two,
        "holds 2 tensors, and --key must name the one to read: \"v\", \"w\"",
    );
    let sentence = refusal([two.as_os_str(), "--key".as_ref(), "x".as_ref()]);
    assert!(
        sentence.contains("has no tensor \"x\"; it has \"v\", \"w\""),
        "{sentence}"
    );
    let one = measure([two.as_os_str(), "--key".as_ref(), "w".as_ref()]);
    assert!(one.stdout.starts_with(b"C = 0.9500 ["));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let dir = folder();
    let file = npy(&dir, "grads.npy", &[4, 2], &ROWS);
    let mut child = command([file.as_os_str(), "--json".as_ref()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary is there");
    drop(child.stdout.take());
    let status = child.wait().expect("it ends");
    let mut message = String::new();
    let stderr = child.stderr.as_mut().expect("it was piped");
    stderr.read_to_string(&mut message).expect("text");
    assert_eq!(message, "");
    assert_eq!(status.code(), Some(0));
}
