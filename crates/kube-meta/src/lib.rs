#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod bound;
mod cbor;
mod envelope;
mod json;
mod meta;
mod protobuf;
mod wire;

pub use bound::{Claim, Service};
pub use envelope::Envelope;
pub use meta::{Format, Meta, Owner, skim};

/// The value is not what its beginning promised. Which byte is wrong makes no difference: all of
/// it is opaque then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Malformed;

/// Reads a text. No name, kind or uid that Kubernetes admits is anything but UTF-8.
fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    str::from_utf8(bytes).map_err(|_| Malformed)
}
