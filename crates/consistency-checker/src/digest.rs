//! A short name for a set of things to do.

use std::fmt;
use std::str::FromStr;

use etcd_mvcc::Key;
use xxhash_rust::xxh3::xxh3_128;

use crate::Difference;

/// A 128-bit digest. `Display` prints 32 hexadecimal digits, `FromStr` reads them.
///
/// It tells plans apart that differ by accident. It does not resist somebody who makes values to
/// collide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(u128);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The text is not a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a digest is 32 hexadecimal digits")]
pub struct ParseDigestError;

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, ParseDigestError> {
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(ParseDigestError);
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| ParseDigestError)
    }
}

/// Digests a set of (kind, key, fingerprints), in whatever order they are added.
///
/// Every item is hashed by itself, with its parts framed by their lengths, and the hashes are
/// summed: order does not matter, an item added twice does. So a plan has one digest, whether it is
/// read off a comparison or sorted by dependency.
#[derive(Clone, Debug, Default)]
pub struct DigestBuilder {
    sum: u128,
    count: u64,
    frame: Vec<u8>,
}

impl DigestBuilder {
    /// Starts with nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what is done to a key: a word for what, and the fingerprints of the values concerned.
    pub fn add(&mut self, kind: &str, key: &Key, fingerprints: &[u128]) {
        self.frame.clear();
        for part in [kind.as_bytes(), key.as_bytes()] {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            self.frame.extend_from_slice(&length.to_le_bytes());
            self.frame.extend_from_slice(part);
        }
        for fingerprint in fingerprints {
            self.frame.extend_from_slice(&fingerprint.to_le_bytes());
        }
        self.sum = self.sum.wrapping_add(xxh3_128(&self.frame));
        self.count += 1;
    }

    /// Adds a difference: its kind, the standby's key, and the values on both sides.
    pub fn add_difference(&mut self, difference: &Difference) {
        let (kind, key) = (difference.kind(), difference.key());
        match difference {
            Difference::Missed { primary, .. } => {
                self.add(kind, key, &[primary.value.fingerprint()]);
            }
            Difference::Surplus { standby } => {
                self.add(kind, key, &[standby.value.fingerprint()]);
            }
            Difference::Different { primary, standby, .. } => {
                let both = [primary.value.fingerprint(), standby.value.fingerprint()];
                self.add(kind, key, &both);
            }
        }
    }

    /// Returns how many items were added.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns the digest of everything added.
    #[must_use]
    pub fn finish(&self) -> Digest {
        let mut whole = self.sum.to_le_bytes().to_vec();
        whole.extend_from_slice(&self.count.to_le_bytes());
        Digest(xxh3_128(&whole))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Item = (String, Vec<u8>, Vec<u128>);

    fn digest(items: &[Item]) -> Digest {
        let mut builder = DigestBuilder::new();
        for (kind, key, fingerprints) in items {
            builder.add(kind, &Key::from(key.clone()), fingerprints);
        }
        builder.finish()
    }

    fn item() -> impl Strategy<Value = Item> {
        let bytes = prop::collection::vec(prop_oneof![Just(0u8), Just(b'a')], 0..4);
        ("[a\0]{0,3}", bytes, prop::collection::vec(0u128..2, 0..3))
    }

    proptest! {
        #[test]
        fn a_digest_is_one_of_the_multiset_not_of_its_order(
            a in prop::collection::vec(item(), 0..6),
            b in prop::collection::vec(item(), 0..6),
        ) {
            let (mut left, mut right) = (a.clone(), b.clone());
            left.sort();
            right.sort();
            prop_assert_eq!(digest(&a) == digest(&b), left == right);
            prop_assert_eq!(digest(&a), digest(&left));
        }
    }

    #[test]
    fn a_digest_reads_back_as_it_prints_and_nothing_else_does() {
        let digest = digest(&[("missed".into(), b"/a".to_vec(), vec![1])]);
        assert_eq!(digest.to_string().parse(), Ok(digest));
        for text in
            ["", "+123", &"g".repeat(32), &"0".repeat(33), "+0000000000000000000000000000000"]
        {
            assert_eq!(text.parse::<Digest>(), Err(ParseDigestError), "{text}");
        }
    }

    #[test]
    fn the_digest_of_an_item_is_for_ever() {
        let digest = digest(&[("missed".into(), b"/a".to_vec(), vec![1])]);
        assert_eq!(digest.to_string(), "cfd14a0809abe958c59292f8b4df036a");
    }
}
