//! Files cut short, contradictory, hostile, or damaged at random.

use super::made::{ROWS, npy_bytes, npy_with_header, put, safetensors_bytes, with_json};
use super::{assert_every_null_has_its_reason, folder, options, refused};
use fjld_checks::measure::measure;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use safetensors::Dtype;
use std::time::{Duration, Instant};

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
