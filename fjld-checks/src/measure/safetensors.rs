//! The header of a `.safetensors` file: 8 bytes of length, JSON, then the numbers of all tensors without a gap.
//!
//! The `safetensors` crate checks what the JSON says of the tensors against itself; checked here is what it says against the file.
//! Only the header is read into memory.

use super::samples::{Encoding, Layout};
use crate::error::{Error, Result, printable};
use ::safetensors::tensor::{Dtype, Metadata};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The format's own limit.
const LONGEST_HEADER: u64 = 100_000_000;

/// Names listed in an error message.
const NAMES_SHOWN: usize = 10;

/// Where the numbers of one tensor of a `.safetensors` file of `length` bytes lie: the tensor named `key`, or the only one.
///
/// # Errors
/// For a file that is no `.safetensors` file or contradicts itself, for a tensor that is not there, several with no `key`, and numbers of
/// another type.
pub(super) fn layout(
    path: &Path,
    file: &mut File,
    length: u64,
    key: Option<&str>,
) -> Result<Layout> {
    let text = read_header(path, file, length)?;
    let malformed = |why: &str| {
        Error::input(format!(
            "{} has a header that is not of a .safetensors file: {}",
            path.display(),
            printable(why)
        ))
    };
    let text = std::str::from_utf8(&text).map_err(|error| malformed(&error.to_string()))?;
    let metadata: Metadata =
        serde_json::from_str(text).map_err(|error| malformed(&error.to_string()))?;
    let data_start = 8 + text.len() as u64;
    let (promised, present) = (metadata.data_len() as u64, length - data_start);
    if promised != present {
        return Err(Error::input(format!(
            "{} is {}: its tensors take {promised} bytes, and {present} follow the header",
            path.display(),
            if present < promised {
                "cut short"
            } else {
                "too long"
            },
        )));
    }
    let name = choose(path, &metadata, key)?;
    let info = metadata
        .info(&name)
        .ok_or_else(|| malformed("a tensor is listed without a description"))?;
    let (start, end) = info.data_offsets;
    let layout = Layout {
        offset: data_start + start as u64,
        encoding: encoding(path, &name, info.dtype)?,
        shape: info.shape.iter().map(|&axis| axis as u64).collect(),
    };
    if layout.data_bytes() != Some((end - start) as u64) {
        return Err(malformed("a tensor's shape and its offsets disagree"));
    }
    Ok(layout)
}

/// The JSON text, of a length that the file does have.
fn read_header(path: &Path, file: &mut File, length: u64) -> Result<Vec<u8>> {
    let name = path.display();
    let unread = |error| Error::file("read", path, &error);
    if length < 8 {
        return Err(Error::input(format!(
            "{name} is no .safetensors file: it has {length} bytes, and the length of its header alone takes 8"
        )));
    }
    let mut prefix = [0; 8];
    file.read_exact(&mut prefix).map_err(unread)?;
    let text_length = u64::from_le_bytes(prefix);
    if text_length > LONGEST_HEADER {
        return Err(Error::input(format!(
            "{name} announces a header of {text_length} bytes; at most {LONGEST_HEADER} are read"
        )));
    }
    if text_length > length - 8 {
        return Err(Error::input(format!(
            "{name} is cut short: it announces a header of {text_length} bytes, and {} follow",
            length - 8
        )));
    }
    let mut text = vec![0; text_length as usize];
    file.read_exact(&mut text).map_err(unread)?;
    Ok(text)
}

fn choose(path: &Path, metadata: &Metadata, key: Option<&str>) -> Result<String> {
    let mut names = metadata.offset_keys();
    match key {
        Some(key) if metadata.info(key).is_some() => Ok(key.to_owned()),
        Some(key) => Err(Error::input(format!(
            "{} has no tensor {key:?}; it has {}",
            path.display(),
            listed(&names)
        ))),
        None if names.len() == 1 => Ok(names.remove(0)),
        None if names.is_empty() => Err(Error::input(format!(
            "{} holds no tensors; one of shape [n, d] or [d] is needed",
            path.display()
        ))),
        None => Err(Error::input(format!(
            "{} holds {} tensors, and --key must name the one to read: {}",
            path.display(),
            names.len(),
            listed(&names)
        ))),
    }
}

fn listed(names: &[String]) -> String {
    let quoted = |name: &String| format!("{:?}", printable(name));
    let shown: Vec<String> = names.iter().take(NAMES_SHOWN).map(quoted).collect();
    let shown = shown.join(", ");
    match names.len() {
        0 => "none".to_owned(),
        n if n > NAMES_SHOWN => format!("{shown} and {} more", n - NAMES_SHOWN),
        _ => shown,
    }
}

fn encoding(path: &Path, name: &str, dtype: Dtype) -> Result<Encoding> {
    match dtype {
        Dtype::F16 => Ok(Encoding::F16),
        Dtype::BF16 => Ok(Encoding::Bf16),
        Dtype::F32 => Ok(Encoding::F32),
        Dtype::F64 => Ok(Encoding::F64),
        other => Err(Error::input(format!(
            "tensor {:?} of {} holds numbers of type {other:?}; F16, BF16, F32 and F64 are read",
            printable(name),
            path.display()
        ))),
    }
}
