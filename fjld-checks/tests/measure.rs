//! `measure` on files as they come: every format and number type, and everything that can be wrong with them.

use approx::assert_relative_eq;
use fjld_checks::measure::{Measurement, Options, measure};
use half::{bf16, f16};
use npyz::WriterBuilder;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Mean (2, 0), squared deviations 1 + 1 and 4 + 4: signal 4, noise 10/3. Exact in every number type.
const ROWS: [f64; 8] = [1., 0., 3., 0., 2., 2., 2., -2.];

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn options(files: &[PathBuf]) -> Options {
    Options {
        files: files.to_vec(),
        key: None,
        batch_size: None,
        level: 0.95,
        effective_rank: false,
    }
}

fn measured(files: &[PathBuf]) -> Measurement {
    measure(&options(files)).expect("valid samples")
}

/// The sentence, with the folder's own name taken out.
fn refusal(options: &Options) -> String {
    let sentence = measure(options).expect_err("a refusal").to_string();
    let folder = options.files.first().and_then(|file| file.parent());
    match folder
        .and_then(Path::to_str)
        .filter(|name| !name.is_empty())
    {
        Some(folder) => sentence.replace(&format!("{folder}/"), ""),
        None => sentence,
    }
}

fn refused(file: PathBuf) -> String {
    refusal(&options(&[file]))
}

fn put(dir: &TempDir, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, bytes).expect("a writable directory");
    path
}

fn npy_bytes<T: npyz::AutoSerialize + Copy>(
    shape: &[u64],
    order: npyz::Order,
    values: &[T],
) -> Vec<u8> {
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

/// A version 1.0 file with any header text.
fn npy_with_header(text: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.extend(data);
    bytes
}

fn little_endian(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn encoded(dtype: Dtype, values: &[f64]) -> Vec<u8> {
    let of = |v: &f64| match dtype {
        Dtype::F16 => f16::from_f64(*v).to_le_bytes().to_vec(),
        Dtype::BF16 => bf16::from_f64(*v).to_le_bytes().to_vec(),
        Dtype::F32 => (*v as f32).to_le_bytes().to_vec(),
        Dtype::I32 => (*v as i32).to_le_bytes().to_vec(),
        _ => v.to_le_bytes().to_vec(),
    };
    values.iter().flat_map(of).collect()
}

fn safetensors_bytes(tensors: &[(&str, Dtype, &[usize], &[f64])]) -> Vec<u8> {
    let data: Vec<Vec<u8>> = tensors.iter().map(|t| encoded(t.1, t.3)).collect();
    let views = tensors.iter().zip(&data).map(|(t, data)| {
        let view =
            TensorView::new(t.1, t.2.to_vec(), data).expect("as many numbers as the shape says");
        (t.0, view)
    });
    safetensors::serialize(views, None).expect("a valid set of tensors")
}

/// A `.safetensors` file with any header text.
fn with_json(json: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.extend(json.as_bytes());
    bytes.extend(data);
    bytes
}

/// Pseudo-random numbers of about size one, the same every time.
fn numbers(count: usize) -> Vec<f64> {
    let mut generator = fjld_core::rng::Seed::root(17).generator();
    fjld_core::rng::standard_normals(&mut generator, count)
}

/// Every null of the JSON, as dotted paths.
fn nulls(value: &serde_json::Value, path: &str, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Null => found.push(path.to_owned()),
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                let dot = if path.is_empty() { "" } else { "." };
                nulls(value, &format!("{path}{dot}{key}"), found);
            }
        }
        serde_json::Value::Array(values) => {
            for value in values {
                nulls(value, path, found);
            }
        }
        _ => {}
    }
}

fn assert_every_null_has_its_reason(measurement: &Measurement) {
    let json = serde_json::to_value(measurement).expect("JSON");
    let mut found = Vec::new();
    nulls(&json, "", &mut found);
    found.sort();
    let reasons: Vec<&str> = measurement.reasons.keys().copied().collect();
    assert_eq!(found, reasons);
    assert!(
        measurement
            .reasons
            .values()
            .all(|reason| !reason.is_empty())
    );
}

