//! Options, files and numbers that are refused.

use super::made::{ROWS, npy, npy_bytes, npy_with_header, put, safetensors_bytes};
use super::{folder, measured, options, refusal, refused};
use safetensors::Dtype;
use std::fs;

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
