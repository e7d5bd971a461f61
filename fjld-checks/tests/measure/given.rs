//! What good files give.

use super::made::{
    ROWS, little_endian, npy, npy_bytes, npy_with_header, numbers, put, safetensors_bytes,
};
use super::{assert_every_null_has_its_reason, folder, measured, options, refusal, refused};
use approx::assert_relative_eq;
use fjld_checks::measure::measure;
use safetensors::Dtype;

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
