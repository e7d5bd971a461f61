//! Getting a data set: from where it is published, by `curl`, or from the hub of candle-datasets; checked, and written whole or not at
//! all.

use super::folder::{ALL, DataSet, Published};
use crate::error::{Error, Result};
use crate::files::write_whole;
use crate::scenarios::store::hex;
use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::Command;

/// The data set of this name.
///
/// # Errors
/// When there is none, or it is built in.
pub fn named(name: &str) -> Result<&'static DataSet> {
    let built_in = ["digits", "modular-addition", "grammar"];
    if built_in.contains(&name) {
        return Err(Error::input(format!(
            "the data set \"{name}\" is built in: there is nothing to fetch"
        )));
    }
    let found = ALL.into_iter().find(|set| set.name == name);
    found.ok_or_else(|| {
        let names = ALL.map(|set| set.name).join(", ");
        Error::input(format!(
            "no data set is called \"{name}\"; accepted are {names}"
        ))
    })
}

/// Where a data set is to be had from.
#[derive(Clone, Copy, Debug)]
pub enum From<'a> {
    /// Where it is published.
    Published,
    /// A folder with the same files at this address.
    Mirror(&'a str),
    /// The hub of candle-datasets.
    Hub,
}

/// Fetches what is not in `folder` yet. Nothing is written before everything is there and its sums are the known ones.
///
/// # Errors
/// When it can not be had, or is not what it should be; the error says how to get it by hand.
pub fn fetch(set: &DataSet, folder: &Path, from: From) -> Result<String> {
    if set.is_in(Some(folder)) {
        return Ok(format!("{} is there already\n", set.name));
    }
    let mut files = match from {
        From::Published => by_curl(set, folder, None)?,
        From::Mirror(url) => by_curl(set, folder, Some(url))?,
        From::Hub => from_hub(set)?,
    };
    let own = folder.join(set.folder);
    let mut wanted = Vec::new();
    for (name, known) in set.files {
        let Some(bytes) = files.remove(*name) else {
            return Err(Error::input(format!(
                "what was fetched holds no {name}, and nothing was written"
            )));
        };
        refuse_other(name, &bytes, *known)?;
        wanted.push((own.join(name), bytes));
    }
    for (path, bytes) in &wanted {
        write_whole(path, bytes)?;
    }
    Ok(format!(
        "{} is in {}: {} files\n",
        set.name,
        own.display(),
        wanted.len()
    ))
}

#[cfg(feature = "datasets")]
use super::by_candle::from_hub;

#[cfg(not(feature = "datasets"))]
fn from_hub(_: &DataSet) -> Result<Files> {
    Err(Error::input(
        "--hub: this program was built without candle-datasets; accepted is to leave it out, or a build by `cargo build -p fjld-checks --features datasets`",
    ))
}

/// Bytes by the name of their file.
type Files = BTreeMap<String, Vec<u8>>;

fn by_curl(set: &DataSet, folder: &Path, mirror: Option<&str>) -> Result<Files> {
    let mut files = BTreeMap::new();
    for (url, packed) in set.published.downloads(set, mirror) {
        let bytes = download(&url).map_err(|why| {
            Error::input(format!(
                "{url} could not be fetched ({why}), and nothing was written; get it by hand, so that {}",
                set.wanted().replace("DIR", &folder.display().to_string())
            ))
        })?;
        files.extend(match packed {
            Packed::File(name) => vec![(name, bytes)],
            Packed::Gzip(name) => vec![(name, gunzip(&url, &bytes)?)],
            Packed::Archive(known) => {
                refuse_other(&url, &bytes, Some(known))?;
                members(&gunzip(&url, &bytes)?)
            }
        });
    }
    Ok(files)
}

/// Refuses bytes whose sum is not the known one.
fn refuse_other(name: &str, bytes: &[u8], known: Option<&str>) -> Result<()> {
    let sum = hex(&Sha256::digest(bytes));
    match known.filter(|known| *known != sum) {
        None => Ok(()),
        Some(known) => Err(Error::input(format!(
            "{name} has the SHA-256 {sum}; the known one is {known}, and nothing was written"
        ))),
    }
}

