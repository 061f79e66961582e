//! Names of things as 64 bits: enough to tell a cluster's objects apart, and small.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Stands for a uid that an object doesn't have or that can't be read.
pub(crate) const NO_UID: u64 = 0;

/// A uid; never [`NO_UID`].
pub(crate) fn uid(uid: &str) -> u64 {
    xxh3_64(uid.as_bytes()).max(1)
}

/// A key.
pub(crate) fn key(key: &[u8]) -> u64 {
    xxh3_64(key)
}

/// A value under a key.
pub(crate) fn content(key: u64, value: &[u8]) -> u64 {
    xxh3_64_with_seed(value, key)
}

/// An object by namespace and name, whatever its kind.
pub(crate) fn named(namespace: &[u8], name: &[u8]) -> u64 {
    xxh3_64_with_seed(name, xxh3_64(namespace))
}
