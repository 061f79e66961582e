//! Small files by which two clusters are compared that no one place reaches.
//!
//! One side is read at a pinned revision and folded into a [`Tree`] of a bounded number of leaves.
//! Two trees compared give the ranges that differ; a second pass over those alone writes every key
//! with the fingerprint of its value, and two such details give the keys.

mod builder;
mod compare;
mod detail;
mod error;
mod file;
mod frame;
mod header;
mod merge;
mod narrow;
mod range_list;
mod ranges;
mod read;
mod sum;
mod wire;

pub use self::builder::{Tree, TreeBuilder, TreeSettings};
pub use self::compare::{
    Comparison, KeyComparison, KeyDifference, RangeComparison, RangeDifference, compare,
};
pub use self::detail::{DetailReader, DetailWriter};
pub use self::error::{CompareError, DigestError, FileDefect, ParseFileError, RecordError};
pub use self::file::{DigestFile, FileLimits};
pub use self::header::{FileHeader, FileTotals, Mirrored, Origin, PinnedPair};
pub use self::narrow::narrowed;
pub use self::ranges::RangeFile;
pub use self::read::digest_side;
