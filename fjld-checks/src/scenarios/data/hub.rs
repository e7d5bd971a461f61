//! Getting MNIST through candle-datasets, which takes it from the Hugging Face hub (the feature `hub`: it brings a hundred crates and more).
//!
//! What comes is written as the published files, whose sums are known, so that every run reads the same bytes wherever they came from.
//! CIFAR-10 is not taken this way: candle-datasets 0.11.1 gives images of the hub with rows and columns exchanged (it permutes height,
//! width and channel by (0, 3, 2, 1)), and no sum is known by which to find out when that changes.

use super::folder::DataSet;
#[cfg(feature = "hub")]
use super::folder::MNIST;
use crate::error::{Error, Result};
use std::path::Path;

/// Fetches what is not in `folder` yet. Nothing is written before everything is there and its sums are the known ones.
///
/// # Errors
/// When the program was built without the feature, the set is not to be had this way, or is not what it should be.
#[cfg(not(feature = "hub"))]
pub fn fetch(set: &DataSet, _folder: &Path) -> Result<String> {
    Err(Error::input(format!(
        "data fetch {0} --hub: this program was built without the hub; accepted is `data fetch {0}` by curl, or a build by `cargo build -p fjld-checks --features hub`",
        set.name
    )))
}

/// Fetches what is not in `folder` yet. Nothing is written before everything is there and its sums are the known ones.
///
/// # Errors
/// When the set is not to be had this way, can not be had, or is not what it should be.
#[cfg(feature = "hub")]
pub fn fetch(set: &DataSet, folder: &Path) -> Result<String> {
    if set.name != MNIST.name {
        return Err(Error::input(format!(
            "data fetch {0} --hub: the hub is asked for mnist only; accepted is `data fetch {0}` by curl",
            set.name
        )));
    }
    if set.is_in(Some(folder)) {
        return Ok(format!("{} is there already\n", set.name));
    }
    let loaded = candle_datasets::vision::mnist::load();
    let loaded = loaded.map_err(|e| {
        Error::input(format!(
            "mnist could not be had from the hub ({e}), and nothing was written; `data fetch mnist` gets it by curl"
        ))
    })?;
    super::fetch::keep(set, folder, idx_files(&loaded)?)
}

