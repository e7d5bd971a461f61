//! Data sets that are not built in: the folder that `--data` names, what has to lie in it, and how to read that.

use crate::error::{Error, Result};
use crate::scenarios::store::hex;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A data set in files.
pub struct DataSet {
    /// Its name in scenarios.
    pub name: &'static str,
    /// The folder under `--data`.
    pub folder: &'static str,
    /// Its files with the SHA-256 of each, unpacked; `None` where copies differ. A file may have `.gz` behind its name.
    pub files: &'static [(&'static str, Option<&'static str>)],
    /// Where it comes from.
    pub source: &'static str,
    /// Where its files are to be had.
    pub published: Published,
}

/// How a data set is published.
#[derive(Clone, Copy, Debug)]
pub enum Published {
    /// Every file compressed, in a folder at this address.
    Gzips(&'static str),
    /// A compressed archive of all of them, and the SHA-256 of the archive.
    Archive(&'static str, &'static str),
    /// Its only file, under another name.
    Plain(&'static str),
}

/// MNIST: Y. LeCun, C. Cortes and C. Burges.
pub const MNIST: DataSet = DataSet {
    name: "mnist",
    folder: "mnist",
    files: &[
        (
            "train-images-idx3-ubyte",
            Some("ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
        ),
        (
            "train-labels-idx1-ubyte",
            Some("65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
        ),
        (
            "t10k-images-idx3-ubyte",
            Some("0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
        ),
        (
            "t10k-labels-idx1-ubyte",
            Some("ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
        ),
    ],
    source: "the four IDX files of MNIST",
    published: Published::Gzips("https://ossci-datasets.s3.amazonaws.com/mnist"),
};

/// CIFAR-10: A. Krizhevsky 2009, "Learning multiple layers of features from tiny images".
pub const CIFAR10: DataSet = DataSet {
    name: "cifar-10",
    folder: "cifar10",
    files: &[
        ("data_batch_1.bin", None),
        ("data_batch_2.bin", None),
        ("data_batch_3.bin", None),
        ("data_batch_4.bin", None),
        ("data_batch_5.bin", None),
        ("test_batch.bin", None),
    ],
    source: "the binary version of CIFAR-10; copies from JPEG differ in the last bits",
    published: Published::Archive(
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    ),
};

/// The text that A. Karpathy's char-rnn made known: 1,115,394 characters of Shakespeare.
pub const TINY_SHAKESPEARE: DataSet = DataSet {
    name: "tiny-shakespeare",
    folder: "text",
    files: &[(
        "tinyshakespeare.txt",
        Some("86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"),
    )],
    source: "input.txt of karpathy/char-rnn",
    published: Published::Plain(
        "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
    ),
};

/// Every data set that scenarios may ask a folder for.
pub const ALL: [&DataSet; 3] = [&MNIST, &CIFAR10, &TINY_SHAKESPEARE];

impl DataSet {
    /// Whether every file lies in `folder`.
    pub fn is_in(&self, folder: Option<&Path>) -> bool {
        folder.is_some_and(|folder| {
            let there = |(file, _): &(&str, _)| self.find(folder, file).is_some();
            self.files.iter().all(there)
        })
    }

    /// The folder that holds every file unpacked, if it is so.
    #[cfg(feature = "datasets")]
    pub(super) fn plain_in(&self, folder: Option<&Path>) -> Option<PathBuf> {
        let own = folder?.join(self.folder);
        let plain = |(file, _): &(&str, _)| own.join(file).is_file();
        self.files.iter().all(plain).then_some(own)
    }

    /// What has to lie where, in a phrase.
    pub fn wanted(&self) -> String {
        let files: Vec<&str> = self.files.iter().map(|(file, _)| *file).collect();
        format!(
            "DIR/{} holds {} (each may be compressed as .gz)",
            self.folder,
            files.join(", ")
        )
    }

    /// The bytes of a file, unpacked.
    ///
    /// # Errors
    /// When it is not there or can not be read.
    pub fn read(&self, folder: Option<&Path>, file: &str) -> Result<Vec<u8>> {
        let found = folder.and_then(|folder| self.find(folder, file));
        let Some(path) = found else {
            return Err(Error::input(format!(
                "the data set \"{0}\" is not there; give --data DIR where {1}, or let `fjld-checks data fetch {0} --data DIR` get it",
                self.name,
                self.wanted()
            )));
        };
        let bytes = std::fs::read(&path).map_err(|e| Error::file("read", &path, &e))?;
        if path.extension().is_none_or(|extension| extension != "gz") {
            return Ok(bytes);
        }
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(bytes.as_slice())
            .read_to_end(&mut unpacked)
            .map_err(|e| Error::file("unpacked", &path, &e))?;
        Ok(unpacked)
    }

    fn find(&self, folder: &Path, file: &str) -> Option<PathBuf> {
        let own = folder.join(self.folder);
        [own.join(file), own.join(format!("{file}.gz"))]
            .into_iter()
            .find(|path| path.is_file())
    }
}

/// Every data set: whether it is built in or lies in `folder`, and whether its bytes are the known ones.
///
/// # Errors
/// When a file that is there can not be read.
pub fn list(folder: Option<&Path>) -> Result<String> {
    let mut text = String::new();
    for name in ["digits", "modular-addition", "grammar"] {
        writeln!(text, "{name:<17} built in").expect("a string takes what is written to it");
    }
    for set in ALL {
        let state = if set.is_in(folder) { "there" } else { "absent" };
        writeln!(
            text,
            "{:<17} {state}: {}; {}",
            set.name,
            set.source,
            set.wanted()
        )
        .expect("a string takes what is written to it");
        if !set.is_in(folder) {
            continue;
        }
        for (file, known) in set.files {
            let found = hex(&Sha256::digest(set.read(folder, file)?));
            let judged = match known {
                None => "no sum is known to compare with",
                Some(known) if *known == found => "as known",
                Some(_) => "NOT as known",
            };
            writeln!(text, "  {file:<24} sha256 {found} ({judged})")
                .expect("a string takes what is written to it");
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_named_with_what_has_to_lie_where() {
        let said = TINY_SHAKESPEARE.read(None, "tinyshakespeare.txt");
        let said = said.expect_err("no folder was given").to_string();
        let wanted = "give --data DIR where DIR/text holds tinyshakespeare.txt";
        assert!(said.contains(wanted), "{said}");
    }

    #[test]
    fn a_compressed_file_is_read_as_the_plain_one_and_its_bytes_are_judged() -> Result<()> {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let own = folder.path().join("text");
        std::fs::create_dir(&own).expect("it is new");
        let file = std::fs::File::create(own.join("tinyshakespeare.txt.gz")).expect("it is new");
        let mut packer = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        std::io::Write::write_all(&mut packer, b"to be").expect("the file takes it");
        packer.finish().expect("the file takes it");
        let bytes = TINY_SHAKESPEARE.read(Some(folder.path()), "tinyshakespeare.txt")?;
        assert_eq!(bytes, b"to be");
        let listed = list(Some(folder.path()))?;
        assert!(listed.contains("NOT as known"), "{listed}");
        assert!(listed.contains("mnist             absent"), "{listed}");
        Ok(())
    }
}