#[test]
fn four_samples_give_what_pencil_gives() {
    let dir = folder();
    let file = npy(&dir, "grads.npy", &[4, 2], &ROWS);
    let mut options = options(&[file]);
    options.batch_size = Some(19);
    let m = measure(&options).expect("valid samples");
    assert_eq!((m.samples, m.dimension, m.batch_size), (4, 2, Some(19)));
    assert_relative_eq!(m.signal, 4.0, max_relative = 1e-15);
    assert_relative_eq!(m.noise, 10.0 / 3.0, max_relative = 1e-15);
    assert_relative_eq!(m.ratio.plug_in.expect("defined"), 1.2, max_relative = 1e-15);
    assert_relative_eq!(
        m.ratio.debiased.expect("defined"),
        0.95,
        max_relative = 1e-14
    );
    // 19 examples over 0.95
    assert_relative_eq!(m.noise_scale.expect("defined"), 20.0, max_relative = 1e-14);
    let [low, high] = m.ratio.interval.expect("four samples have one");
    assert!(low < 0.95 && high > 0.95);
    assert_eq!(m.phase, "critical");
    // variances 2/3 and 8/3
    let log_jeffreys = -0.5 * (16.0f64 / 9.0).ln();
    assert_relative_eq!(
        m.log_jeffreys.diagonal.expect("defined"),
        log_jeffreys,
        max_relative = 1e-14
    );
    // over the three ways to pair four samples: |x1-x2|^2 |x3-x4|^2 = 4*16, 25 and 25; ((x1-x2).(x3-x4))^2 = 0, 25 and 25
    assert_relative_eq!(
        m.effective_rank.expect("defined"),
        114.0 / 50.0,
        max_relative = 1e-12
    );
    assert_eq!(m.zero_variance_coordinates, 0);
    assert!(m.reasons.is_empty());
}

#[test]
fn the_json_has_the_keys_of_its_schema_and_a_reason_for_every_null() {
    let dir = folder();
    let m = measured(&[npy(&dir, "grads.npy", &[4, 2], &ROWS)]);
    let json = serde_json::to_string(&m).expect("JSON");
    let keys = [
        "schema",
        "samples",
        "dimension",
        "batch_size",
        "signal",
        "noise",
        "ratio",
        "plug_in",
        "debiased",
        "interval",
        "level",
        "phase",
        "noise_scale",
        "effective_rank",
        "zero_variance_coordinates",
        "log_jeffreys",
        "diagonal",
        "reasons",
    ];
    let places: Vec<usize> = keys
        .iter()
        .filter_map(|key| json.find(&format!("\"{key}\":")))
        .collect();
    assert_eq!(places.len(), keys.len(), "{json}");
    assert!(places.is_sorted(), "{json}");
    assert!(json.starts_with("{\"schema\":\"fjld-measure/1\","));
    assert_every_null_has_its_reason(&m);
    let reasons: Vec<&str> = m.reasons.keys().copied().collect();
    assert_eq!(reasons, ["batch_size", "noise_scale"]);

    let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(value.as_object().map(serde_json::Map::len), Some(13));
    assert_eq!(
        value["ratio"].as_object().map(serde_json::Map::len),
        Some(4)
    );
}

#[test]
fn the_terminal_gets_the_ratio_first_and_words_for_what_is_not_there() {
    let dir = folder();
    let shown = measured(&[npy(&dir, "grads.npy", &[4, 2], &ROWS)]).to_string();
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].starts_with("C = 0.9500 [-"), "{shown}");
    assert!(
        lines[0].ends_with("] at level 0.95, per draw  [CRITICAL]"),
        "{shown}"
    );
    assert_eq!(
        lines[1..7],
        [
            "  samples                  4",
            "  dimension                2",
            "  signal |mu|^2            4.000",
            "  noise Tr D               3.333",
            "  plug-in                  1.200",
            "  debiased                 0.9500",
        ]
    );
    assert_eq!(
        lines[7..],
        [
            "  noise scale              none: the batch size is not known: pass --batch-size",
            "  effective rank           2.280",
            "  log Jeffreys (diagonal)  -0.2877",
        ]
    );
    let constant = measured(&[npy(&dir, "constant.npy", &[4, 1], &[7.0; 4])]).to_string();
    assert!(
        constant.starts_with("C is undefined: the noise vanished"),
        "{constant}"
    );
    assert!(
        constant
            .lines()
            .next()
            .is_some_and(|line| line.ends_with("  [UNDEFINED]")),
        "{constant}"
    );

    let two = measured(&[npy(&dir, "two.npy", &[2, 1], &[1.0, 2.0])]).to_string();
    let headline = "C = 4.000, per draw; no interval: an interval needs at least 3 samples; there are 2  [UNDEFINED]";
    assert_eq!(two.lines().next(), Some(headline));
}

