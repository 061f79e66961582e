//! Reads a bundle back, and believes nothing that its digests do not bear out.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::manifest::VERSION;
use super::write::{Counts, hex};
use super::{FileDigest, Line, MANIFEST, Manifest, Op, SUMMARY, WRITES};

/// A manifest has a few lines.
const MANIFEST_BYTES_MAX: u64 = 1 << 20;

/// Why a folder is no bundle.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BundleError {
    /// There is none.
    #[error("there is no bundle")]
    Absent,
    /// It can't be read.
    #[error("{0} can't be read ({1})")]
    Unreadable(&'static str, io::Error),
    /// It is not as it was written.
    #[error("{0}")]
    Damaged(String),
}

/// Reads a bundle whole, line by line, and returns its manifest.
///
/// # Errors
///
/// There is none, or something in it is not as it was written.
pub(crate) fn verify(folder: &Path) -> Result<Manifest, BundleError> {
    let manifest = manifest(folder)?;
    let of = |name: &str| {
        let missing = || BundleError::Damaged(format!("the manifest does not name {name}"));
        manifest.files.get(name).ok_or_else(missing)
    };
    same(folder, SUMMARY, of(SUMMARY)?)?;
    let counts = writes(folder, of(WRITES)?)?;
    let Manifest { puts, deletions, undecided, .. } = manifest;
    if counts != (Counts { puts, deletions, undecided }) {
        let Counts { puts, deletions, undecided } = counts;
        let why = format!("{WRITES} has {puts} puts, {deletions} deletions, {undecided} undecided");
        return Err(BundleError::Damaged(format!("{why}; the manifest says otherwise")));
    }
    Ok(manifest)
}

fn manifest(folder: &Path) -> Result<Manifest, BundleError> {
    let file = match File::open(folder.join(MANIFEST)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(BundleError::Absent),
        Err(error) => return Err(BundleError::Unreadable(MANIFEST, error)),
    };
    let mut text = String::new();
    file.take(MANIFEST_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|error| BundleError::Unreadable(MANIFEST, error))?;
    let damaged = |why: &dyn std::fmt::Display| BundleError::Damaged(format!("{MANIFEST}: {why}"));
    let manifest: Manifest = serde_json::from_str(&text).map_err(|error| damaged(&error))?;
    if manifest.version != VERSION {
        return Err(damaged(&format!("version {} is unknown", manifest.version)));
    }
    Ok(manifest)
}

/// A file that the manifest names and that is not there was taken away.
fn unread(name: &'static str, error: io::Error) -> BundleError {
    if error.kind() == io::ErrorKind::NotFound {
        return BundleError::Damaged(format!("{name} is not there"));
    }
    BundleError::Unreadable(name, error)
}

fn same(folder: &Path, name: &'static str, expected: &FileDigest) -> Result<(), BundleError> {
    let bytes = std::fs::read(folder.join(name)).map_err(|error| unread(name, error))?;
    compare(name, bytes.len() as u64, Sha256::new().chain_update(&bytes), expected)
}

fn compare(
    name: &str,
    bytes: u64,
    digest: Sha256,
    expected: &FileDigest,
) -> Result<(), BundleError> {
    if (bytes, hex(digest).as_str()) == (expected.bytes, expected.sha256.as_str()) {
        return Ok(());
    }
    Err(BundleError::Damaged(format!("{name} is not as it was written")))
}

/// Reads the writes, counts them, and holds each line to its form.
fn writes(folder: &Path, expected: &FileDigest) -> Result<Counts, BundleError> {
    let unreadable = |error| unread(WRITES, error);
    let mut reader = BufReader::new(File::open(folder.join(WRITES)).map_err(unreadable)?);
    let (mut digest, mut bytes, mut counts) = (Sha256::new(), 0, Counts::default());
    let mut text = Vec::new();
    let mut number = 0_u64;
    while reader.read_until(b'\n', &mut text).map_err(unreadable)? > 0 {
        number += 1;
        digest.update(&text);
        bytes += text.len() as u64;
        // What a line holds is secret; that it is none is said without it.
        let line = serde_json::from_slice::<Line>(&text).ok().filter(decodes);
        let Some(line) = line else {
            return Err(BundleError::Damaged(format!("line {number} of {WRITES} is no write")));
        };
        counts.note(line.op);
        text.clear();
    }
    compare(WRITES, bytes, digest, expected)?;
    Ok(counts)
}

fn decodes(line: &Line) -> bool {
    let is_base64 = |text: &String| STANDARD.decode(text).is_ok();
    let value = match (&line.op, &line.value) {
        (Op::Put, Some(value)) => is_base64(value),
        (Op::Delete | Op::Undecided, None) => true,
        (Op::Put, None) | (Op::Delete | Op::Undecided, Some(_)) => false,
    };
    value && is_base64(&line.key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use etcd_mvcc::{Change, Entry, Key, PrimaryRevision, Revision as _, Value};

    use super::*;
    use crate::mirror::bundle::{Source, Subject, Writer};

    fn subject() -> Subject {
        Subject {
            cluster: "west".into(),
            cluster_id: "5eed".into(),
            after: PrimaryRevision::new(7),
            until: PrimaryRevision::new(9),
            source: Source::History,
            state_sha256: String::new(),
            written_at_ms: 1,
        }
    }

    fn written(folder: &Path) -> Manifest {
        let mut writer = Writer::begin(folder).unwrap();
        let at = PrimaryRevision::new(8);
        let value = Value::from(vec![0_u8, 255, 10]);
        let key = Key::from(vec![b'/', 0xff]);
        let put =
            Entry { key: key.clone(), value, created: at, modified: at, version: 1, lease: 0 };
        writer.add(&Change::Put(put)).unwrap();
        let until = PrimaryRevision::new(9);
        writer.add(&Change::Delete { key: key.clone(), modified: until }).unwrap();
        writer.add_undecided(&key, until).unwrap();
        writer.finish(subject()).unwrap()
    }

    #[test]
    fn what_was_written_reads_back_and_nobody_else_may_read_it() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("bundle");
        let manifest = written(&folder);
        assert_eq!((manifest.puts, manifest.deletions, manifest.undecided), (1, 1, 1));
        assert_eq!(verify(&folder).unwrap(), manifest);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        for file in std::fs::read_dir(&folder).unwrap() {
            assert_eq!(mode(&file.unwrap().path()), 0o600);
        }
    }

    #[test]
    fn a_byte_that_changed_a_line_that_is_missing_and_no_manifest_are_found() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("bundle");
        assert!(matches!(verify(&folder), Err(BundleError::Absent)));
        for name in [WRITES, SUMMARY] {
            written(&folder);
            let file = folder.join(name);
            let mut bytes = std::fs::read(&file).unwrap();
            bytes.pop();
            std::fs::write(&file, bytes).unwrap();
            assert!(matches!(verify(&folder), Err(BundleError::Damaged(_))), "{name}");
            std::fs::remove_file(&file).unwrap();
            assert!(matches!(verify(&folder), Err(BundleError::Damaged(_))), "no {name}");
        }
        // Each of those is kept.
        assert!(parent.path().join("bundle.1").is_dir());
    }
}