/// How a download holds the files of a set.
enum Packed {
    /// The file itself.
    File(String),
    /// Compressed.
    Gzip(String),
    /// A compressed archive of all of them, with this SHA-256.
    Archive(&'static str),
}

impl Published {
    /// Addresses, each with what it holds.
    fn downloads(self, set: &DataSet, mirror: Option<&str>) -> Vec<(String, Packed)> {
        let at = |url: &str| match mirror {
            None => url.to_owned(),
            Some(mirror) => {
                let file = url.rsplit('/').next().unwrap_or_default();
                format!("{}/{file}", mirror.trim_end_matches('/'))
            }
        };
        let files = || set.files.iter().map(|(file, _)| (*file).to_owned());
        match self {
            Self::Gzips(base) => files()
                .map(|file| (at(&format!("{base}/{file}.gz")), Packed::Gzip(file)))
                .collect(),
            Self::Archive(url, sum) => vec![(at(url), Packed::Archive(sum))],
            Self::Plain(url) => files().map(|file| (at(url), Packed::File(file))).collect(),
        }
    }
}

/// The bytes at an address; the reason where they can not be had.
fn download(url: &str) -> std::result::Result<Vec<u8>, String> {
    let mut curl = Command::new("curl");
    curl.args([
        "--fail",
        "--silent",
        "--show-error",
        "--location",
        "--max-time",
        "1800",
        url,
    ]);
    let output = curl
        .output()
        .map_err(|e| format!("the program curl could not be started: {e}"))?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

fn gunzip(url: &str, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    GzDecoder::new(bytes)
        .read_to_end(&mut unpacked)
        .map_err(|e| Error::input(format!("{url} is no gzip file ({e}); nothing was written")))?;
    Ok(unpacked)
}

/// The files of a tar archive by their names without folders.
fn members(tar: &[u8]) -> Vec<(String, Vec<u8>)> {
    const BLOCK: usize = 512;
    let text = |bytes: &[u8]| {
        let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).trim().to_owned()
    };
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(header) = tar.get(at..at + BLOCK) {
        at += BLOCK;
        let Ok(size) = usize::from_str_radix(&text(&header[124..136]), 8) else {
            break;
        };
        let name = text(&header[..100]);
        // a plain file has the type 0, as a digit or as a byte
        if matches!(header[156], b'0' | 0)
            && let Some(content) = tar.get(at..at + size)
        {
            let name = name.rsplit('/').next().unwrap_or_default().to_owned();
            found.push((name, content.to_vec()));
        }
        at += size.div_ceil(BLOCK) * BLOCK;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::folder::{CIFAR10, TINY_SHAKESPEARE};
    use super::*;

    fn entries(folder: &Path) -> usize {
        std::fs::read_dir(folder).map_or(0, Iterator::count)
    }

    fn local(folder: &tempfile::TempDir) -> String {
        format!("file://{}", folder.path().display())
    }

    #[test]
    fn a_set_is_fetched_from_a_copy_and_a_second_time_is_there() -> Result<()> {
        let (mirror, folder) = (tempfile::tempdir(), tempfile::tempdir());
        let (mirror, folder) = (mirror.expect("a folder"), folder.expect("a folder"));
        std::fs::write(mirror.path().join("input.txt"), b"to be").expect("it is mine");
        let sum: &'static str = Box::leak(hex(&Sha256::digest(b"to be")).into_boxed_str());
        let files: &'static [_] = Box::leak(Box::new([("tinyshakespeare.txt", Some(sum))]));
        let set = DataSet {
            files,
            ..TINY_SHAKESPEARE
        };
        let said = fetch(&set, folder.path(), From::Mirror(&local(&mirror)))?;
        assert!(said.contains("1 files"), "{said}");
        let bytes = set.read(Some(folder.path()), "tinyshakespeare.txt")?;
        assert_eq!(bytes, b"to be");
        let again = fetch(&set, folder.path(), From::Mirror("file:///no/such/folder"))?;
        assert!(again.contains("there already"), "{again}");
        Ok(())
    }

    #[test]
    fn other_bytes_than_the_known_ones_are_refused_and_nothing_is_written() {
        let (mirror, folder) = (tempfile::tempdir(), tempfile::tempdir());
        let (mirror, folder) = (mirror.expect("a folder"), folder.expect("a folder"));
        std::fs::write(mirror.path().join("input.txt"), b"not to be").expect("it is mine");
        let said = fetch(
            &TINY_SHAKESPEARE,
            folder.path(),
            From::Mirror(&local(&mirror)),
        );
        let said = said.expect_err("the sum differs").to_string();
        assert!(said.contains("the known one is 86c4e6aa"), "{said}");
        assert_eq!(entries(folder.path()), 0);
    }

    #[test]
    fn an_archive_is_held_to_its_own_sum_before_it_is_opened() {
        let (mirror, folder) = (tempfile::tempdir(), tempfile::tempdir());
        let (mirror, folder) = (mirror.expect("a folder"), folder.expect("a folder"));
        let archive = mirror.path().join("cifar-10-binary.tar.gz");
        std::fs::write(archive, b"something else").expect("it is mine");
        let said = fetch(&CIFAR10, folder.path(), From::Mirror(&local(&mirror)));
        let said = said.expect_err("the sum differs").to_string();
        assert!(said.contains("the known one is c4a38c50"), "{said}");
        assert_eq!(entries(folder.path()), 0);
    }

    #[test]
    fn without_a_network_the_error_says_what_to_put_where() {
        let folder = tempfile::tempdir().expect("a folder");
        // nobody listens there
        let said = fetch(
            &TINY_SHAKESPEARE,
            folder.path(),
            From::Mirror("http://127.0.0.1:9"),
        );
        let said = said.expect_err("it can not be had").to_string();
        assert!(said.contains("http://127.0.0.1:9/input.txt"), "{said}");
        let place = format!("{}/text holds tinyshakespeare.txt", folder.path().display());
        assert!(said.contains(&place), "{said}");
        assert_eq!(entries(folder.path()), 0);
    }

    #[test]
    #[cfg(not(feature = "datasets"))]
    fn without_the_feature_the_hub_is_refused_with_how_to_build() {
        let folder = tempfile::tempdir().expect("a folder");
        let said = fetch(&CIFAR10, folder.path(), From::Hub).expect_err("it was built without");
        assert!(said.to_string().contains("--features datasets"), "{said}");
        assert_eq!(entries(folder.path()), 0);
    }

    #[test]
    fn a_name_that_is_none_or_built_in_is_refused() {
        let said = |name| {
            named(name)
                .map(|set| set.name)
                .expect_err("none")
                .to_string()
        };
        assert!(said("letters").contains("accepted are mnist, cifar-10, tiny-shakespeare"));
        assert!(said("digits").contains("built in"));
    }

    #[test]
    fn the_plain_files_of_an_archive_are_found_under_their_own_names() {
        let mut tar = Vec::new();
        for (name, kind, content) in [
            ("folder/", b'5', &b""[..]),
            ("folder/one.bin", b'0', &b"123"[..]),
            ("folder/two.bin", 0, &[7; 600][..]),
        ] {
            let mut header = [0u8; 512];
            header[..name.len()].copy_from_slice(name.as_bytes());
            let size = format!("{:011o}", content.len());
            header[124..135].copy_from_slice(size.as_bytes());
            header[156] = kind;
            tar.extend(header);
            tar.extend(content);
            tar.resize(tar.len().next_multiple_of(512), 0);
        }
        tar.resize(tar.len() + 1024, 0);
        let found = members(&tar);
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["one.bin", "two.bin"]);
        assert_eq!(
            (found[0].1.as_slice(), found[1].1.len()),
            (&b"123"[..], 600)
        );
    }

    /// A set of two files that is published compressed.
    const PAIR: DataSet = DataSet {
        files: &[("one.bin", None), ("two.bin", None)],
        published: Published::Gzips("https://no.such.place/pair"),
        ..TINY_SHAKESPEARE
    };

    #[test]
    fn files_that_are_published_compressed_are_kept_unpacked() -> Result<()> {
        let (mirror, folder) = (tempfile::tempdir(), tempfile::tempdir());
        let (mirror, folder) = (mirror.expect("a folder"), folder.expect("a folder"));
        let contents = [("one.bin", &b"to be"[..]), ("two.bin", &[7; 3000][..])];
        for (name, content) in contents {
            let path = mirror.path().join(format!("{name}.gz"));
            let file = std::fs::File::create(path).expect("it is new");
            let mut packer = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
            std::io::Write::write_all(&mut packer, content).expect("the file takes it");
            packer.finish().expect("the file takes it");
        }
        fetch(&PAIR, folder.path(), From::Mirror(&local(&mirror)))?;
        for (name, content) in contents {
            let kept = std::fs::read(folder.path().join(PAIR.folder).join(name));
            assert_eq!(kept.expect("it was fetched"), content, "{name}");
        }
        Ok(())
    }

    #[test]
    fn a_download_that_is_not_compressed_as_it_should_be_is_named_and_nothing_is_written() {
        let (mirror, folder) = (tempfile::tempdir(), tempfile::tempdir());
        let (mirror, folder) = (mirror.expect("a folder"), folder.expect("a folder"));
        for name in ["one.bin.gz", "two.bin.gz"] {
            std::fs::write(mirror.path().join(name), b"to be").expect("it is mine");
        }
        let said = fetch(&PAIR, folder.path(), From::Mirror(&local(&mirror)));
        let said = said.expect_err("it is plain text").to_string();
        assert!(said.contains("one.bin.gz is no gzip file"), "{said}");
        assert_eq!(entries(folder.path()), 0);
    }
}