#[test]
fn every_format_and_number_type_gives_the_same_numbers() {
    let dir = folder();
    let singles = ROWS.map(|v| v as f32);
    let big_endian: Vec<u8> = ROWS.iter().flat_map(|v| v.to_be_bytes()).collect();
    let big_endian_singles: Vec<u8> = singles.iter().flat_map(|v| v.to_be_bytes()).collect();
    let header = |descr: &str| {
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (4, 2), }}\n")
    };
    let mut later_version = b"\x93NUMPY\x02\x00".to_vec();
    later_version.extend((header("<f8").len() as u32).to_le_bytes());
    later_version.extend(header("<f8").as_bytes());
    later_version.extend(little_endian(&ROWS));
    let mut files = vec![
        npy(&dir, "double.npy", &[4, 2], &ROWS),
        put(
            &dir,
            "single.npy",
            npy_bytes(&[4, 2], npyz::Order::C, &singles),
        ),
        put(
            &dir,
            "big.npy",
            npy_with_header(&header(">f8"), &big_endian),
        ),
        put(
            &dir,
            "big-single.NPY",
            npy_with_header(&header(">f4"), &big_endian_singles),
        ),
        put(&dir, "later.npy", later_version),
    ];
    for dtype in [Dtype::F16, Dtype::BF16, Dtype::F32, Dtype::F64] {
        let bytes = safetensors_bytes(&[("g", dtype, &[4, 2], &ROWS)]);
        files.push(put(&dir, &format!("{dtype:?}.safetensors"), bytes));
    }
    let expected = serde_json::to_string(&measured(&files[..1])).expect("JSON");
    for file in files {
        let got = serde_json::to_string(&measured(std::slice::from_ref(&file))).expect("JSON");
        assert_eq!(got, expected, "{}", file.display());
    }
}

#[test]
fn a_tensor_among_several_is_read_by_its_name_wherever_it_lies() {
    let dir = folder();
    let other = [9.0; 6];
    let bytes = safetensors_bytes(&[
        ("a", Dtype::F32, &[6], &other),
        ("grads", Dtype::F64, &[4, 2], &ROWS),
        ("z", Dtype::F64, &[3, 2], &other),
    ]);
    let mut options = options(&[put(&dir, "all.safetensors", bytes)]);
    options.key = Some("grads".to_owned());
    assert_relative_eq!(
        measure(&options).expect("valid").signal,
        4.0,
        max_relative = 1e-15
    );

    options.key = Some("b".to_owned());
    assert_eq!(
        refusal(&options),
        "all.safetensors has no tensor \"b\"; it has \"grads\", \"z\", \"a\""
    );
    options.key = None;
    assert_eq!(
        refusal(&options),
        "all.safetensors holds 3 tensors, and --key must name the one to read: \"grads\", \"z\", \"a\""
    );

    let names: Vec<String> = (10..35).map(|i| format!("t{i}\u{1b}[31m")).collect();
    let many: Vec<_> = names
        .iter()
        .map(|n| {
            (
                n.as_str(),
                Dtype::F32,
                &[1usize] as &[usize],
                &[1.0] as &[f64],
            )
        })
        .collect();
    let sentence = refused(put(&dir, "many.safetensors", safetensors_bytes(&many)));
    assert!(sentence.ends_with(" and 15 more"), "{sentence}");
    assert!(!sentence.contains('\u{1b}'), "{sentence}");
}

#[test]
fn samples_in_one_file_in_several_and_in_a_directory_are_the_same_samples() {
    let dir = folder();
    let (n, d) = (12, 5);
    let values = numbers(n * d);
    let whole = measured(&[npy(&dir, "whole.npy", &[12, 5], &values)]);
    let whole = serde_json::to_string(&whole).expect("JSON");

    // named so that only counting puts them in order; a file of another kind is no sample
    let steps = folder();
    for (i, row) in values.chunks(d).enumerate() {
        npy(&steps, &format!("step-{i}.npy"), &[5], row);
    }
    put(&steps, "notes.txt", "learning rate 0.1");
    let directory = measured(&[steps.path().to_path_buf()]);
    assert_eq!(directory.samples, 12);
    // rows come one at a time instead of twelve: the same up to the rounding of the merge, which is far below four digits
    let parts = measured(&[
        npy(&dir, "first.npy", &[5, 5], &values[..25]),
        put(
            &dir,
            "rest.safetensors",
            safetensors_bytes(&[("g", Dtype::F64, &[7, 5], &values[25..])]),
        ),
    ]);
    let whole: serde_json::Value = serde_json::from_str(&whole).expect("JSON");
    for other in [directory, parts] {
        let number = |path: &str| {
            whole
                .pointer(path)
                .and_then(serde_json::Value::as_f64)
                .expect("a number")
        };
        assert_relative_eq!(other.signal, number("/signal"), max_relative = 1e-12);
        assert_relative_eq!(other.noise, number("/noise"), max_relative = 1e-12);
        let [low, high] = other.ratio.interval.expect("twelve samples have one");
        assert_relative_eq!(low, number("/ratio/interval/0"), max_relative = 1e-10);
        assert_relative_eq!(high, number("/ratio/interval/1"), max_relative = 1e-10);
        // the rows are kept in order, and the same rows have the same rank to the bit
        assert_eq!(other.effective_rank, Some(number("/effective_rank")));
    }
}

