//! Writes a bundle, line by line.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use etcd_mvcc::{Change, Key, PrimaryRevision, Revision as _};
use sha2::{Digest as _, Sha256};

use super::manifest::VERSION;
use super::summary::Summary;
use super::{FileDigest, Line, MANIFEST, Manifest, Op, SUMMARY, Source, WRITES};

/// A bundle that is being written, into a folder beside the one that it will be.
#[derive(Debug)]
pub(crate) struct Writer {
    part: PathBuf,
    folder: PathBuf,
    file: BufWriter<File>,
    digest: Sha256,
    bytes: u64,
    counts: Counts,
    summary: Summary,
}

/// How many lines there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) puts: u64,
    pub(crate) deletions: u64,
    pub(crate) undecided: u64,
}

impl Counts {
    /// Counts one more.
    pub(crate) const fn note(&mut self, op: Op) {
        match op {
            Op::Put => self.puts += 1,
            Op::Delete => self.deletions += 1,
            Op::Undecided => self.undecided += 1,
        }
    }
}

/// Of what a bundle is.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) cluster: String,
    pub(crate) cluster_id: String,
    pub(crate) after: PrimaryRevision,
    pub(crate) until: PrimaryRevision,
    pub(crate) source: Source,
    pub(crate) state_sha256: String,
    pub(crate) written_at_ms: u64,
}

impl Writer {
    /// Begins a bundle that will be `folder`. What an earlier attempt left half written goes.
    ///
    /// # Errors
    ///
    /// The folder can't be made.
    pub(crate) fn begin(folder: &Path) -> io::Result<Self> {
        let part = beside(folder, "part");
        if part.exists() {
            fs::remove_dir_all(&part)?;
        }
        DirBuilder::new().mode(0o700).create(&part)?;
        let file = BufWriter::new(create(&part.join(WRITES))?);
        Ok(Self {
            part,
            folder: folder.to_owned(),
            file,
            digest: Sha256::new(),
            bytes: 0,
            counts: Counts::default(),
            summary: Summary::default(),
        })
    }

    /// Adds a write.
    ///
    /// # Errors
    ///
    /// It can't be written.
    pub(crate) fn add(&mut self, change: &Change<PrimaryRevision>) -> io::Result<()> {
        let (op, value) = match change {
            Change::Put(entry) => (Op::Put, Some(STANDARD.encode(entry.value.expose()))),
            Change::Delete { .. } => (Op::Delete, None),
        };
        self.line(op, change.key(), change.modified(), value)
    }

    /// Adds a key of which nobody can tell whether it was deleted by this revision.
    ///
    /// # Errors
    ///
    /// It can't be written.
    pub(crate) fn add_undecided(&mut self, key: &Key, until: PrimaryRevision) -> io::Result<()> {
        self.line(Op::Undecided, key, until, None)
    }

    fn line(
        &mut self,
        op: Op,
        key: &Key,
        revision: PrimaryRevision,
        value: Option<String>,
    ) -> io::Result<()> {
        let revision = revision.get();
        self.counts.note(op);
        self.summary.note(revision, op, key);
        let key = STANDARD.encode(key.as_bytes());
        let mut line = serde_json::to_vec(&Line { revision, op, key, value })?;
        line.push(b'\n');
        self.digest.update(&line);
        self.bytes += line.len() as u64;
        self.file.write_all(&line)
    }

    /// Ends the bundle: everything is on the disk, and the folder has its name. A bundle that has
    /// that name already is kept under another.
    ///
    /// # Errors
    ///
    /// It can't be written.
    pub(crate) fn finish(self, subject: Subject) -> io::Result<Manifest> {
        let Self { part, folder, file, digest, bytes, counts, summary } = self;
        let Counts { puts, deletions, undecided } = counts;
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        let mut files = BTreeMap::new();
        files.insert(WRITES.to_owned(), FileDigest { bytes, sha256: hex(digest) });
        let Subject { cluster, cluster_id, after, until, source, state_sha256, written_at_ms } =
            subject;
        let mut manifest = Manifest {
            version: VERSION,
            cluster,
            cluster_id,
            after_revision: after.get(),
            until_revision: until.get(),
            source,
            puts,
            deletions,
            undecided,
            state_sha256,
            written_at_ms,
            files,
        };
        let text = summary.text(&manifest.told());
        manifest.files.insert(SUMMARY.to_owned(), whole(&part.join(SUMMARY), text.as_bytes())?);
        whole(&part.join(MANIFEST), &serde_json::to_vec_pretty(&manifest)?)?;
        File::open(&part)?.sync_all()?;
        if folder.exists() {
            fs::rename(&folder, free(&folder))?;
        }
        fs::rename(&part, &folder)?;
        if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            File::open(parent)?.sync_all()?;
        }
        Ok(manifest)
    }
}

fn whole(path: &Path, bytes: &[u8]) -> io::Result<FileDigest> {
    let mut file = create(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(FileDigest { bytes: bytes.len() as u64, sha256: hex(Sha256::new().chain_update(bytes)) })
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// A SHA-256 in hexadecimal.
pub(crate) fn hex(digest: Sha256) -> String {
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn beside(folder: &Path, what: &str) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(what);
    folder.with_file_name(name)
}

/// The first name with a number that is not taken.
fn free(folder: &Path) -> PathBuf {
    let mut number = 1_u32;
    loop {
        let path = beside(folder, &number.to_string());
        if !path.exists() {
            return path;
        }
        number += 1;
    }
}