/// The four files that MNIST is published as.
#[cfg(feature = "hub")]
fn idx_files(
    set: &candle_datasets::vision::Dataset,
) -> Result<std::collections::BTreeMap<String, Vec<u8>>> {
    let parts = [
        ("train", &set.train_images, &set.train_labels),
        ("t10k", &set.test_images, &set.test_labels),
    ];
    let mut files = std::collections::BTreeMap::new();
    for (part, images, labels) in parts {
        let labels = labels.to_vec1::<u8>()?;
        let count = u32::try_from(labels.len()).expect("tens of thousands");
        let mut file = [0x801, count].map(u32::to_be_bytes).concat();
        file.extend(labels);
        files.insert(format!("{part}-labels-idx1-ubyte"), file);
        let mut file = [0x803, count, 28, 28].map(u32::to_be_bytes).concat();
        // p / 255 in single precision is nearest to p of all multiples of 1 / 255
        let pixels = images.flatten_all()?.to_vec1::<f32>()?;
        file.extend(pixels.iter().map(|p| (255.0 * p).round() as u8));
        files.insert(format!("{part}-images-idx3-ubyte"), file);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::super::folder::CIFAR10;
    use super::*;

    #[test]
    #[cfg(not(feature = "hub"))]
    fn without_the_feature_the_hub_is_refused_with_what_to_do() {
        let said = fetch(&CIFAR10, Path::new("anywhere")).expect_err("it was built without");
        assert!(said.to_string().contains("--features hub"), "{said}");
    }

    /// `cargo test -p fjld-checks --features hub --lib hub`
    #[cfg(feature = "hub")]
    mod with_candle_datasets {
        use super::super::super::{Examples, Values, images};
        use super::*;
        use candle_core::Tensor;
        use candle_datasets::vision;
        use fjld_core::rng::Seed;
        use rand::{Rng, RngExt};

        fn write(folder: &Path, files: impl IntoIterator<Item = (String, Vec<u8>)>) {
            std::fs::create_dir_all(folder).expect("it is mine");
            for (name, bytes) in files {
                std::fs::write(folder.join(name), bytes).expect("it is mine");
            }
        }

        /// candle multiplies by 1/255 where we divide by 255: two roundings of a number below 1, in single precision.
        const PIXEL: f32 = f32::EPSILON;

        fn agree(ours: &Examples, scale: &[(f32, f32)], theirs: (&Tensor, &Tensor)) -> Result<()> {
            let Values::Real(pixels) = &ours.inputs else {
                panic!("pixels are real numbers");
            };
            let (images, labels) = (
                theirs.0.flatten_all()?.to_vec1::<f32>()?,
                theirs.1.to_vec1::<u8>()?,
            );
            assert_eq!(pixels.len(), images.len());
            let plane = pixels.len() / ours.labels.len() / scale.len();
            for (at, (ours, theirs)) in pixels.iter().zip(&images).enumerate() {
                let (mean, deviation) = scale[at / plane % scale.len()];
                let gap = (ours * deviation + mean - theirs).abs();
                // subtracting, dividing, and both undone here: four roundings of numbers below 1
                assert!(gap <= PIXEL + 4.0 * f32::EPSILON, "{at}: {ours}, {theirs}");
            }
            assert!(
                ours.labels
                    .iter()
                    .copied()
                    .eq(labels.into_iter().map(u32::from))
            );
            Ok(())
        }

        #[test]
        fn mnist_in_files_is_what_candle_datasets_reads_and_can_be_written_again() -> Result<()> {
            let folder = tempfile::tempdir().expect("a folder");
            let own = folder.path().join("mnist");
            let mut rng = Seed::root(1).generator();
            let mut files = std::collections::BTreeMap::new();
            for (part, count) in [("train", 7u32), ("t10k", 3)] {
                let mut file = [0x803, count, 28, 28].map(u32::to_be_bytes).concat();
                file.extend((0..count * 28 * 28).map(|_| rng.random::<u8>()));
                files.insert(format!("{part}-images-idx3-ubyte"), file);
                let mut file = [0x801, count].map(u32::to_be_bytes).concat();
                file.extend((0..count).map(|label| label as u8));
                files.insert(format!("{part}-labels-idx1-ubyte"), file);
            }
            write(&own, files.clone());
            let theirs = vision::mnist::load_dir(&own)?;
            let (train, test) = images::mnist(Some(folder.path()))?;
            let as_they_are = [(0.0, 1.0)];
            agree(
                &train,
                &as_they_are,
                (&theirs.train_images, &theirs.train_labels),
            )?;
            agree(
                &test,
                &as_they_are,
                (&theirs.test_images, &theirs.test_labels),
            )?;
            assert_eq!(idx_files(&theirs)?, files);
            Ok(())
        }

        #[test]
        fn cifar_in_files_is_what_candle_datasets_reads_but_for_the_channels_scale() -> Result<()> {
            let folder = tempfile::tempdir().expect("a folder");
            let own = folder.path().join("cifar10");
            let mut rng = Seed::root(2).generator();
            // as many as candle-datasets reads of each file
            let mut records = || {
                let mut bytes = vec![0; 10_000 * (1 + 3 * 32 * 32)];
                rng.fill_bytes(&mut bytes);
                bytes
            };
            write(
                &own,
                CIFAR10
                    .files
                    .iter()
                    .map(|(name, _)| ((*name).to_owned(), records())),
            );
            let theirs = vision::cifar::load_dir(&own)?;
            let (train, test) = images::cifar10(Some(folder.path()))?;
            let scale = images::CHANNELS;
            agree(&train, &scale, (&theirs.train_images, &theirs.train_labels))?;
            agree(&test, &scale, (&theirs.test_images, &theirs.test_labels))
        }

        #[test]
        fn cifar_is_not_asked_of_the_hub() {
            let said = fetch(&CIFAR10, Path::new("anywhere")).expect_err("it is refused");
            assert!(said.to_string().contains("mnist only"), "{said}");
        }
    }
}