#[test]
fn a_file_of_more_than_one_block_is_the_sum_of_its_rows() {
    // 3,000 x 500 numbers of 8 bytes: 12 MB against blocks of 8 MiB
    let dir = folder();
    let (n, d) = (3000, 500);
    let values = numbers(n * d);
    let m = measured(&[npy(&dir, "long.npy", &[n as u64, d as u64], &values)]);
    let mut moments = fjld_core::Moments::new(d).expect("coordinates");
    moments.push_batch(&values).expect("finite");
    assert_relative_eq!(m.signal, moments.squared_mean_norm(), max_relative = 1e-12);
    assert_relative_eq!(
        m.noise,
        moments.trace().expect("many samples"),
        max_relative = 1e-12
    );
    // isotropic: r = d, and its relative standard error sqrt(4/n^2 + 8/(n d)) is 0.2%
    let rank = m.effective_rank.expect("n^2 d is 4.5e9");
    assert!((495.0..505.0).contains(&rank), "{rank}");
}

#[test]
fn a_vanished_noise_is_a_result_with_its_reasons() {
    let dir = folder();
    let m = measured(&[npy(&dir, "constant.npy", &[5, 2], &[0.1, 7.0].repeat(5))]);
    assert_eq!((m.phase, m.zero_variance_coordinates), ("undefined", 2));
    assert!(m.ratio.interval.is_none() && m.ratio.plug_in.is_none() && m.effective_rank.is_none());
    assert_every_null_has_its_reason(&m);
    assert!(m.reasons["ratio.interval"].starts_with("the noise vanished: Tr D_hat = "));
    assert_eq!(
        m.reasons["log_jeffreys.diagonal"],
        "2 of 2 coordinates have zero variance, and the density is infinite there"
    );

    // all of it rounding, at the resolution the numbers were stored in: 1 and its bf16 neighbour are one number, as f64 they are two
    let rounded = [1.0, 1.0078125].repeat(4);
    let phase = |dtype| {
        let bytes = safetensors_bytes(&[("g", dtype, &[8, 1], &rounded)]);
        measured(&[put(&dir, "rounded.safetensors", bytes)]).phase
    };
    assert_eq!(
        (phase(Dtype::BF16), phase(Dtype::F64)),
        ("undefined", "drift")
    );
}

#[test]
fn what_can_not_be_told_is_null_with_the_reason_in_words() {
    let dir = folder();
    let m = measured(&[npy(&dir, "three.npy", &[3, 2], &[1., 0., -1., 0., 0.5, 0.])]);
    assert_every_null_has_its_reason(&m);
    assert_eq!(
        m.reasons["effective_rank"],
        "the effective rank needs at least 4 samples; there are 3"
    );
    assert_eq!(
        m.reasons["log_jeffreys.diagonal"],
        "1 of 2 coordinates have zero variance, and the density is infinite there"
    );

    let no_signal = npy(&dir, "no-signal.npy", &[4, 1], &[1., -1., 2., -2.]);
    let mut with_batch = options(&[no_signal]);
    with_batch.batch_size = Some(8);
    let m = measure(&with_batch).expect("valid");
    assert_eq!(
        m.reasons["noise_scale"],
        "the debiased ratio is -0.25, not positive: the samples show no signal to compare the noise with"
    );

    let two = measured(&[npy(&dir, "two.npy", &[2, 1], &[1., 2.])]);
    assert_every_null_has_its_reason(&two);
    assert_eq!((two.phase, two.ratio.debiased), ("undefined", Some(4.0)));
    assert_eq!(
        two.reasons["ratio.interval"],
        "an interval needs at least 3 samples; there are 2"
    );

    let outlier = measured(&[npy(&dir, "outlier.npy", &[5, 1], &[0., 0., 0., 0., 1.])]);
    assert_every_null_has_its_reason(&outlier);
    assert!(outlier.reasons["effective_rank"].contains("zero to rounding"));

    let mut near_one = options(&[npy(&dir, "grads.npy", &[4, 2], &ROWS)]);
    near_one.level = 1.0 - f64::EPSILON / 2.0;
    let m = measure(&near_one).expect("inside (0, 1)");
    assert_every_null_has_its_reason(&m);
    assert_eq!(m.phase, "undefined");
}

