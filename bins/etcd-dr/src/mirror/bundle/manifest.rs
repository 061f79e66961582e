//! Of which cluster a bundle is, from where to where, and the digests of its files.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The version of the format. Readers ignore fields that they don't know, and refuse other versions.
pub(crate) const VERSION: u32 = 1;

/// The manifest of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The version of the format.
    pub(crate) version: u32,
    /// The name of the cluster whose writes these are.
    pub(crate) cluster: String,
    /// The id of its etcd, in hexadecimal.
    pub(crate) cluster_id: String,
    /// The revision up to which everything was mirrored.
    pub(crate) after_revision: i64,
    /// The revision up to which the bundle has everything.
    pub(crate) until_revision: i64,
    /// Where the writes are from.
    pub(crate) source: Source,
    /// How many puts there are.
    pub(crate) puts: u64,
    /// How many deletions there are.
    pub(crate) deletions: u64,
    /// How many keys are only on the other cluster, and nobody can tell whether they were deleted.
    #[serde(default)]
    pub(crate) undecided: u64,
    /// The SHA-256 of every key in scope and its newest revision, as of `until_revision`: as long as
    /// the cluster shows the same, nothing came after the bundle, however much is compacted.
    pub(crate) state_sha256: String,
    /// When it was written, in milliseconds since 1970.
    pub(crate) written_at_ms: u64,
    /// The files, by name.
    pub(crate) files: BTreeMap<String, FileDigest>,
}

/// Where the writes of a bundle are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Source {
    /// From the cluster's history: every write, in order.
    History,
    /// The history is compacted: what both clusters hold, one line for each key that differs.
    Comparison,
}

/// A file as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileDigest {
    /// Its size.
    pub(crate) bytes: u64,
    /// Its SHA-256, in hexadecimal.
    pub(crate) sha256: String,
}

impl Manifest {
    /// The manifest in one line, for evidence.
    pub(crate) fn told(&self) -> String {
        let source = match self.source {
            Source::History => "from its history",
            Source::Comparison => "by comparison, since its history is compacted",
        };
        let undecided = match self.undecided {
            0 => String::new(),
            keys => {
                format!("; {keys} undecided: on the other cluster only, deleted here or made there")
            }
        };
        format!(
            "{} puts and {} deletions of {} after revision {}, up to {}, {source}{undecided}",
            self.puts, self.deletions, self.cluster, self.after_revision, self.until_revision
        )
    }
}
