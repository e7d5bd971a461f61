//! Images in files: MNIST's IDX format and CIFAR-10's binary records.

use super::Examples;
use super::folder::{CIFAR10, MNIST};
use crate::error::{Error, Result};
use crate::precision::Scalar;
use std::path::Path;

/// MNIST, `(train, test)`: 60,000 and 10,000 images of 28 x 28, pixels in `[0, 1]`.
///
/// # Errors
/// When a file is not there or not as it should be.
pub fn mnist(folder: Option<&Path>) -> Result<(Examples, Examples)> {
    #[cfg(feature = "datasets")]
    if let Some(plain) = MNIST.plain_in(folder) {
        return Ok(super::by_candle::mnist_in(&plain)?
            .map(|(pixels, classes)| grey(&pixels, &[28, 28], &classes))
            .into());
    }
    let part = |name: &str| -> Result<Examples> {
        let images = MNIST.read(folder, &format!("{name}-images-idx3-ubyte"))?;
        let labels = MNIST.read(folder, &format!("{name}-labels-idx1-ubyte"))?;
        idx(&images, &labels)
    };
    Ok((part("train")?, part("t10k")?))
}

/// CIFAR-10, `(train, test)`: 50,000 and 10,000 images of 3 x 32 x 32, channels centred and scaled by the means and standard deviations
/// of the training set.
///
/// # Errors
/// When a file is not there or not as it should be.
pub fn cifar10(folder: Option<&Path>) -> Result<(Examples, Examples)> {
    #[cfg(feature = "datasets")]
    if let Some(plain) = CIFAR10.plain_in(folder) {
        return Ok(super::by_candle::cifar10_in(&plain)?
            .map(|(pixels, classes)| coloured(pixels.chunks_exact(3 * PLANE).zip(classes)))
            .into());
    }
    let mut train = Vec::new();
    for batch in 1..=5 {
        train.extend(CIFAR10.read(folder, &format!("data_batch_{batch}.bin"))?);
    }
    let test = CIFAR10.read(folder, "test_batch.bin")?;
    Ok((records(&train)?, records(&test)?))
}

/// The big-endian numbers that an IDX file starts with: a magic number, then the sizes of its axes.
fn header(bytes: &[u8], magic: u32, axes: usize) -> Result<Vec<usize>> {
    let numbers = bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|b| u32::from_be_bytes(*b));
    let numbers: Vec<u32> = numbers.take(axes + 1).collect();
    match numbers.split_first() {
        Some((&found, sizes)) if found == magic && sizes.len() == axes => {
            Ok(sizes.iter().map(|&s| s as usize).collect())
        }
        _ => Err(Error::input(format!(
            "an IDX file starts with {numbers:?}; it must start with {magic} and {axes} sizes"
        ))),
    }
}

fn idx(images: &[u8], labels: &[u8]) -> Result<Examples> {
    // unsigned bytes in three axes, and in one
    let sizes = header(images, 0x803, 3)?;
    let count = header(labels, 0x801, 1)?[0];
    let (pixels, classes) = (&images[16..], &labels[8..]);
    let wanted: usize = sizes.iter().product();
    if pixels.len() != wanted || classes.len() != count || sizes[0] != count {
        return Err(Error::input(format!(
            "IDX files of {} pixels and {} labels say that they hold {sizes:?} pixels and {count} labels",
            pixels.len(),
            classes.len()
        )));
    }
    Ok(grey(pixels, &sizes[1..], classes))
}

fn grey(pixels: &[u8], sizes: &[usize], classes: &[u8]) -> Examples {
    let inputs = pixels.iter().map(|&p| Scalar::from(p) / 255.0).collect();
    let labels = classes.iter().map(|&l| u32::from(l)).collect();
    Examples::of_images(inputs, sizes, labels)
}

const SIDE: usize = 32;
const PLANE: usize = SIDE * SIDE;
/// Red, green and blue: the means and standard deviations of the training set's pixels, in `[0, 1]`.
const CHANNELS: [(Scalar, Scalar); 3] = [(0.4914, 0.2470), (0.4822, 0.2435), (0.4465, 0.2616)];