#[test]
fn an_effective_rank_that_takes_long_is_computed_on_request_only() {
    // n^2 d = 1.2e10 by the plain count; the columns are few, so that it is quick in fact
    let dir = folder();
    let n = 110_000;
    let file = npy(&dir, "tall.npy", &[n, 1], &numbers(n as usize));
    let mut options = options(&[file]);
    let m = measure(&options).expect("valid");
    assert_eq!(
        m.reasons["effective_rank"],
        "n^2 d is 1.2e10, above 1e10; --effective-rank computes it all the same"
    );
    options.effective_rank = true;
    let rank = measure(&options)
        .expect("valid")
        .effective_rank
        .expect("requested");
    assert_relative_eq!(rank, 1.0, max_relative = 1e-9);
}

#[test]
fn options_out_of_range_are_refused() {
    let dir = folder();
    let file = npy(&dir, "grads.npy", &[4, 2], &ROWS);
    for (level, shown) in [(0.0, "0"), (1.0, "1"), (-0.5, "-0.5"), (f64::NAN, "NaN")] {
        let mut options = options(std::slice::from_ref(&file));
        options.level = level;
        assert_eq!(
            refusal(&options),
            format!("--level is {shown}; it must be strictly between 0 and 1")
        );
    }
    let mut zero = options(std::slice::from_ref(&file));
    zero.batch_size = Some(0);
    assert_eq!(refusal(&zero), "--batch-size is 0; it must be at least 1");
    assert!(refusal(&options(&[])).starts_with("no file was given; at least one"));
    let mut key = options(&[file]);
    key.key = Some("w".to_owned());
    assert_eq!(
        refusal(&key),
        "--key w names a tensor of a .safetensors file; grads.npy is one array without a name"
    );
}

#[test]
fn files_that_are_not_there_or_of_another_kind_are_refused_by_name() {
    let dir = folder();
    assert!(
        refused(dir.path().join("gone.npy"))
            .starts_with("gone.npy could not be read: No such file")
    );
    assert_eq!(
        refused(put(&dir, "grads.npz", "PK")),
        "grads.npz has the extension .npz; .npy and .safetensors are read"
    );
    assert_eq!(
        refused(put(&dir, "grads", "")),
        "grads has no extension; .npy and .safetensors are read"
    );

    let empty = folder();
    put(&empty, "notes.txt", "");
    fs::create_dir(empty.path().join("deeper.npy")).expect("a writable directory");
    let sentence = refused(empty.path().to_path_buf());
    assert!(
        sentence.ends_with("holds no sample files; .npy and .safetensors are read"),
        "{sentence}"
    );

    npy(&empty, "step-1.npy", &[2], &[1., 2.]);
    put(
        &empty,
        "step-1.safetensors",
        safetensors_bytes(&[("g", Dtype::F64, &[2], &[1., 2.])]),
    );
    let sentence = refused(empty.path().to_path_buf());
    assert!(
        sentence
            .ends_with("holds both .npy and .safetensors files; name the files to read instead"),
        "{sentence}"
    );
}

