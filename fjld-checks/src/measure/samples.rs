//! Samples on disk as one long stream of rows, whatever files and number types they lie in.
//!
//! Headers are read first, so that a wrong shape in the last file is said before hours of reading; then every file is streamed once
//! from where its numbers begin.

use super::{listing, npy, safetensors};
use crate::error::{Error, Result};
use fjld_core::Moments;
use fjld_core::moments::Sample;
use half::{bf16, f16};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Bytes of a file worked on at a time, which stay in the second-level cache from the reading to the last pass over them.
const BLOCK: usize = 1 << 19;

/// Every batch costs the moments one pass over all their means and variances, which its rows share: as many of them at a time, where rows
/// are longer, as long as they take no more than [`LONG_BLOCK`]; and of the longest, [`FEWEST_ROWS`].
const ROWS: usize = 16;
const LONG_BLOCK: usize = 1 << 23;
const FEWEST_ROWS: usize = 4;

/// Whether little-endian numbers are this machine's own.
const NATIVE: bool = cfg!(target_endian = "little");

/// Numbers decoded between two reads.
const PIECE: usize = 1 << 15;

/// The file formats that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Npy,
    Safetensors,
}

impl Format {
    /// By the file's extension.
    pub fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?;
        if extension.eq_ignore_ascii_case("npy") {
            Some(Self::Npy)
        } else if extension.eq_ignore_ascii_case("safetensors") {
            Some(Self::Safetensors)
        } else {
            None
        }
    }
}

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    F16,
    Bf16,
    F32,
    F64,
    BigEndianF32,
    BigEndianF64,
}

impl Encoding {
    pub fn bytes(self) -> u64 {
        match self {
            Self::F16 | Self::Bf16 => 2,
            Self::F32 | Self::BigEndianF32 => 4,
            Self::F64 | Self::BigEndianF64 => 8,
        }
    }
}

/// Where in a file the numbers lie and what they are, by its header.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// The position of the first number.
    pub offset: u64,
    pub encoding: Encoding,
    /// `[n, d]`, or `[d]` for one sample.
    pub shape: Vec<u64>,
}

impl Layout {
    /// The bytes that numbers of this shape take, `None` where that is more than a file can have.
    pub fn data_bytes(&self) -> Option<u64> {
        self.shape
            .iter()
            .try_fold(self.encoding.bytes(), |bytes, &axis| {
                bytes.checked_mul(axis)
            })
    }
}

/// One file of samples.
struct Source {
    path: PathBuf,
    offset: u64,
    encoding: Encoding,
    rows: u64,
    dimension: usize,
}

/// All files of samples, of one dimension.
pub(crate) struct Samples {
    sources: Vec<Source>,
    rows: u64,
    dimension: usize,
}

impl Samples {
    /// Reads the headers of all files that `paths` name.
    ///
    /// # Errors
    /// For a file that is missing, of another format, malformed, or of another dimension than the first.
    pub fn find(paths: &[PathBuf], key: Option<&str>) -> Result<Self> {
        let mut sources: Vec<Source> = Vec::new();
        let mut rows = 0u64;
        for path in listing::files(paths)? {
            let source = Source::open(path, key)?;
            if let Some(first) = sources.first()
                && first.dimension != source.dimension
            {
                return Err(Error::input(format!(
                    "{} has dimension {} and {} has dimension {}; all samples must have the same dimension",
                    first.path.display(),
                    first.dimension,
                    source.path.display(),
                    source.dimension
                )));
            }
            rows = rows.saturating_add(source.rows);
            sources.push(source);
        }
        let dimension = sources.first().map_or(0, |source| source.dimension);
        Ok(Self {
            sources,
            rows,
            dimension,
        })
    }

    /// The number of samples in all files together, `n`.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The number of coordinates, `d`.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Reads every row once: the moments, and where `keep` the rows themselves, `[n, d]` (empty otherwise).
    ///
    /// # Errors
    /// For a file that can not be read to its end, a number that is not finite or too large, or rows that do not fit in memory.
    pub fn stream(&self, keep: bool) -> Result<(Moments, Vec<f64>)> {
        // asked for beforehand, because a failure inside the moments would end the process
        reserved::<f64>(self.dimension.saturating_mul(3), "a row")?;
        let numbers = usize::try_from(self.rows).unwrap_or(usize::MAX);
        let numbers = numbers.saturating_mul(self.dimension);
        let mut intake = Intake {
            moments: Moments::new(self.dimension)?,
            kept: match keep {
                true => Some(reserved(
                    numbers,
                    "all rows, which the effective rank needs,",
                )?),
                false => None,
            },
        };
        for source in &self.sources {
            source.stream(&mut intake)?;
        }
        Ok((intake.moments, intake.kept.unwrap_or_default()))
    }
}