/// Records of a label and three planes of pixels.
fn records(bytes: &[u8]) -> Result<Examples> {
    let length = 1 + 3 * PLANE;
    if bytes.is_empty() || !bytes.len().is_multiple_of(length) {
        return Err(Error::input(format!(
            "a file of CIFAR-10 has {} bytes; it must be records of {length}",
            bytes.len()
        )));
    }
    let records = bytes.chunks_exact(length);
    Ok(coloured(records.map(|record| (&record[1..], record[0]))))
}

/// Three planes of pixels and a label, image after image.
fn coloured<'a>(images: impl Iterator<Item = (&'a [u8], u8)>) -> Examples {
    let (mut inputs, mut labels) = (Vec::new(), Vec::new());
    for (planes, label) in images {
        labels.push(u32::from(label));
        for (channel, pixels) in CHANNELS.iter().zip(planes.chunks_exact(PLANE)) {
            let (mean, deviation) = channel;
            inputs.extend(
                pixels
                    .iter()
                    .map(|&p| (Scalar::from(p) / 255.0 - mean) / deviation),
            );
        }
    }
    Examples::of_images(inputs, &[3, SIDE, SIDE], labels)
}

#[cfg(test)]
mod tests {
    use super::super::Values;
    use super::*;

    fn real(examples: &Examples) -> &[Scalar] {
        match &examples.inputs {
            Values::Real(values) => values,
            Values::Index(_) => &[],
        }
    }

    #[test]
    fn two_images_of_two_by_one_pixels_are_read_from_idx() -> Result<()> {
        let images = [
            0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 255, 51, 102,
        ];
        let labels = [0, 0, 8, 1, 0, 0, 0, 2, 7, 3];
        let examples = idx(&images, &labels)?;
        assert_eq!(real(&examples), [0.0, 1.0, 0.2, 0.4]);
        assert_eq!((examples.labels, examples.shape), (vec![7, 3], vec![2, 1]));
        let said = idx(&images[..19], &labels).expect_err("a pixel is missing");
        assert!(said.to_string().contains("3 pixels"), "{said}");
        let said = idx(&labels, &images).expect_err("they were exchanged");
        assert!(said.to_string().contains("must start with 2051"), "{said}");
        assert!(idx(&[], &[]).is_err());
        Ok(())
    }

    #[test]
    fn a_record_of_cifar_is_a_label_and_three_planes() -> Result<()> {
        let mut record = vec![9];
        record.extend([0; SIDE * SIDE]);
        record.extend([255; SIDE * SIDE]);
        record.extend([0; SIDE * SIDE]);
        let examples = records(&record)?;
        assert_eq!(examples.labels, [9]);
        let pixels = real(&examples);
        assert_eq!(pixels[SIDE * SIDE], (1.0 - 0.4822) / 0.2435);
        assert_eq!(pixels[2 * SIDE * SIDE], -0.4465 / 0.2616);
        assert!(records(&record[1..]).is_err() && records(&[]).is_err());
        Ok(())
    }

    #[test]
    fn an_idx_header_is_held_to_its_magic_number_and_to_all_of_its_sizes() -> Result<()> {
        // the magic number of three axes, and the sizes 2, 28 and 1
        let bytes = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 1];
        assert_eq!(header(&bytes, 0x803, 3)?, [2, 28, 1]);
        let refused = |bytes: &[u8], magic, axes| {
            let said = header(bytes, magic, axes).expect_err("it is another header");
            said.to_string()
        };
        assert_eq!(
            refused(&bytes[..12], 0x803, 3),
            "an IDX file starts with [2051, 2, 28]; it must start with 2051 and 3 sizes"
        );
        assert_eq!(
            refused(&bytes, 0x801, 1),
            "an IDX file starts with [2051, 2]; it must start with 2049 and 1 sizes"
        );
        Ok(())
    }
}
