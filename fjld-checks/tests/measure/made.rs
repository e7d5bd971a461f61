//! Files of gradients, as other tools write them and as none should.

use half::{bf16, f16};
use npyz::WriterBuilder;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// Mean (2, 0), squared deviations 1 + 1 and 4 + 4: signal 4, noise 10/3. Exact in every number type.
pub const ROWS: [f64; 8] = [1., 0., 3., 0., 2., 2., 2., -2.];

pub fn put(dir: &TempDir, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, bytes).expect("a writable directory");
    path
}

pub fn npy_bytes<T: npyz::AutoSerialize + Copy>(
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

pub fn npy(dir: &TempDir, name: &str, shape: &[u64], values: &[f64]) -> PathBuf {
    put(dir, name, npy_bytes(shape, npyz::Order::C, values))
}

/// A version 1.0 file with any header text.
pub fn npy_with_header(text: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.extend(data);
    bytes
}

pub fn little_endian(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

pub fn encoded(dtype: Dtype, values: &[f64]) -> Vec<u8> {
    let of = |v: &f64| match dtype {
        Dtype::F16 => f16::from_f64(*v).to_le_bytes().to_vec(),
        Dtype::BF16 => bf16::from_f64(*v).to_le_bytes().to_vec(),
        Dtype::F32 => (*v as f32).to_le_bytes().to_vec(),
        Dtype::I32 => (*v as i32).to_le_bytes().to_vec(),
        _ => v.to_le_bytes().to_vec(),
    };
    values.iter().flat_map(of).collect()
}

pub fn safetensors_bytes(tensors: &[(&str, Dtype, &[usize], &[f64])]) -> Vec<u8> {
    let data: Vec<Vec<u8>> = tensors.iter().map(|t| encoded(t.1, t.3)).collect();
    let views = tensors.iter().zip(&data).map(|(t, data)| {
        let view =
            TensorView::new(t.1, t.2.to_vec(), data).expect("as many numbers as the shape says");
        (t.0, view)
    });
    safetensors::serialize(views, None).expect("a valid set of tensors")
}

/// A `.safetensors` file with any header text.
pub fn with_json(json: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.extend(json.as_bytes());
    bytes.extend(data);
    bytes
}

/// Pseudo-random numbers of about size one, the same every time.
pub fn numbers(count: usize) -> Vec<f64> {
    let mut generator = fjld_core::rng::Seed::root(17).generator();
    fjld_core::rng::standard_normals(&mut generator, count)
}