impl Source {
    fn open(path: PathBuf, key: Option<&str>) -> Result<Self> {
        let Some(format) = Format::of(&path) else {
            return Err(Error::input(format!(
                "{} has {}; .npy and .safetensors are read",
                path.display(),
                match path.extension() {
                    Some(extension) => format!("the extension .{}", extension.to_string_lossy()),
                    None => "no extension".to_owned(),
                }
            )));
        };
        let unread = |error| Error::file("read", &path, &error);
        // before opening: a pipe would wait for its writer
        let metadata = std::fs::metadata(&path).map_err(unread)?;
        if !metadata.is_file() {
            return Err(Error::input(format!(
                "{} is neither a file nor a directory",
                path.display()
            )));
        }
        let mut file = File::open(&path).map_err(unread)?;
        let layout = match format {
            Format::Npy => npy::layout(&path, &mut file, metadata.len(), key)?,
            Format::Safetensors => safetensors::layout(&path, &mut file, metadata.len(), key)?,
        };
        let (rows, dimension) = match layout.shape[..] {
            [dimension] => (1, dimension),
            [rows, dimension] => (rows, dimension),
            _ => {
                return Err(Error::input(format!(
                    "{} has shape {:?}, of rank {}; [n, d] for n samples and [d] for one are read",
                    path.display(),
                    layout.shape,
                    layout.shape.len()
                )));
            }
        };
        let dimension = match usize::try_from(dimension) {
            Ok(dimension) if dimension > 0 => dimension,
            _ => {
                return Err(Error::input(format!(
                    "{} has dimension {dimension} (shape {:?}); a gradient must have at least one coordinate",
                    path.display(),
                    layout.shape
                )));
            }
        };
        Ok(Self {
            offset: layout.offset,
            encoding: layout.encoding,
            path,
            rows,
            dimension,
        })
    }

    fn stream(&self, intake: &mut Intake) -> Result<()> {
        match self.encoding {
            Encoding::F16 => self.stream_as(
                intake,
                widened(|raw| FromF16(f16::from_le_bytes(raw).into())),
            ),
            Encoding::Bf16 => self.stream_as(
                intake,
                widened(|raw| FromBf16(bf16::from_le_bytes(raw).into())),
            ),
            Encoding::F32 => self.stream_as(intake, in_place::<f32>(NATIVE)),
            Encoding::F64 => self.stream_as(intake, in_place::<f64>(NATIVE)),
            Encoding::BigEndianF32 => self.stream_as(intake, in_place::<f32>(!NATIVE)),
            Encoding::BigEndianF64 => self.stream_as(intake, in_place::<f64>(!NATIVE)),
        }
    }

    fn stream_as<T: Sample + Default + Send>(
        &self,
        intake: &mut Intake,
        mut fill: impl FnMut(&mut File, &mut [T]) -> io::Result<()> + Send,
    ) -> Result<()> {
        let unread = |error| Error::file("read", &self.path, &error);
        let mut file = File::open(&self.path).map_err(unread)?;
        file.seek(SeekFrom::Start(self.offset)).map_err(unread)?;
        let row = size_of::<T>().saturating_mul(self.dimension);
        let longer = (LONG_BLOCK / row).clamp(FEWEST_ROWS, ROWS);
        let rows_per_block = longer.max(BLOCK / row) as u64;
        let longest = rows_per_block.min(self.rows) as usize * self.dimension;
        let blocks_held = if self.rows > rows_per_block { 2 } else { 1 };
        let (give_back, empty) = sync_channel(blocks_held);
        let (pass_on, full) = sync_channel(blocks_held);
        for _ in 0..blocks_held {
            let block: Vec<T> = reserved(longest, "a row")?;
            give_back
                .send(block)
                .expect("there is room for every block, and `empty` is there");
        }
        let starts = (0..self.rows).step_by(rows_per_block as usize);
        let read = move |start: u64, block: &mut Vec<T>| {
            let rows = rows_per_block.min(self.rows - start);
            block.resize(rows as usize * self.dimension, T::default());
            fill(&mut file, block)
        };
        // `give_back` goes with the closure: after an error its end tells the reader, who may be waiting for a block, to stop
        thread::scope(move |scope| {
            scope.spawn(move || read_ahead(starts, empty, pass_on, read));
            for (row, block) in full {
                let block = block.map_err(unread)?;
                intake
                    .push(&block, row)
                    .map_err(|error| Error::input(format!("{}: {error}", self.path.display())))?;
                // nobody waits for it any more after the last block
                give_back.send(block).ok();
            }
            Ok(())
        })
    }
}

