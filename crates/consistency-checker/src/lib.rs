#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod diff;
mod digest;
mod error;
mod feed;
mod report;

pub use diff::{Diff, Options, PrimarySide, StandbySide, diff};
pub use digest::{Digest, DigestBuilder, ParseDigestError};
pub use error::{Breach, DiffError, Interrupted};
pub use report::{Cut, Difference, Pins, Summary};
