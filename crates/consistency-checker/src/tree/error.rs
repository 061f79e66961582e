//! Why there is no file, no reading of one, or no comparison of two.

use std::io;

use etcd_mvcc::{ClusterId, Failure, FailureClass, Key, PrimaryRevision, Side};
use keyspace_filter::ScopeHash;

use crate::Breach;
use crate::error::name;

/// Why something could not be written down. What was written before is no whole file, and will be
/// refused as one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// A key is not beyond the one before it: the mapping does not keep the order of keys.
    #[error("{key} is out of order")]
    Order {
        /// The key, as the standby spells it.
        key: Key,
    },
    /// The ranges hold more keys than a detail may name.
    #[error("the ranges hold more than {max} keys")]
    TooManyKeys {
        /// How many it may name.
        max: u64,
    },
    /// A line would be longer than one may be.
    #[error("a line would be longer than {max} bytes")]
    LineTooLong {
        /// How long it may be.
        max: usize,
    },
    /// The file would be longer than it may be.
    #[error("the file would be longer than {max} bytes")]
    FileTooLong {
        /// How long it may be.
        max: u64,
    },
    /// A detail needs ranges: sorted, disjoint, none empty, bounded in number, and with ends that a
    /// tree can have.
    #[error("the ranges are none that a comparison of two digests yields")]
    Ranges,
    /// The file could not be written.
    #[error("the file could not be written")]
    Unwritten(#[source] io::Error),
}

/// Why a side has no digest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DigestError {
    /// The pinned revision has left the cluster's history: pin anew, and begin again.
    #[error("the pinned revision was compacted before everything was read")]
    Compacted(#[source] Failure),
    /// A read failed for another reason.
    #[error("the cluster could not be read")]
    Unread(#[source] Failure),
    /// The cluster answered what etcd never answers.
    #[error("the cluster broke the protocol: {breach}")]
    Broken {
        /// What was wrong with its answer.
        breach: Breach,
    },
    /// What was read could not be written down.
    #[error("what was read could not be written down")]
    Unrecorded(#[source] RecordError),
}

impl DigestError {
    /// Returns what the caller should do about it.
    #[must_use]
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Compacted(_) => FailureClass::Resync,
            Self::Unread(failure) => failure.class,
            Self::Broken { .. } => FailureClass::Fatal,
            Self::Unrecorded(_) => FailureClass::Blocked,
        }
    }
}

/// Why bytes are no file of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {defect}")]
pub struct ParseFileError {
    /// The line, from 1 on.
    pub line: u64,
    /// What is wrong with it.
    pub defect: FileDefect,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileDefect {
    /// The file could not be read.
    #[error("could not be read: {0}")]
    Unread(io::ErrorKind),
    /// The first line is not the one that such a file begins with.
    #[error("this is not a digest")]
    Foreign,
    /// The file was written in a form of later times.
    #[error("this is a digest of version {found}; this program knows {known}")]
    Version {
        /// The version found.
        found: u32,
        /// The version known.
        known: u32,
    },
    /// It is a file of another kind: a tree, a detail or ranges, where another was expected.
    #[error("this is another kind of file than expected")]
    Kind,
    /// The header contradicts itself.
    #[error("the header makes no sense")]
    Header,
    /// The line can't be understood.
    #[error("can't be understood (column {column})")]
    Syntax {
        /// Where in the line, in bytes from 1 on.
        column: usize,
    },
    /// The line belongs elsewhere.
    #[error("does not belong here")]
    Misplaced,
    /// The line is longer than any that was ever written.
    #[error("is longer than {max} bytes")]
    LineTooLong {
        /// How long it may be.
        max: usize,
    },
    /// The file is longer than it may be.
    #[error("the file is longer than {max} bytes")]
    FileTooLong {
        /// How long it may be.
        max: u64,
    },
    /// There are more lines of a kind than there may be.
    #[error("more than {max} of these")]
    TooMany {
        /// How many there may be.
        max: u64,
    },
    /// A leaf or a range that does not lie beyond the one before it, that begins or ends where none
    /// can, or that holds nothing.
    #[error("no such range can follow here")]
    Range,
    /// A key that does not lie beyond the one before it.
    #[error("a key out of order")]
    Order,
    /// A key outside the ranges that the file covers.
    #[error("a key outside the ranges of the file")]
    OutOfRange,
    /// The totals are not those of the lines before.
    #[error("the totals contradict the lines above")]
    Totals,
    /// The file ends before its end line: it was cut.
    #[error("the file was cut off")]
    Cut,
    /// The checksum is not the one of the lines before: the file was changed.
    #[error("the checksum contradicts the lines above")]
    Checksum,
    /// Something follows the end line.
    #[error("something follows the end")]
    Trailing,
}

/// Why two files have no comparison. None of these is ever "no differences".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// Both files speak of the same side.
    #[error("both files speak of a {}", name(*.side))]
    SameSide {
        /// The side.
        side: Side,
    },
    /// The files were made with different filters.
    #[error("the scopes differ: {primary} on the primary, {standby} on the standby")]
    Scope {
        /// The primary's.
        primary: ScopeHash,
        /// The standby's.
        standby: ScopeHash,
    },
    /// The files belong to different mirrors.
    #[error("the mirrors differ: {primary:?} on the primary, {standby:?} on the standby")]
    Mirror {
        /// The primary's.
        primary: String,
        /// The standby's.
        standby: String,
    },
    /// One cluster was read as both sides.
    #[error("both files speak of the same cluster {cluster}")]
    SameCluster {
        /// The cluster.
        cluster: ClusterId,
    },
    /// The standby's file does not say which revision of the primary the standby ought to equal.
    #[error("the standby's file names no revision of the primary to compare with")]
    NotPinned,
    /// The standby mirrors another primary.
    #[error("the standby mirrors cluster {expected}, and cluster {found} was read")]
    Cluster {
        /// The primary that the standby's checkpoint names.
        expected: ClusterId,
        /// The primary that was read.
        found: ClusterId,
    },
    /// The primary was read at another revision than the standby's checkpoint names.
    #[error(
        "the standby equals revision {expected} of the primary, and the primary was read at {found}"
    )]
    Revision {
        /// The revision that the standby's checkpoint names.
        expected: PrimaryRevision,
        /// The revision that was read.
        found: PrimaryRevision,
    },
    /// One file is a tree, the other a detail.
    #[error("one file has ranges, the other keys")]
    Kind,
    /// The details cover different ranges.
    #[error("the files cover different ranges")]
    Ranges,
    /// The sums are equal, and the sizes of what was summed are not: a hash has failed.
    #[error("equal sums of different sizes: the digests can't be relied on")]
    Contradiction,
    /// A file that was being read turned out to be no good.
    #[error("the {}'s file is no good", name(*.side))]
    Parse {
        /// Whose file.
        side: Side,
        /// Why.
        #[source]
        error: ParseFileError,
    },
}
