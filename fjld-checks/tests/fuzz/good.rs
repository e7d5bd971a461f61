//! Good files, by hand.

/// Arrays of every version and type that is read.
pub fn npy_files() -> Vec<Vec<u8>> {
    let file = |descr: &str, shape: &str, version: u8, data: &[u8]| {
        let header =
            format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let mut bytes = b"\x93NUMPY".to_vec();
        bytes.extend([version, 0]);
        match version {
            1 => bytes.extend((header.len() as u16).to_le_bytes()),
            _ => bytes.extend((header.len() as u32).to_le_bytes()),
        }
        bytes.extend(header.bytes());
        bytes.extend(data);
        bytes
    };
    let doubles: Vec<u8> = (0..8)
        .flat_map(|i| f64::from(i * i).to_le_bytes())
        .collect();
    let singles: Vec<u8> = (0..6)
        .flat_map(|i| (i as f32).exp().to_be_bytes())
        .collect();
    vec![
        file("<f8", "(4, 2)", 1, &doubles),
        file(">f4", "(3, 2)", 1, &singles),
        file("<f8", "(2, 4)", 2, &doubles),
        file("<f4", "(2, 3)", 3, &singles),
    ]
}

/// Tensors of every type that is read.
pub fn safetensors_files() -> Vec<Vec<u8>> {
    let file = |json: &str, data: usize| {
        let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
        bytes.extend(json.bytes());
        bytes.extend((0..data).map(|i| (i * 37 % 60) as u8));
        bytes
    };
    vec![
        file(
            r#"{"g":{"dtype":"F32","shape":[4,2],"data_offsets":[0,32]}}"#,
            32,
        ),
        file(
            r#"{"__metadata__":{"format":"pt"},"g":{"dtype":"F64","shape":[2,2],"data_offsets":[0,32]}}"#,
            32,
        ),
        file(
            r#"{"g":{"dtype":"BF16","shape":[3,2],"data_offsets":[0,12]}}"#,
            12,
        ),
        file(
            r#"{"g":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]}}   "#,
            12,
        ),
    ]
}

/// Logs of norms at two batch sizes.
pub fn norms() -> Vec<Vec<u8>> {
    [
        "step,small_batch,big_batch,small_norm2,big_norm2\n1,8,64,3.5,1.25\n2,8,64,3.25,1.5\n3,8,64,4,1\n",
        "small_batch,big_batch,small_norm2,big_norm2\n1,2,1e-3,1e-4\n\n1,2,2e-3,3e-4\n",
        "{\"small_batch\":8,\"big_batch\":64,\"small_norm2\":3.5,\"big_norm2\":1.25}\n{\"small_batch\":8,\"big_batch\":64,\"small_norm2\":3,\"big_norm2\":1}\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// Rows as the study of quantisation writes them.
pub fn rows() -> Vec<u8> {
    let row = |seed, chart, weights, c| {
        format!(
            "{{\"seed\":{seed},\"chart\":{chart},\"weights\":{weights},\"c\":{c},\"accuracy\":0.875}}\n"
        )
    };
    let rows = [
        row(0, 0, "\"float\"", "0.0125"),
        row(0, 0, "{\"rounded\":4}", "0.0115"),
        row(0, 1, "{\"noisy\":4}", "null"),
        row(1, 0, "\"float\"", "0.5"),
    ];
    rows.concat().into_bytes()
}