/// Fills blocks that come `empty` with the rows from each of `starts` on and passes them on, until a read fails or nobody takes them. One
/// block is read while another is added up.
fn read_ahead<T>(
    starts: impl Iterator<Item = u64>,
    empty: Receiver<Vec<T>>,
    pass_on: SyncSender<(u64, io::Result<Vec<T>>)>,
    mut read: impl FnMut(u64, &mut Vec<T>) -> io::Result<()>,
) {
    for (start, mut block) in starts.zip(empty) {
        let result = read(start, &mut block).map(|()| block);
        let failed = result.is_err();
        if pass_on.send((start, result)).is_err() || failed {
            return;
        }
    }
}

/// Reads numbers that are kept as they are stored straight to their place, and where the file has not the machine's order of bytes turns
/// them round there.
fn in_place<T: bytemuck::Pod>(native: bool) -> impl FnMut(&mut File, &mut [T]) -> io::Result<()> {
    move |file, numbers| {
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(numbers);
        file.read_exact(bytes)?;
        if !native {
            bytes
                .chunks_exact_mut(size_of::<T>())
                .for_each(<[u8]>::reverse);
        }
        Ok(())
    }
}

/// Reads numbers that are kept wider than they are stored, a piece at a time.
fn widened<const BYTES: usize, T>(
    decode: impl Fn([u8; BYTES]) -> T,
) -> impl FnMut(&mut File, &mut [T]) -> io::Result<()> {
    let mut bytes = Vec::new();
    move |file, numbers| {
        for piece in numbers.chunks_mut(PIECE) {
            bytes.resize(piece.len() * BYTES, 0);
            file.read_exact(&mut bytes)?;
            let (raw, _) = bytes.as_chunks::<BYTES>();
            piece
                .iter_mut()
                .zip(raw)
                .for_each(|(x, &raw)| *x = decode(raw));
        }
        Ok(())
    }
}

/// Where the rows go.
struct Intake {
    moments: Moments,
    kept: Option<Vec<f64>>,
}

impl Intake {
    /// Takes rows that start at row `first` of their file; an error counts rows from the file's beginning.
    fn push<T: Sample>(&mut self, rows: &[T], first: u64) -> fjld_core::Result<()> {
        let before = self.moments.count();
        self.moments.push_batch(rows).map_err(|mut error| {
            use fjld_core::Error::{NotFinite, TooLarge};
            if let NotFinite { row, .. } | TooLarge { row, .. } = &mut error {
                *row = *row - before + first;
            }
            error
        })?;
        if let Some(kept) = &mut self.kept {
            kept.extend(rows.iter().map(|&number| number.into()));
        }
        Ok(())
    }
}

/// An empty vector with room for `numbers` numbers, or a sentence where there is no such room.
fn reserved<T>(numbers: usize, what: &str) -> Result<Vec<T>> {
    let mut vector = Vec::new();
    vector.try_reserve_exact(numbers).map_err(|_| {
        Error::input(format!(
            "{what} of the samples takes {numbers} numbers, for which there is no memory"
        ))
    })?;
    Ok(vector)
}

/// A number that was stored as f16: widened once, and only as finely resolved as it was stored.
#[derive(Clone, Copy, Default)]
struct FromF16(f32);

impl From<FromF16> for f64 {
    fn from(number: FromF16) -> Self {
        number.0.into()
    }
}

impl Sample for FromF16 {
    const RESOLUTION: f64 = 1.0 / 1024.0;
}

/// The same for bf16.
#[derive(Clone, Copy, Default)]
struct FromBf16(f32);

impl From<FromBf16> for f64 {
    fn from(number: FromBf16) -> Self {
        number.0.into()
    }
}

impl Sample for FromBf16 {
    const RESOLUTION: f64 = 1.0 / 128.0;
}
