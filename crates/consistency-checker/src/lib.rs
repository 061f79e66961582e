#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod check;
mod classify;
mod diff;
mod digest;
mod error;
mod feed;
mod patience;
mod report;
mod tree;

pub use check::{
    Check, CheckSettings, Confirmed, Finding, Held, Kind, Landmarks, NotPinned, Outcome, PinSource,
    Progress, Span, Totals, Verdict, View, confirm,
};
pub use classify::{Arrival, Class, Classifier, Envelope, Evidence, Facts, Owner, Writer};
pub use diff::{Diff, Options, PrimarySide, StandbySide, diff};
pub use digest::{Digest, DigestBuilder, ParseDigestError};
pub use error::{Breach, DiffError, Interrupted};
pub use report::{Cut, Difference, Pins, Summary};
pub use tree::{
    CompareError, Comparison, DetailReader, DetailWriter, DigestError, DigestFile, FileDefect,
    FileHeader, FileLimits, FileTotals, KeyComparison, KeyDifference, Mirrored, Origin,
    ParseFileError, PinnedPair, RangeComparison, RangeDifference, RangeFile, RecordError, Tree,
    TreeBuilder, TreeSettings, compare, digest_side, narrowed,
};