#[test]
fn too_few_samples_or_coordinates_are_refused_with_their_number() {
    let dir = folder();
    let few = |n| {
        format!(
            "the number of samples is {n}; a variance needs at least 2 (rows of [n, d], or several files of [d])"
        )
    };
    assert_eq!(
        refused(npy(&dir, "one.npy", &[1, 3], &[1., 2., 3.])),
        few(1)
    );
    assert_eq!(
        refused(npy(&dir, "single.npy", &[3], &[1., 2., 3.])),
        few(1)
    );
    assert_eq!(refused(npy(&dir, "none.npy", &[0, 3], &[])), few(0));
    assert_eq!(
        refused(npy(&dir, "flat.npy", &[5, 0], &[])),
        "flat.npy has dimension 0 (shape [5, 0]); a gradient must have at least one coordinate"
    );
    assert_eq!(
        refused(npy(&dir, "deep.npy", &[1, 2, 2], &[1.; 4])),
        "deep.npy has shape [1, 2, 2], of rank 3; [n, d] for n samples and [d] for one are read"
    );
    let scalar = safetensors_bytes(&[("g", Dtype::F64, &[], &[1.])]);
    assert_eq!(
        refused(put(&dir, "scalar.safetensors", scalar)),
        "scalar.safetensors has shape [], of rank 0; [n, d] for n samples and [d] for one are read"
    );
    let files = [
        npy(&dir, "a.npy", &[1, 3], &[1.; 3]),
        npy(&dir, "b.npy", &[4], &[1.; 4]),
    ];
    assert_eq!(
        refusal(&options(&files)),
        "a.npy has dimension 3 and b.npy has dimension 4; all samples must have the same dimension"
    );
}

#[test]
fn a_number_that_is_not_finite_is_refused_with_its_file_row_and_column() {
    let dir = folder();
    let good = npy(&dir, "good.npy", &[4, 2], &ROWS);
    let mut values = ROWS;
    values[5] = f64::NAN;
    let bad = npy(&dir, "bad.npy", &[4, 2], &values);
    assert_eq!(
        refusal(&options(&[good.clone(), bad])),
        "bad.npy: row 2, column 1 is NaN; every entry must be a finite number"
    );
    // f16 reaches infinity at 65520
    let bytes = safetensors_bytes(&[("g", Dtype::F16, &[2, 2], &[1., 2., 1e5, 3.])]);
    assert_eq!(
        refused(put(&dir, "big.safetensors", bytes)),
        "big.safetensors: row 1, column 0 is inf; every entry must be a finite number"
    );
    // beyond the first block of 8 MiB
    let mut long = vec![0.5; 1_200_000];
    long[1_100_001] = f64::NEG_INFINITY;
    assert_eq!(
        refused(npy(&dir, "long.npy", &[600_000, 2], &long)),
        "long.npy: row 550000, column 1 is -inf; every entry must be a finite number"
    );
    let sentence = refused(npy(&dir, "huge.npy", &[3, 1], &[1e200, 2e200, -1e200]));
    assert!(
        sentence.starts_with("huge.npy: row 0, column 0 is 1e200;")
            && sentence.contains("scale the gradients down"),
        "{sentence}"
    );
}

#[test]
fn numbers_of_another_type_or_order_are_refused() {
    let dir = folder();
    let header = |descr: &str, order: &str| {
        format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': (2, 2), }}\n")
    };
    let of_type = |descr: &str, bytes: usize| {
        refused(put(
            &dir,
            "other.npy",
            npy_with_header(&header(descr, "False"), &vec![0; bytes]),
        ))
    };
    assert_eq!(
        of_type("'<f2'", 8),
        "other.npy holds numbers of type '<f2'; 'f4' and 'f8' are read from .npy (f16 and bf16 from .safetensors)"
    );
    assert!(of_type("'<i8'", 32).starts_with("other.npy holds numbers of type '<i8'; "));
    assert!(of_type("'|O'", 32).starts_with("other.npy holds numbers of type '|O'; "));
    assert!(of_type("[('a', '<f4'), ('b', '<f4')]", 32).starts_with(
        "other.npy has a header that is not of a plain array of numbers: {'descr': [('a', '<f4')"
    ));
    let integers = safetensors_bytes(&[("g", Dtype::I32, &[4, 2], &ROWS)]);
    assert_eq!(
        refused(put(&dir, "int.safetensors", integers)),
        "tensor \"g\" of int.safetensors holds numbers of type I32; F16, BF16, F32 and F64 are read"
    );

    let fortran = put(
        &dir,
        "fortran.npy",
        npy_bytes(&[4, 2], npyz::Order::Fortran, &ROWS),
    );
    assert_eq!(
        refused(fortran),
        "fortran.npy is in Fortran order, column after column; rows can be streamed only in C order: save numpy.ascontiguousarray(samples)"
    );
    // one column: both orders are the same
    let column = put(
        &dir,
        "column.npy",
        npy_bytes(&[4, 1], npyz::Order::Fortran, &ROWS[..4]),
    );
    assert_eq!(measured(&[column]).samples, 4);
}

