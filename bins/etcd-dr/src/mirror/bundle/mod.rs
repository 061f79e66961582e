//! What one cluster alone has written, kept in a folder before it is overwritten.
//!
//! | file | what is in it |
//! |---|---|
//! | `writes.jsonl` | one write a line, in order: key and value as they are stored, in base64 |
//! | `summary.txt` | how much there is, by kind and namespace, for people |
//! | `manifest.json` | of which cluster, from where to where, and the digests of the others |
//!
//! The manifest is written last: a folder without one is no bundle. Values are as secret as the
//! cluster, so nobody but the owner may read any of it.

mod manifest;
mod read;
mod summary;
mod write;

pub(crate) use manifest::{FileDigest, Manifest, Source};
pub(crate) use read::{BundleError, verify};
pub(crate) use write::{Subject, Writer, hex};

use serde::{Deserialize, Serialize};

/// The manifest's name.
const MANIFEST: &str = "manifest.json";
/// The name of the file with the writes.
const WRITES: &str = "writes.jsonl";
/// The name of the file for people.
const SUMMARY: &str = "summary.txt";

/// One line of the writes, or of what may be one. `key` and `value` are base64.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// The revision of the write, or, in a comparison, the newest one that touched the key.
    pub(crate) revision: i64,
    /// What was done.
    pub(crate) op: Op,
    /// The key.
    pub(crate) key: String,
    /// The value, of a put.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<String>,
}

/// What was done to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Op {
    /// It was written.
    Put,
    /// It was deleted.
    Delete,
    /// In a comparison: it is on the other cluster only, and nobody can tell whether it was deleted
    /// here or made there.
    Undecided,
}
