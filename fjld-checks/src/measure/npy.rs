//! The header of a `.npy` file (NumPy Enhancement Proposal 1, versions 1.0 to 3.0).
//!
//! `npyz` parses it, after checks that keep out what its parser is not made for: it recurses with the nesting of brackets, tries
//! alternatives again at every level, and does arithmetic on numbers of any length.

use super::samples::{Encoding, Layout};
use crate::error::{Error, Result, printable};
use npyz::{DType, Endianness, NpyHeader, Order, TypeChar};
use std::fs::File;
use std::io::Read;
use std::path::Path;

const MAGIC: &[u8] = b"\x93NUMPY";

/// A plain array's header takes about 100 bytes.
const LONGEST_HEADER: u64 = 64 << 10;

/// Where the numbers of a `.npy` file of `length` bytes lie.
///
/// # Errors
/// For a file that is no `.npy` file, is cut short or too long, or holds another type or order of numbers than can be streamed; and for
/// a `key`, which there is nothing to use for.
pub(super) fn layout(
    path: &Path,
    file: &mut File,
    length: u64,
    key: Option<&str>,
) -> Result<Layout> {
    let name = path.display();
    if let Some(key) = key {
        return Err(Error::input(format!(
            "--key {key} names a tensor of a .safetensors file; {name} is one array without a name"
        )));
    }
    let bytes = read_header(path, file, length)?;
    let header = NpyHeader::from_reader(&bytes[..]).map_err(|_| not_plain(path, &bytes))?;
    let layout = Layout {
        offset: bytes.len() as u64,
        encoding: encoding(path, &header.dtype())?,
        shape: header.shape().to_vec(),
    };
    // a vector, and a matrix of one row or column, are laid out the same way in both orders
    let long_axes = layout.shape.iter().filter(|&&axis| axis > 1).count();
    if header.order() == Order::Fortran && long_axes > 1 {
        return Err(Error::input(format!(
            "{name} is in Fortran order, column after column; rows can be streamed only in C order: save numpy.ascontiguousarray(samples)"
        )));
    }
    let promised = layout.data_bytes().ok_or_else(|| {
        Error::input(format!(
            "{name} has shape {:?} in its header, which is larger than any file",
            layout.shape
        ))
    })?;
    let present = length - layout.offset;
    if promised != present {
        return Err(Error::input(format!(
            "{name} is {}: shape {:?} takes {promised} bytes, and {present} follow the header",
            if present < promised {
                "cut short"
            } else {
                "too long"
            },
            layout.shape
        )));
    }
    Ok(layout)
}

/// Everything before the numbers: magic, version, length, and a header text that is safe to parse.
fn read_header(path: &Path, file: &mut File, length: u64) -> Result<Vec<u8>> {
    let name = path.display();
    let unread = |error| Error::file("read", path, &error);
    let mut bytes = Vec::new();
    file.take(8).read_to_end(&mut bytes).map_err(unread)?;
    if bytes.len() < 8 || !bytes.starts_with(MAGIC) {
        return Err(Error::input(format!(
            "{name} is no .npy file: it does not begin with \\x93NUMPY and a version"
        )));
    }
    // version 1.0 gives the length of the text in 2 bytes, the later ones in 4
    let width = match (bytes[6], bytes[7]) {
        (1, 0) => 2,
        (2 | 3, 0) => 4,
        (major, minor) => {
            return Err(Error::input(format!(
                "{name} is of .npy version {major}.{minor}; 1.0, 2.0 and 3.0 are read"
            )));
        }
    };
    file.take(width).read_to_end(&mut bytes).map_err(unread)?;
    let text_length = bytes[8..]
        .iter()
        .rev()
        .fold(0, |sum, &byte| sum << 8 | u64::from(byte));
    if text_length > LONGEST_HEADER {
        return Err(Error::input(format!(
            "{name} announces a header of {text_length} bytes; at most {LONGEST_HEADER} are read"
        )));
    }
    let header_length = 8 + width + text_length;
    if header_length > length {
        return Err(Error::input(format!(
            "{name} is cut short: its header takes {header_length} bytes, and the file has {length}"
        )));
    }
    file.take(text_length)
        .read_to_end(&mut bytes)
        .map_err(unread)?;
    let text = bytes.get(8 + width as usize..).unwrap_or_default();
    if bytes.len() as u64 != header_length || !is_plain(text) {
        return Err(not_plain(path, &bytes));
    }
    Ok(bytes)
}

/// Whether a header text can be that of an array of plain numbers: a dictionary with a tuple in it and nothing deeper, and no sign,
/// escape or other character that such a header has no use for.
fn is_plain(text: &[u8]) -> bool {
    let opened = text.iter().filter(|byte| b"{[(".contains(byte)).count();
    let known = |byte: &u8| byte.is_ascii_alphanumeric() || b" \n_'\":,<>|=(){}[]".contains(byte);
    opened <= 2 && text.iter().all(known)
}

fn not_plain(path: &Path, header: &[u8]) -> Error {
    let text = String::from_utf8_lossy(header.get(10..).unwrap_or_default());
    Error::input(format!(
        "{} has a header that is not of a plain array of numbers: {}",
        path.display(),
        printable(&text)
    ))
}

fn encoding(path: &Path, dtype: &DType) -> Result<Encoding> {
    if let DType::Plain(number) = dtype
        && number.type_char() == TypeChar::Float
    {
        match (number.size_field(), number.endianness()) {
            (4, Endianness::Little) => return Ok(Encoding::F32),
            (8, Endianness::Little) => return Ok(Encoding::F64),
            (4, Endianness::Big) => return Ok(Encoding::BigEndianF32),
            (8, Endianness::Big) => return Ok(Encoding::BigEndianF64),
            _ => {}
        }
    }
    Err(Error::input(format!(
        "{} holds numbers of type {}; 'f4' and 'f8' are read from .npy (f16 and bf16 from .safetensors)",
        path.display(),
        printable(&dtype.descr())
    )))
}
