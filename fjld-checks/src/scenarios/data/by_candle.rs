//! MNIST and CIFAR-10 by candle-datasets: from its hub, and out of a folder. Opt-in, by the feature `datasets`: what it brings along are
//! as many crates again as all others.
//!
//! Its pixels are numbers in `[0, 1]`; they are taken back to the bytes that they came from, so that a run is the same whoever read its
//! data. Its images of CIFAR-10 from the hub have rows and columns exchanged in 0.11.1, which is undone.

use super::folder::DataSet;
use crate::error::{Error, Result};
use candle_core::{DType, Tensor};
use candle_datasets::vision::{Dataset, cifar, mnist};
use std::collections::BTreeMap;
use std::path::Path;

/// Pixels and labels of one part of a set, image after image.
pub(super) type Part = (Vec<u8>, Vec<u8>);

/// MNIST out of a folder, `(train, test)`.
///
/// # Errors
/// When a file is not as it should be.
pub(super) fn mnist_in(folder: &Path) -> Result<[Part; 2]> {
    parts(&mnist::load_dir(folder).map_err(|e| not_read(folder, &e))?)
}

/// CIFAR-10 out of a folder, `(train, test)`; planes of red, green and blue.
///
/// # Errors
/// When a file is not as it should be.
pub(super) fn cifar10_in(folder: &Path) -> Result<[Part; 2]> {
    parts(&cifar::load_dir(folder).map_err(|e| not_read(folder, &e))?)
}

fn not_read(folder: &Path, why: &candle_core::Error) -> Error {
    Error::input(format!("{} could not be read: {why}", folder.display()))
}

/// The files of a set as its hub has it, by their names.
///
/// # Errors
/// When the set is none of candle's, or can not be had.
pub(super) fn from_hub(set: &DataSet) -> Result<BTreeMap<String, Vec<u8>>> {
    let absent = |why: candle_core::Error| {
        Error::input(format!(
            "{} could not be had from the hub ({why}), and nothing was written",
            set.name
        ))
    };
    match set.name {
        "mnist" => Ok(idx_files(&parts(&mnist::load().map_err(absent)?)?)),
        "cifar-10" => Ok(record_files(&parts(&upright(
            cifar::load().map_err(absent)?,
        )?)?)),
        other => Err(Error::input(format!(
            "--hub: candle-datasets has no \"{other}\"; accepted are mnist and cifar-10"
        ))),
    }
}

/// Images `[n, 3, columns, rows]` turned into `[n, 3, rows, columns]`.
fn upright(set: Dataset) -> Result<Dataset> {
    Ok(Dataset {
        train_images: set.train_images.transpose(2, 3)?,
        test_images: set.test_images.transpose(2, 3)?,
        ..set
    })
}

fn parts(set: &Dataset) -> Result<[Part; 2]> {
    let part = |images: &Tensor, labels: &Tensor| -> Result<Part> {
        let pixels = ((images * 255.0)?.round()?).to_dtype(DType::U8)?;
        let labels = labels.to_dtype(DType::U8)?;
        Ok((pixels.flatten_all()?.to_vec1()?, labels.to_vec1()?))
    };
    Ok([
        part(&set.train_images, &set.train_labels)?,
        part(&set.test_images, &set.test_labels)?,
    ])
}

/// The four files of MNIST.
fn idx_files(parts: &[Part; 2]) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for (name, (pixels, labels)) in ["train", "t10k"].into_iter().zip(parts) {
        let count = labels.len() as u32;
        let file = |magic: u32, sizes: &[u32], content: &[u8]| {
            let numbers = std::iter::once(&magic).chain(sizes);
            let header = numbers.flat_map(|n| n.to_be_bytes());
            header.chain(content.iter().copied()).collect()
        };
        let images = file(0x803, &[count, 28, 28], pixels);
        files.insert(format!("{name}-images-idx3-ubyte"), images);
        let labels = file(0x801, &[count], labels);
        files.insert(format!("{name}-labels-idx1-ubyte"), labels);
    }
    files
}

/// Images in one file of CIFAR-10.
const BATCH: usize = 10_000;
/// Three planes of 32 x 32.
const PIXELS: usize = 3 * 32 * 32;

/// The six files of CIFAR-10: records of a label and the pixels.
fn record_files([train, test]: &[Part; 2]) -> BTreeMap<String, Vec<u8>> {
    let records = |pixels: &[u8], labels: &[u8]| {
        let both = labels.iter().zip(pixels.chunks(PIXELS));
        both.flat_map(|(&label, pixels)| std::iter::once(label).chain(pixels.iter().copied()))
            .collect::<Vec<u8>>()
    };
    let batches = train.0.chunks(BATCH * PIXELS).zip(train.1.chunks(BATCH));
    let mut files: BTreeMap<String, Vec<u8>> = batches
        .enumerate()
        .map(|(at, (pixels, labels))| {
            let name = format!("data_batch_{}.bin", at + 1);
            (name, records(pixels, labels))
        })
        .collect();
    files.insert("test_batch.bin".into(), records(&test.0, &test.1));
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn set(shape: &[usize]) -> Result<Dataset> {
        let count: usize = shape.iter().product();
        let bytes = (0..count).map(|at| (at % 256) as f32);
        let images = Tensor::from_vec(bytes.collect::<Vec<_>>(), shape, &Device::Cpu)?;
        let images = (images / 255.0)?;
        let labels = Tensor::from_vec(vec![3u8; shape[0]], shape[0], &Device::Cpu)?;
        Ok(Dataset {
            train_images: images.clone(),
            train_labels: labels.clone(),
            test_images: images,
            test_labels: labels,
            labels: 10,
        })
    }

    fn write(folder: &Path, files: BTreeMap<String, Vec<u8>>) {
        for (name, bytes) in files {
            std::fs::write(folder.join(name), bytes).expect("the folder is mine");
        }
    }

    #[test]
    fn every_byte_of_mnist_comes_back_out_of_the_files_that_are_made_of_it() -> Result<()> {
        let folder = tempfile::tempdir().expect("a folder");
        let made = parts(&set(&[3, 784])?)?;
        assert_eq!(made[0].0[..3], [0, 1, 2]);
        write(folder.path(), idx_files(&made));
        assert_eq!(mnist_in(folder.path())?, made);
        Ok(())
    }

    #[test]
    fn cifar_comes_back_out_of_its_files_and_from_the_hub_it_is_turned_over() -> Result<()> {
        let folder = tempfile::tempdir().expect("a folder");
        let one = set(&[1, 3, 32, 32])?;
        let turned = parts(&upright(set(&[1, 3, 32, 32])?)?)?;
        assert_eq!(turned[0].0[..3], [0, 32, 64]);
        // its reader takes files of ten thousand images and no others
        let (pixels, labels) = parts(&one)?[0].clone();
        let many = |times: usize| (pixels.repeat(times), labels.repeat(times));
        let made = [many(5 * BATCH), many(BATCH)];
        write(folder.path(), record_files(&made));
        assert!(cifar10_in(folder.path())? == made);
        Ok(())
    }

    #[test]
    fn a_set_that_candle_does_not_have_is_refused_and_an_unreadable_folder_named() {
        let said = from_hub(&super::super::folder::TINY_SHAKESPEARE).expect_err("no loader");
        assert!(said.to_string().contains("accepted are mnist and cifar-10"));
        let said = mnist_in(Path::new("no/such/folder")).expect_err("it is not there");
        assert!(
            said.to_string()
                .starts_with("no/such/folder could not be read")
        );
    }
}