#[test]
fn npy_files_cut_short_too_long_or_hostile_are_refused_in_one_sentence() {
    let dir = folder();
    let valid = npy_bytes(&[4, 2], npyz::Order::C, &ROWS);
    let refused = |bytes: Vec<u8>| refused(put(&dir, "x.npy", bytes));
    assert_eq!(
        refused(valid[..valid.len() - 3].to_vec()),
        "x.npy is cut short: shape [4, 2] takes 64 bytes, and 61 follow the header"
    );
    assert_eq!(
        refused([&valid[..], b"\n"].concat()),
        "x.npy is too long: shape [4, 2] takes 64 bytes, and 65 follow the header"
    );
    assert!(refused(valid[..40].to_vec()).starts_with("x.npy is cut short: its header takes "));
    for length in [0, 5, 7] {
        assert!(refused(valid[..length].to_vec()).starts_with("x.npy is no .npy file: "));
    }
    for length in [8, 9, 10] {
        assert!(refused(valid[..length].to_vec()).starts_with("x.npy "));
    }
    let mut version = valid.clone();
    version[6] = 4;
    assert_eq!(
        refused(version),
        "x.npy is of .npy version 4.0; 1.0, 2.0 and 3.0 are read"
    );
    let mut long_header = b"\x93NUMPY\x03\x00".to_vec();
    long_header.extend([0xff; 64]);
    assert_eq!(
        refused(long_header),
        "x.npy announces a header of 4294967295 bytes; at most 65536 are read"
    );

    let shaped = |shape: &str| {
        npy_with_header(
            &format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}\n"),
            &[0; 16],
        )
    };
    let overflow =
        "x.npy has shape [4294967296, 4294967296] in its header, which is larger than any file";
    assert_eq!(refused(shaped("(4294967296, 4294967296)")), overflow);
    assert_eq!(
        refused(shaped("(1, 144115188075855872)")),
        "x.npy is cut short: shape [1, 144115188075855872] takes 1152921504606846976 bytes, and 16 follow the header"
    );
    let not_plain = "x.npy has a header that is not of a plain array of numbers: ";
    let hostile = [
        "{".repeat(60_000),
        "{".to_owned() + &"(".repeat(30_000) + &")".repeat(30_000) + "}",
        format!("{{'shape': (1{}, 2)}}", "0".repeat(60_000)),
        format!("{{'shape': (1{}+1e5, 2)}}", "0".repeat(400)),
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 2)}".to_owned(),
        "{'descr': '<f8', 'fortran_order': 3, 'shape': (1, 2)}".to_owned(),
        "{'descr': '<f8', 'shape': (1, 2)}".to_owned(),
        "'never closed".to_owned(),
        "\u{1b}[2J\u{e9}".to_owned(),
        String::new(),
    ];
    for text in hostile {
        let sentence = refused(npy_with_header(&text, &[0; 16]));
        assert!(sentence.starts_with(not_plain.trim_end()), "{sentence}");
        assert!(
            sentence.len() < 300 && !sentence.chars().any(char::is_control),
            "{sentence}"
        );
    }
    assert!(refused(npy_with_header("", b"\xff\xfe")).starts_with(not_plain.trim_end()));
}

