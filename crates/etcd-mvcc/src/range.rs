//! Ranges of keys, half open, as etcd reads them.

use std::fmt;

use bytes::Bytes;

use crate::Key;

/// All keys from `start` on, up to but without `end`; without an end, all keys from `start` on.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyRange {
    start: Key,
    end: Option<Key>,
}

impl KeyRange {
    /// The range from `start` up to but without `end`.
    #[must_use]
    pub fn new(start: Key, end: Key) -> Self {
        Self { start, end: Some(end) }
    }

    /// The range from `start` to the end of the keyspace.
    #[must_use]
    pub fn from_key(start: Key) -> Self {
        Self { start, end: None }
    }

    /// Every key that etcd can hold.
    #[must_use]
    pub fn all() -> Self {
        Self::from_key(Key::from_static(b"\0"))
    }

    /// Every key that begins with `prefix`; an empty prefix means every key.
    #[must_use]
    pub fn prefix(prefix: &[u8]) -> Self {
        if prefix.is_empty() {
            return Self::all();
        }
        Self { start: Key::new(Bytes::copy_from_slice(prefix)), end: prefix_end(prefix) }
    }

    /// The range that holds `key` and nothing else.
    #[must_use]
    pub fn single(key: &Key) -> Self {
        Self::new(key.clone(), key.successor())
    }

    /// Returns the first key that the range may hold.
    #[must_use]
    pub fn start(&self) -> &Key {
        &self.start
    }

    /// Returns the first key beyond the range, if it has an end.
    #[must_use]
    pub fn end(&self) -> Option<&Key> {
        self.end.as_ref()
    }

    /// Tells whether `key` lies in the range.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        key >= self.start.as_bytes() && self.end.as_ref().is_none_or(|end| key < end.as_bytes())
    }

    /// Tells whether the range can hold no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| *end <= self.start)
    }

    /// Returns what the two ranges have in common; possibly an empty range.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let start = self.start.clone().max(other.start.clone());
        let end = match (&self.end, &other.end) {
            (Some(a), Some(b)) => Some(a.min(b).clone()),
            (Some(end), None) | (None, Some(end)) => Some(end.clone()),
            (None, None) => None,
        };
        Self { start, end }
    }

    /// Returns the part of the range from `start` on.
    #[must_use]
    pub fn starting_at(&self, start: Key) -> Self {
        Self { start: start.max(self.start.clone()), end: self.end.clone() }
    }

    /// Returns the smallest range that covers all of `ranges`, or `None` if there are none.
    #[must_use]
    pub fn hull<'a>(ranges: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        ranges.into_iter().filter(|range| !range.is_empty()).cloned().reduce(|a, b| Self {
            start: a.start.min(b.start),
            end: match (a.end, b.end) {
                (Some(a), Some(b)) => Some(a.max(b)),
                _ => None,
            },
        })
    }
}

impl fmt::Debug for KeyRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.end {
            Some(end) => write!(f, "[{:?}, {end:?})", self.start),
            None => write!(f, "[{:?}, …)", self.start),
        }
    }
}

/// Returns the first key beyond all keys that begin with `prefix`, or `None` if there is none
/// (the prefix is empty or made of `0xff` only).
#[must_use]
pub fn prefix_end(prefix: &[u8]) -> Option<Key> {
    let keep = prefix.iter().rposition(|&byte| byte != 0xff)?;
    let mut end = prefix.get(..=keep)?.to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    Some(Key::from(end))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_prefix_of_the_highest_bytes_has_no_end() {
        assert_eq!(prefix_end(b"\xff\xff"), None);
        assert_eq!(prefix_end(b"a\xff"), Some(Key::from("b")));
    }

    #[test]
    fn a_single_key_range_holds_that_key_only() {
        let range = KeyRange::single(&Key::from("/a"));
        assert!(range.contains(b"/a"));
        assert!(!range.contains(b"/a\0"));
        assert!(!range.contains(b"/"));
    }

    proptest! {
        #[test]
        fn a_prefix_range_holds_what_begins_with_it(
            prefix in prop::collection::vec(any::<u8>(), 0..4),
            key in prop::collection::vec(any::<u8>(), 1..6),
        ) {
            prop_assert_eq!(KeyRange::prefix(&prefix).contains(&key), key.starts_with(&prefix));
        }

        #[test]
        fn an_intersection_holds_what_both_hold(
            a in any::<(Vec<u8>, Vec<u8>)>(),
            b in any::<(Vec<u8>, Vec<u8>)>(),
            key in any::<Vec<u8>>(),
        ) {
            let a = KeyRange::new(Key::from(a.0), Key::from(a.1));
            let b = KeyRange::new(Key::from(b.0), Key::from(b.1));
            let both = a.contains(&key) && b.contains(&key);
            prop_assert_eq!(a.intersection(&b).contains(&key), both);
            if both || a.contains(&key) || b.contains(&key) {
                let hull = KeyRange::hull([&a, &b]);
                prop_assert!(hull.is_some_and(|hull| hull.contains(&key)));
            }
        }
    }
}
