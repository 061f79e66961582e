//! What is kept of a range of keys, and where a range may begin.

use etcd_mvcc::Key;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// A key longer than this begins no leaf. etcd takes keys of more than a megabyte: a few thousand
/// of those would be no small file. Both sides know the rule, so both draw the same boundaries.
pub(crate) const BOUNDARY_BYTES_MAX: usize = 1024;

/// The level at which no key begins a leaf: a 64-bit hash ends in 64 zeros at most.
pub(crate) const LEVEL_MAX: u8 = 65;

/// Tells whether a key begins a leaf at `level`. It depends on the key alone, so that two sides
/// that know nothing of each other cut at the same places; about one key in 2^level does. Every
/// key that begins a leaf at one level does so at all levels below.
pub(crate) fn begins_leaf(key: &Key, level: u8) -> bool {
    let zeros = xxh3_64(key.as_bytes()).trailing_zeros();
    key.len() <= BOUNDARY_BYTES_MAX && zeros >= u32::from(level)
}

/// A multiset of (key, fingerprint of the value): how many there are, and the sum of their hashes
/// modulo 2^128. The sums of two ranges, added, are the sum of both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RangeSum {
    pub(crate) keys: u64,
    pub(crate) sum: u128,
}

impl RangeSum {
    /// Returns the sum of one entry. `frame` is room to work in.
    ///
    /// The parts are framed by their lengths, so that no two entries are hashed as the same bytes.
    /// The fingerprint stands for the value: a detail names the very same fingerprints, and so can
    /// explain every difference that a tree shows.
    pub(crate) fn of(key: &Key, fingerprint: u128, frame: &mut Vec<u8>) -> Self {
        frame.clear();
        for part in [key.as_bytes(), &fingerprint.to_le_bytes()] {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            frame.extend_from_slice(&length.to_le_bytes());
            frame.extend_from_slice(part);
        }
        Self { keys: 1, sum: xxh3_128(frame) }
    }

    /// Adds another range.
    pub(crate) fn add(&mut self, other: Self) {
        self.keys = self.keys.saturating_add(other.keys);
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(entries: &[(Vec<u8>, u128)]) -> RangeSum {
        let mut frame = Vec::new();
        entries.iter().fold(RangeSum::default(), |mut sum, (key, fingerprint)| {
            sum.add(RangeSum::of(&Key::from(key.clone()), *fingerprint, &mut frame));
            sum
        })
    }

    proptest! {
        #[test]
        fn sums_are_equal_where_the_entries_are(
            a in prop::collection::btree_map(prop::collection::vec(0u8..2, 0..4), 0u128..2, 0..6),
            b in prop::collection::btree_map(prop::collection::vec(0u8..2, 0..4), 0u128..2, 0..6),
            cut in 0usize..6,
        ) {
            let (a, b): (Vec<_>, Vec<_>) = (a.into_iter().collect(), b.into_iter().collect());
            prop_assert_eq!(sum(&a) == sum(&b), a == b);
            let (low, high) = a.split_at(cut.min(a.len()));
            let mut joined = sum(low);
            joined.add(sum(high));
            prop_assert_eq!(joined, sum(&a));
        }
    }

    #[test]
    fn a_long_key_begins_no_leaf() {
        assert!(begins_leaf(&Key::from(vec![b'a'; BOUNDARY_BYTES_MAX]), 0));
        assert!(!begins_leaf(&Key::from(vec![b'a'; BOUNDARY_BYTES_MAX + 1]), 0));
        assert!(!begins_leaf(&Key::from("a"), LEVEL_MAX));
    }
}