#[test]
fn safetensors_headers_that_are_cut_short_contradictory_or_hostile_are_refused_in_one_sentence() {
    let dir = folder();
    let refused = |bytes: Vec<u8>| refused(put(&dir, "x.safetensors", bytes));
    let valid = safetensors_bytes(&[("g", Dtype::F64, &[4, 2], &ROWS)]);
    assert_eq!(
        refused(valid[..valid.len() - 3].to_vec()),
        "x.safetensors is cut short: its tensors take 64 bytes, and 61 follow the header"
    );
    assert_eq!(
        refused([&valid[..], b"\n"].concat()),
        "x.safetensors is too long: its tensors take 64 bytes, and 65 follow the header"
    );
    assert_eq!(
        refused(vec![1, 0, 0]),
        "x.safetensors is no .safetensors file: it has 3 bytes, and the length of its header alone takes 8"
    );
    assert!(
        refused(valid[..30].to_vec())
            .starts_with("x.safetensors is cut short: it announces a header of ")
    );

    let announced = |length: u64| [&length.to_le_bytes()[..], b"{}"].concat();
    let started = Instant::now();
    for length in [1 << 60, u64::MAX, 100_000_001] {
        assert_eq!(
            refused(announced(length)),
            format!(
                "x.safetensors announces a header of {length} bytes; at most 100000000 are read"
            )
        );
    }
    assert_eq!(
        refused(announced(99_999_999)),
        "x.safetensors is cut short: it announces a header of 99999999 bytes, and 2 follow"
    );
    // no header that a file does not hold is waited for, or given memory
    assert!(started.elapsed() < Duration::from_secs(5));

    assert_eq!(
        refused(with_json("{}", &[])),
        "x.safetensors holds no tensors; one of shape [n, d] or [d] is needed"
    );
    let tensor = |dtype: &str, shape: &str, from: &str, to: &str| {
        format!(r#"{{"g":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{from},{to}]}}}}"#)
    };
    let not_safetensors = "x.safetensors has a header that is not of a .safetensors file: ";
    let hostile = [
        tensor("F64", "[2,1]", "8", "24"),
        tensor("F64", "[2,1]", "0", "8"),
        tensor("F64", "[2,1]", "16", "0"),
        tensor("F64", "[2,1]", "0", "99999999999999999999999"),
        tensor("F64", "[4294967296,4294967296]", "0", "16"),
        tensor("F64", "[-2,1]", "0", "16"),
        tensor("F65", "[2,1]", "0", "16"),
        tensor("\\u001b[31m", "[2,1]", "0", "16"),
        r#"{"g":3}"#.to_owned(),
        "[]".to_owned(),
        "{".to_owned(),
        String::new(),
        format!("{{\"g\":{}1", "[".repeat(100_000)),
        "{\"a\":".repeat(100_000),
    ];
    for json in hostile {
        let sentence = refused(with_json(&json, &[0; 16]));
        assert!(sentence.starts_with(not_safetensors), "{sentence}");
        assert!(
            sentence.len() < 300 && !sentence.chars().any(char::is_control),
            "{sentence}"
        );
    }
    let not_utf8 = [&2u64.to_le_bytes()[..], b"{\xff"].concat();
    assert!(refused(not_utf8).contains("invalid utf-8"));
    assert_eq!(
        refused(with_json(
            &tensor("F64", "[144115188075855872,1]", "0", "1152921504606846976"),
            &[0; 16]
        )),
        "x.safetensors is cut short: its tensors take 1152921504606846976 bytes, and 16 follow the header"
    );
}

#[test]
fn a_header_of_a_huge_row_fails_before_memory_is_asked_for() {
    // no samples, but a dimension of 2^60: nothing may be sized by it
    let dir = folder();
    let header = "{'descr': '<f8', 'fortran_order': False, 'shape': (0, 1152921504606846976)}\n";
    let sentence = refused(put(&dir, "huge.npy", npy_with_header(header, &[])));
    assert!(
        sentence.starts_with("the number of samples is 0; "),
        "{sentence}"
    );
}

fn valid_files() -> Vec<(&'static str, Vec<u8>)> {
    let singles = ROWS.map(|v| v as f32);
    vec![
        ("a.npy", npy_bytes(&[4, 2], npyz::Order::C, &ROWS)),
        ("b.npy", npy_bytes(&[4, 2], npyz::Order::C, &singles)),
        (
            "c.safetensors",
            safetensors_bytes(&[("g", Dtype::F64, &[4, 2], &ROWS)]),
        ),
        (
            "d.safetensors",
            safetensors_bytes(&[
                ("g", Dtype::BF16, &[4, 2], &ROWS),
                ("h", Dtype::F16, &[2, 4], &ROWS),
            ]),
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 600,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(0x6d65_6173),
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_damage_to_a_file_makes_more_than_a_sentence(
        which in 0usize..4,
        // half of the bytes written are such as headers are made of
        damage in prop::collection::vec(
            (any::<prop::sample::Index>(), prop_oneof![any::<u8>(), prop::sample::select(b"0123456789{}[]()'\",:<>f".to_vec())]),
            0..6,
        ),
        length in prop_oneof![4 => Just(None), 1 => any::<prop::sample::Index>().prop_map(Some)],
    ) {
        let (name, mut bytes) = valid_files().swap_remove(which);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(length) = length {
            bytes.truncate(length.index(bytes.len()));
        }
        let dir = folder();
        let mut options = options(&[put(&dir, name, bytes)]);
        options.key = name.starts_with('d').then(|| "h".to_owned());
        match measure(&options) {
            Ok(measurement) => assert_every_null_has_its_reason(&measurement),
            Err(error) => {
                let sentence = error.to_string();
                prop_assert!(!sentence.chars().any(char::is_control), "{sentence}");
            }
        }
    }
}
